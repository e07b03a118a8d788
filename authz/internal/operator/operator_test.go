package operator_test

import (
	"strings"
	"testing"

	"github.com/stile-aws/stile/authz/internal/operator"
)

func TestComplement(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"StringEquals", "StringNotEquals"},
		{"ArnNotLike", "ArnLike"},
		{"NotIpAddress", "IpAddress"},
		{"ForAnyValue:StringLike", "ForAllValues:StringNotLike"},
		{"ForAllValues:StringEquals", "ForAnyValue:StringNotEquals"},
		{"StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"},
		{"StringEqualsIfExists", ""}, // both hold for a key that is missing
		{"StringNotEqualsIfExists", "StringEquals"},
		{"NotIpAddressIfExists", "IpAddress"},
		{"ForAllValues:StringNotEqualsIfExists", ""},
		{"NumericLessThan", ""}, // neither does
		{"Bool", ""},
		{"Null", ""},
		{"Sideways:StringEquals", ""},
	} {
		got, ok := operator.Complement(tt.name)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("Complement(%q) = %q, %v, want %q", tt.name, got, ok, tt.want)
		}
		if back, _ := operator.Complement(got); ok && back != strings.TrimSuffix(tt.name, "IfExists") {
			t.Errorf("Complement(%q) = %q, want %q", got, back, tt.name)
		}
	}
}

func TestComplementsNegateAndCompareTheSame(t *testing.T) {
	for _, name := range []string{"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "NumericEquals", "DateEquals", "IpAddress"} {
		other, _ := operator.Complement(name)
		a, okA := operator.Parse(name)
		b, okB := operator.Parse(other)
		if !okA || !okB || a.Negated == b.Negated || a.Kind != b.Kind || a.Relation != b.Relation {
			t.Errorf("%s is %+v, %s is %+v", name, a, other, b)
		}
	}
}
