package declared_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/lint/declared"
	"github.com/stile-aws/stile/internal/lint/rule"
)

const accounts = `apiVersion: stile.dev/v1alpha1
kind: Scope
metadata: {name: test}
spec: {home: {account: tooling, region: us-east-1}}
---
apiVersion: stile.dev/v1alpha1
kind: Account
metadata: {name: tooling}
spec: {id: "111111111111"}
---
apiVersion: stile.dev/v1alpha1
kind: Account
metadata: {name: orders}
spec: {id: "222222222222", regions: [eu-west-1]}
---
apiVersion: stile.dev/v1alpha1
kind: Access
metadata: {name: ci}
spec:
  from:
    - role: {account: tooling, name: ci%s}
  to: {accounts: [orders]}
  as: deploy
%s
  allow:
    - %s
`

func load(t *testing.T, externalID, session, allow string) *access.Set {
	t.Helper()
	set, diags := access.Load(fstest.MapFS{"a.yaml": {Data: fmt.Appendf(nil, accounts, externalID, session, allow)}})
	if set == nil {
		t.Fatalf("the declarations are wrong: %v", diags)
	}
	return set
}

const fine = `{actions: ["dynamodb:GetItem"], resources: ["arn:aws:dynamodb:${region}:${account}:table/Orders"]}`

func TestDeclarations(t *testing.T) {
	for _, test := range []struct {
		name, externalID, session, allow string
		want                             []string
	}{
		{"what is right", "", "", fine, nil},
		{"a condition key that does not exist", "", "", `{actions: ["s3:GetObject"], resources: ["arn:aws:s3:::b/*"], conditions: {StringEquals: {aws:PrincipalOrgIDs: o-1}}}`, []string{"26 condition/unknown-key"}},
		{"an action beside another kind of resource", "", "", `{actions: ["dynamodb:GetItem"], resources: ["arn:aws:sqs:${region}:${account}:orders"]}`, []string{"26 action/wrong-resource"}},
		{"an external id that can be guessed", ", externalID: acme", "", fine, []string{"21 trust/weak-external-id"}},
		{"a long session of a chain", "", "  session: {maxDuration: 2h}", fine, []string{"16 trust/chained-session"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, f := range declared.Check(load(t, test.externalID, test.session, test.allow), nil) {
				got = append(got, fmt.Sprintf("%d %s", f.Pos.Line, f.Code))
				if f.Pos.File != "a.yaml" || f.Subject != "Access ci" {
					t.Errorf("the finding is at %s of %s", f.Pos, f.Subject)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("findings = %q, want %q", got, test.want)
			}
		})
	}
}

// With an inventory the compiler has its say, and what it cannot write is a
// finding.
func TestWithAnInventoryTheCompilerSpeaks(t *testing.T) {
	set := load(t, "", "", fine)
	list := declared.Check(set, &inventory.Inventory{})
	if !slices.ContainsFunc(list, func(f rule.Finding) bool { return f.Code == "compile/not-observed" }) {
		t.Errorf("findings = %v, want one that something was not observed", list)
	}
	if list := declared.Check(nil, nil); list != nil {
		t.Errorf("findings on nothing: %v", list)
	}
}
