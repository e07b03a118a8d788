package dynamodb

import (
	"cmp"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// maxTables is the quota of tables of an account in a Region.
const maxTables = 2500

func createTable(c *service.Call, in *dynamodb.CreateTableInput) (*dynamodb.CreateTableOutput, *wire.Error) {
	tags := tagMap(in.Tags)
	r := request{action: "CreateTable", ref: aws.ToString(in.TableName), tags: tags}
	old, e := r.find(c)
	if e != nil {
		return nil, e
	}
	a, _, e := lookup(c, r.ref)
	if e != nil {
		return nil, e
	}
	if a.Account != c.Account {
		return nil, c.Errorf("ValidationException", "A table can be created in the caller's own account only, not in %s", a.Account)
	}
	if e := mayAlso(c, r, in); e != nil {
		return nil, e
	}
	t, e := newTable(c, a.Name(), in)
	if e != nil {
		return nil, e
	}
	records := c.Own().DynamoDB.Make(c.Region)
	switch {
	case old != nil:
		return nil, c.Errorf("ResourceInUseException", "Table already exists: %s", t.Name)
	case len(records.Tables) >= maxTables:
		return nil, c.Errorf("LimitExceededException", "Subscriber limit exceeded: There is a limit of %d tables per subscriber", maxTables)
	}
	if e := encrypt(c, t, in.SSESpecification); e != nil {
		return nil, e
	}
	t.Tags = tags
	if in.ResourcePolicy != nil {
		if e := putPolicy(c, t, *in.ResourcePolicy); e != nil {
			return nil, e
		}
	}
	if records.Tables == nil {
		records.Tables = map[string]*store.Table{}
	}
	records.Tables[t.Name] = t
	return &dynamodb.CreateTableOutput{TableDescription: describe(t)}, nil
}

// mayAlso asks for what tags and a policy take beside dynamodb:CreateTable.
func mayAlso(c *service.Call, r request, in *dynamodb.CreateTableInput) *wire.Error {
	if len(in.Tags) > 0 {
		r.action = "TagResource"
		if _, e := r.find(c); e != nil {
			return e
		}
		if e := checkTags(c, in.Tags, nil); e != nil {
			return e
		}
	}
	if in.ResourcePolicy == nil {
		return nil
	}
	_, e := request{action: "PutResourcePolicy", ref: r.ref}.find(c)
	return e
}

func newTable(c *service.Call, name string, in *dynamodb.CreateTableInput) (*store.Table, *wire.Error) {
	if what := unknownToTables(in); what != "" {
		return nil, c.Errorf("ValidationException", "stile's local AWS has no tables with %s", what)
	}
	t := &store.Table{
		Name: name, ID: c.World.IDs().UUID(), Account: c.Account, Region: c.Region, Created: c.Now,
		Attributes: map[string]string{}, Protected: aws.ToBool(in.DeletionProtectionEnabled), Class: string(in.TableClass),
	}
	for _, a := range in.AttributeDefinitions {
		t.Attributes[aws.ToString(a.AttributeName)] = string(a.AttributeType)
	}
	var e *wire.Error
	if t.ReadUnits, t.WriteUnits, e = throughput(c, in.BillingMode, in.ProvisionedThroughput); e != nil {
		return nil, e
	}
	if t.Key, e = tableKey(c, t, in.KeySchema); e != nil {
		return nil, e
	}
	for _, x := range in.GlobalSecondaryIndexes {
		if e := addIndex(c, t, &t.Global, aws.ToString(x.IndexName), x.KeySchema, x.Projection); e != nil {
			return nil, e
		}
	}
	for _, x := range in.LocalSecondaryIndexes {
		if e := addIndex(c, t, &t.Local, aws.ToString(x.IndexName), x.KeySchema, x.Projection); e != nil {
			return nil, e
		}
		if last := t.Local[len(t.Local)-1]; last.Key.Partition != t.Key.Partition || last.Key.Sort == "" {
			return nil, c.Errorf("ValidationException", "One or more parameter values were invalid: Index KeySchema does not have the same leading hash key as table KeySchema for index: %s", last.Name)
		}
	}
	return t, everyAttributeIsKey(c, t)
}

// unknownToTables names what a request wants that our tables cannot do.
func unknownToTables(in *dynamodb.CreateTableInput) string {
	switch {
	case in.StreamSpecification != nil && aws.ToBool(in.StreamSpecification.StreamEnabled):
		return "streams"
	case len(in.VectorIndexes) > 0:
		return "vector indexes"
	case in.GlobalTableSourceArn != nil:
		return "replicas in other Regions"
	}
	return ""
}

func throughput(c *service.Call, mode types.BillingMode, units *types.ProvisionedThroughput) (read, write int64, e *wire.Error) {
	if mode == types.BillingModePayPerRequest {
		if units != nil {
			return 0, 0, c.Errorf("ValidationException", "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
		}
		return 0, 0, nil
	}
	if units == nil {
		return 0, 0, c.Errorf("ValidationException", "No provisioned throughput specified for the table")
	}
	return aws.ToInt64(units.ReadCapacityUnits), aws.ToInt64(units.WriteCapacityUnits), nil
}

// tableKey reads a key schema: a HASH attribute, then perhaps a RANGE attribute, all
// with a type.
func tableKey(c *service.Call, t *store.Table, schema []types.KeySchemaElement) (store.TableKey, *wire.Error) {
	var key store.TableKey
	for i, element := range schema {
		name := aws.ToString(element.AttributeName)
		switch {
		case t.Attributes[name] == "":
			return key, c.Errorf("ValidationException", "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [%s], AttributeDefinitions: %v",
				name, slices.Sorted(maps.Keys(t.Attributes)))
		case i == 0 && element.KeyType == types.KeyTypeHash:
			key.Partition = name
		case i == 1 && element.KeyType == types.KeyTypeRange && name != key.Partition:
			key.Sort = name
		default:
			return key, c.Errorf("ValidationException", "Invalid KeySchema: a table's or index's key is a HASH attribute and perhaps another RANGE attribute")
		}
	}
	return key, nil
}

func addIndex(c *service.Call, t *store.Table, list *[]store.TableIndex, name string, schema []types.KeySchemaElement, p *types.Projection) *wire.Error {
	if !validName(name) {
		return c.Errorf("ValidationException", "Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain only the characters a-z, A-Z, 0-9, '_', '-', and '.'")
	}
	if old, _ := t.Index(name); old != nil {
		return c.Errorf("ValidationException", "One or more parameter values were invalid: Duplicate index name: %s", name)
	}
	key, e := tableKey(c, t, schema)
	if e != nil {
		return e
	}
	index := store.TableIndex{Name: name, Key: key, Projection: string(types.ProjectionTypeAll)}
	if p != nil {
		index.Projection, index.Include = string(cmp.Or(p.ProjectionType, types.ProjectionTypeAll)), p.NonKeyAttributes
	}
	if (index.Projection == string(types.ProjectionTypeInclude)) != (len(index.Include) > 0) {
		return c.Errorf("ValidationException", "One or more parameter values were invalid: ProjectionType is %s, and NonKeyAttributes is specified only with INCLUDE", index.Projection)
	}
	*list = append(*list, index)
	return nil
}

// everyAttributeIsKey refuses definitions of attributes that no key has.
func everyAttributeIsKey(c *service.Call, t *store.Table) *wire.Error {
	for name := range t.Attributes {
		if !slices.ContainsFunc(keysOf(t), func(k store.TableKey) bool { return k.Partition == name || k.Sort == name }) {
			return c.Errorf("ValidationException", "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
		}
	}
	return nil
}

// keysOf are the keys of the table and its indexes.
func keysOf(t *store.Table) []store.TableKey {
	keys := []store.TableKey{t.Key}
	for _, x := range slices.Concat(t.Global, t.Local) {
		keys = append(keys, x.Key)
	}
	return keys
}

func describeTable(c *service.Call, in *dynamodb.DescribeTableInput) (*dynamodb.DescribeTableOutput, *wire.Error) {
	t, e := managed(c, request{action: "DescribeTable", ref: aws.ToString(in.TableName)})
	if e != nil {
		return nil, e
	}
	return &dynamodb.DescribeTableOutput{Table: describe(t)}, nil
}

// managed is request.table with the words of the operations on tables.
func managed(c *service.Call, r request) (*store.Table, *wire.Error) {
	t, e := r.find(c)
	if e == nil && t == nil {
		a, _, _ := lookup(c, r.ref)
		e = c.Errorf("ResourceNotFoundException", "Requested resource not found: Table: %s not found", a.Name())
	}
	return t, e
}

func listTables(c *service.Call, in *dynamodb.ListTablesInput) (*dynamodb.ListTablesOutput, *wire.Error) {
	if e := c.Require(gate.Access{Action: "dynamodb:ListTables", Resource: "*", Account: c.Account}); e != nil {
		return nil, e
	}
	names := slices.Sorted(maps.Keys(c.Own().DynamoDB.In(c.Region).Tables))
	if in.ExclusiveStartTableName != nil {
		i, found := slices.BinarySearch(names, *in.ExclusiveStartTableName)
		if found {
			i++
		}
		names = names[i:]
	}
	out := &dynamodb.ListTablesOutput{TableNames: names}
	if limit := int(cmp.Or(aws.ToInt32(in.Limit), 100)); len(names) > limit {
		out.TableNames, out.LastEvaluatedTableName = names[:limit], &names[limit-1]
	}
	if out.TableNames == nil {
		out.TableNames = []string{}
	}
	return out, nil
}

func deleteTable(c *service.Call, in *dynamodb.DeleteTableInput) (*dynamodb.DeleteTableOutput, *wire.Error) {
	t, e := managed(c, request{action: "DeleteTable", ref: aws.ToString(in.TableName)})
	if e != nil {
		return nil, e
	}
	if t.Protected {
		return nil, c.Errorf("ValidationException", "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	}
	delete(c.World.Accounts[t.Account].DynamoDB.Make(t.Region).Tables, t.Name)
	d := describe(t)
	d.TableStatus = types.TableStatusDeleting
	return &dynamodb.DeleteTableOutput{TableDescription: d}, nil
}

// updateTable changes billing, class, protection from deletion and global indexes.
func updateTable(c *service.Call, in *dynamodb.UpdateTableInput) (*dynamodb.UpdateTableOutput, *wire.Error) {
	t, e := managed(c, request{action: "UpdateTable", ref: aws.ToString(in.TableName)})
	if e != nil {
		return nil, e
	}
	if in.StreamSpecification != nil || len(in.ReplicaUpdates) > 0 || len(in.VectorIndexUpdates) > 0 {
		return nil, c.Errorf("ValidationException", "stile's local AWS has no streams, replicas or vector indexes")
	}
	changed := &store.Table{Attributes: maps.Clone(t.Attributes), Key: t.Key, Global: slices.Clone(t.Global), Local: t.Local, ReadUnits: t.ReadUnits, WriteUnits: t.WriteUnits}
	for _, a := range in.AttributeDefinitions {
		changed.Attributes[aws.ToString(a.AttributeName)] = string(a.AttributeType)
	}
	for _, update := range in.GlobalSecondaryIndexUpdates {
		if e := updateIndex(c, changed, update); e != nil {
			return nil, e
		}
	}
	if in.BillingMode != "" || in.ProvisionedThroughput != nil {
		mode := in.BillingMode
		if changed.ReadUnits, changed.WriteUnits, e = throughput(c, mode, in.ProvisionedThroughput); e != nil {
			return nil, e
		}
	}
	maps.DeleteFunc(changed.Attributes, func(name, _ string) bool {
		return !slices.ContainsFunc(keysOf(changed), func(k store.TableKey) bool { return k.Partition == name || k.Sort == name })
	})
	if e := encrypt(c, t, in.SSESpecification); e != nil {
		return nil, e
	}
	t.Attributes, t.Global, t.ReadUnits, t.WriteUnits = changed.Attributes, changed.Global, changed.ReadUnits, changed.WriteUnits
	if in.DeletionProtectionEnabled != nil {
		t.Protected = *in.DeletionProtectionEnabled
	}
	t.Class = cmp.Or(string(in.TableClass), t.Class)
	return &dynamodb.UpdateTableOutput{TableDescription: describe(t)}, nil
}

func updateIndex(c *service.Call, t *store.Table, update types.GlobalSecondaryIndexUpdate) *wire.Error {
	if x := update.Create; x != nil {
		return addIndex(c, t, &t.Global, aws.ToString(x.IndexName), x.KeySchema, x.Projection)
	}
	name := ""
	switch {
	case update.Delete != nil:
		name = aws.ToString(update.Delete.IndexName)
	case update.Update != nil:
		name = aws.ToString(update.Update.IndexName)
	}
	if index, local := t.Index(name); index == nil || local {
		return c.Errorf("ResourceNotFoundException", "Requested resource not found: index %s", name)
	}
	if update.Delete != nil {
		t.Global = slices.DeleteFunc(t.Global, func(x store.TableIndex) bool { return x.Name == name })
	}
	return nil
}

// describeTimeToLive and describeContinuousBackups say what is true here: neither
// exists. Provisioning tools ask for both when they read a table.
func describeTimeToLive(c *service.Call, in *dynamodb.DescribeTimeToLiveInput) (*dynamodb.DescribeTimeToLiveOutput, *wire.Error) {
	if _, e := managed(c, request{action: "DescribeTimeToLive", ref: aws.ToString(in.TableName)}); e != nil {
		return nil, e
	}
	return &dynamodb.DescribeTimeToLiveOutput{TimeToLiveDescription: &types.TimeToLiveDescription{TimeToLiveStatus: types.TimeToLiveStatusDisabled}}, nil
}

func describeContinuousBackups(c *service.Call, in *dynamodb.DescribeContinuousBackupsInput) (*dynamodb.DescribeContinuousBackupsOutput, *wire.Error) {
	t, e := request{action: "DescribeContinuousBackups", ref: aws.ToString(in.TableName)}.find(c)
	if e != nil {
		return nil, e
	}
	if t == nil {
		return nil, c.Errorf("TableNotFoundException", "Table not found: %s", aws.ToString(in.TableName))
	}
	return &dynamodb.DescribeContinuousBackupsOutput{ContinuousBackupsDescription: &types.ContinuousBackupsDescription{
		ContinuousBackupsStatus:        types.ContinuousBackupsStatusDisabled,
		PointInTimeRecoveryDescription: &types.PointInTimeRecoveryDescription{PointInTimeRecoveryStatus: types.PointInTimeRecoveryStatusDisabled},
	}}, nil
}
