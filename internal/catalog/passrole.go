package catalog

import (
	"slices"
	"strings"
)

// RolePass is one way in which a call hands a role to a service, for which the
// caller needs iam:PassRole on that role.
type RolePass struct {
	Action    string // "lambda:CreateFunction"
	Parameter string // the input member that names the role, or the instance profile with it
	// Service is the principal the role is passed to, the value of
	// iam:PassedToService; "" where the service does not set that key.
	Service string
	// Optional passes happen only when the parameter is given.
	Optional bool
}

// RolePasses lists how a call passes roles; nil when it passes none or the
// catalog does not know. A role can only be passed within its own account.
//
// Source: IAM guide id_roles_use_passrole; Service Authorization Reference,
// column "Dependent actions" (iam:PassRole); API reference of each operation.
func RolePasses(action string) []RolePass {
	var out []RolePass
	for _, p := range rolePasses {
		if strings.EqualFold(p.Action, action) {
			out = append(out, p)
		}
	}
	return out
}

// AllRolePasses lists every pass the catalog knows, by action.
func AllRolePasses() []RolePass { return slices.Clone(rolePasses[:]) }

// rolePasses is sorted by action.
var rolePasses = [...]RolePass{
	{"apprunner:CreateService", "InstanceConfiguration.InstanceRoleArn", "tasks.apprunner.amazonaws.com", true},
	{"apprunner:UpdateService", "InstanceConfiguration.InstanceRoleArn", "tasks.apprunner.amazonaws.com", true},
	{"appsync:CreateDataSource", "serviceRoleArn", "appsync.amazonaws.com", true},
	{"backup:CreateBackupSelection", "BackupSelection.IamRoleArn", "backup.amazonaws.com", false},
	{"backup:StartBackupJob", "IamRoleArn", "backup.amazonaws.com", false},
	{"batch:RegisterJobDefinition", "containerProperties.jobRoleArn", "ecs-tasks.amazonaws.com", true},
	{"bedrock:CreateAgent", "agentResourceRoleArn", "bedrock.amazonaws.com", true},
	{"bedrock:CreateKnowledgeBase", "roleArn", "bedrock.amazonaws.com", false},
	{"cloudformation:CreateChangeSet", "RoleARN", "cloudformation.amazonaws.com", true},
	{"cloudformation:CreateStack", "RoleARN", "cloudformation.amazonaws.com", true},
	{"cloudformation:CreateStackSet", "AdministrationRoleARN", "cloudformation.amazonaws.com", true},
	{"cloudformation:DeleteStack", "RoleARN", "cloudformation.amazonaws.com", true},
	{"cloudformation:UpdateStack", "RoleARN", "cloudformation.amazonaws.com", true},
	{"cloudtrail:CreateTrail", "CloudWatchLogsRoleArn", "cloudtrail.amazonaws.com", true},
	{"cloudtrail:UpdateTrail", "CloudWatchLogsRoleArn", "cloudtrail.amazonaws.com", true},
	{"codebuild:CreateProject", "serviceRole", "", false},
	{"codebuild:UpdateProject", "serviceRole", "", true},
	{"codedeploy:CreateDeploymentGroup", "serviceRoleArn", "codedeploy.amazonaws.com", false},
	{"codepipeline:CreatePipeline", "pipeline.roleArn", "codepipeline.amazonaws.com", false},
	{"codepipeline:UpdatePipeline", "pipeline.roleArn", "codepipeline.amazonaws.com", false},
	{"cognito-identity:SetIdentityPoolRoles", "Roles", "cognito-identity.amazonaws.com", false},
	{"config:PutConfigurationRecorder", "ConfigurationRecorder.roleARN", "config.amazonaws.com", false},
	{"ec2:AssociateIamInstanceProfile", "IamInstanceProfile", "ec2.amazonaws.com", false},
	{"ec2:CreateFlowLogs", "DeliverLogsPermissionArn", "vpc-flow-logs.amazonaws.com", true},
	{"ec2:ReplaceIamInstanceProfileAssociation", "IamInstanceProfile", "ec2.amazonaws.com", false},
	{"ec2:RequestSpotFleet", "SpotFleetRequestConfig.IamFleetRole", "spotfleet.amazonaws.com", false},
	{"ec2:RequestSpotInstances", "LaunchSpecification.IamInstanceProfile", "ec2.amazonaws.com", true},
	{"ec2:RunInstances", "IamInstanceProfile", "ec2.amazonaws.com", true},
	{"ecs:CreateService", "role", "ecs.amazonaws.com", true},
	{"ecs:RegisterTaskDefinition", "executionRoleArn", "ecs-tasks.amazonaws.com", true},
	{"ecs:RegisterTaskDefinition", "taskRoleArn", "ecs-tasks.amazonaws.com", true},
	{"ecs:RunTask", "overrides.taskRoleArn", "ecs-tasks.amazonaws.com", true},
	{"ecs:StartTask", "overrides.taskRoleArn", "ecs-tasks.amazonaws.com", true},
	{"eks:CreateAddon", "serviceAccountRoleArn", "", true},
	{"eks:CreateCluster", "roleArn", "eks.amazonaws.com", false},
	{"eks:CreateFargateProfile", "podExecutionRoleArn", "eks-fargate-pods.amazonaws.com", false},
	{"eks:CreateNodegroup", "nodeRole", "ec2.amazonaws.com", false},
	{"eks:CreatePodIdentityAssociation", "roleArn", "pods.eks.amazonaws.com", false},
	{"eks:UpdateAddon", "serviceAccountRoleArn", "", true},
	{"eks:UpdatePodIdentityAssociation", "roleArn", "pods.eks.amazonaws.com", true},
	{"elasticmapreduce:RunJobFlow", "JobFlowRole", "ec2.amazonaws.com", true},
	{"elasticmapreduce:RunJobFlow", "ServiceRole", "elasticmapreduce.amazonaws.com", true},
	{"events:PutTargets", "Targets.RoleArn", "events.amazonaws.com", true},
	{"firehose:CreateDeliveryStream", "RoleARN", "firehose.amazonaws.com", false},
	{"glue:CreateCrawler", "Role", "glue.amazonaws.com", false},
	{"glue:CreateDevEndpoint", "RoleArn", "glue.amazonaws.com", false},
	{"glue:CreateJob", "Role", "glue.amazonaws.com", false},
	{"glue:UpdateJob", "JobUpdate.Role", "glue.amazonaws.com", true},
	{"iam:AddRoleToInstanceProfile", "RoleName", "ec2.amazonaws.com", false},
	{"imagebuilder:CreateInfrastructureConfiguration", "instanceProfileName", "ec2.amazonaws.com", false},
	{"iot:CreateTopicRule", "topicRulePayload.actions", "iot.amazonaws.com", true},
	{"lambda:CreateFunction", "Role", "lambda.amazonaws.com", false},
	{"lambda:UpdateFunctionConfiguration", "Role", "lambda.amazonaws.com", true},
	{"logs:PutDestination", "roleArn", "logs.amazonaws.com", false},
	{"logs:PutSubscriptionFilter", "roleArn", "logs.amazonaws.com", true},
	{"pipes:CreatePipe", "RoleArn", "pipes.amazonaws.com", false},
	{"pipes:UpdatePipe", "RoleArn", "pipes.amazonaws.com", false},
	{"rds:AddRoleToDBCluster", "RoleArn", "rds.amazonaws.com", false},
	{"rds:AddRoleToDBInstance", "RoleArn", "rds.amazonaws.com", false},
	{"rds:CreateDBInstance", "MonitoringRoleArn", "monitoring.rds.amazonaws.com", true},
	{"redshift:CreateCluster", "IamRoles", "redshift.amazonaws.com", true},
	{"rolesanywhere:CreateProfile", "roleArns", "rolesanywhere.amazonaws.com", false},
	{"rolesanywhere:UpdateProfile", "roleArns", "rolesanywhere.amazonaws.com", true},
	{"s3:CreateJob", "RoleArn", "batchoperations.s3.amazonaws.com", false},
	{"s3:PutReplicationConfiguration", "ReplicationConfiguration.Role", "s3.amazonaws.com", false},
	{"sagemaker:CreateModel", "ExecutionRoleArn", "sagemaker.amazonaws.com", true},
	{"sagemaker:CreateNotebookInstance", "RoleArn", "sagemaker.amazonaws.com", false},
	{"sagemaker:CreateProcessingJob", "RoleArn", "sagemaker.amazonaws.com", false},
	{"sagemaker:CreateTrainingJob", "RoleArn", "sagemaker.amazonaws.com", false},
	{"scheduler:CreateSchedule", "Target.RoleArn", "scheduler.amazonaws.com", false},
	{"scheduler:UpdateSchedule", "Target.RoleArn", "scheduler.amazonaws.com", false},
	{"ssm:CreateActivation", "IamRole", "ssm.amazonaws.com", false},
	{"ssm:RegisterTaskWithMaintenanceWindow", "ServiceRoleArn", "ssm.amazonaws.com", true},
	{"ssm:SendCommand", "ServiceRoleArn", "ssm.amazonaws.com", true},
	{"ssm:StartAutomationExecution", "Parameters.AutomationAssumeRole", "ssm.amazonaws.com", true},
	{"states:CreateStateMachine", "roleArn", "states.amazonaws.com", false},
	{"states:UpdateStateMachine", "roleArn", "states.amazonaws.com", true},
	{"transfer:CreateServer", "LoggingRole", "transfer.amazonaws.com", true},
	{"transfer:CreateUser", "Role", "transfer.amazonaws.com", false},
}
