package authz_test

import (
	"encoding/json"
	"testing"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

func FuzzEvaluate(f *testing.F) {
	for _, c := range cases(f) {
		req, pols := build(f, &c, authz.Compile)
		doc := []byte(`{}`)
		if len(pols.Identity) > 0 {
			doc = pols.Identity[0].Document().JSON()
		}
		f.Add(doc, req.Action, req.Resource, "aws:PrincipalTag/t", "value")
	}
	f.Fuzz(func(t *testing.T, src []byte, action, resource, key, value string) {
		doc, err := policy.Parse(src)
		if err != nil {
			return
		}
		req := &authz.Request{
			Principal: authz.Principal{Kind: authz.User, ARN: mustARN(t, "arn:aws:iam::111111111111:user/u")},
			Action:    action, Resource: resource,
		}
		for layer := range authz.LayerGrant {
			p, err := authz.Compile(doc, authz.Source{Layer: layer})
			if err != nil {
				continue
			}
			pols := &authz.Policies{Identity: []*authz.Policy{p}, Resource: p, SCPs: []authz.Level{{Policies: []*authz.Policy{p}}}}
			req.Context.Set(key, value)
			full := authz.Evaluate(req, pols, nil)
			decided := authz.Decide(req, pols, nil)
			if decided != full.Outcome && decided != authz.Unknown {
				t.Errorf("Decide = %v, Evaluate = %v\n%s", decided, full.Outcome, full.Text())
			}
			if settled := authz.Settle(req, pols, nil); settled != full.Outcome {
				t.Errorf("Settle = %v, Evaluate = %v\n%s", settled, full.Outcome, full.Text())
			}
			ctx := req.Context.Clone()
			req.Context.SetUnknown(key)
			partial := authz.Evaluate(req, pols, nil)
			if partial.Residual == nil {
				continue
			}
			if got := partial.Residual.Decide(&ctx); got != decided {
				t.Errorf("Residual.Decide = %v, Decide = %v\n%s", got, decided, partial.Text())
			}
			text, err := json.Marshal(partial)
			if err != nil {
				t.Fatal(err)
			}
			var back authz.Decision
			if err := json.Unmarshal(text, &back); err != nil {
				t.Fatalf("parsing %s: %v", text, err)
			}
			if !back.Residual.Equal(partial.Residual) {
				t.Errorf("%s does not read back", text)
			}
		}
	})
}

// What is read as a residual, from whomever, can be asked and written.
func FuzzResidual(f *testing.F) {
	for _, c := range cases(f) {
		req, pols := build(f, &c, authz.Compile)
		if d := authz.Evaluate(req, pols, nil); d.Residual != nil {
			text, err := json.Marshal(d.Residual)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var r authz.Residual
		if json.Unmarshal(text, &r) != nil {
			return
		}
		_ = r.String()
		r.Decide(nil)
		var ctx authz.Context
		for _, key := range r.Keys() {
			ctx.Set(key, "x", "y")
		}
		r.Decide(&ctx)
		again, err := json.Marshal(&r)
		if err != nil {
			t.Fatal(err)
		}
		var back authz.Residual
		if err := json.Unmarshal(again, &back); err != nil {
			t.Fatalf("parsing %s, which was written: %v", again, err)
		}
		if !back.Equal(&r) {
			t.Errorf("%s does not read back", again)
		}
	})
}
