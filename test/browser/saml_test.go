package browser_test

import (
	"fmt"
	"html"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/localaws/saml/samltest"
)

const (
	corp   = "arn:aws:iam::" + orders + ":saml-provider/corp"
	worker = "arn:aws:iam::" + orders + ":role/worker"
)

// provider is an identity provider: a page that asks for a password and remembers who
// gave it, and a form that posts to AWS by itself.
type provider struct {
	*httptest.Server
	idp     *samltest.IdP
	forms   atomic.Int32 // passwords asked for
	details string       // a long attribute
}

// newProvider also makes the provider and a role for its people in orders-prod, and
// the source corp of stile, whose browser is a program.
func newProvider(t *testing.T, w *world, start, browser string) *provider {
	t.Helper()
	p := &provider{}
	var err error
	if p.idp, err = samltest.New("https://idp.corp.example/metadata"); err != nil {
		t.Fatal(err)
	}
	c := w.iam(t, "orders-prod")
	if _, err := c.CreateSAMLProvider(t.Context(), &iam.CreateSAMLProviderInput{Name: aws.String("corp"), SAMLMetadataDocument: aws.String(p.idp.Metadata())}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("worker"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRoleWithSAML","Principal":{"Federated":"` + corp + `"},
		"Condition":{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml"}}}}`)}); err != nil {
		t.Fatal(err)
	}
	p.Server = httptest.NewUnstartedServer(p)
	p.Config.ErrorLog = log.New(io.Discard, "", 0) // browsers open connections that they do not use
	p.StartTLS()
	t.Cleanup(p.Close)
	w.Write(t, ".config/stile/sessions.yaml", fmt.Sprintf("sources:\n- name: corp\n  saml: {startURL: %q, browser: %q}\n", p.URL+start, browser))
	return p
}

const asking = `<!doctype html><title>Corp</title><h1>%s</h1><form method="post"><label>User <input name="user"></label>
<label>Password <input name="password" type="password"></label><button>Sign in</button></form>`

// ServeHTTP is the provider's pages: /portal links to /app as portals do, in another
// tab, and /app asks who one is.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	known, err := r.Cookie("corp")
	switch {
	case r.URL.Path == "/portal":
		fmt.Fprint(w, `<!doctype html><title>Corp</title><button onclick="window.open('/app')">AWS</button>`)
	case r.URL.Path != "/app":
		http.NotFound(w, r)
	case r.Method == http.MethodPost && r.FormValue("user") == "grace" && r.FormValue("password") == "hopper":
		http.SetCookie(w, &http.Cookie{Name: "corp", Value: "grace", Path: "/", MaxAge: 3600, HttpOnly: true, Secure: true})
		p.post(w)
	case err == nil && known.Value == "grace":
		p.post(w)
	case r.Method == http.MethodPost:
		fmt.Fprintf(w, asking, "Wrong password")
	default:
		p.forms.Add(1)
		fmt.Fprintf(w, asking, "Sign in to Corp")
	}
}

func (p *provider) post(w http.ResponseWriter) {
	response, err := p.idp.Response(samltest.Login{
		Roles: []samltest.Role{{Role: worker, Provider: corp}}, SessionName: "grace", At: time.Now(), Attributes: map[string][]string{"details": {p.details}},
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, `<!doctype html><title>Corp</title><body onload="document.forms[0].submit()"><form method="post" action="https://signin.aws.amazon.com/saml">
<input type="hidden" name="SAMLResponse" value="%s"><input type="hidden" name="RelayState" value=""><noscript><button>Go on</button></noscript></form>`, html.EscapeString(response))
}

// The password is given once, wrong at first; the browser keeps the provider's cookie
// for the next time, and one assertion is good for several commands.
func TestPeopleSignInAtTheirIdentityProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	browser, told := command(t, "--ignore-certificate-errors")
	p := newProvider(t, w, "/app", browser)
	p.details = strings.Repeat("A", 60_000) // with Base64, almost as long as STS takes
	login := w.begin(t, nil, "login", "corp")
	c := told(t)
	b := c.find(t, "/app")
	b.shows(t, "Sign in to Corp")
	b.fill(t, "[name=user]", "grace")
	b.fill(t, "[name=password]", "guess")
	b.click(t, "Sign in")
	b.shows(t, "Wrong password")
	b.fill(t, "[name=user]", "grace")
	b.fill(t, "[name=password]", "hopper")
	b.click(t, "Sign in")
	c.hasLeft(t)
	if r := login.ends(t); r.Code != 0 || r.Stdout != "" || !strings.Contains(r.Stderr, "stile: signed in to corp until ") {
		t.Fatalf("exit %d, %s", r.Code, r.Stderr)
	}
	want := "arn:aws:sts::" + orders + ":assumed-role/worker/grace"
	for range 2 {
		r := w.Stile(t, nil, "exec", "corp:"+orders+"/worker", "--", "stile", "whoami")
		if r.Code != 0 || !strings.HasPrefix(r.Stdout, want+"\n") {
			t.Errorf("exec: exit %d, %q, %s, want %s", r.Code, r.Stdout, r.Stderr, want)
		}
	}
	again := w.begin(t, nil, "login", "--force", "corp")
	told(t).hasLeft(t)
	if r := again.ends(t); r.Code != 0 || p.forms.Load() != 1 {
		t.Errorf("exit %d, %s; the password was asked for %d times, want once", r.Code, r.Stderr, p.forms.Load())
	}
	if info, err := os.Stat(filepath.Join(w.Dir, ".local/share/stile/browser/corp")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the browser's things: %v, %v", info, err)
	}
}

// Portals open AWS in a tab of its own; and a command that needs the sign-in has it
// done.
func TestPortalsOpenTheirApplications(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	browser, told := command(t, "--ignore-certificate-errors")
	newProvider(t, w, "/portal", browser)
	run := w.begin(t, nil, "exec", "corp:"+orders+"/worker", "--", "stile", "whoami")
	c := told(t)
	c.find(t, "/portal").click(t, "AWS")
	b := c.find(t, "/app")
	b.shows(t, "Sign in to Corp")
	b.fill(t, "[name=user]", "grace")
	b.fill(t, "[name=password]", "hopper")
	b.click(t, "Sign in")
	c.hasLeft(t)
	want := "arn:aws:sts::" + orders + ":assumed-role/worker/grace"
	if r := run.ends(t); r.Code != 0 || !strings.HasPrefix(r.Stdout, want+"\n") {
		t.Errorf("exit %d, %q, %s, want %s", r.Code, r.Stdout, r.Stderr, want)
	}
}

func TestSignInsAtProvidersEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	browser, told := command(t, "--ignore-certificate-errors")
	newProvider(t, w, "/app", browser)

	login := w.begin(t, nil, "login", "corp")
	c := told(t)
	b := c.find(t, "/app")
	b.shows(t, "Sign in to Corp")
	if err := c.tell("", "Browser.close", struct{}{}); err != nil { // as by closing the window
		t.Fatal(err)
	}
	refused(t, login.ends(t), "the browser was closed before the sign-in came to its end")
	c.hasLeft(t)

	login = w.begin(t, nil, "login", "corp")
	c = told(t)
	b = c.find(t, "/app")
	b.shows(t, "Sign in to Corp")
	if err := login.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	interrupted(t, login.ends(t))
	c.hasLeft(t)
}

// A browser that cannot start says why: here that root has no sandbox, or that there
// is no display.
func TestBrowsersThatCannotStartSayWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	newProvider(t, w, "/app", program(t))
	refused(t, w.begin(t, []string{"DISPLAY=", "WAYLAND_DISPLAY="}, "login", "corp").ends(t), "ended before it showed a page (exit status 1): ")
}
