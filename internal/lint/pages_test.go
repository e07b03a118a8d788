package lint_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/accept"
	"github.com/stile-aws/stile/internal/lint/output"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

var update = flag.Bool("update", false, "write the pages of docs/lint")

const pagesDir = "../../docs/lint"

// today is the day on which the pages are made.
func today() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// rulePage is what testdata/rules has of a rule: why, what to do, sources, and
// files that fire and that do not. The page in docs/lint is made of it.
type rulePage struct {
	rule.Rule
	why, repair string
	sources     []string
	options     pageOptions
	fires       []txtar.File
	quiet       []txtar.File
}

type pageOptions struct {
	Account      arn.AccountID   `json:"account"`
	Organization []arn.AccountID `json:"organization"`
	Kind         string          `json:"kind"`
	Days         int             `json:"days"`
}

func readPage(t *testing.T, r rule.Rule) rulePage {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", "rules", filepath.FromSlash(r.Code)+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	a := txtar.Parse(src)
	p := rulePage{Rule: r}
	for part := range strings.SplitSeq(strings.TrimSpace(string(a.Comment)), "\n\n") {
		repair, isRepair := strings.CutPrefix(part, "Repair: ")
		source, isSource := strings.CutPrefix(part, "Source: ")
		switch {
		case isRepair:
			p.repair = strings.ToUpper(repair[:1]) + repair[1:]
		case isSource:
			p.sources = append(p.sources, source)
		default:
			p.why += part + "\n\n"
		}
	}
	for _, f := range a.Files {
		dir, name := path.Split(f.Name)
		switch {
		case f.Name == "options.json":
			if err := json.Unmarshal(f.Data, &p.options); err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
		case dir == "fires/":
			p.fires = append(p.fires, txtar.File{Name: name, Data: f.Data})
		case dir == "quiet/":
			p.quiet = append(p.quiet, txtar.File{Name: name, Data: f.Data})
		default:
			t.Fatalf("%s of %s is neither options.json nor in fires/ or quiet/", f.Name, r.Code)
		}
	}
	return p
}

func (p *rulePage) context(t *testing.T) lint.Context {
	ctx := lint.Context{Account: p.options.Account, Organization: p.options.Organization}
	if p.options.Kind != "" {
		kind, ok := map[string]policy.Kind{"scp": policy.SCP, "rcp": policy.RCP, "endpoint": policy.Endpoint}[p.options.Kind]
		if !ok {
			t.Fatalf("kind %q", p.options.Kind)
		}
		ctx.Kind = &kind
	}
	return ctx
}

// look checks the files as stile lint does.
func (p *rulePage) look(t *testing.T, files []txtar.File) rule.List {
	t.Helper()
	var list rule.List
	set, names := &accept.Set{}, []string{}
	for _, f := range files {
		switch f.Name {
		case accept.FileName:
			set.ParseFile(f.Name, f.Data)
			continue
		case "inventory.yaml":
			list = append(list, lookAtInventory(t, f.Data)...)
		default:
			list = append(list, p.context(t).FileIn(f.Name, f.Data)...)
		}
		set.ParseComments(f.Name, f.Data)
		names = append(names, f.Name)
	}
	list, _ = set.Apply(list, names, today())
	list.Sort()
	list.Sign()
	return list
}

// TestPages holds every rule to its page: the example fires it and nothing
// else, the other example fires nothing, and docs/lint says just that.
func TestPages(t *testing.T) {
	for _, r := range rule.All() {
		t.Run(r.Code, func(t *testing.T) {
			p := readPage(t, r)
			switch r.Scope {
			case rule.Reader:
			case rule.Raised:
				p.checkRaised(t)
			case rule.Document, rule.Inventory, rule.Run:
				p.checkExamples(t)
			}
			checkFile(t, filepath.Join(pagesDir, filepath.FromSlash(r.Code)+".md"), p.markdown(t))
		})
	}
}

func (p *rulePage) checkExamples(t *testing.T) {
	t.Helper()
	together := slices.ContainsFunc(p.fires, func(f txtar.File) bool { return f.Name == accept.FileName })
	for _, f := range p.fires {
		files := []txtar.File{f}
		if together {
			files = p.fires
		}
		fired := p.look(t, files)
		if len(fired.AtLeast(rule.Low)) == 0 && p.Severity > rule.Info || len(fired) == 0 {
			t.Errorf("%s fires nothing", f.Name)
		}
		for _, g := range fired {
			if g.Code != p.Code && g.Severity > rule.Info {
				t.Errorf("%s fires something else too: %s", f.Name, g)
			}
			if g.Code == p.Code && g.Hint == "" && p.Scope == rule.Inventory {
				t.Errorf("%s says not what to do: %s", f.Name, g)
			}
		}
	}
	for _, f := range p.look(t, p.quiet) {
		if f.Code == p.Code || f.Severity > rule.Info {
			t.Errorf("the quiet example has a finding: %s", f)
		}
	}
	if len(p.fires) == 0 || len(p.quiet) == 0 {
		t.Error("the page has no example that fires, or none that does not")
	}
}

// checkRaised checks a rule that makes other findings worse: by one degree.
func (p *rulePage) checkRaised(t *testing.T) {
	t.Helper()
	fired, quiet := p.look(t, p.fires), p.look(t, p.quiet)
	if len(fired) != 1 || len(quiet) != 1 || fired[0].Code != quiet[0].Code || fired[0].Severity != quiet[0].Severity+1 {
		t.Errorf("findings = %v and %v, want the same one, the former a degree worse", fired, quiet)
	}
}

func (p *rulePage) markdown(t *testing.T) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s\n\n", p.Code, p.Title)
	number := ""
	if p.Number != "" {
		number = "rule " + p.Number + " · "
	}
	needs := map[rule.Scope]string{
		rule.Document: "a document by itself", rule.Inventory: "an inventory (`--inventory`)", rule.Raised: "another rule's finding, and the role's permissions",
		rule.Reader: "a reader: stile does not check it", rule.Run: "a run of `stile lint`",
	}[p.Scope]
	fmt.Fprintf(&b, "%s**%s** · needs %s\n\n%s", number, p.Severity, needs, p.why)
	fmt.Fprintf(&b, "**Repair:** %s\n", p.repair)
	if len(p.fires) > 0 {
		b.WriteString("\n## Fires\n")
		p.examples(&b, p.fires)
		var said bytes.Buffer
		if err := output.Text(&said, p.said(t)); err != nil {
			t.Fatal(err)
		}
		b.WriteString("\nstile says:\n\n```text\n" + said.String() + "```\n")
	}
	if len(p.quiet) > 0 {
		b.WriteString("\n## Does not fire\n")
		p.examples(&b, p.quiet)
	}
	if len(p.sources) > 0 {
		b.WriteString("\n## Source\n\n")
		for _, s := range p.sources {
			b.WriteString("- " + s + "\n")
		}
	}
	return b.String()
}

// said is what the examples that fire get to hear of this rule.
func (p *rulePage) said(t *testing.T) rule.List {
	if p.Scope == rule.Raised {
		return p.look(t, p.fires)
	}
	return slices.DeleteFunc(p.look(t, p.fires), func(f rule.Finding) bool { return f.Code != p.Code })
}

func (p *rulePage) examples(b *strings.Builder, files []txtar.File) {
	for _, f := range files {
		language := map[string]string{".json": "json", ".yaml": "yaml", ".sh": "sh"}[path.Ext(f.Name)]
		if language == "" {
			language = "ini"
		}
		fmt.Fprintf(b, "\n`%s`:\n\n```%s\n%s```\n", f.Name, language, f.Data)
	}
	if o := p.options; o.Account != "" || o.Kind != "" {
		b.WriteString("\n(with")
		if o.Account != "" {
			fmt.Fprintf(b, " `--account %s`", o.Account)
		}
		for _, id := range o.Organization {
			fmt.Fprintf(b, " `--own-accounts %s`", id)
		}
		if o.Kind != "" {
			fmt.Fprintf(b, " `--kind %s`", o.Kind)
		}
		b.WriteString(")\n")
	}
}

// TestIndex holds docs/lint/README.md, the list of all rules.
func TestIndex(t *testing.T) {
	var b strings.Builder
	b.WriteString("# What stile lint finds\n\n" +
		"Each code has a page with the reason, the repair, an example that fires and one that does not; the examples are the rules' tests.\n" +
		"How to run it, accept findings and read its exit status: `stile lint --help`.\n\n" +
		"Severities: *critical*, strangers get in; *high*, it does not work as written or lets in more than anybody would want; *medium*, probably not\n" +
		"what was meant; *low*, untidy; *info*, worth knowing.\n\n" +
		"| code | rule | severity | needs | finds |\n|---|---|---|---|---|\n")
	for _, r := range rule.All() {
		needs := map[rule.Scope]string{rule.Document: "document", rule.Inventory: "inventory", rule.Raised: "another finding", rule.Reader: "reader", rule.Run: "run"}[r.Scope]
		fmt.Fprintf(&b, "| [%s](%s.md) | %s | %s | %s | %s |\n", r.Code, r.Code, r.Number, r.Severity, needs, r.Title)
	}
	checkFile(t, filepath.Join(pagesDir, "README.md"), b.String())
}

func checkFile(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not up to date; run go test ./internal/lint -update (-want +got):\n%s", name, diff)
	}
}

// TestEveryNumberHasARule holds the registry against the list of rules: T01 to
// T26 and R01 to R14.
func TestEveryNumberHasARule(t *testing.T) {
	have := map[string]bool{}
	codes := map[string]bool{}
	for _, r := range rule.All() {
		have[r.Number] = true
		if codes[r.Code] {
			t.Errorf("%s is there twice", r.Code)
		}
		codes[r.Code] = true
	}
	for _, series := range []struct {
		letter string
		last   int
	}{{"T", 26}, {"R", 14}} {
		for i := range series.last {
			if number := fmt.Sprintf("%s%02d", series.letter, i+1); !have[number] {
				t.Errorf("no rule has the number %s", number)
			}
		}
	}
}
