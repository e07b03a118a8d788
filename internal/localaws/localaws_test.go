package localaws_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/sync/errgroup"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

// The accounts of the tests. M manages the organization of A and B; X is in none.
const (
	M arn.AccountID = "999999999999"
	A arn.AccountID = "111111111111"
	B arn.AccountID = "222222222222"
	X arn.AccountID = "333333333333"
)

func start(t testing.TB, change func(*localaws.Config)) *localaws.Server {
	t.Helper()
	cfg := localaws.Config{
		Accounts: []localaws.Account{{ID: M, Name: "management"}, {ID: A, Name: "tooling"}, {ID: B, Name: "orders-prod"}},
		Seed:     1,
	}
	if change != nil {
		change(&cfg)
	}
	s, err := localaws.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// config is an in-process client of the server, at the real host names.
func config(t testing.TB, s *localaws.Server, account arn.AccountID) aws.Config {
	t.Helper()
	id, secret, ok := s.Administrator(account)
	if !ok {
		t.Fatalf("account %s has no administrator", account)
	}
	return with(s, id, secret, "")
}

func with(s *localaws.Server, id, secret, token string) aws.Config {
	return aws.Config{
		Region:      "us-east-1",
		HTTPClient:  &http.Client{Transport: frontdoor.RoundTripper(s)},
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
}

func whoami(t testing.TB, cfg aws.Config) (*sts.GetCallerIdentityOutput, error) {
	t.Helper()
	return sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
}

func TestAdministratorsAreThereAtOnce(t *testing.T) {
	s := start(t, func(c *localaws.Config) { c.PropagationDelay = time.Minute })
	for _, account := range []arn.AccountID{M, A, B} {
		out, err := whoami(t, config(t, s, account))
		if err != nil || *out.Arn != "arn:aws:iam::"+string(account)+":user/Administrator" {
			t.Errorf("account %s: %v %v", account, out, err)
		}
		if _, err := iam.NewFromConfig(config(t, s, account)).ListRoles(t.Context(), &iam.ListRolesInput{}); err != nil {
			t.Errorf("account %s: %v", account, err)
		}
	}
}

func TestBadConfigsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*localaws.Config){
		"no account":            func(c *localaws.Config) { c.Accounts = nil },
		"an id with 11 digits":  func(c *localaws.Config) { c.Accounts = []localaws.Account{{ID: "11111111111"}} },
		"a cluster nowhere":     func(c *localaws.Config) { c.Clusters = []localaws.Cluster{{Account: X, Name: "c"}} },
		"a state that is none":  func(c *localaws.Config) { c.StateFile = writeFile(t, "not json") },
		"a state of the future": func(c *localaws.Config) { c.StateFile = writeFile(t, `{"format":99}`) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := localaws.Config{Accounts: []localaws.Account{{ID: A}}}
			change(&cfg)
			if s, err := localaws.New(cfg); err == nil {
				t.Errorf("New made %v", s)
			}
		})
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAuthenticationErrors(t *testing.T) {
	s := start(t, nil)
	id, secret, _ := s.Administrator(A)
	long := time.Now().Add(-2 * time.Hour)
	for _, c := range []struct {
		name       string
		cfg        aws.Config
		query, awk string // codes in the query and the JSON protocol
		text       string
	}{
		{"an unknown key", with(s, "AKIAIOSFODNN7EXAMPLE", secret, ""), "InvalidClientTokenId", "UnrecognizedClientException", "The security token included in the request is invalid."},
		{"a wrong secret", with(s, id, secret+"x", ""), "SignatureDoesNotMatch", "InvalidSignatureException", "The request signature we calculated does not match"},
		{"a token with a long-term key", with(s, id, secret, "token"), "InvalidClientTokenId", "UnrecognizedClientException", ""},
		{"a clock two hours behind", signedAt(with(s, id, secret, ""), long), "SignatureDoesNotMatch", "InvalidSignatureException", "Signature expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := whoami(t, c.cfg)
			worldtest.WantError(t, err, c.query, c.text)
			_, err = kms.NewFromConfig(c.cfg).ListKeys(t.Context(), &kms.ListKeysInput{})
			worldtest.WantError(t, err, c.awk, c.text)
		})
	}
}

// signedAt makes a client sign with a clock of its own.
func signedAt(cfg aws.Config, at time.Time) aws.Config {
	inner := cfg.HTTPClient.(*http.Client).Transport
	provider := cfg.Credentials
	cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		creds, err := provider.Retrieve(r.Context())
		if err != nil {
			return nil, err
		}
		scope := strings.Split(r.Header.Get("Authorization"), "/")
		r.Header.Del("Authorization")
		if err := v4.NewSigner().SignHTTP(r.Context(), creds, r, r.Header.Get("X-Amz-Content-Sha256"), scope[3], scope[2], at); err != nil {
			return nil, err
		}
		return inner.RoundTrip(r)
	})}
	return cfg
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWhatIsNotServedSaysSo(t *testing.T) {
	s := start(t, nil)
	cfg := config(t, s, A)
	_, err := iam.NewFromConfig(cfg).GenerateCredentialReport(t.Context(), &iam.GenerateCredentialReportInput{})
	worldtest.WantError(t, err, "NotImplemented", "does not implement iam:GenerateCredentialReport")
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); !ok || e.HTTPStatusCode() != http.StatusNotImplemented {
		t.Errorf("status of an operation that is not served: %v", err)
	}
	// Clients of services with an error format of their own can read it too.
	_, err = s3.NewFromConfig(cfg).ListBuckets(t.Context(), &s3.ListBucketsInput{})
	worldtest.WantError(t, err, "UnknownService", `signed for service "s3"`)
	_, err = ec2.NewFromConfig(cfg).DescribeVpcEndpoints(t.Context(), &ec2.DescribeVpcEndpointsInput{})
	worldtest.WantError(t, err, "UnknownService", `signed for service "ec2"`)
	for name, c := range map[string]struct {
		request *http.Request
		status  int
		text    string
	}{
		"an action that IAM does not have": {form("iam.amazonaws.com", "Action=CreateUnicorn&Version=2010-05-08"), 400, "InvalidAction"},
		"an unsigned request":              {form("sts.amazonaws.com", "Action=GetCallerIdentity&Version=2011-06-15"), 403, "MissingAuthenticationToken"},
		"a service that is not here":       {httptest.NewRequest("GET", "http://lambda.us-east-1.amazonaws.com/2015-03-31/functions/", nil), 400, "UnknownService"},
		"the head of an S3 object":         {httptest.NewRequest("HEAD", "http://127.0.0.1:7171/bucket/key", nil), 501, ""},
		"nothing at all":                   {httptest.NewRequest("GET", "http://127.0.0.1:7171/", nil), 400, "UnknownService"},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, c.request)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.text) {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, c.status, c.text)
			}
		})
	}
}

func form(host, body string) *http.Request {
	r := httptest.NewRequest("POST", "http://"+host+"/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// A signature for one service is no good at another's host.
func TestScopeMustFitTheHost(t *testing.T) {
	s := start(t, nil)
	id, secret, _ := s.Administrator(A)
	r := form("sts.us-east-1.amazonaws.com", "Action=GetCallerIdentity&Version=2011-06-15")
	body := "Action=GetCallerIdentity&Version=2011-06-15"
	sum := fmt.Sprintf("%x", sha256sum(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, r, sum, "iam", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code/100 == 2 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestSeedMakesKeysRepeatable(t *testing.T) {
	key := func(seed uint64) string {
		id, secret, _ := start(t, func(c *localaws.Config) { c.Seed = seed }).Administrator(B)
		return id + secret
	}
	if first, again := key(7), key(7); first != again {
		t.Error("two servers with one seed differ")
	}
	first, again := key(0), key(0)
	if first == again || key(7) == key(8) {
		t.Error("servers with different seeds, or none, have the same keys")
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	keep := func(c *localaws.Config) {
		c.StateFile = file
		c.Clusters = []localaws.Cluster{{Account: A, Name: "ci"}}
	}
	first, err := localaws.New(localaws.Config{Accounts: []localaws.Account{{ID: A}}, StateFile: file, Clusters: []localaws.Cluster{{Account: A, Name: "ci"}}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t, first, A)
	makeRole(t, cfg, "hub", `{"AWS":"111111111111"}`)
	session, err := sts.NewFromConfig(cfg).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111111111111:role/hub"), RoleSessionName: aws.String("s1")})
	if err != nil {
		t.Fatal(err)
	}
	issuer, _ := first.Issuer(A, "ci")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state file: %v %v, want mode 0600", info, err)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 2 || left[1].Name() != "state.json.lock" {
		t.Errorf("beside the state file there is %v %v", left, err)
	}
	second := start(t, keep)
	if again, _ := second.Issuer(A, "ci"); again != issuer || issuer == "" {
		t.Errorf("issuer %q after the restart, before %q", again, issuer)
	}
	c := session.Credentials
	out, err := whoami(t, with(second, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken))
	if err != nil || *out.Arn != "arn:aws:sts::111111111111:assumed-role/hub/s1" {
		t.Errorf("an old session after the restart: %v %v", out, err)
	}
}

func makeRole(t testing.TB, cfg aws.Config, name, principal string) {
	t.Helper()
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":"sts:AssumeRole"}]}`
	_, err := iam.NewFromConfig(cfg).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatal(err)
	}
}

// A session token of one world is nothing in another.
func TestForeignTokensAreRefused(t *testing.T) {
	s, other := start(t, nil), start(t, func(c *localaws.Config) { c.Seed = 2 })
	makeRole(t, config(t, other, A), "hub", `{"AWS":"111111111111"}`)
	session, err := sts.NewFromConfig(config(t, other, A)).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111111111111:role/hub"), RoleSessionName: aws.String("s1")})
	if err != nil {
		t.Fatal(err)
	}
	c := session.Credentials
	_, err = whoami(t, with(s, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken))
	worldtest.WantError(t, err, "InvalidClientTokenId", "")
	_, err = whoami(t, with(other, *c.AccessKeyId, *c.SecretAccessKey, (*c.SessionToken)[:len(*c.SessionToken)-8]+"AAAAAAA="))
	worldtest.WantError(t, err, "InvalidClientTokenId", "")
	_, err = whoami(t, with(other, *c.AccessKeyId, *c.SecretAccessKey, ""))
	worldtest.WantError(t, err, "InvalidClientTokenId", "")
}

func TestClientsOfASinglePort(t *testing.T) {
	s := start(t, nil)
	server := httptest.NewServer(s)
	defer server.Close()
	cfg := config(t, s, B)
	cfg.HTTPClient, cfg.BaseEndpoint = server.Client(), aws.String(server.URL)
	out, err := whoami(t, cfg)
	if err != nil || *out.Account != string(B) {
		t.Errorf("%v %v", out, err)
	}
	presigned, err := sts.NewPresignClient(sts.NewFromConfig(cfg)).PresignGetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Get(presigned.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || !strings.Contains(string(body), "user/Administrator") {
		t.Errorf("presigned: %d %s", resp.StatusCode, body)
	}
}

func TestIssuersAreServedByHostAndByPath(t *testing.T) {
	s := start(t, func(c *localaws.Config) { c.Clusters = []localaws.Cluster{{Account: A, Name: "ci"}} })
	issuer, _ := s.Issuer(A, "ci")
	u, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{u.Host, "127.0.0.1:7171"} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", "http://"+host+u.Path+"/.well-known/openid-configuration", nil))
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"`+issuer+`"`) {
			t.Errorf("host %s: %d %s", host, w.Code, w.Body)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "http://oidc.eks.eu-west-1.amazonaws.com"+u.Path+"/keys", nil))
	if w.Code == 200 {
		t.Errorf("another Region's host serves the keys: %s", w.Body)
	}
}

func TestFaultsHitWhatTheyName(t *testing.T) {
	s := start(t, nil)
	now := s.World().Now()
	list := func(account arn.AccountID) error {
		_, err := iam.NewFromConfig(config(t, s, account)).ListRoles(t.Context(), &iam.ListRolesInput{})
		return err
	}
	s.Faults().Add(now, service.Fault{Kind: service.Throttle, Service: "iam", Operation: "ListRoles", Account: A, Times: 2})
	for range 2 {
		worldtest.WantError(t, list(A), "Throttling", "Rate exceeded")
	}
	if err := errors.Join(list(A), list(B)); err != nil {
		t.Error(err)
	}
	id := s.Faults().Add(now, service.Fault{Kind: service.ServerError, Account: B})
	worldtest.WantError(t, list(B), "InternalFailure", "")
	_, err := kms.NewFromConfig(config(t, s, B)).ListKeys(t.Context(), &kms.ListKeysInput{})
	if err == nil {
		t.Error("KMS is spared")
	}
	if !s.Faults().Remove(id) || s.Faults().Remove(id) {
		t.Error("Remove does not tell what was on")
	}
	s.Faults().Add(now, service.Fault{Kind: service.Unavailable, Account: B, For: time.Nanosecond})
	if err := list(B); err != nil {
		t.Errorf("a fault outlives its time: %v", err)
	}
	s.Faults().Add(now, service.Fault{Kind: service.Outage, Account: A})
	if err := list(A); err == nil || strings.Contains(err.Error(), "StatusCode: 2") {
		t.Errorf("outage: %v", err)
	}
	s.Faults().Clear()
	s.Faults().Add(now, service.Fault{Kind: service.Throttle, Probability: 0.5})
	hit := 0
	for range 100 {
		if list(A) != nil {
			hit++
		}
	}
	if hit < 25 || hit > 75 {
		t.Errorf("a fault of probability 0.5 hit %d of 100 calls", hit)
	}
}

// A call that is dropped after it took effect has changed the world, one that
// is dropped before has not.
func TestInterceptBeforeAndAfterTheEffect(t *testing.T) {
	for _, c := range []struct {
		phase  service.Phase
		action service.Action
		exists bool
	}{
		{service.Before, service.Drop, false}, {service.After, service.Drop, true},
		{service.Before, service.Fail, false}, {service.After, service.Fail, true},
		{service.Before, service.Slow, false},
	} {
		armed := true
		s := start(t, func(cfg *localaws.Config) {
			cfg.Intercept = func(service_, operation string, account arn.AccountID, phase service.Phase) service.Action {
				if armed && operation == "CreateUser" && account == A && phase == c.phase {
					return c.action
				}
				return service.Proceed
			}
		})
		client := iam.NewFromConfig(config(t, s, A))
		if _, err := client.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("u")}); err == nil {
			t.Errorf("phase %d, action %d: the call succeeded", c.phase, c.action)
		}
		armed = false
		_, err := client.GetUser(t.Context(), &iam.GetUserInput{UserName: aws.String("u")})
		if exists := err == nil; exists != c.exists {
			t.Errorf("phase %d, action %d: the user exists: %v, want %v", c.phase, c.action, exists, c.exists)
		}
	}
}

func TestAfterFaultsHideSuccess(t *testing.T) {
	s := start(t, nil)
	s.Faults().Add(s.World().Now(), service.Fault{Kind: service.ServerError, Operation: "CreateUser", After: true, Times: 1})
	client := iam.NewFromConfig(config(t, s, A))
	create := func() error {
		_, err := client.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("u")})
		return err
	}
	worldtest.WantError(t, create(), "InternalFailure", "")
	worldtest.WantError(t, create(), "EntityAlreadyExists", "")
}

// Readers, writers, sessions, faults and the saving of the state at once; it is
// the race detector that judges.
func TestConcurrentUse(t *testing.T) {
	s := start(t, func(c *localaws.Config) {
		c.StateFile = filepath.Join(t.TempDir(), "state.json")
		c.Organization = true
	})
	makeRole(t, config(t, s, B), "target", `{"AWS":"111111111111"}`)
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			client, name := iam.NewFromConfig(config(t, s, A)), fmt.Sprintf("user-%d", i)
			for range 20 {
				if _, err := client.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name}); err != nil {
					return err
				}
				out, err := sts.NewFromConfig(config(t, s, A)).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::222222222222:role/target"), RoleSessionName: &name})
				if err != nil {
					return err
				}
				c := out.Credentials
				if _, err := whoami(t, with(s, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)); err != nil {
					return err
				}
				if _, err := iam.NewFromConfig(with(s, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)).ListRoles(t.Context(), &iam.ListRolesInput{}); err == nil {
					return errors.New("a role without policies lists roles")
				}
				if _, err := client.DeleteUser(t.Context(), &iam.DeleteUserInput{UserName: &name}); err != nil {
					return err
				}
				s.Faults().Remove(s.Faults().Add(s.World().Now(), service.Fault{Kind: service.Throttle, Service: "none"}))
				if _, err := s.World().Dump(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if n := len(s.Denials().Recent()); n != 160 {
		t.Errorf("%d denials, want 160", n)
	}
}
