package organizations_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

const (
	a = worldtest.A
	b = worldtest.B
	m = worldtest.M
	x = worldtest.X
)

// cloud is a local AWS with the management account M, the members A and B,
// and X outside.
type cloud struct {
	*worldtest.Cloud
	server *localaws.Server
	file   string
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := start(t, filepath.Join(t.TempDir(), "state.json"), store.NewManualClock(time.Now().Truncate(time.Second)), true)
	c.World.Lock()
	defer c.World.Unlock()
	if _, err := c.World.AddAccount(x, "outside", "x@example.com"); err != nil {
		t.Fatal(err)
	}
	c.World.AddAdministrator(x, time.Time{})
	return c
}

func start(t *testing.T, file string, clock *store.ManualClock, organization bool) *cloud {
	t.Helper()
	server, err := localaws.New(localaws.Config{
		Accounts:     []localaws.Account{{ID: m, Name: "management"}, {ID: a, Name: "tooling"}, {ID: b, Name: "orders"}},
		Organization: organization, Clock: clock, StateFile: file,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(server)
	t.Cleanup(func() {
		h.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return &cloud{Cloud: &worldtest.Cloud{World: server.World(), Clock: clock, URL: h.URL}, server: server, file: file}
}

func (c *cloud) config(t *testing.T, account arn.AccountID) aws.Config {
	t.Helper()
	id, secret, ok := c.server.Administrator(account)
	if !ok {
		t.Fatalf("%s has no administrator", account)
	}
	return c.Config(id, secret, "")
}

// org is an Organizations client of an account's administrator.
func (c *cloud) org(t *testing.T, account arn.AccountID) *organizations.Client {
	t.Helper()
	return organizations.NewFromConfig(c.config(t, account))
}

func root(t *testing.T, client *organizations.Client) string {
	t.Helper()
	out, err := client.ListRoots(t.Context(), &organizations.ListRootsInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Roots[0].Id
}

func unit(t *testing.T, client *organizations.Client, parent, name string) string {
	t.Helper()
	out, err := client.CreateOrganizationalUnit(t.Context(), &organizations.CreateOrganizationalUnitInput{ParentId: &parent, Name: &name})
	if err != nil {
		t.Fatal(err)
	}
	return *out.OrganizationalUnit.Id
}

func move(t *testing.T, client *organizations.Client, account arn.AccountID, from, to string) {
	t.Helper()
	_, err := client.MoveAccount(t.Context(), &organizations.MoveAccountInput{AccountId: aws.String(string(account)), SourceParentId: &from, DestinationParentId: &to})
	if err != nil {
		t.Fatal(err)
	}
}

func policy(t *testing.T, client *organizations.Client, kind types.PolicyType, name, content string) *types.Policy {
	t.Helper()
	out, err := client.CreatePolicy(t.Context(), &organizations.CreatePolicyInput{Type: kind, Name: &name, Description: aws.String(""), Content: &content})
	if err != nil {
		t.Fatal(err)
	}
	return out.Policy
}

func attach(t *testing.T, client *organizations.Client, policy, target string) {
	t.Helper()
	if _, err := client.AttachPolicy(t.Context(), &organizations.AttachPolicyInput{PolicyId: &policy, TargetId: &target}); err != nil {
		t.Fatal(err)
	}
}

func detach(t *testing.T, client *organizations.Client, policy, target string) {
	t.Helper()
	if _, err := client.DetachPolicy(t.Context(), &organizations.DetachPolicyInput{PolicyId: &policy, TargetId: &target}); err != nil {
		t.Fatal(err)
	}
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func wantReason(t *testing.T, err error, code, reason string) {
	t.Helper()
	worldtest.WantError(t, err, code, "")
	got := ""
	if e, ok := errors.AsType[*types.ConstraintViolationException](err); ok {
		got = string(e.Reason)
	}
	if e, ok := errors.AsType[*types.InvalidInputException](err); ok {
		got = string(e.Reason)
	}
	if got != reason {
		t.Fatalf("%s with reason %q, want %q", code, got, reason)
	}
}

func TestOrganizationIsDescribed(t *testing.T) {
	c := newCloud(t)
	for _, account := range []arn.AccountID{m, a} {
		out, err := c.org(t, account).DescribeOrganization(t.Context(), &organizations.DescribeOrganizationInput{})
		if err != nil {
			t.Fatal(err)
		}
		o := out.Organization
		if !regexp.MustCompile(`^o-[a-z0-9]{10}$`).MatchString(*o.Id) || *o.MasterAccountId != string(m) || o.FeatureSet != types.OrganizationFeatureSetAll {
			t.Errorf("organization is %+v", o)
		}
		if *o.Arn != "arn:aws:organizations::999999999999:organization/"+*o.Id || *o.MasterAccountArn != "arn:aws:organizations::999999999999:account/"+*o.Id+"/999999999999" {
			t.Errorf("ARNs are %s and %s", *o.Arn, *o.MasterAccountArn)
		}
	}
	_, err := c.org(t, x).DescribeOrganization(t.Context(), &organizations.DescribeOrganizationInput{})
	worldtest.WantError(t, err, "AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
}

func TestAccountsAndWhoMayListThem(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	out, err := client.ListAccounts(t.Context(), &organizations.ListAccountsInput{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, account := range out.Accounts {
		got = append(got, *account.Id+" "+*account.Name+" "+string(account.Status)+" "+string(account.JoinedMethod))
	}
	want := []string{"111111111111 tooling ACTIVE CREATED", "222222222222 orders ACTIVE CREATED", "999999999999 management ACTIVE INVITED"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, err = c.org(t, a).ListAccounts(t.Context(), &organizations.ListAccountsInput{})
	worldtest.WantError(t, err, "AccessDeniedException", "You don't have permissions to access this resource.")
	_, err = c.org(t, a).CreateOrganizationalUnit(t.Context(), &organizations.CreateOrganizationalUnitInput{ParentId: aws.String(root(t, client)), Name: aws.String("n")})
	worldtest.WantError(t, err, "AccessDeniedException", "You don't have permissions to access this resource.")
	_, err = client.DescribeAccount(t.Context(), &organizations.DescribeAccountInput{AccountId: aws.String(string(x))})
	worldtest.WantError(t, err, "AccountNotFoundException", "")
	limited := organizations.NewFromConfig(c.User(m, "limited", document(`{"Effect":"Allow","Action":"organizations:DescribeAccount","Resource":"arn:aws:organizations::*:account/o-*/111111111111"}`)))
	if _, err := limited.DescribeAccount(t.Context(), &organizations.DescribeAccountInput{AccountId: aws.String(string(a))}); err != nil {
		t.Error(err)
	}
	_, err = limited.DescribeAccount(t.Context(), &organizations.DescribeAccountInput{AccountId: aws.String(string(b))})
	worldtest.WantError(t, err, "AccessDeniedException", "is not authorized to perform: organizations:DescribeAccount on resource: arn:aws:organizations::999999999999:account/")
}

func TestTree(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	r := root(t, client)
	prod := unit(t, client, r, "prod")
	if !regexp.MustCompile(`^ou-` + strings.TrimPrefix(r, "r-") + `-[a-z0-9]{8}$`).MatchString(prod) {
		t.Errorf("id of the OU is %s below %s", prod, r)
	}
	_, err := client.CreateOrganizationalUnit(t.Context(), &organizations.CreateOrganizationalUnitInput{ParentId: &r, Name: aws.String("prod")})
	worldtest.WantError(t, err, "DuplicateOrganizationalUnitException", "An OU with the same name already exists.")
	_, err = client.CreateOrganizationalUnit(t.Context(), &organizations.CreateOrganizationalUnitInput{ParentId: aws.String("ou-none-12345678"), Name: aws.String("x")})
	worldtest.WantError(t, err, "ParentNotFoundException", "")

	move(t, client, b, r, prod)
	parents, err := client.ListParents(t.Context(), &organizations.ListParentsInput{ChildId: aws.String(string(b))})
	if err != nil || *parents.Parents[0].Id != prod || parents.Parents[0].Type != types.ParentTypeOrganizationalUnit {
		t.Errorf("parents are %v, %v", parents, err)
	}
	for _, test := range []struct{ name, account, from, to, code string }{
		{"no account", string(x), r, prod, "AccountNotFoundException"},
		{"wrong source", string(b), r, prod, "SourceParentNotFoundException"},
		{"no destination", string(b), prod, "ou-none-12345678", "DestinationParentNotFoundException"},
		{"already there", string(b), prod, prod, "DuplicateAccountException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := client.MoveAccount(t.Context(), &organizations.MoveAccountInput{AccountId: &test.account, SourceParentId: &test.from, DestinationParentId: &test.to})
			worldtest.WantError(t, err, test.code, "")
		})
	}
	_, err = client.DeleteOrganizationalUnit(t.Context(), &organizations.DeleteOrganizationalUnitInput{OrganizationalUnitId: &prod})
	worldtest.WantError(t, err, "OrganizationalUnitNotEmptyException", "")
	renamed, err := client.UpdateOrganizationalUnit(t.Context(), &organizations.UpdateOrganizationalUnitInput{OrganizationalUnitId: &prod, Name: aws.String("production")})
	if err != nil || *renamed.OrganizationalUnit.Name != "production" {
		t.Errorf("renamed: %v, %v", renamed, err)
	}
	children, err := client.ListChildren(t.Context(), &organizations.ListChildrenInput{ParentId: &prod, ChildType: types.ChildTypeAccount})
	if err != nil || len(children.Children) != 1 || *children.Children[0].Id != string(b) {
		t.Errorf("children are %v, %v", children, err)
	}
	move(t, client, b, prod, r)
	if _, err := client.DeleteOrganizationalUnit(t.Context(), &organizations.DeleteOrganizationalUnitInput{OrganizationalUnitId: &prod}); err != nil {
		t.Fatal(err)
	}
	_, err = client.DescribeOrganizationalUnit(t.Context(), &organizations.DescribeOrganizationalUnitInput{OrganizationalUnitId: &prod})
	worldtest.WantError(t, err, "OrganizationalUnitNotFoundException", "")
	_, err = client.DescribeOrganizationalUnit(t.Context(), &organizations.DescribeOrganizationalUnitInput{OrganizationalUnitId: &prod})
	worldtest.WantError(t, err, "OrganizationalUnitNotFoundException", "")
	_, err = client.ListParents(t.Context(), &organizations.ListParentsInput{ChildId: &prod})
	worldtest.WantError(t, err, "ChildNotFoundException", "")
}

func TestUnitsNestFiveDeepAndListInPages(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	r := root(t, client)
	parent := r
	for i := range 5 {
		parent = unit(t, client, parent, fmt.Sprint("level", i+1))
	}
	_, err := client.CreateOrganizationalUnit(t.Context(), &organizations.CreateOrganizationalUnitInput{ParentId: &parent, Name: aws.String("level6")})
	wantReason(t, err, "ConstraintViolationException", "OU_DEPTH_LIMIT_EXCEEDED")
	want := []string{}
	for i := range 5 {
		want = append(want, unit(t, client, r, fmt.Sprint("n", i)))
	}
	var got []string
	for p := organizations.NewListOrganizationalUnitsForParentPaginator(client, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &r, MaxResults: aws.Int32(2)}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(out.OrganizationalUnits) > 2 {
			t.Errorf("a page of %d", len(out.OrganizationalUnits))
		}
		for _, u := range out.OrganizationalUnits {
			got = append(got, *u.Id)
		}
	}
	if len(got) != 6 {
		t.Errorf("OUs below the root are %q", got)
	}
	for _, id := range want {
		if !slices.Contains(got, id) {
			t.Errorf("%s is missing in %q", id, got)
		}
	}
	_, err = client.ListAccounts(t.Context(), &organizations.ListAccountsInput{NextToken: aws.String("?")})
	wantReason(t, err, "InvalidInputException", "INVALID_NEXT_TOKEN")
}

func TestCreatedAccountIsReal(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	created, err := client.CreateAccount(t.Context(), &organizations.CreateAccountInput{
		AccountName: aws.String("billing"), Email: aws.String("billing@example.com"), Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("money")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	described, err := client.DescribeCreateAccountStatus(t.Context(), &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: created.CreateAccountStatus.Id})
	if err != nil {
		t.Fatal(err)
	}
	status := described.CreateAccountStatus
	if status.State != types.CreateAccountStateSucceeded || !arn.AccountID(*status.AccountId).Valid() || !regexp.MustCompile(`^car-[a-z0-9]{8,32}$`).MatchString(*status.Id) {
		t.Fatalf("status is %+v", status)
	}
	tags, err := client.ListTagsForResource(t.Context(), &organizations.ListTagsForResourceInput{ResourceId: status.AccountId})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "money" {
		t.Errorf("tags are %v, %v", tags, err)
	}
	// The management account's administrator gets in, a member's does not.
	role := "arn:aws:iam::" + *status.AccountId + ":role/OrganizationAccountAccessRole"
	in := &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("session")}
	_, err = sts.NewFromConfig(c.config(t, a)).AssumeRole(t.Context(), in)
	worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole")
	session, err := sts.NewFromConfig(c.config(t, m)).AssumeRole(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	k := session.Credentials
	roles, err := iam.NewFromConfig(c.Config(*k.AccessKeyId, *k.SecretAccessKey, *k.SessionToken)).ListRoles(t.Context(), &iam.ListRolesInput{})
	if err != nil || len(roles.Roles) != 1 {
		t.Errorf("roles in the new account are %v, %v", roles, err)
	}
	again, err := client.CreateAccount(t.Context(), &organizations.CreateAccountInput{AccountName: aws.String("other"), Email: aws.String("billing@example.com")})
	if err != nil || again.CreateAccountStatus.State != types.CreateAccountStateFailed || again.CreateAccountStatus.FailureReason != types.CreateAccountFailureReasonEmailAlreadyExists {
		t.Errorf("second account with one address: %+v, %v", again, err)
	}
	failed, err := client.ListCreateAccountStatus(t.Context(), &organizations.ListCreateAccountStatusInput{States: []types.CreateAccountState{types.CreateAccountStateFailed}})
	if err != nil || len(failed.CreateAccountStatuses) != 1 {
		t.Errorf("failed creations are %v, %v", failed, err)
	}
}

func TestOrganizationFromBeginningToEnd(t *testing.T) {
	c := start(t, filepath.Join(t.TempDir(), "state.json"), store.NewManualClock(time.Now().Truncate(time.Second)), false)
	client := c.org(t, m)
	_, err := client.ListRoots(t.Context(), &organizations.ListRootsInput{})
	worldtest.WantError(t, err, "AWSOrganizationsNotInUseException", "")
	if _, err := client.CreateOrganization(t.Context(), &organizations.CreateOrganizationInput{FeatureSet: types.OrganizationFeatureSetAll}); err != nil {
		t.Fatal(err)
	}
	_, err = client.CreateOrganization(t.Context(), &organizations.CreateOrganizationInput{})
	worldtest.WantError(t, err, "AlreadyInOrganizationException", "")
	r := root(t, client)
	scp := policy(t, client, types.PolicyTypeServiceControlPolicy, "deny", document(`{"Effect":"Deny","Action":"iam:*","Resource":"*"}`))
	_, err = client.AttachPolicy(t.Context(), &organizations.AttachPolicyInput{PolicyId: scp.PolicySummary.Id, TargetId: &r})
	worldtest.WantError(t, err, "PolicyTypeNotEnabledException", "")
	enabled, err := client.EnablePolicyType(t.Context(), &organizations.EnablePolicyTypeInput{RootId: &r, PolicyType: types.PolicyTypeServiceControlPolicy})
	if err != nil || len(enabled.Root.PolicyTypes) != 1 {
		t.Fatal(enabled, err)
	}
	_, err = client.EnablePolicyType(t.Context(), &organizations.EnablePolicyTypeInput{RootId: &r, PolicyType: types.PolicyTypeServiceControlPolicy})
	worldtest.WantError(t, err, "PolicyTypeAlreadyEnabledException", "")
	attached, err := client.ListPoliciesForTarget(t.Context(), &organizations.ListPoliciesForTargetInput{TargetId: &r, Filter: types.PolicyTypeServiceControlPolicy})
	if err != nil || len(attached.Policies) != 1 || *attached.Policies[0].Id != "p-FullAWSAccess" {
		t.Errorf("policies at the root are %v, %v", attached, err)
	}
	created, err := client.CreateAccount(t.Context(), &organizations.CreateAccountInput{AccountName: aws.String("n"), Email: aws.String("n@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.DeleteOrganization(t.Context(), &organizations.DeleteOrganizationInput{})
	worldtest.WantError(t, err, "OrganizationNotEmptyException", "")
	if _, err := client.RemoveAccountFromOrganization(t.Context(), &organizations.RemoveAccountFromOrganizationInput{AccountId: created.CreateAccountStatus.AccountId}); err != nil {
		t.Fatal(err)
	}
	_, err = client.LeaveOrganization(t.Context(), &organizations.LeaveOrganizationInput{})
	worldtest.WantError(t, err, "MasterCannotLeaveOrganizationException", "")
	if _, err := client.DeleteOrganization(t.Context(), &organizations.DeleteOrganizationInput{}); err != nil {
		t.Fatal(err)
	}
	_, err = client.DescribeOrganization(t.Context(), &organizations.DescribeOrganizationInput{})
	worldtest.WantError(t, err, "AWSOrganizationsNotInUseException", "")
}

func TestTrustedServicesAndDelegatedAdministrators(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	service := aws.String("sso.amazonaws.com")
	register := &organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String(string(a)), ServicePrincipal: service}
	_, err := client.RegisterDelegatedAdministrator(t.Context(), register)
	wantReason(t, err, "ConstraintViolationException", "SERVICE_ACCESS_NOT_ENABLED")
	_, err = client.EnableAWSServiceAccess(t.Context(), &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String("sso")})
	wantReason(t, err, "InvalidInputException", "UNRECOGNIZED_SERVICE_PRINCIPAL")
	if _, err := client.EnableAWSServiceAccess(t.Context(), &organizations.EnableAWSServiceAccessInput{ServicePrincipal: service}); err != nil {
		t.Fatal(err)
	}
	_, err = c.org(t, a).ListAccounts(t.Context(), &organizations.ListAccountsInput{})
	worldtest.WantError(t, err, "AccessDeniedException", "")
	if _, err := client.RegisterDelegatedAdministrator(t.Context(), register); err != nil {
		t.Fatal(err)
	}
	_, err = client.RegisterDelegatedAdministrator(t.Context(), register)
	worldtest.WantError(t, err, "AccountAlreadyRegisteredException", "")
	_, err = client.RegisterDelegatedAdministrator(t.Context(), &organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String(string(m)), ServicePrincipal: service})
	wantReason(t, err, "ConstraintViolationException", "CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR")
	// It reads, and does not write.
	delegate := c.org(t, a)
	listed, err := delegate.ListDelegatedAdministrators(t.Context(), &organizations.ListDelegatedAdministratorsInput{ServicePrincipal: service})
	if err != nil || len(listed.DelegatedAdministrators) != 1 || *listed.DelegatedAdministrators[0].Id != string(a) {
		t.Errorf("delegated administrators are %v, %v", listed, err)
	}
	services, err := delegate.ListAWSServiceAccessForOrganization(t.Context(), &organizations.ListAWSServiceAccessForOrganizationInput{})
	if err != nil || len(services.EnabledServicePrincipals) != 1 {
		t.Errorf("services are %v, %v", services, err)
	}
	_, err = delegate.CreateOrganizationalUnit(t.Context(), &organizations.CreateOrganizationalUnitInput{ParentId: aws.String(root(t, client)), Name: aws.String("n")})
	worldtest.WantError(t, err, "AccessDeniedException", "You don't have permissions to access this resource.")
	_, err = client.DisableAWSServiceAccess(t.Context(), &organizations.DisableAWSServiceAccessInput{ServicePrincipal: service})
	wantReason(t, err, "ConstraintViolationException", "DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE")
	if _, err := client.DeregisterDelegatedAdministrator(t.Context(), &organizations.DeregisterDelegatedAdministratorInput{AccountId: register.AccountId, ServicePrincipal: service}); err != nil {
		t.Fatal(err)
	}
	_, err = delegate.ListAccounts(t.Context(), &organizations.ListAccountsInput{})
	worldtest.WantError(t, err, "AccessDeniedException", "")
	if _, err := client.DisableAWSServiceAccess(t.Context(), &organizations.DisableAWSServiceAccessInput{ServicePrincipal: service}); err != nil {
		t.Fatal(err)
	}
}

func TestTags(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	r := root(t, client)
	scp := policy(t, client, types.PolicyTypeServiceControlPolicy, "p", document(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`))
	for _, id := range []string{r, string(a), unit(t, client, r, "u"), *scp.PolicySummary.Id} {
		tag := func(keys ...string) []types.Tag {
			var tags []types.Tag
			for _, k := range keys {
				tags = append(tags, types.Tag{Key: aws.String(k), Value: aws.String("v")})
			}
			return tags
		}
		if _, err := client.TagResource(t.Context(), &organizations.TagResourceInput{ResourceId: &id, Tags: tag("one", "two")}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.UntagResource(t.Context(), &organizations.UntagResourceInput{ResourceId: &id, TagKeys: []string{"one"}}); err != nil {
			t.Fatal(err)
		}
		out, err := client.ListTagsForResource(t.Context(), &organizations.ListTagsForResourceInput{ResourceId: &id})
		if err != nil || len(out.Tags) != 1 || *out.Tags[0].Key != "two" {
			t.Errorf("tags of %s are %v, %v", id, out, err)
		}
		_, err = client.TagResource(t.Context(), &organizations.TagResourceInput{ResourceId: &id, Tags: tag("x", "x")})
		wantReason(t, err, "InvalidInputException", "DUPLICATE_TAG_KEY")
	}
	_, err := client.TagResource(t.Context(), &organizations.TagResourceInput{ResourceId: aws.String(string(x)), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	worldtest.WantError(t, err, "TargetNotFoundException", "")
	by := organizations.NewFromConfig(c.User(m, "by-tag", document(`{"Effect":"Allow","Action":"organizations:DescribeAccount","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/two":"v"}}}`)))
	if _, err := by.DescribeAccount(t.Context(), &organizations.DescribeAccountInput{AccountId: aws.String(string(a))}); err != nil {
		t.Error(err)
	}
	_, err = by.DescribeAccount(t.Context(), &organizations.DescribeAccountInput{AccountId: aws.String(string(b))})
	worldtest.WantError(t, err, "AccessDeniedException", "organizations:DescribeAccount")
}

func TestStateSurvives(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	r := root(t, client)
	u := unit(t, client, r, "u")
	move(t, client, b, r, u)
	scp := policy(t, client, types.PolicyTypeServiceControlPolicy, "p", document(`{"Effect":"Deny","Action":"iam:ListRoles","Resource":"*"}`))
	attach(t, client, *scp.PolicySummary.Id, u)
	if err := c.server.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, c.file, c.Clock, true)
	out, err := again.org(t, m).ListTargetsForPolicy(t.Context(), &organizations.ListTargetsForPolicyInput{PolicyId: scp.PolicySummary.Id})
	if err != nil || len(out.Targets) != 1 || *out.Targets[0].TargetId != u || out.Targets[0].Type != types.TargetTypeOrganizationalUnit {
		t.Errorf("targets are %v, %v", out, err)
	}
	_, err = iam.NewFromConfig(again.config(t, b)).ListRoles(t.Context(), &iam.ListRolesInput{})
	worldtest.WantError(t, err, "AccessDenied", "with an explicit deny in a service control policy")
}
