package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// urlPolicy says which addresses may be fetched at all.
type urlPolicy struct{ allow []string }

// check refuses address unless it is https to a host that is not local, or
// an allowed host, or on loopback like the issuer itself.
func (p urlPolicy) check(address, issuer string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return fmt.Errorf("checking address %q: not a plain URL", clip(address))
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("checking address %q: neither https nor http", clip(address))
	case p.allows(u):
		return nil
	case isLoopback(u.Hostname()):
		if i, err := url.Parse(issuer); err == nil && isLoopback(i.Hostname()) {
			return nil
		}
		return fmt.Errorf("checking address %q: on loopback, while the issuer is not", clip(address))
	case u.Scheme != "https":
		return fmt.Errorf("checking address %q: plain http is for loopback and configured hosts", clip(address))
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !isPublic(ip) {
		return fmt.Errorf("checking address %q: %w", clip(address), errLocal)
	}
	return nil
}

// allows matches a configured host, with or without the port.
func (p urlPolicy) allows(u *url.URL) bool {
	return slices.ContainsFunc(p.allow, func(h string) bool {
		return strings.EqualFold(h, u.Host) || strings.EqualFold(h, u.Hostname())
	})
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// isPublic is false for the addresses that a server must not be talked into
// fetching from: loopback, private, link-local (the instance metadata
// service), multicast, unspecified.
func isPublic(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate()
}

var errLocal = errors.New("the address is local")

// FetcherConfig configures a Fetcher. The zero value is usable.
type FetcherConfig struct {
	// AllowHosts may resolve to local addresses. Give what VerifierConfig has.
	AllowHosts []string
	// Timeout bounds one request. Default 5 seconds.
	Timeout time.Duration
	// MaxBytes bounds a document. Default 64 KiB.
	MaxBytes int
	// RootCAs are trusted for https. Nil: the system's.
	RootCAs *x509.CertPool
}

// Fetcher gets discovery documents and key sets over HTTP: no proxy from the
// environment (it may be this very process), no redirect to another host, no
// connection to local addresses but for configured and loopback hosts. Safe
// for concurrent use.
type Fetcher struct {
	client   *http.Client
	maxBytes int
}

// NewFetcher makes a Fetcher. It keeps idle connections for a few seconds and
// needs no closing.
func NewFetcher(cfg FetcherConfig) *Fetcher {
	f := &Fetcher{maxBytes: positive(cfg.MaxBytes, defaultMaxBytes)}
	f.client = &http.Client{
		Timeout:       orDefault(cfg.Timeout, defaultTimeout),
		CheckRedirect: sameHost,
		Transport: &http.Transport{
			DialContext:            guardedDial(urlPolicy{allow: cfg.AllowHosts}),
			TLSClientConfig:        &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConns:           8,
			IdleConnTimeout:        5 * time.Second,
		},
	}
	return f
}

// Get fetches one document.
func (f *Fetcher) Get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, int64(f.maxBytes)+1))
	if err == nil && len(data) > f.maxBytes {
		err = errTooLarge
	}
	return data, err
}

// sameHost follows a few redirects that stay on the host and keep https.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > 3 || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return errors.New("redirected to another host or too often")
	}
	return nil
}

// guardedDial checks the address that a name resolved to, at the moment of
// connecting, so that a name cannot be public first and local then.
func guardedDial(p urlPolicy) func(ctx context.Context, network, addr string) (net.Conn, error) {
	open := &net.Dialer{Timeout: defaultTimeout}
	guarded := &net.Dialer{Timeout: defaultTimeout, Control: func(_, addr string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(addr)
		if err != nil || !isPublic(ap.Addr()) {
			return errLocal
		}
		return nil
	}}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		if isLoopback(host) || p.allows(&url.URL{Host: addr}) {
			return open.DialContext(ctx, network, addr)
		}
		return guarded.DialContext(ctx, network, addr)
	}
}
