// Package match finds what somebody means who types a few letters: for the
// picker of stile use and for stile ls.
//
// [Parse] makes a [Query] of what was typed, [Prepare] a [Text] of what is looked
// through, [Query.Match] compares them. Words of a query must all fit. A word fits
// where a text has it, or has its letters in their order, which is a worse
// [Grade]; a listing shows those only when there are no better ones, for letters
// in their order are found nearly everywhere. Upper and lower case are the same.
package match

import (
	"strings"
	"unicode"
)

// Grade tells how well a query fits.
type Grade int

// From worst to best.
const (
	None    Grade = iota
	Letters       // the letters are there in their order
	Inside        // the words are there
	Start         // and parts of the text begin with them
)

// Text is something to look through.
type Text struct {
	fields []field
}

type field struct {
	folded []rune
	starts []bool // of words
}

// Prepare makes a Text of its parts, such as a name and an id. A word must fit in
// one of them.
func Prepare(parts ...string) Text {
	t := Text{fields: make([]field, 0, len(parts))}
	for _, p := range parts {
		if p == "" {
			continue
		}
		f := field{folded: []rune(p)}
		f.starts = make([]bool, len(f.folded))
		var last rune
		for i, r := range f.folded {
			f.starts[i] = begins(last, r)
			f.folded[i] = unicode.ToLower(r)
			last = r
		}
		t.fields = append(t.fields, f)
	}
	return t
}

// begins reports that a word begins with r after last: after what is no letter or
// digit, where letters and digits meet, and with the capital in readOnly.
func begins(last, r rune) bool {
	letter, digit := unicode.IsLetter(r), unicode.IsDigit(r)
	switch {
	case !letter && !digit:
		return false
	case !unicode.IsLetter(last) && !unicode.IsDigit(last):
		return true
	case unicode.IsDigit(last) != digit:
		return true
	}
	return unicode.IsLower(last) && unicode.IsUpper(r)
}

// Query is what was typed. The zero Query fits everything, as Start.
type Query struct {
	words []word
}

type word struct {
	parts   [][]rune // between slashes
	letters []rune   // nil where only the whole word will do
}

// Parse reads what was typed: words between blanks.
func Parse(text string) Query {
	var q Query
	for _, w := range strings.Fields(text) {
		folded := strings.Map(unicode.ToLower, w)
		var next word
		for part := range strings.SplitSeq(folded, "/") {
			next.parts = append(next.parts, []rune(part))
		}
		// Digits are of an account's id, in which any are found in some order.
		if strings.ContainsFunc(w, unicode.IsLetter) {
			next.letters = []rune(folded)
		}
		q.words = append(q.words, next)
	}
	return q
}

// Empty reports that nothing was typed.
func (q *Query) Empty() bool { return len(q.words) == 0 }

// Match tells how well the query fits, and for queries that fit equally well a
// score, of which more is better.
func (q *Query) Match(t *Text) (Grade, int) {
	grade, score := Start, 0
	for i := range q.words {
		g, s := q.words[i].match(t)
		if g == None {
			return None, 0
		}
		grade, score = min(grade, g), score+s
	}
	return grade, score
}

// match is the best fit of a word in any part.
func (w *word) match(t *Text) (best Grade, score int) {
	for i := range t.fields {
		f := &t.fields[i]
		g, s := w.within(f)
		if g == None && best == None && w.letters != nil {
			g, s = f.scattered(w.letters)
		}
		if g > best || g == best && s > score {
			best, score = g, s
		}
	}
	return best, score
}

// within looks for the word; for what is between its slashes one after the other,
// in the text between slashes.
func (w *word) within(f *field) (Grade, int) {
	at, grade := 0, Start
	for i, part := range w.parts {
		if i > 0 {
			for at < len(f.folded) && f.folded[at] != '/' {
				at++
			}
			if at == len(f.folded) {
				return None, 0
			}
			at++
		}
		found, start := f.find(part, at)
		if found < 0 {
			return None, 0
		}
		if !start {
			grade = Inside
		}
		at = found + len(part)
	}
	return grade, -len(f.folded)
}

// find looks for part from a place on, first where a word begins with it.
func (f *field) find(part []rune, from int) (at int, start bool) {
	at = -1
	for i := from; i+len(part) <= len(f.folded); i++ {
		if !same(f.folded[i:i+len(part)], part) {
			continue
		}
		if len(part) == 0 || f.starts[i] || f.folded[i] == part[0] && !unicode.IsLetter(part[0]) && !unicode.IsDigit(part[0]) {
			return i, true
		}
		if at < 0 {
			at = i
		}
	}
	return at, false
}

func same(a, b []rune) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// The scores of letters that are scattered.
const (
	atStart    = 8
	adjacent   = 6
	perSkipped = -1
)

// scattered looks for letters in their order, in the shortest stretch that ends
// where they are first complete.
func (f *field) scattered(letters []rune) (Grade, int) {
	end, next := 0, 0
	for ; end < len(f.folded) && next < len(letters); end++ {
		if f.folded[end] == letters[next] {
			next++
		}
	}
	if next < len(letters) {
		return None, 0
	}
	score, last := 0, -1
	for i := end - 1; next > 0; i-- {
		if f.folded[i] != letters[next-1] {
			score += perSkipped
			continue
		}
		if f.starts[i] {
			score += atStart
		}
		if last == i+1 {
			score += adjacent
		}
		last = i
		next--
	}
	return Letters, score
}
