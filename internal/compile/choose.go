package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// patterns in the order a Choice lists those it rejected.
var patterns = [...]access.Pattern{access.WebIdentity, access.Chain, access.AssumeRole, access.ResourcePolicy, access.PodIdentityVia}

// choosePatterns settles the pattern of every item. What is forced is settled
// first, so that a quota is not used up by what could do without.
func (c *compiler) choosePatterns(grants []*grant) {
	c.needsOwn = ownIdentities(grants)
	slots := &providerSlots{world: c.world, planned: map[arn.AccountID]map[string]bool{}}
	for _, forced := range []bool{true, false} {
		for _, g := range grants {
			for _, it := range g.items {
				if (it.asked != access.Auto) != forced {
					continue
				}
				chooser{c, g, it, slots}.choose()
			}
		}
	}
	for _, g := range grants {
		if slices.ContainsFunc(g.items, func(it *item) bool { return it.choice.Pattern == "" }) {
			continue // reported
		}
		c.chosen = append(c.chosen, g)
		c.choices = append(c.choices, g.choices()...)
	}
}

// ownIdentities lists the service accounts that act under a role of their own
// account, with what for.
func ownIdentities(grants []*grant) map[string]string {
	out := map[string]string{}
	for _, g := range grants {
		for _, it := range g.items {
			if it.asked == access.ResourcePolicy && g.caller.isServiceAccount() && out[g.caller.name] == "" {
				out[g.caller.name] = fmt.Sprintf("what %s allows in %s", g.access.Name, g.target.Name)
			}
		}
	}
	return out
}

// choices are the choices of a grant's items: one for all where they agree,
// with the first item's reasons against the others.
func (g *grant) choices() []Choice {
	var out []Choice
	for _, it := range g.items {
		out = append(out, it.choice)
	}
	same := func(a, b Choice) bool {
		return a.Pattern == b.Pattern && a.Because == b.Because
	}
	if len(out) > 0 && !slices.ContainsFunc(out, func(ch Choice) bool { return !same(ch, out[0]) }) {
		one := out[0]
		one.Item = -1
		return []Choice{one}
	}
	return out
}

// providerSlots counts OIDC providers against each account's quota.
type providerSlots struct {
	world   world
	planned map[arn.AccountID]map[string]bool // URLs by account
}

// fits says whether account can have a provider for url: "" or why not.
func (s *providerSlots) fits(account *access.Account, url string) string {
	if _, state, _ := s.world.provider(account.ID, url); state == inventory.Exists || s.planned[account.ID][url] {
		return ""
	}
	a := s.world.account(account.ID)
	if a == nil {
		return ""
	}
	used := max(a.Quotas.OIDCProvidersUsed, countPresent(a.Providers)) + len(s.planned[account.ID])
	limit := cmp.Or(a.Quotas.OIDCProviders, catalog.OIDCProviders)
	if used < limit {
		return ""
	}
	return fmt.Sprintf("account %s has %d of %d OIDC providers, so this cluster's issuer cannot be added", account.Name, used, limit)
}

// plan takes a place for a provider that does not exist yet.
func (s *providerSlots) plan(account *access.Account, url string) {
	if _, state, _ := s.world.provider(account.ID, url); state == inventory.Exists {
		return
	}
	if s.planned[account.ID] == nil {
		s.planned[account.ID] = map[string]bool{}
	}
	s.planned[account.ID][url] = true
}

func countPresent[T any](m map[string]*T) int {
	n := 0
	for _, v := range m {
		if v != nil {
			n++
		}
	}
	return n
}

// A chooser settles one item.
type chooser struct {
	*compiler
	g     *grant
	it    *item
	slots *providerSlots
}

func (c chooser) choose() {
	p, because := c.it.asked, fmt.Sprintf("declared with via: %s", c.it.asked)
	if p == access.Auto {
		p, because = c.automatic()
	}
	if objection := c.objection(p); objection != "" {
		c.refuse(p, objection)
		return
	}
	choice := Choice{Access: c.g.access.Name, Caller: c.g.caller.name, Account: c.g.target.ID, Item: c.it.index, Pattern: p, Because: because}
	for _, other := range patterns {
		if other != p {
			choice.Rejected = append(choice.Rejected, Rejected{other, cmp.Or(c.objection(other), c.lessGood(other, p))})
		}
	}
	c.it.choice = choice
	switch p {
	case access.WebIdentity:
		c.slots.plan(c.g.target, c.g.caller.issuer)
	case access.Chain:
		c.slots.plan(c.g.caller.account, c.g.caller.issuer)
	case access.ResourcePolicy:
		if c.g.caller.isServiceAccount() {
			c.slots.plan(c.g.caller.account, c.g.caller.issuer)
		}
	case access.Auto, access.AssumeRole, access.PodIdentityVia:
	}
}

// automatic is DESIGN's table.
func (c chooser) automatic() (access.Pattern, string) {
	k := c.g.caller
	if k.ssoPattern != "" {
		return access.AssumeRole, "the caller is a permission set's role, whose name changes: the target's role trusts its account, narrowed to that permission set"
	}
	if !k.isServiceAccount() {
		return access.AssumeRole, fmt.Sprintf("the caller is an IAM %s: the target's role trusts exactly that principal, and the caller's own policy allows exactly that role", k.kind)
	}
	if k.cluster.Identity == access.PodIdentity {
		return access.PodIdentityVia, ""
	}
	if p, ok := c.recorded(); ok && c.objection(p) == "" {
		return p, "the role there is reached this way already; a pattern in use changes only with --repattern"
	}
	if why := c.objection(access.WebIdentity); why != "" {
		return access.Chain, why
	}
	if what, needs := c.needsOwn[k.name]; needs {
		return access.Chain, fmt.Sprintf("the caller needs its own account's identity for %s, and reaches other accounts from there", what)
	}
	return access.WebIdentity, fmt.Sprintf("the service account's token is exchanged in %s itself: no chain, no one-hour limit, API quotas counted in the target", c.g.target.Name)
}

// recorded is the pattern that an existing role of the scope shows to be in use.
func (c chooser) recorded() (access.Pattern, bool) {
	if c.options.Repattern {
		return "", false
	}
	r, state, _ := c.world.role(c.g.target.ID, roleName(c.set, c.g.access, c.g.caller.decl))
	if state != inventory.Exists || r.Tags[TagScope] != c.set.Scope.Name {
		return "", false
	}
	doc, err := policy.Parse([]byte(r.Trust))
	if err != nil {
		return "", false
	}
	provider := arn.OIDCProvider("aws", c.g.target.ID, c.g.caller.issuer).String()
	hub := arn.IAM("aws", c.g.caller.account.ID, "role", pathOf(c.g.caller.account), hubName(c.set, c.g.access, c.g.caller.decl)).String()
	straight, chained := false, false
	for _, st := range doc.Statements {
		straight = straight || names(st.Principal, provider)
		chained = chained || names(st.Principal, hub)
	}
	switch {
	case straight && !chained:
		return access.WebIdentity, true
	case chained && !straight:
		return access.Chain, true
	}
	return "", false
}

func names(p *policy.Principals, value string) bool {
	return p != nil && slices.ContainsFunc(p.Entries, func(e policy.PrincipalEntry) bool { return e.Value.Value == value })
}

// objection says why p cannot work for the item; "" when it can.
func (c chooser) objection(p access.Pattern) string {
	k := c.g.caller
	switch p {
	case access.WebIdentity:
		if !k.isServiceAccount() {
			return fmt.Sprintf("an IAM %s has no token of a cluster's OIDC issuer", k.kind)
		}
		if len(c.g.access.Session.Tags) > 0 {
			return "session tags are declared, and a service account's token carries none"
		}
		return c.slots.fits(c.g.target, k.issuer)
	case access.Chain:
		if !k.isServiceAccount() {
			return fmt.Sprintf("an IAM %s can be trusted itself; a hub role would only add a hop", k.kind)
		}
		return c.slots.fits(k.account, k.issuer)
	case access.AssumeRole:
		if k.isServiceAccount() {
			return "a service account has a token, not an IAM principal that could be trusted"
		}
		return ""
	case access.ResourcePolicy:
		return c.resourcePolicyObjection()
	case access.PodIdentityVia:
		if !k.isServiceAccount() {
			return fmt.Sprintf("an IAM %s is no pod", k.kind)
		}
		return "EKS Pod Identity is not in this version"
	case access.Auto:
	}
	return fmt.Sprintf("there is no pattern %q", p)
}

func (c chooser) resourcePolicyObjection() string {
	for i := range c.it.perms {
		p := &c.it.perms[i]
		if keysAlone(p) {
			if action := notAcrossAccounts(p); action != "" && c.g.caller.account.ID != c.g.target.ID {
				return fmt.Sprintf("KMS takes %s from the key's own account only", action)
			}
			continue
		}
		for _, r := range p.Resources {
			if !isSecret(r) {
				if isKey(r) {
					return fmt.Sprintf("key %s is allowed in one item with other resources, which its policy cannot be about", r)
				}
				return fmt.Sprintf("of the resource policies only those of secrets and KMS keys are written in this version, and %s is neither", r)
			}
		}
		if i := slices.IndexFunc(p.Actions, func(a string) bool { return !namesSecrets(a) || a == "*" }); i >= 0 {
			return fmt.Sprintf("a secret's policy cannot allow %s", p.Actions[i])
		}
	}
	if k := c.g.caller; k.isServiceAccount() {
		return c.slots.fits(k.account, k.issuer)
	}
	return ""
}

// lessGood says why p, which could work, was not taken.
func (c chooser) lessGood(p, chosen access.Pattern) string {
	forced := c.it.asked != access.Auto
	switch {
	case p == access.WebIdentity && forced:
		return "would do without a chain; another pattern is declared"
	case p == access.WebIdentity && chosen == access.Chain:
		return "the workload would have to choose between two identities"
	case p == access.Chain:
		return "would add a hub role, an AssumeRole call and a one-hour limit"
	case p == access.AssumeRole:
		return "the caller would have to change its identity; another pattern is declared"
	case p == access.ResourcePolicy:
		return "the caller would keep its own account's identity, which nothing here asks for"
	}
	return "another pattern is declared"
}

func (c chooser) refuse(p access.Pattern, objection string) {
	k, target := c.g.caller, c.g.target
	f := fault{code: CodePattern, at: c.it.allow.Pos}
	if (f.at == access.Pos{}) {
		f.at = c.g.access.Pos
	}
	switch {
	case p == access.PodIdentityVia && k.isServiceAccount():
		f.code = CodeUnsupported
		f.summary = fmt.Sprintf("%s gets its credentials from EKS Pod Identity, which is not in this version", k.name)
		f.hint = "say via: webIdentity in the Access, or identity: irsa in the Cluster"
	case c.it.asked == access.Auto:
		f.summary = fmt.Sprintf("no pattern works for %s in account %s: %s", k.name, target.Name, objection)
		f.hint = "ask AWS for a higher quota, or remove providers that are not used"
		if strings.Contains(objection, "OIDC providers") {
			f.code = CodeQuota
		}
	default:
		f.summary = fmt.Sprintf("via: %s cannot work for %s in account %s: %s", p, k.name, target.Name, objection)
		f.hint = "leave via out and let stile choose"
	}
	c.report.add(f)
}
