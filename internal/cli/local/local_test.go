package local_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/localaws"
)

func streams(env map[string]string) *term.Streams {
	return &term.Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Env: func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}}
}

// started is a local AWS of one account, its state in dir.
func started(t *testing.T, dir, listen string) *local.Running {
	t.Helper()
	r, err := local.Start(t.Context(), streams(map[string]string{"XDG_STATE_HOME": dir}), local.Setup{
		Listen: listen, AWS: localaws.Config{Accounts: []localaws.Account{{Name: "one", ID: "111111111111"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestWhatListensEverywhereIsReachedByLoopback(t *testing.T) {
	dir := t.TempDir()
	r := started(t, dir, "0.0.0.0:0")
	if !strings.HasPrefix(r.URL, "http://127.0.0.1:") || !r.Exposed {
		t.Errorf("URL = %s, exposed %v, want one of 127.0.0.1 that is exposed", r.URL, r.Exposed)
	}
	if !strings.Contains(r.Exports(""), "AWS_ENDPOINT_URL="+r.URL+" ") {
		t.Errorf("exports: %s", r.Exports(""))
	}
	resp, err := http.Post(r.URL, "application/x-www-form-urlencoded", strings.NewReader("Action=GetCallerIdentity&Version=2011-06-15"))
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if at := started(t, t.TempDir(), "127.0.0.1:0"); at.Exposed {
		t.Errorf("%s is exposed", at.URL)
	}
}

// until cancels a context when what is written holds a text.
type until struct {
	bytes.Buffer
	text   string
	cancel context.CancelFunc
}

func (u *until) Write(p []byte) (int, error) {
	n, err := u.Buffer.Write(p)
	if strings.Contains(u.String(), u.text) {
		u.cancel()
	}
	return n, err
}

func TestStartWarnsOfTheNetwork(t *testing.T) {
	for listen, warned := range map[string]bool{"0.0.0.0:0": true, "127.0.0.1:0": false, ":0": false} {
		ctx, cancel := context.WithCancel(t.Context())
		s := streams(map[string]string{"XDG_STATE_HOME": t.TempDir()})
		said := &until{text: "interrupt to stop", cancel: cancel}
		s.Err = said
		cmd := local.New(s)
		cmd.SetArgs([]string{"start", "--account", "one=111111111111", "--listen", listen})
		if err := cmd.ExecuteContext(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		if got := strings.Contains(said.String(), "warning: it listens on "+listen); got != warned {
			t.Errorf("--listen %s: warned %v, want %v: %s", listen, got, warned, said)
		}
	}
}

// A name that is mistyped makes no directories.
func TestStartMakesNoDirectories(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "misspelt", "file")
	for name, setup := range map[string]local.Setup{
		"--credentials": {Credentials: missing},
		"--ca-bundle":   {Proxy: true, CABundle: missing},
		"--state":       {AWS: localaws.Config{StateFile: missing}},
	} {
		setup.Listen, setup.AWS.Accounts = "127.0.0.1:0", []localaws.Account{{Name: "one", ID: "111111111111"}}
		_, err := local.Start(t.Context(), streams(map[string]string{"XDG_STATE_HOME": t.TempDir()}), setup)
		if err == nil || !strings.Contains(err.Error(), "there is no directory "+filepath.Dir(missing)) {
			t.Errorf("%s: %v, want the directory named", name, err)
		}
		if _, err := os.Stat(filepath.Dir(missing)); err == nil {
			t.Errorf("%s made the directory", name)
		}
	}
}

func TestTargeted(t *testing.T) {
	dir := t.TempDir()
	r := started(t, dir, "127.0.0.1:0")
	localhost := strings.Replace(r.URL, "127.0.0.1", "localhost", 1)
	elsewhere := t.TempDir()
	for _, c := range []struct {
		name    string
		env     map[string]string
		missing []string // of what Untargeted says; nil when it is found
	}{
		{"its address", map[string]string{"XDG_STATE_HOME": dir, "AWS_ENDPOINT_URL": r.URL + "/"}, nil},
		{"another name of loopback", map[string]string{"XDG_STATE_HOME": dir, "AWS_ENDPOINT_URL": localhost}, nil},
		{"by the other variable", map[string]string{"XDG_STATE_HOME": dir, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "HTTPS_PROXY": r.URL}, nil},
		{"no variable", map[string]string{"XDG_STATE_HOME": dir}, []string{"AWS_ENDPOINT_URL points at no local AWS"}},
		{"another state directory", map[string]string{"XDG_STATE_HOME": elsewhere, "AWS_ENDPOINT_URL": r.URL},
			[]string{"AWS_ENDPOINT_URL is " + r.URL, filepath.Join(elsewhere, "stile", "local"), "another HOME or XDG_STATE_HOME"}},
		{"another port", map[string]string{"XDG_STATE_HOME": dir, "AWS_ENDPOINT_URL": "http://localhost:1"}, []string{"http://localhost:1", filepath.Join(dir, "stile", "local")}},
		{"a proxy with a password", map[string]string{"XDG_STATE_HOME": dir, "HTTPS_PROXY": "http://me:secret@proxy:1"}, []string{"HTTPS_PROXY is http://proxy:1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := streams(c.env)
			if got := local.Targeted(s); (got == nil) != (c.missing != nil) {
				t.Fatalf("Targeted = %v", got)
			}
			if c.missing == nil {
				return
			}
			said := local.Untargeted(s)
			for _, want := range c.missing {
				if !strings.Contains(said, want) {
					t.Errorf("Untargeted = %q, want it to say %q", said, want)
				}
			}
			if strings.Contains(said, "secret") {
				t.Errorf("Untargeted says a password: %q", said)
			}
		})
	}
	if _, err := local.Find(streams(map[string]string{"XDG_STATE_HOME": elsewhere}), ""); err == nil || !strings.Contains(err.Error(), filepath.Join(elsewhere, "stile", "local")) {
		t.Errorf("Find = %v, want where it looked", err)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "stile")); err == nil {
		t.Error("looking makes directories")
	}
}
