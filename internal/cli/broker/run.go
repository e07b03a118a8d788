package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/aws/smithy-go"
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/broker"
	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/flight"
	"github.com/stile-aws/stile/internal/session/idc"
)

type options struct {
	streams *term.Streams
	idle    time.Duration
	ready   bool
	signIn  bool
}

func newRun(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:    "run",
		Short:  "Be the broker of this environment",
		Long:   "Be the broker of this environment, until nobody asks any more. Exit status: 0, also when there is one already.",
		Hidden: true,
		Args:   term.Args(0),
		RunE:   func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.DurationVar(&o.idle, "idle", 0, "`TIME` without requests after which it ends; default 10m")
	f.BoolVar(&o.signIn, "sign-in", false, "have people sign in, for those who do without a broker, and do nothing else")
	f.BoolVar(&o.ready, "ready", false, fmt.Sprintf("write a byte to descriptor %d when it listens", client.ReadyFD))
	return cmd
}

func (o *options) run(ctx context.Context) error {
	broker.Harden()
	place, err := client.Find(o.streams.Environ())
	if err != nil {
		return err
	}
	streams := &term.Streams{In: eof{}, Out: io.Discard, Err: io.Discard, Env: o.streams.Env, Environ: o.streams.Environ}
	if o.signIn {
		err = broker.Run(ctx, signIns(streams, place.SignIns(), o.tell))
	} else {
		err = o.hold(ctx, streams, place)
	}
	if errors.Is(err, broker.ErrRunning) {
		o.tell() // whoever waits for us can connect to it
		return nil
	}
	return err
}

// hold is to be a broker proper.
func (o *options) hold(ctx context.Context, streams *term.Streams, place *client.Place) error {
	b := &ways{streams: streams, cache: creds.NewCache(creds.Config{})}
	defer b.cache.Close()
	return broker.Run(ctx, broker.Config{
		Place: *place, Open: b.open, Stamp: b.stamp, Redo: redo, Text: awserr.Text, Idle: o.idle, Ready: o.tell,
	})
}

// tell lets the client that has started us go on.
func (o *options) tell() {
	if !o.ready {
		return
	}
	f := os.NewFile(client.ReadyFD, "ready")
	_, _ = f.Write([]byte{1}) // it may be gone
	_ = f.Close()
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// ways opens what clients ask for, as they would do it themselves. All have one
// cache, so that ways with a hop in common share it.
type ways struct {
	streams *term.Streams
	cache   *creds.Cache
}

func (w *ways) open(ctx context.Context, req client.Request) (broker.Session, error) {
	way, err := route.Far(ctx, w.streams, req, w.person(), w.cache, broker.Waits)
	if err != nil {
		return nil, err
	}
	return &held{way}, nil
}

// person is whoever is with one of the clients that wait.
func (w *ways) person() *desk.Person {
	p := &desk.Person{Secret: func(ctx context.Context, prompt string, confirm bool) (string, error) {
		a, err := broker.Ask(ctx, client.Question{Text: prompt, Secret: true, Confirm: confirm})
		return a.Text, err
	}}
	if w.streams.Getenv(route.NoLoginEnv) != "" {
		return p
	}
	p.Show = show
	p.Ask = func(ctx context.Context, prompt string) (string, error) {
		a, err := broker.Ask(ctx, client.Question{Text: prompt})
		return a.Text, err
	}
	return p
}

func show(ctx context.Context, p idc.Page) error {
	return broker.Show(ctx, client.Question{Text: "sign in", URL: p.URL, Code: p.Code, Port: p.Port, UnderWay: p.UnderWay})
}

func (w *ways) stamp(req client.Request) string { return route.Stamp(w.streams, req) }

// redo reports errors about which the client finds out more itself: what is wrong
// with its files, what a helper program says on standard error, what a person is
// needed for. What AWS or the network has answered it would hear again.
func redo(err error) bool {
	_, answered := errors.AsType[smithy.APIError](err)
	_, network := errors.AsType[net.Error](err)
	_, program := errors.AsType[*exec.ExitError](err)
	_, told := errors.AsType[*flight.Error](err)      // a person has said no to another
	_, refused := errors.AsType[*client.Refusal](err) // the same, of a sign-in
	return program || !told && !refused && !answered && !network && !errors.Is(err, context.DeadlineExceeded)
}

// enough is the life below which the SDK for Python asks again for each call.
const enough = 15 * time.Minute

// held is a way that a broker holds open.
type held struct{ way *route.Way }

// About implements broker.Session.
func (h *held) About() client.About { return h.way.About() }

// Forget implements broker.Forgetter.
func (h *held) Forget(accessKeyID string) { h.way.Credentials.Invalidate(accessKeyID) }

// Retrieve implements broker.Session.
func (h *held) Retrieve(ctx context.Context) (client.Grant, error) {
	c, err := h.way.Credentials.RetrieveLong(ctx, enough)
	if err != nil {
		return client.Grant{}, fmt.Errorf("going as %s: %w", h.way.Caller, err)
	}
	g := client.Grant{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, AccountID: c.AccountID, Source: c.Source}
	if c.CanExpire {
		g.Expires = c.Expires
	}
	return g, nil
}

// Keep implements broker.Session.
func (h *held) Keep(ctx context.Context) { h.way.Credentials.Keep(ctx) }

// Close implements broker.Session.
func (h *held) Close() { h.way.Close() }
