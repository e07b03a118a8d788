package snapshot_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/inventory/inventorytest"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/snapshot"
)

const (
	own   = arn.AccountID("111111111111")
	other = arn.AccountID("222222222222")
)

func trust(principal string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":"sts:AssumeRole"}]}`
}

// world is two accounts of which everything in IAM was read, in no
// organization that is known.
func world(roles ...*inventory.Role) *inventory.Inventory {
	inv := &inventory.Inventory{OrgState: inventory.Absent, Accounts: map[arn.AccountID]*inventory.Account{}}
	for _, id := range []arn.AccountID{own, other} {
		inv.Accounts[id] = &inventory.Account{ID: id, Complete: true, Member: inventory.Membership{State: inventory.Absent}, Roles: map[string]*inventory.Role{}, Users: map[string]*inventory.User{}}
	}
	for _, r := range roles {
		a, _ := arn.Parse(r.ARN)
		inv.Accounts[a.Account].Roles[strings.ToLower(r.Name)] = r
	}
	return inv
}

func role(id arn.AccountID, name, trust string) *inventory.Role {
	return &inventory.Role{ARN: "arn:aws:iam::" + string(id) + ":role/" + name, Name: name, ID: "AROA" + strings.ToUpper(name) + "000000000", Path: "/", Trust: trust, MaxSession: 3600}
}

func found(list rule.List, code string) []string {
	var out []string
	for _, f := range list {
		if f.Code == code {
			out = append(out, f.Summary)
		}
	}
	return out
}

const ec2 = `{"Service":"ec2.amazonaws.com"}`

func TestWhoDoesNotExist(t *testing.T) {
	pathed := role(own, "ci", trust(ec2))
	pathed.ARN, pathed.Path = "arn:aws:iam::111111111111:role/teams/ci", "/teams/"
	inv := world(pathed, role(other, "deploy", trust(`{"AWS":["arn:aws:iam::111111111111:role/ci","arn:aws:iam::111111111111:user/anne","arn:aws:iam::333333333333:role/stranger"]}`)),
		role(other, "reader", trust(`{"AWS":"arn:aws:iam::111111111111:role/cii"}`)))
	want := []string{
		"there is no arn:aws:iam::111111111111:role/ci; the role of that name is arn:aws:iam::111111111111:role/teams/ci",
		"there is no arn:aws:iam::111111111111:user/anne",
		"there is no arn:aws:iam::111111111111:role/cii, did you mean arn:aws:iam::111111111111:role/teams/ci?",
	}
	if diff := cmp.Diff(want, found(snapshot.Check(inv, snapshot.Options{}), rule.DeadTrust)); diff != "" {
		t.Errorf("dead trusts (-want +got):\n%s", diff)
	}
	inv.Accounts[own].Complete = false
	delete(inv.Accounts[own].Roles, "ci")
	if got := found(snapshot.Check(inv, snapshot.Options{}), rule.DeadTrust); len(got) != 0 {
		t.Errorf("an account that was not read to the end lacks somebody: %q", got)
	}
}

func TestWhatWasNotReadIsNotJudged(t *testing.T) {
	inv := world(role(own, "ci", trust(ec2)), role(other, "deploy", inventory.Unknown("access denied")))
	inv.Accounts[own].Roles["ci"].Inline = map[string]string{"assume": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::222222222222:role/deploy"}]}`}
	if list := snapshot.Check(inv, snapshot.Options{}); len(list) != 0 {
		t.Errorf("findings on what nobody knows: %v", list)
	}
}

func TestAUniqueIDThatSomebodyHasIsNoGhost(t *testing.T) {
	ci := role(own, "ci", trust(ec2))
	ci.Inline = map[string]string{"assume": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`}
	inv := world(ci, role(other, "deploy", trust(`{"AWS":["`+ci.ID+`","AROAGHOSTGHOSTGHOST12"]}`)))
	want := []string{"AROAGHOSTGHOSTGHOST12 is what is left of a deleted user or role"}
	ci.ID = "AROACICICICICICICICI1"
	inv.Accounts[other].Roles["deploy"].Trust = trust(`{"AWS":["AROACICICICICICICICI1","AROAGHOSTGHOSTGHOST12"]}`)
	if diff := cmp.Diff(want, found(snapshot.Check(inv, snapshot.Options{}), rule.Deleted)); diff != "" {
		t.Errorf("ghosts (-want +got):\n%s", diff)
	}
}

func TestThirdPartiesNeedTheOrganization(t *testing.T) {
	inv := world(role(own, "in", trust(`{"AWS":"arn:aws:iam::333333333333:role/vendor"}`)))
	if got := found(snapshot.Check(inv, snapshot.Options{}), rule.NoExternalID); len(got) != 0 {
		t.Errorf("without an organization there are third parties: %q", got)
	}
	inv.OrgState, inv.Organization = inventory.Exists, &inventory.Organization{ID: "o-1", ManagementAccount: own, Root: &inventory.Node{ID: "r-1", Children: []*inventory.Node{{ID: string(own)}, {ID: string(other)}}}}
	if got := found(snapshot.Check(inv, snapshot.Options{}), rule.NoExternalID); len(got) != 1 {
		t.Errorf("third parties = %q, want the one", got)
	}
	inv.Organization.Root.Children = append(inv.Organization.Root.Children, &inventory.Node{ID: "333333333333"})
	if got := found(snapshot.Check(inv, snapshot.Options{}), rule.NoExternalID); len(got) != 0 {
		t.Errorf("an account of the organization is a third party: %q", got)
	}
}

func TestWhatAWSKeepsIsNotJudged(t *testing.T) {
	linked := role(own, "AWSServiceRoleForX", trust(`{"AWS":"*"}`))
	linked.Path = "/aws-service-role/x.amazonaws.com/"
	linked.ARN = "arn:aws:iam::111111111111:role" + linked.Path + linked.Name
	inv := world(linked)
	inv.Accounts[own].Managed = map[string]*inventory.Managed{"a": {ARN: "arn:aws:iam::aws:policy/X", Document: `{"Statement":[{"Effect":"Allow","Action":"nosuch:Thing","Resource":"*"}]}`}}
	inv.Accounts[own].Keys = map[string]*inventory.Key{"k": {ARN: "arn:aws:kms:us-east-1:111111111111:key/k", AWSManaged: true, Policy: `{"Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*","Principal":"*"}]}`}}
	if list := snapshot.Check(inv, snapshot.Options{}); len(list) != 0 {
		t.Errorf("findings on AWS's own: %v", list)
	}
}

func TestUnusedNeedsADay(t *testing.T) {
	r := role(own, "in", trust(`{"AWS":"arn:aws:iam::222222222222:role/ci"}`))
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name    string
		used    *inventory.LastUsed
		options snapshot.Options
		want    int
	}{
		{"long ago", &inventory.LastUsed{At: now.AddDate(0, 0, -91)}, snapshot.Options{Now: now}, 1},
		{"not so long ago", &inventory.LastUsed{At: now.AddDate(0, 0, -89)}, snapshot.Options{Now: now}, 0},
		{"longer than asked for", &inventory.LastUsed{At: now.AddDate(0, 0, -2)}, snapshot.Options{Now: now, Unused: 24 * time.Hour}, 1},
		{"never", &inventory.LastUsed{}, snapshot.Options{Now: now}, 1},
		{"not read", nil, snapshot.Options{Now: now}, 0},
		{"no day", &inventory.LastUsed{}, snapshot.Options{}, 0},
	} {
		r.LastUsed = test.used
		if got := found(snapshot.Check(world(r), test.options), rule.UnusedRole); len(got) != test.want {
			t.Errorf("%s: %q, want %d", test.name, got, test.want)
		}
	}
}

// A made-up organization with all forms of documents gives the same findings
// each time, each with a place and words.
func TestAWholeOrganization(t *testing.T) {
	inv := inventorytest.Organization(inventorytest.Size{Accounts: 6, Roles: 12, Seed: 7})
	first := snapshot.Check(inv, snapshot.Options{})
	first.Sign()
	seen := map[string]bool{}
	for _, f := range first {
		if f.Subject == "" || f.Pos.File != "" || f.Summary == "" || f.Hint == "" || f.Severity == rule.OfRule {
			t.Errorf("the finding lacks something: %+v", f)
		}
		if seen[f.Fingerprint] {
			t.Errorf("two findings have one fingerprint: %s", f)
		}
		seen[f.Fingerprint] = true
	}
	codes := map[string]bool{}
	for _, f := range first {
		codes[f.Code] = true
	}
	for _, want := range []string{rule.DeadTrust, rule.DeadGrant, rule.DeadShare, rule.TagsRefused, rule.ChainedSession, rule.ManagedKey} {
		if !codes[want] {
			t.Errorf("no %s among the findings of an organization made to have it", want)
		}
	}
	second := snapshot.Check(inv, snapshot.Options{})
	second.Sign()
	if !slices.EqualFunc(first, second, func(a, b rule.Finding) bool { return a == b }) {
		t.Error("the findings differ from one time to the next")
	}
}

// A role of an organization is dead in nobody's trust policy when the two can
// be made to work by asking rightly: with tags, an external id, at a time.
func TestWhatDependsOnHowIsNotDead(t *testing.T) {
	ci := role(own, "ci", trust(ec2))
	ci.Inline = map[string]string{"assume": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Resource":"arn:aws:iam::222222222222:role/deploy"}]}`}
	for _, condition := range []string{
		`{"StringEquals":{"sts:ExternalId":"5f0c8a4e-2d1b"}}`, `{"StringEquals":{"aws:RequestTag/team":"x"}}`, `{"DateLessThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}`,
		`{"StringEquals":{"aws:PrincipalTag/team":"x"}}`, `{"StringEquals":{"aws:SourceVpce":"vpce-1"}}`, `{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`,
	} {
		deploy := role(other, "deploy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+ci.ARN+`"},"Action":["sts:AssumeRole","sts:TagSession"],"Condition":`+condition+`}]}`)
		list := snapshot.Check(world(ci, deploy), snapshot.Options{})
		if got := append(found(list, rule.DeadTrust), found(list, rule.DeadGrant)...); len(got) != 0 {
			t.Errorf("under %s: %q", condition, got)
		}
	}
	wrong := role(other, "deploy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+ci.ARN+`"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalAccount":"333333333333"}}}]}`)
	if got := found(snapshot.Check(world(ci, wrong), snapshot.Options{}), rule.DeadTrust); len(got) != 1 {
		t.Errorf("a condition the caller can never meet: dead trusts = %q, want one", got)
	}
}

// A provider that nobody looked for is not absent: GetAccountAuthorizationDetails
// lists everything of IAM but providers.
func TestProvidersNobodyListedAreNotDead(t *testing.T) {
	ci := role(own, "ci", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/gitlab.example"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"gitlab.example:sub":"x","gitlab.example:aud":"y"}}}]}`)
	inv := world(ci)
	if got := found(snapshot.Check(inv, snapshot.Options{}), rule.DeadTrust); len(got) != 0 {
		t.Errorf("providers not listed: %q", got)
	}
	inv.Accounts[own].Listed = map[string]inventory.Lookup{inventory.KindProviders: inventory.Unread}
	if got := found(snapshot.Check(inv, snapshot.Options{}), rule.DeadTrust); len(got) != 0 {
		t.Errorf("providers that could not be listed: %q", got)
	}
	inv.Accounts[own].Listed[inventory.KindProviders] = inventory.Exists
	if got := found(snapshot.Check(inv, snapshot.Options{}), rule.DeadTrust); len(got) != 1 {
		t.Errorf("providers listed: %q, want one dead trust", got)
	}
}

// A boundary allows nothing by itself.
func TestAPolicyThatIsOnlyABoundaryGrantsNothing(t *testing.T) {
	const boundary = "arn:aws:iam::111111111111:policy/boundary"
	bounded := role(own, "app", trust(ec2))
	bounded.Boundary = boundary
	inv := world(bounded)
	inv.Accounts[own].Managed = map[string]*inventory.Managed{boundary: {ARN: boundary, Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","sts:*"],"Resource":"*"}]}`}}
	if got := found(snapshot.Check(inv, snapshot.Options{}), rule.AssumeAnywhere); len(got) != 0 {
		t.Errorf("a boundary: %q", got)
	}
	bounded.Attached = []string{boundary}
	if got := found(snapshot.Check(inv, snapshot.Options{}), rule.AssumeAnywhere); len(got) != 1 {
		t.Errorf("attached as well: %q, want one finding", got)
	}
}

// The findings and their order do not depend on how many work at them.
func TestFindingsDoNotDependOnProcessors(t *testing.T) {
	inv := inventorytest.Organization(inventorytest.Size{Accounts: 8, Roles: 15, Edges: 6, Seed: 3})
	meter := &snapshot.Meter{}
	many := snapshot.Check(inv, snapshot.Options{Meter: meter})
	if done, total := meter.Progress(); done != total || total < 8*15 {
		t.Errorf("in the end %d of %d are done", done, total)
	}
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	if diff := cmp.Diff(snapshot.Check(inv, snapshot.Options{}), many); diff != "" || len(many) == 0 {
		t.Errorf("findings with one processor and with %d (-one +many):\n%s", before, diff)
	}
}
