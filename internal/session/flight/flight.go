// Package flight lets the processes of one user do together what only one of
// them should do: open a browser, spend a refresh token, ask for a code.
//
// [Do] is all of it for most. It needs no server: a lock file a name, which the
// kernel gives up when its holder dies. Who waited for another's attempt shares
// its outcome, a failure too, unless that was the other's own ([Unshared]); and is
// told ([WithNote]) what question a person has before them meanwhile ([Asking]).
package flight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/filelock"
)

// Error is the failure of another process that this one waited for.
type Error struct {
	Text string
}

// Error is what the other process was told.
func (e *Error) Error() string { return e.Text }

// Unshared is a failure that is due to who fetched: nobody was there to be asked,
// say. Those who wait try themselves.
type Unshared interface {
	error
	// Unshared reports that it is.
	Unshared() bool
}

func unshared(err error) bool {
	u, ok := errors.AsType[Unshared](err)
	return ok && u.Unshared()
}

// Do makes sure that have becomes true: if it is not, one process at a time
// calls fetch. A process that waited while another's fetch failed gets that
// failure, as *Error of the same awserr.Kind, and does not try again. dir is made if it is not there.
func Do(ctx context.Context, dir, name string, have func() bool, fetch func(context.Context) error) error {
	came := time.Now()
	if have() {
		return nil
	}
	l, err := Acquire(ctx, dir, name)
	if err != nil {
		return err
	}
	defer l.Release()
	if have() {
		return nil
	}
	// What failed later than now failed before the clock was set back.
	last, ok := read(l.File())
	if ok && !last.Unshared && last.At.After(came) && !last.At.After(time.Now()) {
		return awserr.As(last.Kind, &Error{Text: last.Text})
	}
	own := work{file: l.File()}
	if last.Holder != nil { // it was killed
		own.hold(nil)
	}
	own.outer, _ = ctx.Value(working{}).(*work)
	err = fetch(context.WithValue(ctx, working{}, &own))
	if err != nil && !errors.Is(err, context.Canceled) { // who was interrupted speaks for nobody else
		record(l.File(), err)
	}
	return err
}

// Acquire waits for the lock of a name, until ctx ends.
func Acquire(ctx context.Context, dir, name string) (*filelock.Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	path := filepath.Join(dir, name+".lock")
	defer explain(ctx, path)()
	l, err := filelock.Acquire(ctx, path)
	switch {
	case errors.Is(err, filelock.ErrHeld):
		return nil, fmt.Errorf("waiting for another process to finish %s: %w", name, context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	return l, nil
}

// outcome is the last failure, kept in the lock's file, and what its holder does.
type outcome struct {
	At       time.Time   `json:"at"`
	Text     string      `json:"text"`
	Kind     awserr.Kind `json:"kind"`
	Unshared bool        `json:"unshared,omitempty"`
	Holder   *holder     `json:"holder,omitempty"`
}

const maxOutcome = 64 << 10

func read(f io.ReaderAt) (outcome, bool) {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, maxOutcome))
	if err != nil || len(text) == 0 {
		return outcome{}, false
	}
	var o outcome
	return o, json.Unmarshal(text, &o) == nil
}

// Failed tells when fetching a name last failed, zero if it never did. Nobody is
// waited for.
func Failed(dir, name string) time.Time {
	f, err := os.Open(filepath.Join(dir, name+".lock"))
	if err != nil {
		return time.Time{}
	}
	defer f.Close()
	last, _ := read(f)
	return last.At
}

// record leaves a failure for those who wait. Without it they try themselves.
func record(f *os.File, err error) {
	kind := awserr.KindOf(err)
	if kind == awserr.Canceled { // our time was over, not that of those who wait
		kind = awserr.Transient
	}
	write(f, outcome{At: time.Now(), Text: awserr.Text(err), Kind: kind, Unshared: unshared(err)})
}

func write(f *os.File, o outcome) {
	text, err := json.Marshal(o)
	if err != nil || f.Truncate(0) != nil {
		return
	}
	_, _ = f.WriteAt(text, 0)
}
