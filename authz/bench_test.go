package authz_test

import (
	"fmt"
	"strings"
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

// sizes are the numbers of statements or principals that are measured.
var sizes = []int{1, 10, 1000}

// An inquiry is a request with its policies, by the number of its statements.
type inquiry struct {
	name string
	ask  func(tb testing.TB, n int) (*authz.Request, *authz.Policies)
	want authz.Outcome
}

// inquiries are what is measured: the request of the main job first, then
// policies that grow in one way, with requests that one statement allows, that
// none speaks of, and that the last denies.
func inquiries() []inquiry {
	list := []inquiry{{"cross_account", crossAccount, authz.Allowed}}
	for _, grown := range []struct {
		name     string
		layer    authz.Layer
		document func(n int) *policy.Document
	}{
		{"actions", authz.LayerIdentity, tables("dynamodb:Get%d", "arn:aws:dynamodb:us-east-1:111111111111:table/*")},
		{"resources", authz.LayerIdentity, tables("dynamodb:Get*", "arn:aws:dynamodb:us-east-1:111111111111:table/Orders%d")},
		{"statements_for_one", authz.LayerResource, trusting},
		{"principals", authz.LayerResource, trustingAll},
	} {
		hit := func(tb testing.TB, n int, deny bool) (*authz.Request, *authz.Policies) {
			tb.Helper()
			doc := grown.document(n)
			if deny {
				last := doc.Statements[n/2%len(doc.Statements)]
				last.Effect = policy.Deny
				doc.Statements = append(doc.Statements, last)
			}
			p, err := authz.Compile(doc, authz.Source{Layer: grown.layer, Name: grown.name})
			if err != nil {
				tb.Fatal(err)
			}
			var pols authz.Policies
			put(&pols, p)
			return &authz.Request{
				Principal: authz.Principal{
					Kind: authz.RoleSession, ARN: arn.SessionARN("aws", "111111111111", fmt.Sprintf("caller%d", n/2), "s"),
					Entity: arn.IAM("aws", "111111111111", "role", "/", fmt.Sprintf("caller%d", n/2)),
				},
				Action:   fmt.Sprintf("dynamodb:Get%d", n/2),
				Resource: fmt.Sprintf("arn:aws:dynamodb:us-east-1:111111111111:table/Orders%d", n/2),
			}, &pols
		}
		list = append(list,
			inquiry{grown.name + "/hit", func(tb testing.TB, n int) (*authz.Request, *authz.Policies) {
				tb.Helper()
				return hit(tb, n, false)
			}, authz.Allowed},
			inquiry{grown.name + "/miss", func(tb testing.TB, n int) (*authz.Request, *authz.Policies) {
				tb.Helper()
				req, pols := hit(tb, n, false)
				if pols.Resource == nil {
					req.Action, req.Resource = "dynamodb:PutItem", "arn:aws:dynamodb:us-east-1:111111111111:table/Others"
				}
				req.Principal = authz.Principal{Kind: authz.User, ARN: arn.IAM("aws", "111111111111", "user", "/", "u")}
				return req, pols
			}, authz.ImplicitDeny},
			inquiry{grown.name + "/deny", func(tb testing.TB, n int) (*authz.Request, *authz.Policies) {
				tb.Helper()
				return hit(tb, n, true)
			}, authz.ExplicitDeny})
	}
	return append(list, inquiry{"policies/hit", manyPolicies, authz.Allowed})
}

// tables makes n statements, whose actions and resources have their number.
func tables(action, resource string) func(n int) *policy.Document {
	number := func(format string, i int) string { return strings.ReplaceAll(format, "%d", fmt.Sprint(i)) }
	return func(n int) *policy.Document {
		doc := policy.NewDocument()
		for i := range n {
			doc.Statements = append(doc.Statements, policy.Statement{
				Effect: policy.Allow, Actions: policy.Texts(number(action, i)), Resources: policy.Texts(number(resource, i)),
			})
		}
		return doc
	}
}

func callerARN(i int) string { return fmt.Sprintf("arn:aws:iam::111111111111:role/caller%d", i) }

// trusting makes n statements, each for one role.
func trusting(n int) *policy.Document {
	doc := policy.NewDocument()
	for i := range n {
		doc.Statements = append(doc.Statements, policy.Statement{
			Effect: policy.Allow, Principal: policy.AWS(callerARN(i)), Actions: policy.Texts("dynamodb:Get*"), Resources: policy.Texts("*"),
		})
	}
	return doc
}

// trustingAll makes one statement for n roles.
func trustingAll(n int) *policy.Document {
	var roles []string
	for i := range n {
		roles = append(roles, callerARN(i))
	}
	return policy.NewDocument(policy.Statement{
		Effect: policy.Allow, Principal: policy.AWS(roles...), Actions: policy.Texts("dynamodb:Get*"), Resources: policy.Texts("*"),
	})
}

// manyPolicies is a caller with n identity policies, each of three statements on
// a service of its own.
func manyPolicies(tb testing.TB, n int) (*authz.Request, *authz.Policies) {
	tb.Helper()
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.User, ARN: arn.IAM("aws", "111111111111", "user", "/", "u")},
		Action:    "service0:GetThing", Resource: "arn:aws:service0:us-east-1:111111111111:thing/x",
	}
	var pols authz.Policies
	for i := range n {
		allow := func(action string) policy.Statement {
			return policy.Statement{Effect: policy.Allow, Actions: policy.Texts(fmt.Sprintf("service%d:%s", i, action)), Resources: policy.Texts("*")}
		}
		p, err := authz.Compile(policy.NewDocument(allow("Get*"), allow("List*"), allow("Put*")), authz.Source{Layer: authz.LayerIdentity})
		if err != nil {
			tb.Fatal(err)
		}
		put(&pols, p)
	}
	return req, &pols
}

// each measures work on every inquiry.
func each(b *testing.B, work func(*authz.Request, *authz.Policies)) {
	b.Helper()
	for _, q := range inquiries() {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/%d", q.name, n), func(b *testing.B) {
				req, pols := q.ask(b, n)
				if d := authz.Evaluate(req, pols, nil); d.Outcome != q.want {
					b.Fatalf("Evaluate = %v, want %v\n%s", d.Outcome, q.want, d.Text())
				}
				b.ReportAllocs()
				for b.Loop() {
					work(req, pols)
				}
			})
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	each(b, func(req *authz.Request, pols *authz.Policies) { authz.Decide(req, pols, nil) })
}

func BenchmarkEvaluate(b *testing.B) {
	each(b, func(req *authz.Request, pols *authz.Policies) { authz.Evaluate(req, pols, nil) })
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			doc := tables("dynamodb:Get%d", "arn:aws:dynamodb:us-east-1:111111111111:table/Orders%d")(n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := authz.Compile(doc, authz.Source{Layer: authz.LayerIdentity}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	for _, q := range inquiries() {
		for _, n := range sizes {
			req, pols := q.ask(t, n)
			if got := authz.Decide(req, pols, nil); got != q.want {
				t.Errorf("%s/%d: Decide = %v, want %v", q.name, n, got, q.want)
			}
			if allocs := testing.AllocsPerRun(10, func() { authz.Decide(req, pols, nil) }); allocs != 0 {
				t.Errorf("%s/%d: Decide allocates %v times, want 0", q.name, n, allocs)
			}
		}
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
