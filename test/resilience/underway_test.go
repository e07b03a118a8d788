package resilience_test

import (
	"bufio"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/localaws/ssooidc"
)

// apart is stile where there is no terminal, with the browser of a variable.
func apart(t *testing.T, w *logintest.World, browser string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := w.Command(t, "stile", args...)
	cmd.Env = append(cmd.Environ(), browser, "DISPLAY=", "WAYLAND_DISPLAY=", "WSL_DISTRO_NAME=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

var signInPage = regexp.MustCompile(`http\S+(/authorize\?|/device\S*\?)\S+`)

// leave begins a sign-in and ends who has begun it by a signal once its page is shown.
func leave(t *testing.T, w *logintest.World, by syscall.Signal, args ...string) (page string) {
	t.Helper()
	cmd := apart(t, w, w.Browser(t, "nobody", "true"), args...)
	page, _ = says(t, cmd, signInPage)
	if err := cmd.Process.Signal(by); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // by the signal
	return page
}

// says starts a command and waits until standard error has what is looked for.
func says(t *testing.T, cmd *exec.Cmd, what *regexp.Regexp) (text string, rest *bufio.Scanner) {
	t.Helper()
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(25*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	rest = bufio.NewScanner(errs)
	var seen []string
	for rest.Scan() {
		seen = append(seen, rest.Text())
		if text := what.FindString(rest.Text()); text != "" {
			return text, rest
		}
	}
	_ = cmd.Wait()
	t.Fatalf("it ends having said %q, want %s", seen, what)
	return "", nil
}

// A sign-in whose caller was killed goes on, and is shown to who comes next.
func TestASignInThatWasLeftIsShownToWhoComesNext(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		page := leave(t, w, syscall.SIGKILL, "login", "acme")
		r := w.Stile(t, nil, "credential-process", "team-0/Admin")
		logintest.Key(t, r)
		if got := signInPage.FindString(r.Stderr); got != page {
			t.Errorf("the next was shown %s, want %s", got, page)
		}
	})
}

// Nobody waits in silence for a page that they cannot show.
func TestWhoCannotShowAPageIsToldWhereItIsFinished(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		page := leave(t, w, syscall.SIGKILL, "login", "acme")
		cmd := apart(t, w, "BROWSER=", "credential-process", "team-0/Admin")
		told, rest := says(t, cmd, regexp.MustCompile(`a sign-in to acme is under way until \d\d:\d\d: finish it at \S+`))
		if !strings.HasSuffix(told, page) {
			t.Errorf("told %q, want the page %s", told, page)
		}
		if rest.Scan(); !strings.Contains(rest.Text(), "stile login acme --force") {
			t.Errorf("then told %q, want how to begin anew", rest.Text())
		}
		next, err := w.Server.AnswerSignIn(page, ssooidc.Answer{User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		visit(t, next)
		for rest.Scan() {
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("once it is finished: %v, want that it goes on", err)
		}
	})
}

// Ctrl-C ends what nobody else waits for, with its port.
func TestInterruptedSignInsGiveUpTheirPort(t *testing.T) {
	w := logintest.New(t)
	port := freePort(t)
	leave(t, w, syscall.SIGINT, "login", "acme", "--port", port)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatalf("after Ctrl-C: %v", err)
	}
	_ = listener.Close()
	leave(t, w, syscall.SIGKILL, "login", "acme", "--port", port)
	if listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:"+port); err == nil {
		_ = listener.Close()
		t.Error("the sign-in has ended with a caller that was killed")
	}
}

// The Ctrl-C of one is nothing to another who waits for the same page.
func TestOneWhoGivesUpDoesNotSpeakForOthers(t *testing.T) {
	w := logintest.New(t)
	page := leave(t, w, syscall.SIGKILL, "login", "acme")
	waiter := apart(t, w, "BROWSER=", "login", "acme")
	_, rest := says(t, waiter, regexp.MustCompile("is under way"))
	if got := leave(t, w, syscall.SIGINT, "login", "acme"); got != page {
		t.Errorf("the second is shown %s, want %s", got, page)
	}
	next, err := w.Server.AnswerSignIn(page, ssooidc.Answer{User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	visit(t, next)
	for rest.Scan() {
	}
	if err := waiter.Wait(); err != nil {
		t.Errorf("the first: %v", err)
	}
}

// A page that was left is shown to nobody who wants another.
func TestPagesAreShownToThoseAloneWhoWaitForThem(t *testing.T) {
	for _, test := range []struct {
		name        string
		left, wants []string
	}{
		{"another flow", []string{"login", "acme"}, []string{"login", "acme", "--device"}},
		{"back from it", []string{"login", "acme", "--device"}, []string{"login", "acme", "--port", "0", "--force"}},
		{"another source", []string{"login", "acme", "--device"}, []string{"login", "beta"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := logintest.New(t)
			w.Stile(t, nil, "sessions", "add", "beta", "--start-url", "https://acme.awsapps.com/start", "--region", "us-east-1").Want(t, "")
			left := leave(t, w, syscall.SIGKILL, test.left...)
			r := w.Stile(t, nil, test.wants...)
			if r.Code != 0 || strings.Contains(r.Stderr, left) || strings.Count(r.Stderr, "sign in at ") != 1 {
				t.Errorf("exit %d, %s\nwant one page, and not %s", r.Code, r.Stderr, left)
			}
		})
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// visit is what the browser does at the end.
func visit(t *testing.T, page string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}
