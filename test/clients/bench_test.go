package clients_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
)

// benchClients send requests at once, over loopback.
const benchClients = 8

// peer is a server to load: the local AWS, or another emulator beside it.
type peer struct {
	url string
	key aws.Credentials
}

// BenchmarkRequests compares requests per second of the local AWS, which
// verifies and enforces everything, with those of moto, which does neither:
//
//	go test ./test/clients -run '^$' -bench Requests -benchtime 5s
//
// A request is signed once and sent many times: what is measured is the server.
func BenchmarkRequests(b *testing.B) {
	for name, start := range map[string]func(b *testing.B) peer{"stile": startStile, "moto": startMoto} {
		b.Run(name, func(b *testing.B) {
			p := start(b)
			secret := p.prepare(b)
			for _, r := range []struct{ name, service, target, body string }{
				{"GetCallerIdentity", "sts", "", "Action=GetCallerIdentity&Version=2011-06-15"},
				{"AssumeRole", "sts", "", "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111111111111%3Arole%2Fbench&RoleSessionName=bench"},
				{"GetSecretValue", "secretsmanager", "secretsmanager.GetSecretValue", `{"SecretId":"` + secret + `"}`},
			} {
				b.Run(r.name, func(b *testing.B) { p.load(b, r.service, r.target, r.body) })
			}
		})
	}
}

func startStile(b *testing.B) peer {
	b.Helper()
	server, err := localaws.New(localaws.Config{Accounts: []localaws.Account{{Name: "tooling", ID: tooling}}, Organization: true})
	if err != nil {
		b.Fatal(err)
	}
	port, err := frontdoor.Listen(context.WithoutCancel(b.Context()), "127.0.0.1:0", server)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = port.Close(); _ = server.Close() })
	id, secret, _ := server.Administrator(tooling)
	return peer{port.URL(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}}
}

// startMoto starts moto's server by a Python that has it.
func startMoto(b *testing.B) peer {
	b.Helper()
	python := ""
	candidates, _ := filepath.Glob(filepath.Join(os.Getenv("HOME"), ".pyenv/versions/*/bin/python3"))
	for _, p := range append(candidates, "/usr/bin/python3") {
		if exec.CommandContext(b.Context(), p, "-c", "import moto.server, flask").Run() == nil {
			python = p
		}
	}
	if python == "" {
		b.Skip("no Python here has moto[server]")
	}
	ln, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close() // moto takes the port
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.CommandContext(b.Context(), python, "-m", "moto.server", "-H", "127.0.0.1", "-p", port)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + b.TempDir()}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(30 * time.Second); ; {
		conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			b.Fatalf("moto does not listen: %v", err)
		}
		runtime.Gosched()
	}
	return peer{"http://" + addr, aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "x"}}
}

// prepare makes the role and the secret, whose ARN it returns.
func (p peer) prepare(b *testing.B) string {
	b.Helper()
	cfg := aws.Config{Region: region, BaseEndpoint: &p.url, Credentials: credentials.StaticCredentialsProvider{Value: p.key}}
	_, err := iam.NewFromConfig(cfg).CreateRole(b.Context(), &iam.CreateRoleInput{RoleName: aws.String("bench"), AssumeRolePolicyDocument: aws.String(trustAdministrator)})
	if err != nil {
		b.Fatal(err)
	}
	made, err := secretsmanager.NewFromConfig(cfg).CreateSecret(b.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("bench"), SecretString: aws.String(secretText)})
	if err != nil {
		b.Fatal(err)
	}
	return aws.ToString(made.ARN)
}

func (p peer) load(b *testing.B, service, target, body string) {
	template := p.signed(b, service, target, body)
	transport := &http.Transport{MaxIdleConnsPerHost: benchClients}
	defer transport.CloseIdleConnections()
	var failed atomic.Int64
	var told atomic.Pointer[string]
	b.SetParallelism((benchClients + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := template.Clone(b.Context())
			r.Body = io.NopCloser(strings.NewReader(body))
			resp, err := transport.RoundTrip(r)
			if err != nil {
				failed.Add(1)
				continue
			}
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				failed.Add(1)
				why := fmt.Sprint(resp.Status, " ", string(bytes.TrimSpace(text)))
				told.Store(&why)
			}
		}
	})
	b.StopTimer()
	if n := failed.Load(); n > 0 {
		why := "no answer"
		if s := told.Load(); s != nil {
			why = *s
		}
		b.Fatalf("%d of %d requests failed: %s", n, b.N, why)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// signed is a request without its body.
func (p peer) signed(b *testing.B, service, target, body string) *http.Request {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, p.url+"/", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if target != "" {
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", target)
	}
	r.ContentLength = int64(len(body))
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(b.Context(), p.key, r, hex.EncodeToString(sum[:]), service, region, time.Now()); err != nil {
		b.Fatal(err)
	}
	return r
}
