package importer_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/stile-aws/stile/internal/importer"
	"github.com/stile-aws/stile/internal/inventory"

	"os"
)

var update = flag.Bool("update", false, "write the archives' results anew")

// A case is an archive: the input under any name, base.json (an inventory without
// its heading), options.json, and what came out: findings, changes against the
// base, and the inventory. Names below "dir/" are the files of a directory.
func TestImports(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runCase(t, file, archive)
		})
	}
}

func runCase(t *testing.T, file string, archive *txtar.Archive) {
	c := readCase(t, archive)
	before := asJSON(t, c.base)
	got, err := importer.Read(c.files, c.input, c.base, c.options)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, asJSON(t, c.base)); diff != "" {
		t.Errorf("Read changed the base:\n%s", diff)
	}
	var findings bytes.Buffer
	if err := got.Findings.Print(&findings); err != nil {
		t.Fatal(err)
	}
	results := map[string]string{"findings": findings.String(), "changes": changes(c.base, got.Inventory), "inventory": asJSON(t, got.Inventory)}
	for _, name := range []string{"findings", "changes", "inventory"} {
		if *update {
			setFile(archive, name, results[name])
		} else if diff := cmp.Diff(c.want[name], results[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

type testCase struct {
	files   fstest.MapFS
	input   string
	base    *inventory.Inventory
	options importer.Options
	want    map[string]string
}

func readCase(t *testing.T, archive *txtar.Archive) testCase {
	t.Helper()
	c := testCase{files: fstest.MapFS{}, want: map[string]string{}}
	for _, f := range archive.Files {
		var err error
		switch f.Name {
		case "base.json":
			err = json.Unmarshal(f.Data, &c.base)
		case "options.json":
			err = json.Unmarshal(f.Data, &c.options)
		case "findings", "changes", "inventory":
			c.want[f.Name] = string(f.Data)
		default:
			c.files[f.Name] = &fstest.MapFile{Data: f.Data}
			c.input, _, _ = strings.Cut(f.Name, "/")
		}
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
	return c
}

func setFile(archive *txtar.Archive, name, text string) {
	for i := range archive.Files {
		if archive.Files[i].Name == name {
			archive.Files[i].Data = []byte(text)
			return
		}
	}
	archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(text)})
}

func asJSON(t *testing.T, inv *inventory.Inventory) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(inv); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func changes(before, after *inventory.Inventory) string {
	var b strings.Builder
	for _, c := range inventory.Diff(before, after) {
		fmt.Fprintf(&b, "%s %s: %s\n", c.Account, c.What, c.Kind)
		for _, d := range c.Details {
			fmt.Fprintf(&b, "  %s\n", d)
		}
	}
	return b.String()
}
