package iam

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

func registerGroups(s *service.Service) {
	service.Register(s, "CreateGroup", writer(newGroupARN, "CreateGroup", createGroup))
	service.Register(s, "GetGroup", reader(on(groups, func(in *iam.GetGroupInput) *string { return in.GroupName }), "GetGroup", getGroup))
	service.Register(s, "ListGroups", reader(below("group", func(in *iam.ListGroupsInput) *string { return in.PathPrefix }), "ListGroups", listGroups))
	service.Register(s, "UpdateGroup", service.Op[iam.UpdateGroupInput, iam.UpdateGroupOutput]{Access: updateGroupAccess, Handle: updateGroup})
	service.Register(s, "DeleteGroup", writer(on(groups, func(in *iam.DeleteGroupInput) *string { return in.GroupName }), "DeleteGroup", deleteGroup))
	service.Register(s, "AddUserToGroup", writer(on(groups, func(in *iam.AddUserToGroupInput) *string { return in.GroupName }), "AddUserToGroup", addUserToGroup))
	service.Register(s, "RemoveUserFromGroup", writer(on(groups, func(in *iam.RemoveUserFromGroupInput) *string { return in.GroupName }),
		"RemoveUserFromGroup", removeUserFromGroup))
}

func newGroupARN(c *service.Call, in *iam.CreateGroupInput) string {
	return arn.IAM(store.Partition, c.Account, "group", pathOf(in.Path), aws.ToString(in.GroupName)).String()
}

func createGroup(c *service.Call, in *iam.CreateGroupInput) (*iam.CreateGroupOutput, *wire.Error) {
	own, name := &c.Own().IAM, aws.ToString(in.GroupName)
	if own.Group(name).Latest() != nil {
		return nil, alreadyExists(c, "Group with name %s already exists.", name)
	}
	if limit := quotaGroups.of(c); len(live(own.Groups)) >= limit {
		return nil, limitExceeded(c, "GroupsPerAccount", limit)
	}
	group := &store.Group{Entity: store.Entity{
		Name: name, Path: pathOf(in.Path), Created: c.Now, ID: c.World.IDs().Unique(store.PrefixGroup),
	}}
	put(own.Groups, name, c.Now, group)
	g := listedGroup(c, group)
	return &iam.CreateGroupOutput{Group: &g}, nil
}

func findGroup(c *service.Call, name *string) (*store.Group, *wire.Error) {
	group := c.Own().IAM.Group(aws.ToString(name)).Latest()
	if group == nil {
		return nil, noSuchEntity(c, "The group with name %s cannot be found.", aws.ToString(name))
	}
	return group, nil
}

func listedGroup(c *service.Call, group *store.Group) types.Group {
	return types.Group{
		Arn:  aws.String(arn.IAM(store.Partition, c.Account, "group", group.Path, group.Name).String()),
		Path: aws.String(group.Path), GroupId: aws.String(group.ID), GroupName: aws.String(group.Name), CreateDate: at(group.Created),
	}
}

// members are the users of a group.
func members(c *service.Call, group *store.Group) []*store.User {
	var all []*store.User
	for _, user := range live(c.Own().IAM.Users) {
		if slices.Contains(user.Groups, strings.ToLower(group.Name)) {
			all = append(all, user)
		}
	}
	return all
}

func getGroup(c *service.Call, in *iam.GetGroupInput) (*iam.GetGroupOutput, *wire.Error) {
	group, e := findGroup(c, in.GroupName)
	if e != nil {
		return nil, e
	}
	p, e := page(c, in.Marker, in.MaxItems, members(c, group), func(u *store.User) string { return u.Name })
	if e != nil {
		return nil, e
	}
	g := listedGroup(c, group)
	out := &iam.GetGroupOutput{Group: &g, Users: []types.User{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, user := range p.items {
		out.Users = append(out.Users, listedUser(c, user))
	}
	return out, nil
}

func listGroups(c *service.Call, in *iam.ListGroupsInput) (*iam.ListGroupsOutput, *wire.Error) {
	all := underPath(live(c.Own().IAM.Groups), in.PathPrefix, func(g *store.Group) string { return g.Path })
	p, e := page(c, in.Marker, in.MaxItems, all, func(g *store.Group) string { return g.Name })
	if e != nil {
		return nil, e
	}
	out := &iam.ListGroupsOutput{Groups: []types.Group{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, group := range p.items {
		out.Groups = append(out.Groups, listedGroup(c, group))
	}
	return out, nil
}

func updateGroupAccess(c *service.Call, in *iam.UpdateGroupInput) ([]gate.Access, *wire.Error) {
	return groups.renaming(c, "UpdateGroup", in.GroupName, in.NewGroupName, in.NewPath), nil
}

func updateGroup(c *service.Call, in *iam.UpdateGroupInput) (*iam.UpdateGroupOutput, *wire.Error) {
	own := &c.Own().IAM
	group, e := findGroup(c, in.GroupName)
	if e != nil {
		return nil, e
	}
	name := group.Name
	if in.NewGroupName != nil {
		name = *in.NewGroupName
	}
	renamed := !strings.EqualFold(name, group.Name)
	if renamed && own.Group(name).Latest() != nil {
		return nil, alreadyExists(c, "Group with name %s already exists.", name)
	}
	own.Group(group.Name).Edit(c.Now, func(g *store.Group) {
		g.Name = name
		if in.NewPath != nil {
			g.Path = *in.NewPath
		}
	})
	if !renamed {
		return nil, nil
	}
	for _, user := range members(c, group) {
		own.User(user.Name).Edit(c.Now, func(u *store.User) {
			u.Groups[slices.Index(u.Groups, strings.ToLower(group.Name))] = strings.ToLower(name)
		})
	}
	put(own.Groups, name, c.Now, own.Group(group.Name).Latest())
	own.Group(group.Name).Put(c.Now, nil)
	return nil, nil
}

func deleteGroup(c *service.Call, in *iam.DeleteGroupInput) (*iam.DeleteGroupOutput, *wire.Error) {
	group, e := findGroup(c, in.GroupName)
	if e != nil {
		return nil, e
	}
	if len(members(c, group)) > 0 {
		return nil, deleteConflict(c, "Cannot delete entity, must remove users from group first.")
	}
	if e := deletable(c, &group.Entity); e != nil {
		return nil, e
	}
	c.Own().IAM.Group(group.Name).Put(c.Now, nil)
	return nil, nil
}

func addUserToGroup(c *service.Call, in *iam.AddUserToGroupInput) (*iam.AddUserToGroupOutput, *wire.Error) {
	group, e := findGroup(c, in.GroupName)
	if e != nil {
		return nil, e
	}
	user, e := findUser(c, aws.ToString(in.UserName))
	if e != nil {
		return nil, e
	}
	key := strings.ToLower(group.Name)
	if slices.Contains(user.Groups, key) {
		return nil, nil
	}
	if limit := quotaGroupsPerUser.of(c); len(user.Groups) >= limit {
		return nil, limitExceeded(c, "GroupsPerUser", limit)
	}
	c.Own().IAM.User(user.Name).Edit(c.Now, func(u *store.User) { u.Groups = append(u.Groups, key) })
	return nil, nil
}

func removeUserFromGroup(c *service.Call, in *iam.RemoveUserFromGroupInput) (*iam.RemoveUserFromGroupOutput, *wire.Error) {
	group, e := findGroup(c, in.GroupName)
	if e != nil {
		return nil, e
	}
	user, e := findUser(c, aws.ToString(in.UserName))
	if e != nil {
		return nil, e
	}
	key := strings.ToLower(group.Name)
	if !slices.Contains(user.Groups, key) {
		return nil, noSuchEntity(c, "The user with name %s is not in the group with name %s.", user.Name, group.Name)
	}
	c.Own().IAM.User(user.Name).Edit(c.Now, func(u *store.User) {
		u.Groups = slices.DeleteFunc(u.Groups, func(have string) bool { return have == key })
	})
	return nil, nil
}
