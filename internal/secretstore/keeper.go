package secretstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/filelock"
	"github.com/stile-aws/stile/internal/secretstore/secretservice"
)

// Keeper tells where the key of the store is, "" for a store that is new.
func (s *Store) Keeper() (Keeper, error) {
	text, err := readFile(filepath.Join(s.cfg.Dir, keeperFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("finding the key of the secret store: %w", err)
	}
	switch k := Keeper(strings.TrimSpace(string(text))); k {
	case Keyring, Passphrase, KeyFile:
		return k, nil
	}
	return "", fmt.Errorf("finding the key of the secret store: %s holds no keeper's name; write keyring, passphrase or keyfile into it", filepath.Join(s.cfg.Dir, keeperFile))
}

// recipient is the public key, made with the private one for a store that is new.
func (s *Store) recipient(ctx context.Context) (age.Recipient, error) {
	text, err := os.ReadFile(filepath.Join(s.cfg.Dir, recipientFile))
	if errors.Is(err, fs.ErrNotExist) {
		identity, err := s.create(ctx)
		if err != nil {
			return nil, err
		}
		return identity.Recipient(), nil
	}
	if err != nil {
		return nil, err
	}
	public, err := age.ParseX25519Recipient(strings.TrimSpace(string(text)))
	if err == nil {
		return public, nil
	}
	identity, err := s.unlock(ctx) // the file is damaged; the private key tells the public one
	if err != nil {
		return nil, err
	}
	return identity.Recipient(), nil
}

// create makes the key of a new store, once however many processes begin together.
func (s *Store) create(ctx context.Context) (*age.X25519Identity, error) {
	return s.once(ctx, func() (*age.X25519Identity, error) { return s.createAlone(ctx) })
}

func (s *Store) createAlone(ctx context.Context) (*age.X25519Identity, error) {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := filelock.Acquire(ctx, filepath.Join(s.cfg.Dir, lockFile))
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	if _, err := os.Stat(filepath.Join(s.cfg.Dir, recipientFile)); err == nil {
		return s.find(ctx) // another process was first
	}
	identity, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	// The recipient comes last: without it the store is new.
	if err := atomicfile.Write(filepath.Join(s.cfg.Dir, recipientFile), []byte(identity.Recipient().String()+"\n")); err != nil {
		return nil, err
	}
	return identity, nil
}

// begin gives the key of a store that has no recipient: a new one, unless there are
// secrets, which another key would lock away for good.
func (s *Store) begin(ctx context.Context) (*age.X25519Identity, error) {
	names, err := s.Names()
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		return s.find(ctx)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	if s.cfg.Keeper != "" {
		return identity, s.keep(ctx, s.cfg.Keeper, identity)
	}
	return identity, s.keepWhereLikely(ctx, identity)
}

// keepWhereLikely has the keyring keep the key if there is one, else a passphrase.
// One that is locked or hangs is there: what it keeps must not depend on that.
func (s *Store) keepWhereLikely(ctx context.Context, identity *age.X25519Identity) error {
	err := s.patiently(ctx, func(ctx context.Context) error {
		_, err := s.cfg.System.Get(ctx, service, s.cfg.Dir)
		return err
	})
	if err == nil || errors.Is(err, ErrNotFound) {
		err = s.keep(ctx, Keyring, identity)
		if !errors.Is(err, secretservice.ErrNowhere) {
			return err
		}
		err = errors.Unwrap(err) // the way out is another keeper
	}
	if ctx.Err() != nil {
		return err
	}
	if errors.Is(err, ErrLocked) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("asking the keyring, which would keep the key: %w; unlock or restart it and try again, or choose where else the key is kept: %s", err, choices)
	}
	if other := s.keep(ctx, Passphrase, identity); other != nil {
		return fmt.Errorf("no keyring is in use here (%w), and %w; choose where the key is kept: %s", err, other, choices)
	}
	s.note(fmt.Sprintf("no keyring is in use here (%v): the secret store has a passphrase", err))
	return nil
}

// choices are the keepers that need no keyring.
const choices = "STILE_SECRETS=keyfile in a file of yours alone, STILE_SECRETS=passphrase with a program that prints it as STILE_PASSPHRASE_COMMAND; " +
	"stile secrets --help says more"

// keep hands the key to a keeper and says so in the store.
func (s *Store) keep(ctx context.Context, k Keeper, identity *age.X25519Identity) error {
	switch k {
	case Keyring:
		if err := s.keepByKeyring(ctx, identity); err != nil {
			way := "unlock it"
			if errors.Is(err, secretservice.ErrNowhere) {
				way = "log in at the desktop once, which makes one"
			}
			return fmt.Errorf("giving the key to the keyring: %w; %s, or choose another keeper (passphrase, keyfile)", err, way)
		}
	case Passphrase:
		if err := s.keepByPassphrase(ctx, identity); err != nil {
			return err
		}
	case KeyFile:
		if err := atomicfile.Write(s.cfg.KeyFile, []byte(identity.String()+"\n")); err != nil {
			return fmt.Errorf("writing the key file: %w", err)
		}
	default:
		return fmt.Errorf("keeper %q: want keyring, passphrase or keyfile", k)
	}
	s.reached("handed")
	return atomicfile.Write(filepath.Join(s.cfg.Dir, keeperFile), []byte(string(k)+"\n"))
}

// unlock gets the key, asking once a process. A key that is not where it should be
// may just have moved: while nobody can move it, it is looked for again.
func (s *Store) unlock(ctx context.Context) (*age.X25519Identity, error) {
	return s.once(ctx, func() (*age.X25519Identity, error) {
		identity, err := s.find(ctx)
		if !errors.Is(err, errMissing) {
			return identity, err
		}
		waiting, stop := context.WithTimeout(ctx, working)
		defer stop()
		lock, problem := filelock.Acquire(waiting, filepath.Join(s.cfg.Dir, lockFile))
		if problem != nil {
			return nil, err
		}
		defer lock.Release()
		return s.find(ctx)
	})
}

// asking is one attempt to get the key.
type asking struct {
	done     chan struct{} // closed when the rest is there
	identity *age.X25519Identity
	err      error
	left     bool // who asked has gone away, so that err speaks for nobody else
}

// once has one caller at a time ask for the key. The others wait for what becomes of
// that, a failure too, as long as they want to; when it was left they ask themselves.
func (s *Store) once(ctx context.Context, ask func() (*age.X25519Identity, error)) (*age.X25519Identity, error) {
	for {
		s.mu.Lock()
		identity, others := s.identity, s.asking
		if identity == nil && others == nil {
			own := &asking{done: make(chan struct{})}
			s.asking = own
			s.mu.Unlock()
			return s.settle(ctx, own, ask)
		}
		s.mu.Unlock()
		if identity != nil {
			return identity, nil
		}
		select {
		case <-others.done:
			if !others.left {
				return others.identity, others.err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// settle asks, and tells those who wait.
func (s *Store) settle(ctx context.Context, own *asking, ask func() (*age.X25519Identity, error)) (*age.X25519Identity, error) {
	own.identity, own.err = ask()
	own.left = own.err != nil && ctx.Err() != nil
	s.mu.Lock()
	defer s.mu.Unlock()
	if own.err == nil {
		s.identity = own.identity
	}
	s.asking = nil
	close(own.done)
	return own.identity, own.err
}

// know remembers the key.
func (s *Store) know(identity *age.X25519Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identity = identity
}

// known is the key, nil when nobody has asked for it.
func (s *Store) known() *age.X25519Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity
}

// errMissing is that of a key that its keeper does not have.
var errMissing = errors.New("the key is missing")

// missingError says it, and what to do. It is errMissing.
type missingError struct{ error }

// Is reports true for errMissing.
func (missingError) Is(target error) bool { return target == errMissing }

// Unwrap gives what it says.
func (e missingError) Unwrap() error { return e.error }

// find gets the key from its keeper, unless it is known.
func (s *Store) find(ctx context.Context) (*age.X25519Identity, error) {
	if identity := s.known(); identity != nil {
		return identity, nil
	}
	keeper, err := s.Keeper()
	if err != nil {
		return nil, err
	}
	text, err := s.fetch(ctx, keeper)
	if err != nil {
		return nil, err
	}
	identity, err := age.ParseX25519Identity(strings.TrimSpace(text))
	if err != nil { // which might show it
		return nil, fmt.Errorf("the key of the secret store %s, kept by %s, is damaged; put it back from a backup, or remove the store and give its secrets anew (stile sessions edit)", s.cfg.Dir, keeper)
	}
	// A recipient that is damaged tells nothing; whether the key fits shows when a
	// secret is opened.
	public, err := os.ReadFile(filepath.Join(s.cfg.Dir, recipientFile))
	if err == nil {
		_, err = age.ParseX25519Recipient(strings.TrimSpace(string(public)))
	}
	if err == nil && strings.TrimSpace(string(public)) != identity.Recipient().String() {
		return nil, fmt.Errorf("the key kept by %s is not the one of this store (%s)", keeper, s.cfg.Dir)
	}
	return identity, nil
}

// fetch gets the key's text from its keeper.
func (s *Store) fetch(ctx context.Context, k Keeper) (string, error) {
	switch k {
	case Keyring:
		return s.fetchFromKeyring(ctx)
	case KeyFile:
		info, err := os.Stat(s.cfg.KeyFile)
		if err != nil {
			return "", missingError{fmt.Errorf("reading the key file: %w; put it back from a backup", err)}
		}
		if info.Mode().Perm()&0o077 != 0 {
			return "", fmt.Errorf("reading the key file: %s is not of mode 0600, so others may know it", s.cfg.KeyFile)
		}
		text, err := readFile(s.cfg.KeyFile)
		if errors.Is(err, fs.ErrNotExist) {
			err = missingError{err}
		}
		return string(text), err
	case Passphrase:
		return s.fetchByPassphrase(ctx)
	}
	return "", fmt.Errorf("the secret store %s has lost its key; put it back from a backup, or remove the store and give its secrets anew (stile sessions edit)", s.cfg.Dir)
}
