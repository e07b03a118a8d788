package desk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/saml/samltest"
	"github.com/stile-aws/stile/internal/localaws/ssooidc"
	"github.com/stile-aws/stile/internal/secretstore"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/idc"
	"github.com/stile-aws/stile/internal/session/mfa"
)

const (
	tooling arn.AccountID = "111111111111"
	orders  arn.AccountID = "222222222222"
)

// place is a local AWS on a port, which the environment points at, and a person.
type place struct {
	server *localaws.Server
	url    string
	paths  session.Paths
	book   *session.Book
	person desk.Person
	dir    string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	server, err := localaws.New(localaws.Config{
		Accounts: []localaws.Account{{ID: tooling, Name: "tooling"}, {ID: orders, Name: "orders-prod"}},
		Clusters: []localaws.Cluster{{Account: tooling, Name: "ci"}},
		IdentityCenters: []localaws.IdentityCenter{{
			StartURL:       "https://acme.awsapps.com/start",
			Users:          []localaws.IdentityCenterUser{{Name: "alice"}},
			PermissionSets: []localaws.PermissionSet{{Name: "Admin", ManagedPolicies: []string{"arn:aws:iam::aws:policy/AdministratorAccess"}}},
			Assignments:    []localaws.Assignment{{Accounts: []arn.AccountID{tooling, orders}, PermissionSets: []string{"Admin"}, Users: []string{"alice"}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	port, err := frontdoor.Listen(t.Context(), "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{server: server, url: port.URL(), dir: t.TempDir()}
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": p.url, "HOME": p.dir, "XDG_RUNTIME_DIR": "", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": "", "XDG_STATE_HOME": "", "XDG_DATA_HOME": "",
		"AWS_CONFIG_FILE": filepath.Join(p.dir, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(p.dir, "credentials"), "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	if p.paths, err = session.FindPaths(os.Getenv); err != nil {
		t.Fatal(err)
	}
	runtime := filepath.Join(p.dir, "run")
	if err := os.Mkdir(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	p.paths.Runtime = filepath.Join(runtime, "stile")
	p.book = &session.Book{Sources: []session.Source{{Name: "acme", IdentityCenter: &session.IdentityCenter{StartURL: "https://acme.awsapps.com/start", Region: "us-east-1"}}}}
	p.person.Show = func(ctx context.Context, page idc.Page) error {
		next, err := p.server.AnswerSignIn(page.URL, ssooidc.Answer{User: "alice"})
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, next, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	return p
}

// desk is that of a new process.
func (p *place) desk(t *testing.T) *desk.Desk {
	t.Helper()
	d := desk.New(desk.Config{Book: p.book, Paths: p.paths, Person: p.person, Keeper: secretstore.KeyFile})
	t.Cleanup(d.Close)
	return d
}

// whoami goes to an address and says who one is there.
func (p *place) whoami(t *testing.T, d *desk.Desk, address string) (string, error) {
	t.Helper()
	target, err := d.Resolve(t.Context(), address)
	if err != nil {
		return "", err
	}
	opened, err := d.Open(t.Context(), target)
	if err != nil {
		return "", err
	}
	if _, err := opened.Retrieve(t.Context()); err != nil {
		return "", err
	}
	who, err := creds.Identify(t.Context(), aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(p.url), Credentials: opened.Cached})
	return who.ARN.String(), err
}

func (p *place) iam(account arn.AccountID) *iam.Client {
	id, secret, _ := p.server.Administrator(account)
	return iam.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(p.url), Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")})
}

func (p *place) role(t *testing.T, account arn.AccountID, name, trusts string) {
	t.Helper()
	_, err := p.iam(account).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + trusts + `"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.iam(account).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("p"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],"Resource":"*"}]}`)}); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, got string, err error, want string) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestChainsKeepThePersonsName(t *testing.T) {
	p := newPlace(t)
	p.role(t, tooling, "hub", string(tooling))
	p.role(t, orders, "deploy", "arn:aws:iam::111111111111:role/hub")
	p.book.Sessions = []session.Session{{Name: "deploy", Source: "acme", Account: "orders-prod", Role: "deploy", Via: []string{"tooling/Admin", "tooling/hub"}}}
	got, err := p.whoami(t, p.desk(t), "deploy")
	want(t, got, err, "arn:aws:sts::222222222222:assumed-role/deploy/alice")
	p.person.Show = nil
	got, err = p.whoami(t, p.desk(t), "deploy")
	want(t, got, err, "arn:aws:sts::222222222222:assumed-role/deploy/alice")
}

func TestThePersonIsTheSourceIdentityAndTagsAreOfTheLastHop(t *testing.T) {
	p := newPlace(t)
	p.role(t, tooling, "hub", string(tooling))
	p.role(t, orders, "deploy", "arn:aws:iam::111111111111:role/hub")
	deploy := session.Session{
		Name: "deploy", Source: "acme", Account: "orders-prod", Role: "deploy", Via: []string{"tooling/Admin", "tooling/hub"},
		SourceIdentity: session.Caller, Tags: map[string]string{"ticket": "OPS-1"},
	}
	p.book.Sessions = []session.Session{deploy}
	d := p.desk(t)
	target, err := d.Resolve(t.Context(), "deploy")
	if err != nil {
		t.Fatal(err)
	}
	opened, err := d.Open(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Retrieve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := opened.SourceIdentity(); got != "alice" {
		t.Errorf("the source identity is %q, want alice", got)
	}
	if hub, last := target.Hops[0], target.Hops[1]; len(hub.Tags) != 0 || last.SourceIdentity != "" || last.Tags["ticket"] != "OPS-1" {
		t.Errorf("the hub has tags %v, the last hop source identity %q and tags %v", hub.Tags, last.SourceIdentity, last.Tags)
	}

	p.book.Sessions[0].Via, p.book.Sessions[0].Role = nil, "Admin" // a permission set takes neither
	if _, err := p.whoami(t, p.desk(t), "deploy"); err == nil || !strings.Contains(err.Error(), "source acme (identityCenter) enters its role by itself") {
		t.Errorf("got %v", err)
	}
}

func TestWithoutAPersonTheErrorSaysWhatToRun(t *testing.T) {
	p := newPlace(t)
	p.person.Show = nil
	if _, err := p.whoami(t, p.desk(t), "orders-prod/Admin"); err == nil || !strings.Contains(err.Error(), "run stile login acme") {
		t.Errorf("%v, want what to run", err)
	}
}

func TestDeviceCodesAreNeverBegunUnasked(t *testing.T) {
	p := newPlace(t)
	p.book.Sources[0].IdentityCenter.Flow = session.Device
	p.person.Show = func(context.Context, idc.Page) error {
		t.Error("a page is shown")
		return nil
	}
	if _, err := p.whoami(t, p.desk(t), "orders-prod/Admin"); err == nil || !strings.Contains(err.Error(), "run stile login acme") {
		t.Errorf("%v, want what to run", err)
	}
}

func TestProfilesAndProgramsAreSources(t *testing.T) {
	p := newPlace(t)
	id, secret, _ := p.server.Administrator(orders)
	if err := os.WriteFile(filepath.Join(p.dir, "credentials"), []byte(fmt.Sprintf("[keys]\naws_access_key_id=%s\naws_secret_access_key=%s\n", id, secret)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": id, "SecretAccessKey": secret})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "out"), out, 0o600); err != nil {
		t.Fatal(err)
	}
	p.role(t, tooling, "view", string(orders))
	p.book.Sources = append(p.book.Sources,
		session.Source{Name: "keys", Profile: &session.Profile{Name: "keys"}},
		session.Source{Name: "gone", Profile: &session.Profile{Name: "gone"}},
		session.Source{Name: "vendor", Process: &session.Process{Command: "cat " + filepath.Join(p.dir, "out")}})
	d := p.desk(t)
	admin := "arn:aws:iam::222222222222:user/Administrator"
	for address, who := range map[string]string{
		"keys": admin, "vendor": admin,
		"keys:111111111111/view":   "arn:aws:sts::111111111111:assumed-role/view/Administrator",
		"vendor:111111111111/view": "arn:aws:sts::111111111111:assumed-role/view/Administrator",
	} {
		got, err := p.whoami(t, d, address)
		want(t, got, err, who)
	}
	if _, err := p.whoami(t, d, "gone"); err == nil || !strings.Contains(err.Error(), `no AWS profile "gone"`) {
		t.Errorf("%v, want that there is no profile", err)
	}
}

// dana is a user with a device, whose seed comes back; code is a code that was
// not used yet.
func (p *place) dana(t *testing.T, d *desk.Desk, kind session.Code) (seed, code string) {
	t.Helper()
	admin := p.iam(tooling)
	if _, err := admin.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("dana")}); err != nil {
		t.Fatal(err)
	}
	key, err := admin.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("dana")})
	if err != nil {
		t.Fatal(err)
	}
	device, err := admin.CreateVirtualMFADevice(t.Context(), &iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: aws.String("dana")})
	if err != nil {
		t.Fatal(err)
	}
	seed = string(device.VirtualMFADevice.Base32StringSeed)
	var codes [3]string
	for i := range codes {
		if codes[i], err = mfa.TOTP(seed, p.server.World().Now().Add(time.Duration(i-2)*mfa.Step)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := admin.EnableMFADevice(t.Context(), &iam.EnableMFADeviceInput{UserName: aws.String("dana"),
		SerialNumber: device.VirtualMFADevice.SerialNumber, AuthenticationCode1: &codes[0], AuthenticationCode2: &codes[1]}); err != nil {
		t.Fatal(err)
	}
	p.book.Sources = append(p.book.Sources, session.Source{Name: "dana", User: &session.User{Account: tooling, MFA: &session.MFA{Serial: *device.VirtualMFADevice.SerialNumber, Code: kind}}})
	if err := d.SetKey(t.Context(), "dana", desk.AccessKey{ID: *key.AccessKey.AccessKeyId, Secret: *key.AccessKey.SecretAccessKey}); err != nil {
		t.Fatal(err)
	}
	return seed, codes[2]
}

func TestWrongCodesAreAskedForAgain(t *testing.T) {
	p := newPlace(t)
	var prompts []string
	code := "000000"
	p.person.Ask = func(_ context.Context, prompt string) (string, error) {
		prompts = append(prompts, prompt)
		if len(prompts) == 1 {
			return "000000", nil
		}
		return code[:3] + " " + code[3:], nil
	}
	d := p.desk(t)
	_, code = p.dana(t, d, session.Prompt)
	who, err := p.whoami(t, d, "dana")
	want(t, who, err, "arn:aws:iam::111111111111:user/dana")
	if len(prompts) != 2 || !strings.Contains(prompts[1], "AWS does not take this code") {
		t.Errorf("prompts %q, want two", prompts)
	}
	p.person.Ask = nil
	who, err = p.whoami(t, p.desk(t), "dana")
	want(t, who, err, "arn:aws:iam::111111111111:user/dana")
	p.paths.Runtime = ""
	var need *desk.NeedLoginError
	if _, err = p.whoami(t, p.desk(t), "dana"); !errors.As(err, &need) || !strings.Contains(err.Error(), "run stile login dana") {
		t.Errorf("with nobody to ask: %v, want what to run", err)
	}
}

func TestASessionThatCannotBeKeptIsSaid(t *testing.T) {
	p := newPlace(t)
	var code string
	p.person.Ask = func(context.Context, string) (string, error) { return code, nil }
	d := p.desk(t)
	_, code = p.dana(t, d, session.Prompt)
	if err := os.Mkdir(p.paths.Runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.paths.Runtime, "credentials"), nil, 0o600); err != nil { // in the way
		t.Fatal(err)
	}
	if _, err := d.Login(t.Context(), p.book.Source("dana"), desk.LoginOptions{}); err == nil || !strings.Contains(err.Error(), "cannot be kept for other commands") {
		t.Errorf("%v, want that it cannot be kept", err)
	}
}

func TestSeedsAnswerForThePerson(t *testing.T) {
	p := newPlace(t)
	d := p.desk(t)
	seed, _ := p.dana(t, d, session.TOTP)
	if err := d.SetSeed(t.Context(), "dana", seed); err != nil {
		t.Fatal(err)
	}
	who, err := p.whoami(t, d, "dana")
	want(t, who, err, "arn:aws:iam::111111111111:user/dana")
	if err := d.SetSeed(t.Context(), "dana", "not a seed!"); err == nil {
		t.Error("what is no seed was kept")
	}
}

func TestLogoutForgetsWhatIsKept(t *testing.T) {
	p := newPlace(t)
	d := p.desk(t)
	if _, err := p.whoami(t, d, "orders-prod/Admin"); err != nil {
		t.Fatal(err)
	}
	if err := d.Logout(t.Context(), &p.book.Sources[0]); err != nil {
		t.Fatal(err)
	}
	if ready, _ := d.Ready(t.Context(), &p.book.Sources[0]); ready {
		t.Error("the source is still ready")
	}
	p.person.Show = nil
	if _, err := p.whoami(t, p.desk(t), "orders-prod/Admin"); err == nil {
		t.Error("the credentials are still kept")
	}
}

func TestAssertionsOpenRoles(t *testing.T) {
	p := newPlace(t)
	idp, err := samltest.New("https://idp.corp.example/metadata")
	if err != nil {
		t.Fatal(err)
	}
	const provider, role = "arn:aws:iam::222222222222:saml-provider/Corp", "arn:aws:iam::222222222222:role/engineer"
	admin := p.iam(orders)
	if _, err := admin.CreateSAMLProvider(t.Context(), &iam.CreateSAMLProviderInput{Name: aws.String("Corp"), SAMLMetadataDocument: aws.String(idp.Metadata())}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("engineer"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"` + provider + `"},"Action":"sts:AssumeRoleWithSAML",
		"Condition":{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml"}}}}`)}); err != nil {
		t.Fatal(err)
	}
	response, err := idp.Response(samltest.Login{Roles: []samltest.Role{{Role: role, Provider: provider}}, SessionName: "grace", At: p.server.World().Now()})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.dir, "assertion")
	if err := os.WriteFile(file, []byte(response+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.book.Sources = append(p.book.Sources,
		session.Source{Name: "corp", SAML: &session.SAML{File: file}}, session.Source{Name: "helper", SAML: &session.SAML{Program: "cat " + file}})
	d := p.desk(t)
	for _, address := range []string{"corp:222222222222/engineer", "helper:222222222222/engineer"} {
		got, err := p.whoami(t, d, address)
		want(t, got, err, "arn:aws:sts::222222222222:assumed-role/engineer/grace")
	}
	p.browser(t, d, file)
	p.may(t, orders, "engineer", "iam:List*")
	target := p.resolve(t, d, "corp:222222222222/engineer")
	for policy, allowed := range map[string]bool{"": true, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:Get*","Resource":"*"}}`: false} {
		target.Hops[0].Policy = policy
		p.lists(t, d, target, allowed)
	}
	target.Hops[0].Policy, target.Hops[0].PolicyARNs = "", []string{"arn:aws:iam::aws:policy/AWSDenyAll"}
	p.lists(t, d, target, false)
	if _, err := p.whoami(t, d, "corp:222222222222/boss"); err == nil || !strings.Contains(err.Error(), "it names no role arn:aws:iam::222222222222:role/boss, but "+role+","+provider) {
		t.Errorf("%v, want the roles there are", err)
	}
	if _, err := p.whoami(t, d, "corp"); err == nil || !strings.Contains(err.Error(), "say which role") {
		t.Errorf("%v, want that a role is to be said", err)
	}
}

// browser signs in by a browser, which posts the assertion in a file: once for all
// roles and processes, and never unasked.
func (p *place) browser(t *testing.T, d *desk.Desk, file string) {
	t.Helper()
	pages := filepath.Join(p.dir, "pages")
	// It says by the pipe what a browser of Chromium's family would, and no more.
	program := p.file(t, "chromium", "#!/bin/sh\necho page >>"+pages+"\nexec 1>&4\n"+
		`printf '{"method":"Target.attachedToTarget","params":{"sessionId":"S","targetInfo":{"type":"page"}}}\000'`+"\n"+
		`printf '{"method":"Fetch.requestPaused","sessionId":"S","params":{"requestId":"r","request":{"url":"https://signin.aws.amazon.com/saml","method":"POST","postData":"SAMLResponse=%s"}}}\000' "$(sed 's/+/%2B/g' `+file+`)"`+"\n"+
		"exec cat <&3 >/dev/null\n", 0o700)
	p.book.Sources = append(p.book.Sources, session.Source{Name: "page", SAML: &session.SAML{StartURL: "https://idp.corp.example/aws", Browser: program}})
	show := p.person.Show
	p.person.Show = nil
	var need *desk.NeedLoginError
	if _, err := p.whoami(t, p.desk(t), "page:222222222222/engineer"); !errors.As(err, &need) {
		t.Errorf("with nobody to ask: %v, want what to run", err)
	}
	p.person.Show = show
	for range 2 { // each stands for a process
		got, err := p.whoami(t, p.desk(t), "page:222222222222/engineer")
		want(t, got, err, "arn:aws:sts::222222222222:assumed-role/engineer/grace")
	}
	source := p.book.Source("page")
	if until, err := p.desk(t).Login(t.Context(), source, desk.LoginOptions{}); err != nil || until.Before(time.Now()) {
		t.Errorf("Login = %v, %v, want until when the assertion is good", until, err)
	}
	if text, err := os.ReadFile(pages); err != nil || string(text) != "page\n" {
		t.Errorf("pages %q, %v, want one", text, err)
	}
	if err := d.Logout(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	if ready, _ := p.desk(t).Ready(t.Context(), source); ready {
		t.Error("the assertion is kept after logout")
	}
}
