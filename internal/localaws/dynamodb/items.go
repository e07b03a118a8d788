package dynamodb

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
	"github.com/stile-aws/stile/internal/localaws/dynamodb/expression"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// attributes converts attributes of a request.
func attributes(c *service.Call, m map[string]types.AttributeValue) (store.Item, *wire.Error) {
	item, err := attribute.ItemFromSDK(m)
	if err != nil {
		return nil, invalid(c, err)
	}
	return item, nil
}

// modern refuses the parameters that expressions replaced.
func modern(c *service.Call, legacy map[string]bool) *wire.Error {
	for _, name := range slices.Sorted(maps.Keys(legacy)) {
		if legacy[name] {
			return c.Errorf("ValidationException", "stile's local AWS does not know the legacy parameter %s; use expressions", name)
		}
	}
	return nil
}

// place is where an item is.
type place struct{ partition, sort string }

func (p place) get(t *store.Table) store.Item { return t.Partitions[p.partition][p.sort] }

func (p place) put(t *store.Table, item store.Item) {
	if t.Partitions == nil {
		t.Partitions = map[string]map[string]store.Item{}
	}
	if t.Partitions[p.partition] == nil {
		t.Partitions[p.partition] = map[string]store.Item{}
	}
	t.Partitions[p.partition][p.sort] = item
}

func (p place) remove(t *store.Table) {
	delete(t.Partitions[p.partition], p.sort)
	if len(t.Partitions[p.partition]) == 0 {
		delete(t.Partitions, p.partition)
	}
}

// placeOf is where an item with the key goes. It takes the key alone (exact) or
// the whole item.
func placeOf(c *service.Call, t *store.Table, item store.Item, exact bool) (place, *wire.Error) {
	names := []string{t.Key.Partition}
	if t.Key.Sort != "" {
		names = append(names, t.Key.Sort)
	}
	if exact && len(item) != len(names) {
		return place{}, c.Errorf("ValidationException", "The provided key element does not match the schema")
	}
	for _, name := range names {
		v, ok := item[name]
		switch want := t.Attributes[name]; {
		case exact && (!ok || v.Type != want):
			return place{}, c.Errorf("ValidationException", "The provided key element does not match the schema")
		case !ok:
			return place{}, c.Errorf("ValidationException", "One or more parameter values were invalid: Missing the key %s in the item", name)
		case v.Type != want:
			return place{}, c.Errorf("ValidationException", "One or more parameter values were invalid: Type mismatch for key %s expected: %s actual: %s", name, want, v.Type)
		}
		if e := keyValue(c, name, v, name == t.Key.Partition); e != nil {
			return place{}, e
		}
	}
	p := place{partition: attribute.Key(item[t.Key.Partition])}
	if t.Key.Sort != "" {
		p.sort = attribute.Key(item[t.Key.Sort])
	}
	return p, nil
}

// keyValue checks the size of a key's value.
func keyValue(c *service.Call, name string, v store.Value, partition bool) *wire.Error {
	limit, kind := 1024, "rangekey"
	if partition {
		limit, kind = 2048, "hashkey"
	}
	switch n := attribute.Size(v); {
	case n == 0:
		return c.Errorf("ValidationException", "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s",
			map[string]string{attribute.String: "string", attribute.Binary: "binary"}[v.Type], name)
	case n > limit:
		return c.Errorf("ValidationException", "One or more parameter values were invalid: Size of %s has exceeded the maximum size limit of%d bytes", kind, limit)
	}
	return nil
}

// storable checks an item that is about to be stored.
func storable(c *service.Call, t *store.Table, item store.Item, tooBig string) *wire.Error {
	if attribute.ItemSize(item) > attribute.MaxItem {
		return c.Errorf("ValidationException", "%s", tooBig)
	}
	for _, x := range slices.Concat(t.Global, t.Local) {
		for _, name := range []string{x.Key.Partition, x.Key.Sort} {
			v, ok := item[name]
			if want := t.Attributes[name]; ok && name != "" && v.Type != want {
				return c.Errorf("ValidationException", "One or more parameter values were invalid: Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", name, want, v.Type, x.Name)
			}
		}
	}
	return nil
}

// itemKeys gives the condition keys of a request on one item.
func itemKeys(item store.Item, names []string, more map[string]string) func(*store.Table) map[string][]string {
	return func(t *store.Table) map[string][]string {
		keys := map[string][]string{}
		if v, ok := item[t.Key.Partition]; ok {
			keys["dynamodb:LeadingKeys"] = []string{attribute.Key(v)}
		}
		if len(names) > 0 {
			keys["dynamodb:Attributes"] = distinct(names)
		}
		for name, value := range more {
			if value != "" {
				keys["dynamodb:"+name] = []string{value}
			}
		}
		return keys
	}
}

func distinct(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

// names are the names of an item's attributes.
func names(item store.Item) []string { return slices.Collect(maps.Keys(item)) }

func roots(paths []expression.Path) []string {
	list := make([]string, len(paths))
	for i, p := range paths {
		list[i] = p.Root()
	}
	return list
}

// guard is a condition of a write with what it refers to.
type guard struct {
	hold      *expression.Placeholders
	condition *expression.Condition
	show      bool // the item that failed the condition
}

func newGuard(c *service.Call, src *string, names map[string]string, values map[string]types.AttributeValue, show types.ReturnValuesOnConditionCheckFailure) (*guard, *wire.Error) {
	converted, e := attributes(c, values)
	if e != nil {
		return nil, e
	}
	g := &guard{show: show == types.ReturnValuesOnConditionCheckFailureAllOld}
	var err error
	if g.hold, err = expression.NewPlaceholders(names, converted); err != nil {
		return nil, invalid(c, err)
	}
	if src != nil {
		if g.condition, err = g.hold.Condition("ConditionExpression", *src); err != nil {
			return nil, invalid(c, err)
		}
	}
	return g, nil
}

// complete is called when all expressions were parsed.
func (g *guard) complete(c *service.Call) *wire.Error {
	if err := g.hold.Unused(); err != nil {
		return invalid(c, err)
	}
	return nil
}

func (g *guard) check(c *service.Call, old store.Item) *wire.Error {
	if g.condition.Holds(old) {
		return nil
	}
	e := c.Errorf("ConditionalCheckFailedException", "The conditional request failed")
	if g.show && old != nil {
		e.Fields = map[string]any{"Item": attribute.ItemToSDK(old)}
	}
	return e
}

func getItem(c *service.Call, in *dynamodb.GetItemInput) (*dynamodb.GetItemOutput, *wire.Error) {
	key, e := attributes(c, in.Key)
	if e != nil {
		return nil, e
	}
	paths, e := projected(c, in.ProjectionExpression, in.ExpressionAttributeNames, in.AttributesToGet)
	if e != nil {
		return nil, e
	}
	t, e := request{
		action: "GetItem", ref: aws.ToString(in.TableName),
		keys: itemKeys(key, append(roots(paths), names(key)...), map[string]string{"ReturnConsumedCapacity": string(in.ReturnConsumedCapacity), "Select": selectOf(paths)}),
	}.table(c)
	if e != nil {
		return nil, e
	}
	at, e := placeOf(c, t, key, true)
	if e != nil {
		return nil, e
	}
	item := at.get(t)
	out := &dynamodb.GetItemOutput{ConsumedCapacity: readCapacity(t, in.ReturnConsumedCapacity, attribute.ItemSize(item), in.ConsistentRead)}
	out.Item = shown(item, paths)
	return out, nil
}

// selectOf is what dynamodb:Select is for reads of single items.
func selectOf(paths []expression.Path) string {
	if len(paths) > 0 {
		return string(types.SelectSpecificAttributes)
	}
	return string(types.SelectAllAttributes)
}

// projected parses what a read wants to see; nil means everything.
func projected(c *service.Call, src *string, names map[string]string, legacy []string) ([]expression.Path, *wire.Error) {
	hold, err := expression.NewPlaceholders(names, nil)
	if err != nil {
		return nil, invalid(c, err)
	}
	paths := expression.Attributes(legacy)
	if src != nil {
		if len(legacy) > 0 {
			return nil, c.Errorf("ValidationException", "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}")
		}
		if paths, err = hold.Projection(*src); err != nil {
			return nil, invalid(c, err)
		}
	}
	if err := hold.Unused(); err != nil {
		return nil, invalid(c, err)
	}
	return paths, nil
}

func shown(item store.Item, paths []expression.Path) map[string]types.AttributeValue {
	if item != nil && len(paths) > 0 {
		item = expression.Project(item, paths)
	}
	return attribute.ItemToSDK(item)
}

func putItem(c *service.Call, in *dynamodb.PutItemInput) (*dynamodb.PutItemOutput, *wire.Error) {
	if e := modern(c, map[string]bool{"Expected": in.Expected != nil, "ConditionalOperator": in.ConditionalOperator != ""}); e != nil {
		return nil, e
	}
	item, e := attributes(c, in.Item)
	if e != nil {
		return nil, e
	}
	g, e := newGuard(c, in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ReturnValuesOnConditionCheckFailure)
	if e != nil {
		return nil, e
	}
	t, at, e := onePlace(c, change{
		action: "PutItem", ref: aws.ToString(in.TableName), item: item, attributes: append(names(item), g.condition.Roots()...),
		guard: g, returns: in.ReturnValues, capacity: in.ReturnConsumedCapacity,
	})
	if e != nil {
		return nil, e
	}
	if e := storable(c, t, item, "Item size has exceeded the maximum allowed size"); e != nil {
		return nil, e
	}
	old := at.get(t)
	if e := g.check(c, old); e != nil {
		return nil, e
	}
	at.put(t, item)
	out := &dynamodb.PutItemOutput{ConsumedCapacity: writeCapacity(t, in.ReturnConsumedCapacity, max(attribute.ItemSize(item), attribute.ItemSize(old)))}
	if in.ReturnValues == types.ReturnValueAllOld {
		out.Attributes = attribute.ItemToSDK(old)
	}
	return out, nil
}

// change is a write of one item.
type change struct {
	action, ref string
	item        store.Item // or its key
	exact       bool       // item is a key
	attributes  []string
	guard       *guard
	returns     types.ReturnValue
	capacity    types.ReturnConsumedCapacity
}

// onePlace finds the table of a write and the item's place in it.
func onePlace(c *service.Call, ch change) (*store.Table, place, *wire.Error) {
	t, e := request{
		action: ch.action, ref: ch.ref,
		keys: itemKeys(ch.item, ch.attributes, map[string]string{"ReturnValues": string(ch.returns), "ReturnConsumedCapacity": string(ch.capacity)}),
	}.table(c)
	if e != nil {
		return nil, place{}, e
	}
	if e := ch.guard.complete(c); e != nil {
		return nil, place{}, e
	}
	if ch.action != "UpdateItem" && ch.returns != "" && ch.returns != types.ReturnValueNone && ch.returns != types.ReturnValueAllOld {
		return nil, place{}, c.Errorf("ValidationException", "Return values set to invalid value")
	}
	at, e := placeOf(c, t, ch.item, ch.exact)
	return t, at, e
}

func deleteItem(c *service.Call, in *dynamodb.DeleteItemInput) (*dynamodb.DeleteItemOutput, *wire.Error) {
	if e := modern(c, map[string]bool{"Expected": in.Expected != nil, "ConditionalOperator": in.ConditionalOperator != ""}); e != nil {
		return nil, e
	}
	key, e := attributes(c, in.Key)
	if e != nil {
		return nil, e
	}
	g, e := newGuard(c, in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ReturnValuesOnConditionCheckFailure)
	if e != nil {
		return nil, e
	}
	t, at, e := onePlace(c, change{
		action: "DeleteItem", ref: aws.ToString(in.TableName), item: key, exact: true, attributes: append(names(key), g.condition.Roots()...),
		guard: g, returns: in.ReturnValues, capacity: in.ReturnConsumedCapacity,
	})
	if e != nil {
		return nil, e
	}
	old := at.get(t)
	if e := g.check(c, old); e != nil {
		return nil, e
	}
	at.remove(t)
	out := &dynamodb.DeleteItemOutput{ConsumedCapacity: writeCapacity(t, in.ReturnConsumedCapacity, attribute.ItemSize(old))}
	if in.ReturnValues == types.ReturnValueAllOld {
		out.Attributes = attribute.ItemToSDK(old)
	}
	return out, nil
}

func updateItem(c *service.Call, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, *wire.Error) {
	if e := modern(c, map[string]bool{"Expected": in.Expected != nil, "ConditionalOperator": in.ConditionalOperator != "", "AttributeUpdates": in.AttributeUpdates != nil}); e != nil {
		return nil, e
	}
	key, e := attributes(c, in.Key)
	if e != nil {
		return nil, e
	}
	g, e := newGuard(c, in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues, in.ReturnValuesOnConditionCheckFailure)
	if e != nil {
		return nil, e
	}
	update := &expression.Update{}
	if in.UpdateExpression != nil {
		var err error
		if update, err = g.hold.Update(*in.UpdateExpression); err != nil {
			return nil, invalid(c, err)
		}
	}
	t, at, e := onePlace(c, change{
		action: "UpdateItem", ref: aws.ToString(in.TableName), item: key, exact: true,
		attributes: slices.Concat(names(key), roots(update.Paths()), g.condition.Roots()),
		guard:      g, returns: in.ReturnValues, capacity: in.ReturnConsumedCapacity,
	})
	if e != nil {
		return nil, e
	}
	old := at.get(t)
	if e := g.check(c, old); e != nil {
		return nil, e
	}
	item, e := updated(c, t, key, old, update)
	if e != nil {
		return nil, e
	}
	at.put(t, item)
	return &dynamodb.UpdateItemOutput{
		ConsumedCapacity: writeCapacity(t, in.ReturnConsumedCapacity, max(attribute.ItemSize(item), attribute.ItemSize(old))),
		Attributes:       returned(in.ReturnValues, old, item, update.Paths()),
	}, nil
}

// updated is the item after the update; one that was not there begins as its key.
func updated(c *service.Call, t *store.Table, key, old store.Item, update *expression.Update) (store.Item, *wire.Error) {
	for _, p := range update.Paths() {
		if p.Root() == t.Key.Partition || p.Root() == t.Key.Sort {
			return nil, c.Errorf("ValidationException", "One or more parameter values were invalid: Cannot update attribute %s. This attribute is part of the key", p.Root())
		}
	}
	if old == nil {
		old = key
	}
	item, err := update.Apply(old)
	if err != nil {
		return nil, invalid(c, err)
	}
	return item, storable(c, t, item, "Item size to update has exceeded the maximum allowed size")
}

// returned are the attributes that an update gives back.
func returned(wanted types.ReturnValue, old, item store.Item, paths []expression.Path) map[string]types.AttributeValue {
	switch wanted {
	case types.ReturnValueAllOld:
		return attribute.ItemToSDK(old)
	case types.ReturnValueAllNew:
		return attribute.ItemToSDK(item)
	case types.ReturnValueUpdatedOld:
		item = old
	case types.ReturnValueUpdatedNew:
	default:
		return nil
	}
	part := expression.Project(item, paths)
	if len(part) == 0 {
		return nil
	}
	return attribute.ItemToSDK(part)
}
