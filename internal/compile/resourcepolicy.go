package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/policy"
)

// Resource policy: the caller keeps its own identity. The policy of the secret
// and that of its key, or of the key that is declared itself, name the caller,
// and the caller's own policy allows the full ARNs. A service account acts under its role in the cluster's account.

func (c *compiler) buildResourcePolicy(g *grant) {
	r := g.route(access.ResourcePolicy)
	to := grantee{name: g.caller.principal}
	var own *unit
	if g.caller.isServiceAccount() {
		own = c.unit(g.caller.account, hubName(c.set, g.access, g.caller.decl), g.claim(true))
		hop, ok := c.enterByToken(own, g, g.caller.account)
		if !ok {
			return
		}
		r.Hops, r.Address = []Hop{hop}, addressOf(own)
		to.name, to.who = roleARN(own), policy.AWS(roleARN(own))
	} else {
		to.who, to.only = g.caller.trustPrincipal()
	}
	for _, it := range g.items {
		perms, ok := c.share(g, it, to)
		if !ok {
			return
		}
		r.Allow = append(r.Allow, perms...)
		c.callerSide(g, it, own, perms)
	}
	c.routes = append(c.routes, r)
}

// share writes the resources' side of an item: statements in the policies of
// the secrets, of their keys, and of keys that are declared. It returns the
// caller's side.
func (c *compiler) share(g *grant, it *item, to grantee) ([]Permission, bool) {
	if f, bad := unshareable(it); bad {
		c.report.add(f)
		return nil, false
	}
	var perms []Permission
	for n, p := range it.perms {
		c.admitToKeys(g, it, n, g.caller.account, to)
		if keysAlone(&p) {
			perms = append(perms, p)
			continue
		}
		p.Resources = c.shareSecrets(g, it, p, n, to)
		perms = append(perms, p)
	}
	sameAccount := g.caller.account.ID == g.target.ID
	if !sameAccount && !c.customerKeys(it) {
		return nil, false
	}
	grants, ok := c.keyGrants(it)
	if !ok {
		return nil, false
	}
	for i := range grants {
		k := &grants[i]
		perms = append(perms, k.permission())
		if k.arn.Account == g.caller.account.ID && delegates(k.key.Policy, g.caller.account.ID, k.actions) {
			continue
		}
		c.keyStatement(g, k, to)
	}
	return perms, true
}

// unshareable reports a resource that names no single secret.
func unshareable(it *item) (fault, bool) {
	for _, ref := range secretRefs(it.perms) {
		if canLookUp(ref.resource) {
			continue
		}
		return fault{
			code: CodeBadResource, at: it.allow.Pos, summary: fmt.Sprintf("%s names no single secret, so there is no policy to share it by", ref.resource),
			hint: "name each secret as secret:NAME-*, with account and region",
		}, true
	}
	return fault{}, false
}

// shareSecrets wants a statement for p in the policy of each secret it names,
// and returns the secrets' full ARNs.
func (c *compiler) shareSecrets(g *grant, it *item, p Permission, n int, to grantee) []string {
	var full []string
	for _, s := range it.secrets {
		if !slices.Contains(p.Resources, s.resource) {
			continue
		}
		full = union(full, []string{s.ARN})
		id := sid(c.set.Scope.Name, g.access.Name, to.name, s.ARN, strconv.Itoa(it.index), strconv.Itoa(n))
		st := policy.Statement{
			Sid: id, Effect: policy.Allow, Principal: to.who, Actions: policy.Texts(p.Actions...),
			Resources:  policy.Texts("*"), // in a secret's policy, the secret itself
			Conditions: slices.Concat(p.Conditions, to.only),
		}
		c.statement(Statement{
			Account: g.target.ID, Region: s.arn.Region, Kind: SecretPolicy, Target: s.ARN,
			Statement: expiring(st, g.access.Expires), For: []string{g.access.Name},
		})
	}
	return full
}

// customerKeys reports secrets that cannot be shared across accounts, because
// they are encrypted with the AWS managed key. Source: Secrets Manager guide
// auth-and-access_examples_cross: "You can't use the AWS managed key
// (aws/secretsmanager) for cross-account access".
func (c *compiler) customerKeys(it *item) bool {
	ok := true
	for _, s := range it.secrets {
		if len(s.keyUse) == 0 {
			continue
		}
		e := s.encrypted()
		if _, state := c.keyOf(it, &e); state != keyOfAWS {
			continue
		}
		ok = false
		c.report.add(fault{
			code: CodeManagedKey, at: it.allow.Pos,
			summary: fmt.Sprintf("secret %s cannot be shared: it is encrypted with the AWS managed key aws/secretsmanager", s.Name),
			detail:  "the policy of an AWS managed key cannot be changed, and it admits its own account only",
			hint:    "re-encrypt the secret under a customer managed key (aws secretsmanager update-secret --kms-key-id), or leave via out: a role in the secret's account needs no sharing",
		})
	}
	return ok
}

// callerSide allows the caller itself what the resources now admit it to.
func (c *compiler) callerSide(g *grant, it *item, own *unit, perms []Permission) {
	for n, p := range perms {
		id := sid(c.set.Scope.Name, g.access.Name, string(g.target.ID), strconv.Itoa(it.index), strconv.Itoa(n), "own")
		st := expiring(p.statement(id), g.access.Expires)
		if own != nil {
			name := policyName(g.access.Name)
			own.inline[name] = append(own.inline[name], st)
			continue
		}
		resources := policy.Values(st.Resources)
		st.Resources = nil
		if g.caller.ssoPattern != "" {
			resources = []string{strings.Join(resources, ", ")}
		}
		for _, r := range resources {
			c.callerMay(g, st, r)
		}
	}
}
