package use

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/stile-aws/stile/internal/cli/known"
	"github.com/stile-aws/stile/internal/cli/pick"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/idc"
	"github.com/stile-aws/stile/internal/session/recent"
)

// canceled is the status of what a person has ended, as of shells: 128 and SIGINT.
const canceled = 130

// pick has the person choose from everything there is. What Identity Centers list
// is looked up anew meanwhile where that is due, and shown as it comes.
func (o *options) pick(ctx context.Context) (string, error) {
	if !o.streams.Ask || !o.streams.Terminal {
		return "", errors.New("choosing takes a terminal, at standard input and standard error: say which one, as stile use ADDRESS; stile ls lists them")
	}
	items := o.items()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	more, done := make(chan []pick.Item), make(chan struct{})
	go func() { defer close(done); o.renew(ctx, more) }()
	address, err := pick.Pick(ctx, "what to use in this shell; Esc leaves it as it is", items, more)
	stop()
	<-done
	if errors.Is(err, pick.ErrGivenUp) {
		return "", &term.Exit{Code: canceled, Err: errors.New("nothing was chosen; the shell is as it was")}
	}
	return address, err
}

// items are all there are, with what is known of how they were used.
func (o *options) items() []pick.Item {
	var weights map[string]float64
	if log, err := o.recent(); err == nil {
		weights, _ = log.Weights(time.Now()) // unread, everything weighs the same
	}
	all := known.Read(o.streams).All()
	items := make([]pick.Item, len(all))
	for i := range all {
		e := &all[i]
		notes := e.Notes()
		if e.Source != e.Address {
			notes = append([]string{e.Source}, notes...)
		}
		items[i] = pick.Item{Name: e.Address, Note: strings.Join(notes, "  "), Text: e.Text(), Weight: weights[e.Address]}
	}
	return items
}

func (o *options) recent() (*recent.Log, error) {
	paths, err := session.FindPaths(o.streams.Getenv)
	if err != nil {
		return nil, err
	}
	return &recent.Log{Dir: recentIn(paths)}, nil
}

// remember makes what is used come first the next time. The shell is set whether
// or not that is possible.
func (o *options) remember(ctx context.Context, address string) {
	log, err := o.recent()
	if err == nil {
		err = log.Add(ctx, address, time.Now())
	}
	if err != nil {
		o.streams.Note("stile: %v", err)
	}
}

// batch is how many accounts are listed before they are shown.
const batch = 20

// renew lists again what Identity Centers listed long ago or never, one source
// after the other and within the rate that all processes share. Nobody is asked
// to sign in for it, and what fails is shown when it is used.
func (o *options) renew(ctx context.Context, more chan<- []pick.Item) {
	defer close(more)
	paths, err := session.FindPaths(o.streams.Getenv)
	if err != nil {
		return
	}
	book, err := session.Read(paths.Book)
	if err != nil {
		return
	}
	d := desk.New(desk.Config{Book: book, Paths: paths}) // without a person
	defer d.Close()
	show := func() bool {
		select {
		case more <- o.items():
			return true
		case <-ctx.Done():
			return false
		}
	}
	for i := range book.Sources {
		source := &book.Sources[i]
		if source.IdentityCenter == nil || d.SignedIn(ctx, source) != nil {
			continue
		}
		if c, err := d.Center(ctx, source); err == nil && !list(ctx, c, show) {
			return
		}
	}
}

// list lists what is due. It reports false when there is nobody to show it to.
func list(ctx context.Context, c *idc.Client, show func() bool) bool {
	before, at := c.KnownAccounts()
	accounts, err := c.Accounts(ctx, idc.GoodFor)
	if err != nil {
		return ctx.Err() == nil
	}
	due := 0
	if at.IsZero() || len(before) != len(accounts) {
		due++
	}
	_, _ = c.RolesIn(ctx, accounts, idc.Sweep{Age: idc.GoodFor, Listed: func() { // what fails is shown when it is used
		if due++; due%batch == 0 {
			show()
		}
	}})
	return ctx.Err() == nil && (due%batch == 0 || show())
}
