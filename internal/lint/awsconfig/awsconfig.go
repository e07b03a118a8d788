// Package awsconfig lints AWS config and credentials files: what the clients do
// not find, or read otherwise than it looks.
//
// Start with [Config] or [Credentials]. The package reads the dialect the
// clients share and follows nothing outside the one file.
package awsconfig

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/rule"
)

// setting is one line key = value.
type setting struct {
	key, value string
	line       int
	column     int // of the value
}

// section is a heading and the settings under it.
type section struct {
	heading  string // between the brackets
	line     int
	settings []setting
}

func (s *section) get(key string) (setting, bool) {
	i := slices.IndexFunc(s.settings, func(x setting) bool { return x.key == key })
	if i < 0 {
		return setting{}, false
	}
	return s.settings[i], true
}

// Config checks an AWS config file (~/.aws/config, AWS_CONFIG_FILE).
func Config(file string, src []byte) rule.List {
	c := &configFile{file: file}
	c.read(src)
	for i := range c.sections {
		s := &c.sections[i]
		_, isProfile := profileName(s.heading)
		if !isProfile && !strings.HasPrefix(s.heading, "sso-session ") && !strings.HasPrefix(s.heading, "services ") &&
			!slices.Contains([]string{"plugins", "preview"}, s.heading) {
			c.add(rule.Finding{
				Pos: c.at(s.line, 1), Code: rule.NoPrefix,
				Summary: fmt.Sprintf("clients do not find the profile [%s] in a config file", s.heading),
				Detail:  "Only default stands alone there; the headings of other profiles begin with the word profile.",
				Hint:    fmt.Sprintf("write [profile %s]", s.heading),
			})
		}
		if isProfile {
			c.profile(s)
		}
	}
	c.list.Sort()
	return c.list
}

// Credentials checks an AWS credentials file (~/.aws/credentials,
// AWS_SHARED_CREDENTIALS_FILE).
func Credentials(file string, src []byte) rule.List {
	c := &configFile{file: file, credentials: true}
	c.read(src)
	for i := range c.sections {
		s := &c.sections[i]
		kind, name, _ := strings.Cut(s.heading, " ")
		switch {
		case kind == "profile" && name != "":
			c.add(rule.Finding{
				Pos: c.at(s.line, 1), Code: rule.ProfileHeading,
				Summary: fmt.Sprintf("clients do not find the profile %s: headings of a credentials file are names alone", name),
				Detail:  "The word profile belongs into config files; here it becomes part of the name.",
				Hint:    fmt.Sprintf("write [%s], or move the section to ~/.aws/config", name),
			})
		case (kind == "sso-session" || kind == "services") && name != "":
			c.add(rule.Finding{
				Pos: c.at(s.line, 1), Code: rule.ForeignSection,
				Summary: fmt.Sprintf("clients read [%s] from config files only", s.heading),
				Hint:    "move the section to ~/.aws/config",
			})
		}
		c.profile(s)
	}
	c.list.Sort()
	return c.list
}

type configFile struct {
	file        string
	credentials bool
	sections    []section
	list        rule.List
}

func (c *configFile) at(line, column int) diag.Position {
	return diag.Position{File: c.file, Line: line, Column: column}
}

func (c *configFile) add(d rule.Finding) { c.list.Add(d) }

// profileName is the profile a heading of a config file declares.
func profileName(heading string) (string, bool) {
	if heading == "default" {
		return heading, true
	}
	name, ok := strings.CutPrefix(heading, "profile ")
	name = strings.Trim(strings.TrimSpace(name), `"'`)
	return name, ok && name != ""
}

// read parses the INI dialect the AWS clients share: sections, settings,
// comments at the beginning of a line, indented nested settings, which are not
// looked at.
func (c *configFile) read(src []byte) {
	for i, line := range strings.Split(string(src), "\n") {
		line = strings.TrimRight(line, "\r")
		text := strings.TrimSpace(line)
		switch {
		case text == "" || text[0] == '#' || text[0] == ';':
		case text[0] == '[':
			c.heading(text, i+1)
		case line[0] == ' ' || line[0] == '\t':
			if len(c.sections) == 0 {
				c.syntax(i + 1)
			}
		default:
			c.setting(line, i+1)
		}
	}
}

func (c *configFile) syntax(line int) {
	c.add(rule.Finding{
		Pos: c.at(line, 1), Code: rule.ConfigSyntax,
		Summary: "the line is neither a [section], a setting = value nor a comment",
	})
}

func (c *configFile) heading(text string, line int) {
	inner, rest, found := strings.Cut(text[1:], "]")
	rest = strings.TrimSpace(rest)
	if !found || rest != "" && rest[0] != '#' && rest[0] != ';' {
		c.syntax(line)
		return
	}
	heading := strings.Join(strings.Fields(inner), " ")
	for _, s := range c.sections {
		if s.heading == heading {
			c.add(rule.Finding{
				Pos: c.at(line, 1), Code: rule.Repeated, Anchor: "[" + heading + "]",
				Summary: fmt.Sprintf("the section [%s] is already in line %d", heading, s.line),
				Hint:    "write one section: clients differ in how they merge two",
			})
		}
	}
	c.sections = append(c.sections, section{heading: heading, line: line})
}

func (c *configFile) setting(line string, number int) {
	key, value, found := strings.Cut(line, "=")
	if !found || len(c.sections) == 0 {
		c.syntax(number)
		return
	}
	column := len(key) + 2 + len(value) - len(strings.TrimLeft(value, " \t"))
	x := setting{key: strings.ToLower(strings.TrimSpace(key)), value: strings.TrimSpace(value), line: number, column: column}
	s := &c.sections[len(c.sections)-1]
	if _, twice := s.get(x.key); twice {
		c.add(rule.Finding{
			Pos: c.at(number, 1), Code: rule.Repeated,
			Summary: fmt.Sprintf("%s is set twice in [%s]", x.key, s.heading),
		})
	}
	s.settings = append(s.settings, x)
}

// profile checks one profile's settings.
func (c *configFile) profile(s *section) {
	for _, x := range s.settings {
		c.known(x)
		if x.key == "web_identity_token_file" {
			c.tokenFile(x)
		}
	}
	role, hasRole := s.get("role_arn")
	if !hasRole {
		return
	}
	a, err := arn.Parse(role.value)
	if !strings.ContainsAny(role.value, "<$") && (err != nil || a.Service != "iam" || a.Type() != "role" || !a.Account.Valid()) && !HasPlaceholder(role.value) {
		c.add(rule.Finding{
			Pos: c.at(role.line, role.column), Code: rule.ConfigRole,
			Summary: fmt.Sprintf("%q is not the ARN of a role", role.value),
			Hint:    "a role's ARN is arn:aws:iam::ACCOUNT:role/NAME",
		})
	}
	c.roleSource(s, role)
}

// HasPlaceholder reports whether an ARN's account is a word in capitals to be
// replaced by the reader, as articles have it.
func HasPlaceholder(value string) bool {
	parts := strings.Split(value, ":")
	return len(parts) > 4 && parts[4] != "" && strings.Trim(parts[4], "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-") == ""
}

// settings that AWS clients read in profiles, and those other tools are known
// to keep there (AWS SDKs and tools reference guide, "Settings reference").
func knownSettings() []string {
	return []string{
		"role_arn", "source_profile", "credential_source", "external_id", "mfa_serial", "duration_seconds", "role_session_name",
		"web_identity_token_file", "credential_process", "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_account_id",
		"sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name", "sso_registration_scopes", "login_session",
		"region", "output", "endpoint_url", "services", "ca_bundle", "max_attempts", "retry_mode", "sts_regional_endpoints",
		"use_fips_endpoint", "use_dualstack_endpoint", "parameter_validation", "defaults_mode", "sigv4a_signing_region_set",
		"cli_pager", "cli_timestamp_format", "cli_binary_format", "cli_auto_prompt", "cli_follow_urlparam", "cli_history", "s3",
		"ec2_metadata_service_endpoint", "ec2_metadata_service_endpoint_mode", "ec2_metadata_v1_disabled", "metadata_service_timeout",
		"metadata_service_num_attempts", "tcp_keepalive", "api_versions", "request_checksum_calculation", "response_checksum_validation",
		"include_profile", "session_tags", "transitive_session_tags", "source_identity", "mfa_process", "web_identity_token_process",
	}
}

func (c *configFile) known(x setting) {
	if slices.Contains(knownSettings(), x.key) || len(x.key) < 5 {
		return
	}
	if near := diag.Suggest(x.key, knownSettings()); near != "" && near[0] == x.key[0] {
		c.add(rule.Finding{
			Pos: c.at(x.line, 1), Code: rule.UnknownSetting,
			Summary: fmt.Sprintf("clients ignore the setting %q", x.key),
			Hint:    fmt.Sprintf("did you mean %q?", near),
		})
	}
}

func (c *configFile) tokenFile(x setting) {
	why := ""
	last := path.Base(x.value)
	switch {
	case x.value == "":
		why = "is empty"
	case strings.HasSuffix(last, ".") || strings.HasSuffix(last, ","):
		why = "ends with a stray " + last[len(last)-1:]
	case strings.ContainsAny(x.value, `"'`):
		why = "has quotes, which become part of the path"
	case !strings.HasPrefix(x.value, "/") && !strings.HasPrefix(x.value, "~") && !strings.HasPrefix(x.value, "$") && !strings.Contains(x.value, `:\`):
		why = "is relative, so it depends on the directory the client runs in"
	default:
		return
	}
	d := rule.Finding{
		Pos: c.at(x.line, x.column), Code: rule.TokenFile,
		Summary: fmt.Sprintf("the token file path %q %s", x.value, why),
		Detail:  "The client reads exactly this file and fails when it does not exist.",
	}
	if clean := strings.TrimRight(strings.Trim(x.value, `"'`), ".,"); clean != x.value && clean != "" {
		d.Hint = fmt.Sprintf("write %s", clean)
	}
	switch {
	case x.value == "":
		d.Hint = "name the file, or remove the setting"
	case strings.HasPrefix(why, "is relative"):
		d.Severity, d.Hint = rule.Medium, "write the absolute path"
	}
	c.add(d)
}

func (c *configFile) roleSource(s *section, role setting) {
	var sources []string
	for _, key := range []string{"source_profile", "credential_source", "web_identity_token_file"} {
		if _, ok := s.get(key); ok {
			sources = append(sources, key)
		}
	}
	if len(sources) != 1 {
		d := rule.Finding{
			Pos: c.at(role.line, 1), Code: rule.RoleSource,
			Summary: "role_arn without the credentials to assume the role with",
			Hint:    "add source_profile, credential_source or web_identity_token_file",
		}
		if len(sources) > 1 {
			d.Summary = "role_arn with " + strings.Join(sources, " and ")
			d.Hint = "keep one of them: clients differ in which they use"
		}
		c.add(d)
		return
	}
	if source, ok := s.get("source_profile"); ok {
		c.sourceProfile(s, source)
	}
}

// find returns the section of a profile in this file.
func (c *configFile) find(profile string) *section {
	for i := range c.sections {
		name, ok := profileName(c.sections[i].heading)
		if c.credentials {
			name, ok = c.sections[i].heading, true
		}
		if ok && name == profile {
			return &c.sections[i]
		}
	}
	return nil
}

func (c *configFile) sourceProfile(s *section, source setting) {
	from := c.find(source.value)
	if from == nil {
		c.add(rule.Finding{
			Pos: c.at(source.line, source.column), Code: rule.UnknownProfile,
			Summary: fmt.Sprintf("this file has no profile %q", source.value),
			Hint:    c.suggestProfile(source.value),
		})
		return
	}
	seen := []*section{s}
	for at := from; at != nil; {
		if slices.Contains(seen, at) {
			// A profile may be its own source when it has static keys.
			if _, static := at.get("aws_access_key_id"); !static {
				c.add(rule.Finding{
					Pos: c.at(source.line, source.column), Code: rule.ProfileCycle,
					Summary: fmt.Sprintf("source_profile %s leads back to [%s]", source.value, at.heading),
					Hint:    "end the chain at a profile with credentials of its own",
				})
			}
			return
		}
		seen = append(seen, at)
		next, ok := at.get("source_profile")
		if !ok {
			break
		}
		at = c.find(next.value)
	}
	c.chainedDuration(s, from)
}

func (c *configFile) suggestProfile(name string) string {
	var known []string
	for _, s := range c.sections {
		if p, ok := profileName(s.heading); ok {
			known = append(known, p)
		}
	}
	if hint := diag.DidYouMean(name, known); hint != "" {
		return hint
	}
	return "it must be in the credentials file then"
}

// chainedDuration: a role session made by another role session lasts an hour
// at most, and a longer duration is refused (IAM guide, role chaining).
func (c *configFile) chainedDuration(s, from *section) {
	duration, ok := s.get("duration_seconds")
	if _, chained := from.get("role_arn"); !ok || !chained {
		return
	}
	if n, err := strconv.Atoi(duration.value); err == nil && n > catalog.ChainedSessionSeconds {
		c.add(rule.Finding{
			Pos: c.at(duration.line, duration.column), Code: rule.ChainedDuration,
			Summary: fmt.Sprintf("a role assumed from another role's session lasts at most %d seconds; AWS refuses %d", catalog.ChainedSessionSeconds, n),
			Hint:    "remove duration_seconds; clients renew the session by themselves",
		})
	}
}
