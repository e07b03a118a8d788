// Package tree has what the readers of templates and plans need of
// [policy.Node]: values that are not known, looking up, printing, and reading
// YAML with CloudFormation's short forms.
//
// Start with [Member], [Unknown] and [FromYAML]. The package knows nothing of what
// the trees mean.
package tree

import (
	"encoding/json"
	"strings"

	"github.com/stile-aws/stile/policy"
)

// unknownName is the one member of an object that stands for an unknown value.
// No JSON or YAML reader gives such a name but for a file made to fool us, which
// then has an unknown value.
const unknownName = "\x00unknown"

// Unknown is a value that is not known, for a reason ("known only after apply").
func Unknown(pos policy.Pos, reason string) policy.Node {
	return policy.Node{Kind: policy.ObjectNode, Pos: pos, Members: []policy.Member{{Name: unknownName, NamePos: pos, Value: Text(pos, reason)}}}
}

// Text is a string value.
func Text(pos policy.Pos, s string) policy.Node {
	return policy.Node{Kind: policy.StringNode, Pos: pos, Text: s}
}

// Why is the reason for which n is an unknown value; ok is false when it is known,
// though something inside may not be.
func Why(n policy.Node) (reason string, ok bool) {
	if n.Kind == policy.ObjectNode && len(n.Members) == 1 && n.Members[0].Name == unknownName {
		return n.Members[0].Value.Text, true
	}
	return "", false
}

// WhyInside is the reason of the first unknown value in n, n itself included.
func WhyInside(n policy.Node) (reason string, found bool) {
	if why, ok := Why(n); ok {
		return why, true
	}
	for _, item := range n.Items {
		if why, ok := WhyInside(item); ok {
			return why, true
		}
	}
	for _, m := range n.Members {
		if why, ok := WhyInside(m.Value); ok {
			return why, true
		}
	}
	return "", false
}

// Member is the value under a name of an object; a null, of the object's place,
// when there is none.
func Member(n policy.Node, names ...string) policy.Node {
	for _, name := range names {
		found := policy.Node{Pos: n.Pos}
		if _, unknown := Why(n); unknown {
			return n
		}
		for _, m := range n.Members {
			if m.Name == name {
				found = m.Value
			}
		}
		n = found
	}
	return n
}

// List is the items of a list; of a single value that value, and of null none.
func List(n policy.Node) []policy.Node {
	switch n.Kind {
	case policy.ListNode:
		return n.Items
	case policy.NullNode:
		return nil
	}
	return []policy.Node{n}
}

// JSON prints n without white space.
func JSON(n policy.Node) string {
	var b strings.Builder
	write(&b, n)
	return b.String()
}

func write(b *strings.Builder, n policy.Node) {
	switch n.Kind {
	case policy.StringNode:
		quote(b, n.Text)
	case policy.NumberNode, policy.BoolNode:
		b.WriteString(n.Text)
	case policy.ListNode:
		b.WriteByte('[')
		for i, item := range n.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			write(b, item)
		}
		b.WriteByte(']')
	case policy.ObjectNode:
		b.WriteByte('{')
		for i, m := range n.Members {
			if i > 0 {
				b.WriteByte(',')
			}
			quote(b, m.Name)
			b.WriteByte(':')
			write(b, m.Value)
		}
		b.WriteByte('}')
	default:
		b.WriteString("null")
	}
}

func quote(b *strings.Builder, s string) {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // strings always encode
	b.WriteString(strings.TrimSuffix(out.String(), "\n"))
}
