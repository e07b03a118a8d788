package reach

import "github.com/stile-aws/stile/internal/reach/digraph"

// Edge is a way from one node to a session of a role.
type Edge struct {
	From, To NodeID
	Way      Way
	Proof    Proof
	// Tags and SourceIdentity say that the caller has to pass session tags or a
	// source identity.
	Tags, SourceIdentity bool
}

func edgeOf(from, to NodeID, f flags) Edge {
	return Edge{From: from, To: to, Way: wayOf(f), Proof: Proof(f.Level()), Tags: f&needsTags != 0, SourceIdentity: f&needsSource != 0}
}

// From calls yield for each edge out of n until it returns false. An edge that
// is there twice comes twice; the surest counts.
func (g *Graph) From(n NodeID) func(yield func(Edge) bool) {
	return func(yield func(Edge) bool) {
		g.graph.From(n, func(to NodeID, f flags) bool { return yield(edgeOf(n, to, f)) })
	}
}

// To is From for the edges into n.
func (g *Graph) To(n NodeID) func(yield func(Edge) bool) {
	return func(yield func(Edge) bool) {
		g.graph.To(n, func(from NodeID, f flags) bool { return yield(edgeOf(from, n, f)) })
	}
}

// Edge is the surest edge from one node to another.
func (g *Graph) Edge(from, to NodeID) (Edge, bool) {
	best, found := Edge{}, false
	for e := range g.From(from) {
		if e.To == to && (!found || e.Proof < best.Proof) {
			best, found = e, true
		}
	}
	return best, found
}

// Search begins a breadth-first search by edges no less sure than worst, along
// them or, with back, against them.
func (g *Graph) Search(worst Proof, back bool) *digraph.Search {
	return g.graph.Search(uint8(worst), back)
}

// Close finds what every node can come to by edges no less sure than worst, in
// chains of any length.
func (g *Graph) Close(worst Proof) *digraph.Closure { return g.graph.Close(uint8(worst)) }
