package login_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/logincreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/localaws/ssooidc"
)

// shop is a world in which the source shop is a sign-in to the console, as the
// Administrator of team-0, and the role deploy of team-1 lets team-0 in.
func shop(t *testing.T) *logintest.World {
	t.Helper()
	w := logintest.New(t)
	w.ConsoleOf(t, logintest.ConsoleUser)
	w.Stile(t, nil, words("sessions add shop --console-login --region eu-west-1")...).Want(t, "")
	_, err := w.IAM(logintest.Account(1)).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("deploy"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + string(logintest.Account(0)) + `"},"Action":"sts:AssumeRole"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	w.Since()
	return w
}

func TestSignInToTheConsole(t *testing.T) {
	w := shop(t)
	r := w.Stile(t, nil, "login", "shop")
	if r.Code != 0 || !strings.Contains(r.Stderr, "signed in to shop as "+logintest.ConsoleUser) || w.Pages(t) != 1 {
		t.Fatalf("exit %d, %s", r.Code, r.Stderr)
	}
	path, fields := w.ConsoleToken(t)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || fields["tokenType"] != "aws_sigv4" || fields["clientId"] != "arn:aws:signin:::devtools/same-device" {
		t.Errorf("%v %v %v", info, fields, err)
	}
	for address, want := range map[string]string{
		"shop":                     logintest.ConsoleUser,
		"shop:100000000001/deploy": "arn:aws:sts::100000000001:assumed-role/deploy/Administrator",
	} {
		if r := w.Stile(t, nil, "whoami", address); r.Code != 0 || !strings.HasPrefix(r.Stdout, want+"\n") {
			t.Errorf("whoami %s: exit %d, %q, %q, want %s", address, r.Code, r.Stdout, r.Stderr, want)
		}
		logintest.Key(t, w.Stile(t, nil, "credential-process", address))
		if r := w.Stile(t, nil, "exec", address, "--", "true"); r.Code != 0 {
			t.Errorf("exec %s: exit %d, %s", address, r.Code, r.Stderr)
		}
	}
	if calls := w.Since(); calls["CreateOAuth2Token"] != 1 || calls["AssumeRole"] != 1 {
		t.Errorf("calls %v, want one sign-in and one role", calls)
	}
	for command, want := range map[string]string{
		"sessions list":           "in the console at eu-west-1",
		"doctor":                  "signed in to shop as " + logintest.ConsoleUser,
		"explain-credential shop": "the sign-in to the console (signin:CreateOAuth2Token)",
		"explain-credential shop:100000000001/deploy": "sts:AssumeRole",
		"login shop": "signed in to shop as " + logintest.ConsoleUser,
	} {
		r := w.Stile(t, nil, words(command)...)
		if !strings.Contains(r.Stdout+r.Stderr, want) {
			t.Errorf("%s: %s%s, want %q", command, r.Stdout, r.Stderr, want)
		}
		for _, secret := range w.ConsoleSecrets(t) {
			if strings.Contains(r.Stdout+r.Stderr, secret) {
				t.Errorf("%s tells a secret", command)
			}
		}
	}
}

func TestSessionsGoOnFromTheConsole(t *testing.T) {
	w := shop(t)
	w.Stile(t, nil, words("sessions add deploy --source shop --account 100000000001 --role deploy --duration 30m")...).Want(t, "")
	if r := w.Stile(t, nil, "whoami", "deploy"); r.Code != 0 || !strings.HasPrefix(r.Stdout, "arn:aws:sts::100000000001:assumed-role/deploy/Administrator\n") || w.Pages(t) != 1 {
		t.Errorf("exit %d, %q, %q", r.Code, r.Stdout, r.Stderr)
	}
}

func TestLogoutOfTheConsole(t *testing.T) {
	w := shop(t)
	w.Stile(t, nil, "login", "shop").Want(t, "")
	path, _ := w.ConsoleToken(t)
	if r := w.Stile(t, nil, "logout", "shop"); r.Code != 0 || !strings.Contains(r.Stderr, "signed out of shop") {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("%s is there: %v", path, err)
	}
	w.Stile(t, []string{"STILE_NO_LOGIN=1"}, "credential-process", "shop").Refused(t, "not signed in to shop: run stile login shop")
	if r := w.Stile(t, nil, "sessions", "list"); !strings.Contains(r.Stdout, "stile login shop") {
		t.Errorf("%s", r.Stdout)
	}
}

func TestDeniedInTheConsole(t *testing.T) {
	w := shop(t)
	deny := w.Browser(t, "denier", `exec stile local sign-in --deny "$1"`)
	w.Stile(t, []string{deny}, "login", "shop").Refused(t, "signing in to shop: the request was denied in the browser")
}

// A code that a browser elsewhere shows.
func TestCodesOfTheConsoleArePasted(t *testing.T) {
	w := shop(t)
	cmd := headless(t, w, "BROWSER=", "login", "--paste", "shop")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	code, said := follow(t, w, cmd, func(page string) error {
		next, err := w.Server.AnswerSignIn(page, ssooidc.Answer{User: logintest.ConsoleUser})
		if err != nil {
			return err
		}
		u, err := url.Parse(next)
		if err != nil {
			return err
		}
		q := u.Query()
		shown := base64.StdEncoding.EncodeToString([]byte("state=" + q.Get("state") + "&code=" + q.Get("code")))
		if _, err := io.WriteString(in, "nonsense\n"+shown+"\n"); err != nil {
			return err
		}
		return in.Close()
	})
	if code != 0 || !strings.Contains(said, "that is not the code that the page shows") || !strings.Contains(said, "the page ends with a code: paste it here") || !strings.Contains(said, "signed in to shop as") {
		t.Errorf("exit %d, %s", code, said)
	}
	if _, fields := w.ConsoleToken(t); fields["clientId"] != "arn:aws:signin:::devtools/cross-device" {
		t.Errorf("%v", fields["clientId"])
	}
	w.ExpireConsole(t)
	if r := w.Stile(t, nil, "whoami", "shop"); r.Code != 0 {
		t.Errorf("refreshed: exit %d, %s", r.Code, r.Stderr)
	}
	routetest.Run(t, headless(t, w, "BROWSER=", "login", "--device", "--force", "shop")).Refused(t, "the console signs nobody in by a device code")
}

// What the AWS CLI has begun: a profile of aws login, whose file was refreshed last a
// while ago.
func TestProfilesOfAWSLoginAreTaken(t *testing.T) {
	w := shop(t)
	w.Stile(t, nil, "login", "shop").Want(t, "")
	path, fields := w.ConsoleToken(t)
	delete(fields, "region") // the AWS CLI writes none
	fields["somebodyElses"] = json.Number("12345678901234567890")
	w.WriteConsole(t, path, fields, time.Now().Add(-time.Hour))
	w.Write(t, ".config/stile/sessions.yaml", "")
	w.Write(t, ".aws/config", "[profile cons]\nregion = eu-west-1\nlogin_session = "+logintest.ConsoleUser+"\n"+
		"[profile deploy]\nregion = eu-west-1\nrole_arn = arn:aws:iam::100000000001:role/deploy\nsource_profile = cons\n")
	w.Since()
	for address, want := range map[string]string{"cons": logintest.ConsoleUser, "deploy": "arn:aws:sts::100000000001:assumed-role/deploy/"} {
		if r := w.Stile(t, nil, "whoami", address); r.Code != 0 || !strings.HasPrefix(r.Stdout, want) {
			t.Errorf("whoami %s: exit %d, %q, %q", address, r.Code, r.Stdout, r.Stderr)
		}
	}
	if calls := w.Since(); calls["CreateOAuth2Token"] != 1 {
		t.Errorf("calls %v, want one refresh", calls)
	}
	for command, want := range map[string]string{
		"explain-credential cons": "AWS profile cons (aws login)",
		"doctor":                  "signed in to cons as " + logintest.ConsoleUser,
	} {
		if r := w.Stile(t, nil, words(command)...); !strings.Contains(r.Stdout, want) {
			t.Errorf("%s: %s%s, want %q", command, r.Stdout, r.Stderr, want)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), `"somebodyElses":12345678901234567890`) {
		t.Errorf("%v, fields of others are lost", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.Stile(t, nil, "logout", "cons").Want(t, "")
	w.Stile(t, []string{"STILE_NO_LOGIN=1"}, "credential-process", "cons").Refused(t, "not signed in to cons: run stile login cons")
	if r := w.Stile(t, nil, "login", "cons"); r.Code != 0 || !strings.Contains(r.Stderr, "signed in to cons as "+logintest.ConsoleUser) {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
}

// AWS's SDK for Go goes on where stile stopped, and stile where that did.
func TestTheSDKAndStileTakeTurns(t *testing.T) {
	w := shop(t)
	w.Stile(t, nil, "login", "shop").Want(t, "")
	for range 2 {
		w.ExpireConsole(t)
		path, _ := w.ConsoleToken(t)
		cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("eu-west-1"), config.WithBaseEndpoint(w.URL), config.WithCredentialsProvider(aws.AnonymousCredentials{}))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Credentials = logincreds.New(signin.NewFromConfig(cfg), path)
		if who, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil || *who.Arn != logintest.ConsoleUser {
			t.Errorf("the SDK: %v, %v", who, err)
		}
		w.ExpireConsole(t)
		if r := w.Stile(t, nil, "whoami", "shop"); r.Code != 0 || !strings.HasPrefix(r.Stdout, logintest.ConsoleUser+"\n") {
			t.Errorf("stile: exit %d, %q, %q", r.Code, r.Stdout, r.Stderr)
		}
	}
}

func TestSignInsThatHaveEndedAreSaid(t *testing.T) {
	w := shop(t)
	w.Stile(t, nil, "login", "shop").Want(t, "")
	w.ExpireConsole(t)
	path, fields := w.ConsoleToken(t)
	fields["refreshToken"] = "spent"
	w.WriteConsole(t, path, fields, time.Now().Add(-time.Hour))
	w.Since()
	for range 2 {
		w.Stile(t, []string{"STILE_NO_LOGIN=1"}, "credential-process", "shop").Refused(t, "the sign-in has ended: not signed in to shop: run stile login shop")
	}
	if calls := w.Since(); calls["CreateOAuth2Token"] != 1 {
		t.Errorf("calls %v: what AWS has refused is tried again", calls)
	}
	if r := w.Stile(t, nil, "whoami", "shop"); r.Code != 0 || w.Pages(t) != 2 {
		t.Errorf("with a browser: exit %d, %s", r.Code, r.Stderr)
	}
}

func TestBrokenFilesOfTheConsoleAreSaid(t *testing.T) {
	w := shop(t)
	w.Stile(t, nil, "login", "shop").Want(t, "")
	w.ExpireConsole(t)
	path, _ := w.ConsoleToken(t)
	for _, text := range []string{"", "{", `{"accessToken":{}}`, `[]`, `{"accessToken":{"accessKeyId":"a","secretAccessKey":"b","sessionToken":"c","expiresAt":"soon"}}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := w.Stile(t, []string{"STILE_NO_LOGIN=1"}, "credential-process", "shop")
		r.Refused(t, fmt.Sprintf("the file %s is broken: not signed in to shop: run stile login shop", path))
		if n := strings.Count(strings.TrimSpace(r.Stderr), "\n"); n != 0 {
			t.Errorf("%q: %d lines too many: %s", text, n, r.Stderr)
		}
	}
	if r := w.Stile(t, nil, "whoami", "shop"); r.Code != 0 {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
}

func TestNobodyElseIsTaken(t *testing.T) {
	w := shop(t)
	w.Stile(t, nil, "login", "shop").Want(t, "")
	w.ConsoleOf(t, "arn:aws:iam::100000000003:root")
	w.Stile(t, nil, "logout", "acme").Want(t, "")
	for args, want := range map[string]string{
		"login shop --force": "signed in to shop as arn:aws:iam::100000000003:root",
	} {
		if r := w.Stile(t, nil, words(args)...); r.Code != 0 || !strings.Contains(r.Stderr, want) {
			t.Errorf("%s: exit %d, %s", args, r.Code, r.Stderr)
		}
	}
	if r := w.Stile(t, nil, "whoami", "shop"); !strings.HasPrefix(r.Stdout, "arn:aws:iam::100000000003:root\n") {
		t.Errorf("%q %q", r.Stdout, r.Stderr)
	}
	w.Stile(t, nil, words("sessions edit shop --identity "+logintest.ConsoleUser)...).Want(t, "")
	w.Stile(t, nil, words("login shop --force")...).Refused(t,
		"you signed in as arn:aws:iam::100000000003:root, and shop is "+logintest.ConsoleUser+": choose that on the page; stile sessions edit shop --identity ARN changes who that is")
	w.Stile(t, nil, words("sessions add bad --console-login --region eu-west-1 --identity arn:aws:iam::1:role/x")...).Refused(t, "want the ARN of a user, of an account's root, or of a role's session")
	w.Stile(t, nil, words("sessions add bad --console-login")...).Refused(t, "consoleLogin needs the region to sign in at")
	w.Stile(t, nil, words("sessions add bad --console-login --region eu-west-1 --flow device")...).Refused(t, "--flow is for an Identity Center, and bad is a sign-in to the console")
}

// Guards know where a sign-in leads, the first one too.
func TestGuardsHoldInTheConsole(t *testing.T) {
	w := shop(t)
	w.Write(t, ".aws/config", "[profile cons]\nregion = eu-west-1\nlogin_session = "+logintest.ConsoleUser+"\n")
	run := func(args ...string) routetest.Result {
		t.Helper()
		cmd := w.Command(t, "stile", args...)
		cmd.Dir = w.Dir
		return routetest.Run(t, cmd)
	}
	w.Write(t, ".stile-guard.yaml", "deny: {accounts: [\"100000000000\"]}\n")
	for _, address := range []string{"shop", "shop", "cons"} {
		run("credential-process", address).Refused(t, "account 100000000000 is kept out")
	}
	logintest.Key(t, run("credential-process", "shop:100000000001/deploy"))
	w.Write(t, ".stile-guard.yaml", "allow: {accounts: [\"100000000000\"]}\n")
	for _, address := range []string{"shop", "cons"} {
		logintest.Key(t, run("credential-process", address))
	}
	run("credential-process", "shop:100000000001/deploy").Refused(t, "account 100000000001 is kept out")
	run("credential-process", "--read-only", "shop").Refused(t, "come from no call that takes a session policy")
}

func TestTheDirectoryOfTheAWSCLIIsHeeded(t *testing.T) {
	w := shop(t)
	dir := filepath.Join(w.Dir, "elsewhere")
	env := []string{"AWS_LOGIN_CACHE_DIRECTORY=" + dir}
	w.Stile(t, env, "login", "shop").Want(t, "")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || !regexp.MustCompile(`^[0-9a-f]{64}\.json$`).MatchString(files[0].Name()) {
		t.Errorf("%v, %v", files, err)
	}
	logintest.Key(t, w.Stile(t, env, "credential-process", "shop"))
}
