package policy_test

import (
	"errors"
	"fmt"

	"github.com/stile-aws/stile/policy"
)

func Example() {
	doc, err := policy.Parse([]byte(`{
  "Version": "2012-10-17",
  "Statement": {"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::reports/*"}
}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	read := &doc.Statements[0]
	fmt.Println(read.Sid, read.Effect, policy.Values(read.Actions), "at line", read.Actions[0].Pos.Line)
	read.Actions = append(read.Actions, policy.Texts("s3:GetObjectTagging")...)
	fmt.Println(doc)
	// Output:
	// Read Allow [s3:GetObject] at line 3
	// {"Version":"2012-10-17","Statement":{"Sid":"Read","Effect":"Allow","Action":["s3:GetObject","s3:GetObjectTagging"],"Resource":"arn:aws:s3:::reports/*"}}
}

// Everything wrong is reported at once, each with its place and its code.
func ExampleParse() {
	_, err := policy.Parse([]byte(`{
  "Version": "2012-10-17",
  "Statement": [{"effect": "Allow", "Action": [], "Resource": "*"}]
}`))
	var errs policy.Errors
	if errors.As(err, &errs) {
		for _, e := range errs {
			fmt.Println(e.Code, e)
		}
	}
	// Output:
	// missing-element 3:17: the statement has no Effect (write "Effect": "Allow" or "Deny")
	// unknown-element 3:18: unknown element "effect" in a statement (did you mean "Effect"?)
	// missing-element 3:47: Action is an empty list
}

// What a document may contain depends on what it is used as.
func ExampleValidate() {
	doc := policy.NewDocument(policy.Statement{
		Effect: policy.Allow, Principal: policy.AWS("arn:aws:iam::111111111111:role/*"), Actions: policy.Texts("sts:AsumeRole"),
	})
	for _, e := range policy.Validate(doc, policy.Trust) {
		fmt.Println(e.Code, e)
	}
	// Output:
	// principal principal "arn:aws:iam::111111111111:role/*" has a wildcard, which principals cannot have (name the account, and narrow it by a condition: "ArnLike": {"aws:PrincipalArn": …})
	// action a trust policy cannot grant "sts:AsumeRole" (did you mean "sts:AssumeRole"?)
}

// AWS gives one message for all that is wrong.
func ExampleErrors_AWS() {
	_, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Resource":"*"}}`))
	if errs, ok := errors.AsType[policy.Errors](err); ok {
		fmt.Println(errs.AWS(policy.Managed))
		fmt.Println(errs.AWS(policy.Trust))
	}
	// Output:
	// Policy statement must contain actions.
	// Missing required field Action
}

// Policies inside other documents keep their places there.
func ExampleParseNode() {
	root, err := policy.ParseNode([]byte(`{"PolicyDocument":
  {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	doc, err := policy.Decode(root.Members[0].Value)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(doc.Statements[0].Actions[0].Pos.Line, doc)
	// Output: 2 {"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}
}

// Readers of other notations build the tree themselves.
func ExampleDecode() {
	text := func(s string) policy.Node { return policy.Node{Kind: policy.StringNode, Text: s} }
	doc, err := policy.Decode(policy.Node{Kind: policy.ObjectNode, Members: []policy.Member{
		{Name: "Statement", Value: policy.Node{Kind: policy.ObjectNode, Members: []policy.Member{
			{Name: "Effect", Value: text("Deny")}, {Name: "Action", Value: text("*")}, {Name: "Resource", Value: text("*")},
		}}},
	}})
	fmt.Println(doc, err)
	// Output: {"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}} <nil>
}

func ExampleNewDocument() {
	doc := policy.NewDocument(policy.Statement{
		Effect:    policy.Allow,
		Principal: policy.ServicePrincipal("ec2.amazonaws.com"),
		Actions:   policy.Texts("sts:AssumeRole"),
		Conditions: []policy.Condition{
			policy.Cond("StringEquals", "aws:SourceAccount", "111111111111"),
		},
	})
	fmt.Printf("%s\n", doc.Indent())
	// Output:
	// {
	//   "Version": "2012-10-17",
	//   "Statement": [
	//     {
	//       "Effect": "Allow",
	//       "Principal": {
	//         "Service": "ec2.amazonaws.com"
	//       },
	//       "Action": "sts:AssumeRole",
	//       "Condition": {
	//         "StringEquals": {
	//           "aws:SourceAccount": "111111111111"
	//         }
	//       }
	//     }
	//   ]
	// }
}

// Equal documents say the same in another order or spelling.
func ExampleEqual() {
	written := policy.NewDocument(policy.Statement{
		Effect: policy.Allow, Principal: policy.AWS("111111111111"), Actions: policy.Texts("s3:GetObject", "s3:ListBucket"), Resources: policy.Texts("*"),
	})
	stored, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Resource":["*"],
		"Action":["s3:listbucket","s3:GetObject"],"Principal":{"AWS":"arn:aws:iam::111111111111:root"}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(policy.Equal(written, stored))
	stored.Statements[0].Sid = "Named"
	fmt.Println(policy.Equal(written, stored), policy.SameGrants(written, stored))
	// Output:
	// true
	// false true
}

// SameGrants looks past Sids, which say nothing about access.
func ExampleSameGrants() {
	statement := policy.Statement{Effect: policy.Deny, Actions: policy.Texts("iam:*"), Resources: policy.Texts("*")}
	named := statement
	named.Sid = "NoIAM"
	fmt.Println(policy.SameGrants(policy.NewDocument(statement), policy.NewDocument(named)))
	// Output: true
}

// The canonical text is what to keep a digest of.
func ExampleCanonical() {
	fmt.Println(policy.Canonical(policy.NewDocument(policy.Statement{
		Effect: policy.Allow, Actions: policy.Texts("S3:PutObject", "s3:GetObject", "s3:getobject"), Resources: policy.Texts("*"),
	})))
	// Output: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:getobject","s3:putobject"],"Resource":"*"}]}
}

// Merge replaces the statements that have a Sid of ours and leaves all others alone.
func ExampleDocument_Merge() {
	theirs := policy.Statement{Sid: "Theirs", Effect: policy.Deny, Actions: policy.Texts("s3:*"), Resources: policy.Texts("*")}
	ours := policy.Statement{Sid: "Ours", Effect: policy.Allow, Actions: policy.Texts("s3:Get*"), Resources: policy.Texts("*")}
	before := policy.NewDocument(ours, theirs)
	ours.Actions = policy.Texts("s3:GetObject")
	after := before.Merge(ours)
	for _, st := range after.Statements {
		fmt.Println(st.Sid, policy.Values(st.Actions))
	}
	found, ok := after.FindSid("Ours")
	fmt.Println(found.Effect, ok)
	fmt.Println(len(after.WithoutSid("Ours").Statements))
	// Output:
	// Ours [s3:GetObject]
	// Theirs [s3:*]
	// Allow true
	// 1
}

// White space does not count against IAM's quotas.
func ExampleSize() {
	fmt.Println(policy.Size("{ \"Version\": \"2012-10-17\" }"))
	// Output: 24
}

func ExampleSplitOperator() {
	op := policy.SplitOperator("ForAnyValue:StringNotLikeIfExists")
	fmt.Println(op.Set, op.Base, op.IfExists, op.Known(), op.Negated())
	fmt.Println(policy.SplitOperator("StringEqual").Known())
	// Output:
	// ForAnyValue StringNotLike true true true
	// false
}

func ExampleOperators() {
	fmt.Println(len(policy.Operators()), policy.Operators()[0])
	// Output: 27 StringEquals
}

func ExampleGlob() {
	fmt.Println(policy.Glob("s3:Get*", "s3:GetObject"), policy.Glob("s3:Get?", "s3:GetObject"))
	// Output: true false
}

func ExampleClosest() {
	known := []string{"Action", "NotAction", "Resource"}
	fmt.Printf("%q %q\n", policy.Closest("Acton", known), policy.Closest("Description", known))
	// Output: "Action" ""
}

func ExampleIsDate() {
	fmt.Println(policy.IsDate("2027-01-31T00:00:00Z"), policy.IsDate("1801353600"), policy.IsDate("tomorrow"))
	// Output: true true false
}

func ExampleIsUniqueID() {
	fmt.Println(policy.IsUniqueID("AIDAEXAMPLEEXAMPLE123"), policy.IsUniqueID("arn:aws:iam::111111111111:user/ana"))
	// Output: true false
}

func ExampleIsPartition() {
	fmt.Println(policy.IsPartition("aws-us-gov"), policy.IsPartition("awz"))
	// Output: true false
}
