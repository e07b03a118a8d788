package lint_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// brief gives each diagnostic as "line:column severity code", followed by its
// summary.
func brief(list rule.List) []string {
	var out []string
	for _, d := range list {
		out = append(out, fmt.Sprintf("%d:%d %s %s: %s", d.Pos.Line, d.Pos.Column, d.Severity, d.Code, d.Summary))
	}
	return out
}

func checkList(t *testing.T, got rule.List, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, brief(got)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	for _, d := range got {
		if d.Severity != rule.Info && d.Hint == "" {
			t.Errorf("%s says not what to do: %s", d.Code, d.Summary)
		}
	}
}

// The tests of this file hold the mistakes of the five articles the project
// set out from, in the articles' own words cut down to the statement at fault,
// each beside a document that does the same thing right.

func TestMisspeltOperatorAndKeyWithoutClaim(t *testing.T) {
	const role = `Resources:
  AppRole:
    Type: AWS::IAM::Role
    Properties:
      RoleName: AppRole
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement:
        - Effect: Allow
          Principal:
            Federated: !Sub arn:aws:iam::${AWS::AccountId}:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/AFF2087DBFD0EF4528F23B057B9F1C21
          Action:
            - sts:AssumeRoleWithWebIdentity
          Condition:
            %s:
               "oidc.eks.us-east-1.amazonaws.com/id/AFF2087DBFD0EF4528F23B057B9F1C21%s": "system:serviceaccount:your-namespace:service-account-name"
               "oidc.eks.us-east-1.amazonaws.com/id/AFF2087DBFD0EF4528F23B057B9F1C21:aud": "sts.amazonaws.com"
`
	const misspelt = `15:13 critical policy/unknown-operator: unknown condition operator "SringEquals"`
	const noClaim = `16:16 critical trust/claim-missing: the condition key "oidc.eks.us-east-1.amazonaws.com/id/AFF2087DBFD0EF4528F23B057B9F1C21" names the issuer and no claim`

	got := lint.File("template.yaml", fmt.Appendf(nil, role, "SringEquals", ""))
	checkList(t, got, misspelt, noClaim)
	if want := `did you mean "StringEquals"?`; got[0].Hint != want {
		t.Errorf("hint = %q, want %q", got[0].Hint, want)
	}
	if want := `write "oidc.eks.us-east-1.amazonaws.com/id/AFF2087DBFD0EF4528F23B057B9F1C21:sub"`; got[1].Hint != want {
		t.Errorf("hint = %q, want %q", got[1].Hint, want)
	}
	checkList(t, lint.File("template.yaml", fmt.Appendf(nil, role, "SringEquals", ":sub")), misspelt)
	checkList(t, lint.File("template.yaml", fmt.Appendf(nil, role, "StringEquals", "")), noClaim)
	checkList(t, lint.File("template.yaml", fmt.Appendf(nil, role, "StringEquals", ":sub")))
}

func TestTrustWithoutSubject(t *testing.T) {
	const trust = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "Federated": "arn:aws:iam::111111111111:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/A1"
      },
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": {
        "StringEquals": {
          "oidc.eks.us-east-1.amazonaws.com/id/A1:aud": "sts.amazonaws.com"%s
        }
      }
    }
  ]
}`
	checkList(t, lint.File("trust.json", fmt.Appendf(nil, trust, "")),
		"7:22 high trust/no-subject: every service account of the cluster may assume the role")
	checkList(t, lint.File("trust.json", fmt.Appendf(nil, trust,
		`, "oidc.eks.us-east-1.amazonaws.com/id/A1:sub": "system:serviceaccount:ci-namespace:ci-serviceaccount"`)))
}

func TestResourcePolicyForEveryone(t *testing.T) {
	const template = `Resources:
  AppDemoSecret:
    Type: AWS::SecretsManager::Secret
    Properties:
      Name: AppDemoSecret
      KmsKeyId: arn:aws:kms:us-east-1:111111111111:key/k
  AppDemoSecretResourcePolicy:
    Type: AWS::SecretsManager::ResourcePolicy
    Properties:
      SecretId: !Ref 'AppDemoSecret'
      ResourcePolicy:
        Version: '2012-10-17'
        Statement:
          - Effect: Allow
            Principal:
              AWS: %s
            Action:
              - secretsmanager:Describe*
              - secretsmanager:GetSecretValue
            Resource: '*'
`
	checkList(t, lint.File("t.yaml", fmt.Appendf(nil, template, `"*"`)),
		"16:20 critical principal/everyone: every principal of every AWS account may do this")
	checkList(t, lint.File("t.yaml", fmt.Appendf(nil, template, `arn:aws:iam::222222222222:role/App*`)),
		`16:20 high policy/principal: principal "arn:aws:iam::222222222222:role/App*" has a wildcard, which principals cannot have`)
	checkList(t, lint.File("t.yaml", fmt.Appendf(nil, template, `arn:aws:iam::222222222222:role/AppRole`)))
}

func TestSecretSharedUnderTheManagedKey(t *testing.T) {
	const template = `Resources:
  AppDemoSecret:
    Type: AWS::SecretsManager::Secret
    Properties:
      Name: AppDemoSecret
%s  AppDemoSecretResourcePolicy:
    Type: AWS::SecretsManager::ResourcePolicy
    Properties:
      SecretId: !Ref 'AppDemoSecret'
      ResourcePolicy:
        Version: '2012-10-17'
        Statement:
          - Effect: Allow
            Principal:
              AWS: !Sub
                - 'arn:aws:iam::${AccountId}:role/AppRole'
                - { AccountId: %s }
            Action: secretsmanager:GetSecretValue
            Resource: '*'
`
	const finding = "high secret/managed-key: arn:aws:iam::222222222222:role/AppRole can never read this secret: it is encrypted with the AWS managed key aws/secretsmanager"
	checkList(t, lint.File("t.yaml", fmt.Appendf(nil, template, "", "'222222222222'")), "15:20 "+finding)
	checkList(t, lint.File("t.yaml", fmt.Appendf(nil, template, "      KmsKeyId: alias/aws/secretsmanager\n", "'222222222222'")), "16:20 "+finding)
	checkList(t, lint.File("t.yaml", fmt.Appendf(nil, template,
		"      KmsKeyId: '{{resolve:ssm:/organizations/sip32/sip32-resources-v0-KeyARN:1}}'\n", "'222222222222'")))
	checkList(t, lint.File("t.yaml", fmt.Appendf(nil, template, "", "!Ref AWS::AccountId"))) // its own account
}

func TestSecretNameOfAnotherAccount(t *testing.T) {
	const program = `using (var client = new AmazonSecretsManagerClient())
{
    var request = new GetSecretValueRequest();
    request.SecretId = "%s"; // full ARN
}
`
	checkList(t, lint.File("Program.cs", fmt.Appendf(nil, program, "AppDemoSecret")),
		`4:25 medium secret/short-name: the secret name "AppDemoSecret" is looked up in the caller's own account; for a secret of another account give its full ARN`)
	checkList(t, lint.File("Program.cs", fmt.Appendf(nil, program, "arn:aws:secretsmanager:us-east-1:222222222222:secret:AppDemoSecret")),
		`4:25 medium secret/partial-arn: "arn:aws:secretsmanager:us-east-1:222222222222:secret:AppDemoSecret" lacks the hyphen and six characters that end a secret's ARN`)
	checkList(t, lint.File("Program.cs", fmt.Appendf(nil, program, "arn:aws:secretsmanager:us-east-1:222222222222:secret:AppDemoSecret-a1B2c3")))

	pos := diag.Position{File: "access.yaml", Line: 3, Column: 9}
	checkList(t, lint.SecretID(pos, "AppDemoSecret", "111111111111", "222222222222"),
		`3:9 high secret/short-name: the secret name "AppDemoSecret" is looked up in account 111111111111, but the secret is in account 222222222222`)
	checkList(t, lint.SecretID(pos, "AppDemoSecret", "222222222222", "222222222222"))
}

func TestDeployerThatOnlyReads(t *testing.T) {
	const document = `{
"Version": "2012-10-17",
"Statement": [
{
"Sid": "%s",
"Effect": "Allow",
"Action": [
"cloudformation:Describe*",
"cloudformation:List*",
"cloudformation:Get*"%s
],
"Resource": "*"
}
]
}`
	checkList(t, lint.File("policy.json", fmt.Appendf(nil, document, "AllowAllCloudformationActivitites", "")),
		`8:1 medium identity/read-only-deployer: "AllowAllCloudformationActivitites" can only describe, list and get, and deploys nothing`)
	checkList(t, lint.File("policy.json", fmt.Appendf(nil, document, "AllowAllCloudformationActivitites", `, "cloudformation:*Stack*"`)))
	checkList(t, lint.File("policy.json", fmt.Appendf(nil, document, "ReadStacks", "")))

	doc := parse(t, fmt.Sprintf(document, "", ""))
	checkList(t, lint.Identity(doc, lint.Context{Name: "ResourceDeployCAR"}),
		`8:1 medium identity/read-only-deployer: "ResourceDeployCAR" can only describe, list and get, and deploys nothing`)
	checkList(t, lint.Identity(doc, lint.Context{Deploys: true}),
		`8:1 medium identity/read-only-deployer: this can only describe, list and get, and deploys nothing`)
	checkList(t, lint.Identity(doc, lint.Context{Name: "ListAllStacks"}))
}

func TestTokenFileWithAStrayDot(t *testing.T) {
	const config = `[profile ci-env]
role_arn = arn:aws:iam::CI_ACCOUNT_ID:role/ci-account-iam-role
web_identity_token_file = /var/run/secrets/eks.amazonaws.com/serviceaccount/token%s

[profile target-env]
role_arn = arn:aws:iam::TARGET_ACCOUNT_ID:role/target-account-iam-role
source_profile = ci-env
role_session_name = xactarget
`
	got := lint.File("awsconfig-configmap.yaml", fmt.Appendf(nil, config, "."))
	checkList(t, got, `3:27 high config/token-file: the token file path "/var/run/secrets/eks.amazonaws.com/serviceaccount/token." ends with a stray .`)
	if want := "write /var/run/secrets/eks.amazonaws.com/serviceaccount/token"; got[0].Hint != want {
		t.Errorf("hint = %q, want %q", got[0].Hint, want)
	}
	checkList(t, lint.File("awsconfig-configmap.yaml", fmt.Appendf(nil, config, "")))
}

func TestAssumeRoleInAnyAccount(t *testing.T) {
	const template = `Resources:
  AppRole:
    Type: AWS::IAM::Role
    Properties:
      RoleName: AppRole
      Policies:
      - PolicyName: NewAccountRoleAccess
        PolicyDocument:
          Version: "2012-10-17"
          Statement:
            - Effect: Allow
              Action:
                - sts:AssumeRole
              Resource: "arn:aws:iam::%s:role/AppRole*"
%s`
	checkList(t, lint.File("t.yaml", fmt.Appendf(nil, template, "*", "")),
		`14:25 medium identity/assume-any-account: "arn:aws:iam::*:role/AppRole*" allows to assume roles of every AWS account, strangers' included`)
	checkList(t, lint.File("t.yaml", fmt.Appendf(nil, template, "222222222222", "")))
	checkList(t, lint.File("t.yaml", fmt.Appendf(nil, template, "*", `              Condition:
                StringEquals: {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}
`)))
}

func TestTrustInANodeRole(t *testing.T) {
	const trust = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::111111111111:role/%s"
      },
      "Action": "sts:AssumeRole",
      "Condition": {}
    }
  ]
}`
	checkList(t, lint.File("trust.json", fmt.Appendf(nil, trust, "eksctl-ci-nodegroup-ng-1-NodeInstanceRole-1ABC")),
		"7:16 medium trust/node-role: eksctl-ci-nodegroup-ng-1-NodeInstanceRole-1ABC looks like the role of a node; then every pod on it may assume this role")
	checkList(t, lint.File("trust.json", fmt.Appendf(nil, trust, "ci-account-iam-role")))

	known := lint.Context{NodeRoles: []string{"arn:aws:iam::111111111111:role/workers"}}
	checkList(t, lint.Trust(parse(t, fmt.Sprintf(trust, "workers")), known),
		"7:16 high trust/node-role: workers is the role of a node, so every pod on it may assume this role")
	checkList(t, lint.Trust(parse(t, fmt.Sprintf(trust, "eks-node-role")), known)) // known not to be one
}

func TestProfileHeadingInACredentialsFile(t *testing.T) {
	const credentials = `[default]
sso_session = my-sso
sso_account_id = 111111111111
sso_role_name = readOnly
region = us-west-2
output = text
[%suser1]
sso_session = my-sso
sso_account_id = 444444444444
sso_role_name = readOnly
%s`
	const session = `[sso-session my-sso]
sso_region = us-east-1
sso_start_url = https://my-sso-portal.awsapps.com/start
sso_registration_scopes = sso:account:access
`
	text := fmt.Appendf(nil, credentials, "profile ", session)
	checkList(t, lint.File("/home/u/.aws/credentials", text),
		"7:1 high credentials/profile-heading: clients do not find the profile user1: headings of a credentials file are names alone",
		"11:1 high credentials/section: clients read [sso-session my-sso] from config files only")
	checkList(t, lint.File("/home/u/.aws/credentials", fmt.Appendf(nil, credentials, "", "")))
	checkList(t, lint.File("/home/u/.aws/config", text))
}

func TestSystemMasters(t *testing.T) {
	const configMap = `apiVersion: v1
kind: ConfigMap
metadata: {name: aws-auth, namespace: kube-system}
data:
  mapRoles: |
    - groups:
      - %s
      rolearn: arn:aws:iam::TARGET_ACCOUNT_ID:role/target-account-iam-role
      username: test-user
`
	checkList(t, lint.File("aws-auth.yaml", fmt.Appendf(nil, configMap, "system:masters")),
		"7:9 medium awsauth/system-masters: arn:aws:iam::TARGET_ACCOUNT_ID:role/target-account-iam-role becomes cluster administrator beyond any restriction")
	checkList(t, lint.File("aws-auth.yaml", fmt.Appendf(nil, configMap, "viewers")))
	_, fragment, _ := strings.Cut(configMap, "data:\n")
	checkList(t, lint.File("aws-auth.yaml", fmt.Appendf(nil, fragment, "system:masters")),
		"3:9 medium awsauth/system-masters: arn:aws:iam::TARGET_ACCOUNT_ID:role/target-account-iam-role becomes cluster administrator beyond any restriction")
}

// TestUnquotedStar is a thirteenth mistake: the template of one article is not
// YAML.
func TestUnquotedStar(t *testing.T) {
	got := lint.File("t.yaml", []byte("Statement:\n- Effect: Allow\n  Action:\n  - kms:Decrypt\n  Resource: *\n"))
	if len(got) != 1 || got[0].Code != rule.Unreadable || !strings.Contains(got[0].Hint, `"*"`) {
		t.Errorf("findings = %q, hint %q", brief(got), got[0].Hint)
	}
}

func parse(t testing.TB, src string) *policy.Document {
	t.Helper()
	d, err := policy.Parse([]byte(src))
	if err != nil {
		t.Fatalf("Parse(%s): %v", src, err)
	}
	return d
}

const (
	own   = arn.AccountID("111111111111")
	other = arn.AccountID("222222222222")
)
