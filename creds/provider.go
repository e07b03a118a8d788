package creds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Provider is an aws.CredentialsProvider that knows what it asks for. Retrieve
// fetches anew each time; put it into a [Cache]. Safe for concurrent use.
type Provider interface {
	aws.CredentialsProvider
	// Key is equal for providers that make the same request, and different for
	// all others. It holds no secret.
	Key() string
}

// A namer is a Provider whose sessions carry a name, which the next hop of a
// chain takes over.
type namer interface{ SessionName() string }

// An identified Provider gives sessions with a source identity.
type identified interface{ SourceIdentity() string }

// An invalidator is a Provider that can forget a credential that AWS refuses.
type invalidator interface{ Invalidate(accessKeyID string) bool }

// Error is a role that could not be entered. Err is what STS answered, or why
// it could not be asked.
type Error struct {
	Role string // ARN
	Err  error
}

// Error names the role, then the cause.
func (e *Error) Error() string { return fmt.Sprintf("assuming role %s: %v", e.Role, e.Err) }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// From makes a Provider of one from elsewhere, such as the default chain of an
// aws.Config. The key must tell it from all others in the same Cache. An
// aws.CredentialsCache, which config.LoadDefaultConfig gives, is made to fetch
// anew each time, so that credentials are refreshed when a [Cache] wants it and
// not when the SDK's cache does.
func From(key string, p aws.CredentialsProvider) Provider {
	return &named{CredentialsProvider: p, key: key}
}

type named struct {
	aws.CredentialsProvider
	key string
}

func (n *named) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if cache, ok := n.CredentialsProvider.(*aws.CredentialsCache); ok {
		cache.Invalidate()
	}
	return n.CredentialsProvider.Retrieve(ctx)
}

// Invalidate passes on that AWS refuses a credential, to a provider that keeps some.
func (n *named) Invalidate(accessKeyID string) bool {
	keeper, ok := n.CredentialsProvider.(invalidator)
	return ok && keeper.Invalidate(accessKeyID)
}

func (n *named) Key() string    { return digest("from", n.key) }
func (n *named) String() string { return "credentials of " + n.key }

// Format keeps what the provider holds out of every verb.
func (n *named) Format(f fmt.State, _ rune) { fmt.Fprint(f, n.String()) }

// digest is a key over parts. JSON keeps the parts apart and sorts maps.
func digest(parts ...any) string {
	text, err := json.Marshal(parts)
	if err != nil {
		panic("creds: key of a value that is no data: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
