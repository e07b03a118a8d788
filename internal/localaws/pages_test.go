package localaws_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/localaws"
)

// FuzzSignInRequests sends what nobody should to all that is answered without a
// signature: pages, tokens, the portal, federation. Nothing panics, fails by
// itself, or gives anything away.
func FuzzSignInRequests(f *testing.F) {
	s, err := localaws.New(localaws.Config{
		Accounts: []localaws.Account{{ID: A}, {ID: B}}, IdentityCenters: []localaws.IdentityCenter{acme()},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	for _, seed := range [][5]string{
		{"GET", "127.0.0.1:7171", "/authorize?client_id=a&redirect_uri=http://127.0.0.1:1/&response_type=code", "", ""},
		{"POST", "localhost", "/device", "application/x-www-form-urlencoded", "user_code=BCDF-GHJK&user=alice&answer=allow"},
		{"GET", "device.sso.us-east-1.amazonaws.com", "/?user_code=%00%ff", "", ""},
		{"POST", "oidc.us-east-1.amazonaws.com", "/client/register", "application/json", `{"clientName":"c","clientType":"public","scopes":["a"],"redirectUris":["http://[::1]/"]}`},
		{"POST", "oidc.us-east-1.amazonaws.com", "/token", "application/json", `{"clientId":"c","clientSecret":"s","grantType":"refresh_token"}`},
		{"POST", "127.0.0.1", "/token?aws_iam=t", "application/json", `{}`},
		{"POST", "127.0.0.1", "/device_authorization", "application/json", `[`},
		{"GET", "portal.sso.us-east-1.amazonaws.com", "/federation/credentials?account_id=1&role_name=a", "", ""},
		{"GET", "portal.sso.eu-west-1.amazonaws.com", "/assignment/accounts?max_result=x&next_token=%25", "", ""},
		{"GET", "signin.aws.amazon.com", "/federation?Action=getSigninToken&Session=%7B%22sessionId%22%3A%22a%22%7D&SessionDuration=-1", "", ""},
		{"GET", "eu-west-1.signin.aws.amazon.com", "/federation?Action=login&SigninToken=AAAA&Destination=https://console.aws.amazon.com/", "", ""},
		{"GET", "console.aws.amazon.com", "/s3", "", ""},
		{"GET", "127.0.0.1:7171", "/v1/authorize?response_type=code&client_id=arn:aws:signin:::devtools/same-device&scope=openid&code_challenge_method=SHA-256&code_challenge=" +
			"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&redirect_uri=http://127.0.0.1:1/oauth/callback", "", ""},
		{"POST", "localhost", "/v1/authorize?client_id=%ff", "application/x-www-form-urlencoded", "user=arn:aws:iam::111111111111:root&answer=allow"},
		{"GET", "eu-west-1.signin.aws.amazon.com", "/v1/sessions/confirmation?code=%00&state=%26", "", ""},
		{"POST", "eu-west-1.signin.aws.amazon.com", "/v1/token", "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwiY3J2IjoiUC0yNTYiLCJ4IjoiQSIsInkiOiJBIn19.e30.AA",
			`{"clientId":"arn:aws:signin:::devtools/same-device","grantType":"refresh_token","refreshToken":"x"}`},
		{"POST", "sts.amazonaws.com", "/", "application/x-www-form-urlencoded", "Action=AssumeRoleWithSAML&Version=2011-06-15&RoleArn=arn:aws:iam::111111111111:role/r&PrincipalArn=arn:aws:iam::111111111111:saml-provider/p&SAMLAssertion=PGE%2B"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	f.Fuzz(func(t *testing.T, method, host, target, contentType, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !strings.HasPrefix(target, "/") || strings.HasPrefix(u.Path, "/_stile/") {
			return
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "http://x/", strings.NewReader(body))
		if err != nil {
			return
		}
		r.URL, r.Host, r.RequestURI, r.RemoteAddr = u, host, target, "127.0.0.1:5000"
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("X-Amz-Sso_bearer_token", body)
		r.Header.Set("DPoP", contentType)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		text := w.Body.String()
		switch {
		case w.Code >= 500 && w.Code != http.StatusNotImplemented:
			t.Errorf("%s %s%s: %d %s", method, host, target, w.Code, text)
		case strings.Contains(text, `"accessToken"`), strings.Contains(text, `"secretAccessKey"`), strings.Contains(text, `"SigninToken"`), strings.Contains(text, "<SecretAccessKey>"):
			t.Errorf("%s %s%s gave something away: %s", method, host, target, text)
		case strings.Contains(w.Header().Get("Location"), "code="):
			t.Errorf("%s %s%s redirects to %s", method, host, target, w.Header().Get("Location"))
		}
	})
}
