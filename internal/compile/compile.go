package compile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// Options change how Compile works. The zero Options are the default.
type Options struct {
	// Repattern lets Compile choose a new pattern where an existing role shows
	// that another one is in use.
	Repattern bool
}

// Compile turns a set into what is wanted in every account. With an error
// among the diagnostics there is no Wanted: nothing is compiled by halves.
// Neither set nor inv is changed.
func Compile(set *access.Set, inv *inventory.Inventory) (*Wanted, diag.List) {
	return Options{}.Compile(set, inv)
}

// Compile is the function of that name under options.
func (o Options) Compile(set *access.Set, inv *inventory.Inventory) (*Wanted, diag.List) {
	c := &compiler{
		set: set, world: world{inv}, options: o,
		own: ownRoles(set), units: map[unitKey]*unit{}, providers: map[providerKey]*Provider{},
		callers: map[string]*callerPolicy{}, statements: map[string]*Statement{}, assumed: map[string]bool{},
	}
	c.checkProfiles()
	c.choosePatterns(c.grants())
	c.buildAll()
	c.settlePending()
	c.checkCycles()
	w := c.wanted()
	c.checkBudgets(w)
	list := c.report.list
	list.Sort()
	if list.HasErrors() {
		return nil, list
	}
	return w, list
}

// checkProfiles says that declared profiles are written nowhere yet: they change
// nothing in any account, so the rest of the declaration stands.
func (c *compiler) checkProfiles() {
	for _, a := range c.set.Accesses {
		if len(a.Profiles) == 0 {
			continue
		}
		c.report.add(fault{
			code: CodeUnsupported, at: a.Pos, warning: true,
			summary: fmt.Sprintf("the profiles of %s are not written by this version", a.Name),
			hint:    "write the AWS config file of the workload yourself: role_arn with web_identity_token_file or source_profile",
		})
	}
}

// compiler is one run of Compile.
type compiler struct {
	set     *access.Set
	world   world
	options Options
	report  reporter
	own     map[unitKey]ownRole

	chosen     []*grant
	needsOwn   map[string]string // service accounts that also act under their own account's role: name to why
	units      map[unitKey]*unit
	providers  map[providerKey]*Provider
	callers    map[string]*callerPolicy // by ARN
	statements map[string]*Statement    // by target and Sid
	pending    []pendingPermission
	routes     []Route
	choices    []Choice
	assumed    map[string]bool // lines of Wanted.Assumed
}

type providerKey struct {
	account arn.AccountID
	url     string
}

// A grant is what one Access allows one caller in one account.
type grant struct {
	access *access.Access
	caller *caller
	target *access.Account
	items  []*item
}

// An item is one entry of Allow, written out for the target.
type item struct {
	index   int
	allow   *access.Allow
	asked   access.Pattern // never ""
	perms   []Permission
	secrets []secret
	keys    []declaredKey
	// encrypted has what beside secrets the permissions name that is under a KMS key.
	encrypted []encrypted
	accepted  []string // keys that the item's things may be under, of whichever account
	choice    Choice
}

// pattern is the one chosen or, before that, the one asked for.
func (it *item) pattern() access.Pattern { return cmp.Or(it.choice.Pattern, it.asked) }

// ownRole is a role the declarations may make.
type ownRole struct{ path, name string }

// ownRoles lists the roles of a set that can be callers of others of its
// declarations before they exist.
func ownRoles(set *access.Set) map[unitKey]ownRole {
	out := map[unitKey]ownRole{}
	for _, a := range set.Accesses {
		for i := range a.From {
			from := &a.From[i]
			for _, name := range a.To.Accounts {
				if account, ok := set.Account(name); ok && hasRolePattern(a) {
					role := roleName(set, a, from)
					out[unitKeyOf(account.ID, role)] = ownRole{pathOf(account), role}
				}
			}
			if account, ok := hubAccount(set, from); ok {
				role := hubName(set, a, from)
				out[unitKeyOf(account.ID, role)] = ownRole{pathOf(account), role}
			}
		}
	}
	return out
}

// hasRolePattern reports whether some item of a is used under a role of its own.
func hasRolePattern(a *access.Access) bool {
	return slices.ContainsFunc(a.Allow, func(al access.Allow) bool { return asked(a, &al) != access.ResourcePolicy })
}

// asked is the pattern an item asks for.
func asked(a *access.Access, al *access.Allow) access.Pattern {
	return cmp.Or(al.Via, a.Via, access.Auto)
}

// hubAccount is the account of a service account's cluster.
func hubAccount(set *access.Set, from *access.Caller) (*access.Account, bool) {
	if from.ServiceAccount == nil {
		return nil, false
	}
	cluster, ok := set.Cluster(from.ServiceAccount.Cluster)
	if !ok {
		return nil, false
	}
	return set.Account(cluster.Account)
}

// account finds a declared account and reports one that is not, or does not answer.
func (c *compiler) account(name string, at access.Pos) (*access.Account, bool) {
	a, ok := c.set.Account(name)
	if !ok {
		c.report.errorf(CodeUnknownName, at, "there is no Account %q in the declarations", name)
		return nil, false
	}
	if why, silent := c.world.silent(a.ID); silent {
		c.report.add(fault{
			code: CodeAccountUnread, at: a.Pos, summary: fmt.Sprintf("account %s (%s) could not be read: %s", a.Name, a.ID, why),
			hint: "check readWith (or manageWith) of the account, and that its role can be assumed from here",
		})
		return nil, false
	}
	return a, true
}

// grants lists everything declared, sorted so that the order of declarations
// does not matter. What could not be resolved is reported and left out.
func (c *compiler) grants() []*grant {
	var out []*grant
	for _, a := range c.set.Accesses {
		targets := c.targets(a)
		for i := range a.From {
			k, ok := c.resolveCaller(&a.From[i])
			if !ok {
				continue
			}
			for _, t := range targets {
				if items, ok := c.items(a, t); ok {
					out = append(out, &grant{access: a, caller: k, target: t, items: items})
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *grant) int {
		return cmp.Or(strings.Compare(a.access.Name, b.access.Name), strings.Compare(a.caller.name, b.caller.name),
			strings.Compare(string(a.target.ID), string(b.target.ID)))
	})
	return out
}

func (c *compiler) targets(a *access.Access) []*access.Account {
	var out []*access.Account
	for _, name := range a.To.Accounts {
		if t, ok := c.account(name, a.To.Pos); ok && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// checkBoundary reports a permissions boundary that was looked for and is not there.
func (c *compiler) checkBoundary(t *access.Account) {
	account := c.world.account(t.ID)
	if t.PermissionsBoundary == "" || account == nil {
		return
	}
	if _, state := inventory.Get(account.Managed, t.PermissionsBoundary); state == inventory.Absent {
		c.report.add(fault{
			code: CodeNoBoundary, at: t.Pos,
			summary: fmt.Sprintf("the permissions boundary %s of account %s does not exist", t.PermissionsBoundary, t.Name),
			hint:    "create that managed policy first, or correct permissionsBoundary",
		})
	}
}

// items writes out what a allows in one account.
func (c *compiler) items(a *access.Access, target *access.Account) ([]*item, bool) {
	var out []*item
	ok := true
	for i := range a.Allow {
		it := &item{index: i, allow: &a.Allow[i], asked: asked(a, &a.Allow[i])}
		perms, faults := writeOut(it.allow, target)
		for _, f := range faults {
			c.report.add(f)
		}
		it.perms, it.accepted = perms, acceptedKeys(it.allow, target)
		if len(faults) > 0 || !c.canEnd(a, it) || !c.findSecrets(it, target) || !c.findKeys(it, target) {
			ok = false
			continue
		}
		c.findEncrypted(it, target)
		out = append(out, it)
	}
	return out, ok
}

// buildAll makes the documents of every grant, by the pattern of each item.
func (c *compiler) buildAll() {
	for _, g := range c.chosen {
		for _, p := range []access.Pattern{access.WebIdentity, access.Chain, access.AssumeRole, access.ResourcePolicy} {
			part := *g
			part.items = slices.DeleteFunc(slices.Clone(g.items), func(it *item) bool { return it.choice.Pattern != p })
			if len(part.items) > 0 {
				c.build(&part, p)
			}
		}
	}
}

func (c *compiler) build(g *grant, p access.Pattern) {
	switch p {
	case access.WebIdentity:
		c.buildWebIdentity(g)
	case access.Chain:
		c.buildChain(g)
	case access.AssumeRole:
		c.buildAssumeRole(g)
	case access.ResourcePolicy:
		c.buildResourcePolicy(g)
	case access.Auto, access.PodIdentityVia:
		// The chooser never leaves these.
	}
}

// route is the part of a Route that all patterns share.
func (g *grant) route(p access.Pattern) Route {
	return Route{Access: g.access.Name, Caller: g.caller.route(), Account: g.target.ID, Pattern: p, Expires: g.access.Expires}
}

// claim is g's claim on a role.
func (g *grant) claim(hub bool) claim {
	return claim{caller: g.caller.name, access: g.access, hub: hub}
}

// expiring adds to st the condition that ends it.
func expiring(st policy.Statement, expires time.Time) policy.Statement {
	if expires.IsZero() {
		return st
	}
	// Two conditions may not share operator and key; all of these mean the same
	// here, because aws:CurrentTime is in every request.
	if op, ok := endOperator(st.Conditions); ok { // items has reported where not
		st.Conditions = append(slices.Clone(st.Conditions), policy.Cond(op, "aws:CurrentTime", expires.UTC().Format(time.RFC3339)))
	}
	return st
}

// endOperator is one by which conditions can get an end; false when all are taken.
func endOperator(conditions []policy.Condition) (string, bool) {
	for _, op := range []string{"DateLessThan", "DateLessThanEquals", "DateLessThanIfExists", "DateLessThanEqualsIfExists"} {
		taken := slices.ContainsFunc(conditions, func(c policy.Condition) bool {
			return c.Operator == op && strings.EqualFold(c.Key, "aws:CurrentTime")
		})
		if !taken {
			return op, true
		}
	}
	return "", false
}

// canEnd reports declared conditions that leave no room for the expiry.
func (c *compiler) canEnd(a *access.Access, it *item) bool {
	if a.Expires.IsZero() || len(it.perms) == 0 {
		return true
	}
	if _, ok := endOperator(it.perms[0].Conditions); ok {
		return true
	}
	c.report.add(fault{
		code: CodeNoEnd, at: it.allow.Pos,
		summary: fmt.Sprintf("the end of %s cannot be written: the conditions use every DateLessThan operator on aws:CurrentTime", a.Name),
		detail:  "a statement holds one condition of each operator and key, and expires takes one",
		hint:    "leave the conditions on aws:CurrentTime that end later than expires out",
	})
	return false
}

// provider wants an OIDC provider for the caller's issuer in an account and
// returns its ARN.
func (c *compiler) provider(g *grant, account *access.Account) string {
	key := providerKey{account.ID, g.caller.issuer}
	p := c.providers[key]
	if p == nil {
		p = &Provider{Account: account.ID, URL: g.caller.issuer, ClientIDs: []string{audience}}
		c.providers[key] = p
	}
	p.For = union(p.For, []string{g.access.Name})
	return arn.OIDCProvider("aws", account.ID, g.caller.issuer).String()
}

// wanted gathers what was built, sorted.
func (c *compiler) wanted() *Wanted {
	w := &Wanted{Scope: c.set.Scope.Name, Routes: c.routes, Choices: c.choices, Assumed: slices.Sorted(maps.Keys(c.assumed))}
	for _, p := range c.providers {
		w.Providers = append(w.Providers, *p)
	}
	for _, k := range sortedKeys(c.units) {
		w.Roles = append(w.Roles, c.role(c.units[k]))
	}
	for _, p := range c.callers {
		w.Callers = append(w.Callers, c.callerPolicy(p))
	}
	for _, s := range c.statements {
		w.Statements = append(w.Statements, *s)
	}
	w.sort()
	return w
}

func (w *Wanted) sort() {
	slices.SortFunc(w.Providers, func(a, b Provider) int {
		return cmp.Or(strings.Compare(string(a.Account), string(b.Account)), strings.Compare(a.URL, b.URL))
	})
	slices.SortFunc(w.Roles, func(a, b Role) int {
		return cmp.Or(strings.Compare(string(a.Account), string(b.Account)), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(w.Callers, func(a, b CallerPolicy) int {
		return cmp.Or(strings.Compare(string(a.Account), string(b.Account)), strings.Compare(a.Name, b.Name), strings.Compare(a.Kind, b.Kind))
	})
	slices.SortFunc(w.Statements, func(a, b Statement) int {
		return cmp.Or(strings.Compare(string(a.Account), string(b.Account)), strings.Compare(a.Target, b.Target),
			strings.Compare(a.Statement.Sid, b.Statement.Sid))
	})
	slices.SortStableFunc(w.Routes, func(a, b Route) int {
		return cmp.Or(strings.Compare(a.Access, b.Access), strings.Compare(a.Caller.Name, b.Caller.Name),
			strings.Compare(string(a.Account), string(b.Account)), strings.Compare(string(a.Pattern), string(b.Pattern)))
	})
	slices.SortStableFunc(w.Choices, func(a, b Choice) int {
		return cmp.Or(strings.Compare(a.Access, b.Access), strings.Compare(a.Caller, b.Caller),
			strings.Compare(string(a.Account), string(b.Account)), cmp.Compare(a.Item, b.Item))
	})
}
