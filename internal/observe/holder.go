package observe

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// holder is a role, user or group as far as its policies go: IAM has the same
// three calls for each, a page at a time.
type holder struct {
	inline   func(ctx context.Context, marker *string) (names []string, next *string, err error)
	document func(ctx context.Context, policy string) (*string, error)
	attached func(ctx context.Context, marker *string) (policies []types.AttachedPolicy, next *string, err error)
}

// policies reads the inline policies of a holder, and the ARNs and documents
// of those attached to it.
func (r *reader) policies(ctx context.Context, c *iam.Client, h holder) (inline map[string]string, attached []string, err error) {
	names, err := pages(ctx, h.inline)
	if err != nil {
		return nil, nil, err
	}
	inline = make(map[string]string, len(names))
	for _, name := range names {
		doc, err := h.document(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		inline[name] = document(doc)
	}
	list, err := pages(ctx, h.attached)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range list {
		attached = append(attached, aws.ToString(p.PolicyArn))
		if err := r.managed(ctx, c, aws.ToString(p.PolicyArn)); err != nil {
			return nil, nil, err
		}
	}
	return inline, attached, nil
}

// pages lists everything there is, page by page.
func pages[T any](ctx context.Context, list func(context.Context, *string) ([]T, *string, error)) ([]T, error) {
	var all []T
	var marker *string
	for {
		more, next, err := list(ctx, marker)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
		if next == nil {
			return all, nil
		}
		marker = next
	}
}

func roleHolder(c *iam.Client, name string) holder {
	return holder{
		inline: func(ctx context.Context, marker *string) ([]string, *string, error) {
			out, err := c.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &name, Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.PolicyNames, out.Marker, nil
		},
		document: func(ctx context.Context, policy string) (*string, error) {
			out, err := c.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &name, PolicyName: &policy})
			if err != nil {
				return nil, err
			}
			return out.PolicyDocument, nil
		},
		attached: func(ctx context.Context, marker *string) ([]types.AttachedPolicy, *string, error) {
			out, err := c.ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: &name, Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.AttachedPolicies, out.Marker, nil
		},
	}
}

func userHolder(c *iam.Client, name string) holder {
	return holder{
		inline: func(ctx context.Context, marker *string) ([]string, *string, error) {
			out, err := c.ListUserPolicies(ctx, &iam.ListUserPoliciesInput{UserName: &name, Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.PolicyNames, out.Marker, nil
		},
		document: func(ctx context.Context, policy string) (*string, error) {
			out, err := c.GetUserPolicy(ctx, &iam.GetUserPolicyInput{UserName: &name, PolicyName: &policy})
			if err != nil {
				return nil, err
			}
			return out.PolicyDocument, nil
		},
		attached: func(ctx context.Context, marker *string) ([]types.AttachedPolicy, *string, error) {
			out, err := c.ListAttachedUserPolicies(ctx, &iam.ListAttachedUserPoliciesInput{UserName: &name, Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.AttachedPolicies, out.Marker, nil
		},
	}
}

func groupHolder(c *iam.Client, name string) holder {
	return holder{
		inline: func(ctx context.Context, marker *string) ([]string, *string, error) {
			out, err := c.ListGroupPolicies(ctx, &iam.ListGroupPoliciesInput{GroupName: &name, Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.PolicyNames, out.Marker, nil
		},
		document: func(ctx context.Context, policy string) (*string, error) {
			out, err := c.GetGroupPolicy(ctx, &iam.GetGroupPolicyInput{GroupName: &name, PolicyName: &policy})
			if err != nil {
				return nil, err
			}
			return out.PolicyDocument, nil
		},
		attached: func(ctx context.Context, marker *string) ([]types.AttachedPolicy, *string, error) {
			out, err := c.ListAttachedGroupPolicies(ctx, &iam.ListAttachedGroupPoliciesInput{GroupName: &name, Marker: marker})
			if err != nil {
				return nil, nil, err
			}
			return out.AttachedPolicies, out.Marker, nil
		},
	}
}
