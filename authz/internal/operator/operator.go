// Package operator takes the names of IAM's condition operators apart: what
// is compared, which way round, and what becomes of keys that are missing or
// have several values. Start with [Parse]. It compares nothing itself.
package operator

import (
	"strings"
)

// Kind is what an operator compares.
type Kind uint8

// The kinds of operator. ARN stands for ArnEquals and ArnLike, which AWS
// documents to be the same.
const (
	StringEquals Kind = iota
	StringIgnoreCase
	StringLike
	ARN
	Bool
	Numeric
	Date
	IP
	Binary
	Null
)

// Relation is which side must be larger, for numbers and dates.
type Relation uint8

// The relations of the request's value to the policy's.
const (
	Equal Relation = iota
	Less
	LessOrEqual
	Greater
	GreaterOrEqual
)

// Holds reports whether c, negative for less and 0 for equal, is in the relation.
func (r Relation) Holds(c int) bool {
	switch r {
	case Equal:
		return c == 0
	case Less:
		return c < 0
	case LessOrEqual:
		return c <= 0
	case Greater:
		return c > 0
	case GreaterOrEqual:
		return c >= 0
	}
	return false
}

// Set is ForAllValues, ForAnyValue or neither.
type Set uint8

// The set operators.
const (
	NoSet Set = iota
	ForAllValues
	ForAnyValue
)

// An Operator is a condition operator taken apart.
type Operator struct {
	Kind     Kind
	Relation Relation
	Negated  bool
	IfExists bool
	Set      Set
	// Misspelt is set when only the letter case differs from AWS's spelling,
	// which AWS's documents neither allow nor forbid.
	Misspelt bool
}

// base are the operators of "IAM JSON policy elements: Condition
// operators" without prefix and suffix.
var base = map[string]Operator{
	"StringEquals":              {Kind: StringEquals},
	"StringNotEquals":           {Kind: StringEquals, Negated: true},
	"StringEqualsIgnoreCase":    {Kind: StringIgnoreCase},
	"StringNotEqualsIgnoreCase": {Kind: StringIgnoreCase, Negated: true},
	"StringLike":                {Kind: StringLike},
	"StringNotLike":             {Kind: StringLike, Negated: true},
	"ArnEquals":                 {Kind: ARN},
	"ArnLike":                   {Kind: ARN},
	"ArnNotEquals":              {Kind: ARN, Negated: true},
	"ArnNotLike":                {Kind: ARN, Negated: true},
	"Bool":                      {Kind: Bool},
	"NumericEquals":             {Kind: Numeric},
	"NumericNotEquals":          {Kind: Numeric, Negated: true},
	"NumericLessThan":           {Kind: Numeric, Relation: Less},
	"NumericLessThanEquals":     {Kind: Numeric, Relation: LessOrEqual},
	"NumericGreaterThan":        {Kind: Numeric, Relation: Greater},
	"NumericGreaterThanEquals":  {Kind: Numeric, Relation: GreaterOrEqual},
	"DateEquals":                {Kind: Date},
	"DateNotEquals":             {Kind: Date, Negated: true},
	"DateLessThan":              {Kind: Date, Relation: Less},
	"DateLessThanEquals":        {Kind: Date, Relation: LessOrEqual},
	"DateGreaterThan":           {Kind: Date, Relation: Greater},
	"DateGreaterThanEquals":     {Kind: Date, Relation: GreaterOrEqual},
	"IpAddress":                 {Kind: IP},
	"NotIpAddress":              {Kind: IP, Negated: true},
	"BinaryEquals":              {Kind: Binary},
	"Null":                      {Kind: Null},
}

// Parse takes an operator apart; ok is false for one that AWS does not have.
func Parse(s string) (op Operator, ok bool) {
	name := s
	set := NoSet
	misspelt := false
	if prefix, rest, found := strings.Cut(s, ":"); found {
		switch {
		case strings.EqualFold(prefix, "ForAllValues"):
			set, misspelt = ForAllValues, prefix != "ForAllValues"
		case strings.EqualFold(prefix, "ForAnyValue"):
			set, misspelt = ForAnyValue, prefix != "ForAnyValue"
		default:
			return Operator{}, false
		}
		name = rest
	}
	ifExists := false
	if n := len(name) - len("IfExists"); n > 0 && strings.EqualFold(name[n:], "IfExists") {
		ifExists, misspelt = true, misspelt || name[n:] != "IfExists"
		name = name[:n]
	}
	op, ok = base[name]
	if !ok {
		op, ok = findFold(name)
		misspelt = true
	}
	if op.Kind == Null && (ifExists || set != NoSet) {
		return Operator{}, false // "any condition operator name except the Null condition"
	}
	op.Set, op.IfExists, op.Misspelt = set, ifExists, misspelt
	return op, ok
}

func findFold(written string) (Operator, bool) {
	for name, op := range base {
		if strings.EqualFold(name, written) {
			return op, true
		}
	}
	return Operator{}, false
}

// complements are the operators that hold exactly where others do not.
var complements = map[string]string{
	"StringEquals": "StringNotEquals", "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase", "StringLike": "StringNotLike",
	"ArnEquals": "ArnNotEquals", "ArnLike": "ArnNotLike", "NumericEquals": "NumericNotEquals", "DateEquals": "DateNotEquals",
	"IpAddress": "NotIpAddress",
}

// Complement is the name of the operator that holds exactly where that of the
// given name does not, missing keys included; ok is false where there is none.
func Complement(name string) (other string, ok bool) {
	prefix, base := "", name
	if set, rest, found := strings.Cut(name, ":"); found {
		base = rest
		switch set {
		case "ForAllValues":
			prefix = "ForAnyValue:"
		case "ForAnyValue":
			prefix = "ForAllValues:"
		default:
			return "", false
		}
	}
	if other, ok = complements[base]; ok {
		return prefix + other, true
	}
	if plain, optional := strings.CutSuffix(base, "IfExists"); optional && prefix == "" {
		// A negated operator and IfExists both hold for an absent key, so that
		// only the first of them can be turned round.
		base = plain
	}
	for positive, negative := range complements {
		if negative == base {
			return prefix + positive, true
		}
	}
	return "", false
}
