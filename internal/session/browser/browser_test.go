package browser_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stile-aws/stile/internal/session/browser"
)

// opened runs Open with a browser that writes what it is given, and gives that.
func opened(t *testing.T, command string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "browser")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"$#:$*\" >"+pipe+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"BROWSER": os.Expand(command, func(string) string { return script })}
	if err := browser.Open(t.Context(), func(name string) string { return env[name] }, "https://x.example/?a=1&b=$(id)"); err != nil {
		return "", err
	}
	text, err := os.ReadFile(pipe) // waits for the writer
	return string(text), err
}

func TestPagesAreOneArgument(t *testing.T) {
	for command, want := range map[string]string{
		"${x}":                     "1:https://x.example/?a=1&b=$(id)\n",
		"${x} --new %s":            "2:--new https://x.example/?a=1&b=$(id)\n",
		"${x} --url=%s":            "1:--url=https://x.example/?a=1&b=$(id)\n",
		"/no/such/browser:${x} %s": "1:https://x.example/?a=1&b=$(id)\n",
	} {
		if got, err := opened(t, command); err != nil || got != want {
			t.Errorf("BROWSER=%s: %q, %v, want %q", command, got, err, want)
		}
	}
}

func TestBrowsersThatFailAtOnceAreSaid(t *testing.T) {
	open := func(command string) error {
		return browser.Open(t.Context(), func(name string) string { return map[string]string{"BROWSER": command}[name] }, "https://x.example")
	}
	if err := open("false"); err == nil || !strings.Contains(err.Error(), "false: exit status 1") {
		t.Errorf("Open with BROWSER=false = %v, want its exit status", err)
	}
	if err := open("false:true"); err != nil {
		t.Errorf("Open with BROWSER=false:true = %v, want the second's success", err)
	}
	if got, err := opened(t, "false:${x}"); err != nil || got != "1:https://x.example/?a=1&b=$(id)\n" {
		t.Errorf("BROWSER=false:…: %q, %v, want the next one tried", got, err)
	}
}

func TestNoBrowserIsSaid(t *testing.T) {
	if err := browser.Open(t.Context(), func(string) string { return "" }, "https://x.example"); !errors.Is(err, browser.ErrNone) {
		t.Errorf("Open = %v, want ErrNone", err)
	}
	if _, err := opened(t, "/no/such/browser"); err == nil {
		t.Error("a browser that is not there opened the page")
	}
}

// What a browser that fails complains of is told, its last line of it; one that goes
// on is not ended for writing, however much.
func TestComplaintsAreQuoted(t *testing.T) {
	open := func(script string) error {
		path := filepath.Join(t.TempDir(), "browser")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return browser.Open(t.Context(), func(name string) string { return map[string]string{"BROWSER": path}[name] }, "https://x.example")
	}
	if err := open("echo one >&2; printf 'no \\033display\\n' >&2; exit 3"); err == nil || !strings.HasSuffix(err.Error(), `exit status 3: "no \x1bdisplay"`) {
		t.Errorf("a browser that complains: %v", err)
	}
	if err := open("exit 3"); err == nil || !strings.HasSuffix(err.Error(), "exit status 3") {
		t.Errorf("a browser that says nothing: %v", err)
	}
	if err := open("(exec sleep 5) & exit 3"); err == nil || !strings.HasSuffix(err.Error(), "exit status 3") {
		t.Errorf("a browser that leaves something behind: %v", err)
	}
	if err := open("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero >&2; exit 0"); err != nil {
		t.Errorf("a browser that says much: %v", err)
	}
}

func TestWhatIsNoWebPageIsNotOpened(t *testing.T) {
	for _, page := range []string{"file:///etc/passwd", "javascript:alert(1)", "https://", "x.example", "--version", "https://x.example/\x1b[2J", ""} {
		err := browser.Open(t.Context(), func(string) string { return "touch" }, page)
		if err == nil || !strings.Contains(err.Error(), "it is no web page") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("Open(%q) = %v", page, err)
		}
	}
}
