// Package compile turns declared access into the IAM of both sides.
//
// [Needs] says what must be known of the world, [Compile] answers with a
// [Wanted]: providers, roles, policies and statements for each account, the
// route each caller takes, and for each choice of pattern the reasons for it
// and against the others. One file a pattern. It is pure: the same set and
// inventory give the same Wanted, byte for byte; ordering and differences to
// what exists are internal/plan's business.
package compile

import (
	"time"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/policy"
)

// The tags by which a scope knows its own. TagScope holds the scope's name,
// TagAccess the names of the Access objects, separated by spaces.
const (
	TagScope  = "stile:scope"
	TagAccess = "stile:access"
)

// Wanted is both sides of everything a set declares. Slices are sorted by
// account, then name, so that equal sets compile to equal values.
type Wanted struct {
	Scope      string         `json:"scope"`
	Providers  []Provider     `json:"providers"`
	Roles      []Role         `json:"roles"`
	Callers    []CallerPolicy `json:"callers"`
	Statements []Statement    `json:"statements"`
	Routes     []Route        `json:"routes"`
	Choices    []Choice       `json:"choices"`
	// Assumed says, one line each and sorted, what is taken to be so though it
	// could not be seen: that a queue which could not be read needs no KMS key.
	Assumed []string `json:"assumed,omitempty"`
}

// Provider is an OIDC provider that must exist in an account. One that exists
// and is not the scope's own is used as it is.
type Provider struct {
	Account   arn.AccountID `json:"account"`
	URL       string        `json:"url"` // without "https://", as IAM names it
	ClientIDs []string      `json:"clientIDs"`
	For       []string      `json:"for"` // names of the Access objects that need it
}

// Role is a role the scope owns: a role unit's target, or a hub.
type Role struct {
	Account     arn.AccountID               `json:"account"`
	Name        string                      `json:"name"`
	Path        string                      `json:"path"`
	Trust       *policy.Document            `json:"trust"`
	Inline      map[string]*policy.Document `json:"inline"` // policy name to document
	Boundary    string                      `json:"boundary,omitempty"`
	MaxSession  time.Duration               `json:"maxSession"`
	Description string                      `json:"description"`
	Hub         bool                        `json:"hub,omitempty"`
	For         []string                    `json:"for"`
}

// ARN is the role's ARN, known before the role exists.
func (r *Role) ARN() arn.ARN { return arn.IAM("aws", r.Account, "role", r.Path, r.Name) }

// CallerPolicy is an inline policy on a role or user that the scope does not
// own: the caller's side of AssumeRole and of resource policies.
type CallerPolicy struct {
	Account    arn.AccountID    `json:"account"`
	Kind       string           `json:"kind"` // "role" or "user"
	Name       string           `json:"name"` // of the role or user
	PolicyName string           `json:"policyName"`
	Document   *policy.Document `json:"document"`
	For        []string         `json:"for"`
}

// TargetKind is the kind of resource whose policy holds a statement of ours.
type TargetKind string

// The resource policies this version writes.
const (
	SecretPolicy TargetKind = "secret"
	KeyPolicy    TargetKind = "key"
)

// TargetOf is the kind of resource that a ledger's statement is in.
func TargetOf(k ledger.Kind) TargetKind {
	if k == ledger.KeySid {
		return KeyPolicy
	}
	return SecretPolicy
}

// PolicyOf has the policy of the secret or key target of an account, which may
// be nil; "" when it has none.
func (k TargetKind) PolicyOf(a *inventory.Account, target string) (string, inventory.Lookup) {
	if k == KeyPolicy {
		return a.KeyPolicy(target)
	}
	return a.SecretPolicy(target)
}

// Statement is one statement of the scope's in a policy that others may share.
type Statement struct {
	Account   arn.AccountID    `json:"account"`
	Region    string           `json:"region"`
	Kind      TargetKind       `json:"kind"`
	Target    string           `json:"target"`    // ARN of the secret or key
	Statement policy.Statement `json:"statement"` // with its Sid
	For       []string         `json:"for"`
}

// Route is how one caller gets to use what one Access allows it in one account.
type Route struct {
	Access  string         `json:"access"`
	Caller  Caller         `json:"caller"`
	Account arn.AccountID  `json:"account"` // the target
	Address string         `json:"address"` // ACCOUNT/ROLE where the caller ends; "" when it keeps its own identity
	Pattern access.Pattern `json:"pattern"`
	Hops    []Hop          `json:"hops"` // empty when the caller keeps its own identity
	Allow   []Permission   `json:"allow"`
	Expires time.Time      `json:"expires,omitzero"`
}

// Caller is the start of a route.
type Caller struct {
	Name string `json:"name"` // "serviceaccount:ci/payroll/api", or the ARN
	// Service accounts: the claims of its token.
	Issuer   string `json:"issuer,omitempty"`
	Subject  string `json:"subject,omitempty"`
	Audience string `json:"audience,omitempty"`
	Cluster  string `json:"cluster,omitempty"`
	// Roles and users: the principal.
	ARN string `json:"arn,omitempty"`
}

// Hop is one STS call of a route.
type Hop struct {
	Role        string            `json:"role"` // ARN
	WebIdentity bool              `json:"webIdentity,omitempty"`
	Provider    string            `json:"provider,omitempty"` // provider ARN, for WebIdentity
	ExternalID  string            `json:"externalID,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Duration    time.Duration     `json:"duration"` // the longest session that will be granted
}

// Permission is what a route ends in: plain IAM after bundles, placeholders
// and implied companions (kms:Decrypt of a secret's key) are written out.
type Permission struct {
	Actions    []string           `json:"actions"`
	Resources  []string           `json:"resources"`
	Conditions []policy.Condition `json:"conditions,omitempty"`
	Implied    string             `json:"implied,omitempty"` // why, for what nobody wrote down
}

// Choice is the pattern chosen for one caller, account and item, and why.
type Choice struct {
	Access   string         `json:"access"`
	Caller   string         `json:"caller"`
	Account  arn.AccountID  `json:"account"`
	Item     int            `json:"item"` // index in Allow; -1: all items
	Pattern  access.Pattern `json:"pattern"`
	Because  string         `json:"because"`
	Rejected []Rejected     `json:"rejected"`
}

// Rejected is a pattern that was not chosen.
type Rejected struct {
	Pattern access.Pattern `json:"pattern"`
	Because string         `json:"because"`
}
