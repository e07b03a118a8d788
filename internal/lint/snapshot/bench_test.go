package snapshot_test

import (
	"fmt"
	"testing"

	"github.com/stile-aws/stile/internal/inventory/inventorytest"
	"github.com/stile-aws/stile/internal/lint/snapshot"
)

// BenchmarkCheck lints generated organizations: every document by itself, and
// both sides of 20 edges a role.
func BenchmarkCheck(b *testing.B) {
	for _, size := range []inventorytest.Size{
		{Seed: 1, Accounts: 5, Roles: 20, Edges: 5}, {Seed: 1, Accounts: 50, Roles: 100, Edges: 20}, {Seed: 1, Accounts: 200, Roles: 100, Edges: 20},
	} {
		b.Run(fmt.Sprintf("%dx%d", size.Accounts, size.Roles), func(b *testing.B) {
			inv := inventorytest.Organization(size)
			b.ReportAllocs()
			for b.Loop() {
				snapshot.Check(inv, snapshot.Options{})
			}
		})
	}
}
