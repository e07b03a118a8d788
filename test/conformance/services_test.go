package conformance_test

import (
	"context"
	"reflect"
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

// clientTypes are the SDK's clients of the services served; their methods give
// the input and output types.
var clientTypes = map[string]reflect.Type{
	"dynamodb":       reflect.TypeFor[*dynamodb.Client](),
	"eks":            reflect.TypeFor[*eks.Client](),
	"iam":            reflect.TypeFor[*iam.Client](),
	"kms":            reflect.TypeFor[*kms.Client](),
	"organizations":  reflect.TypeFor[*organizations.Client](),
	"secretsmanager": reflect.TypeFor[*secretsmanager.Client](),
	"signin":         reflect.TypeFor[*signin.Client](),
	"sso":            reflect.TypeFor[*sso.Client](),
	"sso-oidc":       reflect.TypeFor[*ssooidc.Client](),
	"sts":            reflect.TypeFor[*sts.Client](),
}

// operationTypes returns the types of XxxInput and XxxOutput, or false where
// the SDK has no such operation.
func operationTypes(service, operation string) (in, out reflect.Type, ok bool) {
	method, ok := clientTypes[service].MethodByName(operation)
	if !ok || method.Type.NumIn() < 3 || method.Type.In(1) != reflect.TypeFor[context.Context]() {
		return nil, nil, false
	}
	return method.Type.In(2).Elem(), method.Type.Out(0).Elem(), true
}

func load(tb testing.TB, service string) *wire.Model {
	tb.Helper()
	model, err := wire.Load(service)
	if err != nil {
		tb.Fatal(err)
	}
	return model
}

func TestTheSDKHasEveryOperationServed(t *testing.T) {
	for _, service := range wire.Services() {
		if clientTypes[service] == nil {
			t.Errorf("%s is embedded and has no client type here", service)
			continue
		}
		for _, operation := range load(t, service).Operations() {
			if _, _, ok := operationTypes(service, operation); !ok {
				t.Errorf("%s.%s: the SDK has no such operation", service, operation)
			}
		}
	}
}
