package organizations

import (
	"errors"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
	"github.com/stile-aws/stile/policy"
)

// kind is a policy type that decides on requests.
type kind struct {
	policy policy.Kind
	// Quotas of the Organizations user guide. Those of SCPs were doubled on
	// 2026-05-15 ("AWS Organizations increased SCP quotas").
	size     int // characters of a document, white space included
	number   int // of an organization
	attached int // to one root, OU or account
}

func kindOf(name string) (kind, bool) {
	switch name {
	case store.ServiceControlPolicy:
		return kind{policy: policy.SCP, size: 10_240, number: 10_000, attached: 10}, true
	case store.ResourceControlPolicy:
		return kind{policy: policy.RCP, size: 5_120, number: 1_000, attached: 5}, true
	}
	return kind{}, false
}

func registerPolicies(s *service.Service) {
	register(s, "CreatePolicy", op[organizations.CreatePolicyInput, organizations.CreatePolicyOutput]{
		access: func(_ call, in *organizations.CreatePolicyInput) []gate.Access {
			return tagged(gate.Access{Resource: "*", Context: ofType(in.Type)}, in.Tags)
		},
		handle: createPolicy,
	})
	register(s, "DescribePolicy", op[organizations.DescribePolicyInput, organizations.DescribePolicyOutput]{
		rank: reader, readOnly: true,
		access: func(c call, in *organizations.DescribePolicyInput) []gate.Access {
			return []gate.Access{c.on(in.PolicyId)}
		},
		handle: func(c call, in *organizations.DescribePolicyInput) (*organizations.DescribePolicyOutput, *wire.Error) {
			p, e := c.mustPolicy(in.PolicyId)
			if e != nil {
				return nil, e
			}
			return &organizations.DescribePolicyOutput{Policy: p.shown()}, nil
		},
	})
	register(s, "UpdatePolicy", op[organizations.UpdatePolicyInput, organizations.UpdatePolicyOutput]{
		access: func(c call, in *organizations.UpdatePolicyInput) []gate.Access {
			return []gate.Access{c.on(in.PolicyId)}
		},
		handle: updatePolicy,
	})
	register(s, "DeletePolicy", op[organizations.DeletePolicyInput, organizations.DeletePolicyOutput]{
		access: func(c call, in *organizations.DeletePolicyInput) []gate.Access {
			return []gate.Access{c.on(in.PolicyId)}
		},
		handle: deletePolicy,
	})
	register(s, "ListPolicies", op[organizations.ListPoliciesInput, organizations.ListPoliciesOutput]{
		rank: reader, readOnly: true, handle: listPolicies,
		access: func(_ call, in *organizations.ListPoliciesInput) []gate.Access {
			return []gate.Access{{Resource: "*", Context: ofType(in.Filter)}}
		},
	})
}

func ofType(t types.PolicyType) map[string][]string {
	return map[string][]string{"organizations:PolicyType": {string(t)}}
}

// found is a policy of the organization or one of AWS's own.
type found struct {
	store.OrgPolicy
	arn string
	own bool // AWS's
}

// policy finds a policy by its id, nil when there is none.
func (c call) policy(id string) *found {
	if own, ok := gate.AWSOrgPolicy(id); ok {
		return &found{store.OrgPolicy{ID: own.ID, Type: own.Type, Name: own.Name, Description: own.Description, Content: own.Content}, own.ARN, true}
	}
	p := c.org.Policies[id].Latest()
	if p == nil {
		return nil
	}
	return &found{*p, c.org.PolicyARN(p).String(), false}
}

func (c call) mustPolicy(id *string) (*found, *wire.Error) {
	if p := c.policy(aws.ToString(id)); p != nil {
		return p, nil
	}
	return nil, c.Errorf("PolicyNotFoundException", "We can't find a policy with the PolicyId that you specified.")
}

// mine finds a policy that can be changed.
func (c call) mine(id *string) (*found, *wire.Error) {
	p, e := c.mustPolicy(id)
	if e == nil && p.own {
		e = c.invalid("IMMUTABLE_POLICY", "You specified a policy that is managed by AWS and can't be modified.")
	}
	return p, e
}

func (p *found) shown() *types.Policy {
	return &types.Policy{PolicySummary: p.summary(), Content: &p.Content}
}

func (p *found) summary() *types.PolicySummary {
	return &types.PolicySummary{
		Id: &p.ID, Arn: &p.arn, Name: &p.Name, Description: &p.Description, Type: types.PolicyType(p.Type), AwsManaged: p.own,
	}
}

// accept checks the text of a policy.
func accept(c call, kind kind, text string) *wire.Error {
	if utf8.RuneCountInString(text) > kind.size {
		return c.constraint("POLICY_CONTENT_LIMIT_EXCEEDED", "You have exceeded the maximum policy size.")
	}
	doc, err := policy.Parse([]byte(text))
	problems, ok := errors.AsType[policy.Errors](err)
	if err == nil {
		problems = policy.Validate(doc, kind.policy)
	} else if !ok {
		return c.Errorf("MalformedPolicyDocumentException", "%v", err)
	}
	if len(problems) > 0 {
		e := c.Errorf("MalformedPolicyDocumentException", "%s", problems.AWS(kind.policy))
		e.Cause = problems
		return e
	}
	return nil
}

// unique refuses a second policy of a type with one name.
func unique(c call, p *store.OrgPolicy) *wire.Error {
	for id := range c.org.Policies {
		if other := c.policy(id); other != nil && other.ID != p.ID && other.Type == p.Type && other.Name == p.Name {
			return c.Errorf("DuplicatePolicyException", "A policy with the specified name and type already exists.")
		}
	}
	for _, own := range gate.AWSOrgPolicies() {
		if own.Type == p.Type && own.Name == p.Name {
			return c.Errorf("DuplicatePolicyException", "A policy with the specified name and type already exists.")
		}
	}
	return nil
}

// available checks that the organization can have policies of a type.
func available(c call, name types.PolicyType) (kind, *wire.Error) {
	k, ok := kindOf(string(name))
	switch {
	case !ok:
		return k, c.Errorf("PolicyTypeNotAvailableForOrganizationException", "stile's local AWS has service and resource control policies only, not %s", name)
	case c.org.FeatureSet != string(types.OrganizationFeatureSetAll):
		return k, c.Errorf("PolicyTypeNotAvailableForOrganizationException", "You can't use the specified policy type with the feature set currently enabled for this organization.")
	}
	return k, nil
}

func createPolicy(c call, in *organizations.CreatePolicyInput) (*organizations.CreatePolicyOutput, *wire.Error) {
	kind, e := available(c, in.Type)
	if e != nil {
		return nil, e
	}
	tags, e := merged(c, nil, in.Tags)
	if e != nil {
		return nil, e
	}
	p := &store.OrgPolicy{
		Type: string(in.Type), Name: aws.ToString(in.Name), Description: aws.ToString(in.Description), Content: aws.ToString(in.Content), Tags: tags,
	}
	if e := accept(c, kind, p.Content); e != nil {
		return nil, e
	}
	if e := unique(c, p); e != nil {
		return nil, e
	}
	if len(policies(c, p.Type)) > kind.number {
		return nil, c.constraint("POLICY_NUMBER_LIMIT_EXCEEDED", "You have exceeded the number of policies that you can have in an organization.")
	}
	p.ID = "p-" + c.World.IDs().Lower(8)
	store.Sweep(c.org.Policies, c.Now)
	c.org.Policies[p.ID] = store.NewVersioned(c.Now, p)
	return &organizations.CreatePolicyOutput{Policy: c.policy(p.ID).shown()}, nil
}

func updatePolicy(c call, in *organizations.UpdatePolicyInput) (*organizations.UpdatePolicyOutput, *wire.Error) {
	old, e := c.mine(in.PolicyId)
	if e != nil {
		return nil, e
	}
	p := old.OrgPolicy
	if in.Name != nil {
		p.Name = *in.Name
	}
	if in.Description != nil {
		p.Description = *in.Description
	}
	if in.Content != nil {
		p.Content = *in.Content
	}
	kind, e := available(c, types.PolicyType(p.Type))
	if e != nil {
		return nil, e
	}
	if e := accept(c, kind, p.Content); e != nil {
		return nil, e
	}
	if e := unique(c, &p); e != nil {
		return nil, e
	}
	c.org.Policies[p.ID].Edit(c.Now, func(to *store.OrgPolicy) { to.Name, to.Description, to.Content = p.Name, p.Description, p.Content })
	return &organizations.UpdatePolicyOutput{Policy: c.policy(p.ID).shown()}, nil
}

func deletePolicy(c call, in *organizations.DeletePolicyInput) (*organizations.DeletePolicyOutput, *wire.Error) {
	p, e := c.mine(in.PolicyId)
	if e != nil {
		return nil, e
	}
	if len(targets(c, p.ID)) > 0 {
		return nil, c.Errorf("PolicyInUseException", "The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts before performing this operation.")
	}
	c.org.Policies[p.ID].Put(c.Now, nil)
	return nil, nil
}

// policies are all of one type, AWS's own among them.
func policies(c call, name string) []types.PolicySummary {
	var all []types.PolicySummary
	for _, own := range gate.AWSOrgPolicies() {
		if own.Type == name {
			all = append(all, *c.policy(own.ID).summary())
		}
	}
	for id := range c.org.Policies {
		if p := c.policy(id); p != nil && p.Type == name {
			all = append(all, *p.summary())
		}
	}
	return all
}

func policyID(p types.PolicySummary) string { return *p.Id }

func listPolicies(c call, in *organizations.ListPoliciesInput) (*organizations.ListPoliciesOutput, *wire.Error) {
	shown, next, e := page(c, policies(c, string(in.Filter)), policyID, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &organizations.ListPoliciesOutput{Policies: shown, NextToken: next}, nil
}
