package observe_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
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

func TestResourceControlPoliciesAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := withOrganization(t, localaws.Config{})
		c := organizations.NewFromConfig(w.Admin(scopetest.Tooling, nil))
		const text = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`
		made := must[*organizations.CreatePolicyOutput](t)(c.CreatePolicy(t.Context(), &organizations.CreatePolicyInput{
			Name: aws.String("tls"), Description: aws.String("only over TLS"), Type: types.PolicyTypeResourceControlPolicy, Content: aws.String(text),
		})).Policy.PolicySummary
		must[*organizations.AttachPolicyOutput](t)(c.AttachPolicy(t.Context(), &organizations.AttachPolicyInput{PolicyId: made.Id, TargetId: aws.String(string(scopetest.Orders))}))
		inv := fill(t, w, nil, whole())
		org := inv.Organization
		if org == nil || org.RCPState != inventory.Exists || len(org.RCPs) != 2 || org.RCPs[*made.Id].Document != text {
			t.Fatalf("organization = %+v", org)
		}
		leaf := org.Path(scopetest.Orders)
		if got, want := leaf[len(leaf)-1].RCPs, []string{*made.Id, "p-RCPFullAWSAccess"}; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("RCPs of the account = %v, want %v", got, want)
		}
		if got := org.Root.RCPs; !slices.Equal(got, []string{"p-RCPFullAWSAccess"}) {
			t.Errorf("RCPs of the root = %v", got)
		}
	})
}

func TestAPolicyTypeThatIsNotEnabledIsAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := withOrganization(t, localaws.Config{})
		c := organizations.NewFromConfig(w.Admin(scopetest.Tooling, nil))
		root := must[*organizations.ListRootsOutput](t)(c.ListRoots(t.Context(), &organizations.ListRootsInput{})).Roots[0].Id
		must[*organizations.DisablePolicyTypeOutput](t)(c.DisablePolicyType(t.Context(), &organizations.DisablePolicyTypeInput{RootId: root, PolicyType: types.PolicyTypeResourceControlPolicy}))
		org := fill(t, w, nil, whole()).Organization
		if org == nil || org.RCPState != inventory.Absent || len(org.RCPs) > 0 || len(org.Policies) != 1 {
			t.Errorf("organization = %+v, want no resource control policies, and service control policies", org)
		}
	})
}

func TestResourceControlPoliciesThatCannotBeReadLeaveTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := withOrganization(t, localaws.Config{})
		policy := strings.Replace(observe.Policy(), `"Statement": [`, `"Statement": [{"Effect": "Deny", "Action": "organizations:ListPolicies", "Resource": "*",
			"Condition": {"StringEquals": {"organizations:PolicyType": "RESOURCE_CONTROL_POLICY"}}},`, 1)
		inv := &inventory.Inventory{}
		if err := observe.Fill(t.Context(), newObservers(w, w.Door, "observer", policy), whole(), inv, observe.Options{}); err != nil {
			t.Fatal(err)
		}
		org := inv.Organization
		if org == nil || org.RCPState != inventory.Unread || !strings.Contains(org.RCPWhy, "AccessDenied") || len(org.Policies) != 1 || len(org.Root.SCPs) != 1 {
			t.Errorf("organization = %+v, %v", org, inv.OrgState)
		}
	})
}

func TestMembersTellWhoCannotBeEntered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := withOrganization(t, localaws.Config{})
		world := w.Server.World()
		world.Lock()
		world.Organization.Members[scopetest.Orders].Status = "SUSPENDED"
		world.Unlock()
		got, err := observe.Members(t.Context(), w.Admin(scopetest.Tooling, nil))
		want := []observe.Member{{ID: scopetest.Tooling, Name: "tooling", State: "ACTIVE"}, {ID: scopetest.Orders, Name: "orders-prod", State: "SUSPENDED"}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("members, %v (-want +got):\n%s", err, diff)
		}
		path := fill(t, w, nil, whole()).Organization.Path(scopetest.Orders)
		if state := path[len(path)-1].State; state != "SUSPENDED" {
			t.Errorf("the account is %s in the tree", state)
		}
		if _, err := observe.Members(t.Context(), w.Admin(scopetest.Orders, nil)); err == nil {
			t.Error("an account that is not the management account lists the others")
		}
	})
}
