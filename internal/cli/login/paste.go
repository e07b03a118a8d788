package login

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session/tty"
)

// maxPaste bounds what is read: codes make these addresses some thousand
// characters long.
const maxPaste = 64 << 10

// pasting reads the address at which the browser ends up, or the code that the page
// shows there: from standard input where that is no terminal, a line each time, and when it has ended from the
// terminal.
func pasting(s *term.Streams, code bool) func(ctx context.Context, problem error) (string, error) {
	in := bufio.NewReader(io.LimitReader(s.In, maxPaste))
	ended := s.Ask
	what := "the address"
	if code {
		what = "the code"
	}
	return func(ctx context.Context, problem error) (string, error) {
		if problem != nil {
			s.Note("stile: %v", problem)
		}
		if !ended {
			text, err := line(ctx, in)
			if text != "" || err != nil {
				return text, err
			}
			ended = true
		}
		text, err := tty.Ask(ctx, what+" that the browser ends up at: ", true)
		if errors.Is(err, tty.ErrNone) {
			err = errors.New("nobody can paste " + what + ": standard input has ended, and there is no terminal")
			if problem != nil {
				err = problem
			}
		}
		return text, err
	}
}

// line is the next line that is not empty, "" at the end.
func line(ctx context.Context, in *bufio.Reader) (string, error) {
	read := make(chan string, 1)
	go func() { // a pipe's read cannot be interrupted: when ctx ends this stays until the program does
		for {
			text, err := in.ReadString('\n')
			if text = strings.TrimSpace(text); text != "" || err != nil {
				read <- text
				return
			}
		}
	}()
	select {
	case text := <-read:
		return text, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
