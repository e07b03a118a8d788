package sts_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/internal/localaws/oidc"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

const issuerURL = "https://oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF"

// pod is a cluster's issuer, registered in account B, and a client without
// credentials.
type pod struct {
	*worldtest.Cloud
	issuer *oidc.Issuer
	admin  *iam.Client
	client *sts.Client
}

func newPod(t *testing.T) *pod {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := oidc.NewIssuer(issuerURL, oidc.IssuerConfig{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	c := cloudWith(t, oidc.NewVerifier(oidc.VerifierConfig{Fetch: func(_ context.Context, url string) ([]byte, error) {
		switch {
		case !strings.HasPrefix(url, issuerURL):
			return nil, errors.New("unreachable")
		case strings.HasSuffix(url, "/.well-known/openid-configuration"):
			return issuer.Discovery(), nil
		}
		return issuer.JWKS(), nil
	}}))
	p := &pod{Cloud: c, issuer: issuer, admin: admin(c, worldtest.B)}
	p.client = sts.New(sts.Options{Region: worldtest.Region, BaseEndpoint: aws.String(c.URL), Credentials: aws.AnonymousCredentials{}, RetryMaxAttempts: 1})
	p.register(t, "https://unreachable.example")
	p.register(t, issuerURL)
	makeRole(t, p.admin, "target", p.trust("system:serviceaccount:payroll:api"), "")
	return p
}

func (p *pod) register(t *testing.T, url string) {
	t.Helper()
	_, err := p.admin.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{Url: &url, ClientIDList: []string{"sts.amazonaws.com"}})
	if err != nil {
		t.Fatal(err)
	}
}

func (p *pod) trust(sub string) string {
	key := strings.TrimPrefix(issuerURL, "https://")
	return document(statement("Allow", `{"Federated":"arn:aws:iam::222222222222:oidc-provider/`+key+`"}`, `"sts:AssumeRoleWithWebIdentity"`,
		`{"StringEquals":{"`+key+`:sub":"`+sub+`","`+key+`:aud":"sts.amazonaws.com"}}`))
}

func (p *pod) token(t *testing.T, issuer *oidc.Issuer, change func(*oidc.TokenRequest)) string {
	t.Helper()
	req := oidc.TokenRequest{Namespace: "payroll", ServiceAccount: "api", Audiences: []string{"sts.amazonaws.com"}, IssuedAt: p.Clock.Now()}
	if change != nil {
		change(&req)
	}
	token, err := issuer.Token(req)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (p *pod) assume(t *testing.T, role, token string) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	t.Helper()
	return p.client.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &role, RoleSessionName: aws.String("pod"), WebIdentityToken: &token,
	})
}

func TestWebIdentityOpensTheRole(t *testing.T) {
	p := newPod(t)
	out, err := p.assume(t, targetARN, p.token(t, p.issuer, nil))
	if err != nil {
		t.Fatal(err)
	}
	if *out.SubjectFromWebIdentityToken != "system:serviceaccount:payroll:api" || *out.Audience != "sts.amazonaws.com" {
		t.Errorf("subject %s, audience %s", *out.SubjectFromWebIdentityToken, *out.Audience)
	}
	me, err := whoami(t, as(p.Cloud, out.Credentials))
	if err != nil || *me.Arn != "arn:aws:sts::222222222222:assumed-role/target/pod" {
		t.Errorf("%v %v", me, err)
	}
}

func TestWebIdentityErrors(t *testing.T) {
	p := newPod(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	issuer := func(url string) *oidc.Issuer {
		t.Helper()
		i, err := oidc.NewIssuer(url, oidc.IssuerConfig{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	another := func(change func(*oidc.TokenRequest)) string { return p.token(t, p.issuer, change) }
	for _, c := range []struct{ name, role, token, code, text string }{
		{"no JWT", targetARN, "not a token", "InvalidIdentityToken", ""},
		{"an issuer that nobody registered", targetARN, p.token(t, issuer("https://issuer.example"), nil), "InvalidIdentityToken",
			"No OpenIDConnect provider found in your account for https://issuer.example"},
		{"a forged signature", targetARN, p.token(t, issuer(issuerURL), nil), "InvalidIdentityToken", ""},
		{"an issuer that cannot be reached", targetARN, p.token(t, issuer("https://unreachable.example"), nil), "InvalidIdentityToken",
			"Couldn't retrieve verification key from your identity provider"},
		{"another audience", targetARN, another(func(r *oidc.TokenRequest) { r.Audiences = []string{"vault"} }), "InvalidIdentityToken", "Incorrect token audience"},
		{"an expired token", targetARN, another(func(r *oidc.TokenRequest) { r.IssuedAt = r.IssuedAt.Add(-2 * time.Hour) }), "ExpiredTokenException",
			"Token expired: current date/time"},
		{"another service account", targetARN, another(func(r *oidc.TokenRequest) { r.ServiceAccount = "worker" }), "AccessDenied",
			"Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"the service account in another case", targetARN, another(func(r *oidc.TokenRequest) { r.ServiceAccount = "API" }), "AccessDenied", ""},
		{"a role that does not exist", "arn:aws:iam::222222222222:role/none", another(nil), "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"an account without the provider", "arn:aws:iam::333333333333:role/target", another(nil), "InvalidIdentityToken", "No OpenIDConnect provider found"},
		{"no ARN of a role", "arn:aws:iam::222222222222:user/target", another(nil), "ValidationError", "is invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := p.assume(t, c.role, c.token)
			worldtest.WantError(t, err, c.code, c.text)
		})
	}
}

func TestProviderRegistrationIsNeeded(t *testing.T) {
	p := newPod(t)
	token := p.token(t, p.issuer, nil)
	ref := aws.String("arn:aws:iam::222222222222:oidc-provider/" + strings.TrimPrefix(issuerURL, "https://"))
	if _, err := p.admin.RemoveClientIDFromOpenIDConnectProvider(t.Context(), &iam.RemoveClientIDFromOpenIDConnectProviderInput{
		OpenIDConnectProviderArn: ref, ClientID: aws.String("sts.amazonaws.com")}); err != nil {
		t.Fatal(err)
	}
	_, err := p.assume(t, targetARN, token)
	worldtest.WantError(t, err, "InvalidIdentityToken", "Incorrect token audience")
	if _, err := p.admin.DeleteOpenIDConnectProvider(t.Context(), &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: ref}); err != nil {
		t.Fatal(err)
	}
	_, err = p.assume(t, targetARN, token)
	worldtest.WantError(t, err, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for "+issuerURL)
}

// A session by web identity counts as the role's: chaining it is bounded by an hour.
func TestWebIdentityIsTheFirstOfAChain(t *testing.T) {
	p := newPod(t)
	makeRole(t, p.admin, "hub", p.trust("system:serviceaccount:payroll:api"), assumeAll)
	makeRole(t, p.admin, "spoke", trust("arn:aws:iam::222222222222:role/hub"), "")
	out, err := p.assume(t, "arn:aws:iam::222222222222:role/hub", p.token(t, p.issuer, nil))
	if err != nil {
		t.Fatal(err)
	}
	hub := as(p.Cloud, out.Credentials)
	if _, err := assume(t, hub, "arn:aws:iam::222222222222:role/spoke", nil); err != nil {
		t.Error(err)
	}
	_, err = assume(t, hub, "arn:aws:iam::222222222222:role/spoke", func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(3601) })
	worldtest.WantError(t, err, "ValidationError", "role chaining")
}
