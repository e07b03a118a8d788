package importer_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/importer"
	"github.com/stile-aws/stile/internal/inventory"
)

// plan writes a plan with one provider configuration and some resources.
func plan(provider string, resources ...string) string {
	return `{"format_version": "1.0", "variables": {"role": {"value": "arn:aws:iam::333333333333:role/x"}}, "resource_changes": [` + strings.Join(resources, ",") + `],
	"configuration": {"provider_config": {"aws": {"expressions": ` + provider + `}}, "root_module": {"resources": [
	  {"mode": "managed", "type": "aws_iam_role", "name": "r", "provider_config_key": "aws", "expressions": {"name": {}, "assume_role_policy": {}}},
	  {"mode": "managed", "type": "aws_iam_role", "name": "s", "provider_config_key": "aws", "expressions": {"name": {}}}]}}}`
}

// change writes a resource change.
func change(kind, name, actions, before, after, unknown string) string {
	return `{"address": "` + kind + "." + name + `", "mode": "managed", "type": "` + kind + `", "name": "` + name + `", "change": {"actions": ` + actions + `, "before": ` + before + `, "after": ` + after + `, "after_unknown": ` + unknown + `}}`
}

func TestTheAccountOfAResource(t *testing.T) {
	made := change("aws_iam_role", "r", `["create"]`, "null", `{"name": "r", "assume_role_policy": "{}"}`, `{"arn": true}`)
	there := change("aws_iam_role", "s", `["no-op"]`, `{"name": "s", "arn": "arn:aws:iam::444444444444:role/s"}`, `{"name": "s", "arn": "arn:aws:iam::444444444444:role/s"}`, "{}")
	for name, test := range map[string]struct {
		src  string
		o    importer.Options
		want arn.AccountID // "": in none
	}{
		"of the role its provider assumes":          {plan(`{"assume_role": [{"role_arn": {"constant_value": "arn:aws:iam::222222222222:role/d"}}]}`, made), importer.Options{Account: "111111111111"}, "222222222222"},
		"of the last role of a chain":               {plan(`{"assume_role": [{"role_arn": {"constant_value": "arn:aws:iam::222222222222:role/d"}}, {"role_arn": {"constant_value": "arn:aws:iam::555555555555:role/d"}}]}`, made), importer.Options{}, "555555555555"},
		"of a role that a variable names":           {plan(`{"assume_role": [{"role_arn": {"references": ["var.role"]}}]}`, made), importer.Options{}, "333333333333"},
		"the only one that its provider is allowed": {plan(`{"allowed_account_ids": {"constant_value": ["666666666666"]}}`, made), importer.Options{}, "666666666666"},
		"not one of several":                        {plan(`{"allowed_account_ids": {"constant_value": ["666666666666", "777777777777"]}}`, made), importer.Options{}, ""},
		"of all other ARNs of its provider":         {plan(`{}`, made, there), importer.Options{Account: "111111111111"}, "444444444444"},
		"the one given":                             {plan(`{}`, made), importer.Options{Account: "111111111111"}, "111111111111"},
		"none":                                      {plan(`{}`, made), importer.Options{}, ""},
	} {
		inv, findings, err := importer.Terraform(nil, "plan", []byte(test.src), test.o)
		if err != nil {
			t.Fatal(err)
		}
		var got arn.AccountID
		for id, a := range inv.Accounts {
			if a.Roles["r"] != nil {
				got = id
			}
		}
		told := slices.ContainsFunc(findings, func(d diag.Diagnostic) bool { return d.Code == importer.CodeNoAccount })
		if got != test.want || told != (test.want == "") {
			t.Errorf("%s: account %q, told %v, want %q", name, got, told, test.want)
		}
	}
}

func TestTheRegionOfAResource(t *testing.T) {
	queue := func(extra string) string {
		return change("aws_sqs_queue", "q", `["create"]`, "null", `{"name": "q"`+extra+`}`, `{"arn": true}`)
	}
	for name, test := range map[string]struct {
		src, want string
	}{
		"of the provider":      {plan(`{"region": {"constant_value": "eu-west-1"}}`, queue("")), ""},
		"of the resource":      {plan(`{}`, queue(`, "region": "eu-north-1"`)), "arn:aws:sqs:eu-north-1:111111111111:q"},
		"the one given":        {plan(`{}`, queue("")), "arn:aws:sqs:us-east-2:111111111111:q"},
		"in another partition": {plan(`{}`, queue(`, "region": "cn-north-1"`)), "arn:aws-cn:sqs:cn-north-1:111111111111:q"},
	} {
		inv, _, err := importer.Terraform(nil, "plan", []byte(test.src), importer.Options{Account: "111111111111", Region: "us-east-2"})
		if err != nil {
			t.Fatal(err)
		}
		if test.want == "" { // the queue is in no configuration, so its provider is not known
			test.want = "arn:aws:sqs:us-east-2:111111111111:q"
		}
		if inv.Accounts["111111111111"].Resources[test.want] == nil {
			t.Errorf("%s: resources %v, want %s", name, inv.Accounts["111111111111"].Resources, test.want)
		}
	}
}

func TestWhatIsKnownOnlyAfterApplyIsNeverTakenForAnAnswer(t *testing.T) {
	base := func() *inventory.Inventory {
		return &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{"111111111111": {
			ID: "111111111111", Complete: true,
			Roles:   map[string]*inventory.Role{"r": {Name: "r", ARN: "arn:aws:iam::111111111111:role/r", Trust: "{}", Inline: map[string]string{}}},
			Secrets: map[string]*inventory.Secret{"arn:aws:secretsmanager:us-east-1:111111111111:secret:s-AbCdEf": {ARN: "arn:aws:secretsmanager:us-east-1:111111111111:secret:s-AbCdEf", Name: "s"}},
			Keys:    map[string]*inventory.Key{"arn:aws:kms:us-east-1:111111111111:key/k": {ARN: "arn:aws:kms:us-east-1:111111111111:key/k", Policy: "{}", GrantState: inventory.Exists}},
		}}}
	}
	const secret, key = "arn:aws:secretsmanager:us-east-1:111111111111:secret:s-AbCdEf", "arn:aws:kms:us-east-1:111111111111:key/k"
	unknown := func(text string) bool { _, ok := inventory.WhyUnknown(text); return ok }
	for name, test := range map[string]struct {
		change string
		holds  func(*inventory.Account) bool
	}{
		"a trust policy": {
			change("aws_iam_role", "r", `["update"]`, `{"name": "r", "arn": "arn:aws:iam::111111111111:role/r"}`, `{"name": "r", "arn": "arn:aws:iam::111111111111:role/r"}`, `{"assume_role_policy": true}`),
			func(a *inventory.Account) bool { return unknown(a.Roles["r"].Trust) },
		},
		"a boundary": {
			change("aws_iam_role", "r", `["update"]`, `{"name": "r", "arn": "arn:aws:iam::111111111111:role/r"}`, `{"name": "r", "arn": "arn:aws:iam::111111111111:role/r", "assume_role_policy": "{}"}`, `{"permissions_boundary": true}`),
			func(a *inventory.Account) bool { return unknown(a.Roles["r"].Boundary) || a.Roles["r"].Boundary == "" },
		},
		"an attached policy": {
			change("aws_iam_role_policy_attachment", "x", `["create"]`, "null", `{"role": "r"}`, `{"policy_arn": true}`),
			func(a *inventory.Account) bool {
				return len(a.Roles["r"].Attached) == 1 && unknown(a.Roles["r"].Attached[0])
			},
		},
		"the role of an attachment": {
			change("aws_iam_role_policy_attachment", "x", `["create"]`, "null", `{"policy_arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}`, `{"role": true}`),
			func(a *inventory.Account) bool { return !a.Complete && len(a.Problems) == 1 },
		},
		"a secret's policy": {
			change("aws_secretsmanager_secret_policy", "x", `["create"]`, "null", `{"secret_arn": "`+secret+`"}`, `{"policy": true}`),
			func(a *inventory.Account) bool { return unknown(a.Secrets[secret].Policy) },
		},
		"a key's policy": {
			change("aws_kms_key_policy", "x", `["create"]`, "null", `{"key_id": "k"}`, `{"policy": true}`),
			func(a *inventory.Account) bool { return unknown(a.Keys[key].Policy) },
		},
		"who gets a grant": {
			change("aws_kms_grant", "x", `["create"]`, "null", `{"key_id": "k", "operations": ["Decrypt"]}`, `{"grantee_principal": true}`),
			func(a *inventory.Account) bool { return a.Keys[key].GrantState == inventory.Unread },
		},
		"a bucket's policy": {
			change("aws_s3_bucket_policy", "x", `["create"]`, "null", `{"bucket": "b"}`, `{"policy": true}`),
			func(a *inventory.Account) bool {
				return a.Resources["arn:aws:s3:::b"].PolicyState == inventory.Unread && a.Resources["arn:aws:s3:::b"].PolicyWhy != ""
			},
		},
		"who may call a function": {
			change("aws_lambda_permission", "x", `["create"]`, "null", `{"function_name": "f", "action": "lambda:InvokeFunction", "statement_id": "s"}`, `{"principal": true}`),
			func(a *inventory.Account) bool {
				return a.Resources["arn:aws:lambda:us-east-1:111111111111:function:f"].PolicyState == inventory.Unread
			},
		},
		"others' permissions on a function that was not read": {
			change("aws_lambda_permission", "x", `["create"]`, "null", `{"function_name": "f", "action": "lambda:InvokeFunction", "statement_id": "s", "principal": "sns.amazonaws.com"}`, `{}`),
			func(a *inventory.Account) bool {
				return a.Resources["arn:aws:lambda:us-east-1:111111111111:function:f"].PolicyState == inventory.Unread
			},
		},
		"policies of a role that only the plan knows": {
			change("aws_iam_role", "only", `["no-op"]`, `{"name": "only", "arn": "arn:aws:iam::222222222222:role/only", "assume_role_policy": "{}"}`, `{"name": "only", "arn": "arn:aws:iam::222222222222:role/only"}`, "{}"),
			func(*inventory.Account) bool { return true },
		},
	} {
		inv, _, err := importer.Terraform(base(), "plan", []byte(plan("{}", test.change)), importer.Options{Account: "111111111111", Region: "us-east-1"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if a := inv.Accounts["111111111111"]; !test.holds(a) {
			text, _ := json.MarshalIndent(a, "", " ")
			t.Errorf("%s is taken for known:\n%s", name, text)
		}
		if other := inv.Accounts["222222222222"]; other != nil && !unknown(other.Roles["only"].Attached[0]) {
			t.Errorf("%s: %v are taken for all policies", name, other.Roles["only"].Attached)
		}
	}
}

func TestWhatThePlanTakesAwayIsAbsent(t *testing.T) {
	base := &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{"111111111111": {
		ID: "111111111111", Complete: true,
		Roles: map[string]*inventory.Role{"r": {Name: "r", Inline: map[string]string{"p": "{}", "q": "{}"}, Attached: []string{"arn:aws:iam::aws:policy/X", "arn:aws:iam::aws:policy/Y"}}},
		Users: map[string]*inventory.User{"u": {Name: "u", Groups: []inventory.Group{{Name: "g"}, {Name: "h"}}}},
		Resources: map[string]*inventory.Resource{
			"arn:aws:sqs:us-east-1:111111111111:q":             {ARN: "arn:aws:sqs:us-east-1:111111111111:q", Type: "sqs:queue", Policy: "{}", PolicyState: inventory.Exists},
			"arn:aws:lambda:us-east-1:111111111111:function:f": {ARN: "arn:aws:lambda:us-east-1:111111111111:function:f", Type: "lambda:function", PolicyState: inventory.Exists, Policy: `{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction","Resource":"*"},{"Sid":"b","Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction","Resource":"*"}]}`},
		},
		Keys: map[string]*inventory.Key{"arn:aws:kms:us-east-1:111111111111:key/k": {ARN: "arn:aws:kms:us-east-1:111111111111:key/k", Aliases: []string{"alias/a", "alias/b"}, GrantState: inventory.Exists, Grants: []inventory.Grant{{ID: "1"}, {ID: "2"}}}},
	}}}
	gone := func(kind, before string) string { return change(kind, "x", `["delete"]`, before, "null", "{}") }
	inv, findings, err := importer.Terraform(base, "plan", []byte(plan("{}",
		gone("aws_iam_role_policy", `{"role": "r", "name": "p"}`), gone("aws_iam_role_policy_attachment", `{"role": "r", "policy_arn": "arn:aws:iam::aws:policy/X"}`),
		gone("aws_iam_user_group_membership", `{"user": "u", "groups": ["g"]}`), gone("aws_sqs_queue_policy", `{"queue_url": "https://sqs.us-east-1.amazonaws.com/111111111111/q"}`),
		gone("aws_lambda_permission", `{"function_name": "f", "statement_id": "a"}`), gone("aws_kms_alias", `{"name": "alias/a", "target_key_id": "k"}`),
		gone("aws_kms_grant", `{"key_id": "k", "grant_id": "1"}`), gone("aws_iam_role_policy", `{"role": "nobody", "name": "p"}`),
	)), importer.Options{Account: "111111111111", Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	a := inv.Accounts["111111111111"]
	role, user, key := a.Roles["r"], a.Users["u"], a.Keys["arn:aws:kms:us-east-1:111111111111:key/k"]
	queue, function := a.Resources["arn:aws:sqs:us-east-1:111111111111:q"], a.Resources["arn:aws:lambda:us-east-1:111111111111:function:f"]
	for what, ok := range map[string]bool{
		"an inline policy": len(role.Inline) == 1 && role.Inline["q"] == "{}", "an attachment": slices.Equal(role.Attached, []string{"arn:aws:iam::aws:policy/Y"}),
		"a membership": len(user.Groups) == 1 && user.Groups[0].Name == "h", "a queue's policy": queue.PolicyState == inventory.Absent && queue.Policy == "",
		"a permission": strings.Contains(function.Policy, `"b"`) && !strings.Contains(function.Policy, `"a"`), "an alias": slices.Equal(key.Aliases, []string{"alias/b"}),
		"a grant": len(key.Grants) == 1 && key.Grants[0].ID == "2",
	} {
		if !ok {
			t.Errorf("%s was not taken away, or more than it: %+v %+v %+v %+v %+v", what, role, user, key, queue, function)
		}
	}
	if len(findings) > 0 {
		t.Errorf("findings %v, want none", findings)
	}
}

func FuzzTerraform(f *testing.F) {
	f.Add(plan(`{"assume_role": [{"role_arn": {"constant_value": "arn:aws:iam::222222222222:role/d"}}]}`,
		change("aws_iam_role", "r", `["delete", "create"]`, `{"name": "r"}`, `{"name": "r"}`, `{"arn": true, "inline_policy": [{"name": true}]}`),
		change("aws_lambda_permission", "r", `["create"]`, `null`, `{"function_name": "r"}`, `{"principal": true}`)))
	f.Add(`{"format_version": "1.0", "resource_changes": [{"module_address": "module.a[\"x.y]\"].module.b", "type": "aws_iam_policy", "change": {"actions": ["create"], "after": {}}}], "configuration": {"root_module": {"module_calls": {"a": {"module": null}}}}}`)
	for kind := range map[string]bool{"aws_eks_access_policy_association": true, "aws_kms_grant": true, "aws_organizations_policy_attachment": true, "aws_secretsmanager_secret": true} {
		f.Add(plan("{}", change(kind, "x", `["update"]`, `{"name": 1}`, `{"access_scope": [[]], "operations": {}}`, `{"policy_arn": true}`)))
	}
	base := &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{"111111111111": {ID: "111111111111", Roles: map[string]*inventory.Role{"r": nil}}}}
	f.Fuzz(func(t *testing.T, src string) {
		inv, _, err := importer.Terraform(base, "plan", []byte(src), importer.Options{Account: "111111111111", Region: "us-east-1"})
		if err != nil {
			return
		}
		again, _, _ := importer.Terraform(base, "plan", []byte(src), importer.Options{Account: "111111111111", Region: "us-east-1"})
		if changes := inventory.Diff(inv, again); len(changes) > 0 {
			t.Errorf("the same plan gives another inventory the second time: %v", changes)
		}
	})
}

func FuzzCloudFormation(f *testing.F) {
	f.Add("Resources:\n  R:\n    Type: AWS::IAM::Role\n    Properties: {RoleName: r, Policies: [{PolicyName: p, PolicyDocument: !Ref x}]}\n  P:\n    Type: AWS::IAM::Policy\n    Properties: {Roles: [!Ref R, !Ref Q]}")
	f.Add(`{"Resources": {"A": {"Type": "AWS::Lambda::Permission", "Properties": {"FunctionName": {"Ref": "B"}}}, "B": {"Type": "AWS::Lambda::Function"}, "C": {"Type": "AWS::KMS::ReplicaKey"}, "D": {"Type": "AWS::EKS::AccessEntry", "Properties": []}}}`)
	f.Fuzz(func(t *testing.T, src string) {
		_, _, _ = importer.CloudFormation(nil, "t", []byte(src), importer.Options{Account: "111111111111", StackName: "s"})
	})
}

func FuzzDetails(f *testing.F) {
	f.Add(`{"RoleDetailList": [{"RoleName": "a", "Arn": "arn:aws:iam::111111111111:role/a", "AssumeRolePolicyDocument": "%7B%7D", "RoleLastUsed": {}}]}`)
	f.Add(`[{"UserDetailList": [{"UserName": "u", "GroupList": ["g"]}]}] {"IsTruncated": true}`)
	f.Fuzz(func(t *testing.T, src string) {
		_, _, _ = importer.Details("d", []byte(src), importer.Options{Account: "111111111111"})
		importer.Recognise([]byte(src))
	})
}
