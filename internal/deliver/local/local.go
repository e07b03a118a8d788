// Package local serves HTTP to the programs of this computer, or of containers on
// it, and to nobody else.
//
// A [Guard] refuses what may come from elsewhere: requests of another user's
// processes (on Linux), of web pages, through proxies, and for another host, as
// after DNS rebinding. Whoever serves secrets asks for a token besides.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/peer"
)

const (
	maxHeader  = 64 << 10
	headerTime = 5 * time.Second
	idleTime   = time.Minute
	closeTime  = time.Second
)

// Guard says who is answered. Make one with [Listen].
type Guard struct {
	// UID is the user whose processes are answered. Default: this process's.
	UID int
	// Hosts are other values of the Host header than the address listened on,
	// such as 169.254.169.254 where that address is redirected here.
	Hosts []string
	// Peers is the network whose containers are answered beside this computer.
	// Their user cannot be told.
	Peers netip.Prefix

	host string // HOST:PORT
}

var (
	// ErrNotLoopback means that listening where other computers may come would need Peers.
	ErrNotLoopback = errors.New("the address is not a loopback address, and no network of peers is given")
	// ErrAnyAddress means that requests could not be told from those for another host.
	ErrAnyAddress = errors.New("that is every address of this computer; name the one that clients ask for")
)

// Listen opens addr, "" for a random port of 127.0.0.1: the literal address, since
// Go and botocore accept no other http host without asking DNS. A link-local
// address, such as AWS's own 169.254.169.254 given to lo, is as good as loopback
// where the kernel tells whose a connection is.
func Listen(ctx context.Context, addr string, g *Guard) (net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listening on %q: want an IP address and a port", addr)
	}
	switch ip := at.Addr(); {
	case !ip.IsLoopback() && !(peer.KnowsTCP && ip.IsLinkLocalUnicast()) && !g.Peers.IsValid():
		return nil, fmt.Errorf("listening on %s: %w", addr, ErrNotLoopback)
	case ip.IsUnspecified():
		return nil, fmt.Errorf("listening on %s: %w", addr, ErrAnyAddress)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	g.host = ln.Addr().String()
	if host, ok := strings.CutSuffix(g.host, ":80"); ok { // clients leave http's own port out
		g.Hosts = append(slices.Clone(g.Hosts), host)
	}
	return ln, nil
}

// Host is the address listened on, HOST:PORT.
func (g *Guard) Host() string { return g.host }

// Server is a running HTTP server.
type Server struct {
	http *http.Server
	done chan error
}

// Serve answers with handler until Close. The handler asks g about every request.
func Serve(ctx context.Context, ln net.Listener, g *Guard, handler http.Handler) *Server {
	s := &Server{done: make(chan error, 1), http: &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0), // broken requests are their senders' business
		BaseContext:                  func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ConnContext:                  g.connected,
	}}
	go func() { s.done <- s.http.Serve(ln) }()
	return s
}

// Close stops serving, after what is being answered.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // cuts what did not end in time
	}
	if err := <-s.done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// End is when clients are told that credentials end. Those without an end get one:
// the clients of AWS's local protocols insist on it, and then ask again.
func End(c aws.Credentials) time.Time {
	if c.CanExpire {
		return c.Expires
	}
	return time.Now().Add(6 * time.Hour)
}

// Refuse says why a request is not answered, and with which status; "" if it may be.
// A page in a browser can send requests here, under a name of its own that it
// lets resolve to 127.0.0.1 too: it betrays itself by Host, by Origin, or by the
// headers in which browsers tell where a request comes from.
func (g *Guard) Refuse(r *http.Request) (status int, why string) {
	known, _ := r.Context().Value(peerKey{}).(bool)
	switch {
	case !known:
		return http.StatusForbidden, "only processes of the user who runs stile are answered"
	case r.Host != g.host && !slices.Contains(g.Hosts, r.Host):
		return http.StatusForbidden, "the Host is not " + g.host
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		return http.StatusForbidden, "web pages are not answered"
	case r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "":
		return http.StatusForbidden, "forwarded requests are not answered"
	}
	return 0, ""
}
