package plan

import (
	"slices"
	"strings"
	"time"

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
// engine about each route before and after.
func accessChanges(p *Plan, in Input, gone []ledger.Entry) []AccessChange {
	afterwards := effective.After(in.Inventory, in.Wanted, gone...)
	before, after := effective.New(in.Inventory), effective.New(afterwards)
	var out []AccessChange
	for i := range in.Wanted.Routes {
		r := &in.Wanted.Routes[i]
		c := AccessChange{Sign: "=", Caller: r.Caller.Name, Account: nameIn(p, r.Account), Via: viaLine(p, r)}
		for _, perm := range r.Allow {
			c.Actions = union(c.Actions, perm.Actions)
			c.On = union(c.On, perm.Resources)
		}
		walk := after.Walk(r, time.Time{})
		c.Proof = proof(&walk)
		if stepsFor(p, r) {
			c.Sign = "+"
			if then := before.Walk(r, time.Time{}); then.Allowed() {
				c.Sign = "~"
			}
			c.Effect = effect(in, r, afterwards)
		}
		out = append(out, c)
	}
	return append(out, lostAccess(p, in)...)
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

// stepsFor reports whether a step of the plan serves the route.
func stepsFor(p *Plan, r *compile.Route) bool {
	for _, s := range p.Steps {
		if slices.Contains(s.Why, r.Access) && servesRoute(s, r) {
			return true
		}
	}
	return false
}

func servesRoute(s Step, r *compile.Route) bool {
	if s.Account == r.Account {
		return true
	}
	for _, h := range r.Hops {
		if a, err := arn.Parse(h.Role); err == nil && a.Account == s.Account {
			return true
		}
	}
	a, err := arn.Parse(r.Caller.ARN)
	return err == nil && a.Account == s.Account
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

// effect compares what the role at the route's end may do before and after.
func effect(in Input, r *compile.Route, after *inventory.Inventory) string {
	if len(r.Hops) == 0 {
		return "BROADENS"
	}
	end, err := arn.Parse(r.Hops[len(r.Hops)-1].Role)
	if err != nil {
		return ""
	}
	old := allowedBy(in.Inventory.Accounts[end.Account], end.Name())
	now := allowedBy(after.Accounts[end.Account], end.Name())
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

// allowedBy lists the statements a role's inline policies allow by, each as its canonical text.
func allowedBy(a *inventory.Account, role string) []string {
	r, state := a.Role(role)
	if state != inventory.Exists {
		return nil
	}
	var out []string
	for _, name := range sortedKeys(r.Inline) {
		doc, err := policy.Parse([]byte(r.Inline[name]))
		if err != nil {
			continue
		}
		for i := range doc.Statements {
			doc.Statements[i].Sid = ""
			out = append(out, doc.Statements[i].Canonical())
		}
	}
	return out
}

// missing reports whether now has something that old lacks.
func missing(old, now []string) bool {
	return slices.ContainsFunc(now, func(s string) bool { return !slices.Contains(old, s) })
}

// lostAccess tells what goes with the roles, policies and statements the plan removes.
func lostAccess(p *Plan, in Input) []AccessChange {
	var out []AccessChange
	for _, s := range p.Steps {
		if s.Verb != Delete || s.Op.Role == nil {
			continue
		}
		r, state := in.Inventory.Accounts[s.Account].Role(s.Op.Role.Name)
		if state != inventory.Exists {
			continue
		}
		c := AccessChange{Sign: "-", Caller: "somebody", Account: nameIn(p, s.Account), Via: "role " + r.Name, Effect: "NARROWS"}
		if doc, err := policy.Parse([]byte(r.Trust)); err == nil {
			c.Caller = strings.TrimPrefix(trustLine(doc), "trusts ")
		}
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
		out = append(out, c)
	}
	return out
}
