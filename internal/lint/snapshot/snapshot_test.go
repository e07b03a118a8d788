package snapshot_test

import (
	"testing"

	"github.com/stile-aws/stile/internal/inventory/inventorytest"
	"github.com/stile-aws/stile/internal/lint/snapshot"
)

func TestX(t *testing.T) {
	for i, f := range snapshot.Check(inventorytest.Organization(inventorytest.Size{Accounts: 5, Roles: 10}), snapshot.Options{}) {
		if i < 60 {
			t.Log(f)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	inv := inventorytest.Organization(inventorytest.Size{Accounts: 50, Roles: 100})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n = len(snapshot.Check(inv, snapshot.Options{}))
	}
	b.ReportMetric(float64(n), "findings")
}
