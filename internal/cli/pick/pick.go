// Package pick lets a person at a terminal pick one of many things by typing a few
// letters.
//
// Start with [Pick]. A [List] is what is shown and what keys do to it, without a
// terminal; package match says what fits. It is written here because the
// terminal libraries there are cost more to initialise than the commands that
// programs run all day may take, and bring fifteen modules into a program that
// handles credentials.
package pick

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stile-aws/stile/internal/cli/match"
)

// Item is one of the things.
type Item struct {
	Name   string // what is picked, and shown
	Note   string // shown beside it
	Text   match.Text
	Weight float64 // of things that fit equally well, the heavier comes first
}

// List is the state of picking.
type List struct {
	title string
	items []Item
	query string
	found []hit // in the order in which they are shown
	at    int   // in found
	from  int   // the first that is shown
	rows  int   // that were shown last
}

type hit struct {
	item  int
	grade match.Grade
	score int
}

// New makes a List of items.
func New(title string, items []Item) *List {
	l := &List{title: title, rows: 1}
	l.SetItems(items)
	return l
}

// SetItems puts others in place of the items. What is marked stays marked if it is
// still there.
func (l *List) SetItems(items []Item) {
	marked, was := l.Marked()
	l.items = slices.Clone(items)
	slices.SortStableFunc(l.items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Name, b.Name))
	})
	l.search()
	if i := slices.IndexFunc(l.found, func(h hit) bool { return l.items[h.item].Name == marked.Name }); was && i >= 0 {
		l.at = i
	}
}

// Type sets what was typed.
func (l *List) Type(query string) {
	l.query = query
	l.search()
}

// search finds what fits, the best first, and marks it.
func (l *List) search() {
	q := match.Parse(l.query)
	l.found, l.at, l.from = l.found[:0], 0, 0
	for i := range l.items {
		if grade, score := q.Match(&l.items[i].Text); grade > match.None {
			l.found = append(l.found, hit{i, grade, score})
		}
	}
	if q.Empty() {
		return
	}
	slices.SortStableFunc(l.found, func(a, b hit) int {
		heavier := cmp.Compare(l.items[b.item].Weight, l.items[a.item].Weight)
		better := cmp.Compare(b.score, a.score)
		if a.grade == match.Letters { // which may well be chance
			heavier, better = better, heavier
		}
		return cmp.Or(cmp.Compare(b.grade, a.grade), heavier, better, cmp.Compare(a.item, b.item))
	})
}

// Marked is the item that would be picked.
func (l *List) Marked() (Item, bool) {
	if l.at >= len(l.found) {
		return Item{}, false
	}
	return l.items[l.found[l.at].item], true
}

// move marks another, as far as there are some.
func (l *List) move(by int) {
	l.at = max(0, min(l.at+by, len(l.found)-1))
}

// Outcome is what a key led to.
type Outcome int

// The outcomes.
const (
	Going Outcome = iota
	Picked
	GivenUp
)

// Press does what a key does.
func (l *List) Press(k Key) Outcome {
	switch {
	case k.Rune != 0:
		l.Type(l.query + string(k.Rune))
	case k.Name == Enter:
		if _, ok := l.Marked(); ok {
			return Picked
		}
	case k.Name == Escape:
		return GivenUp
	case k.Name == Backspace && l.query != "":
		_, size := utf8.DecodeLastRuneInString(l.query)
		l.Type(l.query[:len(l.query)-size])
	case k.Name == EraseWord:
		trimmed := strings.TrimRight(l.query, " ")
		l.Type(trimmed[:strings.LastIndexByte(trimmed, ' ')+1])
	case k.Name == EraseLine:
		l.Type("")
	case k.Name == Up:
		l.move(-1)
	case k.Name == Down:
		l.move(1)
	case k.Name == PageUp:
		l.move(-l.rows)
	case k.Name == PageDown:
		l.move(l.rows)
	case k.Name == Home:
		l.move(-len(l.found))
	case k.Name == End:
		l.move(len(l.found))
	}
	return Going
}

// View is what a terminal of a size shows: at most height lines, of at most width
// runes each. The line that is typed into comes first.
func (l *List) View(width, height int) []string {
	width, height = max(1, width), max(1, height)
	lines := []string{cut("> "+l.query, width)}
	if height >= 3 {
		lines = append(lines, cut(fmt.Sprintf("  %d of %d · %s", len(l.found), len(l.items), l.title), width))
	}
	l.rows = max(1, height-len(lines))
	l.from = max(min(l.from, l.at), l.at-l.rows+1)
	longest := 0
	shown := l.found[l.from:min(l.from+l.rows, len(l.found))]
	for _, h := range shown {
		longest = max(longest, utf8.RuneCountInString(l.items[h.item].Name))
	}
	for i, h := range shown {
		if len(lines) == height {
			break
		}
		item := &l.items[h.item]
		mark := "  "
		if l.from+i == l.at {
			mark = "▌ "
		}
		line := mark + item.Name
		if item.Note != "" {
			line += strings.Repeat(" ", longest-utf8.RuneCountInString(item.Name)+2) + item.Note
		}
		lines = append(lines, cut(line, width))
	}
	return lines
}

// cut keeps a line within width. What would move the cursor or change colours
// is shown as what it is not: names are others' to choose.
func cut(line string, width int) string {
	out := make([]rune, 0, width)
	for _, r := range line {
		if len(out) == width {
			break
		}
		if !unicode.IsPrint(r) {
			r = '·'
		}
		out = append(out, r)
	}
	return string(out)
}
