package difference_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/inventory/inventorytest"
	"github.com/stile-aws/stile/internal/reach"
	"github.com/stile-aws/stile/internal/reach/difference"
)

func TestAnInventoryDoesNotDifferFromItself(t *testing.T) {
	size := inventorytest.Size{Seed: 2, Accounts: 4, Roles: 12}
	a, b := reach.New(inventorytest.Organization(size), reach.Config{}), reach.New(inventorytest.Organization(size), reach.Config{})
	if d := difference.Between(a, b, nil); len(d.Changes) > 0 {
		t.Errorf("%d changes, want none; the first is %+v", len(d.Changes), d.Changes[0])
	}
}

// edits are changes of an inventory that may change who can become whom.
var edits = map[string]func(inv *inventory.Inventory, rng *rand.Rand){
	"another trust policy": func(inv *inventory.Inventory, rng *rand.Rand) {
		a, b := someRole(inv, rng), someRole(inv, rng)
		a.Trust = b.Trust
	},
	"no policies": func(inv *inventory.Inventory, rng *rand.Rand) {
		r := someRole(inv, rng)
		r.Inline, r.Attached = nil, nil
	},
	"an administrator": func(inv *inventory.Inventory, rng *rand.Rand) {
		r := someRole(inv, rng)
		r.Attached = append(r.Attached, "arn:aws:iam::aws:policy/AdministratorAccess")
	},
	"another tag": func(inv *inventory.Inventory, rng *rand.Rand) { someRole(inv, rng).Tags["team"] = "nobody" },
	"a role less": func(inv *inventory.Inventory, rng *rand.Rand) {
		account := inv.Accounts[inventorytest.AccountID(rng.IntN(len(inv.Accounts)))]
		delete(account.Roles, slices.Sorted(maps.Keys(account.Roles))[rng.IntN(len(account.Roles))])
	},
	"a provider less": func(inv *inventory.Inventory, rng *rand.Rand) {
		account := inv.Accounts[inventorytest.AccountID(rng.IntN(len(inv.Accounts)))]
		delete(account.Providers, "token.actions.githubusercontent.com")
	},
	"an association less": func(inv *inventory.Inventory, rng *rand.Rand) {
		for _, c := range inv.Accounts[inventorytest.AccountID(rng.IntN(len(inv.Accounts)))].Clusters {
			c.Associations = nil
		}
	},
	"a service control policy": func(inv *inventory.Inventory, _ *rand.Rand) {
		inv.Organization.Policies["p-noleave0"].Document = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"arn:aws:iam::*:role/app/*"}]}`
	},
	"a resource control policy": func(inv *inventory.Inventory, _ *rand.Rand) {
		inv.Organization.RCPs["p-rcpperim0"].Document = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:*","Resource":"arn:aws:iam::*:role/ci-*"}]}`
	},
}

func someRole(inv *inventory.Inventory, rng *rand.Rand) *inventory.Role {
	account := inv.Accounts[inventorytest.AccountID(rng.IntN(len(inv.Accounts)))]
	return account.Roles[slices.Sorted(maps.Keys(account.Roles))[rng.IntN(len(account.Roles))]]
}

// TestDiffFindsEveryEdgeThatChanged compares all edges of two graphs, which Diff
// does only where documents differ.
func TestDiffFindsEveryEdgeThatChanged(t *testing.T) {
	changed := 0
	for name, edit := range edits {
		for seed := range uint64(2) {
			size := inventorytest.Size{Seed: seed, Accounts: 5, Roles: 14, Edges: 4}
			inv := inventorytest.Organization(size)
			edit(inv, rand.New(rand.NewPCG(seed, 9)))
			a, b := reach.New(inventorytest.Organization(size), reach.Config{}), reach.New(inv, reach.Config{})
			got := map[string]string{}
			for _, c := range difference.Between(a, b, nil).Changes {
				if c.What == difference.Session {
					got[c.Principal.Key+" -> "+c.Target.Key] = fmt.Sprint(c.Before, c.After)
				}
			}
			want := changedEdges(a, b)
			changed += len(want)
			if !maps.Equal(got, want) {
				t.Errorf("%s, seed %d: %d changes, want %d\n got %v\nwant %v", name, seed, len(got), len(want), got, want)
			}
		}
	}
	if changed < 30 {
		t.Errorf("%d edges changed in all: the edits test nothing", changed)
	}
}

func changedEdges(a, b *reach.Graph) map[string]string {
	x, y, out := allEdges(a), allEdges(b), map[string]string{}
	for pair := range x {
		if x[pair] != y[pair] {
			out[pair] = fmt.Sprint(x[pair], y[pair])
		}
	}
	for pair := range y {
		if x[pair] != y[pair] {
			out[pair] = fmt.Sprint(x[pair], y[pair])
		}
	}
	return out
}

func allEdges(g *reach.Graph) map[string]reach.Proof {
	out := map[string]reach.Proof{}
	for from := range reach.NodeID(g.Len()) {
		for e := range g.From(from) {
			pair := g.Node(from).Key + " -> " + g.Node(e.To).Key
			if out[pair] == 0 || e.Proof < out[pair] {
				out[pair] = e.Proof
			}
		}
	}
	return out
}

// TestDiffFindsEveryChain compares all that can be come to.
func TestDiffFindsEveryChain(t *testing.T) {
	size := inventorytest.Size{Seed: 5, Accounts: 3, Roles: 12, Edges: 1}
	for seed := range uint64(12) {
		inv := inventorytest.Organization(size)
		rng := rand.New(rand.NewPCG(seed, 1))
		edits["an administrator"](inv, rng)
		edits["no policies"](inv, rng)
		a, b := reach.New(inventorytest.Organization(size), reach.Config{}), reach.New(inv, reach.Config{})
		got := map[string]difference.Kind{}
		for _, c := range difference.Between(a, b, nil).Changes {
			if c.What != difference.Use && (c.Kind == difference.Gained || c.Kind == difference.Lost) {
				got[c.Principal.Key+" -> "+c.Target.Key] = c.Kind
			}
		}
		before, after := allReached(a), allReached(b)
		for pair := range after {
			if kind, told := got[pair]; !before[pair] && (!told || kind != difference.Gained) {
				t.Errorf("seed %d: %s was gained and not told", seed, pair)
			}
		}
		for pair := range before {
			if kind, told := got[pair]; !after[pair] && (!told || kind != difference.Lost) {
				t.Errorf("seed %d: %s was lost and not told", seed, pair)
			}
		}
	}
}

func allReached(g *reach.Graph) map[string]bool {
	out := map[string]bool{}
	c := g.Close(reach.Unread)
	for from := range reach.NodeID(g.Len()) {
		for to := range c.All(from) {
			out[g.Node(from).Key+" -> "+g.Node(to).Key] = true
		}
	}
	return out
}

// What is in an account that one side did not read is not lost, and not gained.
func TestAnAccountThatWasNotReadLosesNothing(t *testing.T) {
	size := inventorytest.Size{Seed: 4, Accounts: 4, Roles: 12, Edges: 6}
	whole, part, bare := inventorytest.Organization(size), inventorytest.Organization(size), inventorytest.Organization(size)
	missing := inventorytest.AccountID(2)
	delete(part.Accounts, missing)
	// Nothing of it could be read.
	bare.Accounts[missing] = &inventory.Account{ID: missing, Problems: []inventory.Problem{{What: inventory.AllOfIt, Why: "denied"}}}
	for name, other := range map[string]*inventory.Inventory{"not in the inventory": part, "nothing could be read": bare} {
		for _, later := range []bool{false, true} {
			before, after := reach.New(whole, reach.Config{}), reach.New(other, reach.Config{})
			if later {
				before, after = after, before
			}
			for _, c := range difference.Between(before, after, nil).Changes {
				there := c.Principal.Account == missing || c.Target != nil && c.Target.Account == missing
				if there && (c.Kind == difference.Lost || c.Kind == difference.Gained) && (c.Principal.Kind == reach.Role || c.Principal.Kind == reach.User) {
					t.Errorf("%s (read later: %v): %+v", name, later, c)
					break
				}
			}
		}
	}
}
