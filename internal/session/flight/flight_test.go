package flight_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/session/flight"
)

// Locks are those of open files, so that goroutines stand for processes well.
func TestOneFetchesForAll(t *testing.T) {
	dir := t.TempDir()
	var fetches atomic.Int32
	var there atomic.Bool
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			err := flight.Do(t.Context(), dir, "x", there.Load, func(context.Context) error {
				fetches.Add(1)
				there.Store(true)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
}

func TestThoseWhoWaitShareAFailureAndThoseWhoComeLaterDoNot(t *testing.T) {
	dir := t.TempDir()
	fetching, waiting := make(chan struct{}), make(chan struct{})
	never := func() bool { return false }
	first := make(chan error)
	go func() {
		first <- flight.Do(t.Context(), dir, "x", never, func(context.Context) error {
			close(fetching)
			<-waiting
			return awserr.As(awserr.Denied, errors.New("no"))
		})
	}()
	<-fetching
	second := make(chan error)
	looked := make(chan struct{})
	var once sync.Once
	go func() {
		second <- flight.Do(t.Context(), dir, "x", func() bool { once.Do(func() { close(looked) }); return false }, func(context.Context) error {
			t.Error("fetched although it waited for a failure")
			return nil
		})
	}()
	<-looked
	close(waiting)
	if err := <-first; err == nil || err.Error() != "no" {
		t.Errorf("first: %v", err)
	}
	var other *flight.Error
	if err := <-second; !errors.As(err, &other) || other.Text != "no" || awserr.KindOf(err) != awserr.Denied {
		t.Errorf("second: %v, a kind of %s, want the first one's failure", err, awserr.KindOf(err))
	}
	if at := flight.Failed(dir, "x"); time.Since(at) > time.Minute || time.Since(at) < 0 {
		t.Errorf("it failed at %s, want now", at)
	}
	if at := flight.Failed(dir, "y"); !at.IsZero() {
		t.Errorf("what was never fetched failed at %s", at)
	}
	again := false
	if err := flight.Do(t.Context(), dir, "x", never, func(context.Context) error { again = true; return nil }); err != nil || !again {
		t.Errorf("later: %v, fetched %v, want a fetch", err, again)
	}
}

// A failure of before the clock was set back is none that anybody waited for.
func TestFailuresOfTheFutureAreOver(t *testing.T) {
	dir := t.TempDir()
	never := func() bool { return false }
	_ = flight.Do(t.Context(), dir, "x", never, func(context.Context) error { return errors.New("no") })
	file := filepath.Join(dir, "x.lock")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(text, []byte(`"at":"20`), []byte(`"at":"21`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if at := flight.Failed(dir, "x"); at.Year() < 2100 {
		t.Fatalf("it failed at %s, want a hundred years later", at)
	}
	fetched := false
	if err := flight.Do(t.Context(), dir, "x", never, func(context.Context) error { fetched = true; return nil }); err != nil || !fetched {
		t.Errorf("Do = %v, fetched %t, want a fetch", err, fetched)
	}
}

func TestInterruptedFetchSpeaksForNobody(t *testing.T) {
	dir := t.TempDir()
	never := func() bool { return false }
	_ = flight.Do(t.Context(), dir, "x", never, func(context.Context) error { return context.Canceled })
	if text, err := os.ReadFile(filepath.Join(dir, "x.lock")); err != nil || len(text) > 0 {
		t.Errorf("the lock's file holds %q, %v, want nothing", text, err)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	dir := t.TempDir()
	lock, err := flight.Acquire(t.Context(), dir, "x")
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := flight.Acquire(ctx, dir, "x"); !errors.Is(err, gone) {
		t.Errorf("waiting: %v, want %v", err, gone)
	}
	lock.Release()
	next, err := flight.Acquire(t.Context(), dir, "x")
	if err != nil {
		t.Fatal(err)
	}
	next.Release()
}
