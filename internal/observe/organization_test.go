package observe_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/observe"
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

// withOrganization is a world with an organization that account network has left.
func withOrganization(t *testing.T, cfg localaws.Config) *scopetest.World {
	t.Helper()
	cfg.Organization = true
	w := scopetest.New(t, cfg)
	c := organizations.NewFromConfig(w.Admin(scopetest.Tooling, nil))
	if _, err := c.RemoveAccountFromOrganization(t.Context(), &organizations.RemoveAccountFromOrganizationInput{AccountId: aws.String(string(scopetest.Network))}); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAccountsTellWhichOrganizationTheyAreIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := withOrganization(t, localaws.Config{})
		req := inventory.Request{Organization: true, Accounts: map[arn.AccountID]*inventory.AccountRequest{scopetest.Tooling: {}, scopetest.Network: {}}}
		inv := fill(t, w, nil, req)
		if inv.OrgState != inventory.Exists {
			t.Fatalf("the organization is %v, want %v", inv.OrgState, inventory.Exists)
		}
		later := asking(scopetest.Orders, inventory.AccountRequest{})
		if err := observe.Fill(t.Context(), source{w, nil}, later, inv, observe.Options{}); err != nil {
			t.Fatal(err)
		}
		in := inventory.Membership{State: inventory.Exists, Organization: inv.Organization.ID, Management: scopetest.Tooling}
		for id, want := range map[arn.AccountID]inventory.Membership{
			scopetest.Tooling: in, scopetest.Orders: in, scopetest.Network: {State: inventory.Absent},
		} {
			if diff := cmp.Diff(want, inv.Accounts[id].Member); diff != "" {
				t.Errorf("membership of %s (-want +got):\n%s", id, diff)
			}
		}
	})
}

// The management account is declared, and nothing else is wanted of it.
func TestTheManagementAccountIsAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked sync.Map
		w := withOrganization(t, localaws.Config{Intercept: func(_, operation string, account arn.AccountID, phase service.Phase) service.Action {
			if operation == "ListRoots" && phase == service.Before {
				asked.Store(account, true)
			}
			return service.Proceed
		}})
		req := asking(scopetest.Orders, inventory.AccountRequest{})
		req.Organization, req.Candidates = true, []arn.AccountID{scopetest.Orders, scopetest.Network, scopetest.Tooling}
		if inv := fill(t, w, nil, req); inv.OrgState != inventory.Exists || inv.Organization.Path(scopetest.Orders) == nil {
			t.Errorf("the organization is %v, want %v with account orders: %v", inv.OrgState, inventory.Exists, inv.Accounts[scopetest.Orders].Problems)
		}
		for _, id := range []arn.AccountID{scopetest.Orders, scopetest.Network} {
			if _, yes := asked.Load(id); yes {
				t.Errorf("account %s was asked for the organization, although its management account was at hand", id)
			}
		}
	})
}
