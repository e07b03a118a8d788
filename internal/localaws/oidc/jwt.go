package oidc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxToken is the longest WebIdentityToken: 20,000 characters
	// (AssumeRoleWithWebIdentity, request parameters).
	maxToken = 20_000
	// maxDepth bounds nesting of objects and arrays in header and claims.
	maxDepth = 32
)

// object is a JSON object whose members are unique. Names are matched exactly,
// which encoding/json does not do for structs.
type object map[string]json.RawMessage

// jwt is a token taken apart. Nothing in it is to be believed.
type jwt struct {
	alg, kid  string
	claims    object
	signed    []byte // what the signature covers: the first two parts as sent
	signature []byte
}

// parseJWT takes a compact JWS apart and checks its form.
func parseJWT(token string) (*jwt, *Failure) {
	if len(token) > maxToken {
		return nil, fail(NotAJWT, "The ID Token provided is longer than 20,000 characters.")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, notAJWT()
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(p); err != nil || strings.ContainsAny(p, "\r\n") {
			return nil, notAJWT()
		}
	}
	header, err := parseObject(raw[0])
	if err != nil {
		return nil, jsonFailure(err)
	}
	claims, err := parseObject(raw[1])
	if err != nil {
		return nil, jsonFailure(err)
	}
	t := &jwt{claims: claims, signature: raw[2], signed: []byte(token[:len(parts[0])+1+len(parts[1])])}
	return t, t.setHeader(header)
}

// setHeader reads the few header members that count. Keys or addresses of
// keys in the header (jwk, jku, x5c, x5u) are never used; a critical
// extension is one we do not know.
func (t *jwt) setHeader(header object) *Failure {
	if _, crit := header["crit"]; crit {
		return fail(Malformed, "The token's header has critical extensions.")
	}
	alg, ok := header.text("alg")
	if !ok || alg == "" {
		return fail(Malformed, "The token's header has no algorithm.")
	}
	if _, known := algorithmOf(alg); !known {
		return fail(Malformed, "The token's signing algorithm is not supported.")
	}
	t.alg = alg
	if _, present := header["kid"]; present {
		if t.kid, ok = header.text("kid"); !ok {
			return fail(Malformed, "The token's key id is not a string.")
		}
	}
	return nil
}

func notAJWT() *Failure {
	return fail(NotAJWT, "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
}

// jsonFailure tells text that is no JSON object from an object we refuse.
func jsonFailure(err error) *Failure {
	if errors.Is(err, errRefused) {
		return fail(Malformed, "The token's JSON is refused: "+err.Error())
	}
	return notAJWT()
}

// errRefused marks valid JSON that breaks a rule of ours.
var errRefused = errors.New("members must be unique and nesting shallow")

// parseObject reads a JSON object in which, at every level, no member comes
// twice, nesting is bounded and strings are valid UTF-8.
func parseObject(data []byte) (object, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("decoding JSON: not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	first, err := dec.Token()
	if err != nil {
		return nil, err
	}
	if first != json.Delim('{') {
		return nil, errors.New("decoding JSON: not an object")
	}
	if err := checkValue(dec, first, 1); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decoding JSON: text after the object")
	}
	var o object
	return o, json.Unmarshal(data, &o)
}

// checkValue reads the rest of a value that begins with tok.
func checkValue(dec *json.Decoder, tok json.Token, depth int) error {
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	if depth > maxDepth {
		return errRefused
	}
	seen := map[string]bool{}
	for dec.More() {
		next, err := dec.Token()
		if err != nil {
			return err
		}
		if delim == '{' {
			name, _ := next.(string)
			if seen[name] {
				return errRefused
			}
			seen[name] = true
			if next, err = dec.Token(); err != nil {
				return err
			}
		}
		if err := checkValue(dec, next, depth+1); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// text reads a string member.
func (o object) text(name string) (string, bool) {
	raw, ok := o[name]
	if !ok || len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	return s, json.Unmarshal(raw, &s) == nil
}

// texts reads a member that is a string or an array of strings.
func (o object) texts(name string) ([]string, bool) {
	if s, ok := o.text(name); ok {
		return []string{s}, true
	}
	raw := o[name]
	if len(raw) == 0 || raw[0] != '[' {
		return nil, false
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return nil, false
	}
	out := make([]string, len(items))
	for i, item := range items {
		var ok bool
		if out[i], ok = (object{"": item}).text(""); !ok {
			return nil, false
		}
	}
	return out, true
}

// seconds reads a time: whole seconds as a number or, as AWS takes too, as a
// string of digits. Fractions are refused.
func (o object) seconds(name string) (time.Time, bool) {
	s, ok := o.text(name)
	if !ok {
		s = string(o[name])
	}
	n, err := strconv.ParseInt(s, 10, 64)
	// The bound keeps arithmetic on the time from overflowing.
	if err != nil || n < 0 || n > math.MaxInt32*100 {
		return time.Time{}, false
	}
	return time.Unix(n, 0).UTC(), true
}

// PeekIssuer reads the issuer of a token without verifying anything, for
// choosing the provider to verify with.
func PeekIssuer(token string) (string, *Failure) {
	t, f := parseJWT(token)
	if f != nil {
		return "", f
	}
	iss, ok := t.claims.text("iss")
	if !ok || iss == "" {
		return "", missing("iss")
	}
	return iss, nil
}

func missing(claim string) *Failure {
	return fail(Malformed, "Missing a required claim: "+claim)
}

// Claims is what a verified token says.
type Claims struct {
	Issuer string
	// Subject is sub; a number is given in its decimal form, as AWS does.
	Subject string
	// Audiences is aud, one or several.
	Audiences []string
	// Authorized is azp, "" if absent.
	Authorized string
	// AMR is amr, the authentication methods, a string taken as a list of one.
	AMR []string
	// NotBefore is zero if the token has no nbf.
	Expires, IssuedAt, NotBefore time.Time
	// Raw is every claim as encoding/json decodes it, numbers as json.Number.
	// The caller owns it.
	Raw map[string]any
}

// Audience is what AWS uses as the audience, in the response and for the
// condition key ISSUER:aud: azp if there is one, else the only audience.
func (c *Claims) Audience() string {
	if c.Authorized != "" {
		return c.Authorized
	}
	if len(c.Audiences) > 0 {
		return c.Audiences[0]
	}
	return ""
}

// readClaims turns the members into Claims and holds them to the rules of
// their types; it compares nothing.
func (t *jwt) readClaims() (*Claims, *Failure) {
	for _, name := range []string{"iss", "sub", "aud", "iat", "exp"} {
		if _, ok := t.claims[name]; !ok {
			return nil, missing(name)
		}
	}
	c := &Claims{}
	var okIss, okSub, okAud, okExp, okIat bool
	c.Issuer, okIss = t.claims.text("iss")
	c.Subject, okSub = t.claims.subject()
	c.Audiences, okAud = t.claims.texts("aud")
	c.Expires, okExp = t.claims.seconds("exp")
	c.IssuedAt, okIat = t.claims.seconds("iat")
	okNbf, okAzp := true, true
	if _, ok := t.claims["nbf"]; ok {
		c.NotBefore, okNbf = t.claims.seconds("nbf")
	}
	if _, ok := t.claims["azp"]; ok {
		c.Authorized, okAzp = t.claims.text("azp")
		okAzp = okAzp && c.Authorized != ""
	}
	for name, ok := range map[string]bool{"iss": okIss, "sub": okSub, "aud": okAud && len(c.Audiences) > 0,
		"exp": okExp, "iat": okIat, "nbf": okNbf, "azp": okAzp} {
		if !ok {
			return nil, fail(Malformed, fmt.Sprintf("The claim %s is not of the form it must have.", name))
		}
	}
	c.AMR, _ = t.claims.texts("amr")
	c.Raw = t.claims.decode()
	return c, nil
}

// subject reads sub; AWS takes a number for its text.
func (o object) subject() (string, bool) {
	if s, ok := o.text("sub"); ok {
		return s, true
	}
	var n json.Number
	if json.Unmarshal(o["sub"], &n) != nil || n == "" {
		return "", false
	}
	return n.String(), true
}

func (o object) decode() map[string]any {
	out := make(map[string]any, len(o))
	for name, raw := range o {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var v any
		// Cannot fail: parseObject has read the same text.
		if dec.Decode(&v) == nil {
			out[name] = v
		}
	}
	return out
}
