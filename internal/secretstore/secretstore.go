// Package secretstore keeps a person's secrets on disk: access keys, refresh
// tokens, seeds of MFA devices.
//
// Every secret is a file of its own, encrypted to one age key, replaced as a whole
// and written under a lock of its own, so that processes that keep different
// secrets never lose each other's. The age key is kept in one of three places, its
// [Keeper]: the keyring of the operating system, a file that a passphrase opens,
// or a file that is the key. What the place is decides what a person is asked,
// and nothing else: there is one question for all secrets, no limit to a secret's
// size, and moving to another place rewrites no secret.
//
// Start with [Open]. Nothing is asked before the first [Store.Get].
package secretstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/filelock"
)

// ErrNotFound means that there is no secret of that name.
var ErrNotFound = errors.New("no such secret")

// ErrDamaged means that a secret's file is there and cannot be opened by the
// store's key. Setting the secret again is the way out.
var ErrDamaged = errors.New("is damaged, or was written with another key; set the secret again")

// Keeper is where the key to all secrets is.
type Keeper string

// The keepers.
const (
	Keyring    Keeper = "keyring"    // of the operating system
	Passphrase Keeper = "passphrase" // in a file that a passphrase opens
	KeyFile    Keeper = "keyfile"    // in a file of this user alone
)

// Config says where secrets are and how to get at the key. Dir is required.
type Config struct {
	Dir string // of this user alone; made if it is not there
	// Keeper is used for a store that is new. Default: the keyring if there is
	// one, else the passphrase. A store that exists knows its own.
	Keeper Keeper
	// AskPassphrase asks a person. confirm is set for a new passphrase, which is
	// to be typed twice. Without it, and for a keeper that needs it, secrets
	// cannot be read.
	AskPassphrase func(ctx context.Context, prompt string, confirm bool) (string, error)
	// KeyFile is the path of the key for the keeper KeyFile. Default: "key" in Dir.
	KeyFile string
	// WorkFactor is the binary logarithm of what trying a passphrase costs; 0 is
	// age's own choice, about a second.
	WorkFactor int
	// System is the keyring. Default: the operating system's.
	System SystemKeyring
	// Note tells the person a line, such as what is waited for. Without it there is
	// nobody who could unlock a keyring: one that is locked is not asked to prompt.
	Note func(text string)
	// Patience is how long a prompt of the keyring may wait for its answer. Default: 40 s.
	Patience time.Duration
}

// Store is a directory of secrets. Make one with [Open]. Safe for concurrent use,
// by any number of processes too.
type Store struct {
	cfg Config

	at func(step string) // for tests of what comes between; nil otherwise

	mu       sync.Mutex // guards identity and asking; nobody is asked under it
	identity *age.X25519Identity
	asking   *asking // for the key, nil when nobody does
}

// reached tells tests how far it has come.
func (s *Store) reached(step string) {
	if s.at != nil {
		s.at(step)
	}
}

const (
	recipientFile = "recipient"    // the public key: writing needs no other
	keeperFile    = "keeper"       // the Keeper's name
	identityFile  = "identity.age" // for Passphrase
	secretsDir    = "secrets"
	lockFile      = "lock" // of who makes or moves the key
	suffix        = ".age"
	maxSecret     = 1 << 20
)

// Open opens the store in cfg.Dir, which need not exist. Nobody is asked anything.
func Open(cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("opening the secret store: no directory")
	}
	if cfg.KeyFile == "" {
		cfg.KeyFile = filepath.Join(cfg.Dir, "key")
	}
	info, err := os.Stat(cfg.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("opening the secret store: %w", err)
	case !info.IsDir() || info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("opening the secret store: %s must be a directory of mode 0700, so that others cannot look in", cfg.Dir)
	}
	s := &Store{cfg: cfg}
	if cfg.System == nil {
		s.cfg.System = s.system()
	}
	return s, nil
}

// Get gives a secret. The error is ErrNotFound when there is none; others say what
// keeps it from being read and what to do. The caller owns the bytes.
func (s *Store) Get(ctx context.Context, name string) ([]byte, error) {
	sealed, err := readFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("secret %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("reading secret %s: %w", name, err)
	}
	identity, err := s.unlock(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading secret %s: %w", name, err)
	}
	value, err := open(sealed, name, identity)
	if err != nil {
		return nil, fmt.Errorf("reading secret %s: %s %w: %w", name, s.path(name), ErrDamaged, err)
	}
	return value, nil
}

// Set keeps a secret, in place of the one of that name. It is there as a whole or
// not at all, whatever happens.
func (s *Store) Set(ctx context.Context, name string, value []byte) error {
	lock, err := s.lock(ctx, name)
	if err != nil {
		return fmt.Errorf("keeping secret %s: %w", name, err)
	}
	defer lock.Release()
	if err := s.set(ctx, name, value); err != nil {
		return fmt.Errorf("keeping secret %s: %w", name, err)
	}
	return nil
}

func (s *Store) set(ctx context.Context, name string, value []byte) error {
	switch {
	case name == "":
		return errors.New("it has no name")
	case len(value) > maxSecret:
		return fmt.Errorf("%d bytes are too many for a secret", len(value))
	}
	recipient, err := s.recipient(ctx)
	if err != nil {
		return err
	}
	sealed, err := seal(name, value, recipient)
	if err != nil {
		return err
	}
	return atomicfile.Write(s.path(name), sealed)
}

// Update changes a secret under its lock: change gets the present value, nil when
// there is none, and gives the new one, or nil to leave it as it is. No other
// process can come between.
func (s *Store) Update(ctx context.Context, name string, change func(old []byte) ([]byte, error)) error {
	lock, err := s.lock(ctx, name)
	if err != nil {
		return fmt.Errorf("changing secret %s: %w", name, err)
	}
	defer lock.Release()
	old, err := s.Get(ctx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	value, err := change(old)
	if err != nil || value == nil {
		return err
	}
	if err := s.set(ctx, name, value); err != nil {
		return fmt.Errorf("changing secret %s: %w", name, err)
	}
	return nil
}

// Delete removes a secret; one that is not there is no error.
func (s *Store) Delete(ctx context.Context, name string) error {
	lock, err := s.lock(ctx, name)
	if err != nil {
		return fmt.Errorf("deleting secret %s: %w", name, err)
	}
	defer lock.Release()
	if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting secret %s: %w", name, err)
	}
	return nil
}

// Names lists the secrets, sorted. Names are not secret and nobody is asked.
func (s *Store) Names() ([]string, error) {
	files, err := os.ReadDir(filepath.Join(s.cfg.Dir, secretsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing secrets: %w", err)
	}
	var names []string
	for _, f := range files {
		if escaped, ok := strings.CutSuffix(f.Name(), suffix); ok {
			if name, err := url.PathUnescape(escaped); err == nil {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// readFile says what else is in a file's place.
func readFile(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; it must be a file that you can read", err)
	}
	return text, err
}

func (s *Store) path(name string) string {
	return filepath.Join(s.cfg.Dir, secretsDir, escape(name)+suffix)
}

// escape makes a file name of a secret's name, on file systems that do not tell
// letter cases apart too.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' && i > 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// lock keeps other processes from one secret.
func (s *Store) lock(ctx context.Context, name string) (*filelock.Lock, error) {
	dir := filepath.Join(s.cfg.Dir, "locks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return filelock.Acquire(ctx, filepath.Join(dir, escape(name)))
}

// payload is what a file holds: the name is in it so that no file can stand in for
// another.
type payload struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

func seal(name string, value []byte, to age.Recipient) ([]byte, error) {
	text, err := json.Marshal(payload{name, value})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func open(sealed []byte, name string, with age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), with)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(r, 2*maxSecret))
	if err != nil {
		return nil, err
	}
	var p payload
	if err := json.Unmarshal(text, &p); err != nil || p.Name != name {
		return nil, errors.New("it holds another secret")
	}
	return p.Value, nil
}
