package whoami_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

// Where nothing has credentials the SDK's error is of instance metadata, which is
// asked last.
func TestNoCredentialsAreSaidInOneLine(t *testing.T) {
	w := routetest.New(t)
	w.Write(t, "config", "[profile empty]\nregion = us-east-1\n[profile fails]\ncredential_process = false\n")
	noRole := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(noRole.Close)
	for _, c := range []struct {
		name, want string
		env        []string
	}{
		{"nowhere", "the environment has none, AWS profile default neither, and there is no instance role", nil},
		{"not on this instance", "the environment has none, AWS profile empty neither, and there is no instance role",
			[]string{"AWS_PROFILE=empty", "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + noRole.URL}},
		{"a program that fails", "running the program of AWS profile fails: it ended with exit status 1", []string{"AWS_PROFILE=fails"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.Stile(t, c.env, "whoami", "--json")
			want := "stile: no credentials are at hand: " + c.want + "; say an address, or stile exec ADDRESS -- COMMAND\n"
			if r.Code != 1 || r.Stdout != "" || r.Stderr != want {
				t.Errorf("exit %d, %s%s, want %s", r.Code, r.Stdout, r.Stderr, want)
			}
		})
	}
	r := w.Stile(t, []string{"AWS_PROFILE=tooling"}, "whoami")
	if want := "account 111111111111, by the keys in " + filepath.Join(w.Dir, "credentials") + "\n"; r.Code != 0 || !strings.HasSuffix(r.Stdout, want) {
		t.Errorf("exit %d, %s, want %s", r.Code, r.Stdout, want)
	}
	r = w.Stile(t, []string{"AWS_PROFILE=nobody"}, "whoami")
	if r.Code != 1 || !strings.Contains(r.Stderr, `there is no AWS profile "nobody"`) || !strings.Contains(r.Stderr, "correct AWS_PROFILE") {
		t.Errorf("a profile that is not there: exit %d, %s", r.Code, r.Stderr)
	}
}

// AWS may end a session before its time. Whoever asks who they are finds out, and
// has it fetched anew for everybody.
func TestASessionThatAWSHasEndedIsFetchedAnew(t *testing.T) {
	for name, broker := range map[string]bool{"by locks": false, "by a broker": true} {
		t.Run(name, func(t *testing.T) {
			w := logintest.New(t)
			if broker {
				w.WithBroker(t)
			}
			old := logintest.Key(t, w.Stile(t, nil, "credential-process", "team-1/Admin"))
			if err := w.Server.World().Advance(2 * time.Hour); err != nil { // the sign-in is for eight
				t.Fatal(err)
			}
			r := w.Stile(t, nil, "whoami", "team-1/Admin")
			if r.Code != 0 || !strings.Contains(r.Stdout, "Admin") || !strings.Contains(r.Stderr, "AWS does not accept the session that was kept any more") {
				t.Fatalf("exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
			}
			if got := logintest.Key(t, w.Stile(t, nil, "credential-process", "team-1/Admin")); got == old {
				t.Error("the next one still gets the session that ended")
			}
		})
	}
}

// What the AWS CLI takes for a profile is one here.
func TestProfilesOfAnyName(t *testing.T) {
	w := routetest.New(t)
	key, secret, _ := w.Server.Administrator(routetest.Tooling)
	keys := "\naws_access_key_id = " + key + "\naws_secret_access_key = " + secret + "\n"
	w.Write(t, "credentials", "[sand box]"+keys+"[a:b]"+keys+"[a/b]"+keys)
	w.Write(t, "config", `[profile "box two"]`+keys+`[profile 'sand box']`+"\nregion = eu-west-1\n"+`[profile box\ three]`+keys+"[profile box four]"+keys)
	for _, name := range []string{"sand box", "a:b", "a/b", "box two", "box three", "box four"} {
		if r := w.Stile(t, nil, "whoami", name); r.Code != 0 || !strings.Contains(r.Stdout, "account 111111111111") {
			t.Errorf("whoami %q: exit %d, %s", name, r.Code, r.Stderr)
		}
	}
	if r := w.Stile(t, nil, "exec", "sand box", "--", "sh", "-c", "echo $AWS_REGION"); r.Stdout != "eu-west-1\n" {
		t.Errorf("the Region of a profile is %q, %s", r.Stdout, r.Stderr)
	}
}
