package sts

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/saml"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// The attributes of assertions for AWS (IAM user guide, "Configure SAML
// assertions for the authentication response").
const (
	samlAttribute   = "https://aws.amazon.com/SAML/Attributes/"
	samlRole        = samlAttribute + "Role"
	samlSessionName = samlAttribute + "RoleSessionName"
	samlDuration    = samlAttribute + "SessionDuration"
	samlSource      = samlAttribute + "SourceIdentity"
	samlTag         = samlAttribute + "PrincipalTag:"
	samlTransitive  = samlAttribute + "TransitiveTagKeys"
	samlAudience    = "urn:amazon:webservices"
	maxRoleMappings = 500
)

// signedIn is who an assertion is of, left by verifySAML for access and handler.
type signedIn struct {
	assertion   *saml.Assertion
	provider    arn.ARN
	qualifier   string // NameQualifier
	sessionName string
	source      string
	tags        []types.Tag
	transitive  []string
	// longest bounds the session: the attribute SessionDuration; 0 for none.
	longest time.Duration
}

func samlAccount(in *sts.AssumeRoleWithSAMLInput) arn.AccountID {
	a, err := arn.Parse(aws.ToString(in.RoleArn))
	if err != nil {
		return ""
	}
	return a.Account
}

// verifySAML checks the response by the metadata of the provider that the
// request names, which must be of the role's account.
func verifySAML(_ context.Context, c *service.Call, in *sts.AssumeRoleWithSAMLInput) *wire.Error {
	role, err := arn.Parse(*in.RoleArn)
	provider, providerErr := arn.Parse(*in.PrincipalArn)
	switch {
	case err != nil || role.Service != "iam" || role.Type() != "role":
		return c.Errorf("ValidationError", "%s is invalid", *in.RoleArn)
	case providerErr != nil || provider.Service != "iam" || provider.Type() != "saml-provider":
		return c.Errorf("ValidationError", "%s is invalid", *in.PrincipalArn)
	}
	document, ok := samlMetadata(c, provider)
	if !ok {
		return c.Errorf("InvalidIdentityTokenException", "Specified provider doesn't exist")
	}
	metadata, err := saml.ParseMetadata(document)
	if err != nil { // of IAM Identity Center, which signs nobody in here
		return c.Errorf("InvalidIdentityTokenException", "Response signature invalid")
	}
	assertion, failure := metadata.Verify(*in.SAMLAssertion, saml.Expected{Recipients: samlRecipients(c.Region), Audiences: []string{samlAudience, store.SAMLAudience}}, c.Now)
	if failure != nil {
		return samlError(c, failure)
	}
	s, e := readSAML(c, assertion)
	if e != nil {
		return e
	}
	if !slices.Contains(rolePairs(assertion), pair{role.String(), provider.String()}) {
		return notByAssertion(c, "the assertion does not name this role with this provider")
	}
	s.provider, s.qualifier = provider, nameQualifier(assertion.Issuer, provider)
	c.Prepared = s
	c.Caller = gate.Caller{Principal: authz.Principal{Kind: authz.SAML, Provider: provider}, Claims: samlContext(s)}
	return nil
}

func notByAssertion(c *service.Call, by string) *wire.Error {
	c.Blame(gate.Verdict{By: by})
	return c.Errorf("AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML")
}

// samlMetadata is the document of a visible provider.
func samlMetadata(c *service.Call, provider arn.ARN) (string, bool) {
	c.World.RLock()
	defer c.World.RUnlock()
	owner := c.World.Accounts[provider.Account]
	if owner == nil {
		return "", false
	}
	p := store.Visible(c.World, provider.Account, owner.IAM.SAMLProviders[strings.ToLower(provider.Name())])
	if p == nil || p.Name != provider.Name() || provider.Partition != store.Partition {
		return "", false
	}
	return p.Metadata, true
}

// samlRecipients are the endpoints that assertions are presented to: the global
// one and those of Regions.
func samlRecipients(region string) []string {
	return []string{store.SAMLAudience, "https://" + region + ".signin.aws.amazon.com/saml", "https://us-east-1.signin.aws.amazon.com/saml"}
}

func samlError(c *service.Call, failure *saml.Failure) *wire.Error {
	code := "InvalidIdentityTokenException"
	switch failure.Kind {
	case saml.Expired:
		code = "ExpiredTokenException"
	case saml.Rejected:
		code = "IDPRejectedClaimException"
	case saml.Invalid, saml.Unsigned, saml.Issuer, saml.Audience:
	}
	e := c.Errorf(code, "%s", failure.Message)
	e.Cause = failure
	return e
}

// pair is one value of the attribute Role.
type pair struct{ role, provider string }

// rolePairs reads the attribute Role: two ARNs and a comma, in either order.
func rolePairs(a *saml.Assertion) []pair {
	var pairs []pair
	values := a.Attributes[samlRole]
	for _, value := range values[:min(len(values), maxRoleMappings)] {
		first, second, _ := strings.Cut(value, ",")
		first, second = strings.TrimSpace(first), strings.TrimSpace(second)
		if strings.Contains(first, ":saml-provider/") {
			first, second = second, first
		}
		pairs = append(pairs, pair{first, second})
	}
	return pairs
}

// sessionNames is what RoleSessionName and SourceIdentity must match.
const sessionNames = `[a-zA-Z_0-9+=,.@-]{2,64}`

func isSessionName(s string) bool {
	ok, err := regexp.MatchString("^"+sessionNames+"$", s)
	return ok && err == nil
}

// readSAML takes from an assertion what is for AWS.
func readSAML(c *service.Call, a *saml.Assertion) (*signedIn, *wire.Error) {
	s := &signedIn{assertion: a, sessionName: only(a, samlSessionName), source: only(a, samlSource), transitive: a.Attributes[samlTransitive]}
	bad := func(text string) (*signedIn, *wire.Error) {
		return nil, c.Errorf("InvalidIdentityTokenException", "%s", text)
	}
	switch {
	case len(a.Attributes[samlRole]) == 0:
		return bad("Your request included an invalid SAML response.")
	case s.sessionName == "":
		return bad("RoleSessionName is required in AuthnResponse")
	case !isSessionName(s.sessionName):
		return bad("RoleSessionName in AuthnResponse must match " + sessionNames)
	case s.source != "" && (!isSessionName(s.source) || store.ReservedTag(s.source)):
		return bad(`Source Identity must match ` + sessionNames + ` and not begin with "aws:"`)
	}
	if text := only(a, samlDuration); text != "" {
		seconds, err := strconv.Atoi(text)
		if s.longest = time.Duration(seconds) * time.Second; err != nil || seconds < 900 || seconds > 43200 {
			return bad("SessionDuration in AuthnResponse must be between 900 and 43200")
		}
	}
	for name, values := range a.Attributes {
		if key, ok := strings.CutPrefix(name, samlTag); ok && len(values) == 1 {
			s.tags = append(s.tags, types.Tag{Key: aws.String(key), Value: aws.String(values[0])})
		}
	}
	slices.SortFunc(s.tags, func(a, b types.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	return s, nil
}

// only is the value of an attribute that has one.
func only(a *saml.Assertion, name string) string {
	if values := a.Attributes[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// nameQualifier is BASE64(SHA1(issuer + account + "/" + provider's name)), as the
// API reference gives it.
func nameQualifier(issuer string, provider arn.ARN) string {
	sum := sha1.Sum([]byte(issuer + string(provider.Account) + "/" + provider.Name()))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// samlContext are the condition keys of an assertion (IAM user guide, "Available
// keys for SAML-based AWS STS federation").
func samlContext(s *signedIn) map[string][]string {
	keys := map[string][]string{
		"saml:aud": {s.assertion.Recipient}, "saml:iss": {s.assertion.Issuer}, "saml:sub": {s.assertion.Subject},
		"saml:namequalifier": {s.qualifier}, "saml:doc": {string(s.provider.Account) + "/" + s.provider.Name()},
		"aws:FederatedProvider": {s.provider.String()},
	}
	if s.assertion.SubjectType != "" {
		keys["saml:sub_type"] = []string{s.assertion.SubjectType}
	}
	for _, k := range samlKeys() {
		if values := s.assertion.Attributes["urn:oid:"+k.oid]; len(values) > 0 {
			keys["saml:"+k.key] = values
		}
	}
	return keys
}

// samlKeys are the condition keys of attributes that providers have by their
// object identifiers (eduPerson, X.500, RFC 4519).
func samlKeys() []struct{ key, oid string } {
	return []struct{ key, oid string }{
		{"eduPersonAffiliation", "1.3.6.1.4.1.5923.1.1.1.1"}, {"eduPersonNickname", "1.3.6.1.4.1.5923.1.1.1.2"},
		{"eduPersonOrgDN", "1.3.6.1.4.1.5923.1.1.1.3"}, {"eduPersonOrgUnitDN", "1.3.6.1.4.1.5923.1.1.1.4"},
		{"eduPersonPrimaryAffiliation", "1.3.6.1.4.1.5923.1.1.1.5"}, {"eduPersonPrincipalName", "1.3.6.1.4.1.5923.1.1.1.6"},
		{"eduPersonEntitlement", "1.3.6.1.4.1.5923.1.1.1.7"}, {"eduPersonPrimaryOrgUnitDN", "1.3.6.1.4.1.5923.1.1.1.8"},
		{"eduPersonScopedAffiliation", "1.3.6.1.4.1.5923.1.1.1.9"}, {"eduPersonTargetedID", "1.3.6.1.4.1.5923.1.1.1.10"},
		{"eduPersonAssurance", "1.3.6.1.4.1.5923.1.1.1.11"}, {"cn", "2.5.4.3"}, {"surname", "2.5.4.4"}, {"name", "2.5.4.41"},
		{"givenName", "2.5.4.42"}, {"x500UniqueIdentifier", "2.5.4.45"}, {"uid", "0.9.2342.19200300.100.1.1"}, {"mail", "0.9.2342.19200300.100.1.3"},
	}
}

func samlAccess(c *service.Call, in *sts.AssumeRoleWithSAMLInput) ([]gate.Access, *wire.Error) {
	s, verified := c.Prepared.(*signedIn)
	role, a, e := findRole(c, *in.RoleArn)
	switch {
	case e != nil:
		return nil, e
	case role == nil || !verified:
		return nil, notByAssertion(c, "account "+string(a.Account)+" has no role "+a.Resource)
	case role.Reserved():
		// "AssumeRoleWithSAML will not work on IAM Identity Center managed roles"
		return nil, notByAssertion(c, "role "+role.Name+" is IAM Identity Center's")
	}
	document, e := trust(c, role, a)
	if e != nil {
		return nil, e
	}
	assume := gate.Access{
		Action: "sts:AssumeRoleWithSAML", Resource: a.String(), Account: a.Account, Policy: document, ResourceTags: role.Tags,
		RequestTags: tagMap(s.tags), Context: sessionContext(s.sessionName, s.source, s.transitive),
	}
	roleTags(assume.Context, role)
	if in.DurationSeconds != nil {
		assume.Context["sts:DurationSeconds"] = []string{durationText(*in.DurationSeconds)}
	}
	return steps(assume, s.source), nil
}

func assumeWithSAML(c *service.Call, in *sts.AssumeRoleWithSAMLInput) (*sts.AssumeRoleWithSAMLOutput, *wire.Error) {
	by, ok := c.Prepared.(*signedIn)
	role, a, e := findRole(c, *in.RoleArn)
	if e != nil || !ok {
		return nil, e
	}
	duration, e := roleSessionDuration(c, role, in.DurationSeconds, false)
	if e != nil {
		return nil, e
	}
	s := &store.Session{
		Kind: store.AssumedRole, Account: a.Account, Entity: role.ID, Name: by.sessionName, Expires: by.until(c.Now, duration),
		Provider: by.provider.String(), CalledBy: by.provider.String() + " " + by.assertion.Subject, SourceIdentity: by.source,
	}
	if s.Tags, s.Transitive, e = sessionTags(c, nil, by.tags, by.transitive); e != nil {
		return nil, e
	}
	creds, packed, e := policedCredentials(c, s, in.Policy, in.PolicyArns)
	if e != nil {
		return nil, e
	}
	out := &sts.AssumeRoleWithSAMLOutput{
		Credentials: creds, AssumedRoleUser: assumed(role, s), Audience: aws.String(by.assertion.Recipient), Issuer: aws.String(by.assertion.Issuer),
		NameQualifier: aws.String(by.qualifier), Subject: aws.String(by.assertion.Subject),
	}
	if by.assertion.SubjectType != "" {
		out.SubjectType = aws.String(by.assertion.SubjectType)
	}
	//lint:ignore SA1019 botocore's model and the clients in use know no other member yet
	out.PackedPolicySize = packed
	if by.source != "" {
		out.SourceIdentity = aws.String(by.source)
	}
	return out, nil
}

// until is when a session ends: after its duration, or SessionNotOnOrAfter,
// "whichever is shorter" (API reference). What SessionDuration does to credentials
// is not settled by AWS's pages; here it shortens them, as aws-azure-login#92 saw.
func (s *signedIn) until(now time.Time, duration time.Duration) time.Time {
	if s.longest > 0 {
		duration = min(duration, s.longest)
	}
	ends := now.Add(duration)
	if last := s.assertion.SessionEnds; !last.IsZero() && last.Before(ends) {
		return last
	}
	return ends
}
