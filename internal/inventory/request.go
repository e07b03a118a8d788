package inventory

import "github.com/stile-aws/stile/arn"

// Request says what to look for. Fillers of an Inventory look for all of it,
// record what is absent as absent, and read along what decides about it:
// the managed policies attached to a role, the key of a secret.
type Request struct {
	Organization bool // also asks each account which organization it is in
	// Candidates are accounts that may be asked for the organization beside
	// those read: one of them may be its management account or a delegated
	// administrator. It asks for nothing by itself.
	Candidates []arn.AccountID
	Accounts   map[arn.AccountID]*AccountRequest
}

// AccountRequest is what to look for in one account.
type AccountRequest struct {
	Quotas     bool
	Roles      []string     // names
	Users      []string     // names
	Providers  []string     // URLs without "https://"
	Secrets    []string     // ARNs; ARNs that end in "-*" or "-??????" are found by name
	Keys       []string     // key ARNs, and alias ARNs, which tell the key behind them
	Resources  []string     // ARNs of queues, topics, tables, buckets, streams and parameters, for the key they are encrypted under
	Managed    []string     // managed policy ARNs, for boundaries that no role carries yet
	Clusters   []ClusterRef // EKS clusters
	Everything bool         // all of IAM, by GetAccountAuthorizationDetails
	// Regions asks, beside IAM, for everything that carries a policy or lets
	// somebody in: secrets, keys with grants, clusters, VPC endpoints and other
	// resources, in each of these Regions and, for global services, once.
	Regions []string
}

// ClusterRef names an EKS cluster of an account.
type ClusterRef struct{ Region, Name string }

// Empty reports whether r asks for nothing.
func (r *Request) Empty() bool {
	if r.Organization {
		return false
	}
	for _, a := range r.Accounts {
		if a.Quotas || a.Everything || len(a.Regions)+len(a.Roles)+len(a.Users)+len(a.Providers)+len(a.Secrets)+len(a.Keys)+len(a.Resources)+len(a.Managed)+len(a.Clusters) > 0 {
			return false
		}
	}
	return true
}

// Account returns the request for id, made on first use.
func (r *Request) Account(id arn.AccountID) *AccountRequest {
	if r.Accounts == nil {
		r.Accounts = map[arn.AccountID]*AccountRequest{}
	}
	if r.Accounts[id] == nil {
		r.Accounts[id] = &AccountRequest{}
	}
	return r.Accounts[id]
}
