package stile

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/creds"
)

// Every parameter goes over another pool's, those too that come to be.
func TestOverForgetsNoParameter(t *testing.T) {
	var all creds.Role
	v := reflect.ValueOf(&all).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case v.Type().Field(i).Name == "ARN": // the role's own
		case f.Kind() == reflect.String:
			f.SetString("x")
		case f.CanInt():
			f.SetInt(1)
		case f.Kind() == reflect.Map:
			f.Set(reflect.ValueOf(map[string]string{"a": "1"}))
		case f.Kind() == reflect.Slice:
			f.Set(reflect.ValueOf([]string{"x"}))
		case f.Kind() == reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		default:
			t.Fatalf("%s is a %s: say here how to set one", v.Type().Field(i).Name, f.Kind())
		}
	}
	for name, got := range map[string]creds.Role{
		"what is set over nothing": over(creds.Role{}, all),
		"nothing over what is set": over(all, creds.Role{}),
	} {
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	got := over(creds.Role{Tags: map[string]string{"a": "0", "b": "2"}}, all)
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "2"}, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}
