package service

import (
	"encoding/base64"
	"slices"
	"strings"
)

// SortedPage cuts one page out of all, which it sorts by key: what comes after
// the entry that token names, limit entries or, where that is nil or 0, usual.
// The keys differ. next is the token of the page that follows, nil for the
// last; it holds the last key shown, so that a listing goes on when entries
// come and go. ok is false for a token that is none. shown is never nil.
func SortedPage[T any](all []T, key func(T) string, token *string, limit *int32, usual int) (shown []T, next *string, ok bool) {
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	if token != nil && *token != "" {
		last, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil {
			return nil, nil, false
		}
		start, found := slices.BinarySearchFunc(all, string(last), func(entry T, k string) int { return strings.Compare(key(entry), k) })
		if found {
			start++
		}
		all = all[start:]
	}
	shown, next = cut(all, key, limit, usual)
	return shown, next, true
}

// OrderedPage is SortedPage for listings in another order than that of their
// keys, which it keeps. A token is none once its entry has gone.
func OrderedPage[T any](all []T, key func(T) string, token *string, limit *int32, usual int) (shown []T, next *string, ok bool) {
	if token != nil {
		last, err := base64.RawURLEncoding.DecodeString(*token)
		i := slices.IndexFunc(all, func(entry T) bool { return key(entry) == string(last) })
		if err != nil || i < 0 {
			return nil, nil, false
		}
		all = all[i+1:]
	}
	shown, next = cut(all, key, limit, usual)
	return shown, next, true
}

func cut[T any](all []T, key func(T) string, limit *int32, usual int) (shown []T, next *string) {
	size := usual
	if limit != nil && *limit != 0 {
		size = int(*limit)
	}
	if all == nil {
		all = []T{}
	}
	if len(all) <= size {
		return all, nil
	}
	token := base64.RawURLEncoding.EncodeToString([]byte(key(all[size-1])))
	return all[:size:size], &token
}
