package reach

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
)

// ChangeKind is what became of somebody's access.
type ChangeKind uint8

// The kinds of change.
const (
	Gained   ChangeKind = iota // there was none
	Lost                       // there is none any more
	Stronger                   // it became surer: what was conditional or not known is allowed
	Weaker                     // it became less sure: what was allowed is conditional or not known
)

var changeNames = [...]string{"gained", "lost", "stronger", "weaker"}

// String gives the name that JSON has.
func (k ChangeKind) String() string {
	if int(k) < len(changeNames) {
		return changeNames[k]
	}
	return fmt.Sprintf("ChangeKind(%d)", uint8(k))
}

// MarshalText is String, for JSON.
func (k ChangeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Gain reports whether somebody can do more than before.
func (k ChangeKind) Gain() bool { return k == Gained || k == Stronger }

// Change is one difference between two graphs.
type Change struct {
	Kind ChangeKind `json:"kind"`
	// What is "session" for a role that can be assumed, "chain" for one that can be
	// come to through others, "access" for actions on a resource.
	What      string `json:"what"`
	Principal Node   `json:"principal"`
	// Target is the role, for sessions and chains the one at the end.
	Target   *Node    `json:"target,omitempty"`
	Actions  []string `json:"actions,omitempty"`
	Resource string   `json:"resource,omitempty"`
	Before   Proof    `json:"before"`
	After    Proof    `json:"after"`
	Why      string   `json:"why,omitempty"` // what access depends on now
	// Through names the roles on the way of a chain, in order.
	Through []string `json:"through,omitempty"`
}

// Difference is what two graphs say differently.
type Difference struct {
	Changes []Change `json:"changes"`
	// Gaps are what the answers of either side do not cover, and what was not compared.
	Gaps []Gap `json:"gaps"`
}

// Gains reports whether anybody can do more.
func (d *Difference) Gains() bool {
	return slices.ContainsFunc(d.Changes, func(c Change) bool { return c.Kind.Gain() })
}

// maxChains bounds the chains that Diff lists.
const maxChains = 10_000

// Diff finds who gains and who loses access from one graph to another: sessions
// of roles, directly and through chains, and what principals may do whose
// documents are not the same. cfg's Progress is told how far it is.
func Diff(before, after *Graph, cfg Config) *Difference {
	d := &differ{a: before, b: after, cfg: cfg, out: &Difference{}}
	d.sides()
	d.sessions()
	d.chains()
	d.permissions()
	d.gaps()
	slices.SortFunc(d.out.Changes, func(x, y Change) int {
		return cmp.Or(cmp.Compare(rank(x.What), rank(y.What)), cmp.Compare(x.Principal.Key, y.Principal.Key), cmp.Compare(x.Kind, y.Kind),
			cmp.Compare(x.target(), y.target()), cmp.Compare(x.Resource, y.Resource), slices.Compare(x.Actions, y.Actions), cmp.Compare(x.Before, y.Before), cmp.Compare(x.After, y.After))
	})
	return d.out
}

func rank(what string) int { return slices.Index([]string{"session", "chain", "access"}, what) }

func (c *Change) target() string {
	if c.Target == nil {
		return ""
	}
	return c.Target.Key
}

type differ struct {
	a, b    *Graph
	cfg     Config
	out     *Difference
	callers map[string]bool // keys of nodes that are not the same on the caller's side
	doors   map[string]bool // keys of roles whose trust side is not the same
}

// sides finds the nodes whose documents differ, or that only one graph has.
func (d *differ) sides() {
	d.callers, d.doors = map[string]bool{}, map[string]bool{}
	mine, theirs := d.a.prints(), d.b.prints()
	for key := range maps.Keys(mine) {
		d.compare(key, mine[key], theirs[key])
	}
	for key := range maps.Keys(theirs) {
		d.compare(key, mine[key], theirs[key])
	}
}

func (d *differ) compare(key string, x, y fingerprint) {
	if x.caller != y.caller {
		d.callers[key] = true
	}
	if x.door != y.door {
		d.doors[key] = true
	}
}

// fingerprint tells the documents of a node's two sides apart from others.
type fingerprint struct{ caller, door [sha256.Size]byte }

func (g *Graph) prints() map[string]fingerprint {
	list := make([]fingerprint, len(g.nodes))
	texts, bindings, organization := newTexts(), g.bindings(), ""
	if g.inv.Organization != nil {
		organization = g.inv.Organization.ID
	}
	g.parallel(len(g.nodes), nil, func(_, i int) {
		n := &g.nodes[i]
		list[i].caller = texts.side(n, g.tagsOf(n), organization, bindings[n.tags.String()])
		if d := g.doorOf[n.ID]; d != nil && n.Kind == Role {
			list[i].door = texts.policies(d.guard.Policies(), g.beside(d)...)
		}
	})
	out := make(map[string]fingerprint, len(list))
	for i := range list {
		out[g.nodes[i].Key] = list[i]
	}
	return out
}

// tagsOf are the tags of a user, or of the role that a node is about.
func (g *Graph) tagsOf(n *node) map[string]string {
	if d := g.doorOf[g.roleOf(n.ID)]; d != nil {
		return d.role.Tags
	}
	if u, _ := g.inv.Accounts[n.Account].User(n.principal.ARN.Name()); n.Kind == User && u != nil {
		return u.Tags
	}
	return nil
}

// sessions compares the edges at nodes that differ.
func (d *differ) sessions() {
	pairs := map[[2]string]bool{}
	for _, g := range []*Graph{d.a, d.b} {
		for key := range d.callers {
			if n, known := g.byKey[key]; known {
				for e := range g.From(n) {
					pairs[[2]string{key, g.nodes[e.To].Key}] = true
				}
			}
		}
		for key := range d.doors {
			for _, n := range g.sessionsOf(key) {
				for e := range g.To(n) {
					pairs[[2]string{g.nodes[e.From].Key, g.nodes[n].Key}] = true
				}
			}
		}
	}
	for pair := range pairs {
		before, after := d.a.proofBetween(pair[0], pair[1]), d.b.proofBetween(pair[0], pair[1])
		if kind, differs := changeOf(before, after); differs {
			target := d.node(pair[1])
			d.out.Changes = append(d.out.Changes, Change{Kind: kind, What: "session", Principal: d.node(pair[0]), Target: &target, Before: before, After: after})
		}
	}
}

// sessionsOf is a role by its key, with its tagged sessions.
func (g *Graph) sessionsOf(key string) []NodeID {
	n, known := g.byKey[key]
	if !known {
		return nil
	}
	return g.withSessions(n)
}

func (g *Graph) proofBetween(from, to string) Proof {
	a, knownA := g.byKey[from]
	b, knownB := g.byKey[to]
	if !knownA || !knownB {
		return 0
	}
	e, _ := g.Edge(a, b)
	return e.Proof
}

// changeOf compares two proofs, 0 for none.
func changeOf(before, after Proof) (ChangeKind, bool) {
	switch {
	case before == after:
		return 0, false
	case before == 0:
		return Gained, true
	case after == 0:
		return Lost, true
	case after < before:
		return Stronger, true
	}
	return Weaker, true
}

// node is the node of a key as the later graph has it, or else the earlier.
func (d *differ) node(key string) Node {
	if n, known := d.b.byKey[key]; known {
		return d.b.nodes[n].Node
	}
	return d.a.nodes[d.a.byKey[key]].Node
}

// chains finds the roles that principals come to, or no longer do, by chains on
// which some session was gained or lost.
func (d *differ) chains() {
	direct := map[[2]string]bool{}
	for _, c := range d.out.Changes {
		direct[[2]string{c.Principal.Key, c.Target.Key}] = true
	}
	tails := func(gain bool) []string {
		var out []string
		for _, c := range d.out.Changes {
			if c.Kind.Gain() == gain {
				out = append(out, c.Principal.Key)
			}
		}
		return sortedUnique(out)
	}
	gained := d.follow(d.a, d.b, tails(true), Gained, direct)
	lost := d.follow(d.b, d.a, tails(false), Lost, direct)
	d.out.Changes = append(append(d.out.Changes, gained...), lost...)
}

// follow lists what more can be come to in more than in less, by whoever comes
// to one of the tails in more.
func (d *differ) follow(less, more *Graph, tails []string, kind ChangeKind, direct map[[2]string]bool) []Change {
	if len(tails) == 0 {
		return nil
	}
	back := more.flood(&more.in, Unread)
	for _, key := range tails {
		if n, known := more.byKey[key]; known {
			back.begin(n)
		}
	}
	back.run()
	var out []Change
	for i, from := range back.queue {
		if d.cfg.Progress != nil && i%100 == 0 {
			d.cfg.Progress("comparing chains", i, len(back.queue))
		}
		out = append(out, moreFrom(less, more, from, kind, direct)...)
		if len(out) > maxChains {
			d.out.Gaps = append(d.out.Gaps, Gap{What: "chains " + kind.String(), Why: fmt.Sprintf("there are more than %d; the rest is not listed", maxChains)})
			return out[:maxChains]
		}
	}
	return out
}

func moreFrom(less, more *Graph, from NodeID, kind ChangeKind, direct map[[2]string]bool) []Change {
	f := more.flood(&more.out, Unread)
	f.begin(from)
	f.run()
	known := map[string]bool{}
	if old, exists := less.byKey[more.nodes[from].Key]; exists {
		o := less.flood(&less.out, Unread)
		o.begin(old)
		o.run()
		for _, n := range o.queue {
			known[less.nodes[n].Key] = true
		}
	}
	var out []Change
	for _, n := range f.queue[1:] {
		key := more.nodes[n].Key
		if known[key] || direct[[2]string{more.nodes[from].Key, key}] {
			continue
		}
		target := more.nodes[n].Node
		c := Change{Kind: kind, What: "chain", Principal: more.nodes[from].Node, Target: &target}
		proof := Proven
		path := f.path(n)
		for i := len(path) - 1; i > 0; i-- {
			e, _ := more.Edge(path[i], path[i-1])
			proof = max(proof, e.Proof)
			if i < len(path)-1 {
				c.Through = append(c.Through, more.nodes[path[i]].Name)
			}
		}
		if c.After = proof; kind == Lost {
			c.Before, c.After = proof, 0
		}
		out = append(out, c)
	}
	return out
}

// permissions compares what principals may do whose documents differ, or who
// are named by resources whose documents do.
func (d *differ) permissions() {
	keys := d.affected()
	found := make([][]Change, len(keys))
	progress := func(done, total int) {
		if d.cfg.Progress != nil {
			d.cfg.Progress("comparing what principals may do", done, total)
		}
	}
	d.b.parallel(len(keys), progress, func(_, i int) { found[i] = d.permissionsOf(keys[i]) })
	for _, list := range found {
		d.out.Changes = append(d.out.Changes, list...)
	}
}

// affected lists the keys of the users and roles to compare.
func (d *differ) affected() []string {
	set := maps.Clone(d.callers)
	texts := newTexts()
	prints := func(g *Graph) map[string][sha256.Size]byte {
		out := map[string][sha256.Size]byte{}
		for _, c := range g.carriers() {
			out[c.arn] = texts.policies(c.guard.Policies())
		}
		return out
	}
	a, b := prints(d.a), prints(d.b)
	for _, g := range []*Graph{d.a, d.b} {
		for _, c := range g.carriers() {
			if a[c.arn] != b[c.arn] {
				g.namedBy(&c, set)
			}
		}
	}
	var out []string
	for key := range set {
		if n := d.node(key); n.Kind == Role || n.Kind == User {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// namedBy adds the keys of the principals that a resource's side names.
func (g *Graph) namedBy(c *carrier, set map[string]bool) {
	for i := range g.nodes {
		n := &g.nodes[i]
		if (n.Kind == Role || n.Kind == User) && (namesRole(&c.names, n) || slices.Contains(c.names.accounts, n.Account) && c.owner != n.Account) {
			set[n.Key] = true
		}
	}
}
