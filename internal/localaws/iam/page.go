package iam

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

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

// page cuts the page that begins after marker out of items, which it sorts by
// key. Markers name the last key shown, so that a listing goes on when items
// come and go meanwhile.
func page[T any](c *service.Call, marker *string, max *int32, items []T, key func(T) string) (marked[T], *wire.Error) {
	slices.SortFunc(items, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	start := 0
	if m := aws.ToString(marker); m != "" {
		last, err := base64.StdEncoding.DecodeString(m)
		if err != nil {
			return marked[T]{}, c.Errorf("ValidationError", "Invalid Marker.")
		}
		start, _ = slices.BinarySearchFunc(items, string(last)+"\x00", func(item T, k string) int { return strings.Compare(key(item), k) })
	}
	size := int(aws.ToInt32(max))
	if size == 0 {
		size = defaultPage
	}
	end := min(start+size, len(items))
	p := marked[T]{items: items[start:end:end], truncated: end < len(items)}
	if p.items == nil {
		p.items = []T{}
	}
	if p.truncated {
		p.marker = aws.String(base64.StdEncoding.EncodeToString([]byte(key(items[end-1]))))
	}
	return p, nil
}
