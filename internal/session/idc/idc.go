// Package idc is a client of IAM Identity Center for one person: signing in,
// what there is, and credentials for it.
//
// Start with [New]. [Client.Login] is the only call that needs the person;
// everything else uses the token that it left, which is refreshed before it
// ends, once, however many processes find it old. Tokens and registrations are
// kept where and as the AWS CLI keeps them, so that one sign-in serves both.
package idc

import (
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	ssotypes "github.com/aws/aws-sdk-go-v2/service/sso/types"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/session"
)

// Config says where things are kept. AWS and the directories are required.
type Config struct {
	AWS      aws.Config // endpoint and HTTP client; its Region and Credentials are not used
	TokenDir string     // the AWS CLI's, ~/.aws/sso/cache
	CacheDir string     // for what Identity Center lists
	LockDir  string     // the same for all processes of a person
	// Note tells the person a line, such as that a token could not be kept. Default:
	// nobody is told.
	Note func(text string)
}

// SignedOutError means that the person has to sign in.
type SignedOutError struct {
	Source string
}

// Error says what to run.
func (e *SignedOutError) Error() string {
	return fmt.Sprintf("not signed in to %s: run stile login %s", e.Source, e.Source)
}

// Client is one source's. Safe for concurrent use.
type Client struct {
	cfg    Config
	name   string
	center session.IdentityCenter
	oidc   *ssooidc.Client
	portal *sso.Client

	mu     sync.Mutex // guards unkept
	unkept *unkept    // the last token that could not be written
}

// attempts is how often a call is made that the portal throttles: others use its
// 20 requests a second too.
const attempts = 8

// New makes a client for a source, which must be an Identity Center.
func New(cfg Config, source *session.Source) *Client {
	center := *source.IdentityCenter
	at := cfg.AWS.Copy()
	at.Region, at.Credentials = center.Region, aws.AnonymousCredentials{}
	return &Client{
		cfg: cfg, name: source.Name, center: center,
		oidc: ssooidc.NewFromConfig(at),
		portal: sso.NewFromConfig(at, func(o *sso.Options) {
			o.Retryer = retry.AddWithMaxAttempts(retry.AddWithMaxBackoffDelay(o.Retryer, 2*time.Second), attempts)
		}),
	}
}

// scopes are what to ask for when the source names none. Without any there would
// be no refresh token (aws-cli#7656).
func (c *Client) scopes() []string {
	if len(c.center.Scopes) == 0 {
		return []string{"sso:account:access"}
	}
	return c.center.Scopes
}

// id names the source in files.
func (c *Client) id() string { return hash(c.name + " " + c.center.StartURL) }

// hash is how the AWS CLI makes file names.
func hash(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Role is a provider of the credentials of a permission set in an account. It
// asks nobody; SignedOutError is its error when somebody has to sign in.
func (c *Client) Role(account arn.AccountID, name string) creds.Provider {
	key := fmt.Sprintf("%s/%s by identity center %s (%s)", account, name, c.name, c.center.StartURL)
	return creds.From(key, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		return c.credentials(ctx, account, name)
	}))
}

func (c *Client) credentials(ctx context.Context, account arn.AccountID, name string) (aws.Credentials, error) {
	var out *sso.GetRoleCredentialsOutput
	err := c.call(ctx, func(ctx context.Context, token *string) (err error) {
		out, err = c.portal.GetRoleCredentials(ctx, &sso.GetRoleCredentialsInput{
			AccessToken: token, AccountId: aws.String(string(account)), RoleName: aws.String(name),
		})
		return err
	})
	if err != nil {
		return aws.Credentials{}, c.explain(ctx, account, name, err)
	}
	got := out.RoleCredentials
	if got == nil || aws.ToString(got.AccessKeyId) == "" || got.Expiration == 0 {
		return aws.Credentials{}, fmt.Errorf("getting credentials for %s/%s: Identity Center answered without any", account, name)
	}
	return aws.Credentials{
		AccessKeyID: *got.AccessKeyId, SecretAccessKey: aws.ToString(got.SecretAccessKey), SessionToken: aws.ToString(got.SessionToken),
		CanExpire: true, Expires: time.UnixMilli(got.Expiration).UTC(), AccountID: string(account), Source: "stile",
	}, nil
}

// explain says which roles there are, for Identity Center says only no.
func (c *Client) explain(ctx context.Context, account arn.AccountID, name string, err error) error {
	what := fmt.Sprintf("getting credentials for %s/%s", account, name)
	if !refusedBy(err, "ForbiddenException") {
		return fmt.Errorf("%s: %w", what, err)
	}
	roles, lookErr := c.Roles(ctx, account, time.Minute)
	switch {
	case lookErr != nil || len(roles) == 0:
		return fmt.Errorf("%s: %s has no permission set for you in this account: %w", what, c.name, err)
	case !strings.Contains(" "+strings.Join(roles, " ")+" ", " "+name+" "):
		return fmt.Errorf("%s: you have no permission set %s there, but %s", what, name, strings.Join(roles, ", "))
	}
	return fmt.Errorf("%s: Identity Center refuses, though you have it: the role's trust policy or a control policy may: %w", what, err)
}

// call makes a call of the portal with the token, and once again when AWS does
// not take it any more.
func (c *Client) call(ctx context.Context, do func(context.Context, *string) error) error {
	for first := true; ; first = false {
		token, err := c.Token(ctx)
		if err != nil {
			return err
		}
		if err := c.pace(ctx); err != nil {
			return err
		}
		err = do(ctx, aws.String(token.Access))
		var gone *ssotypes.UnauthorizedException
		if !errors.As(err, &gone) {
			return err
		}
		if err := c.rejected(ctx, token); err != nil || !first {
			return cmp.Or[error](err, &SignedOutError{c.name})
		}
	}
}

// Logout ends the sign-in, at AWS too, and removes the token.
func (c *Client) Logout(ctx context.Context) error {
	token, ok := c.read()
	if !ok {
		return nil
	}
	_, err := c.portal.Logout(ctx, &sso.LogoutInput{AccessToken: aws.String(token.Access)})
	var gone *ssotypes.UnauthorizedException
	if errors.As(err, &gone) || !time.Now().Before(token.Expires) {
		err = nil
	}
	return errors.Join(err, c.remove(ctx))
}

func (c *Client) tokenPath() string { return filepath.Join(c.cfg.TokenDir, hash(c.name)+".json") }
