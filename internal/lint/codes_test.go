package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
)

const (
	eks    = "oidc.eks.us-east-1.amazonaws.com/id/A1"
	github = "token.actions.githubusercontent.com"
)

// example is a text that produces a code, and one that differs in what
// matters and does not.
type example struct {
	code      string
	bad, good func(t *testing.T) rule.List
}

// document is the policy around one statement.
func document(statement string) string {
	return `{"Version":"2012-10-17","Statement":{` + statement + `}}`
}

// oidc is trust in an OIDC provider, with an extra condition block.
func oidc(issuer, conditions string) string {
	return document(`"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/` + issuer + `"},"Action":"sts:AssumeRoleWithWebIdentity",` +
		`"Condition":{"StringEquals":{"` + issuer + `:aud":"sts.amazonaws.com"}` + conditions + `}`)
}

func trustIn(principal, rest string) string {
	return document(`"Effect":"Allow","Action":"sts:AssumeRole","Principal":` + principal + rest)
}

// file, trust, identity, resource and key defer the check of a text.
func file(name, text string) func(*testing.T) rule.List {
	return func(*testing.T) rule.List { return lint.File(name, []byte(text)) }
}

func trust(src string, ctx lint.Context) func(*testing.T) rule.List {
	return func(t *testing.T) rule.List { return lint.Trust(parse(t, src), ctx) }
}

func identity(src string, ctx lint.Context) func(*testing.T) rule.List {
	return func(t *testing.T) rule.List { return lint.Identity(parse(t, src), ctx) }
}

func resource(src string, ctx lint.Context) func(*testing.T) rule.List {
	return func(t *testing.T) rule.List { return lint.Resource(parse(t, src), ctx) }
}

func key(src string, ctx lint.Context) func(*testing.T) rule.List {
	return func(t *testing.T) rule.List { return lint.Key(parse(t, src), ctx) }
}

func none() lint.Context { return lint.Context{Account: own} }

// examples has one entry or more for each code.
func examples() []example {
	return slices.Concat(webIdentityExamples(), trustExamples(), policyExamples(), fileExamples())
}

func webIdentityExamples() []example {
	sub := func(value string) string { return `,"StringEqualsIgnoreCase":{"` + eks + `:sub":"` + value + `"}` }
	like := func(issuer, value string) string {
		return oidc(issuer, `,"StringLike":{"`+issuer+`:sub":"`+value+`"}`)
	}
	good := trust(oidc(eks, sub("system:serviceaccount:ns:sa")), none())
	goodRepo := trust(like(github, "repo:org/app:ref:refs/heads/*"), none())
	claim := func(key string) string {
		return document(`"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/` + eks + `"},"Action":"sts:AssumeRoleWithWebIdentity",` +
			`"Condition":{"StringEquals":{"` + key + `":"system:serviceaccount:ns:sa"}}`)
	}
	return []example{
		{rule.NoSubject, trust(oidc(eks, ``), none()), good},
		{rule.NoSubject, trust(oidc(eks, `,"StringNotEquals":{"`+eks+`:sub":"system:serviceaccount:ns:sa"}`), none()), good},
		{rule.NoSubject, trust(oidc("id.example.org", ``), none()), trust(oidc("id.example.org", `,"StringLike":{"id.example.org:sub":"a"}`), none())},
		{rule.SharedIssuer, trust(oidc(github, ``), none()), goodRepo},
		{rule.SharedIssuer, trust(oidc("gitlab.com", `,"StringLike":{"gitlab.com:ref":"main"}`), none()), trust(like("gitlab.com", "project_path:g/p:*"), none())},
		{rule.SharedIssuer, trust(document(`"Effect":"Allow","Principal":{"Federated":"cognito-identity.amazonaws.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringLike":{"cognito-identity.amazonaws.com:amr":"authenticated"}}`), none()),
			trust(document(`"Effect":"Allow","Principal":{"Federated":"cognito-identity.amazonaws.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"cognito-identity.amazonaws.com:aud":"us-east-1:1"}}`), none())},
		{rule.NoAudience, trust(claim(eks+":sub"), none()), good},
		{rule.VacuousClaim, trust(oidc(eks, `,"StringEqualsIfExists":{"`+eks+`:sub":"system:serviceaccount:ns:sa"}`), none()), good},
		{rule.VacuousClaim, trust(oidc(eks, `,"ForAllValues:StringEquals":{"`+eks+`:sub":"system:serviceaccount:ns:sa"}`), none()),
			trust(oidc(eks, `,"ForAllValues:StringEquals":{"`+eks+`:sub":"system:serviceaccount:ns:sa"},"Null":{"`+eks+`:sub":"false"}`), none())},
		{rule.ClaimMissing, trust(claim(eks), none()), good},
		{rule.ClaimMissing, trust(claim(eks+"/sub"), none()), good},
		{rule.ClaimMissing, trust(claim("https://"+eks+":sub"), none()), good},
		{rule.UnknownClaim, trust(claim(eks+":subject"), none()), good},
		{rule.UnknownClaim, trust(oidc(github, `,"StringLike":{"`+github+`:iss":"x","`+github+`:sub":"repo:org/app:*"}`), none()),
			trust(oidc(github, `,"StringLike":{"`+github+`:job_workflow_ref":"x","`+github+`:sub":"repo:org/app:*"}`), none())},
		{rule.OtherIssuer, trust(claim("oidc.eks.us-east-1.amazonaws.com/id/B2:sub"), none()), good},
		{rule.OtherIssuer, trust(claim("oidc.eks.us-east-1.amazonaws.com/id/A12:sub"), none()), good},
		{rule.WideSubject, trust(like(eks, "*"), none()), good},
		{rule.WideSubject, trust(like(eks, "system:serviceaccount:*"), none()), good},
		{rule.WideSubject, trust(like(eks, "system:serviceaccount:team-*:sa"), none()), trust(like(eks, "system:serviceaccount:ns:sa-*"), none())},
		{rule.WideSubject, trust(like(eks, "system:*:sa"), none()), good},
		{rule.WideSubject, trust(like(eks, "system:serviceaccount:ns:*"), none()), trust(oidc(eks, sub("system:serviceaccount:ns:sa")+`,"StringLike":{"`+eks+`:sub":"system:serviceaccount:ns:*"}`), none())},
		{rule.WideSubject, trust(oidc(eks, `,"StringLike":{"`+eks+`:sub":["system:serviceaccount:ns:sa","*"]}`), none()), trust(oidc(eks, `,"StringLike":{"`+eks+`:sub":["system:serviceaccount:ns:sa","system:serviceaccount:ns:sb"]}`), none())},
		{rule.WideSubject, trust(like(github, "repo:org*"), none()), goodRepo},
		{rule.WideSubject, trust(like(github, "repo:org*/app:*"), none()), goodRepo},
		{rule.WideSubject, trust(like(github, "*:ref:refs/heads/main"), none()), goodRepo},
		{rule.WideSubject, trust(like(github, "repo:org/*"), none()), goodRepo},
		{rule.WideSubject, trust(like(github, "repo:org/app:pull_request"), none()), goodRepo},
		{rule.SubjectShape, trust(oidc(eks, sub("system:serviceaccounts:ns:sa")), none()), good},
		{rule.SubjectShape, trust(oidc(eks, sub("system:serviceaccount:ns")), none()), good},
		{rule.WrongAction, trust(document(`"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/`+eks+`"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"`+eks+`:aud":"sts.amazonaws.com","`+eks+`:sub":"system:serviceaccount:ns:sa"}}`), none()), good},
		{rule.WrongAction, trust(document(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/r"},"Action":"sts:AssumeRoleWithWebIdentity"`), none()),
			trust(trustIn(`{"AWS":"arn:aws:iam::111111111111:role/r"}`, ``), none())},
		{rule.ExactWildcard, trust(oidc(eks, `,"StringEqualsIgnoreCase":{"`+eks+`:sub":"system:serviceaccount:ns:*"}`), none()), good},
		{"policy/unknown-operator", trust(oidc(eks, `,"SringLike":{"`+eks+`:sub":"x"}`), none()), good},
	}
}

func trustExamples() []example {
	role := `{"AWS":"arn:aws:iam::222222222222:role/ci"}`
	good := trust(trustIn(role, ``), none())
	inOrg := lint.Context{Account: own, Organization: []arn.AccountID{own}}
	withID := func(id string) string { return `,"Condition":{"StringEquals":{"sts:ExternalId":"` + id + `"}}` }
	goodID := trust(trustIn(role, withID("5f0c8a4e-2d1b-4c8e-9a53-7c1f0d6b2e9a")), inOrg)
	service := func(name, rest string) string { return trustIn(`{"Service":"`+name+`"}`, rest) }
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("arn:aws:iam::222222222222:role/team-%02d", i))
	}
	quoted := func(arns []string) string { return `{"AWS":["` + strings.Join(arns, `","`) + `"]}` }
	return []example{
		{rule.WholeAccount, trust(trustIn(`{"AWS":"arn:aws:iam::222222222222:root"}`, ``), none()), good},
		{rule.WholeAccount, trust(trustIn(`{"AWS":"222222222222"}`, ``), none()), trust(trustIn(`{"AWS":"111111111111"}`, ``), none())},
		{rule.WholeAccount, trust(trustIn(`{"AWS":"222222222222"}`, ``), none()),
			trust(trustIn(`{"AWS":"222222222222"}`, `,"Condition":{"StringEquals":{"aws:PrincipalTag/kubernetes-namespace":"payroll"}}`), none())},
		{rule.NoExternalID, trust(trustIn(role, ``), inOrg), goodID},
		{rule.NoExternalID, trust(trustIn(role, ``), inOrg), trust(trustIn(role, ``), lint.Context{Account: own, Organization: []arn.AccountID{own, other}})},
		{rule.WeakExternalID, trust(trustIn(role, withID("acme")), inOrg), goodID},
		{rule.WeakExternalID, trust(trustIn(role, withID("222222222222")), inOrg), goodID},
		{rule.WeakExternalID, trust(trustIn(role, withID("ExternalID")), inOrg), goodID},
		{rule.WeakExternalID, trust(trustIn(role, `,"Condition":{"StringLike":{"sts:ExternalId":"vendor-*"}}`), inOrg), goodID},
		{rule.ConfusedDeputy, trust(service("firehose.amazonaws.com", ``), none()), trust(service("firehose.amazonaws.com", `,"Condition":{"StringEquals":{"aws:SourceAccount":"111111111111"}}`), none())},
		{rule.ConfusedDeputy, trust(service("s3.amazonaws.com", `,"Condition":{"ArnLikeIfExists":{"aws:SourceArn":"arn:aws:s3:::b"}}`), none()), trust(service("ec2.amazonaws.com", ``), none())},
		{rule.PodIdentity, trust(service("pods.eks.amazonaws.com", ``), none()),
			trust(document(`"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Principal":{"Service":"pods.eks.amazonaws.com"}`), none())},
		{rule.NodeRole, trust(trustIn(`{"AWS":"arn:aws:iam::222222222222:role/nodes.ci.example.org"}`, ``), none()), good},
		{rule.NodeRole, trust(trustIn(`{"AWS":"arn:aws:iam::222222222222:role/KarpenterNodeRole-ci"}`, ``), none()), good},
		{rule.TrustSize, trust(trustIn(quoted(many[:50]), ``), none()), good},
		{rule.TrustSize, trust(trustIn(quoted(many), ``), none()), good},
		{rule.Everyone, trust(trustIn(`"*"`, ``), none()), trust(trustIn(`"*"`, `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}`), none())},
		{rule.Everyone, trust(trustIn(`{"AWS":["111111111111","*"]}`, withID("5f0c8a4e-2d1b-4c8e")), none()), trust(trustIn(`{"AWS":"*"}`, `,"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/x*"}}`), none())},
		{rule.Everyone, trust(trustIn(`"*"`, `,"Condition":{"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-1"}}`), none()), good},
		{rule.Everyone, trust(trustIn(`"*"`, `,"Condition":{"StringLike":{"aws:PrincipalOrgID":["o-1","*"]}}`), none()), good},
		{rule.Deleted, trust(trustIn(`{"AWS":"AROAEXAMPLEEXAMPLE123"}`, ``), none()), good},
		{"policy/principal", trust(trustIn(`{"AWS":"arn:aws:iam::222222222222:role/*"}`, ``), none()), good},
	}
}

func policyExamples() []example {
	read := func(rest string) string {
		return document(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"` + rest)
	}
	forRole := resource(read(`,"Principal":{"AWS":"arn:aws:iam::222222222222:role/r"}`), none())
	share := document(`"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*","Principal":{"AWS":"arn:aws:iam::222222222222:role/r"}`)
	sharedWith := func(key string) lint.Context {
		return lint.Context{Account: own, Secret: &lint.Secret{KMSKey: key}, ManagedKeys: []string{"arn:aws:kms:us-east-1:111111111111:key/managed"}}
	}
	home := func(resource string) string {
		return document(`"Effect":"Allow","Action":"s3:GetObject","Resource":"` + resource + `"`)
	}
	goodVariable := identity(home("arn:aws:s3:::b/${aws:username}/${*}"), none())
	keyPolicy := func(principal, rest string) string {
		return document(`"Effect":"Allow","Action":"kms:*","Resource":"*","Principal":` + principal + rest)
	}
	return []example{
		{rule.Everyone, resource(read(`,"Principal":"*"`), none()), forRole},
		{rule.Everyone, resource(read(`,"Principal":{"AWS":"*"},"Condition":{"Bool":{"aws:SecureTransport":"true"}}`), none()),
			resource(read(`,"Principal":{"AWS":"*"},"Condition":{"StringEquals":{"aws:SourceVpce":"vpce-1"}}`), none())},
		{rule.Everyone, key(keyPolicy(`"*"`, ``), none()), key(keyPolicy(`{"AWS":"111111111111"}`, ``), none())},
		{rule.AllowExcept, resource(read(`,"NotPrincipal":{"AWS":"111111111111"}`), none()), forRole},
		{rule.DenyExcept, resource(strings.Replace(read(`,"NotPrincipal":{"AWS":"111111111111"}`), "Allow", "Deny", 1), none()),
			resource(strings.Replace(read(`,"Principal":"*","Condition":{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:role/r"}}`), "Allow", "Deny", 1), none())},
		{rule.ManagedKey, resource(share, sharedWith("")), resource(share, sharedWith("arn:aws:kms:us-east-1:111111111111:key/own"))},
		{rule.ManagedKey, resource(share, sharedWith("arn:aws:kms:us-east-1:111111111111:alias/aws/secretsmanager")), resource(share, none())},
		{rule.ManagedKey, resource(share, sharedWith("arn:aws:kms:us-east-1:111111111111:key/managed")), resource(strings.ReplaceAll(share, "222222222222", "111111111111"), sharedWith(""))},
		{rule.ManagedKey, resource(share, lint.Context{Secret: &lint.Secret{}}), forRole},
		{rule.Unmanageable, key(keyPolicy(`{"AWS":"arn:aws:iam::111111111111:role/admin"}`, ``), none()), key(keyPolicy(`{"AWS":"arn:aws:iam::111111111111:root"}`, ``), none())},
		{rule.Unmanageable, key(keyPolicy(`{"AWS":"arn:aws:iam::222222222222:root"}`, ``), none()), key(keyPolicy(`{"AWS":"111111111111"}`, ``), none())},
		{rule.ShortSecret, func(*testing.T) rule.List { return lint.SecretID(diag.Position{}, "name", "", "") }, func(*testing.T) rule.List { return lint.SecretID(diag.Position{}, "name", own, own) }},
		{rule.PartialSecret, identity(document(`"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:us-east-1:222222222222:secret:App"`), none()),
			identity(document(`"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":["arn:aws:secretsmanager:us-east-1:222222222222:secret:App-??????","arn:aws:secretsmanager:us-east-1:222222222222:secret:App*"]`), none())},
		{rule.ReadOnlyDeployer, identity(document(`"Sid":"ManageStacks","Effect":"Allow","Action":"cloudformation:List*","Resource":"*"`), none()),
			identity(document(`"Sid":"ManageStacks","Effect":"Allow","NotAction":"cloudformation:List*","Resource":"*"`), none())},
		{rule.AssumeAnywhere, identity(document(`"Effect":"Allow","Action":["sts:*"],"Resource":"*"`), none()), identity(document(`"Effect":"Allow","Action":"*","Resource":"*"`), none())},
		{rule.ExactWildcard, identity(strings.TrimSuffix(home("*"), "}}")+`,"Condition":{"StringNotEquals":{"aws:PrincipalTag/team":"dev-*"}}}}`, none()), goodVariable},
		{rule.OldVariable, identity(strings.Replace(home("arn:aws:s3:::b/${aws:username}"), "2012", "2008", 1), none()), goodVariable},
		{rule.BadVariable, identity(home("arn:aws:s3:${aws:RequestedRegion}::b"), none()), goodVariable},
		{rule.BadVariable, identity(home("arn:aws:s3:::b/${aws:TagKeys}"), none()), goodVariable},
		{rule.BadVariable, identity(strings.TrimSuffix(home("*"), "}}")+`,"Condition":{"NumericLessThan":{"s3:max-keys":"${aws:PrincipalTag/n}"}}}}`, none()),
			identity(strings.TrimSuffix(home("*"), "}}")+`,"Condition":{"StringEquals":{"s3:prefix":"${aws:username}"}}}}`, none())},
		{rule.NoDefault, identity(strings.TrimSuffix(home("*"), "}}")+`,"Condition":{"StringNotEquals":{"k:k":"${aws:PrincipalTag/team}"}}}}`, none()),
			identity(strings.TrimSuffix(home("*"), "}}")+`,"Condition":{"StringNotEquals":{"k:k":"${aws:PrincipalTag/team, 'none'}"}}}}`, none())},
		{rule.NoDefault, identity(document(`"Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::b/${aws:username}"`), none()),
			identity(document(`"Effect":"Deny","Action":"s3:*","NotResource":"arn:aws:s3:::b/${aws:username}"`), none())},
		{rule.OpenVariable, identity(home("arn:aws:s3:::b/${aws:username"), none()), goodVariable},
	}
}

func fileExamples() []example {
	const (
		sourced = "[default]\naws_access_key_id = A\n[profile a]\nrole_arn = arn:aws:iam::111111111111:role/r\nsource_profile = default\n"
		entry   = "mapRoles:\n- rolearn: %s\n  groups: [%s]\n"
	)
	chained := sourced + "[profile b]\nrole_arn = arn:aws:iam::222222222222:role/r\nsource_profile = a\nduration_seconds = %d\n"
	good := file("config", sourced)
	auth := func(arn, group string) func(*testing.T) rule.List {
		return file("aws-auth.yaml", fmt.Sprintf(entry, arn, group))
	}
	goodAuth := auth("arn:aws:iam::111111111111:role/r", "viewers")
	return []example{
		{rule.ProfileHeading, file("credentials", "[profile a]\naws_access_key_id = A\n"), file("credentials", "[a]\naws_access_key_id = A\n")},
		{rule.ForeignSection, file("credentials", "[services s]\n"), file("config", "[services s]\n")},
		{rule.NoPrefix, file("config", "[a]\nregion = us-east-1\n"), good},
		{rule.TokenFile, file("config", "[default]\nweb_identity_token_file = token\n"), file("config", "[default]\nweb_identity_token_file = /token\n")},
		{rule.TokenFile, file("config", "[default]\nweb_identity_token_file = \"/token\"\n"), good},
		{rule.TokenFile, file("config", "[default]\nweb_identity_token_file =\n"), good},
		{rule.RoleSource, file("config", "[profile a]\nrole_arn = arn:aws:iam::111111111111:role/r\n"), good},
		{rule.RoleSource, file("config", sourced+"web_identity_token_file = /token\n"), good},
		{rule.UnknownProfile, file("config", strings.Replace(sourced, "= default", "= defualt", 1)), good},
		{rule.ProfileCycle, file("config", "[profile a]\nrole_arn = arn:aws:iam::111111111111:role/r\nsource_profile = b\n[profile b]\nrole_arn = arn:aws:iam::111111111111:role/s\nsource_profile = a\n"), good},
		{rule.ProfileCycle, file("config", "[profile a]\nrole_arn = arn:aws:iam::111111111111:role/r\nsource_profile = a\n"),
			file("config", "[profile a]\nrole_arn = arn:aws:iam::111111111111:role/r\nsource_profile = a\naws_access_key_id = A\n")},
		{rule.ConfigRole, file("config", strings.Replace(sourced, ":role/r", ":user/r", 1)), good},
		{rule.ChainedDuration, file("config", fmt.Sprintf(chained, 7200)), file("config", fmt.Sprintf(chained, 3600))},
		{rule.UnknownSetting, file("config", sourced+"rol_arn = x\n"), file("config", sourced+"color = blue\ngranted_sso_region = x\n")},
		{rule.Repeated, file("config", sourced+"[profile a]\n"), good},
		{rule.Repeated, file("config", "[default]\nregion = a\nregion = b\n"), file("config", "[default]\nregion = a\ns3 =\n  region = b\n")},
		{rule.ConfigSyntax, file("config", sourced+"region\n"), file("config", "# c\n; c\n\n"+sourced)},
		{rule.ConfigSyntax, file("config", "[default] x\n"), file("config", "[default] # x\n")},
		{rule.Masters, auth("arn:aws:iam::111111111111:role/r", "system:masters"), goodAuth},
		{rule.MapARN, auth("arn:aws:sts::111111111111:assumed-role/r/s", "viewers"), goodAuth},
		{rule.MapPath, auth("arn:aws:iam::111111111111:role/ci/r", "viewers"), goodAuth},
		{rule.MapStructure, file("aws-auth.yaml", "mapRoles: {a: b}\n"), goodAuth},
		{rule.MapStructure, file("aws-auth.yaml", "mapUsers: |\n  - [\n"), file("aws-auth.yaml", "mapUsers: |\n  []\n")},
		{rule.Unreadable, file("t.yaml", "a: [\n"), goodAuth},
		{rule.UnknownFile, file("notes.txt", "hello"), good},
		{rule.UnknownFile, file("t.yaml", "a: b\n"), good},
	}
}

// TestExamples checks pairs of texts beyond those of the pages in docs/lint.
func TestExamples(t *testing.T) {
	for i, e := range examples() {
		t.Run(fmt.Sprintf("%s#%d", e.code, i), func(t *testing.T) {
			bad := e.bad(t)
			at := slices.IndexFunc(bad, func(d rule.Finding) bool { return d.Code == e.code })
			if at < 0 {
				t.Fatalf("findings = %q, want one with code %s", brief(bad), e.code)
			}
			d := bad[at]
			if d.Summary == "" || d.Hint == "" && d.Severity >= rule.High && !strings.HasPrefix(e.code, "awsauth/str") && e.code != rule.ConfigSyntax && e.code != rule.Unreadable {
				t.Errorf("the finding says too little: %+v", d)
			}
			for _, d := range e.good(t) {
				if d.Code == e.code {
					t.Errorf("the good text has the finding too: %v", d)
				}
			}
		})
	}
}

// TestGoodDocumentsHaveNoFinding holds the good halves of examples that should
// be clean altogether.
func TestGoodDocumentsHaveNoFinding(t *testing.T) {
	for name, list := range map[string]rule.List{
		"web identity": lint.Trust(parse(t, oidc(eks, `,"StringLike":{"`+eks+`:sub":"system:serviceaccount:ns:sa"}`)), none()),
		"github":       lint.Trust(parse(t, oidc(github, `,"StringLike":{"`+github+`:sub":"repo:org@123456/app@456789:ref:refs/heads/*"}`)), none()),
		"role":         lint.Trust(parse(t, trustIn(`{"AWS":"arn:aws:iam::222222222222:role/ci"}`, ``)), none()),
		"pod identity": lint.Trust(parse(t, document(`"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Principal":{"Service":"pods.eks.amazonaws.com"},"Condition":{"StringEquals":{"aws:SourceAccount":"111111111111"}}`)), none()),
		"abac": lint.Trust(parse(t, trustIn(`{"AWS":"arn:aws:iam::222222222222:root"}`,
			`,"Condition":{"StringEquals":{"aws:PrincipalTag/eks-cluster-arn":"arn:aws:eks:us-east-1:222222222222:cluster/c","aws:PrincipalTag/kubernetes-namespace":"n"}}`)), none()),
		"saml":  lint.Trust(parse(t, document(`"Effect":"Allow","Action":"sts:AssumeRoleWithSAML","Principal":{"Federated":"arn:aws:iam::111111111111:saml-provider/p"},"Condition":{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml"}}`)), none()),
		"admin": lint.Identity(parse(t, document(`"Effect":"Allow","Action":"*","Resource":"*"`)), none()),
		"deny":  lint.Resource(parse(t, document(`"Effect":"Deny","Action":"s3:*","Resource":"*","Principal":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}`)), none()),
		"default key policy": lint.Key(parse(t,
			`{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}]}`), none()),
		"chain": lint.File("config", []byte("[profile account_b_role] \nsource_profile = account_a_role \nrole_arn = arn:aws:iam::444455556666:role/account-b-role\n\n[profile account_a_role] \ncredential_process = /eks-credential-processrole.sh\n")),
	} {
		t.Run(name, func(t *testing.T) { checkList(t, list) })
	}
}
