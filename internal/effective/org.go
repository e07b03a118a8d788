package effective

import (
	"slices"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/inventory"
)

// place is where an account is in its organization, with the policies on the
// way down to it, prepared once.
type place struct {
	path       []*inventory.Node // nil: in no organization, or not known (see why)
	why        string            // why the path is not known
	state      inventory.Lookup  // of what why speaks of: NotAsked or Unread
	scps, rcps []authz.Level
	scpsUnread []authz.Unread
	rcpsUnread []authz.Unread
}

func (v *View) place(id arn.AccountID) *place {
	if known, ok := v.places.Load(id); ok {
		return known.(*place)
	}
	p := &place{}
	p.path, p.state, p.why = v.orgPathOf(id)
	if p.path != nil {
		v.addSCPs(p)
		v.addRCPs(p)
	}
	known, _ := v.places.LoadOrStore(id, p)
	return known.(*place)
}

// orgPathOf gives an account's place in the organization read, nil when it is in
// none, or says why it is not known. An account that is not in the tree is in no
// organization only when it says so itself.
func (v *View) orgPathOf(id arn.AccountID) (path []*inventory.Node, state inventory.Lookup, unread string) {
	var said inventory.Membership
	a := v.inv.Accounts[id]
	if a != nil {
		said = a.Member
	}
	org := v.inv.Organization
	switch {
	case said.State == inventory.Absent:
		return nil, inventory.Absent, ""
	case said.State == inventory.Exists && (org == nil || org.ID != said.Organization):
		return nil, inventory.Unread, "account " + string(id) + " is in organization " + said.Organization + ", which was not read"
	}
	if path = v.tree().Path(id); path != nil {
		return path, inventory.Exists, ""
	}
	switch {
	case v.inv.OrgState == inventory.Absent && a != nil && said.State == inventory.NotAsked:
		return nil, inventory.Absent, "" // it was asked with all that were read
	case org == nil && v.inv.OrgState != inventory.Absent:
		return nil, v.inv.OrgState, reasonOf(v.inv.OrgState)
	case said.Why != "":
		return nil, inventory.Unread, "whether account " + string(id) + " is in an organization could not be read: " + said.Why
	}
	return nil, inventory.NotAsked, "which organization account " + string(id) + " is in is not known"
}

// inOrganization is the path of an account that is known to be in the
// organization read, else nil.
func (v *View) inOrganization(id arn.AccountID) []*inventory.Node {
	if id == "" {
		return nil
	}
	return v.tree().Path(id)
}

// inNone reports whether an account is known to be in no organization.
func (v *View) inNone(id arn.AccountID) bool {
	if id == "" {
		return false
	}
	p := v.place(id)
	return p.path == nil && p.why == ""
}

func (v *View) isManagement(id arn.AccountID) bool {
	if id == "" {
		return false
	}
	if a := v.inv.Accounts[id]; a != nil && a.Member.Management == id {
		return true
	}
	return v.inv.Organization != nil && v.inv.Organization.ManagementAccount == id
}

// scps adds the service control policies on the way down to the caller's account.
func (v *View) scps(id arn.AccountID, pols *authz.Policies) {
	if id == "" {
		return // bearers of tokens are in no account yet
	}
	p := v.place(id)
	if p.why != "" {
		if v.inv.Organization == nil && v.assume(p.state, "the organization of account "+string(id)+" was not looked for; taken to be none") {
			return
		}
		src := authz.Source{Layer: authz.LayerSCP, Name: "above account " + string(id)}
		pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: p.why})
		return
	}
	pols.SCPs = p.scps
	pols.Unread = append(pols.Unread, p.scpsUnread...)
}

func (v *View) addSCPs(p *place) {
	if !v.scpsEnabled() {
		return
	}
	for _, node := range p.path {
		level, unread := v.level(authz.LayerSCP, node, node.SCPs, v.inv.Organization.Policies)
		p.scps, p.scpsUnread = append(p.scps, level), append(p.scpsUnread, unread...)
	}
}

// scpsEnabled reports whether the organization uses SCPs: "every root, OU, and
// account must have at least one SCP attached at all times" while the policy
// type is enabled, and none may be attached while it is not.
func (v *View) scpsEnabled() bool {
	org := v.inv.Organization
	return len(org.Policies) > 0 || hasSCP(org.Root)
}

func hasSCP(n *inventory.Node) bool {
	return len(n.SCPs) > 0 || slices.ContainsFunc(n.Children, hasSCP)
}

// level prepares the policies attached to one node.
func (v *View) level(l authz.Layer, node *inventory.Node, refs []string, from map[string]*inventory.OrgPolicy) (authz.Level, []authz.Unread) {
	level := authz.Level{Node: node.ID}
	var missing []authz.Unread
	for _, ref := range refs {
		src := authz.Source{Layer: l, Account: v.inv.Organization.ManagementAccount, Name: ref}
		doc := from[ref]
		if doc == nil {
			missing = append(missing, authz.Unread{Source: src, Reason: "it was not read"})
			continue
		}
		src.Name, src.ARN = doc.Name, doc.ARN
		p, unread := v.compile(doc.Document, src)
		if p != nil {
			level.Policies = append(level.Policies, p)
		}
		if unread != nil {
			missing = append(missing, *unread)
		}
	}
	return level, missing
}

// rcps adds the resource control policies on the way down to the account that
// owns the resource, whoever asks.
func (v *View) rcps(q *Question, pols *authz.Policies) {
	if q.Resource == "*" {
		return
	}
	owner := ownerOf(&authz.Request{Principal: q.Principal, Resource: q.Resource, ResourceAccount: q.ResourceAccount})
	if owner == "" {
		return
	}
	p := v.place(owner)
	src := authz.Source{Layer: authz.LayerRCP, Name: "above account " + string(owner)}
	if p.why != "" {
		if !v.assume(p.state, "resource control policies for account "+string(owner)+": "+p.why+"; taken to be none") {
			pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: p.why})
		}
		return
	}
	if p.path == nil {
		return
	}
	if state := v.inv.Organization.RCPState; state == inventory.NotAsked || state == inventory.Unread {
		if !v.assume(state, "resource control policies of organization "+v.inv.Organization.ID+" were not looked for; taken to be none") {
			why := v.inv.Organization.RCPWhy
			if why == "" {
				why = reasonOf(state)
			}
			pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: why})
		}
		return
	}
	pols.RCPs = p.rcps
	pols.Unread = append(pols.Unread, p.rcpsUnread...)
}

func (v *View) addRCPs(p *place) {
	if v.inv.Organization.RCPState != inventory.Exists {
		return
	}
	for _, node := range p.path {
		level, unread := v.level(authz.LayerRCP, node, node.RCPs, v.inv.Organization.RCPs)
		p.rcps, p.rcpsUnread = append(p.rcps, level), append(p.rcpsUnread, unread...)
	}
}
