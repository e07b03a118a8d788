package observe

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
)

// carrier is one resource with the calls that read what decides about it.
type carrier struct {
	resource *inventory.Resource
	// policy fills in the policy and whatever comes with it. An error that is
	// one of AWS's spellings of absence means that the resource is gone.
	policy func(ctx context.Context, r *inventory.Resource) error
	tags   func(ctx context.Context) (map[string]string, error)
}

// carriers reads what decides about each resource of a listing. A resource
// whose policy cannot be read is kept, and says so.
func (l *listing) carriers(ctx context.Context, all []carrier) {
	each(l, all, func(c carrier) {
		r := c.resource
		r.Type = cmp.Or(r.Type, l.kind)
		err := c.policy(ctx, r)
		switch {
		case notFound(err):
			return
		case err != nil:
			r.PolicyState = inventory.Unread
			r.PolicyWhy = awserr.Text(err)
			l.fail("policy of "+r.ARN, err)
		case r.Policy == "":
			r.PolicyState = inventory.Absent
		default:
			r.PolicyState = inventory.Exists
		}
		if r.Tags, err = c.tags(ctx); err != nil && !notFound(err) {
			r.Tags = nil
			l.fail("tags of "+r.ARN, err)
		}
		l.put(func(a *inventory.Account) { a.Resources[r.ARN] = r })
	})
}

// pairs makes a map of any service's tags; it is never nil, for nil are tags
// that were not read.
func pairs[T any](list []T, of func(T) (key, value *string)) map[string]string {
	out := make(map[string]string, len(list))
	for _, t := range list {
		key, value := of(t)
		out[aws.ToString(key)] = aws.ToString(value)
	}
	return out
}

// own is m, or an empty map for none.
func own(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// listBuckets lists the S3 buckets of all Regions, or those whose names begin with prefix.
func listBuckets(ctx context.Context, cfg aws.Config, prefix *string) ([]s3types.Bucket, error) {
	// A listing that says how many it wants tells the buckets' Regions (S3 API
	// reference, Bucket.BucketRegion).
	return collect(ctx, s3.NewListBucketsPaginator(s3.NewFromConfig(cfg), &s3.ListBucketsInput{MaxBuckets: aws.Int32(1000), Prefix: prefix}),
		func(page *s3.ListBucketsOutput) []s3types.Bucket { return page.Buckets })
}

func bucketRegion(b *s3types.Bucket, cfg aws.Config) string {
	return cmp.Or(aws.ToString(b.BucketRegion), cfg.Region)
}

// buckets lists the S3 buckets of all Regions.
func buckets(ctx context.Context, l *listing) error {
	list, err := listBuckets(ctx, l.cfg, nil)
	if err != nil {
		return err
	}
	var all []carrier
	for _, b := range list {
		region := bucketRegion(&b, l.cfg)
		cfg, err := l.src.Config(ctx, l.account.ID, region)
		if err != nil {
			return err
		}
		c := s3.NewFromConfig(cfg)
		all = append(all, carrier{
			resource: &inventory.Resource{ARN: "arn:" + catalog.Partition(region) + ":s3:::" + aws.ToString(b.Name)},
			policy:   func(ctx context.Context, r *inventory.Resource) error { return bucketPolicy(ctx, c, b.Name, r) },
			tags: func(ctx context.Context) (map[string]string, error) {
				got, err := c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: b.Name})
				if err != nil {
					if none(err, "NoSuchTagSet") {
						return map[string]string{}, nil
					}
					return nil, err
				}
				return pairs(got.TagSet, func(t s3types.Tag) (*string, *string) { return t.Key, t.Value }), nil
			},
		})
	}
	l.carriers(ctx, all)
	return nil
}

// bucketEncryption reads the key that objects are encrypted under by default.
func bucketEncryption(ctx context.Context, c *s3.Client, name *string, r *inventory.Resource) error {
	key, err := c.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: name})
	if err != nil && !none(err, "ServerSideEncryptionConfigurationNotFoundError") {
		return gone(err, "NoSuchBucket")
	}
	if err == nil && key.ServerSideEncryptionConfiguration != nil {
		for _, rule := range key.ServerSideEncryptionConfiguration.Rules {
			if by := rule.ApplyServerSideEncryptionByDefault; by != nil {
				r.KMSKey = aws.ToString(by.KMSMasterKeyID)
			}
		}
	}
	return nil
}

func bucketPolicy(ctx context.Context, c *s3.Client, name *string, r *inventory.Resource) error {
	if err := bucketEncryption(ctx, c, name, r); err != nil {
		return err
	}
	return bucketDocument(ctx, c, name, r)
}

func bucketDocument(ctx context.Context, c *s3.Client, name *string, r *inventory.Resource) error {
	doc, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: name})
	if err != nil {
		if none(err, "NoSuchBucketPolicy") {
			return nil
		}
		return gone(err, "NoSuchBucket")
	}
	r.Policy = aws.ToString(doc.Policy)
	return nil
}

// tables lists the DynamoDB tables of a Region; a table's stream, which has a
// policy of its own, comes with it.
func tables(ctx context.Context, l *listing) error {
	c := dynamodb.NewFromConfig(l.cfg)
	names, err := collect(ctx, dynamodb.NewListTablesPaginator(c, &dynamodb.ListTablesInput{}), func(page *dynamodb.ListTablesOutput) []string { return page.TableNames })
	if err != nil {
		return err
	}
	each(l, names, func(name string) {
		got, err := c.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
		if err == nil && got.Table == nil {
			err = errEmpty
		}
		switch {
		case notFound(err):
			return
		case err != nil:
			l.fail("table "+name, err)
			return
		}
		table := tableCarrier(c, aws.ToString(got.Table.TableArn), "")
		if sse := got.Table.SSEDescription; sse != nil {
			table.resource.KMSKey = aws.ToString(sse.KMSMasterKeyArn)
		}
		all := []carrier{table}
		if stream := got.Table.LatestStreamArn; stream != nil && got.Table.StreamSpecification != nil && aws.ToBool(got.Table.StreamSpecification.StreamEnabled) {
			all = append(all, tableCarrier(c, *stream, "dynamodb:stream"))
		}
		l.carriers(ctx, all)
	})
	return nil
}

func tableCarrier(c *dynamodb.Client, id, kind string) carrier {
	out := carrier{
		resource: &inventory.Resource{ARN: id, Type: kind},
		policy: func(ctx context.Context, r *inventory.Resource) error {
			doc, err := c.GetResourcePolicy(ctx, &dynamodb.GetResourcePolicyInput{ResourceArn: &id})
			if code(err) == "PolicyNotFoundException" {
				return nil
			}
			if err != nil {
				return err
			}
			r.Policy = aws.ToString(doc.Policy)
			return nil
		},
		tags: func(ctx context.Context) (map[string]string, error) {
			list, err := pages(ctx, func(ctx context.Context, token *string) ([]dynamotypes.Tag, *string, error) {
				got, err := c.ListTagsOfResource(ctx, &dynamodb.ListTagsOfResourceInput{ResourceArn: &id, NextToken: token})
				if err != nil {
					return nil, nil, err
				}
				return got.Tags, got.NextToken, nil
			})
			return pairs(list, func(t dynamotypes.Tag) (*string, *string) { return t.Key, t.Value }), err
		},
	}
	if kind != "" { // streams have no tags
		out.tags = func(context.Context) (map[string]string, error) { return map[string]string{}, nil }
	}
	return out
}

// topics lists the SNS topics of a Region.
func topics(ctx context.Context, l *listing) error {
	c := sns.NewFromConfig(l.cfg)
	list, err := collect(ctx, sns.NewListTopicsPaginator(c, &sns.ListTopicsInput{}), func(page *sns.ListTopicsOutput) []snstypes.Topic { return page.Topics })
	if err != nil {
		return err
	}
	var all []carrier
	for _, topic := range list {
		all = append(all, carrier{
			resource: &inventory.Resource{ARN: aws.ToString(topic.TopicArn)},
			policy:   func(ctx context.Context, r *inventory.Resource) error { return topicPolicy(ctx, c, r) },
			tags: func(ctx context.Context) (map[string]string, error) {
				got, err := c.ListTagsForResource(ctx, &sns.ListTagsForResourceInput{ResourceArn: topic.TopicArn})
				if err != nil {
					return nil, gone(err, "ResourceNotFound")
				}
				return pairs(got.Tags, func(t snstypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
			},
		})
	}
	l.carriers(ctx, all)
	return nil
}

func topicPolicy(ctx context.Context, c *sns.Client, r *inventory.Resource) error {
	got, err := c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &r.ARN})
	if err != nil {
		return gone(err, "NotFound")
	}
	r.Policy, r.KMSKey = got.Attributes["Policy"], got.Attributes["KmsMasterKeyId"]
	return nil
}
