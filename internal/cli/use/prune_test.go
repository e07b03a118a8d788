package use_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/deliver/env"
	"github.com/stile-aws/stile/internal/render/awsconfig"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/recent"
)

const mine = "# mine\r\n[profile  x]\nregion=eu-west-1\n[default]\noutput = json\n"

// many is a world whose block of profiles has 30 of addresses that were used before,
// old/r00 first, and one of old/r29 with a flag; they will have been used later than
// anything that a test uses.
func many(t *testing.T) *routetest.World {
	t.Helper()
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	seed(t, w)
	paths, err := session.FindPaths(func(name string) string { return lookup(w, name) })
	if err != nil {
		t.Fatal(err)
	}
	log := recent.Log{Dir: filepath.Dir(paths.Locks)}
	for i := range 30 {
		if err := log.Add(t.Context(), fmt.Sprintf("old/r%02d", i), time.Now().Add(time.Hour+time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func seed(t *testing.T, w *routetest.World) {
	t.Helper()
	var sections []awsconfig.Section
	for i := range 31 {
		name := fmt.Sprintf("old/r%02d", i)
		if i == 30 {
			name = "old/r29-0123abcd"
		}
		sections = append(sections, awsconfig.Section{Heading: "profile stile-" + name, Settings: []awsconfig.Setting{{Name: "credential_process", Value: "stile credential-process " + name}}})
	}
	text, err := awsconfig.Edit([]byte(mine), "stile-use", sections)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(t, "config", string(text))
}

func lookup(w *routetest.World, name string) (value string) {
	for _, v := range w.Env {
		if rest, ok := strings.CutPrefix(v, name+"="); ok {
			value = rest
		}
	}
	return value
}

// profiles checks which of the old profiles the file has, and that the rest of it is
// as it was.
func profiles(t *testing.T, w *routetest.World, want func(i int) bool, others ...string) {
	t.Helper()
	text := read(t, w, "config")
	if !strings.HasPrefix(text, mine) || strings.Count(text, "# stile begin stile-use") != 1 {
		t.Errorf("the file is\n%s", text)
	}
	text = strings.ReplaceAll(text, "\r\n", "\n") // as mine begins
	for i := range 30 {
		if has := strings.Contains(text, fmt.Sprintf("[profile stile-old/r%02d]\n", i)); has != want(i) {
			t.Errorf("the file has profile old/r%02d: %v, want %v", i, has, want(i))
		}
	}
	for _, name := range others {
		if !strings.Contains(text, "[profile stile-"+name+"]\n") {
			t.Errorf("the file lacks profile %s:\n%s", name, text)
		}
	}
}

func TestProfilesUsedLongestAgoAreTakenOut(t *testing.T) {
	w := many(t)
	r := shells[0].run(t, w, nil, "stile use orders-prod/payroll-api; echo $?", "whoami")
	r.Want(t, "0\n"+payroll)
	if !strings.Contains(r.Stderr, "of the profiles there, 11 that no shell uses") {
		t.Errorf("standard error is silent about it: %s", r.Stderr)
	}
	profiles(t, w, func(i int) bool { return i > 10 }, "old/r29-0123abcd", "orders-prod/payroll-api")
}

func TestProfilesOfProcessesThatRunStay(t *testing.T) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("the system does not tell the environments of processes")
	}
	w := many(t)
	program := exec.CommandContext(t.Context(), "sleep", "600")
	program.Env = []string{"AWS_PROFILE=stile-old/r03"}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	shells[0].run(t, w, nil, "stile use orders-prod/payroll-api; echo $?").Want(t, "0")
	_ = program.Process.Kill()
	_ = program.Wait() // it was killed
	profiles(t, w, func(i int) bool { return i > 10 || i == 3 }, "old/r29-0123abcd", "orders-prod/payroll-api")
}

// What a shell uses, and used before, stays as long as it runs, also where nothing
// was started from it since.
func TestProfilesOfShellsThatRunStay(t *testing.T) {
	everywhere(t, func(t *testing.T, sh shell) {
		w := many(t)
		other := "env -u AWS_PROFILE " + shells[0].name + " " + strings.Join(shells[0].args, " ") + " " +
			env.Quote(sh.name, shells[0].init+"; stile use orders-prod/target-account-iam-role")
		r := sh.run(t, w, nil, "stile use orders-prod/payroll-api", "stile use tooling/ci-account-iam-role", other, "whoami", "stile use -", "whoami")
		r.Want(t, hub+"\n"+payroll)
		profiles(t, w, func(i int) bool { return i > 10 }, "orders-prod/payroll-api", "tooling/ci-account-iam-role")
		seed(t, w)
		shells[0].run(t, w, nil, "stile use orders-prod/payroll-api", "stile use orders-prod/target-account-iam-role").Want(t, "")
		if text := read(t, w, "config"); strings.Contains(text, "[profile stile-tooling/ci-account-iam-role]") {
			t.Errorf("a profile stays although its shell has ended:\n%s", text)
		}
	})
}
