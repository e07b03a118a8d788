// Package tty asks the person at the terminal, whatever standard input and
// output are: those belong to the program that wants credentials.
package tty

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unicode"

	"golang.org/x/sys/unix"
)

// ErrNone means that this program has no terminal. That is nothing to others, who
// may have one: see flight.Unshared.
var ErrNone error = none{}

type none struct{}

func (none) Error() string  { return "there is no terminal to ask at" }
func (none) Unshared() bool { return true }

// ErrNoAnswer means that the person has ended the question, as by Ctrl-D.
var ErrNoAnswer = errors.New("no answer was given")

// Visible is text as people may see it at a terminal: what others wrote, such as an
// Identity Center, must not move the cursor, or change the window's title.
func Visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// Ask asks for a line. Show it is seen while it is typed.
func Ask(ctx context.Context, prompt string, show bool) (string, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", ErrNone
	}
	defer f.Close()
	fd := int(f.Fd())
	if !show {
		shown, err := hide(fd)
		if err != nil {
			return "", ErrNone
		}
		defer shown()
	}
	if _, err := fmt.Fprint(f, Visible(prompt)); err != nil {
		return "", ErrNone
	}
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() { // a terminal's read cannot be interrupted: when ctx ends this stays until the program does
		text, err := bufio.NewReader(f).ReadString('\n')
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		if !show || l.err != nil {
			_, _ = fmt.Fprintln(f)
		}
		if l.err != nil {
			return "", ErrNoAnswer
		}
		return strings.TrimSpace(l.text), nil
	case <-ctx.Done():
		_, _ = fmt.Fprintln(f)
		return "", context.Cause(ctx)
	}
}

// hide has the terminal show nothing of what is typed, until shown is called, or a
// signal ends or stops the program that ends no question's context: a hang-up, say.
func hide(fd int) (shown func(), err error) {
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG
	hidden.Iflag |= unix.ICRNL
	set := func(state *unix.Termios) { _ = unix.IoctlSetTermios(fd, setTermios, state) } // a terminal that is gone shows nothing anyway
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTSTP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	set(&hidden)
	go func() {
		defer close(done)
		for s := range signals {
			set(before)
			if s == syscall.SIGTSTP {
				_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) // goes on here when it is continued
				set(&hidden)
				continue
			}
			signal.Reset(s)
			number, _ := s.(syscall.Signal)
			_ = syscall.Kill(os.Getpid(), number)
			return
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals) // nothing is sent any more
		<-done
		set(before)
	}, nil
}

// tries is how often a person may mistype what is asked for twice.
const tries = 3

// Secret asks for what is not to be seen; with confirm twice, and again when the
// two are not the same.
func Secret(ctx context.Context, prompt string, confirm bool) (string, error) {
	prompt = strings.TrimRight(prompt, ": ") + ": "
	ask := prompt
	for range tries {
		text, err := Ask(ctx, ask, false)
		if err != nil || !confirm {
			return text, err
		}
		again, err := Ask(ctx, "the same again: ", false)
		if err != nil || again == text {
			return text, err
		}
		ask = "The two are not the same. " + prompt
	}
	return "", errDiffer
}

// Here reports whether this program has a terminal.
func Here() bool {
	f, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// Note writes a line for the person. It reports false when there is no terminal.
func Note(text string) bool {
	f, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, Visible(text))
	return err == nil
}
