package hostile_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// belongings are what tooling has, by kind.
func (t *target) belongings(tb testing.TB) map[string]string {
	tb.Helper()
	ctx, cfg := tb.Context(), t.admin(tooling)
	i := iam.NewFromConfig(cfg)
	own := map[string]string{"cluster": "arn:aws:eks:us-east-1:111111111111:cluster/ci", "user": "arn:aws:iam::111111111111:user/Administrator"}
	note := func(kind string, arn *string, err error) {
		if err != nil {
			tb.Fatalf("making %s: %v", kind, err)
		}
		own[kind] = aws.ToString(arn)
	}
	closed := aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/Administrator"},"Action":"sts:AssumeRole"}}`)
	role, err := i.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("closed"), AssumeRolePolicyDocument: closed})
	if err != nil {
		tb.Fatal(err)
	}
	note("role", role.Role.Arn, nil)
	policy, err := i.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("policy"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)})
	if err != nil {
		tb.Fatal(err)
	}
	note("policy", policy.Policy.Arn, nil)
	provider, err := i.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://example.com"), ClientIDList: []string{"a"}})
	if err != nil {
		tb.Fatal(err)
	}
	note("provider", provider.OpenIDConnectProviderArn, nil)
	key, err := kms.NewFromConfig(cfg).CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		tb.Fatal(err)
	}
	note("key", key.KeyMetadata.Arn, nil)
	secret, err := secretsmanager.NewFromConfig(cfg).CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("Own"), SecretString: aws.String("tooling's secret")})
	if err != nil {
		tb.Fatal(err)
	}
	note("secret", secret.ARN, nil)
	table, err := dynamodb.NewFromConfig(cfg).CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("Own"), BillingMode: ddbtypes.BillingModePayPerRequest,
		AttributeDefinitions: []ddbtypes.AttributeDefinition{{AttributeName: aws.String("K"), AttributeType: ddbtypes.ScalarAttributeTypeS}},
		KeySchema:            []ddbtypes.KeySchemaElement{{AttributeName: aws.String("K"), KeyType: ddbtypes.KeyTypeHash}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	note("table", table.TableDescription.TableArn, nil)
	return own
}

// TestAdministratorsEndAtTheBorder lets the administrator of orders, who may do
// everything there, try everything that takes an ARN on what tooling has.
func TestAdministratorsEndAtTheBorder(t *testing.T) {
	t.Parallel()
	srv := newTarget(t, nil)
	own := srv.belongings(t)
	before := srv.accountText(t, string(tooling))
	all := operations(t)
	for _, c := range []struct{ service, operation, body string }{
		{"sts", "AssumeRole", "RoleArn={role}&RoleSessionName=s"},
		{"iam", "GetPolicy", "PolicyArn={policy}"}, {"iam", "GetPolicyVersion", "PolicyArn={policy}&VersionId=v1"}, {"iam", "DeletePolicy", "PolicyArn={policy}"},
		{"iam", "ListPolicyVersions", "PolicyArn={policy}"}, {"iam", "ListEntitiesForPolicy", "PolicyArn={policy}"}, {"iam", "TagPolicy", "PolicyArn={policy}&Tags.member.1.Key=a&Tags.member.1.Value=b"},
		{"iam", "CreatePolicyVersion", "PolicyArn={policy}&SetAsDefault=true&PolicyDocument=" + url.QueryEscape(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)},
		{"iam", "SetDefaultPolicyVersion", "PolicyArn={policy}&VersionId=v1"}, {"iam", "AttachRolePolicy", "RoleName=pod&PolicyArn={policy}"},
		{"iam", "PutRolePermissionsBoundary", "RoleName=pod&PermissionsBoundary={policy}"},
		{"iam", "GetOpenIDConnectProvider", "OpenIDConnectProviderArn={provider}"}, {"iam", "DeleteOpenIDConnectProvider", "OpenIDConnectProviderArn={provider}"},
		{"iam", "AddClientIDToOpenIDConnectProvider", "OpenIDConnectProviderArn={provider}&ClientID=evil"},
		{"iam", "UpdateOpenIDConnectProviderThumbprint", "OpenIDConnectProviderArn={provider}&ThumbprintList.member.1=" + strings.Repeat("a", 40)},
		{"iam", "TagOpenIDConnectProvider", "OpenIDConnectProviderArn={provider}&Tags.member.1.Key=a&Tags.member.1.Value=b"},
		{"iam", "GetRole", "RoleName=closed"}, {"iam", "GetRole", "RoleName={role}"}, {"iam", "DeleteRole", "RoleName=closed"},
		{"kms", "DescribeKey", `{"KeyId":"{key}"}`}, {"kms", "GetKeyPolicy", `{"KeyId":"{key}","PolicyName":"default"}`},
		{"kms", "PutKeyPolicy", `{"KeyId":"{key}","PolicyName":"default","BypassPolicyLockoutSafetyCheck":true,"Policy":"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"kms:*\",\"Resource\":\"*\"}}"}`},
		{"kms", "Encrypt", `{"KeyId":"{key}","Plaintext":"AAAA"}`}, {"kms", "GenerateDataKey", `{"KeyId":"{key}","KeySpec":"AES_256"}`}, {"kms", "DisableKey", `{"KeyId":"{key}"}`},
		{"kms", "ScheduleKeyDeletion", `{"KeyId":"{key}"}`}, {"kms", "CreateAlias", `{"AliasName":"alias/mine","TargetKeyId":"{key}"}`}, {"kms", "TagResource", `{"KeyId":"{key}","Tags":[{"TagKey":"a","TagValue":"b"}]}`},
		{"kms", "CreateGrant", `{"KeyId":"{key}","GranteePrincipal":"arn:aws:iam::222222222222:user/Administrator","Operations":["Decrypt"]}`}, {"kms", "ListGrants", `{"KeyId":"{key}"}`},
		{"kms", "ListResourceTags", `{"KeyId":"{key}"}`}, {"kms", "UpdateKeyDescription", `{"KeyId":"{key}","Description":"mine"}`},
		{"secretsmanager", "GetSecretValue", `{"SecretId":"{secret}"}`}, {"secretsmanager", "DescribeSecret", `{"SecretId":"{secret}"}`}, {"secretsmanager", "DeleteSecret", `{"SecretId":"{secret}","ForceDeleteWithoutRecovery":true}`},
		{"secretsmanager", "PutSecretValue", `{"SecretId":"{secret}","SecretString":"mine","ClientRequestToken":"00000000-0000-0000-0000-000000000009"}`},
		{"secretsmanager", "UpdateSecret", `{"SecretId":"{secret}","SecretString":"mine","ClientRequestToken":"00000000-0000-0000-0000-000000000009"}`},
		{"secretsmanager", "PutResourcePolicy", `{"SecretId":"{secret}","ResourcePolicy":"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\"}}"}`},
		{"secretsmanager", "GetResourcePolicy", `{"SecretId":"{secret}"}`}, {"secretsmanager", "DeleteResourcePolicy", `{"SecretId":"{secret}"}`}, {"secretsmanager", "ListSecretVersionIds", `{"SecretId":"{secret}"}`},
		{"secretsmanager", "TagResource", `{"SecretId":"{secret}","Tags":[{"Key":"a","Value":"b"}]}`}, {"secretsmanager", "RestoreSecret", `{"SecretId":"{secret}"}`},
		{"dynamodb", "DescribeTable", `{"TableName":"{table}"}`}, {"dynamodb", "GetItem", `{"TableName":"{table}","Key":{"K":{"S":"a"}}}`}, {"dynamodb", "PutItem", `{"TableName":"{table}","Item":{"K":{"S":"a"}}}`},
		{"dynamodb", "Scan", `{"TableName":"{table}"}`}, {"dynamodb", "Query", `{"TableName":"{table}","KeyConditionExpression":"K = :k","ExpressionAttributeValues":{":k":{"S":"a"}}}`},
		{"dynamodb", "DeleteItem", `{"TableName":"{table}","Key":{"K":{"S":"a"}}}`}, {"dynamodb", "UpdateItem", `{"TableName":"{table}","Key":{"K":{"S":"a"}}}`}, {"dynamodb", "DeleteTable", `{"TableName":"{table}"}`},
		{"dynamodb", "BatchGetItem", `{"RequestItems":{"{table}":{"Keys":[{"K":{"S":"a"}}]}}}`}, {"dynamodb", "BatchWriteItem", `{"RequestItems":{"{table}":[{"PutRequest":{"Item":{"K":{"S":"a"}}}}]}}`},
		{"dynamodb", "PutResourcePolicy", `{"ResourceArn":"{table}","Policy":"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\"}}"}`},
		{"dynamodb", "TagResource", `{"ResourceArn":"{table}","Tags":[{"Key":"a","Value":"b"}]}`}, {"dynamodb", "ListTagsOfResource", `{"ResourceArn":"{table}"}`},
		{"organizations", "CreatePolicy", `{"Name":"p","Description":"","Type":"SERVICE_CONTROL_POLICY","Content":"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}}"}`},
		{"organizations", "CreateAccount", `{"AccountName":"mine","Email":"a@example.com"}`}, {"organizations", "ListAccounts", `{}`}, {"organizations", "ListRoots", `{}`}, {"organizations", "DeleteOrganization", `{}`},
		{"organizations", "RemoveAccountFromOrganization", `{"AccountId":"111111111111"}`},
	} {
		t.Run(c.service+"."+c.operation, func(t *testing.T) {
			data, err := srv.signedCall(all[operationNumber(t, all, c.service, c.operation)], "/", fill(c.body, own), orders)
			if err != nil {
				t.Fatal(err)
			}
			answer := srv.raw(t, data)
			// Deleting a provider that is not there succeeds (IAM API reference); what
			// counts is that tooling keeps its own.
			idempotent := c.operation == "DeleteOpenIDConnectProvider"
			if got := status(answer); got < 400 && !idempotent || strings.Contains(answer, "tooling's secret") {
				t.Errorf("status %d: %.400s", got, answer)
			}
		})
	}
	for _, path := range []string{"/tags/{cluster}", "/clusters/ci", "/clusters/{cluster}"} { // restMethods by the operation's length
		for _, op := range []string{"TagResource", "ListClusters", "DeleteCluster", "DescribeCluster", "CreateAccessEntry"} {
			path := strings.ReplaceAll(path, "{cluster}", url.PathEscape(own["cluster"]))
			data, err := srv.signedCall(all[operationNumber(t, all, "eks", op)], path+"?tagKeys=a", `{"tags":{"a":"b"}}`, orders)
			if err != nil {
				t.Fatal(err)
			}
			if got := status(srv.raw(t, data)); got < 400 {
				t.Errorf("EKS %s: status %d", path, got)
			}
		}
	}
	if after := srv.accountText(t, string(tooling)); after != before {
		t.Errorf("tooling has changed:\n%s\nbefore:\n%s", after, before)
	}
}

func fill(body string, own map[string]string) string {
	for kind, arn := range own {
		body = strings.ReplaceAll(body, "{"+kind+"}", arn)
	}
	return body
}

// accountText is everything an account has.
func (t *target) accountText(tb testing.TB, account string) string {
	tb.Helper()
	text, err := t.World().Dump()
	if err != nil {
		tb.Fatal(err)
	}
	var state struct {
		Accounts map[string]json.RawMessage `json:"accounts"`
	}
	if err := json.Unmarshal(text, &state); err != nil {
		tb.Fatal(err)
	}
	return string(state.Accounts[account])
}

// TestSessionTokensCannotBeMade changes the token and the key of a real session.
func TestSessionTokensCannotBeMade(t *testing.T) {
	t.Parallel()
	srv := newTarget(t, nil)
	srv.belongings(t)
	assume := func(name string) *ststypes.Credentials {
		out, err := sts.NewFromConfig(srv.admin(tooling)).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111111111111:role/closed"), RoleSessionName: &name})
		if err != nil {
			t.Fatal(err)
		}
		return out.Credentials
	}
	one, two := assume("one"), assume("two")
	id, secret, _ := srv.Administrator(tooling)
	keys := aws.Credentials{AccessKeyID: *one.AccessKeyId, SecretAccessKey: *one.SecretAccessKey, SessionToken: *one.SessionToken}
	token := keys.SessionToken
	with := func(change func(c *aws.Credentials)) aws.Credentials {
		c := keys
		change(&c)
		return c
	}
	if got, answer := srv.whoami(t, keys); got != http.StatusOK || !strings.Contains(answer, "assumed-role/closed/one") {
		t.Fatalf("control: the session itself: %d %s", got, answer)
	}
	for name, c := range map[string]aws.Credentials{
		"without the token":                  with(func(c *aws.Credentials) { c.SessionToken = "" }),
		"with another session's token":       with(func(c *aws.Credentials) { c.SessionToken = *two.SessionToken }),
		"with another session's key":         with(func(c *aws.Credentials) { c.AccessKeyID = *two.AccessKeyId }),
		"with another session's secret":      with(func(c *aws.Credentials) { c.SecretAccessKey = *two.SecretAccessKey }),
		"with the token in capitals":         with(func(c *aws.Credentials) { c.SessionToken = strings.ToUpper(token) }),
		"with half the token":                with(func(c *aws.Credentials) { c.SessionToken = token[:len(token)/2] }),
		"with the token twice":               with(func(c *aws.Credentials) { c.SessionToken = token + token }),
		"with a token of noise":              with(func(c *aws.Credentials) { c.SessionToken = strings.Repeat("A", len(token)) }),
		"with a token that is long":          with(func(c *aws.Credentials) { c.SessionToken = strings.Repeat("A", 200_000) }),
		"with a user's key and the token":    {AccessKeyID: id, SecretAccessKey: secret, SessionToken: token},
		"with a user's key and the secret":   {AccessKeyID: id, SecretAccessKey: *one.SecretAccessKey},
		"with the secret of nothing":         with(func(c *aws.Credentials) { c.SecretAccessKey = "" }),
		"with the session's key as a user's": {AccessKeyID: strings.Replace(*one.AccessKeyId, "ASIA", "AKIA", 1), SecretAccessKey: *one.SecretAccessKey},
	} {
		if got, answer := srv.whoami(t, c); got < 400 {
			t.Errorf("%s: status %d: %s", name, got, answer)
		}
	}
	for i := range len(token) { // every character
		changed := []byte(token)
		changed[i] ^= 1
		if changed[i] < '!' || changed[i] > '~' {
			continue
		}
		if got, answer := srv.whoami(t, with(func(c *aws.Credentials) { c.SessionToken = string(changed) })); got < 400 {
			t.Errorf("with character %d changed: status %d: %s", i, got, answer)
		}
	}
	srv.report(t)
}

// whoami calls GetCallerIdentity with any credentials.
func (t *target) whoami(tb testing.TB, keys aws.Credentials) (int, string) {
	tb.Helper()
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	r := &http.Request{Method: http.MethodPost, Host: "sts.us-east-1.amazonaws.com", Header: http.Header{}, URL: &url.URL{Scheme: "http", Host: "sts.us-east-1.amazonaws.com", Path: "/"}}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.ContentLength = int64(len(body))
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(tb.Context(), keys, r, hex.EncodeToString(sum[:]), "sts", region, epoch); err != nil {
		tb.Fatal(err)
	}
	answer := t.raw(tb, wireBytes(r, []byte(body)))
	return status(answer), answer
}
