package compile

import (
	"strconv"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/policy"
)

// What the role patterns (web identity, chain, AssumeRole) have in common: the
// target role holds the permissions.

func roleARN(u *unit) string {
	return arn.IAM("aws", u.account.ID, "role", pathOf(u.account), u.name).String()
}

func addressOf(u *unit) string { return u.account.Name + "/" + u.name }

// fill gives u the permissions of g's items, with what they imply on keys.
func (c *compiler) fill(u *unit, g *grant) bool {
	var statements []policy.Statement
	ok := true
	for _, it := range g.items {
		if !c.imply(u, g, it) {
			ok = false
			continue
		}
		for n, p := range it.perms {
			id := sid(c.set.Scope.Name, g.access.Name, string(g.target.ID), strconv.Itoa(it.index), strconv.Itoa(n))
			statements = append(statements, expiring(p.statement(id), g.access.Expires))
		}
	}
	if ok {
		u.inline[policyName(g.access.Name)] = statements
	}
	return ok
}

// imply adds the permissions on customer managed keys that using an item's
// encrypted resources takes, and a statement in the policy of each key, those
// that are declared among them, that does not let IAM policies decide about it.
func (c *compiler) imply(u *unit, g *grant, it *item) bool {
	grants, ok := c.keyGrants(it)
	if !ok {
		return false
	}
	for n := range it.perms {
		c.admitToKeys(g, it, n, u.account, grantee{who: policy.AWS(roleARN(u)), name: roleARN(u)})
	}
	for i := range grants {
		k := &grants[i]
		it.perms = append(it.perms, k.permission())
		if k.arn.Account == u.account.ID && delegates(k.key.Policy, u.account.ID, k.actions) {
			continue
		}
		c.keyStatement(g, k, grantee{who: policy.AWS(roleARN(u)), name: roleARN(u)})
	}
	return true
}

// permissions are everything g's items give.
func (g *grant) permissions() []Permission {
	var out []Permission
	for _, it := range g.items {
		out = append(out, it.perms...)
	}
	return out
}

// A grantee is who a statement in a resource's policy is for.
type grantee struct {
	who  *policy.Principals
	only []policy.Condition // what narrows who down, for permission-set roles
	name string             // ARN
}

// keyStatement wants a statement for to in the policy of a key.
func (c *compiler) keyStatement(g *grant, k *keyGrant, to grantee) {
	id := sid(append([]string{c.set.Scope.Name, g.access.Name, to.name, k.key.ARN}, k.purpose()...)...)
	st := policy.Statement{
		Sid: id, Effect: policy.Allow, Principal: to.who, Actions: policy.Texts(k.actions...),
		Resources:  policy.Texts("*"), // in a key policy, the key itself
		Conditions: append(k.conditions(), to.only...),
	}
	c.statement(Statement{
		Account: k.arn.Account, Region: k.arn.Region, Kind: KeyPolicy, Target: k.key.ARN,
		Statement: expiring(st, g.access.Expires), For: []string{g.access.Name},
	})
}

// statement wants s. Where several items need the same of one resource, what
// they name is put together.
func (c *compiler) statement(s Statement) {
	key := s.Target + "#" + s.Statement.Sid
	have := c.statements[key]
	if have == nil {
		c.statements[key] = &s
		return
	}
	for i, cond := range s.Statement.Conditions {
		if i < len(have.Statement.Conditions) {
			values := union(policy.Values(have.Statement.Conditions[i].Values), policy.Values(cond.Values))
			have.Statement.Conditions[i].Values = policy.Texts(values...)
		}
	}
}
