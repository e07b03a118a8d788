package oidc

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// VerifierConfig says how a Verifier gets issuers' keys.
type VerifierConfig struct {
	// Fetch gets a document by GET: the body of a 200 answer, or an error. It
	// must bound its own time by ctx; the size is checked again here.
	// Nil: a [Fetcher] with its zero value.
	Fetch func(ctx context.Context, url string) ([]byte, error)
	// AllowHosts are hosts, with port if one is in the URL, that may be
	// fetched over plain http, or although their address is local. Loopback
	// hosts may always be fetched for issuers on loopback.
	AllowHosts []string
	// TTL is how long an issuer's keys are used without asking again. Default
	// 10 minutes. A key id not found asks again at once, but not more often
	// than every MinRefresh.
	TTL time.Duration
	// MinRefresh is the least time between two fetches for one issuer, also
	// after a failed one. Default 5 seconds; negative: none.
	MinRefresh time.Duration
	// Timeout bounds one fetch of discovery document and keys. Default 5 s.
	Timeout time.Duration
	// MaxBytes bounds each document. Default 64 KiB.
	MaxBytes int
	// MaxIssuers bounds how many issuers' keys are remembered. Default 256.
	MaxIssuers int
	// Tolerance is how far iat and nbf may be in the future. Default 5
	// minutes; negative: none.
	Tolerance time.Duration
	// ExpiryTolerance is how long after exp a token still counts. Default
	// none. AWS was seen to allow 5 minutes.
	ExpiryTolerance time.Duration
	// Now is the clock of the key cache. Default time.Now.
	Now func() time.Time
}

// Verifier does with a web identity token what STS does. Make one with
// [NewVerifier]. Safe for concurrent use.
type Verifier struct {
	cfg  VerifierConfig
	keys *keyCache
}

// NewVerifier makes a Verifier. It fetches nothing yet and starts nothing
// that has to be stopped.
func NewVerifier(cfg VerifierConfig) *Verifier {
	return &Verifier{cfg: cfg, keys: newKeyCache(cfg)}
}

// Verify checks token against the provider registered for issuerURL with
// clientIDs, at the time now. It returns claims or a failure, never both.
//
// iss must equal issuerURL, except that a registered provider's URL may be
// given without its https://, as IAM shows it. ctx bounds the wait for keys.
func (v *Verifier) Verify(ctx context.Context, token, issuerURL string, clientIDs []string, now time.Time) (*Claims, *Failure) {
	t, f := parseJWT(token)
	if f != nil {
		return nil, f
	}
	claims, f := t.readClaims()
	if f != nil {
		return nil, f
	}
	if claims.Issuer != issuerURL && claims.Issuer != "https://"+issuerURL {
		return nil, fail(UnknownIssuer, "No OpenIDConnect provider found in your account for "+clip(claims.Issuer))
	}
	if f := v.checkSignature(ctx, t, claims.Issuer); f != nil {
		return nil, f
	}
	if f := v.checkTimes(claims, now); f != nil {
		return nil, f
	}
	if f := checkAudience(claims, clientIDs); f != nil {
		return nil, f
	}
	return claims, nil
}

func (v *Verifier) checkSignature(ctx context.Context, t *jwt, issuer string) *Failure {
	alg, ok := algorithmOf(t.alg)
	if !ok {
		return fail(Malformed, "The token's signing algorithm is not supported.")
	}
	key, f := v.keys.find(ctx, issuer, t.kid, alg)
	if f != nil {
		return f
	}
	if !key.verify(alg, t.signed, t.signature) {
		return fail(BadSignature, "Couldn't retrieve verification key from your identity provider, "+
			"please reference AssumeRoleWithWebIdentity documentation for requirements")
	}
	return nil
}

func (v *Verifier) checkTimes(c *Claims, now time.Time) *Failure {
	now = now.UTC()
	ahead := now.Add(orDefault(v.cfg.Tolerance, 5*time.Minute))
	switch {
	case !now.Before(c.Expires.Add(max(v.cfg.ExpiryTolerance, 0))):
		f := fail(Expired, fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d",
			now.Unix(), c.Expires.Unix()))
		f.Now, f.Expires = now, c.Expires
		return f
	case c.IssuedAt.After(ahead):
		return fail(IssuedInFuture, fmt.Sprintf("Token issued in the future: current date/time %d, issue date/time %d",
			now.Unix(), c.IssuedAt.Unix()))
	case c.NotBefore.After(ahead):
		return fail(NotYetValid, fmt.Sprintf("Token not yet valid: current date/time %d must not be before %d",
			now.Unix(), c.NotBefore.Unix()))
	}
	return nil
}

// checkAudience applies AWS's rule: azp, where there is one, is the audience
// that has to be registered; without it there may be only one.
func checkAudience(c *Claims, clientIDs []string) *Failure {
	if len(c.Audiences) > 1 && c.Authorized == "" {
		return fail(Audience, "Token audience contains more than one audience while authorized party is not present")
	}
	if !slices.Contains(clientIDs, c.Audience()) {
		return fail(Audience, "Incorrect token audience")
	}
	return nil
}

// orDefault resolves a duration whose zero means a default and whose negative
// values mean none.
func orDefault(d, def time.Duration) time.Duration {
	switch {
	case d == 0:
		return def
	case d < 0:
		return 0
	}
	return d
}

// clip bounds text of the caller's that is repeated in a message.
func clip(s string) string {
	const most = 255
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
