package each_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile":  func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
		"whoami": routetest.Whoami,
	})
}

const (
	payroll = "arn:aws:sts::222222222222:assumed-role/payroll-api/ci-payroll-api"
	target  = "arn:aws:sts::222222222222:assumed-role/target-account-iam-role/ci-ci-namespace-ci-serviceaccount"
)

func world(t *testing.T) *routetest.World {
	t.Helper()
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	return w
}

// sorted gives the lines of a text, sorted: commands end in any order.
func sorted(text string) []string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	slices.Sort(lines)
	return lines
}

func TestEachRunsInEveryAccountThatFits(t *testing.T) {
	w := world(t)
	r := w.Stile(t, nil, "each", "orders-prod/*", "--", "whoami")
	want := []string{"orders-prod/payroll-api              " + payroll, "orders-prod/target-account-iam-role  " + target}
	if got := sorted(r.Stdout); r.Code != 0 || !slices.Equal(got, want) || r.Stderr != "stile: 2 of 2 succeeded\n" {
		t.Errorf("exit %d:\n%s%s, want\n%s", r.Code, r.Stdout, r.Stderr, strings.Join(want, "\n"))
	}
	r = w.Stile(t, nil, "each", "--no-prefix", "orders-prod/payroll-api", "orders-prod/payroll-api", "--", "whoami")
	if r.Stdout != payroll+"\n" {
		t.Errorf("an address given twice: %q, want it once", r.Stdout)
	}
}

func TestEachTellsWhatFailed(t *testing.T) {
	w := world(t)
	script := `case $AWS_CONTAINER_CREDENTIALS_FULL_URI in "") exit 9;; esac; whoami | grep -q payroll || { echo "not here" >&2; printf partial; exit 7; }`
	r := w.Stile(t, nil, "each", "--json", "orders-prod/*", "orders-prod/nobody", "--", "sh", "-c", script)
	if r.Code != 1 || !strings.Contains(r.Stderr, "stile: 1 of 3 succeeded, 2 failed\n") || !strings.Contains(r.Stderr, "orders-prod/target-account-iam-role  not here\n") ||
		!strings.Contains(r.Stderr, "orders-prod/target-account-iam-role  partial\n") {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
	got := map[string]int{}
	for _, line := range sorted(r.Stdout) {
		var res struct {
			Address, Error string
			Exit           int
		}
		if err := json.Unmarshal([]byte(line), &res); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got[res.Address] = res.Exit
		if (res.Error != "") != (res.Address == "orders-prod/nobody") || res.Error != "" && !strings.Contains(res.Error, "no way there") {
			t.Errorf("%s: error %q", res.Address, res.Error)
		}
	}
	if len(got) != 3 || got["orders-prod/payroll-api"] != 0 || got["orders-prod/target-account-iam-role"] != 7 || got["orders-prod/nobody"] != -1 {
		t.Errorf("results %v", got)
	}
}

func TestEachTellsOfCommandsThatAreNotThere(t *testing.T) {
	w := world(t)
	r := w.Stile(t, nil, "each", "orders-prod/payroll-api", "--", "no-such-command")
	if r.Code != 1 || !strings.Contains(r.Stderr, "stile: orders-prod/payroll-api: there is no such program on PATH\n") {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
}

func TestEachStopsOnErrorWhenAsked(t *testing.T) {
	w := world(t)
	r := w.Stile(t, nil, "each", "--stop-on-error", "--concurrency", "1", "orders-prod/*", "--", "sh", "-c", "exit 3")
	if r.Code != 1 || !strings.Contains(r.Stderr, "0 of 2 succeeded, 1 failed, 1 not begun") {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
}

func TestEachRefusesBeforeItRuns(t *testing.T) {
	w := world(t)
	for _, c := range []struct {
		want string
		args []string
	}{
		{"no address fits", []string{"*/nobody", "--", "whoami"}},
		{"want stile each", []string{"orders-prod/*"}},
		{"want stile each", []string{"--", "whoami"}},
		{"want at least 1", []string{"--concurrency", "0", "orders-prod/*", "--", "whoami"}},
		{"want ACCOUNT/ROLE", []string{"arn:aws:s3:::bucket", "--", "whoami"}},
	} {
		w.Stile(t, nil, append([]string{"each"}, c.args...)...).Refused(t, c.want)
	}
}
