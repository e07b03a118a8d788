package authz

import (
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/policy"
)

// Outcome is the answer to a request, or to one layer of it.
type Outcome uint8

// The outcomes. The zero Outcome is ImplicitDeny: nothing said yes.
const (
	ImplicitDeny Outcome = iota
	ExplicitDeny
	Allowed
	Unknown
	// NotApplicable is used for a layer only: it does not limit this request.
	NotApplicable
)

// Layer is a kind of policy.
type Layer uint8

// The layers, in the order an explanation lists them.
const (
	LayerSCP Layer = iota
	LayerRCP
	LayerEndpoint
	LayerBoundary
	LayerSession
	LayerIdentity
	LayerResource // resource policies other than the next two
	LayerTrust    // a role's trust policy
	LayerKey      // a KMS key policy
	LayerGrant    // KMS grants
)

// Source says where a policy was found.
type Source struct {
	Layer   Layer         `json:"layer"`
	Account arn.AccountID `json:"account,omitempty"` // the account whose document it is; for an SCP or RCP the management account, or ""
	// Name tells a reader which document it is: "role/payroll-api inline policy
	// reads-orders", "secret AppDemoSecret", "FullAWSAccess".
	Name string `json:"name"`
	// ARN is the policy's own ARN where it has one (managed policies, SCPs).
	ARN string `json:"arn,omitempty"`
}

// Level is one level of an organization's tree (root, OU, account) with the
// SCPs or RCPs attached there. Every level must allow; within one level one
// allowing policy is enough.
type Level struct {
	Node     string // "r-ab12", "ou-ab12-…", or an account id
	Policies []*Policy
}

// Policies is everything that may apply to a request. The engine picks what
// applies to this caller and this resource; a nil field means that there is no
// such policy, never that it was not read (see Unread).
type Policies struct {
	Identity []*Policy // inline, attached and group policies of the caller's user or role
	Boundary *Policy
	// Session has the policies passed when the session was made. HasSession
	// tells a session without session policies (false) from one with an empty list.
	Session    []*Policy
	HasSession bool
	SCPs       []Level // of the caller's account, root first; nil when it is in no organization
	RCPs       []Level // of the resource's account, root first
	Resource   *Policy // resource policy, trust policy or key policy of the resource
	Grants     []Grant // KMS grants on the key
	Endpoint   *Policy // of the VPC endpoint the request goes through
	// Unread lists documents that exist or may exist but are not known: a
	// decision that could turn on one is Unknown.
	Unread []Unread
}

// Unread is a document the caller of Evaluate could not read.
type Unread struct {
	Source Source
	Reason string
}

// Grant is a KMS grant as far as it decides.
type Grant struct {
	Grantee           string // principal ARN or service principal
	Retiring          string // who may retire the grant beside the grantee; "": nobody
	Operations        []string
	EncryptionContext map[string]string // constraint; nil: none
	Equals            bool              // EncryptionContextEquals rather than Subset
	ID                string
}

// Decision is the answer to a request, with everything that led to it.
type Decision struct {
	Outcome Outcome `json:"outcome"`
	// Principal (an ARN where the caller has one), Action and Resource repeat the request.
	Principal string `json:"principal"`
	Action    string `json:"action"`
	Resource  string `json:"resource"`
	// CrossAccount is set when caller and resource are in different accounts,
	// so that both sides had to allow.
	CrossAccount bool `json:"crossAccount"`
	// Layers has every layer that was considered, in evaluation order, the
	// caller's side first.
	Layers []LayerResult `json:"layers"`
	// Deciding indexes Layers: the layers that settled the outcome (the one
	// that denied; for Allowed the ones that granted; for Unknown the open ones).
	Deciding []int `json:"deciding"`
	// Missing has what would have to be known, for Unknown: condition keys in
	// lower case, unread documents, and questions that AWS's documents leave open.
	Missing []string `json:"missing,omitempty"`
	// Residual is the condition on which an Unknown depends; nil otherwise.
	Residual *Residual `json:"residual,omitempty"`
}

// Side is the account whose policies a layer belongs to.
type Side uint8

// The two sides of a request; same-account requests have the caller's side only.
const (
	CallerSide Side = iota
	ResourceSide
)

// LayerResult is what one layer said.
type LayerResult struct {
	Layer   Layer         `json:"layer"`
	Side    Side          `json:"side"`
	Account arn.AccountID `json:"account,omitempty"`
	Node    string        `json:"node,omitempty"` // SCP and RCP: the level
	Outcome Outcome       `json:"outcome"`
	// Note explains an outcome that no statement shows: "the management
	// account is not affected by SCPs".
	Note string `json:"note,omitempty"`
	// Documents is how many documents were asked.
	Documents int `json:"documents,omitempty"`
	// Statements has the statements that matched, could match, or came near
	// (action and resource fit, principal or condition did not).
	Statements []StatementResult `json:"statements,omitempty"`
	// Unread names the documents of this layer that are not known.
	Unread []string `json:"unread,omitempty"`
}

// StatementResult is how one statement met the request.
type StatementResult struct {
	Source Source        `json:"source"`
	Index  int           `json:"index"` // in the document, from 0
	Sid    string        `json:"sid,omitempty"`
	Pos    policy.Pos    `json:"pos"`
	Effect policy.Effect `json:"effect"`
	// Match is Yes when the statement applies, No when an element does not
	// match, Maybe when an unknown key decides.
	Match Match `json:"match"`
	// Failed names the first element that did not match: "Principal",
	// "Action", "Resource" or "Condition"; empty when all did.
	Failed string `json:"failed,omitempty"`
	// Principals is what the statement names, where Failed is "Principal": the
	// first few of its Principal or NotPrincipal element.
	Principals []string          `json:"principals,omitempty"`
	Conditions []ConditionResult `json:"conditions,omitempty"`
	// Open says what would have to be known, where Match is Maybe.
	Open []string `json:"open,omitempty"`
}

// Match is a three-valued truth.
type Match uint8

// The values of Match.
const (
	No Match = iota
	Yes
	Maybe
)

// ConditionResult is one condition of a statement against the request.
type ConditionResult struct {
	Operator string     `json:"operator"`
	Key      string     `json:"key"`
	Wanted   []string   `json:"wanted"` // with policy variables substituted
	Found    []string   `json:"found,omitempty"`
	Present  bool       `json:"present"`
	Unknown  bool       `json:"unknown,omitempty"` // neither presence nor value is known
	Match    Match      `json:"match"`
	Pos      policy.Pos `json:"pos"`
}
