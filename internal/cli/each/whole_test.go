package each_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// declare puts declarations into the World's environment by which stranger enters the
// role Admin in team-3, which acme lists too, and Auditor in team-4.
func declare(t *testing.T, w *logintest.World) {
	t.Helper()
	w.Env = append(w.Env, "STILE_DECLARATIONS="+filepath.Join(w.Dir, "few"))
	w.Write(t, "few/stile.yaml", strings.Join([]string{
		"apiVersion: stile.dev/v1alpha1\nkind: Scope\nmetadata: {name: few}\nspec: {home: {account: team-0}}\n",
		"apiVersion: stile.dev/v1alpha1\nkind: Account\nmetadata: {name: team-0}\nspec: {id: \"100000000000\", manageWith: {profile: none}}\n",
		"apiVersion: stile.dev/v1alpha1\nkind: Account\nmetadata: {name: team-3}\nspec: {id: \"100000000003\", manageWith: {profile: none}}\n",
		"apiVersion: stile.dev/v1alpha1\nkind: Account\nmetadata: {name: sand}\nspec: {id: \"100000000004\", manageWith: {profile: none}}\n",
		access("Admin", "team-3"), access("Auditor", "sand"),
	}, "---\n"))
}

func access(role, account string) string {
	return "apiVersion: stile.dev/v1alpha1\nkind: Access\nmetadata: {name: " + strings.ToLower(role) + "}\nspec:\n  from: [{user: {account: team-0, name: stranger}}]\n" +
		"  to: {accounts: [" + account + "]}\n  as: " + role + "\n  via: assumeRole\n  allow: [{grant: eks/list}]\n"
}

// addresses are those that each would run in, whether it gets there or not.
func addresses(t *testing.T, w *logintest.World, env []string, args ...string) ([]string, routetest.Result) {
	t.Helper()
	r := w.Stile(t, env, append(append([]string{"each", "--json"}, args...), "--", "true")...)
	var out []string
	for line := range strings.Lines(r.Stdout) {
		var res struct{ Address string }
		if err := json.Unmarshal([]byte(line), &res); err != nil {
			t.Fatal(err)
		}
		out = append(out, res.Address)
	}
	slices.Sort(out)
	return out, r
}

// A pattern is of everything there is, wherever it is from: declarations take nothing
// away from what sources list, nor sources from each other.
func TestPatternsTakeInDeclarationsAndSources(t *testing.T) {
	w := logintest.New(t)
	w.Stile(t, nil, "login", "acme").Want(t, "")
	before, _ := addresses(t, w, nil, "*/Admin")
	if len(before) != logintest.Accounts {
		t.Fatalf("without declarations: %q", before)
	}
	declare(t, w)
	w.Write(t, ".config/stile/sessions.yaml", `sources:
  - name: acme
    identityCenter: {startURL: "https://acme.awsapps.com/start", region: us-east-1}
  - name: legacy
    profile: {name: none}
sessions:
  - {name: mine, source: acme, account: team-5, role: Admin}
  - {name: deep, source: legacy, account: "100000000006", role: deep}
  - {name: outer, source: legacy, account: "999999999999", role: Admin}
  - {name: byarn, source: legacy, role: "arn:aws:iam::999999999998:role/path/Admin"}
  - {name: again, source: legacy, account: team-7, role: Admin}
`)
	missing, r := addresses(t, w, nil, "-f", "few", "*/*") // who names them has to be able to go by them
	if len(missing) != 0 || !strings.Contains(r.Stderr, `there is no AWS profile "none"`) {
		t.Errorf("named declarations that cannot be compiled: %q, %s", missing, r.Stderr)
	}
	for _, c := range []struct {
		name  string
		args  []string
		more  []string // beside before
		exact []string // instead
	}{
		{"the role in every account", []string{"*/Admin"}, []string{"byarn", "outer"}, nil},
		{"a declared role", []string{"*/Auditor"}, nil, []string{"sand/Auditor"}},
		{"an account that is declared and listed by its id", []string{"100000000003/*"}, nil, []string{"team-3/Admin", "team-3/ReadOnly"}},
		{"an account that is called otherwise by declarations", []string{"team-4/*"}, nil, []string{"team-4/Admin", "team-4/ReadOnly"}},
		{"the same by its id", []string{"100000000004/*"}, nil, []string{"sand/Auditor", "team-4/Admin", "team-4/ReadOnly"}},
		{"a session by its account's name", []string{"team-6/*"}, nil, []string{"deep", "team-6/Admin", "team-6/ReadOnly"}},
		{"declarations alone", []string{"--source", "declared", "*/*"}, nil, []string{"sand/Auditor", "team-3/Admin"}},
		{"the same in a pattern", []string{"declared:*/*"}, nil, []string{"sand/Auditor", "team-3/Admin"}},
		{"one source, past the declared way", []string{"--source", "acme", "team-3/*"}, nil, []string{"acme:team-3/Admin", "acme:team-3/ReadOnly"}},
		{"the same in a pattern", []string{"acme:team-3/*"}, nil, []string{"acme:team-3/Admin", "acme:team-3/ReadOnly"}},
		{"sessions of one source", []string{"legacy:*/*"}, nil, []string{"again", "byarn", "deep", "outer"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, r := addresses(t, w, nil, c.args...)
			want := c.exact
			if want == nil {
				want = slices.Sorted(slices.Values(slices.Concat(before, c.more)))
			}
			if !slices.Equal(got, want) {
				t.Errorf("each %q is of %q, want %q; %s", c.args, got, want, r.Stderr)
			}
		})
	}
}

// What a source would add is not left out because it cannot be asked.
func TestPatternsAreNoSmallerForWhatCannotBeAsked(t *testing.T) {
	w := logintest.New(t)
	declare(t, w)
	out := []string{"STILE_NO_LOGIN=1"}
	for _, command := range [][]string{{"each", "*/Admin", "--", "touch", "ran"}, {"config", "write", "--diff", "*/Admin"}, {"serve", "*/Admin"}} {
		w.Stile(t, out, command...).Refused(t, "listing acme: ")
	}
	if _, err := os.Stat(filepath.Join(w.Dir, "ran")); err == nil {
		t.Error("it ran all the same")
	}
	got, r := addresses(t, w, out, "--cached", "*/Admin")
	if !slices.Equal(got, []string{"team-3/Admin"}) || !strings.Contains(r.Stderr, "*/Admin is not all there may be: listing acme: its accounts were never listed") {
		t.Errorf("cached, with nothing known: %q, %s", got, r.Stderr)
	}
	for _, args := range [][]string{{"--source", "declared", "*/Admin"}, {"declared:*/Admin"}} {
		if got, r := addresses(t, w, out, args...); !slices.Equal(got, []string{"team-3/Admin"}) {
			t.Errorf("%q: %q, %s", args, got, r.Stderr)
		}
	}
	if r := w.Stile(t, nil, "ls", "--login", "team-2/"); r.Code != 0 { // asks for the roles of one account
		t.Fatal(r.Stderr)
	}
	w.Stile(t, nil, "logout", "acme").Want(t, "")
	w.Stile(t, out, "each", "team-2/*", "--", "true").Refused(t, "stile login acme")
	got, r = addresses(t, w, out, "--cached", "*/Admin")
	if !slices.Equal(got, []string{"team-2/Admin", "team-3/Admin"}) || !strings.Contains(r.Stderr, "of 9 accounts the roles were never listed") {
		t.Errorf("cached: %q, %s", got, r.Stderr)
	}
	if got, r = addresses(t, w, out, "--cached", "team-2/*"); !slices.Equal(got, []string{"team-2/Admin", "team-2/ReadOnly"}) || strings.Contains(r.Stderr, "not all") {
		t.Errorf("cached, all of it known: %q, %s", got, r.Stderr)
	}
	// Declarations that cannot be read are missing, too.
	w.Write(t, "few/stile.yaml", "apiVersion: [\n")
	w.Stile(t, nil, "each", "*/Admin", "--", "touch", "ran").Refused(t, "takes in declarations and all sources")
}

// Columns are of characters, and a result tells how a command ended, or why it did
// not begin.
func TestColumnsAndEnds(t *testing.T) {
	w := world(t)
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n  - name: me\n    profile: {name: network}\n  - name: gone\n    profile: {name: gone}\n"+
		"sessions:\n  - {name: plain, source: me}\n  - {name: none, source: gone}\n")
	r := w.Stile(t, nil, "each", "sand-é/none", "plain", "--", "echo", "x")
	if got := sorted(r.Stdout); !slices.Equal(got, []string{"plain        x"}) { // as wide as sand-é/none
		t.Errorf("lines %q, %s", got, r.Stderr)
	}
	r = w.Stile(t, nil, "each", "--json", "plain", "none", "--", "sh", "-c", "kill -TERM $$")
	got := map[string]result{}
	for _, line := range sorted(r.Stdout) {
		var res result
		if err := json.Unmarshal([]byte(line), &res); err != nil {
			t.Fatal(err)
		}
		got[res.Address] = res
	}
	if p := got["plain"]; p.Exit != -1 || p.Signal != "SIGTERM" || p.Error != "" || p.Seconds <= 0 {
		t.Errorf("ended by a signal: %+v", p)
	}
	if n := got["none"]; n.Exit != -1 || n.Signal != "" || n.Error == "" || n.Seconds <= 0 {
		t.Errorf("without credentials: %+v", n)
	}
	if r.Code != 1 || !strings.Contains(r.Stderr, "stile: plain: ended by SIGTERM after") {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
}

// result is a line of --json.
type result struct {
	Address, Signal, Error string
	Exit                   int
	Seconds                float64
}

// An Identity Center needs no AWS profile: one in the environment that is not there,
// or leads nowhere, is nobody's business.
func TestUnrelatedProfilesAreNoMatter(t *testing.T) {
	w := logintest.New(t)
	w.Write(t, "config", "[profile broken]\nrole_arn = arn:aws:iam::100000000000:role/x\nsource_profile = zz\n")
	for _, env := range [][]string{{"AWS_PROFILE=zz"}, {"AWS_DEFAULT_PROFILE=zz"}, {"AWS_PROFILE=broken", "AWS_CONFIG_FILE=" + filepath.Join(w.Dir, "config")}} {
		for _, args := range [][]string{{"login", "acme"}, {"ls", "team-1/"}, {"exec", "team-1/Admin", "--", "true"}, {"console", "--print", "team-1/Admin"}, {"each", "team-1/*", "--", "true"}} {
			if r := w.Stile(t, env, args...); r.Code != 0 {
				t.Errorf("%q, stile %q: exit %d, %s", env, args, r.Code, r.Stderr)
			}
		}
	}
}
