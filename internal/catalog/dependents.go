package catalog

import (
	"slices"
	"strings"
)

// Companion is a permission that a call needs besides its own, on resources
// that follow from the call.
type Companion struct {
	Of     []string // the calls; do not change
	Action string   // "sts:TagSession"
	// When is the input member that makes it necessary; "" when every call
	// needs it.
	When string
	// On says what the permission is needed on.
	On CompanionResource
	// Source cites where AWS says so.
	Source string
}

// CompanionResource says what a companion permission is authorized on.
type CompanionResource uint8

// The places.
const (
	SameResource    CompanionResource = iota // the resource of the call itself, or the one it makes
	ContainedOnes                            // each resource the call stands for, such as each secret of a batch
	OtherResource                            // another resource that the call names
	WithoutResource                          // "*"
)

// Companions lists what a call needs besides its own permission, apart from
// iam:PassRole (see RolePasses) and keys (see KeyUseOf). Nil means that it
// needs nothing, or that the catalog does not know.
func Companions(action string) []Companion {
	var out []Companion
	for _, c := range companions {
		if slices.ContainsFunc(c.Of, func(a string) bool { return strings.EqualFold(a, action) }) {
			out = append(out, c)
		}
	}
	return out
}

// AllCompanions lists every companion the catalog knows.
func AllCompanions() []Companion { return slices.Clone(companions[:]) }

// dependentActions are the companions of an action, and iam:PassRole where it
// passes roles.
func dependentActions(action string) []string {
	var out []string
	for _, c := range companions {
		if slices.Contains(c.Of, action) {
			out = append(out, c.Action)
		}
	}
	if slices.ContainsFunc(rolePasses[:], func(p RolePass) bool { return p.Action == action }) {
		out = append(out, "iam:PassRole")
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// The sources of several rows.
const (
	sessionTagsPage    = "IAM guide id_session-tags, \"Permissions required to add session tags\": sts:TagSession in the trust and in the caller's policies"
	sourceIdentityPage = "IAM guide id_credentials_temp_control-access_monitor, \"Permissions required to set source identity\""
	tagOnCreatePage    = "IAM guide access_tags and the service's own pages on tagging when creating: the tagging permission is checked too"
)

var companions = [...]Companion{
	{Of: []string{"sts:AssumeRole", "sts:GetFederationToken"}, Action: "sts:TagSession", When: "Tags", Source: sessionTagsPage},
	{Of: []string{"sts:AssumeRoleWithSAML"}, Action: "sts:TagSession", When: "SAMLAssertion (PrincipalTag attributes)", Source: sessionTagsPage},
	{Of: []string{"sts:AssumeRoleWithWebIdentity"}, Action: "sts:TagSession", When: "WebIdentityToken (claim https://aws.amazon.com/tags)", Source: sessionTagsPage},
	{Of: []string{"sts:AssumeRole"}, Action: "sts:SetSourceIdentity", When: "SourceIdentity", Source: sourceIdentityPage},
	{Of: []string{"sts:AssumeRoleWithSAML"}, Action: "sts:SetSourceIdentity", When: "SAMLAssertion (SourceIdentity attribute)", Source: sourceIdentityPage},
	{Of: []string{"sts:AssumeRoleWithWebIdentity"}, Action: "sts:SetSourceIdentity", When: "WebIdentityToken (claim https://aws.amazon.com/source_identity)", Source: sourceIdentityPage},
	{
		Of:     []string{"secretsmanager:BatchGetSecretValue"},
		Action: "secretsmanager:GetSecretValue", On: ContainedOnes, Source: "Secrets Manager API BatchGetSecretValue: \"you must have secretsmanager:BatchGetSecretValue, and you must have secretsmanager:GetSecretValue for each secret\"",
	},
	{
		Of:     []string{"secretsmanager:BatchGetSecretValue"},
		Action: "secretsmanager:ListSecrets", When: "Filters", On: WithoutResource, Source: "Secrets Manager API BatchGetSecretValue: \"If you use filters, you must also have secretsmanager:ListSecrets\"",
	},
	{
		Of:     []string{"secretsmanager:RotateSecret"},
		Action: "lambda:InvokeFunction", When: "RotationLambdaARN", On: OtherResource, Source: "Secrets Manager API RotateSecret: \"You also need lambda:InvokeFunction permissions on the rotation function\"",
	},
	{Of: []string{"s3:PutObject"}, Action: "s3:PutObjectTagging", When: "Tagging", Source: "S3 API PutObject, \"Permissions\""},
	{Of: []string{"s3:PutObject"}, Action: "s3:PutObjectAcl", When: "ACL", Source: "S3 API PutObject, \"Permissions\""},
	{Of: []string{"kms:ReEncryptFrom"}, Action: "kms:ReEncryptTo", On: OtherResource, Source: "KMS API ReEncrypt: \"kms:ReEncryptFrom permission on the source KMS key, kms:ReEncryptTo permission on the destination KMS key\""},
	{Of: []string{"kms:ReEncryptTo"}, Action: "kms:ReEncryptFrom", On: OtherResource, Source: "KMS API ReEncrypt, as kms:ReEncryptFrom"},
	{
		Of:     []string{"ecs:RegisterTaskDefinition", "ecs:CreateService", "ecs:RunTask", "ecs:CreateCluster"},
		Action: "ecs:TagResource", When: "tags", Source: tagOnCreatePage,
	},
	{Of: []string{"dynamodb:CreateTable"}, Action: "dynamodb:TagResource", When: "Tags", Source: tagOnCreatePage},
	{Of: []string{"dynamodb:CreateTable"}, Action: "dynamodb:PutResourcePolicy", When: "ResourcePolicy", Source: "DynamoDB guide rbac-create-table: creating a table with a policy"},
	{Of: []string{"ec2:RunInstances", "ec2:CreateVolume", "ec2:CreateSnapshot", "ec2:CreateVpc", "ec2:CreateSubnet", "ec2:CreateSecurityGroup"}, Action: "ec2:CreateTags", When: "TagSpecifications", Source: tagOnCreatePage},
	{Of: []string{"ecr:CreateRepository"}, Action: "ecr:TagResource", When: "tags", Source: tagOnCreatePage},
	{Of: []string{"eks:CreateCluster", "eks:CreateNodegroup", "eks:CreateAccessEntry", "eks:CreatePodIdentityAssociation", "eks:CreateAddon", "eks:CreateFargateProfile"}, Action: "eks:TagResource", When: "tags", Source: tagOnCreatePage},
	{Of: []string{"iam:CreateOpenIDConnectProvider"}, Action: "iam:TagOpenIDConnectProvider", When: "Tags", Source: tagOnCreatePage},
	{Of: []string{"iam:CreatePolicy"}, Action: "iam:TagPolicy", When: "Tags", Source: tagOnCreatePage},
	{Of: []string{"iam:CreateRole"}, Action: "iam:TagRole", When: "Tags", Source: tagOnCreatePage},
	{Of: []string{"iam:CreateUser"}, Action: "iam:TagUser", When: "Tags", Source: tagOnCreatePage},
	{Of: []string{"kms:CreateKey"}, Action: "kms:TagResource", When: "Tags", Source: tagOnCreatePage},
	{Of: []string{"lambda:CreateFunction"}, Action: "lambda:TagResource", When: "Tags", Source: tagOnCreatePage},
	{Of: []string{"logs:CreateLogGroup"}, Action: "logs:TagResource", When: "tags", Source: tagOnCreatePage},
	{Of: []string{"secretsmanager:CreateSecret"}, Action: "secretsmanager:TagResource", When: "Tags", Source: tagOnCreatePage},
	{Of: []string{"secretsmanager:CreateSecret"}, Action: "secretsmanager:ReplicateSecretToRegions", When: "AddReplicaRegions", Source: "Secrets Manager API CreateSecret"},
	{Of: []string{"sns:CreateTopic"}, Action: "sns:TagResource", When: "Tags", Source: tagOnCreatePage},
	{Of: []string{"sqs:CreateQueue"}, Action: "sqs:TagQueue", When: "tags", Source: tagOnCreatePage},
	{Of: []string{"ssm:PutParameter"}, Action: "ssm:AddTagsToResource", When: "Tags", Source: tagOnCreatePage},
}
