package condition

import (
	"strings"
	"unsafe"

	"github.com/stile-aws/stile/internal/glob"
)

// patternKind lets the common shapes be compared without the general matcher.
type patternKind uint8

const (
	exactPattern  patternKind = iota // no wildcard
	anyPattern                       // "*"
	prefixPattern                    // one wildcard, "*" at the end
	globPattern                      // anything else
)

// A Pattern is a string of a policy prepared for comparison.
type Pattern struct {
	kind patternKind
	text string // with wildcards encoded; for prefixPattern without the final one
	// parts is set instead of text when the string has policy variables.
	parts []part
}

// A part is a piece of text or, where variable is set, a policy variable.
type part struct {
	text     string
	variable *Variable
}

// A Variable is a policy variable, ${key} or ${key, 'default'}.
type Variable struct {
	Key        Key
	Written    string // the key as the policy spells it
	fallback   string
	hasDefault bool
}

// Syntax says what is special in a string of a policy.
type Syntax struct {
	Wildcards bool // * and ?
	Variables bool // ${…}
	Escapes   bool // ${*}, ${?}, ${$}
	Lower     bool // compare without regard to case
	KeyCase   bool // keep the case of variables' names (tests only)
}

// Compile prepares s.
func Compile(s string, syn Syntax) Pattern {
	if syn.Lower {
		s = strings.ToLower(s)
	}
	if strings.IndexByte(s, '$') < 0 && strings.IndexByte(s, '*') < 0 && strings.IndexByte(s, '?') < 0 && glob.Index(s) < 0 {
		return Pattern{text: s}
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
		if v, n := parseVariable(s[i:max(i, ends+1)], syn.KeyCase, i < defaults); n > 0 && syn.Variables {
			if c, special := escaped(v); special && syn.Escapes {
				text.WriteByte(c)
			} else {
				flush()
				parts = append(parts, part{variable: v})
			}
			i += n
			continue
		}
		text.WriteByte(glob.Encode(s[i], syn.Wildcards))
		i++
	}
	if parts == nil {
		return classify(text.String())
	}
	flush()
	return Pattern{kind: globPattern, parts: parts}
}

// parseVariable reads a policy variable at the start of s and gives its
// length, or 0 when there is none: an unterminated ${ is text, and so is one
// before a name that has another in it, which no key has.
func parseVariable(s string, keyCase, defaults bool) (*Variable, int) {
	if !strings.HasPrefix(s, "${") {
		return nil, 0
	}
	end := nameEnd(s)
	if end < 0 {
		return nil, 0
	}
	name := s[2:end]
	if s[end] == '}' {
		return &Variable{Key: NewKey(name, keyCase), Written: name}, end + 1
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
	return &Variable{Key: NewKey(name, keyCase), Written: name, fallback: body, hasDefault: true}, length
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
func escaped(v *Variable) (byte, bool) {
	switch v.Key.Name {
	case "*", "?", "$":
		return v.Key.Name[0], !v.hasDefault
	}
	return 0, false
}

// classify finds the kind of compiled text without variables.
func classify(text string) Pattern {
	i := glob.Index(text)
	switch {
	case i < 0:
		return Pattern{kind: exactPattern, text: text}
	case text == "\xFF":
		return Pattern{kind: anyPattern, text: text}
	case i == len(text)-1 && text[i] == glob.AnyRun:
		return Pattern{kind: prefixPattern, text: text[:i]}
	}
	return Pattern{kind: globPattern, text: text}
}

// isLiteral reports whether p has neither wildcards nor variables.
func (p *Pattern) isLiteral() bool { return p.parts == nil && glob.Index(p.Encoded()) < 0 }

// literal adds the text that p begins with.
func (p *Pattern) literal(b *strings.Builder) {
	text := p.Encoded()
	if p.parts != nil && p.parts[0].variable == nil {
		text = p.parts[0].text
	}
	if i := glob.Index(text); i >= 0 {
		text = text[:i]
	}
	b.WriteString(text)
}

// Matches reports whether s is what p, which has no variables, describes.
func (p *Pattern) Matches(s string) bool {
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

// Encoded is the compiled text of p in the form glob takes.
func (p *Pattern) Encoded() string {
	if p.kind == prefixPattern {
		return p.text + "\xFF"
	}
	return p.text
}

// View is b as a string without a copy. The bytes must not change while the
// string is in use; evaluation needs it to compare text it has put together
// in its own buffers without allocating.
func View(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Variables calls yield for each policy variable of p.
func (p *Pattern) Variables(yield func(*Variable)) {
	for i := range p.parts {
		if v := p.parts[i].variable; v != nil {
			yield(v)
		}
	}
}

// Around gives the text before and after the only variable of p; ok is false
// when it has none, or several, or a wildcard.
func (p *Pattern) Around() (before, after string, ok bool) {
	variables := 0
	for i := range p.parts {
		switch part := &p.parts[i]; {
		case part.variable != nil:
			variables++
		case variables == 0:
			before += part.text
		default:
			after += part.text
		}
	}
	return before, after, variables == 1 && glob.Index(before+after) < 0
}

// Exact gives the one text that p, which has no variables, matches.
func (p *Pattern) Exact() (text string, ok bool) {
	return p.text, p.parts == nil && (p.kind == exactPattern || p.kind == globPattern) && glob.Index(p.text) < 0
}

// Varies reports whether p has policy variables.
func (p *Pattern) Varies() bool { return p.parts != nil }

// Replace puts value for the policy variables of key, a name in lower case, in
// text as a policy has it.
func Replace(text, key, value string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		text = text[i:]
		v, n := parseVariable(text, false, true)
		switch {
		case n == 0:
			n = len("${")
			b.WriteString(text[:n])
		case v.Key.Name == key:
			b.WriteString(value)
		default:
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
}
