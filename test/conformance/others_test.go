package conformance_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/localaws/wire"
)

// others are services that stile does not serve yet. They keep the codec
// honest for the protocols and the corners that the served ones do not reach:
// rest-xml, flattened lists, payloads, prefixed headers, query compatibility.
// Their types are made from botocore's own model, as the SDK's would look.
var others = []string{"ecr", "eks-auth", "lambda", "ram", "s3", "s3control", "sns", "sqs", "sso", "sso-oidc"}

// otherKnown are operations of others that differ, each with the reason.
var otherKnown = map[string]string{
	"s3.ListDirectoryBuckets":  "differs from ListBuckets by the host name alone",
	"s3.GetBucketLocation":     "the root element is the value: a case for the service's code",
	"s3.GetBucketLifecycle":    "deprecated, the same request as GetBucketLifecycleConfiguration",
	"s3.PutBucketLifecycle":    "deprecated, the same request as PutBucketLifecycleConfiguration",
	"s3.GetBucketNotification": "deprecated, the same request as GetBucketNotificationConfiguration",
	"s3.PutBucketNotification": "deprecated, the same request as PutBucketNotificationConfiguration",
}

func TestOtherServicesOnGeneratedTypes(t *testing.T) {
	for _, o := range oracles(t, ownModels) {
		t.Run("botocore "+o.version, func(t *testing.T) {
			for _, service := range others {
				t.Run(service, func(t *testing.T) {
					t.Parallel()
					otherService(t, o, service)
				})
			}
		})
	}
}

func otherService(t *testing.T, o oracle, service string) {
	var data []byte
	o.ask(t, []any{map[string]any{"do": "model", "service": service}}, func(_ int, line []byte) { data = line })
	if bytes.HasPrefix(data, []byte(`{"failed"`)) {
		t.Logf("%s is newer than botocore %s", service, o.version)
		return
	}
	model, err := wire.Parse(service, data)
	if err != nil {
		t.Fatal(err)
	}
	types := newTypes(t, data)
	g := o.generate(t, service, seed, rounds)
	var in, out score
	for _, c := range g.Inputs {
		inType := types.operation(c.Operation, true)
		if inType == nil || otherKnown[service+"."+c.Operation] != "" {
			continue
		}
		c.Valid = false
		got, problem := readInputAs(t, model, c, inType)
		in.add(t, c.Operation, got, normal(c.Value), problem)
	}
	in.report(t, service, "inputs")
	var questions []any
	var cases []outputCase
	for _, c := range g.Outputs {
		outType := types.operation(c.Operation, false)
		if outType == nil || otherKnown[service+"."+c.Operation] != "" {
			continue
		}
		op, _ := model.Operation(c.Operation)
		r, err := writeOutputAs(op, c, outType)
		if err != nil {
			out.add(t, c.Operation, nil, nil, err.Error())
			continue
		}
		cases = append(cases, c)
		questions = append(questions, question{"parse", service, c.Operation, r})
	}
	for i, answer := range o.parse(t, questions) {
		got, want := normal(answer.Value), normal(cases[i].Value)
		if object, ok := got.(map[string]any); ok && service == "s3" {
			delete(object, "ContentLength") // the body's, not a random number
		}
		out.add(t, cases[i].Operation, got, want, answer.Failed)
	}
	out.report(t, service, "outputs")
	failures(t, model, o, g)
}

// types makes Go types from a model.
type types struct {
	t          *testing.T
	operations map[string]struct {
		Input, Output *struct{ Shape string }
	}
	shapes map[string]modelShape
	open   map[string]bool
}

type modelShape struct {
	Type               string
	Members            map[string]struct{ Shape string }
	Member, Key, Value *struct{ Shape string }
	EventStream        bool
	Document           bool
}

func newTypes(t *testing.T, data []byte) *types {
	t.Helper()
	var file struct {
		Operations map[string]struct {
			Input, Output *struct{ Shape string }
		}
		Shapes map[string]modelShape
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return &types{t: t, operations: file.Operations, shapes: file.Shapes, open: map[string]bool{}}
}

// operation returns the struct of an operation's input or output, or nil where
// it needs what the codec does not serve.
func (ts *types) operation(name string, input bool) reflect.Type {
	ref := ts.operations[name].Output
	if input {
		ref = ts.operations[name].Input
	}
	if ref == nil {
		return reflect.TypeFor[struct{}]()
	}
	t, ok := ts.shape(ref.Shape)
	if !ok {
		return nil
	}
	return t
}

// shape returns a type as an element has it; false for event streams,
// documents and recursion, which reflection cannot make.
func (ts *types) shape(name string) (reflect.Type, bool) {
	s := ts.shapes[name]
	if s.EventStream || s.Document || ts.open[name] {
		return nil, false
	}
	switch s.Type {
	case "string", "character":
		return reflect.TypeFor[string](), true
	case "boolean":
		return reflect.TypeFor[bool](), true
	case "integer":
		return reflect.TypeFor[int32](), true
	case "long":
		return reflect.TypeFor[int64](), true
	case "float", "double":
		return reflect.TypeFor[float64](), true
	case "blob":
		return reflect.TypeFor[[]byte](), true
	case "timestamp":
		return reflect.TypeFor[time.Time](), true
	}
	ts.open[name] = true
	defer delete(ts.open, name)
	switch s.Type {
	case "list":
		t, ok := ts.shape(s.Member.Shape)
		if !ok {
			return nil, false
		}
		return reflect.SliceOf(t), true
	case "map":
		t, ok := ts.shape(s.Value.Shape)
		if !ok {
			return nil, false
		}
		return reflect.MapOf(reflect.TypeFor[string](), t), true
	}
	var fields []reflect.StructField
	for member, ref := range s.Members {
		t, ok := ts.shape(ref.Shape)
		if !ok {
			return nil, false
		}
		if t.Kind() != reflect.Slice && t.Kind() != reflect.Map {
			t = reflect.PointerTo(t)
		}
		fields = append(fields, reflect.StructField{Name: strings.ToUpper(member[:1]) + member[1:], Type: t})
	}
	return reflect.StructOf(fields), true
}
