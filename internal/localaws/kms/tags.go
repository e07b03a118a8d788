package kms

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/stile-aws/stile/internal/localaws/service"
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
		if strings.HasPrefix(strings.ToLower(name), "aws:") {
			return nil, c.Errorf("TagException", "Tags beginning with aws: are reserved")
		}
		tags[name] = aws.ToString(tag.TagValue)
	}
	all := maps.Clone(tags)
	maps.Insert(all, maps.All(have))
	if len(all) > maxTags {
		return nil, c.Errorf("TagException", "Too many tags")
	}
	return tags, nil
}

func tagResource(c *service.Call, in *kms.TagResourceInput) (*kms.TagResourceOutput, *wire.Error) {
	raw := map[string]string{}
	for _, tag := range in.Tags {
		raw[aws.ToString(tag.TagKey)] = aws.ToString(tag.TagValue)
	}
	key, e := alive(c, request{action: "kms:TagResource", ref: aws.ToString(in.KeyId), tags: raw})
	if e != nil {
		return nil, e
	}
	tags, e := requestTags(c, in.Tags, key.Tags)
	if e != nil {
		return nil, e
	}
	merged := maps.Clone(key.Tags)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, tags)
	key.Tags = merged
	return nil, nil
}

func untagResource(c *service.Call, in *kms.UntagResourceInput) (*kms.UntagResourceOutput, *wire.Error) {
	key, e := alive(c, request{action: "kms:UntagResource", ref: aws.ToString(in.KeyId), tagKeys: in.TagKeys})
	if e != nil {
		return nil, e
	}
	key.Tags = maps.Clone(key.Tags)
	for _, name := range in.TagKeys {
		delete(key.Tags, name)
	}
	return nil, nil
}

func listResourceTags(c *service.Call, in *kms.ListResourceTagsInput) (*kms.ListResourceTagsOutput, *wire.Error) {
	key, e := use(c, request{action: "kms:ListResourceTags", ref: aws.ToString(in.KeyId)})
	if e != nil {
		return nil, e
	}
	names := slices.Sorted(maps.Keys(key.Tags))
	shown, next, e := page(c, names, func(name string) string { return name }, in.Marker, in.Limit, 50)
	if e != nil {
		return nil, e
	}
	out := &kms.ListResourceTagsOutput{Tags: []types.Tag{}, NextMarker: next, Truncated: next != nil}
	for _, name := range shown {
		out.Tags = append(out.Tags, types.Tag{TagKey: aws.String(name), TagValue: aws.String(key.Tags[name])})
	}
	return out, nil
}
