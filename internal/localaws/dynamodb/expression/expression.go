// Package expression parses and evaluates DynamoDB's expressions: conditions and
// filters, key conditions, projections and updates.
//
// Start with [NewPlaceholders] for a request's ExpressionAttributeNames and
// ExpressionAttributeValues, then [Placeholders.Condition],
// [Placeholders.KeyCondition], [Placeholders.Projection] or
// [Placeholders.Update], and at the end [Placeholders.Unused]. Errors are
// attribute.Problem values in DynamoDB's words.
//
// The package knows no tables. Parsed expressions are immutable.
package expression

import (
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// Limits of "Expressions" in the quotas of the DynamoDB developer guide.
const (
	maxExpression = 4096 // bytes
	maxOperators  = 300
	maxDepth      = 32 // of nested parentheses and document paths
	maxIn         = 100
)

// Placeholders are the names and values that expressions of one request refer
// to. It is not safe for concurrent use.
type Placeholders struct {
	names      map[string]string
	values     map[string]store.Value
	usedNames  map[string]bool
	usedValues map[string]bool
}

// NewPlaceholders checks the placeholders of a request: names begin with #,
// values with a colon.
func NewPlaceholders(names map[string]string, values map[string]store.Value) (*Placeholders, error) {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if len(name) < 2 || name[0] != '#' || strings.ContainsFunc(name[1:], notNameRune) {
			return nil, attribute.Problemf("ExpressionAttributeNames contains invalid key: Syntax error; key: %q", name)
		}
		if names[name] == "" {
			return nil, attribute.Problemf("ExpressionAttributeNames contains invalid value: Empty attribute name; key: %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(name) < 2 || name[0] != ':' || strings.ContainsFunc(name[1:], notNameRune) {
			return nil, attribute.Problemf("ExpressionAttributeValues contains invalid key: Syntax error; key: %q", name)
		}
	}
	return &Placeholders{names: names, values: values, usedNames: map[string]bool{}, usedValues: map[string]bool{}}, nil
}

func notNameRune(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// Unused is the error for placeholders that no expression used.
func (p *Placeholders) Unused() error {
	if left := unused(p.values, p.usedValues); left != "" {
		return attribute.Problemf("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", left)
	}
	if left := unused(p.names, p.usedNames); left != "" {
		return attribute.Problemf("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", left)
	}
	return nil
}

func unused[T any](all map[string]T, used map[string]bool) string {
	var left []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !used[name] {
			left = append(left, name)
		}
	}
	return strings.Join(left, ", ")
}
