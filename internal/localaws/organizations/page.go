package organizations

import (
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// maxPage is the most that a page has, and what it has without a MaxResults.
const maxPage = 20

// page cuts one page out of all, which it sorts by key.
func page[T any](c call, all []T, key func(T) string, token *string, limit *int32) (shown []T, next *string, e *wire.Error) {
	shown, next, ok := service.SortedPage(all, key, token, limit, maxPage)
	if !ok {
		return nil, nil, c.invalid("INVALID_NEXT_TOKEN", "You provided an invalid next token.")
	}
	return shown, next, nil
}
