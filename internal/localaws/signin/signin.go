// Package signin is the sign-in endpoint of the AWS console on the local AWS:
// it takes temporary credentials for a sign-in token, and the token for a
// console, which here is a page that says who one is in which account. And it
// signs command lines in (`aws login`): a page on which somebody says who they are,
// and [NewService]'s operation that gives the credentials.
//
// Start with [New] and [Endpoint.Serve]. It answers the endpoints' host names,
// with a Region before them or not, and any address of this machine under the
// same paths. Multi-session works as in AWS: after the opt-in up to five
// identities are signed in beside each other, before it one has to log out first.
//
// Source: IAM user guide, "Enable custom identity broker access to the AWS
// console"; AWS Management Console guide, "Signing in to multiple accounts"; AWS
// Sign-In API reference, AuthorizeOAuth2Access and CreateOAuth2Token; RFC 7636 and
// RFC 9449; the AWS CLI 2.34 and AWS's SDK for Go as clients.
package signin

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/page"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// tokenLife is how long a sign-in token is good ("valid for 15 minutes").
const tokenLife = 15 * time.Minute

// The bounds of SessionDuration.
const (
	minDuration = 15 * time.Minute
	maxDuration = 12 * time.Hour
)

// maxForm bounds a request's body; a session's token is some hundred bytes.
const maxForm = 64 << 10

// Purposes of what is sealed here.
const (
	tokenPurpose   = "signin token"
	consolePurpose = "console session"
)

// Endpoint is the sign-in endpoint of a world. Safe for concurrent use.
type Endpoint struct {
	world *store.World
	gate  *gate.Gate
}

// New returns the endpoint, which asks the gate who may sign in command lines.
func New(world *store.World, g *gate.Gate) *Endpoint { return &Endpoint{world, g} }

// site is what a host name stands for.
type site struct {
	partition string
	console   string // host of the partition's console
	own       bool   // an address of this machine, which stands for all
}

// partitions are the console's domains.
var partitions = []struct{ partition, signin, console string }{
	{"aws", "signin.aws.amazon.com", "console.aws.amazon.com"},
	{"aws-cn", "signin.amazonaws.cn", "console.amazonaws.cn"},
	{"aws-us-gov", "signin.amazonaws-us-gov.com", "console.amazonaws-us-gov.com"},
	{"aws-eusc", "signin.amazonaws-eusc.eu", "console.amazonaws-eusc.eu"},
}

// within reports whether host is a domain or below it.
func within(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// siteOf finds what a host is; ok tells whether it has to do with sign-in, and
// console that it is a console's.
func siteOf(host string) (s site, console, ok bool) {
	if page.ThisMachine(host) {
		return site{store.Partition, partitions[0].console, true}, true, true
	}
	for _, p := range partitions {
		switch {
		case within(host, p.signin):
			return site{partition: p.partition, console: p.console}, false, true
		case within(host, p.console):
			return site{partition: p.partition, console: p.console}, true, true
		}
	}
	return site{}, false, false
}

// Serve answers a request that is for the endpoint or the console, and reports
// whether it was one.
func (e *Endpoint) Serve(w http.ResponseWriter, r *http.Request) bool {
	s, console, ok := siteOf(page.Host(r))
	if !ok {
		return false
	}
	switch {
	case console && !s.own, s.own && r.URL.Path == consolePath:
		e.console(w, r, s)
	case r.URL.Path == "/federation":
		e.federation(w, r, s)
	case r.URL.Path == "/oauth":
		e.oauth(w, r, s)
	case r.URL.Path == "/sessions/v1/opt-in":
		e.optIn(w, r, s)
	case r.URL.Path == authorizePath && s.partition == store.Partition:
		e.authorize(w, r)
	case r.URL.Path == confirmationPath:
		e.confirmation(w, r)
	case s.own, r.URL.Path == tokenPath:
		return false // the API's
	default:
		refuse(w, http.StatusNotFound, "There is no such page.")
	}
	return true
}

func refuse(w http.ResponseWriter, status int, text string) {
	b := page.New("Amazon Web Services Sign-In")
	b.Put("<p>%s</p>\n", text)
	b.Send(w, status, "This is stile's local AWS.")
}

func (e *Endpoint) federation(w http.ResponseWriter, r *http.Request, s site) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		refuse(w, http.StatusMethodNotAllowed, "The federation endpoint is called with GET or POST.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "The request cannot be read.")
		return
	}
	switch r.Form.Get("Action") {
	case "getSigninToken":
		e.getToken(w, r.Form, s)
	case "login":
		e.login(w, r, s)
	default:
		refuse(w, http.StatusBadRequest, "Action must be getSigninToken or login.")
	}
}

// ticket is what a sign-in token stands for, and a console's cookie.
type ticket struct {
	Session store.Session `json:"s"` // without its key
	// Expires is the ticket's own end, Duration how long the console's session is to
	// be; 0 as long as the credentials.
	Expires  time.Time     `json:"x"`
	Duration time.Duration `json:"d,omitempty"`
}

func (e *Endpoint) getToken(w http.ResponseWriter, form url.Values, s site) {
	session, text := e.authenticate(form.Get("Session"), s)
	if session == nil {
		refuse(w, http.StatusBadRequest, text)
		return
	}
	duration, text := sessionDuration(form, session)
	if text != "" {
		refuse(w, http.StatusBadRequest, text)
		return
	}
	t := ticket{Session: *session, Expires: e.world.Now().Add(tokenLife), Duration: duration}
	t.Session.Secret = ""
	plain, err := json.Marshal(t)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "The token cannot be made.")
		return
	}
	page.Guard(w.Header())
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"SigninToken": e.world.SealText(tokenPurpose, plain)}) // the client is gone if this fails
}

// authenticate finds the session that credentials are of, nil with the reason
// when they are none that may sign in: of GetSessionToken's nobody may ("call
// AssumeRole or GetFederationToken").
func (e *Endpoint) authenticate(text string, s site) (*store.Session, string) {
	var in struct {
		ID    string `json:"sessionId"`
		Key   string `json:"sessionKey"`
		Token string `json:"sessionToken"`
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil || in.ID == "" || in.Key == "" || in.Token == "" {
		return nil, "Session must be a JSON object with sessionId, sessionKey and sessionToken."
	}
	session := e.world.Open(in.ID, in.Token)
	switch {
	case session == nil, subtle.ConstantTimeCompare([]byte(session.Secret), []byte(in.Key)) != 1, s.partition != store.Partition, !e.lives(session):
		return nil, "The credentials are not valid here."
	case !e.world.Now().Before(session.Expires):
		return nil, "The credentials have expired."
	case session.Kind != store.AssumedRole && session.Kind != store.Federated:
		return nil, "Credentials of GetSessionToken cannot sign in: use AssumeRole or GetFederationToken."
	}
	return session, ""
}

// lives reports whether the principal behind a session still exists.
func (e *Endpoint) lives(s *store.Session) bool {
	e.world.RLock()
	defer e.world.RUnlock()
	return service.SessionCaller(e.world, s) != nil
}

// sessionDuration is how long the console's session is asked to be, 0 for as
// long as the credentials. "Do not use the SessionDuration parameter" with
// GetFederationToken's credentials, nor with those of a role that another
// session assumed: the call fails.
func sessionDuration(form url.Values, s *store.Session) (time.Duration, string) {
	if !form.Has("SessionDuration") {
		return 0, ""
	}
	seconds, err := strconv.Atoi(form.Get("SessionDuration"))
	duration := time.Duration(seconds) * time.Second
	switch {
	case err != nil || seconds > int(maxDuration/time.Second) || duration < minDuration:
		return 0, "SessionDuration must be 900 to 43200 seconds."
	case s.Kind == store.Federated:
		return 0, "SessionDuration is not allowed for credentials of GetFederationToken."
	case s.Chained:
		return 0, "SessionDuration is not allowed for a role that was assumed from another session."
	}
	return duration, ""
}

// open reads a token or a cookie that has not ended and whose principal lives.
func (e *Endpoint) open(purpose, text string) (*ticket, bool) {
	plain, ok := e.world.OpenText(purpose, text)
	t := &ticket{}
	if !ok || json.Unmarshal(plain, t) != nil || !e.world.Now().Before(t.Expires) || !e.lives(&t.Session) {
		return nil, false
	}
	return t, true
}

func (e *Endpoint) login(w http.ResponseWriter, r *http.Request, s site) {
	t, ok := e.open(tokenPurpose, r.Form.Get("SigninToken"))
	destination, err := url.Parse(r.Form.Get("Destination"))
	switch {
	case !ok:
		refuse(w, http.StatusBadRequest, "The sign-in token is not valid, or has expired: it is good for 15 minutes.")
		return
	case err != nil || destination.Scheme != "https" || destination.User != nil || !within(destination.Host, s.console):
		refuse(w, http.StatusBadRequest, fmt.Sprintf("Destination must be a page of https://%s.", s.console))
		return
	}
	t.Expires = t.Session.Expires
	if t.Duration > 0 {
		t.Expires = e.world.Now().Add(t.Duration)
	}
	plain, err := json.Marshal(t)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "The session cannot be made.")
		return
	}
	if text := e.remember(w, r, s, t, e.world.SealText(consolePurpose, plain)); text != "" {
		refuse(w, http.StatusBadRequest, text)
		return
	}
	next := destination.String()
	if s.own { // the console is not reachable under its name
		next = consolePath + "?" + url.Values{"destination": {next}}.Encode()
	}
	page.Guard(w.Header())
	http.Redirect(w, r, next, http.StatusFound)
}
