package corpus_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
	"github.com/stile-aws/stile/policy"
)

const twoCases = `
title: A file
documents:
  - &all {Version: 2012-10-17, Statement: [{Effect: Allow, Action: "*", Resource: "*"}]}
rules:
  - rule: some-rule
    aws: A sentence.
    page: A page
    cases:
      - id: first
        principal: arn:aws:iam::111111111111:user/ann
        action: s3:GetObject
        resource: arn:aws:s3:::b/x
        context: {k: 10.50, list: [a, "b"], day: 2026-10-01, yes: true}
        identityPolicies: [*all]
        expected: Allowed
        decides: [identity]
      - id: second
        like: first
        context: {other: x}
        expected: ImplicitDeny
      - id: third
        from: some-rule/second
        principal: anonymous
        action: s3:PutObject
`

func TestLoadFillsInFromGroupAndNeighbour(t *testing.T) {
	all, err := corpus.Load("two.yaml", []byte(twoCases))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 {
		t.Fatalf("Load gives %d cases, want 3", len(all))
	}
	second := all[1]
	if second.ID != "some-rule/second" || second.Like != "some-rule/first" || second.Differs != "context" || second.AWS != "A sentence." || second.Line != 18 {
		t.Errorf("second = %+v", second)
	}
	if all[2].Like != "" || all[2].HasExpected {
		t.Errorf("third = %+v, want no neighbour and nothing expected", all[2])
	}
	req, pols, err := second.Build(authz.Compile)
	if err != nil {
		t.Fatal(err)
	}
	if req.Action != "s3:GetObject" || len(pols.Identity) != 1 || pols.Identity[0].Document().Version != policy.Version2012 {
		t.Errorf("second does not have the facts of first: %+v %+v", req, pols)
	}
	if _, present, _ := req.Context.Get("k"); present {
		t.Error("the context was merged, not replaced")
	}
}

func TestContextValuesAreKeptAsTheyAreSpelt(t *testing.T) {
	all, err := corpus.Load("two.yaml", []byte(twoCases))
	if err != nil {
		t.Fatal(err)
	}
	req, _, err := all[0].Build(authz.Compile)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"k": "10.50", "list": "a b", "day": "2026-10-01", "yes": "true"} {
		if values, _, _ := req.Context.Get(key); strings.Join(values, " ") != want {
			t.Errorf("Get(%q) = %q, want %q", key, values, want)
		}
	}
}

func TestPrincipals(t *testing.T) {
	tests := []struct {
		principal, action string
		kind              authz.PrincipalKind
		is                string
	}{
		{"anonymous", "s3:GetObject", authz.Anonymous, "anonymous"},
		{"arn:aws:iam::111111111111:root", "s3:GetObject", authz.Root, "arn:aws:iam::111111111111:root"},
		{"arn:aws:iam::111111111111:user/p/ann", "s3:GetObject", authz.User, "arn:aws:iam::111111111111:user/p/ann"},
		{"arn:aws:iam::111111111111:role/p/app", "s3:GetObject", authz.RoleSession, "arn:aws:sts::111111111111:assumed-role/app/session"},
		{"arn:aws:sts::111111111111:assumed-role/app/s", "s3:GetObject", authz.RoleSession, "arn:aws:sts::111111111111:assumed-role/app/s"},
		{"arn:aws:sts::111111111111:federated-user/ann", "s3:GetObject", authz.FederatedUser, "arn:aws:sts::111111111111:federated-user/ann"},
		{"arn:aws:iam::111111111111:oidc-provider/x.test/id", "sts:AssumeRoleWithWebIdentity", authz.WebIdentity, "arn:aws:iam::111111111111:oidc-provider/x.test/id"},
		{"arn:aws:iam::111111111111:saml-provider/corp", "sts:AssumeRoleWithSAML", authz.SAML, "arn:aws:iam::111111111111:saml-provider/corp"},
		{"accounts.google.com", "sts:AssumeRoleWithWebIdentity", authz.WebIdentity, "accounts.google.com"},
		{"sns.amazonaws.com", "sqs:SendMessage", authz.Service, "sns.amazonaws.com"},
	}
	for _, tt := range tests {
		all, err := corpus.Load("p.yaml", []byte("{id: x, principal: \""+tt.principal+"\", action: \""+tt.action+"\", resource: \"*\"}"))
		if err != nil {
			t.Fatal(err)
		}
		req, _, err := all[0].Build(authz.Compile)
		if err != nil {
			t.Fatal(err)
		}
		if req.Principal.Kind != tt.kind || req.Principal.String() != tt.is {
			t.Errorf("%s is %v %s, want %v %s", tt.principal, req.Principal.Kind, req.Principal.String(), tt.kind, tt.is)
		}
	}
}

func TestJSONLines(t *testing.T) {
	const lines = `{"id":"a","principal":"anonymous","action":"s3:GetObject","resource":"*","expected":"ImplicitDeny"}

{"id":"b","principal":"anonymous","action":"s3:GetObject","resource":"*"}
`
	all, err := corpus.Load("x.jsonl", []byte(lines))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[1].ID != "b" || all[1].Line != 3 || !all[0].HasExpected || all[1].HasExpected {
		t.Errorf("Load = %+v", all)
	}
}

// bomb is a short text of very many values.
var bomb = "- &a [x,x,x,x,x,x,x,x,x]\n- &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n- &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n- &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n" +
	"- &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n- &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n- [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n"

func TestLoadErrorsNameThePlace(t *testing.T) {
	tests := []struct{ name, file, text, want string }{
		{"not YAML", "x.yaml", "a: [", "reading x.yaml"},
		{"a scalar", "x.yaml", "42", "x.yaml:1:1: want a case"},
		{"unknown field", "x.yaml", "{id: a, principl: x}", `x.yaml:1:9: unknown field "principl"`},
		{"unknown field of a group", "x.yaml", "rules: [{rule: r, case: []}]", `unknown field "case"`},
		{"unknown field of the file", "x.yaml", "{rules: [], extra: 1}", `unknown field "extra"`},
		{"group without cases", "x.yaml", "rules: [{rule: r}]", "a group needs rule and cases"},
		{"no id", "x.yaml", "[{action: x}]", "a case needs an id"},
		{"same id", "x.yaml", "[{id: a}, {id: a}]", `a second case has the id "a"`},
		{"like nobody", "x.yaml", "[{id: a, like: b, action: x}]", `no case "b" before this one`},
		{"like and from", "x.yaml", "[{id: a}, {id: b, like: a, from: a, action: x}]", "both like and from"},
		{"two facts differ", "x.yaml", "[{id: a}, {id: b, like: a, action: x, resource: y}]", "exactly one fact"},
		{"unknown outcome", "x.yaml", "[{id: a, expected: Denied}]", `parsing "Denied"`},
		{"unknown layer", "x.yaml", "[{id: a, decides: [iam]}]", `parsing "iam"`},
		{"unread layer", "x.yaml", "[{id: a, unread: [{layer: x}]}]", `x.yaml:1:19: unread: parsing "x"`},
		{"a field twice", "x.json", `[{"id": "a", "id": "b"}]`, `x.json:1:14: field "id" is there twice`},
		{"a likely name", "x.yaml", "[{id: a, identityPolicy: []}]", `did you mean "identityPolicies"?`},
		{"a text for a truth", "x.yaml", "[{id: a, management: no thanks}]", "x.yaml:1:22: management: want true or false"},
		{"an object for a text", "x.yaml", "[{id: a, action: {}}]", "action: want a string, not an object"},
		{"an object for a list", "x.yaml", "[{id: a, scps: {}}]", "scps: want a list, not an object"},
		{"a text for an object", "x.yaml", "[{id: a, context: x}]", "context: want an object, not a string"},
		{"like in JSON Lines", "x.jsonl", "{\"id\":\"a\"}\n{\"id\":\"b\",\"like\":\"a\",\"action\":\"x\"}", "x.jsonl:2:1: like and from"},
		{"JSON", "x.json", "[\n{]", "x.json:2:2: "},
		{"aliases of aliases", "x.yaml", bomb, "values"},
		{"JSON Lines", "x.jsonl", "{\"id\":\"a\"}\n{\"id\":", "x.jsonl:2"},
		{"wrong type", "x.yaml", "[{id: a, management: [1]}]", "x.yaml:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := corpus.Load(tt.file, []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Load error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestBuildErrorsNameTheCase(t *testing.T) {
	const rest = `, action: "s3:GetObject", resource: "arn:aws:s3:::b/x"`
	tests := []struct{ name, text, want string }{
		{"no action", `{id: a, principal: anonymous}`, "needs principal, action and resource"},
		{"no principal", `{id: a, action: x, resource: y}`, `principal ""`},
		{"half an ARN", `{id: a, principal: "arn:aws:iam"` + rest + `}`, "parsing ARN"},
		{"a group", `{id: a, principal: "arn:aws:iam::111111111111:group/g"` + rest + `}`, "neither a user"},
		{"account id", `{id: a, principal: anonymous, resourceAccount: "1"` + rest + `}`, "account id"},
		{"context value", `{id: a, principal: anonymous, context: {k: {}}` + rest + `}`, "context key k"},
		{"policy", `{id: a, principal: anonymous, identityPolicies: [{Statement: 1}]` + rest + `}`, "Statement"},
		{"policy without meaning", `{id: a, principal: anonymous, resourcePolicy: {Statement: {Effect: Allow, Action: "*", Resource: "*"}}` + rest + `}`, "no Principal"},
		{"two boundaries", `{id: a, principal: anonymous, boundary: [{Statement: {Effect: Allow, Action: "*", Resource: "*"}}, {Statement: {Effect: Allow, Action: "*", Resource: "*"}}]` + rest + `}`, "at most one"},
		{"policy type", `{id: a, principal: anonymous, resourcePolicyType: x` + rest + `}`, `parsing "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all, err := corpus.Load("x.yaml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = all[0].Build(authz.Compile)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "case a (x.yaml:1)") {
				t.Errorf("Build error = %v, want one with %q and the case", err, tt.want)
			}
		})
	}
}

func TestAliasesOfAliasesEnd(t *testing.T) {
	for _, text := range []string{
		"{id: a, principal: anonymous, action: x, resource: y, identityPolicies: &p [{Statement: *p}]}",
		"- {id: z, note: &a [x, x, x, x, x, x, x, x]}",
		"{id: a, principal: anonymous, action: x, resource: y, identityPolicies: [{Statement: [&a [x,x,x,x,x,x,x,x,x], &b [*a,*a,*a,*a,*a,*a,*a,*a,*a], &c [*b,*b,*b,*b,*b,*b,*b,*b,*b], " +
			"&d [*c,*c,*c,*c,*c,*c,*c,*c,*c], &e [*d,*d,*d,*d,*d,*d,*d,*d,*d], &f [*e,*e,*e,*e,*e,*e,*e,*e,*e], [*f,*f,*f,*f,*f,*f,*f,*f,*f]]}]}",
	} {
		all, err := corpus.Load("x.yaml", []byte(text))
		if err != nil {
			continue
		}
		if _, _, err := all[0].Build(authz.Compile); err == nil {
			t.Errorf("Build of %.40s… succeeds", text)
		}
	}
}

func TestLoadDirReadsCaseFilesOnly(t *testing.T) {
	files := fstest.MapFS{
		"b.yaml":    {Data: []byte("[{id: b}]")},
		"a.jsonl":   {Data: []byte(`{"id":"a"}`)},
		"README.md": {Data: []byte("# not a case")},
	}
	all, err := corpus.LoadDir(files)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].ID != "a" || all[1].ID != "b" {
		t.Errorf("LoadDir = %+v", all)
	}
	files["c.yaml"] = &fstest.MapFile{Data: []byte("[")}
	if _, err := corpus.LoadDir(files); err == nil {
		t.Error("LoadDir of a broken file succeeds")
	}
}

func TestScanReadsAsItComes(t *testing.T) {
	const line = `{"principal":"anonymous","action":"s3:GetObject","resource":"*"}` + "\n"
	lines := 0
	endless := readerFunc(func(p []byte) (int, error) {
		lines++
		return copy(p, line), nil
	})
	seen := 0
	for c, err := range corpus.Scan("-", endless) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 10_000 {
			if c.ID != "-:10000" || c.Line != 10_000 {
				t.Errorf("case %q of line %d, want the line as its name", c.ID, c.Line)
			}
			break
		}
	}
	if lines > 2*seen {
		t.Errorf("%d lines were read for %d cases", lines, seen)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestScanTellsTheFormByTheFirstLine(t *testing.T) {
	for form, text := range map[string]string{
		"JSON Lines":            `{"id":"a"}` + "\n" + `{"id":"b"}`,
		"JSON Lines after room": "\n\n" + `{"id":"a"}` + "\r\n\n" + `{"id":"b"}` + "\n",
		"YAML":                  "- id: a\n- id: b\n",
		"YAML in one line":      "[{id: a}, {id: b}]",
		"YAML documents":        "\n# cases\nid: a\n---\nid: b\n",
		"indented JSON":         "[\n  {\"id\": \"a\"},\n  {\"id\": \"b\"}\n]\n",
	} {
		all, err := corpus.Load("-", []byte(text))
		if err != nil || len(all) != 2 || all[0].ID != "a" || all[1].ID != "b" {
			t.Errorf("%s: Load = %v, %v", form, all, err)
		}
	}
	if _, err := corpus.Load("-", nil); err != nil {
		t.Errorf("nothing at all: %v", err)
	}
}

func TestALineHasABound(t *testing.T) {
	_, err := corpus.Load("x.jsonl", []byte(`{"id":"`+strings.Repeat("a", 17<<20)+`"}`))
	if err == nil || !strings.Contains(err.Error(), "x.jsonl:1: a line of more than") {
		t.Errorf("Load error = %.100v", err)
	}
}

func TestPoliciesAreObjectsTextsOrNamed(t *testing.T) {
	const text = `
- id: a
  principal: anonymous
  action: s3:GetObject
  resource: "*"
  x-ours: kept by another program
  identityPolicies:
    - {Id: own, Statement: {Effect: Allow, Action: "*", Resource: "*"}}
    - '{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'
    - {name: reads, policy: {Statement: {Effect: Allow, Action: "*", Resource: "*"}}}
`
	all, err := corpus.Load("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	_, pols, err := all[0].Build(authz.Compile)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range pols.Identity {
		names = append(names, p.Source().Name)
	}
	if got := strings.Join(names, " "); got != "own #2 reads" {
		t.Errorf("policies %q, want own, #2 and reads", got)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("x.yaml", twoCases)
	f.Add("x.jsonl", `{"id":"a","principal":"anonymous","action":"s3:GetObject","resource":"*","scps":[{"node":"r","policies":[]}]}`)
	f.Add("-", "[{id: a, grants: [{id: g, operations: [Decrypt], encryptionContext: {a: b}}]}]")
	f.Fuzz(func(t *testing.T, name, text string) {
		all, err := corpus.Load(name, []byte(text))
		if err != nil && all != nil {
			t.Errorf("Load gives cases and %v", err)
		}
		for i := range all {
			_, _, _ = all[i].Build(authz.Compile)
		}
	})
}
