// Package cfn reads CloudFormation templates and works out what their resources
// say, as far as template, parameters, account and Region tell.
//
// Start with [Parse], then [Template.Resources]. What cannot be worked out stands
// in the properties as an unknown value with its reason (tree.Unknown): parameters
// without a value, what other stacks export, attributes that AWS decides. The
// package does not expand macros and does not know what properties mean, but for
// those that name a resource.
package cfn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/importer/tree"
	"github.com/stile-aws/stile/policy"
)

// Template is a parsed template. It is not changed after Parse; use it from
// several goroutines as you like.
type Template struct {
	root policy.Node
}

// Env is what a template is deployed with.
type Env struct {
	Account    arn.AccountID     // AWS::AccountId; "" is not known
	Region     string            // AWS::Region; "" is not known
	Partition  string            // AWS::Partition; "" is not known
	StackName  string            // AWS::StackName; "" is not known
	Parameters map[string]string // over the template's defaults; lists are comma-separated
}

// Resource is one resource of a template.
type Resource struct {
	Logical    string // the name in the template
	Type       string // "AWS::IAM::Role"
	Pos        policy.Pos
	Properties policy.Node // with unknown values where they could not be worked out
	// Unknown says why it is not known whether the resource is made at all; "" when
	// it is. Resources whose condition is false are left out.
	Unknown string
	// Name is the name the resource has, or is given by CloudFormation, and ARN its
	// ARN; "" where that is not known, for the reason in Nameless. Standing says
	// that AWS makes up a part of them, in whose place others stand: see
	// [Template.Resources].
	Name, ARN string
	Nameless  string
	Standing  bool
}

// Parse reads a template in JSON or YAML, with the short forms of functions. The
// error has line and column where they are known.
func Parse(src []byte) (*Template, error) {
	root, err := policy.ParseNode(src)
	if err != nil {
		// The reader of policies takes no YAML, and no JSON as deep as some templates.
		if root, err = tree.FromYAML(src); err != nil {
			return nil, err
		}
	}
	resources := tree.Member(root, "Resources")
	if resources.Kind != policy.ObjectNode {
		return nil, fmt.Errorf("line %d, column %d: it has no Resources object", max(1, resources.Pos.Line), max(1, resources.Pos.Column))
	}
	return &Template{root: root}, nil
}

// Transforms names the macros the template asks for, which could change anything.
func (t *Template) Transforms() []string {
	var out []string
	for _, n := range tree.List(tree.Member(t.root, "Transform")) {
		out = append(out, n.Text+tree.Member(n, "Name").Text)
	}
	return out
}

// Resources works out the resources, in the order written.
//
// Names and ids that AWS makes up get stand-ins: the name that CloudFormation
// derives from the stack's name with Xs for its random letters, a key id of zeros
// that counts up, a secret's ARN ending in six question marks. Only a document
// that told resources apart by the random part would be answered wrongly. Without
// the stack's name such a resource stays nameless.
func (t *Template) Resources(env Env) []Resource {
	r := newResolver(t, env)
	var out []Resource
	for _, m := range tree.Member(t.root, "Resources").Members {
		res, made := r.resource(m)
		if made {
			out = append(out, res)
		}
	}
	return out
}

// resource works out one resource; made is false when its condition is false.
func (r *resolver) resource(m policy.Member) (res Resource, made bool) {
	res = Resource{Logical: m.Name, Type: tree.Member(m.Value, "Type").Text, Pos: m.NamePos}
	if strings.HasPrefix(m.Name, "Fn::ForEach") {
		res.Type, res.Unknown = "Fn::ForEach", "loops are not expanded"
		return res, true
	}
	if m.Name == "Fn::Transform" {
		res.Type, res.Unknown = m.Name, "macros are not expanded"
		return res, true
	}
	if condition := tree.Member(m.Value, "Condition"); condition.Kind == policy.StringNode {
		holds, why := r.condition(condition.Text)
		if why == "" && !holds {
			return res, false
		}
		res.Unknown = why
	}
	res.Properties = r.eval(tree.Member(m.Value, "Properties"), 0)
	id := r.identity(m.Name)
	res.Name, res.ARN, res.Nameless, res.Standing = id.name, id.arn, id.why, id.standing
	return res, true
}

// Parameters names the template's parameters, sorted.
func (t *Template) Parameters() []string {
	var out []string
	for _, m := range tree.Member(t.root, "Parameters").Members {
		out = append(out, m.Name)
	}
	slices.Sort(out)
	return out
}
