package desk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
)

// write writes AWS's config and credentials files.
func (p *place) write(t *testing.T, config, credentials string) {
	t.Helper()
	for name, text := range map[string]string{"config": config, "credentials": credentials} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProfilesOfEveryShapeAreSources(t *testing.T) {
	p := newPlace(t)
	token := p.file(t, "token", p.jobs(t, "deploy")(), 0o600)
	id, secret, _ := p.server.Administrator(orders)
	p.role(t, orders, "view", string(orders))
	p.role(t, tooling, "hub", "arn:aws:iam::222222222222:role/view")
	out := p.file(t, "out", fmt.Sprintf(`{"Version":1,"AccessKeyId":%q,"SecretAccessKey":%q}`, id, secret), 0o600)
	p.write(t, strings.Join([]string{
		"[sso-session acme]\nsso_start_url = https://acme.awsapps.com/start\nsso_region = us-east-1\nsso_registration_scopes = sso:account:access\n",
		"[profile center]\nsso_session = acme\nsso_account_id = 222222222222\nsso_role_name = Admin\nsso_auto_populated = true\ncommon_fate_generated_from = aws-sso\n",
		"[profile role]\nrole_arn = arn:aws:iam::222222222222:role/view\nsource_profile = keys\nrole_session_name = jane\nexternal_id = xid\nsession_tags = a=b\ntransitive_session_tags = a\nsource_identity = jane\n",
		"[profile deep]\nrole_arn = arn:aws:iam::111111111111:role/hub\nsource_profile = role\nrole_session_name = jane\ninclude_profile = x\nautoawsume = true\n",
		"[profile env]\nrole_arn = arn:aws:iam::222222222222:role/view\ncredential_source = Environment\nrole_session_name = jane\n",
		"[profile web]\nrole_arn = arn:aws:iam::222222222222:role/deploy\nweb_identity_token_file = " + token + "\nrole_session_name = job\nweb_identity_token_process = none\n",
		"[profile program]\ncredential_process = cat " + out + "\nmfa_process = none\ngranted_sso_start_url = x\n",
	}, "\n"), "[keys]\naws_access_key_id = "+id+"\naws_secret_access_key = "+secret+"\n")
	t.Setenv("AWS_ACCESS_KEY_ID", id)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	view := "arn:aws:sts::222222222222:assumed-role/view/jane"
	all := map[string]string{
		"keys": "arn:aws:iam::222222222222:user/Administrator", "role": view, "deep": "arn:aws:sts::111111111111:assumed-role/hub/jane",
		"env": view, "web": "arn:aws:sts::222222222222:assumed-role/deploy/job", "program": "arn:aws:iam::222222222222:user/Administrator",
	}
	for name := range all {
		p.book.Sources = append(p.book.Sources, session.Source{Name: name, Profile: &session.Profile{Name: name}})
	}
	p.book.Sources = append(p.book.Sources, session.Source{Name: "center", Profile: &session.Profile{Name: "center"}})
	d := p.desk(t)
	for name, who := range all {
		got, err := p.whoami(t, d, name)
		want(t, got, err, who)
	}
	// The SDK finds the sign-in that stile has made, as it is kept where the AWS CLI keeps it.
	if _, err := p.whoami(t, d, "orders-prod/Admin"); err != nil {
		t.Fatal(err)
	}
	if got, err := p.whoami(t, d, "center"); err != nil || !strings.Contains(got, "arn:aws:sts::222222222222:assumed-role/AWSReservedSSO_Admin_") {
		t.Errorf("center: %q, %v", got, err)
	}
	imported, err := session.FromProfiles(desk.ProfileFiles(os.Getenv))
	if err != nil || imported.Session("center") == nil || imported.Source("web") == nil || imported.Source("env") == nil || imported.Source("program") == nil {
		t.Errorf("taken over: %+v, %v", imported, err)
	}
}

func TestCodesOfProfilesAreAskedForOnce(t *testing.T) {
	p := newPlace(t)
	d := p.desk(t)
	_, code := p.dana(t, d, session.Prompt)
	admin := p.iam(tooling)
	serial := p.book.Source("dana").User.MFA.Serial
	key, err := admin.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("dana")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("dana"), PolicyName: aws.String("p"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("work"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`)}); err != nil {
		t.Fatal(err)
	}
	p.may(t, tooling, "work", "sts:AssumeRole")
	program := p.file(t, "out", fmt.Sprintf(`{"Version":1,"AccessKeyId":%q,"SecretAccessKey":%q}`, *key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey), 0o600)
	p.role(t, tooling, "look", string(tooling))
	p.write(t, "[profile work]\nrole_arn = arn:aws:iam::111111111111:role/work\nsource_profile = keys\nmfa_serial = "+serial+"\n"+
		"[profile look]\nrole_arn = arn:aws:iam::111111111111:role/look\nsource_profile = keys\nmfa_serial = "+serial+"\nrole_session_name = d.\n"+
		"[profile deep]\nrole_arn = arn:aws:iam::111111111111:role/look\nsource_profile = work\nduration_seconds = 43200\n"+
		"[profile beside]\nrole_arn = arn:aws:iam::111111111111:role/look\nsource_profile = work\nrole_session_name = beside\n"+
		"[profile program]\ncredential_process = cat "+program+"\n"+
		"[profile odd]\nrole_arn = arn:aws:iam::111111111111:role/work\nsource_profile = program\nmfa_serial = "+serial+"\n",
		"[keys]\naws_access_key_id = "+*key.AccessKey.AccessKeyId+"\naws_secret_access_key = "+*key.AccessKey.SecretAccessKey+"\n")
	for _, name := range []string{"work", "look", "deep", "beside", "odd"} {
		p.book.Sources = append(p.book.Sources, session.Source{Name: name, Profile: &session.Profile{Name: name}})
	}
	if _, err := p.whoami(t, p.desk(t), "work"); err == nil {
		t.Error("no code was asked for")
	} else if _, ok := errors.AsType[*desk.NeedCodeError](err); !ok {
		t.Errorf("with nobody to ask: %v, want what to do", err)
	}
	var asked []string
	p.person.Ask = func(_ context.Context, prompt string) (string, error) {
		asked = append(asked, prompt)
		return code[:3] + " " + code[3:], nil
	}
	for range 3 { // each stands for a process
		got, err := p.whoami(t, p.desk(t), "work")
		want(t, got, err, "arn:aws:sts::111111111111:assumed-role/work/dana")
	}
	got, err := p.whoami(t, p.desk(t), "look")
	want(t, got, err, "arn:aws:sts::111111111111:assumed-role/look/d.")
	if len(asked) != 1 || !strings.Contains(asked[0], "AWS profile keys (dana)") {
		t.Errorf("asked %q, want once for both profiles", asked)
	}
	got, err = p.whoami(t, p.desk(t), "deep")
	want(t, got, err, "arn:aws:sts::111111111111:assumed-role/look/dana")
	// The role on the way was entered before, for deep; nobody could enter it now.
	if _, err := admin.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("work"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}`)}); err != nil {
		t.Fatal(err)
	}
	got, err = p.whoami(t, p.desk(t), "beside")
	want(t, got, err, "arn:aws:sts::111111111111:assumed-role/look/beside")
	if len(asked) != 1 {
		t.Errorf("asked %q, want once for the whole chain", asked)
	}
	// What the SDK goes by itself it asks for, too; the code is used up.
	if _, err = p.whoami(t, p.desk(t), "odd"); err == nil || len(asked) != 2 || !strings.Contains(asked[1], "AWS profile odd (dana)") {
		t.Errorf("%v, asked %q", err, asked)
	}
	taken, err := session.FromProfiles(desk.ProfileFiles(os.Getenv))
	if err != nil {
		t.Fatal(err)
	}
	p.book = taken
	got, err = p.whoami(t, p.desk(t), "beside")
	want(t, got, err, "arn:aws:sts::111111111111:assumed-role/look/beside")
	target := p.resolve(t, p.desk(t), "work")
	kept, err := p.desk(t).Kept(t.Context(), target)
	if err != nil || len(kept) != 1 || kept[0].Before(time.Now()) {
		t.Errorf("kept %v, %v", kept, err)
	}
}
