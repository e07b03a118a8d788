package authz

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz/internal/operator"
	"github.com/stile-aws/stile/internal/scalar"
	"github.com/stile-aws/stile/policy"
)

// Policy is a compiled policy document. It never changes and may be used by
// any number of goroutines at once.
type Policy struct {
	source     Source
	doc        *policy.Document
	statements []statement
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
	actions   []pattern
	notAction bool
	// resources is nil when the statement names none, which a policy attached
	// to a resource may do: it then covers that resource.
	resources   []resourcePattern
	notResource bool
	conditions  []condition
	// namesPrincipalARN is set when a condition tests aws:PrincipalArn.
	namesPrincipalARN bool
}

// A resourcePattern is a Resource element's ARN, compared segment by segment.
type resourcePattern struct {
	written    string
	everything bool // "*"
	malformed  bool // no ARN: matches nothing
	incomplete bool // fewer than six segments, where AWS does not say what that means
	head       [5]pattern
	rest       pattern
	// beyond is the whole ARN with wildcards that run past colons; nil unless
	// one of the segments before the last ends in one.
	beyond *pattern
}

// condition is one key under one operator. Of the slices of values the one
// that the operator's kind needs is set, in the order written.
type condition struct {
	operator.Operator
	key      contextKey
	written  *policy.Condition
	patterns []pattern
	decimals []maybe[scalar.Decimal]
	dates    []maybe[time.Time]
	networks []maybe[scalar.Network]
	bools    []bool // Null
	literal  bool   // "${" is text, by the document's Version
}

// maybe is a value of a policy that may not be readable as what the operator compares.
type maybe[T any] struct {
	value T
	ok    bool
}

// compiler carries what all parts of one compilation share.
type compiler struct {
	layer    Layer
	off      ruleset
	literal  bool // the document's Version has no policy variables
	document *policy.Document
}

// Compile prepares doc for evaluation. doc must not be changed afterwards. The
// error names the first element that no evaluator can give a meaning: an
// unknown operator or effect, both of a pair or neither, a principal where
// there can be none or none where there must be one.
func Compile(doc *policy.Document, src Source) (*Policy, error) {
	return compile(doc, src, ruleset{})
}

func compile(doc *policy.Document, src Source, off ruleset) (*Policy, error) {
	if doc == nil {
		return nil, fmt.Errorf("compiling %s: no document", src)
	}
	c := compiler{layer: src.Layer, off: off, document: doc}
	switch doc.Version {
	case policy.Version2012:
	case policy.Version2008, "":
		// "If you don't include the Version element … variables like
		// ${aws:username} are treated as literal strings in the policy."
		c.literal = !off.has(ruleVariableVersion)
	default:
		return nil, fmt.Errorf("compiling %s: unknown policy version %q", src, doc.Version)
	}
	p := &Policy{source: src, doc: doc, statements: make([]statement, len(doc.Statements))}
	for i := range doc.Statements {
		if err := c.statement(&doc.Statements[i], &p.statements[i]); err != nil {
			return nil, fmt.Errorf("compiling statement %d of %s%s: %w", i+1, src, at(doc.Statements[i].Pos), err)
		}
		p.statements[i].index = i
	}
	return p, nil
}

// at is the place of an element for an error text, empty when it was built in memory.
func at(pos policy.Pos) string {
	if pos.IsZero() {
		return ""
	}
	return fmt.Sprintf(" (line %d, column %d)", pos.Line, pos.Column)
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
	to.conditions = make([]condition, len(from.Conditions))
	for i := range from.Conditions {
		if err := c.condition(&from.Conditions[i], &to.conditions[i]); err != nil {
			return err
		}
		if to.conditions[i].key.derived == keyPrincipalARN {
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
	to.principal = compiled
	return err
}

func (c *compiler) actions(from *policy.Statement, to *statement) error {
	list := from.Actions
	switch {
	case from.Actions != nil && from.NotActions != nil:
		return fmt.Errorf("both Action and NotAction")
	case from.NotActions != nil:
		list, to.notAction = from.NotActions, !c.off.has(ruleNotAction)
	case from.Actions == nil:
		return fmt.Errorf("neither Action nor NotAction")
	}
	to.actions = make([]pattern, len(list))
	syn := syntax{wildcards: !c.off.has(ruleActionWildcard), lower: !c.off.has(ruleActionCase)}
	for i, a := range list {
		to.actions[i] = compilePattern(a.Value, syn)
	}
	return nil
}

func (c *compiler) resources(from *policy.Statement, to *statement) error {
	list := from.Resources
	switch {
	case from.Resources != nil && from.NotResources != nil:
		return fmt.Errorf("both Resource and NotResource")
	case from.NotResources != nil:
		list, to.notResource = from.NotResources, !c.off.has(ruleNotResource)
	case from.Resources == nil && !c.layer.hasPrincipal():
		return fmt.Errorf("neither Resource nor NotResource")
	case from.Resources == nil:
		return nil
	}
	to.resources = make([]resourcePattern, len(list))
	for i, r := range list {
		to.resources[i] = c.resource(r.Value)
	}
	return nil
}

// resource compiles one ARN of a Resource element. Variables may stand only
// after the fifth colon; "${" before it is text.
func (c *compiler) resource(s string) resourcePattern {
	if strings.Trim(s, "*") == "" && s != "" {
		return resourcePattern{written: s, everything: true}
	}
	syn := syntax{wildcards: true, lower: c.off.has(ruleResourceCase), keyCase: c.off.has(ruleKeyCase)}
	p := resourcePattern{written: s}
	rest := s
	for i := range p.head {
		segment, after, more := strings.Cut(rest, ":")
		p.head[i] = compilePattern(segment, syn)
		if c.off.has(ruleVariableResourcePart) && strings.Contains(segment, "${") {
			return resourcePattern{written: s, everything: true}
		}
		if !more {
			p.beyond = c.beyond(s, s, syn)
			return c.incomplete(p, i)
		}
		rest = after
	}
	head := s[:len(s)-len(rest)]
	syn.variables, syn.escapes = c.variables(), c.escapes()
	p.rest, p.beyond = compilePattern(rest, syn), c.beyond(head, s, syn)
	p.malformed = !p.head[0].matches("arn")
	return p
}

// beyond compiles all of s so that wildcards run past colons, if head, its
// segments before the last, has one at the end of a segment.
func (c *compiler) beyond(head, s string, syn syntax) *pattern {
	if !strings.Contains(head, "*:") || c.off.has(ruleResourceRunsOn) {
		return nil
	}
	p := compilePattern(s, syn)
	return &p
}

// incomplete fills the segments after the last one written. "When you specify
// an incomplete ARN … in an identity-based policy, AWS automatically completes
// the ARN by adding wildcard characters (*) to all missing fields"; a boundary
// is the same kind of document. Of other policies AWS does not say it.
func (c *compiler) incomplete(p resourcePattern, last int) resourcePattern {
	p.malformed = last == 0 || !p.head[0].matches("arn") || c.off.has(ruleResourceIncomplete)
	p.incomplete = c.layer != LayerIdentity && c.layer != LayerBoundary
	for i := last + 1; i < len(p.head); i++ {
		p.head[i] = pattern{kind: anyPattern}
	}
	p.rest = pattern{kind: anyPattern}
	return p
}

func (c *compiler) variables() bool { return !c.literal && !c.off.has(ruleVariable) }

func (c *compiler) escapes() bool { return !c.off.has(ruleVariableEscape) }

func (c *compiler) condition(from *policy.Condition, to *condition) error {
	op, ok := operator.Parse(from.Operator)
	if !ok {
		return fmt.Errorf("unknown condition operator %q%s", from.Operator, at(from.OperatorPos))
	}
	to.Operator, to.written, to.key = op, from, newContextKey(from.Key, c.off.has(ruleKeyCase))
	for _, v := range from.Values {
		if err := c.value(to, v.Value); err != nil {
			return fmt.Errorf("%w%s", err, at(v.Pos))
		}
	}
	return nil
}

// value adds one value of a condition. Policy variables are for string, ARN
// and Bool operators only.
func (c *compiler) value(to *condition, s string) error {
	syn := syntax{
		variables: c.variables(), escapes: c.escapes(),
		keyCase: c.off.has(ruleKeyCase), lower: to.Kind == operator.Bool,
	}
	to.literal = to.literal || c.literal && strings.Contains(s, "${")
	switch to.Kind {
	case operator.StringEquals, operator.StringIgnoreCase, operator.Bool:
		to.patterns = append(to.patterns, compilePattern(s, syn))
	case operator.StringLike:
		syn.wildcards = !c.off.has(ruleStringLike)
		to.patterns = append(to.patterns, compilePattern(s, syn))
	case operator.ARN:
		syn.wildcards = true
		p := compilePattern(s, syn)
		p.text, p.kind = p.encoded(), globPattern // compared by segments, never as a whole
		to.patterns = append(to.patterns, p)
	case operator.Binary:
		if c.off.has(ruleBinary) {
			to.patterns = append(to.patterns, compilePattern(s, syntax{}))
			break
		}
		raw, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return fmt.Errorf("value %q of %s is not base64", s, to.written.Operator)
		}
		to.patterns = append(to.patterns, pattern{text: base64.RawStdEncoding.EncodeToString(raw)})
	case operator.Numeric:
		v, ok := scalar.ParseDecimal(s)
		to.decimals = append(to.decimals, maybe[scalar.Decimal]{v, ok})
		if c.off.has(ruleVariableOperators) {
			to.patterns = append(to.patterns, compilePattern(s, syn))
		}
	case operator.Date:
		v, ok := scalar.ParseDate(s)
		to.dates = append(to.dates, maybe[time.Time]{v, ok})
	case operator.IP:
		v, ok := scalar.ParseNetwork(s)
		to.networks = append(to.networks, maybe[scalar.Network]{v, ok})
	case operator.Null:
		if !strings.EqualFold(s, "true") && !strings.EqualFold(s, "false") {
			return fmt.Errorf("value %q of Null is neither true nor false", s)
		}
		to.bools = append(to.bools, strings.EqualFold(s, "true"))
	}
	return nil
}

// principals is a compiled Principal or NotPrincipal element.
type principals struct {
	negated bool
	entries []principalEntry
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
	p := &principals{negated: negated}
	if list.Everyone {
		p.entries = append(p.entries, principalEntry{kind: everyone})
	}
	for _, entry := range list.Entries {
		compiled, err := compilePrincipal(entry.Type, entry.Value.Value)
		if err != nil {
			return nil, fmt.Errorf("%w%s", err, at(entry.Value.Pos))
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
