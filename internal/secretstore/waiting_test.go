package secretstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stile-aws/stile/internal/filelock"
	"github.com/stile-aws/stile/internal/secretstore"
)

// typing is a person who is asked for the passphrase, and answers when told to.
type typing struct {
	asked  atomic.Int32
	answer chan string
}

func (p *typing) ask(ctx context.Context, _ string, _ bool) (string, error) {
	p.asked.Add(1)
	select {
	case phrase := <-p.answer:
		return phrase, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// byPhrase is a store with a secret, as another process finds it, and its person.
func byPhrase(t *testing.T, dir string) (*secretstore.Store, *typing) {
	t.Helper()
	cfg := secretstore.Config{Dir: dir, Keeper: secretstore.Passphrase, AskPassphrase: answering("right", nil)}
	if err := open(t, cfg).Set(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	p := &typing{answer: make(chan string)}
	cfg.AskPassphrase = p.ask
	return open(t, cfg), p
}

func TestOnePersonTypesForAllAndNobodyHasToWaitForThem(t *testing.T) {
	dir := newDir(t)
	synctest.Test(t, func(t *testing.T) {
		s, person := byPhrase(t, dir)
		got := make(chan error)
		for range 10 {
			go func() {
				_, err := s.Get(t.Context(), "a")
				got <- err
			}()
		}
		synctest.Wait()
		gone := errors.New("gone")
		ctx, leave := context.WithCancelCause(t.Context())
		left := make(chan error)
		go func() {
			_, err := s.Get(ctx, "a")
			left <- err
		}()
		synctest.Wait()
		leave(gone)
		if err := <-left; !errors.Is(err, gone) {
			t.Errorf("who left got %v, want %v", err, gone)
		}
		if err := s.Set(t.Context(), "b", []byte("2")); err != nil {
			t.Errorf("writing meanwhile, which asks nobody: %v", err)
		}
		person.answer <- "right"
		for range 10 {
			if err := <-got; err != nil {
				t.Error(err)
			}
		}
		if n := person.asked.Load(); n != 1 {
			t.Errorf("the person was asked %d times, want once", n)
		}
	})
}

func TestAWrongPassphraseIsWrongForAllWhoWait(t *testing.T) {
	dir := newDir(t)
	synctest.Test(t, func(t *testing.T) {
		s, person := byPhrase(t, dir)
		got := make(chan error)
		for range 5 {
			go func() {
				_, err := s.Get(t.Context(), "a")
				got <- err
			}()
		}
		synctest.Wait()
		for range 3 {
			person.answer <- "wrong"
		}
		for range 5 {
			if err := <-got; err == nil {
				t.Error("the secret was read by a wrong passphrase")
			}
		}
		if n := person.asked.Load(); n != 3 {
			t.Errorf("the person was asked %d times, want three attempts", n)
		}
		go func() { person.answer <- "right" }()
		if _, err := s.Get(t.Context(), "a"); err != nil {
			t.Errorf("who comes later: %v", err)
		}
	})
}

func TestWhoStopsTypingSpeaksForNobodyElse(t *testing.T) {
	dir := newDir(t)
	synctest.Test(t, func(t *testing.T) {
		s, person := byPhrase(t, dir)
		gone := errors.New("gone")
		ctx, leave := context.WithCancelCause(t.Context())
		first, second := make(chan error), make(chan error)
		go func() {
			_, err := s.Get(ctx, "a")
			first <- err
		}()
		synctest.Wait()
		go func() {
			_, err := s.Get(t.Context(), "a")
			second <- err
		}()
		synctest.Wait()
		leave(gone)
		if err := <-first; !errors.Is(err, gone) {
			t.Errorf("who left got %v, want %v", err, gone)
		}
		person.answer <- "right"
		if err := <-second; err != nil {
			t.Errorf("who stayed got %v", err)
		}
	})
}

// A lock that another process has, say while its person types, holds nobody who
// wants to go.
func TestWaitingForAnotherProcessEndsWithTheContext(t *testing.T) {
	dir := newDir(t)
	s := open(t, secretstore.Config{Dir: dir, Keeper: secretstore.KeyFile})
	if err := s.Set(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	fresh := newDir(t)
	if err := os.MkdirAll(fresh, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "lock"), filepath.Join(dir, "locks", "a"), filepath.Join(fresh, "lock")} {
		l, err := filelock.Try(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Release)
	}
	gone := errors.New("gone")
	ctx, leave := context.WithCancelCause(t.Context())
	leave(gone)
	for what, do := range map[string]func() error{
		"setting":  func() error { return s.Set(ctx, "a", []byte("2")) },
		"deleting": func() error { return s.Delete(ctx, "a") },
		"changing": func() error {
			return s.Update(ctx, "a", func([]byte) ([]byte, error) { return []byte("2"), nil })
		},
		"moving the key": func() error { return s.Migrate(ctx, secretstore.Passphrase) },
		"making a store": func() error {
			return open(t, secretstore.Config{Dir: fresh, Keeper: secretstore.KeyFile}).Set(ctx, "b", []byte("1"))
		},
	} {
		if err := do(); !errors.Is(err, gone) {
			t.Errorf("%s: %v, want %v", what, err, gone)
		}
	}
	if got, err := s.Get(t.Context(), "a"); err != nil || string(got) != "1" {
		t.Errorf("the secret is %q, %v, want it as it was", got, err)
	}
}
