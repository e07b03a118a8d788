package compile

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/policy"
)

// AssumeRole for roles and users: the target role trusts exactly the caller's
// ARN, and an inline policy of the caller's own allows exactly that role.

func (c *compiler) buildAssumeRole(g *grant) {
	k := g.caller
	u := c.unit(g.target, roleName(c.set, g.access, k.decl), g.claim(false))
	duration := sessionOf(g.access)
	if k.kind == "role" {
		u.chained = true
		duration = chainedDuration(g.access)
		c.noteChained(g)
	} else {
		u.open = true
	}
	d := door{caller: k.name, principal: k.principal, externalID: k.externalID, tags: g.access.Session.Tags, expires: g.access.Expires, pos: g.access.Pos}
	if k.ssoPattern != "" {
		// The principal is the account then; the pattern tells roles apart.
		who, _ := k.trustPrincipal()
		d.principal, d.ssoPattern = who.Entries[0].Value.Value, k.ssoPattern
	}
	if k.owned {
		u.needs = append(u.needs, unitKeyOf(k.account.ID, k.role))
	}
	c.admit(u, d)
	if !c.fill(u, g) {
		return
	}
	id := sid(c.set.Scope.Name, g.access.Name, "assume", k.principal)
	c.callerMay(g, assumeStatement(id, g.access), roleARN(u))
	r := g.route(access.AssumeRole)
	r.Address = addressOf(u)
	r.Hops = []Hop{{Role: roleARN(u), ExternalID: k.externalID, Tags: g.access.Session.Tags, Duration: max(duration, time.Second)}}
	r.Allow = g.permissions()
	c.routes = append(c.routes, r)
}

// A callerPolicy is the inline policy of a caller in the making.
type callerPolicy struct {
	caller     *caller
	statements []policy.Statement
	reasons    map[string]bool
}

// callerMay allows g's caller st on resource, by a policy of the caller's own.
func (c *compiler) callerMay(g *grant, st policy.Statement, resource string) {
	k := g.caller
	switch {
	case k.owned:
		c.pending = append(c.pending, pendingPermission{k, g.access, st, resource})
	case k.ssoPattern != "":
		c.report.add(fault{
			code: CodeCallerFixed, at: k.decl.Pos, warning: true,
			summary: "the policies of " + k.principal + " belong to its permission set and are not changed by stile",
			detail:  "AWS refuses changes to roles of IAM Identity Center in the account itself",
			hint:    "add to the permission set: allow " + st.Actions[0].Value + " on " + resource,
		})
	default:
		p := c.callers[k.principal]
		if p == nil {
			p = &callerPolicy{caller: k, reasons: map[string]bool{}}
			c.callers[k.principal] = p
		}
		p.statements = withResource(p.statements, st, resource)
		p.reasons[g.access.Name] = true
	}
}

// pendingPermission is the caller's side on a role that the declarations
// themselves make, which may not have been met yet.
type pendingPermission struct {
	caller   *caller
	access   *access.Access
	st       policy.Statement
	resource string
}

// settlePending puts the caller's side into the roles that the declarations make.
func (c *compiler) settlePending() {
	for _, p := range c.pending {
		u := c.units[unitKeyOf(p.caller.account.ID, p.caller.role)]
		if u == nil {
			c.report.add(fault{
				code: CodeNoCaller, at: p.caller.decl.Pos,
				summary: "there is no role " + p.caller.role + " in account " + p.caller.account.Name + ", and nothing declared makes one",
				hint:    "create it first, or correct the name",
			})
			continue
		}
		name := policyName(p.access.Name)
		u.inline[name] = withResource(u.inline[name], p.st, p.resource)
		u.reasons[p.access.Name] = true
	}
}

func (c *compiler) callerPolicy(p *callerPolicy) CallerPolicy {
	k := p.caller
	slices.SortFunc(p.statements, func(a, b policy.Statement) int { return cmp.Compare(a.Sid, b.Sid) })
	return CallerPolicy{
		Account: k.account.ID, Kind: k.kind, Name: k.role, PolicyName: callerPolicyName(c.set.Scope.Name, k.principal),
		Document: policy.NewDocument(p.statements...), For: slices.Sorted(maps.Keys(p.reasons)),
	}
}
