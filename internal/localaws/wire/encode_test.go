package wire_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/localaws/wire"
)

const requestID = "7c1f4a2e-0d53-4f6c-9a51-3a2b7f6f2f10"

func TestEncode(t *testing.T) {
	created := time.Date(2026, 11, 22, 10, 0, 0, 500_000_000, time.UTC)
	cases := []struct {
		name, service, operation string
		out                      any
		contentType, body        string
	}{
		{"query", "sts", "GetCallerIdentity",
			&sts.GetCallerIdentityOutput{Account: aws.String("111111111111"), Arn: aws.String("arn:aws:iam::111111111111:user/a&b"), UserId: aws.String("AIDA")},
			"text/xml",
			`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>111111111111</Account><Arn>arn:aws:iam::111111111111:user/a&amp;b</Arn><UserId>AIDA</UserId></GetCallerIdentityResult><ResponseMetadata><RequestId>` + requestID + `</RequestId></ResponseMetadata></GetCallerIdentityResponse>`},
		{"query without an output", "iam", "DeleteRole", &iam.DeleteRoleOutput{}, "text/xml",
			`<DeleteRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ResponseMetadata><RequestId>` + requestID + `</RequestId></ResponseMetadata></DeleteRoleResponse>`},
		{"query with an untyped nil", "iam", "DeleteRole", nil, "text/xml",
			`<DeleteRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ResponseMetadata><RequestId>` + requestID + `</RequestId></ResponseMetadata></DeleteRoleResponse>`},
		{"query with a required list that is nil", "iam", "ListRoles", &iam.ListRolesOutput{}, "text/xml",
			`<ListRolesResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListRolesResult><IsTruncated>false</IsTruncated><Roles></Roles></ListRolesResult><ResponseMetadata><RequestId>` + requestID + `</RequestId></ResponseMetadata></ListRolesResponse>`},
		{"query with a list and a time", "iam", "ListAccessKeys",
			&iam.ListAccessKeysOutput{AccessKeyMetadata: []iamtypes.AccessKeyMetadata{{AccessKeyId: aws.String("AKIA"), CreateDate: &created, Status: iamtypes.StatusTypeActive}}}, "text/xml",
			`<ListAccessKeysResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListAccessKeysResult><AccessKeyMetadata><member><AccessKeyId>AKIA</AccessKeyId><CreateDate>2026-11-22T10:00:00.500Z</CreateDate><Status>Active</Status></member></AccessKeyMetadata><IsTruncated>false</IsTruncated></ListAccessKeysResult><ResponseMetadata><RequestId>` + requestID + `</RequestId></ResponseMetadata></ListAccessKeysResponse>`},
		{"json 1.1", "secretsmanager", "GetSecretValue",
			&secretsmanager.GetSecretValueOutput{Name: aws.String("n\"<é\u2028"), SecretBinary: []byte{0, 1}, CreatedDate: &created, VersionStages: []string{}},
			"application/x-amz-json-1.1", "{\"CreatedDate\":1795341600.5,\"Name\":\"n\\\"<é\\u2028\",\"SecretBinary\":\"AAE=\",\"VersionStages\":[]}"},
		{"json 1.0", "dynamodb", "GetItem",
			&dynamodb.GetItemOutput{Item: map[string]dynamotypes.AttributeValue{"b": &dynamotypes.AttributeValueMemberBOOL{}, "a": &dynamotypes.AttributeValueMemberSS{Value: []string{"x"}}}},
			"application/x-amz-json-1.0", `{"Item":{"a":{"SS":["x"]},"b":{"BOOL":false}}}`},
		{"json with nothing to say", "dynamodb", "GetItem", nil, "application/x-amz-json-1.0", `{}`},
		{"rest-json", "eks", "ListClusters", &eks.ListClustersOutput{Clusters: []string{"ci"}}, "application/json", `{"clusters":["ci"]}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			op, _ := load(t, c.service).Operation(c.operation)
			w := httptest.NewRecorder()
			if err := op.Encode(w, requestID, c.out); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.body, w.Body.String()); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if w.Code != 200 || w.Header().Get("Content-Type") != c.contentType || w.Header().Get("X-Amzn-Requestid") != requestID {
				t.Errorf("status %d, headers %v", w.Code, w.Header())
			}
		})
	}
}

func TestEncodeRefusesTheWrongType(t *testing.T) {
	op, _ := load(t, "iam").Operation("ListRoles")
	w := httptest.NewRecorder()
	wrong := struct{ Roles string }{"r"}
	if err := op.Encode(w, requestID, &wrong); err == nil || !strings.Contains(err.Error(), "ListRoles") {
		t.Errorf("Encode of a string for a list = %v, want an error that names the operation", err)
	}
	if w.Body.Len() > 0 {
		t.Errorf("a failed Encode wrote %q", w.Body)
	}
	if err := op.Encode(w, requestID, "text"); err == nil {
		t.Error("Encode of a string succeeded")
	}
}

func TestEncodeError(t *testing.T) {
	cases := []struct {
		name, service string
		err           func(m *wire.Model) *wire.Error
		status        int
		header, value string
		body          string
	}{
		{"a modelled query error by its shape", "iam",
			func(m *wire.Model) *wire.Error {
				return m.NewError("NoSuchEntityException", "The role with name %s cannot be found.", "<r>")
			}, 404, "Content-Type", "text/xml",
			`<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>The role with name &lt;r&gt; cannot be found.</Message></Error><RequestId>` + requestID + `</RequestId></ErrorResponse>`},
		{"a modelled query error by its code", "iam",
			func(m *wire.Model) *wire.Error { return m.NewError("DeleteConflict", "no") }, 409, "", "",
			`<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>DeleteConflict</Code><Message>no</Message></Error><RequestId>` + requestID + `</RequestId></ErrorResponse>`},
		{"a fault of the service", "iam",
			func(m *wire.Model) *wire.Error { return m.NewError("ServiceFailureException", "no") }, 500, "", "",
			`<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Receiver</Type><Code>ServiceFailure</Code><Message>no</Message></Error><RequestId>` + requestID + `</RequestId></ErrorResponse>`},
		{"a query denial", "sts",
			func(m *wire.Model) *wire.Error { return m.NewError("AccessDenied", "no") }, 403, "", "",
			`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error><RequestId>` + requestID + `</RequestId></ErrorResponse>`},
		{"a JSON denial", "secretsmanager",
			func(m *wire.Model) *wire.Error { return m.NewError("AccessDeniedException", "no") }, 400,
			"X-Amzn-Errortype", "AccessDeniedException", `{"__type":"AccessDeniedException","message":"no"}`},
		{"a modelled JSON error, its message as the model names it", "secretsmanager",
			func(m *wire.Model) *wire.Error { return m.NewError("ResourceNotFoundException", "no") }, 400,
			"X-Amzn-Errortype", "ResourceNotFoundException", `{"__type":"ResourceNotFoundException","Message":"no"}`},
		{"a DynamoDB error with the SDK's values as fields", "dynamodb",
			func(m *wire.Model) *wire.Error {
				e := m.NewError("ConditionalCheckFailedException", "The conditional request failed")
				e.Fields = map[string]any{"Item": map[string]dynamotypes.AttributeValue{"a": &dynamotypes.AttributeValueMemberS{Value: "x"}}}
				return e
			}, 400, "X-Amzn-Errortype", "ConditionalCheckFailedException",
			`{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"The conditional request failed","Item":{"a":{"S":"x"}}}`},
		{"a DynamoDB error that is not modelled", "dynamodb",
			func(m *wire.Model) *wire.Error { return m.NewError("ValidationException", "no") }, 400, "", "",
			`{"__type":"com.amazon.coral.service#ValidationException","message":"no"}`},
		{"cancellation reasons", "dynamodb",
			func(m *wire.Model) *wire.Error {
				e := m.NewError("TransactionCanceledException", "no")
				e.Fields = map[string]any{"CancellationReasons": []dynamotypes.CancellationReason{{Code: aws.String("None")}}}
				return e
			}, 400, "", "",
			`{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"no","CancellationReasons":[{"Code":"None"}]}`},
		{"a rest-json error with fields, and one the model does not know", "eks",
			func(m *wire.Model) *wire.Error {
				e := m.NewError("ResourceNotFoundException", "No cluster found for name: ci.")
				e.Fields = map[string]any{"clusterName": "ci", "secret": "x"}
				return e
			}, 404, "X-Amzn-Errortype", "ResourceNotFoundException",
			`{"__type":"ResourceNotFoundException","message":"No cluster found for name: ci.","clusterName":"ci"}`},
		{"a throttle", "eks",
			func(m *wire.Model) *wire.Error {
				e := m.NewError("ThrottlingException", "Rate exceeded")
				e.RetryAfter = 1500 * time.Millisecond
				return e
			}, 429, "Retry-After", "2", `{"__type":"ThrottlingException","message":"Rate exceeded"}`},
		{"a status of its own, and a cause that stays inside", "kms",
			func(m *wire.Model) *wire.Error {
				return &wire.Error{Code: "KMSInternalException", Message: "no", Status: 503, Cause: "the reason"}
			}, 503, "", "", `{"__type":"KMSInternalException","message":"no"}`},
		{"an error from nowhere", "kms",
			func(*wire.Model) *wire.Error { return &wire.Error{Code: "Strange"} }, 400, "", "", `{"__type":"Strange","message":""}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := load(t, c.service)
			w := httptest.NewRecorder()
			m.EncodeError(w, requestID, c.err(m))
			if diff := cmp.Diff(c.body, w.Body.String()); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if w.Code != c.status || w.Header().Get(c.header) != c.value && c.header != "" {
				t.Errorf("status %d, headers %v, want %d and %s: %s", w.Code, w.Header(), c.status, c.header, c.value)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	e := load(t, "iam").NewError("NoSuchEntityException", "gone")
	e.Cause = "hidden"
	if got, want := e.Error(), "NoSuchEntity: gone"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
