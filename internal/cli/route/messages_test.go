package route_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// flaws are what no message may have: its words twice, Go's own, and what would steer
// a terminal.
func flaws(message, address string) (out []string) {
	if strings.Contains(message, "stile: stile:") || regexp.MustCompile(`%!|<nil>|\bEOF\b`).MatchString(message) {
		out = append(out, "words that are not for people")
	}
	parts := strings.Split(message, ": ")
	for i := range parts[1:] {
		if parts[i] == parts[i+1] {
			out = append(out, "twice "+parts[i])
		}
	}
	if address != "" && strings.Count(message, "going to "+address+":") > 1 || address != "" && strings.Contains(message, address+": "+address) {
		out = append(out, "the address twice")
	}
	if strings.ContainsFunc(message, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
		out = append(out, "control characters")
	}
	return out
}

// What is typed wrong is refused once, in words, by every command that goes
// somewhere.
func TestWhatIsTypedWrongIsRefusedInWords(t *testing.T) {
	w := logintest.New(t)
	w.Stile(t, nil, "login", "acme").Want(t, "")
	w.Stile(t, nil, "sessions", "add", "release", "--member", "team-1/Admin", "--member", "team-2/Admin").Want(t, "")
	commands := [][]string{
		{"exec", "", "--", "true"}, {"env", ""}, {"credential-process", ""}, {"console", "--print", ""}, {"whoami", ""}, {"explain-credential", ""},
		{"use", "--shell", "bash", ""}, {"config", "write", "--yes", ""}, {"each", "", "--", "true"},
	}
	for address, want := range map[string]string{
		"x/y":                              "no account x is known to any source",
		"nobody":                           "not known to any source or session, and no AWS profile; want ACCOUNT/ROLE",
		"team-1/Amdin":                     "Admin, ReadOnly",
		"acme":                             "say acme:ACCOUNT/ROLE",
		"acme:nothing":                     "want acme:ACCOUNT/ROLE",
		"acme:team-x/Admin":                `acme lists no account team-x (did you mean "team-`,
		"/":                                "stile ls lists",
		"a b":                              "not known",
		"x\ny/z":                           `going to "x\ny/z": no address has line breaks`,
		"\x1b[31mred/z":                    `no address has line breaks or control characters`,
		"arn:aws:s3:::b":                   "want ACCOUNT/ROLE or the ARN of a role",
		"arn:aws:iam::999999999999:role/x": "SOURCE:999999999999/x enters it",
	} {
		for _, c := range commands {
			args := slices.Clone(c)
			args[slices.Index(args, "")] = address
			r := w.Stile(t, nil, args...)
			if r.Code == 0 || !strings.Contains(r.Stderr+r.Stdout, want) { // explanations are results
				t.Errorf("%q: exit %d, %s, want %q", args, r.Code, r.Stderr, want)
			}
			if found := flaws(r.Stderr, address); len(found) > 0 {
				t.Errorf("%q: %s has %q", args, r.Stderr, found)
			}
		}
	}
	for _, c := range commands[:len(commands)-2] { // the last take several addresses
		args := slices.Clone(c)
		i := slices.Index(args, "")
		for address, want := range map[string]string{
			"*/Admin": "stile each '*/Admin' -- COMMAND", "release": "going to release: it is a group of team-1/Admin, team-2/Admin",
		} {
			args[i] = address
			w.Stile(t, nil, args...).Refused(t, want)
		}
	}
	w.Stile(t, nil, "each", "team-1/Admin", "", "--", "true").Refused(t, `going to "": want ACCOUNT/ROLE`)
}

// What cannot be read is named, with what to do.
func TestFilesThatCannotBeReadAreNamed(t *testing.T) {
	w := logintest.New(t)
	w.Stile(t, nil, "login", "acme").Want(t, "")
	dir := filepath.Join(w.Dir, "directory")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	policy := w.Write(t, "policy.yaml", "Version: [\n")
	for _, c := range []struct {
		want string
		env  []string
		args []string
	}{
		{"which has to be an IAM policy in JSON: ", nil, []string{"--policy", policy, "team-1/Admin"}},
		{"reading --policy: read " + dir + ": is a directory", nil, []string{"--policy", dir, "team-1/Admin"}},
		{"make it a file that you can read, or have AWS_CONFIG_FILE name another", []string{"AWS_CONFIG_FILE=" + dir}, []string{"team-1/Admin"}},
		{"whether it is an AWS profile nobody can tell: reading AWS profiles", []string{"AWS_CONFIG_FILE=" + dir}, []string{"mine"}},
		{"have AWS_SHARED_CREDENTIALS_FILE name another", []string{"AWS_SHARED_CREDENTIALS_FILE=" + dir}, []string{"team-1/Admin"}},
	} {
		r := w.Stile(t, c.env, append(append([]string{"exec"}, c.args...), "--", "true")...)
		r.Refused(t, c.want)
		if found := flaws(r.Stderr, ""); len(found) > 0 {
			t.Errorf("%q: %s has %q", c.args, r.Stderr, found)
		}
	}
	if err := os.Rename(dir, filepath.Join(w.Dir, ".stile-guard.yaml")); err != nil {
		t.Fatal(err)
	}
	routetest.Run(t, w.Command(t, "stile", "exec", "team-1/Admin", "--", "true")).Refused(t, ".stile-guard.yaml is no file; make it one, or take it away")
}

// What has a name is said to be what it is, and names that cannot be seen are quoted.
func TestNamesOfOtherThingsAreToldApart(t *testing.T) {
	w := logintest.New(t)
	w.Stile(t, nil, "sessions", "add", "prod", "--source", "acme", "--account", "team-1", "--role", "Admin").Want(t, "")
	w.Stile(t, nil, "sessions", "add", "release", "--member", "prod").Want(t, "")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"stile: prod is a session; its source is acme\n", []string{"login", "prod"}},
		{"stile: release is a group, and a source is wanted", []string{"logout", "release"}},
		{`there is no source acmee (did you mean "acme"?); stile sessions list`, []string{"login", "acmee"}},
		{`there is no source "x\ny"; stile sessions list`, []string{"logout", "x\ny"}},
		{`there is no source, session or group ""; stile sessions list`, []string{"sessions", "rm", ""}},
		{`there is no source, session or group "a b"; stile sessions list`, []string{"sessions", "edit", "a b"}},
		{`there is no source, session or group "a\x1b[2J"; stile sessions list`, []string{"sessions", "export", "a\x1b[2J"}},
		{`whoami "": want ACCOUNT/ROLE`, []string{"whoami", ""}},
	} {
		w.Stile(t, nil, c.args...).Refused(t, c.want)
	}
	if r := w.Stile(t, nil, "config", "remove", "--yes"); r.Code != 0 || !strings.Contains(r.Stderr, "has no block stile, nor another") {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
}
