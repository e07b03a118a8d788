// Package tty asks the person at the terminal, whatever standard input and
// output are: those belong to the program that wants credentials.
package tty

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrNone means that this program has no terminal.
var ErrNone = errors.New("there is no terminal to ask at")

// Ask asks for a line. Show it is seen while it is typed.
func Ask(ctx context.Context, prompt string, show bool) (string, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", ErrNone
	}
	defer f.Close()
	fd := int(f.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", ErrNone
	}
	if _, err := fmt.Fprint(f, prompt); err != nil {
		return "", ErrNone
	}
	type line struct {
		text string
		err  error
	}
	read := make(chan line, 1)
	go func() { // a terminal's read cannot be interrupted: when ctx ends this stays until the program does
		if show {
			text, err := bufio.NewReader(f).ReadString('\n')
			read <- line{text, err}
			return
		}
		text, err := term.ReadPassword(fd)
		_, _ = fmt.Fprintln(f)
		read <- line{string(text), err}
	}()
	select {
	case l := <-read:
		return strings.TrimSpace(l.text), l.err
	case <-ctx.Done():
		_ = term.Restore(fd, state)
		return "", context.Cause(ctx)
	}
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
	_, err = fmt.Fprintln(f, text)
	return err == nil
}
