package browser_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// signIn has alice sign in.
func (w *world) signIn(t *testing.T, c *chromium) {
	t.Helper()
	login := w.begin(t, nil, "login")
	b := c.open(t, c.person(t), w.page(t))
	b.choose(t, "select", "alice")
	b.click(t, "Allow")
	signedIn(t, login.ends(t))
}

// console opens the console by stile in a tab of a person.
func (w *world) console(t *testing.T, c *chromium, person string, args ...string) *tab {
	t.Helper()
	r := w.begin(t, nil, append([]string{"console"}, args...)...)
	page := w.page(t)
	if strings.Contains(page, "Signin") {
		t.Errorf("$BROWSER was told the sign-in URL: %s", page)
	}
	b := c.open(t, person, page)
	if r := r.ends(t); r.Code != 0 || r.Stdout != "" || strings.Contains(r.Stderr, "SigninToken") {
		t.Errorf("stile console: exit %d, %q, %s", r.Code, r.Stdout, r.Stderr)
	}
	return b
}

const (
	admin  = "assumed-role/AWSReservedSSO_Admin_"
	reader = "assumed-role/AWSReservedSSO_ReadOnly_"
)

func TestPeopleAreInTheConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newChromium(t)
	w.signIn(t, c)
	person := c.person(t)

	b := w.console(t, c, person, "orders-prod/Admin", "--service", "dynamodbv2/home", "--region", "eu-west-1")
	b.shows(t, "AWS Management Console", "orders-prod (222222222222)", "AWSReservedSSO_Admin_", "Session\talice", admin, "/alice", "You asked for https://console.aws.amazon.com/dynamodbv2/home?region=eu-west-1.")
	judge(t, b, "console", http.StatusOK)
	if at := b.address(t); strings.Contains(at, "SigninToken") {
		t.Errorf("the address bar shows %s", at)
	}

	b = w.console(t, c, person, "tooling/ReadOnly") // of one who is somebody else there
	b.shows(t, "You must first log out before logging into a different AWS account.", "--new-session")
	judge(t, b, "console other", http.StatusBadRequest)

	b = w.console(t, c, person, "tooling/ReadOnly", "--new-session")
	b.shows(t, "tooling (111111111111)", reader, "orders-prod (222222222222)", admin)
	judge(t, b, "console two", http.StatusOK)

	b = w.console(t, c, person, "orders-prod/ReadOnly", "--logout")
	b.shows(t, "orders-prod (222222222222)", reader)
	if said := b.text(t); strings.Contains(said, tooling) || strings.Contains(said, admin) {
		t.Errorf("after logging out the console shows\n%s", said)
	}

	other := w.console(t, c, c.person(t), "tooling/Admin") // in a browser of its own
	other.shows(t, "tooling (111111111111)", admin)
	if said := other.text(t); strings.Contains(said, orders) {
		t.Errorf("another browser shows\n%s", said)
	}

	w.later(t, "13h")
	b.visit(t, w.url+"/console")
	b.shows(t, "You are not signed in, or your session has ended.")
	judge(t, b, "console ended", http.StatusUnauthorized)
}

// A sign-in URL that was printed is good for 15 minutes, and the page that forwards
// the browser is there once.
func TestSignInURLsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newChromium(t)
	w.signIn(t, c)
	printed := func() string {
		r := w.Stile(t, nil, "console", "--print", "orders-prod/ReadOnly")
		if r.Code != 0 || !strings.HasPrefix(r.Stdout, w.url+"/federation?") {
			t.Fatalf("exit %d, %s", r.Code, r.Stderr)
		}
		return strings.TrimSpace(r.Stdout)
	}
	page := printed()
	b := c.open(t, c.person(t), page)
	b.shows(t, "AWS Management Console", "orders-prod (222222222222)", reader)
	w.later(t, "16m")
	b = c.open(t, c.person(t), page)
	b.shows(t, "The sign-in token is not valid, or has expired: it is good for 15 minutes.")
	judge(t, b, "console token expired", http.StatusBadRequest)
	b.visit(t, printed())
	b.shows(t, "AWS Management Console", reader)
}

// Another profile of a browser is another browser to the console.
func TestBrowserProfilesAreApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn(t, newChromium(t))
	things := t.TempDir()
	browser, told := command(t, "--user-data-dir="+things)
	for _, s := range []struct{ profile, address, want, not string }{
		{"Orders", "orders-prod/Admin", orders, tooling},
		{"Tooling", "tooling/Admin", tooling, orders},
		{"Orders", "orders-prod/Admin", orders, tooling},
	} {
		r := w.begin(t, []string{"BROWSER=" + browser}, "console", s.address, "--browser-profile", s.profile)
		c := told(t)
		b := c.find(t, "/console")
		b.shows(t, "AWS Management Console", s.want)
		if said := b.text(t); strings.Contains(said, s.not) {
			t.Errorf("profile %s shows\n%s", s.profile, said)
		}
		if r := r.ends(t); r.Code != 0 {
			t.Errorf("exit %d, %s", r.Code, r.Stderr)
		}
		if err := c.tell("", "Browser.close", struct{}{}); err != nil {
			t.Fatal(err)
		}
		c.hasLeft(t)
	}
	wantProfiles(t, things, "Orders", "Tooling")
}

// wantProfiles fails unless a browser has exactly these profiles.
func wantProfiles(t *testing.T, things string, want ...string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(things, "*", "Preferences"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range found {
		got = append(got, filepath.Base(filepath.Dir(file)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
}
