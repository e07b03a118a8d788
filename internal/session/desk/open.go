package desk

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/program"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/flight"
	"github.com/stile-aws/stile/internal/surroundings"
)

// Opened is a target whose credentials can be had.
type Opened struct {
	*creds.Cached
	// Key is what its credentials are kept by.
	Key string
	// Region is the session's, or the environment's, or a default.
	Region string
}

// beginning is a source's own credentials. ask does what needs the person, nil
// when nothing does.
type beginning struct {
	provider creds.Provider
	ask      func(ctx context.Context) error
}

// Open makes the credentials of a target, and has the person asked what has to
// be asked for them, unless they are kept.
func (d *Desk) Open(ctx context.Context, target *session.Target) (*Opened, error) {
	t := new(*target) // begin takes hops away
	region := regionOf(t)
	if t.OwnCode() {
		if err := d.nameOwnCode(ctx, t, region); err != nil {
			return nil, err
		}
	}
	begin, err := d.begin(ctx, t, region)
	if err != nil {
		return nil, err
	}
	base := d.store.Wrap(begin.provider)
	if len(t.Hops) == 0 {
		if err := d.prepare(ctx, base.Key(), begin); err != nil {
			return nil, err
		}
		return &Opened{Cached: d.cache.Of(base), Key: base.Key(), Region: region}, nil
	}
	cfg, err := load(ctx, region)
	if err != nil {
		return nil, err
	}
	name, err := d.sessionName(ctx, cfg, begin, &t.Source)
	if err != nil {
		return nil, err
	}
	last := d.cache.Of(base)
	for _, hop := range t.Hops {
		if last, err = d.enter(cfg, last, hop, name); err != nil {
			return nil, err
		}
	}
	if err := d.prepare(ctx, last.Key(), begin); err != nil {
		return nil, err
	}
	return &Opened{Cached: last, Key: last.Key(), Region: region}, nil
}

func regionOf(t *session.Target) string {
	return cmp.Or(t.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
}

// Kept tells until when the credentials of each step of a target are kept: zero
// for those that are not, and for those nobody can tell of before who is going is
// known. Nobody is asked and nothing fetched.
func (d *Desk) Kept(ctx context.Context, target *session.Target) ([]time.Time, error) {
	t := new(*target) // begin takes hops away
	region := regionOf(t)
	if t.OwnCode() && !d.knowOwnCode(t) {
		return make([]time.Time, target.Steps()), nil
	}
	begin, err := d.begin(ctx, t, region)
	if err != nil {
		return nil, err
	}
	cfg, err := load(ctx, region)
	if err != nil {
		return nil, err
	}
	base := d.store.Wrap(begin.provider)
	out := make([]time.Time, target.Steps())
	out[0] = d.until(base.Key())
	name := d.knownName(begin, &t.Source)
	last := d.cache.Of(base)
	for i, hop := range t.Hops {
		if name == "" {
			break
		}
		if last, err = d.enter(cfg, last, hop, name); err != nil {
			return nil, err
		}
		out[i+1] = d.until(last.Key())
	}
	return out, nil
}

// enter is a role that is entered from a step before, under the person's name.
func (d *Desk) enter(cfg aws.Config, from *creds.Cached, hop creds.Role, name string) (*creds.Cached, error) {
	hop.SessionName = name
	p, err := creds.NewAssumeRole(cfg, from, hop)
	if err != nil {
		return nil, err
	}
	return d.cache.Of(d.store.Wrap(p)), nil
}

func (d *Desk) until(key string) time.Time {
	e, ok := d.store.Get(key)
	if !ok || !e.Valid(time.Now()) {
		return time.Time{}
	}
	return e.Credentials.Expires
}

// prepare has the person asked, unless what is wanted is kept.
func (d *Desk) prepare(ctx context.Context, key string, begin *beginning) error {
	if begin.ask == nil {
		return nil
	}
	if e, ok := d.store.Get(key); ok && e.Good(time.Now()) {
		return nil
	}
	return begin.ask(ctx)
}

// begin makes the provider a target begins with.
func (d *Desk) begin(ctx context.Context, t *session.Target, region string) (*beginning, error) {
	b, err := d.source(ctx, t, region)
	if err != nil || t.Federation == nil {
		return b, err
	}
	return federated(ctx, b, t, region)
}

func (d *Desk) source(ctx context.Context, t *session.Target, region string) (*beginning, error) {
	s := &t.Source
	switch {
	case s.IdentityCenter != nil:
		c, err := d.Center(ctx, s)
		if err != nil {
			return nil, err
		}
		return &beginning{provider: c.Role(t.From, t.PermissionSet), ask: func(ctx context.Context) error { return d.signedIn(ctx, c, s) }}, nil
	case t.OwnCode():
		return d.ownCode(ctx, t, region)
	case s.User != nil:
		p, ask, err := d.user(ctx, s, region)
		return &beginning{provider: p, ask: ask}, err
	case s.Profile != nil:
		return d.profile(ctx, s.Profile.Name, region)
	case s.Process != nil:
		p, err := program.New(s.Process.Command, "source "+s.Name)
		if err != nil {
			return nil, err
		}
		own := creds.From("process "+s.Process.Command+" in "+surroundings.Mark(os.Environ()), p.Provider()) // it may heed any variable
		return &beginning{provider: named{own, "credentials of process " + s.Process.Command}}, nil
	case s.WebIdentity != nil:
		return webIdentity(ctx, t, region)
	case s.RolesAnywhere != nil:
		return anywhere(s), nil
	case s.SAML != nil:
		return d.saml(ctx, t, region)
	case s.ConsoleLogin != nil:
		console, err := d.console(ctx, s)
		if err != nil {
			return nil, err
		}
		return d.beginConsole(console, s), nil
	}
	return nil, fmt.Errorf("source %s is of no kind", s.Name)
}

// named prints more shortly than its key.
type named struct {
	creds.Provider
	text string
}

func (n named) String() string             { return n.text }
func (n named) Format(f fmt.State, _ rune) { fmt.Fprint(f, n.text) }

// ProfileFiles are the AWS config and credentials files.
func ProfileFiles(getenv func(string) string) []string { return surroundings.ProfileFiles(getenv) }

// sessionName is the person's name as AWS knows it, for the hops of a chain: so
// that they are seen under one name all the way. It is asked for once a source.
func (d *Desk) sessionName(ctx context.Context, cfg aws.Config, begin *beginning, source *session.Source) (string, error) {
	path := d.namePath(source)
	name := d.knownName(begin, source)
	if name != "" {
		return name, nil
	}
	have := func() bool {
		name = d.knownName(begin, source)
		return name != ""
	}
	base := d.store.Wrap(begin.provider)
	err := flight.Do(ctx, d.cfg.Paths.Locks, "name-"+source.Name, have, func(ctx context.Context) error {
		if err := d.prepare(ctx, base.Key(), begin); err != nil {
			return err
		}
		cfg := cfg.Copy()
		cfg.Credentials = d.cache.Of(base)
		who, err := creds.Identify(ctx, cfg)
		if err != nil {
			return err
		}
		name = who.SessionName()
		_ = atomicfile.Write(path, []byte(name)) // it can be asked again
		return nil
	})
	return name, err
}

// knownName is the session name where it is known already, else "".
func (d *Desk) knownName(begin *beginning, source *session.Source) string {
	if n, ok := begin.provider.(interface{ SessionName() string }); ok && n.SessionName() != "" {
		return n.SessionName()
	}
	text, err := os.ReadFile(d.namePath(source))
	if name := strings.TrimSpace(string(text)); err == nil && name == creds.SessionName(name) {
		return name
	}
	return ""
}

func (d *Desk) namePath(source *session.Source) string {
	return filepath.Join(d.cfg.Paths.Cache, "names", source.Name)
}
