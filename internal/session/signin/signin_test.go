package signin_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/ssooidc"
	"github.com/stile-aws/stile/internal/session/idc"
	"github.com/stile-aws/stile/internal/session/signin"
)

const (
	account = arn.AccountID("111111111111")
	me      = "arn:aws:iam::111111111111:user/Administrator"
)

// person is one person's computer, and a local AWS.
type person struct {
	server *localaws.Server
	dir    string
	aws    aws.Config
	to     signin.SignIn
	calls  atomic.Int32
	hook   atomic.Pointer[func(call int32, phase service.Phase) service.Action]
}

func newPerson(t testing.TB) *person {
	t.Helper()
	p := &person{dir: t.TempDir(), to: signin.SignIn{Name: "shop", Region: "eu-west-1", Other: "stile login shop --force takes another"}}
	server, err := localaws.New(localaws.Config{Accounts: []localaws.Account{{ID: account, Name: "tooling"}}, Intercept: p.intercept})
	if err != nil {
		t.Fatal(err)
	}
	p.server = server
	p.aws = aws.Config{HTTPClient: &http.Client{Transport: frontdoor.RoundTripper(server)}, Retryer: func() aws.Retryer { return aws.NopRetryer{} }}
	return p
}

func (p *person) intercept(_, operation string, _ arn.AccountID, phase service.Phase) service.Action {
	if operation != "CreateOAuth2Token" {
		return service.Proceed
	}
	n := p.calls.Load()
	if phase == service.Before {
		n = p.calls.Add(1)
	}
	if hook := p.hook.Load(); hook != nil {
		return (*hook)(n, phase)
	}
	return service.Proceed
}

// client is a new process's.
func (p *person) client() *signin.Client {
	return signin.New(signin.Config{
		AWS: p.aws, Dir: filepath.Join(p.dir, "cache"), LockDir: filepath.Join(p.dir, "locks"), Who: filepath.Join(p.dir, "who"),
	}, p.to)
}

// as is somebody who says yes, and whose browser goes on.
func (p *person) as(who string) idc.Login {
	return idc.Login{Show: func(ctx context.Context, page idc.Page) error {
		next, err := p.server.AnswerSignIn(page.URL, ssooidc.Answer{User: who, Deny: who == ""})
		if err != nil {
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

func (p *person) signIn(t *testing.T) {
	t.Helper()
	if err := p.client().Login(t.Context(), p.as(me)); err != nil {
		t.Fatal(err)
	}
	p.calls.Store(0)
}

func (p *person) path() string {
	sum := sha256.Sum256([]byte(me))
	return filepath.Join(p.dir, "cache", hex.EncodeToString(sum[:])+".json")
}

func (p *person) file(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(p.path())
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

// rewrite writes the file as another tool would, with credentials that have so much
// left, a while ago.
func (p *person) rewrite(t *testing.T, left time.Duration, change func(fields map[string]any)) {
	t.Helper()
	fields := p.file(t)
	fields["accessToken"].(map[string]any)["expiresAt"] = time.Now().Add(left).UTC().Format(time.RFC3339)
	if change != nil {
		change(fields)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path(), text, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(p.path(), old, old); err != nil {
		t.Fatal(err)
	}
}

func (p *person) called(t *testing.T, want int32) {
	t.Helper()
	if n := p.calls.Swap(0); n != want {
		t.Errorf("AWS was called %d times, want %d", n, want)
	}
}

func signedOut(err error) bool {
	_, ok := errors.AsType[*idc.SignedOutError](err)
	return ok
}

func TestOneRefreshServesAllWhoAsk(t *testing.T) {
	p := newPerson(t)
	if _, err := p.client().Provider().Retrieve(t.Context()); !signedOut(err) || !strings.Contains(err.Error(), "run stile login shop") {
		t.Errorf("signed out: %v", err)
	}
	p.signIn(t)
	for _, left := range []time.Duration{-time.Minute, 6 * time.Minute} {
		p.rewrite(t, left, nil)
		var mu sync.Mutex
		keys := map[string]int{}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				got, err := p.client().Provider().Retrieve(t.Context())
				if err != nil || time.Until(got.Expires) < 14*time.Minute || got.AccountID != string(account) {
					t.Errorf("%v until %v, %v", got.AccountID, got.Expires, err)
				}
				mu.Lock()
				defer mu.Unlock()
				keys[got.AccessKeyID]++
			})
		}
		all.Wait()
		p.called(t, 1)
		if len(keys) != 1 {
			t.Errorf("%d credentials, want one for all", len(keys))
		}
	}
}

func TestOnePageServesAllWhoAsk(t *testing.T) {
	p := newPerson(t)
	var pages atomic.Int32
	l := p.as(me)
	show := l.Show
	l.Show = func(ctx context.Context, page idc.Page) error {
		pages.Add(1)
		return show(ctx, page)
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if err := p.client().Login(t.Context(), l); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if pages.Load() != 1 || p.client().Identity() != me {
		t.Errorf("%d pages, %q is signed in", pages.Load(), p.client().Identity())
	}
}

func TestFilesOfTheAWSCLI(t *testing.T) {
	p := newPerson(t)
	p.signIn(t)
	fields := p.file(t)
	if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, []string{"accessToken", "clientId", "dpopKey", "idToken", "refreshToken", "region", "tokenType"}) {
		t.Errorf("fields %v", got)
	}
	access := fields["accessToken"].(map[string]any)
	if got := slices.Sorted(maps.Keys(access)); !slices.Equal(got, []string{"accessKeyId", "accountId", "expiresAt", "secretAccessKey", "sessionToken"}) || access["accountId"] != string(account) {
		t.Errorf("access token's fields %v", got)
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z", access["expiresAt"].(string)); err != nil {
		t.Error(err)
	}
	block, rest := pem.Decode([]byte(fields["dpopKey"].(string)))
	if block == nil || block.Type != "EC PRIVATE KEY" || len(rest) != 0 {
		t.Fatalf("key %v", block)
	}
	if _, err := x509.ParseECPrivateKey(block.Bytes); err != nil {
		t.Error(err)
	}
	idToken := fields["idToken"]
	p.rewrite(t, -time.Minute, func(fields map[string]any) {
		fields["mine"] = map[string]any{"n": json.Number("9007199254740993")}
		fields["accessToken"].(map[string]any)["mine"] = []string{"x"}
	})
	if err := p.client().Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(p.path())
	if err != nil || !strings.Contains(string(text), `"mine":{"n":9007199254740993}`) || !strings.Contains(string(text), `"mine":["x"]`) {
		t.Errorf("%v, others' fields are lost in a refresh", err)
	}
	if now := p.file(t); now["idToken"] != idToken || now["refreshToken"] == fields["refreshToken"] || now["dpopKey"] != fields["dpopKey"] {
		t.Error("the refresh changed what it should not, or did not what it should")
	}
	l := p.as(me)
	l.Force = true
	if err := p.client().Login(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if now := p.file(t); now["mine"] == nil || now["dpopKey"] == fields["dpopKey"] {
		t.Error("another sign-in loses others' fields, or keeps the key")
	}
	if info, err := os.Stat(p.path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestCredentialsAreRefreshedInTime(t *testing.T) {
	p := newPerson(t)
	p.signIn(t)
	for left, want := range map[time.Duration]int32{8 * time.Minute: 0, 6 * time.Minute: 1, 0: 1} {
		p.rewrite(t, left, nil)
		if err := p.client().Ready(t.Context()); err != nil {
			t.Error(err)
		}
		t.Log(left)
		p.called(t, want)
	}
	// The last of a sign-in are as long as there is to be had.
	p.rewrite(t, 2*time.Minute, nil)
	now := time.Now()
	if err := os.Chtimes(p.path(), now, now); err != nil {
		t.Fatal(err)
	}
	if err := p.client().Ready(t.Context()); err != nil {
		t.Error(err)
	}
	p.called(t, 0)
}

func TestCredentialsThatAWSRefusesAreRefreshed(t *testing.T) {
	p := newPerson(t)
	p.signIn(t)
	provider := p.client().Provider()
	first, err := provider.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !provider.(interface{ Invalidate(string) bool }).Invalidate(first.AccessKeyID) {
		t.Error("not invalidated")
	}
	second, err := provider.Retrieve(t.Context())
	if err != nil || second.AccessKeyID == first.AccessKeyID {
		t.Errorf("the same again, %v", err)
	}
	p.called(t, 1)
}

// The AWS CLI knows no lock of ours, and may spend the refresh token at the same time.
func TestAnotherProgramWasFaster(t *testing.T) {
	p := newPerson(t)
	p.signIn(t)
	if err := p.client().Login(t.Context(), func() idc.Login { l := p.as(me); l.Force = true; return l }()); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(p.path())
	if err != nil {
		t.Fatal(err)
	}
	p.rewrite(t, -time.Minute, func(fields map[string]any) { fields["refreshToken"] = "spent" })
	hook := func(_ int32, phase service.Phase) service.Action {
		if phase == service.After {
			if err := os.WriteFile(p.path(), good, 0o600); err != nil {
				t.Error(err)
			}
		}
		return service.Proceed
	}
	p.hook.Store(&hook)
	p.calls.Store(0)
	if _, err := p.client().Provider().Retrieve(t.Context()); err != nil {
		t.Error(err)
	}
	p.called(t, 1)
}

// AWS's tools truncate the file before they write it: the first look finds half.
func TestHalfFilesAreLookedAtAgain(t *testing.T) {
	p := newPerson(t)
	p.signIn(t)
	whole, err := os.ReadFile(p.path())
	if err != nil {
		t.Fatal(err)
	}
	aside := filepath.Join(p.dir, "aside")
	if err := os.Rename(p.path(), aside); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(p.path(), 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() {
		f, err := os.OpenFile(p.path(), os.O_WRONLY, 0) // when somebody reads
		if err != nil {
			written <- err
			return
		}
		_, err = f.Write(whole[:len(whole)/2])
		written <- errors.Join(err, os.Rename(aside, p.path()), f.Close())
	}()
	if _, err := p.client().Provider().Retrieve(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestRefusalsAreExplained(t *testing.T) {
	for name, c := range map[string]struct {
		spoil     func(t *testing.T, p *person)
		want      string
		signedOut bool
		again     int32 // calls when it is tried twice
	}{
		"a spent refresh token": {func(t *testing.T, p *person) {
			p.rewrite(t, -time.Minute, func(f map[string]any) { f["refreshToken"] = "spent" })
		}, "the sign-in has ended: not signed in to shop: run stile login shop", true, 1},
		"the end of twelve hours": {func(t *testing.T, p *person) {
			if err := p.server.World().Advance(12 * time.Hour); err != nil {
				t.Fatal(err)
			}
		}, "the sign-in has ended", true, 1},
		"another Region": {func(t *testing.T, p *person) {
			p.rewrite(t, -time.Minute, func(f map[string]any) { f["region"] = "us-west-2" })
		}, "AWS refuses it in us-west-2, as if it was begun in another Region", false, 2},
		"a file without a Region, of another": {func(t *testing.T, p *person) {
			p.to.Region = "us-west-2"
			p.rewrite(t, -time.Minute, func(f map[string]any) { delete(f, "region") })
		}, "in us-west-2, as if", false, 2},
		"a Region that is a host": {func(t *testing.T, p *person) {
			p.rewrite(t, -time.Minute, func(f map[string]any) { f["region"] = "evil.example/" })
			p.to.Region = "us-west-2"
		}, "in us-west-2, as if", false, 2},
		"no permission": {func(t *testing.T, p *person) {
			id, secret, _ := p.server.Administrator(account)
			cfg := p.aws.Copy()
			cfg.Region, cfg.Credentials = "us-east-1", credentials.NewStaticCredentialsProvider(id, secret, "")
			if _, err := iam.NewFromConfig(cfg).PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("Administrator"), PolicyName: aws.String("no"),
				PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"signin:CreateOAuth2Token","Resource":"*"}]}`)}); err != nil {
				t.Fatal(err)
			}
		}, "you may not sign command lines in; AWS's policy SignInLocalDevelopmentAccess allows it", false, 2},
		"a key that is none": {func(t *testing.T, p *person) {
			p.rewrite(t, -time.Minute, func(f map[string]any) { f["dpopKey"] = "x" })
		}, "the sign-in's key is not PEM", false, 0},
		"no refresh token": {func(t *testing.T, p *person) {
			p.rewrite(t, -time.Minute, func(f map[string]any) { delete(f, "refreshToken") })
		}, "not signed in to shop", true, 0},
		"a file that is half": {func(t *testing.T, p *person) { half(t, p.path()) }, "is broken: not signed in to shop", true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t)
			p.signIn(t)
			p.rewrite(t, -time.Minute, nil)
			secrets := []string{fmt.Sprint(p.file(t)["refreshToken"]), fmt.Sprint(p.file(t)["dpopKey"])}
			c.spoil(t, p)
			p.calls.Store(0)
			for range 2 {
				_, err := p.client().Provider().Retrieve(t.Context())
				if err == nil || !strings.Contains(err.Error(), c.want) || signedOut(err) != c.signedOut {
					t.Errorf("%v, want %q", err, c.want)
				}
				for _, secret := range secrets {
					if err != nil && strings.Contains(err.Error(), secret) {
						t.Error("the error tells a secret")
					}
				}
			}
			p.called(t, c.again)
			if _, ok := p.client().Until(); ok == c.signedOut {
				t.Errorf("signed in: %t", ok)
			}
		})
	}
}

func half(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()/2); err != nil {
		t.Fatal(err)
	}
}

// What is valid serves while AWS is down.
func TestValidCredentialsServeWhateverRefreshingSays(t *testing.T) {
	p := newPerson(t)
	p.signIn(t)
	down := func(int32, service.Phase) service.Action { return service.Fail }
	p.hook.Store(&down)
	p.rewrite(t, time.Minute, nil)
	if _, err := p.client().Provider().Retrieve(t.Context()); err != nil {
		t.Error(err)
	}
	p.rewrite(t, -time.Minute, nil)
	_, err := p.client().Provider().Retrieve(t.Context())
	if err == nil || signedOut(err) || !strings.Contains(err.Error(), "refreshing the sign-in to shop") {
		t.Errorf("%v", err)
	}
	p.hook.Store(nil)
	if _, err := p.client().Provider().Retrieve(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCodesArePasted(t *testing.T) {
	for name, form := range map[string]func(next string, q url.Values) string{
		"as the page shows it":     func(_ string, q url.Values) string { return " " + shown(q) + "\n" },
		"the address of that page": func(next string, _ url.Values) string { return next },
		"what the code stands for": func(_ string, q url.Values) string { return q.Encode() },
		"after what is none":       func(_ string, q url.Values) string { return "none\x00" + shown(q) },
		"after somebody else's": func(_ string, q url.Values) string {
			return shown(url.Values{"state": {"x"}, "code": {"y"}}) + "\x00" + shown(q)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPerson(t)
			var answers []string
			asked := 0
			err := p.client().Login(t.Context(), idc.Login{
				Show: func(_ context.Context, page idc.Page) error {
					if !page.Pasted || !page.Shown {
						t.Errorf("page %+v", page)
					}
					next, err := p.server.AnswerSignIn(page.URL, ssooidc.Answer{User: me})
					if err != nil {
						return err
					}
					u, err := url.Parse(next)
					if err != nil {
						return err
					}
					answers = strings.Split(form(next, u.Query()), "\x00")
					return nil
				},
				Paste: func(_ context.Context, problem error) (string, error) {
					if (asked > 0) != (problem != nil) {
						t.Errorf("asked for the %dth time because of %v", asked+1, problem)
					}
					asked++
					return answers[asked-1], nil
				},
			})
			if err != nil {
				t.Error(err)
			}
			if id := p.file(t)["clientId"]; id != "arn:aws:signin:::devtools/cross-device" {
				t.Errorf("client %v", id)
			}
			if p.rewrite(t, -time.Minute, nil); p.client().Ready(t.Context()) != nil {
				t.Error("it cannot be refreshed")
			}
		})
	}
}

func shown(q url.Values) string {
	return base64.StdEncoding.EncodeToString([]byte("state=" + q.Get("state") + "&code=" + q.Get("code")))
}

func TestNobodySignsIn(t *testing.T) {
	p := newPerson(t)
	if err := p.client().Login(t.Context(), p.as("")); err == nil || err.Error() != "signing in to shop: the request was denied in the browser" {
		t.Errorf("denied: %v", err)
	}
	lost := func(ctx context.Context, page idc.Page) error {
		_, err := p.server.AnswerSignIn(page.URL, ssooidc.Answer{User: me})
		return err // and the browser goes nowhere
	}
	if err := p.client().Login(t.Context(), idc.Login{Show: lost, Timeout: time.Millisecond}); err == nil || !strings.Contains(err.Error(), "nobody signed in to shop within 1ms") {
		t.Errorf("no answer: %v", err)
	}
	none := func(context.Context, error) (string, error) { return "nonsense", nil }
	if err := p.client().Login(t.Context(), idc.Login{Show: lost, Paste: none}); err == nil || !strings.Contains(err.Error(), "that is not the code that the page shows") {
		t.Errorf("nonsense: %v", err)
	}
	if _, err := os.Stat(p.path()); !os.IsNotExist(err) {
		t.Errorf("%v, there is a file", err)
	}
}

func TestOthersAreRefused(t *testing.T) {
	p := newPerson(t)
	p.signIn(t)
	root := "arn:aws:iam::111111111111:root"
	p.rewrite(t, -time.Minute, func(f map[string]any) { delete(f, "refreshToken") })
	err := p.client().Login(t.Context(), p.as(root))
	if err == nil || !strings.Contains(err.Error(), "you signed in as "+root+", and shop is "+me+": choose that on the page; stile login shop --force takes another") {
		t.Errorf("%v", err)
	}
	l := p.as(root)
	l.Force = true
	if err := p.client().Login(t.Context(), l); err != nil || p.client().Identity() != root {
		t.Errorf("%v, %s", err, p.client().Identity())
	}
	p.to.Identity = me
	if err := p.client().Login(t.Context(), l); err == nil || !strings.Contains(err.Error(), "and shop is "+me) {
		t.Errorf("with force: %v", err)
	}
}

func TestLogoutRemoves(t *testing.T) {
	p := newPerson(t)
	p.signIn(t)
	for range 2 {
		if err := p.client().Logout(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, ok := p.client().Until(); ok || p.client().Identity() != "" {
		t.Errorf("%q is signed in", p.client().Identity())
	}
	if files, err := os.ReadDir(filepath.Join(p.dir, "cache")); err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestProvidersPrintNothingSecret(t *testing.T) {
	p := newPerson(t)
	p.signIn(t)
	provider := p.client().Provider()
	text := fmt.Sprintf("%v %+v %#v %s %s", provider, provider, provider, provider, provider.Key())
	access := p.file(t)["accessToken"].(map[string]any)
	for _, secret := range []any{access["secretAccessKey"], access["sessionToken"], p.file(t)["refreshToken"]} {
		if strings.Contains(text, secret.(string)) {
			t.Error("a secret is printed")
		}
	}
	if name := provider.(interface{ SessionName() string }).SessionName(); name != "Administrator" {
		t.Errorf("session name %q", name)
	}
}

// Whatever a file holds: never a panic, never credentials that are none, and nobody
// is called for a file that cannot be refreshed.
func TestFilesOfOthersGiveNothingHalf(t *testing.T) {
	p := newPerson(t)
	p.to.Identity = me
	down := func(int32, service.Phase) service.Action { return service.Fail }
	p.hook.Store(&down)
	if err := os.MkdirAll(filepath.Dir(p.path()), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "{", "null", `{"accessToken":null}`, `{"accessToken":{"accessKeyId":"a","secretAccessKey":"b","sessionToken":"c","accountId":"1","expiresAt":"2099-01-01T00:00:00Z"}}`,
		`{"accessToken":{"accessKeyId":1},"refreshToken":[]}`, `{"accessToken":{"accessKeyId":"a","secretAccessKey":"b","sessionToken":"c","expiresAt":"2000-01-01T00:00:00Z"},"refreshToken":"r","clientId":"c","dpopKey":"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"}`,
	} {
		if err := os.WriteFile(p.path(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// What would be refreshed is of no interest here, and nobody answers.
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer stop()
		got, err := p.client().Provider().Retrieve(ctx)
		if err == nil && (got.AccessKeyID == "" || got.SecretAccessKey == "" || got.SessionToken == "" || !time.Now().Before(got.Expires)) {
			t.Errorf("%q gives %v until %v", text, got.AccessKeyID, got.Expires)
		}
	}
}
