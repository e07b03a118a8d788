package reach

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/reach/actions"
	"github.com/stile-aws/stile/internal/reach/trustees"
	"github.com/stile-aws/stile/policy"
)

func decimal(n int) string { return strconv.Itoa(n) }

// expand lists the names of the actions that a pattern stands for; nil when the
// catalog knows none.
func (g *Graph) expand(pattern string) []string {
	key := strings.ToLower(pattern)
	if known, ok := g.expanded.Load(key); ok {
		return known.([]string)
	}
	var names []string
	if !isPattern(pattern) {
		names = []string{pattern}
	} else {
		for _, a := range catalog.ExpandAction(pattern) {
			names = append(names, a.Name)
		}
		slices.Sort(names)
	}
	known, _ := g.expanded.LoadOrStore(key, names)
	return known.([]string)
}

func comparePermissions(a, b Permission) int {
	return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(order(a.Proof), order(b.Proof)), cmp.Compare(a.Why, b.Why), slices.Compare(a.Actions, b.Actions))
}

// order puts what is denied last.
func order(p Proof) int {
	if p == 0 {
		return int(Unread) + 1
	}
	return int(p)
}

// mergedPermissions joins those of one statement and resource that have the
// same answer.
func mergedPermissions(list []Permission) []Permission {
	slices.SortStableFunc(list, comparePermissions)
	var out []Permission
	for _, p := range list {
		if n := len(out) - 1; n >= 0 && out[n].Proof == p.Proof && out[n].Why == p.Why && out[n].Resource == p.Resource && slices.Equal(out[n].Partly, p.Partly) && out[n].Except == nil && p.Except == nil {
			out[n].Actions = append(out[n].Actions, p.Actions...)
			continue
		}
		out = append(out, p)
	}
	for i := range out {
		slices.Sort(out[i].Actions)
		out[i].Actions = slices.Compact(out[i].Actions)
	}
	return out
}

// carrier is a resource whose policy or grants name principals.
type carrier struct {
	arn   string
	owner arn.AccountID
	names trustees.Names // of Allow statements and grants
	guard *effective.Side
}

// carriers are all resources of the inventory but roles that let somebody in,
// sorted by ARN, found once.
func (g *Graph) carriers() []carrier {
	g.once.Do(func() {
		g.carrying = g.findCarriers()
		g.carryingFor = map[string][]int{}
		for i := range g.carrying {
			for _, key := range namedKeys(&g.carrying[i].names) {
				g.carryingFor[key] = append(g.carryingFor[key], i)
			}
		}
	})
	return g.carrying
}

// everyoneKey is the key of those whom nothing names.
const everyoneKey = "*"

// namedKeys are the keys by which carriersFor finds a carrier: ARNs, unique ids,
// accounts, and "*".
func namedKeys(t *trustees.Names) []string {
	keys := slices.Concat(t.Entities, t.IDs)
	for _, id := range t.Accounts {
		keys = append(keys, string(id))
	}
	for _, s := range t.Sessions {
		role, _, _ := s.RoleSession()
		keys = append(keys, string(s.Account)+"/"+role)
	}
	if t.Everyone {
		keys = append(keys, everyoneKey)
	}
	return sortedUnique(keys)
}

// carriersFor lists the carriers that may give n something.
func (g *Graph) carriersFor(n *node) []*carrier {
	carriers := g.carriers()
	id, _, _ := strings.Cut(n.principal.ID, ":")
	var found []int
	for _, key := range []string{g.nodes[g.roleOf(n.ID)].Key, id, string(n.Account), string(n.Account) + "/" + n.principal.Entity.Name(), everyoneKey} {
		if key != "" {
			found = append(found, g.carryingFor[key]...)
		}
	}
	var out []*carrier
	for _, i := range sortedUnique(found) {
		out = append(out, &carriers[i])
	}
	return out
}

func (g *Graph) findCarriers() []carrier {
	var list []carrier
	for id, account := range sorted(g.inv.Accounts) {
		if account == nil {
			continue
		}
		for _, s := range sorted(account.Secrets) {
			if s != nil && s.Policy != "" {
				list = append(list, carrier{arn: s.ARN, owner: id})
			}
		}
		for name, k := range sorted(account.Keys) {
			if k != nil {
				list = append(list, carrier{arn: name, owner: id})
			}
		}
		for name, r := range sorted(account.Resources) {
			if r != nil && r.Policy != "" {
				list = append(list, carrier{arn: name, owner: id})
			}
		}
	}
	slices.SortFunc(list, func(a, b carrier) int { return cmp.Compare(a.arn, b.arn) })
	list = slices.CompactFunc(list, func(a, b carrier) bool { return a.arn == b.arn })
	g.Spread(len(list), nil, func(_, i int) { g.lookInto(&list[i]) })
	return list
}

// lookInto finds whom a resource's policy and grants name.
func (g *Graph) lookInto(c *carrier) {
	c.guard = g.view.Guard(effective.Question{Action: "any:Action", Resource: c.arn})
	pols := c.guard.Policies()
	if pols.Resource != nil {
		for i := range pols.Resource.Document().Statements {
			if st := &pols.Resource.Document().Statements[i]; st.Effect == policy.Allow {
				c.names.Add(st)
			}
		}
	}
	for i := range pols.Grants {
		c.names.AddAWS(pols.Grants[i].Grantee)
	}
}

// givenPermissions decides what policies of resources and grants give n that it
// would not have by its own policies, or not without them.
func (g *Graph) givenPermissions(n *node) []Permission {
	var out []Permission
	for _, c := range g.carriersFor(n) {
		e := newExpander(g, n)
		e.real, e.guards[c.arn] = true, c.guard
		out = append(out, e.given(c)...)
	}
	return out
}

// given decides the statements of a resource's policy that name the principal.
// The root of its account alone adds nothing to what the principal's own
// policies say, so such statements are left out.
func (e *expander) given(c *carrier) []Permission {
	var out []Permission
	pols := c.guard.Policies()
	if pols.Resource != nil {
		for i := range pols.Resource.Document().Statements {
			st := &pols.Resource.Document().Statements[i]
			var t trustees.Names
			if t.Add(st); st.Effect != policy.Allow || !namesRole(&t, e.n) && (c.owner == e.n.Account || !slices.Contains(t.Accounts, e.n.Account)) {
				continue
			}
			for _, resource := range guarded(c, st) {
				out = append(out, e.statement(pols.Resource.Source(), i, st, resource)...)
			}
		}
	}
	for _, grant := range pols.Grants {
		var t trustees.Names
		if t.AddAWS(grant.Grantee); !namesRole(&t, e.n) {
			continue
		}
		st := &policy.Statement{Effect: policy.Allow, Actions: kmsActions(grant.Operations)}
		src := authz.Source{Layer: authz.LayerGrant, Name: "grant " + grant.ID}
		out = append(out, e.statement(src, 0, st, c.arn)...)
	}
	return slices.DeleteFunc(out, func(p Permission) bool { return p.Proof == 0 })
}

func kmsActions(operations []string) []policy.Text {
	var out []policy.Text
	for _, o := range operations {
		out = append(out, policy.Text{Value: "kms:" + o})
	}
	return out
}

// guarded lists the resources that a statement of a resource's policy is about:
// "*" is the resource itself.
func guarded(c *carrier, st *policy.Statement) []string {
	var out []string
	for _, r := range resourcesOf(st) {
		if r == "*" {
			r = c.arn
		}
		out = append(out, r)
	}
	return sortedUnique(out)
}

// Permissions is what a user or role may do by its own policies and by what
// resources give it, without what is denied.
func (g *Graph) Permissions(id NodeID) []Permission {
	n := &g.nodes[id]
	if n.side == nil {
		return nil
	}
	list := slices.Concat(g.ownPermissions(n), g.givenPermissions(n))
	return slices.DeleteFunc(list, func(p Permission) bool { return p.Proof == 0 })
}

// Names lists the actions that patterns stand for, but for those that others
// do; a pattern of which the catalog knows none stands for itself.
func (g *Graph) Names(patterns, but []string) []string {
	except := map[string]bool{}
	for _, pattern := range but {
		for _, name := range g.expand(pattern) {
			except[name] = true
		}
	}
	var out []string
	for _, pattern := range patterns {
		names := g.expand(pattern)
		if len(names) == 0 {
			names = []string{pattern}
		}
		for _, name := range names {
			if !except[name] {
				out = append(out, name)
			}
		}
	}
	return out
}

// Grouped is a list of actions, sorted, with the actions of a service as one
// where all of them are there.
func (g *Graph) Grouped(names []string) []string { return actions.Shorten("*", g.expand("*"), names) }
