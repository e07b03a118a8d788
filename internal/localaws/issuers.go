package localaws

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/oidc"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// issuerPath begins the path of every cluster's issuer.
const issuerPath = "/id/"

// serveIssuer answers for discovery documents and keys of clusters, under the
// real host name through a proxy and under any other on a single port.
func (s *Server) serveIssuer(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, issuerPath) {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if !strings.HasPrefix(host, "oidc.") {
		host = ""
	}
	issuer := s.issuerAt(host, r.URL.Path)
	if issuer == nil {
		return false
	}
	issuer.Issuer.ServeHTTP(w, r)
	return true
}

func (s *Server) issuerAt(host, path string) *store.ClusterIssuer {
	s.world.RLock()
	defer s.world.RUnlock()
	return s.world.IssuerAt(host, path)
}

// issuerDocument finds what our own issuers serve at a URL.
func (s *Server) issuerDocument(address string) ([]byte, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return nil, false
	}
	issuer := s.issuerAt(u.Host, u.Path)
	switch {
	case issuer == nil:
		return nil, false
	case strings.HasSuffix(u.Path, "/.well-known/openid-configuration"):
		return issuer.Issuer.Discovery(), true
	}
	return issuer.Issuer.JWKS(), true
}

// Issuer returns the URL of a cluster's OIDC issuer.
func (s *Server) Issuer(account arn.AccountID, cluster string) (string, bool) {
	s.world.RLock()
	defer s.world.RUnlock()
	issuer := s.world.IssuerOf(account, cluster)
	if issuer == nil {
		return "", false
	}
	return issuer.Issuer.URL(), true
}

// ServiceAccountToken issues a token as a cluster's API server does, at the
// local AWS's time. ok is false when there is no such cluster.
func (s *Server) ServiceAccountToken(account arn.AccountID, cluster string, req oidc.TokenRequest) (token string, ok bool, err error) {
	s.world.RLock()
	issuer := s.world.IssuerOf(account, cluster)
	s.world.RUnlock()
	if issuer == nil {
		return "", false, nil
	}
	if req.IssuedAt.IsZero() {
		req.IssuedAt = s.world.Now().Truncate(time.Second)
	}
	token, err = issuer.Issuer.Token(req)
	return token, true, err
}

// fetchFunc gets a document by its URL.
type fetchFunc = func(ctx context.Context, address string) ([]byte, error)

// configuredOnly refuses hosts that are neither loopback nor among hosts: a
// registered provider and a token must not make the local AWS reach anywhere.
func configuredOnly(hosts []string, fetch fetchFunc) fetchFunc {
	return func(ctx context.Context, address string) ([]byte, error) {
		u, err := url.Parse(address)
		if err != nil {
			return nil, fmt.Errorf("fetching from issuer: %w", err)
		}
		allowed := slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, u.Host) || strings.EqualFold(h, u.Hostname()) })
		if ip, err := netip.ParseAddr(u.Hostname()); !allowed && u.Hostname() != "localhost" && (err != nil || !ip.Unmap().IsLoopback()) {
			return nil, fmt.Errorf("fetching from issuer: host %q is neither loopback nor configured", u.Host)
		}
		return fetch(ctx, address)
	}
}
