// Package frontdoor is how clients reach the embedded AWS: three doors over
// one http.Handler.
//
//   - [Listen] is a single port, for AWS_ENDPOINT_URL.
//   - [Proxy] is a forward proxy, for HTTPS_PROXY and AWS_CA_BUNDLE: clients
//     use the real host names, and no host but AWS's is served, so that
//     nothing reaches the real AWS, or anything else, by accident.
//   - [RoundTripper] is an in-process http.RoundTripper, for Go programs and
//     tests that need no socket.
//
// All three leave Host as the client sent it; finding the service from it, the
// path or the signature is the handler's work. Nothing here authenticates or
// authorizes anybody, and nothing here ever connects to another machine.
package frontdoor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Limits of all servers here. Bodies may take minutes, so that faults with
// latency and large uploads fit; headers may not.
const (
	headerTimeout  = 10 * time.Second
	requestTimeout = 5 * time.Minute
	idleTimeout    = 2 * time.Minute
	maxHeader      = 256 << 10
	shutdownGrace  = 5 * time.Second
)

// DefaultAddr is where Listen listens if it is told nothing.
const DefaultAddr = "127.0.0.1:7171"

// Server is a running single port. Make one with [Listen].
type Server struct {
	addr   net.Addr
	cancel context.CancelFunc
	done   chan struct{}
	err    error // valid once done is closed
}

// Listen serves handler on addr, HOST:PORT; port 0 picks a free one. Without a
// host it is loopback alone, never every interface: that has to be said, as
// 0.0.0.0. Empty means DefaultAddr.
//
// ctx governs the server's life: when it ends, requests under way get five
// seconds to finish.
func Listen(ctx context.Context, addr string, handler http.Handler) (*Server, error) {
	if handler == nil {
		return nil, errors.New("listening: no handler")
	}
	ln, err := listen(ctx, addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Server{addr: ln.Addr(), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.err = serve(ctx, running{newServer(ctx, handler), ln})
	}()
	return s, nil
}

// listen opens a port for a door, on loopback if no host is given.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(cmp.Or(addr, DefaultAddr))
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", addr, err)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", net.JoinHostPort(cmp.Or(host, "127.0.0.1"), port))
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", addr, err)
	}
	return ln, nil
}

// Addr is the address listened on, with the port that was picked.
func (s *Server) Addr() net.Addr { return s.addr }

// URL is the address in the form AWS_ENDPOINT_URL takes.
func (s *Server) URL() string { return URL(s.addr) }

// URL is where clients on this computer reach a door that listens on addr. A door
// on every interface is reached by loopback: its own address, 0.0.0.0 or ::, is
// none that can be called.
func URL(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return "http://" + addr.String()
}

// Exposed reports whether other computers can reach a door that listens on addr.
func Exposed(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}

// Wait blocks until the server has stopped and says why, nil for its context's
// end or Close.
func (s *Server) Wait() error {
	<-s.done
	return s.err
}

// Close stops the server and waits for the requests under way, at most five
// seconds.
func (s *Server) Close() error {
	s.cancel()
	return s.Wait()
}

// newServer has the limits above. Requests outlive ctx's end by the grace
// period, so they do not inherit it.
func newServer(ctx context.Context, handler http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		Protocols:         &protocols,
		// The handler answers every request, OPTIONS * too.
		DisableGeneralOptionsHandler: true,
		// Broken handshakes and aborted requests are the clients' to report.
		ErrorLog:    log.New(io.Discard, "", 0),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
}

// running is a server and what it accepts from.
type running struct {
	server   *http.Server
	listener net.Listener
}

// serve runs servers until ctx ends or one of them fails, then stops them in
// order and waits for all. Closing one ends no request of the others before
// its grace is over.
func serve(ctx context.Context, all ...running) error {
	errs := make(chan error, len(all))
	for _, r := range all {
		go func() { errs <- r.server.Serve(r.listener) }()
	}
	var failure error
	left := len(all)
	select {
	case <-ctx.Done():
	case failure = <-errs:
		left--
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	for _, r := range all {
		if r.server.Shutdown(grace) != nil {
			_ = r.server.Close() // its listener is closed already; connections are cut
		}
	}
	for range left {
		failure = cmp.Or(failure, <-errs)
	}
	if errors.Is(failure, http.ErrServerClosed) {
		return nil
	}
	return failure
}
