package ssooidc

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/internal/localaws/store"
)

// Answer is what somebody says on the authorization page or the device page.
type Answer struct {
	// User is who they are; "" is the only person of the instance.
	User string `json:"user,omitempty"`
	// Deny refuses the request.
	Deny bool `json:"deny,omitempty"`
}

// Decide answers the page at address without a browser: a URL of /authorize, a
// verificationUriComplete, or a bare user code. It returns where the browser
// would be sent, "" after the device page. The caller holds no lock.
func Decide(w *store.World, address string, a Answer) (next string, err error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil {
		return "", fmt.Errorf("answering sign-in: %w", err)
	}
	if u.Path == authorizePath {
		next, err = decideAuthorization(w, u.Query(), a)
	} else {
		code := u.Query().Get("user_code")
		if code == "" && u.Scheme == "" {
			code = address
		}
		err = decideDevice(w, code, a)
	}
	if err != nil {
		return "", fmt.Errorf("answering sign-in: %w", err)
	}
	return next, nil
}

// request is an authorization request (RFC 6749, section 4.1.1).
type request struct {
	client    *store.SSOClient
	clientID  string
	instance  *store.IdentityCenter
	redirect  string
	state     string
	challenge string
}

// redirectError is told to the client at its redirect URI, as RFC 6749, section
// 4.1.2.1 has it; all other errors are for the person's eyes, for the URI
// cannot be trusted.
type redirectError struct {
	code, text string
	next       string
}

// Error is the text.
func (e *redirectError) Error() string { return e.text }

// readAuthorization checks an authorization request. The caller holds the lock.
func readAuthorization(w *store.World, query url.Values) (*request, error) {
	for name, values := range query {
		if len(values) > 1 {
			return nil, fmt.Errorf("the parameter %s is there more than once", name)
		}
	}
	now := w.Now()
	r := &request{
		clientID: query.Get("client_id"), redirect: query.Get("redirect_uri"), state: query.Get("state"), challenge: query.Get("code_challenge"),
	}
	r.client = w.SSO.Clients[r.clientID]
	switch {
	case r.client == nil || !now.Before(r.client.Expires):
		return nil, errors.New("the client is not registered, or its registration has expired")
	case !registered(r.client, r.redirect):
		return nil, errors.New("the redirect URI is not one that the client has registered")
	}
	if r.instance = w.IdentityCenters[r.client.StartURL]; r.instance == nil {
		return nil, errors.New("the client was registered without the issuer URL of an instance")
	}
	refuse := func(code, text string) (*request, error) {
		return nil, &redirectError{code: code, text: text, next: r.next(url.Values{"error": {code}, "error_description": {text}})}
	}
	scopes := strings.Fields(query.Get("scopes") + " " + query.Get("scope"))
	switch {
	case !may(r.client, grantCode):
		return refuse("unauthorized_client", "the client is not registered for authorization codes")
	case query.Get("response_type") != "code":
		return refuse("unsupported_response_type", "response_type must be code")
	case query.Get("code_challenge_method") != "S256" || len(r.challenge) != 43:
		return refuse("invalid_request", "a code_challenge of method S256 is required")
	case slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(r.client.Scopes, s) }):
		return refuse("invalid_scope", "the client has not registered all of the scopes")
	}
	return r, nil
}

// next is the redirect URI with an answer.
func (r *request) next(answer url.Values) string {
	if r.state != "" {
		answer.Set("state", r.state)
	}
	separator := "?"
	if strings.Contains(r.redirect, "?") {
		separator = "&"
	}
	return r.redirect + separator + answer.Encode()
}

// decideAuthorization gives the client a code, or a refusal.
func decideAuthorization(w *store.World, query url.Values, a Answer) (next string, err error) {
	w.Lock()
	defer w.Unlock()
	r, err := readAuthorization(w, query)
	if refused, ok := errors.AsType[*redirectError](err); ok {
		return refused.next, nil
	}
	if err != nil {
		return "", err
	}
	if a.Deny {
		return r.next(url.Values{"error": {"access_denied"}, "error_description": {"the request was denied"}}), nil
	}
	user, err := person(r.instance, a.User)
	if err != nil {
		return "", err
	}
	grants, now := w.SSOGrants(), w.Now()
	grants.Sweep(now)
	if len(grants.Codes) >= store.MaxSSO {
		return "", errors.New("too many authorizations are open")
	}
	code := "ac" + encode(w.IDs().Bytes(48))
	grants.Codes[code] = &store.SSOCode{
		Client: r.clientID, StartURL: r.instance.StartURL, User: user.Name, Redirect: r.redirect, Challenge: r.challenge, Expires: now.Add(codeLife),
	}
	return r.next(url.Values{"code": {code}}), nil
}

// decideDevice approves or refuses what shows a user code.
func decideDevice(w *store.World, code string, a Answer) error {
	w.Lock()
	defer w.Unlock()
	device, at, err := openDevice(w, code, w.Now())
	if err != nil {
		return err
	}
	if a.Deny {
		device.Denied = true
		return nil
	}
	user, err := person(at, a.User)
	if err != nil {
		return err
	}
	device.User = user.Name
	return nil
}

// openDevice is the device authorization that waits for an answer. The caller
// holds the lock.
func openDevice(w *store.World, code string, now time.Time) (*store.SSODevice, *store.IdentityCenter, error) {
	device := w.SSO.DeviceByUserCode(code, now)
	if device == nil || device.User != "" || device.Denied {
		return nil, nil, errors.New("no device waits with this code: it was answered, it has expired, or it is mistyped")
	}
	at := w.IdentityCenters[device.StartURL]
	if at == nil {
		return nil, nil, errors.New("the instance of this code is gone")
	}
	return device, at, nil
}

// person is the user with a name; "" is the only one.
func person(at *store.IdentityCenter, name string) (*store.IdentityCenterUser, error) {
	names := at.UserNames()
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	if user := at.User(name); user != nil {
		return user, nil
	}
	return nil, fmt.Errorf("%s has no user %q: it has %s", at.StartURL, name, strings.Join(names, ", "))
}
