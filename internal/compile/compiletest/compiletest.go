// Package compiletest runs the compiler on cases kept in txtar archives: the
// declarations as YAML files beside inventory.yaml, the world they meet.
//
// Start with [Load], then [Case.Compile]. A case's world answers requests as
// AWS would: what it does not have is absent. It cannot show propagation
// delays or permissions of the reader; accounts that do not answer are
// written down as problems.
package compiletest

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
)

// maxRounds is far more than clusters, then providers, secrets and keys take.
const maxRounds = 6

// Case is one archive.
type Case struct {
	Set     *access.Set
	World   *inventory.Inventory
	Ledger  *ledger.Ledger // nil when the archive has no ledger.json
	Archive *txtar.Archive
}

// Load reads a case. The declarations must load.
func Load(tb testing.TB, file string) *Case {
	tb.Helper()
	ar, err := txtar.ParseFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return FromArchive(tb, ar)
}

// FromArchive reads a case that is already parsed.
func FromArchive(tb testing.TB, ar *txtar.Archive) *Case {
	tb.Helper()
	c := &Case{Archive: ar, World: &inventory.Inventory{}}
	files := fstest.MapFS{}
	for _, f := range ar.Files {
		switch {
		case f.Name == "inventory.yaml":
			fromYAML(tb, f.Data, c.World)
		case f.Name == "ledger.yaml":
			c.Ledger = &ledger.Ledger{}
			fromYAML(tb, f.Data, c.Ledger)
		case strings.HasSuffix(f.Name, ".yaml"):
			files[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	set, diags := access.Load(files)
	if err := diags.Err(); err != nil {
		tb.Fatalf("loading declarations: %v", err)
	}
	c.Set = set
	return c
}

// fromYAML reads YAML into a value by its JSON field names.
func fromYAML(tb testing.TB, text []byte, into any) {
	tb.Helper()
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		tb.Fatal(err)
	}
	asJSON, err := json.Marshal(tree)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(asJSON, into); err != nil {
		tb.Fatal(err)
	}
}

// Observe asks the world in rounds until nothing is needed any more, and
// returns what was found and what was asked.
func (c *Case) Observe(tb testing.TB) (*inventory.Inventory, []inventory.Request) {
	tb.Helper()
	inv := &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{}}
	var asked []inventory.Request
	for range maxRounds {
		req := compile.Needs(c.Set, inv, c.Ledger)
		if req.Empty() {
			return inv, asked
		}
		asked = append(asked, req)
		Fill(inv, c.World, req)
	}
	tb.Fatalf("Needs still asks after %d rounds: %+v", maxRounds, asked[len(asked)-1])
	return nil, nil
}

// Compile observes and compiles.
func (c *Case) Compile(tb testing.TB) (*compile.Wanted, *inventory.Inventory, diag.List) {
	tb.Helper()
	inv, _ := c.Observe(tb)
	w, diags := compile.Compile(c.Set, inv)
	return w, inv, diags
}

// Fill answers a request from a world.
func Fill(inv, world *inventory.Inventory, req inventory.Request) {
	if req.Organization {
		inv.Organization, inv.OrgState = world.Organization, inventory.Absent
		if world.Organization != nil {
			inv.OrgState = inventory.Exists
		}
	}
	for id, r := range req.Accounts {
		from := world.Accounts[id]
		if from == nil {
			from = &inventory.Account{}
		}
		to := inv.Accounts[id]
		if to == nil {
			to = &inventory.Account{
				ID: id, Problems: from.Problems, Roles: map[string]*inventory.Role{}, Users: map[string]*inventory.User{},
				Managed: maps.Clone(from.Managed), Providers: map[string]*inventory.OIDCProvider{}, Secrets: map[string]*inventory.Secret{},
				Keys: map[string]*inventory.Key{}, Resources: map[string]*inventory.Resource{}, Listed: from.Listed, Clusters: map[string]*inventory.Cluster{},
			}
			inv.Accounts[id] = to
		}
		if to.Managed == nil {
			to.Managed = map[string]*inventory.Managed{}
		}
		fillAccount(to, from, r)
	}
}

func fillAccount(to, from *inventory.Account, r *inventory.AccountRequest) {
	if r.Quotas {
		to.Quotas = from.Quotas
	}
	unread := func(what string) bool {
		for _, p := range from.Problems {
			if p.What == what || p.What == "account" {
				return true
			}
		}
		return false
	}
	answer(to.Roles, from.Roles, r.Roles, strings.ToLower, func(k string) bool { return unread("role " + k) })
	answer(to.Users, from.Users, r.Users, strings.ToLower, func(k string) bool { return unread("user " + k) })
	answer(to.Managed, from.Managed, r.Managed, same, unread)
	answer(to.Providers, from.Providers, r.Providers, same, func(k string) bool { return unread("OIDC provider " + k) })
	answer(to.Secrets, from.Secrets, r.Secrets, same, func(k string) bool { return unread("secret " + k) })
	answer(to.Keys, from.Keys, r.Keys, same, func(k string) bool { return unread("key " + k) })
	answer(to.Resources, from.Resources, r.Resources, same, func(k string) bool { return unread("resource "+k) || unserved(from, k) })
	var clusters []string
	for _, ref := range r.Clusters {
		clusters = append(clusters, ref.Region+"/"+ref.Name)
	}
	answer(to.Clusters, from.Clusters, clusters, same, func(k string) bool { return unread("cluster " + k) })
}

// unserved reports whether the world says, by a listing that was not made, that it
// does not have the service of a resource.
func unserved(from *inventory.Account, resource string) bool {
	parsed, err := arn.Parse(resource)
	if err != nil {
		return false
	}
	for key, state := range from.Listed {
		if state == inventory.NotAsked && strings.HasPrefix(strings.TrimPrefix(key, parsed.Region+" "), parsed.Service+":") {
			return true
		}
	}
	return false
}

func same(s string) string { return s }

func answer[T any](to, from map[string]*T, asked []string, spell func(string) string, unread func(string) bool) {
	for _, key := range asked {
		if !unread(key) {
			to[spell(key)] = from[spell(key)]
		}
	}
}
