// Package inventory is what exists: accounts, principals, policies and
// resources as a snapshot value that can be saved, loaded and compared.
//
// An Inventory is filled by internal/observe (live), by tests, or from files,
// and read by compile, plan, verify and reach. It tells "looked for and not
// there" from "not looked for" and from "could not be read": see [Lookup].
// Documents are kept as text, as AWS returned them (URL-decoded).
package inventory

import (
	"strings"

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

// Organization is the tree of accounts with its SCPs.
type Organization struct {
	ID                string          `json:"id"`
	ManagementAccount arn.AccountID   `json:"managementAccount"`
	Root              *Node           `json:"root"`
	Policies          map[string]*SCP `json:"policies"` // by policy id
}

// Node is the root, an OU or an account of the organization.
type Node struct {
	ID       string   `json:"id"` // "r-…", "ou-…" or an account id
	Name     string   `json:"name"`
	SCPs     []string `json:"scps"` // policy ids attached here
	Children []*Node  `json:"children,omitempty"`
}

// SCP is a service control policy.
type SCP struct {
	ID       string `json:"id"`
	ARN      string `json:"arn"`
	Name     string `json:"name"`
	Document string `json:"document"`
}

// Path returns the nodes from the root down to account id, nil when the
// account is not in the organization.
func (o *Organization) Path(id arn.AccountID) []*Node {
	if o == nil || o.Root == nil {
		return nil
	}
	var walk func(n *Node, above []*Node) []*Node
	walk = func(n *Node, above []*Node) []*Node {
		path := append(append([]*Node(nil), above...), n)
		if n.ID == string(id) {
			return path
		}
		for _, c := range n.Children {
			if found := walk(c, path); found != nil {
				return found
			}
		}
		return nil
	}
	return walk(o.Root, nil)
}

// Account is what was read of one account. A key present in a map with a nil
// value was looked for and is absent.
type Account struct {
	ID       arn.AccountID `json:"id"`
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
	Keys      map[string]*Key          `json:"keys,omitempty"`      // by key ARN
	Clusters  map[string]*Cluster      `json:"clusters,omitempty"`  // by "region/name"
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
}

// Cluster is an EKS cluster.
type Cluster struct {
	ARN    string `json:"arn"`
	Name   string `json:"name"`
	Region string `json:"region"`
	Issuer string `json:"issuer"` // https URL
	Status string `json:"status"`
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
	if state == NotAsked && a.Complete {
		state = Absent
	}
	return r, a.orUnread(state, "role "+name)
}

// User finds a user by name, which IAM compares without regard to case.
func (a *Account) User(name string) (*User, Lookup) {
	if a == nil {
		return nil, NotAsked
	}
	u, state := Get(a.Users, strings.ToLower(name))
	if state == NotAsked && a.Complete {
		state = Absent
	}
	return u, a.orUnread(state, "user "+name)
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

func (a *Account) orUnread(state Lookup, what string) Lookup {
	if state == NotAsked && a.Failed(what) {
		return Unread
	}
	return state
}
