package access_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/stile-aws/stile/access"
)

// FuzzLoad holds that no text makes Load panic or hang, that there is a Set
// exactly when there is no error, that diagnostics have a code and lie within
// the text, and that loading the same text again says the same.
func FuzzLoad(f *testing.F) {
	archives, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if !strings.HasSuffix(file.Name, ".want") {
				f.Add(file.Data)
			}
		}
	}
	examples, _ := filepath.Glob("../examples/*/*.yaml")
	if len(archives) == 0 || len(examples) == 0 {
		f.Fatal("no seeds")
	}
	for _, name := range examples {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	basis := base(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		fsys := fstest.MapFS{"base.yaml": {Data: basis}, "case.yaml": {Data: text}}
		set, list := access.Load(fsys)
		if (set == nil) != list.HasErrors() {
			t.Fatalf("set %v beside %v", set != nil, list)
		}
		lines := bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte("\r")) + 3*bytes.Count(text, []byte("\xe2\x80")) + bytes.Count(text, []byte("\xc2\x85")) + 1
		for _, d := range list {
			if d.Code == "" || d.Summary == "" || d.Pos.File == "" {
				t.Errorf("incomplete diagnostic %+v", d)
			}
			if d.Pos.File == "case.yaml" && (d.Pos.Line > lines+1 || d.Pos.Column > len(text)+2) {
				t.Errorf("%v lies outside of %d lines", d, lines)
			}
		}
		again, list2 := access.Load(fsys)
		if list.Error() != list2.Error() || (set != nil && set.Digest != again.Digest) {
			t.Errorf("loading twice differs:\n%v\n%v", list, list2)
		}
	})
}
