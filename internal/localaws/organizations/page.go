package organizations

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/localaws/wire"
)

// maxPage is the most that a page has, and what it has without a MaxResults.
const maxPage = 20

// page cuts one page out of all, which it sorts by key. The token holds the
// last key shown, so that a listing goes on when entries come and go.
func page[T any](c call, all []T, key func(T) string, token *string, limit *int32) (shown []T, next *string, e *wire.Error) {
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	if aws.ToString(token) != "" {
		after, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil {
			return nil, nil, c.invalid("INVALID_NEXT_TOKEN", "You provided an invalid next token.")
		}
		start, found := slices.BinarySearchFunc(all, string(after), func(entry T, k string) int { return strings.Compare(key(entry), k) })
		if found {
			start++
		}
		all = all[start:]
	}
	size := int(aws.ToInt32(limit))
	if size == 0 {
		size = maxPage
	}
	if all == nil {
		all = []T{}
	}
	if len(all) <= size {
		return all, nil, nil
	}
	return all[:size], aws.String(base64.RawURLEncoding.EncodeToString([]byte(key(all[size-1])))), nil
}
