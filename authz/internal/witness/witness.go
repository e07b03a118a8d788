// Package witness makes values that stand for all others: for texts, numbers
// and dates that a value is compared with, a few values such that every other
// one compares with all of them as one of these does. Start with [Texts],
// [Numbers], [Times] and [Lists]. It compares nothing itself.
package witness

import (
	"slices"
	"strings"
	"time"
)

// Texts gives the empty text and the given ones, each once, and one that is
// none of them, which is the last.
func Texts(texts []string) []string {
	out := []string{""}
	longest := 0
	for _, s := range texts {
		out = append(out, s)
		longest = max(longest, len(s))
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return append(out, strings.Repeat("~", longest+1))
}

// Spellings gives s and up to n other ways to write it that differ in the case
// of letters only.
func Spellings(s string, n int) []string {
	out := []string{s}
	var letters []int
	for i := range len(s) {
		if c := s[i] | 0x20; c >= 'a' && c <= 'z' && len(letters) < 16 {
			letters = append(letters, i)
		}
	}
	for way := 1; way < 1<<len(letters) && len(out) <= n; way++ {
		b := []byte(s)
		for bit, at := range letters {
			if way>>bit&1 == 1 {
				b[at] ^= 0x20
			}
		}
		out = append(out, string(b))
	}
	return out
}

// Numbers gives the decimals that are given, one between each two of them, one
// below and one above all. Each has the form that package scalar reads.
func Numbers(decimals []string) []string {
	digits, width := 0, 0
	for _, d := range decimals {
		whole, fraction, _ := strings.Cut(d, ".")
		digits, width = max(digits, len(fraction)), max(width, len(whole))
	}
	step := strings.Repeat("0", digits) + "1"
	large := "1" + strings.Repeat("0", width)
	out := []string{"0", "0." + step, "-0." + step, large, "-" + large}
	for _, d := range decimals {
		// Away from zero by less than the given ones are apart. Between numbers
		// of different sign lies zero.
		whole, fraction, _ := strings.Cut(d, ".")
		out = append(out, d, whole+"."+fraction+step[len(fraction):])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Times gives the times that are given, one after each of them and one before
// all, in the form that package scalar reads.
func Times(times []time.Time) []string {
	if len(times) == 0 {
		times = []time.Time{time.Unix(0, 0)}
	}
	earliest := slices.MinFunc(times, time.Time.Compare)
	all := []time.Time{earliest.Add(-time.Nanosecond)}
	for _, t := range times {
		all = append(all, t, t.Add(time.Nanosecond))
	}
	var out []string
	for _, t := range all {
		out = append(out, t.UTC().Format(time.RFC3339Nano))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Lists gives all lists that have more than one of the values, in order and
// each at most once; what a list has twice makes no difference to set
// operators, but a list of one value is no list to other operators, so that
// each value is there twice, too.
func Lists(values []string) [][]string {
	var out [][]string
	for _, v := range values {
		out = append(out, []string{v, v})
	}
	for way := range 1 << len(values) {
		var list []string
		for i, v := range values {
			if way>>i&1 == 1 {
				list = append(list, v)
			}
		}
		if len(list) > 1 {
			out = append(out, list)
		}
	}
	return out
}
