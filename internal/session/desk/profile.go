package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/awsendpoint"
	"github.com/stile-aws/stile/internal/program"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/mfa"
	"github.com/stile-aws/stile/internal/surroundings"
)

// profile gives what the SDK makes of an AWS profile. What is kept of it is
// forgotten when the files change.
func (d *Desk) profile(ctx context.Context, name, region string) (*beginning, error) {
	if b, err := d.profileConsole(ctx, name, region); b != nil || err != nil {
		return b, err
	}
	var ask atomic.Pointer[asker]
	withCode := func(o *stscreds.AssumeRoleOptions) {
		serial := aws.ToString(o.SerialNumber)
		o.TokenProvider = func() (string, error) { return d.profileCode(ask.Load(), name, serial) }
	}
	shared, unread := session.ReadShared(ProfileFiles(os.Getenv))
	if loop := shared.Loop(name); loop != nil {
		at := shared.Profiles[loop[0]]["source_profile"]
		return nil, fmt.Errorf("AWS profiles lead in a circle, each the next one's source_profile: %s (%s:%d)", strings.Join(append(loop, loop[0]), ", "), at.File, at.Line)
	}
	cfg, err := load(ctx, region, append(awsendpoint.LoadOptions(withCode), config.WithSharedConfigProfile(shared.Written(name)), config.WithCredentialsProvider(nil))...)
	if missing, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return nil, fmt.Errorf("there is no AWS profile %q in %s", missing.Profile, strings.Join(ProfileFiles(os.Getenv), " or "))
	}
	switch {
	case unread != nil:
		return nil, unread
	case err != nil:
		return nil, locate(shared, name, err)
	}
	if err := program.Own(&cfg); err != nil {
		return nil, locate(shared, name, err)
	}
	if b, err := d.profileSession(ctx, shared, name, region); b != nil || err != nil {
		return b, err
	}
	if b, err := d.profileHop(ctx, shared, name, region); b != nil || err != nil {
		return b, err
	}
	if b, err := d.profileCenter(ctx, shared, name); b != nil || err != nil {
		return b, err
	}
	key := "AWS profile " + name + " in " + surroundings.Mark(os.Environ()) // which it may name, or a program of its
	for _, file := range ProfileFiles(os.Getenv) {
		if info, err := os.Stat(file); err == nil {
			key += fmt.Sprintf(" %s %d %d", file, info.Size(), info.ModTime().UnixNano())
		}
	}
	b := &beginning{provider: named{located{creds.From(key, cfg.Credentials), name, shared}, "credentials of AWS profile " + name}}
	if shared.MFA(name) == "" {
		return b, nil
	}
	b.ask = func(ctx context.Context) error {
		ask.Store(new(asker(func(serial string, refused error) (string, error) {
			return d.prompt(context.WithValue(ctx, asking{}, true), "AWS profile "+name, serial, refused)
		})))
		defer ask.Store(nil)
		_, err := d.store.Wrap(b.provider).Retrieve(ctx)
		return err
	}
	return b, nil
}

// asker asks a person for the code of a device: the SDK has no context for it.
type asker func(serial string, refused error) (string, error)

// profileCode asks for the code of a device that a profile names: when the person
// may be asked, never while its credentials are refreshed.
func (d *Desk) profileCode(ask *asker, name, serial string) (string, error) {
	if ask == nil || d.cfg.Person.Ask == nil {
		return "", &NeedCodeError{name}
	}
	var refused error
	for range mfaTries {
		code, err := (*ask)(serial, refused)
		if err != nil || mfa.Shaped(code) {
			return code, err
		}
		refused = mfa.ErrNoCode
	}
	return "", refused
}

// NeedCodeError means that an AWS profile's role takes an MFA code, and nobody
// can be asked for it.
type NeedCodeError struct {
	Profile string
}

// Error says what to do.
func (e *NeedCodeError) Error() string {
	return fmt.Sprintf("AWS profile %s takes an MFA code: go there at a terminal once, or make its user a source (stile sessions add NAME --user --mfa-serial ARN), whose one MFA session does for all roles", e.Profile)
}

// Unshared says that others may reach the person: see flight.Unshared.
func (e *NeedCodeError) Unshared() bool { return true }

// profileSession is a profile whose role takes the code of a device and is entered
// with the keys of another profile: by an MFA session, which serves all profiles of
// the device, or by a code of its own where it lasts more than an hour. Nil for profiles of any other shape.
func (d *Desk) profileSession(ctx context.Context, shared *session.Shared, name, region string) (*beginning, error) {
	p := shared.Profiles[name]
	serial, base := p["mfa_serial"].Value, p["source_profile"].Value
	keys := shared.Profiles[base]
	if serial == "" || p["role_arn"].Value == "" || keys["aws_access_key_id"].Value == "" || keys["aws_session_token"].Value != "" {
		return nil, nil
	}
	cfg, err := load(ctx, cmp.Or(p["region"].Value, region))
	if err != nil {
		return nil, err
	}
	long := aws.Credentials{AccessKeyID: keys["aws_access_key_id"].Value, SecretAccessKey: keys["aws_secret_access_key"].Value, Source: "stile"}
	u := mfa.User{
		Name: "AWS profile " + base, Serial: serial, Mark: mfa.MarkOf(long.AccessKeyID), Tries: mfaTries,
		Keys: func(context.Context) (aws.Credentials, error) { return long, nil },
		Code: func(ctx context.Context, refused error) (string, error) {
			if ctx.Value(asking{}) == nil || d.cfg.Person.Ask == nil {
				return "", &NeedCodeError{name}
			}
			return d.prompt(ctx, "AWS profile "+base, serial, refused)
		},
	}
	if command := cmp.Or(p["mfa_process"].Value, keys["mfa_process"].Value); command != "" { // as aws-vault has it
		u.Code = func(ctx context.Context, refused error) (string, error) {
			return d.byProgram(ctx, command, "AWS profile "+base, refused)
		}
	}
	if role := profileRole(p, filepath.Base(serial)); role.Duration > creds.ChainedDuration {
		return d.byCode(cfg, u, role)
	}
	opened := d.store.Wrap(mfa.Session(cfg, u))
	entered, err := d.enterProfile(cfg, name, p, opened, filepath.Base(serial))
	if err != nil {
		return nil, err
	}
	ask := func(ctx context.Context) error {
		if e, ok := d.store.Get(opened.Key()); ok && e.Good(time.Now()) {
			return nil
		}
		_, err := opened.Retrieve(context.WithValue(ctx, asking{}, true))
		return err
	}
	return &beginning{provider: entered, ask: ask}, nil
}

// profileHop is a profile whose role is entered from another profile without a
// code: a hop of its own for each, so that what lies before it is shared with all
// who come by, and the code of a device down there is asked for once. Nil for
// profiles of any other shape. The SDK has read the chain before, and found
// neither loops in it nor what is missing.
func (d *Desk) profileHop(ctx context.Context, shared *session.Shared, name, region string) (*beginning, error) {
	p := shared.Profiles[name]
	base := p["source_profile"].Value
	if p["role_arn"].Value == "" || base == "" || base == name || p["mfa_serial"].Value != "" {
		return nil, nil
	}
	from, err := d.profileBase(ctx, shared, base, region)
	if err != nil {
		return nil, err
	}
	cfg, err := load(ctx, cmp.Or(p["region"].Value, region))
	if err != nil {
		return nil, err
	}
	known := base
	if n, ok := from.provider.(interface{ SessionName() string }); ok {
		known = cmp.Or(n.SessionName(), base)
	}
	entered, err := d.enterProfile(cfg, name, p, d.store.Wrap(from.provider), known)
	if err != nil {
		return nil, err
	}
	return &beginning{provider: entered, ask: from.ask}, nil
}

// profileBase is a profile that others are entered from: its keys come before its
// role then.
func (d *Desk) profileBase(ctx context.Context, shared *session.Shared, name, region string) (*beginning, error) {
	p := shared.Profiles[name]
	id := p["aws_access_key_id"].Value
	if id == "" {
		return d.profile(ctx, name, region)
	}
	keys := aws.Credentials{AccessKeyID: id, SecretAccessKey: p["aws_secret_access_key"].Value, SessionToken: p["aws_session_token"].Value, Source: "stile"}
	provider := creds.From("access key "+mfa.MarkOf(id), aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil }))
	return &beginning{provider: named{provider, "access key of AWS profile " + name}}, nil
}

// enterProfile enters the role of profile name from another's credentials. known is the
// session's name where the profile has none.
func (d *Desk) enterProfile(cfg aws.Config, name string, p map[string]session.Setting, from creds.Provider, known string) (creds.Provider, error) {
	entered, err := creds.NewAssumeRole(cfg, d.cache.Of(from), profileRole(p, known))
	if err != nil {
		return nil, fmt.Errorf("reading AWS profile %s: %w", name, err)
	}
	return entered, nil
}

// profileRole is the role of a profile. known is as enterProfile has it.
func profileRole(p map[string]session.Setting, known string) creds.Role {
	role := creds.Role{ARN: p["role_arn"].Value, ExternalID: p["external_id"].Value, SessionName: cmp.Or(p["role_session_name"].Value, creds.SessionName(known))}
	if n, err := strconv.Atoi(p["duration_seconds"].Value); err == nil {
		role.Duration = time.Duration(n) * time.Second
	}
	return role
}
