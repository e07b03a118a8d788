package tree

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/stile-aws/stile/policy"
)

// Places finds the places of a document that is written as a string inside
// another text.
type Places struct {
	start policy.Pos // of the string
	// JSON: where each byte of the document is in the line of the string, and
	// where each line of the document begins in it.
	columns []int32
	lines   []int32
	// YAML block scalar: the line of the document's first line less one, and
	// the indentation.
	line, indent int
	block        bool
}

// NewPlaces follows the string n of src. Where src does not hold n as it is
// (values were filled in, or YAML has folded it), only the start is known.
func NewPlaces(n policy.Node, src []byte) *Places {
	p := &Places{start: n.Pos}
	if n.Pos.Offset < 0 || n.Pos.Offset >= len(src) {
		return p
	}
	switch rest := src[n.Pos.Offset:]; rest[0] {
	case '"':
		p.quoted(n, rest)
	case '|':
		p.literal(n, rest)
	}
	return p
}

// quoted follows a JSON string, escape by escape.
func (p *Places) quoted(n policy.Node, rest []byte) {
	var decoded string
	if err := json.NewDecoder(bytes.NewReader(rest)).Decode(&decoded); err != nil || decoded != n.Text {
		return
	}
	p.columns = make([]int32, 0, len(n.Text))
	p.lines = []int32{0}
	for i := 1; i < len(rest) && len(p.columns) < len(n.Text); {
		size, width := 1, 1
		if rest[i] == '\\' {
			size, width = escape(rest[i:])
		}
		for range width {
			p.columns = append(p.columns, int32(i))
		}
		i += size
	}
	for i, b := range []byte(n.Text) {
		if b == '\n' {
			p.lines = append(p.lines, int32(i+1))
		}
	}
}

// escape gives the length of a JSON escape and of the text it stands for.
func escape(s []byte) (size, width int) {
	if len(s) < 6 || s[1] != 'u' {
		return 2, 1
	}
	end := 6
	if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' && (s[2] == 'd' || s[2] == 'D') {
		end = 12
	}
	var text string
	if json.Unmarshal([]byte(`"`+string(s[:end])+`"`), &text) != nil {
		return 6, 1
	}
	if end == 12 && utf8.RuneCountInString(text) == 2 { // no pair: the second one stands for itself
		_, width = utf8.DecodeRuneInString(text)
		return 6, width
	}
	return end, len(text)
}

// literal follows a YAML block scalar, whose lines are those of the document.
func (p *Places) literal(n policy.Node, rest []byte) {
	header, body, found := bytes.Cut(rest, []byte("\n"))
	if !found || strings.ContainsAny(string(header), "123456789") {
		return
	}
	for line := range bytes.Lines(body) {
		if text := bytes.TrimLeft(line, " "); len(bytes.TrimSpace(text)) > 0 {
			p.indent = len(line) - len(text)
			break
		}
	}
	p.block, p.line = true, n.Pos.Line
}

// At is the place in the file of a line and column of the document.
func (p *Places) At(line, column int) policy.Pos {
	switch {
	case line < 1 || column < 1:
		return p.start
	case p.block:
		return policy.Pos{Line: p.line + line, Column: p.indent + column}
	case line > len(p.lines):
		return p.start
	}
	i := int(p.lines[line-1]) + column - 1
	if i >= len(p.columns) {
		return p.start
	}
	return policy.Pos{Line: p.start.Line, Column: p.start.Column + int(p.columns[i])}
}
