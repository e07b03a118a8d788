// Package access is declared access: who may do what in which account, as
// people write it.
//
// [Load] and [LoadPath] read a directory or files of Kubernetes-shaped YAML
// objects into a [Set] of plain Go values, resolve names, apply defaults and
// report what is wrong with file, line and column; codes.go lists the codes.
// They read nothing else: whether an account or a role exists is not known here
// (see internal/observe), no clock is asked (an expiry in the past is
// internal/plan's to see), and what IAM documents follow is internal/compile's
// business. [ParseAddress] reads the names people give to roles and workloads
// on the command line.
//
// In a loaded Set every account is referred to by its name, however it was
// written, and selectors are resolved. A loaded Set is not changed by this
// package; treat it as read-only.
package access

import (
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
)

// APIVersion is the one that every object must have.
const APIVersion = "stile.dev/v1alpha1"

// Pos is where an object or field was written; zero when built in memory.
type Pos = diag.Position

// Metadata names an object. Names are unique within a kind.
type Metadata struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"` // nil when there are none
}

// Set is everything one run is about.
type Set struct {
	Scope    Scope
	Accounts []*Account
	Clusters []*Cluster
	Accesses []*Access
	// Digest is the SHA-256 of the declarations' meaning, in hex: comments,
	// file names and formatting do not count.
	Digest string
}

// Scope is the declaration set's identity (kind Scope, in stile.yaml). Owned
// resources carry its name; two scopes never touch each other's work.
type Scope struct {
	Metadata
	Home   Home
	Pos    Pos
	Prefix string // of derived role names; default none
}

// Home is where a scope's ledger is kept.
type Home struct {
	Account string // name of an Account of the set
	Region  string
}

// Account is an AWS account stile may read or change. Saved plans have it as JSON.
type Account struct {
	Metadata
	ID      arn.AccountID `json:"id"`
	Regions []string      `json:"regions,omitempty"` // the first is the default region of things without one; default us-east-1
	// ManageWith is how apply gets in, ReadWith how plan and verify do; when
	// ReadWith is nil, ManageWith serves both, and when both are nil only
	// credentials that are already in this account are used.
	ManageWith *Credentials `json:"manageWith,omitempty"`
	ReadWith   *Credentials `json:"readWith,omitempty"`
	// PermissionsBoundary is the ARN of a managed policy put on every role made there; "" for none.
	PermissionsBoundary string `json:"permissionsBoundary,omitempty"`
	// Path of roles made there; default "/stile/"… every role carries it.
	Path string `json:"path,omitempty"`
	// Implicit is set when no object declares the account: it was referred to
	// by its bare id, is named like its id, and is reached with credentials
	// that are already in it.
	Implicit bool `json:"implicit,omitempty"`
	Pos      Pos  `json:"pos"` // of the first reference when Implicit
}

// Credentials says how stile itself gets into an account: an AWS profile, or
// the default chain, then the hops of Chain in order.
type Credentials struct {
	Profile string `json:"profile,omitempty"`
	Chain   []Hop  `json:"chain,omitempty"`
	Pos     Pos    `json:"pos"`
}

// Hop is one AssumeRole of stile's own.
type Hop struct {
	Role       string `json:"role"` // ARN
	ExternalID string `json:"externalID,omitempty"`
}

// Identity is how a cluster's service accounts get AWS credentials.
type Identity string

// The two ways.
const (
	IRSA        Identity = "irsa"
	PodIdentity Identity = "podIdentity"
)

// Cluster is a Kubernetes cluster whose service accounts are callers.
type Cluster struct {
	Metadata
	Account  string // name of an Account of the set
	Region   string
	EKSName  string // spec.name; default metadata.name
	Issuer   string // https URL; "" means: ask EKS
	Identity Identity
	Pos      Pos
}

// Pattern is a way to give a caller access.
type Pattern string

// The patterns; Auto lets the compiler choose.
const (
	Auto           Pattern = "auto"
	WebIdentity    Pattern = "webIdentity"
	Chain          Pattern = "chain"
	AssumeRole     Pattern = "assumeRole"
	ResourcePolicy Pattern = "resourcePolicy"
	PodIdentityVia Pattern = "podIdentity"
)

// Access is one declaration: From may do Allow in To.
type Access struct {
	Metadata
	From []Caller
	To   Targets
	// As is the role's name in each target account; default: derived from the caller.
	As string
	// Via is the pattern for every item of Allow that does not name its own.
	Via Pattern
	// Hub names the role of the caller's own account that a chain goes
	// through; default: derived from the caller.
	Hub string
	// Shared lets several callers use the one role As.
	Shared  bool
	Allow   []Allow
	Session Session
	// Profiles maps a profile name to the account (name) it leads to, for
	// workloads with several targets.
	Profiles map[string]string
	// Expires is zero for never. A date without a time means the beginning of
	// that day, UTC.
	Expires time.Time
	Pos     Pos
}

// Caller is one of the kinds of From; exactly one field is set.
type Caller struct {
	ServiceAccount *ServiceAccount
	Role           *IAMName // kind role
	User           *IAMName
	Pos            Pos
}

// ServiceAccount is a Kubernetes service account of a declared cluster.
type ServiceAccount struct {
	Cluster, Namespace, Name string
}

// IAMName is an existing role or user of a declared account.
type IAMName struct {
	Account, Name string
	Path          string // default "/", which stands for any: the name is unique in its account
	// ExternalID, when set, must accompany the AssumeRole call.
	ExternalID string
}

// Targets picks accounts.
type Targets struct {
	// Accounts are names of Accounts of the set: those written, in that order,
	// then those a selector matched, by name. No name comes twice.
	Accounts []string
	Pos      Pos
}

// Allow is one item of what is allowed: a named bundle or plain actions.
type Allow struct {
	Grant      string   // catalog bundle, "dynamodb/read"
	Actions    []string // or plain IAM actions
	Resources  []string // ARNs; ${account} and ${region} stand for the target's
	Conditions []Condition
	Via        Pattern // "" means the Access's
	Pos        Pos
}

// Condition is one IAM condition of an Allow item. In its values ${account} and
// ${region} stand for the target's, too; other ${…} are IAM's own variables.
type Condition struct {
	Operator, Key string
	Values        []string
}

// Session limits the sessions of a role.
type Session struct {
	MaxDuration time.Duration // default 1h; 1h to 12h
	// Tags that the caller must pass, key to value; the trust policy demands them.
	Tags map[string]string
}

// Account finds a declared account by name or id.
func (s *Set) Account(nameOrID string) (*Account, bool) {
	for _, a := range s.Accounts {
		if a.Name == nameOrID || string(a.ID) == nameOrID {
			return a, true
		}
	}
	return nil, false
}

// Cluster finds a declared cluster by name.
func (s *Set) Cluster(name string) (*Cluster, bool) {
	for _, c := range s.Clusters {
		if c.Name == name {
			return c, true
		}
	}
	return nil, false
}
