package authz

import (
	"strings"

	"github.com/stile-aws/stile/arn"
)

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

// A contextKey is the name of a condition key, prepared for look-up.
type contextKey struct {
	name    string // lower case: names are compared without regard to case, tag keys in them too
	derived derivedKey
}

func newContextKey(name string, keepCase bool) contextKey {
	if !keepCase {
		name = strings.ToLower(name)
	}
	k := contextKey{name: name}
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

// presence is what is known of a key on a request.
type presence uint8

const (
	absent presence = iota
	present
	unknown
)

// found is what a request has under a key: a list, or one derived value.
type found struct {
	presence presence
	list     []string
	single   string
	derived  bool
}

func (f *found) len() int {
	switch {
	case f.presence != present:
		return 0
	case f.derived:
		return 1
	}
	return len(f.list)
}

func (f *found) at(i int) string {
	if f.derived {
		return f.single
	}
	return f.list[i]
}

// null reports whether the key has nothing but empty strings, which AWS calls
// a null data set.
func (f *found) null() bool {
	for i := range f.len() {
		if f.at(i) != "" {
			return false
		}
	}
	return true
}

// find is Get for a name in lower case.
func (c *Context) find(name string) (contextEntry, bool) {
	for i := range c.entries {
		if c.entries[i].key == name {
			return c.entries[i], true
		}
	}
	return contextEntry{}, false
}

// lookup gives what the request has under k.
func (e *evaluation) lookup(k *contextKey) found {
	if entry, ok := e.req.Context.find(k.name); ok {
		switch {
		case !entry.unknown:
			return found{presence: present, list: entry.values}
		case e.off.has(ruleUnknownKey):
			return found{}
		}
		return found{presence: unknown}
	}
	if k.derived == notDerived || e.bare {
		return found{}
	}
	return e.derive(k.derived)
}

// derive computes the keys that follow from the request itself. The values
// are those of the tables in the IAM User Guide's pages on policy variables
// ("Principal key values") and on global condition keys.
func (e *evaluation) derive(k derivedKey) found {
	p := &e.req.Principal
	switch k {
	case keyPrincipalARN:
		return e.derivePrincipalARN()
	case keyPrincipalAccount:
		return e.always(string(p.Account()), ruleKeyPrincipalAccount)
	case keyPrincipalType:
		return e.always(principalType(p.Kind), ruleKeyPrincipalType)
	case keyIsService:
		// "for all signed API requests that use AWS credentials"
		return value(boolText(p.Kind == Service), (p.signed() || p.Kind == Service) && !e.off.has(ruleKeyIsService))
	case keyServiceName:
		return value(p.ServiceName, p.Kind == Service)
	case keyUserID:
		return e.deriveUserID()
	case keyUsername:
		// Only IAM users have one: "not present" for all others in AWS's table.
		return value(p.ARN.Name(), p.Kind == User && !e.off.has(ruleKeyUsername))
	case keyResourceAccount:
		return value(string(e.owner), !e.off.has(ruleKeyResourceAccount))
	}
	return found{}
}

func value(s string, ok bool) found {
	if s == "" || !ok {
		return found{}
	}
	return found{presence: present, single: s, derived: true}
}

// always is the value of a key that AWS says is on every request. For
// anonymous callers it is "anonymous"; for services and bearers of tokens AWS
// does not say what it is.
func (e *evaluation) always(s string, r rule) found {
	switch {
	case e.off.has(r):
		return found{}
	case s == "" && e.req.Principal.Kind == Anonymous:
		return value("anonymous", true)
	case s == "":
		return found{presence: unknown}
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
// have not signed the request.
func (e *evaluation) derivePrincipalARN() found {
	p := &e.req.Principal
	a := &p.ARN
	if p.Kind == RoleSession && !e.off.has(ruleKeyPrincipalARN) {
		a = &e.role
	}
	if a.IsZero() {
		return found{}
	}
	b := appendARN(e.principalARN[:0], a)
	return found{presence: present, single: view(b), derived: true}
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
func principalType(k PrincipalKind) string {
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
func (e *evaluation) deriveUserID() found {
	p := &e.req.Principal
	switch {
	case e.off.has(ruleKeyUserID):
		return found{}
	case p.Kind == Anonymous:
		return found{presence: unknown}
	case p.ID == "" && p.Kind == Root:
		return value(string(p.Account()), true)
	case p.ID == "" && (p.Kind == User || p.Kind == RoleSession || p.Kind == FederatedUser):
		return found{presence: unknown}
	}
	return value(p.ID, true)
}
