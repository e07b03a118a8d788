package authz_test

import (
	"fmt"
	"os"

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

// A consultant's role may be assumed with the right external id by whoever is
// of the right team. Neither is known yet.
func ExampleResidual() {
	trust := policy.NewDocument(policy.Statement{
		Effect: policy.Allow, Principal: policy.AWS("111111111111"), Actions: policy.Texts("sts:AssumeRole"),
		Conditions: []policy.Condition{
			policy.Cond("StringEquals", "aws:PrincipalTag/team", "orders"),
			policy.Cond("StringEquals", "sts:ExternalId", "12345"),
		},
	})
	compiled, err := authz.Compile(trust, authz.Source{Layer: authz.LayerTrust, Name: "role/consultant"})
	if err != nil {
		panic(err)
	}
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.User, ARN: arn.IAM("aws", "111111111111", "user", "/", "ann")},
		Action:    "sts:AssumeRole", Resource: "arn:aws:iam::222222222222:role/consultant",
	}
	req.Context.SetUnknown("aws:PrincipalTag/team")
	req.Context.SetUnknown("sts:ExternalId")

	identity, err := authz.Compile(policy.NewDocument(policy.Statement{
		Effect: policy.Allow, Actions: policy.Texts("sts:AssumeRole"), Resources: policy.Texts("*"),
	}), authz.Source{Layer: authz.LayerIdentity, Name: "assumes"})
	if err != nil {
		panic(err)
	}
	d := authz.Evaluate(req, &authz.Policies{Identity: []*authz.Policy{identity}, Resource: compiled}, nil)
	fmt.Println(d.Outcome, d.Residual.Keys())
	fmt.Println(d.Residual)

	var ctx authz.Context
	ctx.Set("aws:PrincipalTag/team", "orders")
	fmt.Println("without external id:", d.Residual.Decide(&ctx))
	ctx.Set("sts:ExternalId", "12345")
	fmt.Println("with it:", d.Residual.Decide(&ctx))
	// Output:
	// Unknown [aws:principaltag/team sts:externalid]
	// allowed when aws:PrincipalTag/team = orders and sts:ExternalId = 12345
	// without external id: ImplicitDeny
	// with it: Allowed
}

// A variable in a Resource element is solved for, conditions that exclude each
// other or follow from others disappear.
func ExampleResidual_Allowed() {
	identity, err := authz.Compile(policy.NewDocument(
		policy.Statement{
			Effect: policy.Allow, Actions: policy.Texts("s3:GetObject"), Resources: policy.Texts("arn:aws:s3:::reports/${aws:PrincipalTag/team}"),
			Conditions: []policy.Condition{policy.Cond("StringEquals", "aws:PrincipalTag/team", "orders", "payroll", "ops")},
		},
		policy.Statement{
			Effect: policy.Allow, Actions: policy.Texts("s3:*"), Resources: policy.Texts("*"),
			Conditions: []policy.Condition{policy.Cond("Bool", "aws:MultiFactorAuthPresent", "true")},
		},
	), authz.Source{Layer: authz.LayerIdentity, Name: "reads"})
	if err != nil {
		panic(err)
	}
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.User, ARN: arn.IAM("aws", "111111111111", "user", "/", "ann")},
		Action:    "s3:GetObject", Resource: "arn:aws:s3:::reports/ops",
	}
	req.Context.SetUnknown("aws:PrincipalTag/team")
	req.Context.SetUnknown("aws:MultiFactorAuthPresent")
	d := authz.Evaluate(req, &authz.Policies{Identity: []*authz.Policy{identity}}, nil)
	alternatives, complete := d.Residual.Allowed()
	for _, all := range alternatives {
		fmt.Printf("%s %s %q\n", all[0].Key, all[0].Operator, all[0].Values)
	}
	fmt.Println(complete)
	// Output:
	// aws:PrincipalTag/team StringEquals ["ops"]
	// aws:MultiFactorAuthPresent Bool ["true"]
	// true
}

// The tree shows what each side's documents said.
func ExampleDecision_Explain() {
	secret, err := authz.Compile(policy.NewDocument(policy.Statement{
		Sid: "Share", Effect: policy.Allow, Principal: policy.AWS("arn:aws:iam::111111111111:role/api"), Actions: policy.Texts("secretsmanager:GetSecretValue"),
		Resources: policy.Texts("*"), Conditions: []policy.Condition{policy.Cond("StringEquals", "aws:SourceVpce", "vpce-1")},
	}), authz.Source{Layer: authz.LayerResource, Account: "222222222222", Name: "secret AppDemoSecret"})
	if err != nil {
		panic(err)
	}
	req := &authz.Request{
		Principal: authz.Principal{
			Kind: authz.RoleSession, ARN: arn.SessionARN("aws", "111111111111", "api", "pod-1"), Entity: arn.IAM("aws", "111111111111", "role", "/", "api"),
		},
		Action: "secretsmanager:GetSecretValue", Resource: "arn:aws:secretsmanager:us-east-1:222222222222:secret:AppDemoSecret-AbCdEf",
	}
	req.Context.Set("aws:SourceVpce", "vpce-2")
	d := authz.Evaluate(req, &authz.Policies{Resource: secret}, nil)
	if err := d.Explain(os.Stdout); err != nil {
		panic(err)
	}
	// Output:
	// denied: no identity-based policy of role api (111111111111) allows secretsmanager:GetSecretValue
	// caller, account 111111111111
	//   → identity-based policy: ImplicitDeny (there is none)
	// resource, account 222222222222
	//   → resource-based policy: ImplicitDeny
	//       Allow secret AppDemoSecret statement 1 (Share): does not apply, Condition does not match
	//         StringEquals aws:SourceVpce: wanted ["vpce-1"], found ["vpce-2"]: no
}

// Documents are compiled once, for what they are used as, and asked many times.
func ExampleCompile() {
	doc, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*",
  "Condition":{"StringEqual":{"aws:PrincipalTag/team":"payroll"}}}}`))
	if err != nil {
		panic(err)
	}
	_, err = authz.Compile(doc, authz.Source{Layer: authz.LayerIdentity, Account: "111111111111", Name: "reads"})
	fmt.Println(err)
	doc.Statements[0].Conditions[0].Operator = "StringEquals"
	compiled, err := authz.Compile(doc, authz.Source{Layer: authz.LayerIdentity, Account: "111111111111", Name: "reads"})
	fmt.Println(compiled.Source(), err)
	// Output:
	// compiling statement 1 of identity-based policy reads (111111111111) (line 1, column 37): unknown condition operator "StringEqual" (line 2, column 16)
	// identity-based policy reads (111111111111) <nil>
}

// Decide gives the outcome alone, without allocating. Outside an organization a
// bucket's own account decides over it, and who is in another needs both sides.
func ExampleDecide() {
	identity, err := authz.Compile(policy.NewDocument(policy.Statement{
		Effect: policy.Allow, Actions: policy.Texts("s3:Get*"), Resources: policy.Texts("arn:aws:s3:::reports/*"),
	}), authz.Source{Layer: authz.LayerIdentity, Name: "reads"})
	if err != nil {
		panic(err)
	}
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.User, ARN: arn.IAM("aws", "111111111111", "user", "/", "ana")},
		Action:    "s3:GetObject", Resource: "arn:aws:s3:::reports/2026",
	}
	pols := &authz.Policies{Identity: []*authz.Policy{identity}}
	for _, owner := range []arn.AccountID{"111111111111", "222222222222"} {
		req.ResourceAccount = owner
		fmt.Println(owner, authz.Decide(req, pols, nil))
	}
	// Output:
	// 111111111111 Allowed
	// 222222222222 ImplicitDeny
}

// What changes in AWS more often than this package arrives as a value.
func ExampleDefaultFacts() {
	facts := authz.DefaultFacts()
	facts.RCPServices["newservice"] = true
	facts.Multivalued["newservice:labels"] = true
	deny, err := authz.Compile(policy.NewDocument(policy.Statement{
		Effect: policy.Deny, Principal: policy.Everyone(), Actions: policy.Texts("newservice:*"), Resources: policy.Texts("*"),
	}), authz.Source{Layer: authz.LayerRCP, Name: "NoNewService"})
	if err != nil {
		panic(err)
	}
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.Root, ARN: arn.Root("aws", "111111111111")},
		Action:    "newservice:GetThing", Resource: "arn:aws:newservice:us-east-1:111111111111:thing/x",
	}
	pols := &authz.Policies{RCPs: []authz.Level{{Node: "r-root", Policies: []*authz.Policy{deny}}}}
	fmt.Println(authz.Decide(req, pols, nil), authz.Decide(req, pols, facts))
	// Output: Unknown ExplicitDeny
}

// The message is the one that AWS's own error has.
func ExampleDecision_Message() {
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.User, ARN: arn.IAM("aws", "111111111111", "user", "/", "ana")},
		Action:    "s3:GetObject", Resource: "arn:aws:s3:::reports/2026",
	}
	d := authz.Evaluate(req, &authz.Policies{}, nil)
	fmt.Println(d.Message(req))
	fmt.Println(d.Summary())
	// Output:
	// User: arn:aws:iam::111111111111:user/ana is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::reports/2026 because no identity-based policy allows the s3:GetObject action
	// denied: no identity-based policy of user ana (111111111111) allows s3:GetObject
}
