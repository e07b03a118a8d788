package secretstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/filelock"
	"github.com/stile-aws/stile/internal/secretstore/secretservice"
)

// movingFile is there while the key moves: the names of the keepers that may have it.
const movingFile = "moving"

// Migrate hands the key to another keeper; secrets stay as they are. To the
// passphrase that keeps it already, it asks for a new one. Interrupted, the store
// opens by the old keeper or by the new one; the next Migrate removes the copy
// that the other one may still have, also one to where the key is.
func (s *Store) Migrate(ctx context.Context, to Keeper) error {
	from, err := s.Keeper()
	if err == nil && from == "" {
		err = fmt.Errorf("there is no secret store yet: STILE_SECRETS=%s has a new one keep its key there", to)
	}
	if err != nil {
		return err
	}
	if err := s.migrate(ctx, to); err != nil {
		return fmt.Errorf("moving the key of the secret store: %w", err)
	}
	return nil
}

func (s *Store) migrate(ctx context.Context, to Keeper) error {
	lock, err := filelock.Acquire(ctx, filepath.Join(s.cfg.Dir, lockFile))
	if err != nil {
		return err
	}
	defer lock.Release()
	from, err := s.Keeper()
	if err != nil {
		return err
	}
	// A keyring that does not answer now keeps nobody from moving on.
	if err := s.finish(ctx, from); from == to && to != Passphrase {
		return err
	}
	identity, err := s.find(ctx)
	if err != nil {
		return err
	}
	s.know(identity)
	if from == to {
		return s.keep(ctx, to, identity)
	}
	left, _ := readFile(s.movingPath()) // there is seldom one
	if err := atomicfile.Write(s.movingPath(), fmt.Appendf(left, "%s\n%s\n", from, to)); err != nil {
		return err
	}
	s.reached("noted")
	if err := s.keep(ctx, to, identity); err != nil {
		return errors.Join(err, s.giveUp(ctx, from, left, err))
	}
	s.reached("moved")
	return s.finish(ctx, to)
}

// giveUp cleans up after a move that failed for the reason err; left is what was in
// the file before.
func (s *Store) giveUp(ctx context.Context, from Keeper, left []byte, err error) error {
	switch {
	case !errors.Is(err, ErrLocked) && !errors.Is(err, secretservice.ErrNowhere):
		_ = s.finish(ctx, from) // the next move tries again
		return nil
	case len(left) == 0: // a locked keyring got nothing, and need not be asked
		return os.Remove(s.movingPath())
	}
	return atomicfile.Write(s.movingPath(), left)
}

// finish removes the copies that moves have left with other keepers than the one
// that the store goes by now.
func (s *Store) finish(ctx context.Context, now Keeper) error {
	text, err := readFile(s.movingPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(text)) {
		if k := Keeper(name); k != now {
			if err := s.forget(ctx, k); err != nil {
				return err
			}
		}
	}
	s.reached("removed")
	return os.Remove(s.movingPath())
}

// Moving reports that a move was interrupted, so that two keepers may have the key.
func (s *Store) Moving() bool {
	_, err := os.Stat(s.movingPath())
	return err == nil
}

func (s *Store) movingPath() string { return filepath.Join(s.cfg.Dir, movingFile) }

// forget removes the key from a keeper.
func (s *Store) forget(ctx context.Context, k Keeper) error {
	var err error
	switch k {
	case Keyring:
		err = s.patiently(ctx, func(ctx context.Context) error { return s.cfg.System.Delete(ctx, service, s.cfg.Dir) })
	case Passphrase:
		err = os.Remove(filepath.Join(s.cfg.Dir, identityFile))
	case KeyFile:
		err = os.Remove(s.cfg.KeyFile)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the key from %s: %w", k, err)
	}
	return nil
}
