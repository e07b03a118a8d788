package catalog

import "strings"

// ServicePrincipal is an AWS service that acts for itself in other accounts'
// policies ("Principal": {"Service": …}), as far as the confused deputy is
// concerned.
type ServicePrincipal struct {
	Name string // "s3.amazonaws.com"
	// SourceArn and SourceAccount say that the service sends aws:SourceArn
	// (the resource because of which it calls) and aws:SourceAccount.
	// aws:SourceOrgID and aws:SourceOrgPaths are there with the latter, when
	// that account is in an organization.
	SourceArn, SourceAccount bool
	// Exempt services' trust policies need no source keys: AWS's own console
	// and guides write them without (CodeBuild guide setting-up-service-role,
	// SageMaker guide feature-store-feature-processor-iam-permissions, S3 guide
	// setting-repl-config-perm-overview and their like), since such roles can be
	// passed within their account only.
	Exempt bool
	// ARN is the form of aws:SourceArn; "" where we have none.
	ARN    string
	Source string
}

// ServicePrincipalOf finds what is known of a service principal, its Regional
// and Chinese names included ("logs.eu-west-1.amazonaws.com",
// "ec2.amazonaws.com.cn"). ok false means that it is not known what the service
// sends; requiring aws:SourceArn of it may stop it.
func ServicePrincipalOf(name string) (p ServicePrincipal, ok bool) {
	short := strings.ToLower(name)
	short = strings.TrimSuffix(short, ".cn")
	short, ok = strings.CutSuffix(short, ".amazonaws.com")
	if !ok {
		return ServicePrincipal{}, false
	}
	if i := strings.LastIndexByte(short, '.'); i >= 0 && RegionShaped(short[i+1:]) {
		short = short[:i]
	}
	for _, p := range servicePrincipals {
		if p.Name == short+".amazonaws.com" {
			return p, true
		}
	}
	return ServicePrincipal{}, false
}

// ServicePrincipals lists the service principals of which something is known.
func ServicePrincipals() []string {
	names := make([]string, len(servicePrincipals))
	for i, p := range servicePrincipals {
		names[i] = p.Name
	}
	return names
}

const passedWithin = "IAM guide id_roles_use_passrole: a role is passed to services of its own account only; the service's guide shows its trust policy without source keys"

// servicePrincipals is sorted by name within its two parts. Sources: each
// service's guide, "Cross-service confused deputy prevention", and its example
// policies; IAM guide confused-deputy.
var servicePrincipals = [...]ServicePrincipal{
	// Roles of compute.
	{Name: "ec2.amazonaws.com", Exempt: true, Source: passedWithin},
	{Name: "ecs-tasks.amazonaws.com", SourceArn: true, SourceAccount: true, Exempt: true, ARN: "arn:aws:ecs:REGION:ACCOUNT:*", Source: passedWithin + "; ECS guide task-iam-roles"},
	{Name: "edgelambda.amazonaws.com", Exempt: true, Source: passedWithin},
	{Name: "eks.amazonaws.com", Exempt: true, Source: passedWithin + "; EKS guide cluster-iam-role"},
	{Name: "lambda.amazonaws.com", Exempt: true, Source: passedWithin + "; Lambda guide lambda-intro-execution-role"},
	{Name: "pods.eks.amazonaws.com", SourceArn: true, SourceAccount: true, Exempt: true, ARN: "arn:aws:eks:REGION:ACCOUNT:cluster/NAME", Source: "EKS guide pod-id-association, pod-id-abac: the trust policy shown has no source keys"},
	{Name: "rolesanywhere.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID", Source: "Roles Anywhere guide trust-model"},

	{Name: "apigateway.amazonaws.com", SourceArn: true, SourceAccount: true, Exempt: true, ARN: "arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH", Source: "API Gateway guide api-gateway-control-access-using-iam-policies-to-invoke-api"},
	{Name: "appsync.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:appsync:REGION:ACCOUNT:apis/ID", Source: "AppSync guide security_confused-deputy"},
	{Name: "autoscaling.amazonaws.com", SourceArn: true, SourceAccount: true, Source: "EC2 Auto Scaling guide cross-service-confused-deputy-prevention"},
	{Name: "backup.amazonaws.com", SourceArn: true, SourceAccount: true, Source: "AWS Backup guide cross-service-confused-deputy-prevention"},
	{Name: "bedrock.amazonaws.com", SourceArn: true, SourceAccount: true, Source: "Bedrock guide cross-service-confused-deputy-prevention"},
	{Name: "budgets.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:budgets::ACCOUNT:*", Source: "Cost Management guide budgets-sns-policy"},
	{Name: "cloudformation.amazonaws.com", SourceArn: true, SourceAccount: true, Exempt: true, Source: "CloudFormation guide cross-service-confused-deputy-prevention"},
	{Name: "cloudfront.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:cloudfront::ACCOUNT:distribution/ID", Source: "CloudFront guide private-content-restricting-access-to-s3"},
	{Name: "cloudtrail.amazonaws.com", SourceArn: true, SourceAccount: true, Exempt: true, ARN: "arn:aws:cloudtrail:REGION:ACCOUNT:trail/NAME", Source: "CloudTrail guide create-s3-bucket-policy-for-cloudtrail"},
	{Name: "cloudwatch.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:cloudwatch:REGION:ACCOUNT:alarm:NAME", Source: "CloudWatch guide US_SetupSNS; Lambda actions use lambda.alarms.cloudwatch.amazonaws.com"},
	{Name: "codebuild.amazonaws.com", SourceArn: true, SourceAccount: true, Exempt: true, ARN: "arn:aws:codebuild:REGION:ACCOUNT:project/NAME", Source: "CodeBuild guide cross-service-confused-deputy-prevention"},
	{Name: "cognito-idp.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:cognito-idp:REGION:ACCOUNT:userpool/ID", Source: "Cognito guide cross-service-confused-deputy-prevention"},
	{Name: "config.amazonaws.com", SourceArn: true, SourceAccount: true, Source: "AWS Config guide s3-bucket-policy, cross-service-confused-deputy-prevention"},
	{Name: "datasync.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:datasync:REGION:ACCOUNT:*", Source: "DataSync guide cross-service-confused-deputy-prevention"},
	{Name: "delivery.logs.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:logs:REGION:ACCOUNT:*", Source: "CloudWatch Logs guide AWS-logs-and-resource-policy"},
	{Name: "eks-fargate-pods.amazonaws.com", SourceArn: true, ARN: "arn:aws:eks:REGION:ACCOUNT:fargateprofile/CLUSTER/*", Source: "EKS guide pod-execution-role"},
	{Name: "events.amazonaws.com", SourceArn: true, SourceAccount: true, Exempt: true, ARN: "arn:aws:events:REGION:ACCOUNT:rule/NAME", Source: "EventBridge guide eb-use-resource-based, cross-service-confused-deputy-prevention"},
	{Name: "firehose.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME", Source: "Firehose guide confused-deputy"},
	{Name: "glue.amazonaws.com", SourceArn: true, SourceAccount: true, Exempt: true, Source: "Glue guide cross-service-confused-deputy-prevention"},
	{Name: "guardduty.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:guardduty:REGION:ACCOUNT:detector/ID", Source: "GuardDuty guide guardduty_exportfindings"},
	{Name: "iot.amazonaws.com", SourceArn: true, SourceAccount: true, Exempt: true, Source: "IoT Core guide cross-service-confused-deputy-prevention"},
	{Name: "logdelivery.elasticloadbalancing.amazonaws.com", SourceArn: true, SourceAccount: true, Source: "Elastic Load Balancing guide enable-access-logging"},
	{Name: "logging.s3.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:s3:::BUCKET", Source: "S3 guide enable-server-access-logging"},
	{Name: "logs.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:logs:REGION:ACCOUNT:*", Source: "CloudWatch Logs guide Subscriptions-confused-deputy"},
	{Name: "macie.amazonaws.com", SourceArn: true, SourceAccount: true, Source: "Macie guide discovery-results-repository-s3"},
	{Name: "monitoring.rds.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:rds:REGION:ACCOUNT:db:NAME", Source: "RDS guide cross-service-confused-deputy-prevention"},
	{Name: "pipes.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:pipes:REGION:ACCOUNT:pipe/NAME", Source: "EventBridge guide eb-pipes-permissions"},
	{Name: "rds.amazonaws.com", SourceArn: true, SourceAccount: true, Source: "RDS guide cross-service-confused-deputy-prevention"},
	{Name: "redshift.amazonaws.com", SourceArn: true, SourceAccount: true, Exempt: true, Source: "Redshift guide cross-service-confused-deputy-prevention"},
	{Name: "s3.amazonaws.com", SourceArn: true, SourceAccount: true, Exempt: true, ARN: "arn:aws:s3:::BUCKET", Source: "S3 guide grant-destinations-permissions-to-s3; the ARN has no account, so that both keys are needed"},
	{Name: "sagemaker.amazonaws.com", SourceArn: true, SourceAccount: true, Exempt: true, Source: "SageMaker guide security-confused-deputy-prevention"},
	{Name: "scheduler.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:scheduler:REGION:ACCOUNT:schedule-group/NAME", Source: "EventBridge Scheduler guide cross-service-confused-deputy-prevention"},
	{Name: "secretsmanager.amazonaws.com", SourceAccount: true, Source: "Secrets Manager guide rotating-secrets-required-permissions-function: the function's policy has aws:SourceAccount"},
	{Name: "ses.amazonaws.com", SourceArn: true, SourceAccount: true, Source: "SES guide receiving-email-permissions"},
	{Name: "sns.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:sns:REGION:ACCOUNT:TOPIC", Source: "SNS guide subscribe-sqs-queue-to-sns-topic"},
	{Name: "ssm.amazonaws.com", SourceArn: true, SourceAccount: true, Source: "Systems Manager guide cross-service-confused-deputy-prevention"},
	{Name: "states.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:states:REGION:ACCOUNT:stateMachine:NAME", Source: "Step Functions guide procedure-create-iam-role"},
	{Name: "transfer.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:transfer:REGION:ACCOUNT:*", Source: "Transfer Family guide confused-deputy"},
	{Name: "vpc-flow-logs.amazonaws.com", SourceArn: true, SourceAccount: true, ARN: "arn:aws:ec2:REGION:ACCOUNT:vpc-flow-log/ID", Source: "VPC guide flow-logs-iam-role"},
}
