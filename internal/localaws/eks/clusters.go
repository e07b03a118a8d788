package eks

import (
	"encoding/base64"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// platformVersion is that of a Kubernetes version's first release on EKS.
const platformVersion = "eks.1"

func registerClusters(s *service.Service) {
	service.Register(s, "CreateCluster", service.Op[eks.CreateClusterInput, eks.CreateClusterOutput]{
		Prepare: prepareCluster, Access: createAccess, Handle: createCluster,
	})
	service.Register(s, "DescribeCluster", service.Op[eks.DescribeClusterInput, eks.DescribeClusterOutput]{
		ReadOnly: true, Handle: describeCluster,
		Access: withCluster("DescribeCluster", func(in *eks.DescribeClusterInput) *string { return in.Name }),
	})
	service.Register(s, "ListClusters", service.Op[eks.ListClustersInput, eks.ListClustersOutput]{
		ReadOnly: true, Handle: listClusters,
		Access: func(c *service.Call, _ *eks.ListClustersInput) ([]gate.Access, *wire.Error) {
			// The Service Authorization Reference names no resource, but EKS asks
			// about all clusters: its denials read "eks:ListClusters on resource:
			// arn:aws:eks:us-east-1:123456789012:cluster/*".
			return []gate.Access{onCluster(c, "ListClusters", aws.String("*"))}, nil
		},
	})
	service.Register(s, "DeleteCluster", service.Op[eks.DeleteClusterInput, eks.DeleteClusterOutput]{
		Handle: deleteCluster,
		Access: withCluster("DeleteCluster", func(in *eks.DeleteClusterInput) *string { return in.Name }),
	})
}

func describeCluster(c *service.Call, in *eks.DescribeClusterInput) (*eks.DescribeClusterOutput, *wire.Error) {
	found, e := cluster(c, in.Name)
	if e != nil {
		return nil, e
	}
	return &eks.DescribeClusterOutput{Cluster: shown(found, types.ClusterStatusActive)}, nil
}

func listClusters(c *service.Call, in *eks.ListClustersInput) (*eks.ListClustersOutput, *wire.Error) {
	for _, include := range in.Include {
		if include != "all" {
			return nil, invalid(c, "The include parameter is invalid. Valid values are [all].")
		}
	}
	names := slices.Collect(maps.Keys(c.Own().EKS.In(c.Region).Clusters))
	clusters, next, e := page(c, names, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &eks.ListClustersOutput{Clusters: clusters, NextToken: next}, nil
}

func deleteCluster(c *service.Call, in *eks.DeleteClusterInput) (*eks.DeleteClusterOutput, *wire.Error) {
	found, e := cluster(c, in.Name)
	if e != nil {
		return nil, e
	}
	if found.Protected {
		return nil, c.Errorf("InvalidRequestException", "Cannot delete cluster %s because deletion protection is enabled.", found.Name)
	}
	c.World.RemoveCluster(found)
	return &eks.DeleteClusterOutput{Cluster: shown(found, types.ClusterStatusDeleting)}, nil
}

// shown is a cluster as DescribeCluster tells of it.
func shown(k *store.EKSCluster, status types.ClusterStatus) *types.Cluster {
	out := &types.Cluster{
		Name: &k.Name, Arn: aws.String(k.ARN().String()), CreatedAt: aws.Time(k.Created), Status: status,
		Version: &k.Version, PlatformVersion: aws.String(platformVersion), Endpoint: &k.Endpoint,
		CertificateAuthority: &types.Certificate{Data: aws.String(base64.StdEncoding.EncodeToString(k.Certificate))},
		Identity:             &types.Identity{Oidc: &types.OIDC{Issuer: &k.Issuer}},
		// bootstrapClusterCreatorAdminPermissions is not told again (containers-roadmap#185).
		AccessConfig:            &types.AccessConfigResponse{AuthenticationMode: types.AuthenticationMode(k.AuthMode)},
		UpgradePolicy:           &types.UpgradePolicyResponse{SupportType: types.SupportType(k.Support)},
		DeletionProtection:      &k.Protected,
		Health:                  &types.ClusterHealth{Issues: []types.ClusterIssue{}},
		Logging:                 &types.Logging{ClusterLogging: logging(k.Logging)},
		ResourcesVpcConfig:      network(&k.Network),
		KubernetesNetworkConfig: &types.KubernetesNetworkConfigResponse{IpFamily: types.IpFamily(k.Network.Family)},
		Tags:                    maps.Clone(k.Tags),
	}
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	if k.Role != "" {
		out.RoleArn = &k.Role
	}
	if k.Network.Family == string(types.IpFamilyIpv6) {
		out.KubernetesNetworkConfig.ServiceIpv6Cidr = &k.Network.ServiceCIDR
	} else {
		out.KubernetesNetworkConfig.ServiceIpv4Cidr = &k.Network.ServiceCIDR
	}
	if k.KeyARN != "" {
		out.EncryptionConfig = []types.EncryptionConfig{{Provider: &types.Provider{KeyArn: &k.KeyARN}, Resources: []string{"secrets"}}}
	}
	if k.ZonalShift {
		out.ZonalShiftConfig = &types.ZonalShiftConfigResponse{Enabled: aws.Bool(true)}
	}
	return out
}

func network(n *store.EKSNetwork) *types.VpcConfigResponse {
	return &types.VpcConfigResponse{
		SubnetIds: list(n.Subnets), SecurityGroupIds: list(n.SecurityGroups), VpcId: &n.VPC, ClusterSecurityGroupId: &n.SecurityGroup,
		EndpointPublicAccess: n.Public, EndpointPrivateAccess: n.Private, PublicAccessCidrs: list(n.PublicCIDRs),
	}
}

// list is a copy that is sent even when it is empty.
func list(of []string) []string { return append([]string{}, of...) }

// logging tells of every log type whether it is enabled, in one or two groups.
func logging(enabled []string) []types.LogSetup {
	var on, off []types.LogType
	for _, kind := range types.LogType("").Values() {
		if slices.Contains(enabled, string(kind)) {
			on = append(on, kind)
		} else {
			off = append(off, kind)
		}
	}
	var out []types.LogSetup
	if len(on) > 0 {
		out = append(out, types.LogSetup{Enabled: aws.Bool(true), Types: on})
	}
	if len(off) > 0 {
		out = append(out, types.LogSetup{Enabled: aws.Bool(false), Types: off})
	}
	return out
}
