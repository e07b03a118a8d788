package browser_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// judge looks at a page as a person would, and as one who does not see it: it was
// answered with a status, nothing keeps it or runs in it, it has a title and one
// heading, what can be clicked or filled in has a name, nothing is cut off on a
// phone, and the browser finds nothing wrong.
func judge(t *testing.T, b *tab, name string, status int) {
	t.Helper()
	d := b.shown()
	if d.Status != status {
		t.Errorf("%s: status %d, want %d", name, d.Status, status)
	}
	for header, want := range map[string]string{
		"cache-control": "no-store", "content-security-policy": "default-src 'none'", "x-content-type-options": "nosniff",
		"referrer-policy": "no-referrer", "content-type": "text/html; charset=utf-8",
	} {
		if got := d.Headers[header]; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s is %q, want %q", name, header, got, want)
		}
	}
	if csp := d.Headers["content-security-policy"]; !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "script") {
		t.Errorf("%s: the policy is %q", name, csp)
	}
	described(t, b, name)
	for _, width := range []int{400, 1200} {
		b.wide(t, width)
		var cut []string
		if !b.evaluate(t, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0).map(e => e.outerHTML)`, &cut) || len(cut) > 0 {
			t.Errorf("%s: at %d pixels %q is cut off", name, width, cut)
		}
		b.picture(t, strings.ReplaceAll(name, " ", "-")+map[int]string{400: "-narrow", 1200: ""}[width])
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.problems) > 0 {
		t.Errorf("%s: the browser says %q", name, b.problems)
	}
}

// described fails unless a screen reader has something to read out for everything.
func described(t *testing.T, b *tab, name string) {
	t.Helper()
	var page struct{ Title, Lang, Heading string }
	if !b.evaluate(t, `({title: document.title, lang: document.documentElement.lang, heading: [...document.querySelectorAll("h1")].map(e => e.innerText).join("; ")})`, &page) ||
		page.Heading == "" || page.Lang != "en" || !strings.HasPrefix(page.Title, page.Heading+" - ") {
		t.Errorf("%s: title %q, heading %q, language %q", name, page.Title, page.Heading, page.Lang)
	}
	type value struct{ Value any }
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name value
		}
	}
	b.browser.must(t, b.session, "Accessibility.getFullAXTree", struct{}{}, &tree)
	var landmarks int
	for _, n := range tree.Nodes {
		switch n.Role.Value {
		case "button", "combobox", "textbox":
			if !n.Ignored && (n.Name.Value == nil || n.Name.Value == "") {
				t.Errorf("%s: a %s has no name", name, n.Role.Value)
			}
		case "main":
			landmarks++
		}
	}
	if landmarks != 1 {
		t.Errorf("%s: %d landmarks main in %d nodes, want 1", name, landmarks, len(tree.Nodes))
	}
}

// controls are the buttons and fields of a page.
func controls(t *testing.T, b *tab, want ...string) {
	t.Helper()
	var got []string
	b.evaluate(t, `[...document.querySelectorAll("button, select, input:not([type=hidden])")].map(e => e.innerText || e.labels[0].innerText.trim())`, &got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("buttons and fields (-want +got):\n%s", diff)
	}
}
