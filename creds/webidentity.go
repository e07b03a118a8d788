package creds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Token is where a web identity's token comes from; it is read again for each
// fetch, as tokens are replaced while a program runs. The zero Token has none.
type Token struct {
	name string
	get  func(context.Context) (string, error)
}

// TokenFile is a token in a file, such as the one that
// AWS_WEB_IDENTITY_TOKEN_FILE names. Space around it is ignored.
func TokenFile(path string) Token {
	return Token{name: "file " + path, get: func(context.Context) (string, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("reading token: %w", err)
		}
		token := strings.TrimSpace(string(text))
		if token == "" {
			return "", fmt.Errorf("reading token: %s is empty", path)
		}
		return token, nil
	}}
}

// TokenFunc is a token that get makes or finds. The name must tell it from all
// other tokens in the same Cache.
func TokenFunc(name string, get func(context.Context) (string, error)) Token {
	return Token{name: name, get: get}
}

// String names the token's origin.
func (t Token) String() string { return "token of " + t.name }

// WebIdentity enters a role with a token of an OIDC issuer, such as a
// Kubernetes service account's. Make one with [NewWebIdentity].
type WebIdentity struct {
	client *sts.Client
	region string
	token  Token
	role   Role
	key    string
}

// NewWebIdentity makes a Provider that enters role with token. The STS client
// is made of cfg, whose Credentials are not used: the call is not signed.
func NewWebIdentity(cfg aws.Config, token Token, role Role) (*WebIdentity, error) {
	if token.get == nil {
		return nil, errors.New("preparing to assume role " + role.ARN + ": no token")
	}
	role = role.clone()
	role.SessionName = cmp.Or(role.SessionName, defaultSessionName)
	if err := role.checkWebIdentity(); err != nil {
		return nil, err
	}
	return &WebIdentity{client: newClient(cfg), region: cfg.Region, token: token, role: role, key: digest("WebIdentity", token.name, role)}, nil
}

// Retrieve reads the token and calls STS.
func (p *WebIdentity) Retrieve(ctx context.Context) (aws.Credentials, error) {
	token, err := p.token.get(ctx)
	if err != nil {
		return aws.Credentials{}, &Error{Role: p.role.ARN, Err: err}
	}
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(p.role.ARN), RoleSessionName: aws.String(p.role.SessionName), WebIdentityToken: aws.String(token),
		DurationSeconds: p.role.seconds(false), Policy: optional(p.role.Policy), PolicyArns: p.role.policyARNs(),
	}
	// Nobody has signed the call, so that it counts in the role's own account.
	out, err := within(ctx, accountOf(p.role.ARN), p.region, func(ctx context.Context) (*sts.AssumeRoleWithWebIdentityOutput, error) {
		return p.client.AssumeRoleWithWebIdentity(ctx, in)
	})
	if err != nil {
		return aws.Credentials{}, &Error{Role: p.role.ARN, Err: err}
	}
	return entered(out.Credentials, out.AssumedRoleUser, p.role.ARN)
}

// Key implements [Provider].
func (p *WebIdentity) Key() string { return p.key }

// SessionName is the name of the role sessions.
func (p *WebIdentity) SessionName() string { return p.role.SessionName }

// String names the role.
func (p *WebIdentity) String() string { return "credentials of " + p.role.ARN }

// Format prints as String, whatever the verb.
func (p *WebIdentity) Format(f fmt.State, _ rune) { fmt.Fprint(f, p.String()) }
