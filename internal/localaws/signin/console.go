package signin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/page"
	"github.com/stile-aws/stile/internal/localaws/service"
)

// consolePath is where the console is on a single port.
const consolePath = "/console"

// maxSessions is how many identities a browser has in the console at a time,
// after the opt-in.
const maxSessions = 5

// The cookies: one a session, and one for the opt-in.
const (
	sessionCookie = "stile-console-" // and a number
	multiCookie   = "stile-console-multi"
)

// setCookie sets a cookie for a site and its console, or takes it away with the
// value "".
func setCookie(w http.ResponseWriter, r *http.Request, s site, name, value string) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil}
	if value == "" {
		c.MaxAge = -1
	}
	if !s.own {
		_, c.Domain, _ = strings.Cut(s.console, ".") // what signin. and console. are below
	}
	http.SetCookie(w, c)
}

// sessions are the identities that a browser is signed in as, by cookie.
func (e *Endpoint) sessions(r *http.Request) map[string]*ticket {
	all := map[string]*ticket{}
	for i := range maxSessions {
		name := sessionCookie + strconv.Itoa(i+1)
		cookie, err := r.Cookie(name)
		if err != nil {
			continue
		}
		if t, ok := e.open(consolePurpose, cookie.Value); ok {
			all[name] = t
		}
	}
	return all
}

// sameIdentity reports whether two sessions are one identity to the console.
func sameIdentity(a, b *ticket) bool {
	return a.Session.Account == b.Session.Account && a.Session.Entity == b.Session.Entity && a.Session.Name == b.Session.Name
}

// remember signs a browser in, and says why it cannot.
func (e *Endpoint) remember(w http.ResponseWriter, r *http.Request, s site, t *ticket, value string) string {
	have := e.sessions(r)
	multi, err := r.Cookie(multiCookie)
	isMulti := err == nil && multi.Value == "1"
	free := ""
	for i := range maxSessions {
		name := sessionCookie + strconv.Itoa(i+1)
		old := have[name]
		switch {
		case old != nil && sameIdentity(old, t):
			setCookie(w, r, s, name, value)
			return ""
		case old != nil && !isMulti:
			return "You must first log out before logging into a different AWS account. (stile console --logout does; with --new-session you stay in both.)"
		case old == nil && free == "":
			free = name
		}
	}
	if free == "" {
		return "You have reached the maximum number of sessions: sign out of one first."
	}
	setCookie(w, r, s, free, value)
	return ""
}

// oauth is how a browser logs out.
func (e *Endpoint) oauth(w http.ResponseWriter, r *http.Request, s site) {
	if r.URL.Query().Get("Action") != "logout" {
		refuse(w, http.StatusNotImplemented, "The local AWS signs nobody in here but by the federation endpoint.")
		return
	}
	for i := range maxSessions {
		setCookie(w, r, s, sessionCookie+strconv.Itoa(i+1), "")
	}
	goOn(w, r, s, "You are logged out.")
}

func (e *Endpoint) optIn(w http.ResponseWriter, r *http.Request, s site) {
	setCookie(w, r, s, multiCookie, "1")
	goOn(w, r, s, "Multi-session is turned on.")
}

// goOn sends a browser to redirect_uri, if that is of the console or of sign-in.
func goOn(w http.ResponseWriter, r *http.Request, s site, text string) {
	next := r.URL.Query().Get("redirect_uri")
	if next == "" {
		b := page.New("Amazon Web Services Sign-In")
		b.Put("<p>%s</p>\n", text)
		b.Send(w, http.StatusOK, "This is stile's local AWS.")
		return
	}
	u, err := url.Parse(next)
	if err != nil || u.User != nil || !safe(u, r, s) {
		refuse(w, http.StatusBadRequest, "redirect_uri must be a page of the console.")
		return
	}
	page.Guard(w.Header())
	http.Redirect(w, r, u.String(), http.StatusFound)
}

// safe reports whether a page belongs to the site: the console's, sign-in's, or
// on this very address.
func safe(u *url.URL, r *http.Request, s site) bool {
	if s.own && u.Host == r.Host && (u.Scheme == "http" || u.Scheme == "https") {
		return true
	}
	other, _, ok := siteOf(u.Hostname())
	return ok && !other.own && u.Scheme == "https" && u.Port() == "" && other.partition == s.partition
}

// Identity is one identity that the console page shows.
type Identity struct {
	ARN         string    `json:"arn"`
	Account     string    `json:"account"`
	AccountName string    `json:"accountName"`
	Expires     time.Time `json:"expires"`

	arn arn.ARN
}

// console is a page that says who one is; as JSON to whom asks for that.
func (e *Endpoint) console(w http.ResponseWriter, r *http.Request, s site) {
	destination := "https://" + r.Host + r.URL.RequestURI()
	if s.own {
		destination = r.URL.Query().Get("destination")
	}
	identities := e.identities(r)
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		page.Guard(w.Header())
		w.Header().Set("Content-Type", "application/json")
		if len(identities) == 0 {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"identities": identities, "destination": destination}) // the client is gone if this fails
		return
	}
	if len(identities) == 0 {
		refuse(w, http.StatusUnauthorized, "You are not signed in, or your session has ended.")
		return
	}
	b := page.New("AWS Management Console")
	for _, i := range identities {
		b.Put("<table><tr><th>Account</th><td>%s (%s)</td></tr>", i.AccountName, i.Account)
		if role, name, ok := i.arn.RoleSession(); ok {
			b.Put("<tr><th>Role</th><td>%s</td></tr><tr><th>Session</th><td>%s</td></tr>", role, name)
		}
		b.Put("<tr><th>You are</th><td><code>%s</code></td></tr><tr><th>Until</th><td>%s</td></tr></table>\n", i.ARN, i.Expires.UTC().Format(time.RFC1123))
	}
	b.Put("<p>You asked for <code>%s</code>.</p>\n", destination)
	b.Send(w, http.StatusOK, "This is stile's local AWS: there is no console behind this page.")
}

// identities are who the browser is signed in as, by ARN. What a session may do
// is not asked: a page shows who one is, and nothing else.
func (e *Endpoint) identities(r *http.Request) []Identity {
	sessions := e.sessions(r)
	all := []Identity{}
	e.world.RLock()
	defer e.world.RUnlock()
	for _, t := range sessions {
		all = append(all, e.identity(t))
	}
	slices.SortFunc(all, func(a, b Identity) int { return strings.Compare(a.ARN, b.ARN) })
	return all
}

func (e *Endpoint) identity(t *ticket) Identity {
	i := Identity{Account: string(t.Session.Account), Expires: t.Expires}
	if caller := service.SessionCaller(e.world, &t.Session); caller != nil {
		i.arn, i.ARN = caller.Principal.ARN, caller.Principal.ARN.String()
	}
	if account := e.world.Accounts[t.Session.Account]; account != nil {
		i.AccountName = account.Name
	}
	return i
}
