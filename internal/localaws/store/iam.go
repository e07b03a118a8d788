package store

import (
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
)

// IAM has the IAM records of one account. Names are keys in lower case, for
// they are unique without regard to case (IAM user guide, "IAM quotas"); use
// the methods to look them up.
type IAM struct {
	Alias            string                                 `json:"alias,omitempty"`
	Roles            map[string]*Versioned[Role]            `json:"roles"`
	Users            map[string]*Versioned[User]            `json:"users"`
	Groups           map[string]*Versioned[Group]           `json:"groups"`
	Policies         map[string]*Versioned[Policy]          `json:"policies"`
	OIDCProviders    map[string]*Versioned[OIDCProvider]    `json:"oidcProviders"` // by Key
	SAMLProviders    map[string]*Versioned[SAMLProvider]    `json:"samlProviders"`
	InstanceProfiles map[string]*Versioned[InstanceProfile] `json:"instanceProfiles"`
	MFADevices       map[string]*Versioned[MFADevice]       `json:"mfaDevices"`
	// Quotas are the account's own limits where they differ from AWS's defaults,
	// by their name in GetAccountSummary ("AssumeRolePolicySizeQuota").
	Quotas map[string]int `json:"quotas,omitempty"`
}

// Entity is what roles, users and groups have in common.
type Entity struct {
	Name     string            `json:"name"`
	Path     string            `json:"path"`
	ID       string            `json:"id"` // unique id: AROA…, AIDA…, AGPA…
	Created  time.Time         `json:"created"`
	Tags     Tags              `json:"tags,omitempty"`
	Inline   map[string]string `json:"inline,omitempty"`   // policy name to document
	Attached []string          `json:"attached,omitempty"` // ARNs of managed policies, in order of attachment
	Boundary string            `json:"boundary,omitempty"` // ARN of a managed policy
}

// Role is an IAM role.
type Role struct {
	Entity
	// Trust is the trust policy with users and roles as unique ids; show it
	// through [World.Present].
	Trust         string        `json:"trust"`
	Description   string        `json:"description,omitempty"`
	MaxSession    time.Duration `json:"maxSession"`
	ServiceLinked bool          `json:"serviceLinked,omitempty"`
}

// User is an IAM user.
type User struct {
	Entity
	Groups     []string `json:"groups,omitempty"`     // names, lower case
	AccessKeys []string `json:"accessKeys,omitempty"` // ids, oldest first
}

// Group is an IAM group; its members are in the users' records.
type Group struct {
	Entity
}

// Policy is a customer managed policy.
type Policy struct {
	Name        string          `json:"name"`
	Path        string          `json:"path"`
	ID          string          `json:"id"`
	Description string          `json:"description,omitempty"`
	Created     time.Time       `json:"created"`
	Updated     time.Time       `json:"updated"`
	Tags        Tags            `json:"tags,omitempty"`
	Versions    []PolicyVersion `json:"versions"` // oldest first
	Default     string          `json:"default"`  // "v3"
	Next        int             `json:"next"`     // number of the next version; numbers are never used twice
}

// PolicyVersion is one version of a managed policy.
type PolicyVersion struct {
	ID       string    `json:"id"`
	Document string    `json:"document"`
	Created  time.Time `json:"created"`
}

// Version returns the version called id, nil when there is none.
func (p *Policy) Version(id string) *PolicyVersion {
	for i := range p.Versions {
		if p.Versions[i].ID == id {
			return &p.Versions[i]
		}
	}
	return nil
}

// Document is the text of the default version.
func (p *Policy) Document() string {
	if v := p.Version(p.Default); v != nil {
		return v.Document
	}
	return ""
}

// AccessKey is a long-term access key of a user.
type AccessKey struct {
	ID      string        `json:"id"`
	Secret  string        `json:"secret"`
	Account arn.AccountID `json:"account"`
	User    string        `json:"user"` // unique id
	Active  bool          `json:"active"`
	Created time.Time     `json:"created"`
}

// OIDCProvider is an OIDC identity provider of an account.
type OIDCProvider struct {
	// Key is the issuer's URL without https://, as it stands in the provider's
	// ARN and before the colon of condition keys.
	Key         string    `json:"key"`
	ClientIDs   []string  `json:"clientIDs,omitempty"`
	Thumbprints []string  `json:"thumbprints,omitempty"`
	Tags        Tags      `json:"tags,omitempty"`
	Created     time.Time `json:"created"`
}

// SAMLProvider is a SAML identity provider of an account.
type SAMLProvider struct {
	Name     string    `json:"name"`
	ID       string    `json:"id"`
	Metadata string    `json:"metadata"`
	Tags     Tags      `json:"tags,omitempty"`
	Created  time.Time `json:"created"`
}

// InstanceProfile is an instance profile with at most one role.
type InstanceProfile struct {
	Name    string    `json:"name"`
	Path    string    `json:"path"`
	ID      string    `json:"id"`
	Role    string    `json:"role,omitempty"` // name, lower case
	Tags    Tags      `json:"tags,omitempty"`
	Created time.Time `json:"created"`
}

// LastUse is when and where a role or an access key was last used; a role's has
// no service.
type LastUse struct {
	At      time.Time `json:"at"`
	Region  string    `json:"region"`
	Service string    `json:"service,omitempty"`
}

// PrincipalRef says whose unique id it is.
type PrincipalRef struct {
	Account arn.AccountID `json:"account"`
	Kind    string        `json:"kind"` // "role" or "user"
	Name    string        `json:"name"`
	// Former are names it had before, latest last: others see those for a while.
	Former []string `json:"former,omitempty"`
}

func newIAM() IAM {
	return IAM{
		Roles:            map[string]*Versioned[Role]{},
		Users:            map[string]*Versioned[User]{},
		Groups:           map[string]*Versioned[Group]{},
		Policies:         map[string]*Versioned[Policy]{},
		OIDCProviders:    map[string]*Versioned[OIDCProvider]{},
		SAMLProviders:    map[string]*Versioned[SAMLProvider]{},
		InstanceProfiles: map[string]*Versioned[InstanceProfile]{},
		MFADevices:       map[string]*Versioned[MFADevice]{},
	}
}

// Role returns the versions of a role, nil when there never was one.
func (i *IAM) Role(name string) *Versioned[Role] { return i.Roles[strings.ToLower(name)] }

// User returns the versions of a user, nil when there never was one.
func (i *IAM) User(name string) *Versioned[User] { return i.Users[strings.ToLower(name)] }

// Group returns the versions of a group, nil when there never was one.
func (i *IAM) Group(name string) *Versioned[Group] { return i.Groups[strings.ToLower(name)] }

// Policy returns the versions of a customer managed policy, nil when there
// never was one.
func (i *IAM) Policy(name string) *Versioned[Policy] { return i.Policies[strings.ToLower(name)] }

// RoleARN is the role's ARN in account.
func (r *Role) RoleARN(account arn.AccountID) arn.ARN {
	return arn.IAM(Partition, account, "role", r.Path, r.Name)
}

// UserARN is the user's ARN in account.
func (u *User) UserARN(account arn.AccountID) arn.ARN {
	return arn.IAM(Partition, account, "user", u.Path, u.Name)
}

// PolicyARN is the policy's ARN in account.
func (p *Policy) PolicyARN(account arn.AccountID) arn.ARN {
	return arn.IAM(Partition, account, "policy", p.Path, p.Name)
}

// RoleByID returns the role that a unique id belongs to as it was at t, nil
// when there is none.
func (w *World) RoleByID(id string, t time.Time) (*Role, arn.AccountID) {
	ref, ok := w.Principals[id]
	account := w.Accounts[ref.Account]
	if !ok || ref.Kind != "role" || account == nil {
		return nil, ""
	}
	role := account.IAM.Role(ref.Name).At(t)
	if role == nil || role.ID != id {
		return nil, ""
	}
	return role, ref.Account
}

// RoleByARN returns the role with an ARN as others see it, nil when they see
// none. The caller holds the lock.
func (w *World) RoleByARN(a arn.ARN) *Role {
	account := w.Accounts[a.Account]
	if account == nil || a.Type() != "role" {
		return nil
	}
	role := Visible(w, a.Account, account.IAM.Role(a.Name()))
	if role == nil || role.RoleARN(a.Account) != a {
		return nil
	}
	return role
}

// UserByARN is RoleByARN for users.
func (w *World) UserByARN(a arn.ARN) *User {
	account := w.Accounts[a.Account]
	if account == nil || a.Type() != "user" {
		return nil
	}
	user := Visible(w, a.Account, account.IAM.User(a.Name()))
	if user == nil || user.UserARN(a.Account) != a {
		return nil
	}
	return user
}

// UserByID returns the user that a unique id belongs to as it was at t, with the
// name it had then; nil when there is none.
func (w *World) UserByID(id string, t time.Time) (*User, arn.AccountID) {
	ref, ok := w.Principals[id]
	account := w.Accounts[ref.Account]
	if !ok || ref.Kind != "user" || account == nil {
		return nil, ""
	}
	if user := account.IAM.User(ref.Name).At(t); user != nil && user.ID == id {
		return user, ref.Account
	}
	for _, name := range ref.Former {
		if user := account.IAM.User(name).At(t); user != nil && user.ID == id {
			return user, ref.Account
		}
	}
	return nil, ""
}

// maxFormer is how many former names of a user are remembered, as many as
// versions of a record.
const maxFormer = keepVersions

// RenameUser notes the new name of the user with a unique id. The caller holds
// the write lock and moves the record.
func (w *World) RenameUser(id, name string) {
	ref := w.Principals[id]
	former := append(slices.Clone(ref.Former), ref.Name)
	ref.Name, ref.Former = name, former[max(0, len(former)-maxFormer):]
	w.Principals[id] = ref
}
