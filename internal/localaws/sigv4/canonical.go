package sigv4

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// pair is one decoded query parameter.
type pair struct{ key, value string }

// parseQuery splits and decodes a raw query. A plus sign is a space, as every
// handler behind reads it. Unlike net/url it keeps the order, keeps
// parameters that hold a semicolon, and refuses bad escapes instead of
// dropping them, so that nothing unsigned can hide.
func parseQuery(raw string) ([]pair, *Failure) {
	if raw == "" {
		return nil, nil
	}
	var out []pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		key, err1 := url.QueryUnescape(k)
		value, err2 := url.QueryUnescape(v)
		if err1 != nil || err2 != nil {
			return nil, fail(IncompleteSignature, "The query string has an invalid percent-encoding.")
		}
		out = append(out, pair{key, value})
	}
	return out, nil
}

// canonicalRequest is the text whose hash is signed:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func (c *claim) canonicalRequest(r *http.Request, payloadHash string) (string, *Failure) {
	path, f := c.canonicalPath(r.URL)
	if f != nil {
		return "", f
	}
	var b strings.Builder
	b.Grow(1024)
	b.WriteString(r.Method)
	b.WriteByte('\n')
	b.WriteString(path)
	b.WriteByte('\n')
	c.writeQuery(&b)
	b.WriteByte('\n')
	for _, name := range c.SignedHeaders {
		if f := writeHeader(&b, r, name); f != nil {
			return "", f
		}
	}
	b.WriteByte('\n')
	for i, name := range c.SignedHeaders {
		if i > 0 {
			b.WriteByte(';')
		}
		b.WriteString(name)
	}
	b.WriteByte('\n')
	b.WriteString(payloadHash)
	return b.String(), nil
}

// canonicalPath encodes each segment once for S3; for every other service the
// path on the wire, already encoded, is encoded again.
func (c *claim) canonicalPath(u *url.URL) (string, *Failure) {
	wire := u.EscapedPath()
	if wire == "" {
		return "/", nil
	}
	if !isS3(c.Service) {
		return encode(wire, true), nil
	}
	segments := strings.Split(wire, "/")
	for i, s := range segments {
		plain, err := url.PathUnescape(s)
		if err != nil {
			return "", fail(IncompleteSignature, "The path has an invalid percent-encoding.")
		}
		segments[i] = encode(plain, false)
	}
	return strings.Join(segments, "/"), nil
}

// writeQuery sorts after encoding, by name and then by value.
func (c *claim) writeQuery(b *strings.Builder) {
	encoded := make([]pair, len(c.query))
	for i, p := range c.query {
		encoded[i] = pair{encode(p.key, false), encode(p.value, false)}
	}
	slices.SortFunc(encoded, func(x, y pair) int {
		return cmp.Or(cmp.Compare(x.key, y.key), cmp.Compare(x.value, y.value))
	})
	for i, p := range encoded {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.key)
		b.WriteByte('=')
		b.WriteString(p.value)
	}
}

// writeHeader adds one signed header. Values of a repeated header are joined
// by commas in the order sent. Host and Content-Length are read where
// net/http keeps them.
func writeHeader(b *strings.Builder, r *http.Request, name string) *Failure {
	b.WriteString(name)
	b.WriteByte(':')
	values := r.Header[http.CanonicalHeaderKey(name)]
	switch {
	case name == "host":
		b.WriteString(collapse(r.Host))
	case len(values) > 0:
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(collapse(v))
		}
	case name == "content-length" && r.ContentLength >= 0:
		b.WriteString(strconv.FormatInt(r.ContentLength, 10))
	default:
		return fail(WrongSignature, "The request signature covers the header '"+clip(name)+"', which the request does not have.")
	}
	b.WriteByte('\n')
	return nil
}

// collapse trims a header value and makes every run of spaces one space. Tabs
// inside a value stay, as AWS's rule speaks of spaces; the Go SDK does the
// same, botocore would collapse them.
func collapse(s string) string {
	s = strings.Trim(s, " \t")
	if !strings.Contains(s, "  ") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		if s[i] != ' ' || s[i-1] != ' ' {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// encode is AWS's URI encoding: everything but letters, digits and -._~ is
// escaped in upper case, a slash only outside of paths.
func encode(s string, path bool) string {
	n := 0
	for i := range len(s) {
		if !unreserved(s[i], path) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; unreserved(c, path) {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

func unreserved(c byte, path bool) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	case c == '-', c == '.', c == '_', c == '~':
		return true
	}
	return c == '/' && path
}
