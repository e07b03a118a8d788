package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds on what is parsed before anybody is known to be behind it.
const (
	maxAuthorization = 16 << 10
	maxSignedHeaders = 256
)

// claim is a parsed signature: the scope and what is needed to check it.
type claim struct {
	Scope
	terminator string // last part of the credential
	amzDate    string // Time as it goes into the string to sign
	signature  []byte
	query      []pair // decoded, in the order sent, without X-Amz-Signature
	shaHeader  string // x-amz-content-sha256, from header or presigned query
	hasSHA     bool
}

// parse reads the signature of r. A nil claim with a nil failure means that r
// is not signed.
func parse(r *http.Request) (*claim, *Failure) {
	query, f := parseQuery(r.URL.RawQuery)
	if f != nil {
		return nil, f
	}
	presigned := slices.ContainsFunc(query, func(p pair) bool {
		return p.key == "X-Amz-Algorithm" || p.key == "X-Amz-Signature" || p.key == "X-Amz-Credential"
	})
	auth := r.Header.Values("Authorization")
	signed := len(auth) > 0 && !isBearer(auth[0])
	switch {
	case presigned && len(auth) > 0:
		return nil, fail(AmbiguousAuthentication, "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "+
			"Signature query string parameter or the Authorization header should be specified")
	case presigned:
		return parsePresigned(r, query)
	case signed:
		return parseHeader(r, auth, query)
	}
	return nil, nil
}

// isBearer reports a token of the APIs that authenticate without SigV4.
func isBearer(authorization string) bool {
	scheme, _, _ := strings.Cut(strings.TrimSpace(authorization), " ")
	return strings.EqualFold(scheme, "bearer")
}

func parseHeader(r *http.Request, auth []string, query []pair) (*claim, *Failure) {
	if len(auth) > 1 || len(auth[0]) > maxAuthorization {
		return nil, fail(IncompleteSignature, "Authorization header must be given exactly once and be of reasonable size.")
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(auth[0]), " ")
	if f := checkAlgorithm(scheme); f != nil {
		return nil, f
	}
	fields, f := authFields(rest, auth[0])
	if f != nil {
		return nil, f
	}
	date, when, dateOK := signingTime(r)
	if f := missingFields(fields, dateOK, auth[0]); f != nil {
		return nil, f
	}
	c := &claim{query: query, amzDate: date}
	c.Time = when
	if f := c.setCredential(fields["Credential"]); f != nil {
		return nil, f
	}
	if f := c.setSignature(fields["SignedHeaders"], fields["Signature"]); f != nil {
		return nil, f
	}
	if c.SessionToken, _, f = single(r.Header, "X-Amz-Security-Token"); f != nil {
		return nil, f
	}
	c.shaHeader, c.hasSHA, f = single(r.Header, "X-Amz-Content-Sha256")
	return c, f
}

// checkAlgorithm accepts SigV4 alone and says what else was tried.
func checkAlgorithm(scheme string) *Failure {
	switch {
	case scheme == algorithm:
		return nil
	case strings.HasPrefix(scheme, "AWS4-ECDSA"):
		return fail(UnsupportedAlgorithm, "Signature Version 4A ("+clip(scheme)+") is not supported here. Please use "+algorithm+".")
	case scheme == "AWS" || scheme == "AWS3" || scheme == "AWS3-HTTPS":
		return fail(UnsupportedAlgorithm, "The authorization mechanism you have provided is not supported. Please use "+algorithm+".")
	}
	return fail(IncompleteSignature, "Unsupported AWS 'algorithm': '"+clip(scheme)+"'. ")
}

// authFields splits "Credential=…, SignedHeaders=…, Signature=…".
func authFields(rest, whole string) (map[string]string, *Failure) {
	fields := make(map[string]string, 3)
	for part := range strings.SplitSeq(rest, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok || strings.ContainsAny(part, " \t") {
			return nil, fail(IncompleteSignature, "Invalid key=value pair (missing equal-sign) in Authorization header"+hashed(whole))
		}
		if _, twice := fields[name]; twice {
			return nil, fail(IncompleteSignature, "Authorization header has '"+clip(name)+"' twice"+hashed(whole))
		}
		fields[name] = value
	}
	return fields, nil
}

func missingFields(fields map[string]string, dateOK bool, whole string) *Failure {
	var missing strings.Builder
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if fields[name] == "" {
			missing.WriteString("Authorization header requires '" + name + "' parameter. ")
		}
	}
	if !dateOK {
		missing.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	if missing.Len() == 0 {
		return nil
	}
	return fail(IncompleteSignature, missing.String()+"Authorization"+hashed(whole))
}

// hashed names a header without repeating it, in the words AWS uses since it
// stopped to echo headers that may hold somebody's secret.
func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return " (hashed with SHA-256 and encoded with Base64): '" + base64.StdEncoding.EncodeToString(sum[:]) + "'."
}

// signingTime is X-Amz-Date, or Date where that is absent.
func signingTime(r *http.Request) (string, time.Time, bool) {
	if v := r.Header.Values("X-Amz-Date"); len(v) > 0 {
		t, err := time.Parse(timeFormat, v[0])
		return v[0], t, err == nil && len(v) == 1
	}
	v := r.Header.Values("Date")
	if len(v) != 1 {
		return "", time.Time{}, false
	}
	t, err := time.Parse(timeFormat, v[0])
	if err != nil {
		t, err = http.ParseTime(v[0])
	}
	t = t.UTC()
	return t.Format(timeFormat), t, err == nil
}

func parsePresigned(r *http.Request, query []pair) (*claim, *Failure) {
	params, rest, f := presignParams(query)
	if f != nil {
		return nil, f
	}
	if f := checkAlgorithm(params["X-Amz-Algorithm"]); f != nil {
		if f.Kind == IncompleteSignature {
			f.Kind = MalformedPresign
			f.Message = "X-Amz-Algorithm only supports \"" + algorithm + "\""
		}
		return nil, f
	}
	for _, name := range []string{"X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders"} {
		if params[name] == "" {
			return nil, fail(MalformedPresign, "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "+
				"X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	when, err := time.Parse(timeFormat, params["X-Amz-Date"])
	if err != nil {
		return nil, fail(MalformedPresign, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
	}
	c := &claim{query: rest, amzDate: params["X-Amz-Date"]}
	c.Presigned, c.Time, c.SessionToken = true, when, params["X-Amz-Security-Token"]
	if f := c.setCredential(params["X-Amz-Credential"]); f != nil {
		return nil, f
	}
	if f := c.setSignature(params["X-Amz-SignedHeaders"], params["X-Amz-Signature"]); f != nil {
		return nil, f
	}
	if f := c.setExpires(params["X-Amz-Expires"]); f != nil {
		return nil, f
	}
	c.shaHeader, c.hasSHA, f = single(r.Header, "X-Amz-Content-Sha256")
	if !c.hasSHA {
		c.shaHeader, c.hasSHA = params["X-Amz-Content-Sha256"], params["X-Amz-Content-Sha256"] != ""
	}
	return c, f
}

// presignParams picks the signature's parameters, each at most once, and
// returns the query without the signature itself.
func presignParams(query []pair) (map[string]string, []pair, *Failure) {
	params := make(map[string]string, 8)
	rest := make([]pair, 0, len(query))
	for _, p := range query {
		if p.key != "X-Amz-Signature" {
			rest = append(rest, p)
		}
		switch p.key {
		case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders",
			"X-Amz-Signature", "X-Amz-Security-Token", "X-Amz-Content-Sha256":
			if _, twice := params[p.key]; twice {
				return nil, nil, fail(MalformedPresign, p.key+" must be given once")
			}
			params[p.key] = p.value
		}
	}
	return params, rest, nil
}

func (c *claim) setCredential(s string) *Failure {
	parts := strings.Split(s, "/")
	if len(parts) != 5 || slices.Contains(parts[:3], "") || parts[3] == "" {
		f := fail(IncompleteSignature, "Credential must have exactly 5 slash-delimited elements, "+
			"e.g. keyid/date/region/service/term, got '"+clip(s)+"'")
		f.Kind = c.formKind()
		return f
	}
	c.AccessKeyID, c.Date, c.Region, c.Service, c.terminator = parts[0], parts[1], parts[2], parts[3], parts[4]
	return nil
}

// setSignature takes the two lists that say what is signed and by what value.
// AWS defines SignedHeaders as lower case and sorted.
func (c *claim) setSignature(headers, signature string) *Failure {
	c.SignedHeaders = strings.Split(headers, ";")
	if len(c.SignedHeaders) > maxSignedHeaders {
		return fail(c.formKind(), "SignedHeaders has too many elements.")
	}
	for i, h := range c.SignedHeaders {
		if h == "" || strings.ToLower(h) != h || strings.ContainsAny(h, " \t\r\n:") || i > 0 && c.SignedHeaders[i-1] >= h {
			return fail(c.formKind(), "SignedHeaders must be a sorted list of distinct lower-case header names.")
		}
	}
	if !slices.Contains(c.SignedHeaders, "host") {
		return fail(c.formKind(), "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	b, err := hex.DecodeString(signature)
	if err != nil || len(b) != sha256.Size || strings.ToLower(signature) != signature {
		// A well-formed header with a value that cannot be a signature is,
		// to AWS, a signature that does not match.
		b = make([]byte, 0)
	}
	c.signature = b
	return nil
}

func (c *claim) setExpires(s string) *Failure {
	if s == "" {
		// STS sets its own 15 minutes and does not need the parameter.
		if c.Service == "sts" {
			return nil
		}
		return fail(MalformedPresign, "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "+
			"X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		return fail(MalformedPresign, "X-Amz-Expires should be a number")
	case n < 0:
		return fail(MalformedPresign, "X-Amz-Expires must be non-negative")
	case n > int64(maxExpires/time.Second):
		return fail(MalformedPresign, "X-Amz-Expires must be less than a week (in seconds); "+
			"that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	c.Expires = time.Duration(n) * time.Second
	return nil
}

// formKind is the kind of failure for a claim that cannot be read.
func (c *claim) formKind() Kind {
	if c.Presigned {
		return MalformedPresign
	}
	return IncompleteSignature
}

// single reads a header that may be there once.
func single(h http.Header, name string) (string, bool, *Failure) {
	v := h.Values(name)
	switch len(v) {
	case 0:
		return "", false, nil
	case 1:
		return strings.TrimSpace(v[0]), true, nil
	}
	return "", false, fail(IncompleteSignature, "Header "+name+" must be given once.")
}

// clip bounds text of the caller's that is repeated in a message.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
