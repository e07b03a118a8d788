package compile

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/policy"
)

// The chain: a hub role in the cluster's own account, entered by web identity,
// may assume exactly the target roles and nothing else; each target role
// trusts exactly the hub.

func (c *compiler) buildChain(g *grant) {
	hub := c.unit(g.caller.account, hubName(c.set, g.access, g.caller.decl), g.claim(true))
	first, ok := c.enterByToken(hub, g, g.caller.account)
	if !ok {
		return
	}
	first.Duration = min(first.Duration, time.Hour)
	target := c.unit(g.target, roleName(c.set, g.access, g.caller.decl), g.claim(false))
	hubARN := roleARN(hub)
	target.chained = true
	target.needs = append(target.needs, unitKeyOf(hub.account.ID, hub.name))
	c.admit(target, door{
		caller: g.caller.name, principal: hubARN, tags: g.access.Session.Tags, expires: g.access.Expires, pos: g.access.Pos,
	})
	if !c.fill(target, g) {
		return
	}
	c.mayAssume(hub, g, target)
	c.noteChained(g)
	r := g.route(access.Chain)
	r.Address = addressOf(target)
	r.Hops = []Hop{first, {Role: roleARN(target), Tags: g.access.Session.Tags, Duration: chainedDuration(g.access)}}
	r.Allow = g.permissions()
	c.routes = append(c.routes, r)
}

// chainedDuration is how long a session made with another session's
// credentials lasts. Source: IAM guide id_roles_terms, role chaining: "limits
// your AWS CLI or AWS API role session to a maximum of one hour".
func chainedDuration(a *access.Access) time.Duration {
	return min(sessionOf(a), catalog.ChainedSessionSeconds*time.Second)
}

// noteChained warns when sessions end sooner than declared.
func (c *compiler) noteChained(g *grant) {
	if sessionOf(g.access) <= catalog.ChainedSessionSeconds*time.Second {
		return
	}
	c.report.add(fault{
		code: CodeChainDuration, at: g.access.Pos, warning: true,
		summary: fmt.Sprintf("sessions of %s by %s in %s end after one hour, not %s", g.access.Name, g.caller.name, g.target.Name, sessionOf(g.access)),
		detail:  "a role assumed with another role's session is role chaining, which AWS limits to one hour",
	})
}

// mayAssume lets the hub assume target.
func (c *compiler) mayAssume(hub *unit, g *grant, target *unit) {
	name := policyName(g.access.Name)
	id := sid(c.set.Scope.Name, g.access.Name, "assume", hub.name)
	hub.inline[name] = withResource(hub.inline[name], assumeStatement(id, g.access), roleARN(target))
}

// assumeStatement is the caller's side of AssumeRole, without resources.
// Session tags take a permission of their own on both sides.
func assumeStatement(id string, a *access.Access) policy.Statement {
	actions := []string{"sts:AssumeRole"}
	if len(a.Session.Tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	return expiring(policy.Statement{Sid: id, Effect: policy.Allow, Actions: policy.Texts(actions...)}, a.Expires)
}

// withResource adds st for resource to statements, to the one with its Sid if
// there is one.
func withResource(statements []policy.Statement, st policy.Statement, resource string) []policy.Statement {
	i := slices.IndexFunc(statements, func(s policy.Statement) bool { return s.Sid == st.Sid })
	if i < 0 {
		st.Resources = policy.Texts(resource)
		return append(statements, st)
	}
	statements[i].Resources = policy.Texts(union(policy.Values(statements[i].Resources), []string{resource})...)
	return statements
}

// assumeTrust admits IAM principals. Declared session tags are demanded with
// their values, and no others may be passed.
func assumeTrust(doors []door) policy.Statement {
	d := doors[0]
	var principals []string
	for i := range doors {
		principals = append(principals, doors[i].principal)
	}
	st := policy.Statement{Effect: policy.Allow, Principal: policy.AWS(principals...), Actions: policy.Texts("sts:AssumeRole")}
	if d.ssoPattern != "" {
		st.Conditions = append(st.Conditions, policy.Cond("ArnLike", "aws:PrincipalArn", d.ssoPattern))
	}
	if d.externalID != "" {
		st.Conditions = append(st.Conditions, policy.Cond("StringEquals", "sts:ExternalId", d.externalID))
	}
	if len(d.tags) > 0 {
		st.Actions = policy.Texts("sts:AssumeRole", "sts:TagSession")
		keys := slices.Sorted(maps.Keys(d.tags))
		for _, k := range keys {
			st.Conditions = append(st.Conditions, policy.Cond("StringEquals", "aws:RequestTag/"+k, d.tags[k]))
		}
		st.Conditions = append(st.Conditions, policy.Cond("ForAllValues:StringEquals", "aws:TagKeys", keys...))
	}
	return expiring(st, d.expires)
}
