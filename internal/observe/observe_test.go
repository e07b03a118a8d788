package observe_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/observe"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// source gives each account's administrator, through door.
type source struct {
	world *scopetest.World
	door  http.RoundTripper
}

func (s source) Config(_ context.Context, account arn.AccountID, region string) (aws.Config, error) {
	cfg := s.world.Admin(account, s.door)
	if region != "" {
		cfg.Region = region
	}
	return cfg, nil
}

func fill(t *testing.T, w *scopetest.World, door http.RoundTripper, req inventory.Request) *inventory.Inventory {
	t.Helper()
	inv := &inventory.Inventory{}
	if err := observe.Fill(t.Context(), source{w, door}, req, inv, observe.Options{}); err != nil {
		t.Fatal(err)
	}
	return inv
}

func asking(id arn.AccountID, what inventory.AccountRequest) inventory.Request {
	return inventory.Request{Accounts: map[arn.AccountID]*inventory.AccountRequest{id: &what}}
}

func TestFillReadsWhatIsThereAndRecordsWhatIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		inv := fill(t, w, nil, asking(scopetest.Orders, inventory.AccountRequest{
			Quotas: true, Roles: []string{"Legacy-App", "nobody"}, Users: []string{"nobody"}, Providers: []string{"example.com"},
			Secrets: []string{"arn:aws:secretsmanager:us-east-1:222222222222:secret:AppDemoSecret-*", "arn:aws:secretsmanager:us-east-1:222222222222:secret:None-*"},
			Keys:    []string{w.Key, w.Key[:len(w.Key)-1] + "x"},
		}))
		a := inv.Accounts[scopetest.Orders]
		if len(a.Problems) > 0 {
			t.Errorf("problems: %v", a.Problems)
		}
		role, state := a.Role("legacy-APP")
		if state != inventory.Exists || role.Name != "legacy-app" || len(role.Inline) != 1 || !cmp.Equal(role.Attached, []string{"arn:aws:iam::222222222222:policy/legacy"}) {
			t.Errorf("role legacy-app = %+v, %v", role, state)
		}
		if a.Managed["arn:aws:iam::222222222222:policy/legacy"] == nil {
			t.Error("the document of the attached policy was not read")
		}
		secret := a.Secrets["arn:aws:secretsmanager:us-east-1:222222222222:secret:AppDemoSecret-*"]
		if secret == nil || secret.ARN != w.Secret || secret.KeyARN != w.Key || !strings.Contains(secret.Policy, "Legacy") {
			t.Errorf("secret = %+v", secret)
		}
		if k := a.Keys[w.Key]; k == nil || k.AWSManaged || !k.Enabled || !strings.Contains(k.Policy, "Legacy") {
			t.Errorf("key = %+v", k)
		}
		for what, state := range map[string]inventory.Lookup{
			"role":     lookup(a.Roles, "nobody"),
			"user":     lookup(a.Users, "nobody"),
			"provider": lookup(a.Providers, "example.com"),
			"secret":   lookup(a.Secrets, "arn:aws:secretsmanager:us-east-1:222222222222:secret:None-*"),
			"key":      lookup(a.Keys, w.Key[:len(w.Key)-1]+"x"),
		} {
			if state != inventory.Absent {
				t.Errorf("the %s that does not exist is %v, want %v", what, state, inventory.Absent)
			}
		}
		if !a.Quotas.Read || a.Quotas.Roles == 0 {
			t.Errorf("quotas = %+v", a.Quotas)
		}
	})
}

func lookup[T any](m map[string]*T, key string) inventory.Lookup {
	_, state := inventory.Get(m, key)
	return state
}

func TestFillOfEverythingAgreesWithFillOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		all := fill(t, w, nil, asking(scopetest.Tooling, inventory.AccountRequest{Everything: true})).Accounts[scopetest.Tooling]
		one := fill(t, w, nil, asking(scopetest.Tooling, inventory.AccountRequest{Roles: []string{"AppRole"}, Users: []string{"auditor"}})).Accounts[scopetest.Tooling]
		if !all.Complete {
			t.Errorf("the account is not complete: %v", all.Problems)
		}
		want, got := *one.Roles["approle"], *all.Roles["approle"]
		got.MaxSession = want.MaxSession // GetAccountAuthorizationDetails does not tell it
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("role AppRole (-by itself +of everything):\n%s", diff)
		}
		if diff := cmp.Diff(one.Users, map[string]*inventory.User{"auditor": all.Users["auditor"]}); diff != "" {
			t.Errorf("user auditor (-by itself +of everything):\n%s", diff)
		}
	})
}

// after lets something happen once, when the first request for an action has been answered.
type after struct {
	door   http.RoundTripper
	action string
	then   func()
}

func (a *after) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return a.door.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := a.door.RoundTrip(r)
	if then := a.then; then != nil && strings.Contains(string(body), "Action="+a.action+"&") {
		a.then = nil
		then()
	}
	return resp, err
}

func TestARoleWhosePolicyGoesWhileItIsReadIsNotAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		admin := iam.NewFromConfig(w.Admin(scopetest.Orders, nil))
		door := &after{door: w.Door, action: "ListRolePolicies", then: func() {
			if _, err := admin.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: aws.String("legacy-app"), PolicyName: aws.String("own")}); err != nil {
				t.Error(err)
			}
		}}
		a := fill(t, w, door, asking(scopetest.Orders, inventory.AccountRequest{Roles: []string{"legacy-app"}})).Accounts[scopetest.Orders]
		role, state := a.Role("legacy-app")
		if state != inventory.Exists || len(role.Inline) != 0 || len(a.Problems) > 0 {
			t.Errorf("role legacy-app is %v, %+v, problems %v: want it as it is now", state, role, a.Problems)
		}
		if door.then != nil {
			t.Error("nothing happened while the role was read")
		}
	})
}

func TestWhatCannotBeReadIsAProblemAndNotAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		w.Server.Faults().Add(w.Server.World().Now(), service.Fault{Kind: service.Outage, Account: scopetest.Orders})
		inv := fill(t, w, nil, inventory.Request{Accounts: map[arn.AccountID]*inventory.AccountRequest{
			scopetest.Orders:  {Roles: []string{"legacy-app"}, Secrets: []string{w.Secret}, Keys: []string{w.Key}, Providers: []string{"example.com"}, Quotas: true},
			scopetest.Tooling: {Roles: []string{"AppRole"}, Clusters: []inventory.ClusterRef{{Region: scopetest.Region, Name: "ci"}}},
		}})
		dead, well := inv.Accounts[scopetest.Orders], inv.Accounts[scopetest.Tooling]
		for what, state := range map[string]inventory.Lookup{
			"role": lookup(dead.Roles, "legacy-app"), "secret": lookup(dead.Secrets, w.Secret), "key": lookup(dead.Keys, w.Key), "provider": lookup(dead.Providers, "example.com"),
		} {
			if state != inventory.NotAsked {
				t.Errorf("the %s of an account that does not answer is %v", what, state)
			}
		}
		if len(dead.Problems) != 5 {
			t.Errorf("problems = %v, want one for each of 5 questions", dead.Problems)
		}
		for _, p := range dead.Problems {
			if strings.Contains(p.Why, "RequestID") || !strings.Contains(p.Why, "no answer") {
				t.Errorf("problem %q: %q, want the reason in plain words", p.What, p.Why)
			}
		}
		if _, state := well.Role("AppRole"); state != inventory.Exists || len(well.Problems) > 0 {
			t.Errorf("the account that answers: role %v, problems %v", state, well.Problems)
		}
		if c := well.Clusters[scopetest.Region+"/ci"]; c == nil || !strings.HasPrefix(c.Issuer, "https://oidc.eks.us-east-1.amazonaws.com/id/") {
			t.Errorf("cluster = %+v", c)
		}
	})
}

func TestACancelledFillSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := observe.Fill(ctx, source{w, nil}, asking(scopetest.Orders, inventory.AccountRequest{Roles: []string{"legacy-app"}}), &inventory.Inventory{}, observe.Options{})
		if err == nil {
			t.Error("Fill with a cancelled context gives no error: its inventory would be taken for the world")
		}
	})
}

func TestABoundaryThatIsGoneDoesNotHideItsRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		const gone = "arn:aws:iam::222222222222:policy/gone"
		world := w.Server.World()
		world.Lock()
		world.Accounts[scopetest.Orders].IAM.Role("legacy-app").Edit(world.Now(), func(r *store.Role) { r.Boundary = gone })
		world.Unlock()
		a := fill(t, w, nil, asking(scopetest.Orders, inventory.AccountRequest{Roles: []string{"legacy-app"}})).Accounts[scopetest.Orders]
		role, state := a.Role("legacy-app")
		if state != inventory.Exists || role.Boundary != gone {
			t.Errorf("role legacy-app is %v, %+v, problems %v", state, role, a.Problems)
		}
		if _, state := inventory.Get(a.Managed, gone); state != inventory.Absent {
			t.Errorf("the boundary is %v, want %v", state, inventory.Absent)
		}
	})
}

func TestFillReadsTheOrganization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{Organization: true})
		c := organizations.NewFromConfig(w.Admin(scopetest.Tooling, nil)) // the first account is the management account
		roots, err := c.ListRoots(t.Context(), &organizations.ListRootsInput{})
		if err != nil {
			t.Fatal(err)
		}
		root := roots.Roots[0].Id
		unit, err := c.CreateOrganizationalUnit(t.Context(), &organizations.CreateOrganizationalUnitInput{Name: aws.String("prod"), ParentId: root})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.MoveAccount(t.Context(), &organizations.MoveAccountInput{AccountId: aws.String(string(scopetest.Orders)), SourceParentId: root, DestinationParentId: unit.OrganizationalUnit.Id}); err != nil {
			t.Fatal(err)
		}
		policy, err := c.CreatePolicy(t.Context(), &organizations.CreatePolicyInput{
			Name: aws.String("no-leaving"), Description: aws.String("nobody leaves"), Type: types.PolicyTypeServiceControlPolicy,
			Content: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"organizations:LeaveOrganization","Resource":"*"}]}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.AttachPolicy(t.Context(), &organizations.AttachPolicyInput{PolicyId: policy.Policy.PolicySummary.Id, TargetId: unit.OrganizationalUnit.Id}); err != nil {
			t.Fatal(err)
		}
		req := asking(scopetest.Tooling, inventory.AccountRequest{Roles: []string{"AppRole"}})
		req.Organization = true
		inv := fill(t, w, nil, req)
		if inv.OrgState != inventory.Exists {
			t.Fatalf("the organization is %v: %v", inv.OrgState, inv.Accounts[scopetest.Tooling].Problems)
		}
		path := func(id arn.AccountID) string {
			var out []string
			for _, n := range inv.Organization.Path(id) {
				var scps []string
				for _, id := range n.SCPs {
					scps = append(scps, inv.Organization.Policies[id].Name)
				}
				slices.Sort(scps)
				out = append(out, n.Name+" "+strings.Join(scps, ","))
			}
			return strings.Join(out, " > ")
		}
		no := aws.ToString(policy.Policy.PolicySummary.Id)
		if got, want := path(scopetest.Orders), "Root FullAWSAccess > prod FullAWSAccess,no-leaving > orders-prod FullAWSAccess"; got != want {
			t.Errorf("path of orders-prod = %q, want %q", got, want)
		}
		if got, want := path(scopetest.Network), "Root FullAWSAccess > network FullAWSAccess"; got != want {
			t.Errorf("path of network = %q, want %q", got, want)
		}
		if p := inv.Organization.Policies[no]; p == nil || p.Name != "no-leaving" || !strings.Contains(p.Document, "LeaveOrganization") {
			t.Errorf("policy %s = %+v", no, p)
		}
		if len(inv.Organization.Policies) != 2 || inv.Organization.ManagementAccount != scopetest.Tooling {
			t.Errorf("organization = %+v", inv.Organization)
		}
	})
}
