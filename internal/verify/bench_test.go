package verify_test

import (
	"fmt"
	"testing"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile/compiletest"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/verify"
)

// BenchmarkCheck100AccountsBy10Grants verifies 1,000 roles: 8 permissions and
// 5 strangers each, 16,000 decisions in all.
func BenchmarkCheck100AccountsBy10Grants(b *testing.B) {
	set := &access.Set{
		Scope:    access.Scope{Metadata: access.Metadata{Name: "bench"}},
		Accounts: []*access.Account{{Metadata: access.Metadata{Name: "tooling"}, ID: tooling}},
		Clusters: []*access.Cluster{{Metadata: access.Metadata{Name: "ci"}, Account: "tooling", Region: "us-east-1", Issuer: "https://oidc.example/ci", Identity: access.IRSA}},
	}
	var names []string
	for i := range 100 {
		name := fmt.Sprintf("w%03d", i)
		set.Accounts = append(set.Accounts, &access.Account{Metadata: access.Metadata{Name: name}, ID: arn.AccountID(fmt.Sprintf("5000000%05d", i))})
		names = append(names, name)
	}
	for i := range 10 {
		set.Accesses = append(set.Accesses, &access.Access{
			Metadata: access.Metadata{Name: fmt.Sprintf("grant%d", i)},
			From:     []access.Caller{{ServiceAccount: &access.ServiceAccount{Cluster: "ci", Namespace: "n", Name: fmt.Sprintf("sa%d", i)}}},
			To:       access.Targets{Accounts: names},
			Allow:    []access.Allow{{Actions: []string{"dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:BatchGetItem"}, Resources: []string{"arn:aws:dynamodb:us-east-1:${account}:table/Orders", "arn:aws:dynamodb:us-east-1:${account}:table/Items"}}},
		})
	}
	c := &compiletest.Case{Set: set, World: &inventory.Inventory{}}
	w, inv, diags := c.Compile(b)
	if w == nil {
		b.Fatal(diags)
	}
	inv = effective.After(inv, w)
	b.ReportAllocs()
	for b.Loop() {
		if r := verify.Check(w, inv, nil); !r.OK {
			b.Fatal("Check is not OK")
		}
	}
}
