// Package sigv4 verifies AWS Signature Version 4 on the server's side: the
// Authorization header, the presigned query, and S3's signed chunks.
//
// Start at [Verify]. [ParseScope] reads who the caller says it is without
// believing it, which is what a router needs to find the service and region.
// A [Failure] says which rule was broken; [Failure.Response] gives the code,
// HTTP status and text that AWS answers in each protocol family.
//
// The verifier builds the canonical request from the request as it came and
// compares; it never signs again through a client library, so it sees exactly
// what is signed and what is not, and can say why two signatures differ.
//
// It is stricter than AWS in two places, both on the refusing side. A path is
// signed as it was sent: AWS removes dot segments and repeated slashes from
// the path of every service but S3 before hashing, here such a path has to be
// signed unchanged, because the router acts on the path as sent. And every
// x-amz-* header must be among the signed ones for every service, as S3 asks.
//
// The package does not decide what a verified caller may do, does not decode
// aws-chunked bodies (it only checks their signatures), and refuses SigV4A.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z"
	dateFormat = "20060102"

	// maxExpires is the longest life of a presigned request: seven days.
	maxExpires = 7 * 24 * time.Hour
	// defaultSkew is how far a signature's time may be from the server's.
	defaultSkew = 15 * time.Minute
)

// Credential is what the verifier must know about an access key. It prints
// redacted.
type Credential struct {
	SecretAccessKey string
	// SessionToken must accompany the key. Empty for long-term keys, which
	// must come without one.
	SessionToken string
	// Expires is when a temporary key ends. Zero: never.
	Expires time.Time
	// Inactive marks a long-term key that its owner has switched off.
	Inactive bool
}

// String keeps secrets out of logs and errors.
func (Credential) String() string { return "sigv4.Credential(redacted)" }

// GoString is String for the %#v verb.
func (c Credential) GoString() string { return c.String() }

// Lookup finds an access key; ok is false when it is unknown. It is called
// once for each request that is well formed and in time, and must be safe for
// concurrent use if Verify is called concurrently.
type Lookup func(accessKeyID string) (c Credential, ok bool)

// Scope is what a signature claims: who signs, for which day, region and
// service. Until Verify has returned it without an error it proves nothing.
type Scope struct {
	AccessKeyID, Date, Region, Service string
	// SessionToken is the token sent along, "" if there was none. A secret.
	SessionToken string
	// Presigned is true when the signature is in the query.
	Presigned bool
	// SignedHeaders are the covered headers, lower case, sorted.
	SignedHeaders []string
	// Time is when the request says it was signed.
	Time time.Time
	// Expires is X-Amz-Expires of a presigned request; zero otherwise.
	Expires time.Duration
}

// Options tune Verify. The zero value is right for a server that finds region
// and service from the scope itself.
type Options struct {
	// Region and Service, if not empty, are what the scope must name.
	Region, Service string
	// Skew is how far the signing time may be from now. Default 15 minutes.
	Skew time.Duration
	// Keys remembers derived signing keys between requests. Nil: derive each
	// time.
	Keys *Keys
}

func (o Options) skew() time.Duration {
	if o.Skew > 0 {
		return o.Skew
	}
	return defaultSkew
}

// ParseScope reads the scope without verifying anything. ok is false when the
// request is not signed at all (also when it carries a bearer token instead);
// an error, always a *Failure, means that it is signed in a way that cannot
// be read.
func ParseScope(r *http.Request) (scope Scope, ok bool, err error) {
	c, f := parse(r)
	switch {
	case f != nil:
		return Scope{}, true, f
	case c == nil:
		return Scope{}, false, nil
	}
	return c.Scope, true, nil
}

// Verify checks the signature of r, whose body was read into body, at the
// time now. The error is always a *Failure. Only a nil error makes the
// returned scope believable; with an error the scope is the claim as far as
// it could be read.
//
// The order of checks is: form, scope, unsigned headers, time, key, token,
// signature, end of the key's life, body. What depends on knowing the secret
// is only told to callers who proved that they know it.
func Verify(r *http.Request, body []byte, lookup Lookup, now time.Time, opt Options) (Scope, error) {
	c, f := parse(r)
	if f != nil {
		return Scope{}, f
	}
	if c == nil {
		return Scope{}, fail(MissingAuthentication, "Request is missing Authentication Token")
	}
	if f := c.verify(r, body, lookup, now, opt); f != nil {
		f.presigned = c.Presigned
		return c.Scope, f
	}
	return c.Scope, nil
}

func (c *claim) verify(r *http.Request, body []byte, lookup Lookup, now time.Time, opt Options) *Failure {
	if f := c.checkScope(opt); f != nil {
		return f
	}
	if f := c.checkSignedHeaders(r); f != nil {
		return f
	}
	if f := c.checkTime(now, opt.skew()); f != nil {
		return f
	}
	cred, f := c.credential(lookup)
	if f != nil {
		return f
	}
	payload, f := c.payload(r, body)
	if f != nil {
		return f
	}
	key := opt.Keys.signingKey(cred.SecretAccessKey, c.Date, c.Region, c.Service)
	if f := c.checkSignature(r, payload, key); f != nil {
		return f
	}
	if !cred.Expires.IsZero() && !now.Before(cred.Expires) {
		return fail(ExpiredToken, "The security token included in the request is expired")
	}
	return c.checkBody(payload, body, key)
}

// credential finds the key and checks that the session token is its own.
func (c *claim) credential(lookup Lookup) (Credential, *Failure) {
	cred, ok := lookup(c.AccessKeyID)
	switch {
	case !ok || cred.SecretAccessKey == "":
		return Credential{}, fail(UnknownKey, "The security token included in the request is invalid.")
	case cred.Inactive:
		return Credential{}, fail(InactiveKey, "The security token included in the request is invalid.")
	case subtle.ConstantTimeCompare([]byte(cred.SessionToken), []byte(c.SessionToken)) != 1:
		return Credential{}, fail(BadToken, "The security token included in the request is invalid.")
	}
	return cred, nil
}

func (c *claim) checkSignature(r *http.Request, payload payload, key []byte) *Failure {
	canonical, f := c.canonicalRequest(r, payload.hash)
	if f != nil {
		return f
	}
	sum := sha256.Sum256([]byte(canonical))
	toSign := algorithm + "\n" + c.amzDate + "\n" + c.scopeString() + "\n" + hex.EncodeToString(sum[:])
	want := mac(key, toSign)
	if hmac.Equal(want, c.signature) {
		return nil
	}
	f = fail(WrongSignature, "The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	f.Canonical = c.redact(canonical)
	f.StringToSign = toSign
	return f
}

func (c *claim) scopeString() string {
	return c.Date + "/" + c.Region + "/" + c.Service + "/" + terminator
}

// redact takes the session token, a secret of its own, out of a canonical
// request that is going to be shown.
func (c *claim) redact(canonical string) string {
	if c.SessionToken == "" {
		return canonical
	}
	out := strings.ReplaceAll(canonical, c.SessionToken, "REDACTED")
	out = strings.ReplaceAll(out, encode(c.SessionToken, false), "REDACTED")
	return strings.ReplaceAll(out, collapse(c.SessionToken), "REDACTED")
}

// isS3 names the services that sign paths once, headers strictly, and bodies
// by what x-amz-content-sha256 says.
func isS3(service string) bool {
	switch service {
	case "s3", "s3express", "s3-outposts", "s3-object-lambda":
		return true
	}
	return false
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}
