package sts

import (
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
	"github.com/stile-aws/stile/policy"
)

const (
	// maxSessionPolicy bounds inline and managed session policies together
	// (STS API reference: "2,048 characters").
	maxSessionPolicy = 2048
	// maxPolicyARNs bounds the managed session policies (STS API reference).
	maxPolicyARNs = 10
	// packedTags is how many bytes of tag keys and values make 100 % of the
	// packed size. AWS does not tell; 9 tags of 252 bytes were answered with
	// 498 % (aws-actions/configure-aws-credentials#1898).
	packedTags = 455
)

func tagMap(tags []types.Tag) map[string]string {
	return service.TagMap(tags, func(t types.Tag) (key, value *string) { return t.Key, t.Value })
}

// inherited are the transitive tags that a session passes on to the sessions
// made from it.
func inherited(from *store.Session) map[string]string {
	if from == nil {
		return nil
	}
	out := map[string]string{}
	for key, value := range from.Tags {
		if hasFold(from.Transitive, key) {
			out[key] = value
		}
	}
	return out
}

func hasFold(keys []string, key string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, key) })
}

// sessionTags are the tags of a new session and which of them are transitive:
// those passed, and those inherited, which cannot be passed again (IAM user
// guide, "Chaining roles with session tags").
func sessionTags(c *service.Call, from *store.Session, passed []types.Tag, transitive []string) (map[string]string, []string, *wire.Error) {
	tags := inherited(from)
	if tags == nil {
		tags = map[string]string{}
	}
	keys := make([]string, 0, len(tags)+len(transitive))
	for key := range tags {
		keys = append(keys, key)
	}
	var seen []string
	for _, t := range passed {
		key := aws.ToString(t.Key)
		switch {
		case hasFold(seen, key):
			return nil, nil, c.Errorf("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case store.ReservedTag(key):
			return nil, nil, c.Errorf("InvalidParameterValue", "Tag keys cannot start with the reserved prefix aws:")
		case from != nil && hasFold(from.Transitive, key):
			return nil, nil, c.Errorf("InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		}
		seen = append(seen, key)
		tags[key] = aws.ToString(t.Value)
	}
	for _, key := range transitive {
		if !hasFold(seen, key) {
			return nil, nil, c.Errorf("ValidationError", "The specified transitive tag key must be included in the requested tags.")
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return tags, keys, nil
}

// sessionPolicies checks the session policies, puts them into s and returns the
// packed size in percent, nil when there is nothing to pack.
func sessionPolicies(c *service.Call, s *store.Session, inline *string, managed []types.PolicyDescriptorType) (*int32, *wire.Error) {
	size := 0
	if inline != nil {
		doc, err := policy.Parse([]byte(*inline))
		problems, _ := errors.AsType[policy.Errors](err)
		if err == nil {
			problems = policy.Validate(doc, policy.Session)
		}
		if len(problems) > 0 {
			return nil, c.Errorf("MalformedPolicyDocumentException", "%s", problems.AWS(policy.Session))
		}
		s.Policies = []string{*inline}
		size = len(*inline)
	}
	if len(managed) > maxPolicyARNs {
		return nil, c.Errorf("ValidationError", "Number of policies exceeds the quota of %d.", maxPolicyARNs)
	}
	for _, m := range managed {
		ref := aws.ToString(m.Arn)
		if _, ok := c.ManagedDocument(s.Account, ref); !ok {
			return nil, c.Errorf("ValidationError", "Policy %s does not exist or is not attachable.", ref)
		}
		s.PolicyARNs = append(s.PolicyARNs, ref)
		size += len(ref)
	}
	return packedSize(c, s, size)
}

// packedSize estimates how much of the session's space policies and tags take.
// AWS does not publish the packing; the quotas of the plain text are its own.
func packedSize(c *service.Call, s *store.Session, policies int) (*int32, *wire.Error) {
	tags := 0
	for key, value := range s.Tags {
		tags += len(key) + len(value)
	}
	if policies == 0 && tags == 0 {
		return nil, nil
	}
	if percent := policies * 100 / maxSessionPolicy; policies > maxSessionPolicy {
		return nil, c.Errorf("PackedPolicyTooLargeException", "Packed policy consumes %d%% of allotted space, please use smaller policy.", percent)
	}
	percent := tags * 100 / packedTags
	if percent > 100 {
		return nil, c.Errorf("PackedPolicyTooLargeException", "Packed size of session tags consumes %d%% of allotted space.", percent)
	}
	percent = min(percent+policies*100/maxSessionPolicy, 100)
	return aws.Int32(int32(max(percent, 1))), nil
}

// sourceIdentity is the source identity of a new session: once set it stays
// (STS API reference, SourceIdentity).
func sourceIdentity(from *store.Session, wanted *string) string {
	if from != nil && from.SourceIdentity != "" {
		return from.SourceIdentity
	}
	return aws.ToString(wanted)
}

// sessionContext are the condition keys of a request for a role session.
func sessionContext(name, source string, transitive []string) map[string][]string {
	context := map[string][]string{"sts:RoleSessionName": {name}}
	if source != "" {
		context["sts:SourceIdentity"] = []string{source}
	}
	if len(transitive) > 0 {
		context["sts:TransitiveTagKeys"] = transitive
	}
	return context
}

// steps are the accesses of a request for a role session: the assumption
// itself, and tagging and naming the source where the request does so. Each
// asks the same trust policy.
func steps(assume gate.Access, source string) []gate.Access {
	accesses := []gate.Access{assume}
	if len(assume.RequestTags) > 0 {
		tag := assume
		tag.Action = "sts:TagSession"
		accesses = append(accesses, tag)
	}
	if source != "" {
		set := assume
		set.Action = "sts:SetSourceIdentity"
		accesses = append(accesses, set)
	}
	return accesses
}
