package inventory_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/inventory/inventorytest"
)

type arnID = arn.AccountID

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sortedIDs(inv *inventory.Inventory) []arnID { return slices.Sorted(maps.Keys(inv.Accounts)) }

func TestAnInventoryDoesNotDifferFromItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := partial(t, inventorytest.Organization(drawSize(t)), "part")
		if changes := inventory.Diff(inv, inv); len(changes) > 0 {
			t.Errorf("Diff(x, x) = %v", changes)
		}
	})
}

// edit is a way to change one leaf of an inventory.
type edit struct {
	path  string
	apply func()
}

// notCompared are the fields in which a difference does not count, by the end of
// their path.
var notCompared = []string{"LastUsed", "RolesUsed", "OIDCProvidersUsed", "Why", "PolicyWhy", "RCPWhy", "Account.ID"}

// edits lists a change for every leaf below v, which must be settable.
func edits(v reflect.Value, path string) []edit {
	if slices.ContainsFunc(notCompared, func(end string) bool { return strings.HasSuffix(path, "."+end) }) {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return edits(v.Elem(), path)
	case reflect.Struct:
		var out []edit
		for i := range v.NumField() {
			out = append(out, edits(v.Field(i), path+"."+v.Type().Name()+"."+v.Type().Field(i).Name)...)
		}
		return out
	case reflect.Map:
		return mapEdits(v, path)
	case reflect.Slice:
		var out []edit
		for i := range v.Len() {
			out = append(out, edits(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
		if n := v.Len(); n > 0 {
			out = append(out, edit{path + " shortened", func() { v.Set(v.Slice(0, n-1)) }})
		}
		return out
	}
	return []edit{{path, func() { change(v) }}}
}

func mapEdits(v reflect.Value, path string) []edit {
	var out []edit
	for it := v.MapRange(); it.Next(); {
		key, at := it.Key(), fmt.Sprintf("%s[%v]", path, it.Key())
		if it.Value().Kind() == reflect.Pointer {
			out = append(out, edits(it.Value(), at)...)
		} else {
			out = append(out, edit{at, func() {
				value := reflect.New(v.Type().Elem()).Elem()
				value.Set(v.MapIndex(key))
				change(value)
				v.SetMapIndex(key, value)
			}})
		}
		out = append(out, edit{at + " deleted", func() { v.SetMapIndex(key, reflect.Value{}) }})
	}
	return out
}

// change gives a leaf another value that means something else.
func change(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[inventory.Lookup]():
		if l := inventory.Lookup(v.Uint()); l == inventory.Exists || l == inventory.Absent {
			v.SetUint(uint64(inventory.Unread))
		} else {
			v.SetUint(uint64(inventory.Exists))
		}
	case v.Kind() == reflect.String && strings.Contains(v.String(), `"Allow"`):
		v.SetString(strings.Replace(v.String(), `"Allow"`, `"Deny"`, 1))
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "x")
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.Kind() == reflect.Int:
		v.SetInt(v.Int() + 1)
	default:
		panic("a kind of field that change does not know: " + v.Type().String())
	}
}

func TestDiffFindsEverySingleEdit(t *testing.T) {
	size := inventorytest.Size{Seed: 3, Accounts: 2, Roles: 8, Edges: 2, Users: 3, Resources: 1}
	before := inventorytest.Organization(size)
	text := saved(t, before)
	count := len(edits(reflect.ValueOf(before), "inventory"))
	if count < 600 {
		t.Fatalf("only %d edits: the walk over the inventory misses most of it", count)
	}
	for i := range count {
		after := inventorytest.Organization(size)
		all := edits(reflect.ValueOf(after), "inventory")
		slices.SortFunc(all, func(a, b edit) int { return strings.Compare(a.path, b.path) })
		all[i].apply()
		if len(inventory.Diff(before, after)) == 0 {
			t.Errorf("Diff does not see %s", all[i].path)
		}
		if len(inventory.Diff(after, before)) == 0 {
			t.Errorf("Diff does not see the way back from %s", all[i].path)
		}
	}
	if string(saved(t, before)) != string(text) {
		t.Error("Diff changed what it compared")
	}
}

func TestDiff(t *testing.T) {
	const id, queue = "111111111111", "arn:aws:sqs:us-east-1:111111111111:jobs"
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":"*"}]}`
	same := `{"Statement": {"Resource": ["*"], "Action": ["s3:listbucket", "s3:GetObject"], "Effect": "Allow"}, "Version": "2012-10-17"}`
	role := func(text string) map[string]*inventory.Role {
		return map[string]*inventory.Role{"a": {Name: "a", Inline: map[string]string{"p": text}}}
	}
	account := func(a inventory.Account) *inventory.Inventory {
		a.ID = id
		return &inventory.Inventory{Accounts: map[arnID]*inventory.Account{id: &a}}
	}
	for name, test := range map[string]struct {
		before, after *inventory.Inventory
		want          []inventory.Change
	}{
		"documents that say the same are the same": {account(inventory.Account{Roles: role(allow)}), account(inventory.Account{Roles: role(same)}), nil},
		"a role that is new where all were listed is added": {
			account(inventory.Account{Complete: true}), account(inventory.Account{Complete: true, Roles: role(allow)}),
			[]inventory.Change{{Account: id, What: "role a", Kind: inventory.Added, Before: inventory.Absent, After: inventory.Exists}},
		},
		"a role nobody had looked for became readable": {
			account(inventory.Account{}), account(inventory.Account{Roles: role(allow)}),
			[]inventory.Change{{Account: id, What: "role a", Kind: inventory.Readable, After: inventory.Exists}},
		},
		"a role that was looked for and went is removed": {
			account(inventory.Account{Roles: role(allow)}), account(inventory.Account{Roles: map[string]*inventory.Role{"a": nil}}),
			[]inventory.Change{{Account: id, What: "role a", Kind: inventory.Removed, Before: inventory.Exists, After: inventory.Absent}},
		},
		"a role that could not be read is not removed": {
			account(inventory.Account{Roles: role(allow)}), account(inventory.Account{Problems: []inventory.Problem{{What: "role a"}}}),
			[]inventory.Change{{Account: id, What: "role a", Kind: inventory.Unreadable, Before: inventory.Exists, After: inventory.Unread}},
		},
		"another document is named": {
			account(inventory.Account{Roles: role(allow)}), account(inventory.Account{Roles: role(strings.Replace(allow, "Get", "Put", 1))}),
			[]inventory.Change{{Account: id, What: "role a", Kind: inventory.Changed, Before: inventory.Exists, After: inventory.Exists, Details: []string{"inline policy p"}}},
		},
		"a queue whose policy could not be read again": {
			account(inventory.Account{Resources: map[string]*inventory.Resource{queue: {ARN: queue, Type: "sqs:queue", PolicyState: inventory.Absent}}}),
			account(inventory.Account{Resources: map[string]*inventory.Resource{queue: {ARN: queue, Type: "sqs:queue", PolicyState: inventory.Unread}}}),
			[]inventory.Change{{Account: id, What: queue, Kind: inventory.Unreadable, Before: inventory.Exists, After: inventory.Unread}},
		},
		"a queue whose tags could not be read again": {
			account(inventory.Account{Resources: map[string]*inventory.Resource{queue: {ARN: queue, PolicyState: inventory.Absent, Tags: map[string]string{}}}}),
			account(inventory.Account{Resources: map[string]*inventory.Resource{queue: {ARN: queue, PolicyState: inventory.Absent}}}),
			[]inventory.Change{{Account: id, What: queue, Kind: inventory.Changed, Before: inventory.Exists, After: inventory.Exists, Details: []string{"tags became unreadable"}}},
		},
		"an account that was not read": {
			account(inventory.Account{}), nil,
			[]inventory.Change{{Account: id, What: "account", Kind: inventory.Unreadable, Before: inventory.Exists}},
		},
		"an account that moved": {
			organization(&inventory.Node{ID: "ou-1", Children: []*inventory.Node{{ID: id, SCPs: []string{"p-1"}}}}, &inventory.Node{ID: "ou-2"}),
			organization(&inventory.Node{ID: "ou-1"}, &inventory.Node{ID: "ou-2", Children: []*inventory.Node{{ID: id, SCPs: []string{"p-2"}}}}),
			[]inventory.Change{{
				What: "organization account " + id, Kind: inventory.Changed, Before: inventory.Exists, After: inventory.Exists,
				Details: []string{"parent", "service control policy p-1 removed", "service control policy p-2 added"},
			}},
		},
	} {
		if diff := cmp.Diff(test.want, inventory.Diff(test.before, test.after)); diff != "" {
			t.Errorf("%s: Diff (-want +got):\n%s", name, diff)
		}
	}
}

func organization(children ...*inventory.Node) *inventory.Inventory {
	return &inventory.Inventory{OrgState: inventory.Exists, Organization: &inventory.Organization{ID: "o-1", Root: &inventory.Node{ID: "r-1", Children: children}}}
}

func TestTheTreeAgreesWithTheSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := drawSize(t)
		org := inventorytest.Organization(size).Organization
		tree := inventory.NewTree(org)
		for i := range size.Accounts + 1 {
			id := inventorytest.AccountID(i)
			if diff := cmp.Diff(org.Path(id), tree.Path(id)); diff != "" {
				t.Errorf("paths of %s differ:\n%s", id, diff)
			}
		}
	})
	if inventory.NewTree(nil).Path("111111111111") != nil || inventory.NewTree(nil).Node("r-1") != nil {
		t.Error("the tree of no organization has nodes")
	}
}
