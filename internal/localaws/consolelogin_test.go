package localaws_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/logincreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	awssignin "github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/go-jose/go-jose/v4"

	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/ssooidc"
)

const (
	loginBase     = "https://eu-west-1.signin.aws.amazon.com"
	sameDevice    = "arn:aws:signin:::devtools/same-device"
	loginCallback = "http://127.0.0.1:9/oauth/callback"
	loginVerifier = "0123456789012345678901234567890123456789012"
	userADM       = "arn:aws:iam::111111111111:user/Administrator"
)

// commandLine is a program that signs in to the console as the AWS CLI does. Its
// proofs are go-jose's.
type commandLine struct {
	t      *testing.T
	server *localaws.Server
	key    *ecdsa.PrivateKey
	http   *http.Client
	ids    int
}

func newCommandLine(t *testing.T) *commandLine {
	t.Helper()
	s := start(t, nil)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &commandLine{t: t, server: s, key: key, http: &http.Client{Transport: frontdoor.RoundTripper(s)}}
}

// later moves the local AWS's clock; the program goes by the computer's.
func (l *commandLine) later(d time.Duration) {
	l.t.Helper()
	if err := l.server.World().Advance(d); err != nil {
		l.t.Fatal(err)
	}
}

// page is the authorization page's address; change may spoil it.
func (l *commandLine) page(change func(url.Values)) string {
	sum := sha256.Sum256([]byte(loginVerifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {sameDevice}, "redirect_uri": {loginCallback}, "state": {"s"}, "scope": {"openid"},
		"code_challenge_method": {"SHA-256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	if change != nil {
		change(q)
	}
	return loginBase + "/v1/authorize?" + q.Encode()
}

// code is an authorization code for somebody.
func (l *commandLine) code(who string) string {
	l.t.Helper()
	next, err := l.server.AnswerSignIn(l.page(nil), ssooidc.Answer{User: who})
	if err != nil {
		l.t.Fatal(err)
	}
	u, err := url.Parse(next)
	if err != nil || !strings.HasPrefix(next, loginCallback+"?") || u.Query().Get("state") != "s" {
		l.t.Fatalf("sent to %s, %v", next, err)
	}
	return u.Query().Get("code")
}

// forms of a proof and of a request.
type token struct {
	status int
	header http.Header
	Error  string
	Type   string `json:"__type"`

	AccessToken struct{ AccessKeyID, SecretAccessKey, SessionToken string }
	TokenType   string
	ExpiresIn   int
	RefreshToken,
	IDToken string
}

// proof is a DPoP proof; change may spoil head and claims.
func (l *commandLine) proof(change func(head, claims map[string]any)) string {
	l.t.Helper()
	l.ids++
	head := map[string]any{"typ": "dpop+jwt"}
	claims := map[string]any{"jti": strings.Repeat("i", l.ids), "htm": "POST", "htu": loginBase + "/v1/token", "iat": time.Now().Unix()}
	if change != nil {
		change(head, claims)
	}
	o := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	for name, value := range head {
		o = o.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: l.key}, o)
	if err != nil {
		l.t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		l.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

// post asks for a token.
func (l *commandLine) post(base string, in map[string]string, proofs ...string) *token {
	l.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		l.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, base+"/v1/token", bytes.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header["Dpop"] = proofs
	resp, err := l.http.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	out := &token{status: resp.StatusCode, header: resp.Header}
	if err := json.Unmarshal(text, out); err != nil {
		l.t.Fatalf("%d %s: %v", resp.StatusCode, text, err)
	}
	return out
}

func byCode(code string) map[string]string {
	return map[string]string{"clientId": sameDevice, "grantType": "authorization_code", "code": code, "codeVerifier": loginVerifier, "redirectUri": loginCallback}
}

func byRefresh(t string) map[string]string {
	return map[string]string{"clientId": sameDevice, "grantType": "refresh_token", "refreshToken": t}
}

// login signs somebody in.
func (l *commandLine) login(who string) *token {
	l.t.Helper()
	out := l.post(loginBase, byCode(l.code(who)), l.proof(nil))
	if out.status != 200 || out.TokenType != "aws_sigv4" || out.ExpiresIn < 890 || out.ExpiresIn > 900 || out.IDToken == "" {
		l.t.Fatalf("%s: %+v", who, out)
	}
	return out
}

func (o *token) config(s *localaws.Server) aws.Config {
	return with(s, o.AccessToken.AccessKeyID, o.AccessToken.SecretAccessKey, o.AccessToken.SessionToken)
}

// want checks an error.
func (o *token) want(t *testing.T, status int, kind, code string) {
	t.Helper()
	if o.status != status || o.Type != kind || o.header.Get("X-Amzn-Errortype") != kind || o.Error != code {
		t.Errorf("%d %s %q, want %d %s %q", o.status, o.Type, o.Error, status, kind, code)
	}
}

func (l *commandLine) allow(user, actions string) {
	l.t.Helper()
	admin := iam.NewFromConfig(config(l.t, l.server, A))
	if _, err := admin.CreateUser(l.t.Context(), &iam.CreateUserInput{UserName: &user}); err != nil {
		l.t.Fatal(err)
	}
	if _, err := admin.PutUserPolicy(l.t.Context(), &iam.PutUserPolicyInput{UserName: &user, PolicyName: ptr("p"),
		PolicyDocument: ptr(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":"*"}]}`)}); err != nil {
		l.t.Fatal(err)
	}
}

const bothActions = `"signin:AuthorizeOAuth2Access","signin:CreateOAuth2Token"`

func TestCommandLinesAreWhoSignedIn(t *testing.T) {
	l := newCommandLine(t)
	l.allow("erin", bothActions+`,"iam:ListRoles"`)
	if _, err := iam.NewFromConfig(config(t, l.server, A)).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: ptr("person"),
		AssumeRolePolicyDocument: ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := iam.NewFromConfig(config(t, l.server, A)).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: ptr("person"), PolicyName: ptr("p"),
		PolicyDocument: ptr(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"signin:*","Resource":"arn:aws:signin:eu-west-1:111111111111:oauth2/public-client/localhost"}]}`)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who, want string
		roles     bool // may list roles
	}{
		{userADM, userADM, true},
		{"erin", "arn:aws:iam::111111111111:user/erin", true},
		{"arn:aws:iam::111111111111:root", "arn:aws:iam::111111111111:root", true},
		{"111111111111/root", "arn:aws:iam::111111111111:root", true},
		{"111111111111/assumed-role/person/erin", "arn:aws:sts::111111111111:assumed-role/person/erin", false},
		{"arn:aws:sts::111111111111:assumed-role/person/frank", "arn:aws:sts::111111111111:assumed-role/person/frank", false},
	} {
		out := l.login(c.who)
		cfg := out.config(l.server)
		who, err := whoami(t, cfg)
		if err != nil || *who.Arn != c.want {
			t.Errorf("%s: %v, %v", c.who, who, err)
		}
		if err := listRoles(t, cfg); (err == nil) != c.roles {
			t.Errorf("%s lists roles: %v, want %t", c.who, err, c.roles)
		}
		claims, err := base64.RawURLEncoding.DecodeString(strings.Split(out.IDToken, ".")[1])
		if err != nil || !strings.Contains(string(claims), `"sub":"`+c.want+`"`) {
			t.Errorf("id token %s, %v", claims, err)
		}
		l.later(15 * time.Minute)
		if _, err := whoami(t, cfg); err == nil {
			t.Errorf("%s: credentials of fifteen minutes are good", c.who)
		}
	}
	if _, err := l.server.AnswerSignIn(l.page(nil), ssooidc.Answer{User: "Administrator"}); err == nil || !strings.Contains(err.Error(), "several accounts") {
		t.Errorf("a name of several accounts: %v", err)
	}
	for _, nobody := range []string{"", "mallory", "arn:aws:iam::111111111111:user/mallory", "arn:aws:iam::000000000000:root", "arn:aws:sts::111111111111:assumed-role/none/x", "arn:aws:iam::111111111111:role/person"} {
		if next, err := l.server.AnswerSignIn(l.page(nil), ssooidc.Answer{User: nobody}); err == nil {
			t.Errorf("%q is sent to %s", nobody, next)
		}
	}
}

func TestCommandLinesRefreshTokensAreGoodOnce(t *testing.T) {
	l := newCommandLine(t)
	first := l.login(userADM)
	l.later(20 * time.Minute)
	second := l.post(loginBase, byRefresh(first.RefreshToken), l.proof(nil))
	if second.status != 200 || second.IDToken != "" || second.RefreshToken == first.RefreshToken {
		t.Fatalf("%+v", second)
	}
	if who, err := whoami(t, second.config(l.server)); err != nil || *who.Arn != userADM {
		t.Errorf("%v, %v", who, err)
	}
	l.post(loginBase, byRefresh(first.RefreshToken), l.proof(nil)).want(t, 401, "AccessDeniedException", "TOKEN_EXPIRED")
	l.post("https://us-east-1.signin.aws.amazon.com", byRefresh(second.RefreshToken), l.proof(func(_, c map[string]any) {
		c["htu"] = "https://us-east-1.signin.aws.amazon.com/v1/token"
	})).want(t, 400, "ValidationException", "INVALID_REQUEST")
	thief := newCommandLine(t)
	thief.server, thief.http, thief.ids = l.server, l.http, 100
	thief.post(loginBase, byRefresh(second.RefreshToken), thief.proof(nil)).want(t, 400, "ValidationException", "INVALID_REQUEST")
	last := second.RefreshToken
	for range 2 {
		l.later(5 * time.Hour)
		out := l.post(loginBase, byRefresh(last), l.proof(nil))
		if out.status != 200 {
			t.Fatalf("%+v", out)
		}
		last = out.RefreshToken
	}
	l.later(time.Hour + 30*time.Minute)
	end := l.post(loginBase, byRefresh(last), l.proof(nil))
	if end.status != 200 || end.ExpiresIn < 590 || end.ExpiresIn > 600 {
		t.Errorf("ten minutes before the end: %+v", end)
	}
	l.later(10 * time.Minute)
	l.post(loginBase, byRefresh(end.RefreshToken), l.proof(nil)).want(t, 401, "AccessDeniedException", "TOKEN_EXPIRED")
}

func TestCodesAreForWhoAsked(t *testing.T) {
	l := newCommandLine(t)
	for name, spoil := range map[string]func(map[string]string){
		"another verifier":  func(in map[string]string) { in["codeVerifier"] = strings.Repeat("x", 43) },
		"a short verifier":  func(in map[string]string) { in["codeVerifier"] = "x" },
		"another redirect":  func(in map[string]string) { in["redirectUri"] = "http://127.0.0.1:10/oauth/callback" },
		"another client":    func(in map[string]string) { in["clientId"] = "arn:aws:signin:::devtools/cross-device" },
		"no such client":    func(in map[string]string) { in["clientId"] = "arn:aws:signin:::devtools/x" },
		"another code":      func(in map[string]string) { in["code"] = "x" },
		"no code":           func(in map[string]string) { delete(in, "code") },
		"no verifier":       func(in map[string]string) { delete(in, "codeVerifier") },
		"no refresh token":  func(in map[string]string) { in["grantType"] = "refresh_token" },
		"another grant":     func(in map[string]string) { in["grantType"] = "password" },
		"nothing but grant": func(in map[string]string) { clear(in); in["grantType"] = "authorization_code" },
	} {
		in := byCode(l.code(userADM))
		spoil(in)
		t.Run(name, func(t *testing.T) {
			l.post(loginBase, in, l.proof(nil)).want(t, 400, "ValidationException", "INVALID_REQUEST")
		})
	}
	code := l.code(userADM)
	if out := l.post(loginBase, byCode(code), l.proof(nil)); out.status != 200 {
		t.Fatalf("%+v", out)
	}
	l.post(loginBase, byCode(code), l.proof(nil)).want(t, 400, "ValidationException", "INVALID_REQUEST")
	late := l.code(userADM)
	l.later(10 * time.Minute)
	l.post(loginBase, byCode(late), l.proof(nil)).want(t, 401, "AccessDeniedException", "AUTHCODE_EXPIRED")
}

func TestProofsAreVerified(t *testing.T) {
	l := newCommandLine(t)
	refresh := l.login(userADM).RefreshToken
	used := l.proof(nil)
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := strings.Split(l.proof(nil), ".")
	claim := func(name string, value any) string {
		return l.proof(func(_, c map[string]any) { c[name] = value })
	}
	raw := func(head string) string { return base64.RawURLEncoding.EncodeToString([]byte(head)) }
	headOf := func(key *ecdsa.PublicKey, more string) string {
		jwk, err := json.Marshal(jose.JSONWebKey{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		return `{"typ":"dpop+jwt","alg":"ES256","jwk":` + strings.TrimSuffix(string(jwk), "}") + more + "}}"
	}
	if out := l.post(loginBase, byRefresh(refresh), used); out.status != 200 {
		t.Fatalf("%+v", out)
	} else {
		refresh = out.RefreshToken
	}
	for name, proofs := range map[string][]string{
		"none": nil, "two": {l.proof(nil), l.proof(nil)}, "empty": {""}, "no JWT": {"a.b"}, "no JSON": {raw("x") + "." + raw("y") + ".AAAA"}, "huge": {strings.Repeat("a", 9000)},
		"shown before":      {used},
		"another method":    {claim("htm", "GET")},
		"another host":      {claim("htu", "https://us-east-1.signin.aws.amazon.com/v1/token")},
		"another path":      {claim("htu", loginBase+"/v1/authorize")},
		"by HTTP":           {claim("htu", strings.Replace(loginBase, "https", "http", 1)+"/v1/token")},
		"too old":           {claim("iat", time.Now().Add(-6*time.Minute).Unix())},
		"of a time to come": {claim("iat", time.Now().Add(6*time.Minute).Unix())},
		"without a time":    {claim("iat", 0)},
		"without an id":     {claim("jti", "")},
		"a huge id":         {claim("jti", strings.Repeat("x", 300))},
		"another type":      {l.proof(func(head, _ map[string]any) { head["typ"] = "JWT" })},
		"by no algorithm":   {raw(strings.Replace(headOf(&l.key.PublicKey, ""), "ES256", "none", 1)) + "." + good[1] + "."},
		"spoiled claims":    {good[0] + "." + raw(`{"jti":"z","htm":"POST","htu":"`+loginBase+`/v1/token","iat":1}`) + "." + good[2]},
		"a short signature": {good[0] + "." + good[1] + "." + good[2][:80]},
		"another curve":     {raw(headOf(&other.PublicKey, "")) + "." + good[1] + "." + good[2]},
		"a private key":     {raw(headOf(&l.key.PublicKey, `,"d":"AAAA"`)) + "." + good[1] + "." + good[2]},
		"on no curve":       {raw(`{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}}`) + "." + good[1] + "." + good[2]},
	} {
		t.Run(name, func(t *testing.T) {
			l.post(loginBase, byRefresh(refresh), proofs...).want(t, 400, "ValidationException", "INVALID_REQUEST")
		})
	}
	if out := l.post(loginBase, byRefresh(refresh), l.proof(func(_, c map[string]any) { c["htu"] = "HTTPS://EU-WEST-1.signin.aws.amazon.com/v1/token?x#y" })); out.status != 200 {
		t.Errorf("a URL that means the same: %+v", out)
	}
}

func TestPermissionsToSignInAreAsked(t *testing.T) {
	l := newCommandLine(t)
	l.allow("nobody", `"iam:ListRoles"`)
	l.allow("half", `"signin:AuthorizeOAuth2Access"`)
	l.allow("leaver", bothActions)
	l.allow("developer", `"sts:GetCallerIdentity"`)
	if _, err := iam.NewFromConfig(config(t, l.server, A)).AttachUserPolicy(t.Context(), &iam.AttachUserPolicyInput{
		UserName: ptr("developer"), PolicyArn: ptr("arn:aws:iam::aws:policy/SignInLocalDevelopmentAccess"),
	}); err != nil {
		t.Fatal(err)
	}
	l.login("developer")
	if next, err := l.server.AnswerSignIn(l.page(nil), ssooidc.Answer{User: "nobody"}); err == nil || !strings.Contains(err.Error(), "is not authorized to perform: signin:AuthorizeOAuth2Access") {
		t.Errorf("%s, %v", next, err)
	}
	l.post(loginBase, byCode(l.code("half")), l.proof(nil)).want(t, 403, "AccessDeniedException", "INSUFFICIENT_PERMISSIONS")
	out := l.login("leaver")
	admin := iam.NewFromConfig(config(t, l.server, A))
	if _, err := admin.DeleteUserPolicy(t.Context(), &iam.DeleteUserPolicyInput{UserName: ptr("leaver"), PolicyName: ptr("p")}); err != nil {
		t.Fatal(err)
	}
	l.post(loginBase, byRefresh(out.RefreshToken), l.proof(nil)).want(t, 403, "AccessDeniedException", "INSUFFICIENT_PERMISSIONS")
	if _, err := admin.DeleteUser(t.Context(), &iam.DeleteUserInput{UserName: ptr("leaver")}); err != nil {
		t.Fatal(err)
	}
	l.post(loginBase, byRefresh(out.RefreshToken), l.proof(nil)).want(t, 403, "AccessDeniedException", "USER_CREDENTIALS_CHANGED")
	if _, err := whoami(t, out.config(l.server)); err == nil {
		t.Error("credentials of a deleted user are good")
	}
}

func TestCommandLinesRequestsAreChecked(t *testing.T) {
	l := newCommandLine(t)
	set := func(name, value string) func(url.Values) { return func(q url.Values) { q.Set(name, value) } }
	for name, spoil := range map[string]func(url.Values){
		"another client":      set("client_id", "x"),
		"an implicit grant":   set("response_type", "token"),
		"S256, as others say": set("code_challenge_method", "S256"),
		"a short challenge":   set("code_challenge", "x"),
		"another scope":       set("scope", "openid profile"),
		"another host":        set("redirect_uri", "http://evil.example:9/oauth/callback"),
		"localhost by name":   set("redirect_uri", "http://localhost:9/oauth/callback"),
		"another path":        set("redirect_uri", "http://127.0.0.1:9/x"),
		"by HTTPS":            set("redirect_uri", "https://127.0.0.1:9/oauth/callback"),
		"without a port":      set("redirect_uri", "http://127.0.0.1/oauth/callback"),
		"a query":             set("redirect_uri", loginCallback+"?x=1"),
		"the page elsewhere":  func(q url.Values) { q.Set("client_id", "arn:aws:signin:::devtools/cross-device") },
		"two states":          func(q url.Values) { q.Add("state", "t") },
	} {
		b := newBrowser(t, l.server)
		if status, text := b.open(l.page(spoil)); status != 400 || !strings.Contains(text, "cannot be answered") {
			t.Errorf("%s: %d %s", name, status, text)
		}
		if next, err := l.server.AnswerSignIn(l.page(spoil), ssooidc.Answer{User: userADM}); err == nil {
			t.Errorf("%s is sent to %s", name, next)
		}
	}
	next, err := l.server.AnswerSignIn(l.page(nil), ssooidc.Answer{Deny: true})
	if err != nil || !strings.HasPrefix(next, loginCallback+"?error=access_denied&") || !strings.Contains(next, "state=s") {
		t.Errorf("denied: %s, %v", next, err)
	}
}

// The page itself, and who the browser is signed in as already: with the policies
// of the session.
func TestPeopleAnswerThePage(t *testing.T) {
	s, _, assume := console(t)
	l := &commandLine{t: t, server: s, http: &http.Client{Transport: frontdoor.RoundTripper(s)}}
	var err error
	if l.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, s)
	_, signinToken := b.token(assume(config(t, s, A), string(A)))
	b.login(signinToken)
	status, text := b.open(l.page(nil))
	me := "arn:aws:sts::111111111111:assumed-role/person/erin"
	if first := strings.Index(text, me); status != 200 || first < 0 || first > strings.Index(text, userADM) {
		t.Errorf("%d %s, want %s before others", status, text, me)
	}
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer := func(from string, form url.Values) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.page(nil), strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", from)
		resp, err := b.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return resp
	}
	if resp := answer("https://evil.example", url.Values{"user": {me}, "answer": {"allow"}}); resp.StatusCode != 403 {
		t.Errorf("another site answers: %d", resp.StatusCode)
	}
	if resp := answer(loginBase, url.Values{"user": {"mallory"}, "answer": {"allow"}}); resp.StatusCode != 400 {
		t.Errorf("nobody answers: %d", resp.StatusCode)
	}
	if resp := answer(loginBase, url.Values{"user": {me}}); resp.StatusCode != 303 || !strings.Contains(resp.Header.Get("Location"), "error=access_denied") {
		t.Errorf("deny: %d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	resp := answer(loginBase, url.Values{"user": {me}, "answer": {"allow"}})
	next, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != 303 {
		t.Fatalf("%d %v", resp.StatusCode, err)
	}
	out := l.post(loginBase, byCode(next.Query().Get("code")), l.proof(nil))
	if who, err := whoami(t, out.config(s)); err != nil || *who.Arn != me {
		t.Errorf("%v, %v", who, err)
	}
}

func TestOtherComputersAreSignedInByAShownCode(t *testing.T) {
	l := newCommandLine(t)
	cross := "arn:aws:signin:::devtools/cross-device"
	next, err := l.server.AnswerSignIn(l.page(func(q url.Values) {
		q.Set("client_id", cross)
		q.Set("redirect_uri", loginBase+"/v1/sessions/confirmation")
	}), ssooidc.Answer{User: userADM})
	if err != nil {
		t.Fatal(err)
	}
	status, text := newBrowser(t, l.server).open(next)
	_, rest, _ := strings.Cut(text, `<code id="code">`)
	shown, _, _ := strings.Cut(rest, "<")
	plain, err := base64.StdEncoding.DecodeString(shown)
	q, err2 := url.ParseQuery(string(plain))
	if status != 200 || err != nil || err2 != nil || q.Get("state") != "s" {
		t.Fatalf("%d %s %v %v", status, text, err, err2)
	}
	in := byCode(q.Get("code"))
	in["clientId"], in["redirectUri"] = cross, loginBase+"/v1/sessions/confirmation"
	if out := l.post(loginBase, in, l.proof(nil)); out.status != 200 {
		t.Errorf("%+v", out)
	}
}

// AWS's SDK for Go refreshes what was begun here, and says what its words are for
// our errors.
func TestTheSDKsLoginProviderRefreshes(t *testing.T) {
	l := newCommandLine(t)
	out := l.login(userADM)
	der, err := x509.MarshalECPrivateKey(l.key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cache.json")
	write := func(refresh string) {
		t.Helper()
		text, err := json.Marshal(map[string]any{
			"accessToken": map[string]any{"accessKeyId": "a", "secretAccessKey": "b", "sessionToken": "c", "accountId": string(A), "expiresAt": "2025-01-01T00:00:00Z"},
			"tokenType":   "aws_sigv4", "clientId": sameDevice, "refreshToken": refresh,
			"dpopKey": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(out.RefreshToken)
	cfg := aws.Config{Region: "eu-west-1", HTTPClient: l.http}
	provider := logincreds.New(awssignin.NewFromConfig(cfg), path)
	got, err := provider.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if who, err := whoami(t, with(l.server, got.AccessKeyID, got.SecretAccessKey, got.SessionToken)); err != nil || *who.Arn != userADM || got.AccountID != string(A) {
		t.Errorf("%v, %v", who, err)
	}
	write(out.RefreshToken) // which was used
	if _, err := provider.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "login session has expired") {
		t.Errorf("a used refresh token: %v", err)
	}
}
