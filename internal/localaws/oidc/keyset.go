package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256
	_ "crypto/sha512" // for crypto.SHA384 and SHA512
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// algorithm is one of the signature algorithms STS takes.
type algorithm struct {
	hash  crypto.Hash
	curve string // "" for RSA
	size  int    // bytes of each half of an ECDSA signature
}

// algorithmOf is the allow-list: the algorithms that IAM's documentation of
// OIDC providers names. RSA is PKCS #1 v1.5 only.
func algorithmOf(name string) (algorithm, bool) {
	switch name {
	case "RS256":
		return algorithm{hash: crypto.SHA256}, true
	case "RS384":
		return algorithm{hash: crypto.SHA384}, true
	case "RS512":
		return algorithm{hash: crypto.SHA512}, true
	case "ES256":
		return algorithm{crypto.SHA256, "P-256", 32}, true
	case "ES384":
		return algorithm{crypto.SHA384, "P-384", 48}, true
	case "ES512":
		return algorithm{crypto.SHA512, "P-521", 66}, true
	}
	return algorithm{}, false
}

// Bounds on a key set. STS refuses one of more than 100 keys of a type.
const (
	maxKeysOfType = 100
	minRSABits    = 2048
	maxRSABits    = 8192
)

// publicKey is a usable key of an issuer.
type publicKey struct {
	kid string
	rsa *rsa.PublicKey
	ec  *ecdsa.PublicKey
}

func (k publicKey) fits(a algorithm) bool {
	if a.curve == "" {
		return k.rsa != nil
	}
	return k.ec != nil && k.ec.Curve.Params().Name == a.curve
}

// keySet is what an issuer publishes, unusable keys left out.
type keySet []publicKey

// jwk is the part of a JSON Web Key that we read. x5c, x5t and x5u are not.
type jwk struct {
	Kty    string          `json:"kty"`
	Kid    string          `json:"kid"`
	Use    string          `json:"use"`
	KeyOps json.RawMessage `json:"key_ops"`
	N      string          `json:"n"`
	E      string          `json:"e"`
	Crv    string          `json:"crv"`
	X      string          `json:"x"`
	Y      string          `json:"y"`
}

// parseKeySet reads a JWKS. Keys that cannot be used for signatures are
// skipped, as AWS skips them: no key id, use other than sig, key_ops, another
// type or size.
func parseKeySet(data []byte) (keySet, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("parsing key set: %w", err)
	}
	if doc.Keys == nil {
		return nil, errors.New("parsing key set: no member \"keys\"")
	}
	var set keySet
	count := map[string]int{}
	for _, raw := range doc.Keys {
		var k jwk
		if json.Unmarshal(raw, &k) != nil {
			continue
		}
		count[k.Kty]++
		pub, ok := k.public()
		if !ok {
			continue
		}
		set = set.with(pub)
	}
	if count["RSA"] > maxKeysOfType || count["EC"] > maxKeysOfType {
		return nil, fmt.Errorf("parsing key set: more than %d keys of one type", maxKeysOfType)
	}
	return set, nil
}

// with adds a key; one of the same id replaces it, as on AWS.
func (s keySet) with(k publicKey) keySet {
	for i := range s {
		if s[i].kid == k.kid {
			s[i] = k
			return s
		}
	}
	return append(s, k)
}

// find picks the key for a token. A token without a key id fits only an
// issuer that has a single key.
func (s keySet) find(kid string, a algorithm) (publicKey, bool) {
	if kid == "" && len(s) == 1 {
		return s[0], s[0].fits(a)
	}
	for _, k := range s {
		if kid != "" && k.kid == kid {
			return k, k.fits(a)
		}
	}
	return publicKey{}, false
}

func (k jwk) public() (publicKey, bool) {
	if k.Kid == "" || k.Use != "" && k.Use != "sig" || len(k.KeyOps) > 0 {
		return publicKey{}, false
	}
	switch k.Kty {
	case "RSA":
		pub, ok := k.rsaKey()
		return publicKey{kid: k.Kid, rsa: pub}, ok
	case "EC":
		pub, ok := k.ecKey()
		return publicKey{kid: k.Kid, ec: pub}, ok
	}
	return publicKey{}, false
}

func (k jwk) rsaKey() (*rsa.PublicKey, bool) {
	n, ok1 := number(k.N)
	e, ok2 := number(k.E)
	if !ok1 || !ok2 || n.BitLen() < minRSABits || n.BitLen() > maxRSABits || e.BitLen() > 31 {
		return nil, false
	}
	exp := int(e.Int64())
	if exp < 3 || exp%2 == 0 {
		return nil, false
	}
	return &rsa.PublicKey{N: n, E: exp}, true
}

func (k jwk) ecKey() (*ecdsa.PublicKey, bool) {
	var curve elliptic.Curve
	switch k.Crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, false
	}
	x, err1 := base64.RawURLEncoding.DecodeString(k.X)
	y, err2 := base64.RawURLEncoding.DecodeString(k.Y)
	size := (curve.Params().BitSize + 7) / 8
	if err1 != nil || err2 != nil || len(x) != size || len(y) != size {
		return nil, false
	}
	point := append(append([]byte{4}, x...), y...)
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	return pub, err == nil
}

func number(s string) (*big.Int, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) == 0 || len(b) > 2*maxRSABits/8 {
		return nil, false
	}
	return new(big.Int).SetBytes(b), true
}

// verify checks a signature over data.
func (k publicKey) verify(a algorithm, data, signature []byte) bool {
	h := a.hash.New()
	h.Write(data)
	digest := h.Sum(nil)
	switch {
	case !k.fits(a):
		return false
	case a.curve == "":
		return rsa.VerifyPKCS1v15(k.rsa, a.hash, digest, signature) == nil
	case len(signature) != 2*a.size:
		return false
	}
	r := new(big.Int).SetBytes(signature[:a.size])
	s := new(big.Int).SetBytes(signature[a.size:])
	return ecdsa.Verify(k.ec, digest, r, s)
}
