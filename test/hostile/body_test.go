package hostile_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// operation is what can be called, by number for fuzzing.
type operation struct {
	model *wire.Model
	name  string
}

func operations(tb testing.TB) []operation {
	tb.Helper()
	var all []operation
	for _, service := range wire.Services() {
		model, err := wire.Load(service)
		if err != nil {
			tb.Fatal(err)
		}
		for _, name := range model.Operations() {
			all = append(all, operation{model, name})
		}
	}
	return all
}

func operationNumber(tb testing.TB, all []operation, service, name string) uint16 {
	tb.Helper()
	for i, op := range all {
		if op.model.Service == service && op.name == name {
			return uint16(i)
		}
	}
	tb.Fatalf("there is no operation %s of %s", name, service)
	return 0
}

// restMethods are tried for services whose operations have paths.
var restMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch}

// signedCall is a call with any body, signed by an account's administrator, so
// that it comes as far as requests come. For services whose operations are
// paths, path is one.
func (t *target) signedCall(op operation, path, body string, account arn.AccountID) ([]byte, error) {
	r := &http.Request{Method: http.MethodPost, Header: http.Header{}, Host: op.model.EndpointPrefix + ".us-east-1.amazonaws.com", URL: &url.URL{Scheme: "http", Path: "/"}}
	r.URL.Host = r.Host
	switch op.model.Protocol {
	case wire.Query:
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		body = "Action=" + op.name + "&Version=" + op.model.APIVersion + "&" + body
	case wire.JSON:
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", op.model.TargetPrefix+"."+op.name)
	case wire.RestJSON, wire.RestXML:
		r.Method = restMethods[len(op.name)%len(restMethods)]
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, "/") {
			return nil, fmt.Errorf("not a path: %q", path)
		}
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = u.Path, u.RawPath, u.RawQuery
		r.Header.Set("Content-Type", "application/json")
	}
	if err := t.sign(r, []byte(body), op.model.SigningName, account); err != nil {
		return nil, err
	}
	return wireBytes(r, []byte(body)), nil
}

// TestBodiesThatHurt sends large, deep and crooked bodies of somebody who may do
// anything: an answer in time, and never an internal error.
func TestBodiesThatHurt(t *testing.T) {
	t.Parallel()
	aws := newTarget(t, nil)
	deep := func(open, end string, n int) string { return strings.Repeat(open, n) + strings.Repeat(end, n) }
	text := func(s string) string { return url.QueryEscape(s) }
	bodies := map[string]struct{ service, operation, body string }{
		"a form with a million parameters": {"iam", "CreateUser", strings.Repeat("a=b&", 1_000_000)},
		"a list with a far member":         {"iam", "TagUser", "UserName=a&Tags.member.2147483647.Key=k&Tags.member.2147483647.Value=v"},
		"a list with a farther member":     {"iam", "TagUser", "UserName=a&Tags.member.99999999999999999999.Key=k"},
		"a list with a negative member":    {"iam", "TagUser", "UserName=a&Tags.member.-1.Key=k"},
		"a list with many members":         {"iam", "TagUser", "UserName=a&" + manyTags(100_000)},
		"a deep name":                      {"iam", "TagUser", "UserName=a&Tags" + strings.Repeat(".member.1", 50_000) + "=x"},
		"the same name twice":              {"iam", "CreateUser", "UserName=a&UserName=b"},
		"a broken escape":                  {"iam", "CreateUser", "UserName=%zz"},
		"a NUL":                            {"iam", "CreateUser", "UserName=%00"},
		"text that is not UTF-8":           {"iam", "CreateUser", "UserName=%ff%fe"},
		"a number that is text":            {"iam", "ListRoles", "MaxItems=many"},
		"a number past all numbers":        {"iam", "ListRoles", "MaxItems=99999999999999999999"},
		"a marker nobody gave out":         {"iam", "ListRoles", "Marker=" + text("../../x\x00")},
		"a deep policy":                    {"iam", "CreatePolicy", "PolicyName=p&PolicyDocument=" + text(deep(`{"Statement":[`, `]}`, 3_000))},
		"a deep condition":                 {"iam", "CreatePolicy", "PolicyName=p&PolicyDocument=" + text(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":`+deep(`{"StringEquals":`, `}`, 3_000)+`}}`)},
		"a policy of wildcards":            {"iam", "CreatePolicy", "PolicyName=p&PolicyDocument=" + text(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"`+strings.Repeat("*a", 2_000)+`","Resource":"`+strings.Repeat("*?", 1_000)+`"}}`)},
		"a policy of variables":            {"iam", "CreatePolicy", "PolicyName=p&PolicyDocument=" + text(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"`+strings.Repeat("${", 2_000)+`"}}`)},
		"a policy of a megabyte":           {"iam", "CreatePolicy", "PolicyName=p&PolicyDocument=" + text(strings.Repeat(" ", 1<<20))},
		"a session policy that is deep":    {"sts", "AssumeRole", "RoleArn=" + podRole + "&RoleSessionName=s&Policy=" + text(deep("[", "]", 10_000))},
		"an ARN of colons":                 {"sts", "AssumeRole", "RoleArn=" + strings.Repeat(":", 2_000) + "&RoleSessionName=s"},
		"deep JSON":                        {"dynamodb", "PutItem", `{"TableName":"Orders","Item":` + deep(`{"M":{"a":`, `}}`, 100_000) + `}`},
		"a deep value":                     {"dynamodb", "PutItem", `{"TableName":"Orders","Item":{"Code":{"S":"x"},"a":` + deep(`{"L":[`, `]}`, 5_000) + `}}`},
		"deep JSON in a member not known":  {"secretsmanager", "CreateSecret", `{"Nothing":` + deep("[", "]", 1_000_000) + `}`},
		"deep JSON without an end":         {"kms", "CreateKey", strings.Repeat("[", 1_000_000)},
		"JSON that is a list":              {"kms", "CreateKey", `[]`},
		"JSON that is null":                {"kms", "CreateKey", `null`},
		"JSON that is text":                {"kms", "CreateKey", `"CreateKey"`},
		"no JSON":                          {"kms", "CreateKey", `<CreateKey/>`},
		"two JSON values":                  {"kms", "CreateKey", `{}{}`},
		"a member twice":                   {"secretsmanager", "GetSecretValue", `{"SecretId":"a","SecretId":"Secret","secretid":"b"}`},
		"a member of another type":         {"secretsmanager", "CreateSecret", `{"Name":{"a":1},"SecretString":[1]}`},
		"a huge number":                    {"dynamodb", "Scan", `{"TableName":"Orders","Limit":1e999999}`},
		"a number with many digits":        {"dynamodb", "PutItem", `{"TableName":"Orders","Item":{"Code":{"S":"x"},"n":{"N":"` + strings.Repeat("9", 1_000_000) + `"}}}`},
		"a number with a huge exponent":    {"dynamodb", "PutItem", `{"TableName":"Orders","Item":{"Code":{"S":"x"},"n":{"N":"1e2147483647"}}}`},
		"a value of two types":             {"dynamodb", "PutItem", `{"TableName":"Orders","Item":{"Code":{"S":"x","N":"1"}}}`},
		"a value of no type":               {"dynamodb", "PutItem", `{"TableName":"Orders","Item":{"Code":{}}}`},
		"an expression of parentheses":     {"dynamodb", "Scan", `{"TableName":"Orders","FilterExpression":"` + strings.Repeat("(", 4_000) + `"}`},
		"a long expression":                {"dynamodb", "Scan", `{"TableName":"Orders","FilterExpression":"` + strings.Repeat("NOT ", 1_000_000) + `a"}`},
		"an expression of paths":           {"dynamodb", "Scan", `{"TableName":"Orders","ProjectionExpression":"a` + strings.Repeat("[0]", 1_300) + `"}`},
		"an index past all numbers":        {"dynamodb", "Scan", `{"TableName":"Orders","ProjectionExpression":"a[99999999999999999999]"}`},
		"segments without an end":          {"dynamodb", "Scan", `{"TableName":"Orders","Segment":2147483647,"TotalSegments":1}`},
		"a start key that is not one":      {"dynamodb", "Scan", `{"TableName":"Orders","ExclusiveStartKey":{"x":{"L":[]}}}`},
		"ciphertext of nobody":             {"kms", "Decrypt", `{"CiphertextBlob":"` + strings.Repeat("AAAA", 1_000) + `"}`},
		"ciphertext that is not base64":    {"kms", "Decrypt", `{"CiphertextBlob":"!!!"}`},
		"random bytes without an end":      {"kms", "GenerateRandom", `{"NumberOfBytes":2147483647}`},
		"a password without an end":        {"secretsmanager", "GetRandomPassword", `{"PasswordLength":9223372036854775807}`},
		"a password of nothing":            {"secretsmanager", "GetRandomPassword", `{"PasswordLength":8,"ExcludeLowercase":true,"ExcludeUppercase":true,"ExcludeNumbers":true,"ExcludePunctuation":true}`},
		"a token nobody gave out":          {"organizations", "ListAccounts", `{"NextToken":"` + strings.Repeat("A", 100_000) + `"}`},
		"a policy for nobody":              {"organizations", "CreatePolicy", `{"Name":"p","Description":"","Type":"SERVICE_CONTROL_POLICY","Content":"` + strings.Repeat("{", 5_000) + `"}`},
	}
	all := operations(t)
	for name, b := range bodies {
		t.Run(name, func(t *testing.T) {
			op := all[operationNumber(t, all, b.service, b.operation)]
			data, err := aws.signedCall(op, "/", b.body, orders)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			answer := aws.raw(t, data)
			if got := status(answer); got < 200 || got >= 500 && got != http.StatusNotImplemented {
				t.Errorf("status %d: %.300s", got, answer)
			}
			if took := time.Since(start); took > patience/2 {
				t.Errorf("it took %v", took)
			}
			aws.report(t)
		})
	}
	t.Run("paths of EKS", func(t *testing.T) {
		op := all[operationNumber(t, all, "eks", "DescribeCluster")]
		for _, path := range []string{
			"/clusters//", "/clusters/..", "/clusters/%2e%2e", "/clusters/%00", "/clusters/" + strings.Repeat("a", 10_000), "/clusters/a%2Fb/access-entries/x", "/clusters?maxResults=-1",
			"/clusters?maxResults=99999999999999999999", "/clusters?nextToken=%ff", "/tags/", "/tags/arn%3Aaws", "/clusters/ci/updates/%2F", strings.Repeat("/clusters", 5_000),
		} {
			data, err := aws.signedCall(op, path, "{", tooling)
			if err != nil {
				t.Fatal(err)
			}
			if got := status(aws.raw(t, data)); got < 200 || got >= 500 && got != http.StatusNotImplemented {
				t.Errorf("%.100s: status %d", path, got)
			}
			aws.report(t)
		}
	})
}

func manyTags(n int) string {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "Tags.member.%d.Key=k%d&Tags.member.%d.Value=v&", i+1, i, i+1)
	}
	return b.String()
}
