package dynamodb

import (
	"cmp"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// describe is how operations show a table. Counts and sizes are exact, where
// AWS's are hours old.
func describe(t *store.Table) *types.TableDescription {
	d := &types.TableDescription{
		TableName: &t.Name, TableId: &t.ID, TableArn: aws.String(t.ARN().String()), TableStatus: types.TableStatusActive,
		CreationDateTime: &t.Created, KeySchema: keySchema(t.Key), ItemCount: aws.Int64(int64(t.Count())), TableSizeBytes: aws.Int64(size(t)),
		DeletionProtectionEnabled: &t.Protected, ProvisionedThroughput: units(t), SSEDescription: sseDescription(t),
	}
	for _, name := range slices.Sorted(maps.Keys(t.Attributes)) {
		d.AttributeDefinitions = append(d.AttributeDefinitions, types.AttributeDefinition{
			AttributeName: aws.String(name), AttributeType: types.ScalarAttributeType(t.Attributes[name]),
		})
	}
	if t.ReadUnits == 0 && t.WriteUnits == 0 {
		d.BillingModeSummary = &types.BillingModeSummary{BillingMode: types.BillingModePayPerRequest, LastUpdateToPayPerRequestDateTime: &t.Created}
	}
	if t.Class != "" {
		d.TableClassSummary = &types.TableClassSummary{TableClass: types.TableClass(t.Class)}
	}
	for i := range t.Global {
		x := &t.Global[i]
		d.GlobalSecondaryIndexes = append(d.GlobalSecondaryIndexes, types.GlobalSecondaryIndexDescription{
			IndexName: &x.Name, IndexArn: aws.String(t.ARN().String() + "/index/" + x.Name), IndexStatus: types.IndexStatusActive,
			KeySchema: keySchema(x.Key), Projection: projection(x), ProvisionedThroughput: units(t),
			ItemCount: aws.Int64(int64(len(entries(t, x)))), IndexSizeBytes: aws.Int64(0),
		})
	}
	for i := range t.Local {
		x := &t.Local[i]
		d.LocalSecondaryIndexes = append(d.LocalSecondaryIndexes, types.LocalSecondaryIndexDescription{
			IndexName: &x.Name, IndexArn: aws.String(t.ARN().String() + "/index/" + x.Name), KeySchema: keySchema(x.Key), Projection: projection(x),
			ItemCount: aws.Int64(int64(len(entries(t, x)))), IndexSizeBytes: aws.Int64(0),
		})
	}
	return d
}

func units(t *store.Table) *types.ProvisionedThroughputDescription {
	return &types.ProvisionedThroughputDescription{
		ReadCapacityUnits: aws.Int64(t.ReadUnits), WriteCapacityUnits: aws.Int64(t.WriteUnits), NumberOfDecreasesToday: aws.Int64(0),
	}
}

func keySchema(key store.TableKey) []types.KeySchemaElement {
	schema := []types.KeySchemaElement{{AttributeName: aws.String(key.Partition), KeyType: types.KeyTypeHash}}
	if key.Sort != "" {
		schema = append(schema, types.KeySchemaElement{AttributeName: aws.String(key.Sort), KeyType: types.KeyTypeRange})
	}
	return schema
}

func projection(x *store.TableIndex) *types.Projection {
	return &types.Projection{ProjectionType: types.ProjectionType(cmp.Or(x.Projection, "ALL")), NonKeyAttributes: x.Include}
}

func size(t *store.Table) int64 {
	n := 0
	for _, partition := range t.Partitions {
		for _, item := range partition {
			n += attribute.ItemSize(item)
		}
	}
	return int64(n)
}
