// Package scope runs the pure core over the world: it loads declarations,
// reads what they refer to, compiles, plans and verifies.
//
// [Load] reads a declaration set; [Scope.Look] observes; the rest follows from
// values. The command line and, later, the operator call this package, so that
// both do the same. It prints nothing.
package scope

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/apply"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/internal/observe"
	"github.com/stile-aws/stile/internal/plan"
)

// Scope is one declaration set and how to reach its accounts.
type Scope struct {
	Set    *access.Set
	Source *Source
	// Options bound what is read at once.
	Options observe.Options
	// Repattern lets compile choose a new pattern where another one is in use.
	Repattern bool
}

// Load reads the declarations at path, to be used in mode. load is nil for the
// SDK's default configuration. With errors in the list the Scope is nil.
func Load(path string, mode Mode, load Loader) (*Scope, diag.List) {
	set, diags := access.LoadPath(path)
	if diags.HasErrors() {
		return nil, diags
	}
	return New(set, mode, load), diags
}

// New is the scope of declarations that are loaded already.
func New(set *access.Set, mode Mode, load Loader) *Scope {
	return &Scope{Set: set, Source: NewSource(set, mode, load)}
}

// View is what a run has seen of the world, and what follows for it.
type View struct {
	Inventory *inventory.Inventory
	Ledgers   *apply.Ledgers
	Wanted    *compile.Wanted
}

// Home is where the scope's ledger is.
func (s *Scope) Home() (plan.Home, error) {
	home, ok := s.Set.Account(s.Set.Scope.Home.Account)
	if !ok {
		return plan.Home{}, fmt.Errorf("finding the home of scope %q: account %q is not declared", s.Set.Scope.Name, s.Set.Scope.Home.Account)
	}
	return plan.Home{Account: home.ID, Region: s.Set.Scope.Home.Region}, nil
}

// maxRounds bounds the looking: clusters, then providers, then what they lead
// to. A set that needs more is a bug, not a bigger set.
const maxRounds = 12

// Look reads the ledger and everything the declarations and the ledger refer
// to, and compiles. An error means that nothing could be decided; diagnostics
// tell what is wrong with the declarations as the world is.
func (s *Scope) Look(ctx context.Context) (*View, diag.List, error) {
	v, err := s.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	needs := func() inventory.Request { return compile.Needs(s.Set, v.Inventory, v.Ledgers.Ledger()) }
	if err := s.fill(ctx, v, needs); err != nil {
		return nil, nil, err
	}
	wanted, diags := compile.Options{Repattern: s.Repattern}.Compile(s.Set, v.Inventory)
	if diags.HasErrors() {
		return nil, diags, nil
	}
	v.Wanted = wanted
	return v, diags, nil
}

func (s *Scope) open(ctx context.Context) (*View, error) {
	home, err := s.Home()
	if err != nil {
		return nil, err
	}
	ledgers, err := apply.OpenLedgers(ctx, s.Source, home, s.Set.Scope.Name)
	if err != nil {
		return nil, err
	}
	return &View{Inventory: &inventory.Inventory{}, Ledgers: ledgers}, nil
}

// fill looks until needs asks for nothing more.
func (s *Scope) fill(ctx context.Context, v *View, needs func() inventory.Request) error {
	for range maxRounds {
		req := needs()
		if req.Empty() {
			return nil
		}
		if err := observe.Fill(ctx, s.Source, req, v.Inventory, s.Options); err != nil {
			return err
		}
	}
	return fmt.Errorf("reading the accounts of scope %q: still incomplete after %d rounds", s.Set.Scope.Name, maxRounds)
}

// PlanOptions are what Plan may be asked for beside the plain plan.
type PlanOptions struct {
	Destroy bool      // everything the scope owns goes
	Adopt   bool      // see plan.Input
	Now     time.Time // see plan.Input
}

// Plan looks at the world and plans the way to what is wanted.
func (s *Scope) Plan(ctx context.Context, opt PlanOptions) (*plan.Plan, *View, diag.List, error) {
	look := s.Look
	if opt.Destroy {
		look = s.lookAtLedger
	}
	v, diags, err := look(ctx)
	if err != nil || v == nil {
		return nil, nil, diags, err
	}
	in := plan.Input{Set: s.Set, Wanted: v.Wanted, Inventory: v.Inventory, Ledger: v.Ledgers.Ledger(), Destroy: opt.Destroy, Adopt: opt.Adopt, Now: opt.Now}
	if err := s.fill(ctx, v, func() inventory.Request { return plan.Needs(in) }); err != nil {
		return nil, nil, diags, err
	}
	p, more := plan.Make(in)
	return p, v, append(diags, more...), nil
}

// lookAtLedger reads what the ledger lists, for a scope that is to go: its
// declarations need not compile any more.
func (s *Scope) lookAtLedger(ctx context.Context) (*View, diag.List, error) {
	v, err := s.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	bare := &access.Set{Scope: s.Set.Scope, Accounts: s.Set.Accounts}
	err = s.fill(ctx, v, func() inventory.Request { return compile.Needs(bare, v.Inventory, v.Ledgers.Ledger()) })
	v.Wanted = &compile.Wanted{Scope: s.Set.Scope.Name}
	return v, nil, err
}

// Ledger is the scope's memory as it was read.
func (v *View) Ledger() *ledger.Ledger { return v.Ledgers.Ledger() }

// Unmoved makes sure that everything a plan was made from is still so.
func Unmoved(ctx context.Context, p *plan.Plan, source *Source) error {
	now := &inventory.Inventory{}
	if err := observe.Fill(ctx, source, p.Reread(), now, observe.Options{}); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(now.Accounts)) {
		for _, problem := range now.Accounts[id].Problems {
			return fmt.Errorf("checking the plan: %s of %s could not be read: %s", problem.What, p.Accounts[id], problem.Why)
		}
	}
	if moved := p.Moved(now); len(moved) > 0 {
		return fmt.Errorf("the plan is out of date, nothing was changed: since it was made, these changed: %s; run stile plan again", strings.Join(moved, ", "))
	}
	return nil
}

// LookFor is Look that also reads the role or user that who names, and the
// secret or key that resource is or the key that it is under, where their
// accounts are declared.
func (s *Scope) LookFor(ctx context.Context, who access.Address, resource string) (*View, diag.List, error) {
	v, diags, err := s.Look(ctx)
	if err != nil || v == nil {
		return v, diags, err
	}
	var req inventory.Request
	switch {
	case who.Role != "":
		if a, ok := s.Set.Account(who.Account); ok {
			req.Account(a.ID).Roles = []string{who.Role}
		}
	case !who.ARN.IsZero():
		s.askFor(&req, who.ARN)
	}
	if a, err := arn.Parse(resource); err == nil {
		s.askFor(&req, a)
	}
	if !req.Empty() {
		err = observe.Fill(ctx, s.Source, req, v.Inventory, s.Options)
	}
	return v, diags, err
}

// askFor asks for what an ARN names, when its account is declared.
func (s *Scope) askFor(req *inventory.Request, a arn.ARN) {
	if _, ok := s.Set.Account(string(a.Account)); !ok {
		return
	}
	what := req.Account(a.Account)
	role, _, isSession := a.RoleSession()
	switch {
	case isSession:
		what.Roles = append(what.Roles, role)
	case a.Service == "iam" && a.Type() == "role":
		what.Roles = append(what.Roles, a.Name())
	case a.Service == "iam" && a.Type() == "user":
		what.Users = append(what.Users, a.Name())
	case a.Service == "secretsmanager" && a.Type() == "secret":
		what.Secrets = append(what.Secrets, a.String())
	case a.Service == "kms" && (a.Type() == "key" || a.Type() == "alias"):
		what.Keys = append(what.Keys, a.String())
	default:
		if holder, ok := compile.Holder(a); ok {
			what.Resources = append(what.Resources, holder)
		}
	}
}

// Name is how people call an account: its declared name, or its id.
func (s *Scope) Name(id arn.AccountID) string {
	if a, ok := s.Set.Account(string(id)); ok {
		return a.Name
	}
	return string(id)
}
