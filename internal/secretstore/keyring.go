package secretstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/filelock"
	"github.com/stile-aws/stile/internal/secretstore/secretservice"
)

// SystemKeyring is what a store needs of an operating system's keyring. Get gives
// ErrNotFound when the keyring works and has no such entry. The error is ErrLocked
// when a person would have to unlock the keyring, and does not.
type SystemKeyring interface {
	Get(ctx context.Context, service, user string) (string, error)
	Set(ctx context.Context, service, user, value string) error
	Delete(ctx context.Context, service, user string) error
}

// ErrLocked means that the keyring is there, and locked: what is in it is not lost.
var ErrLocked = secretservice.ErrLocked

const service = "stile" // the keyring entry's; its user is the store's directory

const (
	// patience is how long a person may take to answer the keyring's prompt, which
	// may be on a desktop that nobody looks at. With all that comes before, credentials
	// are there or refused within the minute after which the SDK for Go gives up.
	patience = 40 * time.Second
	// working is how long the keyring may take for the rest.
	working = 10 * time.Second
)

func (s *Store) patience() time.Duration {
	if s.cfg.Patience > 0 {
		return s.cfg.Patience
	}
	return patience
}

// patiently does something with the keyring, and says so if that takes long. A
// keyring may know no end of waiting itself: what it is asked goes on then.
func (s *Store) patiently(ctx context.Context, do func(context.Context) error) error {
	bound := s.patience() + working
	ctx, stop := context.WithTimeoutCause(ctx, bound, &silentError{bound})
	defer stop()
	note := time.AfterFunc(s.patience()/20, func() {
		s.note("waiting for the keyring: it may be locked, with a prompt on the desktop that waits for you")
	})
	defer note.Stop()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// silentError is that of waiting in vain.
type silentError struct{ after time.Duration }

func (e *silentError) Error() string {
	return fmt.Sprintf("it does not answer within %s; a prompt may be waiting on the desktop", e.after)
}

// Is reports true for a deadline that is exceeded.
func (e *silentError) Is(target error) bool { return target == context.DeadlineExceeded }

func (s *Store) note(text string) {
	if s.cfg.Note != nil {
		s.cfg.Note(text)
	}
}

// prompted has the keyring's prompt answered, for one process at a time: the others
// that wait meanwhile find it unlocked, or take the answer that it stays locked.
func (s *Store) prompted(ctx context.Context, prompt func(context.Context) error) error {
	ctx, stop := context.WithTimeoutCause(ctx, s.patience(), fmt.Errorf("its prompt was not answered within %s", s.patience()))
	defer stop()
	refused := filepath.Join(s.cfg.Dir, "refused")
	before, _ := readFile(refused) // there is seldom one
	s.reached("queueing")
	lock, err := filelock.Acquire(ctx, filepath.Join(s.cfg.Dir, "prompt"))
	if err == nil { // else nothing can be written here, and each asks for itself
		defer lock.Release()
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w, and %w", ErrLocked, context.Cause(ctx))
	}
	if now, _ := readFile(refused); string(now) != string(before) {
		return fmt.Errorf("%w, and another process, which asked for it to be unlocked at %s, was refused", ErrLocked, now)
	}
	err = prompt(ctx)
	if errors.Is(err, ErrLocked) && !errors.Is(ctx.Err(), context.Canceled) {
		_ = atomicfile.Write(refused, time.Now().AppendFormat(nil, time.StampNano)) // or each of the others asks
	}
	return err
}

// keepByKeyring hands the key over and sees that it is there: the secrets are worth
// nothing without.
func (s *Store) keepByKeyring(ctx context.Context, identity *age.X25519Identity) error {
	if err := s.patiently(ctx, func(ctx context.Context) error { return s.cfg.System.Set(ctx, service, s.cfg.Dir, identity.String()) }); err != nil {
		return err
	}
	kept, err := s.askKeyring(ctx)
	if err != nil {
		return fmt.Errorf("seeing whether it is there: %v", err) // it may be
	}
	if kept != identity.String() {
		return errors.New("it gives back another")
	}
	return nil
}

func (s *Store) askKeyring(ctx context.Context) (string, error) {
	got := make(chan string, 1)
	err := s.patiently(ctx, func(ctx context.Context) error {
		text, err := s.cfg.System.Get(ctx, service, s.cfg.Dir)
		got <- text
		return err
	})
	if err != nil {
		return "", err
	}
	return <-got, nil
}

func (s *Store) fetchFromKeyring(ctx context.Context) (string, error) {
	key, err := s.askKeyring(ctx)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", missingError{fmt.Errorf("the keyring has no key of this secret store any more: if there are several, of another session or HOME, ask from there; "+
			"else put the keyring back from a backup, or remove the store (%s) and give its secrets anew (stile sessions edit)", s.cfg.Dir)}
	case errors.Is(err, context.DeadlineExceeded):
		return "", fmt.Errorf("asking the keyring: %w; restart it and try again", err)
	case err != nil:
		return "", fmt.Errorf("asking the keyring: %w; unlock it and try again (stile secrets --help says how without a desktop)", err)
	}
	return key, nil
}
