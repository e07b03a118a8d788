package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/effective"
)

// Strangers differ from somebody declared in one fact each. A trust policy is
// asked about them as if their own accounts allowed them everything, so that
// the answer is the trust policy's alone.

// stranger stands for a name nobody has.
const stranger = "stile-stranger"

// strangers verifies that a role's trust policy refuses them.
func (c *checker) strangers(on about, r *compile.Role) {
	role := r.ARN().String()
	asked := map[string]bool{}
	for i := range c.w.Routes {
		route := &c.w.Routes[i]
		for n := range route.Hops {
			hop := &route.Hops[n]
			if hop.Role != role {
				continue
			}
			for _, a := range c.attempts(route, n) {
				if !asked[a.who] {
					asked[a.who] = true
					c.refused(on, a, role)
				}
			}
		}
	}
}

// An attempt is a stranger's request.
type attempt struct {
	who string // what is different about them
	q   effective.Question
}

func (c *checker) refused(on about, a attempt, role string) {
	a.q.Resource = role
	d := c.view.Trust(a.q)
	f := Finding{Account: on.account, Access: on.access, What: on.what, Decision: &d}
	switch d.Outcome {
	case authz.Allowed:
		f.Kind, f.Text = Excess, fmt.Sprintf("it admits %s: %s", a.who, d.Summary())
	case authz.Unknown:
		f.Kind, f.Text = Unknown, fmt.Sprintf("whether it admits %s: %s", a.who, d.Summary())
	case authz.ImplicitDeny, authz.ExplicitDeny, authz.NotApplicable:
		f.Kind, f.Text = Refused, fmt.Sprintf("it refuses %s: %s", a.who, d.Summary())
	}
	c.add(f)
}

// attempts lists the strangers that resemble who takes hop n of a route.
func (c *checker) attempts(r *compile.Route, n int) []attempt {
	hop := &r.Hops[n]
	if hop.WebIdentity {
		return tokenAttempts(r, hop)
	}
	caller := r.Caller.ARN
	if n > 0 {
		caller = r.Hops[n-1].Role
	}
	out := c.principalAttempts(r, hop, caller)
	if r.Caller.Subject != "" {
		out = append(out, pastTheHub(r, hop))
	}
	return out
}

// tokenAttempts are tokens that differ in one claim, and a role without a token.
func tokenAttempts(r *compile.Route, hop *compile.Hop) []attempt {
	provider, err := arn.Parse(hop.Provider)
	if err != nil {
		return nil
	}
	token := func(who string, change func(*compile.Caller)) attempt {
		claims := r.Caller
		change(&claims)
		p := provider
		p.Resource = "oidc-provider/" + claims.Issuer
		return attempt{who, effective.Question{
			Principal: authz.Principal{Kind: authz.WebIdentity, Provider: p}, Action: "sts:AssumeRoleWithWebIdentity",
			Context: effective.ClaimsContext(authz.Context{}, claims),
		}}
	}
	namespace, name := subjectParts(r.Caller.Subject)
	return []attempt{
		token("another service account of namespace "+namespace, func(k *compile.Caller) { k.Subject = subject(namespace, stranger) }),
		token("service account "+name+" of another namespace", func(k *compile.Caller) { k.Subject = subject(stranger, name) }),
		token("a token of "+r.Caller.Name+" made for another audience", func(k *compile.Caller) { k.Audience = "https://" + stranger }),
		token("a token of another issuer for "+r.Caller.Subject, func(k *compile.Caller) { k.Issuer = stranger + ".example/" + k.Issuer }),
		{"a role of the same account, without a token", effective.Question{
			Principal: roleSession(provider.Account, "/", stranger), Action: "sts:AssumeRole",
		}},
	}
}

// subjectParts takes system:serviceaccount:NAMESPACE:NAME apart.
func subjectParts(s string) (namespace, name string) {
	namespace, name, _ = strings.Cut(strings.TrimPrefix(s, "system:serviceaccount:"), ":")
	return namespace, name
}

func subject(namespace, name string) string { return "system:serviceaccount:" + namespace + ":" + name }

func roleSession(account arn.AccountID, path, name string) authz.Principal {
	return authz.Principal{
		Kind: authz.RoleSession, ARN: arn.SessionARN("aws", account, name, stranger), Entity: arn.IAM("aws", account, "role", path, name),
	}
}

// pastTheHub is the service account's own token at a role that is reached by
// a chain.
func pastTheHub(r *compile.Route, hop *compile.Hop) attempt {
	target, _ := arn.Parse(hop.Role) // a Wanted's ARNs parse
	provider := arn.OIDCProvider("aws", target.Account, r.Caller.Issuer)
	return attempt{"the token of " + r.Caller.Name + " itself, past the hub", effective.Question{
		Principal: authz.Principal{Kind: authz.WebIdentity, Provider: provider}, Action: "sts:AssumeRoleWithWebIdentity",
		Context: effective.ClaimsContext(authz.Context{}, r.Caller),
	}}
}

// principalAttempts are principals like caller, and caller without what the
// trust policy demands of it.
func (c *checker) principalAttempts(r *compile.Route, hop *compile.Hop, caller string) []attempt {
	a, err := arn.Parse(caller)
	if err != nil {
		return nil
	}
	full := effective.HopContext(authz.Context{}, hop)
	ask := func(who string, p authz.Principal, ctx authz.Context) attempt {
		return attempt{who, effective.Question{Principal: p, Action: "sts:AssumeRole", Context: ctx}}
	}
	out := []attempt{
		ask("another role of account "+string(a.Account), roleSession(a.Account, "/", stranger), full),
		ask("another user of account "+string(a.Account), authz.Principal{Kind: authz.User, ARN: arn.IAM("aws", a.Account, "user", "/", stranger)}, full),
		ask("a role "+a.Name()+" of another account", roleSession(otherAccount(a.Account), a.Path(), a.Name()), full),
	}
	self, err := c.view.Principal(caller)
	if err != nil {
		return out
	}
	for _, w := range weakened(hop) {
		at := ask(caller+" "+w.who, self, w.context)
		at.q.Action = w.action
		out = append(out, at)
	}
	return out
}

// otherAccount is an account id that is not id.
func otherAccount(id arn.AccountID) arn.AccountID {
	const unused arn.AccountID = "999999999999"
	if id == unused {
		return "999999999998"
	}
	return unused
}

// weaker is a declared caller's request that lacks something.
type weaker struct {
	who     string
	action  string
	context authz.Context
}

func weakened(hop *compile.Hop) []weaker {
	var out []weaker
	change := func(who, action string, edit func(*compile.Hop)) {
		h := *hop
		h.Tags = maps.Clone(hop.Tags)
		edit(&h)
		out = append(out, weaker{who, action, effective.HopContext(authz.Context{}, &h)})
	}
	if hop.ExternalID != "" {
		change("without the external id", "sts:AssumeRole", func(h *compile.Hop) { h.ExternalID = "" })
		change("with another external id", "sts:AssumeRole", func(h *compile.Hop) { h.ExternalID = stranger })
	}
	for _, k := range slices.Sorted(maps.Keys(hop.Tags)) {
		change("without the session tag "+k, "sts:AssumeRole", func(h *compile.Hop) { delete(h.Tags, k) })
		change("with another value of the session tag "+k, "sts:TagSession", func(h *compile.Hop) { h.Tags[k] = stranger })
	}
	change("with a session tag that is not declared", "sts:TagSession", func(h *compile.Hop) {
		if h.Tags == nil {
			h.Tags = map[string]string{}
		}
		h.Tags[stranger] = stranger
	})
	return out
}
