package authz_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

func part(o authz.Outcome, action, why string) authz.Part {
	d := authz.Decision{Outcome: o, Action: action, Resource: "*"}
	if o == authz.Unknown {
		d.Missing = []string{"aws:sourceip"}
	}
	return authz.Part{Why: why, Decision: d}
}

func TestBundleIsAsStrongAsItsWeakestPart(t *testing.T) {
	for _, test := range []struct {
		name    string
		parts   []authz.Outcome
		want    authz.Outcome
		summary string
	}{
		{"nothing", nil, authz.ImplicitDeny, "nothing was asked"},
		{"one part", []authz.Outcome{authz.Allowed}, authz.Allowed, "allowed"},
		{"all allowed", []authz.Outcome{authz.Allowed, authz.Allowed}, authz.Allowed, "allowed: s:A, s:B"},
		{"one denied", []authz.Outcome{authz.Allowed, authz.ImplicitDeny}, authz.ImplicitDeny, "s:B on *: denied: nothing allows s:B (needed because reasons)"},
		{"the first denial counts", []authz.Outcome{authz.ExplicitDeny, authz.ImplicitDeny}, authz.ExplicitDeny, "s:A on *"},
		{"a denial outweighs what is not known", []authz.Outcome{authz.Unknown, authz.ImplicitDeny}, authz.ImplicitDeny, "s:B on *"},
		{"not known", []authz.Outcome{authz.Allowed, authz.Unknown, authz.Unknown}, authz.Unknown, "depends on aws:sourceip (needed because reasons); and s:C on *: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			var parts []authz.Part
			for i, o := range test.parts {
				why := ""
				if i > 0 {
					why = "reasons"
				}
				parts = append(parts, part(o, "s:"+string(rune('A'+i)), why))
			}
			b := authz.NewBundle(parts...)
			if b.Outcome != test.want || b.Allowed() != (test.want == authz.Allowed) {
				t.Errorf("Outcome = %v, Allowed = %v, want %v", b.Outcome, b.Allowed(), test.want)
			}
			if s := b.Summary(); !strings.Contains(s, test.summary) {
				t.Errorf("Summary = %q, want %q in it", s, test.summary)
			}
			for _, p := range parts {
				if !strings.Contains(b.Text(), p.Decision.Action+" on *") {
					t.Errorf("Text lacks %s:\n%s", p.Decision.Action, b.Text())
				}
			}
		})
	}
}

func TestBundleIsStableJSON(t *testing.T) {
	b := authz.NewBundle(part(authz.Allowed, "s:A", ""), part(authz.Unknown, "s:B", "reasons"))
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"outcome":"Unknown","parts":[{"decision":{"outcome":"Allowed"`; !strings.HasPrefix(string(text), want) {
		t.Errorf("JSON = %s, want it to begin %s", text, want)
	}
	var back authz.Bundle
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, back); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

// Reading a secret takes the use of its key, and AWS asks for both.
func ExampleNewBundle() {
	p, err := compileText(authz.LayerIdentity, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	ask := func(action, resource string) authz.Decision {
		req := &authz.Request{
			Principal: authz.Principal{Kind: authz.User, ARN: arn.IAM("aws", "111111111111", "user", "/", "ann")}, Action: action, Resource: resource,
		}
		return authz.Evaluate(req, &authz.Policies{Identity: []*authz.Policy{p}}, nil)
	}
	b := authz.NewBundle(
		authz.Part{Decision: ask("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:111111111111:secret:db-AbCdEf")},
		authz.Part{Why: "the secret is encrypted under this key", Decision: ask("kms:Decrypt", "arn:aws:kms:us-east-1:111111111111:key/k")},
	)
	fmt.Println(b.Outcome)
	fmt.Println(b.Summary())
	// Output:
	// ImplicitDeny
	// kms:Decrypt on arn:aws:kms:us-east-1:111111111111:key/k: denied: arn:aws:kms:us-east-1:111111111111:key/k has no KMS key policy that applies (needed because the secret is encrypted under this key)
}

func compileText(l authz.Layer, text string) (*authz.Policy, error) {
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	return authz.Compile(doc, authz.Source{Layer: l, Account: "111111111111", Name: "user/ann inline policy p"})
}
