// Package naming says what resources will be called before they are made: their
// ARNs by name, and stand-ins for what AWS makes up.
//
// Start with [Pattern.Fill]. The patterns are those of the Service Authorization
// Reference, for the resources that the importer takes over.
package naming

import (
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
)

// Pattern is an ARN, or a URL, with letters in the place of its variable parts: P is
// the partition, R the Region, A the account, N the name, H an IAM path.
type Pattern string

// Parts are what takes the letters' places; "" is not known.
type Parts struct {
	Partition, Region string
	Account           arn.AccountID
	Path, Name        string
}

// The patterns. No letter of them but the five is a capital.
const (
	Role         Pattern = "arn:P:iam::A:roleHN"
	User         Pattern = "arn:P:iam::A:userHN"
	Group        Pattern = "arn:P:iam::A:groupHN"
	Policy       Pattern = "arn:P:iam::A:policyHN"
	OIDCProvider Pattern = "arn:P:iam::A:oidc-provider/N"
	SAMLProvider Pattern = "arn:P:iam::A:saml-provider/N"
	// Secret ends in six question marks for the random characters AWS appends,
	// which is how policies name a secret that does not exist yet.
	Secret     Pattern = "arn:P:secretsmanager:R:A:secret:N-??????"
	Key        Pattern = "arn:P:kms:R:A:key/N"
	Alias      Pattern = "arn:P:kms:R:A:N"
	Bucket     Pattern = "arn:P:s3:::N"
	Queue      Pattern = "arn:P:sqs:R:A:N"
	QueueURL   Pattern = "https://sqs.R.amazonaws.com/A/N"
	Topic      Pattern = "arn:P:sns:R:A:N"
	Function   Pattern = "arn:P:lambda:R:A:function:N"
	Table      Pattern = "arn:P:dynamodb:R:A:table/N"
	Repository Pattern = "arn:P:ecr:R:A:repository/N"
	Endpoint   Pattern = "arn:P:ec2:R:A:vpc-endpoint/N"
	Cluster    Pattern = "arn:P:eks:R:A:cluster/N"
)

// Fill gives the pattern with its parts, "" when one of those it has is not known.
func (p Pattern) Fill(parts Parts) string {
	if parts.Path == "" {
		parts.Path = "/"
	}
	var b strings.Builder
	for _, c := range string(p) {
		value := string(c)
		switch c {
		case 'P':
			value = parts.Partition
		case 'R':
			value = parts.Region
		case 'A':
			value = string(parts.Account)
		case 'N':
			value = parts.Name
		case 'H':
			value = parts.Path
		}
		if value == "" {
			return ""
		}
		b.WriteString(value)
	}
	return b.String()
}

// KeyID stands for the id of the n-th key that is still to be made.
func KeyID(n int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", n) }

// EndpointID stands for the id of the n-th VPC endpoint that is still to be made.
func EndpointID(n int) string { return fmt.Sprintf("vpce-%017d", n) }

// OrgPolicyID stands for the id of the n-th organization policy that is still to
// be made.
func OrgPolicyID(n int) string { return fmt.Sprintf("p-%08d", n) }
