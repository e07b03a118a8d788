package policy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/corpus"
)

// badInput is the exit code for cases that cannot be read: no answer was
// wrong, there was none.
const badInput = 2

type testOptions struct {
	streams *term.Streams
	paths   []string
	json    bool
	explain bool
}

func newTest(s *term.Streams) *cobra.Command {
	o := &testOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "test CASES...",
		Short: "Check what policies allow and deny against what is expected",
		Long: "Check what policies allow and deny against what is expected. CASES are files or directories of\n" +
			"cases, as JSON Lines (.jsonl), YAML or JSON; - is standard input. A case is a request, the policies\n" +
			"around it, and the answer expected; without `expected` the answer is printed. docs/policy-test.md\n" +
			"has the fields.\n\n" +
			"Exit status: 0 when every answer is as expected, 1 when one is not, 2 when a case cannot be read\n" +
			"or there is none.",
		Example: "  stile policy test cases/\n" +
			"  stile policy test --json - < cases.jsonl",
		Args: term.ArgsBetween(1, -1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.paths = args
			return o.run()
		},
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print one JSON object a case")
	cmd.Flags().BoolVar(&o.explain, "explain", false, "print how each answer came about")
	return cmd
}

func (o *testOptions) run() error {
	out := bufio.NewWriter(o.streams.Out)
	t := &tester{options: o, out: out, facts: catalog.Facts(), doubts: newDoubter()}
	err := t.paths(o.paths)
	if err == nil && !o.json {
		t.summary()
	}
	if flushed := out.Flush(); err == nil && flushed != nil {
		err = fmt.Errorf("writing the answers: %w", flushed)
	}
	switch {
	case err != nil:
		return &term.Exit{Code: badInput, Err: err}
	case t.unusable+t.unread > 0:
		return &term.Exit{Code: badInput}
	case t.wrong > 0:
		return term.ErrSaid
	case t.right+t.asked == 0:
		return &term.Exit{Code: badInput, Err: errors.New("there are no cases in what was given, so nothing was tested")}
	}
	return nil
}

// tester runs cases and counts.
type tester struct {
	options *testOptions
	out     *bufio.Writer
	facts   *authz.Facts
	doubts  *doubter

	right, wrong, asked int
	// unusable counts the cases that were read and make no sense.
	unusable int
	// unread counts the files that could not be read, or not to their end.
	unread int
}

// paths runs what is in files and directories, in the order given. What cannot be
// read is told; the error is that of writing.
func (t *tester) paths(paths []string) error {
	for _, path := range paths {
		files := []string{path}
		if path != "-" {
			var err error
			if files, err = caseFiles(path); err != nil {
				t.cannotRead(err)
			}
		}
		for _, name := range files {
			if err := t.file(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tester) cannotRead(err error) {
	t.unread++
	t.options.streams.Note("stile: %v", err)
}

// caseFiles is path itself when it is a file, else the files of cases below it.
func caseFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading cases: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		hidden := err == nil && name != path && strings.HasPrefix(d.Name(), ".")
		switch {
		case err != nil:
			return err
		case hidden && d.IsDir():
			return filepath.SkipDir
		case !hidden && !d.IsDir() && corpus.IsCaseFile(name):
			files = append(files, name)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("reading %s: no file of cases (.jsonl, .yaml, .yml, .json) below it", path)
	}
	return files, err
}

// file runs the cases of a file, or of standard input.
func (t *tester) file(name string) error {
	if name == "-" {
		return t.cases(name, t.options.streams.In)
	}
	f, err := os.Open(name)
	if err != nil {
		t.cannotRead(err)
		return nil
	}
	err = t.cases(name, f)
	if closed := f.Close(); closed != nil {
		t.cannotRead(closed)
	}
	return err
}

func (t *tester) cases(name string, r io.Reader) error {
	for c, err := range corpus.Scan(name, r) {
		if err != nil {
			t.cannotRead(err)
			return nil
		}
		if err := t.run(c); err != nil {
			return fmt.Errorf("writing the answer to %s: %w", c.ID, err)
		}
	}
	return nil
}

// run answers one case. The error is that of writing.
func (t *tester) run(c *corpus.Case) error {
	req, pols, err := c.Build(authz.Compile)
	if err != nil {
		t.unusable++
		t.options.streams.Note("stile: %v", err)
		if t.options.json {
			return t.line(&answer{ID: c.ID, File: c.File, Line: c.Line, Error: err.Error()})
		}
		return nil
	}
	doubts := t.doubts.of(req)
	for _, doubt := range doubts {
		t.options.streams.Note("%s:%d: %s: %s", c.File, c.Line, c.ID, doubt)
	}
	var d authz.Decision
	outcome := authz.Decide(req, pols, t.facts)
	if outcome == authz.Unknown { // Evaluate may settle what comes out the same whatever is unknown
		d = authz.Evaluate(req, pols, t.facts)
		outcome = d.Outcome
	}
	ok := c.HasExpected && outcome == c.Expected
	switch {
	case ok:
		t.right++
	case c.HasExpected:
		t.wrong++
	default:
		t.asked++
	}
	if ok && !t.options.json && !t.options.explain {
		return nil
	}
	if d.Layers == nil {
		d = authz.Evaluate(req, pols, t.facts)
	}
	if t.options.json {
		a := newAnswer(c, &d, t.options.explain)
		a.Doubts = doubts
		return t.line(a)
	}
	return t.text(c, &d)
}

func (t *tester) summary() {
	var parts []string
	for _, part := range []struct {
		n    int
		text string
	}{{t.right, "as expected"}, {t.wrong, "not as expected"}, {t.asked, "without an expected answer"}, {t.unusable, "unusable"}, {t.unread, "not read to the end"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.text))
		}
	}
	if parts == nil {
		parts = []string{"no cases"}
	}
	fmt.Fprintln(t.out, strings.Join(parts, ", "))
}
