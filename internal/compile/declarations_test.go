package compile_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/compile/compiletest"
	"github.com/stile-aws/stile/internal/inventory"
)

// declarations is the reference that these tests keep true.
const declarations = "../../docs/declarations.md"

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(declarations)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```\n")
	chosen    = regexp.MustCompile("(?s)```yaml\n[^`]*?kind: Access\nmetadata:\n  name: (\\S+)\n[^`]*```\n\nPattern chosen: `(\\w+)`\\.\n")
)

// declaredWorld has what the page's declarations refer to.
func declaredWorld() *inventory.Inventory {
	const (
		key    = "arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"
		mrk    = ":222222222222:key/mrk-1234abcd12ab34cd56ef1234567890ab"
		others = "arn:aws:kms:us-east-1:111111111111:key/0987dcba-09fe-87dc-65ba-ab0987654321"
		bucket = "arn:aws:s3:::reports"
		secret = "arn:aws:secretsmanager:us-east-1:222222222222:secret:AppDemoSecret-"
	)
	keys := map[string]*inventory.Key{}
	for _, id := range []string{key, "arn:aws:kms:us-east-1" + mrk, "arn:aws:kms:eu-west-1" + mrk} {
		keys[id] = &inventory.Key{ARN: id, Enabled: true, Policy: rootOnly}
	}
	return &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{
		tooling: {
			Roles: map[string]*inventory.Role{
				"ci-deployer": {ARN: "arn:aws:iam::111111111111:role/ci/ci-deployer", Name: "ci-deployer", Path: "/ci/"},
				"approle":     {ARN: "arn:aws:iam::111111111111:role/AppRole", Name: "AppRole", Path: "/"},
			},
			Keys:  map[string]*inventory.Key{others: {ARN: others, Enabled: true, Policy: rootOnly}},
			Users: map[string]*inventory.User{"auditor": {ARN: "arn:aws:iam::111111111111:user/auditor", Name: "auditor", Path: "/"}},
		},
		orders: {
			Managed:   map[string]*inventory.Managed{"arn:aws:iam::222222222222:policy/WorkloadBoundary": {}},
			Secrets:   map[string]*inventory.Secret{secret + "*": {ARN: secret + "a1B2c3", Name: "AppDemoSecret", KMSKey: key, KeyARN: key}},
			Keys:      keys,
			Resources: map[string]*inventory.Resource{bucket: {ARN: bucket, Type: "s3:bucket", KMSKey: others}},
		},
	}}
}

// TestTheReferencesBlocksCompile: all blocks together are one scope, and each
// Access gets the pattern that the page says.
func TestTheReferencesBlocksCompile(t *testing.T) {
	text := page(t)
	files := fstest.MapFS{}
	for i, block := range yamlBlock.FindAllStringSubmatch(text, -1) {
		files[fmt.Sprintf("block%02d.yaml", i+1)] = &fstest.MapFile{Data: []byte(block[1])}
	}
	set, diags := access.Load(files)
	if len(diags) > 0 {
		t.Fatalf("loading the blocks: %v", diags)
	}
	w, _, diags := (&compiletest.Case{Set: set, World: declaredWorld()}).Compile(t)
	if diags.HasErrors() {
		t.Fatalf("compiling the blocks: %v", diags)
	}
	got := map[string]string{}
	for _, c := range w.Choices {
		got[c.Access] = string(c.Pattern)
	}
	want := map[string]string{}
	for _, found := range chosen.FindAllStringSubmatch(text, -1) {
		want[found[1]] = found[2]
	}
	if len(want) < 5 || !maps.Equal(got, want) {
		t.Errorf("patterns chosen = %v, the page says %v", got, want)
	}
}

// unknown are objects with a field that nobody knows, at the place of which the
// loader tells those it does know, by the heading of the page's table.
var unknown = map[string]string{
	"spec of Scope":           "kind: Scope\nmetadata: {name: x}\nspec: {zzz: 1}",
	"home":                    "kind: Scope\nmetadata: {name: x}\nspec: {home: {zzz: 1}}",
	"spec of Account":         "kind: Account\nmetadata: {name: x}\nspec: {zzz: 1}",
	"manageWith and readWith": "kind: Account\nmetadata: {name: x}\nspec: {manageWith: {zzz: 1}}",
	"an element of chain":     "kind: Account\nmetadata: {name: x}\nspec: {manageWith: {chain: [{zzz: 1}]}}",
	"spec of Cluster":         "kind: Cluster\nmetadata: {name: x}\nspec: {zzz: 1}",
	"spec of Access":          "kind: Access\nmetadata: {name: x}\nspec: {zzz: 1}",
	"an element of from":      "kind: Access\nmetadata: {name: x}\nspec: {from: [{zzz: 1}]}",
	"serviceAccount":          "kind: Access\nmetadata: {name: x}\nspec: {from: [{serviceAccount: {zzz: 1}}]}",
	"role and user":           "kind: Access\nmetadata: {name: x}\nspec: {from: [{role: {zzz: 1}}]}",
	"to":                      "kind: Access\nmetadata: {name: x}\nspec: {to: {zzz: 1}}",
	"selector":                "kind: Access\nmetadata: {name: x}\nspec: {to: {selector: {zzz: 1}}}",
	"an element of allow":     "kind: Access\nmetadata: {name: x}\nspec: {allow: [{zzz: 1}]}",
	"session":                 "kind: Access\nmetadata: {name: x}\nspec: {session: {zzz: 1}}",
}

// TestTheReferenceHasEveryField: each table of fields has exactly those that the
// loader tells when it meets one it does not know.
func TestTheReferenceHasEveryField(t *testing.T) {
	tables := fieldTables(page(t))
	for name, object := range unknown {
		_, diags := access.Load(fstest.MapFS{"x.yaml": {Data: []byte("apiVersion: " + access.APIVersion + "\n" + object)}})
		var want []string
		for _, d := range diags {
			if list, ok := strings.CutPrefix(d.Detail, "fields: "); ok && d.Code == access.CodeUnknownField {
				want = strings.Split(list, ", ")
			}
		}
		slices.Sort(want)
		if got := tables[name]; len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("fields of %s: the page has %q, the loader %q", name, got, want)
		}
		delete(tables, name)
	}
	if len(tables) > 0 {
		t.Errorf("the page has tables of fields of what no loader knows: %v", slices.Sorted(maps.Keys(tables)))
	}
}

// fieldTables are the first columns of the page's tables "field of X", sorted; a
// spec is that of the section's kind.
func fieldTables(text string) map[string][]string {
	out := map[string][]string{}
	section, name := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch heading, isHeading := strings.CutPrefix(line, "## "); {
		case isHeading:
			section = heading
		case strings.HasPrefix(line, "| field of "):
			name, _, _ = strings.Cut(strings.TrimPrefix(line, "| field of "), " |")
			if name == "spec" {
				name += " of " + section
			}
		case !strings.HasPrefix(line, "|"):
			name = ""
		case name != "" && strings.HasPrefix(line, "| `"):
			field, _, _ := strings.Cut(line[len("| `"):], "`")
			out[name] = append(out[name], field)
		}
	}
	for _, fields := range out {
		slices.Sort(fields)
	}
	return out
}

// TestTheReferenceHasEveryKindAndPattern compares the page with the loader's own words.
func TestTheReferenceHasEveryKindAndPattern(t *testing.T) {
	text := page(t)
	_, diags := access.Load(fstest.MapFS{"x.yaml": {Data: []byte("apiVersion: " + access.APIVersion + "\nkind: Zzz")}})
	kinds := ""
	for _, d := range diags {
		if d.Code == access.CodeUnknownKind {
			kinds = strings.TrimPrefix(d.Detail, "kinds: ")
		}
	}
	if kinds == "" {
		t.Fatalf("the loader does not tell its kinds: %v", diags)
	}
	for kind := range strings.SplitSeq(kinds, ", ") {
		if !strings.Contains(text, "\n## "+kind+"\n") {
			t.Errorf("the page has no section %s", kind)
		}
	}
	for _, p := range []access.Pattern{access.Auto, access.WebIdentity, access.Chain, access.AssumeRole, access.ResourcePolicy, access.PodIdentityVia} {
		row := "\n| `" + string(p) + "` |"
		if p == access.Auto {
			row = "`auto`"
		}
		if !strings.Contains(text, row) {
			t.Errorf("the page does not tell what %s is", p)
		}
	}
	for _, want := range []string{
		"`" + access.APIVersion + "`", "`[" + access.DefaultRegion + "]`", "`" + access.DefaultPath + "`", "`" + string(access.IRSA) + "`", "`" + string(access.PodIdentity) + "`", "`" + compile.TagScope + "`",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
}

// TestTheReferenceHasEveryGrant: the page's table is the catalog's; -update writes it.
func TestTheReferenceHasEveryGrant(t *testing.T) {
	text := page(t)
	const begin, end = "<!-- grants -->\n", "<!-- end -->\n"
	before, rest, ok := strings.Cut(text, begin)
	table, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatal("the page has no place for grants")
	}
	want := grantTable()
	if *update {
		if err := os.WriteFile(declarations, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != want {
		t.Errorf("the page's grants are not the catalog's; run go test ./internal/compile -run EveryGrant -update. It has:\n%s\nwant:\n%s", table, want)
	}
}

func grantTable() string {
	var b strings.Builder
	b.WriteString("| grant | lets | resources | actions | on the key, if under one |\n|---|---|---|---|---|\n")
	for _, g := range catalog.Bundles() {
		given := "none"
		if g.NeedsResources() {
			given = g.Type
		}
		var use []string
		for _, action := range g.Actions() {
			if u, ok := catalog.KeyUseOf(action); ok {
				use = append(use, u.Actions...)
			}
		}
		slices.Sort(use)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", g.Name, g.Summary, given, coded(g.Actions()), coded(slices.Compact(use)))
	}
	return b.String()
}

func coded(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return "`" + strings.Join(list, "`, `") + "`"
}
