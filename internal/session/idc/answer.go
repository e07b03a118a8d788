package idc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/stile-aws/stile/internal/peer"
	"github.com/stile-aws/stile/internal/session/browser"
)

// The browser brings the answer to this computer only. RFC 8252, section 8.3,
// wants the address and not the name localhost, and registrations have no port.
const (
	loopback = "127.0.0.1"
	callback = "/oauth/callback"
)

// answer waits for what the authorization page answers.
type answer struct {
	redirect string // where the browser is sent
	wait     func(context.Context) (code string, err error)
	close    func()
}

// pastes is how often a person is asked for the address.
const pastes = 3

// pasted has a person paste the address that the browser ends up at, once more
// when it is another one.
func pasted(ctx context.Context, port int, state string, paste func(context.Context, error) (string, error)) (string, error) {
	var problem error
	for range pastes {
		text, err := paste(ctx, problem)
		if err != nil {
			return "", err
		}
		_, query, _ := strings.Cut(strings.Trim(text, " \t\r\n\"'<>"), "?")
		q, err := url.ParseQuery(query)
		if err != nil || q.Get("state") == "" {
			problem = fmt.Errorf("that is not the address the browser ends up at, which begins with %s", redirectTo(port))
			continue
		}
		code, ours, err := readAnswer(q, state)
		if ours {
			return code, err
		}
		problem = err
	}
	return "", problem
}

// newAnswer waits on a port of this computer, or for a person to paste.
func newAnswer(ctx context.Context, port int, state string, paste func(context.Context, error) (string, error)) (*answer, error) {
	if paste != nil {
		if port == 0 {
			port = 8400 // nobody listens, the browser's address bar is read
		}
		return &answer{redirect: redirectTo(port), close: func() {}, wait: func(ctx context.Context) (string, error) {
			return pasted(ctx, port, state, paste)
		}}, nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp4", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("waiting for the browser's answer: %w", err)
	}
	return listen(listener, state), nil
}

func redirectTo(port int) string { return fmt.Sprintf("http://%s:%d%s", loopback, port, callback) }

type outcome struct {
	code string
	err  error
}

// listen serves until the answer with our state has come. What anybody else
// sends there changes nothing.
func listen(l net.Listener, state string) *answer {
	port := l.Addr().(*net.TCPAddr).Port
	came := make(chan outcome, 1)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, ConnContext: withConn, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := foreign(r.Context()); why != "" {
			browser.Answer(w, http.StatusForbidden, "Not an answer to stile", why)
			return
		}
		if r.URL.Path != callback || r.Method != http.MethodGet || r.Host != fmt.Sprintf("%s:%d", loopback, port) {
			http.NotFound(w, r)
			return
		}
		code, ours, err := readAnswer(r.URL.Query(), state)
		if !ours {
			browser.Answer(w, http.StatusBadRequest, "Not an answer to stile", "This is not the answer to what stile asked. If you have begun to sign in more than once, use the latest page.")
			return
		}
		if err == nil {
			browser.Answer(w, http.StatusOK, "You are signed in", "You can close this page and go back to the terminal.")
		} else {
			browser.Answer(w, http.StatusOK, "You are not signed in", "The terminal says more; you can close this page.")
		}
		select {
		case came <- outcome{code, err}:
		default: // it has come before
		}
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with Shutdown
	}()
	return &answer{
		redirect: redirectTo(port),
		close: func() {
			ctx, stop := context.WithTimeout(context.Background(), 2*time.Second) // for the page to be sent
			defer stop()
			if server.Shutdown(ctx) != nil {
				_ = server.Close()
			}
			<-done
		},
		wait: func(ctx context.Context) (string, error) {
			select {
			case o := <-came:
				return o.code, o.err
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		},
	}
}

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// foreign says why the browser at the other end is not the person's, "" if it may
// be. The page's address is in a browser's arguments, where all users of the computer
// see it: another one could sign in there as somebody else and bring the answer.
func foreign(ctx context.Context) string {
	uid, err := peer.TCP(ctx.Value(connKey{}).(net.Conn))
	switch {
	case err == nil && (uid == os.Getuid() || uid == 0): // root, as relays are: it can do anything anyhow
	case errors.Is(err, peer.ErrUnknown):
	case errors.Is(err, peer.ErrNone) && os.Getenv("WSL_DISTRO_NAME") != "": // a browser of Windows
	case err == nil:
		return fmt.Sprintf("It comes from a process of user %d, and another user is signing in.", uid)
	default:
		return "It cannot be told whose browser this is. Sign in with stile login --paste."
	}
	return ""
}

// readAnswer reads the parameters of RFC 6749, section 4.1.2. ours is false for
// an answer to somebody else's question.
func readAnswer(q url.Values, state string) (code string, ours bool, err error) {
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
		return "", false, errors.New("the answer is not to this sign-in; begin again")
	}
	switch code, refused := q.Get("code"), q.Get("error"); {
	case refused == "access_denied":
		return "", true, errDenied
	case refused != "":
		return "", true, fmt.Errorf("the sign-in page answered %q: %q", refused, q.Get("error_description"))
	case code == "":
		return "", true, errors.New("the answer has no code")
	default:
		return code, true, nil
	}
}
