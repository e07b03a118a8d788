package lint_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/growth"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// One statement that cannot be read must not hide the findings on others, nor
// make the document look as if it lacked what that statement may say.
func TestOneErrorDoesNotHideOtherStatements(t *testing.T) {
	const broken = `{"Version":"2012-10-17","Statement":[
  {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*","Comment":"x"},
  {"Effect":"Allow","Principal":"*","Action":"kms:Decrypt","Resource":"*"},
  {"Effect":"Maybe","Principal":"*","Action":"kms:Decrypt","Resource":"*"}
]}`
	checkFindings(t, lint.File("key.json", []byte(broken)), []string{
		`2:106 high policy/unknown-element: unknown element "Comment" in a statement`,
		`3:33 critical principal/everyone: every principal of every AWS account may do this`,
		`4:13 high policy/effect: Effect is "Maybe", must be Allow or Deny`,
	})
	const template = `Resources:
  R:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: 2020-01-01
        Statement:
          - {Effect: Allow, Principal: {AWS: "*"}, Action: sts:AssumeRole}
          - {Effect: Allow, Principal: "everyone", Action: sts:AssumeRole}
`
	checkFindings(t, lint.File("t.yaml", []byte(template)), []string{
		`6:18 high policy/version: policy version "2020-01-01" does not exist`,
		`8:46 critical principal/everyone: every principal of every AWS account may assume the role`,
		`9:40 high policy/principal-syntax: Principal is the string "everyone"; only "*" may stand alone`,
	})
}

const planned = `{"format_version":"1.2","terraform_version":"1.9.0","resource_changes":[
 {"address":"aws_iam_role.app","type":"aws_iam_role","name":"app","change":{"actions":["create"],"before":null,"after":{
   "name":"app","managed_policy_arns":["arn:aws:iam::aws:policy/AdministratorAccess"],
   "assume_role_policy":"{\"Version\":\"2012-10-17\",\n  \"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"222222222222\"},\"Action\":\"sts:AssumeRole\"}]}",
   "inline_policy":[{"name":"p","policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:GetObjects\",\"Resource\":\"*\"}]}"}]}}},
 {"address":"aws_kms_key.k","type":"aws_kms_key","change":{"actions":["no-op"],"after":{
   "policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"kms:*\",\"Resource\":\"*\",\"Principal\":{\"AWS\":\"arn:aws:iam::111111111111:role/admin\"}}]}"}}},
 {"address":"aws_iam_role.gone","type":"aws_iam_role","change":{"actions":["delete"],"before":{"assume_role_policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"sts:AssumeRole\"}]}"},"after":null}},
 {"address":"aws_organizations_policy.rcp","type":"aws_organizations_policy","change":{"after":{"type":"RESOURCE_CONTROL_POLICY",
   "content":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":[\"s3:*\",\"ec2:*\"],\"Resource\":\"*\"}]}"}}},
 {"address":"aws_s3_bucket_policy.b","type":"aws_s3_bucket_policy","change":{"after":{"policy":"{\"Statement\":"}}}
],"prior_state":{"values":{"root_module":{"resources":[{"values":{"policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:*\"}]}"}}]}}}}`

func TestTerraformPlans(t *testing.T) {
	list := lint.File("plan.json", []byte(planned))
	var got []string
	for _, f := range list {
		got = append(got, fmt.Sprintf("%d:%d %s %s %s %s", f.Pos.Line, f.Pos.Column, f.Severity, f.Code, f.Pointer, f.Subject))
	}
	want := []string{
		`4:118 critical trust/whole-account /resource_changes/0/change/after/assume_role_policy aws_iam_role.app assume_role_policy`,
		`5:119 medium action/unknown /resource_changes/0/change/after/inline_policy/0/policy aws_iam_role.app inline_policy policy`,
		`7:14 high key/unmanageable /resource_changes/1/change/after/policy aws_kms_key.k policy`,
		`10:120 high perimeter/service-without-rcp /resource_changes/3/change/after/content aws_organizations_policy.rcp content`,
		`11:96 high policy/json /resource_changes/4/change/after/policy aws_s3_bucket_policy.b policy`,
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("findings:\n%s\nwant:\n%s", g, w)
	}
	lines := strings.Split(planned, "\n")
	if at := list[0].Pos; !strings.HasPrefix(lines[at.Line-1][at.Column-1:], `\"222222222222`) {
		t.Errorf("the first finding points at %.20q", lines[at.Line-1][at.Column-1:])
	}
	if at := list[1].Pos; !strings.HasPrefix(lines[at.Line-1][at.Column-1:], `\"s3:GetObjects`) {
		t.Errorf("the second finding points at %.20q", lines[at.Line-1][at.Column-1:])
	}
}

// Whatever a policy is written inside of, the place of a finding is that in the
// file.
func TestPlacesInsideStrings(t *testing.T) {
	doc := "{\"Version\": \"2012-10-17\",\n\"Statement\": [{\"Effect\": \"Allow\",\n\t\"Sid\": \"Gr\u00fc\u00dfe\U0001F600\", \"Principal\": \"*\", \"Action\": \"sqs:*\", \"Resource\": \"*\"}]}"
	quoted, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	ascii := strings.NewReplacer("\u00fc", `\u00fc`, "\u00df", `\u00DF`, "\U0001F600", `\ud83d\ude00`).Replace(string(quoted))
	for name, text := range map[string]string{
		"JSON":               `{"Policy": ` + string(quoted) + "}",
		"JSON in ASCII":      `{"Policy": ` + ascii + "}",
		"YAML block":         "Policy: |\n    " + strings.ReplaceAll(doc, "\n", "\n    ") + "\n",
		"YAML block, folded": "Policy: >\n    " + strings.ReplaceAll(doc, "\n", "\n\n    ") + "\n",
	} {
		file := "p.json"
		if strings.HasPrefix(name, "YAML") {
			file = "p.yaml"
		}
		found := false
		for _, f := range lint.File(file, []byte(text)) {
			if f.Code != rule.Everyone {
				continue
			}
			found = true
			line := strings.Split(text, "\n")[f.Pos.Line-1]
			rest := line[f.Pos.Column-1:]
			if name == "YAML block, folded" {
				if f.Pos.Line != 1 {
					t.Errorf("%s: the finding is at %s, want where the string begins", name, f.Pos)
				}
			} else if !strings.HasPrefix(rest, `"*"`) && !strings.HasPrefix(rest, `\"*\"`) {
				t.Errorf("%s: the finding points at %.30q", name, rest)
			}
		}
		if !found {
			t.Errorf("%s: the policy was not found", name)
		}
	}
}

func TestKindsByPlace(t *testing.T) {
	template := func(kind, properties string) string {
		return "Resources:\n  P:\n    Type: " + kind + "\n    Properties: " + properties + "\n"
	}
	deny := `{Version: 2012-10-17, Statement: [{Effect: Deny, Principal: "*", Action: "ec2:*", Resource: "*"}]}`
	for name, test := range map[string]struct {
		text, code string
	}{
		"a resource control policy": {template("AWS::Organizations::Policy", `{Type: RESOURCE_CONTROL_POLICY, Content: `+deny+`}`), rule.OutsideRCP},
		"a service control policy": {template("AWS::Organizations::Policy",
			`{Type: SERVICE_CONTROL_POLICY, Content: {Version: 2012-10-17, Statement: [{Effect: Deny, Action: "*", Resource: "*", Condition: {StringLike: {aws:PrincipalArn: "arn:aws:iam::*:role/aws-service-role/*"}}}]}}`), rule.NeverBound},
		"an endpoint policy": {template("AWS::EC2::VPCEndpoint", `{PolicyDocument: {Version: 2012-10-17, Statement: [{Effect: Allow, Principal: "*", Action: "s3:GetObjet", Resource: "*"}]}}`), rule.UnknownAction},
	} {
		list := lint.File("t.yaml", []byte(test.text))
		if len(list) != 1 || list[0].Code != test.code {
			t.Errorf("%s: findings = %q, want one %s", name, brief(list), test.code)
		}
	}
	scp := policy.SCP
	if list := (lint.Context{Kind: &scp}).FileIn("p.json", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`)); len(list) != 1 || list[0].Code != "policy/prohibited" {
		t.Errorf("findings on an SCP with a principal = %q", brief(list))
	}
}

// Documents that nobody would write must cost time in proportion to their
// size.
func TestHostileDocuments(t *testing.T) {
	many := func(one string, n int) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	statement := func(actions, resources string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + actions + `],"Resource":[` + resources + `]}]}`
	}
	texts := map[string]struct {
		n    int
		text func(n int) string
	}{
		"an action of stars":       {150, func(n int) string { return statement(`"s3:`+strings.Repeat("*a", n)+`"`, `"*"`) }},
		"many patterns of actions": {1_500, func(n int) string { return statement(many(`"ec2:*a*b*c"`, n), `"arn:aws:ec2:*:*:*"`) }},
		"many misspelt actions":    {600, func(n int) string { return statement(many(`"ec2:DescribeInstancs"`, n), `"*"`) }},
		"many resources for actions": {20, func(n int) string {
			return statement(many(`"s3:GetObject"`, 50), many(`"arn:aws:sqs:us-east-1:111111111111:q`+strings.Repeat("*x", 100)+`"`, n))
		}},
		"a resource of stars":   {150, func(n int) string { return statement(`"s3:GetObject"`, `"arn:aws:sqs:::`+strings.Repeat("*a", n)+`"`) }},
		"deep nesting":          {3_000, func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }},
		"deep nesting of lists": {3_000, func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat("]", n) }},
		"many documents": {150, func(n int) string {
			return `{"a":[` + many(strings.TrimSpace(statement(`"s3:GetObject"`, `"*"`)), n) + `]}`
		}},
		"many documents in strings": {150, func(n int) string {
			return `{"a":[` + many(`"{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"sqs:*\"}]}"`, n) + `]}`
		}},
		"a document of escapes": {6_000, func(n int) string { return `{"a":"{\"Statement\":` + strings.Repeat(`\u00e9`, n) + `"}` }},
		"many variables": {1_500, func(n int) string {
			return statement(`"s3:GetObject"`, `"arn:aws:s3:::b/`+strings.Repeat("${aws:x}", n)+`"`)
		}},
		"many conditions": {200, func(n int) string {
			return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{` + manyKeys(n) + `}}}]}`
		}},
		"many suppressions of nothing": {1_500, func(n int) string { return "a: b\n" + strings.Repeat("# stile-lint-ignore: x/y\n", n) }},
		"many statements with one fault": {150, func(n int) string {
			return `{"Version":"2012-10-17","Statement":[` + many(`{"Efect":"Allow","Action":"s3:*"}`, n) + `]}`
		}},
	}
	for name, c := range texts {
		t.Run(name, func(t *testing.T) {
			growth.Check(t, c.n, func(n int) func() {
				text := []byte(c.text(n))
				return func() {
					lint.File("p.json", text)
					lint.File("p.yaml", text)
				}
			})
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `%q:"x",`, fmt.Sprintf("aws:PrincipalTg%d", i))
	}
	return strings.TrimSuffix(b.String(), ",")
}
