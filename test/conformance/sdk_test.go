package conformance_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
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
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/localaws/wire"
)

// server answers a client's requests in process.
type server struct {
	model *wire.Model
	// in and matched are what the last request said.
	in      reflect.Value
	matched string
	// answer writes the answer.
	answer func(op *wire.Operation, w http.ResponseWriter) error
}

// Do makes a server the HTTP client of an SDK client.
func (s *server) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	body, e := wire.ReadBody(r, 1<<20)
	if e != nil {
		return nil, e
	}
	op, e := s.model.Match(r, body)
	if e != nil {
		return nil, e
	}
	s.matched = op.Name
	inType, _, _ := operationTypes(s.model.Service, op.Name)
	s.in = reflect.New(inType)
	if e := op.Decode(r, body, s.in.Interface()); e != nil {
		return nil, e
	}
	if err := s.answer(op, w); err != nil {
		return nil, err
	}
	res := w.Result()
	res.Request = r
	return res, nil
}

func client(service string, s *server) reflect.Value {
	config := aws.Config{
		Region: "eu-west-1", HTTPClient: s, RetryMaxAttempts: 1, BaseEndpoint: aws.String("https://service.example.com"),
		Credentials: aws.AnonymousCredentials{},
	}

	switch service {
	case "dynamodb":
		return reflect.ValueOf(dynamodb.NewFromConfig(config))
	case "eks":
		return reflect.ValueOf(eks.NewFromConfig(config))
	case "iam":
		return reflect.ValueOf(iam.NewFromConfig(config))
	case "kms":
		return reflect.ValueOf(kms.NewFromConfig(config))
	case "organizations":
		return reflect.ValueOf(organizations.NewFromConfig(config))
	case "secretsmanager":
		return reflect.ValueOf(secretsmanager.NewFromConfig(config))
	case "signin":
		return reflect.ValueOf(signin.NewFromConfig(config))
	case "sso":
		return reflect.ValueOf(sso.NewFromConfig(config))
	case "sso-oidc":
		return reflect.ValueOf(ssooidc.NewFromConfig(config))
	case "sts":
		return reflect.ValueOf(sts.NewFromConfig(config))
	}
	panic("no client for " + service)
}

// The values are the recorded vectors'; the SDK for Go is a second reader and
// writer of the protocols, beside botocore.
func TestTheGoSDKAgrees(t *testing.T) {
	for _, v := range readVectors(t) {
		t.Run(v.Service, func(t *testing.T) {
			s := &server{model: load(t, v.Service)}
			c := client(v.Service, s)
			var in, out, failed score
			for i := range v.Inputs {
				callOperation(t, s, c, v.Inputs[i], v.Outputs[i].outputCase, &in, &out)
			}
			in.report(t, v.Service, "inputs")
			out.report(t, v.Service, "outputs")
			for _, e := range v.Errors {
				callError(t, s, c, v.Inputs[0], e.errorCase, &failed)
			}
			failed.report(t, v.Service, "errors")
		})
	}
}

// callOperation makes one call and compares what arrived on both sides.
func callOperation(t *testing.T, s *server, c reflect.Value, in inputCase, out outputCase, inScore, outScore *score) {
	t.Helper()
	s.answer = func(op *wire.Operation, w http.ResponseWriter) error {
		_, outType, _ := operationTypes(s.model.Service, op.Name)
		value := reflect.New(outType)
		if err := fill(value.Elem(), out.Value); err != nil {
			return err
		}
		return op.Encode(w, requestID, value.Interface())
	}
	result, err := invoke(t, s, c, in)
	if err != nil {
		inScore.add(t, in.Operation, nil, nil, err.Error())
		return
	}
	problem := ""
	if s.matched != in.Operation {
		problem = "matched " + s.matched
	}
	inScore.add(t, in.Operation, withoutTokens(plain(s.in), in.Value), normal(in.Value), problem)
	got, want := plain(result), normal(out.Value)
	if cmp.Equal(pruned(got), pruned(want), cmp.Comparer(sameMillisecond)) {
		got = want
	}
	outScore.add(t, out.Operation, got, want, "")
}

// sameMillisecond forgives the SDK that it cuts the last digit of a timestamp,
// which it reads as a floating-point number.
func sameMillisecond(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := strconv.ParseInt(strings.TrimPrefix(a, "#"), 10, 64)
	y, errY := strconv.ParseInt(strings.TrimPrefix(b, "#"), 10, 64)
	const y1985 = 500_000_000_000 // no other number is as large and so near
	return errX == nil && errY == nil && x > y1985 && max(x-y, y-x) == 1
}

func invoke(t *testing.T, s *server, c reflect.Value, in inputCase) (reflect.Value, error) {
	t.Helper()
	inType, _, _ := operationTypes(s.model.Service, in.Operation)
	value := reflect.New(inType)
	if err := fill(value.Elem(), in.Value); err != nil {
		return reflect.Value{}, err
	}
	results := c.MethodByName(in.Operation).Call([]reflect.Value{reflect.ValueOf(t.Context()), value})
	err, _ := results[1].Interface().(error)
	return results[0], err
}

// withoutTokens drops the idempotency tokens that the SDK adds by itself.
func withoutTokens(got, want any) any {
	object, _ := got.(map[string]any)
	wanted, _ := want.(map[string]any)
	for name := range object {
		if _, ok := wanted[name]; !ok && strings.HasSuffix(name, "Token") {
			delete(object, name)
		}
	}
	return got
}

func callError(t *testing.T, s *server, c reflect.Value, in inputCase, e errorCase, failed *score) {
	t.Helper()
	s.answer = func(_ *wire.Operation, w http.ResponseWriter) error {
		answer := writeError(s.model, e)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, err := w.Write(answer.Body.Bytes())
		return err
	}
	_, err := invoke(t, s, c, in)
	var api smithy.APIError
	if !errors.As(err, &api) {
		failed.add(t, e.Shape, nil, nil, fmt.Sprintf("the client saw %v", err))
		return
	}
	want := message(e)
	got := api.ErrorMessage()
	if want == "" && got == "UnknownError" {
		got = "" // the SDK's word for an empty message
	}
	failed.add(t, e.Shape, []any{api.ErrorCode(), got}, []any{e.Code, want}, "")
}
