package creds_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stile-aws/stile/creds"
)

func TestContainerReadsTheAuthorizationAgainForEachFetch(t *testing.T) {
	var want atomic.Value
	want.Store("first")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != want.Load() {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"code":"AccessDenied","message":"wrong token"}`))
			return
		}
		_, _ = w.Write([]byte(`{"AccessKeyId":"ASIA1","SecretAccessKey":"s","Token":"t","Expiration":"2100-01-01T00:00:00Z","AccountId":"111111111111"}`))
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "token")
	for _, token := range []string{"first", "second"} {
		want.Store(token)
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.URL+"/x")
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file)
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "loses against the file")
		p, err := creds.ContainerFromEnvironment()
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Retrieve(t.Context())
		if err != nil || got.AccessKeyID != "ASIA1" || got.AccountID != "111111111111" || !got.CanExpire {
			t.Fatalf("Retrieve = %v, %v", got.AccessKeyID, err)
		}
	}
	want.Store("third")
	p, err := creds.ContainerFromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "wrong token") || strings.Contains(err.Error(), "second") {
		t.Errorf("a refused token: %v, want the endpoint's answer and not the token", err)
	}
}

func TestContainerCredentialsTravelSafelyOrNotAtAll(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://credentials.example/x":      true,
		"http://127.0.0.1:1234/x":            true,
		"http://[::1]:1234/x":                true,
		"http://localhost/x":                 true,
		"http://169.254.170.2/v2/x":          true,
		"http://169.254.170.23/v1/x":         true,
		"http://[fd00:ec2::23]/v1/x":         true,
		"http://169.254.169.254/x":           false,
		"http://host.docker.internal:1234/x": false,
		"http://127.0.0.1.example/x":         false,
		"file:///etc/passwd":                 false,
		"":                                   false,
		"/v2/x":                              false,
	} {
		if _, err := creds.NewContainer(creds.ContainerConfig{URL: url}); (err == nil) != ok {
			t.Errorf("NewContainer(%q) = %v, want it accepted: %t", url, err, ok)
		}
	}
}
