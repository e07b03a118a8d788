package imds_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/stile-aws/stile/internal/deliver/imds"
	"github.com/stile-aws/stile/internal/deliver/local"
)

type provider struct{ err atomic.Pointer[error] }

func (p *provider) Retrieve(context.Context) (aws.Credentials, error) {
	if err := p.err.Load(); err != nil {
		return aws.Credentials{}, *err
	}
	return aws.Credentials{AccessKeyID: "ASIA1", SecretAccessKey: "secret", SessionToken: "session", AccountID: "222222222222", CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
}

func start(t *testing.T, p aws.CredentialsProvider, guard local.Guard) *imds.Server {
	t.Helper()
	s, err := imds.Start(t.Context(), imds.Config{Provider: p, Role: "payroll-api", Account: "222222222222", Region: "eu-west-1", Guard: guard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// send makes a request and gives status and body.
func send(t *testing.T, method, url string, change func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	change(r)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func token(t *testing.T, s *imds.Server) string {
	t.Helper()
	status, body := send(t, http.MethodPut, s.URL()+"/latest/api/token", func(r *http.Request) { r.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", "60") })
	if status != http.StatusOK {
		t.Fatalf("no token: %d %s", status, body)
	}
	return body
}

func TestMetadataNeedsAToken(t *testing.T) {
	s := start(t, &provider{}, local.Guard{})
	good := token(t, s)
	read := func(path, token string) (int, string) {
		return send(t, http.MethodGet, s.URL()+path, func(r *http.Request) {
			if token != "" {
				r.Header.Set("X-aws-ec2-metadata-token", token)
			}
		})
	}
	for _, path := range []string{"/latest/meta-data/iam/security-credentials/", "/latest/meta-data/iam/security-credentials/payroll-api", "/latest/dynamic/instance-identity/document", "/none"} {
		for _, bad := range []string{"", good + "x"} {
			if status, body := read(path, bad); status != http.StatusUnauthorized || strings.Contains(body, "ASIA") {
				t.Errorf("%s with token %q: %d %s, want 401", path, bad, status, body)
			}
		}
	}
	if status, body := read("/latest/meta-data/iam/security-credentials/", good); status != 200 || body != "payroll-api" {
		t.Errorf("the role: %d %q", status, body)
	}
	if status, body := read("/latest/meta-data/iam/security-credentials/payroll-api", good); status != 200 || !strings.Contains(body, `"Code":"Success"`) || !strings.Contains(body, `"AccessKeyId":"ASIA1"`) {
		t.Errorf("the credentials: %d %s", status, body)
	}
	if status, body := read("/latest/meta-data/placement/region", good); status != 200 || body != "eu-west-1" {
		t.Errorf("the Region: %d %q", status, body)
	}
	if status, _ := read("/latest/meta-data/iam/security-credentials/other", good); status != 404 {
		t.Errorf("another role: %d, want 404", status)
	}
}

func TestTokensAreHardToComeBy(t *testing.T) {
	s := start(t, &provider{}, local.Guard{})
	for name, c := range map[string]struct {
		method string
		status int
		change func(*http.Request)
	}{
		"no time to live":          {http.MethodPut, 400, func(r *http.Request) { r.Header.Del("X-aws-ec2-metadata-token-ttl-seconds") }},
		"none":                     {http.MethodPut, 400, func(r *http.Request) { r.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", "0") }},
		"too long":                 {http.MethodPut, 400, func(r *http.Request) { r.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", "21601") }},
		"by GET":                   {http.MethodGet, 405, func(*http.Request) {}},
		"forwarded":                {http.MethodPut, 403, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "10.0.0.1") }},
		"a foreign Host":           {http.MethodPut, 403, func(r *http.Request) { r.Host = "evil.example" }},
		"the rebound Host's port":  {http.MethodPut, 403, func(r *http.Request) { r.Host = "evil.example:80" }},
		"a web page":               {http.MethodPut, 403, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }},
		"redirected from the real": {http.MethodPut, 200, func(r *http.Request) { r.Host = "169.254.169.254" }},
	} {
		status, body := send(t, c.method, s.URL()+"/latest/api/token", func(r *http.Request) {
			r.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", "60")
			c.change(r)
		})
		if status != c.status {
			t.Errorf("%s: %d %s, want %d", name, status, body, c.status)
		}
	}
	other := start(t, &provider{}, local.Guard{UID: os.Getuid() + 1})
	if status, _ := send(t, http.MethodPut, other.URL()+"/latest/api/token", func(r *http.Request) { r.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", "60") }); status != 403 {
		t.Errorf("another user's process: %d, want 403", status)
	}
}

func TestTokensEndAndAreNotUsedUp(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	s, err := imds.Start(t.Context(), imds.Config{Provider: &provider{}, Role: "r", Now: func() time.Time { return time.Unix(0, now.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	first := token(t, s)
	read := func() int {
		status, _ := send(t, http.MethodGet, s.URL()+"/latest/meta-data/instance-id", func(r *http.Request) { r.Header.Set("X-aws-ec2-metadata-token", first) })
		return status
	}
	// A request each time a client starts, none of which ends for long.
	ask, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL()+"/latest/api/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("X-aws-ec2-metadata-token-ttl-seconds", "21600")
	for range 5000 {
		resp, err := http.DefaultClient.Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		if _, _ = io.Copy(io.Discard, resp.Body); resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("one more token: %s", resp.Status)
		}
	}
	now.Add(int64(59 * time.Second))
	if status := read(); status != http.StatusOK {
		t.Errorf("a second before it ends: %d", status)
	}
	now.Add(int64(time.Second))
	if status := read(); status != http.StatusUnauthorized {
		t.Errorf("when it has ended: %d, want 401", status)
	}
}

func TestOtherComputersAreNotListenedTo(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", "localhost:0", ":0"} {
		s, err := imds.Start(t.Context(), imds.Config{Provider: &provider{}, Role: "r", Addr: addr})
		if err == nil {
			_ = s.Close()
			t.Errorf("listens on %s without a network of peers", addr)
		}
	}
}

// The Go SDK's own client, at the end of its default chain.
func TestTheSDKFindsTheCredentials(t *testing.T) {
	p := &provider{}
	s, failing := start(t, p, local.Guard{}), &provider{}
	denied := errors.New("denied by the trust policy")
	failing.err.Store(&denied)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_EC2_METADATA_SERVICE_ENDPOINT": s.URL(), "AWS_EC2_METADATA_V1_DISABLED": "true", "AWS_EC2_METADATA_DISABLED": "",
		"AWS_CONFIG_FILE": empty, "AWS_SHARED_CREDENTIALS_FILE": empty, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
		"AWS_ACCESS_KEY_ID": "", "AWS_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
	} {
		t.Setenv(name, value)
	}
	retrieve := func() (aws.Credentials, error) {
		cfg, err := config.LoadDefaultConfig(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Credentials.Retrieve(t.Context())
	}
	got, err := retrieve()
	if err != nil || got.AccessKeyID != "ASIA1" || got.SessionToken != "session" || !got.CanExpire {
		t.Errorf("the SDK has %s, %v", got.AccessKeyID, err)
	}
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", start(t, failing, local.Guard{}).URL())
	if _, err := retrieve(); err == nil || !strings.Contains(err.Error(), "denied by the trust policy") {
		t.Errorf("a failure reaches the SDK as %v", err)
	}
}
