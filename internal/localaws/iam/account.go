package iam

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

func registerAccount(s *service.Service) {
	service.Register(s, "GetAccountSummary", reader(anywhere[iam.GetAccountSummaryInput], "GetAccountSummary", getAccountSummary))
	service.Register(s, "GetAccountAuthorizationDetails", reader(anywhere[iam.GetAccountAuthorizationDetailsInput], "GetAccountAuthorizationDetails", getDetails))
	service.Register(s, "ListAccountAliases", reader(anywhere[iam.ListAccountAliasesInput], "ListAccountAliases", listAliases))
	service.Register(s, "CreateAccountAlias", writer(anywhere[iam.CreateAccountAliasInput], "CreateAccountAlias", createAlias))
	service.Register(s, "DeleteAccountAlias", writer(anywhere[iam.DeleteAccountAliasInput], "DeleteAccountAlias", deleteAlias))
}

func getAccountSummary(c *service.Call, _ *iam.GetAccountSummaryInput) (*iam.GetAccountSummaryOutput, *wire.Error) {
	own := &c.Own().IAM
	versions := 0
	for _, p := range live(own.Policies) {
		versions += len(p.Versions)
	}
	devicesInUse := 0
	for _, d := range live(own.MFADevices) {
		if d.User != "" {
			devicesInUse++
		}
	}
	summary := map[string]int32{
		"Roles": int32(len(live(own.Roles))), "Users": int32(len(live(own.Users))), "Groups": int32(len(live(own.Groups))),
		"Policies": int32(len(live(own.Policies))), "PolicyVersionsInUse": int32(versions),
		"InstanceProfiles": int32(len(live(own.InstanceProfiles))),
		"Providers":        int32(len(live(own.OIDCProviders)) + len(live(own.SAMLProviders))),
		"MFADevices":       int32(len(live(own.MFADevices))), "MFADevicesInUse": int32(devicesInUse),
		// What the local AWS has none of.
		"ServerCertificates": 0, "ServerCertificatesQuota": 20, "SigningCertificatesPerUserQuota": 2,
		"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 0,
		"AccountSigningCertificatesPresent": 0, "AccountPasswordPresent": 0,
		// Session tokens of the global endpoint count everywhere.
		"GlobalEndpointTokenVersion": 2,
	}
	for _, q := range []quota{
		quotaRoles, quotaUsers, quotaGroups, quotaPolicies, quotaInstanceProfiles, quotaTrustSize, quotaRolePolicySize,
		quotaUserPolicySize, quotaGroupPolicySize, quotaPolicySize, quotaAttachedPerRole, quotaAttachedPerUser,
		quotaAttachedPerGroup, quotaGroupsPerUser, quotaAccessKeysPerUser, quotaVersions, quotaVersionsInUse,
	} {
		summary[q.summary] = int32(q.of(c))
	}
	return &iam.GetAccountSummaryOutput{SummaryMap: summary}, nil
}

// detail is one record of GetAccountAuthorizationDetails.
type detail struct {
	key  string // kind and name, for the order and the marker
	show func(*iam.GetAccountAuthorizationDetailsOutput)
}

// getDetails pages over users, groups, roles and policies together.
func getDetails(c *service.Call, in *iam.GetAccountAuthorizationDetailsInput) (*iam.GetAccountAuthorizationDetailsOutput, *wire.Error) {
	all := slices.Concat(userDetails(c, in.Filter), groupDetails(c, in.Filter), roleDetails(c, in.Filter), policyDetails(c, in.Filter))
	p, e := page(c, in.Marker, in.MaxItems, all, func(d detail) string { return d.key })
	if e != nil {
		return nil, e
	}
	out := &iam.GetAccountAuthorizationDetailsOutput{
		UserDetailList: []types.UserDetail{}, GroupDetailList: []types.GroupDetail{}, RoleDetailList: []types.RoleDetail{},
		Policies: []types.ManagedPolicyDetail{}, IsTruncated: p.truncated, Marker: p.marker,
	}
	for _, d := range p.items {
		d.show(out)
	}
	return out, nil
}

// wants reports whether a filter lets a type of entity through; an empty one
// lets all through.
func wants(filter []types.EntityType, kind types.EntityType) bool {
	return len(filter) == 0 || slices.Contains(filter, kind)
}

func userDetails(c *service.Call, filter []types.EntityType) []detail {
	if !wants(filter, types.EntityTypeUser) {
		return nil
	}
	var all []detail
	for _, u := range live(c.Own().IAM.Users) {
		all = append(all, detail{"1/" + u.Name, func(out *iam.GetAccountAuthorizationDetailsOutput) {
			out.UserDetailList = append(out.UserDetailList, types.UserDetail{
				Arn: aws.String(u.UserARN(c.Account).String()), Path: aws.String(u.Path), UserId: aws.String(u.ID), UserName: aws.String(u.Name),
				CreateDate: at(u.Created), AttachedManagedPolicies: attachedPolicies(&u.Entity), UserPolicyList: inlinePolicies(&u.Entity),
				GroupList: groupNames(c, u), PermissionsBoundary: boundary(u.Boundary), Tags: shown(u.Tags),
			})
		}})
	}
	return all
}

func groupNames(c *service.Call, u *store.User) []string {
	names := []string{}
	for _, name := range u.Groups {
		if g := c.Own().IAM.Group(name).Latest(); g != nil {
			names = append(names, g.Name)
		}
	}
	return names
}

func groupDetails(c *service.Call, filter []types.EntityType) []detail {
	if !wants(filter, types.EntityTypeGroup) {
		return nil
	}
	var all []detail
	for _, g := range live(c.Own().IAM.Groups) {
		all = append(all, detail{"2/" + g.Name, func(out *iam.GetAccountAuthorizationDetailsOutput) {
			listed := listedGroup(c, g)
			out.GroupDetailList = append(out.GroupDetailList, types.GroupDetail{
				Arn: listed.Arn, Path: listed.Path, GroupId: listed.GroupId, GroupName: listed.GroupName, CreateDate: listed.CreateDate,
				AttachedManagedPolicies: attachedPolicies(&g.Entity), GroupPolicyList: inlinePolicies(&g.Entity),
			})
		}})
	}
	return all
}

func roleDetails(c *service.Call, filter []types.EntityType) []detail {
	if !wants(filter, types.EntityTypeRole) {
		return nil
	}
	var all []detail
	for _, r := range live(c.Own().IAM.Roles) {
		all = append(all, detail{"3/" + r.Name, func(out *iam.GetAccountAuthorizationDetailsOutput) {
			profiles := []types.InstanceProfile{}
			for _, p := range profilesOf(c, r) {
				profiles = append(profiles, fullProfile(c, p))
			}
			listed := listedRole(c, r)
			out.RoleDetailList = append(out.RoleDetailList, types.RoleDetail{
				Arn: listed.Arn, Path: listed.Path, RoleId: listed.RoleId, RoleName: listed.RoleName, CreateDate: listed.CreateDate,
				AssumeRolePolicyDocument: listed.AssumeRolePolicyDocument, AttachedManagedPolicies: attachedPolicies(&r.Entity),
				RolePolicyList: inlinePolicies(&r.Entity), InstanceProfileList: profiles, PermissionsBoundary: boundary(r.Boundary),
				RoleLastUsed: lastUsed(c, r), Tags: shown(r.Tags),
			})
		}})
	}
	return all
}

func inlinePolicies(e *store.Entity) []types.PolicyDetail {
	out := []types.PolicyDetail{}
	for _, name := range slices.Sorted(maps.Keys(e.Inline)) {
		out = append(out, types.PolicyDetail{PolicyName: aws.String(name), PolicyDocument: encodeDocument(e.Inline[name])})
	}
	return out
}

// policyDetails has AWS's own policies only where they are used, as IAM does.
func policyDetails(c *service.Call, filter []types.EntityType) []detail {
	var all []detail
	for _, m := range managedPolicies(c, types.PolicyScopeTypeAll) {
		kind := types.EntityTypeLocalManagedPolicy
		if m.aws != nil {
			kind = types.EntityTypeAWSManagedPolicy
		}
		if !wants(filter, kind) {
			continue
		}
		use := usage(c, m.arn)
		if m.aws != nil && use.attached+use.boundaries == 0 {
			continue
		}
		all = append(all, detail{"4/" + m.arn, func(out *iam.GetAccountAuthorizationDetailsOutput) {
			out.Policies = append(out.Policies, policyDetail(m, use))
		}})
	}
	return all
}

func policyDetail(m managed, use policyUse) types.ManagedPolicyDetail {
	d := types.ManagedPolicyDetail{
		Arn: aws.String(m.arn), PolicyName: aws.String(m.Name), PolicyId: aws.String(m.ID), Path: aws.String(m.Path),
		DefaultVersionId: aws.String(m.Default), IsAttachable: true, CreateDate: at(m.Created), UpdateDate: at(m.Updated),
		AttachmentCount: aws.Int32(use.attached), PermissionsBoundaryUsageCount: aws.Int32(use.boundaries),
		PolicyVersionList: []types.PolicyVersion{},
	}
	if m.Description != "" {
		d.Description = aws.String(m.Description)
	}
	for i := range m.Versions {
		v := listedVersion(m, &m.Versions[i])
		v.Document = encodeDocument(m.document(&m.Versions[i]))
		d.PolicyVersionList = append(d.PolicyVersionList, v)
	}
	return d
}

func listAliases(c *service.Call, _ *iam.ListAccountAliasesInput) (*iam.ListAccountAliasesOutput, *wire.Error) {
	out := &iam.ListAccountAliasesOutput{AccountAliases: []string{}}
	if alias := c.Own().IAM.Alias; alias != "" {
		out.AccountAliases = append(out.AccountAliases, alias)
	}
	return out, nil
}

// createAlias replaces the account's alias; aliases are unique over all accounts.
func createAlias(c *service.Call, in *iam.CreateAccountAliasInput) (*iam.CreateAccountAliasOutput, *wire.Error) {
	alias := aws.ToString(in.AccountAlias)
	for _, id := range c.World.AccountIDs() {
		if c.World.Accounts[id].IAM.Alias == alias {
			return nil, alreadyExists(c, "The account alias %s already exists.", alias)
		}
	}
	c.Own().IAM.Alias = alias
	return nil, nil
}

func deleteAlias(c *service.Call, in *iam.DeleteAccountAliasInput) (*iam.DeleteAccountAliasOutput, *wire.Error) {
	alias := aws.ToString(in.AccountAlias)
	if c.Own().IAM.Alias != alias {
		return nil, noSuchEntity(c, "The account alias %s cannot be found.", alias)
	}
	c.Own().IAM.Alias = ""
	return nil, nil
}
