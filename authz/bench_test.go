package authz_test

import (
	"fmt"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// mustCompile parses and compiles a document.
func mustCompile(tb testing.TB, layer authz.Layer, name, doc string) *authz.Policy {
	tb.Helper()
	parsed, err := policy.Parse([]byte(doc))
	if err != nil {
		tb.Fatalf("parsing %s: %v", name, err)
	}
	compiled, err := authz.Compile(parsed, authz.Source{Layer: layer, Name: name})
	if err != nil {
		tb.Fatalf("compiling %s: %v", name, err)
	}
	return compiled
}

func mustARN(tb interface {
	Helper()
	Fatal(args ...any)
}, s string) arn.ARN {
	tb.Helper()
	a, err := arn.Parse(s)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// crossAccount is the request of the main job: a role session of one account
// reads a secret of another, with n identity statements, three levels of SCPs
// and a resource policy.
func crossAccount(tb testing.TB, n int) (*authz.Request, *authz.Policies) {
	tb.Helper()
	statements := ""
	for i := range n - 1 {
		statements += fmt.Sprintf(`{"Sid":"S%d","Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:Query"],`+
			`"Resource":"arn:aws:dynamodb:us-east-1:222222222222:table/Orders%d"},`, i, i)
	}
	statements += `{"Sid":"Read","Effect":"Allow","Action":"secretsmanager:Get*",` +
		`"Resource":"arn:aws:secretsmanager:us-east-1:222222222222:secret:${aws:PrincipalTag/team}-*",` +
		`"Condition":{"StringEquals":{"aws:PrincipalTag/team":["orders","payroll"]},"Bool":{"aws:SecureTransport":"true"}}}`
	full := mustCompile(tb, authz.LayerSCP, "FullAWSAccess", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	regions := mustCompile(tb, authz.LayerSCP, "Regions", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotAction":["iam:*","sts:*"],"Resource":"*",`+
		`"Condition":{"StringNotEquals":{"aws:RequestedRegion":["us-east-1","eu-west-1"]},"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/admin"}}}]}`)
	resource := mustCompile(tb, authz.LayerResource, "secret", `{"Version":"2012-10-17","Statement":[`+
		`{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}},`+
		`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/app/payroll-api"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`)
	req := &authz.Request{
		Principal: authz.Principal{
			Kind:   authz.RoleSession,
			ARN:    mustARN(tb, "arn:aws:sts::111111111111:assumed-role/payroll-api/pod-1"),
			Entity: mustARN(tb, "arn:aws:iam::111111111111:role/app/payroll-api"),
			ID:     "AROAEXAMPLE:pod-1",
		},
		Action:   "secretsmanager:GetSecretValue",
		Resource: "arn:aws:secretsmanager:us-east-1:222222222222:secret:payroll-db-AbCdEf",
	}
	req.Context.Set("aws:RequestedRegion", "us-east-1")
	req.Context.Set("aws:PrincipalOrgID", "o-1")
	req.Context.Set("aws:SecureTransport", "true")
	req.Context.Set("aws:PrincipalTag/team", "payroll")
	identity := mustCompile(tb, authz.LayerIdentity, "inline", `{"Version":"2012-10-17","Statement":[`+statements+`]}`)
	return req, &authz.Policies{
		Identity: []*authz.Policy{identity},
		SCPs: []authz.Level{
			{Node: "r-root", Policies: []*authz.Policy{full}},
			{Node: "ou-1", Policies: []*authz.Policy{full, regions}},
			{Node: "111111111111", Policies: []*authz.Policy{full}},
		},
		Resource: resource,
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		b.Run(fmt.Sprintf("%d_statements", n), func(b *testing.B) {
			req, pols := crossAccount(b, n)
			if got := authz.Decide(req, pols, nil); got != authz.Allowed {
				b.Fatalf("Decide = %v\n%s", got, authz.Evaluate(req, pols, nil).Text())
			}
			b.ReportAllocs()
			for b.Loop() {
				authz.Decide(req, pols, nil)
			}
		})
	}
}

func BenchmarkEvaluate(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		b.Run(fmt.Sprintf("%d_statements", n), func(b *testing.B) {
			req, pols := crossAccount(b, n)
			b.ReportAllocs()
			for b.Loop() {
				authz.Evaluate(req, pols, nil)
			}
		})
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	req, pols := crossAccount(t, 10)
	if n := testing.AllocsPerRun(100, func() { authz.Decide(req, pols, nil) }); n != 0 {
		t.Errorf("Decide allocates %v times, want 0", n)
	}
	for _, c := range cases(t) {
		req, pols := build(t, &c, authz.Compile)
		if n := testing.AllocsPerRun(3, func() { authz.Decide(req, pols, nil) }); n != 0 {
			t.Errorf("%s: Decide allocates %v times, want 0", c.ID, n)
		}
	}
}

// BenchmarkPartial evaluates with two keys unknown, down to the sentence.
func BenchmarkPartial(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		b.Run(fmt.Sprintf("%d_statements", n), func(b *testing.B) {
			req, pols := crossAccount(b, n)
			req.Context.SetUnknown("aws:PrincipalTag/team")
			req.Context.SetUnknown("aws:RequestedRegion")
			if d := authz.Evaluate(req, pols, nil); d.Residual == nil {
				b.Fatal(d.Text())
			}
			b.ReportAllocs()
			for b.Loop() {
				authz.Evaluate(req, pols, nil)
			}
		})
	}
}

func BenchmarkResidualDecide(b *testing.B) {
	req, pols := crossAccount(b, 10)
	ctx := req.Context.Clone()
	req.Context.SetUnknown("aws:PrincipalTag/team")
	req.Context.SetUnknown("aws:RequestedRegion")
	r := authz.Evaluate(req, pols, nil).Residual
	if got := r.Decide(&ctx); got != authz.Allowed {
		b.Fatalf("Decide = %v: %v", got, r)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Decide(&ctx)
	}
}
