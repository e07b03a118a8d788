// Package digraph holds a directed graph with labelled edges in rows, searches
// it, and closes it over paths.
//
// Start with [New], then [Graph.Search] and [Graph.Close]. Vertices are nodes or
// hubs: a hub stands for the edges between everything that leads to it and
// everything it leads to, and is never seen from outside. Each label has a level
// in its lowest two bits, from 1 up; searches take edges up to some level.
// Graphs never change and may be used by any number of goroutines at once. What
// nodes and labels mean is the business of package reach.
package digraph

import "slices"

// Vertex numbers the nodes from 0, and after them the hubs.
type Vertex int32

// None is no vertex.
const None Vertex = -1

// Label is what an edge says; see [Label.Level].
type Label uint8

// Level is how far down a list of worse and worse edges an edge stands.
func (l Label) Level() uint8 { return uint8(l) & 3 }

// Edge leads from one vertex to another.
type Edge struct {
	From, To Vertex
	Label    Label
}

// Graph is a directed graph.
type Graph struct {
	nodes, hubs int
	out, in     rows
}

// rows has the edges of all vertices, sorted.
type rows struct {
	start []int32 // of each vertex, and the end of the last
	to    []Vertex
	label []Label
}

// New makes a graph of so many nodes and hubs. Of several edges with the same
// ends the one of the lowest level stays.
func New(nodes, hubs int, edges []Edge) *Graph {
	out := newRows(nodes+hubs, edges)
	return &Graph{nodes: nodes, hubs: hubs, out: out, in: out.turned()}
}

func newRows(vertices int, edges []Edge) rows {
	start := starts(vertices, func(yield func(Vertex)) {
		for i := range edges {
			yield(edges[i].From)
		}
	})
	// An edge within its row is one number, ordered as the row is to be.
	packed, next := make([]uint64, len(edges)), slices.Clone(start)
	for _, e := range edges {
		packed[next[e.From]] = uint64(e.To)<<16 | uint64(e.Label.Level())<<8 | uint64(e.Label)
		next[e.From]++
	}
	r := rows{start: make([]int32, 1, vertices+1), to: make([]Vertex, 0, len(edges)), label: make([]Label, 0, len(edges))}
	for v := range vertices {
		row := packed[start[v]:start[v+1]]
		slices.Sort(row)
		for i, p := range row {
			if i == 0 || row[i-1]>>16 != p>>16 {
				r.to, r.label = append(r.to, Vertex(p>>16)), append(r.label, Label(p))
			}
		}
		r.start = append(r.start, int32(len(r.to)))
	}
	return r
}

// turned has the same edges by where they lead to.
func (r *rows) turned() rows {
	vertices := len(r.start) - 1
	in := rows{to: make([]Vertex, len(r.to)), label: make([]Label, len(r.to))}
	in.start = starts(vertices, func(yield func(Vertex)) {
		for _, v := range r.to {
			yield(v)
		}
	})
	next := slices.Clone(in.start)
	for v := range Vertex(vertices) {
		to, labels := r.row(v)
		for i, w := range to {
			in.to[next[w]], in.label[next[w]] = v, labels[i]
			next[w]++
		}
	}
	return in
}

// starts is where the row of each vertex begins, given the vertex of every edge,
// and the end of the last.
func starts(vertices int, each func(yield func(Vertex))) []int32 {
	start := make([]int32, vertices+1)
	each(func(v Vertex) { start[v+1]++ })
	for i := range vertices {
		start[i+1] += start[i]
	}
	return start
}

func (r *rows) row(v Vertex) ([]Vertex, []Label) {
	from, end := r.start[v], r.start[v+1]
	return r.to[from:end], r.label[from:end]
}

// Edges is the number of edges that are kept, those of hubs included.
func (g *Graph) Edges() int { return len(g.out.to) }

// From calls yield for each edge out of a node, hubs taken apart, until it
// returns false. An edge may come more than once; loops do not come.
func (g *Graph) From(n Vertex, yield func(to Vertex, l Label) bool) { g.each(&g.out, n, yield) }

// To is From for the edges into a node.
func (g *Graph) To(n Vertex, yield func(from Vertex, l Label) bool) { g.each(&g.in, n, yield) }

func (g *Graph) each(r *rows, n Vertex, yield func(Vertex, Label) bool) {
	to, labels := r.row(n)
	for i, v := range to {
		if int(v) < g.nodes {
			if v != n && !yield(v, labels[i]) {
				return
			}
			continue
		}
		beyond, through := r.row(v)
		for j, w := range beyond {
			if w != n && !yield(w, through[j]) {
				return
			}
		}
	}
}

// Search is a breadth-first search by edges up to a level.
type Search struct {
	g        *Graph
	rows     *rows
	level    uint8
	parent   []Vertex // of each vertex that was reached, the node before
	distance []int32  // -1: not reached; hubs have that of the node before
	queue    []Vertex
}

// Search begins a search along the edges, or with back against them, which ends
// nowhere before [Search.Begin] is called.
func (g *Graph) Search(level uint8, back bool) *Search {
	n := g.nodes + g.hubs
	s := &Search{g: g, rows: &g.out, level: level, parent: make([]Vertex, n), distance: make([]int32, n)}
	if back {
		s.rows = &g.in
	}
	for i := range n {
		s.parent[i], s.distance[i] = None, -1
	}
	return s
}

// Begin makes n one of the nodes that the search begins at.
func (s *Search) Begin(n Vertex) {
	if s.distance[n] < 0 {
		s.distance[n] = 0
		s.queue = append(s.queue, n)
	}
}

// Run searches to the end.
func (s *Search) Run() { s.RunUntil(None) }

// RunUntil searches until it has come to goal.
func (s *Search) RunUntil(goal Vertex) {
	for head := 0; head < len(s.queue) && (goal == None || s.distance[goal] < 0); head++ {
		n := s.queue[head]
		to, labels := s.rows.row(n)
		for i, v := range to {
			switch {
			case labels[i].Level() > s.level || s.distance[v] >= 0:
			case int(v) < s.g.nodes:
				s.reach(v, n)
			default:
				s.parent[v], s.distance[v] = n, s.distance[n]
				s.through(v, n)
			}
		}
	}
}

// through reaches the nodes beyond a hub.
func (s *Search) through(hub, n Vertex) {
	beyond, labels := s.rows.row(hub)
	for i, w := range beyond {
		if labels[i].Level() <= s.level && s.distance[w] < 0 {
			s.reach(w, n)
		}
	}
}

func (s *Search) reach(v, from Vertex) {
	s.parent[v], s.distance[v] = from, s.distance[from]+1
	s.queue = append(s.queue, v)
}

// Reached lists the nodes that the search came to, those it began at first, the
// nearest first. It must not be changed.
func (s *Search) Reached() []Vertex { return s.queue }

// Distance is how many edges lead to n, -1 when none do.
func (s *Search) Distance(n Vertex) int { return int(s.distance[n]) }

// Path is the nodes from n back to where the search began.
func (s *Search) Path(n Vertex) []Vertex {
	out := []Vertex{n}
	for s.parent[n] != None {
		n = s.parent[n]
		out = append(out, n)
	}
	return out
}
