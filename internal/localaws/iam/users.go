package iam

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

func registerUsers(s *service.Service) {
	service.Register(s, "CreateUser", service.Op[iam.CreateUserInput, iam.CreateUserOutput]{Access: createUserAccess, Handle: createUser})
	service.Register(s, "GetUser", reader(orCaller(func(in *iam.GetUserInput) *string { return in.UserName }), "GetUser", getUser))
	service.Register(s, "ListUsers", reader(below("user", func(in *iam.ListUsersInput) *string { return in.PathPrefix }), "ListUsers", listUsers))
	service.Register(s, "UpdateUser", service.Op[iam.UpdateUserInput, iam.UpdateUserOutput]{Access: updateUserAccess, Handle: updateUser})
	service.Register(s, "DeleteUser", writer(on(users, func(in *iam.DeleteUserInput) *string { return in.UserName }), "DeleteUser", deleteUser))
	service.Register(s, "ListGroupsForUser", reader(on(users, func(in *iam.ListGroupsForUserInput) *string { return in.UserName }),
		"ListGroupsForUser", listGroupsForUser))
}

// orCaller is the user that a request names, or the one that calls.
func orCaller[I any](name func(*I) *string) func(*service.Call, *I) string {
	return func(c *service.Call, in *I) string {
		n, e := userName(c, name(in))
		if e != nil {
			return c.Caller.Principal.ARN.String()
		}
		return users.arn(c, n).String()
	}
}

// userName is the name that a request gives, or the calling user's.
func userName(c *service.Call, name *string) (string, *wire.Error) {
	if n := aws.ToString(name); n != "" {
		return n, nil
	}
	if c.Caller.Principal.Kind != authz.User {
		return "", c.Errorf("ValidationError", "Must specify userName when calling with non-User credentials")
	}
	return c.Caller.Principal.ARN.Name(), nil
}

func createUserAccess(c *service.Call, in *iam.CreateUserInput) ([]gate.Access, *wire.Error) {
	resource := arn.IAM(store.Partition, c.Account, "user", pathOf(in.Path), aws.ToString(in.UserName)).String()
	return creating("iam:CreateUser", "iam:TagUser", resource, requested(in.Tags), aws.ToString(in.PermissionsBoundary)), nil
}

func createUser(c *service.Call, in *iam.CreateUserInput) (*iam.CreateUserOutput, *wire.Error) {
	own, name := &c.Own().IAM, aws.ToString(in.UserName)
	if own.User(name).Latest() != nil {
		return nil, alreadyExists(c, "User with name %s already exists.", name)
	}
	if limit := quotaUsers.of(c); len(live(own.Users)) >= limit {
		return nil, limitExceeded(c, "UsersPerAccount", limit)
	}
	if e := checkBoundary(c, aws.ToString(in.PermissionsBoundary)); e != nil {
		return nil, e
	}
	tags, e := merged(c, nil, in.Tags)
	if e != nil {
		return nil, e
	}
	user := &store.User{Entity: store.Entity{
		Name: name, Path: pathOf(in.Path), Created: c.Now, Tags: tags,
		ID: c.World.NewPrincipal(c.Account, "user", name), Boundary: aws.ToString(in.PermissionsBoundary),
	}}
	put(own.Users, name, c.Now, user)
	return &iam.CreateUserOutput{User: fullUser(c, user)}, nil
}

func findUser(c *service.Call, name string) (*store.User, *wire.Error) {
	user := c.Own().IAM.User(name).Latest()
	if user == nil {
		return nil, noSuchEntity(c, "The user with name %s cannot be found.", name)
	}
	return user, nil
}

func getUser(c *service.Call, in *iam.GetUserInput) (*iam.GetUserOutput, *wire.Error) {
	name, e := userName(c, in.UserName)
	if e != nil {
		return nil, e
	}
	user, e := findUser(c, name)
	if e != nil {
		return nil, e
	}
	return &iam.GetUserOutput{User: fullUser(c, user)}, nil
}

func fullUser(c *service.Call, user *store.User) *types.User {
	u := listedUser(c, user)
	u.PermissionsBoundary = boundary(user.Boundary)
	u.Tags = optional(user.Tags)
	return &u
}

func listedUser(c *service.Call, user *store.User) types.User {
	return types.User{
		Arn: aws.String(user.UserARN(c.Account).String()), Path: aws.String(user.Path),
		UserId: aws.String(user.ID), UserName: aws.String(user.Name), CreateDate: at(user.Created),
	}
}

func listUsers(c *service.Call, in *iam.ListUsersInput) (*iam.ListUsersOutput, *wire.Error) {
	all := underPath(live(c.Own().IAM.Users), in.PathPrefix, func(u *store.User) string { return u.Path })
	p, e := page(c, in.Marker, in.MaxItems, all, func(u *store.User) string { return u.Name })
	if e != nil {
		return nil, e
	}
	out := &iam.ListUsersOutput{Users: []types.User{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, user := range p.items {
		out.Users = append(out.Users, listedUser(c, user))
	}
	return out, nil
}

func updateUserAccess(c *service.Call, in *iam.UpdateUserInput) ([]gate.Access, *wire.Error) {
	return users.renaming(c, "UpdateUser", in.UserName, in.NewUserName, in.NewPath), nil
}

// updateUser renames or moves a user; its unique id, keys and policies stay.
func updateUser(c *service.Call, in *iam.UpdateUserInput) (*iam.UpdateUserOutput, *wire.Error) {
	own := &c.Own().IAM
	user, e := findUser(c, aws.ToString(in.UserName))
	if e != nil {
		return nil, e
	}
	name := user.Name
	if in.NewUserName != nil {
		name = *in.NewUserName
	}
	if !strings.EqualFold(name, user.Name) && own.User(name).Latest() != nil {
		return nil, alreadyExists(c, "User with name %s already exists.", name)
	}
	own.User(user.Name).Edit(c.Now, func(u *store.User) {
		u.Name = name
		if in.NewPath != nil {
			u.Path = *in.NewPath
		}
	})
	if strings.EqualFold(name, user.Name) {
		return nil, nil
	}
	put(own.Users, name, c.Now, own.User(user.Name).Latest())
	own.User(user.Name).Put(c.Now, nil)
	c.World.RenameUser(user.ID, name)
	return nil, nil
}

func deleteUser(c *service.Call, in *iam.DeleteUserInput) (*iam.DeleteUserOutput, *wire.Error) {
	user, e := findUser(c, aws.ToString(in.UserName))
	switch {
	case e != nil:
		return nil, e
	case len(user.AccessKeys) > 0:
		return nil, deleteConflict(c, "Cannot delete entity, must delete access keys first.")
	case len(user.Groups) > 0:
		return nil, deleteConflict(c, "Cannot delete entity, must remove users from group first.")
	}
	if len(devicesOf(c, user)) > 0 {
		return nil, deleteConflict(c, "Cannot delete entity, must delete MFA device first.")
	}
	if e := deletable(c, &user.Entity); e != nil {
		return nil, e
	}
	c.Own().IAM.User(user.Name).Put(c.Now, nil)
	return nil, nil
}

func listGroupsForUser(c *service.Call, in *iam.ListGroupsForUserInput) (*iam.ListGroupsForUserOutput, *wire.Error) {
	user, e := findUser(c, aws.ToString(in.UserName))
	if e != nil {
		return nil, e
	}
	p, e := page(c, in.Marker, in.MaxItems, slices.Clone(user.Groups), func(name string) string { return name })
	if e != nil {
		return nil, e
	}
	out := &iam.ListGroupsForUserOutput{Groups: []types.Group{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, name := range p.items {
		if group := c.Own().IAM.Group(name).Latest(); group != nil {
			out.Groups = append(out.Groups, listedGroup(c, group))
		}
	}
	return out, nil
}
