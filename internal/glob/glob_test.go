package glob_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/internal/glob"
)

// compile encodes a pattern for Match.
func compile(pattern string) string {
	b := []byte(pattern)
	for i := range b {
		b[i] = glob.Encode(b[i], true)
	}
	return string(b)
}

// byDefinition is the meaning of a pattern, spelt out: * is nothing or one
// character and * again.
func byDefinition(pattern, s []rune) bool {
	if len(pattern) == 0 {
		return len(s) == 0
	}
	switch pattern[0] {
	case '*':
		return byDefinition(pattern[1:], s) || len(s) > 0 && byDefinition(pattern, s[1:])
	case '?':
		return len(s) > 0 && byDefinition(pattern[1:], s[1:])
	}
	return len(s) > 0 && s[0] == pattern[0] && byDefinition(pattern[1:], s[1:])
}

func check(t interface {
	Helper()
	Errorf(format string, args ...any)
}, pattern, s string,
) {
	t.Helper()
	want := byDefinition([]rune(pattern), []rune(s))
	if got := glob.Match(compile(pattern), s); got != want {
		t.Errorf("Match(%q, %q) = %v, want %v", pattern, s, got, want)
	}
	if got := glob.Plain(pattern, s); got != want {
		t.Errorf("Plain(%q, %q) = %v, want %v", pattern, s, got, want)
	}
}

func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"", ""}, {"*", ""}, {"*", "a"}, {"a*", "a"}, {"*a", "ba"}, {"?", "ä"}, {"a?c*d", "abcxxd"}, {"**", "x"}, {"*a*b*c", "xaybzc"},
		{"?*", ""}, {"a\n*", "a\nb"}, {".", "x"}, {"[a-z]", "b"}, {"*ab", "aab"}, {"ä*ö", "äxö"}, {"*a?*", "bbbbbbbbbbbac"}, {"*?ö?*", "aäöx"},
		{"*b?b*", "abababababcb"}, {"a*a", "a"}, {"*a?", "ä"}, {"*??", "ä"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(s) {
			glob.Plain(pattern, s) // may say what it likes, but must come back
			glob.Match(pattern, s)
			return
		}
		if len(pattern) > 12 || len(s) > 24 {
			return // the definition takes exponential time
		}
		check(t, pattern, s)
	})
}

// The alphabet is small, so that patterns often fit, and often almost.
func TestMatchIsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		characters := []rune("ab")
		if rapid.IntRange(0, 3).Draw(t, "not ASCII") == 0 {
			characters = []rune("abä")
		}
		pattern := rapid.StringOfN(rapid.SampledFrom(append([]rune("**??"), characters...)), 0, 10, -1).Draw(t, "pattern")
		s := rapid.StringOfN(rapid.SampledFrom(characters), 0, 24, -1).Draw(t, "text")
		check(t, pattern, s)
	})
}

func TestLiteralAsterisksAreNoWildcards(t *testing.T) {
	for _, test := range []struct {
		text, s string
		want    bool
	}{
		{"a*b", "a*b", true},
		{"a*b", "axb", false},
		{"a?\xFF", "a?b", true},
		{"a?\xFF", "axb", false},
	} {
		if got := glob.Match(test.text, test.s); got != test.want {
			t.Errorf("Match(%q, %q) = %v, want %v", test.text, test.s, got, test.want)
		}
	}
	if c := glob.Encode(0xFF, false); c == glob.AnyRun || c == glob.AnyChar {
		t.Errorf("a byte that is no UTF-8 is encoded as a wildcard")
	}
}

// pathological are patterns and texts of about n characters that make naive
// matchers take n² steps or more.
func pathological(n int) map[string][2]string {
	a := strings.Repeat("a", n)
	return map[string][2]string{
		"asterisks between letters":               {strings.Repeat("*a", n/2) + "b", a},
		"asterisks between letters, and more":     {strings.Repeat("*a", n/2) + "*b*", a},
		"asterisks between letters, too many":     {strings.Repeat("*a", n), a[:n/2]},
		"one long run that almost fits":           {"*" + a[:n/2] + "b*", a},
		"a long run that begins otherwise":        {"*b" + a[:n/2] + "*", a},
		"long runs that fit":                      {strings.Repeat("*"+a[:32], n/64) + "*", a},
		"asterisks alone":                         {strings.Repeat("*", n), a},
		"asterisks and question marks":            {strings.Repeat("*?", n/2), a},
		"question marks alone":                    {"*" + strings.Repeat("?", n/2) + "*", a},
		"more question marks than characters":     {strings.Repeat("?", n+1) + "*", a},
		"question marks between letters":          {strings.Repeat("*?a", n/3) + "*b", a},
		"question marks in short runs":            {"*" + strings.Repeat("a?a?a?b*", n/8), a},
		"question marks and letters that are far": {"*?" + a[:60] + "b*", a},
		"characters of several bytes":             {strings.Repeat("*ä?", n/4) + "b", strings.Repeat("ä", n/2)},
	}
}

func TestPathologicalPatternsCostLinearTime(t *testing.T) {
	const n, times = 10_000, 16
	small, large := pathological(n), pathological(times*n)
	for name, p := range small {
		q := large[name]
		_, steps := glob.Steps(compile(p[0]), p[1])
		_, more := glob.Steps(compile(q[0]), q[1])
		if limit := 20 * (len(p[0]) + len(p[1])); steps > limit {
			t.Errorf("%s: %d steps for %d characters, want at most %d", name, steps, n, limit)
		}
		if more > 2*times*steps+1000 {
			t.Errorf("%s: %d steps for %d characters, %d for %d times as many", name, steps, n, more, times)
		}
	}
}

// What is left of len(text)·len(pattern): runs that are long, have question
// marks, and almost fit everywhere.
func TestLongRunsWithQuestionMarksAreBounded(t *testing.T) {
	const n = 4000
	for name, test := range map[string]struct {
		pattern, text string
		share         int // of length times length
	}{
		"ASCII":                       {"*" + strings.Repeat("a?", n/4) + "b*", strings.Repeat("a", n), 8},
		"characters of several bytes": {"*" + strings.Repeat("ä?", n/4) + "b*", strings.Repeat("ä", n), 1},
	} {
		matched, steps := glob.Steps(compile(test.pattern), test.text)
		if limit := len(test.text)*len(test.pattern)/test.share + n; matched || steps > limit {
			t.Errorf("%s: matched %v in %d steps, want at most %d", name, matched, steps, limit)
		}
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	for name, p := range pathological(1000) {
		text := compile(p[0])
		if n := testing.AllocsPerRun(10, func() { glob.Match(text, p[1]) }); n != 0 {
			t.Errorf("%s: Match allocates %v times, want 0", name, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for name, p := range map[string][2]string{
		"action":       {"s3:*object", "s3:getobject"},
		"resource":     {"table/*/index/*", "table/Orders/index/ByDate"},
		"miss":         {"table/*/index/*", "table/Orders/stream/2026-11-22T00:00:00.000"},
		"question":     {"*?a?a*", strings.Repeat("b", 100)},
		"pathological": {strings.Repeat("*a", 2000) + "b", strings.Repeat("a", 100_000)},
	} {
		b.Run(name, func(b *testing.B) {
			text := compile(p[0])
			for b.Loop() {
				glob.Match(text, p[1])
			}
		})
	}
}
