package session_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/session"
)

const book = `# my sources
sources:
  # the company's
  - name: acme # since 2024
    identityCenter:
      startURL: https://acme.awsapps.com/start
      region: eu-central-1 # Frankfurt
  - name: gov
    identityCenter: {startURL: "https://gov.awsapps.com/start", region: us-gov-west-1}
  - name: me
    user: {account: "999999999999"}
sessions:
  # careful
  - name: prod-db
    source: acme
    account: orders-prod
    role: db-admin
    via: [tooling/Hub]
    externalId: xid
    region: eu-west-1
    labels: {env: prod}
    duration: 30m
  - {name: audit, source: me, account: "222222222222", role: auditor}
# the end
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stile", "sessions.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) *session.Book {
	t.Helper()
	b, err := session.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lists is what Identity Centers list; those in asked are known only when asked.
type lists struct {
	known, asked           map[string][]session.Account
	knownRoles, askedRoles map[string][]string // by SOURCE/ID
}

func (l lists) KnownRoles(s *session.Source, account arn.AccountID) ([]string, bool) {
	names, ok := l.knownRoles[s.Name+"/"+string(account)]
	return names, ok
}

func (l lists) Roles(_ context.Context, s *session.Source, account arn.AccountID) ([]string, error) {
	if names, ok := l.askedRoles[s.Name+"/"+string(account)]; ok {
		return names, nil
	}
	return nil, errors.New("not signed in to " + s.Name)
}

func (l lists) Known(s *session.Source) []session.Account { return l.known[s.Name] }

func (l lists) Accounts(_ context.Context, s *session.Source) ([]session.Account, error) {
	if all, ok := l.asked[s.Name]; ok {
		return all, nil
	}
	return nil, errors.New("not signed in to " + s.Name)
}

func TestAddresses(t *testing.T) {
	b := read(t, write(t, book))
	acme := []session.Account{{ID: "111111111111", Name: "tooling"}, {ID: "222222222222", Name: "orders-prod"}, {ID: "333333333333", Name: "both"}}
	gov := []session.Account{{ID: "444444444444", Name: "both"}, {ID: "555555555555", Name: "secret/things"}}
	l := lists{known: map[string][]session.Account{"acme": acme, "gov": gov}, asked: map[string][]session.Account{"acme": acme, "gov": gov}}
	for _, c := range []struct {
		address, source, account, role, set string
		hops                                []creds.Role
	}{
		{address: "orders-prod/ReadOnly", source: "acme", account: "222222222222", role: "ReadOnly", set: "ReadOnly"},
		{address: "222222222222/ReadOnly", source: "acme", account: "222222222222", role: "ReadOnly", set: "ReadOnly"},
		{address: "secret/things/Admin", source: "gov", account: "555555555555", role: "Admin", set: "Admin"},
		{address: "gov:both/Admin", source: "gov", account: "444444444444", role: "Admin", set: "Admin"},
		{address: "me", source: "me", account: "999999999999"},
		{address: "me:", source: "me", account: "999999999999"},
		{
			address: "prod-db", source: "acme", account: "222222222222", role: "db-admin", set: "Hub",
			hops: []creds.Role{{ARN: "arn:aws:iam::222222222222:role/db-admin", ExternalID: "xid", Duration: 30 * time.Minute}},
		},
		{address: "audit", source: "me", account: "222222222222", role: "auditor", hops: []creds.Role{{ARN: "arn:aws:iam::222222222222:role/auditor"}}},
		{address: "me:orders-prod/x", source: "me", account: "222222222222", role: "x", hops: []creds.Role{{ARN: "arn:aws:iam::222222222222:role/x"}}},
	} {
		got, err := b.Resolve(t.Context(), c.address, l)
		if err != nil {
			t.Errorf("Resolve(%q): %v", c.address, err)
			continue
		}
		if got.Source.Name != c.source || string(got.Account) != c.account || got.Role() != c.role || got.PermissionSet != c.set || !cmp.Equal(got.Hops, c.hops) {
			t.Errorf("Resolve(%q) = %+v, role %q, want %+v", c.address, got, got.Role(), c)
		}
	}
	for address, want := range map[string]string{
		"both/Admin":       "gov:444444444444/Admin",
		"acme":             "say acme:ACCOUNT/ROLE",
		"acme:x":           "want acme:ACCOUNT/ROLE",
		"order-prod/Admin": `did you mean "orders-prod"?`,
		"prod-dp":          `did you mean "prod-db"?`,
	} {
		if got, err := b.Resolve(t.Context(), address, l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Resolve(%q) = %v, %v, want %q", address, got, err, want)
		}
	}
	if _, err := b.Resolve(t.Context(), "nothing", l); !errors.Is(err, session.ErrUnknown) {
		t.Errorf("Resolve(nothing) = %v, want ErrUnknown", err)
	}
}

func TestWhatIsKnownIsNotAskedFor(t *testing.T) {
	b := read(t, write(t, book))
	l := lists{known: map[string][]session.Account{"acme": {{ID: "222222222222", Name: "orders-prod"}}}}
	if got, err := b.Resolve(t.Context(), "orders-prod/A", l); err != nil || got.Source.Name != "acme" {
		t.Errorf("Resolve = %v, %v, want acme's without asking gov", got, err)
	}
	if _, err := b.Resolve(t.Context(), "new/A", l); err == nil || !strings.Contains(err.Error(), "not signed in to gov") {
		t.Errorf("Resolve = %v, want that it asks all", err)
	}
}

func TestEditsKeepCommentsAndTheRest(t *testing.T) {
	path := write(t, book)
	b := read(t, path)
	acme := *b.Source("acme")
	acme.IdentityCenter.Port = 8400
	x := *b.Session("prod-db")
	x.Role = "db-reader"
	err := session.Edit(t.Context(), path, session.Change{
		Sources:  []session.Source{acme, {Name: "vendor", Process: &session.Process{Command: "vendor-helper"}}},
		Sessions: []session.Session{x}, Remove: []string{"audit"},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# my sources", "# the company's", "# since 2024", "# Frankfurt", "# careful", "port: 8400", "role: db-reader", "command: vendor-helper", "duration: 30m"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is gone:\n%s", want, text)
		}
	}
	now := read(t, path)
	if now.Session("audit") != nil || now.Source("vendor") == nil || now.Session("prod-db").Role != "db-reader" || len(now.Sources) != 4 {
		t.Errorf("the book is %+v", now)
	}
	if diff := cmp.Diff(b.Source("gov"), now.Source("gov")); diff != "" {
		t.Errorf("gov changed:\n%s", diff)
	}
}

func TestEditsThatWouldBreakTheBookAreRefused(t *testing.T) {
	for name, c := range map[string]session.Change{
		"a source in use":        {Remove: []string{"acme"}},
		"nothing of the name":    {Remove: []string{"nobody"}},
		"a source of two kinds":  {Sources: []session.Source{{Name: "two", Profile: &session.Profile{Name: "a"}, Process: &session.Process{Command: "b"}}}},
		"a source of none":       {Sources: []session.Source{{Name: "none"}}},
		"a name that is no name": {Sources: []session.Source{{Name: "a/b", Profile: &session.Profile{Name: "a"}}}},
		"a taken name":           {Sessions: []session.Session{{Name: "acme", Source: "me"}}},
		"no source of the name":  {Sessions: []session.Session{{Name: "x", Source: "nobody"}}},
		"http":                   {Sources: []session.Source{{Name: "x", IdentityCenter: &session.IdentityCenter{StartURL: "http://x", Region: "us-east-1"}}}},
	} {
		path := write(t, book)
		if err := session.Edit(t.Context(), path, c); err == nil {
			t.Errorf("%s: the edit is made", name)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != book {
			t.Errorf("%s: the file changed", name)
		}
	}
}

func TestFirstEditMakesTheBook(t *testing.T) {
	for _, text := range []string{"", "# nothing yet\n", "sources:\n", "sources: []\nsessions:\n"} {
		path := write(t, text)
		if err := session.Edit(t.Context(), path, session.Change{Sources: []session.Source{{Name: "p", Profile: &session.Profile{Name: "p"}}}}); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if read(t, path).Source("p") == nil {
			t.Errorf("%q: it is not there", text)
		}
	}
}

func TestMistakesInTheFileHaveAPlace(t *testing.T) {
	_, err := session.Read(write(t, "sources:\n  - name: a\n    profil: {name: x}\n"))
	if err == nil || !strings.Contains(err.Error(), `sessions.yaml:3:5: unknown field "profil"; did you mean "profile"?`) {
		t.Errorf("Read = %v, want the file, the line, the field and the one that is meant", err)
	}
}

// A Region's name becomes part of a host, and of a line of AWS's files.
func TestRegionsThatAreNoneAreRefused(t *testing.T) {
	center := func(region string) string {
		return fmt.Sprintf("sources: [{name: a, identityCenter: {startURL: \"https://a.awsapps.com/start\", region: %q}}]\n", region)
	}
	for _, text := range []string{
		center("eu west"), center("evil.example/"), center("EU-WEST-1"),
		"sources: [{name: a, consoleLogin: {region: xx}}]\n",
		center("eu-west-1") + "sessions: [{name: s, source: a, account: \"222222222222\", role: R, region: \"us-east-1\\ncredential_process = x\"}]\n",
	} {
		if _, err := session.Read(write(t, text)); err == nil || !strings.Contains(err.Error(), "want a Region's name, like eu-west-1") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := session.Read(write(t, center("EU-WEST-1"))); err == nil || !strings.Contains(err.Error(), `did you mean "eu-west-1"?`) {
		t.Errorf("capitals: %v", err)
	}
	if _, err := session.Read(write(t, center("xy-new-9"))); err != nil {
		t.Errorf("a Region of tomorrow: %v", err)
	}
}

func TestProfilesAreTakenOver(t *testing.T) {
	dir := t.TempDir()
	config, credentials := filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
	for path, text := range map[string]string{
		config: `[default]
region = us-east-1
[sso-session acme]
sso_start_url = https://acme.awsapps.com/start
sso_region = eu-central-1
sso_registration_scopes = sso:account:access
[profile prod]
sso_session = acme
sso_account_id = 222222222222
sso_role_name = Admin
region = eu-west-1
[profile legacy one]
sso_start_url = https://old.awsapps.com/start
sso_region = us-east-1
sso_account_id = 333333333333
sso_role_name = View
[profile hop]
role_arn = arn:aws:iam::444444444444:role/path/deploy
source_profile = prod
external_id = xid
duration_seconds = 1800
s3 =
  max_concurrent_requests = 20
[profile plain]
region = aws-global
role_arn = arn:aws:iam::444444444444:role/x
source_profile = keys
[profile ours]
credential_process = /usr/bin/stile credential-process orders/x
[profile vendor]
credential_process = vendor-helper
`,
		credentials: "[keys]\naws_access_key_id = AKIA\naws_secret_access_key = hush\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := session.FromProfiles([]string{config, credentials})
	if err != nil {
		t.Fatal(err)
	}
	want := &session.Book{
		Sources: []session.Source{
			{Name: "acme", IdentityCenter: &session.IdentityCenter{StartURL: "https://acme.awsapps.com/start", Region: "eu-central-1", Scopes: []string{"sso:account:access"}}},
			{Name: "old", IdentityCenter: &session.IdentityCenter{StartURL: "https://old.awsapps.com/start", Region: "us-east-1"}},
			{Name: "plain", Profile: &session.Profile{Name: "plain"}},
			{Name: "vendor", Profile: &session.Profile{Name: "vendor"}},
			{Name: "keys", Profile: &session.Profile{Name: "keys"}},
		},
		Sessions: []session.Session{
			{Name: "prod", Source: "acme", Account: "222222222222", Role: "Admin", Region: "eu-west-1"},
			{Name: "legacy-one", Source: "old", Account: "333333333333", Role: "View"},
			{
				Name: "hop", Source: "acme", Account: "444444444444", Role: "arn:aws:iam::444444444444:role/path/deploy", Via: []string{"222222222222/Admin"},
				ExternalID: "xid", Duration: session.Duration(30 * time.Minute),
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("FromProfiles (-want +got):\n%s", diff)
	}
}

// Names of profiles are quoted as in a shell in the config file, and as they are in the
// credentials file. AWS's Go SDK finds them by what is written.
func TestNamesOfProfiles(t *testing.T) {
	for _, c := range []struct {
		heading       string
		credentials   bool
		name, written string // "" for no profile
	}{
		{"[sand box]", true, "sand box", "sand box"},
		{"[a:b]", true, "a:b", "a:b"},
		{`[profile x]`, true, "profile x", "profile x"},
		{"[default]", false, "default", "default"},
		{"[ profile dev ]", false, "dev", "dev"},
		{`[profile "sand box"]`, false, "sand box", `"sand box"`},
		{`[profile 'sand box'] # here`, false, "sand box", `'sand box'`},
		{`[profile sand\ box]`, false, "sand box", `sand\ box`},
		{`[profile "a\"b\\c\d"]`, false, `a"b\c\d`, `"a\"b\\c\d"`},
		{`[profile 'a\b'"c"d]`, false, `a\bcd`, `'a\b'"c"d`},
		{`[profile ""]`, false, "", ""},
		{"[profile two words]", false, "two words", "two words"}, // SDKs take it
		{`[profile "open]`, false, `"open`, `"open`},
		{"[plain]", false, "", ""},
		{"[profile]", false, "", ""},
	} {
		files := []string{filepath.Join(t.TempDir(), "config"), filepath.Join(t.TempDir(), "credentials")}
		file := files[0]
		if c.credentials {
			file = files[1]
		}
		if err := os.WriteFile(file, []byte(c.heading+"\nregion = eu-west-1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := session.ReadShared(files)
		if err != nil {
			t.Fatal(err)
		}
		if c.name == "" {
			if len(got.Profiles) > 0 && got.Profiles[""] == nil {
				t.Errorf("%s: profiles %v, want none", c.heading, got.Profiles)
			}
			continue
		}
		if got.Profiles[c.name]["region"].Value != "eu-west-1" || got.Written(c.name) != c.written {
			t.Errorf("%s: %v, written %q, want %q, written %q", c.heading, got.Profiles, got.Written(c.name), c.name, c.written)
		}
	}
}

func TestProfilesThatLeadInACircle(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	text := "[profile a]\nsource_profile = b\n[profile b]\nsource_profile = c\n[profile c]\nsource_profile = b\n" +
		"[profile own]\nsource_profile = own\naws_access_key_id = AKIA\n[profile self]\nsource_profile = self\n[profile end]\nsource_profile = own\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	shared, err := session.ReadShared([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{"a": {"b", "c"}, "b": {"b", "c"}, "own": nil, "self": {"self"}, "end": nil, "none": nil} {
		if diff := cmp.Diff(want, shared.Loop(name)); diff != "" {
			t.Errorf("Loop(%q) (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatOpensRolesIsChecked(t *testing.T) {
	const anchor, profile, role = "arn:aws:rolesanywhere:eu-west-1:111111111111:trust-anchor/a", "arn:aws:rolesanywhere:eu-west-1:111111111111:profile/p", "arn:aws:iam::111111111111:role/r"
	good := session.RolesAnywhere{TrustAnchor: anchor, Profile: profile, Role: role, Certificate: "/c.pem", PrivateKey: "/k.pem"}
	for name, c := range map[string]struct {
		change func(*session.RolesAnywhere)
		want   string // "" for nothing
	}{
		"files":   {func(*session.RolesAnywhere) {}, ""},
		"a token": {func(r *session.RolesAnywhere) { r.Certificate, r.PrivateKey = "pkcs11:object=x", "" }, ""},
		"a TPM":   {func(r *session.RolesAnywhere) { r.PrivateKey = "handle:0x81000001" }, ""},
		"the system's store": {func(r *session.RolesAnywhere) {
			r.Certificate, r.PrivateKey, r.Selector = "", "", "Key=x509Subject,Value=CN=x"
		}, ""},
		"another thing's ARN":   {func(r *session.RolesAnywhere) { r.TrustAnchor = role }, "want the ARN of a Roles Anywhere trust anchor"},
		"profile and anchor":    {func(r *session.RolesAnywhere) { r.Profile = anchor }, "want the ARN of a Roles Anywhere profile"},
		"no role":               {func(r *session.RolesAnywhere) { r.Role = "" }, "reading role"},
		"two Regions":           {func(r *session.RolesAnywhere) { r.Profile = strings.Replace(profile, "eu-west-1", "us-east-1", 1) }, "both must be in one Region"},
		"another Region":        {func(r *session.RolesAnywhere) { r.Region = "us-east-1" }, "the trust anchor is in eu-west-1"},
		"no certificate":        {func(r *session.RolesAnywhere) { r.Certificate = "" }, "either certificate or selector"},
		"no key":                {func(r *session.RolesAnywhere) { r.PrivateKey = "" }, "needs a privateKey"},
		"a relative path":       {func(r *session.RolesAnywhere) { r.PrivateKey = "k.pem" }, "want an absolute path"},
		"a PIN":                 {func(r *session.RolesAnywhere) { r.PrivateKey = "pkcs11:object=x;pin-value=1234" }, "would be for all to see"},
		"a minute":              {func(r *session.RolesAnywhere) { r.Duration = session.Duration(time.Minute) }, "want 15m to 12h"},
		"plain HTTP":            {func(r *session.RolesAnywhere) { r.Endpoint = "http://x" }, "want an https address"},
		"a name with spaces":    {func(r *session.RolesAnywhere) { r.SessionName = "a b" }, "sessionName"},
		"a selector with a key": {func(r *session.RolesAnywhere) { r.Certificate, r.Selector = "", "x" }, "leave privateKey and intermediates out"},
	} {
		r := good
		c.change(&r)
		err := (&session.Source{Name: "x", RolesAnywhere: &r}).Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for want, w := range map[string]session.WebIdentity{
		"exactly one of":           {},
		"got 2":                    {GitHub: true, Variable: "X"},
		"audience is of":           {Variable: "X", Audience: "x"},
		"sessionName":              {GitHub: true, SessionName: "a b"},
		"is not the ARN of a role": {GitHub: true, Role: "arn:aws:iam::111111111111:user/x"},
	} {
		if err := (&session.Source{Name: "x", WebIdentity: &w}).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", w, err, want)
		}
	}
}

func TestOneOfAWSsFilesThatCannotBeReadHidesNothingOfTheOther(t *testing.T) {
	dir := t.TempDir() // is no file
	credentials := filepath.Join(dir, "credentials")
	if err := os.WriteFile(credentials, []byte("[own]\naws_access_key_id = AKIA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	shared, err := session.ReadShared([]string{dir, credentials})
	if err == nil || !strings.Contains(err.Error(), dir) || shared.Profiles["own"]["aws_access_key_id"].Value != "AKIA" {
		t.Errorf("got %+v, %v, want the profile, and an error that names %s", shared, err, dir)
	}
}
