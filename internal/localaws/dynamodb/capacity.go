package dynamodb

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stile-aws/stile/internal/localaws/store"
)

// Units of throughput: 4 KB read, half of them when not consistent, 1 KB
// written ("Read/write capacity", DynamoDB developer guide). Indexes are not
// counted.
const (
	readUnit  = 4 << 10
	writeUnit = 1 << 10
)

// readCapacity is what a read of n bytes took, nil when nobody asked.
func readCapacity(t *store.Table, wanted types.ReturnConsumedCapacity, n int, consistent *bool) *types.ConsumedCapacity {
	units := float64(max(1, (n+readUnit-1)/readUnit))
	if !aws.ToBool(consistent) {
		units /= 2
	}
	return capacity(t, wanted, units)
}

// writeCapacity is what a write of n bytes took, nil when nobody asked.
func writeCapacity(t *store.Table, wanted types.ReturnConsumedCapacity, n int) *types.ConsumedCapacity {
	return capacity(t, wanted, float64(max(1, (n+writeUnit-1)/writeUnit)))
}

func capacity(t *store.Table, wanted types.ReturnConsumedCapacity, units float64) *types.ConsumedCapacity {
	if wanted == "" || wanted == types.ReturnConsumedCapacityNone {
		return nil
	}
	c := &types.ConsumedCapacity{TableName: &t.Name, CapacityUnits: &units}
	if wanted == types.ReturnConsumedCapacityIndexes {
		c.Table = &types.Capacity{CapacityUnits: &units}
	}
	return c
}
