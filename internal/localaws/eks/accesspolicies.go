package eks

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

const policyPrefix = "arn:aws:eks::aws:cluster-access-policy/"

// namespaces are names of namespaces, or patterns with a "*" in them.
var namespaces = regexp.MustCompile(`^[a-z0-9*]([-a-z0-9*]{0,61}[a-z0-9*])?$`)

func registerAccessPolicies(s *service.Service) {
	service.Register(s, "ListAccessPolicies", service.Op[eks.ListAccessPoliciesInput, eks.ListAccessPoliciesOutput]{
		ReadOnly: true, Handle: listPolicies,
		Access: withoutResource[eks.ListAccessPoliciesInput]("ListAccessPolicies"),
	})
	service.Register(s, "AssociateAccessPolicy", service.Op[eks.AssociateAccessPolicyInput, eks.AssociateAccessPolicyOutput]{
		Handle: associate,
		Access: withEntry("AssociateAccessPolicy", func(in *eks.AssociateAccessPolicyInput) (_, _ *string, _ map[string][]string) {
			keys := map[string][]string{"eks:policyArn": {aws.ToString(in.PolicyArn)}}
			if in.AccessScope != nil {
				keys["eks:accessScope"] = []string{string(in.AccessScope.Type)}
				if len(in.AccessScope.Namespaces) > 0 {
					keys["eks:namespaces"] = in.AccessScope.Namespaces
				}
			}
			return in.ClusterName, in.PrincipalArn, keys
		}),
	})
	service.Register(s, "DisassociateAccessPolicy", service.Op[eks.DisassociateAccessPolicyInput, eks.DisassociateAccessPolicyOutput]{
		Handle: disassociate,
		Access: withEntry("DisassociateAccessPolicy", func(in *eks.DisassociateAccessPolicyInput) (_, _ *string, _ map[string][]string) {
			return in.ClusterName, in.PrincipalArn, map[string][]string{"eks:policyArn": {aws.ToString(in.PolicyArn)}}
		}),
	})
	service.Register(s, "ListAssociatedAccessPolicies", service.Op[eks.ListAssociatedAccessPoliciesInput, eks.ListAssociatedAccessPoliciesOutput]{
		ReadOnly: true, Handle: listAssociated,
		Access: withEntry("ListAssociatedAccessPolicies", func(in *eks.ListAssociatedAccessPoliciesInput) (_, _ *string, _ map[string][]string) {
			return in.ClusterName, in.PrincipalArn, nil
		}),
	})
}

func listPolicies(c *service.Call, in *eks.ListAccessPoliciesInput) (*eks.ListAccessPoliciesOutput, *wire.Error) {
	names, next, e := page(c, catalog.AccessPolicies(), in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	out := &eks.ListAccessPoliciesOutput{AccessPolicies: []types.AccessPolicy{}, NextToken: next}
	for _, name := range names {
		out.AccessPolicies = append(out.AccessPolicies, types.AccessPolicy{Name: aws.String(name), Arn: aws.String(policyPrefix + name)})
	}
	return out, nil
}

func associate(c *service.Call, in *eks.AssociateAccessPolicyInput) (*eks.AssociateAccessPolicyOutput, *wire.Error) {
	k, entry, e := findEntry(c, in.ClusterName, in.PrincipalArn)
	if e != nil {
		return nil, e
	}
	name, ours := strings.CutPrefix(aws.ToString(in.PolicyArn), policyPrefix)
	if !ours || !slices.Contains(catalog.AccessPolicies(), name) {
		return nil, invalid(c, "The specified policyArn is invalid: %s", aws.ToString(in.PolicyArn))
	}
	if entry.Type != standard && entry.Type != "EC2" {
		return nil, c.Errorf("InvalidRequestException", "Access policies cannot be associated with access entries of type %s.", entry.Type)
	}
	if e := checkScope(c, in.AccessScope); e != nil {
		return nil, e
	}
	ref := *in.PolicyArn
	policy := &store.EKSAccessPolicy{Scope: string(in.AccessScope.Type), Namespaces: in.AccessScope.Namespaces, Associated: c.Now, Modified: c.Now}
	if have := entry.Policies[ref]; have != nil {
		policy.Associated = have.Associated
	}
	if entry.Policies == nil {
		entry.Policies = map[string]*store.EKSAccessPolicy{}
	}
	entry.Policies[ref] = policy
	return &eks.AssociateAccessPolicyOutput{
		ClusterName: &k.Name, PrincipalArn: &entry.Principal, AssociatedAccessPolicy: shownPolicy(ref, policy),
	}, nil
}

func checkScope(c *service.Call, scope *types.AccessScope) *wire.Error {
	switch scope.Type {
	case types.AccessScopeTypeCluster:
		if len(scope.Namespaces) > 0 {
			return invalid(c, "Namespaces cannot be specified for an access scope of type cluster.")
		}
	case types.AccessScopeTypeNamespace:
		if len(scope.Namespaces) == 0 {
			return invalid(c, "At least one namespace must be specified for an access scope of type namespace.")
		}
	default:
		return invalid(c, "The access scope must have the type cluster or namespace.")
	}
	for _, name := range scope.Namespaces {
		if !namespaces.MatchString(name) {
			return invalid(c, "The namespace %s is invalid.", name)
		}
	}
	return nil
}

func shownPolicy(ref string, p *store.EKSAccessPolicy) *types.AssociatedAccessPolicy {
	return &types.AssociatedAccessPolicy{
		PolicyArn: aws.String(ref), AssociatedAt: aws.Time(p.Associated), ModifiedAt: aws.Time(p.Modified),
		AccessScope: &types.AccessScope{Type: types.AccessScopeType(p.Scope), Namespaces: list(p.Namespaces)},
	}
}

func disassociate(c *service.Call, in *eks.DisassociateAccessPolicyInput) (*eks.DisassociateAccessPolicyOutput, *wire.Error) {
	_, entry, e := findEntry(c, in.ClusterName, in.PrincipalArn)
	if e != nil {
		return nil, e
	}
	if entry.Policies[aws.ToString(in.PolicyArn)] == nil {
		return nil, c.Errorf("ResourceNotFoundException", "No associated access policy found for policyArn: %s", aws.ToString(in.PolicyArn))
	}
	delete(entry.Policies, *in.PolicyArn)
	return nil, nil
}

func listAssociated(c *service.Call, in *eks.ListAssociatedAccessPoliciesInput) (*eks.ListAssociatedAccessPoliciesOutput, *wire.Error) {
	k, entry, e := findEntry(c, in.ClusterName, in.PrincipalArn)
	if e != nil {
		return nil, e
	}
	refs, next, e := page(c, slices.Collect(maps.Keys(entry.Policies)), in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	out := &eks.ListAssociatedAccessPoliciesOutput{
		ClusterName: &k.Name, PrincipalArn: &entry.Principal, NextToken: next, AssociatedAccessPolicies: []types.AssociatedAccessPolicy{},
	}
	for _, ref := range refs {
		out.AssociatedAccessPolicies = append(out.AssociatedAccessPolicies, *shownPolicy(ref, entry.Policies[ref]))
	}
	return out, nil
}
