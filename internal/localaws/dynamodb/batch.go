package dynamodb

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
	"github.com/stile-aws/stile/internal/localaws/dynamodb/expression"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// Limits of batches (API reference).
const (
	maxGets   = 100
	maxWrites = 25
)

// batchKeys gives the condition keys of a batch on one table.
func batchKeys(items []store.Item, named []string, capacity types.ReturnConsumedCapacity) func(*store.Table) map[string][]string {
	return func(t *store.Table) map[string][]string {
		keys := map[string][]string{}
		for _, item := range items {
			named = append(named, names(item)...)
			if v, ok := item[t.Key.Partition]; ok {
				keys["dynamodb:LeadingKeys"] = append(keys["dynamodb:LeadingKeys"], attribute.Key(v))
			}
		}
		keys["dynamodb:Attributes"] = distinct(named)
		if capacity != "" {
			keys["dynamodb:ReturnConsumedCapacity"] = []string{string(capacity)}
		}
		return keys
	}
}

func batchGetItem(c *service.Call, in *dynamodb.BatchGetItemInput) (*dynamodb.BatchGetItemOutput, *wire.Error) {
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}, UnprocessedKeys: map[string]types.KeysAndAttributes{}}
	total := 0
	for _, ref := range slices.Sorted(maps.Keys(in.RequestItems)) {
		wanted := in.RequestItems[ref]
		if total += len(wanted.Keys); total > maxGets {
			return nil, c.Errorf("ValidationException", "Too many items requested for the BatchGetItem call")
		}
		items, used, e := batchGet(c, ref, wanted, in.ReturnConsumedCapacity)
		if e != nil {
			return nil, e
		}
		out.Responses[ref] = items
		if used != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, *used)
		}
	}
	return out, nil
}

func batchGet(c *service.Call, ref string, wanted types.KeysAndAttributes, capacity types.ReturnConsumedCapacity) ([]map[string]types.AttributeValue, *types.ConsumedCapacity, *wire.Error) {
	paths, e := projected(c, wanted.ProjectionExpression, wanted.ExpressionAttributeNames, wanted.AttributesToGet)
	if e != nil {
		return nil, nil, e
	}
	keys := make([]store.Item, len(wanted.Keys))
	for i := range wanted.Keys {
		if keys[i], e = attributes(c, wanted.Keys[i]); e != nil {
			return nil, nil, e
		}
	}
	t, e := request{action: "BatchGetItem", ref: ref, keys: batchKeys(keys, roots(paths), capacity)}.table(c)
	if e != nil {
		return nil, nil, e
	}
	found, size, e := gather(c, t, keys, paths)
	return found, readCapacity(t, capacity, size, wanted.ConsistentRead), e
}

func gather(c *service.Call, t *store.Table, keys []store.Item, paths []expression.Path) (found []map[string]types.AttributeValue, size int, e *wire.Error) {
	found = []map[string]types.AttributeValue{}
	seen := map[place]bool{}
	for _, key := range keys {
		at, e := placeOf(c, t, key, true)
		if e != nil {
			return nil, 0, e
		}
		if seen[at] {
			return nil, 0, c.Errorf("ValidationException", "Provided list of item keys contains duplicates")
		}
		seen[at] = true
		if item := at.get(t); item != nil {
			size += attribute.ItemSize(item)
			found = append(found, shown(item, paths))
		}
	}
	return found, size, nil
}

// batchWriteItem checks everything before it writes anything.
func batchWriteItem(c *service.Call, in *dynamodb.BatchWriteItemInput) (*dynamodb.BatchWriteItemOutput, *wire.Error) {
	var writes []func()
	out := &dynamodb.BatchWriteItemOutput{UnprocessedItems: map[string][]types.WriteRequest{}}
	total := 0
	for _, ref := range slices.Sorted(maps.Keys(in.RequestItems)) {
		if total += len(in.RequestItems[ref]); total > maxWrites {
			return nil, c.Errorf("ValidationException", "Too many items requested for the BatchWriteItem call")
		}
		more, used, e := batchWrites(c, ref, in.RequestItems[ref], in.ReturnConsumedCapacity)
		if e != nil {
			return nil, e
		}
		writes = append(writes, more...)
		if used != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, *used)
		}
	}
	for _, write := range writes {
		write()
	}
	return out, nil
}

func batchWrites(c *service.Call, ref string, requests []types.WriteRequest, capacity types.ReturnConsumedCapacity) ([]func(), *types.ConsumedCapacity, *wire.Error) {
	items := make([]store.Item, len(requests))
	for i, w := range requests {
		var e *wire.Error
		switch {
		case (w.PutRequest == nil) == (w.DeleteRequest == nil):
			e = c.Errorf("ValidationException", "Supplied AttributeValue has more than one datatypes set, must contain exactly one of PutRequest and DeleteRequest")
		case w.PutRequest != nil:
			items[i], e = attributes(c, w.PutRequest.Item)
		default:
			items[i], e = attributes(c, w.DeleteRequest.Key)
		}
		if e != nil {
			return nil, nil, e
		}
	}
	t, e := request{action: "BatchWriteItem", ref: ref, keys: batchKeys(items, nil, capacity)}.table(c)
	if e != nil {
		return nil, nil, e
	}
	var writes []func()
	seen := map[place]bool{}
	size := 0
	for i, item := range items {
		put := requests[i].PutRequest != nil
		at, e := placeOf(c, t, item, !put)
		if e == nil && put {
			e = storable(c, t, item, "Item size has exceeded the maximum allowed size")
		}
		if e == nil && seen[at] {
			e = c.Errorf("ValidationException", "Provided list of item keys contains duplicates")
		}
		if e != nil {
			return nil, nil, e
		}
		seen[at] = true
		size += attribute.ItemSize(item)
		writes = append(writes, func() {
			if put {
				at.put(t, item)
			} else {
				at.remove(t)
			}
		})
	}
	return writes, writeCapacity(t, capacity, size), nil
}
