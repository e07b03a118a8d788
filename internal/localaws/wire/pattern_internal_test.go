package wire

import "testing"

// An internal test, because a pattern that does not compile would otherwise be
// no constraint, which cannot be seen from outside.
func TestEveryPatternCompiles(t *testing.T) {
	for _, service := range Services() {
		m, err := Load(service)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[*shape]bool{}
		for _, name := range m.Operations() {
			op := m.operations[name]
			for _, s := range []*shape{op.input, op.output} {
				checkPatterns(t, service, s, seen)
			}
		}
	}
}

func checkPatterns(t *testing.T, service string, s *shape, seen map[*shape]bool) {
	t.Helper()
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	if s.pattern != nil {
		if _, err := compilePattern(s.pattern.source); err != nil {
			t.Errorf("%s %s: %v", service, s.name, err)
		}
	}
	for _, mb := range append([]*member{s.element, s.key, s.value}, s.members...) {
		if mb != nil {
			checkPatterns(t, service, mb.shape, seen)
		}
	}
}

func TestJavaPatternsKeepTheirMeaning(t *testing.T) {
	const (
		alias    = `^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`
		sessions = `[\u0009\u000A\u000D\u0020-\u00FF]+`
		arns     = `[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+`
		roleARN  = `[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*`
		tags     = `[\p{L}\p{Z}\p{N}_.:/=+\-@]+`
	)
	cases := []struct {
		pattern, text string
		want          bool
	}{
		{alias, "acme-prod", true},
		{alias, "acme--prod", false},
		{alias, "-acme", false},
		{sessions, "{\"Version\":\t\"2012-10-17\"}\r\n", true},
		{sessions, "café", true},
		{sessions, "漢", false},
		{sessions, "a\x00b", false},
		{arns, "arn:aws:iam::111111111111:role/漢", true},
		{arns, "role/🙂", false}, // Java reads \u10000 as \u1000 and a 0
		{roleARN, "🙂", true},
		{tags, "Kostenstelle Öl", true},
		{tags, "a;b", false},
		{`[\w+=,.@-]{1,64}`, "a\n", false},
		{`.{1,2048}`, "x", true},
		{`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`, "/a/b/", true},
		{`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`, "/a", false},
		{`\p{Print}+`, "a b", true},
		{`\p{Print}+`, "a\tb", false},
	}
	for _, c := range cases {
		match, err := compilePattern(c.pattern)
		if err != nil {
			t.Errorf("compilePattern(%s): %v", c.pattern, err)
			continue
		}
		if got := match(c.text); got != c.want {
			t.Errorf("%s matches %q: %v, want %v", c.pattern, c.text, got, c.want)
		}
	}
}
