package organizations_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

const (
	scps = types.PolicyTypeServiceControlPolicy
	rcps = types.PolicyTypeResourceControlPolicy
)

func TestPolicyFromBeginningToEnd(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	text := document(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`)
	p := policy(t, client, scps, "no-s3", text)
	id := *p.PolicySummary.Id
	org, err := client.DescribeOrganization(t.Context(), &organizations.DescribeOrganizationInput{})
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^p-[a-z0-9]{8}$`).MatchString(id) || *p.PolicySummary.Arn != "arn:aws:organizations::999999999999:policy/"+*org.Organization.Id+"/service_control_policy/"+id {
		t.Errorf("policy %s has ARN %s", id, *p.PolicySummary.Arn)
	}
	if *p.Content != text || p.PolicySummary.AwsManaged {
		t.Errorf("policy is %+v", p)
	}
	_, err = client.CreatePolicy(t.Context(), &organizations.CreatePolicyInput{Type: scps, Name: aws.String("no-s3"), Description: aws.String(""), Content: &text})
	worldtest.WantError(t, err, "DuplicatePolicyException", "A policy with the specified name and type already exists.")
	updated, err := client.UpdatePolicy(t.Context(), &organizations.UpdatePolicyInput{PolicyId: &id, Name: aws.String("no-storage")})
	if err != nil || *updated.Policy.PolicySummary.Name != "no-storage" || *updated.Policy.Content != text {
		t.Errorf("updated: %v, %v", updated, err)
	}
	attach(t, client, id, string(a))
	_, err = client.DeletePolicy(t.Context(), &organizations.DeletePolicyInput{PolicyId: &id})
	worldtest.WantError(t, err, "PolicyInUseException", "")
	_, err = client.AttachPolicy(t.Context(), &organizations.AttachPolicyInput{PolicyId: &id, TargetId: aws.String(string(a))})
	worldtest.WantError(t, err, "DuplicatePolicyAttachmentException", "")
	_, err = client.DetachPolicy(t.Context(), &organizations.DetachPolicyInput{PolicyId: &id, TargetId: aws.String(string(b))})
	worldtest.WantError(t, err, "PolicyNotAttachedException", "")
	_, err = client.AttachPolicy(t.Context(), &organizations.AttachPolicyInput{PolicyId: &id, TargetId: aws.String(string(x))})
	worldtest.WantError(t, err, "TargetNotFoundException", "")
	detach(t, client, id, string(a))
	if _, err := client.DeletePolicy(t.Context(), &organizations.DeletePolicyInput{PolicyId: &id}); err != nil {
		t.Fatal(err)
	}
	_, err = client.DescribePolicy(t.Context(), &organizations.DescribePolicyInput{PolicyId: &id})
	worldtest.WantError(t, err, "PolicyNotFoundException", "")
}

func TestPoliciesAreRefused(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	filler := strings.Repeat(" ", 10_240)
	for _, test := range []struct {
		name         string
		kind         types.PolicyType
		content      string
		code, reason string
	}{
		{"no JSON", scps, `{`, "MalformedPolicyDocumentException", ""},
		{"a principal", scps, document(`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}`), "MalformedPolicyDocumentException", ""},
		{"no action", scps, document(`{"Effect":"Deny","Resource":"*"}`), "MalformedPolicyDocumentException", ""},
		{"an RCP that allows", rcps, document(`{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`), "MalformedPolicyDocumentException", ""},
		{"an RCP for one principal", rcps, document(`{"Effect":"Deny","Principal":{"AWS":"111111111111"},"Action":"s3:*","Resource":"*"}`), "MalformedPolicyDocumentException", ""},
		{"too long", scps, document(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`) + filler, "ConstraintViolationException", "POLICY_CONTENT_LIMIT_EXCEEDED"},
		{"an RCP of more than 5120", rcps, document(`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}`) + filler[:5_120], "ConstraintViolationException", "POLICY_CONTENT_LIMIT_EXCEEDED"},
		{"another type", types.PolicyTypeTagPolicy, `{"tags":{}}`, "PolicyTypeNotAvailableForOrganizationException", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := client.CreatePolicy(t.Context(), &organizations.CreatePolicyInput{Type: test.kind, Name: &test.name, Description: aws.String(""), Content: &test.content})
			worldtest.WantError(t, err, test.code, "")
			if test.reason != "" {
				wantReason(t, err, test.code, test.reason)
			}
		})
	}
	fits := document(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`)
	policy(t, client, scps, "as long as can be", fits+filler[:10_240-len(fits)])
}

func TestAWSsOwnPoliciesStay(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	for _, id := range []string{"p-FullAWSAccess", "p-RCPFullAWSAccess"} {
		described, err := client.DescribePolicy(t.Context(), &organizations.DescribePolicyInput{PolicyId: &id})
		if err != nil || !described.Policy.PolicySummary.AwsManaged {
			t.Errorf("%s: %v, %v", id, described, err)
		}
		_, err = client.UpdatePolicy(t.Context(), &organizations.UpdatePolicyInput{PolicyId: &id, Name: aws.String("mine")})
		wantReason(t, err, "InvalidInputException", "IMMUTABLE_POLICY")
		_, err = client.DeletePolicy(t.Context(), &organizations.DeletePolicyInput{PolicyId: &id})
		wantReason(t, err, "InvalidInputException", "IMMUTABLE_POLICY")
	}
	_, err := client.DetachPolicy(t.Context(), &organizations.DetachPolicyInput{PolicyId: aws.String("p-RCPFullAWSAccess"), TargetId: aws.String(string(a))})
	wantReason(t, err, "InvalidInputException", "NON_DETACHABLE_POLICY")
	_, err = client.DetachPolicy(t.Context(), &organizations.DetachPolicyInput{PolicyId: aws.String("p-FullAWSAccess"), TargetId: aws.String(string(a))})
	wantReason(t, err, "ConstraintViolationException", "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED")
}

func TestANodeHasAtMostTenPolicies(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	for i := range 10 {
		p := policy(t, client, scps, fmt.Sprint("p", i), document(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`))
		if i < 9 {
			attach(t, client, *p.PolicySummary.Id, string(a))
			continue
		}
		_, err := client.AttachPolicy(t.Context(), &organizations.AttachPolicyInput{PolicyId: p.PolicySummary.Id, TargetId: aws.String(string(a))})
		wantReason(t, err, "ConstraintViolationException", "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED")
	}
	count := 0
	for p := organizations.NewListPoliciesForTargetPaginator(client, &organizations.ListPoliciesForTargetInput{TargetId: aws.String(string(a)), Filter: scps, MaxResults: aws.Int32(3)}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		count += len(out.Policies)
	}
	if count != 10 {
		t.Errorf("%d policies are listed, want 10", count)
	}
	all, err := client.ListPolicies(t.Context(), &organizations.ListPoliciesInput{Filter: scps})
	if err != nil || len(all.Policies) != 11 {
		t.Errorf("policies of the organization: %v, %v, want 11", all, err)
	}
}

func TestAttachmentsNeedPermissionOnPolicyAndTarget(t *testing.T) {
	c := newCloud(t)
	p := *policy(t, c.org(t, m), scps, "p", document(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`)).PolicySummary
	allow := func(resources ...string) *organizations.Client {
		return organizations.NewFromConfig(c.User(m, fmt.Sprint("u", len(resources), len(resources[0])), document(
			`{"Effect":"Allow","Action":"organizations:AttachPolicy","Resource":["`+strings.Join(resources, `","`)+`"],"Condition":{"StringEquals":{"organizations:PolicyType":"SERVICE_CONTROL_POLICY"}}}`)))
	}
	const account = "arn:aws:organizations::999999999999:account/*/111111111111"
	in := &organizations.AttachPolicyInput{PolicyId: p.Id, TargetId: aws.String(string(a))}
	_, err := allow(account).AttachPolicy(t.Context(), in)
	worldtest.WantError(t, err, "AccessDeniedException", *p.Arn)
	_, err = allow(*p.Arn).AttachPolicy(t.Context(), in)
	worldtest.WantError(t, err, "AccessDeniedException", "account/")
	if _, err := allow(account, *p.Arn).AttachPolicy(t.Context(), in); err != nil {
		t.Error(err)
	}
}

// listRoles calls iam:ListRoles as the administrator of account.
func (c *cloud) listRoles(t *testing.T, account arn.AccountID) error {
	t.Helper()
	_, err := iam.NewFromConfig(c.config(t, account)).ListRoles(t.Context(), &iam.ListRolesInput{})
	return err
}

func (c *cloud) createUser(t *testing.T, account arn.AccountID, name string) error {
	t.Helper()
	_, err := iam.NewFromConfig(c.config(t, account)).CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name})
	return err
}

func TestDenyOnAnOUIsEnforced(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	r := root(t, client)
	outer := unit(t, client, r, "outer")
	inner := unit(t, client, outer, "inner")
	move(t, client, b, r, inner)
	p := *policy(t, client, scps, "no-roles", document(`{"Sid":"NoRoles","Effect":"Deny","Action":"iam:ListRoles","Resource":"*"}`)).PolicySummary
	if err := c.listRoles(t, b); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{r, outer, inner, string(b)} {
		attach(t, client, *p.Id, node)
		err := c.listRoles(t, b)
		worldtest.WantError(t, err, "AccessDenied", "User: arn:aws:iam::222222222222:user/Administrator is not authorized to perform: iam:ListRoles on resource: ")
		worldtest.WantError(t, err, "AccessDenied", "with an explicit deny in a service control policy: "+*p.Arn)
		if node != r {
			if err := c.listRoles(t, a); err != nil {
				t.Errorf("attached to %s it denies an account elsewhere: %v", node, err)
			}
		}
		if err := c.listRoles(t, m); err != nil {
			t.Errorf("attached to %s it denies the management account: %v", node, err)
		}
		if err := c.createUser(t, b, "u-"+node); err != nil {
			t.Errorf("attached to %s it denies another action: %v", node, err)
		}
		detach(t, client, *p.Id, node)
		if err := c.listRoles(t, b); err != nil {
			t.Errorf("after detaching from %s: %v", node, err)
		}
	}
	// It goes with the OU, not with the account.
	attach(t, client, *p.Id, outer)
	move(t, client, b, inner, r)
	if err := c.listRoles(t, b); err != nil {
		t.Error(err)
	}
	denials := c.server.Denials().Recent()
	if len(denials) == 0 || !strings.Contains(denials[0].By, "service control policy") || !strings.Contains(denials[0].By, "NoRoles") {
		t.Errorf("denials are %+v", denials)
	}
}

func TestEveryLevelHasToAllow(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	r := root(t, client)
	u := unit(t, client, r, "u")
	move(t, client, b, r, u)
	list := *policy(t, client, scps, "allow-list", document(`{"Effect":"Allow","Action":["iam:ListRoles","sts:*"],"Resource":"*"}`)).PolicySummary.Id
	attach(t, client, list, u) // beside FullAWSAccess it changes nothing
	if err := c.createUser(t, b, "one"); err != nil {
		t.Fatal(err)
	}
	detach(t, client, "p-FullAWSAccess", u)
	if err := c.listRoles(t, b); err != nil {
		t.Errorf("what the list allows: %v", err)
	}
	worldtest.WantError(t, c.createUser(t, b, "two"), "AccessDenied", "because no service control policy allows the iam:CreateUser action")
	if err := c.createUser(t, a, "two"); err != nil {
		t.Errorf("an account elsewhere: %v", err)
	}
	// The identity policy still has to allow: an SCP grants nothing.
	nobody := iam.NewFromConfig(c.User(b, "nobody", ""))
	_, err := nobody.ListRoles(t.Context(), &iam.ListRolesInput{})
	worldtest.WantError(t, err, "AccessDenied", "because no identity-based policy allows the iam:ListRoles action")
	attach(t, client, "p-FullAWSAccess", u)
	detach(t, client, list, u)
	if err := c.createUser(t, b, "three"); err != nil {
		t.Error(err)
	}
}

func TestConditionsOfServiceControlPolicies(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	p := *policy(t, client, scps, "admins-only", document(
		`{"Effect":"Deny","Action":"iam:ListRoles","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/Administrator"}}}`)).PolicySummary.Id
	attach(t, client, p, root(t, client))
	other := iam.NewFromConfig(c.User(b, "other", worldtest.AllowAll))
	_, err := other.ListRoles(t.Context(), &iam.ListRolesInput{})
	worldtest.WantError(t, err, "AccessDenied", "with an explicit deny in a service control policy")
	if err := c.listRoles(t, b); err != nil {
		t.Error(err)
	}
}

func TestPoliciesAreSeenLate(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	r := root(t, client)
	const delay = 10 * time.Second
	c.Clock.Advance(time.Minute)
	c.World.SetDelay("", delay)
	u := unit(t, client, r, "u")
	p := *policy(t, client, scps, "no-roles", document(`{"Effect":"Deny","Action":"iam:ListRoles","Resource":"*"}`)).PolicySummary.Id
	attach(t, client, p, u)
	c.Clock.Advance(delay)

	move(t, client, b, r, u)
	if err := c.listRoles(t, b); err != nil {
		t.Errorf("before the move is seen: %v", err)
	}
	c.Clock.Advance(delay - 1)
	if err := c.listRoles(t, b); err != nil {
		t.Errorf("just before the move is seen: %v", err)
	}
	c.Clock.Advance(1)
	worldtest.WantError(t, c.listRoles(t, b), "AccessDenied", "service control policy")

	if _, err := client.UpdatePolicy(t.Context(), &organizations.UpdatePolicyInput{PolicyId: &p, Content: aws.String(document(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`))}); err != nil {
		t.Fatal(err)
	}
	worldtest.WantError(t, c.listRoles(t, b), "AccessDenied", "service control policy")
	c.Clock.Advance(delay)
	if err := c.listRoles(t, b); err != nil {
		t.Errorf("after the update is seen: %v", err)
	}

	// A new OU denies nothing while its own attachments are on the way.
	fresh := unit(t, client, u, "fresh")
	move(t, client, b, u, fresh)
	for range 3 {
		if err := c.listRoles(t, b); err != nil {
			t.Errorf("in a new OU: %v", err)
		}
		c.Clock.Advance(delay / 2)
	}
}

func TestServiceLinkedRolesAreSpared(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	attach(t, client, *policy(t, client, scps, "no-roles", document(`{"Effect":"Deny","Action":"iam:ListRoles","Resource":"*"}`)).PolicySummary.Id, string(b))
	for _, linked := range []bool{false, true} {
		_, err := iam.NewFromConfig(c.session(t, linked)).ListRoles(t.Context(), &iam.ListRolesInput{})
		if linked && err != nil {
			t.Errorf("a service-linked role is denied: %v", err)
		}
		if !linked {
			worldtest.WantError(t, err, "AccessDenied", "service control policy")
		}
	}
}

// session makes a role in B that may do everything and gives a session of it.
func (c *cloud) session(t *testing.T, linked bool) aws.Config {
	t.Helper()
	c.World.Lock()
	defer c.World.Unlock()
	name := fmt.Sprint("role-", linked)
	role := &store.Role{Entity: store.Entity{
		Name: name, Path: "/", ID: c.World.NewPrincipal(b, "role", name), Inline: map[string]string{"all": worldtest.AllowAll},
	}, ServiceLinked: linked}
	c.World.Accounts[b].IAM.Roles[name] = store.NewVersioned(time.Time{}, role)
	s := &store.Session{
		AccessKey: c.World.IDs().AccessKey(store.PrefixSessionKey, b), Secret: c.World.IDs().Secret(), Kind: store.AssumedRole,
		Account: b, Entity: role.ID, Name: "s", Issued: c.Clock.Now(), Expires: c.Clock.Now().Add(time.Hour),
	}
	token, err := c.World.Seal(s)
	if err != nil {
		t.Fatal(err)
	}
	return c.Config(s.AccessKey, s.Secret, token)
}

// target makes a role in B that A and X may assume.
func (c *cloud) target(t *testing.T) string {
	t.Helper()
	out, err := iam.NewFromConfig(c.config(t, b)).CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName:                 aws.String("target"),
		AssumeRolePolicyDocument: aws.String(document(`{"Effect":"Allow","Principal":{"AWS":["111111111111","333333333333"]},"Action":"sts:AssumeRole"}`)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Role.Arn
}

func (c *cloud) assume(t *testing.T, account arn.AccountID, role string) error {
	t.Helper()
	_, err := sts.NewFromConfig(c.config(t, account)).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("session")})
	return err
}

func TestServiceControlPoliciesAreAboutCallers(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	role := c.target(t)
	p := *policy(t, client, scps, "no-assume", document(`{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"*"}`)).PolicySummary
	attach(t, client, *p.Id, string(b)) // the role's account
	for _, caller := range []arn.AccountID{a, x} {
		if err := c.assume(t, caller, role); err != nil {
			t.Errorf("an SCP on the role's account stops %s: %v", caller, err)
		}
	}
	detach(t, client, *p.Id, string(b))
	attach(t, client, *p.Id, string(a)) // the caller's account
	worldtest.WantError(t, c.assume(t, a, role), "AccessDenied", "with an explicit deny in a service control policy: "+*p.Arn)
	if err := c.assume(t, x, role); err != nil {
		t.Error(err)
	}
}

func TestResourceControlPoliciesAreAboutResources(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	role := c.target(t)
	org, err := client.DescribeOrganization(t.Context(), &organizations.DescribeOrganizationInput{})
	if err != nil {
		t.Fatal(err)
	}
	p := *policy(t, client, rcps, "perimeter", document(
		`{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Resource":"*","Condition":{"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"`+*org.Organization.Id+`"}}}`)).PolicySummary
	if err := c.assume(t, x, role); err != nil {
		t.Fatal(err)
	}
	attach(t, client, *p.Id, string(b))
	if err := c.assume(t, a, role); err != nil {
		t.Errorf("a caller of the organization: %v", err)
	}
	// Who is outside does not learn which policy it was.
	err = c.assume(t, x, role)
	worldtest.WantError(t, err, "AccessDenied", "with an explicit deny in a resource control policy")
	if strings.Contains(err.Error(), "arn:aws:organizations") {
		t.Errorf("the outsider is told the policy's ARN: %v", err)
	}
	// The management account's resources are out of reach.
	attach(t, client, *p.Id, root(t, client))
	owned, err := iam.NewFromConfig(c.config(t, m)).CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: aws.String("open"), AssumeRolePolicyDocument: aws.String(document(`{"Effect":"Allow","Principal":{"AWS":"333333333333"},"Action":"sts:AssumeRole"}`)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.assume(t, x, *owned.Role.Arn); err != nil {
		t.Errorf("a role of the management account: %v", err)
	}
}

func TestDisabledTypeDecidesNothing(t *testing.T) {
	c := newCloud(t)
	client := c.org(t, m)
	r := root(t, client)
	p := *policy(t, client, scps, "no-roles", document(`{"Effect":"Deny","Action":"iam:ListRoles","Resource":"*"}`)).PolicySummary.Id
	attach(t, client, p, r)
	worldtest.WantError(t, c.listRoles(t, b), "AccessDenied", "service control policy")
	if _, err := client.DisablePolicyType(t.Context(), &organizations.DisablePolicyTypeInput{RootId: &r, PolicyType: scps}); err != nil {
		t.Fatal(err)
	}
	if err := c.listRoles(t, b); err != nil {
		t.Error(err)
	}
	if _, err := client.EnablePolicyType(t.Context(), &organizations.EnablePolicyTypeInput{RootId: &r, PolicyType: scps}); err != nil {
		t.Fatal(err)
	}
	if err := c.listRoles(t, b); err != nil {
		t.Errorf("what was attached before came back: %v", err)
	}
	out, err := client.ListTargetsForPolicy(t.Context(), &organizations.ListTargetsForPolicyInput{PolicyId: aws.String("p-FullAWSAccess")})
	if err != nil || len(out.Targets) != 4 {
		t.Errorf("FullAWSAccess is attached to %v, %v, want the root and three accounts", out, err)
	}
	_, err = client.DisablePolicyType(t.Context(), &organizations.DisablePolicyTypeInput{RootId: aws.String("r-none"), PolicyType: scps})
	worldtest.WantError(t, err, "RootNotFoundException", "")
}
