package observe

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
)

func sqsService() jsonService {
	return jsonService{id: "SQS", host: "sqs", signing: "sqs", target: "AmazonSQS", version: "1.0"}
}

func lambdaService() jsonService {
	return jsonService{id: "Lambda", host: "lambda", signing: "lambda"}
}

func ecrService() jsonService {
	return jsonService{id: "ECR", host: "api.ecr", signing: "ecr", target: "AmazonEC2ContainerRegistry_V20150921", version: "1.1"}
}

// tagged is an answer of tags as a map.
type tagged struct{ Tags map[string]string }

// queues lists the SQS queues of a Region.
func queues(ctx context.Context, l *listing) error {
	urls, err := pages(ctx, func(ctx context.Context, token *string) ([]string, *string, error) {
		var out struct {
			QueueUrls []string
			NextToken *string
		}
		err := sqsService().call(ctx, l.cfg, "ListQueues", "", struct {
			MaxResults int
			NextToken  *string `json:",omitempty"`
		}{1000, token}, &out)
		return out.QueueUrls, out.NextToken, err
	})
	if err != nil {
		return err
	}
	var all []carrier
	for _, queue := range urls {
		id := "arn:" + catalog.Partition(l.region) + ":sqs:" + l.region + ":" + string(l.account.ID) + ":" + queue[strings.LastIndexByte(queue, '/')+1:]
		all = append(all, carrier{
			resource: &inventory.Resource{ARN: id},
			policy:   func(ctx context.Context, r *inventory.Resource) error { return queuePolicy(ctx, l.cfg, queue, r) },
			tags: func(ctx context.Context) (map[string]string, error) {
				var out tagged
				err := sqsService().call(ctx, l.cfg, "ListQueueTags", "", struct{ QueueUrl string }{queue}, &out)
				return own(out.Tags), goneQueue(err)
			},
		})
	}
	l.carriers(ctx, all)
	return nil
}

func queuePolicy(ctx context.Context, cfg aws.Config, queue string, r *inventory.Resource) error {
	var out struct{ Attributes map[string]string }
	err := sqsService().call(ctx, cfg, "GetQueueAttributes", "", struct {
		QueueUrl       string
		AttributeNames []string
	}{queue, []string{"Policy", "KmsMasterKeyId", "QueueArn"}}, &out)
	if err != nil {
		return goneQueue(err)
	}
	r.ARN = cmp.Or(out.Attributes["QueueArn"], r.ARN)
	r.Policy, r.KMSKey = out.Attributes["Policy"], out.Attributes["KmsMasterKeyId"]
	return nil
}

func goneQueue(err error) error {
	return gone(err, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
}

// functions lists the Lambda functions of a Region. The policy is that of the
// function itself; versions and aliases have their own, which are not read.
func functions(ctx context.Context, l *listing) error {
	type function struct{ FunctionArn, KMSKeyArn string }
	list, err := pages(ctx, func(ctx context.Context, marker *string) ([]function, *string, error) {
		query := url.Values{}
		if marker != nil {
			query.Set("Marker", *marker)
		}
		var out struct {
			Functions  []function
			NextMarker *string
		}
		err := lambdaService().call(ctx, l.cfg, "ListFunctions", "/2015-03-31/functions?"+query.Encode(), nil, &out)
		return out.Functions, notEmpty(out.NextMarker), err
	})
	if err != nil {
		return err
	}
	var all []carrier
	for _, f := range list {
		path := url.PathEscape(f.FunctionArn)
		all = append(all, carrier{
			resource: &inventory.Resource{ARN: f.FunctionArn, KMSKey: f.KMSKeyArn},
			policy: func(ctx context.Context, r *inventory.Resource) error {
				var out struct{ Policy string }
				err := lambdaService().call(ctx, l.cfg, "GetPolicy", "/2015-03-31/functions/"+path+"/policy", nil, &out)
				if notFound(err) { // no policy, or no function any more: the two look alike
					return nil
				}
				r.Policy = out.Policy
				return err
			},
			tags: func(ctx context.Context) (map[string]string, error) {
				var out tagged
				err := lambdaService().call(ctx, l.cfg, "ListTags", "/2017-03-31/tags/"+path, nil, &out)
				return own(out.Tags), err
			},
		})
	}
	l.carriers(ctx, all)
	return nil
}

// notEmpty is token, nil for an empty one.
func notEmpty(token *string) *string {
	if aws.ToString(token) == "" {
		return nil
	}
	return token
}

// repositories lists the ECR repositories of a Region.
func repositories(ctx context.Context, l *listing) error {
	type repository struct {
		RegistryID string `json:"registryId"`
		Name       string `json:"repositoryName"`
		ARN        string `json:"repositoryArn"`
		Encryption struct {
			Key string `json:"kmsKey"`
		} `json:"encryptionConfiguration"`
	}
	list, err := pages(ctx, func(ctx context.Context, token *string) ([]repository, *string, error) {
		var out struct {
			Repositories []repository `json:"repositories"`
			Next         *string      `json:"nextToken"`
		}
		err := ecrService().call(ctx, l.cfg, "DescribeRepositories", "", struct {
			Most int     `json:"maxResults"`
			Next *string `json:"nextToken,omitempty"`
		}{1000, token}, &out)
		return out.Repositories, notEmpty(out.Next), err
	})
	if err != nil {
		return err
	}
	var all []carrier
	for _, one := range list {
		all = append(all, carrier{
			resource: &inventory.Resource{ARN: one.ARN, KMSKey: one.Encryption.Key},
			policy: func(ctx context.Context, r *inventory.Resource) error {
				var out struct {
					Policy string `json:"policyText"`
				}
				err := ecrService().call(ctx, l.cfg, "GetRepositoryPolicy", "", struct {
					Registry string `json:"registryId"`
					Name     string `json:"repositoryName"`
				}{one.RegistryID, one.Name}, &out)
				if code(err) == "RepositoryPolicyNotFoundException" {
					return nil
				}
				r.Policy = out.Policy
				return gone(err, "RepositoryNotFoundException")
			},
			tags: func(ctx context.Context) (map[string]string, error) {
				var out struct {
					Tags []struct{ Key, Value string } `json:"tags"`
				}
				err := ecrService().call(ctx, l.cfg, "ListTagsForResource", "", struct {
					ARN string `json:"resourceArn"`
				}{one.ARN}, &out)
				return pairs(out.Tags, func(t struct{ Key, Value string }) (*string, *string) { return &t.Key, &t.Value }), gone(err, "RepositoryNotFoundException")
			},
		})
	}
	l.carriers(ctx, all)
	return nil
}
