package oidc

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/keys" // where EKS has it

	keyBits         = 2048
	defaultLifetime = time.Hour
	// maxKeys bounds a rotating issuer: the signing key and older ones whose
	// tokens may still be in use.
	maxKeys = 8
)

// Issuer is a cluster's service-account token issuer, as EKS runs one for
// every cluster at https://oidc.eks.REGION.amazonaws.com/id/HEX. Make one with
// [NewIssuer], or read one back with UnmarshalJSON. Safe for concurrent use.
//
// It prints as its URL. Its JSON form holds the private keys: it is for a
// state file of mode 0600 and for nothing else.
type Issuer struct {
	url string

	mu   sync.RWMutex // guards keys
	keys []signingKey // newest first; the first one signs
}

type signingKey struct {
	id  string
	key *rsa.PrivateKey
}

// IssuerConfig holds what is rarely set.
type IssuerConfig struct {
	// Key signs tokens. Nil: a new RSA key of 2048 bits, which takes about a
	// tenth of a second.
	Key *rsa.PrivateKey
}

// NewIssuer makes the issuer of the given URL, which has no query, fragment
// or trailing slash.
func NewIssuer(address string, cfg IssuerConfig) (*Issuer, error) {
	if err := checkIssuerURL(address); err != nil {
		return nil, err
	}
	i := &Issuer{url: address}
	if cfg.Key == nil {
		return i, i.Rotate()
	}
	if cfg.Key.N.BitLen() < minRSABits {
		return nil, fmt.Errorf("making issuer %s: an RSA key of less than %d bits", address, minRSABits)
	}
	return i, i.add(cfg.Key)
}

func checkIssuerURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(address, "/") {
		return fmt.Errorf("checking issuer URL %q: want https://HOST/PATH", clip(address))
	}
	return nil
}

// URL is the issuer's identifier: the iss of its tokens.
func (i *Issuer) URL() string { return i.url }

// String is the URL.
func (i *Issuer) String() string { return i.url }

// GoString is String for the %#v verb.
func (i *Issuer) GoString() string { return "oidc.Issuer(" + i.url + ")" }

// LogValue keeps the keys out of structured logs.
func (i *Issuer) LogValue() slog.Value { return slog.StringValue(i.url) }

// Rotate makes a new signing key. Older keys stay in the key set, so that
// tokens signed by them keep working, until Retire or until there are eight.
func (i *Issuer) Rotate() error {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fmt.Errorf("generating key of issuer %s: %w", i.url, err)
	}
	return i.add(key)
}

// Retire drops every key but the one that signs now: tokens signed by the
// others are forged from then on.
func (i *Issuer) Retire() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[:min(1, len(i.keys))]
}

func (i *Issuer) add(key *rsa.PrivateKey) error {
	id, err := keyIDOf(&key.PublicKey)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	keys := append([]signingKey{{id, key}}, i.keys...)
	i.keys = keys[:min(len(keys), maxKeys)]
	return nil
}

// keyIDOf is Kubernetes' rule: the hash of the public key in DER.
func keyIDOf(pub *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("encoding public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// TokenRequest asks for a service-account token.
type TokenRequest struct {
	// Namespace and ServiceAccount are required.
	Namespace, ServiceAccount string
	// UID of the service account. Default: derived from issuer and names, the
	// same every time.
	UID string
	// Pod and PodUID bind the token to a pod. Default: not bound; PodUID is
	// derived when only Pod is given.
	Pod, PodUID string
	// Audiences is required, as a token for everybody is nobody's wish here.
	Audiences []string
	// IssuedAt is when the token was made; it may be in the past or future.
	// Default: now.
	IssuedAt time.Time
	// Lifetime is from IssuedAt on, whole seconds. Default: an hour.
	Lifetime time.Duration
}

// Token makes a signed token with the claims that Kubernetes gives a
// projected service-account token.
func (i *Issuer) Token(req TokenRequest) (string, error) {
	if req.Namespace == "" || req.ServiceAccount == "" {
		return "", errors.New("making service-account token: namespace and name are required")
	}
	if len(req.Audiences) == 0 {
		return "", fmt.Errorf("making token of %s/%s: no audience", req.Namespace, req.ServiceAccount)
	}
	if req.Lifetime < 0 {
		return "", fmt.Errorf("making token of %s/%s: negative lifetime", req.Namespace, req.ServiceAccount)
	}
	claims, err := i.claims(req)
	if err != nil {
		return "", err
	}
	return i.sign(claims)
}

type tokenClaims struct {
	Audience   []string         `json:"aud"`
	Expires    int64            `json:"exp"`
	IssuedAt   int64            `json:"iat"`
	Issuer     string           `json:"iss"`
	ID         string           `json:"jti"`
	Kubernetes kubernetesClaims `json:"kubernetes.io"`
	NotBefore  int64            `json:"nbf"`
	Subject    string           `json:"sub"`
}

type kubernetesClaims struct {
	Namespace      string     `json:"namespace"`
	Pod            *reference `json:"pod,omitempty"`
	ServiceAccount reference  `json:"serviceaccount"`
}

type reference struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

func (i *Issuer) claims(req TokenRequest) (tokenClaims, error) {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return tokenClaims{}, fmt.Errorf("making token id: %w", err)
	}
	issued := req.IssuedAt
	if issued.IsZero() {
		issued = time.Now()
	}
	expires := issued.Add(cmp.Or(req.Lifetime, defaultLifetime))
	c := tokenClaims{
		Audience: req.Audiences, Issuer: i.url, ID: uuid(random, 4),
		IssuedAt: issued.Unix(), NotBefore: issued.Unix(), Expires: expires.Unix(),
		Subject: "system:serviceaccount:" + req.Namespace + ":" + req.ServiceAccount,
	}
	c.Kubernetes.Namespace = req.Namespace
	c.Kubernetes.ServiceAccount = reference{req.ServiceAccount,
		cmp.Or(req.UID, i.stableUID("serviceaccount", req.Namespace, req.ServiceAccount))}
	if req.Pod != "" {
		c.Kubernetes.Pod = &reference{req.Pod, cmp.Or(req.PodUID, i.stableUID("pod", req.Namespace, req.Pod))}
	}
	return c, nil
}

func (i *Issuer) stableUID(parts ...string) string {
	sum := sha256.Sum256([]byte(i.url + "\x00" + strings.Join(parts, "\x00")))
	return uuid([16]byte(sum[:16]), 8)
}

// uuid prints 16 bytes as a UUID of the given version (RFC 9562).
func uuid(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// sign makes the compact JWS of claims with the newest key.
func (i *Issuer) sign(claims any) (string, error) {
	i.mu.RLock()
	if len(i.keys) == 0 {
		i.mu.RUnlock()
		return "", errors.New("signing token: the issuer has no key; make it with NewIssuer")
	}
	k := i.keys[0]
	i.mu.RUnlock()
	header, err := json.Marshal(struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
	}{"RS256", k.id})
	if err != nil {
		return "", fmt.Errorf("encoding token header: %w", err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding token claims: %w", err)
	}
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(body)
	digest := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, k.key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// JWKS is the key set as JSON: public keys only, newest first.
func (i *Issuer) JWKS() []byte {
	type key struct {
		Use string `json:"use"`
		Kty string `json:"kty"`
		Kid string `json:"kid"`
		Alg string `json:"alg"`
		N   string `json:"n"`
		E   string `json:"e"`
	}
	set := struct {
		Keys []key `json:"keys"`
	}{Keys: []key{}}
	i.mu.RLock()
	defer i.mu.RUnlock()
	for _, k := range i.keys {
		set.Keys = append(set.Keys, key{"sig", "RSA", k.id, "RS256",
			base64.RawURLEncoding.EncodeToString(k.key.N.Bytes()), base64.RawURLEncoding.EncodeToString(exponent(k.key.E))})
	}
	return mustJSON(set)
}

func exponent(e int) []byte {
	return new(big.Int).SetBytes(binary.BigEndian.AppendUint64(nil, uint64(e))).Bytes()
}

// Discovery is the discovery document as JSON, with the members EKS gives.
func (i *Issuer) Discovery() []byte {
	return mustJSON(struct {
		Issuer   string   `json:"issuer"`
		JWKSURI  string   `json:"jwks_uri"`
		AuthZ    string   `json:"authorization_endpoint"`
		Response []string `json:"response_types_supported"`
		Subject  []string `json:"subject_types_supported"`
		Claims   []string `json:"claims_supported"`
		Alg      []string `json:"id_token_signing_alg_values_supported"`
	}{i.url, i.url + keysPath, "urn:kubernetes:programmatic_authorization",
		[]string{"id_token"}, []string{"public"}, []string{"sub", "iss"}, []string{"RS256"}})
}

// mustJSON encodes values of this package that hold only strings.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("oidc: encoding a document of strings: " + err.Error())
	}
	return b
}

// ServeHTTP answers for the discovery document and the keys under any base
// path: the caller has chosen the issuer by host or path already.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body []byte
	switch {
	case strings.HasSuffix(r.URL.Path, discoveryPath):
		body = i.Discovery()
	case strings.HasSuffix(r.URL.Path, keysPath):
		body = i.JWKS()
	default:
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(body) // the client is gone if this fails
}

// issuerState is the form in a state file.
type issuerState struct {
	URL  string   `json:"url"`
	Keys []string `json:"keys"` // PKCS #8 PEM, newest first
}

// MarshalJSON gives the state with the private keys.
func (i *Issuer) MarshalJSON() ([]byte, error) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	s := issuerState{URL: i.url}
	for _, k := range i.keys {
		der, err := x509.MarshalPKCS8PrivateKey(k.key)
		if err != nil {
			return nil, fmt.Errorf("encoding key of issuer %s: %w", i.url, err)
		}
		s.Keys = append(s.Keys, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	}
	return json.Marshal(s)
}

// UnmarshalJSON reads what MarshalJSON wrote into an issuer that nobody uses
// yet.
func (i *Issuer) UnmarshalJSON(data []byte) error {
	var s issuerState
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("parsing issuer state: %w", err)
	}
	if err := checkIssuerURL(s.URL); err != nil {
		return err
	}
	if len(s.Keys) == 0 || len(s.Keys) > maxKeys {
		return fmt.Errorf("parsing state of issuer %s: want 1 to %d keys, got %d", s.URL, maxKeys, len(s.Keys))
	}
	var keys []signingKey
	for _, text := range s.Keys {
		k, err := parseKey(text)
		if err != nil {
			return fmt.Errorf("parsing state of issuer %s: %w", s.URL, err)
		}
		keys = append(keys, k)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.url, i.keys = s.URL, keys
	return nil
}

func parseKey(text string) (signingKey, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(strings.TrimSpace(string(rest))) != 0 {
		return signingKey{}, errors.New("a key is not one PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		// Not wrapped: an error about a key must not quote the key.
		return signingKey{}, errors.New("a key is not PKCS #8")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok || key.N.BitLen() < minRSABits {
		return signingKey{}, fmt.Errorf("a key is not RSA of at least %d bits", minRSABits)
	}
	id, err := keyIDOf(&key.PublicKey)
	return signingKey{id, key}, err
}
