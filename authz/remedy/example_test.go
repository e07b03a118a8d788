package remedy_test

import (
	"fmt"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/authz/remedy"
	"github.com/stile-aws/stile/policy"
)

// A role of one account reads a secret of another: each side has to say so.
func ExampleAllow() {
	req := &authz.Request{
		Principal: authz.Principal{
			Kind: authz.RoleSession, ARN: arn.SessionARN("aws", "111111111111", "payroll", "pod"), Entity: arn.IAM("aws", "111111111111", "role", "/", "payroll"),
		},
		Action:   "secretsmanager:GetSecretValue",
		Resource: "arn:aws:secretsmanager:us-east-1:222222222222:secret:db-AbCdEf",
	}
	changes, err := remedy.Allow(req, &authz.Policies{}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range changes[0].Edits {
		fmt.Println(&e)
		fmt.Println(&e.After[0])
	}
	fmt.Println(changes[0].Decision.Outcome)
	// Output:
	// make a new identity-based policy in role/payroll (111111111111)
	// {"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:us-east-1:222222222222:secret:db-AbCdEf"}
	// make a new resource-based policy of arn:aws:secretsmanager:us-east-1:222222222222:secret:db-AbCdEf (222222222222)
	// {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/payroll"},"Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:us-east-1:222222222222:secret:db-AbCdEf"}
	// Allowed
}

// One action is taken out of a statement that allows several.
func ExampleClose() {
	doc, _ := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b/x"}}`))
	p, _ := authz.Compile(doc, authz.Source{Layer: authz.LayerIdentity, Account: "111111111111", Name: "user/ann inline policy files"})
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.User, ARN: arn.IAM("aws", "111111111111", "user", "/", "ann")},
		Action:    "s3:PutObject", Resource: "arn:aws:s3:::b/x",
	}
	changes, err := remedy.Close(req, &authz.Policies{Identity: []*authz.Policy{p}}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(&changes[0])
	fmt.Println(changes[0].Edits[0].Result)
	fmt.Println(changes[0].Decision.Summary())
	// Output:
	// alter statement 1 of identity-based policy user/ann inline policy files (111111111111)
	// {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/x"}]}
	// denied: no identity-based policy of user ann (111111111111) allows s3:PutObject
}
