package explaincredential_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

// role makes a role that trusts a principal and may do what a statement says.
func role(t *testing.T, w *routetest.World, account arn.AccountID, name, trusts, statement string) {
	t.Helper()
	client := w.IAM(account)
	if _, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Sid":"Trusted","Effect":"Allow","Principal":{"AWS":"` + trusts + `"},"Action":"sts:AssumeRole"}]}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("p"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[` + statement + `]}`)}); err != nil {
		t.Fatal(err)
	}
}

const (
	mayAssume = `{"Sid":"MayHop","Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`
	book      = `sources:
  - name: admin
    profile: {name: tooling}
sessions:
  - name: deploy
    source: admin
    account: "222222222222"
    role: deploy
    via: ["111111111111/hub"]
    duration: 4h
  - name: tooling
    source: admin
    account: "111111111111"
    role: hub
`
)

// chain is a world in which tooling's administrator goes by a hub into
// orders-prod; the hub may do what statement says.
func chain(t *testing.T, statement string) *routetest.World {
	t.Helper()
	w := routetest.New(t)
	role(t, w, routetest.Tooling, "hub", "111111111111", statement)
	role(t, w, routetest.Orders, "deploy", "arn:aws:iam::111111111111:role/hub", mayAssume)
	for _, account := range []arn.AccountID{routetest.Tooling, routetest.Orders} {
		role(t, w, account, "StileReader", "111111111111", `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	}
	w.Write(t, ".config/stile/sessions.yaml", book)
	return w
}

// has fails unless the output has all texts, and none of the secrets.
func has(t *testing.T, r routetest.Result, code int, texts ...string) {
	t.Helper()
	if r.Code != code {
		t.Errorf("exit %d, want %d", r.Code, code)
	}
	for _, text := range texts {
		if !strings.Contains(r.Stdout, text) {
			t.Errorf("%q is missing", text)
		}
	}
	if t.Failed() {
		t.Logf("it says\n%s%s", r.Stdout, r.Stderr)
	}
}

func TestAWayIsExplainedHopByHop(t *testing.T) {
	w := chain(t, mayAssume)
	r := w.Stile(t, nil, "explain-credential", "--no-try", "deploy")
	file := filepath.Join(w.Dir, ".config/stile/sessions.yaml")
	has(t, r, 3,
		"deploy: a session of sessions.yaml\n", "source admin (profile)", "session deploy", file+":5", "duration of session deploy", file+":10", "source admin (profile)", file+":2",
		"profile tooling", w.Dir+"/credentials:", "step 1: AWS profile tooling", "step 2: sts:AssumeRole arn:aws:iam::111111111111:role/hub\n",
		"step 3: sts:AssumeRole arn:aws:iam::222222222222:role/deploy\n",
		"lasts 1h0m0s (role chaining: AWS lets a role that is entered from a session last an hour at most, not the 4h0m0s of duration at "+file+":10", "not tried\n")
	r = w.Stile(t, nil, "explain-credential", "deploy")
	has(t, r, 0, "step 3: sts:AssumeRole arn:aws:iam::222222222222:role/deploy: passed", "works: arn:aws:sts::222222222222:assumed-role/deploy/Administrator, until ")
	r = w.Stile(t, nil, "explain-credential", "--no-try", "deploy")
	has(t, r, 3, "kept until ")
	r = w.Stile(t, nil, "explain-credential", "tooling")
	has(t, r, 0, "there is an AWS profile tooling too, at "+w.Dir+"/credentials:", "the name in sessions.yaml comes first")
	r = w.Stile(t, nil, "explain-credential", "orders-prod")
	has(t, r, 0, "orders-prod: an AWS profile; no session or source has this name", "works: arn:aws:iam::222222222222:user/Administrator")
	if r := w.Stile(t, nil, "exec", "orders-prod", "--", "true"); r.Code != 0 || strings.Count(r.Stderr, "stile: orders-prod is an AWS profile") != 1 {
		t.Errorf("exec by a profile: exit %d, %s", r.Code, r.Stderr)
	}
	if r := w.Stile(t, nil, "exec", "tooling", "--", "true"); r.Code != 0 || strings.Contains(r.Stderr, "AWS profile") {
		t.Errorf("exec by a session: exit %d, %s", r.Code, r.Stderr)
	}
}

func TestARefusalIsExplainedByItsStatement(t *testing.T) {
	w := chain(t, mayAssume+`,{"Sid":"NeverOrders","Effect":"Deny","Action":"sts:AssumeRole","Resource":"arn:aws:iam::222222222222:role/*"}`)
	inventory := filepath.Join(w.Dir, "acme.json")
	tooling := []string{"AWS_PROFILE=tooling", "AWS_REGION=us-east-1"}
	if r := w.Stile(t, tooling, "observe", "--accounts", "111111111111,222222222222", "--role", "StileReader", "--out", inventory); r.Code != 0 && r.Code != 3 {
		t.Fatalf("observe: exit %d, %s", r.Code, r.Stderr)
	}
	r := w.Stile(t, nil, "explain-credential", "--inventory", inventory, "deploy")
	has(t, r, 1, "step 2: sts:AssumeRole arn:aws:iam::111111111111:role/hub: passed", "step 3: sts:AssumeRole arn:aws:iam::222222222222:role/deploy: refused",
		"AWS says: ", "AccessDenied", "NeverOrders", "the role's maximum is 1h0m0s", "\nrefused\n")
	r = w.Stile(t, nil, "explain-credential", "--inventory", inventory, "--json", "deploy")
	var e struct {
		Outcome string
		Steps   []struct {
			State    string
			Policies []struct{ Action, Resource string }
		}
	}
	if err := json.Unmarshal([]byte(r.Stdout), &e); err != nil || e.Outcome != "refused" || len(e.Steps) != 3 || e.Steps[1].State != "passed" || e.Steps[2].State != "refused" ||
		len(e.Steps[2].Policies) != 1 || e.Steps[2].Policies[0].Action != "sts:AssumeRole" {
		t.Errorf("%v: %s", err, r.Stdout)
	}
	// Without an inventory or declarations it says how to get one.
	has(t, w.Stile(t, nil, "explain-credential", "deploy"), 1, "refused", "stile observe writes an inventory")
}

func TestWhoHasToBeAskedIsTold(t *testing.T) {
	w := logintest.New(t)
	r := w.Stile(t, []string{"STILE_NO_LOGIN=1"}, "explain-credential", "100000000003/Admin")
	has(t, r, 3, "Identity Center acme, which lists the account", "permission set Admin", "first somebody has to: sign in: stile login acme", "not tried, as somebody has to be asked")
	r = w.Stile(t, nil, "explain-credential", "--try", "team-3/Admin")
	has(t, r, 0, "account 100000000003 team-3", "works: arn:aws:sts::100000000003:assumed-role/AWSReservedSSO_Admin_")
	r = w.Stile(t, nil, "explain-credential", "team-3/Admin")
	has(t, r, 0, "kept until ")
	r = w.Stile(t, nil, "explain-credential", "team-3/Nobody")
	has(t, r, 1, "you have no permission set Nobody there, but Admin, ReadOnly")
}

// The one step of a role that takes a code of its own is the user's, whose policies are
// asked about a refusal.
func TestACodeOfItsOwnIsTold(t *testing.T) {
	w := logintest.New(t)
	w.Dana(t)
	admin := w.IAM(logintest.Account(0))
	if _, err := admin.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("dana"), PolicyName: aws.String("no"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Sid":"NeverLook","Effect":"Deny","Action":"sts:AssumeRole","Resource":"*"}}`)}); err != nil {
		t.Fatal(err)
	}
	id, key, _ := w.Server.Administrator(logintest.Account(0))
	inventory := filepath.Join(w.Dir, "own.json")
	here := []string{"AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + key, "AWS_REGION=us-east-1"}
	if r := w.Stile(t, here, "observe", "--accounts", string(logintest.Account(0)), "--out", inventory); r.Code != 0 && r.Code != 3 {
		t.Fatalf("observe: exit %d, %s", r.Code, r.Stderr)
	}
	w.Stile(t, nil, "sessions", "add", "look", "--source", "dana", "--account", string(logintest.Account(0)), "--role", "look", "--duration", "2h").Want(t, "")
	r := w.Stile(t, nil, "explain-credential", "--inventory", inventory, "look")
	has(t, r, 1, "step 1: sts:AssumeRole arn:aws:iam::100000000000:role/look: refused", "one code for this role alone", "lasts 2h0m0s", "NeverLook")
	if strings.Contains(r.Stdout, "step 2") {
		t.Errorf("it has more steps than one: %s", r.Stdout)
	}

	path := filepath.Join(w.Dir, ".config/stile/sessions.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	prompt := regexp.MustCompile(`code: program\n *program: .*\n`).ReplaceAllString(string(text), "code: prompt\n")
	if prompt == string(text) {
		t.Fatalf("the code's program is not where it was: %s", text)
	}
	w.Write(t, ".config/stile/sessions.yaml", prompt)
	has(t, w.Stile(t, nil, "explain-credential", "look"), 3, "first somebody has to: give an MFA code for it alone: stile whoami look")
}

func TestDeclaredWaysAndGuards(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	r := w.Stile(t, nil, "explain-credential", "orders-prod/payroll-api")
	has(t, r, 0, "declarations: the scopes applied from this computer", "step 1: sts:AssumeRoleWithWebIdentity arn:aws:iam::222222222222:role/stile/payroll-api: passed",
		"with the token of serviceaccount:ci/payroll/api", "works: arn:aws:sts::222222222222:assumed-role/payroll-api/ci-payroll-api")
	r = w.Stile(t, nil, "explain-credential", "-f", routetest.Example(t, "payroll"), "--no-try", "orders-prod/payroll-api")
	has(t, r, 3, "Access payroll-reads-orders", "examples/payroll/access-api.yaml:")
	// Somebody changes the trust by hand: what is there now is asked.
	if _, err := w.IAM(routetest.Orders).UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("payroll-api"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Sid":"OnlyThem","Effect":"Allow","Principal":{"AWS":"333333333333"},"Action":"sts:AssumeRole"}]}`)}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(w.Runtime, "stile")); err != nil {
		t.Fatal(err)
	}
	r = w.Stile(t, nil, "explain-credential", "-f", routetest.Example(t, "payroll"), "orders-prod/payroll-api")
	has(t, r, 1, "role/stile/payroll-api: refused", "AWS says: ", "sts:AssumeRoleWithWebIdentity on arn:aws:iam::222222222222:role/stile/payroll-api", "role trust policy")
	w.Write(t, ".stile-guard.yaml", "deny: {accounts: [orders-prod]}\n")
	r = w.Stile(t, nil, "explain-credential", "--read-only", "orders-prod/payroll-api")
	has(t, r, 1, "guard "+w.Dir+"/.stile-guard.yaml", "refused here: ", "held to ReadOnlyAccess, by --read-only", "not tried: it would be refused here")
	if r := w.Stile(t, nil, "explain-credential", "orders-prod/payrol-api"); r.Code != 1 || !strings.Contains(r.Stderr, "no way there by") {
		t.Errorf("nowhere: exit %d, %s", r.Code, r.Stderr)
	}
}

func TestTheEnvironmentIsExplained(t *testing.T) {
	w := routetest.New(t)
	w.Write(t, "config", "[profile odd]\nrole_arn = arn:aws:iam::111111111111:role/hub\nsource_profile = tooling\ngranted_sso_start_url = x\nsession_tags = a=b\n\n[profile ours]\ncredential_process = stile credential-process orders-prod/x\n")
	role(t, w, routetest.Tooling, "hub", "111111111111", mayAssume)
	r := w.Stile(t, []string{"AWS_PROFILE=odd", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/x"}, "explain-credential")
	has(t, r, 0, "profile odd, by AWS_PROFILE", "used   role of the profile: role arn:aws:iam::111111111111:role/hub from profile tooling", w.Dir+"/config:2", "profile tooling", w.Dir+"/credentials:",
		"hidden container", "these are credentials of arn:aws:sts::111111111111:assumed-role/hub/")
	id, secret, _ := w.Server.Administrator(routetest.Orders)
	keys := []string{"AWS_PROFILE=odd", "AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret}
	r = w.Stile(t, keys, "explain-credential")
	has(t, r, 0, "used   environment variables: access key "+id, "hidden role of the profile", "the keys in the environment come before AWS_PROFILE", "arn:aws:iam::222222222222:user/Administrator")
	if strings.Contains(r.Stdout+r.Stderr, secret) {
		t.Error("the secret key is shown")
	}
	has(t, w.Stile(t, []string{"AWS_PROFILE=ours"}, "explain-credential", "--no-try"), 3, "stile explain-credential orders-prod/x goes on")
	has(t, w.Stile(t, []string{"AWS_PROFILE=gone"}, "explain-credential"), 1, "names profile gone, which is in no file", "it fails: there is no AWS profile \"gone\"")
	has(t, w.Stile(t, nil, "explain-credential"), 1, "no place has any credentials")
}
