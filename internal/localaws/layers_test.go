package localaws_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

const denyListRoles = `{"Version":"2012-10-17","Statement":[{"Sid":"NoRoles","Effect":"Deny","Action":"iam:ListRoles","Resource":"*"}]}`

// organized is a server whose accounts M, A and B are in one organization; X
// is outside.
func organized(t *testing.T) *localaws.Server {
	t.Helper()
	s := start(t, func(c *localaws.Config) { c.Organization = true })
	w := s.World()
	w.Lock()
	defer w.Unlock()
	if _, err := w.AddAccount(X, "outside", ""); err != nil {
		t.Fatal(err)
	}
	w.AddAdministrator(X, w.Now())
	return s
}

// attach replaces the policies of one type attached to a node.
func attach(s *localaws.Server, node, kind, content string, keepDefault bool) *store.OrgPolicy {
	w := s.World()
	w.Lock()
	defer w.Unlock()
	org := w.Organization
	p := &store.OrgPolicy{ID: "p-" + w.IDs().Lower(8), Type: kind, Name: "test", Content: content}
	org.Policies[p.ID] = store.NewVersioned(w.Now(), p)
	ids := []string{p.ID}
	if keepDefault {
		ids = append(ids, *org.Attachments[node].Latest()...)
	}
	org.Attachments[node].Put(w.Now(), &ids)
	return p
}

func listRoles(t *testing.T, cfg aws.Config) error {
	t.Helper()
	_, err := iam.NewFromConfig(cfg).ListRoles(t.Context(), &iam.ListRolesInput{})
	return err
}

func TestServiceControlPoliciesDenyWithTheirARN(t *testing.T) {
	s := organized(t)
	root := s.World().Organization.Root
	p := attach(s, root, store.ServiceControlPolicy, denyListRoles, true)
	ref := s.World().Organization.PolicyARN(p).String()
	if !strings.HasPrefix(ref, "arn:aws:organizations::999999999999:policy/o-") || !strings.Contains(ref, "/service_control_policy/p-") {
		t.Errorf("ARN of the SCP: %s", ref)
	}
	for _, account := range []arn.AccountID{A, B} {
		worldtest.WantError(t, listRoles(t, config(t, s, account)), "AccessDenied", "with an explicit deny in a service control policy: "+ref)
	}
	if err := listRoles(t, config(t, s, M)); err != nil {
		t.Errorf("the management account is affected: %v", err)
	}
	if err := listRoles(t, config(t, s, X)); err != nil {
		t.Errorf("an account outside is affected: %v", err)
	}
	if _, err := whoami(t, config(t, s, A)); err != nil {
		t.Errorf("another action is affected: %v", err)
	}
}

func TestEveryLevelMustAllow(t *testing.T) {
	s := organized(t)
	attach(s, string(A), store.ServiceControlPolicy, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`, false)
	worldtest.WantError(t, listRoles(t, config(t, s, A)), "AccessDenied", "because no service control policy allows the iam:ListRoles action")
	if err := listRoles(t, config(t, s, B)); err != nil {
		t.Error(err)
	}
}

func TestResourceControlPoliciesBindWhoeverCalls(t *testing.T) {
	s := organized(t)
	makeRole(t, config(t, s, B), "shared", `"*"`)
	orgID := s.World().Organization.ID
	assume := func(account arn.AccountID) error {
		_, err := sts.NewFromConfig(config(t, s, account)).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: ptr("arn:aws:iam::222222222222:role/shared"), RoleSessionName: ptr("s1")})
		return err
	}
	if err := assume(X); err != nil {
		t.Fatalf("before the RCP: %v", err)
	}
	p := attach(s, string(B), store.ResourceControlPolicy, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Resource":"*",
		"Condition":{"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"`+orgID+`"}}}]}`, true)
	err := assume(X)
	worldtest.WantError(t, err, "AccessDenied", "sts:AssumeRole")
	if strings.Contains(err.Error(), p.ID) {
		t.Errorf("an outsider is told the policy: %v", err)
	}
	if err := assume(A); err != nil {
		t.Errorf("an account inside: %v", err)
	}
}

func TestBoundariesLimit(t *testing.T) {
	s := start(t, nil)
	admin := iam.NewFromConfig(config(t, s, A))
	ctx := t.Context()
	boundary, err := admin.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: ptr("boundary"),
		PolicyDocument: ptr(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	makeRole(t, config(t, s, A), "bounded", `{"AWS":"111111111111"}`)
	if _, err := admin.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: ptr("bounded"), PolicyArn: ptr("arn:aws:iam::aws:policy/AdministratorAccess")}); err != nil {
		t.Fatal(err)
	}
	out, err := sts.NewFromConfig(config(t, s, A)).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: ptr("arn:aws:iam::111111111111:role/bounded"), RoleSessionName: ptr("s1")})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	session := with(s, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	if err := listRoles(t, session); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: ptr("bounded"), PermissionsBoundary: boundary.Policy.Arn}); err != nil {
		t.Fatal(err)
	}
	worldtest.WantError(t, listRoles(t, session), "AccessDenied", "because no permissions boundary allows the iam:ListRoles action")
}

// Conditions on the request itself come from the gate.
func TestRequestConditionKeys(t *testing.T) {
	s := organized(t)
	for name, c := range map[string]struct {
		condition string
		allowed   bool
	}{
		"the right Region":           {`{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}`, true},
		"another Region":             {`{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}`, false},
		"over TLS":                   {`{"Bool":{"aws:SecureTransport":"true"}}`, true},
		"from loopback":              {`{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`, true},
		"from elsewhere":             {`{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`, false},
		"before a date long past":    {`{"DateLessThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}`, false},
		"after a date long past":     {`{"DateGreaterThan":{"aws:EpochTime":"1577836800"}}`, true},
		"with MFA":                   {`{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`, false},
		"with MFA if it is known":    {`{"BoolIfExists":{"aws:MultiFactorAuthPresent":"true"}}`, true},
		"not through a service":      {`{"Bool":{"aws:ViaAWSService":"false"}}`, true},
		"within the organization":    {`{"StringEquals":{"aws:PrincipalOrgID":"` + s.World().Organization.ID + `"}}`, true},
		"below the root":             {`{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"` + s.World().Organization.ID + `/r-*/*"}}`, true},
		"on the organization's own":  {`{"StringEquals":{"aws:ResourceOrgID":"${aws:PrincipalOrgID}"}}`, true},
		"by the SDK":                 {`{"StringLike":{"aws:UserAgent":"aws-sdk-go-v2/*"}}`, true},
		"by a tagged user":           {`{"StringEquals":{"aws:PrincipalTag/team":"blue"}}`, true},
		"by a user tagged otherwise": {`{"StringEquals":{"aws:PrincipalTag/TEAM":"red"}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			admin := iam.NewFromConfig(config(t, s, A))
			user := strings.ReplaceAll(name, " ", "-")
			user = strings.ReplaceAll(user, "'", "")
			cfg := newUser(t, s, admin, user, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListRoles","Resource":"*","Condition":`+c.condition+`}]}`)
			err := listRoles(t, cfg)
			if c.allowed && err != nil {
				t.Error(err)
			}
			if !c.allowed {
				worldtest.WantError(t, err, "AccessDenied", "iam:ListRoles")
			}
		})
	}
}

func tagsOf(key, value string) []types.Tag { return []types.Tag{{Key: &key, Value: &value}} }

func newUser(t *testing.T, s *localaws.Server, admin *iam.Client, name, policy string) aws.Config {
	t.Helper()
	ctx := t.Context()
	if _, err := admin.CreateUser(ctx, &iam.CreateUserInput{UserName: &name}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.TagUser(ctx, &iam.TagUserInput{UserName: &name, Tags: tagsOf("team", "blue")}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &name, PolicyName: ptr("p"), PolicyDocument: &policy}); err != nil {
		t.Fatal(err)
	}
	key, err := admin.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return with(s, *key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, "")
}
