package dynamodb

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
	"github.com/stile-aws/stile/internal/localaws/dynamodb/expression"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// maxPage is how much one page of a Query or Scan reads.
const maxPage = 1 << 20

// entry is an item of a table or index with its place in the table.
type entry struct {
	item store.Item
	place
}

// entries are the items of a table, or of an index: those that have its key.
func entries(t *store.Table, index *store.TableIndex) []entry {
	var all []entry
	for partition, items := range t.Partitions {
		for sort, item := range items {
			if index == nil || has(item, index.Key) {
				all = append(all, entry{item, place{partition, sort}})
			}
		}
	}
	return all
}

func has(item store.Item, key store.TableKey) bool {
	_, partition := item[key.Partition]
	_, sort := item[key.Sort]
	return partition && (sort || key.Sort == "")
}

// bySort orders entries of one partition of a table or index.
func bySort(t *store.Table, key store.TableKey) func(a, b entry) int {
	return func(a, b entry) int {
		n := 0
		if key.Sort != "" {
			n, _ = attribute.Compare(a.item[key.Sort], b.item[key.Sort])
		}
		if n == 0 {
			n = cmp.Compare(a.partition, b.partition)
		}
		if n == 0 && t.Key.Sort != "" {
			n, _ = attribute.Compare(a.item[t.Key.Sort], b.item[t.Key.Sort])
		}
		return n
	}
}

// byHash orders entries as a Scan goes: partitions in an order that has nothing to
// do with their keys, each partition in its own order.
func byHash(t *store.Table, key store.TableKey) func(a, b entry) int {
	within := bySort(t, key)
	return func(a, b entry) int {
		x, y := attribute.Key(a.item[key.Partition]), attribute.Key(b.item[key.Partition])
		return cmp.Or(cmp.Compare(hash(x), hash(y)), cmp.Compare(x, y), within(a, b))
	}
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// reading is what Query and Scan have in common.
type reading struct {
	action, ref, indexName string
	filter, projection     *string
	names                  map[string]string
	values                 map[string]types.AttributeValue
	legacy                 []string // AttributesToGet
	selects                types.Select
	consistent             *bool
	start                  map[string]types.AttributeValue
	limit                  *int32
	capacity               types.ReturnConsumedCapacity

	hold      *expression.Placeholders
	condition *expression.Condition
	paths     []expression.Path
	table     *store.Table
	index     *store.TableIndex
	local     bool
}

// parse reads the expressions that both have.
func (r *reading) parse(c *service.Call) *wire.Error {
	values, e := attributes(c, r.values)
	if e != nil {
		return e
	}
	var err error
	if r.hold, err = expression.NewPlaceholders(r.names, values); err != nil {
		return invalid(c, err)
	}
	if r.filter != nil {
		if r.condition, err = r.hold.Condition("FilterExpression", *r.filter); err != nil {
			return invalid(c, err)
		}
	}
	r.paths = expression.Attributes(r.legacy)
	if r.projection != nil {
		if r.paths, err = r.hold.Projection(*r.projection); err != nil {
			return invalid(c, err)
		}
	}
	return r.checkSelect(c)
}

func (r *reading) checkSelect(c *service.Call) *wire.Error {
	switch {
	case r.selects == types.SelectSpecificAttributes && len(r.paths) == 0:
		return c.Errorf("ValidationException", "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	case r.selects != "" && r.selects != types.SelectSpecificAttributes && len(r.paths) > 0:
		return c.Errorf("ValidationException", "Cannot specify the ProjectionExpression when choosing to get %s", r.selects)
	case r.selects == types.SelectAllProjectedAttributes && r.indexName == "":
		return c.Errorf("ValidationException", "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
	}
	return nil
}

// find finds table and index and asks for them. leading gives the partition that
// a Query reads, by the key of table or index; it may be nil.
func (r *reading) find(c *service.Call, leading func(key store.TableKey) []string) *wire.Error {
	var e *wire.Error
	r.table, e = request{action: r.action, ref: r.ref, index: r.indexName, keys: func(t *store.Table) map[string][]string {
		keys := map[string][]string{"dynamodb:Select": {string(cmp.Or(r.selects, r.usualSelect()))}}
		if named := append(roots(r.paths), r.condition.Roots()...); len(named) > 0 {
			keys["dynamodb:Attributes"] = distinct(named)
		}
		if r.capacity != "" {
			keys["dynamodb:ReturnConsumedCapacity"] = []string{string(r.capacity)}
		}
		key := t.Key
		if index, _ := t.Index(r.indexName); index != nil {
			key = index.Key
		}
		if leading != nil {
			if values := leading(key); values != nil {
				keys["dynamodb:LeadingKeys"] = values
			}
		}
		return keys
	}}.table(c)
	if e != nil || r.indexName == "" {
		return e
	}
	r.index, r.local = r.table.Index(r.indexName)
	return r.checkIndex(c)
}

func (r *reading) usualSelect() types.Select {
	switch {
	case len(r.paths) > 0:
		return types.SelectSpecificAttributes
	case r.indexName != "":
		return types.SelectAllProjectedAttributes
	}
	return types.SelectAllAttributes
}

func (r *reading) checkIndex(c *service.Call) *wire.Error {
	switch {
	case r.index == nil:
		return c.Errorf("ValidationException", "The table does not have the specified index: %s", r.indexName)
	case r.local:
		return nil
	case aws.ToBool(r.consistent):
		return c.Errorf("ValidationException", "Consistent reads are not supported on global secondary indexes")
	case r.selects == types.SelectAllAttributes && r.index.Projection != string(types.ProjectionTypeAll):
		return c.Errorf("ValidationException", "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL", r.index.Name)
	}
	for _, name := range roots(r.paths) {
		if !r.projects(name) {
			return c.Errorf("ValidationException", "One or more parameter values were invalid: Global secondary index %s does not project [%s]", r.index.Name, name)
		}
	}
	return nil
}

// key is the key that orders what is read.
func (r *reading) key() store.TableKey {
	if r.index != nil {
		return r.index.Key
	}
	return r.table.Key
}

// projects reports whether the index has an attribute.
func (r *reading) projects(name string) bool {
	return r.index.Projection == string(types.ProjectionTypeAll) || slices.Contains(r.index.Include, name) ||
		slices.Contains([]string{r.table.Key.Partition, r.table.Key.Sort, r.index.Key.Partition, r.index.Key.Sort}, name)
}

// seen is the item as the read sees it. A local index fetches what it lacks from
// the table when it is asked for.
func (r *reading) seen(item store.Item) store.Item {
	if r.index == nil || r.index.Projection == string(types.ProjectionTypeAll) {
		return item
	}
	if r.local && (r.selects == types.SelectAllAttributes || len(r.paths) > 0) {
		return item
	}
	part := store.Item{}
	for name, v := range item {
		if r.projects(name) {
			part[name] = v
		}
	}
	return part
}

// page is one page of results.
type page struct {
	items   []map[string]types.AttributeValue
	count   int
	scanned int
	last    map[string]types.AttributeValue
	used    *types.ConsumedCapacity
}

// read reads one page of all, which is in order, from where the last page ended.
func (r *reading) read(c *service.Call, all []entry, order func(a, b entry) int) (*page, *wire.Error) {
	all, e := r.after(c, all, order)
	if e != nil {
		return nil, e
	}
	p := &page{}
	if r.selects != types.SelectCount {
		p.items = []map[string]types.AttributeValue{}
	}
	limit := len(all) + 1
	if r.limit != nil {
		limit = int(*r.limit)
	}
	size := 0
	for i, x := range all {
		size += attribute.ItemSize(x.item)
		p.scanned++
		if item := r.seen(x.item); r.condition.Holds(item) {
			p.count++
			if p.items != nil {
				p.items = append(p.items, shown(item, r.paths))
			}
		}
		if p.scanned == limit || size >= maxPage && i+1 < len(all) {
			p.last = attribute.ItemToSDK(r.position(x.item))
			break
		}
	}
	p.used = readCapacity(r.table, r.capacity, size, r.consistent)
	return p, nil
}

// position is the key of an item in table and index, which says where a page ended.
func (r *reading) position(item store.Item) store.Item {
	key := store.Item{}
	for _, k := range []store.TableKey{r.table.Key, r.key()} {
		for _, name := range []string{k.Partition, k.Sort} {
			if name != "" {
				key[name] = item[name]
			}
		}
	}
	return key
}

// after drops what earlier pages had. The start key need not exist any more.
func (r *reading) after(c *service.Call, all []entry, order func(a, b entry) int) ([]entry, *wire.Error) {
	if r.start == nil {
		return all, nil
	}
	start, e := attributes(c, r.start)
	if e != nil {
		return nil, e
	}
	want := r.position(start)
	bad := c.Errorf("ValidationException", "The provided starting key is invalid")
	if len(start) != len(want) {
		return nil, bad
	}
	for name := range want {
		if v, ok := start[name]; !ok || v.Type != r.table.Attributes[name] {
			return nil, bad
		}
	}
	at := entry{start, place{partition: attribute.Key(start[r.table.Key.Partition])}}
	if r.table.Key.Sort != "" {
		at.sort = attribute.Key(start[r.table.Key.Sort])
	}
	i, _ := slices.BinarySearchFunc(all, at, func(x, at entry) int {
		if order(x, at) <= 0 {
			return -1
		}
		return 1
	})
	return all[i:], nil
}

func query(c *service.Call, in *dynamodb.QueryInput) (*dynamodb.QueryOutput, *wire.Error) {
	if e := modern(c, map[string]bool{"KeyConditions": in.KeyConditions != nil, "QueryFilter": in.QueryFilter != nil, "ConditionalOperator": in.ConditionalOperator != ""}); e != nil {
		return nil, e
	}
	r := &reading{
		action: "Query", ref: aws.ToString(in.TableName), indexName: aws.ToString(in.IndexName), filter: in.FilterExpression,
		projection: in.ProjectionExpression, names: in.ExpressionAttributeNames, values: in.ExpressionAttributeValues, legacy: in.AttributesToGet,
		selects: in.Select, consistent: in.ConsistentRead, start: in.ExclusiveStartKey, limit: in.Limit, capacity: in.ReturnConsumedCapacity,
	}
	if in.KeyConditionExpression == nil {
		return nil, c.Errorf("ValidationException", "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	if e := r.parse(c); e != nil {
		return nil, e
	}
	e := r.find(c, func(key store.TableKey) []string {
		if k, err := r.hold.KeyCondition(*in.KeyConditionExpression, key); err == nil {
			return []string{attribute.Key(k.Partition)}
		}
		return nil
	})
	if e != nil {
		return nil, e
	}
	k, e := r.keyCondition(c, *in.KeyConditionExpression)
	if e != nil {
		return nil, e
	}
	order := bySort(r.table, r.key())
	if in.ScanIndexForward != nil && !*in.ScanIndexForward {
		forward := order
		order = func(a, b entry) int { return forward(b, a) }
	}
	all := slices.DeleteFunc(r.partition(k.Partition), func(x entry) bool { return !k.Sort.Holds(x.item) })
	slices.SortFunc(all, order)
	p, e := r.read(c, all, order)
	if e != nil {
		return nil, e
	}
	return &dynamodb.QueryOutput{
		Items: p.items, Count: int32(p.count), ScannedCount: int32(p.scanned), LastEvaluatedKey: p.last, ConsumedCapacity: p.used,
	}, nil
}

// partition are the entries with a partition key.
func (r *reading) partition(key store.Value) []entry {
	if r.index != nil {
		return slices.DeleteFunc(entries(r.table, r.index), func(x entry) bool { return !attribute.Equal(x.item[r.index.Key.Partition], key) })
	}
	var all []entry
	partition := attribute.Key(key)
	for sort, item := range r.table.Partitions[partition] {
		all = append(all, entry{item, place{partition, sort}})
	}
	return all
}

// keyCondition parses the key condition for the key that is read, and checks
// the filter against it.
func (r *reading) keyCondition(c *service.Call, src string) (*expression.KeyCondition, *wire.Error) {
	k, err := r.hold.KeyCondition(src, r.key())
	if err == nil {
		err = r.hold.Unused()
	}
	if err != nil {
		return nil, invalid(c, err)
	}
	if want := r.table.Attributes[r.key().Partition]; k.Partition.Type != want {
		return nil, c.Errorf("ValidationException", "One or more parameter values were invalid: Condition parameter type does not match schema type")
	}
	for _, name := range r.condition.Roots() {
		if name == r.key().Partition || name == r.key().Sort {
			return nil, c.Errorf("ValidationException", "Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", name)
		}
	}
	return k, nil
}

func scan(c *service.Call, in *dynamodb.ScanInput) (*dynamodb.ScanOutput, *wire.Error) {
	if e := modern(c, map[string]bool{"ScanFilter": in.ScanFilter != nil, "ConditionalOperator": in.ConditionalOperator != ""}); e != nil {
		return nil, e
	}
	r := &reading{
		action: "Scan", ref: aws.ToString(in.TableName), indexName: aws.ToString(in.IndexName), filter: in.FilterExpression,
		projection: in.ProjectionExpression, names: in.ExpressionAttributeNames, values: in.ExpressionAttributeValues, legacy: in.AttributesToGet,
		selects: in.Select, consistent: in.ConsistentRead, start: in.ExclusiveStartKey, limit: in.Limit, capacity: in.ReturnConsumedCapacity,
	}
	if e := r.parse(c); e != nil {
		return nil, e
	}
	if e := r.find(c, nil); e != nil {
		return nil, e
	}
	if err := r.hold.Unused(); err != nil {
		return nil, invalid(c, err)
	}
	if e := checkSegment(c, in.Segment, in.TotalSegments); e != nil {
		return nil, e
	}
	all := entries(r.table, r.index)
	if in.TotalSegments != nil {
		all = slices.DeleteFunc(all, func(x entry) bool {
			return hash(attribute.Key(x.item[r.key().Partition]))%uint64(*in.TotalSegments) != uint64(*in.Segment)
		})
	}
	order := byHash(r.table, r.key())
	slices.SortFunc(all, order)
	p, e := r.read(c, all, order)
	if e != nil {
		return nil, e
	}
	return &dynamodb.ScanOutput{
		Items: p.items, Count: int32(p.count), ScannedCount: int32(p.scanned), LastEvaluatedKey: p.last, ConsumedCapacity: p.used,
	}, nil
}

func checkSegment(c *service.Call, segment, total *int32) *wire.Error {
	switch {
	case (segment == nil) != (total == nil):
		name := []string{"Segment", "TotalSegments"}
		if segment == nil {
			slices.Reverse(name)
		}
		return c.Errorf("ValidationException", "The %s parameter is required but was not present in the request when %s parameter is present", name[1], strings.Join(name[:1], ""))
	case segment != nil && *segment >= *total:
		return c.Errorf("ValidationException", "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %d is not less than TotalSegments: %d", *segment, *total)
	}
	return nil
}
