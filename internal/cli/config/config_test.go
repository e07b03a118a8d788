package config_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"pgregory.net/rapid"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/config"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/cli/term"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
		// stile-killed writes a config and dies before the step KILL.
		"stile-killed": func() {
			cmd := config.NewStepping(cli.System(), func(step string) error {
				if step == os.Getenv("KILL") {
					_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
					select {}
				}
				return nil
			})
			cmd.SetArgs(os.Args[1:])
			os.Exit(term.Code(cli.System(), cmd.ExecuteContext(context.Background())))
		},
		"whoami": routetest.Whoami,
	})
}

const (
	payroll = "arn:aws:sts::222222222222:assumed-role/payroll-api/ci-payroll-api"
	before  = "# mine\n[profile own]   \r\nregion=eu-west-1\ns3 =\n  max_concurrent_requests = 20\n\n\n[default]\noutput = json" // no line end
)

func text(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestProfilesAreWrittenUsedAndRemoved(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	path := w.Write(t, "config", before)
	r := w.Stile(t, nil, "config", "write", "--yes", "orders-prod/*")
	if r.Code != 0 || !strings.Contains(r.Stdout, "+[profile orders-prod-payroll-api]") {
		t.Fatalf("exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	got := text(t, path)
	if !strings.HasPrefix(got, before) || !strings.Contains(got, "credential_process = stile credential-process orders-prod/payroll-api\nregion = us-east-1\n") ||
		!strings.Contains(got, "[profile orders-prod-target-account-iam-role]") {
		t.Errorf("the file is\n%s", got)
	}
	cmd := w.Command(t, "whoami")
	cmd.Env = append(cmd.Env, "AWS_PROFILE=orders-prod-payroll-api")
	routetest.Run(t, cmd).Want(t, payroll)

	// The same again changes nothing; a second block does not touch the first.
	r = w.Stile(t, nil, "config", "write", "--yes", "orders-prod/*")
	if r.Code != 0 || r.Stdout != "" || text(t, path) != got {
		t.Errorf("again: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	r = w.Stile(t, nil, "config", "write", "--yes", "--block", "hub", "--profile-template", "{account}", "--region", "eu-west-1", "tooling/ci-account-iam-role")
	if now := text(t, path); r.Code != 0 || !strings.HasPrefix(now, got) || !strings.Contains(now, "[profile tooling]\n") || !strings.Contains(now, "region = eu-west-1\n") {
		t.Errorf("a second block: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if r = w.Stile(t, nil, "config", "remove", "--diff", "--block", "hub"); r.Code != 2 || !strings.Contains(r.Stdout, "-[profile tooling]") {
		t.Errorf("remove --diff: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	for _, block := range []string{"hub", "stile"} {
		if r = w.Stile(t, nil, "config", "remove", "--yes", "--block", block); r.Code != 0 {
			t.Errorf("remove %s: %s", block, r.Stderr)
		}
	}
	if got := strings.TrimSuffix(text(t, path), "\n"); got != before {
		t.Errorf("after removing all:\n%q, want\n%q", got, before)
	}
}

func TestFlagsGoIntoTheProfile(t *testing.T) {
	w := routetest.New(t)
	example := routetest.Example(t, "payroll")
	w.Apply(t, example)
	path := filepath.Join(w.Dir, "config")
	r := w.Stile(t, nil, "config", "write", "--yes", "-f", example, "--as", "serviceaccount:ci/payroll/api", "--read-only", "--confirm", "orders-prod", "--program", "/opt/my tools/stile", "orders-prod/payroll-api")
	want := `credential_process = "/opt/my tools/stile" credential-process --declarations ` + example + ` --as serviceaccount:ci/payroll/api --read-only --confirm orders-prod orders-prod/payroll-api`
	if r.Code != 0 || !strings.Contains(text(t, path), want+"\n") {
		t.Errorf("exit %d, %s%s, want %s", r.Code, r.Stdout, r.Stderr, want)
	}
}

func TestNothingIsWrittenUnlessItIsSureAndConfirmed(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	path := w.Write(t, "config", before+"\n[profile orders-prod-payroll-api]\nregion = eu-west-1\n")
	was := text(t, path)
	for _, c := range []struct {
		want string
		args []string
	}{
		{"nobody can be asked here", []string{"--profile-template", "x-{role}", "orders-prod/payroll-api"}},
		{"the file has a section [profile orders-prod-payroll-api] of its own", []string{"--yes", "orders-prod/payroll-api"}},
		{"no address fits", []string{"--yes", "nobody/*"}},
		{"would both be profile orders-prod", []string{"--yes", "--profile-template", "{account}", "orders-prod/*"}},
		{"makes no profile's name", []string{"--yes", "--profile-template", "{acount}", "orders-prod/payroll-api"}},
		{"cannot be written", []string{"--yes", "--program", "/x/$(id)", "--profile-template", "x", "orders-prod/payroll-api"}},
		{"is no name for a block", []string{"--yes", "--block", "a b", "--profile-template", "x", "orders-prod/payroll-api"}},
		{"no way there", []string{"--yes", "-f", routetest.Example(t, "payroll"), "orders-prod/nobody"}},
	} {
		r := w.Stile(t, nil, append([]string{"config", "write"}, c.args...)...)
		if r.Code != 1 || !strings.Contains(r.Stderr, c.want) || text(t, path) != was {
			t.Errorf("%q: exit %d, %s, want %q and the file as it was", c.args, r.Code, r.Stderr, c.want)
		}
	}
	if r := w.Stile(t, nil, "config", "write", "--diff", "--profile-template", "x-{role}", "orders-prod/payroll-api"); r.Code != 2 || text(t, path) != was {
		t.Errorf("--diff: exit %d, %s", r.Code, r.Stderr)
	}
}

func TestPersonIsAsked(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	path := filepath.Join(w.Dir, "config")
	for answer, written := range map[string]bool{"no\n": false, "": false, "y\n": false, "yes\n": true} {
		_ = os.Remove(path)
		env := append(os.Environ(), w.Env...)
		var out, errs bytes.Buffer
		s := &term.Streams{In: strings.NewReader(answer), Out: &out, Err: &errs, Ask: true, Terminal: true, Environ: func() []string { return env }, Env: func(name string) (string, bool) {
			for _, v := range w.Env {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value, true
				}
			}
			return "", false
		}}
		code := cli.Main([]string{"config", "write", "orders-prod/payroll-api"}, s)
		_, err := os.Stat(path)
		if (err == nil) != written || (code == 0) != written || !strings.Contains(out.String(), "+[profile") {
			t.Errorf("answer %q: exit %d, %v, %s%s", answer, code, err, out.String(), errs.String())
		}
	}
}

// Killed at any moment, the file is the old one or the new one.
func TestKilledWhileWriting(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	for _, step := range []string{"create", "write", "sync", "compare", "rename", "sync directory"} {
		path := w.Write(t, "config", before)
		cmd := w.Command(t, "stile-killed", "--yes", "orders-prod/payroll-api")
		cmd.Env = append(cmd.Env, "KILL="+step)
		if r := routetest.Run(t, cmd); r.Code != -1 {
			t.Fatalf("%s: it was not killed: exit %d, %s", step, r.Code, r.Stderr)
		}
		got := text(t, path)
		if whole := strings.HasPrefix(got, before) && strings.HasSuffix(got, "# stile end stile\n"); got != before && !whole || whole != (step == "sync directory") {
			t.Errorf("killed before %s: %q", step, got)
		}
		if r := w.Stile(t, nil, "config", "write", "--yes", "orders-prod/payroll-api"); r.Code != 0 {
			t.Errorf("after %s: %s", step, r.Stderr)
		}
		if got := text(t, path); !strings.HasPrefix(got, before) || strings.Count(got, "[profile orders-prod-payroll-api]") != 1 {
			t.Errorf("after %s: %q", step, got)
		}
	}
}

// What is in the file outside the block stays, whatever it is, through writing
// and removing.
func TestOddFilesStayAsTheyAre(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	if _, err := exec.LookPath("stile"); err != nil {
		t.Fatal(err)
	}
	lines := []string{"[profile a]", "region=x", " s3 =", "\tindented = 1", "# comment", "; other", "[default ]", "=", "\x00\xff", "key = v # c", "", "[sso-session x]", "\ufeff", "[", "]"}
	ends := []string{"\n", "\r\n", "\n\n"}
	rapid.Check(t, func(rt *rapid.T) {
		var b strings.Builder
		for range rapid.IntRange(0, 8).Draw(rt, "lines") {
			b.WriteString(rapid.SampledFrom(lines).Draw(rt, "line") + rapid.SampledFrom(ends).Draw(rt, "end"))
		}
		if rapid.Bool().Draw(rt, "cut") {
			b.WriteString("last = line")
		}
		old := b.String()
		path := w.Write(t, "config", old)
		s := cli.System()
		s.Out, s.Err = new(bytes.Buffer), new(bytes.Buffer)
		s.Env = func(name string) (string, bool) {
			for _, v := range w.Env {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value, true
				}
			}
			return "", false
		}
		if code := cli.Main([]string{"config", "write", "--yes", "orders-prod/payroll-api"}, s); code != 0 {
			rt.Fatalf("write: exit %d, %s", code, s.Err)
		}
		if got := text(t, path); !strings.HasPrefix(got, old) || !strings.Contains(got, "[profile orders-prod-payroll-api]") {
			rt.Fatalf("written: %q, was %q", got, old)
		}
		if code := cli.Main([]string{"config", "remove", "--yes"}, s); code != 0 {
			rt.Fatalf("remove: exit %d, %s", code, s.Err)
		}
		if got := text(t, path); got != old && strings.TrimRight(got, "\r\n") != strings.TrimRight(old, "\r\n") {
			rt.Fatalf("removed: %q, was %q", got, old)
		}
	})
}

// signedIn is a world in which somebody has listed one account of an Identity
// Center.
func signedIn(t *testing.T) *logintest.World {
	t.Helper()
	w := logintest.New(t)
	if r := w.Stile(t, nil, "ls", "--login", "team-3/"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	return w
}

func TestAddressesThatLeadNowhereAreNotWritten(t *testing.T) {
	w := signedIn(t)
	path := w.Write(t, "config", "")
	for _, c := range []struct {
		address, want string // "" for written
	}{
		{"team-3/Admin", ""},
		{"team-4/Admin", ""}, // not listed before, and asked for
		{"100000000005/ReadOnly", ""},
		{"team-3/Admni", `there is no permission set Admni in that account, but Admin, ReadOnly; did you mean "Admin"?`},
		{"team-33/Admin", "no account team-33"},
		{"999999999999/Admin", "acme lists no account 999999999999"},
		{"acmee", `did you mean "acme"?`},
		{"arn:aws:iam::100000000003:role/none", "arn:aws:iam::100000000003:role/none"},
	} {
		was := text(t, path)
		r := w.Stile(t, nil, "config", "write", "--yes", "--file", path, c.address)
		switch {
		case c.want == "" && (r.Code != 0 || !strings.Contains(text(t, path), " "+c.address+"\n")):
			t.Errorf("%s: exit %d, %s", c.address, r.Code, r.Stderr)
		case c.want != "" && (r.Code != 1 || !strings.Contains(r.Stderr, c.want) || text(t, path) != was):
			t.Errorf("%s: exit %d, %s, want %q and the file as it was", c.address, r.Code, r.Stderr, c.want)
		}
	}
	if n := w.Pages(t); n != 1 {
		t.Errorf("%d pages were shown, want that of the list", n)
	}
}

func TestWhatNobodyCanTellIsWrittenWhenToldTo(t *testing.T) {
	w := signedIn(t)
	if r := w.Stile(t, nil, "logout"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	path := w.Write(t, "config", "")
	write := func(args ...string) routetest.Result {
		return w.Stile(t, nil, append([]string{"config", "write", "--yes", "--file", path}, args...)...)
	}
	if r := write("team-3/Admin"); r.Code != 0 { // it was listed
		t.Errorf("what is known: exit %d, %s", r.Code, r.Stderr)
	}
	if r := write("team-4/Admin"); r.Code != 1 || !strings.Contains(r.Stderr, "--unchecked") || !strings.Contains(r.Stderr, "stile login acme") {
		t.Errorf("what is not: exit %d, %s", r.Code, r.Stderr)
	}
	if r := write("--unchecked", "team-4/Admin"); r.Code != 0 || !strings.Contains(text(t, path), "team-4/Admin") {
		t.Errorf("unchecked: exit %d, %s", r.Code, r.Stderr)
	}
}
