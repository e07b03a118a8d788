package handout_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/handout"
	"github.com/stile-aws/stile/internal/issuelog"
	"github.com/stile-aws/stile/internal/session/kept"
	"github.com/stile-aws/stile/internal/session/shelf"
	"github.com/stile-aws/stile/internal/surroundings"
)

// home is one person's computer.
type home struct {
	dir   string
	vars  map[string]string
	store *kept.Store
}

func newHome(t *testing.T) *home {
	t.Helper()
	h := &home{dir: t.TempDir()}
	h.vars = map[string]string{"HOME": h.dir, "XDG_RUNTIME_DIR": filepath.Join(h.dir, "runtime"), "XDG_STATE_HOME": filepath.Join(h.dir, "state")}
	if err := os.Mkdir(h.vars["XDG_RUNTIME_DIR"], 0o700); err != nil {
		t.Fatal(err)
	}
	h.store = kept.Open(filepath.Join(h.vars["XDG_RUNTIME_DIR"], "stile"), "")
	t.Chdir(h.dir)
	return h
}

func (h *home) environment() handout.Environment {
	return handout.Environment{
		Getenv: func(name string) string { return h.vars[name] },
		Environ: func() []string {
			var environ []string
			for name, value := range h.vars {
				environ = append(environ, name+"="+value)
			}
			return environ
		},
	}
}

// keep keeps credentials with so much left, and leads a request to them.
func (h *home) keep(t *testing.T, r *handout.Request, left time.Duration, a shelf.Alias) {
	t.Helper()
	if err := h.store.Put("way", aws.Credentials{AccessKeyID: "ASIA1", SecretAccessKey: "s", SessionToken: "t", CanExpire: true, Expires: time.Now().Add(left), AccountID: "222222222222"}); err != nil {
		t.Fatal(err)
	}
	a.Key = "way"
	h.store.SetAlias(r.Name(h.environment()), a)
}

func TestWhatWasFetchedIsFoundAsLongAsTheWayIsKnown(t *testing.T) {
	for _, c := range []struct {
		name  string
		until time.Duration // from now, 0 for never
		left  time.Duration // of the credentials' life
		found bool
	}{
		{"the way is good for ever", 0, time.Hour, true},
		{"the way is good for a while", time.Minute, time.Hour, true},
		{"the way must be looked for anew", -time.Minute, time.Hour, false},
		{"the credentials have ended", time.Minute, -time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, r := newHome(t), &handout.Request{Address: "orders-prod/reader"}
			a := shelf.Alias{Account: "222222222222", AccountName: "orders-prod", Role: "arn:aws:iam::222222222222:role/reader", Source: "me", Session: "ann"}
			if c.until != 0 {
				a.Until = time.Now().Add(c.until)
			}
			h.keep(t, r, c.left, a)
			got, entry, ok := handout.Find(h.environment(), r)
			if ok != c.found || ok && got.AccessKeyID != "ASIA1" {
				t.Fatalf("Find = %v, %t, want %t", got, ok, c.found)
			}
			want := issuelog.Entry{Address: r.Address, Account: a.Account, AccountName: a.AccountName, Role: a.Role, Source: a.Source, Session: a.Session}
			if diff := cmp.Diff(want, entry); ok && diff != "" {
				t.Errorf("the log's entry (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNothingIsFoundWhenSomethingHasChanged(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, h *home, r *handout.Request){
		"another address":      func(_ *testing.T, _ *home, r *handout.Request) { r.Address = "orders-prod/writer" },
		"another caller":       func(_ *testing.T, _ *home, r *handout.Request) { r.As = "ci/api" },
		"other declarations":   func(_ *testing.T, _ *home, r *handout.Request) { r.Declarations = "elsewhere" },
		"another environment":  func(_ *testing.T, h *home, _ *handout.Request) { h.vars["AWS_PROFILE"] = "other" },
		"no HOME":              func(_ *testing.T, h *home, _ *handout.Request) { delete(h.vars, "HOME") },
		"nothing is kept":      func(_ *testing.T, h *home, _ *handout.Request) { h.vars[surroundings.KeepEnv] = "off" },
		"it was forgotten":     func(_ *testing.T, h *home, _ *handout.Request) { h.store.Forget("way", "") },
		"AWS's files changed":  func(t *testing.T, h *home, _ *handout.Request) { h.write(t, ".aws/config", "[default]\n") },
		"a guard stands there": func(t *testing.T, h *home, _ *handout.Request) { h.write(t, surroundings.GuardFile, "") },
		"a token was replaced": func(t *testing.T, h *home, r *handout.Request) { h.write(t, filepath.Base(r.TokenFile), "ann's") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			r := &handout.Request{Address: "orders-prod/reader", TokenFile: filepath.Join(h.dir, "token")}
			h.write(t, "token", "bob's")
			h.keep(t, r, time.Hour, shelf.Alias{})
			if _, _, ok := handout.Find(h.environment(), r); !ok {
				t.Fatal("it is not found as it is")
			}
			change(t, h, r)
			if got, _, ok := handout.Find(h.environment(), r); ok {
				t.Errorf("Find = %v, want nothing", got)
			}
		})
	}
}

func (h *home) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsHandedOutIsLogged(t *testing.T) {
	h := newHome(t)
	ends := time.Date(2099, 11, 22, 12, 0, 0, 0, time.UTC)
	if fatal, err := handout.Log(h.environment(), issuelog.Entry{Address: "me", Delivery: "exec"}, handout.Credential{AccessKeyID: "ASIA1", AccountID: "222222222222", Expires: ends}); fatal || err != nil {
		t.Fatalf("Log = %t, %v", fatal, err)
	}
	got, broken, err := issuelog.Read(filepath.Join(h.vars["XDG_STATE_HOME"], "stile"), time.Time{})
	if err != nil || broken != 0 || len(got) != 1 {
		t.Fatalf("the log has %v, %d broken, %v, want one entry", got, broken, err)
	}
	e := got[0]
	if e.Address != "me" || e.Delivery != "exec" || e.Account != "222222222222" || e.AccessKeyID != "ASIA1" || !e.Expires.Equal(ends) || e.Process.PID != os.Getpid() || time.Since(e.Time) > time.Minute {
		t.Errorf("the entry is %+v", e)
	}
}

func TestWhatCannotBeLoggedIsHandedOutUnlessTheLogIsRequired(t *testing.T) {
	h := newHome(t)
	h.write(t, "state", "no directory")
	for required, want := range map[string]bool{"": false, "required": true} {
		h.vars[handout.LogEnv] = required
		fatal, err := handout.Log(h.environment(), issuelog.Entry{}, handout.Credential{AccessKeyID: "ASIA1"})
		if fatal != want || err == nil || strings.Contains(err.Error(), "hands out nothing that is not logged") != want {
			t.Errorf("%s=%s: Log = %t, %v, want an error, fatal %t", handout.LogEnv, required, fatal, err, want)
		}
	}
}
