package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/policy"
)

// Policies that the scope shares with others: those of secrets and keys.

// A shared is one resource's policy and what is ours in it.
type shared struct {
	account arn.AccountID
	kind    compile.TargetKind
	target  string
	ours    []policy.Statement
	reasons []string
}

// sharedDocuments verifies our statements in resource policies, and that
// nobody else's statement in any that was read gives our callers more.
func (c *checker) sharedDocuments() {
	targets := map[string]*shared{}
	for i := range c.w.Statements {
		s := &c.w.Statements[i]
		t := targets[s.Target]
		if t == nil {
			t = &shared{account: s.Account, kind: s.Kind, target: s.Target, reasons: s.For}
			targets[s.Target] = t
		}
		t.ours = append(t.ours, s.Statement)
	}
	c.othersDocuments(targets)
	callers := c.callers()
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		c.sharedDocument(targets[name], callers)
	}
}

// othersDocuments adds the secrets and keys that were read and hold no
// statement of ours: our roles may use them by their own policies alone.
func (c *checker) othersDocuments(targets map[string]*shared) {
	add := func(id arn.AccountID, kind compile.TargetKind, target string) {
		if targets[target] == nil {
			targets[target] = &shared{account: id, kind: kind, target: target}
		}
	}
	for id, account := range c.inv.Accounts {
		if account == nil {
			continue
		}
		for _, s := range account.Secrets {
			if s != nil && s.Policy != "" {
				add(id, compile.SecretPolicy, s.ARN)
			}
		}
		for _, k := range account.Keys {
			if k != nil && k.Policy != "" && !k.AWSManaged { // AWS's own policy for its own key
				add(id, compile.KeyPolicy, k.ARN)
			}
		}
	}
}

func (c *checker) sharedDocument(t *shared, callers []string) {
	on := c.about(t.account, t.reasons, "policy of %s %s", t.kind, t.target)
	text, state := t.kind.PolicyOf(c.inv.Accounts[t.account], t.target)
	if state != inventory.Exists {
		on.missing(state)
		return
	}
	if text == "" {
		on.found(Drift, "it is missing, and with it %d statements of ours", len(t.ours))
		return
	}
	doc, err := policy.Parse([]byte(c.withoutIDs(text)))
	if err != nil {
		on.found(Unknown, "it cannot be read: %v", err)
		return
	}
	for i := range t.ours {
		c.ourStatement(on, doc, &t.ours[i])
	}
	for i := range doc.Statements {
		if _, ours := (&policy.Document{Statements: t.ours}).FindSid(doc.Statements[i].Sid); !ours {
			foreign{on, t, callers}.statement(i, &doc.Statements[i])
		}
	}
	foreign{on, t, callers}.grants()
}

func (c *checker) ourStatement(on about, doc *policy.Document, want *policy.Statement) {
	have, there := doc.FindSid(want.Sid)
	if !there {
		on.found(Drift, "our statement %s is missing", want.Sid)
		return
	}
	if have.Canonical() == want.Canonical() {
		return
	}
	on.ghosts("our statement "+want.Sid, have)
	v, why := within, ""
	if have.Effect == policy.Allow {
		v, why = c.contained(have, []policy.Statement{*want})
	}
	switch v {
	case beyond:
		on.found(Excess, "our statement %s was changed and %s, which is not declared", want.Sid, why)
	case undecided:
		on.found(Unknown, "our statement %s was changed and %s", want.Sid, why)
	case within:
		on.found(Drift, "our statement %s was changed, and gives nothing beyond what is declared", want.Sid)
	}
}

// foreign looks at other people's statements in one policy.
type foreign struct {
	about
	t       *shared
	callers []string
}

// statement reports one that gives one of our callers, or everybody, more than
// is declared. One that names an account delegates only: what our callers may
// do then is their own policies' business.
func (f foreign) statement(i int, st *policy.Statement) {
	if st.Effect != policy.Allow {
		return
	}
	if st.NotPrincipal != nil && (len(f.t.ours) > 0 || len(f.local()) > 0) {
		f.found(Excess, "%s of somebody else's admits everybody it does not list (NotPrincipal)", statementName(i, st))
	}
	if st.Principal == nil {
		return
	}
	for _, p := range f.principals(st.Principal) {
		if p == "*" {
			f.everybody(i, st)
			continue
		}
		if p = behindSession(p, f.callers); slices.Contains(f.callers, p) {
			f.gives(Excess, i, st, p)
		}
	}
}

// gives reports, as of kind, what st gives to one of our callers beyond what is
// declared.
func (f foreign) gives(kind Kind, i int, st *policy.Statement, caller string) {
	one := *st
	one.Principal = policy.AWS(caller)
	if v, why := f.contained(&one, f.declared(caller)); v != within {
		f.found(kind, "%s, which is not ours, %s, beyond what is declared", statementName(i, st), why)
	}
}

// declared is what caller may do with the resource: by our statements in its
// policy, and by the permissions of the routes that end as caller.
func (f foreign) declared(caller string) []policy.Statement {
	out := slices.Clone(f.t.ours)
	for i := range f.w.Routes {
		r := &f.w.Routes[i]
		if endOf(r) != caller {
			continue
		}
		for _, p := range r.Allow {
			if slices.ContainsFunc(p.Resources, func(pattern string) bool { return resourceWithin(f.t.target, pattern) }) {
				out = append(out, policy.Statement{
					Effect: policy.Allow, Principal: policy.AWS(caller), Actions: policy.Texts(p.Actions...), Resources: policy.Texts("*"), Conditions: p.Conditions,
				})
			}
		}
	}
	return out
}

// endOf is the ARN under which a route reaches resources.
func endOf(r *compile.Route) string {
	if n := len(r.Hops); n > 0 {
		return r.Hops[n-1].Role
	}
	return r.Caller.ARN
}

// everybody reports a statement for "*", unless conditions keep it to named
// principals. Our callers of the same account it admits as well, where they
// meet those conditions: they need no policy of their own for it.
func (f foreign) everybody(i int, st *policy.Statement) {
	var who []policy.Condition
	narrow := false
	for _, cond := range st.Conditions {
		if !narrows(cond.Key) {
			continue
		}
		who = append(who, cond)
		op := policy.SplitOperator(cond.Operator)
		narrow = narrow || !op.Negated() && !op.IfExists && op.Base != "Null" && op.Set != "ForAllValues" && !slices.Contains(policy.Values(cond.Values), "*")
	}
	if !narrow && len(f.t.ours) > 0 {
		f.found(Excess, "%s of somebody else's admits everybody: its principal is \"*\", and no condition on the caller narrows it", statementName(i, st))
		return
	}
	for _, caller := range f.local() {
		switch f.meets(caller, who) {
		case authz.Allowed:
			f.gives(Excess, i, st, caller)
		case authz.Unknown:
			f.gives(Unknown, i, st, caller)
		case authz.ImplicitDeny, authz.ExplicitDeny, authz.NotApplicable:
		}
	}
}

// local lists our callers of the resource's own account.
func (f foreign) local() []string {
	return slices.DeleteFunc(slices.Clone(f.callers), func(caller string) bool {
		a, err := arn.Parse(caller)
		return err != nil || a.Account != f.t.account
	})
}

// meets asks whether caller meets conditions on who calls.
func (f foreign) meets(caller string, who []policy.Condition) authz.Outcome {
	p, err := f.view.Principal(caller)
	if err != nil {
		return authz.Unknown
	}
	action := "secretsmanager:DescribeSecret"
	if f.t.kind == compile.KeyPolicy {
		action = "kms:DescribeKey" // what condition keys there are depends on the service
	}
	return f.view.Meets(effective.Question{Principal: p, Action: action, Resource: f.t.target}, who)
}

// behindSession gives the caller whose session a principal is, or the
// principal itself.
func behindSession(principal string, callers []string) string {
	a, err := arn.Parse(principal)
	if err != nil {
		return principal
	}
	role, _, ok := a.RoleSession()
	if !ok {
		return principal
	}
	for _, known := range callers {
		if k, err := arn.Parse(known); err == nil && k.Account == a.Account && k.Type() == "role" && strings.EqualFold(k.Name(), role) {
			return known
		}
	}
	return principal
}

// narrows reports whether a condition on key keeps a wildcard principal to
// known callers.
func narrows(key string) bool {
	switch strings.ToLower(key) {
	case "aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "kms:calleraccount",
		"aws:sourceaccount", "aws:sourcearn", "aws:sourceowner":
		return true
	}
	return false
}

// callers lists the ARNs under which routes reach resources.
func (c *checker) callers() []string {
	var out []string
	for i := range c.w.Routes {
		r := &c.w.Routes[i]
		if r.Caller.ARN != "" {
			out = append(out, r.Caller.ARN)
		}
		for _, h := range r.Hops {
			out = append(out, h.Role)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// leftovers reports what the ledger says was made, is no longer wanted, and is
// or may be still there.
func (c *checker) leftovers(led *ledger.Ledger) {
	wanted := c.wantedIDs()
	for _, e := range led.Entries {
		if wanted[string(e.Account)+" "+e.ID] {
			continue
		}
		on := c.about(e.Account, nil, "%s %s", e.Kind, e.ID)
		switch c.state(e) {
		case inventory.Absent:
		case inventory.Exists:
			on.found(Drift, "it is no longer declared and still there")
		case inventory.Unread, inventory.NotAsked:
			on.found(Unknown, "it is no longer declared, and whether it is still there was not read")
		}
	}
}

// wantedIDs has the ledger's names of everything wanted.
func (c *checker) wantedIDs() map[string]bool {
	out := map[string]bool{}
	for _, p := range c.w.Providers {
		out[fmt.Sprintf("%s %s", p.Account, arn.OIDCProvider("aws", p.Account, p.URL))] = true
	}
	for i := range c.w.Roles {
		out[fmt.Sprintf("%s %s", c.w.Roles[i].Account, c.w.Roles[i].ARN())] = true
	}
	for _, p := range c.w.Callers {
		out[fmt.Sprintf("%s %s", p.Account, ledger.InlineID(p.Name, p.PolicyName))] = true
	}
	for _, s := range c.w.Statements {
		out[fmt.Sprintf("%s %s", s.Account, ledger.StatementID(s.Target, s.Statement.Sid))] = true
	}
	return out
}

// state looks for what a ledger entry names.
func (c *checker) state(e ledger.Entry) inventory.Lookup {
	account := c.inv.Accounts[e.Account]
	if account == nil {
		return inventory.NotAsked
	}
	switch e.Kind {
	case ledger.Provider:
		_, state := inventory.Get(account.Providers, e.Name())
		return state
	case ledger.Role:
		_, state := account.Role(e.Name())
		return state
	case ledger.RolePolicy, ledger.UserPolicy:
		kind, holder, policyName, _ := e.Inline()
		inline, state := account.Inline(kind, holder)
		return heldBy(state, inline[policyName] != "")
	case ledger.SecretSid, ledger.KeySid:
		target, sid, _ := e.Statement()
		return c.sidState(&shared{account: e.Account, kind: compile.TargetOf(e.Kind), target: target}, sid)
	}
	return inventory.NotAsked
}

// heldBy is the state of a part of something that is in state.
func heldBy(state inventory.Lookup, there bool) inventory.Lookup {
	if state == inventory.Exists && !there {
		return inventory.Absent
	}
	return state
}

func (c *checker) sidState(t *shared, sid string) inventory.Lookup {
	text, state := t.kind.PolicyOf(c.inv.Accounts[t.account], t.target)
	if text == "" {
		return heldBy(state, false)
	}
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		return inventory.Unread
	}
	_, there := doc.FindSid(sid)
	return heldBy(state, there)
}
