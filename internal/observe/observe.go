// Package observe reads AWS into an inventory: what a request names, and what
// decides about it, or everything of whole accounts.
//
// [Fill] is the entry. Accounts are read side by side, each with a bounded
// number of calls in flight and, by [Options].Rates, of calls a second. What
// could not be read is recorded as a problem of its account and never taken for
// absence; of a kind of things that were to be listed, Account.Listed says how
// that went in each Region. Nothing is changed in AWS: [Policy] is all that
// reading everything needs; what a request names may take more (encryption.go).
//
// Reading everything (see [sweeps]) takes IAM, the organization, and in every
// Region asked for secrets, keys with grants, EKS clusters with associations
// and access entries, VPC endpoints, tables, queues, topics, functions and
// repositories, and the buckets of all Regions. The policies of function
// versions and aliases, of access points and of other services' resources are
// not read; service accounts are in the clusters, not in AWS.
package observe

import (
	"context"
	"slices"
	"strings"
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
	// Rates bound the calls a second in each account and Region, by the prefix
	// of the service's IAM actions, see DefaultRates. Default: no bound.
	Rates map[string]Rate
	// Meter is kept up to date while Fill runs. Default: none.
	Meter *Meter
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
	metered := newMetered(src, opt)
	src = metered
	metered.meter.accounts.Add(int64(len(req.Accounts)))
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
			metered.meter.done.Add(1)
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
	ensure(&a.SAML)
	ensure(&a.Resources)
	ensure(&a.Endpoints)
	ensure(&a.Listed)
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
	sweeping := &errgroup.Group{} // bounds itself
	if len(what.Regions) > 0 {
		sweeping.Go(func() error { r.sweep(ctx, what.Regions); return nil })
	}
	g := &errgroup.Group{}
	g.SetLimit(r.opt.calls())
	if what.Everything {
		g.Go(func() error { r.everything(ctx, c, len(what.Regions) > 0); return nil })
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
	for _, id := range what.Resources {
		g.Go(func() error { r.resource(ctx, id); return nil })
	}
	for _, ref := range what.Clusters {
		g.Go(func() error { r.cluster(ctx, ref); return nil })
	}
	_ = g.Wait() // the functions record their errors
	_ = sweeping.Wait()
	r.put(func(a *inventory.Account) { // the same world gives the same inventory, whoever answered first
		slices.SortStableFunc(a.Problems, func(x, y inventory.Problem) int { return strings.Compare(x.What, y.What) })
	})
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
