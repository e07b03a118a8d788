package frontdoor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/localaws/frontdoor"
)

// echo answers with what the handler saw of the request.
func echo() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s abs=%v tls=%v", r.Method, r.Host, r.RequestURI, r.URL.IsAbs(), r.TLS != nil))
		w.Header().Set("X-Remote", r.RemoteAddr)
		_, _ = w.Write(body)
	})
}

func send(t testing.TB, c *http.Client, method, url, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func TestListen(t *testing.T) {
	s, err := frontdoor.Listen(t.Context(), "127.0.0.1:0", echo())
	if err != nil {
		t.Fatal(err)
	}
	resp, body := send(t, http.DefaultClient, "POST", s.URL()+"/x?y=1", "hello")
	if want := "POST " + s.Addr().String() + " /x?y=1 abs=false tls=false"; body != "hello" || resp.Header.Get("X-Seen") != want {
		t.Errorf("got %q, seen %q, want %q", body, resp.Header.Get("X-Seen"), want)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := http.Get(s.URL()); err == nil {
		t.Error("the port is open after Close")
	}
}

func TestListenWithoutHostIsLoopbackAlone(t *testing.T) {
	s, err := frontdoor.Listen(t.Context(), ":0", echo())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !strings.HasPrefix(s.Addr().String(), "127.0.0.1:") {
		t.Errorf("listens on %s, want loopback", s.Addr())
	}
}

func TestListenRefusesBadCalls(t *testing.T) {
	if _, err := frontdoor.Listen(t.Context(), "127.0.0.1:0", nil); err == nil {
		t.Error("Listen without a handler: no error")
	}
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:99999", "nowhere.invalid:0"} {
		if _, err := frontdoor.Listen(t.Context(), addr, echo()); err == nil || !strings.Contains(err.Error(), addr) {
			t.Errorf("Listen(%q): %v, want an error that names it", addr, err)
		}
	}
}

// TestCloseLetsRequestsFinish ends the server's context while a request is
// under way; its own context lives on.
func TestCloseLetsRequestsFinish(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	s, err := frontdoor.Listen(ctx, "127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		select {
		case <-leave:
			fmt.Fprint(w, "done")
		case <-r.Context().Done():
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan string, 1)
	go func() {
		resp, err := http.Get(s.URL())
		if err != nil {
			answers <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body) // compared below
		answers <- string(b)
	}()
	<-entered
	cancel()
	close(leave)
	if got := <-answers; got != "done" {
		t.Errorf("the request under way got %q, want done", got)
	}
	if err := s.Wait(); err != nil {
		t.Errorf("Wait: %v", err)
	}
}

func client(h http.Handler) *http.Client {
	return &http.Client{Transport: frontdoor.RoundTripper(h)}
}

func TestRoundTripper(t *testing.T) {
	for url, want := range map[string]string{
		"https://sts.us-east-1.amazonaws.com":                   "POST sts.us-east-1.amazonaws.com / abs=false tls=true",
		"https://bkt.s3.amazonaws.com/a%2Fb%20c?x=%20y":         "POST bkt.s3.amazonaws.com /a%2Fb%20c?x=%20y abs=false tls=true",
		"http://127.0.0.1:7171/x":                               "POST 127.0.0.1:7171 /x abs=false tls=false",
		"http://localhost/":                                     "POST localhost / abs=false tls=false",
		"http://111111111111.localhost:7171/":                   "POST 111111111111.localhost:7171 / abs=false tls=false",
		"https://eks-auth.us-east-1.api.aws/clusters/ci/assume": "POST eks-auth.us-east-1.api.aws /clusters/ci/assume abs=false tls=true",
	} {
		resp, body := send(t, client(echo()), "POST", url, "hello")
		if body != "hello" || resp.StatusCode != 200 || resp.ContentLength != 5 || resp.Header.Get("X-Seen") != want {
			t.Errorf("%s: %q, %d, length %d, seen %q, want %q", url, body, resp.StatusCode, resp.ContentLength, resp.Header.Get("X-Seen"), want)
		}
		if resp.Header.Get("Date") == "" || !strings.HasPrefix(resp.Header.Get("X-Remote"), "127.0.0.1:") {
			t.Errorf("%s: no date or no remote address: %v", url, resp.Header)
		}
	}
}

func TestRoundTripperRefusesOtherHosts(t *testing.T) {
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
	for _, url := range []string{"https://example.com/", "http://169.254.169.254/latest/", "http://amazonaws.com.evil.example/",
		"https://amazonaws.com/", "https://xamazonaws.com/", "http://10.0.0.1/"} {
		if _, err := client(h).Get(url); !errors.Is(err, frontdoor.ErrHostRefused) {
			t.Errorf("Get(%s): %v, want %v", url, err, frontdoor.ErrHostRefused)
		}
	}
	if _, err := client(h).Get("ftp://sts.amazonaws.com/"); err == nil {
		t.Error("Get over ftp: no error")
	}
}

// TestRoundTripperStreams passes bytes in both directions while both sides are
// still at it.
func TestRoundTripperStreams(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		buf := make([]byte, 1)
		for {
			if _, err := r.Body.Read(buf); err != nil {
				return
			}
			_, _ = w.Write([]byte(strings.ToUpper(string(buf))))
		}
	})
	in, out := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", "https://x.amazonaws.com/", in)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client(h).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ContentLength != -1 {
		t.Errorf("length %d of a stream, want -1", resp.ContentLength)
	}
	for _, c := range []string{"a", "b", "c"} {
		if _, err := io.WriteString(out, c); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1)
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != strings.ToUpper(c) {
			t.Fatalf("read %q, %v, want %q", buf, err, strings.ToUpper(c))
		}
	}
	_ = out.Close()
	if rest, err := io.ReadAll(resp.Body); len(rest) != 0 || err != nil {
		t.Errorf("rest %q, %v", rest, err)
	}
}

func TestRoundTripperLargeAnswer(t *testing.T) {
	want := strings.Repeat("0123456789", 100_000)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(want); i += 1000 {
			_, _ = w.Write([]byte(want[i : i+1000]))
		}
	})
	if _, got := send(t, client(h), "GET", "https://x.amazonaws.com/", ""); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

func TestRoundTripperHonoursCancellation(t *testing.T) {
	began, ended := make(chan bool, 2), make(chan error, 2)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began <- true
		if r.URL.Path == "/body" {
			_, _ = w.Write([]byte("begun"))
			_ = http.NewResponseController(w).Flush() // supported, tested above
		}
		<-r.Context().Done()
		ended <- r.Context().Err()
	})
	t.Run("before the answer", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-began; cancel() }()
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://x.amazonaws.com/", nil)
		if _, err := client(h).Do(req); !errors.Is(err, context.Canceled) {
			t.Errorf("Do: %v, want %v", err, context.Canceled)
		}
		<-ended
	})
	t.Run("while reading", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://x.amazonaws.com/body", nil)
		resp, err := client(h).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		cancel()
		if b, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("ReadAll = %q, %v, want %v", b, err, context.Canceled)
		}
		<-ended
	})
	t.Run("by closing the body", func(t *testing.T) {
		resp, err := client(h).Get("https://x.amazonaws.com/body")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		<-ended
	})
	t.Run("before it began", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", "https://x.amazonaws.com/", nil)
		if _, err := frontdoor.RoundTripper(h).RoundTrip(req); !errors.Is(err, context.Canceled) {
			t.Errorf("RoundTrip: %v", err)
		}
	})
}

func TestRoundTripperStatuses(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/none":
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/twice":
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusTeapot)
			w.WriteHeader(http.StatusOK)
			w.Header().Set("Late", "x")
		case "/head":
			w.Header().Set("Content-Length", "1234")
			_, _ = w.Write([]byte("not sent"))
		case "/panic":
			panic("boom")
		case "/late":
			_ = http.NewResponseController(w).Flush() // supported, tested above
			panic("boom")
		case "/cut":
			panic(http.ErrAbortHandler)
		}
	})
	c := client(h)
	for path, want := range map[string]int{"/none": 200, "/204": 204, "/twice": 418} {
		resp, body := send(t, c, "GET", "https://x.amazonaws.com"+path, "")
		if resp.StatusCode != want || body != "" || resp.Header.Get("Late") != "" {
			t.Errorf("%s = %d %q %v, want %d", path, resp.StatusCode, body, resp.Header, want)
		}
	}
	if resp, body := send(t, c, "HEAD", "https://x.amazonaws.com/head", ""); resp.ContentLength != 1234 || body != "" {
		t.Errorf("HEAD = length %d, %q", resp.ContentLength, body)
	}
	if _, err := c.Get("https://x.amazonaws.com/cut"); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "the connection was cut") {
		t.Errorf("a handler that cuts the connection: %v", err)
	}
	if _, err := c.Get("https://x.amazonaws.com/panic"); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("a panicking handler: %v", err)
	}
	resp, err := c.Get("https://x.amazonaws.com/late")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("a handler panicking late: %v", err)
	}
}
