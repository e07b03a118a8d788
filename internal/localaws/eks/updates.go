package eks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// maxUpdates is how many updates of a cluster are remembered.
const maxUpdates = 100

func registerUpdates(s *service.Service) {
	service.Register(s, "UpdateClusterConfig", service.Op[eks.UpdateClusterConfigInput, eks.UpdateClusterConfigOutput]{
		Access: func(c *service.Call, in *eks.UpdateClusterConfigInput) ([]gate.Access, *wire.Error) {
			a := onCluster(c, "UpdateClusterConfig", in.Name)
			a.Context = map[string][]string{}
			if in.AccessConfig != nil {
				a.Context["eks:authenticationMode"] = []string{string(in.AccessConfig.AuthenticationMode)}
			}
			if in.UpgradePolicy != nil {
				a.Context["eks:supportType"] = []string{string(in.UpgradePolicy.SupportType)}
			}
			networkKeys(a.Context, in.ResourcesVpcConfig)
			return []gate.Access{a}, nil
		},
		Handle: updateConfig,
	})
	service.Register(s, "UpdateClusterVersion", service.Op[eks.UpdateClusterVersionInput, eks.UpdateClusterVersionOutput]{
		Access: func(c *service.Call, in *eks.UpdateClusterVersionInput) ([]gate.Access, *wire.Error) {
			a := onCluster(c, "UpdateClusterVersion", in.Name)
			a.Context = map[string][]string{"eks:kubernetesVersion": {aws.ToString(in.Version)}}
			return []gate.Access{a}, nil
		},
		Handle: updateVersion,
	})
	service.Register(s, "DescribeUpdate", service.Op[eks.DescribeUpdateInput, eks.DescribeUpdateOutput]{
		ReadOnly: true, Handle: describeUpdate,
		Access: withCluster("DescribeUpdate", func(in *eks.DescribeUpdateInput) *string { return in.Name }),
	})
	service.Register(s, "ListUpdates", service.Op[eks.ListUpdatesInput, eks.ListUpdatesOutput]{
		ReadOnly: true, Handle: listUpdates,
		Access: withCluster("ListUpdates", func(in *eks.ListUpdatesInput) *string { return in.Name }),
	})
}

// change is one kind of update that a request may ask for.
type change struct {
	kind  types.UpdateType
	asked bool
	apply func() ([]store.EKSPair, *wire.Error)
}

func updateConfig(c *service.Call, in *eks.UpdateClusterConfigInput) (*eks.UpdateClusterConfigOutput, *wire.Error) {
	k, e := cluster(c, in.Name)
	if e != nil {
		return nil, e
	}
	if in.ComputeConfig != nil || in.StorageConfig != nil || in.KubernetesNetworkConfig != nil {
		return nil, c.Errorf("InvalidRequestException", "Cannot modify EKS Auto Mode configuration. Auto Mode is not enabled on this cluster.")
	}
	if in.RemoteNetworkConfig != nil || in.ControlPlaneScalingConfig != nil {
		return nil, invalid(c, "stile's local AWS does not implement remoteNetworkConfig and controlPlaneScalingConfig")
	}
	changes := slices.DeleteFunc(configChanges(c, k, in), func(one change) bool { return !one.asked })
	switch len(changes) {
	case 0:
		return nil, invalid(c, "The type for cluster update was not provided.")
	case 1:
	default:
		return nil, invalid(c, "Only one type of update can be allowed.")
	}
	params, e := changes[0].apply()
	if e != nil {
		return nil, e
	}
	return &eks.UpdateClusterConfigOutput{Update: record(c, k, changes[0].kind, params)}, nil
}

func configChanges(c *service.Call, k *store.EKSCluster, in *eks.UpdateClusterConfigInput) []change {
	v := in.ResourcesVpcConfig
	return []change{
		{types.UpdateTypeEndpointAccessUpdate, v != nil && (v.EndpointPublicAccess != nil || v.EndpointPrivateAccess != nil || v.PublicAccessCidrs != nil),
			func() ([]store.EKSPair, *wire.Error) { return updateEndpoint(c, k, v) }},
		{types.UpdateTypeVpcConfigUpdate, v != nil && (v.SubnetIds != nil || v.SecurityGroupIds != nil),
			func() ([]store.EKSPair, *wire.Error) { return updateNetwork(c, k, v) }},
		{types.UpdateTypeLoggingUpdate, in.Logging != nil,
			func() ([]store.EKSPair, *wire.Error) { return updateLogging(c, k, in.Logging) }},
		{types.UpdateTypeAccessConfigUpdate, in.AccessConfig != nil,
			func() ([]store.EKSPair, *wire.Error) { return updateMode(c, k, in.AccessConfig) }},
		{types.UpdateTypeUpgradePolicyUpdate, in.UpgradePolicy != nil,
			func() ([]store.EKSPair, *wire.Error) {
				k.Support = string(in.UpgradePolicy.SupportType)
				return pairs("UpgradePolicy", k.Support), nil
			}},
		{types.UpdateTypeZonalShiftConfigUpdate, in.ZonalShiftConfig != nil,
			func() ([]store.EKSPair, *wire.Error) {
				k.ZonalShift = aws.ToBool(in.ZonalShiftConfig.Enabled)
				return pairs("ZonalShiftConfig", strconv.FormatBool(k.ZonalShift)), nil
			}},
		{types.UpdateTypeDeletionProtectionUpdate, in.DeletionProtection != nil,
			func() ([]store.EKSPair, *wire.Error) {
				k.Protected = *in.DeletionProtection
				return pairs("DeletionProtection", strconv.FormatBool(k.Protected)), nil
			}},
	}
}

func pairs(keysAndValues ...string) []store.EKSPair {
	var out []store.EKSPair
	for i := 0; i < len(keysAndValues); i += 2 {
		out = append(out, store.EKSPair{Key: keysAndValues[i], Value: keysAndValues[i+1]})
	}
	return out
}

func updateEndpoint(c *service.Call, k *store.EKSCluster, v *types.VpcConfigRequest) ([]store.EKSPair, *wire.Error) {
	n := k.Network
	if e := setEndpoint(c, &n, v); e != nil {
		return nil, e
	}
	if n.Public == k.Network.Public && n.Private == k.Network.Private && slices.Equal(n.PublicCIDRs, k.Network.PublicCIDRs) {
		return nil, invalid(c, "Cluster is already at the desired configuration with endpointPrivateAccess: %t , endpointPublicAccess: %t, and Public Endpoint Restrictions: [%s]",
			n.Private, n.Public, strings.Join(n.PublicCIDRs, ", "))
	}
	k.Network = n
	return pairs("EndpointPublicAccess", strconv.FormatBool(n.Public), "EndpointPrivateAccess", strconv.FormatBool(n.Private),
		"PublicAccessCidrs", fmt.Sprintf("%q", list(n.PublicCIDRs))), nil
}

func updateNetwork(c *service.Call, k *store.EKSCluster, v *types.VpcConfigRequest) ([]store.EKSPair, *wire.Error) {
	var params []store.EKSPair
	if v.SubnetIds != nil {
		if e := checkSubnets(c, v.SubnetIds); e != nil {
			return nil, e
		}
		k.Network.Subnets = v.SubnetIds
		params = append(params, store.EKSPair{Key: "Subnets", Value: strings.Join(v.SubnetIds, ",")})
	}
	if v.SecurityGroupIds != nil {
		k.Network.SecurityGroups = v.SecurityGroupIds
		params = append(params, store.EKSPair{Key: "SecurityGroups", Value: strings.Join(v.SecurityGroupIds, ",")})
	}
	return params, nil
}

func updateLogging(c *service.Call, k *store.EKSCluster, asked *types.Logging) ([]store.EKSPair, *wire.Error) {
	enabled, changed := relog(k.Logging, asked)
	if !changed {
		return nil, invalid(c, "No changes needed for the logging config provided")
	}
	k.Logging = enabled
	return pairs("ClusterLogging", strings.Join(enabled, ",")), nil
}

// relog is the list of enabled log types after asked, and whether it differs.
func relog(enabled []string, asked *types.Logging) (after []string, changed bool) {
	after = slices.Clone(enabled)
	if asked == nil {
		return after, false
	}
	for _, setup := range asked.ClusterLogging {
		for _, kind := range setup.Types {
			after = slices.DeleteFunc(after, func(have string) bool { return have == string(kind) })
			if aws.ToBool(setup.Enabled) {
				after = append(after, string(kind))
			}
		}
	}
	slices.Sort(after)
	return after, !slices.Equal(after, slices.Sorted(slices.Values(enabled)))
}

// updateMode goes one way: CONFIG_MAP, API_AND_CONFIG_MAP, API (EKS user
// guide, "Change authentication mode to use access entries").
func updateMode(c *service.Call, k *store.EKSCluster, asked *types.UpdateAccessConfigRequest) ([]store.EKSPair, *wire.Error) {
	from, to := k.AuthMode, string(asked.AuthenticationMode)
	switch {
	case from == store.AuthConfigMap && to == store.AuthAPIAndConfigMap:
		k.AuthMode = to
		admitCreator(c, k)
	case from == store.AuthAPIAndConfigMap && to == store.AuthAPI:
		k.AuthMode = to
	default:
		return nil, invalid(c, "Unsupported authentication mode update from %s to %s", from, to)
	}
	return pairs("AuthenticationMode", to), nil
}

func updateVersion(c *service.Call, in *eks.UpdateClusterVersionInput) (*eks.UpdateClusterVersionOutput, *wire.Error) {
	k, e := cluster(c, in.Name)
	if e != nil {
		return nil, e
	}
	to := aws.ToString(in.Version)
	switch {
	case !versions.MatchString(to):
		return nil, invalid(c, "unsupported Kubernetes version")
	case to == k.Version:
		return nil, invalid(c, "Cluster is already at version %s", to)
	case minor(to) != minor(k.Version)+1:
		return nil, invalid(c, "Unsupported Kubernetes minor version update from %s to %s", k.Version, to)
	}
	k.Version = to
	update := record(c, k, types.UpdateTypeVersionUpdate, pairs("Version", to, "PlatformVersion", platformVersion))
	return &eks.UpdateClusterVersionOutput{Update: update}, nil
}

// minor is the second number of a version that matches versions.
func minor(version string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(version, "1."))
	if err != nil {
		return 0
	}
	return n
}

func record(c *service.Call, k *store.EKSCluster, kind types.UpdateType, params []store.EKSPair) *types.Update {
	update := store.EKSUpdate{ID: c.World.IDs().UUID(), Type: string(kind), Params: params, Created: c.Now}
	k.Updates = append(k.Updates, update)
	k.Updates = k.Updates[max(0, len(k.Updates)-maxUpdates):]
	return shownUpdate(&update)
}

func shownUpdate(u *store.EKSUpdate) *types.Update {
	out := &types.Update{
		Id: &u.ID, Type: types.UpdateType(u.Type), Status: types.UpdateStatusSuccessful, CreatedAt: aws.Time(u.Created),
		Params: []types.UpdateParam{}, Errors: []types.ErrorDetail{},
	}
	for _, p := range u.Params {
		out.Params = append(out.Params, types.UpdateParam{Type: types.UpdateParamType(p.Key), Value: aws.String(p.Value)})
	}
	return out
}

func describeUpdate(c *service.Call, in *eks.DescribeUpdateInput) (*eks.DescribeUpdateOutput, *wire.Error) {
	k, e := cluster(c, in.Name)
	if e != nil {
		return nil, e
	}
	i := slices.IndexFunc(k.Updates, func(u store.EKSUpdate) bool { return u.ID == aws.ToString(in.UpdateId) })
	if i < 0 || in.NodegroupName != nil || in.AddonName != nil || in.CapabilityName != nil {
		return nil, c.Errorf("ResourceNotFoundException", "No update found for ID: %s", aws.ToString(in.UpdateId))
	}
	return &eks.DescribeUpdateOutput{Update: shownUpdate(&k.Updates[i])}, nil
}

func listUpdates(c *service.Call, in *eks.ListUpdatesInput) (*eks.ListUpdatesOutput, *wire.Error) {
	k, e := cluster(c, in.Name)
	if e != nil {
		return nil, e
	}
	if in.NodegroupName != nil || in.AddonName != nil || in.CapabilityName != nil {
		return nil, c.Errorf("ResourceNotFoundException", "The cluster %s has no node groups, add-ons and capabilities", k.Name)
	}
	var ids []string
	for _, u := range k.Updates {
		ids = append(ids, u.ID)
	}
	shown, next, e := page(c, ids, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &eks.ListUpdatesOutput{UpdateIds: shown, NextToken: next}, nil
}
