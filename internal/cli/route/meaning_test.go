package route_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// repository is the example's declarations in a directory that stile is run in.
func repository(t *testing.T, w *routetest.World) (dir string, run func(args ...string) routetest.Result) {
	t.Helper()
	dir = filepath.Join(w.Dir, "repository")
	if err := os.CopyFS(dir, os.DirFS(routetest.Example(t, "payroll"))); err != nil {
		t.Fatal(err)
	}
	return dir, func(args ...string) routetest.Result {
		cmd := w.Command(t, "stile", args...)
		cmd.Dir = dir
		return routetest.Run(t, cmd)
	}
}

// Entering a directory gives the names that a person knows no other meaning.
func TestDeclarationsHereDoNotRenameAccounts(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	dir, run := repository(t, w)
	get := []string{"credential-process", api}
	if r := run(get...); r.Code != 0 {
		t.Fatalf("with the same meaning: exit %d, %s", r.Code, r.Stderr)
	}
	files, err := filepath.Glob(filepath.Join(w.Dir, "*", "stile", "scopes", "*", "routes.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("applied: %v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], []byte(strings.ReplaceAll(string(text), "222222222222", "999999999999")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{get, {"explain-credential", api}, {"exec", api, "--", "true"}} {
		if r := run(args...); r.Code != 1 || !strings.Contains(r.Stderr, "999999999999 by what was applied") || !strings.Contains(r.Stderr, "222222222222 by the declarations of "+dir) {
			t.Errorf("%s: exit %d, %s%s, want that the two differ", args[0], r.Code, r.Stdout, r.Stderr)
		}
	}
	for _, args := range [][]string{with(get, "--declarations", dir), {"credential-process", "222222222222/payroll-api"}} {
		if r := run(args...); r.Code != 0 {
			t.Errorf("%v: exit %d, %s, want what was said", args, r.Code, r.Stderr)
		}
	}
}

func TestDeclarationsOfAnotherUserArePassedOver(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	for _, scopes := range []string{"state", ".local"} {
		if err := os.RemoveAll(filepath.Join(w.Dir, scopes, "stile", "scopes")); err != nil {
			t.Fatal(err)
		}
	}
	dir, run := repository(t, w)
	if r := run("exec", api, "--", "true"); r.Code != 0 {
		t.Fatalf("of one's own: exit %d, %s", r.Code, r.Stderr)
	}
	if err := os.Chown(filepath.Join(dir, "stile.yaml"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	run("exec", api, "--", "true").Refused(t, "is another user's and is passed over")
	if r := run("exec", "--declarations", dir, api, "--", "true"); r.Code != 0 || strings.Contains(r.Stderr, "passed over") {
		t.Errorf("where they are named: exit %d, %s", r.Code, r.Stderr)
	}
}
