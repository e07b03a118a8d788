// Package organizations is AWS Organizations in the local AWS: the one
// organization of a World, its tree of OUs and accounts, its service and
// resource control policies.
//
// Start with [New]. What is written here package gate enforces on every
// request, one propagation delay later: the policies attached from the root
// down to the caller's account (service control) and to the resource's
// (resource control).
//
// Operations are checked in this order: is the caller allowed by IAM, is its
// account in the organization, may that account do this (the management account
// everything, delegated administrators read, members see the organization).
//
// A World has one organization. There are no invitations, no closing of accounts, no
// delegation by resource policy, and no policy types that decide on no request.
package organizations

import (
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// New returns the Organizations service.
func New() *service.Service {
	s := service.New("organizations")
	registerOrganization(s)
	registerTrust(s)
	registerAccounts(s)
	registerTree(s)
	registerPolicies(s)
	registerAttachments(s)
	registerTags(s)
	return s
}

// rank is what an account may be at least to call an operation.
type rank uint8

const (
	management rank = iota
	reader          // or a delegated administrator
	member          // or any account of the organization
)

// call is a call within the organization.
type call struct {
	*service.Call
	org *store.Organization
}

// op is an operation within the organization.
type op[I, O any] struct {
	rank     rank
	readOnly bool
	// access has what the operation is about, beside its action; nil: "*".
	access func(c call, in *I) []gate.Access
	handle func(c call, in *I) (*O, *wire.Error)
}

func register[I, O any](s *service.Service, name string, o op[I, O]) {
	service.Register(s, name, service.Op[I, O]{
		ReadOnly: o.readOnly,
		Access: func(c *service.Call, in *I) ([]gate.Access, *wire.Error) {
			accesses := []gate.Access{{Resource: "*"}}
			if org := c.World.Organization; o.access != nil && org != nil && org.Members[c.Account] != nil {
				accesses = o.access(call{c, org}, in)
			}
			for i := range accesses {
				if accesses[i].Action == "" {
					accesses[i].Action = "organizations:" + name
				}
				// The organization's resources take the caller's own policies only.
				accesses[i].Account = c.Account
			}
			return accesses, nil
		},
		Handle: func(c *service.Call, in *I) (*O, *wire.Error) {
			org, e := admit(c, o.rank)
			if e != nil {
				return nil, e
			}
			return o.handle(call{c, org}, in)
		},
	})
}

// admit checks that the caller's account may call an operation at all.
func admit(c *service.Call, least rank) (*store.Organization, *wire.Error) {
	org := c.World.Organization
	if org == nil || org.Members[c.Account] == nil {
		return nil, c.Errorf("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
	}
	allowed := c.Account == org.Management
	switch least {
	case management:
	case reader:
		allowed = allowed || len(org.Delegated[c.Account]) > 0
	case member:
		allowed = true
	}
	if !allowed {
		return nil, c.Errorf("AccessDeniedException", "You don't have permissions to access this resource.")
	}
	return org, nil
}

// constraint is a ConstraintViolationException with its reason.
func (c call) constraint(reason, format string, args ...any) *wire.Error {
	return c.reasoned("ConstraintViolationException", reason, format, args...)
}

// invalid is an InvalidInputException with its reason.
func (c call) invalid(reason, format string, args ...any) *wire.Error {
	return c.reasoned("InvalidInputException", reason, format, args...)
}

func (c call) reasoned(code, reason, format string, args ...any) *wire.Error {
	e := c.Errorf(code, format, args...)
	e.Fields = map[string]any{"Reason": reason}
	return e
}

// on is the access to a root, OU, account or policy by its id; "*" for ids of
// nothing, so that callers who may do it anywhere learn that it does not exist.
func (c call) on(id *string) gate.Access {
	name := aws.ToString(id)
	a := gate.Access{Resource: "*"}
	if t := c.target(name); t != nil {
		a.Resource, a.ResourceTags = t.arn, *t.tags
		return a
	}
	if p := c.policy(name); p != nil {
		a.Resource, a.ResourceTags = p.arn, p.Tags
		a.Context = map[string][]string{"organizations:PolicyType": {p.Type}}
	}
	return a
}
