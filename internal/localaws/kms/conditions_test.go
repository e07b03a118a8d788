package kms_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/stile-aws/stile/internal/localaws/kms"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

// Each condition key that KMS adds to requests, in an identity policy that holds and one
// that does not.
func TestConditionKeys(t *testing.T) {
	cloud, admin := world(t)
	key := newKey(t, admin, "")
	if _, err := admin.CreateAlias(t.Context(), &awskms.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: key.KeyId}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.TagResource(t.Context(), &awskms.TagResourceInput{KeyId: key.KeyId, Tags: []types.Tag{{TagKey: aws.String("team"), TagValue: aws.String("blue")}}}); err != nil {
		t.Fatal(err)
	}
	encrypt := func(c *awskms.Client, ref string) error {
		_, err := c.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: &ref, Plaintext: []byte("x"), EncryptionContext: map[string]string{"app": "one"}})
		return err
	}
	tests := []struct{ name, holds, fails string }{
		{"request-alias", `"StringEquals":{"kms:RequestAlias":"alias/app"}`, `"StringEquals":{"kms:RequestAlias":"alias/other"}`},
		{"resource-aliases", `"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/app"}`, `"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/other"}`},
		{"context", `"StringEquals":{"kms:EncryptionContext:app":"one"}`, `"StringEquals":{"kms:EncryptionContext:app":"two"}`},
		{"context-keys", `"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["app"]}`, `"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["other"]}`},
		{"tag", `"StringEquals":{"aws:ResourceTag/team":"blue"}`, `"StringEquals":{"aws:ResourceTag/team":"red"}`},
		{"caller", `"StringEquals":{"kms:CallerAccount":"111111111111"}`, `"StringEquals":{"kms:CallerAccount":"222222222222"}`},
		{"not-via", `"Null":{"kms:ViaService":"true"}`, `"Null":{"kms:ViaService":"false"}`},
		{"algorithm", `"StringEquals":{"kms:EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}`, `"StringEquals":{"kms:EncryptionAlgorithm":"RSAES_OAEP_SHA_256"}`},
		{"spec", `"StringEquals":{"kms:KeySpec":"SYMMETRIC_DEFAULT","kms:KeyUsage":"ENCRYPT_DECRYPT","kms:KeyOrigin":"AWS_KMS"},"Bool":{"kms:MultiRegion":"false"}`, `"Bool":{"kms:MultiRegion":"true"}`},
	}
	policy := func(condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*","Condition":{` + condition + `}}]}`
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := encrypt(client(cloud.User(worldtest.A, test.name+"-y", policy(test.holds))), "alias/app"); err != nil {
				t.Error(err)
			}
			worldtest.WantError(t, encrypt(client(cloud.User(worldtest.A, test.name+"-n", policy(test.fails))), "alias/app"), "AccessDeniedException", "")
		})
	}
	byAlias := client(cloud.User(worldtest.A, "by-alias", policy(tests[0].holds)))
	worldtest.WantError(t, encrypt(byAlias, *key.Arn), "AccessDeniedException", "")
}

// A resource control policy binds the keys of its organization's accounts, also
// for callers from outside, but not those that AWS manages.
func TestResourceControlPolicies(t *testing.T) {
	cloud, admin := world(t)
	mine := newKey(t, admin, "")
	managed, err := admin.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: aws.String("alias/aws/secretsmanager")})
	if err != nil {
		t.Fatal(err)
	}
	cloud.Organize()
	denyDescribe(cloud)
	_, err = admin.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: mine.Arn})
	worldtest.WantError(t, err, "AccessDeniedException", "with an explicit deny in a resource control policy")
	if _, err := admin.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: managed.KeyMetadata.Arn}); err != nil {
		t.Errorf("the key that AWS manages: %v", err)
	}
}

func denyDescribe(cloud *worldtest.Cloud) {
	cloud.World.Lock()
	defer cloud.World.Unlock()
	org := cloud.World.Organization
	org.Enabled[store.ResourceControlPolicy] = true
	org.Policies["p-deny"] = store.NewVersioned(cloud.Clock.Now(), &store.OrgPolicy{
		ID: "p-deny", Type: store.ResourceControlPolicy, Name: "deny",
		Content: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"kms:DescribeKey","Resource":"*"}]}`,
	})
	org.Attachments[string(worldtest.A)] = store.NewVersioned(cloud.Clock.Now(), &[]string{"p-FullAWSAccess", "p-RCPFullAWSAccess", "p-deny"})
	org.Attachments[org.Root] = store.NewVersioned(cloud.Clock.Now(), &[]string{"p-FullAWSAccess", "p-RCPFullAWSAccess"})
}

func TestPolicySurvivesARestartWithItsVisibility(t *testing.T) {
	cloud, _ := world(t)
	cfg := cloud.User(worldtest.A, "keeper", worldtest.AllowAll)
	key := newKey(t, client(cfg), document(statement("Allow", user(worldtest.A, "keeper"), "kms:*", "")))
	cfg.BaseEndpoint = aws.String(cloud.Reload(t, kms.New()).URL)
	got, err := client(cfg).GetKeyPolicy(t.Context(), &awskms.GetKeyPolicyInput{KeyId: key.KeyId})
	if err != nil || *got.Policy != document(statement("Allow", user(worldtest.A, "keeper"), "kms:*", "")) {
		t.Errorf("GetKeyPolicy after a restart = %+v, %v", got, err)
	}
}
