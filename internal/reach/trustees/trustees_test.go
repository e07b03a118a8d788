package trustees_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/reach/trustees"
	"github.com/stile-aws/stile/policy"
)

func TestOf(t *testing.T) {
	const issuer = "token.actions.githubusercontent.com"
	session, _ := arn.Parse("arn:aws:sts::111111111111:assumed-role/a/b")
	for _, c := range []struct {
		name, statements string
		want             trustees.Names
	}{
		{"users, roles and accounts", `{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111111111111:role/a","222222222222","arn:aws:iam::333333333333:root","AROAX","arn:aws:sts::111111111111:assumed-role/a/b"]},"Action":"sts:AssumeRole"}`,
			trustees.Names{Entities: []string{"arn:aws:iam::111111111111:role/a"}, Accounts: []arn.AccountID{"222222222222", "333333333333"}, IDs: []string{"AROAX"}, Sessions: []arn.ARN{session}}},
		{"everyone", `{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:*"}`, trustees.Names{Everyone: true}},
		{"everyone but some", `{"Effect":"Allow","NotPrincipal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}`, trustees.Names{Everyone: true}},
		{"a service", `{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`, trustees.Names{Services: []string{"ec2.amazonaws.com"}}},
		{"a provider with subjects", `{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/` + issuer + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringLike":{"` + issuer + `:sub":["repo:a/*","repo:b/c"]},"StringNotLike":{"` + issuer + `:sub":"repo:a/x"}}}`,
			trustees.Names{Providers: []trustees.Provider{{Name: "arn:aws:iam::111111111111:oidc-provider/" + issuer, Subjects: []string{"repo:a/*", "repo:b/c"}}}}},
		{"a Deny names nobody", `{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`, trustees.Names{}},
		{"passing tags alone lets nobody in", `{"Effect":"Allow","Principal":"*","Action":"sts:TagSession"}`, trustees.Names{}},
	} {
		doc, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[` + c.statements + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, trustees.Of(doc)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestIssuer(t *testing.T) {
	for provider, want := range map[string]string{
		"arn:aws:iam::111111111111:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/C1": "oidc.eks.us-east-1.amazonaws.com/id/C1",
		"accounts.google.com": "accounts.google.com",
	} {
		if got := trustees.Issuer(provider); got != want {
			t.Errorf("Issuer(%q) = %q, want %q", provider, got, want)
		}
	}
	if !trustees.IsSAML("arn:aws:iam::111111111111:saml-provider/sso") || trustees.IsSAML("accounts.google.com") {
		t.Error("IsSAML does not tell SAML providers from others")
	}
}
