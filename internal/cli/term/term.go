// Package term is what the commands share about the terminal: the streams, the
// exit codes, and the rules of output.
//
// Main ends every command the same way: Output.Checked says whether what was written
// arrived, Code what went wrong, Ended whether somebody interrupted it.
//
// The rules: results go to standard output, everything else to standard error;
// a terminal may be decorated, a pipe is plain; --json writes one JSON value
// (or one a line, for events) and nothing else to standard output.
package term

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/session/tty"
	"github.com/stile-aws/stile/internal/surroundings"
)

// Streams are a command's inputs and outputs.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal is set when Err is a terminal somebody looks at, Ask when In is
	// one that can answer.
	Terminal, Ask bool
	// Env looks up an environment variable, as os.LookupEnv.
	Env func(name string) (string, bool)
	// Environ lists the whole environment, as os.Environ.
	Environ func() []string
}

// Getenv is the value of an environment variable, "" when it is not set.
func (s *Streams) Getenv(name string) string {
	v, _ := s.Env(name)
	return v
}

// Printf writes to standard output. An error of it is found at the end: see Output.
func (s *Streams) Printf(format string, args ...any) { fmt.Fprintf(s.Out, format, args...) }

// Note writes a line to standard error, without what would steer a terminal or turn
// the text around: names that others gave may be in it.
func (s *Streams) Note(format string, args ...any) {
	fmt.Fprintln(s.Err, tty.Visible(fmt.Sprintf(format, args...)))
}

// JSON writes v to standard output, indented.
func (s *Streams) JSON(v any) error {
	enc := json.NewEncoder(s.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// JSONLine writes v to standard output as one line.
func (s *Streams) JSONLine(v any) error {
	enc := json.NewEncoder(s.Out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// The exit codes of all commands.
const (
	OK      = 0
	Failed  = 1 // something is wrong: input, AWS, a proof that does not hold
	Changes = 2 // plan: there is something to apply
)

// Exit is an error that carries an exit code. With Err nil everything has been
// said already.
type Exit struct {
	Code  int
	Err   error
	Child bool // the code is that of a program that was run, and stays what it is
}

func (e *Exit) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit %d", e.Code)
	}
	return e.Err.Error()
}

func (e *Exit) Unwrap() error { return e.Err }

// ErrSaid ends a command whose output has said what is wrong.
var ErrSaid = &Exit{Code: Failed}

// Code maps a command's error to its exit code and prints what was not yet said.
func Code(s *Streams, err error) int {
	if err == nil {
		return OK
	}
	if errors.Is(err, context.Canceled) {
		s.Note("stile: interrupted")
		return Failed // 130 or 143, as Ended knows
	}
	code := Failed
	if exit, ok := errors.AsType[*Exit](err); ok {
		code = exit.Code
		if exit.Err == nil {
			return code
		}
	}
	if list, ok := errors.AsType[diag.List](err); ok {
		_ = list.Print(s.Err)
		return code
	}
	for _, one := range separate(err) {
		s.Note("stile: %s", awserr.Text(one))
	}
	return code
}

// separate gives the errors that errors.Join has put together.
func separate(err error) []error {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var texts []string
	var out []error
	for _, one := range many.Unwrap() {
		texts, out = append(texts, one.Error()), append(out, separate(one)...)
	}
	if err.Error() != strings.Join(texts, "\n") {
		return []error{err} // one that has several causes
	}
	return out
}

// Yes reports whether the next line of In is "yes". It is not when ctx ends
// first: a terminal's read cannot be interrupted, and stays until the program ends.
// It reads no further than the line: what follows is for the command.
func (s *Streams) Yes(ctx context.Context) bool {
	answer := make(chan string, 1)
	go func() { answer <- s.line() }()
	select {
	case line := <-answer:
		return strings.TrimSpace(line) == "yes"
	case <-ctx.Done():
		return false
	}
}

// maxLine bounds an answer.
const maxLine = 1 << 10

// line is a line of In, "" for half of one, which is no answer.
func (s *Streams) line() string {
	var line []byte
	one := make([]byte, 1)
	for len(line) < maxLine {
		n, err := s.In.Read(one)
		if n == 1 && one[0] == '\n' {
			return string(line)
		}
		if line = append(line, one[:n]...); err != nil {
			return ""
		}
	}
	return ""
}

// Args wants exactly n arguments, and says how the command is used when there
// are more or less.
func Args(n int) cobra.PositionalArgs { return ArgsBetween(n, n) }

// ArgsBetween wants from low to high arguments; high < 0 is no limit.
func ArgsBetween(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low || high >= 0 && len(args) > high {
			return fmt.Errorf("got %d arguments; usage: %s", len(args), cmd.UseLine())
		}
		return nil
	}
}

// Report prints warnings and returns the list as an error when it has errors.
func Report(s *Streams, list diag.List) error {
	if list.HasErrors() {
		return list.Err()
	}
	return list.Print(s.Err)
}

// PrivateDir makes a directory for this user alone, in memory where there is such
// a place. The caller removes it. After su the runtime directory may be another's.
func (s *Streams) PrivateDir(prefix string) (string, error) {
	base := s.Getenv("XDG_RUNTIME_DIR")
	if info, err := os.Stat(base); base == "" || err != nil || !info.IsDir() || !surroundings.Mine(info) {
		base = ""
	}
	dir, err := os.MkdirTemp(base, prefix)
	if err != nil && base != "" {
		dir, err = os.MkdirTemp("", prefix)
	}
	if err != nil {
		return "", fmt.Errorf("making a private directory: %w", err)
	}
	return dir, nil
}
