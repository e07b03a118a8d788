package term

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

// brokenPipe is how shells tell that a reader went away: 128 and SIGPIPE, by which
// the process ends by itself where that is not ignored.
const brokenPipe = signaled + int(syscall.SIGPIPE)

// Output is a standard output that remembers the first error of writing to it, so
// that one place finds out what none of those who write looks at. It is safe for
// concurrent use.
type Output struct {
	to io.Writer

	mu  sync.Mutex // guards err
	err error
}

// NewOutput gives an Output that writes to another.
func NewOutput(to io.Writer) *Output { return &Output{to: to} }

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.err == nil {
			o.err = err
		}
	}
	return n, err
}

// Lost is the first error of writing, nil when everything was written.
func (o *Output) Lost() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// Checked is how a command ended that wrote to this output: what it says itself,
// unless some of the output was lost that was to say all.
func (o *Output) Checked(err error) error {
	lost := o.Lost()
	exit, ok := errors.AsType[*Exit](err)
	answered := err == nil || ok && exit.Err == nil && !exit.Child
	switch {
	case lost == nil || !answered && !errors.Is(err, lost):
		return err
	case errors.Is(lost, syscall.EPIPE): // who reads has read enough, and is told nothing
		return &Exit{Code: brokenPipe}
	}
	if cause, ok := errors.AsType[syscall.Errno](lost); ok {
		lost = cause // the path is /dev/stdout, whatever it is
	}
	return fmt.Errorf("writing standard output: %w", lost)
}

// Inherited is the standard output for a program that is started: the file itself,
// not what watches over what stile writes to it.
func (s *Streams) Inherited() io.Writer {
	if o, ok := s.Out.(*Output); ok {
		return o.to
	}
	return s.Out
}
