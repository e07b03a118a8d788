package broker

import (
	"context"
	"crypto/rand"
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
	return broker.Config{
		Place: *place, Idle: signInIdle, Ready: ready, Text: awserr.Text,
		Open: func(ctx context.Context, req client.Request) (broker.Session, error) {
			return signedIn{req.Address}, route.FarSignIn(ctx, s, req, &desk.Person{Show: show})
		},
		// What was done for one is nothing to the next: the token may be gone. Who
		// asks again while somebody is signed in is told so at once.
		Stamp: func(client.Request) string { return rand.Text() },
	}
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
