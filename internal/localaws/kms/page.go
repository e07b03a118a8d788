package kms

import (
	"cmp"
	"encoding/base64"
	"slices"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// page cuts one page out of all, which is sorted by name. The marker is the name
// of the last entry shown, so that it stays right when others come and go.
func page[T any](c *service.Call, all []T, name func(T) string, marker *string, limit *int32, usual int) (shown []T, next *string, e *wire.Error) {
	if marker != nil {
		after, err := base64.RawURLEncoding.DecodeString(*marker)
		if err != nil {
			return nil, nil, c.Errorf("InvalidMarkerException", "Could not deserialize marker '%s'", *marker)
		}
		i, found := slices.BinarySearchFunc(all, string(after), func(entry T, name2 string) int { return cmp.Compare(name(entry), name2) })
		if found {
			i++
		}
		all = all[i:]
	}
	if limit != nil {
		usual = int(*limit)
	}
	if len(all) <= usual {
		return all, nil, nil
	}
	token := base64.RawURLEncoding.EncodeToString([]byte(name(all[usual-1])))
	return all[:usual], &token, nil
}
