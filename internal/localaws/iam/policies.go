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
	"github.com/stile-aws/stile/policy"
)

func registerPolicies(s *service.Service) {
	service.Register(s, "CreatePolicy", service.Op[iam.CreatePolicyInput, iam.CreatePolicyOutput]{Access: createPolicyAccess, Handle: createPolicy})
	service.Register(s, "GetPolicy", reader(named(func(in *iam.GetPolicyInput) *string { return in.PolicyArn }), "GetPolicy", getPolicy))
	service.Register(s, "ListPolicies", reader(anywhere[iam.ListPoliciesInput], "ListPolicies", listPolicies))
	service.Register(s, "DeletePolicy", writer(named(func(in *iam.DeletePolicyInput) *string { return in.PolicyArn }), "DeletePolicy", deletePolicy))
	service.Register(s, "ListEntitiesForPolicy", reader(named(func(in *iam.ListEntitiesForPolicyInput) *string { return in.PolicyArn }),
		"ListEntitiesForPolicy", listEntitiesForPolicy))
}

// named is the resource of operations that name it by ARN.
func named[I any](ref func(*I) *string) func(*service.Call, *I) string {
	return func(_ *service.Call, in *I) string { return aws.ToString(ref(in)) }
}

// managed is a managed policy: a customer's or AWS's own.
type managed struct {
	*store.Policy
	arn string
	aws *gate.ManagedPolicy // nil for a customer's
}

// document is the text of a version. AWS's own texts are not in their records:
// some are long, and most are never asked for.
func (m *managed) document(v *store.PolicyVersion) string {
	if m.aws != nil {
		return m.aws.Document()
	}
	return v.Document
}

// findManaged finds a managed policy that the account can use.
func findManaged(c *service.Call, ref string) (managed, *wire.Error) {
	if own, ok := gate.AWSManaged(ref); ok {
		return awsManaged(own), nil
	}
	a, err := arn.Parse(ref)
	if err != nil || a.Service != "iam" || a.Type() != "policy" {
		return managed{}, invalidInput(c, "ARN %s is not valid.", ref)
	}
	p := c.Own().IAM.Policy(a.Name()).Latest()
	if p == nil || p.PolicyARN(c.Account) != a {
		return managed{}, noSuchEntity(c, "Policy %s was not found.", ref)
	}
	return managed{Policy: p, arn: ref}, nil
}

func awsManaged(own *gate.ManagedPolicy) managed {
	return managed{aws: own, arn: own.ARN(), Policy: &store.Policy{
		Name: own.Name, Path: own.Path, ID: own.ID, Description: own.Description, Created: own.Created, Updated: own.Created,
		Default: own.Version, Versions: []store.PolicyVersion{{ID: own.Version, Created: own.Created}},
	}}
}

// customer is findManaged for changes, which AWS's own policies refuse.
func customer(c *service.Call, ref *string) (managed, *wire.Error) {
	m, e := findManaged(c, aws.ToString(ref))
	if e == nil && m.aws != nil {
		return m, c.Errorf("AccessDenied", "User: %s is not authorized to perform this operation on resource: policy %s", c.Caller.Principal.ARN, m.arn)
	}
	return m, e
}

func createPolicyAccess(c *service.Call, in *iam.CreatePolicyInput) ([]gate.Access, *wire.Error) {
	resource := arn.IAM(store.Partition, c.Account, "policy", pathOf(in.Path), aws.ToString(in.PolicyName)).String()
	return creating("iam:CreatePolicy", "iam:TagPolicy", resource, requested(in.Tags), ""), nil
}

func checkManagedDocument(c *service.Call, text string) *wire.Error {
	if e := checkDocument(c, text, policy.Managed); e != nil {
		return e
	}
	if limit := quotaPolicySize.of(c); policy.Size(text) > limit {
		return limitExceeded(c, "PolicySize", limit)
	}
	return nil
}

func createPolicy(c *service.Call, in *iam.CreatePolicyInput) (*iam.CreatePolicyOutput, *wire.Error) {
	own, name, text := &c.Own().IAM, aws.ToString(in.PolicyName), aws.ToString(in.PolicyDocument)
	if own.Policy(name).Latest() != nil {
		return nil, alreadyExists(c, "A policy called %s already exists. Duplicate names are not allowed.", name)
	}
	if limit := quotaPolicies.of(c); len(live(own.Policies)) >= limit {
		return nil, limitExceeded(c, "PoliciesPerAccount", limit)
	}
	if e := checkManagedDocument(c, text); e != nil {
		return nil, e
	}
	tags, e := merged(c, nil, in.Tags)
	if e != nil {
		return nil, e
	}
	p := &store.Policy{
		Name: name, Path: pathOf(in.Path), ID: c.World.IDs().Unique(store.PrefixPolicy), Description: aws.ToString(in.Description),
		Created: c.Now, Updated: c.Now, Tags: tags,
		Versions: []store.PolicyVersion{{ID: "v1", Document: text, Created: c.Now}}, Default: "v1", Next: 2,
	}
	put(own.Policies, name, c.Now, p)
	shown := listedPolicy(c, managed{Policy: p, arn: p.PolicyARN(c.Account).String()})
	shown.Tags = optional(tags)
	return &iam.CreatePolicyOutput{Policy: &shown}, nil
}

func getPolicy(c *service.Call, in *iam.GetPolicyInput) (*iam.GetPolicyOutput, *wire.Error) {
	m, e := findManaged(c, aws.ToString(in.PolicyArn))
	if e != nil {
		return nil, e
	}
	shown := listedPolicy(c, m)
	shown.Tags = optional(m.Tags)
	if m.Description != "" {
		shown.Description = aws.String(m.Description)
	}
	return &iam.GetPolicyOutput{Policy: &shown}, nil
}

func listedPolicy(c *service.Call, m managed) types.Policy {
	use := usage(c, m.arn)
	return types.Policy{
		Arn: aws.String(m.arn), PolicyName: aws.String(m.Name), PolicyId: aws.String(m.ID), Path: aws.String(m.Path),
		DefaultVersionId: aws.String(m.Default), IsAttachable: true, CreateDate: at(m.Created), UpdateDate: at(m.Updated),
		AttachmentCount: aws.Int32(use.attached), PermissionsBoundaryUsageCount: aws.Int32(use.boundaries),
	}
}

// policyUse is who uses a managed policy.
type policyUse struct {
	attached, boundaries int32
	roles                []*store.Role
	users                []*store.User
	groups               []*store.Group
}

// usage counts the entities of the account that a policy is attached to or is
// the boundary of.
func usage(c *service.Call, ref string) policyUse {
	return usageOf(c, ref, types.PolicyUsageType(""))
}

func usageOf(c *service.Call, ref string, filter types.PolicyUsageType) policyUse {
	var use policyUse
	counts := func(e *store.Entity) bool {
		attached, bounded := slices.Contains(e.Attached, ref), e.Boundary == ref
		if attached {
			use.attached++
		}
		if bounded {
			use.boundaries++
		}
		switch filter {
		case types.PolicyUsageTypePermissionsBoundary:
			return bounded
		case types.PolicyUsageTypePermissionsPolicy:
			return attached
		}
		return attached || bounded
	}
	own := &c.Own().IAM
	for _, r := range live(own.Roles) {
		if counts(&r.Entity) {
			use.roles = append(use.roles, r)
		}
	}
	for _, u := range live(own.Users) {
		if counts(&u.Entity) {
			use.users = append(use.users, u)
		}
	}
	for _, g := range live(own.Groups) {
		if counts(&g.Entity) {
			use.groups = append(use.groups, g)
		}
	}
	return use
}

func listPolicies(c *service.Call, in *iam.ListPoliciesInput) (*iam.ListPoliciesOutput, *wire.Error) {
	all := slices.DeleteFunc(managedPolicies(c, in.Scope), func(m managed) bool {
		if !strings.HasPrefix(m.Path, pathOf(in.PathPrefix)) {
			return true
		}
		if !in.OnlyAttached && in.PolicyUsageFilter == "" {
			return false
		}
		use := usage(c, m.arn)
		return in.OnlyAttached && use.attached+use.boundaries == 0 ||
			in.PolicyUsageFilter == types.PolicyUsageTypePermissionsPolicy && use.attached == 0 ||
			in.PolicyUsageFilter == types.PolicyUsageTypePermissionsBoundary && use.boundaries == 0
	})
	p, e := page(c, in.Marker, in.MaxItems, all, func(m managed) string { return m.arn })
	if e != nil {
		return nil, e
	}
	out := &iam.ListPoliciesOutput{Policies: []types.Policy{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, m := range p.items {
		out.Policies = append(out.Policies, listedPolicy(c, m))
	}
	return out, nil
}

func managedPolicies(c *service.Call, scope types.PolicyScopeType) []managed {
	var all []managed
	if scope != types.PolicyScopeTypeAws {
		for _, p := range live(c.Own().IAM.Policies) {
			all = append(all, managed{Policy: p, arn: p.PolicyARN(c.Account).String()})
		}
	}
	if scope != types.PolicyScopeTypeLocal {
		for _, own := range gate.AWSManagedPolicies() {
			all = append(all, awsManaged(own))
		}
	}
	return all
}

// deletePolicy wants the policy unused and without versions beside the default one.
func deletePolicy(c *service.Call, in *iam.DeletePolicyInput) (*iam.DeletePolicyOutput, *wire.Error) {
	m, e := customer(c, in.PolicyArn)
	if e != nil {
		return nil, e
	}
	use := usage(c, m.arn)
	switch {
	case use.attached+use.boundaries > 0:
		return nil, deleteConflict(c, "Cannot delete a policy attached to entities.")
	case len(m.Versions) > 1:
		return nil, deleteConflict(c, "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "+
			"The default version is deleted with the policy.")
	}
	c.Own().IAM.Policy(m.Name).Put(c.Now, nil)
	return nil, nil
}

// listEntitiesForPolicy pages over groups, roles and users together.
func listEntitiesForPolicy(c *service.Call, in *iam.ListEntitiesForPolicyInput) (*iam.ListEntitiesForPolicyOutput, *wire.Error) {
	m, e := findManaged(c, aws.ToString(in.PolicyArn))
	if e != nil {
		return nil, e
	}
	type entity struct {
		kind string
		e    *store.Entity
	}
	var all []entity
	use := usageOf(c, m.arn, in.PolicyUsageFilter)
	for _, g := range use.groups {
		all = append(all, entity{"Group", &g.Entity})
	}
	for _, r := range use.roles {
		all = append(all, entity{"Role", &r.Entity})
	}
	for _, u := range use.users {
		all = append(all, entity{"User", &u.Entity})
	}
	all = slices.DeleteFunc(all, func(x entity) bool {
		return in.EntityFilter != "" && string(in.EntityFilter) != x.kind || !strings.HasPrefix(x.e.Path, pathOf(in.PathPrefix))
	})
	p, e := page(c, in.Marker, in.MaxItems, all, func(x entity) string { return x.kind + "/" + x.e.Name })
	if e != nil {
		return nil, e
	}
	out := &iam.ListEntitiesForPolicyOutput{
		PolicyGroups: []types.PolicyGroup{}, PolicyRoles: []types.PolicyRole{}, PolicyUsers: []types.PolicyUser{},
		IsTruncated: p.truncated, Marker: p.marker,
	}
	for _, x := range p.items {
		id, name := aws.String(x.e.ID), aws.String(x.e.Name)
		switch x.kind {
		case "Group":
			out.PolicyGroups = append(out.PolicyGroups, types.PolicyGroup{GroupId: id, GroupName: name})
		case "Role":
			out.PolicyRoles = append(out.PolicyRoles, types.PolicyRole{RoleId: id, RoleName: name})
		case "User":
			out.PolicyUsers = append(out.PolicyUsers, types.PolicyUser{UserId: id, UserName: name})
		}
	}
	return out, nil
}

func registerPolicyTags(s *service.Service) {
	ops := tagOps[iam.TagPolicyInput, iam.UntagPolicyInput, iam.ListPolicyTagsInput]{
		record: func(c *service.Call, ref string) (tagged, *wire.Error) {
			m, e := customer(c, &ref)
			if e != nil {
				return tagged{}, e
			}
			return tagged{m.arn, m.Tags, func(t store.Tags) {
				c.Own().IAM.Policy(m.Name).Edit(c.Now, func(p *store.Policy) { p.Tags = t })
			}}, nil
		},
		resource: func(_ *service.Call, ref string) string { return ref },
		tag:      func(in *iam.TagPolicyInput) (*string, []types.Tag) { return in.PolicyArn, in.Tags },
		untag:    func(in *iam.UntagPolicyInput) (*string, []string) { return in.PolicyArn, in.TagKeys },
		list: func(in *iam.ListPolicyTagsInput) (*string, *string, *int32) {
			return in.PolicyArn, in.Marker, in.MaxItems
		},
	}
	service.Register(s, "TagPolicy", tagging[iam.TagPolicyInput, iam.UntagPolicyInput, iam.ListPolicyTagsInput, iam.TagPolicyOutput](ops, "TagPolicy"))
	service.Register(s, "UntagPolicy", untagging[iam.TagPolicyInput, iam.UntagPolicyInput, iam.ListPolicyTagsInput, iam.UntagPolicyOutput](ops, "UntagPolicy"))
	service.Register(s, "ListPolicyTags", listing(ops, "ListPolicyTags", func(p marked[types.Tag]) *iam.ListPolicyTagsOutput {
		return &iam.ListPolicyTagsOutput{Tags: p.items, IsTruncated: p.truncated, Marker: p.marker}
	}))
}
