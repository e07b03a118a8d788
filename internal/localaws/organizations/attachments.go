package organizations

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

func registerAttachments(s *service.Service) {
	register(s, "EnablePolicyType", op[organizations.EnablePolicyTypeInput, organizations.EnablePolicyTypeOutput]{
		access: func(c call, in *organizations.EnablePolicyTypeInput) []gate.Access {
			return []gate.Access{onType(c, in.RootId, in.PolicyType)}
		},
		handle: enableType,
	})
	register(s, "DisablePolicyType", op[organizations.DisablePolicyTypeInput, organizations.DisablePolicyTypeOutput]{
		access: func(c call, in *organizations.DisablePolicyTypeInput) []gate.Access {
			return []gate.Access{onType(c, in.RootId, in.PolicyType)}
		},
		handle: disableType,
	})
	register(s, "AttachPolicy", op[organizations.AttachPolicyInput, organizations.AttachPolicyOutput]{
		access: func(c call, in *organizations.AttachPolicyInput) []gate.Access {
			return onBoth(c, in.PolicyId, in.TargetId)
		},
		handle: attachPolicy,
	})
	register(s, "DetachPolicy", op[organizations.DetachPolicyInput, organizations.DetachPolicyOutput]{
		access: func(c call, in *organizations.DetachPolicyInput) []gate.Access {
			return onBoth(c, in.PolicyId, in.TargetId)
		},
		handle: detachPolicy,
	})
	register(s, "ListPoliciesForTarget", op[organizations.ListPoliciesForTargetInput, organizations.ListPoliciesForTargetOutput]{
		rank: reader, readOnly: true, handle: listPoliciesForTarget,
		access: func(c call, in *organizations.ListPoliciesForTargetInput) []gate.Access {
			return []gate.Access{onType(c, in.TargetId, in.Filter)}
		},
	})
	register(s, "ListTargetsForPolicy", op[organizations.ListTargetsForPolicyInput, organizations.ListTargetsForPolicyOutput]{
		rank: reader, readOnly: true, handle: listTargetsForPolicy,
		access: func(c call, in *organizations.ListTargetsForPolicyInput) []gate.Access {
			return []gate.Access{c.on(in.PolicyId)}
		},
	})
}

func onType(c call, id *string, kind types.PolicyType) gate.Access {
	a := c.on(id)
	a.Context = ofType(kind)
	return a
}

// onBoth asks about the policy and about what it is attached to.
func onBoth(c call, policy, target *string) []gate.Access {
	p, t := c.on(policy), c.on(target)
	t.Context = p.Context
	return []gate.Access{p, t}
}

func enableType(c call, in *organizations.EnablePolicyTypeInput) (*organizations.EnablePolicyTypeOutput, *wire.Error) {
	if e := onRoot(c, in.RootId); e != nil {
		return nil, e
	}
	if _, e := available(c, in.PolicyType); e != nil {
		return nil, e
	}
	if c.org.Enabled[string(in.PolicyType)] {
		return nil, c.Errorf("PolicyTypeAlreadyEnabledException", "The specified policy type is already enabled.")
	}
	c.org.Enable(string(in.PolicyType))
	return &organizations.EnablePolicyTypeOutput{Root: shownRoot(c)}, nil
}

// disableType detaches every policy of the type; enabling it again attaches
// AWS's own ones only (API reference, DisablePolicyType).
func disableType(c call, in *organizations.DisablePolicyTypeInput) (*organizations.DisablePolicyTypeOutput, *wire.Error) {
	if e := onRoot(c, in.RootId); e != nil {
		return nil, e
	}
	if !c.org.Enabled[string(in.PolicyType)] {
		return nil, c.Errorf("PolicyTypeNotEnabledException", "The specified policy type isn't currently enabled in this root.")
	}
	delete(c.org.Enabled, string(in.PolicyType))
	for target := range c.org.Attachments {
		kept := slices.DeleteFunc(slices.Clone(c.org.Attached(target)), func(id string) bool {
			p := c.policy(id)
			return p == nil || p.Type == string(in.PolicyType)
		})
		c.org.Attachments[target].Put(c.Now, &kept)
	}
	return &organizations.DisablePolicyTypeOutput{Root: shownRoot(c)}, nil
}

func onRoot(c call, id *string) *wire.Error {
	if aws.ToString(id) != c.org.Root {
		return c.Errorf("RootNotFoundException", "We can't find a root with the RootId that you specified.")
	}
	return nil
}

// pair finds a policy and a target, and the policies of its type attached there.
func pair(c call, policy, id *string) (p *found, t *target, same int, e *wire.Error) {
	if p, e = c.mustPolicy(policy); e != nil {
		return nil, nil, 0, e
	}
	if t = c.target(aws.ToString(id)); t == nil {
		return nil, nil, 0, c.Errorf("TargetNotFoundException", "We can't find a root, OU, or account with the TargetId that you specified.")
	}
	if !c.org.Enabled[p.Type] {
		return nil, nil, 0, c.Errorf("PolicyTypeNotEnabledException", "The specified policy type isn't currently enabled in this root.")
	}
	for _, other := range c.org.Attached(t.id) {
		if q := c.policy(other); q != nil && q.Type == p.Type {
			same++
		}
	}
	return p, t, same, nil
}

func attachPolicy(c call, in *organizations.AttachPolicyInput) (*organizations.AttachPolicyOutput, *wire.Error) {
	p, t, same, e := pair(c, in.PolicyId, in.TargetId)
	if e != nil {
		return nil, e
	}
	kind, e := available(c, types.PolicyType(p.Type))
	switch {
	case e != nil:
		return nil, e
	case slices.Contains(c.org.Attached(t.id), p.ID):
		return nil, c.Errorf("DuplicatePolicyAttachmentException", "The selected policy is already attached to the specified target.")
	case same >= kind.attached:
		return nil, c.constraint("MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "You have attached the maximum number of policies to the specified target.")
	}
	c.org.Attachments[t.id].Edit(c.Now, func(ids *[]string) { *ids = append(*ids, p.ID) })
	return nil, nil
}

func detachPolicy(c call, in *organizations.DetachPolicyInput) (*organizations.DetachPolicyOutput, *wire.Error) {
	p, t, same, e := pair(c, in.PolicyId, in.TargetId)
	switch {
	case e != nil:
		return nil, e
	case !slices.Contains(c.org.Attached(t.id), p.ID):
		return nil, c.Errorf("PolicyNotAttachedException", "The policy isn't attached to the specified target in the specified root.")
	case p.ID == store.RCPFullAWSAccess:
		return nil, c.invalid("NON_DETACHABLE_POLICY", "You can't detach this AWS managed policy.")
	case same == 1:
		return nil, c.constraint("MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "You cannot remove the last policy attached to the specified target. You must have at least one attached at all times.")
	}
	c.org.Attachments[t.id].Edit(c.Now, func(ids *[]string) {
		*ids = slices.DeleteFunc(*ids, func(id string) bool { return id == p.ID })
	})
	return nil, nil
}

func listPoliciesForTarget(c call, in *organizations.ListPoliciesForTargetInput) (*organizations.ListPoliciesForTargetOutput, *wire.Error) {
	t := c.target(aws.ToString(in.TargetId))
	if t == nil {
		return nil, c.Errorf("TargetNotFoundException", "We can't find a root, OU, or account with the TargetId that you specified.")
	}
	var all []types.PolicySummary
	for _, id := range c.org.Attached(t.id) {
		if p := c.policy(id); p != nil && p.Type == string(in.Filter) {
			all = append(all, *p.summary())
		}
	}
	shown, next, e := page(c, all, policyID, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &organizations.ListPoliciesForTargetOutput{Policies: shown, NextToken: next}, nil
}

// targets are the roots, OUs and accounts that a policy is attached to.
func targets(c call, id string) []types.PolicyTargetSummary {
	var all []types.PolicyTargetSummary
	for node := range c.org.Attachments {
		if t := c.target(node); t != nil && slices.Contains(c.org.Attached(node), id) {
			all = append(all, types.PolicyTargetSummary{TargetId: &t.id, Name: &t.name, Arn: &t.arn, Type: t.kind})
		}
	}
	return all
}

func listTargetsForPolicy(c call, in *organizations.ListTargetsForPolicyInput) (*organizations.ListTargetsForPolicyOutput, *wire.Error) {
	p, e := c.mustPolicy(in.PolicyId)
	if e != nil {
		return nil, e
	}
	shown, next, e := page(c, targets(c, p.ID), func(t types.PolicyTargetSummary) string { return *t.TargetId }, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &organizations.ListTargetsForPolicyOutput{Targets: shown, NextToken: next}, nil
}
