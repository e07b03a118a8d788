package compile

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/catalog"
)

// Names are derived from the declarations alone, so that either side of a
// relation can name the other before it exists.

// inlinePolicyNameSize is how long the name of an inline policy may be.
// Source: IAM API PutRolePolicy, PolicyName: at most 128 of [\w+=,.@-].
const inlinePolicyNameSize = 128

// hash is n base32 digits of the SHA-256 of parts, upper-case letters and
// digits only: a Sid may hold nothing else.
func hash(n int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])[:n]
}

// sid names a statement. It depends on what the statement is for, never on
// what it says, so that a changed statement takes the place of the old one.
func sid(parts ...string) string { return "Stile" + hash(16, parts...) }

// fit gives name, made of the characters IAM allows in names and at most
// size long; what had to be changed is told apart by a hash.
func fit(name string, size int) string {
	clean := strings.Map(func(r rune) rune {
		if isNameRune(r) {
			return r
		}
		return '-'
	}, name)
	if clean == name && len(name) <= size {
		return name
	}
	suffix := "-" + strings.ToLower(hash(8, name))
	return clean[:min(len(clean), size-len(suffix))] + suffix
}

// isNameRune reports whether IAM allows r in the names of roles and policies.
// Source: IAM API CreateRole, RoleName: [\w+=,.@-]+.
func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_+=,.@-", r)
}

func validRoleName(name string) bool {
	return name != "" && len(name) <= catalog.RoleNameSize && strings.IndexFunc(name, func(r rune) bool { return !isNameRune(r) }) < 0
}

// policyName is the inline policy that holds what one Access allows.
func policyName(accessName string) string {
	return fit("stile-"+accessName, inlinePolicyNameSize)
}

// callerPolicyName is the inline policy on a caller that the scope does not own.
func callerPolicyName(scope, callerARN string) string {
	suffix := "-" + strings.ToLower(hash(10, scope, callerARN))
	return fit("stile-"+scope, inlinePolicyNameSize-len(suffix)) + suffix
}

// roleName is the role an Access makes in its target accounts for a caller.
func roleName(set *access.Set, a *access.Access, c *access.Caller) string {
	if a.As != "" {
		return a.As
	}
	return fit(set.Scope.Prefix+callerStem(c), catalog.RoleNameSize)
}

// hubName is the role of a service account in its cluster's own account.
func hubName(set *access.Set, a *access.Access, c *access.Caller) string {
	if a.Hub != "" {
		return a.Hub
	}
	return fit(set.Scope.Prefix+callerStem(c)+"-hub", catalog.RoleNameSize)
}

// callerStem is what tells callers apart by name.
func callerStem(c *access.Caller) string {
	switch {
	case c.ServiceAccount != nil:
		return c.ServiceAccount.Cluster + "-" + c.ServiceAccount.Namespace + "-" + c.ServiceAccount.Name
	case c.Role != nil:
		return c.Role.Account + "-" + c.Role.Name
	case c.User != nil:
		return c.User.Account + "-user-" + c.User.Name
	}
	return ""
}
