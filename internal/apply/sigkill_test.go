package apply_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// program is the stile binary with what it needs to work on a world.
type program struct {
	binary string
	dir    string // declarations
	env    []string
	world  *scopetest.World
	victim victim
}

// victim is the process that dies when the local AWS hears its n-th call.
type victim struct {
	mu      sync.Mutex // guards all
	process *os.Process
	left    int
}

func (v *victim) intercept(_, _ string, _ arn.AccountID, phase service.Phase) service.Action {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.process == nil || phase != service.Before {
		return service.Proceed
	}
	if v.left--; v.left == 0 {
		_ = v.process.Kill() // it may have ended by itself
		v.process = nil
	}
	return service.Proceed // the call is on its way already
}

func (v *victim) target(p *os.Process, n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.process, v.left = p, n
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "stile")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/stile-aws/stile/cmd/stile").CombinedOutput()
	if err != nil {
		t.Fatalf("building stile: %v\n%s", err, out)
	}
	return binary
}

func newProgram(t *testing.T, binary string) *program {
	t.Helper()
	p := &program{binary: binary, dir: filepath.Join(t.TempDir(), "scope")}
	p.world = scopetest.New(t, localaws.Config{Intercept: p.victim.intercept})
	server := httptest.NewServer(p.world.Server)
	t.Cleanup(server.Close)
	if err := os.CopyFS(p.dir, scopetest.Merged(t, allExamples...)); err != nil {
		t.Fatal(err)
	}
	var profiles strings.Builder
	for name, id := range map[string]arn.AccountID{"tooling": scopetest.Tooling, "orders-prod": scopetest.Orders, "network": scopetest.Network} {
		key, secret, _ := p.world.Server.Administrator(id)
		fmt.Fprintf(&profiles, "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", name, key, secret)
	}
	home := t.TempDir()
	credentials := filepath.Join(home, "credentials")
	if err := os.WriteFile(credentials, []byte(profiles.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p.env = []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "AWS_ENDPOINT_URL=" + server.URL, "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_SHARED_CREDENTIALS_FILE=" + credentials, "AWS_CONFIG_FILE=" + filepath.Join(home, "none"),
	}
	return p
}

// run runs a command to its end, or until it is killed at the n-th call it
// makes (0: never), and returns its exit code; -1 is a signal.
func (p *program) run(t *testing.T, n int, args ...string) (code int, output string) {
	t.Helper()
	var out strings.Builder
	cmd := exec.CommandContext(t.Context(), p.binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.victim.target(cmd.Process, n)
	err := cmd.Wait()
	p.victim.target(nil, 0)
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

func (p *program) must(t *testing.T, args ...string) {
	t.Helper()
	if code, out := p.run(t, 0, args...); code != 0 {
		t.Fatalf("stile %v: exit %d\n%s", args, code, out)
	}
}

// TestSIGKILL kills the real program ten times while it applies, and five times
// while it destroys, at random calls.
func TestSIGKILL(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the program")
	}
	binary := build(t)
	for i := range 10 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(2, uint64(i)))
			p := newProgram(t, binary)
			seeded := p.world.Snapshot()
			// A run makes some 60 calls, the last 25 of which change something;
			// one that destroys 85, the last 45.
			n := 36 + random.IntN(22)
			code, out := p.run(t, n, "apply", "--yes", p.dir)
			if code != -1 {
				t.Fatalf("killed at call %d: exit %d\n%s", n, code, out)
			}
			mustBeKnown(t, p.world, "payroll")
			p.must(t, "apply", "--yes", p.dir)
			p.must(t, "plan", p.dir) // exit 2 would mean changes
			mustBeKnown(t, p.world, "payroll")
			if i%2 == 0 {
				n := 45 + random.IntN(40)
				if code, out := p.run(t, n, "destroy", "--yes", p.dir); code != -1 {
					t.Fatalf("destroy killed at call %d: exit %d\n%s", n, code, out)
				}
				mustBeKnown(t, p.world, "payroll")
			}
			p.must(t, "destroy", "--yes", p.dir)
			if diff := cmp.Diff(seeded, p.world.Snapshot()); diff != "" {
				t.Errorf("destroy left traces, or took too much (-before +after):\n%s", diff)
			}
		})
	}
}

// TestProgramExecutesASavedPlan saves a plan, lets something move, and applies it.
func TestProgramExecutesASavedPlan(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the program")
	}
	p := newProgram(t, build(t))
	seeded := p.world.Snapshot()
	file := filepath.Join(t.TempDir(), "plan.json")
	save := func() {
		t.Helper()
		if code, out := p.run(t, 0, "plan", "--out", file, p.dir); code != 2 {
			t.Fatalf("plan --out: exit %d, want 2 for changes\n%s", code, out)
		}
	}
	save()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the saved plan: %v, %v, want mode 0600", info.Mode(), err)
	}
	c := iam.NewFromConfig(p.world.Admin(scopetest.Orders, nil))
	if _, err := c.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("payroll-api"), Path: aws.String("/stile/"),
		AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:AssumeRole"}]}`)}); err != nil {
		t.Fatal(err)
	}
	moved := p.world.Snapshot()
	if code, out := p.run(t, 0, "apply", "--yes", file); code != 1 || !strings.Contains(out, "222222222222/role/payroll-api") || !strings.Contains(out, "nothing was changed") {
		t.Errorf("apply of a plan that is out of date: exit %d\n%s", code, out)
	}
	if diff := cmp.Diff(moved, p.world.Snapshot()); diff != "" {
		t.Errorf("it changed something:\n%s", diff)
	}
	if _, err := c.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("payroll-api")}); err != nil {
		t.Fatal(err)
	}
	p.must(t, "apply", "--yes", file)
	p.must(t, "plan", p.dir)
	p.must(t, "destroy", "--yes", p.dir)
	if diff := cmp.Diff(seeded, p.world.Snapshot()); diff != "" {
		t.Errorf("destroy left traces (-before +after):\n%s", diff)
	}
}
