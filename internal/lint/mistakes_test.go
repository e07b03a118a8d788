package lint_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

const (
	githubURL = "token.actions.githubusercontent.com"
	eksURL    = "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
)

// tokens is a trust policy for an OIDC provider under conditions.
func tokens(url, conditions string) string {
	return `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {"Federated": "arn:aws:iam::111111111111:oidc-provider/` + url + `"},
      "Action": "sts:AssumeRoleWithWebIdentity",
      "Condition": ` + strings.NewReplacer("GH", githubURL, "EKS", eksURL).Replace(conditions) + `
    }
  ]
}
`
}

// granted is a policy of one statement, a line an element.
func granted(elements ...string) string {
	return "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {\n      " + strings.Join(elements, ",\n      ") + "\n    }\n  ]\n}\n"
}

// TestMistakesPeopleMake holds each mistake to one code, the place of what is
// wrong, and, where a correction is given, to a correction that can be put there
// and leaves no finding of the kind behind.
func TestMistakesPeopleMake(t *testing.T) {
	const aud = `"GH:aud": "sts.amazonaws.com"`
	const eksAud = `"EKS:aud": "sts.amazonaws.com"`
	for _, test := range []struct {
		name, text string
		want       []string // severity, code and the text at the place
	}{
		{"every subject of an issuer that others use too", tokens(githubURL, `{"StringEquals": {`+aud+`}, "StringLike": {"GH:sub": "*"}}`), []string{`critical trust/wide-subject "*"`}},
		{"an organization that others may have names like", tokens(githubURL, `{"StringEquals": {`+aud+`}, "StringLike": {"GH:sub": ["repo:acme@1/app@2:ref:refs/heads/main", "repo:acme*"]}}`), []string{`high trust/wide-subject "repo:acme*"`}},
		{"a wildcard that compares as a letter", tokens(githubURL, `{"StringEquals": {`+aud+`, "GH:sub": "repo:acme@1/app@2:*"}}`), []string{`high condition/wildcard-in-exact "repo:acme@1/app@2:*"`}},
		{"a claim that may be absent", tokens(githubURL, `{"StringEquals": {`+aud+`}, "StringLikeIfExists": {"GH:sub": "repo:acme@1/app@2:ref:refs/heads/main"}}`), []string{`critical trust/vacuous-claim "StringLikeIfExists"`}},
		{"a claim that may be absent, beside the operator to use", tokens(githubURL, `{"StringEquals": {`+aud+`}, "StringEqualsIfExists": {"GH:sub": "repo:acme@1/app@2:ref:refs/heads/main"}}`), []string{`critical trust/vacuous-claim "StringEqualsIfExists"`}},
		{"an operator that does not exist", tokens(githubURL, `{"StringEquals": {`+aud+`}, "StringLke": {"GH:sub": "repo:acme@1/app@2:ref:refs/heads/main"}}`), []string{`critical policy/unknown-operator "StringLke"`}},
		{"an operator that does not exist, beside the one meant", tokens(githubURL, `{"StringEquals": {`+aud+`}, "StringEqual": {"GH:sub": "repo:acme@1/app@2:ref:refs/heads/main"}}`), []string{`critical policy/unknown-operator "StringEqual"`}},
		{"a slash before the claim", tokens(githubURL, `{"StringEquals": {`+aud+`, "GH/sub": "repo:acme@1/app@2:ref:refs/heads/main"}}`), []string{`critical trust/claim-missing "GH/sub"`}},
		{"a claim misspelt", tokens(githubURL, `{"StringEquals": {`+aud+`, "GH:subs": "repo:acme@1/app@2:ref:refs/heads/main"}}`), []string{`critical trust/unknown-claim "GH:subs"`}},
		{"a host misspelt", tokens(githubURL, `{"StringEquals": {`+aud+`, "token.action.githubusercontent.com:sub": "repo:acme@1/app@2:ref:refs/heads/main"}}`), []string{`critical trust/other-issuer "token.action.githubusercontent.com:sub"`}},
		{"a scheme in a condition key", tokens(eksURL, `{"StringEquals": {`+eksAud+`, "https://EKS:sub": "system:serviceaccount:ns:app"}}`), []string{`critical trust/claim-missing "https://EKS:sub"`}},
		{"a scheme in a provider's ARN", tokens("https://"+eksURL, `{"StringEquals": {`+eksAud+`, "EKS:sub": "system:serviceaccount:ns:app"}}`), []string{`high policy/principal "arn:aws:iam::111111111111:oidc-provider/https://EKS"`}},
		{"letter case in a subject", tokens(githubURL, `{"StringEquals": {`+aud+`, "GH:sub": "Repo:acme@1/app@2:ref:refs/heads/main"}}`), []string{`high trust/malformed-subject "Repo:acme@1/app@2:ref:refs/heads/main"`}},
		{"a subject without repo:", tokens(githubURL, `{"StringEquals": {`+aud+`, "GH:sub": "acme/app:ref:refs/heads/main"}}`), []string{`high trust/malformed-subject "acme/app:ref:refs/heads/main"`}},
		{"a branch without ref", tokens(githubURL, `{"StringEquals": {`+aud+`, "GH:sub": "repo:acme@1/app@2:main"}}`), []string{`high trust/malformed-subject "repo:acme@1/app@2:main"`}},
		{"a branch without refs/heads", tokens(githubURL, `{"StringEquals": {`+aud+`}, "StringLike": {"GH:sub": "repo:acme@1/app@2:ref:heads/*"}}`), []string{`high trust/malformed-subject "repo:acme@1/app@2:ref:heads/*"`}},
		{"audience and subject exchanged", tokens(eksURL, `{"StringEquals": {"EKS:sub": "sts.amazonaws.com", "EKS:aud": "system:serviceaccount:ns:app"}}`), []string{`high trust/malformed-subject "sts.amazonaws.com"`}},
		{"an action misspelt", strings.Replace(tokens(eksURL, `{"StringEquals": {`+eksAud+`, "EKS:sub": "system:serviceaccount:ns:app"}}`), "WebIdentity", "WebIdentitiy", 1), []string{`high policy/action "sts:AssumeRoleWithWebIdentitiy"`}},
		{"a service misspelt", granted(`"Effect": "Allow"`, `"Principal": {"Service": "lamda.amazonaws.com"}`, `"Action": "sts:AssumeRole"`), []string{`medium policy/principal "lamda.amazonaws.com"`}},
		{"EKS Pod Identity misspelt", granted(`"Effect": "Allow"`, `"Principal": {"Service": "pod.eks.amazonaws.com"}`, `"Action": ["sts:AssumeRole", "sts:TagSession"]`), []string{`medium policy/principal "pod.eks.amazonaws.com"`}},
		{"a provider under AWS", granted(`"Effect": "Allow"`, `"Principal": {"AWS": "arn:aws:iam::111111111111:oidc-provider/EKS"}`, `"Action": "sts:AssumeRoleWithWebIdentity"`), []string{`high policy/principal "arn:aws:iam::111111111111:oidc-provider/EKS"`}},
		{"a bucket's events from anybody", granted(`"Effect": "Allow"`, `"Principal": {"Service": "s3.amazonaws.com"}`, `"Action": "sqs:SendMessage"`, `"Resource": "arn:aws:sqs:us-east-1:111111111111:q"`), []string{`medium trust/confused-deputy "s3.amazonaws.com"`}},
		{"a distribution of anybody", granted(`"Effect": "Allow"`, `"Principal": {"Service": "cloudfront.amazonaws.com"}`, `"Action": "s3:GetObject"`, `"Resource": "arn:aws:s3:::site/*"`, `"Condition": {"StringLike": {"aws:SourceArn": "*"}}`), []string{`medium trust/confused-deputy "cloudfront.amazonaws.com"`}},
		{"a namespace's name in a resource", granted(`"Effect": "Allow"`, `"Action": "s3:GetObject"`, `"Resource": "arn:aws:s3:::b/${aws:PrincipalTag/kubernetes-namespace}/*"`), []string{`medium trust/pod-identity-cluster "arn:aws:s3:::b/${aws:PrincipalTag/kubernetes-namespace}/*"`}},
		{"a family of keys misspelt", granted(`"Effect": "Allow"`, `"Action": "s3:GetObject"`, `"Resource": "*"`, `"Condition": {"StringEquals": {"aws:PrincipleTag/team": "a"}}`), []string{`medium condition/unknown-key "aws:PrincipleTag/team"`}},
		{"an element misspelt", granted(`"Effect": "Allow"`, `"Actions": "s3:GetObject"`, `"Resource": "*"`), []string{`high policy/unknown-element "Actions"`}},
		{"letter case of Effect", granted(`"Effect": "allow"`, `"Action": "s3:GetObject"`, `"Resource": "*"`), []string{`high policy/effect "allow"`}},
		{"eleven digits", granted(`"Effect": "Allow"`, `"Action": "dynamodb:GetItem"`, `"Resource": "arn:aws:dynamodb:us-east-1:11111111111:table/Orders"`), []string{`high policy/resource "arn:aws:dynamodb:us-east-1:11111111111:table/Orders"`}},
		{"keys misspelt behind which everybody stands", granted(`"Effect": "Allow"`, `"Principal": "*"`, `"Action": "kms:Decrypt"`, `"Resource": "*"`, `"Condition": {"StringEquals": {"kms:CallerAcount": "222222222222"}}`),
			[]string{`high key/unmanageable {`, `critical principal/everyone "*"`, `medium condition/unknown-key "kms:CallerAcount"`}},
		{"a denial that leaves a way in", `{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"},
    {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/*", "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}, "Bool": {"aws:SecureTransport": "false"}}}
  ]
}
`, []string{`critical principal/everyone "*"`}},
		{"a denial of something else", `{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"},
    {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "*", "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}}
  ]
}
`, []string{`critical principal/everyone "*"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.NewReplacer(`/EKS"`, "/"+eksURL+`"`, `/https://EKS"`, "/https://"+eksURL+`"`).Replace(test.text)
			found := lint.File("policy.json", []byte(text)).AtLeast(rule.Low)
			var got []string
			for _, f := range found {
				at := strings.NewReplacer(githubURL, "GH", eksURL, "EKS").Replace(token(text, f))
				got = append(got, fmt.Sprintf("%s %s %s", f.Severity, f.Code, at))
				if f.Hint == "" {
					t.Errorf("%s says not what to do", f)
				}
				checkFix(t, text, f)
			}
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("findings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// token is the JSON string that stands at a finding's place, or the character
// that does.
func token(text string, f rule.Finding) string {
	line := strings.Split(text, "\n")[f.Pos.Line-1][f.Pos.Column-1:]
	if !strings.HasPrefix(line, `"`) {
		return line[:1]
	}
	return line[:strings.IndexByte(line[1:], '"')+2]
}

// checkFix puts a finding's correction where it belongs, and looks again: it
// must have gone, and nothing worse have come.
func checkFix(t *testing.T, text string, f rule.Finding) {
	t.Helper()
	if f.Fix == "" {
		return
	}
	lines := strings.Split(text, "\n")
	line, was := lines[f.Pos.Line-1], token(text, f)
	lines[f.Pos.Line-1] = line[:f.Pos.Column-1] + `"` + f.Fix + `"` + line[f.Pos.Column-1+len(was):]
	for _, g := range lint.File("policy.json", []byte(strings.Join(lines, "\n"))).AtLeast(rule.Low) {
		if g.Code == f.Code && g.Pos == f.Pos || g.Code == "policy/duplicate" || strings.HasPrefix(g.Code, "policy/unknown") {
			t.Errorf("with %q for %s there is: %s", f.Fix, was, g)
		}
	}
}

// What another account may do with a key by kms:CreateGrant depends on what it
// may do without.
func TestGrantsOfWhoMayDecryptAnyway(t *testing.T) {
	key := func(also string) rule.List {
		_, list := lint.Context{Account: "111111111111"}.Document([]byte(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"},
			{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"kms:CreateGrant","Resource":"*"}`+also+`]}`), policy.Key)
		return list
	}
	const use = `,{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":["kms:Encrypt","kms:Decrypt"],"Resource":"*"`
	for _, test := range []struct {
		name, also string
		want       rule.Severity
	}{
		{"nothing else", "", rule.High},
		{"encrypt only", strings.Replace(use, `,"kms:Decrypt"`, "", 1) + "}", rule.High},
		{"decrypt", use + "}", rule.Info},
		{"decrypt through one service", use + `,"Condition":{"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}}}`, rule.High},
	} {
		t.Run(test.name, func(t *testing.T) {
			list := key(test.also)
			if len(list) != 1 || list[0].Code != rule.Escalation || list[0].Severity != test.want {
				t.Errorf("findings = %q, want one of %s, %s", brief(list), rule.Escalation, test.want)
			}
		})
	}
}

// Columns count bytes, also where the YAML reader counts characters.
func TestPlacesBehindWhatIsNotASCII(t *testing.T) {
	for _, test := range []struct{ name, file, text string }{
		{"json", "p.json", `{"Version":"2012-10-17","Statement":{"Sid":"ü😀","Effect":"Allow","Action":"s3:GetObjct","Resource":"*"}}`},
		{"yaml", "p.yaml", "Über: x\nStatement: {Sid: \"ü😀\", Effect: Allow, Action: \"s3:GetObjct\", Resource: \"*\"}"},
		{"a document in a string of YAML", "t.yaml", "Über: x\nÜ: {ü: \"ü\", Policy: \"{\\\"Statement\\\":{\\\"Effect\\\":\\\"Allow\\\",\\\"Action\\\":\\\"s3:GetObjct\\\",\\\"Resource\\\":\\\"*\\\"}}\"}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, f := range lint.File(test.file, []byte(test.text)) {
				if f.Code != rule.UnknownAction {
					continue
				}
				at := strings.TrimLeft(strings.Split(test.text, "\n")[f.Pos.Line-1][f.Pos.Column-1:], `\"`)
				if !strings.HasPrefix(at, "s3:GetObjct") {
					t.Errorf("column %d is at %q", f.Pos.Column, at)
				}
				return
			}
			t.Error("the action was not found")
		})
	}
}

const conditional = `Parameters:
  Env: {Type: String, Default: dev}
  Trusted: {Type: String}
Mappings:
  Accounts:
    dev: {Id: "222222222222"}
    prod: {Id: "111111111111"}
Conditions:
  IsProd: !Equals [!Ref Env, prod]
  IsNotProd: !Not [!Condition IsProd]
Resources:
  Open:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          Effect: Allow
          Principal: {AWS: !If [IsProd, !Sub "arn:aws:iam::${Trusted}:role/ci", "*"]}
          Action: sts:AssumeRole
  Mapped:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          Effect: Allow
          Principal: {AWS: !FindInMap [Accounts, !Ref Env, Id]}
          Action: sts:AssumeRole
  Never:
    Type: AWS::SQS::QueuePolicy
    Condition: IsProd
    Properties:
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          Effect: Allow
          Principal: "*"
          Action: sqs:SendMessage
          Condition: !If [IsNotProd, !Ref "AWS::NoValue", {StringEquals: {"aws:PrincipalOrgID": o-1}}]
  Wherever:
    Type: AWS::SQS::QueuePolicy
    Properties:
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          Effect: Allow
          Principal: {AWS: "111111111111"}
          Action: [sqs:SendMesage]
  Function:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      Principal: s3.amazonaws.com
  Sourced:
    Type: AWS::Lambda::Permission
    Properties: {Action: lambda:InvokeFunction, Principal: s3.amazonaws.com, SourceAccount: !Ref "AWS::AccountId", SourceArn: !GetAtt Bucket.Arn}
  Later:
    Type: AWS::SQS::QueuePolicy
    Properties:
      PolicyDocument: !Ref Trusted
`

// A template is checked in each of the cases its conditions distinguish; what
// is not in all of them says in which it is.
func TestTemplatesInAllCases(t *testing.T) {
	list := lint.Context{Account: arn.AccountID("111111111111")}.FileIn("template.yaml", []byte(conditional))
	checkFindings(t, list, []string{
		`19:81 critical principal/everyone: every principal of every AWS account may assume the role`,
		`28:28 high trust/whole-account: the whole account 222222222222 may assume the role`,
		`49:20 medium action/unknown: there is no action "sqs:SendMesage"`,
		`54:18 medium trust/confused-deputy: s3.amazonaws.com may do this on behalf of any account`,
		`61:23 info file/not-known: the template does not tell what the document is: it is ${Trusted}`,
	})
	for i, want := range []string{`It is so where Env is "dev", Env is something else.`, `It is so where Env is "dev".`, "", "", ""} {
		if i >= len(list) {
			break
		}
		got := list[i].Detail
		if i == 0 {
			got = got[max(0, strings.Index(got, "It is so")):]
			want = `It is so where Env is "dev".` // the first case it is in
		}
		if want != "" && !strings.HasSuffix(got, want) || want == "" && strings.Contains(got, "It is so") {
			t.Errorf("finding %d: detail %q, want one that ends in %q", i, got, want)
		}
	}
}

const planOfAll = `{
  "format_version": "1.2",
  "resource_changes": [
    {"address": "module.a[\"x.y\"].aws_iam_role.r[0]", "type": "aws_iam_role", "change": {"after": {"name": "r"}, "after_unknown": {"assume_role_policy": true, "arn": true}}},
    {"address": "aws_kms_key.own", "type": "aws_kms_key", "change": {"after": {}, "after_unknown": {"policy": true}}},
    {"address": "aws_kms_key.written", "type": "aws_kms_key", "change": {"after": {}, "after_unknown": {"policy": true}}},
    {"address": "data.aws_iam_policy_document.d", "mode": "data", "type": "aws_iam_policy_document", "change": {"after": {"policy": "{\"Statement\":[{\"Effect\":\"Allow\"}]}"}}},
    {"address": "aws_lambda_permission.open", "type": "aws_lambda_permission", "change": {"after": {"action": "lambda:InvokeFunction", "principal": "*"}}},
    {"address": "aws_lambda_permission.sourced", "type": "aws_lambda_permission", "change": {"after": {"action": "lambda:InvokeFunction", "principal": "s3.amazonaws.com"}, "after_unknown": {"source_arn": true}}},
    {"address": "kubernetes_config_map.aws_auth", "type": "kubernetes_config_map", "change": {"after": {"data": {"mapRoles": "- rolearn: arn:aws:iam::111111111111:role/ci/r\n  groups: [g]\n"}}}},
    {"address": "aws_secretsmanager_secret.s", "type": "aws_secretsmanager_secret", "change": {"after": {"kms_key_id": null, "policy": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::222222222222:role/r\"},\"Action\":\"secretsmanager:GetSecretValue\",\"Resource\":\"*\"}]}"}}}
  ],
  "configuration": {"root_module": {
    "resources": [
      {"address": "aws_kms_key.own", "expressions": {"description": {"constant_value": "x"}}},
      {"address": "aws_kms_key.written", "expressions": {"policy": {"references": ["data.aws_iam_policy_document.d.json"]}}}
    ],
    "module_calls": {"a": {"module": {"resources": [{"address": "aws_iam_role.r", "expressions": {"assume_role_policy": {"references": ["var.trust"]}}}]}}}
  }}
}
`

// A plan has more than documents, and says of those it does not know that it
// does not.
func TestPlansWholly(t *testing.T) {
	list := lint.Context{Account: "111111111111"}.FileIn("plan.json", []byte(planOfAll))
	var got []string
	for _, f := range list {
		got = append(got, fmt.Sprintf("%s %s %s", f.Severity, f.Code, f.Subject))
	}
	want := []string{
		`info file/not-known module.a["x.y"].aws_iam_role.r[0] assume_role_policy`,
		`info file/not-known aws_kms_key.written policy`,
		`critical principal/everyone aws_lambda_permission.open`,
		`high awsauth/role-path kubernetes_config_map.aws_auth`,
		`high secret/managed-key aws_secretsmanager_secret.s policy`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("findings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, f := range list {
		at := strings.Split(planOfAll, "\n")[f.Pos.Line-1][f.Pos.Column-1:]
		if f.Code == rule.MapPath && !strings.HasPrefix(at, "arn:aws:iam::111111111111:role/ci/r") {
			t.Errorf("the entry is at %.40q", at)
		}
	}
}

func TestEntriesOfAWSAuth(t *testing.T) {
	list := lint.File("aws-auth.yaml", []byte(`data:
  mapAccounts: |
    - "1111"
    - "111111111111"
  mapRoles: |
    - rolearn: arn:aws:iam::111111111111:role/ü
      group: [view]
    - roleARN: arn:aws:iam::111111111111:role/b
      username: b
      groups: view
    - userarn: arn:aws:iam::111111111111:user/c
      groups:
    - just a text
`))
	checkFindings(t, list, []string{
		`3:7 high awsauth/structure: "1111" is no account id`,
		`7:7 high awsauth/structure: "group" is no field of the entries of mapRoles, and is not read`,
		`10:15 high awsauth/structure: groups must be a list`,
		`11:7 high awsauth/structure: the entry of mapRoles has no rolearn, so it matches nobody`,
		`13:7 high awsauth/structure: an entry of mapRoles must have rolearn, username and groups`,
	})
}
