package sigv4_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/localaws/sigv4"
)

// streamSigner signs chunks and trailer as a client does; no SDK for Go does
// it, so it is written here from the documentation, apart from the verifier.
type streamSigner struct{ key []byte }

func newStreamSigner(date, region string) streamSigner {
	k := []byte("AWS4" + secret)
	for _, part := range []string{date, region, "s3", "aws4_request"} {
		k = sum(k, part)
	}
	return streamSigner{k}
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hash(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func (s streamSigner) sign(lines ...string) string {
	return hex.EncodeToString(sum(s.key, strings.Join(lines, "\n")))
}

// body encodes data in one chunk and an empty one, with a signed trailer.
func (s streamSigner) body(seed, data, trailer string) string {
	const date, scope = "20260304T050607Z", "20260304/eu-west-1/s3/aws4_request"
	one := s.sign("AWS4-HMAC-SHA256-PAYLOAD", date, scope, seed, hash(""), hash(data))
	end := s.sign("AWS4-HMAC-SHA256-PAYLOAD", date, scope, one, hash(""), hash(""))
	last := s.sign("AWS4-HMAC-SHA256-TRAILER", date, scope, end, hash(trailer+"\n"))
	return fmt.Sprintf("%x;chunk-signature=%s\r\n%s\r\n0;chunk-signature=%s\r\n%s\r\nx-amz-trailer-signature:%s\r\n\r\n",
		len(data), one, data, end, trailer, last)
}

func TestSignedTrailer(t *testing.T) {
	const data, trailer = "hello chunks", "x-amz-checksum-crc32:AAAAAA=="
	c := call{method: "PUT", url: "https://bkt.s3.eu-west-1.amazonaws.com/k", service: "s3", region: "eu-west-1",
		header: map[string]string{"X-Amz-Content-Sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "X-Amz-Trailer": "x-amz-checksum-crc32"}}
	r := c.sign(t)
	_, seed, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	body := newStreamSigner("20260304", "eu-west-1").body(seed, data, trailer)
	if _, err := verify(r, body, instant()); err != nil {
		t.Fatalf("Verify: %v", err)
	}
	for name, tc := range map[string]struct {
		body string
		want sigv4.Kind
	}{
		"another checksum":       {strings.Replace(body, "AAAAAA==", "BAAAAA==", 1), sigv4.WrongSignature},
		"another header before":  {strings.Replace(body, trailer, "x-a:b\r\n"+trailer, 1), sigv4.WrongSignature},
		"another header after":   {body + "x-a:b\r\n", sigv4.WrongSignature},
		"no trailer":             {body[:strings.Index(body, trailer)], sigv4.WrongSignature},
		"no trailer's signature": {body[:strings.Index(body, "x-amz-trailer-s")], sigv4.WrongSignature},
		"a line that is none":    {strings.Replace(body, trailer, "junk", 1), sigv4.MalformedChunks},
		"other data":             {strings.Replace(body, "hello", "hallo", 1), sigv4.WrongSignature},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify(r, tc.body, instant())
			wantKind(t, err, tc.want)
		})
	}
}

func TestUnsignedTrailerPasses(t *testing.T) {
	c := call{method: "PUT", url: "https://bkt.s3.eu-west-1.amazonaws.com/k", service: "s3", region: "eu-west-1",
		header: map[string]string{"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}}
	if _, err := verify(c.sign(t), "anything", instant()); err != nil {
		t.Errorf("Verify: %v", err)
	}
}
