package reach_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/inventory/inventorytest"
	"github.com/stile-aws/stile/internal/reach"
)

// organizations of the growth curve; those past 50 accounts only with
// STILE_BENCH_LARGE set, for they take gigabytes.
var organizations = []struct {
	accounts, roles int
	large           bool
}{{5, 100, false}, {50, 100, false}, {150, 200, true}, {500, 200, true}}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkNew(b *testing.B) {
	for _, o := range organizations {
		if o.large && os.Getenv("STILE_BENCH_LARGE") == "" {
			continue
		}
		b.Run(fmt.Sprintf("%dx%d", o.accounts, o.roles), func(b *testing.B) {
			start := time.Now()
			inv := inventorytest.Organization(inventorytest.Size{Seed: 1, Accounts: o.accounts, Roles: o.roles, Edges: 20})
			made := time.Since(start)
			before := heap()
			var g *reach.Graph
			b.ResetTimer()
			for b.Loop() {
				g = reach.New(inv, reach.Config{Progress: func(stage string, done, total int) {}})
			}
			b.StopTimer()
			b.ReportMetric(float64(heap()-before)/1e6, "MB")
			b.ReportMetric(float64(g.Edges()), "edges")
			b.ReportMetric(made.Seconds(), "s-to-make-up")
			runtime.KeepAlive(g)
		})
	}
}
