package cfn

import (
	"strings"

	"github.com/stile-aws/stile/internal/importer/naming"
	"github.com/stile-aws/stile/internal/importer/tree"
	"github.com/stile-aws/stile/policy"
)

// identity is what a resource is called once it is made.
type identity struct {
	name, arn string
	ref       string            // what Ref gives
	attrs     map[string]string // what GetAtt gives
	why       string            // why name and arn are not known, "" when they are
	standing  bool              // a part is a stand-in
}

// node is Ref's or an attribute's value.
func (id *identity) node(attribute, logical string) policy.Node {
	value, worked := id.attrs[attribute]
	if attribute == "ref" {
		value, worked = id.ref, id.name != ""
	}
	switch {
	case value != "":
		return text(value)
	case id.why != "":
		return unknown("%s", id.why)
	case worked:
		return unknown("what %s is called takes an account, a Region and a partition, which were not all given", logical)
	}
	return unknown("%s of %s is known only when the stack is deployed", attribute, logical)
}

// kind says how resources of a type are called.
type kind struct {
	property string // with the name
	arn      naming.Pattern
	ref      what
	attrs    map[string]what // what GetAtt gives
	lower    bool            // made-up names are in lower case
	// id gives the stand-in for the n-th resource of a type that has no name and
	// whose id AWS makes up.
	id func(n int) string
}

// what is one of the ways to refer to a resource.
type what uint8

const (
	byName what = iota
	byARN
	byURL // of a queue
)

// kinds are the types whose names count here. Source: the "Return values" of each
// type in the CloudFormation template reference.
var kinds = map[string]kind{
	"AWS::IAM::Role":              {property: "RoleName", arn: naming.Role, attrs: map[string]what{"Arn": byARN}},
	"AWS::IAM::User":              {property: "UserName", arn: naming.User, attrs: map[string]what{"Arn": byARN}},
	"AWS::IAM::Group":             {property: "GroupName", arn: naming.Group, attrs: map[string]what{"Arn": byARN}},
	"AWS::IAM::ManagedPolicy":     {property: "ManagedPolicyName", arn: naming.Policy, ref: byARN, attrs: map[string]what{"PolicyArn": byARN}},
	"AWS::IAM::OIDCProvider":      {property: "Url", arn: naming.OIDCProvider, ref: byARN, attrs: map[string]what{"Arn": byARN}},
	"AWS::IAM::SAMLProvider":      {property: "Name", arn: naming.SAMLProvider, ref: byARN, attrs: map[string]what{"Arn": byARN}},
	"AWS::SecretsManager::Secret": {property: "Name", arn: naming.Secret, ref: byARN, attrs: map[string]what{"Id": byARN}},
	"AWS::KMS::Key":               {id: naming.KeyID, arn: naming.Key, attrs: map[string]what{"Arn": byARN, "KeyId": byName}},
	"AWS::KMS::Alias":             {property: "AliasName", arn: naming.Alias},
	"AWS::S3::Bucket":             {property: "BucketName", arn: naming.Bucket, attrs: map[string]what{"Arn": byARN}, lower: true},
	"AWS::SQS::Queue":             {property: "QueueName", arn: naming.Queue, ref: byURL, attrs: map[string]what{"Arn": byARN, "QueueName": byName, "QueueUrl": byURL}},
	"AWS::SNS::Topic":             {property: "TopicName", arn: naming.Topic, ref: byARN, attrs: map[string]what{"TopicArn": byARN, "TopicName": byName}},
	"AWS::Lambda::Function":       {property: "FunctionName", arn: naming.Function, attrs: map[string]what{"Arn": byARN}},
	"AWS::DynamoDB::Table":        {property: "TableName", arn: naming.Table, attrs: map[string]what{"Arn": byARN}},
	"AWS::DynamoDB::GlobalTable":  {property: "TableName", arn: naming.Table, attrs: map[string]what{"Arn": byARN}},
	"AWS::ECR::Repository":        {property: "RepositoryName", arn: naming.Repository, attrs: map[string]what{"Arn": byARN}, lower: true},
	"AWS::EC2::VPCEndpoint":       {id: naming.EndpointID, arn: naming.Endpoint, attrs: map[string]what{"Id": byName}},
	"AWS::EKS::Cluster":           {property: "Name", arn: naming.Cluster, attrs: map[string]what{"Arn": byARN}},
	"AWS::Organizations::Policy":  {id: naming.OrgPolicyID, attrs: map[string]what{"Id": byName}},
}

// identity works out what the resource is called, once.
func (r *resolver) identity(logical string) *identity {
	if known, ok := r.identities[logical]; ok {
		return known
	}
	r.identities[logical] = &identity{why: "the name of " + logical + " refers to itself"}
	n := tree.Member(r.template.root, "Resources", logical)
	k, ok := kinds[tree.Member(n, "Type").Text]
	id := &identity{why: "what " + logical + " is called is known only when the stack is deployed"}
	if ok {
		id = r.christen(logical, k, n)
	}
	r.identities[logical] = id
	return id
}

// christen names the resource n of kind k.
func (r *resolver) christen(logical string, k kind, n policy.Node) *identity {
	id := &identity{}
	id.name, id.standing, id.why = r.nameOf(logical, k, n)
	if id.why != "" {
		return id
	}
	parts := naming.Parts{Partition: r.env.Partition, Region: r.env.Region, Account: r.env.Account, Name: id.name}
	path := r.eval(tree.Member(n, "Properties", "Path"), 1)
	if why, unknown := tree.Why(path); unknown && strings.Contains(string(k.arn), "H") {
		id.why = why
		return id
	}
	parts.Path = path.Text
	id.arn = k.arn.Fill(parts)
	names := map[what]string{byName: id.name, byARN: id.arn, byURL: naming.QueueURL.Fill(parts)}
	id.ref = names[k.ref]
	id.attrs = map[string]string{}
	for name, by := range k.attrs {
		id.attrs[name] = names[by]
	}
	return id
}

// nameOf is the resource's own name, or the one it will be given.
func (r *resolver) nameOf(logical string, k kind, n policy.Node) (name string, standing bool, why string) {
	if k.id != nil {
		r.keys++
		return k.id(r.keys), true, ""
	}
	given := r.eval(tree.Member(n, "Properties", k.property), 1)
	if why, unknown := tree.Why(given); unknown {
		return "", false, why
	}
	if given.Kind == policy.StringNode && given.Text != "" {
		return strings.TrimPrefix(given.Text, "https://"), k.arn == naming.Secret, ""
	}
	if r.env.StackName == "" {
		return "", false, "CloudFormation makes up the name of " + logical + " from the stack's name, which was not given"
	}
	name = r.env.StackName + "-" + logical + "-XXXXXXXXXXXX"
	if k.lower {
		name = strings.ToLower(name)
	}
	return name, true, ""
}

// attribute is the value of Fn::GetAtt.
func (r *resolver) attribute(logical, name string) policy.Node {
	if tree.Member(r.template.root, "Resources", logical).Kind != policy.ObjectNode {
		return unknown("the template has no resource %s", logical)
	}
	return r.identity(logical).node(name, logical)
}
