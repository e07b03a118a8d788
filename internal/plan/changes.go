package plan

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/policy"
)

// accessChanges says who gains, keeps and loses what, by asking the policy
// engine about each route before and after, and what the answers for afterwards
// take for granted.
func accessChanges(p *Plan, in Input, gone []ledger.Entry) (changes []AccessChange, assumed []string) {
	afterwards := effective.After(in.Inventory, in.Wanted, gone...)
	before, after := effective.Options{Assume: true}.New(in.Inventory), effective.Options{Assume: true}.New(afterwards)
	var out []AccessChange
	for i := range in.Wanted.Routes {
		r := &in.Wanted.Routes[i]
		c := AccessChange{Sign: "=", Caller: r.Caller.Name, Account: nameIn(p, r.Account), Via: viaLine(p, r)}
		for _, perm := range r.Allow {
			c.Actions = union(c.Actions, perm.Actions)
			c.On = union(c.On, perm.Resources)
			if perm.Implied != "" {
				c.Also = union(c.Also, []string{strings.Join(perm.Actions, ", ") + ": " + perm.Implied})
			}
		}
		walk := after.Walk(r, in.Now)
		c.Proof = proof(&walk)
		if slices.ContainsFunc(p.Steps, func(s Step) bool { return touches(&s, r) }) {
			c.Sign = "+"
			if then := before.Walk(r, in.Now); then.Allowed() {
				c.Sign = "~"
			}
			c.Effect = effect(in.Inventory, afterwards, r)
		}
		out = append(out, c)
	}
	return append(out, lostAccess(p, in)...), after.Assumed()
}

// proof tells what each layer says to a route, in a few words: the worst
// answer of each layer over all legs.
func proof(w *effective.Walk) []string {
	worst := map[authz.Layer]authz.Outcome{}
	for _, leg := range slices.Concat(w.Hops, w.Uses) {
		for _, l := range leg.Decision.Layers {
			if have, seen := worst[l.Layer]; !seen || badness(l.Outcome) > badness(have) {
				worst[l.Layer] = l.Outcome
			}
		}
	}
	var out []string
	for _, layer := range sortedKeys(worst) {
		if worst[layer] != authz.NotApplicable {
			out = append(out, layerName(layer)+" "+answer(worst[layer]))
		}
	}
	if !w.Allowed() {
		out = append(out, "NOT ALLOWED: "+whyNot(w))
	}
	return out
}

// answer is an outcome as the plan words it.
func answer(o authz.Outcome) string {
	switch o {
	case authz.Allowed:
		return "yes"
	case authz.ExplicitDeny:
		return "NO"
	case authz.ImplicitDeny:
		return "silent"
	case authz.Unknown, authz.NotApplicable:
	}
	return "unknown"
}

func layerName(l authz.Layer) string {
	switch l {
	case authz.LayerSCP, authz.LayerRCP:
		return strings.ToUpper(l.String())
	case authz.LayerTrust, authz.LayerIdentity, authz.LayerResource, authz.LayerKey, authz.LayerSession:
		return l.String() + " policy"
	case authz.LayerBoundary, authz.LayerGrant, authz.LayerEndpoint:
	}
	return l.String()
}

func badness(o authz.Outcome) int {
	return slices.Index([]authz.Outcome{authz.NotApplicable, authz.Allowed, authz.ImplicitDeny, authz.Unknown, authz.ExplicitDeny}, o)
}

func whyNot(w *effective.Walk) string {
	for _, leg := range slices.Concat(w.Hops, w.Uses) {
		if !leg.Allowed() {
			return leg.Action + " on " + leg.Resource + ": " + leg.Decision.Summary()
		}
	}
	return ""
}

func nameIn(p *Plan, id arn.AccountID) string {
	if n := p.Accounts[id]; n != "" {
		return n
	}
	return string(id)
}

func union(have, more []string) []string {
	for _, v := range more {
		if !slices.Contains(have, v) {
			have = append(have, v)
		}
	}
	return have
}

// touches reports whether a step changes what a route rests on. Tags are not
// part of that.
func touches(s *Step, r *compile.Route) bool {
	onWay := func(role string) bool {
		return slices.ContainsFunc(entities(r), func(a arn.ARN) bool { return a.Account == s.Account && a.Type() == "role" && a.Name() == role })
	}
	switch op := &s.Op; {
	case op.Provider != nil:
		return len(op.Provider.ClientIDs) > 0 && slices.ContainsFunc(r.Hops, func(h compile.Hop) bool { return h.Provider == op.Provider.ARN })
	case op.Role != nil:
		return (op.Role.Trust != nil || op.Role.Boundary != "" || op.Role.MaxSession != 0) && onWay(op.Role.Name)
	case op.Inline != nil:
		return slices.ContainsFunc(entities(r), func(a arn.ARN) bool {
			return a.Account == s.Account && a.Type() == op.Inline.Kind && a.Name() == op.Inline.Name
		})
	case op.Detach != nil:
		return onWay(op.Detach.Role)
	case op.Merge != nil:
		return slices.Contains(s.Why, r.Access)
	}
	return false
}

// entities are the roles and users of a route: its caller and its hops.
func entities(r *compile.Route) []arn.ARN {
	var out []arn.ARN
	if a, err := arn.Parse(r.Caller.ARN); err == nil {
		out = append(out, a)
	}
	for _, h := range r.Hops {
		if a, err := arn.Parse(h.Role); err == nil {
			out = append(out, a)
		}
	}
	return out
}

func viaLine(p *Plan, r *compile.Route) string {
	if len(r.Hops) == 0 {
		return "resource policy: the caller keeps its identity"
	}
	var hops []string
	for _, h := range r.Hops {
		a, err := arn.Parse(h.Role)
		if err != nil {
			continue
		}
		hops = append(hops, "role "+a.Name()+" ("+nameIn(p, a.Account)+")")
	}
	word := string(r.Pattern)
	switch r.Pattern {
	case access.WebIdentity:
		word = "web identity"
	case access.AssumeRole:
		word = "assume role"
	}
	return word + ": " + strings.Join(hops, " -> ") + ", sessions of at most " + r.Hops[len(r.Hops)-1].Duration.String()
}

// effect compares what the roles and users of a route may do before and after.
func effect(before, after *inventory.Inventory, r *compile.Route) string {
	var old, now []string
	for _, e := range entities(r) {
		old, now = append(old, allowedBy(before, e)...), append(now, allowedBy(after, e)...)
	}
	broader, narrower := missing(old, now), missing(now, old)
	switch {
	case broader && narrower:
		return "BROADENS, NARROWS"
	case broader:
		return "BROADENS"
	case narrower:
		return "NARROWS"
	}
	return ""
}

// allowedBy lists what gives a role or user permissions: the statements of its
// inline policies, each as its canonical text, and the managed policies.
func allowedBy(inv *inventory.Inventory, entity arn.ARN) []string {
	inline, attached := identityOf(inv.Accounts[entity.Account], entity)
	var out []string
	for _, name := range sortedKeys(inline) {
		doc, err := policy.Parse([]byte(inline[name]))
		if err != nil {
			continue
		}
		for i := range doc.Statements {
			doc.Statements[i].Sid = ""
			out = append(out, entity.String()+" "+doc.Statements[i].Canonical())
		}
	}
	for _, ref := range attached {
		out = append(out, entity.String()+" "+ref)
	}
	return out
}

func identityOf(a *inventory.Account, entity arn.ARN) (inline map[string]string, attached []string) {
	inline, _ = a.Inline(entity.Type(), entity.Name())
	if entity.Type() == "user" {
		if u, _ := a.User(entity.Name()); u != nil {
			attached = u.Attached
		}
	} else if r, _ := a.Role(entity.Name()); r != nil {
		attached = r.Attached
	}
	return inline, attached
}

// missing reports whether now has something that old lacks.
func missing(old, now []string) bool {
	return slices.ContainsFunc(now, func(s string) bool { return !slices.Contains(old, s) })
}

// lostAccess tells who loses what by the steps: with roles that go, with trust
// that is taken back, and with statements that are removed.
func lostAccess(p *Plan, in Input) []AccessChange {
	var out []AccessChange
	for i := range p.Steps {
		s := &p.Steps[i]
		switch {
		case s.Op.Role != nil:
			out = append(out, lostRole(p, in, s)...)
		case s.Op.Merge != nil:
			out = append(out, lostStatements(p, s)...)
		}
	}
	return out
}

// lostRole tells who can no longer assume a role.
func lostRole(p *Plan, in Input, s *Step) []AccessChange {
	r, state := in.Inventory.Accounts[s.Account].Role(s.Op.Role.Name)
	if state != inventory.Exists || s.Verb != Delete && s.Op.Role.Trust == nil {
		return nil
	}
	doc, err := policy.Parse([]byte(r.Trust))
	if err != nil {
		return nil
	}
	var still, lost []string
	if s.Op.Role.Trust != nil {
		for i := range s.Op.Role.Trust.Statements {
			still = union(still, trusted(&s.Op.Role.Trust.Statements[i]))
		}
	}
	for i := range doc.Statements {
		if doc.Statements[i].Effect == policy.Allow {
			lost = union(lost, trusted(&doc.Statements[i]))
		}
	}
	lost = slices.DeleteFunc(lost, func(who string) bool { return slices.Contains(still, who) || arn.IsUniqueID(who) })
	if len(lost) == 0 {
		return nil
	}
	c := AccessChange{Sign: "-", Caller: strings.Join(lost, ", "), Account: nameIn(p, s.Account), Via: "role " + r.Name, Effect: "NARROWS"}
	for _, name := range sortedKeys(r.Inline) {
		doc, err := policy.Parse([]byte(r.Inline[name]))
		if err != nil {
			continue
		}
		for _, st := range doc.Statements {
			c.Actions = union(c.Actions, policy.Values(st.Actions))
			c.On = union(c.On, policy.Values(st.Resources))
		}
	}
	return []AccessChange{c}
}

// lostStatements tells whom the statements removed from a resource's policy named.
func lostStatements(p *Plan, s *Step) []AccessChange {
	var out []AccessChange
	for _, sid := range s.Op.Merge.Remove {
		st, ok := s.before.FindSid(sid)
		if !ok || nobodys(st) {
			continue
		}
		out = append(out, AccessChange{
			Sign: "-", Caller: strings.Join(trusted(st), ", "), Account: nameIn(p, s.Account), Via: "the policy of " + string(s.Op.Merge.Kind) + " " + shortARN(s.Op.Merge.Target),
			Actions: policy.Values(st.Actions), On: []string{s.Op.Merge.Target}, Effect: "NARROWS",
		})
	}
	return out
}
