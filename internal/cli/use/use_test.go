package use_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/deliver/env"
	"github.com/stile-aws/stile/internal/machine"
)

// The tests run stile as a program below real shells, which got its function.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile":  func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
		"whoami": routetest.Whoami,
	})
}

const (
	payroll = "arn:aws:sts::222222222222:assumed-role/payroll-api/ci-payroll-api"
	hub     = "arn:aws:sts::111111111111:assumed-role/ci-account-iam-role/ci-ci-namespace-ci-serviceaccount"
)

// shell is one the function is for.
type shell struct {
	name string
	args []string // before the script
	init string
}

var shells = []shell{
	{"bash", []string{"--norc", "-c"}, `eval "$(stile shell-init bash)"`},
	{"zsh", []string{"-f", "-c"}, `eval "$(stile shell-init zsh)"`},
	{"fish", []string{"--no-config", "-c"}, `stile shell-init fish | source`},
}

// everywhere runs a test in each shell there is.
func everywhere(t *testing.T, test func(t *testing.T, sh shell)) {
	for _, sh := range shells {
		t.Run(sh.name, func(t *testing.T) {
			_, err := exec.LookPath(sh.name)
			machine.Needs(t, sh.name, err)
			test(t, sh)
		})
	}
}

// run runs a script that has the function.
func (sh *shell) run(t *testing.T, w *routetest.World, env []string, lines ...string) routetest.Result {
	t.Helper()
	cmd := w.Command(t, sh.name, append(sh.args, sh.init+"\n"+strings.Join(lines, "\n"))...)
	cmd.Env = append(cmd.Env, env...)
	return routetest.Run(t, cmd)
}

func TestShellIsSetAndSetBack(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	id, secret, _ := w.Server.Administrator("333333333333")
	env := []string{"AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_REGION=us-east-1", "AWS_DEFAULT_PROFILE=network", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/"}
	everywhere(t, func(t *testing.T, sh shell) {
		r := sh.run(t, w, env,
			"env | grep -E '^(AWS|STILE)_' | sort >before",
			"whoami",
			"stile use orders-prod/payroll-api", "whoami", "echo $STILE_ADDRESS", "env | grep -E '^(AWS|STILE)_' | sort >inside",
			"stile use tooling/ci-account-iam-role", "whoami",
			"stile use -", "whoami",
			"stile use --off", "whoami", "env | grep -E '^(AWS|STILE)_' | sort >after",
			"stile use -", "whoami",
		)
		admin := "arn:aws:iam::333333333333:user/Administrator"
		want := strings.Join([]string{admin, payroll, "orders-prod/payroll-api", hub, payroll, admin, payroll}, "\n")
		r.Want(t, want)
		inside := read(t, w, "inside")
		for _, gone := range []string{id, secret, "AWS_SECRET", "AWS_SESSION_TOKEN", "AWS_CONTAINER", "AWS_DEFAULT_PROFILE="} {
			if strings.Contains(inside, gone+"=") || strings.Contains(inside, "="+gone) {
				t.Errorf("programs of the shell see %s:\n%s", gone, inside)
			}
		}
		if before, after := read(t, w, "before"), read(t, w, "after"); before != after {
			t.Errorf("--off leads to\n%s, want\n%s", after, before)
		}
	})
}

func read(t *testing.T, w *routetest.World, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Options of shells that stop or export where others do not: nothing that was the
// shell's own is handed to programs.
func TestStrictShells(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	for _, c := range []struct{ shell, options string }{{"bash", "set -aeu -o pipefail -o noclobber -f"}, {"zsh", "setopt all_export err_exit no_unset no_clobber sh_word_split ksh_arrays"}} {
		everywhere(t, func(t *testing.T, sh shell) {
			if sh.name != c.shell {
				return
			}
			sh.init = c.options + "\n" + sh.init
			r := sh.run(t, w, []string{"AWS_SECRET_KEY=hush", "AWS_REGION=us-east-1"}, "stile use orders-prod/payroll-api", "whoami", "env | grep -c hush || true",
				"stile use tooling/ci-account-iam-role", "stile use -", "whoami", "stile use --off", "env | grep -c hush")
			r.Want(t, payroll+"\n0\n"+payroll+"\n1")
		})
	}
}

// A shell below one that uses something can use something else, or nothing.
func TestShellsBelow(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	everywhere(t, func(t *testing.T, sh shell) {
		below := sh.name + " " + strings.Join(sh.args, " ") + " "
		r := sh.run(t, w, []string{"AWS_PROFILE=network", "AWS_REGION=us-east-1", "AWS_SECRET_KEY=hush"}, "stile use orders-prod/payroll-api",
			below+env.Quote(sh.name, sh.init+"; stile use --off; whoami; env | grep -c hush"),
			below+env.Quote(sh.name, sh.init+"; stile use tooling/ci-account-iam-role; whoami; stile use -; whoami"),
			"whoami")
		r.Want(t, "arn:aws:iam::333333333333:user/Administrator\n0\n"+hub+"\n"+payroll+"\n"+payroll)
	})
}

// What is wrong keeps the shell as it is, and says so by its status.
func TestFailureKeepsTheShell(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	everywhere(t, func(t *testing.T, sh shell) {
		set, status := `export MARK="it's"`, "echo $?"
		if sh.name == "fish" {
			set, status = `set -gx MARK "it's"`, "echo $status"
		}
		r := sh.run(t, w, nil, set, "env | sort | grep -v '^_=' >before",
			"stile use orders-prod/nobody", status,
			"stile use", status,
			"stile use -", status,
			"stile use --help", status,
			"stile use --off", status,
			"stile no-such-command", status,
			"env | sort | grep -v '^_=' >after",
		)
		if want := "1\n1\n1\n0\n0\n1\n"; r.Stdout != want {
			t.Errorf("statuses %q, want %q", r.Stdout, want)
		}
		for _, text := range []string{"no way there", "stile use ADDRESS", "nothing was used before in this shell", "stile shell-init fish | source", "this shell uses nothing"} {
			if !strings.Contains(r.Stderr, text) {
				t.Errorf("standard error lacks %q:\n%s", text, r.Stderr)
			}
		}
		if before, after := read(t, w, "before"), read(t, w, "after"); before != after {
			t.Errorf("the environment is\n%s, want\n%s", after, before)
		}
	})
}

// A way may begin with what the shell had before: its profile is remembered, its
// keys are handed on to nobody.
func TestWayBeginsWhereTheShellDid(t *testing.T) {
	w := routetest.New(t)
	auditor := append(w.Deployer(t), "AWS_REGION=us-east-1")
	w.Apply(t, routetest.Example(t, "assume-role"))
	sh := shells[0]
	r := sh.run(t, w, []string{"AWS_PROFILE=deployer"}, "stile use orders-prod/orders-deploy-reader", "whoami", "echo $AWS_PROFILE", "stile use --off", "echo $AWS_PROFILE")
	r.Want(t, "arn:aws:sts::222222222222:assumed-role/orders-deploy-reader/jane\nstile-orders-prod/orders-deploy-reader\ndeployer")
	r = sh.run(t, w, auditor, "stile use orders-prod/orders-auditor; echo $?", "whoami", "stile use --env orders-prod/orders-auditor; echo $?", "whoami", "stile use --off", "whoami")
	r.Want(t, "1\narn:aws:iam::111111111111:user/auditor\n0\narn:aws:sts::222222222222:assumed-role/orders-auditor/auditor\narn:aws:iam::111111111111:user/auditor")
	if !strings.Contains(r.Stderr, "give --env") {
		t.Errorf("standard error lacks what to do: %s", r.Stderr)
	}
}

func TestWithoutTheFunction(t *testing.T) {
	w := routetest.New(t)
	w.Stile(t, nil, "use", "x").Refused(t, "stile shell-init bash")
	w.Stile(t, nil, "use", "--shell", "tcsh", "x").Refused(t, "want bash, zsh or fish")
	w.Stile(t, nil, "shell-init", "tcsh").Refused(t, "want bash, zsh or fish")
}

// names lists what is in the directory in which shells run.
func names(t *testing.T, w *routetest.World) []string {
	t.Helper()
	entries, err := os.ReadDir(w.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// The clients nobody here wrote find a profile's credentials, and Debian's older
// ones do.
func TestRealClientsWorkInAShell(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	for _, c := range []struct {
		name, command string
		have          []string
	}{
		{"aws", "aws --endpoint-url $AWS_ENDPOINT_URL sts get-caller-identity --query Arn --output text", []string{"aws", "--version"}},
		{"boto3", `/usr/bin/python3 -c "import boto3, os; print(boto3.client('sts', endpoint_url=os.environ['AWS_ENDPOINT_URL']).get_caller_identity()['Arn'])"`, []string{"/usr/bin/python3", "-c", "import boto3"}},
		{"the Go SDK", "whoami", []string{"true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			machine.Needs(t, c.name, exec.CommandContext(t.Context(), c.have[0], c.have[1:]...).Run())
			id, secret, _ := w.Server.Administrator("333333333333")
			env := []string{"AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_DEFAULT_PROFILE=network"}
			r := shells[0].run(t, w, env, "stile use orders-prod/payroll-api", c.command, "stile use --env orders-prod/payroll-api", c.command)
			r.Want(t, payroll+"\n"+payroll)
		})
	}
}

// A guard is asked once for the shell; its programs pass where the person did.
func TestGuards(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	w.Write(t, ".stile-guard.yaml", "confirm: {accounts: [orders-prod]}\ndeny: {accounts: [tooling]}\n")
	sh := shells[0]
	r := sh.run(t, w, nil, "stile use tooling/ci-account-iam-role; echo $?", "stile use orders-prod/payroll-api; echo $?",
		"stile use --confirm orders-prod orders-prod/payroll-api; echo $?", "whoami", "echo $AWS_PROFILE")
	if !strings.HasPrefix(r.Stdout, "1\n1\n0\n"+payroll+"\nstile-orders-prod/payroll-api-") {
		t.Errorf("%s%s", r.Stdout, r.Stderr)
	}
	for _, text := range []string{"account tooling (111111111111) is kept out", "say --confirm 222222222222"} {
		if !strings.Contains(r.Stderr, text) {
			t.Errorf("standard error lacks %q: %s", text, r.Stderr)
		}
	}
}

// Session policies hold the shell's programs back as they do those of exec.
func TestReadOnlyShell(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	r := shells[0].run(t, w, nil, "stile use --read-only orders-prod/payroll-api", "echo $AWS_PROFILE", "stile use orders-prod/payroll-api", "echo $AWS_PROFILE", "stile use -", "echo $AWS_PROFILE")
	lines := strings.Split(r.Stdout, "\n")
	if len(lines) != 4 || lines[0] == lines[1] || lines[0] != lines[2] || lines[1] != "stile-orders-prod/payroll-api" {
		t.Errorf("profiles %q; %s", lines, r.Stderr)
	}
	if text := read(t, w, "config"); !strings.Contains(text, "credential-process --read-only orders-prod/payroll-api") {
		t.Errorf("the profile says\n%s", text)
	}
}

// Shells at once, and what is not ours in the file.
func TestConfigFileIsLeftAsItIs(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	const mine = "# mine\r\n[profile  x]\nregion=eu-west-1\n[default]\noutput = json\n"
	w.Write(t, "config", mine)
	shells[0].run(t, w, nil, "(stile use orders-prod/payroll-api) & (stile use tooling/ci-account-iam-role) & (stile use --region eu-west-3 orders-prod/target-account-iam-role) & wait")
	text := read(t, w, "config")
	if !strings.HasPrefix(text, mine) || strings.Count(text, "credential_process = ") != 3 || strings.Count(text, "# stile begin stile-use") != 1 {
		t.Errorf("the file is\n%s", text)
	}
	if r := w.Stile(t, nil, "config", "remove", "--yes", "--block", "stile-use"); r.Code != 0 || read(t, w, "config") != mine {
		t.Errorf("exit %d, the file is %q", r.Code, read(t, w, "config"))
	}
	// A file that cannot be written keeps the shell as it is.
	r := shells[0].run(t, w, []string{"AWS_CONFIG_FILE=" + filepath.Join(w.Dir, "credentials", "config")}, "stile use orders-prod/payroll-api; echo $?", "echo $AWS_PROFILE", "stile use --env orders-prod/payroll-api; echo $?")
	if r.Stdout != "1\n\n0\n" || !strings.Contains(r.Stderr, "--env needs no profile") {
		t.Errorf("%s%s", r.Stdout, r.Stderr)
	}
}

// Fish's universal variables are every shell's: one shell must not erase them.
func TestUniversalVariablesStay(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	everywhere(t, func(t *testing.T, sh shell) {
		if sh.name != "fish" {
			return
		}
		sh.args = []string{"-c"} // without its configuration it keeps none
		sh.run(t, w, nil, "set -Ux AWS_ACCESS_KEY old", "set -Ux AWS_PROFILE network")
		sh.run(t, w, nil, "stile use orders-prod/payroll-api", "whoami", `echo "$AWS_ACCESS_KEY" $AWS_PROFILE`, "stile use --off", "echo $AWS_ACCESS_KEY $AWS_PROFILE").
			Want(t, payroll+"\n stile-orders-prod/payroll-api\nold network")
		sh.run(t, w, nil, "echo $AWS_ACCESS_KEY $AWS_PROFILE").Want(t, "old network")
	})
}
