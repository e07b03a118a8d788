package sigv4_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/localaws/sigv4"
)

// readRequest reads a request as net/http's server does.
func readRequest(t testing.TB, raw []byte) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatalf("reading %q: %v", raw, err)
	}
	return r.WithContext(t.Context())
}

// published are the requests, signatures and key that AWS's documentation of
// Signature Version 4 works through: the test suite's get-vanilla cases, IAM's
// ListUsers, and S3's examples with header, query and chunks.
func published() map[string]string {
	const s3auth = "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
	const suite = "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature="
	const empty = "x-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	return map[string]string{
		"suite get-vanilla": "GET / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n" +
			suite + "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
		"suite get-vanilla-query-order-key-case": "GET /?Param2=value2&Param1=value1 HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n" +
			suite + "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
		"IAM ListUsers": "GET /?Action=ListUsers&Version=2010-05-08 HTTP/1.1\nHost: iam.amazonaws.com\n" +
			"Content-Type: application/x-www-form-urlencoded; charset=utf-8\nX-Amz-Date: 20150830T123600Z\n" +
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, " +
			"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
		"S3 GET object": "GET /test.txt HTTP/1.1\nHost: examplebucket.s3.amazonaws.com\nRange: bytes=0-9\n" + empty + "\nx-amz-date: 20130524T000000Z\n" +
			s3auth + "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
		"S3 GET lifecycle": "GET /?lifecycle HTTP/1.1\nHost: examplebucket.s3.amazonaws.com\n" + empty + "\nx-amz-date: 20130524T000000Z\n" +
			s3auth + "SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
		"S3 list objects": "GET /?max-keys=2&prefix=J HTTP/1.1\nHost: examplebucket.s3.amazonaws.com\n" + empty + "\nx-amz-date: 20130524T000000Z\n" +
			s3auth + "SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
		"S3 presigned": "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
			"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
			"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1\nHost: examplebucket.s3.amazonaws.com",
	}
}

// publishedLookup has the two keys of AWS's documentation.
func publishedLookup(id string) (sigv4.Credential, bool) {
	switch id {
	case "AKIDEXAMPLE":
		return sigv4.Credential{SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}, true
	case "AKIAIOSFODNN7EXAMPLE":
		return sigv4.Credential{SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, true
	}
	return sigv4.Credential{}, false
}

func TestPublishedSignatures(t *testing.T) {
	for name, text := range published() {
		t.Run(name, func(t *testing.T) {
			r := readRequest(t, []byte(strings.ReplaceAll(text, "\n", "\r\n")+"\r\n\r\n"))
			scope, _, err := sigv4.ParseScope(r)
			if err != nil {
				t.Fatalf("ParseScope: %v", err)
			}
			if _, err := sigv4.Verify(r, nil, publishedLookup, scope.Time, sigv4.Options{}); err != nil {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

// chunked is S3's published example of a chunked upload: 65 KiB in chunks of
// 64 KiB, 1 KiB and nothing.
func chunked(signatures [3]string) (head string, body []byte) {
	data := bytes.Repeat([]byte("a"), 65<<10)
	var b bytes.Buffer
	for i, n := range []int{64 << 10, 1 << 10, 0} {
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s\r\n", n, signatures[i], data[:n])
	}
	head = strings.Join([]string{
		"PUT /examplebucket/chunkObject.txt HTTP/1.1", "Host: s3.amazonaws.com", "x-amz-date: 20130524T000000Z",
		"x-amz-storage-class: REDUCED_REDUNDANCY",
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request," +
			"SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class," +
			"Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
		"x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "Content-Encoding: aws-chunked",
		"x-amz-decoded-content-length: 66560", "Content-Length: 66824", "", "",
	}, "\r\n")
	return head, b.Bytes()
}

func TestPublishedChunkSignatures(t *testing.T) {
	good := [3]string{
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
	}
	now := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	try := func(head string, body []byte) error {
		_, err := sigv4.Verify(readRequest(t, []byte(head)), body, publishedLookup, now, sigv4.Options{})
		return err
	}
	head, body := chunked(good)
	if err := try(head, body); err != nil {
		t.Fatalf("Verify: %v", err)
	}
	for name, tc := range map[string]struct {
		change func([]byte) []byte
		want   sigv4.Kind
	}{
		"a byte of the first chunk": {func(b []byte) []byte { b[1000] ^= 1; return b }, sigv4.WrongSignature},
		"a byte of the last chunk":  {func(b []byte) []byte { b[66_000] ^= 1; return b }, sigv4.WrongSignature},
		"the last chunk left out":   {func(b []byte) []byte { return b[:65_712] }, sigv4.MalformedChunks},
		"bytes after the end":       {func(b []byte) []byte { return append(b, "more"...) }, sigv4.MalformedChunks},
		"a size that is none":       {func(b []byte) []byte { b[0] = 'x'; return b }, sigv4.MalformedChunks},
		"a size past the end":       {func(b []byte) []byte { b[0] = 'f'; return b }, sigv4.MalformedChunks},
		"no chunks":                 {func([]byte) []byte { return nil }, sigv4.MalformedChunks},
	} {
		t.Run(name, func(t *testing.T) {
			_, body := chunked(good)
			wantKind(t, try(head, tc.change(body)), tc.want)
		})
	}
	t.Run("chunks in another order", func(t *testing.T) {
		_, body := chunked([3]string{good[1], good[0], good[2]})
		wantKind(t, try(head, body), sigv4.WrongSignature)
	})
}
