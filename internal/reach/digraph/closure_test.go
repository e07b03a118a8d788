package digraph_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stile-aws/stile/internal/inventory/inventorytest"
	"github.com/stile-aws/stile/internal/reach"
)

// TestClosureIsWhatSearchesFind compares the closure with a search from every node.
func TestClosureIsWhatSearchesFind(t *testing.T) {
	for seed := range uint64(8) {
		size := inventorytest.Size{Seed: seed, Accounts: 3 + int(seed)%3, Roles: 12, Edges: 1 + int(seed)%3}
		g := reach.New(inventorytest.Organization(size), reach.Config{})
		for _, worst := range []reach.Proof{reach.Proven, reach.Conditional, reach.Unread} {
			closeAndSearch(t, g, worst)
		}
	}
}

func closeAndSearch(t *testing.T, g *reach.Graph, worst reach.Proof) {
	t.Helper()
	c := g.Close(worst)
	rng := rand.New(rand.NewPCG(1, 2))
	for from := range reach.NodeID(g.Len()) {
		want := search(g, from, worst)
		var got []reach.NodeID
		for to := range c.All(from) {
			got = append(got, to)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) || c.Count(from) != len(want) {
			t.Fatalf("%s comes to %v (count %d), want %v", g.Node(from).Key, got, c.Count(from), want)
		}
		to := reach.NodeID(rng.IntN(g.Len()))
		reached := from == to || slices.Contains(want, to)
		if c.Reaches(from, to) != reached {
			t.Fatalf("Reaches(%s, %s) = %v", g.Node(from).Key, g.Node(to).Key, !reached)
		}
		checkPath(t, g, c.Path(from, to), from, to, reached)
	}
}

func checkPath(t *testing.T, g *reach.Graph, path []reach.NodeID, from, to reach.NodeID, want bool) {
	t.Helper()
	if !want {
		if path != nil {
			t.Fatalf("a path from %s to %s, which it cannot come to: %v", g.Node(from).Key, g.Node(to).Key, path)
		}
		return
	}
	if path[0] != from || path[len(path)-1] != to {
		t.Fatalf("path from %d to %d: %v", from, to, path)
	}
	for i := range path[1:] {
		if _, ok := g.Edge(path[i], path[i+1]); !ok {
			t.Fatalf("path %v: no edge %d", path, i)
		}
	}
}

func search(g *reach.Graph, from reach.NodeID, worst reach.Proof) []reach.NodeID {
	seen := map[reach.NodeID]bool{from: true}
	queue := []reach.NodeID{from}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for e := range g.From(n) {
			if e.Proof <= worst && !seen[e.To] {
				seen[e.To] = true
				queue = append(queue, e.To)
			}
		}
	}
	delete(seen, from)
	var out []reach.NodeID
	for n := range seen {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
