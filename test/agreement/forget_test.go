package agreement_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/verify"
)

// A forgetting makes something of an account not known, in one of the ways in
// which reading it can fail.
type forgetting struct {
	name   string
	change func(w *world, inv *inventory.Inventory, a *inventory.Account)
}

const unreadable = "the connection was lost"

// forgettings has one for every kind of thing that decides.
var forgettings = []forgetting{
	{"an account", func(_ *world, inv *inventory.Inventory, a *inventory.Account) { delete(inv.Accounts, a.ID) }},
	{"all of IAM", func(_ *world, _ *inventory.Inventory, a *inventory.Account) {
		*a = inventory.Account{ID: a.ID, Member: a.Member, Secrets: a.Secrets, Keys: a.Keys, Resources: a.Resources, Listed: a.Listed}
	}},
	{"a role", func(w *world, _ *inventory.Inventory, a *inventory.Account) {
		delete(a.Roles, oneOf(w, a.Roles))
		a.Complete = false
	}},
	{"the users", func(_ *world, _ *inventory.Inventory, a *inventory.Account) { a.Users, a.Complete = nil, false }},
	{"a trust policy", func(w *world, _ *inventory.Inventory, a *inventory.Account) {
		edit(a.Roles, oneOf(w, a.Roles), func(r *inventory.Role) { r.Trust = inventory.Unknown(unreadable) })
	}},
	{"an inline policy", func(w *world, _ *inventory.Inventory, a *inventory.Account) {
		edit(a.Roles, oneOf(w, a.Roles), func(r *inventory.Role) {
			r.Inline = maps.Clone(r.Inline)
			r.Inline["p0"] = inventory.Unknown(unreadable)
		})
	}},
	{"a group's policies", func(_ *world, _ *inventory.Inventory, a *inventory.Account) {
		edit(a.Users, "ann", func(u *inventory.User) {
			u.Groups = []inventory.Group{{Name: "devs", Attached: []string{inventory.Unknown(unreadable)}}}
		})
	}},
	{"managed policies", func(_ *world, _ *inventory.Inventory, a *inventory.Account) { a.Managed = nil }},
	{"a managed policy's text", func(_ *world, _ *inventory.Inventory, a *inventory.Account) {
		for ref := range a.Managed {
			edit(a.Managed, ref, func(m *inventory.Managed) { m.Document = inventory.Unknown(unreadable) })
		}
	}},
	{"the organization", func(_ *world, inv *inventory.Inventory, _ *inventory.Account) {
		inv.Organization, inv.OrgState = nil, inventory.Unread
	}},
	{"that there is an organization", func(_ *world, inv *inventory.Inventory, _ *inventory.Account) {
		inv.Organization, inv.OrgState = nil, inventory.NotAsked
		for id, b := range inv.Accounts {
			forgotten := *b
			forgotten.Member = inventory.Membership{}
			inv.Accounts[id] = &forgotten
		}
	}},
	{"in which organization an account is", func(_ *world, _ *inventory.Inventory, a *inventory.Account) {
		a.Member = inventory.Membership{State: inventory.Unread, Why: unreadable}
	}},
	{"service control policies' texts", func(_ *world, inv *inventory.Inventory, _ *inventory.Account) {
		for id := range inv.Organization.Policies {
			edit(inv.Organization.Policies, id, func(p *inventory.OrgPolicy) { p.Document = inventory.Unknown(unreadable) })
		}
	}},
	{"a service control policy", func(w *world, inv *inventory.Inventory, _ *inventory.Account) {
		if id := oneOf(w, inv.Organization.Policies); id != "p-FullAWSAccess" {
			delete(inv.Organization.Policies, id)
		}
	}},
	{"resource control policies", func(_ *world, inv *inventory.Inventory, _ *inventory.Account) {
		inv.Organization.RCPState, inv.Organization.RCPs = inventory.Unread, nil
	}},
	{"whether there are resource control policies", func(_ *world, inv *inventory.Inventory, _ *inventory.Account) {
		inv.Organization.RCPState, inv.Organization.RCPs = inventory.NotAsked, nil
	}},
	{"a resource control policy", func(w *world, inv *inventory.Inventory, _ *inventory.Account) {
		delete(inv.Organization.RCPs, oneOf(w, inv.Organization.RCPs))
	}},
	{"secrets", func(_ *world, _ *inventory.Inventory, a *inventory.Account) {
		a.Secrets = nil
		delete(a.Listed, inventory.ListKey(inventory.KindSecrets, region))
	}},
	{"secrets, which could not be listed", func(_ *world, _ *inventory.Inventory, a *inventory.Account) {
		a.Secrets = nil
		a.Listed[inventory.ListKey(inventory.KindSecrets, region)] = inventory.Unread
	}},
	{"a secret's policy", func(w *world, _ *inventory.Inventory, a *inventory.Account) {
		edit(a.Secrets, oneOf(w, a.Secrets), func(s *inventory.Secret) { s.Policy = inventory.Unknown(unreadable) })
	}},
	{"keys", func(_ *world, _ *inventory.Inventory, a *inventory.Account) {
		a.Keys = nil
		delete(a.Listed, inventory.ListKey(inventory.KindKeys, region))
	}},
	{"a key's policy", func(w *world, _ *inventory.Inventory, a *inventory.Account) {
		edit(a.Keys, w.keys[a.ID].ARN().String(), func(k *inventory.Key) { k.Policy = inventory.Unknown(unreadable) })
	}},
	{"a key's grants", func(w *world, _ *inventory.Inventory, a *inventory.Account) {
		edit(a.Keys, w.keys[a.ID].ARN().String(), func(k *inventory.Key) { k.Grants, k.GrantState = nil, inventory.NotAsked })
	}},
	{"a key's grants, which could not be listed", func(w *world, _ *inventory.Inventory, a *inventory.Account) {
		edit(a.Keys, w.keys[a.ID].ARN().String(), func(k *inventory.Key) { k.Grants, k.GrantState = nil, inventory.Unread })
	}},
	{"tables", func(_ *world, _ *inventory.Inventory, a *inventory.Account) {
		a.Resources = nil
		delete(a.Listed, inventory.ListKey("dynamodb:table", region))
	}},
	{"a table's policy", func(w *world, _ *inventory.Inventory, a *inventory.Account) {
		edit(a.Resources, oneOf(w, a.Resources), func(r *inventory.Resource) {
			r.Policy, r.PolicyState, r.PolicyWhy = "", inventory.Unread, unreadable
		})
	}},
}

// oneOf is one of the keys of m, "" of an empty one.
func oneOf[T any](w *world, m map[string]*T) string {
	keys := slices.Sorted(maps.Keys(m))
	if len(keys) == 0 {
		return ""
	}
	return pick(w, keys...)
}

// edit changes a copy of one record.
func edit[T any](m map[string]*T, key string, change func(*T)) {
	if m[key] == nil {
		return
	}
	changed := *m[key]
	change(&changed)
	m[key] = &changed
}

// copied is inv with maps of its own, whose records are shared.
func copied(inv *inventory.Inventory) *inventory.Inventory {
	out := *inv
	out.Accounts = map[arn.AccountID]*inventory.Account{}
	for id, a := range inv.Accounts {
		b := *a
		b.Roles, b.Users, b.Managed, b.Secrets = maps.Clone(a.Roles), maps.Clone(a.Users), maps.Clone(a.Managed), maps.Clone(a.Secrets)
		b.Keys, b.Resources, b.Listed = maps.Clone(a.Keys), maps.Clone(a.Resources), maps.Clone(a.Listed)
		out.Accounts[id] = &b
	}
	org := *inv.Organization
	org.Policies, org.RCPs = maps.Clone(org.Policies), maps.Clone(org.RCPs)
	out.Organization = &org
	return &out
}

// What an inventory lacks may make an answer unknown. It never makes one that
// was allowed denied, nor the other way round.
func TestWhatWasNotReadTurnsNoAnswerRound(t *testing.T) {
	const each = 40
	lost := make([]bool, len(forgettings))
	for seed := range uint64(3) {
		w := newWorld(t, 1000+seed)
		inv := w.observed(t)
		whole := make([]verify.Answer, each)
		asked := make([]verify.Query, each)
		for i := range asked {
			q := w.question()
			asked[i] = verify.Query{Who: q.who(w.one(2)), Action: q.action, Resource: q.resource, Context: q.sent, Now: w.server.World().Now()}
			whole[i] = w.can(t, inv, asked[i])
		}
		for n, f := range forgettings {
			for _, id := range accounts {
				less := copied(inv)
				f.change(w, less, less.Accounts[id])
				for i := range asked {
					a := w.can(t, less, asked[i])
					lost[n] = lost[n] || a.Outcome != whole[i].Outcome
					if a.Outcome != authz.Unknown && (a.Outcome == authz.Allowed) != (whole[i].Outcome == authz.Allowed) {
						t.Errorf("without %s of %s: %s by %s on %s is %v, with it %v\n%s\nwith it\n%s", f.name, id, asked[i].Action, asked[i].Who, asked[i].Resource, a.Outcome, whole[i].Outcome, text(&a), text(&whole[i]))
					}
				}
			}
		}
	}
	for n, f := range forgettings {
		if !lost[n] {
			t.Errorf("without %s no answer is another", f.name)
		}
	}
}

func (w *world) can(t *testing.T, inv *inventory.Inventory, q verify.Query) verify.Answer {
	t.Helper()
	a, err := verify.Options{Strict: true}.Can(inv, q)
	if err != nil {
		t.Fatal(fmt.Errorf("%s by %s on %s: %w", q.Action, q.Who, strings.TrimSpace(q.Resource), err))
	}
	return a
}
