package frontdoor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// DefaultDomains are the domains under which AWS's endpoints are, in every
// partition; "aws" holds api.aws and on.aws. The caller owns the slice.
func DefaultDomains() []string {
	return []string{
		"amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "api.amazonwebservices.com.cn", "api.aws", "on.aws", "aws",
		// sign-in, the console and the access portals
		"aws.amazon.com", "amazonaws.cn", "amazonaws-us-gov.com", "amazonaws-eusc.eu", "awsapps.com",
	}
}

// ErrHostRefused is in errors about hosts that are not AWS's.
var ErrHostRefused = errors.New("only AWS endpoints are served here, and nothing is forwarded")

// hostPolicy is the list of domains whose sub-domains are served.
type hostPolicy struct{ domains []string }

// allows reports whether host, without a port, is below one of the domains. A
// name is letters, digits, hyphens, underscores and dots; an address never is
// one of AWS's.
func (p hostPolicy) allows(host string) bool {
	if !isName(host) {
		return false
	}
	host = strings.ToLower(host)
	return slices.ContainsFunc(p.domains, func(d string) bool {
		return strings.HasSuffix(host, "."+d)
	})
}

// checkAuthority splits HOST or HOST:PORT and refuses what is not served. The
// port, if there is one, must be the scheme's own.
func (p hostPolicy) checkAuthority(authority, port string) (string, error) {
	host := authority
	if h, given, err := net.SplitHostPort(authority); err == nil {
		if given != port {
			return "", fmt.Errorf("connecting to %q: port %s is expected: %w", clip(authority), port, ErrHostRefused)
		}
		host = h
	}
	if !p.allows(host) {
		return "", fmt.Errorf("connecting to %q: %w", clip(authority), ErrHostRefused)
	}
	return strings.ToLower(host), nil
}

// isName reports a host name in the form DNS has it (RFC 1123), underscores
// allowed for old bucket names, no dot at the end.
func isName(host string) bool {
	if len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if !isNameByte(label[i]) {
				return false
			}
		}
	}
	return true
}

func isNameByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '_'
}

// isLoopback reports this machine's own names and addresses.
func isLoopback(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") && isName(host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// clip bounds a client's text that is repeated in a message.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
