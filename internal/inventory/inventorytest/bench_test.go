package inventorytest_test

import (
	"testing"

	"github.com/stile-aws/stile/internal/inventory/inventorytest"
)

// BenchmarkOrganization makes 50 accounts of 100 roles with 20 edges each.
func BenchmarkOrganization(b *testing.B) {
	for b.Loop() {
		inventorytest.Organization(inventorytest.Size{Seed: 1, Accounts: 50, Roles: 100, Edges: 20})
	}
}
