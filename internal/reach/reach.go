// Package reach is the access graph of an inventory: who can become whom, by
// which chain, and who can use what.
//
// Start with [New], which decides every edge of an [inventory.Inventory] once;
// then [Graph.WhoCan], [Graph.WhatCan], [Graph.Paths] and [Graph.Close] answer
// questions about it, and [Diff] compares two of them. The principals are the
// nodes, see [Kind]; an edge is a way to get a session of a role, decided by
// authz with the documents of both sides. What was not read is never taken for
// absent: such edges carry [Unread], and [Graph.Gaps] lists what was not looked at.
//
// A Graph never changes and may be used by any number of goroutines at once.
// The package asks internal/effective about every pair it cannot rule out by an
// index, and decides nothing itself. It does not follow what a principal could
// do by changing policies, by passing roles to services, or by using what it
// reads.
package reach

import (
	"runtime"
	"sync"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach/digraph"
	"github.com/stile-aws/stile/internal/reach/grants"
)

// Config says how to build a Graph. The zero Config will do.
type Config struct {
	// View says how documents that were not looked for are taken; the default
	// is that they leave open what turns on them.
	View effective.Options
	// Workers bounds the goroutines; default one a processor.
	Workers int
	// Progress, unless nil, is told how far a stage is. It is called from the
	// goroutine of the caller of New and Diff, some hundred times at most.
	Progress func(stage string, done, total int)
	// MaxSessions bounds the tagged sessions that are told apart; default 200,000.
	MaxSessions int
}

// Graph is the access graph of one inventory.
type Graph struct {
	inv        *inventory.Inventory
	view       *effective.View
	everything *authz.Policy // see administrator
	chosen     authz.Context // what a caller without a context of its own may choose to pass
	workers    int

	nodes    []node
	byKey    map[string]NodeID
	doors    []door              // one for each role that exists, in the order of their nodes
	doorOf   map[NodeID]*door    // by the role's node
	siblings map[NodeID][]NodeID // tagged sessions of a role, by the role's node
	accounts map[arn.AccountID]*grants.Index
	ids      map[string]NodeID          // users and roles by unique id
	members  map[arn.AccountID][]NodeID // users and roles
	owners   []arn.AccountID            // of accounts, sorted
	roots    []NodeID

	once        sync.Once
	carrying    []carrier        // see carriers
	carryingFor map[string][]int // places in carrying, see namedKeys
	expanded    sync.Map         // action pattern in lower case to []string

	graph *digraph.Graph
	gaps  []Gap
}

// New builds the graph of inv, which must not change afterwards; nil is an
// empty inventory.
func New(inv *inventory.Inventory, cfg Config) *Graph {
	if inv == nil {
		inv = &inventory.Inventory{}
	}
	b := &builder{cfg: cfg, doorsAt: map[arn.AccountID][]*door{}, Graph: &Graph{
		inv: inv, view: cfg.View.New(inv), everything: administrator(), chosen: chosen(authz.Context{}), workers: cfg.Workers,
		byKey: map[string]NodeID{}, doorOf: map[NodeID]*door{}, siblings: map[NodeID][]NodeID{},
		accounts: map[arn.AccountID]*grants.Index{}, ids: map[string]NodeID{}, members: map[arn.AccountID][]NodeID{},
	}}
	if b.workers <= 0 {
		b.workers = runtime.GOMAXPROCS(0)
	}
	if b.cfg.MaxSessions <= 0 {
		b.cfg.MaxSessions = 200_000
	}
	b.principals()
	b.documents()
	b.discover()
	b.edges()
	b.sessions()
	b.finish()
	return b.Graph
}

// View is what the graph asks for its decisions.
func (g *Graph) View() *effective.View { return g.view }

// Inventory is what the graph was made from.
func (g *Graph) Inventory() *inventory.Inventory { return g.inv }

// builder is a Graph while it is built.
type builder struct {
	*Graph
	cfg     Config
	callers callers
	sources sources
	raw     []rawEdge
	toHub   []rawEdge // from nodes to hubs, which have numbers of their own
	fromHub []rawEdge // from hubs to nodes
	wide    int       // the number of hubs
	groups  []*class
	doorsAt map[arn.AccountID][]*door
}

// Spread calls work for each of n items on the graph's workers, in blocks,
// and tells how far it is. worker tells the goroutines apart.
func (g *Graph) Spread(n int, progress func(done, total int), work func(worker, item int)) {
	block := max(1, min(64, n/(8*g.workers)))
	if n == 1 || g.workers == 1 {
		for i := range n {
			work(0, i)
		}
		return
	}
	var mu sync.Mutex
	next := 0
	take := func() (from, to int) {
		mu.Lock()
		defer mu.Unlock()
		from = next
		next = min(n, next+block)
		return from, next
	}
	done := make(chan int, g.workers)
	var wg sync.WaitGroup
	for worker := range g.workers {
		wg.Go(func() {
			for from, to := take(); from < to; from, to = take() {
				for i := from; i < to; i++ {
					work(worker, i)
				}
				done <- to - from
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	total, step, told := 0, max(1, n/100), 0
	for some := range done {
		if total += some; progress != nil && total-told >= step {
			progress(total, n)
			told = total
		}
	}
}

func (b *builder) progress(stage string) func(done, total int) {
	if b.cfg.Progress == nil {
		return nil
	}
	return func(done, total int) { b.cfg.Progress(stage, done, total) }
}
