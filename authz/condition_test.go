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

// Who has no tag is in no resource's team, whatever team that is: not even
// Decide needs to know it.
func TestAVariableWithoutValueFitsNoUnknownKey(t *testing.T) {
	for _, tt := range []struct {
		operator string
		values   []string
		want     authz.Outcome
	}{
		{"StringEquals", []string{"${aws:PrincipalTag/team}"}, authz.ImplicitDeny},
		{"StringLike", []string{"${aws:PrincipalTag/team}-*"}, authz.ImplicitDeny},
		{"StringNotEquals", []string{"${aws:PrincipalTag/team}"}, authz.Allowed},
		{"StringNotEqualsIfExists", []string{"${aws:PrincipalTag/team}"}, authz.Allowed},
		{"ForAnyValue:StringEquals", []string{"${aws:PrincipalTag/team}"}, authz.ImplicitDeny},
		{"ForAllValues:StringNotEquals", []string{"${aws:PrincipalTag/team}"}, authz.Allowed},
		{"StringEquals", []string{"${aws:PrincipalTag/team, 'ops'}"}, authz.Unknown},
		{"StringEquals", []string{"${aws:PrincipalTag/team}", "ops"}, authz.Unknown},
		{"StringEqualsIfExists", []string{"${aws:PrincipalTag/team}"}, authz.Unknown},      // the key may be absent
		{"ForAllValues:StringEquals", []string{"${aws:PrincipalTag/team}"}, authz.Unknown}, // as here
		{"ForAnyValue:StringNotEquals", []string{"${aws:PrincipalTag/team}"}, authz.Unknown},
	} {
		p, err := authz.Compile(policy.NewDocument(policy.Statement{
			Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*"),
			Conditions: []policy.Condition{policy.Cond(tt.operator, "aws:ResourceTag/team", tt.values...)},
		}), authz.Source{Layer: authz.LayerIdentity})
		if err != nil {
			t.Fatal(err)
		}
		req := &authz.Request{
			Principal: authz.Principal{Kind: authz.User, ARN: mustARN(t, "arn:aws:iam::111111111111:user/u")},
			Action:    "s3:GetObject", Resource: "arn:aws:s3:::b/x",
		}
		req.Context.SetUnknown("aws:ResourceTag/team")
		if o := authz.Decide(req, &authz.Policies{Identity: []*authz.Policy{p}}, nil); o != tt.want {
			t.Errorf("%s %q: %v, want %v", tt.operator, tt.values, o, tt.want)
		}
	}
}
