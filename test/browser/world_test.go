package browser_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// world is a local AWS, a process of its own, and the environment of somebody who
// works against it.
type world struct {
	*routetest.World
	url   string
	pages string // the pipe by which the program hand gives its pages
}

const (
	tooling = "111111111111"
	orders  = "222222222222"
)

// people are those of the Identity Center acme.
const people = `startURL: https://acme.awsapps.com/start
users:
- {name: alice}
- {name: bob}
permissionSets:
- {name: Admin, managedPolicies: [AdministratorAccess]}
- {name: ReadOnly}
assignments:
- {accounts: [all], permissionSets: [Admin, ReadOnly], users: [alice]}
- {accounts: [orders-prod], permissionSets: [ReadOnly], users: [bob]}
`

// newWorld starts a local AWS with the accounts tooling and orders-prod.
func newWorld(t *testing.T) *world {
	t.Helper()
	return start(t, people, "tooling="+tooling, "orders-prod="+orders)
}

func start(t *testing.T, people string, accounts ...string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{World: &routetest.World{Dir: dir, Runtime: filepath.Join(dir, "runtime")}, pages: filepath.Join(dir, "pages")}
	if err := os.Mkdir(w.Runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(w.pages, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_STATE_HOME=" + filepath.Join(dir, "state"), "XDG_RUNTIME_DIR=" + w.Runtime,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(dir, "credentials"), "STILE_SECRETS=keyfile", "STILE_BROKER=off",
		"GORACE=atexit_sleep_ms=0", "BROWSER=hand", handEnv + "=" + w.pages,
	}
	args := []string{"local", "start", "--listen", "127.0.0.1:0", "--credentials", filepath.Join(dir, "credentials"), "--identity-center", w.Write(t, "people.yaml", people)}
	for _, a := range accounts {
		args = append(args, "--account", a)
	}
	w.serve(t, w.Command(t, "stile", args...))
	w.Env = append(w.Env, "AWS_ENDPOINT_URL="+w.url)
	w.Write(t, ".config/stile/sessions.yaml", `sources:
  - name: acme
    identityCenter: {startURL: "https://acme.awsapps.com/start", region: us-east-1}
`)
	t.Cleanup(func() { // a sign-in that nobody answered waits on
		cmd := exec.Command("stile", "broker", "stop") // the test's context has ended by now
		cmd.Env = w.Env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("stile broker stop: %v, %s", err, out)
		}
	})
	return w
}

var endpoint = regexp.MustCompile(`AWS_ENDPOINT_URL=(\S+)`)

// serve runs the local AWS until the test ends, and waits until it answers.
func (w *world) serve(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Wait() // that it was told to end is no failure
		if !cmd.ProcessState.Success() {
			t.Errorf("stile local start: %s, %s", cmd.ProcessState, said.String())
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := endpoint.FindStringSubmatch(lines.Text()); m != nil {
			w.url = m[1]
		}
		if strings.Contains(lines.Text(), "AWS_REGION") { // the last line
			return
		}
	}
	t.Fatal("the local AWS did not start")
}

// iam is a client of an account's administrator.
func (w *world) iam(t *testing.T, profile string) *iam.Client {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithSharedCredentialsFiles([]string{filepath.Join(w.Dir, "credentials")}),
		config.WithSharedConfigProfile(profile), config.WithRegion("us-east-1"))
	if err != nil {
		t.Fatal(err)
	}
	return iam.NewFromConfig(cfg, func(o *iam.Options) { o.BaseEndpoint = aws.String(w.url) })
}

// later moves the local AWS's time.
func (w *world) later(t *testing.T, duration string) {
	t.Helper()
	if r := w.Stile(t, nil, "local", "clock", "advance", duration); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
}

// command is stile under way.
type running struct {
	cmd    *exec.Cmd
	result chan routetest.Result
}

// begin starts stile.
func (w *world) begin(t *testing.T, env []string, args ...string) *running {
	t.Helper()
	cmd := w.Command(t, "stile", args...)
	cmd.Env = append(cmd.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // nobody is at the terminal
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{cmd, make(chan routetest.Result, 1)}
	go func() {
		_ = cmd.Wait() // ProcessState tells
		r.result <- routetest.Result{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	}()
	return r
}

// ends waits for its end.
func (r *running) ends(t *testing.T) routetest.Result {
	t.Helper()
	return within(t, strings.Join(r.cmd.Args, " "), r.result)
}

// page is the one that stile has $BROWSER open.
func (w *world) page(t *testing.T) string {
	t.Helper()
	type read struct {
		text []byte
		err  error
	}
	came := make(chan read, 1)
	go func() {
		text, err := os.ReadFile(w.pages)
		came <- read{text, err}
	}()
	r := within(t, "waiting for stile to open a page", came)
	if r.err != nil || len(r.text) == 0 {
		t.Fatalf("stile opened %q, %v", r.text, r.err)
	}
	return string(r.text)
}

// who fails unless an address's credentials work and are those of a permission set's
// person in orders-prod.
func (w *world) who(t *testing.T, address, set, person string) {
	t.Helper()
	who := regexp.MustCompile(`^arn:aws:sts::` + orders + `:assumed-role/AWSReservedSSO_` + set + `_[0-9a-f]{16}/` + person + `\n`)
	if r := w.Stile(t, nil, "whoami", address); r.Code != 0 || !who.MatchString(r.Stdout) {
		t.Errorf("whoami %s: exit %d, %q, %s, want %s", address, r.Code, r.Stdout, r.Stderr, who)
	}
}
