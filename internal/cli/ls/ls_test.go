package ls_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/inventory"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

// files are of somebody who listed an Identity Center before and applied
// declarations; the organization has Workloads/Prod, Workloads/Dev and Sandbox.
func files(t *testing.T) *routetest.World {
	t.Helper()
	dir := t.TempDir()
	w := &routetest.World{Dir: dir, Env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_ENDPOINT_URL=http://127.0.0.1:1", "STILE_NO_LOGIN=1", "STILE_BROKER=off", "STILE_KEEP=off", "GORACE=atexit_sleep_ms=0",
	}}
	w.Write(t, ".config/stile/sessions.yaml", `sources:
  - name: acme
    identityCenter: {startURL: "https://acme.awsapps.com/start", region: us-east-1}
sessions:
  - {name: prod-db, source: acme, account: orders-prod, role: Admin, labels: {env: prod, team: orders}}
  - {name: elsewhere, source: acme, account: "999999999999", role: Admin, labels: {env: prod}}
`)
	const head = `{"startURL":"https://acme.awsapps.com/start","at":"2026-01-01T00:00:00Z","items":`
	w.Write(t, ".cache/stile/idc/acme.json", head+`[{"id":"222222222222","name":"orders-prod"},{"id":"333333333333","name":"orders-dev"},{"id":"444444444444","name":"playground"}]}`)
	for _, id := range []string{"222222222222", "333333333333", "444444444444"} {
		w.Write(t, ".cache/stile/idc/acme/"+id+".json", head+`["Admin","ReadOnly"]}`)
	}
	w.Write(t, ".local/state/stile/scopes/payroll/routes.json", `{"scope":"payroll","accounts":{"222222222222":"orders-prod"},
		"labels":{"222222222222":{"env":"prod"},"333333333333":{"env":"dev"}},
		"routes":[{"access":"a","address":"orders-prod/payroll-api","caller":{"name":"c"},"hops":[{"role":"arn:aws:iam::222222222222:role/payroll-api"}]}]}`)
	var saved bytes.Buffer
	account := func(id, name string) *inventory.Node { return &inventory.Node{ID: id, Name: name} }
	unit := func(id, name string, below ...*inventory.Node) *inventory.Node {
		return &inventory.Node{ID: id, Name: name, Children: below}
	}
	inv := &inventory.Inventory{OrgState: inventory.Exists, Organization: &inventory.Organization{
		ID: "o-example", ManagementAccount: "111111111111", Root: unit("r-ab12", "Root",
			account("111111111111", "management"),
			unit("ou-ab12-00000001", "Workloads",
				unit("ou-ab12-00000002", "Prod", account("222222222222", "orders-prod")),
				unit("ou-ab12-00000003", "Dev", account("333333333333", "orders-dev"))),
			unit("ou-ab12-00000004", "Sandbox", account("444444444444", "playground")),
		),
	}}
	if err := inventory.Save(&saved, inv); err != nil {
		t.Fatal(err)
	}
	w.Write(t, "acme.json", saved.String())
	return w
}

func addresses(t *testing.T, r routetest.Result) []string {
	t.Helper()
	var rows []struct{ Address string }
	if err := json.Unmarshal([]byte(r.Stdout), &rows); err != nil {
		t.Fatalf("%v: %s%s", err, r.Stdout, r.Stderr)
	}
	out := []string{}
	for _, row := range rows {
		out = append(out, row.Address)
	}
	return out
}

func TestFiltersCombine(t *testing.T) {
	w := files(t)
	all := []string{"elsewhere", "orders-dev/Admin", "orders-dev/ReadOnly", "orders-prod/Admin", "orders-prod/ReadOnly", "orders-prod/payroll-api", "playground/Admin", "playground/ReadOnly", "prod-db"}
	const in = " --inventory acme.json"
	for _, c := range []struct {
		args string
		want []string
	}{
		{"", all},
		{"prod", []string{"orders-prod/Admin", "orders-prod/ReadOnly", "orders-prod/payroll-api", "prod-db", "elsewhere"}}, // by its label
		{"ORDERS-PROD/read", []string{"orders-prod/ReadOnly"}},
		{"222222222222", []string{"orders-prod/Admin", "orders-prod/ReadOnly", "orders-prod/payroll-api"}},
		{"ordrdev", []string{"orders-dev/Admin", "orders-dev/ReadOnly"}},
		{"playground/", []string{"playground/Admin", "playground/ReadOnly"}},
		{"nothing-like-that", []string{}},
		{"--source acme readonly", []string{"orders-dev/ReadOnly", "orders-prod/ReadOnly", "playground/ReadOnly"}},
		{"--source declared", []string{"orders-prod/payroll-api"}},
		{"--label env=prod", []string{"elsewhere", "orders-prod/Admin", "orders-prod/ReadOnly", "orders-prod/payroll-api", "prod-db"}},
		{"--label env --label team=orders", []string{"prod-db"}},
		{"--ou Prod" + in, []string{"orders-prod/Admin", "orders-prod/ReadOnly", "orders-prod/payroll-api", "prod-db"}},
		{"--ou Workloads/Dev" + in, []string{"orders-dev/Admin", "orders-dev/ReadOnly"}},
		{"--ou /Workloads/" + in + " readonly", []string{"orders-dev/ReadOnly", "orders-prod/ReadOnly"}},
		{"--ou ou-ab12-00000004" + in, []string{"playground/Admin", "playground/ReadOnly"}},
		{"--ou Workloads --label env=dev --source acme admin" + in, []string{"orders-dev/Admin"}},
		{"--ou Sandbox --label env=prod" + in, []string{}},
	} {
		t.Run(c.args, func(t *testing.T) {
			r := w.Stile(t, nil, append([]string{"ls", "--cached", "--json"}, strings.Fields(c.args)...)...)
			got := addresses(t, r)
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, got); diff != "" || r.Code != 0 {
				t.Errorf("exit %d, %s (-want +got):\n%s", r.Code, r.Stderr, diff)
			}
		})
	}
}

func TestUnitsAreShown(t *testing.T) {
	w := files(t)
	r := w.Stile(t, nil, "ls", "--cached", "--inventory", "acme.json", "orders-prod/read")
	r.Want(t, "ADDRESS               SOURCE  LEFT  NOTES\norders-prod/ReadOnly  acme          222222222222 env=prod in Workloads/Prod")
}

func TestUnitsThatAreNotKnown(t *testing.T) {
	w := files(t)
	r := w.Stile(t, nil, "ls", "--cached", "--json", "--ou", "Prod", "--inventory", "acme.json")
	if !strings.Contains(r.Stderr, "of 1 more it is not known in which organizational unit") {
		t.Errorf("nothing is said of session elsewhere: %q", r.Stderr)
	}
	w.Stile(t, nil, "ls", "--cached", "--ou", "Prod").Refused(t, "give --inventory FILE (stile observe --out FILE), or --organization ADDRESS")
	w.Stile(t, nil, "ls", "--cached", "--ou", "Prdo", "--inventory", "acme.json").Refused(t, "--ou Prdo: no organizational unit with an account is called so (there are Sandbox, Workloads, Workloads/Dev, Workloads/Prod)")
	var saved bytes.Buffer
	if err := inventory.Save(&saved, &inventory.Inventory{}); err != nil {
		t.Fatal(err)
	}
	w.Write(t, "none.json", saved.String())
	w.Stile(t, nil, "ls", "--cached", "--ou", "Prod", "--inventory", "none.json").Refused(t, "none.json has no organization")
	w.Stile(t, nil, "ls", "--ou", "Prod", "--inventory", "acme.json", "--organization", "x").Refused(t, "none of the others can be")
}

// What is declared has an address first; the same address of a source has the
// source's name before it.
func TestAddressesMeanTheirRows(t *testing.T) {
	w := files(t)
	w.Write(t, ".local/state/stile/scopes/other/routes.json", `{"scope":"other","accounts":{"222222222222":"orders-prod"},
		"routes":[{"access":"a","address":"orders-prod/Admin","caller":{"name":"c"},"hops":[{"role":"arn:aws:iam::222222222222:role/Admin"}]}]}`)
	for _, c := range []struct{ args, want []string }{
		{[]string{"orders-prod/adm"}, []string{"acme:orders-prod/Admin", "orders-prod/Admin", "prod-db"}},
		{[]string{"orders-prod/adm", "--source", "acme"}, []string{"acme:orders-prod/Admin", "prod-db"}},
		{[]string{"orders-prod/adm", "--source", "declared"}, []string{"orders-prod/Admin"}},
	} {
		got := addresses(t, w.Stile(t, nil, append([]string{"ls", "--cached", "--json"}, c.args...)...))
		slices.Sort(got)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("ls %q (-want +got):\n%s", c.args, diff)
		}
	}
}

// AWS Organizations itself is asked as a role that may.
func TestUnitsAreAskedFor(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	id, secret, _ := w.Server.Administrator(routetest.Tooling)
	client := organizations.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(w.URL), Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
	roots, err := client.ListRoots(t.Context(), &organizations.ListRootsInput{})
	if err != nil {
		t.Fatal(err)
	}
	unit, err := client.CreateOrganizationalUnit(t.Context(), &organizations.CreateOrganizationalUnitInput{Name: aws.String("Prod"), ParentId: roots.Roots[0].Id})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.MoveAccount(t.Context(), &organizations.MoveAccountInput{
		AccountId: aws.String(string(routetest.Orders)), SourceParentId: roots.Roots[0].Id, DestinationParentId: unit.OrganizationalUnit.Id,
	}); err != nil {
		t.Fatal(err)
	}
	r := w.Stile(t, nil, "ls", "--json", "--ou", "Prod", "--organization", "tooling")
	if got := addresses(t, r); !slices.Equal(got, []string{"orders-prod/payroll-api", "orders-prod/target-account-iam-role"}) {
		t.Errorf("listed %q; %s", got, r.Stderr)
	}
	w.Stile(t, nil, "ls", "--ou", "ou-ab12-00000001", "--organization", "tooling").Refused(t, "give a unit's name or path, or --inventory FILE")
	w.Stile(t, nil, "ls", "--ou", "Prod", "--organization", "network").Refused(t, "reading organizational units as network")
}
