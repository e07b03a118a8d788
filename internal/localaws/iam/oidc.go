package iam

import (
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

func registerOIDC(s *service.Service) {
	service.Register(s, "CreateOpenIDConnectProvider",
		service.Op[iam.CreateOpenIDConnectProviderInput, iam.CreateOpenIDConnectProviderOutput]{Access: createOIDCAccess, Handle: createOIDC})
	service.Register(s, "GetOpenIDConnectProvider",
		reader(named(func(in *iam.GetOpenIDConnectProviderInput) *string { return in.OpenIDConnectProviderArn }), "GetOpenIDConnectProvider", getOIDC))
	service.Register(s, "ListOpenIDConnectProviders", reader(below[iam.ListOpenIDConnectProvidersInput]("oidc-provider", nil), "ListOpenIDConnectProviders", listOIDC))
	service.Register(s, "DeleteOpenIDConnectProvider",
		writer(named(func(in *iam.DeleteOpenIDConnectProviderInput) *string { return in.OpenIDConnectProviderArn }), "DeleteOpenIDConnectProvider", deleteOIDC))
	service.Register(s, "AddClientIDToOpenIDConnectProvider",
		writer(named(func(in *iam.AddClientIDToOpenIDConnectProviderInput) *string { return in.OpenIDConnectProviderArn }), "AddClientIDToOpenIDConnectProvider", addClientID))
	service.Register(s, "RemoveClientIDFromOpenIDConnectProvider",
		writer(named(func(in *iam.RemoveClientIDFromOpenIDConnectProviderInput) *string { return in.OpenIDConnectProviderArn }),
			"RemoveClientIDFromOpenIDConnectProvider", removeClientID))
	service.Register(s, "UpdateOpenIDConnectProviderThumbprint",
		writer(named(func(in *iam.UpdateOpenIDConnectProviderThumbprintInput) *string { return in.OpenIDConnectProviderArn }),
			"UpdateOpenIDConnectProviderThumbprint", updateThumbprints))
}

func oidcARN(account arn.AccountID, key string) string {
	return arn.IAM(store.Partition, account, "oidc-provider", "/", key).String()
}

// issuerKey is a provider's URL without its scheme. IAM wants https without
// query; it keeps the rest as written.
func issuerKey(c *service.Call, address *string) (string, *wire.Error) {
	text := aws.ToString(address)
	key, ok := strings.CutPrefix(text, "https://")
	u, err := url.Parse(text)
	if !ok || err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", c.Errorf("ValidationError", "Invalid Open ID Connect Provider URL")
	}
	return key, nil
}

func createOIDCAccess(c *service.Call, in *iam.CreateOpenIDConnectProviderInput) ([]gate.Access, *wire.Error) {
	key, e := issuerKey(c, in.Url)
	if e != nil {
		return nil, e
	}
	return creating("iam:CreateOpenIDConnectProvider", "iam:TagOpenIDConnectProvider", oidcARN(c.Account, key), requested(in.Tags), ""), nil
}

func createOIDC(c *service.Call, in *iam.CreateOpenIDConnectProviderInput) (*iam.CreateOpenIDConnectProviderOutput, *wire.Error) {
	own := &c.Own().IAM
	key, e := issuerKey(c, in.Url)
	if e != nil {
		return nil, e
	}
	if own.OIDCProviders[key].Latest() != nil {
		return nil, alreadyExists(c, "Provider with url %s already exists.", *in.Url)
	}
	if limit := quotaOIDCProviders.of(c); len(live(own.OIDCProviders)) >= limit {
		return nil, limitExceeded(c, "OpenIdConnectProvidersPerAccount", limit)
	}
	if limit := quotaClientIDs.of(c); len(in.ClientIDList) > limit {
		return nil, limitExceeded(c, "ClientIdsPerOpenIdConnectProvider", limit)
	}
	if e := checkThumbprints(c, in.ThumbprintList); e != nil {
		return nil, e
	}
	tags, e := merged(c, nil, in.Tags)
	if e != nil {
		return nil, e
	}
	provider := &store.OIDCProvider{
		Key: key, ClientIDs: unique(in.ClientIDList), Thumbprints: slices.Clone(in.ThumbprintList), Tags: tags, Created: c.Now,
	}
	if v := own.OIDCProviders[key]; v != nil {
		v.Put(c.Now, provider)
	} else {
		own.OIDCProviders[key] = store.NewVersioned(c.Now, provider)
	}
	return &iam.CreateOpenIDConnectProviderOutput{OpenIDConnectProviderArn: aws.String(oidcARN(c.Account, key)), Tags: optional(tags)}, nil
}

// unique drops what is there twice, keeping the order.
func unique(values []string) []string {
	var out []string
	for _, v := range values {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func checkThumbprints(c *service.Call, thumbprints []string) *wire.Error {
	if limit := quotaThumbprints.of(c); len(thumbprints) > limit {
		return invalidInput(c, "Thumbprint list must contain fewer than %d entries.", limit+1)
	}
	for _, t := range thumbprints {
		if strings.Trim(strings.ToLower(t), "0123456789abcdef") != "" {
			return invalidInput(c, "Thumbprint must be a 40-character hexadecimal string.")
		}
	}
	return nil
}

func findOIDC(c *service.Call, ref *string) (*store.Versioned[store.OIDCProvider], *wire.Error) {
	a, err := arn.Parse(aws.ToString(ref))
	if err != nil || a.Service != "iam" || a.Type() != "oidc-provider" {
		return nil, c.Errorf("ValidationError", "Invalid ARN: %s", aws.ToString(ref))
	}
	v := c.Own().IAM.OIDCProviders[a.Name()]
	if v.Latest() == nil || a.Account != c.Account {
		return nil, noSuchEntity(c, "OpenIDConnect Provider not found for arn %s", aws.ToString(ref))
	}
	return v, nil
}

func getOIDC(c *service.Call, in *iam.GetOpenIDConnectProviderInput) (*iam.GetOpenIDConnectProviderOutput, *wire.Error) {
	v, e := findOIDC(c, in.OpenIDConnectProviderArn)
	if e != nil {
		return nil, e
	}
	p := v.Latest()
	return &iam.GetOpenIDConnectProviderOutput{
		Url: aws.String(p.Key), ClientIDList: present(p.ClientIDs), ThumbprintList: present(p.Thumbprints),
		Tags: optional(p.Tags), CreateDate: at(p.Created),
	}, nil
}

// present is an empty list where there is none, so that it is written.
func present(values []string) []string {
	if values == nil {
		return []string{}
	}
	return values
}

func listOIDC(c *service.Call, _ *iam.ListOpenIDConnectProvidersInput) (*iam.ListOpenIDConnectProvidersOutput, *wire.Error) {
	all := live(c.Own().IAM.OIDCProviders)
	slices.SortFunc(all, func(a, b *store.OIDCProvider) int { return strings.Compare(a.Key, b.Key) })
	out := &iam.ListOpenIDConnectProvidersOutput{OpenIDConnectProviderList: []types.OpenIDConnectProviderListEntry{}}
	for _, p := range all {
		out.OpenIDConnectProviderList = append(out.OpenIDConnectProviderList,
			types.OpenIDConnectProviderListEntry{Arn: aws.String(oidcARN(c.Account, p.Key))})
	}
	return out, nil
}

// deleteOIDC does not mind a provider that does not exist (IAM API reference,
// DeleteOpenIDConnectProvider), nor roles that trust it.
func deleteOIDC(c *service.Call, in *iam.DeleteOpenIDConnectProviderInput) (*iam.DeleteOpenIDConnectProviderOutput, *wire.Error) {
	if v, e := findOIDC(c, in.OpenIDConnectProviderArn); e == nil {
		v.Put(c.Now, nil)
	}
	return nil, nil
}

func addClientID(c *service.Call, in *iam.AddClientIDToOpenIDConnectProviderInput) (*iam.AddClientIDToOpenIDConnectProviderOutput, *wire.Error) {
	v, e := findOIDC(c, in.OpenIDConnectProviderArn)
	if e != nil {
		return nil, e
	}
	ids := unique(append(slices.Clone(v.Latest().ClientIDs), aws.ToString(in.ClientID)))
	if limit := quotaClientIDs.of(c); len(ids) > limit {
		return nil, limitExceeded(c, "ClientIdsPerOpenIdConnectProvider", limit)
	}
	v.Edit(c.Now, func(p *store.OIDCProvider) { p.ClientIDs = ids })
	return nil, nil
}

func removeClientID(c *service.Call, in *iam.RemoveClientIDFromOpenIDConnectProviderInput) (*iam.RemoveClientIDFromOpenIDConnectProviderOutput, *wire.Error) {
	v, e := findOIDC(c, in.OpenIDConnectProviderArn)
	if e != nil {
		return nil, e
	}
	v.Edit(c.Now, func(p *store.OIDCProvider) {
		p.ClientIDs = slices.DeleteFunc(p.ClientIDs, func(id string) bool { return id == aws.ToString(in.ClientID) })
	})
	return nil, nil
}

func updateThumbprints(c *service.Call, in *iam.UpdateOpenIDConnectProviderThumbprintInput) (*iam.UpdateOpenIDConnectProviderThumbprintOutput, *wire.Error) {
	v, e := findOIDC(c, in.OpenIDConnectProviderArn)
	if e != nil {
		return nil, e
	}
	if e := checkThumbprints(c, in.ThumbprintList); e != nil {
		return nil, e
	}
	v.Edit(c.Now, func(p *store.OIDCProvider) { p.Thumbprints = slices.Clone(in.ThumbprintList) })
	return nil, nil
}

func registerOIDCTags(s *service.Service) {
	ops := tagOps[iam.TagOpenIDConnectProviderInput, iam.UntagOpenIDConnectProviderInput, iam.ListOpenIDConnectProviderTagsInput]{
		record: func(c *service.Call, ref string) (tagged, *wire.Error) {
			v, e := findOIDC(c, &ref)
			if e != nil {
				return tagged{}, e
			}
			return tagged{ref, v.Latest().Tags, func(t store.Tags) { v.Edit(c.Now, func(p *store.OIDCProvider) { p.Tags = t }) }}, nil
		},
		resource: func(_ *service.Call, ref string) string { return ref },
		tag: func(in *iam.TagOpenIDConnectProviderInput) (*string, []types.Tag) {
			return in.OpenIDConnectProviderArn, in.Tags
		},
		untag: func(in *iam.UntagOpenIDConnectProviderInput) (*string, []string) {
			return in.OpenIDConnectProviderArn, in.TagKeys
		},
		list: func(in *iam.ListOpenIDConnectProviderTagsInput) (*string, *string, *int32) {
			return in.OpenIDConnectProviderArn, in.Marker, in.MaxItems
		},
	}
	service.Register(s, "TagOpenIDConnectProvider",
		tagging[iam.TagOpenIDConnectProviderInput, iam.UntagOpenIDConnectProviderInput, iam.ListOpenIDConnectProviderTagsInput, iam.TagOpenIDConnectProviderOutput](ops, "TagOpenIDConnectProvider"))
	service.Register(s, "UntagOpenIDConnectProvider",
		untagging[iam.TagOpenIDConnectProviderInput, iam.UntagOpenIDConnectProviderInput, iam.ListOpenIDConnectProviderTagsInput, iam.UntagOpenIDConnectProviderOutput](ops, "UntagOpenIDConnectProvider"))
	service.Register(s, "ListOpenIDConnectProviderTags", listing(ops, "ListOpenIDConnectProviderTags", func(p marked[types.Tag]) *iam.ListOpenIDConnectProviderTagsOutput {
		return &iam.ListOpenIDConnectProviderTagsOutput{Tags: p.items, IsTruncated: p.truncated, Marker: p.marker}
	}))
}
