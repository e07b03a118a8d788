package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/policy"
)

// TestMalformedDocumentsSayWhereAndWhy are texts that people have had in place
// of a policy, with every line of the error.
func TestMalformedDocumentsSayWhereAndWhy(t *testing.T) {
	const allow = `{"Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"`
	for _, test := range []struct {
		name string
		src  string
		want []string
	}{
		{"white space alone", " \n\t\n  ", []string{`3:3: the text ends where a value should be`}},
		{"a byte order mark", "\ufeff{}", []string{`1:1: '\ufeff' where a value should be (remove the byte order mark)`}},
		{"a comment", "{\n  // who may read\n  \"Version\": \"2012-10-17\"}", []string{`2:3: '/' where a quoted name should be (JSON has no comments)`}},
		{"a block comment", `/* policy */ {}`, []string{`1:1: '/' where a value should be (JSON has no comments)`}},
		{"single quotes", `{'Version': '2012-10-17'}`, []string{`1:2: '\'' where a quoted name should be (JSON has double quotes only)`}},
		{"typographic quotes", `{“Version”: “2012-10-17”}`, []string{`1:2: '“' where a quoted name should be (JSON has straight quotes only)`}},
		{"YAML", "Version: '2012-10-17'\nStatement: []", []string{`1:1: 'V' where a value should be`}},
		{"HCL", "statement {\n  effect = \"Allow\"\n}", []string{`1:1: 's' where a value should be`}},
		{"as IAM's API returns it, URL-encoded", `%7B%22Version%22%3A%222012-10-17%22%7D`, []string{`1:1: '%' where a value should be (the text is URL-encoded, as IAM returns documents; decode it)`}},
		{"JSON inside a JSON string", `"{\"Version\":\"2012-10-17\",\"Statement\":[]}"`, []string{`1:1: a policy document must be an object, not a string (the string seems to hold a document; decode it)`}},
		{"Python's true", allow + `,"Condition":{"Bool":{"k":True}}}}`, []string{`1:90: 'T' where a value should be (write true)`}},
		{"Python's none", `{"Statement":None}`, []string{`1:14: 'N' where a value should be (write null)`}},
		{"undefined", `{"Statement":undefined}`, []string{`1:14: 'u' where a value should be`}},
		{"a word cut off", `{"Statement":tru}`, []string{`1:14: 't' where a value should be`}},
		{"a word that goes on", `{"Statement":nullable}`, []string{`1:18: 'a' where a comma or "}" should be`}},
		{"not a number", `{"Statement":NaN}`, []string{`1:14: 'N' where a value should be`}},
		{"a number with a plus", `{"Id":+1}`, []string{`1:7: '+' where a value should be`}},
		{"a number in hexadecimal", `{"Id":0x1F}`, []string{`1:8: 'x' where a comma or "}" should be`}},
		{"a number that ends in a point", `{"Id":1.}`, []string{`1:7: malformed number "1."`}},
		{"a number that begins with a point", `{"Id":.5}`, []string{`1:7: '.' where a value should be`}},
		{"a number without an exponent", `{"Id":1e}`, []string{`1:7: malformed number "1e"`}},
		{"a number without an exponent's digits", `{"Id":1e+}`, []string{`1:7: malformed number "1e+"`}},
		{"the end after a brace", `{`, []string{`1:2: the end of the text where a quoted name should be`}},
		{"the end after a name", `{"Version"`, []string{`1:11: the end of the text where the colon after "Version" should be`}},
		{"the end after a colon", `{"Version":`, []string{`1:12: the text ends where a value should be`}},
		{"the end after a value", `{"Version":"2012-10-17"`, []string{`1:24: the end of the text where a comma or "}" should be`}},
		{"the end after a comma", `{"Version":"2012-10-17",`, []string{`1:25: the end of the text where a quoted name should be`}},
		{"the end in a list", `{"Statement":[{"Effect":"Allow"}`, []string{`1:33: the end of the text where a comma or "]" should be`}},
		{"the end after a comma in a list", `{"Statement":[{"Effect":"Allow"},`, []string{`1:34: the text ends where a value should be`}},
		{"the end in an escape", `{"Version":"\`, []string{`1:13: a string that does not end`}},
		{"the end in a unicode escape", `{"Version":"\u00`, []string{`1:13: malformed \u escape`}},
		{"a brace too many", allow + `}}}`, []string{`1:66: there is text after the end of the document`}},
		{"a bracket instead of a brace", allow + `}]`, []string{`1:65: ']' where a comma or "}" should be`}},
		{"a brace instead of a bracket", `{"Statement":[{"Effect":"Allow","Action":"*"}}`, []string{`1:46: '}' where a comma or "]" should be`}},
		{"two documents", allow + "}}\n" + allow + "}}", []string{`2:1: there is text after the end of the document`}},
		{"a comma before everything", `,{}`, []string{`1:1: ',' where a value should be`}},
		{"a comma after the first brace", `{,"Version":"2012-10-17"}`, []string{`1:2: ',' where a quoted name should be`}},
		{"two commas", allow + `},,"Version":"2012-10-17"}`, []string{`1:66: ',' where a quoted name should be`}},
		{"a comma after the last value of a list", "{\"Statement\":[\n{},\n]}", []string{`2:3: a comma before "]"`}},
		{"a colon too many", `{"Version"::"2012-10-17"}`, []string{`1:12: ':' where a value should be`}},
		{"an equals sign", `{"Version"="2012-10-17"}`, []string{`1:11: '=' where the colon after "Version" should be`}},
		{"a number as a name", `{1:"x"}`, []string{`1:2: '1' where a quoted name should be`}},
		{"a tab in a string", "{\"Id\":\"a\tb\"}", []string{`1:9: a control character in a string`}},
		{"a NUL", "{\"Id\":\"a\x00b\"}", []string{`1:9: a control character in a string`}},
		{"an escape of a line's end", "{\"Id\":\"a\\\nb\"}", []string{`1:9: a backslash where no escape follows`}},
		{"an escape that is none", `{"Id":"C:\Users"}`, []string{`1:10: unknown escape \U`}},
		{"a unicode escape of letters", `{"Id":"\uZZZZ"}`, []string{`1:8: malformed \u escape`}},
		{"a unicode escape with a sign", `{"Id":"\u+123"}`, []string{`1:8: malformed \u escape`}},
		{"a low surrogate alone", `{"Id":"\udc00"}`, []string{`1:8: malformed \u escape`}},
		{"a high surrogate before text", `{"Id":"\ud800x"}`, []string{`1:8: malformed \u escape`}},
		{"half a character", "{\"Id\":\"é\xc3\"}", []string{`1:10: text that is not UTF-8`}},
		{"after characters of several bytes", `{"Id":"ééé","Sid":"x"}`, []string{`1:1: the document has no Statement`, `1:16: unknown element "Sid" in a policy document (did you mean "Id"?)`}},
		{"after Windows line ends", "{\r\n  \"Statement\": [\r\n    1\r\n  ]\r\n}", []string{`3:5: a statement must be an object, not a number`}},
		{"after blank lines", "\n\n\n   x", []string{`4:4: 'x' where a value should be`}},
		{"lists without end", strings.Repeat(`{"Statement":[`, 20), []string{`1:238: values are nested more than 32 deep`}},
		{"a list of documents", `[{"Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}}]`, []string{`1:1: a policy document must be an object, not a list`}},
		{"a number", `42`, []string{`1:1: a policy document must be an object, not a number`}},
		{"a boolean", `true`, []string{`1:1: a policy document must be an object, not a boolean`}},
		{"a CloudFormation template", `{"Resources":{"Role":{"Type":"AWS::IAM::Role"}}}`, []string{`1:1: the document has no Statement`, `1:2: unknown element "Resources" in a policy document (known are Version, Id, Statement)`}},
		{"a wrapped document", `{"PolicyDocument":{"Version":"2012-10-17","Statement":[]}}`, []string{`1:1: the document has no Statement`, `1:2: unknown element "PolicyDocument" in a policy document (the document is the value of "PolicyDocument"; give that alone)`}},
		{"an answer of the CLI", `{"PolicyVersion":{"Document":{}}}`, []string{`1:1: the document has no Statement`, `1:2: unknown element "PolicyVersion" in a policy document (known are Version, Id, Statement)`}},
		{"Statements", `{"Version":"2012-10-17","Statements":[]}`, []string{`1:1: the document has no Statement`, `1:25: unknown element "Statements" in a policy document (did you mean "Statement"?)`}},
		{"a version that is a number", `{"Version":20121017,"Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}}`, []string{`1:12: Version must be a string, not a number`}},
		{"a version that is a date", `{"Version":"2024-01-01","Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}}`, []string{`1:12: policy version "2024-01-01" does not exist (use "2012-10-17")`}},
		{"a version in a list", `{"Version":["2012-10-17"],"Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}}`, []string{`1:12: Version must be a string, not a list`}},
		{"an empty version", `{"Version":"","Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}}`, []string{`1:12: policy version "" does not exist (use "2012-10-17")`}},
		{"an Id in a list", `{"Id":[],"Statement":{"Effect":"Allow","Action":"s3:Get","Resource":"*"}}`, []string{`1:7: Id must be a string, not a list`}},
		{"a null statement", `{"Statement":null}`, []string{`1:14: Statement must be an object or a list of objects, not null`}},
		{"a list in a list of statements", `{"Statement":[[]]}`, []string{`1:15: a statement must be an object, not a list`}},
		{"an empty statement", `{"Statement":{}}`, []string{`1:14: the statement has no Effect (write "Effect": "Allow" or "Deny")`, `1:14: the statement has neither Action nor NotAction`}},
		{"an empty effect", `{"Statement":{"Effect":"","Action":"*"}}`, []string{`1:24: Effect is "", must be Allow or Deny`}},
		{"an effect that is a boolean", `{"Statement":{"Effect":true,"Action":"*"}}`, []string{`1:24: Effect must be a string, not a boolean`}},
		{"an effect in a list", `{"Statement":{"Effect":["Allow"],"Action":"*"}}`, []string{`1:24: Effect must be a string, not a list`}},
		{"the other vendor's effect", `{"Statement":{"Effect":"Permit","Action":"*"}}`, []string{`1:24: Effect is "Permit", must be Allow or Deny`}},
		{"Actions", `{"Statement":{"Effect":"Allow","Actions":"*"}}`, []string{`1:14: the statement has neither Action nor NotAction`, `1:32: unknown element "Actions" in a statement (did you mean "Action"?)`}},
		{"Resources", `{"Statement":{"Effect":"Allow","Action":"*","Resources":"*"}}`, []string{`1:45: unknown element "Resources" in a statement (did you mean "Resource"?)`}},
		{"Principals", `{"Statement":{"Effect":"Allow","Action":"*","Principals":{"AWS":"*"}}}`, []string{`1:45: unknown element "Principals" in a statement (did you mean "Principal"?)`}},
		{"Conditions", `{"Statement":{"Effect":"Allow","Action":"*","Conditions":{}}}`, []string{`1:45: unknown element "Conditions" in a statement (did you mean "Condition"?)`}},
		{"an action in an object", `{"Statement":{"Effect":"Allow","Action":{"s3":"Get"}}}`, []string{`1:41: Action must be a string or a list of strings, not an object`}},
		{"an action in two lists", `{"Statement":{"Effect":"Allow","Action":[["s3:Get"]]}}`, []string{`1:42: each value of Action must be a string, not a list`}},
		{"an action that is null", `{"Statement":{"Effect":"Allow","Action":null}}`, []string{`1:41: Action must be a string or a list of strings, not null`}},
		{"a resource that is a function", `{"Statement":{"Effect":"Allow","Action":"s3:Get","Resource":{"Fn::Sub":"arn"}}}`, []string{`1:61: Resource must be a string or a list of strings, not an object`}},
		{"a principal that is null", allow + `,"Principal":null}}`, []string{`1:77: Principal must be "*" or an object, not null`}},
		{"a principal that is a number", allow + `,"Principal":{"AWS":123456789012}}}`, []string{`1:84: AWS must be a string or a list of strings, not a number`}},
		{"a principal without a type", allow + `,"Principal":"arn:aws:iam::111111111111:root"}}`, []string{`1:77: Principal is the string "arn:aws:iam::111111111111:root"; only "*" may stand alone (write {"AWS": "arn:aws:iam::111111111111:root"})`}},
		{"a principal of services", allow + `,"Principal":{"Services":"ec2.amazonaws.com"}}}`, []string{`1:78: unknown type of principal "Services" (did you mean "Service"?)`}},
		{"a principal in an object too many", allow + `,"Principal":{"AWS":{"ARN":"x"}}}}`, []string{`1:84: AWS must be a string or a list of strings, not an object`}},
		{"no principal in a list", allow + `,"Principal":{"AWS":[]}}}`, []string{`1:84: AWS is an empty list`}},
		{"a condition that is a string", allow + `,"Condition":"x"}}`, []string{`1:77: Condition must be an object, not a string`}},
		{"an operator in a list", allow + `,"Condition":{"Bool":[{"k":"v"}]}}}`, []string{`1:85: Bool must be an object, not a list`}},
		{"an operator twice", allow + `,"Condition":{"Bool":{"a":"1"},"Bool":{"b":"1"}}}}`, []string{`1:95: "Bool" appears twice in one object`}},
		{"a condition's value in two lists", allow + `,"Condition":{"Bool":{"k":[["v"]]}}}}`, []string{`1:91: values of condition key "k" must be strings, numbers or booleans, not a list`}},
		{"a condition's value that is null", allow + `,"Condition":{"Bool":{"k":null}}}}`, []string{`1:90: values of condition key "k" must be strings, numbers or booleans, not null`}},
		{"a Sid in a list", `{"Statement":{"Sid":["x"],"Effect":"Allow","Action":"*"}}`, []string{`1:21: Sid must be a string, not a list`}},
		{"the statement twice", allow + `},"Statement":[]}`, []string{`1:66: "Statement" appears twice in one object`}},
		{"several mistakes", "{\n\"Version\":\"1\",\n\"Statement\":[\n{\"Efect\":\"Allow\"},\n2\n]}", []string{`2:11: policy version "1" does not exist (use "2012-10-17")`, `4:1: the statement has no Effect (write "Effect": "Allow" or "Deny")`, `4:1: the statement has neither Action nor NotAction`, `4:2: unknown element "Efect" in a statement (did you mean "Effect"?)`, `5:1: a statement must be an object, not a number`}},
		{"an escape of a character", `{"Id":"\é"}`, []string{`1:8: a backslash where no escape follows`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := policy.Parse([]byte(test.src))
			if err == nil {
				t.Fatalf("Parse = %v, want errors", d)
			}
			if diff := cmp.Diff(test.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}
