package authz_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
)

// question is the corpus case of the given id.
func question(t *testing.T, id string) (*authz.Request, authz.Decision) {
	t.Helper()
	for _, c := range cases(t) {
		if c.ID == id {
			req, pols := build(t, &c, authz.Compile)
			return req, authz.Evaluate(req, pols, nil)
		}
	}
	t.Fatalf("no case %q", id)
	return nil, authz.Decision{}
}

func TestSummary(t *testing.T) {
	tests := []struct{ id, want string }{
		{"cross-account-both-sides/assume-role-without-callers-policy", "denied: no identity-based policy of role hub (111111111111) allows sts:AssumeRole"},
		{"cross-account-both-sides/assume-role-other-account-trusted", "denied: the role trust policy of arn:aws:iam::222222222222:role/target does not allow sts:AssumeRole to role hub (333333333333)"},
		{"cross-account-both-sides/assume-role-exact", "allowed: statement 1 of identity-based policy #1 (111111111111) and statement 1 of role trust policy #1 (222222222222)"},
		{"scp/denied", "explicitly denied by statement 1 (NoTables) of service control policy #2 at r-ab12"},
		{"scp-levels/the-middle-level-does-not", "denied: no service control policy at ou-ab12-apps allows dynamodb:GetItem"},
		{"endpoint/for-another-principal", "denied: the VPC endpoint policy does not allow dynamodb:GetItem to user ann (111111111111)"},
		{"no-permission-needed/against-an-explicit-deny", "allowed: the operation needs no permission, and no policy can deny it"},
		{"unknown-key/allow-that-needs-it", "depends: allowed when aws:PrincipalTag/team = payroll"},
		{"unread/unread-scp", "depends: allowed depending on what service control policy p-examplepolicy (organizations:DescribePolicy denied) says"},
		{"trust-explicit/no-trust-policy-known", "denied: arn:aws:iam::222222222222:role/target has no role trust policy that applies"},
		{"key-explicit/root-user-without-account-statement", "denied: the KMS key policy of arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab does not allow kms:Decrypt to the root user of 222222222222"},
		{"grant/grant-alone", "allowed: grant g1"},
	}
	for _, tt := range tests {
		if _, d := question(t, tt.id); d.Summary() != tt.want {
			t.Errorf("%s: Summary =\n%s, want\n%s", tt.id, d.Summary(), tt.want)
		}
	}
}

func TestMessageIsAWSsText(t *testing.T) {
	tests := []struct{ id, want string }{
		{"default-deny/no-policies-at-all", "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:us-east-1:111111111111:table/reports because no identity-based policy allows the dynamodb:GetItem action"},
		{"boundary/boundary-does-not", "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:us-east-1:111111111111:table/reports because no permissions boundary allows the dynamodb:GetItem action"},
		{"scp/denied", "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:us-east-1:111111111111:table/reports with an explicit deny in a service control policy"},
		{"explicit-deny/deny-in-another-document", "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:us-east-1:111111111111:table/reports with an explicit deny in an identity-based policy"},
		{"cross-account-both-sides/assume-role-trust-denies", "User: arn:aws:sts::111111111111:assumed-role/hub/s is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/target with an explicit deny in the role trust policy"},
		{"key-explicit/account-statement-for-other-actions", "User: arn:aws:sts::222222222222:assumed-role/app/s is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab because no resource-based policy allows the kms:Decrypt action"},
		{"resource-star/an-arn", "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: ec2:DescribeInstances because no identity-based policy allows the ec2:DescribeInstances action"},
		{"web-identity/another-repository", "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"unknown-key/allow-that-needs-it", "User: arn:aws:sts::111111111111:assumed-role/app/pod-1 is not authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:us-east-1:111111111111:table/reports"},
		{"default-deny/one-policy-that-allows", ""},
	}
	for _, tt := range tests {
		req, d := question(t, tt.id)
		if got := d.Message(req); got != tt.want {
			t.Errorf("%s: Message =\n%s, want\n%s", tt.id, got, tt.want)
		}
	}
}

func TestMessageNamesThePolicyThatDenies(t *testing.T) {
	deny, err := authz.Compile(mustCompile(t, authz.LayerSCP, "p", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`).Document(),
		authz.Source{Layer: authz.LayerSCP, Name: "p", ARN: "arn:aws:organizations::999999999999:policy/o-1/service_control_policy/p-1"})
	if err != nil {
		t.Fatal(err)
	}
	req, pols := crossAccount(t, 1)
	pols.SCPs = []authz.Level{{Node: "r", Policies: []*authz.Policy{deny}}}
	want := "User: arn:aws:sts::111111111111:assumed-role/payroll-api/pod-1 is not authorized to perform: secretsmanager:GetSecretValue " +
		"on resource: arn:aws:secretsmanager:us-east-1:222222222222:secret:payroll-db-AbCdEf " +
		"with an explicit deny in a service control policy: arn:aws:organizations::999999999999:policy/o-1/service_control_policy/p-1"
	if got := authz.Evaluate(req, pols, nil).Message(req); got != want {
		t.Errorf("Message = %s, want %s", got, want)
	}
}

func TestExplainShowsSidesStatementsAndConditions(t *testing.T) {
	const file = `{"id":"q","principal":"arn:aws:sts::111111111111:assumed-role/hub/s","action":"sts:AssumeRole","resource":"arn:aws:iam::222222222222:role/target",` +
		`"context":{"sts:ExternalId":"54321"},` +
		`"identityPolicies":[{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:*","Resource":"*"}]}],` +
		`"resourcePolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"12345"}}},` +
		`{"Sid":"Other","Effect":"Allow","Principal":{"AWS":"333333333333"},"Action":"sts:AssumeRole"}]},` +
		`"scps":[{"node":"r-ab12","policies":[{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}]}]}`
	all, err := corpus.Load("q.json", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	req, pols := build(t, &all[0], authz.Compile)
	var b bytes.Buffer
	if err := authz.Evaluate(req, pols, nil).Explain(&b); err != nil {
		t.Fatal(err)
	}
	want := `denied: the role trust policy of arn:aws:iam::222222222222:role/target does not allow sts:AssumeRole to role hub (111111111111)
caller, account 111111111111
    service control policy at r-ab12: Allowed
      Allow #1 statement 1 at line 1, column 655: applies
    identity-based policy: Allowed
      Allow #1 statement 1 at line 1, column 241: applies
resource, account 222222222222
  → role trust policy: ImplicitDeny
      Allow #1 statement 1 at line 1, column 349: does not apply, Condition does not match
        StringEquals sts:ExternalId: wanted ["12345"], found ["54321"]: no
      Allow #1 statement 2 (Other) at line 1, column 485: does not apply, Principal does not match: it names 333333333333
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("Explain (-want +got):\n%s", diff)
	}
}

func TestEnumerationsHaveStableNames(t *testing.T) {
	text, err := json.Marshal([]any{
		authz.ImplicitDeny, authz.ExplicitDeny, authz.Allowed, authz.Unknown, authz.NotApplicable,
		authz.LayerSCP, authz.LayerRCP, authz.LayerEndpoint, authz.LayerBoundary, authz.LayerSession,
		authz.LayerIdentity, authz.LayerResource, authz.LayerTrust, authz.LayerKey, authz.LayerGrant,
		authz.CallerSide, authz.ResourceSide, authz.No, authz.Yes, authz.Maybe,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `["ImplicitDeny","ExplicitDeny","Allowed","Unknown","NotApplicable",` +
		`"scp","rcp","endpoint","boundary","session","identity","resource","trust","key","grant","caller","resource","no","yes","maybe"]`
	if string(text) != want {
		t.Errorf("JSON = %s, want %s", text, want)
	}
	var o authz.Outcome
	if err := o.UnmarshalText([]byte("Perhaps")); err == nil {
		t.Error("UnmarshalText of an unknown name succeeds")
	}
	if got := authz.Outcome(99).String(); got != "#99" {
		t.Errorf("String of no outcome = %q", got)
	}
}
