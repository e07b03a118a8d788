package hostile_test

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
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/oidc"
)

// idp is an identity provider of ours on loopback, with a key we may sign
// anything with.
type idp struct {
	*httptest.Server
	key   *rsa.PrivateKey
	role  string // that trusts it
	asked atomic.Int64
	serve func(w http.ResponseWriter, r *http.Request) bool // answers in its place
}

type object = map[string]any

// newIDP starts a provider, registers it in orders and makes a role for its
// subject "me".
func newIDP(t *testing.T, serve func(w http.ResponseWriter, r *http.Request) bool) (*idp, *target) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{key: key, serve: serve}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(p.handle))
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	pool := x509.NewCertPool()
	pool.AddCert(p.Certificate())
	fetcher := oidc.NewFetcher(oidc.FetcherConfig{RootCAs: pool})
	aws := newTarget(t, func(c *localaws.Config) { c.FetchIssuer = fetcher.Get })
	p.register(t, aws)
	return p, aws
}

func (p *idp) handle(w http.ResponseWriter, r *http.Request) {
	p.asked.Add(1)
	if p.serve != nil && p.serve(w, r) {
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		writeJSON(w, object{"issuer": p.URL, "jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
	case "/keys":
		writeJSON(w, object{"keys": []object{p.jwk("k")}})
	default:
		http.NotFound(w, r)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone if this fails
}

func (p *idp) jwk(kid string) object {
	return object{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
		"n": b64(p.key.N.Bytes()), "e": b64(big.NewInt(int64(p.key.E)).Bytes()),
	}
}

func (p *idp) register(t *testing.T, t2 *target) {
	t.Helper()
	c := iam.NewFromConfig(t2.admin(orders))
	if _, err := c.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{Url: &p.URL, ClientIDList: []string{"sts.amazonaws.com"}}); err != nil {
		t.Fatal(err)
	}
	key := strings.TrimPrefix(p.URL, "https://")
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:oidc-provider/` + key + `"},"Action":"sts:AssumeRoleWithWebIdentity",` +
		`"Condition":{"StringEquals":{"` + key + `:sub":"me"}}}}`
	out, err := c.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("mine"), AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatal(err)
	}
	p.role = aws.ToString(out.Role.Arn)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func encode(t *testing.T, v any) string {
	t.Helper()
	if text, ok := v.(string); ok {
		return b64([]byte(text))
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b64(text)
}

// signed is a token under the provider's key: header and claims are JSON
// values, or JSON texts.
func (p *idp) signed(t *testing.T, header, claims any) string {
	t.Helper()
	text := encode(t, header) + "." + encode(t, claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(signature)
}

var goodHeader = object{"alg": "RS256", "typ": "JWT", "kid": "k"}

// claims are good ones, with changes; a nil value takes one away.
func (p *idp) claims(changes object) object {
	now := epoch.Unix()
	c := object{"iss": p.URL, "sub": "me", "aud": "sts.amazonaws.com", "iat": now, "exp": now + 600}
	for k, v := range changes {
		c[k] = v
		if v == nil {
			delete(c, k)
		}
	}
	return c
}

// enter calls AssumeRoleWithWebIdentity.
func (t *target) enter(tb testing.TB, role, token string) (int, string) {
	tb.Helper()
	form := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {role}, "RoleSessionName": {"session"}, "WebIdentityToken": {token}}.Encode()
	answer := t.send(tb, false, fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: sts.us-east-1.amazonaws.com\r\nConnection: close\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form))
	return status(answer), answer
}

// TestForgedTokens tries to enter a role with tokens that prove nothing.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	p, aws := newIDP(t, nil)
	good := p.signed(t, goodHeader, p.claims(nil))
	parts := strings.Split(good, ".")
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stranger := &idp{Server: p.Server, key: other}
	header := func(changes object) object {
		h := object{"alg": "RS256", "typ": "JWT", "kid": "k"}
		for k, v := range changes {
			h[k] = v
		}
		return h
	}
	claims := func(name string, value any) string { return p.signed(t, goodHeader, p.claims(object{name: value})) }
	tokens := map[string]string{
		"empty": "", "a dot": ".", "two dots": "..", "three dots": "...",
		"no signature":                      parts[0] + "." + parts[1] + ".",
		"no dots":                           strings.Join(parts, ""),
		"a part more":                       good + ".x",
		"a line more":                       good + "\n",
		"padding":                           good + "=",
		"another signature":                 parts[0] + "." + parts[1] + "." + b64(make([]byte, 256)),
		"a short signature":                 parts[0] + "." + parts[1] + "." + b64([]byte{1}),
		"a long signature":                  parts[0] + "." + parts[1] + "." + b64(make([]byte, 10_000)),
		"other claims under the signature":  parts[0] + "." + encode(t, p.claims(object{"exp": epoch.Unix() + 60})) + "." + parts[2],
		"another key of the same name":      stranger.signed(t, goodHeader, p.claims(nil)),
		"a key that is not known":           stranger.signed(t, header(object{"kid": "other"}), p.claims(nil)),
		"alg none":                          encode(t, object{"alg": "none", "kid": "k"}) + "." + parts[1] + ".",
		"alg None":                          encode(t, object{"alg": "NoNe", "kid": "k"}) + "." + parts[1] + ".",
		"alg none with a signature":         encode(t, object{"alg": "none", "kid": "k"}) + "." + parts[1] + "." + parts[2],
		"no alg":                            p.signed(t, object{"kid": "k"}, p.claims(nil)),
		"alg as a list":                     p.signed(t, header(object{"alg": []string{"RS256"}}), p.claims(nil)),
		"HMAC with the public key's PEM":    p.hmac(t, "HS256", p.publicPEM(t)),
		"HMAC with the public key's DER":    p.hmac(t, "HS256", x509.MarshalPKCS1PublicKey(&p.key.PublicKey)),
		"HMAC with the modulus":             p.hmac(t, "HS256", p.key.N.Bytes()),
		"HMAC with nothing":                 p.hmac(t, "HS256", nil),
		"HMAC that says RS256":              p.hmac(t, "RS256", p.publicPEM(t)),
		"an RSA signature that says PSS":    p.signed(t, header(object{"alg": "PS256"}), p.claims(nil)),
		"an RSA signature that says ES256":  p.signed(t, header(object{"alg": "ES256"}), p.claims(nil)),
		"an ES256 signature of zeros":       encode(t, header(object{"alg": "ES256"})) + "." + parts[1] + "." + b64(make([]byte, 64)),
		"its own key in jwk":                stranger.signed(t, header(object{"jwk": stranger.jwk("k")}), p.claims(nil)),
		"its own key at jku":                stranger.signed(t, header(object{"jku": p.URL + "/evil"}), p.claims(nil)),
		"its own certificate at x5u":        stranger.signed(t, header(object{"x5u": p.URL + "/evil"}), p.claims(nil)),
		"its own certificate in x5c":        stranger.signed(t, header(object{"x5c": []string{"MIIB"}}), p.claims(nil)),
		"a kid that is a path":              stranger.signed(t, header(object{"kid": "../../../../dev/null"}), p.claims(nil)),
		"a kid that is a query":             stranger.signed(t, header(object{"kid": "' OR 1=1 --"}), p.claims(nil)),
		"a kid that is a number":            p.signed(t, header(object{"kid": 7}), p.claims(nil)),
		"a critical extension":              p.signed(t, header(object{"crit": []string{"b64"}, "b64": false}), p.claims(nil)),
		"two algs":                          p.signed(t, `{"alg":"RS256","alg":"none","kid":"k"}`, p.claims(nil)),
		"two subjects":                      p.signed(t, goodHeader, fmt.Sprintf(`{"iss":%q,"sub":"you","sub":"me","aud":"sts.amazonaws.com","iat":%d,"exp":%d}`, p.URL, epoch.Unix(), epoch.Unix()+60)),
		"another subject":                   claims("sub", "you"),
		"the subject in capitals":           claims("sub", "ME"),
		"a subject with a wildcard":         claims("sub", "*"),
		"a subject that is a list":          claims("sub", []string{"me"}),
		"a subject with a NUL":              claims("sub", "me\x00"),
		"another audience":                  claims("aud", "sts.amazonaws.com.evil"),
		"no audience":                       claims("aud", nil),
		"an empty list of audiences":        claims("aud", []string{}),
		"an audience that is an object":     claims("aud", object{"sts.amazonaws.com": true}),
		"two audiences without azp":         claims("aud", []string{"evil", "sts.amazonaws.com"}),
		"another authorized party":          claims("azp", "evil"),
		"an issuer that is not registered":  claims("iss", "https://example.com"),
		"the issuer over http":              claims("iss", strings.Replace(p.URL, "https:", "http:", 1)),
		"the issuer with a slash":           claims("iss", p.URL+"/"),
		"the issuer with a user":            claims("iss", strings.Replace(p.URL, "https://", "https://a@", 1)),
		"the issuer as a list":              claims("iss", []string{p.URL}),
		"the metadata service as issuer":    claims("iss", "http://169.254.169.254"),
		"no issuer":                         claims("iss", nil),
		"no expiry":                         claims("exp", nil),
		"an expiry in the past":             claims("exp", epoch.Unix()-1),
		"an expiry that is no number":       claims("exp", "never"),
		"an expiry of infinity":             p.signed(t, goodHeader, fmt.Sprintf(`{"iss":%q,"sub":"me","aud":"sts.amazonaws.com","iat":1,"exp":1e400}`, p.URL)),
		"an expiry past all numbers":        p.signed(t, goodHeader, fmt.Sprintf(`{"iss":%q,"sub":"me","aud":"sts.amazonaws.com","iat":1,"exp":99999999999999999999999}`, p.URL)),
		"an expiry below zero":              claims("exp", -1),
		"issued in the future":              claims("iat", epoch.Unix()+3600),
		"not valid yet":                     claims("nbf", epoch.Unix()+3600),
		"deep claims":                       p.signed(t, goodHeader, `{"a":`+strings.Repeat("[", 4000)+strings.Repeat("]", 4000)+`}`),
		"huge claims":                       p.signed(t, goodHeader, p.claims(object{"pad": strings.Repeat("x", 1<<20)})),
		"many claims":                       p.signed(t, goodHeader, `{`+strings.Repeat(`"a":1,`, 2000)+`"b":1}`),
		"claims that are a list":            p.signed(t, goodHeader, `[]`),
		"claims that are null":              p.signed(t, goodHeader, `null`),
		"claims that are not UTF-8":         p.signed(t, goodHeader, "{\"sub\":\"\xff\"}"),
		"a header that is null":             p.signed(t, `null`, p.claims(nil)),
		"tags that nobody may set":          claims("https://aws.amazon.com/tags", object{"principal_tags": object{"admin": []string{"yes"}}}),
		"a source identity nobody may set":  claims("https://aws.amazon.com/source_identity", "root"),
		"the cluster's own pods":            aws.podToken(t, orders, "other"),
		"another cluster's key":             aws.podToken(t, tooling, "ci"),
		"a token that is encrypted (JWE)":   encode(t, object{"alg": "RSA-OAEP", "enc": "A256GCM"}) + ".a.b.c.d",
		"a signature in JSON serialization": `{"payload":"` + parts[1] + `","signatures":[]}`,
	}
	aws.unchanged(t, func() {
		for name, token := range tokens {
			t.Run(name, func(t *testing.T) {
				if got, answer := aws.enter(t, p.role, token); got != http.StatusBadRequest && got != http.StatusForbidden {
					t.Errorf("status %d: %s", got, answer)
				}
			})
		}
		t.Run("the good one, for another role", func(t *testing.T) {
			for _, role := range []string{podRole, "arn:aws:iam::222222222222:role/nowhere", "arn:aws:iam::111111111111:role/mine", "arn:aws:iam::000000000000:role/mine", "mine", "arn:aws:iam::222222222222:user/mine", "arn:aws:sts::222222222222:assumed-role/mine/x", "*"} {
				if got, answer := aws.enter(t, role, good); got != http.StatusBadRequest && got != http.StatusForbidden {
					t.Errorf("%s: status %d: %s", role, got, answer)
				}
			}
		})
	})
	if got, answer := aws.enter(t, p.role, good); got != http.StatusOK || !strings.Contains(answer, "assumed-role/mine/session") {
		t.Errorf("control: the good token: status %d: %s", got, answer)
	}
	authorized := p.signed(t, goodHeader, p.claims(object{"aud": []string{"evil", "sts.amazonaws.com"}, "azp": "sts.amazonaws.com"}))
	if got, answer := aws.enter(t, p.role, authorized); got != http.StatusOK {
		t.Errorf("control: two audiences with the right azp: status %d: %s", got, answer)
	}
}

func (p *idp) publicPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&p.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func (p *idp) hmac(t *testing.T, alg string, key []byte) string {
	t.Helper()
	text := encode(t, object{"alg": alg, "kid": "k"}) + "." + encode(t, p.claims(nil))
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return text + "." + b64(h.Sum(nil))
}

func (t *target) podToken(tb testing.TB, account arn.AccountID, cluster string) string {
	tb.Helper()
	token, ok, err := t.ServiceAccountToken(account, cluster, oidc.TokenRequest{Namespace: "payroll", ServiceAccount: "api", Audiences: []string{"sts.amazonaws.com"}, Lifetime: time.Hour})
	if err != nil || !ok {
		tb.Fatal(ok, err)
	}
	return token
}

// TestIssuersThatMisbehave serves keys as nobody should. Each answer is bounded
// in time and size, and no other host is asked.
func TestIssuersThatMisbehave(t *testing.T) {
	t.Parallel()
	canary, asked := newCanary(t)
	slow := make(chan struct{})
	t.Cleanup(func() { close(slow) })
	endless := func(w http.ResponseWriter, r *http.Request) bool {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				break
			}
		}
		return true
	}
	at := func(path string, serve func(w http.ResponseWriter, r *http.Request)) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == path {
				serve(w, r)
			}
			return r.URL.Path == path
		}
	}
	const discovery, keys = "/.well-known/openid-configuration", "/keys"
	redirect := func(path, to string) func(http.ResponseWriter, *http.Request) bool {
		return at(path, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) })
	}
	keysAt := func(address string) func(http.ResponseWriter, *http.Request) bool {
		return at(discovery, func(w http.ResponseWriter, r *http.Request) {
			writeJSON(w, object{"issuer": "https://" + r.Host, "jwks_uri": address})
		})
	}
	text := func(path, body string) func(http.ResponseWriter, *http.Request) bool {
		return at(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
	}
	for name, serve := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"an endless answer":               endless,
		"never an answer":                 func(_ http.ResponseWriter, r *http.Request) bool { await(r.Context(), slow); return true },
		"a redirect to another host":      redirect(discovery, canary),
		"a redirect of keys elsewhere":    redirect(keys, canary),
		"a redirect to the metadata":      redirect(keys, "http://169.254.169.254/latest/meta-data/"),
		"a redirect to itself":            redirect(keys, keys),
		"keys at another host":            keysAt("https://keys.example.invalid/keys"),
		"keys at the metadata address":    keysAt("http://169.254.169.254/latest/meta-data/"),
		"keys at the metadata over IPv6":  keysAt("https://[fd00:ec2::254]/"),
		"keys in a private network":       keysAt("https://10.0.0.1/"),
		"keys in a file":                  keysAt("file:///etc/passwd"),
		"keys in data":                    keysAt("data:application/json,{}"),
		"keys nowhere":                    keysAt(""),
		"no JSON":                         text(keys, "<html>"),
		"keys that are null":              text(keys, `{"keys":null}`),
		"deep JSON":                       text(keys, strings.Repeat(`{"keys":[`, 3000)),
		"a key of a bit":                  text(keys, `{"keys":[{"kty":"RSA","kid":"k","n":"AQ","e":"AQ"}]}`),
		"a key whose exponent is one":     text(keys, `{"keys":[{"kty":"RSA","kid":"k","n":"`+b64(make([]byte, 256))+`","e":"AQ"}]}`),
		"a point that is not on the line": text(keys, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"`+b64(make([]byte, 32))+`","y":"`+b64(make([]byte, 32))+`"}]}`),
		"a symmetric key":                 text(keys, `{"keys":[{"kty":"oct","kid":"k","k":"AQ"}]}`),
		"too many keys":                   text(keys, `{"keys":[`+strings.Repeat(`{"kty":"RSA"},`, 101)+`{}]}`),
		"an error":                        at(discovery, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }),
		"another issuer in the document": at(discovery, func(w http.ResponseWriter, r *http.Request) {
			writeJSON(w, object{"issuer": "https://example.com", "jwks_uri": "https://" + r.Host + keys})
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, aws := newIDP(t, serve)
			token := p.signed(t, goodHeader, p.claims(nil))
			aws.unchanged(t, func() {
				got, answer := aws.enter(t, p.role, token)
				if got != http.StatusBadRequest || !strings.Contains(answer, "retrieve verification key from your identity provider") {
					t.Errorf("status %d: %s", got, answer)
				}
			})
			before := p.asked.Load()
			for range 20 {
				aws.enter(t, p.role, token)
			}
			if again := p.asked.Load() - before; again > 0 {
				t.Errorf("twenty more tokens made it ask %d times again", again)
			}
		})
	}
	t.Cleanup(func() {
		if n := asked.Load(); n > 0 {
			t.Errorf("another host was asked %d times", n)
		}
	})
}

// await blocks until the client is gone or the test ends.
func await(ctx context.Context, end <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-end:
	}
}

// newCanary is a server that nobody should ask.
func newCanary(t *testing.T) (string, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			asked.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, &asked
}

// TestIssuerHostsAreGuarded registers providers at addresses that a server must
// not be talked into asking, with the fetcher that users have.
func TestIssuerHostsAreGuarded(t *testing.T) {
	t.Parallel()
	aws := newTarget(t, nil)
	c := iam.NewFromConfig(aws.admin(orders))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, issuer := range []string{"https://169.254.169.254", "https://10.0.0.1", "https://192.168.1.1/x", "https://[fe80::1]", "https://[::ffff:169.254.169.254]", "https://0.0.0.0", "https://[fd00:ec2::254]", "https://100.64.0.1",
		"https://192.0.2.1", "https://example.com", "https://localhost.example.com", "https://127.0.0.1.example.com"} {
		t.Run(issuer, func(t *testing.T) {
			if _, err := c.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{Url: &issuer, ClientIDList: []string{"sts.amazonaws.com"}}); err != nil {
				t.Logf("not even registered: %v", err)
				return
			}
			text := encode(t, object{"alg": "ES256", "kid": "k"}) + "." + encode(t, object{"iss": issuer, "sub": "me", "aud": "sts.amazonaws.com", "iat": epoch.Unix(), "exp": epoch.Unix() + 600})
			sum := sha256.Sum256([]byte(text))
			r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
			if err != nil {
				t.Fatal(err)
			}
			signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
			start := time.Now()
			got, answer := aws.enter(t, podRole, text+"."+b64(signature))
			if got != http.StatusBadRequest || !strings.Contains(answer, "InvalidIdentityToken") {
				t.Errorf("status %d: %s", got, answer)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %v: did it try to connect?", took)
			}
		})
	}
}
