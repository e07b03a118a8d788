package wire_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/internal/localaws/wire"
)

// served is a model and the SDK client whose methods have its input types.
type served struct {
	model  *wire.Model
	client reflect.Type
}

func all(tb testing.TB, protocol wire.Protocol) []served {
	tb.Helper()
	clients := map[string]reflect.Type{
		"dynamodb": reflect.TypeFor[*dynamodb.Client](), "eks": reflect.TypeFor[*eks.Client](), "iam": reflect.TypeFor[*iam.Client](),
		"kms": reflect.TypeFor[*kms.Client](), "organizations": reflect.TypeFor[*organizations.Client](),
		"secretsmanager": reflect.TypeFor[*secretsmanager.Client](), "sts": reflect.TypeFor[*sts.Client](),
		"signin": reflect.TypeFor[*signin.Client](), "sso": reflect.TypeFor[*sso.Client](), "sso-oidc": reflect.TypeFor[*ssooidc.Client](),
	}
	var out []served
	for _, service := range wire.Services() {
		if m := load(tb, service); m.Protocol == protocol {
			out = append(out, served{m, clients[service]})
		}
	}
	return out
}

// accept runs a request through the codec of every service and checks that
// whatever comes is either read or refused with a client's error that can be
// written.
func accept(t *testing.T, services []served, r *http.Request, body []byte) {
	t.Helper()
	for _, s := range services {
		op, e := s.model.Match(r, body)
		if e == nil {
			method, ok := s.client.MethodByName(op.Name)
			if !ok {
				t.Fatalf("the SDK has no %s", op.Name)
			}
			in := reflect.New(method.Type.In(2).Elem()).Interface()
			if e = op.Decode(r, body, in); e == nil {
				e = op.Validate(in)
			}
		}
		if e == nil {
			continue
		}
		if e.Status < 400 || e.Status >= 500 {
			t.Errorf("%s: %+v is not the client's error", s.model.Service, e)
		}
		s.model.EncodeError(httptest.NewRecorder(), requestID, e)
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("", "Action=AssumeRole&Version=2011-06-15&RoleArn=arn&RoleSessionName=x&Tags.member.1.Key=a&DurationSeconds=900")
	f.Add("Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60", "")
	f.Add("", "Action=TagRole&Version=2010-05-08&RoleName=r&Tags.member.1=&Tags.member.-1.Key=%zz&Tags=")
	f.Add("", "Action=SimulateCustomPolicy&Version=2010-05-08&ContextEntries.member.1.ContextKeyValues.member.1=a&.=.&..=")
	services := all(f, wire.Query)
	f.Fuzz(func(t *testing.T, rawQuery, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.URL.RawQuery = rawQuery
		accept(t, services, r, []byte(body))
	})
}

func FuzzJSON(f *testing.F) {
	f.Add("DynamoDB_20120810.PutItem", `{"TableName":"t","Item":{"a":{"L":[{"M":{"b":{"NULL":true}}}]}},"ReturnValues":"NONE"}`)
	f.Add("DynamoDB_20120810.GetItem", `{"Key":{"a":{}}}`)
	f.Add("TrentService.Encrypt", `{"Plaintext":"AAE=","EncryptionContext":{"a":"b"},"DryRun":false}`)
	f.Add("secretsmanager.RotateSecret", `{"RotationRules":{"AutomaticallyAfterDays":1e3}}`)
	f.Add("AWSOrganizationsV20161128.ListPolicies", `{"MaxResults":-1,"Filter":7}`)
	services := all(f, wire.JSON)
	f.Fuzz(func(t *testing.T, target, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", target)
		accept(t, services, r, []byte(body))
	})
}

func FuzzREST(f *testing.F) {
	f.Add("POST", "/clusters", "", `{"name":"ci","roleArn":"r","resourcesVpcConfig":{"subnetIds":["a"]},"tags":{"a":"b"}}`)
	f.Add("GET", "/clusters/ci/node-groups/n", "maxResults=x", "")
	f.Add("DELETE", "/tags/arn%3Aaws%2F", "tagKeys=a&tagKeys=%zz", "")
	services := all(f, wire.RestJSON)
	f.Fuzz(func(t *testing.T, method, path, rawQuery, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		decoded, err := url.PathUnescape(path)
		if err != nil {
			return
		}
		r.Method, r.URL.Path, r.URL.RawPath, r.URL.RawQuery = method, decoded, path, rawQuery
		accept(t, services, r, []byte(body))
	})
}

func FuzzXML(f *testing.F) {
	f.Add(grantsXML)
	f.Add(`<Policy><Count><Key/><N>1</N></Count></Policy>`)
	f.Add(`<?xml version="1.0"?><!DOCTYPE a><a/>`)
	m := loadThings(f)
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("PUT", "/box/key?acl", nil)
		op, e := m.Match(r, nil)
		if e != nil {
			t.Fatal(e)
		}
		var in putGrantsInput
		if e := op.Decode(r, []byte(body), &in); e != nil {
			return
		}
		if e := op.Validate(&in); e != nil {
			t.Errorf("Validate = %v of a model without constraints", e)
		}
	})
}

func FuzzReadBody(f *testing.F) {
	f.Add("5;chunk-signature=x\r\nhello\r\n0;chunk-signature=x\r\n\r\n", "5")
	f.Add("0\r\nx-amz-checksum-crc32:AAAAAA==\r\n", "")
	f.Add("ffffffffffffffff\r\n", "")
	f.Fuzz(func(t *testing.T, body, length string) {
		const limit = 1 << 10
		r := httptest.NewRequest("PUT", "/", strings.NewReader(body))
		r.Header.Set("Content-Encoding", "aws-chunked")
		r.Header.Set("X-Amz-Decoded-Content-Length", length)
		got, e := wire.ReadBody(r, limit)
		if e == nil && (len(got) > limit || len(got) > len(body)) {
			t.Errorf("ReadBody made %d bytes of %d", len(got), len(body))
		}
	})
}
