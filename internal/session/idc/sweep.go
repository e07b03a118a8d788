package idc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/session"
)

// Sweep says how the roles of many accounts are listed. The zero Sweep lists all
// of them anew, and nothing more once one account fails.
type Sweep struct {
	// Of chooses the accounts. Default: all.
	Of func(session.Account) bool
	// Age is how old a list may be that will do.
	Age time.Duration
	// KnownOnly asks nobody: what was listed before will do, however old.
	KnownOnly bool
	// SkipFailed goes on past an account that fails, for who wants as much as there
	// is. Others cannot use a part, and hundreds of requests would be for nothing.
	SkipFailed bool
	// Listed, if set, is told of each account that was asked for, once its list is
	// kept: by who called, which it holds up.
	Listed func()
}

// atOnce is how many accounts are asked for at a time; the rate is pace's.
const atOnce = 8

// RolesIn lists the person's permission sets in many accounts: a list for each, in
// their order, nil for one that the sweep leaves out. An error comes with all that
// could be listed, and with what is known of the rest.
func (c *Client) RolesIn(ctx context.Context, accounts []session.Account, s Sweep) ([][]string, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	roles := make([][]string, len(accounts))
	var due []int
	for i, a := range accounts {
		if s.Of != nil && !s.Of(a) {
			continue
		}
		known, at := c.KnownRoles(a.ID)
		roles[i] = known
		if !s.KnownOnly && !Young(at, s.Age) {
			due = append(due, i)
		}
	}
	var skipped []error
	for asked := range c.askFor(ctx, accounts, due, s.Age) {
		err := asked.err
		if err == nil {
			roles[asked.account] = asked.roles
			if s.Listed != nil {
				s.Listed()
			}
			continue
		}
		if everyAccounts(err) {
			stop(err)
			continue
		}
		a := accounts[asked.account]
		err = fmt.Errorf("listing the roles of account %s: %w", strings.TrimSpace(a.Name+" "+string(a.ID)), err)
		if !s.SkipFailed {
			stop(err)
		}
		skipped = append(skipped, err)
	}
	if err := context.Cause(ctx); err != nil {
		return roles, err
	}
	if more := len(skipped) - 1; more > 0 {
		return roles, fmt.Errorf("%w; and of %d more", skipped[0], more)
	}
	return roles, errors.Join(skipped...)
}

// answered is what came of asking for an account's roles.
type answered struct {
	account int // its index
	roles   []string
	err     error
}

// askFor asks for the roles of the accounts that are due, until ctx ends. The
// channel has to be read to its end.
func (c *Client) askFor(ctx context.Context, accounts []session.Account, due []int, age time.Duration) <-chan answered {
	out := make(chan answered)
	go func() {
		defer close(out)
		var g errgroup.Group
		g.SetLimit(atOnce)
		for _, i := range due {
			g.Go(func() error {
				if ctx.Err() == nil {
					roles, err := c.Roles(ctx, accounts[i].ID, age)
					out <- answered{i, roles, err}
				}
				return nil
			})
		}
		_ = g.Wait() // the errors are in the answers
	}()
	return out
}

// everyAccounts reports a failure that each account would have: nobody is signed in,
// nobody answers, or the portal has had enough.
func everyAccounts(err error) bool {
	if _, out := errors.AsType[*SignedOutError](err); out {
		return true
	}
	switch awserr.KindOf(err) {
	case awserr.Canceled, awserr.Throttled:
		return true
	case awserr.Transient:
		var answered smithy.APIError
		return !errors.As(err, &answered)
	}
	return false
}
