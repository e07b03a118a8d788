package cfn

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/importer/tree"
	"github.com/stile-aws/stile/policy"
)

// Bounds on what functions may unfold to. The longest policy AWS takes has
// 81,920 characters.
const (
	maxText  = 256 << 10
	maxTotal = 64 << 20
	maxDepth = 100
)

// noValue is what {"Ref": "AWS::NoValue"} gives: it removes its element.
const noValue = "\x00novalue"

func isNoValue(n policy.Node) bool { return n.Kind == policy.NullNode && n.Text == noValue }

// resolver works out the values of one template in one environment.
type resolver struct {
	template   *Template
	env        Env
	made       int // characters that functions made
	identities map[string]*identity
	conditions map[string]*truth
	keys       int // stand-ins given so far
}

// truth is a condition's value; why says that it is not known.
type truth struct {
	holds bool
	why   string
}

func newResolver(t *Template, env Env) *resolver {
	if env.Partition == "" && env.Region != "" {
		env.Partition = catalog.Partition(env.Region)
	}
	return &resolver{template: t, env: env, identities: map[string]*identity{}, conditions: map[string]*truth{}}
}

func isFunction(name string) bool { return name == "Ref" || strings.HasPrefix(name, "Fn::") }

// eval replaces the functions in n by their values.
func (r *resolver) eval(n policy.Node, depth int) policy.Node {
	if depth > maxDepth {
		return tree.Unknown(n.Pos, "it nests too deeply")
	}
	switch n.Kind {
	case policy.ObjectNode:
		return r.object(n, depth)
	case policy.ListNode:
		items := make([]policy.Node, 0, len(n.Items))
		for _, item := range n.Items {
			if v := r.eval(item, depth+1); !isNoValue(v) {
				items = append(items, v)
			}
		}
		n.Items = items
	case policy.StringNode:
		if strings.Contains(n.Text, "{{resolve:") {
			return tree.Unknown(n.Pos, "it is a dynamic reference, read when the stack is deployed")
		}
	case policy.NumberNode:
		n.Kind = policy.StringNode
	case policy.NullNode, policy.BoolNode:
	}
	return n
}

func (r *resolver) object(n policy.Node, depth int) policy.Node {
	if len(n.Members) == 1 && isFunction(n.Members[0].Name) {
		out := r.call(n.Members[0].Name, n.Members[0].Value, depth+1)
		out.Pos = n.Pos
		return r.bounded(out)
	}
	members := make([]policy.Member, 0, len(n.Members))
	for _, m := range n.Members {
		if m.Name == "Fn::Transform" || strings.HasPrefix(m.Name, "Fn::ForEach") {
			return tree.Unknown(n.Pos, m.Name+" is not expanded")
		}
		if m.Value = r.eval(m.Value, depth+1); !isNoValue(m.Value) {
			members = append(members, m)
		}
	}
	n.Members = members
	return n
}

// bounded gives up on a text that functions blew up.
func (r *resolver) bounded(n policy.Node) policy.Node {
	if n.Kind != policy.StringNode {
		return n
	}
	r.made += len(n.Text)
	if len(n.Text) > maxText || r.made > maxTotal {
		return tree.Unknown(n.Pos, "it unfolds to too much text")
	}
	return n
}

// call evaluates a function. Its value's position is the caller's to set.
func (r *resolver) call(name string, arg policy.Node, depth int) policy.Node {
	if name == "Fn::If" {
		return r.choose(arg, depth)
	}
	if name == "Fn::Sub" {
		return r.sub(arg, depth)
	}
	arg = r.eval(arg, depth)
	if why, unknown := tree.Why(arg); unknown {
		return tree.Unknown(arg.Pos, why)
	}
	switch name {
	case "Ref":
		return r.ref(arg.Text)
	case "Fn::GetAtt":
		return r.getAtt(arg)
	case "Fn::Join":
		return join(arg)
	case "Fn::Select":
		return choice(arg)
	case "Fn::Split":
		return split(arg)
	case "Fn::FindInMap":
		return r.findInMap(arg)
	case "Fn::Base64":
		if arg.Kind == policy.StringNode {
			return text(base64.StdEncoding.EncodeToString([]byte(arg.Text)))
		}
	case "Fn::ToJsonString":
		return whole(arg, func() policy.Node { return text(tree.JSON(arg)) })
	case "Fn::Length":
		if arg.Kind == policy.ListNode {
			return text(strconv.Itoa(len(arg.Items)))
		}
	case "Fn::ImportValue":
		return unknown("it is what another stack exports as %s", arg.Text)
	}
	return unknown("%s is known only when the stack is deployed", name)
}

func text(s string) policy.Node { return tree.Text(policy.Pos{}, s) }

func unknown(format string, args ...any) policy.Node {
	return tree.Unknown(policy.Pos{}, fmt.Sprintf(format, args...))
}

// whole gives the value of make unless something in arg is unknown.
func whole(arg policy.Node, value func() policy.Node) policy.Node {
	if why, found := tree.WhyInside(arg); found {
		return unknown("%s", why)
	}
	return value()
}

func join(arg policy.Node) policy.Node {
	if arg.Kind != policy.ListNode || len(arg.Items) != 2 {
		return unknown("Fn::Join takes a separator and a list")
	}
	return whole(arg, func() policy.Node {
		var parts []string
		for _, item := range tree.List(arg.Items[1]) {
			parts = append(parts, item.Text)
		}
		return text(strings.Join(parts, arg.Items[0].Text))
	})
}

func choice(arg policy.Node) policy.Node {
	if arg.Kind != policy.ListNode || len(arg.Items) != 2 {
		return unknown("Fn::Select takes an index and a list")
	}
	if why, ok := tree.Why(arg.Items[1]); ok {
		return unknown("%s", why)
	}
	i, err := strconv.Atoi(arg.Items[0].Text)
	list := tree.List(arg.Items[1])
	if err != nil || i < 0 || i >= len(list) {
		return unknown("Fn::Select has no item %q", arg.Items[0].Text)
	}
	return list[i]
}

func split(arg policy.Node) policy.Node {
	if arg.Kind != policy.ListNode || len(arg.Items) != 2 {
		return unknown("Fn::Split takes a separator and a string")
	}
	return whole(arg, func() policy.Node {
		out := policy.Node{Kind: policy.ListNode}
		for _, part := range strings.Split(arg.Items[1].Text, arg.Items[0].Text) {
			out.Items = append(out.Items, text(part))
		}
		return out
	})
}

func (r *resolver) findInMap(arg policy.Node) policy.Node {
	if arg.Kind != policy.ListNode || len(arg.Items) < 3 {
		return unknown("Fn::FindInMap takes the names of a map and two keys")
	}
	if why, found := tree.WhyInside(policy.Node{Kind: policy.ListNode, Items: arg.Items[:3]}); found {
		return unknown("%s", why)
	}
	found := tree.Member(r.template.root, "Mappings", arg.Items[0].Text, arg.Items[1].Text, arg.Items[2].Text)
	if found.Kind != policy.NullNode {
		return r.eval(found, maxDepth/2)
	}
	if len(arg.Items) == 4 { // AWS::LanguageExtensions: {"DefaultValue": …}
		if value := tree.Member(arg.Items[3], "DefaultValue"); value.Kind != policy.NullNode {
			return value
		}
	}
	return unknown("the map %s has no %s, %s", arg.Items[0].Text, arg.Items[1].Text, arg.Items[2].Text)
}

// choose evaluates Fn::If, and only the branch that counts.
func (r *resolver) choose(arg policy.Node, depth int) policy.Node {
	if arg.Kind != policy.ListNode || len(arg.Items) != 3 {
		return unknown("Fn::If takes a condition and two values")
	}
	holds, why := r.condition(arg.Items[0].Text)
	switch {
	case why != "":
		return unknown("%s", why)
	case holds:
		return r.eval(arg.Items[1], depth)
	}
	return r.eval(arg.Items[2], depth)
}

// sub evaluates Fn::Sub; ${!x} is a literal ${x}.
func (r *resolver) sub(arg policy.Node, depth int) policy.Node {
	var values []policy.Member
	if arg.Kind == policy.ListNode && len(arg.Items) == 2 {
		values = r.eval(arg.Items[1], depth).Members
		arg = arg.Items[0]
	}
	if arg.Kind != policy.StringNode {
		return unknown("Fn::Sub takes a string")
	}
	var b strings.Builder
	for rest := arg.Text; ; {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(before)
		name, behind, closed := strings.Cut(after, "}")
		if !found || !closed {
			b.WriteString(rest[len(before):])
			return r.eval(text(b.String()), depth)
		}
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			b.WriteString("${" + literal + "}")
		} else {
			value := r.named(strings.TrimSpace(name), values)
			if why, ok := tree.WhyInside(value); ok {
				return unknown("%s", why)
			}
			if value.Kind == policy.ListNode {
				return unknown("%s is a list, which Fn::Sub does not take", name)
			}
			b.WriteString(value.Text)
		}
		if b.Len() > maxText {
			return unknown("it unfolds to too much text")
		}
		rest = behind
	}
}

// named is the value of ${name}.
func (r *resolver) named(name string, values []policy.Member) policy.Node {
	for _, m := range values {
		if m.Name == name {
			return m.Value
		}
	}
	if logical, attribute, ok := strings.Cut(name, "."); ok {
		return r.attribute(logical, attribute)
	}
	return r.ref(name)
}

func (r *resolver) getAtt(arg policy.Node) policy.Node {
	name := arg.Text
	if arg.Kind == policy.ListNode && len(arg.Items) == 2 {
		if why, found := tree.WhyInside(arg); found {
			return unknown("%s", why)
		}
		name = arg.Items[0].Text + "." + arg.Items[1].Text
	}
	logical, attribute, ok := strings.Cut(name, ".")
	if !ok {
		return unknown("Fn::GetAtt takes a resource and an attribute")
	}
	return r.attribute(logical, attribute)
}

// ref is the value of {"Ref": name}.
func (r *resolver) ref(name string) policy.Node {
	if value, ok := r.pseudo(name); ok {
		return value
	}
	if p := tree.Member(r.template.root, "Parameters", name); p.Kind == policy.ObjectNode {
		return r.parameter(name, p)
	}
	if tree.Member(r.template.root, "Resources", name).Kind != policy.ObjectNode {
		return unknown("the template has no parameter or resource %s", name)
	}
	return r.identity(name).node("ref", name)
}

func (r *resolver) pseudo(name string) (policy.Node, bool) {
	values := map[string]string{
		"AWS::AccountId": string(r.env.Account), "AWS::Region": r.env.Region, "AWS::Partition": r.env.Partition,
		"AWS::StackName": r.env.StackName, "AWS::URLSuffix": suffixOf(r.env.Partition),
	}
	if name == "AWS::NoValue" {
		return policy.Node{Kind: policy.NullNode, Text: noValue}, true
	}
	if !strings.HasPrefix(name, "AWS::") {
		return policy.Node{}, false
	}
	if value := values[name]; value != "" {
		return text(value), true
	}
	return unknown("%s was not given", name), true
}

func suffixOf(partition string) string {
	switch partition {
	case "":
		return ""
	case "aws-cn":
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

func (r *resolver) parameter(name string, p policy.Node) policy.Node {
	kind := tree.Member(p, "Type").Text
	value, given := r.env.Parameters[name]
	if !given {
		def := tree.Member(p, "Default")
		if def.Kind == policy.NullNode {
			return unknown("parameter %s has no value", name)
		}
		value = def.Text
	}
	if strings.HasPrefix(kind, "AWS::SSM::Parameter::Value") {
		return unknown("parameter %s is read from Parameter Store when the stack is deployed", name)
	}
	if kind == "CommaDelimitedList" || strings.HasPrefix(kind, "List<") {
		out := policy.Node{Kind: policy.ListNode}
		for _, part := range strings.Split(value, ",") {
			out.Items = append(out.Items, text(strings.TrimSpace(part)))
		}
		return out
	}
	return text(value)
}
