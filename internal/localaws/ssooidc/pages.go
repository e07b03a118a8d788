package ssooidc

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/stile-aws/stile/internal/localaws/page"
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
	host := page.Host(r)
	device := strings.HasPrefix(host, "device.sso.") && strings.HasSuffix(host, ".amazonaws.com")
	own := page.ThisMachine(host)
	switch {
	case device && r.URL.Path == "/", own && r.URL.Path == devicePath:
		p.answer(w, r, p.device)
	case (own || strings.HasPrefix(host, "oidc.")) && r.URL.Path == authorizePath:
		p.answer(w, r, p.authorize)
	default:
		return false
	}
	return true
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

// deviceTitle is the device page's that asks for a code.
const deviceTitle = "Authorize a device"

// answer checks what all pages check, and shows what show says; with an error, what
// is left to do. No other site answers a page.
func (p *pages) answer(w http.ResponseWriter, r *http.Request, show func(r *http.Request) (view, string, error)) {
	page.Guard(w.Header())
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, POST")
		render(w, http.StatusMethodNotAllowed, view{Title: "Sign-in", Text: "This page is read with GET and answered with POST."})
		return
	case r.Method == http.MethodPost && page.Foreign(r):
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
		shown.Title, shown.Text = cmp.Or(shown.Title, "Sign-in"), "This request cannot be answered: "+err.Error()+"."
		render(w, http.StatusBadRequest, shown)
	case next != "":
		http.Redirect(w, r, next, http.StatusSeeOther)
	default:
		render(w, http.StatusOK, shown)
	}
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
		said := answerOf(r)
		if err := decideDevice(p.world, code, said); err != nil {
			return view{}, "", err
		}
		if said.Deny {
			return view{Title: "Access denied", Text: "The device gets nothing. You can close this page."}, "", nil
		}
		return view{Title: "Access allowed", Text: "You can close this page and go back to the device."}, "", nil
	}
	if code == "" {
		return view{Title: deviceTitle, AskCode: true}, "", nil
	}
	p.world.RLock()
	defer p.world.RUnlock()
	device, at, err := openDevice(p.world, code, p.world.Now())
	if err != nil { // for all that is known here it was mistyped
		return view{Title: deviceTitle, AskCode: true}, "", err
	}
	shown := view{Title: "Allow access?", StartURL: at.StartURL, Users: at.UserNames(), UserCode: device.UserCode, Ask: true}
	if client := p.world.SSO.Clients[device.Client]; client != nil {
		shown.Client = client.Name
	}
	return shown, "", nil
}

func render(w http.ResponseWriter, status int, v view) {
	b := page.New(v.Title)
	if v.Text != "" {
		b.Put("<p>%s</p>\n", v.Text)
	}
	if v.AskCode {
		b.Put(`<form method="get"><label>Code <input name="user_code" autofocus autocomplete="off"></label> <button>Continue</button></form>` + "\n")
	}
	if v.Ask {
		question(b, &v)
	}
	b.Send(w, status, "This is stile's local AWS: nobody is asked for a password.")
}

func question(b *page.Builder, v *view) {
	b.Put("<p><b>%s</b> wants to use <b>%s</b> as you.</p>\n", v.Client, v.StartURL)
	if v.UserCode != "" {
		b.Put("<p>The device must show the code <code>%s</code>.</p>\n", v.UserCode)
	}
	b.Put(`<form method="post">`)
	if v.UserCode != "" {
		b.Put(`<input type="hidden" name="user_code" value="%s">`, v.UserCode)
	}
	b.Put("\n" + `<p><label>You are <select name="user">`)
	for _, name := range v.Users {
		b.Put("<option>%s</option>", name)
	}
	b.Put("</select></label></p>\n" + `<button name="answer" value="allow">Allow</button><button name="answer" value="deny">Deny</button>` + "\n</form>\n")
}
