package observe

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
)

// defaultSecretKey is the AWS managed key of secrets without a key of their own.
const defaultSecretKey = "alias/aws/secretsmanager"

// secret reads a secret by its ARN. An ARN that ends in "-*" or "-??????", as
// policies have it, is looked up by the name in it.
func (r *reader) secret(ctx context.Context, id string) {
	found, err := steady(func() (*inventory.Secret, error) { return r.readSecret(ctx, id) })
	if err != nil {
		r.problem("secret "+id, err)
		return
	}
	r.put(func(a *inventory.Account) { a.Secrets[id] = found })
	if found != nil && found.KeyARN != "" {
		r.key(ctx, found.KeyARN)
	}
}

// readSecret returns nil for a secret that does not exist.
func (r *reader) readSecret(ctx context.Context, id string) (*inventory.Secret, error) {
	parsed, err := arn.Parse(id)
	if err != nil {
		return nil, err
	}
	cfg, err := r.src.Config(ctx, r.account.ID, parsed.Region)
	if err != nil {
		return nil, err
	}
	ask := id
	for _, suffix := range []string{"-*", "-??????", "*"} {
		if base, ok := strings.CutSuffix(id, suffix); ok {
			ask = strings.TrimPrefix(base[strings.LastIndex(base, ":secret:"):], ":secret:")
			break
		}
	}
	c := secretsmanager.NewFromConfig(cfg)
	got, err := c.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &ask})
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &inventory.Secret{ARN: aws.ToString(got.ARN), Name: aws.ToString(got.Name), KMSKey: aws.ToString(got.KmsKeyId), Tags: map[string]string{}, Deleting: got.DeletedDate != nil}
	for _, t := range got.Tags {
		out.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	doc, err := c.GetResourcePolicy(ctx, &secretsmanager.GetResourcePolicyInput{SecretId: got.ARN})
	if err != nil {
		return nil, err
	}
	out.Policy = aws.ToString(doc.ResourcePolicy)
	out.KeyARN, err = keyARN(ctx, cfg, out.KMSKey)
	return out, err
}

// keyARN resolves what DescribeSecret says of the key. The default key may not
// exist before the first secret is made; then there is nothing to resolve.
func keyARN(ctx context.Context, cfg aws.Config, key string) (string, error) {
	if key == "" {
		key = defaultSecretKey
	}
	got, err := kms.NewFromConfig(cfg).DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
	if err != nil {
		if notFound(err) {
			return "", nil
		}
		return "", err
	}
	return aws.ToString(got.KeyMetadata.Arn), nil
}

func (r *reader) key(ctx context.Context, id string) {
	r.mu.Lock()
	_, known := r.account.Keys[id]
	r.mu.Unlock()
	if known {
		return
	}
	found, err := steady(func() (*inventory.Key, error) { return r.readKey(ctx, id) })
	if err != nil {
		r.problem("key "+id, err)
		return
	}
	if found != nil && found.ARN == id && !found.AWSManaged {
		r.keyGrants(ctx, found)
	}
	r.put(func(a *inventory.Account) { a.Keys[id] = found })
	if found != nil && found.ARN != id {
		r.key(ctx, found.ARN) // what decides about an alias
	}
}

// keyGrants reads the grants on a key. They only add to what its policy allows,
// so that a key without them is known well enough.
func (r *reader) keyGrants(ctx context.Context, key *inventory.Key) {
	key.GrantState = inventory.Unread
	parsed, err := arn.Parse(key.ARN)
	if err != nil {
		return
	}
	cfg, err := r.src.Config(ctx, r.account.ID, parsed.Region)
	if err != nil {
		return
	}
	if list, err := grants(ctx, kms.NewFromConfig(cfg), key.ARN); err == nil {
		key.Grants, key.GrantState = list, inventory.Exists
	}
}

// readKey returns nil for a key that does not exist. By the ARN of an alias it
// tells which key is behind it, and no policy.
func (r *reader) readKey(ctx context.Context, id string) (*inventory.Key, error) {
	parsed, err := arn.Parse(id)
	if err != nil {
		return nil, err
	}
	if parsed.Account != r.account.ID {
		return nil, errors.New("the key is another account's, " + string(parsed.Account))
	}
	cfg, err := r.src.Config(ctx, r.account.ID, parsed.Region)
	if err != nil {
		return nil, err
	}
	c := kms.NewFromConfig(cfg)
	got, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &id})
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &inventory.Key{ARN: aws.ToString(got.KeyMetadata.Arn), AWSManaged: got.KeyMetadata.KeyManager == kmstypes.KeyManagerTypeAws, Enabled: got.KeyMetadata.Enabled}
	if parsed.Type() == "alias" {
		out.Aliases = []string{parsed.Resource}
		return out, nil
	}
	doc, err := c.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &id, PolicyName: aws.String("default")})
	if err != nil {
		return nil, err
	}
	out.Policy = aws.ToString(doc.Policy)
	return out, nil
}

func (r *reader) cluster(ctx context.Context, ref inventory.ClusterRef) {
	name := ref.Region + "/" + ref.Name
	found, err := r.readCluster(ctx, ref)
	switch {
	case notFound(err):
		found = nil
	case err != nil:
		r.problem("cluster "+name, err)
		return
	}
	r.put(func(a *inventory.Account) { a.Clusters[name] = found })
}

func (r *reader) readCluster(ctx context.Context, ref inventory.ClusterRef) (*inventory.Cluster, error) {
	cfg, err := r.src.Config(ctx, r.account.ID, ref.Region)
	if err != nil {
		return nil, err
	}
	got, err := eks.NewFromConfig(cfg).DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &ref.Name})
	if err != nil {
		return nil, err
	}
	return shownCluster(got.Cluster, ref.Region)
}
