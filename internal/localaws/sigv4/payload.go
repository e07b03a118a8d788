package sigv4

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
)

// What x-amz-content-sha256 may say on S3 in place of a hash.
const (
	unsignedPayload  = "UNSIGNED-PAYLOAD"
	unsignedTrailer  = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	signedChunks     = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	signedTrailer    = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	emptyHash        = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	chunkAlgorithm   = "AWS4-HMAC-SHA256-PAYLOAD"
	trailerAlgorithm = "AWS4-HMAC-SHA256-TRAILER"
	maxChunkHeader   = 512
)

// payload is how a request signs its body: the text that ends the canonical
// request, and the body's own hash where one was computed.
type payload struct {
	hash, actual    string
	chunks, trailer bool
}

// payload finds what was signed. Every service but S3 hashes the body it got,
// whatever a header says; S3 takes the header's word and compares afterwards.
func (c *claim) payload(r *http.Request, body []byte) (payload, *Failure) {
	if !isS3(c.Service) {
		sum := bodyHash(body)
		return payload{hash: sum, actual: sum}, nil
	}
	if !c.hasSHA {
		if c.Presigned {
			return payload{hash: unsignedPayload}, nil
		}
		return payload{}, fail(MissingContentHash, "Missing required header for this request: x-amz-content-sha256")
	}
	switch c.shaHeader {
	case unsignedPayload, unsignedTrailer:
		return payload{hash: c.shaHeader}, nil
	case signedChunks:
		return payload{hash: c.shaHeader, chunks: true}, nil
	case signedTrailer:
		return payload{hash: c.shaHeader, chunks: true, trailer: true}, nil
	}
	if !isHash(c.shaHeader) {
		return payload{}, fail(MissingContentHash, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "+
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.")
	}
	return payload{hash: c.shaHeader, actual: bodyHash(body)}, nil
}

// checkBody compares the body with its announced hash, or chunk by chunk.
func (c *claim) checkBody(p payload, body, key []byte) *Failure {
	if p.chunks {
		return c.checkChunks(body, key, p.trailer)
	}
	if p.actual != "" && c.hasSHA && c.shaHeader != p.actual {
		return fail(BodyMismatch, "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return nil
}

// checkChunks walks an aws-chunked body and checks every chunk's signature,
// each of which covers the one before:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
func (c *claim) checkChunks(body, key []byte, trailer bool) *Failure {
	previous := hex.EncodeToString(c.signature)
	for {
		size, signature, rest, ok := chunkHeader(body)
		if !ok || size > len(rest) {
			return incompleteBody()
		}
		data := rest[:size]
		want := c.chunkSignature(key, previous, bodyHash(data))
		if !hmac.Equal([]byte(want), []byte(signature)) {
			return fail(WrongSignature, "The signature of a chunk of the request's body does not match the one we calculated.")
		}
		previous, body = want, rest[size:]
		if size == 0 {
			break
		}
		if body, ok = bytes.CutPrefix(body, []byte("\r\n")); !ok {
			return incompleteBody()
		}
	}
	if trailer {
		return c.checkTrailer(body, key, previous)
	}
	if len(bytes.Trim(body, "\r\n")) != 0 {
		return incompleteBody()
	}
	return nil
}

// checkTrailer checks the headers after the last chunk, which end in a
// signature of their own.
func (c *claim) checkTrailer(body, key []byte, previous string) *Failure {
	var canonical strings.Builder
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		text := string(bytes.TrimSuffix(line, []byte("\r")))
		if text == "" {
			continue
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			return incompleteBody()
		}
		name, value = strings.ToLower(name), strings.TrimSpace(value)
		if name != "x-amz-trailer-signature" {
			canonical.WriteString(name + ":" + value + "\n")
			continue
		}
		toSign := strings.Join([]string{trailerAlgorithm, c.amzDate, c.scopeString(), previous, bodyHash([]byte(canonical.String()))}, "\n")
		if hmac.Equal([]byte(hex.EncodeToString(mac(key, toSign))), []byte(value)) && endsWithLine(body, line) {
			return nil
		}
		break
	}
	return fail(WrongSignature, "The signature of the trailer of the request's body does not match the one we calculated.")
}

// endsWithLine reports that nothing follows line in body, so that no header
// can be added after the trailer's signature.
func endsWithLine(body, line []byte) bool {
	return bytes.HasSuffix(bytes.TrimRight(body, "\r\n"), bytes.TrimRight(line, "\r\n"))
}

func (c *claim) chunkSignature(key []byte, previous, hash string) string {
	toSign := strings.Join([]string{chunkAlgorithm, c.amzDate, c.scopeString(), previous, emptyHash, hash}, "\n")
	return hex.EncodeToString(mac(key, toSign))
}

// chunkHeader reads "SIZE;chunk-signature=HEX\r\n".
func chunkHeader(body []byte) (size int, signature string, rest []byte, ok bool) {
	end := bytes.Index(body[:min(len(body), maxChunkHeader)], []byte("\r\n"))
	if end < 0 {
		return 0, "", nil, false
	}
	length, ext, found := strings.Cut(string(body[:end]), ";")
	signature, named := strings.CutPrefix(ext, "chunk-signature=")
	n, err := strconv.ParseUint(length, 16, 31)
	if !found || !named || err != nil {
		return 0, "", nil, false
	}
	return int(n), signature, body[end+2:], true
}

func incompleteBody() *Failure {
	return fail(MalformedChunks, "You did not provide the number of bytes specified by the Content-Length HTTP header, or the body's chunks are malformed.")
}

func isHash(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}

func bodyHash(b []byte) string {
	if len(b) == 0 {
		return emptyHash
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
