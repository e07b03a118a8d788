package clients_test

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// step is a call with what must come of it.
type step struct {
	name string
	call
	// output are members of the output with their values, by their path:
	// "Items.0.Code.S".
	output map[string]any
	// code and status are of the error that must come; message begins it, or
	// is part of it.
	code, message string
	status        int
}

type in = map[string]any

func steps(w *world) []step {
	return slices.Concat(identitySteps(), clusterSteps(), secretSteps(w), tableSteps(), iamSteps(), trustSteps(), tokenSteps(), signatureSteps())
}

func whoami(profile string) call {
	return call{Profile: profile, Service: "sts", Operation: "GetCallerIdentity", Input: in{}}
}

// identitySteps are article 002's: the pod in the CI account, then in the target.
func identitySteps() []step {
	is := func(profile, account, resource string) step {
		return step{name: profile + " is who it should be", call: whoami(profile), output: in{
			"Account": account, "Arn": "arn:aws:sts::" + account + ":assumed-role/" + resource,
		}}
	}
	return []step{
		is("ci-env", "111111111111", "ci-account-iam-role/ci"),
		is("target-env", "222222222222", "target-account-iam-role/xactarget"),
		is("payroll", "222222222222", "payroll-api/api"),
		is("app", "111111111111", "AppRole/app"),
		is("deploy", "222222222222", "orders-deploy-reader/release"),
		is("audit", "222222222222", "orders-auditor/audit"),
		{name: "an administrator is a user", call: whoami("network"), output: in{"Arn": "arn:aws:iam::333333333333:user/Administrator"}},
	}
}

func clusterSteps() []step {
	list := func(profile string) call {
		return call{Profile: profile, Service: "eks", Operation: "ListClusters", Input: in{}}
	}
	describe := func(profile, name string) call {
		return call{Profile: profile, Service: "eks", Operation: "DescribeCluster", Input: in{"name": name}}
	}
	return []step{
		{name: "the chain lists the target's clusters", call: list("target-env"), output: in{"clusters.0": "target"}},
		{name: "the chain describes the target's cluster", call: describe("target-env", "target"), output: in{"cluster.status": "ACTIVE", "cluster.arn": "arn:aws:eks:us-east-1:222222222222:cluster/target"}},
		{name: "a cluster that is not there", call: describe("target-env", "nowhere"), code: "ResourceNotFoundException", status: 404, message: "No cluster found for name: nowhere."},
		{name: "the hub may not list its own account's clusters", call: list("ci-env"), code: "AccessDeniedException", status: 403,
			message: "User: arn:aws:sts::111111111111:assumed-role/ci-account-iam-role/ci is not authorized to perform: eks:ListClusters on resource: arn:aws:eks:us-east-1:111111111111:cluster/* because no identity-based policy allows the eks:ListClusters action"},
		{name: "an undeclared action of a declared service", status: 403, code: "AccessDeniedException",
			call:    call{Profile: "target-env", Service: "eks", Operation: "ListTagsForResource", Input: in{"resourceArn": "arn:aws:eks:us-east-1:222222222222:cluster/target"}},
			message: "because no identity-based policy allows the eks:ListTagsForResource action"},
	}
}

func secretSteps(w *world) []step {
	get := func(profile, id string) call {
		return call{Profile: profile, Service: "secretsmanager", Operation: "GetSecretValue", Input: in{"SecretId": id}}
	}
	return []step{
		{name: "in the target by full ARN", call: get("payroll", w.secret), output: in{"SecretString": secretText, "Name": "AppDemoSecret"}},
		{name: "in the target by name", call: get("payroll", "AppDemoSecret"), output: in{"SecretString": secretText}},
		{name: "across accounts by full ARN, with the caller's own identity", call: get("app", w.secret), output: in{"SecretString": secretText, "ARN": w.secret}},
		{name: "a name alone is a secret of the caller's own account", call: get("app", "AppDemoSecret"), code: "AccessDeniedException", status: 400},
		{name: "the key of AWS cannot be shared", call: get("app", w.trap), code: "AccessDeniedException", status: 400, message: "Access to KMS is not allowed"},
		{name: "the third account's administrator", call: get("network", w.secret), code: "AccessDeniedException", status: 400,
			message: "because no resource-based policy allows the secretsmanager:GetSecretValue action"},
		{name: "another role of the target", call: get("target-env", w.secret), code: "AccessDeniedException", status: 400,
			message: "because no identity-based policy allows the secretsmanager:GetSecretValue action"},
		{name: "a secret that is not there", call: get("orders-prod", "nowhere"), code: "ResourceNotFoundException", status: 400, message: "Secrets Manager can't find the specified secret."},
	}
}

func tableSteps() []step {
	on := func(profile, operation, table string, more in) call {
		input := in{"TableName": table}
		for k, v := range more {
			input[k] = v
		}
		return call{Profile: profile, Service: "dynamodb", Operation: operation, Input: input}
	}
	key := in{"Key": in{"Code": in{"S": "A-1"}}}
	where := in{"KeyConditionExpression": "Code = :c", "ExpressionAttributeValues": in{":c": in{"S": "A-2"}}}
	denied := func(action string) string {
		return "because no identity-based policy allows the " + action + " action"
	}
	return []step{
		{name: "gets an item", call: on("payroll", "GetItem", "Orders", key), output: in{"Item.Total.N": "42"}},
		{name: "queries", call: on("payroll", "Query", "Orders", where), output: in{"Count": 1, "Items.0.Total.N": "7.5"}},
		{name: "scans", call: on("payroll", "Scan", "Orders", nil), output: in{"Count": 2}},
		{name: "scans after an AssumeRole with an external id", call: on("deploy", "Scan", "Orders", nil), output: in{"Count": 2}},
		{name: "may not write", call: on("payroll", "PutItem", "Orders", in{"Item": in{"Code": in{"S": "A-3"}}}), code: "AccessDeniedException", status: 400, message: denied("dynamodb:PutItem")},
		{name: "may not read another table", call: on("payroll", "GetItem", "Invoices", key), code: "AccessDeniedException", status: 400, message: denied("dynamodb:GetItem")},
		{name: "a table that is not there", call: on("orders-prod", "GetItem", "Nowhere", key), code: "ResourceNotFoundException", status: 400, message: "Requested resource not found"},
	}
}

func iamSteps() []step {
	of := func(profile, operation, role string) call {
		return call{Profile: profile, Service: "iam", Operation: operation, Input: in{"RoleName": role}}
	}
	return []step{
		{name: "the role that stile made", call: of("orders-prod", "GetRole", "target-account-iam-role"), output: in{"Role.Arn": targetRole, "Role.Path": "/stile/", "Role.MaxSessionDuration": 3600}},
		{name: "the provider that stile made", call: call{Profile: "orders-prod", Service: "iam", Operation: "ListOpenIDConnectProviders", Input: in{}}},
		{name: "a role that is not there", call: of("orders-prod", "GetRole", "nowhere"), code: "NoSuchEntity", status: 404, message: "The role with name nowhere cannot be found."},
		{name: "a role that is there already", code: "EntityAlreadyExists", status: 409, message: "Role with name legacy already exists.",
			call: call{Profile: "orders-prod", Service: "iam", Operation: "CreateRole", Input: in{"RoleName": "legacy", "AssumeRolePolicyDocument": trustAdministrator}}},
		{name: "a policy that cannot be read", code: "MalformedPolicyDocument", status: 400,
			call: call{Profile: "orders-prod", Service: "iam", Operation: "CreateRole", Input: in{"RoleName": "broken", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"allow"}]}`}}},
		{name: "a name that breaks the rules", code: "ValidationError", status: 400,
			call: call{Profile: "orders-prod", Service: "iam", Operation: "GetRole", Input: in{"RoleName": "no/slash"}}},
		{name: "a session without the permission", call: call{Profile: "payroll", Service: "iam", Operation: "ListRoles", Input: in{}}, code: "AccessDenied", status: 403,
			message: "User: arn:aws:sts::222222222222:assumed-role/payroll-api/api is not authorized to perform: iam:ListRoles on resource: arn:aws:iam::222222222222:role/ because no identity-based policy allows the iam:ListRoles action"},
	}
}

// trustSteps are refused on the way, before the call itself is made.
func trustSteps() []step {
	refused := func(profile, caller, role string) step {
		return step{name: profile + " is refused", call: whoami(profile), code: "AccessDenied", status: 403,
			message: "User: " + caller + " is not authorized to perform: sts:AssumeRole on resource: " + role}
	}
	const deployer = "arn:aws:sts::111111111111:assumed-role/ci-deployer/session"
	return []step{
		refused("deploy-wrong", deployer, deployRole),
		refused("deploy-none", deployer, deployRole),
		refused("past-hub", "arn:aws:iam::111111111111:user/Administrator", targetRole),
		{name: "a chained session longer than an hour", call: whoami("target-too-long"), code: "ValidationError", status: 400, message: "The requested DurationSeconds exceeds the"},
	}
}

func tokenSteps() []step {
	return []step{
		{name: "another service account's token", call: whoami("payroll-other"), code: "AccessDenied", status: 403, message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{name: "a token for another audience", call: whoami("payroll-audience"), code: "InvalidIdentityToken", status: 400, message: "Incorrect token audience"},
		{name: "an expired token", call: whoami("payroll-expired"), code: "ExpiredTokenException", status: 400, message: "Token expired: current date/time "},
		{name: "no token at all", call: whoami("payroll-garbage"), code: "InvalidIdentityToken", status: 400},
	}
}

func signatureSteps() []step {
	list := func(profile string) call {
		return call{Profile: profile, Service: "eks", Operation: "ListClusters", Input: in{}}
	}
	return []step{
		{name: "a wrong secret key", call: whoami("wrong-secret"), code: "SignatureDoesNotMatch", status: 403, message: "The request signature we calculated does not match the signature you provided."},
		{name: "an unknown key", call: whoami("unknown-key"), code: "InvalidClientTokenId", status: 403, message: "The security token included in the request is invalid"},
		{name: "an unknown key at a JSON service", call: list("unknown-key"), code: "UnrecognizedClientException", status: 403, message: "The security token included in the request is invalid"},
		{name: "a wrong secret key at a JSON service", call: list("wrong-secret"), code: "InvalidSignatureException", status: 403},
	}
}

// TestScenario makes every client make every call through every door.
func TestScenario(t *testing.T) {
	all := kinds(t)
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, d)
			for _, k := range all {
				t.Run(k.name, func(t *testing.T) {
					t.Parallel()
					c := k.start(t, w)
					for _, s := range steps(w) {
						t.Run(s.name, func(t *testing.T) { s.check(t, c.call(t, s.call)) })
					}
				})
			}
		})
	}
}

func (s step) check(t *testing.T, got answer) {
	t.Helper()
	if got.Other != "" {
		t.Fatalf("%s %s: the client failed: %s", s.Profile, s.Operation, got.Other)
	}
	if got.Code != s.code {
		t.Fatalf("%s %s: %q %q, want %q", s.Profile, s.Operation, got.Code, got.Message, s.code)
	}
	if !strings.Contains(got.Message, s.message) {
		t.Errorf("%s %s: message %q, want %q in it", s.Profile, s.Operation, got.Message, s.message)
	}
	if got.Status != 0 && s.status != 0 && got.Status != s.status {
		t.Errorf("%s %s: status %d, want %d", s.Profile, s.Operation, got.Status, s.status)
	}
	for path, want := range s.output {
		value := lookup(got.Output, path)
		if fmt.Sprint(value) != fmt.Sprint(want) {
			t.Errorf("%s %s: %s = %v, want %v", s.Profile, s.Operation, path, value, want)
		}
	}
}

// lookup follows a path into an output. Names are compared without case, for
// the Go SDK's fields begin with a capital.
func lookup(value any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = nil
			for key, member := range v {
				if strings.EqualFold(key, name) {
					value = member
				}
			}
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return reflect.ValueOf(nil)
		}
	}
	return value
}
