package oidc

import "time"

// Kind is the rule that a token broke.
type Kind int

// The kinds of failure.
const (
	// NotAJWT: not three base64url parts of which two hold JSON objects, or
	// longer than STS takes.
	NotAJWT Kind = iota + 1
	// Malformed: a JWT whose header or claims break a rule: an algorithm that
	// is not allowed, a required claim that is missing or of another type.
	Malformed
	// UnknownIssuer: the token's issuer is not the provider's. Also for the
	// caller's own use, when no provider is registered for the issuer.
	UnknownIssuer
	// Unreachable: discovery document or key set could not be had.
	Unreachable
	// KeyNotFound: the issuer has no usable key of that id.
	KeyNotFound
	// BadSignature: not signed by the issuer's key.
	BadSignature
	// Audience: not for one of the provider's client ids.
	Audience
	// Expired: its time is over; see Failure.Now and Failure.Expires.
	Expired
	// NotYetValid: nbf is in the future.
	NotYetValid
	// IssuedInFuture: iat is in the future.
	IssuedInFuture
)

// String is the kind's name in code.
func (k Kind) String() string {
	names := [...]string{"Unknown", "NotAJWT", "Malformed", "UnknownIssuer", "Unreachable", "KeyNotFound",
		"BadSignature", "Audience", "Expired", "NotYetValid", "IssuedInFuture"}
	if k < 0 || int(k) >= len(names) {
		return names[0]
	}
	return names[k]
}

// Failure says why a token was not accepted.
type Failure struct {
	Kind Kind
	// Message is AWS's text where it is known, else a sentence of ours. It
	// never repeats the token.
	Message string
	// Now and Expires are set for Expired.
	Now, Expires time.Time
	// Cause is what went wrong underneath, for Unreachable. It is for the
	// operator of the local AWS; AWS tells callers nothing of it.
	Cause error
}

// Error names the kind, the message and the cause.
func (f *Failure) Error() string {
	text := "verifying web identity token: " + f.Kind.String() + ": " + f.Message
	if f.Cause != nil {
		text += ": " + f.Cause.Error()
	}
	return text
}

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Cause }

func fail(k Kind, message string) *Failure { return &Failure{Kind: k, Message: message} }
