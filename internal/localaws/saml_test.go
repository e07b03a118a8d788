package localaws_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/saml/samltest"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

const (
	samlProvider = "arn:aws:iam::111111111111:saml-provider/Corp"
	samlRole     = "arn:aws:iam::111111111111:role/engineer"
)

// federated is a server whose account A trusts an identity provider, by the
// trust conditions given.
type federated struct {
	t      *testing.T
	server *localaws.Server
	clock  *store.ManualClock
	idp    *samltest.IdP
	sts    *sts.Client
}

func federate(t *testing.T, action, condition string) *federated {
	t.Helper()
	f := &federated{t: t, clock: store.NewManualClock(time.Now().Truncate(time.Second))}
	f.server = start(t, func(c *localaws.Config) { c.Clock = f.clock })
	var err error
	if f.idp, err = samltest.New("https://idp.corp.example/metadata"); err != nil {
		t.Fatal(err)
	}
	admin := iam.NewFromConfig(config(t, f.server, A))
	ctx := t.Context()
	if _, err := admin.CreateSAMLProvider(ctx, &iam.CreateSAMLProviderInput{Name: ptr("Corp"), SAMLMetadataDocument: ptr(f.idp.Metadata())}); err != nil {
		t.Fatal(err)
	}
	_, err = admin.CreateRole(ctx, &iam.CreateRoleInput{RoleName: ptr("engineer"), MaxSessionDuration: aws.Int32(14400),
		AssumeRolePolicyDocument: ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"` + samlProvider + `"},
			"Action":[` + action + `],"Condition":` + condition + `}}`)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = admin.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: ptr("engineer"), PolicyName: ptr("p"),
		PolicyDocument: ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*",
			"Condition":{"StringEquals":{"aws:PrincipalTag/team":"blue"}}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	anonymous := with(f.server, "x", "x", "")
	anonymous.Credentials = aws.AnonymousCredentials{}
	f.sts = sts.NewFromConfig(anonymous)
	return f
}

const (
	samlActions = `"sts:AssumeRoleWithSAML","sts:TagSession","sts:SetSourceIdentity"`
	samlAud     = `{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml"}}`
)

// login is grace's, who is an engineer.
func (f *federated) login() samltest.Login {
	return samltest.Login{Roles: []samltest.Role{{Role: samlRole, Provider: samlProvider}}, SessionName: "grace", At: f.clock.Now()}
}

func (f *federated) assume(l samltest.Login, change func(*sts.AssumeRoleWithSAMLInput)) (*sts.AssumeRoleWithSAMLOutput, error) {
	f.t.Helper()
	response, err := f.idp.Response(l)
	if err != nil {
		f.t.Fatal(err)
	}
	in := &sts.AssumeRoleWithSAMLInput{RoleArn: ptr(samlRole), PrincipalArn: ptr(samlProvider), SAMLAssertion: &response}
	if change != nil {
		change(in)
	}
	return f.sts.AssumeRoleWithSAML(f.t.Context(), in)
}

func TestAssertionsGiveSessions(t *testing.T) {
	f := federate(t, samlActions, samlAud)
	l := f.login()
	l.Tags, l.TransitiveTags, l.SourceIdentity = map[string]string{"team": "blue"}, []string{"team"}, "grace@corp"
	out, err := f.assume(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::111111111111:assumed-role/engineer/grace" || *out.Subject != "grace" || *out.SubjectType != "persistent" ||
		*out.Issuer != "https://idp.corp.example/metadata" || *out.Audience != "https://signin.aws.amazon.com/saml" || *out.SourceIdentity != "grace@corp" ||
		len(*out.NameQualifier) != 28 || out.Credentials.Expiration.Sub(f.clock.Now()).Round(time.Second) != time.Hour {
		t.Errorf("answer: %+v", out)
	}
	c := out.Credentials
	cfg := with(f.server, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	if err := listRoles(t, cfg); err != nil {
		t.Errorf("the session's tag: %v", err)
	}
	untagged, err := f.assume(f.login(), nil)
	if err != nil {
		t.Fatal(err)
	}
	c = untagged.Credentials
	worldtest.WantError(t, listRoles(t, with(f.server, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)), "AccessDenied", "iam:ListRoles")
}

func TestTrustPoliciesDecideOnAssertions(t *testing.T) {
	tagged := func(l *samltest.Login) { l.Tags = map[string]string{"team": "blue"} }
	for name, c := range map[string]struct {
		actions, condition string
		change             func(*samltest.Login)
		want               bool
	}{
		"the audience":     {samlActions, samlAud, nil, true},
		"another audience": {samlActions, `{"StringEquals":{"SAML:aud":"https://other"}}`, nil, false},
		"the subject":      {samlActions, `{"StringEquals":{"saml:sub":"grace","saml:sub_type":"persistent","saml:iss":"https://idp.corp.example/metadata"}}`, nil, true},
		"another subject":  {samlActions, `{"StringEquals":{"saml:sub":"eve"}}`, nil, false},
		"the provider":     {samlActions, `{"StringEquals":{"saml:doc":"111111111111/Corp"}}`, nil, true},
		"an attribute": {samlActions, `{"ForAnyValue:StringEquals":{"saml:eduPersonAffiliation":"staff"}}`, func(l *samltest.Login) {
			l.Attributes = map[string][]string{"urn:oid:1.3.6.1.4.1.5923.1.1.1.1": {"staff", "member"}}
		}, true},
		"an attribute that is missing":  {samlActions, `{"ForAnyValue:StringEquals":{"saml:eduPersonAffiliation":"staff"}}`, nil, false},
		"tags that are allowed":         {samlActions, `{"StringEquals":{"aws:RequestTag/team":"blue"}}`, tagged, true},
		"tags that are not":             {`"sts:AssumeRoleWithSAML"`, samlAud, tagged, false},
		"a source that is not":          {`"sts:AssumeRoleWithSAML","sts:TagSession"`, samlAud, func(l *samltest.Login) { l.SourceIdentity = "grace" }, false},
		"another action than with SAML": {`"sts:AssumeRole"`, `{}`, nil, false},
		"a session's name":              {samlActions, `{"StringEquals":{"sts:RoleSessionName":"grace"}}`, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := federate(t, c.actions, c.condition)
			l := f.login()
			if c.change != nil {
				c.change(&l)
			}
			_, err := f.assume(l, nil)
			if c.want && err != nil {
				t.Error(err)
			}
			if !c.want {
				worldtest.WantError(t, err, "AccessDenied", "")
			}
		})
	}
}

func TestAssertionsThatAreRefused(t *testing.T) {
	f := federate(t, samlActions, samlAud)
	ctx := t.Context()
	other, err := samltest.New("https://idp.corp.example/metadata")
	if err != nil {
		t.Fatal(err)
	}
	admin := iam.NewFromConfig(config(t, f.server, A))
	if _, err := admin.CreateSAMLProvider(ctx, &iam.CreateSAMLProviderInput{Name: ptr("Other"), SAMLMetadataDocument: ptr(other.Metadata())}); err != nil {
		t.Fatal(err)
	}
	role := func(role, provider string) func(*samltest.Login, *sts.AssumeRoleWithSAMLInput) {
		return func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) {
			l.Roles = []samltest.Role{{Role: role, Provider: provider}}
		}
	}
	for name, c := range map[string]struct {
		change     func(*samltest.Login, *sts.AssumeRoleWithSAMLInput)
		code, text string
	}{
		"by a key nobody registered": {func(l *samltest.Login, in *sts.AssumeRoleWithSAMLInput) {
			in.SAMLAssertion, _ = forge(other, *l)
		}, "InvalidIdentityToken", "Response signature invalid"},
		"without a signature": {func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) { l.Signed = samltest.Nothing }, "InvalidIdentityToken", "Response signature invalid"},
		"that are no XML":     {func(_ *samltest.Login, in *sts.AssumeRoleWithSAMLInput) { in.SAMLAssertion = ptr("aGVsbG8=") }, "InvalidIdentityToken", "Invalid SAML response"},
		"that are no Base64":  {func(_ *samltest.Login, in *sts.AssumeRoleWithSAMLInput) { in.SAMLAssertion = ptr("!!!!") }, "InvalidIdentityToken", "Invalid SAML response"},
		"of another issuer":   {func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) { l.Issuer = "https://x" }, "InvalidIdentityToken", "Issuer not present in specified provider"},
		"for another service": {func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) { l.Audience = "urn:x" }, "InvalidIdentityToken", "required audience"},
		"for another address": {func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) { l.Recipient = "https://x" }, "InvalidIdentityToken", "required recipient"},
		"of five minutes ago": {func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) {
			l.At, l.Lifetime = l.At.Add(-5*time.Minute), time.Hour
		},
			"ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance"},
		"that have expired":    {func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) { l.Lifetime = -time.Second }, "ExpiredTokenException", ""},
		"of a failed login":    {func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) { l.Status = "Responder" }, "IDPRejectedClaim", ""},
		"without a name":       {func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) { l.SessionName, l.NameID = "", "grace" }, "InvalidIdentityToken", "RoleSessionName is required"},
		"with a name too long": {func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) { l.SessionName = strings.Repeat("g", 65) }, "InvalidIdentityToken", "RoleSessionName in AuthnResponse must match"},
		"with a bad source":    {func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) { l.SourceIdentity = "aws:x" }, "InvalidIdentityToken", "Source Identity must match"},
		"with a bad duration":  {func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) { l.SessionDuration = time.Minute }, "InvalidIdentityToken", "SessionDuration"},
		"without a role":       {func(l *samltest.Login, _ *sts.AssumeRoleWithSAMLInput) { l.Roles = nil }, "InvalidIdentityToken", "invalid SAML response"},
		"of another role":      {role("arn:aws:iam::111111111111:role/other", samlProvider), "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML"},
		"of another provider":  {role(samlRole, "arn:aws:iam::111111111111:saml-provider/Other"), "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML"},
		"by a provider the role does not trust": {func(l *samltest.Login, in *sts.AssumeRoleWithSAMLInput) {
			const provider = "arn:aws:iam::111111111111:saml-provider/Other"
			l.Roles, in.PrincipalArn = []samltest.Role{{Role: samlRole, Provider: provider}}, ptr(provider)
			in.SAMLAssertion, _ = forge(other, *l)
		}, "AccessDenied", ""},
		"for a provider nobody has": {func(_ *samltest.Login, in *sts.AssumeRoleWithSAMLInput) {
			in.PrincipalArn = ptr("arn:aws:iam::111111111111:saml-provider/None")
		}, "InvalidIdentityToken", "Specified provider doesn't exist"},
		"for a role that is none": {func(_ *samltest.Login, in *sts.AssumeRoleWithSAMLInput) {
			in.RoleArn = ptr("arn:aws:iam::111111111111:user/x")
		}, "ValidationError", "is invalid"},
		"for more than the role's maximum": {func(_ *samltest.Login, in *sts.AssumeRoleWithSAMLInput) { in.DurationSeconds = aws.Int32(14401) },
			"ValidationError", "exceeds the MaxSessionDuration"},
	} {
		t.Run(name, func(t *testing.T) {
			l := f.login()
			probe := &sts.AssumeRoleWithSAMLInput{}
			c.change(&l, probe)
			_, err := f.assume(l, func(in *sts.AssumeRoleWithSAMLInput) {
				if probe.SAMLAssertion != nil {
					in.SAMLAssertion = probe.SAMLAssertion
				}
				if probe.PrincipalArn != nil {
					in.PrincipalArn = probe.PrincipalArn
				}
				if probe.RoleArn != nil {
					in.RoleArn = probe.RoleArn
				}
				in.DurationSeconds = probe.DurationSeconds
			})
			worldtest.WantError(t, err, c.code, c.text)
		})
	}
	if _, err := f.assume(f.login(), nil); err != nil {
		t.Errorf("as it should be: %v", err)
	}
}

func forge(by *samltest.IdP, l samltest.Login) (*string, error) {
	text, err := by.Response(l)
	return &text, err
}

func TestSAMLSessionsEndWithWhatIsShortest(t *testing.T) {
	f := federate(t, samlActions, samlAud)
	for name, c := range map[string]struct {
		change  func(*samltest.Login)
		seconds *int32
		want    time.Duration
	}{
		"an hour":                      {func(*samltest.Login) {}, nil, time.Hour},
		"what is asked for":            {func(*samltest.Login) {}, aws.Int32(14400), 4 * time.Hour},
		"the provider's session":       {func(l *samltest.Login) { l.SessionEnds = f.clock.Now().Add(20 * time.Minute) }, aws.Int32(14400), 20 * time.Minute},
		"a provider's longer session":  {func(l *samltest.Login) { l.SessionEnds = f.clock.Now().Add(20 * time.Hour) }, aws.Int32(7200), 2 * time.Hour},
		"the attribute":                {func(l *samltest.Login) { l.SessionDuration = 15 * time.Minute }, nil, 15 * time.Minute},
		"an attribute longer than all": {func(l *samltest.Login) { l.SessionDuration = 12 * time.Hour }, nil, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			l := f.login()
			c.change(&l)
			out, err := f.assume(l, func(in *sts.AssumeRoleWithSAMLInput) { in.DurationSeconds = c.seconds })
			if err != nil {
				t.Fatal(err)
			}
			if got := out.Credentials.Expiration.Sub(f.clock.Now()).Round(time.Second); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// One assertion is good for many roles, until it is too old.
func TestAnAssertionIsGoodForSeveralRoles(t *testing.T) {
	f := federate(t, samlActions, samlAud)
	admin := iam.NewFromConfig(config(t, f.server, A))
	_, err := admin.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: ptr("second"),
		AssumeRolePolicyDocument: ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"` + samlProvider + `"},"Action":"sts:AssumeRoleWithSAML"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	l := f.login()
	l.Roles = append(l.Roles, samltest.Role{Role: samlProvider, Provider: "arn:aws:iam::111111111111:role/second"}) // in the other order
	for _, role := range []string{samlRole, "arn:aws:iam::111111111111:role/second"} {
		if _, err := f.assume(l, func(in *sts.AssumeRoleWithSAMLInput) { in.RoleArn = &role }); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
}

func TestIdentityCentersRolesAreNotForAssertions(t *testing.T) {
	l := signIn(t, nil)
	idp, err := samltest.New("https://evil.example")
	if err != nil {
		t.Fatal(err)
	}
	admin := iam.NewFromConfig(config(t, l.server, A))
	providers, err := admin.ListSAMLProviders(t.Context(), &iam.ListSAMLProvidersInput{})
	if err != nil || len(providers.SAMLProviderList) != 1 {
		t.Fatal(providers, err)
	}
	provider := providers.SAMLProviderList[0].Arn
	if _, err := admin.UpdateSAMLProvider(t.Context(), &iam.UpdateSAMLProviderInput{SAMLProviderArn: provider, SAMLMetadataDocument: ptr(idp.Metadata())}); err != nil {
		t.Fatal(err)
	}
	roles, err := admin.ListRoles(t.Context(), &iam.ListRolesInput{PathPrefix: ptr("/aws-reserved/")})
	if err != nil || len(roles.Roles) != 1 {
		t.Fatal(roles, err)
	}
	response, err := idp.Response(samltest.Login{Roles: []samltest.Role{{Role: *roles.Roles[0].Arn, Provider: *provider}}, SessionName: "eve", At: l.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = sts.NewFromConfig(config(t, l.server, A)).AssumeRoleWithSAML(t.Context(), &sts.AssumeRoleWithSAMLInput{
		RoleArn: roles.Roles[0].Arn, PrincipalArn: provider, SAMLAssertion: &response,
	})
	worldtest.WantError(t, err, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML")
}
