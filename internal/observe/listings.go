package observe

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	secrettypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
)

// providers lists the OIDC providers.
func providers(ctx context.Context, l *listing) error {
	c := iam.NewFromConfig(l.cfg)
	got, err := c.ListOpenIDConnectProviders(ctx, &iam.ListOpenIDConnectProvidersInput{})
	if err != nil {
		return err
	}
	each(l, got.OpenIDConnectProviderList, func(p iamtypes.OpenIDConnectProviderListEntry) {
		id := aws.ToString(p.Arn)
		_, url, _ := strings.Cut(id, ":oidc-provider/")
		one, err := c.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: p.Arn})
		switch {
		case notFound(err):
		case err != nil:
			l.fail("OIDC provider "+url, err)
		default:
			l.put(func(a *inventory.Account) {
				a.Providers[url] = &inventory.OIDCProvider{ARN: id, URL: url, ClientIDs: one.ClientIDList, Tags: tags(one.Tags)}
			})
		}
	})
	return nil
}

// samlProviders lists the SAML providers.
func samlProviders(ctx context.Context, l *listing) error {
	c := iam.NewFromConfig(l.cfg)
	got, err := c.ListSAMLProviders(ctx, &iam.ListSAMLProvidersInput{})
	if err != nil {
		return err
	}
	each(l, got.SAMLProviderList, func(p iamtypes.SAMLProviderListEntry) {
		id := aws.ToString(p.Arn)
		marks, err := collect(ctx, iam.NewListSAMLProviderTagsPaginator(c, &iam.ListSAMLProviderTagsInput{SAMLProviderArn: p.Arn}),
			func(page *iam.ListSAMLProviderTagsOutput) []iamtypes.Tag { return page.Tags })
		if notFound(err) {
			return
		}
		out := &inventory.SAMLProvider{ARN: id}
		if parsed, err := arn.Parse(id); err == nil {
			out.Name = parsed.Name()
		}
		if err != nil {
			l.fail("tags of "+id, err)
		} else {
			out.Tags = tags(marks)
		}
		l.put(func(a *inventory.Account) { a.SAML[id] = out })
	})
	return nil
}

// keys lists the KMS keys of a Region, AWS's own in the account among them.
func keys(ctx context.Context, l *listing) error {
	c := kms.NewFromConfig(l.cfg)
	list, err := collect(ctx, kms.NewListKeysPaginator(c, &kms.ListKeysInput{}), func(page *kms.ListKeysOutput) []kmstypes.KeyListEntry { return page.Keys })
	if err != nil {
		return err
	}
	aliases, err := collect(ctx, kms.NewListAliasesPaginator(c, &kms.ListAliasesInput{}), func(page *kms.ListAliasesOutput) []kmstypes.AliasListEntry { return page.Aliases })
	if err != nil {
		return err
	}
	byKey := map[string][]string{}
	for _, a := range aliases {
		byKey[aws.ToString(a.TargetKeyId)] = append(byKey[aws.ToString(a.TargetKeyId)], aws.ToString(a.AliasName))
	}
	each(l, list, func(entry kmstypes.KeyListEntry) {
		id := aws.ToString(entry.KeyArn)
		key, err := l.readKey(ctx, id)
		if err == nil && key != nil {
			key.Aliases = byKey[aws.ToString(entry.KeyId)]
			key.Grants, err = grants(ctx, c, id)
			key.GrantState = inventory.Exists
		}
		if err != nil && !notFound(err) {
			l.fail("key "+id, err)
		} else if err == nil && key != nil {
			l.put(func(a *inventory.Account) { a.Keys[id] = key })
		}
	})
	return nil
}

func grants(ctx context.Context, c *kms.Client, key string) ([]inventory.Grant, error) {
	list, err := collect(ctx, kms.NewListGrantsPaginator(c, &kms.ListGrantsInput{KeyId: &key}), func(page *kms.ListGrantsOutput) []kmstypes.GrantListEntry { return page.Grants })
	if err != nil {
		return nil, err
	}
	var out []inventory.Grant
	for _, g := range list {
		grant := inventory.Grant{ID: aws.ToString(g.GrantId), Name: aws.ToString(g.Name), Grantee: aws.ToString(g.GranteePrincipal), Retiring: aws.ToString(g.RetiringPrincipal)}
		for _, op := range g.Operations {
			grant.Operations = append(grant.Operations, string(op))
		}
		if limit := g.Constraints; limit != nil {
			grant.EncryptionContext, grant.SourceARN = limit.EncryptionContextSubset, aws.ToString(limit.SourceArn)
			if len(limit.EncryptionContextEquals) > 0 {
				grant.EncryptionContext, grant.Equals = limit.EncryptionContextEquals, true
			}
		}
		out = append(out, grant)
	}
	return out, nil
}

// secrets lists the secrets of a Region, those that are scheduled for deletion
// among them; these do not tell their policies, which nobody can use either.
func secrets(ctx context.Context, l *listing) error {
	c := secretsmanager.NewFromConfig(l.cfg)
	list, err := collect(ctx, secretsmanager.NewListSecretsPaginator(c, &secretsmanager.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true)}),
		func(page *secretsmanager.ListSecretsOutput) []secrettypes.SecretListEntry { return page.SecretList })
	if err != nil {
		return err
	}
	known := l.knownKeys()
	each(l, list, func(entry secrettypes.SecretListEntry) {
		id := aws.ToString(entry.ARN)
		out := &inventory.Secret{
			ARN: id, Name: aws.ToString(entry.Name), KMSKey: aws.ToString(entry.KmsKeyId), Tags: map[string]string{}, Deleting: entry.DeletedDate != nil,
		}
		for _, t := range entry.Tags {
			out.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
		out.KeyARN = known.resolve(out.KMSKey)
		if !out.Deleting {
			doc, err := c.GetResourcePolicy(ctx, &secretsmanager.GetResourcePolicyInput{SecretId: entry.ARN})
			if notFound(err) {
				return
			}
			if err != nil {
				l.fail("secret "+id, err)
				return
			}
			out.Policy = aws.ToString(doc.ResourcePolicy)
		}
		l.put(func(a *inventory.Account) { a.Secrets[id] = out })
	})
	return nil
}

// knownKeys are the keys of an account in a Region by all their names.
type knownKeys map[string]string

func (l *listing) knownKeys() knownKeys {
	out := knownKeys{}
	l.put(func(a *inventory.Account) {
		for id, key := range a.Keys {
			parsed, err := arn.Parse(id)
			if err != nil || key == nil || parsed.Region != l.region {
				continue
			}
			out[parsed.Name()] = id
			for _, alias := range key.Aliases {
				out[alias] = id
				parsed.Resource = alias
				out[parsed.String()] = id
			}
		}
	})
	return out
}

// resolve gives the ARN of a key by whatever a secret calls it, "" when it is
// not known: the default key exists from the first secret on.
func (k knownKeys) resolve(name string) string {
	if name == "" {
		return k[defaultSecretKey]
	}
	if id, ok := k[name]; ok {
		return id
	}
	if parsed, err := arn.Parse(name); err == nil && parsed.Type() == "key" {
		return name // of this account or another
	}
	return ""
}

// endpoints lists the VPC endpoints of a Region.
func endpoints(ctx context.Context, l *listing) error {
	list, err := collect(ctx, ec2.NewDescribeVpcEndpointsPaginator(ec2.NewFromConfig(l.cfg), &ec2.DescribeVpcEndpointsInput{MaxResults: aws.Int32(1000)}),
		func(page *ec2.DescribeVpcEndpointsOutput) []ec2types.VpcEndpoint { return page.VpcEndpoints })
	if err != nil {
		return err
	}
	l.put(func(a *inventory.Account) {
		for _, e := range list {
			if strings.EqualFold(string(e.State), string(ec2types.StateDeleted)) { // the answer's spelling differs from the model's
				continue
			}
			owner := aws.ToString(e.OwnerId)
			if owner == "" {
				owner = string(a.ID)
			}
			id := arn.ARN{
				Partition: catalog.Partition(l.region), Service: "ec2", Region: l.region, Account: arn.AccountID(owner), Owner: owner,
				Resource: "vpc-endpoint/" + aws.ToString(e.VpcEndpointId),
			}.String()
			a.Endpoints[id] = &inventory.Endpoint{
				ARN: id, ID: aws.ToString(e.VpcEndpointId), VPC: aws.ToString(e.VpcId), Service: aws.ToString(e.ServiceName), Policy: aws.ToString(e.PolicyDocument),
			}
		}
	})
	return nil
}
