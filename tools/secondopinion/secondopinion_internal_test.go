package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
)

func load(t *testing.T, text string) (*corpus.Case, *authz.Request, *authz.Policies) {
	t.Helper()
	all, err := corpus.Load("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	req, pols, err := all[0].Build(authz.Compile)
	if err != nil {
		t.Fatal(err)
	}
	return &all[0], req, pols
}

func TestACaseInTheEnginesForm(t *testing.T) {
	s, why := newSimulation(load(t, `
id: a
principal: arn:aws:sts::111111111111:assumed-role/app/pod-1
action: kms:Decrypt
resource: arn:aws:kms:us-east-1:222222222222:key/k
context: {"kms:EncryptionContext:App": one, aws:TagKeys: [a, b], AWS:PrincipalArn: given}
identityPolicies: [{Statement: {Effect: Allow, Action: "*", Resource: "*"}}]
scps: [{node: r-ab12, policies: [{Statement: {Effect: Allow, Action: "*", Resource: "*"}}]}]
resourcePolicy: {Statement: {Effect: Allow, Principal: {AWS: "111111111111"}, Action: "kms:*", Resource: "*"}}
sessionPolicy: {Statement: {Effect: Allow, Action: "kms:*", Resource: "*"}}
`))
	if why != "" {
		t.Fatal(why)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	request := got["request"].(map[string]any)
	want := map[string]any{
		"principal": "arn:aws:sts::111111111111:assumed-role/app/pod-1", "action": "kms:Decrypt",
		"resource": map[string]any{"resource": "arn:aws:kms:us-east-1:222222222222:key/k", "accountId": "222222222222"},
		"contextVariables": map[string]any{
			"kms:EncryptionContext:App": "one", "aws:TagKeys": []any{"a", "b"}, "AWS:PrincipalArn": "given",
			"aws:PrincipalAccount": "111111111111", "aws:PrincipalType": "AssumedRole", "aws:PrincipalIsAWSService": "false",
			"aws:ResourceAccount": "222222222222",
		},
	}
	if diff := cmp.Diff(want, request); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if got["sessionPolicy"] == nil || got["resourcePolicy"] == nil || len(got["identityPolicies"].([]any)) != 1 {
		t.Errorf("policies are missing: %s", text)
	}
}

func TestWhatTheEngineHasNoInputFor(t *testing.T) {
	const request = "{id: a, principal: 'arn:aws:sts::111111111111:assumed-role/app/s', action: 'kms:Decrypt', resource: 'arn:aws:kms:us-east-1:111111111111:key/k', "
	for fact, want := range map[string]string{
		"unknown: [aws:PrincipalTag/t]}": "not known",
		"grants: [{id: g, grantee: 'arn:aws:iam::111111111111:role/app', operations: [Decrypt]}]}": "KMS grants",
		"entity: 'arn:aws:iam::111111111111:role/teams/app'}":                                      "the path of the role",
		"sessionPolicy: []}": "an empty list",
	} {
		if _, why := newSimulation(load(t, request+fact)); !strings.Contains(why, want) {
			t.Errorf("%s: %q, want %q", fact, why, want)
		}
	}
}

func TestTheDocumentListsWhatDiffers(t *testing.T) {
	r := report{
		expected: map[string]authz.Outcome{"r/same": authz.Allowed, "r/other": authz.Allowed, "r/open": authz.Unknown},
		opinions: []opinion{{ID: "r/same", Result: "Allowed"}, {ID: "r/other", Result: "ImplicitDeny"}, {ID: "r/open", Result: "Allowed"}},
	}
	for text, want := range map[string]string{
		"# Differences\n\n- `r/other`: Allowed, not ImplicitDeny\n": "",
		"# Differences\n":                 "r/other differs and is not listed",
		"- `r/other`: x\n- `r/same`: x\n": "r/same is listed and does not differ",
	} {
		doc := filepath.Join(t.TempDir(), "doc.md")
		if err := os.WriteFile(doc, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := r.compare(doc)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("compare with %q = %v, want %q", text, err, want)
		}
	}
}
