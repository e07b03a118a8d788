package desk

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/mfa"
)

// ownCode enters the target's role with the user's key and a code for it alone. The
// role has its session name already.
func (d *Desk) ownCode(ctx context.Context, t *session.Target, region string) (*beginning, error) {
	cfg, err := load(ctx, region)
	if err != nil {
		return nil, err
	}
	u, err := d.proof(ctx, &t.Source)
	if err != nil {
		return nil, err
	}
	if device := t.Source.User.MFA; device.Code != session.TOTP && device.Code != session.Program {
		name := t.Session
		u.Code = func(ctx context.Context, refused error) (string, error) {
			if ctx.Value(asking{}) == nil || d.cfg.Person.Ask == nil {
				return "", &NeedLoginError{u.Name, name}
			}
			code, err := d.prompt(ctx, u.Name+" for session "+name+" alone", u.Serial, refused)
			if err != nil {
				return "", fmt.Errorf("%w; stile whoami %s at a terminal asks for it", err, name)
			}
			return code, nil
		}
	}
	role := t.Hops[0]
	t.Hops = nil
	return d.byCode(cfg, u, role)
}

// byCode enters a role with a user's key and a code for it alone.
func (d *Desk) byCode(cfg aws.Config, u mfa.User, role creds.Role) (*beginning, error) {
	p, err := mfa.Role(cfg, u, role)
	if err != nil {
		return nil, err
	}
	return &beginning{provider: p, ask: func(ctx context.Context) error {
		_, err := d.store.Wrap(p).Retrieve(context.WithValue(ctx, asking{}, true))
		return err
	}}, nil
}

// nameOwnCode names the session of the target's role after the person, for whose name
// AWS may have to be asked: with the key, which takes no code for that.
func (d *Desk) nameOwnCode(ctx context.Context, t *session.Target, region string) error {
	cfg, err := load(ctx, region)
	if err != nil {
		return err
	}
	name, err := d.sessionName(ctx, cfg, &beginning{provider: d.key(&t.Source)}, &t.Source)
	if err != nil {
		return err
	}
	nameHop(t, name)
	return nil
}

// knowOwnCode is nameOwnCode where the name is known already.
func (d *Desk) knowOwnCode(t *session.Target) bool {
	name := d.knownName(&beginning{provider: d.key(&t.Source)}, &t.Source)
	nameHop(t, name)
	return name != ""
}

func nameHop(t *session.Target, name string) {
	t.Hops = slices.Clone(t.Hops) // they are the caller's
	t.Hops[0].SessionName = name
}

// key is a user's access key as it is.
func (d *Desk) key(source *session.Source) creds.Provider {
	return creds.From("user "+source.Name, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) { return d.accessKey(ctx, source) }))
}
