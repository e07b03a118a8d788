package sigv4_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/internal/localaws/sigv4"
)

// meaning is a request as a handler sees it, with what AWS's rules make equal
// made equal: the order of parameters, blanks around header values, escapes in
// an S3 path that need not be. Two
// requests of one meaning may share a signature; no others may.
func meaning(r *http.Request, body string, signed []string) string {
	var b strings.Builder
	b.WriteString(r.Method + " " + r.Host)
	for segment := range strings.SplitSeq(r.URL.EscapedPath(), "/") {
		plain, err := url.PathUnescape(segment)
		fmt.Fprintf(&b, "/%q%v", plain, err)
	}
	b.WriteByte('\n')
	params := []string{}
	for key, values := range r.URL.Query() {
		for _, v := range values {
			if key != "X-Amz-Signature" {
				params = append(params, key+"="+v)
			}
		}
	}
	slices.Sort(params)
	b.WriteString(strings.Join(params, "&") + "\n")
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		lower := strings.ToLower(name)
		if slices.Contains(signed, lower) || strings.HasPrefix(lower, "x-amz-") {
			b.WriteString(lower + ":" + strings.Join(strings.Fields(strings.Join(r.Header[name], ",")), " ") + "\n")
		}
	}
	if unsignedBody(r) {
		body = ""
	}
	return b.String() + body
}

// FuzzVerify feeds whole requests: nothing panics, and what is accepted means
// what the signer of the corpus signed.
func FuzzVerify(f *testing.F) {
	known := map[string]bool{}
	for _, c := range calls() {
		for _, r := range []*http.Request{c.sign(f), c.presign(f, "60")} {
			scope, _, err := sigv4.ParseScope(r)
			if err != nil {
				f.Fatal(err)
			}
			known[meaning(r, c.body, scope.SignedHeaders)] = true
			var b bytes.Buffer
			r.Body = io.NopCloser(strings.NewReader(c.body))
			if err := r.Write(&b); err != nil {
				f.Fatal(err)
			}
			f.Add(b.Bytes(), []byte(c.body))
		}
	}
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: AWS4-HMAC-SHA256 ,=,\r\n\r\n"), []byte{})
	f.Fuzz(func(t *testing.T, head, body []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			return
		}
		scope, err := sigv4.Verify(r, body, lookup, instant(), sigv4.Options{})
		if err != nil {
			return
		}
		if !known[meaning(r, string(body), scope.SignedHeaders)] {
			t.Fatalf("accepted a request that nobody signed: %q %q", head, body)
		}
	})
}

// unsignedBody reports S3 requests whose body is not covered by design.
func unsignedBody(r *http.Request) bool {
	sum := r.Header.Get("X-Amz-Content-Sha256")
	return sum == "UNSIGNED-PAYLOAD" || sum == "" && r.URL.Query().Get("X-Amz-Signature") != ""
}

// TestMutationsNeverVerify changes one byte of a signed request at a time.
func TestMutationsNeverVerify(t *testing.T) {
	all := calls()
	names := slices.Sorted(maps.Keys(all))
	rapid.Check(t, func(rt *rapid.T) {
		c := all[rapid.SampledFrom(names).Draw(rt, "call")]
		r := c.sign(t)
		scope, _, err := sigv4.ParseScope(r)
		if err != nil {
			t.Fatal(err)
		}
		before := meaning(r, c.body, scope.SignedHeaders)
		body := c.body
		at := rapid.IntRange(0, 1<<16).Draw(rt, "at")
		by := rapid.ByteRange(1, 255).Draw(rt, "by")
		switch rapid.IntRange(0, 4).Draw(rt, "part") {
		case 0:
			body = flip(body, at, by)
		case 1:
			r.URL.RawQuery = flip(r.URL.RawQuery, at, by)
		case 2:
			r.URL.Path, r.URL.RawPath = flip(r.URL.Path, at, by), ""
		case 3:
			name := rapid.SampledFrom(slices.Sorted(maps.Keys(r.Header))).Draw(rt, "header")
			r.Header.Set(name, flip(r.Header.Get(name), at, by))
		default:
			r.Method = flip(r.Method, at, by)
		}
		if after := meaning(r, body, scope.SignedHeaders); after == before && sameAuthorization(c.sign(t), r) {
			return // nothing was changed that means anything
		}
		if scope, err := verify(r, body, instant()); err == nil && meaning(r, body, scope.SignedHeaders) != before {
			rt.Fatalf("a changed request was accepted:\n%s\n%q", before, body)
		}
	})
}

func sameAuthorization(a, b *http.Request) bool {
	return a.Header.Get("Authorization") == b.Header.Get("Authorization")
}

// flip changes, or inserts into an empty text, one byte.
func flip(s string, at int, by byte) string {
	if s == "" {
		return string(rune(by | 1))
	}
	b := []byte(s)
	b[at%len(b)] ^= by
	return string(b)
}

func BenchmarkVerify(b *testing.B) {
	c := calls()["temporary key"]
	r := c.sign(b)
	body := []byte(c.body)
	for name, keys := range map[string]*sigv4.Keys{"keys derived each time": nil, "keys remembered": sigv4.NewKeys(0)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sigv4.Verify(r, body, lookup, instant(), sigv4.Options{Keys: keys}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
