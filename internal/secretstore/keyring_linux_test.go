package secretstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/secretstore"
	"github.com/stile-aws/stile/internal/secretstore/keyringtest"
)

// session is a keyring that is played, and a store by it.
type session struct {
	*keyringtest.Played
	address string
	dir     string
	notes   chan string
}

func play(t *testing.T, p *keyringtest.Played) *session {
	t.Helper()
	s := keyringtest.New(t)
	keyringtest.Play(t, s, p)
	return &session{Played: p, address: s.Address, dir: newDir(t), notes: make(chan string, 100)}
}

// process is the store as another process has it. The person can be told something.
func (s *session) process(t *testing.T, cfg secretstore.Config) *secretstore.Store {
	t.Helper()
	cfg.Note = func(text string) { s.notes <- text }
	return s.mute(t, cfg)
}

// mute is one of a process that has no person.
func (s *session) mute(t *testing.T, cfg secretstore.Config) *secretstore.Store {
	t.Helper()
	cfg.Dir = s.dir
	store := open(t, cfg)
	store.UseBus(s.address)
	return store
}

// locked has a secret in a store whose keyring is locked then.
func locked(t *testing.T, p *keyringtest.Played) *session {
	t.Helper()
	s := play(t, p)
	if err := s.process(t, secretstore.Config{Keeper: secretstore.Keyring}).Set(t.Context(), "user/ann", []byte("value")); err != nil {
		t.Fatal(err)
	}
	s.Do(func(p *keyringtest.Played) { p.Locked = true })
	return s
}

// says checks an error: what it is, and what must be in its one line.
func says(t *testing.T, err, is error, texts ...string) {
	t.Helper()
	if !errors.Is(err, is) || strings.Contains(fmt.Sprint(err), "\n") {
		t.Errorf("%v, want one line and %v", err, is)
	}
	for _, text := range texts {
		if !strings.Contains(fmt.Sprint(err), text) {
			t.Errorf("%v, want %q", err, text)
		}
	}
}

func wantSecret(t *testing.T, s *secretstore.Store) {
	t.Helper()
	if got, err := s.Get(t.Context(), "user/ann"); err != nil || string(got) != "value" {
		t.Errorf("Get = %q, %v", got, err)
	}
}

func TestManyThatFindTheKeyringLockedAskOnce(t *testing.T) {
	const many = 20
	for _, answer := range []keyringtest.Answer{keyringtest.Opened, keyringtest.Dismissed} {
		t.Run(map[keyringtest.Answer]string{keyringtest.Opened: "and it is opened", keyringtest.Dismissed: "and it is not"}[answer], func(t *testing.T) {
			t.Parallel()
			hold := make(chan struct{})
			s := locked(t, &keyringtest.Played{Answers: []keyringtest.Answer{answer}, Hold: hold})
			var queue, done sync.WaitGroup
			queue.Add(many)
			for range many {
				store := s.process(t, secretstore.Config{})
				store.At(func(string) { queue.Done() })
				done.Go(func() {
					got, err := store.Get(t.Context(), "user/ann")
					switch {
					case answer == keyringtest.Opened && (err != nil || string(got) != "value"):
						t.Errorf("Get = %q, %v", got, err)
					case answer == keyringtest.Dismissed:
						says(t, err, secretstore.ErrLocked, "asking the keyring: it is locked, and", "unlock it and try again")
					}
				})
			}
			queue.Wait()
			close(hold)
			done.Wait()
			if s.Shown() != 1 {
				t.Errorf("%d prompts were shown, want one", s.Shown())
			}
		})
	}
}

func TestAPromptThatNobodySeesIsToldOfAndGivenUp(t *testing.T) {
	t.Parallel()
	s := locked(t, &keyringtest.Played{Answers: []keyringtest.Answer{keyringtest.Never, keyringtest.Opened}})
	_, err := s.process(t, secretstore.Config{Patience: 500 * time.Millisecond}).Get(t.Context(), "user/ann")
	says(t, err, secretstore.ErrLocked, "reading secret user/ann: asking the keyring: it is locked, and its prompt was not answered within 500ms; unlock it and try again")
	if note := <-s.notes; !strings.Contains(note, "waiting for the keyring") {
		t.Errorf("told %q", note)
	}
	wantSecret(t, s.process(t, secretstore.Config{}))
}

func TestWhereThereIsNobodyAKeyringIsNotAskedToPrompt(t *testing.T) {
	t.Parallel()
	s := locked(t, &keyringtest.Played{})
	_, err := s.mute(t, secretstore.Config{}).Get(t.Context(), "user/ann")
	says(t, err, secretstore.ErrLocked, "asking the keyring: it is locked; unlock it and try again")
	if s.Shown() != 0 {
		t.Errorf("%d prompts were shown, want none", s.Shown())
	}
	wantSecret(t, s.process(t, secretstore.Config{}))
}

// What keeps the key of a new store must not depend on whether the keyring happened
// to be locked.
func TestANewStoreWaitsForALockedKeyring(t *testing.T) {
	t.Parallel()
	s := play(t, &keyringtest.Played{Locked: true, Answers: []keyringtest.Answer{keyringtest.Dismissed, keyringtest.Opened}})
	cfg := secretstore.Config{AskPassphrase: answering("correct horse", nil)}
	err := s.process(t, cfg).Set(t.Context(), "user/ann", []byte("value"))
	says(t, err, secretstore.ErrLocked, "its prompt was dismissed", "unlock or restart it and try again", "STILE_SECRETS=keyfile", "STILE_SECRETS=passphrase")
	if k, err := s.process(t, cfg).Keeper(); k != "" || err != nil {
		t.Errorf("the keeper is %q, %v, want none", k, err)
	}
	if err := s.process(t, cfg).Set(t.Context(), "user/ann", []byte("value")); err != nil {
		t.Fatal(err)
	}
	if k, err := s.process(t, cfg).Keeper(); k != secretstore.Keyring || err != nil {
		t.Errorf("the keeper is %q, %v, want the keyring", k, err)
	}
	wantSecret(t, s.process(t, cfg))
}

// A keyring without a collection is what a machine has at whose desktop nobody has
// logged in: it may make one, if somebody is there.
func TestANewStoreWithAKeyringThatHasNoCollection(t *testing.T) {
	for answer, want := range map[keyringtest.Answer]secretstore.Keeper{keyringtest.Opened: secretstore.Keyring, keyringtest.Dismissed: secretstore.Passphrase} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			s := play(t, &keyringtest.Played{Missing: true, Answers: []keyringtest.Answer{answer}})
			cfg := secretstore.Config{AskPassphrase: answering("correct horse", nil)}
			if err := s.process(t, cfg).Set(t.Context(), "user/ann", []byte("value")); err != nil {
				t.Fatal(err)
			}
			if k, err := s.process(t, cfg).Keeper(); k != want || err != nil {
				t.Errorf("the keeper is %q, %v, want %s", k, err, want)
			}
			wantSecret(t, s.process(t, cfg))
			if want == secretstore.Passphrase {
				if note := <-s.notes; !strings.Contains(note, "no keyring is in use here (it has no collection to keep anything in") {
					t.Errorf("told %q, want why there is a passphrase", note)
				}
			}
		})
	}
}

func TestMovesToAKeyringThatTakesNothingLeaveTheKeyWhereItIs(t *testing.T) {
	for name, like := range map[string]func(*keyringtest.Played){
		"locked":                func(p *keyringtest.Played) { p.Locked = true },
		"without a collection":  func(p *keyringtest.Played) { p.Missing = true },
		"that may keep nothing": func(p *keyringtest.Played) { p.Confirms = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := play(t, &keyringtest.Played{Answers: []keyringtest.Answer{keyringtest.Dismissed}})
			s.Do(like)
			if err := s.process(t, secretstore.Config{Keeper: secretstore.KeyFile}).Set(t.Context(), "user/ann", []byte("value")); err != nil {
				t.Fatal(err)
			}
			err := s.process(t, secretstore.Config{}).Migrate(t.Context(), secretstore.Keyring)
			says(t, err, err, "giving the key to the keyring", "its prompt was dismissed", "or choose another keeper (passphrase, keyfile)")
			store := s.process(t, secretstore.Config{})
			if k, err := store.Keeper(); k != secretstore.KeyFile || err != nil || store.Moving() {
				t.Errorf("the keeper is %q, %v, moving %v", k, err, store.Moving())
			}
			wantSecret(t, store)
			if n := s.Shown(); n != 1 {
				t.Errorf("%d prompts were shown, want one", n)
			}
		})
	}
}

// A keyring that may not remove what it has keeps a copy, which is said; the next
// move tries again.
func TestMovesFromAKeyringThatRemovesNothing(t *testing.T) {
	t.Parallel()
	s := locked(t, &keyringtest.Played{Answers: []keyringtest.Answer{keyringtest.Dismissed, keyringtest.Opened}})
	s.Do(func(p *keyringtest.Played) { p.Locked, p.Confirms = false, true })
	err := s.process(t, secretstore.Config{}).Migrate(t.Context(), secretstore.KeyFile)
	says(t, err, secretstore.ErrLocked, "removing the key from keyring", "its prompt was dismissed")
	store := s.process(t, secretstore.Config{})
	if k, err := store.Keeper(); k != secretstore.KeyFile || err != nil || !store.Moving() {
		t.Errorf("the keeper is %q, %v, moving %v", k, err, store.Moving())
	}
	wantSecret(t, store)
	if err := store.Migrate(t.Context(), secretstore.KeyFile); err != nil || len(s.Entries()) > 0 || store.Moving() {
		t.Errorf("Migrate = %v, the keyring has %d entries, moving %v", err, len(s.Entries()), store.Moving())
	}
}

// What a keyring lost behind the store's back is said, and the way out works.
func TestAKeyThatTheKeyringLost(t *testing.T) {
	t.Parallel()
	s := locked(t, &keyringtest.Played{})
	s.Do(func(p *keyringtest.Played) { p.Locked = false })
	s.Forget()
	_, err := s.process(t, secretstore.Config{}).Get(t.Context(), "user/ann")
	says(t, err, err, "the keyring has no key of this secret store any more", s.dir, "stile sessions edit")
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	if err := s.process(t, secretstore.Config{Keeper: secretstore.Keyring}).Set(t.Context(), "user/ann", []byte("value")); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, s.process(t, secretstore.Config{}))
}

// forgetful is a keyring that says yes and keeps nothing.
type forgetful struct{ *system }

func (forgetful) Set(context.Context, string, string, string) error { return nil }

func TestAKeyringThatKeepsNothingGetsNoKey(t *testing.T) {
	cfg := secretstore.Config{Dir: newDir(t), System: forgetful{newSystem()}, Keeper: secretstore.KeyFile}
	if err := open(t, cfg).Set(t.Context(), "user/ann", []byte("value")); err != nil {
		t.Fatal(err)
	}
	err := open(t, cfg).Migrate(t.Context(), secretstore.Keyring)
	says(t, err, err, "giving the key to the keyring: seeing whether it is there")
	if _, err := os.Stat(filepath.Join(cfg.Dir, "key")); err != nil {
		t.Errorf("the key file: %v", err)
	}
	wantSecret(t, open(t, cfg))
}

// gnome is a store by GNOME Keyring, which is open.
func gnome(t *testing.T) *session {
	t.Helper()
	s := keyringtest.New(t)
	s.Unlock(t)
	return &session{address: s.Address, dir: newDir(t), notes: make(chan string, 1000)}
}

func TestManyThatBeginAStoreTogetherHaveOneKey(t *testing.T) {
	t.Parallel()
	s := gnome(t)
	var many sync.WaitGroup
	for i := range 8 {
		store := s.process(t, secretstore.Config{})
		many.Go(func() {
			if err := store.Set(t.Context(), fmt.Sprint("own/", i), []byte("value")); err != nil {
				t.Error(err)
			}
		})
	}
	many.Wait()
	store := s.process(t, secretstore.Config{})
	for i := range 8 {
		if got, err := store.Get(t.Context(), fmt.Sprint("own/", i)); err != nil || string(got) != "value" {
			t.Errorf("Get = %q, %v", got, err)
		}
	}
}

// Whoever reads while the key moves finds it where it was or where it is.
func TestReadingGoesOnWhileTheKeyMoves(t *testing.T) {
	t.Parallel()
	s := gnome(t)
	if err := s.process(t, secretstore.Config{Keeper: secretstore.Keyring}).Set(t.Context(), "user/ann", []byte("value")); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				wantSecret(t, s.process(t, secretstore.Config{}))
			}
		})
	}
	for range 10 {
		for _, to := range []secretstore.Keeper{secretstore.KeyFile, secretstore.Keyring} {
			if err := s.process(t, secretstore.Config{}).Migrate(t.Context(), to); err != nil {
				t.Error(err)
			}
		}
	}
	stop()
	readers.Wait()
}
