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

func TestFileRecognisesKindsOfPolicy(t *testing.T) {
	for _, test := range []struct {
		name, file, text string
		want             []string
	}{
		{"an identity policy", "p.json", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"b"}}`,
			[]string{`1:82 high policy/resource: resource "b" is neither an ARN nor "*"`}},
		{"a trust policy", "p.json", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*","Principal":{"AWS":"arn:aws:iam::111111111111:role/r"}}}`,
			[]string{`1:92 high policy/prohibited: a trust policy may not have Resource`}},
		{"a key policy", "p.json", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Principal":{"AWS":"111111111111"}}}`,
			[]string{`1:1 high key/unmanageable: the key policy does not let the account itself manage the key`}},
		{"a policy that is broken", "p.json", `{"Statement":{"Efect":"Allow","Action":"s3:*"}}`,
			[]string{`1:15 high policy/unknown-element: unknown element "Efect" in a statement`}},
		{"no json", "p.json", `{"Statement":`, []string{`1:14 high policy/json: the text ends where a value should be`}},
		{"an answer of the AWS CLI, indented by tabs", "role.json",
			"{\n\t\"Role\": {\n\t\t\"RoleName\": \"x\",\n\t\t\"AssumeRolePolicyDocument\": {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\n\t\t\"Principal\":{\"AWS\":\"*\"},\"Action\":\"sts:AssumeRole\"}]}}}",
			[]string{`5:22 critical principal/everyone: every principal of every AWS account may assume the role`}},
		{"a policy inside a string", "key.json", "{\n \"Policy\": \"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":[{\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":\\\"*\\\",\\\"Action\\\":\\\"kms:*\\\",\\\"Resource\\\":\\\"*\\\"}]}\"}",
			[]string{`2:92 critical principal/everyone: every principal of every AWS account may do this`}},
		{"a broken policy inside a string", "key.json", `{"Policy": "{\"Statement\":}"}`, []string{`1:28 high policy/json: '}' where a value should be`}},
		{"a policy in YAML", "p.yaml", "Version: 2012-10-17\nStatement:\n- Effect: Allow\n  Action: s3:*\n  Resource: '*'\n  Principal: {AWS: 222222222222}\n- Effect: allow\n  Action: s3:*\n",
			[]string{`7:11 high policy/effect: Effect is "allow", must be Allow or Deny`}},
		{"json without a policy", "x.json", `{"a": 1}`, []string{`1:1 high policy/missing-element: the document has no Statement`, `1:2 high policy/unknown-element: unknown element "a" in a policy document`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkFindings(t, lint.File(test.file, []byte(test.text)), test.want)
		})
	}
}

// checkFindings compares without asking for hints.
func checkFindings(t *testing.T, got rule.List, want []string) {
	t.Helper()
	if g, w := strings.Join(brief(got), "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("findings:\n%s\nwant:\n%s", g, w)
	}
}

func TestTemplateFunctions(t *testing.T) {
	const template = `AWSTemplateFormatVersion: '2010-09-09'
Resources:
  Queue:
    Type: AWS::SQS::QueuePolicy
    Properties:
      PolicyDocument:
        Version: 2012-10-17
        Statement:
          - %s
`
	statement := func(principal string) string {
		return fmt.Sprintf(template, `{Effect: Allow, Action: 'sqs:*', Resource: '*', Principal: `+principal+`}`)
	}
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"a reference to another resource", statement("{AWS: !GetAtt Role.Arn}"), nil},
		{"a parameter inside an ARN", statement("{AWS: !Sub 'arn:aws:iam::${Account}:role/r'}"), nil},
		{"an import", statement("{AWS: !ImportValue {'Fn::Sub': '${Stack}-arn'}}"), nil},
		{"a join that makes everyone", statement("{AWS: !Join ['', ['*']]}"), []string{`9:78 critical principal/everyone: every principal of every AWS account may do this`}},
		{"a wildcard beside a pseudo parameter", statement("{AWS: !Sub 'arn:${AWS::Partition}:iam::${AWS::AccountId}:role/*'}"),
			[]string{`9:78 high policy/principal: principal "arn:aws:iam::${AWS::AccountId}:role/*" has a wildcard, which principals cannot have`}},
		{"the first branch of a condition", statement("!If [Open, '*', {AWS: 111111111111}]"), []string{`9:83 critical principal/everyone: every principal of every AWS account may do this`}},
		{"no value", fmt.Sprintf(template, `{Effect: Allow, Action: 'sqs:*', Principal: {AWS: '111111111111'}, NotPrincipal: !Ref AWS::NoValue}`), nil},
		{"an unclosed variable", fmt.Sprintf(template, `{Effect: Allow, Action: 'sqs:*', Resource: !Sub 'arn:aws:s3:::b/${!aws:username', Principal: {AWS: '111111111111'}}`),
			[]string{`9:56 medium variable/unclosed: "arn:aws:s3:::b/${!aws:username" has ${ without }`}},
		{"a literal variable", fmt.Sprintf(template, `{Effect: Allow, Action: 'sqs:*', Resource: !Sub 'arn:aws:s3:${!aws:x}::b', Principal: {AWS: '111111111111'}}`),
			[]string{`9:56 medium variable/unusable: the variable ${aws:x} stands before the fifth colon of the ARN, where none is substituted`}},
		{"json", `{"Resources":{"R":{"Type":"AWS::IAM::Role","Properties":{"RoleName":{"Ref":"Name"},"AssumeRolePolicyDocument":{"Version":"2012-10-17",` +
			`"Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":{"Fn::Join":[":",["arn:aws:iam:",{"Ref":"AWS::AccountId"},"root"]]}}},` +
			`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":222222222222}}]}}}}}`,
			[]string{`1:344 high trust/whole-account: the whole account 222222222222 may assume the role`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := "template.yaml"
			if strings.HasPrefix(test.text, "{") {
				name = "template.json"
			}
			checkFindings(t, lint.File(name, []byte(test.text)), test.want)
		})
	}
}

func TestTemplateKnowsItsAccount(t *testing.T) {
	const text = `Resources:
  R:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement: [{Effect: Allow, Action: 'sts:AssumeRole', Principal: {AWS: '111111111111'}}]
`
	if got := lint.File("t.yaml", []byte(text)); len(got) != 1 || got[0].Code != rule.WholeAccount {
		t.Errorf("findings without an account = %q", brief(got))
	}
	checkFindings(t, lint.Context{Account: own}.FileIn("t.yaml", []byte(text)), nil)
}

func TestSeverityOfATrustPolicyAboveTheQuota(t *testing.T) {
	for n, want := range map[int]rule.Severity{50: rule.Medium, 200: rule.High} {
		arns := strings.TrimSuffix(strings.Repeat(`"arn:aws:iam::222222222222:role/some-role-name",`, n), ",")
		list := lint.Trust(parse(t, trustIn(`{"AWS":[`+arns+`]}`, ``)), none())
		if len(list) != 1 || list[0].Code != rule.TrustSize || list[0].Severity != want {
			t.Errorf("%d principals: %q, want one %s with severity %v", n, brief(list), rule.TrustSize, want)
		}
	}
}

func TestSourceSeesTheSpellingsOfManyLanguages(t *testing.T) {
	for text, want := range map[string]int{
		`aws secretsmanager get-secret-value --secret-id app/db --query x`:             1,
		`client.get_secret_value(SecretId="app/db")`:                                   1,
		`await client.send(new GetSecretValueCommand({ SecretId: 'app/db' }))`:         1,
		`SecretId: aws.String("app/db"),`:                                              1,
		`secret_id := "app/db"`:                                                        1,
		`client.get_secret_value(SecretId=name)`:                                       0,
		`aws secretsmanager get-secret-value --secret-id "$ID"`:                        0,
		"SecretId: `arn:aws:secretsmanager:${region}:${account}:secret:app-a1B2c3`":    0,
		`--secret-id arn:aws:secretsmanager:us-east-1:222222222222:secret:app-a1B2c3`:  0,
		`client_secret_id = "0123"`:                                                    0,
		`// SecretId is the full ARN`:                                                  0,
		`request.SecretId = "arn:aws:secretsmanager:us-east-1:222222222222:secret:ap"`: 1,
	} {
		if got := lint.File("main.go", []byte(text)); len(got) != want {
			t.Errorf("%s: %q, want %d findings", text, brief(got), want)
		}
	}
}

func TestAliasesDoNotMultiplyWithoutEnd(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x]\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1)
	}
	for _, text := range []string{b.String(), "a: &a [*a, *a]\n", "a: &a\n  Statement: *a\n"} {
		if got := lint.File("bomb.yaml", []byte(text)); len(got) == 0 || got[0].Code != rule.Unreadable || got[0].Pos.Line == 0 {
			t.Errorf("%.20q…: %v, want to be told that it is not all read", text, got)
		}
	}
}

// What is in a text counts, and places are as editors show them.
func TestTextsWithAMark(t *testing.T) {
	const document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObjct","Resource":"*"}]}`
	const template = "AWSTemplateFormatVersion: 2010-09-09\nResources: {P: {Type: 'AWS::IAM::ManagedPolicy', Properties: {PolicyDocument: " + document + "}}}\n"
	wide := func(text string) string {
		out := "\xff\xfe"
		for i := range len(text) {
			out += text[i:i+1] + "\x00"
		}
		return out
	}
	for text, want := range map[string]string{
		document:            "action/unknown 1:65",
		"\ufeff" + document: "policy/json 1:1, action/unknown 1:65",
		wide(document):      "policy/json 1:1, action/unknown 1:65",
		template:            "action/unknown 2:143",
		"\ufeff" + template: "action/unknown 2:143",
		wide(template):      "action/unknown 2:143",
		"\ufeff[default]\n": "",
	} {
		var got []string
		for _, f := range lint.File("x", []byte(text)) {
			got = append(got, fmt.Sprintf("%s %d:%d", f.Code, f.Pos.Line, f.Pos.Column))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%.30q…: %q, want %q", text, got, want)
		}
	}
}

func FuzzFile(f *testing.F) {
	for _, e := range []struct{ name, text string }{
		{"t.yaml", "Resources:\n  R:\n    Type: AWS::IAM::Role\n    Properties:\n      AssumeRolePolicyDocument: !Sub '{\"Statement\":[]}'\n"},
		{"aws-auth", "mapRoles: |\n  - rolearn: x\n    groups: [system:masters]\n"},
		{"config", "[profile a]\nrole_arn=x\nsource_profile = a\n"},
		{"credentials", "[profile a]\n s3 =\n  x = y\n"},
		{"p.json", oidc(eks, `,"StringLike":{"`+eks+`:sub":"system:*"}`)},
		{"p.json", `{"a":{"Statement":{"Effect":"Allow","NotAction":"*","NotResource":"${a, 'b'}"}}}`},
		{"x.go", `SecretId: "x"`},
		{"plan.json", planned},
		{"p.yaml", "Policy: |\n  {\"Statement\":[{\"Effect\":\"Deny\",\n   \"Principal\":\"*\",\"Action\":[\"s3:*\",\"ec2:Run?\"],\"Condition\":{\"NotIpAddress\":{\"aws:SourceIp\":\"x\"}}}]}\n"},
	} {
		f.Add(e.name, []byte(e.text))
	}
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		for _, ctx := range []lint.Context{{}, {Account: own, Organization: []arn.AccountID{own}, Secret: &lint.Secret{}, Deploys: true, NodeRoles: []string{}, Privileged: true, Management: own}} {
			checkFuzzed(t, text, ctx.FileIn(name, text))
			for kind := policy.Identity; kind <= policy.RCP; kind++ {
				_, list := ctx.Document(text, kind)
				checkFuzzed(t, text, list)
			}
		}
	})
}

// checkFuzzed checks what holds for findings on any text.
func checkFuzzed(t *testing.T, text []byte, list rule.List) {
	t.Helper()
	lines := strings.Count(string(text), "\n") + 1
	for _, f := range list {
		if f.Code == "" || f.Summary == "" || f.Severity == rule.OfRule {
			t.Fatalf("finding without code, summary or severity: %+v", f)
		}
		if f.Pos.Line > lines+1 {
			t.Fatalf("the finding is behind the end of the text, %d lines: %s", lines, f)
		}
		if strings.Contains(f.Summary+f.Hint, "000000000000") && !strings.Contains(string(text), "0000") {
			t.Fatalf("the stand-in account shows: %v", f)
		}
	}
}
