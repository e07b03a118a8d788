package reach

import (
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
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
	exact map[string][]NodeID      // by the ARN of the role
	wild  map[arn.AccountID][]glob // by pattern, and those whose policies are not known under "*"
	plain map[string][]NodeID      // of wild, the plain ones by pattern
	other []glob                   // of wild, the others
}

// fill collects what the accounts' indexes have for sts:AssumeRole.
func (c *callers) fill(g *Graph) {
	c.exact, c.wild, c.plain = map[string][]NodeID{}, map[arn.AccountID][]glob{}, map[string][]NodeID{}
	for id, a := range sorted(g.accounts) {
		for _, p := range a.forAction("sts:assumerole") {
			for resource, list := range p.exact {
				c.exact[resource] = append(c.exact[resource], list...)
			}
			c.wild[id] = append(c.wild[id], p.globs...)
			for _, n := range p.all {
				c.wild[id] = append(c.wild[id], glob{"*", n})
			}
		}
		for _, n := range a.opaque {
			c.wild[id] = append(c.wild[id], glob{"*", n})
		}
		for _, w := range c.wild[id] {
			if g.nodes[w.node].plain && g.nodes[w.node].tagKeys == nil {
				c.plain[w.pattern] = append(c.plain[w.pattern], w.node)
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
		if !covers(st, "sts:assumerole") && !covers(st, "sts:tagsession") {
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
				return false // see superset
			}
		}
	}
	return true
}

// covers reports whether a statement is about an action, given in lower case.
func covers(st *policy.Statement, action string) bool {
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

// covers reports whether a role's ARN is among those of the pattern.
func (g glob) covers(role string) bool { return g.pattern == "*" || policy.Glob(g.pattern, role) }
