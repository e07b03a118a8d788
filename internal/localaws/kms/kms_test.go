package kms_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/kms"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

func client(cfg aws.Config) *awskms.Client { return awskms.NewFromConfig(cfg) }

// world has one administrator in account A.
func world(t *testing.T) (*worldtest.Cloud, *awskms.Client) {
	t.Helper()
	cloud := worldtest.New(t, kms.New())
	return cloud, client(cloud.User(worldtest.A, "admin", worldtest.AllowAll))
}

func newKey(t *testing.T, c *awskms.Client, policy string) *types.KeyMetadata {
	t.Helper()
	in := &awskms.CreateKeyInput{}
	if policy != "" {
		in.Policy, in.BypassPolicyLockoutSafetyCheck = &policy, true
	}
	out, err := c.CreateKey(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.KeyMetadata
}

func statement(effect, principal, action, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return fmt.Sprintf(`{"Effect":%q,"Principal":{"AWS":%q},"Action":%q,"Resource":"*"%s}`, effect, principal, action, condition)
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func allow(actions, resource string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%s,"Resource":%q}]}`, actions, resource)
}

func root(id arn.AccountID) string { return "arn:aws:iam::" + string(id) + ":root" }
func user(id arn.AccountID, name string) string {
	return "arn:aws:iam::" + string(id) + ":user/" + name
}

func TestEncryptionContextIsBoundToTheCiphertext(t *testing.T) {
	_, c := world(t)
	key := newKey(t, c, "")
	context := map[string]string{"purpose": "test", "team": "blue"}
	sealed, err := c.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("hello"), EncryptionContext: context})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed.CiphertextBlob, []byte("hello")) {
		t.Error("the ciphertext has the plaintext in it")
	}
	opened, err := c.Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: context})
	if err != nil {
		t.Fatal(err)
	}
	if string(opened.Plaintext) != "hello" || *opened.KeyId != *key.Arn {
		t.Errorf("Decrypt = %q under %s, want hello under %s", opened.Plaintext, *opened.KeyId, *key.Arn)
	}
	for name, wrong := range map[string]map[string]string{
		"none": nil, "other value": {"purpose": "test", "team": "red"}, "moved": {"purpose": "testteam", "": "blue"},
	} {
		_, err := c.Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: wrong})
		if err == nil {
			t.Errorf("Decrypt with context %s succeeded", name)
			continue
		}
		worldtest.WantError(t, err, "InvalidCiphertextException", "")
	}
	tampered := bytes.Clone(sealed.CiphertextBlob)
	tampered[len(tampered)-1] ^= 1
	_, err = c.Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: tampered, EncryptionContext: context})
	worldtest.WantError(t, err, "InvalidCiphertextException", "")
	_, err = c.Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: []byte("nonsense")})
	worldtest.WantError(t, err, "InvalidCiphertextException", "")
}

func TestDecryptWithAnotherKeyIsRefused(t *testing.T) {
	_, c := world(t)
	one, two := newKey(t, c, ""), newKey(t, c, "")
	sealed, err := c.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: one.Arn, Plaintext: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, KeyId: two.KeyId})
	worldtest.WantError(t, err, "IncorrectKeyException", "")
	moved, err := c.ReEncrypt(t.Context(), &awskms.ReEncryptInput{CiphertextBlob: sealed.CiphertextBlob, DestinationKeyId: two.KeyId})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := c.Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: moved.CiphertextBlob, KeyId: two.KeyId})
	if err != nil || string(opened.Plaintext) != "x" {
		t.Errorf("Decrypt after ReEncrypt: %v", err)
	}
}

func TestDataKeys(t *testing.T) {
	_, c := world(t)
	key := newKey(t, c, "")
	made, err := c.GenerateDataKey(t.Context(), &awskms.GenerateDataKeyInput{KeyId: key.KeyId, KeySpec: types.DataKeySpecAes256})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := c.Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: made.CiphertextBlob})
	if err != nil || !bytes.Equal(opened.Plaintext, made.Plaintext) || len(made.Plaintext) != 32 {
		t.Errorf("the data key of %d bytes does not come back: %v", len(made.Plaintext), err)
	}
	if _, err := c.GenerateDataKeyWithoutPlaintext(t.Context(), &awskms.GenerateDataKeyWithoutPlaintextInput{KeyId: key.KeyId, NumberOfBytes: aws.Int32(64)}); err != nil {
		t.Error(err)
	}
	_, err = c.GenerateDataKey(t.Context(), &awskms.GenerateDataKeyInput{KeyId: key.KeyId})
	worldtest.WantError(t, err, "ValidationException", "either number of bytes or key spec")
	_, err = c.GenerateDataKey(t.Context(), &awskms.GenerateDataKeyInput{KeyId: key.KeyId, KeySpec: types.DataKeySpecAes128, DryRun: aws.Bool(true)})
	worldtest.WantError(t, err, "DryRunOperationException", "")
	if random, err := c.GenerateRandom(t.Context(), &awskms.GenerateRandomInput{NumberOfBytes: aws.Int32(17)}); err != nil || len(random.Plaintext) != 17 {
		t.Errorf("GenerateRandom: %v", err)
	}
}

func TestKeyStates(t *testing.T) {
	cloud, c := world(t)
	key := newKey(t, c, "")
	encrypt := func() error {
		_, err := c.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
		return err
	}
	if _, err := c.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: key.KeyId}); err != nil {
		t.Fatal(err)
	}
	worldtest.WantError(t, encrypt(), "DisabledException", *key.Arn+" is disabled.")
	_, err := c.ScheduleKeyDeletion(t.Context(), &awskms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: aws.Int32(6)})
	worldtest.WantError(t, err, "ValidationException", "")
	gone, err := c.ScheduleKeyDeletion(t.Context(), &awskms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: aws.Int32(7)})
	if err != nil {
		t.Fatal(err)
	}
	if want := cloud.Clock.Now().Add(7 * 24 * time.Hour); !gone.DeletionDate.Equal(want) {
		t.Errorf("DeletionDate = %s, want %s", gone.DeletionDate, want)
	}
	worldtest.WantError(t, encrypt(), "KMSInvalidStateException", "is pending deletion.")
	_, err = c.EnableKey(t.Context(), &awskms.EnableKeyInput{KeyId: key.KeyId})
	worldtest.WantError(t, err, "KMSInvalidStateException", "is pending deletion.")
	if _, err := c.CancelKeyDeletion(t.Context(), &awskms.CancelKeyDeletionInput{KeyId: key.KeyId}); err != nil {
		t.Fatal(err)
	}
	worldtest.WantError(t, encrypt(), "DisabledException", "")
	if _, err := c.EnableKey(t.Context(), &awskms.EnableKeyInput{KeyId: key.KeyId}); err != nil {
		t.Fatal(err)
	}
	if err := encrypt(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ScheduleKeyDeletion(t.Context(), &awskms.ScheduleKeyDeletionInput{KeyId: key.KeyId}); err != nil {
		t.Fatal(err)
	}
	cloud.Clock.Advance(31 * 24 * time.Hour)
	_, err = c.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: key.KeyId})
	worldtest.WantError(t, err, "NotFoundException", "Key '"+*key.Arn+"' does not exist")
}

func TestRotation(t *testing.T) {
	cloud, c := world(t)
	key := newKey(t, c, "")
	status := func() *awskms.GetKeyRotationStatusOutput {
		out, err := c.GetKeyRotationStatus(t.Context(), &awskms.GetKeyRotationStatusInput{KeyId: key.KeyId})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if status().KeyRotationEnabled {
		t.Error("rotation is on for a new key")
	}
	if _, err := c.EnableKeyRotation(t.Context(), &awskms.EnableKeyRotationInput{KeyId: key.KeyId}); err != nil {
		t.Fatal(err)
	}
	cloud.Clock.Advance(400 * 24 * time.Hour)
	got := status()
	if !got.KeyRotationEnabled || *got.RotationPeriodInDays != 365 || !got.NextRotationDate.After(cloud.Clock.Now()) {
		t.Errorf("GetKeyRotationStatus = %+v", got)
	}
	if _, err := c.DisableKeyRotation(t.Context(), &awskms.DisableKeyRotationInput{KeyId: key.KeyId}); err != nil || status().KeyRotationEnabled {
		t.Errorf("rotation is still on: %v", err)
	}
}

func TestAliases(t *testing.T) {
	_, c := world(t)
	one, two := newKey(t, c, ""), newKey(t, c, "")
	if _, err := c.CreateAlias(t.Context(), &awskms.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: one.KeyId}); err != nil {
		t.Fatal(err)
	}
	describe := func(ref string) (string, error) {
		out, err := c.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: &ref})
		if err != nil {
			return "", err
		}
		return *out.KeyMetadata.KeyId, nil
	}
	aliasARN := "arn:aws:kms:us-east-1:111111111111:alias/app"
	for _, ref := range []string{"alias/app", aliasARN, *one.KeyId, *one.Arn} {
		if got, err := describe(ref); err != nil || got != *one.KeyId {
			t.Errorf("DescribeKey(%s) = %s, %v", ref, got, err)
		}
	}
	_, err := c.CreateAlias(t.Context(), &awskms.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: two.KeyId})
	worldtest.WantError(t, err, "AlreadyExistsException", "An alias with the name "+aliasARN+" already exists")
	if _, err := c.UpdateAlias(t.Context(), &awskms.UpdateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: two.Arn}); err != nil {
		t.Fatal(err)
	}
	if got, err := describe("alias/app"); err != nil || got != *two.KeyId {
		t.Errorf("DescribeKey after UpdateAlias = %s, %v", got, err)
	}
	listed, err := c.ListAliases(t.Context(), &awskms.ListAliasesInput{KeyId: two.KeyId})
	if err != nil || len(listed.Aliases) != 1 || *listed.Aliases[0].AliasArn != aliasARN {
		t.Errorf("ListAliases = %+v, %v", listed, err)
	}
	if _, err := c.DeleteAlias(t.Context(), &awskms.DeleteAliasInput{AliasName: aws.String("alias/app")}); err != nil {
		t.Fatal(err)
	}
	_, err = describe("alias/app")
	worldtest.WantError(t, err, "NotFoundException", "Alias "+aliasARN+" is not found.")

	for _, bad := range []struct{ name, code string }{{"app", "ValidationException"}, {"alias/aws/mine", "NotAuthorizedException"}, {"alias/a b", "ValidationException"}} {
		_, err := c.CreateAlias(t.Context(), &awskms.CreateAliasInput{AliasName: &bad.name, TargetKeyId: one.KeyId})
		worldtest.WantError(t, err, bad.code, "")
	}
	_, err = c.GetKeyPolicy(t.Context(), &awskms.GetKeyPolicyInput{KeyId: aws.String("alias/app")})
	worldtest.WantError(t, err, "NotFoundException", "Invalid keyId alias/app")
	_, err = describe("arn:aws:kms:eu-west-1:111111111111:key/" + *one.KeyId)
	worldtest.WantError(t, err, "NotFoundException", "Invalid arn eu-west-1")
}

func TestListsComeInPages(t *testing.T) {
	_, c := world(t)
	want := map[string]bool{}
	for i := range 7 {
		key := newKey(t, c, "")
		want[*key.KeyId] = true
		name := fmt.Sprintf("alias/n%d", i)
		if _, err := c.CreateAlias(t.Context(), &awskms.CreateAliasInput{AliasName: &name, TargetKeyId: key.KeyId}); err != nil {
			t.Fatal(err)
		}
	}
	got, pages := map[string]bool{}, 0
	for p := awskms.NewListKeysPaginator(c, &awskms.ListKeysInput{Limit: aws.Int32(3)}); p.HasMorePages(); pages++ {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range page.Keys {
			got[*key.KeyId] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || pages != 3 {
		t.Errorf("ListKeys in %d pages: %s", pages, diff)
	}
	var names []string
	for p := awskms.NewListAliasesPaginator(c, &awskms.ListAliasesInput{Limit: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, alias := range page.Aliases {
			names = append(names, *alias.AliasName)
		}
	}
	if len(names) != 7 || !slices.IsSorted(names) {
		t.Errorf("ListAliases = %v", names)
	}
	_, err := c.ListKeys(t.Context(), &awskms.ListKeysInput{Marker: aws.String("*")})
	worldtest.WantError(t, err, "InvalidMarkerException", "")
}

func TestTags(t *testing.T) {
	_, c := world(t)
	made, err := c.CreateKey(t.Context(), &awskms.CreateKeyInput{Tags: []types.Tag{{TagKey: aws.String("a"), TagValue: aws.String("1")}}})
	if err != nil {
		t.Fatal(err)
	}
	key := made.KeyMetadata.KeyId
	if _, err := c.TagResource(t.Context(), &awskms.TagResourceInput{KeyId: key, Tags: []types.Tag{{TagKey: aws.String("A"), TagValue: aws.String("2")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagResource(t.Context(), &awskms.UntagResourceInput{KeyId: key, TagKeys: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	got, err := c.ListResourceTags(t.Context(), &awskms.ListResourceTagsInput{KeyId: key})
	if err != nil || len(got.Tags) != 1 || *got.Tags[0].TagKey != "A" {
		t.Errorf("ListResourceTags = %+v, %v", got, err)
	}
	_, err = c.TagResource(t.Context(), &awskms.TagResourceInput{KeyId: key, Tags: []types.Tag{{TagKey: aws.String("aws:x"), TagValue: aws.String("2")}}})
	worldtest.WantError(t, err, "TagException", "")
}

// Who may decrypt, by identity policy, key policy and account: in the key's
// account the key policy has to speak of the caller or of the account, across
// accounts both sides have to allow.
func TestWhoMayDecrypt(t *testing.T) {
	cloud, admin := world(t)
	const anyKey = "arn:aws:kms:us-east-1:111111111111:key/*"
	identity := map[string]string{
		"no identity policy": "",
		"identity allows":    allow(`"kms:Decrypt"`, anyKey),
	}
	callers := map[string]map[string]aws.Config{"same": {}, "other": {}}
	for name, policy := range identity {
		short := strings.ReplaceAll(name, " ", "-")
		callers["same"][name] = cloud.User(worldtest.A, short, policy)
		callers["other"][name] = cloud.User(worldtest.B, short, policy)
	}
	own := statement("Allow", user(worldtest.A, "admin"), "kms:*", "")
	tests := []struct {
		key     string
		allowed []string // account/identity
		policy  []string
	}{
		{key: "default", allowed: []string{"same/identity allows"}, policy: []string{statement("Allow", root(worldtest.A), "kms:*", "")}},
		{key: "nobody else", policy: []string{own}},
		{
			key: "names both users without policy", allowed: []string{"same/no identity policy"},
			policy: []string{own, statement("Allow", user(worldtest.A, "no-identity-policy"), "kms:Decrypt", ""), statement("Allow", user(worldtest.B, "no-identity-policy"), "kms:Decrypt", "")},
		},
		{key: "names the other account", allowed: []string{"other/identity allows"}, policy: []string{own, statement("Allow", root(worldtest.B), "kms:Decrypt", "")}},
		{
			key:    "names the other account with a condition that fails",
			policy: []string{own, statement("Allow", root(worldtest.B), "kms:Decrypt", `{"StringEquals":{"kms:EncryptionContext:team":"red"}}`)},
		},
		{
			key: "names the other account with a condition that holds", allowed: []string{"other/identity allows"},
			policy: []string{own, statement("Allow", root(worldtest.B), "kms:Decrypt", `{"StringEquals":{"kms:EncryptionContext:team":"blue"},"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["team"]}}`)},
		},
		{
			key: "denies", policy: []string{own, statement("Allow", root(worldtest.A), "kms:*", ""), statement("Allow", root(worldtest.B), "kms:*", ""), statement("Deny", "*", "kms:Decrypt", `{"StringNotEquals":{"aws:username":"admin"}}`)},
		},
		{
			key: "only through a service", policy: []string{own, statement("Allow", root(worldtest.A), "kms:Decrypt", `{"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"}}`)},
		},
		{
			key: "by caller account", allowed: []string{"other/identity allows"},
			policy: []string{own, statement("Allow", "*", "kms:Decrypt", `{"StringEquals":{"kms:CallerAccount":"222222222222"}}`)},
		},
	}
	for _, test := range tests {
		t.Run(test.key, func(t *testing.T) {
			key := newKey(t, admin, document(append([]string{statement("Allow", user(worldtest.A, "admin"), "kms:Encrypt", "")}, test.policy...)...))
			context := map[string]string{"team": "blue"}
			sealed, err := admin.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: key.Arn, Plaintext: []byte("x"), EncryptionContext: context})
			if err != nil {
				t.Fatal(err)
			}
			for account, users := range callers {
				for name, cfg := range users {
					_, err := client(cfg).Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: context})
					if slices.Contains(test.allowed, account+"/"+name) {
						if err != nil {
							t.Errorf("%s/%s: %v", account, name, err)
						}
						continue
					}
					if err == nil {
						t.Errorf("%s/%s may decrypt", account, name)
						continue
					}
					worldtest.WantError(t, err, "AccessDeniedException", "is not authorized to perform: kms:Decrypt on resource: "+*key.Arn)
				}
			}
		})
	}
}

func TestKeyPolicyWithoutTheAccountMakesIdentityPoliciesUseless(t *testing.T) {
	cloud, admin := world(t)
	key := newKey(t, admin, document(statement("Allow", user(worldtest.A, "admin"), "kms:*", "")))
	other := client(cloud.User(worldtest.A, "other", worldtest.AllowAll))
	_, err := other.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: key.KeyId})
	worldtest.WantError(t, err, "AccessDeniedException", "because no resource-based policy allows the kms:DescribeKey action")
}

func TestNamesMeanTheCallersAccount(t *testing.T) {
	cloud, admin := world(t)
	key := newKey(t, admin, document(statement("Allow", root(worldtest.A), "kms:*", ""), statement("Allow", root(worldtest.B), "kms:*", "")))
	if _, err := admin.CreateAlias(t.Context(), &awskms.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: key.KeyId}); err != nil {
		t.Fatal(err)
	}
	b := client(cloud.User(worldtest.B, "b", worldtest.AllowAll))
	for ref, code := range map[string]string{
		*key.KeyId: "NotFoundException", "alias/app": "NotFoundException",
		*key.Arn: "", "arn:aws:kms:us-east-1:111111111111:alias/app": "",
		// What does not exist elsewhere looks like what one may not use.
		"arn:aws:kms:us-east-1:111111111111:key/00000000-0000-0000-0000-000000000000": "AccessDeniedException",
		"arn:aws:kms:us-east-1:111111111111:alias/none":                               "AccessDeniedException",
		"arn:aws:kms:us-east-1:444444444444:key/00000000-0000-0000-0000-000000000000": "AccessDeniedException",
	} {
		_, err := b.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: &ref})
		if code == "" && err != nil {
			t.Errorf("DescribeKey(%s): %v", ref, err)
		}
		if code != "" {
			worldtest.WantError(t, err, code, "")
		}
	}
	// Managing operations do not cross accounts, whatever the key policy says.
	_, err := b.GetKeyPolicy(t.Context(), &awskms.GetKeyPolicyInput{KeyId: key.Arn})
	worldtest.WantError(t, err, "AccessDeniedException", "kms:GetKeyPolicy")
	_, err = b.ScheduleKeyDeletion(t.Context(), &awskms.ScheduleKeyDeletionInput{KeyId: key.Arn})
	worldtest.WantError(t, err, "AccessDeniedException", "kms:ScheduleKeyDeletion")
}

func TestPutKeyPolicy(t *testing.T) {
	cloud, admin := world(t)
	key := newKey(t, admin, "")
	put := func(policy string, bypass bool) error {
		_, err := admin.PutKeyPolicy(t.Context(), &awskms.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &policy, BypassPolicyLockoutSafetyCheck: bypass})
		return err
	}
	show := func() string {
		out, err := admin.GetKeyPolicy(t.Context(), &awskms.GetKeyPolicyInput{KeyId: key.KeyId})
		if err != nil {
			t.Fatal(err)
		}
		return *out.Policy
	}
	keep := statement("Allow", root(worldtest.A), "kms:*", "")
	worldtest.WantError(t, put(document(keep, statement("Allow", user(worldtest.B, "nobody"), "kms:Decrypt", "")), false),
		"MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals.")
	worldtest.WantError(t, put(`{"Version":"2012-10-17"`, false), "MalformedPolicyDocumentException", "")
	worldtest.WantError(t, put(document(statement("Allow", root(worldtest.B), "kms:*", "")), false),
		"MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.")
	worldtest.WantError(t, put(document(keep)+strings.Repeat(" ", 33<<10), false), "LimitExceededException", "")

	cloud.User(worldtest.B, "guest", "")
	policy := document(keep, statement("Allow", user(worldtest.B, "guest"), "kms:Decrypt", ""))
	if err := put(policy, false); err != nil {
		t.Fatal(err)
	}
	if got := show(); got != policy {
		t.Errorf("GetKeyPolicy = %s, want %s", got, policy)
	}
	cloud.DeleteUser(worldtest.B, "guest")
	if got := show(); strings.Contains(got, "user/guest") || !strings.Contains(got, `"AIDA`) {
		t.Errorf("GetKeyPolicy after the user is gone = %s, want its unique id", got)
	}
	cloud.User(worldtest.B, "guest", "")
	if got := show(); strings.Contains(got, "user/guest") {
		t.Errorf("GetKeyPolicy after the user was made anew = %s, want the old unique id", got)
	}
	// The ghost makes the policy that is shown invalid, as on AWS.
	worldtest.WantError(t, put(show(), false), "MalformedPolicyDocumentException", "invalid principals")
	if err := put(document(statement("Allow", root(worldtest.B), "kms:*", "")), true); err != nil {
		t.Errorf("PutKeyPolicy past the lockout check: %v", err)
	}
	_, err := admin.GetKeyPolicy(t.Context(), &awskms.GetKeyPolicyInput{KeyId: key.KeyId})
	worldtest.WantError(t, err, "AccessDeniedException", "")
}

func TestKeyPoliciesPropagate(t *testing.T) {
	cloud, admin := world(t)
	key := newKey(t, admin, "")
	b := client(cloud.User(worldtest.B, "b", worldtest.AllowAll))
	cloud.World.SetDelay("", 10*time.Second)
	policy := document(statement("Allow", root(worldtest.A), "kms:*", ""), statement("Allow", root(worldtest.B), "kms:DescribeKey", ""))
	if _, err := admin.PutKeyPolicy(t.Context(), &awskms.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &policy}); err != nil {
		t.Fatal(err)
	}
	_, err := b.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: key.Arn})
	worldtest.WantError(t, err, "AccessDeniedException", "")
	cloud.Clock.Advance(10 * time.Second)
	if _, err := b.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: key.Arn}); err != nil {
		t.Error(err)
	}
}

func TestManagedKey(t *testing.T) {
	cloud, admin := world(t)
	ref := aws.String("alias/aws/secretsmanager")
	out, err := admin.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: ref})
	if err != nil {
		t.Fatal(err)
	}
	key := out.KeyMetadata
	if key.KeyManager != types.KeyManagerTypeAws {
		t.Errorf("KeyManager = %s", key.KeyManager)
	}
	if again, err := admin.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: ref}); err != nil || *again.KeyMetadata.KeyId != *key.KeyId {
		t.Errorf("DescribeKey makes another key: %v", err)
	}
	if _, err := admin.GetKeyPolicy(t.Context(), &awskms.GetKeyPolicyInput{KeyId: key.KeyId}); err != nil {
		t.Error(err)
	}
	policy := document(statement("Allow", root(worldtest.A), "kms:*", ""))
	_, err = admin.PutKeyPolicy(t.Context(), &awskms.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &policy})
	worldtest.WantError(t, err, "AccessDeniedException", "")
	_, err = admin.ScheduleKeyDeletion(t.Context(), &awskms.ScheduleKeyDeletionInput{KeyId: key.KeyId})
	worldtest.WantError(t, err, "AccessDeniedException", "")
	_, err = admin.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: ref, Plaintext: []byte("x")})
	worldtest.WantError(t, err, "AccessDeniedException", "")
	b := client(cloud.User(worldtest.B, "b", worldtest.AllowAll))
	_, err = b.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: key.Arn, Plaintext: []byte("x")})
	worldtest.WantError(t, err, "AccessDeniedException", "")
}

func TestGrants(t *testing.T) {
	cloud, admin := world(t)
	key := newKey(t, admin, "")
	// A grant is as good as a statement in the key policy: nothing more is
	// needed in the key's account.
	same := client(cloud.User(worldtest.A, "same", ""))
	sealed, err := admin.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x"), EncryptionContext: map[string]string{"team": "blue"}})
	if err != nil {
		t.Fatal(err)
	}
	decrypt := func(context map[string]string) error {
		_, err := same.Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: context})
		return err
	}
	worldtest.WantError(t, decrypt(map[string]string{"team": "blue"}), "AccessDeniedException", "")
	grant, err := admin.CreateGrant(t.Context(), &awskms.CreateGrantInput{
		KeyId: key.KeyId, GranteePrincipal: aws.String(user(worldtest.A, "same")), RetiringPrincipal: aws.String(user(worldtest.A, "same")),
		Operations:  []types.GrantOperation{types.GrantOperationDecrypt},
		Constraints: &types.GrantConstraints{EncryptionContextSubset: map[string]string{"team": "blue"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := decrypt(map[string]string{"team": "blue"}); err != nil {
		t.Error(err)
	}
	worldtest.WantError(t, decrypt(nil), "AccessDeniedException", "")
	listed, err := admin.ListGrants(t.Context(), &awskms.ListGrantsInput{KeyId: key.KeyId})
	if err != nil || len(listed.Grants) != 1 || *listed.Grants[0].GranteePrincipal != user(worldtest.A, "same") {
		t.Errorf("ListGrants = %+v, %v", listed, err)
	}
	_, err = admin.RevokeGrant(t.Context(), &awskms.RevokeGrantInput{KeyId: key.KeyId, GrantId: aws.String("none")})
	worldtest.WantError(t, err, "NotFoundException", "")
	if _, err := same.RetireGrant(t.Context(), &awskms.RetireGrantInput{KeyId: key.Arn, GrantId: grant.GrantId}); err != nil {
		t.Fatal(err)
	}
	worldtest.WantError(t, decrypt(map[string]string{"team": "blue"}), "AccessDeniedException", "")
	_, err = admin.CreateGrant(t.Context(), &awskms.CreateGrantInput{
		KeyId: key.KeyId, GranteePrincipal: aws.String(user(worldtest.B, "none")), Operations: []types.GrantOperation{types.GrantOperationDecrypt},
	})
	worldtest.WantError(t, err, "InvalidArnException", "")
}

func TestUnsupportedKeysAreRefused(t *testing.T) {
	_, c := world(t)
	for name, in := range map[string]*awskms.CreateKeyInput{
		"asymmetric":   {KeySpec: types.KeySpecRsa2048, KeyUsage: types.KeyUsageTypeEncryptDecrypt},
		"multi-Region": {MultiRegion: aws.Bool(true)},
		"imported":     {Origin: types.OriginTypeExternal},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.CreateKey(t.Context(), in)
			worldtest.WantError(t, err, "UnsupportedOperationException", "")
		})
	}
}

// Nobody without a permission gets anything, from any operation: a handler that
// forgot to ask would answer.
func TestEveryOperationAsks(t *testing.T) {
	cloud, admin := world(t)
	key := newKey(t, admin, "")
	if _, err := admin.CreateAlias(t.Context(), &awskms.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: key.KeyId}); err != nil {
		t.Fatal(err)
	}
	sealed, err := admin.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	grant, err := admin.CreateGrant(t.Context(), &awskms.CreateGrantInput{
		KeyId: key.KeyId, GranteePrincipal: aws.String(user(worldtest.A, "admin")), Operations: []types.GrantOperation{types.GrantOperationDecrypt},
	})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{
		"KeyId": key.Arn, "TargetKeyId": key.KeyId, "DestinationKeyId": key.KeyId, "AliasName": aws.String("alias/app"),
		"Plaintext": []byte("x"), "CiphertextBlob": sealed.CiphertextBlob, "GrantId": grant.GrantId, "NumberOfBytes": aws.Int32(16),
		"Policy": aws.String(worldtest.AllowAll), "Description": aws.String("d"), "TagKeys": []string{"k"},
		"Tags":             []types.Tag{{TagKey: aws.String("k"), TagValue: aws.String("v")}},
		"GranteePrincipal": aws.String(user(worldtest.A, "admin")), "Operations": []types.GrantOperation{types.GrantOperationDecrypt},
		"RetiringPrincipal": aws.String(user(worldtest.A, "admin")),
	}
	nobody := reflect.ValueOf(client(cloud.User(worldtest.A, "nobody", "")))
	operations := kms.New().Operations()
	slices.Sort(operations)
	for _, name := range operations {
		t.Run(name, func(t *testing.T) {
			method := nobody.MethodByName(name)
			in := reflect.New(method.Type().In(1).Elem())
			for field, value := range values {
				if f := in.Elem().FieldByName(field); f.IsValid() && f.Type() == reflect.TypeOf(value) {
					f.Set(reflect.ValueOf(value))
				}
			}
			out := method.Call([]reflect.Value{reflect.ValueOf(t.Context()), in})
			err, _ := out[1].Interface().(error)
			worldtest.WantError(t, err, "AccessDeniedException", "kms:")
		})
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	cloud, _ := world(t)
	cfg := cloud.User(worldtest.A, "keeper", worldtest.AllowAll)
	c := client(cfg)
	key := newKey(t, c, "")
	sealed, err := c.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("hello"), EncryptionContext: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.BaseEndpoint = aws.String(cloud.Reload(t, kms.New()).URL)
	opened, err := client(cfg).Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: map[string]string{"a": "b"}})
	if err != nil || string(opened.Plaintext) != "hello" {
		t.Errorf("Decrypt after a restart: %v", err)
	}
	got, err := client(cfg).DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: key.KeyId})
	if err != nil {
		t.Fatal(err)
	}
	if !got.KeyMetadata.CreationDate.Equal(*key.CreationDate) {
		t.Errorf("CreationDate = %s, want %s", got.KeyMetadata.CreationDate, key.CreationDate)
	}
}
