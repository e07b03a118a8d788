//go:build linux

package secretservice_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/stile-aws/stile/internal/secretstore/keyringtest"
	"github.com/stile-aws/stile/internal/secretstore/secretservice"
)

// asks is a keyring of the session that has the person asked.
func asks(s *keyringtest.Session) *secretservice.Keyring {
	return &secretservice.Keyring{Bus: s.Address, Ask: func(ctx context.Context, ask func(context.Context) error) error { return ask(ctx) }}
}

// mute is one that has nobody asked.
func mute(s *keyringtest.Session) *secretservice.Keyring {
	return &secretservice.Keyring{Bus: s.Address}
}

func want(t *testing.T, k *secretservice.Keyring, service, user, value string) {
	t.Helper()
	if got, err := k.Get(t.Context(), service, user); err != nil || got != value {
		t.Errorf("Get(%q, %q) = %.40q, %v, want %.40q", service, user, got, err, value)
	}
}

// refused checks that nothing can be done, for one reason that says one thing.
func refused(t *testing.T, k *secretservice.Keyring, reason error, says string) {
	t.Helper()
	_, err := k.Get(t.Context(), "stile", "/home/ann")
	for what, err := range map[string]error{"Get": err, "Set": k.Set(t.Context(), "stile", "/home/ann", "new"), "Delete": k.Delete(t.Context(), "stile", "/home/ann")} {
		if err == nil || reason != nil && !errors.Is(err, reason) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s = %v, want %q", what, err, says)
		}
	}
}

func set(t *testing.T, k *secretservice.Keyring, service, user, value string) {
	t.Helper()
	if err := k.Set(t.Context(), service, user, value); err != nil {
		t.Fatalf("Set(%q, %q): %v", service, user, err)
	}
}

func TestGNOMEKeepsWhateverItIsGiven(t *testing.T) {
	t.Parallel()
	s := keyringtest.New(t)
	s.Unlock(t)
	k := mute(s)
	if _, err := k.Get(t.Context(), "stile", "/home/ann"); !errors.Is(err, secretservice.ErrNotFound) {
		t.Errorf("before: %v, want ErrNotFound", err)
	}
	entries := map[string]string{
		"/home/ann/.local/share/stile/secrets": "AGE-SECRET-KEY-1",
		"/home/Ann/Ünïcode/日本/🔑":               strings.Repeat("several KB ", 10_000),
		"'quoted\" $(x) %2F\\ \t\n; --":        "a\nb\r\n\tc",
		"/bytes/\xff\xfe":                      "of no encoding",
		"/bytes/\xff\xfd":                      "of none either",
		"":                                     "no user",
		"/empty":                               "",
	}
	for user, value := range entries {
		set(t, k, "stile", user, "other")
		set(t, k, "stile", user, value)
	}
	for user, value := range entries {
		want(t, k, "stile", user, value)
	}
	for user := range entries {
		for range 2 { // one that is not there is no error
			if err := k.Delete(t.Context(), "stile", user); err != nil {
				t.Errorf("Delete(%q) = %v", user, err)
			}
		}
		if got, err := k.Get(t.Context(), "stile", user); !errors.Is(err, secretservice.ErrNotFound) {
			t.Errorf("after Delete: %q, %v", got, err)
		}
	}
}

// entry makes one as another program does, past this package.
func entry(t *testing.T, s *keyringtest.Session, collection dbus.ObjectPath, attributes map[string]string, value string) dbus.ObjectPath {
	t.Helper()
	bus := s.Connect(t)
	var output dbus.Variant
	secret := keyringtest.Secret{Parameters: []byte{}, Value: []byte(value), ContentType: "text/plain"}
	if err := bus.Object("org.freedesktop.secrets", "/org/freedesktop/secrets").Call("org.freedesktop.Secret.Service.OpenSession", 0, "plain", dbus.MakeVariant("")).Store(&output, &secret.Session); err != nil {
		t.Fatal(err)
	}
	var made, prompt dbus.ObjectPath
	properties := map[string]dbus.Variant{"org.freedesktop.Secret.Item.Label": dbus.MakeVariant("another's"), "org.freedesktop.Secret.Item.Attributes": dbus.MakeVariant(attributes)}
	if err := bus.Object("org.freedesktop.secrets", collection).Call("org.freedesktop.Secret.Collection.CreateItem", 0, properties, secret, true).Store(&made, &prompt); err != nil {
		t.Fatal(err)
	}
	return made
}

func TestEntriesOfOtherProgramsStay(t *testing.T) {
	t.Parallel()
	s := keyringtest.New(t)
	s.Unlock(t)
	k := mute(s)
	others := []map[string]string{
		{"service": "stile", "username": "/home/bob"},
		{"service": "other", "username": "/home/ann"},
		{"service": "stile", "username": "/home/an"},
		{"username": "/home/ann"},
	}
	var made []dbus.ObjectPath
	for _, o := range others {
		made = append(made, entry(t, s, keyringtest.Login, o, "another's"))
	}
	for range 2 {
		set(t, k, "stile", "/home/ann", "ours")
		want(t, k, "stile", "/home/ann", "ours")
		if err := k.Delete(t.Context(), "stile", "/home/ann"); err != nil {
			t.Fatal(err)
		}
	}
	var all dbus.Variant
	s.Call(t, keyringtest.Login, "org.freedesktop.DBus.Properties.Get", "org.freedesktop.Secret.Collection", "Items")(&all)
	items, _ := all.Value().([]dbus.ObjectPath)
	for i, path := range made {
		if !slices.Contains(items, path) {
			t.Errorf("the entry with %v is gone", others[i])
		}
	}
}

// What was kept in the collection of the session is found, and what is kept anew
// lasts longer, alone.
func TestEntriesMoveOutOfTheSession(t *testing.T) {
	t.Parallel()
	s := keyringtest.New(t)
	s.Unlock(t)
	k := mute(s)
	entry(t, s, "/org/freedesktop/secrets/collection/session", map[string]string{"service": "stile", "username": "/home/ann"}, "old")
	want(t, k, "stile", "/home/ann", "old")
	set(t, k, "stile", "/home/ann", "new")
	want(t, k, "stile", "/home/ann", "new")
	s.Signal(t, syscall.SIGKILL)
	s.Unlock(t)
	want(t, k, "stile", "/home/ann", "new")
}

func TestALockedGNOMESaysSoAndLosesNothing(t *testing.T) {
	t.Parallel()
	s := keyringtest.New(t)
	s.Unlock(t)
	set(t, mute(s), "stile", "/home/ann", "value")
	for _, how := range []func(){func() { s.Lock(t) }, func() { s.Signal(t, syscall.SIGKILL) }} { // the bus starts another, which is locked
		how()
		refused(t, mute(s), secretservice.ErrLocked, "it is locked")
		refused(t, asks(s), secretservice.ErrLocked, "it is locked, and its prompt was dismissed, or could be shown to nobody")
		s.Unlock(t)
		want(t, mute(s), "stile", "/home/ann", "value")
	}
}

func TestGNOMEWithoutCollections(t *testing.T) {
	t.Parallel()
	s := keyringtest.New(t)
	for k, says := range map[*secretservice.Keyring]string{mute(s): "it has no collection to keep anything in", asks(s): "and its prompt was dismissed, or could be shown to nobody"} {
		if _, err := k.Get(t.Context(), "stile", "/home/ann"); !errors.Is(err, secretservice.ErrNotFound) {
			t.Errorf("Get = %v, want ErrNotFound", err)
		}
		if err := k.Delete(t.Context(), "stile", "/home/ann"); err != nil {
			t.Errorf("Delete = %v", err)
		}
		if err := k.Set(t.Context(), "stile", "/home/ann", "value"); !errors.Is(err, secretservice.ErrNowhere) || errors.Is(err, secretservice.ErrLocked) || !strings.Contains(err.Error(), says) {
			t.Errorf("Set = %v, want %q", err, says)
		}
	}
}

func TestAKeyringThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	s := keyringtest.New(t)
	s.Unlock(t)
	set(t, mute(s), "stile", "/home/ann", "value")
	s.Signal(t, syscall.SIGSTOP)
	k := asks(s)
	k.Patience = 100 * time.Millisecond
	refused(t, k, context.DeadlineExceeded, "it does not answer within 100ms")
	s.Signal(t, syscall.SIGCONT)
	want(t, mute(s), "stile", "/home/ann", "value")
}

func TestABusThatIsGoneIsSaid(t *testing.T) {
	t.Parallel()
	s := keyringtest.New(t)
	s.Unlock(t)
	s.Break(t)
	refused(t, asks(s), nil, "reaching it over the D-Bus of this session: dial unix")
}

func TestNothingIsLeftOfASession(t *testing.T) {
	var s *keyringtest.Session
	t.Run("with a keyring", func(t *testing.T) {
		s = keyringtest.New(t)
		s.Unlock(t)
		s.Lock(t)
		refused(t, asks(s), secretservice.ErrLocked, "it is locked") // a prompter is started
		if n := len(s.Left()); n < 2 {
			t.Errorf("%d processes, want the bus and the keyring", n)
		}
	})
	if left := s.Left(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
