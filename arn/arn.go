// Package arn parses Amazon Resource Names and account ids once, at the edge,
// so that the rest of stile handles typed values.
//
// Start with [Parse] and [ParseAccountID]. The package knows the shape of an
// ARN and of the IAM and STS resources inside one; it does not know which
// resources a service has (see internal/catalog) and does not match patterns
// with wildcards (see package authz).
package arn

import (
	"errors"
	"fmt"
	"strings"
)

// ErrMalformed is wrapped by every parse error of this package.
var ErrMalformed = errors.New("malformed")

// ARN is a parsed Amazon Resource Name. The zero ARN is no ARN: IsZero
// reports true and String gives "".
type ARN struct {
	Partition string    // "aws", "aws-cn", "aws-us-gov", …
	Service   string    // "iam", "s3", …
	Region    string    // empty for global resources
	Account   AccountID // empty where the service leaves it out (S3 buckets) or writes "aws"
	Owner     string    // the account component as written; differs from Account only when it is not 12 digits ("aws")
	Resource  string    // everything after the fifth colon, colons and slashes included
}

// Parse parses s, which must have the six components of an ARN. Wildcards in
// any component are kept as they are written.
func Parse(s string) (ARN, error) {
	rest, ok := strings.CutPrefix(s, "arn:")
	if !ok {
		return ARN{}, fmt.Errorf("parsing ARN %q: %w: it must begin with \"arn:\"", s, ErrMalformed)
	}
	var parts [4]string
	for i := range parts {
		if parts[i], rest, ok = strings.Cut(rest, ":"); !ok {
			return ARN{}, fmt.Errorf("parsing ARN %q: %w: want arn:partition:service:region:account:resource", s, ErrMalformed)
		}
	}
	a := ARN{Partition: parts[0], Service: parts[1], Region: parts[2], Owner: parts[3], Resource: rest}
	if a.Partition == "" || a.Service == "" || a.Resource == "" {
		return ARN{}, fmt.Errorf("parsing ARN %q: %w: partition, service and resource must not be empty", s, ErrMalformed)
	}
	if id, err := ParseAccountID(parts[3]); err == nil {
		a.Account = id
	}
	return a, nil
}

// Is reports whether s parses as an ARN.
func Is(s string) bool {
	_, err := Parse(s)
	return err == nil
}

// String gives the ARN as AWS writes it.
func (a ARN) String() string {
	if a.IsZero() {
		return ""
	}
	owner := a.Owner
	if owner == "" {
		owner = string(a.Account)
	}
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + owner + ":" + a.Resource
}

// IsZero reports whether a is the zero ARN.
func (a ARN) IsZero() bool { return a == ARN{} }

// MarshalText writes a as String does.
func (a ARN) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote; empty text gives the zero ARN.
func (a *ARN) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = ARN{}
		return nil
	}
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// Type is what stands before the first slash or colon of the resource
// ("role", "secret", "table"), or "" when there is neither.
func (a ARN) Type() string {
	i := strings.IndexAny(a.Resource, "/:")
	if i < 0 {
		return ""
	}
	return a.Resource[:i]
}

// Name is the last part of an IAM path ("deploy" of role/ci/deploy), and for
// other resources everything after the type.
func (a ARN) Name() string {
	i := strings.IndexAny(a.Resource, "/:")
	if i < 0 {
		return a.Resource
	}
	rest := a.Resource[i+1:]
	if a.Service == "iam" && a.Type() != "oidc-provider" {
		if j := strings.LastIndexByte(rest, '/'); j >= 0 {
			return rest[j+1:]
		}
	}
	return rest
}

// Path is the IAM path of an IAM resource: "/" or "/a/b/".
func (a ARN) Path() string {
	_, rest, ok := strings.Cut(a.Resource, "/")
	if !ok {
		return "/"
	}
	j := strings.LastIndexByte(rest, '/')
	if j < 0 {
		return "/"
	}
	return "/" + rest[:j+1]
}

// RoleSession splits the resource of an STS assumed-role ARN,
// assumed-role/ROLE/SESSION. The role's path is not part of such an ARN.
func (a ARN) RoleSession() (role, session string, ok bool) {
	if a.Service != "sts" {
		return "", "", false
	}
	rest, found := strings.CutPrefix(a.Resource, "assumed-role/")
	if !found {
		return "", "", false
	}
	role, session, ok = strings.Cut(rest, "/")
	return role, session, ok && role != "" && session != ""
}

// IAM builds the ARN of an IAM resource: IAM("aws", id, "role", "/ci/", "deploy").
// An empty path means "/".
func IAM(partition string, account AccountID, kind, path, name string) ARN {
	if path == "" {
		path = "/"
	}
	return ARN{Partition: partition, Service: "iam", Account: account, Owner: string(account), Resource: kind + path + name}
}

// OIDCProvider is the ARN of an account's OIDC provider; url is without "https://".
func OIDCProvider(partition string, account AccountID, url string) ARN {
	return IAM(partition, account, "oidc-provider", "/", url)
}

// IsUniqueID reports whether s is the unique id of an IAM role or user, which
// AWS puts into policies in the place of the ARN of one that was deleted.
// Source: IAM guide reference_identifiers, "Understanding unique ID prefixes".
func IsUniqueID(s string) bool {
	return strings.HasPrefix(s, "AROA") || strings.HasPrefix(s, "AIDA")
}

// Root is the ARN that stands for a whole account in policies.
func Root(partition string, account AccountID) ARN {
	return ARN{Partition: partition, Service: "iam", Account: account, Owner: string(account), Resource: "root"}
}

// SessionARN is the ARN of a role session.
func SessionARN(partition string, account AccountID, role, session string) ARN {
	return ARN{Partition: partition, Service: "sts", Account: account, Owner: string(account), Resource: "assumed-role/" + role + "/" + session}
}

// AccountID is a 12-digit AWS account id. Values made by ParseAccountID are
// valid; the empty AccountID means "no account known".
type AccountID string

// ParseAccountID parses exactly twelve ASCII digits.
func ParseAccountID(s string) (AccountID, error) {
	if len(s) != 12 || strings.Trim(s, "0123456789") != "" {
		return "", fmt.Errorf("parsing account id %q: %w: want exactly 12 digits", s, ErrMalformed)
	}
	return AccountID(s), nil
}

// Valid reports whether id has twelve digits.
func (id AccountID) Valid() bool {
	_, err := ParseAccountID(string(id))
	return err == nil
}
