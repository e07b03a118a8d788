package reach

import (
	"cmp"
	"fmt"
	"github.com/stile-aws/stile/internal/reach/digraph"
	"slices"
	"time"
)

// PathOptions bound the chains that Paths looks for. The zero PathOptions give
// up to ten of the shortest.
type PathOptions struct {
	All     bool // longer ones as well, without coming to a role twice
	MaxHops int  // with All; default 6
	Limit   int  // default 10
}

// Path is a chain from somebody to a role, or to the use of something.
type Path struct {
	Proof Proof `json:"proof"` // of its least sure part
	Hops  []Hop `json:"hops"`
	Use   *Part `json:"use,omitempty"` // at the end, where the question names an action
	// Constraints hold for the chain as a whole: how long its sessions last.
	Constraints []string `json:"constraints,omitempty"`
}

// maxChained is how long a session got by another role's lasts at most. Source:
// IAM guide id_roles_terms-and-concepts, "Role chaining".
const maxChained = time.Hour

// Paths finds chains from any of the nodes to any of the others. more reports
// that there are more than asked for.
func (g *Graph) Paths(from, to []NodeID, o PathOptions) (paths []Path, more bool) {
	goals := map[NodeID]Proof{}
	for _, n := range to {
		goals[n] = Proven
	}
	chains, more := g.chains(from, goals, o)
	for _, c := range chains {
		paths = append(paths, g.path(c))
	}
	return paths, more
}

// PathsTo finds chains from any of the nodes to somebody who may do what q asks
// for; a chain of no hop is somebody who may.
func (g *Graph) PathsTo(from []NodeID, q Query, o PathOptions) (paths []Path, more bool) {
	w := g.whoCanDirectly(q)
	chains, more := g.chains(from, w.direct, o)
	for _, c := range chains {
		p := g.path(c)
		last := c[len(c)-1]
		use := partOf(q.Action, q.Resource, w.Explain(Access{Node: g.nodes[last].Node}))
		p.Use = &use
		p.Proof = max(p.Proof, w.direct[last])
		paths = append(paths, p)
	}
	slices.SortStableFunc(paths, func(a, b Path) int {
		return cmp.Or(cmp.Compare(a.Proof, b.Proof), cmp.Compare(len(a.Hops), len(b.Hops)))
	})
	return paths, more
}

// chains finds ways from some nodes to goals, each with its own proof: the
// shortest by the surest edges that lead to any.
func (g *Graph) chains(from []NodeID, goals map[NodeID]Proof, o PathOptions) ([][]NodeID, bool) {
	o.Limit, o.MaxHops = cmp.Or(o.Limit, 10), cmp.Or(o.MaxHops, 6)
	for worst := Proven; worst <= Unread; worst++ {
		f := g.Search(worst, true)
		for n, p := range sorted(goals) {
			if p <= worst {
				f.Begin(n)
			}
		}
		f.Run()
		if !slices.ContainsFunc(from, func(n NodeID) bool { return f.Distance(n) >= 0 }) || o.All && worst < Unread {
			continue
		}
		e := enumeration{g: g, back: f, options: o, worst: worst, on: map[NodeID]bool{}, limit: o.Limit + 1}
		e.all(from)
		slices.SortStableFunc(e.found, func(a, b []NodeID) int { return cmp.Or(cmp.Compare(len(a), len(b)), slices.Compare(a, b)) })
		return e.found[:min(len(e.found), o.Limit)], len(e.found) > o.Limit
	}
	return nil, false
}

// enumeration walks from a start towards the goals, led by the distances of a
// search backwards from them.
type enumeration struct {
	g       *Graph
	back    *digraph.Search
	options PathOptions
	worst   Proof
	limit   int
	at      []NodeID
	on      map[NodeID]bool
	found   [][]NodeID
}

func (e *enumeration) all(from []NodeID) {
	shortest := -1
	for _, n := range from {
		if d := e.back.Distance(n); d >= 0 && (shortest < 0 || d < shortest) {
			shortest = d
		}
	}
	for depth := shortest; depth <= e.options.MaxHops || depth == shortest; depth++ {
		for _, n := range from {
			e.walk(n, depth)
		}
		if !e.options.All || len(e.found) >= e.limit {
			return
		}
	}
}

// walk finds the ways of exactly so many hops from n to a goal.
func (e *enumeration) walk(n NodeID, hops int) {
	d := e.back.Distance(n)
	if d < 0 || d > hops || e.on[n] || len(e.found) >= e.limit {
		return
	}
	e.at, e.on[n] = append(e.at, n), true
	defer func() { e.at, e.on[n] = e.at[:len(e.at)-1], false }()
	if hops == 0 {
		e.found = append(e.found, slices.Clone(e.at))
		return
	}
	var next []NodeID
	for edge := range e.g.From(n) {
		if edge.Proof <= e.worst {
			next = append(next, edge.To)
		}
	}
	for _, to := range sortedUnique(next) {
		e.walk(to, hops-1)
	}
}

// path explains a chain of nodes.
func (g *Graph) path(chain []NodeID) Path {
	p := Path{Proof: Proven}
	for i := range chain[1:] {
		h, _ := g.Hop(chain[i], chain[i+1])
		p.Hops = append(p.Hops, h)
		p.Proof = max(p.Proof, h.Proof)
	}
	p.Constraints = constraints(p.Hops)
	return p
}

// constraints tells how long the sessions of a chain last.
func constraints(hops []Hop) []string {
	var out []string
	chained := false
	for _, h := range hops {
		fromRole := h.From.Kind == Role || h.From.Kind == Session
		switch {
		case fromRole && !chained:
			chained = true
			out = append(out, fmt.Sprintf("from %s on, sessions last at most %v: a role assumed by another role's session", h.To.Name, hours(maxChained)))
		case !fromRole && h.MaxSession > 0:
			out = append(out, fmt.Sprintf("sessions of %s last at most %v", h.To.Name, hours(time.Duration(h.MaxSession)*time.Second)))
		}
	}
	return out
}

func hours(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%d h", int(d/time.Hour))
	}
	return d.String()
}

// Explained is a direct access with what allows it.
func (w *WhoCan) Explained(a Access) Part {
	return partOf(w.Query.Action, w.Query.Resource, w.Explain(a))
}
