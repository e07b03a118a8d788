package logintest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ConsoleUser is who signs in to the console.
const ConsoleUser = "arn:aws:iam::100000000000:user/Administrator"

// ConsoleOf makes the person's browser sign in to the console as an identity.
func (w *World) ConsoleOf(t testing.TB, identity string) {
	t.Helper()
	w.Env = append(w.Env, w.Browser(t, "console", `exec stile local sign-in --user '`+identity+`' "$1"`))
}

// ConsoleToken is the only file that a sign-in to the console has left.
func (w *World) ConsoleToken(t testing.TB) (path string, fields map[string]any) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.Dir, ".aws/login/cache/*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v, want one file", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	return files[0], fields
}

// WriteConsole writes the file of a sign-in as another tool would, with credentials
// that end at a time, and forgets what is kept elsewhere.
func (w *World) WriteConsole(t testing.TB, path string, fields map[string]any, ends time.Time) {
	t.Helper()
	access, ok := fields["accessToken"].(map[string]any)
	if !ok {
		t.Fatal("the file has no accessToken")
	}
	access["expiresAt"] = ends.UTC().Format("2006-01-02T15:04:05Z")
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Stile(t, nil, "broker", "stop").Want(t, "")
	if err := os.RemoveAll(filepath.Join(w.Runtime, "stile")); err != nil {
		t.Fatal(err)
	}
}

// ExpireConsole makes the credentials of the sign-in to the console old.
func (w *World) ExpireConsole(t testing.TB) {
	t.Helper()
	path, fields := w.ConsoleToken(t)
	w.WriteConsole(t, path, fields, time.Now().Add(-time.Minute))
}

// ConsoleSecrets are the secrets in the file of the sign-in.
func (w *World) ConsoleSecrets(t testing.TB) []string {
	t.Helper()
	_, fields := w.ConsoleToken(t)
	var all []string
	var walk func(name string, v any)
	walk = func(name string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, value := range v {
				walk(name, value)
			}
		case string:
			switch name {
			case "secretAccessKey", "sessionToken", "refreshToken", "dpopKey":
				all = append(all, strings.TrimSpace(v))
			}
		}
	}
	walk("", fields)
	if len(all) != 4 {
		t.Fatalf("%d secrets in the file, want 4", len(all))
	}
	return all
}
