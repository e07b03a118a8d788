// Package routetest is what the tests of the commands that go a route share: a
// local AWS, an environment that points at it, and stile run as a program.
//
// Start with [New]. The commands themselves are run as they are; nothing is faked.
package routetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/localaws"
)

// The accounts with roles in the examples.
const (
	Tooling arn.AccountID = "111111111111"
	Orders  arn.AccountID = "222222222222"
)

// World is a local AWS with the accounts Tooling, orders-prod and network and
// the cluster ci, and the environment of somebody who works against it with the
// administrators' profiles, named like the accounts.
type World struct {
	*local.Running
	Dir     string // the working directory and HOME
	Runtime string // XDG_RUNTIME_DIR
	Env     []string
}

// New starts a World behind a single port, which ends with the test.
func New(t testing.TB) *World {
	t.Helper()
	return start(t, false)
}

// NewProxy starts a World behind a proxy with real host names.
func NewProxy(t testing.TB) *World {
	t.Helper()
	return start(t, true)
}

func start(t testing.TB, proxy bool) *World {
	t.Helper()
	dir := t.TempDir()
	w := &World{Dir: dir, Runtime: filepath.Join(dir, "runtime")}
	if err := os.Mkdir(w.Runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	streams := cli.System()
	streams.Env = func(name string) (string, bool) { return filepath.Join(dir, "state"), name == "XDG_STATE_HOME" }
	credentials := filepath.Join(dir, "credentials")
	var err error
	w.Running, err = local.Start(t.Context(), streams, local.Setup{
		Listen: "127.0.0.1:0", Credentials: credentials, Proxy: proxy,
		AWS: localaws.Config{
			Accounts:     []localaws.Account{{Name: "tooling", ID: Tooling}, {Name: "orders-prod", ID: Orders}, {Name: "network", ID: "333333333333"}},
			Clusters:     []localaws.Cluster{{Account: Tooling, Name: "ci"}},
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
	w.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_STATE_HOME=" + filepath.Join(dir, "state"), "XDG_RUNTIME_DIR=" + w.Runtime,
		"AWS_SHARED_CREDENTIALS_FILE=" + credentials, "AWS_CONFIG_FILE=" + filepath.Join(dir, "config"),
		"AWS_EC2_METADATA_DISABLED=true",
		"STILE_BROKER=off",         // see WithBroker
		"GORACE=atexit_sleep_ms=0", // a program under -race sleeps a second before it exits
	}
	if proxy {
		w.Env = append(w.Env, "HTTPS_PROXY="+w.URL, "AWS_CA_BUNDLE="+w.CABundle)
	} else {
		w.Env = append(w.Env, "AWS_ENDPOINT_URL="+w.URL)
	}
	return w
}

// WithBroker lets stile go by a broker, which ends with the test.
func (w *World) WithBroker(t testing.TB) {
	t.Helper()
	w.Env = slices.DeleteFunc(w.Env, func(v string) bool { return v == "STILE_BROKER=off" })
	t.Cleanup(func() {
		cmd := exec.Command("stile", "broker", "stop") // the test's context has ended by now
		cmd.Env = w.Env
		_ = cmd.Run() // some tests make it impossible
	})
}

// Result is how a program ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Command is a program in the World's environment and directory, not yet started.
func (w *World) Command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = w.Dir, w.Env
	return cmd
}

// Stile runs stile with a changed environment. The test binary must know it as a
// testscript command.
func (w *World) Stile(t testing.TB, env []string, args ...string) Result {
	t.Helper()
	cmd := w.Command(t, "stile", args...)
	cmd.Env = append(slices.Clone(w.Env), env...)
	return Run(t, cmd)
}

// Run runs cmd to its end.
func Run(t testing.TB, cmd *exec.Cmd) Result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return Result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// Want fails unless stile succeeds and prints exactly text.
func (r Result) Want(t testing.TB, text string) {
	t.Helper()
	if r.Code != 0 || strings.TrimSpace(r.Stdout) != text {
		t.Errorf("exit %d, %q, want %q; stderr: %s", r.Code, r.Stdout, text, r.Stderr)
	}
}

// Refused fails unless the command ended with 1, one clear diagnostic that
// holds text, and nothing on standard output.
func (r Result) Refused(t testing.TB, text string) {
	t.Helper()
	if r.Code != 1 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, "stile: ") && !strings.Contains(r.Stderr, "error: ") || !strings.Contains(r.Stderr, text) {
		t.Errorf("exit %d, stdout %q, stderr %q, want exit 1, nothing, and %q", r.Code, r.Stdout, r.Stderr, text)
	}
	if strings.Contains(r.Stderr, "eyJ") {
		t.Errorf("a token is on standard error: %s", r.Stderr)
	}
}

// Apply applies declarations.
func (w *World) Apply(t testing.TB, path string) {
	t.Helper()
	if r := w.Stile(t, nil, "apply", "--yes", path); r.Code != 0 {
		t.Fatalf("stile apply: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// Example is the path of one of the examples, from a command's package.
func Example(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs("../../../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Write writes a file below the world's directory and gives its path.
func (w *World) Write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(w.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Token writes a service account's token into a file.
func (w *World) Token(t testing.TB, name string) string {
	t.Helper()
	r := w.Stile(t, nil, "local", "token", "--cluster", "tooling/ci", name)
	if r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	return w.Write(t, strings.ReplaceAll(name, "/", "-")+".token", r.Stdout)
}

// IAM is a client of an account's administrator, through a single port.
func (w *World) IAM(account arn.AccountID) *iam.Client {
	id, secret, _ := w.Server.Administrator(account)
	return iam.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(w.URL), Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
}

// Deployer makes the callers of examples/assume-role: a user with a key, and a
// role that account tooling's administrator may enter by the profile deployer. It gives the environment of the user.
func (w *World) Deployer(t testing.TB) (auditor []string) {
	t.Helper()
	client := w.IAM(Tooling)
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
	w.Write(t, "config", "[profile deployer]\nrole_arn = arn:aws:iam::111111111111:role/ci/ci-deployer\nsource_profile = tooling\nrole_session_name = jane\nregion = us-east-1\n")
	return []string{"AWS_ACCESS_KEY_ID=" + *key.AccessKey.AccessKeyId, "AWS_SECRET_ACCESS_KEY=" + *key.AccessKey.SecretAccessKey}
}

// Whoami is a program that prints whose credentials the Go SDK's default chain
// finds, for testscript.Main.
func Whoami() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(*out.Arn)
}

// WantOwnMemory checks that what a process holds is in no core file, and that no
// other program of the user may read it.
func WantOwnMemory(t testing.TB, pid int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return // /proc tells it
	}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	limits, err := os.ReadFile(filepath.Join(proc, "limits"))
	if err != nil || !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("%v, limits are %s, want no core files", err, limits)
	}
	if info, err := os.Stat(filepath.Join(proc, "mem")); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("%v, %+v, want the memory to be root's, as that of a process that may not be dumped", err, info)
	}
	if _, err := os.ReadFile(filepath.Join(proc, "environ")); err == nil && os.Getuid() != 0 {
		t.Error("its environment can be read")
	}
}
