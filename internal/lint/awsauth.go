package lint

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/awsconfig"
	"github.com/stile-aws/stile/internal/lint/rule"
)

// AWSAuth checks the YAML of an aws-auth ConfigMap, or of its data alone.
func AWSAuth(file string, src []byte) rule.List {
	root, list := readYAML(file, src)
	for _, doc := range root {
		list = append(list, awsAuth(file, src, doc)...)
	}
	list.Sort()
	return list
}

// awsAuth checks one document that has mapRoles or mapUsers.
func awsAuth(file string, src []byte, doc *yaml.Node) rule.List {
	a := &authMap{file: file, lines: strings.Split(string(src), "\n")}
	data := doc
	if inner := child(doc, "data"); inner != nil {
		data = inner
	}
	for _, kind := range []string{"mapRoles", "mapUsers"} {
		if value := child(data, kind); value != nil {
			a.entries(kind, value)
		}
	}
	return a.list
}

// isAWSAuth reports whether a document is an aws-auth map.
func isAWSAuth(doc *yaml.Node) bool {
	for _, at := range []*yaml.Node{doc, child(doc, "data")} {
		if child(at, "mapRoles") != nil || child(at, "mapUsers") != nil {
			return true
		}
	}
	return false
}

type authMap struct {
	file  string
	lines []string
	list  rule.List
	// The entries are YAML inside a YAML string: where that text begins.
	line, column int
}

func (a *authMap) add(n *yaml.Node, d rule.Finding) {
	d.Pos = diag.Position{File: a.file, Line: n.Line + a.line, Column: n.Column + a.column}
	a.list.Add(d)
}

func (a *authMap) entries(kind string, value *yaml.Node) {
	a.line, a.column = 0, 0
	list := value
	if value.Kind == yaml.ScalarNode {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(value.Value), &doc); err != nil {
			a.add(value, rule.Finding{Code: rule.MapStructure, Summary: fmt.Sprintf("%s is not YAML: %v", kind, err)})
			return
		}
		if len(doc.Content) == 0 {
			return
		}
		list = doc.Content[0]
		a.inside(value)
	}
	if list.Kind != yaml.SequenceNode {
		a.add(list, rule.Finding{Code: rule.MapStructure, Summary: kind + " must be a list of entries"})
		return
	}
	for _, entry := range list.Content {
		a.entry(kind, entry)
	}
}

// inside sets where the text of a scalar begins. A block scalar begins in the
// line after its indicator, indented as that line is.
func (a *authMap) inside(value *yaml.Node) {
	a.line = value.Line - 1
	a.column = value.Column - 1
	if value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		return
	}
	a.line = value.Line
	if value.Line < len(a.lines) {
		text := a.lines[value.Line]
		a.column = len(text) - len(strings.TrimLeft(text, " "))
	}
}

func (a *authMap) entry(kind string, entry *yaml.Node) {
	key := map[string]string{"mapRoles": "rolearn", "mapUsers": "userarn"}[kind]
	who := "somebody"
	for _, name := range mappingKeys(entry) {
		if strings.EqualFold(name.Value, key) { // the authenticator reads rolearn and roleARN
			value := child(entry, name.Value)
			who = value.Value
			a.arn(kind, value)
		}
	}
	groups := child(entry, "groups")
	if groups == nil {
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
