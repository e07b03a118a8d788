// Package page is what the few pages of the local AWS that people see have in
// common: which host names they answer to, their headers, and markup with
// escaped texts.
//
// Markup is made by hand, for the template packages would keep the linker from
// dropping what the program does not use.
package page

import (
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Host is the host name of a request without its port, in lower case.
func Host(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// ThisMachine reports whether a host is an address or localhost. Any other name
// that is not AWS's is somebody else's, who can point it here and read what his
// own page may read (DNS rebinding).
func ThisMachine(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost"
}

// Foreign reports whether another site's page sent a form.
func Foreign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if site != "" && site != "same-origin" && site != "none" {
		return true
	}
	origin := r.Header.Get("Origin")
	switch origin {
	case "":
		return false
	case "null": // a page without referrer may send its own form so
		return site != "same-origin"
	}
	u, err := url.Parse(origin)
	return err != nil || u.Host != r.Host
}

// Builder is a page in the making. The zero Builder has a head to come.
type Builder struct{ strings.Builder }

// style is all the style there is.
const style = "body{font:16px/1.5 sans-serif;max-width:36em;margin:4em auto;padding:0 1em;overflow-wrap:anywhere}code{font-size:1.2em}td code{font-size:1em}" +
	"table{margin:1em 0}th{text-align:left;padding-right:1em;vertical-align:top;white-space:nowrap}select,input{max-width:100%;box-sizing:border-box}" +
	"button,select,input{font:inherit;padding:.3em .8em;margin:.2em 0}button{margin-right:.4em}"

// New begins a page.
func New(title string) *Builder {
	b := &Builder{}
	b.WriteString("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n")
	b.Put("<title>%s - local AWS</title>\n", title)
	b.WriteString("<style>" + style + "</style>\n<main>\n")
	b.Put("<h1>%s</h1>\n", title)
	return b
}

// Put adds markup, in which each %s is a text that is escaped.
func (b *Builder) Put(markup string, texts ...string) {
	escaped := make([]any, len(texts))
	for i, t := range texts {
		escaped[i] = html.EscapeString(t)
	}
	fmt.Fprintf(b, markup, escaped...)
}

// Send ends the page with a note and answers it. Nothing may frame it, run in it
// or keep it.
func (b *Builder) Send(w http.ResponseWriter, status int, note string) {
	b.Put("<p><small>%s</small></p>\n</main>\n</html>\n", note)
	Guard(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, b.String()) // the reader is gone if this fails
}

// Guard sets the headers of answers to browsers.
func Guard(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
}
