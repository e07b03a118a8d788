// Package awsauth checks aws-auth, the ConfigMap by which EKS maps IAM users and
// roles to users and groups of Kubernetes, as the AWS IAM Authenticator reads it.
//
// Start with [Check] for a ConfigMap, or with [Map] for one of its maps whose
// text stands elsewhere. The package asks no cluster.
package awsauth

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/awsconfig"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// Check checks a document that has aws-auth maps, at their top or in its data.
func Check(file string, src []byte, doc *yaml.Node) rule.List {
	lines := tree.NewLines(src)
	a := &authMap{at: func(n *yaml.Node) diag.Position { return diag.At(file, lines.Pos(n.Line, n.Column)) }}
	data := doc
	if inner := child(doc, "data"); inner != nil {
		data = inner
	}
	for _, kind := range Maps() {
		value := child(data, kind)
		switch {
		case value == nil:
		case value.Kind != yaml.ScalarNode:
			a.entries(kind, value)
		default:
			inner := &authMap{at: inside(file, lines, value)}
			inner.text(kind, value.Value, a.at(value))
			a.list = append(a.list, inner.list...)
		}
	}
	return a.list
}

// Maps are the names of what the authenticator reads of the ConfigMap.
func Maps() []string { return []string{"mapRoles", "mapUsers", "mapAccounts"} }

// inside finds places in the text of a scalar. A block scalar begins in the
// line after its indicator, indented as that line is.
func inside(file string, lines *tree.Lines, value *yaml.Node) func(*yaml.Node) diag.Position {
	line, column := value.Line-1, value.Column-1
	if value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		first := lines.Line(value.Line + 1)
		line, column = value.Line, len(first)-len(strings.TrimLeft(first, " "))
	}
	return func(n *yaml.Node) diag.Position { return diag.At(file, lines.Pos(line+n.Line, column+n.Column)) }
}

// Is reports whether a document is an aws-auth map.
func Is(doc *yaml.Node) bool {
	for _, at := range []*yaml.Node{doc, child(doc, "data")} {
		if child(at, "mapRoles") != nil || child(at, "mapUsers") != nil {
			return true
		}
	}
	return false
}

// Map checks one map of a ConfigMap, mapRoles or its like, written as text that
// begins at begin. at finds the places of the text's lines and columns.
func Map(kind, text string, begin diag.Position, at func(line, column int) diag.Position) rule.List {
	a := &authMap{at: func(n *yaml.Node) diag.Position { return at(n.Line, n.Column) }}
	a.text(kind, text, begin)
	return a.list
}

// authMap collects the findings on one text of YAML.
type authMap struct {
	at   func(*yaml.Node) diag.Position
	list rule.List
}

func (a *authMap) add(n *yaml.Node, d rule.Finding) {
	d.Pos = a.at(n)
	a.list.Add(d)
}

// text checks a map written as a string, as ConfigMaps have it; at is where the
// string begins.
func (a *authMap) text(kind, text string, at diag.Position) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		a.list.Add(rule.Finding{Pos: at, Code: rule.MapStructure, Summary: fmt.Sprintf("%s is not YAML: %v", kind, err)})
		return
	}
	if len(doc.Content) > 0 {
		a.entries(kind, doc.Content[0])
	}
}

func (a *authMap) entries(kind string, list *yaml.Node) {
	if list.Kind != yaml.SequenceNode {
		a.add(list, rule.Finding{Code: rule.MapStructure, Summary: kind + " must be a list of entries"})
		return
	}
	for _, entry := range list.Content {
		if kind == "mapAccounts" {
			a.mapped(entry)
		} else {
			a.entry(kind, entry)
		}
	}
}

// mapped checks an account all of whose principals the cluster lets in.
func (a *authMap) mapped(entry *yaml.Node) {
	if entry.Kind == yaml.ScalarNode && (arn.AccountID(entry.Value).Valid() || awsconfig.HasPlaceholder(entry.Value)) {
		return
	}
	a.add(entry, rule.Finding{Code: rule.MapStructure, Summary: fmt.Sprintf("%q is no account id", entry.Value), Hint: "an account id has 12 digits; quote it, or YAML drops leading zeros"})
}

func (a *authMap) entry(kind string, entry *yaml.Node) {
	key := map[string]string{"mapRoles": "rolearn", "mapUsers": "userarn"}[kind]
	if entry.Kind != yaml.MappingNode {
		a.add(entry, rule.Finding{Code: rule.MapStructure, Summary: "an entry of " + kind + " must have " + key + ", username and groups"})
		return
	}
	who, other, named := "somebody", "", false
	var groups *yaml.Node
	for _, name := range mappingKeys(entry) {
		value := child(entry, name.Value)
		switch strings.ToLower(name.Value) { // the authenticator reads rolearn and roleARN
		case key:
			who, named = value.Value, true
			a.arn(kind, value)
		case "groups":
			groups = value
		case "username":
		case "rolearn", "userarn":
			other = name.Value
		default:
			f := rule.Finding{Code: rule.MapStructure, Summary: fmt.Sprintf("%q is no field of the entries of %s, and is not read", name.Value, kind)}
			if near := policy.Closest(name.Value, []string{key, "username", "groups"}); near != "" {
				f.Fix, f.Hint = near, fmt.Sprintf("did you mean %q?", near)
			}
			a.add(name, f)
		}
	}
	if !named {
		f := rule.Finding{Code: rule.MapStructure, Summary: fmt.Sprintf("the entry of %s has no %s, so it matches nobody", kind, key), Hint: "add " + key}
		if other != "" {
			f.Hint = fmt.Sprintf("it has %s: move it to the other map", other)
		}
		a.add(entry, f)
	}
	if groups != nil {
		a.groups(who, groups)
	}
}

func (a *authMap) groups(who string, groups *yaml.Node) {
	if groups.Kind != yaml.SequenceNode {
		if groups.Tag != "!!null" {
			a.add(groups, rule.Finding{Code: rule.MapStructure, Summary: "groups must be a list", Hint: fmt.Sprintf("write [%s]", groups.Value)})
		}
		return
	}
	for _, g := range groups.Content {
		if g.Value == "system:masters" {
			a.add(g, rule.Finding{
				Code:    rule.Masters,
				Summary: fmt.Sprintf("%s becomes cluster administrator beyond any restriction", who),
				Detail:  "system:masters bypasses RBAC altogether: no role binding can narrow it, and removing bindings does not take it away.",
				Hint:    "map to a group of your own and bind that to the roles it needs, or use an access entry with AmazonEKSViewPolicy, AmazonEKSEditPolicy or, for administrators, AmazonEKSClusterAdminPolicy",
			})
		}
	}
}

func (a *authMap) arn(kind string, value *yaml.Node) {
	if awsconfig.HasPlaceholder(value.Value) || strings.ContainsAny(value.Value, "<$") {
		return
	}
	want := map[string]string{"mapRoles": "role", "mapUsers": "user"}[kind]
	parsed, err := arn.Parse(value.Value)
	switch {
	case err != nil || parsed.Type() != want || parsed.Service != "iam" || !parsed.Account.Valid():
		a.add(value, rule.Finding{
			Code:    rule.MapARN,
			Summary: fmt.Sprintf("%q is not the ARN of a %s, so the entry matches nobody", value.Value, want),
			Hint:    fmt.Sprintf("write arn:aws:iam::ACCOUNT:%s/NAME, also for people who come as sessions of a role", want),
		})
	case want == "role" && parsed.Path() != "/":
		// The authenticator compares with the ARN of the session, which has no
		// path (kubernetes-sigs/aws-iam-authenticator#268).
		a.add(value, rule.Finding{
			Code:    rule.MapPath,
			Summary: fmt.Sprintf("the role's path %s keeps the entry from matching", parsed.Path()),
			Hint:    fmt.Sprintf("leave the path out: arn:%s:iam::%s:role/%s", parsed.Partition, parsed.Account, parsed.Name()),
		})
	}
}

// child is the value of a mapping's key, nil when there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func mappingKeys(n *yaml.Node) []*yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var keys []*yaml.Node
	for k := range slices.Chunk(n.Content, 2) {
		keys = append(keys, k[0])
	}
	return keys
}
