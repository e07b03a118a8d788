package signin

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/signin/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// The grant types (AWS Sign-In API reference, CreateOAuth2Token).
const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
)

// credentialLife is how long the credentials last ("maximum 900").
const credentialLife = 15 * time.Minute

// NewService is the API of sign-in, which turns what [Endpoint]'s page gave into
// credentials. CreateOAuth2TokenWithIAM, registered clients and resource policies
// are not here.
//
// Where AWS's documentation and what people saw of AWS differ, this is the
// stricter: a refresh token is good once, though the model calls refreshing
// "idempotent within token validity window".
func NewService() *service.Service {
	s := service.New("signin")
	s.Errors = withReason
	service.Register(s, "CreateOAuth2Token", service.Op[signin.CreateOAuth2TokenInput, signin.CreateOAuth2TokenOutput]{
		Unsigned: true, Asks: true, Handle: createToken,
	})
	return s
}

// withReason gives errors the member "error", and those of the kernel a name that
// the service has.
func withReason(e *wire.Error) *wire.Error {
	if e.Fields != nil {
		return e
	}
	reason := types.OAuth2ErrorCodeInvalidRequest
	switch e.Code {
	case "TooManyRequestsException", "ThrottlingException", "Throttling":
		e.Code, e.Status = "TooManyRequestsError", 0
	case "InternalFailure", "InternalServerException", "ServiceUnavailable":
		e.Code, reason = "InternalServerException", types.OAuth2ErrorCodeServerError
	case "SerializationException":
		e.Code, e.Status = "ValidationException", 0
	}
	e.Fields = map[string]any{"error": string(reason)}
	return e
}

// denied is an AccessDeniedException with its reason, which decides the status
// ("HTTP 401: TOKEN_EXPIRED, AUTHCODE_EXPIRED; HTTP 403: …").
func denied(c *service.Call, reason types.OAuth2ErrorCode, message string) *wire.Error {
	e := c.Errorf("AccessDeniedException", "%s", message)
	e.Fields, e.Status = map[string]any{"error": string(reason)}, http.StatusForbidden
	if reason == types.OAuth2ErrorCodeTokenExpired || reason == types.OAuth2ErrorCodeAuthcodeExpired {
		e.Status = http.StatusUnauthorized
	}
	return e
}

func invalid(c *service.Call, message string) *wire.Error {
	return c.Errorf("ValidationException", "%s", message)
}

func createToken(c *service.Call, in *signin.CreateOAuth2TokenInput) (*signin.CreateOAuth2TokenOutput, *wire.Error) {
	grants := c.World.SignInGrants()
	shown, e := prove(c, grants)
	if e != nil {
		return nil, e
	}
	if aws.ToString(in.TokenInput.GrantType) == grantCode {
		return byCode(c, in.TokenInput, grants, shown)
	}
	return byRefresh(c, in.TokenInput, grants, shown)
}

// prove checks the request's DPoP proof, and that nobody showed it before.
func prove(c *service.Call, grants *store.SignIn) (*proof, *wire.Error) {
	values := c.Header.Values("DPoP")
	if len(values) != 1 {
		return nil, invalid(c, "One DPoP header is required")
	}
	p, err := readProof(values[0], c.Endpoint+tokenPath)
	if err != nil {
		return nil, invalid(c, err.Error())
	}
	age := c.Now.Sub(p.at).Abs()
	if by := c.Now.Add(-c.World.Offset).Sub(p.at).Abs(); by < age { // clients go by the computer's clock
		age = by
	}
	id := p.thumbprint + " " + p.id
	switch _, again := grants.Proofs[id]; {
	case age > proofAge:
		return nil, invalid(c, "The DPoP proof is too old, or of a time to come")
	case again:
		return nil, invalid(c, "The DPoP proof was shown before")
	}
	if len(grants.Proofs) >= maxGrants {
		grants.Sweep(c.Now)
	}
	grants.Proofs[id] = c.Now.Add(2 * proofAge)
	return p, nil
}

// byCode redeems an authorization code. Whoever presents one spends it (RFC 6749,
// section 4.1.2).
func byCode(c *service.Call, in *types.CreateOAuth2TokenRequestBody, grants *store.SignIn, shown *proof) (*signin.CreateOAuth2TokenOutput, *wire.Error) {
	if in.Code == nil || in.RedirectUri == nil || in.CodeVerifier == nil {
		return nil, invalid(c, "code, redirectUri and codeVerifier are required")
	}
	code := grants.Codes[*in.Code]
	if code == nil || code.Client != *in.ClientId || code.Region != c.Region {
		return nil, invalid(c, "The authorization code is invalid")
	}
	delete(grants.Codes, *in.Code)
	switch {
	case !c.Now.Before(code.Expires):
		return nil, denied(c, types.OAuth2ErrorCodeAuthcodeExpired, "The authorization code has expired.")
	case code.Redirect != *in.RedirectUri:
		return nil, invalid(c, "redirectUri is not that of the authorization request")
	case subtle.ConstantTimeCompare([]byte(challengeOf(*in.CodeVerifier)), []byte(code.Challenge)) != 1:
		return nil, invalid(c, "codeVerifier is invalid")
	}
	grants.Sweep(c.Now)
	if len(grants.Sessions) >= maxGrants {
		return nil, c.Errorf("TooManyRequestsError", "Too many sessions are open")
	}
	id := c.World.IDs().Hex(32)
	session := &store.SignInSession{Client: code.Client, Region: code.Region, Thumbprint: shown.thumbprint, Session: code.Session}
	out, arn, e := issue(c, grants, id, session)
	if e != nil {
		return nil, e
	}
	grants.Sessions[id] = session
	out.TokenOutput.IdToken = aws.String(idToken(c, grants.Key, session, arn))
	return out, nil
}

// byRefresh rotates: the token is spent, a new one is given. Another Region knows
// nothing of it (aws-cli#10613).
func byRefresh(c *service.Call, in *types.CreateOAuth2TokenRequestBody, grants *store.SignIn, shown *proof) (*signin.CreateOAuth2TokenOutput, *wire.Error) {
	if in.RefreshToken == nil {
		return nil, invalid(c, "refreshToken is required")
	}
	id, known := grants.Refresh[*in.RefreshToken]
	session := grants.Sessions[id]
	switch {
	case !known || session == nil || !c.Now.Before(session.Session.Expires):
		return nil, denied(c, types.OAuth2ErrorCodeTokenExpired, "The refresh token has expired.")
	case session.Client != *in.ClientId || session.Region != c.Region:
		return nil, invalid(c, "The refresh token is invalid")
	case subtle.ConstantTimeCompare([]byte(session.Thumbprint), []byte(shown.thumbprint)) != 1:
		return nil, invalid(c, "The DPoP proof is not of the refresh token's key")
	}
	out, _, e := issue(c, grants, id, session)
	if e != nil {
		return nil, e
	}
	delete(grants.Refresh, *in.RefreshToken)
	return out, nil
}

// issue gives a session credentials and a new refresh token, if it may have them.
func issue(c *service.Call, grants *store.SignIn, id string, session *store.SignInSession) (*signin.CreateOAuth2TokenOutput, string, *wire.Error) {
	s := session.Session
	caller := service.SessionCaller(c.World, &s)
	if caller == nil { // AWS does not tell what it answers for those who are gone
		return nil, "", denied(c, types.OAuth2ErrorCodeUserCredentialsChanged, "The user is not known any more.")
	}
	if verdict := c.Check(gate.Caller{Principal: caller.Principal, Session: &s}, access("CreateOAuth2Token", session.Client, session.Region, s.Account)); !verdict.Allowed {
		c.Blame(verdict)
		return nil, "", denied(c, types.OAuth2ErrorCodeInsufficientPermissions, verdict.Message)
	}
	s.Expires = earlier(s.Expires, c.Now.Add(credentialLife))
	token, e := c.Mint(&s)
	if e != nil {
		return nil, "", e
	}
	refresh := encode(c.World.IDs().Bytes(96))
	grants.Refresh[refresh] = id
	return &signin.CreateOAuth2TokenOutput{TokenOutput: &types.CreateOAuth2TokenResponseBody{
		AccessToken: &types.AccessToken{AccessKeyId: aws.String(s.AccessKey), SecretAccessKey: aws.String(s.Secret), SessionToken: aws.String(token)},
		TokenType:   aws.String("aws_sigv4"), ExpiresIn: aws.Int32(int32(s.Expires.Sub(c.Now) / time.Second)), RefreshToken: aws.String(refresh),
	}}, caller.Principal.ARN.String(), nil
}

// idToken says who signed in. Its claims are those of the AWS CLI's own tests; the
// clients do not verify it.
func idToken(c *service.Call, key []byte, session *store.SignInSession, who string) string {
	body, _ := json.Marshal(map[string]any{ // strings and numbers always can be
		"sub": who, "session_arn": who, "aud": session.Client, "iss": "https://signin.aws.amazon.com/signin",
		"iat": c.Now.Unix(), "exp": c.Now.Add(credentialLife).Unix(),
	})
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(body)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}
