package compile_test

import (
	"strings"
	"testing"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
)

func TestTheChooserSaysWhy(t *testing.T) {
	full := inventory.Quotas{OIDCProviders: 100, OIDCProvidersUsed: 100}
	existing := func() map[string]*inventory.OIDCProvider {
		return map[string]*inventory.OIDCProvider{issuer: {URL: issuer, ClientIDs: []string{"sts.amazonaws.com"}}}
	}
	for _, test := range []struct {
		name  string
		given func(s *situation)
		want  access.Pattern
		text  string
	}{
		{"a service account goes straight", func(s *situation) { s.add(one(pod, lists)) }, access.WebIdentity, "exchanged in orders itself"},
		{"a full account is reached by a chain", func(s *situation) {
			s.world.Accounts[orders].Quotas = full
			s.add(one(pod, lists))
		}, access.Chain, "orders has 100 of 100 OIDC providers"},
		{"a full account that has the provider already is entered straight", func(s *situation) {
			s.world.Accounts[orders].Quotas, s.world.Accounts[orders].Providers = full, existing()
			s.add(one(pod, lists))
		}, access.WebIdentity, "exchanged in orders itself"},
		{"session tags take a chain", func(s *situation) {
			s.add(one(pod, lists)).Session.Tags = map[string]string{"team": "x"}
		}, access.Chain, "carries none"},
		{"who acts under its own account's role reaches others from there", func(s *situation) {
			s.add(one(pod, lists))
			s.add(one(pod, shared))
		}, access.Chain, "needs its own account's identity for what a1 allows"},
		{"a role is trusted", func(s *situation) { s.add(one(deploy, lists)) }, access.AssumeRole, "the caller is an IAM role"},
		{"what is declared is done", func(s *situation) { s.add(one(pod, lists)).Via = access.Chain }, access.Chain, "declared with via: chain"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := base()
			test.given(s)
			w, _, diags := s.compile(t)
			if w == nil {
				t.Fatal(diags)
			}
			ch := w.Choices[0]
			if ch.Pattern != test.want || !strings.Contains(ch.Because, test.text) {
				t.Errorf("chosen %s because %s; want %s because %q", ch.Pattern, ch.Because, test.want, test.text)
			}
			if len(ch.Rejected) != 4 {
				t.Errorf("%d patterns rejected, want the 4 others", len(ch.Rejected))
			}
			for _, r := range ch.Rejected {
				if r.Because == "" || r.Pattern == ch.Pattern {
					t.Errorf("rejected %q because %q", r.Pattern, r.Because)
				}
			}
		})
	}
}

func TestProvidersOfOneRunCountAgainstTheQuota(t *testing.T) {
	s := base()
	s.world.Accounts[orders].Quotas = inventory.Quotas{OIDCProviders: 5, OIDCProvidersUsed: 4}
	second := *s.set.Clusters[0]
	second.Name, second.Issuer = "cd", "https://oidc.example/cd"
	s.set.Clusters = append(s.set.Clusters, &second)
	other := access.Caller{ServiceAccount: &access.ServiceAccount{Cluster: "cd", Namespace: "payroll", Name: "api"}}
	s.add(one(pod, lists))
	s.add(one(other, lists)).As = "other"
	w, _, diags := s.compile(t)
	if w == nil {
		t.Fatal(diags)
	}
	if w.Choices[0].Pattern != access.WebIdentity || w.Choices[1].Pattern != access.Chain {
		t.Errorf("chosen %s and %s, want webIdentity for the last place and chain for who finds none", w.Choices[0].Pattern, w.Choices[1].Pattern)
	}
}

// TestAPatternInUseStays: a quota that is raised, or a second declaration, must
// not flip running workloads.
func TestAPatternInUseStays(t *testing.T) {
	s := base()
	s.world.Accounts[orders].Quotas = inventory.Quotas{OIDCProviders: 5, OIDCProvidersUsed: 5}
	s.add(one(pod, lists))
	w, inv, diags := s.compile(t)
	if w == nil || w.Choices[0].Pattern != access.Chain {
		t.Fatalf("Compile = %v, %v; want a chain", w, diags)
	}
	s.world = effective.After(inv, w)
	s.world.Accounts[orders].Quotas.OIDCProviders = 700
	w, inv, diags = s.compile(t)
	if w == nil || w.Choices[0].Pattern != access.Chain || !strings.Contains(w.Choices[0].Because, "--repattern") {
		t.Errorf("Compile = %v, %v; want the chain in use", w.Choices, diags)
	}
	w, diags = compile.Options{Repattern: true}.Compile(s.set, inv)
	if w == nil || w.Choices[0].Pattern != access.WebIdentity {
		t.Errorf("Compile with Repattern = %v, %v; want webIdentity", w, diags)
	}
}

func TestAForeignRoleOfTheNameShowsNoPattern(t *testing.T) {
	s := base()
	s.add(one(pod, lists))
	hub := "arn:aws:iam::111111111111:role/stile/ci-payroll-api-hub"
	s.world.Accounts[orders].Roles["app"] = &inventory.Role{
		ARN: "arn:aws:iam::222222222222:role/stile/app", Name: "app",
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + hub + `"},"Action":"sts:AssumeRole"}]}`,
	}
	w, _, diags := s.compile(t)
	if w == nil || w.Choices[0].Pattern != access.WebIdentity {
		t.Errorf("Compile = %v, %v; want webIdentity: the role is not this scope's", w, diags)
	}
}

func TestCallersOfOneSharedRoleShareAStatement(t *testing.T) {
	s := base()
	a := s.add(one(pod, lists))
	a.Shared = true
	a.From = append(a.From, access.Caller{ServiceAccount: &access.ServiceAccount{Cluster: "ci", Namespace: "payroll", Name: "worker"}}, deploy)
	w, _, diags := s.compile(t)
	if w == nil {
		t.Fatal(diags)
	}
	if len(w.Roles) != 1 || len(w.Roles[0].Trust.Statements) != 2 {
		t.Fatalf("Roles = %v; want one role with a statement for the tokens and one for the role", w.Roles)
	}
	text := w.Roles[0].Trust.String()
	for _, want := range []string{`["system:serviceaccount:payroll:api","system:serviceaccount:payroll:worker"]`, `{"AWS":"arn:aws:iam::111111111111:role/deploy"}`} {
		if !strings.Contains(text, want) {
			t.Errorf("trust = %s, want %s in it", text, want)
		}
	}
}

func TestARoleOfTheSetCanCallAnother(t *testing.T) {
	s := base()
	s.add(one(pod, lists))
	next := s.add(one(access.Caller{Role: &access.IAMName{Account: "orders", Name: "app"}}, lists))
	next.As, next.To = "next", to("network")
	w, _, diags := s.compile(t)
	if w == nil {
		t.Fatal(diags)
	}
	if len(w.Callers) != 0 {
		t.Errorf("Callers = %v, want none: the caller's policy is the scope's own role's", w.Callers)
	}
	i := 0
	for w.Roles[i].Name != "app" {
		i++
	}
	if doc := w.Roles[i].Inline["stile-a1"]; doc == nil || !strings.Contains(doc.String(), "arn:aws:iam::333333333333:role/stile/next") {
		t.Errorf("Inline = %v, want leave to assume the next role", w.Roles[i].Inline)
	}
}
