package login_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
)

// converse runs a command at a terminal of its own, and answers each time that
// what it says since then fits the next question.
func converse(t *testing.T, cmd *exec.Cmd, talk ...exchange) (code int, said string) {
	t.Helper()
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	var all bytes.Buffer
	since := 0 // where the last question ended
	for chunk := make([]byte, 4096); ; {
		n, err := terminal.Read(chunk)
		all.Write(chunk[:n])
		for len(talk) > 0 {
			unread := all.String()[since:]
			at := talk[0].when.FindStringIndex(unread)
			if at == nil {
				break
			}
			since += at[1]
			if text := talk[0].say(talk[0].when.FindStringSubmatch(unread)); text != "" {
				if _, err := io.WriteString(terminal, text+"\n"); err != nil {
					t.Error(err)
				}
			}
			talk = talk[1:]
		}
		if err != nil { // Linux says EIO when the other side has closed
			break
		}
	}
	_ = cmd.Wait() // the exit code tells
	if len(talk) > 0 {
		t.Errorf("it never came to %s", talk[0].when)
	}
	return cmd.ProcessState.ExitCode(), all.String()
}

type exchange struct {
	when *regexp.Regexp
	say  func(found []string) string
}

// once answers a question with a text.
func once(when, text string) exchange {
	return exchange{regexp.MustCompile(regexp.QuoteMeta(when)), func([]string) string { return text }}
}

var toldPage = regexp.MustCompile(`(http\S+/authorize\?\S+)\r?\n`)

func atTerminal(t *testing.T, w *logintest.World, browser string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := w.Command(t, "stile", args...)
	cmd.Env = append(cmd.Environ(), browser, "DISPLAY=", "WAYLAND_DISPLAY=", "WSL_DISTRO_NAME=")
	return cmd
}

// A browser that fails is said at once, and the page can be opened by hand.
func TestPagesAreToldAtTheTerminalWhenTheBrowserFails(t *testing.T) {
	w := logintest.New(t)
	code, said := converse(t, atTerminal(t, w, "BROWSER=/bin/false", "login", "acme"), exchange{toldPage, func(found []string) string {
		next, err := w.Server.AnswerSignIn(found[1], alice)
		if err == nil {
			err = get(t, next)
		}
		if err != nil {
			t.Error(err)
		}
		return ""
	}})
	if code != 0 || !strings.Contains(said, "no browser was opened: opening the browser of $BROWSER: /bin/false: exit status 1") || strings.Count(said, "/authorize?") != 1 {
		t.Errorf("exit %d, %s", code, said)
	}
}

func TestPastesAreAskedForAgainAtTheTerminal(t *testing.T) {
	w := logintest.New(t)
	next := ""
	const prompt = "the address that the browser ends up at: "
	code, said := converse(t, atTerminal(t, w, "BROWSER=/bin/false", "login", "--paste", "acme"),
		exchange{toldPage, func(found []string) string {
			var err error
			if next, err = w.Server.AnswerSignIn(found[1], alice); err != nil {
				t.Error(err)
			}
			return ""
		}},
		once(prompt, "https://somewhere.example"),
		exchange{regexp.MustCompile("which begins with http://127.0.0.1:8400/oauth/callback(?s:.*)" + prompt), func([]string) string { return next }},
	)
	if code != 0 || strings.Contains(said, "on this computer") {
		t.Errorf("exit %d, %s", code, said)
	}
}

// A passphrase is typed twice when it is new, and asked for three times at most.
func TestPassphrasesAreAskedForAtTheTerminal(t *testing.T) {
	w := logintest.New(t)
	env := []string{"STILE_SECRETS=passphrase", "STILE_PASSPHRASE_COMMAND=", "SSH_ASKPASS=/bin/false"}
	at := func(args ...string) *exec.Cmd {
		cmd := w.Command(t, "stile", args...)
		cmd.Env = append(cmd.Environ(), env...)
		return cmd
	}
	code, said := converse(t, at("sessions", "add", "jane", "--user"),
		once("id: ", "AKIAIOSFODNN7EXAMPLE"), once(": ", "hush"),
		once("New passphrase for the secret store: ", "correct horse"), once("the same again: ", "corect horse"),
		once("The two are not the same. New passphrase for the secret store: ", "correct horse"), once("the same again: ", "correct horse"))
	if code != 0 { // what is said may show what this test types before the echo is off
		t.Errorf("exit %d, %s", code, said)
	}
	const ask, again = "Passphrase of the secret store: ", "It is another one. Passphrase of the secret store: "
	if code, said := converse(t, at("secrets", "status", "--check"), once(ask, "a"), once(again, "b"), once(again, "correct horse")); code != 0 || !strings.Contains(said, "all can be opened") {
		t.Errorf("exit %d, %s", code, said)
	}
	if code, said := converse(t, at("secrets", "status", "--check"), once(ask, "a"), once(again, "b"), once(again, "c")); code != 1 || !strings.Contains(said, "the passphrase is wrong") {
		t.Errorf("exit %d, %s", code, said)
	}
	if _, err := os.Stat(w.Dir + "/.local/share/stile/secrets/identity.age"); err != nil {
		t.Error(err)
	}
}
