package reach_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/inventory/inventorytest"
)

// identities are statements about assuming roles that tell roles apart in ways
// that no pattern shows.
var identities = []string{
	`{"Effect":"Allow","Action":"sts:*","Resource":"arn:aws:iam::*:role/*"},{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"arn:aws:iam::*:role/app/*"}`,
	`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*","Condition":{"StringEquals":{"aws:ResourceAccount":"100000000002"}}}`,
	`{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"sts:AssumeRole","NotResource":"arn:aws:iam::*:role/app/*"}`,
	`{"Effect":"Allow","Action":"sts:Assume*","NotResource":"arn:aws:iam::100000000003:role/*"}`,
	`{"Effect":"Allow","NotAction":"iam:*","Resource":"arn:aws:iam::*:role/app/*"}`,
	`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::100000000003:role/${aws:PrincipalTag/env}/*"}`,
	`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam"}`,
	`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:*:iam::*:role/app/*"}`,
	`{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"orders"}}}`,
	`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`,
	`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::10000000000?:role/*-00?"}`,
	`{"Effect":"Deny","Action":"sts:TagSession","Resource":"*"}`,
}

// trusts let in more than one by name.
var trusts = []string{
	`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}`,
	`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalAccount":["100000000001","100000000003"]}}}`,
	`{"Effect":"Allow","Principal":"*","Action":"sts:*","Condition":{"StringEquals":{"aws:PrincipalTag/env":"${aws:ResourceAccount}"}}}`,
	`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"},{"Effect":"Deny","Principal":{"AWS":"100000000002"},"Action":"sts:AssumeRole"}`,
	`{"Effect":"Allow","Principal":"*","Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringEquals":{"aws:RequestTag/team":"orders"}}}`,
	`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/workload-*"}}},{"Effect":"Allow","Principal":{"AWS":"100000000003"},"Action":"sts:AssumeRole"}`,
	`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:ResourceAccount":"100000000002"}}}`,
}

// tangle gives some roles of an organization such statements, and limits roles
// from above in ways that tell them apart.
func tangle(inv *inventory.Inventory, rng *rand.Rand) {
	for i := range len(inv.Accounts) {
		a := inv.Accounts[inventorytest.AccountID(i)]
		for _, name := range slices.Sorted(maps.Keys(a.Roles)) {
			r := a.Roles[name]
			switch rng.IntN(3) {
			case 0:
				r.Inline = map[string]string{"tangled": document(identities[rng.IntN(len(identities))], `{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`)}
			case 1:
				r.Trust = document(trusts[rng.IntN(len(trusts))])
			}
			if rng.IntN(4) == 0 {
				limits := []string{`{"Effect":"Allow","Action":"sts:*","Resource":"arn:aws:iam::*:role/app/*"}`, `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`}
				r.Boundary = fmt.Sprintf("arn:aws:iam::%s:policy/tangled-%s", a.ID, name)
				a.Managed[r.Boundary] = &inventory.Managed{ARN: r.Boundary, Document: document(limits[rng.IntN(2)])}
			}
		}
	}
	if rng.IntN(2) == 0 {
		inv.Organization.Policies["p-noleave0"].Document = document(`{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"arn:aws:iam::*:role/ci-*"}`)
	}
	if rng.IntN(2) == 0 {
		inv.Organization.RCPs["p-rcpperim0"].Document = document(`{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Resource":"arn:aws:iam::*:role/pod-*","Condition":{"StringNotEquals":{"aws:PrincipalAccount":"100000000002"}}}`)
	}
}

// TestEveryEdgeIsWhatAFullScanFindsInATangle is the full scan where groups on
// either side of a hub would be told apart.
func TestEveryEdgeIsWhatAFullScanFindsInATangle(t *testing.T) {
	for seed := range uint64(8) {
		inv := inventorytest.Organization(inventorytest.Size{Seed: seed, Accounts: 4, Roles: 14, Edges: 4, Users: 4})
		tangle(inv, rand.New(rand.NewPCG(seed, 3)))
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { compareWithScan(t, inv) })
	}
}
