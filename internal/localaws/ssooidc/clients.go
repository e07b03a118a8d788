package ssooidc

import (
	"crypto/subtle"
	"encoding/base64"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// maxList and maxText bound what anybody may have kept here.
const (
	maxList = 50
	maxText = 2048
)

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func registerClient(c *service.Call, in *ssooidc.RegisterClientInput) (*ssooidc.RegisterClientOutput, *wire.Error) {
	if e := checkRegistration(c, in); e != nil {
		return nil, e
	}
	made := &store.SSOClient{
		Name: *in.ClientName, Scopes: in.Scopes, GrantTypes: in.GrantTypes, RedirectURIs: in.RedirectUris,
		Secret: secret(c, "cs"), Expires: c.Now.Add(clientLife),
	}
	if in.IssuerUrl != nil {
		issuer, e := instance(c, *in.IssuerUrl)
		if e != nil {
			return nil, e
		}
		made.StartURL = issuer.StartURL
	}
	grants := c.World.SSOGrants()
	grants.Sweep(c.Now)
	if len(grants.Clients) >= store.MaxSSO {
		return nil, c.Errorf("SlowDownException", "Too many clients are registered")
	}
	id := "c" + encode(c.World.IDs().Bytes(24))
	grants.Clients[id] = made
	return &ssooidc.RegisterClientOutput{
		ClientId: aws.String(id), ClientSecret: aws.String(made.Secret),
		ClientIdIssuedAt: c.Now.Unix(), ClientSecretExpiresAt: made.Expires.Unix(),
		AuthorizationEndpoint: aws.String(c.Endpoint + "/authorize"), TokenEndpoint: aws.String(c.Endpoint + "/token"),
	}, nil
}

func checkRegistration(c *service.Call, in *ssooidc.RegisterClientInput) *wire.Error {
	texts := slices.Concat([]string{*in.ClientName, *in.ClientType, aws.ToString(in.IssuerUrl)}, in.Scopes, in.GrantTypes, in.RedirectUris)
	switch {
	case *in.ClientType != "public":
		return c.Errorf("InvalidClientMetadataException", "The client type must be public")
	case *in.ClientName == "" || max(len(in.Scopes), len(in.GrantTypes), len(in.RedirectUris)) > maxList,
		slices.ContainsFunc(texts, func(s string) bool { return len(s) > maxText }):
		return c.Errorf("InvalidClientMetadataException", "The client's metadata are empty or too long")
	}
	for _, grant := range in.GrantTypes {
		if !slices.Contains([]string{grantDevice, grantCode, grantRefresh}, grant) {
			return c.Errorf("UnsupportedGrantTypeException", "Grant type %s is not supported", grant)
		}
	}
	for _, scope := range in.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \"\\") {
			return c.Errorf("InvalidScopeException", "Scope %q is not valid", scope)
		}
	}
	for _, uri := range in.RedirectUris {
		if !mayRedirect(uri) {
			return c.Errorf("InvalidRedirectUriException", "Redirect URI %q is neither https nor on a loopback address", uri)
		}
	}
	if !slices.Contains(in.GrantTypes, grantCode) {
		return nil
	}
	if len(in.RedirectUris) == 0 || in.IssuerUrl == nil {
		return c.Errorf("InvalidRequestException", "The grant type authorization_code needs redirectUris and issuerUrl")
	}
	return nil
}

// mayRedirect admits absolute URLs that are https, or http on a loopback
// address: RFC 8252 tells native apps not to use the name localhost (8.3).
func mayRedirect(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || strings.Contains(text, "#") {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u)
}

func isLoopback(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}

// registered reports whether a client may be answered at a URI: the one it
// registered, letter for letter, with any port where it is on a loopback
// address (RFC 8252, section 7.3).
func registered(client *store.SSOClient, text string) bool {
	if slices.Contains(client.RedirectURIs, text) {
		return true
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || !isLoopback(u) || u.User != nil {
		return false
	}
	port := ":" + u.Port()
	return slices.ContainsFunc(client.RedirectURIs, func(known string) bool {
		k, err := url.Parse(known)
		return err == nil && strings.TrimSuffix(u.Host, port) == strings.TrimSuffix(k.Host, ":"+k.Port()) && // [::1] is not 127.0.0.1
			text == "http://"+u.Host+strings.TrimPrefix(known, "http://"+k.Host)
	})
}

// may reports whether a client was registered for a grant type. Clients that
// named none are for the device code (API reference, RegisterClient: the AWS
// CLI's device flow registers none).
func may(client *store.SSOClient, grant string) bool {
	if len(client.GrantTypes) == 0 {
		return grant == grantDevice || grant == grantRefresh
	}
	return slices.Contains(client.GrantTypes, grant)
}

// refreshable reports whether a client gets refresh tokens: without scopes at
// registration it gets none, which is why legacy profiles end after eight
// hours (aws-cli#7656).
func refreshable(client *store.SSOClient) bool {
	return may(client, grantRefresh) && len(client.Scopes) > 0
}
