package importer_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/importer"
	"github.com/stile-aws/stile/internal/inventory"
)

// made is a resource that a plan creates, with its module and index.
type made struct {
	module, kind, name string
	index              any
	after, unknown     object
}

// written is a configured resource or module output.
type written struct {
	kind, name  string
	expressions object
}

func refers(to ...string) object { return object{"references": to} }

// module is a module's configuration.
func module(resources []written, calls, outputs object) object {
	var list []any
	for _, r := range resources {
		list = append(list, object{"mode": "managed", "type": r.kind, "name": r.name, "provider_config_key": "aws", "expressions": r.expressions})
	}
	return object{"resources": list, "module_calls": calls, "outputs": outputs}
}

func planOf(tb testing.TB, root object, changes ...made) []byte {
	tb.Helper()
	var list []any
	for _, c := range changes {
		address := c.kind + "." + c.name
		if c.index != nil {
			text, _ := json.Marshal(c.index)
			address += "[" + string(text) + "]"
		}
		if c.module != "" {
			address = c.module + "." + address
		}
		one := object{
			"address": address, "module_address": c.module, "mode": "managed", "type": c.kind, "name": c.name,
			"change": object{"actions": []string{"create"}, "before": nil, "after": c.after, "after_unknown": c.unknown},
		}
		if c.index != nil {
			one["index"] = c.index
		}
		list = append(list, one)
	}
	text, err := json.Marshal(object{"format_version": "1.0", "resource_changes": list, "configuration": object{"root_module": root}})
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// A role policy attachment's policy_arn is known only after apply; what its
// expression refers to decides whether it is known now.
func TestReferencesAreFollowedToOneResourceOnly(t *testing.T) {
	policy := func(module, name string, index any, called string) made {
		return made{module, "aws_iam_policy", name, index, object{"name": called, "policy": "{}"}, object{"arn": true, "id": true}}
	}
	attach := func(module string, index any) made {
		return made{module, "aws_iam_role_policy_attachment", "x", index, object{"role": "r"}, object{"policy_arn": true}}
	}
	attached := func(expression object) written {
		return written{"aws_iam_role_policy_attachment", "x", object{"policy_arn": expression}}
	}
	named := func(name string) written { return written{"aws_iam_policy", name, object{"name": object{}}} }
	const arnOf = "arn:aws:iam::111111111111:policy/"
	for name, test := range map[string]struct {
		root    object
		changes []made
		want    []string // nil: not known
	}{
		"a resource's attribute": {
			module([]written{named("p"), attached(refers("aws_iam_policy.p.arn", "aws_iam_policy.p"))}, nil, nil),
			[]made{policy("", "p", nil, "a"), attach("", nil)}, []string{arnOf + "a"},
		},
		"one of several, by its index": {
			module([]written{named("p"), attached(refers("aws_iam_policy.p[1].arn", "aws_iam_policy.p[1]", "aws_iam_policy.p"))}, nil, nil),
			[]made{policy("", "p", 0, "a"), policy("", "p", 1, "b"), attach("", nil)}, []string{arnOf + "b"},
		},
		"one of several, by its key": {
			module([]written{named("p"), attached(refers(`aws_iam_policy.p["k.1"].arn`, `aws_iam_policy.p["k.1"]`, "aws_iam_policy.p"))}, nil, nil),
			[]made{policy("", "p", "k", "a"), policy("", "p", "k.1", "b"), attach("", nil)}, []string{arnOf + "b"},
		},
		"the one of the same key": {
			module([]written{named("p"), attached(refers("aws_iam_policy.p", "each.key"))}, nil, nil),
			[]made{policy("", "p", "k", "a"), policy("", "p", "l", "b"), attach("", "l")}, []string{arnOf + "b"},
		},
		"the only instance, without an index": {
			module([]written{named("p"), attached(refers("aws_iam_policy.p", "count.index"))}, nil, nil),
			[]made{policy("", "p", nil, "a"), attach("", 0)}, []string{arnOf + "a"},
		},
		"not one of several when nothing chooses": {
			module([]written{named("p"), attached(refers("aws_iam_policy.p"))}, nil, nil),
			[]made{policy("", "p", "k", "a"), policy("", "p", "l", "b"), attach("", nil)}, nil,
		},
		"not two resources": {
			module([]written{named("p"), named("q"), attached(refers("aws_iam_policy.p.arn", "aws_iam_policy.p", "aws_iam_policy.q.arn", "aws_iam_policy.q"))}, nil, nil),
			[]made{policy("", "p", nil, "a"), policy("", "q", nil, "b"), attach("", nil)}, nil,
		},
		"not a local value": {
			module([]written{named("p"), attached(refers("local.p"))}, nil, nil),
			[]made{policy("", "p", nil, "a"), attach("", nil)}, nil,
		},
		"not another attribute": {
			module([]written{named("p"), attached(refers("aws_iam_policy.p.policy_id", "aws_iam_policy.p"))}, nil, nil),
			[]made{policy("", "p", nil, "a"), attach("", nil)}, nil,
		},
		"a module's output": {
			module([]written{attached(refers("module.m.ref", "module.m"))}, object{"m": object{"module": module([]written{named("p")}, nil, object{"ref": object{"expression": refers("aws_iam_policy.p.arn", "aws_iam_policy.p")}})}}, nil),
			[]made{policy("module.m", "p", nil, "a"), attach("", nil)}, []string{arnOf + "a"},
		},
		"a module's variable": {
			module([]written{named("p")}, object{"m": object{"expressions": object{"ref": refers("aws_iam_policy.p.arn", "aws_iam_policy.p")}, "module": module([]written{attached(refers("var.ref"))}, nil, nil)}}, nil),
			[]made{policy("", "p", nil, "a"), attach("module.m", nil)}, []string{arnOf + "a"},
		},
		"within the same instance of a module": {
			module(nil, object{"m": object{"module": module([]written{named("p"), attached(refers("aws_iam_policy.p.arn", "aws_iam_policy.p"))}, nil, nil)}}, nil),
			[]made{policy(`module.m["a.b"]`, "p", nil, "a"), policy(`module.m["c"]`, "p", nil, "c"), attach(`module.m["c"]`, nil)}, []string{arnOf + "c"},
		},
		"not an output of several instances of a module": {
			module([]written{attached(refers("module.m", "each.key"))}, object{"m": object{"module": module([]written{named("p")}, nil, object{"ref": object{"expression": refers("aws_iam_policy.p.arn")}})}}, nil),
			[]made{policy(`module.m["a"]`, "p", nil, "a"), policy(`module.m["b"]`, "p", nil, "b"), attach("", "a")}, nil,
		},
		"not a variable that refers to itself": {
			module(nil, object{"m": object{"expressions": object{"ref": refers("module.m.ref")}, "module": module([]written{attached(refers("var.ref"))}, nil, object{"ref": object{"expression": refers("var.ref")}})}}, nil),
			[]made{attach("module.m", nil)}, nil,
		},
	} {
		base := &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{"111111111111": {ID: "111111111111", Roles: map[string]*inventory.Role{"r": {Name: "r"}}}}}
		inv, _, err := importer.Terraform(base, "plan", planOf(t, test.root, test.changes...), importer.Options{Account: "111111111111"})
		if err != nil {
			t.Fatal(err)
		}
		got := inv.Accounts["111111111111"].Roles["r"].Attached
		if test.want == nil {
			if len(got) != 1 || !strings.HasPrefix(got[0], "unread: ") {
				t.Errorf("%s: attached %q, want one that is not known", name, got)
			}
		} else if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: attached %q, want %q", name, got, test.want)
		}
	}
}

// world is an account with a role, a user in a group, and a managed policy.
func world() *inventory.Inventory {
	return &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{"111111111111": {
		ID: "111111111111", Complete: true,
		Roles: map[string]*inventory.Role{"r": {Name: "r", ARN: "arn:aws:iam::111111111111:role/r", Inline: map[string]string{"old": "{}"}, Attached: []string{"arn:aws:iam::aws:policy/Old"}}},
		Users: map[string]*inventory.User{
			"u": {Name: "u", ARN: "arn:aws:iam::111111111111:user/u", Groups: []inventory.Group{{Name: "g", Attached: []string{"arn:aws:iam::aws:policy/Old"}}}},
			"v": {Name: "v", ARN: "arn:aws:iam::111111111111:user/v"},
		},
	}}}
}

func TestPoliciesOfPrincipals(t *testing.T) {
	const old, fresh = "arn:aws:iam::aws:policy/Old", "arn:aws:iam::aws:policy/New"
	update := func(kind, before, after string) string {
		return change(kind, "r", `["update"]`, before, after, "{}")
	}
	create := func(kind, after string) string { return change(kind, "x", `["create"]`, "null", after, "{}") }
	role := func(extra string) string {
		return `{"name": "r", "arn": "arn:aws:iam::111111111111:role/r", "assume_role_policy": "{}"` + extra + `}`
	}
	for name, test := range map[string]struct {
		config  string // of aws_iam_role.r
		changes []string
		want    string // role's inline and attached, then the groups of u and v with theirs
	}{
		"an attachment to a group reaches its members": {"", []string{create("aws_iam_group_policy_attachment", `{"group": "g", "policy_arn": "`+fresh+`"}`)}, "[old] [Old] u:g[Old New] v:"},
		"an inline policy of a group too":              {"", []string{create("aws_iam_group_policy", `{"group": "g", "name": "p", "policy": "{}"}`)}, "[old] [Old] u:g[Old p] v:"},
		"a new member gets the group's policies":       {"", []string{create("aws_iam_user_group_membership", `{"user": "v", "groups": ["g"]}`)}, "[old] [Old] u:g[Old] v:g[Old]"},
		"the members of a group are replaced":          {"", []string{update("aws_iam_group_membership", `{"group": "g", "users": ["u"]}`, `{"group": "g", "users": ["v"]}`)}, "[old] [Old] u: v:g[Old]"},
		"a new group's policies reach its members": {"", []string{
			create("aws_iam_group", `{"name": "h"}`), create("aws_iam_user_group_membership", `{"user": "v", "groups": ["h"]}`), create("aws_iam_group_policy_attachment", `{"group": "h", "policy_arn": "`+fresh+`"}`),
		}, "[old] [Old] u:g[Old] v:h[New]"},
		"a group that goes takes its policies along": {"", []string{change("aws_iam_group", "x", `["delete"]`, `{"name": "g"}`, "null", "{}")}, "[old] [Old] u: v:"},
		"a policy attached to many":                  {"", []string{update("aws_iam_policy_attachment", `{"policy_arn": "`+old+`", "roles": ["r"], "groups": ["g"]}`, `{"policy_arn": "`+old+`", "roles": [], "groups": ["g"]}`)}, "[old] [] u:g[Old] v:"},
		"policies that the role manages alone":       {`"managed_policy_arns": {}`, []string{update("aws_iam_role", role(`, "managed_policy_arns": ["`+old+`"]`), role(`, "managed_policy_arns": ["`+fresh+`"]`))}, "[old] [New] u:g[Old] v:"},
		"policies that it shows and does not manage": {"", []string{update("aws_iam_role", role(`, "managed_policy_arns": ["`+old+`"]`), role(`, "managed_policy_arns": ["`+old+`"]`))}, "[old] [Old] u:g[Old] v:"},
		"inline policies of the role's own":          {`"inline_policy": [{}]`, []string{update("aws_iam_role", role(`, "inline_policy": [{"name": "old", "policy": "{}"}]`), role(`, "inline_policy": [{"name": "new", "policy": "{}"}]`))}, "[new] [Old] u:g[Old] v:"},
		"attachments kept exclusively":               {"", []string{create("aws_iam_role_policy_attachments_exclusive", `{"role_name": "r", "policy_arns": ["`+fresh+`"]}`)}, "[old] [New] u:g[Old] v:"},
		"attachments of a user's group likewise":     {"", []string{create("aws_iam_group_policy_attachments_exclusive", `{"group_name": "g", "policy_arns": ["`+fresh+`"]}`)}, "[old] [Old] u:g[New] v:"},
		"inline policies kept exclusively":           {"", []string{create("aws_iam_role_policies_exclusive", `{"role_name": "r", "policy_names": ["new"]}`), create("aws_iam_role_policy", `{"role": "r", "name": "new", "policy": "{}"}`)}, "[new] [Old] u:g[Old] v:"},
		"no inline policies kept":                    {"", []string{create("aws_iam_role_policies_exclusive", `{"role_name": "r", "policy_names": []}`)}, "[] [Old] u:g[Old] v:"},
		"a deposed role is not the role":             {"", []string{strings.Replace(change("aws_iam_role", "r", `["delete"]`, `{"name": "gone", "arn": "arn:aws:iam::111111111111:role/gone"}`, "null", "{}"), `"mode"`, `"deposed": "abc", "mode"`, 1)}, "[old] [Old] u:g[Old] v:"},
	} {
		src := plan("{}", test.changes...)
		if test.config != "" {
			src = strings.Replace(src, `"name": {}, "assume_role_policy": {}`, `"name": {}, `+test.config, 1)
		}
		inv, findings, err := importer.Terraform(world(), "plan", []byte(src), importer.Options{Account: "111111111111"})
		if err != nil || len(findings) > 0 {
			t.Fatalf("%s: %v %v", name, err, findings)
		}
		if got := summary(inv.Accounts["111111111111"]); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func summary(a *inventory.Account) string {
	short := func(refs []string, inline map[string]string) []string {
		out := []string{}
		for _, ref := range refs {
			out = append(out, ref[strings.LastIndex(ref, "/")+1:])
		}
		for name := range inline {
			out = append(out, name)
		}
		return out
	}
	r := a.Roles["r"]
	out := fmt.Sprint(short(nil, r.Inline), " ", short(r.Attached, nil))
	for _, name := range []string{"u", "v"} {
		out += " " + name + ":"
		for _, g := range a.Users[name].Groups {
			out += g.Name + fmt.Sprint(short(g.Attached, g.Inline))
		}
	}
	return out
}

func TestATemplateChangesWhatIsThere(t *testing.T) {
	const template = `
Resources:
  R:
    Type: AWS::IAM::Role
    Properties:
      RoleName: r
      AssumeRolePolicyDocument: {Version: 2012-10-17, Statement: []}
      ManagedPolicyArns: [arn:aws:iam::aws:policy/New]
  G: {Type: "AWS::IAM::Group", Properties: {GroupName: g, ManagedPolicyArns: ["arn:aws:iam::aws:policy/New"]}}
  H: {Type: "AWS::IAM::Group", Properties: {GroupName: h, Policies: [{PolicyName: p, PolicyDocument: {}}]}}
  Join: {Type: "AWS::IAM::UserToGroupAddition", Properties: {GroupName: !Ref H, Users: [v]}}
  Inline: {Type: "AWS::IAM::RolePolicy", Properties: {RoleName: !Ref R, PolicyName: mine, PolicyDocument: {}}}
  New: {Type: "AWS::IAM::User", Properties: {UserName: w, Groups: [!Ref G]}}
  Nobody: {Type: "AWS::IAM::UserPolicy", Properties: {UserName: nobody, PolicyName: p, PolicyDocument: {}}}
`
	inv, findings, err := importer.CloudFormation(world(), "t.yaml", []byte(template), importer.Options{Account: "111111111111", Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	a := inv.Accounts["111111111111"]
	if got, want := summary(a), "[old mine] [Old New] u:g[Old New] v:h[p]"; got != want && got != "[mine old] [Old New] u:g[Old New] v:h[p]" {
		t.Errorf("after the template: %s, want %s", got, want)
	}
	if w := a.Users["w"]; w == nil || len(w.Groups) != 1 || len(w.Groups[0].Attached) != 2 {
		t.Errorf("the new user = %+v, want it in group g with its two policies", w)
	}
	if len(findings) != 1 || findings[0].Code != importer.CodeMissing || findings[0].Pos.Line != 14 {
		t.Errorf("findings %v, want that nobody is there, at line 14", findings)
	}
}

func TestOrganizationPoliciesOfATemplate(t *testing.T) {
	base := world()
	base.OrgState, base.Organization = inventory.Exists, &inventory.Organization{
		ID: "o-1", Root: &inventory.Node{ID: "r-1", Children: []*inventory.Node{{ID: "111111111111", SCPs: []string{"p-old"}}}},
		Policies: map[string]*inventory.OrgPolicy{"p-old": {ID: "p-old", Name: "guard", Document: "{}"}},
	}
	const template = `
Resources:
  Guard: {Type: "AWS::Organizations::Policy", Properties: {Name: guard, Type: SERVICE_CONTROL_POLICY, Content: {Version: 2012-10-17, Statement: []}, TargetIds: [r-1]}}
  Perimeter: {Type: "AWS::Organizations::Policy", Properties: {Name: rcp, Type: RESOURCE_CONTROL_POLICY, Content: {Version: 2012-10-17, Statement: []}, TargetIds: ["111111111111", ou-none]}}
  Tags: {Type: "AWS::Organizations::Policy", Properties: {Name: tags, Type: TAG_POLICY, Content: {}, TargetIds: [r-1]}}
`
	inv, findings, err := importer.CloudFormation(base, "t.yaml", []byte(template), importer.Options{Account: "111111111111"})
	if err != nil {
		t.Fatal(err)
	}
	org := inv.Organization
	root, leaf := org.Root, org.Root.Children[0]
	if len(org.Policies) != 1 || org.Policies["p-old"].Document == "{}" || len(root.SCPs) != 1 || root.SCPs[0] != "p-old" {
		t.Errorf("the policy that was there: %+v, attached to the root: %v", org.Policies, root.SCPs)
	}
	if len(org.RCPs) != 1 || len(leaf.RCPs) != 1 || len(root.RCPs) != 0 {
		t.Errorf("the new policy: %+v, attached to the account: %v, to the root: %v", org.RCPs, leaf.RCPs, root.RCPs)
	}
	if len(findings) != 1 || findings[0].Code != importer.CodeMissing {
		t.Errorf("findings %v, want one on the OU that is not there", findings)
	}
	if base.Organization.Root.SCPs != nil || base.Organization.Policies["p-old"].Document != "{}" {
		t.Error("the base's organization was changed")
	}
}

func TestWhatInputsHideIsNotAbsent(t *testing.T) {
	const id = "111111111111"
	base := func() *inventory.Inventory {
		return &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{id: {ID: id, Complete: true}}}
	}
	none := plan("{}", change("aws_sqs_queue", "q", `["create"]`, "null", `{"name": "q"}`, "{}"))
	with := func(member string) string { return strings.Replace(none, "{", "{"+member+",", 1) }
	template := func(text string) string { return "AWSTemplateFormatVersion: 2010-09-09\n" + text }
	for name, test := range map[string]struct {
		text    string
		hidden  bool
		finding string // what one has
	}{
		"a plan":                       {none, false, ""},
		"a whole plan":                 {with(`"complete": true`), false, ""},
		"a plan of some targets":       {with(`"complete": false`), true, "the plan does not have all"},
		"a plan that failed":           {with(`"errored": true, "complete": false`), true, "the plan does not have all that the configuration will change: planning ended in an error"},
		"a plan with deferred changes": {with(`"deferred_changes": [{}]`), true, "the plan does not have all that the configuration will change: it puts 1 resources off"},
		"a stack in a plan":            {plan("{}", change("aws_cloudformation_stack", "s", `["create"]`, "null", `{"name": "s"}`, "{}")), true, "what resources of type aws_cloudformation_stack make is not read"},
		"a role by the other provider": {plan("{}", change("awscc_iam_role", "s", `["create"]`, "null", `{"role_name": "s"}`, "{}")), true, "what resources of type awscc_iam_role make is not read"},
		"a stack that stays":           {plan("{}", change("aws_cloudformation_stack", "s", `["no-op"]`, `{"name": "s"}`, `{"name": "s"}`, "{}")), false, ""},
		"a template":                   {template("Resources: {Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: q}}}"), false, ""},
		"a nested stack":               {template("Resources: {S: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: u}}}"), true, "what a resource of type AWS::CloudFormation::Stack makes is not read"},
		"a module":                     {template("Resources: {S: {Type: 'My::S3::Bucket::MODULE'}}"), true, "what a resource of type My::S3::Bucket::MODULE makes is not read"},
		"a macro among the resources":  {template("Resources: {'Fn::Transform': {Name: 'AWS::Include', Parameters: {Location: u}}}"), true, "what a resource of type Fn::Transform makes is not read"},
		"a macro":                      {template("Transform: AWS::Serverless-2016-10-31\nResources: {F: {Type: 'AWS::Serverless::Function'}}"), true, "macro AWS::Serverless-2016-10-31 is not expanded"},
		"a language's extensions":      {template("Transform: AWS::LanguageExtensions\nResources: {Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: q}}}"), false, "macro AWS::LanguageExtensions"},
		"a loop":                       {template("Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::Roles': [N, [a, b], {'R${N}': {Type: 'AWS::IAM::Role'}}]}"), true, "what a resource of type Fn::ForEach makes is not read"},
		"a function of its own":        {template("Resources: {F: {Type: 'Custom::Thing'}}"), false, "resources of type Custom::Thing are not read"},
	} {
		o := importer.Options{Account: id, Region: "eu-west-1"}
		read := importer.Terraform
		if strings.HasPrefix(test.text, "AWS") {
			read = importer.CloudFormation
		}
		inv, findings, err := read(base(), "in", []byte(test.text), o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, state := inv.Accounts[id].Role("made-elsewhere")
		if hidden := state != inventory.Absent; hidden != test.hidden {
			t.Errorf("%s: a role that is not there is %v, findings %v", name, state, findings)
		}
		if test.hidden != (len(inv.Accounts[id].Problems) > 0) {
			t.Errorf("%s: problems %v", name, inv.Accounts[id].Problems)
		}
		told := slices.ContainsFunc(findings, func(d diag.Diagnostic) bool { return strings.Contains(d.Summary, test.finding) })
		if test.finding == "" && len(findings) > 0 || test.finding != "" && !told {
			t.Errorf("%s: findings %+v, want one that has %q", name, []diag.Diagnostic(findings), test.finding)
		}
	}
}
