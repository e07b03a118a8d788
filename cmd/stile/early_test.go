package main_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stile-aws/stile/internal/issuelog"
	"github.com/stile-aws/stile/internal/surroundings"
)

// The reason for package early: what is expensive to initialise comes after it.
func TestNothingExpensiveIsInitialisedBeforeTheAnswer(t *testing.T) {
	p := newPlace(t, time.Hour)
	p.warm(t)
	r := p.get(t)
	if len(r.inits) < 10 {
		t.Fatalf("the trace has %d packages: %v", len(r.inits), r.inits)
	}
	for _, pkg := range r.inits {
		for _, late := range []string{"github.com/aws/aws-sdk-go-v2/service/", "go.yaml.in/", "net", "net/http", "regexp", "path/filepath", "github.com/spf13/", "github.com/stile-aws/stile/internal/cli"} {
			if pkg == late || strings.HasSuffix(late, "/") && strings.HasPrefix(pkg, late) {
				t.Errorf("%s is initialised before the answer", pkg)
			}
		}
	}
	if all := p.run(t, nil, "--version").inits; len(all) < 2*len(r.inits) || !slices.ContainsFunc(all, func(pkg string) bool { return strings.HasPrefix(pkg, "github.com/aws/aws-sdk-go-v2/service/") }) {
		t.Errorf("the whole program initialises %d packages, the answer %d: the comparison says nothing", len(all), len(r.inits))
	}
}

func TestOtherArgumentsAreForTheWholeProgram(t *testing.T) {
	p := newPlace(t, time.Hour)
	key := p.warm(t)
	for _, args := range [][]string{
		{"credential-process", "--no-broker", address},
		{"credential-process", "--", address},
		{"credential-process", address, "--as", ""},
	} {
		if r := p.run(t, nil, args...); r.early() || r.key() != key {
			t.Errorf("%v: early %t, exit %d, %s%s, want what is kept from the whole program", args, r.early(), r.code, r.stdout, r.stderr)
		}
	}
	for _, args := range [][]string{{}, {"credential-process"}, {"credential-process", ""}, {"credential-process", "--help"}, {"credential-process", address, address}, {"env", address}} {
		if r := p.run(t, nil, args...); r.early() {
			t.Errorf("%v is answered early: %s", args, r.stdout)
		}
	}
}

// Whatever changes the way, or whether it may be gone, is for the whole program.
func TestWhatIsUnusualIsForTheWholeProgram(t *testing.T) {
	past, ago := time.Now().Add(-time.Minute), time.Now().Add(-2*time.Minute)
	for _, c := range []struct {
		name   string
		change func(t *testing.T, p *place)
		env    []string
		anew   bool // other credentials are fetched
	}{
		{"nothing", func(*testing.T, *place) {}, nil, false},
		{"a guard here", func(t *testing.T, p *place) {
			p.write(t, "below/.stile-guard.yaml", "allow: {accounts: ['*']}\n", 0o600)
		}, nil, false},
		{"a guard above", func(t *testing.T, p *place) { p.write(t, ".stile-guard.yaml", "allow: {accounts: ['*']}\n", 0o600) }, nil, false},
		{"other sessions", func(t *testing.T, p *place) { p.source(t, "OTHER", time.Hour) }, nil, true},
		{"another AWS config", func(t *testing.T, p *place) { p.write(t, ".aws/config", "[default]\n", 0o600) }, nil, false},
		{"other AWS credentials", func(t *testing.T, p *place) { p.write(t, ".aws/credentials", "[default]\n", 0o600) }, nil, false},
		{"another environment", func(*testing.T, *place) {}, []string{"AWS_REGION=eu-west-1"}, true}, // a program may heed it
		{"another profile", func(*testing.T, *place) {}, []string{"AWS_PROFILE=other"}, true},
		{"another AWS", func(*testing.T, *place) {}, []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1"}, true},
		{"what was applied", func(t *testing.T, p *place) { p.write(t, "state/stile/scopes/x/routes.json", `{"scope":"x"}`, 0o600) }, nil, false},
		{"expired", func(t *testing.T, p *place) {
			p.kept(t, func(f map[string]any) { f["expires"] = past })
		}, nil, true},
		{"fourteen minutes left", func(t *testing.T, p *place) {
			p.kept(t, func(f map[string]any) { f["fetched"], f["expires"] = ago, time.Now().Add(14*time.Minute) })
		}, nil, true},
		{"a clock that was set back", func(t *testing.T, p *place) {
			p.kept(t, func(f map[string]any) { f["fetched"] = time.Now().Add(time.Hour) })
		}, nil, true},
		{"half a file of credentials", func(t *testing.T, p *place) { halve(t, p.files(t, "credentials")) }, nil, true},
		{"half a file of a name", func(t *testing.T, p *place) { halve(t, p.files(t, "alias")) }, nil, false},
		{"credentials of another request", func(t *testing.T, p *place) {
			p.kept(t, func(f map[string]any) { f["key"] = "another" })
		}, nil, true},
		{"a directory others may read", func(t *testing.T, p *place) {
			if err := os.Chmod(filepath.Join(p.runtime, "stile"), 0o750); err != nil {
				t.Fatal(err)
			}
		}, nil, true},
		{"a directory of somebody else", func(t *testing.T, p *place) {
			if os.Getuid() != 0 {
				t.Skip("only root can give files away")
			}
			if err := os.Chown(filepath.Join(p.runtime, "stile"), 65534, 65534); err != nil {
				t.Fatal(err)
			}
		}, nil, true},
		{"a link to the directory", func(t *testing.T, p *place) {
			dir := filepath.Join(p.runtime, "stile")
			if err := os.Rename(dir, dir+"-moved"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(dir+"-moved", dir); err != nil {
				t.Fatal(err)
			}
		}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t, time.Hour)
			old := p.warm(t)
			c.change(t, p)
			r := p.get(t, c.env...)
			if usual := c.name == "nothing"; r.early() != usual {
				t.Errorf("early %t, want %t", r.early(), usual)
			}
			if anew := r.key() != old; anew != c.anew {
				t.Errorf("got %s after %s, want others: %t", r.key(), old, c.anew)
			}
		})
	}
}

func halve(t *testing.T, files []string) {
	t.Helper()
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, info.Size()/2); err != nil {
			t.Fatal(err)
		}
	}
}

// Declarations that are meant may lead elsewhere tomorrow.
func TestChangedDeclarationsAreForTheWholeProgram(t *testing.T) {
	p := newPlace(t, time.Hour)
	file := p.write(t, "declared/stile.yaml", "", 0o600)
	env := "STILE_DECLARATIONS=" + filepath.Dir(file)
	p.warm(t, env)
	p.write(t, "declared/stile.yaml", "# changed\n", 0o600)
	if r := p.get(t, env); r.early() {
		t.Error("answered early although the declarations were changed")
	}
	p.write(t, "below/stile.yaml", "", 0o600)
	if r := p.get(t); r.early() {
		t.Error("answered early although there are declarations now")
	}
}

func TestGuardKeepsOut(t *testing.T) {
	p := newPlace(t, time.Hour)
	p.warm(t)
	p.write(t, ".stile-guard.yaml", "deny: {accounts: ['*']}\n", 0o600)
	if r := p.run(t, nil, "credential-process", address); r.code != 1 || r.stdout != "" || !strings.Contains(r.stderr, "is kept out by") {
		t.Errorf("exit %d, %q, %q, want it kept out", r.code, r.stdout, r.stderr)
	}
}

// Early, by the whole program from what is kept, and fetched: the same is logged.
func TestTheLogSaysTheSameWhoeverAnswers(t *testing.T) {
	p := newPlace(t, time.Hour)
	p.warm(t)
	if r := p.run(t, nil, "credential-process", "--no-broker", address); r.early() || r.key() == "" {
		t.Fatalf("early %t, exit %d, %s", r.early(), r.code, r.stderr)
	}
	got := p.log(t)
	if len(got) != 3 {
		t.Fatalf("%d entries, want 3", len(got))
	}
	ignore := cmp.Options{cmpopts.IgnoreFields(issuelog.Entry{}, "Time"), cmpopts.IgnoreFields(issuelog.Process{}, "PID")}
	for i, entry := range got[1:] {
		if diff := cmp.Diff(got[0], entry, ignore); diff != "" {
			t.Errorf("entry %d (-first +this):\n%s", i+2, diff)
		}
	}
	if e := got[1]; e.Address != address || e.Account != "222222222222" || e.Delivery != "credential-process" || e.Source != address || e.Expires.IsZero() || len(e.Process.Parents) == 0 {
		t.Errorf("logged: %+v", e)
	}
}

func TestWhatCannotBeLogged(t *testing.T) {
	p := newPlace(t, time.Hour)
	key := p.warm(t)
	if err := os.RemoveAll(p.state); err != nil {
		t.Fatal(err)
	}
	p.write(t, "state/stile", "", 0o600) // where the directory was
	r := p.run(t, nil, "credential-process", address)
	if r.early() || r.key() != key || !strings.Contains(r.stderr, "credentials are handed out without it") {
		t.Errorf("early %t, exit %d, %q, %q, want credentials and a word", r.early(), r.code, r.stdout, r.stderr)
	}
	r = p.run(t, []string{"STILE_LOG=required"}, "credential-process", address)
	if r.early() || r.code != 1 || r.stdout != "" || !strings.Contains(r.stderr, "hands out nothing that is not logged") {
		t.Errorf("early %t, exit %d, %q, %q, want nothing handed out", r.early(), r.code, r.stdout, r.stderr)
	}
}

func TestWhatCannotBeWrittenIsAFailure(t *testing.T) {
	p := newPlace(t, time.Hour)
	p.warm(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err) // Linux has it
	}
	defer full.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	_ = reader.Close()
	for name, out := range map[string]io.Writer{"a full disk": full, "a pipe nobody reads": writer} {
		cmd := p.command(t, nil, "credential-process", address)
		cmd.Stdout = out
		r := p.finish(t, cmd)
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !r.early() || r.code == 0 || !status.Signaled() && !strings.Contains(r.stderr, "stile: writing credentials: ") {
			t.Errorf("%s: early %t, exit %d, %q, want a failure", name, r.early(), r.code, r.stderr)
		}
	}
}

// Containers and CI name no runtime directory.
func TestWithoutARuntimeDirectory(t *testing.T) {
	const unset = "XDG_RUNTIME_DIR="
	for _, c := range []struct {
		name  string
		dir   func(dir string) error // makes the directory that stile would
		env   string
		early bool
	}{
		{"a directory in memory is made", func(string) error { return nil }, "", true},
		{"one that others can read is left alone", func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o755)) }, "", false},
		{"a link is left alone", func(dir string) error { return os.Symlink(t.TempDir(), dir) }, "", false},
		{"nothing is kept if that is wanted", func(string) error { return nil }, "STILE_KEEP=off", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t, time.Hour)
			paths, err := surroundings.FindPaths(func(name string) string { return map[string]string{"HOME": p.dir}[name] })
			if err != nil {
				t.Fatal(err)
			}
			if paths.Runtime == "" {
				t.Skip("there is no file system in memory here")
			}
			t.Cleanup(func() { _ = os.RemoveAll(paths.Runtime) })
			if err := c.dir(paths.Runtime); err != nil {
				t.Fatal(err)
			}
			first, second := p.get(t, unset, c.env), p.get(t, unset, c.env)
			if second.early() != c.early || (first.key() == second.key()) != c.early {
				t.Errorf("early %t, %s after %s; want what is kept: %t", second.early(), second.key(), first.key(), c.early)
			}
			if info, err := os.Lstat(paths.Runtime); c.early && (err != nil || info.Mode().Perm() != 0o700) {
				t.Errorf("%s: %v, %v, want it private", paths.Runtime, info, err)
			}
		})
	}
}
