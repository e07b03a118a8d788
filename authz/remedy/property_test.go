package remedy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/authz/remedy"
	"github.com/stile-aws/stile/policy"
)

// The vocabulary is small, so that random statements meet random requests.
var (
	someActions    = []string{"s3:GetObject", "s3:PutObject", "s3:*", "*", "kms:Decrypt", "kms:Encrypt", "sts:AssumeRole", "sts:TagSession", "S3:get*", "sqs:SendMessage"}
	someResources  = []string{"*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/x", "arn:aws:s3:::b/${aws:PrincipalTag/t}", key, role, queue}
	somePrincipals = []string{
		"*", "111111111111", "arn:aws:iam::222222222222:root", "arn:aws:iam::111111111111:user/u", "arn:aws:iam::111111111111:role/r",
		"arn:aws:sts::111111111111:assumed-role/r/s", "arn:aws:iam::222222222222:role/r", "arn:aws:sts::111111111111:federated-user/f",
	}
	someConditions = []policy.Condition{
		policy.Cond("StringEquals", "aws:PrincipalTag/t", "x"), policy.Cond("StringNotEquals", "aws:PrincipalTag/t", "x"),
		policy.Cond("StringEquals", "sts:ExternalId", "abc"), policy.Cond("Bool", "aws:SecureTransport", "true"),
		policy.Cond("ArnLike", "aws:PrincipalArn", "arn:aws:iam::111111111111:role/*"), policy.Cond("IpAddress", "aws:SourceIp", "203.0.113.0/24"),
		policy.Cond("ArnNotEquals", "aws:PrincipalArn", "arn:aws:iam::111111111111:role/q"), policy.Cond("Null", "aws:TagKeys", "true"),
	}
)

const (
	key   = "arn:aws:kms:us-east-1:111111111111:key/k"
	role  = "arn:aws:iam::111111111111:role/target"
	queue = "arn:aws:sqs:us-east-1:222222222222:q"
)

func draw[T any](t *rapid.T, label string, from []T) T { return rapid.SampledFrom(from).Draw(t, label) }

func drawTexts(t *rapid.T, label string, from []string) []policy.Text {
	return policy.Texts(rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, 3, rapid.ID).Draw(t, label)...)
}

func drawStatement(t *rapid.T, effect policy.Effect, l authz.Layer) policy.Statement {
	st := policy.Statement{Effect: effect}
	switch l {
	case authz.LayerResource, authz.LayerKey, authz.LayerTrust, authz.LayerEndpoint, authz.LayerRCP:
		names := rapid.SliceOfNDistinct(rapid.SampledFrom(somePrincipals), 1, 3, rapid.ID).Draw(t, "principals")
		st.Principal = policy.AWS(names...)
		if rapid.IntRange(0, 8).Draw(t, "not principal") == 0 && l != authz.LayerRCP {
			st.Principal, st.NotPrincipal = nil, st.Principal
		}
	default:
	}
	if rapid.IntRange(0, 5).Draw(t, "not action") == 0 {
		st.NotActions = drawTexts(t, "not actions", someActions)
	} else {
		st.Actions = drawTexts(t, "actions", someActions)
	}
	switch n := rapid.IntRange(0, 5).Draw(t, "not resource"); {
	case l == authz.LayerTrust:
	case n == 0:
		st.NotResources = drawTexts(t, "not resources", someResources)
	default:
		st.Resources = drawTexts(t, "resources", someResources)
	}
	st.Conditions = rapid.SliceOfNDistinct(rapid.SampledFrom(someConditions), 0, 1, func(c policy.Condition) string { return c.Operator + c.Key }).Draw(t, "conditions")
	return st
}

func drawPolicy(t *rapid.T, src authz.Source, denies int) *authz.Policy {
	doc := policy.NewDocument()
	if rapid.IntRange(0, 4).Draw(t, "version") == 0 {
		doc.Version = policy.Version2008
	}
	for range rapid.IntRange(1, 3).Draw(t, "statements") {
		effect := policy.Allow
		if rapid.IntRange(0, 9).Draw(t, "effect") < denies {
			effect = policy.Deny
		}
		doc.Statements = append(doc.Statements, drawStatement(t, effect, src.Layer))
	}
	p, err := authz.Compile(doc, src)
	if err != nil {
		t.Skip("a document that does not compile: ", err)
	}
	return p
}

func drawPrincipal(t *rapid.T) authz.Principal {
	return draw(t, "principal", callers)
}

var callers = []authz.Principal{
	{Kind: authz.User, ARN: parse("arn:aws:iam::111111111111:user/u"), ID: "AIDAU"},
	{Kind: authz.RoleSession, ARN: parse("arn:aws:sts::111111111111:assumed-role/r/s"), Entity: parse("arn:aws:iam::111111111111:role/r"), ID: "AROAR:s"},
	{Kind: authz.RoleSession, ARN: parse("arn:aws:sts::222222222222:assumed-role/r/s"), Entity: parse("arn:aws:iam::222222222222:role/r"), ID: "AROAS:s"},
	{Kind: authz.Root, ARN: parse("arn:aws:iam::222222222222:root")},
	{Kind: authz.FederatedUser, ARN: parse("arn:aws:sts::111111111111:federated-user/f"), Entity: parse("arn:aws:iam::111111111111:user/u"), EntityID: "AIDAU"},
	{Kind: authz.Anonymous},
	{Kind: authz.Service, ServiceName: "lambda.amazonaws.com"},
	{Kind: authz.WebIdentity, Provider: parse("arn:aws:iam::111111111111:oidc-provider/ci.example")},
	{Kind: authz.RoleSession, ServiceLinked: true, ARN: parse("arn:aws:sts::111111111111:assumed-role/l/s"), Entity: parse("arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/l")},
}

func parse(s string) arn.ARN {
	a, err := arn.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

// target is what can be asked for, with the layer of its policy.
type target struct {
	resource string
	owner    arn.AccountID
	layer    authz.Layer
	actions  []string
}

var targets = []target{
	{"arn:aws:s3:::b/x", "111111111111", authz.LayerResource, []string{"s3:GetObject", "s3:PutObject"}},
	{"arn:aws:s3:::b/a*b?$c", "111111111111", authz.LayerResource, []string{"s3:GetObject"}},
	{key, "111111111111", authz.LayerKey, []string{"kms:Decrypt", "kms:Encrypt", "kms:EnableKey"}},
	{role, "111111111111", authz.LayerTrust, []string{"sts:AssumeRole", "sts:TagSession", "sts:AssumeRoleWithWebIdentity"}},
	{queue, "222222222222", authz.LayerResource, []string{"sqs:SendMessage"}},
	{"*", "", authz.LayerResource, []string{"s3:ListAllMyBuckets"}},
}

// drawWorld gives a request and its documents; denies is how many of ten
// statements deny.
func drawWorld(t *rapid.T, denies int) (*authz.Request, *authz.Policies) {
	at := draw(t, "target", targets)
	req := &authz.Request{Principal: drawPrincipal(t), Action: draw(t, "action", at.actions), Resource: at.resource, ResourceAccount: at.owner}
	if rapid.Bool().Draw(t, "tag") {
		req.Context.Set("aws:PrincipalTag/t", "x")
	}
	if rapid.Bool().Draw(t, "external id") {
		req.Context.Set("sts:ExternalId", "abc")
	}
	if rapid.IntRange(0, 9).Draw(t, "address") == 0 {
		req.Context.SetUnknown("aws:SourceIp")
	}
	if req.Principal.Kind == authz.WebIdentity && rapid.Bool().Draw(t, "subject") {
		req.Context.Set("ci.example:sub", "repo:a")
		req.Context.Set("ci.example:aud", "sts.amazonaws.com")
	}
	pols := &authz.Policies{}
	caller := req.Principal.Account()
	for i := range rapid.IntRange(0, 2).Draw(t, "identity policies") {
		pols.Identity = append(pols.Identity, drawPolicy(t, authz.Source{Layer: authz.LayerIdentity, Account: caller, Name: fmt.Sprintf("inline %d", i)}, denies))
	}
	some := func(l authz.Layer, n int) *authz.Policy {
		if rapid.IntRange(0, n).Draw(t, l.String()) > 0 {
			return nil
		}
		return drawPolicy(t, authz.Source{Layer: l, Account: caller, Name: l.String()}, denies)
	}
	pols.Boundary, pols.Endpoint = some(authz.LayerBoundary, 3), some(authz.LayerEndpoint, 4)
	if p := some(authz.LayerSession, 3); p != nil {
		pols.Session, pols.HasSession = []*authz.Policy{p}, true
	}
	if at.resource != "*" && rapid.IntRange(0, 3).Draw(t, "resource policy") > 0 {
		pols.Resource = drawPolicy(t, authz.Source{Layer: at.layer, Account: at.owner, Name: "of it"}, denies)
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "levels") {
		level := authz.Level{Node: fmt.Sprintf("n%d", i)}
		if p := some(authz.LayerSCP, 2); p != nil {
			level.Policies = append(level.Policies, p)
		} else {
			level.Policies = append(level.Policies, everything(authz.LayerSCP))
		}
		pols.SCPs = append(pols.SCPs, level)
	}
	return req, pols
}

func everything(l authz.Layer) *authz.Policy {
	st := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")}
	p, err := authz.Compile(policy.NewDocument(st), authz.Source{Layer: l, Name: "FullAWSAccess", ARN: "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess"})
	if err != nil {
		panic(err)
	}
	return p
}

// neighbours are requests that differ from req in one thing: the action, the
// resource, or who asks. Documents of the caller's own do not apply to others:
// those are allowed everything by theirs.
func neighbours(req *authz.Request, pols *authz.Policies) (out []neighbour) {
	add := func(what string, change func(*authz.Request, *authz.Policies)) {
		r, p := *req, *pols
		r.Context = req.Context.Clone()
		change(&r, &p)
		out = append(out, neighbour{what, r, p})
	}
	service, _, _ := strings.Cut(req.Action, ":")
	for _, action := range []string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "kms:Decrypt", "kms:Encrypt", "kms:Sign", "sts:AssumeRole", "sts:TagSession", "sqs:SendMessage", "sqs:ReceiveMessage"} {
		if strings.HasPrefix(action, service) && !strings.EqualFold(action, req.Action) {
			add("action "+action, func(r *authz.Request, _ *authz.Policies) { r.Action = action })
		}
	}
	if req.Resource != "*" {
		for _, resource := range []string{"arn:aws:s3:::b/x", "arn:aws:s3:::b/y", "arn:aws:s3:::b/axxbx$c", "arn:aws:s3:::b/a*b?$c"} {
			if strings.HasPrefix(req.Resource, "arn:aws:s3") && resource != req.Resource {
				add("resource "+resource, func(r *authz.Request, _ *authz.Policies) { r.Resource = resource })
			}
		}
	}
	for _, p := range append(callers, authz.Principal{Kind: authz.User, ARN: parse("arn:aws:iam::333333333333:user/o"), ID: "AIDAO"},
		authz.Principal{Kind: authz.RoleSession, ARN: parse("arn:aws:sts::111111111111:assumed-role/q/s"), Entity: parse("arn:aws:iam::111111111111:role/q"), ID: "AROAQ:s"},
		authz.Principal{Kind: authz.Root, ARN: parse("arn:aws:iam::111111111111:root")}) {
		if p.String() == req.Principal.String() || related(p, req.Principal) || p.Kind == authz.WebIdentity && service != "sts" {
			continue
		}
		add("principal "+p.String(), func(r *authz.Request, pols *authz.Policies) {
			r.Principal = p
			pols.Identity, pols.Boundary, pols.Session, pols.HasSession = []*authz.Policy{everything(authz.LayerIdentity)}, nil, nil, false
			if p.Account() != req.Principal.Account() {
				pols.SCPs = nil
			}
		})
	}
	if req.Principal.Kind == authz.WebIdentity {
		add("another subject", func(r *authz.Request, _ *authz.Policies) { r.Context.Set("ci.example:sub", "repo:b") })
	}
	return out
}

// related reports whether one of two is a session of the other: policies that
// name a user mean its federated sessions, too.
func related(a, b authz.Principal) bool {
	return a.Entity == b.ARN && !b.ARN.IsZero() || b.Entity == a.ARN && !a.ARN.IsZero()
}

type neighbour struct {
	what string
	req  authz.Request
	pols authz.Policies
}

// unmoved makes sure that no neighbour's answer differs after a change.
func unmoved(t *rapid.T, req *authz.Request, pols *authz.Policies, c *remedy.Change) {
	t.Helper()
	before, after := neighbours(req, pols), neighbours(req, c.Policies())
	for i := range before {
		was, is := authz.Decide(&before[i].req, &before[i].pols, nil), authz.Decide(&after[i].req, &after[i].pols, nil)
		if yes := authz.Allowed; (was == yes) != (is == yes) || (was == authz.Unknown) != (is == authz.Unknown) {
			t.Fatalf("%s moves the %s from %v to %v\n%s", c, before[i].what, was, is, documents(c))
		}
	}
}

func documents(c *remedy.Change) string {
	var b strings.Builder
	for _, e := range c.Edits {
		if e.Before != nil {
			fmt.Fprintf(&b, "before %s\n", e.Before)
		}
		for _, st := range e.After {
			fmt.Fprintf(&b, "after  %s\n", &st)
		}
	}
	return b.String()
}

func TestAllowOpensExactlyWhatWasAsked(t *testing.T) {
	proposed := 0
	rapid.Check(t, func(t *rapid.T) {
		req, pols := drawWorld(t, 1)
		d := authz.Evaluate(req, pols, nil)
		changes, err := remedy.Allow(req, pols, nil)
		var refusal *remedy.Refusal
		switch {
		case d.Allowed():
			if !errors.Is(err, remedy.ErrAllowed) {
				t.Fatalf("Allow of what is allowed = %v, %v", changes, err)
			}
			return
		case err != nil && (!errors.As(err, &refusal) || len(refusal.Reasons) == 0):
			t.Fatalf("Allow failed without a reason: %v", err)
		case err == nil && len(changes) == 0:
			t.Fatal("Allow says nothing")
		case d.Outcome != authz.ImplicitDeny && err == nil:
			t.Fatalf("Allow of what is %v proposes %s", d.Outcome, &changes[0])
		}
		for i := range changes {
			c := &changes[i]
			proposed++
			if got := authz.Decide(req, c.Policies(), nil); got != authz.Allowed || !c.Decision.Allowed() {
				t.Fatalf("after %s the request is %v", c, got)
			}
			unmoved(t, req, pols, c)
		}
	})
	if proposed == 0 {
		t.Error("no proposal was made in all runs")
	}
}

func TestCloseTakesExactlyWhatWasAsked(t *testing.T) {
	exact, wider := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		req, pols := drawWorld(t, 0)
		d := authz.Evaluate(req, pols, nil)
		changes, err := remedy.Close(req, pols, nil)
		var refusal *remedy.Refusal
		switch {
		case d.Outcome == authz.ImplicitDeny || d.Outcome == authz.ExplicitDeny:
			if !errors.Is(err, remedy.ErrDenied) {
				t.Fatalf("Close of what is denied = %v, %v", changes, err)
			}
			return
		case err != nil && (!errors.As(err, &refusal) || len(refusal.Reasons) == 0):
			t.Fatalf("Close failed without a reason: %v", err)
		case err == nil && len(changes) == 0:
			t.Fatal("Close says nothing")
		}
		for i := range changes {
			c := &changes[i]
			if got := authz.Decide(req, c.Policies(), nil); got == authz.Allowed || got == authz.Unknown {
				t.Fatalf("after %s the request is %v", c, got)
			}
			if len(c.Affects) == 0 {
				exact++
				unmoved(t, req, pols, c)
			} else {
				wider++
			}
		}
	})
	if exact == 0 || wider == 0 {
		t.Errorf("%d exact and %d wider proposals were made in all runs, want some of both", exact, wider)
	}
}
