package policy

import (
	"slices"
	"strings"
)

// Operator is a condition operator in its parts.
type Operator struct {
	Set      string // "", "ForAnyValue" or "ForAllValues"
	Base     string // "StringEquals", as written: possibly an unknown one
	IfExists bool
}

// SplitOperator takes an operator apart. It accepts any text; see
// [Operator.Known].
func SplitOperator(s string) Operator {
	var o Operator
	for _, set := range []string{"ForAnyValue", "ForAllValues"} {
		if rest, ok := strings.CutPrefix(s, set+":"); ok {
			o.Set, s = set, rest
			break
		}
	}
	o.Base, o.IfExists = strings.CutSuffix(s, "IfExists")
	return o
}

// String writes the operator as a document has it.
func (o Operator) String() string {
	s := o.Base
	if o.Set != "" {
		s = o.Set + ":" + s
	}
	if o.IfExists {
		s += "IfExists"
	}
	return s
}

// Known reports whether IAM has the operator. Null takes no IfExists.
func (o Operator) Known() bool {
	return slices.Contains(Operators(), o.Base) && (o.Base != "Null" || !o.IfExists)
}

// Negated reports whether the operator is true when the key does not match:
// StringNotEquals, NotIpAddress and their kind.
func (o Operator) Negated() bool { return strings.Contains(o.Base, "Not") }

// Operators lists the condition operators without set prefix and IfExists.
func Operators() []string {
	return []string{
		"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike",
		"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
		"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
		"Bool", "BinaryEquals", "IpAddress", "NotIpAddress",
		"ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike", "Null",
	}
}

// suggestOperator returns the known operator nearest to s, spelt in full, or "".
func suggestOperator(s string) string {
	o := SplitOperator(s)
	if set, base, ok := strings.Cut(s, ":"); ok && o.Set == "" {
		o = SplitOperator(base)
		o.Set = Closest(strings.TrimRight(set, ":"), []string{"ForAnyValue", "ForAllValues"})
		o.Base = strings.TrimLeft(o.Base, ":")
	}
	near := Closest(o.Base, Operators())
	if near == "" {
		return ""
	}
	o.Base = near
	o.IfExists = o.IfExists && near != "Null"
	return o.String()
}
