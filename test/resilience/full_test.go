package resilience_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// full runs stile where no file can grow: a disk that is full, as far as any test
// may have one.
func full(t *testing.T, w *logintest.World, stdin string, args ...string) routetest.Result {
	t.Helper()
	cmd := w.Command(t, "sh", append([]string{"-c", `ulimit -f 0; exec stile "$@"`, "sh"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	return routetest.Run(t, cmd)
}

// contents are the files of a world that hold something of the person's.
func contents(t *testing.T, w *logintest.World) tree {
	t.Helper()
	out := snapshot(t, w.Dir)
	for path, text := range out {
		if len(text) == 0 || strings.HasSuffix(path, "/pages") || strings.Contains(path, "/locks/") || strings.Contains(path, "/alias/") {
			delete(out, path)
		}
	}
	return out
}

func unchanged(t *testing.T, w *logintest.World, before tree) {
	t.Helper()
	if diff := cmp.Diff(before, contents(t, w)); diff != "" {
		t.Errorf("files changed (-before +after):\n%s", diff)
	}
}

func TestAFullDiskIsSaidOnceAndNothingIsLost(t *testing.T) {
	w := wellUsed(t)
	w.Write(t, ".aws/credentials", "[keys]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = x\n")
	const edge = ": file too large" // what a file that may not grow says; a disk says: no space left on device
	for _, c := range []struct {
		name  string
		args  []string
		stdin string
		gone  string   // what is not there before
		says  []string // none: it succeeds
	}{
		{name: "kept credentials", args: []string{"credential-process", "team-0/Admin"}},
		{name: "credentials that are not kept", args: []string{"credential-process", "team-1/Admin"}},
		{name: "a role that is not kept", args: []string{"credential-process", "dana:100000000003/work"}},
		{name: "lists", args: []string{"ls", "--refresh"}},
		{name: "a sign-in", args: []string{"login", "acme"}, gone: ".aws/sso/cache/*", says: []string{"signing in to acme: writing ", "/.aws/sso/cache/", edge}},
		{name: "a new session", args: strings.Fields("sessions add x --source acme --account team-1 --role Admin"), says: []string{"/sessions.yaml", edge}},
		{name: "a new key", args: strings.Fields("sessions edit dana --key-stdin"), stdin: "AKIANEW\nsecret\n", says: []string{"/user%2Fdana.age", edge}},
		{name: "AWS's configuration", args: strings.Fields("config write --yes team-0/Admin"), says: []string{"/.aws/config", edge}},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := snapshot(t, w.Dir)
			defer whole.restore(t, w.Dir)
			remove(t, w.Dir, c.gone)
			before := contents(t, w)
			r := full(t, w, c.stdin, c.args...)
			if c.args[0] == "config" {
				r.Stdout = "" // the change that it would make
			}
			if c.says == nil {
				gotOver(t, r)
			} else {
				oneMessage(t, r, c.says...)
			}
			unchanged(t, w, before)
		})
	}
	logintest.Key(t, w.Stile(t, nil, "credential-process", "team-1/Admin"))
}

// shift moves the times in a file, as if the clock had been moved since.
func shift(t *testing.T, path string, by time.Duration) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		if text, ok := value.(string); ok {
			if at, err := time.Parse(time.RFC3339, text); err == nil {
				fields[name] = at.Add(by).Format(time.RFC3339)
			}
		}
	}
	if text, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What was written by a clock that was a day off is fetched anew, and nobody is
// asked.
func TestAClockThatIsMovedCostsOneFetch(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name  string
		files string
		by    time.Duration
		gone  string
		want  map[string]int
	}{
		{"credentials, and the clock goes back", "runtime/stile/credentials/*", day, "", map[string]int{"GetRoleCredentials": 1}},
		{"credentials, and it goes forward", "runtime/stile/credentials/*", -day, "", map[string]int{"GetRoleCredentials": 1}},
		{"the sign-in, and it goes back", ".aws/sso/cache/*", day, "runtime/stile/*", map[string]int{"GetRoleCredentials": 2, "CreateToken": 1}},
		{"the sign-in, and it goes forward", ".aws/sso/cache/*", -day, "runtime/stile/*", map[string]int{"GetRoleCredentials": 1, "CreateToken": 1}},
		{"lists, and it goes back", ".cache/stile/idc/*.json", day, "", map[string]int{}},
		{"lists, and it goes forward", ".cache/stile/idc/*.json", -day, "", map[string]int{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := logintest.New(t)
			logintest.Key(t, w.Stile(t, nil, "credential-process", "team-0/Admin"))
			remove(t, w.Dir, c.gone)
			paths, err := filepath.Glob(filepath.Join(w.Dir, c.files))
			if err != nil || len(paths) == 0 {
				t.Fatalf("%s: %v, %v", c.files, paths, err)
			}
			for _, path := range paths {
				shift(t, path, c.by)
			}
			if strings.Contains(c.files, "sso") {
				if err := w.Server.World().Advance(2 * time.Hour); err != nil { // the token has ended at AWS
					t.Fatal(err)
				}
			}
			w.Since()
			logintest.Key(t, w.Stile(t, nil, "credential-process", "team-0/Admin"))
			called(t, w, c.name, c.want)
			if n := w.Pages(t); n != 1 {
				t.Errorf("%d pages were opened, want 1", n)
			}
		})
	}
}

// A keyring that does not answer is said, with what else there is.
func TestAKeyringThatIsNotThere(t *testing.T) {
	w := logintest.New(t)
	w.Env = append(w.Env, "STILE_SECRETS=keyring", "DBUS_SESSION_BUS_ADDRESS=unix:path="+filepath.Join(w.Dir, "nothing"))
	add := w.Command(t, "stile", strings.Fields("sessions add dana --user --key-stdin --account 100000000000")...)
	add.Stdin = strings.NewReader("AKIAEXAMPLE\nsecret\n")
	oneMessage(t, routetest.Run(t, add), "giving the key to the keyring", "unlock it, or choose another keeper (passphrase, keyfile)")
	w.Write(t, ".local/share/stile/secrets/keeper", "keyring\n")
	w.Write(t, ".local/share/stile/secrets/recipient", "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq\n")
	w.Write(t, ".local/share/stile/secrets/secrets/user%2Fdana.age", "sealed")
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n  - {name: dana, user: {account: \"100000000000\"}}\n")
	before := contents(t, w)
	oneMessage(t, w.Stile(t, nil, "credential-process", "dana"), "asking the keyring", "unlock it and try again")
	unchanged(t, w, before)
}
