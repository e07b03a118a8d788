package authz_test

import (
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// Policies as people write them for tagged workloads, pods, third parties and
// organizations, with some keys of the request unknown: whatever these turn out
// to be, the residual answers as the evaluation does that knows them.

// realistic draws questions.
type realistic struct {
	*rand.Rand
}

func choose[T any](r *realistic, list ...T) T { return list[r.IntN(len(list))] }

const (
	issuer     = "oidc.eks.us-east-1.amazonaws.com/id/ABCD"
	orderTable = "arn:aws:dynamodb:us-east-1:222222222222:table/orders"
)

// realisticValues are what keys can be; a list of one text or of several, nil
// for a key that is absent.
var realisticValues = map[string][][]string{
	"aws:PrincipalTag/team":      {nil, {"orders"}, {"data"}, {"ops"}, {""}},
	"aws:PrincipalTag/env":       {nil, {"prod"}, {"dev"}},
	"aws:ResourceTag/team":       {nil, {"orders"}, {"data"}, {"Orders"}},
	"aws:RequestTag/team":        {nil, {"orders"}, {"ops"}},
	"aws:TagKeys":                {nil, {}, {"team"}, {"team", "env"}, {"cost"}, {"Team"}},
	"aws:PrincipalOrgID":         {nil, {"o-acme"}, {"o-else"}},
	"aws:PrincipalOrgPaths":      {nil, {"o-acme/r-1/ou-1-prod/"}, {"o-acme/r-1/ou-1-dev/"}, {"o-else/r-2/"}},
	"aws:ResourceOrgID":          {nil, {"o-acme"}, {"o-else"}},
	"sts:ExternalId":             {nil, {"x-1"}, {"x-2"}, {""}},
	"sts:RoleSessionName":        {{"ann"}, {"run-1"}, {"run-2"}},
	"aws:SourceIp":               {nil, {"10.1.2.3"}, {"203.0.113.9"}, {"2001:db8::1"}},
	"aws:SourceVpce":             {nil, {"vpce-1"}, {"vpce-2"}},
	"aws:MultiFactorAuthPresent": {nil, {"true"}, {"false"}},
	"aws:MultiFactorAuthAge":     {nil, {"10"}, {"3600"}, {"7200"}},
	"aws:CurrentTime":            {{"2026-11-01T00:00:00Z"}, {"2027-06-01T00:00:00Z"}},
	"aws:RequestedRegion":        {{"us-east-1"}, {"eu-west-1"}, {"ap-south-1"}},
	"aws:ViaAWSService":          {{"true"}, {"false"}},
	"aws:SourceAccount":          {nil, {"222222222222"}, {"333333333333"}},
	"aws:SourceArn":              {nil, {"arn:aws:sns:us-east-1:222222222222:news"}, {"arn:aws:sns:us-east-1:333333333333:news"}},
	"aws:PrincipalArn":           {{"arn:aws:iam::111111111111:role/app"}, {"arn:aws:iam::111111111111:role/x/app"}},
	"aws:userid":                 {{"AROAAPP:run-1"}, {"AROAAPP:run-2"}},
	"kms:ViaService":             {nil, {"secretsmanager.us-east-1.amazonaws.com"}, {"s3.us-east-1.amazonaws.com"}},
	issuer + ":sub":              {{"system:serviceaccount:payroll:api"}, {"system:serviceaccount:payroll:web"}, {"system:serviceaccount:dev:api"}},
	issuer + ":aud":              {nil, {"sts.amazonaws.com"}, {"else"}},
	"dynamodb:LeadingKeys":       {nil, {"orders"}, {"orders", "data"}, {"data"}},
}

// condition draws one condition.
func (r *realistic) condition() policy.Condition {
	c := policy.Cond
	team := choose(r, "orders", "data")
	return choose(r,
		c("StringEquals", "aws:PrincipalTag/team", team), c("StringNotEquals", "aws:PrincipalTag/team", team),
		c("StringEqualsIgnoreCase", "aws:PrincipalTag/team", "ORDERS"), c("StringEquals", "aws:PrincipalTag/team", "orders", "data"),
		c("Null", "aws:PrincipalTag/team", choose(r, "true", "false")), c("StringEqualsIfExists", "aws:PrincipalTag/env", "prod"),
		c("StringNotEqualsIfExists", "aws:PrincipalTag/env", "dev"), c("StringLike", "aws:PrincipalTag/env", "pr*"),
		c("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"), c("StringNotEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"),
		c("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team, 'orders'}"), c("StringLike", "aws:ResourceTag/team", "${aws:PrincipalTag/team}*"),
		c("StringEqualsIgnoreCase", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"), c("StringNotLike", "aws:ResourceTag/team", "o*"),
		c("StringEquals", "aws:RequestTag/team", "${aws:PrincipalTag/team}"), c("Null", "aws:RequestTag/team", "false"),
		c("ForAllValues:StringEquals", "aws:TagKeys", "team", "env"), c("ForAnyValue:StringEquals", "aws:TagKeys", "team"),
		c("ForAllValues:StringNotEquals", "aws:TagKeys", "cost"), c("ForAllValues:StringEqualsIgnoreCase", "aws:TagKeys", "team"), c("Null", "aws:TagKeys", "false"),
		c("StringEquals", "aws:PrincipalOrgID", "o-acme"), c("StringNotEquals", "aws:PrincipalOrgID", "o-acme"), c("StringNotEqualsIfExists", "aws:PrincipalOrgID", "o-acme"),
		c("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-acme/*/ou-1-prod/*"), c("ForAllValues:StringNotLike", "aws:PrincipalOrgPaths", "o-acme/*"),
		c("StringEquals", "aws:ResourceOrgID", "${aws:PrincipalOrgID}"), c("StringNotEquals", "aws:ResourceOrgID", "${aws:PrincipalOrgID}"), c("StringNotEqualsIfExists", "aws:ResourceOrgID", "o-acme"),
		c("StringEquals", "sts:ExternalId", choose(r, "x-1", "x-2")), c("StringEquals", "sts:ExternalId", "x-1", "x-3"), c("Null", "sts:ExternalId", "true"),
		c("StringLike", "sts:RoleSessionName", choose(r, "run-*", "ann")), c("StringNotLike", "sts:RoleSessionName", "run-?"), c("StringLike", "sts:RoleSessionName", "${aws:PrincipalTag/team}-*"),
		c("IpAddress", "aws:SourceIp", "10.0.0.0/8"), c("NotIpAddress", "aws:SourceIp", "10.0.0.0/8", "203.0.113.0/24"), c("NotIpAddressIfExists", "aws:SourceIp", "10.0.0.0/8"),
		c("StringEquals", "aws:SourceVpce", "vpce-1"), c("StringNotEqualsIfExists", "aws:SourceVpce", "vpce-1", "vpce-3"), c("Null", "aws:SourceVpce", "true"),
		c("Bool", "aws:MultiFactorAuthPresent", "true"), c("BoolIfExists", "aws:MultiFactorAuthPresent", choose(r, "true", "false")),
		c("NumericLessThan", "aws:MultiFactorAuthAge", "3600"), c("NumericGreaterThanIfExists", "aws:MultiFactorAuthAge", "300"), c("NumericLessThanEquals", "aws:MultiFactorAuthAge", "3600"),
		c("DateGreaterThan", "aws:CurrentTime", "2027-01-01T00:00:00Z"), c("DateLessThan", "aws:CurrentTime", "2027-01-01"),
		c("StringEquals", "aws:RequestedRegion", "us-east-1"), c("StringNotEquals", "aws:RequestedRegion", "us-east-1", "eu-west-1"), c("StringNotLike", "aws:RequestedRegion", "eu-*"),
		c("Bool", "aws:ViaAWSService", choose(r, "true", "false")), c("BoolIfExists", "aws:PrincipalIsAWSService", "false"),
		c("StringEquals", "aws:SourceAccount", "222222222222"), c("StringNotEqualsIfExists", "aws:SourceAccount", "222222222222"),
		c("ArnLike", "aws:SourceArn", "arn:aws:sns:*:222222222222:*"), c("ArnEquals", "aws:SourceArn", "arn:aws:sns:us-east-1:333333333333:news"),
		c("ArnLike", "aws:PrincipalArn", "arn:aws:iam::111111111111:role/x/*"), c("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/app", "arn:aws:iam::*:role/y/*"),
		c("StringLike", "aws:PrincipalArn", "arn:aws:iam::111111111111:role/*"), c("StringLike", "aws:userid", "AROAAPP:*", "AROAELSE:*"), c("StringNotLike", "aws:userid", "*:run-1"),
		c("StringEquals", "kms:ViaService", "secretsmanager.us-east-1.amazonaws.com"), c("StringLike", "kms:ViaService", "*.${aws:RequestedRegion}.amazonaws.com"),
		c("StringEquals", issuer+":sub", "system:serviceaccount:payroll:api"), c("StringLike", issuer+":sub", "system:serviceaccount:payroll:*"), c("StringLike", issuer+":sub", "system:serviceaccount:*:api"),
		c("StringEquals", issuer+":aud", "sts.amazonaws.com"), c("StringEqualsIfExists", issuer+":aud", "sts.amazonaws.com"),
		c("ForAllValues:StringEquals", "dynamodb:LeadingKeys", "${aws:PrincipalTag/team}"), c("ForAnyValue:StringEquals", "dynamodb:LeadingKeys", "orders"),
	)
}

func (r *realistic) statement(deny, principal bool) policy.Statement {
	s := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")}
	if deny {
		s.Effect = policy.Deny
	}
	if principal {
		s.Principal = choose(r, policy.Everyone(), policy.AWS("111111111111"), policy.AWS("arn:aws:iam::111111111111:role/app"), policy.AWS("arn:aws:sts::111111111111:assumed-role/app/run-1"), policy.Federated("arn:aws:iam::222222222222:oidc-provider/"+issuer), policy.ServicePrincipal("sns.amazonaws.com"))
	}
	if !deny && r.IntN(5) == 0 {
		s.Resources = policy.Texts(choose(r, "arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team}", "arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team}*", orderTable, "arn:aws:dynamodb:*:222222222222:table/${aws:RequestTag/team, 'orders'}"))
	}
	if deny && r.IntN(8) == 0 {
		s.Resources, s.NotResources = nil, policy.Texts("arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team}")
	}
	n := choose(r, 1, 1, 2, 2, 3)
	if deny {
		n = choose(r, 1, 1, 2)
	}
	for len(s.Conditions) < n {
		s.Conditions = append(s.Conditions, r.condition())
	}
	return s
}

func (r *realistic) document(layer authz.Layer, denials bool) *authz.Policy {
	principal := layer == authz.LayerResource || layer == authz.LayerRCP || layer == authz.LayerEndpoint
	doc := &policy.Document{Version: policy.Version2012}
	for range 1 + r.IntN(4) {
		doc.Statements = append(doc.Statements, r.statement(layer == authz.LayerRCP || denials && r.IntN(6) == 0, principal && layer != authz.LayerRCP))
		if layer == authz.LayerRCP {
			doc.Statements[len(doc.Statements)-1].Principal = policy.Everyone()
		}
	}
	if layer == authz.LayerSCP && r.IntN(2) == 0 {
		doc.Statements = append(doc.Statements, policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")})
	}
	p, err := authz.Compile(doc, authz.Source{Layer: layer, Name: "p"})
	if err != nil {
		panic(err)
	}
	return p
}

func (r *realistic) policies() *authz.Policies {
	pols := &authz.Policies{Identity: []*authz.Policy{r.document(authz.LayerIdentity, true)}}
	if r.IntN(2) == 0 {
		pols.Resource = r.document(authz.LayerResource, true)
	}
	if r.IntN(8) == 0 {
		pols.Boundary = r.document(authz.LayerBoundary, true)
	}
	if r.IntN(8) == 0 {
		pols.Session, pols.HasSession = []*authz.Policy{r.document(authz.LayerSession, false)}, true
	}
	if r.IntN(3) == 0 {
		pols.SCPs = []authz.Level{{Node: "r", Policies: []*authz.Policy{r.document(authz.LayerSCP, true)}}}
	}
	if r.IntN(4) == 0 {
		pols.RCPs = []authz.Level{{Node: "r", Policies: []*authz.Policy{r.document(authz.LayerRCP, true)}}}
	}
	if r.IntN(6) == 0 {
		pols.Endpoint = r.document(authz.LayerEndpoint, true)
	}
	return pols
}

func (r *realistic) request(t *testing.T) *authz.Request {
	t.Helper()
	session := authz.Principal{
		Kind: authz.RoleSession, ARN: mustARN(t, "arn:aws:sts::111111111111:assumed-role/app/run-1"), Entity: mustARN(t, "arn:aws:iam::111111111111:role/app"), ID: "AROAAPP:run-1",
	}
	req := &authz.Request{
		Principal: choose(r, session, session, session,
			authz.Principal{Kind: authz.User, ARN: mustARN(t, "arn:aws:iam::111111111111:user/ann"), ID: "AIDAANN"},
			authz.Principal{Kind: authz.WebIdentity, Provider: mustARN(t, "arn:aws:iam::222222222222:oidc-provider/"+issuer)},
			authz.Principal{Kind: authz.Service, ServiceName: "sns.amazonaws.com"}),
		Action: "dynamodb:GetItem", Resource: orderTable, ResourceAccount: choose[arn.AccountID](r, "111111111111", "222222222222"),
	}
	for _, key := range slices.Sorted(maps.Keys(realisticValues)) {
		values := realisticValues[key]
		if key == "aws:PrincipalArn" || key == "aws:userid" {
			continue // they follow from the principal
		}
		if v := choose(r, values...); v != nil {
			req.Context.Set(key, v...)
		}
	}
	return req
}

// mentioned are the keys that the documents of a question speak of, as the
// values have them.
func mentioned(pols *authz.Policies) []string {
	text := documents(pols)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(realisticValues)), func(key string) bool { return !strings.Contains(text, key) })
}

func TestResidualsOfRealisticPolicies(t *testing.T) {
	const cases = 1500 // 200,000 were tried once
	r := &realistic{rand.New(rand.NewPCG(3, 7))}
	settled, open := 0, 0
	for range cases {
		req, pols := r.request(t), r.policies()
		keys := mentioned(pols)
		r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		keys = keys[:min(len(keys), 2+r.IntN(3))]
		if len(keys) == 0 {
			continue
		}
		if r.tryResidual(t, req, pols, keys) {
			open++
		} else {
			settled++
		}
		if t.Failed() {
			return
		}
	}
	if open < cases/10 {
		t.Errorf("%d questions were open, and %d settled", open, settled)
	}
}

// tryResidual compares an evaluation with keys unknown with those in which they
// are known, and reports whether the first was open.
func (r *realistic) tryResidual(t *testing.T, req *authz.Request, pols *authz.Policies, keys []string) bool {
	t.Helper()
	partial := *req
	partial.Context = without(&req.Context, keys)
	known := partial.Context.Clone()
	for _, k := range keys {
		partial.Context.SetUnknown(k)
	}
	d, raw := authz.Evaluate(&partial, pols, nil), authz.Decide(&partial, pols, nil)
	if raw != authz.Unknown && raw != d.Outcome {
		t.Fatalf("Decide = %v, Evaluate = %v\n%s", raw, d.Outcome, d.Text())
	}
	if got := authz.Settle(&partial, pols, nil); got != d.Outcome {
		t.Fatalf("Settle = %v, Evaluate = %v\n%s", got, d.Outcome, d.Text())
	}
	var allowed [][]authz.Requirement
	complete := false
	if d.Residual != nil {
		allowed, complete = d.Residual.Allowed()
	}
	anyAllowed, all := false, true
	eachSubstitution(&known, keys, func(ctx *authz.Context) {
		whole := *req
		whole.Context = *ctx
		full := authz.Decide(&whole, pols, nil)
		anyAllowed, all = anyAllowed || full == authz.Allowed || full == authz.Unknown, all && full == authz.Allowed
		if d.Residual == nil {
			if !agrees(d.Outcome, full) && (raw != authz.Unknown || full != authz.Unknown) {
				t.Fatalf("settled as %v, with %v: %v\n%s", d.Outcome, show(ctx), full, d.Text())
			}
			return
		}
		if got := d.Residual.Decide(ctx); got != full {
			t.Fatalf("with %v: Residual.Decide = %v, Evaluate = %v\n%s", show(ctx), got, full, d.Text())
		}
		met, unclear := anyMet(t, &whole, allowed)
		if met && full != authz.Allowed && !unclear || complete && !met && !unclear && full == authz.Allowed {
			t.Fatalf("with %v: %v, but of what is said %v is met (unclear %v)\n%s\n%s", show(ctx), full, met, unclear, d.Residual, d.Text()+documents(pols))
		}
	})
	return d.Residual != nil
}

func without(c *authz.Context, keys []string) authz.Context {
	var out authz.Context
	c.All(func(k string, v []string, _ bool) bool {
		if !slices.ContainsFunc(keys, func(key string) bool { return strings.EqualFold(key, k) }) {
			out.Set(k, v...)
		}
		return true
	})
	return out
}

// eachSubstitution calls check with every way to give keys values.
func eachSubstitution(base *authz.Context, keys []string, check func(*authz.Context)) {
	if len(keys) == 0 {
		check(base)
		return
	}
	for _, values := range realisticValues[keys[0]] {
		ctx := base.Clone()
		if values != nil {
			ctx.Set(keys[0], values...)
		}
		eachSubstitution(&ctx, keys[1:], check)
	}
}

// anyMet reports whether req meets one of the alternatives; unclear says that
// it may.
func anyMet(t *testing.T, req *authz.Request, alternatives [][]authz.Requirement) (met, unclear bool) {
	t.Helper()
	for _, list := range alternatives {
		all, open := true, false
		for _, q := range list {
			switch m := meets(t, req, q); {
			case m == authz.Unknown:
				open = true
			case m != authz.Allowed:
				all = false
			}
		}
		if all && !open {
			return true, false
		}
		unclear = unclear || all
	}
	return false, unclear
}

// meets decides one requirement as a statement's condition.
func meets(t *testing.T, req *authz.Request, q authz.Requirement) authz.Outcome {
	t.Helper()
	s := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")}
	switch {
	case q.Question != "":
		return authz.Unknown
	case q.Operator == authz.OperatorResource:
		s.Resources = policy.Texts(q.Values...)
	default:
		s.Conditions = []policy.Condition{policy.Cond(q.Operator, q.Key, q.Values...)}
	}
	p, err := authz.Compile(policy.NewDocument(s), authz.Source{Layer: authz.LayerIdentity})
	if err != nil {
		t.Fatal(err)
	}
	asked := *req
	asked.Principal.Kind = authz.User // whose policies are asked; the keys are all told
	if req.Principal.Kind == authz.RoleSession {
		asked.Principal.Kind = authz.RoleSession
	}
	if asked.Principal.ARN.IsZero() {
		asked.Principal.ARN = mustARN(t, "arn:aws:iam::111111111111:user/nobody")
	}
	asked.ResourceAccount = asked.Principal.Account()
	o := authz.Decide(&asked, &authz.Policies{Identity: []*authz.Policy{p}}, nil)
	if q.Not && o != authz.Unknown {
		if o == authz.Allowed {
			return authz.ImplicitDeny
		}
		return authz.Allowed
	}
	return o
}

// documents are those of pols, to be read.
func documents(pols *authz.Policies) string {
	var b strings.Builder
	for p := range everyPolicy(pols) {
		b.WriteString(p.Source().Layer.String() + " " + p.Document().String() + "\n")
	}
	return b.String()
}

// everyPolicy has every document of pols.
func everyPolicy(pols *authz.Policies) iter.Seq[*authz.Policy] {
	list := slices.Concat(pols.Identity, pols.Session, []*authz.Policy{pols.Resource, pols.Boundary, pols.Endpoint})
	for _, l := range slices.Concat(pols.SCPs, pols.RCPs) {
		list = append(list, l.Policies...)
	}
	return slices.Values(slices.DeleteFunc(list, func(p *authz.Policy) bool { return p == nil }))
}
