// Command secondopinion asks an independent IAM engine about every case of
// testdata/corpus and lists where it answers otherwise, so that no misreading
// of AWS's documentation of our own stays unseen. It is for maintainers:
//
//	go run ./tools/secondopinion -doc docs/fidelity.md
//
// The engine is @cloud-copilot/iam-simulate (AGPL-3.0). It is installed from
// npm into a temporary directory and run by node as a process of its own, over
// JSON on its standard streams; nothing of it is linked or copied. Start with
// simulation.go, which turns a case into its input; ask.mjs runs the cases.
// docs/fidelity.md says of each difference who is right, by which sentence of
// AWS's; with -doc the command fails when that list is not the one found.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
)

// engine is what is asked; the version is the one docs/fidelity.md speaks of.
const (
	engine        = "@cloud-copilot/iam-simulate"
	engineVersion = "0.1.173"
)

//go:embed ask.mjs
var askScript []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.StringVar(&o.corpus, "corpus", "testdata/corpus", "directory of the cases")
	flag.StringVar(&o.version, "version", engineVersion, "version of "+engine+" to install")
	flag.StringVar(&o.doc, "doc", "", "document whose list of differences must be the one found")
	flag.BoolVar(&o.json, "json", false, "print the differences as JSON, one a line")
	flag.Parse()
	if err := o.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "secondopinion:", err)
		os.Exit(1)
	}
}

type options struct {
	corpus, version, doc string
	json                 bool
}

func (o *options) run(ctx context.Context, out io.Writer) error {
	cases, err := corpus.LoadDir(os.DirFS(o.corpus))
	if err != nil {
		return err
	}
	r := report{skipped: map[string][]string{}, expected: map[string]authz.Outcome{}}
	var questions []simulation
	for i := range cases {
		c := &cases[i]
		req, pols, err := c.Build(authz.Compile)
		if err != nil {
			return err
		}
		s, why := newSimulation(c, req, pols)
		if why != "" {
			r.skipped[why] = append(r.skipped[why], c.ID)
			continue
		}
		r.expected[c.ID] = c.Expected
		questions = append(questions, s)
	}
	r.opinions, err = ask(ctx, o.version, questions)
	if err != nil {
		return err
	}
	r.sort()
	if err := r.print(out, o.json); err != nil {
		return err
	}
	if o.doc == "" {
		return nil
	}
	return r.compare(o.doc)
}

// opinion is what the engine says to one case.
type opinion struct {
	ID     string `json:"id"`
	Result string `json:"result"` // "Allowed", "ExplicitDeny", "ImplicitDeny", or "" with Error
	// Lenient is set when the engine's own check refused the input, or left out
	// condition keys, so that it was asked without the check.
	Lenient string `json:"lenient,omitempty"`
	Error   string `json:"error,omitempty"`
}

// ask installs the engine and runs it over the questions.
func ask(ctx context.Context, version string, questions []simulation) (list []opinion, err error) {
	dir, err := os.MkdirTemp("", "secondopinion-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, text := range map[string]string{"package.json": `{"private":true,"type":"module"}`, "ask.mjs": string(askScript)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	install := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", engine+"@"+version)
	install.Dir, install.Stderr = dir, os.Stderr
	if err := install.Run(); err != nil {
		return nil, fmt.Errorf("installing %s@%s: %w", engine, version, err)
	}
	input, err := json.Marshal(questions)
	if err != nil {
		return nil, err
	}
	node := exec.CommandContext(ctx, "node", "ask.mjs")
	node.Dir, node.Stdin, node.Stderr = dir, strings.NewReader(string(input)), os.Stderr
	output, err := node.Output()
	if err != nil {
		return nil, fmt.Errorf("running %s: %w", engine, err)
	}
	if err := json.Unmarshal(output, &list); err != nil {
		return nil, fmt.Errorf("reading the answers of %s: %w", engine, err)
	}
	return list, nil
}

// report is what came out.
type report struct {
	expected map[string]authz.Outcome
	opinions []opinion
	skipped  map[string][]string // by reason
}

func (r *report) sort() {
	slices.SortFunc(r.opinions, func(a, b opinion) int { return strings.Compare(a.ID, b.ID) })
}

// differs reports whether the engine contradicts the corpus. Where AWS's
// documents leave a case open, no answer does.
func (r *report) differs(o *opinion) bool {
	want := r.expected[o.ID]
	return want != authz.Unknown && o.Error == "" && o.Result != want.String()
}

func (r *report) print(out io.Writer, asJSON bool) error {
	count := map[string]int{}
	for i := range r.opinions {
		o := &r.opinions[i]
		want := r.expected[o.ID]
		switch {
		case o.Error != "":
			count["refused"]++
		case want == authz.Unknown:
			count["open"]++
			continue
		case !r.differs(o):
			count["same"]++
			continue
		default:
			count["different"]++
		}
		if asJSON {
			if err := json.NewEncoder(out).Encode(map[string]any{"id": o.ID, "expected": want, "opinion": o}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(out, "%s\twanted %v\tgot %s\t%s\n", o.ID, want, o.Result+o.Error, o.Lenient)
	}
	if asJSON {
		return nil
	}
	reasons := make([]string, 0, len(r.skipped))
	skipped := 0
	for why, ids := range r.skipped {
		skipped += len(ids)
		reasons = append(reasons, fmt.Sprintf("  %d: %s", len(ids), why))
	}
	slices.Sort(reasons)
	_, err := fmt.Fprintf(out, "%d cases: %d same, %d different, %d left open by AWS's documents, %d refused, %d not expressible:\n%s\n",
		len(r.opinions)+skipped, count["same"], count["different"], count["open"], count["refused"], skipped, strings.Join(reasons, "\n"))
	return err
}

// compare checks that the document lists exactly the differences found, each
// as a list item that begins with the case's id in backquotes.
func (r *report) compare(doc string) error {
	text, err := os.ReadFile(doc)
	if err != nil {
		return err
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "- `"); ok {
			id, _, _ := strings.Cut(rest, "`")
			listed[id] = true
		}
	}
	var wrong []string
	for i := range r.opinions {
		o := &r.opinions[i]
		if r.differs(o) && !listed[o.ID] {
			wrong = append(wrong, o.ID+" differs and is not listed")
		}
		if !r.differs(o) && listed[o.ID] {
			wrong = append(wrong, o.ID+" is listed and does not differ")
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("comparing with %s: %s", doc, strings.Join(wrong, "; "))
	}
	return nil
}
