package authz_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// valuePool is what unknown keys are given: nil stands for absent. Only the
// multivalued key gets lists.
func valuePool(key string) [][]string {
	pool := [][]string{nil}
	for _, v := range []string{"x", "y", "X", "", "true", "7", "8.5", "arn:aws:iam::111111111111:role/r", "203.0.113.9", "other"} {
		pool = append(pool, []string{v})
	}
	if key == "aws:TagKeys" {
		pool = append(pool, []string{}, []string{"x", "y"}, []string{"x", "x"}, []string{"x", ""}, []string{"", ""}, []string{"x", "y", "other"}, []string{"other", "z"})
	}
	return pool
}

// substitutions calls check with every way to give keys values.
func substitutions(base *authz.Context, keys []string, check func(full *authz.Context)) {
	if len(keys) == 0 {
		check(base)
		return
	}
	for _, values := range valuePool(keys[0]) {
		ctx := authz.Context{}
		base.All(func(k string, v []string, known bool) bool {
			if known {
				ctx.Set(k, v...)
			}
			return true
		})
		if values != nil {
			ctx.Set(keys[0], values...)
		}
		substitutions(&ctx, keys[1:], check)
	}
}

// drawConditions draws documents in which nearly everything turns on conditions.
func drawConditions(t *rapid.T) world {
	w := world{}
	for _, layer := range []authz.Layer{authz.LayerIdentity, authz.LayerResource, authz.LayerBoundary, authz.LayerSCP} {
		if layer != authz.LayerIdentity && rapid.IntRange(0, 2).Draw(t, "has "+layer.String()) == 0 {
			continue
		}
		doc := &policy.Document{Version: policy.Version2012}
		for range rapid.IntRange(1, 3).Draw(t, "statements") {
			s := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")}
			if rapid.IntRange(0, 3).Draw(t, "deny") == 0 {
				s.Effect = policy.Deny
			}
			if hasPrincipal(layer) {
				s.Principal = policy.AWS(rapid.SampledFrom(somePrincipals[:5]).Draw(t, "principal"))
			}
			if rapid.IntRange(0, 3).Draw(t, "hole") == 0 {
				s.Resources = texts(t, "resources", someResources[1:], 1)
			}
			for range rapid.IntRange(0, 2).Draw(t, "conditions") {
				s.Conditions = append(s.Conditions, drawCondition(t))
			}
			doc.Statements = append(doc.Statements, s)
		}
		w[layer] = doc
	}
	return w
}

func drawUnknowns(t *rapid.T, most int) []string {
	keys := rapid.SliceOfNDistinct(rapid.SampledFrom(someKeys), 1, most, rapid.ID[string]).Draw(t, "unknown keys")
	slices.Sort(keys)
	return keys
}

func TestAResidualAgreesWithFullEvaluationOnEverySubstitution(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range 10 {
			checkResidual(t, drawRequest(t), drawConditions(t).policies(t), drawUnknowns(t, 2))
		}
	})
}

// checkResidual evaluates with keys unknown, and compares what comes out with
// evaluations in which they are known.
func checkResidual(t *rapid.T, req *authz.Request, pols *authz.Policies, keys []string) {
	known := authz.Context{}
	req.Context.All(func(k string, v []string, _ bool) bool {
		if !slices.ContainsFunc(keys, func(key string) bool { return strings.EqualFold(key, k) }) {
			known.Set(k, v...)
		}
		return true
	})
	partial := *req
	partial.Context = known.Clone()
	for _, k := range keys {
		partial.Context.SetUnknown(k)
	}
	d, raw := authz.Evaluate(&partial, pols, nil), authz.Decide(&partial, pols, nil)
	if (d.Outcome == authz.Unknown) != (d.Residual != nil) {
		t.Fatalf("outcome %v with residual %v", d.Outcome, d.Residual)
	}
	if got := authz.Settle(&partial, pols, nil); got != d.Outcome {
		t.Fatalf("Settle = %v, Evaluate = %v\n%s", got, d.Outcome, d.Text())
	}
	residuals := []*authz.Residual{d.Residual}
	if d.Residual != nil {
		residuals = append(residuals, reread(t, d.Residual))
	}
	substitutions(&known, keys, func(ctx *authz.Context) {
		whole := *req
		whole.Context = *ctx
		full := authz.Decide(&whole, pols, nil)
		if d.Residual == nil {
			if !agrees(d.Outcome, full) && (raw != authz.Unknown || full != authz.Unknown) {
				t.Errorf("settled as %v, with %v: %v\n%s", d.Outcome, show(ctx), full, d.Text())
			}
			return
		}
		for i, r := range residuals {
			if got := r.Decide(ctx); got != full {
				t.Errorf("with %v: Residual.Decide (read again: %v) = %v, Evaluate = %v\n%s", show(ctx), i == 1, got, full, d.Text())
			}
		}
		checkForm(t, &d, ctx, full)
	})
}

// checkForm checks that what is printed says what Decide answers, where the
// values are such that every condition has an answer.
func checkForm(t *rapid.T, d *authz.Decision, ctx *authz.Context, full authz.Outcome) {
	if full == authz.Unknown {
		return
	}
	for _, form := range []struct {
		list func() ([][]authz.Requirement, bool)
		want bool
	}{
		{d.Residual.Allowed, full == authz.Allowed},
		{d.Residual.Denied, full == authz.ExplicitDeny},
	} {
		alternatives, complete := form.list()
		got, open := holds(t, alternatives, ctx)
		if open || !complete && !got {
			continue
		}
		if got != form.want {
			t.Errorf("with %v: the alternatives %v come to %v, outcome %v\n%s", show(ctx), alternatives, got, full, d.Text())
		}
	}
}

// holds decides alternatives by asking the evaluator about each requirement as
// the only condition of a policy.
func holds(t *rapid.T, alternatives [][]authz.Requirement, ctx *authz.Context) (result, open bool) {
	for _, alternative := range alternatives {
		all := true
		for _, q := range alternative {
			if q.Question != "" || q.Operator == authz.OperatorResource || q.Found != nil || strings.Contains(fmt.Sprint(q.Values), "${") {
				return false, true
			}
			if _, given, _ := ctx.Get(q.Key); !given && q.Key == "aws:PrincipalArn" {
				return false, true // it follows from the principal, whom this evaluation does not have
			}
			o := decideCondition(t, q, ctx)
			if o == authz.Unknown {
				open = true
			}
			all = all && (o == authz.Allowed) != q.Not
		}
		if all {
			return true, false
		}
	}
	return false, open
}

func reread(t *rapid.T, r *authz.Residual) *authz.Residual {
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back authz.Residual
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatalf("parsing %s: %v", text, err)
	}
	if !r.Equal(&back) || r.String() != back.String() {
		again, _ := json.Marshal(&back)
		t.Errorf("JSON round trip of\n%s\ngives\n%s", text, again)
	}
	return &back
}

func show(ctx *authz.Context) string {
	var b strings.Builder
	ctx.All(func(k string, v []string, known bool) bool {
		fmt.Fprintf(&b, "%s=%q ", k, v)
		return true
	})
	return b.String()
}

// decideCondition decides whether a condition holds, under keys of which the
// evaluator knows nothing else.
func decideCondition(t *rapid.T, q authz.Requirement, ctx *authz.Context) authz.Outcome {
	p, err := authz.Compile(policy.NewDocument(policy.Statement{
		Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*"),
		Conditions: []policy.Condition{policy.Cond(q.Operator, "test:"+q.Key, q.Values...)},
	}), authz.Source{Layer: authz.LayerIdentity})
	if err != nil {
		t.Fatal(err)
	}
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.User, ARN: mustARN(t, "arn:aws:iam::111111111111:user/u")},
		Action:    "s3:GetObject", Resource: "arn:aws:s3:::b/x",
	}
	ctx.All(func(k string, v []string, _ bool) bool {
		req.Context.Set("test:"+k, v...)
		return true
	})
	facts := authz.DefaultFacts()
	facts.Multivalued["test:aws:tagkeys"] = true
	return authz.Decide(req, &authz.Policies{Identity: []*authz.Policy{p}}, facts)
}
