// Package snapshot lints an inventory: every document in it, and what only
// shows when both sides of a crossing are known, or the organization: trust in
// what does not exist, permission that leads nowhere, shares that another
// policy stops, tags that nobody can set, roles that nobody uses.
//
// Start with [Check]. Decisions are authz's, asked through internal/effective;
// what is not certain from the inventory (something was not read, or a
// condition's value is not known) is not reported.
//
// The package is pure; the day comes in [Options].
package snapshot

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// Options say what an inventory does not. The zero Options are the default.
type Options struct {
	// Now is the day the inventory is looked at; without it nothing is called
	// unused.
	Now time.Time
	// Unused is how long a role may go unused. Default: 90 days.
	Unused time.Duration
	// Meter, unless nil, tells meanwhile how far the check is.
	Meter *Meter
}

const defaultUnused = 90 * 24 * time.Hour

// Check reports what is the matter with an inventory. Findings have a subject
// ("111111111111 role/ci trust policy") and no file; line and column count in
// the document.
func Check(inv *inventory.Inventory, o Options) rule.List {
	if o.Unused <= 0 {
		o.Unused = defaultUnused
	}
	w := newWorld(inv, o)
	list := w.documents()
	w.connect()
	list = append(list, w.sides()...)
	list.Sort()
	return list
}

// world is the inventory with what the rules look up in it. It does not change
// while units of work run beside each other.
type world struct {
	inv      *inventory.Inventory
	options  Options
	view     *effective.View
	own      []arn.AccountID // accounts of the organization; nil when it is not known
	managed  []string        // ARNs of keys that AWS manages
	nodes    []string        // roles of nodes; nil when they are not known
	ids      map[string]bool // unique ids of users and roles
	issuers  map[string]bool // of EKS clusters, without https://
	roles    []*role
	byARN    map[string]*role
	policies []*held
	heldBy   map[string][]*held // by ARN of a role or user
	shared   []*share
	keys     map[string]*share   // key policies by the key's ARN
	under    map[string][]*share // secrets by their key's ARN
	callers  sync.Map            // ARN of a user or role to *caller
}

// part is one unit of work, with what it has found. Parts run beside each
// other; what they found is joined in the order of the units.
type part struct {
	*world
	list rule.List
}

// role is a role with what was read of its trust policy.
type role struct {
	*inventory.Role
	arn     arn.ARN
	account *inventory.Account
	trust   *policy.Document
	subject string
	// associations are the Pod Identity associations that use the role, and
	// clusters those they are in.
	associations []*inventory.Association
	clusters     map[string]bool
	// guard is what decides at the role's end who may assume it.
	guard func() *effective.Side
}

// held is an identity-based document and who holds it.
type held struct {
	doc     *policy.Document
	subject string
	holders []string // ARNs of roles and users
}

// share is a resource's policy.
type share struct {
	doc      *policy.Document
	subject  string
	resource arn.ARN
	kind     policy.Kind
	secret   *inventory.Secret
	account  *inventory.Account
}

func newWorld(inv *inventory.Inventory, o Options) *world {
	w := &world{
		inv: inv, options: o, view: effective.Options{Assume: true}.New(inv),
		ids: map[string]bool{}, issuers: map[string]bool{}, byARN: map[string]*role{}, heldBy: map[string][]*held{}, keys: map[string]*share{}, under: map[string][]*share{},
	}
	w.own = OwnAccounts(inv)
	nodesKnown := false
	for _, a := range w.accounts() {
		w.noteAccount(a, &nodesKnown)
	}
	if !nodesKnown {
		w.nodes = nil
	}
	return w
}

// accounts are those of the inventory, by id.
func (w *world) accounts() []*inventory.Account {
	var out []*inventory.Account
	for _, id := range slices.Sorted(maps.Keys(w.inv.Accounts)) {
		if a := w.inv.Accounts[id]; a != nil {
			out = append(out, a)
		}
	}
	return out
}

// OwnAccounts are the accounts of the organization's tree and of the
// inventory; nil when the organization is not known.
func OwnAccounts(inv *inventory.Inventory) []arn.AccountID {
	if inv.Organization == nil {
		return nil
	}
	ids := map[arn.AccountID]bool{}
	var walk func(n *inventory.Node)
	walk = func(n *inventory.Node) {
		if n == nil {
			return
		}
		if id := arn.AccountID(n.ID); id.Valid() {
			ids[id] = true
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(inv.Organization.Root)
	for id := range inv.Accounts {
		ids[id] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

func (w *world) noteAccount(a *inventory.Account, nodesKnown *bool) {
	for _, r := range a.Roles {
		if r != nil {
			w.ids[r.ID] = true
		}
	}
	for _, u := range a.Users {
		if u != nil {
			w.ids[u.ID] = true
		}
	}
	for _, k := range a.Keys {
		if k != nil && k.AWSManaged {
			w.managed = append(w.managed, k.ARN)
		}
	}
	for _, c := range a.Clusters {
		if c == nil {
			continue
		}
		w.issuers[strings.TrimPrefix(c.Issuer, "https://")] = true
		*nodesKnown = *nodesKnown || c.AccessEntryState == inventory.Exists
		for _, e := range c.AccessEntries {
			if e.Type != "STANDARD" && e.Type != "" {
				w.nodes = append(w.nodes, e.Principal)
			}
		}
	}
}

// whole reports whether every own account was read and had all its things of
// the kind listed in region, so that what is in none of them does not exist.
func (w *world) whole(kind, region string) bool {
	if w.own == nil {
		return false
	}
	for _, id := range w.own {
		if w.inv.Accounts[id].Kind(kind, region) != inventory.Exists {
			return false
		}
	}
	return true
}

// context is what is known of the surroundings of a document of an account.
func (w *world) context(a *inventory.Account, subject string) lint.Context {
	ctx := lint.Context{
		Subject: subject, Account: a.ID, Organization: w.own, NodeRoles: w.nodes, ManagedKeys: w.managed,
		Exists: func(id string) bool { return w.ids[id] },
	}
	if w.inv.Organization != nil {
		ctx.Management = w.inv.Organization.ManagementAccount
	}
	return ctx
}

// add reports a finding at a place of a document; anchor is what it hangs on
// there.
func (w *part) add(subject string, pos policy.Pos, anchor string, f rule.Finding) {
	f.Subject, f.Anchor = subject, anchor
	f.Pos.Line, f.Pos.Column = pos.Line, pos.Column
	w.list.Add(f)
}
