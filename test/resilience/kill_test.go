package resilience_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/session/flight"
)

// running is a program that was started.
type running struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
}

func start(t *testing.T, w *logintest.World, env []string, args ...string) *running {
	t.Helper()
	r := &running{Cmd: w.Command(t, "stile", args...)}
	r.Env = append(r.Env[:len(r.Env):len(r.Env)], env...)
	r.Stdout, r.Stderr = &r.stdout, &r.stderr
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// end waits for the program.
func (r *running) end() routetest.Result {
	_ = r.Wait() // the exit status says it
	return routetest.Result{Stdout: r.stdout.String(), Stderr: r.stderr.String(), Code: r.ProcessState.ExitCode()}
}

// until waits for something that can be seen.
func until(t *testing.T, what string, seen func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !seen() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not seen: %s", what)
		}
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// person is a browser before which somebody takes their time.
type person struct {
	world *logintest.World
	env   []string
	dir   string
}

func slowPerson(t *testing.T, w *logintest.World) *person {
	p := &person{world: w, dir: w.Dir}
	p.env = []string{w.Browser(t, "slow", "echo $PPID >>"+p.file("openers")+"\nwhile [ ! -e "+p.file("go")+" ]; do [ -e \"$0\" ] || exit; sleep 0.02; done\nexec stile local sign-in --user alice \"$1\"")}
	t.Cleanup(func() { p.signs(t) }) // the last browser ends
	return p
}

func (p *person) file(name string) string { return filepath.Join(p.dir, name) }

// opener waits for the page that is the n-th, and is the process that opened it.
func (p *person) opener(t *testing.T, n int) int {
	t.Helper()
	var lines []string
	until(t, fmt.Sprintf("page %d", n), func() bool {
		text, _ := os.ReadFile(p.file("openers"))
		lines = strings.Fields(string(text))
		return len(lines) >= n && strings.HasSuffix(string(text), "\n")
	})
	pid, err := strconv.Atoi(lines[n-1])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// signs lets the person finish.
func (p *person) signs(t *testing.T) {
	if err := os.WriteFile(p.file("go"), nil, 0o600); err != nil {
		t.Error(err)
	}
}

// background is the process that waits for the browser's answer.
func background(t *testing.T, w *logintest.World) *client.Status {
	t.Helper()
	place, err := client.Find(w.Env)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*client.Place{place, place.SignIns()} {
		if st, err := (&client.Client{Place: *p}).Status(t.Context()); err == nil {
			return st
		}
	}
	return &client.Status{}
}

func signedInOnce(t *testing.T, w *logintest.World, pages ...int) {
	t.Helper()
	if got := w.Since(); got["RegisterClient"] != 1 || got["CreateToken"] != 1 {
		t.Errorf("calls %v, want one sign-in", got)
	}
	if n := w.Pages(t); !slices.Contains(pages, n) {
		t.Errorf("%d pages were opened, want one of %d", n, pages)
	}
}

// AWS's SDK for Go kills a credential_process after a minute; people take longer.
func TestASignInOutlivesItsCallerAndTheNextFindsIt(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		p := slowPerson(t, w)
		caller := start(t, w, p.env, "credential-process", "team-0/Admin")
		if pid := p.opener(t, 1); pid != caller.Process.Pid {
			t.Errorf("process %d opened the page, want the caller, %d", pid, caller.Process.Pid)
		}
		kill(t, caller.Process.Pid)
		if r := caller.end(); r.Code != -1 || r.Stdout != "" {
			t.Errorf("the caller: exit %d, %q", r.Code, r.Stdout)
		}
		p.signs(t)
		until(t, "the sign-in's token", func() bool {
			r := w.Stile(t, []string{"STILE_NO_LOGIN=1"}, "ls")
			return r.Code == 0
		})
		logintest.Key(t, w.Stile(t, []string{"STILE_NO_LOGIN=1"}, "credential-process", "team-0/Admin"))
		signedInOnce(t, w, 1)
	})
}

// A person who turns to a device code is shown it, though the page that they have
// left is still open; who waits for that one has the outcome of the other.
func TestADeviceCodeTakesThePlaceOfAPageAndOutlivesItsCaller(t *testing.T) {
	w := logintest.New(t)
	p := slowPerson(t, w)
	left := start(t, w, p.env, "login")
	p.opener(t, 1)
	kill(t, left.Process.Pid)
	left.end()
	waits := start(t, w, p.env, "credential-process", "team-0/Admin")
	p.opener(t, 2)
	device := start(t, w, p.env, "login", "--device")
	if pid := p.opener(t, 3); pid != device.Process.Pid {
		t.Errorf("process %d opened the page, want %d", pid, device.Process.Pid)
	}
	kill(t, device.Process.Pid)
	device.end()
	p.signs(t)
	logintest.Key(t, waits.end())
	if got := w.Since(); got["StartDeviceAuthorization"] != 1 || got["RegisterClient"] != 2 {
		t.Errorf("calls %v, want a device code in place of the page", got)
	}
}

func TestAPersonIsToldWhyNoPageIsShown(t *testing.T) {
	w := logintest.New(t)
	w.Stile(t, nil, "login").Want(t, "")
	w.Stile(t, nil, "logout")
	locks, err := filepath.Glob(filepath.Join(w.Dir, "state/stile/locks/sign-in-*.lock"))
	if err != nil || len(locks) != 1 {
		t.Fatalf("%v, %v, want the lock of sign-ins", locks, err)
	}
	lock, err := flight.Acquire(t.Context(), filepath.Dir(locks[0]), strings.TrimSuffix(filepath.Base(locks[0]), ".lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	cmd := w.Command(t, "stile", "login")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if want := "stile: another sign-in to acme is under way; finish it on its page, or end it by stile broker stop\n"; line != want {
		t.Errorf("it says %q, %v, want %q", line, err, want)
	}
	lock.Release()
	if err := cmd.Wait(); err != nil {
		t.Errorf("once the other has ended: %v", err)
	}
}

func TestStoppingEndsASignInThatNobodyAnswers(t *testing.T) {
	w := logintest.New(t)
	p := slowPerson(t, w)
	caller := start(t, w, p.env, "login")
	p.opener(t, 1)
	kill(t, caller.Process.Pid)
	caller.end()
	w.Stile(t, nil, "broker", "stop").Want(t, "")
	until(t, "that it is gone", func() bool { return background(t, w).PID == 0 })
}

func TestCallersWhoWaitGoOnWhenTheOneThatOpenedThePageIsKilled(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		p := slowPerson(t, w)
		callers := map[int]*running{}
		addresses := logintest.Fifty()[:20]
		for _, a := range addresses {
			r := start(t, w, p.env, "credential-process", a)
			callers[r.Process.Pid] = r
		}
		opener := p.opener(t, 1)
		until(t, "20 who wait", func() bool { return background(t, w).Waiting >= len(callers) })
		kill(t, opener)
		if r := callers[opener].end(); r.Code != -1 {
			t.Errorf("the opener: exit %d", r.Code)
		}
		delete(callers, opener)
		p.signs(t)
		for _, r := range callers {
			logintest.Key(t, r.end())
		}
		signedInOnce(t, w, 1, 2) // again, if it was killed before it could say that the page is open
	})
}

// The page of a process that was killed is of no use any more: another is shown.
func TestCallersWhoWaitGoOnWhenTheProcessInTheBackgroundIsKilled(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		p := slowPerson(t, w)
		var callers []*running
		for _, a := range logintest.Fifty()[:20] {
			callers = append(callers, start(t, w, p.env, "credential-process", a))
		}
		p.opener(t, 1)
		var pid int
		until(t, "20 who wait", func() bool {
			st := background(t, w)
			pid = st.PID
			return st.Waiting >= len(callers)
		})
		kill(t, pid)
		p.opener(t, 2)
		p.signs(t)
		for _, r := range callers {
			logintest.Key(t, r.end())
		}
		signedInOnce(t, w, 2)
	})
}

// A refresh token is spent when AWS has seen it: what was killed before it kept the
// next one costs a sign-in, and no more.
func TestARefreshThatIsKilledCostsOneSignIn(t *testing.T) {
	w := logintest.New(t)
	logintest.Key(t, w.Stile(t, nil, "credential-process", "team-0/Admin"))
	w.Expire(t)
	w.Since()
	killed := make(chan int, 1)
	w.Fail(func(operation string) service.Action {
		if operation == "CreateToken" {
			select {
			case pid := <-killed:
				_ = syscall.Kill(pid, syscall.SIGKILL)
			default:
			}
		}
		return service.Proceed
	})
	gate := start(t, w, nil, "credential-process", "team-0/Admin")
	killed <- gate.Process.Pid
	gate.end()
	addresses := logintest.Fifty()[:20]
	logintest.Succeeded(t, addresses, w.Herd(t, addresses))
	if n := w.Pages(t); n > 2 {
		t.Errorf("%d pages were opened, want at most one more", n)
	}
}
