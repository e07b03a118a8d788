package digraph_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stile-aws/stile/internal/reach/digraph"
)

// reference is a graph without hubs as sets of nodes.
type reference map[digraph.Vertex]map[digraph.Vertex]uint8

// random makes a graph with hubs, and what it stands for.
func random(rng *rand.Rand, nodes, hubs, edges int) (*digraph.Graph, reference) {
	want := reference{}
	add := func(from, to digraph.Vertex, level uint8) {
		if want[from] == nil {
			want[from] = map[digraph.Vertex]uint8{}
		}
		if old := want[from][to]; from != to && (old == 0 || level < old) {
			want[from][to] = level
		}
	}
	var list []digraph.Edge
	vertex := func(n int) digraph.Vertex { return digraph.Vertex(rng.IntN(n)) }
	for range edges {
		from, to, level := vertex(nodes), vertex(nodes), uint8(1+rng.IntN(3))
		list = append(list, digraph.Edge{From: from, To: to, Label: digraph.Label(level)})
		add(from, to, level)
	}
	for h := range hubs {
		hub, level := digraph.Vertex(nodes+h), uint8(1+rng.IntN(3))
		var callers, roles []digraph.Vertex
		for range 1 + rng.IntN(3) {
			callers, roles = append(callers, vertex(nodes)), append(roles, vertex(nodes))
		}
		for _, c := range callers {
			list = append(list, digraph.Edge{From: c, To: hub, Label: digraph.Label(level)})
			for _, r := range roles {
				add(c, r, level)
			}
		}
		for _, r := range roles {
			list = append(list, digraph.Edge{From: hub, To: r, Label: digraph.Label(level)})
		}
	}
	return digraph.New(nodes, hubs, list), want
}

// TestOfEdgesWithTheSameEndsTheSurestIsKept looks at both directions: each edge once,
// in the order of where it leads, with one label.
func TestOfEdgesWithTheSameEndsTheSurestIsKept(t *testing.T) {
	type ends struct{ from, to digraph.Vertex }
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 5))
		const nodes = 12
		var list []digraph.Edge
		want := map[ends]uint8{}
		for range rng.IntN(200) {
			from := rng.IntN(nodes)
			to := (from + 1 + rng.IntN(nodes-1)) % nodes
			e := digraph.Edge{From: digraph.Vertex(from), To: digraph.Vertex(to), Label: digraph.Label(rng.IntN(256)&^3 | 1 + rng.IntN(3))}
			list = append(list, e)
			if old := want[ends{e.From, e.To}]; old == 0 || e.Label.Level() < old {
				want[ends{e.From, e.To}] = e.Label.Level()
			}
		}
		before := slices.Clone(list)
		g := digraph.New(nodes, 0, list)
		if !slices.Equal(list, before) || g.Edges() != len(want) {
			t.Fatalf("seed %d: %d edges of %d, want %d", seed, g.Edges(), len(list), len(want))
		}
		along, against := map[ends]digraph.Label{}, map[ends]digraph.Label{}
		for n := range digraph.Vertex(nodes) {
			last := digraph.None
			g.From(n, func(to digraph.Vertex, l digraph.Label) bool {
				if to <= last || l.Level() != want[ends{n, to}] || !slices.Contains(before, digraph.Edge{From: n, To: to, Label: l}) {
					t.Errorf("seed %d: edge %d to %d after %d has label %d, want level %d", seed, n, to, last, l, want[ends{n, to}])
				}
				along[ends{n, to}], last = l, to
				return true
			})
			g.To(n, func(from digraph.Vertex, l digraph.Label) bool {
				against[ends{from, n}] = l
				return true
			})
		}
		if !maps.Equal(along, against) {
			t.Errorf("seed %d: along the edges %v, against them %v", seed, along, against)
		}
	}
}

func (r reference) distances(from digraph.Vertex, level uint8) map[digraph.Vertex]int {
	out, queue := map[digraph.Vertex]int{from: 0}, []digraph.Vertex{from}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for to, l := range r[n] {
			if _, seen := out[to]; !seen && l <= level {
				out[to] = out[n] + 1
				queue = append(queue, to)
			}
		}
	}
	return out
}

func TestHubsStandForTheirEdges(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 4))
		const nodes = 40
		g, want := random(rng, nodes, rng.IntN(6), rng.IntN(80))
		for level := uint8(1); level <= 3; level++ {
			c := g.Close(level)
			for from := range digraph.Vertex(nodes) {
				checkNode(t, g, c, want, from, level)
			}
		}
	}
}

func checkNode(t *testing.T, g *digraph.Graph, c *digraph.Closure, want reference, from digraph.Vertex, level uint8) {
	t.Helper()
	got := map[digraph.Vertex]uint8{}
	g.From(from, func(to digraph.Vertex, l digraph.Label) bool {
		if got[to] == 0 || l.Level() < got[to] {
			got[to] = l.Level()
		}
		return true
	})
	for to := range digraph.Vertex(40) {
		if got[to] != want[from][to] {
			t.Fatalf("edge %d to %d has level %d, want %d", from, to, got[to], want[from][to])
		}
	}
	distances := want.distances(from, level)
	s := g.Search(level, false)
	s.Begin(from)
	s.Run()
	var all []digraph.Vertex
	for to := range c.All(from) {
		all = append(all, to)
	}
	for to := range digraph.Vertex(40) {
		d, reached := distances[to]
		if !reached {
			d = -1
		}
		if s.Distance(to) != d || c.Reaches(from, to) != reached || slices.Contains(all, to) != (reached && to != from) {
			t.Fatalf("from %d to %d by level %d: distance %d, reaches %v, want %d", from, to, level, s.Distance(to), c.Reaches(from, to), d)
		}
		if path := c.Path(from, to); len(path) != d+1 {
			t.Fatalf("path from %d to %d: %v, want %d nodes", from, to, path, d+1)
		}
	}
	if c.Count(from) != len(distances)-1 {
		t.Fatalf("%d comes to %d nodes, want %d", from, c.Count(from), len(distances)-1)
	}
}

// TestAChainOfComponentsTakesLittle closes the worst case for bitmaps: nodes in
// a row, each of which comes to all after it.
func TestAChainOfComponentsTakesLittle(t *testing.T) {
	const nodes = 20_000
	var edges []digraph.Edge
	for n := range digraph.Vertex(nodes - 1) {
		edges = append(edges, digraph.Edge{From: n, To: n + 1, Label: 1})
	}
	c := digraph.New(nodes, 0, edges).Close(1)
	if c.Count(0) != nodes-1 || c.Components() != nodes || !c.Reaches(0, nodes-1) || c.Reaches(nodes-1, 0) {
		t.Errorf("the first of %d nodes in a row comes to %d", nodes, c.Count(0))
	}
	if c.Memory() > 4<<20 {
		t.Errorf("the closure takes %d bytes", c.Memory())
	}
}
