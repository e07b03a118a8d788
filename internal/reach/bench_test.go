package reach_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/inventory/inventorytest"
	"github.com/stile-aws/stile/internal/reach"
	"github.com/stile-aws/stile/internal/reach/digraph"
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

// graphOf builds a graph once for all benchmarks on it.
func graphOf(b *testing.B, accounts, roles int) *reach.Graph {
	b.Helper()
	inv := inventorytest.Organization(inventorytest.Size{Seed: 1, Accounts: accounts, Roles: roles, Edges: 20})
	return reach.New(inv, reach.Config{})
}

func each(b *testing.B, run func(b *testing.B, g *reach.Graph)) {
	for _, o := range organizations {
		if o.large && os.Getenv("STILE_BENCH_LARGE") == "" {
			continue
		}
		b.Run(fmt.Sprintf("%dx%d", o.accounts, o.roles), func(b *testing.B) { run(b, graphOf(b, o.accounts, o.roles)) })
	}
}

// BenchmarkQuestions measures what is asked of a graph once it is there.
func BenchmarkQuestions(b *testing.B) {
	each(b, func(b *testing.B, g *reach.Graph) {
		b.Run("who-can", func(b *testing.B) {
			inv := g.Inventory()
			a := inv.Accounts[inventorytest.AccountID(1)]
			var secret string
			for name := range a.Secrets {
				secret = max(secret, name)
			}
			var w *reach.WhoCan
			for b.Loop() {
				w = g.WhoCan(reach.Query{Action: "secretsmanager:GetSecretValue", Resource: secret})
			}
			b.ReportMetric(float64(len(w.Direct)), "direct")
			b.ReportMetric(float64(len(w.Through)), "through")
		})
		b.Run("who-can-bucket", func(b *testing.B) {
			for b.Loop() {
				g.WhoCan(reach.Query{Action: "s3:GetObject", Resource: "arn:aws:s3:::data-100000000002-00/key"})
			}
		})
		b.Run("closure", func(b *testing.B) {
			var c *digraph.Closure
			for b.Loop() {
				c = g.Close(reach.Unread)
			}
			b.ReportMetric(float64(c.Memory())/1e6, "MB")
			b.ReportMetric(float64(c.Components()), "components")
		})
		c := g.Close(reach.Unread)
		b.Run("path", func(b *testing.B) {
			n := 0
			for b.Loop() {
				from := reach.NodeID(n * 7919 % g.Len())
				c.Path(from, reach.NodeID((n*104729+17)%g.Len()))
				n++
			}
		})
	})
}
