package catalog

import (
	"slices"

	"github.com/stile-aws/stile/arn"
)

// Bundle is a named set of permissions over one kind of resource.
type Bundle struct {
	Name    string // "dynamodb/read"
	Summary string // what it lets somebody do
	Service string // the service of the resources it is given
	// Type is the resource type people normally give ("table"); "" when the
	// bundle takes no resource of its own, see NeedsResources.
	Type  string
	Parts []Part
	// Source cites where the list of actions comes from.
	Source string
}

// Part is actions that share the resources they apply to.
type Part struct {
	Actions []string
	// Type is the resource type the actions are authorized on, derived from
	// the resource given; Everything for actions without resource-level
	// permission.
	Type string
}

// Statement is actions with the resources they need, ready to be granted.
type Statement struct {
	Actions   []string
	Resources []string // ARNs or patterns, or the one element Everything
}

// NeedsResources reports whether the bundle must be given resources; one of
// list actions only applies to a whole account.
func (b Bundle) NeedsResources() bool {
	return slices.ContainsFunc(b.Parts, func(p Part) bool { return p.Type != Everything })
}

// Actions lists every action of the bundle, sorted.
func (b Bundle) Actions() []string {
	var all []string
	for _, p := range b.Parts {
		all = append(all, p.Actions...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Fits reports whether the bundle has an action for resource: dynamodb/read
// has for a table, its indexes and its streams, and not for a bucket.
func (b Bundle) Fits(resource arn.ARN) bool {
	if resource.Service != b.Service {
		return false
	}
	return slices.ContainsFunc(b.Parts, func(p Part) bool {
		if p.Type == Everything {
			return false
		}
		_, ok := derive(resource, p.Type)
		return ok
	})
}

// Statements gives what the bundle means for the resources given: each part
// with the given resources it applies to and those derived from them, such as
// a table's indexes. Resources the bundle does not fit are left out; placeholders
// (${account}) pass through. Parts without any resource are left out.
//
// Nothing wider than what was given is derived: s3/read on
// arn:aws:s3:::b/reports/* reads those objects and does not list the bucket.
func (b Bundle) Statements(resources []arn.ARN) []Statement {
	var out []Statement
	for _, p := range b.Parts {
		s := Statement{Actions: slices.Clone(p.Actions)}
		if p.Type == Everything {
			s.Resources = []string{Everything}
		} else {
			s.Resources = b.resourcesOf(p, resources)
		}
		if len(s.Resources) > 0 {
			out = append(out, s)
		}
	}
	return out
}

func (b Bundle) resourcesOf(p Part, given []arn.ARN) []string {
	var out []string
	for _, a := range given {
		if a.Service != b.Service {
			continue
		}
		if r, ok := derive(a, p.Type); ok && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// LookUp finds a bundle by name. The Bundle is a copy whose slices are shared:
// do not change them.
func LookUp(name string) (Bundle, bool) {
	i := slices.IndexFunc(bundles[:], func(b Bundle) bool { return b.Name == name })
	if i < 0 {
		return Bundle{}, false
	}
	return bundles[i], true
}

// Bundles lists all bundles by name.
func Bundles() []Bundle { return slices.Clone(bundles[:]) }

// BundleNames lists the names of all bundles, sorted.
func BundleNames() []string {
	names := make([]string, len(bundles))
	for i, b := range bundles {
		names[i] = b.Name
	}
	return names
}

// bundles is sorted by name.
var bundles = [...]Bundle{
	{
		Name: "cloudformation/read", Summary: "read stacks, their templates, events and resources",
		Service: "cloudformation", Type: "stack",
		Parts: []Part{
			{Type: "stack", Actions: []string{
				"cloudformation:DescribeStackEvents", "cloudformation:DescribeStackResource", "cloudformation:DescribeStackResources", "cloudformation:DescribeStacks",
				"cloudformation:GetStackPolicy", "cloudformation:GetTemplate", "cloudformation:GetTemplateSummary", "cloudformation:ListStackResources",
			}},
		},
		Source: "Service Authorization Reference list_awscloudformation",
	},
	{
		Name: "dynamodb/read", Summary: "read items of a table, through its indexes and its stream too",
		Service: "dynamodb", Type: "table",
		Parts: []Part{
			{Type: "table", Actions: []string{"dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PartiQLSelect", "dynamodb:Query", "dynamodb:Scan"}},
			{Type: "index", Actions: []string{"dynamodb:PartiQLSelect", "dynamodb:Query", "dynamodb:Scan"}},
			{Type: "stream", Actions: []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}},
		},
		Source: "Service Authorization Reference list_amazondynamodb; DynamoDB guide \"Identity-based policy examples\"",
	},
	{
		Name: "dynamodb/read-write", Summary: "read and change items of a table",
		Service: "dynamodb", Type: "table",
		Parts: []Part{
			{Type: "table", Actions: []string{
				"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem",
				"dynamodb:PartiQLDelete", "dynamodb:PartiQLInsert", "dynamodb:PartiQLSelect", "dynamodb:PartiQLUpdate", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem",
			}},
			{Type: "index", Actions: []string{"dynamodb:PartiQLSelect", "dynamodb:Query", "dynamodb:Scan"}},
			{Type: "stream", Actions: []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}},
		},
		Source: "Service Authorization Reference list_amazondynamodb",
	},
	{
		Name: "dynamodb/write", Summary: "change items of a table without reading them",
		Service: "dynamodb", Type: "table",
		Parts: []Part{
			{Type: "table", Actions: []string{
				"dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:DescribeTable",
				"dynamodb:PartiQLDelete", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate", "dynamodb:PutItem", "dynamodb:UpdateItem",
			}},
		},
		Source: "Service Authorization Reference list_amazondynamodb",
	},
	{
		Name: "ecr/pull", Summary: "pull images from a repository",
		Service: "ecr", Type: "repository",
		Parts: []Part{
			{Type: "repository", Actions: []string{"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}},
			{Type: Everything, Actions: []string{"ecr:GetAuthorizationToken"}},
		},
		Source: "ECR guide \"Private repository policy examples\"; managed policy AmazonEC2ContainerRegistryPullOnly",
	},
	{
		Name: "ecr/push", Summary: "push images to a repository, and pull from it",
		Service: "ecr", Type: "repository",
		Parts: []Part{
			{Type: "repository", Actions: []string{
				"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer",
				"ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
			}},
			{Type: Everything, Actions: []string{"ecr:GetAuthorizationToken"}},
		},
		Source: "ECR guide \"IAM permissions for pushing an image\"",
	},
	{
		Name: "eks/describe", Summary: "describe a cluster, as aws eks update-kubeconfig does",
		Service: "eks", Type: "cluster",
		Parts:  []Part{{Type: "cluster", Actions: []string{"eks:DescribeCluster"}}},
		Source: "EKS guide \"Connect kubectl to an EKS cluster by creating a kubeconfig file\"",
	},
	{
		Name: "eks/list", Summary: "list the names of an account's clusters",
		Service: "eks",
		Parts:   []Part{{Type: Everything, Actions: []string{"eks:ListClusters"}}},
		Source:  "Service Authorization Reference list_amazonelastickubernetesservice",
	},
	{
		Name: "events/put", Summary: "put events on an event bus",
		Service: "events", Type: "event-bus",
		Parts:  []Part{{Type: "event-bus", Actions: []string{"events:PutEvents"}}},
		Source: "Service Authorization Reference list_amazoneventbridge",
	},
	{
		Name: "kinesis/consume", Summary: "read the records of a stream, with or without a registered consumer",
		Service: "kinesis", Type: "stream",
		Parts: []Part{
			{Type: "stream", Actions: []string{"kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"}},
			{Type: "consumer", Actions: []string{"kinesis:DescribeStreamConsumer", "kinesis:SubscribeToShard"}},
		},
		Source: "Kinesis guide controlling-access, \"Example policies\"; enhanced fan-out: building-enhanced-consumers-api",
	},
	{
		Name: "kinesis/put", Summary: "put records on a stream",
		Service: "kinesis", Type: "stream",
		Parts:  []Part{{Type: "stream", Actions: []string{"kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:PutRecord", "kinesis:PutRecords"}}},
		Source: "Kinesis guide controlling-access, \"Example policies\"",
	},
	{
		Name: "kms/decrypt", Summary: "decrypt with a key",
		Service: "kms", Type: "key",
		Parts:  []Part{{Type: "key", Actions: []string{"kms:Decrypt", "kms:DescribeKey"}}},
		Source: "KMS guide \"Key users\" and key-policy-modifying-external-accounts",
	},
	{
		Name: "kms/encrypt", Summary: "encrypt with a key, and make data keys",
		Service: "kms", Type: "key",
		Parts: []Part{{Type: "key", Actions: []string{
			"kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptTo",
		}}},
		// Not kms:ReEncryptFrom: re-encrypting under somebody else's key is decrypting.
		Source: "KMS guide \"Key users\" and key-policy-modifying-external-accounts",
	},
	{
		Name: "lambda/invoke", Summary: "invoke a function, its versions and its aliases",
		Service: "lambda", Type: "function",
		Parts: []Part{
			{Type: "function", Actions: []string{"lambda:InvokeFunction"}},
			{Type: "qualified function", Actions: []string{"lambda:InvokeFunction"}},
		},
		Source: "Lambda guide \"Resources and conditions for Lambda actions\"",
	},
	{
		Name: "logs/write", Summary: "write to log streams of a log group",
		Service: "logs", Type: "log-group",
		Parts:  []Part{{Type: "log-stream", Actions: []string{"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"}}},
		Source: "CloudWatch Logs guide iam-access-control-overview-cwl",
	},
	{
		Name: "s3/list", Summary: "list the keys of a bucket",
		Service: "s3", Type: "bucket",
		Parts:  []Part{{Type: "bucket", Actions: []string{"s3:GetBucketLocation", "s3:ListBucket"}}},
		Source: "S3 guide \"Policy actions for Amazon S3\"",
	},
	{
		Name: "s3/list-buckets", Summary: "list the names of an account's buckets",
		Service: "s3",
		Parts:   []Part{{Type: Everything, Actions: []string{"s3:ListAllMyBuckets"}}},
		Source:  "Service Authorization Reference list_amazons3",
	},
	{
		Name: "s3/read", Summary: "read objects, and list the bucket when the whole bucket is given",
		Service: "s3", Type: "bucket",
		Parts: []Part{
			{Type: "bucket", Actions: []string{"s3:GetBucketLocation", "s3:ListBucket"}},
			{Type: "object", Actions: []string{"s3:GetObject"}},
		},
		Source: "S3 guide \"Policy actions for Amazon S3\"",
	},
	{
		Name: "s3/write", Summary: "write and delete objects",
		Service: "s3", Type: "bucket",
		Parts: []Part{
			{Type: "bucket", Actions: []string{"s3:GetBucketLocation", "s3:ListBucketMultipartUploads"}},
			{Type: "object", Actions: []string{"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListMultipartUploadParts", "s3:PutObject"}},
		},
		Source: "S3 guide \"Uploading and copying objects using multipart upload\", API and permissions",
	},
	{
		Name: "secretsmanager/read", Summary: "read a secret's value and description",
		Service: "secretsmanager", Type: "secret",
		Parts:  []Part{{Type: "secret", Actions: []string{"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}}},
		Source: "Secrets Manager guide auth-and-access_examples, \"Permission to retrieve individual secret values\"",
	},
	{
		Name: "sns/publish", Summary: "publish to a topic",
		Service: "sns", Type: "topic",
		Parts:  []Part{{Type: "topic", Actions: []string{"sns:Publish"}}},
		Source: "Service Authorization Reference list_amazonsns",
	},
	{
		Name: "sqs/consume", Summary: "receive and delete messages of a queue",
		Service: "sqs", Type: "queue",
		Parts: []Part{{Type: "queue", Actions: []string{
			"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage",
		}}},
		Source: "SQS guide \"Amazon SQS API permissions: Actions and resource reference\"",
	},
	{
		Name: "sqs/send", Summary: "send messages to a queue",
		Service: "sqs", Type: "queue",
		Parts:  []Part{{Type: "queue", Actions: []string{"sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"}}},
		Source: "SQS guide \"Amazon SQS API permissions: Actions and resource reference\"",
	},
	{
		Name: "ssm/read", Summary: "read parameters of Parameter Store",
		Service: "ssm", Type: "parameter",
		Parts:  []Part{{Type: "parameter", Actions: []string{"ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParameters", "ssm:GetParametersByPath"}}},
		Source: "Systems Manager guide sysman-paramstore-access",
	},
	{
		Name: "states/start", Summary: "start executions of a state machine",
		Service: "states", Type: "stateMachine",
		Parts:  []Part{{Type: "stateMachine", Actions: []string{"states:DescribeStateMachine", "states:ListExecutions", "states:StartExecution", "states:StartSyncExecution"}}},
		Source: "Service Authorization Reference list_awsstepfunctions",
	},
}
