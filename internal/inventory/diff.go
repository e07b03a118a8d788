package inventory

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
)

// Change is one thing that is not the same in two inventories.
type Change struct {
	Account arn.AccountID `json:"account,omitempty"` // "" for the organization and what is in it
	What    string        `json:"what"`              // as Problem.What names it: "role payroll-api", "secret ARN"
	Kind    ChangeKind    `json:"kind"`
	// Before and After are what is known of the thing in the one and the other.
	Before Lookup `json:"before"`
	After  Lookup `json:"after"`
	// Details name what of it changed: "trust policy", "inline policy read added".
	// It is empty unless Kind is Changed.
	Details []string `json:"details,omitempty"`
}

// ChangeKind is what became of a thing.
type ChangeKind uint8

// The kinds of change.
const (
	Added      ChangeKind = iota // was not there, and is
	Removed                      // was there, and is not
	Changed                      // is there in both, and says something else
	Unreadable                   // was known, there or not; now it could not be read or nobody looked
	Readable                     // was not known, and is
)

var changeKinds = [...]string{Added: "added", Removed: "removed", Changed: "changed", Unreadable: "became unreadable", Readable: "became readable"}

// String names the kind as a sentence would: "became unreadable".
func (k ChangeKind) String() string {
	if int(k) >= len(changeKinds) {
		return "changed in an unknown way"
	}
	return changeKinds[k]
}

// MarshalText writes the kind as String has it.
func (k ChangeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Diff lists what is different in after, by account and name. Documents are
// compared by what they say (policy.Equal), lists without regard to order. When
// a role was last used and how much of a quota is used does not count.
func Diff(before, after *Inventory) []Change {
	if before == nil {
		before = &Inventory{}
	}
	if after == nil {
		after = &Inventory{}
	}
	d := &differ{}
	d.organization(before, after)
	for _, id := range keysOf(before.Accounts, after.Accounts) {
		d.account(id, before.Accounts[id], after.Accounts[id])
	}
	slices.SortStableFunc(d.changes, func(x, y Change) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.What, y.What))
	})
	return d.changes
}

// differ gathers changes; in is the account being compared.
type differ struct {
	in      arn.AccountID
	changes []Change
}

// thing adds what became of one thing. differences is asked when it is there in
// both; nil finds none.
func (d *differ) thing(what string, before, after Lookup, differences func() []string) {
	c := Change{Account: d.in, What: what, Before: before, After: after}
	switch {
	case before == Exists && after == Exists:
		if differences == nil {
			return
		}
		c.Kind = Changed
		if c.Details = differences(); len(c.Details) == 0 {
			return
		}
	case before.known() && !after.known():
		c.Kind = Unreadable
	case !before.known() && after.known():
		c.Kind = Readable
	case before == after || !before.known():
		return // that nobody looked and that the look failed are one
	case after == Exists:
		c.Kind = Added
	default:
		c.Kind = Removed
	}
	d.changes = append(d.changes, c)
}

// keysOf are the keys of both maps, sorted.
func keysOf[K cmp.Ordered, V any](a, b map[K]V) []K {
	keys := make([]K, 0, max(len(a), len(b)))
	keys = slices.AppendSeq(keys, maps.Keys(a))
	keys = slices.AppendSeq(keys, maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// records compares two maps of one kind of things but for stand-ins of what is not
// known. state says of a key that is in neither map's values what is known.
func records[T any](d *differ, what string, a, b map[string]*T, state func(side int, key string) Lookup, details func(x, y *T) []string) {
	for _, key := range keysOf(a, b) {
		if _, standIn := WhyUnknown(key); standIn {
			continue
		}
		d.thing(what+key, state(0, key), state(1, key), func() []string { return details(a[key], b[key]) })
	}
}

func (d *differ) account(id arn.AccountID, a, b *Account) {
	d.in = id
	if a == nil || b == nil {
		state := func(x *Account) Lookup {
			if x == nil {
				return NotAsked
			}
			return Exists
		}
		d.thing(AllOfIt, state(a), state(b), nil)
		return
	}
	d.summary(a, b)
	sides := [2]*Account{a, b}
	// found is the state of a key by its map and, failing that, its kind's listing.
	found := func(get func(*Account, string) Lookup, listed func(*Account, string) Lookup) func(int, string) Lookup {
		return func(side int, key string) Lookup {
			if state := get(sides[side], key); state != NotAsked {
				return state
			}
			return listed(sides[side], key)
		}
	}
	regional := func(kind string) func(*Account, string) Lookup {
		return func(x *Account, key string) Lookup { return x.missing(kind, regionOf(key)) }
	}
	global := func(kind string) func(*Account, string) Lookup {
		return func(x *Account, _ string) Lookup { return x.missing(kind, "") }
	}
	nowhere := func(*Account, string) Lookup { return NotAsked }
	records(d, "role ", a.Roles, b.Roles, func(i int, key string) Lookup { _, s := sides[i].Role(key); return s }, roleDetails)
	records(d, "user ", a.Users, b.Users, func(i int, key string) Lookup { _, s := sides[i].User(key); return s }, userDetails)
	records(d, "policy ", a.Managed, b.Managed, found(stateIn(func(x *Account) map[string]*Managed { return x.Managed }), nowhere), managedDetails)
	records(d, "OIDC provider ", a.Providers, b.Providers, found(stateIn(func(x *Account) map[string]*OIDCProvider { return x.Providers }), global(KindProviders)), providerDetails)
	records(d, "SAML provider ", a.SAML, b.SAML, found(stateIn(func(x *Account) map[string]*SAMLProvider { return x.SAML }), global(KindSAML)), samlDetails)
	records(d, "secret ", a.Secrets, b.Secrets, found(stateIn(func(x *Account) map[string]*Secret { return x.Secrets }), regional(KindSecrets)), secretDetails)
	records(d, "key ", a.Keys, b.Keys, found(stateIn(func(x *Account) map[string]*Key { return x.Keys }), regional(KindKeys)), keyDetails)
	records(d, "cluster ", a.Clusters, b.Clusters, found(stateIn(func(x *Account) map[string]*Cluster { return x.Clusters }), regional(KindClusters)), clusterDetails)
	records(d, "VPC endpoint ", a.Endpoints, b.Endpoints, found(stateIn(func(x *Account) map[string]*Endpoint { return x.Endpoints }), regional(KindEndpoints)), endpointDetails)
	records(d, "", a.Resources, b.Resources, func(i int, key string) Lookup { return sides[i].resourceBeside(key, sides[1-i]) }, resourceDetails)
}

// resourceBeside is what is known of a resource when it is compared with what
// other knows: a policy that only other could read makes it unread.
func (a *Account) resourceBeside(key string, other *Account) Lookup {
	r, state := Get(a.Resources, key)
	o := other.Resources[key]
	switch {
	case state == NotAsked && o != nil:
		return a.missing(o.Type, regionOf(key))
	case r != nil && o != nil && !r.PolicyState.known() && o.PolicyState.known():
		return Unread
	}
	return state
}

// stateIn is the state of a key in one of an account's maps.
func stateIn[T any](m func(*Account) map[string]*T) func(*Account, string) Lookup {
	return func(a *Account, key string) Lookup {
		_, state := Get(m(a), key)
		return state
	}
}

// missing is what is known of a thing that is not in its map: that it is absent
// when its kind was listed.
func (a *Account) missing(kind, region string) Lookup {
	state := a.Kind(kind, region)
	if state == Exists {
		return Absent
	}
	return state
}

// summary compares what is said of the account as a whole.
func (d *differ) summary(a, b *Account) {
	d.thing(AllOfIt, Exists, Exists, func() []string {
		var c details
		c.text("name", a.Name, b.Name)
		return c
	})
	d.thing("IAM", listedAll(a.Complete), listedAll(b.Complete), nil)
	d.thing("membership of an organization", a.Member.State, b.Member.State, func() []string {
		var c details
		c.text("organization", a.Member.Organization, b.Member.Organization)
		c.text("management account", string(a.Member.Management), string(b.Member.Management))
		return c
	})
	d.thing("quotas", listedAll(a.Quotas.Read), listedAll(b.Quotas.Read), func() []string {
		x, y := a.Quotas, b.Quotas
		x.RolesUsed, x.OIDCProvidersUsed, y.RolesUsed, y.OIDCProvidersUsed = 0, 0, 0, 0
		if x != y {
			return []string{"limits"}
		}
		return nil
	})
	for _, key := range keysOf(a.Listed, b.Listed) {
		d.thing("list of "+key, a.Listed[key], b.Listed[key], nil)
	}
	d.problems(a, b)
}

// listedAll is Exists for a whole that was read.
func listedAll(read bool) Lookup {
	if read {
		return Exists
	}
	return NotAsked
}

// problems adds what came to be unreadable, or readable, without a record of its
// own that says so.
func (d *differ) problems(a, b *Account) {
	has := func(x *Account) map[string]bool {
		out := map[string]bool{}
		for _, p := range x.Problems {
			out[p.What] = true
		}
		return out
	}
	was, is := has(a), has(b)
	for _, what := range keysOf(was, is) {
		if was[what] != is[what] && !b.solves(what) && !a.solves(what) {
			c := Change{Account: d.in, What: what, Kind: Unreadable, After: Unread}
			if was[what] {
				c = Change{Account: d.in, What: what, Kind: Readable, Before: Unread}
			}
			d.changes = append(d.changes, c)
		}
	}
}

func (d *differ) organization(a, b *Inventory) {
	d.in = ""
	x, y := a.Organization, b.Organization
	state := func(inv *Inventory) Lookup {
		if inv.Organization != nil {
			return Exists
		}
		return inv.OrgState
	}
	d.thing("organization", state(a), state(b), func() []string {
		var c details
		c.text("id", x.ID, y.ID)
		c.text("management account", string(x.ManagementAccount), string(y.ManagementAccount))
		c.text("whether accounts were asked for it", a.OrgState.String(), b.OrgState.String())
		c.text("whether resource control policies were listed", x.RCPState.String(), y.RCPState.String())
		return c
	})
	if x == nil || y == nil {
		return
	}
	read := func(maps ...map[string]*OrgPolicy) func(int, string) Lookup {
		return func(side int, key string) Lookup {
			if _, state := Get(maps[side], key); state != NotAsked {
				return state
			}
			return Absent // the policies were listed, or there were none to list
		}
	}
	records(d, "service control policy ", x.Policies, y.Policies, read(x.Policies, y.Policies), orgPolicyDetails)
	if x.RCPState == y.RCPState {
		records(d, "resource control policy ", x.RCPs, y.RCPs, read(x.RCPs, y.RCPs), orgPolicyDetails)
	}
	was, is := NewTree(x), NewTree(y)
	for _, id := range keysOf(was.paths, is.paths) {
		d.thing(nodeName(id), presence(was.Node(id)), presence(is.Node(id)), func() []string { return nodeDetails(was.paths[id], is.paths[id], x.RCPState == y.RCPState) })
	}
}

func presence(n *Node) Lookup {
	if n == nil {
		return Absent
	}
	return Exists
}

// nodeName tells root, OUs and accounts apart by their ids.
func nodeName(id string) string {
	switch {
	case strings.HasPrefix(id, "r-"):
		return "organization root " + id
	case strings.HasPrefix(id, "ou-"):
		return "organizational unit " + id
	}
	return "organization account " + id
}

func nodeDetails(was, is []*Node, compareRCPs bool) []string {
	var c details
	x, y := was[len(was)-1], is[len(is)-1]
	parent := func(path []*Node) string {
		if len(path) < 2 {
			return ""
		}
		return path[len(path)-2].ID
	}
	c.text("parent", parent(was), parent(is))
	c.text("name", x.Name, y.Name)
	c.text("state", x.State, y.State)
	c.set("service control policy", x.SCPs, y.SCPs)
	if compareRCPs {
		c.set("resource control policy", x.RCPs, y.RCPs)
	}
	return c
}

// asText gives a record as one comparable string.
func asText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error() // records are plain data: this does not happen
	}
	return string(text)
}
