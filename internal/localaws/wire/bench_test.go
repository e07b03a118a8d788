package wire_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// discard is a ResponseWriter that keeps nothing, so that the codec alone is
// measured.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// bench runs Match, Decode, Validate and Encode of one call.
func bench(b *testing.B, service string, r *http.Request, body []byte, in func() any, out any) {
	m := load(b, service)
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		op, e := m.Match(r, body)
		if e != nil {
			b.Fatal(e)
		}
		input := in()
		if e := op.Decode(r, body, input); e != nil {
			b.Fatal(e)
		}
		if e := op.Validate(input); e != nil {
			b.Fatal(e)
		}
		if err := op.Encode(w, requestID, out); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetCallerIdentity(b *testing.B) {
	r, body := query("Action=GetCallerIdentity&Version=2011-06-15")
	bench(b, "sts", r, body, func() any { return new(sts.GetCallerIdentityInput) }, &sts.GetCallerIdentityOutput{
		Account: aws.String("111111111111"), Arn: aws.String("arn:aws:iam::111111111111:user/admin"), UserId: aws.String("AIDAIOSFODNN7EXAMPLE"),
	})
}

func BenchmarkAssumeRole(b *testing.B) {
	r, body := query("Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fdeploy&RoleSessionName=ci" +
		"&ExternalId=orders&Tags.member.1.Key=team&Tags.member.1.Value=blue")
	bench(b, "sts", r, body, func() any { return new(sts.AssumeRoleInput) }, &sts.AssumeRoleOutput{
		AssumedRoleUser: &ststypes.AssumedRoleUser{Arn: aws.String("arn:aws:sts::222222222222:assumed-role/deploy/ci"), AssumedRoleId: aws.String("AROA:ci")},
		Credentials: &ststypes.Credentials{
			AccessKeyId: aws.String("ASIAIOSFODNN7EXAMPLE"), SecretAccessKey: aws.String("x"), SessionToken: aws.String("y"), Expiration: aws.Time(time.Unix(1795341600, 0)),
		},
	})
}

func BenchmarkGetSecretValue(b *testing.B) {
	r, body := target("secretsmanager.GetSecretValue", `{"SecretId":"arn:aws:secretsmanager:eu-west-1:222222222222:secret:db-AbCdEf"}`)
	bench(b, "secretsmanager", r, body, func() any { return new(secretsmanager.GetSecretValueInput) }, &secretsmanager.GetSecretValueOutput{
		ARN: aws.String("arn:aws:secretsmanager:eu-west-1:222222222222:secret:db-AbCdEf"), Name: aws.String("db"), SecretString: aws.String(`{"user":"u"}`),
		VersionId: aws.String("v"), VersionStages: []string{"AWSCURRENT"}, CreatedDate: aws.Time(time.Unix(1795341600, 0)),
	})
}

func BenchmarkGetItem(b *testing.B) {
	r, body := target("DynamoDB_20120810.GetItem", `{"TableName":"Orders","Key":{"id":{"S":"1"}},"ConsistentRead":true}`)
	bench(b, "dynamodb", r, body, func() any { return new(dynamodb.GetItemInput) }, &dynamodb.GetItemOutput{Item: map[string]dynamotypes.AttributeValue{
		"id": &dynamotypes.AttributeValueMemberS{Value: "1"}, "n": &dynamotypes.AttributeValueMemberN{Value: "3"},
		"lines": &dynamotypes.AttributeValueMemberL{Value: []dynamotypes.AttributeValue{&dynamotypes.AttributeValueMemberS{Value: "a"}}},
	}})
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		load(b, "iam")
	}
}

func BenchmarkEncodeError(b *testing.B) {
	m := load(b, "sts")
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		w.Body.Reset()
		m.EncodeError(w, requestID, m.NewError("AccessDenied", "User: arn is not authorized"))
	}
}
