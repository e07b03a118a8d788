package signin

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/signin/types"

	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/session/flight"
)

// window is how much of the fifteen minutes is left when they are refreshed: more
// than the AWS CLI's 5, so that it finds them fresh, and about half of what there
// is to be had, for those who are handed them.
const window = 7 * time.Minute

// token is a sign-in's file.
type token struct {
	fields                    map[string]json.RawMessage // all that it has
	access                    map[string]json.RawMessage // of its accessToken
	credentials               aws.Credentials
	refresh, clientID, region string
	key                       string // PEM
	written                   time.Time
}

// Format keeps the secrets out of every verb.
func (t token) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "console sign-in until %s", t.credentials.Expires.Format(time.RFC3339))
}

func (t *token) valid(now time.Time) bool {
	return t.credentials.HasKeys() && now.Before(t.credentials.Expires)
}

// fresh is valid for longer than the window, or as long as there is to be had: the
// last credentials of a sign-in end with it.
func (t *token) fresh(now time.Time) bool {
	age := now.Sub(t.written)
	return t.valid(now) && (t.credentials.Expires.Sub(now) >= window || age >= 0 && age < time.Minute)
}

// read reads the file of who is signed in. Its error says that somebody has to sign
// in, and why.
func (c *Client) read() (*token, error) {
	identity := c.Identity()
	if identity == "" {
		return nil, c.signedOut("")
	}
	return c.readOf(identity)
}

// AWS's tools write the file in place: half of it is not broken, but looked at again,
// so often and so much later.
const (
	looks = 5
	pause = 30 * time.Millisecond
)

func (c *Client) readOf(identity string) (*token, error) {
	path := c.path(identity)
	for look := range looks {
		if look > 0 {
			time.Sleep(pause)
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, c.signedOut("")
		}
		if err != nil {
			return nil, fmt.Errorf("reading the sign-in to %s: %w", c.to.Name, err)
		}
		t, ok := parse(text)
		if !ok {
			continue
		}
		if info, err := os.Stat(path); err == nil {
			t.written = info.ModTime()
		}
		return t, nil
	}
	return nil, c.signedOut("the file " + path + " is broken")
}

// parse reads a file's text.
func parse(text []byte) (*token, bool) {
	t := &token{}
	if json.Unmarshal(text, &t.fields) != nil || json.Unmarshal(t.fields["accessToken"], &t.access) != nil {
		return nil, false
	}
	field := func(from map[string]json.RawMessage, name string) string {
		var value string
		if json.Unmarshal(from[name], &value) != nil {
			return ""
		}
		return value
	}
	expires, err := time.Parse(time.RFC3339, field(t.access, "expiresAt"))
	t.credentials = aws.Credentials{
		AccessKeyID: field(t.access, "accessKeyId"), SecretAccessKey: field(t.access, "secretAccessKey"), SessionToken: field(t.access, "sessionToken"),
		AccountID: field(t.access, "accountId"), CanExpire: true, Expires: expires, Source: "stile",
	}
	t.refresh, t.clientID, t.key, t.region = field(t.fields, "refreshToken"), field(t.fields, "clientId"), field(t.fields, "dpopKey"), field(t.fields, "region")
	if !catalog.RegionShaped(t.region) { // it will be part of the host that gets the refresh token
		t.region = ""
	}
	return t, err == nil && t.credentials.HasKeys() && t.credentials.SessionToken != ""
}

// write replaces the file of an identity with what AWS gave, keeping the fields
// that are not ours. asked is when it was asked for.
func (c *Client) write(identity string, t *token, out *types.CreateOAuth2TokenResponseBody, asked time.Time) error {
	fields, access := maps.Clone(t.fields), maps.Clone(t.access)
	if fields == nil {
		fields, access = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	}
	set := func(in map[string]json.RawMessage, name, value string) {
		text, _ := json.Marshal(value) // a string always can
		in[name] = text
	}
	expires := asked.Add(time.Duration(*out.ExpiresIn) * time.Second).UTC().Format("2006-01-02T15:04:05Z")
	for name, value := range map[string]string{
		"accessKeyId": *out.AccessToken.AccessKeyId, "secretAccessKey": *out.AccessToken.SecretAccessKey, "sessionToken": *out.AccessToken.SessionToken,
		"accountId": t.credentials.AccountID, "expiresAt": expires,
	} {
		set(access, name, value)
	}
	for name, value := range map[string]string{
		"tokenType": *out.TokenType, "clientId": t.clientID, "refreshToken": *out.RefreshToken, "dpopKey": t.key, "region": t.region,
	} {
		set(fields, name, value)
	}
	if out.IdToken != nil {
		set(fields, "idToken", *out.IdToken)
	}
	var err error
	if fields["accessToken"], err = json.Marshal(access); err != nil {
		return err
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return atomicfile.Write(c.path(identity), text)
}

// credentials gives what is signed in to, refreshed if it is about to end.
func (c *Client) credentials(ctx context.Context) (aws.Credentials, error) {
	identity := c.Identity()
	if identity == "" {
		return aws.Credentials{}, c.signedOut("")
	}
	var t *token
	have := func() bool {
		var err error
		t, err = c.read()
		return err != nil || t.fresh(time.Now()) && !c.refuses(t) || !c.refreshable(t)
	}
	failed := flight.Do(ctx, c.cfg.LockDir, lock(identity), have, func(ctx context.Context) error { return c.refresh(ctx, identity, t) })
	t, err := c.read()
	switch {
	case err != nil:
		return aws.Credentials{}, err
	case t.valid(time.Now()) && !c.refuses(t):
		return t.credentials, nil // whatever became of refreshing
	case failed != nil && c.refreshable(t):
		return aws.Credentials{}, fmt.Errorf("refreshing the sign-in to %s: %w", c.to.Name, failed)
	}
	return aws.Credentials{}, c.signedOut(c.whyRefused(identity, t))
}

// refuses reports credentials that AWS has refused.
func (c *Client) refuses(t *token) bool {
	id := c.refused.Load()
	return id != nil && *id == t.credentials.AccessKeyID
}

// refresh spends the refresh token. The caller has the lock.
func (c *Client) refresh(ctx context.Context, identity string, t *token) error {
	key, err := readKey(t.key)
	if err != nil {
		return err
	}
	if t.region == "" { // of the AWS CLI, which goes by the profile's
		t.region = c.to.Region
	}
	asked := time.Now()
	out, err := c.create(ctx, t.region, key, &types.CreateOAuth2TokenRequestBody{
		ClientId: aws.String(t.clientID), GrantType: aws.String("refresh_token"), RefreshToken: aws.String(t.refresh),
	})
	if err == nil {
		return c.write(identity, t, out, asked)
	}
	reason := reasonOf(err)
	switch {
	case said(reason) == "":
		return explain(err, t.region)
	case c.replaced(ctx, t):
		return nil
	}
	// Nobody needs to try it again.
	note := hash(t.refresh) + " " + string(reason) + "\n"
	return errors.Join(atomicfile.Write(c.refusal(identity), []byte(note)), c.signedOut(said(reason)))
}

// create asks AWS for credentials.
func (c *Client) create(ctx context.Context, region string, key *ecdsa.PrivateKey, in *types.CreateOAuth2TokenRequestBody) (*types.CreateOAuth2TokenResponseBody, error) {
	out, err := c.api(region).CreateOAuth2Token(ctx, &signin.CreateOAuth2TokenInput{TokenInput: in}, proving(key))
	if err != nil {
		return nil, err
	}
	got := out.TokenOutput
	if got == nil || got.AccessToken == nil || got.ExpiresIn == nil || got.TokenType == nil || aws.ToString(got.RefreshToken) == "" ||
		aws.ToString(got.AccessToken.AccessKeyId) == "" || aws.ToString(got.AccessToken.SecretAccessKey) == "" || aws.ToString(got.AccessToken.SessionToken) == "" {
		return nil, errors.New("AWS answered without credentials")
	}
	return got, nil
}

// reasonOf is why AWS refuses, "" for any other error.
func reasonOf(err error) types.OAuth2ErrorCode {
	if denied, ok := errors.AsType[*types.AccessDeniedException](err); ok {
		return denied.Error_
	}
	if invalid, ok := errors.AsType[*types.ValidationException](err); ok {
		return invalid.Error_
	}
	return ""
}

// said is a refusal in words, "" for one that a new sign-in does not mend.
func said(reason types.OAuth2ErrorCode) string {
	switch reason {
	case types.OAuth2ErrorCodeTokenExpired:
		return "the sign-in has ended"
	case types.OAuth2ErrorCodeUserCredentialsChanged:
		return "the sign-in has ended, for the password was changed"
	}
	return ""
}

// explain adds what people can do about a refusal.
func explain(err error, region string) error {
	switch reasonOf(err) {
	case types.OAuth2ErrorCodeInsufficientPermissions:
		return fmt.Errorf("you may not sign command lines in; AWS's policy SignInLocalDevelopmentAccess allows it: %w", err)
	case types.OAuth2ErrorCodeInvalidRequest:
		return fmt.Errorf("AWS refuses it in %s, as if it was begun in another Region; sign in anew, or say that Region: %w", region, err)
	}
	return err
}

// replaced waits a moment for a program that does not know our lock, such as the
// AWS CLI, to write what it got for the refresh token that we have.
func (c *Client) replaced(ctx context.Context, t *token) bool {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range 5 {
		if now, err := c.read(); err == nil && now.refresh != t.refresh {
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

// refusal is the file that remembers which refresh token AWS refused, and why.
func (c *Client) refusal(identity string) string {
	return filepath.Join(c.cfg.LockDir, lock(identity)+".refused")
}

// whyRefused is why a refresh token is of no use, "" when it was not refused.
func (c *Client) whyRefused(identity string, t *token) string {
	text, err := os.ReadFile(c.refusal(identity))
	of, reason, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if err != nil || of != hash(t.refresh) {
		return ""
	}
	return said(types.OAuth2ErrorCode(reason))
}

func (c *Client) refreshable(t *token) bool {
	return t.refresh != "" && t.clientID != "" && t.key != "" && c.whyRefused(c.Identity(), t) == ""
}
