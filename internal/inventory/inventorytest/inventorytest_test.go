package inventorytest_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/inventory/inventorytest"
	"github.com/stile-aws/stile/policy"
)

func TestTheSameSizeGivesTheSameOrganization(t *testing.T) {
	size := inventorytest.Size{Seed: 7, Accounts: 4, Roles: 12, Edges: 5}
	if diff := cmp.Diff(inventorytest.Organization(size), inventorytest.Organization(size)); diff != "" {
		t.Errorf("two organizations of one size differ:\n%s", diff)
	}
	other := size
	other.Seed = 8
	if cmp.Equal(inventorytest.Organization(size), inventorytest.Organization(other)) {
		t.Error("another seed gives the same organization")
	}
}

func TestEveryDocumentIsOneThatAWSAccepts(t *testing.T) {
	inv := inventorytest.Organization(inventorytest.Size{Seed: 1, Accounts: 8, Roles: 30, Edges: 10, Resources: 3})
	check := func(kind policy.Kind, name, text string) {
		t.Helper()
		doc, err := policy.Parse([]byte(text))
		if err != nil {
			t.Fatalf("parsing %s %s: %v", kind, name, err)
		}
		if errs := policy.Validate(doc, kind); errs != nil {
			t.Errorf("AWS refuses %s %s: %v\n%s", kind, name, errs, text)
		}
	}
	for _, p := range inv.Organization.Policies {
		check(policy.SCP, p.Name, p.Document)
	}
	for _, p := range inv.Organization.RCPs {
		if p.Name != "RCPFullAWSAccess" { // AWS's own, which customers may not write
			check(policy.RCP, p.Name, p.Document)
		}
	}
	for id, a := range inv.Accounts {
		if a.ID != id || inv.Organization.Path(id) == nil {
			t.Errorf("account %s: id %s, path %v", id, a.ID, inv.Organization.Path(id))
		}
		for _, r := range a.Roles {
			check(policy.Trust, r.ARN, r.Trust)
			for name, text := range r.Inline {
				check(policy.Identity, r.ARN+" "+name, text)
			}
			for _, ref := range append(r.Attached, r.Boundary) {
				if _, state := inventory.Get(a.Managed, ref); ref != "" && state != inventory.Exists {
					t.Errorf("%s refers to %s, which is not there", r.ARN, ref)
				}
			}
		}
		for _, m := range a.Managed {
			check(policy.Managed, m.ARN, m.Document)
		}
		for _, s := range a.Secrets {
			if s.Policy != "" {
				check(policy.Resource, s.ARN, s.Policy)
			}
		}
		for _, k := range a.Keys {
			check(policy.Key, k.ARN, k.Policy)
		}
		for _, r := range a.Resources {
			if r.Policy != "" {
				check(policy.Resource, r.ARN, r.Policy)
			}
		}
		for _, e := range a.Endpoints {
			check(policy.Endpoint, e.ARN, e.Policy)
		}
	}
}

func TestOrganizationHasTheSizeAskedFor(t *testing.T) {
	inv := inventorytest.Organization(inventorytest.Size{Accounts: 5, Roles: 40, Edges: 20})
	if len(inv.Accounts) != 5 {
		t.Errorf("%d accounts, want 5", len(inv.Accounts))
	}
	text, err := json.Marshal(inv)
	if err != nil {
		t.Fatal(err)
	}
	targets := 0
	for _, a := range inv.Accounts {
		if len(a.Roles) != 40 {
			t.Errorf("account %s has %d roles, want 40", a.ID, len(a.Roles))
		}
		for _, r := range a.Roles {
			doc, err := policy.Parse([]byte(r.Inline["assume"]))
			if err != nil {
				continue
			}
			for _, st := range doc.Statements {
				for _, res := range st.Resources {
					if arn.Is(res.Value) {
						targets++
					}
				}
			}
		}
	}
	// Some edges are dropped: to itself, twice the same, of one side only.
	if perRole := targets / 200; perRole < 15 || perRole > 21 {
		t.Errorf("%d targets a role, want about 20", perRole)
	}
	if perRole := len(text) / 200; perRole < 1500 {
		t.Errorf("%d bytes of JSON a role, want thousands as real ones have", perRole)
	}
}
