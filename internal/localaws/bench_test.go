package localaws_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/localaws"
)

// The clients of the benchmarks: enough to keep four cores busy.
const clients = 8

// signedRequest signs one query request for many sendings: what is measured is
// the server, not the client's signing.
func signedRequest(b *testing.B, s *localaws.Server, server *httptest.Server, body string) func() *http.Request {
	b.Helper()
	id, secret, _ := s.Administrator(A)
	template, err := http.NewRequest(http.MethodPost, server.URL+"/", nil)
	if err != nil {
		b.Fatal(err)
	}
	template.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	template.ContentLength = int64(len(body))
	sum := hex(sha256sum(body))
	err = v4.NewSigner().SignHTTP(b.Context(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, template, sum, "sts", "us-east-1", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	return func() *http.Request {
		r := template.Clone(b.Context())
		r.Body = reader(body)
		return r
	}
}

// load sends requests from eight clients over loopback.
func load(b *testing.B, s *localaws.Server, body string) {
	b.Helper()
	server := httptest.NewServer(s)
	defer server.Close()
	next := signedRequest(b, s, server, body)
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	var failed atomic.Int64
	b.SetParallelism((clients + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := transport.RoundTrip(next())
			if err != nil {
				failed.Add(1)
				continue
			}
			if drain(resp) != http.StatusOK {
				failed.Add(1)
			}
		}
	})
	b.StopTimer()
	if n := failed.Load(); n > 0 {
		b.Fatalf("%d of %d requests failed", n, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

func BenchmarkGetCallerIdentity(b *testing.B) {
	load(b, start(b, nil), "Action=GetCallerIdentity&Version=2011-06-15")
}

// BenchmarkAssumeRole crosses accounts inside an organization, so that every
// layer is asked.
func BenchmarkAssumeRole(b *testing.B) {
	s := start(b, func(c *localaws.Config) { c.Organization = true })
	makeRole(b, config(b, s, B), "target", `{"AWS":"arn:aws:iam::111111111111:user/Administrator"}`)
	load(b, s, "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Ftarget&RoleSessionName=bench")
}

// BenchmarkServe leaves the network out.
func BenchmarkServe(b *testing.B) {
	s := start(b, nil)
	server := httptest.NewServer(s)
	defer server.Close()
	next := signedRequest(b, s, server, "Action=GetCallerIdentity&Version=2011-06-15")
	b.ReportAllocs()
	for b.Loop() {
		r := next()
		r.RemoteAddr, r.RequestURI, r.Host = "127.0.0.1:5000", "/", r.URL.Host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

// BenchmarkCreateRole is a write under a thousand roles, the most that an
// account has.
func BenchmarkCreateRole(b *testing.B) {
	s := start(b, nil)
	cfg := config(b, s, A)
	client := iam.NewFromConfig(cfg)
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}]}`
	for b.Loop() {
		if _, err := client.CreateRole(b.Context(), &iam.CreateRoleInput{RoleName: ptr("r"), AssumeRolePolicyDocument: &trust}); err != nil {
			b.Fatal(err)
		}
		if _, err := client.DeleteRole(b.Context(), &iam.DeleteRoleInput{RoleName: ptr("r")}); err != nil {
			b.Fatal(err)
		}
	}
}
