package exec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stile-aws/stile/internal/cli/child"
	"github.com/stile-aws/stile/internal/cli/term"
)

// The exit codes of shells for what cannot be started.
const (
	notExecutable = 126
	notFound      = 127
	signaled      = 128 // plus the signal's number
)

// forwarded are the signals that people and supervisors send.
var forwarded = []os.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT,
}

// run runs a command on our own streams until it ends, and makes its exit
// status ours.
func run(s *term.Streams, command, environ []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = s.In, s.Inherited(), s.Err, environ
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return &term.Exit{Code: startCode(err), Err: fmt.Errorf("starting %s: %w", command[0], child.StartError(err))}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			if !typed(sig) {
				_ = cmd.Process.Signal(sig) // it may have ended this moment
			}
		case err := <-ended:
			return outcome(cmd, err)
		}
	}
}

func startCode(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return notFound
	}
	return notExecutable
}

// outcome maps the command's end to our exit code.
func outcome(cmd *exec.Cmd, err error) error {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		return &term.Exit{Code: signaled + int(status.Signal()), Child: true}
	case cmd.ProcessState.ExitCode() > 0:
		return &term.Exit{Code: cmd.ProcessState.ExitCode(), Child: true}
	case err != nil:
		return fmt.Errorf("running %s: %w", cmd.Path, err)
	}
	return nil
}

// typed reports a signal that the terminal has sent to the command itself too:
// Ctrl-C and the like go to everybody in the foreground. To pass it on would be
// to press the key twice, which some programs take for "at once".
func typed(sig os.Signal) bool {
	switch sig {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH, syscall.SIGCONT:
	default:
		return false
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	foreground, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && foreground == unix.Getpgrp()
}
