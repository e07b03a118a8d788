package digraph

import (
	"math/bits"
	"slices"
)

// Closure knows for every node all nodes that paths of any length lead to.
//
// Nodes that paths lead between both ways are one component. Each component has
// the set of the components beyond it, as a list while it is short, else as a
// bitmap, or shared with the one successor whose set it is: 100,000 nodes take
// from some megabytes, where most are in one component, to n²/8 bytes at worst.
type Closure struct {
	g         *Graph
	level     uint8
	component []int32 // of each vertex
	members   [][]Vertex
	beyond    []set
	counts    []int // nodes in and beyond each component
}

// set is the components beyond one.
type set struct {
	list []int32  // sorted
	bits []uint64 // instead of list
	// via, where it is not negative, says that the set is via and all beyond it.
	via int32
}

// Close finds what every node can come to by edges up to a level.
func (g *Graph) Close(level uint8) *Closure {
	c := &Closure{g: g, level: level}
	c.components()
	c.beyond, c.counts = make([]set, len(c.members)), make([]int, len(c.members))
	u := union{c: c, seen: make([]uint64, len(c.members)/64+1)}
	for i := range c.members { // successors come before their predecessors
		c.beyond[i], c.counts[i] = u.of(int32(i))
	}
	return c
}

// components finds the strongly connected components by Tarjan's algorithm, with
// a stack of its own: a component comes after all it leads to.
func (c *Closure) components() {
	n := c.g.nodes + c.g.hubs
	t := tarjan{Closure: c, index: make([]int32, n), low: make([]int32, n), next: make([]int32, n)}
	c.component = make([]int32, n)
	for v := range c.component {
		c.component[v] = -1
	}
	for v := range Vertex(n) {
		if t.index[v] == 0 {
			t.from(v)
		}
	}
}

type tarjan struct {
	*Closure
	index, low []int32 // index 0: not seen yet
	next       []int32 // how many edges of a vertex were followed
	count      int32
	stack      []Vertex // vertices without a component yet
	trail      []Vertex // the way to the vertex at hand
}

func (t *tarjan) enter(v Vertex) {
	t.count++
	t.index[v], t.low[v] = t.count, t.count
	t.stack, t.trail = append(t.stack, v), append(t.trail, v)
}

func (t *tarjan) from(v Vertex) {
	t.enter(v)
	for len(t.trail) > 0 {
		v := t.trail[len(t.trail)-1]
		if w, ok := t.follow(v); ok {
			t.enter(w)
			continue
		}
		t.trail = t.trail[:len(t.trail)-1]
		if len(t.trail) > 0 {
			above := t.trail[len(t.trail)-1]
			t.low[above] = min(t.low[above], t.low[v])
		}
		if t.low[v] == t.index[v] {
			t.close(v)
		}
	}
}

// follow gives the next vertex that was not seen yet.
func (t *tarjan) follow(v Vertex) (Vertex, bool) {
	to, f := t.g.out.row(v)
	for int(t.next[v]) < len(to) {
		i := t.next[v]
		t.next[v]++
		w := to[i]
		switch {
		case f[i].Level() > t.level:
		case t.index[w] == 0:
			return w, true
		case t.component[w] < 0:
			t.low[v] = min(t.low[v], t.index[w])
		}
	}
	return None, false
}

// close makes a component of everything above v on the stack.
func (t *tarjan) close(v Vertex) {
	at := len(t.stack) - 1
	for t.stack[at] != v {
		at--
	}
	id := int32(len(t.members))
	var members []Vertex
	for _, w := range t.stack[at:] {
		t.component[w] = id
		members = append(members, w)
	}
	slices.Sort(members)
	t.members = append(t.members, members)
	t.stack = t.stack[:at]
}

// union makes the sets of components, with one bitmap for all the work.
type union struct {
	c    *Closure
	seen []uint64
}

func (u *union) of(id int32) (set, int) {
	c := u.c
	var next []int32 // components one edge away
	for _, v := range c.members[id] {
		to, f := c.g.out.row(v)
		for i, w := range to {
			if other := c.component[w]; f[i].Level() <= c.level && other != id {
				next = append(next, other)
			}
		}
	}
	slices.Sort(next)
	next = slices.Compact(next)
	own := c.nodesIn(id)
	if len(next) == 0 {
		return set{via: -1}, own
	}
	// The one with the most beyond it may have all the others beyond it.
	most := next[0]
	for _, other := range next {
		if c.counts[other] > c.counts[most] || c.counts[other] == c.counts[most] && other > most {
			most = other
		}
	}
	if !slices.ContainsFunc(next, func(other int32) bool { return other != most && !c.contains(most, other) }) {
		return set{via: most}, own + c.counts[most]
	}
	clear(u.seen)
	for _, other := range next {
		u.seen[other/64] |= 1 << (other % 64)
		c.addTo(u.seen, other)
	}
	return u.pack(own)
}

// pack copies the bitmap in the form that takes less.
func (u *union) pack(own int) (set, int) {
	size, last := 0, 0
	for i, word := range u.seen {
		if word != 0 {
			size, last = size+bits.OnesCount64(word), i
		}
	}
	s := set{via: -1}
	if size*4 > (last+1)*8 {
		s.bits = slices.Clone(u.seen[:last+1])
	} else {
		s.list = make([]int32, 0, size)
	}
	for other := range each64(u.seen) {
		own += u.c.nodesIn(other)
		if s.bits == nil {
			s.list = append(s.list, other)
		}
	}
	return s, own
}

// each64 yields the numbers of the bits that are set.
func each64(words []uint64) func(yield func(int32) bool) {
	return func(yield func(int32) bool) {
		for i, word := range words {
			for ; word != 0; word &= word - 1 {
				if !yield(int32(i*64 + bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}

// nodesIn is the number of nodes of a component: hubs are none.
func (c *Closure) nodesIn(id int32) int {
	n, _ := slices.BinarySearch(c.members[id], Vertex(c.g.nodes))
	return n
}

// addTo sets the bits of everything beyond a component.
func (c *Closure) addTo(words []uint64, id int32) {
	for s := c.beyond[id]; ; s = c.beyond[s.via] {
		for i, word := range s.bits {
			words[i] |= word
		}
		for _, other := range s.list {
			words[other/64] |= 1 << (other % 64)
		}
		if s.via < 0 {
			return
		}
		words[s.via/64] |= 1 << (s.via % 64)
	}
}

// contains reports whether other is beyond a component.
func (c *Closure) contains(id, other int32) bool {
	for s := c.beyond[id]; ; s = c.beyond[s.via] {
		switch {
		case s.via < 0 && s.bits != nil:
			return int(other/64) < len(s.bits) && s.bits[other/64]&(1<<(other%64)) != 0
		case s.via < 0:
			_, found := slices.BinarySearch(s.list, other)
			return found
		case s.via == other:
			return true
		}
	}
}

// Reaches reports whether a path leads from one node to another. A node reaches
// itself.
func (c *Closure) Reaches(from, to Vertex) bool {
	a, b := c.component[from], c.component[to]
	return a == b || c.contains(a, b)
}

// Count is how many other nodes n can come to.
func (c *Closure) Count(n Vertex) int { return c.counts[c.component[n]] - 1 }

// All calls yield for each other node that n can come to.
func (c *Closure) All(n Vertex) func(yield func(Vertex) bool) {
	return func(yield func(Vertex) bool) {
		words := make([]uint64, len(c.members)/64+1)
		id := c.component[n]
		words[id/64] |= 1 << (id % 64)
		c.addTo(words, id)
		for other := range each64(words) {
			for _, v := range c.members[other] {
				if v != n && int(v) < c.g.nodes && !yield(v) {
					return
				}
			}
		}
	}
}

// Path is a shortest path from one node to another, both included; nil when
// there is none.
func (c *Closure) Path(from, to Vertex) []Vertex {
	if !c.Reaches(from, to) {
		return nil
	}
	s := c.g.Search(c.level, true)
	s.Begin(to)
	s.RunUntil(from)
	return s.Path(from)
}

// Components is the number of groups of nodes that can all come to each other.
func (c *Closure) Components() int { return len(c.members) }

// Memory is what the closure takes, in bytes.
func (c *Closure) Memory() int {
	total := len(c.component)*4 + len(c.members)*24 + len(c.counts)*8
	for i := range c.members {
		total += cap(c.members[i])*4 + 56 + len(c.beyond[i].list)*4 + len(c.beyond[i].bits)*8
	}
	return total
}
