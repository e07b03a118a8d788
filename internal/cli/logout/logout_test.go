package logout_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

// addresses are of an Identity Center, of a user with a device, and of a role that
// the user enters.
var addresses = []string{"team-1/Admin", "dana", "dana:100000000002/work"}

func TestNothingIsKeptAfterLogout(t *testing.T) {
	for name, broker := range map[string]bool{"by locks": false, "by a broker": true} {
		t.Run(name, func(t *testing.T) {
			w := logintest.New(t)
			w.Dana(t)
			if broker {
				w.WithBroker(t)
			}
			for _, address := range addresses {
				logintest.Key(t, w.Stile(t, nil, "credential-process", address))
			}
			w.Since()
			if r := w.Stile(t, nil, "logout", "acme"); r.Code != 0 || !strings.Contains(r.Stderr, "signed out of acme") {
				t.Fatalf("exit %d, %s", r.Code, r.Stderr)
			}
			if calls := w.Since(); calls["Logout"] != 1 {
				t.Errorf("AWS was called %v, want to be told", calls)
			}
			if files, _ := filepath.Glob(filepath.Join(w.Runtime, "stile", "credentials", "*")); len(files) != 0 {
				t.Errorf("%v is left", files)
			}
			asked := w.Questions(t)
			w.Fail(nil)
			// The device's next code is half a minute away, and not needed.
			w.Write(t, "code", "echo asked >>"+filepath.Join(w.Dir, "questions")+"; exit 1")
			for _, address := range addresses {
				r := w.Stile(t, []string{"STILE_NO_LOGIN=1"}, "credential-process", address)
				if address == "team-1/Admin" && (r.Code != 1 || !strings.Contains(r.Stderr, "run stile login acme")) {
					t.Errorf("%s: exit %d, %s, want that somebody has to sign in", address, r.Code, r.Stderr)
				}
			}
			if w.Questions(t) == asked {
				t.Error("the MFA session was kept: no code was asked for")
			}
		})
	}
}

func TestLogoutWithoutAnythingToSignOutOf(t *testing.T) {
	w := logintest.New(t)
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n  - {name: vendor, process: {command: vendor}}\n")
	if r := w.Stile(t, nil, "logout"); r.Code != 0 || !strings.Contains(r.Stderr, "vendor") {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
	if r := w.Stile(t, nil, "logout", "nobody"); r.Code != 1 || !strings.Contains(r.Stderr, "there is no source nobody") {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
}
