// Package difference finds who gains and who loses access from one inventory to
// another: sessions of roles, chains of roles, and what principals may do.
//
// Start with [Between]. It compares what package reach finds where the documents
// of a side are not the same, and decides nothing itself. Root users, who need
// no policies, are compared by the roles and users of their accounts only.
package difference

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach"
)

// Kind is what became of somebody's access.
type Kind uint8

// The kinds of change.
const (
	Gained   Kind = iota // there was none
	Lost                 // there is none any more
	Stronger             // it became surer: what was conditional or not known is allowed
	Weaker               // it became less sure: what was allowed is conditional or not known
)

var kindNames = [...]string{"gained", "lost", "stronger", "weaker"}

// String gives the name that JSON has.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// MarshalText is String, for JSON.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Gain reports whether somebody can do more than before.
func (k Kind) Gain() bool { return k == Gained || k == Stronger }

// What a Change is about.
const (
	Session = "session" // a role that can be assumed
	Chain   = "chain"   // a role that can be come to through others
	Use     = "access"  // actions on a resource
)

// Change is one difference.
type Change struct {
	Kind      Kind        `json:"kind"`
	What      string      `json:"what"` // Session, Chain or Use
	Principal reach.Node  `json:"principal"`
	Target    *reach.Node `json:"target,omitempty"` // the role, for sessions and chains the one at the end
	Actions   []string    `json:"actions,omitempty"`
	Resource  string      `json:"resource,omitempty"`
	Before    reach.Proof `json:"before"`
	After     reach.Proof `json:"after"`
	Why       string      `json:"why,omitempty"` // what a use depends on now
	// Through names the roles on the way of a chain, in order.
	Through []string `json:"through,omitempty"`
}

// Difference is what two graphs say differently.
type Difference struct {
	Changes []Change `json:"changes"`
	// Gaps are what the answers of either side do not cover, and what was not compared.
	Gaps []reach.Gap `json:"notLookedAt"`
}

// maxChains bounds the chains that are listed, gained and lost each.
const maxChains = 10_000

// Between finds the differences from one graph to another. progress, unless nil,
// is told how far it is, as reach.Config has it.
func Between(before, after *reach.Graph, progress func(stage string, done, total int)) *Difference {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	d := &differ{before: before, after: after, progress: progress, out: &Difference{Changes: []Change{}, Gaps: []reach.Gap{}}}
	d.sides()
	d.sessions()
	d.chains()
	d.uses()
	d.gaps()
	slices.SortFunc(d.out.Changes, compareChanges)
	return d.out
}

func compareChanges(a, b Change) int {
	rank := func(c *Change) int { return slices.Index([]string{Session, Chain, Use}, c.What) }
	target := func(c *Change) string {
		if c.Target == nil {
			return ""
		}
		return c.Target.Key
	}
	return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(a.Principal.Key, b.Principal.Key), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(target(&a), target(&b)), cmp.Compare(a.Resource, b.Resource), slices.Compare(a.Actions, b.Actions),
		cmp.Compare(a.Before, b.Before), cmp.Compare(a.After, b.After))
}

type differ struct {
	before, after *reach.Graph
	progress      func(stage string, done, total int)
	out           *Difference
	callers       map[string]bool // keys of nodes that are not the same on the caller's side
	roles         map[string]bool // keys of roles whose side as a role is not the same
}

func (d *differ) graphs() []*reach.Graph { return []*reach.Graph{d.before, d.after} }

// sides finds the nodes whose documents differ, or that only one graph has.
func (d *differ) sides() {
	d.callers, d.roles = map[string]bool{}, map[string]bool{}
	was, is := d.before.Prints(), d.after.Prints()
	for _, list := range []map[string]reach.Print{was, is} {
		for key := range list {
			if was[key].Caller != is[key].Caller {
				d.callers[key] = true
			}
			if was[key].Role != is[key].Role {
				d.roles[key] = true
			}
		}
	}
}

// sessions compares the edges at nodes that differ.
func (d *differ) sessions() {
	pairs := map[[2]string]bool{}
	for _, g := range d.graphs() {
		for key := range d.callers {
			if n, known := g.Find(key); known {
				for e := range g.From(n) {
					pairs[[2]string{key, g.Node(e.To).Key}] = true
				}
			}
		}
		for key := range d.roles {
			for _, n := range sessionsOf(g, key) {
				for e := range g.To(n) {
					pairs[[2]string{g.Node(e.From).Key, g.Node(n).Key}] = true
				}
			}
		}
	}
	for pair := range pairs {
		was, is := d.proof(d.before, pair), d.proof(d.after, pair)
		if kind, differs := kindOf(was, is); differs {
			target := d.node(pair[1])
			d.out.Changes = append(d.out.Changes, Change{Kind: kind, What: Session, Principal: d.node(pair[0]), Target: &target, Before: was, After: is})
		}
	}
}

// sessionsOf is a role by its key, with its tagged sessions.
func sessionsOf(g *reach.Graph, key string) []reach.NodeID {
	n, known := g.Find(key)
	if !known {
		return nil
	}
	return g.Sessions(n)
}

// proof is that of an edge, 0 for none. There may be one to what was not read.
func (d *differ) proof(g *reach.Graph, pair [2]string) reach.Proof {
	from, known := g.Find(pair[0])
	to, both := g.Find(pair[1])
	switch {
	case known && both:
		e, _ := g.Edge(from, to)
		return e.Proof
	case d.unread(g, pair[0]) || d.unread(g, pair[1]):
		return reach.Unread
	}
	return 0
}

// unread reports whether a node is missing from a graph because its account, or
// it there, was not read: whether it exists is not known then.
func (d *differ) unread(g *reach.Graph, key string) bool {
	n := d.node(key)
	if _, known := g.Find(key); known || n.Account == "" {
		return false
	}
	account := g.Inventory().Accounts[n.Account]
	a, err := arn.Parse(key)
	state := inventory.Absent
	switch {
	case account == nil:
		return true
	case err == nil && n.Kind == reach.Role:
		_, state = account.Role(a.Name())
	case err == nil && n.Kind == reach.User:
		_, state = account.User(a.Name())
	}
	return state != inventory.Absent && state != inventory.Exists
}

// kindOf compares two proofs, 0 for none.
func kindOf(was, is reach.Proof) (Kind, bool) {
	switch {
	case was == is:
		return 0, false
	case was == 0:
		return Gained, true
	case is == 0:
		return Lost, true
	case is < was:
		return Stronger, true
	}
	return Weaker, true
}

// node is the node of a key as the later graph has it, or else the earlier.
func (d *differ) node(key string) reach.Node {
	if n, known := d.after.Find(key); known {
		return d.after.Node(n)
	}
	n, _ := d.before.Find(key)
	return d.before.Node(n)
}

// gaps notes what either side's answers do not cover.
func (d *differ) gaps() {
	for _, g := range d.graphs() {
		for _, gap := range g.Gaps() {
			if !slices.Contains(d.out.Gaps, gap) {
				d.out.Gaps = append(d.out.Gaps, gap)
			}
		}
	}
}
