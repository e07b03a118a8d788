package cli_test

import (
	"bytes"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/cli/term"
)

// printing are the commands that print something and are run otherwise than in
// jsonCommands.
var printing = map[string][]string{
	"login":                 {"login", "--json"},
	"secrets list":          {"secrets", "list", "--json"},
	"broker status":         {"broker", "status", "--json"},
	"each":                  {"each", "orders-prod/payroll-api", "--", "echo", "hello"},
	"env":                   {"env", "orders-prod/payroll-api"},
	"credential-process":    {"credential-process", "orders-prod/payroll-api"},
	"console":               {"console", "--print", "orders-prod/payroll-api"},
	"sessions export":       {"sessions", "export"},
	"config write":          {"config", "write", "--yes", "orders-prod/payroll-api"},
	"local state":           {"local", "state"},
	"local denials":         {"local", "denials"},
	"local clock":           {"local", "clock"},
	"local fault":           {"local", "fault", "list"},
	"local token":           {"local", "token", "--cluster", "tooling/ci", "payroll/api"},
	"shell-init":            {"shell-init", "bash"},
	"completion bash":       {"completion", "bash"},
	"completion fish":       {"completion", "fish"},
	"completion powershell": {"completion", "powershell"},
	"completion zsh":        {"completion", "zsh"},
	"version":               {"version"},
	"help":                  {"help", "plan"},
}

// elsewhere are the commands whose output is not stile's own, is for somebody who
// is still there, or goes to standard error.
var elsewhere = []string{
	"exec",                                                 // the program's
	"serve", "broker", "broker run", "local start", "demo", // who reads their first lines waits for them
	"use",                                    // for a shell
	"broker stop", "config remove", "logout", // tell on standard error
	"secrets migrate", "secrets rm", "local sign-in", //
	"sessions add", "sessions edit", "sessions import", "sessions rm",
}

// What a command prints and cannot write is no success: whoever reads a file from a
// full disk has to know. Whether the command looks at its errors is no matter.
func TestNothingPrintedIsLostInSilence(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no file that is full")
	}
	w, people := routetest.New(t), logintest.New(t)
	prepareJSON(t, w)
	commands := map[string][]string{}
	var names []string
	walk(cli.Root(cli.System()), func(name string, _ *cobra.Command) {
		args := printing[name]
		if args == nil {
			args = jsonCommands[name]
		}
		if args == nil && !slices.Contains(elsewhere, name) {
			t.Errorf("stile %s is nowhere in the tables of what is printed", name)
		}
		if args != nil {
			commands[name], names = args, append(names, name)
		}
	})
	slices.SortStableFunc(names, func(a, b string) int { return place(a) - place(b) })
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, name := range names {
		args := strings.Split(strings.ReplaceAll(strings.Join(commands[name], "\n"), "PAYROLL", w.Dir+"/payroll"), "\n")
		in := w
		if slices.Contains(jsonOfPeople, name) {
			in = people.World
		}
		if name == "observe" { // its file is what the others read
			if r := in.Stile(t, nil, args...); r.Code != 0 {
				t.Fatal(r.Stderr)
			}
		}
		cmd := in.Command(t, "stile", args...)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = full, &said
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != 1 || strings.Count(said.String(), "no space left on device") != 1 || !strings.Contains(said.String(), "writing standard output: no space left on device\n") {
			t.Errorf("stile %s: exit %d, %q, want 1 and that standard output could not be written, once", name, code, said.String())
		}
	}
}

// walk calls f for every command that can be run.
func walk(root *cobra.Command, f func(name string, cmd *cobra.Command)) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var each func(cmd *cobra.Command, path string)
	each = func(cmd *cobra.Command, path string) {
		if cmd.Runnable() && path != "" {
			f(path, cmd)
		}
		for _, sub := range cmd.Commands() {
			each(sub, strings.TrimSpace(path+" "+sub.Name()))
		}
	}
	each(root, "")
}

// broken is a standard output that cannot be written.
type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

// A reader that has read enough is no trouble, and no success of what it did not read.
func TestAReaderThatGoesAwayIsToldNothing(t *testing.T) {
	var said bytes.Buffer
	s := &term.Streams{Out: broken{syscall.EPIPE}, Err: &said, Env: func(string) (string, bool) { return "", false }}
	if code := cli.Main([]string{"--version"}, s); code != 141 || said.Len() > 0 {
		t.Errorf("exit %d, said %q, want 141 and nothing", code, said.String())
	}
}

// A service may run without HOME: the system knows whose home it is.
func TestHomeNeedNotBeInTheEnvironment(t *testing.T) {
	if me, err := user.Current(); err != nil || me.HomeDir == "" {
		t.Skip("the system knows no home either")
	}
	w := routetest.New(t)
	w.Env = slices.DeleteFunc(slices.Clone(w.Env), func(v string) bool { return strings.HasPrefix(v, "HOME=") })
	for _, name := range []string{"CONFIG", "CACHE", "DATA"} { // what the real home has is not looked at
		w.Env = append(w.Env, "XDG_"+name+"_HOME="+filepath.Join(w.Dir, strings.ToLower(name)))
	}
	if r := w.Stile(t, nil, "sessions", "list"); r.Code != 0 {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
}
