package cfn_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/importer/cfn"
	"github.com/stile-aws/stile/internal/importer/tree"
	"github.com/stile-aws/stile/policy"
)

// template has everything that the functions under test refer to.
const template = `
Parameters:
  Stage: {Type: String, Default: prod}
  Names: {Type: CommaDelimitedList, Default: "a, b"}
  Open: {Type: String}
  Stored: {Type: "AWS::SSM::Parameter::Value<String>", Default: /x}
Mappings:
  M: {prod: {id: "1"}, test: {id: "2"}}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
  NotProd: !Not [!Condition Prod]
  OpenSet: !Equals [!Ref Open, x]
  Both: !And [!Condition Prod, !Condition OpenSet]
  Never: !And [!Condition NotProd, !Condition OpenSet]
  Either: !Or [!Condition Prod, !Condition OpenSet]
  Self: !Not [!Condition Self]
Resources:
  Role: {Type: "AWS::IAM::Role", Properties: {RoleName: app, Path: /p/}}
  Free: {Type: "AWS::IAM::Role"}
  Loop: {Type: "AWS::IAM::Role", Properties: {RoleName: !Ref Loop}}
  Key: {Type: "AWS::KMS::Key"}
  Bucket: {Type: "AWS::S3::Bucket"}
  Queue: {Type: "AWS::SQS::Queue", Properties: {QueueName: jobs}}
  Secret: {Type: "AWS::SecretsManager::Secret", Properties: {Name: db}}
  Policy: {Type: "AWS::IAM::ManagedPolicy", Properties: {ManagedPolicyName: read}}
  Other: {Type: "AWS::EC2::Instance"}
  Test: {Type: "Test::Value", Properties: {V: %s}}
`

var env = cfn.Env{Account: "111111111111", Region: "eu-west-1", StackName: "st"}

// value works out an expression in the template.
func value(t *testing.T, expression string, env cfn.Env) policy.Node {
	t.Helper()
	parsed, err := cfn.Parse([]byte(fmt.Sprintf(template, expression)))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	for _, r := range parsed.Resources(env) {
		if r.Logical == "Test" {
			return tree.Member(r.Properties, "V")
		}
	}
	t.Fatal("the template lost its resource")
	return policy.Node{}
}

func TestFunctions(t *testing.T) {
	for expression, want := range map[string]string{
		"!Ref Stage":                    `"prod"`,
		"!Ref Names":                    `["a","b"]`,
		"!Ref AWS::AccountId":           `"111111111111"`,
		"!Ref AWS::Partition":           `"aws"`,
		"!Ref AWS::URLSuffix":           `"amazonaws.com"`,
		"[1, !Ref AWS::NoValue, 2]":     `["1","2"]`,
		"{a: !Ref AWS::NoValue, b: 1}":  `{"b":"1"}`,
		"!Ref Role":                     `"app"`,
		"!GetAtt Role.Arn":              `"arn:aws:iam::111111111111:role/p/app"`,
		"{\"Fn::GetAtt\": [Role, Arn]}": `"arn:aws:iam::111111111111:role/p/app"`,
		"!Ref Free":                     `"st-Free-XXXXXXXXXXXX"`,
		"!Ref Bucket":                   `"st-bucket-xxxxxxxxxxxx"`,
		"!GetAtt Key.Arn":               `"arn:aws:kms:eu-west-1:111111111111:key/00000000-0000-0000-0000-000000000001"`,
		"!Ref Queue":                    `"https://sqs.eu-west-1.amazonaws.com/111111111111/jobs"`,
		"!Ref Secret":                   `"arn:aws:secretsmanager:eu-west-1:111111111111:secret:db-??????"`,
		"!Ref Policy":                   `"arn:aws:iam::111111111111:policy/read"`,
		`!Sub "${AWS::Region}/${Stage}/${Role.Arn}"`:            `"eu-west-1/prod/arn:aws:iam::111111111111:role/p/app"`,
		`!Sub "${!aws:username}-${Stage}"`:                      `"${aws:username}-prod"`,
		`!Sub ["${x}-${Stage}", {x: !Ref Role}]`:                `"app-prod"`,
		`!Sub "no end ${"`:                                      `"no end ${"`,
		`!Join ["-", [a, !Ref Stage]]`:                          `"a-prod"`,
		`!Join ["-", !Ref Names]`:                               `"a-b"`,
		"!Select [1, !Ref Names]":                               `"b"`,
		`!Select [0, !Split [".", "x.y"]]`:                      `"x"`,
		"!FindInMap [M, !Ref Stage, id]":                        `"1"`,
		"!Base64 abc":                                           `"YWJj"`,
		"{\"Fn::ToJsonString\": {a: !Ref Stage}}":               `"{\"a\":\"prod\"}"`,
		"{\"Fn::Length\": !Ref Names}":                          `"2"`,
		"!If [Prod, 1, 2]":                                      `"1"`,
		"!If [NotProd, !ImportValue x, 2]":                      `"2"`, // only the branch that counts is read
		"!If [Never, 1, 2]":                                     `"2"`, // false and unknown is false
		"!If [Either, 1, 2]":                                    `"1"`,
		"{\"Fn::FindInMap\": [M, none, id, {DefaultValue: d}]}": `"d"`,
	} {
		if got := tree.JSON(value(t, expression, env)); got != want {
			t.Errorf("%s = %s, want %s", expression, got, want)
		}
	}
}

func TestWhatIsNotKnownSaysWhy(t *testing.T) {
	for expression, want := range map[string]string{
		"!Ref Open":                                 "parameter Open has no value",
		"!Ref Stored":                               "Parameter Store",
		"!Ref Nobody":                               "no parameter or resource Nobody",
		"!Ref AWS::StackId":                         "AWS::StackId was not given",
		"!GetAtt Role.RoleId":                       "RoleId of Role is known only when",
		"!GetAtt Nobody.Arn":                        "no resource Nobody",
		"!Ref Other":                                "Other is called is known only when",
		"!Ref Loop":                                 "refers to itself",
		"!ImportValue shared":                       "another stack exports as shared",
		`!Sub "x-${Open}"`:                          "parameter Open has no value",
		`!Sub "x-${Names}"`:                         "Names is a list",
		`!Join ["-", [a, !Ref Open]]`:               "parameter Open has no value",
		"!Select [7, !Ref Names]":                   "no item",
		"!FindInMap [M, none, id]":                  "the map M has no none, id",
		"!If [OpenSet, 1, 2]":                       "parameter Open has no value",
		"!If [Both, 1, 2]":                          "parameter Open has no value",
		"!If [Self, 1, 2]":                          "Self refers to itself",
		"!If [Missing, 1, 2]":                       "no condition Missing",
		"{\"Fn::Transform\": {Name: AWS::Include}}": "known only when the stack is deployed",
		"{a: 1, \"Fn::Transform\": {}}":             "Fn::Transform is not expanded",
		`"{{resolve:ssm:/x}}"`:                      "dynamic reference",
		"!GetAZs us-east-1":                         "Fn::GetAZs is known only when",
	} {
		why, found := tree.WhyInside(value(t, expression, env))
		if !found || !strings.Contains(why, want) {
			t.Errorf("%s is unknown for %q (%v), want a reason with %q", expression, why, found, want)
		}
	}
}

func TestParametersGivenCountMoreThanDefaults(t *testing.T) {
	given := env
	given.Parameters = map[string]string{"Stage": "test", "Names": "x,y,z", "Open": "x"}
	for expression, want := range map[string]string{
		"!FindInMap [M, !Ref Stage, id]": `"2"`, "!Select [2, !Ref Names]": `"z"`, "!If [OpenSet, 1, 2]": `"1"`, "!If [Prod, 1, 2]": `"2"`,
	} {
		if got := tree.JSON(value(t, expression, given)); got != want {
			t.Errorf("%s = %s, want %s", expression, got, want)
		}
	}
}

func TestWithoutTheStackNameMadeUpNamesAreNotKnown(t *testing.T) {
	bare := env
	bare.StackName = ""
	if why, _ := tree.WhyInside(value(t, "!Ref Free", bare)); !strings.Contains(why, "stack's name") {
		t.Errorf("!Ref Free is unknown for %q, want the stack's name as the reason", why)
	}
	if why, _ := tree.WhyInside(value(t, "!GetAtt Role.Arn", cfn.Env{})); !strings.Contains(why, "account") {
		t.Errorf("an ARN without an account is unknown for %q", why)
	}
}

func TestConditionsDecideWhichResourcesAreMade(t *testing.T) {
	parsed, err := cfn.Parse([]byte(`{"Parameters": {"P": {"Type": "String"}}, "Conditions": {"Yes": {"Fn::Equals": [1, "1"]}, "No": {"Fn::Equals": [1, 2]}, "Perhaps": {"Fn::Equals": [{"Ref": "P"}, "x"]}},
 "Resources": {"A": {"Type": "T", "Condition": "Yes"}, "B": {"Type": "T", "Condition": "No"}, "C": {"Type": "T", "Condition": "Perhaps"}, "D": {"Type": "T"}, "Fn::ForEach::X": ["V", [1], {}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range parsed.Resources(cfn.Env{}) {
		got = append(got, r.Logical+": "+r.Unknown)
	}
	want := []string{"A: ", "C: parameter P has no value", "D: ", "Fn::ForEach::X: loops are not expanded"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Resources (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"P"}, parsed.Parameters()); diff != "" {
		t.Errorf("Parameters (-want +got):\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	for name, src := range map[string]string{
		"no resources": "Parameters: {}", "not an object": "[1]", "resources that are a list": "Resources: [1]", "broken YAML": "Resources: {", "nothing": "",
	} {
		if _, err := cfn.Parse([]byte(src)); err == nil || !strings.Contains(err.Error(), "line") {
			t.Errorf("%s: Parse = %v, want an error with a line", name, err)
		}
	}
	deep := `{"Resources": {"A": {"Type": "T", "Properties": ` + strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60) + "}}}"
	if _, err := cfn.Parse([]byte(deep)); err != nil {
		t.Errorf("a template 60 levels deep: %v", err)
	}
	sam, err := cfn.Parse([]byte("Transform: [AWS::Serverless-2016-10-31, {Name: 'AWS::Include'}]\nResources: {}"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"AWS::Serverless-2016-10-31", "AWS::Include"}, sam.Transforms()); diff != "" {
		t.Errorf("Transforms (-want +got):\n%s", diff)
	}
}

func TestFunctionsThatBlowUpAreBounded(t *testing.T) {
	expression := `"0123456789"`
	for range 20 {
		expression = `{"Fn::Sub": ["${a}${a}${a}", {"a": ` + expression + `}]}`
	}
	if why, _ := tree.WhyInside(value(t, expression, env)); !strings.Contains(why, "too much text") {
		t.Errorf("3^20 tens of characters: unknown for %q", why)
	}
}

func FuzzResources(f *testing.F) {
	f.Add(fmt.Sprintf(template, "!Sub \"${Role.Arn}\""))
	f.Add(`{"Resources": {"A": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": {"Fn::If": ["C", {"Ref": "A"}, {"Fn::Select": [0, {"Fn::Split": [",", "x"]}]}]}}}}, "Conditions": {"C": {"Fn::Or": [{"Condition": "C"}]}}}`)
	f.Add("Resources: {A: {Type: 'AWS::S3::Bucket', Condition: C}}\nConditions: {C: !Equals [1, 1]}")
	f.Fuzz(func(t *testing.T, src string) {
		parsed, err := cfn.Parse([]byte(src))
		if err != nil {
			return
		}
		first, second := parsed.Resources(env), parsed.Resources(env)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("the same template gives other resources the second time:\n%s", diff)
		}
		parsed.Resources(cfn.Env{})
	})
}
