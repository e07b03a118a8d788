package doctor_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

type finding struct{ Check, Level, Text, Hint string }

// findings runs stile doctor and gives what it found and its exit code.
func findings(t *testing.T, w *routetest.World, env ...string) ([]finding, int) {
	t.Helper()
	r := w.Stile(t, env, "doctor", "--json")
	var out struct{ Findings []finding }
	if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil {
		t.Fatalf("exit %d: %v: %s%s", r.Code, err, r.Stdout, r.Stderr)
	}
	return out.Findings, r.Code
}

func TestComputerInOrder(t *testing.T) {
	w := routetest.New(t)
	all, code := findings(t, w)
	if code != 0 {
		t.Errorf("exit %d: %+v", code, all)
	}
	for _, check := range []string{"network", "clock", "environment", "files", "permissions"} {
		found := false
		for _, f := range all {
			found = found || f.Check == check && f.Level == "ok"
		}
		if !found && check != "environment" { // AWS_CONFIG_FILE names none that is there
			t.Errorf("%s is not in order: %+v", check, all)
		}
	}
	if r := w.Stile(t, nil, "doctor"); r.Code != 0 || !strings.Contains(r.Stdout, "ok       clock        the clock agrees with STS's\n") {
		t.Errorf("as text: exit %d\n%s", r.Code, r.Stdout)
	}
}

// clock is an STS whose clock is off.
func clock(t *testing.T, off time.Duration) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// What import takes over, and what config write writes, has one name for one role.
func TestNamesOfOneThingAreNoProblem(t *testing.T) {
	w := routetest.New(t)
	w.Write(t, ".config/stile/sessions.yaml", `
sources:
- name: acme
  identityCenter: {startURL: https://acme.awsapps.com/start, region: eu-west-1}
- {name: tooling, profile: {name: tooling}}
sessions:
- {name: dev, source: acme, account: orders-dev, role: Admin}
- {name: deploy, source: acme, account: "222222222222", role: "arn:aws:iam::222222222222:role/team/deploy"}
- {name: written, source: acme, account: "222222222222", role: Admin}
`)
	w.Write(t, "config", `
[profile dev]
sso_account_id = 111111111111
sso_role_name = Admin
[profile deploy]
role_arn = arn:aws:iam::222222222222:role/team/deploy
source_profile = tooling
[profile written]
credential_process = stile credential-process written
`)
	all, _ := findings(t, w)
	for _, f := range all {
		if strings.Contains(f.Text, "an AWS profile too") {
			t.Errorf("%+v", f)
		}
	}
}

func TestEachProblemIsFound(t *testing.T) {
	for _, c := range []struct {
		name, check, level, want string
		env                      []string
		prepare                  func(t *testing.T, w *routetest.World) []string
	}{
		{"STS is not reached", "network", "problem", "STS is not reached at http://127.0.0.1:1", []string{"AWS_ENDPOINT_URL_STS=http://127.0.0.1:1"}, nil},
		{"a slow clock", "clock", "problem", "this computer's clock is off by -", nil, func(t *testing.T, _ *routetest.World) []string {
			return []string{"AWS_ENDPOINT_URL=" + clock(t, 10*time.Minute)}
		}},
		{"a clock that is a little fast", "clock", "warning", "this computer's clock is off by 2m", nil, func(t *testing.T, _ *routetest.World) []string {
			return []string{"AWS_ENDPOINT_URL=" + clock(t, -2*time.Minute)}
		}},
		{"another endpoint", "endpoint", "warning", "sends AWS clients to", nil, func(t *testing.T, _ *routetest.World) []string {
			return []string{"AWS_ENDPOINT_URL=" + clock(t, 0)}
		}},
		{"keys beside a profile", "environment", "warning", "AWS_ACCESS_KEY_ID wins over AWS_PROFILE", []string{"AWS_ACCESS_KEY_ID=AKIAX", "AWS_SECRET_ACCESS_KEY=x", "AWS_PROFILE=tooling"}, nil},
		{"half a key", "environment", "problem", "one is set alone", []string{"AWS_ACCESS_KEY_ID=AKIAX"}, nil},
		{"a session's key without its token", "environment", "problem", "there is no AWS_SESSION_TOKEN", []string{"AWS_ACCESS_KEY_ID=ASIAX", "AWS_SECRET_ACCESS_KEY=x"}, nil},
		{"credentials that ended", "environment", "problem", "ended at 2026-01-01", []string{"AWS_ACCESS_KEY_ID=ASIAX", "AWS_SECRET_ACCESS_KEY=x", "AWS_SESSION_TOKEN=x", "AWS_CREDENTIAL_EXPIRATION=2026-01-01T00:00:00Z"}, nil},
		{"a token file that is not there", "environment", "problem", "AWS_WEB_IDENTITY_TOKEN_FILE names /nonexistent", []string{"AWS_WEB_IDENTITY_TOKEN_FILE=/nonexistent"}, nil},
		{"a profile that is not there", "files", "problem", `AWS_PROFILE is "nobody"`, []string{"AWS_PROFILE=nobody"}, nil},
		{"a config file with a fault", "files", "", "config:2:1: role_arn without", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, "config", "[profile x]\nrole_arn = arn:aws:iam::111111111111:role/x\n")
			return nil
		}},
		{"open credentials", "permissions", "problem", "others can read or change", nil, func(t *testing.T, w *routetest.World) []string {
			if err := os.Chmod(filepath.Join(w.Dir, "credentials"), 0o644); err != nil {
				t.Fatal(err)
			}
			return nil
		}},
		{"not signed in", "sessions", "warning", "you are not signed in to acme", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, ".config/stile/sessions.yaml", "sources:\n- name: acme\n  identityCenter: {startURL: https://acme.awsapps.com/start, region: eu-west-1}\n")
			return nil
		}},
		{"a user without a key", "sessions", "problem", "source me has no access key", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, ".config/stile/sessions.yaml", "sources:\n- name: me\n  user: {}\n")
			return nil
		}},
		{"a source that has nothing", "sessions", "warning", "source p cannot be used here: no profile nobody", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, ".config/stile/sessions.yaml", "sources:\n- name: p\n  profile: {name: nobody}\n")
			return nil
		}},
		{"a member that is nothing", "sessions", "warning", "member nobody of group g is of no session", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, ".config/stile/sessions.yaml", "groups:\n- {name: g, members: [nobody, x/y, tooling]}\n")
			return nil
		}},
		{"a member of no source", "sessions", "warning", "member gone:x/y of group g is of no session", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, ".config/stile/sessions.yaml", "groups:\n- {name: g, members: ['gone:x/y']}\n")
			return nil
		}},
		{"a name of two things", "sessions", "warning", "acme is a source, which stile takes, and an AWS profile too, at ", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, ".config/stile/sessions.yaml", "sources:\n- name: acme\n  identityCenter: {startURL: https://acme.awsapps.com/start, region: eu-west-1}\n")
			w.Write(t, "config", "[profile acme]\nregion = us-east-1\n")
			return nil
		}},
		{"a session that is another role than the profile", "sessions", "warning", "prod is a session, which stile takes, and an AWS profile too, at ", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, ".config/stile/sessions.yaml", "sources:\n- name: acme\n  identityCenter: {startURL: https://acme.awsapps.com/start, region: eu-west-1}\nsessions:\n- {name: prod, source: acme, account: \"222222222222\", role: Admin}\n")
			w.Write(t, "config", "[profile prod]\nsso_account_id = 111111111111\nsso_role_name = Admin\n")
			return nil
		}},
		{"nothing is kept", "sessions", "ok", "STILE_KEEP is off", []string{"STILE_KEEP=off"}, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, ".config/stile/sessions.yaml", "sources:\n- name: p\n  profile: {name: tooling}\n")
			return nil
		}},
		{"broken sessions", "sessions", "problem", "sessions.yaml", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, ".config/stile/sessions.yaml", "sources: 1\n")
			return nil
		}},
		{"a rotation that was interrupted", "rotation", "problem", "did not come to its end", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, "state/stile/rotate/0.json", "{}")
			return nil
		}},
		{"a change that was interrupted", "files", "warning", "is left of a change", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, ".config.stile-1", "")
			return nil
		}},
		{"a log with half a line", "log", "warning", "1 lines of", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, "state/stile/issued.jsonl", "{")
			return nil
		}},
		{"a broken guard", "guard", "problem", "reading the guard of", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, ".stile-guard.yaml", "x: y")
			return nil
		}},
		{"a guard", "guard", "ok", "holds here", nil, func(t *testing.T, w *routetest.World) []string {
			w.Write(t, ".stile-guard.yaml", "as: readonly")
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := routetest.New(t)
			env := c.env
			if c.prepare != nil {
				env = append(env, c.prepare(t, w)...)
			}
			all, code := findings(t, w, env...)
			var got *finding
			for i, f := range all {
				if f.Check == c.check && strings.Contains(f.Text, c.want) {
					got = &all[i]
				}
			}
			if got == nil {
				t.Fatalf("exit %d: %+v, want %s with %q", code, all, c.check, c.want)
			}
			if c.level != "" && got.Level != c.level || c.level == "problem" && code != 1 || got.Level != "ok" && got.Hint == "" {
				t.Errorf("exit %d: %+v, want a %s and what to do", code, *got, c.level)
			}
		})
	}
}

// The local AWS answers by the computer's clock, wherever its own was moved to.
func TestTheLocalClockWasMoved(t *testing.T) {
	w := routetest.New(t)
	for range 2 {
		if r := w.Stile(t, nil, "local", "clock", "advance", "50m"); r.Code != 0 {
			t.Fatal(r.Stderr)
		}
	}
	all, code := findings(t, w)
	i := slices.IndexFunc(all, func(f finding) bool { return f.Check == "clock" })
	if code != 0 || i < 0 || all[i].Level != "warning" || !strings.Contains(all[i].Text, "was moved 1h40m0s ahead") && !strings.Contains(all[i].Text, "was moved 1h39m59s ahead") {
		t.Errorf("exit %d, %+v, want that the local AWS's clock was moved", code, all)
	}
}
