package surroundings_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stile-aws/stile/internal/surroundings"
)

// Locks are where all processes find the same: what the state's directory is not made
// for, the runtime directory is.
func TestLocksAreWhereTheyCanBeWritten(t *testing.T) {
	dir := t.TempDir()
	file, runtime := filepath.Join(dir, "file"), filepath.Join(dir, "runtime")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, state, runtime, keep, want string }{
		{"a state that is there", dir, runtime, "", filepath.Join(dir, "stile/locks")},
		{"one that can be made", filepath.Join(dir, "a/b"), runtime, "", filepath.Join(dir, "a/b/stile/locks")},
		{"none that can be written", file, runtime, "", filepath.Join(runtime, "stile/locks")},
		{"none, and nothing is kept", file, runtime, "off", filepath.Join(runtime, "stile/locks")},
		{"no better place", file, filepath.Join(dir, "other"), "", filepath.Join(file, "stile/locks")},
	} {
		env := map[string]string{"HOME": dir, "XDG_STATE_HOME": c.state, "XDG_RUNTIME_DIR": c.runtime, surroundings.KeepEnv: c.keep}
		for range 2 { // whoever asks later
			p, err := surroundings.FindPaths(func(name string) string { return env[name] })
			if err != nil || p.Locks != c.want {
				t.Errorf("%s: locks are in %q, %v, want %q", c.name, p.Locks, err, c.want)
			}
			if err := os.MkdirAll(p.Locks, 0o700); (err == nil) != (c.name != "no better place") {
				t.Errorf("%s: making %s: %v", c.name, p.Locks, err)
			}
		}
	}
}
