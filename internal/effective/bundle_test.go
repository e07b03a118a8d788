package effective_test

import (
	"strings"
	"testing"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
)

const secret = "arn:aws:secretsmanager:us-east-1:222222222222:secret:db-AbCdEf"

// encrypted is full with everything that can be under the key.
func encrypted() *inventory.Inventory {
	inv := full()
	a := inv.Accounts[away]
	a.Secrets = map[string]*inventory.Secret{secret: {ARN: secret, Name: "db", KMSKey: key, KeyARN: key}}
	for _, r := range a.Resources {
		r.KMSKey = "alias/orders"
	}
	a.Resources["arn:aws:s3:::reports"].KMSKey = key
	a.Roles["runner"] = &inventory.Role{ARN: "arn:aws:iam::222222222222:role/runner", Name: "runner", ID: "AROARUNNER", Trust: statement("Allow", `{"Service":"lambda.amazonaws.com"}`, "sts:AssumeRole")}
	return inv
}

// decryptsFor limits decrypting under the key to one table, and looking at the key
// to nothing.
func decryptsFor(name, account string) func(*inventory.Inventory) {
	return func(inv *inventory.Inventory) {
		const root = `"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Resource":"*"`
		inv.Accounts[away].Keys[key].Policy = `{"Version":"2012-10-17","Statement":[{` + root + `,"Action":"kms:DescribeKey"},{` + root + `,"Action":"kms:Decrypt","Condition":{"StringEquals":{
			"kms:EncryptionContext:aws:dynamodb:tableName":"` + name + `","kms:EncryptionContext:aws:dynamodb:subscriberId":"` + account + `"}}}]}`
	}
}

func TestAskAllTakesWhatTheCallTakes(t *testing.T) {
	limit := func(condition string) func(*inventory.Inventory) {
		return func(inv *inventory.Inventory) {
			inv.Accounts[away].Keys[key].Policy = strings.Replace(inv.Accounts[away].Keys[key].Policy, `"Resource"`, `"Condition":{`+condition+`},"Resource"`, 1)
		}
	}
	const queue, topic = "arn:aws:sqs:us-east-1:222222222222:jobs", "arn:aws:sns:us-east-1:222222222222:news"
	for _, test := range []struct {
		name, action, resource string
		change                 func(inv *inventory.Inventory)
		question               func(q *effective.Question)
		want                   authz.Outcome
		actions                string // of all parts
	}{
		{"a secret takes its key", "secretsmanager:GetSecretValue", secret, nil, nil, authz.Allowed, "secretsmanager:GetSecretValue kms:Decrypt"},
		{"through Secrets Manager", "secretsmanager:GetSecretValue", secret, limit(`"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com","kms:EncryptionContext:SecretARN":"` + secret + `"}`), nil, authz.Allowed, "secretsmanager:GetSecretValue kms:Decrypt"},
		{"not through another service", "secretsmanager:GetSecretValue", secret, limit(`"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}`), nil, authz.ImplicitDeny, "secretsmanager:GetSecretValue kms:Decrypt"},
		{"the rest of the encryption context is not known", "secretsmanager:GetSecretValue", secret, limit(`"StringEquals":{"kms:EncryptionContext:SecretVersionId":"1"}`), nil, authz.Unknown, "secretsmanager:GetSecretValue kms:Decrypt"},
		{"a secret under the AWS managed key", "secretsmanager:GetSecretValue", secret, func(inv *inventory.Inventory) {
			inv.Accounts[away].Secrets[secret] = &inventory.Secret{ARN: secret, Name: "db"}
		}, nil, authz.Allowed, "secretsmanager:GetSecretValue"},
		{"describing a secret takes no key", "secretsmanager:DescribeSecret", secret, nil, nil, authz.Allowed, "secretsmanager:DescribeSecret"},
		{"a secret nobody looked for", "secretsmanager:GetSecretValue", secret, func(inv *inventory.Inventory) { inv.Accounts[away].Secrets = nil }, nil, authz.Unknown, "secretsmanager:GetSecretValue kms:Decrypt"},
		{"an object under its bucket's key", "s3:GetObject", "arn:aws:s3:::reports/a", nil, nil, authz.Allowed, "s3:GetObject kms:Decrypt"},
		{"an object's encryption context may be the bucket's", "s3:GetObject", "arn:aws:s3:::reports/a", limit(`"StringEquals":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::reports"}`), nil, authz.Unknown, "s3:GetObject kms:Decrypt"},
		{"whichever of both it is", "s3:GetObject", "arn:aws:s3:::reports/a", limit(`"StringLike":{"kms:EncryptionContext:aws:s3:arn":["arn:aws:s3:::reports","arn:aws:s3:::reports/*"]}`), nil, authz.Allowed, "s3:GetObject kms:Decrypt"},
		{"neither of both", "s3:GetObject", "arn:aws:s3:::reports/a", limit(`"StringLike":{"kms:EncryptionContext:aws:s3:arn":["arn:aws:s3:::other","arn:aws:s3:::other/*"]}`), nil, authz.ImplicitDeny, "s3:GetObject kms:Decrypt"},
		{"a bucket without a key", "s3:GetObject", "arn:aws:s3:::reports/a", func(inv *inventory.Inventory) { inv.Accounts[away].Resources["arn:aws:s3:::reports"].KMSKey = "" }, nil, authz.Allowed, "s3:GetObject"},
		{"a queue, by its key's alias", "sqs:SendMessage", queue, limit(`"StringEquals":{"kms:EncryptionContext:aws:sqs:arn":"` + queue + `"}`), nil, authz.Allowed, "sqs:SendMessage kms:Decrypt kms:GenerateDataKey"},
		{"a queue under a key that is not known", "sqs:SendMessage", queue, func(inv *inventory.Inventory) { inv.Accounts[away].Resources[queue].KMSKey = "alias/else" }, nil, authz.Unknown, "sqs:SendMessage kms:Decrypt"},
		{"a queue under the AWS managed key", "sqs:SendMessage", queue, func(inv *inventory.Inventory) { inv.Accounts[away].Resources[queue].KMSKey = "alias/aws/sqs" }, nil, authz.Allowed, "sqs:SendMessage"},
		{"a topic", "sns:Publish", topic, limit(`"StringEquals":{"kms:EncryptionContext:aws:sns:topicArn":"` + topic + `"}`), nil, authz.Allowed, "sns:Publish kms:Decrypt kms:GenerateDataKey"},
		{"a table under a key of its own", "dynamodb:GetItem", table, limit(`"ForAnyValue:StringEquals":{"aws:CalledVia":"dynamodb.amazonaws.com"}`), nil, authz.Allowed, "dynamodb:GetItem kms:Decrypt kms:DescribeKey"},
		{"a table by its name and account", "dynamodb:GetItem", table, decryptsFor("Orders", "222222222222"), nil, authz.Allowed, "dynamodb:GetItem kms:Decrypt kms:DescribeKey"},
		{"an index by its table's", "dynamodb:Query", table + "/index/i", decryptsFor("Orders", "222222222222"), nil, authz.Allowed, "dynamodb:Query kms:Decrypt kms:DescribeKey"},
		{"another table's name", "dynamodb:GetItem", table, decryptsFor("Returns", "222222222222"), nil, authz.ImplicitDeny, "dynamodb:GetItem kms:Decrypt kms:DescribeKey"},
		{"the table of another account", "dynamodb:GetItem", table, decryptsFor("Orders", "111111111111"), nil, authz.ImplicitDeny, "dynamodb:GetItem kms:Decrypt kms:DescribeKey"},
		{"an index is its table's", "dynamodb:Query", table + "/index/i", nil, nil, authz.Allowed, "dynamodb:Query kms:Decrypt kms:DescribeKey"},
		{"a role handed over", "lambda:CreateFunction", "arn:aws:lambda:us-east-1:222222222222:function:run", nil, func(q *effective.Question) { q.PassRole = "arn:aws:iam::222222222222:role/runner" }, authz.Allowed, "lambda:CreateFunction iam:PassRole sts:AssumeRole"},
		{"a role handed over that does not trust the service", "lambda:CreateFunction", "arn:aws:lambda:us-east-1:222222222222:function:run", nil, func(q *effective.Question) { q.PassRole = reader }, authz.ImplicitDeny, "lambda:CreateFunction iam:PassRole sts:AssumeRole"},
		{"a role that may be handed to another service only", "lambda:CreateFunction", "arn:aws:lambda:us-east-1:222222222222:function:run", func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["reader"].Inline["p"] = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:*","Resource":"*"},{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}}]}`
		}, func(q *effective.Question) { q.PassRole = "arn:aws:iam::222222222222:role/runner" }, authz.ImplicitDeny, "lambda:CreateFunction iam:PassRole sts:AssumeRole"},
		{"a session with tags and a source identity", "sts:AssumeRole", "arn:aws:iam::222222222222:role/runner", func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["runner"].Trust = statement("Allow", `{"AWS":"`+reader+`"}`, "sts:AssumeRole")
		}, func(q *effective.Question) {
			q.Context.Set("aws:RequestTag/team", "pay")
			q.Context.Set("sts:SourceIdentity", "alice")
		}, authz.ImplicitDeny, "sts:AssumeRole sts:TagSession sts:SetSourceIdentity"},
		{"a plain session", "sts:AssumeRole", "arn:aws:iam::222222222222:role/runner", func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["runner"].Trust = statement("Allow", `{"AWS":"`+reader+`"}`, "sts:AssumeRole")
		}, nil, authz.Allowed, "sts:AssumeRole"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := encrypted()
			if test.change != nil {
				test.change(inv)
			}
			v := effective.New(inv)
			p, _ := v.Principal(reader)
			q := effective.Question{Principal: p, Action: test.action, Resource: test.resource}
			if test.question != nil {
				test.question(&q)
			}
			b := v.AskAll(q)
			var actions []string
			for i, part := range b.Parts {
				actions = append(actions, part.Decision.Action)
				if (part.Why == "") != (i == 0) {
					t.Errorf("part %d says it is needed because %q", i, part.Why)
				}
			}
			if got := strings.Join(actions, " "); b.Outcome != test.want || got != test.actions {
				t.Errorf("AskAll = %v of %s, want %v of %s:\n%s", b.Outcome, got, test.want, test.actions, b.Text())
			}
		})
	}
}

func TestAWSManagedKeysStayInTheirAccount(t *testing.T) {
	inv := encrypted()
	inv.Accounts[away].Secrets[secret] = &inventory.Secret{ARN: secret, Name: "db", Policy: statement("Allow", `{"AWS":"111111111111"}`, "secretsmanager:GetSecretValue")}
	inv.Accounts[home].Roles["app"].Inline["p"] = allow("*")
	v := effective.New(inv)
	p, _ := v.Principal(app)
	b := v.AskAll(effective.Question{Principal: p, Action: "secretsmanager:GetSecretValue", Resource: secret})
	if b.Outcome != authz.ImplicitDeny || !b.Parts[0].Decision.Allowed() || !strings.Contains(b.Summary(), "AWS managed key cannot be used from another account") {
		t.Errorf("AskAll: %s\n%s", b.Summary(), b.Text())
	}
}
