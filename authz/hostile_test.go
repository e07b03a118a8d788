package authz_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/growth"
	"github.com/stile-aws/stile/policy"
)

// An excess is a document that grows with n, and the context it is asked in.
type excess func(n int) (*policy.Document, authz.Context)

// inOne grows one statement, which allows everything until grow changes it.
func inOne(grow func(n int, s *policy.Statement, ctx *authz.Context)) excess {
	return func(n int) (*policy.Document, authz.Context) {
		var ctx authz.Context
		s := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")}
		grow(n, &s, &ctx)
		return policy.NewDocument(s), ctx
	}
}

// inMany grows a document of n statements.
func inMany(change func(i int, s *policy.Statement, ctx *authz.Context)) excess {
	return func(n int) (*policy.Document, authz.Context) {
		var ctx authz.Context
		doc := policy.NewDocument()
		for i := range n {
			s := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")}
			change(i, &s, &ctx)
			doc.Statements = append(doc.Statements, s)
		}
		return doc, ctx
	}
}

// numbered are n texts.
func numbered(n int, format string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i)
	}
	return out
}

const teamKey = "aws:PrincipalTag/team"

// actionsAndResources are what hostile patterns of actions and resources look like.
func actionsAndResources() map[string]excess {
	actions := func(make func(n int) []string) excess {
		return inOne(func(n int, s *policy.Statement, _ *authz.Context) { s.Actions = policy.Texts(make(n)...) })
	}
	resources := func(set func(*authz.Context), make func(n int) []string) excess {
		return inOne(func(n int, s *policy.Statement, ctx *authz.Context) {
			s.Resources = policy.Texts(make(n)...)
			set(ctx)
		})
	}
	nothing := func(*authz.Context) {}
	team := func(value string) func(*authz.Context) {
		return func(ctx *authz.Context) { ctx.Set(teamKey, value) }
	}
	unknown := func(ctx *authz.Context) { ctx.SetUnknown(teamKey) }
	variables := func(n int) []string { return []string{"arn:aws:s3:::" + strings.Repeat("${"+teamKey+"}", n)} }
	defaults := func(n int) []string {
		return []string{"arn:aws:s3:::" + strings.Repeat("${aws:PrincipalTag/other, 'a default'}", n)}
	}
	all := map[string]excess{
		"actions":               actions(func(n int) []string { return numbered(n, "s3:Get%d") }),
		"actions with an end":   actions(func(n int) []string { return numbered(n, "s3:*Object%d") }),
		"actions in each other": actions(func(n int) []string { return strings.Split(strings.Repeat("s*,s?*,s3*,s3:*,s3:g*,", n), ",") }),
		"commas":                actions(func(n int) []string { return []string{strings.Repeat("s3:GetObject,", n)} }),
		"blanks":                actions(func(n int) []string { return []string{strings.Repeat("s3:Get ", n)} }),
		"asterisks":             actions(func(n int) []string { return []string{strings.Repeat("*s", n)} }),
		"resources":             resources(nothing, func(n int) []string { return numbered(n, "arn:aws:s3:::b/%d") }),
		"resources past colons": resources(nothing, func(n int) []string { return numbered(n, "arn:aws:s3*:x/%d") }),
		"incomplete resources":  resources(nothing, func(n int) []string { return numbered(n, "arn:aws:s%d") }),
		"a resource of colons":  resources(nothing, func(n int) []string { return []string{"arn:aws:s3" + strings.Repeat(":*", n)} }),
		"variables":             resources(team(strings.Repeat("x", 1000)), variables),
		"wild variables":        resources(team(strings.Repeat("*", 1000)), variables),
		"mixed variables":       resources(team(strings.Repeat("?*", 500)), variables),
		"unknown variables":     resources(unknown, variables),
		"absent variables":      resources(nothing, variables),
		"defaults":              resources(nothing, defaults),
	}
	for _, piece := range []string{"${", "${a", "${a,", "${a,'", "${a,  ", "${,"} {
		for _, tail := range []string{"", ",", "}", "'}"} {
			all["variables that only begin, "+piece+" then "+tail] = resources(nothing, func(n int) []string {
				return []string{"arn:aws:s3:::" + strings.Repeat(piece, 20*n) + tail}
			})
		}
	}
	return all
}

// conditionsAndStatements are what hostile conditions and lists look like.
func conditionsAndStatements() map[string]excess {
	condition := func(operator string, found []string, make func(n int) []string) excess {
		return inOne(func(n int, s *policy.Statement, ctx *authz.Context) {
			s.Conditions = []policy.Condition{policy.Cond(operator, teamKey, make(n)...)}
			if found == nil {
				found = numbered(n, "w%d")
			}
			ctx.Set(teamKey, found...)
		})
	}
	one := func(format string) func(n int) []string {
		return func(n int) []string { return numbered(n, format) }
	}
	return map[string]excess{
		"conditions": inOne(func(n int, s *policy.Statement, ctx *authz.Context) {
			for i := range n {
				s.Conditions = append(s.Conditions, policy.Cond("StringLike", fmt.Sprintf("k%d", i), "v*"))
				ctx.Set(fmt.Sprintf("k%d", i%50), "v")
			}
		}),
		"unknown conditions": inOne(func(n int, s *policy.Statement, ctx *authz.Context) {
			for i := range n {
				s.Conditions = append(s.Conditions, policy.Cond("StringLike", fmt.Sprintf("k%d", i%50), "v*"))
				ctx.SetUnknown(fmt.Sprintf("k%d", i%50))
			}
		}),
		"values":          condition("StringEquals", []string{"x"}, one("v%d")),
		"values of both":  condition("ForAnyValue:StringEquals", nil, one("v%d")),
		"values like":     condition("StringLike", []string{strings.Repeat("x", 1000)}, one("x*x%d")),
		"networks":        condition("IpAddress", []string{"192.0.2.1"}, one("2001:db8:%d::/48")),
		"numbers":         condition("NumericLessThan", []string{strings.Repeat("9", 10_000)}, one("%d")),
		"dates":           condition("DateLessThan", []string{"2026-11-22T00:00:00." + strings.Repeat("9", 10_000) + "Z"}, one("%d")),
		"a long glob":     condition("StringLike", []string{strings.Repeat("x", 10_000)}, func(n int) []string { return []string{strings.Repeat("*x", n) + "y"} }),
		"question marks":  condition("StringLike", []string{strings.Repeat("x", 500)}, func(n int) []string { return []string{strings.Repeat("*x?x?y", n)} }),
		"a long ARN":      condition("ArnLike", []string{"arn:aws:iam::1:" + strings.Repeat(":x", 10_000)}, func(n int) []string { return []string{"arn:aws:iam::1:" + strings.Repeat("*:x", n) + "y"} }),
		"statements":      inMany(func(int, *policy.Statement, *authz.Context) {}),
		"denies":          inMany(func(_ int, s *policy.Statement, _ *authz.Context) { s.Effect = policy.Deny }),
		"open statements": inMany(func(_ int, s *policy.Statement, _ *authz.Context) { s.Actions = policy.Texts("s3: GetObject") }),
		"other statements": inMany(func(i int, s *policy.Statement, _ *authz.Context) {
			s.Actions = policy.Texts(fmt.Sprintf("s3:GetObject%d*", i))
		}),
		"near misses": inMany(func(_ int, s *policy.Statement, _ *authz.Context) {
			s.Conditions = []policy.Condition{policy.Cond("Bool", "aws:SecureTransport", "true")}
		}),
		"unknown near misses": inMany(func(_ int, s *policy.Statement, ctx *authz.Context) {
			s.Conditions = []policy.Condition{policy.Cond("Bool", "aws:SecureTransport", "true")}
			ctx.SetUnknown("aws:SecureTransport")
		}),
	}
}

// principalLists are what hostile lists of principals look like.
func principalLists() map[string]excess {
	list := func(make func(n int) *policy.Principals) excess {
		return inOne(func(n int, s *policy.Statement, _ *authz.Context) { s.Principal = make(n) })
	}
	return map[string]excess{
		"roles": list(func(n int) *policy.Principals {
			return policy.AWS(numbered(n, "arn:aws:iam::111111111111:role/r%d")...)
		}),
		"accounts": list(func(n int) *policy.Principals { return policy.AWS(numbered(n, "%012d")...) }),
		"one and no more": list(func(n int) *policy.Principals {
			return policy.AWS(strings.Split(strings.Repeat("111111111111,", n), ",")...)
		}),
		"everybody": list(func(n int) *policy.Principals { return policy.AWS(strings.Split(strings.Repeat("*,", n), ",")...) }),
		"canonical users": list(func(n int) *policy.Principals {
			p := &policy.Principals{}
			for _, id := range numbered(n, "%d") {
				p.Entries = append(p.Entries, entry("CanonicalUser", id))
			}
			return p
		}),
		"nobody of many": inOne(func(n int, s *policy.Statement, _ *authz.Context) {
			s.NotPrincipal = policy.AWS(numbered(n, "arn:aws:iam::111111111111:role/r%d")...)
		}),
	}
}

func TestHostileDocumentsCostLinearTime(t *testing.T) {
	for layer, shapes := range map[authz.Layer]map[string]excess{
		authz.LayerIdentity: actionsAndResources(), authz.LayerBoundary: conditionsAndStatements(), authz.LayerResource: principalLists(),
	} {
		for name, shape := range shapes {
			t.Run(name, func(t *testing.T) { checkGrowth(t, layer, shape) })
		}
	}
}

// checkGrowth checks compiling, deciding and explaining, each by itself.
func checkGrowth(t *testing.T, layer authz.Layer, shape excess) {
	t.Helper()
	const n = 150
	src := authz.Source{Layer: layer, Name: "hostile"}
	growth.Check(t, n, func(n int) func() {
		doc, _ := shape(n)
		return func() {
			if _, err := authz.Compile(doc, src); err != nil {
				t.Error(err)
			}
		}
	})
	for _, use := range []func(*authz.Request, *authz.Policies){
		func(req *authz.Request, pols *authz.Policies) { authz.Decide(req, pols, nil) },
		func(req *authz.Request, pols *authz.Policies) { authz.Evaluate(req, pols, nil) },
		func(req *authz.Request, pols *authz.Policies) {
			d := authz.Evaluate(req, pols, nil)
			_, _ = d.Text(), d.Message(req)
			if _, err := json.Marshal(d); err != nil {
				t.Error(err)
			}
			if d.Residual != nil {
				d.Residual.Decide(nil)
			}
		},
	} {
		growth.Check(t, n, func(n int) func() {
			doc, ctx := shape(n)
			p, err := authz.Compile(doc, src)
			if err != nil {
				t.Fatal(err)
			}
			var pols authz.Policies
			put(&pols, p)
			req := &authz.Request{
				Principal: authz.Principal{Kind: authz.User, ARN: arn.IAM("aws", "111111111111", "user", "/", "u"), ID: "AIDAEXAMPLE"},
				Action:    "s3:GetObject", Resource: "arn:aws:s3:::b/x", Context: ctx,
			}
			return func() { use(req, &pols) }
		})
	}
}

// A tag that is as long as tags get, named as often as a document has room for.
func TestVariablesDoNotMultiplyMemory(t *testing.T) {
	const n = 20_000
	doc, ctx := actionsAndResources()["variables"](n)
	doc.Statements[0].Conditions = []policy.Condition{policy.Cond("StringEquals", teamKey, strings.Repeat("${"+teamKey+"}", n))}
	p, err := authz.Compile(doc, authz.Source{Layer: authz.LayerIdentity})
	if err != nil {
		t.Fatal(err)
	}
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.User, ARN: arn.IAM("aws", "111111111111", "user", "/", "u")},
		Action:    "s3:GetObject", Resource: "arn:aws:s3:::b/x", Context: ctx,
	}
	pols := &authz.Policies{Identity: []*authz.Policy{p}}
	got := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			authz.Evaluate(req, pols, nil)
		}
	}).AllocedBytesPerOp()
	if limit := int64(1 << 20); got > limit {
		t.Errorf("Evaluate allocates %d bytes, want at most %d", got, limit)
	}
}
