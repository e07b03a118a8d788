package policy

import "slices"

// NewDocument builds a document of the current version. It holds on to the
// statements' slices.
func NewDocument(statements ...Statement) *Document {
	return &Document{Version: Version2012, Statements: statements}
}

// Texts makes a list of values for a Statement's fields; without values it
// returns nil, which means that the element is absent.
func Texts(values ...string) []Text {
	if len(values) == 0 {
		return nil
	}
	out := make([]Text, len(values))
	for i, v := range values {
		out[i].Value = v
	}
	return out
}

// Values returns the plain strings of texts.
func Values(texts []Text) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = t.Value
	}
	return out
}

// Everyone is the principal "*".
func Everyone() *Principals { return &Principals{Everyone: true} }

// AWS names IAM principals and accounts: ARNs, account ids, unique ids or "*".
func AWS(values ...string) *Principals { return principals("AWS", values) }

// Federated names identity providers: ARNs of OIDC and SAML providers, or the
// domain of a built-in one.
func Federated(values ...string) *Principals { return principals("Federated", values) }

// ServicePrincipal names AWS services ("ec2.amazonaws.com").
func ServicePrincipal(values ...string) *Principals { return principals("Service", values) }

func principals(kind string, values []string) *Principals {
	p := &Principals{}
	for _, v := range values {
		p.Entries = append(p.Entries, PrincipalEntry{Type: kind, Value: Text{Value: v}})
	}
	return p
}

// Cond is a condition: Cond("StringEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5").
// A statement must not have two with the same operator and key.
func Cond(operator, key string, values ...string) Condition {
	c := Condition{Operator: operator, Key: key, Values: Texts(values...)}
	if c.Values == nil {
		c.Values = []Text{}
	}
	return c
}

// FindSid returns the first statement with the given Sid, and whether there is
// one. The empty Sid is found nowhere; a nil document has no statements.
func (d *Document) FindSid(sid string) (*Statement, bool) {
	if d == nil || sid == "" {
		return nil, false
	}
	for i := range d.Statements {
		if d.Statements[i].Sid == sid {
			return &d.Statements[i], true
		}
	}
	return nil, false
}

// WithoutSid returns d without the statements that have one of the given Sids;
// the others keep their order and contents. The result may have no statement
// left, which is not a valid document: the caller deletes the policy then.
// d itself is not changed.
func (d *Document) WithoutSid(sids ...string) *Document {
	if d == nil {
		return NewDocument()
	}
	out := *d
	out.Statements = nil
	for _, st := range d.Statements {
		if st.Sid == "" || !slices.Contains(sids, st.Sid) {
			out.Statements = append(out.Statements, st)
		}
	}
	out.Single = d.Single && len(out.Statements) == 1
	return &out
}

// Merge returns d with the given statements: one whose Sid is already there
// takes that statement's place (further ones with the Sid are dropped), the
// others are appended in order. All other statements keep their place and
// contents. d itself is not changed; a nil d is an empty document of the
// current version.
func (d *Document) Merge(statements ...Statement) *Document {
	if d == nil {
		d = NewDocument()
	}
	out := *d
	out.Statements = nil
	used := make([]bool, len(statements))
	for _, st := range d.Statements {
		i := slices.IndexFunc(statements, func(n Statement) bool { return n.Sid != "" && n.Sid == st.Sid })
		switch {
		case i < 0:
			out.Statements = append(out.Statements, st)
		case !used[i]:
			used[i] = true
			out.Statements = append(out.Statements, statements[i])
		}
	}
	for i, st := range statements {
		if !used[i] {
			out.Statements = append(out.Statements, st)
		}
	}
	out.Single = d.Single && len(out.Statements) == 1
	return &out
}
