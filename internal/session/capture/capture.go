// Package capture gets the SAML assertion of a person's sign-in: it opens a browser
// at the identity provider's page and takes what the provider has the browser post
// to AWS.
//
// [Assertion] is all of it. The browser is one of Chromium's family, with a profile
// of its own, in which the provider's cookies stay; it is steered through a pipe
// (Chrome DevTools Protocol), so that no port is opened. Pages are neither read nor
// filled in, and nothing but posts to AWS's sign-in pages is looked at.
package capture

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"github.com/stile-aws/stile/internal/session/browser"
	"github.com/stile-aws/stile/internal/session/devtools"
)

// Config says which browser, and where to. Start and Profile are required.
type Config struct {
	Start   string // the page of the identity provider that ends at AWS
	Profile string // a directory for the browser's own things, of this person alone
	// Browser is the program. Default: the first of those of Chromium's family that
	// is on PATH.
	Browser string
}

// browsers are the names of programs of the family.
func browsers() []string {
	return []string{"google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "microsoft-edge", "brave-browser", "brave"}
}

// FindBrowser is the path of the browser of a name, or of any when it is "".
func FindBrowser(name string) (string, error) {
	names := browsers()
	if name != "" {
		names = []string{name}
	}
	for _, n := range names {
		if path, err := exec.LookPath(n); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("finding a browser for SAML: none of %s is on PATH; install one, or give the assertion by a file or program", strings.Join(names, ", "))
}

// Assertion has the person sign in, and gives the SAMLResponse as it was posted,
// base64. It ends when ctx does, or the person closes the browser.
func Assertion(ctx context.Context, cfg Config) (string, error) {
	program, err := FindBrowser(cfg.Browser)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cfg.Profile, 0o700); err != nil {
		return "", fmt.Errorf("making the browser's profile: %w", err)
	}
	b, err := start(ctx, program, cfg.Profile)
	if err != nil {
		return "", fmt.Errorf("starting the browser: %w", err)
	}
	assertion, begun, err := b.steer(ctx, cfg.Start)
	ended := b.leave() // what it says counts only when it did not begin
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.Is(err, devtools.ErrClosed) && !begun:
		return "", fmt.Errorf("starting the browser: %s ended before it showed a page (%s)%s", program, ended, b.said.last())
	case errors.Is(err, devtools.ErrClosed):
		return "", fmt.Errorf("signing in at %s: %w before the sign-in came to its end", host(cfg.Start), err)
	case err != nil:
		return "", fmt.Errorf("signing in at %s: %w", host(cfg.Start), err)
	}
	return assertion, nil
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the identity provider"
	}
	return u.Host
}

// steering is a conversation with a browser.
type steering struct {
	*devtools.Conn
	start string
	begun bool // the page was opened
}

// run steers until an assertion is posted.
func (s *steering) run() (string, error) {
	all := map[string]any{"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true}
	if err := s.send("", "Target.setAutoAttach", all); err != nil {
		return "", err
	}
	for {
		m, err := s.Next()
		if err != nil {
			return "", err
		}
		switch m.Method {
		case "Target.attachedToTarget":
			err = s.attached(m.Params)
		case "Fetch.requestPaused":
			var assertion string
			if assertion, err = s.paused(m.Session, m.Params); assertion != "" {
				return assertion, nil
			}
		}
		if err != nil {
			return "", err
		}
	}
}

func (s *steering) send(session, method string, params any) error {
	_, err := s.Send(session, method, params)
	return err
}

// attached has a page's posts shown here, and opens the provider's page in the
// first one.
func (s *steering) attached(params json.RawMessage) error {
	var p struct {
		SessionID  string `json:"sessionId"`
		TargetInfo struct {
			Type string `json:"type"`
		} `json:"targetInfo"`
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return err
	}
	type command struct {
		method string
		params any
	}
	var all []command
	if p.TargetInfo.Type == "page" {
		all = append(all, command{"Fetch.enable", map[string]any{"patterns": []any{map[string]any{"urlPattern": "https://*/saml*"}}}})
		if !s.begun {
			all = append(all, command{"Page.navigate", map[string]any{"url": s.start}})
			s.begun = true
		}
	}
	all = append(all, command{"Runtime.runIfWaitingForDebugger", map[string]any{}})
	for _, c := range all {
		if err := s.send(p.SessionID, c.method, c.params); err != nil {
			return err
		}
	}
	return nil
}

// paused takes the assertion out of a post to AWS, which is not made: STS takes an
// assertion once it is here. All else goes on.
func (s *steering) paused(session string, params json.RawMessage) (string, error) {
	var p struct {
		RequestID string `json:"requestId"`
		Request   struct {
			URL      string `json:"url"`
			Method   string `json:"method"`
			PostData string `json:"postData"`
		} `json:"request"`
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return "", err
	}
	form, err := url.ParseQuery(p.Request.PostData)
	if p.Request.Method != "POST" || !atAWS(p.Request.URL) || err != nil || form.Get("SAMLResponse") == "" {
		return "", s.send(session, "Fetch.continueRequest", map[string]any{"requestId": p.RequestID})
	}
	page := base64.StdEncoding.EncodeToString([]byte(browser.Page("You are signed in", "You can close this window and go back to the terminal.")))
	answer := map[string]any{
		"requestId": p.RequestID, "responseCode": 200, "body": page,
		"responseHeaders": []any{map[string]string{"name": "Content-Type", "value": "text/html; charset=utf-8"}},
	}
	_ = s.send(session, "Fetch.fulfillRequest", answer) // it has done its work,
	_ = s.send("", "Browser.close", map[string]any{})   // even if it is gone already
	return form.Get("SAMLResponse"), nil
}

// atAWS reports an address of AWS's sign-in for SAML (IAM user guide, "Configure
// SAML assertions": endpoints of the partitions, with a Region before them or not).
func atAWS(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || !strings.HasPrefix(u.Path, "/saml") {
		return false
	}
	for _, name := range []string{"signin.aws.amazon.com", "signin.amazonaws-us-gov.com", "signin.amazonaws.cn", "signin.amazonaws-eusc.eu"} {
		if u.Hostname() == name || strings.HasSuffix(u.Hostname(), "."+name) {
			return true
		}
	}
	return false
}
