package filelock_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stile-aws/stile/internal/filelock"
)

// Locks are those of open files, so that goroutines stand for processes well.
func TestOneHasTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	for what, give := range map[string]func(*filelock.Lock){"released": (*filelock.Lock).Release, "removed": (*filelock.Lock).Remove} {
		l, err := filelock.Try(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := filelock.Try(path); !errors.Is(err, filelock.ErrHeld) {
			t.Errorf("a second one: %v, want %v", err, filelock.ErrHeld)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v, %v, want mode 0600", info, err)
		}
		give(l)
		if _, err := os.Stat(path); (err == nil) != (what == "released") {
			t.Errorf("once it is %s: %v", what, err)
		}
	}
}

// However often the file is removed by its holders, no two have the lock at once.
func TestNobodySharesALockWhoseFileGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var holders atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				l, err := filelock.Acquire(t.Context(), path)
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d have the lock", n)
				}
				runtime.Gosched()
				holders.Add(-1)
				l.Remove()
			}
		})
	}
	wg.Wait()
}

func TestALockThatAnotherHasByNowIsLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := filelock.Try(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil { // somebody cleans up
		t.Fatal(err)
	}
	second, err := filelock.Try(path)
	if err != nil {
		t.Fatal(err)
	}
	first.Remove()
	if _, err := filelock.Try(path); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("a third one: %v, want that the second has it", err)
	}
	second.Release()
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := filelock.Try(path)
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	ctx, leave := context.WithCancelCause(t.Context())
	waiting := make(chan error)
	go func() {
		_, err := filelock.Acquire(ctx, path)
		waiting <- err
	}()
	leave(gone)
	if err := <-waiting; !errors.Is(err, gone) || !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("waiting: %v, want that it is held, and %v", err, gone)
	}
	l.Release()
	if next, err := filelock.Acquire(ctx, path); err != nil {
		t.Errorf("a free one: %v", err)
	} else {
		next.Release()
	}
}

func TestWhatIsNoLockIsSaid(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "remove it", link: "remove it", filepath.Join(dir, "none", "lock"): "no such file"} {
		if _, err := filelock.Acquire(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want its name and %q", path, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "elsewhere")); err == nil {
		t.Error("a file was made behind the link")
	}
}
