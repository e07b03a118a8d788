package plan_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/plan"
)

const (
	toolingID = arn.AccountID("111111111111")
	ordersID  = arn.AccountID("222222222222")
	ghost     = "AROAGHOSTGHOSTGHOST00"
)

// settled is a case that was applied and planned again, after change.
func settled(t *testing.T, name string, change func(in *plan.Input)) (plan.Input, *plan.Plan) {
	t.Helper()
	in := world(t, archives(t)[name+".txtar"])
	after := applied(in, mustMake(t, in))
	change(&after)
	return after, mustMake(t, after)
}

// destroying makes the end of the scope of an input.
func destroying(in *plan.Input) {
	in.Wanted, in.Destroy = &compile.Wanted{Scope: in.Set.Scope.Name}, true
	for _, a := range in.Inventory.Accounts {
		a.Complete = true
	}
}

// lines are the plan's access lines in short: "- CALLER EFFECT".
func lines(p *plan.Plan) []string {
	var out []string
	for _, c := range p.Access {
		out = append(out, strings.TrimSpace(c.Sign+" "+c.Caller+" "+c.Effect))
	}
	return out
}

func TestAccessLinesTellWhoGainsAndWhoLoses(t *testing.T) {
	const trusted = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::333333333333:root"},"Action":"sts:AssumeRole"},`
	api := func(in *plan.Input) *inventory.Role { return in.Inventory.Accounts[ordersID].Roles["payroll-api"] }
	for _, test := range []struct {
		name, caseOf string
		change       func(in *plan.Input)
		want         []string
	}{
		{"nothing changed", "webidentity", func(*plan.Input) {}, []string{"= serviceaccount:ci/payroll/api"}},
		{"a tag changes nobody's access", "webidentity", func(in *plan.Input) { delete(api(in).Tags, compile.TagAccess) }, []string{"= serviceaccount:ci/payroll/api"}},
		{"somebody let himself in", "webidentity", func(in *plan.Input) {
			api(in).Trust = strings.Replace(api(in).Trust, `{"Version":"2012-10-17","Statement":[`, trusted, 1)
		}, []string{"~ serviceaccount:ci/payroll/api", "- arn:aws:iam::333333333333:root NARROWS"}},
		{"an administrator's policy was attached", "webidentity", func(in *plan.Input) {
			const admin = "arn:aws:iam::aws:policy/AdministratorAccess"
			api(in).Attached = []string{admin}
			in.Inventory.Accounts[ordersID].Managed = map[string]*inventory.Managed{admin: {ARN: admin, Document: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`}}
		}, []string{"~ serviceaccount:ci/payroll/api NARROWS"}},
		{"an inline policy was added", "webidentity", func(in *plan.Input) {
			api(in).Inline["extra"] = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`
		}, []string{"~ serviceaccount:ci/payroll/api NARROWS"}},
		{"the hub was given more", "chain", func(in *plan.Input) {
			in.Inventory.Accounts[toolingID].Roles["ci-account-iam-role"].Inline["extra"] = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}`
		}, []string{"~ serviceaccount:ci/ci-namespace/ci-serviceaccount NARROWS", "~ serviceaccount:ci/ci-namespace/ci-serviceaccount NARROWS"}},
		{"the trusted role was deleted and made again", "assumerole", func(in *plan.Input) {
			for _, r := range in.Inventory.Accounts[ordersID].Roles {
				if r != nil {
					r.Trust = strings.ReplaceAll(r.Trust, "arn:aws:iam::111111111111:role/ci/deploy", ghost)
				}
			}
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, p := settled(t, test.caseOf, test.change)
			got := lines(p)
			if test.want != nil && !slices.Equal(got, test.want) {
				t.Errorf("access lines %q, want %q", got, test.want)
			}
			if slices.ContainsFunc(got, func(l string) bool { return strings.Contains(l, ghost) }) {
				t.Errorf("access lines %q name a principal that is nobody", got)
			}
		})
	}
}

// Who loses what goes with statements in others' policies is told, too.
func TestAccessLinesTellOfStatementsThatGo(t *testing.T) {
	_, p := settled(t, "resourcepolicy", destroying)
	i := slices.IndexFunc(p.Access, func(c plan.AccessChange) bool {
		return c.Sign == "-" && strings.HasSuffix(c.Caller, ":role/app") && slices.Contains(c.Actions, "secretsmanager:GetSecretValue")
	})
	if i < 0 {
		t.Errorf("access lines %q, want one for role app", lines(p))
	}
}

func TestAccessThatEndedIsToldAsSuch(t *testing.T) {
	_, p := settled(t, "webidentity", func(in *plan.Input) { in.Now = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) })
	if proof := strings.Join(p.Access[0].Proof, " "); !strings.Contains(proof, "NOT ALLOWED") {
		t.Errorf("proof %q, want it to say that access has ended", proof)
	}
	if !slices.ContainsFunc(p.Risks, func(r plan.Risk) bool { return r.Code == "plan/expired" }) {
		t.Errorf("risks %v, want plan/expired", p.Risks)
	}
}

// A caller that was deleted and made again leaves its unique id in the policies
// that named it. Such a statement is nobody's, so it is ours to replace or remove.
func TestStatementsThatNameDeletedPrincipalsAreReplacedAndRemoved(t *testing.T) {
	haunt := func(in *plan.Input) {
		for _, a := range in.Inventory.Accounts {
			for _, s := range a.Secrets {
				if s != nil {
					s.Policy = strings.ReplaceAll(s.Policy, "arn:aws:iam::111111111111:role/app", ghost)
				}
			}
			for _, k := range a.Keys {
				if k != nil {
					k.Policy = strings.ReplaceAll(k.Policy, "arn:aws:iam::111111111111:role/app", ghost)
				}
			}
		}
	}
	in, p := settled(t, "resourcepolicy", haunt)
	if n := len(p.Steps); n < 2 {
		t.Errorf("steps %q, want the secret's and the key's policy mended", summaries(p))
	}
	if again := mustMake(t, applied(in, p)); again.Changes() {
		t.Errorf("planning again gives %q, want nothing", summaries(again))
	}
	in, p = settled(t, "resourcepolicy", func(in *plan.Input) {
		haunt(in)
		destroying(in)
	})
	if len(p.Kept) > 0 || len(p.Ledger.Entries) > 0 {
		t.Errorf("destroying keeps %q, %d entries; want nothing left", p.Kept, len(p.Ledger.Entries))
	}
	for _, a := range applied(in, p).Inventory.Accounts {
		for _, s := range a.Secrets {
			if s != nil && strings.Contains(s.Policy, `"Stile`) {
				t.Errorf("the policy of secret %s still has %s", s.Name, s.Policy)
			}
		}
	}
}

func TestWhatIsKeptIsToldWithoutSteps(t *testing.T) {
	p := &plan.Plan{Scope: "s", Kept: []string{"orders-prod: something is kept"}}
	var out bytes.Buffer
	if err := p.Text(&out, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "kept: orders-prod: something is kept") {
		t.Errorf("Text = %q, want what is kept", out.String())
	}
}

func TestARoleStepNamesEverybodyItTrusts(t *testing.T) {
	in := world(t, archives(t)["assumerole.txtar"])
	role := &in.Wanted.Roles[0]
	st := &role.Trust.Statements[0]
	st.Principal.Entries = append(st.Principal.Entries, st.Principal.Entries[0])
	st.Principal.Entries[1].Value.Value = "arn:aws:iam::111111111111:user/second"
	p := mustMake(t, in)
	if all := strings.Join(summaries(p), "\n"); !strings.Contains(all, "user/second") {
		t.Errorf("steps do not name user/second, whom role %s trusts:\n%s", role.Name, all)
	}
}

func TestTagsFitWhateverTheNames(t *testing.T) {
	in := world(t, archives(t)["webidentity.txtar"])
	long := strings.Repeat("a", 253)
	for i := range in.Wanted.Roles {
		in.Wanted.Roles[i].For = []string{long, long + "b", "c"}
	}
	for _, s := range mustMake(t, in).Steps {
		if s.Op.Role == nil {
			continue
		}
		if value := s.Op.Role.Tags[compile.TagAccess]; len(value) > 256 || !strings.HasSuffix(value, " and 2 more") {
			t.Errorf("the tag of %s has %d characters: %q", s.Op.Role.Name, len(value), value)
		}
	}
}

// Another declaration set of the same name, with another home, has another ledger.
func TestTheTagAloneDoesNotMakeARoleOurs(t *testing.T) {
	in := world(t, archives(t)["webidentity.txtar"])
	after := applied(in, mustMake(t, in))
	made := after.Ledger
	after.Ledger = nil
	if p, diags := plan.Make(after); p != nil || diags[0].Code != plan.CodeNotOurs || !strings.Contains(diags[0].Summary, "another declaration set") {
		t.Errorf("Make without a ledger over roles that carry the scope's tag = %v, %v; want a refusal", p, diags)
	}
	after.Adopt = true
	p := mustMake(t, after)
	if p.Changes() || p.Ledger.Digest() != made.Digest() {
		t.Errorf("adopting plans %q and the ledger %v, want no step and the ledger that was lost", summaries(p), p.Ledger)
	}
}
