package wire_test

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/localaws/wire"
)

func TestReadBody(t *testing.T) {
	const signature = ";chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
	cases := []struct {
		name, body string
		headers    map[string]string
		want, code string
	}{
		{"a plain body", "hello", nil, "hello", ""},
		{"an empty body", "", nil, "", ""},
		{"a body of just the limit", strings.Repeat("x", 64), nil, strings.Repeat("x", 64), ""},
		{"a body past the limit", strings.Repeat("x", 65), nil, "", "RequestEntityTooLarge"},
		{"signed chunks", "5" + signature + "\r\nhello\r\n6" + signature + "\r\n world\r\n0" + signature + "\r\n\r\n",
			map[string]string{"X-Amz-Content-Sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length": "11"}, "hello world", ""},
		{"an unsigned chunk and a trailer", "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n",
			map[string]string{"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, "hello world", ""},
		{"chunks by their content encoding alone", "1\r\na\r\n0\r\n\r\n", map[string]string{"Content-Encoding": "aws-chunked"}, "a", ""},
		{"no empty line at the end", "1\r\na\r\n0\r\n", map[string]string{"Content-Encoding": "aws-chunked"}, "a", ""},
		{"a size that is no number", "x\r\na\r\n0\r\n\r\n", map[string]string{"Content-Encoding": "aws-chunked"}, "", "IncompleteBody"},
		{"a size that is negative", "-1\r\na\r\n0\r\n\r\n", map[string]string{"Content-Encoding": "aws-chunked"}, "", "IncompleteBody"},
		{"a chunk cut short", "5\r\nhel", map[string]string{"Content-Encoding": "aws-chunked"}, "", "IncompleteBody"},
		{"a chunk longer than it says", "2\r\nhello\r\n0\r\n\r\n", map[string]string{"Content-Encoding": "aws-chunked"}, "", "IncompleteBody"},
		{"no last chunk", "1\r\na\r\n", map[string]string{"Content-Encoding": "aws-chunked"}, "", "IncompleteBody"},
		{"a chunk past the limit", "ffffffffffff\r\n", map[string]string{"Content-Encoding": "aws-chunked"}, "", "RequestEntityTooLarge"},
		{"chunks past the limit together", strings.Repeat("20\r\n"+strings.Repeat("x", 32)+"\r\n", 3) + "0\r\n\r\n",
			map[string]string{"Content-Encoding": "aws-chunked"}, "", "RequestEntityTooLarge"},
		{"another length than declared", "1\r\na\r\n0\r\n\r\n",
			map[string]string{"Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": "2"}, "", "IncompleteBody"},
		{"an endless chunk header", strings.Repeat("1", 1<<20), map[string]string{"Content-Encoding": "aws-chunked"}, "", "IncompleteBody"},
		{"a trailer that is none", "0\r\nnonsense\r\n\r\n", map[string]string{"Content-Encoding": "aws-chunked"}, "", "IncompleteBody"},
		{"too many trailers", "0\r\n" + strings.Repeat("a:b\r\n", 100) + "\r\n", map[string]string{"Content-Encoding": "aws-chunked"}, "", "IncompleteBody"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("PUT", "/", strings.NewReader(c.body))
			for name, value := range c.headers {
				r.Header.Set(name, value)
			}
			got, e := wire.ReadBody(r, 64)
			switch {
			case c.code == "" && (e != nil || string(got) != c.want):
				t.Errorf("ReadBody = %q, %v, want %q", got, e, c.want)
			case c.code != "" && (e == nil || e.Code != c.code):
				t.Errorf("ReadBody = %q, %v, want %s", got, e, c.code)
			}
		})
	}
}

func TestTrailersAreKept(t *testing.T) {
	r := httptest.NewRequest("PUT", "/", strings.NewReader("1\r\na\r\n0\r\nx-amz-checksum-crc32: 6Le+Qw==\r\n\r\n"))
	r.Header.Set("Content-Encoding", "aws-chunked")
	if _, e := wire.ReadBody(r, 64); e != nil {
		t.Fatal(e)
	}
	if got := r.Trailer.Get("X-Amz-Checksum-Crc32"); got != "6Le+Qw==" {
		t.Errorf("trailer = %q", got)
	}
}

func TestABodyThatBreaksOff(t *testing.T) {
	r := httptest.NewRequest("PUT", "/", io.MultiReader(strings.NewReader("hel"), broken{}))
	if _, e := wire.ReadBody(r, 64); e == nil || e.Code != "IncompleteBody" {
		t.Errorf("ReadBody = %v, want IncompleteBody", e)
	}
	r.Body = nil
	if body, e := wire.ReadBody(r, 64); e != nil || body != nil {
		t.Errorf("ReadBody of no body = %q, %v", body, e)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
