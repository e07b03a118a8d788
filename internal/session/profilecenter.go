package session

import (
	"strings"
)

// Center is the Identity Center behind a name, as AWS's clients read it: that of a
// profile, by its sso-session or by itself, or an sso-session; nil when there is none
// of the name. It is called as the AWS CLI calls its sign-in, so that one serves both:
// by the sso-session's name, and without one by its address, which does for a name too.
func (s *Shared) Center(name string) *Source {
	if p := s.Profiles[name]; p["sso_session"].Value != "" || p["sso_start_url"].Value != "" {
		return s.centerOf(p)
	}
	if s.SSOSessions[name] != nil {
		return center(name, s.SSOSessions[name])
	}
	for _, p := range s.Profiles {
		if p["sso_session"].Value == "" && p["sso_start_url"].Value == name && name != "" {
			return center(name, p)
		}
	}
	return nil
}

// ByCenter reports a profile whose own credentials an Identity Center gives. What comes
// before that in a profile is as in AWS's SDK for Go.
func (s *Shared) ByCenter(profile string) bool {
	p := s.Profiles[profile]
	for _, earlier := range []string{"aws_access_key_id", "role_arn", "credential_source", "web_identity_token_file"} {
		if p[earlier].Value != "" {
			return false
		}
	}
	return p["sso_account_id"].Value+p["sso_role_name"].Value != "" && s.centerOf(p) != nil
}

// Beginning is the profile that a profile's roles are entered from, over any number of
// them: itself where it enters none.
func (s *Shared) Beginning(profile string) string {
	for seen := map[string]bool{}; !seen[profile]; {
		seen[profile] = true
		p := s.Profiles[profile]
		if next := p["source_profile"].Value; next != "" && p["role_arn"].Value != "" {
			profile = next
		}
	}
	return profile
}

func (s *Shared) centerOf(profile map[string]Setting) *Source {
	if name := profile["sso_session"].Value; name != "" {
		return center(name, s.SSOSessions[name])
	}
	return center(profile["sso_start_url"].Value, profile)
}

func center(name string, settings map[string]Setting) *Source {
	c := &IdentityCenter{StartURL: settings["sso_start_url"].Value, Region: settings["sso_region"].Value}
	if c.StartURL == "" || c.Region == "" {
		return nil
	}
	for scope := range strings.SplitSeq(settings["sso_registration_scopes"].Value, ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			c.Scopes = append(c.Scopes, scope)
		}
	}
	return &Source{Name: name, IdentityCenter: c}
}
