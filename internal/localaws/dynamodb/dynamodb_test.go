package dynamodb_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/dynamodb"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

type (
	attrs = map[string]types.AttributeValue
	str   = types.AttributeValueMemberS
	num   = types.AttributeValueMemberN
)

func client(cfg aws.Config) *awsdb.Client { return awsdb.NewFromConfig(cfg) }

// world has one administrator in account A.
func world(t *testing.T) (*worldtest.Cloud, *awsdb.Client) {
	t.Helper()
	cloud := worldtest.New(t, dynamodb.New())
	return cloud, client(cloud.User(worldtest.A, "admin", worldtest.AllowAll))
}

func definition(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
	return types.AttributeDefinition{AttributeName: &name, AttributeType: kind}
}

func schema(names ...string) []types.KeySchemaElement {
	out := []types.KeySchemaElement{{AttributeName: &names[0], KeyType: types.KeyTypeHash}}
	if len(names) > 1 {
		out = append(out, types.KeySchemaElement{AttributeName: &names[1], KeyType: types.KeyTypeRange})
	}
	return out
}

// orders makes a table with a sort key, a global index by state and a local one by cost.
func orders(t *testing.T, c *awsdb.Client) string {
	t.Helper()
	out, err := c.CreateTable(t.Context(), &awsdb.CreateTableInput{
		TableName: aws.String("Orders"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{definition("customer", "S"), definition("id", "N"), definition("state_", "S"), definition("cost", "N")},
		KeySchema:            schema("customer", "id"),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("by-state"), KeySchema: schema("state_", "cost"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"note"}},
		}},
		LocalSecondaryIndexes: []types.LocalSecondaryIndex{{
			IndexName: aws.String("by-cost"), KeySchema: schema("customer", "cost"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.TableDescription.TableArn
}

func order(customer string, id int, more attrs) attrs {
	item := attrs{"customer": &str{Value: customer}, "id": &num{Value: fmt.Sprint(id)}}
	for name, v := range more {
		item[name] = v
	}
	return item
}

func put(t *testing.T, c *awsdb.Client, table string, item attrs) {
	t.Helper()
	if _, err := c.PutItem(t.Context(), &awsdb.PutItemInput{TableName: &table, Item: item}); err != nil {
		t.Fatal(err)
	}
}

func ids(items []attrs) []string {
	got := []string{}
	for _, item := range items {
		got = append(got, item["id"].(*num).Value)
	}
	return got
}

func root(id arn.AccountID) string { return "arn:aws:iam::" + string(id) + ":root" }
func user(id arn.AccountID, name string) string {
	return "arn:aws:iam::" + string(id) + ":user/" + name
}

func statement(effect, principal, action, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return fmt.Sprintf(`{"Effect":%q,"Principal":{"AWS":%q},"Action":%q,"Resource":"*"%s}`, effect, principal, action, condition)
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func TestTableLife(t *testing.T) {
	cloud, c := world(t)
	id := orders(t, c)
	if id != "arn:aws:dynamodb:us-east-1:111111111111:table/Orders" {
		t.Errorf("TableArn = %s", id)
	}
	if err := awsdb.NewTableExistsWaiter(c).Wait(t.Context(), &awsdb.DescribeTableInput{TableName: aws.String("Orders")}, time.Minute); err != nil {
		t.Fatal(err)
	}
	put(t, c, "Orders", order("a", 1, attrs{"state_": &str{Value: "new"}, "cost": &num{Value: "1"}}))
	got, err := c.DescribeTable(t.Context(), &awsdb.DescribeTableInput{TableName: &id})
	if err != nil {
		t.Fatal(err)
	}
	if d := got.Table; *d.ItemCount != 1 || *d.TableSizeBytes == 0 || d.BillingModeSummary.BillingMode != types.BillingModePayPerRequest ||
		len(d.GlobalSecondaryIndexes) != 1 || len(d.LocalSecondaryIndexes) != 1 || !d.CreationDateTime.Equal(cloud.Clock.Now()) {
		t.Errorf("DescribeTable = %+v", d)
	}
	_, err = c.CreateTable(t.Context(), &awsdb.CreateTableInput{
		TableName: aws.String("Orders"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{definition("pk", "S")}, KeySchema: schema("pk"),
	})
	worldtest.WantError(t, err, "ResourceInUseException", "Table already exists: Orders")
	if _, err := c.UpdateTable(t.Context(), &awsdb.UpdateTableInput{TableName: &id, DeletionProtectionEnabled: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteTable(t.Context(), &awsdb.DeleteTableInput{TableName: &id})
	worldtest.WantError(t, err, "ValidationException", "protected against deletion")
	updated, err := c.UpdateTable(t.Context(), &awsdb.UpdateTableInput{
		TableName: &id, DeletionProtectionEnabled: aws.Bool(false), BillingMode: types.BillingModeProvisioned,
		ProvisionedThroughput:       &types.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(5), WriteCapacityUnits: aws.Int64(6)},
		GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Delete: &types.DeleteGlobalSecondaryIndexAction{IndexName: aws.String("by-state")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := updated.TableDescription; len(d.GlobalSecondaryIndexes) != 0 || *d.ProvisionedThroughput.WriteCapacityUnits != 6 || len(d.AttributeDefinitions) != 3 {
		t.Errorf("UpdateTable = %+v", d)
	}
	for _, name := range []string{"aaa", "zzz"} {
		if _, err := c.CreateTable(t.Context(), &awsdb.CreateTableInput{
			TableName: &name, AttributeDefinitions: []types.AttributeDefinition{definition("pk", "S")}, KeySchema: schema("pk"),
			ProvisionedThroughput: &types.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(1), WriteCapacityUnits: aws.Int64(1)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for p := awsdb.NewListTablesPaginator(c, &awsdb.ListTablesInput{Limit: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, page.TableNames...)
	}
	if diff := cmp.Diff([]string{"Orders", "aaa", "zzz"}, names); diff != "" {
		t.Error(diff)
	}
	if _, err := c.DeleteTable(t.Context(), &awsdb.DeleteTableInput{TableName: &id}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DescribeTable(t.Context(), &awsdb.DescribeTableInput{TableName: aws.String("Orders")})
	worldtest.WantError(t, err, "ResourceNotFoundException", "Requested resource not found: Table: Orders not found")
	_, err = c.GetItem(t.Context(), &awsdb.GetItemInput{TableName: aws.String("Orders"), Key: order("a", 1, nil)})
	worldtest.WantError(t, err, "ResourceNotFoundException", "Requested resource not found")
}

func TestBadTables(t *testing.T) {
	_, c := world(t)
	base := func() *awsdb.CreateTableInput {
		return &awsdb.CreateTableInput{
			TableName: aws.String("tab"), BillingMode: types.BillingModePayPerRequest, KeySchema: schema("pk"),
			AttributeDefinitions: []types.AttributeDefinition{definition("pk", "S")},
		}
	}
	tests := map[string]struct {
		change func(*awsdb.CreateTableInput)
		want   string
	}{
		"name":        {func(in *awsdb.CreateTableInput) { in.TableName = aws.String("a!") }, "Invalid table/index name."},
		"unknown key": {func(in *awsdb.CreateTableInput) { in.KeySchema = schema("sk") }, "Some index key attributes are not defined"},
		"spare": {func(in *awsdb.CreateTableInput) {
			in.AttributeDefinitions = append(in.AttributeDefinitions, definition("x", "S"))
		}, "does not exactly match"},
		"same key":      {func(in *awsdb.CreateTableInput) { in.KeySchema = schema("pk", "pk") }, "Invalid KeySchema"},
		"no throughput": {func(in *awsdb.CreateTableInput) { in.BillingMode = "" }, "No provisioned throughput"},
		"streams": {func(in *awsdb.CreateTableInput) {
			in.StreamSpecification = &types.StreamSpecification{StreamEnabled: aws.Bool(true)}
		}, "no tables with streams"},
		"encryption": {func(in *awsdb.CreateTableInput) {
			in.SSESpecification = &types.SSESpecification{KMSMasterKeyId: aws.String("alias/x")}
		}, "SSE is not enabled"},
		"a key that is not there": {func(in *awsdb.CreateTableInput) {
			in.SSESpecification = &types.SSESpecification{Enabled: aws.Bool(true), KMSMasterKeyId: aws.String("alias/none")}
		}, "KMS validation error: Alias arn:aws:kms:us-east-1:111111111111:alias/none is not found."},
		"duplicate index": {func(in *awsdb.CreateTableInput) {
			x := types.GlobalSecondaryIndex{IndexName: aws.String("idx"), KeySchema: schema("pk"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}}
			in.GlobalSecondaryIndexes = []types.GlobalSecondaryIndex{x, x}
		}, "Duplicate index name"},
		"tags": {func(in *awsdb.CreateTableInput) {
			in.Tags = []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("")}}
		}, "reserved"},
		"policy": {func(in *awsdb.CreateTableInput) {
			in.ResourcePolicy = aws.String(document(statement("Allow", user(worldtest.B, "none"), "dynamodb:GetItem", "")))
		}, "Invalid principal in policy document"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := base()
			test.change(in)
			_, err := c.CreateTable(t.Context(), in)
			worldtest.WantError(t, err, "ValidationException", test.want)
		})
	}
}

func TestItems(t *testing.T) {
	_, c := world(t)
	orders(t, c)
	table := aws.String("Orders")
	full := order("a", 1, attrs{
		"note": &str{Value: "x"}, "tags": &types.AttributeValueMemberSS{Value: []string{"p", "q"}}, "raw": &types.AttributeValueMemberB{Value: []byte{0, 255}},
		"deep": &types.AttributeValueMemberM{Value: attrs{"list": &types.AttributeValueMemberL{Value: []types.AttributeValue{&num{Value: "1.50"}, &types.AttributeValueMemberNULL{Value: true}}}}},
	})
	put(t, c, "Orders", full)
	got, err := c.GetItem(t.Context(), &awsdb.GetItemInput{TableName: table, Key: order("a", 1, nil), ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
	if err != nil {
		t.Fatal(err)
	}
	full["deep"].(*types.AttributeValueMemberM).Value["list"].(*types.AttributeValueMemberL).Value[0] = &num{Value: "1.5"}
	if !reflect.DeepEqual(got.Item, full) || *got.ConsumedCapacity.CapacityUnits != 0.5 {
		t.Errorf("GetItem = %v, %v", got.Item, got.ConsumedCapacity)
	}
	part, err := c.GetItem(t.Context(), &awsdb.GetItemInput{TableName: table, Key: order("a", 1, nil), ProjectionExpression: aws.String("note, deep.#l[0]"), ExpressionAttributeNames: map[string]string{"#l": "list"}})
	if err != nil || len(part.Item) != 2 {
		t.Errorf("GetItem of a part = %v, %v", part, err)
	}
	none, err := c.GetItem(t.Context(), &awsdb.GetItemInput{TableName: table, Key: order("a", 2, nil)})
	if err != nil || none.Item != nil {
		t.Errorf("GetItem of nothing = %v, %v", none, err)
	}
	old, err := c.PutItem(t.Context(), &awsdb.PutItemInput{TableName: table, Item: order("a", 1, attrs{"note": &str{Value: "y"}}), ReturnValues: types.ReturnValueAllOld})
	if err != nil || old.Attributes["note"].(*str).Value != "x" {
		t.Errorf("PutItem = %v, %v", old, err)
	}
	updated, err := c.UpdateItem(t.Context(), &awsdb.UpdateItemInput{
		TableName: table, Key: order("a", 1, nil), UpdateExpression: aws.String("SET note = :n ADD seen :one"), ReturnValues: types.ReturnValueUpdatedNew,
		ExpressionAttributeValues: attrs{":n": &str{Value: "z"}, ":one": &num{Value: "1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := (attrs{"note": &str{Value: "z"}, "seen": &num{Value: "1"}}); !reflect.DeepEqual(updated.Attributes, want) {
		t.Errorf("UpdateItem = %v, want %v", updated.Attributes, want)
	}
	if _, err := c.UpdateItem(t.Context(), &awsdb.UpdateItemInput{TableName: table, Key: order("new", 1, nil)}); err != nil {
		t.Errorf("UpdateItem of nothing: %v", err)
	}
	gone, err := c.DeleteItem(t.Context(), &awsdb.DeleteItemInput{TableName: table, Key: order("a", 1, nil), ReturnValues: types.ReturnValueAllOld})
	if err != nil || len(gone.Attributes) != 4 {
		t.Errorf("DeleteItem = %v, %v", gone, err)
	}
	if _, err := c.DeleteItem(t.Context(), &awsdb.DeleteItemInput{TableName: table, Key: order("a", 1, nil)}); err != nil {
		t.Errorf("DeleteItem again: %v", err)
	}
}

func TestConditionalWrites(t *testing.T) {
	_, c := world(t)
	orders(t, c)
	table := aws.String("Orders")
	once := &awsdb.PutItemInput{
		TableName: table, Item: order("a", 1, attrs{"version": &num{Value: "1"}}), ConditionExpression: aws.String("attribute_not_exists(customer)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if _, err := c.PutItem(t.Context(), once); err != nil {
		t.Fatal(err)
	}
	_, err := c.PutItem(t.Context(), once)
	failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	if !ok || failed.ErrorMessage() != "The conditional request failed" || failed.Item["version"] == nil {
		t.Errorf("PutItem again: %v, %+v", err, failed)
	}
	update := &awsdb.UpdateItemInput{
		TableName: table, Key: order("a", 1, nil), UpdateExpression: aws.String("SET version = version + :one"), ConditionExpression: aws.String("version = :v"),
		ExpressionAttributeValues: attrs{":one": &num{Value: "1"}, ":v": &num{Value: "1"}},
	}
	if _, err := c.UpdateItem(t.Context(), update); err != nil {
		t.Fatal(err)
	}
	_, err = c.UpdateItem(t.Context(), update)
	worldtest.WantError(t, err, "ConditionalCheckFailedException", "")
	_, err = c.DeleteItem(t.Context(), &awsdb.DeleteItemInput{
		TableName: table, Key: order("a", 1, nil), ConditionExpression: aws.String("version < :v"), ExpressionAttributeValues: attrs{":v": &num{Value: "2"}},
	})
	worldtest.WantError(t, err, "ConditionalCheckFailedException", "")
}

func TestBadRequestsAreRefused(t *testing.T) {
	_, c := world(t)
	orders(t, c)
	table := aws.String("Orders")
	get := func(key attrs) error {
		_, err := c.GetItem(t.Context(), &awsdb.GetItemInput{TableName: table, Key: key})
		return err
	}
	putErr := func(item attrs) error {
		_, err := c.PutItem(t.Context(), &awsdb.PutItemInput{TableName: table, Item: item})
		return err
	}
	update := func(src string, values attrs) error {
		_, err := c.UpdateItem(t.Context(), &awsdb.UpdateItemInput{TableName: table, Key: order("a", 1, nil), UpdateExpression: &src, ExpressionAttributeValues: values})
		return err
	}
	queryErr := func(in awsdb.QueryInput) error {
		in.TableName = table
		_, err := c.Query(t.Context(), &in)
		return err
	}
	a := attrs{":a": &str{Value: "a"}}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"part of a key", get(attrs{"customer": &str{Value: "a"}}), "The provided key element does not match the schema"},
		{"type of a key", get(attrs{"customer": &str{Value: "a"}, "id": &str{Value: "1"}}), "does not match the schema"},
		{"no key", putErr(attrs{"id": &num{Value: "1"}}), "Missing the key customer in the item"},
		{"wrong key", putErr(attrs{"customer": &str{Value: "a"}, "id": &str{Value: "1"}}), "Type mismatch for key id expected: N actual: S"},
		{"empty key", putErr(order("", 1, nil)), "cannot contain an empty string value. Key: customer"},
		{"long key", putErr(order(strings.Repeat("x", 2049), 1, nil)), "Size of hashkey has exceeded"},
		{"index key", putErr(order("a", 1, attrs{"cost": &str{Value: "x"}})), "Type mismatch for Index Key cost Expected: N Actual: S"},
		{"too big", putErr(order("a", 1, attrs{"x": &str{Value: strings.Repeat("x", 410<<10)}})), "Item size has exceeded the maximum allowed size"},
		{"bad number", putErr(order("a", 1, attrs{"x": &num{Value: "one"}})), "cannot be converted to a numeric value: one"},
		{"key update", update("SET id = :one", attrs{":one": &num{Value: "1"}}), "Cannot update attribute id. This attribute is part of the key"},
		{"unused", update("REMOVE x", a), "unused in expressions: keys: {:a}"},
		{"reserved", update("REMOVE name", nil), "reserved keyword: name"},
		{"no condition", queryErr(awsdb.QueryInput{}), "KeyConditionExpression parameter must be specified"},
		{"other key", queryErr(awsdb.QueryInput{KeyConditionExpression: aws.String("note = :a"), ExpressionAttributeValues: a}), "missed key schema element: customer"},
		{"key type", queryErr(awsdb.QueryInput{KeyConditionExpression: aws.String("customer = :n"), ExpressionAttributeValues: attrs{":n": &num{Value: "1"}}}), "type does not match schema type"},
		{"filter on key", queryErr(awsdb.QueryInput{KeyConditionExpression: aws.String("customer = :a"), FilterExpression: aws.String("id > :a"), ExpressionAttributeValues: a}), "non-primary key attributes"},
		{"no index", queryErr(awsdb.QueryInput{IndexName: aws.String("none"), KeyConditionExpression: aws.String("customer = :a"), ExpressionAttributeValues: a}), "does not have the specified index: none"},
		{"consistent", queryErr(awsdb.QueryInput{IndexName: aws.String("by-state"), ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("state_ = :a"), ExpressionAttributeValues: a}), "Consistent reads are not supported"},
		{"not projected", queryErr(awsdb.QueryInput{IndexName: aws.String("by-state"), ProjectionExpression: aws.String("other1"), KeyConditionExpression: aws.String("state_ = :a"), ExpressionAttributeValues: a}), "does not project [other1]"},
		{"all of an index", queryErr(awsdb.QueryInput{IndexName: aws.String("by-state"), Select: types.SelectAllAttributes, KeyConditionExpression: aws.String("state_ = :a"), ExpressionAttributeValues: a}), "ALL_ATTRIBUTES is not supported"},
		{"bad start", queryErr(awsdb.QueryInput{ExclusiveStartKey: a, KeyConditionExpression: aws.String("customer = :a"), ExpressionAttributeValues: a}), "The provided starting key is invalid"},
		{"legacy", queryErr(awsdb.QueryInput{KeyConditions: map[string]types.Condition{"customer": {ComparisonOperator: types.ComparisonOperatorEq, AttributeValueList: []types.AttributeValue{&str{Value: "a"}}}}}), "legacy parameter KeyConditions"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { worldtest.WantError(t, test.err, "ValidationException", test.want) })
	}
}

func TestQueriesAndIndexes(t *testing.T) {
	_, c := world(t)
	orders(t, c)
	for i := 1; i <= 12; i++ {
		put(t, c, "Orders", order("a", i, attrs{
			"state_": &str{Value: []string{"new", "paid"}[i%2]}, "cost": &num{Value: fmt.Sprint(100 - i)}, "note": &str{Value: fmt.Sprint("n", i)}, "other1": &str{Value: "x"},
		}))
	}
	put(t, c, "Orders", order("b", 1, attrs{"state_": &str{Value: "new"}}))
	tests := []struct {
		name  string
		in    awsdb.QueryInput
		want  []string
		attrs int
	}{
		{"numbers in order", awsdb.QueryInput{KeyConditionExpression: aws.String("customer = :a")}, []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}, 6},
		{"backward from", awsdb.QueryInput{KeyConditionExpression: aws.String("customer = :a AND id > :ten"), ScanIndexForward: aws.Bool(false)}, []string{"12", "11"}, 6},
		{"between", awsdb.QueryInput{KeyConditionExpression: aws.String("customer = :a AND id BETWEEN :nine AND :ten")}, []string{"9", "10"}, 6},
		{"filter", awsdb.QueryInput{KeyConditionExpression: aws.String("customer = :a"), FilterExpression: aws.String("state_ = :new AND cost < :ninety")}, []string{"12"}, 6},
		{"global index", awsdb.QueryInput{IndexName: aws.String("by-state"), KeyConditionExpression: aws.String("state_ = :new AND cost >= :ninety")}, []string{"10", "8", "6", "4", "2"}, 5},
		{"local index", awsdb.QueryInput{IndexName: aws.String("by-cost"), KeyConditionExpression: aws.String("customer = :a AND cost < :ninety")}, []string{"12", "11"}, 3},
		{"local index, fetched", awsdb.QueryInput{IndexName: aws.String("by-cost"), KeyConditionExpression: aws.String("customer = :a AND cost < :ninety"), Select: types.SelectAllAttributes}, []string{"12", "11"}, 6},
		{"projection", awsdb.QueryInput{KeyConditionExpression: aws.String("customer = :a AND id <= :one"), ProjectionExpression: aws.String("id, note")}, []string{"1"}, 2},
	}
	all := attrs{
		":a": &str{Value: "a"}, ":new": &str{Value: "new"}, ":ten": &num{Value: "10"}, ":nine": &num{Value: "9"}, ":ninety": &num{Value: "90"}, ":one": &num{Value: "1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := test.in
			in.TableName, in.ExpressionAttributeValues = aws.String("Orders"), attrs{}
			for name, v := range all {
				if strings.Contains(*in.KeyConditionExpression+" "+aws.ToString(in.FilterExpression)+" ", name+" ") {
					in.ExpressionAttributeValues[name] = v
				}
			}
			for _, limit := range []int32{0, 1, 2, 5} {
				in.ExclusiveStartKey, in.Limit = nil, nil
				if limit > 0 {
					in.Limit = aws.Int32(limit)
				}
				var got []attrs
				for p := awsdb.NewQueryPaginator(c, &in); p.HasMorePages(); {
					page, err := p.NextPage(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if int(page.Count) != len(page.Items) || limit > 0 && page.ScannedCount > limit {
						t.Errorf("Count %d, ScannedCount %d of %d items", page.Count, page.ScannedCount, len(page.Items))
					}
					got = append(got, page.Items...)
				}
				if diff := cmp.Diff(test.want, ids(got)); diff != "" {
					t.Errorf("in pages of %d: %s", limit, diff)
				}
				for _, item := range got {
					if len(item) != test.attrs {
						t.Errorf("item %v has %d attributes, want %d", item, len(item), test.attrs)
					}
				}
			}
		})
	}
	count, err := c.Query(t.Context(), &awsdb.QueryInput{
		TableName: aws.String("Orders"), Select: types.SelectCount, KeyConditionExpression: aws.String("customer = :a"), ExpressionAttributeValues: attrs{":a": &str{Value: "a"}},
	})
	if err != nil || count.Count != 12 || count.Items != nil {
		t.Errorf("Query for the count = %+v, %v", count, err)
	}
}

func TestScansSeeEachItemOnce(t *testing.T) {
	_, c := world(t)
	orders(t, c)
	want := map[string]bool{}
	for i := range 40 {
		customer := fmt.Sprintf("c%d", i%13)
		put(t, c, "Orders", order(customer, i, attrs{"big": &str{Value: strings.Repeat("x", 40<<10)}}))
		want[fmt.Sprint(customer, "/", i)] = true
	}
	scan := func(in awsdb.ScanInput) (map[string]bool, int) {
		in.TableName = aws.String("Orders")
		got, pages := map[string]bool{}, 0
		for p := awsdb.NewScanPaginator(c, &in); p.HasMorePages(); pages++ {
			page, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				name := item["customer"].(*str).Value + "/" + item["id"].(*num).Value
				if got[name] {
					t.Errorf("%s is seen twice", name)
				}
				got[name] = true
			}
		}
		return got, pages
	}
	if got, pages := scan(awsdb.ScanInput{}); !cmp.Equal(got, want) || pages < 2 { // 1.6 MB
		t.Errorf("Scan gave %d items in %d pages", len(got), pages)
	}
	if got, pages := scan(awsdb.ScanInput{Limit: aws.Int32(7)}); !cmp.Equal(got, want) || pages != 6 {
		t.Errorf("Scan by 7 gave %d items in %d pages", len(got), pages)
	}
	all := map[string]bool{}
	for segment := range int32(3) {
		got, _ := scan(awsdb.ScanInput{Segment: &segment, TotalSegments: aws.Int32(3)})
		for name := range got {
			if all[name] {
				t.Errorf("%s is in two segments", name)
			}
			all[name] = true
		}
	}
	if !cmp.Equal(all, want) {
		t.Errorf("the segments have %d items", len(all))
	}
	some, _ := scan(awsdb.ScanInput{FilterExpression: aws.String("id < :n"), ExpressionAttributeValues: attrs{":n": &num{Value: "5"}}, Limit: aws.Int32(10)})
	if len(some) != 5 {
		t.Errorf("Scan with a filter gave %v", some)
	}
	_, err := c.Scan(t.Context(), &awsdb.ScanInput{TableName: aws.String("Orders"), Segment: aws.Int32(3), TotalSegments: aws.Int32(3)})
	worldtest.WantError(t, err, "ValidationException", "Segment: 3 is not less than TotalSegments: 3")
}

func TestBatches(t *testing.T) {
	_, c := world(t)
	orders(t, c)
	var writes []types.WriteRequest
	for i := range 25 {
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: order("a", i, nil)}})
	}
	write := func(w ...types.WriteRequest) error {
		out, err := c.BatchWriteItem(t.Context(), &awsdb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"Orders": w}})
		if err == nil && len(out.UnprocessedItems) != 0 {
			t.Errorf("UnprocessedItems = %v", out.UnprocessedItems)
		}
		return err
	}
	if err := write(writes...); err != nil {
		t.Fatal(err)
	}
	if err := write(types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: order("a", 3, nil)}}); err != nil {
		t.Fatal(err)
	}
	got, err := c.BatchGetItem(t.Context(), &awsdb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		"Orders": {Keys: []attrs{order("a", 2, nil), order("a", 3, nil), order("a", 4, nil)}, ProjectionExpression: aws.String("id")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"2", "4"}, ids(got.Responses["Orders"])); diff != "" || len(got.UnprocessedKeys) != 0 {
		t.Errorf("BatchGetItem: %s", diff)
	}
	worldtest.WantError(t, write(writes[0], writes[0]), "ValidationException", "Provided list of item keys contains duplicates")
	// A batch that is refused changes nothing.
	worldtest.WantError(t, write(types.WriteRequest{PutRequest: &types.PutRequest{Item: order("zz", 1, nil)}},
		types.WriteRequest{PutRequest: &types.PutRequest{Item: attrs{"customer": &str{Value: "zz"}}}}), "ValidationException", "Missing the key id")
	none, err := c.GetItem(t.Context(), &awsdb.GetItemInput{TableName: aws.String("Orders"), Key: order("zz", 1, nil)})
	if err != nil || none.Item != nil {
		t.Errorf("the refused batch wrote %v, %v", none, err)
	}
	_, err = c.BatchGetItem(t.Context(), &awsdb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"Orders": {Keys: []attrs{order("a", 2, nil), order("a", 2, nil)}}}})
	worldtest.WantError(t, err, "ValidationException", "duplicates")
}

// Who may read an item, by identity policy, table policy and account.
func TestWhoMayRead(t *testing.T) {
	cloud, admin := world(t)
	table := orders(t, admin)
	put(t, admin, "Orders", order("a", 1, nil))
	read := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"` + table + `"}]}`
	callers := map[string]*awsdb.Client{
		"same none":  client(cloud.User(worldtest.A, "none", "")),
		"same read":  client(cloud.User(worldtest.A, "read", read)),
		"other none": client(cloud.User(worldtest.B, "none", "")),
		"other read": client(cloud.User(worldtest.B, "read", read)),
	}
	tests := []struct {
		name, policy string
		allowed      []string
	}{
		{"no policy", "", []string{"same read"}},
		{"other account", document(statement("Allow", root(worldtest.B), "dynamodb:GetItem", "")), []string{"same read", "other read"}},
		{"other user", document(statement("Allow", user(worldtest.B, "none"), "dynamodb:GetItem", "")), []string{"same read"}},
		{"own user", document(statement("Allow", user(worldtest.A, "none"), "dynamodb:GetItem", "")), []string{"same read", "same none"}},
		{"another action", document(statement("Allow", root(worldtest.B), "dynamodb:Query", "")), []string{"same read"}},
		{"deny", document(statement("Allow", root(worldtest.B), "dynamodb:*", ""), statement("Deny", "*", "dynamodb:GetItem", "")), nil},
		{
			"own partition", document(statement("Allow", root(worldtest.B), "dynamodb:GetItem", `{"ForAllValues:StringEquals":{"dynamodb:LeadingKeys":["a"]}}`)),
			[]string{"same read", "other read"},
		},
		{
			"another partition", document(statement("Allow", root(worldtest.B), "dynamodb:GetItem", `{"ForAllValues:StringEquals":{"dynamodb:LeadingKeys":["b"]}}`)),
			[]string{"same read"},
		},
		{
			"attributes", document(statement("Allow", root(worldtest.B), "dynamodb:GetItem", `{"ForAllValues:StringEquals":{"dynamodb:Attributes":["customer","id"]},"StringEquals":{"dynamodb:Select":"SPECIFIC_ATTRIBUTES"}}`)),
			[]string{"same read"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := admin.DeleteResourcePolicy(t.Context(), &awsdb.DeleteResourcePolicyInput{ResourceArn: &table}); err != nil {
				t.Fatal(err)
			}
			if test.policy != "" {
				if _, err := admin.PutResourcePolicy(t.Context(), &awsdb.PutResourcePolicyInput{ResourceArn: &table, Policy: &test.policy}); err != nil {
					t.Fatal(err)
				}
			}
			for name, c := range callers {
				_, err := c.GetItem(t.Context(), &awsdb.GetItemInput{TableName: &table, Key: order("a", 1, nil)})
				if slices.Contains(test.allowed, name) {
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					continue
				}
				if err == nil {
					t.Errorf("%s may read", name)
					continue
				}
				worldtest.WantError(t, err, "AccessDeniedException", "is not authorized to perform: dynamodb:GetItem on resource: "+table)
			}
		})
	}
	b := client(cloud.User(worldtest.B, "b", worldtest.AllowAll))
	_, err := b.GetItem(t.Context(), &awsdb.GetItemInput{TableName: aws.String("Orders"), Key: order("a", 1, nil)})
	worldtest.WantError(t, err, "ResourceNotFoundException", "") // a name means the caller's account
	_, err = b.GetItem(t.Context(), &awsdb.GetItemInput{TableName: aws.String(strings.Replace(table, "Orders", "None", 1)), Key: order("a", 1, nil)})
	worldtest.WantError(t, err, "AccessDeniedException", "no resource-based policy allows")
}

func TestFineGrainedAccess(t *testing.T) {
	cloud, admin := world(t)
	table := orders(t, admin)
	put(t, admin, "Orders", order("mine", 1, attrs{"state_": &str{Value: "new"}, "cost": &num{Value: "1"}}))
	put(t, admin, "Orders", order("theirs", 1, nil))
	mine := client(cloud.User(worldtest.A, "mine", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:Query","dynamodb:PutItem","dynamodb:BatchGetItem","dynamodb:BatchWriteItem","dynamodb:UpdateItem"],"Resource":"`+table+`",
		 "Condition":{"ForAllValues:StringEquals":{"dynamodb:LeadingKeys":["mine"]}, "Null":{"dynamodb:LeadingKeys":"false"}}},
		{"Effect":"Allow","Action":"dynamodb:Query","Resource":"`+table+`/index/by-state"}]}`))
	query := func(index *string, condition, value string) error {
		_, err := mine.Query(t.Context(), &awsdb.QueryInput{TableName: &table, IndexName: index, KeyConditionExpression: &condition, ExpressionAttributeValues: attrs{":v": &str{Value: value}}})
		return err
	}
	get := func(customers ...string) error {
		var keys []attrs
		for _, customer := range customers {
			keys = append(keys, order(customer, 1, nil))
		}
		_, err := mine.BatchGetItem(t.Context(), &awsdb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"Orders": {Keys: keys}}})
		return err
	}
	for name, err := range map[string]error{
		"query": query(nil, "customer = :v", "mine"), "index": query(aws.String("by-state"), "state_ = :v", "new"), "batch": get("mine"),
	} {
		if err != nil {
			t.Errorf("%s of one's own: %v", name, err)
		}
	}
	_, scanErr := mine.Scan(t.Context(), &awsdb.ScanInput{TableName: &table})
	_, putErr := mine.PutItem(t.Context(), &awsdb.PutItemInput{TableName: &table, Item: order("theirs", 2, nil)})
	_, writeErr := mine.BatchWriteItem(t.Context(), &awsdb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
		"Orders": {{PutRequest: &types.PutRequest{Item: order("mine", 2, nil)}}, {DeleteRequest: &types.DeleteRequest{Key: order("theirs", 1, nil)}}},
	}})
	for name, err := range map[string]error{
		"query": query(nil, "customer = :v", "theirs"), "local index": query(aws.String("by-cost"), "customer = :v", "mine"), "batch": get("mine", "theirs"),
		"scan": scanErr, "put": putErr, "batch write": writeErr,
	} {
		t.Run(name, func(t *testing.T) { worldtest.WantError(t, err, "AccessDeniedException", "") })
	}
}

func TestResourcePolicyRevisions(t *testing.T) {
	cloud, c := world(t)
	table := orders(t, c)
	put := func(policy string, revision *string) (string, error) {
		out, err := c.PutResourcePolicy(t.Context(), &awsdb.PutResourcePolicyInput{ResourceArn: &table, Policy: &policy, ExpectedRevisionId: revision})
		if err != nil {
			return "", err
		}
		return *out.RevisionId, nil
	}
	_, err := c.GetResourcePolicy(t.Context(), &awsdb.GetResourcePolicyInput{ResourceArn: &table})
	worldtest.WantError(t, err, "PolicyNotFoundException", "")
	cloud.User(worldtest.B, "guest", "")
	policy := document(statement("Allow", user(worldtest.B, "guest"), "dynamodb:GetItem", ""))
	first, err := put(policy, aws.String("NO_POLICY"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := put(policy, nil); err != nil || again != first {
		t.Errorf("PutResourcePolicy again = %s, %v, want %s", again, err, first)
	}
	_, err = put(policy, aws.String("NO_POLICY"))
	worldtest.WantError(t, err, "PolicyNotFoundException", "")
	second, err := put(document(statement("Allow", root(worldtest.B), "dynamodb:GetItem", "")), &first)
	if err != nil || second == first {
		t.Fatalf("revision %s, %v", second, err)
	}
	_, err = put(policy, &first)
	worldtest.WantError(t, err, "PolicyNotFoundException", "")
	_, err = put(document(statement("Allow", user(worldtest.B, "none"), "dynamodb:GetItem", "")), nil)
	worldtest.WantError(t, err, "ValidationException", "Invalid principal in policy document")
	_, err = put(`{"Version":"2012-10-17"}`, nil)
	worldtest.WantError(t, err, "ValidationException", "Invalid policy document")
	_, err = put(document(statement("Deny", "*", "dynamodb:PutResourcePolicy", "")), nil)
	worldtest.WantError(t, err, "ValidationException", "ConfirmRemoveSelfResourceAccess")
	_, err = c.DeleteResourcePolicy(t.Context(), &awsdb.DeleteResourcePolicyInput{ResourceArn: &table, ExpectedRevisionId: &first})
	worldtest.WantError(t, err, "PolicyNotFoundException", "")
	if _, err := put(policy, nil); err != nil {
		t.Fatal(err)
	}
	cloud.DeleteUser(worldtest.B, "guest")
	got, err := c.GetResourcePolicy(t.Context(), &awsdb.GetResourcePolicyInput{ResourceArn: &table})
	if err != nil || !strings.Contains(*got.Policy, `"AIDA`) {
		t.Errorf("GetResourcePolicy after the user is gone = %v, %v, want its unique id", got, err)
	}
	for range 2 {
		if _, err := c.DeleteResourcePolicy(t.Context(), &awsdb.DeleteResourcePolicyInput{ResourceArn: &table}); err != nil {
			t.Error(err)
		}
	}
}

func TestTags(t *testing.T) {
	cloud, c := world(t)
	table := orders(t, c)
	if _, err := c.TagResource(t.Context(), &awsdb.TagResourceInput{ResourceArn: &table, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}, {Key: aws.String("x"), Value: aws.String("")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagResource(t.Context(), &awsdb.UntagResourceInput{ResourceArn: &table, TagKeys: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	got, err := c.ListTagsOfResource(t.Context(), &awsdb.ListTagsOfResourceInput{ResourceArn: &table})
	if err != nil || len(got.Tags) != 1 || *got.Tags[0].Key != "team" {
		t.Errorf("ListTagsOfResource = %+v, %v", got, err)
	}
	byTag := client(cloud.User(worldtest.A, "by-tag", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"dynamodb:Scan","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"blue"}}}]}`))
	if _, err := byTag.Scan(t.Context(), &awsdb.ScanInput{TableName: &table}); err != nil {
		t.Error(err)
	}
	_, err = c.TagResource(t.Context(), &awsdb.TagResourceInput{ResourceArn: aws.String("Orders"), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("")}}})
	worldtest.WantError(t, err, "ValidationException", "Invalid ResourceArn")
}

// Nobody without a permission gets anything, from any operation.
func TestEveryOperationAsks(t *testing.T) {
	cloud, admin := world(t)
	table := orders(t, admin)
	values := map[string]any{
		"TableName": &table, "ResourceArn": &table, "Key": order("a", 1, nil), "Item": order("a", 1, nil), "KeySchema": schema("pk"),
		"AttributeDefinitions": []types.AttributeDefinition{definition("pk", "S")}, "BillingMode": types.BillingModePayPerRequest,
		"KeyConditionExpression": aws.String("customer = :a"), "Policy": aws.String(document(statement("Allow", root(worldtest.A), "dynamodb:*", ""))),
		"TagKeys": []string{"k"}, "Tags": []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	}
	nobody := reflect.ValueOf(client(cloud.User(worldtest.A, "nobody", "")))
	operations := dynamodb.New().Operations()
	slices.Sort(operations)
	for _, name := range operations {
		t.Run(name, func(t *testing.T) {
			method := nobody.MethodByName(name)
			in := reflect.New(method.Type().In(1).Elem())
			for field, value := range values {
				if f := in.Elem().FieldByName(field); f.IsValid() && f.Type() == reflect.TypeOf(value) {
					f.Set(reflect.ValueOf(value))
				}
			}
			switch in := in.Interface().(type) {
			case *awsdb.QueryInput:
				in.ExpressionAttributeValues = attrs{":a": &str{Value: "a"}}
			case *awsdb.BatchGetItemInput:
				in.RequestItems = map[string]types.KeysAndAttributes{table: {Keys: []attrs{order("a", 1, nil)}}}
			case *awsdb.BatchWriteItemInput:
				in.RequestItems = map[string][]types.WriteRequest{table: {{PutRequest: &types.PutRequest{Item: order("a", 1, nil)}}}}
			}
			out := method.Call([]reflect.Value{reflect.ValueOf(t.Context()), in})
			err, _ := out[1].Interface().(error)
			worldtest.WantError(t, err, "AccessDeniedException", "dynamodb:"+name)
		})
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	cloud, _ := world(t)
	cfg := cloud.User(worldtest.A, "keeper", worldtest.AllowAll)
	c := client(cfg)
	table := orders(t, c)
	item := order("a", 1, attrs{
		"null": &types.AttributeValueMemberNULL{Value: true}, "no": &types.AttributeValueMemberBOOL{}, "empty": &str{}, "b": &types.AttributeValueMemberB{Value: []byte{}},
		"bs": &types.AttributeValueMemberBS{Value: [][]byte{{1}, {2}}}, "ns": &types.AttributeValueMemberNS{Value: []string{"1", "2"}},
		"l": &types.AttributeValueMemberL{Value: []types.AttributeValue{}}, "m": &types.AttributeValueMemberM{Value: attrs{}},
	})
	put(t, c, "Orders", item)
	policy := document(statement("Allow", root(worldtest.B), "dynamodb:GetItem", ""))
	if _, err := c.PutResourcePolicy(t.Context(), &awsdb.PutResourcePolicyInput{ResourceArn: &table, Policy: &policy}); err != nil {
		t.Fatal(err)
	}
	before, err := c.DescribeTable(t.Context(), &awsdb.DescribeTableInput{TableName: &table})
	if err != nil {
		t.Fatal(err)
	}
	cfg.BaseEndpoint = aws.String(cloud.Reload(t, dynamodb.New()).URL)
	c = client(cfg)
	got, err := c.GetItem(t.Context(), &awsdb.GetItemInput{TableName: &table, Key: order("a", 1, nil)})
	if err != nil {
		t.Fatal(err)
	}
	for name := range item {
		if !reflect.DeepEqual(got.Item[name], item[name]) {
			t.Errorf("attribute %s after a restart = %#v, want %#v", name, got.Item[name], item[name])
		}
	}
	after, err := c.DescribeTable(t.Context(), &awsdb.DescribeTableInput{TableName: &table})
	if err != nil || !reflect.DeepEqual(before.Table, after.Table) {
		t.Errorf("DescribeTable after a restart = %+v, %v", after, err)
	}
	if shown, err := c.GetResourcePolicy(t.Context(), &awsdb.GetResourcePolicyInput{ResourceArn: &table}); err != nil || *shown.Policy != policy {
		t.Errorf("GetResourcePolicy after a restart = %+v, %v", shown, err)
	}
}
