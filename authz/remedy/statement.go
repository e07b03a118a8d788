package remedy

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// A caller is how policies name exactly one principal.
type caller struct {
	principal  *policy.Principals
	conditions []policy.Condition // that the principal needs beside it
	// inCondition names it where there is no Principal element.
	inCondition []policy.Condition
	// besides excludes it from a statement that covers others, nil where
	// nothing can.
	besides []policy.Condition
}

// exactly names the principal of the request. A role stands for its sessions, a
// user for the federated sessions made with its credentials. why says why that
// cannot be done.
func (w *world) exactly() (c caller, why string) {
	p := &w.req.Principal
	name := p.ARN
	switch p.Kind {
	case authz.RoleSession:
		name = roleOf(p)
		return named(name, policy.AWS(name.String())), ""
	case authz.User, authz.FederatedUser:
		return named(name, policy.AWS(name.String())), ""
	case authz.Root:
		c = named(name, policy.AWS(name.String()))
		c.conditions = c.inCondition // the root ARN alone stands for the whole account
		return c, ""
	case authz.Anonymous:
		c.principal = policy.Everyone()
		// aws:PrincipalIsAWSService is "in the request context for all signed API requests".
		c.conditions = []policy.Condition{policy.Cond("StringEquals", "aws:PrincipalType", "Anonymous"), policy.Cond("Null", "aws:PrincipalIsAWSService", "true")}
		if w.resourceLayer() == authz.LayerTrust {
			return c, "nobody assumes a role by a request that is not signed"
		}
		c.inCondition = c.conditions
		c.besides = []policy.Condition{policy.Cond("Null", "aws:PrincipalIsAWSService", "false")}
		return c, ""
	case authz.Service:
		c.principal = policy.ServicePrincipal(p.ServiceName)
		c.conditions = w.known("aws:SourceArn", "aws:SourceAccount", "aws:SourceOrgID")
		return c, ""
	case authz.WebIdentity, authz.SAML:
	}
	return w.bearer()
}

// bearer names the bearer of a token by what the token says of its subject.
func (w *world) bearer() (c caller, why string) {
	p := &w.req.Principal
	provider := p.ServiceName
	if !p.Provider.IsZero() {
		provider = p.Provider.String()
	}
	c.principal = policy.Federated(provider)
	if p.Kind == authz.SAML {
		c.conditions = w.known("SAML:aud", "SAML:sub", "SAML:namequalifier")
	} else {
		issuer := p.ServiceName // of a provider built into AWS, its keys' prefix
		if !p.Provider.IsZero() {
			issuer = strings.TrimPrefix(p.Provider.Resource, "oidc-provider/")
		}
		c.conditions = w.known(issuer+":aud", issuer+":sub", issuer+":id", issuer+":user_id")
	}
	if !slices.ContainsFunc(c.conditions, func(one policy.Condition) bool { return !strings.HasSuffix(strings.ToLower(one.Key), ":aud") }) {
		return c, "whom the token or assertion is about is not known, and without that a statement would admit everybody of " + provider
	}
	return c, ""
}

// known gives conditions on those of keys that have one value in the request.
func (w *world) known(keys ...string) []policy.Condition {
	var out []policy.Condition
	for _, key := range keys {
		values, present, known := w.req.Context.Get(key)
		if present && known && len(values) == 1 && !strings.Contains(values[0], "${") {
			out = append(out, policy.Cond("StringEquals", key, values[0]))
		}
	}
	return out
}

func named(a arn.ARN, principal *policy.Principals) caller {
	return caller{
		principal:   principal,
		inCondition: []policy.Condition{policy.Cond("ArnEquals", "aws:PrincipalArn", a.String())},
		besides:     []policy.Condition{policy.Cond("ArnNotEquals", "aws:PrincipalArn", a.String())},
	}
}

// roleOf is the role behind a session, as authz takes it.
func roleOf(p *authz.Principal) arn.ARN {
	if role, _, ok := p.ARN.RoleSession(); ok && p.Entity.IsZero() {
		return arn.IAM(p.ARN.Partition, p.ARN.Account, "role", "/", role)
	}
	return p.Entity
}

// entityOf is the user or role whose policies a principal has.
func entityOf(p *authz.Principal) arn.ARN {
	switch p.Kind {
	case authz.RoleSession:
		return roleOf(p)
	case authz.FederatedUser:
		return p.Entity
	case authz.Anonymous, authz.Root, authz.User, authz.WebIdentity, authz.SAML, authz.Service:
	}
	return p.ARN
}

// statement is one for exactly the request, as it would stand in a layer.
func (w *world) statement(effect policy.Effect, l authz.Layer, c *caller) policy.Statement {
	st := policy.Statement{Effect: effect, Actions: policy.Texts(w.req.Action), Resources: w.resources(l)}
	switch l {
	case authz.LayerResource, authz.LayerTrust, authz.LayerKey:
		st.Principal, st.Conditions = c.principal, slices.Clip(c.conditions)
	case authz.LayerEndpoint:
		// An account in a gateway endpoint's policy stands for its root user
		// alone, a role for nobody: the condition key names everybody alike.
		st.Principal, st.Conditions = policy.Everyone(), slices.Clip(c.inCondition)
	case authz.LayerSCP, authz.LayerBoundary:
		st.Conditions = slices.Clip(c.inCondition) // others are under it, too
	case authz.LayerRCP, authz.LayerSession, authz.LayerIdentity, authz.LayerGrant:
	}
	if effect == policy.Allow {
		st.Conditions = append(st.Conditions, w.pins()...)
	}
	return st
}

// pins are the conditions of Options.Pin.
func (w *world) pins() []policy.Condition { return w.known(w.options.Pin...) }

// resources is the Resource element for exactly the request's resource: none in
// a trust policy and in a repository's, "*" in a key's, which means that key.
func (w *world) resources(l authz.Layer) []policy.Text {
	switch {
	case l == authz.LayerTrust, l == authz.LayerResource && strings.HasPrefix(strings.ToLower(w.req.Action), "ecr:"):
		return nil
	case l == authz.LayerKey, w.req.Resource == "*":
		return policy.Texts("*")
	}
	return policy.Texts(literal.Replace(w.req.Resource))
}

// literal writes a text so that none of it is a wildcard or a variable.
var literal = strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}")

// granting reports whether l's statements name principals.
func granting(l authz.Layer) bool {
	return l == authz.LayerResource || l == authz.LayerTrust || l == authz.LayerKey
}
