package observe_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/inventory"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

const network arn.AccountID = "333333333333"

// reader makes the role StileReader in an account, with the policy that stile
// observe --policy prints.
func reader(t *testing.T, w *routetest.World, account arn.AccountID) {
	t.Helper()
	policy := w.Stile(t, nil, "observe", "--policy")
	c := w.IAM(account)
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sts:AssumeRole"}]}`
	if _, err := c.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("StileReader"), AssumeRolePolicyDocument: aws.String(trust)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: aws.String("StileReader"), PolicyName: aws.String("observe"), PolicyDocument: &policy.Stdout}); err != nil {
		t.Fatal(err)
	}
}

// observed is what `stile observe --json` says, without what differs each time.
type observed struct {
	Complete bool
	Accounts []struct {
		ID       arn.AccountID
		Name     string
		Problems []inventory.Problem
	}
	Left []struct{ Name, State string }
}

func run(t *testing.T, w *routetest.World, args ...string) (observed, routetest.Result) {
	t.Helper()
	r := w.Stile(t, []string{"AWS_PROFILE=tooling", "AWS_REGION=us-east-1"}, append([]string{"observe", "--role", "StileReader", "--rate", "organizations=0", "--json", "--out", "acme.json"}, args...)...)
	var out observed
	if r.Stdout != "" {
		if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil {
			t.Fatalf("%v in %s", err, r.Stdout)
		}
	}
	return out, r
}

func TestAWholeOrganizationThroughOneRole(t *testing.T) {
	w := routetest.New(t)
	reader(t, w, routetest.Orders)
	got, r := run(t, w, "--accounts", "all")
	if r.Code != 3 || got.Complete || len(got.Accounts) != 3 {
		t.Fatalf("with one account closed: exit %d, %+v, %s", r.Code, got, r.Stderr)
	}
	for _, a := range got.Accounts {
		closed := a.ID == network
		if closed != (len(a.Problems) == 1) || closed && !strings.Contains(a.Problems[0].Why, "role/StileReader") {
			t.Errorf("account %s: problems %v", a.ID, a.Problems)
		}
	}
	reader(t, w, network)
	got, r = run(t, w, "--accounts", "all")
	if r.Code != 0 || !got.Complete {
		t.Errorf("with all of them open: exit %d, %+v, %s", r.Code, got, r.Stderr)
	}
	file, err := os.Open(filepath.Join(w.Dir, "acme.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	inv, err := inventory.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if inv.OrgState != inventory.Exists || len(inv.Accounts) != 3 || inv.Accounts[routetest.Orders].Roles["stilereader"] == nil {
		t.Errorf("the inventory that was saved: organization %v, %d accounts", inv.OrgState, len(inv.Accounts))
	}
}

func TestAccountsAreChosenForCertain(t *testing.T) {
	w := routetest.New(t)
	reader(t, w, routetest.Orders)
	got, r := run(t, w, "--accounts", "orders-prod,222222222222")
	if r.Code != 0 || len(got.Accounts) != 1 || got.Accounts[0].Name != "orders-prod" {
		t.Errorf("by name: exit %d, %+v, %s", r.Code, got, r.Stderr)
	}
	_, r = run(t, w, "--accounts", "order-prod")
	r.Refused(t, `no account of the organization is called "order-prod"`)

	world := w.Server.World()
	world.Lock()
	world.Accounts[network].Name = "orders-prod"
	world.Unlock()
	_, r = run(t, w, "--accounts", "orders-prod")
	r.Refused(t, "2 accounts of the organization are called \"orders-prod\"; name the one that is meant by its id: 222222222222, 333333333333")

	world.Lock()
	world.Accounts[network].Name = "old"
	world.Organization.Members[network].Status = "SUSPENDED"
	world.Unlock()
	_, r = run(t, w, "--accounts", "old")
	r.Refused(t, "account old (333333333333) cannot be entered: it is SUSPENDED")
	got, r = run(t, w, "--accounts", "all")
	if r.Code != 0 || len(got.Accounts) != 2 || len(got.Left) != 1 || got.Left[0].State != "SUSPENDED" {
		t.Errorf("all but the one that is suspended: exit %d, %+v, %s", r.Code, got, r.Stderr)
	}
}

func TestProgressIsForThoseWhoLook(t *testing.T) {
	w := routetest.New(t)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": w.URL, "AWS_PROFILE": "tooling", "AWS_REGION": "us-east-1", "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(w.Dir, "credentials"), "AWS_CONFIG_FILE": filepath.Join(w.Dir, "none")} {
		t.Setenv(name, value)
	}
	for _, c := range []struct {
		name     string
		terminal bool
		args     []string
		want     string
	}{
		{"a terminal sees a line that is rewritten", true, nil, "\r\x1b[K0 of 1 accounts read, "},
		{"a pipe sees nothing", false, nil, ""},
		{"a pipe that asked sees lines", false, []string{"--progress"}, "0 of 1 accounts read, "},
	} {
		t.Run(c.name, func(t *testing.T) {
			var said strings.Builder
			streams := &term.Streams{In: strings.NewReader(""), Out: io.Discard, Err: &said, Terminal: c.terminal, Env: os.LookupEnv, Environ: os.Environ}
			// Two calls a second of IAM keep it busy for longer than the first silence.
			args := append([]string{"observe", "--accounts", "111111111111", "--rate", "iam=2", "--out", filepath.Join(t.TempDir(), "own.json")}, c.args...)
			if code := cli.Main(args, streams); code != 0 {
				t.Fatalf("exit %d: %s", code, said.String())
			}
			if got := said.String(); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("standard error has %q, want %q first", got, c.want)
			}
		})
	}
}

// Instance metadata is what the SDK asks last; that it is not there is no way out.
func TestWithoutCredentialsAWayToSomeIsSaid(t *testing.T) {
	w := routetest.New(t)
	r := w.Stile(t, []string{"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(w.Dir, "none")}, "observe", "--accounts", "tooling", "--regions", "us-east-1", "--out", "x.json")
	r.Refused(t, "no credentials are at hand to begin with: the environment has none")
	r.Refused(t, "stile exec ADDRESS -- stile observe")
}
