package sessions_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

const center = "https://acme.awsapps.com/start"

// quiet is somebody's environment in which nobody can be asked.
func quiet(t *testing.T) *routetest.World {
	t.Helper()
	dir := t.TempDir()
	return &routetest.World{Dir: dir, Env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_ENDPOINT_URL=http://127.0.0.1:1", "STILE_NO_LOGIN=1", "STILE_BROKER=off", "STILE_KEEP=off", "GORACE=atexit_sleep_ms=0",
		"STILE_SECRETS=keyfile",
	}}
}

func TestGroupsOfSessions(t *testing.T) {
	w := quiet(t)
	for _, args := range [][]string{
		{"add", "acme", "--start-url", center, "--region", "us-east-1"},
		{"add", "prod-db", "--source", "acme", "--account", "222222222222", "--role", "Admin"},
		{"add", "release", "--member", "orders-prod/Admin", "--member", "prod-db", "--member", "*/ReadOnly"},
		{"edit", "release", "--add-member", "acme:network/Admin", "--remove-member", "orders-prod/Admin"},
	} {
		w.Stile(t, nil, append([]string{"sessions"}, args...)...).Want(t, "")
	}
	const members = "prod-db, */ReadOnly, acme:network/Admin"
	if r := w.Stile(t, nil, "sessions", "list"); !strings.Contains(r.Stdout, "release  group") || !strings.Contains(r.Stdout, members) {
		t.Errorf("the list is %s%s", r.Stdout, r.Stderr)
	}
	var b struct{ Groups []struct{ Members []string } }
	if r := w.Stile(t, nil, "sessions", "list", "--json"); json.Unmarshal([]byte(r.Stdout), &b) != nil || len(b.Groups) != 1 || !slices.Equal(b.Groups[0].Members, strings.Split(members, ", ")) {
		t.Errorf("as JSON it is %s%s", r.Stdout, r.Stderr)
	}
	for want, args := range map[string][]string{
		"release is there already":             {"sessions", "add", "release", "--member", "x/y"},
		"prod-db is a member of group release": {"sessions", "rm", "prod-db"},
		"has no member x/y":                    {"sessions", "edit", "release", "--remove-member", "x/y"},
		"member release is a group":            {"sessions", "add", "more", "--member", "release"},
		"--role is for a token or Roles Anywhere or a session, and release is a group": {"sessions", "edit", "release", "--role", "x"},
		"stile sessions rm release removes it":                                         {"sessions", "edit", "release", "--remove-member", "prod-db", "--remove-member", "*/ReadOnly", "--remove-member", "acme:network/Admin"},
		"going to release: it is a group of " + members:                                {"exec", "release", "--", "true"},
		"or stile each release":                                                        {"whoami", "release"},
		"stile each release -- COMMAND for all":                                        {"explain-credential", "release"},
	} {
		if r := w.Stile(t, nil, args...); r.Code == 0 || !strings.Contains(r.Stderr, want) {
			t.Errorf("%q: exit %d, %s, want %q", args, r.Code, r.Stderr, want)
		}
	}
	export := w.Stile(t, nil, "sessions", "export", "release")
	for _, want := range []string{"startURL", "name: prod-db", "name: release", "'*/ReadOnly'"} {
		if !strings.Contains(export.Stdout, want) {
			t.Errorf("the export has no %s: %s%s", want, export.Stdout, export.Stderr)
		}
	}
	other := quiet(t)
	r := other.Stile(t, nil, "sessions", "import", other.Write(t, "export.yaml", export.Stdout))
	if r.Code != 0 || !strings.Contains(r.Stdout, "group release: "+members) {
		t.Errorf("imported: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if again := other.Stile(t, nil, "sessions", "export"); again.Stdout != export.Stdout {
		t.Errorf("exported again: %s, want %s", again.Stdout, export.Stdout)
	}
	w.Stile(t, nil, "sessions", "rm", "release", "prod-db").Want(t, "")
}

func TestFlagsOfAnotherKindAreRefused(t *testing.T) {
	w := quiet(t)
	ic := []string{"sessions", "add", "ic", "--start-url", center, "--region", "us-east-1"}
	for want, flags := range map[string][]string{
		"--mfa is for an IAM user, and ic is an Identity Center":                      {"--mfa", "totp"},
		"--role is for a token or Roles Anywhere or a session, and ic is an Identity": {"--role", "foo"},
		"--external-id is for a session, and ic is an Identity Center":                {"--external-id", "z"},
		"--audience is for a token":                                                   {"--audience", "a"},
		"--duration is for Roles Anywhere or a session":                               {"--duration", "1h"},
	} {
		w.Stile(t, nil, append(slices.Clone(ic), flags...)...).Refused(t, want)
	}
	w.Stile(t, nil, "sessions", "add", "ic", "--account", "12345").Refused(t, "adding ic: nothing says what it is: --start-url")
	w.Stile(t, nil, ic...).Want(t, "")
	w.Stile(t, nil, "sessions", "edit", "ic").Refused(t, "say what, by flags; stile sessions edit --help lists them")
	w.Stile(t, nil, "sessions", "edit", "ic", "--label", "a=b").Refused(t, "--label is for a session, and ic is an Identity Center")
	named := []string{"sessions", "add", "db", "--source", "ic", "--account", "222222222222", "--role", "x"}
	w.Stile(t, nil, append(slices.Clone(named), "--start-url", center)...).Refused(t, "--start-url is for an Identity Center, and db is a session")
	for _, d := range []string{"20h", "10m", "-1h"} {
		w.Stile(t, nil, append(slices.Clone(named), "--duration", d)...).Refused(t, "want 15m to 12h")
	}
	if r := w.Stile(t, nil, append(slices.Clone(named), "--via", "111111111111/hub", "--duration", "2h")...); r.Code != 0 || !strings.Contains(r.Stderr, "another enters last an hour") {
		t.Errorf("a chain of two hours: exit %d, %s", r.Code, r.Stderr)
	}
	if r := w.Stile(t, nil, "sessions", "add", "ro", "--source", "ic", "--account", "222222222222", "--role", "x", "--duration", "2h"); r.Code != 0 || !strings.Contains(r.Stderr, "the permission set's") {
		t.Errorf("a permission set of two hours: exit %d, %s", r.Code, r.Stderr)
	}
	if r := w.Stile(t, nil, "sessions", "edit", "db", "--duration", "30m"); r.Code != 0 || r.Stderr != "" {
		t.Errorf("half an hour: exit %d, %s", r.Code, r.Stderr)
	}
}

func TestWhatCannotWorkIsNotReady(t *testing.T) {
	w := quiet(t)
	w.Write(t, ".aws/config", `[profile half]
aws_access_key_id = AKIAEXAMPLE
[profile empty]
region = us-east-1
[profile loop]
role_arn = arn:aws:iam::111111111111:role/x
source_profile = pool
[profile pool]
role_arn = arn:aws:iam::111111111111:role/x
source_profile = loop
[profile lost]
role_arn = arn:aws:iam::111111111111:role/x
source_profile = gone
[profile sso]
sso_session = corp
sso_account_id = 111111111111
[profile tool]
credential_process = /nonexistent/tool --json
[profile good]
aws_access_key_id = AKIAEXAMPLE
aws_secret_access_key = secret
[profile role]
role_arn = arn:aws:iam::111111111111:role/x
source_profile = good
`)
	for name, want := range map[string]string{
		"half": "half a key in profile half", "empty": "no credentials in profile empty", "loop": "leads to itself", "lost": "no profile gone",
		"sso": "no sso-session corp", "tool": "no program /nonexistent/tool", "good": "ready", "role": "ready", "none": "no profile none",
	} {
		w.Stile(t, nil, "sessions", "add", "p-"+name, "--profile", name).Want(t, "")
		r := w.Stile(t, nil, "sessions", "list")
		if line := lineOf(r.Stdout, "p-"+name); !strings.Contains(line, want) {
			t.Errorf("profile %s: %q, want %q", name, line, want)
		}
	}
	for want, flags := range map[string][]string{
		"no program nonexistent-tool":                  {"--process", "nonexistent-tool --json"},
		"$JOB_TOKEN not set":                           {"--web-variable", "JOB_TOKEN"},
		"not in a GitHub job":                          {"--github"},
		"no file /nonexistent/token":                   {"--web-identity", "/nonexistent/token"},
		"no file " + filepath.Join(w.Dir, "assertion"): {"--saml-file", filepath.Join(w.Dir, "assertion")},
	} {
		w.Stile(t, nil, append([]string{"sessions", "add", "x"}, flags...)...).Want(t, "")
		if r := w.Stile(t, nil, "sessions", "list"); !strings.Contains(lineOf(r.Stdout, "x"), want) {
			t.Errorf("%q: %s%s, want %q", flags, r.Stdout, r.Stderr, want)
		}
		w.Stile(t, nil, "sessions", "rm", "x").Want(t, "")
	}
}

func lineOf(text, name string) string {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == name {
			return line
		}
	}
	return ""
}
