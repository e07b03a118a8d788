package capture_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/session/capture"
)

// TestMain lets the test binary be a browser: one that opens no page, and says by
// the pipe what a browser would, as the variable PLAY has it. What commands mean it
// does not know, but for the one that closes it.
func TestMain(m *testing.M) {
	if play := os.Getenv("PLAY"); play != "" {
		browse(play)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func browse(play string) {
	if play == "cannot start" {
		fmt.Fprint(os.Stderr, "Gtk-Message: something\n[1:1:0101/000000.1:ERROR:ozone_platform_x11.cc(250)] Missing X server or $DISPLAY\n[1:1:0101/000000.1:ERROR:env.cc(256)] The platform failed to initialize.  Exiting.\n")
		os.Exit(7)
	}
	in, out := bufio.NewReader(os.NewFile(3, "in")), os.NewFile(4, "out")
	say := func(session, method string, params any) {
		text, _ := json.Marshal(map[string]any{"method": method, "sessionId": session, "params": params})
		_, _ = out.Write(append(text, 0))
	}
	post := func(to, method, body string) {
		say("S1", "Fetch.requestPaused", map[string]any{"requestId": "r", "request": map[string]any{"url": to, "method": method, "postData": body}})
	}
	log, _ := os.OpenFile(os.Getenv("LOG"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			Method string
			Params struct{ URL string }
		}
		_ = json.Unmarshal(bytes.TrimRight(text, "\x00"), &m)
		fmt.Fprintln(log, m.Method, m.Params.URL)
		switch m.Method {
		case "Target.setAutoAttach":
			say("", "Target.attachedToTarget", map[string]any{"sessionId": "W", "targetInfo": map[string]any{"type": "worker"}})
			say("", "Target.attachedToTarget", map[string]any{"sessionId": "S1", "targetInfo": map[string]any{"type": "page"}})
		case "Page.navigate":
			form := url.Values{"SAMLResponse": {"PHNhbWw+/=="}, "RelayState": {""}}.Encode()
			switch play {
			case "signs in":
				post("https://idp.example/saml/post", "POST", form) // the provider's own
				post("https://signin.aws.amazon.com/saml", "GET", "")
				post("https://signin.aws.amazon.com.evil.example/saml", "POST", form)
				post("https://eu-west-1.signin.aws.amazon.com/saml/acs/x", "POST", form)
			case "goes away":
				return
			case "speaks otherwise":
				_, _ = out.Write([]byte("hello\x00"))
			}
		case "Browser.close":
			return
		}
	}
}

// browser is a program that plays a part; log is what it was told.
func browser(t *testing.T, play string) (cfg capture.Config, log func() string) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, file := filepath.Join(dir, "browser"), filepath.Join(dir, "log")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >>"+file+"\nPLAY='"+play+"' LOG="+file+" exec "+self+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return capture.Config{Start: "https://idp.example/app", Profile: filepath.Join(dir, "profile"), Browser: program}, func() string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
}

func TestWhatIsPostedToAWSIsTaken(t *testing.T) {
	cfg, log := browser(t, "signs in")
	got, err := capture.Assertion(t.Context(), cfg)
	if err != nil || got != "PHNhbWw+/==" {
		t.Fatalf("%q, %v", got, err)
	}
	said := log()
	for _, want := range []string{"--remote-debugging-pipe --user-data-dir=" + cfg.Profile, "Fetch.enable", "Page.navigate https://idp.example/app", "Fetch.fulfillRequest", "Browser.close"} {
		if !strings.Contains(said, want) {
			t.Errorf("the browser was not told %s:\n%s", want, said)
		}
	}
	if n := strings.Count(said, "Fetch.continueRequest"); n != 3 {
		t.Errorf("%d requests went on, want all 3 others:\n%s", n, said)
	}
	if info, err := os.Stat(cfg.Profile); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the profile: %v, %v", info, err)
	}
}

func TestSignInsThatComeToNothing(t *testing.T) {
	for play, want := range map[string]string{"goes away": "signing in at idp.example: the browser was closed", "speaks otherwise": "does not speak the DevTools protocol",
		"cannot start": "ended before it showed a page (exit status 7): Missing X server or $DISPLAY The platform failed to initialize.  Exiting."} {
		cfg, _ := browser(t, play)
		if _, err := capture.Assertion(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", play, err, want)
		}
	}
	cfg, _ := browser(t, "waits")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := capture.Assertion(ctx, cfg); err == nil {
		t.Error("it went on although nobody waits")
	}
	cfg.Browser = "no-such-browser"
	if _, err := capture.Assertion(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "none of no-such-browser is on PATH") {
		t.Errorf("%v, want what is missing", err)
	}
}
