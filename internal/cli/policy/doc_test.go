package policy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/cli/policy"
	"github.com/stile-aws/stile/internal/cli/term"
)

// block is the text of the document's first code block of a language.
func block(t *testing.T, text, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "```"+language+"\n")
	code, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatalf("docs/policy-test.md has no block of %s", language)
	}
	return code
}

func TestTheExampleOfTheDocumentPrintsWhatItSays(t *testing.T) {
	document, err := os.ReadFile("../../../docs/policy-test.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile(filepath.Clean("orders.yaml"), []byte(block(t, string(document), "yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	prompt, want, _ := strings.Cut(block(t, string(document), "console"), "\n")
	var out, log bytes.Buffer
	s := &term.Streams{In: strings.NewReader(""), Out: &out, Err: &log}
	cmd := policy.New(s)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(strings.Fields(strings.TrimPrefix(prompt, "$ stile policy")))
	if code := term.Code(s, cmd.ExecuteContext(t.Context())); code != term.Failed || log.Len() > 0 {
		t.Errorf("exit %d, want %d; standard error %q", code, term.Failed, log.String())
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}
