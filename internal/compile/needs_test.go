package compile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/policy"
)

func TestNeedsAsksForWhatTheLedgerHas(t *testing.T) {
	s := base()
	led := &ledger.Ledger{Entries: []ledger.Entry{
		{Account: orders, Kind: ledger.Provider, ID: "arn:aws:iam::222222222222:oidc-provider/oidc.example/old"},
		{Account: orders, Kind: ledger.Role, ID: "arn:aws:iam::222222222222:role/stile/old"},
		{Account: tooling, Kind: ledger.RolePolicy, ID: "deploy/stile-payroll-x"},
		{Account: tooling, Kind: ledger.UserPolicy, ID: "alice/stile-payroll-x"},
		{Account: orders, Region: "us-east-1", Kind: ledger.SecretSid, ID: secretARN + "#StileX"},
		{Account: "444444444444", Region: "us-east-1", Kind: ledger.KeySid, ID: "arn:aws:kms:us-east-1:444444444444:key/gone#StileX"},
	}}
	got := compile.Needs(s.set, nil, led)
	want := inventory.Request{Organization: true, Candidates: []arn.AccountID{tooling, orders, network}, Accounts: map[arn.AccountID]*inventory.AccountRequest{
		tooling:        {Quotas: true, Roles: []string{"deploy"}, Users: []string{"alice"}},
		orders:         {Quotas: true, Roles: []string{"old"}, Providers: []string{"oidc.example/old"}, Secrets: []string{secretARN}},
		"444444444444": {Quotas: true, Keys: []string{"arn:aws:kms:us-east-1:444444444444:key/gone"}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Needs (-want +got):\n%s", diff)
	}
}

func TestNothingDeclaredNeedsNothing(t *testing.T) {
	if got := compile.Needs(base().set, nil, nil); !got.Empty() {
		t.Errorf("Needs = %+v, want nothing", got)
	}
}

func TestDerivedNamesFitAndDiffer(t *testing.T) {
	long := *pod.ServiceAccount
	long.Name = strings.Repeat("x", 80)
	other := long
	other.Name += "y"
	s := base()
	s.set.Scope.Prefix = "pre-"
	caller, second := pod, pod
	caller.ServiceAccount, second.ServiceAccount = &long, &other
	a, b := s.add(one(caller, lists)), s.add(one(second, lists))
	a.As, b.As, a.Name = "", "", strings.Repeat("n", 130)
	w, _, diags := s.compile(t)
	if w == nil {
		t.Fatal(diags)
	}
	if len(w.Roles) != 2 || w.Roles[0].Name == w.Roles[1].Name {
		t.Fatalf("roles %v, want two of different names", w.Roles)
	}
	for _, r := range w.Roles {
		if len(r.Name) > 64 || !strings.HasPrefix(r.Name, "pre-ci-payroll-xxx") {
			t.Errorf("role %q, want at most 64 characters that begin like the caller", r.Name)
		}
		for name := range r.Inline {
			if len(name) > 128 || !strings.HasPrefix(name, "stile-") {
				t.Errorf("inline policy %q, want stile-… of at most 128 characters", name)
			}
		}
	}
}

// TestSecretsUnderOneKeyShareAStatement: two items of one Access need the key
// for different secrets.
func TestSecretsUnderOneKeyShareAStatement(t *testing.T) {
	s := base()
	second := "arn:aws:secretsmanager:us-east-1:222222222222:secret:Other-x1y2z3"
	s.world.Accounts[orders].Secrets[second] = &inventory.Secret{ARN: second, Name: "Other", KMSKey: keyARN, KeyARN: keyARN}
	more := shared
	more.Resources = []string{second}
	s.add(one(deploy, shared, more))
	w, _, diags := s.compile(t)
	if w == nil {
		t.Fatal(diags)
	}
	var keys, secrets int
	for _, st := range w.Statements {
		if st.Kind == compile.SecretPolicy {
			secrets++
			continue
		}
		keys++
		if text := st.Statement.String(); !strings.Contains(text, secretARN) || !strings.Contains(text, second) {
			t.Errorf("key statement %s, want both secrets in its encryption context", text)
		}
	}
	if keys != 1 || secrets != 2 {
		t.Errorf("%d statements on keys and %d on secrets, want 1 and 2", keys, secrets)
	}
}

// TestPlaceholdersOfConditionsAreTheTargets: an unreplaced ${account} would be a
// policy variable that IAM does not know, and the condition never met.
func TestPlaceholdersOfConditionsAreTheTargets(t *testing.T) {
	s := base()
	read := access.Allow{Actions: []string{"eks:ListClusters"}, Resources: []string{"*"}, Conditions: []access.Condition{{
		Operator: "StringEquals", Key: "aws:ResourceAccount", Values: []string{"${account}", "${aws:PrincipalAccount}"},
	}}}
	s.add(one(pod, read))
	w, _, diags := s.compile(t)
	if w == nil {
		t.Fatal(diags)
	}
	c := w.Routes[0].Allow[0].Conditions[0]
	if got, want := policy.Values(c.Values), []string{"222222222222", "${aws:PrincipalAccount}"}; !slices.Equal(got, want) {
		t.Errorf("condition values %q, want %q", got, want)
	}
}

// TestTheSameAccountNeedsNoCustomerKey: the AWS managed key admits its own account.
func TestTheSameAccountNeedsNoCustomerKey(t *testing.T) {
	s := base()
	const own = "arn:aws:secretsmanager:us-east-1:111111111111:secret:Own-a1a1a1"
	s.world.Accounts[tooling].Secrets = map[string]*inventory.Secret{own: {ARN: own, Name: "Own"}}
	a := shared
	a.Resources = []string{own}
	s.add(one(deploy, a)).To = to("tooling")
	w, _, diags := s.compile(t)
	if w == nil || len(w.Statements) != 1 {
		t.Fatalf("Compile = %v, %v; want the one statement on the secret", w, diags)
	}
}

func TestAPatternOfSecretsWarnsThatKeysAreUnknown(t *testing.T) {
	s := base()
	read := shared
	read.Via, read.Resources = "", []string{"arn:aws:secretsmanager:us-east-1:222222222222:secret:prod/*"}
	s.add(one(pod, read))
	w, _, diags := s.compile(t)
	if w == nil || len(diags) != 1 || diags[0].Code != compile.CodeNoKey {
		t.Errorf("Compile = %v, %v; want a warning %s", w, diags, compile.CodeNoKey)
	}
}
