package endpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/internal/deliver/endpoint"
)

var session = aws.Credentials{
	AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "secret", SessionToken: "session-token", AccountID: "222222222222",
	CanExpire: true, Expires: time.Date(2126, 11, 22, 10, 0, 5, 0, time.UTC),
}

// provider gives session, or the error that is set.
type provider struct {
	err   atomic.Pointer[error]
	asked atomic.Int64
}

func (p *provider) Retrieve(context.Context) (aws.Credentials, error) {
	p.asked.Add(1)
	if err := p.err.Load(); err != nil {
		return aws.Credentials{}, *err
	}
	return session, nil
}

func settings(t *testing.T, p aws.CredentialsProvider, uid *int) endpoint.Config {
	cfg := endpoint.Config{Provider: p, Dir: t.TempDir()}
	if uid != nil {
		cfg.Guard.UID = *uid
	}
	return cfg
}

func start(t *testing.T, p aws.CredentialsProvider, uid *int) *endpoint.Server {
	t.Helper()
	s, err := endpoint.Start(t.Context(), settings(t, p, uid))
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

func request(t *testing.T, s *endpoint.Server) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", s.Token())
	return r
}

func send(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(body))
}

func TestWhoHasTheTokenGetsCredentials(t *testing.T) {
	s := start(t, &provider{}, nil)
	status, body := send(t, request(t, s))
	want := `{"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"secret","Token":"session-token","Expiration":"2126-11-22T10:00:05Z","AccountId":"222222222222"}`
	if status != http.StatusOK || body != want {
		t.Errorf("%d %s, want 200 %s", status, body, want)
	}
}

// Each case differs from a request that is answered in one thing.
func TestEverybodyElseIsRefused(t *testing.T) {
	p := &provider{}
	s := start(t, p, nil)
	port := s.URL()[len("http://127.0.0.1:"):strings.LastIndex(s.URL(), "/")]
	for _, c := range []struct {
		name   string
		status int
		change func(*http.Request)
	}{
		{"no token", 401, func(r *http.Request) { r.Header.Del("Authorization") }},
		{"another token", 401, func(r *http.Request) { r.Header.Set("Authorization", s.Token()+"x") }},
		{"the token as a bearer's", 401, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+s.Token()) }},
		{"a foreign Host, as after DNS rebinding", 403, func(r *http.Request) { r.Host = "evil.example:" + port }},
		{"localhost by name, which a page may use too", 403, func(r *http.Request) { r.Host = "localhost:" + port }},
		{"Host without the port", 403, func(r *http.Request) { r.Host = "127.0.0.1" }},
		{"an Origin", 403, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }},
		{"the null Origin", 403, func(r *http.Request) { r.Header.Set("Origin", "null") }},
		{"a browser's request", 403, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }},
		{"a forwarded request", 403, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "10.0.0.1") }},
		{"another path", 404, func(r *http.Request) { r.URL.Path = "/" }},
		{"another method", 405, func(r *http.Request) { r.Method = http.MethodPost }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(t, s)
			c.change(r)
			status, body := send(t, r)
			var f struct{ Code, Message string }
			if err := json.Unmarshal([]byte(body), &f); err != nil || status != c.status || f.Code != "AccessDenied" || f.Message == "" {
				t.Errorf("%d %s, want %d with code and message", status, body, c.status)
			}
		})
	}
	if n := p.asked.Load(); n != 0 {
		t.Errorf("the provider was asked %d times for refused requests", n)
	}
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, request(t, s))
	if recorder.Code != http.StatusForbidden {
		t.Errorf("a request through no connection is answered with %d, want 403", recorder.Code)
	}
}

// As root, a process of another user asks; as anybody else, we are the other
// user ourselves.
func TestAnotherUsersProcessIsRefused(t *testing.T) {
	other := os.Getuid() + 1
	s := start(t, &provider{}, &other)
	if status, body := send(t, request(t, s)); status != http.StatusForbidden {
		t.Errorf("%d %s, want 403", status, body)
	}
	if os.Getuid() != 0 {
		return
	}
	s = start(t, &provider{}, nil)
	host := strings.TrimSuffix(strings.TrimPrefix(s.URL(), "http://"), "/credentials")
	script := fmt.Sprintf(`exec 3<>/dev/tcp/%s; printf 'GET /credentials HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nConnection: close\r\n\r\n' >&3; cat <&3`,
		strings.Replace(host, ":", "/", 1), host, s.Token())
	for uid, want := range map[uint32]string{0: "HTTP/1.1 200", 65534: "HTTP/1.1 403"} {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.Output()
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("a process of user %d: %v, %s, want %s", uid, err, out, want)
		}
	}
}

// Java and Node clients use IPv6 sockets for IPv4 addresses.
func TestIPv6SocketOfTheUserIsAnswered(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Logf("no IPv6 here, nothing to tell apart: %v", err)
		return
	}
	s := start(t, &provider{}, nil)
	var port int
	if _, err := fmt.Sscanf(s.URL(), "http://127.0.0.1:%d/", &port); err != nil {
		t.Fatal(err)
	}
	to := &syscall.SockaddrInet6{Port: port, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}
	if err := syscall.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "socket")
	conn, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	r := request(t, s)
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }, DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, want 200", resp.StatusCode)
	}
}

func TestTokenIsInAPrivateFile(t *testing.T) {
	dir := t.TempDir()
	s, err := endpoint.Start(t.Context(), endpoint.Config{Provider: &provider{}, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(s.TokenFile())
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("token file: %v, mode %v, want 0600", err, info.Mode())
	}
	text, err := os.ReadFile(s.TokenFile())
	if err != nil || string(text) != s.Token() || len(text) < 43 {
		t.Errorf("token file holds %q, %v, want the token alone", text, err)
	}
	if strings.Contains(s.URL(), s.Token()) {
		t.Error("the token is in the URL")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if c, err := net.DialTimeout("tcp", strings.TrimSuffix(strings.TrimPrefix(s.URL(), "http://"), "/credentials"), time.Second); err == nil {
		_ = c.Close()
		t.Error("still listening after Close")
	}
}

func TestFailuresTellClientsWhetherToAskAgain(t *testing.T) {
	p := &provider{}
	s := start(t, p, nil)
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{&smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}, 403, "AccessDenied"},
		{&smithy.GenericAPIError{Code: "Throttling", Message: "slow"}, 503, "Throttling"},
		{errors.New("no answer within 30s"), 500, "CredentialsUnavailable"},
	} {
		p.err.Store(&c.err)
		status, body := send(t, request(t, s))
		var f struct{ Code, Message string }
		if err := json.Unmarshal([]byte(body), &f); err != nil || status != c.status || f.Code != c.code {
			t.Errorf("%v: %d %s, want %d %s", c.err, status, body, c.status, c.code)
		}
	}
}

// The Go SDK's whole default chain ends at the endpoint, by the token file.
func TestTheSDKFindsTheEndpoint(t *testing.T) {
	s := start(t, &provider{}, nil)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": s.URL(), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": s.TokenFile(),
		"AWS_CONFIG_FILE": empty, "AWS_SHARED_CREDENTIALS_FILE": empty, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "", "AWS_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
	} {
		t.Setenv(name, value)
	}
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.AccessKeyID != session.AccessKeyID || got.SessionToken != session.SessionToken || got.AccountID != session.AccountID || !got.CanExpire {
		t.Errorf("got %s of account %s", got.AccessKeyID, got.AccountID)
	}
}
