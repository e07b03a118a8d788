package signin

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/signin/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/session/flight"
	"github.com/stile-aws/stile/internal/session/idc"
)

// The clients that everybody has: for a browser on this computer, and for one
// elsewhere.
const (
	sameDevice  = "arn:aws:signin:::devtools/same-device"
	crossDevice = "arn:aws:signin:::devtools/cross-device"
)

// confirmation is the page that shows what is carried to another computer.
const confirmation = "/v1/sessions/confirmation"

// Login has the person sign in, unless somebody is or another process has it
// done meanwhile. Of what Login says the flow does not count: there is but one.
func (c *Client) Login(ctx context.Context, l idc.Login) error {
	if l.Timeout == 0 {
		l.Timeout = 10 * time.Minute
	}
	ctx, stop := context.WithTimeoutCause(ctx, l.Timeout, fmt.Errorf("nobody signed in to %s within %s", c.to.Name, l.Timeout))
	defer stop()
	came := time.Now()
	have := func() bool {
		t, err := c.read()
		return err == nil && t.valid(time.Now()) && !c.refuses(t) && (!l.Force || t.written.After(came))
	}
	err := flight.Do(ctx, c.cfg.LockDir, "console-login-"+hash(c.to.Name), have, func(ctx context.Context) error { return c.signIn(ctx, &l) })
	if err != nil {
		return fmt.Errorf("signing in to %s: %w", c.to.Name, err)
	}
	return nil
}

// way is how an authorization code comes back.
type way struct {
	client, redirect string
	wait             func(context.Context) (code string, err error)
	end              func()
}

func (c *Client) way(ctx context.Context, l *idc.Login, base, state string) (*way, error) {
	if l.Paste != nil {
		return &way{client: crossDevice, redirect: base + confirmation, end: func() {}, wait: func(ctx context.Context) (string, error) {
			return pasted(ctx, state, l.Paste)
		}}, nil
	}
	port := l.Port
	if port == 0 {
		port = c.to.Port
	}
	back, err := idc.Listen(ctx, port, state)
	if err != nil {
		return nil, err
	}
	return &way{client: sameDevice, redirect: back.Redirect(), wait: back.Wait, end: back.Close}, nil
}

func (c *Client) signIn(ctx context.Context, l *idc.Login) error {
	base, err := c.base(ctx)
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	state, verifier := rand.Text(), rand.Text()+rand.Text()+rand.Text() // 26 characters each
	w, err := c.way(ctx, l, base, state)
	if err != nil {
		return err
	}
	defer w.end()
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {w.client}, "redirect_uri": {w.redirect}, "state": {state}, "scope": {"openid"},
		"code_challenge_method": {"SHA-256"}, "code_challenge": {encode(sum[:])},
	}
	port := l.Port
	if port == 0 {
		port = c.to.Port
	}
	shown, err := l.ShowTo(ctx, c.to.Name, idc.Page{URL: base + "/v1/authorize?" + q.Encode(), Port: port, Pasted: l.Paste != nil, Shown: true})
	if err != nil {
		return err
	}
	defer shown()
	code, err := w.wait(ctx)
	if err != nil {
		return err
	}
	asked := time.Now()
	out, err := c.create(ctx, c.to.Region, key, &types.CreateOAuth2TokenRequestBody{
		ClientId: aws.String(w.client), GrantType: aws.String("authorization_code"),
		Code: aws.String(code), CodeVerifier: aws.String(verifier), RedirectUri: aws.String(w.redirect),
	})
	if err != nil {
		return explain(err, c.to.Region)
	}
	return c.keep(ctx, l, w.client, key, out, asked)
}

// base is the base URL of sign-in, where the pages are too, which are in no SDK.
func (c *Client) base(ctx context.Context) (string, error) {
	o := c.api(c.to.Region).Options()
	at, err := o.EndpointResolverV2.ResolveEndpoint(ctx, signin.EndpointParameters{
		Region: aws.String(c.to.Region), Endpoint: o.BaseEndpoint, UseDualStack: aws.Bool(false), UseFIPS: aws.Bool(false), IsControlPlane: aws.Bool(false),
	})
	if err != nil {
		return "", fmt.Errorf("finding AWS's sign-in in %s: %w", c.to.Region, err)
	}
	return strings.TrimSuffix(at.URI.String(), "/"), nil
}

// pastes is how often a person is asked for the code.
const pastes = 3

// pasted has a person paste the code that the confirmation page shows.
func pasted(ctx context.Context, state string, paste func(context.Context, error) (string, error)) (string, error) {
	var problem error
	for range pastes {
		text, err := paste(ctx, problem)
		if err != nil {
			return "", err
		}
		q, ok := shown(text)
		if !ok {
			problem = errors.New("that is not the code that the page shows")
			continue
		}
		code, ours, err := idc.ReadAnswer(q, state)
		if ours {
			return code, err
		}
		problem = err
	}
	return "", problem
}

// shown reads what the confirmation page shows, or that page's address.
func shown(text string) (url.Values, bool) {
	text = strings.Trim(text, " \t\r\n\"'<>")
	if _, query, ok := strings.Cut(text, confirmation+"?"); ok {
		text = query
	} else if plain, err := base64.StdEncoding.DecodeString(text); err == nil {
		text = string(plain)
	}
	q, err := url.ParseQuery(text)
	return q, err == nil && q.Get("state") != ""
}

// keep writes what a sign-in gave, if it is of who may sign in.
func (c *Client) keep(ctx context.Context, l *idc.Login, client string, key *ecdsa.PrivateKey, out *types.CreateOAuth2TokenResponseBody, asked time.Time) error {
	who, err := subject(aws.ToString(out.IdToken))
	if err != nil {
		return err
	}
	known := c.Identity()
	if known != "" && known != who.String() && (c.to.Identity != "" || !l.Force) {
		return fmt.Errorf("you signed in as %s, and %s is %s: choose that on the page; %s", who, c.to.Name, known, c.to.Other)
	}
	pem, err := writeKey(key)
	if err != nil {
		return err
	}
	identity := who.String()
	guard, err := flight.Acquire(ctx, c.cfg.LockDir, lock(identity))
	if err != nil {
		return err
	}
	defer guard.Release()
	t, err := c.readOf(identity)
	if err != nil { // there is none yet
		t = &token{}
	}
	t.clientID, t.key, t.region = client, pem, c.to.Region
	t.credentials.AccountID = string(who.Account)
	if err := c.write(identity, t, out, asked); err != nil {
		return err
	}
	return c.remember(identity)
}

// subject is who an id token is of. It came from AWS itself, by TLS, so that its
// signature says nothing more (OpenID Connect Core, section 3.1.3.7).
func subject(idToken string) (arn.ARN, error) {
	parts := strings.Split(idToken, ".")
	var claims struct {
		Subject string `json:"sub"`
	}
	if len(parts) != 3 {
		return arn.ARN{}, errors.New("AWS answered without an id token")
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return arn.ARN{}, errors.New("AWS answered with an id token that cannot be read")
	}
	who, err := arn.Parse(claims.Subject)
	if err != nil {
		return arn.ARN{}, fmt.Errorf("reading who signed in: %w", err)
	}
	return who, nil
}
