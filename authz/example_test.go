package authz_test

import (
	"fmt"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// A role of one account assumes a role of another: both sides must allow.
func ExampleEvaluate() {
	compile := func(doc string, src authz.Source) *authz.Policy {
		parsed, err := policy.Parse([]byte(doc))
		if err != nil {
			panic(err)
		}
		compiled, err := authz.Compile(parsed, src)
		if err != nil {
			panic(err)
		}
		return compiled
	}
	trust := compile(`{"Version":"2012-10-17","Statement":{"Effect":"Allow",
		"Principal":{"AWS":"arn:aws:iam::111111111111:role/hub"},"Action":"sts:AssumeRole"}}`,
		authz.Source{Layer: authz.LayerTrust, Account: "222222222222", Name: "role/target"})
	caller := compile(`{"Version":"2012-10-17","Statement":{"Sid":"Cross","Effect":"Allow",
		"Action":"sts:AssumeRole","Resource":"arn:aws:iam::222222222222:role/target"}}`,
		authz.Source{Layer: authz.LayerIdentity, Account: "111111111111", Name: "role/hub inline policy cross"})

	req := &authz.Request{
		Principal: authz.Principal{
			Kind:   authz.RoleSession,
			ARN:    arn.SessionARN("aws", "111111111111", "hub", "pod-1"),
			Entity: arn.IAM("aws", "111111111111", "role", "/", "hub"),
		},
		Action:   "sts:AssumeRole",
		Resource: "arn:aws:iam::222222222222:role/target",
	}
	both := authz.Evaluate(req, &authz.Policies{Identity: []*authz.Policy{caller}, Resource: trust}, nil)
	fmt.Println(both.Summary())
	one := authz.Evaluate(req, &authz.Policies{Resource: trust}, nil)
	fmt.Println(one.Summary())
	// Output:
	// allowed: statement 1 (Cross) of identity-based policy role/hub inline policy cross (111111111111) and statement 1 of role trust policy role/target (222222222222)
	// denied: no identity-based policy of role hub (111111111111) allows sts:AssumeRole
}

// What is not known leaves the answer open, and says what would settle it.
func ExampleContext_SetUnknown() {
	doc := policy.NewDocument(policy.Statement{
		Effect: policy.Allow, Actions: policy.Texts("s3:GetObject"), Resources: policy.Texts("*"),
		Conditions: []policy.Condition{policy.Cond("StringEquals", "aws:PrincipalTag/team", "payroll")},
	})
	identity, err := authz.Compile(doc, authz.Source{Layer: authz.LayerIdentity, Name: "reads"})
	if err != nil {
		panic(err)
	}
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.User, ARN: arn.IAM("aws", "111111111111", "user", "/", "ann")},
		Action:    "s3:GetObject", Resource: "arn:aws:s3:::reports/2026.csv",
	}
	req.Context.SetUnknown("aws:PrincipalTag/team")
	fmt.Println(authz.Evaluate(req, &authz.Policies{Identity: []*authz.Policy{identity}}, nil).Summary())
	// Output: depends: allowed when aws:PrincipalTag/team = payroll
}
