package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/idc"
	"github.com/stile-aws/stile/internal/session/signin"
)

// loginDirEnv says where the AWS CLI keeps what `aws login` gave.
const loginDirEnv = "AWS_LOGIN_CACHE_DIRECTORY"

// loginDir is where the AWS CLI keeps sign-ins to the console.
func loginDir(paths *session.Paths) string {
	own := os.ExpandEnv(os.Getenv(loginDirEnv))
	aws := filepath.Dir(filepath.Dir(paths.Tokens)) // ~/.aws
	if rest, ok := strings.CutPrefix(own, "~/"); ok {
		return filepath.Join(filepath.Dir(aws), rest)
	}
	return cmp.Or(own, filepath.Join(aws, "login", "cache"))
}

// console is the client of a source that is a sign-in to the console, its own or
// its profile's; nil for other sources.
func (d *Desk) console(ctx context.Context, source *session.Source) (*signin.Client, error) {
	if source.ConsoleLogin == nil && source.Profile == nil {
		return nil, nil
	}
	shared, err := session.ReadShared(ProfileFiles(os.Getenv))
	if source.Profile != nil && err != nil {
		return nil, err
	}
	return d.consoleOf(ctx, source, shared)
}

func (d *Desk) consoleOf(ctx context.Context, source *session.Source, shared *session.Shared) (*signin.Client, error) {
	var to signin.SignIn
	switch {
	case source.ConsoleLogin != nil:
		own := source.ConsoleLogin
		to = signin.SignIn{Name: source.Name, Region: own.Region, Identity: own.Identity, Port: own.Port, Other: "stile login " + source.Name + " --force takes another"}
		if own.Identity != "" {
			to.Other = "stile sessions edit " + source.Name + " --identity ARN changes who that is"
		}
	case source.Profile != nil && shared.LoginSession(source.Profile.Name) != "":
		name := source.Profile.Name
		to = signin.SignIn{
			Name: source.Name, Identity: shared.LoginSession(name), Region: regionOf(&session.Target{Region: shared.Profiles[name]["region"].Value}),
			Other: "its login_session in " + shared.Profiles[name]["login_session"].File + " says who that is",
		}
	default:
		return nil, nil
	}
	cfg, err := load(ctx, to.Region)
	if err != nil {
		return nil, err
	}
	return signin.New(signin.Config{
		AWS: cfg, Dir: loginDir(&d.cfg.Paths), LockDir: d.cfg.Paths.Locks, Who: filepath.Join(d.cfg.Paths.Cache, "console", source.Name),
	}, to), nil
}

// SignInSource is what a person can sign in to by a name: a source, an AWS profile of
// `aws login` or of an Identity Center, or an sso-session; nil when nothing of the
// name is such.
func (d *Desk) SignInSource(name string) *session.Source {
	source := d.cfg.Book.Source(name)
	if source == nil {
		source = &session.Source{Name: name, Profile: &session.Profile{Name: name}}
	}
	if source.IdentityCenter != nil || source.ConsoleLogin != nil {
		return source
	}
	shared, err := session.ReadShared(ProfileFiles(os.Getenv))
	switch {
	case source.Profile == nil || err != nil:
		return nil
	case shared.LoginSession(source.Profile.Name) != "":
		return source
	}
	return shared.Center(source.Profile.Name)
}

// beginConsole is what a sign-in to the console gives.
func (d *Desk) beginConsole(c *signin.Client, source *session.Source) *beginning {
	if c == nil {
		return nil
	}
	return &beginning{provider: c.Provider(), ask: func(ctx context.Context) error {
		err := c.Ready(ctx)
		if _, out := errors.AsType[*idc.SignedOutError](err); !out || d.cfg.Person.Show == nil {
			return err
		}
		return d.signInAgain(ctx, c, source)
	}}
}

// profileConsole is a profile of `aws login`, or one whose roles begin with such a
// profile: the AWS CLI takes these, AWS's SDK for Go does not. Nil for profiles of
// any other shape.
func (d *Desk) profileConsole(ctx context.Context, name, region string) (*beginning, error) {
	shared, err := session.ReadShared(ProfileFiles(os.Getenv))
	if err != nil {
		return nil, nil // the SDK says it
	}
	source := &session.Source{Name: name, Profile: &session.Profile{Name: name}}
	if console, err := d.consoleOf(ctx, source, shared); console != nil || err != nil {
		return d.beginConsole(console, source), err
	}
	at := name
	for seen := map[string]bool{}; shared.LoginSession(at) == ""; at = shared.Profiles[at]["source_profile"].Value {
		if at == "" || seen[at] || shared.Profiles[at]["mfa_serial"].Value != "" || shared.Profiles[at]["aws_access_key_id"].Value != "" {
			return nil, nil
		}
		seen[at] = true
	}
	return d.profileHop(ctx, shared, name, region)
}

// loginConsole has the person sign in to the console. problem is why there is no
// client.
func (d *Desk) loginConsole(ctx context.Context, c *signin.Client, source *session.Source, o LoginOptions, problem error) (time.Time, error) {
	switch {
	case problem != nil:
		return time.Time{}, problem
	case o.Flow == session.Device:
		return time.Time{}, fmt.Errorf("the console signs nobody in by a device code; stile login %s --paste takes a browser anywhere", source.Name)
	case !o.Force && c.Ready(ctx) == nil:
		until, _ := c.Until()
		return until, nil
	}
	before := c.Identity()
	if err := d.signIn(ctx, c, source, o); err != nil {
		return time.Time{}, err
	}
	if o.Force || before != c.Identity() { // it is another person now, or a session after another's end
		d.forget(source)
	}
	until, _ := c.Until()
	return until, nil
}

// Place says where a target ends that ends with a sign-in to the console, once
// somebody is signed in: guards want to know.
func (d *Desk) Place(ctx context.Context, t *session.Target) {
	if t.Account != "" || len(t.Hops) > 0 {
		return
	}
	if who, err := arn.Parse(d.ConsoleIdentity(ctx, &t.Source)); err == nil {
		t.Account = who.Account
	}
}

// ConsoleIdentity is the ARN of who a source is signed in to the console as, "" for
// nobody and for other sources.
func (d *Desk) ConsoleIdentity(ctx context.Context, source *session.Source) string {
	c, err := d.console(ctx, source)
	if c == nil || err != nil {
		return ""
	}
	return c.Identity()
}
