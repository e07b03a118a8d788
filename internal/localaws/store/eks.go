package store

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
)

// The authentication modes of clusters.
const (
	AuthConfigMap       = "CONFIG_MAP"
	AuthAPI             = "API"
	AuthAPIAndConfigMap = "API_AND_CONFIG_MAP"
)

// clusterVersion is the Kubernetes version of clusters that ask for none.
const clusterVersion = "1.34"

// certificateYears is how long a cluster's certificate authority lasts, as EKS's do.
const certificateYears = 10

// EKS has the clusters of one account in one Region.
type EKS struct {
	Clusters map[string]*EKSCluster `json:"clusters,omitempty"` // by name
}

// EKSCluster is an EKS cluster. Make one with [World.NewCluster].
type EKSCluster struct {
	Account arn.AccountID `json:"account"`
	Region  string        `json:"region"`
	Name    string        `json:"name"`
	Created time.Time     `json:"created"`
	// Role is the ARN of the role EKS itself works with; "" for clusters that
	// were there from the start.
	Role    string `json:"role,omitempty"`
	Version string `json:"version"` // "1.34"
	// Endpoint is the URL of the API server, of the form EKS has. Nothing listens there.
	Endpoint string `json:"endpoint"`
	// Certificate is the PEM of the cluster's certificate authority.
	Certificate []byte `json:"certificate"`
	// Issuer is the URL of the cluster's OIDC issuer, a key of State.Issuers.
	Issuer   string     `json:"issuer"`
	AuthMode string     `json:"authMode"`
	Network  EKSNetwork `json:"network"`
	Logging  []string   `json:"logging,omitempty"` // enabled log types
	// Support is the upgrade policy: "STANDARD" or "EXTENDED".
	Support    string `json:"support"`
	KeyARN     string `json:"keyArn,omitempty"` // of the key that encrypts secrets
	Protected  bool   `json:"protected,omitempty"`
	ZonalShift bool   `json:"zonalShift,omitempty"`
	Tags       Tags   `json:"tags,omitempty"`
	// Creator is the ARN of the role or user that gets an access entry once the
	// cluster has access entries; "" when there is none to get.
	Creator string `json:"creator,omitempty"`
	// Token is the client request token of the creation.
	Token   string                     `json:"token,omitempty"`
	Updates []EKSUpdate                `json:"updates,omitempty"` // oldest first
	Entries map[string]*EKSAccessEntry `json:"entries,omitempty"` // by principal ARN
	// Associations are the Pod Identity associations, by id.
	Associations map[string]*EKSAssociation `json:"associations,omitempty"`
}

// EKSNetwork is what a cluster was told of its network. There is no EC2 to
// check it against; VPC and SecurityGroup are made up when it is created.
type EKSNetwork struct {
	Subnets        []string `json:"subnets,omitempty"`
	SecurityGroups []string `json:"securityGroups,omitempty"`
	VPC            string   `json:"vpc"`
	SecurityGroup  string   `json:"securityGroup"` // the cluster's own
	Public         bool     `json:"public"`
	Private        bool     `json:"private,omitempty"`
	PublicCIDRs    []string `json:"publicCidrs,omitempty"`
	Family         string   `json:"family"`      // "ipv4" or "ipv6"
	ServiceCIDR    string   `json:"serviceCidr"` // of Family
}

// EKSUpdate is a change of a cluster; all are successful at once.
type EKSUpdate struct {
	ID      string    `json:"id"`
	Type    string    `json:"type"`
	Params  []EKSPair `json:"params,omitempty"`
	Created time.Time `json:"created"`
}

// EKSPair is a parameter of an update.
type EKSPair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// EKSAccessEntry lets an IAM principal use a cluster.
type EKSAccessEntry struct {
	ID        string `json:"id"`        // last part of the ARN
	Principal string `json:"principal"` // ARN of a role or user, path included
	// PrincipalID is the unique id of the principal. EKS tells callers by it, so
	// that the entry does not fit a re-created role (EKS user guide, "Create access entries").
	PrincipalID string    `json:"principalId"`
	Type        string    `json:"type"`
	Username    string    `json:"username"`
	Groups      []string  `json:"groups,omitempty"`
	Tags        Tags      `json:"tags,omitempty"`
	Created     time.Time `json:"created"`
	Modified    time.Time `json:"modified"`
	// Policies are the access policies associated, by ARN.
	Policies map[string]*EKSAccessPolicy `json:"policies,omitempty"`
}

// EKSAssociation is a Pod Identity association: what a service account's pods
// may be.
type EKSAssociation struct {
	ID             string `json:"id"` // "a-…"
	Namespace      string `json:"namespace"`
	ServiceAccount string `json:"serviceAccount"`
	Role           string `json:"role"`                 // ARN, of the cluster's account
	TargetRole     string `json:"targetRole,omitempty"` // ARN, assumed from Role; of any account
	// ExternalID is what assuming TargetRole tells, "" without one.
	ExternalID    string    `json:"externalId,omitempty"`
	NoSessionTags bool      `json:"noSessionTags,omitempty"`
	Policy        string    `json:"policy,omitempty"` // inline session policy
	Tags          Tags      `json:"tags,omitempty"`
	Token         string    `json:"token,omitempty"` // client request token of the creation
	Created       time.Time `json:"created"`
	Modified      time.Time `json:"modified"`
}

// EKSAccessPolicy is an access policy associated with an entry.
type EKSAccessPolicy struct {
	Scope      string    `json:"scope"` // "cluster" or "namespace"
	Namespaces []string  `json:"namespaces,omitempty"`
	Associated time.Time `json:"associated"`
	Modified   time.Time `json:"modified"`
}

// NewCluster makes a cluster with EKS's defaults and its issuer, which takes a
// tenth of a second: not under the lock. The World gets to know both by AddCluster.
func (w *World) NewCluster(account arn.AccountID, region, name string) (*EKSCluster, *ClusterIssuer, error) {
	issuer, err := w.NewClusterIssuer(account, region, name, nil)
	if err != nil {
		return nil, nil, err
	}
	url := issuer.Issuer.URL()
	id := url[strings.LastIndexByte(url, '/')+1:]
	now := w.Now()
	certificate, err := newAuthority(now)
	if err != nil {
		return nil, nil, fmt.Errorf("making the certificate authority of cluster %s: %w", name, err)
	}
	return &EKSCluster{
		Account: account, Region: region, Name: name, Created: now, Version: clusterVersion,
		Endpoint:    "https://" + id + ".gr7." + region + ".eks.amazonaws.com",
		Certificate: certificate, Issuer: url, AuthMode: AuthAPIAndConfigMap, Support: "EXTENDED",
		Network: EKSNetwork{
			VPC: "vpc-" + w.ids.Hex(17), SecurityGroup: "sg-" + w.ids.Hex(17), Public: true,
			PublicCIDRs: []string{"0.0.0.0/0"}, Family: "ipv4", ServiceCIDR: "10.100.0.0/16",
		},
	}, issuer, nil
}

// AddCluster makes a cluster and its issuer known. The caller holds the write lock.
func (w *World) AddCluster(c *EKSCluster, issuer *ClusterIssuer) {
	records := w.Accounts[c.Account].EKS.Make(c.Region)
	if records.Clusters == nil {
		records.Clusters = map[string]*EKSCluster{}
	}
	records.Clusters[c.Name] = c
	w.AddIssuer(issuer)
}

// RemoveCluster forgets a cluster and its issuer: its tokens are worthless from
// then on. The caller holds the write lock.
func (w *World) RemoveCluster(c *EKSCluster) {
	delete(w.Accounts[c.Account].EKS.Make(c.Region).Clusters, c.Name)
	w.RemoveIssuer(c.Issuer)
}

// ClusterARN is the ARN of a cluster, whether it exists or not.
func ClusterARN(account arn.AccountID, region, name string) arn.ARN {
	return arn.ARN{
		Partition: Partition, Service: "eks", Region: region, Account: account, Owner: string(account),
		Resource: "cluster/" + name,
	}
}

// ARN is the cluster's ARN.
func (c *EKSCluster) ARN() arn.ARN { return ClusterARN(c.Account, c.Region, c.Name) }

// EntryARN is the ARN of one of the cluster's access entries:
// access-entry/CLUSTER/role/ACCOUNT/NAME/ID, without the principal's path.
func (c *EKSCluster) EntryARN(e *EKSAccessEntry) arn.ARN {
	a := c.ARN()
	a.Resource = "access-entry/" + c.Name + "/"
	if p, err := arn.Parse(e.Principal); err == nil {
		a.Resource += p.Type() + "/" + string(p.Account) + "/" + p.Name() + "/"
	}
	a.Resource += e.ID
	return a
}

// AssociationARN is the ARN of one of the cluster's Pod Identity associations.
func (c *EKSCluster) AssociationARN(id string) arn.ARN {
	a := c.ARN()
	a.Resource = "podidentityassociation/" + c.Name + "/" + id
	return a
}

// newAuthority makes a certificate as API servers present it. Its key is
// thrown away, for no API server is behind it.
func newAuthority(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0), Subject: pkix.Name{CommonName: "kubernetes"},
		NotBefore: now.Add(-5 * time.Minute), NotAfter: now.AddDate(certificateYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, DNSNames: []string{"kubernetes"},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
