package eks

import (
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
	"github.com/stile-aws/stile/policy"
)

// maxAssociations is the quota "EKS Pod Identity associations per cluster" (EKS
// user guide, service-quotas).
const maxAssociations = 5000

// podIdentity is the service that roles of associations are passed to.
const podIdentity = "pods.eks.amazonaws.com"

func registerAssociations(s *service.Service) {
	service.Register(s, "CreatePodIdentityAssociation", service.Op[eks.CreatePodIdentityAssociationInput, eks.CreatePodIdentityAssociationOutput]{
		Access: createAssociationAccess, Handle: createAssociation,
	})
	service.Register(s, "DescribePodIdentityAssociation", service.Op[eks.DescribePodIdentityAssociationInput, eks.DescribePodIdentityAssociationOutput]{
		ReadOnly: true, Handle: describeAssociation,
		Access: withAssociation("DescribePodIdentityAssociation", func(in *eks.DescribePodIdentityAssociationInput) (_, _ *string) {
			return in.ClusterName, in.AssociationId
		}),
	})
	service.Register(s, "ListPodIdentityAssociations", service.Op[eks.ListPodIdentityAssociationsInput, eks.ListPodIdentityAssociationsOutput]{
		ReadOnly: true, Handle: listAssociations,
		Access: withCluster("ListPodIdentityAssociations", func(in *eks.ListPodIdentityAssociationsInput) *string { return in.ClusterName }),
	})
	service.Register(s, "UpdatePodIdentityAssociation", service.Op[eks.UpdatePodIdentityAssociationInput, eks.UpdatePodIdentityAssociationOutput]{
		Access: updateAssociationAccess, Handle: updateAssociation,
	})
	service.Register(s, "DeletePodIdentityAssociation", service.Op[eks.DeletePodIdentityAssociationInput, eks.DeletePodIdentityAssociationOutput]{
		Handle: deleteAssociation,
		Access: withAssociation("DeletePodIdentityAssociation", func(in *eks.DeletePodIdentityAssociationInput) (_, _ *string) {
			return in.ClusterName, in.AssociationId
		}),
	})
}

// passing asks whether a role may be handed to Pod Identity ("you must have …
// iam:PassRole", EKS user guide, pod-id-association).
func passing(c *service.Call, ref *string) gate.Access {
	pass := gate.Access{Action: "iam:PassRole", Resource: aws.ToString(ref), Context: map[string][]string{"iam:PassedToService": {podIdentity}}}
	if role := ownRole(c, ref); role != nil {
		pass.ResourceTags = role.Tags
	}
	return pass
}

func createAssociationAccess(c *service.Call, in *eks.CreatePodIdentityAssociationInput) ([]gate.Access, *wire.Error) {
	create := onCluster(c, "CreatePodIdentityAssociation", in.ClusterName)
	create.RequestTags = in.Tags
	all := []gate.Access{create, passing(c, in.RoleArn)}
	if len(in.Tags) > 0 {
		all = append(all, gate.Access{Action: "eks:TagResource", Resource: onAssociation(c, "", in.ClusterName, aws.String("*")).Resource, RequestTags: in.Tags})
	}
	return all, nil
}

func updateAssociationAccess(c *service.Call, in *eks.UpdatePodIdentityAssociationInput) ([]gate.Access, *wire.Error) {
	all := []gate.Access{onAssociation(c, "UpdatePodIdentityAssociation", in.ClusterName, in.AssociationId)}
	if in.RoleArn != nil {
		all = append(all, passing(c, in.RoleArn))
	}
	return all, nil
}

// onAssociation is the access to an association, whether it exists or not.
func onAssociation(c *service.Call, action string, name, id *string) gate.Access {
	k := &store.EKSCluster{Account: c.Account, Region: c.Region, Name: aws.ToString(name)}
	out := gate.Access{Action: "eks:" + action, Resource: k.AssociationARN(aws.ToString(id)).String()}
	if found := find(c, name); found != nil && found.Associations[aws.ToString(id)] != nil {
		out.ResourceTags = found.Associations[aws.ToString(id)].Tags
	}
	return out
}

// withAssociation is the Access of operations on one association.
func withAssociation[I any](action string, parts func(*I) (name, id *string)) func(*service.Call, *I) ([]gate.Access, *wire.Error) {
	return func(c *service.Call, in *I) ([]gate.Access, *wire.Error) {
		name, id := parts(in)
		return []gate.Access{onAssociation(c, action, name, id)}, nil
	}
}

func findAssociation(c *service.Call, name, id *string) (*store.EKSCluster, *store.EKSAssociation, *wire.Error) {
	k, e := cluster(c, name)
	if e != nil {
		return nil, nil, e
	}
	found := k.Associations[aws.ToString(id)]
	if found == nil {
		return nil, nil, c.Errorf("ResourceNotFoundException", "No association found with ID: %s", aws.ToString(id))
	}
	return k, found, nil
}

func createAssociation(c *service.Call, in *eks.CreatePodIdentityAssociationInput) (*eks.CreatePodIdentityAssociationOutput, *wire.Error) {
	k, e := cluster(c, in.ClusterName)
	if e != nil {
		return nil, e
	}
	made := &store.EKSAssociation{
		Namespace: aws.ToString(in.Namespace), ServiceAccount: aws.ToString(in.ServiceAccount), Role: aws.ToString(in.RoleArn),
		TargetRole: aws.ToString(in.TargetRoleArn), NoSessionTags: aws.ToBool(in.DisableSessionTags), Policy: aws.ToString(in.Policy),
		Token: aws.ToString(in.ClientRequestToken), Created: c.Now, Modified: c.Now,
	}
	for _, other := range k.Associations {
		switch {
		case made.Token != "" && other.Token == made.Token:
			return &eks.CreatePodIdentityAssociationOutput{Association: shownAssociation(k, other)}, nil
		case other.Namespace == made.Namespace && other.ServiceAccount == made.ServiceAccount:
			return nil, c.Errorf("ResourceInUseException", "Association already exists: %s", other.ID)
		}
	}
	if len(k.Associations) >= maxAssociations {
		return nil, c.Errorf("ResourceLimitExceededException", "The cluster %s already has %d Pod Identity associations, which is the limit", k.Name, maxAssociations)
	}
	if e := settle(c, k, made); e != nil {
		return nil, e
	}
	if made.Tags, e = merged(c, nil, in.Tags, "InvalidParameterException"); e != nil {
		return nil, e
	}
	made.ID = "a-" + c.World.IDs().Lower(17)
	if k.Associations == nil {
		k.Associations = map[string]*store.EKSAssociation{}
	}
	k.Associations[made.ID] = made
	return &eks.CreatePodIdentityAssociationOutput{Association: shownAssociation(k, made)}, nil
}

// settle checks an association and fills in what follows from it.
func settle(c *service.Call, k *store.EKSCluster, a *store.EKSAssociation) *wire.Error {
	if a.Namespace == "" || a.ServiceAccount == "" {
		return invalid(c, "The namespace and the service account must not be empty.")
	}
	if ownRole(c, &a.Role) == nil {
		return invalid(c, "Role provided in the request does not exist.")
	}
	a.ExternalID = ""
	if a.TargetRole != "" {
		target, err := arn.Parse(a.TargetRole)
		if err != nil || target.Service != "iam" || target.Type() != "role" {
			return invalid(c, "The specified targetRoleArn is invalid.")
		}
		// "region/account/cluster/namespace/service-account" (EKS API reference, PodIdentityAssociation).
		a.ExternalID = k.Region + "/" + string(k.Account) + "/" + k.Name + "/" + a.Namespace + "/" + a.ServiceAccount
	}
	if a.Policy != "" {
		if !a.NoSessionTags {
			return invalid(c, "Session tags must be disabled when a policy is specified.")
		}
		if _, err := policy.Parse([]byte(a.Policy)); err != nil {
			return invalid(c, "The specified policy is invalid: %v", err)
		}
	}
	return nil
}

func shownAssociation(k *store.EKSCluster, a *store.EKSAssociation) *types.PodIdentityAssociation {
	out := &types.PodIdentityAssociation{
		AssociationArn: aws.String(k.AssociationARN(a.ID).String()), AssociationId: &a.ID, ClusterName: &k.Name, Namespace: &a.Namespace, ServiceAccount: &a.ServiceAccount,
		RoleArn: &a.Role, DisableSessionTags: &a.NoSessionTags, Tags: maps.Clone(a.Tags), CreatedAt: aws.Time(a.Created), ModifiedAt: aws.Time(a.Modified),
	}
	if a.TargetRole != "" {
		out.TargetRoleArn, out.ExternalId = &a.TargetRole, &a.ExternalID
	}
	if a.Policy != "" {
		out.Policy = &a.Policy
	}
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	return out
}

func describeAssociation(c *service.Call, in *eks.DescribePodIdentityAssociationInput) (*eks.DescribePodIdentityAssociationOutput, *wire.Error) {
	k, a, e := findAssociation(c, in.ClusterName, in.AssociationId)
	if e != nil {
		return nil, e
	}
	return &eks.DescribePodIdentityAssociationOutput{Association: shownAssociation(k, a)}, nil
}

func listAssociations(c *service.Call, in *eks.ListPodIdentityAssociationsInput) (*eks.ListPodIdentityAssociationsOutput, *wire.Error) {
	k, e := cluster(c, in.ClusterName)
	if e != nil {
		return nil, e
	}
	var ids []string
	for id, a := range k.Associations {
		if (in.Namespace == nil || *in.Namespace == a.Namespace) && (in.ServiceAccount == nil || *in.ServiceAccount == a.ServiceAccount) {
			ids = append(ids, id)
		}
	}
	page, next, e := page(c, ids, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	out := &eks.ListPodIdentityAssociationsOutput{Associations: []types.PodIdentityAssociationSummary{}, NextToken: next}
	for _, id := range page {
		a := k.Associations[id]
		out.Associations = append(out.Associations, types.PodIdentityAssociationSummary{
			AssociationArn: aws.String(k.AssociationARN(id).String()), AssociationId: &a.ID, ClusterName: &k.Name, Namespace: &a.Namespace, ServiceAccount: &a.ServiceAccount,
		})
	}
	return out, nil
}

func updateAssociation(c *service.Call, in *eks.UpdatePodIdentityAssociationInput) (*eks.UpdatePodIdentityAssociationOutput, *wire.Error) {
	k, a, e := findAssociation(c, in.ClusterName, in.AssociationId)
	if e != nil {
		return nil, e
	}
	changed := *a
	if in.RoleArn != nil {
		changed.Role = *in.RoleArn
	}
	if in.TargetRoleArn != nil {
		changed.TargetRole = *in.TargetRoleArn
	}
	if in.DisableSessionTags != nil {
		changed.NoSessionTags = *in.DisableSessionTags
	}
	if in.Policy != nil {
		changed.Policy = *in.Policy
	}
	if e := settle(c, k, &changed); e != nil {
		return nil, e
	}
	changed.Modified = c.Now
	k.Associations[a.ID] = &changed
	return &eks.UpdatePodIdentityAssociationOutput{Association: shownAssociation(k, &changed)}, nil
}

func deleteAssociation(c *service.Call, in *eks.DeletePodIdentityAssociationInput) (*eks.DeletePodIdentityAssociationOutput, *wire.Error) {
	k, a, e := findAssociation(c, in.ClusterName, in.AssociationId)
	if e != nil {
		return nil, e
	}
	delete(k.Associations, a.ID)
	return &eks.DeletePodIdentityAssociationOutput{Association: shownAssociation(k, a)}, nil
}
