//go:build !darwin && !windows

package secretstore

import (
	"context"
	"errors"

	"github.com/stile-aws/stile/internal/secretstore/secretservice"
)

// system is the Secret Service of the desktop.
func (s *Store) system() SystemKeyring {
	d := &desktop{}
	if s.cfg.Note != nil {
		d.Ask = s.prompted
	}
	return d
}

type desktop struct{ secretservice.Keyring }

// Get implements [SystemKeyring].
func (d *desktop) Get(ctx context.Context, service, user string) (string, error) {
	v, err := d.Keyring.Get(ctx, service, user)
	if errors.Is(err, secretservice.ErrNotFound) {
		return "", ErrNotFound
	}
	return v, err
}
