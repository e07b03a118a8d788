package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// NodeKind is the JSON type of a [Node].
type NodeKind uint8

// The kinds of node. The zero kind is NullNode.
const (
	NullNode NodeKind = iota
	StringNode
	NumberNode
	BoolNode
	ListNode
	ObjectNode
)

// String names the kind as an error message would.
func (k NodeKind) String() string {
	switch k {
	case NullNode:
		return "null"
	case StringNode:
		return "a string"
	case NumberNode:
		return "a number"
	case BoolNode:
		return "a boolean"
	case ListNode:
		return "a list"
	case ObjectNode:
		return "an object"
	}
	return "kind " + strconv.Itoa(int(k))
}

// Node is a JSON value with positions, before it is known to be a policy.
// Readers of other notations that carry policies (YAML, CloudFormation) build
// Nodes of their own and pass them to [Decode].
type Node struct {
	Kind NodeKind
	Pos  Pos
	// Text is the value of a string, the spelling of a number, "true" or "false" of a boolean.
	Text    string
	Items   []Node   // of a list
	Members []Member // of an object, in the order written
}

// Member is one name and value of an object.
type Member struct {
	Name    string
	NamePos Pos
	Value   Node
}

// has reports whether n is an object with a member of that name.
func (n *Node) has(name string) bool {
	return slices.ContainsFunc(n.Members, func(m Member) bool { return m.Name == name })
}

// maxDepth bounds the nesting of a text; the deepest place of a policy is 6.
const maxDepth = 32

// scanner reads JSON (RFC 8259), keeping the place of everything. It stops at
// the first error of syntax; err is set then.
type scanner struct {
	src       string // of which the strings of nodes are parts
	off       int
	line      int
	lineStart int
	err       *Error
}

// scanJSON reads src as one JSON value with nothing after it.
func scanJSON(src string) (Node, *Error) {
	s := &scanner{src: src, line: 1}
	n := s.value(0)
	s.space()
	if s.err == nil && s.off < len(s.src) {
		s.failf(s.pos(), "there is text after the end of the document")
	}
	return n, s.err
}

func (s *scanner) pos() Pos {
	return Pos{Offset: s.off, Line: s.line, Column: s.off - s.lineStart + 1}
}

func (s *scanner) failf(pos Pos, format string, args ...any) {
	if s.err == nil {
		s.err = &Error{Pos: pos, Code: CodeJSON, Msg: fmt.Sprintf(format, args...), aws: awsSyntax}
	}
}

func (s *scanner) space() {
	for s.off < len(s.src) {
		switch s.src[s.off] {
		case '\n':
			s.off++
			s.line++
			s.lineStart = s.off
		case ' ', '\t', '\r':
			s.off++
		default:
			return
		}
	}
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.off >= len(s.src) {
		return 0
	}
	return s.src[s.off]
}

func (s *scanner) value(depth int) Node {
	c := s.peek()
	n := Node{Pos: s.pos()}
	if depth > maxDepth {
		s.failf(n.Pos, "values are nested more than %d deep", maxDepth)
		return n
	}
	switch {
	case c == 0 && s.off >= len(s.src):
		s.failf(n.Pos, "the text ends where a value should be")
	case c == '{':
		s.object(&n, depth)
	case c == '[':
		s.list(&n, depth)
	case c == '"':
		n.Kind, n.Text = StringNode, s.str()
	case c == '-' || c >= '0' && c <= '9':
		n.Kind, n.Text = NumberNode, s.number()
	default:
		s.word(&n)
	}
	return n
}

func (s *scanner) object(n *Node, depth int) {
	n.Kind = ObjectNode
	s.off++
	if s.peek() == '}' {
		s.off++
		return
	}
	for s.err == nil {
		if s.peek() != '"' {
			s.unexpected("a quoted name")
			return
		}
		m := Member{NamePos: s.pos(), Name: s.str()}
		if s.err == nil && s.peek() != ':' {
			s.failf(s.pos(), "%s where the colon after %q should be", s.found(), m.Name)
		}
		if s.err != nil {
			return
		}
		s.off++
		m.Value = s.value(depth + 1)
		n.Members = append(n.Members, m)
		if s.more('}') {
			continue
		}
		return
	}
}

func (s *scanner) list(n *Node, depth int) {
	n.Kind = ListNode
	s.off++
	if s.peek() == ']' {
		s.off++
		return
	}
	n.Items = make([]Node, 0, s.commas()+1)
	for s.err == nil {
		n.Items = append(n.Items, s.value(depth+1))
		if !s.more(']') {
			return
		}
	}
}

// commas counts those before the next bracket: of a list of strings about as many as
// it has. No byte is counted for two lists.
func (s *scanner) commas() int {
	rest := s.src[s.off:]
	if end := strings.IndexAny(rest, "[]{}"); end >= 0 {
		rest = rest[:end]
	}
	return strings.Count(rest, ",")
}

// more reads what stands after an element: a comma (true) or the closing byte.
func (s *scanner) more(closing byte) bool {
	if s.err != nil {
		return false
	}
	c := s.peek()
	switch c {
	case ',':
		comma := s.pos()
		s.off++
		if s.peek() == closing {
			s.failf(comma, "a comma before %q", string(closing))
			return false
		}
		return true
	case closing:
		s.off++
		return false
	}
	s.unexpected("a comma or " + strconv.Quote(string(closing)))
	return false
}

// unexpected reports the next byte where something else should be.
func (s *scanner) unexpected(wanted string) {
	s.failf(s.pos(), "%s where %s should be", s.found(), wanted)
	if s.err.Hint == "" {
		s.err.Hint = s.guess()
	}
}

// guess says what the text at hand may be instead of JSON, "" when it is
// nothing that people often have.
func (s *scanner) guess() string {
	rest := s.src[s.off:]
	for _, g := range [...]struct{ begins, hint string }{
		{"%7B", "the text is URL-encoded, as IAM returns documents; decode it"},
		{"\ufeff", "remove the byte order mark"},
		{"//", "JSON has no comments"},
		{"/*", "JSON has no comments"},
		{"#", "JSON has no comments"},
		{"'", "JSON has double quotes only"},
		{"“", "JSON has straight quotes only"},
		{"True", "write true"},
		{"False", "write false"},
		{"None", "write null"},
	} {
		if strings.HasPrefix(rest, g.begins) {
			return g.hint
		}
	}
	return ""
}

// found describes the next byte for an error message.
func (s *scanner) found() string {
	if s.off >= len(s.src) {
		return "the end of the text"
	}
	r, _ := utf8.DecodeRuneInString(s.src[s.off:])
	return strconv.QuoteRune(r)
}

func (s *scanner) word(n *Node) {
	for _, w := range [...]struct {
		text string
		kind NodeKind
	}{{"true", BoolNode}, {"false", BoolNode}, {"null", NullNode}} {
		if strings.HasPrefix(s.src[s.off:], w.text) {
			s.off += len(w.text)
			n.Kind = w.kind
			if w.kind == BoolNode {
				n.Text = w.text
			}
			return
		}
	}
	s.unexpected("a value")
}

func (s *scanner) number() string {
	start := s.off
	if s.src[s.off] == '-' {
		s.off++
	}
	ok := true
	if s.off < len(s.src) && s.src[s.off] == '0' {
		s.off++
	} else {
		ok = s.digits()
	}
	if s.off < len(s.src) && s.src[s.off] == '.' {
		s.off++
		ok = s.digits() && ok
	}
	if s.off < len(s.src) && (s.src[s.off] == 'e' || s.src[s.off] == 'E') {
		s.off++
		if s.off < len(s.src) && (s.src[s.off] == '+' || s.src[s.off] == '-') {
			s.off++
		}
		ok = s.digits() && ok
	}
	if !ok {
		pos := s.pos()
		pos.Column -= s.off - start
		pos.Offset = start
		s.failf(pos, "malformed number %q", s.src[start:s.off])
	}
	return s.src[start:s.off]
}

func (s *scanner) digits() bool {
	start := s.off
	for s.off < len(s.src) && s.src[s.off] >= '0' && s.src[s.off] <= '9' {
		s.off++
	}
	return s.off > start
}

// str reads a quoted string; s.off is at the opening quote.
func (s *scanner) str() string {
	open := s.pos()
	s.off++
	start := s.off
	for s.off < len(s.src) && s.src[s.off] >= ' ' && s.src[s.off] != '"' && s.src[s.off] != '\\' && s.src[s.off] < utf8.RuneSelf {
		s.off++
	}
	if s.off < len(s.src) && s.src[s.off] == '"' { // plain ASCII: the usual case
		text := s.src[start:s.off]
		s.off++
		return text
	}
	buf := append([]byte(nil), s.src[start:s.off]...)
	for s.off < len(s.src) {
		switch c := s.src[s.off]; {
		case c == '"':
			s.off++
			return string(buf)
		case c == '\\':
			buf = s.escape(buf)
		case c < ' ':
			s.failf(s.pos(), "a control character in a string")
		default:
			r, size := utf8.DecodeRuneInString(s.src[s.off:])
			if r == utf8.RuneError && size == 1 {
				s.failf(s.pos(), "text that is not UTF-8")
			}
			buf = append(buf, s.src[s.off:s.off+size]...)
			s.off += size
		}
		if s.err != nil {
			return ""
		}
	}
	s.failf(open, "a string that does not end")
	return ""
}

// escape reads one escape sequence; s.off is at the backslash.
func (s *scanner) escape(buf []byte) []byte {
	pos := s.pos()
	if s.off+1 >= len(s.src) {
		s.failf(pos, "a string that does not end")
		return buf
	}
	c := s.src[s.off+1]
	s.off += 2
	switch c {
	case '"', '\\', '/':
		return append(buf, c)
	case 'b':
		return append(buf, '\b')
	case 'f':
		return append(buf, '\f')
	case 'n':
		return append(buf, '\n')
	case 'r':
		return append(buf, '\r')
	case 't':
		return append(buf, '\t')
	case 'u':
		return s.unicode(buf, pos)
	}
	if c < ' ' || c >= utf8.RuneSelf {
		s.failf(pos, "a backslash where no escape follows")
	}
	s.failf(pos, "unknown escape \\%c", c)
	return buf
}

// unicode reads the four digits of a \u escape, and the second escape of a
// surrogate pair.
func (s *scanner) unicode(buf []byte, pos Pos) []byte {
	r, ok := s.hex4()
	if ok && utf16.IsSurrogate(r) {
		var low rune
		if ok = s.off+1 < len(s.src) && s.src[s.off] == '\\' && s.src[s.off+1] == 'u'; ok {
			s.off += 2
			low, ok = s.hex4()
			r = utf16.DecodeRune(r, low)
			ok = ok && r != utf8.RuneError
		}
	}
	if !ok {
		s.failf(pos, "malformed \\u escape")
		return buf
	}
	return utf8.AppendRune(buf, r)
}

func (s *scanner) hex4() (rune, bool) {
	if s.off+4 > len(s.src) {
		return 0, false
	}
	v, err := strconv.ParseUint(s.src[s.off:s.off+4], 16, 16)
	if err != nil {
		return 0, false
	}
	s.off += 4
	return rune(v), true
}
