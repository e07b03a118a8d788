package resilience_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// faults are what a file may have become.
var faults = []struct {
	name string
	make func(path string, text []byte) error
}{
	{"empty", func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o600) }},
	{"half", func(path string, text []byte) error { return os.WriteFile(path, half(path, text), 0o600) }},
	{"zeros", func(path string, text []byte) error { return os.WriteFile(path, make([]byte, len(text)), 0o600) }},
	{"garbage", func(path string, _ []byte) error {
		return os.WriteFile(path, []byte("\xff\xfe{\"\x00: !!\n\t- ["), 0o600)
	}},
	{"a list", func(path string, _ []byte) error { return os.WriteFile(path, []byte(`[1, "x", {"key": null}]`), 0o600) }},
	{"of other types", func(path string, _ []byte) error {
		return os.WriteFile(path, []byte(`{"accessToken": 5, "expiresAt": {}, "refreshToken": [], "clientId": 1, "clientSecret": true, "key": [], "at": 7, "items": "x", "sources": 3, "sessions": {"a": 1}}`), 0o600)
	}},
	{"a directory", func(path string, _ []byte) error { return os.Mkdir(path, 0o700) }},
	{"a circle of links", func(path string, _ []byte) error { return os.Symlink(path, path) }},
	{"unreadable", func(path string, text []byte) error { return os.WriteFile(path, text, 0) }},
}

// half is the first half of a file: of YAML whole lines, whose lengths depend on
// where the test's directory is.
func half(path string, text []byte) []byte {
	text = text[:len(text)/2]
	if filepath.Ext(path) == ".yaml" {
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	return text
}

// tree is all files of a world's directory, to be put back.
type tree map[string][]byte

func snapshot(t *testing.T, dir string) tree {
	t.Helper()
	out := tree{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		out[path], err = os.ReadFile(path)
		if errors.Is(err, fs.ErrPermission) { // nor can anybody change it
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// ours are the parts of the home directory that commands write in.
var ours = []string{"runtime", "state", ".cache", ".aws", ".config", ".local"}

func (s tree) restore(t *testing.T, dir string) {
	t.Helper()
	for _, name := range ours {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "runtime"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range s {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o600)
		if !strings.Contains(path, "/.") && !strings.Contains(path, "/state/") && !strings.Contains(path, "/runtime/") {
			mode = 0o700 // the browsers
		}
		if err := os.WriteFile(path, text, mode); err != nil {
			t.Fatal(err)
		}
	}
}

// wellUsed is a world in which everything that is kept is there.
func wellUsed(t *testing.T) *logintest.World {
	t.Helper()
	w := logintest.New(t)
	w.Dana(t)
	for _, address := range []string{"team-0/Admin", "dana:100000000001/work"} {
		logintest.Key(t, w.Stile(t, nil, "credential-process", address))
	}
	if r := w.Stile(t, nil, "ls"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	w.Write(t, ".aws/config", "[profile other]\nregion = eu-west-1\n")
	return w
}

// oneMessage fails unless the command ended with one message that has the texts.
func oneMessage(t *testing.T, r routetest.Result, texts ...string) {
	t.Helper()
	if r.Code != 1 || r.Stdout != "" || strings.Count("\n"+r.Stderr, "\nstile: ") != 1 || !strings.HasPrefix(r.Stderr, "stile: ") {
		t.Errorf("exit %d, stdout %q, stderr %q, want exit 1 and one message", r.Code, r.Stdout, r.Stderr)
	}
	for _, text := range texts {
		if !slices.ContainsFunc(strings.Split(text, "|"), func(one string) bool { return strings.Contains(r.Stderr, one) }) {
			t.Errorf("stderr %q, want %q in it", r.Stderr, text)
		}
	}
}

// gotOver fails unless the command did what it should. It may say what it did
// without.
func gotOver(t *testing.T, r routetest.Result) {
	t.Helper()
	if r.Code != 0 || strings.Count(r.Stderr, "\n") > 1 && !strings.Contains(r.Stderr, "+[profile") {
		t.Errorf("exit %d, stderr %q, want that it is got over", r.Code, r.Stderr)
	}
}

func TestWhateverBecomesOfAFileItIsGotOverOrSaidOnce(t *testing.T) {
	w := wellUsed(t)
	whole := snapshot(t, w.Dir)
	const credentials, work = "credential-process", "dana:100000000001/work"
	for _, c := range []struct {
		name  string
		files string // a pattern
		fresh string // other files that are not there
		args  []string
		env   []string
		// says is what the one message has, alternatives between bars. Without it the
		// command succeeds.
		says []string
		but  map[string][]string // by fault, what else is said
	}{
		{name: "kept credentials", files: "runtime/stile/credentials/*", args: []string{credentials, "team-0/Admin"}},
		{name: "names of kept credentials", files: "runtime/stile/alias/*", args: []string{credentials, "team-0/Admin"}},
		{name: "the sign-in", files: ".aws/sso/cache/*", fresh: "runtime/stile/*", args: []string{credentials, "team-0/Admin"},
			but: map[string][]string{"a directory": {"/.aws/sso/cache/", "a directory is in the way; remove it"}}},
		{name: "the sign-in, and nobody is there", files: ".aws/sso/cache/*", fresh: "runtime/stile/*", args: []string{credentials, "team-0/Admin"}, env: []string{"STILE_NO_LOGIN=1"},
			says: []string{"not signed in to acme: run stile login acme"}},
		{name: "lists of accounts", files: ".cache/stile/idc/*.json", fresh: "runtime/stile/*", args: []string{credentials, "team-0/Admin"}},
		{name: "lists of roles", files: ".cache/stile/idc/acme/*.json", args: []string{"ls"}},
		{name: "names of people", files: ".cache/stile/names/*", args: []string{credentials, "dana:100000000002/work"}},
		{name: "the log", files: "state/stile/issued.jsonl", args: []string{credentials, "team-0/Admin"}},
		{name: "the pace", files: "state/stile/locks/pace-*", fresh: "runtime/stile/*", args: []string{credentials, "team-0/Admin"},
			but: map[string][]string{"a directory": {"/locks/pace-", "remove it"}, "a circle of links": {"/locks/pace-", "remove it"}, "unreadable": {"/locks/pace-", "permission denied"}}},
		{name: "sessions", files: ".config/stile/sessions.yaml", args: []string{credentials, "team-0/Admin"}, says: []string{"stile/sessions.yaml", "it must be a file|correct the file"},
			but: map[string][]string{"empty": {"no declarations"}, "half": nil}}, // which are sessions.yaml files, with less in them
		{name: "secrets", files: ".local/share/stile/secrets/secrets/*", fresh: "runtime/stile/*", args: []string{credentials, work}, says: []string{"/user%2Fdana.age", "stile sessions edit dana|it must be a file"}},
		{name: "the store's key", files: ".local/share/stile/secrets/key", fresh: "runtime/stile/*", args: []string{credentials, work}, says: []string{"/secrets", "put it back from a backup|it must be a file"}},
		{name: "the store's keeper", files: ".local/share/stile/secrets/keeper", fresh: "runtime/stile/*", args: []string{credentials, work}, says: []string{"/secrets/keeper", "write keyring, passphrase or keyfile into it|it must be a file"}},
		{name: "AWS's configuration", files: ".aws/config", args: []string{"config", "write", "--yes", "team-0/Admin"},
			but: map[string][]string{"a directory": {"/.aws/config"}, "a circle of links": {"/.aws/config"}, "unreadable": {"/.aws/config", "permission denied"}}},
	} {
		for _, f := range faults {
			t.Run(c.name+" is "+f.name, func(t *testing.T) {
				if f.name == "unreadable" && os.Getuid() == 0 {
					t.Skip("root reads everything")
				}
				whole.restore(t, w.Dir)
				remove(t, w.Dir, c.fresh)
				paths, err := filepath.Glob(filepath.Join(w.Dir, c.files))
				if err != nil || len(paths) == 0 {
					t.Fatalf("%s: %v, %v", c.files, paths, err)
				}
				for _, path := range paths {
					if err := os.RemoveAll(path); err != nil {
						t.Fatal(err)
					}
					if err := f.make(path, whole[path]); err != nil {
						t.Fatal(err)
					}
				}
				says, other := c.but[f.name]
				if !other {
					says = c.says
				}
				before := snapshot(t, filepath.Join(w.Dir, ".config"))
				r := w.Stile(t, c.env, c.args...)
				if says == nil {
					gotOver(t, r)
				} else {
					oneMessage(t, r, says...)
				}
				if diff := cmp.Diff(before, snapshot(t, filepath.Join(w.Dir, ".config"))); diff != "" {
					t.Errorf("the person's file changed (-before +after):\n%s", diff)
				}
			})
		}
	}
}

func remove(t *testing.T, dir, pattern string) {
	t.Helper()
	if pattern == "" {
		return
	}
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if err := os.RemoveAll(p); err != nil {
			t.Fatal(err)
		}
	}
}
