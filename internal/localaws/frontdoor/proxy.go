package frontdoor

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// ProxyConfig configures a Proxy.
type ProxyConfig struct {
	// Handler answers every request. Required.
	Handler http.Handler
	// Domains are those whose sub-domains are served. Default: DefaultDomains.
	Domains []string
	// CAFile, if not empty, gets the authority's certificate in PEM when the
	// proxy is made, for AWS_CA_BUNDLE.
	CAFile string
	// Now is when the certificates begin. Default: time.Now, which is what
	// clients compare with, whatever clock the local AWS has.
	Now func() time.Time
}

// Proxy is a forward proxy that ends at the handler: CONNECT to an AWS host is
// answered with TLS under an authority of its own, absolute http URLs of AWS
// hosts directly, everything else with 403. It speaks HTTP/1.1. Make one with
// [NewProxy]. Safe for concurrent use.
type Proxy struct {
	handler http.Handler
	hosts   hostPolicy
	ca      *authority
}

// NewProxy makes a proxy and its authority.
func NewProxy(cfg ProxyConfig) (*Proxy, error) {
	if cfg.Handler == nil {
		return nil, errors.New("making proxy: no handler")
	}
	domains := cfg.Domains
	if len(domains) == 0 {
		domains = DefaultDomains()
	}
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	ca, err := newAuthority(domains, now())
	if err != nil {
		return nil, err
	}
	if cfg.CAFile != "" {
		if err := writePublic(cfg.CAFile, ca.pem); err != nil {
			return nil, err
		}
	}
	return &Proxy{handler: cfg.Handler, hosts: hostPolicy{domains}, ca: ca}, nil
}

// CACertPEM is the certificate that clients have to trust. The caller owns it.
func (p *Proxy) CACertPEM() []byte { return append([]byte(nil), p.ca.pem...) }

// Listen opens a port for Serve as the function Listen does: loopback unless
// a host is named.
func (p *Proxy) Listen(ctx context.Context, addr string) (net.Listener, error) {
	return listen(ctx, addr)
}

// Serve answers proxy requests from ln until ctx ends; requests under way then
// get five seconds. It closes ln and returns nil at ctx's end.
func (p *Proxy) Serve(ctx context.Context, ln net.Listener) error {
	tunnels := newTunnels(ln.Addr())
	outer := newServer(ctx, p.outer(tunnels))
	inner := newServer(ctx, http.HandlerFunc(p.inside))
	inner.ConnContext = withTunnelHost
	return serve(ctx, running{outer, ln}, running{inner, tunnels})
}

// outer answers what clients say to the proxy itself.
func (p *Proxy) outer(tunnels *tunnels) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodConnect:
			p.connect(w, r, tunnels)
		case r.URL.IsAbs():
			p.plain(w, r)
		default:
			http.Error(w, "stile local: this port is a proxy: use it as HTTPS_PROXY, not as an endpoint URL", http.StatusBadRequest)
		}
	})
}

// connect takes over the connection and hands it, with TLS on it, to the
// inner server.
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request, tunnels *tunnels) {
	if !strings.Contains(r.RequestURI, ":") || strings.ContainsAny(r.RequestURI, "/@?#") {
		http.Error(w, "stile local: CONNECT wants HOST:443", http.StatusBadRequest)
		return
	}
	host, err := p.hosts.checkAuthority(r.RequestURI, "443")
	if err != nil {
		refuse(w, err)
		return
	}
	cert, err := p.ca.leaf(host)
	if err != nil {
		http.Error(w, "stile local: "+err.Error(), http.StatusInternalServerError)
		return
	}
	raw, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "stile local: this connection cannot be a tunnel", http.StatusInternalServerError)
		return
	}
	conn := &tunnelConn{Conn: raw, reader: buffered.Reader, host: host}
	// A hijacked connection keeps the deadlines of the request before.
	_ = raw.SetDeadline(time.Now().Add(headerTimeout))
	if _, err := io.WriteString(raw, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_ = raw.Close() // the client has gone
		return
	}
	_ = raw.SetDeadline(time.Time{})
	tunnels.add(tls.Server(conn, &tls.Config{
		Certificates: []tls.Certificate{*cert},
		NextProtos:   []string{"http/1.1"},
		MinVersion:   tls.VersionTLS12,
	}))
}

// inside answers requests in a tunnel. Their Host must be the one the tunnel
// was opened to, which is the one its certificate names.
func (p *Proxy) inside(w http.ResponseWriter, r *http.Request) {
	host, err := p.hosts.checkAuthority(r.Host, "443")
	if tunnel, _ := r.Context().Value(tunnelKey{}).(string); err != nil || host != tunnel {
		http.Error(w, "stile local: the Host header is not the host this connection was opened to", http.StatusMisdirectedRequest)
		return
	}
	if r.URL.IsAbs() {
		r = originForm(r)
	}
	p.handler.ServeHTTP(w, r)
}

// plain answers http://HOST/… requests to AWS hosts. The metadata addresses
// (169.254.169.254 and others) are not among them.
func (p *Proxy) plain(w http.ResponseWriter, r *http.Request) {
	_, err := p.hosts.checkAuthority(r.URL.Host, "80")
	switch {
	case err != nil:
		refuse(w, err)
	case r.URL.Scheme != "http" || r.URL.User != nil:
		http.Error(w, "stile local: only http URLs without user are proxied; https goes through CONNECT", http.StatusBadRequest)
	default:
		p.handler.ServeHTTP(w, originForm(r))
	}
}

func refuse(w http.ResponseWriter, err error) {
	http.Error(w, "stile local: "+err.Error(), http.StatusForbidden)
}

// originForm is the request as the host itself would have got it.
func originForm(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	out.Host = r.URL.Host
	out.URL.Scheme, out.URL.Host = "", ""
	out.RequestURI = out.URL.RequestURI()
	out.Header.Del("Proxy-Connection")
	out.Header.Del("Proxy-Authorization")
	return out
}

// tunnelKey is the context key of the host a tunnel was opened to.
type tunnelKey struct{}

func withTunnelHost(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		if conn, ok := t.NetConn().(*tunnelConn); ok {
			return context.WithValue(ctx, tunnelKey{}, conn.host)
		}
	}
	return ctx
}

// tunnelConn is a hijacked connection with what was read ahead of it.
type tunnelConn struct {
	net.Conn
	reader *bufio.Reader
	host   string
}

// Read reads what the first server had buffered, then the connection.
func (c *tunnelConn) Read(b []byte) (int, error) { return c.reader.Read(b) }

// tunnels is the listener of the inner server: it accepts what connect adds.
type tunnels struct {
	addr  net.Addr
	conns chan net.Conn

	once   sync.Once
	closed chan struct{}
}

func newTunnels(addr net.Addr) *tunnels {
	return &tunnels{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (t *tunnels) add(c net.Conn) {
	select {
	case t.conns <- c:
	case <-t.closed:
		_ = c.Close() // nobody serves it any more
	}
}

// Accept implements net.Listener.
func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (t *tunnels) Close() error {
	t.once.Do(func() { close(t.closed) })
	return nil
}

// Addr implements net.Listener.
func (t *tunnels) Addr() net.Addr { return t.addr }
