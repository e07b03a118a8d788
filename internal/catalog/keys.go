package catalog

import "strings"

// KeyUse is what a caller must be allowed on the KMS key of a resource, along
// with the action itself, when that key is a customer managed key. (AWS managed
// keys allow every principal of their own account, and cannot be shared.)
type KeyUse struct {
	Actions []string // KMS actions the caller needs
	// ViaService is the service part of the kms:ViaService value, in front of
	// ".REGION.amazonaws.com".
	ViaService string
	// ContextKey is the encryption-context key that names the resource, whose
	// value is the resource's ARN, of a table its name; "" when the service sets
	// none that names it.
	ContextKey string
	Source     string
}

// ViaServiceValue is the value of the condition key kms:ViaService for region.
// Source: KMS guide "kms:ViaService": SERVICE.REGION.amazonaws.com.
func (u KeyUse) ViaServiceValue(region string) string {
	return u.ViaService + "." + region + ".amazonaws.com"
}

// KeyUseOf tells which KMS permissions action needs when the resource is
// encrypted under a customer managed key. ok is false when it needs none, or
// when the catalog does not know.
func KeyUseOf(action string) (use KeyUse, ok bool) {
	for _, k := range keyUses {
		for _, a := range k.actions {
			if strings.EqualFold(a, action) {
				return k.use, true
			}
		}
	}
	return KeyUse{}, false
}

// KeyUses lists every action of which KeyUseOf knows, with its use. The slices
// are shared: do not change them.
func KeyUses() map[string]KeyUse {
	all := map[string]KeyUse{}
	for _, k := range keyUses {
		for _, a := range k.actions {
			all[a] = k.use
		}
	}
	return all
}

var keyUses = [...]struct {
	actions []string
	use     KeyUse
}{
	{
		actions: []string{"secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"},
		use: KeyUse{
			Actions: []string{"kms:Decrypt"}, ViaService: "secretsmanager", ContextKey: "SecretARN",
			Source: "Secrets Manager guide security-encryption, \"Permissions for the KMS key\" and \"Encryption context\"",
		},
	},
	{
		actions: []string{"secretsmanager:CreateSecret", "secretsmanager:PutSecretValue", "secretsmanager:ReplicateSecretToRegions", "secretsmanager:UpdateSecret"},
		use: KeyUse{
			Actions: []string{"kms:Decrypt", "kms:GenerateDataKey"}, ViaService: "secretsmanager", ContextKey: "SecretARN",
			Source: "Secrets Manager guide security-encryption, \"Permissions for the KMS key\"",
		},
	},
	{
		actions: []string{"ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:GetParameterHistory"},
		use: KeyUse{
			Actions: []string{"kms:Decrypt"}, ViaService: "ssm", ContextKey: "PARAMETER_ARN",
			Source: "KMS guide services-parameter-store (SecureString parameters only)",
		},
	},
	{
		// A parameter of the advanced tier takes kms:GenerateDataKey instead.
		actions: []string{"ssm:PutParameter"},
		use: KeyUse{
			Actions: []string{"kms:Encrypt"}, ViaService: "ssm", ContextKey: "PARAMETER_ARN",
			Source: "KMS guide services-parameter-store (SecureString parameters only)",
		},
	},
	{
		actions: []string{"kinesis:PutRecord", "kinesis:PutRecords"},
		use: KeyUse{
			Actions: []string{"kms:GenerateDataKey"}, ViaService: "kinesis", ContextKey: "aws:kinesis:arn",
			Source: "Kinesis guide permissions-user-key-KMS, producers",
		},
	},
	{
		actions: []string{"kinesis:GetRecords", "kinesis:SubscribeToShard"},
		use: KeyUse{
			Actions: []string{"kms:Decrypt"}, ViaService: "kinesis", ContextKey: "aws:kinesis:arn",
			Source: "Kinesis guide permissions-user-key-KMS, consumers",
		},
	},
	{
		// ECR works through grants: whoever pulls or pushes needs nothing.
		actions: []string{"ecr:CreateRepository"},
		use: KeyUse{
			Actions: []string{"kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"}, ViaService: "ecr",
			Source: "ECR guide encryption-at-rest, \"Required IAM permissions\"",
		},
	},
	{
		actions: []string{"ec2:AttachVolume", "ec2:CreateVolume", "ec2:RunInstances"},
		use: KeyUse{
			Actions:    []string{"kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"},
			ViaService: "ec2",
			Source:     "EBS guide ebs-encryption-requirements, \"Permissions for users\"",
		},
	},
	{
		actions: []string{"s3:GetObject", "s3:GetObjectVersion"},
		use: KeyUse{
			Actions: []string{"kms:Decrypt"}, ViaService: "s3", ContextKey: "aws:s3:arn",
			Source: "S3 guide UsingKMSEncryption (SSE-KMS)",
		},
	},
	{
		actions: []string{"s3:PutObject"},
		use: KeyUse{
			Actions: []string{"kms:Decrypt", "kms:GenerateDataKey"}, ViaService: "s3", ContextKey: "aws:s3:arn",
			Source: "S3 guide UsingKMSEncryption (SSE-KMS; Decrypt is for multipart uploads)",
		},
	},
	{
		actions: []string{"sqs:ReceiveMessage"},
		use: KeyUse{
			Actions: []string{"kms:Decrypt"}, ViaService: "sqs", ContextKey: "aws:sqs:arn",
			Source: "SQS guide sqs-key-management, \"Configuring KMS permissions\"",
		},
	},
	{
		actions: []string{"sqs:SendMessage"},
		use: KeyUse{
			Actions: []string{"kms:Decrypt", "kms:GenerateDataKey"}, ViaService: "sqs", ContextKey: "aws:sqs:arn",
			Source: "SQS guide sqs-key-management, \"Configuring KMS permissions\"",
		},
	},
	{
		actions: []string{"sns:Publish"},
		use: KeyUse{
			Actions: []string{"kms:Decrypt", "kms:GenerateDataKey"}, ViaService: "sns", ContextKey: "aws:sns:topicArn",
			Source: "SNS guide sns-key-management, \"Configuring AWS KMS permissions\"",
		},
	},
	{
		// The caller of the data plane needs Decrypt for a table under its own
		// key; aws-cdk's grantReadData adds the same.
		actions: []string{
			"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:GetRecords",
			"dynamodb:PartiQLDelete", "dynamodb:PartiQLInsert", "dynamodb:PartiQLSelect", "dynamodb:PartiQLUpdate",
			"dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem",
		},
		use: KeyUse{
			Actions: []string{"kms:Decrypt", "kms:DescribeKey"}, ViaService: "dynamodb", ContextKey: "aws:dynamodb:tableName",
			Source: "DynamoDB guide encryption.usagenotes, \"Authorizing use of a customer managed key\" and \"DynamoDB encryption context\"",
		},
	},
}
