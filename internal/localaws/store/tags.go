package store

import (
	"maps"
	"strings"
)

// MaxTags is how many tags a resource can have, in all services alike (their
// quotas: "50 user created tags"); IAM's can be raised.
const MaxTags = 50

// Tags are tags by key, spelt as they were set. IAM's keys are unique without
// regard to case.
type Tags map[string]string

// With returns a copy with more tags, which go before those there are. It is
// never nil.
func (t Tags) With(more map[string]string) Tags {
	all := make(Tags, len(t)+len(more))
	maps.Copy(all, t)
	maps.Copy(all, more)
	return all
}

// Without returns a copy without the keys, nil for nil.
func (t Tags) Without(keys []string) Tags {
	left := maps.Clone(t)
	for _, key := range keys {
		delete(left, key)
	}
	return left
}

// ReservedTag reports whether only AWS may set a tag with the key ("The aws:
// prefix is reserved", in any case).
func ReservedTag(key string) bool { return strings.HasPrefix(strings.ToLower(key), "aws:") }
