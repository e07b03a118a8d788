package catalog_test

import (
	"strings"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
)

// FuzzNames asks about names that users write in policies: whatever they are,
// there is an answer, and the answers agree with each other.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{
		"s3:GetObject", "eks:ListCluster", "s3:Get*", "*", "*:*", "aws:PrincipalTag/team", "kms:EncryptionContext:SecretARN",
		"oidc.eks.eu-west-1.amazonaws.com/id/AB12:sub", "https://gitlab.com", "logs.eu-west-1.amazonaws.com", "arn:aws:s3:::b/k", "${", "a${b}c:İ", "İ:İ",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		a, known := catalog.ActionOf(name)
		if known && (!strings.EqualFold(a.Name, name) || !catalog.MatchesAction(name) || catalog.SuggestAction(name) != "") {
			t.Errorf("ActionOf(%q) = %s", name, a.Name)
		}
		if near := catalog.SuggestAction(name); near != "" {
			if _, ok := catalog.ActionOf(near); !ok || known {
				t.Errorf("SuggestAction(%q) = %q", name, near)
			}
		}
		if catalog.WildcardOnly(name) != (known && a.WildcardOnly()) {
			t.Errorf("WildcardOnly(%q) = %v", name, catalog.WildcardOnly(name))
		}
		if catalog.MatchesAction(name) != (len(catalog.ExpandAction(name)) > 0) {
			t.Errorf("MatchesAction(%q) = %v", name, catalog.MatchesAction(name))
		}
		if k, ok := catalog.ConditionKeyOf(name); ok && k.Type == 0 {
			t.Errorf("ConditionKeyOf(%q) = %+v", name, k)
		}
		for kind := authz.Anonymous; kind <= authz.Service; kind++ {
			catalog.KeyPresence(name, catalog.Call{Action: name, Caller: kind, Issuer: name})
		}
		if iss, ok := catalog.IssuerFor(name); ok && iss.PinKey == "" {
			t.Errorf("IssuerFor(%q) = %+v", name, iss)
		}
		catalog.ServicePrincipalOf(name)
		catalog.PolicyTargets(name)
		if resource, err := arn.Parse(name); err == nil {
			for _, typ := range catalog.TypesOf(resource) {
				if typ.Service != strings.ToLower(resource.Service) {
					t.Errorf("TypesOf(%q) has %+v", name, typ)
				}
			}
			catalog.PolicyCallFor(resource)
		}
	})
}
