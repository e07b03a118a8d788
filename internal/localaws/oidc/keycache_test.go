package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stile-aws/stile/internal/localaws/oidc"
)

// counting counts the fetches of discovery documents and can hold or fail
// them.
type counting struct {
	next  func(context.Context, string) ([]byte, error)
	calls atomic.Int32
	delay time.Duration
	fail  atomic.Bool
}

func (c *counting) fetch(ctx context.Context, url string) ([]byte, error) {
	if strings.HasSuffix(url, "openid-configuration") {
		c.calls.Add(1)
	}
	select {
	case <-time.After(c.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.fail.Load() {
		return nil, errors.New("down")
	}
	return c.next(ctx, url)
}

func TestManyCallersCauseOneFetch(t *testing.T) {
	i := newIssuer(t, issuerURL)
	s := token(t, i, request())
	synctest.Test(t, func(t *testing.T) {
		c := &counting{next: serving(i), delay: time.Second}
		v := oidc.NewVerifier(oidc.VerifierConfig{Fetch: c.fetch})
		var wg sync.WaitGroup
		for n := range 50 {
			wg.Go(func() {
				ctx := t.Context()
				if n%2 == 0 { // these leave before the fetch is done
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
					defer cancel()
				}
				claims, f := v.Verify(ctx, s, issuerURL, []string{audience}, instant())
				if n%2 == 0 {
					wantFailure(t, claims, f, oidc.Unreachable)
				} else if f != nil {
					t.Errorf("a caller who stayed: %v", f)
				}
			})
		}
		wg.Wait()
		if n := c.calls.Load(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

func TestFailuresAreRemembered(t *testing.T) {
	i := newIssuer(t, issuerURL)
	s := token(t, i, request())
	clock := instant()
	c := &counting{next: serving(i)}
	v := oidc.NewVerifier(oidc.VerifierConfig{Fetch: c.fetch, Now: func() time.Time { return clock }})
	check := func(want oidc.Kind, calls int32) {
		t.Helper()
		_, f := v.Verify(t.Context(), s, issuerURL, []string{audience}, instant())
		if want == 0 && f != nil || want != 0 && (f == nil || f.Kind != want) || c.calls.Load() != calls {
			t.Fatalf("Verify: %v after %d fetches, want kind %v after %d", f, c.calls.Load(), want, calls)
		}
	}
	c.fail.Store(true)
	check(oidc.Unreachable, 1)
	check(oidc.Unreachable, 1) // not asked again so soon
	clock = clock.Add(5 * time.Second)
	check(oidc.Unreachable, 2)
	c.fail.Store(false)
	clock = clock.Add(5 * time.Second)
	check(0, 3)
	c.fail.Store(true)
	clock = clock.Add(9 * time.Minute)
	check(0, 3) // still fresh
	clock = clock.Add(time.Minute)
	check(oidc.Unreachable, 4) // old keys are not used past their time
}

// TestForgedKeyIDsDoNotEvictGoodKeys is an attack by tokens nobody signed: it
// must neither flood the issuer nor spoil its keys for others.
func TestForgedKeyIDsDoNotEvictGoodKeys(t *testing.T) {
	i := newIssuer(t, issuerURL)
	clock := instant()
	c := &counting{next: serving(i)}
	v := oidc.NewVerifier(oidc.VerifierConfig{Fetch: c.fetch, Now: func() time.Time { return clock }})
	good := token(t, i, request())
	forged := forge(t, `{"alg":"RS256","kid":"nobody's"}`, text(t, goodClaims()))
	for range 100 {
		_, f := v.Verify(t.Context(), forged, issuerURL, []string{audience}, instant())
		if f == nil || f.Kind != oidc.KeyNotFound {
			t.Fatalf("forged: %v", f)
		}
	}
	if n := c.calls.Load(); n != 1 {
		t.Errorf("%d fetches for a hundred forged tokens, want 1", n)
	}
	c.fail.Store(true)
	clock = clock.Add(6 * time.Second)
	if _, f := v.Verify(t.Context(), forged, issuerURL, []string{audience}, instant()); f == nil {
		t.Fatal("forged token accepted")
	}
	if _, f := v.Verify(t.Context(), good, issuerURL, []string{audience}, instant()); f != nil {
		t.Errorf("a good token after a failed refresh: %v", f)
	}
}

func TestIssuersRememberedAreBounded(t *testing.T) {
	c := &counting{}
	c.fail.Store(true)
	v := oidc.NewVerifier(oidc.VerifierConfig{Fetch: c.fetch, MaxIssuers: 2})
	verify := func(n int) {
		url := fmt.Sprintf("https://issuer%d.example.com", n)
		claims := goodClaims()
		claims["iss"] = url
		_, f := v.Verify(t.Context(), forge(t, `{"alg":"RS256","kid":"k"}`, text(t, claims)), url, []string{audience}, instant())
		if f == nil || f.Kind != oidc.Unreachable {
			t.Fatalf("Verify: %v", f)
		}
	}
	for n := range 3 {
		verify(n)
	}
	verify(2) // remembered
	if n := c.calls.Load(); n != 3 {
		t.Errorf("%d fetches, want 3", n)
	}
	verify(0) // dropped as the oldest
	if n := c.calls.Load(); n != 4 {
		t.Errorf("%d fetches, want 4", n)
	}
}

func TestSlowIssuersAreGivenUp(t *testing.T) {
	i := newIssuer(t, issuerURL)
	s := token(t, i, request())
	synctest.Test(t, func(t *testing.T) {
		c := &counting{next: serving(i), delay: time.Hour}
		v := oidc.NewVerifier(oidc.VerifierConfig{Fetch: c.fetch})
		start := time.Now()
		claims, f := v.Verify(t.Context(), s, issuerURL, []string{audience}, instant())
		wantFailure(t, claims, f, oidc.Unreachable)
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("gave up after %v, want 5 s", took)
		}
	})
}

// TestAddressesThatAreNotFetched: an issuer, or its key set, where the server
// must not be led.
func TestAddressesThatAreNotFetched(t *testing.T) {
	cases := map[string]struct {
		issuer, keys string
		allow        []string
		fetched      bool
	}{
		"https":                             {issuer: "https://a.example.com", keys: "https://b.example.com/k", fetched: true},
		"plain http":                        {issuer: "http://a.example.com"},
		"plain http, configured":            {issuer: "http://a.example.com", keys: "http://a.example.com/k", allow: []string{"a.example.com"}, fetched: true},
		"plain http, configured with port":  {issuer: "http://a.example.com:8080", keys: "http://a.example.com:8080/k", allow: []string{"a.example.com:8080"}, fetched: true},
		"another port than configured":      {issuer: "http://a.example.com:8081", allow: []string{"a.example.com:8080"}},
		"loopback":                          {issuer: "http://127.0.0.1:9", keys: "http://localhost:9/k", fetched: true},
		"loopback in IPv6":                  {issuer: "http://[::1]:9", keys: "http://[::1]:9/k", fetched: true},
		"keys on loopback, issuer not":      {issuer: "https://a.example.com", keys: "https://127.0.0.1/k"},
		"keys over plain http":              {issuer: "https://a.example.com", keys: "http://a.example.com/k"},
		"keys at the metadata service":      {issuer: "https://a.example.com", keys: "https://169.254.169.254/k"},
		"keys at the metadata service, raw": {issuer: "https://a.example.com", keys: "http://169.254.169.254/latest/meta-data"},
		"keys in a private network":         {issuer: "https://a.example.com", keys: "https://10.0.0.1/k"},
		"keys in a mapped private network":  {issuer: "https://a.example.com", keys: "https://[::ffff:10.0.0.1]/k"},
		"keys in a file":                    {issuer: "https://a.example.com", keys: "file:///etc/passwd"},
		"keys with a user":                  {issuer: "https://a.example.com", keys: "https://u:p@a.example.com/k"},
		"no keys":                           {issuer: "https://a.example.com"},
		"keys at no URL":                    {issuer: "https://a.example.com", keys: "https://\x00"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			keys := newIssuer(t, issuerURL).JWKS()
			got := false
			v := oidc.NewVerifier(oidc.VerifierConfig{AllowHosts: tc.allow, Fetch: func(_ context.Context, url string) ([]byte, error) {
				if strings.HasSuffix(url, "/.well-known/openid-configuration") {
					return fmt.Appendf(nil, `{"issuer":%q,"jwks_uri":%q}`, tc.issuer, tc.keys), nil
				}
				got = true
				return keys, nil
			}})
			claims := goodClaims()
			claims["iss"] = tc.issuer
			s := forge(t, `{"alg":"RS256"}`, text(t, claims))
			_, f := v.Verify(t.Context(), s, tc.issuer, []string{audience}, instant())
			if got != tc.fetched || (f == nil) != tc.fetched {
				t.Errorf("fetched %v, failure %v, want fetched %v", got, f, tc.fetched)
			}
		})
	}
}

func TestDiscoveryDocuments(t *testing.T) {
	for name, doc := range map[string]string{
		"names another issuer": `{"issuer":"https://evil.example","jwks_uri":"` + issuerURL + `/keys"}`,
		"names none":           `{"jwks_uri":"` + issuerURL + `/keys"}`,
		"is no JSON":           `<html>`,
		"is a list":            `[]`,
		"is too large":         `{"issuer":"` + issuerURL + `","x":"` + strings.Repeat("x", 65<<10) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, issuerURL)
			v := oidc.NewVerifier(oidc.VerifierConfig{Fetch: func(_ context.Context, url string) ([]byte, error) {
				if strings.HasSuffix(url, "/keys") {
					return i.JWKS(), nil
				}
				return []byte(doc), nil
			}})
			claims, f := v.Verify(t.Context(), token(t, i, request()), issuerURL, []string{audience}, instant())
			wantFailure(t, claims, f, oidc.Unreachable)
		})
	}
}

// TestVerifyOverHTTP runs the default fetcher against an issuer on loopback.
func TestVerifyOverHTTP(t *testing.T) {
	var i *oidc.Issuer
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { i.ServeHTTP(w, r) }))
	defer server.Close()
	i = newIssuer(t, server.URL+"/id/X")
	v := oidc.NewVerifier(oidc.VerifierConfig{})
	if _, f := v.Verify(t.Context(), token(t, i, request()), i.URL(), []string{audience}, instant()); f != nil {
		t.Error(f)
	}
}

func TestFetcher(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "elsewhere") }))
	defer elsewhere.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 101)) })
	mux.HandleFunc("/same", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/other", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) })
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	server := httptest.NewServer(mux)
	defer server.Close()
	f := oidc.NewFetcher(oidc.FetcherConfig{MaxBytes: 100})
	for path, want := range map[string]string{"/ok": "ok", "/same": "ok", "/large": "", "/other": "", "/loop": "", "/missing": ""} {
		got, err := f.Get(t.Context(), server.URL+path)
		if want != "" && (err != nil || string(got) != want) || want == "" && err == nil {
			t.Errorf("Get(%s) = %.20q, %v, want %q", path, got, err, want)
		}
	}
	// A name that leads to a local address, as seen by the dialer.
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	if _, err := f.Get(t.Context(), "http://0.0.0.0"+port+"/ok"); err == nil {
		t.Error("Get reached an address that is not public")
	}
	open := oidc.NewFetcher(oidc.FetcherConfig{AllowHosts: []string{"0.0.0.0"}})
	if _, err := open.Get(t.Context(), "http://0.0.0.0"+port+"/ok"); err != nil {
		t.Errorf("Get of a configured host: %v", err)
	}
}
