package console

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/stile-aws/stile/internal/deliver/local"
	"github.com/stile-aws/stile/internal/session/browser"
)

// patience is how long a browser may take to start.
const patience = 2 * time.Minute

// forwarder is a page of this computer that forwards the browser, once.
type forwarder struct {
	url    string
	server *local.Server
	came   chan struct{}
}

// forward serves the page until close.
func forward(ctx context.Context, to string) (*forwarder, error) {
	f := &forwarder{came: make(chan struct{})}
	g := &local.Guard{}
	ln, err := local.Listen(ctx, "", g)
	if err != nil {
		return nil, fmt.Errorf("serving the sign-in page: %w", err)
	}
	path := "/" + rand.Text()
	f.url = "http://" + g.Host() + path
	var once sync.Once
	f.server = local.Serve(ctx, ln, g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		if status, why := refuse(g, r); why != "" {
			http.Error(w, why, status)
			return
		}
		if r.URL.Path != path || r.Method != http.MethodGet {
			http.NotFound(w, r)
			return
		}
		first := false
		once.Do(func() { first = true })
		if !first {
			browser.Answer(w, http.StatusGone, "This page was there once", "Run stile console again.")
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		close(f.came)
	}))
	return f, nil
}

// refuse is the guard's, but for a page that the person opens themselves, which
// is how browsers mark what comes from a command line or the address bar (Fetch
// metadata request headers, Sec-Fetch-Site: none).
func refuse(g *local.Guard, r *http.Request) (int, string) {
	if r.Header.Get("Sec-Fetch-Site") == "none" {
		r = r.Clone(r.Context())
		r.Header.Del("Sec-Fetch-Site")
	}
	return g.Refuse(r)
}

// wait waits for the browser to come.
func (f *forwarder) wait(ctx context.Context) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-f.came:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return errors.New("opening the console: the browser did not come for the page; --print prints the sign-in URL")
	}
}

func (f *forwarder) close() { _ = f.server.Close() }
