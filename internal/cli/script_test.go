package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/service"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

// TestScripts runs stile as a program by the scripts of testdata/script. Each
// script has a local AWS of its own with the accounts tooling, orders-prod and
// network and the cluster tooling/ci, and an environment that points at it.
//
// Beside testscript's own commands there are:
//
//	fault KIND ACCOUNT-ID [SERVICE [OPERATION [TIMES]]]   make calls fail, TIMES or all
//	advance DURATION                              move the local AWS's clock
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setup,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"fault":   fault,
			"advance": advance,
		},
	})
}

type serverKey struct{}

func setup(env *testscript.Env) error {
	credentials := filepath.Join(env.WorkDir, ".credentials")
	state := filepath.Join(env.WorkDir, ".state")
	streams := cli.System()
	streams.Env = func(name string) (string, bool) { return state, name == "XDG_STATE_HOME" }
	running, err := local.Start(context.Background(), streams, local.Setup{ // ended by Close
		Listen: "127.0.0.1:0", Credentials: credentials,
		AWS: localaws.Config{
			Accounts:     []localaws.Account{{Name: "tooling", ID: "111111111111"}, {Name: "orders-prod", ID: "222222222222"}, {Name: "network", ID: "333333333333"}},
			Clusters:     []localaws.Cluster{{Account: "111111111111", Name: "ci"}},
			Organization: true,
		},
	})
	if err != nil {
		return err
	}
	env.Defer(func() { _ = running.Close() })
	env.Values[serverKey{}] = running.Server
	env.Setenv("AWS_ENDPOINT_URL", running.URL)
	env.Setenv("AWS_SHARED_CREDENTIALS_FILE", credentials)
	env.Setenv("AWS_CONFIG_FILE", filepath.Join(env.WorkDir, ".no-config"))
	env.Setenv("AWS_REGION", "us-east-1")
	env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	env.Setenv("STILE_BROKER", "off") // a broker would outlive the script
	env.Setenv("XDG_STATE_HOME", state)
	runtime := filepath.Join(env.WorkDir, ".runtime")
	if err := os.Mkdir(runtime, 0o700); err != nil {
		return err
	}
	env.Setenv("XDG_RUNTIME_DIR", runtime)
	examples, err := filepath.Abs("../../examples")
	env.Setenv("EXAMPLES", examples)
	return err
}

func server(ts *testscript.TestScript) *localaws.Server {
	return ts.Value(serverKey{}).(*localaws.Server)
}

func fault(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: fault KIND ACCOUNT-ID [SERVICE [OPERATION [TIMES]]]")
	}
	for len(args) < 4 {
		args = append(args, "")
	}
	args = append(args, "0")
	times, err := strconv.Atoi(args[4])
	ts.Check(err)
	server(ts).Faults().Add(server(ts).World().Now(), service.Fault{
		Kind: service.FaultKind(args[0]), Account: arn.AccountID(args[1]), Service: args[2], Operation: args[3], Times: times,
	})
}

func advance(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(strings.Join(args, ""))
	ts.Check(err)
	ts.Check(server(ts).World().Advance(d))
}
