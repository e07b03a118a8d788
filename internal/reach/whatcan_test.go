package reach_test

import (
	"testing"

	"github.com/stile-aws/stile/internal/inventory/inventorytest"
	"github.com/stile-aws/stile/internal/reach"
)

func TestDebug(t *testing.T) {
	g := reach.New(inventorytest.Organization(inventorytest.Size{Seed: 3, Accounts: 4, Roles: 12}), reach.Config{})
	n := 0
	for id := range reach.NodeID(g.Len()) {
		if g.Node(id).Kind != reach.Role && g.Node(id).Kind != reach.User {
			continue
		}
		n++
		if n%9 != 1 {
			continue
		}
		w := g.WhatCan(id)
		t.Logf("%s: %d roles", w.Node.Name, len(w.Roles))
		for _, p := range w.Own {
			t.Logf("   %v %.120v except %.80v on %s: %s | %v | %s", p.Proof, p.Actions, p.Except, p.Resource, p.Why, p.Partly, p.Source)
		}
		for _, p := range w.Given {
			t.Logf("   GIVEN %v %.120v except %.80v on %s: %s | %v | %s", p.Proof, p.Actions, p.Except, p.Resource, p.Why, p.Partly, p.Source)
		}
	}
}
