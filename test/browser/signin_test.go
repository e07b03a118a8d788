package browser_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// signedIn fails unless stile says so.
func signedIn(t *testing.T, r routetest.Result) {
	t.Helper()
	if r.Code != 0 || r.Stdout != "" || !strings.Contains(r.Stderr, "stile: signed in to acme; stile ls lists what you can be") {
		t.Errorf("exit %d, %q, %s, want that it signed in", r.Code, r.Stdout, r.Stderr)
	}
}

// refused fails unless stile says why nobody signed in, in one line of its own.
func refused(t *testing.T, r routetest.Result, want string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(r.Stderr), "\n")
	last := lines[len(lines)-1]
	if r.Code != 1 || r.Stdout != "" || !strings.HasPrefix(last, "stile: ") || !strings.Contains(last, want) {
		t.Errorf("exit %d, %q, %s, want exit 1 and, last, %q", r.Code, r.Stdout, r.Stderr, want)
	}
	if strings.Contains(last, "operation error") || strings.Contains(last, "StatusCode") {
		t.Errorf("an SDK's words are shown to a person: %s", last)
	}
}

// interrupted wants stile to have said so and died of the signal, as a shell's loop
// needs it to.
func interrupted(t *testing.T, r routetest.Result) {
	t.Helper()
	if r.Code != -1 || r.Stdout != "" || !strings.HasSuffix("\n"+r.Stderr, "\nstile: interrupted\n") {
		t.Errorf("exit %d, %q, %s, want that it was interrupted", r.Code, r.Stdout, r.Stderr)
	}
}

// The browser is one that stile starts, as a person's first page of the day.
func TestLoginStartsABrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	browser, told := command(t, "--user-data-dir="+t.TempDir())
	login := w.begin(t, []string{"BROWSER=" + browser}, "login")
	b := told(t).find(t, "/authorize?")
	b.shows(t, "Allow access?", "stile-acme", "https://acme.awsapps.com/start")
	b.click(t, "Allow")
	b.shows(t, "You are signed in", "close this page")
	signedIn(t, login.ends(t))
	b.shows(t, "You are signed in") // the browser is the person's, and stays
	w.who(t, "orders-prod/Admin", "Admin", "alice")
}

func TestPeopleAnswerTheAuthorizationPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newChromium(t)

	login := w.begin(t, nil, "login")
	b := c.open(t, "", w.page(t))
	b.shows(t, "Allow access?", "stile-acme wants to use https://acme.awsapps.com/start as you.")
	judge(t, b, "authorize", http.StatusOK)
	b.click(t, "Deny")
	b.shows(t, "You are not signed in", "The terminal says more")
	judge(t, b, "denied", http.StatusOK)
	refused(t, login.ends(t), "signing in to acme: the request was denied in the browser")

	login = w.begin(t, nil, "login")
	page := w.page(t)
	first, second, stranger := c.open(t, "", page), c.open(t, "", page), c.open(t, c.person(t), page)
	first.shows(t, "Allow access?")
	second.shows(t, "Allow access?")
	stranger.shows(t, "Allow access?")
	stranger.visit(t, answerTo(t, page, "code=theirs&state=guessed"))
	stranger.shows(t, "This is not the answer to what stile asked")
	judge(t, stranger, "wrong state", http.StatusBadRequest)
	first.choose(t, "select", "bob")
	first.click(t, "Allow")
	first.shows(t, "You are signed in")
	judge(t, first, "signed in", http.StatusOK)
	signedIn(t, login.ends(t))
	second.click(t, "Allow") // as alice, after stile has gone
	second.fails(t, "ERR_CONNECTION_REFUSED")
	w.who(t, "orders-prod/ReadOnly", "ReadOnly", "bob")
}

// answerTo is an answer at the address to which an authorization page sends one.
func answerTo(t *testing.T, page, query string) string {
	t.Helper()
	u, err := url.Parse(page)
	if err != nil || !strings.HasPrefix(u.Query().Get("redirect_uri"), "http://127.0.0.1:") {
		t.Fatalf("%v, page %s", err, page)
	}
	return u.Query().Get("redirect_uri") + "?" + query
}

// Whoever closes the page and thinks better of it interrupts stile; the next sign-in
// is one like any other.
func TestLoginIsInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newChromium(t)
	login := w.begin(t, nil, "login")
	b := c.open(t, "", w.page(t))
	b.shows(t, "Allow access?")
	b.close(t)
	if err := login.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	interrupted(t, login.ends(t))
	w.Stile(t, nil, "broker", "stop").Want(t, "")
	login = w.begin(t, nil, "login")
	b = c.open(t, "", w.page(t))
	b.click(t, "Allow")
	b.shows(t, "You are signed in")
	signedIn(t, login.ends(t))
}

func TestPeopleAnswerTheDevicePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newChromium(t)

	login := w.begin(t, nil, "login", "--device")
	page := w.page(t)
	b := c.open(t, "", page)
	code := codeOf(t, page)
	b.shows(t, "Allow access?", "stile-acme", "The device must show the code "+code)
	judge(t, b, "device", http.StatusOK)
	b.click(t, "Deny")
	b.shows(t, "Access denied", "close this page")
	judge(t, b, "device denied", http.StatusOK)
	refused(t, login.ends(t), "signing in to acme: the request was denied in the browser")

	login = w.begin(t, nil, "login", "--device")
	page = w.page(t)
	bare, _, _ := strings.Cut(page, "?")
	b.visit(t, bare)
	b.shows(t, "Authorize a device", "Code")
	judge(t, b, "device asks", http.StatusOK)
	b.fill(t, "input", "<b>x</b>")
	b.click(t, "Continue")
	b.shows(t, "no device waits with this code", "Code")
	judge(t, b, "device mistyped", http.StatusBadRequest)
	b.fill(t, "input", strings.ToLower(codeOf(t, page))+" ")
	b.click(t, "Continue")
	b.shows(t, "The device must show the code "+codeOf(t, page))
	b.click(t, "Allow")
	b.shows(t, "Access allowed", "go back to the device")
	judge(t, b, "device allowed", http.StatusOK)
	r := login.ends(t)
	signedIn(t, r)
	if !strings.Contains(r.Stderr, "it must show the code "+codeOf(t, page)) {
		t.Errorf("stile says %s, want the code of the page", r.Stderr)
	}
	w.who(t, "orders-prod/Admin", "Admin", "alice")
}

func TestDeviceCodesEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newChromium(t)
	login := w.begin(t, nil, "login", "--device")
	page := w.page(t)
	b := c.open(t, "", page)
	b.shows(t, "Allow access?")
	w.later(t, "11m")
	b.click(t, "Allow")
	b.shows(t, "no device waits with this code: it was answered, it has expired, or it is mistyped")
	judge(t, b, "device expired", http.StatusBadRequest)
	refused(t, login.ends(t), "nobody allowed the code while it was good; begin again for another one")
}

func codeOf(t *testing.T, page string) string {
	t.Helper()
	u, err := url.Parse(page)
	if err != nil || u.Query().Get("user_code") == "" {
		t.Fatalf("%v, page %s", err, page)
	}
	return u.Query().Get("user_code")
}
