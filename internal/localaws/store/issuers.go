package store

import (
	"crypto/rsa"
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/oidc"
)

// ClusterIssuer is the OIDC issuer of an EKS cluster.
type ClusterIssuer struct {
	Account arn.AccountID `json:"account"`
	Region  string        `json:"region"`
	Cluster string        `json:"cluster"`
	Issuer  *oidc.Issuer  `json:"issuer"`
}

// NewClusterIssuer makes the issuer of a cluster with a URL as EKS has it. A nil
// key makes a new one, which takes a tenth of a second: not under the lock. The
// World gets to know it by AddIssuer.
func (w *World) NewClusterIssuer(account arn.AccountID, region, cluster string, key *rsa.PrivateKey) (*ClusterIssuer, error) {
	url := "https://oidc.eks." + region + ".amazonaws.com/id/" + strings.ToUpper(w.ids.Hex(32))
	issuer, err := oidc.NewIssuer(url, oidc.IssuerConfig{Key: key})
	if err != nil {
		return nil, fmt.Errorf("making the issuer of cluster %s: %w", cluster, err)
	}
	return &ClusterIssuer{Account: account, Region: region, Cluster: cluster, Issuer: issuer}, nil
}

// AddIssuer makes the issuer known, so that its discovery document and keys
// are served and STS finds them. The caller holds the write lock.
func (w *World) AddIssuer(c *ClusterIssuer) { w.Issuers[c.Issuer.URL()] = c }

// RemoveIssuer forgets an issuer. The caller holds the write lock.
func (w *World) RemoveIssuer(url string) { delete(w.Issuers, url) }

// IssuerOf finds the issuer of a cluster by account and name, nil when there
// is none. Where several Regions have a cluster of that name, the first Region
// by name counts. The caller holds the lock.
func (w *World) IssuerOf(account arn.AccountID, cluster string) *ClusterIssuer {
	var first *ClusterIssuer
	for _, c := range w.Issuers {
		if c.Account == account && c.Cluster == cluster && (first == nil || c.Region < first.Region) {
			first = c
		}
	}
	return first
}

// IssuerAt finds the issuer whose discovery document or keys a URL names: host
// and path match, or the path alone where host is "". The caller holds the lock.
func (w *World) IssuerAt(host, path string) *ClusterIssuer {
	for url, c := range w.Issuers {
		issuerHost, issuerPath, _ := strings.Cut(strings.TrimPrefix(url, "https://"), "/")
		if (host == "" || host == issuerHost) && strings.HasPrefix(path, "/"+issuerPath+"/") {
			return c
		}
	}
	return nil
}
