package verify_test

import (
	"testing"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
)

// TestWhatIsPlannedForKeysIsWhatCallsTake asks about the very calls that are
// declared, with everything that AWS asks along: what the compiler thought of for
// keys is what package effective, which does not know it, wants for them.
func TestWhatIsPlannedForKeysIsWhatCallsTake(t *testing.T) {
	c := load(t, "encrypted")
	for name, test := range map[string]struct {
		inv     *inventory.Inventory
		allowed bool
	}{"applied": {c.inv, true}, "without the key's policies": {withoutKeyPolicies(t, c.inv), false}} {
		view := effective.Options{Assume: true}.New(test.inv)
		asked, refused := 0, 0
		route := &c.w.Routes[0]
		_, as, _ := view.Reach(route, len(route.Hops), route.Expires)
		walk := view.Walk(route, route.Expires)
		for i := range walk.Uses {
			leg := &walk.Uses[i]
			if _, uses := catalog.KeyUseOf(leg.Action); !uses {
				continue
			}
			q := as
			q.Action, q.Resource, q.ResourceAccount = leg.Action, leg.Resource, orders
			parts := view.Parts(q)
			for j := range parts {
				if catalog.ServiceOf(parts[j].Question.Action) != "kms" {
					continue
				}
				asked++
				if d := view.AskPart(&parts[j]); d.Outcome != authz.Allowed {
					if refused++; test.allowed {
						t.Errorf("%s: %s on %s takes %s on %s, which is not planned: %s", name, leg.Action, leg.Resource, d.Action, d.Resource, d.Summary())
					}
				}
			}
		}
		if asked < 10 || !test.allowed && refused == 0 {
			t.Errorf("%s: %d permissions on keys asked for, %d refused", name, asked, refused)
		}
	}
}

// withoutKeyPolicies has keys that admit nobody of ours.
func withoutKeyPolicies(t *testing.T, inv *inventory.Inventory) *inventory.Inventory {
	out := clone(t, inv)
	for _, a := range out.Accounts {
		for _, k := range a.Keys {
			if k != nil && k.Policy != "" {
				k.Policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/admin"},"Action":"kms:*","Resource":"*"}]}`
			}
		}
	}
	return out
}
