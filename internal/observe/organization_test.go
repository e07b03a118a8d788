package observe_test

import (
	"testing"
	"testing/synctest"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// One account that is in no organization does not speak for another, which may
// be in one and cannot be asked.
func TestAnAccountOutsideDoesNotHideAnOrganization(t *testing.T) {
	for _, silent := range []arn.AccountID{scopetest.Tooling, scopetest.Orders} {
		synctest.Test(t, func(t *testing.T) {
			w := scopetest.New(t, localaws.Config{}) // without an organization
			w.Server.Faults().Add(w.Server.World().Now(), service.Fault{Kind: service.ServerError, Account: silent, Service: "organizations"})
			req := inventory.Request{Organization: true, Accounts: map[arn.AccountID]*inventory.AccountRequest{scopetest.Tooling: {}, scopetest.Orders: {}}}
			if inv := fill(t, w, nil, req); inv.OrgState != inventory.Unread {
				t.Errorf("with account %s silent the organization is %v, want %v", silent, inv.OrgState, inventory.Unread)
			}
		})
	}
}
