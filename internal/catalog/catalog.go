// Package catalog is what stile knows about AWS without asking it: small,
// hand-made tables, each citing the AWS page it rests on.
//
// Start with [LookUp] for a grant bundle ("dynamodb/read") and
// [Bundle.Statements] for the actions and resources it stands for. The other
// tables answer one question each: [WildcardOnly], [PolicyCallFor],
// [KeyUseOf], [ProbeFor], [Quotas], [AccessPolicies], [KnownOperator],
// [Regions].
//
// The tables are facts about AWS's own defaults; what one account really
// allows (its raised quotas, its service control policies) is read from that
// account. The catalog is not complete: "not listed" never means "does not
// exist", and functions say so where it matters.
package catalog

import "strings"

// ServiceOf is the service prefix of an action ("dynamodb" of
// "dynamodb:GetItem"), in lower case, because IAM compares actions without
// regard to case; "" when there is none.
func ServiceOf(action string) string {
	service, _, ok := strings.Cut(action, ":")
	if !ok {
		return ""
	}
	return strings.ToLower(service)
}

// WildcardOnly reports whether action supports no resource-level permission,
// so that only "*" in Resource allows it. False means: it does, or the catalog
// does not know the action. Patterns ("s3:List*") are never wildcard-only.
//
// Source: the Actions tables of the Service Authorization Reference; an action
// with no value in the column "Resource types" must be given "*".
func WildcardOnly(action string) bool {
	_, ok := wildcardOnly[strings.ToLower(action)]
	return ok
}

// wildcardOnly holds actions in lower case. Source: Service Authorization
// Reference, pages list_amazondynamodb, list_amazonelastickubernetesservice,
// list_awssecretsmanager, list_amazons3, list_amazonsqs, list_amazonsns,
// list_awskeymanagementservice, list_awssystemsmanager,
// list_amazonelasticcontainerregistry, list_awslambda, list_awssts, list_iam.
var wildcardOnly = map[string]struct{}{
	"dynamodb:describeendpoints":         {},
	"dynamodb:describelimits":            {},
	"dynamodb:listtables":                {},
	"ecr:getauthorizationtoken":          {},
	"eks:listclusters":                   {},
	"iam:getaccountsummary":              {},
	"iam:listaccountaliases":             {},
	"iam:listroles":                      {},
	"iam:listusers":                      {},
	"kms:createkey":                      {},
	"kms:generaterandom":                 {},
	"kms:listaliases":                    {},
	"kms:listkeys":                       {},
	"lambda:listfunctions":               {},
	"s3:listallmybuckets":                {},
	"secretsmanager:batchgetsecretvalue": {},
	"secretsmanager:getrandompassword":   {},
	"secretsmanager:listsecrets":         {},
	"sns:listtopics":                     {},
	"sqs:listqueues":                     {},
	"ssm:describeparameters":             {},
	"sts:getcalleridentity":              {},
	"sts:getsessiontoken":                {},
}
