package iam

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// defaultMaxSession is what CreateRole gives a role that does not say.
const defaultMaxSession = time.Hour

func registerRoles(s *service.Service) {
	service.Register(s, "CreateRole", service.Op[iam.CreateRoleInput, iam.CreateRoleOutput]{Access: createRoleAccess, Handle: createRole})
	service.Register(s, "GetRole", reader(on(roles, func(in *iam.GetRoleInput) *string { return in.RoleName }), "GetRole", getRole))
	service.Register(s, "ListRoles", reader(below("role", func(in *iam.ListRolesInput) *string { return in.PathPrefix }), "ListRoles", listRoles))
	service.Register(s, "UpdateRole", writer(on(roles, func(in *iam.UpdateRoleInput) *string { return in.RoleName }), "UpdateRole", updateRole))
	service.Register(s, "UpdateRoleDescription", writer(on(roles, func(in *iam.UpdateRoleDescriptionInput) *string { return in.RoleName }),
		"UpdateRoleDescription", updateRoleDescription))
	service.Register(s, "UpdateAssumeRolePolicy", writer(on(roles, func(in *iam.UpdateAssumeRolePolicyInput) *string { return in.RoleName }),
		"UpdateAssumeRolePolicy", updateTrust))
	service.Register(s, "DeleteRole", writer(on(roles, func(in *iam.DeleteRoleInput) *string { return in.RoleName }), "DeleteRole", deleteRole))
}

// createRoleAccess asks for iam:TagRole as well when there are tags.
func createRoleAccess(c *service.Call, in *iam.CreateRoleInput) ([]gate.Access, *wire.Error) {
	resource := arn.IAM(store.Partition, c.Account, "role", pathOf(in.Path), aws.ToString(in.RoleName)).String()
	return creating("iam:CreateRole", "iam:TagRole", resource, requested(in.Tags), aws.ToString(in.PermissionsBoundary)), nil
}

// creating is what making a tagged thing asks for.
func creating(action, tagAction, resource string, tags map[string]string, boundary string) []gate.Access {
	first := gate.Access{Action: action, Resource: resource, RequestTags: tags, Context: boundaryContext(boundary)}
	if len(tags) == 0 {
		return []gate.Access{first}
	}
	return []gate.Access{first, {Action: tagAction, Resource: resource, RequestTags: tags}}
}

func createRole(c *service.Call, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, *wire.Error) {
	own, name := &c.Own().IAM, aws.ToString(in.RoleName)
	if own.Role(name).Latest() != nil {
		return nil, alreadyExists(c, "Role with name %s already exists.", name)
	}
	if strings.HasPrefix(pathOf(in.Path), store.ReservedPath) {
		return nil, invalidInput(c, "The path %s is reserved for AWS services.", *in.Path)
	}
	if limit := quotaRoles.of(c); len(live(own.Roles)) >= limit {
		return nil, limitExceeded(c, "RolesPerAccount", limit)
	}
	trust, e := checkTrust(c, aws.ToString(in.AssumeRolePolicyDocument))
	if e != nil {
		return nil, e
	}
	if e := checkBoundary(c, aws.ToString(in.PermissionsBoundary)); e != nil {
		return nil, e
	}
	tags, e := merged(c, nil, in.Tags)
	if e != nil {
		return nil, e
	}
	role := &store.Role{
		Entity: store.Entity{
			Name: name, Path: pathOf(in.Path), Created: c.Now, Tags: tags,
			ID: c.World.NewPrincipal(c.Account, "role", name), Boundary: aws.ToString(in.PermissionsBoundary),
		},
		Trust: trust, Description: aws.ToString(in.Description), MaxSession: defaultMaxSession,
	}
	if in.MaxSessionDuration != nil {
		role.MaxSession = time.Duration(*in.MaxSessionDuration) * time.Second
	}
	put(own.Roles, name, c.Now, role)
	return &iam.CreateRoleOutput{Role: fullRole(c, role)}, nil
}

func getRole(c *service.Call, in *iam.GetRoleInput) (*iam.GetRoleOutput, *wire.Error) {
	role, e := findRole(c, in.RoleName)
	if e != nil {
		return nil, e
	}
	shown := fullRole(c, role)
	shown.RoleLastUsed = lastUsed(c, role)
	return &iam.GetRoleOutput{Role: shown}, nil
}

func findRole(c *service.Call, name *string) (*store.Role, *wire.Error) {
	role := c.Own().IAM.Role(aws.ToString(name)).Latest()
	if role == nil {
		return nil, noSuchEntity(c, "The role with name %s cannot be found.", aws.ToString(name))
	}
	return role, nil
}

// fullRole is a role as CreateRole and GetRole tell it.
func fullRole(c *service.Call, role *store.Role) *types.Role {
	r := listedRole(c, role)
	r.PermissionsBoundary = boundary(role.Boundary)
	r.Tags = optional(role.Tags)
	return &r
}

// lastUsed is when the role was last used; empty when it never was.
func lastUsed(c *service.Call, role *store.Role) *types.RoleLastUsed {
	use, ok := c.World.LastUse(role.ID)
	if !ok {
		return &types.RoleLastUsed{}
	}
	return &types.RoleLastUsed{LastUsedDate: at(use.At), Region: aws.String(use.Region)}
}

// listedRole is a role as ListRoles tells it: without tags, boundary and last use.
func listedRole(c *service.Call, role *store.Role) types.Role {
	r := types.Role{
		Arn: aws.String(role.RoleARN(c.Account).String()), Path: aws.String(role.Path),
		RoleId: aws.String(role.ID), RoleName: aws.String(role.Name), CreateDate: at(role.Created),
		AssumeRolePolicyDocument: encodeDocument(c.World.Present(role.Trust)),
		MaxSessionDuration:       aws.Int32(int32(role.MaxSession / time.Second)),
	}
	if role.Description != "" {
		r.Description = aws.String(role.Description)
	}
	return r
}

func listRoles(c *service.Call, in *iam.ListRolesInput) (*iam.ListRolesOutput, *wire.Error) {
	all := underPath(live(c.Own().IAM.Roles), in.PathPrefix, func(r *store.Role) string { return r.Path })
	p, e := page(c, in.Marker, in.MaxItems, all, func(r *store.Role) string { return r.Name })
	if e != nil {
		return nil, e
	}
	out := &iam.ListRolesOutput{Roles: []types.Role{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, role := range p.items {
		out.Roles = append(out.Roles, listedRole(c, role))
	}
	return out, nil
}

func updateRole(c *service.Call, in *iam.UpdateRoleInput) (*iam.UpdateRoleOutput, *wire.Error) {
	if _, e := modifiableRole(c, in.RoleName); e != nil {
		return nil, e
	}
	c.Own().IAM.Role(*in.RoleName).Edit(c.Now, func(r *store.Role) {
		if in.Description != nil {
			r.Description = *in.Description
		}
		r.MaxSession = defaultMaxSession
		if in.MaxSessionDuration != nil {
			r.MaxSession = time.Duration(*in.MaxSessionDuration) * time.Second
		}
	})
	return nil, nil
}

func updateRoleDescription(c *service.Call, in *iam.UpdateRoleDescriptionInput) (*iam.UpdateRoleDescriptionOutput, *wire.Error) {
	if _, e := modifiableRole(c, in.RoleName); e != nil {
		return nil, e
	}
	v := c.Own().IAM.Role(*in.RoleName)
	v.Edit(c.Now, func(r *store.Role) { r.Description = aws.ToString(in.Description) })
	return &iam.UpdateRoleDescriptionOutput{Role: fullRole(c, v.Latest())}, nil
}

// modifiableRole refuses changes of service-linked roles and of IAM Identity
// Center's, which belong to their service.
func modifiableRole(c *service.Call, name *string) (*store.Role, *wire.Error) {
	role, e := findRole(c, name)
	if e != nil {
		return nil, e
	}
	if role.ServiceLinked || role.Reserved() {
		return nil, c.Errorf("UnmodifiableEntityException", "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", role.Name)
	}
	return role, nil
}

func updateTrust(c *service.Call, in *iam.UpdateAssumeRolePolicyInput) (*iam.UpdateAssumeRolePolicyOutput, *wire.Error) {
	if _, e := modifiableRole(c, in.RoleName); e != nil {
		return nil, e
	}
	trust, e := checkTrust(c, aws.ToString(in.PolicyDocument))
	if e != nil {
		return nil, e
	}
	c.Own().IAM.Role(*in.RoleName).Edit(c.Now, func(r *store.Role) { r.Trust = trust })
	return nil, nil
}

// deleteRole refuses while anything hangs on the role. A boundary and tags go
// with it.
func deleteRole(c *service.Call, in *iam.DeleteRoleInput) (*iam.DeleteRoleOutput, *wire.Error) {
	role, e := modifiableRole(c, in.RoleName)
	if e != nil {
		return nil, e
	}
	own := &c.Own().IAM
	for _, p := range live(own.InstanceProfiles) {
		if p.Role != "" && own.Role(p.Role).Latest() == role {
			return nil, deleteConflict(c, "Cannot delete entity, must remove roles from instance profile first.")
		}
	}
	if e := deletable(c, &role.Entity); e != nil {
		return nil, e
	}
	own.Role(role.Name).Put(c.Now, nil)
	return nil, nil
}

// deletable refuses an entity that still has policies.
func deletable(c *service.Call, e *store.Entity) *wire.Error {
	switch {
	case len(e.Attached) > 0:
		return deleteConflict(c, "Cannot delete entity, must detach all policies first.")
	case len(e.Inline) > 0:
		return deleteConflict(c, "Cannot delete entity, must delete policies first.")
	}
	return nil
}
