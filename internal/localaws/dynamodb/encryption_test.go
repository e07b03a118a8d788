package dynamodb_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/stile-aws/stile/internal/localaws/dynamodb"
	"github.com/stile-aws/stile/internal/localaws/kms"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

// TestItemsUnderAKeyTakeItsUse: whoever may use the table and not its key is
// refused items, and may look at the table.
func TestItemsUnderAKeyTakeItsUse(t *testing.T) {
	cloud := worldtest.New(t, dynamodb.New(), kms.New())
	admin := cloud.User(worldtest.A, "admin", worldtest.AllowAll)
	made, err := awskms.NewFromConfig(admin).CreateKey(t.Context(), &awskms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	key := *made.KeyMetadata.Arn
	table := "Orders"
	spec := &types.SSESpecification{Enabled: aws.Bool(true), SSEType: types.SSETypeKms, KMSMasterKeyId: made.KeyMetadata.KeyId}
	created, err := client(admin).CreateTable(t.Context(), &awsdb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest, KeySchema: schema("pk"),
		AttributeDefinitions: []types.AttributeDefinition{definition("pk", "S")}, SSESpecification: spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	if sse := created.TableDescription.SSEDescription; sse == nil || *sse.KMSMasterKeyArn != key || sse.SSEType != types.SSETypeKms {
		t.Errorf("SSEDescription = %+v, want key %s", sse, key)
	}
	allow := func(action, resource, condition string) string {
		return `{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"` + condition + `}`
	}
	const (
		through = `,"Condition":{"StringEquals":{"kms:ViaService":"dynamodb.us-east-1.amazonaws.com","kms:EncryptionContext:aws:dynamodb:tableName":"Orders"}}`
		direct  = `,"Condition":{"Null":{"kms:ViaService":"true"}}`
	)
	for name, test := range map[string]struct {
		also    string
		allowed bool
	}{
		"without":                            {"", false},
		"through dynamodb":                   {"," + allow("kms:Decrypt", key, through), true},
		"not through a service":              {"," + allow("kms:Decrypt", key, direct), false},
		"another key":                        {"," + allow("kms:Decrypt", key+"x", ""), false},
		"what no data plane operation takes": {"," + allow("kms:Encrypt", key, ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cloud.User(worldtest.A, strings.ReplaceAll(name, " ", "-"), `{"Version":"2012-10-17","Statement":[`+allow("dynamodb:*", "*", "")+test.also+`]}`)
			c := client(cfg)
			if _, err := c.DescribeTable(t.Context(), &awsdb.DescribeTableInput{TableName: &table}); err != nil {
				t.Errorf("describing the table: %v", err)
			}
			_, get := c.GetItem(t.Context(), &awsdb.GetItemInput{TableName: &table, Key: attrs{"pk": &str{Value: "a"}}})
			_, put := c.PutItem(t.Context(), &awsdb.PutItemInput{TableName: &table, Item: attrs{"pk": &str{Value: "a"}}})
			_, batch := c.BatchGetItem(t.Context(), &awsdb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table: {Keys: []attrs{{"pk": &str{Value: "a"}}}}}})
			_, scan := c.Scan(t.Context(), &awsdb.ScanInput{TableName: &table})
			for operation, err := range map[string]error{"GetItem": get, "PutItem": put, "BatchGetItem": batch, "Scan": scan} {
				switch {
				case test.allowed && err != nil:
					t.Errorf("%s: %v", operation, err)
				case !test.allowed && (err == nil || !strings.Contains(err.Error(), "AccessDenied") || !strings.Contains(err.Error(), "kms:Decrypt")):
					t.Errorf("%s = %v, want a refusal that names kms:Decrypt", operation, err)
				}
			}
		})
	}

	// Under a key that AWS owns or manages, the table's own permissions are enough.
	plain := client(cloud.User(worldtest.A, "plain", `{"Version":"2012-10-17","Statement":[`+allow("dynamodb:GetItem", "*", "")+`]}`))
	for _, spec := range []*types.SSESpecification{{Enabled: aws.Bool(true)}, {Enabled: aws.Bool(false)}} {
		changed, err := client(admin).UpdateTable(t.Context(), &awsdb.UpdateTableInput{TableName: &table, SSESpecification: spec})
		if err != nil || (changed.TableDescription.SSEDescription != nil) != *spec.Enabled {
			t.Fatalf("UpdateTable = %+v, %v", changed, err)
		}
		if _, err := plain.GetItem(t.Context(), &awsdb.GetItemInput{TableName: &table, Key: attrs{"pk": &str{Value: "a"}}}); err != nil {
			t.Errorf("reading under AWS's own key: %v", err)
		}
	}

	// Whoever may not use a key cannot put a table under it either.
	other := client(cloud.User(worldtest.A, "other", `{"Version":"2012-10-17","Statement":[`+allow("dynamodb:*", "*", "")+`]}`))
	if _, err := other.UpdateTable(t.Context(), &awsdb.UpdateTableInput{TableName: &table, SSESpecification: spec}); err == nil || !strings.Contains(err.Error(), "kms:DescribeKey") {
		t.Errorf("UpdateTable = %v, want a refusal that names kms:DescribeKey", err)
	}
	if _, err := awskms.NewFromConfig(admin).DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
	if _, err := client(admin).UpdateTable(t.Context(), &awsdb.UpdateTableInput{TableName: &table, SSESpecification: spec}); err == nil || !strings.Contains(err.Error(), "is disabled") {
		t.Errorf("UpdateTable = %v, want a refusal of the disabled key", err)
	}
}
