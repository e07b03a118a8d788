package reach

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/reach/actions"
	"github.com/stile-aws/stile/internal/reach/digraph"
	"github.com/stile-aws/stile/internal/reach/trustees"
	"github.com/stile-aws/stile/policy"
)

// Permission is what one statement comes to for a principal, on one of its
// resources: with everything that limits it.
type Permission struct {
	// Actions are patterns and names that the answer holds for, but for Except.
	Actions []string `json:"actions"`
	Except  []string `json:"except,omitempty"`
	// Resource is as the statement has it, a pattern where that is one.
	Resource string `json:"resource"`
	// Proof is 0 for what something else denies: Why says what.
	Proof Proof `json:"proof"`
	// Why says what a permission depends on, or what denies it; "" when it is allowed.
	Why string `json:"why,omitempty"`
	// Partly names statements that deny a part of the resources.
	Partly []string     `json:"partly,omitempty"`
	Source authz.Source `json:"source"`
	Index  int          `json:"statement"` // in the document, from 0
	Sid    string       `json:"sid,omitempty"`
}

// WhatCan is the answer to what a principal may do.
type WhatCan struct {
	Node Node `json:"principal"`
	// Own follows from the principal's own policies, Given from policies of
	// resources and grants on keys that name it, its account or everyone.
	Own   []Permission `json:"own"`
	Given []Permission `json:"given"`
	// Roles are the roles it can come to by chains of any length.
	Roles []Access `json:"roles"`
	// Everything is set for root users, who need no policy; what limits them is
	// in Limits.
	Everything bool     `json:"everything,omitempty"`
	Limits     []string `json:"limits,omitempty"`

	floods [Unread + 1]*digraph.Search
}

// WhatCan finds what a node may do. Permissions are grouped as the statements
// are written: an action pattern stays one where all it stands for has the same
// answer. A resource pattern is decided by an example of it.
func (g *Graph) WhatCan(id NodeID) *WhatCan {
	n := &g.nodes[id]
	w := &WhatCan{Node: n.Node}
	if n.side != nil {
		w.Own = g.ownPermissions(n)
		w.Given = g.givenPermissions(n)
		w.Everything = n.Kind == Root
		if w.Everything {
			w.Limits = denies(n)
		}
	}
	w.roles(g, id)
	return w
}

// denies lists the statements that deny a root user something.
func denies(n *node) []string {
	var out []string
	pols := n.side.Policies()
	for i := range pols.SCPs {
		for _, p := range pols.SCPs[i].Policies {
			for j, st := range p.Document().Statements {
				if st.Effect == policy.Deny {
					out = append(out, statementName(p.Source(), j, st.Sid))
				}
			}
		}
	}
	return out
}

// roles searches forwards, by the surest edges first.
func (w *WhatCan) roles(g *Graph, id NodeID) {
	best := make([]Proof, len(g.nodes))
	for worst := Proven; worst <= Unread; worst++ {
		f := g.Search(worst, false)
		f.Begin(id)
		f.Run()
		w.floods[worst] = f
		for _, n := range f.Reached() {
			if best[n] == 0 && n != id {
				best[n] = worst
			}
		}
	}
	for n, p := range best {
		if p != 0 {
			w.Roles = append(w.Roles, Access{g.nodes[n].Node, p})
		}
	}
}

// Path is a shortest chain from the principal to one of its roles, both included.
func (w *WhatCan) Path(to NodeID) []NodeID {
	for _, f := range w.floods {
		if f != nil && f.Distance(to) >= 0 {
			out := f.Path(to)
			slices.Reverse(out)
			return out
		}
	}
	return nil
}

// ownPermissions decides what n's identity policies say.
func (g *Graph) ownPermissions(n *node) []Permission {
	var out []Permission
	e := newExpander(g, n)
	for _, p := range n.side.Policies().Identity {
		for i := range p.Document().Statements {
			st := &p.Document().Statements[i]
			if st.Effect != policy.Allow {
				continue
			}
			for _, resource := range resourcesOf(st) {
				out = append(out, e.statement(p.Source(), i, st, resource)...)
			}
		}
	}
	return out
}

// resourcesOf lists the resources of a statement, "*" for all but some.
func resourcesOf(st *policy.Statement) []string {
	if st.NotResources != nil || st.Resources == nil {
		return []string{"*"}
	}
	return policy.Values(st.Resources)
}

// expander decides statements of one principal.
type expander struct {
	g      *Graph
	n      *node
	guards map[string]*effective.Side // by resource
	alike  map[string]answer          // by resource and likeness of the action
	said   map[*effective.Side][]string
	real   bool // an example of a resource has the policy of what it is part of
}

func newExpander(g *Graph, n *node) *expander {
	return &expander{g: g, n: n, guards: map[string]*effective.Side{}, alike: map[string]answer{}, said: map[*effective.Side][]string{}}
}

// statement decides all actions of a statement on one of its resources.
func (e *expander) statement(src authz.Source, index int, st *policy.Statement, resource string) []Permission {
	var out []Permission
	for _, pattern := range actionsOf(st) {
		for _, p := range e.pattern(pattern, st, resource) {
			p.Resource, p.Source, p.Index, p.Sid = resource, src, index, st.Sid
			if p.Proof != 0 {
				p.Partly = e.partly(&p)
			}
			out = append(out, p)
		}
	}
	return mergedPermissions(out)
}

// actionsOf lists the action patterns of a statement, "*" for all but some.
func actionsOf(st *policy.Statement) []string {
	if st.NotActions != nil {
		return []string{"*"}
	}
	return policy.Values(st.Actions)
}

// answer is what one action came to.
type answer struct {
	proof Proof
	why   string
}

// pattern decides everything an action pattern stands for, and groups it.
func (e *expander) pattern(pattern string, st *policy.Statement, resource string) []Permission {
	names := e.g.expand(pattern)
	if len(names) == 0 {
		names = []string{example(pattern)} // the catalog does not know any
	}
	groups := map[answer][]string{}
	covered := 0
	for _, name := range names {
		if !trustees.Covers(st, strings.ToLower(name)) || !fitting(name, resource) || getsSession(name) {
			continue
		}
		covered++
		a := e.likeness(name, resource)
		groups[a] = append(groups[a], name)
	}
	var out []Permission
	for a, some := range groups {
		p := Permission{Proof: a.proof, Why: a.why}
		p.Actions, p.Except = actions.Describe(pattern, names, some, covered)
		out = append(out, p)
	}
	slices.SortFunc(out, comparePermissions)
	return out
}

// getsSession reports whether an action is about getting a session of a role,
// which is what WhatCan.Roles has.
func getsSession(action string) bool {
	switch rest, isSTS := cutFold(action, "sts:"); strings.ToLower(rest) {
	case "assumerole", "assumerolewithsaml", "assumerolewithwebidentity", "tagsession", "setsourceidentity", "setcontext":
		return isSTS
	}
	return false
}

// fitting reports whether an action can be about a resource of that ARN at all.
func fitting(action, resource string) bool {
	a, err := arn.Parse(resource)
	if err != nil || isPattern(a.Service) {
		return true
	}
	if catalog.WildcardOnly(action) {
		return false // it needs "*"
	}
	service, known := catalog.ARNService(action)
	return !known || service == a.Service
}

// likeness is decide for actions of which one stands for many: those of a
// service that the same patterns of all documents cover. Where facts about single
// actions count, none stands for another.
func (e *expander) likeness(action, resource string) answer {
	lower := strings.ToLower(action)
	service, _, _ := strings.Cut(lower, ":")
	key := resource + "\n" + service
	if service == "kms" || service == "sts" {
		key += "\n" + lower
	}
	_, guard := e.question(action, resource)
	key += "\n" + coverage(e.patterns(e.n.side), lower) + "\n" + coverage(e.patterns(guard), lower)
	a, known := e.alike[key]
	if !known {
		a = e.decide(action, resource)
		e.alike[key] = a
	}
	return a
}

// coverage tells which of some patterns cover an action, in lower case.
func coverage(patterns []string, action string) string {
	bits := make([]byte, (len(patterns)+7)/8)
	for i, p := range patterns {
		if policy.Glob(p, action) {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	return string(bits)
}

// patterns lists the action patterns of a side's documents, in lower case.
func (e *expander) patterns(side *effective.Side) []string {
	if known, ok := e.said[side]; ok {
		return known
	}
	pols := side.Policies()
	list := append([]*authz.Policy{pols.Boundary, pols.Resource}, pols.Identity...)
	for _, levels := range [][]authz.Level{pols.SCPs, pols.RCPs} {
		for i := range levels {
			list = append(list, levels[i].Policies...)
		}
	}
	var out []string
	for _, p := range list {
		if p == nil {
			continue
		}
		for _, st := range p.Document().Statements {
			for _, a := range slices.Concat(st.Actions, st.NotActions) {
				out = append(out, strings.ToLower(a.Value))
			}
		}
	}
	out = sortedUnique(out)
	e.said[side] = out
	return out
}

// decide asks for one action on an example of a resource.
func (e *expander) decide(action, resource string) answer {
	q, guard := e.question(action, resource)
	if e.g.view.Decide(q, e.n.side, guard) == authz.Allowed {
		return answer{proof: Proven}
	}
	d := e.g.view.Explain(q, e.n.side, guard) // which may settle what Decide leaves open
	if d.Outcome == authz.Allowed {
		return answer{proof: Proven}
	}
	o := d.Outcome
	a := answer{why: e.why(q, &d)}
	if permits(o) {
		a.proof = proofOf(o, e.n.unread || len(guard.Policies().Unread) > 0)
	}
	return a
}

// question is for one action on an example of a resource.
func (e *expander) question(action, resource string) (effective.Question, *effective.Side) {
	q := e.n.asks(action, resource)
	q.Context = e.n.context
	if resource != "*" && (isPattern(resource) || strings.Contains(resource, "${")) {
		q.Resource, q.Example = example(e.substituted(resource)), !e.real
	}
	guard := e.guards[q.Resource]
	if guard == nil {
		guard = e.g.view.Guard(effective.Question{Principal: e.n.principal, Action: action, Resource: q.Resource, Example: q.Example})
		e.guards[q.Resource] = guard
	}
	return q, guard
}

// substituted puts what is known of the principal in the place of policy
// variables, and an asterisk where nothing is.
func (e *expander) substituted(resource string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(resource, "${")
		name, rest, closed := strings.Cut(after, "}")
		if !found || !closed {
			out.WriteString(resource)
			return out.String()
		}
		name, _, _ = strings.Cut(name, ",")
		out.WriteString(before + e.valueOf(strings.TrimSpace(name)))
		resource = rest
	}
}

func (e *expander) valueOf(key string) string {
	switch values, present, _ := e.n.context.Get(key); {
	case present && len(values) == 1:
		return values[0]
	case strings.EqualFold(key, "aws:username") && e.n.Kind == User:
		return e.n.principal.ARN.Name()
	case strings.EqualFold(key, "aws:PrincipalAccount"):
		return string(e.n.Account)
	}
	name, isTag := cutFold(key, "aws:PrincipalTag/")
	for tag, value := range e.g.tagsOf(e.n) {
		if isTag && strings.EqualFold(tag, name) {
			return value
		}
	}
	return "*"
}

// why says in one line what an answer rests on, without what differs from one
// action to the next.
func (e *expander) why(q effective.Question, d *authz.Decision) string {
	if d.CrossAccount && q.Example && d.Outcome == authz.ImplicitDeny {
		return "not by itself: resources of other accounts have to allow it too"
	}
	switch d.Outcome {
	case authz.Unknown:
		return condition(d)
	case authz.ExplicitDeny, authz.ImplicitDeny:
		for _, i := range d.Deciding {
			if text := blame(&d.Layers[i]); text != "" {
				return text
			}
		}
	case authz.Allowed, authz.NotApplicable:
	}
	return "denied"
}

// blame names the statement that denies, or the layer that does not allow.
func blame(l *authz.LayerResult) string {
	for i := range l.Statements {
		if s := &l.Statements[i]; s.Effect == policy.Deny && s.Match == authz.Yes {
			return "denied by " + statementName(s.Source, s.Index, s.Sid)
		}
	}
	if l.Note != "" {
		return l.Note
	}
	text := "not allowed by the " + layerWords[l.Layer]
	if l.Node != "" {
		text += " at " + l.Node
	}
	return text
}

var layerWords = map[authz.Layer]string{
	authz.LayerSCP: "service control policies", authz.LayerRCP: "resource control policies", authz.LayerEndpoint: "VPC endpoint policy",
	authz.LayerBoundary: "permissions boundary", authz.LayerSession: "session policy", authz.LayerIdentity: "identity-based policies",
	authz.LayerResource: "resource's policy", authz.LayerTrust: "role's trust policy", authz.LayerKey: "key's policy", authz.LayerGrant: "grants on the key",
}

func statementName(src authz.Source, index int, sid string) string {
	if sid != "" {
		return "statement " + sid + " of " + src.Name
	}
	return "statement " + decimal(index+1) + " of " + src.Name
}

// partly lists the Deny statements on n's side that take a part of a
// permission's resources away.
func (e *expander) partly(p *Permission) []string {
	var out []string
	for doc := range e.limits() {
		for i := range doc.Document().Statements {
			st := &doc.Document().Statements[i]
			if st.Effect == policy.Deny && slices.ContainsFunc(p.Actions, func(a string) bool { return touches(st, a) }) && cuts(st, p.Resource) {
				out = append(out, statementName(doc.Source(), i, st.Sid))
			}
		}
	}
	return out
}

// limits yields the documents on n's side that can deny.
func (e *expander) limits() func(yield func(*authz.Policy) bool) {
	return func(yield func(*authz.Policy) bool) {
		pols := e.n.side.Policies()
		lists := [][]*authz.Policy{pols.Identity}
		if pols.Boundary != nil {
			lists = append(lists, []*authz.Policy{pols.Boundary})
		}
		for i := range pols.SCPs {
			lists = append(lists, pols.SCPs[i].Policies)
		}
		for _, list := range lists {
			for _, p := range list {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// touches reports whether a statement may be about some of what an action
// pattern stands for.
func touches(st *policy.Statement, pattern string) bool {
	if st.NotActions != nil {
		return !slices.ContainsFunc(st.NotActions, func(a policy.Text) bool { return compile.WithinFold(pattern, a.Value) })
	}
	return slices.ContainsFunc(st.Actions, func(a policy.Text) bool { return actions.Overlap(strings.ToLower(pattern), strings.ToLower(a.Value)) })
}

// cuts reports whether a statement is about some of what a resource pattern
// stands for, and not about all.
func cuts(st *policy.Statement, resource string) bool {
	if st.NotResources != nil {
		return !slices.ContainsFunc(st.NotResources, func(r policy.Text) bool { return compile.Within(resource, r.Value) })
	}
	some := false
	for _, r := range st.Resources {
		if compile.Within(resource, r.Value) {
			return false
		}
		some = some || isPattern(resource) && actions.Overlap(resource, r.Value)
	}
	return some
}
