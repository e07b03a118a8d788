package tree

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/policy"
)

// Bounds on what one text may unfold to: aliases could multiply, or contain
// themselves, without end. CloudFormation takes templates of 1 MB and no aliases
// at all.
const (
	maxNodes = 500_000
	maxDepth = 100
)

// ErrTooLarge is the error for a text that unfolds to more than any template has.
var ErrTooLarge = errors.New("it nests too deeply or unfolds to too much")

// FromYAML reads a YAML document, or a JSON one, as CloudFormation does: numbers
// and dates are strings, and the short forms of functions are the objects they
// stand for, !Ref x being {"Ref": x}.
func FromYAML(src []byte) (policy.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil {
		return policy.Node{}, fmt.Errorf("reading YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return policy.Node{}, nil
	}
	r := yamlReader{left: maxNodes, lines: lineStarts(src)}
	n := r.read(doc.Content[0], 0)
	if r.tooLarge {
		return policy.Node{}, fmt.Errorf("reading YAML: %w", ErrTooLarge)
	}
	return n, nil
}

func lineStarts(src []byte) []int {
	starts := []int{0}
	for i, b := range src {
		if b == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

type yamlReader struct {
	lines    []int
	left     int
	tooLarge bool
}

func (r *yamlReader) read(n *yaml.Node, depth int) policy.Node {
	at := r.pos(n)
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if r.left--; r.left < 0 || depth > maxDepth {
		r.tooLarge = true
		return policy.Node{}
	}
	out := policy.Node{Pos: at}
	switch n.Kind {
	case yaml.ScalarNode:
		out.Kind, out.Text = scalarOf(n)
	case yaml.SequenceNode:
		out.Kind = policy.ListNode
		for _, item := range n.Content {
			out.Items = append(out.Items, r.read(item, depth+1))
		}
	case yaml.MappingNode:
		out.Kind = policy.ObjectNode
		for i := 1; i < len(n.Content); i += 2 {
			name := n.Content[i-1]
			out.Members = append(out.Members, policy.Member{Name: name.Value, NamePos: r.pos(name), Value: r.read(n.Content[i], depth+1)})
		}
	}
	return short(n.Tag, out)
}

func (r *yamlReader) pos(n *yaml.Node) policy.Pos {
	if n.Line < 1 || n.Line > len(r.lines) {
		return policy.Pos{}
	}
	return policy.Pos{Offset: r.lines[n.Line-1] + n.Column - 1, Line: n.Line, Column: n.Column}
}

// scalarOf takes everything but null and booleans for strings: templates write
// 2012-10-17 and account ids without quotes.
func scalarOf(n *yaml.Node) (policy.NodeKind, string) {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return policy.StringNode, n.Value
	}
	switch n.ShortTag() {
	case "!!null":
		return policy.NullNode, ""
	case "!!bool":
		return policy.BoolNode, strings.ToLower(n.Value)
	}
	return policy.StringNode, n.Value
}

// short unfolds a short form: !GetAtt a.b is {"Fn::GetAtt": "a.b"}.
func short(tag string, n policy.Node) policy.Node {
	name, ok := strings.CutPrefix(tag, "!")
	if !ok || strings.HasPrefix(name, "!") || name == "" {
		return n
	}
	if name != "Ref" && name != "Condition" {
		name = "Fn::" + name
	}
	return policy.Node{Kind: policy.ObjectNode, Pos: n.Pos, Members: []policy.Member{{Name: name, NamePos: n.Pos, Value: n}}}
}
