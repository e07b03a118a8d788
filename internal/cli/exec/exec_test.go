package exec_test

import (
	"bytes"
	"context"
	"errors"
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
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/localaws"
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

const (
	tooling arn.AccountID = "111111111111"
	orders  arn.AccountID = "222222222222"

	payroll = "arn:aws:sts::222222222222:assumed-role/payroll-api/ci-payroll-api"
)

// world is a local AWS, and the environment of somebody who works against it.
type world struct {
	*local.Running
	dir     string
	runtime string // XDG_RUNTIME_DIR
	env     []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{dir: dir, runtime: filepath.Join(dir, "runtime")}
	if err := os.Mkdir(w.runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	streams := cli.System()
	streams.Env = func(name string) (string, bool) { return filepath.Join(dir, "state"), name == "XDG_STATE_HOME" }
	credentials := filepath.Join(dir, "credentials")
	var err error
	w.Running, err = local.Start(t.Context(), streams, local.Setup{
		Listen: "127.0.0.1:0", Credentials: credentials,
		AWS: localaws.Config{
			Accounts:     []localaws.Account{{Name: "tooling", ID: tooling}, {Name: "orders-prod", ID: orders}, {Name: "network", ID: "333333333333"}},
			Clusters:     []localaws.Cluster{{Account: tooling, Name: "ci"}},
			Organization: true,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	w.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_STATE_HOME=" + filepath.Join(dir, "state"), "XDG_RUNTIME_DIR=" + w.runtime,
		"AWS_ENDPOINT_URL=" + w.URL, "AWS_SHARED_CREDENTIALS_FILE=" + credentials, "AWS_CONFIG_FILE=" + filepath.Join(dir, "config"),
		"AWS_EC2_METADATA_DISABLED=true",
	}
	return w
}

// result is how a program ended.
type result struct {
	stdout, stderr string
	code           int
}

func (w *world) command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	return cmd
}

// stile runs stile with a changed environment.
func (w *world) stile(t *testing.T, env []string, args ...string) result {
	t.Helper()
	cmd := w.command(t, "stile", args...)
	cmd.Env = append(slices.Clone(w.env), env...)
	return run(t, cmd)
}

func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// want fails unless stile succeeds and prints exactly text.
func (r result) want(t *testing.T, text string) {
	t.Helper()
	if r.code != 0 || strings.TrimSpace(r.stdout) != text {
		t.Errorf("exit %d, %q, want %q; stderr: %s", r.code, r.stdout, text, r.stderr)
	}
}

// refused fails unless the command ended with 1, one clear diagnostic that
// holds text, and nothing on standard output.
func (r result) refused(t *testing.T, text string) {
	t.Helper()
	if r.code != 1 || r.stdout != "" || !strings.HasPrefix(r.stderr, "stile: ") && !strings.Contains(r.stderr, "error: ") || !strings.Contains(r.stderr, text) {
		t.Errorf("exit %d, stdout %q, stderr %q, want exit 1, nothing, and %q", r.code, r.stdout, r.stderr, text)
	}
	if strings.Contains(r.stderr, "eyJ") {
		t.Errorf("a token is on standard error: %s", r.stderr)
	}
}

func (w *world) apply(t *testing.T, path string) {
	t.Helper()
	if r := w.stile(t, nil, "apply", "--yes", path); r.code != 0 {
		t.Fatalf("stile apply: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

func example(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../../../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// write writes a file below the world's directory and gives its path.
func (w *world) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// token writes a service account's token into a file.
func (w *world) token(t *testing.T, name string) string {
	t.Helper()
	r := w.stile(t, nil, "local", "token", "--cluster", "tooling/ci", name)
	if r.code != 0 {
		t.Fatal(r.stderr)
	}
	return w.write(t, strings.ReplaceAll(name, "/", "-")+".token", r.stdout)
}

func (w *world) iam(account arn.AccountID) *iam.Client {
	id, secret, _ := w.Server.Administrator(account)
	return iam.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(w.URL), Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
}

func TestExecGoesTheRoutesThatWereApplied(t *testing.T) {
	w := newWorld(t)
	w.apply(t, example(t, "payroll"))
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
			for _, flags := range [][]string{nil, {"--env"}, {"--token-file-only"}} {
				args := append(append([]string{"exec", c.address}, flags...), "--", "whoami")
				w.stile(t, nil, args...).want(t, c.want+" us-east-1")
			}
		})
	}
	if left, err := os.ReadDir(w.runtime); err != nil || len(left) > 0 {
		t.Errorf("left behind in XDG_RUNTIME_DIR: %v, %v", left, err)
	}
}

func TestExecLeadsPastEveryOtherCredential(t *testing.T) {
	w := newWorld(t)
	w.apply(t, example(t, "payroll"))
	id, secret, _ := w.Server.Administrator("333333333333")
	w.write(t, "config", fmt.Sprintf("[default]\nregion = eu-west-1\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret))
	others := []string{"AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_PROFILE=network"}
	w.stile(t, others, "exec", "orders-prod/payroll-api", "--", "whoami").want(t, payroll+" us-east-1")
	w.stile(t, others, "exec", "--env", "orders-prod/payroll-api", "--", "whoami").want(t, payroll+" us-east-1")
	w.stile(t, append(others, "AWS_REGION=eu-central-1"), "exec", "orders-prod/payroll-api", "--", "whoami").want(t, payroll+" eu-central-1")
	// This is why the config files are replaced: a default profile wins.
	w.stile(t, nil, "exec", "--keep-config", "orders-prod/payroll-api", "--", "whoami").want(t, "arn:aws:iam::333333333333:user/Administrator us-east-1")

	r := w.stile(t, others, "exec", "orders-prod/payroll-api", "--", "env")
	for _, secret := range []string{id, secret, "AWS_ACCESS_KEY_ID", "AWS_SECRET", "AWS_SESSION_TOKEN", "AWS_PROFILE"} {
		if strings.Contains(r.stdout, secret) {
			t.Errorf("the child's environment holds %s", secret)
		}
	}
	if !strings.Contains(r.stdout, "AWS_ENDPOINT_URL="+w.URL) || !strings.Contains(r.stdout, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:") {
		t.Errorf("the child's environment lacks an endpoint:\n%s", r.stdout)
	}
	r = w.stile(t, nil, "exec", "--token-file-only", "orders-prod/payroll-api", "--", "env")
	if strings.Contains(r.stdout, "AWS_CONTAINER_AUTHORIZATION_TOKEN=") {
		t.Error("the endpoint's token is in the environment")
	}
}

// The scripts print the ARN of the identity that an unmodified client finds.
// Debian's are from before AWS_ENDPOINT_URL, so they are told where to go.
func TestRealClientsWorkBelowExec(t *testing.T) {
	w := newWorld(t)
	w.apply(t, example(t, "payroll"))
	boto3 := "import boto3, os; print(boto3.Session().client('sts', endpoint_url=os.environ['AWS_ENDPOINT_URL']).get_caller_identity()['Arn'])"
	for _, c := range []struct {
		name    string
		command []string
		have    []string // says whether it is there
	}{
		{"aws", []string{"aws", "--endpoint-url", w.URL, "sts", "get-caller-identity", "--query", "Arn", "--output", "text"}, []string{"aws", "--version"}},
		{"Debian's boto3", []string{"/usr/bin/python3", "-c", boto3}, []string{"/usr/bin/python3", "-c", "import boto3"}},
		{"boto3", []string{"python3", "-c", boto3}, []string{"python3", "-c", "import boto3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := exec.CommandContext(t.Context(), c.have[0], c.have[1:]...).Run(); err != nil {
				if c.name != "boto3" && os.Getenv("CI") != "" {
					t.Fatalf("%s is not installed: %v", c.name, err)
				}
				t.Skipf("%s is not installed: %v", c.name, err)
			}
			for _, flags := range [][]string{nil, {"--env"}} {
				args := append(append([]string{"exec", "orders-prod/payroll-api"}, flags...), "--")
				w.stile(t, nil, append(args, c.command...)...).want(t, payroll)
			}
		})
	}
}

func TestExitStatusIsTheCommands(t *testing.T) {
	w := newWorld(t)
	w.apply(t, example(t, "payroll"))
	plain := w.write(t, "plain", "not a program")
	for _, c := range []struct {
		name    string
		command []string
		want    int
		stderr  string
	}{
		{"success", []string{"true"}, 0, ""},
		{"a status", []string{"sh", "-c", "exit 7"}, 7, ""},
		{"a signal", []string{"sh", "-c", "kill -KILL $$"}, 137, ""},
		{"no such command", []string{"no-such-command"}, 127, "starting no-such-command"},
		{"no such file", []string{"/no/such/command"}, 127, "starting /no/such/command"},
		{"not executable", []string{plain}, 126, "starting " + plain},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, flags := range [][]string{nil, {"--env"}} {
				args := append(append([]string{"exec", "orders-prod/payroll-api"}, flags...), "--")
				r := w.stile(t, nil, append(args, c.command...)...)
				if r.code != c.want || !strings.Contains(r.stderr, c.stderr) || c.stderr == "" && r.stderr != "" {
					t.Errorf("exit %d, stderr %q, want %d, %q", r.code, r.stderr, c.want, c.stderr)
				}
			}
		})
	}
}

func TestStreamsAreTheCommands(t *testing.T) {
	w := newWorld(t)
	w.apply(t, example(t, "payroll"))
	cmd := w.command(t, "stile", "exec", "orders-prod/payroll-api", "--", "sh", "-c", "cat; echo complaint >&2")
	cmd.Stdin = strings.NewReader("question")
	if r := run(t, cmd); r.stdout != "question" || r.stderr != "complaint\n" || r.code != 0 {
		t.Errorf("exit %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
	}
}

func TestSignalsArePassedOn(t *testing.T) {
	w := newWorld(t)
	w.apply(t, example(t, "payroll"))
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := w.command(t, "stile", "exec", "orders-prod/payroll-api", "--", "waiter")
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
	w := newWorld(t)
	foreign := w.token(t, "payroll/other")
	garbage := w.write(t, "garbage", "no token")
	nothing := w.stile(t, nil, "exec", "orders-prod/payroll-api", "--", "true")
	nothing.refused(t, "no declarations: give --declarations PATH, or apply some from this computer")
	w.apply(t, example(t, "payroll"))
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
		{"no command", nil, []string{"orders-prod/payroll-api"}, "want stile exec ACCOUNT/ROLE -- COMMAND"},
		{"no dashes", nil, []string{"orders-prod/payroll-api", "true"}, "want stile exec ACCOUNT/ROLE -- COMMAND"},
		{"no token anywhere", away, []string{"orders-prod/payroll-api", "--", "true"}, "no token of serviceaccount:ci/payroll/api at hand; give --token-file FILE"},
		{"another service account's token", nil, []string{"orders-prod/payroll-api", "--token-file", foreign, "--", "true"}, "is of system:serviceaccount:payroll:other"},
		{"no JWT in the token file", nil, []string{"orders-prod/payroll-api", "--token-file", garbage, "--", "true"}, "it is not a JWT"},
		{"no token file", nil, []string{"orders-prod/payroll-api", "--token-file", "nowhere", "--", "true"}, "reading token: open nowhere"},
		{"another service account's token in the environment", append(away, "AWS_WEB_IDENTITY_TOKEN_FILE="+foreign), []string{"orders-prod/payroll-api", "--", "true"}, "is of system:serviceaccount:payroll:other"},
		{"an unknown caller", nil, []string{"orders-prod/payroll-api", "--as", "serviceaccount:ci/payroll/other", "--", "true"}, "only these callers may: serviceaccount:ci/payroll/api"},
		{"declarations that are not there", nil, []string{"orders-prod/payroll-api", "-f", "nowhere", "--", "true"}, "nowhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.stile(t, c.env, append([]string{"exec"}, c.args...)...).refused(t, c.want)
		})
	}
	w.stile(t, nil, "exec", "orders-prod/payroll-api", "--", "true").want(t, "")
}

func TestRefusalsOfAWSAreShownAsAWSSaysThem(t *testing.T) {
	w := newWorld(t)
	w.apply(t, example(t, "payroll"))
	_, err := w.iam(orders).UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{
		RoleName:       aws.String("payroll-api"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:AssumeRole"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := w.stile(t, nil, "exec", "orders-prod/payroll-api", "--", "true")
	r.refused(t, "going as serviceaccount:ci/payroll/api: assuming role arn:aws:iam::222222222222:role/stile/payroll-api: STS AssumeRoleWithWebIdentity: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity")
	if strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("stderr has several lines: %s", r.stderr)
	}
}

func TestTokensComeFromFiles(t *testing.T) {
	w := newWorld(t)
	w.apply(t, example(t, "payroll"))
	file := w.token(t, "payroll/api")
	foreign := w.token(t, "payroll/other")
	// Pointed at by another name, the local AWS is no local AWS to stile.
	elsewhere := "AWS_ENDPOINT_URL=" + strings.Replace(w.URL, "127.0.0.1", "localhost", 1)
	w.stile(t, []string{elsewhere}, "exec", "orders-prod/payroll-api", "--", "whoami").refused(t, "no token of serviceaccount:ci/payroll/api at hand")
	w.stile(t, []string{elsewhere}, "exec", "--token-file", file, "orders-prod/payroll-api", "--", "whoami").want(t, payroll+" us-east-1")
	w.stile(t, []string{elsewhere, "AWS_WEB_IDENTITY_TOKEN_FILE=" + file}, "exec", "orders-prod/payroll-api", "--", "whoami").want(t, payroll+" us-east-1")
	// The environment's token of somebody else does not keep the local AWS from making the right one.
	w.stile(t, []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + foreign}, "exec", "orders-prod/payroll-api", "--", "whoami").want(t, payroll+" us-east-1")
}

func TestDeclarationsAreFound(t *testing.T) {
	w := newWorld(t)
	w.apply(t, example(t, "payroll"))
	if err := os.RemoveAll(filepath.Join(w.dir, "state", "stile", "scopes")); err != nil {
		t.Fatal(err)
	}
	w.stile(t, nil, "exec", "orders-prod/payroll-api", "--", "whoami").refused(t, "no declarations")
	w.stile(t, nil, "exec", "-f", example(t, "payroll"), "orders-prod/payroll-api", "--", "whoami").want(t, payroll+" us-east-1")
	w.stile(t, []string{"STILE_DECLARATIONS=" + example(t, "payroll")}, "exec", "orders-prod/payroll-api", "--", "whoami").want(t, payroll+" us-east-1")
	w.stile(t, nil, "exec", "-f", example(t, "payroll"), "orders-prod/nobody", "--", "whoami").refused(t, "no way there by "+example(t, "payroll"))

	// A stile.yaml in the working directory or above.
	below := filepath.Join(w.dir, "work", "deep", "down")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(w.dir, "work"), os.DirFS(example(t, "payroll"))); err != nil {
		t.Fatal(err)
	}
	there := func(env ...string) result {
		cmd := w.command(t, "stile", "exec", "orders-prod/payroll-api", "--", "whoami")
		cmd.Dir, cmd.Env = below, append(slices.Clone(w.env), env...)
		return run(t, cmd)
	}
	there().want(t, payroll+" us-east-1")

	// Where they cannot be compiled, as without the accounts' credentials, what
	// was applied shows the way; where nothing was, the reason is told.
	blind := "AWS_SHARED_CREDENTIALS_FILE=/dev/null"
	there(blind).refused(t, "tooling")
	w.apply(t, example(t, "payroll"))
	there(blind).want(t, payroll+" us-east-1")
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
	w := newWorld(t)
	work := filepath.Join(w.dir, "shared")
	for _, file := range []string{"stile.yaml", "accounts.yaml", "cluster.yaml"} {
		text, err := os.ReadFile(filepath.Join(example(t, "payroll"), file))
		if err != nil {
			t.Fatal(err)
		}
		w.write(t, filepath.Join("shared", file), string(text))
	}
	w.write(t, "shared/access.yaml", shared)
	w.apply(t, work)
	as := func(name string) string {
		return "arn:aws:sts::222222222222:assumed-role/shared-reader/ci-payroll-" + name + " us-east-1"
	}
	r := w.stile(t, nil, "exec", "orders-prod/shared-reader", "--", "whoami")
	r.refused(t, "the credentials of several callers who may are at hand; choose one:\n  --as serviceaccount:ci/payroll/api: at hand\n  --as serviceaccount:ci/payroll/batch: at hand")
	w.stile(t, nil, "exec", "orders-prod/shared-reader", "--as", "serviceaccount:ci/payroll/batch", "--", "whoami").want(t, as("batch"))
	w.stile(t, nil, "exec", "orders-prod/shared-reader", "--token-file", w.token(t, "payroll/api"), "--", "whoami").want(t, as("api"))
	w.stile(t, nil, "exec", "orders-prod/shared-reader", "--token-file", w.token(t, "payroll/other"), "--", "whoami").refused(t, "the credentials of none are at hand")
}

// deployer makes the callers of examples/assume-role: a user with a key, and a
// role that account tooling's administrator may enter by the profile deployer.
func (w *world) deployer(t *testing.T) (auditor []string) {
	t.Helper()
	client := w.iam(tooling)
	_, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: aws.String("ci-deployer"), Path: aws.String("/ci/"),
		AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("auditor")}); err != nil {
		t.Fatal(err)
	}
	key, err := client.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("auditor")})
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "config", "[profile deployer]\nrole_arn = arn:aws:iam::111111111111:role/ci/ci-deployer\nsource_profile = tooling\nrole_session_name = jane\nregion = us-east-1\n")
	return []string{"AWS_ACCESS_KEY_ID=" + *key.AccessKey.AccessKeyId, "AWS_SECRET_ACCESS_KEY=" + *key.AccessKey.SecretAccessKey}
}

func TestRolesAndUsersGoWithTheirOwnCredentials(t *testing.T) {
	w := newWorld(t)
	auditor := w.deployer(t)
	w.apply(t, example(t, "assume-role"))
	deployer := []string{"AWS_PROFILE=deployer"}
	w.stile(t, deployer, "exec", "orders-prod/orders-deploy-reader", "--", "whoami").
		want(t, "arn:aws:sts::222222222222:assumed-role/orders-deploy-reader/jane us-east-1")
	w.stile(t, auditor, "exec", "orders-prod/orders-auditor", "--", "whoami").
		want(t, "arn:aws:sts::222222222222:assumed-role/orders-auditor/auditor us-east-1")
	w.stile(t, deployer, "exec", "orders-prod/orders-deploy-reader", "--as", "111111111111/ci-deployer", "--", "whoami").
		want(t, "arn:aws:sts::222222222222:assumed-role/orders-deploy-reader/jane us-east-1")

	w.stile(t, auditor, "exec", "orders-prod/orders-deploy-reader", "--", "whoami").
		refused(t, "the credentials at hand are those of arn:aws:iam::111111111111:user/auditor, not of arn:aws:iam::111111111111:role/ci/ci-deployer")
	w.stile(t, nil, "exec", "orders-prod/orders-auditor", "--", "whoami").
		refused(t, "no credentials of arn:aws:iam::111111111111:user/auditor at hand")

	// A user's session may last longer than the hour that a chain is limited to.
	r := w.stile(t, auditor, "exec", "--env", "orders-prod/orders-auditor", "--", "sh", "-c", "echo $AWS_CREDENTIAL_EXPIRATION")
	end, err := time.Parse(time.RFC3339, strings.TrimSpace(r.stdout))
	if left := time.Until(end); err != nil || left < 3*time.Hour+59*time.Minute {
		t.Errorf("the user's session ends at %s, %v, want in four hours", r.stdout, err)
	}
}
