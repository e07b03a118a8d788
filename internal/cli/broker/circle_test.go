package broker_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// What a helper program of a profile says on standard error is the client's to
// hear; and a profile that gets its credentials from here is told so.
func TestAProfileThatCallsItselfIsAnError(t *testing.T) {
	w := routetest.New(t)
	w.Deployer(t)
	w.Apply(t, routetest.Example(t, "assume-role"))
	w.WithBroker(t)
	stile, err := exec.LookPath("stile")
	if err != nil {
		t.Fatal(err)
	}
	w.Write(t, "config", "[profile auditing]\nregion = us-east-1\ncredential_process = "+stile+" credential-process orders-prod/orders-auditor\n")
	r := w.Stile(t, []string{"AWS_PROFILE=auditing"}, "credential-process", "orders-prod/orders-auditor")
	if r.Code != 1 || r.Stdout != "" || !strings.Contains(r.Stderr, "gets its credentials from this command itself") {
		t.Errorf("exit %d, %s%s, want the circle told", r.Code, r.Stdout, r.Stderr)
	}
}
