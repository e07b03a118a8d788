package localaws_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	oidc "github.com/aws/aws-sdk-go-v2/service/ssooidc"
	oidctypes "github.com/aws/aws-sdk-go-v2/service/ssooidc/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/ssooidc"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

const (
	startURL = "https://acme.awsapps.com/start"
	callback = "http://127.0.0.1/oauth/callback"
	verifier = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	device   = "urn:ietf:params:oauth:grant-type:device_code"
)

// acme is an instance in us-east-1: alice administers A and reads B, bob reads B.
func acme() localaws.IdentityCenter {
	return localaws.IdentityCenter{
		StartURL: startURL,
		Users: []localaws.IdentityCenterUser{
			{Name: "alice", Email: "alice@example.com", Groups: []string{"admins", "readers"}}, {Name: "bob", Groups: []string{"readers"}},
		},
		PermissionSets: []localaws.PermissionSet{
			{Name: "Admin", ManagedPolicies: []string{"arn:aws:iam::aws:policy/AdministratorAccess"}, SessionDuration: 2 * time.Hour},
			{Name: "ReadOnly", InlinePolicy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["iam:Get*","iam:List*"],"Resource":"*"}}`},
		},
		Assignments: []localaws.Assignment{
			{Accounts: []arn.AccountID{A}, PermissionSets: []string{"Admin"}, Groups: []string{"admins"}},
			{Accounts: []arn.AccountID{B}, PermissionSets: []string{"ReadOnly"}, Groups: []string{"readers"}},
			{Accounts: []arn.AccountID{B}, PermissionSets: []string{"Admin"}, Users: []string{"bob"}},
		},
	}
}

// login is what a program has to sign people in.
type login struct {
	t      testing.TB
	server *localaws.Server
	clock  *store.ManualClock
	config aws.Config
	oidc   *oidc.Client
	portal *sso.Client
}

func signIn(t testing.TB, change func(*localaws.Config)) *login {
	t.Helper()
	clock := store.NewManualClock(time.Now().Truncate(time.Second))
	s := start(t, func(c *localaws.Config) {
		c.Clock, c.IdentityCenters = clock, []localaws.IdentityCenter{acme()}
		if change != nil {
			change(c)
		}
	})
	l := &login{t: t, server: s, clock: clock}
	l.config = aws.Config{
		Region: "us-east-1", HTTPClient: &http.Client{Transport: frontdoor.RoundTripper(s)},
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
	l.oidc, l.portal = oidc.NewFromConfig(l.config), sso.NewFromConfig(l.config)
	return l
}

// advance moves the local AWS's time; clients sign by the computer's.
func (l *login) advance(d time.Duration) {
	l.t.Helper()
	if err := l.server.World().Advance(d); err != nil {
		l.t.Fatal(err)
	}
}

// register registers a client for a flow, with scopes as the AWS CLI has them.
func (l *login) register(grants []string, scopes ...string) *oidc.RegisterClientOutput {
	l.t.Helper()
	in := &oidc.RegisterClientInput{ClientName: ptr("botocore-client-acme"), ClientType: ptr("public"), Scopes: scopes}
	if slices.Contains(grants, "authorization_code") {
		in.GrantTypes, in.RedirectUris, in.IssuerUrl = grants, []string{callback}, ptr(startURL)
	}
	out, err := l.oidc.RegisterClient(l.t.Context(), in)
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

func codeFlow() []string { return []string{"authorization_code", "refresh_token"} }

// authorizeURL is what a program opens in the browser.
func authorizeURL(client *oidc.RegisterClientOutput, change func(url.Values)) string {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {*client.ClientId}, "redirect_uri": {"http://127.0.0.1:45123/oauth/callback"}, "state": {"s-1"},
		"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "scopes": {"sso:account:access"},
	}
	if change != nil {
		change(q)
	}
	return *client.AuthorizationEndpoint + "?" + q.Encode()
}

// code approves an authorization and returns the code that comes back.
func (l *login) code(client *oidc.RegisterClientOutput, user string) string {
	l.t.Helper()
	next, err := l.server.AnswerSignIn(authorizeURL(client, nil), ssooidc.Answer{User: user})
	if err != nil {
		l.t.Fatal(err)
	}
	u, err := url.Parse(next)
	if err != nil || u.Host != "127.0.0.1:45123" || u.Path != "/oauth/callback" || u.Query().Get("state") != "s-1" {
		l.t.Fatalf("the browser is sent to %s (%v)", next, err)
	}
	return u.Query().Get("code")
}

func (l *login) redeem(client *oidc.RegisterClientOutput, change func(*oidc.CreateTokenInput)) (*oidc.CreateTokenOutput, error) {
	in := &oidc.CreateTokenInput{
		ClientId: client.ClientId, ClientSecret: client.ClientSecret, GrantType: ptr("authorization_code"),
		CodeVerifier: ptr(verifier), RedirectUri: ptr("http://127.0.0.1:45123/oauth/callback"),
	}
	change(in)
	return l.oidc.CreateToken(l.t.Context(), in)
}

func (l *login) refresh(client *oidc.RegisterClientOutput, token string) (*oidc.CreateTokenOutput, error) {
	return l.oidc.CreateToken(l.t.Context(), &oidc.CreateTokenInput{
		ClientId: client.ClientId, ClientSecret: client.ClientSecret, GrantType: ptr("refresh_token"), RefreshToken: &token,
	})
}

// as signs a person in by authorization code.
func (l *login) as(user string) (*oidc.RegisterClientOutput, *oidc.CreateTokenOutput) {
	l.t.Helper()
	client := l.register(codeFlow(), "sso:account:access")
	code := l.code(client, user)
	out, err := l.redeem(client, func(in *oidc.CreateTokenInput) { in.Code = &code })
	if err != nil {
		l.t.Fatal(err)
	}
	return client, out
}

func (l *login) credentials(token string, account arn.AccountID, role string) (*sso.GetRoleCredentialsOutput, error) {
	return l.portal.GetRoleCredentials(l.t.Context(), &sso.GetRoleCredentialsInput{AccessToken: &token, AccountId: ptr(string(account)), RoleName: &role})
}

// session gets credentials and makes a client of them.
func (l *login) session(token string, account arn.AccountID, role string) aws.Config {
	l.t.Helper()
	out, err := l.credentials(token, account, role)
	if err != nil {
		l.t.Fatal(err)
	}
	c := out.RoleCredentials
	return with(l.server, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
}

func TestPeopleSignInByAuthorizationCode(t *testing.T) {
	l := signIn(t, nil)
	_, token := l.as("alice")
	if token.RefreshToken == nil || token.ExpiresIn != 3600 || *token.TokenType != "Bearer" {
		t.Errorf("token: %+v", token)
	}
	accounts, err := l.portal.ListAccounts(t.Context(), &sso.ListAccountsInput{AccessToken: token.AccessToken})
	if err != nil || len(accounts.AccountList) != 2 || *accounts.AccountList[0].AccountId != string(A) || *accounts.AccountList[1].AccountName != "orders-prod" {
		t.Fatalf("accounts: %+v %v", accounts, err)
	}
	roles, err := l.portal.ListAccountRoles(t.Context(), &sso.ListAccountRolesInput{AccessToken: token.AccessToken, AccountId: ptr(string(B))})
	if err != nil || len(roles.RoleList) != 1 || *roles.RoleList[0].RoleName != "ReadOnly" {
		t.Fatalf("roles: %+v %v", roles, err)
	}
	out, err := whoami(t, l.session(*token.AccessToken, B, "ReadOnly"))
	if err != nil || !strings.HasPrefix(*out.Arn, "arn:aws:sts::222222222222:assumed-role/AWSReservedSSO_ReadOnly_") || !strings.HasSuffix(*out.Arn, "/alice") {
		t.Errorf("whoami: %v %v", out, err)
	}
}

func TestPermissionSetsAreEnforced(t *testing.T) {
	l := signIn(t, nil)
	_, token := l.as("alice")
	reader := iam.NewFromConfig(l.session(*token.AccessToken, B, "ReadOnly"))
	if _, err := reader.ListRoles(t.Context(), &iam.ListRolesInput{}); err != nil {
		t.Errorf("a reader cannot read: %v", err)
	}
	_, err := reader.CreateUser(t.Context(), &iam.CreateUserInput{UserName: ptr("eve")})
	worldtest.WantError(t, err, "AccessDenied", "because no identity-based policy allows the iam:CreateUser action")
	admin := iam.NewFromConfig(l.session(*token.AccessToken, A, "Admin"))
	if _, err := admin.CreateUser(t.Context(), &iam.CreateUserInput{UserName: ptr("eve")}); err != nil {
		t.Errorf("an administrator cannot write: %v", err)
	}
	for name, c := range map[string]struct {
		account arn.AccountID
		role    string
	}{
		"a role that is another's": {B, "Admin"}, "an account without an assignment": {M, "Admin"},
		"no account": {"000000000000", "Admin"}, "no permission set": {A, "Nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := l.credentials(*token.AccessToken, c.account, c.role)
			worldtest.WantError(t, err, "ForbiddenException", "No access")
		})
	}
	_, err = l.portal.ListAccountRoles(t.Context(), &sso.ListAccountRolesInput{AccessToken: token.AccessToken, AccountId: ptr(string(M))})
	worldtest.WantError(t, err, "ForbiddenException", "No access")
}

func TestCredentialsLastAsLongAsThePermissionSetSays(t *testing.T) {
	l := signIn(t, nil)
	_, token := l.as("alice")
	out, err := l.credentials(*token.AccessToken, A, "Admin")
	if err != nil || out.RoleCredentials.Expiration != l.clock.Now().Add(2*time.Hour).UnixMilli() {
		t.Fatalf("expiration: %v %v", out, err)
	}
	cfg := l.session(*token.AccessToken, B, "ReadOnly")
	l.advance(time.Hour)
	_, err = whoami(t, cfg)
	worldtest.WantError(t, err, "ExpiredToken", "expired")
}

// The Go SDK's own provider reads a token file as the AWS CLI writes it.
func TestTheSDKsProviderGetsCredentials(t *testing.T) {
	l := signIn(t, nil)
	client, token := l.as("bob")
	file := filepath.Join(t.TempDir(), "token.json")
	write := func(expires time.Time) {
		text := fmt.Sprintf(`{"startUrl":%q,"region":"us-east-1","accessToken":%q,"expiresAt":%q,"clientId":%q,"clientSecret":%q,"registrationExpiresAt":%q,"refreshToken":%q,"mine":1}`,
			startURL, *token.AccessToken, expires.UTC().Format(time.RFC3339), *client.ClientId, *client.ClientSecret, expires.Add(time.Hour).UTC().Format(time.RFC3339), *token.RefreshToken)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	provider := ssocreds.New(l.portal, string(B), "Admin", startURL, func(o *ssocreds.Options) {
		o.SSOTokenProvider = ssocreds.NewSSOTokenProvider(l.oidc, file)
	})
	write(l.clock.Now().Add(time.Hour))
	got, err := provider.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whoami(t, with(l.server, got.AccessKeyID, got.SecretAccessKey, got.SessionToken)); err != nil {
		t.Error(err)
	}
	write(time.Now().Add(-time.Minute)) // the SDK refreshes, and writes the file
	if _, err := provider.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = l.refresh(client, *token.RefreshToken)
	if _, ok := errors.AsType[*oidctypes.InvalidGrantException](err); !ok {
		t.Errorf("the SDK's refresh token was not spent: %v", err)
	}
}

func TestRefreshTokensAreGoodOnce(t *testing.T) {
	l := signIn(t, nil)
	client, token := l.as("alice")
	next, err := l.refresh(client, *token.RefreshToken)
	if err != nil || *next.AccessToken == *token.AccessToken || *next.RefreshToken == *token.RefreshToken {
		t.Fatalf("refreshing: %v %v", next, err)
	}
	_, err = l.refresh(client, *token.RefreshToken)
	failure, ok := errors.AsType[*oidctypes.InvalidGrantException](err)
	if !ok || aws.ToString(failure.Error_) != "invalid_grant" || aws.ToString(failure.Error_description) == "" {
		t.Fatalf("a spent token: %v", err)
	}
	other, _ := l.as("bob")
	if _, err = l.refresh(other, *next.RefreshToken); !isGrant(err) {
		t.Errorf("another client's token: %v", err)
	}
	if _, err = l.refresh(client, *next.RefreshToken); err != nil {
		t.Errorf("the token was spent by another client: %v", err)
	}
}

func isGrant(err error) bool {
	_, ok := errors.AsType[*oidctypes.InvalidGrantException](err)
	return ok
}

func TestSignInsEnd(t *testing.T) {
	l := signIn(t, nil)
	client, token := l.as("alice")
	l.advance(time.Hour)
	_, err := l.portal.ListAccounts(t.Context(), &sso.ListAccountsInput{AccessToken: token.AccessToken})
	worldtest.WantError(t, err, "UnauthorizedException", "Session token not found or invalid")
	next, err := l.refresh(client, *token.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	l.advance(6*time.Hour + 30*time.Minute)
	if next, err = l.refresh(client, *next.RefreshToken); err != nil || next.ExpiresIn != 1800 {
		t.Fatalf("within the last half hour: %+v %v", next, err)
	}
	l.advance(30 * time.Minute)
	if _, err = l.refresh(client, *next.RefreshToken); !isGrant(err) {
		t.Errorf("after eight hours: %v", err)
	}
}

func TestWithoutScopesThereIsNoRefreshToken(t *testing.T) {
	l := signIn(t, nil)
	client := l.register(codeFlow())
	next, err := l.server.AnswerSignIn(authorizeURL(client, func(q url.Values) { q.Del("scopes") }), ssooidc.Answer{User: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(next)
	token, err := l.redeem(client, func(in *oidc.CreateTokenInput) { in.Code = ptr(u.Query().Get("code")) })
	if err != nil || token.RefreshToken != nil || token.ExpiresIn != 8*3600 {
		t.Errorf("token: %+v %v", token, err)
	}
}

func TestCodesAreGoodOnceForTenMinutesForTheirClient(t *testing.T) {
	l := signIn(t, nil)
	client, other := l.register(codeFlow(), "sso:account:access"), l.register(codeFlow(), "sso:account:access")
	for name, change := range map[string]func(*oidc.CreateTokenInput){
		"another verifier":         func(in *oidc.CreateTokenInput) { in.CodeVerifier = ptr(strings.Repeat("a", 43)) },
		"a verifier of one letter": func(in *oidc.CreateTokenInput) { in.CodeVerifier = ptr("a") },
		"another port":             func(in *oidc.CreateTokenInput) { in.RedirectUri = ptr("http://127.0.0.1:1/oauth/callback") },
		"another client":           func(in *oidc.CreateTokenInput) { in.ClientId, in.ClientSecret = other.ClientId, other.ClientSecret },
		"an invented code":         func(in *oidc.CreateTokenInput) { in.Code = ptr("guess") },
		"after ten minutes":        func(*oidc.CreateTokenInput) { l.advance(10 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			code := l.code(client, "alice")
			if _, err := l.redeem(client, func(in *oidc.CreateTokenInput) { in.Code = &code; change(in) }); !isGrant(err) {
				t.Errorf("got %v, want invalid_grant", err)
			}
		})
	}
	code := l.code(client, "alice")
	use := func(in *oidc.CreateTokenInput) { in.Code = &code }
	if _, err := l.redeem(client, use); err != nil {
		t.Fatal(err)
	}
	if _, err := l.redeem(client, use); !isGrant(err) {
		t.Errorf("a second time: %v", err)
	}
}

func TestAuthorizationRequestsAreChecked(t *testing.T) {
	l := signIn(t, nil)
	client := l.register(codeFlow(), "sso:account:access")
	for name, c := range map[string]struct {
		change func(url.Values)
		code   string // told to the client; "" for errors that are not
	}{
		"an unknown client":       {func(q url.Values) { q.Set("client_id", "x") }, ""},
		"another path":            {func(q url.Values) { q.Set("redirect_uri", "http://127.0.0.1:1/elsewhere") }, ""},
		"another host":            {func(q url.Values) { q.Set("redirect_uri", "http://evil.example/oauth/callback") }, ""},
		"another loopback":        {func(q url.Values) { q.Set("redirect_uri", "http://[::1]:1/oauth/callback") }, ""},
		"the name localhost":      {func(q url.Values) { q.Set("redirect_uri", "http://localhost:1/oauth/callback") }, ""},
		"a user in the URI":       {func(q url.Values) { q.Set("redirect_uri", "http://127.0.0.1:1@evil.example/oauth/callback") }, ""},
		"a host that begins so":   {func(q url.Values) { q.Set("redirect_uri", "http://127.0.0.1.evil.example/oauth/callback") }, ""},
		"two redirect URIs":       {func(q url.Values) { q.Add("redirect_uri", "http://127.0.0.1:2/oauth/callback") }, ""},
		"no challenge":            {func(q url.Values) { q.Del("code_challenge") }, "invalid_request"},
		"a plain challenge":       {func(q url.Values) { q.Set("code_challenge_method", "plain") }, "invalid_request"},
		"the implicit flow":       {func(q url.Values) { q.Set("response_type", "token") }, "unsupported_response_type"},
		"a scope not registered":  {func(q url.Values) { q.Set("scopes", "sso:account:access admin") }, "invalid_scope"},
		"a fragment in the state": {func(q url.Values) { q.Set("state", "a#b&c=d") }, "access_denied"},
	} {
		t.Run(name, func(t *testing.T) {
			next, err := l.server.AnswerSignIn(authorizeURL(client, c.change), ssooidc.Answer{User: "alice", Deny: c.code == "access_denied"})
			u, _ := url.Parse(next)
			switch {
			case c.code == "" && (err == nil || next != ""):
				t.Errorf("the browser is sent to %q (%v)", next, err)
			case c.code != "" && (err != nil || u.Host != "127.0.0.1:45123" || u.Query().Get("error") != c.code || u.Query().Get("code") != "" || u.Query().Get("state") == ""):
				t.Errorf("the browser is sent to %q (%v), want the error %s", next, err, c.code)
			}
		})
	}
}

func (l *login) startDevice(client *oidc.RegisterClientOutput) *oidc.StartDeviceAuthorizationOutput {
	l.t.Helper()
	out, err := l.oidc.StartDeviceAuthorization(l.t.Context(), &oidc.StartDeviceAuthorizationInput{
		ClientId: client.ClientId, ClientSecret: client.ClientSecret, StartUrl: ptr(startURL + "/"),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

func (l *login) poll(client *oidc.RegisterClientOutput, code *string) (*oidc.CreateTokenOutput, error) {
	return l.oidc.CreateToken(l.t.Context(), &oidc.CreateTokenInput{
		ClientId: client.ClientId, ClientSecret: client.ClientSecret, GrantType: ptr(device), DeviceCode: code,
	})
}

func TestPeopleSignInByDeviceCode(t *testing.T) {
	l := signIn(t, nil)
	client := l.register(nil, "sso:account:access")
	d := l.startDevice(client)
	if d.Interval != 1 || d.ExpiresIn != 600 || *d.VerificationUri != "https://device.sso.us-east-1.amazonaws.com/" ||
		*d.VerificationUriComplete != *d.VerificationUri+"?user_code="+*d.UserCode {
		t.Errorf("device authorization: %+v", d)
	}
	_, err := l.poll(client, d.DeviceCode)
	if pending, ok := errors.AsType[*oidctypes.AuthorizationPendingException](err); !ok || aws.ToString(pending.Error_) != "authorization_pending" {
		t.Fatalf("first poll: %v", err)
	}
	_, err = l.poll(client, d.DeviceCode)
	if slow, ok := errors.AsType[*oidctypes.SlowDownException](err); !ok || aws.ToString(slow.Error_) != "slow_down" {
		t.Fatalf("second poll at once: %v", err)
	}
	if _, err := l.server.AnswerSignIn(*d.VerificationUriComplete, ssooidc.Answer{User: "Alice"}); err != nil {
		t.Fatal(err)
	}
	token, err := l.poll(client, d.DeviceCode)
	if err != nil || token.RefreshToken == nil {
		t.Fatalf("after approval: %+v %v", token, err)
	}
	if _, err := l.poll(client, d.DeviceCode); !isGrant(err) {
		t.Errorf("a device code is good twice: %v", err)
	}
	if _, err := l.server.AnswerSignIn(*d.UserCode, ssooidc.Answer{User: "alice"}); err == nil {
		t.Error("a code that is spent was approved")
	}
	if out, err := whoami(t, l.session(*token.AccessToken, A, "Admin")); err != nil || !strings.HasSuffix(*out.Arn, "/alice") {
		t.Errorf("whoami: %v %v", out, err)
	}
}

func TestDevicesAreRefusedAndForgotten(t *testing.T) {
	l := signIn(t, nil)
	client := l.register(nil)
	denied := l.startDevice(client)
	if _, err := l.server.AnswerSignIn(*denied.UserCode, ssooidc.Answer{Deny: true}); err != nil {
		t.Fatal(err)
	}
	_, err := l.poll(client, denied.DeviceCode)
	if _, ok := errors.AsType[*oidctypes.AccessDeniedException](err); !ok {
		t.Errorf("denied: %v", err)
	}
	late := l.startDevice(client)
	l.advance(10 * time.Minute)
	_, err = l.poll(client, late.DeviceCode)
	if _, ok := errors.AsType[*oidctypes.ExpiredTokenException](err); !ok {
		t.Errorf("late: %v", err)
	}
	if _, err := l.server.AnswerSignIn(*late.UserCode, ssooidc.Answer{User: "bob"}); err == nil {
		t.Error("a late approval was taken")
	}
	if _, err := l.server.AnswerSignIn(*l.startDevice(client).UserCode, ssooidc.Answer{User: "mallory"}); err == nil || !strings.Contains(err.Error(), "alice, bob") {
		t.Errorf("nobody approves: %v", err)
	}
}

func TestRegistrationsAreChecked(t *testing.T) {
	l := signIn(t, nil)
	for name, c := range map[string]struct {
		change func(*oidc.RegisterClientInput)
		code   string
	}{
		"a confidential client":    {func(in *oidc.RegisterClientInput) { in.ClientType = ptr("confidential") }, "InvalidClientMetadataException"},
		"a grant type nobody has":  {func(in *oidc.RegisterClientInput) { in.GrantTypes = []string{"password"} }, "UnsupportedGrantTypeException"},
		"a redirect over http":     {func(in *oidc.RegisterClientInput) { in.RedirectUris = []string{"http://example.com/cb"} }, "InvalidRedirectUriException"},
		"a redirect with a script": {func(in *oidc.RegisterClientInput) { in.RedirectUris = []string{"javascript:alert(1)"} }, "InvalidRedirectUriException"},
		"codes without a URI":      {func(in *oidc.RegisterClientInput) { in.GrantTypes = codeFlow() }, "InvalidRequestException"},
		"an issuer nobody knows":   {func(in *oidc.RegisterClientInput) { in.IssuerUrl = ptr("https://other.awsapps.com/start") }, "InvalidRequestException"},
		"scopes in one string":     {func(in *oidc.RegisterClientInput) { in.Scopes = []string{"a b"} }, "InvalidScopeException"},
		"a name as long as a book": {func(in *oidc.RegisterClientInput) { in.ClientName = ptr(strings.Repeat("x", 4096)) }, "InvalidClientMetadataException"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &oidc.RegisterClientInput{ClientName: ptr("c"), ClientType: ptr("public")}
			c.change(in)
			_, err := l.oidc.RegisterClient(t.Context(), in)
			worldtest.WantError(t, err, c.code, "")
		})
	}
	client := l.register(nil)
	client.ClientSecret = ptr("guess")
	_, err := l.poll(client, ptr("code"))
	worldtest.WantError(t, err, "InvalidClientException", "")
	client = l.register(nil)
	l.advance(90 * 24 * time.Hour)
	_, err = l.poll(client, ptr("code"))
	worldtest.WantError(t, err, "InvalidClientException", "")
}

func TestInstancesAnswerInTheirRegion(t *testing.T) {
	l := signIn(t, func(c *localaws.Config) {
		c.IdentityCenters = append(c.IdentityCenters, localaws.IdentityCenter{
			Region: "eu-west-1", Users: []localaws.IdentityCenterUser{{Name: "carol"}},
			PermissionSets: []localaws.PermissionSet{{Name: "Admin", ManagedPolicies: []string{"arn:aws:iam::aws:policy/AdministratorAccess"}}},
			Assignments:    []localaws.Assignment{{Accounts: []arn.AccountID{A, B}, PermissionSets: []string{"Admin"}, Users: []string{"carol"}}},
		})
	})
	all := l.server.IdentityCenters()
	if len(all) != 2 || all[1].StartURL != "https://d-9067000002.awsapps.com/start" || all[1].Region != "eu-west-1" || !slices.Equal(all[1].Users, []string{"carol"}) {
		t.Fatalf("instances: %+v", all)
	}
	client := l.register(nil)
	start := &oidc.StartDeviceAuthorizationInput{ClientId: client.ClientId, ClientSecret: client.ClientSecret, StartUrl: &all[1].StartURL}
	_, err := l.oidc.StartDeviceAuthorization(t.Context(), start)
	worldtest.WantError(t, err, "InvalidRequestException", "")
	l.config.Region = "eu-west-1"
	l.oidc = oidc.NewFromConfig(l.config)
	d, err := l.oidc.StartDeviceAuthorization(t.Context(), start)
	if err != nil || *d.VerificationUri != "https://device.sso.eu-west-1.amazonaws.com/" {
		t.Fatalf("%v %v", d, err)
	}
	if _, err := l.server.AnswerSignIn(*d.UserCode, ssooidc.Answer{}); err != nil {
		t.Fatal(err)
	}
	token, err := l.poll(client, d.DeviceCode)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.credentials(*token.AccessToken, A, "Admin")
	worldtest.WantError(t, err, "UnauthorizedException", "")
	l.portal = sso.NewFromConfig(l.config)
	cfg := l.session(*token.AccessToken, B, "Admin")
	roles, err := iam.NewFromConfig(cfg).ListRoles(t.Context(), &iam.ListRolesInput{PathPrefix: ptr("/aws-reserved/sso.amazonaws.com/eu-west-1/")})
	if err != nil || len(roles.Roles) != 1 || !strings.Contains(*roles.Roles[0].Arn, ":role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_") {
		t.Errorf("roles: %v %v", roles, err)
	}
}

func TestThePortalIsThrottled(t *testing.T) {
	l := signIn(t, nil)
	_, token := l.as("alice")
	list := func() error {
		_, err := l.portal.ListAccounts(t.Context(), &sso.ListAccountsInput{AccessToken: token.AccessToken})
		return err
	}
	for i := range 20 {
		if err := list(); err != nil {
			t.Fatalf("request %d: %v", i+1, err)
		}
	}
	worldtest.WantError(t, list(), "TooManyRequestsException", "")
	l.advance(50 * time.Millisecond)
	if err := list(); err != nil {
		t.Errorf("a twentieth of a second later: %v", err)
	}
	worldtest.WantError(t, list(), "TooManyRequestsException", "")
}

func TestThePortalHasPages(t *testing.T) {
	l := signIn(t, func(c *localaws.Config) {
		center := acme()
		center.RequestsPerSecond = -1
		for i := range 45 {
			id := arn.AccountID(fmt.Sprintf("4000000000%02d", i))
			c.Accounts = append(c.Accounts, localaws.Account{ID: id})
			center.Assignments[0].Accounts = append(center.Assignments[0].Accounts, id)
		}
		c.IdentityCenters = []localaws.IdentityCenter{center}
	})
	_, token := l.as("alice")
	for _, size := range []*int32{nil, aws.Int32(7), aws.Int32(100)} {
		pages := sso.NewListAccountsPaginator(l.portal, &sso.ListAccountsInput{AccessToken: token.AccessToken, MaxResults: size})
		var got []string
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(page.AccountList) > int(cmp.Or(aws.ToInt32(size), 20)) {
				t.Errorf("a page of %d", len(page.AccountList))
			}
			for _, a := range page.AccountList {
				got = append(got, *a.AccountId)
			}
		}
		if len(got) != 47 || !slices.IsSorted(got) || len(slices.Compact(got)) != 47 {
			t.Errorf("%d accounts: %v", len(got), got)
		}
	}
	_, err := l.portal.ListAccounts(t.Context(), &sso.ListAccountsInput{AccessToken: token.AccessToken, NextToken: ptr("!")})
	worldtest.WantError(t, err, "InvalidRequestException", "")
}

func TestLogoutEndsEverythingOfASession(t *testing.T) {
	l := signIn(t, nil)
	client, token := l.as("alice")
	_, other := l.as("alice")
	cfg := l.session(*token.AccessToken, A, "Admin")
	if _, err := l.portal.Logout(t.Context(), &sso.LogoutInput{AccessToken: token.AccessToken}); err != nil {
		t.Fatal(err)
	}
	_, err := l.credentials(*token.AccessToken, A, "Admin")
	worldtest.WantError(t, err, "UnauthorizedException", "")
	if _, err := l.refresh(client, *token.RefreshToken); !isGrant(err) {
		t.Errorf("refreshing after logout: %v", err)
	}
	if _, err := whoami(t, cfg); err != nil {
		t.Errorf("credentials ended with the session: %v", err)
	}
	if _, err := l.credentials(*other.AccessToken, A, "Admin"); err != nil {
		t.Errorf("another session ended too: %v", err)
	}
	_, err = l.portal.Logout(t.Context(), &sso.LogoutInput{AccessToken: ptr("guess")})
	worldtest.WantError(t, err, "UnauthorizedException", "")
}

func TestReservedRolesAreIdentityCentersOnly(t *testing.T) {
	l := signIn(t, nil)
	admin := config(t, l.server, A)
	client := iam.NewFromConfig(admin)
	roles, err := client.ListRoles(t.Context(), &iam.ListRolesInput{PathPrefix: ptr("/aws-reserved/sso.amazonaws.com/")})
	if err != nil || len(roles.Roles) != 1 || *roles.Roles[0].MaxSessionDuration != 43200 {
		t.Fatalf("roles: %v %v", roles, err)
	}
	role := roles.Roles[0]
	name := role.RoleName
	if trust, err := url.QueryUnescape(*role.AssumeRolePolicyDocument); err != nil || !strings.Contains(trust, ":saml-provider/AWSSSO_") || !strings.Contains(trust, "_DO_NOT_DELETE") {
		t.Errorf("trust: %s", trust)
	}
	for what, err := range map[string]error{
		"deleting": second(client.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: name})),
		"trusting": second(client.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: name,
			PolicyDocument: ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}}`)})),
		"attaching": second(client.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: ptr("arn:aws:iam::aws:policy/IAMFullAccess")})),
		"detaching": second(client.DetachRolePolicy(t.Context(), &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: ptr("arn:aws:iam::aws:policy/AdministratorAccess")})),
		"writing":   second(client.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: name, PolicyName: ptr("p"), PolicyDocument: ptr(worldtest.AllowAll)})),
		"bounding": second(client.PutRolePermissionsBoundary(t.Context(), &iam.PutRolePermissionsBoundaryInput{RoleName: name,
			PermissionsBoundary: ptr("arn:aws:iam::aws:policy/IAMFullAccess")})),
	} {
		if err == nil || !strings.Contains(err.Error(), "UnmodifiableEntity") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = sts.NewFromConfig(admin).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: role.Arn, RoleSessionName: ptr("s1")})
	worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole")
}

func second[T any](_ T, err error) error { return err }

// A browser's way through the pages: a form, a redirect, and nothing for other
// sites.
func TestThePagesAreAnsweredInABrowser(t *testing.T) {
	l := signIn(t, nil)
	server := httptest.NewServer(l.server)
	defer server.Close()
	l.config.BaseEndpoint = aws.String(server.URL)
	l.oidc = oidc.NewFromConfig(l.config)
	l.config.HTTPClient = server.Client()
	l.oidc = oidc.NewFromConfig(l.config)
	client := l.register(codeFlow(), "sso:account:access")
	browser := server.Client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	do := func(method, address, form string, header ...string) (int, string, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i+1 < len(header); i += 2 {
			if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
				r.Host = header[i+1]
			}
		}
		resp, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text), resp.Header.Get("Location")
	}
	page := authorizeURL(client, nil)
	if !strings.HasPrefix(page, server.URL+"/authorize?") {
		t.Fatalf("authorization endpoint: %s", page)
	}
	status, text, _ := do("GET", page, "")
	if status != 200 || !strings.Contains(text, "botocore-client-acme") || !strings.Contains(text, "<option>alice</option><option>bob</option>") {
		t.Fatalf("page: %d %s", status, text)
	}
	for name, header := range map[string][]string{
		"another site's form": {"Origin", "https://evil.example"}, "a page without an origin": {"Origin", "null"},
		"a form across sites": {"Sec-Fetch-Site", "cross-site"},
	} {
		if status, text, _ = do("POST", page, "user=alice&answer=allow", header...); status != 403 {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	if status, _, _ = do("GET", page, "", "Host", "evil.example"); status == 200 {
		t.Error("a page is shown under any name")
	}
	if status, _, _ = do("DELETE", page, ""); status != 405 {
		t.Errorf("DELETE: %d", status)
	}
	status, _, next := do("POST", page, "user=alice&answer=allow", "Origin", server.URL)
	if status != 303 || !strings.HasPrefix(next, "http://127.0.0.1:45123/oauth/callback?code=") {
		t.Fatalf("answer: %d %s", status, next)
	}
	u, _ := url.Parse(next)
	if _, err := l.redeem(client, func(in *oidc.CreateTokenInput) { in.Code = ptr(u.Query().Get("code")) }); err != nil {
		t.Error(err)
	}
	if _, _, next = do("POST", page, "user=alice&answer=deny"); !strings.Contains(next, "error=access_denied") {
		t.Errorf("denied: %s", next)
	}

	cli := l.register(nil, "sso:account:access")
	d := l.startDevice(cli)
	if *d.VerificationUri != server.URL+"/device" {
		t.Fatalf("device page: %s", *d.VerificationUri)
	}
	if status, text, _ = do("GET", *d.VerificationUri, ""); status != 200 || !strings.Contains(text, `name="user_code"`) {
		t.Errorf("device page: %d %s", status, text)
	}
	if status, text, _ = do("GET", *d.VerificationUriComplete, ""); status != 200 || !strings.Contains(text, *d.UserCode) {
		t.Errorf("device page with code: %d %s", status, text)
	}
	if status, text, _ = do("GET", *d.VerificationUri+"?user_code=%3Cscript%3E", ""); status != 400 || strings.Contains(text, "<script>") {
		t.Errorf("a hostile code: %d %s", status, text)
	}
	if status, text, _ = do("POST", *d.VerificationUriComplete, "user_code="+*d.UserCode+"&user=bob&answer=allow"); status != 200 || !strings.Contains(text, "Access allowed") {
		t.Errorf("device answer: %d %s", status, text)
	}
	if _, err := l.poll(cli, d.DeviceCode); err != nil {
		t.Error(err)
	}
}

func TestSignInsSurviveARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	clock := store.NewManualClock(time.Now().Truncate(time.Second))
	cfg := localaws.Config{
		Accounts: []localaws.Account{{ID: A}, {ID: B}}, Clock: clock, StateFile: file, IdentityCenters: []localaws.IdentityCenter{acme()},
	}
	open := func() *login {
		s, err := localaws.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		l := &login{t: t, server: s, clock: clock}
		l.config = aws.Config{Region: "us-east-1", HTTPClient: &http.Client{Transport: frontdoor.RoundTripper(s)}, Retryer: func() aws.Retryer { return aws.NopRetryer{} }}
		l.oidc, l.portal = oidc.NewFromConfig(l.config), sso.NewFromConfig(l.config)
		return l
	}
	l := open()
	client, token := l.as("alice")
	if err := l.server.Close(); err != nil {
		t.Fatal(err)
	}
	l = open()
	defer l.server.Close()
	if _, err := l.refresh(client, *token.RefreshToken); err != nil {
		t.Error(err)
	}
	if _, err := l.credentials(*token.AccessToken, A, "Admin"); err != nil {
		t.Error(err)
	}
	if all := l.server.IdentityCenters(); len(all) != 1 {
		t.Errorf("instances after a restart: %v", all)
	}
}

func TestBadIdentityCentersAreRefused(t *testing.T) {
	s := start(t, nil)
	for name, c := range map[string]struct {
		change func(*localaws.IdentityCenter)
		text   string
	}{
		"a start URL over http": {func(c *localaws.IdentityCenter) { c.StartURL = "http://x/start" }, "https"},
		"nobody":                {func(c *localaws.IdentityCenter) { c.Users, c.Assignments = nil, nil }, "no users"},
		"two people of a name": {func(c *localaws.IdentityCenter) {
			c.Users = append(c.Users, localaws.IdentityCenterUser{Name: "ALICE"})
		}, "two users"},
		"a name with a space": {func(c *localaws.IdentityCenter) { c.Users[0].Name = "alice b" }, "alice b"},
		"two sets of a name":  {func(c *localaws.IdentityCenter) { c.PermissionSets = append(c.PermissionSets, c.PermissionSets[0]) }, "two permission sets"},
		"a set of a minute":   {func(c *localaws.IdentityCenter) { c.PermissionSets[0].SessionDuration = time.Minute }, "1m0s"},
		"a policy AWS has not": {func(c *localaws.IdentityCenter) {
			c.PermissionSets[0].ManagedPolicies = []string{"arn:aws:iam::aws:policy/Nope"}
		}, "Nope"},
		"a policy that is none":     {func(c *localaws.IdentityCenter) { c.PermissionSets[0].InlinePolicy = `{"Statement":1}` }, "inline policy"},
		"an assignment to nobody":   {func(c *localaws.IdentityCenter) { c.Assignments[2].Users = []string{"mallory"} }, "mallory"},
		"an assignment of nothing":  {func(c *localaws.IdentityCenter) { c.Assignments[2].PermissionSets = []string{"Nope"} }, "Nope"},
		"an account nobody has":     {func(c *localaws.IdentityCenter) { c.Assignments[2].Accounts = []arn.AccountID{X} }, "333333333333"},
		"a sign-in of five minutes": {func(c *localaws.IdentityCenter) { c.SessionDuration = 5 * time.Minute }, "5m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			center := acme()
			c.change(&center)
			if err := s.AddIdentityCenter(center); err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want an error about %q", err, c.text)
			}
		})
	}
	if all := s.IdentityCenters(); len(all) != 0 {
		t.Errorf("a refused instance was added: %v", all)
	}
	if err := s.AddIdentityCenter(acme()); err != nil {
		t.Fatal(err)
	}
	if err := s.AddIdentityCenter(acme()); err == nil {
		t.Error("an instance was added twice")
	}
}

func TestControlAnswersSignIns(t *testing.T) {
	l := signIn(t, nil)
	client := l.register(codeFlow(), "sso:account:access")
	w := control(l.server, "POST", "/_stile/sign-in", fmt.Sprintf(`{"url":%q,"user":"bob"}`, authorizeURL(client, nil)))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "http://127.0.0.1:45123/oauth/callback?code=") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := control(l.server, "POST", "/_stile/sign-in", `{"url":"https://x/authorize?client_id=1"}`); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := control(l.server, "GET", "/_stile/identity-center", ""); w.Code != 200 || !strings.Contains(w.Body.String(), startURL) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
