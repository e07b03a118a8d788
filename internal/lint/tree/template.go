package tree

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/policy"
)

// Placeholder opens a value that could not be worked out from the file alone,
// such as a reference to another CloudFormation resource; end closes it.
const (
	Placeholder = "⟨"
	end         = "⟩"
)

// Unresolved reports whether text holds such a value, so that nothing can be
// said about its form.
func Unresolved(text string) bool { return strings.Contains(text, Placeholder) }

// OwnAccount stands for ${AWS::AccountId} where the account is not known.
const OwnAccount = "000000000000"

// Name is the name in a value that is nothing but a placeholder, else the value.
func Name(text string) string {
	return strings.TrimSuffix(strings.TrimPrefix(text, Placeholder), end)
}

// AsWritten gives a text that speaks of stand-ins their own words: ${name}.
func AsWritten(text string) string {
	text = strings.ReplaceAll(text, OwnAccount, "${AWS::AccountId}")
	if !Unresolved(text) {
		return text
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, Placeholder)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, end)
		if !closed {
			return b.String() + rest
		}
		b.WriteString("${" + strings.ReplaceAll(name, "..", "::") + "}")
		text = after
	}
}

// Member is the value under a name of an object, the zero Node when there is
// none.
func Member(n policy.Node, name string) policy.Node {
	for _, m := range n.Members {
		if m.Name == name {
			return m.Value
		}
	}
	return policy.Node{}
}

func isFunction(name string) bool { return name == "Ref" || strings.HasPrefix(name, "Fn::") }

// resolver replaces CloudFormation's functions by their values, as far as the
// file and a case tell them.
type resolver struct {
	account arn.AccountID // of ${AWS::AccountId}
	// pseudo is unset where conditions are evaluated: what the Region and the
	// partition are, no template tells.
	pseudo   bool
	mappings policy.Node
	given    map[string]string // values of parameters
	holds    func(condition string) bool
}

// noValue is what {"Ref": "AWS::NoValue"} gives: it removes its element.
const noValue = Placeholder + "AWS..NoValue"

func isNoValue(n policy.Node) bool { return n.Kind == policy.StringNode && n.Text == noValue }

func (c *resolver) node(n policy.Node) policy.Node {
	switch n.Kind {
	case policy.ObjectNode:
		if len(n.Members) == 1 && isFunction(n.Members[0].Name) {
			return c.call(n)
		}
		members := make([]policy.Member, 0, len(n.Members))
		for _, m := range n.Members {
			if m.Value = c.node(m.Value); !isNoValue(m.Value) {
				members = append(members, m)
			}
		}
		n.Members = members
	case policy.ListNode:
		items := make([]policy.Node, 0, len(n.Items))
		for _, item := range n.Items {
			if item = c.node(item); !isNoValue(item) {
				items = append(items, item)
			}
		}
		n.Items = items
	case policy.NumberNode:
		n.Kind = policy.StringNode
	case policy.NullNode, policy.StringNode, policy.BoolNode:
	}
	return n
}

// call evaluates a function. A list or object that comes out of Fn::If keeps
// its own place.
func (c *resolver) call(n policy.Node) policy.Node {
	name, arg := n.Members[0].Name, n.Members[0].Value
	if name == "Fn::If" {
		return c.choose(arg, n.Pos)
	}
	out := c.function(name, c.node(arg))
	out.Pos = n.Pos
	return out
}

func (c *resolver) choose(arg policy.Node, pos policy.Pos) policy.Node {
	if arg.Kind != policy.ListNode || len(arg.Items) < 2 {
		return policy.Node{Kind: policy.StringNode, Text: Placeholder + "If" + end, Pos: pos}
	}
	if c.holds(arg.Items[0].Text) {
		return c.node(arg.Items[1])
	}
	if len(arg.Items) < 3 {
		return policy.Node{Kind: policy.StringNode, Text: noValue, Pos: pos}
	}
	return c.node(arg.Items[2])
}

// function evaluates one of CloudFormation's functions on its argument.
func (c *resolver) function(name string, arg policy.Node) policy.Node {
	out := policy.Node{Kind: policy.StringNode}
	two := arg.Kind == policy.ListNode && len(arg.Items) == 2
	switch {
	case name == "Ref" && arg.Kind == policy.StringNode:
		out.Text = c.reference(arg.Text)
	case name == "Fn::Sub" && arg.Kind == policy.StringNode:
		out.Text = c.substitute(arg.Text, nil)
	case name == "Fn::Sub" && two:
		out.Text = c.substitute(arg.Items[0].Text, arg.Items[1].Members)
	case name == "Fn::Join" && two:
		out.Text = strings.Join(texts(arg.Items[1]), arg.Items[0].Text)
	case name == "Fn::Split" && two && !Unresolved(arg.Items[1].Text):
		return split(arg)
	case name == "Fn::Select" && two && arg.Items[1].Kind == policy.ListNode:
		if i, err := strconv.Atoi(arg.Items[0].Text); err == nil && i >= 0 && i < len(arg.Items[1].Items) {
			return arg.Items[1].Items[i]
		}
		out.Text = Placeholder + "Select" + end
	case name == "Fn::FindInMap" && arg.Kind == policy.ListNode && len(arg.Items) >= 3:
		return c.find(arg)
	case name == "Fn::GetAtt":
		out.Text = Placeholder + strings.Join(append(texts(arg), arg.Text), ".") + end
		out.Text = strings.ReplaceAll(out.Text, "."+end, end)
	default:
		out.Text = Placeholder + strings.TrimPrefix(name, "Fn::") + end
	}
	return out
}

func texts(list policy.Node) []string {
	var out []string
	for _, item := range list.Items {
		out = append(out, item.Text)
	}
	return out
}

func split(arg policy.Node) policy.Node {
	out := policy.Node{Kind: policy.ListNode, Pos: arg.Pos}
	for part := range strings.SplitSeq(arg.Items[1].Text, arg.Items[0].Text) {
		out.Items = append(out.Items, policy.Node{Kind: policy.StringNode, Text: part, Pos: arg.Pos})
	}
	return out
}

// find looks a value up in the template's mappings.
func (c *resolver) find(arg policy.Node) policy.Node {
	found := c.mappings
	for _, key := range arg.Items[:3] {
		found = Member(found, key.Text)
	}
	if found.Kind == policy.StringNode || found.Kind == policy.NumberNode || found.Kind == policy.ListNode {
		return c.node(found)
	}
	return policy.Node{Kind: policy.StringNode, Text: Placeholder + "FindInMap" + end}
}

// reference is the value of ${name} or {"Ref": name}.
func (c *resolver) reference(name string) string {
	if text, ok := c.given[name]; ok {
		return text
	}
	stands := map[string]string{
		"AWS::AccountId": string(cmp.Or(c.account, OwnAccount)), "AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::URLSuffix": "amazonaws.com", "AWS::NoValue": noValue,
	}
	if text, ok := stands[name]; ok && (c.pseudo || name == "AWS::NoValue") {
		return text
	}
	// No colons: the value may become part of an ARN.
	return Placeholder + strings.ReplaceAll(name, ":", ".") + end
}

// substitute evaluates Fn::Sub; ${!x} is a literal ${x}.
func (c *resolver) substitute(text string, values []policy.Member) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			b.WriteString("${" + rest)
			return b.String()
		}
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			b.WriteString("${" + literal + "}")
		} else {
			b.WriteString(c.value(strings.TrimSpace(name), values))
		}
		text = after
	}
}

func (c *resolver) value(name string, values []policy.Member) string {
	for _, m := range values {
		if m.Name == name {
			return m.Value.Text
		}
	}
	return c.reference(name)
}
