package authz

import (
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz/internal/condition"
)

// PrincipalKind is the kind of caller. The kinds differ in which policies
// apply to them and in how resource policies name them.
type PrincipalKind uint8

// The kinds of principal.
const (
	Anonymous     PrincipalKind = iota // an unsigned request
	Root                               // an account's root user
	User                               // an IAM user
	RoleSession                        // a session made by sts:AssumeRole*
	FederatedUser                      // a session made by sts:GetFederationToken
	WebIdentity                        // the bearer of an OIDC token, before it has a session
	SAML                               // the bearer of a SAML assertion, before it has a session
	Service                            // an AWS service, calling for itself
)

// The comparer knows the same kinds.
const _ = uint(PrincipalKind(condition.Service)-Service) + uint(Service-PrincipalKind(condition.Service))

// Principal is who makes a request.
type Principal struct {
	Kind PrincipalKind
	// ARN is the caller as AWS logs it: the user, the root user, or the sts
	// ARN of a session. Zero for anonymous, web identity, SAML and services.
	ARN arn.ARN
	// Entity is the IAM entity behind a session: the role (with its path) of a
	// RoleSession, the user of a FederatedUser. For others it is zero. A
	// RoleSession without it is taken to be of a role without a path.
	Entity arn.ARN
	// ID is the unique id as aws:userid has it: "AIDA…", or "AROA…:session".
	ID string
	// EntityID is the unique id of the user behind a FederatedUser ("AIDA…"),
	// which is how AWS stores the user in policies that name it. For others the
	// ID has it.
	EntityID string
	// Provider is the ARN of the OIDC or SAML provider of a WebIdentity or SAML caller.
	Provider arn.ARN
	// ServiceName is the service principal of a Service caller
	// ("ec2.amazonaws.com"), or the name of a built-in web identity provider
	// that has no ARN ("accounts.google.com").
	ServiceName string
	// ServiceLinked is set for sessions of service-linked roles, which SCPs and RCPs never affect.
	ServiceLinked bool
	// Management is set when the caller's account is its organization's
	// management account, which SCPs never affect.
	Management bool
}

// Account is the account the caller belongs to; "" for anonymous callers,
// services and bearers of tokens.
func (p *Principal) Account() arn.AccountID { return p.ARN.Account }

// Request is one API request, as far as authorization sees it.
type Request struct {
	Principal Principal
	Action    string // "dynamodb:GetItem"; compared without regard to case
	// Resource is the ARN the action is on, or "*" for actions without resource-level permissions.
	Resource string
	// ResourceAccount owns the resource. "" means: the account of the ARN, or
	// the caller's own account where the ARN has none.
	ResourceAccount arn.AccountID
	// ResourceManagement is set when the resource's account is its
	// organization's management account, whose resources RCPs never affect.
	ResourceManagement bool
	// ResourceAWSManaged is set for KMS keys that AWS manages (alias/aws/…),
	// which RCPs never affect.
	ResourceAWSManaged bool
	// Context has the condition keys of the request. Keys that follow from the
	// principal and the resource (aws:PrincipalArn, aws:PrincipalAccount,
	// aws:PrincipalType, aws:PrincipalIsAWSService, aws:PrincipalServiceName,
	// aws:userid, aws:username, aws:ResourceAccount) are derived unless Context
	// sets them. Values of binary keys are base64, as in a policy.
	Context Context
}

// Context holds the condition keys of a request. The zero Context is empty and
// every key absent. A key that is neither set nor marked unknown is absent, as
// on a real request. Not safe for concurrent writes.
type Context struct {
	keys condition.Context
}

// Set gives key its values; a later Set replaces an earlier one. No value at
// all means present but empty, which AWS treats as null.
func (c *Context) Set(key string, values ...string) { c.keys.Set(key, values...) }

// SetUnknown marks key as one whose presence and value are not known: whatever
// depends on it makes the decision Unknown.
func (c *Context) SetUnknown(key string) { c.keys.SetUnknown(key) }

// Get returns the values of key. present is false for absent keys, known is
// false for keys marked unknown.
func (c *Context) Get(key string) (values []string, present, known bool) {
	entry, given := c.keys.Find(strings.ToLower(key))
	if !given {
		return nil, false, true
	}
	return entry.Values, !entry.Unknown, !entry.Unknown
}

// All calls yield for each key that is set or unknown, in the order set and as
// it was written then.
func (c *Context) All(yield func(key string, values []string, known bool) bool) {
	for _, e := range c.keys.Entries {
		if !yield(e.Written, e.Values, !e.Unknown) {
			return
		}
	}
}

// CopyFrom makes c an independent copy of other, in the room that c has.
func (c *Context) CopyFrom(other *Context) {
	c.keys.Entries = append(c.keys.Entries[:0], other.keys.Entries...)
}

// Clone gives an independent copy.
func (c *Context) Clone() Context { return Context{keys: c.keys.Clone()} }
