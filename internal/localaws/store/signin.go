package store

import (
	"crypto/rand"
	"time"
)

// SignIn has what the console's sign-in gave out to command lines (`aws login`):
// codes and sessions. The keys of Codes and Refresh are the secrets themselves.
type SignIn struct {
	Codes    map[string]*SignInCode    `json:"codes,omitempty"`    // by authorization code
	Sessions map[string]*SignInSession `json:"sessions,omitempty"` // by an id of ours
	Refresh  map[string]string         `json:"refresh,omitempty"`  // unused refresh tokens to sessions
	Proofs   map[string]time.Time      `json:"proofs,omitempty"`   // ids of DPoP proofs that were shown, until when they would be good
	Key      []byte                    `json:"key,omitempty"`      // signs id tokens
}

// SignInCode is an authorization code (RFC 6749, section 4.1; RFC 7636).
type SignInCode struct {
	Client    string    `json:"client"`
	Region    string    `json:"region"`
	Redirect  string    `json:"redirect"`
	Challenge string    `json:"challenge"` // by SHA-256
	Expires   time.Time `json:"expires"`
	// Session is who said yes, without a key; it ends when they have to sign in
	// again.
	Session Session `json:"session"`
}

// SignInSession is a console's session that a command line may have credentials
// of.
type SignInSession struct {
	Client     string  `json:"client"`
	Region     string  `json:"region"`
	Thumbprint string  `json:"thumbprint"` // of the key that the tokens are bound to (RFC 9449)
	Session    Session `json:"session"`    // as a code's
}

// SignInGrants is the World's SignIn with its maps made. The caller holds the
// write lock.
func (w *World) SignInGrants() *SignIn {
	s := &w.SignIn
	makeMap(&s.Codes)
	makeMap(&s.Sessions)
	makeMap(&s.Refresh)
	makeMap(&s.Proofs)
	if len(s.Key) == 0 {
		s.Key = make([]byte, 32)
		rand.Read(s.Key)
	}
	return s
}

// Sweep forgets what has expired. The caller holds the write lock.
func (s *SignIn) Sweep(now time.Time) {
	sweepSSO(s.Codes, func(c *SignInCode) bool { return !now.Before(c.Expires) })
	sweepSSO(s.Sessions, func(x *SignInSession) bool { return !now.Before(x.Session.Expires) })
	for token, session := range s.Refresh {
		if s.Sessions[session] == nil {
			delete(s.Refresh, token)
		}
	}
	for id, until := range s.Proofs {
		if !now.Before(until) {
			delete(s.Proofs, id)
		}
	}
}
