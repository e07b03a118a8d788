package authz_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// hostile builds a document of n statements, the i-th made by make, and the
// request that asks it with every key unknown that a condition names.
func hostile(t *testing.T, n int, make func(i int) policy.Statement) (*authz.Request, *authz.Policies) {
	t.Helper()
	doc := &policy.Document{Version: policy.Version2012, Statements: []policy.Statement{
		{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*"), Conditions: []policy.Condition{policy.Cond("Bool", "aws:SecureTransport", "true")}},
	}}
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.User, ARN: mustARN(t, "arn:aws:iam::111111111111:user/u"), ID: "AIDAEXAMPLE"},
		Action:    "s3:GetObject", Resource: "arn:aws:s3:::b/x",
	}
	req.Context.SetUnknown("aws:SecureTransport")
	keys := map[string]bool{}
	for i := range n {
		s := make(i)
		s.Actions, s.Resources = policy.Texts("*"), policy.Texts("*")
		doc.Statements = append(doc.Statements, s)
		for _, c := range s.Conditions {
			if !keys[c.Key] {
				keys[c.Key] = true
				req.Context.SetUnknown(c.Key)
			}
		}
	}
	p, err := authz.Compile(doc, authz.Source{Layer: authz.LayerIdentity})
	if err != nil {
		t.Fatal(err)
	}
	return req, &authz.Policies{Identity: []*authz.Policy{p}}
}

func TestThousandsOfUnknownConditionsCostLittle(t *testing.T) {
	const n = 3000
	many := make([]string, 2000)
	for i := range many {
		many[i] = fmt.Sprintf("value-%d", i)
	}
	condition := func(op, key string, i int) policy.Condition { return policy.Cond(op, key, fmt.Sprintf("v%d", i)) }
	key := func(i int) string { return fmt.Sprintf("aws:PrincipalTag/t%d", i%100) }
	for name, make := range map[string]func(int) policy.Statement{
		"alternatives on one key": func(i int) policy.Statement {
			return policy.Statement{Effect: policy.Allow, Conditions: []policy.Condition{condition("StringEquals", key(0), i)}}
		},
		"alternatives on many keys": func(i int) policy.Statement {
			return policy.Statement{Effect: policy.Allow, Conditions: []policy.Condition{condition("StringLike", key(i), i)}}
		},
		"patterns on one key": func(i int) policy.Statement {
			return policy.Statement{Effect: policy.Allow, Conditions: []policy.Condition{policy.Cond("StringLike", key(0), fmt.Sprintf("v%d*", i))}}
		},
		"denies of two conditions": func(i int) policy.Statement {
			return policy.Statement{Effect: policy.Deny, Conditions: []policy.Condition{condition("StringEquals", key(i), i), condition("StringNotEquals", key(i+1), i)}}
		},
		"denies of one condition": func(i int) policy.Statement {
			return policy.Statement{Effect: policy.Deny, Conditions: []policy.Condition{condition("StringLike", key(i), i)}}
		},
		"set operators on one key": func(i int) policy.Statement {
			return policy.Statement{Effect: policy.Allow, Conditions: []policy.Condition{condition("ForAnyValue:StringEquals", key(0), i), condition("ForAllValues:StringLike", key(0), i)}}
		},
		"mixed operators on one key": func(i int) policy.Statement {
			op := []string{"NumericLessThan", "StringEqualsIgnoreCase", "DateGreaterThan", "IpAddress", "ArnLike", "Null"}[i%6]
			value := []string{fmt.Sprint(i), "ABCDEFGHIJKLMNOPabc", "2026-01-01", "10.0.0.0/8", "arn:*:*:*:*:*", "true"}[i%6]
			return policy.Statement{Effect: policy.Allow, Conditions: []policy.Condition{policy.Cond(op, key(0), value)}}
		},
		"long lists": func(i int) policy.Statement {
			return policy.Statement{Effect: policy.Allow, Conditions: []policy.Condition{policy.Cond("StringEquals", key(i), many[i%1900:]...)}}
		},
		"a long number": func(i int) policy.Statement {
			return policy.Statement{Effect: policy.Allow, Conditions: []policy.Condition{policy.Cond("NumericEquals", key(0), fmt.Sprintf("%0*d", 200, i))}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			size := n
			if name == "long lists" {
				size = 50
			}
			req, pols := hostile(t, size, make)
			d := authz.Evaluate(req, pols, nil)
			if d.Outcome != authz.Unknown {
				t.Fatalf("outcome %v", d.Outcome)
			}
			text := d.Residual.String()
			if len(text) > 20_000 {
				t.Errorf("the sentence has %d bytes", len(text))
			}
			var ctx authz.Context
			ctx.Set("aws:SecureTransport", "true")
			whole := *req
			whole.Context = ctx
			if got, want := d.Residual.Decide(&ctx), authz.Decide(&whole, pols, nil); got != want {
				t.Errorf("Decide = %v, want %v", got, want)
			}
			form, err := json.Marshal(d.Residual)
			if err != nil {
				t.Fatal(err)
			}
			if most := 8 * len(pols.Identity[0].Document().JSON()); len(form) > most {
				t.Errorf("the JSON has %d bytes, want %d at most", len(form), most)
			}
			t.Logf("JSON %d, %d bytes: %.300s", len(form), len(text), text)
		})
	}
}
