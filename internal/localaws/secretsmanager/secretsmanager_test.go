package secretsmanager_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awssm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/kms"
	"github.com/stile-aws/stile/internal/localaws/secretsmanager"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

func client(cfg aws.Config) *awssm.Client { return awssm.NewFromConfig(cfg) }

// world has one administrator in account A.
func world(t *testing.T) (*worldtest.Cloud, *awssm.Client) {
	t.Helper()
	cloud := worldtest.New(t, secretsmanager.New(), kms.New())
	return cloud, client(cloud.User(worldtest.A, "admin", worldtest.AllowAll))
}

// token gives the n-th version id.
func token(n int) *string { return aws.String(fmt.Sprintf("00000000-0000-0000-0000-%012d", n)) }

func create(t *testing.T, c *awssm.Client, name, value, key string) string {
	t.Helper()
	in := &awssm.CreateSecretInput{Name: &name, SecretString: &value, ClientRequestToken: token(1)}
	if key != "" {
		in.KmsKeyId = &key
	}
	out, err := c.CreateSecret(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.ARN
}

func get(t *testing.T, c *awssm.Client, in *awssm.GetSecretValueInput) string {
	t.Helper()
	out, err := c.GetSecretValue(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.SecretString
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

func root(id arn.AccountID) string { return "arn:aws:iam::" + string(id) + ":root" }
func user(id arn.AccountID, name string) string {
	return "arn:aws:iam::" + string(id) + ":user/" + name
}

func TestSecretLife(t *testing.T) {
	cloud, c := world(t)
	id := create(t, c, "app/db", "one", "")
	prefix := "arn:aws:secretsmanager:us-east-1:111111111111:secret:app/db-"
	if suffix, ok := strings.CutPrefix(id, prefix); !ok || len(suffix) != 6 {
		t.Errorf("ARN = %s, want %s and six letters", id, prefix)
	}
	for _, ref := range []string{"app/db", id, strings.TrimSuffix(prefix, "-")} {
		if got := get(t, c, &awssm.GetSecretValueInput{SecretId: &ref}); got != "one" {
			t.Errorf("GetSecretValue(%s) = %q", ref, got)
		}
	}
	got, err := c.DescribeSecret(t.Context(), &awssm.DescribeSecretInput{SecretId: &id})
	if err != nil {
		t.Fatal(err)
	}
	if got.KmsKeyId != nil || !got.CreatedDate.Equal(cloud.Clock.Now()) || got.LastAccessedDate == nil {
		t.Errorf("DescribeSecret = %+v", got)
	}
	if diff := cmp.Diff(map[string][]string{*token(1): {"AWSCURRENT"}}, got.VersionIdsToStages); diff != "" {
		t.Error(diff)
	}
	deleted, err := c.DeleteSecret(t.Context(), &awssm.DeleteSecretInput{SecretId: &id, RecoveryWindowInDays: aws.Int64(7)})
	if err != nil {
		t.Fatal(err)
	}
	if want := cloud.Clock.Now().Add(7 * 24 * time.Hour); !deleted.DeletionDate.Equal(want) {
		t.Errorf("DeletionDate = %s, want %s", deleted.DeletionDate, want)
	}
	_, err = c.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: &id})
	worldtest.WantError(t, err, "InvalidRequestException", "because it was marked for deletion.")
	_, err = c.CreateSecret(t.Context(), &awssm.CreateSecretInput{Name: aws.String("app/db"), ClientRequestToken: token(1)})
	worldtest.WantError(t, err, "InvalidRequestException", "already scheduled for deletion")
	if _, err := c.RestoreSecret(t.Context(), &awssm.RestoreSecretInput{SecretId: &id}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, c, &awssm.GetSecretValueInput{SecretId: &id}); got != "one" {
		t.Errorf("GetSecretValue after restoring = %q", got)
	}
	if _, err := c.DeleteSecret(t.Context(), &awssm.DeleteSecretInput{SecretId: &id}); err != nil {
		t.Fatal(err)
	}
	cloud.Clock.Advance(31 * 24 * time.Hour)
	_, err = c.DescribeSecret(t.Context(), &awssm.DescribeSecretInput{SecretId: &id})
	worldtest.WantError(t, err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	again := create(t, c, "app/db", "two", "")
	if again == id {
		t.Error("a secret of the same name has the same ARN")
	}
	if _, err := c.DeleteSecret(t.Context(), &awssm.DeleteSecretInput{SecretId: &again, ForceDeleteWithoutRecovery: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	create(t, c, "app/db", "three", "")
}

func TestDeleteSecretChecksItsWindow(t *testing.T) {
	_, c := world(t)
	id := create(t, c, "s", "v", "")
	_, err := c.DeleteSecret(t.Context(), &awssm.DeleteSecretInput{SecretId: &id, RecoveryWindowInDays: aws.Int64(6)})
	worldtest.WantError(t, err, "InvalidParameterException", "between 7 and 30 days (inclusive)")
	_, err = c.DeleteSecret(t.Context(), &awssm.DeleteSecretInput{SecretId: &id, RecoveryWindowInDays: aws.Int64(7), ForceDeleteWithoutRecovery: aws.Bool(true)})
	worldtest.WantError(t, err, "InvalidParameterException", "in conjunction with")
}

func TestCreateSecretIsIdempotent(t *testing.T) {
	_, c := world(t)
	id := create(t, c, "s", "v", "")
	if again := create(t, c, "s", "v", ""); again != id {
		t.Errorf("CreateSecret again = %s, want %s", again, id)
	}
	_, err := c.CreateSecret(t.Context(), &awssm.CreateSecretInput{Name: aws.String("s"), SecretString: aws.String("other"), ClientRequestToken: token(1)})
	worldtest.WantError(t, err, "ResourceExistsException", "The operation failed because the secret s already exists.")
	_, err = c.CreateSecret(t.Context(), &awssm.CreateSecretInput{Name: aws.String("s"), SecretString: aws.String("v"), ClientRequestToken: token(2)})
	worldtest.WantError(t, err, "ResourceExistsException", "")
	for name, in := range map[string]*awssm.CreateSecretInput{
		"bad name": {Name: aws.String("a b")},
		"long":     {Name: aws.String(strings.Repeat("x", 513))},
		"too big":  {Name: aws.String("x"), SecretString: aws.String(strings.Repeat("x", 65537))},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.CreateSecret(t.Context(), in)
			worldtest.WantError(t, err, "ValidationException", "")
		})
	}
	_, err = c.CreateSecret(t.Context(), &awssm.CreateSecretInput{Name: aws.String("x"), SecretString: aws.String("x"), SecretBinary: []byte("y")})
	worldtest.WantError(t, err, "InvalidParameterException", "")
}

func TestVersionsAndLabels(t *testing.T) {
	_, c := world(t)
	id := create(t, c, "s", "one", "")
	put := func(n int, value string, stages ...string) error {
		_, err := c.PutSecretValue(t.Context(), &awssm.PutSecretValueInput{SecretId: &id, SecretString: &value, ClientRequestToken: token(n), VersionStages: stages})
		return err
	}
	stages := func() map[string][]string {
		out, err := c.DescribeSecret(t.Context(), &awssm.DescribeSecretInput{SecretId: &id})
		if err != nil {
			t.Fatal(err)
		}
		for _, labels := range out.VersionIdsToStages {
			slices.Sort(labels)
		}
		return out.VersionIdsToStages
	}
	want := func(want map[string][]string) {
		t.Helper()
		if diff := cmp.Diff(want, stages()); diff != "" {
			t.Errorf("labels: %s", diff)
		}
	}
	if err := put(2, "two"); err != nil {
		t.Fatal(err)
	}
	want(map[string][]string{*token(1): {"AWSPREVIOUS"}, *token(2): {"AWSCURRENT"}})
	if err := put(3, "three", "AWSPENDING"); err != nil {
		t.Fatal(err)
	}
	want(map[string][]string{*token(1): {"AWSPREVIOUS"}, *token(2): {"AWSCURRENT"}, *token(3): {"AWSPENDING"}})
	if got := get(t, c, &awssm.GetSecretValueInput{SecretId: &id, VersionStage: aws.String("AWSPENDING")}); got != "three" {
		t.Errorf("AWSPENDING = %q", got)
	}
	if err := put(3, "three", "AWSPENDING"); err != nil {
		t.Errorf("PutSecretValue again: %v", err)
	}
	worldtest.WantError(t, put(3, "other", "AWSPENDING"), "ResourceExistsException", "")

	moveLabel := func(stage string, to, from *string) error {
		_, err := c.UpdateSecretVersionStage(t.Context(), &awssm.UpdateSecretVersionStageInput{SecretId: &id, VersionStage: &stage, MoveToVersionId: to, RemoveFromVersionId: from})
		return err
	}
	worldtest.WantError(t, moveLabel("AWSCURRENT", token(3), nil), "InvalidParameterException", "currently attached to version "+*token(2))
	worldtest.WantError(t, moveLabel("AWSCURRENT", token(3), token(1)), "InvalidParameterException", "it must be set to the version that currently has the staging label")
	worldtest.WantError(t, moveLabel("AWSCURRENT", nil, token(2)), "InvalidParameterException", "can't be completely removed")
	worldtest.WantError(t, moveLabel("AWSCURRENT", token(9), token(2)), "ResourceNotFoundException", "")
	worldtest.WantError(t, moveLabel("mine", token(3), token(2)), "InvalidParameterException", "")
	if err := moveLabel("AWSCURRENT", token(3), token(2)); err != nil {
		t.Fatal(err)
	}
	want(map[string][]string{*token(2): {"AWSPREVIOUS"}, *token(3): {"AWSCURRENT", "AWSPENDING"}})
	if err := moveLabel("mine", token(1), nil); err != nil {
		t.Fatal(err)
	}
	if err := moveLabel("AWSPENDING", nil, token(3)); err != nil {
		t.Fatal(err)
	}
	want(map[string][]string{*token(1): {"mine"}, *token(2): {"AWSPREVIOUS"}, *token(3): {"AWSCURRENT"}})

	_, err := c.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: &id, VersionStage: aws.String("none")})
	worldtest.WantError(t, err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: none")
	_, err = c.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: &id, VersionId: token(9)})
	worldtest.WantError(t, err, "ResourceNotFoundException", "for VersionId: "+*token(9))
	_, err = c.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: &id, VersionId: token(1), VersionStage: aws.String("AWSCURRENT")})
	worldtest.WantError(t, err, "InvalidRequestException", "")
}

func TestOnlyOneWriterMovesALabel(t *testing.T) {
	_, c := world(t)
	id := create(t, c, "ledger", "0", "")
	for n := 2; n <= 3; n++ {
		if _, err := c.PutSecretValue(t.Context(), &awssm.PutSecretValueInput{SecretId: &id, SecretString: aws.String("x"), ClientRequestToken: token(n), VersionStages: []string{fmt.Sprintf("draft-%d", n)}}); err != nil {
			t.Fatal(err)
		}
	}
	errs := make(chan error, 2)
	for n := 2; n <= 3; n++ {
		go func() {
			_, err := c.UpdateSecretVersionStage(t.Context(), &awssm.UpdateSecretVersionStageInput{
				SecretId: &id, VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: token(n), RemoveFromVersionId: token(1),
			})
			errs <- err
		}()
	}
	first, second := <-errs, <-errs
	if first != nil {
		first, second = second, first
	}
	if first != nil {
		t.Fatalf("both failed: %v, %v", first, second)
	}
	worldtest.WantError(t, second, "InvalidParameterException", "")
}

func TestVersionsWithoutALabelGoWhenThereAreTooMany(t *testing.T) {
	_, c := world(t)
	id := create(t, c, "s", "0", "")
	for n := 2; n <= 120; n++ {
		if _, err := c.PutSecretValue(t.Context(), &awssm.PutSecretValueInput{SecretId: &id, SecretString: aws.String("x"), ClientRequestToken: token(n)}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for p := awssm.NewListSecretVersionIdsPaginator(c, &awssm.ListSecretVersionIdsInput{SecretId: &id, IncludeDeprecated: aws.Bool(true), MaxResults: aws.Int32(30)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Versions)
	}
	if n != 100 {
		t.Errorf("%d versions are kept, want 100", n)
	}
}

func TestListSecretsFiltersAndPages(t *testing.T) {
	cloud, c := world(t)
	for i, name := range []string{"app/a", "app/b", "app/c", "web/a"} {
		cloud.Clock.Advance(time.Second)
		_, err := c.CreateSecret(t.Context(), &awssm.CreateSecretInput{
			Name: &name, Description: aws.String(fmt.Sprintf("Secret Number%d", i)), Tags: []types.Tag{{Key: aws.String("n"), Value: aws.String(fmt.Sprint(i % 2))}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.DeleteSecret(t.Context(), &awssm.DeleteSecretInput{SecretId: aws.String("app/c")}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		in   awssm.ListSecretsInput
		want []string
	}{
		{"all, newest first", awssm.ListSecretsInput{}, []string{"web/a", "app/b", "app/a"}},
		{"with deleted, by name", awssm.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true), SortBy: types.SortByTypeName, SortOrder: types.SortOrderTypeAsc}, []string{"app/a", "app/b", "app/c", "web/a"}},
		{"name", awssm.ListSecretsInput{Filters: []types.Filter{{Key: "name", Values: []string{"app/"}}}}, []string{"app/b", "app/a"}},
		{"not name", awssm.ListSecretsInput{Filters: []types.Filter{{Key: "name", Values: []string{"!app/"}}}}, []string{"web/a"}},
		{"tags", awssm.ListSecretsInput{Filters: []types.Filter{{Key: "tag-key", Values: []string{"n"}}, {Key: "tag-value", Values: []string{"0"}}}}, []string{"app/a"}},
		{"description", awssm.ListSecretsInput{Filters: []types.Filter{{Key: "description", Values: []string{"secret number1", "nUMBER3"}}}}, []string{"web/a", "app/b"}},
		{"all attributes", awssm.ListSecretsInput{Filters: []types.Filter{{Key: "all", Values: []string{"web number3"}}}}, []string{"web/a"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.in.MaxResults = aws.Int32(2)
			var got []string
			for p := awssm.NewListSecretsPaginator(c, &test.in); p.HasMorePages(); {
				page, err := p.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range page.SecretList {
					got = append(got, *s.Name)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err := c.ListSecrets(t.Context(), &awssm.ListSecretsInput{NextToken: aws.String("???")})
	worldtest.WantError(t, err, "InvalidNextTokenException", "")
}

// Who may read, by identity policy, resource policy, key policy and account.
func TestWhoMayRead(t *testing.T) {
	cloud, admin := world(t)
	adminKMS := awskms.NewFromConfig(cloud.User(worldtest.A, "keeper", worldtest.AllowAll))
	read := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`
	readAndDecrypt := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:GetSecretValue","kms:Decrypt"],"Resource":"*"}]}`
	identities := map[string]string{"none": "", "read": read, "read+decrypt": readAndDecrypt}
	accounts := map[string]arn.AccountID{"same": worldtest.A, "other": worldtest.B}
	callers := map[string]*awssm.Client{}
	for name, policy := range identities {
		for account, id := range accounts {
			callers[account+" "+name] = client(cloud.User(id, "u-"+strings.ReplaceAll(name, "+", "-"), policy))
		}
	}
	own := statement("Allow", root(worldtest.A), "kms:*", "")
	keys := map[string]string{
		"own account":   document(own),
		"other account": document(own, statement("Allow", root(worldtest.B), "kms:Decrypt", "")),
		"other account via secrets manager": document(own, statement("Allow", root(worldtest.B), "kms:Decrypt",
			`{"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"},"StringLike":{"kms:EncryptionContext:SecretARN":"arn:aws:secretsmanager:us-east-1:111111111111:secret:*"}}`)),
		"other account, other secret": document(own, statement("Allow", root(worldtest.B), "kms:Decrypt",
			`{"StringLike":{"kms:EncryptionContext:SecretARN":"arn:aws:secretsmanager:us-east-1:111111111111:secret:none-*"}}`)),
	}
	keyIDs := map[string]string{"aws/secretsmanager": ""}
	for name, policy := range keys {
		out, err := adminKMS.CreateKey(t.Context(), &awskms.CreateKeyInput{Policy: &policy})
		if err != nil {
			t.Fatal(err)
		}
		keyIDs[name] = *out.KeyMetadata.Arn
	}
	const notKMS, notSecret = "Access to KMS is not allowed", "is not authorized to perform: secretsmanager:GetSecretValue on resource: "
	tests := []struct {
		key, policy string
		want        map[string]string // caller to text of the denial; absent callers may read
	}{
		{"aws/secretsmanager", "", map[string]string{"same none": notSecret, "other none": notSecret, "other read": notSecret, "other read+decrypt": notSecret}},
		// The trap: both policies allow and the key that AWS manages cannot be shared.
		{"aws/secretsmanager", document(statement("Allow", root(worldtest.B), "secretsmanager:GetSecretValue", "")),
			map[string]string{"same none": notSecret, "other none": notSecret, "other read": notKMS, "other read+decrypt": notKMS}},
		{"own account", "", map[string]string{"same none": notSecret, "same read": notKMS, "other none": notSecret, "other read": notSecret, "other read+decrypt": notSecret}},
		{"own account", document(statement("Allow", root(worldtest.B), "secretsmanager:GetSecretValue", "")),
			map[string]string{"same none": notSecret, "same read": notKMS, "other none": notSecret, "other read": notKMS, "other read+decrypt": notKMS}},
		{"other account", document(statement("Allow", root(worldtest.B), "secretsmanager:GetSecretValue", "")),
			map[string]string{"same none": notSecret, "same read": notKMS, "other none": notSecret, "other read": notKMS}},
		{"other account", "",
			map[string]string{"same none": notSecret, "same read": notKMS, "other none": notSecret, "other read": notSecret, "other read+decrypt": notSecret}},
		{"other account via secrets manager", document(statement("Allow", user(worldtest.B, "u-read-decrypt"), "secretsmanager:GetSecretValue", "")),
			map[string]string{"same none": notSecret, "same read": notKMS, "other none": notSecret, "other read": notSecret}},
		{"other account, other secret", document(statement("Allow", root(worldtest.B), "secretsmanager:GetSecretValue", "")),
			map[string]string{"same none": notSecret, "same read": notKMS, "other none": notSecret, "other read": notKMS, "other read+decrypt": notKMS}},
		{"other account", document(statement("Allow", root(worldtest.B), "secretsmanager:GetSecretValue", `{"StringEquals":{"secretsmanager:VersionStage":"AWSCURRENT"}}`)),
			map[string]string{"same none": notSecret, "same read": notKMS, "other none": notSecret, "other read": notSecret, "other read+decrypt": notSecret}},
		{"aws/secretsmanager", document(statement("Allow", user(worldtest.A, "u-none"), "secretsmanager:GetSecretValue", "")),
			map[string]string{"other none": notSecret, "other read": notSecret, "other read+decrypt": notSecret}},
		{"other account", document(statement("Allow", root(worldtest.B), "secretsmanager:*", ""), statement("Deny", "*", "secretsmanager:GetSecretValue", "")),
			map[string]string{"same none": notSecret, "same read": notSecret, "same read+decrypt": notSecret, "other none": notSecret, "other read": notSecret, "other read+decrypt": notSecret}},
	}
	for i, test := range tests {
		t.Run(fmt.Sprintf("%d key of %s", i, test.key), func(t *testing.T) {
			id := create(t, admin, fmt.Sprintf("s%d", i), "value", keyIDs[test.key])
			if test.policy != "" {
				if _, err := admin.PutResourcePolicy(t.Context(), &awssm.PutResourcePolicyInput{SecretId: &id, ResourcePolicy: &test.policy}); err != nil {
					t.Fatal(err)
				}
			}
			for name, c := range callers {
				out, err := c.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: &id})
				text, denied := test.want[name]
				switch {
				case !denied && err != nil:
					t.Errorf("%s: %v", name, err)
				case !denied && *out.SecretString != "value":
					t.Errorf("%s reads %q", name, *out.SecretString)
				case denied && err == nil:
					t.Errorf("%s may read", name)
				case denied:
					worldtest.WantError(t, err, "AccessDeniedException", text)
				}
			}
		})
	}
}

func TestWhatDoesNotExistLooksLikeWhatIsForbidden(t *testing.T) {
	cloud, admin := world(t)
	id := create(t, admin, "s", "v", "")
	const missing = "arn:aws:secretsmanager:us-east-1:111111111111:secret:none-AbCdEf"
	b := client(cloud.User(worldtest.B, "b", worldtest.AllowAll))
	for _, ref := range []string{id, missing, "arn:aws:secretsmanager:us-east-1:444444444444:secret:none-AbCdEf"} {
		_, err := b.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: &ref})
		worldtest.WantError(t, err, "AccessDeniedException", "because no resource-based policy allows the secretsmanager:GetSecretValue action")
	}
	// A short name means the caller's own account.
	_, err := b.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: aws.String("s")})
	worldtest.WantError(t, err, "ResourceNotFoundException", "")
	nobody := client(cloud.User(worldtest.A, "nobody", ""))
	_, err = nobody.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: aws.String("none")})
	worldtest.WantError(t, err, "AccessDeniedException", "on resource: none because no identity-based policy allows")
	_, err = admin.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: aws.String("none")})
	worldtest.WantError(t, err, "ResourceNotFoundException", "")
}

func TestResourcePolicies(t *testing.T) {
	cloud, c := world(t)
	id := create(t, c, "s", "v", "")
	put := func(policy string, block bool) error {
		_, err := c.PutResourcePolicy(t.Context(), &awssm.PutResourcePolicyInput{SecretId: &id, ResourcePolicy: &policy, BlockPublicPolicy: &block})
		return err
	}
	worldtest.WantError(t, put(`{`, true), "MalformedPolicyDocumentException", "This policy contains invalid Json")
	worldtest.WantError(t, put(`{"Version":"2019-10-19","Statement":[]}`, true), "MalformedPolicyDocumentException", "This policy has invalid syntax.")
	worldtest.WantError(t, put(document(statement("Allow", user(worldtest.B, "none"), "secretsmanager:GetSecretValue", "")), true),
		"MalformedPolicyDocumentException", "unsupported principal")
	worldtest.WantError(t, put(strings.Repeat(" ", 20481), true), "ValidationException", "")

	everybody := statement("Allow", "*", "secretsmanager:GetSecretValue", "")
	tests := []struct {
		name, condition string
		public          bool
	}{
		{"nothing", "", true},
		{"organization", `{"StringEquals":{"aws:PrincipalOrgID":"o-abcdefghij"}}`, false},
		{"any organization", `{"StringLike":{"aws:PrincipalOrgID":"*"}}`, true},
		{"negated", `{"StringNotEquals":{"aws:PrincipalAccount":"111111111111"}}`, true},
		{"if exists", `{"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-abcdefghij"}}`, true},
		{"vacuous", `{"ForAllValues:StringEquals":{"aws:PrincipalOrgPaths":"o-a/r-b/"}}`, true},
		{"another key", `{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}`, true},
	}
	for _, test := range tests {
		t.Run("everybody narrowed by "+test.name, func(t *testing.T) {
			policy := document(statement("Allow", "*", "secretsmanager:GetSecretValue", test.condition))
			err := put(policy, true)
			valid, validErr := c.ValidateResourcePolicy(t.Context(), &awssm.ValidateResourcePolicyInput{SecretId: &id, ResourcePolicy: &policy})
			if validErr != nil || valid.PolicyValidationPassed == test.public {
				t.Errorf("ValidateResourcePolicy = %+v, %v", valid, validErr)
			}
			if !test.public {
				if err != nil {
					t.Error(err)
				}
				return
			}
			worldtest.WantError(t, err, "PublicPolicyException", "")
		})
	}
	if err := put(document(everybody), false); err != nil {
		t.Errorf("a public policy without BlockPublicPolicy: %v", err)
	}

	cloud.User(worldtest.B, "guest", "")
	policy := document(statement("Allow", user(worldtest.B, "guest"), "secretsmanager:GetSecretValue", ""))
	if err := put(policy, true); err != nil {
		t.Fatal(err)
	}
	show := func() string {
		out, err := c.GetResourcePolicy(t.Context(), &awssm.GetResourcePolicyInput{SecretId: &id})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.ResourcePolicy)
	}
	if got := show(); got != policy {
		t.Errorf("GetResourcePolicy = %s, want %s", got, policy)
	}
	cloud.DeleteUser(worldtest.B, "guest")
	if got := show(); !strings.Contains(got, `"AIDA`) {
		t.Errorf("GetResourcePolicy after the user is gone = %s, want its unique id", got)
	}
	if _, err := c.DeleteResourcePolicy(t.Context(), &awssm.DeleteResourcePolicyInput{SecretId: &id}); err != nil || show() != "" {
		t.Errorf("the policy is still there: %v", err)
	}
}

func TestWritingTakesTheKeyToo(t *testing.T) {
	cloud, admin := world(t)
	keyClient := awskms.NewFromConfig(cloud.User(worldtest.A, "keeper", worldtest.AllowAll))
	made, err := keyClient.CreateKey(t.Context(), &awskms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	key := *made.KeyMetadata.Arn
	id := create(t, admin, "s", "v", key)
	writer := client(cloud.User(worldtest.A, "writer", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}]}`))
	_, err = writer.PutSecretValue(t.Context(), &awssm.PutSecretValueInput{SecretId: &id, SecretString: aws.String("w"), ClientRequestToken: token(2)})
	worldtest.WantError(t, err, "AccessDeniedException", "Access to KMS is not allowed")
	_, err = writer.CreateSecret(t.Context(), &awssm.CreateSecretInput{Name: aws.String("mine"), SecretString: aws.String("w"), KmsKeyId: &key})
	worldtest.WantError(t, err, "AccessDeniedException", "Access to KMS is not allowed")
	if _, err := writer.DescribeSecret(t.Context(), &awssm.DescribeSecretInput{SecretId: aws.String("mine")}); err == nil {
		t.Error("the secret was made all the same")
	}
	if _, err := keyClient.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
	_, err = admin.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: &id})
	worldtest.WantError(t, err, "DecryptionFailure", "")
	_, err = admin.PutSecretValue(t.Context(), &awssm.PutSecretValueInput{SecretId: &id, SecretString: aws.String("w"), ClientRequestToken: token(2)})
	worldtest.WantError(t, err, "EncryptionFailure", "")
}

func TestUpdateSecretChangesTheKeyOfVersionsInUse(t *testing.T) {
	cloud, admin := world(t)
	keyClient := awskms.NewFromConfig(cloud.User(worldtest.A, "keeper", worldtest.AllowAll))
	made, err := keyClient.CreateKey(t.Context(), &awskms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	id := create(t, admin, "s", "one", "")
	if _, err := admin.UpdateSecret(t.Context(), &awssm.UpdateSecretInput{SecretId: &id, KmsKeyId: made.KeyMetadata.KeyId, Description: aws.String("d")}); err != nil {
		t.Fatal(err)
	}
	got, err := admin.DescribeSecret(t.Context(), &awssm.DescribeSecretInput{SecretId: &id})
	if err != nil || *got.KmsKeyId != *made.KeyMetadata.KeyId || *got.Description != "d" {
		t.Errorf("DescribeSecret = %+v, %v", got, err)
	}
	versions, err := admin.ListSecretVersionIds(t.Context(), &awssm.ListSecretVersionIdsInput{SecretId: &id})
	if err != nil || versions.Versions[0].KmsKeyIds[0] != *made.KeyMetadata.Arn {
		t.Errorf("ListSecretVersionIds = %+v, %v", versions, err)
	}
	if _, err := keyClient.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: made.KeyMetadata.KeyId}); err != nil {
		t.Fatal(err)
	}
	_, err = admin.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: &id})
	worldtest.WantError(t, err, "DecryptionFailure", "")
}

func TestBatchGetSecretValue(t *testing.T) {
	cloud, admin := world(t)
	one, two := create(t, admin, "one", "1", ""), create(t, admin, "two", "2", "")
	reader := client(cloud.User(worldtest.A, "reader", fmt.Sprintf(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:BatchGetSecretValue","secretsmanager:ListSecrets"],"Resource":"*"},{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":%q}]}`, one)))
	got, err := reader.BatchGetSecretValue(t.Context(), &awssm.BatchGetSecretValueInput{SecretIdList: []string{one, two, "three"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.SecretValues) != 1 || *got.SecretValues[0].SecretString != "1" || len(got.Errors) != 2 || *got.Errors[0].ErrorCode != "AccessDeniedException" {
		t.Errorf("BatchGetSecretValue = %+v", got)
	}
	byName, err := admin.BatchGetSecretValue(t.Context(), &awssm.BatchGetSecretValueInput{Filters: []types.Filter{{Key: "name", Values: []string{"t"}}}})
	if err != nil || len(byName.SecretValues) != 1 || *byName.SecretValues[0].ARN != two {
		t.Errorf("BatchGetSecretValue by name = %+v, %v", byName, err)
	}
}

func TestTagsDecide(t *testing.T) {
	cloud, admin := world(t)
	id := create(t, admin, "s", "v", "")
	byTag := client(cloud.User(worldtest.A, "by-tag", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"StringEquals":{"secretsmanager:ResourceTag/team":"blue"}}}]}`))
	_, err := byTag.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: &id})
	worldtest.WantError(t, err, "AccessDeniedException", "")
	if _, err := admin.TagResource(t.Context(), &awssm.TagResourceInput{SecretId: &id, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}, {Key: aws.String("x"), Value: aws.String("")}}}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, byTag, &awssm.GetSecretValueInput{SecretId: &id}); got != "v" {
		t.Errorf("GetSecretValue = %q", got)
	}
	if _, err := admin.UntagResource(t.Context(), &awssm.UntagResourceInput{SecretId: &id, TagKeys: []string{"team"}}); err != nil {
		t.Fatal(err)
	}
	_, err = byTag.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: &id})
	worldtest.WantError(t, err, "AccessDeniedException", "")
	_, err = admin.TagResource(t.Context(), &awssm.TagResourceInput{SecretId: &id, Tags: []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("")}}})
	worldtest.WantError(t, err, "InvalidParameterException", "")
}

func TestGetRandomPassword(t *testing.T) {
	_, c := world(t)
	for range 20 {
		got, err := c.GetRandomPassword(t.Context(), &awssm.GetRandomPasswordInput{PasswordLength: aws.Int64(8), ExcludeCharacters: aws.String("abc"), ExcludePunctuation: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		p := *got.RandomPassword
		if len(p) != 8 || strings.ContainsAny(p, "abc!#") || !strings.ContainsAny(p, "0123456789") || strings.ToLower(p) == p {
			t.Errorf("GetRandomPassword = %q", p)
		}
	}
	_, err := c.GetRandomPassword(t.Context(), &awssm.GetRandomPasswordInput{PasswordLength: aws.Int64(3)})
	worldtest.WantError(t, err, "InvalidParameterException", "")
}

// Nobody without a permission gets anything, from any operation.
func TestEveryOperationAsks(t *testing.T) {
	cloud, admin := world(t)
	id := create(t, admin, "s", "v", "")
	values := map[string]any{
		"SecretId": &id, "Name": aws.String("new"), "ResourcePolicy": aws.String(document(statement("Allow", root(worldtest.A), "secretsmanager:*", ""))),
		"SecretString": aws.String("x"), "TagKeys": []string{"k"}, "Tags": []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
		"VersionStage": aws.String("AWSCURRENT"), "MoveToVersionId": token(1), "SecretIdList": []string{id},
	}
	nobody := reflect.ValueOf(client(cloud.User(worldtest.A, "nobody", "")))
	operations := secretsmanager.New().Operations()
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
			worldtest.WantError(t, err, "AccessDeniedException", "secretsmanager:"+name)
		})
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	cloud, _ := world(t)
	cfg := cloud.User(worldtest.A, "keeper", worldtest.AllowAll)
	c := client(cfg)
	id := create(t, c, "s", "one", "")
	out, err := c.CreateSecret(t.Context(), &awssm.CreateSecretInput{Name: aws.String("binary"), SecretBinary: []byte{0, 1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	policy := document(statement("Allow", root(worldtest.B), "secretsmanager:GetSecretValue", ""))
	if _, err := c.PutResourcePolicy(t.Context(), &awssm.PutResourcePolicyInput{SecretId: &id, ResourcePolicy: &policy}); err != nil {
		t.Fatal(err)
	}
	get(t, c, &awssm.GetSecretValueInput{SecretId: &id})
	before, err := c.DescribeSecret(t.Context(), &awssm.DescribeSecretInput{SecretId: &id})
	if err != nil {
		t.Fatal(err)
	}
	cfg.BaseEndpoint = aws.String(cloud.Reload(t, secretsmanager.New(), kms.New()).URL)
	c = client(cfg)
	if got := get(t, c, &awssm.GetSecretValueInput{SecretId: &id}); got != "one" {
		t.Errorf("GetSecretValue after a restart = %q", got)
	}
	after, err := c.DescribeSecret(t.Context(), &awssm.DescribeSecretInput{SecretId: &id})
	if err != nil {
		t.Fatal(err)
	}
	before.ResultMetadata = after.ResultMetadata
	if !reflect.DeepEqual(before, after) {
		t.Errorf("DescribeSecret after a restart = %+v, want %+v", after, before)
	}
	binary, err := c.GetSecretValue(t.Context(), &awssm.GetSecretValueInput{SecretId: out.ARN})
	if err != nil || !slices.Equal(binary.SecretBinary, []byte{0, 1, 2}) {
		t.Errorf("SecretBinary after a restart = %v, %v", binary, err)
	}
}
