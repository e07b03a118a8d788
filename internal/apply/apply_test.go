package apply_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/apply"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/observe"
	"github.com/stile-aws/stile/internal/plan"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// allExamples is a set with every pattern: web identity, chain, AssumeRole for
// a role and a user, resource policy with a key.
var allExamples = []string{"payroll", "assume-role", "shared-secret"}

// run is one run of stile, from the declarations on.
type run struct {
	world   *scopetest.World
	set     *access.Set
	door    http.RoundTripper // nil: straight into the world
	destroy bool
	oneCall bool // one call at a time, so that runs make the same calls in the same order
	config  apply.Config
}

// plan makes a plan from scratch.
func (r run) plan(ctx context.Context) (*plan.Plan, *scope.View, *scope.Scope, error) {
	s := r.world.Scope(r.set, r.door)
	if r.oneCall {
		s.Options = observe.Options{Accounts: 1, Calls: 1}
	}
	p, view, diags, err := s.Plan(ctx, scope.PlanOptions{Destroy: r.destroy})
	if err == nil && p == nil {
		err = diags.Err()
	}
	return p, view, s, err
}

func (r run) apply(ctx context.Context) (apply.Result, error) {
	p, view, s, err := r.plan(ctx)
	if err != nil {
		return apply.Result{}, err
	}
	cfg := r.config
	cfg.Source, cfg.Ledgers = s.Source, view.Ledgers
	if r.oneCall {
		cfg.Accounts, cfg.Calls = 1, 1
	}
	return apply.Run(ctx, p, cfg)
}

func (r run) must(t *testing.T) {
	t.Helper()
	if _, err := r.apply(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// mustBeDone fails the test unless a plan has nothing to do.
func (r run) mustBeDone(t *testing.T) {
	t.Helper()
	p, _, _, err := r.plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p.Changes() {
		t.Errorf("planning again gives steps: %q", summaries(p))
	}
}

func summaries(p *plan.Plan) []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, string(s.Verb)+" "+p.Accounts[s.Account]+" "+s.Summary)
	}
	return out
}

// mustBeKnown fails the test when something in the world carries a scope's mark
// and stands in none of the ledgers of the scopes, which live in tooling.
func mustBeKnown(t *testing.T, w *scopetest.World, scopes ...string) {
	t.Helper()
	var known []*ledger.Ledger
	for _, name := range scopes {
		l, err := w.Ledger(t.Context(), scopetest.Tooling, name)
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, l)
	}
	for _, e := range w.Owned() {
		found := false
		for _, l := range known {
			found = found || l.Find(e.Account, e.Kind, e.ID) != nil
		}
		if !found {
			t.Errorf("orphaned: %s %s of %s is in no ledger", e.Kind, e.ID, e.Account)
		}
	}
}

func TestApplyThenDestroyLeavesTheWorldAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		before := w.Snapshot()
		r := run{world: w, set: scopetest.Examples(t, allExamples...)}
		r.must(t)
		if diff := cmp.Diff(before, w.Snapshot()); diff == "" {
			t.Fatal("apply changed nothing")
		}
		r.mustBeDone(t)
		mustBeKnown(t, w, "payroll")
		r.destroy = true
		r.must(t)
		if diff := cmp.Diff(before, w.Snapshot()); diff != "" {
			t.Errorf("destroy left traces (-before +after):\n%s", diff)
		}
	})
}
