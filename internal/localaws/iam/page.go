package iam

import (
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// defaultPage is how many items a listing has that does not say.
const defaultPage = 100

// marked is one page of a listing.
type marked[T any] struct {
	items     []T
	truncated bool
	marker    *string
}

// page cuts the page that begins after marker out of items, which it sorts by key.
func page[T any](c *service.Call, marker *string, max *int32, items []T, key func(T) string) (marked[T], *wire.Error) {
	shown, next, ok := service.SortedPage(items, key, marker, max, defaultPage)
	if !ok {
		return marked[T]{}, c.Errorf("ValidationError", "Invalid Marker.")
	}
	return marked[T]{items: shown, truncated: next != nil, marker: next}, nil
}
