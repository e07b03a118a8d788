package clients_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
)

const (
	portalURL  = "https://acme.awsapps.com/start"
	ssoSession = "acme"
)

// newPortal is a local AWS with an identity center: alice administers tooling
// and reads orders.
func newPortal(t *testing.T, d door) *world {
	t.Helper()
	w := startWorld(t, d, localaws.Config{
		Accounts: []localaws.Account{{Name: "tooling", ID: tooling}, {Name: "orders-prod", ID: orders}},
		IdentityCenters: []localaws.IdentityCenter{{
			StartURL: portalURL, Users: []localaws.IdentityCenterUser{{Name: "alice"}, {Name: "bob"}},
			PermissionSets: []localaws.PermissionSet{
				{Name: "Admin", ManagedPolicies: []string{"arn:aws:iam::aws:policy/AdministratorAccess"}},
				{Name: "ReadOnly", InlinePolicy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:List*","Resource":"*"}}`},
			},
			Assignments: []localaws.Assignment{
				{Accounts: []arn.AccountID{tooling}, PermissionSets: []string{"Admin"}, Users: []string{"alice"}},
				{Accounts: []arn.AccountID{orders}, PermissionSets: []string{"ReadOnly"}, Users: []string{"alice", "bob"}},
			},
		}},
	})
	must(t, os.WriteFile(w.file("credentials"), nil, 0o600))
	config := fmt.Sprintf("[sso-session %s]\nsso_start_url = %s\nsso_region = %s\nsso_registration_scopes = sso:account:access\n", ssoSession, portalURL, region)
	for _, p := range [][3]string{{"admin", string(tooling), "Admin"}, {"reader", string(orders), "ReadOnly"}, {"nobody", string(orders), "Admin"}} {
		config += fmt.Sprintf("\n[profile %s]\nsso_session = %s\nsso_account_id = %s\nsso_role_name = %s\nregion = %s\n", p[0], ssoSession, p[1], p[2], region)
	}
	must(t, os.WriteFile(w.file("config"), []byte(config), 0o600))
	return w
}

// login signs alice in as a program with a device code does, `stile local
// sign-in` being her browser, and gives the registration and the tokens.
func (w *world) login(t *testing.T) (*ssooidc.RegisterClientOutput, *ssooidc.CreateTokenOutput) {
	t.Helper()
	cfg := aws.Config{Region: region, HTTPClient: &http.Client{Transport: frontdoor.RoundTripper(w.running.Server)}}
	if !w.proxy {
		cfg.BaseEndpoint, cfg.HTTPClient = aws.String(w.running.URL), http.DefaultClient
	}
	client := ssooidc.NewFromConfig(cfg)
	registered, err := client.RegisterClient(t.Context(), &ssooidc.RegisterClientInput{
		ClientName: aws.String("botocore-client-acme"), ClientType: aws.String("public"), Scopes: []string{"sso:account:access"},
	})
	must(t, err)
	device, err := client.StartDeviceAuthorization(t.Context(), &ssooidc.StartDeviceAuthorizationInput{
		ClientId: registered.ClientId, ClientSecret: registered.ClientSecret, StartUrl: aws.String(portalURL),
	})
	must(t, err)
	w.mustStile(t, "local", "sign-in", "--user", "alice", *device.VerificationUriComplete)
	token, err := client.CreateToken(t.Context(), &ssooidc.CreateTokenInput{
		ClientId: registered.ClientId, ClientSecret: registered.ClientSecret, DeviceCode: device.DeviceCode,
		GrantType: aws.String("urn:ietf:params:oauth:grant-type:device_code"),
	})
	must(t, err)
	return registered, token
}

// cacheToken writes a sign-in as the AWS CLI caches it, into a home of its own.
func cacheToken(t *testing.T, home string, registered *ssooidc.RegisterClientOutput, token *ssooidc.CreateTokenOutput, expires time.Time) {
	t.Helper()
	stamp := func(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }
	text, err := json.Marshal(map[string]string{
		"startUrl": portalURL, "region": region, "accessToken": *token.AccessToken, "expiresAt": stamp(expires), "refreshToken": *token.RefreshToken,
		"clientId": *registered.ClientId, "clientSecret": *registered.ClientSecret, "registrationExpiresAt": stamp(time.Unix(registered.ClientSecretExpiresAt, 0)),
	})
	must(t, err)
	sum := sha1.Sum([]byte(ssoSession))
	dir := filepath.Join(home, ".aws", "sso", "cache")
	must(t, os.MkdirAll(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, hex.EncodeToString(sum[:])+".json"), text, 0o600))
}

// Every client takes the role credentials of a person who signed in, and
// refreshes the sign-in when it has expired.
func TestClientsUseIdentityCenter(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			w := newPortal(t, d)
			endpoint := w.running.URL
			if d.proxy {
				endpoint = ""
			}
			for _, k := range kinds(t) {
				if !d.proxy && !k.endpointURL {
					continue // it would go to the real portal
				}
				t.Run(k.name, func(t *testing.T) {
					home := w.file("home of " + strings.TrimPrefix(k.name, "cli ")) // awsCLI's own
					c := k.start(t, w, "HOME="+home, "AWS_ENDPOINT_URL_SSO="+endpoint, "AWS_ENDPOINT_URL_SSO_OIDC="+endpoint)
					registered, token := w.login(t)
					cacheToken(t, home, registered, token, time.Now().Add(time.Hour))
					who := c.call(t, call{Profile: "reader", Service: "sts", Operation: "GetCallerIdentity", Input: map[string]any{}})
					if ref, _ := who.Output["Arn"].(string); !strings.HasPrefix(ref, "arn:aws:sts::222222222222:assumed-role/AWSReservedSSO_ReadOnly_") || !strings.HasSuffix(ref, "/alice") {
						t.Errorf("reader: %+v", who)
					}
					if got := c.call(t, call{Profile: "reader", Service: "iam", Operation: "CreateRole", Input: map[string]any{
						"RoleName": "x", "AssumeRolePolicyDocument": trustAdministrator}}); got.Code != "AccessDenied" {
						t.Errorf("a reader writes: %+v", got)
					}
					nobody := c.call(t, call{Profile: "nobody", Service: "sts", Operation: "GetCallerIdentity", Input: map[string]any{}})
					if !strings.Contains(nobody.Code+nobody.Message+nobody.Other, "Forbidden") {
						t.Errorf("a role that is another's: %+v", nobody)
					}
					cacheToken(t, home, registered, token, time.Now().Add(-time.Minute))
					c.forget(t)
					cacheToken(t, home, registered, token, time.Now().Add(-time.Minute))
					if got := c.call(t, call{Profile: "admin", Service: "iam", Operation: "ListRoles", Input: map[string]any{}}); got.Code != "" || got.Other != "" {
						t.Errorf("after the token expired: %+v", got)
					}
				})
			}
		})
	}
}

// The AWS CLI reads sso-oidc's errors, which are not like other services'.
func TestTheAWSCLIReadsSignInErrors(t *testing.T) {
	w := newPortal(t, doors[1])
	for _, p := range programs(t, "aws", "--version") {
		t.Run(p.version, func(t *testing.T) {
			run := func(args ...string) (string, map[string]any) {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), p.path, append(args, "--region", region, "--output", "json")...)
				cmd.Env = w.env()
				text, _ := cmd.CombinedOutput() // an error is what is wanted
				var out map[string]any
				_ = json.Unmarshal(text, &out) // an error's text is none
				return string(text), out
			}
			text, registered := run("sso-oidc", "register-client", "--client-name", "x", "--client-type", "public")
			id, _ := registered["clientId"].(string)
			secret, _ := registered["clientSecret"].(string)
			if id == "" || secret == "" {
				t.Fatal(text)
			}
			text, device := run("sso-oidc", "start-device-authorization", "--client-id", id, "--client-secret", secret, "--cli-input-json", `{"startUrl":"`+portalURL+`"}`)
			code, _ := device["deviceCode"].(string)
			if code == "" {
				t.Fatal(text)
			}
			for _, c := range []struct{ grant, option, code, want string }{
				{"urn:ietf:params:oauth:grant-type:device_code", "--device-code", code, "AuthorizationPendingException"},
				{"urn:ietf:params:oauth:grant-type:device_code", "--device-code", "guess", "InvalidGrantException"},
				{"refresh_token", "--refresh-token", "guess", "InvalidGrantException"},
				{"password", "--code", "x", "UnsupportedGrantTypeException"},
			} {
				text, _ := run("sso-oidc", "create-token", "--client-id", id, "--client-secret", secret, "--grant-type", c.grant, c.option, c.code)
				if !strings.Contains(text, "("+c.want+") when calling the CreateToken operation") && !strings.Contains(text, "Unknown options: --refresh-token") {
					t.Errorf("%s: %s", c.want, text)
				}
			}
			if text, _ := run("sso", "list-accounts", "--access-token", "guess"); !strings.Contains(text, "(UnauthorizedException)") {
				t.Error(text)
			}
		})
	}
}

// `stile local sign-in` is a browser: it goes where the browser is sent, on this
// machine and nowhere else.
func TestSignInGoesToTheCallback(t *testing.T) {
	w := newPortal(t, doors[0])
	got := make(chan string, 1)
	callback := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.URL.Query().Get("code") }))
	t.Cleanup(callback.Close)
	client := ssooidc.NewFromConfig(aws.Config{Region: region, BaseEndpoint: aws.String(w.running.URL)})
	registered, err := client.RegisterClient(t.Context(), &ssooidc.RegisterClientInput{
		ClientName: aws.String("x"), ClientType: aws.String("public"), IssuerUrl: aws.String(portalURL),
		GrantTypes: []string{"authorization_code", "refresh_token"}, RedirectUris: []string{"http://127.0.0.1/cb", "https://elsewhere.example/cb"},
	})
	must(t, err)
	verifier := strings.Repeat("v", 64)
	sum := sha256.Sum256([]byte(verifier))
	page := func(redirect string) string {
		return *registered.AuthorizationEndpoint + "?" + url.Values{
			"response_type": {"code"}, "client_id": {*registered.ClientId}, "redirect_uri": {redirect}, "state": {"s"},
			"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
		}.Encode()
	}
	w.mustStile(t, "local", "sign-in", "--user", "bob", page(callback.URL+"/cb"))
	_, err = client.CreateToken(t.Context(), &ssooidc.CreateTokenInput{
		ClientId: registered.ClientId, ClientSecret: registered.ClientSecret, GrantType: aws.String("authorization_code"),
		Code: aws.String(<-got), CodeVerifier: &verifier, RedirectUri: aws.String(callback.URL + "/cb"),
	})
	must(t, err)
	if _, code := w.runStile(t, "local", "sign-in", "--user", "bob", page("https://elsewhere.example/cb")); code != 1 {
		t.Errorf("a callback on another machine: exit %d", code)
	}
	if _, code := w.runStile(t, "local", "sign-in", page(callback.URL+"/cb")); code != 1 {
		t.Errorf("nobody signs in where there are two people: exit %d", code)
	}
}
