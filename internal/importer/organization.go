package importer

import (
	"maps"
	"slices"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
)

// orgKind is one of the two kinds of organization policies that decide.
type orgKind uint8

const (
	otherPolicy orgKind = iota
	controlPolicy
	resourceControlPolicy
)

// orgKindOf reads the type as the Organizations API names it; none is the
// default, a service control policy.
func orgKindOf(name string) orgKind {
	switch name {
	case "", "SERVICE_CONTROL_POLICY":
		return controlPolicy
	case "RESOURCE_CONTROL_POLICY":
		return resourceControlPolicy
	}
	return otherPolicy
}

// organization is the copy of the organization that may be changed, nil with a
// finding when the base has none.
func (o *overlay) organization(at place) *inventory.Organization {
	if o.inv.Organization == nil {
		o.find(at, diag.Warning, CodeMissing, "the inventory has no organization, so its policies are left out", "read the organization into the inventory first")
		return nil
	}
	org := *o.inv.Organization
	org.Policies, org.RCPs = maps.Clone(org.Policies), maps.Clone(org.RCPs)
	if org.Policies == nil {
		org.Policies = map[string]*inventory.OrgPolicy{}
	}
	if org.RCPs == nil {
		org.RCPs = map[string]*inventory.OrgPolicy{}
	}
	o.inv.Organization = &org
	return &org
}

func (o *overlay) putOrgPolicy(at place, kind orgKind, id, name, document string) {
	org := o.organization(at)
	if org == nil || kind == otherPolicy {
		return
	}
	list := org.Policies
	if kind == resourceControlPolicy {
		list = org.RCPs
	}
	put(list, id, false, func(p *inventory.OrgPolicy) { p.ID, p.Name, p.Document = id, name, document })
}

// dropOrgPolicy takes a policy away with what is left of its attachments.
func (o *overlay) dropOrgPolicy(at place, id string) {
	org := o.organization(at)
	if org == nil {
		return
	}
	delete(org.Policies, id)
	delete(org.RCPs, id)
	org.Root = eachNode(org.Root, func(n *inventory.Node) { n.SCPs, n.RCPs = without(n.SCPs, id), without(n.RCPs, id) })
}

// attachOrgPolicy attaches a policy to a root, OU or account, or detaches it.
func (o *overlay) attachOrgPolicy(at place, id, target string, attached bool) {
	org := o.organization(at)
	if org == nil {
		return
	}
	if inventory.NewTree(org).Node(target) == nil {
		o.find(at, diag.Warning, CodeMissing, "the organization in the inventory has no "+target, "")
		return
	}
	_, isRCP := org.RCPs[id]
	_, isSCP := org.Policies[id]
	if !isRCP && !isSCP {
		o.find(at, diag.Warning, CodeMissing, "policy "+id+" is neither in the inventory nor in the input", "")
		org.Policies[id] = &inventory.OrgPolicy{ID: id, Name: id, Document: inventory.Unknown(at.address + ": the policy was not read")}
	}
	org.Root = eachNode(org.Root, func(n *inventory.Node) {
		if n.ID != target {
			return
		}
		list := &n.SCPs
		if isRCP {
			list = &n.RCPs
		}
		*list = without(*list, id)
		if attached {
			*list = append(*list, id)
		}
	})
}

func without(list []string, drop string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == drop })
}

// eachNode copies a tree and changes its nodes.
func eachNode(n *inventory.Node, change func(*inventory.Node)) *inventory.Node {
	if n == nil {
		return nil
	}
	out := *n
	change(&out)
	out.Children = slices.Clone(n.Children)
	for i, c := range out.Children {
		out.Children[i] = eachNode(c, change)
	}
	return &out
}
