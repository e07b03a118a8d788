package session_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/session"
)

const url = "https://acme.awsapps.com/start"

func config(t *testing.T) *session.Shared {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(`[sso-session corp]
sso_start_url = `+url+`
sso_region = eu-west-1
sso_registration_scopes = sso:account:access, other:scope
[sso-session half]
sso_start_url = `+url+`
[profile a]
sso_session = corp
[profile b]
sso_start_url = `+url+`
sso_region = us-east-1
[profile c]
sso_session = nobody
[profile half]
sso_session = half
[profile corp]
region = us-east-1
[profile first]
sso_session = corp
sso_account_id = 111111111111
sso_role_name = Admin
[profile second]
role_arn = arn:aws:iam::222222222222:role/x
source_profile = first
[profile third]
role_arn = arn:aws:iam::222222222222:role/y
source_profile = second
[profile keys]
sso_session = corp
sso_account_id = 111111111111
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
[profile around]
role_arn = arn:aws:iam::222222222222:role/y
source_profile = around
`), 0o600); err != nil {
		t.Fatal(err)
	}
	shared, err := session.ReadShared([]string{path, ""})
	if err != nil {
		t.Fatal(err)
	}
	return shared
}

// A sign-in is named as the AWS CLI names its token's file: by the sso-session, or by
// the address.
func TestCentersOfProfiles(t *testing.T) {
	shared := config(t)
	corp := &session.Source{Name: "corp", IdentityCenter: &session.IdentityCenter{StartURL: url, Region: "eu-west-1", Scopes: []string{"sso:account:access", "other:scope"}}}
	itself := &session.Source{Name: url, IdentityCenter: &session.IdentityCenter{StartURL: url, Region: "us-east-1"}}
	for name, want := range map[string]*session.Source{
		"a": corp, "corp": corp, "b": itself, url: itself, "c": nil, "half": nil, "nobody": nil, "": nil,
	} {
		if diff := cmp.Diff(want, shared.Center(name)); diff != "" {
			t.Errorf("Center(%q) (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhereProfilesBegin(t *testing.T) {
	shared := config(t)
	for name, want := range map[string]string{"first": "first", "second": "first", "third": "first", "around": "around", "nobody": "nobody"} {
		if got := shared.Beginning(name); got != want {
			t.Errorf("Beginning(%q) = %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]bool{"first": true, "second": false, "keys": false, "a": false, "c": false, "nobody": false} {
		if got := shared.ByCenter(name); got != want {
			t.Errorf("ByCenter(%q) = %v, want %v", name, got, want)
		}
	}
}
