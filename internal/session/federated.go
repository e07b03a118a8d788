package session

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
)

// WebIdentity is an OIDC token that opens roles. Exactly one of TokenFile,
// Program, Variable and GitHub says where it comes from; it is read again for
// every fetch.
type WebIdentity struct {
	// Role is the ARN of the role the source gives by itself. Without one, an
	// address says which role the token opens first: SOURCE:ACCOUNT/ROLE.
	Role      string `yaml:"role,omitempty" json:"role,omitempty"`
	TokenFile string `yaml:"tokenFile,omitempty" json:"tokenFile,omitempty"`
	Program   string `yaml:"program,omitempty" json:"program,omitempty"`   // prints the token, run by sh
	Variable  string `yaml:"variable,omitempty" json:"variable,omitempty"` // environment variable, as GitLab's id_tokens make
	GitHub    bool   `yaml:"github,omitempty" json:"github,omitempty"`     // of the GitHub Actions job this runs in
	Audience  string `yaml:"audience,omitempty" json:"audience,omitempty"` // of GitHub's token; default: sts.amazonaws.com
	// SessionName is the sessions' name. Default: the job's, as CI names it, else
	// the source's.
	SessionName string `yaml:"sessionName,omitempty" json:"sessionName,omitempty"`
}

// SAML is an identity provider's assertion, base64 as a browser posts it. Exactly
// one of File, Program and StartURL says where it comes from.
type SAML struct {
	File    string `yaml:"file,omitempty" json:"file,omitempty"` // "-" is standard input
	Program string `yaml:"program,omitempty" json:"program,omitempty"`
	// StartURL is the provider's page that signs people in and ends at AWS; it is
	// opened in a browser of Chromium's family, Browser or the first on PATH.
	StartURL string `yaml:"startURL,omitempty" json:"startURL,omitempty"`
	Browser  string `yaml:"browser,omitempty" json:"browser,omitempty"`
}

// RolesAnywhere is a role that an X.509 certificate opens, by AWS's helper
// program.
type RolesAnywhere struct {
	TrustAnchor string `yaml:"trustAnchor" json:"trustAnchor"` // ARN
	Profile     string `yaml:"profile" json:"profile"`         // ARN
	Role        string `yaml:"role" json:"role"`               // ARN
	// Certificate is a file, or a pkcs11: URI; Selector picks one of the system's
	// store instead, in the helper's own words.
	Certificate string `yaml:"certificate,omitempty" json:"certificate,omitempty"`
	Selector    string `yaml:"selector,omitempty" json:"selector,omitempty"`
	// PrivateKey is a file, which may wrap a key of the TPM, a pkcs11: URI, or the
	// handle: of a key in the TPM. Not needed with a certificate by pkcs11: or Selector.
	PrivateKey    string   `yaml:"privateKey,omitempty" json:"privateKey,omitempty"`
	Intermediates string   `yaml:"intermediates,omitempty" json:"intermediates,omitempty"` // file
	PKCS11Library string   `yaml:"pkcs11Library,omitempty" json:"pkcs11Library,omitempty"` // default: p11-kit's choice
	ReusePIN      bool     `yaml:"reusePIN,omitempty" json:"reusePIN,omitempty"`
	NoTPMPassword bool     `yaml:"noTPMPassword,omitempty" json:"noTPMPassword,omitempty"` // the key of the handle has none
	Region        string   `yaml:"region,omitempty" json:"region,omitempty"`               // default: the trust anchor's
	Endpoint      string   `yaml:"endpoint,omitempty" json:"endpoint,omitempty"`
	Proxy         bool     `yaml:"proxy,omitempty" json:"proxy,omitempty"`             // go by HTTPS_PROXY
	SessionName   string   `yaml:"sessionName,omitempty" json:"sessionName,omitempty"` // where the profile takes one; default: the certificate's serial number
	Duration      Duration `yaml:"duration,omitempty" json:"duration,omitempty"`       // default: an hour
	Helper        string   `yaml:"helper,omitempty" json:"helper,omitempty"`           // default: aws_signing_helper on PATH
}

func (w *WebIdentity) check() error {
	from := 0
	for _, set := range []bool{w.TokenFile != "", w.Program != "", w.Variable != "", w.GitHub} {
		if set {
			from++
		}
	}
	switch {
	case from != 1:
		return fmt.Errorf("webIdentity needs exactly one of tokenFile, program, variable and github, got %d", from)
	case w.Audience != "" && !w.GitHub:
		return errors.New("webIdentity: audience is of github; other tokens have theirs already")
	case w.SessionName != "" && w.SessionName != creds.SessionName(w.SessionName):
		return fmt.Errorf("sessionName %q: want 2 to 64 letters, digits or any of _+=,.@-", w.SessionName)
	case w.Role == "":
		return nil
	}
	_, err := roleARN("role", w.Role)
	return err
}

func (s *SAML) check() error {
	from := 0
	for _, text := range []string{s.File, s.Program, s.StartURL} {
		if text != "" {
			from++
		}
	}
	if from != 1 {
		return fmt.Errorf("saml needs exactly one of file, program and startURL, got %d", from)
	}
	u, err := url.Parse(s.StartURL)
	switch {
	case s.StartURL != "" && (err != nil || u.Scheme != "https" || u.Host == ""):
		return fmt.Errorf("startURL %q: want the https address of the provider's page for AWS", s.StartURL)
	case s.Browser != "" && s.StartURL == "":
		return errors.New("saml: browser goes with startURL")
	}
	return nil
}

// The lengths of a session that CreateSession takes (IAM Roles Anywhere API
// reference, CreateSession, durationSeconds).
const (
	minAnywhere = 15 * time.Minute
	maxAnywhere = 12 * time.Hour
)

func (r *RolesAnywhere) check() error {
	anchor, err := anywhereARN("trustAnchor", r.TrustAnchor, "trust-anchor")
	if err != nil {
		return err
	}
	profile, err := anywhereARN("profile", r.Profile, "profile")
	if err != nil {
		return err
	}
	if _, err := roleARN("role", r.Role); err != nil {
		return err
	}
	switch d := time.Duration(r.Duration); {
	case profile.Region != anchor.Region:
		return fmt.Errorf("the profile is in %s and the trust anchor in %s; both must be in one Region", profile.Region, anchor.Region)
	case r.Region != "" && r.Region != anchor.Region:
		return fmt.Errorf("region %s: the trust anchor is in %s; leave region out", r.Region, anchor.Region)
	case d != 0 && (d < minAnywhere || d > maxAnywhere):
		return fmt.Errorf("duration %s: want 15m to 12h", d)
	case r.SessionName != "" && r.SessionName != creds.SessionName(r.SessionName):
		return fmt.Errorf("sessionName %q: want 2 to 64 letters, digits or any of _+=,.@-", r.SessionName)
	}
	if u, err := url.Parse(r.Endpoint); r.Endpoint != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		return fmt.Errorf("endpoint %q: want an https address", r.Endpoint)
	}
	return r.checkKey()
}

func (r *RolesAnywhere) checkKey() error {
	token := strings.HasPrefix(r.Certificate, "pkcs11:")
	switch {
	case (r.Certificate == "") == (r.Selector == ""):
		return errors.New("rolesAnywhere needs either certificate or selector")
	case r.Selector != "" && (r.PrivateKey != "" || r.Intermediates != ""):
		return errors.New("a certificate of the system's store (selector) has its key and intermediates there; leave privateKey and intermediates out")
	case r.PrivateKey == "" && r.Selector == "" && !token:
		return errors.New("rolesAnywhere needs a privateKey: a file, a pkcs11: URI, or the handle: of a key in the TPM")
	}
	for _, f := range []struct{ field, value string }{
		{"certificate", r.Certificate}, {"privateKey", r.PrivateKey}, {"intermediates", r.Intermediates}, {"pkcs11Library", r.PKCS11Library},
	} {
		switch {
		case strings.HasPrefix(f.value, "pkcs11:") && strings.Contains(f.value, "pin-value"):
			return fmt.Errorf("%s: a PIN in a URI (pin-value) would be for all to see; leave it out, and the helper asks for it", f.field)
		case KeyFile(f.value) && !filepath.IsAbs(f.value):
			return fmt.Errorf("%s %q: want an absolute path", f.field, f.value)
		}
	}
	return nil
}

// KeyFile reports that a certificate or key of [RolesAnywhere] is a file, and not
// a thing of a token, of the TPM, or none at all.
func KeyFile(text string) bool {
	return text != "" && !strings.HasPrefix(text, "pkcs11:") && !strings.HasPrefix(text, "handle:")
}

func anywhereARN(field, text, kind string) (arn.ARN, error) {
	a, err := arn.Parse(text)
	switch {
	case err != nil:
		return a, fmt.Errorf("reading %s: %w", field, err)
	case a.Service != "rolesanywhere" || a.Type() != kind || a.Region == "" || a.Account == "":
		return a, fmt.Errorf("%s %s: want the ARN of a Roles Anywhere %s, like arn:aws:rolesanywhere:REGION:ACCOUNT:%s/ID", field, text, strings.ReplaceAll(kind, "-", " "), kind)
	}
	return a, nil
}

func roleARN(field, text string) (arn.ARN, error) {
	a, err := arn.Parse(text)
	switch {
	case err != nil:
		return a, fmt.Errorf("reading %s: %w", field, err)
	case a.Service != "iam" || a.Type() != "role":
		return a, fmt.Errorf("%s: %s is not the ARN of a role", field, text)
	}
	return a, nil
}

// OfJob reports that the source's credentials depend on a token of the job that
// this process runs in, so that what one process found no other may take for its own.
func (s *Source) OfJob() bool { return s.WebIdentity != nil }

// OwnRole is the role that the source enters by itself, the zero ARN for none.
func (s *Source) OwnRole() arn.ARN {
	text := ""
	switch {
	case s.WebIdentity != nil:
		text = s.WebIdentity.Role
	case s.RolesAnywhere != nil:
		text = s.RolesAnywhere.Role
	}
	a, _ := arn.Parse(text) // checked when the book was read
	return a
}

// Opens reports that the source has no credentials of its own: what it holds
// opens the first role of an address, which must name one.
func (s *Source) Opens() bool {
	return s.SAML != nil || s.WebIdentity != nil && s.WebIdentity.Role == ""
}
