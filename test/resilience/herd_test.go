// Package resilience_test holds what must not be lost, asked twice or told
// unclearly, whatever is killed, full, broken or down: the program as it is, many
// processes of it, real signals, a local AWS.
package resilience_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
		"child": child,
	})
}

// modes are the two ways in which processes work together.
var modes = []struct {
	name  string
	world func(t *testing.T) *logintest.World
}{
	{"by locks", func(t *testing.T) *logintest.World { return logintest.New(t) }},
	{"by a broker", func(t *testing.T) *logintest.World {
		w := logintest.New(t)
		w.WithBroker(t)
		return w
	}},
}

// inBoth runs a test in both modes.
func inBoth(t *testing.T, test func(t *testing.T, w *logintest.World)) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) { test(t, mode.world(t)) })
	}
}

func called(t *testing.T, w *logintest.World, what string, want map[string]int) {
	t.Helper()
	if diff := cmp.Diff(want, w.Since()); diff != "" {
		t.Errorf("%s: calls (-want +got):\n%s", what, diff)
	}
}

func TestFiftyCallersSignInOnceAndRefreshOnce(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		addresses := logintest.Fifty()
		herd := func() {
			t.Helper()
			if n := logintest.Succeeded(t, addresses, w.Herd(t, addresses)); n != 20 {
				t.Errorf("%d roles, want 20", n)
			}
		}
		herd()
		called(t, w, "cold", map[string]int{"RegisterClient": 1, "CreateToken": 1, "ListAccounts": 1, "GetRoleCredentials": 20})
		herd()
		called(t, w, "warm", map[string]int{})
		w.Expire(t)
		herd()
		called(t, w, "with an expired token", map[string]int{"CreateToken": 1, "GetRoleCredentials": 20})
		if n := w.Pages(t); n != 1 {
			t.Errorf("%d pages were opened, want 1", n)
		}
	})
}

func TestFiftyCallersWithMFAAreAskedOnce(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		w.Dana(t)
		addresses := logintest.FiftyOfDana()
		if n := logintest.Succeeded(t, addresses, w.Herd(t, addresses)); n != 20 {
			t.Errorf("%d roles, want 20", n)
		}
		called(t, w, "cold", map[string]int{"GetSessionToken": 1, "GetCallerIdentity": 1, "AssumeRole": 20})
		if n := w.Questions(t); n != 1 {
			t.Errorf("%d questions, want 1", n)
		}
	})
}

// A declared way is gone once too, without a broker.
func TestFiftyCallersOfADeclaredRoleAreOneSession(t *testing.T) {
	w := routetest.New(t)
	path, err := filepath.Abs("../../examples/payroll")
	if err != nil {
		t.Fatal(err)
	}
	w.Apply(t, path)
	var addresses []string
	for range 50 {
		addresses = append(addresses, "orders-prod/payroll-api")
	}
	all := logintest.Herd(t, w, addresses)
	if n := logintest.Succeeded(t, addresses, all); n != 1 { // with one key for all
		t.Errorf("%d roles, want 1", n)
	}
}
