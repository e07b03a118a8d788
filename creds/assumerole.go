package creds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/arn"
)

// AssumeRole enters a role with the credentials of another Provider. Make one
// with [NewAssumeRole].
type AssumeRole struct {
	client *sts.Client
	region string
	source Provider
	role   Role
	key    string
}

// NewAssumeRole makes a Provider that enters role with the credentials of
// source. The STS client is made of cfg, whose Credentials are not used.
func NewAssumeRole(cfg aws.Config, source Provider, role Role) (*AssumeRole, error) {
	role = role.clone()
	if role.SessionName == "" {
		role.SessionName = cmp.Or(sessionNameOf(source), defaultSessionName)
	}
	if role.SourceIdentity == CallerName {
		role.SourceIdentity = cmp.Or(sessionNameOf(source), role.SessionName)
		if sourceIdentityOf(source) != "" {
			role.SourceIdentity = "" // AWS takes it along
		}
	}
	if err := role.check(); err != nil {
		return nil, err
	}
	return &AssumeRole{
		client: newClient(cfg), region: cfg.Region, source: source, role: role,
		key: digest("AssumeRole", source.Key(), role),
	}, nil
}

func sessionNameOf(source Provider) string {
	if n, ok := source.(namer); ok {
		return n.SessionName()
	}
	return ""
}

func sourceIdentityOf(source Provider) string {
	if s, ok := source.(identified); ok {
		return s.SourceIdentity()
	}
	return ""
}

// newClient makes an STS client whose attempts follow each other closely: the
// time between fetches is the Cache's to choose, and what to do when STS
// throttles is its budget's.
func newClient(cfg aws.Config) *sts.Client {
	return sts.NewFromConfig(cfg, func(o *sts.Options) {
		o.Credentials = aws.AnonymousCredentials{}
		o.Retryer = patient{retry.AddWithMaxBackoffDelay(o.Retryer, time.Second)}
	})
}

// patient does not repeat what was throttled.
type patient struct{ aws.Retryer }

func (p patient) IsErrorRetryable(err error) bool {
	return !throttled(err) && p.Retryer.IsErrorRetryable(err)
}

// Retrieve calls STS. When STS no longer accepts the source's credentials, as
// after a role was deleted and made again, they are renewed, once.
func (p *AssumeRole) Retrieve(ctx context.Context) (aws.Credentials, error) {
	by, err := p.source.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	out, err := p.call(ctx, by)
	if Refused(err) && p.renew(ctx, by.AccessKeyID, err) {
		if by, err = p.source.Retrieve(ctx); err != nil {
			return aws.Credentials{}, err
		}
		out, err = p.call(ctx, by)
	}
	if err != nil {
		return aws.Credentials{}, &Error{Role: p.role.ARN, Err: err}
	}
	return entered(out.Credentials, out.AssumedRoleUser, p.role.ARN)
}

// renew gets other credentials of the source, and reports whether it has any.
func (p *AssumeRole) renew(ctx context.Context, accessKeyID string, refusal error) bool {
	switch source := p.source.(type) {
	case *Cached:
		return source.Renew(ctx, accessKeyID, refusal)
	case invalidator:
		source.Invalidate(accessKeyID)
		return true
	}
	return false
}

func (p *AssumeRole) call(ctx context.Context, by aws.Credentials) (*sts.AssumeRoleOutput, error) {
	in := &sts.AssumeRoleInput{
		RoleArn: aws.String(p.role.ARN), RoleSessionName: aws.String(p.role.SessionName),
		DurationSeconds: p.role.seconds(temporary(by)),
		ExternalId:      optional(p.role.ExternalID), SourceIdentity: optional(p.role.SourceIdentity),
		Tags: p.role.tags(), TransitiveTagKeys: p.role.TransitiveTags,
		Policy: optional(p.role.Policy), PolicyArns: p.role.policyARNs(),
	}
	if m := p.role.MFA; m != nil {
		code, err := m.Code(ctx)
		if err != nil {
			return nil, fmt.Errorf("asking for the code of MFA device %s: %w", m.Serial, err)
		}
		in.SerialNumber, in.TokenCode = aws.String(m.Serial), aws.String(code)
	}
	return within(ctx, cmp.Or(by.AccountID, p.source.Key()), p.region, func(ctx context.Context) (*sts.AssumeRoleOutput, error) {
		return p.client.AssumeRole(ctx, in, func(o *sts.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return by, nil })
		})
	})
}

// asksPeople reports that fetching takes a person, so that nothing is fetched
// before somebody needs it.
func (p *AssumeRole) asksPeople() bool { return p.role.MFA != nil }

// Key implements [Provider].
func (p *AssumeRole) Key() string { return p.key }

// SessionName is the name of the role sessions.
func (p *AssumeRole) SessionName() string { return p.role.SessionName }

// SourceIdentity is that of the role sessions, "" where none is known of.
func (p *AssumeRole) SourceIdentity() string {
	return cmp.Or(p.role.SourceIdentity, sourceIdentityOf(p.source))
}

// String names the role.
func (p *AssumeRole) String() string { return "credentials of " + p.role.ARN }

// Format prints as String, whatever the verb.
func (p *AssumeRole) Format(f fmt.State, _ rune) { fmt.Fprint(f, p.String()) }

// temporary reports credentials of a session. Source: IAM guide
// reference_identifiers, unique identifiers: ASIA begins the access key ids of
// temporary credentials, AKIA those of users.
func temporary(c aws.Credentials) bool { return strings.HasPrefix(c.AccessKeyID, "ASIA") }

// Refused reports that AWS does not accept the credentials a call was signed
// with, whatever they would be allowed: they expired, whose they are is gone, or
// the Region is one that their account has not enabled. Source: STS API
// reference, common errors; IAM guide, "Managing AWS STS in an AWS Region".
func Refused(err error) bool {
	if Expired(err) {
		return true
	}
	code := codeOf(err)
	return code == "InvalidClientTokenId" || code == "UnrecognizedClientException"
}

// Expired reports that AWS does not accept the credentials a call was signed
// with for their age, which it says of no others.
func Expired(err error) bool {
	code := codeOf(err)
	return code == "ExpiredToken" || code == "ExpiredTokenException"
}

func codeOf(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	return api.ErrorCode()
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// origin is what the credentials name as their source in the SDK's own errors.
const origin = "stile"

// FromSTS makes credentials of an answer of STS that are of an account, "" where
// that is not known. Whoever asks STS beside the Providers here keeps to one form
// by it.
func FromSTS(c *types.Credentials, account string) (aws.Credentials, error) {
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" || c.Expiration == nil {
		return aws.Credentials{}, errors.New("STS answered without credentials")
	}
	return aws.Credentials{
		AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: aws.ToString(c.SessionToken),
		CanExpire: true, Expires: *c.Expiration, AccountID: account, Source: origin,
	}, nil
}

// entered makes credentials of the answer for a role.
func entered(c *types.Credentials, user *types.AssumedRoleUser, role string) (aws.Credentials, error) {
	account := ""
	if user != nil {
		if a, err := arn.Parse(aws.ToString(user.Arn)); err == nil {
			account = string(a.Account)
		}
	}
	out, err := FromSTS(c, account)
	if err != nil {
		return aws.Credentials{}, &Error{Role: role, Err: err}
	}
	return out, nil
}
