package importer_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/importer"
	"github.com/stile-aws/stile/internal/inventory"
)

func TestRecognise(t *testing.T) {
	var packed bytes.Buffer
	if err := inventory.SaveGzip(&packed, nil); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		src  string
		want importer.Kind
	}{
		"a saved inventory":                   {`{"format": "stile-inventory", "version": 1}`, importer.SavedInventory},
		"a saved inventory, compressed":       {packed.String(), importer.SavedInventory},
		"authorization details":               {`{"UserDetailList": []}`, importer.AuthorizationDetails},
		"pages of authorization details":      {`[{"IsTruncated": true, "GroupDetailList": []}]`, importer.AuthorizationDetails},
		"a plan":                              {`{"format_version": "1.2", "terraform_version": "1.9", "planned_values": {}}`, importer.TerraformPlan},
		"a plan's changes first":              {`{"resource_changes": [], "format_version": "1.2"}`, importer.TerraformPlan},
		"Terraform state, which is no plan":   {`{"format_version": "1.0", "values": {}}`, importer.Unrecognised},
		"a template in JSON":                  {`{"Description": "x", "Resources": {"A": {"Type": "AWS::S3::Bucket"}}}`, importer.CloudFormationStack},
		"a template with its version":         {`{"AWSTemplateFormatVersion": "2010-09-09", "Resources": {}}`, importer.CloudFormationStack},
		"a template in YAML":                  {"# x\nDescription: y\nResources:\n  A:\n    Type: AWS::S3::Bucket\n", importer.CloudFormationStack},
		"a template in YAML with its version": {"AWSTemplateFormatVersion: 2010-09-09\nResources: {", importer.CloudFormationStack},
		"a module's custom type":              {"Resources:\n  A:\n    Type: 'Org::Service::Usecase::MODULE'\n", importer.CloudFormationStack},
		"another YAML file with Resources":    {"Resources:\n  - Type: a thing\n", importer.Unrecognised},
		"another JSON object":                 {`{"Resources": {"A": {"Type": "x"}}}`, importer.Unrecognised},
		"a policy":                            {`{"Version": "2012-10-17", "Statement": []}`, importer.Unrecognised},
		"broken JSON":                         {`{"a": `, importer.Unrecognised},
		"a number":                            {`1`, importer.Unrecognised},
		"nothing":                             {"", importer.Unrecognised},
	} {
		if got := importer.Recognise([]byte(test.src)); got != test.want {
			t.Errorf("%s: Recognise = %v, want %v", name, got, test.want)
		}
	}
}

func TestReadTakesADirectoryOfFiles(t *testing.T) {
	details := `{"RoleDetailList": [{"RoleName": "a", "Arn": "arn:aws:iam::111111111111:role/a", "AssumeRolePolicyDocument": {}}]}`
	plan := `{"format_version": "1.0", "resource_changes": [{"address": "aws_iam_role_policy.p", "mode": "managed", "type": "aws_iam_role_policy", "name": "p",
		"change": {"actions": ["create"], "before": null, "after": {"role": "a", "name": "p", "policy": "{}"}, "after_unknown": {}}}]}`
	fsys := fstest.MapFS{
		"inv/a-plan.json": {Data: []byte(plan)}, "inv/details.json": {Data: []byte(details)}, // the plan comes later all the same
		"inv/README.md": {Data: []byte("x")}, "inv/sub/x.json": {Data: []byte("x")},
	}
	got, err := importer.Read(fsys, "inv", nil, importer.Options{Account: "111111111111"})
	if err != nil {
		t.Fatal(err)
	}
	if role, _ := got.Inventory.Accounts["111111111111"].Role("a"); role == nil || role.Inline["p"] != "{}" || got.Kind != importer.Directory {
		t.Errorf("Read = %+v, role %+v", got, role)
	}
	for name, fsys := range map[string]fstest.MapFS{
		"a directory without files": {"inv/README.md": {Data: []byte("x")}},
		"a file of another kind":    {"inv": {Data: []byte("hello")}},
		"a directory with one":      {"inv/x.json": {Data: []byte("{}")}},
	} {
		if _, err := importer.Read(fsys, "inv", nil, importer.Options{}); !errors.Is(err, importer.ErrUnrecognised) {
			t.Errorf("%s: Read = %v, want ErrUnrecognised", name, err)
		}
	}
	if _, err := importer.Read(fsys, "nowhere", nil, importer.Options{}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a file that is not there: Read = %v", err)
	}
}

func TestReadMergesWhatIsOverTheBase(t *testing.T) {
	base := &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{"222222222222": {ID: "222222222222"}}}
	var saved bytes.Buffer
	if err := inventory.Save(&saved, &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{"111111111111": {ID: "111111111111"}}}); err != nil {
		t.Fatal(err)
	}
	got, err := importer.Bytes("x", saved.Bytes(), base, importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Inventory.Accounts) != 2 || len(base.Accounts) != 1 {
		t.Errorf("%d accounts, the base has %d; want 2 and 1", len(got.Inventory.Accounts), len(base.Accounts))
	}
}

func TestErrorsTellWhere(t *testing.T) {
	for name, test := range map[string]struct{ src, want string }{
		"details cut off":              {"{\n \"RoleDetailList\": [\n  {\"Arn\": \"x\"", "line 3"},
		"details of another type":      {"{\n \"RoleDetailList\": [\n  {\"Arn\": 1}]}", "line 3, column"},
		"details of no account":        {`{"RoleDetailList": [{"RoleName": "x"}]}`, "no ARN in it tells the account"},
		"a plan of a later format":     {`{"format_version": "2.0", "resource_changes": []}`, `format version "2.0"`},
		"a plan of another type":       {"{\"format_version\": \"1.0\",\n \"resource_changes\": 1}", "line 2"},
		"a plan with a broken value":   {`{"format_version": "1.0", "resource_changes": [{"address": "aws_iam_role.x", "mode": "managed", "type": "aws_iam_role", "change": {"after": {"a": ` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}}}]}`, "/resource_changes/0 (aws_iam_role.x)"},
		"a template without resources": {"AWSTemplateFormatVersion: 2010-09-09", "line 1"},
		"a template that is no YAML":   {"AWSTemplateFormatVersion: 2010-09-09\nResources: {", "line"},
	} {
		_, err := importer.Bytes("input", []byte(test.src), nil, importer.Options{})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "input") {
			t.Errorf("%s: %v, want an error with %q and the file's name", name, err, test.want)
		}
	}
	_, err := importer.Bytes("t.yaml", []byte("Resources:\n  A:\n    Type: AWS::S3::Bucket\n"), nil, importer.Options{})
	if err == nil || !strings.Contains(err.Error(), "account") {
		t.Errorf("a template without an account: %v", err)
	}
}

func TestATruncatedAnswerIsNotComplete(t *testing.T) {
	inv, findings, err := importer.Details("d", []byte(`{"IsTruncated": true, "Marker": "x", "RoleDetailList": [{"RoleName": "a", "Arn": "arn:aws:iam::111111111111:role/a"}]}`), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a := inv.Accounts["111111111111"]
	if _, state := a.Role("b"); a.Complete || state == inventory.Absent || !a.Failed(inventory.AllOfIAM) || len(findings) != 1 {
		t.Errorf("role b is %v, complete %v, findings %v", state, a.Complete, findings)
	}
}

func TestAnOverlaySharesWhatItDoesNotTouch(t *testing.T) {
	role := func(name string) *inventory.Role {
		return &inventory.Role{Name: name, ARN: "arn:aws:iam::111111111111:role/" + name}
	}
	base := &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{
		"111111111111": {ID: "111111111111", Complete: true, Roles: map[string]*inventory.Role{"a": role("a"), "b": role("b")}},
		"222222222222": {ID: "222222222222"},
	}}
	plan := `{"format_version": "1.0", "resource_changes": [{"address": "aws_iam_role_policy.p", "mode": "managed", "type": "aws_iam_role_policy", "name": "p",
		"change": {"actions": ["create"], "before": null, "after": {"role": "a", "name": "p", "policy": "{}"}, "after_unknown": {}}}]}`
	got, _, err := importer.Terraform(base, "plan", []byte(plan), importer.Options{Account: "111111111111"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Accounts["222222222222"] != base.Accounts["222222222222"] {
		t.Error("an account that the plan does not touch is not shared")
	}
	after := got.Accounts["111111111111"]
	if after.Roles["b"] != base.Accounts["111111111111"].Roles["b"] {
		t.Error("a role that the plan does not touch is not shared")
	}
	if after.Roles["a"].Inline["p"] != "{}" || base.Accounts["111111111111"].Roles["a"].Inline != nil {
		t.Error("the role that the plan touches was not changed, or changed in the base")
	}
	want := []inventory.Change{{Account: "111111111111", What: "role a", Kind: inventory.Changed, Before: inventory.Exists, After: inventory.Exists, Details: []string{"inline policy p added"}}}
	if diff := cmp.Diff(want, inventory.Diff(base, got)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}
