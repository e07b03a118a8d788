package idc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc/types"

	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/flight"
)

// Login says how to reach the person who signs in.
type Login struct {
	// Show opens a page in a browser, or tells the person its address. Required.
	Show func(context.Context, Page) error
	// Paste, for PKCE, has the person paste the address that the browser ends up
	// at, for a browser on another computer. It is asked again for what cannot be
	// that: problem says why, nil the first time. Without it the answer comes to a
	// port of this computer.
	Paste func(ctx context.Context, problem error) (string, error)
	Flow  session.Flow // default: the source's
	Port  int          // default: the source's
	// Force signs in although somebody is.
	Force bool
	// Timeout bounds it all. Default 10 minutes, as long as AWS waits.
	Timeout time.Duration
}

// Page is a page at which a person signs in.
type Page struct {
	URL  string
	Code string // which the page must show, "" where it shows none
	// Port, of this computer, is where the browser brings its answer, if it was
	// chosen, so that another computer may forward it; 0 for any.
	Port int
	// Pasted is set when the answer is pasted: what the browser's address bar has at
	// the end or, if Shown, what the page shows.
	Pasted, Shown bool
	// UnderWay tells those of the page who wait for it and have not been shown it.
	UnderWay string
}

// ShowTo shows a page of a sign-in to source, and tells those who wait for that in
// other processes where they can finish it, until ended is called.
func (l *Login) ShowTo(ctx context.Context, source string, p Page) (ended func(), err error) {
	p.UnderWay = fmt.Sprintf("a sign-in to %s is under way", source)
	if end, ok := ctx.Deadline(); ok {
		p.UnderWay += " until " + end.Local().Format("15:04")
	}
	p.UnderWay += ": finish it at " + p.URL
	if p.Code != "" {
		p.UnderWay += " (it must show the code " + p.Code + ")"
	}
	p.UnderWay += "\nstile: or begin anew: stile login " + source + " --force; stile broker stop ends it"
	if err := l.Show(ctx, p); err != nil {
		return nil, err
	}
	return flight.Showing(ctx, p.UnderWay), nil
}

// Anywhere reports that a browser on another computer will do.
func (p *Page) Anywhere() bool { return p.Code != "" || p.Port != 0 || p.Pasted }

// The grant types (IAM Identity Center OIDC API reference, CreateToken).
const (
	grantDevice  = "urn:ietf:params:oauth:grant-type:device_code"
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
)

// Login has the person sign in, unless somebody is or another process has it
// done meanwhile: however many ask, one page is shown.
func (c *Client) Login(ctx context.Context, l Login) error {
	if l.Timeout == 0 {
		l.Timeout = 10 * time.Minute
	}
	ctx, stop := context.WithTimeoutCause(ctx, l.Timeout, fmt.Errorf("nobody signed in to %s within %s", c.name, l.Timeout))
	defer stop()
	came := time.Now()
	have := func() bool {
		t, _ := c.read()
		return t.valid(time.Now()) && (!l.Force || t.written.After(came))
	}
	err := c.alone(ctx, have, func(ctx context.Context) error { return c.signIn(ctx, &l) })
	if err != nil {
		return fmt.Errorf("signing in to %s: %w", c.name, err)
	}
	return nil
}

func (c *Client) signIn(ctx context.Context, l *Login) error {
	flow := l.Flow
	if flow == "" {
		flow = c.center.Flow
	}
	if flow == session.Device {
		return c.byDevice(ctx, l)
	}
	return c.byCode(ctx, l)
}

// registration is a client that AWS knows, as the AWS CLI keeps it.
type registration struct {
	ID      string   `json:"clientId"`
	Secret  string   `json:"clientSecret"`
	Expires string   `json:"expiresAt"`
	Scopes  []string `json:"scopes,omitempty"`
	Grants  []string `json:"grantTypes,omitempty"`
}

// registrationPath is where the AWS CLI keeps what it registers for the same.
// Its name is the hash of JSON as Python writes it.
func (c *Client) registrationPath() string {
	quote := func(text string) string {
		b, _ := json.Marshal(text) // a string always can
		return string(b)
	}
	scopes := "null"
	if len(c.center.Scopes) > 0 {
		var quoted []string
		for _, s := range c.center.Scopes {
			quoted = append(quoted, quote(s))
		}
		scopes = "[" + strings.Join(quoted, ", ") + "]"
	}
	text := fmt.Sprintf(`{"region": %s, "scopes": %s, "session_name": %s, "startUrl": %s, "tool": "botocore"}`,
		quote(c.center.Region), scopes, quote(c.name), quote(c.center.StartURL))
	return filepath.Join(c.cfg.TokenDir, hash(text)+".json")
}

// register gives a client registration that is good for the flow. One client is
// for one flow: device and code grants in one are refused.
func (c *Client) register(ctx context.Context, code bool) (registration, error) {
	var r registration
	text, err := os.ReadFile(c.registrationPath())
	if err == nil && json.Unmarshal(text, &r) == nil && r.ID != "" && r.Secret != "" &&
		time.Until(parseTime(r.Expires)) > window && slices.Contains(r.Grants, grantCode) == code {
		return r, nil
	}
	in := &ssooidc.RegisterClientInput{
		ClientName: aws.String("stile-" + c.name), ClientType: aws.String("public"), Scopes: c.scopes(),
	}
	if code {
		in.GrantTypes = []string{grantCode, grantRefresh}
		in.RedirectUris = []string{"http://" + loopback + callback}
		in.IssuerUrl = aws.String(c.center.StartURL)
	}
	out, err := c.oidc.RegisterClient(ctx, in)
	if err != nil {
		return registration{}, fmt.Errorf("registering at Identity Center: %w", err)
	}
	r = registration{
		ID: aws.ToString(out.ClientId), Secret: aws.ToString(out.ClientSecret),
		Expires: formatTime(time.Unix(out.ClientSecretExpiresAt, 0)), Scopes: in.Scopes, Grants: in.GrantTypes,
	}
	if text, err = json.Marshal(r); err != nil {
		return registration{}, err
	}
	return r, atomicfile.Write(c.registrationPath(), text)
}

// keep writes the token that a sign-in gave.
func (c *Client) keep(r registration, out *ssooidc.CreateTokenOutput) error {
	if err := usable(out); err != nil {
		return err
	}
	old, _ := c.read()
	old.clientID, old.clientSecret, old.registered = r.ID, r.Secret, parseTime(r.Expires)
	return c.writeFields(c.next(&old, out))
}

// byCode signs in by authorization code with PKCE (RFC 7636).
func (c *Client) byCode(ctx context.Context, l *Login) error {
	r, err := c.register(ctx, true)
	if err != nil {
		return err
	}
	port := l.Port
	if port == 0 {
		port = c.center.Port
	}
	state, verifier := rand.Text(), rand.Text()+rand.Text()+rand.Text() // 26 characters each
	answer, err := newAnswer(ctx, port, state, l.Paste)
	if err != nil {
		return err
	}
	defer answer.close()
	page, err := c.authorizePage(ctx, r, answer.redirect, state, verifier)
	if err != nil {
		return err
	}
	shown, err := l.ShowTo(ctx, c.name, Page{URL: page, Port: port, Pasted: l.Paste != nil})
	if err != nil {
		return err
	}
	defer shown()
	code, err := answer.wait(ctx)
	if err != nil {
		return err
	}
	out, err := c.oidc.CreateToken(ctx, &ssooidc.CreateTokenInput{
		GrantType: aws.String(grantCode), ClientId: aws.String(r.ID), ClientSecret: aws.String(r.Secret),
		Code: aws.String(code), CodeVerifier: aws.String(verifier), RedirectUri: aws.String(answer.redirect),
	})
	if err != nil {
		return err
	}
	return c.keep(r, out)
}

// authorizePage is where the person says yes. The operation is in no SDK.
func (c *Client) authorizePage(ctx context.Context, r registration, redirect, state, verifier string) (string, error) {
	o := c.oidc.Options()
	at, err := o.EndpointResolverV2.ResolveEndpoint(ctx, ssooidc.EndpointParameters{Region: aws.String(c.center.Region), Endpoint: o.BaseEndpoint})
	if err != nil {
		return "", fmt.Errorf("finding Identity Center in %s: %w", c.center.Region, err)
	}
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {r.ID}, "redirect_uri": {redirect}, "state": {state},
		"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
		"scopes": {strings.Join(c.scopes(), " ")},
	}
	return strings.TrimSuffix(at.URI.String(), "/") + "/authorize?" + q.Encode(), nil
}

// The pace of asking whether a device was approved (RFC 8628, section 3.5).
const (
	pollInterval = 5 * time.Second
	slowDown     = 5 * time.Second
	maxPoll      = 30 * time.Second // while AWS cannot be reached
)

// errDenied is that the person said no.
var errDenied = errors.New("the request was denied in the browser")

var errUnused = errors.New("nobody allowed the code while it was good; begin again for another one")

// byDevice signs in by a code that the person compares.
func (c *Client) byDevice(ctx context.Context, l *Login) error {
	r, err := c.register(ctx, false)
	if err != nil {
		return err
	}
	started, err := c.oidc.StartDeviceAuthorization(ctx, &ssooidc.StartDeviceAuthorizationInput{
		ClientId: aws.String(r.ID), ClientSecret: aws.String(r.Secret), StartUrl: aws.String(c.center.StartURL),
	})
	if err != nil {
		return err
	}
	if started.ExpiresIn > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, time.Duration(started.ExpiresIn)*time.Second, errUnused)
		defer stop()
	}
	shown, err := l.ShowTo(ctx, c.name, Page{URL: aws.ToString(started.VerificationUriComplete), Code: aws.ToString(started.UserCode)})
	if err != nil {
		return err
	}
	defer shown()
	out, err := poll(ctx, time.Duration(started.Interval)*time.Second, func() (*ssooidc.CreateTokenOutput, error) {
		return c.oidc.CreateToken(ctx, &ssooidc.CreateTokenInput{
			GrantType: aws.String(grantDevice), ClientId: aws.String(r.ID), ClientSecret: aws.String(r.Secret), DeviceCode: started.DeviceCode,
		})
	})
	if err != nil {
		return err
	}
	return c.keep(r, out)
}

// poll asks again and again, at the pace that AWS wants, until the person has said
// yes or no. A connection that fails says neither: it is asked less often while it
// does (RFC 8628, section 3.5).
func poll(ctx context.Context, interval time.Duration, ask func() (*ssooidc.CreateTokenOutput, error)) (*ssooidc.CreateTokenOutput, error) {
	if interval <= 0 {
		interval = pollInterval
	}
	var away error // that AWS cannot be asked now
	for pause := interval; ; {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			if away != nil {
				return nil, fmt.Errorf("%w; Identity Center could not be asked: %w", context.Cause(ctx), away)
			}
			return nil, context.Cause(ctx)
		}
		out, err := ask()
		if err == nil {
			return out, nil
		}
		var pending *types.AuthorizationPendingException
		var hasty *types.SlowDownException
		var expired *types.ExpiredTokenException
		var denied *types.AccessDeniedException
		switch {
		case errors.As(err, &denied):
			return nil, errDenied
		case errors.As(err, &expired):
			return nil, errUnused
		case errors.As(err, &hasty):
			interval += slowDown
		case errors.As(err, &pending), ctx.Err() != nil:
		case awserr.KindOf(err) == awserr.Transient, awserr.KindOf(err) == awserr.Throttled:
			away, pause = err, min(2*pause, max(interval, maxPoll))
			continue
		default:
			return nil, err
		}
		away, pause = nil, interval
	}
}
