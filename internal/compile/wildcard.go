package compile

import "strings"

// Within reports whether every text that inner describes is one that outer
// describes too. Both may hold IAM's wildcards, * for any run of characters
// and ? for one. The answer true is certain; in rare cases of several
// wildcards side by side with text between them false means "not seen".
func Within(inner, outer string) bool {
	return within(orderWildcards(inner), orderWildcards(outer))
}

// WithinFold is Within without regard to letter case, as IAM compares actions.
func WithinFold(inner, outer string) bool {
	return Within(strings.ToLower(inner), strings.ToLower(outer))
}

// within matches outer against inner, where a * of inner stands for a
// character that only a * of outer can take.
func within(inner, outer string) bool {
	i, o := 0, 0
	retryI, retryO := -1, -1
	for i < len(inner) {
		switch {
		case o < len(outer) && outer[o] == '*':
			retryI, retryO = i, o+1
			o++
		case o < len(outer) && inner[i] != '*' && (outer[o] == '?' || outer[o] == inner[i]):
			i++
			o++
		case retryO >= 0:
			retryI++
			i, o = retryI, retryO
		default:
			return false
		}
	}
	return strings.Trim(outer[o:], "*") == ""
}

// orderWildcards writes each run of wildcards in one way: every ? first, then
// one *, because "*?" and "?*" describe the same.
func orderWildcards(s string) string {
	if !strings.ContainsAny(s, "*") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && (s[j] == '*' || s[j] == '?') {
			j++
		}
		if j == i {
			b.WriteByte(s[i])
			i++
			continue
		}
		run := s[i:j]
		b.WriteString(strings.Repeat("?", strings.Count(run, "?")))
		if strings.Contains(run, "*") {
			b.WriteByte('*')
		}
		i = j
	}
	return b.String()
}
