package signin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// coordinate is how many bytes one has on P-256.
const coordinate = 32

// newKey makes the key that a sign-in's tokens are bound to.
func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

const keyType = "EC PRIVATE KEY" // SEC 1, as the AWS CLI writes it

func writeKey(key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: der})), nil
}

func readKey(text string) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the sign-in's key is not PEM")
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil || key.Curve != elliptic.P256() {
		return nil, errors.New("the sign-in's key is none on P-256")
	}
	return key, nil
}

// proof is a DPoP proof for a POST (RFC 9449, section 4.2).
func proof(key *ecdsa.PrivateKey, to string, now time.Time) (string, error) {
	public, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return "", fmt.Errorf("proving the sign-in's key: %w", err)
	}
	head, err := part(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": map[string]string{
		"kty": "EC", "crv": "P-256", "x": encode(public[1 : 1+coordinate]), "y": encode(public[1+coordinate:]),
	}})
	if err != nil {
		return "", err
	}
	claims, err := part(map[string]any{"jti": rand.Text(), "htm": http.MethodPost, "htu": to, "iat": now.Unix()})
	if err != nil {
		return "", err
	}
	text := head + "." + claims
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return "", fmt.Errorf("proving the sign-in's key: %w", err)
	}
	signature := make([]byte, 2*coordinate) // RFC 7518, section 3.4
	r.FillBytes(signature[:coordinate])
	s.FillBytes(signature[coordinate:])
	return text + "." + encode(signature), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func part(v any) (string, error) {
	text, err := json.Marshal(v)
	return encode(text), err
}

// proving sends a proof with each attempt of a call: one is good once.
func proving(key *ecdsa.PrivateKey) func(*signin.Options) {
	add := middleware.FinalizeMiddlewareFunc("stileDPoP", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		req, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("proving the sign-in's key: a request of type %T", in.Request)
		}
		p, err := proof(key, req.URL.String(), time.Now())
		if err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, err
		}
		req.Header.Set("DPoP", p)
		return next.HandleFinalize(ctx, in)
	})
	return signin.WithAPIOptions(func(stack *middleware.Stack) error { return stack.Finalize.Add(add, middleware.After) })
}
