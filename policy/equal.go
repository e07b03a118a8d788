package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
)

// Equal reports whether a and b say the same with the same Sids. What does not
// count: positions, Id, the order and repetition of statements and values,
// one-element lists, letter case of actions and condition keys, the spellings
// of an account as principal (its id and its root ARN) and of everyone ("*"
// and {"AWS":"*"}), ArnEquals for ArnLike, and a missing Version for
// 2008-10-17. Documents that mean the same in a cleverer way ("s3:*" beside
// "s3:GetObject") are not Equal: ask package authz.
func Equal(a, b *Document) bool { return Canonical(a) == Canonical(b) }

// SameGrants is Equal without regard to Sids.
func SameGrants(a, b *Document) bool {
	return Canonical(withoutSids(a)) == Canonical(withoutSids(b))
}

// Canonical is a text that is the same for exactly the documents that are
// [Equal]. It is itself a policy document. A nil document gives "".
func Canonical(d *Document) string {
	if d == nil {
		return ""
	}
	statements := make([]string, len(d.Statements))
	for i := range d.Statements {
		statements[i] = d.Statements[i].Canonical()
	}
	slices.Sort(statements)
	var p printer
	p.WriteByte('{')
	p.name("Version")
	p.str(string(cmp.Or(d.Version, Version2008)))
	p.name("Statement")
	p.WriteString("[" + strings.Join(slices.Compact(statements), ",") + "]}")
	return p.Buffer.String()
}

// Canonical is the statement's part of [Canonical]'s text: equal for
// statements that say the same. It is what ownership records digest.
func (st *Statement) Canonical() string {
	c := canonicalStatement(st)
	return c.String()
}

// String prints the statement as JSON.
func (st *Statement) String() string {
	var p printer
	p.statement(st)
	return p.Buffer.String()
}

func withoutSids(d *Document) *Document {
	if d == nil {
		return nil
	}
	out := *d
	out.Statements = slices.Clone(d.Statements)
	for i := range out.Statements {
		out.Statements[i].Sid = ""
	}
	return &out
}

func canonicalStatement(st *Statement) Statement {
	keep := func(s string) string { return s }
	return Statement{
		Sid:          st.Sid,
		Effect:       st.Effect,
		Principal:    canonicalPrincipals(st.Principal),
		NotPrincipal: canonicalPrincipals(st.NotPrincipal),
		Actions:      canonicalTexts(st.Actions, strings.ToLower),
		NotActions:   canonicalTexts(st.NotActions, strings.ToLower),
		Resources:    canonicalTexts(st.Resources, keep),
		NotResources: canonicalTexts(st.NotResources, keep),
		Conditions:   canonicalConditions(st.Conditions),
	}
}

func canonicalTexts(texts []Text, spelling func(string) string) []Text {
	if texts == nil {
		return nil
	}
	out := make([]Text, len(texts))
	for i, t := range texts {
		out[i].Value = spelling(t.Value)
	}
	slices.SortFunc(out, func(a, b Text) int { return strings.Compare(a.Value, b.Value) })
	return slices.Compact(out)
}

func canonicalPrincipals(p *Principals) *Principals {
	if p == nil {
		return nil
	}
	out := &Principals{}
	if p.Everyone {
		out.Entries = []PrincipalEntry{{Type: "AWS", Value: Text{Value: "*"}}}
		return out
	}
	for _, e := range p.Entries {
		value := e.Value.Value
		if e.Type == "AWS" {
			value = canonicalAccount(value)
		}
		out.Entries = append(out.Entries, PrincipalEntry{Type: e.Type, Value: Text{Value: value}})
	}
	slices.SortFunc(out.Entries, func(a, b PrincipalEntry) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Value.Value, b.Value.Value))
	})
	out.Entries = slices.Compact(out.Entries)
	return out
}

// canonicalAccount turns the root ARN of an account into the account's id,
// which AWS treats as the same principal.
func canonicalAccount(principal string) string {
	a, err := arn.Parse(principal)
	if err == nil && a.Service == "iam" && a.Resource == "root" && a.Account != "" {
		return string(a.Account)
	}
	return principal
}

func canonicalConditions(conds []Condition) []Condition {
	var out []Condition
	for _, c := range conds {
		op := canonicalOperator(c.Operator)
		spelling := func(s string) string { return s }
		if base := SplitOperator(op).Base; base == "Bool" || base == "Null" {
			spelling = strings.ToLower
		}
		values := canonicalTexts(c.Values, spelling)
		out = append(out, Condition{Operator: op, Key: strings.ToLower(c.Key), Values: values})
	}
	slices.SortFunc(out, func(a, b Condition) int {
		return cmp.Or(strings.Compare(a.Operator, b.Operator), strings.Compare(a.Key, b.Key),
			slices.Compare(Values(a.Values), Values(b.Values)))
	})
	return out
}

// canonicalOperator replaces the operators that AWS documents as identical.
func canonicalOperator(op string) string {
	parts := SplitOperator(op)
	switch parts.Base {
	case "ArnEquals":
		parts.Base = "ArnLike"
	case "ArnNotEquals":
		parts.Base = "ArnNotLike"
	}
	return parts.String()
}
