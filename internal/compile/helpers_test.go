package compile_test

import (
	"maps"
	"slices"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
)

func sortedIDs(m map[arn.AccountID]*inventory.AccountRequest) []arn.AccountID {
	return slices.Sorted(maps.Keys(m))
}
