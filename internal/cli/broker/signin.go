package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/broker"
	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session/desk"
)

// signInIdle is how long the process stays that signs people in when nobody waits
// and no page is open.
const signInIdle = time.Second

// signIns is a broker of sign-ins alone, for those who do without one: it waits for
// the browser's answer, whoever asked for it dies, and keeps the token where every
// process finds it. It hands out nothing.
func signIns(s *term.Streams, place *client.Place, ready func()) broker.Config {
	p := &pages{open: map[string]*page{}}
	return broker.Config{
		Place: *place, Idle: signInIdle, Ready: ready, Text: awserr.Text,
		Open: func(ctx context.Context, req client.Request) (broker.Session, error) {
			return signedIn{req.Address}, p.turn(ctx, req.Address, route.AnySignIn(req), func(ctx context.Context) error {
				return route.FarSignIn(ctx, s, req, &desk.Person{Show: show})
			})
		},
		// What was done for one is nothing to the next: the token may be gone. Who
		// asks again while somebody is signed in is told so at once.
		Stamp: func(client.Request) string { return rand.Text() },
	}
}

// pages are the sign-ins that wait for a browser, by source.
type pages struct {
	mu   sync.Mutex // guards open
	open map[string]*page
}

// page is one that waits. err is valid once done is closed.
type page struct {
	leave context.CancelCauseFunc
	name  string // by which guests wait for it
	done  chan struct{}
	err   error
	next  *page // that has taken its place
}

// outcome waits for a page's end, or for that of the one that has taken its place. It is
// client.ErrQuit when who wanted it has given it up: who waits begins their own.
func (g *page) outcome() error {
	<-g.done
	return g.err
}

// errAnother is an interruption: who was interrupted speaks for nobody who waits.
var errAnother = fmt.Errorf("another sign-in was begun: %w", context.Canceled)

// turn signs in to a source in place of a sign-in that was begun in another way: a
// person who has turned to a device code has no use for the page any more. Who
// waited for that one waits for this one. For whom any way will do there is no other
// page than the one that is open.
func (p *pages) turn(ctx context.Context, source string, anyWay bool, signIn func(context.Context) error) error {
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	own := &page{leave: leave, done: make(chan struct{}), name: rand.Text()}
	p.mu.Lock()
	before := p.open[source]
	if anyWay && before != nil {
		p.mu.Unlock()
		broker.Waits(ctx, before.name)
		return before.outcome()
	}
	p.open[source] = own
	if before != nil {
		before.next = own
		before.leave(errAnother)
	}
	p.mu.Unlock()
	broker.Waits(ctx, own.name)
	own.err = signIn(ctx)
	if own.err != nil && errors.Is(context.Cause(ctx), client.ErrQuit) {
		own.err = client.ErrQuit
	}
	p.mu.Lock()
	next := own.next
	if next == nil {
		delete(p.open, source)
	}
	p.mu.Unlock()
	if next != nil && own.err != nil {
		own.err = next.outcome()
	}
	close(own.done)
	return own.err
}

// signedIn is a sign-in, to the source that it names, that has ended well.
type signedIn struct{ source string }

// About implements broker.Session.
func (s signedIn) About() client.About { return client.About{Name: s.source} }

// Retrieve implements broker.Session. There are no credentials in it.
func (signedIn) Retrieve(context.Context) (client.Grant, error) { return client.Grant{}, nil }

// Keep implements broker.Session.
func (signedIn) Keep(ctx context.Context) { <-ctx.Done() }

// Close implements broker.Session.
func (signedIn) Close() {}
