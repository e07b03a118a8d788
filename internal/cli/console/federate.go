package console

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
)

// asTheUser allows a federated session all that the user may do: what it may is
// what both the user's policies and this one allow (STS API reference,
// GetFederationToken).
const asTheUser = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// federated makes of a user's credentials some that can sign in: AWS takes those of
// roles and of federated users, not a user's key nor the session of an MFA code
// (IAM user guide, "Enable custom identity broker access to the AWS console"). ok is
// false for credentials that are of no user as far as is known here.
func (o *options) federated(ctx context.Context, cfg aws.Config, way *route.Way, c aws.Credentials) (out aws.Credentials, ok bool, err error) {
	how := session.Federation{Policy: asTheUser, Duration: o.duration}
	if c.SessionToken == "" {
		out, err = desk.Federate(ctx, cfg, c, how)
		return out, true, err
	}
	d, _, err := route.OpenDesk(o.streams)
	if err != nil {
		return c, false, err
	}
	defer d.Close()
	source := d.Book().Source(way.Caller)
	if source == nil || source.User == nil || source.User.MFA == nil || way.Role != "" {
		return c, false, nil
	}
	key, err := d.LongTerm(ctx, source)
	if err != nil {
		return c, true, err
	}
	o.streams.Note("stile: AWS signs in no session of an MFA code; the console is %s by the access key, and refuses what takes a code: enter a role for that", source.Name)
	out, err = desk.Federate(ctx, cfg, key, how)
	return out, true, err
}

// refused tells why AWS may have refused to sign in.
func refused(ctx context.Context, cfg aws.Config, c aws.Credentials, err error) error {
	cfg = cfg.Copy()
	cfg.Credentials = credentials.StaticCredentialsProvider{Value: c}
	who, problem := creds.Identify(ctx, cfg)
	if problem != nil || who.ARN.Type() != "user" {
		return err
	}
	return fmt.Errorf("signing in to the console: these are a session of user %s (GetSessionToken), and AWS signs in roles and federated users only: enter a role, stile console ACCOUNT/ROLE", who.ARN.Name())
}
