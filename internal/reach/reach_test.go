package reach_test

import (
	"fmt"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/inventory/inventorytest"
	"github.com/stile-aws/stile/internal/reach"
)

// TestEveryEdgeIsWhatAFullScanFinds asks the View about every pair of a
// principal and a role, which is what the indexes and hubs must come to.
func TestEveryEdgeIsWhatAFullScanFinds(t *testing.T) {
	for seed := range uint64(6) {
		size := inventorytest.Size{Seed: seed, Accounts: 4, Roles: 14, Edges: 4, Users: 4}
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { compareWithScan(t, inventorytest.Organization(size)) })
	}
}

func TestEveryEdgeIsWhatAFullScanFindsWhereMuchWasNotRead(t *testing.T) {
	inv := inventorytest.Organization(inventorytest.Size{Seed: 11, Accounts: 4, Roles: 14, Edges: 4})
	inv.Organization, inv.OrgState = nil, inventory.NotAsked
	for id, a := range inv.Accounts {
		a.Complete = id != inventorytest.AccountID(1)
		a.Member = inventory.Membership{}
		for name := range a.Managed {
			if name == "arn:aws:iam::aws:policy/AdministratorAccess" && id == inventorytest.AccountID(2) {
				delete(a.Managed, name)
			}
		}
	}
	compareWithScan(t, inv)
}

func compareWithScan(t *testing.T, inv *inventory.Inventory) {
	t.Helper()
	g := reach.New(inv, reach.Config{})
	view := effective.New(inv)
	found, edges := 0, 0
	for from := range reach.NodeID(g.Len()) {
		n := g.Node(from)
		if n.Kind != reach.Role && n.Kind != reach.User {
			continue
		}
		p, err := view.Principal(n.Key)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]reach.Proof{}
		for e := range g.From(from) {
			if key := g.Node(e.To).Key; got[key] == 0 || e.Proof < got[key] {
				got[key] = e.Proof
			}
		}
		for to := range reach.NodeID(g.Len()) {
			role := g.Node(to)
			if role.Kind != reach.Role || to == from {
				continue
			}
			q := effective.Question{Principal: p, Action: "sts:AssumeRole", Resource: role.Key}
			q.Context.SetUnknown("sts:ExternalId")
			want := view.Ask(q).Outcome
			switch proof := got[role.Key]; {
			case want == authz.Allowed && proof != reach.Proven,
				want == authz.Unknown && proof != reach.Conditional && proof != reach.Unread,
				want != authz.Allowed && want != authz.Unknown && proof != 0:
				t.Errorf("%s -> %s: graph says %v, the scan %v", n.Key, role.Key, proof, want)
			}
			found++
			if got[role.Key] != 0 {
				edges++
			}
		}
	}
	if edges < 50 {
		t.Fatalf("%d edges of %d pairs: the inventory tests nothing", edges, found)
	}
}

var _ = arn.ARN{}
