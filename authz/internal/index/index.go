// Package index finds what in a policy could concern a request without looking
// at all of it: postings are filed under the literal text that patterns begin
// with ([Prefixes]), or under names ([Names]), and come out again in order.
//
// An index answers "could match" only. It leaves out what certainly does not
// match and nothing else; whoever asks compares what comes out. A built index
// never changes and is safe for concurrent use; looking something up allocates
// nothing.
package index

import (
	"cmp"
	"slices"
	"strings"
)

// A Posting is a place in a policy.
type Posting struct {
	Owner uint32 // what is looked for, a statement or an entry; postings come out in its order
	Note  uint32 // the caller's
}

// maxLists is how many lists of postings one answer may have. Literal prefixes
// of actions and resources lie a few deep in one another.
const maxLists = 24

// Lists is the answer to a look-up, to be read once.
type Lists struct {
	heads [maxLists][]Posting
	n     int
}

func (l *Lists) add(list []Posting) bool {
	if len(list) == 0 {
		return true
	}
	if l.n == maxLists {
		return false
	}
	l.heads[l.n] = list
	l.n++
	return true
}

// Total is the number of postings left.
func (l *Lists) Total() int {
	n := 0
	for i := range l.n {
		n += len(l.heads[i])
	}
	return n
}

// Next takes the posting with the lowest owner.
func (l *Lists) Next() (p Posting, ok bool) {
	best := -1
	for i := range l.n {
		if head := l.heads[i]; len(head) > 0 && (best < 0 || head[0].Owner < p.Owner) {
			best, p = i, head[0]
		}
	}
	if best < 0 {
		return Posting{}, false
	}
	l.heads[best] = l.heads[best][1:]
	return p, true
}

// NextOwner takes all postings of the lowest owner.
func (l *Lists) NextOwner() (owner uint32, ok bool) {
	p, ok := l.Next()
	for i := range l.n {
		head := l.heads[i]
		for len(head) > 0 && head[0].Owner == p.Owner {
			head = head[1:]
		}
		l.heads[i] = head
	}
	return p.Owner, ok
}

// span is a run of an index's postings.
type span struct{ from, to uint32 }

func (s span) of(postings []Posting) []Posting { return postings[s.from:s.to] }

// Prefixes files postings under the literal text that patterns begin with.
type Prefixes struct {
	keys     []key // sorted by text
	postings []Posting
	always   []Posting
}

// A key is a text with what is filed under it.
type key struct {
	text   string
	parent int32 // the longest other key that text begins with; -1: none
	whole  span  // of patterns that are text and nothing else
	open   span  // of patterns that go on with a wildcard or a variable
}

// A Builder collects what Prefixes will hold. The zero Builder is empty.
type Builder struct {
	items  []item
	always []Posting
}

type item struct {
	text  string
	whole bool
	Posting
}

// Add files p under a pattern that begins with text; whole is set when the
// pattern is text and nothing else.
func (b *Builder) Add(text string, whole bool, p Posting) {
	b.items = append(b.items, item{text, whole, p})
}

// Always files p so that each look-up finds it.
func (b *Builder) Always(p Posting) { b.always = append(b.always, p) }

// Build makes the index, and uses b up.
func (b *Builder) Build() *Prefixes {
	slices.SortStableFunc(b.items, func(x, y item) int {
		return cmp.Or(strings.Compare(x.text, y.text), compareBool(x.whole, y.whole), cmp.Compare(x.Owner, y.Owner))
	})
	slices.SortStableFunc(b.always, byOwner)
	x := &Prefixes{always: b.always, postings: make([]Posting, len(b.items))}
	within := []int32{} // the keys that begin the last one, and it
	for i, it := range b.items {
		x.postings[i] = it.Posting
		at := uint32(i)
		if i == 0 || it.text != b.items[i-1].text {
			for len(within) > 0 && !strings.HasPrefix(it.text, x.keys[within[len(within)-1]].text) {
				within = within[:len(within)-1]
			}
			k := key{text: it.text, parent: -1, whole: span{at, at}, open: span{at, at}}
			if len(within) > 0 {
				k.parent = within[len(within)-1]
			}
			within = append(within, int32(len(x.keys)))
			x.keys = append(x.keys, k)
		}
		k := &x.keys[len(x.keys)-1]
		if it.whole {
			k.whole.to = at + 1
		} else {
			if k.open.from == k.open.to {
				k.open.from = at
			}
			k.open.to = at + 1
		}
	}
	return x
}

// compareBool orders true first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func byOwner(a, b Posting) int { return cmp.Compare(a.Owner, b.Owner) }

// Lookup finds the postings of patterns that could describe text. ok is false
// when they are too scattered for the answer: look at everything then.
func (x *Prefixes) Lookup(text string) (l Lists, ok bool) {
	l.add(x.always)
	i := x.last(text)
	for i >= 0 && !strings.HasPrefix(text, x.keys[i].text) {
		i = x.keys[i].parent
	}
	if i >= 0 && x.keys[i].text == text {
		l.add(x.keys[i].whole.of(x.postings))
	}
	for ; i >= 0; i = x.keys[i].parent {
		if !l.add(x.keys[i].open.of(x.postings)) {
			return l, false
		}
	}
	return l, true
}

// last is the last key that does not come after text, or -1. The keys that
// begin text are it and those above it.
func (x *Prefixes) last(text string) int32 {
	low, high := 0, len(x.keys)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if x.keys[middle].text <= text {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return int32(low - 1)
}

// A Name is what postings are filed under in Names: an account with the name of
// something in it, or a name that needs none.
type Name struct{ Account, Name string }

// Names files postings under names. The zero Names is empty.
type Names struct {
	byName map[Name][]Posting
	always []Posting
}

// Add files p under name. The postings of one name are added in order.
func (x *Names) Add(name Name, p Posting) {
	if x.byName == nil {
		x.byName = make(map[Name][]Posting)
	}
	x.byName[name] = append(x.byName[name], p)
}

// Always files p so that each look-up finds it. Such postings are added in order.
func (x *Names) Always(p Posting) { x.always = append(x.always, p) }

// Lookup finds the postings of any of the names, of which there may be a few.
func (x *Names) Lookup(names []Name) Lists {
	var l Lists
	l.add(x.always)
	for _, name := range names {
		l.add(x.byName[name])
	}
	return l
}
