// Package eks is the Elastic Kubernetes Service of the local AWS: clusters
// that are ACTIVE at once, their OIDC issuers, access entries, Pod Identity
// associations and tags.
//
// Start with [New], which gives the service its operations. A cluster is a
// record with an issuer of its own; package localaws serves the issuer's
// discovery document and keys, STS accepts its tokens. Nothing listens at a
// cluster's endpoint: access entries are kept and checked as EKS does, for
// whoever plays the API server; associations for whoever plays EKS Auth.
//
// There is no EC2: subnets and security groups are taken as they are told.
// There are no node groups, Fargate profiles, add-ons, Auto Mode, hybrid nodes
// or Outposts: CreateCluster refuses what would need them.
package eks

import (
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// New returns the EKS service.
func New() *service.Service {
	s := service.New("eks")
	registerClusters(s)
	registerUpdates(s)
	registerTags(s)
	registerEntries(s)
	registerAccessPolicies(s)
	registerAssociations(s)
	return s
}

// find returns a cluster of the caller's account in the Region of the call, nil
// when there is none.
func find(c *service.Call, name *string) *store.EKSCluster {
	return c.Own().EKS.In(c.Region).Clusters[aws.ToString(name)]
}

// cluster is find with EKS's error.
func cluster(c *service.Call, name *string) (*store.EKSCluster, *wire.Error) {
	if found := find(c, name); found != nil {
		return found, nil
	}
	return nil, c.Errorf("ResourceNotFoundException", "No cluster found for name: %s.", aws.ToString(name))
}

// onCluster is the access to a cluster, whether it exists or not.
func onCluster(c *service.Call, action string, name *string) gate.Access {
	a := gate.Access{Action: "eks:" + action, Resource: store.ClusterARN(c.Account, c.Region, aws.ToString(name)).String()}
	if found := find(c, name); found != nil {
		a.ResourceTags = found.Tags
	}
	return a
}

// withCluster is the Access of operations that need no more than the action of
// their name on the cluster.
func withCluster[I any](action string, name func(*I) *string) func(*service.Call, *I) ([]gate.Access, *wire.Error) {
	return func(c *service.Call, in *I) ([]gate.Access, *wire.Error) {
		return []gate.Access{onCluster(c, action, name(in))}, nil
	}
}

// withoutResource is the Access of actions that have no resource type in the
// Service Authorization Reference.
func withoutResource[I any](action string) func(*service.Call, *I) ([]gate.Access, *wire.Error) {
	return func(*service.Call, *I) ([]gate.Access, *wire.Error) {
		return []gate.Access{{Action: "eks:" + action, Resource: "*"}}, nil
	}
}

func invalid(c *service.Call, format string, args ...any) *wire.Error {
	return c.Errorf("InvalidParameterException", format, args...)
}
