package route

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/handout"
	"github.com/stile-aws/stile/internal/secretstore"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/flight"
	"github.com/stile-aws/stile/internal/session/idc"
	"github.com/stile-aws/stile/internal/session/tty"
)

const (
	// NoLoginEnv keeps commands other than login from asking the person.
	NoLoginEnv = "STILE_NO_LOGIN"
	// SecretsEnv says where the key of a new secret store is.
	SecretsEnv = "STILE_SECRETS"
)

// OpenDesk opens the desk at which people's credentials are had. Close it.
func OpenDesk(s *term.Streams) (*desk.Desk, session.Paths, error) {
	return openDesk(s, desk.Config{Person: person(s), SignIn: signInApart(s, person(s))})
}

// person is how to reach the person at this process's terminal.
func person(s *term.Streams) desk.Person {
	secret := tty.Passphrase(s.Getenv)
	p := desk.Person{Secret: func(ctx context.Context, prompt string, confirm bool) (string, error) {
		defer flight.Asking(ctx, os.Getpid(), prompt)()
		return secret(ctx, prompt, confirm)
	}}
	if s.Getenv(NoLoginEnv) == "" {
		p.Show = func(ctx context.Context, page idc.Page) error { return show(ctx, s, &page) }
		p.Ask = func(ctx context.Context, prompt string) (string, error) {
			defer flight.Asking(ctx, os.Getpid(), prompt)()
			return tty.Ask(ctx, prompt, true)
		}
		p.Note = func(text string) { note(s, "stile: "+text) }
	}
	return p
}

// note tells a line on standard error, and at the terminal if that is elsewhere: a
// client that runs stile may keep standard error to itself.
func note(s *term.Streams, text string) {
	s.Note("%s", text)
	if !s.Terminal {
		tty.Note(text)
	}
}

// openDesk opens one with the person of cfg; the rest is the environment's.
func openDesk(s *term.Streams, cfg desk.Config) (*desk.Desk, session.Paths, error) {
	paths, err := session.FindPaths(s.Getenv)
	if err != nil {
		return nil, paths, err
	}
	book, err := session.Read(paths.Book)
	if err != nil {
		return nil, paths, err
	}
	cfg.Book, cfg.Paths, cfg.Keeper = book, paths, secretstore.Keeper(s.Getenv(SecretsEnv))
	return desk.New(cfg), paths, nil
}

// declaredOnly reports that the person said that declarations are meant.
func (o *Options) declaredOnly() bool {
	return o.Declarations != "" || o.As != "" || o.TokenFile != ""
}

// mayBeSession reports that an address is none of the other forms.
func mayBeSession(address string) bool {
	return !strings.HasPrefix(address, "arn:") && !strings.HasPrefix(address, "serviceaccount:")
}

// openSession goes by people's sessions, where declarations lead nowhere for the
// reason problem; nil when they were not asked.
func (o *Options) openSession(ctx context.Context, s *term.Streams, address string, p *pass, problem error) (*Way, error) {
	cfg := desk.Config{Person: person(s)}
	if o.far.person != nil {
		cfg.Person = *o.far.person
	}
	apart := signInApart(s, cfg.Person)
	cfg.SignIn = func(ctx context.Context, source *session.Source, l desk.LoginOptions) (bool, error) {
		if o.far.waits != nil {
			o.far.waits(ctx, source.Name)
		}
		return apart(ctx, source, l)
	}
	d, _, err := openDesk(s, cfg)
	if err != nil {
		return nil, err
	}
	way, err := o.openAt(ctx, s, d, address, p)
	if err == nil {
		return way, nil
	}
	d.Close()
	return nil, unresolved(s, address, d.Book(), problem, err)
}

// unresolved is that people's sessions do not lead to an address, for the reason
// err, where declarations lead nowhere either, for the reason problem; nil when they
// were not asked. It says the address once.
func unresolved(s *term.Streams, address string, book *session.Book, problem, err error) error {
	none := errors.Is(problem, errNoDeclarations)
	switch {
	case none && len(book.Sources) == 0:
		return fmt.Errorf("going to %s: %w; or add a source of your own: stile sessions add NAME --start-url URL --region REGION, or stile sessions import", address, problem)
	case problem != nil && !none && len(book.Sources) == 0:
		return problem
	case !errors.Is(err, session.ErrUnknown):
		return fmt.Errorf("going to %s: %w", address, err)
	case none:
		return fmt.Errorf("going to %s: %w; stile ls lists what you can be, and there are %w", address, err, errNoDeclarations)
	case problem != nil:
		return fmt.Errorf("%w; nor by a session: %w; stile ls lists what you can be", problem, err)
	case strings.Contains(address, "/"):
		return fmt.Errorf("going to %s: %w; stile ls lists what you can be", address, err)
	}
	if _, unread := session.ReadShared(desk.ProfileFiles(s.Getenv)); unread != nil {
		return fmt.Errorf("going to %s: %w, and whether it is an AWS profile nobody can tell: %w", address, err, unread)
	}
	return fmt.Errorf("going to %s: %w, and no AWS profile; want ACCOUNT/ROLE, a role's ARN, or a name of stile sessions list", address, err)
}

func (o *Options) openAt(ctx context.Context, s *term.Streams, d *desk.Desk, address string, p *pass) (*Way, error) {
	t, err := d.Resolve(ctx, address)
	if errors.Is(err, session.ErrUnknown) && hasProfile(s, address) {
		t, err = profileTarget(address), nil
	}
	if err != nil {
		return nil, err
	}
	o.last(t)
	instead, err := p.narrow.target(t, func(source *session.Source, account arn.AccountID, role string) (bool, []string, error) {
		return d.Lists(ctx, source, account, role)
	})
	if err != nil {
		return nil, err
	}
	opened, err := d.Open(ctx, t)
	if err != nil {
		return nil, err
	}
	d.Place(ctx, t)
	way := &Way{AccountName: t.AccountName, Labels: t.Labels, narrowed: !p.narrow.none(), instead: instead, Chained: chained(t),
		Account: t.Account, Name: t.Role(), home: homeOf(s, t), Caller: t.Source.Name, Credentials: opened.Cached, end: d.Close}
	if way.Name == "" {
		way.Name = t.Source.Name
	}
	way.claimed = t.Source.User != nil && len(t.Hops) == 0
	way.Role = t.RoleARN()
	if !t.Source.OfJob() {
		way.kept = opened.Key
	}
	return way, nil
}

// tellProfile says that a name was found among AWS's profiles and nowhere else:
// a session of that name would have come first. Programs are not told.
func (o *Options) tellProfile(s *term.Streams, address string, w *Way) {
	if w.Caller != address || o.delivery == "credential-process" || !hasProfile(s, address) {
		return
	}
	paths, err := session.FindPaths(s.Getenv)
	if err != nil {
		return
	}
	if book, err := session.Read(paths.Book); err == nil && book.Source(address) == nil {
		s.Note("stile: %s is an AWS profile", address)
	}
}

// chained reports that a session may enter the last role.
func chained(t *session.Target) bool {
	switch {
	case len(t.Hops) == 0:
		return t.Source.Profile != nil || t.Source.Process != nil || t.Source.RolesAnywhere != nil
	case t.Source.User != nil && t.Source.User.MFA != nil && !t.OwnCode():
		return true // STS counts the user's MFA session too
	case t.Source.User != nil || t.Source.SAML != nil || t.Source.WebIdentity != nil:
		return len(t.Hops) > 1
	}
	return true
}

// hasProfile reports whether the AWS files have a profile of a name.
func hasProfile(s *term.Streams, name string) bool {
	shared, _ := session.ReadShared(desk.ProfileFiles(s.Getenv)) // what cannot be read has none
	return shared.Profiles[name] != nil
}

// Kept gives credentials for an address that were fetched before and are good,
// without finding the way again. There are none when anything has changed that
// the way depends on: declarations, sessions, AWS's files, the environment.
// Where nothing but the address is said, internal/early has asked before.
func (o *Options) Kept(s *term.Streams, address string) (aws.Credentials, bool) {
	var flags narrowing
	if err := o.Limits.narrow(&flags); err != nil || !flags.none() || o.Duration != 0 {
		return aws.Credentials{}, false // Open says why, or asks
	}
	found, entry, ok := handout.Find(environment(s), o.request(address))
	if !ok {
		return aws.Credentials{}, false
	}
	c := aws.Credentials{
		AccessKeyID: found.AccessKeyID, SecretAccessKey: found.SecretAccessKey, SessionToken: found.SessionToken,
		CanExpire: true, Expires: found.Expires, AccountID: found.AccountID,
	}
	entry.Delivery = o.delivery
	r := recorder{streams: s, limits: &o.Limits, entry: entry}
	return c, r.record(c, entry.Session) == nil
}
