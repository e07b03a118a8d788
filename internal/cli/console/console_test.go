package console_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile":   func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
		"browser": func() { os.Exit(browse()) },
		"firefox": func() { os.Exit(browse()) },
		"chrome":  func() { os.Exit(browse()) },
	})
}

// browse is a browser: it opens the page of its last argument, follows it with
// cookies, and leaves what it saw in files. JAR are cookies it has already, from
// a visit to that page.
func browse() int {
	dir := os.Getenv("BROWSER_OUT")
	page := os.Args[len(os.Args)-1]
	if rest, ok := strings.CutPrefix(page, "ext+container:"); ok {
		v, err := url.ParseQuery(rest)
		if err != nil {
			return 1
		}
		page = v.Get("url")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return 1
	}
	client := &http.Client{Jar: jar}
	if first := os.Getenv("FIRST"); first != "" {
		if resp, err := client.Get(first); err != nil || resp.Body.Close() != nil {
			return 1
		}
	}
	r, err := http.NewRequest(http.MethodGet, page, nil)
	if err != nil {
		return 1
	}
	r.Header.Set("Sec-Fetch-Site", "none")
	r.Header.Set("Accept", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 1
	}
	again, err := client.Get(page)
	if err != nil && os.Getenv("FORWARDED") == "" {
		again = &http.Response{StatusCode: http.StatusGone, Body: http.NoBody} // stile has ended
	}
	defer again.Body.Close()
	seen, err := json.Marshal(saw{os.Args[1:], resp.StatusCode, string(body), again.StatusCode})
	if err != nil || os.WriteFile(filepath.Join(dir, "seen"), seen, 0o600) != nil {
		return 1
	}
	return 0
}

// saw is what a browser saw.
type saw struct {
	Args   []string
	Status int
	Body   string
	Again  int
}

type page struct {
	Identities  []struct{ ARN, AccountName string }
	Destination string
}

// opened runs stile console with a browser and gives what that saw.
func opened(t *testing.T, w *routetest.World, browser string, env []string, args ...string) (saw, page) {
	t.Helper()
	out := t.TempDir()
	pipe := filepath.Join(out, "seen") // the browser outlives stile
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	told := make(chan []byte, 1)
	go func() {
		text, _ := os.ReadFile(pipe) // what is missing is found below
		told <- text
	}()
	r := w.Stile(t, append(env, "BROWSER="+browser, "BROWSER_OUT="+out), append([]string{"console"}, args...)...)
	if r.Code != 0 || r.Stdout != "" || strings.Contains(r.Stderr, "SigninToken") {
		t.Fatalf("exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	text := <-told
	var s saw
	var p page
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatalf("the browser left %q: %v", text, err)
	}
	if err := json.Unmarshal([]byte(s.Body), &p); err != nil && s.Status == http.StatusOK {
		t.Fatalf("the console shows %q: %v", s.Body, err)
	}
	return s, p
}

const payroll = "arn:aws:sts::222222222222:assumed-role/payroll-api/ci-payroll-api"

func TestBrowserIsSignedIn(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	chained := "arn:aws:sts::222222222222:assumed-role/target-account-iam-role/ci-ci-namespace-ci-serviceaccount"
	for _, c := range []struct {
		name, browser, who, destination string
		args, command                   []string
	}{
		{"home", "browser", payroll, "https://console.aws.amazon.com/console/home?region=us-east-1", []string{"orders-prod/payroll-api"}, nil},
		{"a service", "browser %s", payroll, "https://console.aws.amazon.com/dynamodbv2/home?region=eu-west-1", []string{"orders-prod/payroll-api", "--service", "dynamodbv2/home", "--region", "eu-west-1", "--duration", "1h"}, nil},
		{"a chained role", "browser", chained, "https://console.aws.amazon.com/console/home?region=us-east-1", []string{"orders-prod/target-account-iam-role", "--duration", "2h"}, nil},
		{"after logging out", "browser", payroll, "https://console.aws.amazon.com/console/home?region=us-east-1", []string{"orders-prod/payroll-api", "--logout"}, nil},
		{"Firefox's profile", "firefox", payroll, "https://console.aws.amazon.com/console/home?region=us-east-1", []string{"orders-prod/payroll-api", "--browser-profile", "work"}, []string{"-P", "work"}},
		{"Chrome's profile", "chrome", payroll, "https://console.aws.amazon.com/console/home?region=us-east-1", []string{"orders-prod/payroll-api", "--browser-profile", "Profile 1"}, []string{"--profile-directory=Profile 1"}},
		{"a container", "firefox", payroll, "https://console.aws.amazon.com/console/home?region=us-east-1", []string{"orders-prod/payroll-api", "--container", "orders prod"}, nil},
	} {
		s, p := opened(t, w, c.browser, nil, c.args...)
		if s.Status != http.StatusOK || len(p.Identities) != 1 || p.Identities[0].ARN != c.who || p.Destination != c.destination {
			t.Errorf("%s: status %d, %+v, want %s at %s", c.name, s.Status, p, c.who, c.destination)
		}
		if len(s.Args) != len(c.command)+1 || strings.Join(s.Args[:len(c.command)], " ") != strings.Join(c.command, " ") {
			t.Errorf("%s: the browser was started with %q, want %q and a page", c.name, s.Args, c.command)
		}
		if strings.Contains(strings.Join(s.Args, " "), "Signin") || s.Again != http.StatusGone {
			t.Errorf("%s: %q tells the sign-in URL, or has it twice (%d)", c.name, s.Args, s.Again)
		}
		if c.name == "a container" && !strings.HasPrefix(s.Args[0], "ext+container:name=orders%20prod&url=http%3A%2F%2F127.0.0.1%3A") {
			t.Errorf("%s: %q", c.name, s.Args)
		}
	}
}

func signIn(t *testing.T, w *routetest.World, args ...string) string {
	t.Helper()
	r := w.Stile(t, nil, append([]string{"console", "--print"}, args...)...)
	if r.Code != 0 || !strings.HasPrefix(r.Stdout, w.URL+"/") {
		t.Fatalf("exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	return strings.TrimSpace(r.Stdout)
}

// A browser that is signed in already is refused another identity, unless it
// comes by --new-session, or logs out first.
func TestSecondIdentityInABrowser(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	first := "FIRST=" + signIn(t, w, "orders-prod/payroll-api")
	for flag, want := range map[string]int{"": 0, "--new-session": 2, "--logout": 1} {
		args := []string{"tooling/ci-account-iam-role"}
		if flag != "" {
			args = append(args, flag)
		}
		s, p := opened(t, w, "browser", []string{first}, args...)
		if len(p.Identities) != want || want > 0 && s.Status != http.StatusOK || want == 0 && s.Status != http.StatusBadRequest {
			t.Errorf("%q: status %d, identities %v, want %d", flag, s.Status, p.Identities, want)
		}
	}
}

func TestWhatCannotBeOpenedIsSaid(t *testing.T) {
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	for _, c := range []struct {
		want string
		env  []string
		args []string
	}{
		{"no way there", nil, []string{"orders-prod/nobody"}},
		{"--print prints the sign-in URL", []string{"BROWSER=/nonexistent"}, []string{"orders-prod/payroll-api"}},
		{"--print prints the sign-in URL", nil, []string{"orders-prod/payroll-api"}},
		{"not of the console", nil, []string{"orders-prod/payroll-api", "--print", "--service", "https://evil.example/"}},
		{"want 15m0s to 12h0m0s", nil, []string{"orders-prod/payroll-api", "--print", "--duration", "13h"}},
		{"signing in to the console", []string{"AWS_ENDPOINT_URL_SIGNIN=http://127.0.0.1:1"}, []string{"orders-prod/payroll-api", "--print"}},
		{"needs a $BROWSER", []string{"BROWSER=firefox --new-window"}, []string{"orders-prod/payroll-api", "--browser-profile", "work"}},
	} {
		w.Stile(t, c.env, append([]string{"console"}, c.args...)...).Refused(t, c.want)
	}
}

// A user's own key cannot sign in; a federated session of it can, if the user
// may have one.
func TestUserSignsIn(t *testing.T) {
	w := routetest.New(t)
	auditor := w.Deployer(t)
	file := w.Write(t, "auditor-credentials", "[auditor]\naws_access_key_id = "+strings.TrimPrefix(auditor[0], "AWS_ACCESS_KEY_ID=")+
		"\naws_secret_access_key = "+strings.TrimPrefix(auditor[1], "AWS_SECRET_ACCESS_KEY=")+"\n")
	w.Env = append(w.Env, "AWS_SHARED_CREDENTIALS_FILE="+file)
	w.Stile(t, nil, "console", "--print", "auditor").Refused(t, "federating user auditor, which takes sts:GetFederationToken")
	_, err := w.IAM(routetest.Tooling).PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
		UserName: aws.String("auditor"), PolicyName: aws.String("console"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:GetFederationToken","Resource":"*"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	s, p := opened(t, w, "browser", nil, "auditor", "--duration", "2h")
	if s.Status != http.StatusOK || len(p.Identities) != 1 || p.Identities[0].ARN != "arn:aws:sts::111111111111:federated-user/auditor" {
		t.Errorf("status %d, %+v", s.Status, p)
	}
	if r := w.Stile(t, nil, "console", "--print", "--read-only", "auditor"); r.Code != 0 || !strings.Contains(r.Stderr, "for --read-only: as a federated session of the user") {
		t.Errorf("to read only: exit %d, %s", r.Code, r.Stderr)
	}
}
