// Package session is what people can be in which account: the sources of their
// credentials, and sessions with names.
//
// Start with [Read], which reads the one file they are kept in, and
// [Book.Resolve], which makes a [Target] of what somebody typed. Both are data:
// package desk below gets the credentials. [Edit] changes the file and keeps its
// comments. Nobody needs an entry for each role: what Identity Center lists is
// found by ACCOUNT/ROLE as it is.
package session

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/diag"
)

// Source is where credentials begin. Exactly one of the pointers is set.
type Source struct {
	Name           string          `yaml:"name" json:"name"`
	IdentityCenter *IdentityCenter `yaml:"identityCenter,omitempty" json:"identityCenter,omitempty"`
	User           *User           `yaml:"user,omitempty" json:"user,omitempty"`
	Profile        *Profile        `yaml:"profile,omitempty" json:"profile,omitempty"`
	Process        *Process        `yaml:"process,omitempty" json:"process,omitempty"`
	WebIdentity    *WebIdentity    `yaml:"webIdentity,omitempty" json:"webIdentity,omitempty"`
	SAML           *SAML           `yaml:"saml,omitempty" json:"saml,omitempty"`
	RolesAnywhere  *RolesAnywhere  `yaml:"rolesAnywhere,omitempty" json:"rolesAnywhere,omitempty"`
	ConsoleLogin   *ConsoleLogin   `yaml:"consoleLogin,omitempty" json:"consoleLogin,omitempty"`
}

// IdentityCenter is an AWS access portal.
type IdentityCenter struct {
	StartURL string   `yaml:"startURL" json:"startURL"`
	Region   string   `yaml:"region" json:"region"`                     // the portal's own
	Scopes   []string `yaml:"scopes,omitempty" json:"scopes,omitempty"` // default: sso:account:access
	Flow     Flow     `yaml:"flow,omitempty" json:"flow,omitempty"`     // default: pkce
	Port     int      `yaml:"port,omitempty" json:"port,omitempty"`     // of the sign-in's answer; default: any
	// ReadOnly is the permission set that stands in for others where somebody is to
	// read only: Identity Center's sessions take no session policy. Default: none.
	ReadOnly string `yaml:"readOnly,omitempty" json:"readOnly,omitempty"`
}

// Flow is how people sign in.
type Flow string

// The flows. A device code is typed, or confirmed, on a page that anybody may
// have sent; it is never begun without being asked for.
const (
	PKCE   Flow = "pkce"
	Device Flow = "device"
)

// User is an IAM user; its access key is in the secret store as user/NAME.
type User struct {
	Account arn.AccountID `yaml:"account,omitempty" json:"account,omitempty"`
	MFA     *MFA          `yaml:"mfa,omitempty" json:"mfa,omitempty"`
}

// MFA is a user's device, and where its codes come from: a person, a program,
// or a TOTP seed in the secret store as totp/NAME.
type MFA struct {
	Serial  string `yaml:"serial" json:"serial"`                       // ARN, or a hardware device's number
	Code    Code   `yaml:"code,omitempty" json:"code,omitempty"`       // default: prompt
	Program string `yaml:"program,omitempty" json:"program,omitempty"` // for the code of kind program, run by sh
}

// Code is where codes come from.
type Code string

// Where codes come from.
const (
	Prompt  Code = "prompt"
	Program Code = "program"
	TOTP    Code = "totp"
)

// Profile is a profile of the AWS config and credentials files.
type Profile struct {
	Name string `yaml:"name" json:"name"`
}

// Process is another program that speaks the credential_process protocol. It is
// run by sh.
type Process struct {
	Command string `yaml:"command" json:"command"`
}

// Session is a name for a role, and the way to it.
type Session struct {
	Name    string `yaml:"name" json:"name"`
	Source  string `yaml:"source" json:"source"`
	Account string `yaml:"account,omitempty" json:"account,omitempty"` // name or id
	// Role is the role's name in the account; "" is what the source gives itself.
	Role string `yaml:"role,omitempty" json:"role,omitempty"`
	// Via are the roles to go through before, ACCOUNT/ROLE or ARN. From Identity
	// Center the first stop is a permission set, all others are assumed.
	Via        []string          `yaml:"via,omitempty" json:"via,omitempty"`
	ExternalID string            `yaml:"externalId,omitempty" json:"externalId,omitempty"` // of the last hop
	Region     string            `yaml:"region,omitempty" json:"region,omitempty"`
	Labels     map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`
	Duration   Duration          `yaml:"duration,omitempty" json:"duration,omitempty"`
	// SourceIdentity is set at the first role that is assumed, and AWS takes it along:
	// "caller" for the person's name, or a text.
	SourceIdentity string            `yaml:"sourceIdentity,omitempty" json:"sourceIdentity,omitempty"`
	Tags           map[string]string `yaml:"tags,omitempty" json:"tags,omitempty"` // session tags, of the last hop
}

// Caller as a session's source identity is the name of the person.
const Caller = "caller"

// Duration is a time.Duration written as "1h30m".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Kind names what the source is: identityCenter, user, profile, process,
// webIdentity, saml, rolesAnywhere or consoleLogin.
func (s *Source) Kind() string {
	kinds := s.kinds()
	if len(kinds) != 1 {
		return "unknown"
	}
	return kinds[0]
}

func (s *Source) kinds() []string {
	var out []string
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"identityCenter", s.IdentityCenter != nil}, {"user", s.User != nil}, {"profile", s.Profile != nil},
		{"process", s.Process != nil}, {"webIdentity", s.WebIdentity != nil}, {"saml", s.SAML != nil}, {"rolesAnywhere", s.RolesAnywhere != nil},
		{"consoleLogin", s.ConsoleLogin != nil},
	} {
		if k.set {
			out = append(out, k.name)
		}
	}
	return out
}

// names are what can be typed without quotes and stands in no address for
// something else.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]*$`)

func checkName(name string) error {
	switch {
	case !names.MatchString(name):
		return fmt.Errorf("name %q: want letters, digits or any of ._@+-, beginning with a letter or digit", name)
	case name == "arn" || name == "serviceaccount":
		return fmt.Errorf("name %q begins other addresses", name)
	}
	return nil
}

// Check says what is wrong with the source.
func (s *Source) Check() error {
	if err := checkName(s.Name); err != nil {
		return err
	}
	if kinds := s.kinds(); len(kinds) != 1 {
		return fmt.Errorf("source %s: want exactly one of identityCenter, user, profile, process, webIdentity, saml, rolesAnywhere and consoleLogin, got %d", s.Name, len(kinds))
	}
	if err := s.checkKind(); err != nil {
		return fmt.Errorf("source %s: %w", s.Name, err)
	}
	return nil
}

func (s *Source) checkKind() error {
	switch {
	case s.IdentityCenter != nil:
		return s.IdentityCenter.check()
	case s.User != nil && s.User.MFA != nil:
		return s.User.MFA.check()
	case s.Profile != nil && s.Profile.Name == "":
		return errors.New("profile needs a name")
	case s.Process != nil && s.Process.Command == "":
		return errors.New("process needs a command")
	case s.WebIdentity != nil:
		return s.WebIdentity.check()
	case s.SAML != nil:
		return s.SAML.check()
	case s.RolesAnywhere != nil:
		return s.RolesAnywhere.check()
	case s.ConsoleLogin != nil:
		return s.ConsoleLogin.check()
	}
	return nil
}

func (c *IdentityCenter) check() error {
	u, err := url.Parse(c.StartURL)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("startURL %q: want the https address of the access portal, like https://acme.awsapps.com/start", c.StartURL)
	case c.Region == "":
		return errors.New("identityCenter needs the region of the portal")
	case c.Flow != "" && c.Flow != PKCE && c.Flow != Device:
		return fmt.Errorf("flow %q: want pkce or device", c.Flow)
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("port %d: want 1 to 65535", c.Port)
	}
	return checkRegion(c.Region)
}

// checkRegion refuses what no Region is called: the name becomes part of a host, and
// of a line of AWS's files. One that nobody knows yet may be right.
func checkRegion(region string) error {
	if region != "" && !catalog.RegionShaped(region) {
		err := fmt.Errorf("region %q: want a Region's name, like eu-west-1", region)
		if hint := diag.DidYouMean(strings.ToLower(region), catalog.Regions()); hint != "" {
			err = fmt.Errorf("%w; %s", err, hint)
		}
		return err
	}
	return nil
}

func (m *MFA) check() error {
	switch m.Code {
	case "", Prompt, TOTP:
	case Program:
		if m.Program == "" {
			return errors.New("mfa with code: program needs a program")
		}
	default:
		return fmt.Errorf("mfa code %q: want prompt, program or totp", m.Code)
	}
	if m.Serial == "" {
		return errors.New("mfa needs the device's serial: its ARN, or the number on a hardware device")
	}
	return nil
}

// Check says what is wrong with the session by itself.
func (s *Session) Check() error {
	if err := checkName(s.Name); err != nil {
		return err
	}
	switch {
	case s.Source == "":
		return fmt.Errorf("session %s names no source", s.Name)
	case s.Account == "" && s.Role != "" && !strings.HasPrefix(s.Role, "arn:"):
		return fmt.Errorf("session %s: role %s of which account?", s.Name, s.Role)
	case s.Role == "" && len(s.Via) > 0:
		return fmt.Errorf("session %s: goes via roles to none", s.Name)
	case s.Duration != 0 && !s.Duration.possible():
		return fmt.Errorf("session %s: duration %s: want 15m to 12h", s.Name, time.Duration(s.Duration))
	}
	if err := checkRegion(s.Region); err != nil {
		return fmt.Errorf("session %s: %w", s.Name, err)
	}
	return nil
}

// The lengths of a role's session (STS API reference, AssumeRole, DurationSeconds),
// and the most of one that another role's session enters.
const (
	minSession = 15 * time.Minute
	maxSession = 12 * time.Hour
	maxChained = time.Hour
)

func (d Duration) possible() bool {
	return time.Duration(d) >= minSession && time.Duration(d) <= maxSession
}

// Unheeded says why the session will not last as long as it should; "" when
// nothing is known to be in the way. A nil source is none.
func (s *Session) Unheeded(source *Source) string {
	switch {
	case s.Duration == 0 || source == nil:
	case s.Role == "":
		return fmt.Sprintf("session %s: the duration is of a role, and there is none", s.Name)
	case source.IdentityCenter != nil && len(s.Via) == 0:
		return fmt.Sprintf("session %s: how long it lasts is the permission set's; the duration does nothing", s.Name)
	case time.Duration(s.Duration) > maxChained && (len(s.Via) > 0 || source.IdentityCenter != nil || !source.OwnRole().IsZero()):
		return fmt.Sprintf("session %s: AWS lets a role that another enters last an hour; it is entered anew as often as that takes", s.Name)
	}
	return ""
}
