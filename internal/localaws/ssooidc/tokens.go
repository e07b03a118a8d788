package ssooidc

import (
	"crypto/sha256"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

func startDevice(c *service.Call, in *ssooidc.StartDeviceAuthorizationInput) (*ssooidc.StartDeviceAuthorizationOutput, *wire.Error) {
	known, e := client(c, in.ClientId, in.ClientSecret)
	if e != nil {
		return nil, e
	}
	if !may(known, grantDevice) {
		return nil, c.Errorf("UnauthorizedClientException", "The client is not registered for device codes")
	}
	at, e := instance(c, *in.StartUrl)
	if e != nil {
		return nil, e
	}
	grants := c.World.SSOGrants()
	grants.Sweep(c.Now)
	if len(grants.Devices) >= store.MaxSSO {
		return nil, c.Errorf("SlowDownException", "Too many device authorizations are open")
	}
	code := secret(c, "dc")
	device := &store.SSODevice{Client: *in.ClientId, StartURL: at.StartURL, UserCode: userCode(c), Expires: c.Now.Add(deviceLife)}
	grants.Devices[code] = device
	page := devicePage(c, at)
	return &ssooidc.StartDeviceAuthorizationOutput{
		DeviceCode: aws.String(code), UserCode: aws.String(device.UserCode),
		VerificationUri: aws.String(page), VerificationUriComplete: aws.String(page + "?user_code=" + device.UserCode),
		ExpiresIn: int32(deviceLife / time.Second), Interval: int32(pollInterval / time.Second),
	}, nil
}

// userCode is a code that is easy to type: two times four letters, none of them
// a vowel.
func userCode(c *service.Call) string {
	const letters = "BCDFGHJKLMNPQRSTVWXZ"
	b := c.World.IDs().Bytes(8)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b[:4]) + "-" + string(b[4:])
}

// devicePage is where people type user codes: AWS's host through a proxy, this
// very port otherwise, for nothing else can be opened there.
func devicePage(c *service.Call, at *store.IdentityCenter) string {
	if c.ByHost {
		return "https://device.sso." + at.Region + ".amazonaws.com/"
	}
	return c.Endpoint + "/device"
}

func createToken(c *service.Call, in *ssooidc.CreateTokenInput) (*ssooidc.CreateTokenOutput, *wire.Error) {
	known, e := client(c, in.ClientId, in.ClientSecret)
	if e != nil {
		return nil, e
	}
	grant := *in.GrantType
	switch grant {
	case grantDevice, grantCode, grantRefresh:
	default:
		return nil, c.Errorf("UnsupportedGrantTypeException", "Grant type %s is not supported", grant)
	}
	if !may(known, grant) {
		return nil, c.Errorf("UnauthorizedClientException", "The client is not registered for grant type %s", grant)
	}
	switch grant {
	case grantDevice:
		return byDevice(c, in, known)
	case grantCode:
		return byCode(c, in, known)
	}
	return byRefresh(c, in, known)
}

// byDevice answers a client that polls. A code is good for one token.
func byDevice(c *service.Call, in *ssooidc.CreateTokenInput, known *store.SSOClient) (*ssooidc.CreateTokenOutput, *wire.Error) {
	grants := c.World.SSOGrants()
	device := grants.Devices[aws.ToString(in.DeviceCode)]
	switch {
	case in.DeviceCode == nil:
		return nil, c.Errorf("InvalidRequestException", "Missing parameter: deviceCode")
	case device == nil || device.Client != *in.ClientId:
		return nil, c.Errorf("InvalidGrantException", "Invalid device code provided")
	case !c.Now.Before(device.Expires):
		return nil, c.Errorf("ExpiredTokenException", "Device code has expired")
	case device.Denied:
		return nil, c.Errorf("AccessDeniedException", "The request was denied")
	case device.User == "":
		hasty := c.Now.Sub(device.Polled) < pollInterval
		device.Polled = c.Now
		if hasty {
			return nil, c.Errorf("SlowDownException", "Polled again within %s", pollInterval)
		}
		return nil, c.Errorf("AuthorizationPendingException", "The request has not been answered yet")
	}
	delete(grants.Devices, *in.DeviceCode)
	return signIn(c, known, &store.SSOSession{Client: *in.ClientId, StartURL: device.StartURL, User: device.User})
}

// byCode redeems an authorization code. Whoever presents one spends it, be the
// rest right or wrong (RFC 6749, section 4.1.2).
func byCode(c *service.Call, in *ssooidc.CreateTokenInput, known *store.SSOClient) (*ssooidc.CreateTokenOutput, *wire.Error) {
	if in.Code == nil || in.RedirectUri == nil || in.CodeVerifier == nil {
		return nil, c.Errorf("InvalidRequestException", "Missing parameter: code, redirectUri and codeVerifier are required")
	}
	grants := c.World.SSOGrants()
	code := grants.Codes[*in.Code]
	if code == nil || code.Client != *in.ClientId {
		return nil, c.Errorf("InvalidGrantException", "Invalid authorization code provided")
	}
	delete(grants.Codes, *in.Code)
	sum := sha256.Sum256([]byte(*in.CodeVerifier))
	switch {
	case !c.Now.Before(code.Expires):
		return nil, c.Errorf("InvalidGrantException", "Authorization code has expired")
	case code.Redirect != *in.RedirectUri:
		return nil, c.Errorf("InvalidGrantException", "The redirect URI is not the one of the authorization request")
	case !isVerifier(*in.CodeVerifier) || !same(encode(sum[:]), code.Challenge):
		return nil, c.Errorf("InvalidGrantException", "Invalid code verifier provided")
	}
	return signIn(c, known, &store.SSOSession{Client: *in.ClientId, StartURL: code.StartURL, User: code.User})
}

// isVerifier checks the form of a code verifier (RFC 7636, section 4.1).
func isVerifier(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return 43 <= len(s) && len(s) <= 128
}

// byRefresh rotates: the token is spent, a new one is given.
func byRefresh(c *service.Call, in *ssooidc.CreateTokenInput, known *store.SSOClient) (*ssooidc.CreateTokenOutput, *wire.Error) {
	if in.RefreshToken == nil {
		return nil, c.Errorf("InvalidRequestException", "Missing parameter: refreshToken")
	}
	grants := c.World.SSOGrants()
	id := grants.Refresh[*in.RefreshToken]
	session := grants.Sessions[id]
	if session == nil || session.Client != *in.ClientId || !c.Now.Before(session.Expires) {
		return nil, c.Errorf("InvalidGrantException", "Invalid refresh token provided")
	}
	delete(grants.Refresh, *in.RefreshToken)
	return issue(c, known, id, session)
}

// signIn begins a session and issues its first tokens. A person or an instance
// that has gone since has no session.
func signIn(c *service.Call, known *store.SSOClient, session *store.SSOSession) (*ssooidc.CreateTokenOutput, *wire.Error) {
	at := c.World.IdentityCenterAt(session.StartURL)
	if at == nil || at.User(session.User) == nil {
		return nil, c.Errorf("InvalidGrantException", "The user is not known any more")
	}
	session.Expires = c.Now.Add(at.SessionDuration)
	id := c.World.IDs().Hex(32)
	c.World.SSOGrants().Sessions[id] = session
	return issue(c, known, id, session)
}

func issue(c *service.Call, known *store.SSOClient, id string, session *store.SSOSession) (*ssooidc.CreateTokenOutput, *wire.Error) {
	grants := c.World.SSOGrants()
	if len(grants.Access) >= store.MaxSSO {
		grants.Sweep(c.Now)
	}
	out := &ssooidc.CreateTokenOutput{AccessToken: aws.String(secret(c, "aoa")), TokenType: aws.String("Bearer")}
	expires := session.Expires
	if refreshable(known) {
		expires = earlier(expires, c.Now.Add(refreshedLife))
		out.RefreshToken = aws.String(secret(c, "aor"))
		grants.Refresh[*out.RefreshToken] = id
	}
	grants.Access[*out.AccessToken] = &store.SSOAccess{Session: id, Expires: expires}
	out.ExpiresIn = int32(expires.Sub(c.Now) / time.Second)
	return out, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
