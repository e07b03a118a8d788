package browser_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stile-aws/stile/internal/session/devtools"
)

// tab is a tab of a browser.
type tab struct {
	browser *chromium
	session string
	events  *signal

	mu       sync.Mutex // guards the rest
	document document
	problems []string // what the browser had to say of its pages
}

// document is how a server answered for a page.
type document struct {
	URL     string
	Status  int
	Headers map[string]string // names in lower case
}

func (b *tab) heard(m *devtools.Message) {
	defer b.events.raise()
	var p struct {
		Type     string
		Response struct {
			URL     string
			Status  int
			Headers map[string]string
		}
		Entry            struct{ Source, Level, Text, URL string }
		ExceptionDetails struct{ Text string }
	}
	if json.Unmarshal(m.Params, &p) != nil {
		return // an event that is not looked at
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch m.Method {
	case "Network.responseReceived":
		if p.Type == "Document" {
			b.document = document{p.Response.URL, p.Response.Status, map[string]string{}}
			for name, value := range p.Response.Headers {
				b.document.Headers[strings.ToLower(name)] = value
			}
		}
	case "Log.entryAdded":
		if p.Entry.Level == "error" && p.Entry.Source != "network" { // a status that is no success is one of those
			b.problems = append(b.problems, p.Entry.Text)
		}
	case "Runtime.exceptionThrown":
		b.problems = append(b.problems, p.ExceptionDetails.Text)
	}
}

// shown is how the page was answered that is shown.
func (b *tab) shown() document {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.document
}

func (b *tab) visit(t *testing.T, page string) {
	t.Helper()
	b.browser.must(t, b.session, "Page.navigate", map[string]string{"url": page}, nil)
}

// evaluate gives an expression's value in the page; ok is false when there is none,
// as while another page comes.
func (b *tab) evaluate(t *testing.T, expression string, value any) (ok bool) {
	t.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	err := b.browser.ask(t, b.session, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &out)
	return err == nil && out.ExceptionDetails == nil && json.Unmarshal(out.Result.Value, value) == nil
}

// text is what a person reads on the page, once it is there.
func (b *tab) text(t *testing.T) string {
	t.Helper()
	var out string
	b.evaluate(t, `document.readyState == "complete" ? document.body.innerText : ""`, &out)
	return out
}

// shows waits until the page says something.
func (b *tab) shows(t *testing.T, parts ...string) {
	t.Helper()
	var said string
	err := b.events.await(t.Context(), func() bool {
		said = b.text(t)
		for _, part := range parts {
			if !strings.Contains(said, part) {
				return false
			}
		}
		return true
	})
	if err != nil {
		t.Fatalf("the page %s says\n%s\nwant %q", b.shown().URL, said, parts)
	}
}

// at is where an element is, of which a selector has one; a text in a button too.
func (b *tab) at(t *testing.T, selector string) (x, y float64) {
	t.Helper()
	where, err := json.Marshal(selector)
	if err != nil {
		t.Fatal(err)
	}
	var middle []float64
	b.events.until(t, "finding "+selector, func() bool {
		return b.evaluate(t, `(() => {
			const s = `+string(where)+`, e = [...document.querySelectorAll("button")].find(e => e.innerText == s) || (/^[A-Z]/.test(s) ? null : document.querySelector(s));
			if (document.readyState != "complete" || !e) return null;
			e.scrollIntoView({block: "center"});
			const r = e.getBoundingClientRect();
			return [r.x + r.width / 2, r.y + r.height / 2];
		})()`, &middle) && len(middle) == 2
	})
	return middle[0], middle[1]
}

// click clicks on a selector's element, or a button's text, with the mouse.
func (b *tab) click(t *testing.T, selector string) {
	t.Helper()
	x, y := b.at(t, selector)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		err := b.browser.ask(t, b.session, "Input.dispatchMouseEvent", map[string]any{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}, nil)
		if err != nil && kind == "mousePressed" { // the page may be gone by the end of a click
			t.Fatalf("clicking on %s: %v", selector, err)
		}
	}
}

// fill types a text into a field.
func (b *tab) fill(t *testing.T, selector, text string) {
	t.Helper()
	b.click(t, selector)
	b.browser.must(t, b.session, "Input.insertText", map[string]string{"text": text}, nil)
}

// choose takes one of a list.
func (b *tab) choose(t *testing.T, selector, option string) {
	t.Helper()
	b.at(t, selector)
	var chosen string
	if !b.evaluate(t, `(e => { e.value = `+"`"+option+"`"+`; return e.value })(document.querySelector("`+selector+`"))`, &chosen) || chosen != option {
		t.Fatalf("%s has no %q", selector, option)
	}
}

// fails waits until the browser says that it cannot show the page.
func (b *tab) fails(t *testing.T, code string) {
	t.Helper()
	b.shows(t, code)
}

// address is what the address bar shows.
func (b *tab) address(t *testing.T) string {
	t.Helper()
	var out string
	b.evaluate(t, "location.href", &out)
	return out
}

func (b *tab) close(t *testing.T) {
	t.Helper()
	b.browser.must(t, b.session, "Page.close", struct{}{}, nil)
}

// wide makes the window as wide as a phone or a desk has it.
func (b *tab) wide(t *testing.T, pixels int) {
	t.Helper()
	b.browser.must(t, b.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": pixels < 600}, nil)
}

// picture keeps a picture of the page for somebody to look at, where BROWSER_PICTURES
// names a directory.
func (b *tab) picture(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("BROWSER_PICTURES")
	if dir == "" {
		return
	}
	var shot struct{ Data string }
	b.browser.must(t, b.session, "Page.captureScreenshot", map[string]string{"format": "png"}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}
