package inventory

import (
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
)

// Merge gives what is known when newer was read after older: of each thing what
// newer says, or else what older says. Neither is changed; the result shares
// what it does not have to change.
//
// That nobody looked, or that the look failed, takes nothing away from what is
// known. That newer listed a kind of things and did not see one does: it is
// absent then. Problems are kept unless newer read what they are about.
func Merge(older, newer *Inventory) *Inventory {
	if older == nil {
		older = &Inventory{}
	}
	if newer == nil {
		newer = &Inventory{}
	}
	out := &Inventory{
		OrgState: older.OrgState.later(newer.OrgState), Organization: mergeOrganization(older, newer),
		Accounts: make(map[arn.AccountID]*Account, max(len(older.Accounts), len(newer.Accounts))),
	}
	maps.Copy(out.Accounts, older.Accounts)
	for id, a := range newer.Accounts {
		out.Accounts[id] = mergeAccount(older.Accounts[id], a)
	}
	return out
}

// mergeOrganization takes newer's tree. What it lacks of the same organization,
// documents and resource control policies nobody asked about, is older's.
func mergeOrganization(older, newer *Inventory) *Organization {
	o, n := older.Organization, newer.Organization
	switch {
	case n == nil && newer.OrgState == Absent:
		return nil
	case n == nil:
		return o
	case o == nil || o.ID != n.ID:
		return n
	}
	out := *n
	out.Policies = union(o.Policies, n.Policies)
	out.RCPs = union(o.RCPs, n.RCPs)
	out.RCPState = o.RCPState.later(n.RCPState)
	if n.RCPState.known() || !o.RCPState.known() {
		return &out
	}
	was := NewTree(o)
	out.Root = withRCPs(n.Root, was)
	return &out
}

// withRCPs gives a copy of the tree below n with the attachments of resource
// control policies that its nodes had before.
func withRCPs(n *Node, was *Tree) *Node {
	if n == nil {
		return nil
	}
	out := *n
	out.RCPs = nil
	if before := was.Node(n.ID); before != nil {
		out.RCPs = before.RCPs
	}
	out.Children = slices.Clone(n.Children)
	for i, c := range out.Children {
		out.Children[i] = withRCPs(c, was)
	}
	return &out
}

// union has older's entries and newer's; newer's win unless they are nil.
func union[K comparable, V any](older, newer map[K]*V) map[K]*V {
	return join(older, newer, nil, func(_, n *V) *V { return n })
}

// join has the entries of newer, each made by merge where older has one too, and
// those of older that gone does not report as seen to be absent.
func join[K comparable, V any](older, newer map[K]*V, gone func(K) bool, merge func(o, n *V) *V) map[K]*V {
	if older == nil {
		return newer
	}
	out := make(map[K]*V, max(len(older), len(newer)))
	for key, v := range older {
		if _, again := newer[key]; again || gone == nil || !gone(key) {
			out[key] = v
		}
	}
	for key, n := range newer {
		if o := older[key]; o != nil && n != nil {
			n = merge(o, n)
		}
		out[key] = n
	}
	return out
}

func mergeAccount(o, n *Account) *Account {
	if o == nil {
		return n
	}
	if n == nil {
		return o
	}
	out := &Account{ID: n.ID, Name: n.Name, Complete: o.Complete || n.Complete, Member: o.Member, Quotas: o.Quotas, Problems: mergeProblems(o, n)}
	if out.Name == "" {
		out.Name = o.Name
	}
	if o.Member.State.later(n.Member.State) == n.Member.State && n.Member.State != NotAsked {
		out.Member = n.Member
	}
	if n.Quotas.Read {
		out.Quotas = n.Quotas
	}
	out.Listed = mergeListed(o.Listed, n.Listed)
	inIAM := func(string) bool { return n.Complete }
	out.Roles = join(o.Roles, n.Roles, inIAM, mergeRole)
	out.Users = join(o.Users, n.Users, inIAM, func(_, n *User) *User { return n })
	out.Managed = union(o.Managed, n.Managed) // listed only as far as attached: one not seen may still be there
	out.Providers = join(o.Providers, n.Providers, n.sawAllOf(KindProviders), func(_, n *OIDCProvider) *OIDCProvider { return n })
	out.SAML = join(o.SAML, n.SAML, n.sawAllOf(KindSAML), func(_, n *SAMLProvider) *SAMLProvider { return n })
	out.Secrets = mergeSecrets(o, n)
	out.Keys = join(o.Keys, n.Keys, n.sawAll(KindKeys), mergeKey)
	out.Clusters = join(o.Clusters, n.Clusters, n.sawAll(KindClusters), mergeCluster)
	out.Endpoints = join(o.Endpoints, n.Endpoints, n.sawAll(KindEndpoints), func(_, n *Endpoint) *Endpoint { return n })
	out.Resources = join(o.Resources, n.Resources, func(id string) bool {
		r := o.Resources[id]
		return r != nil && n.sawAll(r.Type)(id)
	}, mergeResource)
	return out
}

// sawAll tells of a key of one of the maps, an ARN or "REGION/NAME", whether
// every thing of kind was listed in its Region. Where a Region is not enabled
// there is nothing.
func (a *Account) sawAll(kind string) func(key string) bool {
	return func(key string) bool { return a.Listed[ListKey(kind, regionOf(key))].known() }
}

// sawAllOf is sawAll for things that are in no Region.
func (a *Account) sawAllOf(kind string) func(key string) bool {
	return func(string) bool { return a.Listed[kind].known() }
}

func regionOf(key string) string {
	if parsed, err := arn.Parse(key); err == nil {
		return parsed.Region
	}
	region, _, _ := strings.Cut(key, "/")
	return region
}

func mergeListed(o, n map[string]Lookup) map[string]Lookup {
	if o == nil {
		return n
	}
	out := maps.Clone(o)
	for key, state := range n {
		out[key] = out[key].later(state)
	}
	return out
}

// mergeProblems has newer's problems and those of older's that newer does not
// speak about again and did not solve.
func mergeProblems(o, n *Account) []Problem {
	var out []Problem
	for _, p := range o.Problems {
		if !n.speaksOf(p.What) && !n.solves(p.What) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	for _, p := range n.Problems {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func (a *Account) speaksOf(what string) bool {
	return slices.ContainsFunc(a.Problems, func(p Problem) bool { return p.What == what })
}

// solves reports whether a has read what a problem of that name is about.
func (a *Account) solves(what string) bool {
	if what == AllOfIAM {
		return a.Complete
	}
	if what == "quotas" {
		return a.Quotas.Read
	}
	if what == "organization" {
		return a.Member.State.known()
	}
	kind, name, _ := strings.Cut(what, " ")
	known := func(state Lookup) bool { return state.known() }
	switch kind {
	case "role":
		_, state := a.Role(name)
		return known(state)
	case "user":
		_, state := a.User(name)
		return known(state)
	case "policy":
		_, state := Get(a.Managed, name)
		return known(state)
	case "OIDC":
		_, state := Get(a.Providers, strings.TrimPrefix(name, "provider "))
		return known(state)
	case "secret":
		_, state := Get(a.Secrets, name)
		return known(state)
	case "key":
		_, state := Get(a.Keys, name)
		return known(state)
	case "cluster":
		_, state := Get(a.Clusters, name)
		return known(state)
	}
	return false
}

// mergeRole keeps of the older what one way of reading roles does not tell: the
// longest session, the last use. A role made anew under the name starts afresh.
func mergeRole(o, n *Role) *Role {
	if o.ID != n.ID || n.MaxSession != 0 && n.LastUsed != nil {
		return n
	}
	out := *n
	if out.MaxSession == 0 {
		out.MaxSession = o.MaxSession
	}
	if out.LastUsed == nil {
		out.LastUsed = o.LastUsed
	}
	return &out
}

func mergeKey(o, n *Key) *Key {
	out := *n
	if out.GrantState = o.GrantState.later(n.GrantState); out.GrantState != n.GrantState {
		out.Grants = o.Grants
	}
	if out.Aliases == nil {
		out.Aliases = o.Aliases
	}
	return &out
}

func mergeResource(o, n *Resource) *Resource {
	out := *n
	if !n.PolicyState.known() && o.PolicyState.known() {
		out.Policy, out.PolicyState, out.PolicyWhy = o.Policy, o.PolicyState, o.PolicyWhy
	}
	if n.Tags == nil {
		out.Tags = o.Tags
	}
	return &out
}

func mergeCluster(o, n *Cluster) *Cluster {
	if o.ARN != n.ARN || o.Issuer != n.Issuer && n.Issuer != "" {
		return n // made anew: another issuer, other entries
	}
	out := *n
	if out.Issuer == "" {
		out.Issuer = o.Issuer
	}
	if out.AssociationState = o.AssociationState.later(n.AssociationState); out.AssociationState != n.AssociationState {
		out.Associations = o.Associations
	}
	if out.AccessEntryState = o.AccessEntryState.later(n.AccessEntryState); out.AccessEntryState != n.AccessEntryState {
		out.AccessEntries = o.AccessEntries
	}
	if out.ServiceAcctsState = o.ServiceAcctsState.later(n.ServiceAcctsState); out.ServiceAcctsState != n.ServiceAcctsState {
		out.ServiceAccounts = o.ServiceAccounts
	}
	return &out
}

// mergeSecrets sees to it that a secret known under two names, its ARN and the
// pattern it was asked by, does not say two things.
func mergeSecrets(o, n *Account) map[string]*Secret {
	out := join(o.Secrets, n.Secrets, n.sawAll(KindSecrets), func(_, n *Secret) *Secret { return n })
	if len(o.Secrets) == 0 || len(n.Secrets) == 0 {
		return out
	}
	latest := map[string]*Secret{}
	for _, s := range n.Secrets {
		if s != nil {
			latest[s.ARN] = s
		}
	}
	for key, s := range out {
		if s != nil && latest[s.ARN] != nil {
			out[key] = latest[s.ARN]
		}
	}
	return out
}
