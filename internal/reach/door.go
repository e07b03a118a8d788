package reach

import (
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// door is a role as others come to it: its trust policy.
type door struct {
	node    NodeID
	role    *inventory.Role
	guard   *effective.Side
	assumed *effective.Side  // guard, for sts:AssumeRole only
	names   names            // whom doc's Allow statements name
	doc     *policy.Document // nil when it is not known
	unread  bool             // a document of its side is not known
	tagKeys []string         // as node.tagKeys
	class   int              // of doors open to everyone, see builder.classes; else -1
}

// open reads the trust policy of d's role.
func (b *builder) open(d *door) {
	d.guard = b.view.Guard(effective.Question{Action: assumeRole, Resource: d.role.ARN})
	pols := d.guard.Policies()
	d.class, d.unread = -1, len(pols.Unread) > 0
	if pols.Resource == nil || pols.Resource.Source().Layer != authz.LayerTrust {
		return
	}
	d.doc = pols.Resource.Document()
	d.tagKeys = tagKeys(nil, d.doc)
	d.assumed = b.view.About(d.guard, assumeRole)
	d.names = trusted(d.doc)
}

// names says whom a trust policy's Allow statements for some action name.
type names struct {
	everyone  bool
	accounts  []arn.AccountID
	entities  []string // ARNs of users and roles
	sessions  []arn.ARN
	ids       []string // unique ids
	services  []string
	providers []provider
}

// provider is an identity provider in a trust policy, with the subjects the
// statement is limited to; nil for any.
type provider struct {
	name     string // ARN, or the name of a built-in one
	subjects []string
}

// trusted reads whom the Allow statements of doc name, for any way to assume a role.
func trusted(doc *policy.Document) names {
	var out names
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if st.Effect == policy.Allow && assumes(st) {
			out.add(st)
		}
	}
	return out
}

func assumes(st *policy.Statement) bool {
	return covers(st, "sts:assumerole") || covers(st, "sts:assumerolewithwebidentity") || covers(st, "sts:assumerolewithsaml")
}

func (t *names) add(st *policy.Statement) {
	if st.Principal == nil || st.Principal.Everyone {
		t.everyone = true // NotPrincipal, too: all but some
		return
	}
	for _, e := range st.Principal.Entries {
		switch value := e.Value.Value; e.Type {
		case "AWS":
			t.addAWS(value)
		case "Service":
			t.services = append(t.services, value)
		case "Federated":
			t.providers = append(t.providers, provider{value, subjects(st, value)})
		}
	}
}

func (t *names) addAWS(value string) {
	if value == "*" {
		t.everyone = true
		return
	}
	if id := arn.AccountID(value); id.Valid() {
		t.accounts = append(t.accounts, id)
		return
	}
	a, err := arn.Parse(value)
	switch {
	case err != nil:
		t.ids = append(t.ids, value)
	case a.Service == "iam" && a.Resource == "root":
		t.accounts = append(t.accounts, a.Account)
	case a.Service == "sts":
		t.sessions = append(t.sessions, a)
	default:
		t.entities = append(t.entities, a.String())
	}
}

// subjects lists the values that a statement's conditions want of a token's
// subject, nil when it has no such condition.
func subjects(st *policy.Statement, providerName string) []string {
	issuer := issuerOf(providerName)
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

// issuerOf is the issuer of an OIDC provider, without "https://".
func issuerOf(providerName string) string {
	a, err := arn.Parse(providerName)
	if err != nil {
		return providerName
	}
	return strings.TrimPrefix(a.Resource, "oidc-provider/")
}

func isSAML(providerName string) bool {
	a, err := arn.Parse(providerName)
	return err == nil && a.Type() == "saml-provider"
}
