// Package desk gets the credentials of a session.Target: it knows which source
// needs what, whom to ask, and what is kept between processes.
//
// Start with [New]. [Desk.Resolve] makes a target of an address, [Desk.Open]
// makes credentials of a target. People are asked in those two and in
// [Desk.Login], never while credentials are refreshed.
package desk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/awsendpoint"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/secretstore"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/idc"
	"github.com/stile-aws/stile/internal/session/kept"
	"github.com/stile-aws/stile/internal/surroundings"
)

// Person is how to reach the person, if there is one. Nil means not at all.
type Person struct {
	// Show shows a page of a sign-in.
	Show func(context.Context, idc.Page) error
	// Ask asks for a line, such as a code.
	Ask func(ctx context.Context, prompt string) (string, error)
	// Secret asks for what nobody should see, such as a passphrase.
	Secret func(ctx context.Context, prompt string, confirm bool) (string, error)
	// Note tells what is waited for, such as the next MFA code or the prompt of a keyring
	// that is locked. Without it none prompts.
	Note func(text string)
}

// Config is what a Desk works with. Book and Paths are required.
type Config struct {
	Book   *session.Book
	Paths  session.Paths
	Person Person
	// SignIn, if set, has a sign-in to an Identity Center done elsewhere, so that it
	// outlives this process. With done false this process does it itself.
	SignIn func(ctx context.Context, source *session.Source, o LoginOptions) (done bool, err error)
	// Keeper is where the key of a new secret store is. Default: see secretstore.
	Keeper secretstore.Keeper
}

// Desk gets credentials for one person. Close it. Safe for concurrent use.
type Desk struct {
	cfg   Config
	store *kept.Store
	cache *creds.Cache

	mu      sync.Mutex // guards the rest, which is made while nobody has it
	clients map[string]*idc.Client
	secrets *secretstore.Store
}

// New makes a Desk. Nothing is read or asked yet.
func New(cfg Config) *Desk {
	return &Desk{cfg: cfg, store: kept.Open(cfg.Paths.Runtime, surroundings.World(os.Environ())), cache: creds.NewCache(creds.Config{Timeout: fetchTimeout}), clients: map[string]*idc.Client{}}
}

// fetchTimeout bounds one fetch of credentials with all its hops and its waiting
// for other processes; each call has a bound of its own.
const fetchTimeout = 2 * time.Minute

// callTimeout bounds one call of AWS.
const callTimeout = 15 * time.Second

// Close ends what is going on in the background.
func (d *Desk) Close() { d.cache.Close() }

// Store is where credentials are kept.
func (d *Desk) Store() *kept.Store { return d.store }

// Book is what the Desk was made with.
func (d *Desk) Book() *session.Book { return d.cfg.Book }

// load reads the AWS configuration, for endpoint and certificates: its
// credentials are not used.
func load(ctx context.Context, region string, more ...func(*config.LoadOptions) error) (aws.Config, error) {
	if region != "" && !catalog.RegionShaped(region) { // it will be part of the host that gets a sign-in's token
		return aws.Config{}, fmt.Errorf("reading the AWS configuration: %q is no Region", region)
	}
	options := append([]func(*config.LoadOptions) error{
		config.WithRegion(region),
		config.WithLogger(logging.Nop{}), // what matters comes back as an error
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(callTimeout)),
		config.WithCredentialsProvider(aws.AnonymousCredentials{}),
	}, more...)
	read := awsendpoint.Load
	if len(more) > 0 { // a profile is meant
		read = config.LoadDefaultConfig
	}
	cfg, err := read(ctx, options...)
	if err != nil {
		if _, unread := session.ReadShared(ProfileFiles(os.Getenv)); unread != nil {
			return cfg, unread // which says what to do
		}
		return cfg, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	return cfg, nil
}

// Center is the client of a source that is an Identity Center.
func (d *Desk) Center(ctx context.Context, source *session.Source) (*idc.Client, error) {
	if source.IdentityCenter == nil {
		return nil, fmt.Errorf("source %s is no Identity Center", source.Name)
	}
	key := source.Name + " " + source.IdentityCenter.StartURL // an sso-session may have a source's name
	d.mu.Lock()
	c := d.clients[key]
	d.mu.Unlock()
	if c != nil {
		return c, nil
	}
	cfg, err := load(ctx, source.IdentityCenter.Region)
	if err != nil {
		return nil, err
	}
	c = idc.New(idc.Config{AWS: cfg, TokenDir: d.cfg.Paths.Tokens, CacheDir: filepath.Join(d.cfg.Paths.Cache, "idc"), LockDir: d.cfg.Paths.Locks, Note: d.cfg.Person.Note}, source)
	d.mu.Lock()
	defer d.mu.Unlock()
	if first := d.clients[key]; first != nil {
		return first, nil
	}
	d.clients[key] = c
	return c, nil
}

// Secrets opens the secret store. All get the same one, so that a person is asked
// for its key once.
func (d *Desk) Secrets() (*secretstore.Store, error) {
	d.mu.Lock()
	s := d.secrets
	d.mu.Unlock()
	if s != nil {
		return s, nil
	}
	if err := os.MkdirAll(filepath.Dir(d.cfg.Paths.Secrets), 0o700); err != nil {
		return nil, fmt.Errorf("opening the secret store: %w", err)
	}
	s, err := secretstore.Open(secretstore.Config{Dir: d.cfg.Paths.Secrets, Keeper: d.cfg.Keeper, AskPassphrase: d.cfg.Person.Secret, Note: d.cfg.Person.Note})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.secrets == nil {
		d.secrets = s
	}
	return d.secrets, nil
}

// Resolve finds what an address means. Somebody may have to sign in for it.
func (d *Desk) Resolve(ctx context.Context, address string) (*session.Target, error) {
	return d.cfg.Book.Resolve(ctx, address, lister{d})
}

// lister is what the Identity Centers list, for resolving.
type lister struct{ desk *Desk }

// The ages of what was listed that will do: accounts come and go seldom, and one
// that is not known is looked for again.
const knownAge = 10 * time.Second

// Known implements session.Lister.
func (l lister) Known(source *session.Source) []session.Account {
	c, err := l.desk.Center(context.Background(), source)
	if err != nil {
		return nil
	}
	all, _ := c.KnownAccounts()
	return all
}

// Accounts implements session.Lister.
func (l lister) Accounts(ctx context.Context, source *session.Source) ([]session.Account, error) {
	c, err := l.desk.Center(ctx, source)
	if err != nil {
		return nil, err
	}
	if err := l.desk.signedIn(ctx, c, source); err != nil {
		return nil, err
	}
	return c.Accounts(ctx, knownAge)
}

// SignedIn has the person sign in to an Identity Center, if they must and can.
func (d *Desk) SignedIn(ctx context.Context, source *session.Source) error {
	c, err := d.Center(ctx, source)
	if err != nil {
		return err
	}
	return d.signedIn(ctx, c, source)
}

// signedIn has the person sign in if they must and can. A device code is never
// begun here: the person would not know what it is for.
func (d *Desk) signedIn(ctx context.Context, c *idc.Client, source *session.Source) error {
	_, err := c.Token(ctx)
	if _, out := errors.AsType[*idc.SignedOutError](err); !out || d.cfg.Person.Show == nil || source.IdentityCenter.Flow == session.Device {
		return err
	}
	return d.signInAgain(ctx, c, source)
}

// signInAgain has the person sign in for something else that they asked for.
func (d *Desk) signInAgain(ctx context.Context, c signer, source *session.Source) error {
	if err := d.signIn(ctx, c, source, LoginOptions{}); err != nil {
		return fmt.Errorf("%w; stile login %s tries again", err, source.Name)
	}
	return nil
}

// signer is what people sign in to.
type signer interface {
	Login(ctx context.Context, l idc.Login) error
}

// signIn has the person sign in, elsewhere if it can be.
func (d *Desk) signIn(ctx context.Context, c signer, source *session.Source, o LoginOptions) error {
	if d.cfg.SignIn != nil {
		if done, err := d.cfg.SignIn(ctx, source, o); done || err != nil {
			return err
		}
	}
	return c.Login(ctx, idc.Login{Show: d.cfg.Person.Show, Paste: o.Paste, Flow: o.Flow, Port: o.Port, Force: o.Force})
}

// LoginOptions are how Login reaches the person at an Identity Center.
type LoginOptions struct {
	Flow  session.Flow                                             // default: the source's
	Port  int                                                      // default: the source's
	Paste func(ctx context.Context, problem error) (string, error) // see idc.Login
	Force bool
	// Note, if set, tells the person what is waited for when it is not for them.
	Note func(format string, args ...any)
}

// Login does what needs the person, so that nothing else does for a while: it
// signs in to an Identity Center, to the console or by SAML, or begins a user's MFA session. until is when
// it ends, zero when that is not known.
func (d *Desk) Login(ctx context.Context, source *session.Source, o LoginOptions) (until time.Time, err error) {
	switch {
	case source.IdentityCenter != nil:
		c, err := d.Center(ctx, source)
		if err != nil {
			return time.Time{}, err
		}
		if !o.Force {
			if t, err := c.Token(ctx); err == nil {
				return t.Expires, nil
			}
		}
		if err := d.signIn(ctx, c, source, o); err != nil {
			return time.Time{}, err
		}
		if o.Force { // it may be another person now
			d.forget(source)
		}
		until, _ = c.Until()
		return until, nil
	case source.User != nil && source.User.MFA != nil:
		return d.beginMFA(ctx, source, o.Force)
	case source.SAML != nil && source.SAML.StartURL != "":
		text, err := d.assertion(context.WithValue(ctx, asking{}, true), source, o.Force)
		if err != nil {
			return time.Time{}, err
		}
		return goodUntil(text), nil
	}
	if console, err := d.console(ctx, source); console != nil || err != nil {
		return d.loginConsole(ctx, console, source, o, err)
	}
	return time.Time{}, fmt.Errorf("source %s (%s) needs no login", source.Name, source.Kind())
}

// Logout ends a sign-in or an MFA session, and forgets all credentials that are
// kept. Those that programs have live on until they end: AWS has no way to take
// them back.
func (d *Desk) Logout(ctx context.Context, source *session.Source) error {
	d.forget(source)
	if source.IdentityCenter == nil {
		console, err := d.console(ctx, source)
		if console == nil || err != nil {
			return err
		}
		return console.Logout(ctx)
	}
	c, err := d.Center(ctx, source)
	if err != nil {
		return err
	}
	return c.Logout(ctx)
}

// forget drops what is kept of a person.
func (d *Desk) forget(source *session.Source) {
	d.store.Clear()
	_ = os.Remove(d.namePath(source)) // it may never have been asked for
	if source.SAML != nil {
		_ = os.RemoveAll(d.browserDir(source.Name)) // with the provider's cookies
	}
}

// Ready tells whether credentials of a source can be had without the person, and
// until when at least; zero when that is not known.
func (d *Desk) Ready(ctx context.Context, source *session.Source) (ready bool, until time.Time) {
	switch {
	case source.IdentityCenter != nil:
		c, err := d.Center(ctx, source)
		if err != nil {
			return false, time.Time{}
		}
		until, ready = c.Until()
		return ready, until
	case source.User != nil && source.User.MFA != nil:
		unasked := source.User.MFA.Code == session.Program || source.User.MFA.Code == session.TOTP
		if d.markOf(source) == "" { // the secret store would have to be opened
			return unasked, time.Time{}
		}
		p, _, err := d.user(ctx, source, "")
		if err != nil {
			return false, time.Time{}
		}
		e, ok := d.store.Get(p.Key())
		return unasked || ok && e.Valid(time.Now()), e.Credentials.Expires
	}
	if console, err := d.console(ctx, source); console != nil || err != nil {
		if err != nil {
			return false, time.Time{}
		}
		until, ready = console.Until()
		return ready, until
	}
	if source.Profile != nil {
		return d.profileReady(ctx, source.Profile.Name)
	}
	if source.SAML != nil && source.SAML.StartURL != "" {
		e, ok := d.store.Get(assertionKey(source))
		return ok && e.Valid(time.Now()), e.Credentials.Expires
	}
	return true, time.Time{}
}
