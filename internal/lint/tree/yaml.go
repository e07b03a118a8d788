// Package tree reads files into the trees that policies are decoded from: YAML
// with its positions, and CloudFormation templates with their functions
// evaluated as far as the file tells.
//
// Start with [ReadYAML] and [FromYAML]; [Variants] gives a template once for
// each case its conditions distinguish, [NewPlaces] the places of a document
// written as a string. The package knows nothing of rules.
package tree

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/policy"
)

// Unreadable says where and why a text is not YAML.
type Unreadable struct {
	Line int // 0 where the reader does not tell
	Text string
	Hint string // "" for none
}

func (u *Unreadable) Error() string { return "reading YAML: " + u.Text }

// Plain is a text as editors show it: in UTF-8 without the mark that texts of
// Windows begin with.
func Plain(src []byte) []byte {
	for _, mark := range []struct {
		text  string
		order binary.ByteOrder
	}{{"\xef\xbb\xbf", nil}, {"\xff\xfe", binary.LittleEndian}, {"\xfe\xff", binary.BigEndian}} {
		rest, ok := bytes.CutPrefix(src, []byte(mark.text))
		if !ok {
			continue
		}
		if mark.order == nil {
			return rest
		}
		units := make([]uint16, len(rest)/2)
		for i := range units {
			units[i] = mark.order.Uint16(rest[2*i:])
		}
		return []byte(string(utf16.Decode(units)))
	}
	return src
}

// ReadYAML reads the documents of a YAML or JSON text. What comes before a fault
// is returned with the error, an *[Unreadable].
func ReadYAML(src []byte) ([]*yaml.Node, error) {
	var docs []*yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(src))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, unreadable(err)
		}
		if len(doc.Content) > 0 {
			docs = append(docs, doc.Content[0])
		}
	}
}

// unreadable takes the reader's error, "yaml: line 3: …", apart.
func unreadable(err error) *Unreadable {
	u := &Unreadable{Text: strings.TrimPrefix(err.Error(), "yaml: ")}
	if rest, ok := strings.CutPrefix(u.Text, "line "); ok {
		number, message, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			u.Line, u.Text = n, message
		}
	}
	if strings.Contains(u.Text, "did not find expected alphabetic or numeric character") {
		u.Hint = `quote a star that stands alone: "*"`
	}
	return u
}

// Lines finds lines of a text. Positions in policies count bytes, the YAML
// reader's characters.
type Lines struct {
	src   []byte
	start []int // offsets of the lines
}

// NewLines divides a text into its lines.
func NewLines(src []byte) *Lines {
	l := &Lines{src: src, start: []int{0}}
	for i, b := range src {
		if b == '\n' {
			l.start = append(l.start, i+1)
		}
	}
	return l
}

// Pos is the place of a line and a column counted in characters, both from 1.
func (l *Lines) Pos(line, column int) policy.Pos {
	p := policy.Pos{Line: line, Column: column}
	if line < 1 || line > len(l.start) {
		return p
	}
	at := l.start[line-1]
	for range column - 1 {
		if at >= len(l.src) || l.src[at] == '\n' {
			break
		}
		_, size := utf8.DecodeRune(l.src[at:])
		at += size
	}
	p.Offset, p.Column = at, at-l.start[line-1]+1
	return p
}

// Line is the text of a line, counted from 1; "" where there is none.
func (l *Lines) Line(number int) string {
	if number < 1 || number > len(l.start) {
		return ""
	}
	line, _, _ := bytes.Cut(l.src[l.start[number-1]:], []byte("\n"))
	return string(line)
}

// treeReader turns YAML into the tree policies are decoded from.
type treeReader struct {
	lines  *Lines
	budget int // nodes left
	depth  int // of the node being read
	beyond int // line of the first node that is too deep or one too many
}

// Bounds on what one file may expand to: aliases could multiply, or contain
// themselves, without end.
const (
	maxNodes = 200_000
	maxDepth = 100
)

// FromYAML gives a YAML document as a tree. Tags of CloudFormation's short
// forms become the objects they stand for: !Ref x is {"Ref": x}. The error is an
// *[Unreadable] for a document that is too large or too deep; the tree then lacks
// what is beyond.
func FromYAML(src []byte, doc *yaml.Node) (policy.Node, error) {
	// What is written out counts no node for less than a byte.
	t := &treeReader{budget: maxNodes + len(src), lines: NewLines(src)}
	root := t.node(doc)
	if t.beyond > 0 {
		return root, &Unreadable{Line: t.beyond, Text: "values are nested too deep or repeated by aliases too often, what is in them is not checked"}
	}
	return root, nil
}

func (t *treeReader) pos(n *yaml.Node) policy.Pos { return t.lines.Pos(n.Line, n.Column) }

func (t *treeReader) node(n *yaml.Node) policy.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	out := policy.Node{Pos: t.pos(n)}
	t.budget--
	t.depth++
	defer func() { t.depth-- }()
	if t.budget < 0 || t.depth > maxDepth {
		if t.beyond == 0 {
			t.beyond = n.Line
		}
		return out
	}
	switch n.Kind {
	case yaml.MappingNode:
		out.Kind = policy.ObjectNode
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			out.Members = append(out.Members, policy.Member{Name: key.Value, NamePos: t.pos(key), Value: t.node(n.Content[i+1])})
		}
	case yaml.SequenceNode:
		out.Kind = policy.ListNode
		for _, item := range n.Content {
			out.Items = append(out.Items, t.node(item))
		}
	case yaml.ScalarNode:
		scalar(n, &out)
	}
	if name, ok := strings.CutPrefix(n.Tag, "!"); ok && !strings.HasPrefix(name, "!") {
		return policy.Node{Kind: policy.ObjectNode, Pos: out.Pos, Members: []policy.Member{{Name: functionName(name), NamePos: out.Pos, Value: out}}}
	}
	return out
}

// scalar takes numbers and dates as strings, as CloudFormation does: policies
// have Version: 2012-10-17 and account ids without quotes there.
func scalar(n *yaml.Node, out *policy.Node) {
	out.Text = n.Value
	switch n.ShortTag() {
	case "!!bool":
		out.Kind, out.Text = policy.BoolNode, strings.ToLower(n.Value)
	case "!!null":
		out.Kind, out.Text = policy.NullNode, ""
	default:
		out.Kind = policy.StringNode
	}
}

func functionName(tag string) string {
	if tag == "Ref" || tag == "Condition" {
		return tag
	}
	return "Fn::" + tag
}
