// Package ledger is a scope's memory of what it made, in which account: the
// only way to know what to delete after a declaration is gone, and the proof
// of ownership for things that carry no tags.
//
// A Ledger is a value; internal/apply keeps it in the scope's home account (a
// Secrets Manager secret named stile/ledger/SCOPE) and writes an entry there
// before the thing itself is made, so that a killed run leaves nothing unknown.
package ledger

import "github.com/stile-aws/stile/arn"

// Format is the version of the ledger's JSON.
const Format = 1

// Ledger lists what a scope owns. Entries are sorted by account, kind and id.
type Ledger struct {
	Format   int             `json:"format"`
	Scope    string          `json:"scope"`
	Accounts []arn.AccountID `json:"accounts"` // every account the scope has ever touched
	Entries  []Entry         `json:"entries"`
}

// Kind is the kind of an owned thing.
type Kind string

// What a scope can own. Inline policies of owned roles are not listed: they go with the role.
const (
	Provider   Kind = "oidcProvider"
	Role       Kind = "role"
	RolePolicy Kind = "rolePolicy" // inline policy on a role of somebody else's
	UserPolicy Kind = "userPolicy"
	SecretSid  Kind = "secretStatement"
	KeySid     Kind = "keyStatement"
)

// Entry is one owned thing.
type Entry struct {
	Account arn.AccountID `json:"account"`
	Region  string        `json:"region,omitempty"`
	Kind    Kind          `json:"kind"`
	// ID is the ARN of a provider or role; "ROLE-OR-USER-NAME/POLICY-NAME" of
	// an inline policy; "RESOURCE-ARN#SID" of a statement.
	ID string `json:"id"`
	// Hash is the hex SHA-256 of the canonical document last written, for what
	// carries no tags: a different document there is somebody else's.
	Hash string `json:"hash,omitempty"`
	// Intended is set from before the thing is made until its step is known to have succeeded.
	Intended bool `json:"intended,omitempty"`
	// Earlier has hashes an interrupted run may have left in place.
	Earlier []string `json:"earlier,omitempty"`
}
