package broker_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/service"
)

// center is a world with an Identity Center, in which alice is admin of ten
// accounts, and a broker. It counts calls, and pages that are opened.
type center struct {
	*routetest.World

	mu    sync.Mutex // guards calls
	calls map[string]int
}

const teams = 10

func newCenter(t *testing.T) *center {
	t.Helper()
	dir := t.TempDir()
	w := &center{World: &routetest.World{Dir: dir, Runtime: filepath.Join(dir, "runtime")}, calls: map[string]int{}}
	if err := os.Mkdir(w.Runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	ic := localaws.IdentityCenter{
		StartURL: "https://acme.awsapps.com/start", Users: []localaws.IdentityCenterUser{{Name: "alice"}}, PermissionSets: []localaws.PermissionSet{{Name: "Admin"}},
	}
	cfg := localaws.Config{Seed: 1, Intercept: w.count}
	for i := range teams {
		id := arn.AccountID(fmt.Sprintf("%012d", 100000000000+i))
		cfg.Accounts = append(cfg.Accounts, localaws.Account{ID: id, Name: fmt.Sprintf("team-%d", i)})
		ic.Assignments = append(ic.Assignments, localaws.Assignment{Accounts: []arn.AccountID{id}, PermissionSets: []string{"Admin"}, Users: []string{"alice"}})
	}
	cfg.IdentityCenters = []localaws.IdentityCenter{ic}
	streams := cli.System()
	streams.Env = func(name string) (string, bool) { return filepath.Join(dir, "state"), name == "XDG_STATE_HOME" }
	var err error
	if w.Running, err = local.Start(t.Context(), streams, local.Setup{Listen: "127.0.0.1:0", AWS: cfg}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_STATE_HOME=" + filepath.Join(dir, "state"), "XDG_RUNTIME_DIR=" + w.Runtime,
		"AWS_ENDPOINT_URL=" + w.URL, "AWS_EC2_METADATA_DISABLED=true", "GORACE=atexit_sleep_ms=0",
		w.browser(t, "browser", `exec stile local sign-in --user alice "$1"`),
	}
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n  - name: acme\n    identityCenter: {startURL: \"https://acme.awsapps.com/start\", region: us-east-1}\n")
	withBroker(t, w.World)
	return w
}

// browser makes the variable for a browser that writes a line a page.
func (w *center) browser(t *testing.T, name, does string) string {
	t.Helper()
	path := w.Write(t, name, "#!/bin/sh\necho opened >>"+filepath.Join(w.Dir, "pages")+"\n"+does+"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return "BROWSER=" + path
}

func (w *center) pages(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.Dir, "pages"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

func (w *center) count(_, operation string, _ arn.AccountID, phase service.Phase) service.Action {
	w.mu.Lock()
	defer w.mu.Unlock()
	if phase == service.Before {
		w.calls[operation]++
	}
	return service.Proceed
}

func (w *center) since() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := maps.Clone(w.calls)
	clear(w.calls)
	return out
}

// herd runs credential-process fifty times at once, on all accounts.
func (w *center) herd(t *testing.T, n int, env ...string) []routetest.Result {
	t.Helper()
	out := make([]routetest.Result, n)
	var group sync.WaitGroup
	for i := range out {
		group.Go(func() { out[i] = w.Stile(t, env, "credential-process", fmt.Sprintf("team-%d/Admin", i%teams)) })
	}
	group.Wait()
	return out
}

func TestAHerdSignsInOnce(t *testing.T) {
	w := newCenter(t)
	for _, r := range w.herd(t, 50) {
		key(t, r)
	}
	want := map[string]int{"RegisterClient": 1, "CreateToken": 1, "ListAccounts": 1, "GetRoleCredentials": teams}
	if diff := cmp.Diff(want, w.since()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if n := w.pages(t); n != 1 {
		t.Errorf("%d pages were opened, want 1", n)
	}
	if s := status(t, w.World); len(s.Sessions) != teams {
		t.Errorf("the broker holds %d sessions, want %d", len(s.Sessions), teams)
	}
}

func TestARefusalIsFinalForAllWhoWait(t *testing.T) {
	w := newCenter(t)
	deny := w.browser(t, "denier", `sleep 1; exec stile local sign-in --user alice --deny "$1"`)
	for _, r := range w.herd(t, 12, deny) {
		if r.Code == 0 || !strings.Contains(r.Stderr, "denied in the browser") {
			t.Errorf("exit %d, %q, want that it was denied", r.Code, r.Stderr)
		}
	}
	if n := w.pages(t); n > 2 { // one that came after the refusal may ask once more
		t.Errorf("%d pages were opened, want 1", n)
	}
	key(t, w.Stile(t, nil, "credential-process", "team-0/Admin"))
}

// The sign-in goes on in the broker; who comes next sees its page again.
func TestASignInIsTakenOverFromACallerThatWasKilled(t *testing.T) {
	w := newCenter(t)
	cmd := w.Command(t, "stile", "credential-process", "team-0/Admin")
	cmd.Env = append(cmd.Env, w.browser(t, "nobody", ""))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for w.pages(t) == 0 {
		<-tick.C
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	key(t, w.Stile(t, nil, "credential-process", "team-0/Admin"))
	if n := w.pages(t); n != 2 {
		t.Errorf("%d pages were shown, want 2", n)
	}
	if got := w.since(); got["RegisterClient"] != 1 || got["CreateToken"] != 1 {
		t.Errorf("calls %v, want one sign-in", got)
	}
}
