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

// attachment names a managed policy on an entity in a request.
type attachment struct{ owner, policy *string }

// attaching adds the condition key iam:PolicyARN to an operation.
func attaching[I, O any](k kind, args func(*I) attachment, op service.Op[I, O]) service.Op[I, O] {
	plain := op.Access
	op.Access = func(c *service.Call, in *I) ([]gate.Access, *wire.Error) {
		accesses, e := plain(c, in)
		for i := range accesses {
			accesses[i].Context = map[string][]string{"iam:PolicyARN": {aws.ToString(args(in).policy)}}
		}
		return accesses, e
	}
	return bounded(k, func(in *I) *string { return args(in).owner }, op)
}

// attach is idempotent, as IAM's is.
func attach[I, O any](k kind, args func(*I) attachment) service.Op[I, O] {
	return attaching(k, args, writer(on(k, func(in *I) *string { return args(in).owner }), "Attach"+k.title+"Policy", func(c *service.Call, in *I) (*O, *wire.Error) {
		a := args(in)
		o, e := k.modifiable(c, a.owner)
		if e != nil {
			return nil, e
		}
		ref := aws.ToString(a.policy)
		if _, e := findManaged(c, ref); e != nil {
			return nil, noSuchEntity(c, "Policy %s does not exist or is not attachable.", ref)
		}
		if slices.Contains(o.Attached, ref) {
			return nil, nil
		}
		if limit := k.attached.of(c); len(o.Attached) >= limit {
			return nil, limitExceeded(c, "PoliciesPer"+k.title, limit)
		}
		o.edit(c.Now, func(e *store.Entity) { e.Attached = append(e.Attached, ref) })
		return nil, nil
	}))
}

func detach[I, O any](k kind, args func(*I) attachment) service.Op[I, O] {
	return attaching(k, args, writer(on(k, func(in *I) *string { return args(in).owner }), "Detach"+k.title+"Policy", func(c *service.Call, in *I) (*O, *wire.Error) {
		a := args(in)
		o, e := k.modifiable(c, a.owner)
		if e != nil {
			return nil, e
		}
		ref := aws.ToString(a.policy)
		if !slices.Contains(o.Attached, ref) {
			return nil, noSuchEntity(c, "Policy %s was not found.", ref)
		}
		o.edit(c.Now, func(e *store.Entity) {
			e.Attached = slices.DeleteFunc(e.Attached, func(have string) bool { return have == ref })
		})
		return nil, nil
	}))
}

func listAttached[I, O any](k kind, args func(*I) (paged, *string), answer func(marked[types.AttachedPolicy]) *O) service.Op[I, O] {
	resource := on(k, func(in *I) *string { a, _ := args(in); return a.owner })
	return reader(resource, "ListAttached"+k.title+"Policies", func(c *service.Call, in *I) (*O, *wire.Error) {
		a, prefix := args(in)
		o, e := k.find(c, aws.ToString(a.owner))
		if e != nil {
			return nil, e
		}
		all := attachedPolicies(o.Entity)
		all = slices.DeleteFunc(all, func(p types.AttachedPolicy) bool { return !strings.HasPrefix(policyPath(*p.PolicyArn), pathOf(prefix)) })
		p, e := page(c, a.marker, a.max, all, func(p types.AttachedPolicy) string { return *p.PolicyArn })
		if e != nil {
			return nil, e
		}
		return answer(p), nil
	})
}

// attachedPolicies are an entity's managed policies as listings tell them.
func attachedPolicies(e *store.Entity) []types.AttachedPolicy {
	out := []types.AttachedPolicy{}
	for _, ref := range e.Attached {
		name := ref[strings.LastIndexByte(ref, '/')+1:]
		out = append(out, types.AttachedPolicy{PolicyArn: aws.String(ref), PolicyName: aws.String(name)})
	}
	return out
}

func policyPath(ref string) string {
	a, err := arn.Parse(ref)
	if err != nil {
		return "/"
	}
	return a.Path()
}

func registerAttached(s *service.Service) {
	roleArgs := func(in *iam.AttachRolePolicyInput) attachment { return attachment{in.RoleName, in.PolicyArn} }
	service.Register(s, "AttachRolePolicy", attach[iam.AttachRolePolicyInput, iam.AttachRolePolicyOutput](roles, roleArgs))
	service.Register(s, "DetachRolePolicy", detach[iam.DetachRolePolicyInput, iam.DetachRolePolicyOutput](roles,
		func(in *iam.DetachRolePolicyInput) attachment { return attachment{in.RoleName, in.PolicyArn} }))
	service.Register(s, "ListAttachedRolePolicies", listAttached(roles,
		func(in *iam.ListAttachedRolePoliciesInput) (paged, *string) {
			return paged{in.RoleName, in.Marker, in.MaxItems}, in.PathPrefix
		},
		func(p marked[types.AttachedPolicy]) *iam.ListAttachedRolePoliciesOutput {
			return &iam.ListAttachedRolePoliciesOutput{AttachedPolicies: p.items, IsTruncated: p.truncated, Marker: p.marker}
		}))
	userArgs := func(in *iam.AttachUserPolicyInput) attachment { return attachment{in.UserName, in.PolicyArn} }
	service.Register(s, "AttachUserPolicy", attach[iam.AttachUserPolicyInput, iam.AttachUserPolicyOutput](users, userArgs))
	service.Register(s, "DetachUserPolicy", detach[iam.DetachUserPolicyInput, iam.DetachUserPolicyOutput](users,
		func(in *iam.DetachUserPolicyInput) attachment { return attachment{in.UserName, in.PolicyArn} }))
	service.Register(s, "ListAttachedUserPolicies", listAttached(users,
		func(in *iam.ListAttachedUserPoliciesInput) (paged, *string) {
			return paged{in.UserName, in.Marker, in.MaxItems}, in.PathPrefix
		},
		func(p marked[types.AttachedPolicy]) *iam.ListAttachedUserPoliciesOutput {
			return &iam.ListAttachedUserPoliciesOutput{AttachedPolicies: p.items, IsTruncated: p.truncated, Marker: p.marker}
		}))
	groupArgs := func(in *iam.AttachGroupPolicyInput) attachment { return attachment{in.GroupName, in.PolicyArn} }
	service.Register(s, "AttachGroupPolicy", attach[iam.AttachGroupPolicyInput, iam.AttachGroupPolicyOutput](groups, groupArgs))
	service.Register(s, "DetachGroupPolicy", detach[iam.DetachGroupPolicyInput, iam.DetachGroupPolicyOutput](groups,
		func(in *iam.DetachGroupPolicyInput) attachment { return attachment{in.GroupName, in.PolicyArn} }))
	service.Register(s, "ListAttachedGroupPolicies", listAttached(groups,
		func(in *iam.ListAttachedGroupPoliciesInput) (paged, *string) {
			return paged{in.GroupName, in.Marker, in.MaxItems}, in.PathPrefix
		},
		func(p marked[types.AttachedPolicy]) *iam.ListAttachedGroupPoliciesOutput {
			return &iam.ListAttachedGroupPoliciesOutput{AttachedPolicies: p.items, IsTruncated: p.truncated, Marker: p.marker}
		}))
}
