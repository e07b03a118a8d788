package resilience_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// terminal makes a pseudo-terminal: the person's side, and the programs'.
func terminal(t *testing.T) (person, programs *os.File) {
	t.Helper()
	person, programs, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = person.Close(), programs.Close() })
	return person, programs
}

// Fifty processes at one terminal ask the person who sits there once.
func TestAPersonIsAskedForOneCodeAtTheTerminal(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		w.Dana(t)
		w.Stile(t, nil, "sessions", "edit", "dana", "--mfa", "prompt").Want(t, "")
		code := strings.TrimSpace(routetest.Run(t, w.Command(t, "sh", "code")).Stdout)
		person, programs := terminal(t)
		addresses := logintest.FiftyOfDana()
		cmd := w.Command(t, "sh", append([]string{"-c", `i=0; for a; do i=$((i+1)); { stile credential-process "$a" </dev/null >out.$i 2>err.$i; echo $? >code.$i; } & done; wait`, "sh"}, addresses...)...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = programs, programs, programs
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		asked := make(chan int, 1)
		go func() {
			var seen bytes.Buffer
			buf := make([]byte, 4096)
			answered := 0
			for {
				n, err := person.Read(buf)
				if err != nil { // the programs have ended
					asked <- bytes.Count(seen.Bytes(), []byte("MFA code of dana"))
					return
				}
				seen.Write(buf[:n])
				for ; answered < bytes.Count(seen.Bytes(), []byte("): ")); answered++ {
					_, _ = person.WriteString(code + "\n")
				}
			}
		}()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		w.Stile(t, nil, "broker", "stop").Want(t, "")
		_ = programs.Close()
		if n := <-asked; n != 1 {
			t.Errorf("%d questions, want 1", n)
		}
		var all []routetest.Result
		for i := range addresses {
			all = append(all, result(t, w, i+1))
		}
		if n := logintest.Succeeded(t, addresses, all); n != 20 {
			t.Errorf("%d roles, want 20", n)
		}
	})
}

// result is what the n-th program has left in files.
func result(t *testing.T, w *logintest.World, n int) routetest.Result {
	t.Helper()
	text := func(name string) string {
		text, err := os.ReadFile(fmt.Sprintf("%s/%s.%d", w.Dir, name, n))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	r := routetest.Result{Stdout: text("out"), Stderr: text("err")}
	if _, err := fmt.Sscan(text("code"), &r.Code); err != nil {
		t.Fatal(err)
	}
	return r
}
