package iam

import (
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

func registerProfiles(s *service.Service) {
	service.Register(s, "CreateInstanceProfile", service.Op[iam.CreateInstanceProfileInput, iam.CreateInstanceProfileOutput]{Access: createProfileAccess, Handle: createProfile})
	service.Register(s, "GetInstanceProfile", reader(onProfile(func(in *iam.GetInstanceProfileInput) *string { return in.InstanceProfileName }), "GetInstanceProfile", getProfile))
	service.Register(s, "ListInstanceProfiles", reader(below("instance-profile", func(in *iam.ListInstanceProfilesInput) *string { return in.PathPrefix }),
		"ListInstanceProfiles", listProfiles))
	service.Register(s, "ListInstanceProfilesForRole", reader(on(roles, func(in *iam.ListInstanceProfilesForRoleInput) *string { return in.RoleName }),
		"ListInstanceProfilesForRole", listProfilesForRole))
	service.Register(s, "DeleteInstanceProfile", writer(onProfile(func(in *iam.DeleteInstanceProfileInput) *string { return in.InstanceProfileName }), "DeleteInstanceProfile", deleteProfile))
	service.Register(s, "AddRoleToInstanceProfile", service.Op[iam.AddRoleToInstanceProfileInput, iam.AddRoleToInstanceProfileOutput]{Access: addRoleAccess, Handle: addRole})
	service.Register(s, "RemoveRoleFromInstanceProfile", writer(onProfile(func(in *iam.RemoveRoleFromInstanceProfileInput) *string { return in.InstanceProfileName }),
		"RemoveRoleFromInstanceProfile", removeRole))
}

func onProfile[I any](name func(*I) *string) func(*service.Call, *I) string {
	return func(c *service.Call, in *I) string { return profileResource(c, aws.ToString(name(in))) }
}

func profileResource(c *service.Call, name string) string {
	if p := c.Own().IAM.InstanceProfiles[strings.ToLower(name)].Latest(); p != nil {
		return profileARN(c.Account, p)
	}
	return arn.IAM(store.Partition, c.Account, "instance-profile", "/", name).String()
}

func profileARN(account arn.AccountID, p *store.InstanceProfile) string {
	return arn.IAM(store.Partition, account, "instance-profile", p.Path, p.Name).String()
}

func createProfileAccess(c *service.Call, in *iam.CreateInstanceProfileInput) ([]gate.Access, *wire.Error) {
	resource := arn.IAM(store.Partition, c.Account, "instance-profile", pathOf(in.Path), aws.ToString(in.InstanceProfileName)).String()
	return creating("iam:CreateInstanceProfile", "iam:TagInstanceProfile", resource, requested(in.Tags), ""), nil
}

func createProfile(c *service.Call, in *iam.CreateInstanceProfileInput) (*iam.CreateInstanceProfileOutput, *wire.Error) {
	own, name := &c.Own().IAM, aws.ToString(in.InstanceProfileName)
	if own.InstanceProfiles[strings.ToLower(name)].Latest() != nil {
		return nil, alreadyExists(c, "Instance Profile %s already exists.", name)
	}
	if limit := quotaInstanceProfiles.of(c); len(live(own.InstanceProfiles)) >= limit {
		return nil, limitExceeded(c, "InstanceProfilesPerAccount", limit)
	}
	tags, e := merged(c, nil, in.Tags)
	if e != nil {
		return nil, e
	}
	p := &store.InstanceProfile{Name: name, Path: pathOf(in.Path), ID: c.World.IDs().Unique(store.PrefixInstanceProfile), Tags: tags, Created: c.Now}
	put(own.InstanceProfiles, name, c.Now, p)
	shown := fullProfile(c, p)
	return &iam.CreateInstanceProfileOutput{InstanceProfile: &shown}, nil
}

func findProfile(c *service.Call, name *string) (*store.Versioned[store.InstanceProfile], *wire.Error) {
	v := c.Own().IAM.InstanceProfiles[strings.ToLower(aws.ToString(name))]
	if v.Latest() == nil {
		return nil, noSuchEntity(c, "Instance Profile %s cannot be found.", aws.ToString(name))
	}
	return v, nil
}

func fullProfile(c *service.Call, p *store.InstanceProfile) types.InstanceProfile {
	out := types.InstanceProfile{
		Arn: aws.String(profileARN(c.Account, p)), InstanceProfileId: aws.String(p.ID), InstanceProfileName: aws.String(p.Name),
		Path: aws.String(p.Path), CreateDate: at(p.Created), Roles: []types.Role{}, Tags: optional(p.Tags),
	}
	if role := c.Own().IAM.Role(p.Role).Latest(); p.Role != "" && role != nil {
		out.Roles = append(out.Roles, listedRole(c, role))
	}
	return out
}

func getProfile(c *service.Call, in *iam.GetInstanceProfileInput) (*iam.GetInstanceProfileOutput, *wire.Error) {
	v, e := findProfile(c, in.InstanceProfileName)
	if e != nil {
		return nil, e
	}
	shown := fullProfile(c, v.Latest())
	return &iam.GetInstanceProfileOutput{InstanceProfile: &shown}, nil
}

func listProfiles(c *service.Call, in *iam.ListInstanceProfilesInput) (*iam.ListInstanceProfilesOutput, *wire.Error) {
	all := underPath(live(c.Own().IAM.InstanceProfiles), in.PathPrefix, func(p *store.InstanceProfile) string { return p.Path })
	p, e := page(c, in.Marker, in.MaxItems, all, func(p *store.InstanceProfile) string { return p.Name })
	if e != nil {
		return nil, e
	}
	out := &iam.ListInstanceProfilesOutput{InstanceProfiles: []types.InstanceProfile{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, profile := range p.items {
		out.InstanceProfiles = append(out.InstanceProfiles, fullProfile(c, profile))
	}
	return out, nil
}

// profilesOf are the instance profiles that hold a role.
func profilesOf(c *service.Call, role *store.Role) []*store.InstanceProfile {
	var all []*store.InstanceProfile
	for _, p := range live(c.Own().IAM.InstanceProfiles) {
		if p.Role == strings.ToLower(role.Name) {
			all = append(all, p)
		}
	}
	return all
}

func listProfilesForRole(c *service.Call, in *iam.ListInstanceProfilesForRoleInput) (*iam.ListInstanceProfilesForRoleOutput, *wire.Error) {
	role, e := findRole(c, in.RoleName)
	if e != nil {
		return nil, e
	}
	p, e := page(c, in.Marker, in.MaxItems, profilesOf(c, role), func(p *store.InstanceProfile) string { return p.Name })
	if e != nil {
		return nil, e
	}
	out := &iam.ListInstanceProfilesForRoleOutput{InstanceProfiles: []types.InstanceProfile{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, profile := range p.items {
		out.InstanceProfiles = append(out.InstanceProfiles, fullProfile(c, profile))
	}
	return out, nil
}

func deleteProfile(c *service.Call, in *iam.DeleteInstanceProfileInput) (*iam.DeleteInstanceProfileOutput, *wire.Error) {
	v, e := findProfile(c, in.InstanceProfileName)
	if e != nil {
		return nil, e
	}
	if v.Latest().Role != "" {
		return nil, deleteConflict(c, "Cannot delete entity, must remove roles from instance profile first.")
	}
	v.Put(c.Now, nil)
	return nil, nil
}

// addRoleAccess asks for iam:PassRole besides: the role goes to EC2.
func addRoleAccess(c *service.Call, in *iam.AddRoleToInstanceProfileInput) ([]gate.Access, *wire.Error) {
	pass := onRecord(c, "PassRole", roles.arn(c, aws.ToString(in.RoleName)).String())
	pass.Context = map[string][]string{"iam:PassedToService": {"ec2.amazonaws.com"}}
	return []gate.Access{onRecord(c, "AddRoleToInstanceProfile", profileResource(c, aws.ToString(in.InstanceProfileName))), pass}, nil
}

func addRole(c *service.Call, in *iam.AddRoleToInstanceProfileInput) (*iam.AddRoleToInstanceProfileOutput, *wire.Error) {
	v, e := findProfile(c, in.InstanceProfileName)
	if e != nil {
		return nil, e
	}
	role, e := modifiableRole(c, in.RoleName)
	if e != nil {
		return nil, e
	}
	if v.Latest().Role != "" {
		return nil, limitExceeded(c, "InstanceSessionsPerInstanceProfile", 1)
	}
	v.Edit(c.Now, func(p *store.InstanceProfile) { p.Role = strings.ToLower(role.Name) })
	return nil, nil
}

func removeRole(c *service.Call, in *iam.RemoveRoleFromInstanceProfileInput) (*iam.RemoveRoleFromInstanceProfileOutput, *wire.Error) {
	v, e := findProfile(c, in.InstanceProfileName)
	if e != nil {
		return nil, e
	}
	if v.Latest().Role != strings.ToLower(aws.ToString(in.RoleName)) {
		return nil, noSuchEntity(c, "The role with name %s cannot be found.", aws.ToString(in.RoleName))
	}
	v.Edit(c.Now, func(p *store.InstanceProfile) { p.Role = "" })
	return nil, nil
}

func registerProfileTags(s *service.Service) {
	ops := tagOps[iam.TagInstanceProfileInput, iam.UntagInstanceProfileInput, iam.ListInstanceProfileTagsInput]{
		record: func(c *service.Call, name string) (tagged, *wire.Error) {
			v, e := findProfile(c, &name)
			if e != nil {
				return tagged{}, e
			}
			p := v.Latest()
			return tagged{profileARN(c.Account, p), p.Tags, func(t store.Tags) { v.Edit(c.Now, func(p *store.InstanceProfile) { p.Tags = t }) }}, nil
		},
		resource: profileResource,
		tag:      func(in *iam.TagInstanceProfileInput) (*string, []types.Tag) { return in.InstanceProfileName, in.Tags },
		untag: func(in *iam.UntagInstanceProfileInput) (*string, []string) {
			return in.InstanceProfileName, in.TagKeys
		},
		list: func(in *iam.ListInstanceProfileTagsInput) (*string, *string, *int32) {
			return in.InstanceProfileName, in.Marker, in.MaxItems
		},
	}
	service.Register(s, "TagInstanceProfile",
		tagging[iam.TagInstanceProfileInput, iam.UntagInstanceProfileInput, iam.ListInstanceProfileTagsInput, iam.TagInstanceProfileOutput](ops, "TagInstanceProfile"))
	service.Register(s, "UntagInstanceProfile",
		untagging[iam.TagInstanceProfileInput, iam.UntagInstanceProfileInput, iam.ListInstanceProfileTagsInput, iam.UntagInstanceProfileOutput](ops, "UntagInstanceProfile"))
	service.Register(s, "ListInstanceProfileTags", listing(ops, "ListInstanceProfileTags", func(p marked[types.Tag]) *iam.ListInstanceProfileTagsOutput {
		return &iam.ListInstanceProfileTagsOutput{Tags: p.items, IsTruncated: p.truncated, Marker: p.marker}
	}))
}
