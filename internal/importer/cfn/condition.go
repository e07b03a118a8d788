package cfn

import (
	"strings"

	"github.com/stile-aws/stile/internal/importer/tree"
	"github.com/stile-aws/stile/policy"
)

// condition evaluates one of the template's conditions; why says that its value
// is not known.
func (r *resolver) condition(name string) (holds bool, why string) {
	if known, ok := r.conditions[name]; ok {
		return known.holds, known.why
	}
	r.conditions[name] = &truth{why: "condition " + name + " refers to itself"}
	n := tree.Member(r.template.root, "Conditions", name)
	out := truth{why: "the template has no condition " + name}
	if n.Kind != policy.NullNode {
		out = r.truth(n, 0)
	}
	r.conditions[name] = &out
	return out.holds, out.why
}

// truth evaluates a condition function.
func (r *resolver) truth(n policy.Node, depth int) truth {
	if n.Kind == policy.BoolNode || n.Kind == policy.StringNode && (n.Text == "true" || n.Text == "false") {
		return truth{holds: n.Text == "true"}
	}
	if depth > maxDepth || n.Kind != policy.ObjectNode || len(n.Members) != 1 {
		return truth{why: "a condition is not one function"}
	}
	arg := n.Members[0].Value
	switch n.Members[0].Name {
	case "Condition":
		holds, why := r.condition(arg.Text)
		return truth{holds, why}
	case "Fn::Equals":
		return r.equals(arg, depth)
	case "Fn::Not":
		if items := tree.List(arg); len(items) == 1 {
			t := r.truth(items[0], depth+1)
			return truth{!t.holds && t.why == "", t.why}
		}
	case "Fn::And":
		return r.combine(arg, false, depth)
	case "Fn::Or":
		return r.combine(arg, true, depth)
	}
	return truth{why: "a condition uses " + strings.TrimPrefix(n.Members[0].Name, "\x00") + " in a way that is not known"}
}

func (r *resolver) equals(arg policy.Node, depth int) truth {
	if arg.Kind != policy.ListNode || len(arg.Items) != 2 {
		return truth{why: "Fn::Equals takes two values"}
	}
	a, b := r.eval(arg.Items[0], depth+1), r.eval(arg.Items[1], depth+1)
	for _, v := range []policy.Node{a, b} {
		if why, found := tree.WhyInside(v); found {
			return truth{why: why}
		}
	}
	return truth{holds: comparable(a) == comparable(b)}
}

// comparable is the text by which values are compared: CloudFormation takes the
// boolean true for the string "true".
func comparable(n policy.Node) string {
	switch n.Kind {
	case policy.StringNode, policy.BoolNode, policy.NumberNode:
		return n.Text
	default:
		return tree.JSON(n)
	}
}

// combine evaluates Fn::Or, where a true decides, and Fn::And, where a false does.
func (r *resolver) combine(arg policy.Node, deciding bool, depth int) truth {
	open := truth{holds: !deciding}
	for _, item := range tree.List(arg) {
		t := r.truth(item, depth+1)
		if t.why == "" && t.holds == deciding {
			return truth{holds: deciding}
		}
		if t.why != "" {
			open = truth{why: t.why}
		}
	}
	return open
}
