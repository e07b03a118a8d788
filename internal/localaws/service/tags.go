package service

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/localaws/store"
)

// TagMap are the tags of a request as records and condition keys have them, nil
// for none. pair takes the SDK's tag apart; of a key that comes twice the last
// value counts.
func TagMap[T any](list []T, pair func(T) (key, value *string)) map[string]string {
	if len(list) == 0 {
		return nil
	}
	tags := make(map[string]string, len(list))
	for _, tag := range list {
		key, value := pair(tag)
		tags[aws.ToString(key)] = aws.ToString(value)
	}
	return tags
}

// TagList are the tags of a record as an answer has them, by key; never nil.
func TagList[T any](tags store.Tags, tag func(key, value *string) T) []T {
	list := make([]T, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, tag(aws.String(key), aws.String(tags[key])))
	}
	return list
}
