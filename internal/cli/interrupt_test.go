package cli_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// hang tells that it runs, by a pipe that has a name, and then goes on for long.
const hang = "echo ready >pipe; exec sleep 30"

// Shells stop a loop when a program of it ended by an interrupt; one that exits, even
// with 130, has dealt with it, they think, and the loop goes on.
func TestCommandsEndByTheSignalThatInterruptsThem(t *testing.T) {
	w := routetest.New(t)
	if err := syscall.Mkfifo(filepath.Join(w.Dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	program := w.Write(t, "slow.sh", "#!/bin/sh\ncd "+w.Dir+"; "+hang+"\n")
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n- name: slow\n  process: {command: "+program+"}\n")
	for _, c := range []struct {
		name string
		args []string
		sig  syscall.Signal
		exit int // -1 for the signal itself
		said string
	}{
		{"what waits for a program, by ^C", []string{"whoami", "slow"}, syscall.SIGINT, -1, "stile: interrupted\n"},
		{"what waits for a program, by kill", []string{"whoami", "slow"}, syscall.SIGTERM, -1, "stile: interrupted\n"},
		{"each", []string{"each", "tooling", "orders-prod", "--concurrency", "1", "--", "sh", "-c", hang}, syscall.SIGINT, -1, "1 not begun"},
		{"a program that was run and ends by the signal", []string{"exec", "tooling", "--", "sh", "-c", hang}, syscall.SIGTERM, -1, ""},
		{"a program that was run and says otherwise", []string{"exec", "tooling", "--", "sh", "-c", "trap 'exit 1' INT; echo ready >pipe; while :; do sleep .01; done"}, syscall.SIGINT, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := w.Command(t, "stile", c.args...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}       // no terminal whose keys could be meant
			said, err := os.Create(filepath.Join(t.TempDir(), "said")) // a file: what is run in the background may have it open for longer
			if err != nil {
				t.Fatal(err)
			}
			defer said.Close()
			cmd.Stderr = said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }) // what it left
			if _, err := os.ReadFile(filepath.Join(w.Dir, "pipe")); err != nil {
				t.Fatal(err)
			}
			wantEnd(t, cmd, c.sig, c.exit)
			if text, err := os.ReadFile(said.Name()); err != nil || !strings.Contains(string(text), c.said) {
				t.Errorf("said %q, %v, want %q", text, err, c.said)
			}
		})
	}
}

// What goes on until it is interrupted has done its work then.
func TestWhatServesUntilItIsInterruptedEndsWell(t *testing.T) {
	w := routetest.New(t)
	for _, args := range [][]string{
		{"local", "start", "--listen", "127.0.0.1:0", "--account", "a=444444444444"},
		{"serve", "tooling"},
	} {
		cmd := w.Command(t, "stile", args...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		wantEnd(t, cmd, syscall.SIGINT, 0)
	}
}

// wantEnd sends a signal, and wants the program to end with an exit code, or by the
// signal where that is -1.
func wantEnd(t *testing.T, cmd *exec.Cmd, sig syscall.Signal, exit int) {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if by := exit < 0; status.Signaled() != by || by && status.Signal() != sig || !by && status.ExitStatus() != exit {
		t.Errorf("%s ended by %v, want %d (-1 for %v)", strings.Join(cmd.Args, " "), cmd.ProcessState, exit, sig)
	}
}
