package kms

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// requestTags checks the tags of a request against the rules for tags and the
// tags that the key has already.
func requestTags(c *service.Call, list []types.Tag, have map[string]string) (map[string]string, *wire.Error) {
	if len(list) == 0 {
		return nil, nil
	}
	tags := map[string]string{}
	for _, tag := range list {
		name := aws.ToString(tag.TagKey)
		if _, twice := tags[name]; twice {
			return nil, c.Errorf("TagException", "Duplicate tag keys")
		}
		if store.ReservedTag(name) {
			return nil, c.Errorf("TagException", "Tags beginning with aws: are reserved")
		}
		tags[name] = aws.ToString(tag.TagValue)
	}
	if len(store.Tags(have).With(tags)) > store.MaxTags {
		return nil, c.Errorf("TagException", "Too many tags")
	}
	return tags, nil
}

func tagResource(c *service.Call, in *kms.TagResourceInput) (*kms.TagResourceOutput, *wire.Error) {
	raw := service.TagMap(in.Tags, func(t types.Tag) (key, value *string) { return t.TagKey, t.TagValue })
	key, e := alive(c, request{action: "kms:TagResource", ref: aws.ToString(in.KeyId), tags: raw})
	if e != nil {
		return nil, e
	}
	tags, e := requestTags(c, in.Tags, key.Tags)
	if e != nil {
		return nil, e
	}
	key.Tags = key.Tags.With(tags)
	return nil, nil
}

func untagResource(c *service.Call, in *kms.UntagResourceInput) (*kms.UntagResourceOutput, *wire.Error) {
	key, e := alive(c, request{action: "kms:UntagResource", ref: aws.ToString(in.KeyId), tagKeys: in.TagKeys})
	if e != nil {
		return nil, e
	}
	key.Tags = key.Tags.Without(in.TagKeys)
	return nil, nil
}

func listResourceTags(c *service.Call, in *kms.ListResourceTagsInput) (*kms.ListResourceTagsOutput, *wire.Error) {
	key, e := use(c, request{action: "kms:ListResourceTags", ref: aws.ToString(in.KeyId)})
	if e != nil {
		return nil, e
	}
	all := service.TagList(key.Tags, func(name, value *string) types.Tag { return types.Tag{TagKey: name, TagValue: value} })
	shown, next, e := page(c, all, func(t types.Tag) string { return *t.TagKey }, in.Marker, in.Limit, 50)
	if e != nil {
		return nil, e
	}
	return &kms.ListResourceTagsOutput{Tags: shown, NextMarker: next, Truncated: next != nil}, nil
}
