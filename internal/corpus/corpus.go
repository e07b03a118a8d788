// Package corpus reads decision cases: a request, the policies around it and
// what IAM answers. The cases in testdata/corpus are the evaluator's
// specification, and `stile policy test` runs a user's own.
//
// Start with [Load] or [LoadDir], then [Case.Build] to get what authz takes.
// The package does not evaluate anything.
//
// A file is YAML, or JSON Lines with one case a line. In YAML, cases that rest
// on the same rule stand in a group which gives rule, sentence and page once:
//
//	rules:
//	  - rule: same-account-union
//	    aws: "If an action is allowed by …"
//	    page: IAM User Guide, Policy evaluation logic
//	    cases:
//	      - id: identity-alone
//	        principal: arn:aws:iam::111111111111:user/ann
//	        …
//	        expected: Allowed
//	      - id: neither
//	        like: identity-alone
//	        identityPolicies: []
//	        expected: ImplicitDeny
//
// A case with `like` is the neighbour of the other case: it gives the one fact
// in which it differs, and has all others from it. With `from` it takes
// whatever it does not give, and is a beginning of its own.
package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/authz"
)

// Case is one decision case.
type Case struct {
	ID string // unique in its file; with rule groups "rule/id"
	// Rule, AWS, Paraphrase, Page and Note are for readers: the rule the case
	// is about, the sentence of AWS's documentation it rests on (quoted in AWS
	// or told in other words in Paraphrase) and the page it is on.
	Rule, AWS, Paraphrase, Page, Note string
	// Like is the neighbour that differs from this case in one fact, and
	// Differs names that fact. Both are empty for a case that others are like.
	Like, Differs string
	// Expected is the answer wanted; HasExpected is false when the case only asks.
	Expected    authz.Outcome
	HasExpected bool
	// Decides lists the kinds of layers that settle the outcome, when given.
	Decides []authz.Layer

	File string
	Line int

	facts facts
}

// facts is what a case says about the request and its surroundings, as written.
type facts struct {
	Principal          string               `yaml:"principal"`
	Entity             string               `yaml:"entity"`
	PrincipalID        string               `yaml:"principalId"`
	EntityID           string               `yaml:"entityId"`
	Management         bool                 `yaml:"management"`
	ServiceLinked      bool                 `yaml:"serviceLinked"`
	Action             string               `yaml:"action"`
	Resource           string               `yaml:"resource"`
	ResourceAccount    string               `yaml:"resourceAccount"`
	ResourceManagement bool                 `yaml:"resourceManagement"`
	ResourceAWSManaged bool                 `yaml:"resourceAWSManaged"`
	Context            map[string]yaml.Node `yaml:"context"`
	Unknown            []string             `yaml:"unknown"`

	IdentityPolicies   yaml.Node `yaml:"identityPolicies"`
	Boundary           yaml.Node `yaml:"boundary"`
	SessionPolicy      yaml.Node `yaml:"sessionPolicy"`
	SCPs               []level   `yaml:"scps"`
	RCPs               []level   `yaml:"rcps"`
	ResourcePolicy     yaml.Node `yaml:"resourcePolicy"`
	ResourcePolicyType string    `yaml:"resourcePolicyType"`
	Endpoint           yaml.Node `yaml:"vpcEndpointPolicies"`
	Grants             []grant   `yaml:"grants"`
	Unread             []unread  `yaml:"unread"`
}

type level struct {
	Node     string    `yaml:"node"`
	Policies yaml.Node `yaml:"policies"`
}

type grant struct {
	ID                string            `yaml:"id"`
	Grantee           string            `yaml:"grantee"`
	Operations        []string          `yaml:"operations"`
	EncryptionContext map[string]string `yaml:"encryptionContext"`
	Equals            bool              `yaml:"equals"`
}

type unread struct {
	Layer  string `yaml:"layer"`
	Name   string `yaml:"name"`
	Reason string `yaml:"reason"`
}

// about is what a case says of itself.
type about struct {
	ID         string   `yaml:"id"`
	Rule       string   `yaml:"rule"`
	AWS        string   `yaml:"aws"`
	Paraphrase string   `yaml:"paraphrase"`
	Page       string   `yaml:"page"`
	Note       string   `yaml:"note"`
	Like       string   `yaml:"like"`
	From       string   `yaml:"from"`
	Expected   string   `yaml:"expected"`
	Decides    []string `yaml:"decides"`
}

var (
	aboutKeys = []string{"id", "rule", "aws", "paraphrase", "page", "note", "like", "from", "expected", "decides"}
	factKeys  = []string{
		"principal", "entity", "entityId", "principalId", "management", "serviceLinked", "action", "resource", "resourceAccount",
		"resourceManagement", "resourceAWSManaged", "context", "unknown", "identityPolicies", "boundary", "sessionPolicy",
		"scps", "rcps", "resourcePolicy", "resourcePolicyType", "vpcEndpointPolicies", "grants", "unread",
	}
)

// LoadDir reads every .yaml, .yml, .json and .jsonl file of a directory, in
// the order of their names.
func LoadDir(fsys fs.FS) ([]Case, error) {
	var all []Case
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		switch path.Ext(name) {
		case ".yaml", ".yml", ".json", ".jsonl":
		default:
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		cases, err := Load(name, data)
		all = append(all, cases...)
		return err
	})
	return all, err
}

// Load reads one file. The error names the file and line of the first thing wrong.
func Load(name string, data []byte) ([]Case, error) {
	l := loader{file: name, byID: map[string]int{}}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if path.Ext(name) == ".jsonl" {
		err := l.lines(data)
		return l.cases, err
	}
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return l.cases, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if err := l.root(&document); err != nil {
			return nil, err
		}
	}
}

// loader reads the cases of one file.
type loader struct {
	file  string
	cases []Case
	byID  map[string]int
}

func (l *loader) failf(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("reading %s:%d:%d: "+format, append([]any{l.file, n.Line, n.Column}, args...)...)
}

// lines reads JSON Lines.
func (l *loader) lines(data []byte) error {
	for i, line := range strings.Split(string(data), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(line), &document); err != nil {
			return fmt.Errorf("reading %s:%d: %w", l.file, i+1, err)
		}
		if len(document.Content) > 0 {
			document.Content[0].Line = i + 1
		}
		if err := l.root(&document); err != nil {
			return err
		}
	}
	return nil
}

// root reads what a YAML document holds, if anything.
func (l *loader) root(n *yaml.Node) error {
	if len(n.Content) == 0 {
		return nil
	}
	return l.document(n.Content[0])
}

// document reads a list of cases, a single case, or a file with rule groups.
func (l *loader) document(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.SequenceNode:
		return l.list(n, about{})
	case n.Kind != yaml.MappingNode:
		return l.failf(n, "want a case, a list of cases, or rules")
	}
	rules := child(n, "rules")
	if rules == nil {
		return l.one(n, about{})
	}
	for i := 0; i < len(n.Content); i += 2 {
		// documents holds anchors only; title is for readers.
		if key := n.Content[i]; !slices.Contains([]string{"title", "documents", "rules"}, key.Value) {
			return l.failf(key, "unknown field %q: want title, documents or rules", key.Value)
		}
	}
	for _, group := range rules.Content {
		if err := l.group(group); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) group(n *yaml.Node) error {
	if err := l.known(n, []string{"rule", "aws", "paraphrase", "page", "note", "cases"}); err != nil {
		return err
	}
	var of about
	if err := n.Decode(&of); err != nil {
		return l.failf(n, "%w", err)
	}
	cases := child(n, "cases")
	if of.Rule == "" || cases == nil {
		return l.failf(n, "a group needs rule and cases")
	}
	return l.list(cases, of)
}

func (l *loader) list(n *yaml.Node, of about) error {
	for _, c := range n.Content {
		if err := l.one(c, of); err != nil {
			return err
		}
	}
	return nil
}

// one reads a case of a group, or on its own where of is empty.
func (l *loader) one(n *yaml.Node, of about) error {
	if err := l.known(n, slices.Concat(aboutKeys, factKeys)); err != nil {
		return err
	}
	var a about
	if err := n.Decode(&a); err != nil {
		return l.failf(n, "%w", err)
	}
	if a.ID == "" {
		return l.failf(n, "a case needs an id")
	}
	c := Case{
		ID: a.ID, Rule: or(a.Rule, of.Rule), AWS: or(a.AWS, of.AWS), Paraphrase: or(a.Paraphrase, of.Paraphrase),
		Page: or(a.Page, of.Page), Note: or(a.Note, of.Note), File: l.file, Line: n.Line,
	}
	if of.Rule != "" {
		c.ID = of.Rule + "/" + a.ID
	}
	if err := l.inherit(n, &c, a, of); err != nil {
		return err
	}
	if err := l.facts(n, &c); err != nil {
		return err
	}
	if err := l.expected(n, &c, a); err != nil {
		return err
	}
	if _, taken := l.byID[c.ID]; taken {
		return l.failf(n, "a second case has the id %q", c.ID)
	}
	l.byID[c.ID] = len(l.cases)
	l.cases = append(l.cases, c)
	return nil
}

// inherit takes the facts of the case that c is like, or is made from.
func (l *loader) inherit(n *yaml.Node, c *Case, a, of about) error {
	id := or(a.Like, a.From)
	switch {
	case id == "":
		return nil
	case a.Like != "" && a.From != "":
		return l.failf(n, "both like and from")
	}
	i, ok := l.byID[of.Rule+"/"+id]
	if !ok {
		i, ok = l.byID[id]
	}
	if !ok {
		return l.failf(n, "no case %q before this one", id)
	}
	c.facts = l.cases[i].facts
	if a.Like != "" {
		c.Like = l.cases[i].ID
	}
	return nil
}

func (l *loader) facts(n *yaml.Node, c *Case) error {
	var given []string
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if !slices.Contains(factKeys, key) {
			continue
		}
		given = append(given, key)
		if key == "context" {
			c.facts.Context = nil // replaced, not merged
		}
	}
	if c.Like != "" {
		if len(given) != 1 {
			return l.failf(n, "like %s: want exactly one fact that differs, not %q", c.Like, given)
		}
		c.Differs = given[0]
	}
	if err := n.Decode(&c.facts); err != nil {
		return l.failf(n, "%w", err)
	}
	return nil
}

func (l *loader) expected(n *yaml.Node, c *Case, a about) error {
	if a.Expected != "" {
		if err := c.Expected.UnmarshalText([]byte(a.Expected)); err != nil {
			return l.failf(n, "expected: %w", err)
		}
		c.HasExpected = true
	}
	for _, text := range a.Decides {
		var layer authz.Layer
		if err := layer.UnmarshalText([]byte(text)); err != nil {
			return l.failf(n, "decides: %w", err)
		}
		c.Decides = append(c.Decides, layer)
	}
	return nil
}

// known refuses fields that nobody reads.
func (l *loader) known(n *yaml.Node, keys []string) error {
	if n.Kind != yaml.MappingNode {
		return l.failf(n, "want an object")
	}
	for i := 0; i < len(n.Content); i += 2 {
		if key := n.Content[i]; !slices.Contains(keys, key.Value) {
			return l.failf(key, "unknown field %q", key.Value)
		}
	}
	return nil
}

func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
