package compile_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/compile/compiletest"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
)

var update = flag.Bool("update", false, "write the outputs of the golden archives")

// TestGolden holds every stage of each case: what is asked of AWS, what is
// wanted there, why, and what there is to complain about.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob = %v, %v; want archives", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			c := compiletest.Load(t, file)
			inv, asked := c.Observe(t)
			w, diags := compile.Compile(c.Set, inv)
			got := []txtar.File{{Name: "want/needs", Data: needsText(asked)}}
			if len(diags) > 0 {
				got = append(got, txtar.File{Name: "want/diagnostics", Data: diagText(t, diags)})
			}
			if w != nil {
				got = append(got, txtar.File{Name: "want/choices", Data: choicesText(w)}, txtar.File{Name: "want/wanted.json", Data: wantedText(t, w)})
			}
			compareGolden(t, file, c.Archive, got)
		})
	}
}

func compareGolden(t *testing.T, file string, ar *txtar.Archive, got []txtar.File) {
	t.Helper()
	inputs := slices.DeleteFunc(slices.Clone(ar.Files), func(f txtar.File) bool { return strings.HasPrefix(f.Name, "want/") })
	fresh := txtar.Format(&txtar.Archive{Comment: ar.Comment, Files: append(inputs, got...)})
	if *update {
		if err := os.WriteFile(file, fresh, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(txtar.Format(ar)), string(fresh)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func needsText(asked []inventory.Request) []byte {
	var b bytes.Buffer
	for i, req := range asked {
		fmt.Fprintf(&b, "round %d\n", i+1)
		if req.Organization {
			fmt.Fprintln(&b, "  organization")
		}
		for _, id := range sortedIDs(req.Accounts) {
			r := req.Accounts[id]
			if r.Quotas {
				fmt.Fprintf(&b, "  %s quotas\n", id)
			}
			for _, list := range []struct {
				kind  string
				names []string
			}{{"role", r.Roles}, {"user", r.Users}, {"policy", r.Managed}, {"provider", r.Providers}, {"secret", r.Secrets}, {"key", r.Keys}, {"resource", r.Resources}} {
				for _, n := range list.names {
					fmt.Fprintf(&b, "  %s %s %s\n", id, list.kind, n)
				}
			}
			for _, ref := range r.Clusters {
				fmt.Fprintf(&b, "  %s cluster %s/%s\n", id, ref.Region, ref.Name)
			}
		}
	}
	return b.Bytes()
}

func diagText(t *testing.T, diags diag.List) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := diags.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func choicesText(w *compile.Wanted) []byte {
	var b bytes.Buffer
	for _, c := range w.Choices {
		fmt.Fprintf(&b, "%s: %s in %s", c.Access, c.Caller, c.Account)
		if c.Item >= 0 {
			fmt.Fprintf(&b, ", item %d", c.Item)
		}
		fmt.Fprintf(&b, "\n  %s: %s\n", c.Pattern, c.Because)
		for _, r := range c.Rejected {
			fmt.Fprintf(&b, "  not %s: %s\n", r.Pattern, r.Because)
		}
	}
	return b.Bytes()
}

func wantedText(t *testing.T, w *compile.Wanted) []byte {
	t.Helper()
	without := *w
	without.Choices = nil
	out, err := json.MarshalIndent(without, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// TestWantedSurvivesJSON: a saved plan holds a Wanted.
func TestWantedSurvivesJSON(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		w, _, _ := compiletest.Load(t, file).Compile(t)
		if w == nil {
			continue
		}
		text, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		back := &compile.Wanted{}
		if err := json.Unmarshal(text, back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(back)
		if err != nil || !bytes.Equal(text, again) {
			t.Errorf("%s: Marshal after Unmarshal = %s, %v; want %s", file, again, err, text)
		}
	}
}
