package idc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/session/flight"
)

// Token is a sign-in's access token.
type Token struct {
	Access  string
	Expires time.Time

	refresh, clientID, clientSecret string
	registered                      time.Time // until when the client is
	written                         time.Time
	fields                          map[string]any // all that the file has
}

// Format keeps the token out of every verb.
func (t Token) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "access token until %s", t.Expires.Format(time.RFC3339))
}

// window is how long before its end a token is refreshed; the AWS CLI's.
const window = 15 * time.Minute

func (t *Token) valid(now time.Time) bool { return t.Access != "" && now.Before(t.Expires) }

// fresh is valid for longer than the window, or as long as there is to be had: a
// sign-in's last token ends with it.
func (t *Token) fresh(now time.Time) bool {
	age := now.Sub(t.written)
	return t.valid(now) && (t.Expires.Sub(now) >= window || age >= 0 && age < time.Minute)
}

func (t *Token) refreshable(now time.Time) bool {
	return t.refresh != "" && t.clientID != "" && t.clientSecret != "" && now.Before(t.registered)
}

// unkept is a token that is nowhere but here, as its file could not be written.
type unkept struct {
	token Token
	spent string // the access token in the file, which is as good as gone
}

// read gives the token that is in the file, or should be.
func (c *Client) read() (Token, bool) {
	t, ok := c.stored()
	if u := c.inMemory(); u != nil && ok && t.Access == u.spent {
		return u.token, true
	}
	return t, ok
}

// stored reads the token's file. Half a file, which the AWS CLI leaves for moments,
// is none.
func (c *Client) stored() (Token, bool) {
	path := c.tokenPath()
	text, err := os.ReadFile(path)
	if err != nil {
		return Token{}, false
	}
	fields := map[string]any{}
	if json.Unmarshal(text, &fields) != nil {
		return Token{}, false
	}
	t, ok := c.parse(fields)
	if info, err := os.Stat(path); err == nil {
		t.written = info.ModTime()
	}
	return t, ok
}

// inMemory is the token that could not be written, nil when there is none.
func (c *Client) inMemory() *unkept {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unkept
}

// parse reads the fields of a token's file.
func (c *Client) parse(fields map[string]any) (Token, bool) {
	t := Token{fields: fields}
	field := func(name string) string { s, _ := t.fields[name].(string); return s }
	if url := field("startUrl"); url != "" && url != c.center.StartURL {
		return Token{}, false // of another source that had this name
	}
	t.Access, t.refresh, t.clientID, t.clientSecret = field("accessToken"), field("refreshToken"), field("clientId"), field("clientSecret")
	t.Expires, t.registered = parseTime(field("expiresAt")), parseTime(field("registrationExpiresAt"))
	return t, t.Access != ""
}

// parseTime reads the times that AWS's tools write; older ones wrote "UTC".
func parseTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05UTC"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	return time.Time{}
}

func formatTime(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }

// next is what the token's file is to hold, with the fields that are not ours.
func (c *Client) next(t *Token, out *ssooidc.CreateTokenOutput) map[string]any {
	fields := maps.Clone(t.fields)
	if fields == nil {
		fields = map[string]any{}
	}
	maps.Copy(fields, map[string]any{
		"startUrl": c.center.StartURL, "region": c.center.Region,
		"accessToken": aws.ToString(out.AccessToken), "expiresAt": formatTime(time.Now().Add(time.Duration(out.ExpiresIn) * time.Second)),
		"clientId": t.clientID, "clientSecret": t.clientSecret, "registrationExpiresAt": formatTime(t.registered),
	})
	delete(fields, "refreshToken")
	if out.RefreshToken != nil {
		fields["refreshToken"] = *out.RefreshToken
	}
	return fields
}

func (c *Client) writeFields(fields map[string]any) error {
	text, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return atomicfile.Write(c.tokenPath(), text)
}

// alone does something that one process at a time may, for this sign-in.
func (c *Client) alone(ctx context.Context, have func() bool, fetch func(context.Context) error) error {
	return flight.Do(ctx, c.cfg.LockDir, "sign-in-"+c.id(), have, fetch)
}

// Until tells until when the person is signed in: as long as the token can be
// refreshed nobody knows, and it is the token's end. ok is false when the person
// has to sign in.
func (c *Client) Until() (end time.Time, ok bool) {
	t, found := c.read()
	now := time.Now()
	return t.Expires, found && (t.valid(now) || t.refreshable(now))
}

// Token gives the access token, refreshed if it is about to end. The error is a
// *SignedOutError when somebody has to sign in.
func (c *Client) Token(ctx context.Context) (Token, error) {
	var t Token
	have := func() bool {
		t, _ = c.read()
		return c.inMemory() == nil && (t.fresh(time.Now()) || !t.refreshable(time.Now()))
	}
	err := c.alone(ctx, have, func(ctx context.Context) error {
		c.writeBack()
		if t.fresh(time.Now()) || !t.refreshable(time.Now()) {
			return nil
		}
		return c.refresh(ctx, t)
	})
	t, _ = c.read()
	now := time.Now()
	switch {
	case t.valid(now):
		return t, nil // whatever became of refreshing
	case err != nil && t.refreshable(now):
		return Token{}, fmt.Errorf("refreshing the sign-in to %s: %w", c.name, err)
	}
	return Token{}, &SignedOutError{c.name}
}

// refresh spends the refresh token. The caller has the lock.
func (c *Client) refresh(ctx context.Context, t Token) error {
	out, err := c.oidc.CreateToken(ctx, &ssooidc.CreateTokenInput{
		GrantType: aws.String("refresh_token"), ClientId: aws.String(t.clientID), ClientSecret: aws.String(t.clientSecret), RefreshToken: aws.String(t.refresh),
	})
	if err == nil {
		err = usable(out)
	}
	switch {
	case err == nil:
		c.renew(&t, out)
		return nil
	case !refusedBy(err, "InvalidGrantException", "ExpiredTokenException", "InvalidClientException", "UnauthorizedClientException"):
		return err
	}
	if c.replaced(ctx, t) {
		return nil
	}
	// AWS says that the refresh token is no good: nobody needs to try it again.
	delete(t.fields, "refreshToken")
	return errors.Join(c.writeFields(t.fields), &SignedOutError{c.name})
}

// usable is an error for an answer that has no token: nothing of it may take the
// place of one that works.
func usable(out *ssooidc.CreateTokenOutput) error {
	if aws.ToString(out.AccessToken) == "" || out.ExpiresIn <= 0 {
		return errors.New("asking Identity Center for a token: it answered without one")
	}
	return nil
}

// renew keeps what AWS gave for a refresh token, which is spent by that: in memory
// where it cannot be written, say for a disk that is full.
func (c *Client) renew(spent *Token, out *ssooidc.CreateTokenOutput) {
	fields := c.next(spent, out)
	err := c.writeFields(fields)
	if err == nil {
		return
	}
	t, _ := c.parse(fields)
	t.written = time.Now()
	u := &unkept{token: t, spent: spent.Access}
	c.mu.Lock()
	if before := c.unkept; before != nil && before.token.Access == spent.Access {
		u.spent = before.spent // which is what the file holds still
	}
	c.unkept = u
	c.mu.Unlock()
	if c.cfg.Note != nil {
		c.cfg.Note(fmt.Sprintf("the sign-in to %s was refreshed and cannot be kept: %v; unless that is mended while this runs, stile login %s will be needed", c.name, err, c.name))
	}
}

// writeBack tries again to write what could not be written, unless somebody has
// signed in since. The caller has the lock.
func (c *Client) writeBack() {
	u := c.inMemory()
	if u == nil {
		return
	}
	t, ok := c.stored()
	if !ok || t.Access == u.spent && c.writeFields(u.token.fields) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unkept = nil
}

// replaced waits a moment for a program that does not know our lock, such as
// the AWS CLI, to write what it got for the refresh token that we have.
func (c *Client) replaced(ctx context.Context, t Token) bool {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range 5 {
		if now, ok := c.read(); ok && now.refresh != t.refresh {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return false
}

// rejected is told that AWS does not take a token that has not ended: the person
// signed out elsewhere, or an administrator ended the session.
func (c *Client) rejected(ctx context.Context, token Token) error {
	var t Token
	changed := func() bool {
		t, _ = c.read()
		return t.Access != token.Access
	}
	return c.alone(ctx, changed, func(ctx context.Context) error {
		if t.refreshable(time.Now()) {
			return c.refresh(ctx, t)
		}
		t.fields["expiresAt"] = formatTime(time.Now())
		return errors.Join(c.writeFields(t.fields), &SignedOutError{c.name})
	})
}

// remove removes the token's file.
func (c *Client) remove(ctx context.Context) error {
	lock, err := flight.Acquire(ctx, c.cfg.LockDir, "sign-in-"+c.id())
	if err != nil {
		return err
	}
	defer lock.Release()
	if err := os.Remove(c.tokenPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// refusedBy reports an answer of AWS with one of the codes.
func refusedBy(err error, codes ...string) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, code := range codes {
		if api.ErrorCode() == code {
			return true
		}
	}
	return false
}
