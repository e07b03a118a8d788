package wire_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestValidate(t *testing.T) {
	const arn = "arn:aws:iam::222222222222:role/deploy"
	cases := []struct {
		name, service, operation string
		in                       any
		code, message            string
	}{
		{"a valid input", "sts", "AssumeRole",
			&sts.AssumeRoleInput{RoleArn: aws.String(arn), RoleSessionName: aws.String("ci")}, "", ""},
		{"a session name with a slash", "sts", "AssumeRole",
			&sts.AssumeRoleInput{RoleArn: aws.String(arn), RoleSessionName: aws.String("team/ci")},
			"ValidationError", `1 validation error detected: Value 'team/ci' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`},
		{"two violations", "sts", "AssumeRole",
			&sts.AssumeRoleInput{RoleArn: aws.String(arn), DurationSeconds: aws.Int32(60)},
			"ValidationError", `2 validation errors detected: Value '60' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900; Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null`},
		{"a role name that is too long", "iam", "GetRole", &iam.GetRoleInput{RoleName: aws.String(strings.Repeat("r", 65))},
			"ValidationError", `1 validation error detected: Value '` + strings.Repeat("r", 65) + `' at 'roleName' failed to satisfy constraint: Member must have length less than or equal to 64`},
		{"a role name of other characters", "iam", "GetRole", &iam.GetRoleInput{RoleName: aws.String("a/b")},
			"ValidationError", `The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-`},
		{"a nested violation", "iam", "TagRole", &iam.TagRoleInput{RoleName: aws.String("r"), Tags: []iamtypes.Tag{
			{Key: aws.String("a"), Value: aws.String("")}, {Key: aws.String(""), Value: aws.String("x")}}},
			"ValidationError", `2 validation errors detected: Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1; Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+`},
		{"too many elements", "iam", "UntagRole", &iam.UntagRoleInput{RoleName: aws.String("r"), TagKeys: strings.Split(strings.Repeat("k ", 51), " ")[:51]},
			"ValidationError", `Member must have length less than or equal to 50`},
		{"characters, not bytes, count", "iam", "TagRole", &iam.TagRoleInput{RoleName: aws.String("r"),
			Tags: []iamtypes.Tag{{Key: aws.String("k"), Value: aws.String(strings.Repeat("é", 256))}}}, "", ""},
		{"an enum", "dynamodb", "PutItem", &dynamodb.PutItemInput{TableName: aws.String("Orders"), Item: map[string]dynamotypes.AttributeValue{}, ReturnValues: "SOME"},
			"ValidationException", `1 validation error detected: Value 'SOME' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [NONE, ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATED_NEW]`},
		{"a missing member", "secretsmanager", "GetSecretValue", &secretsmanager.GetSecretValueInput{},
			"ValidationException", `1 validation error detected: Value null at 'secretId' failed to satisfy constraint: Member must not be null`},
		{"a blob that is too long", "kms", "Encrypt", &kms.EncryptInput{KeyId: aws.String("k"), Plaintext: make([]byte, 4097)},
			"ValidationException", `1 validation error detected: Value '***' at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096`},
		{"an EKS range", "eks", "ListClusters", &eks.ListClustersInput{MaxResults: aws.Int32(101)},
			"InvalidParameterException", `Value '101' at 'maxResults'`},
		{"an Organizations pattern", "organizations", "DescribeAccount", &organizations.DescribeAccountInput{AccountId: aws.String("12345")},
			"InvalidInputException", `You provided a value that does not match the required pattern.`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			op, ok := load(t, c.service).Operation(c.operation)
			if !ok {
				t.Fatalf("no operation %s", c.operation)
			}
			e := op.Validate(c.in)
			switch {
			case c.code == "" && e != nil:
				t.Errorf("Validate = %v, want nil", e)
			case c.code != "" && (e == nil || e.Code != c.code || e.Status != 400 || !strings.Contains(e.Message, c.message)):
				t.Errorf("Validate = %v\nwant %s with %s", e, c.code, c.message)
			}
		})
	}
}

func TestOrganizationsNamesTheReason(t *testing.T) {
	op, _ := load(t, "organizations").Operation("CreateOrganizationalUnit")
	e := op.Validate(&organizations.CreateOrganizationalUnitInput{ParentId: aws.String("r-abcd"), Name: aws.String(strings.Repeat("x", 129))})
	if e == nil || e.Fields["Reason"] != "MAX_LENGTH_EXCEEDED" {
		t.Errorf("Validate = %+v, want the reason MAX_LENGTH_EXCEEDED", e)
	}
}

func TestSensitiveValuesAreNotQuoted(t *testing.T) {
	op, _ := load(t, "secretsmanager").Operation("CreateSecret")
	secret := strings.Repeat("hunter2", 10000)
	e := op.Validate(&secretsmanager.CreateSecretInput{Name: aws.String("n"), SecretString: aws.String(secret)})
	if e == nil || strings.Contains(e.Message, "hunter2") {
		t.Errorf("Validate = %.200v, want a violation without the secret", e)
	}
}

func TestLongValuesAreCut(t *testing.T) {
	op, _ := load(t, "iam").Operation("GetRole")
	e := op.Validate(&iam.GetRoleInput{RoleName: aws.String(strings.Repeat("x", 1<<20))})
	if e == nil || len(e.Message) > 8<<10 {
		t.Errorf("Validate gave a message of %d bytes, want it short", len(e.Message))
	}
}
