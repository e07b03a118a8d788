package snapshot

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// Meter tells how far a check is. The zero Meter is ready; it may be read
// while the check runs.
type Meter struct{ done, total atomic.Int64 }

// Progress is how many accounts, roles, policies and shares were checked, and
// how many there are as far as is known; total grows once the documents are read.
func (m *Meter) Progress() (done, total int) { return int(m.done.Load()), int(m.total.Load()) }

func (m *Meter) expect(n int) {
	if m != nil {
		m.total.Add(int64(n))
	}
}

func (m *Meter) step() {
	if m != nil {
		m.done.Add(1)
	}
}

// each does n units of work, as many beside each other as there are processors,
// and gives their results in order. It returns when all are done.
func each[T any](w *world, n int, do func(i int) T) []T {
	w.options.Meter.expect(n)
	out := make([]T, n)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				out[i] = do(i)
				w.options.Meter.step()
			}
		})
	}
	all.Wait()
	return out
}

// connect finds what belongs together across accounts.
func (w *world) connect() {
	for _, r := range w.roles {
		w.byARN[r.ARN] = r
	}
	for _, a := range w.accounts() {
		w.associations(a)
	}
	for _, h := range w.policies {
		for _, holder := range h.holders {
			w.heldBy[holder] = append(w.heldBy[holder], h)
		}
	}
	for _, s := range w.shared {
		if s.kind == policy.Key {
			w.keys[s.resource.String()] = s
		} else if s.secret != nil && s.secret.KeyARN != "" {
			w.under[s.secret.KeyARN] = append(w.under[s.secret.KeyARN], s)
		}
	}
}

// sides applies the rules that need both sides of a crossing.
func (w *world) sides() rule.List {
	roles, policies := len(w.roles), len(w.roles)+len(w.policies)
	var list rule.List
	for _, found := range each(w, policies+len(w.shared), func(i int) rule.List {
		p := part{world: w}
		switch {
		case i < roles:
			p.trust(w.roles[i])
			p.tags(w.roles[i])
		case i < policies:
			p.grants(w.policies[i-roles])
		default:
			p.shares(w.shared[i-policies])
		}
		return p.list
	}) {
		list = append(list, found...)
	}
	return list
}
