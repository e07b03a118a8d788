package login_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/localaws/ssooidc"
)

// headless is stile where there is no terminal, and the browser of a variable.
func headless(t *testing.T, w *logintest.World, browser string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := w.Command(t, "stile", args...)
	cmd.Env = append(cmd.Environ(), browser, "DISPLAY=", "WAYLAND_DISPLAY=", "WSL_DISTRO_NAME=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

func TestBrowsersThatFailAreSaid(t *testing.T) {
	w := logintest.New(t)
	for browser, want := range map[string]string{
		"BROWSER=/bin/false": "/bin/false: exit status 1",
		"BROWSER=":           "there is no browser here",
	} {
		for _, args := range [][]string{words("login acme"), words("credential-process team-0/Admin")} {
			r := routetest.Run(t, headless(t, w, browser, args...))
			if r.Code != 1 || r.Stdout != "" {
				t.Errorf("%s stile %v: exit %d, stdout %q, want 1 and nothing", browser, args, r.Code, r.Stdout)
			}
			for _, text := range []string{want, "no terminal", "--device", "--paste", "--port"} {
				if !strings.Contains(r.Stderr, text) {
					t.Errorf("%s stile %v says %q, want %q", browser, args, r.Stderr, text)
				}
			}
		}
	}
}

func TestPagesAreSaidThoughABrowserShowsThem(t *testing.T) {
	w := logintest.New(t)
	r := w.Stile(t, nil, "credential-process", "team-0/Admin")
	logintest.Key(t, r)
	if want := regexp.MustCompile(`(?m)^stile: sign in at the page that your browser shows, or at http\S+/authorize\?\S+$`); !want.MatchString(r.Stderr) {
		t.Errorf("stderr %q, want a line with the page", r.Stderr)
	}
}

// follow runs a command and has somebody at another computer answer the page that
// it says on standard error.
func follow(t *testing.T, w *logintest.World, cmd *exec.Cmd, answer func(page string) error) (code int, said string) {
	t.Helper()
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	page := regexp.MustCompile(`http\S+(/authorize\?|/device\S*\?)\S+\n`)
	answered := false
	for chunk := make([]byte, 4096); ; {
		n, err := pipe.Read(chunk)
		all.Write(chunk[:n])
		if at := page.FindString(all.String()); at != "" && !answered {
			answered = true
			if err := answer(strings.TrimSpace(at)); err != nil {
				t.Error(err)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait() // the exit code tells
	return cmd.ProcessState.ExitCode(), all.String()
}

func TestDeviceCodesNeedNeitherBrowserNorTerminal(t *testing.T) {
	w := logintest.New(t)
	code, said := follow(t, w, headless(t, w, "BROWSER=", "login", "--device", "acme"), func(page string) error {
		_, err := w.Server.AnswerSignIn(page, alice)
		return err
	})
	if code != 0 || !strings.Contains(said, "stile: it must show the code ") || !strings.Contains(said, "in any browser") || !strings.Contains(said, "signed in to acme") {
		t.Errorf("exit %d, %s", code, said)
	}
}

func TestAnswersComeOnStandardInput(t *testing.T) {
	w := logintest.New(t)
	cmd := headless(t, w, "BROWSER=", "login", "--paste", "acme")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	code, said := follow(t, w, cmd, func(page string) error {
		next, err := w.Server.AnswerSignIn(page, alice)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(in, "\nhttps://somewhere.example\n"+next+"\n"); err != nil {
			return err
		}
		return in.Close()
	})
	if code != 0 || !strings.Contains(said, "that is not the address the browser ends up at") || !strings.Contains(said, "in any browser") || strings.Contains(said, "on this computer") {
		t.Errorf("exit %d, %s", code, said)
	}
}

// Whoever interrupts a sign-in and pastes instead does not wait for the page that
// nobody looks at any more.
func TestPastesTakeThePlaceOfInterruptedSignIns(t *testing.T) {
	w := logintest.New(t)
	device := headless(t, w, "BROWSER=", "login", "--device", "acme")
	errs, err := device.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := device.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(errs); lines.Scan() && !strings.Contains(lines.Text(), "it must show the code"); {
	}
	if err := device.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = device.Wait() // it was killed
	cmd := headless(t, w, "BROWSER=", "login", "--paste", "acme")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	code, said := follow(t, w, cmd, func(page string) error {
		next, err := w.Server.AnswerSignIn(page, alice)
		if err != nil {
			return err
		}
		_, err = io.WriteString(in, next+"\n")
		return err
	})
	if code != 0 || !strings.Contains(said, "signed in to acme") || strings.Contains(said, "under way") {
		t.Errorf("exit %d, %s", code, said)
	}
}

func TestStandardInputThatEndsPastesNothing(t *testing.T) {
	w := logintest.New(t)
	routetest.Run(t, headless(t, w, "BROWSER=", "login", "--paste", "acme")).Refused(t, "standard input has ended, and there is no terminal")
	cmd := headless(t, w, "BROWSER=", "login", "--paste", "acme")
	cmd.Stdin = strings.NewReader("nonsense\n")
	routetest.Run(t, cmd).Refused(t, "that is not the address the browser ends up at")
}

// A port that was chosen may be forwarded, so that the page is worth waiting for.
func TestChosenPortsAreWaitedFor(t *testing.T) {
	w := logintest.New(t)
	port := freePort(t)
	code, said := follow(t, w, headless(t, w, "BROWSER=", "login", "--port", port, "acme"), func(page string) error {
		next, err := w.Server.AnswerSignIn(page, alice)
		if err != nil {
			return err
		}
		return get(t, next)
	})
	if code != 0 || !strings.Contains(said, "ssh -L "+port+":127.0.0.1:"+port) {
		t.Errorf("exit %d, %s", code, said)
	}
}

var alice = ssooidc.Answer{User: "alice"}

// freePort is one that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}

// get is a browser that goes where it is sent.
func get(t *testing.T, page string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Without a name the only source is meant that a person signs in to, SAML's too.
func TestTheOnlySourceMayBeSAMLs(t *testing.T) {
	w := logintest.New(t)
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n- name: corp\n  saml: {startURL: \"https://idp.corp.example/aws\", browser: /no/such/browser}\n")
	if r := routetest.Run(t, headless(t, w, "BROWSER=", "login")); r.Code != 1 || !strings.Contains(r.Stderr, "/no/such/browser") {
		t.Errorf("one SAML source: exit %d, %s", r.Code, r.Stderr)
	}
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n- name: corp\n  saml: {startURL: \"https://idp.corp.example/aws\"}\n"+
		"- name: acme\n  identityCenter: {startURL: \"https://acme.awsapps.com/start\", region: us-east-1}\n")
	if r := routetest.Run(t, headless(t, w, "BROWSER=", "login")); r.Code != 1 || r.Stderr != "stile: there are several sources; say which: corp, acme\n" {
		t.Errorf("two sources: exit %d, %s", r.Code, r.Stderr)
	}
}
