package resilience_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// A question is not left behind: who waits is told for whose answer, and is asked
// when that person goes away, wherever either of them waits.
func TestAQuestionMovesToWhoWaits(t *testing.T) {
	address := "dana:" + string(logintest.Account(1)) + "/work"
	whoami, login := []string{"whoami", address}, []string{"login", "dana"}
	elsewhere := "AWS_REGION=eu-west-1"
	tests := []struct {
		name          string
		asker, waiter []string
		env           []string // of the waiter
	}{
		{"to login", whoami, login, nil},
		{"from login", login, whoami, nil},
		{"within a broker", whoami, whoami, nil},
		{"to another broker", whoami, whoami, []string{elsewhere}},
		{"to one without a broker", whoami, whoami, []string{"STILE_BROKER=off"}},
	}
	w := logintest.New(t)
	w.WithBroker(t)
	w.Dana(t)
	w.Stile(t, nil, "sessions", "edit", "dana", "--mfa", "prompt").Want(t, "")
	const prompt = "MFA code of dana (dana): "
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			asker := sit(t, w.Command(t, "stile", test.asker...))
			asker.shows(t, prompt)
			cmd := w.Command(t, "stile", test.waiter...)
			cmd.Env = append(cmd.Env, test.env...)
			waiter := sit(t, cmd)
			waiter.shows(t, "waiting for an answer at the terminal of process "+strconv.Itoa(asker.cmd.Process.Pid)+", which asks: MFA code of dana")
			if seen, _ := waiter.shown(); strings.Contains(seen, prompt) {
				t.Error("both are asked")
			}
			asker.types(t, "\x03")
			if code := asker.ends(t); code != 130 {
				t.Errorf("the asker: exit %d", code)
			}
			asks := prompt
			if test.name == "within a broker" { // which goes on with what the asker began
				asks = fmt.Sprintf("MFA code of dana (dana) (for %s, asked by process %d", address, asker.cmd.Process.Pid)
			}
			waiter.shows(t, asks)
			waiter.types(t, "no code\r")
			waiter.shows(t, "A code has six digits. "+asks)
			waiter.types(t, "\x03")
			if code := waiter.ends(t); code != 130 {
				t.Errorf("the waiter: exit %d", code)
			}
		})
	}
	code := strings.TrimSpace(routetest.Run(t, w.Command(t, "sh", "code")).Stdout)
	alone := sit(t, w.Command(t, "stile", login...))
	alone.shows(t, prompt)
	alone.types(t, code+"\r")
	if exit := alone.ends(t); exit != 0 {
		seen, _ := alone.shown()
		t.Errorf("who comes after all of them: exit %d, %s", exit, seen)
	}
}
