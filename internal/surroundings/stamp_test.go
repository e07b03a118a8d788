package surroundings_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stile-aws/stile/internal/surroundings"
)

// Every file that decides changes the stamp; others do not.
func TestStamp(t *testing.T) {
	home := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("declared/a.yaml", "")
	linked := filepath.Join(home, "linked")
	if err := os.Symlink(filepath.Join(home, "declared"), linked); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"HOME": home}[name] }
	stamp := func() string { return surroundings.Stamp(getenv, linked, "", filepath.Join(home, "none")) }
	last := stamp()
	for _, c := range []struct {
		file    string
		changes bool
	}{
		{".config/stile/sessions.yaml", true},
		{".aws/config", true},
		{".aws/credentials", true},
		{".local/state/stile/scopes/payroll/routes.json", true},
		{".local/state/stile/scopes/payroll/journal.jsonl", false},
		{".local/state/stile/local/127.0.0.1_4566.json", true},
		{".local/state/stile/issued.jsonl", false},
		{"declared/a.yaml", true},
		{"declared/below/b.yaml", true},
		{"declared/.git/index", false},
		{".aws/sso/cache/token.json", false},
	} {
		write(c.file, "changed")
		next := stamp()
		if (next != last) != c.changes {
			t.Errorf("writing %s changes the stamp: %t, want %t", c.file, next != last, c.changes)
		}
		last = next
	}
	if again := stamp(); again != last {
		t.Error("the stamp of the same files is another")
	}
}

// A name relative to the working directory is another file elsewhere.
func TestStampOfRelativeNames(t *testing.T) {
	getenv := func(name string) string {
		return map[string]string{"HOME": "/home/nobody", "AWS_CONFIG_FILE": "config"}[name]
	}
	one, other := t.TempDir(), t.TempDir()
	for _, dir := range []string{one, other} {
		if err := os.WriteFile(filepath.Join(dir, "config"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(one, "config"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(other, "config"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	t.Chdir(one)
	here := surroundings.Stamp(getenv)
	t.Chdir(other)
	if there := surroundings.Stamp(getenv); there == here {
		t.Error("two files have one stamp")
	}
}

func TestGuarded(t *testing.T) {
	dir := t.TempDir()
	below := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	if surroundings.Guarded() {
		t.Error("there is a guard")
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, surroundings.GuardFile)); err != nil {
		t.Fatal(err)
	}
	if !surroundings.Guarded() {
		t.Error("there is no guard, although something has its name")
	}
}
