package arn_test

import (
	"errors"
	"fmt"

	"github.com/stile-aws/stile/arn"
)

func Example() {
	a, err := arn.Parse("arn:aws:iam::111111111111:role/ci/deploy")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.Account, a.Type(), a.Path(), a.Name())
	// Output: 111111111111 role /ci/ deploy
}

// Errors say what was parsed and what is wrong with it.
func ExampleParse() {
	for _, s := range []string{"arn:aws:s3:::reports/2026/a:b", "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy", "deploy"} {
		a, err := arn.Parse(s)
		if errors.Is(err, arn.ErrMalformed) {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%s: account %q, owner %q, resource %q\n", a.Service, a.Account, a.Owner, a.Resource)
	}
	// Output:
	// s3: account "", owner "", resource "reports/2026/a:b"
	// eks: account "", owner "aws", resource "cluster-access-policy/AmazonEKSViewPolicy"
	// parsing ARN "deploy": malformed: it must begin with "arn:"
}

func ExampleParseAccountID() {
	id, err := arn.ParseAccountID("012345678901")
	fmt.Println(id, err)
	_, err = arn.ParseAccountID("12345678901") // what is left when YAML reads a number
	fmt.Println(err)
	// Output:
	// 012345678901 <nil>
	// parsing account id "12345678901": malformed: want exactly 12 digits
}

func ExampleIs() {
	fmt.Println(arn.Is("arn:aws:s3:::reports"), arn.Is("reports"))
	// Output: true false
}

func ExampleARN_Name() {
	for _, s := range []string{
		"arn:aws:iam::111111111111:role/ci/deploy",
		"arn:aws:secretsmanager:us-east-1:111111111111:secret:db/password-AbCdEf",
		"arn:aws:sqs:us-east-1:111111111111:orders",
	} {
		a, err := arn.Parse(s)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%q %q\n", a.Type(), a.Name())
	}
	// Output:
	// "role" "deploy"
	// "secret" "db/password-AbCdEf"
	// "" "orders"
}

// A session's ARN does not have the path of its role.
func ExampleARN_RoleSession() {
	a := arn.SessionARN("aws", "111111111111", "deploy", "build-7")
	role, session, ok := a.RoleSession()
	fmt.Println(a)
	fmt.Println(role, session, ok)
	// Output:
	// arn:aws:sts::111111111111:assumed-role/deploy/build-7
	// deploy build-7 true
}

func ExampleIAM() {
	fmt.Println(arn.IAM("aws", "111111111111", "role", "/ci/", "deploy"))
	fmt.Println(arn.IAM("aws-cn", "111111111111", "user", "", "ana"))
	// Output:
	// arn:aws:iam::111111111111:role/ci/deploy
	// arn:aws-cn:iam::111111111111:user/ana
}

func ExampleRoot() {
	fmt.Println(arn.Root("aws", "111111111111"))
	// Output: arn:aws:iam::111111111111:root
}

func ExampleSessionARN() {
	fmt.Println(arn.SessionARN("aws", "111111111111", "deploy", "build-7"))
	// Output: arn:aws:sts::111111111111:assumed-role/deploy/build-7
}

func ExampleOIDCProvider() {
	fmt.Println(arn.OIDCProvider("aws", "111111111111", "token.actions.githubusercontent.com"))
	// Output: arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com
}

// In a policy, an id is what AWS shows in place of the ARN of somebody who was deleted.
func ExampleIsUniqueID() {
	fmt.Println(arn.IsUniqueID("AROAEXAMPLEEXAMPLE123"), arn.IsUniqueID("111111111111"))
	// Output: true false
}
