package importer

import (
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/importer/naming"
	"github.com/stile-aws/stile/internal/inventory"
)

// tfName says how a resource type is called.
type tfName struct {
	attribute string // with the name
	prefix    string // the attribute with a prefix for a made-up name, "" for none
	pattern   naming.Pattern
	byARN     bool                // its id is its ARN
	id        func(n int) string  // for types without a name: a stand-in
	own       func(string) string // what the name is in the attribute's value; nil for the value itself
}

// tfNames are the types whose names count. Source: the AWS provider's
// documentation, "Argument Reference" and "Attribute Reference" of each.
var tfNames = map[string]tfName{
	"aws_iam_role":                    {attribute: "name", prefix: "name_prefix", pattern: naming.Role},
	"aws_iam_user":                    {attribute: "name", pattern: naming.User},
	"aws_iam_group":                   {attribute: "name", pattern: naming.Group},
	"aws_iam_policy":                  {attribute: "name", prefix: "name_prefix", pattern: naming.Policy, byARN: true},
	"aws_iam_openid_connect_provider": {attribute: "url", pattern: naming.OIDCProvider, byARN: true, own: func(url string) string { return strings.TrimPrefix(url, "https://") }},
	"aws_iam_saml_provider":           {attribute: "name", pattern: naming.SAMLProvider, byARN: true},
	"aws_secretsmanager_secret":       {attribute: "name", prefix: "name_prefix", pattern: naming.Secret, byARN: true},
	"aws_kms_key":                     {attribute: "key_id", pattern: naming.Key, id: naming.KeyID},
	"aws_kms_external_key":            {attribute: "id", pattern: naming.Key, id: naming.KeyID},
	"aws_kms_replica_key":             {attribute: "key_id", pattern: naming.Key, id: naming.KeyID},
	"aws_s3_bucket":                   {attribute: "bucket", prefix: "bucket_prefix", pattern: naming.Bucket},
	"aws_sqs_queue":                   {attribute: "name", prefix: "name_prefix", pattern: naming.Queue},
	"aws_sns_topic":                   {attribute: "name", prefix: "name_prefix", pattern: naming.Topic, byARN: true},
	"aws_lambda_function":             {attribute: "function_name", pattern: naming.Function},
	"aws_dynamodb_table":              {attribute: "name", pattern: naming.Table},
	"aws_ecr_repository":              {attribute: "name", pattern: naming.Repository},
	"aws_vpc_endpoint":                {attribute: "id", pattern: naming.Endpoint, id: naming.EndpointID},
	"aws_eks_cluster":                 {attribute: "name", pattern: naming.Cluster},
	"aws_organizations_policy":        {attribute: "id", id: naming.OrgPolicyID},
}

// madeUp stands for the 26 digits that Terraform appends to a prefix.
const madeUp = "00000000000000000000000000"

// thing names a resource by the values v, the one before or the one after.
func (t *terraform) thing(r *tfResource, v value) (out thing, why string) {
	n := tfNames[r.Type]
	out = thing{place: t.at(r), account: r.account, region: r.region, partition: r.partition(), anew: r.anew}
	name, why := v.at(n.attribute).text()
	switch {
	case (why != "" || name == "") && n.id != nil:
		name = n.id(r.number + 1)
	case why != "" && r.configured(n.attribute):
		return out, why
	case why != "" || name == "":
		prefix, unknown := v.at(n.prefix).text()
		if n.prefix == "" || unknown != "" {
			return out, knownAfterApply
		}
		if prefix == "" {
			prefix = "terraform-"
		}
		name = prefix + madeUp
	}
	if n.own != nil {
		name = n.own(name)
	}
	out.name = name
	if own := v.at("arn").known(); arn.Is(own) {
		out.arn = own
	} else if out.arn = n.pattern.Fill(naming.Parts{Partition: out.partition, Region: r.region, Account: r.account, Path: v.at("path").known(), Name: name}); out.arn == "" && n.pattern != "" {
		return out, "its Region is not known"
	}
	return out, ""
}

// here is the thing the resource is at this step; ok is false, with a finding,
// when its name is not known.
func (t *terraform) here(r *tfResource, what string) (thing, bool) {
	out, why := t.thing(r, r.v)
	if why != "" {
		t.placeless(t.at(r), r.account, what, why)
		return out, false
	}
	return out, true
}

// latest is what the resource will be, or was when the plan removes it.
func (r *tfResource) latest() value {
	if r.after.none() {
		return r.before
	}
	return r.after
}

// text is an attribute's text; one that refers to another resource of the plan is
// that resource's name, id or ARN, also before it is made.
func (t *terraform) text(r *tfResource, attribute string) (text, why string) {
	text, why = r.v.at(attribute).text()
	if why == "" {
		return text, ""
	}
	target, of, ok := t.follow(r, attribute)
	if !ok {
		return "", why
	}
	named, unnamed := t.thing(target, target.latest())
	n, known := tfNames[target.Type]
	switch {
	case unnamed != "" || !known:
		return "", why
	case of == "" && strings.HasSuffix(attribute, "arn"), of == "arn", of == "id" && n.byARN:
		// An index of each.key hides which attribute it is; what is wanted tells.
		return named.arn, ""
	case target.Type == "aws_sqs_queue" && (of == "url" || of == "id"):
		return naming.QueueURL.Fill(naming.Parts{Region: target.region, Account: target.account, Name: named.name}), ""
	case of == "id" || of == n.attribute || of == "key_id" || of == "name":
		return named.name, ""
	}
	return "", why
}

// orUnknown is text, or what stands for one that is not known.
func (t *terraform) orUnknown(r *tfResource, attribute string) string {
	text, why := t.text(r, attribute)
	if why != "" {
		return inventory.Unknown(r.Address + ": " + why)
	}
	return text
}

// holder is the role, user or group that an attribute names.
func (t *terraform) holder(r *tfResource, kind, attribute string) (holder, bool) {
	name, why := t.text(r, attribute)
	if why != "" {
		t.placeless(t.at(r), r.account, kind, why)
		return holder{}, false
	}
	return holder{account: r.account, kind: kind, name: name}, true
}
