// Package flight lets the processes of one user do together what only one of
// them should do: open a browser, spend a refresh token, ask for a code.
//
// [Do] is all of it for most. It needs no server: a lock file a name, which the
// kernel gives up when its holder dies. Who waited for another's attempt shares
// its outcome, a failure too.
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

	"golang.org/x/sys/unix"

	"github.com/stile-aws/stile/internal/awserr"
)

// Error is the failure of another process that this one waited for.
type Error struct {
	Text string
}

// Error is what the other process was told.
func (e *Error) Error() string { return e.Text }

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
	if last, ok := l.last(); ok && last.At.After(came) && !last.At.After(time.Now()) {
		return awserr.As(last.Kind, &Error{Text: last.Text})
	}
	err = fetch(ctx)
	if err != nil && !errors.Is(err, context.Canceled) { // who was interrupted speaks for nobody else
		l.record(err)
	}
	return err
}

// Lock is a lock that one process of all has.
type Lock struct {
	file *os.File
}

// The pauses between looks at a lock that somebody else has.
const (
	firstPause = 2 * time.Millisecond
	maxPause   = 40 * time.Millisecond
)

// Acquire waits for the lock of a name, until ctx ends. The file stays: a lock
// whose file may go can be had twice.
func Acquire(ctx context.Context, dir, name string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, name+".lock"), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("locking %s: %w; remove it, it is no lock of stile's", name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return &Lock{f}, nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			_ = f.Close()
			return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			_ = f.Close()
			return nil, fmt.Errorf("waiting for another process to finish %s: %w", name, context.Cause(ctx))
		}
	}
}

// Release gives the lock up.
func (l *Lock) Release() { _ = l.file.Close() }

// outcome is the last failure, kept in the lock's file.
type outcome struct {
	At   time.Time   `json:"at"`
	Text string      `json:"text"`
	Kind awserr.Kind `json:"kind"`
}

const maxOutcome = 64 << 10

func (l *Lock) last() (outcome, bool) {
	text, err := io.ReadAll(io.NewSectionReader(l.file, 0, maxOutcome))
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
	last, _ := (&Lock{f}).last()
	return last.At
}

// record leaves a failure for those who wait. Without it they try themselves.
func (l *Lock) record(err error) {
	kind := awserr.KindOf(err)
	if kind == awserr.Canceled { // our time was over, not that of those who wait
		kind = awserr.Transient
	}
	text, e := json.Marshal(outcome{At: time.Now(), Text: awserr.Text(err), Kind: kind})
	if e != nil || l.file.Truncate(0) != nil {
		return
	}
	_, _ = l.file.WriteAt(text, 0)
}
