package authz

import (
	"strings"
)

// operatorKind is what a condition operator compares.
type operatorKind uint8

const (
	opStringEquals operatorKind = iota
	opStringIgnoreCase
	opStringLike
	opARN
	opBool
	opNumeric
	opDate
	opIP
	opBinary
	opNull
)

// relation is which side must be larger, for numbers and dates.
type relation uint8

const (
	equal relation = iota
	less
	lessOrEqual
	greater
	greaterOrEqual
)

func (r relation) holds(c int) bool {
	switch r {
	case equal:
		return c == 0
	case less:
		return c < 0
	case lessOrEqual:
		return c <= 0
	case greater:
		return c > 0
	case greaterOrEqual:
		return c >= 0
	}
	return false
}

// setOperator is ForAllValues, ForAnyValue or neither.
type setOperator uint8

const (
	noSet setOperator = iota
	forAllValues
	forAnyValue
)

// An operator is a condition operator taken apart.
type operator struct {
	kind     operatorKind
	relation relation
	negated  bool
	ifExists bool
	set      setOperator
	// misspelt is set when only the letter case differs from AWS's spelling,
	// which AWS's documents neither allow nor forbid.
	misspelt bool
}

// baseOperators are the operators of "IAM JSON policy elements: Condition
// operators" without prefix and suffix.
var baseOperators = map[string]operator{
	"StringEquals":              {kind: opStringEquals},
	"StringNotEquals":           {kind: opStringEquals, negated: true},
	"StringEqualsIgnoreCase":    {kind: opStringIgnoreCase},
	"StringNotEqualsIgnoreCase": {kind: opStringIgnoreCase, negated: true},
	"StringLike":                {kind: opStringLike},
	"StringNotLike":             {kind: opStringLike, negated: true},
	"ArnEquals":                 {kind: opARN},
	"ArnLike":                   {kind: opARN},
	"ArnNotEquals":              {kind: opARN, negated: true},
	"ArnNotLike":                {kind: opARN, negated: true},
	"Bool":                      {kind: opBool},
	"NumericEquals":             {kind: opNumeric},
	"NumericNotEquals":          {kind: opNumeric, negated: true},
	"NumericLessThan":           {kind: opNumeric, relation: less},
	"NumericLessThanEquals":     {kind: opNumeric, relation: lessOrEqual},
	"NumericGreaterThan":        {kind: opNumeric, relation: greater},
	"NumericGreaterThanEquals":  {kind: opNumeric, relation: greaterOrEqual},
	"DateEquals":                {kind: opDate},
	"DateNotEquals":             {kind: opDate, negated: true},
	"DateLessThan":              {kind: opDate, relation: less},
	"DateLessThanEquals":        {kind: opDate, relation: lessOrEqual},
	"DateGreaterThan":           {kind: opDate, relation: greater},
	"DateGreaterThanEquals":     {kind: opDate, relation: greaterOrEqual},
	"IpAddress":                 {kind: opIP},
	"NotIpAddress":              {kind: opIP, negated: true},
	"BinaryEquals":              {kind: opBinary},
	"Null":                      {kind: opNull},
}

// parseOperator takes an operator apart; ok is false for one that AWS does not have.
func parseOperator(s string) (op operator, ok bool) {
	base := s
	set := noSet
	misspelt := false
	if prefix, rest, found := strings.Cut(s, ":"); found {
		switch {
		case strings.EqualFold(prefix, "ForAllValues"):
			set, misspelt = forAllValues, prefix != "ForAllValues"
		case strings.EqualFold(prefix, "ForAnyValue"):
			set, misspelt = forAnyValue, prefix != "ForAnyValue"
		default:
			return operator{}, false
		}
		base = rest
	}
	ifExists := false
	if n := len(base) - len("IfExists"); n > 0 && strings.EqualFold(base[n:], "IfExists") {
		ifExists, misspelt = true, misspelt || base[n:] != "IfExists"
		base = base[:n]
	}
	op, ok = baseOperators[base]
	if !ok {
		op, ok = findOperatorFold(base)
		misspelt = true
	}
	if op.kind == opNull && (ifExists || set != noSet) {
		return operator{}, false // "any condition operator name except the Null condition"
	}
	op.set, op.ifExists, op.misspelt = set, ifExists, misspelt
	return op, ok
}

func findOperatorFold(base string) (operator, bool) {
	for name, op := range baseOperators {
		if strings.EqualFold(name, base) {
			return op, true
		}
	}
	return operator{}, false
}
