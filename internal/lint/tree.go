package lint

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// readYAML reads the documents of a YAML or JSON text.
func readYAML(file string, src []byte) ([]*yaml.Node, rule.List) {
	var docs []*yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(src))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, one(unreadable(file, err))
		}
		if len(doc.Content) > 0 {
			docs = append(docs, doc.Content[0])
		}
	}
}

// unreadable turns the reader's error, "yaml: line 3: …", into a position.
func unreadable(file string, err error) rule.Finding {
	d := rule.Finding{Pos: diag.Position{File: file}, Code: rule.Unreadable}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		number, message, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			d.Pos.Line, text = n, message
		}
	}
	d.Summary = "reading YAML: " + text
	if strings.Contains(text, "did not find expected alphabetic or numeric character") {
		d.Hint = `quote a star that stands alone: "*"`
	}
	return d
}

// treeReader turns YAML into the tree policies are decoded from.
type treeReader struct {
	lineStart []int // offsets of the lines
	budget    int   // nodes left
	depth     int   // of the node being read
}

// Bounds on what one file may expand to: aliases could multiply, or contain
// themselves, without end.
const (
	maxNodes = 200_000
	maxDepth = 100
)

// fromYAML gives a YAML document as a tree. Tags of CloudFormation's short
// forms become the objects they stand for: !Ref x is {"Ref": x}.
func fromYAML(src []byte, doc *yaml.Node) policy.Node {
	t := &treeReader{budget: maxNodes, lineStart: []int{0}}
	for i, b := range src {
		if b == '\n' {
			t.lineStart = append(t.lineStart, i+1)
		}
	}
	return t.node(doc)
}

func (t *treeReader) pos(n *yaml.Node) policy.Pos {
	p := policy.Pos{Line: n.Line, Column: n.Column}
	if n.Line > 0 && n.Line <= len(t.lineStart) {
		p.Offset = t.lineStart[n.Line-1] + n.Column - 1
	}
	return p
}

func (t *treeReader) node(n *yaml.Node) policy.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	out := policy.Node{Pos: t.pos(n)}
	t.budget--
	t.depth++
	defer func() { t.depth-- }()
	if t.budget < 0 || t.depth > maxDepth {
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

func isFunction(name string) bool { return name == "Ref" || strings.HasPrefix(name, "Fn::") }

// resolver replaces CloudFormation's functions by their values, as far as the
// file tells them.
type resolver struct {
	account arn.AccountID // of ${AWS::AccountId}
}

// ownAccount stands for ${AWS::AccountId} where the account is not known.
const ownAccount = "000000000000"

// noValue is what {"Ref": "AWS::NoValue"} gives: it removes its element.
const noValue = placeholder + "AWS..NoValue"

func isNoValue(n policy.Node) bool { return n.Kind == policy.StringNode && n.Text == noValue }

func (c *resolver) node(n policy.Node) policy.Node {
	switch n.Kind {
	case policy.ObjectNode:
		if len(n.Members) == 1 && isFunction(n.Members[0].Name) {
			out := c.function(n.Members[0].Name, c.node(n.Members[0].Value))
			out.Pos = n.Pos
			return out
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

// function evaluates one of CloudFormation's functions on its argument.
func (c *resolver) function(name string, arg policy.Node) policy.Node {
	out := policy.Node{Kind: policy.StringNode}
	switch {
	case name == "Ref" && arg.Kind == policy.StringNode:
		out.Text = c.reference(arg.Text)
	case name == "Fn::Sub" && arg.Kind == policy.StringNode:
		out.Text = c.substitute(arg.Text, nil)
	case name == "Fn::Sub" && arg.Kind == policy.ListNode && len(arg.Items) == 2:
		out.Text = c.substitute(arg.Items[0].Text, arg.Items[1].Members)
	case name == "Fn::Join" && arg.Kind == policy.ListNode && len(arg.Items) == 2:
		var parts []string
		for _, item := range arg.Items[1].Items {
			parts = append(parts, item.Text)
		}
		out.Text = strings.Join(parts, arg.Items[0].Text)
	case name == "Fn::If" && arg.Kind == policy.ListNode && len(arg.Items) >= 2:
		return arg.Items[1]
	default:
		out.Text = placeholder + strings.TrimPrefix(name, "Fn::") + "⟩"
	}
	return out
}

// reference is the value of ${name} or {"Ref": name}.
func (c *resolver) reference(name string) string {
	switch name {
	case "AWS::AccountId":
		return string(cmp.Or(c.account, ownAccount))
	case "AWS::Partition":
		return "aws"
	case "AWS::Region":
		return "us-east-1"
	case "AWS::URLSuffix":
		return "amazonaws.com"
	case "AWS::NoValue":
		return noValue
	}
	// No colons: the value may become part of an ARN.
	return placeholder + strings.ReplaceAll(name, ":", ".") + "⟩"
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

// asTemplate gives texts that speak of the stand-in account their own words.
func asTemplate(list rule.List) rule.List {
	replace := strings.NewReplacer(ownAccount, "${AWS::AccountId}")
	for i := range list {
		d := &list[i]
		d.Summary, d.Detail, d.Hint = replace.Replace(d.Summary), replace.Replace(d.Detail), replace.Replace(d.Hint)
	}
	return list
}
