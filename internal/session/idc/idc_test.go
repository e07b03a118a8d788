package idc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/ssooidc"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/idc"
)

const (
	tooling arn.AccountID = "111111111111"
	orders  arn.AccountID = "222222222222"
)

// desk is one person's computer, and the Identity Center acme on a local AWS.
type desk struct {
	server *localaws.Server
	dir    string
	source session.Source
	aws    aws.Config
	pages  atomic.Int32
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return deskOf(t, localaws.Config{
		Accounts: []localaws.Account{{ID: tooling, Name: "tooling"}, {ID: orders, Name: "orders-prod"}},
		IdentityCenters: []localaws.IdentityCenter{{
			StartURL:       "https://acme.awsapps.com/start",
			Users:          []localaws.IdentityCenterUser{{Name: "alice"}, {Name: "bob"}},
			PermissionSets: []localaws.PermissionSet{{Name: "ReadOnly"}, {Name: "Admin"}},
			Assignments: []localaws.Assignment{
				{Accounts: []arn.AccountID{tooling, orders}, PermissionSets: []string{"ReadOnly", "Admin"}, Users: []string{"alice"}},
				{Accounts: []arn.AccountID{orders}, PermissionSets: []string{"ReadOnly"}, Users: []string{"bob"}},
			},
		}},
	})
}

// deskOf is a desk of another organization, whose Identity Center is acme.
func deskOf(t *testing.T, cfg localaws.Config) *desk {
	t.Helper()
	server, err := localaws.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &desk{
		server: server, dir: t.TempDir(),
		aws: aws.Config{HTTPClient: &http.Client{Transport: frontdoor.RoundTripper(server)}},
		source: session.Source{Name: "acme", IdentityCenter: &session.IdentityCenter{
			StartURL: "https://acme.awsapps.com/start", Region: "us-east-1",
		}},
	}
}

// client is a new process's.
func (d *desk) client() *idc.Client {
	return idc.New(idc.Config{
		AWS: d.aws, TokenDir: filepath.Join(d.dir, "tokens"), CacheDir: filepath.Join(d.dir, "cache"), LockDir: filepath.Join(d.dir, "locks"),
	}, &d.source)
}

// as is a person who says yes on every page and whose browser goes on.
func (d *desk) as(user string) idc.Login {
	return idc.Login{Show: func(ctx context.Context, page idc.Page) error {
		d.pages.Add(1)
		next, err := d.server.AnswerSignIn(page.URL, ssooidc.Answer{User: user})
		if err != nil || next == "" {
			return err
		}
		return visit(ctx, next)
	}}
}

func visit(ctx context.Context, page string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func (d *desk) signIn(t *testing.T, user string) {
	t.Helper()
	l := d.as(user)
	l.Force = true
	if err := d.client().Login(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

func TestSignedInPeopleGetWhatTheyHave(t *testing.T) {
	d := newDesk(t)
	c := d.client()
	_, err := c.Role(orders, "ReadOnly").Retrieve(t.Context())
	var out *idc.SignedOutError
	if !errors.As(err, &out) || !strings.Contains(err.Error(), "stile login acme") {
		t.Errorf("signed out: %v", err)
	}
	d.signIn(t, "bob")
	got, err := c.Role(orders, "ReadOnly").Retrieve(t.Context())
	if err != nil || got.AccountID != string(orders) || time.Until(got.Expires) < 50*time.Minute {
		t.Errorf("credentials %v, %v", got.Expires, err)
	}
	all, err := c.Accounts(t.Context(), time.Hour)
	if diff := cmp.Diff([]session.Account{{ID: orders, Name: "orders-prod", Email: "orders-prod@example.com"}}, all); err != nil || diff != "" {
		t.Errorf("Accounts: %v\n%s", err, diff)
	}
	if _, err := c.Role(orders, "Admin").Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "you have no permission set Admin there, but ReadOnly") {
		t.Errorf("another's role: %v", err)
	}
	if _, err := c.Role(tooling, "Admin").Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "no permission set for you in this account") {
		t.Errorf("another's account: %v", err)
	}
	d.signIn(t, "alice")
	if _, err := c.Role(tooling, "Admin").Retrieve(t.Context()); err != nil {
		t.Errorf("as alice: %v", err)
	}
}

func TestListsAreKeptAccountByAccount(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	c := d.client()
	for range 2 {
		if got, err := c.Roles(t.Context(), orders, time.Hour); err != nil || !cmp.Equal(got, []string{"Admin", "ReadOnly"}) {
			t.Errorf("Roles = %v, %v", got, err)
		}
	}
	if got, at := d.client().KnownRoles(orders); len(got) != 2 || time.Since(at) > time.Minute {
		t.Errorf("another process knows %v of %v", got, at)
	}
	if got, at := c.KnownRoles(tooling); len(got) != 0 || !at.IsZero() {
		t.Errorf("of tooling %v is known, of %v", got, at)
	}
	d.source.IdentityCenter.StartURL = "https://other.awsapps.com/start"
	if got, _ := d.client().KnownRoles(orders); len(got) != 0 {
		t.Errorf("another Identity Center of the same name has %v", got)
	}
}

func TestOneSignInServesAllWhoAsk(t *testing.T) {
	d := newDesk(t)
	errs := make(chan error)
	for range 10 {
		go func() { errs <- d.client().Login(t.Context(), d.as("alice")) }()
	}
	for range 10 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := d.pages.Load(); n != 1 {
		t.Errorf("%d pages, want 1", n)
	}
}

func TestDeviceCodesAreShown(t *testing.T) {
	d := newDesk(t)
	l := d.as("alice")
	show := l.Show
	l.Flow = session.Device
	l.Show = func(ctx context.Context, page idc.Page) error {
		if page.Code == "" || !strings.Contains(page.URL, page.Code) || !page.Anywhere() {
			t.Errorf("page %+v, want a code, for a browser anywhere", page)
		}
		return show(ctx, page)
	}
	if err := d.client().Login(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client().Token(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnswersArePasted(t *testing.T) {
	d := newDesk(t)
	var next string
	l := idc.Login{
		Show: func(_ context.Context, page idc.Page) (err error) {
			next, err = d.server.AnswerSignIn(page.URL, ssooidc.Answer{User: "alice"})
			return err
		},
		Paste: func(context.Context, error) (string, error) { return "  " + next + "\n", nil },
	}
	if err := d.client().Login(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	l.Force = true
	l.Paste = func(context.Context, error) (string, error) { return "https://acme.awsapps.com/start", nil }
	if err := d.client().Login(t.Context(), l); err == nil || !strings.Contains(err.Error(), "not the address the browser ends up at") {
		t.Errorf("another address: %v", err)
	}
	l.Paste = func(context.Context, error) (string, error) {
		return strings.Replace(next, "state=", "state=x", 1), nil
	}
	if err := d.client().Login(t.Context(), l); err == nil || !strings.Contains(err.Error(), "not to this sign-in") {
		t.Errorf("another state: %v", err)
	}
}

func TestPastesThatAreNotTheAddressAreAskedForAgain(t *testing.T) {
	d := newDesk(t)
	var next string
	var problems []string
	answers := []func() string{
		func() string { return "https://acme.awsapps.com/start" },
		func() string { return strings.Replace(next, "state=", "state=x", 1) },
		func() string { return `"` + strings.TrimPrefix(next, "http://") + `"` },
	}
	l := idc.Login{
		Show: func(_ context.Context, page idc.Page) (err error) {
			next, err = d.server.AnswerSignIn(page.URL, ssooidc.Answer{User: "alice"})
			return err
		},
		Paste: func(_ context.Context, problem error) (string, error) {
			n := len(problems)
			problems = append(problems, fmt.Sprint(problem))
			return answers[n](), nil
		},
	}
	if err := d.client().Login(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	want := []string{"<nil>", "that is not the address the browser ends up at, which begins with http://127.0.0.1:8400/oauth/callback", "the answer is not to this sign-in; begin again"}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Error(diff)
	}
}

// The page's address is in a browser's arguments, for all users of the computer to
// see: another one could sign in there as somebody else and bring the answer.
func TestTheAnswerOfAnotherUsersBrowserIsNotTaken(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	d := newDesk(t)
	l := d.as("alice")
	show := l.Show
	l.Show = func(ctx context.Context, page idc.Page) error {
		next, err := d.server.AnswerSignIn(page.URL, ssooidc.Answer{User: "bob"})
		if err != nil {
			return err
		}
		u, err := url.Parse(next)
		if err != nil {
			return err
		}
		script := fmt.Sprintf(`exec 3<>/dev/tcp/127.0.0.1/%s; printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' >&3; cat <&3`,
			u.Port(), strings.ReplaceAll(u.RequestURI(), "%", "%%"), u.Host)
		cmd := exec.CommandContext(ctx, "bash", "-c", script)
		cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.Output()
		if err != nil || !strings.HasPrefix(string(out), "HTTP/1.1 403") || !strings.Contains(string(out), "user 65534") {
			t.Errorf("another user's process: %v, %s, want 403", err, out)
		}
		return show(ctx, page)
	}
	if err := d.client().Login(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

// Whoever finds the port can neither end the wait nor put in a code of theirs.
func TestStrangersAnswersChangeNothing(t *testing.T) {
	d := newDesk(t)
	l := d.as("alice")
	show := l.Show
	l.Show = func(ctx context.Context, page idc.Page) error {
		u, err := url.Parse(page.URL)
		if err != nil {
			return err
		}
		back := u.Query().Get("redirect_uri")
		if !strings.HasPrefix(back, "http://127.0.0.1:") {
			t.Errorf("the answer comes to %s", back)
		}
		for _, q := range []string{"?error=access_denied", "?code=theirs", "?code=theirs&state=guess", ""} {
			if err := visit(ctx, back+q); err != nil {
				return err
			}
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, back+"?error=x&state="+url.QueryEscape(u.Query().Get("state")), nil)
		if err != nil {
			return err
		}
		req.Host = "evil.example"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("a foreign host is answered %s", resp.Status)
		}
		return show(ctx, page)
	}
	if err := d.client().Login(t.Context(), l); err != nil {
		t.Error(err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	d := newDesk(t)
	l := idc.Login{Show: func(context.Context, idc.Page) error { return nil }, Timeout: 50 * time.Millisecond}
	if err := d.client().Login(t.Context(), l); err == nil || !strings.Contains(err.Error(), "nobody signed in to acme within 50ms") {
		t.Errorf("Login = %v", err)
	}
}

// The names are those of the AWS CLI 2: Python's
// hashlib.sha1(json.dumps({...}, sort_keys=True)) and sha1("acme").
func TestFilesAreTheAWSCLIs(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	files, err := os.ReadDir(filepath.Join(d.dir, "tokens"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	want := []string{"293abb6b76d7791c0732cc517d38c4b5c734b87f.json", "6e6a32d3eb9db33553ef592223607cdd4945958b.json"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func (d *desk) file() string {
	return filepath.Join(d.dir, "tokens", "293abb6b76d7791c0732cc517d38c4b5c734b87f.json")
}

// change changes fields of the token's file; nil removes one.
func (d *desk) change(t *testing.T, changes map[string]any) {
	t.Helper()
	text, err := os.ReadFile(d.file())
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for k, v := range changes {
		if fields[k] = v; v == nil {
			delete(fields, k)
		}
	}
	if text, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.file(), text, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Minute)
	if err := os.Chtimes(d.file(), old, old); err != nil {
		t.Fatal(err)
	}
}

func in(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }

func TestTokensAreRefreshedInTime(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	before, err := d.client().Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []time.Duration{-time.Minute, 14 * time.Minute} {
		d.change(t, map[string]any{"expiresAt": in(left)})
		got, err := d.client().Token(t.Context())
		if err != nil || got.Access == before.Access || time.Until(got.Expires) < 50*time.Minute {
			t.Errorf("with %s left: %v, %v, want a new one", left, got, err)
		}
		before = got
	}
	d.change(t, map[string]any{"expiresAt": in(16 * time.Minute)})
	if got, err := d.client().Token(t.Context()); err != nil || got.Access != before.Access {
		t.Errorf("with 16 minutes left: %v, want the same", err)
	}
}

func TestSpentRefreshTokenIsTriedOnce(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	d.change(t, map[string]any{"expiresAt": in(-time.Minute), "refreshToken": "spent", "ours": "no"})
	var out *idc.SignedOutError
	if _, err := d.client().Token(t.Context()); !errors.As(err, &out) {
		t.Errorf("Token = %v, want signed out", err)
	}
	text, err := os.ReadFile(d.file())
	if err != nil || strings.Contains(string(text), "spent") || !strings.Contains(string(text), `"ours":"no"`) {
		t.Errorf("the file is %s, %v, want the spent token gone and the rest there", text, err)
	}
}

// A token that is still good is used although it cannot be refreshed.
func TestValidTokenIsUsedWhateverRefreshingSays(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	d.change(t, map[string]any{"expiresAt": in(5 * time.Minute), "refreshToken": "spent"})
	if _, err := d.client().Role(orders, "Admin").Retrieve(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTokenThatAWSRefusesIsRefreshed(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	d.change(t, map[string]any{"accessToken": "revoked"})
	if _, err := d.client().Role(orders, "Admin").Retrieve(t.Context()); err != nil {
		t.Error(err)
	}
	d.change(t, map[string]any{"accessToken": "revoked", "refreshToken": nil})
	var out *idc.SignedOutError
	if _, err := d.client().Role(orders, "Admin").Retrieve(t.Context()); !errors.As(err, &out) {
		t.Errorf("without a refresh token: %v, want signed out", err)
	}
}

func TestSignedOutIsSignedOutAtAWS(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	text, err := os.ReadFile(d.file())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.client().Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.client().Until(); ok {
		t.Error("the token is still there")
	}
	if err := os.WriteFile(d.file(), text, 0o600); err != nil { // somebody had a copy
		t.Fatal(err)
	}
	var out *idc.SignedOutError
	if _, err := d.client().Role(orders, "Admin").Retrieve(t.Context()); !errors.As(err, &out) {
		t.Errorf("with a copy: %v, want signed out", err)
	}
}

func TestTokensAreNotPrinted(t *testing.T) {
	d := newDesk(t)
	d.signIn(t, "alice")
	token, err := d.client().Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, token); strings.Contains(text, token.Access) {
			t.Errorf("%s prints the token", verb)
		}
	}
}
