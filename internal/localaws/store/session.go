package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"sync"
	"time"

	"github.com/stile-aws/stile/arn"
)

// SessionKind is how a session was made.
type SessionKind string

// The kinds of sessions.
const (
	AssumedRole SessionKind = "role"      // sts:AssumeRole and AssumeRoleWith…
	UserSession SessionKind = "user"      // sts:GetSessionToken
	Console     SessionKind = "console"   // a user's or the root user's sign-in to the console
	Federated   SessionKind = "federated" // sts:GetFederationToken
)

// Session is what temporary credentials stand for. It travels sealed in its
// session token, so that the World need not remember it and it survives a restart.
type Session struct {
	AccessKey string        `json:"k"`
	Secret    string        `json:"s"`
	Kind      SessionKind   `json:"d"`
	Account   arn.AccountID `json:"a"`
	Entity    string        `json:"e"`           // unique id of the role or user; "" for the root user
	Name      string        `json:"n,omitempty"` // RoleSessionName, or name of the federated user
	Issued    time.Time     `json:"i"`
	Expires   time.Time     `json:"x"`
	// Policies and PolicyARNs are the session policies; HasPolicies tells
	// whether any were passed.
	Policies   []string          `json:"p,omitempty"`
	PolicyARNs []string          `json:"q,omitempty"`
	Tags       map[string]string `json:"t,omitempty"`
	Transitive []string          `json:"v,omitempty"` // keys of Tags that later sessions inherit
	// SourceIdentity stays with all sessions made from this one.
	SourceIdentity string `json:"o,omitempty"`
	// Provider is the federation provider of the first session of the chain:
	// the ARN of a SAML provider, or an OIDC issuer.
	Provider string `json:"f,omitempty"`
	MFA      bool   `json:"m,omitempty"`
	// MFAAt is when the code was given, the zero time without MFA.
	MFAAt time.Time `json:"w,omitzero"`
	// Chained sessions were assumed with the credentials of another session.
	Chained bool `json:"c,omitempty"`
	// CalledBy is the ARN the session was assumed by; for humans.
	CalledBy string `json:"b,omitempty"`
}

// HasPolicies reports whether session policies filter the session.
func (s *Session) HasPolicies() bool { return len(s.Policies) > 0 || len(s.PolicyARNs) > 0 }

// sealer seals and opens session tokens. Opened tokens are remembered, for
// clients use one for many requests.
type sealer struct {
	aead cipher.AEAD

	mu     sync.Mutex // guards opened
	opened map[string]*Session
}

// maxOpened bounds the tokens remembered; when it is reached all are forgotten.
const maxOpened = 8192

// tokenPrefix makes our tokens look like AWS's, which begin alike too.
const tokenPrefix = "IQoJstile"

func newSealer(key []byte) *sealer {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("store: session key of a state has a wrong length: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("store: making AES-GCM: " + err.Error())
	}
	return &sealer{aead: aead, opened: map[string]*Session{}}
}

// Seal gives the session token of s. It needs no lock.
func (w *World) Seal(s *Session) (string, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, w.sealer.aead.NonceSize(), w.sealer.aead.NonceSize()+len(plain)+w.sealer.aead.Overhead())
	rand.Read(nonce)
	sealed := w.sealer.aead.Seal(nonce, nonce, plain, []byte(s.AccessKey))
	return tokenPrefix + base64.StdEncoding.EncodeToString(sealed), nil
}

// Open returns the session of a token that belongs to accessKey, nil when the token
// is not one of ours or belongs to another key. The Session is shared and must
// not be changed. It needs no lock.
func (w *World) Open(accessKey, token string) *Session {
	if s := w.sealer.recall(token); s != nil {
		if s.AccessKey != accessKey {
			return nil
		}
		return s
	}
	if len(token) < len(tokenPrefix) || token[:len(tokenPrefix)] != tokenPrefix {
		return nil
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(token[len(tokenPrefix):])
	n := w.sealer.aead.NonceSize()
	if err != nil || len(sealed) < n {
		return nil
	}
	plain, err := w.sealer.aead.Open(nil, sealed[:n], sealed[n:], []byte(accessKey))
	if err != nil {
		return nil
	}
	s := &Session{}
	if json.Unmarshal(plain, s) != nil {
		return nil
	}
	w.sealer.remember(token, s)
	return s
}

// SealText seals what the World is to be shown again, as a sign-in token, for
// one purpose. It needs no lock.
func (w *World) SealText(purpose string, plain []byte) string {
	nonce := make([]byte, w.sealer.aead.NonceSize())
	rand.Read(nonce)
	return base64.RawURLEncoding.EncodeToString(w.sealer.aead.Seal(nonce, nonce, plain, []byte(purpose)))
}

// OpenText opens what SealText sealed for the same purpose. It needs no lock.
func (w *World) OpenText(purpose, text string) (plain []byte, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	n := w.sealer.aead.NonceSize()
	if err != nil || len(sealed) < n {
		return nil, false
	}
	plain, err = w.sealer.aead.Open(nil, sealed[:n], sealed[n:], []byte(purpose))
	return plain, err == nil
}

func (s *sealer) recall(token string) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened[token]
}

func (s *sealer) remember(token string, session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.opened) >= maxOpened {
		clear(s.opened)
	}
	s.opened[token] = session
}
