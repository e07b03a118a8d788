package catalog

import (
	"slices"

	"github.com/stile-aws/stile/arn"
)

// PolicyCall is the operation that sets a resource policy of a service.
type PolicyCall struct {
	Service string // the service's endpoint prefix in AWS's models: "secretsmanager"
	Set     string // "PutResourcePolicy"
	Get     string // "" when the service has none in its model
	Delete  string // "" when the policy can only be replaced
	Param   string // the input member that carries the document; "" when the operation takes single statements or permissions
	// MaxChars is the longest document the service's model admits; 0 when the
	// model sets no bound, which does not mean that there is none.
	MaxChars int
	// Guards are input members that protect an update: revision ids against
	// lost updates, switches against public access or lockout. Where no
	// revision is among them, writers must read again after writing.
	Guards []string
}

// PolicyCalls lists the calls of a service (its prefix in AWS's models) that
// set a resource policy; nil when none is known.
func PolicyCalls(service string) []PolicyCall {
	var out []PolicyCall
	for _, c := range policyCalls {
		if c.Service == service {
			out = append(out, c)
		}
	}
	return out
}

// PolicyCallFor is the call that sets the resource policy of the resource a
// stands for. ok is false when resources of that type take none, or when the
// catalog does not know the type; a DynamoDB table takes one, its indexes share
// the table's, and SSM parameters of the standard tier take none.
func PolicyCallFor(a arn.ARN) (call PolicyCall, ok bool) {
	kind := TypeOf(a)
	if kind == "" {
		return callForTypes(TypesOf(a))
	}
	for _, p := range policyOf {
		if p.service != a.Service || p.kind != kind {
			continue
		}
		for _, c := range policyCalls {
			if c.Service == p.service && c.Set == p.set {
				return c, true
			}
		}
	}
	return PolicyCall{}, false
}

// callForTypes finds a call for any of the types.
func callForTypes(types []ResourceType) (PolicyCall, bool) {
	for _, t := range types {
		for _, target := range PolicyTargets(t.Service) {
			if target.Type == t.Name {
				return target.Call, true
			}
		}
	}
	return PolicyCall{}, false
}

// PolicyTypes lists the resource types of the bundles' services for which
// PolicyCallFor knows a call, as "service/type", sorted; PolicyTargets knows
// those of all services.
func PolicyTypes() []string {
	var out []string
	for _, p := range policyOf {
		out = append(out, p.service+"/"+p.kind)
	}
	slices.Sort(out)
	return out
}

// policyOf says which resource types accept a resource policy. Source: IAM
// guide reference_aws-services-that-work-with-iam.html, column "Resource-based
// policies", and each service's guide. ECS, EKS and Parameter Store (standard
// tier) have none.
var policyOf = [...]struct{ service, kind, set string }{
	{"dynamodb", "table", "PutResourcePolicy"},
	{"dynamodb", "stream", "PutResourcePolicy"},
	{"ecr", "repository", "SetRepositoryPolicy"},
	{"events", "event-bus", "PutPermission"},
	{"kinesis", "consumer", "PutResourcePolicy"},
	{"kinesis", "stream", "PutResourcePolicy"},
	{"kms", "key", "PutKeyPolicy"},
	{"lambda", "function", "AddPermission"},
	{"lambda", "qualified function", "AddPermission"},
	{"s3", "bucket", "PutBucketPolicy"},
	{"s3", "object", "PutBucketPolicy"}, // the bucket's policy decides for its objects
	{"secretsmanager", "secret", "PutResourcePolicy"},
	{"sns", "topic", "SetTopicAttributes"},
	{"sqs", "queue", "SetQueueAttributes"}, // AddPermission takes account principals only
}

// policyCalls was taken from botocore's service models (Apache-2.0): operations
// whose input carries a resource policy or adds to one, with the bound and the
// guards the model states.
var policyCalls = [...]PolicyCall{
	{Service: "acm-pca", Set: "PutPolicy", Get: "GetPolicy", Delete: "DeletePolicy", Param: "Policy", MaxChars: 81920},
	{Service: "aiops", Set: "PutInvestigationGroupPolicy", Get: "GetInvestigationGroupPolicy", Delete: "DeleteInvestigationGroupPolicy", Param: "policy", MaxChars: 32768},
	{Service: "amp", Set: "PutResourcePolicy", Get: "DescribeResourcePolicy", Delete: "DeleteResourcePolicy", Param: "policyDocument"},
	{Service: "apigatewayv2", Set: "PutPortalProductSharingPolicy", Get: "GetPortalProductSharingPolicy", Delete: "DeletePortalProductSharingPolicy", Param: "PolicyDocument", MaxChars: 307200},
	{Service: "backup", Set: "PutBackupVaultAccessPolicy", Get: "GetBackupVaultAccessPolicy", Delete: "DeleteBackupVaultAccessPolicy", Param: "Policy"},
	{Service: "bedrock", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "resourcePolicy", MaxChars: 20480},
	{Service: "bedrock-agent", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "policy", MaxChars: 20480, Guards: []string{"expectedRevisionId"}},
	{Service: "bedrock-agentcore-control", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "policy", MaxChars: 20480},
	{Service: "cleanroomsml", Set: "PutConfiguredAudienceModelPolicy", Get: "GetConfiguredAudienceModelPolicy", Delete: "DeleteConfiguredAudienceModelPolicy", Param: "configuredAudienceModelPolicy", MaxChars: 20480, Guards: []string{"previousPolicyHash"}},
	{Service: "cloudfront", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "PolicyDocument"},
	{Service: "cloudhsmv2", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Policy", MaxChars: 20000},
	{Service: "cloudtrail", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "ResourcePolicy", MaxChars: 8192},
	{Service: "codeartifact", Set: "PutDomainPermissionsPolicy", Get: "GetDomainPermissionsPolicy", Delete: "DeleteDomainPermissionsPolicy", Param: "policyDocument", MaxChars: 7168, Guards: []string{"policyRevision"}},
	{Service: "codeartifact", Set: "PutRepositoryPermissionsPolicy", Get: "GetRepositoryPermissionsPolicy", Delete: "DeleteRepositoryPermissionsPolicy", Param: "policyDocument", MaxChars: 7168, Guards: []string{"policyRevision"}},
	{Service: "codebuild", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "policy"},
	{Service: "codeguruprofiler", Set: "PutPermission", Delete: "RemovePermission"},
	{Service: "comprehend", Set: "PutResourcePolicy", Get: "DescribeResourcePolicy", Delete: "DeleteResourcePolicy", Param: "ResourcePolicy", MaxChars: 20000, Guards: []string{"PolicyRevisionId"}},
	{Service: "dsql", Set: "PutClusterPolicy", Get: "GetClusterPolicy", Delete: "DeleteClusterPolicy", Param: "policy", MaxChars: 20480},
	{Service: "dynamodb", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Policy", Guards: []string{"ExpectedRevisionId", "ConfirmRemoveSelfResourceAccess"}},
	{Service: "ec2", Set: "ModifyImageAttribute", Get: "DescribeImageAttribute"},
	{Service: "ec2", Set: "ModifySnapshotAttribute", Get: "DescribeSnapshotAttribute"},
	{Service: "ec2", Set: "ModifyVerifiedAccessEndpointPolicy", Get: "GetVerifiedAccessEndpointPolicy", Param: "PolicyDocument"},
	{Service: "ec2", Set: "ModifyVerifiedAccessGroupPolicy", Get: "GetVerifiedAccessGroupPolicy", Param: "PolicyDocument"},
	{Service: "ec2", Set: "ModifyVpcEndpoint", Get: "DescribeVpcEndpoints", Param: "PolicyDocument"},
	{Service: "ec2", Set: "ModifyVpcEndpointServicePermissions", Get: "DescribeVpcEndpointServicePermissions"},
	{Service: "ecr", Set: "PutRegistryPolicy", Get: "GetRegistryPolicy", Delete: "DeleteRegistryPolicy", Param: "policyText", MaxChars: 10240},
	{Service: "ecr", Set: "SetRepositoryPolicy", Get: "GetRepositoryPolicy", Delete: "DeleteRepositoryPolicy", Param: "policyText", MaxChars: 10240, Guards: []string{"force"}},
	{Service: "ecr-public", Set: "SetRepositoryPolicy", Get: "GetRepositoryPolicy", Delete: "DeleteRepositoryPolicy", Param: "policyText", MaxChars: 10240, Guards: []string{"force"}},
	{Service: "efs", Set: "PutFileSystemPolicy", Get: "DescribeFileSystemPolicy", Delete: "DeleteFileSystemPolicy", Param: "Policy", MaxChars: 20000, Guards: []string{"BypassPolicyLockoutSafetyCheck"}},
	{Service: "entityresolution", Set: "PutPolicy", Get: "GetPolicy", Delete: "DeletePolicyStatement", Param: "policy", MaxChars: 40960},
	{Service: "es", Set: "UpdateElasticsearchDomainConfig", Get: "DescribeElasticsearchDomainConfig", Param: "AccessPolicies"},
	{Service: "events", Set: "PutPermission", Get: "DescribeEventBus", Delete: "RemovePermission", Param: "Policy"},
	{Service: "glacier", Set: "SetVaultAccessPolicy", Get: "GetVaultAccessPolicy", Delete: "DeleteVaultAccessPolicy", Param: "policy"},
	{Service: "glue", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "PolicyInJson", Guards: []string{"PolicyHashCondition", "PolicyExistsCondition"}},
	{Service: "iam", Set: "UpdateAssumeRolePolicy", Get: "GetRole", Param: "PolicyDocument", MaxChars: 131072},
	{Service: "imagebuilder", Set: "PutComponentPolicy", Get: "GetComponentPolicy", Param: "policy", MaxChars: 30000},
	{Service: "imagebuilder", Set: "PutContainerRecipePolicy", Get: "GetContainerRecipePolicy", Param: "policy", MaxChars: 30000},
	{Service: "imagebuilder", Set: "PutImagePolicy", Get: "GetImagePolicy", Param: "policy", MaxChars: 30000},
	{Service: "imagebuilder", Set: "PutImageRecipePolicy", Get: "GetImageRecipePolicy", Param: "policy", MaxChars: 30000},
	{Service: "kafka", Set: "PutClusterPolicy", Get: "GetClusterPolicy", Delete: "DeleteClusterPolicy", Param: "Policy"},
	{Service: "kinesis", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Policy"},
	{Service: "kms", Set: "PutKeyPolicy", Get: "GetKeyPolicy", Param: "Policy", MaxChars: 131072, Guards: []string{"BypassPolicyLockoutSafetyCheck"}},
	{Service: "lambda", Set: "AddLayerVersionPermission", Get: "GetLayerVersionPolicy", Delete: "RemoveLayerVersionPermission", Guards: []string{"RevisionId"}},
	{Service: "lambda", Set: "AddPermission", Get: "GetPolicy", Delete: "RemovePermission", Guards: []string{"RevisionId"}},
	{Service: "lexv2-models", Set: "CreateResourcePolicy", Get: "DescribeResourcePolicy", Delete: "DeleteResourcePolicy", Param: "policy"},
	{Service: "lexv2-models", Set: "UpdateResourcePolicy", Get: "DescribeResourcePolicy", Delete: "DeleteResourcePolicy", Param: "policy", Guards: []string{"expectedRevisionId"}},
	{Service: "logs", Set: "PutDeliveryDestinationPolicy", Get: "GetDeliveryDestinationPolicy", Delete: "DeleteDeliveryDestinationPolicy", Param: "deliveryDestinationPolicy", MaxChars: 51200},
	{Service: "logs", Set: "PutDestinationPolicy", Param: "accessPolicy"},
	{Service: "logs", Set: "PutResourcePolicy", Delete: "DeleteResourcePolicy", Param: "policyDocument", MaxChars: 51200, Guards: []string{"expectedRevisionId"}},
	{Service: "lookoutequipment", Set: "PutResourcePolicy", Get: "DescribeResourcePolicy", Delete: "DeleteResourcePolicy", Param: "ResourcePolicy", MaxChars: 20000, Guards: []string{"PolicyRevisionId"}},
	{Service: "marketplace-catalog", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Policy", MaxChars: 10240},
	{Service: "mediapackagev2", Set: "PutChannelPolicy", Get: "GetChannelPolicy", Delete: "DeleteChannelPolicy", Param: "Policy", MaxChars: 6144},
	{Service: "mediapackagev2", Set: "PutOriginEndpointPolicy", Get: "GetOriginEndpointPolicy", Delete: "DeleteOriginEndpointPolicy", Param: "Policy", MaxChars: 6144},
	{Service: "mediastore", Set: "PutContainerPolicy", Get: "GetContainerPolicy", Delete: "DeleteContainerPolicy", Param: "Policy", MaxChars: 8192},
	{Service: "mediatailor", Set: "PutChannelPolicy", Get: "GetChannelPolicy", Delete: "DeleteChannelPolicy", Param: "Policy"},
	{Service: "migration-hub-refactor-spaces", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Policy", MaxChars: 300000},
	{Service: "network-firewall", Set: "PutResourcePolicy", Get: "DescribeResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Policy", MaxChars: 395000},
	{Service: "networkmanager", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "PolicyDocument", MaxChars: 10000000},
	{Service: "oam", Set: "PutSinkPolicy", Get: "GetSinkPolicy", Param: "Policy"},
	{Service: "omics", Set: "PutS3AccessPolicy", Get: "GetS3AccessPolicy", Delete: "DeleteS3AccessPolicy", Param: "s3AccessPolicy", MaxChars: 100000},
	{Service: "opensearch", Set: "UpdateDomainConfig", Get: "DescribeDomainConfig", Param: "AccessPolicies", MaxChars: 102400},
	{Service: "opensearchserverless", Set: "CreateAccessPolicy", Get: "GetAccessPolicy", Delete: "DeleteAccessPolicy", Param: "policy", MaxChars: 20480},
	{Service: "opensearchserverless", Set: "UpdateAccessPolicy", Get: "GetAccessPolicy", Delete: "DeleteAccessPolicy", Param: "policy", MaxChars: 20480},
	{Service: "organizations", Set: "PutResourcePolicy", Get: "DescribeResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Content"},
	{Service: "osis", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Policy", MaxChars: 204800},
	{Service: "payment-cryptography", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Policy", MaxChars: 20480},
	{Service: "pinpoint-sms-voice-v2", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Policy", MaxChars: 10000},
	{Service: "rds", Set: "ModifyDBSnapshotAttribute", Get: "DescribeDBSnapshotAttributes"},
	{Service: "redshift", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Policy", MaxChars: 2147483647},
	{Service: "redshift-serverless", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "policy"},
	{Service: "rekognition", Set: "PutProjectPolicy", Delete: "DeleteProjectPolicy", Param: "PolicyDocument", MaxChars: 2000, Guards: []string{"PolicyRevisionId"}},
	{Service: "route53resolver", Set: "PutFirewallRuleGroupPolicy", Get: "GetFirewallRuleGroupPolicy", Param: "FirewallRuleGroupPolicy", MaxChars: 30000},
	{Service: "route53resolver", Set: "PutResolverQueryLogConfigPolicy", Get: "GetResolverQueryLogConfigPolicy", Param: "ResolverQueryLogConfigPolicy", MaxChars: 30000},
	{Service: "route53resolver", Set: "PutResolverRulePolicy", Get: "GetResolverRulePolicy", Param: "ResolverRulePolicy", MaxChars: 30000},
	{Service: "rum", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "PolicyDocument", Guards: []string{"PolicyRevisionId"}},
	{Service: "s3", Set: "PutBucketPolicy", Get: "GetBucketPolicy", Delete: "DeleteBucketPolicy", Param: "Policy", Guards: []string{"ConfirmRemoveSelfBucketAccess", "ExpectedBucketOwner"}},
	{Service: "s3control", Set: "PutAccessGrantsInstanceResourcePolicy", Get: "GetAccessGrantsInstanceResourcePolicy", Delete: "DeleteAccessGrantsInstanceResourcePolicy", Param: "Policy", MaxChars: 350000},
	{Service: "s3control", Set: "PutAccessPointPolicy", Get: "GetAccessPointPolicy", Delete: "DeleteAccessPointPolicy", Param: "Policy"},
	{Service: "s3control", Set: "PutAccessPointPolicyForObjectLambda", Get: "GetAccessPointPolicyForObjectLambda", Delete: "DeleteAccessPointPolicyForObjectLambda", Param: "Policy"},
	{Service: "s3control", Set: "PutBucketPolicy", Get: "GetBucketPolicy", Delete: "DeleteBucketPolicy", Param: "Policy", Guards: []string{"ConfirmRemoveSelfBucketAccess"}},
	{Service: "s3files", Set: "PutFileSystemPolicy", Get: "GetFileSystemPolicy", Delete: "DeleteFileSystemPolicy", Param: "policy"},
	{Service: "s3tables", Set: "PutTableBucketPolicy", Get: "GetTableBucketPolicy", Delete: "DeleteTableBucketPolicy", Param: "resourcePolicy", MaxChars: 20480},
	{Service: "s3tables", Set: "PutTablePolicy", Get: "GetTablePolicy", Delete: "DeleteTablePolicy", Param: "resourcePolicy", MaxChars: 20480},
	{Service: "s3vectors", Set: "PutVectorBucketPolicy", Get: "GetVectorBucketPolicy", Delete: "DeleteVectorBucketPolicy", Param: "policy"},
	{Service: "sagemaker", Set: "PutModelPackageGroupPolicy", Get: "GetModelPackageGroupPolicy", Delete: "DeleteModelPackageGroupPolicy", Param: "ResourcePolicy", MaxChars: 20480},
	{Service: "schemas", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Policy", Guards: []string{"RevisionId"}},
	{Service: "secretsmanager", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "ResourcePolicy", MaxChars: 20480, Guards: []string{"BlockPublicPolicy"}},
	{Service: "serverlessrepo", Set: "PutApplicationPolicy", Get: "GetApplicationPolicy"},
	{Service: "ses", Set: "PutIdentityPolicy", Delete: "DeleteIdentityPolicy", Param: "Policy"},
	{Service: "sesv2", Set: "CreateEmailIdentityPolicy", Delete: "DeleteEmailIdentityPolicy", Param: "Policy"},
	{Service: "sesv2", Set: "UpdateEmailIdentityPolicy", Delete: "DeleteEmailIdentityPolicy", Param: "Policy"},
	{Service: "signer", Set: "AddProfilePermission", Get: "ListProfilePermissions", Delete: "RemoveProfilePermission", Guards: []string{"revisionId"}},
	{Service: "sns", Set: "AddPermission", Delete: "RemovePermission"},
	{Service: "sns", Set: "SetTopicAttributes", Get: "GetTopicAttributes", Param: "Policy"},
	{Service: "sqs", Set: "AddPermission", Delete: "RemovePermission"},
	{Service: "sqs", Set: "SetQueueAttributes", Get: "GetQueueAttributes", Param: "Policy"},
	{Service: "ssm", Set: "PutResourcePolicy", Delete: "DeleteResourcePolicy", Param: "Policy", Guards: []string{"PolicyHash"}},
	{Service: "ssm-contacts", Set: "PutContactPolicy", Get: "GetContactPolicy", Param: "Policy", MaxChars: 395000},
	{Service: "ssm-incidents", Set: "PutResourcePolicy", Delete: "DeleteResourcePolicy", Param: "policy", MaxChars: 4000},
	{Service: "vpc-lattice", Set: "PutAuthPolicy", Get: "GetAuthPolicy", Delete: "DeleteAuthPolicy", Param: "policy", MaxChars: 36864},
	{Service: "vpc-lattice", Set: "PutResourcePolicy", Get: "GetResourcePolicy", Delete: "DeleteResourcePolicy", Param: "policy", MaxChars: 10000},
	{Service: "waf-regional", Set: "PutPermissionPolicy", Get: "GetPermissionPolicy", Delete: "DeletePermissionPolicy", Param: "Policy", MaxChars: 395000},
	{Service: "wafv2", Set: "PutPermissionPolicy", Get: "GetPermissionPolicy", Delete: "DeletePermissionPolicy", Param: "Policy", MaxChars: 395000},
	{Service: "xray", Set: "PutResourcePolicy", Delete: "DeleteResourcePolicy", Param: "PolicyDocument", Guards: []string{"PolicyRevisionId", "BypassPolicyLockoutCheck"}},
}
