package login_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/machine"
)

// says fails unless the command succeeds and its output has the texts.
func says(t *testing.T, w *logintest.World, args []string, texts ...string) {
	t.Helper()
	r := w.Stile(t, nil, args...)
	if r.Code != 0 {
		t.Errorf("stile %s: exit %d, %s", strings.Join(args, " "), r.Code, r.Stderr)
		return
	}
	for _, text := range texts {
		if !strings.Contains(r.Stdout+r.Stderr, text) {
			t.Errorf("stile %s says %q, %q, want %q", strings.Join(args, " "), r.Stdout, r.Stderr, text)
		}
	}
}

func words(line string) []string { return strings.Fields(line) }

func TestListsSayWhatOneCanBe(t *testing.T) {
	w := logintest.New(t)
	if r := w.Stile(t, []string{"STILE_NO_LOGIN=1"}, "ls"); r.Code != 1 || !strings.Contains(r.Stderr, "stile login acme") {
		t.Errorf("signed out: exit %d, %s", r.Code, r.Stderr)
	}
	says(t, w, words("ls --login"), "team-0/Admin", "team-9/ReadOnly")
	if n := w.Since()["ListAccountRoles"]; n != logintest.Accounts {
		t.Errorf("%d ListAccountRoles, want %d", n, logintest.Accounts)
	}
	var rows []struct{ Address, AccountID, Role string }
	r := w.Stile(t, nil, "ls", "--json")
	if err := json.Unmarshal([]byte(r.Stdout), &rows); err != nil || len(rows) != 2*logintest.Accounts {
		t.Errorf("%d rows, %v, want %d", len(rows), err, 2*logintest.Accounts)
	}
	if got := w.Since(); len(got) != 0 {
		t.Errorf("the second list called %v, want nothing", got)
	}
	if r := w.Stile(t, nil, "ls", "team-3/Adm", "--refresh"); strings.Count(r.Stdout, "\n") != 2 || w.Since()["ListAccountRoles"] != 1 {
		t.Errorf("one account's: %q", r.Stdout)
	}
	says(t, w, words("credential-process team-3/Admin"))
	if r := w.Stile(t, nil, "ls", "--cached", "team-3/Admin"); !strings.Contains(r.Stdout, "59m") && !strings.Contains(r.Stdout, "1h0m") {
		t.Errorf("time left: %q", r.Stdout)
	}
	says(t, w, words("logout"), "signed out of acme")
	if r := w.Stile(t, []string{"STILE_NO_LOGIN=1"}, "credential-process", "team-3/Admin"); r.Code != 1 || r.Stdout != "" || !strings.Contains(r.Stderr, "run stile login acme") {
		t.Errorf("signed out: exit %d, %s", r.Code, r.Stderr)
	}
}

// A source that nobody is signed in to hinders nothing: what is known is listed,
// what to run is said, and no page is opened.
func TestListsBeginNoSignIn(t *testing.T) {
	w := logintest.New(t)
	w.Write(t, ".config/stile/sessions.yaml", `sources:
  - name: acme
    identityCenter: {startURL: "https://acme.awsapps.com/start", region: us-east-1}
  - name: other
    identityCenter: {startURL: "https://other.awsapps.com/start", region: us-east-1}
`)
	r := w.Stile(t, nil, "ls")
	if r.Code != 1 || r.Stdout != "" || !strings.Contains(r.Stderr, "stile login acme") || !strings.Contains(r.Stderr, "stile login other") {
		t.Errorf("nobody is signed in: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	says(t, w, words("login acme"))
	r = w.Stile(t, nil, "ls")
	if r.Code != 1 || !strings.Contains(r.Stdout, "team-9/Admin") || !strings.Contains(r.Stderr, "stile login other") || strings.Contains(r.Stderr, "login acme") {
		t.Errorf("signed in to acme alone: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	says(t, w, words("logout acme"))
	r = w.Stile(t, nil, "ls", "--refresh")
	if r.Code != 1 || !strings.Contains(r.Stdout, "team-9/Admin") || !strings.Contains(r.Stderr, "stile login acme") {
		t.Errorf("what is known: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if n := w.Pages(t); n != 1 {
		t.Errorf("%d pages were opened, want that of login", n)
	}
	says(t, w, words("ls --login --refresh --source acme"), "team-9/Admin")
	if n := w.Pages(t); n != 2 {
		t.Errorf("%d pages were opened, want one more", n)
	}
}

func TestPatternsStandForWhatIsListed(t *testing.T) {
	w := logintest.New(t)
	r := w.Stile(t, nil, "each", "team-[0-9]/ReadOnly", "--", "true")
	if r.Code != 1 || !strings.Contains(r.Stderr, "team-[0-9]/ReadOnly") { // only * is special
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
	w.Since()
	r = w.Stile(t, nil, "each", "*-3/*", "team-4/Read*", "--", "sh", "-c", "echo here")
	if want := "team-3/Admin     here\nteam-3/ReadOnly  here\nteam-4/ReadOnly  here\n"; r.Code != 0 || strings.Join(sortedLines(r.Stdout), "") != want {
		t.Errorf("exit %d, %s%s, want\n%s", r.Code, r.Stdout, r.Stderr, want)
	}
	if n := w.Since()["ListAccountRoles"]; n != 2 {
		t.Errorf("%d ListAccountRoles, want those of the two accounts that fit", n)
	}
	if r := w.Stile(t, nil, "each", "*/Nobody", "--", "true"); r.Code != 1 || !strings.Contains(r.Stderr, "nothing fits that people's sources list") {
		t.Errorf("nothing fits: exit %d, %s", r.Code, r.Stderr)
	}
}

// sortedLines are the lines of a text with their ends, sorted.
func sortedLines(text string) []string { return slices.Sorted(strings.Lines(text)) }

func TestSessionsAreKept(t *testing.T) {
	w := logintest.New(t)
	says(t, w, words("sessions add admin3 --source acme --account team-3 --role Admin --label env=prod --region eu-west-1"))
	says(t, w, words("ls --login -l env=prod"), "admin3", "team-3/Admin env=prod")
	says(t, w, words("whoami admin3"), "arn:aws:sts::100000000003:assumed-role/AWSReservedSSO_Admin_")
	says(t, w, []string{"exec", "admin3", "--", "sh", "-c", "echo region $AWS_REGION"}, "region eu-west-1")
	says(t, w, words("sessions edit admin3 --role ReadOnly"))
	says(t, w, words("whoami admin3"), "AWSReservedSSO_ReadOnly_")
	says(t, w, words("sessions list"), "admin3", "acme: team-3/ReadOnly", "https://acme.awsapps.com/start")
	for args, text := range map[string]string{
		"sessions add admin3 --profile x":              "admin3 is there already",
		"sessions edit nobody --role x":                "there is no source, session or group nobody",
		"sessions rm acme":                             "source acme is used by session admin3; stile sessions rm acme admin3 removes them all",
		"sessions add x":                               "nothing says what it is: --start-url",
		"sessions add x --source acme --role Admin":    "of which account?",
		"sessions add x --source nope --account team":  "there is no source nope",
		"sessions add a/b --profile x":                 `name "a/b"`,
		"exec team-33/Admin -- true":                   "no account team-33",
		"exec team-3/Admni -- true":                    "you have no permission set Admni there, but Admin, ReadOnly",
		"login nobody":                                 "there is no source nobody",
		"login --device --paste":                       "say --device or --paste",
		"sessions add u --user --key-stdin --mfa totp": "mfa needs the device's serial",
	} {
		w.Stile(t, nil, words(args)...).Refused(t, text)
	}
	says(t, w, words("sessions add typo --source acme --account team-3 --role Admin --region us-est-1"), `no Region us-est-1 is known here; did you mean "us-east-1"?`)
	says(t, w, words("sessions rm typo"))
	r := w.Stile(t, nil, "sessions", "export", "admin3")
	file := w.Write(t, "export.yaml", r.Stdout)
	says(t, w, words("sessions rm admin3 acme"))
	w.Stile(t, nil, "ls").Refused(t, "there is no source yet")
	says(t, w, []string{"sessions", "import", "--dry-run", file}, "source acme", "session admin3")
	w.Stile(t, nil, "ls").Refused(t, "there is no source yet")
	says(t, w, []string{"sessions", "import", file})
	says(t, w, words("whoami admin3"), "AWSReservedSSO_ReadOnly_")
}

func TestProfilesOfTheAWSCLIAreTakenOver(t *testing.T) {
	w := logintest.New(t)
	says(t, w, words("login"), "signed in to acme")
	w.Write(t, ".config/stile/sessions.yaml", "")
	const config = "[sso-session acme]\nsso_start_url = https://acme.awsapps.com/start\nsso_region = us-east-1\n" +
		"[profile t4]\nsso_session = acme\nsso_account_id = 100000000004\nsso_role_name = Admin\n"
	path := w.Write(t, ".aws/config", config)
	says(t, w, words("sessions import"), "source acme", "session t4")
	says(t, w, words("whoami t4"), "arn:aws:sts::100000000004:assumed-role/AWSReservedSSO_Admin_") // with the sign-in there is
	if n := w.Pages(t); n != 1 {
		t.Errorf("%d pages, want 1", n)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != config {
		t.Errorf("the AWS file changed: %s", text)
	}
}

func TestSecretsAreInNoOutput(t *testing.T) {
	w := logintest.New(t)
	says(t, w, words("login"))
	_, fields := w.Token(t)
	for _, args := range [][]string{words("ls --json"), words("sessions list --json"), words("sessions export"), words("login --json"), words("whoami team-1/Admin --json"), words("exec team-1/Nope -- true")} {
		r := w.Stile(t, nil, args...)
		for _, name := range []string{"accessToken", "refreshToken", "clientSecret"} {
			if strings.Contains(r.Stdout+r.Stderr, fields[name].(string)) {
				t.Errorf("stile %v shows the %s", args, name)
			}
		}
	}
	err := filepath.WalkDir(w.Dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || slices.Contains([]string{"browser", "pages"}, e.Name()) {
			return err
		}
		if info, err := e.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMFASessionsBeginByLogin(t *testing.T) {
	w := logintest.New(t)
	w.Dana(t)
	says(t, w, words("login dana"), "signed in to dana until")
	says(t, w, []string{"whoami", "dana"}, "arn:aws:iam::100000000000:user/dana")
	if n := w.Questions(t); n != 1 {
		t.Errorf("%d questions, want 1", n)
	}
	says(t, w, words("sessions rm dana"))
	if names, err := filepath.Glob(filepath.Join(w.Dir, ".local/share/stile/secrets/secrets/*")); err != nil || len(names) != 0 {
		t.Errorf("the store still has %v, %v", names, err)
	}
	routetest.Run(t, w.Command(t, "stile", "whoami", "dana")).Refused(t, "going to dana: not known")
}

// botocore, which is the AWS CLI's too, uses and refreshes the sign-in that stile
// made, and stile goes on with what botocore wrote.
func TestTheAWSCLISharesTheSignIn(t *testing.T) {
	_, err := exec.LookPath("aws")
	machine.Needs(t, "the AWS CLI", err)
	w := logintest.New(t)
	w.Write(t, ".aws/config", "[sso-session acme]\nsso_start_url = https://acme.awsapps.com/start\nsso_region = us-east-1\nsso_registration_scopes = sso:account:access\n"+
		"[profile t4]\nsso_session = acme\nsso_account_id = 100000000004\nsso_role_name = Admin\nregion = us-east-1\n")
	says(t, w, words("login"))
	w.Since()
	aws := func() {
		t.Helper()
		cmd := w.Command(t, "aws", "--profile", "t4", "sts", "get-caller-identity", "--query", "Arn", "--output", "text")
		r := routetest.Run(t, cmd)
		if r.Code != 0 || !strings.HasPrefix(r.Stdout, "arn:aws:sts::100000000004:assumed-role/AWSReservedSSO_Admin_") {
			t.Errorf("aws: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
		}
	}
	aws()
	w.Expire(t)
	if err := os.RemoveAll(filepath.Join(w.Dir, ".aws/cli/cache")); err != nil {
		t.Fatal(err)
	}
	aws() // refreshes
	says(t, w, words("whoami team-5/ReadOnly"), "AWSReservedSSO_ReadOnly_")
	if got := w.Since(); got["CreateToken"] != 1 || got["RegisterClient"] != 0 {
		t.Errorf("calls %v, want one refresh", got)
	}
	if n := w.Pages(t); n != 1 {
		t.Errorf("%d pages, want 1", n)
	}
}
