package eks

import (
	"context"
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

const (
	// maxClusters is the quota "Clusters" of a Region (EKS user guide, "Service quotas").
	maxClusters = 100
	principal   = "eks.amazonaws.com"
)

// versions are the Kubernetes versions there are or will be soon.
var versions = regexp.MustCompile(`^1\.(2[5-9]|3[0-9])$`)

// prepared is what a new cluster has that takes time to make.
type prepared struct {
	cluster *store.EKSCluster
	issuer  *store.ClusterIssuer
}

func prepareCluster(_ context.Context, c *service.Call, in *eks.CreateClusterInput) *wire.Error {
	cluster, issuer, err := c.World.NewCluster(c.Account, c.Region, aws.ToString(in.Name))
	if err != nil {
		return c.Errorf("ServerException", "%v", err)
	}
	c.Prepared = &prepared{cluster, issuer}
	return nil
}

// createAccess asks for the cluster, for its tags, and for passing the role.
func createAccess(c *service.Call, in *eks.CreateClusterInput) ([]gate.Access, *wire.Error) {
	create := onCluster(c, "CreateCluster", in.Name)
	create.ResourceTags, create.RequestTags, create.Context = nil, in.Tags, createKeys(in)
	all := []gate.Access{create}
	if len(in.Tags) > 0 {
		all = append(all, gate.Access{Action: "eks:TagResource", Resource: create.Resource, RequestTags: in.Tags})
	}
	pass := gate.Access{
		Action: "iam:PassRole", Resource: aws.ToString(in.RoleArn),
		Context: map[string][]string{"iam:PassedToService": {principal}, "iam:AssociatedResourceArn": {create.Resource}},
	}
	if role := ownRole(c, in.RoleArn); role != nil {
		pass.ResourceTags = role.Tags
	}
	return append(all, pass), nil
}

// createKeys are the condition keys of eks:CreateCluster (Service
// Authorization Reference) that what this package has gives a value.
func createKeys(in *eks.CreateClusterInput) map[string][]string {
	keys := map[string][]string{}
	if in.Version != nil {
		keys["eks:kubernetesVersion"] = []string{*in.Version}
	}
	if a := in.AccessConfig; a != nil {
		if a.AuthenticationMode != "" {
			keys["eks:authenticationMode"] = []string{string(a.AuthenticationMode)}
		}
		setBool(keys, "eks:bootstrapClusterCreatorAdminPermissions", a.BootstrapClusterCreatorAdminPermissions)
	}
	if in.UpgradePolicy != nil {
		keys["eks:supportType"] = []string{string(in.UpgradePolicy.SupportType)}
	}
	if len(in.EncryptionConfig) > 0 && in.EncryptionConfig[0].Provider != nil {
		keys["eks:encryptionConfigProviderKeyArns"] = []string{aws.ToString(in.EncryptionConfig[0].Provider.KeyArn)}
	}
	networkKeys(keys, in.ResourcesVpcConfig)
	return keys
}

func networkKeys(keys map[string][]string, v *types.VpcConfigRequest) {
	if v == nil {
		return
	}
	setBool(keys, "eks:endpointPublicAccess", v.EndpointPublicAccess)
	setBool(keys, "eks:endpointPrivateAccess", v.EndpointPrivateAccess)
	for key, values := range map[string][]string{
		"eks:publicAccessCidrs": v.PublicAccessCidrs, "eks:subnetIds": v.SubnetIds, "eks:securityGroupIds": v.SecurityGroupIds,
	} {
		if len(values) > 0 {
			keys[key] = values
		}
	}
}

func setBool(keys map[string][]string, key string, value *bool) {
	if value != nil {
		keys[key] = []string{strconv.FormatBool(*value)}
	}
}

func createCluster(c *service.Call, in *eks.CreateClusterInput) (*eks.CreateClusterOutput, *wire.Error) {
	if old := find(c, in.Name); old != nil {
		if old.Token != "" && old.Token == aws.ToString(in.ClientRequestToken) {
			return &eks.CreateClusterOutput{Cluster: shown(old, types.ClusterStatusActive)}, nil
		}
		return nil, c.Errorf("ResourceInUseException", "Cluster already exists with name: %s", old.Name)
	}
	if len(c.Own().EKS.In(c.Region).Clusters) >= maxClusters {
		return nil, c.Errorf("ResourceLimitExceededException", "Cluster limit exceeded for account, limit: %d", maxClusters)
	}
	made := c.Prepared.(*prepared)
	k := made.cluster
	for _, step := range []func(*service.Call, *store.EKSCluster, *eks.CreateClusterInput) *wire.Error{
		supported, setVersion, setNetwork, setAccess, setOptions, setRole,
	} {
		if e := step(c, k, in); e != nil {
			return nil, e
		}
	}
	k.Created = c.Now
	k.Token = aws.ToString(in.ClientRequestToken)
	if k.AuthMode != store.AuthConfigMap {
		admitCreator(c, k)
	}
	c.World.AddCluster(k, made.issuer)
	// EKS answers CREATING and gets there within ten minutes; here it is done.
	return &eks.CreateClusterOutput{Cluster: shown(k, types.ClusterStatusActive)}, nil
}

// supported refuses the features that this package does not have.
func supported(c *service.Call, _ *store.EKSCluster, in *eks.CreateClusterInput) *wire.Error {
	refused := ""
	switch {
	case in.ComputeConfig != nil && aws.ToBool(in.ComputeConfig.Enabled),
		in.StorageConfig != nil && in.StorageConfig.BlockStorage != nil && aws.ToBool(in.StorageConfig.BlockStorage.Enabled),
		in.KubernetesNetworkConfig != nil && in.KubernetesNetworkConfig.ElasticLoadBalancing != nil &&
			aws.ToBool(in.KubernetesNetworkConfig.ElasticLoadBalancing.Enabled):
		refused = "EKS Auto Mode"
	case in.OutpostConfig != nil:
		refused = "outpostConfig"
	case in.RemoteNetworkConfig != nil:
		refused = "remoteNetworkConfig"
	case in.ControlPlaneScalingConfig != nil:
		refused = "controlPlaneScalingConfig"
	default:
		return nil
	}
	return invalid(c, "stile's local AWS does not implement %s", refused)
}

func setVersion(c *service.Call, k *store.EKSCluster, in *eks.CreateClusterInput) *wire.Error {
	if in.Version == nil {
		return nil
	}
	if !versions.MatchString(*in.Version) {
		return invalid(c, "unsupported Kubernetes version")
	}
	k.Version = *in.Version
	return nil
}

func setNetwork(c *service.Call, k *store.EKSCluster, in *eks.CreateClusterInput) *wire.Error {
	v, n := in.ResourcesVpcConfig, &k.Network
	if e := checkSubnets(c, v.SubnetIds); e != nil {
		return e
	}
	n.Subnets, n.SecurityGroups = v.SubnetIds, v.SecurityGroupIds
	if e := setEndpoint(c, n, v); e != nil {
		return e
	}
	config := in.KubernetesNetworkConfig
	if config == nil {
		return nil
	}
	if config.IpFamily == types.IpFamilyIpv6 {
		if config.ServiceIpv4Cidr != nil {
			return invalid(c, "You can't specify a service CIDR block when the IP family is ipv6.")
		}
		n.Family, n.ServiceCIDR = string(types.IpFamilyIpv6), "fd12:3456:789a::/108"
		return nil
	}
	if config.ServiceIpv4Cidr != nil {
		if !serviceCIDR(*config.ServiceIpv4Cidr) {
			return invalid(c, "The specified service CIDR block is invalid: %s", *config.ServiceIpv4Cidr)
		}
		n.ServiceCIDR = *config.ServiceIpv4Cidr
	}
	return nil
}

// checkSubnets knows that two zones take two subnets; there is no EC2 to ask
// for the zones.
func checkSubnets(c *service.Call, subnets []string) *wire.Error {
	distinct := slices.Compact(slices.Sorted(slices.Values(subnets)))
	if len(distinct) < 2 {
		return invalid(c, "Subnets specified must be in at least two different AZs")
	}
	return nil
}

func setEndpoint(c *service.Call, n *store.EKSNetwork, v *types.VpcConfigRequest) *wire.Error {
	public, private := n.Public, n.Private
	if v.EndpointPublicAccess != nil {
		public = *v.EndpointPublicAccess
	}
	if v.EndpointPrivateAccess != nil {
		private = *v.EndpointPrivateAccess
	}
	if !public && !private {
		return invalid(c, "Private and public endpoint access cannot be false")
	}
	for _, cidr := range v.PublicAccessCidrs {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			return invalid(c, "The following CIDRs are invalid in publicAccessCidrs: [%s]", cidr)
		}
	}
	n.Public, n.Private = public, private
	switch {
	case !public:
		n.PublicCIDRs = nil
	case len(v.PublicAccessCidrs) > 0:
		n.PublicCIDRs = v.PublicAccessCidrs
	case len(n.PublicCIDRs) == 0:
		n.PublicCIDRs = []string{"0.0.0.0/0"}
	}
	return nil
}

// serviceCIDR is the rule of the API reference: within a private block,
// between /24 and /12.
func serviceCIDR(text string) bool {
	p, err := netip.ParsePrefix(text)
	return err == nil && p.Addr().Is4() && p.Addr().IsPrivate() && p.Bits() >= 12 && p.Bits() <= 24 && p == p.Masked()
}

// setAccess: "If you create a cluster by using the EKS API … the default is
// CONFIG_MAP", and the creator is an administrator (API reference, CreateAccessConfigRequest).
func setAccess(c *service.Call, k *store.EKSCluster, in *eks.CreateClusterInput) *wire.Error {
	k.AuthMode = store.AuthConfigMap
	bootstrap := true
	if a := in.AccessConfig; a != nil {
		if a.AuthenticationMode != "" {
			k.AuthMode = string(a.AuthenticationMode)
		}
		bootstrap = a.BootstrapClusterCreatorAdminPermissions == nil || *a.BootstrapClusterCreatorAdminPermissions
	}
	if !bootstrap && k.AuthMode == store.AuthConfigMap {
		return invalid(c, "bootstrapClusterCreatorAdminPermissions must be true if cluster authentication mode is set to CONFIG_MAP")
	}
	if bootstrap {
		k.Creator = creator(&c.Caller)
	}
	return nil
}

// creator is the role or user behind the caller, "" for the root user.
func creator(caller *gate.Caller) string {
	switch caller.Principal.Kind {
	case authz.RoleSession:
		return caller.Principal.Entity.String()
	case authz.User:
		return caller.Principal.ARN.String()
	}
	return ""
}

func setOptions(c *service.Call, k *store.EKSCluster, in *eks.CreateClusterInput) *wire.Error {
	if in.UpgradePolicy != nil && in.UpgradePolicy.SupportType != "" {
		k.Support = string(in.UpgradePolicy.SupportType)
	}
	k.Protected = aws.ToBool(in.DeletionProtection)
	k.ZonalShift = in.ZonalShiftConfig != nil && aws.ToBool(in.ZonalShiftConfig.Enabled)
	k.Logging, _ = relog(nil, in.Logging)
	for _, config := range in.EncryptionConfig {
		if config.Provider == nil {
			return invalid(c, "The encryption config must have a provider.")
		}
		k.KeyARN = aws.ToString(config.Provider.KeyArn)
	}
	tags, e := merged(c, nil, in.Tags, "InvalidParameterException")
	k.Tags = tags
	return e
}

// setRole checks that EKS can assume the role.
func setRole(c *service.Call, k *store.EKSCluster, in *eks.CreateClusterInput) *wire.Error {
	ref, err := arn.Parse(aws.ToString(in.RoleArn))
	if err != nil || ref.Service != "iam" || ref.Type() != "role" {
		return invalid(c, "The specified role %s is not a valid role ARN", aws.ToString(in.RoleArn))
	}
	if ref.Account != c.Account {
		return c.Errorf("AccessDeniedException", "Cross-account pass role is not allowed.")
	}
	refused := invalid(c, "Role with arn: %s, could not be assumed because it does not exist or the trusted entity is not correct", ref)
	role := ownRole(c, in.RoleArn)
	if role == nil {
		return refused
	}
	trust, e := c.Policy(role.Trust, authz.Source{Layer: authz.LayerTrust, Account: c.Account, Name: "role/" + role.Name + " trust policy"})
	if e != nil {
		return e
	}
	itself := gate.Caller{Principal: authz.Principal{Kind: authz.Service, ServiceName: principal}}
	verdict := c.Check(itself, gate.Access{
		Action: "sts:AssumeRole", Resource: ref.String(), Account: c.Account, Policy: trust, ResourceTags: role.Tags,
		Context: map[string][]string{"aws:SourceAccount": {string(c.Account)}, "aws:SourceArn": {k.ARN().String()}},
	})
	if !verdict.Allowed {
		c.Blame(verdict)
		return refused
	}
	k.Role = ref.String()
	return nil
}

// ownRole is the role of the caller's account with an ARN as EKS sees it, nil
// when it sees none.
func ownRole(c *service.Call, ref *string) *store.Role {
	a, err := arn.Parse(aws.ToString(ref))
	if err != nil || a.Account != c.Account {
		return nil
	}
	return c.World.RoleByARN(a)
}
