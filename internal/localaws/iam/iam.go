// Package iam is IAM on the local AWS: roles, users, groups, managed policies,
// access keys, virtual MFA devices, identity providers and instance profiles, with the quotas,
// names and errors that clients branch on.
//
// Start with [New]. The records are store.IAM's; this package is the control
// plane that owns them and reads its own writes, everybody else sees them one
// propagation delay later.
//
// Passwords, hardware MFA devices, certificates, SSH keys, credential reports and the
// policy simulator are not here: such calls answer NotImplemented.
package iam

import (
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// New returns the service.
func New() *service.Service {
	s := service.New("iam")
	registerRoles(s)
	registerUsers(s)
	registerKeys(s)
	registerGroups(s)
	registerInline(s)
	registerAttached(s)
	registerBoundaries(s)
	registerTags(s)
	registerPolicies(s)
	registerVersions(s)
	registerOIDC(s)
	registerSAML(s)
	registerProfiles(s)
	registerMFA(s)
	registerAccount(s)
	return s
}

// reader is an operation that reads, on the resource that resource names.
func reader[I, O any](resource func(*service.Call, *I) string, action string, handle func(*service.Call, *I) (*O, *wire.Error)) service.Op[I, O] {
	op := writer(resource, action, handle)
	op.ReadOnly = true
	return op
}

// writer is an operation that changes the resource that resource names.
func writer[I, O any](resource func(*service.Call, *I) string, action string, handle func(*service.Call, *I) (*O, *wire.Error)) service.Op[I, O] {
	return service.Op[I, O]{
		Access: func(c *service.Call, in *I) ([]gate.Access, *wire.Error) {
			return []gate.Access{onRecord(c, action, resource(c, in))}, nil
		},
		Handle: handle,
	}
}

// onRecord is the access to the record with an ARN, whether it exists or not.
func onRecord(c *service.Call, action, ref string) gate.Access {
	return gate.Access{Action: "iam:" + action, Resource: ref, Account: c.Account, ResourceTags: tagsAt(c, ref)}
}

// anywhere is the resource of operations without one.
func anywhere[I any](*service.Call, *I) string { return "*" }

// below is the resource of listings: AWS checks them against the kind and path
// prefix ("arn:aws:iam::111111111111:role/").
func below[I any](kind string, prefix func(*I) *string) func(*service.Call, *I) string {
	return func(c *service.Call, in *I) string {
		path := "/"
		if prefix != nil {
			if p := aws.ToString(prefix(in)); p != "" {
				path = p
			}
		}
		return arn.ARN{Partition: store.Partition, Service: "iam", Account: c.Account, Owner: string(c.Account), Resource: kind + path}.String()
	}
}

// encodeDocument is a policy document as IAM answers it: percent-encoded (RFC 3986).
func encodeDocument(text string) *string {
	return aws.String(strings.ReplaceAll(url.QueryEscape(text), "+", "%20"))
}

// at is the time of an answer; IAM tells whole seconds.
func at(t time.Time) *time.Time { return aws.Time(t.UTC().Truncate(time.Second)) }

func noSuchEntity(c *service.Call, format string, args ...any) *wire.Error {
	return c.Errorf("NoSuchEntityException", format, args...)
}

func alreadyExists(c *service.Call, format string, args ...any) *wire.Error {
	return c.Errorf("EntityAlreadyExistsException", format, args...)
}

func limitExceeded(c *service.Call, quota string, limit int) *wire.Error {
	return c.Errorf("LimitExceededException", "Cannot exceed quota for %s: %d", quota, limit)
}

func deleteConflict(c *service.Call, text string) *wire.Error {
	return c.Errorf("DeleteConflictException", "%s", text)
}

func invalidInput(c *service.Call, format string, args ...any) *wire.Error {
	return c.Errorf("InvalidInputException", format, args...)
}

// pathOf is a path with its default; wire.Validate has checked its form.
func pathOf(path *string) string {
	if p := aws.ToString(path); p != "" {
		return p
	}
	return "/"
}
