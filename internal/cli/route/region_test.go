package route_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// regionCase is one address in one environment.
type regionCase struct {
	name    string
	address string
	env     []string
	flags   []string
	want    string // what commands give
	from    string // how it is explained
	written string // what profiles say, "" for no Region
}

// regions are what each command says the Region is.
func regions(t *testing.T, w *routetest.World, c *regionCase) map[string]string {
	t.Helper()
	run := func(args ...string) string {
		t.Helper()
		r := w.Stile(t, c.env, args...)
		if r.Code != 0 && args[0] != "explain-credential" { // which went nowhere
			t.Errorf("stile %q: exit %d, %s", args, r.Code, r.Stderr)
		}
		return r.Stdout
	}
	got := map[string]string{}
	const both = `printf '%s %s' "$AWS_REGION" "$AWS_DEFAULT_REGION"`
	with := func(name string, args ...string) []string { return append(append([]string{name}, c.flags...), args...) }
	got["exec"] = run(with("exec", c.address, "--", "sh", "-c", both)...)
	got["each"] = strings.TrimSpace(run(with("each", "--no-prefix", c.address, "--", "sh", "-c", both)...))
	vars := map[string]string{}
	if err := json.Unmarshal([]byte(run(with("env", "--format", "json", c.address)...)), &vars); err != nil {
		t.Error(err)
	}
	got["env"] = vars["AWS_REGION"] + " " + vars["AWS_DEFAULT_REGION"]
	r := routetest.Run(t, shellOf(t, w, c, "stile use "+strings.Join(append(c.flags, c.address), " ")+" && "+both))
	got["use"] = r.Stdout
	page, err := url.Parse(strings.TrimSpace(run(with("console", "--print", c.address)...)))
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(page.Query().Get("Destination"))
	if err != nil {
		t.Fatal(err)
	}
	got["console"] = at.Query().Get("region") + " " + at.Query().Get("region")
	var e struct{ Region, RegionFrom string }
	if err := json.Unmarshal([]byte(run(with("explain-credential", "--no-try", "--json", c.address)...)), &e); err != nil {
		t.Error(err)
	}
	got["explain-credential"] = e.Region + " " + e.Region
	if e.RegionFrom != c.from {
		t.Errorf("it is explained as from %q, want %q", e.RegionFrom, c.from)
	}
	return got
}

// shellOf is a bash with the function of stile use.
func shellOf(t *testing.T, w *routetest.World, c *regionCase, script string) *exec.Cmd {
	cmd := w.Command(t, "bash", "--norc", "-c", `eval "$(stile shell-init bash)"`+"\n"+script)
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], c.env...)
	return cmd
}

func regionWorld(t *testing.T) *routetest.World {
	t.Helper()
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	id, secret, _ := w.Server.Administrator("333333333333")
	w.Write(t, "config", fmt.Sprintf("[profile far]\nregion = ap-south-1\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret))
	w.Write(t, ".config/stile/sessions.yaml", `sources:
  - name: me
    profile: {name: network}
  - name: legacy
    profile: {name: far}
sessions:
  - name: here
    source: me
    region: eu-central-1
  - name: there
    source: me
    region: sa-east-1
  - name: plain
    source: me
`)
	return w
}

func TestRegionIsTheSameEverywhere(t *testing.T) {
	w := regionWorld(t)
	used := []string{"AWS_REGION=sa-east-1", "AWS_DEFAULT_REGION=sa-east-1", "STILE_ADDRESS=there", "STILE_REGION=sa-east-1"}
	for _, c := range []regionCase{
		{"a session's own", "here", nil, nil, "eu-central-1", "session here", "eu-central-1"},
		{"before the environment's", "here", []string{"AWS_REGION=us-west-2"}, nil, "eu-central-1", "session here", "eu-central-1"},
		{"not what another was told", "here", used, nil, "eu-central-1", "session here", "eu-central-1"},
		{"the flag before all", "here", []string{"AWS_REGION=us-west-2"}, []string{"--region", "eu-north-1"}, "eu-north-1", "--region", "eu-north-1"},
		{"an AWS profile's own", "far", used, nil, "ap-south-1", "AWS profile far", ""}, // config write overwrites no profile
		{"a source's that is an AWS profile", "legacy", used, nil, "ap-south-1", "AWS profile far", "ap-south-1"},
		{"the environment's", "plain", []string{"AWS_REGION=us-west-2"}, nil, "us-west-2", "environment variable AWS_REGION", ""},
		{"the environment's other", "plain", []string{"AWS_DEFAULT_REGION=us-west-2"}, nil, "us-west-2", "environment variable AWS_DEFAULT_REGION", ""},
		{"nothing, where another was told", "plain", used, nil, "us-east-1", "the default, as nothing says one", ""},
		{"none", "plain", nil, nil, "us-east-1", "the default, as nothing says one", ""},
		{"the account's", api, nil, nil, "us-east-1", "the account's first, by declarations", "us-east-1"},
		{"the environment's before the account's", api, []string{"AWS_REGION=us-west-2"}, nil, "us-west-2", "environment variable AWS_REGION", "us-east-1"},
		{"the account's, where another was told", api, used, nil, "us-east-1", "the account's first, by declarations", "us-east-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for command, got := range regions(t, w, &c) {
				if want := c.want + " " + c.want; got != want {
					t.Errorf("%s: the Region is %q, want %q", command, got, want)
				}
			}
			r := w.Stile(t, c.env, append(append([]string{"config", "write", "--diff"}, c.flags...), c.address)...)
			if got := writtenRegion(r.Stdout); got != c.written {
				t.Errorf("config write: the Region is %q, want %q:\n%s%s", got, c.written, r.Stdout, r.Stderr)
			}
		})
	}
}

func writtenRegion(diff string) string {
	for line := range strings.Lines(diff) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok && name == "+region" {
			return value
		}
	}
	return ""
}

// The broker tells the Region that a way says for itself, and not its environment's.
func TestRegionByTheBroker(t *testing.T) {
	w := regionWorld(t)
	w.WithBroker(t)
	for _, c := range []struct{ address, want string }{{"here", "eu-central-1"}, {"there", "sa-east-1"}, {"plain", "us-west-2"}, {api, "us-west-2"}, {"here", "eu-central-1"}} {
		w.Stile(t, []string{"AWS_REGION=us-west-2"}, "exec", c.address, "--", "sh", "-c", "echo $AWS_REGION").Want(t, c.want)
	}
}

// What stile use sets for one address is nobody else's, however deep, until the
// person says another.
func TestRegionInAShellThatUsesAnother(t *testing.T) {
	w := regionWorld(t)
	const ask = `stile exec %s -- sh -c 'echo $AWS_REGION'; `
	to := func(address string) string { return strings.ReplaceAll(ask, "%s", address) }
	c := &regionCase{env: []string{"AWS_REGION=us-west-2"}}
	routetest.Run(t, shellOf(t, w, c, "stile use there; "+to("here")+to("plain")+to(api)+"export AWS_REGION=eu-north-1; "+to("here")+to("plain")+"stile use --off; "+to("plain"))).
		Want(t, "eu-central-1\nus-west-2\nus-west-2\neu-central-1\neu-north-1\nus-west-2")
	r := w.Stile(t, nil, "exec", "there", "--", "sh", "-c", "stile exec --keep-config "+api+" -- sh -c 'echo $AWS_REGION $STILE_ADDRESS'")
	r.Want(t, "us-east-1 "+api)
}

func TestProgramsAreToldWhereTheyAre(t *testing.T) {
	w := regionWorld(t)
	const show = `echo "$STILE_ADDRESS $STILE_ACCOUNT_ID $STILE_ACCOUNT_NAME $AWS_ACCOUNT_ID."`
	old := []string{"STILE_ADDRESS=old", "STILE_ACCOUNT_ID=old", "STILE_ACCOUNT_NAME=old", "AWS_ACCOUNT_ID=111111111111"}
	w.Stile(t, old, "exec", api, "--", "sh", "-c", show).Want(t, api+" 222222222222 orders-prod .")
	w.Stile(t, old, "each", "--no-prefix", api, "--", "sh", "-c", show).Want(t, api+" 222222222222 orders-prod .")
	w.Stile(t, old, "exec", "plain", "--", "sh", "-c", show).Want(t, "plain   .")
	routetest.Run(t, shellOf(t, w, &regionCase{}, "stile use "+api+"; "+show+"; stile use --off; "+show)).Want(t, api+" 222222222222 orders-prod .\n   .")
}
