package clients_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// goClient is the program that makes calls by the AWS SDK for Go as a program
// of any user would: config.LoadDefaultConfig, and nothing set by hand.
func goClient(in io.Reader, out io.Writer) int {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var q struct {
			call
			Input json.RawMessage `json:"input"`
		}
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			fmt.Fprintln(out, err)
			return 1
		}
		if err := json.NewEncoder(out).Encode(goCall(context.Background(), q.call, q.Input)); err != nil {
			return 1
		}
	}
	return 0
}

func goCall(ctx context.Context, q call, input json.RawMessage) answer {
	var options []func(*config.LoadOptions) error
	if q.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(q.Profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return goError(err)
	}
	do, ok := goOperations(cfg)[q.Service+"."+q.Operation]
	if !ok {
		return answer{Other: "the Go client has no " + q.Service + "." + q.Operation}
	}
	output, err := do(ctx, input)
	if err != nil {
		return goError(err)
	}
	return answer{Output: output}
}

func goError(err error) answer {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return answer{Other: err.Error()}
	}
	a := answer{Code: api.ErrorCode(), Message: api.ErrorMessage()}
	if resp, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		a.Status = resp.HTTPStatusCode()
	}
	return a
}

type goOperation func(ctx context.Context, input json.RawMessage) (map[string]any, error)

func goOperations(cfg aws.Config) map[string]goOperation {
	s, i, e, d := sts.NewFromConfig(cfg), iam.NewFromConfig(cfg), eks.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg)
	m, o := secretsmanager.NewFromConfig(cfg), organizations.NewFromConfig(cfg)
	return map[string]goOperation{
		"sts.GetCallerIdentity":          typed(s.GetCallerIdentity),
		"iam.GetRole":                    typed(i.GetRole),
		"iam.ListRoles":                  typed(i.ListRoles),
		"iam.ListRolePolicies":           typed(i.ListRolePolicies),
		"iam.ListAttachedRolePolicies":   typed(i.ListAttachedRolePolicies),
		"iam.ListOpenIDConnectProviders": typed(i.ListOpenIDConnectProviders),
		"iam.CreateRole":                 typed(i.CreateRole),
		"eks.ListClusters":               typed(e.ListClusters),
		"eks.DescribeCluster":            typed(e.DescribeCluster),
		"eks.ListTagsForResource":        typed(e.ListTagsForResource),
		"secretsmanager.GetSecretValue":  typed(m.GetSecretValue),
		"secretsmanager.DescribeSecret":  typed(m.DescribeSecret),
		"organizations.ListAccounts":     typed(o.ListAccounts),
		"dynamodb.GetItem":               getItem(d),
		"dynamodb.PutItem":               putItem(d),
		"dynamodb.Query":                 query(d),
		"dynamodb.Scan":                  scan(d),
	}
}

// typed reads an operation's input from JSON and writes its output so.
func typed[I, O, P any](op func(context.Context, *I, ...func(*P)) (*O, error)) goOperation {
	return func(ctx context.Context, input json.RawMessage) (map[string]any, error) {
		in := new(I)
		if err := json.Unmarshal(input, in); err != nil {
			return nil, err
		}
		out, err := op(ctx, in)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(out)
		if err != nil {
			return nil, err
		}
		var m map[string]any
		return m, json.Unmarshal(text, &m)
	}
}

// item is an item as AWS writes it, strings and numbers only.
type item map[string]map[string]string

func (i item) values() map[string]ddbtypes.AttributeValue {
	out := map[string]ddbtypes.AttributeValue{}
	for name, v := range i {
		if n, ok := v["N"]; ok {
			out[name] = &ddbtypes.AttributeValueMemberN{Value: n}
		} else {
			out[name] = &ddbtypes.AttributeValueMemberS{Value: v["S"]}
		}
	}
	return out
}

func itemOf(values map[string]ddbtypes.AttributeValue) map[string]any {
	out := map[string]any{}
	for name, v := range values {
		switch v := v.(type) {
		case *ddbtypes.AttributeValueMemberS:
			out[name] = map[string]any{"S": v.Value}
		case *ddbtypes.AttributeValueMemberN:
			out[name] = map[string]any{"N": v.Value}
		}
	}
	return out
}

func itemsOf(all []map[string]ddbtypes.AttributeValue, count int32) map[string]any {
	var items []any
	for _, values := range all {
		items = append(items, itemOf(values))
	}
	return map[string]any{"Items": items, "Count": count}
}

// tableInput is what the calls on tables here have in common.
type tableInput struct {
	TableName                 string
	Key, Item                 item
	KeyConditionExpression    *string
	ExpressionAttributeValues item
}

// onTable is a call on a table with its input read.
func onTable(op func(context.Context, tableInput) (map[string]any, error)) goOperation {
	return func(ctx context.Context, input json.RawMessage) (map[string]any, error) {
		var in tableInput
		if err := json.Unmarshal(input, &in); err != nil {
			return nil, err
		}
		return op(ctx, in)
	}
}

func getItem(c *dynamodb.Client) goOperation {
	return onTable(func(ctx context.Context, in tableInput) (map[string]any, error) {
		out, err := c.GetItem(ctx, &dynamodb.GetItemInput{TableName: &in.TableName, Key: in.Key.values()})
		if err != nil {
			return nil, err
		}
		return map[string]any{"Item": itemOf(out.Item)}, nil
	})
}

func putItem(c *dynamodb.Client) goOperation {
	return onTable(func(ctx context.Context, in tableInput) (map[string]any, error) {
		_, err := c.PutItem(ctx, &dynamodb.PutItemInput{TableName: &in.TableName, Item: in.Item.values()})
		return nil, err
	})
}

func query(c *dynamodb.Client) goOperation {
	return onTable(func(ctx context.Context, in tableInput) (map[string]any, error) {
		out, err := c.Query(ctx, &dynamodb.QueryInput{
			TableName: &in.TableName, KeyConditionExpression: in.KeyConditionExpression, ExpressionAttributeValues: in.ExpressionAttributeValues.values(),
		})
		if err != nil {
			return nil, err
		}
		return itemsOf(out.Items, out.Count), nil
	})
}

func scan(c *dynamodb.Client) goOperation {
	return onTable(func(ctx context.Context, in tableInput) (map[string]any, error) {
		out, err := c.Scan(ctx, &dynamodb.ScanInput{TableName: &in.TableName})
		if err != nil {
			return nil, err
		}
		return itemsOf(out.Items, out.Count), nil
	})
}
