package authz_test

import (
	"testing"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// "Exact matching, case sensitive": under StringEquals an asterisk is one,
// wherever it comes from. Under StringLike AWS does not say what one in the
// value of a variable is.
func TestAnAsteriskInTheValueOfAVariable(t *testing.T) {
	for _, tt := range []struct {
		operator, tag, key string
		want               authz.Outcome
	}{
		{"StringEquals", "a*", "ab", authz.ImplicitDeny},
		{"StringEquals", "a*", "a*", authz.Allowed},
		{"StringNotEquals", "a*", "ab", authz.Allowed},
		{"StringEqualsIgnoreCase", "a*", "AB", authz.ImplicitDeny},
		{"StringEqualsIgnoreCase", "a*", "A*", authz.Allowed},
		{"StringLike", "a*", "ab", authz.Unknown},
		{"StringLike", "a*", "a*", authz.Allowed},
		{"StringLike", "a*", "b", authz.ImplicitDeny},
	} {
		doc := policy.NewDocument(policy.Statement{
			Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*"),
			Conditions: []policy.Condition{policy.Cond(tt.operator, "aws:RequestTag/k", "${aws:PrincipalTag/t}")},
		})
		doc.Version = policy.Version2012
		p, err := authz.Compile(doc, authz.Source{Layer: authz.LayerIdentity})
		if err != nil {
			t.Fatal(err)
		}
		req := &authz.Request{
			Principal: authz.Principal{Kind: authz.User, ARN: mustARN(t, "arn:aws:iam::111111111111:user/u")},
			Action:    "s3:GetObject", Resource: "arn:aws:s3:::b/x",
		}
		req.Context.Set("aws:PrincipalTag/t", tt.tag)
		req.Context.Set("aws:RequestTag/k", tt.key)
		if d := authz.Evaluate(req, &authz.Policies{Identity: []*authz.Policy{p}}, nil); d.Outcome != tt.want {
			t.Errorf("%s %q with %q: %v, want %v\n%s", tt.operator, tt.tag, tt.key, d.Outcome, tt.want, d.Text())
		}
	}
}
