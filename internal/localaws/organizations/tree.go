package organizations

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// Quotas of the Organizations user guide.
const (
	maxDepth = 5 // OUs below the root, on one way down
	maxUnits = 2000
)

func registerTree(s *service.Service) {
	register(s, "ListRoots", op[organizations.ListRootsInput, organizations.ListRootsOutput]{
		rank: reader, readOnly: true,
		handle: func(c call, _ *organizations.ListRootsInput) (*organizations.ListRootsOutput, *wire.Error) {
			return &organizations.ListRootsOutput{Roots: []types.Root{*shownRoot(c)}}, nil
		},
	})
	register(s, "ListParents", op[organizations.ListParentsInput, organizations.ListParentsOutput]{
		rank: reader, readOnly: true, handle: listParents,
		access: func(c call, in *organizations.ListParentsInput) []gate.Access { return []gate.Access{c.on(in.ChildId)} },
	})
	register(s, "ListChildren", op[organizations.ListChildrenInput, organizations.ListChildrenOutput]{
		rank: reader, readOnly: true, handle: listChildren,
		access: func(c call, in *organizations.ListChildrenInput) []gate.Access {
			return []gate.Access{c.on(in.ParentId)}
		},
	})
	register(s, "ListAccountsForParent", op[organizations.ListAccountsForParentInput, organizations.ListAccountsForParentOutput]{
		rank: reader, readOnly: true, handle: listAccountsForParent,
		access: func(c call, in *organizations.ListAccountsForParentInput) []gate.Access {
			return []gate.Access{c.on(in.ParentId)}
		},
	})
	register(s, "ListOrganizationalUnitsForParent", op[organizations.ListOrganizationalUnitsForParentInput, organizations.ListOrganizationalUnitsForParentOutput]{
		rank: reader, readOnly: true, handle: listUnitsForParent,
		access: func(c call, in *organizations.ListOrganizationalUnitsForParentInput) []gate.Access {
			return []gate.Access{c.on(in.ParentId)}
		},
	})
	registerUnits(s)
	register(s, "MoveAccount", op[organizations.MoveAccountInput, organizations.MoveAccountOutput]{
		access: func(c call, in *organizations.MoveAccountInput) []gate.Access {
			return []gate.Access{c.on(in.AccountId), c.on(in.SourceParentId), c.on(in.DestinationParentId)}
		},
		handle: moveAccount,
	})
}

func registerUnits(s *service.Service) {
	register(s, "DescribeOrganizationalUnit", op[organizations.DescribeOrganizationalUnitInput, organizations.DescribeOrganizationalUnitOutput]{
		rank: reader, readOnly: true,
		access: func(c call, in *organizations.DescribeOrganizationalUnitInput) []gate.Access {
			return []gate.Access{c.on(in.OrganizationalUnitId)}
		},
		handle: func(c call, in *organizations.DescribeOrganizationalUnitInput) (*organizations.DescribeOrganizationalUnitOutput, *wire.Error) {
			unit, e := c.unit(in.OrganizationalUnitId)
			if e != nil {
				return nil, e
			}
			return &organizations.DescribeOrganizationalUnitOutput{OrganizationalUnit: shownUnit(c, unit)}, nil
		},
	})
	register(s, "CreateOrganizationalUnit", op[organizations.CreateOrganizationalUnitInput, organizations.CreateOrganizationalUnitOutput]{
		access: func(c call, in *organizations.CreateOrganizationalUnitInput) []gate.Access {
			return tagged(c.on(in.ParentId), in.Tags)
		},
		handle: createUnit,
	})
	register(s, "UpdateOrganizationalUnit", op[organizations.UpdateOrganizationalUnitInput, organizations.UpdateOrganizationalUnitOutput]{
		access: func(c call, in *organizations.UpdateOrganizationalUnitInput) []gate.Access {
			return []gate.Access{c.on(in.OrganizationalUnitId)}
		},
		handle: updateUnit,
	})
	register(s, "DeleteOrganizationalUnit", op[organizations.DeleteOrganizationalUnitInput, organizations.DeleteOrganizationalUnitOutput]{
		access: func(c call, in *organizations.DeleteOrganizationalUnitInput) []gate.Access {
			return []gate.Access{c.on(in.OrganizationalUnitId)}
		},
		handle: deleteUnit,
	})
}

// target is a root, OU or account, what policies are attached to.
type target struct {
	id, name, arn string
	kind          types.TargetType
	tags          *store.Tags
}

// target finds one by its id, nil when there is none.
func (c call) target(id string) *target {
	if m := c.org.Members[arn.AccountID(id)]; m != nil {
		return &target{id, c.World.Accounts[m.Account].Name, c.org.AccountARN(m.Account).String(), types.TargetTypeAccount, &m.Tags}
	}
	node := c.org.Nodes[id]
	if node == nil {
		return nil
	}
	kind := types.TargetTypeOrganizationalUnit
	if id == c.org.Root {
		kind = types.TargetTypeRoot
	}
	return &target{id, node.Name, c.org.NodeARN(id).String(), kind, &node.Tags}
}

// parent finds a root or OU.
func (c call) parent(id *string) (*store.OrgNode, *wire.Error) {
	if node := c.org.Nodes[aws.ToString(id)]; node != nil {
		return node, nil
	}
	return nil, c.Errorf("ParentNotFoundException", "We can't find a root or OU with the ParentId that you specified.")
}

// unit finds an OU.
func (c call) unit(id *string) (*store.OrgNode, *wire.Error) {
	if node := c.org.Nodes[aws.ToString(id)]; node != nil && node.ID != c.org.Root {
		return node, nil
	}
	return nil, c.Errorf("OrganizationalUnitNotFoundException", "We can't find an OU with the OrganizationalUnitId that you specified.")
}

func shownRoot(c call) *types.Root {
	root := c.org.Nodes[c.org.Root]
	return &types.Root{Id: &root.ID, Name: &root.Name, Arn: aws.String(c.org.NodeARN(root.ID).String()), PolicyTypes: enabledTypes(c.org)}
}

func shownUnit(c call, node *store.OrgNode) *types.OrganizationalUnit {
	return &types.OrganizationalUnit{Id: &node.ID, Name: &node.Name, Arn: aws.String(c.org.NodeARN(node.ID).String())}
}

func listParents(c call, in *organizations.ListParentsInput) (*organizations.ListParentsOutput, *wire.Error) {
	child := aws.ToString(in.ChildId)
	parent := ""
	if m := c.org.Members[arn.AccountID(child)]; m != nil {
		parent = m.Parent
	} else if node := c.org.Nodes[child]; node != nil {
		parent = node.Parent
	}
	if parent == "" {
		return nil, c.Errorf("ChildNotFoundException", "We can't find an organizational unit (OU) or AWS account with the ChildId that you specified.")
	}
	kind := types.ParentTypeOrganizationalUnit
	if parent == c.org.Root {
		kind = types.ParentTypeRoot
	}
	return &organizations.ListParentsOutput{Parents: []types.Parent{{Id: &parent, Type: kind}}}, nil
}

func listChildren(c call, in *organizations.ListChildrenInput) (*organizations.ListChildrenOutput, *wire.Error) {
	parent, e := c.parent(in.ParentId)
	if e != nil {
		return nil, e
	}
	var all []types.Child
	if in.ChildType == types.ChildTypeAccount {
		for _, a := range accounts(c, parent.ID) {
			all = append(all, types.Child{Id: a.Id, Type: in.ChildType})
		}
	} else {
		for _, unit := range units(c, parent.ID) {
			all = append(all, types.Child{Id: unit.Id, Type: in.ChildType})
		}
	}
	shown, next, e := page(c, all, func(child types.Child) string { return *child.Id }, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &organizations.ListChildrenOutput{Children: shown, NextToken: next}, nil
}

func units(c call, parent string) []types.OrganizationalUnit {
	var all []types.OrganizationalUnit
	for _, node := range c.org.Nodes {
		if node.Parent == parent {
			all = append(all, *shownUnit(c, node))
		}
	}
	return all
}

func listAccountsForParent(c call, in *organizations.ListAccountsForParentInput) (*organizations.ListAccountsForParentOutput, *wire.Error) {
	parent, e := c.parent(in.ParentId)
	if e != nil {
		return nil, e
	}
	shown, next, e := page(c, accounts(c, parent.ID), accountID, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &organizations.ListAccountsForParentOutput{Accounts: shown, NextToken: next}, nil
}

func listUnitsForParent(c call, in *organizations.ListOrganizationalUnitsForParentInput) (*organizations.ListOrganizationalUnitsForParentOutput, *wire.Error) {
	parent, e := c.parent(in.ParentId)
	if e != nil {
		return nil, e
	}
	shown, next, e := page(c, units(c, parent.ID), func(u types.OrganizationalUnit) string { return *u.Id }, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &organizations.ListOrganizationalUnitsForParentOutput{OrganizationalUnits: shown, NextToken: next}, nil
}

// nameFree refuses a second OU of a name below one parent.
func nameFree(c call, parent, name, except string) *wire.Error {
	for _, node := range c.org.Nodes {
		if node.Parent == parent && node.Name == name && node.ID != except {
			return c.Errorf("DuplicateOrganizationalUnitException", "An OU with the same name already exists.")
		}
	}
	return nil
}

func createUnit(c call, in *organizations.CreateOrganizationalUnitInput) (*organizations.CreateOrganizationalUnitOutput, *wire.Error) {
	parent, e := c.parent(in.ParentId)
	if e != nil {
		return nil, e
	}
	if e := nameFree(c, parent.ID, aws.ToString(in.Name), ""); e != nil {
		return nil, e
	}
	if len(c.org.Above(parent.ID)) > maxDepth {
		return nil, c.constraint("OU_DEPTH_LIMIT_EXCEEDED", "You have exceeded the maximum depth of nested OUs.")
	}
	if len(c.org.Nodes) > maxUnits {
		return nil, c.constraint("OU_NUMBER_LIMIT_EXCEEDED", "You have exceeded the number of OUs that you can have in an organization.")
	}
	tags, e := merged(c, nil, in.Tags)
	if e != nil {
		return nil, e
	}
	unit := c.World.NewUnit(c.org, parent.ID, *in.Name, c.Now)
	unit.Tags = tags
	return &organizations.CreateOrganizationalUnitOutput{OrganizationalUnit: shownUnit(c, unit)}, nil
}

func updateUnit(c call, in *organizations.UpdateOrganizationalUnitInput) (*organizations.UpdateOrganizationalUnitOutput, *wire.Error) {
	unit, e := c.unit(in.OrganizationalUnitId)
	if e != nil {
		return nil, e
	}
	if in.Name != nil {
		if e := nameFree(c, unit.Parent, *in.Name, unit.ID); e != nil {
			return nil, e
		}
		unit.Name = *in.Name
	}
	return &organizations.UpdateOrganizationalUnitOutput{OrganizationalUnit: shownUnit(c, unit)}, nil
}

func deleteUnit(c call, in *organizations.DeleteOrganizationalUnitInput) (*organizations.DeleteOrganizationalUnitOutput, *wire.Error) {
	unit, e := c.unit(in.OrganizationalUnitId)
	if e != nil {
		return nil, e
	}
	if len(units(c, unit.ID)) > 0 || len(accounts(c, unit.ID)) > 0 {
		return nil, c.Errorf("OrganizationalUnitNotEmptyException", "The specified OU is not empty. Move all accounts to another root or to other OUs, remove all child OUs, and try the operation again.")
	}
	delete(c.org.Nodes, unit.ID)
	delete(c.org.Attachments, unit.ID)
	return nil, nil
}

func moveAccount(c call, in *organizations.MoveAccountInput) (*organizations.MoveAccountOutput, *wire.Error) {
	m, e := c.member(in.AccountId)
	if e != nil {
		return nil, e
	}
	from, to := c.org.Nodes[aws.ToString(in.SourceParentId)], c.org.Nodes[aws.ToString(in.DestinationParentId)]
	switch {
	case from == nil || m.Parent != from.ID:
		return nil, c.Errorf("SourceParentNotFoundException", "We can't find a source root or OU with the ParentId that you specified.")
	case to == nil:
		return nil, c.Errorf("DestinationParentNotFoundException", "We can't find the destination container (a root or OU) with the ParentId that you specified.")
	case from == to:
		return nil, c.Errorf("DuplicateAccountException", "That account is already present in the specified destination.")
	}
	m.From, m.Parent, m.Moved = from.ID, to.ID, c.Now
	return nil, nil
}
