package serve_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/machine"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

// serving starts stile serve and gives the variables it prints.
func serving(t *testing.T, w *routetest.World, args ...string) map[string]string {
	t.Helper()
	cmd := w.Command(t, "stile", append([]string{"serve", "--json"}, args...)...)
	cmd.Stdout, cmd.Stderr = nil, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // when the test ends
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var what struct{ Variables, Sessions map[string]string }
	if err := json.NewDecoder(out).Decode(&what); err != nil {
		t.Fatal(err)
	}
	vars := what.Variables
	for address, url := range what.Sessions {
		vars[address] = url
	}
	routetest.WantOwnMemory(t, cmd.Process.Pid)
	t.Cleanup(func() {
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("interrupted: %v, exit %d", err, cmd.ProcessState.ExitCode())
		}
	})
	return vars
}

// whoami asks with a client nobody here wrote.
func whoami(t *testing.T, w *routetest.World, env ...string) string {
	t.Helper()
	script := "import boto3, os; print(boto3.Session().client('sts', endpoint_url=os.environ['AWS_ENDPOINT_URL']).get_caller_identity()['Arn'])"
	cmd := w.Command(t, "/usr/bin/python3", "-c", script)
	cmd.Env = append(append(cmd.Env, "AWS_DEFAULT_REGION=us-east-1"), env...)
	r := routetest.Run(t, cmd)
	return strings.TrimSpace(r.Stdout + r.Stderr)
}

func needBoto3(t *testing.T) {
	t.Helper()
	machine.Needs(t, "Debian's boto3", exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", "import boto3").Run())
}

const (
	payroll = "arn:aws:sts::222222222222:assumed-role/payroll-api/ci-payroll-api"
	hub     = "arn:aws:sts::111111111111:assumed-role/ci-account-iam-role/ci-ci-namespace-ci-serviceaccount"
)

func TestServeTheContainerProtocol(t *testing.T) {
	needBoto3(t)
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	w.Write(t, ".config/stile/sessions.yaml", "groups: [{name: hubs, members: [tooling/ci-account-iam-role]}]\n")
	vars := serving(t, w, "orders-prod/payroll-api", "hubs")
	file := vars["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]
	token, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	url := vars["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
	if at := vars["tooling/ci-account-iam-role"]; at != url+"/tooling/ci-account-iam-role" {
		t.Errorf("the hub is said to be at %q", at)
	}
	agent := strings.TrimSuffix(url, "/credentials") + "/v1/credentials"
	for at, want := range map[string]string{url: payroll, url + "/orders-prod/payroll-api": payroll, url + "/tooling/ci-account-iam-role": hub, agent: payroll} {
		got := whoami(t, w, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+at, "AWS_CONTAINER_AUTHORIZATION_TOKEN="+string(token))
		if got != want {
			t.Errorf("at %s: %s, want %s", at, got, want)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: %s, want 401", resp.Status)
	}
}

func TestServeInstanceMetadata(t *testing.T) {
	needBoto3(t)
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	vars := serving(t, w, "--imds", "orders-prod/payroll-api")
	got := whoami(t, w, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+vars["AWS_EC2_METADATA_SERVICE_ENDPOINT"], "AWS_EC2_METADATA_DISABLED=false")
	if got != payroll {
		t.Errorf("by the metadata service: %s, want %s", got, payroll)
	}
}

func TestServeRefusesWhatIsNotSafe(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"not a loopback address", []string{"--listen", "0.0.0.0:0", "orders-prod/payroll-api"}},
		{"not a loopback address", []string{"--imds", "--listen", "0.0.0.0:0", "orders-prod/payroll-api"}},
		{"reading --peers", []string{"--peers", "docker0", "orders-prod/payroll-api"}},
		{"must be a directory of this user with mode 0700", []string{"--token-dir", open, "orders-prod/payroll-api"}},
		{"with --imds, name one", []string{"--imds", "orders-prod/payroll-api", "tooling/ci-account-iam-role"}},
		{"with --imds, name one", []string{"--imds", "*/*"}},
		{"no way there", []string{"orders-prod/nobody"}},
	} {
		w.Stile(t, nil, append([]string{"serve"}, c.args...)...).Refused(t, c.want)
	}
}

func TestEnvIsForShells(t *testing.T) {
	needBoto3(t)
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	r := w.Stile(t, []string{"AWS_PROFILE=network", "SHELL=/bin/bash"}, "env", "orders-prod/payroll-api")
	if r.Code != 0 || !strings.Contains(r.Stdout, "unset AWS_PROFILE\n") {
		t.Fatalf("exit %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	script := r.Stdout + `exec /usr/bin/python3 -c "import boto3, os; print(boto3.Session().client('sts', endpoint_url=os.environ['AWS_ENDPOINT_URL']).get_caller_identity()['Arn'])"`
	cmd := w.Command(t, "bash", "-c", script)
	cmd.Env = append(cmd.Env, "AWS_PROFILE=network")
	routetest.Run(t, cmd).Want(t, payroll)
	w.Stile(t, nil, "env", "--format", "tcsh", "orders-prod/payroll-api").Refused(t, `format "tcsh"`)
	if r := w.Stile(t, []string{"SHELL=/usr/bin/fish"}, "env", "orders-prod/payroll-api"); !strings.Contains(r.Stdout, "set -gx AWS_ACCESS_KEY_ID ") {
		t.Errorf("for fish: %s", r.Stdout)
	}
}

// What it prints is for a shell to evaluate.
func TestServePrintsVariablesForAShell(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	cmd := w.Command(t, "stile", "serve", "--format", "bash", "orders-prod/payroll-api")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() {
			t.Fatalf("it ended after %q", script.String())
		}
		script.WriteString(lines.Text() + "\n")
	}
	r := routetest.Run(t, w.Command(t, "bash", "-c", `eval "$1"; sh -c 'test -s "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" && echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI"'`, "bash", script.String()))
	if !strings.HasPrefix(r.Stdout, "http://127.0.0.1:") {
		t.Errorf("a child of the shell has %q, %s", r.Stdout, r.Stderr)
	}
	if err := cmd.Cancel(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
