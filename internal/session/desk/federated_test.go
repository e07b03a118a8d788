package desk_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/oidc"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
)

func (p *place) resolve(t *testing.T, d *desk.Desk, address string) *session.Target {
	t.Helper()
	target, err := d.Resolve(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// may lets a role do something.
func (p *place) may(t *testing.T, account arn.AccountID, role, action string) {
	t.Helper()
	if _, err := p.iam(account).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &role, PolicyName: aws.String("may"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"*"}]}`)}); err != nil {
		t.Fatal(err)
	}
}

// lists tells whether roles can be listed at the target.
func (p *place) lists(t *testing.T, d *desk.Desk, target *session.Target, allowed bool) {
	t.Helper()
	opened, err := d.Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	client := iam.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(p.url), Credentials: opened.Cached})
	if _, err := client.ListRoles(t.Context(), &iam.ListRolesInput{}); (err == nil) != allowed {
		t.Errorf("listing roles with %+v: %v, want allowed: %v", target.Hops, err, allowed)
	}
}

const (
	anchorARN  = "arn:aws:rolesanywhere:eu-west-1:222222222222:trust-anchor/0a1b2c3d-0000-4000-8000-000000000001"
	profileARN = "arn:aws:rolesanywhere:eu-west-1:222222222222:profile/0a1b2c3d-0000-4000-8000-000000000002"
	hostARN    = "arn:aws:iam::222222222222:role/host"
)

// helper is a stand-in for AWS's helper on PATH: it checks no certificate. It
// writes its arguments down and prints credentials of the role host, as AWS's
// would after CreateSession.
func (p *place) helper(t *testing.T) (source session.Source, runs func() []string) {
	t.Helper()
	p.role(t, orders, "host", "222222222222")
	id, secret, _ := p.server.Administrator(orders)
	out, err := sts.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(p.url), Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}).
		AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(hostARN), RoleSessionName: aws.String("0badcafe")})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	answer, err := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": c.AccessKeyId, "SecretAccessKey": c.SecretAccessKey, "SessionToken": c.SessionToken, "Expiration": c.Expiration.Format(time.RFC3339)})
	if err != nil {
		t.Fatal(err)
	}
	p.file(t, "answer", string(answer), 0o600)
	bin := filepath.Join(p.dir, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	p.file(t, "bin/aws_signing_helper", "#!/bin/sh\necho \"$*\" >>"+p.dir+"/runs\nexec cat "+p.dir+"/answer\n", 0o700)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	source = session.Source{Name: "host", RolesAnywhere: &session.RolesAnywhere{
		TrustAnchor: anchorARN, Profile: profileARN, Role: hostARN, Duration: session.Duration(30 * time.Minute),
		Certificate: p.file(t, "host.pem", "certificate", 0o644), PrivateKey: p.file(t, "host.key", "key", 0o600),
	}}
	return source, func() []string {
		text, _ := os.ReadFile(filepath.Join(p.dir, "runs"))
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
}

func (p *place) file(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCertificatesOpenRoles(t *testing.T) {
	p := newPlace(t)
	source, runs := p.helper(t)
	p.book.Sources = append(p.book.Sources, source)
	p.role(t, tooling, "hub", hostARN)
	if err := source.Check(); err != nil {
		t.Fatal(err)
	}
	target := p.resolve(t, p.desk(t), "host")
	if target.Account != orders || target.RoleARN() != hostARN || target.Role() != "host" {
		t.Errorf("host is %+v, want the role", target)
	}
	var wg sync.WaitGroup
	for range 50 { // each desk stands for a process
		d := p.desk(t)
		wg.Go(func() {
			got, err := p.whoami(t, d, "host")
			want(t, got, err, "arn:aws:sts::222222222222:assumed-role/host/0badcafe")
		})
	}
	wg.Wait()
	// A role after it is entered with the certificate's name, and no further run.
	got, err := p.whoami(t, p.desk(t), "host:111111111111/hub")
	want(t, got, err, "arn:aws:sts::111111111111:assumed-role/hub/0badcafe")
	words := "credential-process --trust-anchor-arn " + anchorARN + " --profile-arn " + profileARN + " --role-arn " + hostARN +
		" --certificate " + p.dir + "/host.pem --private-key " + p.dir + "/host.key --session-duration 1800"
	if got := runs(); len(got) != 1 || got[0] != words {
		t.Errorf("the helper ran %d times: %q, want once: %q", len(got), got, words)
	}
}

func TestHelpersFailuresAreToldWithoutSecrets(t *testing.T) {
	p := newPlace(t)
	source, _ := p.helper(t)
	const secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY1234"
	p.file(t, "bin/refused", "#!/bin/sh\necho 'AccessDeniedException: profile "+profileARN+" is disabled' >&2\n"+
		"echo 'signed with "+secret+"' >&2\necho 'pkcs11:object=x;pin-value=1234' >&2\nprintf -- '-----BEGIN PRIVATE KEY-----\\nAAA\\n' >&2\nexit 3\n", 0o700)
	p.file(t, "bin/odd", "#!/bin/sh\necho '{\"Version\":1,\"SecretAccessKey\":\""+secret+"\"}'\n", 0o700)
	for _, c := range []struct {
		name, want string
		change     func(*session.RolesAnywhere)
	}{
		{"no helper", "credential-helper.html", func(r *session.RolesAnywhere) { r.Helper = "no_such_helper" }},
		{"refused", "exit status 3; it says:\nAccessDeniedException: profile " + profileARN + " is disabled", func(r *session.RolesAnywhere) { r.Helper = "refused" }},
		{"odd", `it has no "AccessKeyId"`, func(r *session.RolesAnywhere) { r.Helper = "odd" }},
		{"no JSON", "not the JSON", func(r *session.RolesAnywhere) { r.Helper = "/bin/echo" }},
		{"no certificate", "looking at the certificate", func(r *session.RolesAnywhere) { r.Certificate = p.dir + "/none" }},
		{"an open key", "can be read or changed by everybody", func(r *session.RolesAnywhere) { r.PrivateKey = p.file(t, "open.key", "key", 0o604) }},
	} {
		r := *source.RolesAnywhere
		c.change(&r)
		p.book.Sources = append(p.book.Sources[:1:1], session.Source{Name: "host", RolesAnywhere: &r})
		_, err := p.whoami(t, p.desk(t), "host")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
			continue
		}
		if text := fmt.Sprintf("%+v", err); strings.Contains(text, secret) || strings.Contains(text, "1234") || strings.Contains(text, "AAA") {
			t.Errorf("%s: a secret is in %s", c.name, text)
		}
	}
}

// jobs makes an OIDC provider in both accounts, and in orders-prod a role that its
// tokens open; token makes one.
func (p *place) jobs(t *testing.T, role string) (token func() string) {
	t.Helper()
	issuer, ok := p.server.Issuer(tooling, "ci")
	if !ok {
		t.Fatal("no issuer")
	}
	bare := strings.TrimPrefix(issuer, "https://")
	admin := p.iam(orders)
	if _, err := admin.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{Url: &issuer, ClientIDList: []string{"sts.amazonaws.com"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &role, AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:oidc-provider/` + bare + `"},"Action":"sts:AssumeRoleWithWebIdentity",
		"Condition":{"StringEquals":{"` + bare + `:aud":"sts.amazonaws.com"}}}}`)}); err != nil {
		t.Fatal(err)
	}
	p.may(t, orders, role, "sts:AssumeRole")
	return func() string {
		text, ok, err := p.server.ServiceAccountToken(tooling, "ci", oidc.TokenRequest{Namespace: "ci", ServiceAccount: "job", Audiences: []string{"sts.amazonaws.com"}})
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return text
	}
}

func TestJobsTokensOpenManyRoles(t *testing.T) {
	p := newPlace(t)
	token := p.jobs(t, "deploy")
	p.role(t, tooling, "view", "arn:aws:iam::222222222222:role/deploy")
	var asked []string
	gitHub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Authorization")+" "+r.URL.RawQuery)
		if r.Header.Get("Authorization") != "bearer job-bearer" {
			http.Error(w, "job-bearer-is-secret", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"count":1,"value":%q}`, token())
	}))
	defer gitHub.Close()
	t.Setenv("GITHUB_REPOSITORY", "acme/orders")
	t.Setenv("GITHUB_RUN_ID", "77")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", gitHub.URL+"/token?api-version=2.0")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-bearer")
	t.Setenv("JOB_TOKEN", token())
	file := p.file(t, "token", token()+"\n", 0o600)
	p.book.Sources = append(p.book.Sources,
		session.Source{Name: "github", WebIdentity: &session.WebIdentity{GitHub: true}},
		session.Source{Name: "gitlab", WebIdentity: &session.WebIdentity{Variable: "JOB_TOKEN", SessionName: "pipeline"}},
		session.Source{Name: "program", WebIdentity: &session.WebIdentity{Program: "cat " + file, SessionName: "p1"}},
		session.Source{Name: "file", WebIdentity: &session.WebIdentity{TokenFile: file, Role: "arn:aws:iam::222222222222:role/deploy"}},
	)
	p.book.Sessions = []session.Session{{Name: "look", Source: "github", Account: "111111111111", Role: "view", Via: []string{"222222222222/deploy"}}}
	d := p.desk(t)
	for address, who := range map[string]string{
		"github:222222222222/deploy":  "arn:aws:sts::222222222222:assumed-role/deploy/acme-orders-77",
		"look":                        "arn:aws:sts::111111111111:assumed-role/view/acme-orders-77",
		"gitlab:222222222222/deploy":  "arn:aws:sts::222222222222:assumed-role/deploy/pipeline",
		"program:222222222222/deploy": "arn:aws:sts::222222222222:assumed-role/deploy/p1",
		"file":                        "arn:aws:sts::222222222222:assumed-role/deploy/acme-orders-77",
		"file:111111111111/view":      "arn:aws:sts::111111111111:assumed-role/view/acme-orders-77",
	} {
		got, err := p.whoami(t, d, address)
		want(t, got, err, who)
	}
	if len(asked) != 1 || asked[0] != "bearer job-bearer api-version=2.0&audience=sts.amazonaws.com" {
		t.Errorf("GitHub was asked %q, want once, for the audience of AWS", asked)
	}
	// Another job of the same run, with the first one's home and memory.
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "another-bearer")
	t.Setenv("JOB_TOKEN", "another token")
	for _, address := range []string{"github:222222222222/deploy", "look", "gitlab:222222222222/deploy"} {
		if got, err := p.whoami(t, p.desk(t), address); err == nil {
			t.Errorf("another job is %s at %s, by the token of the first", got, address)
		}
	}
	if _, err := p.whoami(t, d, "github"); err == nil || !strings.Contains(err.Error(), "say which role, github:ACCOUNT/ROLE") {
		t.Errorf("%v, want that a role is to be said", err)
	}
}

// A program is not waited for when nobody wants to know any more, nor what it has
// left running with its output open.
func TestClosingEndsProgramsAndWhatTheyLeft(t *testing.T) {
	p := newPlace(t)
	pipe, begun := filepath.Join(p.dir, "pipe"), filepath.Join(p.dir, "begun")
	for _, name := range []string{pipe, begun} {
		if err := syscall.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.book.Sources = append(p.book.Sources, session.Source{Name: "program", WebIdentity: &session.WebIdentity{Program: "cat " + pipe + " & echo >" + begun + "; wait"}})
	d := p.desk(t)
	opened, err := d.Open(t.Context(), p.resolve(t, d, "program:222222222222/deploy"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		_, err := opened.Retrieve(t.Context())
		got <- err
	}()
	if _, err := os.ReadFile(begun); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if err := <-got; err == nil {
		t.Error("there are credentials")
	}
	f, err := os.OpenFile(pipe, os.O_RDWR, 0) // cat can end now
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

func TestJobsTokensThatAreNotThere(t *testing.T) {
	p := newPlace(t)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "hush", http.StatusForbidden) }))
	defer refusing.Close()
	p.book.Sources = append(p.book.Sources,
		session.Source{Name: "github", WebIdentity: &session.WebIdentity{GitHub: true}},
		session.Source{Name: "gitlab", WebIdentity: &session.WebIdentity{Variable: "JOB_TOKEN"}},
		session.Source{Name: "program", WebIdentity: &session.WebIdentity{Program: "echo hush; exit 4"}},
		session.Source{Name: "silent", WebIdentity: &session.WebIdentity{Program: "true"}},
	)
	for _, c := range []struct{ source, url, want string }{
		{"github", "", "permissions: id-token: write"},
		{"github", "http://tokens.example/x", "is no https address"},
		{"github", refusing.URL, "it answered 403 Forbidden"},
		{"gitlab", "", "JOB_TOKEN is not set"},
		{"program", "", "exit status 4"},
		{"silent", "", "it printed nothing"},
	} {
		t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", c.url)
		t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-bearer")
		_, err := p.whoami(t, p.desk(t), c.source+":222222222222/deploy")
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "job-bearer") {
			t.Errorf("%s: %v, want %q", c.source, err, c.want)
		}
	}
}
