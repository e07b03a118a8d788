package reach

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach/digraph"
	"github.com/stile-aws/stile/internal/reach/trustees"
	"github.com/stile-aws/stile/policy"
)

// Query is a use of something, by whoever.
type Query struct {
	Action   string
	Resource string // ARN, or "*"
	// Owner is the account of a resource whose ARN does not tell; "" where the
	// inventory knows it.
	Owner arn.AccountID
	// Context has the condition keys that are known of the request.
	Context authz.Context
}

// Access is somebody who may do what a query asks for.
type Access struct {
	Node  Node  `json:"principal"` // with ID None where the graph has no such node
	Proof Proof `json:"proof"`
}

// WhoCan is the answer to who may do what a query asks for.
type WhoCan struct {
	Query Query
	// Direct has those who may themselves, in the order of their nodes.
	Direct []Access
	// Through has those who may not, but come to one who may, by a chain that is
	// as sure as Proof says: see Path.
	Through []Access
	// Gaps are this query's own, beside those of the graph.
	Gaps []Gap

	g      *Graph
	guard  *effective.Side
	floods [Unread + 1]*digraph.Search
	direct map[NodeID]Proof
}

// WhoCan finds everybody who may do what q asks for: users, roles, root users,
// and whom the resource's policy names beside them.
func (g *Graph) WhoCan(q Query) *WhoCan {
	w := g.whoCanDirectly(q)
	w.through()
	return w
}

func (g *Graph) whoCanDirectly(q Query) *WhoCan {
	w := &WhoCan{Query: q, g: g, direct: map[NodeID]Proof{}}
	w.guard = g.view.Guard(effective.Question{Action: q.Action, Resource: q.Resource, ResourceAccount: q.Owner})
	candidates := w.candidates()
	found := make([]Proof, len(candidates))
	g.Spread(len(candidates), nil, func(_, i int) { found[i] = w.decide(&g.nodes[candidates[i]]) })
	for i, p := range found {
		if p != 0 {
			w.Direct = append(w.Direct, Access{g.nodes[candidates[i]].Node, p})
			w.direct[candidates[i]] = p
		}
	}
	w.bearers()
	w.strangers()
	return w
}

// bearers adds who comes to the role of the query with a token or an assertion,
// where those are what it asks for.
func (w *WhoCan) bearers() {
	g := w.g
	role, known := g.byKey[w.Query.Resource]
	d := g.doorOf[role]
	if !known || d == nil {
		return
	}
	for e := range g.To(role) {
		n, proof := &g.nodes[e.From], Proof(0)
		switch {
		case e.Way == BySAML && strings.EqualFold(w.Query.Action, assumeSAML):
			proof = e.Proof
		case e.Way == ByWebIdentity && strings.EqualFold(w.Query.Action, assumeWebIdentity):
			proof = w.token(n, d)
		}
		if proof != 0 && w.direct[e.From] == 0 {
			w.Direct = append(w.Direct, Access{n.Node, proof})
			w.direct[e.From] = proof
		}
	}
}

// token decides for the bearer of a token with what is known of the request.
func (w *WhoCan) token(n *node, d *door) Proof {
	q := w.g.tokenQuestion(n, d)
	if q.Action == "" {
		return 0
	}
	q.Context = mergedContext(w.Query.Context, q.Context)
	o := w.g.ask(q, n, d)
	switch {
	case !permits(o):
		return 0
	case !w.g.knowsProvider(q.Principal.Provider):
		return Unread
	}
	return proofOf(o, d.unread)
}

// unread reports whether a document on the resource's side is not known.
func (w *WhoCan) unread() bool { return len(w.guard.Policies().Unread) > 0 }

// question is the query asked by a node.
func (w *WhoCan) question(n *node) effective.Question {
	q := n.asks(w.Query.Action, w.Query.Resource)
	q.ResourceAccount, q.Context = w.Query.Owner, mergedContext(w.Query.Context, n.context)
	if strings.HasPrefix(strings.ToLower(q.Action), "sts:assumerole") {
		q.Context = chosen(q.Context)
	}
	return q
}

func (w *WhoCan) decide(n *node) Proof {
	side := n.side
	if side == nil {
		side = w.g.view.Caller(n.principal)
	}
	o := w.g.view.Settle(w.question(n), side, w.guard)
	if !permits(o) {
		return 0
	}
	return proofOf(o, n.unread || w.unread())
}

// candidates lists the nodes that may be allowed, sorted: those whose own
// policies may, those whom the resource's side names, and root users.
func (w *WhoCan) candidates() []NodeID {
	g := w.g
	seen := make([]bool, len(g.nodes))
	var out []NodeID
	var mu sync.Mutex
	add := func(n NodeID) {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
			for _, s := range g.siblings[n] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	action := strings.ToLower(w.Query.Action)
	g.Spread(len(g.owners), nil, func(_, i int) {
		a := g.accounts[g.owners[i]]
		var some []NodeID
		a.Candidates(action, w.Query.Resource, func(n NodeID) { some = append(some, n) })
		mu.Lock()
		defer mu.Unlock()
		for _, n := range some {
			add(n)
		}
	})
	w.named(add)
	for _, n := range g.roots {
		add(n)
	}
	slices.Sort(out)
	return out
}

// named adds whom the resource's side may allow without their own policies.
func (w *WhoCan) named(add func(NodeID)) {
	g := w.g
	pols := w.guard.Policies()
	everybody := slices.ContainsFunc(pols.Unread, func(u authz.Unread) bool { return !onCallersSide(u.Source.Layer) && u.Source.Layer != authz.LayerRCP })
	t := w.names()
	for _, name := range t.Entities {
		if n, known := g.byKey[name]; known {
			add(n)
		}
	}
	for _, s := range t.Sessions {
		role, _, _ := s.RoleSession()
		if r, state := g.inv.Accounts[s.Account].Role(role); state == inventory.Exists {
			if n, known := g.byKey[r.ARN]; known {
				add(n)
			}
		}
	}
	for _, id := range t.IDs {
		if n, known := g.ids[id]; known {
			add(n)
		}
	}
	owner := w.owner()
	if owner == "" && strings.HasPrefix(w.Query.Resource, "arn:") {
		w.Gaps = append(w.Gaps, Gap{What: "the account that owns " + w.Query.Resource, Why: "it is not known; those whose own policies may allow the request are listed"})
	}
	if account := g.inv.Accounts[owner]; owner != "" && (account == nil || account.Failed(inventory.AllOfIt)) {
		w.Gaps = append(w.Gaps, Gap{Account: owner, What: "the account that owns the resource", Why: "it was not read"})
	}
	if everybody || t.Everyone {
		for _, n := range g.members[owner] {
			add(n)
		}
	}
}

// names says whom the resource's policy and the grants on a key name for the action.
func (w *WhoCan) names() trustees.Names {
	var t trustees.Names
	pols := w.guard.Policies()
	action := strings.ToLower(w.Query.Action)
	if pols.Resource != nil {
		for i := range pols.Resource.Document().Statements {
			if st := &pols.Resource.Document().Statements[i]; st.Effect == policy.Allow && trustees.Covers(st, action) {
				t.Add(st)
			}
		}
	}
	for i := range pols.Grants {
		if grantee := pols.Grants[i].Grantee; strings.HasPrefix(grantee, "arn:") {
			t.AddAWS(grantee)
		} else {
			t.Services = append(t.Services, grantee)
		}
	}
	return t
}

// owner is the account of the resource, "" when it is not known.
func (w *WhoCan) owner() arn.AccountID {
	if w.Query.Owner != "" {
		return w.Query.Owner
	}
	a, err := arn.Parse(w.Query.Resource)
	if err != nil || a.Account != "" || a.Service != "s3" {
		return a.Account
	}
	bucket, _, _ := strings.Cut(w.Query.Resource, "/")
	for id, account := range w.g.inv.Accounts {
		if account != nil && account.Resources[bucket] != nil {
			return id
		}
	}
	return ""
}

// strangers adds whom the resource's policy names and who is no principal of
// the inventory: services, other accounts, everyone.
func (w *WhoCan) strangers() {
	t := w.names()
	ask := func(n node) {
		if id, known := w.g.byKey[n.Key]; known {
			n.ID = id
		} else {
			n.ID = None
		}
		if n.Name == "" {
			n.Name = n.Key
		}
		if p := w.decideStranger(&n); p != 0 {
			w.Direct = append(w.Direct, Access{n.Node, p})
		}
	}
	for _, name := range sortedUnique(t.Services) {
		ask(node{Node: Node{Kind: Service, Key: name}, principal: authz.Principal{Kind: authz.Service, ServiceName: name}})
	}
	for _, id := range sortedUnique(t.Accounts) {
		if w.g.inv.Accounts[id] == nil {
			key := arn.Root("aws", id).String()
			ask(node{Node: Node{Kind: External, Account: id, Key: "external:" + key, Name: "some principal of account " + string(id)}, principal: stranger(id), unread: true})
		}
	}
	for _, name := range sortedUnique(t.Entities) {
		if p, err := w.g.view.Principal(name); err == nil && w.g.unknownEntity(name) {
			ask(node{Node: Node{Kind: External, Account: p.ARN.Account, Key: "external:" + name, Name: name}, principal: p, unread: true})
		}
	}
	if t.Everyone {
		ask(node{Node: Node{Kind: Everyone, Key: "everyone", Name: anyPrincipal}, principal: stranger(nobodysAccount)})
		ask(node{Node: Node{Kind: Anonymous, Key: "anonymous", Name: "anybody, without credentials"}})
	}
}

// unknownEntity reports whether a user or role may exist though the inventory
// does not have it.
func (g *Graph) unknownEntity(name string) bool {
	a, err := arn.Parse(name)
	if _, known := g.byKey[name]; err != nil || known || a.Account == "" {
		return false
	}
	account := g.inv.Accounts[a.Account]
	_, state := account.Role(a.Name())
	if a.Type() == "user" {
		_, state = account.User(a.Name())
	}
	return state != inventory.Absent && state != inventory.Exists // under another path it is another principal
}

func (w *WhoCan) decideStranger(n *node) Proof {
	var o authz.Outcome
	if n.Kind == Service || n.Kind == Anonymous {
		o = w.g.view.Settle(w.question(n), w.g.view.Caller(n.principal), w.guard)
	} else {
		q := w.question(n)
		q.Context = mergedContext(q.Context, strangerContext(n))
		o, _ = w.g.askStranger(q)
	}
	if !permits(o) {
		return 0
	}
	if n.Kind == External {
		return Unread // its own side is not known
	}
	return proofOf(o, w.unread())
}

// mergedContext is a with what only b has.
func mergedContext(a, b authz.Context) authz.Context {
	out := a.Clone()
	b.All(func(key string, values []string, known bool) bool {
		_, present, certain := a.Get(key)
		switch {
		case present || !certain:
		case known:
			out.Set(key, values...)
		default:
			out.SetUnknown(key)
		}
		return true
	})
	return out
}

func sortedUnique[T cmp.Ordered](list []T) []T {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

// through searches backwards from those who may, by the surest edges first.
func (w *WhoCan) through() {
	g := w.g
	best := make([]Proof, len(g.nodes))
	for worst := Proven; worst <= Unread; worst++ {
		f := g.Search(worst, true)
		for n, p := range sorted(w.direct) {
			if p <= worst && (g.nodes[n].Kind == Role || g.nodes[n].Kind == Session) {
				f.Begin(n)
			}
		}
		if len(f.Reached()) == 0 {
			continue
		}
		f.Run()
		w.floods[worst] = f
		for _, n := range f.Reached() {
			if best[n] == 0 && f.Distance(n) > 0 && w.direct[n] == 0 {
				best[n] = worst
			}
		}
	}
	for n, p := range best {
		if p != 0 {
			w.Through = append(w.Through, Access{g.nodes[n].Node, p})
		}
	}
}

// Path is a shortest chain from a node to one that may do it itself, both
// included: the node alone when it may, nil when no chain leads there.
func (w *WhoCan) Path(n NodeID) []NodeID {
	if w.direct[n] != 0 {
		return []NodeID{n}
	}
	for _, f := range w.floods {
		if f != nil && f.Distance(n) >= 0 {
			return f.Path(n)
		}
	}
	return nil
}

// Explain tells why a direct access is what it is.
func (w *WhoCan) Explain(a Access) authz.Decision {
	if a.Node.ID == None || w.direct[a.Node.ID] == 0 {
		return authz.Decision{}
	}
	n := &w.g.nodes[a.Node.ID]
	return w.g.view.Explain(w.question(n), n.side, w.guard)
}
