package iam

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/saml"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// samlValidity is how long a provider counts as valid whose metadata do not say.
const samlValidity = 100 * 365 * 24 * time.Hour

func registerSAML(s *service.Service) {
	service.Register(s, "CreateSAMLProvider", service.Op[iam.CreateSAMLProviderInput, iam.CreateSAMLProviderOutput]{Access: createSAMLAccess, Handle: createSAML})
	service.Register(s, "GetSAMLProvider", reader(named(func(in *iam.GetSAMLProviderInput) *string { return in.SAMLProviderArn }), "GetSAMLProvider", getSAML))
	service.Register(s, "ListSAMLProviders", reader(below[iam.ListSAMLProvidersInput]("saml-provider", nil), "ListSAMLProviders", listSAML))
	service.Register(s, "UpdateSAMLProvider", writer(named(func(in *iam.UpdateSAMLProviderInput) *string { return in.SAMLProviderArn }), "UpdateSAMLProvider", updateSAML))
	service.Register(s, "DeleteSAMLProvider", writer(named(func(in *iam.DeleteSAMLProviderInput) *string { return in.SAMLProviderArn }), "DeleteSAMLProvider", deleteSAML))
}

func samlARN(account arn.AccountID, name string) string {
	return arn.IAM(store.Partition, account, "saml-provider", "/", name).String()
}

func createSAMLAccess(c *service.Call, in *iam.CreateSAMLProviderInput) ([]gate.Access, *wire.Error) {
	return creating("iam:CreateSAMLProvider", "iam:TagSAMLProvider", samlARN(c.Account, aws.ToString(in.Name)), requested(in.Tags), ""), nil
}

// checkMetadata refuses what no assertion could be verified by.
func checkMetadata(c *service.Call, text string) *wire.Error {
	if _, err := saml.ParseMetadata(text); err != nil {
		e := invalidInput(c, "Could not parse metadata")
		e.Cause = err
		return e
	}
	return nil
}

// validUntil is the metadata's own end, or a hundred years on.
func validUntil(p *store.SAMLProvider) *time.Time {
	if m, err := saml.ParseMetadata(p.Metadata); err == nil && !m.ValidUntil.IsZero() {
		return at(m.ValidUntil)
	}
	return at(p.Created.Add(samlValidity))
}

func createSAML(c *service.Call, in *iam.CreateSAMLProviderInput) (*iam.CreateSAMLProviderOutput, *wire.Error) {
	own, name := &c.Own().IAM, aws.ToString(in.Name)
	if own.SAMLProviders[strings.ToLower(name)].Latest() != nil {
		return nil, alreadyExists(c, "Provider with name %s already exists.", name)
	}
	if limit := quotaSAMLProviders.of(c); len(live(own.SAMLProviders)) >= limit {
		return nil, limitExceeded(c, "SAMLProvidersPerAccount", limit)
	}
	if e := checkMetadata(c, aws.ToString(in.SAMLMetadataDocument)); e != nil {
		return nil, e
	}
	tags, e := merged(c, nil, in.Tags)
	if e != nil {
		return nil, e
	}
	put(own.SAMLProviders, name, c.Now, &store.SAMLProvider{
		Name: name, ID: c.World.IDs().UUID(), Metadata: *in.SAMLMetadataDocument, Tags: tags, Created: c.Now,
	})
	return &iam.CreateSAMLProviderOutput{SAMLProviderArn: aws.String(samlARN(c.Account, name)), Tags: optional(tags)}, nil
}

func findSAML(c *service.Call, ref *string) (*store.Versioned[store.SAMLProvider], *wire.Error) {
	a, err := arn.Parse(aws.ToString(ref))
	if err != nil || a.Type() != "saml-provider" {
		return nil, invalidInput(c, "Invalid ARN: %s", aws.ToString(ref))
	}
	v := c.Own().IAM.SAMLProviders[strings.ToLower(a.Name())]
	if v.Latest() == nil || a.Account != c.Account {
		return nil, noSuchEntity(c, "Manifest not found for arn %s", aws.ToString(ref))
	}
	return v, nil
}

func getSAML(c *service.Call, in *iam.GetSAMLProviderInput) (*iam.GetSAMLProviderOutput, *wire.Error) {
	v, e := findSAML(c, in.SAMLProviderArn)
	if e != nil {
		return nil, e
	}
	p := v.Latest()
	return &iam.GetSAMLProviderOutput{
		SAMLMetadataDocument: aws.String(p.Metadata), SAMLProviderUUID: aws.String(p.ID), Tags: optional(p.Tags),
		CreateDate: at(p.Created), ValidUntil: validUntil(p),
	}, nil
}

func listSAML(c *service.Call, _ *iam.ListSAMLProvidersInput) (*iam.ListSAMLProvidersOutput, *wire.Error) {
	all := live(c.Own().IAM.SAMLProviders)
	slices.SortFunc(all, func(a, b *store.SAMLProvider) int { return strings.Compare(a.Name, b.Name) })
	out := &iam.ListSAMLProvidersOutput{SAMLProviderList: []types.SAMLProviderListEntry{}}
	for _, p := range all {
		out.SAMLProviderList = append(out.SAMLProviderList, types.SAMLProviderListEntry{
			Arn: aws.String(samlARN(c.Account, p.Name)), CreateDate: at(p.Created), ValidUntil: validUntil(p),
		})
	}
	return out, nil
}

func updateSAML(c *service.Call, in *iam.UpdateSAMLProviderInput) (*iam.UpdateSAMLProviderOutput, *wire.Error) {
	v, e := findSAML(c, in.SAMLProviderArn)
	if e != nil {
		return nil, e
	}
	if in.SAMLMetadataDocument != nil {
		if e := checkMetadata(c, *in.SAMLMetadataDocument); e != nil {
			return nil, e
		}
		v.Edit(c.Now, func(p *store.SAMLProvider) { p.Metadata = *in.SAMLMetadataDocument })
	}
	return &iam.UpdateSAMLProviderOutput{SAMLProviderArn: in.SAMLProviderArn}, nil
}

func deleteSAML(c *service.Call, in *iam.DeleteSAMLProviderInput) (*iam.DeleteSAMLProviderOutput, *wire.Error) {
	v, e := findSAML(c, in.SAMLProviderArn)
	if e != nil {
		return nil, e
	}
	v.Put(c.Now, nil)
	return nil, nil
}

func registerSAMLTags(s *service.Service) {
	ops := tagOps[iam.TagSAMLProviderInput, iam.UntagSAMLProviderInput, iam.ListSAMLProviderTagsInput]{
		record: func(c *service.Call, ref string) (tagged, *wire.Error) {
			v, e := findSAML(c, &ref)
			if e != nil {
				return tagged{}, e
			}
			return tagged{ref, v.Latest().Tags, func(t store.Tags) { v.Edit(c.Now, func(p *store.SAMLProvider) { p.Tags = t }) }}, nil
		},
		resource: func(_ *service.Call, ref string) string { return ref },
		tag:      func(in *iam.TagSAMLProviderInput) (*string, []types.Tag) { return in.SAMLProviderArn, in.Tags },
		untag:    func(in *iam.UntagSAMLProviderInput) (*string, []string) { return in.SAMLProviderArn, in.TagKeys },
		list: func(in *iam.ListSAMLProviderTagsInput) (*string, *string, *int32) {
			return in.SAMLProviderArn, in.Marker, in.MaxItems
		},
	}
	service.Register(s, "TagSAMLProvider", tagging[iam.TagSAMLProviderInput, iam.UntagSAMLProviderInput, iam.ListSAMLProviderTagsInput, iam.TagSAMLProviderOutput](ops, "TagSAMLProvider"))
	service.Register(s, "UntagSAMLProvider", untagging[iam.TagSAMLProviderInput, iam.UntagSAMLProviderInput, iam.ListSAMLProviderTagsInput, iam.UntagSAMLProviderOutput](ops, "UntagSAMLProvider"))
	service.Register(s, "ListSAMLProviderTags", listing(ops, "ListSAMLProviderTags", func(p marked[types.Tag]) *iam.ListSAMLProviderTagsOutput {
		return &iam.ListSAMLProviderTagsOutput{Tags: p.items, IsTruncated: p.truncated, Marker: p.marker}
	}))
}
