package use_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
)

// terminal is a shell in a terminal that somebody types into.
type terminal struct {
	t    *testing.T
	pty  *os.File
	cmd  *exec.Cmd
	read chan struct{} // closed when nothing more comes

	mu   sync.Mutex
	text string        // what came and was not waited for yet
	news chan struct{} // holds one when text has grown
}

// patience bounds how long a test waits for what never comes.
const patience = 30 * time.Second

func open(t *testing.T, sh shell, w *logintest.World, size pty.Winsize, env ...string) *terminal {
	t.Helper()
	args := map[string][]string{"bash": {"--norc", "--noprofile", "-i"}, "zsh": {"-f", "-i"}, "fish": {"--no-config", "-i"}}
	cmd := w.Command(t, sh.name, args[sh.name]...)
	cmd.Env = append(cmd.Env, append(env, "TERM=xterm", "PS1=$ ", "PROMPT=$ ")...)
	f, err := pty.StartWithSize(cmd, &size)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, pty: f, cmd: cmd, read: make(chan struct{}), news: make(chan struct{}, 1)}
	go term.drain()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		_ = cmd.Wait()
		_ = f.Close()
		<-term.read
	})
	term.do(sh.init, "")
	return term
}

func (t *terminal) drain() {
	defer close(t.read)
	buf := make([]byte, 4096)
	for {
		n, err := t.pty.Read(buf)
		t.mu.Lock()
		t.text += string(buf[:n])
		t.mu.Unlock()
		select {
		case t.news <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// see waits for text, and gives what came before it.
func (t *terminal) see(text string) string {
	t.t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		t.mu.Lock()
		before, after, ok := strings.Cut(t.text, text)
		if ok {
			t.text = after
		}
		t.mu.Unlock()
		if ok {
			return before
		}
		select {
		case <-t.news:
		case <-timeout.C:
			t.t.Fatalf("the terminal shows no %q, but %q", text, before)
		case <-t.read:
			t.t.Fatalf("the shell ended without %q: %q", text, before)
		}
	}
}

func (t *terminal) press(keys string) {
	t.t.Helper()
	if _, err := t.pty.WriteString(keys); err != nil {
		t.t.Fatal(err)
	}
}

// do runs a line in the shell. Keys are pressed once the picker is there; "" is
// for lines that show none. It gives the line's output and status.
func (t *terminal) do(line, keys string) string {
	t.t.Helper()
	status := "$?"
	if strings.Contains(t.cmd.Path, "fish") {
		status = "$status"
	}
	t.press(line + "; echo \"do\"ne:" + status + ":\r")
	if keys != "" {
		t.see(opened)
		t.press(keys)
	}
	before := t.see("done:")
	return before + "\n" + t.see(":")
}

const opened, closed = "\x1b[?1049h", "\x1b[?1049l"

var usual = pty.Winsize{Rows: 24, Cols: 100}

func TestPickerSetsTheShell(t *testing.T) {
	w := logintest.New(t)
	if r := w.Stile(t, nil, "ls", "--login"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	everywhere(t, func(t *testing.T, sh shell) {
		term := open(t, sh, w, usual, "XDG_STATE_HOME="+filepath.Join(w.Dir, "state-"+sh.name))
		report := func(name string) string {
			term.do("echo $STILE_ADDRESS >"+name, "")
			return strings.TrimSpace(read(t, w.World, name))
		}
		if out := term.do("stile use", "team 3\x1b[B\r"); !strings.HasSuffix(out, "\n0") {
			t.Fatalf("the picker ended with %q", out)
		}
		if got := report("picked"); got != "team-3/ReadOnly" {
			t.Errorf("the shell uses %q, want team-3/ReadOnly", got)
		}
		term.do("whoami >who", "")
		if got := read(t, w.World, "who"); !strings.Contains(got, string(logintest.Account(3))+":assumed-role/AWSReservedSSO_ReadOnly_") {
			t.Errorf("programs of the shell are %q", got)
		}
		for name, keys := range map[string]string{"Escape": "team-4\x1b", "Ctrl-C": "\x03", "Ctrl-D": "\x04"} {
			if out := term.do("stile use", keys); !strings.HasSuffix(out, "\n130") || !strings.Contains(out, closed) {
				t.Errorf("%s: the picker ended with %q, want 130", name, out)
			}
			if got := report("after"); got != "team-3/ReadOnly" {
				t.Errorf("%s: the shell uses %q, want what it did", name, got)
			}
		}
		// What was used of late comes first.
		if term.do("stile use", "\r"); report("again") != "team-3/ReadOnly" {
			t.Errorf("the first to choose is %q, want what was used of late", report("again"))
		}
	})
}

func TestPickerInASmallTerminal(t *testing.T) {
	w := logintest.New(t)
	if r := w.Stile(t, nil, "ls", "--login"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	for _, size := range []pty.Winsize{{Rows: 1, Cols: 1}, {Rows: 2, Cols: 8}, {Rows: 3, Cols: 20}, {}} {
		t.Run(fmt.Sprintf("%d×%d", size.Cols, size.Rows), func(t *testing.T) {
			term := open(t, shells[0], w, usual)
			if err := pty.Setsize(term.pty, &size); err != nil {
				t.Fatal(err)
			}
			term.do("stile use", "team-5/ad\r")
			if err := pty.Setsize(term.pty, &usual); err != nil {
				t.Fatal(err)
			}
			term.do("echo $STILE_ADDRESS >picked", "")
			if got := strings.TrimSpace(read(t, w.World, "picked")); got != "team-5/Admin" {
				t.Errorf("the shell uses %q, want team-5/Admin", got)
			}
		})
	}
}

// What Identity Center lists is shown as it comes; before anything is known the
// picker is there already.
func TestPickerLooksUpWhatIsDue(t *testing.T) {
	w := logintest.New(t)
	if r := w.Stile(t, nil, "login"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	w.Write(t, "config", "[profile mine]\naws_access_key_id = x\n")
	w.Env = append(w.Env, "AWS_CONFIG_FILE="+filepath.Join(w.Dir, "config"))
	term := open(t, shells[0], w, usual)
	term.press("stile use; echo \"do\"ne\r")
	term.see(opened)
	term.see("1 of 1")
	term.see("21 of 21")
	term.press("team-7 read\r")
	term.see("done")
	term.do("echo $STILE_ADDRESS >picked", "")
	if got := strings.TrimSpace(read(t, w.World, "picked")); got != "team-7/ReadOnly" {
		t.Errorf("the shell uses %q, want team-7/ReadOnly", got)
	}
}

// Nobody is asked to sign in for the sake of a list.
func TestPickerAsksNobodyToSignIn(t *testing.T) {
	w := logintest.New(t)
	term := open(t, shells[0], w, usual)
	if out := term.do("stile use", "\x1b"); !strings.HasSuffix(out, "\n130") {
		t.Errorf("the picker ended with %q", out)
	}
	if n := w.Pages(t); n != 0 {
		t.Errorf("%d pages were opened", n)
	}
}

// Three thousand roles are typed into as ten are.
func TestPickerOfThousands(t *testing.T) {
	w := logintest.New(t)
	const head = `{"startURL":"https://acme.awsapps.com/start","at":"2026-01-01T00:00:00Z","items":[`
	var accounts []string
	for i := range 750 {
		accounts = append(accounts, fmt.Sprintf(`{"id":"%012d","name":"unit-%d-prod"}`, i, i))
		w.Write(t, fmt.Sprintf(".cache/stile/idc/acme/%012d.json", i), head+`"Admin","PowerUser","ReadOnly","View"]}`)
	}
	w.Write(t, ".cache/stile/idc/acme.json", head+strings.Join(accounts, ",")+"]}")
	term := open(t, shells[0], w, usual)
	term.press("stile use; echo \"do\"ne\r")
	term.see("3000 of 3000")
	for keys, want := range map[string]string{"unit-749/pow": "1 of 3000", "749": "4 of 3000", "u74prread": "of 3000", "nothing": "0 of 3000"} {
		term.press(keys)
		term.see(want)
		term.press("\x15")
		term.see("3000 of 3000")
	}
	term.press("\x1b")
	term.see("done")
}
