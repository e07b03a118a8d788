package observe

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
)

func kinesisService() jsonService {
	return jsonService{id: "Kinesis", host: "kinesis", signing: "kinesis", target: "Kinesis_20131202", version: "1.1"}
}

func ssmService() jsonService {
	return jsonService{id: "SSM", host: "ssm", signing: "ssm", target: "AmazonSSM", version: "1.1"}
}

// resource reads under which key a named resource is encrypted, that key if it is
// the account's own, and the resource's policy, but for streams. Streams and
// parameters take an action each that [Policy] does not have:
// kinesis:DescribeStreamSummary and ssm:DescribeParameters.
func (r *reader) resource(ctx context.Context, id string) {
	parsed, err := arn.Parse(id)
	if err != nil {
		r.problem("resource "+id, err)
		return
	}
	found := &inventory.Resource{ARN: id, Type: parsed.Service + ":" + catalog.TypeOf(parsed)}
	err = r.readResource(ctx, parsed, found)
	switch {
	case unserved(err):
		r.put(func(a *inventory.Account) {
			key := inventory.ListKey(found.Type, parsed.Region)
			if _, told := a.Listed[key]; !told {
				a.Listed[key] = inventory.NotAsked
			}
		})
	case notFound(err):
		r.put(func(a *inventory.Account) { a.Resources[id] = nil })
	case err != nil:
		r.problem("resource "+id, err)
	default:
		r.put(func(a *inventory.Account) { a.Resources[id] = found })
		if key, err := arn.Parse(found.KMSKey); err == nil && key.Account == r.account.ID && !strings.HasPrefix(key.Resource, "alias/aws/") {
			r.key(ctx, found.KMSKey)
		}
	}
}

// readResource fills in what is known of a resource. Its key becomes an ARN, of
// the key or of an alias.
func (r *reader) readResource(ctx context.Context, id arn.ARN, out *inventory.Resource) error {
	cfg, err := r.src.Config(ctx, r.account.ID, id.Region)
	if err != nil {
		return err
	}
	region := id.Region
	switch out.Type {
	case "sqs:queue":
		err = queuePolicy(ctx, cfg, queueURL(id), out)
		out.PolicyState = policyState(out.Policy)
	case "sns:topic":
		err = topicPolicy(ctx, sns.NewFromConfig(cfg), out)
		out.PolicyState = policyState(out.Policy)
	case "dynamodb:table":
		c := dynamodb.NewFromConfig(cfg)
		if err = tableKey(ctx, c, out); err == nil {
			documented(ctx, out, tableCarrier(c, out.ARN, "").policy)
		}
	case "s3:bucket":
		region, err = r.bucketKey(ctx, cfg, id.Resource, out)
	case "kinesis:stream":
		err = streamKey(ctx, cfg, out)
	case "ssm:parameter":
		err = parameterKey(ctx, cfg, id, out)
	default:
		err = fmt.Errorf("what a %s is encrypted under is not read", out.Type)
	}
	if err != nil {
		return err
	}
	out.KMSKey = wholeKey(out.KMSKey, region, r.account.ID)
	return nil
}

// documented reads the policy of a resource where that is a call of its own. One
// that may not be read is left as if nobody had looked, which is told as such.
func documented(ctx context.Context, out *inventory.Resource, policy func(context.Context, *inventory.Resource) error) {
	if err := policy(ctx, out); err == nil {
		out.PolicyState = policyState(out.Policy)
	}
}

// policyState is that of a policy that was read, "" for none.
func policyState(policy string) inventory.Lookup {
	if policy == "" {
		return inventory.Absent
	}
	return inventory.Exists
}

// wholeKey is the ARN of a key that a resource calls by id or alias, which means
// one of the resource's own account and Region; "" for none.
func wholeKey(key, region string, account arn.AccountID) string {
	if key == "" || strings.HasPrefix(key, "arn:") {
		return key
	}
	if !strings.HasPrefix(key, "alias/") {
		key = "key/" + key
	}
	return arn.ARN{Partition: catalog.Partition(region), Service: "kms", Region: region, Account: account, Owner: string(account), Resource: key}.String()
}

// queueURL is where a queue is. Source: SQS guide sqs-queue-message-identifiers,
// "Queue URL".
func queueURL(id arn.ARN) string {
	return "https://sqs." + id.Region + "." + dnsSuffix(id.Region) + "/" + id.Owner + "/" + id.Resource
}

func tableKey(ctx context.Context, c *dynamodb.Client, out *inventory.Resource) error {
	got, err := c.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &out.ARN})
	if err != nil {
		return err
	}
	if got.Table == nil {
		return errEmpty
	}
	if sse := got.Table.SSEDescription; sse != nil {
		out.KMSKey = aws.ToString(sse.KMSMasterKeyArn)
	}
	return nil
}

// bucketKey finds the bucket's Region first: its encryption is told there alone.
func (r *reader) bucketKey(ctx context.Context, cfg aws.Config, name string, out *inventory.Resource) (region string, err error) {
	list, err := listBuckets(ctx, cfg, &name)
	if err != nil {
		return "", err
	}
	for _, b := range list {
		if aws.ToString(b.Name) != name {
			continue
		}
		region := bucketRegion(&b, cfg)
		there, err := r.src.Config(ctx, r.account.ID, region)
		if err != nil {
			return "", err
		}
		c := s3.NewFromConfig(there)
		if err := bucketEncryption(ctx, c, &name, out); err != nil {
			return "", err
		}
		documented(ctx, out, func(ctx context.Context, r *inventory.Resource) error { return bucketDocument(ctx, c, &name, r) })
		return region, nil
	}
	return "", missing("bucket", name)
}

// missing says that a listing does not have a thing.
func missing(noun, name string) error {
	return awserr.As(awserr.NotFound, fmt.Errorf("there is no %s %s", noun, name))
}

func streamKey(ctx context.Context, cfg aws.Config, out *inventory.Resource) error {
	var got struct {
		Summary struct{ EncryptionType, KeyId string } `json:"StreamDescriptionSummary"`
	}
	err := kinesisService().call(ctx, cfg, "DescribeStreamSummary", "", struct{ StreamARN string }{out.ARN}, &got)
	if got.Summary.EncryptionType == "KMS" {
		out.KMSKey = got.Summary.KeyId
	}
	return err
}

// parameterKey reads the key of a parameter. A name that is a path begins with a
// slash, of which the ARN has one only. Source: Systems Manager guide
// sysman-paramstore-access.
func parameterKey(ctx context.Context, cfg aws.Config, id arn.ARN, out *inventory.Resource) error {
	name := strings.TrimPrefix(id.Resource, "parameter/")
	if strings.Contains(name, "/") {
		name = "/" + name
	}
	type filter struct {
		Key, Option string
		Values      []string
	}
	type parameter struct{ Name, Type, KeyId string }
	list, err := pages(ctx, func(ctx context.Context, token *string) ([]parameter, *string, error) {
		var got struct {
			Parameters []parameter
			NextToken  *string
		}
		err := ssmService().call(ctx, cfg, "DescribeParameters", "", struct {
			ParameterFilters []filter
			NextToken        *string `json:",omitempty"`
		}{[]filter{{"Name", "Equals", []string{name}}}, token}, &got)
		return got.Parameters, notEmpty(got.NextToken), err
	})
	if err != nil {
		return err
	}
	for _, p := range list {
		if p.Name == name {
			if p.Type == "SecureString" {
				out.KMSKey = p.KeyId
			}
			return nil
		}
	}
	return missing("parameter", name)
}
