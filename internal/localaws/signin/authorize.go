package signin

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/page"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// The pages of `aws login`, and the operation that a client calls.
const (
	authorizePath    = "/v1/authorize"
	confirmationPath = "/v1/sessions/confirmation"
	tokenPath        = "/v1/token"
)

// The two clients that everybody has, and what they are in policies (managed
// policy SignInLocalDevelopmentAccess; AWS CLI user guide, "Login for AWS local
// development using console credentials").
const (
	sameDevice  = "arn:aws:signin:::devtools/same-device"
	crossDevice = "arn:aws:signin:::devtools/cross-device"
)

// codeLife is how long an authorization code is good. AWS does not tell.
const codeLife = 10 * time.Minute

// maxGrants bounds the codes and sessions that are kept for callers nobody knows.
const maxGrants = 10_000

// Answer is what somebody says on the page.
type Answer struct {
	// User is who they are: an ARN, or a user's name.
	User string
	// Deny refuses.
	Deny bool
}

// IsAuthorization reports whether an address is that of the page of `aws login`.
func IsAuthorization(address string) bool {
	u, err := url.Parse(strings.TrimSpace(address))
	return err == nil && u.Path == authorizePath
}

// Decide answers the page at address without a browser and returns where the
// browser would be sent. The caller holds no lock.
func (e *Endpoint) Decide(address string, a Answer) (next string, err error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil {
		return "", fmt.Errorf("answering sign-in: %w", err)
	}
	asked, err := readAuthorization(u.Query(), u.Scheme+"://"+u.Host, u.Hostname())
	if err == nil {
		next, err = e.decide(asked, a, nil, gate.Facts{TLS: u.Scheme == "https"})
	}
	if err != nil {
		return "", fmt.Errorf("answering sign-in: %w", err)
	}
	return next, nil
}

// asked is an authorization request (RFC 6749, section 4.1.1).
type asked struct {
	client, region             string
	redirect, state, challenge string
}

var challenges = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`) // the SHA-256 of RFC 7636

// readAuthorization checks a request for the page of a host, whose base URL is
// base. What is wrong is told to the person: the client cannot be trusted with it.
func readAuthorization(q url.Values, base, host string) (*asked, error) {
	for name, values := range q {
		if len(values) > 1 {
			return nil, fmt.Errorf("the parameter %s is there more than once", name)
		}
	}
	a := &asked{
		client: q.Get("client_id"), region: regionOf(host),
		redirect: q.Get("redirect_uri"), state: q.Get("state"), challenge: q.Get("code_challenge"),
	}
	switch {
	case q.Get("response_type") != "code":
		return nil, errors.New("response_type must be code")
	case q.Get("code_challenge_method") != "SHA-256" || !challenges.MatchString(a.challenge):
		return nil, errors.New("a code_challenge of method SHA-256 is required")
	case q.Get("scope") != "openid":
		return nil, errors.New("scope must be openid")
	case a.client == sameDevice && !isLoopback(a.redirect):
		return nil, errors.New("redirect_uri must be http://127.0.0.1:PORT/oauth/callback")
	case a.client == crossDevice && a.redirect != base+confirmationPath:
		return nil, fmt.Errorf("redirect_uri must be %s", base+confirmationPath)
	case a.client != sameDevice && a.client != crossDevice:
		return nil, errors.New("there is no such client")
	}
	return a, nil
}

// regionOf is the Region in a host's name.
func regionOf(host string) string {
	if region, ok := strings.CutSuffix(host, "."+partitions[0].signin); ok {
		return region
	}
	return "us-east-1"
}

func isLoopback(redirect string) bool {
	u, err := url.Parse(redirect)
	return err == nil && u.Scheme == "http" && u.Hostname() == "127.0.0.1" && u.Port() != "" && u.Path == "/oauth/callback" &&
		u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// next is the redirect URI with an answer.
func (a *asked) next(answer url.Values) string {
	if a.state != "" {
		answer.Set("state", a.state)
	}
	return a.redirect + "?" + answer.Encode()
}

// access is what a signed-in person must be allowed.
func access(action, client, region string, account arn.AccountID) gate.Access {
	where := "localhost"
	if client == crossDevice {
		where = "remote"
	}
	return gate.Access{
		Action: "signin:" + action, Account: account,
		Resource: fmt.Sprintf("arn:%s:signin:%s:%s:oauth2/public-client/%s", store.Partition, region, account, where),
	}
}

// decide gives the client a code, or a refusal. in are the sessions of the
// browser.
func (e *Endpoint) decide(a *asked, answer Answer, in map[string]*ticket, facts gate.Facts) (next string, err error) {
	if answer.Deny {
		return a.next(url.Values{"error": {"access_denied"}, "error_description": {"the request was denied"}}), nil
	}
	e.world.Lock()
	defer e.world.Unlock()
	session, err := e.become(strings.TrimSpace(answer.User), in)
	if err != nil {
		return "", err
	}
	caller := service.SessionCaller(e.world, session)
	if caller == nil {
		return "", errors.New("whoever that was is gone")
	}
	now := e.world.Now()
	facts.Now, facts.Region = now, a.region
	wanted := access("AuthorizeOAuth2Access", a.client, a.region, session.Account)
	if verdict := e.gate.Check(caller, &wanted, &facts); !verdict.Allowed {
		return "", errors.New(verdict.Message)
	}
	grants := e.world.SignInGrants()
	grants.Sweep(now)
	if len(grants.Codes) >= maxGrants {
		return "", errors.New("too many authorizations are open")
	}
	code := encode(e.world.IDs().Bytes(48))
	session.AccessKey, session.Secret = "", ""
	grants.Codes[code] = &store.SignInCode{
		Client: a.client, Region: a.region, Redirect: a.redirect, Challenge: a.challenge, Expires: now.Add(codeLife), Session: *session,
	}
	return a.next(url.Values{"code": {code}}), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// challengeOf is the challenge of a verifier.
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return encode(sum[:])
}

// authorize is the page on which somebody says who they are.
func (e *Endpoint) authorize(w http.ResponseWriter, r *http.Request) {
	page.Guard(w.Header())
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, POST")
		refuse(w, http.StatusMethodNotAllowed, "This page is read with GET and answered with POST.")
		return
	case r.Method == http.MethodPost && page.Foreign(r):
		refuse(w, http.StatusForbidden, "Only this page itself answers it.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || r.ParseForm() != nil {
		refuse(w, http.StatusBadRequest, "The request cannot be read.")
		return
	}
	a, err := readAuthorization(query, baseOf(r), page.Host(r))
	if err != nil {
		refuse(w, http.StatusBadRequest, "This request cannot be answered: "+err.Error()+".")
		return
	}
	if r.Method == http.MethodGet {
		e.ask(w, r, a)
		return
	}
	answer := Answer{User: r.PostForm.Get("user"), Deny: r.PostForm.Get("answer") != "allow"}
	next, err := e.decide(a, answer, e.sessions(r), gate.Facts{TLS: r.TLS != nil, UserAgent: r.UserAgent()})
	if err != nil {
		refuse(w, http.StatusBadRequest, "You cannot go on: "+err.Error()+".")
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// baseOf is the base URL of a request.
func baseOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (e *Endpoint) ask(w http.ResponseWriter, r *http.Request, a *asked) {
	where := "on this computer"
	if a.client == crossDevice {
		where = "on another computer"
	}
	in := e.sessions(r)
	e.world.RLock()
	people := e.suggestions(in)
	e.world.RUnlock()
	b := page.New("Sign in to a command line?")
	b.Put("<p>A program %s wants to call AWS as you, for up to twelve hours.</p>\n<form method=\"post\">\n"+
		`<p><label>You are <input name="user" list="people" size="60" required autocomplete="off"></label></p><datalist id="people">`, where)
	for _, who := range people {
		b.Put(`<option value="%s">`, who)
	}
	b.Put("</datalist>\n<button name=\"answer\" value=\"allow\">Allow</button><button name=\"answer\" value=\"deny\" formnovalidate>Deny</button>\n</form>\n")
	b.Send(w, http.StatusOK, "This is stile's local AWS: nobody is asked for a password. You may be any user, root user, or session of a role, by its ARN.")
}

// confirmation shows what is carried to the other computer.
func (e *Endpoint) confirmation(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("code") == "" {
		refuse(w, http.StatusOK, "You have not signed in.")
		return
	}
	b := page.New("Signed in")
	b.Put("<p>Enter this code where you began:</p>\n<p><code id=\"code\">%s</code></p>\n", ForPaste(q))
	b.Send(w, http.StatusOK, "This is stile's local AWS.")
}

// ForPaste is what the confirmation page shows for a query: what the AWS CLI
// wants typed.
func ForPaste(q url.Values) string {
	return base64.StdEncoding.EncodeToString([]byte("state=" + url.QueryEscape(q.Get("state")) + "&code=" + url.QueryEscape(q.Get("code"))))
}
