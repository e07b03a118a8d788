package authz

import (
	"strings"
	"unsafe"

	"github.com/stile-aws/stile/authz/internal/glob"
)

// patternKind lets the common shapes be compared without the general matcher.
type patternKind uint8

const (
	exactPattern  patternKind = iota // no wildcard
	anyPattern                       // "*"
	prefixPattern                    // one wildcard, "*" at the end
	globPattern                      // anything else
)

// A pattern is a string of a policy prepared for comparison.
type pattern struct {
	kind patternKind
	text string // with wildcards encoded; for prefixPattern without the final one
	// parts is set instead of text when the string has policy variables.
	parts []part
}

// A part is a piece of text or, where variable is set, a policy variable.
type part struct {
	text     string
	variable *variable
}

// A variable is a policy variable, ${key} or ${key, 'default'}.
type variable struct {
	key        contextKey
	fallback   string
	hasDefault bool
}

// syntax says what is special in a string of a policy.
type syntax struct {
	wildcards bool // * and ?
	variables bool // ${…}
	escapes   bool // ${*}, ${?}, ${$}
	lower     bool // compare without regard to case
	keyCase   bool // keep the case of variables' names (tests only)
}

// compilePattern prepares s.
func compilePattern(s string, syn syntax) pattern {
	if syn.lower {
		s = strings.ToLower(s)
	}
	var parts []part
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			parts = append(parts, part{text: text.String()})
			text.Reset()
		}
	}
	// What ends variables is looked for once, so that text which only begins
	// them over and over costs linear time.
	ends, defaults := strings.LastIndexByte(s, '}'), strings.LastIndex(s, "'}")
	for i := 0; i < len(s); {
		if v, n := parseVariable(s[i:max(i, ends+1)], syn.keyCase, i < defaults); n > 0 && syn.variables {
			if c, special := escaped(v); special && syn.escapes {
				text.WriteByte(c)
			} else {
				flush()
				parts = append(parts, part{variable: v})
			}
			i += n
			continue
		}
		text.WriteByte(glob.Encode(s[i], syn.wildcards))
		i++
	}
	if parts == nil {
		return classify(text.String())
	}
	flush()
	return pattern{kind: globPattern, parts: parts}
}

// parseVariable reads a policy variable at the start of s and gives its
// length, or 0 when there is none: an unterminated ${ is text, and so is one
// before a name that has another in it, which no key has.
func parseVariable(s string, keyCase, defaults bool) (*variable, int) {
	if !strings.HasPrefix(s, "${") {
		return nil, 0
	}
	end := nameEnd(s)
	if end < 0 {
		return nil, 0
	}
	name := s[2:end]
	if s[end] == '}' {
		return &variable{key: newContextKey(name, keyCase)}, end + 1
	}
	rest := strings.TrimLeft(s[end+1:], " ")
	if !strings.HasPrefix(rest, "'") || !defaults {
		return nil, 0
	}
	body, _, found := strings.Cut(rest[1:], "'}")
	if !found {
		return nil, 0
	}
	length := len(s) - len(rest) + 1 + len(body) + 2
	return &variable{key: newContextKey(name, keyCase), fallback: body, hasDefault: true}, length
}

// nameEnd is where the name of the variable that begins s ends, or -1.
func nameEnd(s string) int {
	for i := 2; i < len(s); i++ {
		switch c := s[i]; {
		case c == ',' || c == '}':
			return i
		case c == '$' && i > 2:
			return -1
		}
	}
	return -1
}

// escaped gives the character that ${*}, ${?} and ${$} stand for.
func escaped(v *variable) (byte, bool) {
	switch v.key.name {
	case "*", "?", "$":
		return v.key.name[0], !v.hasDefault
	}
	return 0, false
}

// classify finds the kind of compiled text without variables.
func classify(text string) pattern {
	i := glob.Index(text)
	switch {
	case i < 0:
		return pattern{kind: exactPattern, text: text}
	case text == "\xFF":
		return pattern{kind: anyPattern, text: text}
	case i == len(text)-1 && text[i] == glob.AnyRun:
		return pattern{kind: prefixPattern, text: text[:i]}
	}
	return pattern{kind: globPattern, text: text}
}

// matches reports whether s is what p, which has no variables, describes.
func (p *pattern) matches(s string) bool {
	switch p.kind {
	case exactPattern:
		return p.text == s
	case anyPattern:
		return true
	case prefixPattern:
		return strings.HasPrefix(s, p.text)
	}
	return glob.Match(p.text, s)
}

// encoded is the compiled text of p in the form glob takes.
func (p *pattern) encoded() string {
	if p.kind == prefixPattern {
		return p.text + "\xFF"
	}
	return p.text
}

// view is b as a string without a copy. The bytes must not change while the
// string is in use; evaluation needs it to compare text it has put together
// in its own buffers without allocating.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
