package iam

import (
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

// requested are the tags of a request as condition keys see them.
func requested(tags []types.Tag) map[string]string {
	return service.TagMap(tags, func(t types.Tag) (key, value *string) { return t.Key, t.Value })
}

// merged adds tags to those a record has. Keys are the same without regard to
// case; the spelling of the newer one stays (IAM user guide, "Tagging IAM resources").
func merged(c *service.Call, have store.Tags, tags []types.Tag) (store.Tags, *wire.Error) {
	out := have.With(nil)
	seen := map[string]bool{}
	for _, t := range tags {
		key := aws.ToString(t.Key)
		fold := strings.ToLower(key)
		if seen[fold] {
			return nil, invalidInput(c, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		if store.ReservedTag(key) {
			return nil, invalidInput(c, "Tag keys cannot start with the reserved prefix aws:")
		}
		seen[fold] = true
		drop(out, key)
		out[key] = aws.ToString(t.Value)
	}
	if limit := quotaTags.of(c); len(out) > limit {
		return nil, c.Errorf("LimitExceededException", "The number of tags has reached the maximum limit.")
	}
	return out, nil
}

// tagsAt are the tags of the record with an ARN, nil when there is none. Every
// operation on a tagged record has them as condition keys (Service
// Authorization Reference, IAM: the resource types' keys).
func tagsAt(c *service.Call, ref string) store.Tags {
	a, err := arn.Parse(ref)
	if err != nil || a.Account != c.Account {
		return nil
	}
	own, name := &c.Own().IAM, a.Name()
	switch a.Type() {
	case "role":
		if r := own.Role(name).Latest(); r != nil {
			return r.Tags
		}
	case "user":
		if u := own.User(name).Latest(); u != nil {
			return u.Tags
		}
	case "policy":
		if p := own.Policy(name).Latest(); p != nil {
			return p.Tags
		}
	case "oidc-provider":
		if p := own.OIDCProviders[name].Latest(); p != nil {
			return p.Tags
		}
	case "saml-provider":
		if p := own.SAMLProviders[strings.ToLower(name)].Latest(); p != nil {
			return p.Tags
		}
	case "mfa":
		if d := own.MFADevice(name).Latest(); d != nil {
			return d.Tags
		}
	case "instance-profile":
		if p := own.InstanceProfiles[strings.ToLower(name)].Latest(); p != nil {
			return p.Tags
		}
	}
	return nil
}

// drop removes a key without regard to case.
func drop(tags store.Tags, key string) {
	for have := range tags {
		if strings.EqualFold(have, key) {
			delete(tags, have)
		}
	}
}

// shown are tags in the order of their keys.
func shown(tags store.Tags) []types.Tag {
	return service.TagList(tags, func(key, value *string) types.Tag { return types.Tag{Key: key, Value: value} })
}

// optional leaves tags out of an answer that has none.
func optional(tags store.Tags) []types.Tag {
	if len(tags) == 0 {
		return nil
	}
	return shown(tags)
}

// tagged is a record that can be tagged.
type tagged struct {
	arn  string
	tags store.Tags
	set  func(store.Tags)
}

// tagOps are the three operations on the tags of one kind of record.
type tagOps[T, U, L any] struct {
	record func(c *service.Call, name string) (tagged, *wire.Error)
	// resource is the ARN of a record that may not exist.
	resource func(c *service.Call, name string) string
	tag      func(*T) (name *string, tags []types.Tag)
	untag    func(*U) (name *string, keys []string)
	list     func(*L) (name, marker *string, max *int32)
}

func (o tagOps[T, U, L]) access(c *service.Call, action, name string) gate.Access {
	return onRecord(c, action, o.resource(c, name))
}

func tagging[T, U, L, O any](o tagOps[T, U, L], action string) service.Op[T, O] {
	return service.Op[T, O]{
		Access: func(c *service.Call, in *T) ([]gate.Access, *wire.Error) {
			name, tags := o.tag(in)
			a := o.access(c, action, aws.ToString(name))
			a.RequestTags = requested(tags)
			return []gate.Access{a}, nil
		},
		Handle: func(c *service.Call, in *T) (*O, *wire.Error) {
			name, tags := o.tag(in)
			r, e := o.record(c, aws.ToString(name))
			if e != nil {
				return nil, e
			}
			all, e := merged(c, r.tags, tags)
			if e != nil {
				return nil, e
			}
			r.set(all)
			return nil, nil
		},
	}
}

func untagging[T, U, L, O any](o tagOps[T, U, L], action string) service.Op[U, O] {
	return service.Op[U, O]{
		Access: func(c *service.Call, in *U) ([]gate.Access, *wire.Error) {
			name, keys := o.untag(in)
			a := o.access(c, action, aws.ToString(name))
			a.TagKeys = keys
			return []gate.Access{a}, nil
		},
		Handle: func(c *service.Call, in *U) (*O, *wire.Error) {
			name, keys := o.untag(in)
			r, e := o.record(c, aws.ToString(name))
			if e != nil {
				return nil, e
			}
			left, e := merged(c, r.tags, nil)
			if e != nil {
				return nil, e
			}
			for _, key := range keys {
				drop(left, key)
			}
			r.set(left)
			return nil, nil
		},
	}
}

func listing[T, U, L, O any](o tagOps[T, U, L], action string, answer func(marked[types.Tag]) *O) service.Op[L, O] {
	return service.Op[L, O]{
		ReadOnly: true,
		Access: func(c *service.Call, in *L) ([]gate.Access, *wire.Error) {
			name, _, _ := o.list(in)
			return []gate.Access{o.access(c, action, aws.ToString(name))}, nil
		},
		Handle: func(c *service.Call, in *L) (*O, *wire.Error) {
			name, marker, max := o.list(in)
			r, e := o.record(c, aws.ToString(name))
			if e != nil {
				return nil, e
			}
			p, e := page(c, marker, max, shown(r.tags), func(t types.Tag) string { return *t.Key })
			if e != nil {
				return nil, e
			}
			return answer(p), nil
		},
	}
}

// entityTags makes roles and users taggable.
func entityTags(k kind) func(c *service.Call, name string) (tagged, *wire.Error) {
	return func(c *service.Call, name string) (tagged, *wire.Error) {
		o, e := k.find(c, name)
		if e != nil {
			return tagged{}, e
		}
		set := func(t store.Tags) { o.edit(c.Now, func(e *store.Entity) { e.Tags = t }) }
		return tagged{o.arn(c).String(), o.Tags, set}, nil
	}
}

func entityARN(k kind) func(c *service.Call, name string) string {
	return func(c *service.Call, name string) string { return k.arn(c, name).String() }
}

func registerTags(s *service.Service) {
	role := tagOps[iam.TagRoleInput, iam.UntagRoleInput, iam.ListRoleTagsInput]{
		entityTags(roles), entityARN(roles),
		func(in *iam.TagRoleInput) (*string, []types.Tag) { return in.RoleName, in.Tags },
		func(in *iam.UntagRoleInput) (*string, []string) { return in.RoleName, in.TagKeys },
		func(in *iam.ListRoleTagsInput) (*string, *string, *int32) {
			return in.RoleName, in.Marker, in.MaxItems
		},
	}
	service.Register(s, "TagRole", tagging[iam.TagRoleInput, iam.UntagRoleInput, iam.ListRoleTagsInput, iam.TagRoleOutput](role, "TagRole"))
	service.Register(s, "UntagRole", untagging[iam.TagRoleInput, iam.UntagRoleInput, iam.ListRoleTagsInput, iam.UntagRoleOutput](role, "UntagRole"))
	service.Register(s, "ListRoleTags", listing(role, "ListRoleTags", func(p marked[types.Tag]) *iam.ListRoleTagsOutput {
		return &iam.ListRoleTagsOutput{Tags: p.items, IsTruncated: p.truncated, Marker: p.marker}
	}))
	user := tagOps[iam.TagUserInput, iam.UntagUserInput, iam.ListUserTagsInput]{
		entityTags(users), entityARN(users),
		func(in *iam.TagUserInput) (*string, []types.Tag) { return in.UserName, in.Tags },
		func(in *iam.UntagUserInput) (*string, []string) { return in.UserName, in.TagKeys },
		func(in *iam.ListUserTagsInput) (*string, *string, *int32) {
			return in.UserName, in.Marker, in.MaxItems
		},
	}
	service.Register(s, "TagUser", tagging[iam.TagUserInput, iam.UntagUserInput, iam.ListUserTagsInput, iam.TagUserOutput](user, "TagUser"))
	service.Register(s, "UntagUser", untagging[iam.TagUserInput, iam.UntagUserInput, iam.ListUserTagsInput, iam.UntagUserOutput](user, "UntagUser"))
	service.Register(s, "ListUserTags", listing(user, "ListUserTags", func(p marked[types.Tag]) *iam.ListUserTagsOutput {
		return &iam.ListUserTagsOutput{Tags: p.items, IsTruncated: p.truncated, Marker: p.marker}
	}))
	registerPolicyTags(s)
	registerOIDCTags(s)
	registerSAMLTags(s)
	registerProfileTags(s)
	registerMFATags(s)
}
