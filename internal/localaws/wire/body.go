package wire

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxChunkLine bounds a chunk's header or a trailer of an aws-chunked body; a
// chunk signature takes about 90 bytes.
const maxChunkLine = 4 << 10

// ReadBody reads the body of r, at most limit bytes of it, and undoes the
// aws-chunked encoding, signed or not. Trailers of such a body are left in
// r.Trailer. Neither chunk signatures nor trailing checksums are verified. A
// body past the limit is RequestEntityTooLarge, a broken one IncompleteBody.
func ReadBody(r *http.Request, limit int64) ([]byte, *Error) {
	if r.Body == nil {
		return nil, nil
	}
	if !isChunked(r) {
		body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
		if err != nil {
			return nil, incomplete()
		}
		if int64(len(body)) > limit {
			return nil, tooLarge(limit)
		}
		return body, nil
	}
	return readChunked(r, limit)
}

func isChunked(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") ||
		strings.Contains(strings.ToLower(r.Header.Get("Content-Encoding")), "aws-chunked")
}

// maxFraming and a quarter of the limit bound the chunk headers of a body: a
// signed chunk has some 90 bytes of header and, but for the last one, at least
// 8 KiB of data (S3, "Signature calculations: transferring payload in chunks").
const maxFraming = 64 << 10

// readChunked reads chunks of the form SIZE[;chunk-signature=SIG] CRLF DATA
// CRLF, the last of size zero, then trailers and an empty line.
func readChunked(r *http.Request, limit int64) ([]byte, *Error) {
	in := bufio.NewReaderSize(r.Body, maxChunkLine)
	var body []byte
	framing := int64(maxFraming) + limit/4 // what chunk headers may take
	for {
		line, err := chunkLine(in)
		if err != nil {
			return nil, incomplete()
		}
		if framing -= int64(len(line)); framing < 0 {
			return nil, tooLarge(limit)
		}
		text, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(strings.TrimSpace(text), 16, 62)
		if err != nil {
			return nil, incomplete()
		}
		if size == 0 {
			break
		}
		if int64(size) > limit-int64(len(body)) {
			return nil, tooLarge(limit)
		}
		start := len(body)
		body = append(body, make([]byte, size)...)
		if _, err := io.ReadFull(in, body[start:]); err != nil {
			return nil, incomplete()
		}
		if line, err := chunkLine(in); err != nil || line != "" {
			return nil, incomplete()
		}
	}
	if e := readTrailers(r, in); e != nil {
		return nil, e
	}
	declared := r.Header.Get("X-Amz-Decoded-Content-Length")
	if declared != "" && declared != strconv.Itoa(len(body)) {
		return nil, incomplete()
	}
	return body, nil
}

// readTrailers reads to the end of the body, which may come without the last
// empty line.
func readTrailers(r *http.Request, in *bufio.Reader) *Error {
	const most = 32
	for range most {
		line, err := chunkLine(in)
		if errors.Is(err, io.EOF) || err == nil && line == "" {
			return nil
		}
		if err != nil {
			return incomplete()
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return incomplete()
		}
		if r.Trailer == nil {
			r.Trailer = http.Header{}
		}
		r.Trailer.Add(name, strings.TrimSpace(value))
	}
	return incomplete()
}

// chunkLine reads one line without its end. A line longer than the buffer is an
// error.
func chunkLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

func incomplete() *Error {
	return &Error{
		Code: "IncompleteBody", Status: http.StatusBadRequest, Fault: Sender,
		Message: "The request body terminated unexpectedly or its encoding is broken.",
	}
}

func tooLarge(limit int64) *Error {
	return &Error{
		Code: "RequestEntityTooLarge", Status: http.StatusRequestEntityTooLarge, Fault: Sender,
		Message: "The request body is larger than " + strconv.FormatInt(limit, 10) + " bytes.",
	}
}
