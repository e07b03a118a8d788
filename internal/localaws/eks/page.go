package eks

import (
	"strings"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// maxPage is how many names a listing has that does not say (EKS API
// reference, "maxResults").
const maxPage = 100

// page cuts one page out of names, which it sorts.
func page(c *service.Call, names []string, token *string, limit *int32) (shown []string, next *string, e *wire.Error) {
	shown, next, ok := service.SortedPage(names, func(name string) string { return name }, token, limit, maxPage)
	if !ok {
		return nil, nil, invalid(c, "The nextToken parameter is invalid.")
	}
	return shown, next, nil
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
