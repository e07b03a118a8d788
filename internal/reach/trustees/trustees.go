// Package trustees reads whom policies that name principals let in: trust
// policies, policies of resources, grants on keys.
//
// Start with [Of] for a trust policy and [Names.Add] for one statement. It reads
// what is written; whether it comes to anything is authz's business.
package trustees

import (
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/policy"
)

// Names says whom Allow statements name.
type Names struct {
	Everyone  bool
	Accounts  []arn.AccountID
	Entities  []string // ARNs of users and roles
	Sessions  []arn.ARN
	IDs       []string // unique ids
	Services  []string
	Providers []Provider
}

// Provider is an identity provider in a trust policy, with the subjects the
// statement is limited to; nil for any.
type Provider struct {
	Name     string // ARN, or the name of a built-in one
	Subjects []string
}

// Of reads whom the Allow statements of a trust policy name, for any way to assume
// the role.
func Of(doc *policy.Document) Names {
	var out Names
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if st.Effect == policy.Allow && assumes(st) {
			out.Add(st)
		}
	}
	return out
}

func assumes(st *policy.Statement) bool {
	return Covers(st, "sts:assumerole") || Covers(st, "sts:assumerolewithwebidentity") || Covers(st, "sts:assumerolewithsaml")
}

// Add adds whom a statement names. NotPrincipal, all but some, counts as everyone.
func (t *Names) Add(st *policy.Statement) {
	if st.Principal == nil || st.Principal.Everyone {
		t.Everyone = true
		return
	}
	for _, e := range st.Principal.Entries {
		switch value := e.Value.Value; e.Type {
		case "AWS":
			t.AddAWS(value)
		case "Service":
			t.Services = append(t.Services, value)
		case "Federated":
			t.Providers = append(t.Providers, Provider{value, subjects(st, value)})
		}
	}
}

// AddAWS adds a principal as it stands under "AWS", or as the grantee of a KMS grant.
func (t *Names) AddAWS(value string) {
	if value == "*" {
		t.Everyone = true
		return
	}
	a, err := arn.Parse(value)
	switch {
	case err != nil && arn.AccountID(value).Valid():
		t.Accounts = append(t.Accounts, arn.AccountID(value))
	case err != nil:
		t.IDs = append(t.IDs, value)
	case a.Service == "iam" && a.Resource == "root":
		t.Accounts = append(t.Accounts, a.Account)
	case a.Service == "sts":
		t.Sessions = append(t.Sessions, a)
	default:
		t.Entities = append(t.Entities, value)
	}
}

// subjects lists the values that a statement's conditions want of a token's
// subject, nil when it has no such condition.
func subjects(st *policy.Statement, providerName string) []string {
	issuer := Issuer(providerName)
	var out []string
	for _, c := range st.Conditions {
		op := policy.SplitOperator(c.Operator)
		if !strings.EqualFold(c.Key, issuer+":sub") || op.Negated() || !strings.HasPrefix(op.Base, "String") {
			continue
		}
		for _, v := range c.Values {
			if op.Base == "StringEquals" || op.Base == "StringLike" {
				out = append(out, v.Value)
			}
		}
	}
	return out
}

// Issuer is the issuer of an OIDC provider, without "https://".
func Issuer(providerName string) string {
	a, err := arn.Parse(providerName)
	if err != nil {
		return providerName
	}
	return strings.TrimPrefix(a.Resource, "oidc-provider/")
}

// IsSAML reports whether a provider, by its ARN, is a SAML provider.
func IsSAML(providerName string) bool {
	a, err := arn.Parse(providerName)
	return err == nil && a.Type() == "saml-provider"
}

// Covers reports whether a statement is about an action, given in lower case.
func Covers(st *policy.Statement, action string) bool {
	list := st.Actions
	if st.NotActions != nil {
		list = st.NotActions
	}
	for _, a := range list {
		if policy.Glob(strings.ToLower(a.Value), action) {
			return st.NotActions == nil
		}
	}
	return st.NotActions != nil
}
