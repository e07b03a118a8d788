package ssooidc

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/stile-aws/stile/internal/localaws/store"
)

const (
	authorizePath = "/authorize"
	devicePath    = "/device"
	// maxForm bounds a page's answer.
	maxForm = 16 << 10
)

// pages are the two pages of a sign-in.
type pages struct{ world *store.World }

// serve answers a request for a page and reports whether it was one. Names that
// anybody may point at this machine are answered none: another site's script
// could read the page (DNS rebinding).
func (p *pages) serve(w http.ResponseWriter, r *http.Request) bool {
	host := hostName(r)
	device := strings.HasPrefix(host, "device.sso.") && strings.HasSuffix(host, ".amazonaws.com")
	own := isThisMachine(host)
	switch {
	case device && r.URL.Path == "/", own && r.URL.Path == devicePath:
		p.page(w, r, p.device)
	case (own || strings.HasPrefix(host, "oidc.")) && r.URL.Path == authorizePath:
		p.page(w, r, p.authorize)
	default:
		return false
	}
	return true
}

func hostName(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(host)
}

func isThisMachine(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost"
}

// view is what a page shows.
type view struct {
	Title, Text string
	Client      string
	StartURL    string
	Users       []string
	UserCode    string // what the device shows
	AskCode     bool   // for the user code
	Ask         bool   // for an answer
}

// page checks what all pages check, and shows what show says. Nothing frames a
// page, and no other site answers one.
func (p *pages) page(w http.ResponseWriter, r *http.Request, show func(r *http.Request) (view, string, error)) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		h.Set("Allow", "GET, POST")
		render(w, http.StatusMethodNotAllowed, view{Title: "Sign-in", Text: "This page is read with GET and answered with POST."})
		return
	case r.Method == http.MethodPost && foreign(r):
		render(w, http.StatusForbidden, view{Title: "Sign-in", Text: "Only this page itself answers it."})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		render(w, http.StatusBadRequest, view{Title: "Sign-in", Text: "The form cannot be read."})
		return
	}
	shown, next, err := show(r)
	switch {
	case err != nil:
		render(w, http.StatusBadRequest, view{Title: "Sign-in", Text: "This request cannot be answered: " + err.Error() + "."})
	case next != "":
		http.Redirect(w, r, next, http.StatusSeeOther)
	default:
		render(w, http.StatusOK, shown)
	}
}

// foreign reports whether another site's page sent a form.
func foreign(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	// A page without referrer may send its form with the origin "null".
	u, err := url.Parse(origin)
	return err != nil || origin != "null" && u.Host != r.Host || origin == "null" && r.Header.Get("Sec-Fetch-Site") != "same-origin"
}

func answerOf(r *http.Request) Answer {
	return Answer{User: r.PostForm.Get("user"), Deny: r.PostForm.Get("answer") != "allow"}
}

func (p *pages) authorize(r *http.Request) (view, string, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return view{}, "", err
	}
	if r.Method == http.MethodPost {
		next, err := decideAuthorization(p.world, query, answerOf(r))
		return view{}, next, err
	}
	p.world.RLock()
	defer p.world.RUnlock()
	asked, err := readAuthorization(p.world, query)
	if refused, ok := errors.AsType[*redirectError](err); ok {
		return view{}, refused.next, nil
	}
	if err != nil {
		return view{}, "", err
	}
	return view{
		Title: "Allow access?", Client: asked.client.Name, StartURL: asked.instance.StartURL,
		Users: asked.instance.UserNames(), Ask: true,
	}, "", nil
}

func (p *pages) device(r *http.Request) (view, string, error) {
	code := r.Form.Get("user_code")
	if r.Method == http.MethodPost {
		if err := decideDevice(p.world, code, answerOf(r)); err != nil {
			return view{}, "", err
		}
		return view{Title: "Done", Text: "You can close this page and go back to the device."}, "", nil
	}
	if code == "" {
		return view{Title: "Authorize a device", AskCode: true}, "", nil
	}
	p.world.RLock()
	defer p.world.RUnlock()
	device, at, err := openDevice(p.world, code, p.world.Now())
	if err != nil {
		return view{}, "", err
	}
	shown := view{Title: "Allow access?", StartURL: at.StartURL, Users: at.UserNames(), UserCode: device.UserCode, Ask: true}
	if client := p.world.SSO.Clients[device.Client]; client != nil {
		shown.Client = client.Name
	}
	return shown, "", nil
}

// style is all the style there is.
const style = "body{font:16px/1.5 sans-serif;max-width:32em;margin:4em auto;padding:0 1em}code{font-size:1.2em}" +
	"button,select,input{font:inherit;padding:.3em .8em;margin:.2em .4em .2em 0}"

// render writes a page. It is made by hand, for the template packages would keep
// the linker from dropping what the program does not use.
func render(w http.ResponseWriter, status int, v view) {
	var b strings.Builder
	b.WriteString("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n")
	put(&b, "<title>%s - local AWS</title>\n<style>"+style+"</style>\n<h1>%s</h1>\n", v.Title, v.Title)
	if v.Text != "" {
		put(&b, "<p>%s</p>\n", v.Text)
	}
	if v.AskCode {
		put(&b, `<form method="get"><label>Code <input name="user_code" autofocus autocomplete="off"></label> <button>Continue</button></form>`+"\n")
	}
	if v.Ask {
		question(&b, &v)
	}
	put(&b, "<p><small>This is stile's local AWS: nobody is asked for a password.</small></p>\n</html>\n")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, b.String()) // the reader is gone if this fails
}

func question(b *strings.Builder, v *view) {
	put(b, "<p><b>%s</b> wants to use <b>%s</b> as you.</p>\n", v.Client, v.StartURL)
	if v.UserCode != "" {
		put(b, "<p>The device must show the code <code>%s</code>.</p>\n", v.UserCode)
	}
	put(b, `<form method="post">`)
	if v.UserCode != "" {
		put(b, `<input type="hidden" name="user_code" value="%s">`, v.UserCode)
	}
	put(b, "\n"+`<p><label>You are <select name="user">`)
	for _, name := range v.Users {
		put(b, "<option>%s</option>", name)
	}
	put(b, "</select></label></p>\n"+`<button name="answer" value="allow">Allow</button><button name="answer" value="deny">Deny</button>`+"\n</form>\n")
}

// put writes markup with the texts escaped.
func put(b *strings.Builder, markup string, texts ...string) {
	escaped := make([]any, len(texts))
	for i, t := range texts {
		escaped[i] = html.EscapeString(t)
	}
	fmt.Fprintf(b, markup, escaped...)
}
