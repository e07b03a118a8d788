package secretstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/internal/secretstore"
)

// system is a keyring in memory, which may be locked.
type system struct {
	mu      sync.Mutex
	entries map[string]string
	locked  error
}

func (s *system) Get(_ context.Context, service, user string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locked != nil {
		return "", s.locked
	}
	v, ok := s.entries[service+" "+user]
	if !ok {
		return "", secretstore.ErrNotFound
	}
	return v, nil
}

func (s *system) Set(_ context.Context, service, user, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locked == nil {
		s.entries[service+" "+user] = value
	}
	return s.locked
}

func (s *system) Delete(_ context.Context, service, user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, service+" "+user)
	return s.locked
}

func newSystem() *system { return &system{entries: map[string]string{}} }

// answering asks nobody.
func answering(phrase string, asked *int) func(context.Context, string, bool) (string, error) {
	return func(context.Context, string, bool) (string, error) {
		if asked != nil {
			*asked++
		}
		return phrase, nil
	}
}

// inTurn answers by one after the other.
func inTurn(phrases *[]string) func(context.Context, string, bool) (string, error) {
	return func(context.Context, string, bool) (string, error) {
		phrase := (*phrases)[0]
		*phrases = (*phrases)[1:]
		return phrase, nil
	}
}

func open(t testing.TB, cfg secretstore.Config) *secretstore.Store {
	t.Helper()
	cfg.WorkFactor = 10 // passphrases are not what is tested
	s, err := secretstore.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newDir(t testing.TB) string { return filepath.Join(t.TempDir(), "secrets") }

func TestSecretsComeBackFromEveryKeeper(t *testing.T) {
	for _, k := range []secretstore.Keeper{secretstore.Keyring, secretstore.Passphrase, secretstore.KeyFile} {
		t.Run(string(k), func(t *testing.T) {
			ctx := t.Context()
			cfg := secretstore.Config{Dir: newDir(t), Keeper: k, System: newSystem(), AskPassphrase: answering("correct horse", nil)}
			s := open(t, cfg)
			if _, err := s.Get(ctx, "sso/acme"); !errors.Is(err, secretstore.ErrNotFound) {
				t.Errorf("before: %v", err)
			}
			if err := s.Set(ctx, "sso/acme", []byte("refresh-token")); err != nil {
				t.Fatal(err)
			}
			if err := s.Set(ctx, "user/Ann", bytes.Repeat([]byte{0xff}, 100_000)); err != nil { // more than a Windows credential holds
				t.Fatal(err)
			}
			s = open(t, cfg) // another process
			got, err := s.Get(ctx, "sso/acme")
			if err != nil || string(got) != "refresh-token" {
				t.Errorf("Get = %q, %v", got, err)
			}
			if names, err := s.Names(); err != nil || !slices.Equal(names, []string{"sso/acme", "user/Ann"}) {
				t.Errorf("Names = %q, %v", names, err)
			}
			if err := s.Delete(ctx, "sso/acme"); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(ctx, "sso/acme"); !errors.Is(err, secretstore.ErrNotFound) {
				t.Errorf("after Delete: %v", err)
			}
			if kept, err := s.Keeper(); err != nil || kept != k {
				t.Errorf("Keeper = %q, %v", kept, err)
			}
		})
	}
}

func TestNothingSecretIsOnDiskInTheClear(t *testing.T) {
	dir := newDir(t)
	s := open(t, secretstore.Config{Dir: dir, Keeper: secretstore.Passphrase, AskPassphrase: answering("correct horse", nil)})
	if err := s.Set(t.Context(), "user/ann", []byte("AKIA-and-the-secret")); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			if info.Mode().Perm() != 0o700 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte("AKIA")) || bytes.Contains(text, []byte("AGE-SECRET-KEY")) || bytes.Contains(text, []byte("horse")) {
			t.Errorf("%s holds a secret in the clear", path)
		}
		return err
	})
	if err != nil || files < 4 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestAPersonIsAskedOnceAndOnlyWhenNeeded(t *testing.T) {
	ctx, dir, asked := t.Context(), newDir(t), 0
	cfg := secretstore.Config{Dir: dir, Keeper: secretstore.Passphrase, AskPassphrase: answering("correct horse", &asked)}
	if err := open(t, cfg).Set(ctx, "a", []byte("1")); err != nil || asked != 1 {
		t.Fatalf("making the store: asked %d times, %v", asked, err)
	}
	asked = 0
	s := open(t, cfg)
	if err := s.Set(ctx, "b", []byte("2")); err != nil || asked != 0 {
		t.Errorf("writing asked %d times, %v: it needs the public key alone", asked, err)
	}
	for _, name := range []string{"a", "b", "a"} {
		if _, err := s.Get(ctx, name); err != nil {
			t.Error(err)
		}
	}
	if asked != 1 {
		t.Errorf("reading three secrets asked %d times, want once", asked)
	}
}

func TestWhatKeepsSecretsFromBeingReadIsSaid(t *testing.T) {
	ctx := t.Context()
	keyring := newSystem()
	byPhrase := secretstore.Config{Dir: newDir(t), Keeper: secretstore.Passphrase, AskPassphrase: answering("right", nil)}
	byRing := secretstore.Config{Dir: newDir(t), Keeper: secretstore.Keyring, System: keyring}
	byFile := secretstore.Config{Dir: newDir(t), Keeper: secretstore.KeyFile}
	for _, cfg := range []secretstore.Config{byPhrase, byRing, byFile} {
		if err := open(t, cfg).Set(ctx, "a", []byte("1")); err != nil {
			t.Fatal(err)
		}
	}
	read := func(cfg secretstore.Config) string {
		_, err := open(t, cfg).Get(ctx, "a")
		return fmt.Sprint(err)
	}
	want := func(what, got, text string) {
		t.Helper()
		if !strings.Contains(got, text) {
			t.Errorf("%s: %s, want %q", what, got, text)
		}
	}
	wrong := byPhrase
	wrong.AskPassphrase = answering("wrong", nil)
	want("a wrong passphrase", read(wrong), "the passphrase is wrong")
	said := []string{"wrong", "wrong still", "right", "too late"}
	wrong.AskPassphrase = inTurn(&said)
	want("the right passphrase at the third attempt", read(wrong), "<nil>")
	wrong.AskPassphrase = func(context.Context, string, bool) (string, error) { return "", errors.New("no terminal") }
	want("no terminal", read(wrong), "no terminal; STILE_PASSPHRASE_COMMAND may name a program")
	wrong.AskPassphrase = answering("  ", nil)
	want("an empty passphrase", read(wrong), "an empty passphrase")
	wrong.AskPassphrase = nil
	want("nobody to ask", read(wrong), "nobody to ask")
	keyring.locked = errors.New("the collection is locked")
	want("a locked keyring", read(byRing), "the collection is locked; unlock it")
	keyring.locked, keyring.entries = nil, map[string]string{}
	want("a keyring that forgot", read(byRing), "no key of this secret store any more")
	if err := os.Chmod(filepath.Join(byFile.Dir, "key"), 0o644); err != nil {
		t.Fatal(err)
	}
	want("a key that others can read", read(byFile), "not of mode 0600")
	if err := os.Chmod(byPhrase.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := secretstore.Open(byPhrase); err == nil || !strings.Contains(err.Error(), "mode 0700") {
		t.Errorf("a directory that others can look into: %v", err)
	}
}

func TestDamagedAndExchangedFilesAreNoSecrets(t *testing.T) {
	ctx, dir := t.Context(), newDir(t)
	s := open(t, secretstore.Config{Dir: dir, Keeper: secretstore.KeyFile})
	for _, name := range []string{"a", "b"} {
		if err := s.Set(ctx, name, []byte("value of "+name)); err != nil {
			t.Fatal(err)
		}
	}
	file := func(name string) string { return filepath.Join(dir, "secrets", name+".age") }
	text, err := os.ReadFile(file("b"))
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string][]byte{"exchanged": text, "cut": text[:len(text)-1], "empty": {}} {
		if err := os.WriteFile(file("a"), change, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(ctx, "a"); !errors.Is(err, secretstore.ErrDamaged) {
			t.Errorf("%s: %q, %v, want an error with a way out", what, got, err)
		}
	}
	if err := s.Set(ctx, "a", []byte("new")); err != nil {
		t.Errorf("setting it again: %v", err)
	}
}

// silent is a keyring whose prompt nobody sees.
type silent struct{ secretstore.SystemKeyring }

func (silent) Get(context.Context, string, string) (string, error) { select {} }

func TestAKeyringThatNeverAnswersIsGivenUp(t *testing.T) {
	dir := newDir(t)
	cfg := secretstore.Config{Dir: dir, Keeper: secretstore.Keyring, System: newSystem()}
	if err := open(t, cfg).Set(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	waiting, stop := context.WithCancelCause(t.Context())
	stop(errors.New("gone"))
	cfg.System = silent{}
	if _, err := open(t, cfg).Get(waiting, "a"); err == nil || !strings.Contains(err.Error(), "asking the keyring: gone; unlock it and try again") {
		t.Errorf("%v, want that it was given up", err)
	}
}

// A store whose public key is lost or damaged has the private one, which tells it;
// another key would lock the secrets away.
func TestALostRecipientCostsNothing(t *testing.T) {
	for what, change := range map[string]func(path string) error{
		"lost":    os.Remove,
		"damaged": func(path string) error { return os.WriteFile(path, []byte("age1"), 0o600) },
	} {
		ctx, dir := t.Context(), newDir(t)
		first := open(t, secretstore.Config{Dir: dir, Keeper: secretstore.KeyFile})
		if err := first.Set(ctx, "a", []byte("value")); err != nil {
			t.Fatal(err)
		}
		if err := change(filepath.Join(dir, "recipient")); err != nil {
			t.Fatal(err)
		}
		s := open(t, secretstore.Config{Dir: dir, Keeper: secretstore.KeyFile})
		if err := s.Set(ctx, "b", []byte("other")); err != nil {
			t.Errorf("%s: setting another: %v", what, err)
		}
		for name, want := range map[string]string{"a": "value", "b": "other"} {
			if got, err := s.Get(ctx, name); err != nil || string(got) != want {
				t.Errorf("%s: %s is %q, %v, want %q", what, name, got, err, want)
			}
		}
	}
}

func TestMigrateMovesTheKeyAlone(t *testing.T) {
	ctx := t.Context()
	keyring := newSystem()
	cfg := secretstore.Config{Dir: newDir(t), Keeper: secretstore.Keyring, System: keyring, AskPassphrase: answering("correct horse", nil)}
	if err := open(t, cfg).Set(ctx, "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	for _, to := range []secretstore.Keeper{secretstore.Passphrase, secretstore.KeyFile, secretstore.Keyring, secretstore.Keyring} {
		if err := open(t, cfg).Migrate(ctx, to); err != nil {
			t.Fatal(err)
		}
		if got, err := open(t, cfg).Get(ctx, "a"); err != nil || string(got) != "1" {
			t.Errorf("after moving to %s: %q, %v", to, got, err)
		}
		left := len(keyring.entries)
		for _, name := range []string{"identity.age", "key"} {
			if _, err := os.Stat(filepath.Join(cfg.Dir, name)); err == nil {
				left++
			}
		}
		if left != 1 {
			t.Errorf("after moving to %s the key is in %d places", to, left)
		}
	}
	keyring.locked = errors.New("locked")
	if err := open(t, cfg).Migrate(ctx, secretstore.KeyFile); err == nil {
		t.Error("moving from a locked keyring succeeds")
	}
}

func TestNewStoresGoToTheKeyringIfThereIsOne(t *testing.T) {
	for want, sys := range map[secretstore.Keeper]*system{secretstore.Keyring: newSystem(), secretstore.Passphrase: {locked: errors.New("no D-Bus here")}} {
		s := open(t, secretstore.Config{Dir: newDir(t), System: sys, AskPassphrase: answering("correct horse", nil)})
		if err := s.Set(t.Context(), "a", []byte("1")); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Keeper(); got != want || err != nil {
			t.Errorf("the keeper is %q, %v, want %q", got, err, want)
		}
	}
}

func TestNewStoresSayHowToChoose(t *testing.T) {
	s := open(t, secretstore.Config{Dir: newDir(t), System: &system{locked: errors.New("no D-Bus here")},
		AskPassphrase: func(context.Context, string, bool) (string, error) { return "", errors.New("there is no terminal") }})
	err := s.Set(t.Context(), "a", []byte("1"))
	for _, text := range []string{"no D-Bus here", "there is no terminal", "STILE_SECRETS=keyfile", "STILE_PASSPHRASE_COMMAND", "stile secrets --help"} {
		if !strings.Contains(fmt.Sprint(err), text) {
			t.Errorf("Set = %v, want %q", err, text)
		}
	}
	if names, err := s.Names(); err != nil || len(names) > 0 {
		t.Errorf("Names = %q, %v, want none", names, err)
	}
}

func TestNamesOfAnyKind(t *testing.T) {
	s := open(t, secretstore.Config{Dir: newDir(t), Keeper: secretstore.KeyFile})
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.StringN(1, 20, 60).Draw(r, "name")
		other := rapid.StringN(1, 20, 60).Filter(func(o string) bool { return o != name }).Draw(r, "other")
		value := rapid.SliceOf(rapid.Byte()).Draw(r, "value")
		for _, n := range []string{other, name} {
			if err := s.Set(t.Context(), n, append([]byte(n), value...)); err != nil {
				r.Fatal(err)
			}
		}
		got, err := s.Get(t.Context(), name)
		if err != nil || !bytes.Equal(got, append([]byte(name), value...)) {
			r.Fatalf("Get(%q) = %q, %v", name, got, err)
		}
		names, err := s.Names()
		if err != nil || !slices.Contains(names, name) || !slices.Contains(names, other) {
			r.Fatalf("Names = %q, %v", names, err)
		}
		for _, n := range []string{name, other} {
			if err := s.Delete(t.Context(), n); err != nil {
				r.Fatal(err)
			}
		}
	})
}

// Processes that begin a store together, and change one secret at once, lose
// nothing. This test's own program is the process.
func TestProcessesDoNotLoseEachOthersSecrets(t *testing.T) {
	dir := os.Getenv("SECRETSTORE_TEST_DIR")
	if dir != "" {
		s := open(t, secretstore.Config{Dir: dir, Keeper: secretstore.KeyFile})
		if err := s.Set(t.Context(), "own/"+os.Getenv("SECRETSTORE_TEST_NAME"), []byte("x")); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			err := s.Update(t.Context(), "shared", func(old []byte) ([]byte, error) { return append(old, '.'), nil })
			if err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	dir = newDir(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestProcessesDoNotLoseEachOthersSecrets$")
			cmd.Env = append(os.Environ(), "SECRETSTORE_TEST_DIR="+dir, fmt.Sprintf("SECRETSTORE_TEST_NAME=%d", i))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	s := open(t, secretstore.Config{Dir: dir, Keeper: secretstore.KeyFile})
	names, err := s.Names()
	if err != nil || len(names) != 9 {
		t.Errorf("Names = %q, %v, want the eight and the shared one", names, err)
	}
	if got, err := s.Get(t.Context(), "shared"); err != nil || len(got) != 80 {
		t.Errorf("the shared secret has %d changes, %v, want 80", len(got), err)
	}
}
