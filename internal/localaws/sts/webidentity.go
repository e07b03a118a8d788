package sts

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/oidc"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// webIdentity is AssumeRoleWithWebIdentity.
type webIdentity struct{ verifier *oidc.Verifier }

// bearer is who a token belongs to, left by verify for access and assume.
type bearer struct {
	claims   *oidc.Claims
	provider arn.ARN
	key      string // the issuer as condition keys have it
}

func durationText(n int32) string { return strconv.Itoa(int(n)) }

// account is the role's: the call is made in the account that is asked.
func (webIdentity) account(in *sts.AssumeRoleWithWebIdentityInput) arn.AccountID {
	a, err := arn.Parse(aws.ToString(in.RoleArn))
	if err != nil {
		return ""
	}
	return a.Account
}

// verify checks the token against the provider that the role's account has
// registered. It may fetch the issuer's keys, and so runs without the lock.
func (w webIdentity) verify(ctx context.Context, c *service.Call, in *sts.AssumeRoleWithWebIdentityInput) *wire.Error {
	token := aws.ToString(in.WebIdentityToken)
	a, err := arn.Parse(aws.ToString(in.RoleArn))
	if err != nil || a.Service != "iam" || a.Type() != "role" {
		return c.Errorf("ValidationError", "%s is invalid", aws.ToString(in.RoleArn))
	}
	issuer, failure := oidc.PeekIssuer(token)
	if failure != nil {
		return tokenError(c, failure)
	}
	provider := registered(c, a.Account, issuer)
	if provider == nil {
		return c.Errorf("InvalidIdentityTokenException", "No OpenIDConnect provider found in your account for %s", issuer)
	}
	claims, failure := w.verifier.Verify(ctx, token, issuer, provider.ClientIDs, c.Now)
	if failure != nil {
		return tokenError(c, failure)
	}
	b := &bearer{claims: claims, key: provider.Key, provider: arn.IAM(store.Partition, a.Account, "oidc-provider", "/", provider.Key)}
	c.Prepared = b
	c.Caller = gate.Caller{
		Principal: authz.Principal{Kind: authz.WebIdentity, Provider: b.provider},
		Claims:    claimContext(b),
	}
	return nil
}

// registered is the account's visible provider for an issuer, nil when there is none.
func registered(c *service.Call, account arn.AccountID, issuer string) *store.OIDCProvider {
	c.World.RLock()
	defer c.World.RUnlock()
	owner := c.World.Accounts[account]
	if owner == nil {
		return nil
	}
	key := strings.TrimPrefix(issuer, "https://")
	return store.Visible(c.World, account, owner.IAM.OIDCProviders[key])
}

// tokenError is STS's answer to a token that is not accepted.
func tokenError(c *service.Call, failure *oidc.Failure) *wire.Error {
	code := "InvalidIdentityTokenException"
	switch failure.Kind {
	case oidc.Expired:
		code = "ExpiredTokenException"
	case oidc.NotAJWT, oidc.Malformed, oidc.UnknownIssuer, oidc.Unreachable, oidc.KeyNotFound,
		oidc.BadSignature, oidc.Audience, oidc.NotYetValid, oidc.IssuedInFuture:
	}
	e := c.Errorf(code, "%s", failure.Message)
	e.Cause = failure
	return e
}

// claimContext are the condition keys of a token, named after its issuer (IAM
// user guide, "Available keys for AWS OIDC federation").
func claimContext(b *bearer) map[string][]string {
	keys := map[string][]string{
		b.key + ":sub": {b.claims.Subject},
		b.key + ":aud": {b.claims.Audience()},
	}
	if len(b.claims.AMR) > 0 {
		keys[b.key+":amr"] = b.claims.AMR
	}
	if b.claims.Authorized != "" {
		keys[b.key+":oaud"] = b.claims.Audiences
	}
	keys["aws:FederatedProvider"] = []string{b.provider.String()}
	return keys
}

// Claims by which an identity provider sets session tags and the source
// identity (IAM user guide, "Passing session tags using AssumeRoleWithWebIdentity").
const (
	tagsClaim   = "https://aws.amazon.com/tags"
	sourceClaim = "https://aws.amazon.com/source_identity"
)

// claimedTags are the session tags in a token. A tag has one value, or a list of one.
func claimedTags(claims *oidc.Claims) (tags []types.Tag, transitive []string) {
	claim, ok := claims.Raw[tagsClaim].(map[string]any)
	if !ok {
		return nil, nil
	}
	values, _ := claim["principal_tags"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if v := texts(values[key]); len(v) == 1 {
			tags = append(tags, types.Tag{Key: aws.String(key), Value: aws.String(v[0])})
		}
	}
	return tags, texts(claim["transitive_tag_keys"])
}

func claimedSource(claims *oidc.Claims) string {
	s, _ := claims.Raw[sourceClaim].(string)
	return s
}

// texts is a claim that is a string or a list of strings.
func texts(claim any) []string {
	switch v := claim.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, item := range v {
			if s, ok := item.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func (webIdentity) access(c *service.Call, in *sts.AssumeRoleWithWebIdentityInput) ([]gate.Access, *wire.Error) {
	role, a, e := findRole(c, aws.ToString(in.RoleArn))
	b, verified := c.Prepared.(*bearer)
	if e != nil {
		return nil, e
	}
	if role == nil || !verified {
		c.Blame(gate.Verdict{By: "account " + string(a.Account) + " has no role " + a.Resource})
		return nil, c.Errorf("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
	}
	tags, transitive := claimedTags(b.claims)
	source := claimedSource(b.claims)
	document, e := trust(c, role, a)
	if e != nil {
		return nil, e
	}
	assume := gate.Access{
		Action: "sts:AssumeRoleWithWebIdentity", Resource: a.String(), Account: a.Account, Policy: document,
		ResourceTags: role.Tags, RequestTags: tagMap(tags),
		Context: sessionContext(aws.ToString(in.RoleSessionName), source, transitive),
	}
	roleTags(assume.Context, role)
	if in.DurationSeconds != nil {
		assume.Context["sts:DurationSeconds"] = []string{durationText(*in.DurationSeconds)}
	}
	return steps(assume, source), nil
}

func (webIdentity) assume(c *service.Call, in *sts.AssumeRoleWithWebIdentityInput) (*sts.AssumeRoleWithWebIdentityOutput, *wire.Error) {
	b, ok := c.Prepared.(*bearer)
	role, a, e := findRole(c, aws.ToString(in.RoleArn))
	if e != nil || !ok {
		return nil, e
	}
	duration, e := roleSessionDuration(c, role, in.DurationSeconds, false)
	if e != nil {
		return nil, e
	}
	s := &store.Session{
		Kind: store.AssumedRole, Account: a.Account, Entity: role.ID, Name: aws.ToString(in.RoleSessionName),
		Expires: c.Now.Add(duration), Provider: b.provider.String(), CalledBy: b.key + ":" + b.claims.Subject,
		SourceIdentity: claimedSource(b.claims),
	}
	tags, transitive := claimedTags(b.claims)
	if s.Tags, s.Transitive, e = sessionTags(c, nil, tags, transitive); e != nil {
		return nil, e
	}
	creds, packed, e := policedCredentials(c, s, in.Policy, in.PolicyArns)
	if e != nil {
		return nil, e
	}
	out := &sts.AssumeRoleWithWebIdentityOutput{
		Credentials: creds, AssumedRoleUser: assumed(role, s),
		Provider: aws.String(b.provider.String()), Audience: aws.String(b.claims.Audience()),
		SubjectFromWebIdentityToken: aws.String(b.claims.Subject),
	}
	//lint:ignore SA1019 botocore's model and the clients in use know no other member yet
	out.PackedPolicySize = packed
	if s.SourceIdentity != "" {
		out.SourceIdentity = aws.String(s.SourceIdentity)
	}
	return out, nil
}
