package kms

import (
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// page cuts one page out of all.
func page[T any](c *service.Call, all []T, name func(T) string, marker *string, limit *int32, usual int) (shown []T, next *string, e *wire.Error) {
	shown, next, ok := service.SortedPage(all, name, marker, limit, usual)
	if !ok {
		return nil, nil, c.Errorf("InvalidMarkerException", "Could not deserialize marker '%s'", *marker)
	}
	return shown, next, nil
}
