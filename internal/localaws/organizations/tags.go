package organizations

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

func registerTags(s *service.Service) {
	register(s, "TagResource", op[organizations.TagResourceInput, organizations.TagResourceOutput]{
		access: func(c call, in *organizations.TagResourceInput) []gate.Access {
			a := c.on(in.ResourceId)
			a.RequestTags = requested(in.Tags)
			return []gate.Access{a}
		},
		handle: func(c call, in *organizations.TagResourceInput) (*organizations.TagResourceOutput, *wire.Error) {
			return nil, c.retag(in.ResourceId, func(have store.Tags) (store.Tags, *wire.Error) { return merged(c, have, in.Tags) })
		},
	})
	register(s, "UntagResource", op[organizations.UntagResourceInput, organizations.UntagResourceOutput]{
		access: func(c call, in *organizations.UntagResourceInput) []gate.Access {
			a := c.on(in.ResourceId)
			a.TagKeys = in.TagKeys
			return []gate.Access{a}
		},
		handle: func(c call, in *organizations.UntagResourceInput) (*organizations.UntagResourceOutput, *wire.Error) {
			return nil, c.retag(in.ResourceId, func(have store.Tags) (store.Tags, *wire.Error) {
				return have.Without(in.TagKeys), nil
			})
		},
	})
	register(s, "ListTagsForResource", op[organizations.ListTagsForResourceInput, organizations.ListTagsForResourceOutput]{
		rank: reader, readOnly: true,
		access: func(c call, in *organizations.ListTagsForResourceInput) []gate.Access {
			return []gate.Access{c.on(in.ResourceId)}
		},
		handle: listTags,
	})
}

// tagged is the access to make something, with the permission to tag it where
// the request has tags.
func tagged(a gate.Access, tags []types.Tag) []gate.Access {
	if len(tags) == 0 {
		return []gate.Access{a}
	}
	a.RequestTags = requested(tags)
	tagging := gate.Access{Action: "organizations:TagResource", Resource: "*", RequestTags: a.RequestTags}
	return []gate.Access{a, tagging}
}

func requested(tags []types.Tag) map[string]string {
	return service.TagMap(tags, func(t types.Tag) (key, value *string) { return t.Key, t.Value })
}

func merged(c call, have store.Tags, add []types.Tag) (store.Tags, *wire.Error) {
	all, seen := have.With(nil), map[string]bool{}
	for _, t := range add {
		key := aws.ToString(t.Key)
		if seen[key] {
			return nil, c.invalid("DUPLICATE_TAG_KEY", "Tag keys must be unique among the tags attached to the same entity.")
		}
		if store.ReservedTag(key) {
			return nil, c.invalid("INVALID_SYSTEM_TAGS_PARAMETER", "You specified a tag key that is a system tag. You can't add, edit, or delete system tag keys.")
		}
		seen[key], all[key] = true, aws.ToString(t.Value)
	}
	if len(all) > store.MaxTags {
		return nil, c.constraint("MAX_TAG_LIMIT_EXCEEDED", "You have exceeded the number of tags allowed on this resource.")
	}
	return all, nil
}

// tags finds the tags of a root, OU, account or policy.
func (c call) tags(id *string) (store.Tags, *wire.Error) {
	if t := c.target(aws.ToString(id)); t != nil {
		return *t.tags, nil
	}
	if p := c.policy(aws.ToString(id)); p != nil && !p.own {
		return p.Tags, nil
	}
	return nil, c.Errorf("TargetNotFoundException", "You specified a target that doesn't exist.")
}

func (c call) retag(id *string, change func(store.Tags) (store.Tags, *wire.Error)) *wire.Error {
	have, e := c.tags(id)
	if e != nil {
		return e
	}
	after, e := change(have)
	if e != nil {
		return e
	}
	if t := c.target(aws.ToString(id)); t != nil {
		*t.tags = after
		return nil
	}
	c.org.Policies[*id].Edit(c.Now, func(p *store.OrgPolicy) { p.Tags = after })
	return nil
}

func listTags(c call, in *organizations.ListTagsForResourceInput) (*organizations.ListTagsForResourceOutput, *wire.Error) {
	tags, e := c.tags(in.ResourceId)
	if e != nil {
		return nil, e
	}
	all := service.TagList(tags, func(key, value *string) types.Tag { return types.Tag{Key: key, Value: value} })
	shown, next, e := page(c, all, func(t types.Tag) string { return *t.Key }, in.NextToken, aws.Int32(store.MaxTags))
	if e != nil {
		return nil, e
	}
	return &organizations.ListTagsForResourceOutput{Tags: shown, NextToken: next}, nil
}
