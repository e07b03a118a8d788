package reach_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/inventory/inventorytest"
	"github.com/stile-aws/stile/internal/reach"
)

// TestWhoCanIsWhatAFullScanFinds asks the View about every principal.
func TestWhoCanIsWhatAFullScanFinds(t *testing.T) {
	for seed := range uint64(5) {
		inv := inventorytest.Organization(inventorytest.Size{Seed: seed, Accounts: 4, Roles: 12, Edges: 3})
		g, view := reach.New(inv, reach.Config{}), effective.New(inv)
		if seed == 4 { // with much that was not read
			inv.Organization.RCPState = inventory.NotAsked
			g, view = reach.New(inv, reach.Config{}), effective.New(inv)
		}
		for _, q := range questions(inv) {
			compareWhoCan(t, g, view, q)
		}
	}
}

// questions are some about resources of every kind of inv.
func questions(inv *inventory.Inventory) []reach.Query {
	a := inv.Accounts[inventorytest.AccountID(1)]
	out := []reach.Query{
		{Action: "s3:ListAllMyBuckets", Resource: "*"}, {Action: "iam:CreateUser", Resource: "arn:aws:iam::100000000002:user/new"},
		{Action: "secretsmanager:GetSecretValue", Resource: "arn:aws:secretsmanager:us-east-1:100000000002:secret:nothere-AbCdEf"},
		{Action: "ecr:BatchGetImage", Resource: "arn:aws:ecr:us-east-1:100000000002:repository/app"}, // nobody listed repositories
	}
	for name := range a.Secrets {
		out = append(out, reach.Query{Action: "secretsmanager:GetSecretValue", Resource: name})
	}
	for name := range a.Keys {
		out = append(out, reach.Query{Action: "kms:Decrypt", Resource: name}, reach.Query{Action: "kms:ScheduleKeyDeletion", Resource: name})
	}
	for name, r := range a.Resources {
		switch r.Type {
		case "s3:bucket":
			out = append(out, reach.Query{Action: "s3:GetObject", Resource: name + "/key"})
		case "sqs:queue":
			out = append(out, reach.Query{Action: "sqs:SendMessage", Resource: name})
		case "sns:topic":
			out = append(out, reach.Query{Action: "sns:Publish", Resource: name})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(a.Roles)) {
		out = append(out, reach.Query{Action: "sts:AssumeRole", Resource: a.Roles[key].ARN})
		break
	}
	return out
}

func compareWhoCan(t *testing.T, g *reach.Graph, view *effective.View, q reach.Query) {
	t.Helper()
	got := map[string]reach.Proof{}
	w := g.WhoCan(q)
	for _, a := range w.Direct {
		got[a.Node.Key] = a.Proof
	}
	for id := range reach.NodeID(g.Len()) {
		n := g.Node(id)
		if n.Kind != reach.Role && n.Kind != reach.User && n.Kind != reach.Root {
			continue
		}
		p, err := view.Principal(n.Key)
		if err != nil {
			t.Fatal(err)
		}
		question := effective.Of(p, q.Action, q.Resource)
		if q.Action == "sts:AssumeRole" {
			question.Context.SetUnknown("sts:ExternalId")
		}
		want := view.Ask(question).Outcome
		if agrees(want, got[n.Key]) {
			continue
		}
		t.Errorf("%s %s by %s: who-can says %v, the scan %v", q.Action, q.Resource, n.Key, got[n.Key], want)
	}
	for _, a := range w.Through {
		path := w.Path(a.Node.ID)
		if len(path) < 2 || path[0] != a.Node.ID || got[g.Node(path[len(path)-1]).Key] == 0 {
			t.Errorf("%s %s: path of %s is %v", q.Action, q.Resource, a.Node.Key, path)
		}
	}
}

func agrees(want authz.Outcome, got reach.Proof) bool {
	switch want {
	case authz.Allowed:
		return got == reach.Proven
	case authz.Unknown:
		return got == reach.Conditional || got == reach.Unread
	}
	return got == 0
}

// TestWhoCanNamesThoseOutsideTheInventory lists whom policies of resources let in
// beside the inventory's own principals.
func TestWhoCanNamesThoseOutsideTheInventory(t *testing.T) {
	const bucket, key = "arn:aws:s3:::reports", "arn:aws:kms:us-east-1:222222222222:key/k1"
	statement := func(principal, conditions string) string {
		return strings.Replace(trust(principal, `"s3:GetObject"`, conditions), `"Action"`, `"Resource":"arn:aws:s3:::reports/*","Action"`, 1)
	}
	for _, c := range []struct {
		name, policy string
		want         []string
	}{
		{"a service", statement(`{"Service":"cloudfront.amazonaws.com"}`, ""), []string{"cloudfront.amazonaws.com allowed"}},
		{"a service, for one account's sake", statement(`{"Service":"cloudfront.amazonaws.com"}`, `{"StringEquals":{"aws:SourceAccount":"222222222222"}}`), []string{"cloudfront.amazonaws.com conditional"}},
		{"another account", statement(`{"AWS":"999999999999"}`, ""), []string{"some principal of account 999999999999 unread"}},
		{"another account's role", statement(byARN("arn:aws:iam::999999999999:role/vendor"), ""), []string{"arn:aws:iam::999999999999:role/vendor unread"}},
		{"a role that was deleted", statement(byARN(roleARN(tooling, "gone")), ""), nil},
		{"everyone", statement(`"*"`, ""), []string{"any principal of any AWS account allowed", "anybody, without credentials allowed", "role/other allowed"}},
		{"everyone of an organization, which the role's account is not in", statement(`"*"`, `{"StringEquals":{"aws:PrincipalOrgID":"o-acme123456"}}`), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv := world()
			role(inv, orders, "other", "", nobody)
			inv.Accounts[orders].Resources = map[string]*inventory.Resource{bucket: {ARN: bucket, Type: "s3:bucket", Policy: document(c.policy), PolicyState: inventory.Exists}}
			if got := direct(reach.New(inv, reach.Config{}), reach.Query{Action: "s3:GetObject", Resource: bucket + "/a"}); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	inv := world()
	inv.Accounts[orders].Keys = map[string]*inventory.Key{key: {
		ARN: key, Policy: document(strings.Replace(trust(byARN("arn:aws:iam::222222222222:root"), `"kms:*"`, ""), `"Action"`, `"Resource":"*","Action"`, 1)), GrantState: inventory.Exists,
		Grants: []inventory.Grant{{ID: "g", Grantee: roleARN(orders, "granted"), Operations: []string{"Decrypt"}}},
	}}
	role(inv, orders, "granted", "", nobody)
	role(inv, orders, "other", "", nobody)
	if got := direct(reach.New(inv, reach.Config{}), reach.Query{Action: "kms:Decrypt", Resource: key}); !slices.Equal(got, []string{"role/granted allowed"}) {
		t.Errorf("by a grant: %q", got)
	}
}

// direct lists who may, but for root users.
func direct(g *reach.Graph, q reach.Query) []string {
	var out []string
	for _, a := range g.WhoCan(q).Direct {
		if a.Node.Kind != reach.Root {
			out = append(out, strings.TrimPrefix(a.Node.Name, "arn:aws:iam::"+string(orders)+":")+" "+a.Proof.String())
		}
	}
	slices.Sort(out)
	return out
}

func TestABucketWhoseAccountIsNotKnownIsAGap(t *testing.T) {
	inv := world()
	role(inv, orders, "reader", allow(`"s3:GetObject"`, `"*"`), nobody)
	w := reach.New(inv, reach.Config{}).WhoCan(reach.Query{Action: "s3:GetObject", Resource: "arn:aws:s3:::elsewhere/a"})
	if len(w.Gaps) != 1 || !strings.Contains(w.Gaps[0].What, "account that owns arn:aws:s3:::elsewhere/a") {
		t.Errorf("gaps %v", w.Gaps)
	}
	for _, a := range w.Direct {
		if a.Node.Kind == reach.Role && a.Proof == reach.Proven {
			t.Errorf("%s is %v, though nobody knows the bucket's policy", a.Node.Name, a.Proof)
		}
	}
}
