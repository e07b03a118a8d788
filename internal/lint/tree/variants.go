package tree

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/policy"
)

// Variant is a template as it is in one case.
type Variant struct {
	Root policy.Node
	// Where says in words which case it is: "Env is prod"; "" where there is
	// only one.
	Where string
}

// Variants evaluates a template's functions, once for each case that its
// conditions and mappings distinguish: by the values of parameters, and by what
// no file tells, such as the Region. There is one case at least; where there
// are too many to try all, each parameter is varied by itself.
func Variants(root policy.Node, account arn.AccountID) []Variant {
	t := &template{root: root, account: account, conditions: map[string]policy.Node{}, values: map[string][]string{}}
	for _, m := range Member(root, "Conditions").Members {
		t.conditions[m.Name] = m.Value
	}
	t.choices(root, 0)
	var out []Variant
	for _, c := range t.cases() {
		v := Variant{Root: t.in(c)}
		if len(t.names) > 0 {
			v.Where = c.String()
		}
		out = append(out, v)
	}
	return out
}

// maxCases bounds the cases of a template, maxWork the nodes evaluated in all of
// them, maxValues the values of one parameter, and maxDepthOfConditions how
// conditions may refer to each other.
const (
	maxCases             = 24
	maxWork              = 1_000_000
	maxValues            = 8
	maxDepthOfConditions = 20
)

// template is one with what its cases depend on: parameters by name, and
// comparisons that nothing settles by their text.
type template struct {
	root       policy.Node
	nodes      int // in root
	account    arn.AccountID
	conditions map[string]policy.Node
	names      []string            // in order of appearance
	values     map[string][]string // the values to try
}

// scenario is a value for each name.
type scenario map[string]string

// String names the case in words; names sorted.
func (c scenario) String() string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		value := c[name]
		switch {
		case strings.Contains(name, " = "):
			if value == "" {
				name = strings.Replace(name, " = ", " is not ", 1)
			} else {
				name = strings.Replace(name, " = ", " is ", 1)
			}
			words = append(words, name)
		case Unresolved(value):
			words = append(words, name+" is something else")
		default:
			words = append(words, fmt.Sprintf("%s is %q", name, value))
		}
	}
	return AsWritten(strings.Join(words, ", "))
}

// choices finds what the conditions that are used compare, and the parameters
// that lookups in mappings go by.
func (t *template) choices(n policy.Node, depth int) {
	if depth > maxDepth {
		return
	}
	t.nodes += len(n.Members) + len(n.Items)
	for _, m := range n.Members {
		switch {
		case m.Name == "Fn::If" && len(m.Value.Items) > 0:
			t.condition(m.Value.Items[0].Text, 0)
		case m.Name == "Condition" && m.Value.Kind == policy.StringNode:
			t.condition(m.Value.Text, 0)
		case m.Name == "Fn::FindInMap" && len(m.Value.Items) == 3:
			t.lookup(m.Value)
		}
		if depth > 0 || m.Name != "Conditions" {
			t.choices(m.Value, depth+1)
		}
	}
	for _, item := range n.Items {
		t.choices(item, depth+1)
	}
}

// condition notes what a condition compares.
func (t *template) condition(name string, depth int) {
	if n, ok := t.conditions[name]; ok && depth < maxDepthOfConditions {
		t.test(n, depth)
	}
}

func (t *template) test(n policy.Node, depth int) {
	if len(n.Members) != 1 || depth > maxDepthOfConditions {
		return
	}
	name, arg := n.Members[0].Name, n.Members[0].Value
	switch name {
	case "Condition":
		t.condition(arg.Text, depth+1)
	case "Fn::Not", "Fn::And", "Fn::Or":
		for _, item := range arg.Items {
			t.test(item, depth+1)
		}
	case "Fn::Equals":
		t.comparison(arg)
	}
}

// comparison makes a parameter compared with a constant take that value and
// another; any other comparison is true or false.
func (t *template) comparison(arg policy.Node) {
	if len(arg.Items) != 2 {
		return
	}
	a, b := arg.Items[0], arg.Items[1]
	for _, pair := range [][2]policy.Node{{a, b}, {b, a}} {
		if name := t.parameter(pair[0]); name != "" && pair[1].Kind != policy.ObjectNode {
			t.try(name, pair[1].Text)
			return
		}
	}
	if text := t.compared(arg); Unresolved(text) {
		t.choose(text, "true", "")
	}
}

// compared is the text of a comparison, whose sides no case has settled.
func (t *template) compared(arg policy.Node) string {
	c := t.resolver(nil)
	c.pseudo = false
	return c.node(arg.Items[0]).Text + " = " + c.node(arg.Items[1]).Text
}

// parameter is the name that {"Ref": name} refers to, "" unless it is a
// parameter of the template.
func (t *template) parameter(n policy.Node) string {
	if len(n.Members) != 1 || n.Members[0].Name != "Ref" {
		return ""
	}
	name := n.Members[0].Value.Text
	if Member(Member(t.root, "Parameters"), name).Kind != policy.ObjectNode {
		return ""
	}
	return name
}

// lookup makes the parameters that name a mapping's keys take these.
func (t *template) lookup(arg policy.Node) {
	mapping := Member(Member(t.root, "Mappings"), arg.Items[0].Text)
	for i, key := range arg.Items[1:] {
		name := t.parameter(key)
		if name == "" {
			continue
		}
		keys := mapping.Members
		if i == 1 && len(keys) > 0 {
			keys = keys[0].Value.Members
		}
		for _, m := range keys {
			t.try(name, m.Name)
		}
	}
}

// try adds a value for a parameter: the values allowed, if the template lists
// them, else those tried, the default and something else.
func (t *template) try(name, value string) {
	if _, known := t.values[name]; !known {
		definition := Member(Member(t.root, "Parameters"), name)
		if allowed := texts(Member(definition, "AllowedValues")); len(allowed) > 0 {
			t.choose(name, allowed...)
			return
		}
		if given := Member(definition, "Default").Text; given != "" {
			t.choose(name, given)
		}
		t.choose(name, value, Placeholder+name+end)
		return
	}
	if len(Member(Member(Member(t.root, "Parameters"), name), "AllowedValues").Items) == 0 {
		t.choose(name, value)
	}
}

func (t *template) choose(name string, values ...string) {
	if _, known := t.values[name]; !known {
		t.names = append(t.names, name)
	}
	for _, v := range values {
		if !slices.Contains(t.values[name], v) && len(t.values[name]) < maxValues {
			t.values[name] = append(t.values[name], v)
		}
	}
}

// cases are all combinations, or where these are too many the first one and
// those that differ from it in one name.
func (t *template) cases() []scenario {
	most := min(maxCases, maxWork/max(t.nodes, 1))
	product := 1
	for _, name := range t.names {
		product = min(product*len(t.values[name]), maxCases+1)
	}
	first := scenario{}
	for _, name := range t.names {
		first[name] = t.values[name][0]
	}
	out := []scenario{first}
	if product <= most {
		for _, name := range t.names {
			for _, c := range slices.Clone(out) {
				for _, v := range t.values[name][1:] {
					out = append(out, c.with(name, v))
				}
			}
		}
		return out
	}
	for _, name := range t.names {
		for _, v := range t.values[name][1:] {
			if len(out) < most {
				out = append(out, first.with(name, v))
			}
		}
	}
	return out
}

func (c scenario) with(name, value string) scenario {
	out := maps.Clone(c)
	out[name] = value
	return out
}

func (t *template) resolver(c scenario) *resolver {
	return &resolver{account: t.account, pseudo: true, mappings: Member(t.root, "Mappings"), given: c, holds: func(name string) bool { return t.holds(name, c, 0) }}
}

// holds evaluates a condition in a case. One that the template does not define
// holds.
func (t *template) holds(name string, c scenario, depth int) bool {
	n, ok := t.conditions[name]
	return !ok || depth > maxDepthOfConditions || t.truth(n, c, depth)
}

func (t *template) truth(n policy.Node, c scenario, depth int) bool {
	if len(n.Members) != 1 || depth > maxDepthOfConditions {
		return true
	}
	name, arg := n.Members[0].Name, n.Members[0].Value
	one := func(item policy.Node) bool { return t.truth(item, c, depth+1) }
	switch name {
	case "Condition":
		return t.holds(arg.Text, c, depth+1)
	case "Fn::Not":
		return len(arg.Items) == 1 && !one(arg.Items[0])
	case "Fn::And":
		return !slices.ContainsFunc(arg.Items, func(item policy.Node) bool { return !one(item) })
	case "Fn::Or":
		return slices.ContainsFunc(arg.Items, one)
	case "Fn::Equals":
		if len(arg.Items) != 2 {
			return true
		}
		if chosen, ok := c[t.compared(arg)]; ok {
			return chosen != ""
		}
		r := t.resolver(c)
		return r.node(arg.Items[0]).Text == r.node(arg.Items[1]).Text
	}
	return true
}

// in is the template in a case, without the resources that are not in it.
func (t *template) in(c scenario) policy.Node {
	root := t.root
	root.Members = slices.Clone(root.Members)
	for i := range root.Members {
		if m := &root.Members[i]; m.Name == "Resources" {
			m.Value.Members = slices.DeleteFunc(slices.Clone(m.Value.Members), func(res policy.Member) bool {
				condition := Member(res.Value, "Condition")
				return condition.Kind == policy.StringNode && !t.holds(condition.Text, c, 0)
			})
		}
	}
	return t.resolver(c).node(root)
}
