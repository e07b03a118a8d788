package eks

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

func registerTags(s *service.Service) {
	service.Register(s, "TagResource", service.Op[eks.TagResourceInput, eks.TagResourceOutput]{
		Access: func(c *service.Call, in *eks.TagResourceInput) ([]gate.Access, *wire.Error) {
			a := onTagged(c, "TagResource", in.ResourceArn)
			a.RequestTags = in.Tags
			return []gate.Access{a}, nil
		},
		Handle: tagResource,
	})
	service.Register(s, "UntagResource", service.Op[eks.UntagResourceInput, eks.UntagResourceOutput]{
		Access: func(c *service.Call, in *eks.UntagResourceInput) ([]gate.Access, *wire.Error) {
			a := onTagged(c, "UntagResource", in.ResourceArn)
			a.TagKeys = in.TagKeys
			return []gate.Access{a}, nil
		},
		Handle: untagResource,
	})
	service.Register(s, "ListTagsForResource", service.Op[eks.ListTagsForResourceInput, eks.ListTagsForResourceOutput]{
		ReadOnly: true,
		Access: func(c *service.Call, in *eks.ListTagsForResourceInput) ([]gate.Access, *wire.Error) {
			return []gate.Access{onTagged(c, "ListTagsForResource", in.ResourceArn)}, nil
		},
		Handle: listTags,
	})
}

func onTagged(c *service.Call, action string, ref *string) gate.Access {
	a := gate.Access{Action: "eks:" + action, Resource: aws.ToString(ref), Account: c.Account}
	if tags, e := tagsOf(c, ref); e == nil {
		a.ResourceTags = *tags
	}
	return a
}

// tagsOf finds the tags of a cluster, an access entry or a Pod Identity
// association of the caller's account and Region.
func tagsOf(c *service.Call, ref *string) (*store.Tags, *wire.Error) {
	a, err := arn.Parse(aws.ToString(ref))
	if err != nil || a.Service != "eks" || a.Partition != store.Partition {
		return nil, c.Errorf("BadRequestException", "The ARN %s is not valid", aws.ToString(ref))
	}
	unknown := c.Errorf("NotFoundException", "No resource found for ARN: %s", a)
	if a.Account != c.Account || a.Region != c.Region {
		return nil, unknown
	}
	parts := strings.Split(a.Resource, "/")
	if len(parts) < 2 {
		return nil, unknown
	}
	k := find(c, &parts[1])
	if k == nil {
		return nil, unknown
	}
	if k.ARN() == a {
		return &k.Tags, nil
	}
	for _, entry := range k.Entries {
		if k.EntryARN(entry) == a {
			return &entry.Tags, nil
		}
	}
	for _, association := range k.Associations {
		if k.AssociationARN(association.ID) == a {
			return &association.Tags, nil
		}
	}
	return nil, unknown
}

func tagResource(c *service.Call, in *eks.TagResourceInput) (*eks.TagResourceOutput, *wire.Error) {
	tags, e := tagsOf(c, in.ResourceArn)
	if e != nil {
		return nil, e
	}
	all, e := merged(c, *tags, in.Tags, "BadRequestException")
	if e != nil {
		return nil, e
	}
	*tags = all
	return nil, nil
}

func untagResource(c *service.Call, in *eks.UntagResourceInput) (*eks.UntagResourceOutput, *wire.Error) {
	tags, e := tagsOf(c, in.ResourceArn)
	if e != nil {
		return nil, e
	}
	*tags = tags.Without(in.TagKeys)
	return nil, nil
}

func listTags(c *service.Call, in *eks.ListTagsForResourceInput) (*eks.ListTagsForResourceOutput, *wire.Error) {
	tags, e := tagsOf(c, in.ResourceArn)
	if e != nil {
		return nil, e
	}
	return &eks.ListTagsForResourceOutput{Tags: tags.With(nil)}, nil
}

// merged adds tags to those a resource has; code is the error of the operation.
func merged(c *service.Call, have store.Tags, add map[string]string, code string) (store.Tags, *wire.Error) {
	for key := range add {
		if store.ReservedTag(key) {
			return nil, c.Errorf(code, "Tag keys starting with aws: are reserved for internal use")
		}
	}
	all := have.With(add)
	if len(all) > store.MaxTags {
		return nil, c.Errorf(code, "A resource can have at most %d tags", store.MaxTags)
	}
	return all, nil
}
