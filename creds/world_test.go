package creds_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/oidc"
)

const (
	tooling arn.AccountID = "111111111111"
	orders  arn.AccountID = "222222222222"

	hubARN    = "arn:aws:iam::111111111111:role/hub"
	targetARN = "arn:aws:iam::222222222222:role/payroll-api"
)

// world is a local AWS in this process, without a socket, so that it lives in
// a synctest bubble. The role hub is entered by the token of payroll/api, the
// target by the hub or by the administrator of its account, for up to four hours.
type world struct {
	*localaws.Server
	issuer string
	wire   *wire
}

// wire counts and keeps the STS requests, and may change their fate.
type wire struct {
	next http.RoundTripper

	mu    sync.Mutex // guards the rest
	forms []url.Values
	fate  func(*http.Request) error
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.forms = append(w.forms, form)
	fate := w.fate
	w.mu.Unlock()
	if fate != nil {
		if err := fate(r); err != nil {
			return nil, err
		}
	}
	return w.next.RoundTrip(r)
}

// asked gives the requests of an action so far.
func (w *wire) asked(action string) []url.Values {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []url.Values
	for _, f := range w.forms {
		if f.Get("Action") == action {
			out = append(out, f)
		}
	}
	return out
}

func (w *wire) calls(action string) int { return len(w.asked(action)) }

func (w *wire) setFate(f func(*http.Request) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fate = f
}

// hang makes every request wait for its context's end.
func hang(r *http.Request) error {
	<-r.Context().Done()
	return context.Cause(r.Context())
}

func newWorld(t testing.TB) *world {
	t.Helper()
	server, err := localaws.New(localaws.Config{
		Accounts: []localaws.Account{{ID: tooling, Name: "tooling"}, {ID: orders, Name: "orders-prod"}},
		Clusters: []localaws.Cluster{{Account: tooling, Name: "ci"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{Server: server, wire: &wire{next: frontdoor.RoundTripper(server)}}
	w.issuer, _ = server.Issuer(tooling, "ci")
	w.seed(t)
	return w
}

// config is an SDK configuration as the administrator of an account.
func (w *world) config(account arn.AccountID) aws.Config {
	id, secret, _ := w.Administrator(account)
	return aws.Config{
		Region: "us-east-1", HTTPClient: &http.Client{Transport: w.wire},
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	}
}

// admin is the administrator of an account as the start of a chain.
func (w *world) admin(account arn.AccountID) creds.Provider {
	return creds.From("administrator of "+string(account), w.config(account).Credentials)
}

func (w *world) token(ctx context.Context) (string, error) {
	token, _, err := w.ServiceAccountToken(tooling, "ci", oidc.TokenRequest{
		Namespace: "payroll", ServiceAccount: "api", Audiences: []string{"sts.amazonaws.com"},
	})
	return token, err
}

func (w *world) seed(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	client := iam.NewFromConfig(w.config(tooling))
	_, err := client.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: &w.issuer, ClientIDList: []string{"sts.amazonaws.com"}})
	if err != nil {
		t.Fatal(err)
	}
	w.makeHub(t)
	_, err = iam.NewFromConfig(w.config(orders)).CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: aws.String("payroll-api"), MaxSessionDuration: aws.Int32(4 * 3600),
		AssumeRolePolicyDocument: aws.String(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],
			"Principal":{"AWS":[%q,"arn:aws:iam::222222222222:root"]}}]}`, hubARN)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) makeHub(t testing.TB) {
	t.Helper()
	client := iam.NewFromConfig(w.config(tooling))
	host := w.issuer[len("https://"):]
	_, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: aws.String("hub"), MaxSessionDuration: aws.Int32(4 * 3600),
		AssumeRolePolicyDocument: aws.String(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity",
			"Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/%s"},
			"Condition":{"StringEquals":{"%s:sub":"system:serviceaccount:payroll:api","%s:aud":"sts.amazonaws.com"}}}]}`, host, host, host)),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: aws.String("hub"), PolicyName: aws.String("assume"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],"Resource":"` + targetARN + `"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) deleteHub(t testing.TB) {
	t.Helper()
	client := iam.NewFromConfig(w.config(tooling))
	if _, err := client.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: aws.String("hub"), PolicyName: aws.String("assume")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("hub")}); err != nil {
		t.Fatal(err)
	}
}

// hub is the provider of the hub's credentials.
func (w *world) hub(t testing.TB, role creds.Role) *creds.WebIdentity {
	t.Helper()
	role.ARN = hubARN
	p, err := creds.NewWebIdentity(w.config(tooling), creds.TokenFunc("payroll/api", w.token), role)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newCache(t testing.TB, cfg creds.Config) *creds.Cache {
	t.Helper()
	c := creds.NewCache(cfg)
	t.Cleanup(c.Close)
	return c
}

// identify tells whose credentials p gives.
func (w *world) identify(t testing.TB, p aws.CredentialsProvider) string {
	t.Helper()
	cfg := w.config(tooling)
	cfg.Credentials = p
	id, err := creds.Identify(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return id.ARN.String()
}
