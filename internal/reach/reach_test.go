package reach_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// scan asks the View whether p may assume a role, with an external id of its
// choice and, where that is not enough, with a session tag of its choice.
func scan(view *effective.View, p authz.Principal, role string) authz.Outcome {
	q := effective.Of(p, "sts:AssumeRole", role)
	q.Context.SetUnknown("sts:ExternalId")
	want := view.Ask(q).Outcome
	if want == authz.Allowed || want == authz.Unknown {
		return want
	}
	q.Context.SetUnknown("aws:RequestTag/team")
	tagged := view.Ask(q).Outcome
	q.Action = "sts:TagSession"
	switch view.Ask(q).Outcome {
	case authz.Allowed:
		return tagged
	case authz.Unknown:
		if tagged == authz.Allowed {
			return authz.Unknown
		}
		return tagged
	case authz.ImplicitDeny, authz.ExplicitDeny, authz.NotApplicable:
	}
	return want
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
			want := scan(view, p, role.Key)
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

// TestAnyNumberOfWorkersFindsTheSame builds graphs of whole organizations, their
// tagged sessions, bearers of tokens and services included.
func TestAnyNumberOfWorkersFindsTheSame(t *testing.T) {
	for seed := range uint64(3) {
		inv := inventorytest.Organization(inventorytest.Size{Seed: seed, Accounts: 5, Roles: 30, Edges: 5, Users: 4})
		tangle(inv, rand.New(rand.NewPCG(seed, 9)))
		want := listing(reach.New(inv, reach.Config{Workers: 1}))
		for _, workers := range []int{2, 3, 16} {
			if diff := cmp.Diff(want, listing(reach.New(inv, reach.Config{Workers: workers}))); diff != "" {
				t.Errorf("seed %d: one worker finds what %d do not (-one +many):\n%s", seed, workers, diff)
			}
		}
	}
}

// listing has a line for every node and for every edge, seen from both ends.
func listing(g *reach.Graph) []string {
	var out []string
	for n := range reach.NodeID(g.Len()) {
		out = append(out, fmt.Sprint(g.Node(n)))
		for e := range g.From(n) {
			out = append(out, fmt.Sprintf("  to %s: %+v", g.Node(e.To).Key, e))
		}
		for e := range g.To(n) {
			out = append(out, fmt.Sprintf("  from %s: %+v", g.Node(e.From).Key, e))
		}
	}
	return out
}

// TestEveryHopExplainsItsEdge asks for the reasons of every edge: they come to
// what the edge says.
func TestEveryHopExplainsItsEdge(t *testing.T) {
	for seed := range uint64(4) {
		g := reach.New(inventorytest.Organization(inventorytest.Size{Seed: seed, Accounts: 4, Roles: 14, Edges: 4}), reach.Config{})
		ways := map[reach.Way]int{}
		for from := range reach.NodeID(g.Len()) {
			for e := range g.From(from) {
				h, ok := g.Hop(from, e.To)
				if !ok || len(h.Parts) == 0 || h.Proof > e.Proof {
					t.Fatalf("%s -> %s: hop %v of edge %v", g.Node(from).Key, g.Node(e.To).Key, h.Proof, e.Proof)
				}
				ways[h.Way]++
				explains(t, h)
			}
		}
		for _, way := range []reach.Way{reach.ByAssumeRole, reach.ByWebIdentity, reach.BySAML, reach.ByPodIdentity, reach.ByService} {
			if ways[way] == 0 {
				t.Errorf("no edge %v: the inventory tests too little", way)
			}
		}
	}
}

func explains(t *testing.T, h reach.Hop) {
	t.Helper()
	for _, p := range h.Parts {
		allowed := p.Outcome == authz.Allowed
		if !allowed && p.Outcome != authz.Unknown || !allowed && h.Proof == reach.Proven || allowed && len(p.Grants) == 0 {
			t.Errorf("%s -> %s (%v, %v): %s is %v, by %d statements", h.From.Key, h.To.Key, h.Way, h.Proof, p.Action, p.Outcome, len(p.Grants))
		}
		if !allowed && p.If == "" {
			t.Errorf("%s -> %s: %s depends on nothing", h.From.Key, h.To.Key, p.Action)
		}
	}
}
