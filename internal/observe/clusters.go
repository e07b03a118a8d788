package observe

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/stile-aws/stile/internal/inventory"
)

// clusters lists the EKS clusters of a Region, with who may enter and what
// their workloads may be as far as AWS knows.
func clusters(ctx context.Context, l *listing) error {
	c := eks.NewFromConfig(l.cfg)
	names, err := collect(ctx, eks.NewListClustersPaginator(c, &eks.ListClustersInput{}), func(page *eks.ListClustersOutput) []string { return page.Clusters })
	if err != nil {
		return err
	}
	each(l, names, func(name string) {
		key := l.region + "/" + name
		got, err := c.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &name})
		switch {
		case notFound(err):
			return
		case err != nil:
			l.fail("cluster "+key, err)
			return
		}
		out, err := shownCluster(got.Cluster, l.region)
		if err != nil {
			l.fail("cluster "+key, err)
			return
		}
		r := &clusterReader{listing: l, client: c, cluster: name}
		out.Associations, out.AssociationState = r.associations(ctx)
		if access := got.Cluster.AccessConfig; access != nil && access.AuthenticationMode == types.AuthenticationModeConfigMap {
			out.AccessEntryState = inventory.Absent // the cluster does not use any
		} else {
			out.AccessEntries, out.AccessEntryState = r.entries(ctx)
		}
		l.put(func(a *inventory.Account) { a.Clusters[key] = out })
	})
	return nil
}

// errEmpty means that AWS answered without what was asked for.
var errEmpty = errors.New("the answer is empty")

func shownCluster(k *types.Cluster, region string) (*inventory.Cluster, error) {
	if k == nil {
		return nil, errEmpty
	}
	out := &inventory.Cluster{ARN: aws.ToString(k.Arn), Name: aws.ToString(k.Name), Region: region, Status: string(k.Status)}
	if id := k.Identity; id != nil && id.Oidc != nil {
		out.Issuer = aws.ToString(id.Oidc.Issuer)
	}
	return out, nil
}

// clusterReader reads what belongs to one cluster.
type clusterReader struct {
	*listing
	client  *eks.Client
	cluster string
}

// part reads each of the things listed, in their order. What is gone by then is
// left out; when one cannot be read the whole list counts as unread, for it
// would not be the list.
func part[K, V any](r *clusterReader, what string, list []K, read func(K) (V, error)) ([]V, inventory.Lookup) {
	found, errs := make([]V, len(list)), make([]error, len(list))
	at := make([]int, len(list))
	for i := range at {
		at[i] = i
	}
	each(r.listing, at, func(i int) { found[i], errs[i] = read(list[i]) })
	var out []V
	for i, err := range errs {
		switch {
		case notFound(err):
		case err != nil:
			r.fail(what+" of cluster "+r.region+"/"+r.cluster, err)
			return nil, inventory.Unread
		default:
			out = append(out, found[i])
		}
	}
	return out, inventory.Exists
}

func (r *clusterReader) associations(ctx context.Context) ([]inventory.Association, inventory.Lookup) {
	const what = "Pod Identity associations"
	list, err := collect(ctx, eks.NewListPodIdentityAssociationsPaginator(r.client, &eks.ListPodIdentityAssociationsInput{ClusterName: &r.cluster}),
		func(page *eks.ListPodIdentityAssociationsOutput) []types.PodIdentityAssociationSummary {
			return page.Associations
		})
	if err != nil {
		r.fail(what+" of cluster "+r.region+"/"+r.cluster, err)
		return nil, inventory.Unread
	}
	return part(r, what, list, func(s types.PodIdentityAssociationSummary) (inventory.Association, error) {
		got, err := r.client.DescribePodIdentityAssociation(ctx, &eks.DescribePodIdentityAssociationInput{ClusterName: &r.cluster, AssociationId: s.AssociationId})
		if err != nil {
			return inventory.Association{}, err
		}
		a := got.Association
		if a == nil {
			return inventory.Association{}, errEmpty
		}
		return inventory.Association{
			ID: aws.ToString(a.AssociationId), ARN: aws.ToString(a.AssociationArn), Namespace: aws.ToString(a.Namespace), ServiceAccount: aws.ToString(a.ServiceAccount),
			Role: aws.ToString(a.RoleArn), TargetRole: aws.ToString(a.TargetRoleArn), ExternalID: aws.ToString(a.ExternalId),
			NoSessionTags: aws.ToBool(a.DisableSessionTags), Policy: aws.ToString(a.Policy),
		}, nil
	})
}

func (r *clusterReader) entries(ctx context.Context) ([]inventory.AccessEntry, inventory.Lookup) {
	const what = "access entries"
	list, err := collect(ctx, eks.NewListAccessEntriesPaginator(r.client, &eks.ListAccessEntriesInput{ClusterName: &r.cluster}),
		func(page *eks.ListAccessEntriesOutput) []string { return page.AccessEntries })
	if err != nil {
		r.fail(what+" of cluster "+r.region+"/"+r.cluster, err)
		return nil, inventory.Unread
	}
	return part(r, what, list, func(principal string) (inventory.AccessEntry, error) { return r.entry(ctx, principal) })
}

func (r *clusterReader) entry(ctx context.Context, principal string) (inventory.AccessEntry, error) {
	got, err := r.client.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &r.cluster, PrincipalArn: &principal})
	if err != nil {
		return inventory.AccessEntry{}, err
	}
	if got.AccessEntry == nil {
		return inventory.AccessEntry{}, errEmpty
	}
	out := inventory.AccessEntry{
		Principal: principal, Type: aws.ToString(got.AccessEntry.Type), Username: aws.ToString(got.AccessEntry.Username), Groups: got.AccessEntry.KubernetesGroups,
	}
	policies, err := collect(ctx, eks.NewListAssociatedAccessPoliciesPaginator(r.client, &eks.ListAssociatedAccessPoliciesInput{ClusterName: &r.cluster, PrincipalArn: &principal}),
		func(page *eks.ListAssociatedAccessPoliciesOutput) []types.AssociatedAccessPolicy {
			return page.AssociatedAccessPolicies
		})
	for _, p := range policies {
		scoped := inventory.ScopedEKSPolicy{ARN: aws.ToString(p.PolicyArn)}
		if p.AccessScope != nil {
			scoped.Namespaces = p.AccessScope.Namespaces
		}
		out.Policies = append(out.Policies, scoped)
	}
	return out, err
}
