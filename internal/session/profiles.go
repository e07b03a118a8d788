package session

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/stile-aws/stile/arn"
)

// section is one of an AWS config file.
type section struct {
	kind  string // "profile", "sso-session", …
	name  string
	plain string // the name as it is written, with quotes
	line  int
	keys  map[string]string
	lines map[string]int // of keys
}

// FromProfiles makes a book of AWS's own files: of sso-sessions and profiles.
// What has no equal here becomes a source that uses the profile.
func FromProfiles(files []string) (*Book, error) {
	var all []section
	err := eachFile(files, func(_ string, some []section) { all = append(all, some...) })
	if err != nil {
		return nil, err
	}
	im := &importer{sections: all, sources: map[string]string{}, book: &Book{}}
	for i := range all {
		if all[i].kind == "sso-session" {
			im.center(all[i].name, all[i].keys)
		}
	}
	for i := range all {
		if all[i].kind == "profile" {
			im.profile(&all[i])
		}
	}
	return im.book, im.book.check()
}

// eachFile reads the config file, then the credentials file; one that is not
// there is empty. The other is read also where one cannot be.
func eachFile(files []string, take func(file string, all []section)) error {
	var problems error
	for i, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			variable := "AWS_CONFIG_FILE"
			if i > 0 {
				variable = "AWS_SHARED_CREDENTIALS_FILE"
			}
			problems = errors.Join(problems, fmt.Errorf("reading AWS profiles: %w; make it a file that you can read, or have %s name another", err, variable))
			continue
		}
		take(file, sections(text, i > 0))
	}
	return problems
}

// Setting is a value in one of AWS's files, and where it stands.
type Setting struct {
	Value, File string
	Line        int
}

// Shared is the profiles and sso-sessions of AWS's files, by name, as clients
// read them: what the credentials file says of a profile comes before what the
// config file says. The key "" is where a section begins; see also Written.
type Shared struct {
	Profiles, SSOSessions map[string]map[string]Setting
}

// ReadShared reads the config file and the credentials file, in this order. With an
// error comes what could be read.
func ReadShared(files []string) (*Shared, error) {
	s := &Shared{Profiles: map[string]map[string]Setting{}, SSOSessions: map[string]map[string]Setting{}}
	err := eachFile(files, func(file string, all []section) {
		for _, x := range all {
			in := map[string]map[string]map[string]Setting{"profile": s.Profiles, "sso-session": s.SSOSessions}[x.kind]
			if in == nil {
				continue
			}
			if in[x.name] == nil {
				in[x.name] = map[string]Setting{"": {File: file, Line: x.line}}
			}
			begins := in[x.name][""]
			begins.Value = x.plain
			in[x.name][""] = begins
			for key, value := range x.keys {
				in[x.name][key] = Setting{value, file, x.lines[key]}
			}
		}
	})
	return s, err
}

// Written is the name by which AWS's Go SDK finds a profile: it takes quotes for a part
// of the name. Where both files have the profile, that is the credentials file's.
func (s *Shared) Written(profile string) string {
	return cmp.Or(s.Profiles[profile][""].Value, profile)
}

// Loop lists the profiles that are entered from each other in a circle, beginning with
// one on the way from a profile; nil when the way ends.
func (s *Shared) Loop(profile string) []string {
	var way []string
	for profile != "" {
		if i := slices.Index(way, profile); i >= 0 {
			return way[i:]
		}
		p := s.Profiles[profile]
		if p["source_profile"].Value == profile && p["aws_access_key_id"].Value != "" {
			return nil // its own key enters its role
		}
		way, profile = append(way, profile), p["source_profile"].Value
	}
	return nil
}

// MFA is the device whose code a profile's role takes, or that of a profile it is
// entered from; "" for none.
func (s *Shared) MFA(profile string) string {
	for seen := map[string]bool{}; profile != "" && !seen[profile]; profile = s.Profiles[profile]["source_profile"].Value {
		seen[profile] = true
		if p := s.Profiles[profile]; p["role_arn"].Value != "" && p["mfa_serial"].Value != "" {
			return p["mfa_serial"].Value
		}
	}
	return ""
}

// sections parses an AWS file. In the credentials file a section is a profile
// without the word.
func sections(text []byte, credentials bool) []section {
	var out []section
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case trimmed[0] == '[':
			kind, name, plain := heading(trimmed, credentials)
			out = append(out, section{kind: kind, name: name, plain: plain, line: n, keys: map[string]string{}, lines: map[string]int{}})
		case line[0] == ' ' || line[0] == '\t' || len(out) == 0: // of a key that has keys
		default:
			key, value, _ := strings.Cut(trimmed, "=")
			key = strings.ToLower(strings.TrimSpace(key))
			last := &out[len(out)-1]
			last.keys[key], last.lines[key] = strings.TrimSpace(value), n
		}
	}
	return out
}

// heading is what a section is and its name, "" for what the AWS CLI takes for none.
// As there, the credentials file has the names as they are, and the config file has
// them behind a word, quoted as in a shell where they have spaces. AWS's SDKs take
// several words for a name too.
func heading(line string, credentials bool) (kind, name, plain string) {
	head, _, _ := strings.Cut(line[1:], "]")
	head = strings.TrimSpace(head)
	if credentials || head == "default" {
		return "profile", head, head
	}
	kind, plain, several := strings.Cut(head, " ")
	if !several {
		return "", head, head
	}
	plain = strings.TrimSpace(plain)
	if words, err := words(plain); err == nil && len(words) == 1 {
		return kind, words[0], plain
	}
	return kind, plain, plain
}

// words splits as a POSIX shell does, where a quote or a backslash keeps what it
// covers together.
func words(text string) ([]string, error) {
	var out []string
	var word strings.Builder
	var quote rune
	begun, escaped := false, false
	for _, r := range text {
		switch {
		case escaped:
			if quote != 0 && r != quote && r != '\\' {
				word.WriteRune('\\') // it stands for itself there
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			begun, escaped = true, true
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '"' || r == '\'':
			begun, quote = true, r
		case unicode.IsSpace(r):
			if begun {
				out = append(out, word.String())
				word.Reset()
			}
			begun = false
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("a quote is not closed")
	}
	if begun {
		out = append(out, word.String())
	}
	return out, nil
}

type importer struct {
	sections []section
	sources  map[string]string // by what they are: names
	book     *Book
}

var strange = regexp.MustCompile(`[^A-Za-z0-9._@+-]+`)

// name makes a name of ours of one of AWS's, another one if it is taken.
func (im *importer) name(of string) string {
	base := strings.TrimLeft(strange.ReplaceAllString(of, "-"), "-._@+")
	if base == "" {
		base = "profile"
	}
	name := base
	for n := 2; checkName(name) != nil || im.book.Source(name) != nil || im.book.Session(name) != nil; n++ {
		name = base + "-" + strconv.Itoa(n)
	}
	return name
}

// center is the source for an sso-session, or for what a legacy profile says.
func (im *importer) center(name string, keys map[string]string) string {
	what := name + " " + keys["sso_start_url"]
	if known := im.sources[what]; known != "" {
		return known
	}
	c := &IdentityCenter{StartURL: keys["sso_start_url"], Region: keys["sso_region"]}
	for scope := range strings.SplitSeq(keys["sso_registration_scopes"], ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			c.Scopes = append(c.Scopes, scope)
		}
	}
	s := Source{Name: im.name(name), IdentityCenter: c}
	if s.Check() != nil {
		return ""
	}
	im.book.Sources = append(im.book.Sources, s)
	im.sources[what] = s.Name
	return s.Name
}

func (im *importer) profile(p *section) {
	if own := im.book.Session(p.name); own != nil || im.sources["profile "+p.name] != "" {
		return // the credentials file has it too
	}
	switch {
	case p.keys["sso_account_id"] != "" && p.keys["sso_role_name"] != "":
		if source := im.centerOf(p); source != "" {
			im.add(p, Session{Source: source, Account: p.keys["sso_account_id"], Role: p.keys["sso_role_name"]})
		}
	case p.keys["role_arn"] != "" && p.keys["source_profile"] != "" && p.keys["source_profile"] != p.name && p.keys["mfa_serial"] == "":
		im.chain(p)
	case p.keys["aws_access_key_id"] != "" || p.keys["credential_process"] != "" || p.keys["role_arn"] != "" || p.keys["login_session"] != "":
		im.use(p)
	}
}

// centerOf is the Identity Center a profile names, by an sso-session or itself.
func (im *importer) centerOf(p *section) string {
	if name := p.keys["sso_session"]; name != "" {
		i := slices.IndexFunc(im.sections, func(s section) bool { return s.kind == "sso-session" && s.name == name })
		if i < 0 {
			return ""
		}
		return im.center(name, im.sections[i].keys)
	}
	host := strings.TrimPrefix(p.keys["sso_start_url"], "https://")
	host, _, _ = strings.Cut(host, ".")
	return im.center(host, p.keys)
}

// chain is a role that is entered through another profile. One that begins with
// what has no equal here is used as it is.
func (im *importer) chain(p *section) {
	role, err := arn.Parse(p.keys["role_arn"])
	i := slices.IndexFunc(im.sections, func(s section) bool { return s.kind == "profile" && s.name == p.keys["source_profile"] })
	if err != nil || i < 0 || im.sections[i].keys["sso_account_id"] == "" || im.sections[i].keys["sso_role_name"] == "" {
		im.use(p)
		return
	}
	from := &im.sections[i]
	source := im.centerOf(from)
	if source == "" {
		im.use(p)
		return
	}
	im.add(p, Session{
		Source: source, Account: string(role.Account), Role: role.String(), ExternalID: p.keys["external_id"],
		Via: []string{from.keys["sso_account_id"] + "/" + from.keys["sso_role_name"]},
	})
}

// use makes a source that goes by the profile.
func (im *importer) use(p *section) {
	if strings.Contains(p.keys["credential_process"], "stile credential-process") {
		return // it leads here
	}
	im.sources["profile "+p.name] = p.name
	im.book.Sources = append(im.book.Sources, Source{Name: im.name(p.name), Profile: &Profile{Name: p.name}})
}

func (im *importer) add(p *section, s Session) {
	s.Name = im.name(p.name)
	if region := p.keys["region"]; checkRegion(region) == nil { // aws-global, say, is of no use to a session
		s.Region = region
	}
	if n, err := strconv.Atoi(p.keys["duration_seconds"]); err == nil {
		if d := Duration(time.Duration(n) * time.Second); d.possible() {
			s.Duration = d
		}
	}
	if s.Check() == nil {
		im.book.Sessions = append(im.book.Sessions, s)
	}
}
