package condition

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz/internal/rule"
)

// Context is the keys of a request that do not follow from its caller and
// resource. The zero Context is empty. Not safe for concurrent writes.
type Context struct {
	Entries []Entry
}

// Entry is what is known of one key.
type Entry struct {
	Key     string // lower case
	Written string // as given, for the encryption contexts of grants
	Values  []string
	Unknown bool // neither presence nor values are known
}

// Set gives key its values; a later Set replaces an earlier one. No value at
// all means present but empty.
func (c *Context) Set(key string, values ...string) {
	c.Put(Entry{Key: strings.ToLower(key), Written: key, Values: values})
}

// SetUnknown marks key as one whose presence and value are not known.
func (c *Context) SetUnknown(key string) {
	c.Put(Entry{Key: strings.ToLower(key), Written: key, Unknown: true})
}

// Put replaces what is known of a key, or adds it.
func (c *Context) Put(e Entry) {
	for i := range c.Entries {
		if c.Entries[i].Key == e.Key {
			c.Entries[i] = e
			return
		}
	}
	c.Entries = append(c.Entries, e)
}

// Drop makes the key, given in lower case, absent.
func (c *Context) Drop(key string) {
	c.Entries = slices.DeleteFunc(c.Entries, func(e Entry) bool { return e.Key == key })
}

// Clone gives an independent copy.
func (c *Context) Clone() Context {
	return Context{Entries: append([]Entry(nil), c.Entries...)}
}

// derivedKey is a condition key whose value follows from the principal and
// the resource of a request.
type derivedKey uint8

const (
	notDerived derivedKey = iota
	keyPrincipalARN
	keyPrincipalAccount
	keyPrincipalType
	keyIsService
	keyServiceName
	keyUserID
	keyUsername
	keyResourceAccount
)

// A Key is the name of a condition key, prepared for look-up.
type Key struct {
	Name    string // lower case: names are compared without regard to case, tag keys in them too
	derived derivedKey
}

// NewKey prepares a name. keepCase is for tests.
func NewKey(name string, keepCase bool) Key {
	if !keepCase {
		name = strings.ToLower(name)
	}
	k := Key{Name: name}
	switch name {
	case "aws:principalarn":
		k.derived = keyPrincipalARN
	case "aws:principalaccount":
		k.derived = keyPrincipalAccount
	case "aws:principaltype":
		k.derived = keyPrincipalType
	case "aws:principalisawsservice":
		k.derived = keyIsService
	case "aws:principalservicename":
		k.derived = keyServiceName
	case "aws:userid":
		k.derived = keyUserID
	case "aws:username":
		k.derived = keyUsername
	case "aws:resourceaccount":
		k.derived = keyResourceAccount
	}
	return k
}

// Presence is what is known of a key on a request.
type Presence uint8

// The presences of a key.
const (
	Absent Presence = iota
	Present
	Unknown
)

// Found is what a request has under a key: a list, or one derived value, which
// lives in the Comparer's buffers until the next look-up.
type Found struct {
	Presence Presence
	list     []string
	single   string
	derived  bool
}

// Len is the number of values.
func (f *Found) Len() int {
	switch {
	case f.Presence != Present:
		return 0
	case f.derived:
		return 1
	}
	return len(f.list)
}

// At is the i-th value.
func (f *Found) At(i int) string {
	if f.derived {
		return f.single
	}
	return f.list[i]
}

// null reports whether the key has nothing but empty strings, which AWS calls
// a null data set.
func (f *Found) null() bool {
	for i := range f.Len() {
		if f.At(i) != "" {
			return false
		}
	}
	return true
}

// Find gives what is known of the key of a name in lower case.
func (c *Context) Find(name string) (Entry, bool) {
	for i := range c.Entries {
		if c.Entries[i].Key == name {
			return c.Entries[i], true
		}
	}
	return Entry{}, false
}

// Lookup gives what the request has under k.
func (c *Comparer) Lookup(k *Key) Found {
	if entry, ok := c.Context.Find(k.Name); ok {
		switch {
		case !entry.Unknown:
			return Found{Presence: Present, list: entry.Values}
		case c.Off.Has(rule.UnknownKey):
			return Found{}
		}
		return Found{Presence: Unknown}
	}
	return c.Derive(k)
}

// Caller is what keys follow from that AWS derives from who calls.
type Caller struct {
	Kind Kind
	// Self is the caller's own ARN, Role the ARN of the role behind a session.
	Self *arn.ARN
	Role arn.ARN
	// ID is the unique id, ServiceName the name of a service principal.
	ID          string
	ServiceName string
}

// Kind is the kind of caller.
type Kind uint8

// The kinds of caller, as package authz has them.
const (
	Anonymous Kind = iota
	Root
	User
	RoleSession
	FederatedUser
	WebIdentity
	SAML
	Service
)

// HasPolicies reports whether identity-based policies apply to the caller.
func (k Kind) HasPolicies() bool { return k == User || k == RoleSession || k == FederatedUser }

// Derive computes the keys that follow from the request itself. The values
// are those of the tables in the IAM User Guide's pages on policy variables
// ("Principal key values") and on global condition keys.
func (c *Comparer) Derive(k *Key) Found {
	caller := &c.Caller
	if c.Bare {
		return Found{}
	}
	switch k.derived {
	case notDerived:
	case keyPrincipalARN:
		return c.derivePrincipalARN()
	case keyPrincipalAccount:
		return c.always(string(caller.Self.Account), rule.KeyPrincipalAccount)
	case keyPrincipalType:
		return c.always(caller.Kind.principalType(), rule.KeyPrincipalType)
	case keyIsService:
		// "for all signed API requests that use AWS credentials"
		signed := caller.Kind.HasPolicies() || caller.Kind == Root || caller.Kind == Service
		return value(boolText(caller.Kind == Service), signed && !c.Off.Has(rule.KeyIsService))
	case keyServiceName:
		return value(caller.ServiceName, caller.Kind == Service && !c.Off.Has(rule.KeyServiceName))
	case keyUserID:
		return c.deriveUserID()
	case keyUsername:
		// Only IAM users have one: "not present" for all others in AWS's table.
		return value(caller.Self.Name(), caller.Kind == User && !c.Off.Has(rule.KeyUsername))
	case keyResourceAccount:
		return value(string(c.Owner), !c.Off.Has(rule.KeyResourceAccount))
	}
	return Found{}
}

func value(s string, ok bool) Found {
	if s == "" || !ok {
		return Found{}
	}
	return Found{Presence: Present, single: s, derived: true}
}

// always is the value of a key that AWS says is on every request. For
// anonymous callers it is "anonymous"; for services and bearers of tokens AWS
// does not say what it is.
func (c *Comparer) always(s string, r rule.Rule) Found {
	switch {
	case c.Off.Has(r):
		return Found{}
	case s == "" && c.Caller.Kind == Anonymous:
		return value("anonymous", true)
	case s == "":
		return Found{Presence: Unknown}
	}
	return value(s, true)
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// derivePrincipalARN gives aws:PrincipalArn: for a role session the ARN of the
// role, for everybody else the caller's own ARN, and nothing for callers that
// have not signed the request. What it is for services AWS does not say; none
// of the ARNs of roles and users that policies look for, which comes to the same.
func (c *Comparer) derivePrincipalARN() Found {
	a := c.Caller.Self
	if c.Caller.Kind == RoleSession && !c.Off.Has(rule.KeyPrincipalARN) {
		a = &c.Caller.Role
	}
	if a.IsZero() {
		return Found{}
	}
	b := appendARN(c.principalARN[:0], a)
	return Found{Presence: Present, single: View(b), derived: true}
}

func appendARN(b []byte, a *arn.ARN) []byte {
	owner := a.Owner
	if owner == "" {
		owner = string(a.Account)
	}
	b = append(append(b, "arn:"...), a.Partition...)
	b = append(append(b, ':'), a.Service...)
	b = append(append(b, ':'), a.Region...)
	b = append(append(b, ':'), owner...)
	return append(append(b, ':'), a.Resource...)
}

// principalType is the value of aws:PrincipalType.
func (k Kind) principalType() string {
	switch k {
	case Anonymous:
		return "Anonymous"
	case Root:
		return "Account"
	case User:
		return "User"
	case RoleSession:
		return "AssumedRole"
	case FederatedUser:
		return "FederatedUser"
	case WebIdentity, SAML, Service:
		return ""
	}
	return ""
}

// deriveUserID gives aws:userid. For anonymous callers AWS says both that it
// is "anonymous" (table of principal key values) and that it is not there
// (default values of policy variables), so it is not known.
func (c *Comparer) deriveUserID() Found {
	caller := &c.Caller
	switch {
	case c.Off.Has(rule.KeyUserID):
		return Found{}
	case caller.Kind == Anonymous:
		return Found{Presence: Unknown}
	case caller.ID == "" && caller.Kind == Root:
		return value(string(caller.Self.Account), true)
	case caller.ID == "" && caller.Kind.HasPolicies():
		return Found{Presence: Unknown}
	}
	return value(caller.ID, true)
}
