package authz_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// The vocabulary is small, so that random statements meet random requests.
var (
	someActions    = []string{"s3:GetObject", "s3:PutObject", "s3:*", "*", "kms:Decrypt", "sts:AssumeRole", "S3:get*"}
	someResources  = []string{"*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/x", "arn:aws:s3:::b/${aws:PrincipalTag/t}", "arn:aws:s3", "arn:aws:s3:::${aws:RequestTag/k}/*"}
	somePrincipals = []string{
		"*", "111111111111", "arn:aws:iam::222222222222:root", "arn:aws:iam::111111111111:user/u", "arn:aws:iam::111111111111:role/r",
		"arn:aws:sts::111111111111:assumed-role/r/s", "AROAEXAMPLE",
	}
	someOperators = []string{
		"StringEquals", "StringNotEquals", "StringLike", "StringEqualsIfExists", "ForAllValues:StringEquals", "ForAnyValue:StringNotLike",
		"Null", "NumericLessThan", "ArnLike", "Bool", "IpAddress", "StringNotEqualsIgnoreCase", "NumericEquals", "NumericGreaterThanEqualsIfExists",
		"ForAllValues:StringNotLike", "ForAnyValue:StringEquals", "NotIpAddress", "StringNotLike", "ArnNotEquals", "DateLessThan", "StringNotEqualsIfExists",
	}
	someKeys   = []string{"aws:PrincipalTag/t", "aws:RequestTag/k", "aws:PrincipalArn", "aws:TagKeys"}
	someValues = []string{"x", "y", "", "true", "7", "arn:aws:iam::111111111111:role/r", "*", "203.0.113.9", "${aws:PrincipalTag/t}", "x*", "8", "${aws:RequestTag/k, 'y'}", "a${aws:PrincipalTag/t}"}
)

func texts(t *rapid.T, label string, from []string, least int) []policy.Text {
	return policy.Texts(rapid.SliceOfN(rapid.SampledFrom(from), least, 2).Draw(t, label)...)
}

// statement draws a statement; withPrincipal for the policies that have one.
func drawStatement(t *rapid.T, effect policy.Effect, withPrincipal bool) policy.Statement {
	s := policy.Statement{Effect: effect}
	if withPrincipal {
		p := policy.AWS(rapid.SliceOfN(rapid.SampledFrom(somePrincipals), 1, 2).Draw(t, "principals")...)
		if rapid.IntRange(0, 5).Draw(t, "not principal") == 0 {
			s.NotPrincipal = p
		} else {
			s.Principal = p
		}
	}
	if rapid.IntRange(0, 4).Draw(t, "not action") == 0 {
		s.NotActions = texts(t, "actions", someActions, 1)
	} else {
		s.Actions = texts(t, "actions", someActions, 1)
	}
	if rapid.IntRange(0, 4).Draw(t, "not resource") == 0 {
		s.NotResources = texts(t, "resources", someResources, 1)
	} else {
		s.Resources = texts(t, "resources", someResources, 1)
	}
	for range rapid.IntRange(0, 2).Draw(t, "conditions") {
		s.Conditions = append(s.Conditions, drawCondition(t))
	}
	return s
}

func drawCondition(t *rapid.T) policy.Condition {
	operator := rapid.SampledFrom(someOperators).Draw(t, "operator")
	from := someValues
	if operator == "Null" {
		from = []string{"true", "false"}
	}
	values := rapid.SliceOfN(rapid.SampledFrom(from), 1, 2).Draw(t, "values")
	return policy.Cond(operator, rapid.SampledFrom(someKeys).Draw(t, "key"), values...)
}

func drawDocument(t *rapid.T, withPrincipal bool) *policy.Document {
	doc := &policy.Document{Version: rapid.SampledFrom([]policy.Version{policy.Version2012, policy.Version2012, policy.Version2008}).Draw(t, "version")}
	for range rapid.IntRange(1, 3).Draw(t, "statements") {
		effect := rapid.SampledFrom([]policy.Effect{policy.Allow, policy.Allow, policy.Deny}).Draw(t, "effect")
		doc.Statements = append(doc.Statements, drawStatement(t, effect, withPrincipal))
	}
	return doc
}

// world holds the documents of a question by layer, as far as they exist.
type world map[authz.Layer]*policy.Document

func drawWorld(t *rapid.T) world {
	w := world{authz.LayerIdentity: drawDocument(t, false)}
	for _, layer := range []authz.Layer{authz.LayerResource, authz.LayerBoundary, authz.LayerSession, authz.LayerSCP, authz.LayerRCP, authz.LayerEndpoint} {
		if rapid.IntRange(0, 2).Draw(t, "has "+layer.String()) > 0 {
			w[layer] = drawDocument(t, layer == authz.LayerResource || layer == authz.LayerRCP || layer == authz.LayerEndpoint)
		}
	}
	return w
}

// policies compiles the documents.
func (w world) policies(t *rapid.T) *authz.Policies {
	get := func(layer authz.Layer) *authz.Policy {
		doc, ok := w[layer]
		if !ok {
			return nil
		}
		p, err := authz.Compile(doc, authz.Source{Layer: layer})
		if err != nil {
			t.Fatalf("Compile: %v", err)
		}
		return p
	}
	pols := &authz.Policies{
		Identity: []*authz.Policy{get(authz.LayerIdentity)}, Resource: get(authz.LayerResource),
		Boundary: get(authz.LayerBoundary), Endpoint: get(authz.LayerEndpoint),
	}
	if p := get(authz.LayerSession); p != nil {
		pols.Session, pols.HasSession = []*authz.Policy{p}, true
	}
	if p := get(authz.LayerSCP); p != nil {
		pols.SCPs = []authz.Level{{Node: "r", Policies: []*authz.Policy{p}}}
	}
	if p := get(authz.LayerRCP); p != nil {
		pols.RCPs = []authz.Level{{Node: "r", Policies: []*authz.Policy{p}}}
	}
	return pols
}

func drawRequest(t *rapid.T) *authz.Request {
	principals := []authz.Principal{
		{Kind: authz.User, ARN: mustARN(t, "arn:aws:iam::111111111111:user/u"), ID: "AIDAEXAMPLE"},
		{
			Kind: authz.RoleSession, ARN: mustARN(t, "arn:aws:sts::111111111111:assumed-role/r/s"),
			Entity: mustARN(t, "arn:aws:iam::111111111111:role/r"), ID: "AROAEXAMPLE:s",
		},
		{Kind: authz.Root, ARN: mustARN(t, "arn:aws:iam::111111111111:root")},
		{Kind: authz.Anonymous},
		{Kind: authz.Service, ServiceName: "sns.amazonaws.com"},
	}
	req := &authz.Request{
		Principal:       principals[rapid.IntRange(0, len(principals)-1).Draw(t, "principal")],
		Action:          rapid.SampledFrom([]string{"s3:GetObject", "s3:PutObject"}).Draw(t, "action"),
		Resource:        rapid.SampledFrom([]string{"arn:aws:s3:::b/x", "arn:aws:s3:::c/y"}).Draw(t, "resource"),
		ResourceAccount: "111111111111",
	}
	if rapid.Bool().Draw(t, "other account") {
		req.ResourceAccount = "222222222222"
	}
	for _, key := range []string{"aws:PrincipalTag/t", "aws:RequestTag/k", "aws:TagKeys"} {
		if rapid.Bool().Draw(t, "has "+key) {
			req.Context.Set(key, rapid.SampledFrom(someValues[:6]).Draw(t, key))
		}
	}
	return req
}

func drawLayer(t *rapid.T, w world) authz.Layer {
	var layers []authz.Layer
	for layer := range authz.LayerGrant {
		if w[layer] != nil {
			layers = append(layers, layer)
		}
	}
	return rapid.SampledFrom(layers).Draw(t, "layer")
}

// with adds a statement to the document of one layer.
func (w world) with(layer authz.Layer, s policy.Statement) world {
	out := world{}
	for l, doc := range w {
		out[l] = doc
	}
	doc := *w[layer]
	doc.Statements = append(append([]policy.Statement(nil), doc.Statements...), s)
	out[layer] = &doc
	return out
}

func hasPrincipal(layer authz.Layer) bool {
	return layer == authz.LayerResource || layer == authz.LayerRCP || layer == authz.LayerEndpoint
}

func TestDecideAgreesWithEvaluate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req, pols := drawRequest(t), drawWorld(t).policies(t)
		if rapid.Bool().Draw(t, "unknown") {
			req.Context.SetUnknown("aws:PrincipalTag/t")
		}
		d := authz.Evaluate(req, pols, nil)
		// Where Decide does not know, Evaluate may find that it makes no difference.
		if got := authz.Decide(req, pols, nil); got != d.Outcome && got != authz.Unknown {
			t.Errorf("Decide = %v, Evaluate = %v\n%s", got, d.Outcome, d.Text())
		}
		if got := authz.Settle(req, pols, nil); got != d.Outcome {
			t.Errorf("Settle = %v, Evaluate = %v\n%s", got, d.Outcome, d.Text())
		}
		if len(d.Deciding) == 0 || (d.Outcome == authz.Unknown) != (len(d.Missing) > 0) {
			t.Errorf("outcome %v, deciding %v, missing %q\n%s", d.Outcome, d.Deciding, d.Missing, d.Text())
		}
	})
}

func TestAddingADenyNeverAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req, w := drawRequest(t), drawWorld(t)
		layer := drawLayer(t, w)
		more := w.with(layer, drawStatement(t, policy.Deny, hasPrincipal(layer)))
		before, after := authz.Decide(req, w.policies(t), nil), authz.Decide(req, more.policies(t), nil)
		if after == authz.Allowed && before != authz.Allowed {
			t.Errorf("with one more Deny: %v, before %v", after, before)
		}
		if before == authz.ExplicitDeny && after != authz.ExplicitDeny {
			t.Errorf("with one more Deny: %v, before %v", after, before)
		}
	})
}

func TestAddingAnAllowNeverDenies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req, w := drawRequest(t), drawWorld(t)
		layer := drawLayer(t, w)
		more := w.with(layer, drawStatement(t, policy.Allow, hasPrincipal(layer)))
		before, after := authz.Decide(req, w.policies(t), nil), authz.Decide(req, more.policies(t), nil)
		if before == authz.Allowed && after != authz.Allowed {
			t.Errorf("with one more Allow: %v, before %v", after, before)
		}
	})
}

// agrees reports whether full is an answer that partial promised: what was
// decided without the key must hold with it.
func agrees(partial, full authz.Outcome) bool {
	switch partial {
	case authz.Allowed, authz.ExplicitDeny:
		return full == partial
	case authz.ImplicitDeny:
		return full == authz.ImplicitDeny || full == authz.ExplicitDeny
	case authz.Unknown, authz.NotApplicable:
	}
	return true
}

func TestWhatIsDecidedWithoutAKeyHoldsForEveryValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req, pols := drawRequest(t), drawWorld(t).policies(t)
		key := rapid.SampledFrom(someKeys).Draw(t, "unknown key")
		base := req.Context.Clone()
		req.Context.SetUnknown(key)
		partial, raw := authz.Evaluate(req, pols, nil), authz.Decide(req, pols, nil)
		for i, value := range append([]string{"absent", "z", "X"}, someValues[:8]...) {
			req.Context = authz.Context{}
			base.All(func(k string, values []string, known bool) bool {
				if known && !strings.EqualFold(k, key) {
					req.Context.Set(k, values...)
				}
				return true
			})
			if i > 0 {
				req.Context.Set(key, value)
			}
			// A value that conditions cannot be compared with leaves them open,
			// and settles nothing that depends on them alone.
			full := authz.Decide(req, pols, nil)
			if !agrees(partial.Outcome, full) && (raw != authz.Unknown || full != authz.Unknown) {
				t.Errorf("%s unknown: %v; with %q: %v\n%s", key, partial.Outcome, value, full, partial.Text())
			}
		}
	})
}

func TestWhatIsDecidedWithoutADocumentHoldsForEveryDocument(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req, w := drawRequest(t), drawWorld(t)
		layer := rapid.SampledFrom([]authz.Layer{
			authz.LayerIdentity, authz.LayerResource, authz.LayerBoundary, authz.LayerSession, authz.LayerSCP, authz.LayerEndpoint,
		}).Draw(t, "unread layer")
		without := world{}
		for l, doc := range w {
			if l != layer {
				without[l] = doc
			}
		}
		pols := without.policies(t)
		pols.Unread = []authz.Unread{{Source: authz.Source{Layer: layer}}}
		partial := authz.Evaluate(req, pols, nil)
		w[layer] = drawDocument(t, hasPrincipal(layer))
		if full := authz.Evaluate(req, w.policies(t), nil).Outcome; !agrees(partial.Outcome, full) {
			t.Errorf("%v not read: %v; with it: %v\n%s", layer, partial.Outcome, full, partial.Text())
		}
	})
}
