package resilience_test

import (
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
)

// seat is a terminal at which one program runs, and a person who sits there.
type seat struct {
	person, programs *os.File
	cmd              *exec.Cmd
	ended            chan struct{}

	mu   sync.Mutex // guards the rest
	seen bytes.Buffer
	news chan struct{} // closed when more is seen
}

// sit starts a command in a session of its own, at a terminal.
func sit(t *testing.T, cmd *exec.Cmd) *seat {
	t.Helper()
	s := &seat{cmd: cmd, ended: make(chan struct{}), news: make(chan struct{})}
	person, programs := terminal(t)
	fd, err := unix.FcntlInt(person.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = person.Close()
	s.person, s.programs = os.NewFile(uintptr(fd), "person"), programs // whose Close ends a Read
	t.Cleanup(func() { _ = s.person.Close() })
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.programs, s.programs, s.programs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.look()
	go func() { defer close(s.ended); _ = cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-s.ended })
	return s
}

func (s *seat) look() {
	buf := make([]byte, 4096)
	for {
		n, err := s.person.Read(buf)
		s.mu.Lock()
		s.seen.Write(buf[:n])
		close(s.news)
		s.news = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// shown is what is on the screen, and when there is more.
func (s *seat) shown() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String(), s.news
}

// shows waits until the screen has a text.
func (s *seat) shows(t *testing.T, text string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		seen, more := s.shown()
		if strings.Contains(seen, text) {
			return
		}
		select {
		case <-more:
		case <-s.ended:
			if seen, _ = s.shown(); strings.Contains(seen, text) {
				return
			}
			t.Fatalf("it has ended with %s, want %q", seen, text)
		case <-late:
			t.Fatalf("the screen has %q, want %q", seen, text)
		}
	}
}

func (s *seat) types(t *testing.T, text string) {
	t.Helper()
	if _, err := s.person.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// ends waits for the end, which is as that of a shell's command: 128 and more for a
// signal.
func (s *seat) ends(t *testing.T) int {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		seen, _ := s.shown()
		t.Fatalf("it goes on and on, and has said %q", seen)
	}
	if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return s.cmd.ProcessState.ExitCode()
}

// echoes reports that the terminal shows what is typed.
func (s *seat) echoes(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(s.programs.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// Whatever is asked, who wants to be left alone is: at once, with a terminal as it was.
func TestQuestionsEndWhenThePersonEndsThem(t *testing.T) {
	// Under nohup programs would inherit that hang-ups are ignored: what is caught
	// here is as it was before for them.
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP)
	defer signal.Stop(hangUps)
	questions := []struct {
		name, prompt string
		setup        func(t *testing.T, w *logintest.World)
		args         []string
	}{
		{"a guard's", "Go on?", guarded, []string{"exec", "team-0/ReadOnly", "--", "true"}},
		{"a guard's, of whoami", "Go on?", guarded, []string{"whoami", "team-0/ReadOnly"}},
		{"a guard's, of each", "Go on?", guarded, []string{"each", "team-0/ReadOnly", "--", "true"}},
		{"a guard's, of credential-process", "Go on?", guarded, []string{"credential-process", "team-0/ReadOnly"}},
		{"a code's", "MFA code of dana", prompting, []string{"whoami", "dana:" + string(logintest.Account(1)) + "/work"}},
		{"a login's", "MFA code of dana", prompting, []string{"login", "dana"}},
		{"a passphrase's", "Passphrase", passphrase, []string{"secrets", "migrate", "keyfile"}},
		{"a key's", "access key", func(*testing.T, *logintest.World) {}, []string{"sessions", "add", "eve", "--user"}},
	}
	ends := []struct {
		name string
		do   func(t *testing.T, s *seat)
		code int
		gone bool // the terminal is
	}{
		{"Ctrl-C", func(t *testing.T, s *seat) { s.types(t, "\x03") }, 130, false},
		{"Ctrl-D", func(t *testing.T, s *seat) { s.types(t, "\x04") }, 1, false},
		{"SIGTERM", signaled(syscall.SIGTERM), 143, false},
		{"SIGHUP", signaled(syscall.SIGHUP), 129, false},
		{"SIGQUIT", func(t *testing.T, s *seat) { s.types(t, "\x1c") }, 131, false},
		{"a hang-up", func(t *testing.T, s *seat) { _ = s.person.Close() }, 129, true},
	}
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			w := logintest.New(t)
			q.setup(t, w)
			for _, end := range ends {
				t.Run(end.name, func(t *testing.T) {
					cmd := w.Command(t, "stile", q.args...)
					cmd.Env = append(cmd.Env, "GOTRACEBACK=none")
					s := sit(t, cmd)
					s.shows(t, q.prompt)
					end.do(t, s)
					code := s.ends(t)
					ownCode := code == 2 && end.code == 131 // Go's own end by SIGQUIT
					if code != end.code && !ownCode {
						seen, _ := s.shown()
						t.Errorf("exit %d, want %d: %s", code, end.code, seen)
					}
					if !end.gone && !s.echoes(t) {
						t.Error("the terminal does not show any more what is typed")
					}
				})
			}
		})
	}
}

func signaled(sig syscall.Signal) func(t *testing.T, s *seat) {
	return func(t *testing.T, s *seat) {
		if err := s.cmd.Process.Signal(sig); err != nil {
			t.Error(err)
		}
	}
}

func guarded(t *testing.T, w *logintest.World) {
	w.Stile(t, nil, "login", "acme").Want(t, "")
	w.Write(t, ".stile-guard.yaml", "confirm: {accounts: [\"*\"]}\n")
}

func prompting(t *testing.T, w *logintest.World) {
	w.Dana(t)
	w.Stile(t, nil, "sessions", "edit", "dana", "--mfa", "prompt").Want(t, "")
}

// passphrase is a secret store that wants one.
func passphrase(t *testing.T, w *logintest.World) {
	w.Dana(t)
	w.Env = append(w.Env, "STILE_PASSPHRASE_COMMAND=echo xyzzy")
	w.Stile(t, nil, "secrets", "migrate", "passphrase").Want(t, "")
	w.Env = append(w.Env, "STILE_PASSPHRASE_COMMAND=")
}
