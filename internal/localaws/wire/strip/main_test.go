package main

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const model = `{"version":"2.0","documentation":"<p>x</p>",
 "metadata":{"protocol":"json"},
 "operations":{"Get":{"name":"Get","documentation":"x","input":{"shape":"In"},"staticContextParams":{}}},
 "shapes":{
  "In":{"type":"structure","documentation":"x","required":["documentation"],"members":{
    "documentation":{"shape":"Text","documentation":"x","deprecatedMessage":"x"}}},
  "Text":{"type":"string","max":9223372036854775807,"documentation":"x"},
  "List":{"type":"list","member":{"shape":"Text","documentation":"x"}}}}`

const stripped = `{"metadata":{"protocol":"json"},"operations":{"Get":{"input":{"shape":"In"},"name":"Get"}},` +
	`"shapes":{"In":{"members":{"documentation":{"shape":"Text"}},"required":["documentation"],"type":"structure"},` +
	`"List":{"member":{"shape":"Text"},"type":"list"},"Text":{"max":9223372036854775807,"type":"string"}},"version":"2.0"}`

// installation writes a botocore of one service with two API versions.
func installation(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, version := range []string{"2014-01-01", "2020-01-01"} {
		text := model
		if version == "2014-01-01" {
			text = `{"version":"1.0"}`
		}
		path := filepath.Join(dir, "data", "thing", version)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "service-2.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "__init__.py"), []byte("import os\n__version__ = '1.43.11'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRunStripsTheNewestVersion(t *testing.T) {
	botocore := installation(t)
	first, second := t.TempDir(), t.TempDir()
	for _, out := range []string{first, second} {
		if err := run(botocore, []string{"thing"}, out); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(filepath.Join(first, "thing.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var got json.RawMessage
	if err := json.NewDecoder(r).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stripped, string(got)); diff != "" {
		t.Errorf("model (-want +got):\n%s", diff)
	}
	for _, name := range []string{"thing.json.gz", "SHA256SUMS", "VERSION"} {
		if a, b := read(t, first, name), read(t, second, name); a != b {
			t.Errorf("%s differs between two runs", name)
		}
	}
	if got := read(t, first, "VERSION"); got != "botocore 1.43.11\n" {
		t.Errorf("VERSION = %q", got)
	}
	if got := read(t, first, "SHA256SUMS"); !strings.HasSuffix(got, "  thing.json.gz\n") || len(got) != 64+2+len("thing.json.gz\n") {
		t.Errorf("SHA256SUMS = %q", got)
	}
}

func TestRunSaysWhatIsMissing(t *testing.T) {
	cases := []struct {
		name, botocore, service, want string
	}{
		{"no directory", "", "thing", "-botocore"},
		{"another directory", t.TempDir(), "thing", "__init__.py"},
		{"an unknown service", installation(t), "nothing", "nothing"},
	}
	for _, c := range cases {
		if err := run(c.botocore, []string{c.service}, t.TempDir()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: run = %v, want an error about %s", c.name, err, c.want)
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
