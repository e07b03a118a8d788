package authz

import (
	"strings"
	"unicode/utf8"
	"unsafe"
)

// In compiled text the two wildcards are bytes that UTF-8 never contains, so
// that an asterisk which must be taken literally can stand as itself.
const (
	anyRun  = 0xFF // *: any run of characters, none included
	anyChar = 0xFE // ?: exactly one character
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
	for i := 0; i < len(s); {
		if v, n := parseVariable(s[i:], syn.keyCase); n > 0 && syn.variables {
			if c, special := escaped(v); special && syn.escapes {
				text.WriteByte(c)
			} else {
				flush()
				parts = append(parts, part{variable: v})
			}
			i += n
			continue
		}
		text.WriteByte(encode(s[i], syn.wildcards))
		i++
	}
	if parts == nil {
		return classify(text.String())
	}
	flush()
	return pattern{kind: globPattern, parts: parts}
}

// encode gives the byte that stands for c in compiled text. Bytes that are
// not UTF-8 are replaced so that they can't pose as wildcards.
func encode(c byte, wildcards bool) byte {
	switch {
	case c == '*' && wildcards:
		return anyRun
	case c == '?' && wildcards:
		return anyChar
	case c == anyRun || c == anyChar:
		return 0xC0 // no UTF-8 text has it either, and it is no wildcard
	}
	return c
}

// parseVariable reads a policy variable at the start of s and gives its
// length, or 0 when there is none: an unterminated ${ is text.
func parseVariable(s string, keyCase bool) (*variable, int) {
	if !strings.HasPrefix(s, "${") {
		return nil, 0
	}
	end := strings.IndexAny(s, ",}")
	if end < 0 {
		return nil, 0
	}
	name := s[2:end]
	if s[end] == '}' {
		return &variable{key: newContextKey(name, keyCase)}, end + 1
	}
	rest := strings.TrimLeft(s[end+1:], " ")
	if !strings.HasPrefix(rest, "'") {
		return nil, 0
	}
	body, _, found := strings.Cut(rest[1:], "'}")
	if !found {
		return nil, 0
	}
	length := len(s) - len(rest) + 1 + len(body) + 2
	return &variable{key: newContextKey(name, keyCase), fallback: body, hasDefault: true}, length
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
	i := indexWildcard(text)
	switch {
	case i < 0:
		return pattern{kind: exactPattern, text: text}
	case text == "\xFF":
		return pattern{kind: anyPattern, text: text}
	case i == len(text)-1 && text[i] == anyRun:
		return pattern{kind: prefixPattern, text: text[:i]}
	}
	return pattern{kind: globPattern, text: text}
}

// indexWildcard finds the first wildcard of compiled text.
func indexWildcard(text string) int {
	for i := range len(text) {
		if text[i] == anyRun || text[i] == anyChar {
			return i
		}
	}
	return -1
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
	return glob(p.text, s)
}

// glob compares s with compiled text. Only the last run of * seen is ever
// tried again, so that the time is at most len(text)·len(s).
func glob(text, s string) bool {
	p, i := 0, 0
	retryP, retryI := -1, 0
	for i < len(s) {
		switch {
		case p < len(text) && text[p] == anyRun:
			p++
			retryP, retryI = p, i
			continue
		case p < len(text) && text[p] == anyChar:
			p++
			i += charLen(s[i:])
			continue
		case p < len(text) && text[p] == s[i]:
			p++
			i++
			continue
		}
		if retryP < 0 {
			return false
		}
		retryI += charLen(s[retryI:])
		p, i = retryP, retryI
	}
	for p < len(text) && text[p] == anyRun {
		p++
	}
	return p == len(text)
}

func charLen(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// view is b as a string without a copy. The bytes must not change while the
// string is in use; evaluation needs it to compare text it has put together
// in its own buffers without allocating.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
