// Package observe reads AWS into an inventory: what a request names, and what
// decides about it.
//
// [Fill] is the entry. Accounts are read side by side, each with a bounded
// number of calls in flight. What could not be read is recorded as a problem of
// its account and never taken for absence. Nothing is changed in AWS.
package observe

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"golang.org/x/sync/errgroup"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/inventory"
)

// Source gives the configuration to read an account with. It must fail for
// accounts it does not know, and must not give credentials of another account.
type Source interface {
	Config(ctx context.Context, account arn.AccountID, region string) (aws.Config, error)
}

// Options bound the work. The zero value is usable.
type Options struct {
	Accounts int // accounts read at once; default 16
	Calls    int // calls in flight in one account; default 8
}

func (o Options) accounts() int {
	if o.Accounts > 0 {
		return o.Accounts
	}
	return 16
}

func (o Options) calls() int {
	if o.Calls > 0 {
		return o.Calls
	}
	return 8
}

// Fill looks for everything req names and adds it to inv. The error is ctx's,
// when it ended; what an account refused is in inv as that account's problems.
func Fill(ctx context.Context, src Source, req inventory.Request, inv *inventory.Inventory, opt Options) error {
	if inv.Accounts == nil {
		inv.Accounts = map[arn.AccountID]*inventory.Account{}
	}
	var g errgroup.Group
	g.SetLimit(opt.accounts())
	for id, what := range req.Accounts {
		a := inv.Accounts[id]
		if a == nil {
			a = &inventory.Account{ID: id}
			inv.Accounts[id] = a
		}
		g.Go(func() error {
			newReader(src, a, opt).read(ctx, what)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if req.Organization || inv.OrgState != inventory.NotAsked {
		memberships(ctx, src, inv, opt)
	}
	if req.Organization {
		organization(ctx, src, req.Candidates, inv)
	}
	return ctx.Err()
}

// reader reads one account.
type reader struct {
	src Source
	opt Options

	mu      sync.Mutex // guards account, managed
	account *inventory.Account
	asked   map[string]bool // managed policies being read
}

func newReader(src Source, a *inventory.Account, opt Options) *reader {
	makeMaps(a)
	return &reader{src: src, opt: opt, account: a, asked: map[string]bool{}}
}

func makeMaps(a *inventory.Account) {
	ensure(&a.Roles)
	ensure(&a.Users)
	ensure(&a.Managed)
	ensure(&a.Providers)
	ensure(&a.Secrets)
	ensure(&a.Keys)
	ensure(&a.Clusters)
}

func ensure[V any](m *map[string]V) {
	if *m == nil {
		*m = map[string]V{}
	}
}

func (r *reader) read(ctx context.Context, what *inventory.AccountRequest) {
	cfg, err := r.src.Config(ctx, r.account.ID, "")
	if err != nil {
		r.problem(inventory.AllOfIt, err)
		return
	}
	c := iam.NewFromConfig(cfg)
	g := &errgroup.Group{}
	g.SetLimit(r.opt.calls())
	if what.Everything {
		g.Go(func() error { r.everything(ctx, c); return nil })
	}
	if what.Quotas {
		g.Go(func() error { r.quotas(ctx, c); return nil })
	}
	for _, name := range what.Roles {
		g.Go(func() error { r.role(ctx, c, name); return nil })
	}
	for _, name := range what.Users {
		g.Go(func() error { r.user(ctx, c, name); return nil })
	}
	for _, ref := range what.Managed {
		g.Go(func() error { r.boundary(ctx, c, ref); return nil })
	}
	for _, url := range what.Providers {
		g.Go(func() error { r.provider(ctx, c, url); return nil })
	}
	for _, id := range what.Secrets {
		g.Go(func() error { r.secret(ctx, id); return nil })
	}
	for _, key := range what.Keys {
		g.Go(func() error { r.key(ctx, key); return nil })
	}
	for _, ref := range what.Clusters {
		g.Go(func() error { r.cluster(ctx, ref); return nil })
	}
	_ = g.Wait() // the functions record their errors
}

// problem records that something could not be read.
func (r *reader) problem(what string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.account.Problems = append(r.account.Problems, inventory.Problem{What: what, Why: awserr.Text(err)})
}

// put records a finding under the lock.
func (r *reader) put(f func(a *inventory.Account)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.account)
}

// notFound reports whether err is one of AWS's spellings of "there is none".
func notFound(err error) bool { return awserr.KindOf(err) == awserr.NotFound }
