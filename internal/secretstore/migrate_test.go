package secretstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stile-aws/stile/internal/secretstore"
)

// onDisk is a keyring that outlives a process. It keeps one entry.
type onDisk struct{ path string }

func (o onDisk) Get(context.Context, string, string) (string, error) {
	text, err := os.ReadFile(o.path)
	if errors.Is(err, os.ErrNotExist) {
		return "", secretstore.ErrNotFound
	}
	return string(text), err
}

func (o onDisk) Set(_ context.Context, _, _, value string) error {
	return os.WriteFile(o.path, []byte(value), 0o600)
}

func (o onDisk) Delete(context.Context, string, string) error { return os.Remove(o.path) }

func movable(t *testing.T, dir string, from secretstore.Keeper) *secretstore.Store {
	t.Helper()
	return open(t, secretstore.Config{Dir: dir, Keeper: from, System: onDisk{dir + ".keyring"}, AskPassphrase: answering("correct horse", nil)})
}

// A process that is killed at any step of a move leaves a store that opens, and
// whoever moves it again leaves no copy of the key anywhere else. This test's own
// program is the process.
func TestKilledMovesLoseNothing(t *testing.T) {
	if dir := os.Getenv("SECRETSTORE_TEST_MOVE"); dir != "" {
		s := movable(t, dir, "")
		s.At(func(step string) {
			if step == os.Getenv("SECRETSTORE_TEST_STEP") {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		})
		if err := s.Migrate(t.Context(), secretstore.Keeper(os.Getenv("SECRETSTORE_TEST_TO"))); err != nil {
			t.Fatal(err)
		}
		return
	}
	keepers := []secretstore.Keeper{secretstore.Keyring, secretstore.Passphrase, secretstore.KeyFile}
	for _, from := range keepers {
		for _, to := range keepers {
			for _, step := range []string{"noted", "handed", "moved", "removed"} {
				if from == to {
					continue
				}
				for _, then := range []secretstore.Keeper{from, to} {
					t.Run(fmt.Sprintf("%s to %s at %s, then to %s", from, to, step, then), func(t *testing.T) {
						t.Parallel()
						killed(t, from, to, step, then)
					})
				}
			}
		}
	}
}

func killed(t *testing.T, from, to secretstore.Keeper, step string, then secretstore.Keeper) {
	dir := newDir(t)
	if err := movable(t, dir, from).Set(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestKilledMovesLoseNothing$")
	cmd.Env = append(os.Environ(), "SECRETSTORE_TEST_MOVE="+dir, "SECRETSTORE_TEST_STEP="+step, "SECRETSTORE_TEST_TO="+string(to))
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the process was not killed at %s: %v\n%s", step, err, out)
	}
	if !movable(t, dir, "").Moving() {
		t.Error("nothing tells that the move was interrupted")
	}
	for _, move := range []func() error{
		func() error { return nil },
		func() error { return movable(t, dir, "").Migrate(t.Context(), then) },
	} {
		if err := move(); err != nil {
			t.Fatal(err)
		}
		if got, err := movable(t, dir, "").Get(t.Context(), "a"); err != nil || string(got) != "1" {
			t.Fatalf("Get = %q, %v", got, err)
		}
	}
	var left []string
	for k, path := range map[secretstore.Keeper]string{
		secretstore.Keyring: dir + ".keyring", secretstore.Passphrase: filepath.Join(dir, "identity.age"), secretstore.KeyFile: filepath.Join(dir, "key"),
	} {
		if _, err := os.Stat(path); err == nil {
			left = append(left, string(k))
		}
	}
	if strings.Join(left, " ") != string(then) || movable(t, dir, "").Moving() {
		t.Errorf("the key is with %q, want %s alone", left, then)
	}
}

func TestPassphrasesAreChangedByMovingToOne(t *testing.T) {
	dir := newDir(t)
	if err := movable(t, dir, secretstore.Passphrase).Set(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	answers := []string{"correct horse", "battery staple"}
	s := open(t, secretstore.Config{Dir: dir, AskPassphrase: inTurn(&answers)})
	if err := s.Migrate(t.Context(), secretstore.Passphrase); err != nil {
		t.Fatal(err)
	}
	if _, err := movable(t, dir, "").Get(t.Context(), "a"); err == nil {
		t.Error("the old passphrase still opens the store")
	}
	s = open(t, secretstore.Config{Dir: dir, AskPassphrase: answering("battery staple", nil)})
	if got, err := s.Get(t.Context(), "a"); err != nil || string(got) != "1" {
		t.Errorf("Get = %q, %v", got, err)
	}
}

// A keyring that does not answer is no reason to stay with it, nor one that a
// move to it failed at.
func TestMovesToALockedKeyringCanBeGivenUp(t *testing.T) {
	cfg := secretstore.Config{Dir: newDir(t), Keeper: secretstore.KeyFile, System: &system{locked: errors.New("locked")}, AskPassphrase: answering("correct horse", nil)}
	if err := open(t, cfg).Set(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := open(t, cfg).Migrate(t.Context(), secretstore.Keyring); err == nil {
		t.Error("moving to a locked keyring succeeds")
	}
	if got, err := open(t, cfg).Get(t.Context(), "a"); err != nil || string(got) != "1" {
		t.Errorf("Get = %q, %v", got, err)
	}
	_ = open(t, cfg).Migrate(t.Context(), secretstore.Passphrase) // it says that the keyring may have a copy
	if k, err := open(t, cfg).Keeper(); err != nil || k != secretstore.Passphrase {
		t.Errorf("the keeper is %s, %v, want passphrase", k, err)
	}
}

func TestThereIsNothingToMoveInANewStore(t *testing.T) {
	err := open(t, secretstore.Config{Dir: newDir(t)}).Migrate(t.Context(), secretstore.KeyFile)
	if err == nil || !strings.Contains(err.Error(), "STILE_SECRETS=keyfile") {
		t.Errorf("Migrate = %v, want how to choose", err)
	}
}
