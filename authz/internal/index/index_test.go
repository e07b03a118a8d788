package index_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/authz/internal/index"
)

// read takes everything out of l.
func read(l index.Lists) []index.Posting {
	var out []index.Posting
	for p, ok := l.Next(); ok; p, ok = l.Next() {
		out = append(out, p)
	}
	return out
}

func TestLookupFindsWhatBeginsTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type pattern struct {
			text  string
			whole bool
		}
		words := rapid.StringOfN(rapid.SampledFrom([]rune("ab:")), 0, 6, -1)
		var patterns []pattern
		var b index.Builder
		for i := range rapid.IntRange(0, 40).Draw(t, "patterns") {
			p := pattern{words.Draw(t, "text"), rapid.Bool().Draw(t, "whole")}
			patterns = append(patterns, p)
			b.Add(p.text, p.whole, index.Posting{Owner: uint32(i / 3), Note: uint32(i)})
		}
		b.Always(index.Posting{Owner: 5, Note: 100})
		text := words.Draw(t, "looked up")
		l, ok := b.Build().Lookup(text)
		if !ok {
			t.Fatalf("too many lists for %q", text)
		}
		want := []uint32{100}
		for i, p := range patterns {
			if p.whole && p.text == text || !p.whole && strings.HasPrefix(text, p.text) {
				want = append(want, uint32(i))
			}
		}
		if l.Total() != len(want) {
			t.Errorf("Total = %d, want %d", l.Total(), len(want))
		}
		var got []uint32
		last := uint32(0)
		for _, p := range read(l) {
			if p.Owner < last {
				t.Errorf("owner %d comes after %d", p.Owner, last)
			}
			last = p.Owner
			got = append(got, p.Note)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("Lookup(%q) = %v, want %v of %v", text, got, want, patterns)
		}
	})
}

func TestNextOwnerGivesEachOwnerOnce(t *testing.T) {
	var names index.Names
	for owner := range uint32(4) {
		names.Always(index.Posting{Owner: owner * 2})
		names.Add(index.Name{Account: "1", Name: "a"}, index.Posting{Owner: owner})
		names.Add(index.Name{Account: "1", Name: "b"}, index.Posting{Owner: owner * 3})
	}
	names.Add(index.Name{Account: "2", Name: "a"}, index.Posting{Owner: 5})
	l := names.Lookup([]index.Name{{Account: "1", Name: "a"}, {Account: "1", Name: "b"}, {Account: "1", Name: "c"}})
	var got []uint32
	for owner, ok := l.NextOwner(); ok; owner, ok = l.NextOwner() {
		got = append(got, owner)
	}
	if want := []uint32{0, 1, 2, 3, 4, 6, 9}; !slices.Equal(got, want) {
		t.Errorf("owners %v, want %v", got, want)
	}
}

func TestLookupGivesUpWhereTooManyPrefixesLieInOneAnother(t *testing.T) {
	var b index.Builder
	for i := range 1000 {
		b.Add(strings.Repeat("a", i), false, index.Posting{Owner: uint32(i)})
	}
	x := b.Build()
	if l, ok := x.Lookup(strings.Repeat("a", 1000)); ok {
		t.Errorf("Lookup = %d postings, want it to give up", l.Total())
	}
	if l, ok := x.Lookup("aaab"); !ok || l.Total() != 4 {
		t.Errorf("Lookup = %d postings, %v, want 4", l.Total(), ok)
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	var b index.Builder
	var names index.Names
	for i := range 1000 {
		b.Add(fmt.Sprintf("s3:get%d", i), i%2 == 0, index.Posting{Owner: uint32(i)})
		names.Add(index.Name{Account: "111111111111", Name: fmt.Sprint(i)}, index.Posting{Owner: uint32(i)})
	}
	x := b.Build()
	if n := testing.AllocsPerRun(10, func() {
		l, _ := x.Lookup("s3:get77")
		l.NextOwner()
		l = names.Lookup([]index.Name{{Account: "111111111111", Name: "77"}})
		l.Next()
	}); n != 0 {
		t.Errorf("Lookup allocates %v times, want 0", n)
	}
}
