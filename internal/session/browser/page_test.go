package browser_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/session/browser"
)

func TestPagesAreTextsThatNothingKeeps(t *testing.T) {
	w := httptest.NewRecorder()
	browser.Answer(w, http.StatusGone, `<b>"Gone"</b>`, "it's & was")
	body := w.Body.String()
	for _, want := range []string{"<title>&lt;b&gt;&#34;Gone&#34;&lt;/b&gt; - stile</title>", "<h1>&lt;b&gt;&#34;Gone&#34;&lt;/b&gt;</h1>", "<p>it&#39;s &amp; was</p>"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s:\n%s", want, body)
		}
	}
	h := w.Header()
	if w.Code != http.StatusGone || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("status %d, %v", w.Code, h)
	}
}
