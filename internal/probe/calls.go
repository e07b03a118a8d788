package probe

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
)

// missing is the name of an attribute, and its value, that no table has.
const missing = "stile-probe"

// call is the call of a probe on a resource, as who the traveller is now. ok is
// false where there is no client for it.
func (j *journey) call(ctx context.Context, probe catalog.Probe, resource string) (f func() error, ok bool) {
	target, err := arn.Parse(resource)
	if err != nil {
		target = arn.ARN{} // "*"
	}
	cfg := j.as(j.creds, target.Region)
	switch probe.Kind {
	case catalog.ProbeCallerIdentity:
		return func() error {
			_, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
			return err
		}, true
	case catalog.ProbeListClusters:
		return func() error {
			_, err := eks.NewFromConfig(cfg).ListClusters(ctx, &eks.ListClustersInput{MaxResults: aws.Int32(1)})
			return err
		}, true
	case catalog.ProbeDescribeCluster:
		return func() error {
			_, err := eks.NewFromConfig(cfg).DescribeCluster(ctx, &eks.DescribeClusterInput{Name: aws.String(target.Name())})
			return err
		}, true
	case catalog.ProbeDescribeSecret:
		return func() error {
			_, err := secretsmanager.NewFromConfig(cfg).DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &resource})
			return err
		}, true
	case catalog.ProbeGetSecretValue:
		return func() error {
			_, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &resource})
			return err
		}, true
	case catalog.ProbeDescribeKey:
		return func() error {
			_, err := kms.NewFromConfig(cfg).DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &resource})
			return err
		}, true
	case catalog.ProbeGetMissingItem, catalog.ProbeQueryMissing, catalog.ProbeDescribeTable, catalog.ProbeListTables:
		return tableCall(ctx, dynamodb.NewFromConfig(cfg), probe.Kind, resource), true
	case catalog.ProbeListBuckets:
	}
	return nil, false
}

func tableCall(ctx context.Context, c *dynamodb.Client, kind catalog.ProbeKind, resource string) func() error {
	table, index, _ := strings.Cut(resource, "/index/")
	return func() error {
		switch kind {
		case catalog.ProbeGetMissingItem:
			_, err := c.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: map[string]ddbtypes.AttributeValue{missing: &ddbtypes.AttributeValueMemberS{Value: missing}}})
			return err
		case catalog.ProbeDescribeTable:
			_, err := c.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
			return err
		case catalog.ProbeListTables:
			_, err := c.ListTables(ctx, &dynamodb.ListTablesInput{Limit: aws.Int32(1)})
			return err
		}
		in := &dynamodb.QueryInput{
			TableName: &table, Limit: aws.Int32(1), KeyConditionExpression: aws.String("#k = :v"),
			ExpressionAttributeNames:  map[string]string{"#k": missing},
			ExpressionAttributeValues: map[string]ddbtypes.AttributeValue{":v": &ddbtypes.AttributeValueMemberS{Value: missing}},
		}
		if index != "" {
			in.IndexName = &index
		}
		_, err := c.Query(ctx, in)
		return err
	}
}
