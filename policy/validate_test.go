package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/policy"
)

// TestValidateRefusesWhatAWSRefuses lists for each rule a statement that breaks
// it, what we say, and the words AWS uses (recorded by clients of IAM).
func TestValidateRefusesWhatAWSRefuses(t *testing.T) {
	const (
		allow = `"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`
		trust = `"Effect":"Allow","Action":"sts:AssumeRole","Principal":`
	)
	for _, test := range []struct {
		name      string
		kind      policy.Kind
		statement string
		want      string // message and hint
		aws       string
	}{
		{"misspelt operator", policy.Identity, allow + `,"Condition":{"SringEquals":{"a":"1","b":"2"}}`,
			`unknown condition operator "SringEquals" (did you mean "StringEquals"?)`, "Syntax errors in policy."},
		{"misspelt set prefix", policy.Identity, allow + `,"Condition":{"ForAnyValues:StringEqual":{"a":"1"}}`,
			`unknown condition operator "ForAnyValues:StringEqual" (did you mean "ForAnyValue:StringEquals"?)`, "Syntax errors in policy."},
		{"two colons after the set prefix", policy.Identity, allow + `,"Condition":{"ForAnyValue::StringEqualsIfExists":{"a":"1"}}`,
			`unknown condition operator "ForAnyValue::StringEqualsIfExists" (did you mean "ForAnyValue:StringEqualsIfExists"?)`, "Syntax errors in policy."},
		{"operator like nothing", policy.Identity, allow + `,"Condition":{"x":{"a":"1"}}`,
			`unknown condition operator "x"`, "Syntax errors in policy."},
		{"date without a zone", policy.Identity, allow + `,"Condition":{"DateLessThan":{"aws:CurrentTime":"2027-01-31T00:00:00"}}`,
			`"2027-01-31T00:00:00" is no date for DateLessThan (write "2027-01-31T00:00:00Z" or seconds since 1970)`, "The policy failed legacy parsing"},
		{"date that is none", policy.Identity, allow + `,"Condition":{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}`,
			`"tomorrow" is no date for DateLessThan (write "2027-01-31T00:00:00Z" or seconds since 1970)`, "The policy failed legacy parsing"},

		{"principal in an identity policy", policy.Identity, allow + `,"Principal":"*"`,
			`an identity-based policy may not have Principal (it applies to whoever it is attached to; name principals in trust and resource-based policies)`,
			"Policy document should not specify a principal."},
		{"no resource in an identity policy", policy.Identity, `"Effect":"Allow","Action":"s3:*"`, `the statement has neither Resource nor NotResource`, "Policy statement must contain resources."},
		{"action without service", policy.Identity, `"Effect":"Allow","Action":"GetObject","Resource":"*"`,
			`action "GetObject" names no service (an action is service:Name, as "s3:GetObject")`, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
		{"action with two colons", policy.Identity, `"Effect":"Allow","Action":"s3:List:Bucket","Resource":"*"`,
			`action "s3:List:Bucket" has more than one colon`, "Actions/Condition can contain only one colon."},
		{"action of a vendor with a space", policy.Identity, `"Effect":"Allow","NotAction":"a a:X","Resource":"*"`,
			`action "a a:X" names no valid service`, "Vendor a a is not valid"},
		{"sid with a dash", policy.Identity, `"Sid":"read-it",` + allow, `Sid "read-it" has other characters than letters and digits (write "readit")`,
			"Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"},

		{"resource that is no arn", policy.Identity, `"Effect":"Allow","Action":"s3:X","Resource":"bucket"`, `resource "bucket" is neither an ARN nor "*"`, `Resource bucket must be in ARN format or "*".`},
		{"empty resource", policy.Session, `"Effect":"Allow","Action":"s3:X","Resource":""`, `resource "" is neither an ARN nor "*"`, `Resource  must be in ARN format or "*".`},
		{"resource without arn:", policy.Identity, `"Effect":"Allow","Action":"s3:X","Resource":"aws:s3:::b"`, `resource "aws:s3:::b" has the unknown partition "s3"`,
			`Partition "s3" is not valid for resource "arn:s3:::b:*".`},
		{"resource of an unknown partition", policy.Identity, `"Effect":"Allow","Action":"s3:X","NotResource":"a:b:c:d:e:f:g"`, `resource "a:b:c:d:e:f:g" has the unknown partition "b"`,
			`Partition "b" is not valid for resource "arn:b:c:d:e:f:g".`},
		{"resource without service", policy.Identity, `"Effect":"Allow","Action":"s3:X","Resource":"arn:aws"`, `resource "arn:aws" names no service, or one with a wildcard`, `Resource vendor must be fully qualified and cannot contain regexes.`},
		{"resource with a part missing", policy.Identity, `"Effect":"Allow","Action":"s3:X","Resource":"arn:aws:s3::b"`, `resource "arn:aws:s3::b" has fewer than the six parts of an ARN`, `The policy failed legacy parsing`},
		{"iam resource with a region", policy.Identity, `"Effect":"Allow","Action":"s3:X","Resource":"arn:aws:iam:us-east-1:111111111111:role/x"`,
			`resource "arn:aws:iam:us-east-1:111111111111:role/x" has a region, which IAM's resources do not have`,
			`IAM resource arn:aws:iam:us-east-1:111111111111:role/x cannot contain region information.`},
		{"bucket with a region", policy.Identity, `"Effect":"Allow","Action":"s3:X","Resource":"arn:aws:s3:us-east-1::b"`,
			`resource "arn:aws:s3:us-east-1::b" has a region, which buckets do not have`, `Resource arn:aws:s3:us-east-1::b can not contain region information.`},
		{"iam resource of no type", policy.Identity, `"Effect":"Allow","Action":"s3:X","Resource":"arn:aws:iam::111111111111:payroll"`,
			`resource "arn:aws:iam::111111111111:payroll" does not begin with a type of IAM resource`,
			`IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.`},

		{"resource in a trust policy", policy.Trust, trust + `"*","Resource":"*"`, `a trust policy may not have Resource (the resource is the role itself; leave Resource out)`, "Has prohibited field Resource"},
		{"NotResource in a trust policy", policy.Trust, trust + `"*","NotResource":"*"`, `a trust policy may not have NotResource`, "AssumeRole policy must not contain resources."},
		{"Allow NotPrincipal in a trust policy", policy.Trust, `"Effect":"Allow","Action":"sts:AssumeRole","NotPrincipal":"*"`, `a trust policy may not have NotPrincipal`, "Allow with NotPrincipal is not allowed."},
		{"Deny NotPrincipal in a trust policy", policy.Trust, `"Effect":"Deny","Action":"sts:AssumeRole","NotPrincipal":"*"`, `a trust policy may not have NotPrincipal`, "AssumeRole policy must not contain NotPrincipal field."},
		{"no principal in a trust policy", policy.Trust, `"Effect":"Allow","Action":"sts:AssumeRole"`, `a statement of a trust policy must have a Principal`, "Missing required field Principal"},
		{"no principal in a bucket policy", policy.Resource, allow, `a statement of a resource-based policy must have a Principal`, "Missing required field Principal"},
		{"another service's action in a trust policy", policy.Trust, `"Effect":"Allow","Action":"s3:GetObject","Principal":"*"`,
			`a trust policy cannot grant "s3:GetObject" (only sts:AssumeRole, sts:AssumeRoleWithWebIdentity, sts:AssumeRoleWithSAML, sts:TagSession, sts:SetSourceIdentity, sts:SetContext)`,
			"AssumeRole policy may only specify STS AssumeRole actions."},
		{"every action in a trust policy", policy.Trust, `"Effect":"Allow","Action":"*","Principal":"*"`,
			`a trust policy cannot grant "*" (only sts:AssumeRole, sts:AssumeRoleWithWebIdentity, sts:AssumeRoleWithSAML, sts:TagSession, sts:SetSourceIdentity, sts:SetContext)`,
			"AssumeRole policy may only specify STS AssumeRole actions."},
		{"misspelt action in a trust policy", policy.Trust, `"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdendity","Principal":"*"`,
			`a trust policy cannot grant "sts:AssumeRoleWithWebIdendity" (did you mean "sts:AssumeRoleWithWebIdentity"?)`, "AssumeRole policy may only specify STS AssumeRole actions."},
		{"NotAction in a trust policy", policy.Trust, `"Effect":"Allow","NotAction":"sts:TagSession","Principal":"*"`, `a trust policy may not have NotAction`, "AssumeRole policy may only specify STS AssumeRole actions."},

		{"principal with a wildcard", policy.Trust, trust + `{"AWS":"arn:aws:iam::111111111111:role/*"}`,
			`principal "arn:aws:iam::111111111111:role/*" has a wildcard, which principals cannot have (name the account, and narrow it by a condition: "ArnLike": {"aws:PrincipalArn": …})`,
			`Invalid principal in policy: "AWS":"arn:aws:iam::111111111111:role/*"`},
		{"group as principal", policy.Trust, trust + `{"AWS":"arn:aws:iam::111111111111:group/g"}`,
			`principal "arn:aws:iam::111111111111:group/g" is a group, which cannot be a principal (name the users, or a role they assume)`,
			`Invalid principal in policy: "AWS":"arn:aws:iam::111111111111:group/g"`},
		{"service under AWS", policy.Trust, trust + `{"AWS":"ec2.amazonaws.com"}`,
			`principal "ec2.amazonaws.com" is a service, not an AWS principal (write {"Service": "ec2.amazonaws.com"})`, `Invalid principal in policy: "AWS":"ec2.amazonaws.com"`},
		{"account id of eleven digits", policy.Trust, trust + `{"AWS":"12345678901"}`,
			`principal "12345678901" has 11 digits (an account id has exactly 12 digits; quote it, or JSON drops leading zeros)`, `Invalid principal in policy: "AWS":"12345678901"`},
		{"arn with an account id of ten digits", policy.Resource, trust + `{"AWS":"arn:aws:iam::1234567890:root"}`,
			`principal "arn:aws:iam::1234567890:root" has no account id of 12 digits, or a region`, `Invalid principal in policy: "AWS":"arn:aws:iam::1234567890:root"`},
		{"placeholder as principal", policy.Trust, trust + `{"AWS":"YOUR-ROLE"}`, `principal "YOUR-ROLE" is neither an ARN nor an account id`, `Invalid principal in policy: "AWS":"YOUR-ROLE"`},
		{"principal of another partition", policy.Trust, trust + `{"AWS":"arn:awz:iam::111111111111:root"}`, `principal "arn:awz:iam::111111111111:root" has the unknown partition "awz"`, `Invalid principal in policy: "AWS":"arn:awz:iam::111111111111:root"`},
		{"session without a name", policy.Trust, trust + `{"AWS":"arn:aws:sts::111111111111:assumed-role/r"}`,
			`principal "arn:aws:sts::111111111111:assumed-role/r" names no session (a session's ARN is arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION; for any session name the role)`,
			`Invalid principal in policy: "AWS":"arn:aws:sts::111111111111:assumed-role/r"`},
		{"bucket as principal", policy.Trust, trust + `{"AWS":"arn:aws:s3::111111111111:b"}`, `principal "arn:aws:s3::111111111111:b" is no account, user, role or session`, `Invalid principal in policy: "AWS":"arn:aws:s3::111111111111:b"`},
		{"provider under AWS", policy.Trust, trust + `{"AWS":"arn:aws:iam::111111111111:oidc-provider/h"}`,
			`principal "arn:aws:iam::111111111111:oidc-provider/h" is an identity provider, not an AWS principal (write {"Federated": "arn:aws:iam::111111111111:oidc-provider/h"})`,
			`Invalid principal in policy: "AWS":"arn:aws:iam::111111111111:oidc-provider/h"`},
		{"service that is none", policy.Trust, trust + `{"Service":"es-amazonaws.com"}`, `"es-amazonaws.com" is no service principal (service principals look like "ec2.amazonaws.com")`, `Invalid principal in policy: "SERVICE":"es-amazonaws.com"`},
		{"federated issuer url", policy.Trust, trust + `{"Federated":"https://oidc.example"}`,
			`"https://oidc.example" is no identity provider (name the provider's ARN, arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH)`, "Federated principals must be valid domain names or SAML metadata ARNs"},
		{"provider with its issuer's scheme", policy.Trust, trust + `{"Federated":"arn:aws:iam::111111111111:oidc-provider/https://oidc.example/x"}`,
			`"arn:aws:iam::111111111111:oidc-provider/https://oidc.example/x" has the issuer's scheme, which the ARNs of providers leave out (write "arn:aws:iam::111111111111:oidc-provider/oidc.example/x")`,
			"Federated principals must be valid domain names or SAML metadata ARNs"},
		{"every provider in a trust policy", policy.Trust, trust + `{"Federated":"*"}`,
			`"*" is no identity provider (name the provider's ARN, arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH)`, "Federated principals must be valid domain names or SAML metadata ARNs"},
		{"cognito without condition", policy.Trust, `"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity","Principal":{"Federated":"cognito-identity.amazonaws.com"}`,
			`trust in Cognito needs a condition (name the identity pool: "StringEquals": {"cognito-identity.amazonaws.com:aud": …})`, "A condition block must be present for the Cognito provider"},
		{"canonical user in a trust policy", policy.Trust, trust + `{"CanonicalUser":"abc"}`, `a trust policy may not name canonical users (canonical user ids are for S3 bucket policies)`, `Invalid principal in policy: "CANONICALUSER":"abc"`},
		{"wildcard principal in a key policy", policy.Key, `"Effect":"Allow","Action":"kms:*","Resource":"*","Principal":{"AWS":"arn:aws:iam::*:root"}`,
			`principal "arn:aws:iam::*:root" has a wildcard, which principals cannot have (name the account, and narrow it by a condition: "ArnLike": {"aws:PrincipalArn": …})`,
			"Policy contains a statement with one or more invalid principals."},

		{"principal in an SCP", policy.SCP, allow + `,"Principal":"*"`,
			`a service control policy may not have Principal (it applies to whoever it is attached to; name principals in trust and resource-based policies)`,
			"The provided policy document does not meet the requirements of the specified policy type."},
		{"RCP that allows", policy.RCP, allow + `,"Principal":"*"`, `a resource control policy can only deny`, "The provided policy document does not meet the requirements of the specified policy type."},
		{"RCP for one principal", policy.RCP, `"Effect":"Deny","Action":"s3:*","Resource":"*","Principal":{"AWS":"111111111111"}`,
			`the Principal of a resource control policy must be "*" (tell principals apart in Condition, by aws:PrincipalArn or aws:PrincipalOrgID)`,
			"The provided policy document does not meet the requirements of the specified policy type."},
		{"RCP with NotAction", policy.RCP, `"Effect":"Deny","NotAction":"s3:*","Resource":"*","Principal":"*"`, `a resource control policy may not have NotAction`,
			"The provided policy document does not meet the requirements of the specified policy type."},
		{"RCP with NotPrincipal", policy.RCP, `"Effect":"Deny","Action":"s3:*","Resource":"*","NotPrincipal":"*"`, `a resource control policy may not have NotPrincipal`,
			"The provided policy document does not meet the requirements of the specified policy type."},
		{"RCP over every service", policy.RCP, `"Effect":"Deny","Action":"*","Resource":"*","Principal":"*"`, `the Action of a resource control policy must name a service`,
			"The provided policy document does not meet the requirements of the specified policy type."},
	} {
		t.Run(test.name, func(t *testing.T) {
			src := `{"Version":"2012-10-17","Statement":{` + test.statement + `}}`
			errs := policy.Validate(mustParse(t, src), test.kind)
			if len(errs) != 1 {
				t.Fatalf("Validate = %v, want one error", errs)
			}
			got := errs[0].Msg
			if errs[0].Hint != "" {
				got += " (" + errs[0].Hint + ")"
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Validate (-want +got):\n%s", diff)
			}
			if at := src[errs[0].Pos.Offset:]; !pointsAt(at, errs[0].Msg) {
				t.Errorf("the position is at %.30s…", at)
			}
			if got := errs.AWS(test.kind); got != test.aws {
				t.Errorf("AWS = %q, want %q", got, test.aws)
			}
		})
	}
}

// pointsAt reports whether the text at an error's position is the statement or
// a string that the message speaks of.
func pointsAt(at, msg string) bool {
	if strings.HasPrefix(at, `{"Effect`) || strings.HasPrefix(at, `{"Sid`) || strings.HasPrefix(at, `"*"`) {
		return true
	}
	value, _, _ := strings.Cut(at[1:], `"`)
	if strings.HasPrefix(at, `{"`) { // a Principal element
		return strings.Contains(msg, "Principal")
	}
	return at[0] == '"' && (strings.Contains(msg, value) || strings.Contains(msg, "NotAction") || strings.Contains(msg, "canonical") || strings.Contains(msg, "Cognito"))
}

func TestValidateWholeDocuments(t *testing.T) {
	const statement = `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
	for _, test := range []struct {
		name string
		kind policy.Kind
		doc  *policy.Document
		want string
		aws  string
	}{
		{"a managed policy without version", policy.Managed, mustParse(t, `{"Statement":`+statement+`}`),
			`1:1: a managed policy must have the Version "2012-10-17"`, "Policy document must be version 2012-10-17 or greater."},
		{"a boundary of the old version", policy.Boundary, mustParse(t, `{"Version":"2008-10-17","Statement":`+statement+`}`),
			`1:1: a permissions boundary must have the Version "2012-10-17"`, "Policy document must be version 2012-10-17 or greater."},
		{"an inline policy without version", policy.Identity, mustParse(t, `{"Statement":`+statement+`}`), "", ""},
		{"a Sid twice", policy.Identity, mustParse(t, `{"Statement":[{"Sid":"A",`+statement[1:]+`,{"Sid":"A",`+statement[1:]+`,`+statement+`,`+statement+`]}`),
			`1:75: Sid "A" is used twice`, "Statement IDs (SID) in a single policy must be unique."},
		{"a Sid twice in a trust policy", policy.Trust,
			mustParse(t, `{"Statement":[{"Sid":"A","Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"},{"Sid":"A","Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"}]}`),
			`1:86: Sid "A" is used twice`, "The Statement Ids in the policy are not unique"},
		{"built without statements", policy.Trust, policy.NewDocument(), `the document has no statement`, "Could not parse the policy: Statement is empty!"},
		{"built without action and principal", policy.Trust, policy.NewDocument(policy.Statement{Effect: policy.Allow, Principal: &policy.Principals{}}),
			"the statement has neither Action nor NotAction\nthe Principal names nobody", "Missing required field Action"},
		{"several mistakes, the earlier pass wins", policy.Identity,
			mustParse(t, `{"Statement":{"Effect":"Allow","Action":"x","Resource":"y","Condition":{"DateEquals":{"k":"z"}}}}`),
			"1:41: action \"x\" names no service (an action is service:Name, as \"s3:GetObject\")\n1:56: resource \"y\" is neither an ARN nor \"*\"\n" +
				"1:91: \"z\" is no date for DateEquals (write \"2027-01-31T00:00:00Z\" or seconds since 1970)", "The policy failed legacy parsing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			errs := policy.Validate(test.doc, test.kind)
			if diff := cmp.Diff(test.want, errs.Error()); diff != "" {
				t.Errorf("Validate (-want +got):\n%s", diff)
			}
			if got := errs.AWS(test.kind); got != test.aws {
				t.Errorf("AWS = %q, want %q", got, test.aws)
			}
		})
	}
}

func TestParseErrorsOfATrustPolicyHaveTheirOwnWords(t *testing.T) {
	for src, want := range map[string]string{
		`{"Statement":[]}`: "Could not parse the policy: Statement is empty!",
		`{"Version":"1","Statement":{"Effect":"Allow","Action":"a:b"}}`:  "The policy must contain a valid version string",
		`{"Statement":{"Action":"a:b"}}`:                                 "Missing required field Effect",
		`{"Statement":{"Effect":"Allow"}}`:                               "Missing required field Action",
		`{"Statement":{"Effect":"Allow","Action":"a:b","Principal":{}}}`: "Missing required field Principal cannot be empty!",
		`{`: "Syntax errors in policy.",
	} {
		_, err := policy.Parse([]byte(src))
		if got := err.(policy.Errors).AWS(policy.Trust); got != want {
			t.Errorf("AWS(Trust) of %s = %q, want %q", src, got, want)
		}
	}
}

func TestValidateAcceptsWhatAWSAccepts(t *testing.T) {
	for _, test := range []struct {
		name string
		kind policy.Kind
		doc  string
	}{
		{"wildcards, variables and short ARNs", policy.Managed, `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":["*","*:*","s3:*","S3:Get?bject","sts:AssumeRole"],
			 "Resource":["*","arn:aws:s3:::b/${aws:username}/*","arn:aws:fdsasf","arn:*:iam::*:role/x","arn:aws:iam::*:*","arn:aws:iam::111111111111:role*",
			             "arn:aws:iam::111111111111:${aws:username}","arn:aws:s3:us-east-1:111111111111:accesspoint/x","arn:aws-cn:sqs:cn-north-1:111111111111:q","arn:aws:iam::111111111111:root"]},
			{"Sid":"","Effect":"Deny","NotAction":"iam:*","NotResource":"*"},
			{"Sid":"","Effect":"Allow","Action":"a:b","Resource":"*","Condition":{
				"DateGreaterThan":{"k":["2027","2027-01","2027-01-02","2027-01-02T03:04Z","2027-01-02T03:04:05+01:00","2027-01-02T03:04:05.123Z","1767225600"]},
				"ForAllValues:StringLikeIfExists":{"k":"x"},"Null":{"k":true}}}]}`},
		{"every form of trusted principal", policy.Trust, `{"Version":"2008-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":["*","111111111111","arn:aws:iam::111111111111:root","arn:aws:iam::111111111111:role/a/b/c","arn:aws-us-gov:iam::111111111111:user/u",
				"arn:aws:sts::111111111111:assumed-role/r/s","arn:aws:sts::111111111111:federated-user/f","AROAEXAMPLEEXAMPLE123"],
			  "Service":["ec2.amazonaws.com","pods.eks.amazonaws.com","s3.cn-north-1.amazonaws.com.cn","cognito-idp.us-east-1.amazonaws.com"]},
			 "Action":["sts:AssumeRole","sts:TagSession","STS:setsourceidentity","sts:AssumeRole*","sts:*"]},
			{"Effect":"Allow","Principal":{"Federated":["arn:aws:iam::111111111111:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/X","arn:aws:iam::111111111111:saml-provider/p","accounts.google.com"]},
			 "Action":"sts:AssumeRoleWithWebIdentity"},
			{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}`},
		{"the default key policy", policy.Key, `{"Version":"2012-10-17","Id":"key-default-1","Statement":[
			{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}]}`},
		{"a repository policy, which has no Resource", policy.Resource, `{"Statement":{"Effect":"Allow","Principal":"*","Action":"ecr:*"}}`},
		{"a bucket policy for a canonical user", policy.Resource, `{"Statement":{"Effect":"Allow","Principal":{"CanonicalUser":"0123abcd"},"Action":"s3:*","Resource":"arn:aws:s3:::b"}}`},
		{"a bucket policy for a distribution's origin access identity", policy.Resource,
			`{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity EH1HDMB1FH2TC"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}`},
		{"an STS endpoint policy for whoever brings a token", policy.Endpoint, `{"Statement":[{"Effect":"Allow","Principal":{"Federated":"*"},"Action":"sts:AssumeRoleWithWebIdentity","Resource":"*"}]}`},
		{"an endpoint policy with and without principal", policy.Endpoint, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}]}`},
		{"an SCP with the full language", policy.SCP, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":"iam:*","Resource":"arn:aws:s3:::*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`},
		{"an RCP", policy.RCP, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":["s3:*","sts:*"],"Resource":"*"}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if errs := policy.Validate(mustParse(t, test.doc), test.kind); len(errs) != 0 {
				t.Errorf("Validate as %v = %v, want nothing", test.kind, errs)
			}
		})
	}
}

func TestKindNames(t *testing.T) {
	seen := map[string]bool{}
	for k := policy.Identity; k <= policy.RCP; k++ {
		if name := k.String(); seen[name] || strings.Contains(name, "policy kind") {
			t.Errorf("kind %d is named %q", k, name)
		}
		seen[k.String()] = true
	}
}
