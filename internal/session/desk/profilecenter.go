package desk

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/idc"
)

// profileCenter is a profile whose credentials an Identity Center gives: by the same
// sign-in as a source's, which the SDK cannot do. Nil for profiles of any other shape.
func (d *Desk) profileCenter(ctx context.Context, shared *session.Shared, name string) (*beginning, error) {
	if !shared.ByCenter(name) {
		return nil, nil
	}
	p := shared.Profiles[name]
	account, role := p["sso_account_id"], p["sso_role_name"]
	for _, needed := range []string{"sso_account_id", "sso_role_name"} {
		if p[needed].Value == "" {
			return nil, fmt.Errorf("reading AWS profile %s: %s:%d: it has no %s; stile ls lists what there is", name, p[""].File, p[""].Line, needed)
		}
	}
	if !arn.AccountID(account.Value).Valid() {
		return nil, fmt.Errorf("reading AWS profile %s: %s:%d: sso_account_id %q: want 12 digits", name, account.File, account.Line, account.Value)
	}
	c, source, err := d.centerOfProfile(ctx, shared.Center(name))
	if err != nil {
		return nil, fmt.Errorf("reading AWS profile %s (%s:%d): %w", name, p[""].File, p[""].Line, err)
	}
	return &beginning{
		provider: c.Role(arn.AccountID(account.Value), role.Value),
		ask:      func(ctx context.Context) error { return d.signedIn(ctx, c, source) },
	}, nil
}

// profileReady is [Desk.Ready] of a profile, which needs a person for an Identity
// Center alone, as far as is known.
func (d *Desk) profileReady(ctx context.Context, name string) (ready bool, until time.Time) {
	shared, err := session.ReadShared(ProfileFiles(os.Getenv))
	base := shared.Beginning(name)
	if err != nil || !shared.ByCenter(base) {
		return true, time.Time{}
	}
	c, _, err := d.centerOfProfile(ctx, shared.Center(base))
	if err != nil {
		return false, time.Time{}
	}
	until, ready = c.Until()
	return ready, until
}

// centerOfProfile is where a profile's person is signed in: by the profile's own
// sign-in, which the AWS CLI shares, or by that of a source for the same Identity
// Center. Who is signed in nowhere will sign in to the former.
func (d *Desk) centerOfProfile(ctx context.Context, own *session.Source) (*idc.Client, *session.Source, error) {
	c, err := d.Center(ctx, own)
	if err != nil {
		return nil, nil, err
	}
	if _, ready := c.Until(); ready {
		return c, own, nil
	}
	for i := range d.cfg.Book.Sources {
		s := &d.cfg.Book.Sources[i]
		if s.IdentityCenter == nil || s.IdentityCenter.StartURL != own.IdentityCenter.StartURL {
			continue
		}
		other, err := d.Center(ctx, s)
		if err != nil {
			return nil, nil, err
		}
		if _, ready := other.Until(); ready {
			return other, s, nil
		}
	}
	return c, own, nil
}

// located says of a failure which profile it is, where it stands and what it needs:
// the SDK speaks of the service it asked.
type located struct {
	creds.Provider
	profile string
	shared  *session.Shared
}

// Retrieve implements aws.CredentialsProvider.
func (l located) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := l.Provider.Retrieve(ctx)
	if err == nil {
		return c, nil
	}
	return c, locate(l.shared, l.profile, err)
}

// locate adds to a failure of the SDK's which profile it is, where it stands and what
// it needs; to one that it says nothing of, where the profile begins.
func locate(shared *session.Shared, profile string, err error) error {
	kind := awserr.KindOf(err)
	if kind == awserr.Canceled {
		return err
	}
	p := shared.Profiles[profile]
	setting, needs := needsOf(p)
	if at := p[setting]; at.File != "" && setting != "" {
		return awserr.As(kind, fmt.Errorf("AWS profile %s, %s in %s:%d: %w; %s", profile, setting, at.File, at.Line, err, needs))
	}
	if at := p[""]; at.File != "" {
		return awserr.As(kind, fmt.Errorf("AWS profile %s in %s:%d: %w", profile, at.File, at.Line, err))
	}
	return err
}

// needsOf is the setting by which the SDK gets a profile's credentials, and what that
// takes; "" for those whose errors say it.
func needsOf(p map[string]session.Setting) (setting, needs string) {
	const source, file, center = "credential_source", "web_identity_token_file", "sso_session"
	switch {
	case p["aws_access_key_id"].Value != "":
		return "", ""
	case p[source].Value == "Environment":
		return source, "it takes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
	case p[source].Value == "EcsContainer":
		return source, "it takes a container of ECS or EKS, which sets AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI"
	case p[source].Value == "Ec2InstanceMetadata":
		if os.Getenv("AWS_EC2_METADATA_DISABLED") == "true" {
			return source, "AWS_EC2_METADATA_DISABLED is true, so that the instance is not asked: unset it"
		}
		return source, "it takes an EC2 instance with a role"
	case p[source].Value != "":
		return source, "want Environment, EcsContainer or Ec2InstanceMetadata"
	case p[center].Value != "" && p["sso_account_id"].Value+p["sso_role_name"].Value == "":
		return center, "it takes sso_account_id and sso_role_name too"
	case p[file].Value != "":
		return file, "it takes a token that the role's identity provider has issued, in " + p[file].Value
	}
	return "", ""
}
