package exec_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/machine"
)

// The tests run stile as a program, and below it whoami, a program that uses
// the Go SDK as it comes, against a local AWS.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile":  func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
		"whoami": func() { os.Exit(whoami()) },
		"waiter": func() { os.Exit(waiter()) },
	})
}

// whoami prints whose credentials it finds, and its Region.
func whoami() int {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(*out.Arn, cfg.Region)
	return 0
}

// waiter says that it is ready, waits for a signal and says which it was.
func waiter() int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
	fmt.Println("ready")
	fmt.Println(<-signals)
	return 9
}

const payroll = "arn:aws:sts::222222222222:assumed-role/payroll-api/ci-payroll-api"

func TestExecGoesTheRoutesThatWereApplied(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	for _, c := range []struct {
		name    string
		address string
		want    string
	}{
		{"straight by web identity", "orders-prod/payroll-api", payroll},
		{"the account by its id", "222222222222/payroll-api", payroll},
		{"the role by its ARN", "arn:aws:iam::222222222222:role/stile/payroll-api", payroll},
		{"through a hub", "orders-prod/target-account-iam-role", "arn:aws:sts::222222222222:assumed-role/target-account-iam-role/ci-ci-namespace-ci-serviceaccount"},
		{"to the hub itself", "tooling/ci-account-iam-role", "arn:aws:sts::111111111111:assumed-role/ci-account-iam-role/ci-ci-namespace-ci-serviceaccount"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.Stile(t, nil, "exec", c.address, "--", "whoami").Want(t, c.want+" us-east-1")
		})
	}
	w.Stile(t, nil, "exec", "--token-in-env", "orders-prod/payroll-api", "--", "whoami").Want(t, payroll+" us-east-1")
	if left, err := os.ReadDir(w.Runtime); err != nil || len(left) != 1 || left[0].Name() != "stile" { // where credentials are kept
		t.Errorf("left behind in XDG_RUNTIME_DIR: %v, %v", left, err)
	}
}

func TestExecLeadsPastEveryOtherCredential(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	id, secret, _ := w.Server.Administrator("333333333333")
	w.Write(t, "config", fmt.Sprintf("[default]\nregion = eu-west-1\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret))
	others := []string{"AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_PROFILE=network"}
	w.Stile(t, others, "exec", "orders-prod/payroll-api", "--", "whoami").Want(t, payroll+" us-east-1")
	w.Stile(t, others, "exec", "--env", "orders-prod/payroll-api", "--", "whoami").Want(t, payroll+" us-east-1")
	w.Stile(t, append(others, "AWS_REGION=eu-central-1"), "exec", "orders-prod/payroll-api", "--", "whoami").Want(t, payroll+" eu-central-1")
	// This is why the config files are replaced: a default profile wins.
	w.Stile(t, nil, "exec", "--keep-config", "orders-prod/payroll-api", "--", "whoami").Want(t, "arn:aws:iam::333333333333:user/Administrator us-east-1")

	r := w.Stile(t, others, "exec", "orders-prod/payroll-api", "--", "env")
	for _, secret := range []string{id, secret, "AWS_ACCESS_KEY_ID", "AWS_SECRET", "AWS_SESSION_TOKEN", "AWS_PROFILE"} {
		if strings.Contains(r.Stdout, secret) {
			t.Errorf("the child's environment holds %s", secret)
		}
	}
	if !strings.Contains(r.Stdout, "AWS_ENDPOINT_URL="+w.URL) || !strings.Contains(r.Stdout, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:") {
		t.Errorf("the child's environment lacks an endpoint:\n%s", r.Stdout)
	}
	if strings.Contains(r.Stdout, "AWS_CONTAINER_AUTHORIZATION_TOKEN=") {
		t.Error("the endpoint's token is in the environment")
	}
	r = w.Stile(t, nil, "exec", "--token-in-env", "orders-prod/payroll-api", "--", "env")
	if !strings.Contains(r.Stdout, "AWS_CONTAINER_AUTHORIZATION_TOKEN=") {
		t.Error("the endpoint's token is not in the environment of a client that needs it there")
	}
}

// The commands print the ARN of the identity that an unmodified client finds.
// Through the proxy it needs nothing; through the port, Debian's are told where
// to go, for they are from before AWS_ENDPOINT_URL.
func TestRealClientsWorkBelowExec(t *testing.T) {
	const boto3 = "import boto3, os; print(boto3.Session().client('sts', endpoint_url=os.environ.get('AWS_ENDPOINT_URL')).get_caller_identity()['Arn'])"
	const cli = `aws ${AWS_ENDPOINT_URL:+--endpoint-url $AWS_ENDPOINT_URL} sts get-caller-identity --query Arn --output text`
	for door, w := range map[string]*routetest.World{"port": routetest.New(t), "proxy": routetest.NewProxy(t)} {
		w.Apply(t, routetest.Example(t, "payroll"))
		for _, c := range []struct {
			name    string
			command []string
			have    []string // says whether it is there
		}{
			{"aws", []string{"sh", "-c", cli}, []string{"aws", "--version"}},
			{"Debian's boto3", []string{"/usr/bin/python3", "-c", boto3}, []string{"/usr/bin/python3", "-c", "import boto3"}},
			{"boto3", []string{"python3", "-c", boto3}, []string{"python3", "-c", "import boto3"}},
			{"the Go SDK", []string{"sh", "-c", "whoami | cut -d' ' -f1"}, []string{"true"}},
		} {
			t.Run(door+" "+c.name, func(t *testing.T) {
				err := exec.CommandContext(t.Context(), c.have[0], c.have[1:]...).Run()
				if err != nil && c.name == "boto3" { // Debian's will do
					t.Skipf("%s is not installed: %v", c.name, err)
				}
				machine.Needs(t, c.name, err)
				// Debian's clients know no token files.
				w.Stile(t, nil, append([]string{"exec", "--token-in-env", "orders-prod/payroll-api", "--"}, c.command...)...).Want(t, payroll)
				if door == "port" {
					w.Stile(t, nil, append([]string{"exec", "--env", "orders-prod/payroll-api", "--"}, c.command...)...).Want(t, payroll)
				}
			})
		}
	}
}

func TestExitStatusIsTheCommands(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	plain := w.Write(t, "plain", "not a program")
	for _, c := range []struct {
		name    string
		command []string
		want    int
		stderr  string
	}{
		{"success", []string{"true"}, 0, ""},
		{"a status", []string{"sh", "-c", "exit 7"}, 7, ""},
		{"a signal", []string{"sh", "-c", "kill -KILL $$"}, 137, ""},
		{"no such command", []string{"no-such-command"}, 127, "starting no-such-command: there is no such program on PATH\n"},
		{"no such file", []string{"/no/such/command"}, 127, "starting /no/such/command"},
		{"not executable", []string{plain}, 126, "starting " + plain},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.Stile(t, nil, append([]string{"exec", "orders-prod/payroll-api", "--"}, c.command...)...)
			if r.Code != c.want || !strings.Contains(r.Stderr, c.stderr) || c.stderr == "" && r.Stderr != "" {
				t.Errorf("exit %d, stderr %q, want %d, %q", r.Code, r.Stderr, c.want, c.stderr)
			}
		})
	}
	if r := w.Stile(t, nil, "exec", "--env", "orders-prod/payroll-api", "--", "sh", "-c", "exit 7"); r.Code != 7 {
		t.Errorf("with --env: exit %d, want 7", r.Code)
	}
}

func TestStreamsAreTheCommands(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	cmd := w.Command(t, "stile", "exec", "orders-prod/payroll-api", "--", "sh", "-c", "cat; echo complaint >&2")
	cmd.Stdin = strings.NewReader("question")
	if r := routetest.Run(t, cmd); r.Stdout != "question" || r.Stderr != "complaint\n" || r.Code != 0 {
		t.Errorf("exit %d, stdout %q, stderr %q", r.Code, r.Stdout, r.Stderr)
	}
}

func TestSignalsArePassedOn(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := w.Command(t, "stile", "exec", "orders-prod/payroll-api", "--", "waiter")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal whose keys could be meant
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ready := make([]byte, len("ready\n"))
			if _, err := io.ReadFull(out, ready); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(out)
			if err != nil || string(rest) != sig.String()+"\n" {
				t.Errorf("the command saw %q, %v, want %s", rest, err, sig)
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 9 {
				t.Errorf("exit %v, want 9", err)
			}
		})
	}
}

// Each case is one thing missing or wrong; the same call without it succeeds.
func TestRefusals(t *testing.T) {
	w := routetest.New(t)
	foreign := w.Token(t, "payroll/other")
	garbage := w.Write(t, "garbage", "no token")
	nothing := w.Stile(t, nil, "exec", "orders-prod/payroll-api", "--", "true")
	nothing.Refused(t, "no declarations: give --declarations PATH, or apply some from this computer; or add a source of your own: stile sessions add")
	w.Apply(t, routetest.Example(t, "payroll"))
	away := []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1"}
	for _, c := range []struct {
		name string
		env  []string
		args []string
		want string
	}{
		{"an unknown role, with what there is", nil, []string{"orders-prod/payrol-api", "--", "true"}, "no way there by the scopes applied from this computer; they lead to orders-prod/payroll-api, orders-prod/target-account-iam-role"},
		{"an unknown account", nil, []string{"orders/payroll-api", "--", "true"}, "going to orders/payroll-api: no way there"},
		{"no address", nil, []string{"payroll-api", "--", "true"}, "want ACCOUNT/ROLE"},
		{"a service account as the address", nil, []string{"serviceaccount:ci/payroll/api", "--", "true"}, "a service account is where ways begin"},
		{"a user's ARN", nil, []string{"arn:aws:iam::222222222222:user/jane", "--", "true"}, "want ACCOUNT/ROLE or the ARN of a role"},
		{"no address at all", nil, nil, "want stile exec ADDRESS"},
		{"no address before the dashes", nil, []string{"--", "true"}, "want stile exec ADDRESS"},
		{"an unknown flag behind the address", nil, []string{"orders-prod/payroll-api", "--reed-only", "--", "true"}, "unknown flag: --reed-only"},
		{"no token anywhere", away, []string{"orders-prod/payroll-api", "--", "true"}, "no token of serviceaccount:ci/payroll/api at hand; give --token-file FILE"},
		{"another service account's token", nil, []string{"orders-prod/payroll-api", "--token-file", foreign, "--", "true"}, "is of system:serviceaccount:payroll:other"},
		{"no JWT in the token file", nil, []string{"orders-prod/payroll-api", "--token-file", garbage, "--", "true"}, "it is not a JWT"},
		{"no token file", nil, []string{"orders-prod/payroll-api", "--token-file", "nowhere", "--", "true"}, "reading token: open nowhere"},
		{"another service account's token in the environment", append(away, "AWS_WEB_IDENTITY_TOKEN_FILE="+foreign), []string{"orders-prod/payroll-api", "--", "true"}, "is of system:serviceaccount:payroll:other"},
		{"an unknown caller", nil, []string{"orders-prod/payroll-api", "--as", "serviceaccount:ci/payroll/other", "--", "true"}, "only these callers may: serviceaccount:ci/payroll/api"},
		{"declarations that are not there", nil, []string{"orders-prod/payroll-api", "-f", "nowhere", "--", "true"}, "nowhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.Stile(t, c.env, append([]string{"exec"}, c.args...)...).Refused(t, c.want)
		})
	}
	w.Stile(t, nil, "exec", "orders-prod/payroll-api", "--", "true").Want(t, "")
}

func TestRefusalsOfAWSAreShownAsAWSSaysThem(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	_, err := w.IAM(routetest.Orders).UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{
		RoleName:       aws.String("payroll-api"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:AssumeRole"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := w.Stile(t, nil, "exec", "orders-prod/payroll-api", "--", "true")
	r.Refused(t, "going as serviceaccount:ci/payroll/api: assuming role arn:aws:iam::222222222222:role/stile/payroll-api: STS AssumeRoleWithWebIdentity: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity")
	if strings.Count(r.Stderr, "\n") != 1 {
		t.Errorf("stderr has several lines: %s", r.Stderr)
	}
}

func TestTokensComeFromFiles(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	file := w.Token(t, "payroll/api")
	foreign := w.Token(t, "payroll/other")
	// Without the note of where it runs, the local AWS is no local AWS to stile.
	notes := filepath.Join(w.Dir, "state", "stile", "local")
	if err := os.Rename(notes, notes+".away"); err != nil {
		t.Fatal(err)
	}
	none := w.Stile(t, nil, "exec", "orders-prod/payroll-api", "--", "whoami")
	none.Refused(t, "no token of serviceaccount:ci/payroll/api at hand")
	none.Refused(t, "AWS_ENDPOINT_URL is "+w.URL+", and "+notes+", where stile local start notes what it starts, has no local AWS running there")
	w.Stile(t, nil, "exec", "--token-file", file, "orders-prod/payroll-api", "--", "whoami").Want(t, payroll+" us-east-1")
	w.Stile(t, []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + file}, "exec", "orders-prod/payroll-api", "--", "whoami").Want(t, payroll+" us-east-1")
	if err := os.Rename(notes+".away", notes); err != nil {
		t.Fatal(err)
	}
	// The environment's token of somebody else does not keep the local AWS from making the right one.
	w.Stile(t, []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + foreign}, "exec", "orders-prod/payroll-api", "--", "whoami").Want(t, payroll+" us-east-1")
}

func TestDeclarationsAreFound(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	if err := os.RemoveAll(filepath.Join(w.Dir, "state", "stile", "scopes")); err != nil {
		t.Fatal(err)
	}
	w.Stile(t, nil, "exec", "orders-prod/payroll-api", "--", "whoami").Refused(t, "no declarations")
	w.Stile(t, nil, "exec", "-f", routetest.Example(t, "payroll"), "orders-prod/payroll-api", "--", "whoami").Want(t, payroll+" us-east-1")
	w.Stile(t, []string{"STILE_DECLARATIONS=" + routetest.Example(t, "payroll")}, "exec", "orders-prod/payroll-api", "--", "whoami").Want(t, payroll+" us-east-1")
	w.Stile(t, nil, "exec", "-f", routetest.Example(t, "payroll"), "orders-prod/nobody", "--", "whoami").Refused(t, "no way there by "+routetest.Example(t, "payroll"))

	// A stile.yaml in the working directory or above.
	below := filepath.Join(w.Dir, "work", "deep", "down")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(w.Dir, "work"), os.DirFS(routetest.Example(t, "payroll"))); err != nil {
		t.Fatal(err)
	}
	there := func(env ...string) routetest.Result {
		cmd := w.Command(t, "stile", "exec", "orders-prod/payroll-api", "--", "whoami")
		cmd.Dir, cmd.Env = below, append(slices.Clone(w.Env), env...)
		return routetest.Run(t, cmd)
	}
	there().Want(t, payroll+" us-east-1")

	// Where they cannot be compiled, as without the accounts' credentials, what
	// was applied shows the way; where nothing was, the reason is told.
	blind := "AWS_SHARED_CREDENTIALS_FILE=/dev/null"
	there(blind).Refused(t, "tooling")
	w.Apply(t, routetest.Example(t, "payroll"))
	there(blind).Want(t, payroll+" us-east-1")
}

const shared = `apiVersion: stile.dev/v1alpha1
kind: Access
metadata: {name: both}
spec:
  from:
    - serviceAccount: {cluster: ci, namespace: payroll, name: api}
    - serviceAccount: {cluster: ci, namespace: payroll, name: batch}
  to: {accounts: [orders-prod]}
  as: shared-reader
  shared: true
  via: webIdentity
  allow: [{actions: ["eks:ListClusters"], resources: ["*"]}]
`

func TestCallerIsChosenByWhatIsAtHand(t *testing.T) {
	w := routetest.New(t)
	work := filepath.Join(w.Dir, "shared")
	for _, file := range []string{"stile.yaml", "accounts.yaml", "cluster.yaml"} {
		text, err := os.ReadFile(filepath.Join(routetest.Example(t, "payroll"), file))
		if err != nil {
			t.Fatal(err)
		}
		w.Write(t, filepath.Join("shared", file), string(text))
	}
	w.Write(t, "shared/access.yaml", shared)
	w.Apply(t, work)
	as := func(name string) string {
		return "arn:aws:sts::222222222222:assumed-role/shared-reader/ci-payroll-" + name + " us-east-1"
	}
	r := w.Stile(t, nil, "exec", "orders-prod/shared-reader", "--", "whoami")
	r.Refused(t, "the credentials of several callers who may are at hand; choose one:\n  --as serviceaccount:ci/payroll/api: at hand\n  --as serviceaccount:ci/payroll/batch: at hand")
	w.Stile(t, nil, "exec", "orders-prod/shared-reader", "--as", "serviceaccount:ci/payroll/batch", "--", "whoami").Want(t, as("batch"))
	w.Stile(t, nil, "exec", "orders-prod/shared-reader", "--token-file", w.Token(t, "payroll/api"), "--", "whoami").Want(t, as("api"))
	w.Stile(t, nil, "exec", "orders-prod/shared-reader", "--token-file", w.Token(t, "payroll/other"), "--", "whoami").Refused(t, "the credentials of none are at hand")
}

func TestRolesAndUsersGoWithTheirOwnCredentials(t *testing.T) {
	w := routetest.New(t)
	auditor := w.Deployer(t)
	w.Apply(t, routetest.Example(t, "assume-role"))
	deployer := []string{"AWS_PROFILE=deployer"}
	w.Stile(t, deployer, "exec", "orders-prod/orders-deploy-reader", "--", "whoami").
		Want(t, "arn:aws:sts::222222222222:assumed-role/orders-deploy-reader/jane us-east-1")
	w.Stile(t, auditor, "exec", "orders-prod/orders-auditor", "--", "whoami").
		Want(t, "arn:aws:sts::222222222222:assumed-role/orders-auditor/auditor us-east-1")
	w.Stile(t, deployer, "exec", "orders-prod/orders-deploy-reader", "--as", "111111111111/ci-deployer", "--", "whoami").
		Want(t, "arn:aws:sts::222222222222:assumed-role/orders-deploy-reader/jane us-east-1")

	w.Stile(t, auditor, "exec", "orders-prod/orders-deploy-reader", "--", "whoami").
		Refused(t, "the credentials at hand are those of arn:aws:iam::111111111111:user/auditor, not of arn:aws:iam::111111111111:role/ci/ci-deployer")
	w.Stile(t, nil, "exec", "orders-prod/orders-auditor", "--", "whoami").
		Refused(t, "no credentials of arn:aws:iam::111111111111:user/auditor at hand")

	// A user's session may last longer than the hour that a chain is limited to.
	r := w.Stile(t, auditor, "exec", "--env", "orders-prod/orders-auditor", "--", "sh", "-c", "echo $AWS_CREDENTIAL_EXPIRATION")
	end, err := time.Parse(time.RFC3339, strings.TrimSpace(r.Stdout))
	if left := time.Until(end); err != nil || left < 3*time.Hour+59*time.Minute {
		t.Errorf("the user's session ends at %s, %v, want in four hours", r.Stdout, err)
	}
}

// Flags before the command are stile's, and behind it the command's, with dashes
// between or without.
func TestFlagsAroundTheCommand(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	const there, script = "orders-prod/payroll-api", `echo "$AWS_REGION $*"`
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no dashes", []string{there, "sh", "-c", script, "sh", "--query", "Arn"}, "us-east-1 --query Arn"},
		{"a flag before the address", []string{"--region", "eu-west-1", there, "sh", "-c", script, "sh", "--region", "x"}, "eu-west-1 --region x"},
		{"a flag behind the address, with dashes", []string{there, "--region", "eu-west-1", "--", "sh", "-c", script, "sh", "--", "-f"}, "eu-west-1 -- -f"},
		{"a flag behind the address, without", []string{there, "--region=eu-west-1", "sh", "-c", script, "sh", "-x"}, "eu-west-1 -x"},
		{"flags in both places", []string{"--no-broker", there, "--region=eu-west-1", "--", "sh", "-c", script}, "eu-west-1 "},
		{"help is the command's", []string{there, "sh", "-c", script, "sh", "--help"}, "us-east-1 --help"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := w.Stile(t, nil, append([]string{"exec"}, c.args...)...); r.Code != 0 || r.Stdout != c.want+"\n" {
				t.Errorf("exit %d, %q, want %q; %s", r.Code, r.Stdout, c.want, r.Stderr)
			}
		})
	}
	if r := w.Stile(t, nil, "exec", there, "--help"); r.Code != 0 || !strings.Contains(r.Stdout, "Usage:") {
		t.Errorf("help behind the address: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// Without a command it is the person's shell, which knows where it is; one below
// another, too.
func TestShell(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	cmd := w.Command(t, "stile", "exec", "orders-prod/payroll-api")
	cmd.Env = append(cmd.Env, "SHELL=/bin/sh")
	cmd.Stdin = strings.NewReader("echo $STILE_ADDRESS\nwhoami\necho 'echo $STILE_ADDRESS; whoami' | stile exec tooling/ci-account-iam-role\necho $STILE_ADDRESS\nexit 5\n")
	r := routetest.Run(t, cmd)
	want := "orders-prod/payroll-api\n" + payroll + " us-east-1\ntooling/ci-account-iam-role\narn:aws:sts::111111111111:assumed-role/ci-account-iam-role/ci-ci-namespace-ci-serviceaccount us-east-1\norders-prod/payroll-api\n"
	if r.Stdout != want || r.Code != 5 {
		t.Errorf("exit %d, %q, want %q; %s", r.Code, r.Stdout, want, r.Stderr)
	}
}
