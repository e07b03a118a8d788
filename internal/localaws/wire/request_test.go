package wire_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stile-aws/stile/internal/localaws/wire"
)

// query is a POST of the query protocol.
func query(form string) (*http.Request, []byte) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return r, []byte(form)
}

// target is a POST of the JSON protocols.
func target(name, body string) (*http.Request, []byte) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", name)
	return r, []byte(body)
}

func TestMatch(t *testing.T) {
	presigned := httptest.NewRequest("GET", "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60", nil)
	cases := []struct {
		name, service string
		request       *http.Request
		body          string
		want          string
		code          string
		status        int
	}{
		{"an action in the form", "sts", httptest.NewRequest("POST", "/", nil), "Action=AssumeRole&Version=2011-06-15", "AssumeRole", "", 0},
		{"an action in a presigned URL", "sts", presigned, "", "GetCallerIdentity", "", 0},
		{"an action after a broken parameter", "sts", httptest.NewRequest("POST", "/", nil), "x=%zz&Action=GetSessionToken&Version=2011-06-15", "GetSessionToken", "", 0},
		{"an unknown action", "sts", httptest.NewRequest("POST", "/", nil), "Action=Nonsense&Version=2011-06-15", "", "InvalidAction", 400},
		{"another service's version", "sts", httptest.NewRequest("POST", "/", nil), "Action=AssumeRole&Version=2010-05-08", "", "InvalidAction", 400},
		{"no action", "sts", httptest.NewRequest("GET", "/", nil), "", "", "MissingAction", 400},
		{"a path of one literal", "eks", httptest.NewRequest("GET", "/clusters?maxResults=1", nil), "", "ListClusters", "", 0},
		{"a path with a trailing slash", "eks", httptest.NewRequest("GET", "/clusters/", nil), "", "ListClusters", "", 0},
		{"a label", "eks", httptest.NewRequest("GET", "/clusters/ci", nil), "", "DescribeCluster", "", 0},
		{"a label with an escaped slash", "eks", httptest.NewRequest("GET", "/tags/arn%3Aaws%3Aeks%3Aeu-west-1%3A111111111111%3Acluster%2Fci", nil), "", "ListTagsForResource", "", 0},
		{"a literal rather than a label", "eks", httptest.NewRequest("POST", "/addons/supported-versions", nil), "", "", "UnknownOperationException", 404},
		{"another method", "eks", httptest.NewRequest("DELETE", "/clusters/ci", nil), "", "DeleteCluster", "", 0},
		{"a path of nobody", "eks", httptest.NewRequest("GET", "/clusters/ci/nonsense", nil), "", "", "UnknownOperationException", 404},
		{"the root", "eks", httptest.NewRequest("GET", "/", nil), "", "", "UnknownOperationException", 404},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			op, e := load(t, c.service).Match(c.request, []byte(c.body))
			check(t, op, e, c.want, c.code, c.status)
		})
	}
}

func TestMatchByTarget(t *testing.T) {
	cases := []struct {
		name, service, target, want, code string
	}{
		{"the operation", "dynamodb", "DynamoDB_20120810.GetItem", "GetItem", ""},
		{"another service's target", "dynamodb", "TrentService.Decrypt", "", "UnknownOperationException"},
		{"an unknown operation", "kms", "TrentService.Nonsense", "", "UnknownOperationException"},
		{"no target", "kms", "", "", "UnknownOperationException"},
		{"a longer prefix", "kms", "TrentService.x.Decrypt", "", "UnknownOperationException"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, body := target(c.target, "{}")
			op, e := load(t, c.service).Match(r, body)
			check(t, op, e, c.want, c.code, 400)
		})
	}
}

func check(t *testing.T, op *wire.Operation, e *wire.Error, want, code string, status int) {
	t.Helper()
	switch {
	case want != "" && (e != nil || op.Name != want):
		t.Errorf("Match = %v, %v, want %s", op, e, want)
	case want == "" && (e == nil || e.Code != code || e.Status != status || e.Fault != wire.Sender):
		t.Errorf("Match = %v, %+v, want %s %d", op, e, code, status)
	}
}

func TestMatchRefusesCompressedBodies(t *testing.T) {
	r, body := target("TrentService.Decrypt", "{}")
	r.Header.Set("Content-Encoding", "gzip")
	if _, e := load(t, "kms").Match(r, body); e == nil || e.Status != http.StatusUnsupportedMediaType {
		t.Errorf("Match of a gzip body = %v, want status 415", e)
	}
}

// decode runs Match and Decode.
func decode(t *testing.T, service string, r *http.Request, body []byte, in any) *wire.Error {
	t.Helper()
	op, e := load(t, service).Match(r, body)
	if e != nil {
		t.Fatal(e)
	}
	return op.Decode(r, body, in)
}

func TestDecodeQuery(t *testing.T) {
	r, body := query("Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fdeploy" +
		"&RoleSessionName=ci&DurationSeconds=900&Tags.member.10.Key=last&Tags.member.10.Value=" +
		"&Tags.member.2.Key=team&Tags.member.2.Value=blue+sky&TransitiveTagKeys.member.1=team&PolicyArns=&RoleSessionName=ignored&Unknown.x=1")
	var in sts.AssumeRoleInput
	if e := decode(t, "sts", r, body, &in); e != nil {
		t.Fatal(e)
	}
	if got := aws.ToString(in.RoleArn); got != "arn:aws:iam::222222222222:role/deploy" {
		t.Errorf("RoleArn = %q", got)
	}
	if aws.ToString(in.RoleSessionName) != "ci" {
		t.Errorf("RoleSessionName = %q, want the first value", aws.ToString(in.RoleSessionName))
	}
	if aws.ToInt32(in.DurationSeconds) != 900 {
		t.Errorf("DurationSeconds = %v", in.DurationSeconds)
	}
	if len(in.Tags) != 2 || aws.ToString(in.Tags[0].Value) != "blue sky" || aws.ToString(in.Tags[1].Key) != "last" || in.Tags[1].Value == nil {
		t.Errorf("Tags = %+v, want team then last by number, and an empty value present", in.Tags)
	}
	if in.PolicyArns == nil || len(in.PolicyArns) != 0 {
		t.Errorf("PolicyArns = %v, want empty and not nil", in.PolicyArns)
	}
	if in.ExternalId != nil {
		t.Errorf("ExternalId = %q, want nil", *in.ExternalId)
	}
}

func TestDecodeQueryFromTheURL(t *testing.T) {
	r := httptest.NewRequest("GET", "/?Action=GetAccessKeyInfo&Version=2011-06-15&AccessKeyId=AKIAIOSFODNN7EXAMPLE", nil)
	var in sts.GetAccessKeyInfoInput
	if e := decode(t, "sts", r, nil, &in); e != nil || aws.ToString(in.AccessKeyId) != "AKIAIOSFODNN7EXAMPLE" {
		t.Errorf("Decode = %v, %v", aws.ToString(in.AccessKeyId), e)
	}
}

func TestDecodeJSON(t *testing.T) {
	r, body := target("DynamoDB_20120810.PutItem",
		`{"TableName":"Orders","Item":{"id":{"S":"1"},"n":{"N":"3"},"l":{"L":[{"NULL":true},{"B":"AAE="}]}},"Unknown":{"x":[1]},"ReturnValues":null}`)
	var in dynamodb.PutItemInput
	if e := decode(t, "dynamodb", r, body, &in); e != nil {
		t.Fatal(e)
	}
	want := dynamodb.PutItemInput{TableName: aws.String("Orders"), Item: map[string]dynamotypes.AttributeValue{
		"id": &dynamotypes.AttributeValueMemberS{Value: "1"},
		"n":  &dynamotypes.AttributeValueMemberN{Value: "3"},
		"l": &dynamotypes.AttributeValueMemberL{Value: []dynamotypes.AttributeValue{
			&dynamotypes.AttributeValueMemberNULL{Value: true}, &dynamotypes.AttributeValueMemberB{Value: []byte{0, 1}},
		}},
	}}
	if diff := cmp.Diff(want, in, cmpopts.IgnoreUnexported(
		dynamodb.PutItemInput{}, dynamotypes.AttributeValueMemberS{}, dynamotypes.AttributeValueMemberN{}, dynamotypes.AttributeValueMemberL{},
		dynamotypes.AttributeValueMemberNULL{}, dynamotypes.AttributeValueMemberB{})); diff != "" {
		t.Errorf("Decode (-want +got):\n%s", diff)
	}
}

func TestDecodeTakesAnEmptyBodyForAnEmptyObject(t *testing.T) {
	r, body := target("secretsmanager.ListSecrets", "")
	var in secretsmanager.ListSecretsInput
	if e := decode(t, "secretsmanager", r, body, &in); e != nil {
		t.Error(e)
	}
}

func TestDecodeREST(t *testing.T) {
	r := httptest.NewRequest("DELETE", "/tags/arn%3Aaws%3Aeks%3Aeu-west-1%3A111111111111%3Acluster%2Fci%20one?tagKeys=a&tagKeys=b%26c", nil)
	var in eks.UntagResourceInput
	if e := decode(t, "eks", r, nil, &in); e != nil {
		t.Fatal(e)
	}
	if got := aws.ToString(in.ResourceArn); got != "arn:aws:eks:eu-west-1:111111111111:cluster/ci one" {
		t.Errorf("ResourceArn = %q", got)
	}
	if diff := cmp.Diff([]string{"a", "b&c"}, in.TagKeys); diff != "" {
		t.Errorf("TagKeys (-want +got):\n%s", diff)
	}
}

func TestMalformedRequests(t *testing.T) {
	cases := []struct {
		name, service string
		request       *http.Request
		body          string
		in            any
		code, message string
	}{
		{"an escape that is none", "sts", nil, "Action=AssumeRole&Version=2011-06-15&RoleArn=%zz", &sts.AssumeRoleInput{}, "MalformedQueryString", ""},
		{"a word for a number", "sts", nil, "Action=AssumeRole&Version=2011-06-15&DurationSeconds=soon", &sts.AssumeRoleInput{}, "MalformedInput", "soon"},
		{"a number past its width", "sts", nil, "Action=AssumeRole&Version=2011-06-15&DurationSeconds=4294967296", &sts.AssumeRoleInput{}, "MalformedInput", ""},
		{"an index that is no number", "sts", nil, "Action=AssumeRole&Version=2011-06-15&Tags.member.x.Key=a", &sts.AssumeRoleInput{}, "MalformedInput", ""},
		{"a structure for a string", "sts", nil, "Action=AssumeRole&Version=2011-06-15&RoleArn.x=a", &sts.AssumeRoleInput{}, "MalformedInput", ""},
		{"bytes that are no UTF-8", "sts", nil, "Action=AssumeRole&Version=2011-06-15&RoleArn=%ff", &sts.AssumeRoleInput{}, "MalformedInput", ""},
		{"a truncated object", "secretsmanager", header("secretsmanager.GetSecretValue"), `{"SecretId":`, &secretsmanager.GetSecretValueInput{}, "SerializationException", ""},
		{"two objects", "secretsmanager", header("secretsmanager.GetSecretValue"), `{} {}`, &secretsmanager.GetSecretValueInput{}, "SerializationException", ""},
		{"a list for an object", "secretsmanager", header("secretsmanager.GetSecretValue"), `[]`, &secretsmanager.GetSecretValueInput{}, "SerializationException", "Start of list"},
		{"a number for a string", "secretsmanager", header("secretsmanager.GetSecretValue"), `{"SecretId":7}`, &secretsmanager.GetSecretValueInput{}, "SerializationException", "NUMBER_VALUE can not be converted to a String"},
		{"a broken blob", "secretsmanager", header("secretsmanager.PutSecretValue"), `{"SecretBinary":"!"}`, &secretsmanager.PutSecretValueInput{}, "SerializationException", "a Blob"},
		{"an item of two types", "dynamodb", header("DynamoDB_20120810.GetItem"), `{"Key":{"a":{"S":"1","N":"1"}}}`, &dynamodb.GetItemInput{}, "ValidationException", "more than one datatypes"},
		{"an item of no type", "dynamodb", header("DynamoDB_20120810.GetItem"), `{"Key":{"a":{}}}`, &dynamodb.GetItemInput{}, "ValidationException", "is empty"},
		{"an item nested past reason", "dynamodb", header("DynamoDB_20120810.GetItem"),
			`{"Key":{"a":` + strings.Repeat(`{"L":[`, 2000) + strings.Repeat(`]}`, 2000) + `}}`, &dynamodb.GetItemInput{}, "SerializationException", "nested"},
		{"a word for a number in a URL", "eks", httptest.NewRequest("GET", "/clusters?maxResults=x", nil), "", &eks.ListClustersInput{}, "SerializationException", ""},
		{"a broken query string", "eks", httptest.NewRequest("GET", "/clusters?maxResults=%zz", nil), "", &eks.ListClustersInput{}, "SerializationException", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := c.request
			if r == nil {
				r, _ = query(c.body)
			}
			e := decode(t, c.service, r, []byte(c.body), c.in)
			if e == nil || e.Code != c.code || e.Status != 400 || !strings.Contains(e.Message, c.message) {
				t.Errorf("Decode = %+v, want %s with %q", e, c.code, c.message)
			}
		})
	}
}

func header(name string) *http.Request {
	r, _ := target(name, "")
	return r
}

func TestListsWithHugeNumbersCostNothing(t *testing.T) {
	r, body := query("Action=UntagRole&Version=2010-05-08&RoleName=r&TagKeys.member.2000000000=b&TagKeys.member.7=a")
	var in iam.UntagRoleInput
	if e := decode(t, "iam", r, body, &in); e != nil {
		t.Fatal(e)
	}
	if diff := cmp.Diff([]string{"a", "b"}, in.TagKeys); diff != "" {
		t.Errorf("TagKeys (-want +got):\n%s", diff)
	}
}
