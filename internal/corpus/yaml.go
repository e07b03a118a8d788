package corpus

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/policy"
)

// Limits of one YAML document, so that aliases of aliases end.
const (
	maxDepth = 32
	maxNodes = 2_000_000
)

// fromYAML turns YAML into the tree that package policy decodes, positions
// kept. Its error begins with line and column.
func fromYAML(n *yaml.Node) (policy.Node, error) {
	c := converter{}
	out := c.node(n, 0)
	return out, c.err
}

type converter struct {
	nodes int
	err   error
}

func (c *converter) node(n *yaml.Node, depth int) policy.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	out := policy.Node{Pos: position(n), Text: n.Value}
	if c.nodes++; c.nodes > maxNodes || depth > maxDepth {
		if c.err == nil {
			c.err = fmt.Errorf("%d:%d: more than %d values, or nested more than %d deep", n.Line, n.Column, maxNodes, maxDepth)
		}
		return out
	}
	switch n.Kind {
	case yaml.MappingNode:
		out.Kind, out.Text = policy.ObjectNode, ""
		for i := 0; i+1 < len(n.Content) && c.err == nil; i += 2 {
			name, value := n.Content[i], c.node(n.Content[i+1], depth+1)
			out.Members = append(out.Members, policy.Member{Name: name.Value, NamePos: position(name), Value: value})
		}
	case yaml.SequenceNode:
		out.Kind, out.Text = policy.ListNode, ""
		for i := 0; i < len(n.Content) && c.err == nil; i++ {
			out.Items = append(out.Items, c.node(n.Content[i], depth+1))
		}
	default:
		out.Kind = scalarKind(n)
	}
	return out
}

func position(n *yaml.Node) policy.Pos { return policy.Pos{Line: n.Line, Column: n.Column} }

// scalarKind is the JSON type of a YAML scalar; dates, which YAML knows and
// JSON does not, are strings.
func scalarKind(n *yaml.Node) policy.NodeKind {
	switch n.ShortTag() {
	case "!!int", "!!float":
		return policy.NumberNode
	case "!!bool":
		return policy.BoolNode
	case "!!null":
		return policy.NullNode
	}
	return policy.StringNode
}
