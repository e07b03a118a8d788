package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
)

func TestARefusalIsFinalForAllWhoWait(t *testing.T) {
	w := logintest.New(t)
	w.WithBroker(t)
	deny := w.Browser(t, "denier", `sleep 1; exec stile local sign-in --user alice --deny "$1"`)
	for _, r := range w.Herd(t, logintest.Fifty()[:12], deny) {
		if r.Code == 0 || !strings.Contains(r.Stderr, "denied in the browser") {
			t.Errorf("exit %d, %q, want that it was denied", r.Code, r.Stderr)
		}
	}
	if n := w.Pages(t); n > 2 { // one that came after the refusal may ask once more
		t.Errorf("%d pages were opened, want 1", n)
	}
	logintest.Key(t, w.Stile(t, nil, "credential-process", "team-0/Admin"))
}

// The sign-in goes on in the broker; who comes next sees its page again.
func TestASignInIsTakenOverFromACallerThatWasKilled(t *testing.T) {
	w := logintest.New(t)
	w.WithBroker(t)
	cmd := w.Command(t, "stile", "credential-process", "team-0/Admin")
	cmd.Env = append(cmd.Env, w.Browser(t, "nobody", ""))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for w.Pages(t) == 0 {
		<-tick.C
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	logintest.Key(t, w.Stile(t, nil, "credential-process", "team-0/Admin"))
	if n := w.Pages(t); n != 2 {
		t.Errorf("%d pages were shown, want 2", n)
	}
	if got := w.Since(); got["RegisterClient"] != 1 || got["CreateToken"] != 1 {
		t.Errorf("calls %v, want one sign-in", got)
	}
}
