package effective_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/inventory/inventorytest"
)

// target is something that principals ask for.
type target struct{ action, resource string }

// everybody lists the users and roles of an inventory, and everything what they may
// ask of roles, secrets and keys.
func everybody(t *testing.T, v *effective.View, inv *inventory.Inventory) (callers []authz.Principal, everything []target) {
	t.Helper()
	for _, id := range slices.Sorted(maps.Keys(inv.Accounts)) {
		a := inv.Accounts[id]
		var names []string
		for _, name := range slices.Sorted(maps.Keys(a.Roles)) {
			names = append(names, a.Roles[name].ARN)
			everything = append(everything, target{"sts:AssumeRole", a.Roles[name].ARN}, target{"sts:TagSession", a.Roles[name].ARN})
		}
		for _, name := range slices.Sorted(maps.Keys(a.Users)) {
			names = append(names, a.Users[name].ARN)
		}
		for _, name := range names {
			p, err := v.Principal(name)
			if err != nil {
				t.Fatal(err)
			}
			callers = append(callers, p)
		}
		for _, secret := range slices.Sorted(maps.Keys(a.Secrets)) {
			everything = append(everything, target{"secretsmanager:GetSecretValue", secret})
		}
		for _, key := range slices.Sorted(maps.Keys(a.Keys)) {
			everything = append(everything, target{"kms:Decrypt", key})
		}
	}
	return callers, everything
}

// TestSidesSettleWhatAskSays decides every pair of a generated organization from
// sides that all goroutines share, whole and for one action only, and by Ask, which
// shares and leaves out nothing.
func TestSidesSettleWhatAskSays(t *testing.T) {
	outcomes := map[authz.Outcome]int{}
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			inv := inventorytest.Organization(inventorytest.Size{Seed: seed, Accounts: 3, Roles: 14, Edges: 6, Users: 3})
			v := effective.New(inv)
			callers, everything := everybody(t, v, inv)
			guards, about := make([]*effective.Side, len(everything)), make([]*effective.Side, len(everything))
			for i, e := range everything {
				guards[i] = v.Guard(effective.Question{Action: e.action, Resource: e.resource})
				about[i] = v.About(guards[i], e.action)
			}
			var mu sync.Mutex
			var wg sync.WaitGroup
			for _, p := range callers {
				wg.Go(func() {
					whole := v.Caller(p)
					for i, e := range everything {
						q := effective.Of(p, e.action, e.resource)
						for range 2 {
							want := v.Ask(q).Outcome
							if got := v.Settle(q, whole, guards[i]); got != want {
								t.Errorf("%s %s on %s: Settle = %v, Ask = %v", p.ARN, e.action, e.resource, got, want)
							}
							if got := v.Settle(q, v.About(whole, e.action), about[i]); got != want {
								t.Errorf("%s %s on %s: Settle about it alone = %v, Ask = %v", p.ARN, e.action, e.resource, got, want)
							}
							mu.Lock()
							outcomes[want]++
							mu.Unlock()
							q.Context.SetUnknown("sts:ExternalId")
							q.Context.SetUnknown("aws:RequestTag/team")
						}
					}
				})
			}
			wg.Wait()
		})
	}
	for _, o := range []authz.Outcome{authz.Allowed, authz.ImplicitDeny, authz.ExplicitDeny, authz.Unknown} {
		if outcomes[o] < 20 {
			t.Errorf("%d times %v: the organizations test too little", outcomes[o], o)
		}
	}
}

// TestDecisionsBySidesTakeLittleMemory counts the allocations of many decisions:
// what is found out for one is room for the next.
func TestDecisionsBySidesTakeLittleMemory(t *testing.T) {
	inv := inventorytest.Organization(inventorytest.Size{Seed: 1, Accounts: 3, Roles: 10, Edges: 4})
	v := effective.New(inv)
	callers, everything := everybody(t, v, inv)
	sides, guards := make([]*effective.Side, len(callers)), make([]*effective.Side, len(everything))
	for i := range callers {
		sides[i] = v.Caller(callers[i])
	}
	for i, e := range everything {
		guards[i] = v.Guard(effective.Question{Action: e.action, Resource: e.resource})
	}
	total := testing.AllocsPerRun(5, func() {
		for i := range callers {
			for j, e := range everything {
				v.Decide(effective.Of(callers[i], e.action, e.resource), sides[i], guards[j])
			}
		}
	})
	if mean := total / float64(len(callers)*len(everything)); mean > 4 { // 1.2, and 2 where the race detector empties pools at random
		t.Errorf("a decision takes %.1f allocations", mean)
	}
}
