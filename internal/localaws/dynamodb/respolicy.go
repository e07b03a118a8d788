package dynamodb

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
	"github.com/stile-aws/stile/policy"
)

// maxPolicy is the limit of a resource policy: "DynamoDB counts whitespaces".
const maxPolicy = 20 << 10

// noPolicy is the ExpectedRevisionId of a table without a policy.
const noPolicy = "NO_POLICY"

func getResourcePolicy(c *service.Call, in *dynamodb.GetResourcePolicyInput) (*dynamodb.GetResourcePolicyOutput, *wire.Error) {
	t, e := byARN(c, request{action: "GetResourcePolicy", ref: aws.ToString(in.ResourceArn)})
	if e != nil {
		return nil, e
	}
	p := t.Policy.Latest()
	if p == nil {
		return nil, c.Errorf("PolicyNotFoundException", "Resource-based policy not found for the provided ResourceArn: %s", t.ARN())
	}
	return &dynamodb.GetResourcePolicyOutput{Policy: aws.String(c.World.Present(p.Text)), RevisionId: &p.Revision}, nil
}

// byARN is request.table for parameters that have to be the ARN of a table.
func byARN(c *service.Call, r request) (*store.Table, *wire.Error) {
	if !strings.HasPrefix(r.ref, "arn:") || strings.Count(r.ref, "/") != 1 {
		return nil, c.Errorf("ValidationException", "Invalid TableArn: Invalid ResourceArn provided as input %s", r.ref)
	}
	t, e := r.find(c)
	if e == nil && t == nil {
		e = c.Errorf("ResourceNotFoundException", "Requested resource not found: ResourcArn: %s not found", r.ref) // spelt as AWS does
	}
	return t, e
}

func putResourcePolicy(c *service.Call, in *dynamodb.PutResourcePolicyInput) (*dynamodb.PutResourcePolicyOutput, *wire.Error) {
	t, e := byARN(c, request{action: "PutResourcePolicy", ref: aws.ToString(in.ResourceArn)})
	if e != nil {
		return nil, e
	}
	if e := expect(c, t, in.ExpectedRevisionId); e != nil {
		return nil, e
	}
	stored, e := acceptPolicy(c, aws.ToString(in.Policy))
	if e != nil {
		return nil, e
	}
	if !in.ConfirmRemoveSelfResourceAccess {
		if e := keepsAccess(c, t, stored); e != nil {
			return nil, e
		}
	}
	return &dynamodb.PutResourcePolicyOutput{RevisionId: aws.String(setPolicy(c, t, stored))}, nil
}

// expect compares the revision that the caller expects with the one that is there.
func expect(c *service.Call, t *store.Table, revision *string) *wire.Error {
	have := noPolicy
	if p := t.Policy.Latest(); p != nil {
		have = p.Revision
	}
	if revision != nil && *revision != have {
		return c.Errorf("PolicyNotFoundException", "Resource-based policy not found for the provided ResourceArn: Requested update for policy with revision id %s, but policy associated to target table %s has revision id %s.", *revision, t.Name, have)
	}
	return nil
}

// putPolicy gives a new table its policy.
func putPolicy(c *service.Call, t *store.Table, text string) *wire.Error {
	stored, e := acceptPolicy(c, text)
	if e == nil {
		setPolicy(c, t, stored)
	}
	return e
}

// setPolicy stores a policy and gives its revision. The same policy again keeps its
// revision.
func setPolicy(c *service.Call, t *store.Table, stored string) string {
	if p := t.Policy.Latest(); p != nil && p.Text == stored {
		return p.Revision
	}
	if t.Policy == nil {
		t.Policy = &store.Versioned[store.TablePolicy]{}
	}
	p := &store.TablePolicy{Text: stored, Revision: c.World.IDs().UUID()}
	t.Policy.Put(c.Now, p)
	return p.Revision
}

func acceptPolicy(c *service.Call, text string) (string, *wire.Error) {
	if len(text) > maxPolicy {
		return "", c.Errorf("ValidationException", "Resource-based policy size exceeds the maximum of %d bytes", maxPolicy)
	}
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		return "", c.Errorf("ValidationException", "Invalid policy document: %s", err.Error())
	}
	if problems := policy.Validate(doc, policy.Resource); len(problems) > 0 {
		return "", c.Errorf("ValidationException", "Invalid policy document: %s", problems.Error())
	}
	stored, err := c.World.Canonical(text)
	if err != nil {
		return "", c.Errorf("ValidationException", "Invalid policy document: Invalid principal in policy document")
	}
	return stored, nil
}

// keepsAccess refuses a policy under which the caller could not change it again,
// unless the caller confirmed that.
func keepsAccess(c *service.Call, t *store.Table, stored string) *wire.Error {
	p, e := compiled(c, t, stored)
	if e != nil {
		return invalid(c, e)
	}
	verdict := c.Check(c.Caller, gate.Access{Action: "dynamodb:PutResourcePolicy", Resource: t.ARN().String(), Account: t.Account, Policy: p, ResourceTags: t.Tags})
	if !verdict.Allowed {
		return c.Errorf("ValidationException", "The policy would remove your permission to change the policy of this resource; set ConfirmRemoveSelfResourceAccess to confirm that")
	}
	return nil
}

func deleteResourcePolicy(c *service.Call, in *dynamodb.DeleteResourcePolicyInput) (*dynamodb.DeleteResourcePolicyOutput, *wire.Error) {
	t, e := byARN(c, request{action: "DeleteResourcePolicy", ref: aws.ToString(in.ResourceArn)})
	if e != nil {
		return nil, e
	}
	if e := expect(c, t, in.ExpectedRevisionId); e != nil {
		return nil, e
	}
	out := &dynamodb.DeleteResourcePolicyOutput{}
	if p := t.Policy.Latest(); p != nil {
		out.RevisionId = &p.Revision
		t.Policy.Put(c.Now, nil)
	}
	return out, nil
}

func tagMap(list []types.Tag) map[string]string {
	return service.TagMap(list, func(t types.Tag) (key, value *string) { return t.Key, t.Value })
}

func checkTags(c *service.Call, list []types.Tag, have store.Tags) *wire.Error {
	tags := tagMap(list)
	for key := range tags {
		if store.ReservedTag(key) {
			return c.Errorf("ValidationException", "One or more parameter values were invalid: Tag keys beginning with aws: are reserved")
		}
	}
	if len(have.With(tags)) > store.MaxTags {
		return c.Errorf("ValidationException", "One or more parameter values were invalid: Too many tags: a table can have at most %d", store.MaxTags)
	}
	return nil
}

func tagResource(c *service.Call, in *dynamodb.TagResourceInput) (*dynamodb.TagResourceOutput, *wire.Error) {
	t, e := byARN(c, request{action: "TagResource", ref: aws.ToString(in.ResourceArn), tags: tagMap(in.Tags)})
	if e != nil {
		return nil, e
	}
	if e := checkTags(c, in.Tags, t.Tags); e != nil {
		return nil, e
	}
	t.Tags = t.Tags.With(tagMap(in.Tags))
	return nil, nil
}

func untagResource(c *service.Call, in *dynamodb.UntagResourceInput) (*dynamodb.UntagResourceOutput, *wire.Error) {
	t, e := byARN(c, request{action: "UntagResource", ref: aws.ToString(in.ResourceArn), tagKeys: in.TagKeys})
	if e != nil {
		return nil, e
	}
	t.Tags = t.Tags.Without(in.TagKeys)
	return nil, nil
}

func listTagsOfResource(c *service.Call, in *dynamodb.ListTagsOfResourceInput) (*dynamodb.ListTagsOfResourceOutput, *wire.Error) {
	t, e := byARN(c, request{action: "ListTagsOfResource", ref: aws.ToString(in.ResourceArn)})
	if e != nil {
		return nil, e
	}
	tags := service.TagList(t.Tags, func(key, value *string) types.Tag { return types.Tag{Key: key, Value: value} })
	return &dynamodb.ListTagsOfResourceOutput{Tags: tags}, nil // at most 50: one page
}
