package reach_test

import (
	"maps"
	"slices"
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
		question := effective.Question{Principal: p, Action: q.Action, Resource: q.Resource}
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
