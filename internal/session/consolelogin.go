package session

import (
	"errors"
	"fmt"

	"github.com/stile-aws/stile/arn"
)

// ConsoleLogin is a person's sign-in to the AWS console, which command lines have
// credentials of, as by `aws login`.
type ConsoleLogin struct {
	Region string `yaml:"region" json:"region"` // where it is begun and refreshed
	// Identity is the ARN of the user, root user or role session that may sign in.
	// Default: whoever does first.
	Identity string `yaml:"identity,omitempty" json:"identity,omitempty"`
	Port     int    `yaml:"port,omitempty" json:"port,omitempty"` // of the sign-in's answer; default: any
}

func (c *ConsoleLogin) check() error {
	if c.Identity != "" {
		a, err := arn.Parse(c.Identity)
		if err != nil {
			return fmt.Errorf("reading identity: %w", err)
		}
		_, _, role := a.RoleSession()
		if !role && (a.Service != "iam" || a.Type() != "user" && a.Resource != "root") {
			return fmt.Errorf("identity %s: want the ARN of a user, of an account's root, or of a role's session, like arn:aws:sts::ACCOUNT:assumed-role/ROLE/NAME", c.Identity)
		}
	}
	switch {
	case c.Region == "":
		return errors.New("consoleLogin needs the region to sign in at")
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("port %d: want 1 to 65535", c.Port)
	}
	return checkRegion(c.Region)
}

// LoginSession is the identity that a profile signs in as by `aws login`, "" for a
// profile whose credentials are others: AWS's SDKs take keys, roles and Identity
// Center first.
func (s *Shared) LoginSession(profile string) string {
	p := s.Profiles[profile]
	for _, before := range []string{"aws_access_key_id", "role_arn", "web_identity_token_file", "sso_session", "sso_account_id", "sso_start_url"} {
		if p[before].Value != "" {
			return ""
		}
	}
	return p["login_session"].Value
}
