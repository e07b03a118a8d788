package store

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
)

// ReservedPath begins the paths of roles that AWS services alone make.
const ReservedPath = "/aws-reserved/"

// ReservedSSOPath begins the path of the roles that permission sets become; a
// Region other than us-east-1 follows (IAM Identity Center user guide,
// "Referencing permission sets in resource policies").
const ReservedSSOPath = ReservedPath + "sso.amazonaws.com/"

// IdentityCenter is an instance of IAM Identity Center: who its people are, what
// they can be in which account.
type IdentityCenter struct {
	StartURL string `json:"startUrl"` // of the access portal, without a slash at the end
	Region   string `json:"region"`
	ID       string `json:"id"` // "ssoins-…"
	// SessionDuration is how long a sign-in lasts.
	SessionDuration time.Duration `json:"sessionDuration"`
	// Rate is how many requests a second the portal takes, negative for any number.
	Rate           int                            `json:"rate"`
	Users          map[string]*IdentityCenterUser `json:"users"`          // by lower-case name
	PermissionSets map[string]*PermissionSet      `json:"permissionSets"` // by name
	Assignments    []AccountAssignment            `json:"assignments,omitempty"`
}

// IdentityCenterUser is a person in an identity store.
type IdentityCenterUser struct {
	Name   string   `json:"name"`
	Email  string   `json:"email,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// PermissionSet is a set of permissions with the roles it has become.
type PermissionSet struct {
	Name            string                   `json:"name"`
	SessionDuration time.Duration            `json:"sessionDuration"`
	Roles           map[arn.AccountID]string `json:"roles"` // unique ids
}

// AccountAssignment gives a user or a group a permission set in an account.
type AccountAssignment struct {
	Account       arn.AccountID `json:"account"`
	PermissionSet string        `json:"permissionSet"`
	User          string        `json:"user,omitempty"` // lower case; "" for a group's
	Group         string        `json:"group,omitempty"`
}

// User finds a person by name, nil when there is none.
func (i *IdentityCenter) User(name string) *IdentityCenterUser { return i.Users[strings.ToLower(name)] }

// UserNames are the names of all people, sorted.
func (i *IdentityCenter) UserNames() []string {
	var names []string
	for _, u := range i.Users {
		names = append(names, u.Name)
	}
	slices.Sort(names)
	return names
}

// Assigned are the names of the permission sets that a user has in an account,
// sorted.
func (i *IdentityCenter) Assigned(user *IdentityCenterUser, account arn.AccountID) []string {
	var names []string
	for _, a := range i.Assignments {
		if a.Account == account && a.isFor(user) {
			names = append(names, a.PermissionSet)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// AccountsOf are the accounts in which a user has a permission set, sorted.
func (i *IdentityCenter) AccountsOf(user *IdentityCenterUser) []arn.AccountID {
	var ids []arn.AccountID
	for _, a := range i.Assignments {
		if a.isFor(user) {
			ids = append(ids, a.Account)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (a *AccountAssignment) isFor(user *IdentityCenterUser) bool {
	if a.Group != "" {
		return slices.Contains(user.Groups, a.Group)
	}
	return a.User == strings.ToLower(user.Name)
}

// SSO has what sso-oidc gave out: registrations, codes and tokens. The keys are
// the secrets themselves.
type SSO struct {
	Clients  map[string]*SSOClient  `json:"clients,omitempty"`  // by client id
	Devices  map[string]*SSODevice  `json:"devices,omitempty"`  // by device code
	Codes    map[string]*SSOCode    `json:"codes,omitempty"`    // by authorization code
	Sessions map[string]*SSOSession `json:"sessions,omitempty"` // by an id of ours
	Access   map[string]*SSOAccess  `json:"access,omitempty"`   // by access token
	Refresh  map[string]string      `json:"refresh,omitempty"`  // unused refresh tokens to sessions
}

// SSOClient is a registered client.
type SSOClient struct {
	Secret       string    `json:"secret"`
	Name         string    `json:"name"`
	StartURL     string    `json:"startUrl,omitempty"` // of IssuerUrl; "" for clients that gave none
	Scopes       []string  `json:"scopes,omitempty"`
	GrantTypes   []string  `json:"grantTypes,omitempty"`
	RedirectURIs []string  `json:"redirectUris,omitempty"`
	Expires      time.Time `json:"expires"`
}

// SSODevice is a device authorization.
type SSODevice struct {
	Client   string    `json:"client"`
	StartURL string    `json:"startUrl"`
	UserCode string    `json:"userCode"`
	Expires  time.Time `json:"expires"`
	Polled   time.Time `json:"polled,omitzero"`
	// User is who approved it, "" until somebody has.
	User   string `json:"user,omitempty"`
	Denied bool   `json:"denied,omitempty"`
}

// SSOCode is an authorization code (RFC 6749, section 4.1; RFC 7636).
type SSOCode struct {
	Client    string    `json:"client"`
	StartURL  string    `json:"startUrl"`
	User      string    `json:"user"`
	Redirect  string    `json:"redirect"`
	Challenge string    `json:"challenge"` // of method S256
	Expires   time.Time `json:"expires"`
}

// SSOSession is a person's sign-in by a client. It ends with Logout.
type SSOSession struct {
	Client   string    `json:"client"`
	StartURL string    `json:"startUrl"`
	User     string    `json:"user"`
	Expires  time.Time `json:"expires"`
}

// SSOAccess is an access token.
type SSOAccess struct {
	Session string    `json:"session"`
	Expires time.Time `json:"expires"`
}

// MaxSSO bounds each kind of record that sso-oidc keeps for callers nobody knows.
const MaxSSO = 10_000

// Sweep forgets what has expired. The caller holds the write lock.
func (s *SSO) Sweep(now time.Time) {
	sweepSSO(s.Clients, func(c *SSOClient) bool { return !now.Before(c.Expires) })
	sweepSSO(s.Devices, func(d *SSODevice) bool { return now.After(d.Expires.Add(time.Hour)) })
	sweepSSO(s.Codes, func(c *SSOCode) bool { return !now.Before(c.Expires) })
	sweepSSO(s.Sessions, func(x *SSOSession) bool { return !now.Before(x.Expires) })
	sweepSSO(s.Access, func(a *SSOAccess) bool { return !now.Before(a.Expires) || s.Sessions[a.Session] == nil })
	for token, session := range s.Refresh {
		if s.Sessions[session] == nil {
			delete(s.Refresh, token)
		}
	}
}

func sweepSSO[T any](records map[string]*T, gone func(*T) bool) {
	for key, r := range records {
		if gone(r) {
			delete(records, key)
		}
	}
}

// SignedIn is the session that an access token belongs to at now, with its
// instance and person; nil when the token is none, has expired, or its person
// or instance is gone. The caller holds the lock.
func (w *World) SignedIn(token string, now time.Time) (*SSOSession, *IdentityCenter, *IdentityCenterUser) {
	access := w.SSO.Access[token]
	if access == nil || !now.Before(access.Expires) {
		return nil, nil, nil
	}
	session := w.SSO.Sessions[access.Session]
	if session == nil || !now.Before(session.Expires) {
		return nil, nil, nil
	}
	instance := w.IdentityCenters[session.StartURL]
	if instance == nil || instance.User(session.User) == nil {
		return nil, nil, nil
	}
	return session, instance, instance.User(session.User)
}

// IdentityCenterAt finds the instance with a start URL, written with or without
// a slash or a fragment at its end; nil when there is none. The caller holds the lock.
func (w *World) IdentityCenterAt(startURL string) *IdentityCenter {
	return w.IdentityCenters[CanonicalStartURL(startURL)]
}

// CanonicalStartURL is a start URL without what clients append to it.
func CanonicalStartURL(startURL string) string {
	startURL, _, _ = strings.Cut(startURL, "#")
	return strings.TrimRight(startURL, "/")
}

// SSOGrants makes the maps of w.SSO and returns it, for writing. The caller
// holds the write lock.
func (w *World) SSOGrants() *SSO {
	s := &w.SSO
	makeMap(&s.Clients)
	makeMap(&s.Devices)
	makeMap(&s.Codes)
	makeMap(&s.Sessions)
	makeMap(&s.Access)
	makeMap(&s.Refresh)
	return s
}

func makeMap[V any](m *map[string]V) {
	if *m == nil {
		*m = map[string]V{}
	}
}

// DeviceByUserCode finds the device authorization that a person types a code
// for, nil when there is none that is open at now. The caller holds the lock.
func (s *SSO) DeviceByUserCode(code string, now time.Time) *SSODevice {
	code = strings.ToUpper(strings.TrimSpace(code))
	for _, d := range s.Devices {
		if d.UserCode == code && now.Before(d.Expires) {
			return d
		}
	}
	return nil
}

// ReservedRolePath is the path of the roles of an instance in a Region.
func ReservedRolePath(region string) string {
	if cmp.Or(region, "us-east-1") == "us-east-1" {
		return ReservedSSOPath
	}
	return ReservedSSOPath + region + "/"
}

// Reserved reports whether IAM Identity Center owns the role, so that nobody
// else changes or assumes it.
func (r *Role) Reserved() bool { return strings.HasPrefix(r.Path, ReservedSSOPath) }

// SAMLAudience is the audience of assertions for AWS, which trust policies test
// as SAML:aud (IAM user guide, "Configure SAML assertions").
const SAMLAudience = "https://signin.aws.amazon.com/saml"

// ProviderName is the name of the SAML provider that the instance has in each
// account.
func (i *IdentityCenter) ProviderName() string {
	id := strings.TrimPrefix(i.ID, "ssoins-")
	return "AWSSSO_" + id + "_DO_NOT_DELETE"
}
