package signin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"time"
)

// A proof is good for proofAge to either side of our clock: RFC 9449, section
// 11.1, wants "seconds or minutes".
const proofAge = 5 * time.Minute

// maxProof bounds a proof and its id.
const (
	maxProof = 8 << 10
	maxID    = 256
)

// proof is a DPoP proof whose signature is right.
type proof struct {
	thumbprint string // of its key (RFC 7638)
	id         string
	at         time.Time
}

// readProof checks a proof for a POST to address (RFC 9449, section 4.3); its age
// and that it is new are for the caller to see.
func readProof(text, address string) (*proof, error) {
	parts := strings.Split(text, ".")
	if len(text) > maxProof || len(parts) != 3 {
		return nil, errors.New("the DPoP header must hold one signed JWT")
	}
	var head struct {
		Type      string `json:"typ"`
		Algorithm string `json:"alg"`
		Key       struct {
			Type    string  `json:"kty"`
			Curve   string  `json:"crv"`
			X       string  `json:"x"`
			Y       string  `json:"y"`
			Private *string `json:"d"`
		} `json:"jwk"`
	}
	if err := decodePart(parts[0], &head); err != nil {
		return nil, err
	}
	switch {
	case head.Type != "dpop+jwt" || head.Algorithm != "ES256":
		return nil, errors.New("the DPoP proof must be a dpop+jwt by ES256")
	case head.Key.Type != "EC" || head.Key.Curve != "P-256" || head.Key.Private != nil:
		return nil, errors.New("the DPoP proof must have a public key on P-256")
	}
	point, err := pointOf(head.Key.X, head.Key.Y)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, errors.New("the key of the DPoP proof is on no curve")
	}
	if !signed(key, parts) {
		return nil, errors.New("the DPoP proof is not signed by its key")
	}
	var body struct {
		ID     string `json:"jti"`
		Method string `json:"htm"`
		URL    string `json:"htu"`
		At     int64  `json:"iat"`
	}
	if err := decodePart(parts[1], &body); err != nil {
		return nil, err
	}
	switch {
	case body.ID == "" || len(body.ID) > maxID || body.At == 0:
		return nil, errors.New("the DPoP proof lacks jti or iat")
	case body.Method != "POST" || !sameURL(body.URL, address):
		return nil, errors.New("the DPoP proof is for another request")
	}
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + encode(point[1:1+coordinate]) + `","y":"` + encode(point[1+coordinate:]) + `"}`))
	return &proof{thumbprint: encode(sum[:]), id: body.ID, at: time.Unix(body.At, 0)}, nil
}

func decodePart(text string, v any) error {
	plain, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(plain, v) != nil {
		return errors.New("the DPoP proof cannot be read")
	}
	return nil
}

const coordinate = 32 // bytes, on P-256

// pointOf is a key's point, uncompressed.
func pointOf(x, y string) ([]byte, error) {
	point := []byte{4}
	for _, text := range []string{x, y} {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(b) > coordinate {
			return nil, errors.New("the key of the DPoP proof cannot be read")
		}
		point = append(point, make([]byte, coordinate-len(b))...) // the Go SDK leaves zeros out (RFC 7518 wants them)
		point = append(point, b...)
	}
	return point, nil
}

// signed checks a signature in the form of RFC 7518, section 3.4.
func signed(key *ecdsa.PublicKey, parts []string) bool {
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 2*coordinate {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:coordinate]), new(big.Int).SetBytes(signature[coordinate:])
	return ecdsa.Verify(key, sum[:], r, s)
}

// sameURL compares as RFC 9449 has it: without query and fragment, scheme and
// host in any case.
func sameURL(a, b string) bool {
	one, err := url.Parse(a)
	other, err2 := url.Parse(b)
	return err == nil && err2 == nil && strings.EqualFold(one.Scheme, other.Scheme) && strings.EqualFold(one.Host, other.Host) && one.Path == other.Path
}
