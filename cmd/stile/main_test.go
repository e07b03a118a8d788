package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/issuelog"
)

// program builds the real program, once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "stile-program-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "stile")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return dir, fmt.Errorf("building stile: %w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// place is somebody's home, with a source of credentials that counts how often it
// was asked.
type place struct {
	dir, runtime, state string
	program             string
	env                 []string
}

const address = "work"

// newPlace makes a place whose source gives credentials of a length of life.
func newPlace(t testing.TB, life time.Duration) *place {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &place{dir: dir, runtime: filepath.Join(dir, "runtime"), state: filepath.Join(dir, "state", "stile"), program: path}
	for _, d := range []string{p.runtime, filepath.Join(dir, "below")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_RUNTIME_DIR=" + p.runtime, "XDG_STATE_HOME=" + filepath.Join(dir, "state"),
		"XDG_CONFIG_HOME=" + filepath.Join(dir, "config"), "AWS_EC2_METADATA_DISABLED=true", "STILE_BROKER=off", "GODEBUG=inittrace=1",
	}
	p.source(t, "ASIA", life)
	return p
}

// source writes the sessions: one program, whose access key ids begin with prefix.
func (p *place) source(t testing.TB, prefix string, life time.Duration) {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\necho x >>%[1]s/calls\necho '{\"Version\":1,\"AccessKeyId\":\"%[2]s'$(wc -l <%[1]s/calls)'\",\"SecretAccessKey\":\"hush\",\"SessionToken\":\"hush\",\"AccountId\":\"222222222222\",\"Expiration\":\"%[3]s\"}'\n",
		p.dir, prefix, time.Now().Add(life).UTC().Format(time.RFC3339))
	p.write(t, prefix+".sh", script, 0o700)
	p.write(t, "config/stile/sessions.yaml", "sources:\n- name: "+address+"\n  process: {command: "+filepath.Join(p.dir, prefix+".sh")+"}\n", 0o600)
}

func (p *place) write(t testing.TB, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// result is how the program ended.
type result struct {
	stdout, stderr string
	code           int
	inits          []string // the packages that were initialised, in their order
}

// early reports that the answer came before the program was initialised.
func (r *result) early() bool {
	return !strings.Contains(strings.Join(r.inits, "\n"), "spf13/cobra")
}

func (r *result) key() string {
	var out struct{ AccessKeyID string }
	if r.code != 0 || json.Unmarshal([]byte(r.stdout), &out) != nil {
		return ""
	}
	return out.AccessKeyID
}

// run runs the program in the directory below, with more environment.
func (p *place) run(t testing.TB, env []string, args ...string) *result {
	t.Helper()
	return p.finish(t, p.command(t, env, args...))
}

func (p *place) command(t testing.TB, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), p.program, args...)
	cmd.Dir, cmd.Env = filepath.Join(p.dir, "below"), append(p.env[:len(p.env):len(p.env)], env...)
	return cmd
}

func (p *place) finish(t testing.TB, cmd *exec.Cmd) *result {
	t.Helper()
	var stdout, stderr strings.Builder
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	r := &result{code: cmd.ProcessState.ExitCode(), stdout: stdout.String()}
	for line := range strings.Lines(stderr.String()) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "init" && strings.HasPrefix(fields[2], "@") {
			r.inits = append(r.inits, fields[1])
		} else {
			r.stderr += line
		}
	}
	return r
}

// get asks for credentials, and wants them without a word.
func (p *place) get(t testing.TB, env ...string) *result {
	t.Helper()
	r := p.run(t, env, "credential-process", address)
	if r.key() == "" || r.stderr != "" {
		t.Fatalf("exit %d, stdout %q, stderr %q, want credentials", r.code, r.stdout, r.stderr)
	}
	return r
}

// warm has credentials kept.
func (p *place) warm(t testing.TB, env ...string) string {
	t.Helper()
	first := p.get(t, env...)
	if first.early() {
		t.Fatal("there was an answer before anything was kept")
	}
	if r := p.get(t, env...); !r.early() || r.stdout != first.stdout {
		t.Fatalf("early %t, %q, want what was kept, %q, early", r.early(), r.stdout, first.stdout)
	}
	return first.key()
}

// files are those that are kept of a kind, credentials or alias.
func (p *place) files(t testing.TB, kind string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.runtime, "stile", kind, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v, want some", kind, files, err)
	}
	return files
}

// kept changes what is kept of the credentials.
func (p *place) kept(t testing.TB, change func(fields map[string]any)) {
	t.Helper()
	for _, file := range p.files(t, "credentials") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		change(fields)
		if text, err = json.Marshal(fields); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// log is what was logged.
func (p *place) log(t testing.TB) []issuelog.Entry {
	t.Helper()
	entries, broken, err := issuelog.Read(p.state, time.Time{})
	if err != nil || broken > 0 {
		t.Fatalf("reading the log: %d broken, %v", broken, err)
	}
	return entries
}
