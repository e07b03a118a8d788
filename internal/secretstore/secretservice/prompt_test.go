//go:build linux

package secretservice_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/secretstore/keyringtest"
	"github.com/stile-aws/stile/internal/secretstore/secretservice"
)

// play plays a keyring that has an entry.
func play(t *testing.T, p *keyringtest.Played) *keyringtest.Session {
	t.Helper()
	s := keyringtest.New(t)
	keyringtest.Play(t, s, p)
	set(t, mute(s), "stile", "/home/ann", "value")
	return s
}

func TestAPromptThatIsAnsweredOpensTheKeyring(t *testing.T) {
	t.Parallel()
	for name, like := range map[string]func(*keyringtest.Played){
		"a collection that tells what it has":       func(p *keyringtest.Played) { p.Locked = true },
		"a collection that does not":                func(p *keyringtest.Played) { p.Locked, p.Hides = true, true },
		"a collection that opens for each client":   func(p *keyringtest.Played) { p.EachClient = true },
		"a collection that is to be made":           func(p *keyringtest.Played) { p.Missing = true },
		"a keyring that asks before it keeps":       func(p *keyringtest.Played) { p.Confirms = true },
		"a keyring that is locked and asks as well": func(p *keyringtest.Played) { p.Locked, p.Confirms = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &keyringtest.Played{}
			s := play(t, p)
			p.Do(like)
			k := asks(s)
			want(t, k, "stile", "/home/ann", "value")
			set(t, k, "stile", "/home/ann", "new")
			want(t, k, "stile", "/home/ann", "new")
			if err := k.Delete(t.Context(), "stile", "/home/ann"); err != nil || len(p.Entries()) != 0 {
				t.Errorf("Delete = %v, left is %v", err, p.Entries())
			}
			if p.Shown() == 0 {
				t.Error("no prompt was shown")
			}
		})
	}
}

func TestAPromptThatIsDismissedIsNoSuccess(t *testing.T) {
	t.Parallel()
	p := &keyringtest.Played{Answers: []keyringtest.Answer{keyringtest.Dismissed}}
	s := play(t, p)
	p.Do(func(p *keyringtest.Played) { p.Locked = true })
	refused(t, asks(s), secretservice.ErrLocked, "its prompt was dismissed")
	p.Do(func(p *keyringtest.Played) { p.Locked, p.Confirms = false, true })
	if err := asks(s).Set(t.Context(), "stile", "/home/ann", "new"); !errors.Is(err, secretservice.ErrLocked) {
		t.Errorf("Set = %v, want ErrLocked: nothing was kept", err)
	}
	if err := asks(s).Delete(t.Context(), "stile", "/home/ann"); !errors.Is(err, secretservice.ErrLocked) {
		t.Errorf("Delete = %v, want ErrLocked: nothing was removed", err)
	}
	want(t, asks(s), "stile", "/home/ann", "value")
	p.Do(func(p *keyringtest.Played) { p.Missing = true })
	if err := asks(s).Set(t.Context(), "stile", "/home/ann", "new"); !errors.Is(err, secretservice.ErrNowhere) {
		t.Errorf("Set = %v, want ErrNowhere", err)
	}
}

// Whatever happens while a prompt is shown, the wait for it ends.
func TestPromptsThatNobodyAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer keyringtest.Answer
		then   func(t *testing.T, s *keyringtest.Session, giveUp context.CancelCauseFunc)
		says   string
	}{
		"the caller gives up": {keyringtest.Never, func(_ *testing.T, _ *keyringtest.Session, giveUp context.CancelCauseFunc) {
			giveUp(errors.New("enough"))
		}, "enough"},
		"the keyring ends":  {keyringtest.Vanished, nil, "it ended while its prompt was shown"},
		"the bus goes away": {keyringtest.Never, func(t *testing.T, s *keyringtest.Session, _ context.CancelCauseFunc) { s.Break(t) }, "the D-Bus of this session went away"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &keyringtest.Played{Answers: []keyringtest.Answer{c.answer}}
			s := play(t, p)
			p.Do(func(p *keyringtest.Played) { p.Locked = true })
			ctx, giveUp := context.WithCancelCause(t.Context())
			defer giveUp(nil)
			done := make(chan error, 1)
			go func() {
				_, err := asks(s).Get(ctx, "stile", "/home/ann")
				done <- err
			}()
			<-p.Showing()
			if c.then != nil {
				c.then(t, s, giveUp)
			}
			if err := <-done; err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Get = %v, want %q", err, c.says)
			}
		})
	}
}

// A keyring that is unlocked while somebody else's prompt is waited for needs no other.
func TestWhatIsOpenByNowIsNotPromptedFor(t *testing.T) {
	t.Parallel()
	p := &keyringtest.Played{}
	s := play(t, p)
	p.Do(func(p *keyringtest.Played) { p.Locked = true })
	k := mute(s)
	k.Patience = time.Minute
	k.Ask = func(ctx context.Context, ask func(context.Context) error) error {
		p.Do(func(p *keyringtest.Played) { p.Locked = false })
		return ask(ctx)
	}
	want(t, k, "stile", "/home/ann", "value")
	if p.Shown() != 0 {
		t.Errorf("%d prompts were shown, want none", p.Shown())
	}
}
