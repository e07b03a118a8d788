// Package verify proves on what is observed that declared access works and
// that nothing more does.
//
// [Check] asks authz, over the documents of an inventory and never over the
// compiler's own form: every hop and permission of every route on both sides;
// whether owned roles hold more than was declared, by containment of
// statements; whether their trust policies admit anybody else, by containment
// and by asking for strangers; and whether what the scope wrote is still as it
// was written. What cannot be decided is a finding of its own and fails.
// [Can] answers one question about one caller, with every hop on the way.
//
// The package is pure. It makes no live attempts (see internal/probe) and
// does not repair what it finds (see internal/plan).
package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
)

// Kind is what a finding says.
type Kind string

// The kinds, worst first. Only Refused and Allowed are as they should be.
const (
	Missing Kind = "missing" // declared, and not there: not applied yet, or deleted since
	Denied  Kind = "denied"  // declared, and AWS would refuse it
	Excess  Kind = "excess"  // allowed, and not declared
	Unknown Kind = "unknown" // not decidable from what was read
	Drift   Kind = "drift"   // missing, changed or left over, without anybody having more or less for it
	Refused Kind = "refused" // a stranger's attempt that is refused, as it should be
	Allowed Kind = "allowed" // declared and allowed
)

var kindOrder = [...]Kind{Missing, Denied, Excess, Unknown, Drift, Refused, Allowed}

// Finding is one thing verified.
type Finding struct {
	Kind    Kind          `json:"kind"`
	Account arn.AccountID `json:"account"`          // whose documents it is about
	Access  string        `json:"access,omitempty"` // name of the Access; "" when it belongs to none
	Caller  string        `json:"caller,omitempty"` // of the route, for what is about one
	// What names the route and leg, or the document: "serviceaccount:ci/payroll/api:
	// dynamodb:GetItem on …", "role payroll-api trust policy".
	What string `json:"what"`
	// Text says in one line what was found, with layer, account, document and statement.
	Text     string          `json:"text"`
	Decision *authz.Decision `json:"decision,omitempty"` // nil for what authz was not asked
}

// OK reports whether the finding is as it should be.
func (f *Finding) OK() bool { return f.Kind == Allowed || f.Kind == Refused }

// Report is everything verified, sorted: what is wrong first.
type Report struct {
	Findings []Finding `json:"findings"`
	OK       bool      `json:"ok"` // every finding is
	// Assumed says, one line each, what was not looked at, and so is taken to
	// change nothing.
	Assumed []string `json:"assumed"`
}

// Options change what Check does. The zero Options are the default.
type Options struct {
	// Now is the time for which routes are verified: those that have expired by
	// then must be refused. Zero: every route is verified as of just before its end.
	Now time.Time
	// Strict takes nothing that nobody looked for to be absent, so that a proof
	// which may turn on it is unknown.
	Strict bool
}

// Check verifies w on what inv has. led may be nil; with it, what the scope
// once made and no longer wants is found.
func Check(w *compile.Wanted, inv *inventory.Inventory, led *ledger.Ledger) Report {
	return Options{}.Check(w, inv, led)
}

// Check is the function of that name under options.
func (o Options) Check(w *compile.Wanted, inv *inventory.Inventory, led *ledger.Ledger) Report {
	if inv == nil {
		inv = &inventory.Inventory{}
	}
	c := &checker{options: o, w: w, inv: inv, view: effective.Options{Assume: !o.Strict}.New(inv), ids: principalIDs(inv)}
	for i := range w.Routes {
		c.route(&w.Routes[i])
	}
	for _, p := range w.Providers {
		c.provider(p)
	}
	for i := range w.Roles {
		c.role(&w.Roles[i])
	}
	for i := range w.Callers {
		c.callerPolicy(&w.Callers[i])
	}
	c.sharedDocuments()
	if led != nil {
		c.leftovers(led)
	}
	return c.report()
}

// checker is one run of Check.
type checker struct {
	options  Options
	w        *compile.Wanted
	inv      *inventory.Inventory
	view     *effective.View
	ids      map[string]string // unique id to ARN, of the principals known
	findings []Finding
	patterns bool // an action is declared by a pattern
}

func (c *checker) add(f Finding) { c.findings = append(c.findings, f) }

func (c *checker) report() Report {
	rank := func(k Kind) int { return slices.Index(kindOrder[:], k) }
	slices.SortStableFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), strings.Compare(string(a.Account), string(b.Account)),
			strings.Compare(a.Access, b.Access), strings.Compare(a.What, b.What), strings.Compare(a.Text, b.Text))
	})
	same := func(a, b Finding) bool {
		return a.Kind == b.Kind && a.Account == b.Account && a.Access == b.Access && a.What == b.What && a.Text == b.Text
	}
	r := Report{Findings: slices.CompactFunc(c.findings, same)}
	r.OK = !slices.ContainsFunc(r.Findings, func(f Finding) bool { return !f.OK() })
	r.Assumed = append(append(c.view.Assumed(), c.w.Assumed...),
		"requests are taken not to go through a VPC endpoint with a policy of its own",
		"what is declared by a pattern of resources is tried on one that fits it, made up where none is known")
	if c.patterns {
		_, day := catalog.DataVersion()
		r.Assumed = append(r.Assumed, "a declared pattern of actions is tried with those that AWS had on "+day)
	}
	slices.Sort(r.Assumed)
	return r
}

// route verifies that what one route declares is allowed at every hop.
func (c *checker) route(r *compile.Route) {
	now := c.options.Now
	if !now.IsZero() && !r.Expires.IsZero() && !now.Before(r.Expires) {
		c.expired(r, now)
		return
	}
	walk := c.view.Walk(r, now)
	for i := range walk.Hops {
		c.leg(r, &walk.Hops[i])
	}
	for i := range walk.Uses {
		c.leg(r, &walk.Uses[i])
		c.patterns = c.patterns || strings.ContainsAny(walk.Uses[i].Action, "*?")
	}
}

func (c *checker) leg(r *compile.Route, l *effective.Leg) {
	f := Finding{
		Account: r.Account, Access: r.Access, Caller: r.Caller.Name, What: fmt.Sprintf("%s: %s on %s", r.Caller.Name, l.Action, l.Resource),
		Text: l.Decision.Summary(), Decision: &l.Decision,
	}
	switch {
	case l.Allowed():
		f.Kind = Allowed
		if len(l.If) > 0 {
			f.Text = "allowed if the declared condition on " + strings.Join(l.If, ", ") + " holds"
		}
	case l.Decision.Outcome == authz.Unknown:
		f.Kind = Unknown
	default:
		f.Kind = Denied
	}
	c.add(f)
}

// expired verifies that a route whose end is past leads nowhere.
func (c *checker) expired(r *compile.Route, now time.Time) {
	walk := c.view.Walk(r, now)
	end := r.Expires.UTC().Format(time.DateOnly)
	for _, l := range slices.Concat(walk.Hops, walk.Uses) {
		if !l.Allowed() {
			c.add(Finding{Kind: Refused, Account: r.Account, Access: r.Access, Caller: r.Caller.Name, What: r.Caller.Name, Text: "ended on " + end + ": " + l.Decision.Summary(), Decision: &l.Decision})
			return
		}
	}
	c.add(Finding{Kind: Excess, Account: r.Account, Access: r.Access, Caller: r.Caller.Name, What: r.Caller.Name, Text: "ended on " + end + " and is still allowed"})
}

// principalIDs maps the unique ids that AWS stores in place of ARNs.
func principalIDs(inv *inventory.Inventory) map[string]string {
	out := map[string]string{}
	for _, a := range inv.Accounts {
		if a == nil {
			continue
		}
		for _, r := range a.Roles {
			if r != nil && r.ID != "" {
				out[r.ID] = r.ARN
			}
		}
		for _, u := range a.Users {
			if u != nil && u.ID != "" {
				out[u.ID] = u.ARN
			}
		}
	}
	return out
}
