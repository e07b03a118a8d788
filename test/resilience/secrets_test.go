package resilience_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
)

// marker stands for what is secret in answers that nobody can use.
const marker = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYxyz9"

// spoilt answers have secrets where they belong, and are wrong elsewhere.
var spoilt = []struct{ name, kind, body string }{
	{"cut off", "application/json", `{"roleCredentials":{"accessKeyId":"AKIDX","secretAccessKey":"` + marker},
	{"wrong types", "application/json", `{"roleCredentials":{"accessKeyId":"AKIDX","secretAccessKey":"` + marker + `","sessionToken":5,"expiration":"` + marker + `"},
		"AccessKeyId":"AKIDX","SecretAccessKey":"` + marker + `","Token":5,"Expiration":"` + marker + `","accessToken":7,"refreshToken":"` + marker + `","expiresIn":"` + marker + `","clientId":"x","clientSecret":"` + marker + `","clientSecretExpiresAt":"` + marker + `"}`},
	{"a list", "application/json", `["` + marker + `"]`},
	{"a page", "text/html", `<html><body>` + marker + `</body></html>`},
	{"XML cut off", "text/xml", `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>AKIDX</AccessKeyId><SecretAccessKey>` + marker + `</SecretAccessKey>`},
	{"XML with no time", "text/xml", stsAnswer(`<Expiration>` + marker + `</Expiration>`)},
	{"XML with half of it", "text/xml", stsAnswer(``)},
	{"text", "text/plain", marker + ` is not JSON`},
	{"nothing of it", "application/json", `{"unknown":"` + marker + `"}`},
}

func stsAnswer(expiration string) string {
	credentials := `<Credentials><AccessKeyId>AKIDX</AccessKeyId><SecretAccessKey>` + marker + `</SecretAccessKey><SessionToken>` + marker + `</SessionToken>` + expiration + `</Credentials>`
	var out strings.Builder
	out.WriteString("<Response>")
	for _, operation := range []string{"AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML", "GetSessionToken"} {
		out.WriteString("<" + operation + "Result>" + credentials + "</" + operation + "Result>")
	}
	return out.String() + "</Response>"
}

// spoiler stands before the local AWS, and gives one answer itself.
type spoiler struct {
	url   string
	wants atomic.Pointer[string] // in what is asked; nil spoils nothing
	says  atomic.Int64           // index of spoilt
	code  atomic.Int64
	hits  atomic.Int64
}

func newSpoiler(t *testing.T, behind string) *spoiler {
	t.Helper()
	to, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	s := &spoiler{}
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		wants := s.wants.Load()
		if wants == nil || !strings.Contains(r.URL.Path+" "+string(body), *wants) {
			proxy.ServeHTTP(w, r)
			return
		}
		s.hits.Add(1)
		answer := spoilt[s.says.Load()]
		w.Header().Set("Content-Type", answer.kind)
		w.WriteHeader(int(s.code.Load()))
		_, _ = io.WriteString(w, answer.body)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// Whoever answers wrongly, what was in the answer is told to nobody and left nowhere.
func TestSecretsOfSpoiltAnswersAreNowhere(t *testing.T) {
	account := string(logintest.Account(1))
	role := "arn:aws:iam::" + account + ":role/work"
	tests := []struct {
		name, asks string   // what is spoilt: part of the request
		args       []string // beside the commands below
		address    string
		env        []string
	}{
		{name: "a user's MFA session", asks: "Action=GetSessionToken", address: "dana"},
		{name: "a role of a chain", asks: "Action=AssumeRole&", address: "dana:" + account + "/work"},
		{name: "an Identity Center's role", asks: "/federation/credentials", address: "team-1/Admin"},
		{name: "an Identity Center's token", asks: "/token", args: []string{"login", "--force", "acme"}},
		{name: "an Identity Center's client", asks: "/client/register", args: []string{"login", "--force", "--device", "acme"}},
		{name: "a web identity", asks: "AssumeRoleWithWebIdentity", address: "job:" + account + "/work"},
		{name: "a SAML assertion", asks: "AssumeRoleWithSAML", address: "saml:" + account + "/work"},
		{name: "a profile's web identity", asks: "AssumeRoleWithWebIdentity", address: "web"},
		{name: "a container's endpoint", asks: "/container", args: []string{"whoami"}, env: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=SPOILER/container"}},
		{name: "a profile's container", asks: "/container", address: "contained", env: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=SPOILER/container"}},
		{name: "a program", address: "vendor"},
		{name: "a profile's program", address: "process"},
		{name: "a profile's program before a role", address: "entered"},
		{name: "a program's profile in use", args: []string{"whoami"}, env: []string{"AWS_PROFILE=process"}},
	}
	inBoth(t, func(t *testing.T, w *logintest.World) {
		spoil := newSpoiler(t, w.URL)
		for i, v := range w.Env {
			if strings.HasPrefix(v, "AWS_ENDPOINT_URL=") {
				w.Env[i] = "AWS_ENDPOINT_URL=" + spoil.url
			}
		}
		w.Env = append(w.Env, "STILE_NO_LOGIN=", "AWS_MAX_ATTEMPTS=1")
		w.Stile(t, nil, "login", "acme").Want(t, "")
		w.Dana(t)
		given := map[string]bool{}
		give := func(name, text string) string {
			path := w.Write(t, name, text)
			given[path] = true
			return path
		}
		assertion := give("assertion", base64.StdEncoding.EncodeToString([]byte(`<Response><Assertion><AttributeStatement><Attribute Name="https://aws.amazon.com/SAML/Attributes/Role"><AttributeValue>arn:aws:iam::`+account+`:saml-provider/p,`+role+`</AttributeValue></Attribute></AttributeStatement>`+marker+`</Assertion></Response>`)))
		token := give("token", marker+"."+marker+"."+marker)
		printed := give("printed", "")
		give(".aws/config", "[profile process]\ncredential_process = cat "+printed+"\n[profile entered]\nrole_arn = "+role+"\nsource_profile = process\n"+
			"[profile web]\nrole_arn = "+role+"\nweb_identity_token_file = "+token+"\n[profile contained]\nrole_arn = "+role+"\ncredential_source = EcsContainer\n")
		w.Stile(t, nil, "sessions", "add", "job", "--web-identity", token).Want(t, "")
		w.Stile(t, nil, "sessions", "add", "saml", "--saml-file", assertion).Want(t, "")
		w.Stile(t, nil, "sessions", "add", "vendor", "--process", "cat "+printed).Want(t, "")
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				commands := [][]string{test.args}
				if test.address != "" {
					commands = [][]string{{"whoami", "--json", test.address}, {"credential-process", test.address}, {"explain-credential", "--json", test.address}, {"exec", test.address, "--", "true"}}
				}
				var env []string
				for _, v := range test.env {
					env = append(env, strings.ReplaceAll(v, "SPOILER", spoil.url))
				}
				if test.asks != "" {
					spoil.wants.Store(&test.asks)
					defer spoil.wants.Store(nil)
				}
				for i, answer := range spoilt {
					before := spoil.hits.Load()
					spoil.says.Store(int64(i))
					give("printed", answer.body)
					for j := range min(2, len(commands)) { // every command is met by some
						args := commands[(i+j)%len(commands)]
						spoil.code.Store([]int64{200, 200, 400, 403}[(i+j)%4])
						r := w.Stile(t, env, args...)
						if r.Code == 0 && args[0] != "explain-credential" {
							t.Errorf("%s: stile %s has worked: %s", answer.name, args[0], r.Stdout)
						}
						if out := r.Stdout + r.Stderr; strings.Contains(out, marker) {
							t.Errorf("%s: stile %s tells %s", answer.name, args[0], out)
						}
					}
					if test.asks != "" && spoil.hits.Load() == before {
						t.Errorf("%s: nothing was spoilt", answer.name)
					}
				}
				left(t, w.Dir, given)
			})
		}
	})
}

// left looks for the marker in all files but those that were given.
func left(t *testing.T, dir string, given map[string]bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || given[path] {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte(marker)) {
			t.Errorf("%s has it: %s", path, text)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
