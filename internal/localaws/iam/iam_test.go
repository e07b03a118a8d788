package iam_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/go-cmp/cmp"

	localiam "github.com/stile-aws/stile/internal/localaws/iam"
	"github.com/stile-aws/stile/internal/localaws/saml/samltest"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

const emptyPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`

// cloud serves IAM, with a client that may do everything in account A.
func cloud(t *testing.T) (*worldtest.Cloud, *iam.Client) {
	t.Helper()
	c := worldtest.New(t, localiam.New())
	return c, iam.NewFromConfig(c.User(worldtest.A, "admin", worldtest.AllowAll))
}

func trusting(principal string) *string {
	return aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"}]}`)
}

func makeRole(t *testing.T, client *iam.Client, name string) *types.Role {
	t.Helper()
	out, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: trusting(string(worldtest.A))})
	if err != nil {
		t.Fatalf("CreateRole(%s): %v", name, err)
	}
	return out.Role
}

func makePolicy(t *testing.T, client *iam.Client, name, document string) string {
	t.Helper()
	out, err := client.CreatePolicy(t.Context(), &iam.CreatePolicyInput{PolicyName: &name, PolicyDocument: &document})
	if err != nil {
		t.Fatalf("CreatePolicy(%s): %v", name, err)
	}
	return *out.Policy.Arn
}

func document(t *testing.T, encoded *string) map[string]any {
	t.Helper()
	text, err := url.PathUnescape(aws.ToString(encoded))
	if err != nil {
		t.Fatalf("unescaping %q: %v", *encoded, err)
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("parsing %q: %v", text, err)
	}
	return out
}

func TestRoleLivesFromCreationToDeletion(t *testing.T) {
	_, client := cloud(t)
	ctx := t.Context()
	created, err := client.CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: aws.String("deploy"), Path: aws.String("/ci/"), AssumeRolePolicyDocument: trusting(string(worldtest.A)),
		Description: aws.String("deploys"), MaxSessionDuration: aws.Int32(7200),
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *created.Role.Arn, "arn:aws:iam::111111111111:role/ci/deploy"; got != want {
		t.Errorf("ARN %s, want %s", got, want)
	}
	if id := *created.Role.RoleId; !strings.HasPrefix(id, "AROA") || len(id) != 21 {
		t.Errorf("unique id %q, want AROA and 17 characters", id)
	}
	if _, err := client.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: aws.String("DEPLOY"), Description: aws.String("ships")}); err != nil {
		t.Fatal(err)
	}
	got, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("deploy")})
	if err != nil {
		t.Fatal(err)
	}
	r := got.Role
	if *r.Description != "ships" || *r.MaxSessionDuration != 3600 || *r.RoleId != *created.Role.RoleId || len(r.Tags) != 1 {
		t.Errorf("after UpdateRole without MaxSessionDuration: %s, %d s, %s, tags %v", *r.Description, *r.MaxSessionDuration, *r.RoleId, r.Tags)
	}
	trust := document(t, r.AssumeRolePolicyDocument)
	principal := trust["Statement"].([]any)[0].(map[string]any)["Principal"].(map[string]any)["AWS"]
	if principal != "arn:aws:iam::111111111111:root" {
		t.Errorf("a bare account id is shown as %v, want the root ARN", principal)
	}
	if _, err := client.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("deploy")}); err != nil {
		t.Fatal(err)
	}
	_, err = client.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("deploy")})
	worldtest.WantError(t, err, "NoSuchEntity", "The role with name deploy cannot be found.")
}

func TestErrorsClientsBranchOn(t *testing.T) {
	_, client := cloud(t)
	ctx := t.Context()
	makeRole(t, client, "taken")
	policy := makePolicy(t, client, "policy", emptyPolicy)
	role := func(name, trust string) error {
		_, err := client.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
		return err
	}
	put := func(name, text string) error {
		_, err := client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("p"), PolicyDocument: &text})
		return err
	}
	attach := func(name, ref string) error {
		_, err := client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &name, PolicyArn: &ref})
		return err
	}
	for _, c := range []struct {
		name, code, text string
		err              error
	}{
		{"a role's name is taken without regard to case", "EntityAlreadyExists", "Role with name TAKEN already exists.", role("TAKEN", *trusting(string(worldtest.A)))},
		{"a trust policy names a role that does not exist", "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"arn:aws:iam::222222222222:role/nobody"`,
			role("r", *trusting("arn:aws:iam::222222222222:role/nobody"))},
		{"a trust policy names an account that does not exist", "MalformedPolicyDocument", "Invalid principal", role("r", *trusting("444444444444"))},
		{"a trust policy names a wildcard in an ARN", "MalformedPolicyDocument", "Invalid principal", role("r", *trusting("arn:aws:iam::111111111111:role/*"))},
		{"a trust policy is not JSON", "MalformedPolicyDocument", "", role("r", "{")},
		{"a trust policy has a Resource", "MalformedPolicyDocument", "Has prohibited field Resource",
			role("r", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole","Resource":"*"}]}`)},
		{"a trust policy is longer than its quota", "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048",
			role("r", strings.Replace(*trusting("*"), `"Effect"`, `"Sid":"`+strings.Repeat("x", 2048)+`","Effect"`, 1))},
		{"a role's name has a slash", "ValidationError", "", role("a/b", *trusting(string(worldtest.A)))},
		{"an identity policy names a principal", "MalformedPolicyDocument", "Policy document should not specify a principal.",
			put("taken", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}`)},
		{"inline policies together are longer than their quota", "LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role taken",
			put("taken", strings.Replace(emptyPolicy, `"Effect"`, `"Sid":"`+strings.Repeat("x", 10240)+`","Effect"`, 1))},
		{"a policy is put on a role that does not exist", "NoSuchEntity", "The role with name none cannot be found.", put("none", emptyPolicy)},
		{"a policy that does not exist is attached", "NoSuchEntity", "Policy arn:aws:iam::111111111111:policy/none does not exist or is not attachable.",
			attach("taken", "arn:aws:iam::111111111111:policy/none")},
		{"another account's policy is attached", "NoSuchEntity", "does not exist or is not attachable", attach("taken", "arn:aws:iam::222222222222:policy/policy")},
		{"a policy is attached to nobody", "NoSuchEntity", "", attach("none", policy)},
	} {
		t.Run(c.name, func(t *testing.T) { worldtest.WantError(t, c.err, c.code, c.text) })
	}
}

func TestDeletionIsRefusedWhileSomethingHangsOnIt(t *testing.T) {
	_, client := cloud(t)
	ctx := t.Context()
	name := aws.String("r")
	makeRole(t, client, "r")
	policy := makePolicy(t, client, "p", emptyPolicy)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	conflict := func(text string) {
		t.Helper()
		_, err := client.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name})
		worldtest.WantError(t, err, "DeleteConflict", text)
	}
	must(client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: &policy}))
	conflict("must detach all policies first")
	_, err := client.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: &policy})
	worldtest.WantError(t, err, "DeleteConflict", "Cannot delete a policy attached to entities.")
	must(client.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: &policy}))
	_, err = client.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: &policy})
	worldtest.WantError(t, err, "NoSuchEntity", "was not found")
	must(client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("in"), PolicyDocument: aws.String(emptyPolicy)}))
	conflict("must delete policies first")
	must(client.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("in")}))
	must(client.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: aws.String("ip")}))
	must(client.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: aws.String("ip"), RoleName: name}))
	conflict("must remove roles from instance profile first")
	must(client.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: aws.String("ip"), RoleName: name}))
	must(client.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name}))
	must(client.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: &policy}))
}

func TestListingsArePagedBySmallestPages(t *testing.T) {
	_, client := cloud(t)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("role-%d", i)
		makeRole(t, client, name)
		want = append(want, name)
	}
	var got []string
	pages := 0
	for p := iam.NewListRolesPaginator(client, &iam.ListRolesInput{MaxItems: aws.Int32(3)}); p.HasMorePages(); pages++ {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Roles {
			got = append(got, *r.RoleName)
		}
		// What goes away meanwhile does not upset the rest.
		if pages == 0 {
			if _, err := client.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("role-2")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || pages != 3 {
		t.Errorf("%d pages: %s", pages, diff)
	}
	_, err := client.ListRoles(t.Context(), &iam.ListRolesInput{Marker: aws.String("%%%")})
	worldtest.WantError(t, err, "ValidationError", "Invalid Marker")
	_, err = client.ListRoles(t.Context(), &iam.ListRolesInput{MaxItems: aws.Int32(1001)})
	worldtest.WantError(t, err, "ValidationError", "maxItems")
}

func TestPrincipalsAreStoredByUniqueID(t *testing.T) {
	_, client := cloud(t)
	ctx := t.Context()
	hub := makeRole(t, client, "hub")
	target := aws.String("target")
	if _, err := client.CreateRole(ctx, &iam.CreateRoleInput{RoleName: target, AssumeRolePolicyDocument: trusting(*hub.Arn)}); err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		t.Helper()
		out, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: target})
		if err != nil {
			t.Fatal(err)
		}
		statement := document(t, out.Role.AssumeRolePolicyDocument)["Statement"].([]any)[0].(map[string]any)
		return statement["Principal"].(map[string]any)["AWS"].(string)
	}
	if got := shown(); got != *hub.Arn {
		t.Errorf("a living principal is shown as %s, want %s", got, *hub.Arn)
	}
	if _, err := client.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("hub")}); err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != *hub.RoleId {
		t.Errorf("a deleted principal is shown as %s, want %s", got, *hub.RoleId)
	}
	again := makeRole(t, client, "hub")
	if got := shown(); got != *hub.RoleId || *again.RoleId == *hub.RoleId {
		t.Errorf("a re-created principal is shown as %s, want the old id %s", got, *hub.RoleId)
	}
	// The ghost cannot be written back, as on AWS.
	_, err := client.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: target, PolicyDocument: trusting(*hub.RoleId)})
	worldtest.WantError(t, err, "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"`+*hub.RoleId+`"`)
	if _, err := client.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: target, PolicyDocument: trusting(*again.RoleId)}); err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != *again.Arn {
		t.Errorf("a principal given by its unique id is shown as %s, want %s", got, *again.Arn)
	}
}

func TestNewPrincipalsCanBeNamedAfterTheDelay(t *testing.T) {
	c, client := cloud(t)
	c.World.SetDelay("", 10*time.Second)
	hub := makeRole(t, client, "hub")
	create := func() error {
		_, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("target"), AssumeRolePolicyDocument: trusting(*hub.Arn)})
		return err
	}
	worldtest.WantError(t, create(), "MalformedPolicyDocument", "Invalid principal in policy")
	if _, err := client.GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String("hub")}); err != nil {
		t.Errorf("IAM does not read its own write: %v", err)
	}
	c.Clock.Advance(11 * time.Second)
	if err := create(); err != nil {
		t.Errorf("after the delay: %v", err)
	}
}

func TestManagedPolicyVersions(t *testing.T) {
	_, client := cloud(t)
	ctx := t.Context()
	ref := makePolicy(t, client, "p", emptyPolicy)
	for i := range 4 {
		out, err := client.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{
			PolicyArn: &ref, PolicyDocument: aws.String(strings.Replace(emptyPolicy, "GetObject", fmt.Sprintf("Get%d", i), 1)), SetAsDefault: i == 3,
		})
		if err != nil || *out.PolicyVersion.VersionId != fmt.Sprintf("v%d", i+2) {
			t.Fatalf("version %d: %v %v", i, out, err)
		}
	}
	_, err := client.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: &ref, PolicyDocument: aws.String(emptyPolicy)})
	worldtest.WantError(t, err, "LimitExceeded", "up to 5 versions")
	_, err = client.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: &ref, VersionId: aws.String("v5")})
	worldtest.WantError(t, err, "DeleteConflict", "Cannot delete the default version")
	_, err = client.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: &ref})
	worldtest.WantError(t, err, "DeleteConflict", "more than one version")
	list, err := client.ListPolicyVersions(ctx, &iam.ListPolicyVersionsInput{PolicyArn: &ref})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, v := range list.Versions {
		ids = append(ids, fmt.Sprint(*v.VersionId, v.IsDefaultVersion))
	}
	if diff := cmp.Diff([]string{"v5true", "v4false", "v3false", "v2false", "v1false"}, ids); diff != "" {
		t.Error(diff)
	}
	if _, err := client.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: &ref, VersionId: aws.String("v1")}); err != nil {
		t.Fatal(err)
	}
	next, err := client.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: &ref, PolicyDocument: aws.String(emptyPolicy)})
	if err != nil || *next.PolicyVersion.VersionId != "v6" {
		t.Errorf("a version number is used twice: %v %v", next, err)
	}
	got, err := client.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &ref, VersionId: aws.String("v5")})
	if err != nil || !strings.Contains(fmt.Sprint(document(t, got.PolicyVersion.Document)), "Get3") {
		t.Errorf("v5: %v %v", got, err)
	}
	_, err = client.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess"), PolicyDocument: aws.String(emptyPolicy)})
	worldtest.WantError(t, err, "AccessDenied", "")
}

func TestPoliciesOfAWS(t *testing.T) {
	_, client := cloud(t)
	ctx := t.Context()
	makeRole(t, client, "r")
	names := map[string]string{}
	pages := iam.NewListPoliciesPaginator(client, &iam.ListPoliciesInput{Scope: types.PolicyScopeTypeAws, MaxItems: aws.Int32(5)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Policies {
			names[*p.PolicyName] = *p.Arn
		}
	}
	for name, action := range map[string]string{
		"ReadOnlyAccess": "dynamodb:BatchGet*", "ViewOnlyAccess": "ec2:Describe*", "SecurityAudit": "kms:Get*",
		"AmazonEKSClusterPolicy": "kms:DescribeKey", "AmazonDynamoDBReadOnlyAccess": "dynamodb:GetItem", "AdministratorAccess": "*",
	} {
		ref, ok := names[name]
		if !ok {
			t.Errorf("ListPolicies of AWS's lacks %s", name)
			continue
		}
		if _, err := client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("r"), PolicyArn: &ref}); err != nil {
			t.Errorf("attaching %s: %v", ref, err)
		}
		p, err := client.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &ref})
		if err != nil || *p.Policy.AttachmentCount != 1 {
			t.Errorf("GetPolicy(%s) = %v, %v, want it attached once", ref, p, err)
			continue
		}
		v, err := client.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &ref, VersionId: p.Policy.DefaultVersionId})
		if err != nil || !strings.Contains(fmt.Sprint(document(t, v.PolicyVersion.Document)), action) {
			t.Errorf("the document of %s lacks %s: %v", ref, action, err)
		}
	}
	details, err := client.GetAccountAuthorizationDetails(ctx, &iam.GetAccountAuthorizationDetailsInput{Filter: []types.EntityType{types.EntityTypeAWSManagedPolicy}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range details.Policies {
		if len(p.PolicyVersionList) != 1 || !strings.Contains(fmt.Sprint(document(t, p.PolicyVersionList[0].Document)), "Allow") {
			t.Errorf("GetAccountAuthorizationDetails has no document of %s", *p.Arn)
		}
	}
}

func TestQuotas(t *testing.T) {
	c, client := cloud(t)
	ctx := t.Context()
	makeRole(t, client, "r")
	for i := range 11 {
		ref := makePolicy(t, client, fmt.Sprintf("p%d", i), emptyPolicy)
		_, err := client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("r"), PolicyArn: &ref})
		if i < 10 && err != nil {
			t.Fatal(err)
		}
		if i == 10 {
			worldtest.WantError(t, err, "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10")
		}
	}
	_, err := client.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("big"),
		PolicyDocument: aws.String(strings.Replace(emptyPolicy, `"Effect"`, `"Sid":"`+strings.Repeat("x", 6144)+`","Effect"`, 1))})
	worldtest.WantError(t, err, "LimitExceeded", "Cannot exceed quota for PolicySize: 6144")

	// The account's own quota counts, and is told.
	c.World.Lock()
	c.World.Accounts[worldtest.A].IAM.Quotas = map[string]int{"RolesQuota": 1, "AssumeRolePolicySizeQuota": 4096}
	c.World.Unlock()
	_, err = client.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("second"), AssumeRolePolicyDocument: trusting(string(worldtest.A))})
	worldtest.WantError(t, err, "LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1")
	summary, err := client.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int32{
		"RolesQuota": 1, "Roles": 1, "AssumeRolePolicySizeQuota": 4096, "AttachedPoliciesPerRoleQuota": 10, "Policies": 11,
		"PolicySizeQuota": 6144, "RolePolicySizeQuota": 10240, "VersionsPerPolicyQuota": 5, "Users": 1,
	} {
		if got := summary.SummaryMap[key]; got != want {
			t.Errorf("GetAccountSummary %s = %d, want %d", key, got, want)
		}
	}
}

func TestUsersGroupsAndKeys(t *testing.T) {
	c, client := cloud(t)
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	bob, devs := aws.String("bob"), aws.String("devs")
	must(client.CreateUser(ctx, &iam.CreateUserInput{UserName: bob}))
	must(client.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: devs}))
	must(client.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{GroupName: devs, PolicyName: aws.String("iam"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:GetUser","Resource":"arn:aws:iam::111111111111:user/${aws:username}"}}`)}))
	key, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: bob})
	must(key, err)
	as := iam.NewFromConfig(c.Config(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, ""))
	_, err = as.GetUser(ctx, &iam.GetUserInput{})
	worldtest.WantError(t, err, "AccessDenied", "because no identity-based policy allows the iam:GetUser action")
	must(client.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: devs, UserName: bob}))
	me, err := as.GetUser(ctx, &iam.GetUserInput{})
	must(me, err)
	if *me.User.UserName != "bob" {
		t.Errorf("GetUser without a name: %s", *me.User.UserName)
	}
	used, err := client.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: key.AccessKey.AccessKeyId})
	must(used, err)
	if *used.UserName != "bob" || *used.AccessKeyLastUsed.ServiceName != "iam" {
		t.Errorf("GetAccessKeyLastUsed = %s, %v", *used.UserName, *used.AccessKeyLastUsed.ServiceName)
	}
	must(client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: bob}))
	_, err = client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: bob})
	worldtest.WantError(t, err, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
	// Renamed, the user keeps its id, keys and group, and ${aws:username} follows.
	must(client.UpdateUser(ctx, &iam.UpdateUserInput{UserName: bob, NewUserName: aws.String("rob")}))
	must(client.UpdateGroup(ctx, &iam.UpdateGroupInput{GroupName: devs, NewGroupName: aws.String("makers")}))
	me, err = as.GetUser(ctx, &iam.GetUserInput{})
	must(me, err)
	if *me.User.UserName != "rob" {
		t.Errorf("after the renaming GetUser = %s", *me.User.UserName)
	}
	must(client.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: aws.String("rob"), AccessKeyId: key.AccessKey.AccessKeyId, Status: types.StatusTypeInactive}))
	_, err = as.GetUser(ctx, &iam.GetUserInput{})
	worldtest.WantError(t, err, "InvalidClientTokenId", "")
	_, err = client.DeleteUser(ctx, &iam.DeleteUserInput{UserName: aws.String("rob")})
	worldtest.WantError(t, err, "DeleteConflict", "must delete access keys first")
	_, err = client.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: aws.String("makers")})
	worldtest.WantError(t, err, "DeleteConflict", "must remove users from group first")
}

func TestOpenIDConnectProviders(t *testing.T) {
	_, client := cloud(t)
	ctx := t.Context()
	url := aws.String("https://oidc.eks.us-east-1.amazonaws.com/id/ABC")
	out, err := client.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: url, ClientIDList: []string{"sts.amazonaws.com"},
		ThumbprintList: []string{strings.Repeat("a", 40)}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "arn:aws:iam::111111111111:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"; *out.OpenIDConnectProviderArn != want {
		t.Errorf("ARN %s, want %s", *out.OpenIDConnectProviderArn, want)
	}
	_, err = client.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: url})
	worldtest.WantError(t, err, "EntityAlreadyExists", "Provider with url https://oidc.eks.us-east-1.amazonaws.com/id/ABC already exists.")
	_, err = client.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String("http://issuer.example")})
	worldtest.WantError(t, err, "ValidationError", "Invalid Open ID Connect Provider URL")
	if _, err := client.AddClientIDToOpenIDConnectProvider(ctx, &iam.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: out.OpenIDConnectProviderArn, ClientID: aws.String("other")}); err != nil {
		t.Fatal(err)
	}
	got, err := client.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: out.OpenIDConnectProviderArn})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"sts.amazonaws.com", "other"}, got.ClientIDList); diff != "" || *got.Url != "oidc.eks.us-east-1.amazonaws.com/id/ABC" {
		t.Errorf("provider %s: %s", *got.Url, diff)
	}
	for range 2 { // deleting what is gone is no error
		if _, err := client.DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: out.OpenIDConnectProviderArn}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = client.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: out.OpenIDConnectProviderArn})
	worldtest.WantError(t, err, "NoSuchEntity", "OpenIDConnect Provider not found for arn")
	for i := range 101 {
		_, err = client.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String(fmt.Sprintf("https://issuer.example/%d", i))})
		if i < 100 && err != nil {
			t.Fatal(err)
		}
	}
	worldtest.WantError(t, err, "LimitExceeded", "OpenIdConnectProvidersPerAccount: 100")
}

func TestTagsAreOneWithoutRegardToCase(t *testing.T) {
	_, client := cloud(t)
	ctx := t.Context()
	makeRole(t, client, "r")
	tag := func(key, value string) error {
		_, err := client.TagRole(ctx, &iam.TagRoleInput{RoleName: aws.String("r"), Tags: []types.Tag{{Key: &key, Value: &value}}})
		return err
	}
	for _, kv := range [][2]string{{"Team", "red"}, {"team", "blue"}, {"stage", "prod"}} {
		if err := tag(kv[0], kv[1]); err != nil {
			t.Fatal(err)
		}
	}
	worldtest.WantError(t, tag("aws:x", "y"), "InvalidInput", "")
	list := func() string {
		out, err := client.ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: aws.String("r")})
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, tag := range out.Tags {
			s = append(s, *tag.Key+"="+*tag.Value)
		}
		return strings.Join(s, " ")
	}
	if got := list(); got != "stage=prod team=blue" {
		t.Errorf("tags %q", got)
	}
	if _, err := client.UntagRole(ctx, &iam.UntagRoleInput{RoleName: aws.String("r"), TagKeys: []string{"TEAM"}}); err != nil {
		t.Fatal(err)
	}
	if got := list(); got != "stage=prod" {
		t.Errorf("after UntagRole: %q", got)
	}
	_, err := client.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("dup"), AssumeRolePolicyDocument: trusting(string(worldtest.A)),
		Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("A"), Value: aws.String("2")}}})
	worldtest.WantError(t, err, "InvalidInput", "Duplicate tag keys")
}

// A deployer confined by boundary and tags is the shape stile's own manager
// roles have.
func TestConditionKeysOfIAM(t *testing.T) {
	c, client := cloud(t)
	ctx := t.Context()
	boundary := makePolicy(t, client, "boundary", emptyPolicy)
	ref := makePolicy(t, client, "allowed", emptyPolicy)
	confined := iam.NewFromConfig(c.User(worldtest.A, "confined", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["iam:CreateRole","iam:PutRolePolicy","iam:TagRole"],"Resource":"arn:aws:iam::111111111111:role/stile/*",
		 "Condition":{"StringEquals":{"iam:PermissionsBoundary":"`+boundary+`"}}},
		{"Effect":"Allow","Action":"iam:TagRole","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/owner":"stile"}}},
		{"Effect":"Allow","Action":"iam:AttachRolePolicy","Resource":"*","Condition":{"ArnEquals":{"iam:PolicyARN":"`+ref+`"}}},
		{"Effect":"Allow","Action":"iam:DeleteRole","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/owner":"stile"}}}]}`))
	create := func(name, path, boundary string) error {
		in := &iam.CreateRoleInput{RoleName: &name, Path: &path, AssumeRolePolicyDocument: trusting(string(worldtest.A)),
			Tags: []types.Tag{{Key: aws.String("owner"), Value: aws.String("stile")}}}
		if boundary != "" {
			in.PermissionsBoundary = &boundary
		}
		_, err := confined.CreateRole(ctx, in)
		return err
	}
	worldtest.WantError(t, create("a", "/stile/", ""), "AccessDenied", "iam:CreateRole")
	worldtest.WantError(t, create("a", "/", boundary), "AccessDenied", "iam:CreateRole on resource: arn:aws:iam::111111111111:role/a")
	if err := create("a", "/stile/", boundary); err != nil {
		t.Fatal(err)
	}
	put := func(name string) error {
		_, err := confined.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("p"), PolicyDocument: aws.String(emptyPolicy)})
		return err
	}
	if err := put("a"); err != nil {
		t.Errorf("the boundary of the role is not the condition key of PutRolePolicy: %v", err)
	}
	makeRole(t, client, "b")
	worldtest.WantError(t, put("b"), "AccessDenied", "iam:PutRolePolicy")
	attach := func(ref string) error {
		_, err := confined.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("a"), PolicyArn: &ref})
		return err
	}
	if err := attach(ref); err != nil {
		t.Error(err)
	}
	worldtest.WantError(t, attach("arn:aws:iam::aws:policy/AdministratorAccess"), "AccessDenied", "iam:AttachRolePolicy")
	_, err := confined.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("b")})
	worldtest.WantError(t, err, "AccessDenied", "iam:DeleteRole")
}

// A statement that spares tagged records has to hold for every operation on
// them: "aws:ResourceTag/${TagKey}" is a key of the resource types, not of some actions.
func TestTagsOfTheRecordAreConditionKeysOfEveryOperation(t *testing.T) {
	c, admin := cloud(t)
	ctx := t.Context()
	tags := []types.Tag{{Key: aws.String("guard"), Value: aws.String("on")}}
	name, ref := aws.String("guarded"), aws.String(makePolicy(t, admin, "guarded", emptyPolicy))
	for _, prepare := range []func() error{
		func() error {
			_, err := admin.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, Tags: tags, AssumeRolePolicyDocument: trusting(string(worldtest.A))})
			return err
		},
		func() error {
			_, err := admin.CreateUser(ctx, &iam.CreateUserInput{UserName: name, Tags: tags})
			return err
		},
		func() error {
			_, err := admin.TagPolicy(ctx, &iam.TagPolicyInput{PolicyArn: ref, Tags: tags})
			return err
		},
		func() error {
			_, err := admin.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: name, Tags: tags})
			return err
		},
		func() error {
			_, err := admin.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: aws.String("free")})
			return err
		},
		func() error {
			_, err := admin.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://example.com/id"), Tags: tags})
			return err
		},
	} {
		if err := prepare(); err != nil {
			t.Fatal(err)
		}
	}
	issuer := aws.String("arn:aws:iam::111111111111:oidc-provider/example.com/id")
	client := iam.NewFromConfig(c.User(worldtest.A, "sparing", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
		{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/guard":"on"}}}]}`))
	for action, call := range map[string]func() error{
		"GetRole":    func() error { _, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: name}); return err },
		"UpdateRole": func() error { _, err := client.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: name}); return err },
		"UpdateAssumeRolePolicy": func() error {
			_, err := client.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: trusting("*")})
			return err
		},
		"PutRolePolicy": func() error {
			_, err := client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: name, PolicyName: name, PolicyDocument: aws.String(emptyPolicy)})
			return err
		},
		"CreateAccessKey": func() error {
			_, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: name})
			return err
		},
		"UpdateUser": func() error {
			_, err := client.UpdateUser(ctx, &iam.UpdateUserInput{UserName: name, NewPath: aws.String("/x/")})
			return err
		},
		"CreatePolicyVersion": func() error {
			_, err := client.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: ref, PolicyDocument: aws.String(emptyPolicy)})
			return err
		},
		"DeleteInstanceProfile": func() error {
			_, err := client.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: name})
			return err
		},
		"PassRole": func() error {
			_, err := client.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: aws.String("free"), RoleName: name})
			return err
		},
		"DeleteOpenIDConnectProvider": func() error {
			_, err := client.DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: issuer})
			return err
		},
		"TagRole": func() error { _, err := client.TagRole(ctx, &iam.TagRoleInput{RoleName: name, Tags: tags}); return err },
	} {
		t.Run(action, func(t *testing.T) { worldtest.WantError(t, call(), "AccessDenied", "iam:"+action+" on resource") })
	}
}

// "iam:PermissionsBoundary" belongs to operations on policies and boundaries
// alone: a deployer that is confined by it may not change a trust policy.
func TestTrustPoliciesDoNotHaveTheBoundaryAsAKey(t *testing.T) {
	c, admin := cloud(t)
	ctx := t.Context()
	boundary := makePolicy(t, admin, "boundary", emptyPolicy)
	if _, err := admin.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("r"), AssumeRolePolicyDocument: trusting(string(worldtest.A)), PermissionsBoundary: &boundary}); err != nil {
		t.Fatal(err)
	}
	confined := iam.NewFromConfig(c.User(worldtest.A, "confined", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*",
		"Condition":{"StringEquals":{"iam:PermissionsBoundary":"`+boundary+`"}}}]}`))
	_, err := confined.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("r"), PolicyDocument: trusting("*")})
	worldtest.WantError(t, err, "AccessDenied", "iam:UpdateAssumeRolePolicy")
	_, err = confined.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("r")})
	worldtest.WantError(t, err, "AccessDenied", "iam:DeleteRole")
}

// "The entity making the request must have permission on both the source object
// and the target object" (API reference, UpdateUser and UpdateGroup).
func TestRenamingAsksForTheOldAndTheNewName(t *testing.T) {
	c, admin := cloud(t)
	ctx := t.Context()
	for _, name := range []string{"bob", "rob"} {
		if _, err := admin.CreateUser(ctx, &iam.CreateUserInput{UserName: &name}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := admin.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: aws.String("devs")}); err != nil {
		t.Fatal(err)
	}
	renamer := iam.NewFromConfig(c.User(worldtest.A, "renamer", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:Update*",
		"Resource":["arn:aws:iam::111111111111:user/bob","arn:aws:iam::111111111111:user/rob","arn:aws:iam::111111111111:user/robert","arn:aws:iam::111111111111:group/devs"]}]}`))
	_, err := renamer.UpdateUser(ctx, &iam.UpdateUserInput{UserName: aws.String("bob"), NewUserName: aws.String("admin2")})
	worldtest.WantError(t, err, "AccessDenied", "iam:UpdateUser on resource: arn:aws:iam::111111111111:user/admin2")
	_, err = renamer.UpdateUser(ctx, &iam.UpdateUserInput{UserName: aws.String("rob"), NewPath: aws.String("/ops/")})
	worldtest.WantError(t, err, "AccessDenied", "user/ops/rob")
	if _, err := renamer.UpdateUser(ctx, &iam.UpdateUserInput{UserName: aws.String("bob"), NewUserName: aws.String("robert")}); err != nil {
		t.Error(err)
	}
	_, err = renamer.UpdateGroup(ctx, &iam.UpdateGroupInput{GroupName: aws.String("devs"), NewGroupName: aws.String("ops")})
	worldtest.WantError(t, err, "AccessDenied", "group/ops")
}

func TestAuthorizationDetailsPageOverAllKinds(t *testing.T) {
	_, client := cloud(t)
	ctx := t.Context()
	ref := makePolicy(t, client, "p", emptyPolicy)
	for i := range 3 {
		name := fmt.Sprintf("r%d", i)
		makeRole(t, client, name)
		if _, err := client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &name, PolicyArn: &ref}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("r0"), PolicyArn: aws.String("arn:aws:iam::aws:policy/IAMReadOnlyAccess")}); err != nil {
		t.Fatal(err)
	}
	count := func(filter ...types.EntityType) (roles, users, policies int) {
		p := iam.NewGetAccountAuthorizationDetailsPaginator(client, &iam.GetAccountAuthorizationDetailsInput{Filter: filter, MaxItems: aws.Int32(2)})
		for p.HasMorePages() {
			page, err := p.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			roles += len(page.RoleDetailList)
			users += len(page.UserDetailList)
			policies += len(page.Policies)
			for _, p := range page.Policies {
				if *p.PolicyName == "p" && *p.AttachmentCount != 3 {
					t.Errorf("attachment count %d, want 3", *p.AttachmentCount)
				}
			}
		}
		return roles, users, policies
	}
	if r, u, p := count(); r != 3 || u != 1 || p != 2 {
		t.Errorf("all: %d roles, %d users, %d policies, want 3, 1, 2", r, u, p)
	}
	if r, u, p := count(types.EntityTypeLocalManagedPolicy); r != 0 || u != 0 || p != 1 {
		t.Errorf("local policies: %d roles, %d users, %d policies, want 0, 0, 1", r, u, p)
	}
	entities, err := client.ListEntitiesForPolicy(ctx, &iam.ListEntitiesForPolicyInput{PolicyArn: &ref, MaxItems: aws.Int32(2)})
	if err != nil || len(entities.PolicyRoles) != 2 || !entities.IsTruncated {
		t.Errorf("ListEntitiesForPolicy: %+v %v", entities, err)
	}
}

func TestAccountAliasesAreUnique(t *testing.T) {
	c, client := cloud(t)
	other := iam.NewFromConfig(c.User(worldtest.B, "admin", worldtest.AllowAll))
	if _, err := client.CreateAccountAlias(t.Context(), &iam.CreateAccountAliasInput{AccountAlias: aws.String("acme")}); err != nil {
		t.Fatal(err)
	}
	_, err := other.CreateAccountAlias(t.Context(), &iam.CreateAccountAliasInput{AccountAlias: aws.String("acme")})
	worldtest.WantError(t, err, "EntityAlreadyExists", "acme already exists")
	out, err := client.ListAccountAliases(t.Context(), &iam.ListAccountAliasesInput{})
	if err != nil || len(out.AccountAliases) != 1 || out.AccountAliases[0] != "acme" {
		t.Errorf("%v %v", out, err)
	}
}

func TestBoundariesAndProvidersRoundTrip(t *testing.T) {
	_, client := cloud(t)
	ctx := t.Context()
	makeRole(t, client, "r")
	ref := makePolicy(t, client, "b", emptyPolicy)
	put := func(ref string) error {
		_, err := client.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: aws.String("r"), PermissionsBoundary: &ref})
		return err
	}
	worldtest.WantError(t, put("arn:aws:iam::111111111111:policy/none"), "NoSuchEntity", "does not exist or is not attachable")
	if err := put(ref); err != nil {
		t.Fatal(err)
	}
	_, err := client.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: &ref})
	worldtest.WantError(t, err, "DeleteConflict", "")
	got, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("r")})
	if err != nil || *got.Role.PermissionsBoundary.PermissionsBoundaryArn != ref {
		t.Errorf("boundary %v %v", got, err)
	}
	if _, err := client.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: aws.String("r")}); err != nil {
		t.Fatal(err)
	}
	_, err = client.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: aws.String("r")})
	worldtest.WantError(t, err, "NoSuchEntity", "")

	_, err = client.CreateSAMLProvider(ctx, &iam.CreateSAMLProviderInput{Name: aws.String("idp"), SAMLMetadataDocument: aws.String(strings.Repeat(" ", 1000) + "<EntityDescriptor/>")})
	worldtest.WantError(t, err, "InvalidInput", "Could not parse metadata")
	idp, err := samltest.New("https://idp.example.com")
	if err != nil {
		t.Fatal(err)
	}
	metadata := aws.String(idp.Metadata())
	saml, err := client.CreateSAMLProvider(ctx, &iam.CreateSAMLProviderInput{Name: aws.String("idp"), SAMLMetadataDocument: metadata})
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.ListSAMLProviders(ctx, &iam.ListSAMLProvidersInput{})
	if err != nil || len(list.SAMLProviderList) != 1 || *list.SAMLProviderList[0].Arn != *saml.SAMLProviderArn {
		t.Errorf("%v %v", list, err)
	}
}

// A rename is seen late, as every change is: until then the user is who it was.
func TestARenamedUserIsNeverLockedOut(t *testing.T) {
	c, client := cloud(t)
	bob := iam.NewFromConfig(c.User(worldtest.A, "bob", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}]}`))
	c.World.SetDelay("", 10*time.Second)
	seenAs := func(name string) {
		t.Helper()
		if _, err := bob.ListUsers(t.Context(), &iam.ListUsersInput{}); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
		_, err := bob.ListRoles(t.Context(), &iam.ListRolesInput{})
		worldtest.WantError(t, err, "AccessDenied", "User: arn:aws:iam::111111111111:user/"+name+" is not authorized")
	}
	rename := func(from, to string) {
		t.Helper()
		if _, err := client.UpdateUser(t.Context(), &iam.UpdateUserInput{UserName: &from, NewUserName: &to}); err != nil {
			t.Fatal(err)
		}
	}
	c.Clock.Advance(20 * time.Second)
	rename("bob", "rob")
	seenAs("bob")
	c.Clock.Advance(5 * time.Second)
	rename("rob", "bobby")
	seenAs("bob")
	c.Clock.Advance(6 * time.Second)
	seenAs("rob")
	c.Clock.Advance(5 * time.Second)
	seenAs("bobby")
}
