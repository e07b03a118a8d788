package authz_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
	"github.com/stile-aws/stile/policy"
)

// sameAnswers checks that an answer by indexes is that of the plain loop, with
// every word of its explanation.
func sameAnswers(t interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}, req *authz.Request, indexed, plain *authz.Policies,
) {
	t.Helper()
	if got, want := authz.Decide(req, indexed, nil), authz.Decide(req, plain, nil); got != want {
		t.Errorf("Decide by index = %v, want %v", got, want)
	}
	got, want := authz.Evaluate(req, indexed, nil), authz.Evaluate(req, plain, nil)
	gotJSON, err := json.Marshal(got)
	if err != nil {
		t.Fatalf("%v", err)
	}
	wantJSON, err := json.Marshal(want)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if string(gotJSON) != string(wantJSON) {
		t.Errorf("Evaluate by index (-want +got):\n%s", cmp.Diff(want.Text(), got.Text()))
	}
}

func TestIndexesGiveTheCorpusTheSameAnswers(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.ID, func(t *testing.T) {
			build := func(compile corpus.Compile) (*authz.Request, *authz.Policies) { return build(t, &c, compile) }
			req, indexed := build(authz.CompileIndexed)
			_, plain := build(authz.CompilePlain)
			sameAnswers(t, req, indexed, plain)
		})
	}
}

// Patterns that begin alike, so that they lie in one another.
var (
	indexActions = []string{
		"*", "s3:*", "s3:Get*", "s3:GetObject", "s3:GetObject*", "s3:GetObjectTagging", "S3:getobject", "s3:*Object", "s3:G?tObject", "s*:GetObject",
		"s3", "s3:", "?3:GetObject", "kms:Decrypt", "s3: GetObject", "s3:PutObject, s3:GetObject", "sts:AssumeRole", "s3:GetObject?", "**", "",
	}
	indexResources = []string{
		"*", "**", "arn:aws:s3:::b", "arn:aws:s3:::b*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/x", "arn:aws:s3:::b/x*", "arn:aws:s3:::b/?", "arn:aws:s3:::*/x",
		"arn:aws:s3:*:*:b/x", "arn:*:s3:::b/x", "arn:aws:s3", "arn:aws:s3*", "arn:aws:s3*:b/x", "arn:aws:s3:::b/${aws:PrincipalTag/t}", "arn:aws:s3:::${aws:PrincipalTag/t}/x",
		"arn:aws:s3:::b/${*}", "a*", "nothing", "arn:aws:sqs:us-east-1:111111111111:q", "arn:aws:s3:::b/${aws:RequestTag/k, 'x'}", "",
	}
	indexPrincipals = []policy.PrincipalEntry{
		entry("AWS", "*"), entry("AWS", "111111111111"), entry("AWS", "222222222222"), entry("AWS", "arn:aws:iam::111111111111:root"),
		entry("AWS", "arn:aws-cn:iam::111111111111:root"), entry("AWS", "arn:aws:iam::111111111111:user/u"), entry("AWS", "arn:aws:iam::222222222222:user/u"),
		entry("AWS", "arn:aws:iam::111111111111:role/r"), entry("AWS", "arn:aws:iam::111111111111:role/p/r"), entry("AWS", "arn:aws:sts::111111111111:assumed-role/r/s"),
		entry("AWS", "arn:aws:sts::111111111111:federated-user/f"), entry("AWS", "AIDAEXAMPLE"), entry("AWS", "AROAEXAMPLE"), entry("AWS", "AIDAPARENT"),
		entry("AWS", "nobody"), entry("AWS", ""), entry("Service", "sns.amazonaws.com"), entry("Service", "sqs.amazonaws.com"),
		entry("Federated", "arn:aws:iam::111111111111:oidc-provider/h"), entry("Federated", "arn:aws:iam::111111111111:saml-provider/p"),
		entry("Federated", "accounts.google.com"), entry("Federated", "*"), entry("CanonicalUser", "0123"),
	}
)

func entry(kind, value string) policy.PrincipalEntry {
	return policy.PrincipalEntry{Type: kind, Value: policy.Text{Value: value}}
}

func drawCaller(t *rapid.T) authz.Principal {
	role := mustARN(t, "arn:aws:iam::111111111111:role/p/r")
	user := mustARN(t, "arn:aws:iam::111111111111:user/u")
	callers := []authz.Principal{
		{Kind: authz.User, ARN: user, ID: "AIDAEXAMPLE"},
		{Kind: authz.RoleSession, ARN: arn.SessionARN("aws", "111111111111", "r", "s"), ID: "AROAEXAMPLE:s"},
		{Kind: authz.RoleSession, ARN: arn.SessionARN("aws", "111111111111", "r", "s"), Entity: role, ID: "AROAEXAMPLE:s"},
		{Kind: authz.FederatedUser, ARN: mustARN(t, "arn:aws:sts::111111111111:federated-user/f"), Entity: user, EntityID: "AIDAPARENT", ID: "111111111111:f"},
		{Kind: authz.Root, ARN: arn.Root("aws", "111111111111")},
		{Kind: authz.WebIdentity, Provider: mustARN(t, "arn:aws:iam::111111111111:oidc-provider/h")},
		{Kind: authz.WebIdentity, ServiceName: "accounts.google.com"},
		{Kind: authz.SAML, Provider: mustARN(t, "arn:aws:iam::111111111111:saml-provider/p")},
		{Kind: authz.Service, ServiceName: "sns.amazonaws.com"},
		{},
	}
	return callers[rapid.IntRange(0, len(callers)-1).Draw(t, "caller")]
}

// drawLarge draws a document with statements enough for some to be left out.
func drawLarge(t *rapid.T, withPrincipal bool) *policy.Document {
	doc := &policy.Document{Version: rapid.SampledFrom([]policy.Version{policy.Version2012, policy.Version2008}).Draw(t, "version")}
	for range rapid.IntRange(1, 20).Draw(t, "statements") {
		s := policy.Statement{Effect: rapid.SampledFrom([]policy.Effect{policy.Allow, policy.Allow, policy.Deny}).Draw(t, "effect")}
		if withPrincipal {
			p := &policy.Principals{Entries: rapid.SliceOfN(rapid.SampledFrom(indexPrincipals), 1, 6).Draw(t, "principals")}
			s.Principal = p
			if rapid.IntRange(0, 5).Draw(t, "not principal") == 0 {
				s.Principal, s.NotPrincipal = nil, p
			}
		}
		s.Actions = texts(t, "actions", indexActions, 1)
		if rapid.IntRange(0, 6).Draw(t, "not action") == 0 {
			s.Actions, s.NotActions = nil, s.Actions
		}
		s.Resources = texts(t, "resources", indexResources, 1)
		switch rapid.IntRange(0, 8).Draw(t, "not resource") {
		case 0:
			s.Resources, s.NotResources = nil, s.Resources
		case 1:
			if withPrincipal {
				s.Resources = nil
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "has condition") == 0 {
			s.Conditions = []policy.Condition{drawCondition(t)}
		}
		doc.Statements = append(doc.Statements, s)
	}
	return doc
}

func TestIndexesGiveTheSameAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layer := rapid.SampledFrom([]authz.Layer{authz.LayerResource, authz.LayerTrust, authz.LayerKey}).Draw(t, "layer")
		documents := map[authz.Layer]*policy.Document{}
		for _, l := range []authz.Layer{authz.LayerIdentity, authz.LayerBoundary, authz.LayerSCP, authz.LayerRCP, authz.LayerEndpoint, layer} {
			if rapid.IntRange(0, 2).Draw(t, "has "+l.String()) > 0 || l == layer {
				documents[l] = drawLarge(t, l != authz.LayerIdentity && l != authz.LayerBoundary && l != authz.LayerSCP)
			}
		}
		req := &authz.Request{
			Principal: drawCaller(t),
			Action:    rapid.SampledFrom([]string{"s3:GetObject", "s3:getobjecttagging", "s3:PutObject", "kms:Decrypt", "sts:AssumeRole", "s3", "nonsense"}).Draw(t, "action"),
			Resource: rapid.SampledFrom([]string{
				"*", "arn:aws:s3:::b/x", "arn:aws:s3:::b", "arn:aws:s3:::b/x/y", "arn:aws:s3:::b/*", "arn:aws:sqs:us-east-1:111111111111:q", "arn:aws:s3:::x/x", "x",
			}).Draw(t, "resource"),
			ResourceAccount: rapid.SampledFrom([]arn.AccountID{"", "111111111111", "222222222222"}).Draw(t, "owner"),
		}
		req.Context.Set("aws:PrincipalTag/t", "x")
		if rapid.Bool().Draw(t, "unknown") {
			req.Context.SetUnknown("aws:PrincipalTag/t")
		}
		sameAnswers(t, req, compileAll(t, documents, authz.CompileIndexed), compileAll(t, documents, authz.CompilePlain))
	})
}

func compileAll(t *rapid.T, documents map[authz.Layer]*policy.Document, compile corpus.Compile) *authz.Policies {
	t.Helper()
	pols := &authz.Policies{}
	for layer, doc := range documents {
		p, err := compile(doc, authz.Source{Layer: layer})
		if err != nil {
			t.Fatal(err)
		}
		put(pols, p)
	}
	return pols
}

// put adds a policy to those of a request.
func put(pols *authz.Policies, p *authz.Policy) {
	switch p.Source().Layer {
	case authz.LayerIdentity:
		pols.Identity = append(pols.Identity, p)
	case authz.LayerBoundary:
		pols.Boundary = p
	case authz.LayerSession:
		pols.Session, pols.HasSession = append(pols.Session, p), true
	case authz.LayerSCP:
		pols.SCPs = append(pols.SCPs, authz.Level{Node: "r", Policies: []*authz.Policy{p}})
	case authz.LayerRCP:
		pols.RCPs = append(pols.RCPs, authz.Level{Node: "r", Policies: []*authz.Policy{p}})
	case authz.LayerEndpoint:
		pols.Endpoint = p
	case authz.LayerResource, authz.LayerTrust, authz.LayerKey:
		pols.Resource = p
	case authz.LayerGrant:
	}
}

func FuzzIndex(f *testing.F) {
	for _, c := range cases(f) {
		req, pols := build(f, &c, authz.Compile)
		if len(pols.Identity) > 0 {
			f.Add(pols.Identity[0].Document().JSON(), req.Action, req.Resource, "arn:aws:iam::111111111111:user/u")
		}
		if pols.Resource != nil {
			f.Add(pols.Resource.Document().JSON(), req.Action, req.Resource, "arn:aws:iam::111111111111:role/r")
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, action, resource, caller string) {
		doc, err := policy.Parse(src)
		if err != nil {
			return
		}
		a, err := arn.Parse(caller)
		if err != nil {
			return
		}
		req := &authz.Request{Principal: authz.Principal{Kind: authz.User, ARN: a, ID: "AIDAEXAMPLE"}, Action: action, Resource: resource}
		for layer := range authz.LayerGrant {
			src := authz.Source{Layer: layer}
			indexed, err := authz.CompileIndexed(doc, src)
			if err != nil {
				continue
			}
			plain, err := authz.CompilePlain(doc, src)
			if err != nil {
				t.Fatal(err)
			}
			var byIndex, all authz.Policies
			put(&byIndex, indexed)
			put(&all, plain)
			sameAnswers(t, req, &byIndex, &all)
		}
	})
}

// What is looked at has to stay small where little can match.
func TestIndexesLeaveOutWhatCannotMatch(t *testing.T) {
	var statements []policy.Statement
	var many []string
	for i := range 5000 {
		role := fmt.Sprintf("arn:aws:iam::111111111111:role/r%d", i)
		many = append(many, role)
		statements = append(statements, policy.Statement{
			Effect: policy.Allow, Principal: policy.AWS(role), Actions: policy.Texts(fmt.Sprintf("s3:Get%d", i)), Resources: policy.Texts(fmt.Sprintf("arn:aws:s3:::b%d", i)),
		})
	}
	for _, test := range []struct {
		name      string
		statement func(policy.Statement) policy.Statement
		caller    string
		explained int // statements of the explanation
	}{
		{"by action", func(s policy.Statement) policy.Statement {
			s.Principal, s.Resources = policy.Everyone(), policy.Texts("*")
			return s
		}, "r7", 1},
		{"by resource", func(s policy.Statement) policy.Statement {
			s.Principal, s.Actions = policy.Everyone(), policy.Texts("*")
			return s
		}, "r7", 1},
		{"by caller", func(s policy.Statement) policy.Statement {
			s.Actions, s.Resources = policy.Texts("*"), policy.Texts("*")
			return s
		}, "r7", 5000},
	} {
		t.Run(test.name, func(t *testing.T) {
			doc := policy.NewDocument()
			for _, s := range statements {
				doc.Statements = append(doc.Statements, test.statement(s))
			}
			p, err := authz.Compile(doc, authz.Source{Layer: authz.LayerResource})
			if err != nil {
				t.Fatal(err)
			}
			req := &authz.Request{
				Principal: authz.Principal{Kind: authz.RoleSession, ARN: arn.SessionARN("aws", "111111111111", test.caller, "s")},
				Action:    "s3:Get7", Resource: "arn:aws:s3:::b7",
			}
			pols := &authz.Policies{Resource: p}
			if got := authz.Looked(req, pols); got > 3 {
				t.Errorf("Decide looks at %d statements of %d, want at most 3", got, len(doc.Statements))
			}
			d := authz.Evaluate(req, pols, nil)
			if got := len(d.Layers[len(d.Layers)-1].Statements); got != test.explained {
				t.Errorf("Evaluate explains %d statements, want %d", got, test.explained)
			}
		})
	}
	one := policy.NewDocument(policy.Statement{Effect: policy.Allow, Principal: policy.AWS(many...), Actions: policy.Texts("*")})
	p, err := authz.Compile(one, authz.Source{Layer: authz.LayerResource})
	if err != nil {
		t.Fatal(err)
	}
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.RoleSession, ARN: arn.SessionARN("aws", "111111111111", "r7", "s"), Entity: arn.IAM("aws", "111111111111", "role", "/", "r7")},
		Action:    "s3:Get7", Resource: "arn:aws:s3:::b7", ResourceAccount: "222222222222",
	}
	if d := authz.Evaluate(req, &authz.Policies{Resource: p}, nil); d.Layers[len(d.Layers)-1].Outcome != authz.Allowed {
		t.Errorf("one principal of many: %v\n%s", d.Outcome, d.Text())
	}
}
