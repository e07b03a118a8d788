package eks

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// maxPage is how many names a listing has that does not say (EKS API
// reference, "maxResults").
const maxPage = 100

// page cuts one page out of names, which it sorts. The token holds the last
// name shown, so that a listing goes on when names come and go.
func page(c *service.Call, names []string, token *string, limit *int32) (shown []string, next *string, e *wire.Error) {
	slices.Sort(names)
	if aws.ToString(token) != "" {
		after, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil {
			return nil, nil, invalid(c, "The nextToken parameter is invalid.")
		}
		start, found := slices.BinarySearch(names, string(after))
		if found {
			start++
		}
		names = names[start:]
	}
	size := int(aws.ToInt32(limit))
	if size == 0 {
		size = maxPage
	}
	if names == nil {
		names = []string{}
	}
	if len(names) <= size {
		return names, nil, nil
	}
	return names[:size], aws.String(base64.RawURLEncoding.EncodeToString([]byte(names[size-1]))), nil
}

// reserved reports whether text begins with one of the prefixes, and which.
func reserved(text string, prefixes ...string) (string, bool) {
	for _, prefix := range prefixes {
		if strings.HasPrefix(text, prefix) {
			return prefix, true
		}
	}
	return "", false
}
