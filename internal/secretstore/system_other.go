//go:build darwin || windows

package secretstore

import (
	"context"
	"errors"

	"github.com/zalando/go-keyring"
)

// system is the macOS keychain or the Windows credential manager. Both ask the
// person themselves, and know no end of that.
func (*Store) system() SystemKeyring { return native{} }

type native struct{}

// Get implements [SystemKeyring].
func (native) Get(_ context.Context, service, user string) (string, error) {
	v, err := keyring.Get(service, user)
	if errors.Is(err, keyring.ErrNotFound) {
		return "", ErrNotFound
	}
	return v, err
}

// Set implements [SystemKeyring].
func (native) Set(_ context.Context, service, user, value string) error {
	return keyring.Set(service, user, value)
}

// Delete implements [SystemKeyring].
func (native) Delete(_ context.Context, service, user string) error {
	if err := keyring.Delete(service, user); !errors.Is(err, keyring.ErrNotFound) {
		return err
	}
	return nil
}
