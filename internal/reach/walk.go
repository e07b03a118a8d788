package reach

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
	return Edge{From: from, To: to, Way: f.way(), Proof: f.proof(), Tags: f&needsTags != 0, SourceIdentity: f&needsSource != 0}
}

// From calls yield for each edge out of n until it returns false. An edge that
// is there twice comes twice; the surest counts.
func (g *Graph) From(n NodeID) func(yield func(Edge) bool) {
	return func(yield func(Edge) bool) {
		g.each(&g.out, n, func(to NodeID, f flags) bool { return yield(edgeOf(n, to, f)) })
	}
}

// To is From for the edges into n.
func (g *Graph) To(n NodeID) func(yield func(Edge) bool) {
	return func(yield func(Edge) bool) {
		g.each(&g.in, n, func(from NodeID, f flags) bool { return yield(edgeOf(from, n, f)) })
	}
}

// each walks a row with hubs taken apart, without n itself.
func (g *Graph) each(c *csr, n NodeID, yield func(NodeID, flags) bool) {
	nodes := NodeID(len(g.nodes))
	to, f := c.row(n)
	for i, v := range to {
		if v < nodes {
			if v != n && !yield(v, f[i]) {
				return
			}
			continue
		}
		beyond, through := c.row(v)
		for j, w := range beyond {
			if w != n && !yield(w, through[j]) {
				return
			}
		}
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

// flood is a breadth-first search over one of the two directions.
type flood struct {
	g        *Graph
	rows     *csr
	worst    Proof    // edges less sure are not taken
	parent   []NodeID // of each vertex that was reached, the one before; None where the search began
	distance []int32  // -1: not reached; hubs have that of the node before
	queue    []NodeID
}

func (g *Graph) flood(rows *csr, worst Proof) *flood {
	n := len(g.nodes) + g.hubCount
	f := &flood{g: g, rows: rows, worst: worst, parent: make([]NodeID, n), distance: make([]int32, n)}
	for i := range n {
		f.parent[i], f.distance[i] = None, -1
	}
	return f
}

// begin makes n a start of the search.
func (f *flood) begin(n NodeID) {
	if f.distance[n] < 0 {
		f.distance[n] = 0
		f.queue = append(f.queue, n)
	}
}

// run searches to the end.
func (f *flood) run() { f.runUntil(None) }

// runUntil searches until it has come to goal.
func (f *flood) runUntil(goal NodeID) {
	nodes := NodeID(len(f.g.nodes))
	for head := 0; head < len(f.queue) && (goal == None || f.distance[goal] < 0); head++ {
		n := f.queue[head]
		to, flags := f.rows.row(n)
		for i, v := range to {
			if flags[i].proof() > f.worst || f.distance[v] >= 0 {
				continue
			}
			f.parent[v] = n
			if v < nodes {
				f.distance[v] = f.distance[n] + 1
				f.queue = append(f.queue, v)
				continue
			}
			f.distance[v] = f.distance[n]
			f.through(v, n)
		}
	}
}

// through reaches the nodes beyond a hub.
func (f *flood) through(hub, n NodeID) {
	beyond, flags := f.rows.row(hub)
	for i, w := range beyond {
		if flags[i].proof() <= f.worst && f.distance[w] < 0 {
			f.parent[w], f.distance[w] = n, f.distance[n]+1
			f.queue = append(f.queue, w)
		}
	}
}

// reached reports whether the search came to n.
func (f *flood) reached(n NodeID) bool { return f.distance[n] >= 0 }

// path is the way from n back to where the search began.
func (f *flood) path(n NodeID) []NodeID {
	out := []NodeID{n}
	for f.parent[n] != None {
		n = f.parent[n]
		out = append(out, n)
	}
	return out
}
