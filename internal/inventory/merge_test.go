package inventory_test

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/inventory/inventorytest"
)

func dataOf(s string) *byte { return unsafe.StringData(s) }

// partial is what a reader with little time and few permissions saw of inv.
func partial(t *rapid.T, inv *inventory.Inventory, label string) *inventory.Inventory {
	percent := rapid.IntRange(0, 99)
	draw := func(p int) bool { return percent.Draw(t, label) < p }
	out := &inventory.Inventory{Accounts: inv.Accounts, OrgState: inv.OrgState, Organization: inv.Organization}
	switch {
	case draw(20):
		out.Organization, out.OrgState = nil, inventory.NotAsked
	case draw(20):
		out.Organization, out.OrgState = nil, inventory.Unread
	case draw(30):
		org := *inv.Organization
		org.RCPs, org.RCPState, org.Root = nil, inventory.Unread, withoutRCPs(org.Root)
		out.Organization = &org
	}
	out.Accounts = map[arnID]*inventory.Account{}
	for _, id := range sortedIDs(inv) {
		if draw(80) {
			out.Accounts[id] = partialAccount(draw, inv.Accounts[id])
		}
	}
	return out
}

func withoutRCPs(n *inventory.Node) *inventory.Node {
	out := *n
	out.RCPs, out.Children = nil, nil
	for _, c := range n.Children {
		out.Children = append(out.Children, withoutRCPs(c))
	}
	return &out
}

func partialAccount(draw func(int) bool, a *inventory.Account) *inventory.Account {
	out := *a
	if draw(40) {
		out.Complete = false
		out.Roles = some(draw, a.Roles)
		out.Users = some(draw, a.Users)
	}
	for key := range out.Roles {
		if out.Roles[key] == nil && draw(20) {
			delete(out.Roles, key)
			out.Problems = append(out.Problems, inventory.Problem{What: "role " + key, Why: "access denied"})
		}
	}
	if draw(20) {
		out.Problems = append(out.Problems, inventory.Problem{What: "organization", Why: fmt.Sprintf("try %d", len(out.Roles))})
		out.Member = inventory.Membership{State: inventory.Unread, Why: "access denied"}
	}
	if draw(40) {
		out.Listed = map[string]inventory.Lookup{inventory.ListKey(inventory.KindSecrets, "us-east-1"): inventory.Unread}
		out.Keys, out.Resources, out.Clusters = some(draw, a.Keys), some(draw, a.Resources), some(draw, a.Clusters)
		out.Secrets, out.Managed, out.Providers = some(draw, a.Secrets), some(draw, a.Managed), some(draw, a.Providers)
	}
	return &out
}

// some has half of m's entries, of which some were seen to be absent.
func some[T any](draw func(int) bool, m map[string]*T) map[string]*T {
	out := map[string]*T{}
	for _, key := range sortedKeys(m) {
		switch {
		case draw(50):
			out[key] = m[key]
		case draw(20):
			out[key] = nil
		}
	}
	return out
}

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := drawSize(t)
		world := inventorytest.Organization(size)
		size.Seed++ // the same accounts and roles, with other documents
		later := inventorytest.Organization(size)
		a, b, c := partial(t, world, "a"), partial(t, later, "b"), partial(t, world, "c")
		if diff := sameInventory(inventory.Merge(a, nil), a); diff != "" {
			t.Errorf("merging nothing changes an inventory:\n%s", diff)
		}
		if diff := sameInventory(inventory.Merge(nil, a), a); diff != "" {
			t.Errorf("merging into nothing changes an inventory:\n%s", diff)
		}
		if diff := sameInventory(inventory.Merge(a, a), a); diff != "" {
			t.Errorf("merging an inventory with itself changes it:\n%s", diff)
		}
		left, right := inventory.Merge(inventory.Merge(a, b), c), inventory.Merge(a, inventory.Merge(b, c))
		if diff := sameInventory(left, right); diff != "" {
			t.Errorf("the order of merging counts:\n%s", diff)
		}
		nothingIsLost(t, a, b, inventory.Merge(a, b))
	})
}

func nothingIsLost(t *rapid.T, older, newer, merged *inventory.Inventory) {
	for id, m := range merged.Accounts {
		o, n := older.Accounts[id], newer.Accounts[id]
		for key := range m.Roles {
			_, was := o.Role(key)
			fresh, is := n.Role(key)
			got, state := m.Role(key)
			if is == inventory.Exists && (got == nil || got.Trust != fresh.Trust) {
				t.Errorf("%s role %s is not newer's", id, key)
			}
			if known(was) && !known(state) || known(is) && state != is {
				t.Errorf("%s role %s: %v then %v gives %v", id, key, was, is, state)
			}
		}
		for key := range m.Keys {
			if state := stateOf(m.Keys, key); stateOf(keysOf(n), key) != inventory.NotAsked && state != stateOf(n.Keys, key) {
				t.Errorf("%s key %s is %v, not newer's", id, key, state)
			}
		}
	}
}

func known(l inventory.Lookup) bool { return l == inventory.Exists || l == inventory.Absent }

func keysOf(a *inventory.Account) map[string]*inventory.Key {
	if a == nil {
		return nil
	}
	return a.Keys
}

func stateOf[T any](m map[string]*T, key string) inventory.Lookup {
	_, state := inventory.Get(m, key)
	return state
}

func TestMerge(t *testing.T) {
	const secret = "arn:aws:secretsmanager:us-east-1:111111111111:secret:a-AbCdEf"
	role := func(trust string) *inventory.Role { return &inventory.Role{Name: "a", ID: "AROA1", Trust: trust} }
	account := func(a inventory.Account) *inventory.Account { a.ID = "111111111111"; return &a }
	for name, test := range map[string]struct{ older, newer, want *inventory.Account }{
		"what is listed and not seen is gone": {
			account(inventory.Account{Roles: map[string]*inventory.Role{"a": role("1")}}),
			account(inventory.Account{Complete: true}),
			account(inventory.Account{Complete: true}),
		},
		"what could not be read stays, with the problem": {
			account(inventory.Account{Roles: map[string]*inventory.Role{"a": role("1")}}),
			account(inventory.Account{Problems: []inventory.Problem{{What: "role a", Why: "no"}}}),
			account(inventory.Account{Roles: map[string]*inventory.Role{"a": role("1")}, Problems: []inventory.Problem{{What: "role a", Why: "no"}}}),
		},
		"a problem goes when the thing is read": {
			account(inventory.Account{Problems: []inventory.Problem{{What: "role a", Why: "no"}, {What: "role b", Why: "no"}}}),
			account(inventory.Account{Roles: map[string]*inventory.Role{"a": role("2")}}),
			account(inventory.Account{Roles: map[string]*inventory.Role{"a": role("2")}, Problems: []inventory.Problem{{What: "role b", Why: "no"}}}),
		},
		"a role keeps what the second reading does not tell": {
			account(inventory.Account{Roles: map[string]*inventory.Role{"a": {Name: "a", ID: "AROA1", MaxSession: 7200, LastUsed: &inventory.LastUsed{Region: "x"}}}}),
			account(inventory.Account{Roles: map[string]*inventory.Role{"a": role("2")}}),
			account(inventory.Account{Roles: map[string]*inventory.Role{"a": {Name: "a", ID: "AROA1", Trust: "2", MaxSession: 7200, LastUsed: &inventory.LastUsed{Region: "x"}}}}),
		},
		"a role made anew does not": {
			account(inventory.Account{Roles: map[string]*inventory.Role{"a": {Name: "a", ID: "AROA0", LastUsed: &inventory.LastUsed{Region: "x"}}}}),
			account(inventory.Account{Roles: map[string]*inventory.Role{"a": role("2")}}),
			account(inventory.Account{Roles: map[string]*inventory.Role{"a": role("2")}}),
		},
		"a secret says one thing under both its names": {
			account(inventory.Account{Secrets: map[string]*inventory.Secret{"a-*": {ARN: secret, Policy: "1"}}}),
			account(inventory.Account{Secrets: map[string]*inventory.Secret{secret: {ARN: secret, Policy: "2"}}}),
			account(inventory.Account{Secrets: map[string]*inventory.Secret{"a-*": {ARN: secret, Policy: "2"}, secret: {ARN: secret, Policy: "2"}}}),
		},
		"a policy that could not be read again is still the one read": {
			account(inventory.Account{Resources: map[string]*inventory.Resource{"q": {ARN: "q", PolicyState: inventory.Exists, Policy: "1", Tags: map[string]string{"a": "b"}}}}),
			account(inventory.Account{Resources: map[string]*inventory.Resource{"q": {ARN: "q", PolicyState: inventory.Unread, PolicyWhy: "no", KMSKey: "k"}}}),
			account(inventory.Account{Resources: map[string]*inventory.Resource{"q": {ARN: "q", PolicyState: inventory.Exists, Policy: "1", KMSKey: "k", Tags: map[string]string{"a": "b"}}}}),
		},
		"a list of one Region says nothing of another": {
			account(inventory.Account{Keys: map[string]*inventory.Key{"arn:aws:kms:us-east-1:111111111111:key/1": {}, "arn:aws:kms:eu-west-1:111111111111:key/2": {}}}),
			account(inventory.Account{Listed: map[string]inventory.Lookup{"us-east-1 keys": inventory.Exists}}),
			account(inventory.Account{
				Keys:   map[string]*inventory.Key{"arn:aws:kms:eu-west-1:111111111111:key/2": {}},
				Listed: map[string]inventory.Lookup{"us-east-1 keys": inventory.Exists},
			}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			wrap := func(a *inventory.Account) *inventory.Inventory {
				return &inventory.Inventory{Accounts: map[arnID]*inventory.Account{a.ID: a}}
			}
			before := saved(t, wrap(test.older))
			got := inventory.Merge(wrap(test.older), wrap(test.newer))
			if diff := sameInventory(wrap(test.want), got); diff != "" {
				t.Errorf("Merge (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, saved(t, wrap(test.older))); diff != "" {
				t.Errorf("Merge changed its argument:\n%s", diff)
			}
		})
	}
}
