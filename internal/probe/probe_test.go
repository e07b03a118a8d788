package probe_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/apply"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/oidc"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/probe"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// fixture is the examples, applied to a world.
type fixture struct {
	*testing.T
	world  *scopetest.World
	wanted *compile.Wanted
	cfg    probe.Config
}

// with runs f in a synctest bubble, where waits take no time.
func with(t *testing.T, f func(*fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		s := w.Scope(scopetest.Examples(t, "payroll", "assume-role", "shared-secret"), nil)
		p, view, diags, err := s.Plan(t.Context(), scope.PlanOptions{})
		if err != nil || p == nil {
			t.Fatal(err, diags)
		}
		if _, err := apply.Run(t.Context(), p, apply.Config{Source: s.Source, Ledgers: view.Ledgers}); err != nil {
			t.Fatal(err)
		}
		x := &fixture{T: t, world: w, wanted: p.Wanted}
		x.cfg = probe.Config{
			Base:  aws.Config{Region: scopetest.Region, HTTPClient: w.Admin(scopetest.Tooling, nil).HTTPClient},
			Token: x.token, Credentials: x.credentials,
			Deployer: func(_ context.Context, id arn.AccountID) (aws.CredentialsProvider, error) {
				return w.Admin(id, nil).Credentials, nil
			},
		}
		f(x)
	})
}

func (x *fixture) token(_ context.Context, c compile.Caller) (string, error) {
	name := strings.Split(c.Subject, ":")
	token, _, err := x.world.Server.ServiceAccountToken(scopetest.Tooling, "ci", oidc.TokenRequest{Namespace: name[2], ServiceAccount: name[3], Audiences: []string{c.Audience}})
	return token, err
}

// credentials are those of the callers in tooling: roles by their administrator, the user by a key.
func (x *fixture) credentials(ctx context.Context, c compile.Caller) (aws.CredentialsProvider, error) {
	admin := x.world.Admin(scopetest.Tooling, nil)
	if strings.Contains(c.ARN, ":role/") {
		return stscreds.NewAssumeRoleProvider(sts.NewFromConfig(admin), c.ARN), nil
	}
	out, err := iam.NewFromConfig(admin).CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String("auditor")})
	if err != nil {
		return nil, err
	}
	return credentials.NewStaticCredentialsProvider(*out.AccessKey.AccessKeyId, *out.AccessKey.SecretAccessKey, ""), nil
}

func (x *fixture) run() []probe.Result {
	x.Helper()
	results, err := probe.Run(x.Context(), x.wanted, x.cfg)
	if err != nil {
		x.Fatal(err)
	}
	return results
}

func text(results []probe.Result) string {
	var b bytes.Buffer
	_ = probe.Text(&b, results) // a buffer takes everything
	return b.String()
}

// find returns the results whose What has every part.
func find(results []probe.Result, parts ...string) []probe.Result {
	var out []probe.Result
	for _, r := range results {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(r.What, p)
		}
		if all {
			out = append(out, r)
		}
	}
	return out
}

func TestWhatIsDeclaredWorksAndNothingElse(t *testing.T) {
	with(t, func(x *fixture) {
		results := x.run()
		if !probe.OK(results) {
			x.Errorf("not OK:\n%s", text(results))
		}
		for _, want := range []struct {
			what     []string
			identity string
			outcome  probe.Outcome
		}{
			{[]string{"sts:AssumeRoleWithWebIdentity", "role/stile/payroll-api"}, "serviceaccount:ci/payroll/api", probe.Allowed},
			{[]string{"role/stile/payroll-api", "system:serviceaccount:payroll:stile-probe-nobody"}, "serviceaccount:ci/payroll/api", probe.Denied},
			{[]string{"role/stile/payroll-api", "audience stile-probe-audience"}, "serviceaccount:ci/payroll/api", probe.Denied},
			{[]string{"dynamodb:GetItem", "table/Orders"}, "arn:aws:sts::222222222222:assumed-role/payroll-api/stile-probe", probe.Allowed},
			{[]string{"dynamodb:Query", "table/Orders/index/"}, "arn:aws:sts::222222222222:assumed-role/payroll-api/stile-probe", probe.Allowed},
			{[]string{"secretsmanager:GetSecretValue", x.world.Secret}, "arn:aws:sts::222222222222:assumed-role/payroll-api/stile-probe", probe.Allowed},
			{[]string{"secretsmanager:GetSecretValue", x.world.Secret}, "arn:aws:sts::111111111111:assumed-role/AppRole/", probe.Allowed},
			{[]string{"sts:AssumeRole ", "target-account-iam-role"}, "arn:aws:sts::111111111111:assumed-role/ci-account-iam-role/stile-probe", probe.Allowed},
			{[]string{"target-account-iam-role", "past the hub"}, "arn:aws:iam::111111111111:user/Administrator", probe.Denied},
			{[]string{"eks:ListClusters"}, "arn:aws:sts::222222222222:assumed-role/target-account-iam-role/stile-probe", probe.Allowed},
			{[]string{"eks:DescribeCluster"}, "arn:aws:sts::222222222222:assumed-role/target-account-iam-role/stile-probe", probe.Allowed},
			{[]string{"orders-deploy-reader", "wrong external id"}, "arn:aws:sts::111111111111:assumed-role/ci-deployer/", probe.Denied},
			{[]string{"dynamodb:DescribeTable"}, "arn:aws:sts::222222222222:assumed-role/orders-auditor/stile-probe", probe.Allowed},
			{[]string{"which nobody declared"}, "arn:aws:sts::222222222222:assumed-role/payroll-api/stile-probe", probe.Denied},
			{[]string{"which nobody declared"}, "arn:aws:sts::222222222222:assumed-role/target-account-iam-role/stile-probe", probe.Denied},
		} {
			ok := false
			for _, r := range find(results, want.what...) {
				ok = ok || r.OK && r.Got == want.outcome && strings.HasPrefix(r.Identity, want.identity)
			}
			if !ok {
				x.Errorf("no attempt %q as %s with outcome %s:\n%s", want.what, want.identity, want.outcome, text(results))
			}
		}
		for _, r := range find(results, "dynamodb:Scan") {
			if r.NotProbed == "" {
				x.Errorf("dynamodb:Scan reads data and was tried: %+v", r)
			}
		}
	})
}

func TestBrokenFactsAreFound(t *testing.T) {
	trust := func(role, document string) func(context.Context, *fixture) error {
		return func(ctx context.Context, x *fixture) error {
			_, err := iam.NewFromConfig(x.world.Admin(scopetest.Orders, nil)).UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &role, PolicyDocument: &document})
			return err
		}
	}
	issuer := func(x *fixture) string {
		url, _ := x.world.Server.Issuer(scopetest.Tooling, "ci")
		return strings.TrimPrefix(url, "https://")
	}
	webTrust := func(condition string) func(context.Context, *fixture) error {
		return func(ctx context.Context, x *fixture) error {
			document := strings.ReplaceAll(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:oidc-provider/ISSUER"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":`+condition+`}]}`, "ISSUER", issuer(x))
			return trust("payroll-api", document)(ctx, x)
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(context.Context, *fixture) error
		wrong []string // parts of the What of a result that must be wrong
		got   probe.Outcome
	}{
		{"the trust names somebody else", webTrust(`{"StringEquals":{"ISSUER:sub":"system:serviceaccount:payroll:other","ISSUER:aud":"sts.amazonaws.com"}}`),
			[]string{"sts:AssumeRoleWithWebIdentity", "payroll-api"}, probe.Denied},
		{"the trust names every service account", webTrust(`{"StringLike":{"ISSUER:sub":"system:serviceaccount:payroll:*"},"StringEquals":{"ISSUER:aud":"sts.amazonaws.com"}}`),
			[]string{"payroll-api", "stile-probe-nobody"}, probe.Allowed},
		{"any audience will do", func(ctx context.Context, x *fixture) error {
			_, err := iam.NewFromConfig(x.world.Admin(scopetest.Orders, nil)).AddClientIDToOpenIDConnectProvider(ctx, &iam.AddClientIDToOpenIDConnectProviderInput{
				OpenIDConnectProviderArn: aws.String("arn:aws:iam::222222222222:oidc-provider/" + issuer(x)), ClientID: aws.String("stile-probe-audience")})
			if err != nil {
				return err
			}
			return webTrust(`{"StringEquals":{"ISSUER:sub":"system:serviceaccount:payroll:api"}}`)(ctx, x)
		}, []string{"payroll-api", "audience stile-probe-audience"}, probe.Allowed},
		{"the permissions are gone", func(ctx context.Context, x *fixture) error {
			_, err := iam.NewFromConfig(x.world.Admin(scopetest.Orders, nil)).DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String("payroll-api"), PolicyName: aws.String("stile-payroll-reads-orders")})
			return err
		}, []string{"dynamodb:GetItem", "table/Orders"}, probe.Denied},
		{"the external id is no longer asked for", trust("orders-deploy-reader",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/ci-deployer"},"Action":"sts:AssumeRole"}]}`),
			[]string{"orders-deploy-reader", "wrong external id"}, probe.Allowed},
		{"the target trusts the hub's whole account", trust("target-account-iam-role",
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sts:AssumeRole"}]}`),
			[]string{"target-account-iam-role", "past the hub"}, probe.Allowed},
		{"the role may do more", func(ctx context.Context, x *fixture) error {
			_, err := iam.NewFromConfig(x.world.Admin(scopetest.Orders, nil)).PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("payroll-api"), PolicyName: aws.String("more"),
				PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)})
			return err
		}, []string{"which nobody declared"}, probe.Allowed},
		{"the secret's policy is gone", func(ctx context.Context, x *fixture) error {
			_, err := secretsmanager.NewFromConfig(x.world.Admin(scopetest.Orders, nil)).DeleteResourcePolicy(ctx, &secretsmanager.DeleteResourcePolicyInput{SecretId: &x.world.Secret})
			return err
		}, []string{"secretsmanager:GetSecretValue", ":secret:AppDemoSecret"}, probe.Denied},
	} {
		t.Run(c.name, func(t *testing.T) {
			with(t, func(x *fixture) {
				if err := c.spoil(x.Context(), x); err != nil {
					x.Fatal(err)
				}
				results := x.run()
				if probe.OK(results) {
					x.Errorf("OK although %s", c.name)
				}
				ok := false
				for _, r := range find(results, c.wrong...) {
					ok = ok || r.Wrong() && r.Got == c.got
				}
				if !ok {
					x.Errorf("no wrong result %q, %s:\n%s", c.wrong, c.got, text(results))
				}
				if out := text(results); !strings.Contains(out, "WRONG") || !strings.Contains(out, " not, ") {
					x.Errorf("the text hides it:\n%s", out)
				}
			})
		})
	}
}

func TestWithoutIdentitiesNothingIsProbedAndNothingFails(t *testing.T) {
	with(t, func(x *fixture) {
		refuse := errors.New("the API server does not answer")
		for name, cfg := range map[string]probe.Config{
			"no sources": {Base: x.cfg.Base},
			"sources that fail": {
				Base:        x.cfg.Base,
				Token:       func(context.Context, compile.Caller) (string, error) { return "", refuse },
				Credentials: func(context.Context, compile.Caller) (aws.CredentialsProvider, error) { return nil, refuse },
			},
			"tokens that are none": {
				Base:  x.cfg.Base,
				Token: func(context.Context, compile.Caller) (string, error) { return "a.b.c", nil },
			},
			"credentials of somebody else": {
				Base: x.cfg.Base,
				Credentials: func(context.Context, compile.Caller) (aws.CredentialsProvider, error) {
					return x.world.Admin(scopetest.Network, nil).Credentials, nil
				},
			},
		} {
			results, err := probe.Run(x.Context(), x.wanted, cfg)
			if err != nil || len(results) == 0 || !probe.OK(results) {
				x.Errorf("%s: %v\n%s", name, err, text(results))
			}
			for _, r := range results {
				if r.NotProbed == "" || r.OK || r.Wrong() {
					x.Errorf("%s: %+v, want it not probed", name, r)
				}
			}
		}
	})
}

// TestOneTokenForEverybodyProvesNothing has a source like a token file, which
// cannot give another service account's token.
func TestOneTokenForEverybodyProvesNothing(t *testing.T) {
	with(t, func(x *fixture) {
		x.cfg.Token = func(ctx context.Context, _ compile.Caller) (string, error) {
			return x.token(ctx, compile.Caller{Subject: "system:serviceaccount:payroll:api", Audience: "sts.amazonaws.com"})
		}
		results := x.run()
		if !probe.OK(results) {
			x.Errorf("false alarm:\n%s", text(results))
		}
		for _, r := range find(results, "stile-probe-nobody") {
			if !strings.Contains(r.NotProbed, "the token given for") {
				x.Errorf("%+v, want it not probed", r)
			}
		}
		if got := find(results, "dynamodb:GetItem", "table/Orders"); len(got) == 0 || !got[0].OK {
			x.Errorf("the route of the token's owner was not probed:\n%s", text(results))
		}
	})
}

func TestWaitsUntilWhatWasAppliedIsSeen(t *testing.T) {
	with(t, func(x *fixture) {
		x.world.Server.World().SetDelay("", 20*time.Second)
		results := x.run()
		if !probe.OK(results) {
			x.Errorf("with a delay of 20 s and a patience of 30 s:\n%s", text(results))
		}
		x.world.Server.World().SetDelay("", time.Hour)
		start := time.Now()
		if x.run(); time.Since(start) > 31*time.Second {
			x.Errorf("Run waited %s, its patience is 30 s", time.Since(start))
		}
	})
}

func TestAFailureOfTheServiceSaysNothingOfTheAccess(t *testing.T) {
	for _, kind := range []service.FaultKind{service.Outage, service.Unavailable, service.ServerError, service.Throttle} {
		with(t, func(x *fixture) {
			x.world.Server.Faults().Add(x.world.Server.World().Now(), service.Fault{Kind: kind, Service: "dynamodb"})
			results := x.run()
			got := find(results, "dynamodb:GetItem", "table/Orders")
			if len(got) == 0 || got[0].Got != probe.Unknown || !got[0].Unavailable || got[0].OK || got[0].Wrong() || got[0].Error == "" {
				x.Errorf("%s: GetItem without an answer: %+v", kind, got)
			}
			if !probe.OK(results) || probe.Answered(results) {
				x.Errorf("%s: OK %v, answered %v, want nothing wrong and not all answered:\n%s", kind, probe.OK(results), probe.Answered(results), text(results))
			}
			if out := text(results); strings.Contains(out, "WRONG") || !strings.Contains(out, "could not be tried") {
				x.Errorf("%s: the text:\n%s", kind, out)
			}
		})
	}
}

// What a role that cannot be entered leads to is not refused.
func TestAnOutageOfSTS(t *testing.T) {
	with(t, func(x *fixture) {
		x.world.Server.Faults().Add(x.world.Server.World().Now(), service.Fault{Kind: service.Outage, Service: "sts"})
		results := x.run()
		if !probe.OK(results) || probe.Answered(results) {
			x.Errorf("want nothing wrong and not all answered:\n%s", text(results))
		}
		for _, r := range results {
			if strings.Contains(r.NotProbed, "refused") || strings.Contains(r.NotProbed, "do not work") {
				x.Errorf("%+v", r)
			}
		}
	})
}

func TestEachWayIsToldAsItEnds(t *testing.T) {
	with(t, func(x *fixture) {
		var told []probe.Result
		routes := map[string]bool{}
		x.cfg.Done = func(results []probe.Result) {
			for _, r := range results {
				if r.Route != results[0].Route {
					x.Errorf("%s and %s are told at once", r.Route, results[0].Route)
				}
			}
			routes[results[0].Route] = true
			told = append(told, results...)
		}
		if results := x.run(); len(told) != len(results) || len(routes) < 2 {
			x.Errorf("told %d results of %d ways, want %d", len(told), len(routes), len(results))
		}
	})
}

func TestSTSOnlyMakesNoOtherCall(t *testing.T) {
	with(t, func(x *fixture) {
		x.cfg.STSOnly = true
		for _, r := range x.run() {
			if !strings.HasPrefix(r.What, "sts:") {
				x.Errorf("probed %q", r.What)
			}
		}
	})
}

func TestNoSecretIsPrinted(t *testing.T) {
	with(t, func(x *fixture) {
		if out := text(x.run()); strings.Contains(out, "correct horse") || strings.Contains(out, "eyJ") {
			x.Errorf("a secret or a token is printed:\n%s", out)
		}
	})
}

func TestExpiredRoutesAreNotProbed(t *testing.T) {
	with(t, func(x *fixture) {
		for i := range x.wanted.Routes {
			x.wanted.Routes[i].Expires = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		for _, r := range x.run() {
			if r.NotProbed != "it ended on 1999-01-01" {
				x.Errorf("%+v, want it not probed", r)
			}
		}
	})
}
