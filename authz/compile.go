package authz

import (
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz/internal/condition"
	"github.com/stile-aws/stile/authz/internal/index"
	"github.com/stile-aws/stile/authz/internal/rule"
	"github.com/stile-aws/stile/policy"
)

// Policy is a compiled policy document. It never changes and may be used by
// any number of goroutines at once.
type Policy struct {
	source     Source
	doc        *policy.Document
	statements []statement
	services   services
	index      *policyIndex // nil: few statements, look at them all
}

// Source says where the policy was found.
func (p *Policy) Source() Source { return p.source }

// Document is the document p was compiled from, which must not be changed.
func (p *Policy) Document() *policy.Document { return p.doc }

// statement is one statement, ready to be compared with requests.
type statement struct {
	written   *policy.Statement
	index     int
	deny      bool
	principal *principals // nil where the kind of policy has none
	actions   []condition.Pattern
	// blanks are the actions with white space or a comma in them, without:
	// what AWS makes of those it does not say.
	blanks    []condition.Pattern
	notAction bool
	// resources is nil when the statement names none, which a policy attached
	// to a resource may do: it then covers that resource.
	resources   []condition.Resource
	notResource bool
	conditions  []condition.Condition
	// namesPrincipalARN is set when a condition tests aws:PrincipalArn.
	namesPrincipalARN bool
}

// compiler carries what all parts of one compilation share.
type compiler struct {
	layer    Layer
	off      rule.Set
	elements condition.Compiler
	document *policy.Document
	least    int // what is worth an index
}

// Compile prepares doc for evaluation. doc must not be changed afterwards. The
// error names the first element that no evaluator can give a meaning: an
// unknown operator or effect, both of a pair or neither, a principal where
// there can be none or none where there must be one.
func Compile(doc *policy.Document, src Source) (*Policy, error) {
	return compile(doc, src, rule.Set{}, worthIndexing)
}

func compile(doc *policy.Document, src Source, off rule.Set, least int) (*Policy, error) {
	if doc == nil {
		return nil, fmt.Errorf("compiling %s: no document", src)
	}
	c := compiler{layer: src.Layer, off: off, document: doc, least: least}
	// "When you specify an incomplete ARN … in an identity-based policy, AWS
	// automatically completes the ARN"; a boundary is the same kind of
	// document. Of other policies AWS does not say it.
	c.elements = condition.Compiler{Off: off, Completes: src.Layer == LayerIdentity || src.Layer == LayerBoundary}
	switch doc.Version {
	case policy.Version2012:
	case policy.Version2008, "":
		// "If you don't include the Version element … variables like
		// ${aws:username} are treated as literal strings in the policy."
		c.elements.Literal = !off.Has(rule.VariableVersion)
	default:
		return nil, fmt.Errorf("compiling %s: unknown policy version %q", src, doc.Version)
	}
	p := &Policy{source: src, doc: doc, statements: make([]statement, len(doc.Statements))}
	for i := range doc.Statements {
		if err := c.statement(&doc.Statements[i], &p.statements[i]); err != nil {
			return nil, fmt.Errorf("compiling statement %d of %s%s: %w", i+1, src, condition.At(doc.Statements[i].Pos), err)
		}
		p.statements[i].index = i
		p.services |= p.statements[i].services()
	}
	p.index = newIndex(p, least)
	return p, nil
}

func (c *compiler) statement(from *policy.Statement, to *statement) error {
	to.written = from
	switch from.Effect {
	case policy.Allow:
	case policy.Deny:
		to.deny = true
	default:
		return fmt.Errorf("unknown effect %q: want Allow or Deny", from.Effect)
	}
	if err := c.principal(from, to); err != nil {
		return err
	}
	if err := c.actions(from, to); err != nil {
		return err
	}
	if err := c.resources(from, to); err != nil {
		return err
	}
	to.conditions = make([]condition.Condition, len(from.Conditions))
	for i := range from.Conditions {
		if err := c.elements.Condition(&from.Conditions[i], &to.conditions[i]); err != nil {
			return err
		}
		if to.conditions[i].Key.Name == "aws:principalarn" {
			to.namesPrincipalARN = true
		}
	}
	return nil
}

// hasPrincipal reports whether policies of layer l name principals.
func (l Layer) hasPrincipal() bool {
	switch l {
	case LayerRCP, LayerEndpoint, LayerResource, LayerTrust, LayerKey:
		return true
	case LayerSCP, LayerBoundary, LayerSession, LayerIdentity, LayerGrant:
		return false
	}
	return false
}

func (c *compiler) principal(from *policy.Statement, to *statement) error {
	given := from.Principal != nil || from.NotPrincipal != nil
	switch {
	case from.Principal != nil && from.NotPrincipal != nil:
		return fmt.Errorf("both Principal and NotPrincipal")
	case given && !c.layer.hasPrincipal():
		return fmt.Errorf("a %s has no Principal", c.layer.policyType())
	case !given && c.layer.hasPrincipal():
		return fmt.Errorf("no Principal, which a %s must have", c.layer.policyType())
	case !given:
		return nil
	}
	list, negated := from.Principal, false
	if list == nil {
		list, negated = from.NotPrincipal, true
	}
	compiled, err := compilePrincipals(list, negated)
	if err != nil {
		return err
	}
	compiled.indexEntries(c.least)
	to.principal = compiled
	return nil
}

func (c *compiler) actions(from *policy.Statement, to *statement) error {
	list := from.Actions
	switch {
	case from.Actions != nil && from.NotActions != nil:
		return fmt.Errorf("both Action and NotAction")
	case from.NotActions != nil:
		list, to.notAction = from.NotActions, !c.off.Has(rule.NotAction)
	case from.Actions == nil:
		return fmt.Errorf("neither Action nor NotAction")
	}
	to.actions = make([]condition.Pattern, len(list))
	syn := condition.Syntax{Wildcards: !c.off.Has(rule.ActionWildcard), Lower: !c.off.Has(rule.ActionCase)}
	for i, a := range list {
		to.actions[i] = condition.Compile(a.Value, syn)
		if strings.ContainsAny(a.Value, " \t\r\n,") && !c.off.Has(rule.ActionBlank) {
			for piece := range strings.SplitSeq(a.Value, ",") {
				to.blanks = append(to.blanks, condition.Compile(strings.Join(strings.Fields(piece), ""), syn))
			}
		}
	}
	return nil
}

func (c *compiler) resources(from *policy.Statement, to *statement) error {
	list := from.Resources
	switch {
	case from.Resources != nil && from.NotResources != nil:
		return fmt.Errorf("both Resource and NotResource")
	case from.NotResources != nil:
		list, to.notResource = from.NotResources, !c.off.Has(rule.NotResource)
	case from.Resources == nil && !c.layer.hasPrincipal():
		return fmt.Errorf("neither Resource nor NotResource")
	case from.Resources == nil:
		return nil
	}
	to.resources = make([]condition.Resource, len(list))
	for i, r := range list {
		to.resources[i] = c.elements.Resource(r.Value)
	}
	return nil
}

// principals is a compiled Principal or NotPrincipal element.
type principals struct {
	negated bool
	entries []principalEntry
	index   *index.Names // of entries, by number; nil: few
}

// principalKind is the form of a principal entry.
type principalKind uint8

const (
	everyone       principalKind = iota // "*" or {"AWS":"*"}
	accountEntry                        // twelve digits, or the root ARN
	entityEntry                         // the ARN of a user or role
	sessionEntry                        // the ARN of a role session or federated user
	uniqueID                            // AIDA… or AROA…, what AWS stores for a user or role
	serviceEntry                        // a service principal
	federatedEntry                      // an identity provider
	canonicalUser                       // an account, by its S3 canonical user id
)

type principalEntry struct {
	kind  principalKind
	value string
	arn   arn.ARN // of an accountEntry given as an id only the account
}

func compilePrincipals(list *policy.Principals, negated bool) (*principals, error) {
	p := &principals{negated: negated, entries: make([]principalEntry, 0, len(list.Entries))}
	if list.Everyone {
		p.entries = append(p.entries, principalEntry{kind: everyone})
	}
	for _, entry := range list.Entries {
		compiled, err := compilePrincipal(entry.Type, entry.Value.Value)
		if err != nil {
			return nil, fmt.Errorf("%w%s", err, condition.At(entry.Value.Pos))
		}
		p.entries = append(p.entries, compiled)
	}
	return p, nil
}

func compilePrincipal(kind, value string) (principalEntry, error) {
	switch kind {
	case "AWS":
		return compileAWSPrincipal(value), nil
	case "Service":
		return principalEntry{kind: serviceEntry, value: value}, nil
	case "Federated":
		provider, _ := parseARN(value) // built-in providers have none
		return principalEntry{kind: federatedEntry, value: value, arn: provider}, nil
	case "CanonicalUser":
		return principalEntry{kind: canonicalUser, value: value}, nil
	}
	return principalEntry{}, fmt.Errorf("unknown principal type %q: want AWS, Federated, Service or CanonicalUser", kind)
}

// compileAWSPrincipal finds the form of a value under "AWS". What has none of
// the known forms is kept as a unique id, which then matches nobody.
func compileAWSPrincipal(value string) principalEntry {
	if value == "*" {
		return principalEntry{kind: everyone}
	}
	if isAccountID(value) {
		return principalEntry{kind: accountEntry, arn: arn.ARN{Account: arn.AccountID(value)}}
	}
	a, ok := parseARN(value)
	switch {
	case !ok:
		return principalEntry{kind: uniqueID, value: value}
	case a.Service == "iam" && a.Resource == "root":
		return principalEntry{kind: accountEntry, arn: a}
	case a.Service == "sts":
		return principalEntry{kind: sessionEntry, arn: a}
	}
	return principalEntry{kind: entityEntry, arn: a}
}

// parseARN is arn.Parse without an error to allocate: grants are not compiled.
func parseARN(s string) (a arn.ARN, ok bool) {
	var parts [5]string
	for i := range parts {
		if parts[i], s, ok = strings.Cut(s, ":"); !ok {
			return arn.ARN{}, false
		}
	}
	a = arn.ARN{Partition: parts[1], Service: parts[2], Region: parts[3], Owner: parts[4], Resource: s}
	if isAccountID(parts[4]) {
		a.Account = arn.AccountID(parts[4])
	}
	return a, parts[0] == "arn" && a.Partition != "" && a.Service != "" && s != ""
}

func isAccountID(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
