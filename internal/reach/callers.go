package reach

import (
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/reach/grants"
	"github.com/stile-aws/stile/internal/reach/trustees"
	"github.com/stile-aws/stile/policy"
)

const (
	assumeRole        = "sts:AssumeRole"
	assumeWebIdentity = "sts:AssumeRoleWithWebIdentity"
	assumeSAML        = "sts:AssumeRoleWithSAML"
	tagSession        = "sts:TagSession"
	setSourceIdentity = "sts:SetSourceIdentity"
	sourceIdentityKey = "sts:sourceidentity"
	externalIDKey     = "sts:ExternalId"
	identityLayer     = authz.LayerIdentity

	// samlAudience is where assertions are presented: IAM guide
	// reference_policies_iam-condition-keys, "SAML:aud".
	samlAudience = "https://signin.aws.amazon.com/saml"
)

// callers finds the users and roles whose own policies may let them assume a
// role.
type callers struct {
	exact map[string][]NodeID             // by the ARN of the role
	wild  map[arn.AccountID][]grants.Glob // by pattern, and those whose policies are not known under "*"
	plain map[string][]NodeID             // of wild, the plain ones by pattern
	other []grants.Glob                   // of wild, the others
}

// fill collects what the accounts' indexes have for sts:AssumeRole.
func (c *callers) fill(g *Graph) {
	c.exact, c.wild, c.plain = map[string][]NodeID{}, map[arn.AccountID][]grants.Glob{}, map[string][]NodeID{}
	for id, a := range sorted(g.accounts) {
		for _, p := range a.For("sts:assumerole") {
			for resource, n := range p.Exact {
				c.exact[resource] = append(c.exact[resource], n)
			}
			c.wild[id] = append(c.wild[id], p.Globs...)
			for _, n := range p.All {
				c.wild[id] = append(c.wild[id], grants.Glob{Pattern: "*", Node: n})
			}
		}
		for _, n := range a.Unknown() {
			c.wild[id] = append(c.wild[id], grants.Glob{Pattern: "*", Node: n})
		}
		for _, w := range c.wild[id] {
			if g.nodes[w.Node].plain && g.nodes[w.Node].tagKeys == nil {
				c.plain[w.Pattern] = append(c.plain[w.Pattern], w.Node)
			} else {
				c.other = append(c.other, w)
			}
		}
	}
}

// isPlain reports whether what a caller's side says of sts:AssumeRole turns on
// nothing but the role's ARN, and on that only by the Allow statements of its
// identity policies. Then one role stands for all that one of its patterns
// covers.
func isPlain(pols *authz.Policies) bool {
	for _, p := range pols.Identity {
		if !plainDocument(p.Document(), true) {
			return false
		}
	}
	if pols.Boundary != nil && !plainDocument(pols.Boundary.Document(), false) {
		return false
	}
	for i := range pols.SCPs {
		for _, p := range pols.SCPs[i].Policies {
			if !plainDocument(p.Document(), false) {
				return false
			}
		}
	}
	return true
}

func plainDocument(doc *policy.Document, identity bool) bool {
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if !trustees.Covers(st, "sts:assumerole") && !trustees.Covers(st, "sts:tagsession") {
			continue
		}
		if len(st.Conditions) > 0 || st.NotResources != nil {
			return false
		}
		for _, r := range st.Resources {
			switch {
			case r.Value == "*":
			case !identity || st.Effect != policy.Allow:
				return false
			case strings.Contains(r.Value, "${") || strings.Count(r.Value, ":") < 5:
				return false // see grants.Superset
			}
		}
	}
	return true
}
