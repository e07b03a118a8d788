package flight_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/session/flight"
)

type absent struct{ error }

func (absent) Unshared() bool { return true }

// That one has nobody to ask is nothing to another who waits: it asks its own person.
func TestWhoHasNobodyToAskSpeaksForNobody(t *testing.T) {
	dir := t.TempDir()
	never := func() bool { return false }
	fetching, waiting := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- flight.Do(t.Context(), dir, "x", never, func(context.Context) error {
			close(fetching)
			<-waiting
			return absent{errors.New("nobody is there")}
		})
	}()
	<-fetching
	second := make(chan error, 1)
	looked := make(chan struct{})
	var once sync.Once
	fetched := false
	go func() {
		second <- flight.Do(t.Context(), dir, "x", func() bool { once.Do(func() { close(looked) }); return false }, func(context.Context) error {
			fetched = true
			return nil
		})
	}()
	<-looked
	close(waiting)
	if err := <-first; err == nil {
		t.Error("the first has no failure")
	}
	if err := <-second; err != nil || !fetched {
		t.Errorf("the second: %v, fetched %t, want that it tries itself", err, fetched)
	}
}

func TestWhoWaitsIsToldForWhoseAnswer(t *testing.T) {
	dir := t.TempDir()
	never := func() bool { return false }
	asked, told := make(chan struct{}), make(chan string, 1)
	first := make(chan error, 1)
	go func() {
		first <- flight.Do(t.Context(), dir, "outer", never, func(ctx context.Context) error {
			return flight.Do(ctx, dir, "inner", never, func(ctx context.Context) error {
				answered := flight.Asking(ctx, 4711, "MFA code of dana: ")
				defer answered()
				close(asked)
				text := <-told
				if want := "waiting for an answer at the terminal of process 4711, which asks: MFA code of dana"; text != want {
					t.Errorf("told %q, want %q", text, want)
				}
				return absent{errors.New("no")}
			})
		})
	}()
	<-asked
	ctx := flight.WithNote(t.Context(), func(text string) { told <- text })
	if err := flight.Do(ctx, dir, "outer", never, func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := <-first; err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("the first: %v", err)
	}
	flight.Asking(t.Context(), 1, "outside")() // with nobody who waits
}

// A holder that was killed while it asked is not waited for under its name.
func TestKilledHoldersAreForgotten(t *testing.T) {
	dir := t.TempDir()
	never := func() bool { return false }
	_ = flight.Do(t.Context(), dir, "x", never, func(ctx context.Context) error {
		flight.Asking(ctx, 4711, "MFA code")
		return context.Canceled // which nothing is written of
	})
	fetching, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- flight.Do(t.Context(), dir, "x", never, func(context.Context) error { close(fetching); <-release; return nil })
	}()
	<-fetching
	ctx, stop := context.WithTimeout(flight.WithNote(t.Context(), func(text string) { t.Errorf("told %q", text) }), 3*time.Second)
	defer stop()
	if _, err := flight.Acquire(ctx, dir, "x"); err == nil {
		t.Error("the lock was had twice")
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
