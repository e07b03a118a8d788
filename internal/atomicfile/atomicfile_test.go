package atomicfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/atomicfile"
)

func TestWriteReplacesTheWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "file")
	for _, text := range []string{"a long first text", "short", ""} {
		if err := atomicfile.Write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("the file holds %q, %v, want %q", got, err, text)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("its mode is %v, %v", info.Mode(), err)
		}
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("beside it: %v, %v", files, err)
	}
}

func TestWhatCannotBeWrittenLeavesWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil { // a directory cannot be replaced
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, []byte("x")); err == nil || !strings.Contains(err.Error(), "writing "+path) {
		t.Errorf("over a directory: %v, want the path named", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

func TestPlace(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file:                                   "",
		filepath.Join(dir, "new"):              "",
		"here":                                 "",
		"/dev/stdout":                          "",
		filepath.Join(dir, "a", "new"):         "there is no directory " + filepath.Join(dir, "a"),
		filepath.Join(file, "under", "a file"): "not a directory",
		filepath.Join(file, "below"):           file + " is no directory",
	} {
		if err := atomicfile.Place(path); (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path)) {
			t.Errorf("Place(%s) = %v, want %q", path, err, want)
		}
	}
}
