package oidc_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/localaws/oidc"
)

const (
	issuerURL = "https://oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
	audience  = "sts.amazonaws.com"
)

func instant() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// signingKey is made once for all tests: it takes a tenth of a second.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func newIssuer(t testing.TB, url string) *oidc.Issuer {
	t.Helper()
	i, err := oidc.NewIssuer(url, oidc.IssuerConfig{Key: signingKey()})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func request() oidc.TokenRequest {
	return oidc.TokenRequest{Namespace: "payroll", ServiceAccount: "api", UID: "u-1", Pod: "api-0", PodUID: "p-1",
		Audiences: []string{audience}, IssuedAt: instant(), Lifetime: time.Hour}
}

func token(t testing.TB, i *oidc.Issuer, req oidc.TokenRequest) string {
	t.Helper()
	s, err := i.Token(req)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serving fetches from handlers by the URL's host and path, without a network.
func serving(h http.Handler) func(context.Context, string) ([]byte, error) {
	return func(ctx context.Context, url string) ([]byte, error) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, url, nil))
		if w.Code != http.StatusOK {
			return nil, fmt.Errorf("status %d", w.Code)
		}
		return w.Body.Bytes(), nil
	}
}

func verifierOf(h http.Handler) *oidc.Verifier {
	return oidc.NewVerifier(oidc.VerifierConfig{Fetch: serving(h)})
}

func wantFailure(t testing.TB, claims *oidc.Claims, f *oidc.Failure, want oidc.Kind) {
	t.Helper()
	if f == nil || claims != nil || f.Kind != want {
		t.Fatalf("Verify = %+v, %v, want a failure of kind %v and no claims", claims, f, want)
	}
}

func TestTokenOfAServiceAccount(t *testing.T) {
	i := newIssuer(t, issuerURL)
	claims, f := verifierOf(i).Verify(t.Context(), token(t, i, request()), issuerURL, []string{"other", audience}, instant())
	if f != nil {
		t.Fatal(f)
	}
	if claims.Subject != "system:serviceaccount:payroll:api" || claims.Issuer != issuerURL || claims.Audience() != audience {
		t.Errorf("claims = %+v", claims)
	}
	if !claims.IssuedAt.Equal(instant()) || !claims.NotBefore.Equal(instant()) || !claims.Expires.Equal(instant().Add(time.Hour)) {
		t.Errorf("times = %v, %v, %v", claims.IssuedAt, claims.NotBefore, claims.Expires)
	}
	want := map[string]any{"namespace": "payroll", "serviceaccount": map[string]any{"name": "api", "uid": "u-1"},
		"pod": map[string]any{"name": "api-0", "uid": "p-1"}}
	if diff := cmp.Diff(want, claims.Raw["kubernetes.io"]); diff != "" {
		t.Errorf("kubernetes.io (-want +got):\n%s", diff)
	}
	if id, _ := claims.Raw["jti"].(string); len(id) != 36 {
		t.Errorf("jti = %q, want a UUID", id)
	}
}

func TestProviderURLMayLackItsScheme(t *testing.T) {
	i := newIssuer(t, issuerURL)
	_, f := verifierOf(i).Verify(t.Context(), token(t, i, request()), strings.TrimPrefix(issuerURL, "https://"), []string{audience}, instant())
	if f != nil {
		t.Error(f)
	}
}

func TestDerivedUIDsAreStableAndDistinct(t *testing.T) {
	i := newIssuer(t, issuerURL)
	uid := func(name string) any {
		req := oidc.TokenRequest{Namespace: "n", ServiceAccount: name, Audiences: []string{audience}}
		_, claims := parts(t, token(t, i, req))
		return claims["kubernetes.io"].(map[string]any)["serviceaccount"].(map[string]any)["uid"]
	}
	if a, b, c := uid("a"), uid("a"), uid("b"); a != b || a == c || len(a.(string)) != 36 {
		t.Errorf("uids %v, %v, %v", a, b, c)
	}
}

func TestIncompleteTokenRequests(t *testing.T) {
	i := newIssuer(t, issuerURL)
	for name, change := range map[string]func(*oidc.TokenRequest){
		"no namespace":       func(r *oidc.TokenRequest) { r.Namespace = "" },
		"no service account": func(r *oidc.TokenRequest) { r.ServiceAccount = "" },
		"no audience":        func(r *oidc.TokenRequest) { r.Audiences = nil },
		"negative lifetime":  func(r *oidc.TokenRequest) { r.Lifetime = -1 },
	} {
		req := request()
		change(&req)
		if s, err := i.Token(req); err == nil {
			t.Errorf("%s: Token = %q, want an error", name, s)
		}
	}
	if _, err := new(oidc.Issuer).Token(request()); err == nil {
		t.Error("the zero Issuer signed a token")
	}
}

func TestIssuerURLs(t *testing.T) {
	for _, url := range []string{"", "oidc.example.com", "ftp://x/y", "https://x/y/", "https://x/?a=b", "https://x/#f", "https://u@x/"} {
		if _, err := oidc.NewIssuer(url, oidc.IssuerConfig{Key: signingKey()}); err == nil {
			t.Errorf("NewIssuer(%q): no error", url)
		}
	}
}

// TestDocumentsAreWhatEKSPublishes reads them with go-jose, which verifies a
// token of ours too.
func TestDocumentsAreWhatEKSPublishes(t *testing.T) {
	i := newIssuer(t, issuerURL)
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		i.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w
	}
	var doc map[string]any
	w := get("GET", "/any/base/.well-known/openid-configuration")
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"issuer": issuerURL, "jwks_uri": issuerURL + "/keys",
		"authorization_endpoint":   "urn:kubernetes:programmatic_authorization",
		"response_types_supported": []any{"id_token"}, "subject_types_supported": []any{"public"},
		"claims_supported": []any{"sub", "iss"}, "id_token_signing_alg_values_supported": []any{"RS256"}}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Errorf("discovery (-want +got):\n%s", diff)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(get("GET", "/id/X/keys").Body.Bytes(), &set); err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token(t, i, request()), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := parsed.Claims(set, &claims); err != nil {
		t.Fatalf("go-jose: %v", err)
	}
	if err := claims.Validate(jwt.Expected{Issuer: issuerURL, AnyAudience: jwt.Audience{audience}, Time: instant()}); err != nil {
		t.Errorf("go-jose: %v", err)
	}
	if code := get("POST", "/keys").Code; code != http.StatusMethodNotAllowed {
		t.Errorf("POST = %d, want 405", code)
	}
	if code := get("GET", "/other").Code; code != http.StatusNotFound {
		t.Errorf("another path = %d, want 404", code)
	}
}

func TestRotation(t *testing.T) {
	i := newIssuer(t, issuerURL)
	clock := instant()
	v := oidc.NewVerifier(oidc.VerifierConfig{Fetch: serving(i), Now: func() time.Time { return clock }})
	check := func(s string) oidc.Kind {
		_, f := v.Verify(t.Context(), s, issuerURL, []string{audience}, instant())
		if f != nil {
			return f.Kind
		}
		return 0
	}
	before := token(t, i, request())
	if k := check(before); k != 0 {
		t.Fatalf("before rotation: %v", k)
	}
	if err := i.Rotate(); err != nil {
		t.Fatal(err)
	}
	after := token(t, i, request())
	if k := check(after); k != oidc.KeyNotFound {
		t.Errorf("a new key within the least time between fetches: %v, want %v", k, oidc.KeyNotFound)
	}
	clock = clock.Add(6 * time.Second)
	if k := check(after); k != 0 {
		t.Errorf("a new key later: %v", k)
	}
	if k := check(before); k != 0 {
		t.Errorf("the old key after rotation: %v", k)
	}
	i.Retire()
	clock = clock.Add(11 * time.Minute)
	if k := check(before); k != oidc.KeyNotFound {
		t.Errorf("a retired key: %v, want %v", k, oidc.KeyNotFound)
	}
	if k := check(after); k != 0 {
		t.Errorf("the signing key after Retire: %v", k)
	}
}

func TestStateRoundTrip(t *testing.T) {
	i := newIssuer(t, issuerURL)
	if err := i.Rotate(); err != nil {
		t.Fatal(err)
	}
	state, err := json.Marshal(i)
	if err != nil {
		t.Fatal(err)
	}
	var back oidc.Issuer
	if err := json.Unmarshal(state, &back); err != nil {
		t.Fatal(err)
	}
	if back.URL() != i.URL() || string(back.JWKS()) != string(i.JWKS()) {
		t.Error("the issuer read back has another URL or other keys")
	}
	if _, f := verifierOf(i).Verify(t.Context(), token(t, &back, request()), issuerURL, []string{audience}, instant()); f != nil {
		t.Error(f)
	}
}

func TestBadState(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(small)
	if err != nil {
		t.Fatal(err)
	}
	weak := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for name, state := range map[string]any{
		"no keys":     map[string]any{"url": issuerURL},
		"no URL":      map[string]any{"keys": []string{weak}},
		"weak key":    map[string]any{"url": issuerURL, "keys": []string{weak}},
		"not PEM":     map[string]any{"url": issuerURL, "keys": []string{"secret-text"}},
		"not PKCS #8": map[string]any{"url": issuerURL, "keys": []string{"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}},
		"not JSON":    "x",
	} {
		t.Run(name, func(t *testing.T) {
			data, err := json.Marshal(state)
			if err != nil {
				t.Fatal(err)
			}
			var i oidc.Issuer
			err = json.Unmarshal(data, &i)
			if err == nil || strings.Contains(err.Error(), "secret-text") {
				t.Errorf("Unmarshal: %v, want an error that does not quote the key", err)
			}
		})
	}
}

func TestIssuerPrintsWithoutKeys(t *testing.T) {
	i := newIssuer(t, issuerURL)
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("made", "issuer", i)
	text := b.String() + fmt.Sprintf("%v %+v %#v %s", i, i, i, i)
	if strings.Contains(text, "PRIVATE") || strings.Contains(text, signingKey().D.String()[:20]) || strings.Contains(text, "keys") {
		t.Errorf("printed as %s", text)
	}
}

// parts decodes header and claims of a token.
func parts(t testing.TB, s string) (header, claims map[string]any) {
	t.Helper()
	p := strings.Split(s, ".")
	for i, to := range []*map[string]any{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(p[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, to); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// forge signs arbitrary header and claims text with the issuer's real key.
func forge(t testing.TB, header, claims string) string {
	t.Helper()
	signed := b64(header) + "." + b64(claims)
	digest := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, signingKey(), crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func realHeader(t testing.TB) map[string]any {
	t.Helper()
	header, _ := parts(t, token(t, newIssuer(t, issuerURL), request()))
	return header
}

func text(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func goodClaims() map[string]any {
	return map[string]any{"iss": issuerURL, "sub": "s", "aud": audience, "iat": instant().Unix(), "exp": instant().Unix() + 60}
}

// TestClaims signs each set of claims rightly, so that the claims alone decide.
func TestClaims(t *testing.T) {
	now := instant().Unix()
	cases := map[string]struct {
		change func(map[string]any)
		want   oidc.Kind // 0: accepted
	}{
		"as they should be":                {func(map[string]any) {}, 0},
		"audience as a list of one":        {func(c map[string]any) { c["aud"] = []string{audience} }, 0},
		"several audiences":                {func(c map[string]any) { c["aud"] = []string{audience, "x"} }, oidc.Audience},
		"several audiences, azp":           {func(c map[string]any) { c["aud"], c["azp"] = []string{"x", "y"}, audience }, 0},
		"azp that is not registered":       {func(c map[string]any) { c["azp"] = "x" }, oidc.Audience},
		"azp that is no string":            {func(c map[string]any) { c["azp"] = 1 }, oidc.Malformed},
		"empty azp":                        {func(c map[string]any) { c["azp"] = "" }, oidc.Malformed},
		"another audience":                 {func(c map[string]any) { c["aud"] = "x" }, oidc.Audience},
		"audience in another case":         {func(c map[string]any) { c["aud"] = "STS.amazonaws.com" }, oidc.Audience},
		"no audience":                      {func(c map[string]any) { delete(c, "aud") }, oidc.Malformed},
		"empty list of audiences":          {func(c map[string]any) { c["aud"] = []string{} }, oidc.Malformed},
		"audiences that are no strings":    {func(c map[string]any) { c["aud"] = []any{audience, 1} }, oidc.Malformed},
		"null audience":                    {func(c map[string]any) { c["aud"] = nil }, oidc.Malformed},
		"audience in another letter case":  {func(c map[string]any) { delete(c, "aud"); c["AUD"] = audience }, oidc.Malformed},
		"numeric subject":                  {func(c map[string]any) { c["sub"] = 42 }, 0},
		"null subject":                     {func(c map[string]any) { c["sub"] = nil }, oidc.Malformed},
		"subject that is an object":        {func(c map[string]any) { c["sub"] = map[string]any{} }, oidc.Malformed},
		"no subject":                       {func(c map[string]any) { delete(c, "sub") }, oidc.Malformed},
		"no issuer":                        {func(c map[string]any) { delete(c, "iss") }, oidc.Malformed},
		"another issuer":                   {func(c map[string]any) { c["iss"] = "https://evil.example" }, oidc.UnknownIssuer},
		"issuer with a slash more":         {func(c map[string]any) { c["iss"] = issuerURL + "/" }, oidc.UnknownIssuer},
		"no expiry":                        {func(c map[string]any) { delete(c, "exp") }, oidc.Malformed},
		"expiry now":                       {func(c map[string]any) { c["exp"] = now }, oidc.Expired},
		"expiry in a second":               {func(c map[string]any) { c["exp"] = now + 1 }, 0},
		"expiry long ago":                  {func(c map[string]any) { c["exp"] = 1 }, oidc.Expired},
		"expiry as digits in a string":     {func(c map[string]any) { c["exp"] = fmt.Sprint(now + 60) }, 0},
		"fraction in the expiry":           {func(c map[string]any) { c["exp"] = float64(now) + 60.5 }, oidc.Malformed},
		"expiry past the end of time":      {func(c map[string]any) { c["exp"] = json.Number("9223372036854775807") }, oidc.Malformed},
		"expiry beyond numbers":            {func(c map[string]any) { c["exp"] = json.Number("1e400") }, oidc.Malformed},
		"negative expiry":                  {func(c map[string]any) { c["exp"] = -1 }, oidc.Malformed},
		"expiry true":                      {func(c map[string]any) { c["exp"] = true }, oidc.Malformed},
		"no time of issue":                 {func(c map[string]any) { delete(c, "iat") }, oidc.Malformed},
		"issued in the near future":        {func(c map[string]any) { c["iat"] = now + 300 }, 0},
		"issued in the future":             {func(c map[string]any) { c["iat"] = now + 301 }, oidc.IssuedInFuture},
		"not yet valid":                    {func(c map[string]any) { c["nbf"] = now + 301 }, oidc.NotYetValid},
		"valid soon":                       {func(c map[string]any) { c["nbf"] = now + 299 }, 0},
		"nbf that is no time":              {func(c map[string]any) { c["nbf"] = "soon" }, oidc.Malformed},
		"amr as a string":                  {func(c map[string]any) { c["amr"] = "mfa" }, 0},
		"many claims beside":               {func(c map[string]any) { c["groups"] = strings.Split(strings.Repeat("g,", 1000), ",") }, 0},
		"more than STS takes in one token": {func(c map[string]any) { c["x"] = strings.Repeat("x", 20_000) }, oidc.NotAJWT},
	}
	v := verifierOf(newIssuer(t, issuerURL))
	header := text(t, realHeader(t))
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claims := goodClaims()
			tc.change(claims)
			got, f := v.Verify(t.Context(), forge(t, header, text(t, claims)), issuerURL, []string{audience}, instant())
			if tc.want == 0 {
				if f != nil || got == nil {
					t.Fatalf("Verify: %v", f)
				}
				return
			}
			wantFailure(t, got, f, tc.want)
		})
	}
}

func TestExpiredSaysWhen(t *testing.T) {
	i := newIssuer(t, issuerURL)
	now := instant().Add(2 * time.Hour)
	s := token(t, i, request())
	claims, f := verifierOf(i).Verify(t.Context(), s, issuerURL, []string{audience}, now)
	wantFailure(t, claims, f, oidc.Expired)
	want := fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), now.Add(-time.Hour).Unix())
	if f.Message != want || !f.Now.Equal(now) || !f.Expires.Equal(now.Add(-time.Hour)) {
		t.Errorf("failure = %+v, want message %q", f, want)
	}
	lenient := oidc.NewVerifier(oidc.VerifierConfig{Fetch: serving(i), ExpiryTolerance: 2 * time.Hour})
	if _, f := lenient.Verify(t.Context(), s, issuerURL, []string{audience}, now); f != nil {
		t.Errorf("with tolerance: %v", f)
	}
}

// TestHostileTokens are attempts to be believed without the issuer's key, or
// to hurt the verifier.
func TestHostileTokens(t *testing.T) {
	i := newIssuer(t, issuerURL)
	real := realHeader(t)
	kid, _ := real["kid"].(string)
	claims := text(t, goodClaims())
	attacker, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	evil, err := oidc.NewIssuer(issuerURL, oidc.IssuerConfig{Key: attacker})
	if err != nil {
		t.Fatal(err)
	}
	foreign := token(t, evil, request())
	good := token(t, i, request())
	with := func(extra map[string]any) string {
		h := map[string]any{"alg": "RS256", "kid": kid}
		for k, v := range extra {
			h[k] = v
		}
		return text(t, h)
	}
	der, err := x509.MarshalPKIXPublicKey(signingKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	hs := func(key []byte) string {
		signed := b64(with(map[string]any{"alg": "HS256"})) + "." + b64(claims)
		m := hmac.New(sha256.New, key)
		m.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	evilParts := strings.Split(foreign, ".")
	goodParts := strings.Split(good, ".")
	jwkHeader := with(map[string]any{"jwk": json.RawMessage(firstKey(t, evil)), "jku": "https://evil.example/keys", "x5u": "https://evil.example/x", "x5c": []string{"AAAA"}})
	cases := map[string]struct {
		token string
		want  oidc.Kind
	}{
		"alg none":                             {b64(`{"alg":"none"}`) + "." + b64(claims) + ".", oidc.Malformed},
		"alg None":                             {b64(with(map[string]any{"alg": "None"})) + "." + b64(claims) + "." + goodParts[2], oidc.Malformed},
		"HMAC with the public key in DER":      {hs(der), oidc.Malformed},
		"HMAC with the public key in PEM":      {hs(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), oidc.Malformed},
		"RSA-PSS":                              {forge(t, with(map[string]any{"alg": "PS256"}), claims), oidc.Malformed},
		"no alg":                               {forge(t, `{"kid":"`+kid+`"}`, claims), oidc.Malformed},
		"alg that is no string":                {forge(t, `{"alg":["RS256"],"kid":"`+kid+`"}`, claims), oidc.Malformed},
		"ES256 with an RSA key's id":           {forge(t, with(map[string]any{"alg": "ES256"}), claims), oidc.KeyNotFound},
		"another hash than was signed":         {forge(t, with(map[string]any{"alg": "RS512"}), claims), oidc.BadSignature},
		"another's key with its own id":        {foreign, oidc.KeyNotFound},
		"another's key with the issuer's id":   {sign(t, attacker, with(nil), claims), oidc.BadSignature},
		"another's key, brought along":         {sign(t, attacker, jwkHeader, claims), oidc.BadSignature},
		"kid as a path":                        {forge(t, with(map[string]any{"kid": "../../keys"}), claims), oidc.KeyNotFound},
		"kid that is no string":                {forge(t, with(map[string]any{"kid": 1}), claims), oidc.Malformed},
		"kid in another letter case":           {forge(t, with(map[string]any{"kid": strings.ToUpper(kid)}), claims), oidc.KeyNotFound},
		"critical extension":                   {forge(t, with(map[string]any{"crit": []string{"b64"}, "b64": false}), claims), oidc.Malformed},
		"claims of another token":              {goodParts[0] + "." + b64(claims) + "." + goodParts[2], oidc.BadSignature},
		"header of another token":              {evilParts[0] + "." + goodParts[1] + "." + goodParts[2], oidc.KeyNotFound},
		"no signature":                         {goodParts[0] + "." + goodParts[1] + ".", oidc.BadSignature},
		"signature of zeros":                   {goodParts[0] + "." + goodParts[1] + "." + b64(strings.Repeat("\x00", 256)), oidc.BadSignature},
		"signature with a byte more":           {goodParts[0] + "." + goodParts[1] + "." + b64(string(rawSignature(t, good))+"x"), oidc.BadSignature},
		"nothing":                              {"", oidc.NotAJWT},
		"an opaque token":                      {"ya29.a0AfH6SMBx", oidc.NotAJWT},
		"two parts":                            {goodParts[0] + "." + goodParts[1], oidc.NotAJWT},
		"four parts":                           {good + ".x", oidc.NotAJWT},
		"five parts, as an encrypted one":      {"a.b.c.d.e", oidc.NotAJWT},
		"padding":                              {goodParts[0] + "=." + goodParts[1] + "." + goodParts[2], oidc.NotAJWT},
		"standard base64":                      {goodParts[0] + "." + goodParts[1] + ".+/+/", oidc.NotAJWT},
		"a line break in it":                   {goodParts[0] + "." + goodParts[1] + "." + goodParts[2] + "\n", oidc.NotAJWT},
		"bits after the end":                   {goodParts[0] + "." + goodParts[1] + "." + "AB", oidc.NotAJWT},
		"claims that are a list":               {forge(t, with(nil), `[1]`), oidc.NotAJWT},
		"claims that are null":                 {forge(t, with(nil), `null`), oidc.NotAJWT},
		"text after the claims":                {forge(t, with(nil), claims+`{}`), oidc.NotAJWT},
		"claims that are not UTF-8":            {forge(t, with(nil), `{"a":"`+"\xff"+`"}`), oidc.NotAJWT},
		"a claim twice":                        {forge(t, with(nil), `{"sub":"x",`+claims[1:]), oidc.Malformed},
		"a claim twice, spelled by an escape":  {forge(t, with(nil), `{"\u0073ub":"x",`+claims[1:]), oidc.Malformed},
		"a member of a claim twice":            {forge(t, with(nil), `{"x":{"a":1,"a":2},`+claims[1:]), oidc.Malformed},
		"alg twice":                            {forge(t, `{"alg":"none",`+with(nil)[1:], claims), oidc.Malformed},
		"nesting":                              {forge(t, with(nil), `{"x":`+strings.Repeat("[", 3000)+strings.Repeat("]", 3000)+`,`+claims[1:]), oidc.Malformed},
		"nesting without end":                  {forge(t, with(nil), `{"x":`+strings.Repeat(`{"a":`, 2000)), oidc.Malformed},
		"longer than 20,000 characters":        {good + strings.Repeat("A", 20_001), oidc.NotAJWT},
		"nothing but dots":                     {strings.Repeat(".", 20_000), oidc.NotAJWT},
		"claims of a token in a token's place": {goodParts[1] + "." + goodParts[1] + "." + goodParts[2], oidc.Malformed},
	}
	v := verifierOf(i)
	if _, f := v.Verify(t.Context(), good, issuerURL, []string{audience}, instant()); f != nil {
		t.Fatalf("the control: %v", f)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, f := v.Verify(t.Context(), tc.token, issuerURL, []string{audience}, instant())
			wantFailure(t, got, f, tc.want)
			if tc.token != "" && len(tc.token) > 100 && strings.Contains(f.Error(), tc.token) {
				t.Error("the failure repeats the token")
			}
		})
	}
}

func sign(t testing.TB, key *rsa.PrivateKey, header, claims string) string {
	t.Helper()
	signed := b64(header) + "." + b64(claims)
	digest := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func rawSignature(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s[strings.LastIndexByte(s, '.')+1:])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func firstKey(t testing.TB, i *oidc.Issuer) []byte {
	t.Helper()
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(i.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	return set.Keys[0]
}

func TestPeekIssuer(t *testing.T) {
	i := newIssuer(t, issuerURL)
	if got, f := oidc.PeekIssuer(token(t, i, request())); f != nil || got != issuerURL {
		t.Errorf("PeekIssuer = %q, %v", got, f)
	}
	for token, want := range map[string]oidc.Kind{
		"x":                                      oidc.NotAJWT,
		forge(t, `{"alg":"RS256"}`, `{}`):        oidc.Malformed,
		forge(t, `{"alg":"RS256"}`, `{"iss":1}`): oidc.Malformed,
		forge(t, `{"alg":"HS256"}`, `{"iss":"a"}`):  oidc.Malformed,
		forge(t, `{"alg":"RS256"}`, `{"iss":""}`):   oidc.Malformed,
		forge(t, `{"alg":"RS256"}`, `{"iss":null}`): oidc.Malformed,
	} {
		if got, f := oidc.PeekIssuer(token); f == nil || f.Kind != want || got != "" {
			t.Errorf("PeekIssuer = %q, %v, want %v", got, f, want)
		}
	}
}

// TestEveryAllowedAlgorithm signs with go-jose.
func TestEveryAllowedAlgorithm(t *testing.T) {
	ec := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for alg, key := range map[jose.SignatureAlgorithm]crypto.Signer{
		jose.RS256: signingKey(), jose.RS384: signingKey(), jose.RS512: signingKey(),
		jose.ES256: ec(elliptic.P256()), jose.ES384: ec(elliptic.P384()), jose.ES512: ec(elliptic.P521()),
	} {
		t.Run(string(alg), func(t *testing.T) {
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Use: "sig"}}}
			v := verifierOf(publishing(text(t, set)))
			signed, err := jwt.Signed(s).Claims(goodClaims()).Serialize()
			if err != nil {
				t.Fatal(err)
			}
			if _, f := v.Verify(t.Context(), signed, issuerURL, []string{audience}, instant()); f != nil {
				t.Errorf("Verify: %v", f)
			}
			p := strings.Split(signed, ".")
			got, f := v.Verify(t.Context(), p[0]+"."+b64(text(t, goodClaims())+" ")+"."+p[2], issuerURL, []string{audience}, instant())
			wantFailure(t, got, f, oidc.BadSignature)
		})
	}
}

// publishing serves issuerURL's discovery document and the given key set.
func publishing(keys string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/id/0123456789ABCDEF0123456789ABCDEF/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuerURL, issuerURL+"/keys")
	})
	mux.HandleFunc("/id/0123456789ABCDEF0123456789ABCDEF/keys", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, keys) })
	return mux
}

func TestKeySets(t *testing.T) {
	i := newIssuer(t, issuerURL)
	good := string(firstKey(t, i))
	edit := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	other := `{"kty":"RSA","kid":"other","n":"` + b64(strings.Repeat("\xff", 256)) + `","e":"AQAB"}`
	cases := map[string]struct {
		keys  string
		noKid bool
		want  oidc.Kind
	}{
		"the key":                           {keys: good},
		"the key and another":               {keys: other + "," + good},
		"no kid, one key":                   {keys: good, noKid: true},
		"no kid, two keys":                  {keys: good + "," + other, noKid: true, want: oidc.KeyNotFound},
		"none":                              {keys: "", want: oidc.KeyNotFound},
		"for encryption":                    {keys: edit(`"use":"sig"`, `"use":"enc"`), want: oidc.KeyNotFound},
		"with key_ops":                      {keys: edit(`{`, `{"key_ops":["verify"],`), want: oidc.KeyNotFound},
		"of another type":                   {keys: edit(`"RSA"`, `"oct"`), want: oidc.KeyNotFound},
		"without exponent":                  {keys: edit(`"e":"AQAB"`, `"e":""`), want: oidc.KeyNotFound},
		"exponent one":                      {keys: edit(`"AQAB"`, `"AQ"`), want: oidc.KeyNotFound},
		"even exponent":                     {keys: edit(`"AQAB"`, `"BA"`), want: oidc.KeyNotFound},
		"huge exponent":                     {keys: edit(`"AQAB"`, `"`+b64(strings.Repeat("\xff", 200))+`"`), want: oidc.KeyNotFound},
		"huge modulus":                      {keys: edit(`"n":"`, `"n":"`+strings.Repeat("_", 2000)), want: oidc.KeyNotFound},
		"small modulus":                     {keys: `{"kty":"RSA","kid":"x","n":"` + b64(strings.Repeat("\xff", 128)) + `","e":"AQAB"}`, want: oidc.KeyNotFound},
		"a point off the curve":             {keys: `{"kty":"EC","kid":"x","crv":"P-256","x":"` + b64(strings.Repeat("\x01", 32)) + `","y":"` + b64(strings.Repeat("\x01", 32)) + `"}`, want: oidc.KeyNotFound},
		"the same id again, another key":    {keys: good + "," + strings.Replace(other, "other", kidOf(t, i), 1), want: oidc.BadSignature},
		"a member that is no key":           {keys: `1,null,"x",[],` + good},
		"more than a hundred":               {keys: good + strings.Repeat(`,{"kty":"RSA"}`, 100), want: oidc.Unreachable},
		"a hundred others beside":           {keys: good + strings.Repeat(`,{"kty":"OKP"}`, 500)},
		"more than the bound on a document": {keys: good + strings.Repeat(`,{"kty":"OKP"}`, 5000), want: oidc.Unreachable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			header := map[string]any{"alg": "RS256", "kid": kidOf(t, i)}
			if tc.noKid {
				delete(header, "kid")
			}
			s := forge(t, text(t, header), text(t, goodClaims()))
			got, f := verifierOf(publishing(`{"keys":[`+tc.keys+`]}`)).Verify(t.Context(), s, issuerURL, []string{audience}, instant())
			if tc.want == 0 {
				if f != nil {
					t.Errorf("Verify: %v", f)
				}
				return
			}
			wantFailure(t, got, f, tc.want)
		})
	}
}

func kidOf(t testing.TB, i *oidc.Issuer) string {
	t.Helper()
	var k struct{ Kid string }
	if err := json.Unmarshal(firstKey(t, i), &k); err != nil {
		t.Fatal(err)
	}
	return k.Kid
}

func TestFailureTellsItsCause(t *testing.T) {
	cause := errors.New("no route to host")
	v := oidc.NewVerifier(oidc.VerifierConfig{Fetch: func(context.Context, string) ([]byte, error) { return nil, cause }})
	claims, f := v.Verify(t.Context(), token(t, newIssuer(t, issuerURL), request()), issuerURL, []string{audience}, instant())
	wantFailure(t, claims, f, oidc.Unreachable)
	if !errors.Is(f, cause) || strings.Contains(f.Message, "route") || !strings.Contains(f.Error(), "route") {
		t.Errorf("failure = %v; want the cause in the error and not in what callers see", f)
	}
}

// FuzzVerify: nothing panics, and only the issuer's own signature is accepted.
func FuzzVerify(f *testing.F) {
	i := newIssuer(f, issuerURL)
	good := token(f, i, request())
	f.Add(good)
	f.Add(forge(f, `{"alg":"RS256"}`, text(f, goodClaims())))
	f.Add(b64(`{"alg":"none"}`) + "." + b64(text(f, goodClaims())) + ".")
	f.Add(b64(`{"alg":"ES256","kid":"x"}`) + "." + b64(`{"iss":{"a":[1]},"iss":1}`) + ".AAAA")
	v := verifierOf(i)
	signed := map[string]bool{good: true}
	f.Fuzz(func(t *testing.T, s string) {
		claims, failure := v.Verify(t.Context(), s, issuerURL, []string{audience}, instant())
		if (claims == nil) == (failure == nil) {
			t.Fatalf("Verify = %v, %v, want one of the two", claims, failure)
		}
		// The second seed is signed by the issuer's key too; it has no kid.
		if failure == nil && !signed[s] && !strings.HasPrefix(s, b64(`{"alg":"RS256"}`)+"."+b64(text(t, goodClaims()))) {
			t.Fatalf("accepted %q", s)
		}
		_, _ = oidc.PeekIssuer(s)
	})
}

// FuzzIssuersDocuments feeds what a hostile issuer may publish.
func FuzzIssuersDocuments(f *testing.F) {
	i := newIssuer(f, issuerURL)
	good := token(f, i, request())
	f.Add(string(i.JWKS()))
	f.Add(`{"keys":[{"kty":"EC","kid":"x","crv":"P-521","x":"AA","y":"AA"}]}`)
	f.Add(`{"keys":{}}`)
	var keys string
	v := oidc.NewVerifier(oidc.VerifierConfig{TTL: -1, MinRefresh: -1, Fetch: func(ctx context.Context, url string) ([]byte, error) {
		if strings.HasSuffix(url, "/keys") {
			return []byte(keys), nil
		}
		return i.Discovery(), nil
	}})
	f.Fuzz(func(t *testing.T, document string) {
		keys = document
		claims, failure := v.Verify(t.Context(), good, issuerURL, []string{audience}, instant())
		if (claims == nil) == (failure == nil) {
			t.Fatalf("Verify = %v, %v, want one of the two", claims, failure)
		}
		var set jose.JSONWebKeySet
		if failure == nil && json.Unmarshal([]byte(document), &set) == nil && len(set.Keys) > 0 && !holds(set, signingKey()) {
			t.Fatalf("accepted with keys that are not the signer's: %q", document)
		}
	})
}

func holds(set jose.JSONWebKeySet, key *rsa.PrivateKey) bool {
	for _, k := range set.Keys {
		if pub, ok := k.Key.(*rsa.PublicKey); ok && pub.Equal(key.Public()) {
			return true
		}
	}
	return false
}
