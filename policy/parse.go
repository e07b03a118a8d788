package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Parse reads one policy document. It accepts what the policy language can
// express, whatever kind of policy it is; [Validate] checks what a given kind
// may contain. Element names and values are kept as written. The error is an
// [Errors] that holds everything found wrong; the document is nil then.
func Parse(src []byte) (*Document, error) { return ParseText(string(src)) }

// ParseText is [Parse] of a string. The texts of the document are parts of it.
func ParseText(src string) (*Document, error) {
	n, err := scanJSON(src)
	if err != nil {
		return nil, Errors{err}
	}
	return Decode(n)
}

// ParseNode reads any JSON text with positions, for those who look for policies
// inside other documents. Its error is that of [Parse].
func ParseNode(src []byte) (Node, error) {
	n, err := scanJSON(string(src))
	if err != nil {
		return Node{}, Errors{err}
	}
	return n, nil
}

// Decode makes a document of a tree read from another notation. Its error is
// that of [Parse].
func Decode(n Node) (*Document, error) {
	d := &decoder{}
	doc := d.document(n)
	if len(d.errs) > 0 {
		return nil, d.errs.sorted()
	}
	return doc, nil
}

// decoder makes a Document of a Node and collects what is wrong.
type decoder struct {
	errs Errors
}

func (d *decoder) failf(pos Pos, code Code, format string, args ...any) *Error {
	e := &Error{Pos: pos, Code: code, Msg: fmt.Sprintf(format, args...), aws: awsSyntax}
	d.errs = append(d.errs, e)
	return e
}

// is reports an error unless n is of the kind wanted.
func (d *decoder) is(n Node, what string, kind NodeKind) bool {
	if n.Kind == kind {
		return true
	}
	d.failf(n.Pos, CodeType, "%s must be %v, not %v", what, kind, n.Kind)
	return false
}

// names reports names that appear twice in an object, which IAM's grammar
// forbids, and returns the members without the repetitions.
func (d *decoder) names(n Node) []Member {
	const few = 8 // to compare with each other
	repeated := len(n.Members) > few
	for i := range n.Members {
		repeated = repeated || slices.ContainsFunc(n.Members[:i], func(m Member) bool { return m.Name == n.Members[i].Name })
	}
	if !repeated {
		return n.Members
	}
	seen := make(map[string]bool, len(n.Members))
	out := n.Members[:0:0]
	for _, m := range n.Members {
		if seen[m.Name] {
			d.failf(m.NamePos, CodeDuplicate, "%q appears twice in one object", m.Name)
			continue
		}
		seen[m.Name] = true
		out = append(out, m)
	}
	return out
}

func (d *decoder) unknown(m Member, where string, known []string) {
	e := d.failf(m.NamePos, CodeElement, "unknown element %q in %s", m.Name, where)
	if near := Closest(m.Name, known); near != "" {
		e.Hint = fmt.Sprintf("did you mean %q?", near)
	} else {
		e.Hint = "known are " + strings.Join(known, ", ")
	}
}

func (d *decoder) document(n Node) *Document {
	doc := &Document{Pos: n.Pos}
	if !d.is(n, "a policy document", ObjectNode) {
		if strings.HasPrefix(strings.TrimSpace(n.Text), "{") {
			d.errs[0].Hint = "the string seems to hold a document; decode it"
		}
		return doc
	}
	hasStatement := false
	for _, m := range d.names(n) {
		switch m.Name {
		case "Version":
			doc.Version = d.version(m.Value)
		case "Id":
			if d.is(m.Value, "Id", StringNode) {
				doc.ID = m.Value.Text
			}
		case "Statement":
			hasStatement = true
			d.statements(doc, m.Value)
		default:
			d.unknown(m, "a policy document", []string{"Version", "Id", "Statement"})
			if m.Value.has("Statement") {
				d.errs[len(d.errs)-1].Hint = fmt.Sprintf("the document is the value of %q; give that alone", m.Name)
			}
		}
	}
	if !hasStatement {
		d.failf(n.Pos, CodeMissing, "the document has no Statement")
	}
	return doc
}

func (d *decoder) version(n Node) Version {
	if !d.is(n, "Version", StringNode) {
		return ""
	}
	v := Version(n.Text)
	if v != Version2012 && v != Version2008 {
		e := d.failf(n.Pos, CodeVersion, "policy version %q does not exist", n.Text)
		e.trust = trustVersion
		e.Hint = fmt.Sprintf("use %q", Version2012)
	}
	return v
}

func (d *decoder) statements(doc *Document, n Node) {
	switch n.Kind {
	case ObjectNode:
		doc.Single = true
		doc.Statements = []Statement{d.statement(n)}
	case ListNode:
		if len(n.Items) == 0 {
			d.failf(n.Pos, CodeMissing, "the list of statements is empty").trust = trustNoStatement
		}
		doc.Statements = make([]Statement, 0, min(len(n.Items), 16))
		for _, item := range n.Items {
			if d.is(item, "a statement", ObjectNode) {
				doc.Statements = append(doc.Statements, d.statement(item))
			}
		}
	default:
		d.failf(n.Pos, CodeType, "Statement must be an object or a list of objects, not %v", n.Kind)
	}
}

// statementElements are the elements of a statement, in the order they are printed.
func statementElements() []string {
	return []string{"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
}

func (d *decoder) statement(n Node) Statement {
	st := Statement{Pos: n.Pos}
	at := make(map[string]Pos, len(n.Members))
	for _, m := range d.names(n) {
		at[m.Name] = m.NamePos
		d.element(&st, m)
	}
	for _, name := range []string{"Principal", "Action", "Resource"} {
		pos, twin := at["Not"+name]
		if _, both := at[name]; both && twin {
			d.failf(pos, CodeExclusive, "a statement has either %s or Not%s, not both", name, name)
		}
	}
	if _, ok := at["Effect"]; !ok {
		e := d.failf(n.Pos, CodeMissing, "the statement has no Effect")
		e.Hint, e.trust = `write "Effect": "Allow" or "Deny"`, trustNoEffect
	}
	_, action := at["Action"]
	_, notAction := at["NotAction"]
	if !action && !notAction {
		e := d.failf(n.Pos, CodeMissing, "the statement has neither Action nor NotAction")
		e.aws, e.trust = awsNoActions, trustNoAction
	}
	return st
}

func (d *decoder) element(st *Statement, m Member) {
	switch m.Name {
	case "Sid":
		if d.is(m.Value, "Sid", StringNode) {
			st.Sid = m.Value.Text
		}
	case "Effect":
		st.Effect = d.effect(m.Value)
	case "Principal":
		st.Principal = d.principals(m)
	case "NotPrincipal":
		st.NotPrincipal = d.principals(m)
	case "Action":
		st.Actions = d.texts(m, awsNoActions)
	case "NotAction":
		st.NotActions = d.texts(m, awsNoActions)
	case "Resource":
		st.Resources = d.texts(m, awsNoResources)
	case "NotResource":
		st.NotResources = d.texts(m, awsNoResources)
	case "Condition":
		st.Conditions = d.conditions(m.Value)
	default:
		d.unknown(m, "a statement", statementElements())
	}
}

func (d *decoder) effect(n Node) Effect {
	if !d.is(n, "Effect", StringNode) {
		return ""
	}
	e := Effect(n.Text)
	if e == Allow || e == Deny {
		return e
	}
	// The value of Effect is case sensitive (IAM user guide, reference_policies_elements_effect).
	bad := d.failf(n.Pos, CodeEffect, "Effect is %q, must be Allow or Deny", n.Text)
	bad.Hint = "letter case counts"
	switch {
	case strings.EqualFold(n.Text, string(Allow)) || strings.EqualFold(n.Text, string(Deny)):
		bad.aws = awsLegacy
	default:
		bad.Hint = ""
		if near := Closest(n.Text, []string{string(Allow), string(Deny)}); near != "" {
			bad.Hint = fmt.Sprintf("did you mean %q?", near)
		}
	}
	return e
}

// texts reads a string or a non-empty list of strings.
func (d *decoder) texts(m Member, awsEmpty string) []Text {
	n := m.Value
	switch n.Kind {
	case StringNode:
		return []Text{{Value: n.Text, Pos: n.Pos}}
	case ListNode:
		if len(n.Items) == 0 {
			d.failf(n.Pos, CodeMissing, "%s is an empty list", m.Name).aws = awsEmpty
		}
		out := make([]Text, 0, len(n.Items))
		for _, item := range n.Items {
			if d.is(item, "each value of "+m.Name, StringNode) {
				out = append(out, Text{Value: item.Text, Pos: item.Pos})
			}
		}
		return out
	default:
		d.failf(n.Pos, CodeType, "%s must be a string or a list of strings, not %v", m.Name, n.Kind)
		return nil
	}
}

// principalTypes are the types of principal the grammar knows.
func principalTypes() []string { return []string{"AWS", "Federated", "Service", "CanonicalUser"} }

func (d *decoder) principals(m Member) *Principals {
	n := m.Value
	p := &Principals{Pos: n.Pos}
	switch n.Kind {
	case StringNode:
		p.Everyone = true
		if n.Text != "*" {
			e := d.failf(n.Pos, CodePrincipals, "%s is the string %q; only \"*\" may stand alone", m.Name, n.Text)
			e.Hint = fmt.Sprintf(`write {"AWS": %q}`, n.Text)
		}
	case ObjectNode:
		d.principalTypes(p, m.Name, n)
	default:
		d.failf(n.Pos, CodeType, "%s must be \"*\" or an object, not %v", m.Name, n.Kind)
	}
	return p
}

func (d *decoder) principalTypes(p *Principals, element string, n Node) {
	for _, m := range d.names(n) {
		known := false
		for _, t := range principalTypes() {
			known = known || t == m.Name
		}
		if !known {
			e := d.failf(m.NamePos, CodePrincipals, "unknown type of principal %q", m.Name)
			e.Hint = "known are " + strings.Join(principalTypes(), ", ")
			if near := Closest(m.Name, principalTypes()); near != "" {
				e.Hint = fmt.Sprintf("did you mean %q?", near)
			}
			continue
		}
		texts := d.texts(m, awsSyntax)
		p.Entries = slices.Grow(p.Entries, len(texts))
		for _, v := range texts {
			p.Entries = append(p.Entries, PrincipalEntry{Type: m.Name, Value: v})
		}
	}
	if len(n.Members) == 0 {
		d.failf(n.Pos, CodePrincipals, "%s names nobody", element).trust = trustEmpty
	}
}

func (d *decoder) conditions(n Node) []Condition {
	if !d.is(n, "Condition", ObjectNode) {
		return nil
	}
	var out []Condition
	for _, op := range d.names(n) {
		if !d.is(op.Value, op.Name, ObjectNode) {
			continue
		}
		for _, key := range d.names(op.Value) {
			out = append(out, Condition{
				Operator: op.Name, OperatorPos: op.NamePos,
				Key: key.Name, Pos: key.NamePos,
				Values: d.conditionValues(key),
			})
		}
	}
	return out
}

// conditionValues reads a string, number or boolean, or a list of them, which
// may be empty (IAM accepts that; such a condition matches nothing).
func (d *decoder) conditionValues(m Member) []Text {
	items := []Node{m.Value}
	if m.Value.Kind == ListNode {
		items = m.Value.Items
	}
	out := make([]Text, 0, len(items))
	for _, item := range items {
		switch item.Kind {
		case StringNode, NumberNode, BoolNode:
			out = append(out, Text{Value: item.Text, Pos: item.Pos})
		default:
			d.failf(item.Pos, CodeType, "values of condition key %q must be strings, numbers or booleans, not %v", m.Name, item.Kind)
		}
	}
	return out
}
