// Package filelock is a lock that one process of all has, and one goroutine of it: a
// file that the kernel has locked. It ends with the process, however that ends.
//
// Start with [Try] or, to wait, [Acquire]. Locks are those of open files (flock(2)), and
// the file may stay for the next one or go with the lock. Nothing is kept in it here:
// package session/flight leaves in it what those who wait should know.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrHeld means that somebody else has the lock.
var ErrHeld = errors.New("another process has the lock")

// Lock is a lock that is held. Give it back by one of Release and Remove.
type Lock struct {
	file *os.File
	path string
}

// Try takes the lock of a file, which is made for this user alone if it is not there;
// its directory must be. The error is ErrHeld when somebody else has it.
func Try(path string) (*Lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
		if errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ELOOP) {
			return nil, fmt.Errorf("%w; remove it, it is no lock of stile's", err)
		}
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			_ = f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, ErrHeld
			}
			return nil, &os.PathError{Op: "flock", Path: path, Err: err}
		}
		if same(f, path) {
			return &Lock{f, path}, nil
		}
		_ = f.Close() // its holder has removed it meanwhile
	}
}

func same(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}

// The pauses between looks at a lock that somebody else has.
const (
	firstPause = 2 * time.Millisecond
	maxPause   = 40 * time.Millisecond
)

// Acquire waits for the lock of a file until ctx ends: the error is ErrHeld then, and
// ctx's cause.
func Acquire(ctx context.Context, path string) (*Lock, error) {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		l, err := Try(path)
		if !errors.Is(err, ErrHeld) {
			return l, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// File is the file itself, to keep something in it. It is closed with the lock.
func (l *Lock) File() *os.File { return l.file }

// Release gives the lock back. The file stays.
func (l *Lock) Release() { _ = l.file.Close() }

// Remove gives the lock back, and removes its file, unless another has that place by
// now: somebody may have cleaned the directory up.
func (l *Lock) Remove() {
	if same(l.file, l.path) {
		_ = os.Remove(l.path)
	}
	l.Release()
}
