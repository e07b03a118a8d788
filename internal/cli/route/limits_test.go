package route_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
		// clusters lists EKS clusters, or says why not.
		"clusters": func() {
			cfg, err := config.LoadDefaultConfig(context.Background())
			if err == nil {
				_, err = eks.NewFromConfig(cfg).ListClusters(context.Background(), &eks.ListClustersInput{})
			}
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println("listed")
		},
		// secrets lists secrets and makes one, and prints how each ended.
		"secrets": func() {
			cfg, err := config.LoadDefaultConfig(context.Background(), config.WithRegion("us-east-1"))
			if err != nil {
				fmt.Println(err)
				return
			}
			client := secretsmanager.NewFromConfig(cfg)
			_, err = client.ListSecrets(context.Background(), &secretsmanager.ListSecretsInput{})
			fmt.Println("read:", err)
			_, err = client.CreateSecret(context.Background(), &secretsmanager.CreateSecretInput{Name: aws.String(rand.Text()), SecretString: aws.String("x")})
			fmt.Println("write:", err)
		},
		// items reads the orders and writes one, and prints how each ended.
		"items": func() {
			cfg, err := config.LoadDefaultConfig(context.Background(), config.WithRegion("us-east-1"))
			if err != nil {
				fmt.Println(err)
				return
			}
			client, table := dynamodb.NewFromConfig(cfg), aws.String("Orders")
			item := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "1"}}
			_, err = client.GetItem(context.Background(), &dynamodb.GetItemInput{TableName: table, Key: item})
			fmt.Println("read:", err)
			_, err = client.PutItem(context.Background(), &dynamodb.PutItemInput{TableName: table, Item: item})
			fmt.Println("write:", err)
		},
	})
}

const inspector = "orders-prod/target-account-iam-role"

// commands hand out credentials; every one of them must heed guards and limits.
var commands = map[string][]string{
	"exec":               {"exec", inspector, "--", "true"},
	"each":               {"each", inspector, "--", "true"},
	"env":                {"env", inspector},
	"credential-process": {"credential-process", inspector},
	"console":            {"console", "--print", inspector},
	"serve":              {"serve", "--listen", "192.0.2.1:1", inspector}, // gets no further than the credentials
}

// with puts flags behind a command's name.
func with(args []string, flags ...string) []string {
	return append(append([]string{args[0]}, flags...), args[1:]...)
}

// stile runs a command and gives all it says.
func stile(t *testing.T, w *routetest.World, env []string, args ...string) (string, bool) {
	t.Helper()
	r := w.Stile(t, env, args...)
	ok := r.Code == 0 || args[0] == "serve" && strings.Contains(r.Stderr, "not a loopback address")
	return r.Stdout + r.Stderr, ok
}

func TestNoCommandEscapesAGuard(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	for name, args := range commands {
		for _, c := range []struct {
			guard string
			flags []string
			want  string // "" for success
		}{
			{"# none", nil, ""},
			{"allow: {accounts: [orders-prod]}", nil, ""},
			{"allow: {labels: {env: prod}}", nil, ""},
			{"allow: {accounts: [tooling]}", nil, "account orders-prod (222222222222) is kept out by"},
			{"deny: {labels: {team: orders}}", nil, "it denies label team=orders"},
			{"confirm: {labels: {env: prod}}", nil, "nobody can be asked here, say --confirm 222222222222"},
			{"confirm: {labels: {env: prod}}", []string{"--confirm", "orders-prod"}, ""},
			{"confirm: {labels: {env: prod}}", []string{"--confirm", "222222222222"}, ""},
			{"confirm: {labels: {env: prod}}", []string{"--confirm", "tooling"}, "nobody can be asked here"},
			{"alow: {}", nil, "reading the guard of"},
			{"as: readonly", nil, ""},
			{"as: readonly", []string{"--policy-arn", "arn:aws:iam::aws:policy/IAMReadOnlyAccess"}, "lets programs read only"},
		} {
			w.Write(t, ".stile-guard.yaml", c.guard)
			said, ok := stile(t, w, nil, with(args, c.flags...)...)
			if ok != (c.want == "") || !strings.Contains(said, c.want) {
				t.Errorf("%s %q with %q: ok %v, %s; want %q", name, c.flags, c.guard, ok, said, c.want)
			}
			if !ok && (strings.Contains(said, "ASIA") || strings.Contains(said, "SigninToken")) {
				t.Errorf("%s %q with %q says credentials: %s", name, c.flags, c.guard, said)
			}
		}
	}
}

// whereabouts makes ways of which nothing says to which account they lead: an AWS
// profile, a program, a user. All lead to account tooling.
func whereabouts(t *testing.T, w *routetest.World) []string {
	t.Helper()
	key, secret, _ := w.Server.Administrator(routetest.Tooling)
	answer := fmt.Sprintf(`{"Version":1,"AccessKeyId":%q,"SecretAccessKey":%q}`, key, secret)
	program := w.Write(t, "answer.sh", "echo '"+answer+"'\n")
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n- name: asked\n  process: {command: sh "+program+"}\n- name: by-profile\n  profile: {name: tooling}\n")
	return []string{"tooling", "asked", "by-profile"}
}

// A guard that goes by ids holds where nobody has said which account it is: STS says it,
// before anybody has the credentials.
func TestGuardsHoldWhereTheAccountIsNotKnown(t *testing.T) {
	w := routetest.New(t)
	for _, address := range whereabouts(t, w) {
		for _, c := range []struct {
			guard string
			flags []string
			want  string // "" for success
		}{
			{`deny: {accounts: ["111111111111"]}`, nil, "account 111111111111 is kept out by"},
			{`deny: {accounts: ["1111*"]}`, nil, "account 111111111111 is kept out by"},
			{`deny: {accounts: ["222222222222"]}`, nil, ""},
			{`allow: {accounts: ["222222222222"]}`, nil, "account 111111111111 is kept out by"},
			{`allow: {accounts: ["111111111111"]}`, nil, ""},
			{`allow: {accounts: [tooling]}`, nil, "this account's name is not known"},
			{`confirm: {accounts: ["111111111111"]}`, nil, "say --confirm 111111111111"},
			{`confirm: {accounts: ["111111111111"]}`, []string{"--confirm", "111111111111"}, ""},
		} {
			w.Write(t, ".stile-guard.yaml", c.guard)
			for _, args := range [][]string{{"exec", address, "--", "sh", "-c", "echo begun"}, {"each", address, "--", "sh", "-c", "echo begun"}, {"env", address}, {"credential-process", address}} {
				said, ok := stile(t, w, nil, with(args, c.flags...)...)
				if ok != (c.want == "") || !strings.Contains(said, c.want) || !ok && (strings.Contains(said, "begun") || strings.Contains(said, "AKIA") || strings.Contains(said, "account  ")) {
					t.Errorf("%s %q with %s: ok %v, %s; want %q", args, c.flags, c.guard, ok, said, c.want)
				}
			}
		}
	}
	w.Write(t, "answer.sh", `echo '{"Version":1,"AccessKeyId":"AKIAUNKNOWN","SecretAccessKey":"hush"}'`)
	said, ok := stile(t, w, nil, "exec", "asked", "--", "sh", "-c", "echo begun")
	if ok || strings.Contains(said, "begun") || !strings.Contains(said, "finding out which account this is, by which") {
		t.Errorf("STS does not know whose they are: ok %v, %s, want it kept out", ok, said)
	}
}

// What a program or a file claims of an account is no answer of AWS: a guard goes by what
// STS says.
func TestGuardsBelieveNoClaims(t *testing.T) {
	w := routetest.New(t)
	key, secret, _ := w.Server.Administrator(routetest.Tooling)
	program := w.Write(t, "lie.sh", fmt.Sprintf(`echo '{"Version":1,"AccessKeyId":%q,"SecretAccessKey":%q,"AccountId":"222222222222","Expiration":"2051-01-01T00:00:00Z"}'`, key, secret))
	w.Write(t, "config", fmt.Sprintf("[profile lying]\ncredential_process = sh %s\n[profile stale]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_account_id = 222222222222\n", program, key, secret))
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n- name: asked\n  process: {command: sh "+program+"}\n")
	for _, address := range []string{"lying", "stale", "asked"} {
		for _, c := range []struct{ guard, want string }{ // "" for success
			{`allow: {accounts: ["222222222222"]}`, "account 111111111111 is kept out by"},
			{`deny: {accounts: ["111111111111"]}`, "account 111111111111 is kept out by"},
			{`confirm: {accounts: ["111111111111"]}`, "say --confirm 111111111111"},
			{`allow: {accounts: ["111111111111"]}`, ""},
			{`deny: {accounts: ["222222222222"]}`, ""},
		} {
			w.Write(t, ".stile-guard.yaml", c.guard)
			said, ok := stile(t, w, nil, "env", address)
			if ok != (c.want == "") || !strings.Contains(said, c.want) || !ok && strings.Contains(said, key) {
				t.Errorf("env %s with %s: ok %v, %s; want %q", address, c.guard, ok, said, c.want)
			}
		}
	}
}

// Which guards hold in a directory that is gone nobody can tell, and the way out is said.
// What asks no guard works there.
func TestAWorkingDirectoryThatIsGone(t *testing.T) {
	w := routetest.New(t)
	in := func(args ...string) routetest.Result {
		cmd := w.Command(t, "sh", append([]string{"-c", `mkdir gone && cd gone && rmdir ../gone && exec stile "$@"`, "stile"}, args...)...)
		return routetest.Run(t, cmd)
	}
	for _, args := range [][]string{{"exec", "tooling", "--", "echo", "begun"}, {"env", "tooling"}, {"credential-process", "tooling"}} {
		in(args...).Refused(t, "the working directory is gone")
		in(args...).Refused(t, "cd to a directory that is there")
	}
	if r := in("explain-credential", "tooling"); !strings.Contains(r.Stdout, "refused here: looking for guards: the working directory is gone") {
		t.Errorf("explain-credential: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	for _, args := range [][]string{{"ls"}, {"sessions", "list"}, {"log"}, {"doctor"}, {"secrets", "list"}} {
		if r := in(args...); strings.Contains(r.Stderr, "directory is gone") || strings.Contains(r.Stderr, "getwd") {
			t.Errorf("%s: exit %d, %s", args, r.Code, r.Stderr)
		}
	}
}

func TestSessionPolicies(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	list := w.Write(t, "list.json", "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"eks:List*\", \"Resource\": \"*\"}]\n}\n")
	other := w.Write(t, "other.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	broken := w.Write(t, "broken.json", `{`)
	for _, c := range []struct {
		flags []string
		want  string
	}{
		{nil, "listed"},
		{[]string{"--policy", list}, "listed"},
		{[]string{"--policy", other}, "no session policy allows the eks:ListClusters action"},
		{[]string{"--policy-arn", "arn:aws:iam::aws:policy/IAMReadOnlyAccess"}, "no session policy allows the eks:ListClusters action"},
		{[]string{"--policy-arn", "arn:aws:iam::aws:policy/IAMReadOnlyAccess", "--policy", list}, "listed"}, // either is enough
		{[]string{"--policy", broken}, "reading --policy"},
		{[]string{"--policy", "none.json"}, "reading --policy"},
		{[]string{"--read-only", "--policy", list}, "AWS unites session policies"},
		{[]string{"--read-only"}, "listed"},
	} {
		for _, target := range []string{inspector, "tooling/ci-account-iam-role"} { // by AssumeRole, by web identity
			if target != inspector && c.want == "listed" {
				continue // the hub may list none
			}
			said, _ := stile(t, w, nil, with([]string{"exec", target, "--", "clusters"}, c.flags...)...)
			if !strings.Contains(said, c.want) && !(target != inspector && strings.Contains(said, "is not authorized to perform: eks:ListClusters")) {
				t.Errorf("%s %q: %s, want %q", target, c.flags, said, c.want)
			}
		}
	}
	for name, args := range commands {
		said, ok := stile(t, w, nil, with(args, "--read-only")...)
		if !ok {
			t.Errorf("%s --read-only: %s", name, said)
		}
	}
}

// A role that may write is held to reading, by AWS's own policy.
func TestReadOnlyReadsAndWritesNothing(t *testing.T) {
	w := routetest.New(t)
	for _, name := range []string{"stile.yaml", "accounts.yaml", "cluster.yaml"} {
		text, err := os.ReadFile(filepath.Join(routetest.Example(t, "payroll"), name))
		if err != nil {
			t.Fatal(err)
		}
		w.Write(t, "orders/"+name, string(text))
	}
	access := w.Write(t, "orders/access.yaml", `apiVersion: stile.dev/v1alpha1
kind: Access
metadata: {name: payroll-writes-orders}
spec:
  from: [{serviceAccount: {cluster: ci, namespace: payroll, name: api}}]
  to: {accounts: [orders-prod]}
  as: payroll-api
  via: webIdentity
  allow: [{actions: [dynamodb:GetItem, dynamodb:PutItem], resources: ["arn:aws:dynamodb:us-east-1:${account}:table/Orders"]}]
`)
	id, secret, _ := w.Server.Administrator(routetest.Orders)
	tables := dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: &w.URL, Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")})
	if _, err := tables.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("Orders"), BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
	}); err != nil {
		t.Fatal(err)
	}
	w.Apply(t, filepath.Dir(access))
	for _, c := range []struct {
		flags []string
		want  string // after "write: "
	}{
		{nil, "<nil>"},
		{[]string{"--read-only"}, "no session policy allows the dynamodb:PutItem action"},
	} {
		said, ok := stile(t, w, nil, with([]string{"exec", "orders-prod/payroll-api", "--", "items"}, c.flags...)...)
		_, write, _ := strings.Cut(said, "write: ")
		if !ok || !strings.Contains(said, "read: <nil>") || !strings.Contains(write, c.want) {
			t.Errorf("exec %q: ok %v, %s; want it to read, and write: %s", c.flags, ok, said, c.want)
		}
	}
}

// Credentials that no call makes which takes a session policy cannot be held to one.
func TestWhatCannotBeNarrowedIsRefused(t *testing.T) {
	w := routetest.New(t)
	w.Write(t, "config", "[profile plain]\nregion = us-east-1\ncredential_process = echo {}\n")
	said, ok := stile(t, w, nil, "env", "--read-only", "plain")
	if ok || !strings.Contains(said, "--read-only cannot be held to") {
		t.Errorf("ok %v, %s", ok, said)
	}
}

// Credentials of sessions are kept between processes; guards hold for them too,
// and narrowed ones are not mixed up with others.
func TestKeptCredentialsAreGuarded(t *testing.T) {
	w := routetest.New(t)
	args := []string{"credential-process", "orders-prod"} // an AWS profile
	first, ok := stile(t, w, nil, args...)
	if !ok {
		t.Fatalf("an AWS profile is no address: %s", first)
	}
	if said, ok := stile(t, w, nil, args...); !ok {
		t.Errorf("again: %s", said)
	}
	w.Write(t, ".stile-guard.yaml", `deny: {accounts: ["*"]}`)
	if said, ok := stile(t, w, nil, args...); ok || !strings.Contains(said, "kept out") {
		t.Errorf("with a guard: ok %v, %s", ok, said)
	}
	log := w.Stile(t, nil, "log", "--json")
	if n := strings.Count(log.Stdout, `"delivery":"credential-process"`); n != 2 {
		t.Errorf("%d lines of the log, want 2: %s", n, log.Stdout)
	}
	if !slices.Contains(strings.Split(log.Stdout, `"`), "orders-prod") {
		t.Errorf("the log lacks the address: %s", log.Stdout)
	}
}

// What comes by the broker is guarded, narrowed and logged as anything else.
func TestGuardsHoldByWayOfTheBroker(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	w.Env = append(w.Env, "STILE_BROKER=on")
	t.Cleanup(func() {
		cmd := exec.Command("stile", "broker", "stop")
		cmd.Env = w.Env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("stopping the broker: %v: %s", err, out)
		}
	})
	args := []string{"credential-process", inspector}
	if said, ok := stile(t, w, nil, args...); !ok {
		t.Fatal(said)
	}
	if r := w.Stile(t, nil, "broker", "status", "--json"); !strings.Contains(r.Stdout, `"pid"`) {
		t.Fatalf("no broker runs: %s%s", r.Stdout, r.Stderr)
	}
	for _, c := range []struct{ guard, want string }{
		{"allow: {labels: {env: prod}}", ""},
		{"allow: {labels: {env: dev}}", "kept out by"},
		{"deny: {accounts: [orders-prod]}", "kept out by"},
		{"confirm: {labels: {env: prod}}", "nobody can be asked here"},
		{"deny: {accounts: [tooling]}", ""},
		{"as: readonly", ""},
	} {
		w.Write(t, ".stile-guard.yaml", c.guard)
		if said, ok := stile(t, w, nil, args...); ok != (c.want == "") || !strings.Contains(said, c.want) {
			t.Errorf("%q: ok %v, %s, want %q", c.guard, ok, said, c.want)
		}
	}
	w.Write(t, ".stile-guard.yaml", "")
	other := w.Write(t, "other.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	for flags, want := range map[string]string{"": "listed", "--policy=" + other: "no session policy allows"} {
		said, _ := stile(t, w, nil, append(append([]string{"exec"}, strings.Fields(flags)...), inspector, "--", "clusters")...)
		if !strings.Contains(said, want) {
			t.Errorf("exec %s: %s, want %q", flags, said, want)
		}
	}
	log := w.Stile(t, nil, "log", "--json").Stdout
	if n := strings.Count(log, `"delivery":"credential-process","source":`); n != 4 || strings.Count(log, `"delivery":"exec"`) != 2 || !strings.Contains(log, `"session":"ci-ci-namespace-ci-serviceaccount"`) {
		t.Errorf("%d lines of credential-process, want 4, and 2 of exec:\n%s", n, log)
	}
}

// answering runs stile in this process for somebody at a terminal who types text.
func answering(t *testing.T, w *routetest.World, text string, args ...string) (string, bool) {
	t.Helper()
	for _, v := range w.Env {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	t.Chdir(w.Dir)
	var out, errs bytes.Buffer
	s := cli.System()
	s.In, s.Out, s.Err, s.Ask, s.Terminal = strings.NewReader(text), &out, &errs, true, true
	code := cli.Main(args, s)
	return out.String() + errs.String(), code == 0
}

func TestPersonConfirms(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	w.Write(t, ".stile-guard.yaml", "confirm: {labels: {env: prod}}\nas: readonly\n") // a person is no program
	for text, want := range map[string]bool{"yes\n": true, "yes": false, "no\n": false, "": false, "y\n": false} {
		said, ok := answering(t, w, text, "env", inspector)
		if ok != want || !strings.Contains(said, `asks to confirm label env=prod. Go on?`) || strings.Contains(said, "AWS_SECRET") != want {
			t.Errorf("%q: ok %v, %s", text, ok, said)
		}
	}
}
