package compile

import (
	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// Web identity straight into the target: an OIDC provider and a role in the
// target account; the role trusts exactly the tokens of the service account
// made for AWS (sub and aud), and a pod needs one STS call.

func (c *compiler) buildWebIdentity(g *grant) {
	u := c.unit(g.target, roleName(c.set, g.access, g.caller.decl), g.claim(false))
	hop, ok := c.enterByToken(u, g, g.target)
	if !ok || !c.fill(u, g) {
		return
	}
	r := g.route(access.WebIdentity)
	r.Address = addressOf(u)
	r.Hops = []Hop{hop}
	r.Allow = g.permissions()
	c.routes = append(c.routes, r)
}

// enterByToken lets g's service account into u by web identity.
func (c *compiler) enterByToken(u *unit, g *grant, account *access.Account) (Hop, bool) {
	if !c.providerUsable(g, account) {
		return Hop{}, false
	}
	u.open = true
	provider := c.provider(g, account)
	c.admit(u, door{
		caller: g.caller.name, provider: provider, issuer: g.caller.issuer, subject: g.caller.subject,
		expires: g.access.Expires, pos: g.access.Pos,
	})
	return Hop{Role: roleARN(u), WebIdentity: true, Provider: provider, Duration: sessionOf(g.access)}, true
}

// providerUsable reports a provider that could not be read, and one that
// belongs to somebody else and does not accept our audience.
func (c *compiler) providerUsable(g *grant, account *access.Account) bool {
	p, state, why := c.world.provider(account.ID, g.caller.issuer)
	switch state {
	case inventory.Exists, inventory.Absent:
	case inventory.Unread:
		c.report.errorf(CodeUnread, g.access.Pos, "OIDC provider %s of account %s could not be read: %s", g.caller.issuer, account.Name, why)
		return false
	case inventory.NotAsked:
		c.report.errorf(CodeNotObserved, g.access.Pos, "OIDC provider %s of account %s was not looked for", g.caller.issuer, account.Name)
		return false
	}
	if p == nil || p.Tags[TagScope] == c.set.Scope.Name || accepts(p, audience) {
		return true
	}
	c.report.add(fault{
		code: CodeForeignProvider, at: g.access.Pos,
		summary: "OIDC provider " + p.ARN + " is not of this scope and does not accept the audience " + audience,
		detail:  "STS refuses a token whose audience the provider does not list",
		hint:    "let its owner add " + audience + " to its client ids",
	})
	return false
}

func accepts(p *inventory.OIDCProvider, aud string) bool {
	for _, id := range p.ClientIDs {
		if id == aud {
			return true
		}
	}
	return false
}

// webIdentityTrust admits the tokens of service accounts of one cluster. Both
// claims are demanded: sub says who, aud that the token was made for AWS.
func webIdentityTrust(doors []door) policy.Statement {
	d := doors[0]
	subjects := make([]string, len(doors))
	for i := range doors {
		subjects[i] = doors[i].subject
	}
	return expiring(policy.Statement{
		Effect: policy.Allow, Principal: policy.Federated(d.provider), Actions: policy.Texts("sts:AssumeRoleWithWebIdentity"),
		Conditions: []policy.Condition{
			policy.Cond("StringEquals", d.issuer+":aud", audience),
			policy.Cond("StringEquals", d.issuer+":sub", subjects...),
		},
	}, d.expires)
}
