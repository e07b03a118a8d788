// Package signin is a client of the AWS console's sign-in for one person, as the
// AWS CLI's `aws login` is one: credentials of fifteen minutes, refreshed for up to
// twelve hours.
//
// Start with [New]. [Client.Login] is the only call that needs the person;
// [Client.Provider] uses what it left, which is refreshed before it ends, once,
// however many processes find it old. What a sign-in gave is kept where and as the
// AWS CLI keeps it, so that one serves both, and AWS's SDKs.
//
// Clients registered by themselves, and tokens for others than AWS's API, are not
// here.
//
// Sources: AWS Sign-In API reference; RFC 7636 (PKCE) and RFC 9449 (DPoP); the
// AWS CLI 2.34 (awscli/customizations/login) and AWS's SDK for Go
// (credentials/logincreds) as they speak to it.
package signin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/signin"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/session/flight"
	"github.com/stile-aws/stile/internal/session/idc"
)

// Config says where things are kept. AWS, Dir and LockDir are required.
type Config struct {
	AWS     aws.Config // endpoint and HTTP client; its Region and Credentials are not used
	Dir     string     // the AWS CLI's, ~/.aws/login/cache
	LockDir string     // the same for all processes of a person
	// Who is a file that remembers who signed in, for sign-ins that do not say.
	Who string
}

// SignIn is what somebody signs in to.
type SignIn struct {
	Name   string // of the source, or of the AWS profile
	Region string // where it is begun, and where it is refreshed
	// Identity is the ARN of the only one who may; "" for whoever signs in.
	Identity string
	Port     int // of the browser's answer; default: any
	// Other says how somebody else may sign in.
	Other string
}

// Client is one sign-in's. Safe for concurrent use.
type Client struct {
	cfg     Config
	to      SignIn
	refused atomic.Pointer[string] // the access key id that AWS refuses
}

// New makes a client.
func New(cfg Config, to SignIn) *Client { return &Client{cfg: cfg, to: to} }

// api is the client of AWS's API in a Region.
func (c *Client) api(region string) *signin.Client {
	at := c.cfg.AWS.Copy()
	at.Region, at.Credentials = region, aws.AnonymousCredentials{}
	return signin.NewFromConfig(at)
}

// Identity is the ARN of who is, or was, signed in; "" when nobody ever was.
func (c *Client) Identity() string {
	if c.to.Identity != "" {
		return c.to.Identity
	}
	text, err := os.ReadFile(c.cfg.Who)
	who := strings.TrimSpace(string(text))
	if err != nil || !arn.Is(who) {
		return ""
	}
	return who
}

// path is the file of a sign-in, as AWS's tools name it.
func (c *Client) path(identity string) string {
	return filepath.Join(c.cfg.Dir, hash(identity)+".json")
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(text)))
	return hex.EncodeToString(sum[:])
}

// lock names the lock of a sign-in's file.
func lock(identity string) string { return "console-" + hash(identity) }

// signedOut means that the person has to sign in; why may be "".
func (c *Client) signedOut(why string) error {
	out := &idc.SignedOutError{Source: c.to.Name}
	if why == "" {
		return out
	}
	return fmt.Errorf("%s: %w", why, out)
}

// Until tells until when the person is signed in: zero when nobody knows, as long
// as it can be refreshed. ok is false when the person has to sign in.
func (c *Client) Until() (end time.Time, ok bool) {
	t, err := c.read()
	now := time.Now()
	switch {
	case err != nil:
		return time.Time{}, false
	case c.refreshable(t):
		return time.Time{}, true
	}
	return t.credentials.Expires, t.valid(now)
}

// Ready refreshes what is about to end. The error is, or wraps, an
// *idc.SignedOutError when somebody has to sign in.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.credentials(ctx)
	return err
}

// Provider gives the credentials. It asks nobody; an *idc.SignedOutError is in its
// error when somebody has to sign in.
func (c *Client) Provider() creds.Provider { return &provider{c} }

type provider struct{ client *Client }

// Retrieve implements aws.CredentialsProvider.
func (p *provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	return p.client.credentials(ctx)
}

// Invalidate has what AWS refuses refreshed the next time.
func (p *provider) Invalidate(accessKeyID string) bool {
	p.client.refused.Store(&accessKeyID)
	return true
}

// SessionName is the name that the person's further sessions have, "" while nobody
// knows who it is.
func (p *provider) SessionName() string {
	a, err := arn.Parse(p.client.Identity())
	if err != nil {
		return ""
	}
	return creds.Identity{ARN: a}.SessionName()
}

// Key implements creds.Provider. Of whoever signs in it tells nothing, as nobody
// knows before: what is kept must be forgotten when that becomes another.
func (p *provider) Key() string {
	return "console sign-in " + p.client.to.Name + " of " + p.client.to.Identity + " in " + p.client.to.Region
}

func (p *provider) String() string { return "console sign-in " + p.client.to.Name }

// Format prints as String, whatever the verb.
func (p *provider) Format(f fmt.State, _ rune) { fmt.Fprint(f, p.String()) }

// Logout removes what the sign-in gave, and forgets who it was. AWS has no way to
// be told but by who may call it: credentials are good until they end.
func (c *Client) Logout(ctx context.Context) error {
	identity := c.Identity()
	if identity == "" {
		return nil
	}
	l, err := flight.Acquire(ctx, c.cfg.LockDir, lock(identity))
	if err != nil {
		return err
	}
	defer l.Release()
	files := []string{c.path(identity), c.refusal(identity)}
	if c.to.Identity == "" {
		files = append(files, c.cfg.Who)
	}
	var errs []error
	for _, file := range files {
		if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// remember keeps who signed in.
func (c *Client) remember(identity string) error {
	if c.to.Identity != "" || c.Identity() == identity {
		return nil
	}
	return atomicfile.Write(c.cfg.Who, []byte(identity+"\n"))
}
