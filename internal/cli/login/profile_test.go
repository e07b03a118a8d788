package login_test

import (
	"crypto/sha1"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
)

const profilesOfCenters = `[sso-session corp]
sso_start_url = https://acme.awsapps.com/start
sso_region = us-east-1
sso_registration_scopes = sso:account:access

[profile reader]
sso_session = corp
sso_account_id = 100000000003
sso_role_name = ReadOnly
region = eu-west-1

[profile admin]
sso_session = corp
sso_account_id = 100000000004
sso_role_name = Admin

[profile worker]
role_arn = arn:aws:iam::100000000004:role/work
source_profile = admin

[profile old]
sso_start_url = https://acme.awsapps.com/start
sso_region = us-east-1
sso_account_id = 100000000006
sso_role_name = Admin

[profile without]
sso_session = corp
sso_account_id = 100000000006

[profile bare]
sso_session = corp

[profile wrong]
sso_session = corp
sso_account_id = 1234
sso_role_name = Admin
`

// profiles is a world whose person has AWS profiles of an Identity Center, and no
// source.
func profiles(t *testing.T) *logintest.World {
	t.Helper()
	w := logintest.New(t)
	if err := os.Remove(filepath.Join(w.Dir, ".config/stile/sessions.yaml")); err != nil {
		t.Fatal(err)
	}
	w.Write(t, ".aws/config", profilesOfCenters)
	return w
}

func tokenOf(w *logintest.World, name string) string {
	sum := sha1.Sum([]byte(name))
	return filepath.Join(w.Dir, ".aws/sso/cache", hex.EncodeToString(sum[:])+".json")
}

// work makes the role that profile worker enters, for who is identity.
func work(t *testing.T, w *logintest.World, identity string) {
	t.Helper()
	first, _, _ := strings.Cut(identity, "\n")
	parts := strings.Split(first, "/") // arn:aws:sts::ID:assumed-role/NAME/alice
	if len(parts) != 3 {
		t.Fatalf("identity %q", identity)
	}
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"arn:aws:iam::` +
		string(logintest.Account(4)) + `:role/aws-reserved/sso.amazonaws.com/` + parts[1] + `"}}]}`
	if _, err := w.IAM(logintest.Account(4)).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("work"), AssumeRolePolicyDocument: aws.String(trust)}); err != nil {
		t.Fatal(err)
	}
}

// What the AWS CLI and the SDKs leave to aws sso login is done where it is needed:
// once for all profiles of the session, and where the AWS CLI finds it.
func TestProfilesOfAnIdentityCenterSignIn(t *testing.T) {
	w := profiles(t)
	var addresses []string
	for range 10 {
		addresses = append(addresses, "reader", "admin")
	}
	logintest.Succeeded(t, addresses, w.Herd(t, addresses))
	if n := w.Pages(t); n != 1 {
		t.Errorf("%d pages were opened, want 1", n)
	}
	if calls := w.Since(); calls["GetRoleCredentials"] != 2 || calls["RegisterClient"] != 1 {
		t.Errorf("calls %v, want two of GetRoleCredentials and one of RegisterClient", calls)
	}
	if _, err := os.Stat(tokenOf(w, "corp")); err != nil {
		t.Errorf("the AWS CLI would not find the sign-in: %v", err)
	}
	work(t, w, w.Stile(t, nil, "whoami", "admin").Stdout)
	for profile, want := range map[string]string{"reader": "AWSReservedSSO_ReadOnly_", "admin": "AWSReservedSSO_Admin_", "worker": "assumed-role/work/"} {
		if r := w.Stile(t, nil, "whoami", profile); r.Code != 0 || !strings.Contains(r.Stdout, want) {
			t.Errorf("%s: exit %d, %s%s", profile, r.Code, r.Stdout, r.Stderr)
		}
	}
	w.Expire(t)
	w.Since()
	logintest.Succeeded(t, addresses, w.Herd(t, addresses))
	if calls := w.Since(); calls["CreateToken"] != 1 || w.Pages(t) != 1 {
		t.Errorf("refreshed by %v, with %d pages; want one call of CreateToken and no page more", calls, w.Pages(t))
	}
	for profile, want := range map[string]string{
		"wrong":   `.aws/config:36: sso_account_id "1234": want 12 digits`,
		"without": ".aws/config:27: it has no sso_role_name; stile ls lists",
		"bare":    "AWS profile bare, sso_session in ", // and what the SDK says
	} {
		r := w.Stile(t, nil, "exec", profile, "--", "true")
		if r.Code == 0 || !strings.Contains(r.Stderr, want) {
			t.Errorf("%s: exit %d, %s, want %q", profile, r.Code, r.Stderr, want)
		}
	}
}

// A profile without an sso-session keeps its sign-in where older clients look.
func TestProfilesWithoutASession(t *testing.T) {
	w := profiles(t)
	if r := w.Stile(t, nil, "whoami", "old"); r.Code != 0 || !strings.Contains(r.Stdout, "AWSReservedSSO_Admin_") {
		t.Errorf("exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if _, err := os.Stat(tokenOf(w, "https://acme.awsapps.com/start")); err != nil || w.Pages(t) != 1 {
		t.Errorf("%v, %d pages", err, w.Pages(t))
	}
	cache, err := filepath.Glob(filepath.Join(w.Dir, ".cache/stile/*https*"))
	if err != nil || len(cache) > 0 {
		t.Errorf("an address is a file's name: %q, %v", cache, err)
	}
}

// A person who is signed in to a source for the same Identity Center is asked no more.
func TestProfilesUseTheSignInOfASource(t *testing.T) {
	w := profiles(t)
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n  - name: acme\n    identityCenter: {startURL: \"https://acme.awsapps.com/start\", region: us-east-1}\n")
	w.Stile(t, nil, "login", "acme").Want(t, "")
	if r := w.Stile(t, nil, "whoami", "reader"); r.Code != 0 || w.Pages(t) != 1 {
		t.Errorf("exit %d, %d pages, %s", r.Code, w.Pages(t), r.Stderr)
	}
}

// Where nobody may be asked, the command that asks is named, and does it.
func TestProfilesOfAnIdentityCenterSayHowToSignIn(t *testing.T) {
	w := profiles(t)
	quiet := []string{"STILE_NO_LOGIN=1"}
	for profile, login := range map[string]string{"reader": "corp", "old": "https://acme.awsapps.com/start"} {
		r := w.Stile(t, quiet, "whoami", profile)
		r.Refused(t, "run stile login "+login)
		if r := w.Stile(t, quiet, "explain-credential", profile); !strings.Contains(r.Stdout, "GetRoleCredentials of the access portal permission set") || !strings.Contains(r.Stdout, "first somebody has to: sign in") {
			t.Errorf("explained: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
		}
		w.Stile(t, nil, "login", login).Want(t, "")
		if r := w.Stile(t, quiet, "whoami", profile); r.Code != 0 {
			t.Errorf("after the login: exit %d, %s", r.Code, r.Stderr)
		}
	}
	w.Stile(t, nil, "login", "admin", "--force").Want(t, "") // a profile's name does as well
	if w.Pages(t) != 3 {
		t.Errorf("%d pages, want 3", w.Pages(t))
	}
}

// What stays with AWS's SDK says which profile, where, and what it takes.
func TestProfilesOfMachinesSayWhatTheyTake(t *testing.T) {
	w := profiles(t)
	w.Write(t, ".aws/config", `[profile env]
role_arn = arn:aws:iam::100000000005:role/work
credential_source = Environment
[profile ecs]
role_arn = arn:aws:iam::100000000005:role/work
credential_source = EcsContainer
[profile ec2]
role_arn = arn:aws:iam::100000000005:role/work
credential_source = Ec2InstanceMetadata
[profile web]
role_arn = arn:aws:iam::100000000005:role/work
web_identity_token_file = /nonexistent/token
[profile odd]
role_arn = arn:aws:iam::100000000005:role/work
credential_source = Moon
`)
	for profile, want := range map[string][]string{
		"env": {"AWS profile env", ".aws/config:3", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"},
		"ecs": {"AWS profile ecs", ".aws/config:6", "a container of ECS or EKS"},
		"ec2": {"AWS profile ec2", ".aws/config:9", "AWS_EC2_METADATA_DISABLED is true"},
		"web": {"AWS profile web", ".aws/config:12", "/nonexistent/token"},
		"odd": {"AWS profile odd", ".aws/config:15", "want Environment, EcsContainer or Ec2InstanceMetadata"},
	} {
		r := w.Stile(t, nil, "exec", profile, "--", "true")
		for _, text := range want {
			if r.Code == 0 || !strings.Contains(r.Stderr, text) {
				t.Errorf("%s: exit %d, %s, want %q", profile, r.Code, r.Stderr, text)
			}
		}
	}
}
