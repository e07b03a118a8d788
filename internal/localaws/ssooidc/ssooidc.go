// Package ssooidc is the sign-in of IAM Identity Center on the local AWS: OAuth
// 2.0 with registered clients, device codes, authorization codes with PKCE and
// refresh tokens that are good once.
//
// Start with [New]. Instead of a login there are two pages, the authorization
// page and the device page, on which somebody says who they are; [Decide] says
// it without a browser. Nobody is asked for a password: whoever reaches the
// local AWS may be any of its people.
//
// CreateTokenWithIAM, trusted token issuers and customer managed applications
// are not here.
package ssooidc

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// The grant types (IAM Identity Center OIDC API reference, CreateToken).
const (
	grantDevice  = "urn:ietf:params:oauth:grant-type:device_code"
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
)

// Life times. AWS answers them in expiresIn and clientSecretExpiresAt; they are
// what it was seen to answer, and codes' is the AWS CLI's wait.
const (
	clientLife = 90 * 24 * time.Hour
	deviceLife = 10 * time.Minute
	codeLife   = 10 * time.Minute
	// refreshedLife is the life of an access token that comes with a refresh token
	// (aws-cli#7340: "fails one hour after authentication").
	refreshedLife = time.Hour
	// pollInterval is what StartDeviceAuthorization tells clients to keep to.
	pollInterval = time.Second
)

// New returns the service over world, whose pages need it.
func New(world *store.World) *service.Service {
	s := service.New("sso-oidc")
	s.Pages = (&pages{world: world}).serve
	s.Errors = inOAuth
	service.Register(s, "RegisterClient", service.Op[ssooidc.RegisterClientInput, ssooidc.RegisterClientOutput]{
		Unsigned: true, Free: true, Handle: registerClient,
	})
	service.Register(s, "StartDeviceAuthorization", service.Op[ssooidc.StartDeviceAuthorizationInput, ssooidc.StartDeviceAuthorizationOutput]{
		Unsigned: true, Free: true, Handle: startDevice,
	})
	service.Register(s, "CreateToken", service.Op[ssooidc.CreateTokenInput, ssooidc.CreateTokenOutput]{
		Unsigned: true, Free: true, Handle: createToken,
	})
	return s
}

// inOAuth gives errors the member "error" that OAuth 2.0 clients read (RFC 6749,
// section 5.2), and what the service has no error for one that it has.
func inOAuth(e *wire.Error) *wire.Error {
	switch e.Code {
	case "TooManyRequestsException":
		e.Code, e.Status = "SlowDownException", 0
	case "InternalFailure":
		e.Code, e.Status = "InternalServerException", 0
	case "SerializationException", "ValidationException":
		e.Code, e.Status = "InvalidRequestException", 0
	}
	if name, ok := strings.CutSuffix(e.Code, "Exception"); ok && e.Fields == nil {
		e.Fields = map[string]any{"error": snake(strings.Replace(name, "InternalServer", "ServerError", 1))}
	}
	return e
}

// snake is "invalid_grant" for "InvalidGrant".
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}

// secret is what somebody has to know. The prefix, AWS's own for tokens, sees to
// it that no program takes it for an option.
func secret(c *service.Call, prefix string) string { return prefix + encode(c.World.IDs().Bytes(48)) }

// client authenticates the caller as a registered client.
func client(c *service.Call, id, secret *string) (*store.SSOClient, *wire.Error) {
	known := c.World.SSO.Clients[aws.ToString(id)]
	switch {
	case known == nil || !same(known.Secret, aws.ToString(secret)):
		return nil, c.Errorf("InvalidClientException", "Invalid client credentials")
	case !c.Now.Before(known.Expires):
		return nil, c.Errorf("InvalidClientException", "Client registration has expired")
	}
	return known, nil
}

// instance is the one with a start URL, in the Region that is asked.
func instance(c *service.Call, startURL string) (*store.IdentityCenter, *wire.Error) {
	found := c.World.IdentityCenterAt(startURL)
	if found == nil || c.ByHost && found.Region != c.Region {
		return nil, c.Errorf("InvalidRequestException", "Invalid start URL provided: %s", startURL)
	}
	return found, nil
}
