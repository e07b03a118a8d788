package catalog

import "strings"

// crossAccount has, for services of which only some operations work on
// resources of another account, those operations, in lower case. For KMS,
// package authz has the list itself.
var crossAccount = map[string][]string{
	// Secrets Manager guide auth-and-access_examples_cross: "Cross-account
	// permission is effective only for the following operations". A batch
	// (BatchGetSecretValue) is authorized secret by secret as GetSecretValue.
	"secretsmanager": {
		"secretsmanager:cancelrotatesecret", "secretsmanager:deleteresourcepolicy", "secretsmanager:deletesecret",
		"secretsmanager:describesecret", "secretsmanager:getrandompassword", "secretsmanager:getresourcepolicy",
		"secretsmanager:getsecretvalue", "secretsmanager:listsecretversionids", "secretsmanager:putresourcepolicy",
		"secretsmanager:putsecretvalue", "secretsmanager:removeregionsfromreplication", "secretsmanager:replicatesecrettoregions",
		"secretsmanager:restoresecret", "secretsmanager:rotatesecret", "secretsmanager:stopreplicationtoreplica",
		"secretsmanager:tagresource", "secretsmanager:untagresource", "secretsmanager:updatesecret",
		"secretsmanager:updatesecretversionstage", "secretsmanager:validateresourcepolicy",
	},
	// SQS guide sqs-basic-examples-of-sqs-policies: "cross-account permissions
	// don't apply to the following actions", which are all others.
	"sqs": {
		"sqs:changemessagevisibility", "sqs:deletemessage", "sqs:getqueueattributes", "sqs:getqueueurl",
		"sqs:purgequeue", "sqs:receivemessage", "sqs:sendmessage", "sqs:listdeadlettersourcequeues",
	},
}

// CrossAccountCapable reports whether an operation works on resources of
// another account, as far as AWS says so. known false means that AWS's pages
// set no limit for its service that the catalog knows of, which is not to say
// that it works: most services' resources take no policy, so that nothing can
// let another account in.
func CrossAccountCapable(action string) (capable, known bool) {
	operations, known := Facts().CrossAccount[ServiceOf(action)]
	return operations[strings.ToLower(action)], known
}
