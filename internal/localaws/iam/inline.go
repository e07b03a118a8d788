package iam

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
	"github.com/stile-aws/stile/policy"
)

// inline names an inline policy in a request: of whom, which, with what text.
type inline struct{ owner, policy, document *string }

func putInline[I, O any](k kind, args func(*I) inline) service.Op[I, O] {
	name := func(in *I) *string { return args(in).owner }
	return bounded(k, name, writer(on(k, name), "Put"+k.title+"Policy", func(c *service.Call, in *I) (*O, *wire.Error) {
		a := args(in)
		o, e := k.modifiable(c, a.owner)
		if e != nil {
			return nil, e
		}
		text := aws.ToString(a.document)
		if e := checkDocument(c, text, policy.Identity); e != nil {
			return nil, e
		}
		total := policy.Size(text)
		for other, document := range o.Inline {
			if other != *a.policy {
				total += policy.Size(document)
			}
		}
		if limit := k.size.of(c); total > limit {
			return nil, c.Errorf("LimitExceededException", "Maximum policy size of %d bytes exceeded for %s %s", limit, k.name, o.Name)
		}
		o.edit(c.Now, func(e *store.Entity) {
			if e.Inline == nil {
				e.Inline = map[string]string{}
			}
			e.Inline[*a.policy] = text
		})
		return nil, nil
	}))
}

// modifiable is find for operations that change; service-linked roles refuse.
func (k kind) modifiable(c *service.Call, name *string) (*owner, *wire.Error) {
	if k.name == "role" {
		if _, e := modifiableRole(c, name); e != nil {
			return nil, e
		}
	}
	return k.find(c, aws.ToString(name))
}

func noInline(c *service.Call, k kind, name *string) *wire.Error {
	return noSuchEntity(c, "The %s policy with name %s cannot be found.", k.name, aws.ToString(name))
}

func getInline[I, O any](k kind, args func(*I) inline, answer func(owner, policy, document *string) *O) service.Op[I, O] {
	name := func(in *I) *string { return args(in).owner }
	return reader(on(k, name), "Get"+k.title+"Policy", func(c *service.Call, in *I) (*O, *wire.Error) {
		a := args(in)
		o, e := k.find(c, aws.ToString(a.owner))
		if e != nil {
			return nil, e
		}
		text, ok := o.Inline[aws.ToString(a.policy)]
		if !ok {
			return nil, noInline(c, k, a.policy)
		}
		return answer(aws.String(o.Name), a.policy, encodeDocument(text)), nil
	})
}

func deleteInline[I, O any](k kind, args func(*I) inline) service.Op[I, O] {
	name := func(in *I) *string { return args(in).owner }
	return bounded(k, name, writer(on(k, name), "Delete"+k.title+"Policy", func(c *service.Call, in *I) (*O, *wire.Error) {
		a := args(in)
		o, e := k.modifiable(c, a.owner)
		if e != nil {
			return nil, e
		}
		if _, ok := o.Inline[aws.ToString(a.policy)]; !ok {
			return nil, noInline(c, k, a.policy)
		}
		o.edit(c.Now, func(e *store.Entity) { delete(e.Inline, *a.policy) })
		return nil, nil
	}))
}

// paged are the members that every listing has.
type paged struct {
	owner, marker *string
	max           *int32
}

func listInline[I, O any](k kind, args func(*I) paged, answer func(marked[string]) *O) service.Op[I, O] {
	return reader(on(k, func(in *I) *string { return args(in).owner }), "List"+k.title+"Policies", func(c *service.Call, in *I) (*O, *wire.Error) {
		a := args(in)
		o, e := k.find(c, aws.ToString(a.owner))
		if e != nil {
			return nil, e
		}
		p, e := page(c, a.marker, a.max, slices.Collect(maps.Keys(o.Inline)), func(name string) string { return name })
		if e != nil {
			return nil, e
		}
		return answer(p), nil
	})
}

func registerInline(s *service.Service) {
	registerRoleInline(s)
	registerUserInline(s)
	registerGroupInline(s)
}

func registerRoleInline(s *service.Service) {
	service.Register(s, "PutRolePolicy", putInline[iam.PutRolePolicyInput, iam.PutRolePolicyOutput](roles,
		func(in *iam.PutRolePolicyInput) inline { return inline{in.RoleName, in.PolicyName, in.PolicyDocument} }))
	service.Register(s, "GetRolePolicy", getInline(roles,
		func(in *iam.GetRolePolicyInput) inline { return inline{in.RoleName, in.PolicyName, nil} },
		func(owner, policy, document *string) *iam.GetRolePolicyOutput {
			return &iam.GetRolePolicyOutput{RoleName: owner, PolicyName: policy, PolicyDocument: document}
		}))
	service.Register(s, "DeleteRolePolicy", deleteInline[iam.DeleteRolePolicyInput, iam.DeleteRolePolicyOutput](roles,
		func(in *iam.DeleteRolePolicyInput) inline { return inline{in.RoleName, in.PolicyName, nil} }))
	service.Register(s, "ListRolePolicies", listInline(roles,
		func(in *iam.ListRolePoliciesInput) paged { return paged{in.RoleName, in.Marker, in.MaxItems} },
		func(p marked[string]) *iam.ListRolePoliciesOutput {
			return &iam.ListRolePoliciesOutput{PolicyNames: p.items, IsTruncated: p.truncated, Marker: p.marker}
		}))
}

func registerUserInline(s *service.Service) {
	service.Register(s, "PutUserPolicy", putInline[iam.PutUserPolicyInput, iam.PutUserPolicyOutput](users,
		func(in *iam.PutUserPolicyInput) inline { return inline{in.UserName, in.PolicyName, in.PolicyDocument} }))
	service.Register(s, "GetUserPolicy", getInline(users,
		func(in *iam.GetUserPolicyInput) inline { return inline{in.UserName, in.PolicyName, nil} },
		func(owner, policy, document *string) *iam.GetUserPolicyOutput {
			return &iam.GetUserPolicyOutput{UserName: owner, PolicyName: policy, PolicyDocument: document}
		}))
	service.Register(s, "DeleteUserPolicy", deleteInline[iam.DeleteUserPolicyInput, iam.DeleteUserPolicyOutput](users,
		func(in *iam.DeleteUserPolicyInput) inline { return inline{in.UserName, in.PolicyName, nil} }))
	service.Register(s, "ListUserPolicies", listInline(users,
		func(in *iam.ListUserPoliciesInput) paged { return paged{in.UserName, in.Marker, in.MaxItems} },
		func(p marked[string]) *iam.ListUserPoliciesOutput {
			return &iam.ListUserPoliciesOutput{PolicyNames: p.items, IsTruncated: p.truncated, Marker: p.marker}
		}))
}

func registerGroupInline(s *service.Service) {
	service.Register(s, "PutGroupPolicy", putInline[iam.PutGroupPolicyInput, iam.PutGroupPolicyOutput](groups,
		func(in *iam.PutGroupPolicyInput) inline {
			return inline{in.GroupName, in.PolicyName, in.PolicyDocument}
		}))
	service.Register(s, "GetGroupPolicy", getInline(groups,
		func(in *iam.GetGroupPolicyInput) inline { return inline{in.GroupName, in.PolicyName, nil} },
		func(owner, policy, document *string) *iam.GetGroupPolicyOutput {
			return &iam.GetGroupPolicyOutput{GroupName: owner, PolicyName: policy, PolicyDocument: document}
		}))
	service.Register(s, "DeleteGroupPolicy", deleteInline[iam.DeleteGroupPolicyInput, iam.DeleteGroupPolicyOutput](groups,
		func(in *iam.DeleteGroupPolicyInput) inline { return inline{in.GroupName, in.PolicyName, nil} }))
	service.Register(s, "ListGroupPolicies", listInline(groups,
		func(in *iam.ListGroupPoliciesInput) paged { return paged{in.GroupName, in.Marker, in.MaxItems} },
		func(p marked[string]) *iam.ListGroupPoliciesOutput {
			return &iam.ListGroupPoliciesOutput{PolicyNames: p.items, IsTruncated: p.truncated, Marker: p.marker}
		}))
}
