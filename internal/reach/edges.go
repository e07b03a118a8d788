package reach

import (
	"fmt"
	"slices"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach/digraph"
	"github.com/stile-aws/stile/internal/reach/grants"
	"github.com/stile-aws/stile/internal/reach/trustees"
)

// Proof is how sure an edge or an access is.
type Proof uint8

// The proofs, the surest first.
const (
	Proven      Proof = iota + 1 // both sides allow
	Conditional                  // it turns on the request: an external id, tags, an address, the time
	Unread                       // it turns on a document that was not read
)

var proofNames = [...]string{"none", "allowed", "conditional", "unread"}

// String gives the name that JSON has: "allowed", "conditional", "unread".
func (p Proof) String() string {
	if int(p) < len(proofNames) {
		return proofNames[p]
	}
	return fmt.Sprintf("Proof(%d)", uint8(p))
}

// MarshalText is String, for JSON.
func (p Proof) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Way is how a session of a role is got.
type Way uint8

// The ways.
const (
	ByAssumeRole  Way = iota // sts:AssumeRole by a principal of AWS
	ByWebIdentity            // sts:AssumeRoleWithWebIdentity
	BySAML                   // sts:AssumeRoleWithSAML
	ByPodIdentity            // an EKS Pod Identity association, for its pods
	ByService                // an AWS service assumes the role for itself
)

var wayNames = [...]string{"assumeRole", "webIdentity", "saml", "podIdentity", "service"}

// String gives the name that JSON has.
func (w Way) String() string {
	if int(w) < len(wayNames) {
		return wayNames[w]
	}
	return fmt.Sprintf("Way(%d)", uint8(w))
}

// MarshalText is String, for JSON.
func (w Way) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// flags of an edge: its proof, which is the level of the label, its way, and
// what the caller has to pass.
type flags = digraph.Label

const (
	wayShift       = 2
	wayMask  flags = 7 << wayShift
	// needsTags says that the role is assumed only with session tags,
	// needsSource that only with a source identity.
	needsTags   flags = 1 << 5
	needsSource flags = 1 << 6
)

func wayOf(f flags) Way { return Way(f & wayMask >> wayShift) }

func flagsOf(p Proof, w Way) flags { return flags(p) | flags(w)<<wayShift }

// rawEdge is an edge before all are there.
type rawEdge = digraph.Edge

// edges decides who gets a session of each role, by an index over the callers'
// policies and over whom the roles trust.
func (b *builder) edges() {
	b.classes()
	b.hubs()
	found := make([][]rawEdge, len(b.doors))
	finders := make([]*finder, b.workers)
	b.Spread(len(b.doors), b.progress("deciding who may assume what"), func(worker, i int) {
		if finders[worker] == nil {
			finders[worker] = &finder{builder: b, seen: make([]uint32, len(b.nodes))}
		}
		if d := &b.doors[i]; d.doc != nil {
			found[i] = finders[worker].door(d)
		}
	})
	b.raw = slices.Concat(found...)
}

// finder finds the edges to one role after the other. Each goroutine has its own.
type finder struct {
	*builder
	seen  []uint32 // the round in which a node was last a candidate
	round uint32
	list  []NodeID
	out   []rawEdge
}

func (f *finder) door(d *door) []rawEdge {
	f.round++
	f.list, f.out = f.list[:0], nil
	t := &d.names
	f.candidates(d, t)
	for _, n := range f.list {
		if n == d.node && f.nodes[n].Kind == Role {
			continue // a role that may assume itself gains nothing
		}
		if flags, ok := f.decide(&f.nodes[n], d); ok {
			f.out = append(f.out, rawEdge{From: n, To: d.node, Label: flags})
		}
	}
	for i := range t.Providers {
		f.bearers(d, t.Providers[i])
	}
	for _, p := range f.sources.pods[d.role.ARN] {
		if flags, ok := f.decidePod(p, d); ok {
			f.out = append(f.out, rawEdge{From: p.node, To: p.session, Label: flags})
		}
	}
	return f.out
}

// candidate notes a principal of the inventory once.
func (f *finder) candidate(n NodeID) {
	if f.seen[n] != f.round {
		f.seen[n] = f.round
		f.list = append(f.list, n)
	}
}

// candidates collects who may be let in: all whom the role's trust policy names
// and, where it names accounts or everyone, whose own policies may allow it.
func (f *finder) candidates(d *door, t *trustees.Names) {
	home := f.nodes[d.node].Account
	for _, name := range t.Entities {
		if n, known := f.byKey[name]; known {
			f.candidate(n)
		} else if n, known := f.sources.outside[name]; known {
			f.candidate(n)
		}
	}
	for _, s := range t.Sessions {
		role, _, _ := s.RoleSession()
		if r, state := f.inv.Accounts[s.Account].Role(role); state == inventory.Exists {
			if n, known := f.byKey[r.ARN]; known {
				f.candidate(n)
			}
		}
	}
	for _, id := range t.IDs {
		if n, known := f.ids[id]; known {
			f.candidate(n)
		}
	}
	for _, name := range t.Services {
		if n, known := f.sources.service[name]; known {
			f.candidate(n)
		}
	}
	f.delegated(d, t.Accounts)
	if t.Everyone {
		f.open(d, home)
	}
}

// delegated collects the principals of accounts whose policies may allow it.
func (f *finder) delegated(d *door, accounts []arn.AccountID) {
	if len(accounts) == 0 {
		return
	}
	for _, n := range f.callers.exact[d.role.ARN] {
		if slices.Contains(accounts, f.nodes[n].Account) {
			f.candidate(n)
		}
	}
	for _, id := range accounts {
		if n, outside := f.sources.outside[arn.Root("aws", id).String()]; outside {
			f.candidate(n)
		}
		for _, w := range f.callers.wild[id] {
			if w.Covers(d.role.ARN) {
				f.candidate(w.Node)
			}
		}
	}
}

// open collects the callers of a role that trusts everyone. Those that the hubs
// of its class stand for are left out.
func (f *finder) open(d *door, home arn.AccountID) {
	f.candidate(f.sources.everyone)
	for _, n := range f.callers.exact[d.role.ARN] {
		f.candidate(n)
	}
	for _, w := range f.callers.other {
		if w.Covers(d.role.ARN) {
			f.candidate(w.Node)
		}
	}
	for _, n := range f.members[home] {
		if d.class < 0 || !f.hubbed(n) {
			f.candidate(n)
		}
	}
	if d.class >= 0 {
		return
	}
	for pattern, list := range f.callers.plain {
		if (grants.Glob{Pattern: pattern}).Covers(d.role.ARN) {
			for _, n := range list {
				f.candidate(n)
			}
		}
	}
}

// decide asks for an edge from a principal to a role. A caller may choose what
// it passes: an external id, tags, a source identity. Where the role is not to be
// had without the latter two, both they and the permission to pass them count.
func (f *finder) decide(n *node, d *door) (flags, bool) {
	if n.Kind == External || n.Kind == Everyone {
		return f.decideStranger(n, d)
	}
	way := ByAssumeRole
	if n.Kind == Service {
		way = ByService
	}
	q := n.asks(assumeRole, d.role.ARN)
	q.Context = f.chosen
	if n.Kind == Session {
		q.Context = chosen(n.context) // of all callers these alone have a context of their own
	}
	o := f.ask(q, n, d)
	if o != authz.Allowed && n.Kind == Session {
		o = f.withTags(q, n, d)
	}
	if n.Kind == Session && permits(o) {
		q.Action = tagSession // transitive tags are passed on, and may not be left out
		o = worse(o, f.ask(q, n, d))
	}
	need := flags(0)
	if !permits(o) && (n.tagKeys != nil || d.tagKeys != nil) && n.Kind != Session {
		o, need = f.passing(q, n, d)
	}
	if !permits(o) {
		return 0, false
	}
	return flagsOf(proofOf(o, n.unread || d.unread), way) | need, true
}

// ask decides q, which is n's to d's role.
func (g *Graph) ask(q effective.Question, n *node, d *door) authz.Outcome {
	side, guard := n.assuming, d.assumed
	if side == nil || q.Action != assumeRole {
		side, guard = n.side, d.guard
	}
	if side == nil {
		side = g.view.Caller(q.Principal)
	}
	return g.view.Settle(q, side, guard)
}

// chosen is base with what every caller may choose to pass.
func chosen(base authz.Context) authz.Context {
	c := base.Clone()
	if _, present, _ := c.Get(externalIDKey); !present {
		c.SetUnknown(externalIDKey)
	}
	return c
}

// withTags asks again with the tags that a tagged session passes on.
func (f *finder) withTags(q effective.Question, n *node, d *door) authz.Outcome {
	q.Context = q.Context.Clone()
	n.tags.set(&q.Context, "aws:RequestTag/")
	for _, key := range slices.Concat(n.tagKeys, d.tagKeys) {
		if _, present, known := q.Context.Get(key); !present && known {
			q.Context.SetUnknown(key)
		}
	}
	return f.ask(q, n, d)
}

// passing asks with session tags and a source identity of the caller's choice.
func (f *finder) passing(q effective.Question, n *node, d *door) (authz.Outcome, flags) {
	need := flags(0)
	q.Context = q.Context.Clone()
	for _, key := range slices.Concat(n.tagKeys, d.tagKeys) {
		q.Context.SetUnknown(key)
		if isTagKey(key) {
			need |= needsTags
		} else {
			need |= needsSource
		}
	}
	o := f.ask(q, n, d)
	for _, extra := range []struct {
		bit    flags
		action string
	}{{needsTags, tagSession}, {needsSource, setSourceIdentity}} {
		if need&extra.bit != 0 && permits(o) {
			q.Action = extra.action
			o = worse(o, f.ask(q, n, d))
		}
	}
	return o, need
}

// decideStranger asks the role's side alone about a principal whose own side is
// not in the inventory.
func (f *finder) decideStranger(n *node, d *door) (flags, bool) {
	q := effective.Question{Principal: n.principal, Action: assumeRole, Resource: d.role.ARN, Context: strangerContext(n)}
	o, _ := f.askStranger(q)
	if n.Kind == External {
		return flagsOf(Unread, ByAssumeRole), permits(o) // its own side is not known
	}
	return flagsOf(proofOf(o, d.unread), ByAssumeRole), permits(o)
}

// bearers decides for whoever comes with a token or an assertion of a provider.
func (f *finder) bearers(d *door, p trustees.Provider) {
	if trustees.IsSAML(p.Name) {
		f.people(d, p)
		return
	}
	for _, id := range f.subjectsFor(p) {
		if flags, ok := f.decideBearer(&f.nodes[id], d, p); ok {
			f.out = append(f.out, rawEdge{From: id, To: d.node, Label: flags})
		}
	}
}

// decideBearer asks for the bearer of a token.
func (f *finder) decideBearer(n *node, d *door, p trustees.Provider) (flags, bool) {
	best, proof := authz.ImplicitDeny, Proof(0)
	for _, q := range f.bearerQuestions(n, d, p) {
		best = better(best, f.ask(q, n, d))
		if proof = proofOf(best, d.unread); !f.knowsProvider(q.Principal.Provider) {
			proof = Unread
		}
	}
	return flagsOf(proof, ByWebIdentity), permits(best)
}

// knowsProvider reports whether a provider was read; built-in ones need not be.
func (g *Graph) knowsProvider(a arn.ARN) bool {
	if a.IsZero() {
		return true
	}
	_, state := inventory.Get(g.inv.Accounts[a.Account].Providers, a.Name())
	return state == inventory.Exists
}

// people decides for who signs in through a SAML provider. That the provider's
// assertion offers the role is its own business, so it is never more than
// conditional.
func (f *finder) people(d *door, p trustees.Provider) {
	id, known := f.sources.saml[d.role.ARN]
	if !known {
		if id, known = f.sources.saml[p.Name]; !known {
			return
		}
	}
	n := &f.nodes[id]
	q := effective.Question{Principal: n.principal, Action: assumeSAML, Resource: d.role.ARN}
	q.Context.Set("SAML:aud", samlAudience)
	if o := f.ask(q, n, d); permits(o) {
		proof := Conditional
		if d.unread {
			proof = Unread
		}
		f.out = append(f.out, rawEdge{From: id, To: d.node, Label: flagsOf(proof, BySAML)})
	}
}

// decidePod asks for the pods of an association.
func (f *finder) decidePod(p pod, d *door) (flags, bool) {
	n := &f.nodes[p.node]
	o := f.ask(podQuestion(n, d, assumeRole), n, d)
	if !p.binding.NoSessionTags && permits(o) {
		o = worse(o, f.ask(podQuestion(n, d, tagSession), n, d))
	}
	return flagsOf(proofOf(o, d.unread), ByPodIdentity), permits(o)
}

func podQuestion(n *node, d *door, action string) effective.Question {
	return effective.Question{Principal: n.principal, Action: action, Resource: d.role.ARN, Context: n.context.Clone()}
}

func permits(o authz.Outcome) bool { return o == authz.Allowed || o == authz.Unknown }

// worse is the outcome of two permissions that are both needed.
func worse(a, b authz.Outcome) authz.Outcome {
	switch {
	case !permits(a):
		return a
	case !permits(b):
		return b
	case a == authz.Unknown:
		return a
	}
	return b
}

// better is the outcome of two ways of which one is enough.
func better(a, b authz.Outcome) authz.Outcome {
	switch {
	case a == authz.Allowed || b == authz.Allowed:
		return authz.Allowed
	case a == authz.Unknown:
		return a
	}
	return b
}

func proofOf(o authz.Outcome, unread bool) Proof {
	switch {
	case o == authz.Allowed:
		return Proven
	case unread:
		return Unread
	}
	return Conditional
}
