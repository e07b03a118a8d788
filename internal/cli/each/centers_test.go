package each_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/localaws"
)

// twoCenters is a world with a second Identity Center over some of the same
// accounts: it has Dev in team-0 and team-1, and ReadOnly, as acme has, in team-1.
func twoCenters(t *testing.T) *logintest.World {
	t.Helper()
	w := logintest.New(t)
	err := w.Server.AddIdentityCenter(localaws.IdentityCenter{
		StartURL:       "https://other.awsapps.com/start",
		Users:          []localaws.IdentityCenterUser{{Name: "alice"}},
		PermissionSets: []localaws.PermissionSet{{Name: "ReadOnly"}, {Name: "Dev"}},
		Assignments: []localaws.Assignment{
			{Accounts: []arn.AccountID{logintest.Account(0), logintest.Account(1)}, PermissionSets: []string{"Dev"}, Users: []string{"alice"}},
			{Accounts: []arn.AccountID{logintest.Account(1)}, PermissionSets: []string{"ReadOnly"}, Users: []string{"alice"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := w.Stile(t, nil, "sessions", "add", "other", "--start-url", "https://other.awsapps.com/start", "--region", "us-east-1"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	return w
}

// ran are the addresses that each ran in, and the roles it had there.
func ran(t *testing.T, w *logintest.World, args ...string) map[string]string {
	t.Helper()
	r := w.Stile(t, nil, append(append([]string{"each"}, args...), "--", "whoami")...)
	if r.Code != 0 {
		t.Errorf("each %q: exit %d, %s", args, r.Code, r.Stderr)
	}
	out := map[string]string{}
	for line := range strings.Lines(r.Stdout) {
		if f := strings.Fields(line); len(f) == 2 {
			out[f[0]] = f[1]
		}
	}
	return out
}

func TestTwoIdentityCentersOverOneAccount(t *testing.T) {
	w := twoCenters(t)
	if r := w.Stile(t, nil, "whoami", "team-0/Dev"); r.Code != 0 || !strings.Contains(r.Stdout, "AWSReservedSSO_Dev_") {
		t.Errorf("a role that one lists: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	w.Stile(t, nil, "whoami", "team-1/ReadOnly").Refused(t, "other:100000000001/ReadOnly")
	got := ran(t, w, "team-0/*", "team-1/*")
	for address, role := range map[string]string{
		"team-0/Admin": "Admin", "team-0/Dev": "Dev", "team-0/ReadOnly": "ReadOnly", "team-1/Admin": "Admin", "team-1/Dev": "Dev",
		"acme:team-1/ReadOnly": "ReadOnly", "other:team-1/ReadOnly": "ReadOnly",
	} {
		if !strings.Contains(got[address], "AWSReservedSSO_"+role+"_") {
			t.Errorf("%s: %q, want role %s", address, got[address], role)
		}
	}
	if len(got) != 7 || got["acme:team-1/ReadOnly"] == got["other:team-1/ReadOnly"] {
		t.Errorf("it ran in %v", got)
	}
	if got := ran(t, w, "other:*/*"); len(got) != 3 || got["other:team-0/Dev"] == "" {
		t.Errorf("all of one source: %v", got)
	}
	r := w.Stile(t, nil, "ls", "--json", "team-1/")
	var rows []struct{ Address string }
	if err := json.Unmarshal([]byte(r.Stdout), &rows); err != nil || len(rows) != 4 {
		t.Fatalf("%v: %s%s", err, r.Stdout, r.Stderr)
	}
	for _, row := range rows { // what is listed can be pasted
		if r := w.Stile(t, nil, "whoami", row.Address); r.Code != 0 {
			t.Errorf("whoami %s: %s", row.Address, r.Stderr)
		}
	}
	role := got["team-0/Dev"] // arn:aws:sts::ID:assumed-role/AWSReservedSSO_Dev_HASH/alice
	name := strings.Split(role, "/")[1]
	for text, want := range map[string]string{
		"arn:aws:iam::100000000000:role/aws-reserved/sso.amazonaws.com/" + name:                               role,
		"arn:aws:iam::100000000003:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef": "assumed-role/AWSReservedSSO_Admin_",
	} {
		if r := w.Stile(t, nil, "whoami", text); r.Code != 0 || !strings.Contains(r.Stdout, want) {
			t.Errorf("whoami %s: exit %d, %s%s", text, r.Code, r.Stdout, r.Stderr)
		}
	}
	w.Stile(t, nil, "whoami", "arn:aws:iam::100000000003:role/nobody").Refused(t, "SOURCE:100000000003/nobody")
	w.Stile(t, nil, "whoami", "arn:aws:iam::100000000003:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_0123456789abcdef").
		Refused(t, "no Identity Center (looked through: acme, other) lists permission set Dev")
}

func TestEachRunsInWhatIsChosen(t *testing.T) {
	w := twoCenters(t)
	for _, args := range [][]string{
		{"add", "one", "--source", "acme", "--account", "team-7", "--role", "Admin", "--label", "env=prod"},
		{"add", "two", "--source", "acme", "--account", "team-8", "--role", "Admin"},
		{"add", "release", "--member", "team-2/Admin", "--member", "one", "--member", "other:*/Dev"},
	} {
		w.Stile(t, nil, append([]string{"sessions"}, args...)...).Want(t, "")
	}
	var saved bytes.Buffer
	if err := inventory.Save(&saved, &inventory.Inventory{OrgState: inventory.Exists, Organization: &inventory.Organization{
		ID: "o-example", ManagementAccount: logintest.Account(0), Root: &inventory.Node{ID: "r-ab12", Name: "Root", Children: []*inventory.Node{
			{ID: string(logintest.Account(0)), Name: "team-0"},
			{ID: "ou-ab12-00000001", Name: "Prod", Children: []*inventory.Node{{ID: string(logintest.Account(3)), Name: "team-3"}}},
		}},
	}}); err != nil {
		t.Fatal(err)
	}
	w.Write(t, "acme.json", saved.String())
	for _, c := range []struct {
		args, want []string
	}{
		{[]string{"release"}, []string{"one", "other:team-0/Dev", "other:team-1/Dev", "team-2/Admin"}},
		{[]string{"*"}, []string{"one", "two"}},
		{[]string{"--label", "env=prod", "*", "team-3/*"}, []string{"one"}},
		{[]string{"--source", "other", "*/Dev", "team-0/*"}, []string{"other:team-0/Dev", "other:team-1/Dev"}},
		{[]string{"--source", "other", "release", "acme:*/Admin"}, []string{"other:team-0/Dev", "other:team-1/Dev"}},
		{[]string{"--except", "release", "one", "two", "team-2/*"}, []string{"team-2/ReadOnly", "two"}},
		{[]string{"--except", "100000000002/Admin", "--except", "t*", "two", "team-2/*"}, []string{"team-2/ReadOnly"}},
		{[]string{"--ou", "Prod", "--inventory", "acme.json", "team-0/*", "team-3/*"}, []string{"team-3/Admin", "team-3/ReadOnly"}},
	} {
		var got []string
		for address := range ran(t, w, c.args...) {
			got = append(got, address)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("each %q ran in %q, want %q", c.args, got, c.want)
		}
	}
	for want, args := range map[string][]string{
		"of 2 addresses none is left":   {"--label", "env=test", "*"},
		"there is no source nobody":     {"--source", "nobody", "*"},
		"of 0 addresses none is left":   {"--source", "other", "acme:*/Admin"},
		"give --inventory FILE":         {"--ou", "Prod", "*"},
		"no session has a name like":    {"x*"},
		"declarations have no names of": {"--declarations", ".", "*"},
	} {
		w.Stile(t, nil, append(append([]string{"each"}, args...), "--", "whoami")...).Refused(t, want)
	}
	if r := w.Stile(t, nil, "ls", "--group", "release", "--json"); strings.Count(r.Stdout, `"address"`) != 4 {
		t.Errorf("ls --group: %s%s", r.Stdout, r.Stderr)
	}
	w.Stile(t, nil, "ls", "--group", "nobody").Refused(t, "there is no group nobody")
	r := w.Stile(t, nil, "config", "write", "--yes", "--profile-template", "{account}-{role}", "team-2/Admin", "release")
	if r.Code != 0 || strings.Count(r.Stdout, "+[profile ") != 4 {
		t.Errorf("config write: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// What many sessions are held to is said once, and first.
func TestEachTellsOnceWhatSessionsAreHeldTo(t *testing.T) {
	w := twoCenters(t)
	for _, source := range []string{"acme", "other"} {
		w.Stile(t, nil, "sessions", "edit", source, "--read-only-role", "ReadOnly").Want(t, "")
		w.Stile(t, nil, "login", source).Want(t, "")
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--read-only", "*/Admin", "team-2/ReadOnly"}, []string{
			"stile: 10 sessions (team-0/Admin, team-1/Admin, team-2/Admin and 7 more), for --read-only: as ReadOnly, the read-only role of acme, instead of Admin",
			"stile: 11 of 11 succeeded",
		}},
		{[]string{"--read-only", "team-3/Admin", "team-1/Admin", "team-1/Dev"}, []string{
			"stile: 2 sessions (team-1/Admin, team-3/Admin), for --read-only: as ReadOnly, the read-only role of acme, instead of Admin",
			"stile: team-1/Dev, for --read-only: as ReadOnly, the read-only role of other, instead of Dev",
			"stile: 3 of 3 succeeded",
		}},
		{[]string{"--read-only", "team-1/Admin", "team-0/Dev"}, []string{ // other lists no such role there
			"stile: team-1/Admin, for --read-only: as ReadOnly, the read-only role of acme, instead of Admin",
			"stile: team-0/Dev: --read-only cannot be held to: other lists no role ReadOnly, its read-only one, in account 100000000000, but Dev; stile sessions edit other --read-only-role NAME names another",
			"stile: 1 of 2 succeeded, 1 failed",
		}},
		{[]string{"team-1/Admin"}, []string{"stile: 1 of 1 succeeded"}},
	} {
		r := w.Stile(t, nil, append(append([]string{"each"}, c.args...), "--", "whoami")...)
		if diff := cmp.Diff(c.want, strings.Split(strings.TrimSpace(r.Stderr), "\n")); diff != "" {
			t.Errorf("each %q: exit %d (-want +got):\n%s", c.args, r.Code, diff)
		}
	}
	w.Stile(t, nil, "each", "--read-only", "--policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess", "team-1/Admin", "--", "whoami").
		Refused(t, "give one")
}
