package clients_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// throughProxy makes a transport use the proxy for every host.
func (w *world) throughProxy(tr *http.Transport) {
	tr.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(w.running.URL) }
}

// TestProxyRefusesEveryOtherHost tries hosts that are not AWS's by clients that
// use proxies in their own ways. A listener of our own shows that the proxy
// does not even connect.
func TestProxyRefusesEveryOtherHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, doors[1])
	canary, connected := listenCanary(t)
	hosts := []string{
		"https://example.com/", "http://example.com/", "http://169.254.169.254/latest/meta-data/iam/security-credentials/", "https://169.254.169.254/",
		"http://169.254.170.2/v2/credentials", "https://[fd00:ec2::254]/", "https://" + canary + "/", "http://" + canary + "/", "https://localhost/",
		"https://sts.amazonaws.com.example.com/", "https://evilamazonaws.com/", "https://sts.us-east-1.amazonaws.com:8443/", "https://amazonaws.com/",
	}
	for _, target := range hosts {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			t.Run("go", func(t *testing.T) { w.refusedByGo(t, target) })
			t.Run("curl", func(t *testing.T) { w.refusedByCurl(t, target) })
			t.Run("python", func(t *testing.T) { w.refusedByPython(t, target) })
		})
	}
	t.Cleanup(func() {
		select {
		case from := <-connected:
			t.Errorf("the proxy connected to a host that is not AWS's, from %s", from)
		default:
		}
	})
}

// listenCanary listens on loopback and tells of connections.
func listenCanary(t *testing.T) (addr string, connected <-chan string) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	found := make(chan string, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return // the test has ended
		}
		found <- c.RemoteAddr().String()
		_ = c.Close()
	}()
	return ln.Addr().String(), found
}

func (w *world) refusedByGo(t *testing.T, target string) {
	t.Helper()
	bundle, err := os.ReadFile(w.running.CABundle)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	w.throughProxy(tr)
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	must(t, err)
	resp, err := (&http.Client{Transport: tr, Timeout: 10 * time.Second}).Do(req)
	switch {
	case strings.HasPrefix(target, "https:"):
		if err == nil || !strings.Contains(err.Error(), "Forbidden") {
			t.Errorf("CONNECT: %v, want Forbidden", err)
		}
	case err != nil:
		t.Error(err)
	case resp.StatusCode != http.StatusForbidden:
		t.Errorf("status %s, want 403", resp.Status)
	}
	if resp != nil {
		_ = resp.Body.Close()
	}
}

func (w *world) refusedByCurl(t *testing.T, target string) {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl here") // Go and Python prove the same
	}
	cmd := exec.CommandContext(t.Context(), curl, "--silent", "--globoff", "--max-time", "10", "--output", os.DevNull, "--write-out", "%{http_connect} %{http_code}", "--noproxy", "", target)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "http_proxy=" + w.running.URL, "https_proxy=" + w.running.URL}
	out, _ := cmd.Output() // it fails when CONNECT is refused
	if got := string(out); !strings.Contains(got, "403") {
		t.Errorf("curl saw %q, want a 403 of the proxy", got)
	}
}

const pythonGet = `
import sys, urllib.request, urllib.error
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=10).status)
except urllib.error.HTTPError as e:
    print(e.code)
except OSError as e:
    print(e)
`

func (w *world) refusedByPython(t *testing.T, target string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 here") // Go and curl prove the same
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", pythonGet, target)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "http_proxy=" + w.running.URL, "https_proxy=" + w.running.URL}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	malformed := strings.Contains(target, "[") && strings.Contains(string(out), "400 Bad Request") // it sends IPv6 addresses without brackets
	if err != nil || !strings.Contains(string(out), "403") && !malformed {
		t.Errorf("python saw %q (%v %s), want a 403 of the proxy", out, err, errs.String())
	}
}
