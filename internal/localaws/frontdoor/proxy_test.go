package frontdoor_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/sigv4"
	"github.com/stile-aws/stile/internal/machine"
)

// running is a proxy that serves until the test ends.
type running struct {
	addr, caFile string
	ca           []byte
}

func startProxy(t *testing.T, h http.Handler) running {
	t.Helper()
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	p, err := frontdoor.NewProxy(frontdoor.ProxyConfig{Handler: h, CAFile: caFile})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := p.Listen(t.Context(), ":0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return running{ln.Addr().String(), caFile, p.CACertPEM()}
}

// client uses the proxy as HTTPS_PROXY and AWS_CA_BUNDLE make clients do.
func (r running) client(t *testing.T) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(r.ca) {
		t.Fatal("the CA is not PEM")
	}
	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: r.addr}),
		TLSClientConfig: &tls.Config{RootCAs: pool},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestProxyServesAWSHosts(t *testing.T) {
	r := startProxy(t, echo())
	c := r.client(t)
	for url, want := range map[string]string{
		"https://sts.us-east-1.amazonaws.com/":                       "POST sts.us-east-1.amazonaws.com / abs=false tls=true",
		"https://111111111111.s3-control.eu-west-1.amazonaws.com/v2": "POST 111111111111.s3-control.eu-west-1.amazonaws.com /v2 abs=false tls=true",
		"https://sts.cn-north-1.amazonaws.com.cn/":                   "POST sts.cn-north-1.amazonaws.com.cn / abs=false tls=true",
		"https://eks-auth.us-east-1.api.aws/clusters/ci":             "POST eks-auth.us-east-1.api.aws /clusters/ci abs=false tls=true",
		"https://1.ddb.us-east-1.amazonaws.com/?x=%20":               "POST 1.ddb.us-east-1.amazonaws.com /?x=%20 abs=false tls=true",
		"https://f.lambda-url.us-east-1.on.aws/":                     "POST f.lambda-url.us-east-1.on.aws / abs=false tls=true",
		"https://STS.amazonaws.com/":                                 "POST STS.amazonaws.com / abs=false tls=true",
		"http://sts.amazonaws.com/x?y":                               "POST sts.amazonaws.com /x?y abs=false tls=false",
	} {
		resp, body := send(t, c, "POST", url, "hello")
		if body != "hello" || resp.Header.Get("X-Seen") != want || resp.ProtoMajor != 1 {
			t.Errorf("%s: %s %q, seen %q, want %q", url, resp.Status, body, resp.Header.Get("X-Seen"), want)
		}
	}
}

func TestProxyKeepsConnections(t *testing.T) {
	r := startProxy(t, echo())
	c := r.client(t)
	reused := 0
	for range 5 {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
			if i.Reused {
				reused++
			}
		}})
		req, err := http.NewRequestWithContext(ctx, "GET", "https://iam.amazonaws.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
		_ = resp.Body.Close()
	}
	if reused != 4 {
		t.Errorf("%d of 4 requests used the connection again", reused)
	}
}

func TestProxyRefusesOtherHosts(t *testing.T) {
	r := startProxy(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the handler got %s", r.Host) }))
	c := r.client(t)
	for _, u := range []string{"https://example.com/", "https://amazonaws.com.evil.example/", "https://127.0.0.1/", "https://amazonaws.com/",
		"https://sts.amazonaws.com:8443/", "https://169.254.169.254/"} {
		if _, err := c.Get(u); err == nil || !strings.Contains(err.Error(), "Forbidden") {
			t.Errorf("Get(%s): %v, want 403", u, err)
		}
	}
	for _, u := range []string{"http://example.com/", "http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/", "http://[fd00:ec2::254]/",
		"http://127.0.0.1:1/", "http://sts.amazonaws.com:81/"} {
		resp, body := send(t, c, "GET", u, "")
		if resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "only AWS endpoints") {
			t.Errorf("GET %s = %d %q, want 403 with a reason", u, resp.StatusCode, body)
		}
	}
}

// raw sends text to the proxy and gives the first status line's code.
func raw(t *testing.T, addr, text string) int {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0 // cut off
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestHostileConnectLines(t *testing.T) {
	r := startProxy(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the handler got %s", r.Host) }))
	for line, want := range map[string][]int{
		"CONNECT sts.amazonaws.com:443":                                {200}, // the control
		"CONNECT sts.amazonaws.com":                                    {400},
		"CONNECT sts.amazonaws.com:":                                   {400, 403},
		"CONNECT sts.amazonaws.com:80":                                 {403},
		"CONNECT sts.amazonaws.com:0443":                               {403},
		"CONNECT sts.amazonaws.com.:443":                               {403},
		"CONNECT .amazonaws.com:443":                                   {403},
		"CONNECT *.amazonaws.com:443":                                  {403},
		"CONNECT evil.example/.amazonaws.com:443":                      {400},
		"CONNECT evil.example#.amazonaws.com:443":                      {400, 403},
		"CONNECT evil.example?.amazonaws.com:443":                      {400, 403},
		"CONNECT evil.example@sts.amazonaws.com:443":                   {400},
		"CONNECT evil.example%2f.amazonaws.com:443":                    {400, 403},
		"CONNECT evil.example%00.amazonaws.com:443":                    {400, 403},
		"CONNECT [::1].amazonaws.com:443":                              {400, 403},
		"CONNECT [::1]:443":                                            {403},
		"CONNECT 127.0.0.1:443":                                        {403},
		"CONNECT 2130706433:443":                                       {403},
		"CONNECT -x.amazonaws.com:443":                                 {403},
		"CONNECT x..amazonaws.com:443":                                 {403},
		"CONNECT " + strings.Repeat("x", 64) + ".amazonaws.com:443":    {403},
		"CONNECT " + strings.Repeat("x.", 130) + "amazonaws.com:443":   {403},
		"CONNECT " + strings.Repeat("x", 300_000) + ".amazonaws.com:1": {431},
		"CONNECT http://sts.amazonaws.com/":                            {400},
		"CONNECT /":                                                    {400},
		"CONNECT :443":                                                 {400, 403},
		"GET /":                                                        {400},
		"GET https://sts.amazonaws.com/":                               {400},
		"GET http://user:pass@sts.amazonaws.com/":                      {400},
		"OPTIONS *": {400},
		"PRI *":     {400},
	} {
		got := raw(t, r.addr, line+" HTTP/1.1\r\nHost: sts.amazonaws.com\r\n\r\n")
		ok := false
		for _, w := range want {
			ok = ok || got == w
		}
		if !ok {
			t.Errorf("%.80s = %d, want one of %v", line, got, want)
		}
	}
}

// tunnel opens a TLS connection through the proxy.
func (r running) tunnel(t *testing.T, host string) *tls.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n", host, host)
	status, err := bufio.NewReader(io.LimitReader(conn, int64(len("HTTP/1.1 200 Connection established\r\n\r\n")))).ReadString('\n')
	if err != nil || !strings.Contains(status, " 200 ") {
		t.Fatalf("CONNECT = %q, %v", status, err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(r.ca)
	return tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: host, NextProtos: []string{"h2", "http/1.1"}})
}

func TestHostInsideTheTunnelMustBeTheTunnels(t *testing.T) {
	r := startProxy(t, echo())
	for host, want := range map[string]int{
		"sts.amazonaws.com": 200, "sts.amazonaws.com:443": 200, "STS.amazonaws.com": 200,
		"iam.amazonaws.com": 421, "example.com": 421, "sts.amazonaws.com:80": 421, "": 421,
	} {
		conn := r.tunnel(t, "sts.amazonaws.com")
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("Host %q: %v", host, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Host %q = %d, want %d", host, resp.StatusCode, want)
		}
		if p := conn.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
			t.Errorf("protocol %q, want http/1.1", p)
		}
	}
}

func TestGarbageInsideTheTunnelHurtsNobody(t *testing.T) {
	r := startProxy(t, echo())
	for _, text := range []string{"", "\x00\x01\x02", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("\x16\x03\x01", 1000)} {
		raw(t, r.addr, "CONNECT sts.amazonaws.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"+text)
	}
	if _, body := send(t, r.client(t), "POST", "https://sts.amazonaws.com/", "still here"); body != "still here" {
		t.Errorf("got %q", body)
	}
}

func TestCAFile(t *testing.T) {
	r := startProxy(t, echo())
	info, err := os.Stat(r.caFile)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(r.caFile)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o644 || string(data) != string(r.ca) || strings.Contains(string(data), "PRIVATE") {
		t.Errorf("mode %v, content:\n%s", info.Mode(), data)
	}
	if left, err := os.ReadDir(filepath.Dir(r.caFile)); err != nil || len(left) != 1 {
		t.Errorf("left beside the file: %v, %v", left, err)
	}
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !cert.IsCA || !cert.PermittedDNSDomainsCritical || len(cert.PermittedDNSDomains) == 0 {
		t.Errorf("the authority is not confined to AWS's domains: %+v", cert.PermittedDNSDomains)
	}
	_, err = frontdoor.NewProxy(frontdoor.ProxyConfig{Handler: echo(), CAFile: filepath.Join(t.TempDir(), "no", "ca.pem")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("NewProxy with a file in no directory: %v", err)
	}
}

func TestEveryProxyHasItsOwnAuthority(t *testing.T) {
	a, b := startProxy(t, echo()), startProxy(t, echo())
	a.ca = b.ca
	if _, err := a.client(t).Get("https://sts.amazonaws.com/"); err == nil {
		t.Error("one proxy's certificate verified under another's authority")
	}
}

func TestNewProxyWantsAHandler(t *testing.T) {
	if _, err := frontdoor.NewProxy(frontdoor.ProxyConfig{}); err == nil {
		t.Error("NewProxy without a handler: no error")
	}
}

// sts1 answers GetCallerIdentity as STS does to whoever signs as AKID, to see
// that real clients' signatures survive the doors. It looks at nothing else.
func sts1() http.Handler {
	lookup := func(id string) (sigv4.Credential, bool) {
		return sigv4.Credential{SecretAccessKey: "s"}, id == "AKID"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = sigv4.Verify(r, body, lookup, time.Now(), sigv4.Options{Service: "sts", Region: "eu-west-1"})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
			`<Arn>arn:aws:iam::111111111111:user/u</Arn><UserId>AIDA</UserId><Account>111111111111</Account>`+
			`</GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>`)
	})
}

func TestGoSDKThroughTheDoors(t *testing.T) {
	r := startProxy(t, sts1())
	port, err := frontdoor.Listen(t.Context(), ":0", sts1())
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	for name, tc := range map[string]struct {
		client   *http.Client
		endpoint *string
	}{
		"proxy":                   {r.client(t), nil},
		"in process":              {client(sts1()), nil},
		"in process, by endpoint": {client(sts1()), aws.String("http://127.0.0.1:7171")},
		"single port":             {http.DefaultClient, aws.String(port.URL())},
	} {
		t.Run(name, func(t *testing.T) {
			api := sts.New(sts.Options{Region: "eu-west-1", HTTPClient: tc.client, BaseEndpoint: tc.endpoint, Credentials: aws.CredentialsProviderFunc(
				func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "s"}, nil
				})})
			out, err := api.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			if err != nil || aws.ToString(out.Account) != "111111111111" {
				t.Errorf("GetCallerIdentity = %+v, %v", out, err)
			}
		})
	}
}

func TestAWSCLIThroughTheProxy(t *testing.T) {
	_, err := exec.LookPath("aws")
	machine.Needs(t, "the AWS CLI", err)
	r := startProxy(t, sts1())
	cmd := exec.CommandContext(t.Context(), "aws", "sts", "get-caller-identity", "--query", "Account", "--output", "text")
	cmd.Env = append(os.Environ(), "HTTPS_PROXY=http://"+r.addr, "AWS_CA_BUNDLE="+r.caFile, "NO_PROXY=", "no_proxy=",
		"AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=s", "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "111111111111" {
		t.Errorf("aws: %s, %v", out, err)
	}
}

func FuzzConnect(f *testing.F) {
	p, err := frontdoor.NewProxy(frontdoor.ProxyConfig{Handler: echo()})
	if err != nil {
		f.Fatal(err)
	}
	ln, err := p.Listen(f.Context(), ":0")
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, ln) }()
	f.Cleanup(func() { cancel(); <-done })
	f.Add("sts.amazonaws.com:443")
	f.Add("evil.example/.amazonaws.com:443")
	f.Add("[::1]:443")
	f.Fuzz(func(t *testing.T, target string) {
		if strings.ContainsAny(target, " \r\n") {
			return
		}
		host := strings.ToLower(strings.TrimSuffix(target, ":443"))
		aws := false
		for _, d := range frontdoor.DefaultDomains() {
			aws = aws || strings.HasSuffix(host, "."+d)
		}
		if code := raw(t, ln.Addr().String(), "CONNECT "+target+" HTTP/1.1\r\nHost: x\r\n\r\n"); code == 200 && (!aws || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "") {
			t.Fatalf("CONNECT %q was accepted", target)
		}
	})
}
