package browser

import (
	"html"
	"io"
	"net/http"
)

// Page is a page of stile's own, with a heading and a sentence or two, which are
// texts and not markup.
func Page(heading, text string) string {
	heading, text = html.EscapeString(heading), html.EscapeString(text)
	return "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n" +
		"<title>" + heading + " - stile</title>\n" +
		"<style>body{font:16px/1.5 sans-serif;max-width:36em;margin:4em auto;padding:0 1em;overflow-wrap:anywhere}</style>\n" +
		"<main>\n<h1>" + heading + "</h1>\n<p>" + text + "</p>\n</main>\n</html>\n"
}

// Answer answers a browser with a [Page]. Nothing may frame it, run in it or keep it,
// nor learn its address, in which there may be a secret.
func Answer(w http.ResponseWriter, status int, heading, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, Page(heading, text)) // the reader is gone if this fails
}
