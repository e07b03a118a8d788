package secretstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/stile-aws/stile/internal/atomicfile"
)

// attempts is how often a person is asked for the passphrase.
const attempts = 3

func (s *Store) keepByPassphrase(ctx context.Context, identity *age.X25519Identity) error {
	phrase, err := s.ask(ctx, "New passphrase for the secret store: ", true)
	if err != nil {
		return err
	}
	to, err := age.NewScryptRecipient(phrase)
	if err != nil {
		return err
	}
	if s.cfg.WorkFactor > 0 {
		to.SetWorkFactor(s.cfg.WorkFactor)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, identity.String()); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(s.cfg.Dir, identityFile), out.Bytes())
}

// ask gets a passphrase, never an empty one.
func (s *Store) ask(ctx context.Context, prompt string, confirm bool) (string, error) {
	err := errors.New("there is nobody to ask")
	phrase := ""
	if s.cfg.AskPassphrase != nil {
		phrase, err = s.cfg.AskPassphrase(ctx, prompt, confirm)
	}
	if err != nil {
		return "", fmt.Errorf("asking for the passphrase: %w", err)
	}
	if strings.TrimSpace(phrase) == "" {
		return "", errors.New("an empty passphrase protects nothing")
	}
	return phrase, nil
}

// fetchByPassphrase has the passphrase asked for until it is the right one.
func (s *Store) fetchByPassphrase(ctx context.Context) (string, error) {
	sealed, err := readFile(filepath.Join(s.cfg.Dir, identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = missingError{err}
	}
	if err != nil {
		return "", err
	}
	prompt, last := "Passphrase of the secret store: ", ""
	for range attempts {
		phrase, err := s.ask(ctx, prompt, false)
		if err != nil && ctx.Err() == nil {
			return "", fmt.Errorf("%w; STILE_PASSPHRASE_COMMAND may name a program that prints it, and stile secrets migrate keyfile, at a terminal once, does without it", err)
		}
		if err != nil {
			return "", err
		}
		if phrase != last { // to try one costs about a second
			key, err := openIdentity(sealed, phrase)
			if wrong := (*age.NoIdentityMatchError)(nil); !errors.As(err, &wrong) {
				return key, err
			}
		}
		prompt, last = "It is another one. Passphrase of the secret store: ", phrase
	}
	return "", errors.New("the passphrase is wrong")
}

func openIdentity(sealed []byte, phrase string) (string, error) {
	with, err := age.NewScryptIdentity(phrase)
	if err != nil {
		return "", err
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), with)
	if wrong := (*age.NoIdentityMatchError)(nil); errors.As(err, &wrong) {
		return "", err
	}
	if err != nil {
		return "", fmt.Errorf("the file %s is damaged: %w", identityFile, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, 4<<10))
	return string(text), err
}
