// Package plan compares what is wanted with what exists and answers with
// ordered steps.
//
// [Make] is pure. A [Plan] is data: it leads with the access that changes,
// then the steps, budgets and risks; it can be saved, and internal/apply
// executes exactly the saved plan or says what moved since.
package plan

import (
	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/policy"
)

// Format is the version of a saved plan.
const Format = 1

// Plan is everything a run would do.
type Plan struct {
	Format       int    `json:"format"`
	Scope        string `json:"scope"`
	Home         Home   `json:"home"`
	Destroy      bool   `json:"destroy,omitempty"`
	Declarations string `json:"declarations"` // access.Set.Digest
	// From is where the declarations were read, "" when they were not files.
	From string `json:"from,omitempty"`
	// Documents has the digest of every record the plan was made from, by a
	// name such as "222222222222/role/payroll-api".
	Documents map[string]Document      `json:"documents"`
	Accounts  map[arn.AccountID]string `json:"accounts"` // id to name
	// LedgerRead is the digest of the ledger the plan was made from.
	LedgerRead string `json:"ledgerRead"`
	// Reach is how each account is entered: names of profiles and roles, no secret.
	Reach  []*access.Account `json:"reach"`
	Access []AccessChange    `json:"access"`
	// Assumed says, one line each, what Access takes to be so though nobody looked
	// or it could not be read: first what Wanted rests on, then its proof.
	Assumed []string         `json:"assumed,omitempty"`
	Choices []compile.Choice `json:"choices"`
	Steps   []Step           `json:"steps"` // in an order that respects After
	Budgets []Budget         `json:"budgets"`
	Risks   []Risk           `json:"risks"`
	Kept    []string         `json:"kept"`   // what others own beside ours and stays, one line each
	Ledger  ledger.Ledger    `json:"ledger"` // as it stands after every step
	Wanted  *compile.Wanted  `json:"wanted"` // what it was made from: verify and probes after apply use it
}

// Document is a record that was read, and its digest: "absent" for what was
// not there.
type Document struct {
	Account arn.AccountID `json:"account"`
	Kind    string        `json:"kind"` // "oidc-provider", "role", "role-policy", "user-policy", "secret", "key"
	Name    string        `json:"name"`
	Digest  string        `json:"digest"`
}

// Home is where the ledger is.
type Home struct {
	Account arn.AccountID `json:"account"`
	Region  string        `json:"region"`
}

// AccessChange is one line of who gains or loses what.
type AccessChange struct {
	Sign    string   `json:"sign"` // "+", "-", "~", "=" (declared and already there)
	Caller  string   `json:"caller"`
	Account string   `json:"account"` // target account's name
	Via     string   `json:"via"`     // "web identity: role payroll-api"
	Actions []string `json:"actions"`
	On      []string `json:"on"`
	// Also says, one line each, what of Actions nobody wrote down, and why it is
	// needed: the use of the key that a table is under.
	Also []string `json:"also,omitempty"`
	// Proof has one entry a layer: "identity yes", "SCP yes", after the plan is applied.
	Proof []string `json:"proof"`
	// Effect is "BROADENS", "NARROWS" or "".
	Effect string `json:"effect,omitempty"`
}

// Verb is what a step does.
type Verb string

// The verbs.
const (
	Create Verb = "create"
	Update Verb = "update"
	Delete Verb = "delete"
)

// Step is one change to one thing.
type Step struct {
	ID      string        `json:"id"` // stable: "222222222222/role/payroll-api"
	Verb    Verb          `json:"verb"`
	Account arn.AccountID `json:"account"`
	Region  string        `json:"region,omitempty"`
	Summary string        `json:"summary"` // "role payroll-api: create, trusts ci/payroll/api"
	Why     []string      `json:"why"`     // Access names
	After   []string      `json:"after,omitempty"`
	// Read names the entry of Documents this step was made from. A saved plan is
	// refused as a whole when one of them moved.
	Read string `json:"read,omitempty"`
	Op   Op     `json:"op"`
	// Writes must stand in the ledger before the step runs; Drops leave it
	// after. Both are empty for what goes with an owned role.
	Writes []ledger.Entry `json:"writes,omitempty"`
	Drops  []ledger.Entry `json:"drops,omitempty"`
	// before is the policy a merge starts from, or the trust policy of a role
	// to delete, while planning.
	before *policy.Document
}

// Op is the change itself; exactly one field is set.
type Op struct {
	Provider *ProviderOp `json:"provider,omitempty"`
	Role     *RoleOp     `json:"role,omitempty"`
	Inline   *InlineOp   `json:"inline,omitempty"`
	Detach   *DetachOp   `json:"detach,omitempty"`
	Merge    *MergeOp    `json:"merge,omitempty"`
}

// DetachOp takes a managed policy off a role of ours.
type DetachOp struct {
	Role   string `json:"role"`
	Policy string `json:"policy"` // ARN
}

// ProviderOp creates, updates or deletes an OIDC provider.
type ProviderOp struct {
	ARN       string            `json:"arn"`
	URL       string            `json:"url"`       // with https://
	ClientIDs []string          `json:"clientIDs"` // Create: all; Update: those to add
	Tags      map[string]string `json:"tags,omitempty"`
}

// RoleOp creates, updates or deletes a role. On Update only the fields that
// differ are set; Boundary "-" removes the boundary.
type RoleOp struct {
	Name        string            `json:"name"`
	Path        string            `json:"path"`
	Trust       *policy.Document  `json:"trust,omitempty"`
	Boundary    string            `json:"boundary,omitempty"`
	MaxSession  int               `json:"maxSession,omitempty"` // seconds
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	// Inline and Attached list the policies to remove before a Delete.
	Inline   []string `json:"inline,omitempty"`
	Attached []string `json:"attached,omitempty"`
}

// InlineOp puts or deletes an inline policy of a role or user.
type InlineOp struct {
	Kind       string           `json:"kind"` // "role" or "user"
	Name       string           `json:"name"`
	PolicyName string           `json:"policyName"`
	Document   *policy.Document `json:"document,omitempty"`
}

// MergeOp puts or removes statements of ours in a resource policy by reading
// the policy, changing our Sids only, writing it, reading it again and comparing.
type MergeOp struct {
	Kind   compile.TargetKind `json:"kind"`
	Target string             `json:"target"` // ARN
	Put    []policy.Statement `json:"put,omitempty"`
	Remove []string           `json:"remove,omitempty"` // Sids
}

// Budget is a quota with what this plan leaves it at; compile refuses what would pass one.
type Budget struct {
	Account arn.AccountID `json:"account"`
	What    string        `json:"what"` // "trust policy of role payroll-api"
	Used    int           `json:"used"`
	Limit   int           `json:"limit"`
	Unit    string        `json:"unit"` // "characters", "roles", …
}

// Risk is something a reader should know before applying.
type Risk struct {
	Level string `json:"level"` // "note", "warning"
	Code  string `json:"code"`
	Text  string `json:"text"`
}
