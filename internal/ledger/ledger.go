// Package ledger is a scope's memory of what it made, in which account: the
// only way to know what to delete after a declaration is gone, and the proof
// of ownership for things that carry no tags.
//
// A Ledger is a value; internal/apply keeps it in the scope's home account (a
// Secrets Manager secret named stile/ledger/SCOPE) and writes an entry there
// before the thing itself is made, so that a killed run leaves nothing unknown.
package ledger

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/policy"
)

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

// InlineID is the ID of an inline policy of a role or user.
func InlineID(holder, policyName string) string { return holder + "/" + policyName }

// StatementID is the ID of a statement in the policy of a secret or key.
func StatementID(target, sid string) string { return target + "#" + sid }

// Name is the name of a role, or the URL of a provider, without "https://"; ""
// for an ID that is no ARN, and for other kinds.
func (e *Entry) Name() string {
	a, err := arn.Parse(e.ID)
	if err != nil || e.Kind != Role && e.Kind != Provider {
		return ""
	}
	return a.Name()
}

// Inline takes the ID of an inline policy apart: whose policy it is, a "role"'s
// or a "user"'s. ok is false for an ID that is none, and for other kinds.
func (e *Entry) Inline() (kind, holder, policyName string, ok bool) {
	switch e.Kind {
	case RolePolicy:
		kind = "role"
	case UserPolicy:
		kind = "user"
	case Provider, Role, SecretSid, KeySid:
		return "", "", "", false
	}
	holder, policyName, ok = strings.Cut(e.ID, "/")
	return kind, holder, policyName, ok
}

// Statement takes the ID of a statement apart. ok is false for an ID that is
// none, and for other kinds.
func (e *Entry) Statement() (target, sid string, ok bool) {
	if e.Kind != SecretSid && e.Kind != KeySid {
		return "", "", false
	}
	return strings.Cut(e.ID, "#")
}

// New is the empty ledger of a scope that has made nothing yet.
func New(scope string) *Ledger { return &Ledger{Format: Format, Scope: scope} }

// Parse reads what Encode wrote. A ledger of a later format, or of another
// scope, is an error: guessing there could delete somebody else's work.
func Parse(src []byte, scope string) (*Ledger, error) {
	var l Ledger
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return nil, fmt.Errorf("parsing ledger of scope %q: %w", scope, err)
	}
	if l.Format != Format {
		return nil, fmt.Errorf("parsing ledger of scope %q: format %d is not known to this version of stile (it writes %d)", scope, l.Format, Format)
	}
	if l.Scope != scope {
		return nil, fmt.Errorf("parsing ledger: it belongs to scope %q, not %q", l.Scope, scope)
	}
	return &l, nil
}

// Encode writes l as JSON, in the same bytes for the same content.
func (l *Ledger) Encode() []byte {
	c := l.Clone()
	c.sort()
	out, err := json.Marshal(c)
	if err != nil {
		panic("ledger.Encode: " + err.Error()) // strings and numbers only
	}
	return out
}

// Digest is the hex SHA-256 of what Encode writes.
func (l *Ledger) Digest() string {
	sum := sha256.Sum256(l.Encode())
	return hex.EncodeToString(sum[:])
}

// Clone gives an independent copy.
func (l *Ledger) Clone() *Ledger {
	c := *l
	c.Accounts = slices.Clone(l.Accounts)
	c.Entries = slices.Clone(l.Entries)
	for i := range c.Entries {
		c.Entries[i].Earlier = slices.Clone(c.Entries[i].Earlier)
	}
	return &c
}

func (l *Ledger) sort() {
	slices.Sort(l.Accounts)
	l.Accounts = slices.Compact(l.Accounts)
	slices.SortFunc(l.Entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
}

// Find returns the entry of one thing, nil when the scope does not own it.
func (l *Ledger) Find(account arn.AccountID, kind Kind, id string) *Entry {
	for i := range l.Entries {
		if e := &l.Entries[i]; e.Account == account && e.Kind == kind && e.ID == id {
			return e
		}
	}
	return nil
}

// Put adds e, or replaces the entry of the same thing.
func (l *Ledger) Put(e Entry) {
	if !slices.Contains(l.Accounts, e.Account) {
		l.Accounts = append(l.Accounts, e.Account)
	}
	if old := l.Find(e.Account, e.Kind, e.ID); old != nil {
		*old = e
	} else {
		l.Entries = append(l.Entries, e)
	}
	l.sort()
}

// Drop removes the entry of one thing; the account stays known.
func (l *Ledger) Drop(account arn.AccountID, kind Kind, id string) {
	l.Entries = slices.DeleteFunc(l.Entries, func(e Entry) bool {
		return e.Account == account && e.Kind == kind && e.ID == id
	})
}

// Intend records that e is about to be written. The hash that may still be in
// place is kept, so that whichever of the two a killed run leaves is ours.
func (l *Ledger) Intend(e Entry) {
	if old := l.Find(e.Account, e.Kind, e.ID); old != nil {
		e.Earlier = slices.Clone(old.Earlier)
		if old.Hash != "" && old.Hash != e.Hash && !slices.Contains(e.Earlier, old.Hash) {
			e.Earlier = append(e.Earlier, old.Hash)
		}
	}
	e.Intended = true
	l.Put(e)
}

// Made records that what was intended is in place.
func (l *Ledger) Made(account arn.AccountID, kind Kind, id string) {
	if e := l.Find(account, kind, id); e != nil {
		e.Intended, e.Earlier = false, nil
	}
}

// Wrote reports whether a document with this hash is one the scope put there.
func (e *Entry) Wrote(hash string) bool {
	return e != nil && (e.Hash == hash || slices.Contains(e.Earlier, hash))
}

// HashDocument is the content hash of a policy document: equal for documents
// that mean the same.
func HashDocument(d *policy.Document) string {
	sum := sha256.Sum256([]byte(policy.Canonical(d)))
	return hex.EncodeToString(sum[:])
}

// HashStatement is the content hash of one statement.
func HashStatement(s policy.Statement) string {
	return HashDocument(&policy.Document{Version: policy.Version2012, Statements: []policy.Statement{s}})
}
