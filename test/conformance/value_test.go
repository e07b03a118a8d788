package conformance_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	dynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A plain value is what the oracle speaks: JSON with structure members by Go
// field name, timestamps in milliseconds and blobs in base64. This file turns
// the SDK's values into plain ones and back, without the service models and
// without package wire.

var attributeValues = []reflect.Type{
	reflect.TypeFor[dynamodb.AttributeValueMemberB](), reflect.TypeFor[dynamodb.AttributeValueMemberBOOL](),
	reflect.TypeFor[dynamodb.AttributeValueMemberBS](), reflect.TypeFor[dynamodb.AttributeValueMemberL](),
	reflect.TypeFor[dynamodb.AttributeValueMemberM](), reflect.TypeFor[dynamodb.AttributeValueMemberN](),
	reflect.TypeFor[dynamodb.AttributeValueMemberNS](), reflect.TypeFor[dynamodb.AttributeValueMemberNULL](),
	reflect.TypeFor[dynamodb.AttributeValueMemberS](), reflect.TypeFor[dynamodb.AttributeValueMemberSS](),
}

const attributeMember = "AttributeValueMember"

// plain returns the plain value of an SDK value. What is absent is nil; the
// zero of a type without a pointer is absent as well.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		inner := v.Elem()
		if inner.Kind() == reflect.Bool || inner.CanInt() || inner.CanFloat() || inner.Kind() == reflect.String {
			return scalar(inner)
		}
		return plain(inner)
	case reflect.Struct:
		return plainStruct(v)
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return base64.StdEncoding.EncodeToString(v.Bytes())
		}
		list := make([]any, v.Len())
		for i := range list {
			if list[i] = plain(v.Index(i)); list[i] == nil {
				list[i] = scalar(v.Index(i))
			}
		}
		return list
	case reflect.Map:
		if v.IsNil() {
			return nil
		}
		object := map[string]any{}
		for _, key := range v.MapKeys() {
			object[key.String()] = plain(v.MapIndex(key))
			if object[key.String()] == nil {
				object[key.String()] = scalar(v.MapIndex(key))
			}
		}
		return object
	}
	if v.IsZero() {
		return nil
	}
	return scalar(v)
}

func scalar(v reflect.Value) any {
	switch {
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Bool:
		return v.Bool()
	case v.CanInt():
		return number(float64(v.Int()), json.Number(fmt.Sprint(v.Int())))
	case v.CanFloat():
		return number(v.Float(), "")
	}
	return nil
}

// number is the one form of a number that comparison uses: exact text for
// integers, the shortest text for others.
func number(f float64, exact json.Number) string {
	if exact != "" {
		return "#" + exact.String()
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<62 {
		return fmt.Sprintf("#%d", int64(f))
	}
	return fmt.Sprintf("#%v", f)
}

func plainStruct(v reflect.Value) any {
	if t, ok := v.Interface().(time.Time); ok {
		return fmt.Sprintf("#%d", t.UnixMilli())
	}
	if member, ok := strings.CutPrefix(v.Type().Name(), attributeMember); ok {
		value := plain(v.Field(0))
		if value == nil {
			value = scalar(v.Field(0))
		}
		return map[string]any{member: value}
	}
	object := map[string]any{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Name == "ResultMetadata" {
			continue
		}
		if value := plain(v.Field(i)); value != nil {
			object[f.Name] = value
		}
	}
	return object
}

// normal brings a value that came as JSON into the form of plain.
func normal(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, ok := new(big.Int).SetString(v.String(), 10); ok {
			return "#" + n.String()
		}
		f, _ := v.Float64()
		return number(f, "")
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = normal(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			if value != nil {
				out[name] = normal(value)
			}
		}
		return out
	}
	return v
}

// pruned drops false, zero and empty members, which the SDK's types without
// pointers cannot tell from absent ones.
func pruned(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = pruned(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			value = pruned(value)
			switch value := value.(type) {
			case nil:
				continue
			case bool:
				if !value {
					continue
				}
			case string:
				if value == "" || value == "#0" {
					continue
				}
			case []any:
				if len(value) == 0 {
					continue
				}
			case map[string]any:
				if len(value) == 0 {
					continue
				}
			}
			out[name] = value
		}
		return out
	}
	return v
}

// fill sets an SDK value from a plain value as JSON gave it.
func fill(v reflect.Value, from any) error {
	if from == nil {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return fill(v.Elem(), from)
	case reflect.Interface:
		return fillUnion(v, from)
	case reflect.Struct:
		return fillStruct(v, from)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			data, err := base64.StdEncoding.DecodeString(from.(string))
			v.SetBytes(data)
			return err
		}
		items := from.([]any)
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
		for i := range items {
			if err := fill(v.Index(i), items[i]); err != nil {
				return err
			}
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for name, item := range from.(map[string]any) {
			value := reflect.New(v.Type().Elem()).Elem()
			if err := fill(value, item); err != nil {
				return err
			}
			v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), value)
		}
	case reflect.String:
		v.SetString(from.(string))
	case reflect.Bool:
		v.SetBool(from.(bool))
	default:
		return fillNumber(v, from)
	}
	return nil
}

func fillNumber(v reflect.Value, from any) error {
	text, ok := from.(json.Number)
	if !ok {
		return fmt.Errorf("a %T for a %s", from, v.Type())
	}
	if v.CanFloat() {
		f, err := text.Float64()
		v.SetFloat(f)
		return err
	}
	n, err := text.Int64()
	v.SetInt(n)
	return err
}

func fillStruct(v reflect.Value, from any) error {
	if v.Type() == reflect.TypeFor[time.Time]() {
		ms, err := from.(json.Number).Int64()
		v.Set(reflect.ValueOf(time.UnixMilli(ms)))
		return err
	}
	for name, item := range from.(map[string]any) {
		field := v.FieldByName(name)
		if !field.IsValid() {
			return fmt.Errorf("%s has no field %s", v.Type(), name)
		}
		if err := fill(field, item); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func fillUnion(v reflect.Value, from any) error {
	for name, item := range from.(map[string]any) {
		for _, concrete := range attributeValues {
			if concrete.Name() != attributeMember+name {
				continue
			}
			value := reflect.New(concrete)
			if err := fill(value.Elem().Field(0), item); err != nil {
				return err
			}
			v.Set(value)
			return nil
		}
	}
	return fmt.Errorf("no member of %s for %v", v.Type(), from)
}

func TestPlainValuesSurviveFillAndPlain(t *testing.T) {
	const text = `{"Item":{"a":{"L":[{"N":"1"},{"M":{"x":{"B":"AAE="}}},{"BOOL":true}]}},"TableName":"t","ReturnValues":"NONE"}`
	var from any
	decode(t, []byte(text), &from)
	in, _, _ := operationTypes("dynamodb", "PutItem")
	v := reflect.New(in).Elem()
	if err := fill(v, from); err != nil {
		t.Fatal(err)
	}
	if got, want := plain(v), normal(from); !reflect.DeepEqual(got, want) {
		t.Errorf("plain(fill(x)) = %v, want %v", got, want)
	}
}
