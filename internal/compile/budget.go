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

// A Budget is one of AWS's quotas with what a Wanted takes of it.
type Budget struct {
	Account arn.AccountID
	What    string // "trust policy of role payroll-api"
	Used    int
	Limit   int
	Unit    string // "characters", "roles", "providers"
	// Advice says what to do when Used is over Limit.
	Advice string
	access string // the first Access to blame
}

// Over reports whether AWS would refuse.
func (b *Budget) Over() bool { return b.Used > b.Limit }

// Budgets counts w against each account's own quotas as inv has them, against
// AWS's defaults where it does not. What others hold already is counted.
// Sorted by account, then What.
func Budgets(w *Wanted, inv *inventory.Inventory) []Budget {
	b := &budgeter{w: w, world: world{inv}}
	b.roles()
	b.callers()
	b.statements()
	b.providers()
	slices.SortFunc(b.out, func(x, y Budget) int {
		return cmp.Or(strings.Compare(string(x.Account), string(y.Account)), strings.Compare(x.What, y.What))
	})
	return b.out
}

type budgeter struct {
	w     *Wanted
	world world
	out   []Budget
}

func (b *budgeter) add(x Budget, reasons []string) {
	if len(reasons) > 0 {
		x.access = reasons[0]
	}
	b.out = append(b.out, x)
}

// quotas are an account's, the zero Quotas when they were not read.
func (b *budgeter) quotas(id arn.AccountID) inventory.Quotas {
	if a := b.world.account(id); a != nil {
		return a.Quotas
	}
	return inventory.Quotas{}
}

func (b *budgeter) roles() {
	fresh := map[arn.AccountID]int{}
	reasons := map[arn.AccountID][]string{}
	for i := range b.w.Roles {
		r := &b.w.Roles[i]
		q := b.quotas(r.Account)
		b.add(Budget{
			Account: r.Account, What: "trust policy of role " + r.Name, Used: r.Trust.Size(),
			Limit: cmp.Or(q.TrustPolicySize, catalog.TrustPolicySize), Unit: "characters",
			Advice: fmt.Sprintf("ask AWS to raise the quota L-C07B4B0D (up to %d), or give some callers a role of their own with as", catalog.TrustPolicySizeMax),
		}, r.For)
		size := 0
		for _, doc := range r.Inline {
			size += doc.Size()
		}
		b.add(Budget{
			Account: r.Account, What: "inline policies of role " + r.Name, Used: size,
			Limit: cmp.Or(q.RolePolicySize, catalog.RoleInlineSize), Unit: "characters",
			Advice: "this quota cannot be raised: allow fewer resources by wider patterns, or split the Access over several roles with as",
		}, r.For)
		if existing, _, _ := b.world.role(r.Account, r.Name); existing == nil {
			fresh[r.Account]++
			reasons[r.Account] = r.For
		}
	}
	for id, n := range fresh {
		q := b.quotas(id)
		b.add(Budget{
			Account: id, What: "roles", Used: q.RolesUsed + n, Limit: cmp.Or(q.Roles, catalog.RolesPerAccount), Unit: "roles",
			Advice: fmt.Sprintf("ask AWS to raise the quota (up to %d)", catalog.RolesPerAccountMax),
		}, reasons[id])
	}
}

func (b *budgeter) callers() {
	for i := range b.w.Callers {
		p := &b.w.Callers[i]
		q := b.quotas(p.Account)
		used, limit := p.Document.Size(), cmp.Or(q.RolePolicySize, catalog.RoleInlineSize)
		var others map[string]string
		if p.Kind == "user" {
			limit = cmp.Or(q.UserPolicySize, catalog.UserInlineSize)
			if u, _, _ := b.world.user(p.Account, p.Name); u != nil {
				others = u.Inline
			}
		} else if r, _, _ := b.world.role(p.Account, p.Name); r != nil {
			others = r.Inline
		}
		for name, text := range others {
			if name != p.PolicyName {
				used += policy.Size(text)
			}
		}
		b.add(Budget{
			Account: p.Account, What: "inline policies of " + p.Kind + " " + p.Name, Used: used, Limit: limit, Unit: "characters",
			Advice: "this quota cannot be raised: move some of its inline policies into managed ones, or reach fewer roles",
		}, p.For)
	}
}

// statements counts each resource policy with ours beside those of others.
func (b *budgeter) statements() {
	byTarget := map[string][]*Statement{}
	for i := range b.w.Statements {
		s := &b.w.Statements[i]
		byTarget[s.Target] = append(byTarget[s.Target], s)
	}
	for target, list := range byTarget {
		s := list[0]
		text, _ := s.Kind.PolicyOf(b.world.account(s.Account), s.Target)
		doc := parsedOrNil(text)
		for _, one := range list {
			doc = doc.Merge(one.Statement)
		}
		limit, noun := catalog.SecretPolicySize, "secret"
		if s.Kind == KeyPolicy {
			limit, noun = catalog.KMSKeyPolicySize, "key"
		}
		b.add(Budget{
			Account: s.Account, What: "policy of " + noun + " " + target, Used: doc.Size(), Limit: limit, Unit: "characters",
			Advice: "this quota cannot be raised: give the callers a role in the " + noun + "'s account instead (leave via out)",
		}, s.For)
	}
}

// parsedOrNil parses a document that others wrote; one that cannot be read
// counts as empty here and is met again where it matters.
func parsedOrNil(text string) *policy.Document {
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		return nil
	}
	return doc
}

func (b *budgeter) providers() {
	fresh := map[arn.AccountID]int{}
	reasons := map[arn.AccountID][]string{}
	for _, p := range b.w.Providers {
		if _, state, _ := b.world.provider(p.Account, p.URL); state != inventory.Exists {
			fresh[p.Account]++
			reasons[p.Account] = p.For
		}
	}
	for id, n := range fresh {
		q := b.quotas(id)
		b.add(Budget{
			Account: id, What: "OIDC providers", Used: q.OIDCProvidersUsed + n, Limit: cmp.Or(q.OIDCProviders, catalog.OIDCProviders), Unit: "providers",
			Advice: fmt.Sprintf("ask AWS to raise the quota L-858F3967 (up to %d), or use via: chain", catalog.OIDCProvidersMax),
		}, reasons[id])
	}
}

// checkBudgets reports every quota that w would exceed.
func (c *compiler) checkBudgets(w *Wanted) {
	for _, b := range Budgets(w, c.world.inv) {
		if !b.Over() {
			continue
		}
		where := string(b.Account)
		if a, ok := c.set.Account(where); ok {
			where = fmt.Sprintf("%s (%s)", a.Name, a.ID)
		}
		c.report.add(fault{
			code: CodeQuota, at: c.accessPos(b.access),
			summary: fmt.Sprintf("%s in account %s would have %d %s, over the quota of %d", b.What, where, b.Used, b.Unit, b.Limit),
			hint:    b.Advice,
		})
	}
}

func (c *compiler) accessPos(name string) access.Pos {
	i := slices.IndexFunc(c.set.Accesses, func(a *access.Access) bool { return a.Name == name })
	if i < 0 {
		return access.Pos{}
	}
	return c.set.Accesses[i].Pos
}
