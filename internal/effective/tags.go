package effective

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
)

// resourceTags are the tags of the resource of a request; known is false where
// they were not read, or where it is the owner's choice whether they count.
func (v *View) resourceTags(req *authz.Request) (tags map[string]string, known bool) {
	a, err := arn.Parse(req.Resource)
	if err != nil {
		return nil, false
	}
	account := v.inv.Accounts[a.Account]
	switch {
	case a.Service == "iam" && a.Type() == "role":
		if r, state := account.Role(a.Name()); state == inventory.Exists && r.ARN == req.Resource {
			return r.Tags, true
		}
	case a.Service == "iam" && a.Type() == "user":
		if u, state := account.User(a.Name()); state == inventory.Exists && u.ARN == req.Resource {
			return u.Tags, true
		}
	case a.Service == "secretsmanager":
		if s, state := findSecret(account, a); state == inventory.Exists {
			return s.Tags, true
		}
	case optsIn(a.Service) || !tagged(req.Action):
	default:
		if guard, kind, _, _ := carrier(a); guard == req.Resource {
			r, state := v.resource(ownerOf(req), a, guard, kind)
			if state == inventory.Exists {
				return r.Tags, r.Tags != nil
			}
		}
	}
	return nil, false
}

// tellResourceTags sets the tags of the resource, as far as they are known.
func (v *View) tellResourceTags(t *telling) {
	if tags, known := v.resourceTags(t.req); known {
		for _, prefix := range tagPrefixes(t.req) {
			t.tags(prefix, tags)
		}
	}
}

// isResourceTag reports whether a key (lower case) is a tag of the resource.
func isResourceTag(key string) bool { return strings.Contains(key, ":resourcetag/") }

// optsIn reports whether tags of the service's resources count only where the
// account or the resource has that switched on. Sources: S3 guide
// buckets-tagging-enable-abac; DynamoDB guide attribute-based-access-control.
func optsIn(service string) bool { return service == "s3" || service == "dynamodb" }

// tagged reports whether an action's permissions may turn on the resource's tags.
func tagged(action string) bool {
	a, ok := catalog.ActionOf(action)
	return ok && slices.Contains(a.ConditionKeys, "aws:ResourceTag/${TagKey}")
}

// tagPrefixes begin the keys under which the tags of a request's resource stand:
// aws:ResourceTag and, beside it, that of the resource's service.
func tagPrefixes(req *authz.Request) []string {
	out := []string{"aws:ResourceTag/"}
	if a, err := arn.Parse(req.Resource); err == nil && slices.Contains([]string{"iam", "secretsmanager"}, a.Service) {
		out = append(out, a.Service+":ResourceTag/")
	}
	return out
}
