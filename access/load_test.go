package access_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
)

var update = flag.Bool("update", false, "write the golden diagnostics of testdata/*.txtar")

// base declares what most cases refer to: a scope, the accounts tooling, orders
// and stage, and the cluster ci.
func base(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// printed is the list as a user sees it.
func printed(t testing.TB, list diag.List) string {
	t.Helper()
	var b strings.Builder
	if err := list.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Each archive holds pairs NAME.yaml (or .json) and NAME.want: the first is
// loaded beside base.yaml, alone when its name begins with "alone", and must
// give exactly the diagnostics of the second.
func TestLoadReportsEachMistakeWithItsPlace(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives in testdata: %v", err)
	}
	seen := map[string]bool{}
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		changed := false
		for i := 0; i+1 < len(archive.Files); i += 2 {
			in, want := archive.Files[i], &archive.Files[i+1]
			title := strings.TrimSuffix(want.Name, ".want")
			t.Run(filepath.Base(name)+"/"+title, func(t *testing.T) {
				if strings.TrimSuffix(in.Name, filepath.Ext(in.Name)) != title {
					t.Fatalf("%s is followed by %s", in.Name, want.Name)
				}
				fsys := fstest.MapFS{in.Name: {Data: in.Data}}
				if !strings.HasPrefix(in.Name, "alone") {
					fsys["base.yaml"] = &fstest.MapFile{Data: base(t)}
				}
				set, list := access.Load(fsys)
				if (set == nil) != list.HasErrors() {
					t.Errorf("Load gave set %v beside errors %v", set != nil, list.HasErrors())
				}
				for _, d := range list {
					seen[d.Code] = true
				}
				got := printed(t, list)
				if *update && got != string(want.Data) {
					want.Data, changed = []byte(got), true
					return
				}
				if diff := cmp.Diff(string(want.Data), got); diff != "" {
					t.Errorf("diagnostics (-want +got):\n%s", diff)
				}
			})
		}
		if changed {
			if err := os.WriteFile(name, txtar.Format(archive), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Provoked by tests of their own below.
	seen[access.CodeUnreadable], seen[access.CodeTooLarge], seen[access.CodeTooManyNodes], seen[access.CodeNotUTF8] = true, true, true, true
	for name, code := range codes(t) {
		if !seen[code] {
			t.Errorf("no case provokes %s (%s)", name, code)
		}
	}
}

// codes reads the Code constants from codes.go.
func codes(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		out[spec.Names[0].Name] = value
		return true
	})
	if len(out) < 40 {
		t.Fatalf("found %d codes in codes.go", len(out))
	}
	return out
}

func TestExamplesLoadWithoutDiagnostics(t *testing.T) {
	for _, dir := range []string{"payroll", "assume-role", "shared-secret"} {
		t.Run(dir, func(t *testing.T) {
			set, list := access.LoadPath(filepath.Join("..", "examples", dir))
			if len(list) > 0 {
				t.Fatalf("diagnostics:\n%s", printed(t, list))
			}
			if set.Scope.Name != dir {
				t.Errorf("scope %q, want %q", set.Scope.Name, dir)
			}
		})
	}
}

func TestLoadPayrollExample(t *testing.T) {
	set, list := access.LoadPath("../examples/payroll/")
	if list.HasErrors() {
		t.Fatal(list)
	}
	want := &access.Set{
		Scope: access.Scope{Metadata: access.Metadata{Name: "payroll"}, Home: access.Home{Account: "tooling", Region: "us-east-1"}},
		Accounts: []*access.Account{
			account("network", "333333333333", nil), account("orders-prod", "222222222222", map[string]string{"env": "prod", "team": "orders"}), account("tooling", "111111111111", nil),
		},
		Clusters: []*access.Cluster{{Metadata: access.Metadata{Name: "ci"}, Account: "tooling", Region: "us-east-1", EKSName: "ci", Identity: access.IRSA}},
		Accesses: []*access.Access{
			{
				Metadata: access.Metadata{Name: "ci-inspects-clusters"},
				From:     []access.Caller{{ServiceAccount: &access.ServiceAccount{Cluster: "ci", Namespace: "ci-namespace", Name: "ci-serviceaccount"}}},
				To:       access.Targets{Accounts: []string{"orders-prod"}},
				As:       "target-account-iam-role", Via: access.Chain, Hub: "ci-account-iam-role",
				Allow: []access.Allow{
					{Actions: []string{"eks:ListClusters", "s3:ListAllMyBuckets"}, Resources: []string{"*"}},
					{Actions: []string{"eks:DescribeCluster"}, Resources: []string{"arn:aws:eks:us-east-1:${account}:cluster/*"}},
				},
				Session: access.Session{MaxDuration: time.Hour},
			},
			{
				Metadata: access.Metadata{Name: "payroll-reads-orders"},
				From:     []access.Caller{{ServiceAccount: &access.ServiceAccount{Cluster: "ci", Namespace: "payroll", Name: "api"}}},
				To:       access.Targets{Accounts: []string{"orders-prod"}},
				As:       "payroll-api", Via: access.WebIdentity,
				Allow: []access.Allow{
					{Grant: "dynamodb/read", Resources: []string{"arn:aws:dynamodb:us-east-1:${account}:table/Orders"}},
					{Grant: "secretsmanager/read", Resources: []string{"arn:aws:secretsmanager:us-east-1:${account}:secret:AppDemoSecret-*"}},
				},
				Session: access.Session{MaxDuration: time.Hour},
			},
		},
	}
	if diff := cmp.Diff(want, set, cmpopts.IgnoreTypes(access.Pos{}), cmpopts.IgnoreFields(access.Set{}, "Digest")); diff != "" {
		t.Errorf("set (-want +got):\n%s", diff)
	}
	api := set.Accesses[1]
	if got, want := api.Pos.File, filepath.Join("..", "examples", "payroll", "access-api.yaml"); got != want || api.Pos.Line != 7 {
		t.Errorf("position %v, want %s:7", api.Pos, want)
	}
}

func account(name, id string, labels map[string]string) *access.Account {
	return &access.Account{
		Metadata: access.Metadata{Name: name, Labels: labels}, ID: arn.AccountID(id), Regions: []string{"us-east-1"}, Path: "/stile/",
		ManageWith: &access.Credentials{Profile: name},
	}
}

// load loads text beside base.yaml and wants no error.
func load(t *testing.T, text string) *access.Set {
	t.Helper()
	set, list := access.Load(fstest.MapFS{"base.yaml": {Data: base(t)}, "case.yaml": {Data: []byte(text)}})
	if list.HasErrors() {
		t.Fatalf("Load:\n%s", printed(t, list))
	}
	return set
}

const accessHead = "apiVersion: stile.dev/v1alpha1\nkind: Access\nmetadata: {name: a}\nspec:\n"

func TestAccountsMayBeReferredToByTheirIDs(t *testing.T) {
	set := load(t, accessHead+`
  from: [{role: {account: "111111111111", name: caller}}]
  to: {accounts: ["222222222222", "999999999999", stage]}
  allow: [{grant: eks/list}]
`)
	a := set.Accesses[0]
	if got := a.From[0].Role.Account; got != "tooling" {
		t.Errorf("a declared account's id became %q, want its name tooling", got)
	}
	if diff := cmp.Diff([]string{"orders", "999999999999", "stage"}, a.To.Accounts); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	implicit, ok := set.Account("999999999999")
	if !ok || !implicit.Implicit || implicit.ID != "999999999999" || implicit.ManageWith != nil || implicit.Pos.File != "case.yaml" || implicit.Pos.Line != 7 {
		t.Errorf("implicit account %+v, %v", implicit, ok)
	}
}

func TestSelectorPicksAccountsByLabels(t *testing.T) {
	set := load(t, accessHead+`
  from: [{role: {account: tooling, name: caller}}]
  to: {accounts: [tooling], selector: {matchLabels: {team: orders}}}
  allow: [{grant: eks/list}]
`)
	if diff := cmp.Diff([]string{"tooling", "orders", "stage"}, set.Accesses[0].To.Accounts); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}

func TestFieldsAreReadAndDefaulted(t *testing.T) {
	set := load(t, accessHead+`
  from:
    - user: {account: tooling, name: bob, path: /people/, externalID: x1}
  to: {accounts: [orders, stage]}
  as: reader
  shared: true
  session: {maxDuration: 90m, tags: {team: "a b", empty: ""}}
  profiles: {default: "222222222222", stage: stage}
  expires: 2027-01-01
  allow:
    - actions: ["sts:GetCallerIdentity"]
    - actions: ["dynamodb:GetItem"]
      resources: ["arn:aws:dynamodb:${region}:${account}:table/Orders"]
      via: assumeRole
      conditions:
        StringEquals: {"aws:PrincipalTag/team": [a, b], "aws:SourceVpc": vpc-1}
        ForAnyValue:StringLikeIfExists: {"dynamodb:LeadingKeys": "${aws:userid}*"}
        Bool: {aws:SecureTransport: true}
`)
	want := &access.Access{
		Metadata: access.Metadata{Name: "a"},
		From:     []access.Caller{{User: &access.IAMName{Account: "tooling", Name: "bob", Path: "/people/", ExternalID: "x1"}}},
		To:       access.Targets{Accounts: []string{"orders", "stage"}},
		As:       "reader", Via: access.Auto, Shared: true,
		Session:  access.Session{MaxDuration: 90 * time.Minute, Tags: map[string]string{"team": "a b", "empty": ""}},
		Profiles: map[string]string{"default": "orders", "stage": "stage"},
		Expires:  time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		Allow: []access.Allow{
			{Actions: []string{"sts:GetCallerIdentity"}, Resources: []string{"*"}},
			{
				Actions: []string{"dynamodb:GetItem"}, Resources: []string{"arn:aws:dynamodb:${region}:${account}:table/Orders"}, Via: access.AssumeRole,
				Conditions: []access.Condition{
					{Operator: "StringEquals", Key: "aws:PrincipalTag/team", Values: []string{"a", "b"}},
					{Operator: "StringEquals", Key: "aws:SourceVpc", Values: []string{"vpc-1"}},
					{Operator: "ForAnyValue:StringLikeIfExists", Key: "dynamodb:LeadingKeys", Values: []string{"${aws:userid}*"}},
					{Operator: "Bool", Key: "aws:SecureTransport", Values: []string{"true"}},
				},
			},
		},
	}
	if diff := cmp.Diff(want, set.Accesses[0], cmpopts.IgnoreTypes(access.Pos{})); diff != "" {
		t.Errorf("access (-want +got):\n%s", diff)
	}
}

func TestJSONAndAliasesLoad(t *testing.T) {
	set, list := access.Load(fstest.MapFS{
		"base.yaml": {Data: base(t)},
		"a.json":    {Data: []byte("{\n\t\"apiVersion\": \"stile.dev/v1alpha1\", \"kind\": \"Account\",\n\t\"metadata\": {\"name\": \"json\"}, \"spec\": {\"id\": \"444444444444\"}\n}\n")},
		"b.yml": {Data: []byte(accessHead + `
  from: [{role: {account: tooling, name: caller}}]
  to: {accounts: &both [orders, stage]}
  as: &name reader
  allow:
    - grant: s3/read
      resources: &r ["arn:aws:s3:::bucket"]
    - grant: s3/write
      resources: *r
`)},
	})
	if len(list) > 0 {
		t.Fatalf("Load:\n%s", printed(t, list))
	}
	if _, ok := set.Account("json"); !ok {
		t.Error("the account of a.json is missing")
	}
	if diff := cmp.Diff([]string{"arn:aws:s3:::bucket"}, set.Accesses[0].Allow[1].Resources); diff != "" {
		t.Errorf("aliased resources (-want +got):\n%s", diff)
	}
}

func TestDigestIsOfTheMeaning(t *testing.T) {
	const plain = accessHead + `
  from: [{role: {account: tooling, name: one}}, {user: {account: tooling, name: two}}]
  to: {accounts: [orders, stage]}
  allow:
    - actions: ["sqs:SendMessage", "sqs:GetQueueUrl"]
      resources: ["arn:aws:sqs:us-east-1:${account}:q"]
    - grant: eks/list
`
	same := map[string]string{
		"comments and flow style": "# a comment\n" + strings.Replace(plain, "[orders, stage]", "\n    [ orders,\n      stage ]", 1),
		"order of lists":          strings.Replace(strings.Replace(plain, "[orders, stage]", "[stage, orders]", 1), `["sqs:SendMessage", "sqs:GetQueueUrl"]`, `["sqs:GetQueueUrl", "sqs:SendMessage"]`, 1),
		"an id for a name":        strings.Replace(plain, "orders", `"222222222222"`, 1),
		"a default written out":   plain + "  via: auto\n  session: {maxDuration: 60m}\n",
	}
	want := load(t, plain).Digest
	if len(want) != 64 {
		t.Fatalf("digest %q is not a SHA-256 in hex", want)
	}
	for name, text := range same {
		t.Run(name, func(t *testing.T) {
			if got := load(t, text).Digest; got != want {
				t.Errorf("digest %s, want %s", got, want)
			}
		})
	}
	different := map[string]string{
		"another resource":  strings.Replace(plain, ":q\"", ":q2\"", 1),
		"another caller":    strings.Replace(plain, "name: two", "name: three", 1),
		"an external id":    strings.Replace(plain, "name: one", "name: one, externalID: xy", 1),
		"an expiry":         plain + "  expires: 2027-01-01\n",
		"a session tag":     plain + "  session: {tags: {a: b}}\n",
		"a role's name":     plain + "  as: x\n  shared: true\n",
		"a profile":         plain + "  profiles: {default: orders}\n",
		"a condition":       strings.Replace(plain, `:q"]`, ":q\"]\n      conditions: {StringEquals: {\"aws:SourceVpc\": v}}", 1),
		"a pattern":         plain + "  via: assumeRole\n",
		"one target less":   strings.Replace(plain, "[orders, stage]", "[orders]", 1),
		"longer sessions":   plain + "  session: {maxDuration: 2h}\n",
		"another object":    plain + "---\napiVersion: stile.dev/v1alpha1\nkind: Account\nmetadata: {name: x}\nspec: {id: \"777777777777\"}\n",
		"metadata.name":     strings.Replace(plain, "{name: a}", "{name: b}", 1),
		"one element fewer": strings.Replace(plain, "    - grant: eks/list\n", "", 1),
	}
	seen := map[string]string{want: "plain"}
	for name, text := range different {
		t.Run(name, func(t *testing.T) {
			got := load(t, text).Digest
			if other, twice := seen[got]; twice {
				t.Errorf("the digest is that of %q", other)
			}
			seen[got] = name
		})
	}
}

func TestLoadSkipsHiddenAndForeignFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, text []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	broken := []byte("{")
	write("sub/base.yaml", base(t))
	write(".git/config.yaml", broken)
	write(".hidden.yaml", broken)
	write("README.md", broken)
	if _, list := access.LoadPath(dir); len(list) > 0 {
		t.Errorf("LoadPath(dir):\n%s", printed(t, list))
	}
	file := filepath.Join(dir, "sub", "base.yaml")
	if set, list := access.LoadPath(file); len(list) > 0 || set.Scope.Pos.File != file {
		t.Errorf("LoadPath(%s):\n%s", file, printed(t, list))
	}
	write("sub/linked/broken.txt", broken)
	if err := os.Symlink("linked/broken.txt", filepath.Join(dir, "sub", "z.yaml")); err != nil {
		t.Skip(err)
	}
	_, list := access.LoadPath(dir)
	if len(list) != 1 || list[0].Code != access.CodeMalformed || list[0].Pos.File != filepath.Join(dir, "sub", "z.yaml") {
		t.Errorf("a link to a file was not read:\n%s", printed(t, list))
	}
}

func TestUnreadableInputGivesOneDiagnostic(t *testing.T) {
	huge := append(base(t), []byte("# "+strings.Repeat("x", 1<<20))...)
	many := fstest.MapFS{}
	for i := range 17 {
		many["f"+strconv.Itoa(i)+".yaml"] = &fstest.MapFile{Data: []byte("# " + strings.Repeat("x", 1<<20-10))}
	}
	tests := []struct {
		name string
		fsys fstest.MapFS
		code string
		pos  access.Pos
	}{
		{"a file past the bound", fstest.MapFS{"a.yaml": {Data: huge}}, access.CodeTooLarge, access.Pos{File: "a.yaml"}},
		{"files past the bound together", many, access.CodeTooLarge, access.Pos{File: "f9.yaml"}},
		{"bytes that are not UTF-8", fstest.MapFS{"a.yaml": {Data: []byte("a: 1\nb: \xff\n")}}, access.CodeNotUTF8, access.Pos{File: "a.yaml", Line: 2, Column: 4}},
		{"a NUL byte", fstest.MapFS{"a.yaml": {Data: []byte("a: \x00\n")}}, access.CodeNotUTF8, access.Pos{File: "a.yaml", Line: 1, Column: 4}},
		{"an alias bomb", fstest.MapFS{"base.yaml": {Data: base(t)}, "a.yaml": {Data: []byte(bomb())}}, access.CodeTooManyNodes, access.Pos{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			set, list := access.Load(test.fsys)
			if set != nil || len(list) != 1 || list[0].Code != test.code {
				t.Fatalf("Load gave set %v and:\n%s", set != nil, printed(t, list))
			}
			if test.pos != (access.Pos{}) && list[0].Pos != test.pos {
				t.Errorf("position %v, want %v", list[0].Pos, test.pos)
			}
		})
	}
	for _, name := range []string{"absent", "testdata/absent.yaml"} {
		if set, list := access.LoadPath(name); set != nil || len(list) != 1 || list[0].Code != access.CodeUnreadable || list[0].Pos.File != name {
			t.Errorf("LoadPath(%s):\n%s", name, printed(t, list))
		}
	}
	if _, list := access.Load(fstest.MapFS{"base.yaml": {Data: base(t)}}, "base.yaml", "absent.yaml"); len(list) != 1 || list[0].Code != access.CodeUnreadable {
		t.Errorf("Load of an absent file:\n%s", printed(t, list))
	}
}

// bomb is a document whose condition values expand to many nodes by aliases.
func bomb() string {
	var b strings.Builder
	b.WriteString(accessHead + "  from: [{role: {account: tooling, name: caller}}]\n  to: {accounts: [orders]}\n  allow:\n")
	b.WriteString("    - actions: [\"sqs:SendMessage\"]\n      resources: [\"arn:aws:sqs:us-east-1:${account}:q\"]\n      conditions:\n        StringEquals:\n")
	b.WriteString("          aws:k: &v [" + strings.TrimSuffix(strings.Repeat("x, ", 600), ", ") + "]\n")
	for i := range 600 {
		b.WriteString("          aws:k" + strconv.Itoa(i) + ": *v\n")
	}
	return b.String()
}

func TestUnreadableDirectoriesInsideAreReported(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "closed"), 0); err != nil {
		t.Fatal(err)
	}
	_, list := access.LoadPath(dir)
	if !slices.ContainsFunc(list, func(d diag.Diagnostic) bool { return d.Code == access.CodeUnreadable }) {
		t.Errorf("diagnostics:\n%s", printed(t, list))
	}
}

func TestReads(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(dir, filepath.Join(dir, "..", filepath.Base(dir)+"-link")); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]bool{
		"plan.json": true, "deep/plan.yml": true, "plan.txt": false, ".plan.json": false, ".hidden/plan.json": false, "../plan.json": false,
		"../" + filepath.Base(dir) + "-link/plan.json": true,
	} {
		if got, err := access.Reads(dir, filepath.Join(dir, file)); err != nil || got != want {
			t.Errorf("Reads(DIR, DIR/%s) = %v, %v; want %v", file, got, err, want)
		}
	}
	one := filepath.Join(dir, "stile.yaml")
	if got, err := access.Reads(one, one); err != nil || !got {
		t.Errorf("Reads(FILE, FILE) = %v, %v; want true", got, err)
	}
	if got, err := access.Reads(one, filepath.Join(dir, "plan.json")); err != nil || got {
		t.Errorf("Reads(FILE, another) = %v, %v; want false", got, err)
	}
}
