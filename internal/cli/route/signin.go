package route

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/flight"
)

// signInWish is how a person wants to sign in. Nonce tells those apart who want
// to although somebody is signed in.
type signInWish struct {
	Flow  session.Flow
	Port  int
	Force bool
	Nonce string
}

// unexplained is how long a person is not told why no page is shown.
const unexplained = 4 * time.Second

// signInApart has sign-ins done by a process of their own, which outlives this one:
// AWS's SDK for Go kills a credential_process after a minute, and people take
// longer. What it leaves is found by whoever comes next. Where there can be no such
// process, this one signs in itself. A broker is no such process: whoever signs in
// without it would wait for it, and be shown nothing.
func signInApart(s *term.Streams, p desk.Person) func(context.Context, *session.Source, desk.LoginOptions) (bool, error) {
	return func(ctx context.Context, source *session.Source, o desk.LoginOptions) (bool, error) {
		if o.Paste != nil { // what is pasted is pasted here, and instead of what waits for a browser
			return false, StopSignIns(ctx, s)
		}
		c, err := client.NewSignIn(s.Environ())
		if err != nil {
			return false, nil
		}
		c.Start = []string{"broker", "run", "--ready", "--sign-in"}
		explained := ExplainWait(o.Note, source.Name)
		defer explained()
		c.Quit = quit
		c.Note = func(text string) { explained(); flight.Note(ctx, text) }
		ctx, leave := context.WithCancelCause(ctx)
		defer leave(nil)
		c.Answer = func(ctx context.Context, q client.Question) (client.Answer, error) {
			explained()
			a, err := answer(ctx, p, q)
			if q.URL != "" && (err != nil || a.Declined) {
				unseen(ctx, q, leave)
			}
			return a, err
		}
		w := signInWish{Flow: o.Flow, Port: o.Port, Force: o.Force}
		if o.Force {
			w.Nonce = rand.Text()
		}
		options, err := json.Marshal(w)
		if err != nil {
			return false, err
		}
		_, err = c.Get(ctx, client.Request{Address: source.Name, Options: options})
		refusal, refused := errors.AsType[*client.Refusal](err)
		switch {
		case err == nil:
			return true, nil
		case ctx.Err() != nil:
			return true, context.Cause(ctx)
		case refused && !refusal.Redo:
			return true, refusal
		}
		return false, nil
	}
}

// quit reports that a context has ended because the person wanted to: they pressed
// Ctrl-C, or who waited in a broker did.
func quit(cause error) bool {
	by, ok := errors.AsType[*term.Interrupted](cause)
	return ok && by.Signal == syscall.SIGINT || errors.Is(cause, client.ErrQuit)
}

const (
	untold   = time.Second      // until those are told of a page who cannot show it
	patience = 30 * time.Second // until they go; somebody may finish it
)

// unseen is told of a page that can be shown to nobody here. A sign-in that was begun
// for them ends at once. One that goes on without those who began it may take long.
func unseen(ctx context.Context, q client.Question, leave context.CancelCauseFunc) {
	tell := time.AfterFunc(untold, func() { flight.Note(ctx, q.UnderWay) })
	end := time.AfterFunc(patience, func() {
		leave(&client.Refusal{Text: "nobody here can finish the sign-in: " + q.UnderWay})
	})
	context.AfterFunc(ctx, func() { tell.Stop(); end.Stop() })
}

// ExplainWait tells a person after a while why no page is shown to them, unless
// explained is called before, which may be called more than once. note may be nil.
func ExplainWait(note func(format string, args ...any), source string) (explained func()) {
	timer := time.AfterFunc(unexplained, func() {
		if note != nil {
			note("stile: another sign-in to %s is under way; finish it on its page, or end it by stile broker stop", source)
		}
	})
	return func() { timer.Stop() }
}

// StopSignIns ends what waits for browsers.
func StopSignIns(ctx context.Context, s *term.Streams) error {
	place, err := client.Find(s.Environ())
	if errors.Is(err, client.ErrUnavailable) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, p := range place.AllSignIns() {
		c := client.Client{Place: p}
		if err := c.Stop(ctx); err != nil && !errors.Is(err, client.ErrUnavailable) {
			return fmt.Errorf("stopping a sign-in: %w", err)
		}
	}
	return nil
}

// AnySignIn reports that any sign-in to its source will do for a request.
func AnySignIn(req client.Request) bool {
	var w signInWish
	return json.Unmarshal(req.Options, &w) == nil && w == (signInWish{})
}

// FarSignIn has somebody sign in for a process elsewhere. person is how that one
// reaches a person.
func FarSignIn(ctx context.Context, s *term.Streams, req client.Request, person *desk.Person) error {
	var w signInWish
	if err := json.Unmarshal(req.Options, &w); err != nil {
		return fmt.Errorf("reading the options of a sign-in: %w", err)
	}
	d, _, err := openDesk(s, desk.Config{Person: *person})
	if err != nil {
		return err
	}
	defer d.Close()
	source := d.SignInSource(req.Address)
	if source == nil {
		return fmt.Errorf("signing in to %s: there is no Identity Center and no sign-in to the console of this name", req.Address)
	}
	_, err = d.Login(ctx, source, desk.LoginOptions{Flow: w.Flow, Port: w.Port, Force: w.Force})
	return err
}
