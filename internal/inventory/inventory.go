// Package inventory is what exists: accounts, principals, policies and
// resources as a snapshot value that can be saved, loaded and compared.
//
// An Inventory is filled by internal/observe (live), by tests, or from files,
// and read by compile, plan, verify and reach. It tells "looked for and not
// there" from "not looked for" and from "could not be read": see [Lookup].
// Documents are kept as text, as AWS returned them (URL-decoded).
package inventory

import (
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
)

// Lookup is what is known about one thing.
type Lookup uint8

// The states of a lookup. The zero Lookup is NotAsked.
const (
	NotAsked Lookup = iota // nobody looked
	Exists
	Absent // looked for, not there
	Unread // looked for, could not be read: see Account.Problems
)

// Inventory is a snapshot. The zero Inventory is empty and usable.
type Inventory struct {
	Organization *Organization              `json:"organization,omitempty"` // nil: none, or not read (see OrgState)
	OrgState     Lookup                     `json:"organizationState"`      // Absent: no account that was asked is in one
	Accounts     map[arn.AccountID]*Account `json:"accounts"`
}

// Organization is the tree of accounts with its policies.
type Organization struct {
	ID                string                `json:"id"`
	ManagementAccount arn.AccountID         `json:"managementAccount"`
	Root              *Node                 `json:"root"`
	Policies          map[string]*OrgPolicy `json:"policies"` // SCPs by policy id
	// RCPs are the resource control policies by policy id. RCPState is Exists
	// when they were listed, whether or not there are any; Absent when the
	// policy type is not enabled.
	RCPs     map[string]*OrgPolicy `json:"rcps,omitempty"`
	RCPState Lookup                `json:"rcpState,omitempty"`
	RCPWhy   string                `json:"rcpWhy,omitempty"` // for Unread
}

// Node is the root, an OU or an account of the organization.
type Node struct {
	ID       string   `json:"id"` // "r-…", "ou-…" or an account id
	Name     string   `json:"name"`
	SCPs     []string `json:"scps"`           // policy ids attached here
	RCPs     []string `json:"rcps,omitempty"` // policy ids attached here
	Children []*Node  `json:"children,omitempty"`
	// State is an account's: "ACTIVE", "SUSPENDED", "PENDING_CLOSURE", as
	// Organizations names them; "" for the root and OUs, and where it was not read.
	State string `json:"state,omitempty"`
}

// OrgPolicy is a service control policy or a resource control policy.
type OrgPolicy struct {
	ID       string `json:"id"`
	ARN      string `json:"arn"`
	Name     string `json:"name"`
	Document string `json:"document"`
}

// Path returns the nodes from the root down to account id, nil when the
// account is not in the organization. It searches the tree; who asks about many
// accounts makes a [Tree].
func (o *Organization) Path(id arn.AccountID) []*Node {
	if o == nil || o.Root == nil {
		return nil
	}
	return o.Root.down(string(id), 0)
}

// down is the path from n, which stands at that depth, to the node of that id.
// It is made once the node is found.
func (n *Node) down(id string, depth int) []*Node {
	if n.ID == id {
		path := make([]*Node, depth+1)
		path[depth] = n
		return path
	}
	for _, c := range n.Children {
		if path := c.down(id, depth+1); path != nil {
			path[depth] = n
			return path
		}
	}
	return nil
}

// Account is what was read of one account. A key present in a map with a nil
// value was looked for and is absent.
type Account struct {
	ID       arn.AccountID `json:"id"`
	Name     string        `json:"name,omitempty"` // as Organizations has it; "" when not read
	Problems []Problem     `json:"problems,omitempty"`
	// Complete is set when everything of IAM was listed: then a role that is
	// not in Roles is absent, not NotAsked.
	Complete  bool                     `json:"complete,omitempty"`
	Member    Membership               `json:"membership,omitzero"`
	Quotas    Quotas                   `json:"quotas"`
	Roles     map[string]*Role         `json:"roles,omitempty"` // by lower-case name
	Users     map[string]*User         `json:"users,omitempty"` // by lower-case name
	Managed   map[string]*Managed      `json:"managed,omitempty"`
	Providers map[string]*OIDCProvider `json:"providers,omitempty"` // by URL without "https://"
	Secrets   map[string]*Secret       `json:"secrets,omitempty"`   // by the identifier it was asked by: ARN or name pattern
	Keys      map[string]*Key          `json:"keys,omitempty"`      // by key ARN; by an alias ARN that was asked for, without policy
	Clusters  map[string]*Cluster      `json:"clusters,omitempty"`  // by "region/name"
	SAML      map[string]*SAMLProvider `json:"saml,omitempty"`      // by ARN
	// Resources are the other resources that can carry a policy, by ARN:
	// buckets, queues, topics, functions, tables, repositories, …
	Resources map[string]*Resource `json:"resources,omitempty"`
	Endpoints map[string]*Endpoint `json:"endpoints,omitempty"` // VPC endpoints by ARN
	// Listed says for which kinds of things every one was listed, so that one
	// that is not in its map is absent: see [Account.Kind]. Absent says that the
	// Region is not enabled in the account, a NotAsked that is in the map that
	// the endpoint does not serve the kind, as the local AWS.
	Listed map[string]Lookup `json:"listed,omitempty"`
}

// Kinds of things that Account.Listed knows. Regional ones are listed Region by
// Region: the key is "REGION kind", see [ListKey].
const (
	KindSAML      = "saml"      // SAML providers; IAM's principals and policies have Account.Complete
	KindProviders = "providers" // OIDC providers
	KindSecrets   = "secrets"   // with their policies
	KindKeys      = "keys"      // with policies and grants
	KindClusters  = "clusters"  // with Pod Identity associations and access entries
	KindEndpoints = "endpoints" // VPC endpoints
	// Other resources go by their type, "s3:bucket", as Resource.Type has it.
)

// ListKey is the key of Account.Listed for a kind in a Region; region is "" for
// global things and buckets.
func ListKey(kind, region string) string {
	if region == "" {
		return kind
	}
	return region + " " + kind
}

// Resource is a resource that can carry a policy of its own and has no type of
// its own here.
type Resource struct {
	ARN  string `json:"arn"`
	Type string `json:"type"` // service and type as the catalog names them: "s3:bucket"
	// Policy is "" when the resource has none; PolicyState tells that from a
	// policy that could not be read (Unread, with the reason in PolicyWhy).
	Policy      string            `json:"policy,omitempty"`
	PolicyState Lookup            `json:"policyState"`
	PolicyWhy   string            `json:"policyWhy,omitempty"`
	KMSKey      string            `json:"kmsKey,omitempty"` // ARN, id or alias as the service gives it; "" means AWS's own key or none
	Tags        map[string]string `json:"tags,omitzero"`    // nil: not read; empty: has none
}

// SAMLProvider is an IAM SAML identity provider.
type SAMLProvider struct {
	ARN  string            `json:"arn"`
	Name string            `json:"name"`
	Tags map[string]string `json:"tags,omitempty"`
}

// Endpoint is a VPC endpoint.
type Endpoint struct {
	ARN     string `json:"arn"`
	ID      string `json:"id"` // vpce-…
	VPC     string `json:"vpc"`
	Service string `json:"service"` // "com.amazonaws.us-east-1.secretsmanager"
	Policy  string `json:"policy,omitempty"`
}

// Membership is what an account itself says about the organization it is in.
// The zero Membership is that of an account nobody asked.
type Membership struct {
	State        Lookup        `json:"state"`                  // Exists: in Organization; Absent: in none
	Organization string        `json:"organization,omitempty"` // id
	Management   arn.AccountID `json:"management,omitempty"`   // that organization's management account
	Why          string        `json:"why,omitempty"`          // for Unread
}

// What Problem.What says when more than one thing could not be read.
const (
	AllOfIt  = "account"                  // nothing of the account
	AllOfIAM = "IAM of the whole account" // Everything was asked for
)

// Failed reports whether what, or the account altogether, could not be read.
func (a *Account) Failed(what string) bool {
	if a == nil {
		return false
	}
	for _, p := range a.Problems {
		if p.What == what || p.What == AllOfIt {
			return true
		}
	}
	return false
}

// Problem is something of an account that could not be read.
type Problem struct {
	What string `json:"what"` // "role payroll-api", "account", "organization"
	Why  string `json:"why"`  // the error's text; never a secret
}

// Quotas are the account's own limits, as GetAccountSummary tells them; zero
// fields were not read and mean AWS's defaults.
type Quotas struct {
	Read              bool `json:"read,omitempty"` // that they were asked for and answered
	TrustPolicySize   int  `json:"trustPolicySize,omitempty"`
	RolePolicySize    int  `json:"rolePolicySize,omitempty"`
	UserPolicySize    int  `json:"userPolicySize,omitempty"`
	PolicySize        int  `json:"policySize,omitempty"`
	AttachedPerRole   int  `json:"attachedPerRole,omitempty"`
	Roles             int  `json:"roles,omitempty"`
	RolesUsed         int  `json:"rolesUsed,omitempty"`
	OIDCProviders     int  `json:"oidcProviders,omitempty"`
	OIDCProvidersUsed int  `json:"oidcProvidersUsed,omitempty"`
}

// Role is an IAM role with everything that decides.
type Role struct {
	ARN         string            `json:"arn"`
	Name        string            `json:"name"`
	ID          string            `json:"id"` // AROA…
	Path        string            `json:"path"`
	Trust       string            `json:"trust"`
	Inline      map[string]string `json:"inline,omitempty"`   // policy name to document
	Attached    []string          `json:"attached,omitempty"` // managed policy ARNs, see Account.Managed
	Boundary    string            `json:"boundary,omitempty"` // managed policy ARN
	MaxSession  int               `json:"maxSession"`         // seconds
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	LastUsed    *LastUsed         `json:"lastUsed,omitempty"` // nil: not read
}

// LastUsed is when a role was last used, as IAM tracks it (some 400 days back).
type LastUsed struct {
	At     time.Time `json:"at,omitzero"` // zero: never within the tracking period
	Region string    `json:"region,omitempty"`
}

// User is an IAM user with everything that decides.
type User struct {
	ARN      string            `json:"arn"`
	Name     string            `json:"name"`
	ID       string            `json:"id"` // AIDA…
	Path     string            `json:"path"`
	Inline   map[string]string `json:"inline,omitempty"`
	Attached []string          `json:"attached,omitempty"`
	Groups   []Group           `json:"groups,omitempty"`
	Boundary string            `json:"boundary,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// Group is an IAM group of a user.
type Group struct {
	Name     string            `json:"name"`
	Inline   map[string]string `json:"inline,omitempty"`
	Attached []string          `json:"attached,omitempty"`
}

// Managed is a managed policy's default version. AWS's own are kept in the
// account that refers to them, under their ARN.
type Managed struct {
	ARN      string `json:"arn"`
	Document string `json:"document"`
}

// OIDCProvider is an IAM OIDC identity provider.
type OIDCProvider struct {
	ARN       string            `json:"arn"`
	URL       string            `json:"url"` // without "https://"
	ClientIDs []string          `json:"clientIDs"`
	Tags      map[string]string `json:"tags,omitempty"`
}

// Secret is a Secrets Manager secret, without its value.
type Secret struct {
	ARN      string            `json:"arn"`
	Name     string            `json:"name"`
	KMSKey   string            `json:"kmsKey,omitempty"` // key ARN, id or alias as DescribeSecret gives it; "" is aws/secretsmanager
	KeyARN   string            `json:"keyARN,omitempty"` // KMSKey resolved, when it could be
	Policy   string            `json:"policy,omitempty"` // "" when it has none
	Tags     map[string]string `json:"tags,omitempty"`
	Deleting bool              `json:"deleting,omitempty"`
}

// Key is a KMS key.
type Key struct {
	ARN        string `json:"arn"`
	AWSManaged bool   `json:"awsManaged"` // its policy cannot be changed and it cannot be shared
	Enabled    bool   `json:"enabled"`
	Policy     string `json:"policy"`
	// Grants are the key's grants; GrantState is NotAsked when nobody looked.
	Grants     []Grant  `json:"grants,omitempty"`
	GrantState Lookup   `json:"grantState,omitempty"`
	Aliases    []string `json:"aliases,omitempty"` // "alias/orders"
}

// Grant is a KMS grant.
type Grant struct {
	ID         string   `json:"id"`
	Name       string   `json:"name,omitempty"`
	Grantee    string   `json:"grantee"` // principal ARN or service principal
	Retiring   string   `json:"retiring,omitempty"`
	Operations []string `json:"operations"` // "Decrypt", as KMS names them
	// EncryptionContext is the constraint, nil for none; Equals says that it
	// is EncryptionContextEquals rather than EncryptionContextSubset.
	EncryptionContext map[string]string `json:"encryptionContext,omitempty"`
	Equals            bool              `json:"equals,omitempty"`
	SourceARN         string            `json:"sourceARN,omitempty"` // the constraint on aws:SourceArn, "" for none
}

// Cluster is an EKS cluster.
type Cluster struct {
	ARN    string `json:"arn"`
	Name   string `json:"name"`
	Region string `json:"region"`
	Issuer string `json:"issuer"` // https URL
	Status string `json:"status"`
	// Who may enter, and what its workloads may be. Each list is known only when
	// its state is Exists.
	Associations      []Association    `json:"associations,omitempty"`
	AssociationState  Lookup           `json:"associationState,omitempty"`
	AccessEntries     []AccessEntry    `json:"accessEntries,omitempty"`
	AccessEntryState  Lookup           `json:"accessEntryState,omitempty"`
	ServiceAccounts   []ServiceAccount `json:"serviceAccounts,omitempty"` // those annotated with a role, read from the cluster's API
	ServiceAcctsState Lookup           `json:"serviceAccountsState,omitempty"`
}

// Association is an EKS Pod Identity association.
type Association struct {
	ID             string `json:"id,omitempty"`
	ARN            string `json:"arn,omitempty"`
	Namespace      string `json:"namespace"`
	ServiceAccount string `json:"serviceAccount"`
	Role           string `json:"role"`                 // ARN
	TargetRole     string `json:"targetRole,omitempty"` // ARN, chained from Role
	ExternalID     string `json:"externalID,omitempty"`
	NoSessionTags  bool   `json:"noSessionTags,omitempty"`
	Policy         string `json:"policy,omitempty"` // inline session policy; with TargetRole it limits that role only
}

// AccessEntry lets an IAM principal into a cluster.
type AccessEntry struct {
	Principal string            `json:"principal"` // ARN
	Type      string            `json:"type"`      // STANDARD, EC2_LINUX, …
	Username  string            `json:"username,omitempty"`
	Groups    []string          `json:"groups,omitempty"`
	Policies  []ScopedEKSPolicy `json:"policies,omitempty"`
}

// ScopedEKSPolicy is an EKS access policy with the namespaces it is limited to;
// no namespaces means the whole cluster.
type ScopedEKSPolicy struct {
	ARN        string   `json:"arn"`
	Namespaces []string `json:"namespaces,omitempty"`
}

// ServiceAccount is a Kubernetes service account with the role its
// eks.amazonaws.com/role-arn annotation names.
type ServiceAccount struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Role      string `json:"role"` // ARN
}

// Get returns the record under key in m, one of an Account's maps.
func Get[T any](m map[string]*T, key string) (*T, Lookup) {
	v, asked := m[key]
	switch {
	case !asked:
		return nil, NotAsked
	case v == nil:
		return nil, Absent
	}
	return v, Exists
}

// Role finds a role by name, which IAM compares without regard to case.
func (a *Account) Role(name string) (*Role, Lookup) {
	if a == nil {
		return nil, NotAsked
	}
	r, state := Get(a.Roles, strings.ToLower(name))
	return r, a.inIAM(state, "role "+name)
}

// User finds a user by name, which IAM compares without regard to case.
func (a *Account) User(name string) (*User, Lookup) {
	if a == nil {
		return nil, NotAsked
	}
	u, state := Get(a.Users, strings.ToLower(name))
	return u, a.inIAM(state, "user "+name)
}

// Inline has the inline policies of a role or user; kind is "role" or "user".
func (a *Account) Inline(kind, name string) (map[string]string, Lookup) {
	if kind == "user" {
		u, state := a.User(name)
		if u == nil {
			return nil, state
		}
		return u.Inline, state
	}
	r, state := a.Role(name)
	if r == nil {
		return nil, state
	}
	return r.Inline, state
}

// Secret finds a secret by its full ARN, whatever it was asked by.
func (a *Account) Secret(full string) (*Secret, Lookup) {
	if a == nil {
		return nil, NotAsked
	}
	for _, s := range a.Secrets {
		if s != nil && s.ARN == full {
			return s, Exists
		}
	}
	return Get(a.Secrets, full)
}

// SecretPolicy has the resource policy of a secret, by its full ARN; "" when it
// has none.
func (a *Account) SecretPolicy(full string) (string, Lookup) {
	s, state := a.Secret(full)
	if s == nil {
		return "", state
	}
	return s.Policy, state
}

// KeyPolicy has the policy of a key, by its ARN.
func (a *Account) KeyPolicy(full string) (string, Lookup) {
	if a == nil {
		return "", NotAsked
	}
	k, state := Get(a.Keys, full)
	if k == nil {
		return "", state
	}
	return k.Policy, state
}

// Kind reports whether every thing of kind was listed in region ("" for global
// things): Exists when so, Unread when the listing failed, NotAsked when nobody
// listed. What is not in its map after Exists is absent.
func (a *Account) Kind(kind, region string) Lookup {
	if a == nil {
		return NotAsked
	}
	if state, asked := a.Listed[ListKey(kind, region)]; asked {
		return state
	}
	if a.Failed(AllOfIt) {
		return Unread
	}
	return NotAsked
}

// inIAM is the state of a role or user that stands in no map: one with a problem
// of its own is there or not, one that was not in the whole list is not.
func (a *Account) inIAM(state Lookup, what string) Lookup {
	unread := slices.ContainsFunc(a.Problems, func(p Problem) bool { return strings.EqualFold(p.What, what) })
	switch {
	case state != NotAsked:
		return state
	case unread:
		return Unread
	case a.Complete:
		return Absent
	case a.Failed(AllOfIt):
		return Unread
	}
	return NotAsked
}
