package reach

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/reach/digraph"
	"github.com/stile-aws/stile/internal/reach/grants"
	"github.com/stile-aws/stile/internal/reach/trustees"
	"github.com/stile-aws/stile/policy"
)

// An organization has thousands of principals that may assume whatever trusts
// them, and thousands of roles that trust the whole organization in the same
// words. Their edges are the product of both, so they are not kept one by one:
// where neither side tells the members of a group on the other side apart, a hub
// stands between the groups, and each caller is decided once, for one of the roles.

// class is a group of roles that trust everyone by the same text.
type class struct {
	doors []*door
}

// classes groups the roles that trust everyone, where nothing but their ARN
// tells them apart.
func (b *builder) classes() {
	groups := map[string]*class{}
	for i := range b.doors {
		d := &b.doors[i]
		if d.doc == nil || d.tagKeys != nil || !sameForAll(d) {
			continue
		}
		place, ok := limits(d.guard.Policies())
		if !ok {
			continue
		}
		key := place + "\n" + d.role.Trust
		if groups[key] == nil {
			groups[key] = &class{}
		}
		groups[key].doors = append(groups[key].doors, d)
	}
	for _, c := range sorted(groups) {
		if len(c.doors) < 2 {
			continue
		}
		for _, d := range c.doors {
			d.class = len(b.groups)
		}
		b.groups = append(b.groups, c)
	}
}

// sameForAll reports whether a trust policy lets callers in by naming everyone
// alone, and says nothing of the role itself.
func sameForAll(d *door) bool {
	t := &d.names
	if !t.Everyone || len(t.Accounts)+len(t.Entities)+len(t.Sessions)+len(t.IDs) > 0 {
		return false
	}
	return !mentionsResource(d.doc)
}

func mentionsResource(doc *policy.Document) bool {
	return slices.ContainsFunc(doc.Statements, func(st policy.Statement) bool {
		return slices.ContainsFunc(st.Conditions, func(c policy.Condition) bool {
			return strings.HasPrefix(strings.ToLower(c.Key), "aws:resource") ||
				slices.ContainsFunc(c.Values, func(v policy.Text) bool { return strings.Contains(strings.ToLower(v.Value), "${aws:resource") })
		})
	})
}

// limits names the documents that limit a role from above; ok is false when one
// of them tells roles apart.
func limits(pols *authz.Policies) (key string, ok bool) {
	for i := range pols.RCPs {
		key += "/"
		for _, p := range pols.RCPs[i].Policies {
			src := p.Source()
			key += src.Name + " " + src.ARN + ","
			if mentionsResource(p.Document()) || !plainResources(p.Document()) {
				return "", false
			}
		}
	}
	for _, u := range pols.Unread {
		key += "!" + u.Source.String()
	}
	return key, true
}

func plainResources(doc *policy.Document) bool {
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if trustees.Covers(st, "sts:assumerole") && (st.NotResources != nil || slices.ContainsFunc(st.Resources, func(r policy.Text) bool { return r.Value != "*" })) {
			return false
		}
	}
	return true
}

// hubbed reports whether hubs stand for a principal's edges to the roles of
// classes.
func (g *Graph) hubbed(n NodeID) bool { return g.nodes[n].plain && g.nodes[n].tagKeys == nil }

// gathering is the callers and the roles that hubs are to stand between.
type gathering struct {
	callers []NodeID
	doors   []*door
}

// hubs puts hubs between the classes and the callers that are plain: one for
// each pattern of roles the callers are allowed, and one for each account, whose
// own principals need no policy where everyone is trusted.
func (b *builder) hubs() {
	var all []gathering
	for _, c := range b.groups {
		for pattern, callers := range sorted(b.callers.plain) {
			g := gathering{callers: callers}
			for _, d := range c.doors {
				if (grants.Glob{Pattern: pattern}).Covers(d.role.ARN) {
					g.doors = append(g.doors, d)
				}
			}
			all = append(all, g)
		}
		all = append(all, b.atHome(c)...)
	}
	for _, g := range all {
		if len(g.doors) > 0 && len(g.callers) > 0 {
			b.hub(g)
		}
	}
}

// atHome gathers the roles of a class with the principals of their own accounts.
func (b *builder) atHome(c *class) []gathering {
	byAccount := map[arn.AccountID][]*door{}
	for _, d := range c.doors {
		id := b.nodes[d.node].Account
		byAccount[id] = append(byAccount[id], d)
	}
	var out []gathering
	for id, doors := range sorted(byAccount) {
		g := gathering{doors: doors}
		for _, n := range b.members[id] {
			if b.hubbed(n) {
				g.callers = append(g.callers, n)
			}
		}
		out = append(out, g)
	}
	return out
}

// hub decides each caller for one of the roles, and puts a hub for each answer
// between those of that answer and the roles.
func (b *builder) hub(g gathering) {
	found := make([]flags, len(g.callers))
	finders := make([]*finder, b.workers)
	b.Spread(len(g.callers), nil, func(worker, i int) {
		if finders[worker] == nil {
			finders[worker] = &finder{builder: b}
		}
		n := &b.nodes[g.callers[i]]
		if d := b.sample(n, g.doors); d != nil {
			if f, ok := finders[worker].decide(n, d); ok {
				found[i] = f
			}
		}
	})
	hubs := map[flags]NodeID{}
	for i, f := range found {
		if f == 0 {
			continue
		}
		h, known := hubs[f]
		if !known {
			h = NodeID(b.wide)
			hubs[f] = h
			b.wide++
			for _, d := range g.doors {
				b.fromHub = append(b.fromHub, rawEdge{From: h, To: d.node, Label: f})
			}
		}
		b.toHub = append(b.toHub, rawEdge{From: g.callers[i], To: h, Label: f})
	}
}

// sample is the role to ask for: one of another account, if there is any, since
// what is allowed across accounts is allowed within one; nil when the caller is
// the only one.
func (b *builder) sample(n *node, doors []*door) *door {
	var other *door
	for _, d := range doors {
		switch {
		case b.nodes[d.node].Account != n.Account:
			return d
		case d.node != n.ID && other == nil:
			other = d
		}
	}
	return other
}

// finish makes the graph of what was found.
func (b *builder) finish() {
	first := NodeID(len(b.nodes))
	edges := b.raw
	for _, e := range b.toHub {
		edges = append(edges, rawEdge{From: e.From, To: first + e.To, Label: e.Label})
	}
	for _, e := range b.fromHub {
		edges = append(edges, rawEdge{From: first + e.From, To: e.To, Label: e.Label})
	}
	b.graph = digraph.New(len(b.nodes), b.wide, edges)
	b.raw, b.toHub, b.fromHub = nil, nil, nil
	b.findGaps()
	slices.SortFunc(b.gaps, func(a, c Gap) int { return cmp.Or(cmp.Compare(a.Account, c.Account), cmp.Compare(a.What, c.What)) })
}
