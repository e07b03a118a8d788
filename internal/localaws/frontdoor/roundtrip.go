package frontdoor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// smallBody is how much of an answer is held back until the handler is done
// or flushes, so that small answers get a Content-Length, as from net/http.
const smallBody = 4 << 10

// inProcessAddr is the RemoteAddr of requests that came through no socket.
const inProcessAddr = "127.0.0.1:1"

// RoundTripper sends requests to handler within the process. Bodies stream in
// both directions; the request's context ends the handler's; https requests
// look to the handler as if they came over TLS. Hosts that are neither AWS's
// nor loopback get an error that is [ErrHostRefused]. Safe for concurrent use
// if handler is.
func RoundTripper(handler http.Handler) http.RoundTripper {
	return &inProcess{handler: handler, hosts: hostPolicy{DefaultDomains()}}
}

type inProcess struct {
	handler http.Handler
	hosts   hostPolicy
}

// RoundTrip implements http.RoundTripper.
func (t *inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.check(req); err != nil {
		closeBody(req)
		return nil, err
	}
	if err := context.Cause(req.Context()); err != nil {
		closeBody(req)
		return nil, err
	}
	ctx, cancel := context.WithCancel(req.Context())
	x := newExchange(req, cancel)
	in := incoming(ctx, req)
	// Whoever waits for the client's body or for the answer's reader is woken
	// when the context ends.
	stop := context.AfterFunc(ctx, func() {
		_ = x.writer.CloseWithError(context.Cause(ctx)) // never fails
		closeBody(req)
	})
	go func() {
		defer stop()
		x.run(t.handler, in)
		closeBody(req)
	}()
	select {
	case <-x.ready:
		return x.response()
	case <-ctx.Done():
		cancel()
		return nil, context.Cause(ctx)
	}
}

func (t *inProcess) check(req *http.Request) error {
	switch {
	case req.URL == nil:
		return errors.New("sending in process: the request has no URL")
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("sending in process: unsupported scheme %q", req.URL.Scheme)
	}
	host := req.URL.Hostname()
	if !t.hosts.allows(host) && !isLoopback(host) {
		return fmt.Errorf("sending in process to %q: %w", clip(host), ErrHostRefused)
	}
	return nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // a reader's Close has nothing to say
	}
}

// incoming is the request as a server would have read it.
func incoming(ctx context.Context, req *http.Request) *http.Request {
	in := req.Clone(ctx)
	in.Method = cmp.Or(req.Method, http.MethodGet)
	in.Host = cmp.Or(req.Host, req.URL.Host)
	in.URL = &url.URL{Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery, ForceQuery: req.URL.ForceQuery}
	if in.URL.Path == "" {
		in.URL.Path = "/"
	}
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = inProcessAddr
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	in.GetBody, in.Response = nil, nil
	if in.Header == nil {
		in.Header = http.Header{}
	}
	if in.Body == nil {
		in.Body, in.ContentLength = http.NoBody, 0
	} else if in.Body != http.NoBody && in.ContentLength == 0 {
		in.ContentLength = -1 // by the rules of http.Request on the client's side
	}
	in.TLS = nil
	if req.URL.Scheme == "https" {
		in.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: req.URL.Hostname()}
	}
	return in
}

// exchange is one answer on its way: the http.ResponseWriter of the handler
// and, once ready is closed, the response of the client.
type exchange struct {
	req    *http.Request
	cancel context.CancelFunc
	reader *io.PipeReader
	writer *io.PipeWriter
	ready  chan struct{}

	header http.Header // the handler's; frozen as sent when the status is set
	sent   http.Header
	status int
	buffer bytes.Buffer // held back until ready
	whole  bool         // the answer ended within buffer
	err    error        // the handler's panic before it answered
	once   sync.Once
}

func newExchange(req *http.Request, cancel context.CancelFunc) *exchange {
	x := &exchange{req: req, cancel: cancel, ready: make(chan struct{}), header: http.Header{}}
	x.reader, x.writer = io.Pipe()
	return x
}

// run calls the handler and ends the answer. A panic of the handler is an
// error of the request, as a cut connection would be.
func (x *exchange) run(handler http.Handler, in *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("sending in process: the handler panicked: %v", p)
			if p == http.ErrAbortHandler { // which is how a handler cuts the connection
				err = fmt.Errorf("sending in process: the connection was cut: %w", io.ErrUnexpectedEOF)
			}
			_ = x.writer.CloseWithError(err) // for a reader that has begun; never fails
			x.once.Do(func() {
				x.err = err
				close(x.ready)
			})
			return
		}
		x.WriteHeader(http.StatusOK)
		x.once.Do(func() {
			x.whole = true
			close(x.ready)
		})
		// A cut answer must not look whole, even if the handler ends first.
		_ = x.writer.CloseWithError(context.Cause(in.Context())) // never fails
	}()
	handler.ServeHTTP(x, in)
}

// Header implements http.ResponseWriter.
func (x *exchange) Header() http.Header { return x.header }

// WriteHeader implements http.ResponseWriter. Informational answers are
// dropped; the first final one counts.
func (x *exchange) WriteHeader(status int) {
	if x.status != 0 || status < 200 {
		return
	}
	x.status = status
	x.sent = x.header.Clone()
	if x.sent.Get("Date") == "" {
		x.sent.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(b []byte) (int, error) {
	x.WriteHeader(http.StatusOK)
	if x.req.Method == http.MethodHead || x.status == http.StatusNoContent || x.status == http.StatusNotModified {
		return len(b), nil
	}
	if !x.started() {
		if x.buffer.Len()+len(b) <= smallBody {
			return x.buffer.Write(b)
		}
		x.Flush()
	}
	return x.writer.Write(b)
}

// Flush implements http.Flusher.
func (x *exchange) Flush() {
	x.WriteHeader(http.StatusOK)
	x.once.Do(func() { close(x.ready) })
}

func (x *exchange) started() bool {
	select {
	case <-x.ready:
		return true
	default:
		return false
	}
}

// response is what the client gets. Called once, after ready.
func (x *exchange) response() (*http.Response, error) {
	if x.err != nil {
		x.cancel()
		return nil, x.err
	}
	if x.whole && x.sent.Get("Content-Length") == "" && x.req.Method != http.MethodHead && x.status != http.StatusNoContent {
		x.sent.Set("Content-Length", strconv.Itoa(x.buffer.Len()))
	}
	length, err := strconv.ParseInt(x.sent.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	return &http.Response{
		Status: strconv.Itoa(x.status) + " " + http.StatusText(x.status), StatusCode: x.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: x.sent, ContentLength: length, Request: x.req,
		Body: &answerBody{x: x, Reader: io.MultiReader(&x.buffer, x.reader)},
	}, nil
}

// answerBody is the body of a response. Closing it ends the handler's context,
// as a client that hangs up does.
type answerBody struct {
	io.Reader
	x *exchange
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	b.x.cancel()
	return b.x.reader.Close()
}
