package corpus_test

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	secretstypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/arn"
)

// call makes the case's request as its caller. The error is AWS's.
func (w *world) call(t *testing.T) error {
	t.Helper()
	return calls[w.req.Action](t.Context(), w)
}

// calls has the operation of each action that is tried.
var calls = map[string]func(context.Context, *world) error{
	"dynamodb:GetItem": func(ctx context.Context, w *world) error {
		in := &dynamodb.GetItemInput{TableName: &w.req.Resource, Key: map[string]dynamodbtypes.AttributeValue{
			"id": &dynamodbtypes.AttributeValueMemberS{Value: w.keys.leadingKey},
		}}
		if len(w.keys.attributes) > 0 {
			in.ProjectionExpression = aws.String(strings.Join(w.keys.attributes, ", "))
		}
		_, err := w.dynamodb(w.caller).GetItem(ctx, in)
		return err
	},
	"dynamodb:PutItem": func(ctx context.Context, w *world) error {
		in := &dynamodb.PutItemInput{TableName: &w.req.Resource, Item: map[string]dynamodbtypes.AttributeValue{
			"id": &dynamodbtypes.AttributeValueMemberS{Value: w.keys.leadingKey},
		}}
		for _, name := range w.keys.attributes {
			in.Item[name] = &dynamodbtypes.AttributeValueMemberS{Value: "x"}
		}
		_, err := w.dynamodb(w.caller).PutItem(ctx, in)
		return err
	},
	"dynamodb:DeleteTable": func(ctx context.Context, w *world) error {
		_, err := w.dynamodb(w.caller).DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &w.req.Resource})
		return err
	},
	"dynamodb:DescribeTable": func(ctx context.Context, w *world) error {
		_, err := w.dynamodb(w.caller).DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &w.req.Resource})
		return err
	},
	"secretsmanager:DescribeSecret": func(ctx context.Context, w *world) error {
		_, err := w.secrets(w.caller).DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &w.req.Resource})
		return err
	},
	"secretsmanager:TagResource": func(ctx context.Context, w *world) error {
		in := &secretsmanager.TagResourceInput{SecretId: &w.req.Resource}
		for _, key := range sorted(w.keys.requestTags) {
			in.Tags = append(in.Tags, secretstypes.Tag{Key: &key, Value: aws.String(w.keys.requestTags[key])})
		}
		if in.Tags == nil {
			return aside("TagResource has tags")
		}
		_, err := w.secrets(w.caller).TagResource(ctx, in)
		return err
	},
	"sts:AssumeRole":                assumeRole,
	"sts:TagSession":                tagSession,
	"sts:SetSourceIdentity":         assumeRole,
	"sts:AssumeRoleWithWebIdentity": assumeWithToken,
	"sts:GetCallerIdentity": func(ctx context.Context, w *world) error {
		_, err := w.sts(w.caller).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err
	},
	"sts:GetSessionToken": func(ctx context.Context, w *world) error {
		_, err := w.sts(w.caller).GetSessionToken(ctx, &sts.GetSessionTokenInput{})
		return err
	},
	"sts:GetFederationToken": federate,
	"iam:GetRole": func(ctx context.Context, w *world) error {
		_, err := w.iam(w.caller).GetRole(ctx, &iam.GetRoleInput{RoleName: w.name()})
		return err
	},
	"iam:CreateUser": func(ctx context.Context, w *world) error {
		_, err := w.iam(w.caller).CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("new")})
		return err
	},
	"iam:ListAccessKeys": func(ctx context.Context, w *world) error {
		_, err := w.iam(w.caller).ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: w.name()})
		return err
	},
	"iam:CreateAccessKey": func(ctx context.Context, w *world) error {
		_, err := w.iam(w.caller).CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: w.name()})
		return err
	},
	"kms:Decrypt": func(ctx context.Context, w *world) error {
		sealed, err := w.encrypted(ctx)
		if err != nil {
			return err
		}
		_, err = w.kms(w.caller).Decrypt(ctx, &kms.DecryptInput{KeyId: &w.req.Resource, CiphertextBlob: sealed, EncryptionContext: w.keys.encryption})
		return err
	},
	"kms:Encrypt": func(ctx context.Context, w *world) error {
		_, err := w.kms(w.caller).Encrypt(ctx, &kms.EncryptInput{KeyId: &w.req.Resource, Plaintext: []byte("x"), EncryptionContext: w.keys.encryption})
		return err
	},
	"kms:DescribeKey": func(ctx context.Context, w *world) error {
		_, err := w.kms(w.caller).DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &w.req.Resource})
		return err
	},
	"kms:ScheduleKeyDeletion": func(ctx context.Context, w *world) error {
		_, err := w.kms(w.caller).ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &w.req.Resource})
		return err
	},
	"kms:RetireGrant": func(ctx context.Context, w *world) error {
		_, err := w.kms(w.caller).RetireGrant(ctx, &kms.RetireGrantInput{KeyId: &w.req.Resource, GrantId: &w.pols.Grants[0].ID})
		return err
	},
	"kms:RevokeGrant": func(ctx context.Context, w *world) error {
		_, err := w.kms(w.caller).RevokeGrant(ctx, &kms.RevokeGrantInput{KeyId: &w.req.Resource, GrantId: &w.pols.Grants[0].ID})
		return err
	},
	"kms:TagResource": func(ctx context.Context, w *world) error {
		_, err := w.kms(w.caller).TagResource(ctx, &kms.TagResourceInput{KeyId: &w.req.Resource, Tags: []kmstypes.Tag{{TagKey: aws.String("a"), TagValue: aws.String("b")}}})
		return err
	},
}

// tagSession makes a session with tags, of a federated user where the case is on one.
func tagSession(ctx context.Context, w *world) error {
	if len(w.keys.requestTags) == 0 {
		w.keys.requestTags["stile"] = "value"
	}
	if strings.Contains(w.req.Resource, ":federated-user/") {
		return federate(ctx, w)
	}
	return assumeRole(ctx, w)
}

func federate(ctx context.Context, w *world) error {
	name := "someone"
	if a, err := arn.Parse(w.req.Resource); err == nil {
		name = a.Name()
	}
	_, err := w.sts(w.caller).GetFederationToken(ctx, &sts.GetFederationTokenInput{Name: &name, Tags: w.tags()})
	return err
}

// assumeRole asks for sts:AssumeRole, with tags for sts:TagSession, and with a
// source identity for sts:SetSourceIdentity.
func assumeRole(ctx context.Context, w *world) error {
	in := &sts.AssumeRoleInput{RoleArn: &w.req.Resource, RoleSessionName: &w.keys.sessionName, TransitiveTagKeys: w.keys.transitive}
	if w.keys.externalID != "" {
		in.ExternalId = &w.keys.externalID
	}
	if w.req.Action == "sts:SetSourceIdentity" {
		in.SourceIdentity = aws.String(cmp.Or(w.keys.setSource, "source"))
	}
	if w.keys.duration != 0 {
		in.DurationSeconds = &w.keys.duration
	}
	in.Tags = w.tags()
	_, err := w.sts(w.caller).AssumeRole(ctx, in)
	return err
}

// tags are those of the session that is asked for.
func (w *world) tags() (out []ststypes.Tag) {
	for _, key := range sorted(w.keys.requestTags) {
		out = append(out, ststypes.Tag{Key: &key, Value: aws.String(w.keys.requestTags[key])})
	}
	return out
}

func assumeWithToken(ctx context.Context, w *world) error {
	provider := w.req.Principal.Provider
	key := strings.TrimPrefix(provider.Resource, "oidc-provider/")
	if key == "" {
		return aside("the caller has no token of a registered issuer")
	}
	audience := w.keys.claims["aud"]
	if audience == "" {
		audience = "sts.amazonaws.com"
	}
	w.register(provider.Account, key, audience)
	token, err := issuer().token(key, audience, w.keys.claims["sub"], w.clock.Now())
	if err != nil {
		return err
	}
	_, err = w.sts(w.caller).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &w.req.Resource, RoleSessionName: &w.keys.sessionName, WebIdentityToken: &token,
	})
	return err
}

// encrypted is something that the case's key has encrypted, before the case's
// policy was its.
func (w *world) encrypted(ctx context.Context) ([]byte, error) {
	state := w.server.World()
	a, err := arn.Parse(w.req.Resource)
	if err != nil {
		return nil, err
	}
	id, secret, _ := w.server.Administrator(a.Account)
	open := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + string(a.Account) + `"},"Action":"kms:*","Resource":"*"}]}`
	state.Lock()
	key := state.KMSKey(a, w.clock.Now())
	written := *key.Policy.Latest()
	organization := state.Organization
	state.Organization = nil
	key.Policy.Put(time.Time{}, &open)
	state.Unlock()
	out, err := w.kms(w.config(id, secret, "")).Encrypt(ctx, &kms.EncryptInput{KeyId: &w.req.Resource, Plaintext: []byte("x"), EncryptionContext: w.keys.encryption})
	state.Lock()
	defer state.Unlock()
	key.Policy.Put(time.Time{}, &written)
	state.Organization = organization
	if err != nil {
		return nil, err
	}
	return out.CiphertextBlob, nil
}

// name is the resource's own name.
func (w *world) name() *string {
	a, err := arn.Parse(w.req.Resource)
	if err != nil {
		return nil
	}
	return aws.String(a.Name())
}

func sorted(m map[string]string) []string {
	var list []string
	for key := range m {
		list = append(list, key)
	}
	slices.Sort(list)
	return list
}

// signer signs by the local AWS's clock.
type signer struct {
	*v4.Signer
	now time.Time
}

func (s signer) SignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, hash, service, region string, _ time.Time, opt ...func(*v4.SignerOptions)) error {
	return s.Signer.SignHTTP(ctx, c, r, hash, service, region, s.now, opt...)
}

func (w *world) signer() signer { return signer{v4.NewSigner(), w.clock.Now()} }

func (w *world) dynamodb(cfg aws.Config) *dynamodb.Client {
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.HTTPSignerV4 = w.signer() })
}

func (w *world) secrets(cfg aws.Config) *secretsmanager.Client {
	return secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) { o.HTTPSignerV4 = w.signer() })
}

func (w *world) kms(cfg aws.Config) *kms.Client {
	return kms.NewFromConfig(cfg, func(o *kms.Options) { o.HTTPSignerV4 = w.signer() })
}

func (w *world) sts(cfg aws.Config) *sts.Client {
	return sts.NewFromConfig(cfg, func(o *sts.Options) { o.HTTPSignerV4 = w.signer() })
}

func (w *world) iam(cfg aws.Config) *iam.Client {
	return iam.NewFromConfig(cfg, func(o *iam.Options) { o.HTTPSignerV4 = w.signer() })
}
