package reach_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory/inventorytest"
	"github.com/stile-aws/stile/internal/reach"
)

// TestWhatCanIsWhatTheViewSays asks the View action by action about what WhatCan
// groups.
func TestWhatCanIsWhatTheViewSays(t *testing.T) {
	asked := 0
	for seed := range uint64(2) {
		inv := inventorytest.Organization(inventorytest.Size{Seed: seed, Accounts: 5, Roles: 12})
		g, view := reach.New(inv, reach.Config{}), effective.New(inv)
		for id := range reach.NodeID(g.Len()) {
			if kind := g.Node(id).Kind; kind != reach.Role && kind != reach.User {
				continue
			}
			w := g.WhatCan(id)
			for _, p := range slices.Concat(w.Own, w.Given) {
				if p.Resource == "*" || !strings.ContainsAny(p.Resource, "*?") {
					asked += compareActions(t, view, w.Node.Key, p)
				}
			}
		}
	}
	if asked < 500 {
		t.Fatalf("%d questions: the inventories test nothing", asked)
	}
}

func compareActions(t *testing.T, view *effective.View, who string, p reach.Permission) int {
	t.Helper()
	principal, err := view.Principal(who)
	if err != nil {
		t.Fatal(err)
	}
	except := map[string]bool{}
	for _, pattern := range p.Except {
		for _, a := range catalog.ExpandAction(pattern) {
			except[a.Name] = true
		}
	}
	asked := 0
	for _, pattern := range p.Actions {
		actions := catalog.ExpandAction(pattern)
		for i, a := range actions {
			if except[a.Name] || len(actions) > 50 && i%61 != 0 || strings.HasPrefix(a.Name, "sts:") {
				continue
			}
			asked++
			want := view.Ask(effective.Of(principal, a.Name, p.Resource)).Outcome
			if !agrees(want, p.Proof) {
				t.Errorf("%s %s on %s: what-can says %v (%s), the view %v", who, a.Name, p.Resource, p.Proof, p.Why, want)
			}
		}
	}
	return asked
}

func TestAPatternWithOneAnswerStaysOne(t *testing.T) {
	inv := inventorytest.Organization(inventorytest.Size{Seed: 1, Accounts: 2})
	inv.Organization.Policies["p-noleave0"].Document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	inv.Organization.Policies["p-regions0"].Document = `{"Version":"2012-10-17","Statement":[{"Sid":"NoBuckets","Effect":"Deny","Action":"s3:CreateBucket","Resource":"*"}]}`
	g := reach.New(inv, reach.Config{})
	id, ok := g.Find("arn:aws:iam::100000000002:role/admin")
	if !ok {
		t.Fatal("no administrator")
	}
	for _, p := range g.WhatCan(id).Own {
		if p.Source.Name != "AdministratorAccess" || p.Proof != reach.Proven {
			continue
		}
		if !slices.Equal(p.Actions, []string{"*"}) || !slices.Contains(p.Except, "s3:CreateBucket") || len(p.Except) > 12 {
			t.Errorf("the administrator may %v but for %v, want * but for s3:CreateBucket and a few of STS", p.Actions, p.Except)
		}
		return
	}
	t.Error("nothing is allowed to the administrator")
}
