package importer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/importer/cfn"
	"github.com/stile-aws/stile/internal/inventory"
)

// CloudFormation gives what will be once a template is deployed to o.Account and
// o.Region, as the stack o.StackName with o.Parameters.
//
// A template does not say what it takes away: what base has and the template does
// not mention stays. A resource that base has by its name is changed; one that it
// does not have is made, unless base does not know its account whole. Names that
// CloudFormation makes up get stand-ins: see [cfn.Template.Resources].
func CloudFormation(base *inventory.Inventory, name string, src []byte, o Options) (*inventory.Inventory, diag.List, error) {
	template, err := cfn.Parse(src)
	if err != nil {
		return nil, nil, fmt.Errorf("reading CloudFormation template: %w", err)
	}
	if o.Account == "" {
		return nil, nil, fmt.Errorf("reading CloudFormation template: it does not say in which account it is deployed, and none was given")
	}
	c := &cloudFormation{overlay: newOverlay(base, name), options: o, partition: catalog.Partition(o.Region)}
	for _, macro := range template.Transforms() {
		c.findings.Add(diag.Diagnostic{
			Pos: diag.Position{File: name}, Severity: diag.Warning, Code: CodeNotRead,
			Summary: "macro " + macro + " is not expanded: what it makes is not read", Hint: "give the processed template, as get-template --template-stage Processed prints it",
		})
		// Loops, which the extensions of the language are about, are resources here.
		if macro != "AWS::LanguageExtensions" {
			c.hidden(o.Account, "what macro "+macro+" makes", name+": macros are not expanded")
		}
	}
	resources := template.Resources(cfn.Env{Account: o.Account, Region: o.Region, Partition: c.partition, StackName: o.StackName, Parameters: o.Parameters})
	for phase := range cfnPhases {
		for i := range resources {
			c.put(&resources[i], phase)
		}
	}
	for _, attach := range c.later {
		attach()
	}
	c.findings.Sort()
	return c.inv, c.findings, nil
}

// cloudFormation applies one template.
type cloudFormation struct {
	*overlay
	options   Options
	partition string
	later     []func() // attachments to what may be made after the policy
}

// cfnResource is one resource of a template.
type cfnResource struct {
	*cfn.Resource
	thing
	v value // the properties
}

// cfnKind says what a resource type means for the inventory.
type cfnKind struct {
	phase int // those of a lower phase are applied first
	put   func(*cloudFormation, *cfnResource)
}

const cfnPhases = 3

// cfnKinds are the types that are taken over.
var cfnKinds = map[string]cfnKind{
	"AWS::IAM::Role":                      {0, (*cloudFormation).putRole},
	"AWS::IAM::Group":                     {0, (*cloudFormation).putGroup},
	"AWS::IAM::ManagedPolicy":             {0, (*cloudFormation).putManaged},
	"AWS::IAM::OIDCProvider":              {0, (*cloudFormation).putProvider},
	"AWS::IAM::SAMLProvider":              {0, (*cloudFormation).putSAML},
	"AWS::KMS::Key":                       {0, (*cloudFormation).putKey},
	"AWS::KMS::ReplicaKey":                {0, (*cloudFormation).putKey},
	"AWS::EKS::Cluster":                   {0, (*cloudFormation).putCluster},
	"AWS::Organizations::Policy":          {0, (*cloudFormation).putOrgPolicy},
	"AWS::IAM::User":                      {1, (*cloudFormation).putUser},
	"AWS::KMS::Alias":                     {1, (*cloudFormation).setAlias},
	"AWS::SecretsManager::Secret":         {1, (*cloudFormation).putSecret},
	"AWS::S3::Bucket":                     {1, (*cloudFormation).putBucket},
	"AWS::SQS::Queue":                     {1, plain("sqs:queue", "", "KmsMasterKeyId")},
	"AWS::SNS::Topic":                     {1, plain("sns:topic", "", "KmsMasterKeyId")},
	"AWS::Lambda::Function":               {1, plain("lambda:function", "", "KmsKeyArn")},
	"AWS::DynamoDB::Table":                {1, plain("dynamodb:table", "ResourcePolicy.PolicyDocument", "SSESpecification.KMSMasterKeyId")},
	"AWS::ECR::Repository":                {1, plain("ecr:repository", "RepositoryPolicyText", "EncryptionConfiguration.KmsKey")},
	"AWS::EC2::VPCEndpoint":               {1, (*cloudFormation).putEndpoint},
	"AWS::IAM::Policy":                    {2, (*cloudFormation).putPolicy},
	"AWS::IAM::RolePolicy":                {2, onOne("role", "RoleName")},
	"AWS::IAM::UserPolicy":                {2, onOne("user", "UserName")},
	"AWS::IAM::GroupPolicy":               {2, onOne("group", "GroupName")},
	"AWS::IAM::UserToGroupAddition":       {2, (*cloudFormation).putMembers},
	"AWS::SecretsManager::ResourcePolicy": {2, (*cloudFormation).setSecretPolicy},
	"AWS::S3::BucketPolicy":               {2, policiesOf("s3:bucket", "Bucket")},
	"AWS::SQS::QueuePolicy":               {2, policiesOf("sqs:queue", "Queues")},
	"AWS::SQS::QueueInlinePolicy":         {2, policiesOf("sqs:queue", "Queue")},
	"AWS::SNS::TopicPolicy":               {2, policiesOf("sns:topic", "Topics")},
	"AWS::SNS::TopicInlinePolicy":         {2, policiesOf("sns:topic", "TopicArn")},
	"AWS::Lambda::Permission":             {2, (*cloudFormation).putPermission},
	"AWS::EKS::PodIdentityAssociation":    {2, (*cloudFormation).putAssociation},
	"AWS::EKS::AccessEntry":               {2, (*cloudFormation).putEntry},
}

// named are the types whose resources must have a name to be placed.
func named(kind string) bool {
	switch kind {
	case "AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group", "AWS::IAM::ManagedPolicy", "AWS::IAM::OIDCProvider", "AWS::IAM::SAMLProvider", "AWS::KMS::Key",
		"AWS::EKS::Cluster", "AWS::SecretsManager::Secret", "AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::Lambda::Function", "AWS::DynamoDB::Table",
		"AWS::ECR::Repository", "AWS::EC2::VPCEndpoint":
		return true
	}
	return false
}

// put applies a resource when its phase has come.
func (c *cloudFormation) put(res *cfn.Resource, phase int) {
	at := place{pos: diag.At(c.file, res.Pos), address: "resource " + res.Logical}
	kind, known := cfnKinds[res.Type]
	if !known {
		if phase == 0 {
			c.ignored(at, res)
		}
		return
	}
	if kind.phase != phase {
		return
	}
	if res.Unknown != "" {
		c.perhaps(at, res)
		return
	}
	r := &cfnResource{Resource: res, v: value{res.Properties}, thing: thing{
		place: at, account: c.options.Account, region: c.options.Region, partition: c.partition, name: res.Name, arn: res.ARN,
	}}
	if named(res.Type) && (r.name == "" || r.thing.arn == "") {
		c.placeless(at, c.options.Account, cfnWhat(res.Type), cmp.Or(res.Nameless, "its account or Region was not given"))
		return
	}
	if res.Standing && named(res.Type) {
		c.find(at, diag.Info, CodeUnknownName, "AWS makes up its name or id: it stands as "+r.thing.arn, "")
	}
	r.anew = c.isNew(r)
	kind.put(c, r)
}

// perhaps leaves out a resource of which it is not known whether it is made.
func (c *cloudFormation) perhaps(at place, res *cfn.Resource) {
	what, why := cfnWhat(res.Type), "whether it is made is not known: "+res.Unknown
	switch {
	case res.Name == "":
		c.placeless(at, c.options.Account, what, why)
	case res.Type == "AWS::IAM::Role" || res.Type == "AWS::IAM::User":
		c.unread(c.options.Account, at, what+" "+res.Name, why)
	default:
		c.unread(c.options.Account, at, what+" "+cmp.Or(res.ARN, res.Name), why)
	}
}

// cfnWhat names the kind of a resource as problems do.
func cfnWhat(kind string) string {
	switch kind {
	case "AWS::IAM::Role":
		return "role"
	case "AWS::IAM::User":
		return "user"
	}
	return strings.TrimPrefix(kind, "AWS::")
}

// ignored tells that a resource that decides about access is of a type that is not
// taken over. One that stands for others may make principals.
func (c *cloudFormation) ignored(at place, r *cfn.Resource) {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(r.Type, part) })
	}
	switch {
	case r.Type == "AWS::IAM::InstanceProfile" || r.Type == "AWS::IAM::AccessKey":
	case has("AWS::CloudFormation::Stack", "::MODULE", "Fn::ForEach", "Fn::Transform"):
		c.find(at, diag.Warning, CodeNotRead, "what a resource of type "+r.Type+" makes is not read", "give the template of what it makes, too, or the processed template")
		c.hidden(c.options.Account, "what "+r.Logical+" makes", at.address+" is of type "+r.Type+", which is not expanded")
	case has("Policy", "Permission", "AWS::IAM::", "AWS::SSO::", "AWS::RAM::", "AWS::LakeFormation::", "AWS::Serverless::", "Custom::"):
		c.find(at, diag.Info, CodeNotRead, "resources of type "+r.Type+" are not read", "")
	}
}

// isNew reports whether the base does not have the resource: it knows that there
// is none, or nothing of the account.
func (c *cloudFormation) isNew(r *cfnResource) bool {
	a := c.inv.Accounts[r.account]
	if a == nil || r.Standing {
		return true
	}
	state := inventory.Exists
	switch r.Type {
	case "AWS::IAM::Role":
		_, state = a.Role(r.name)
	case "AWS::IAM::User":
		_, state = a.User(r.name)
	case "AWS::IAM::Group":
		if _, known := c.group(r.account, r.name); !known && a.Complete {
			state = inventory.Absent
		}
	case "AWS::SecretsManager::Secret":
		if _, known := secretKey(a, r.name); !known {
			state = inventory.Absent
		}
	default:
		if a.Resources[r.thing.arn] == nil && a.Keys[r.thing.arn] == nil && a.Endpoints[r.thing.arn] == nil && a.Clusters[r.region+"/"+r.name] == nil {
			state = inventory.Absent
		}
	}
	return state == inventory.Absent
}

// reference is a name or ARN that a property gives, or what stands for one that
// is not known.
func (c *cloudFormation) reference(r *cfnResource, v value) string {
	text, why := v.text()
	if why != "" {
		return inventory.Unknown(r.address + ": " + why)
	}
	return text
}

// carries gives a holder the policies that its own properties have.
func (c *cloudFormation) carries(r *cfnResource, h holder) {
	if list := r.v.at("ManagedPolicyArns"); !list.none() {
		for _, ref := range list.list() {
			c.putAttachment(r.place, h, c.reference(r, ref))
		}
	}
	for i, p := range r.v.at("Policies").list() {
		name, why := p.at("PolicyName").text()
		if why != "" || name == "" {
			name = fmt.Sprintf("policy %d", i+1)
		}
		c.putInline(r.place, h, name, p.at("PolicyDocument"))
	}
}

func (c *cloudFormation) putRole(r *cfnResource) {
	tags := r.v.at("Tags").keyed()
	c.overlay.putRole(r.thing, roleSpec{
		path: orSlash(r.v.at("Path").known()), trust: r.v.at("AssumeRolePolicyDocument"), boundary: r.v.at("PermissionsBoundary"),
		description: r.v.at("Description"), session: r.v.at("MaxSessionDuration"), tags: tags,
	})
	c.carries(r, holder{r.account, "role", r.name})
}

func (c *cloudFormation) putUser(r *cfnResource) {
	c.overlay.putUser(r.thing, orSlash(r.v.at("Path").known()), r.v.at("PermissionsBoundary"), r.v.at("Tags").keyed())
	c.carries(r, holder{r.account, "user", r.name})
	for _, g := range r.v.at("Groups").list() {
		group, why := g.text()
		if why != "" {
			c.unread(r.account, r.place, "a group of user "+r.name, why)
			c.putAttachment(r.place, holder{r.account, "user", r.name}, inventory.Unknown(r.address+": "+why))
			continue
		}
		c.join(r.account, r.name, group)
	}
}

func (c *cloudFormation) putGroup(r *cfnResource) {
	c.overlay.putGroup(r.thing)
	c.carries(r, holder{r.account, "group", r.name})
}

// on lists the roles, users and groups that a policy's properties name.
func (c *cloudFormation) on(r *cfnResource) []holder {
	var out []holder
	for _, kind := range []string{"role", "user", "group"} {
		property := strings.ToUpper(kind[:1]) + kind[1:] + "s"
		for _, v := range r.v.at(property).list() {
			name, why := v.text()
			if why != "" {
				c.placeless(r.place, r.account, kind, why)
				continue
			}
			out = append(out, holder{r.account, kind, name})
		}
	}
	return out
}

// putManaged makes a managed policy. Its holders may be made in the same phase, so
// it is attached by name when they are there.
func (c *cloudFormation) putManaged(r *cfnResource) {
	c.overlay.putManaged(r.thing, r.v.at("PolicyDocument"))
	for _, h := range c.on(r) {
		c.later = append(c.later, func() { c.putAttachment(r.place, h, r.thing.arn) })
	}
}

func (c *cloudFormation) putPolicy(r *cfnResource) {
	for _, h := range c.on(r) {
		c.putInline(r.place, h, cmp.Or(r.v.at("PolicyName").known(), r.Logical), r.v.at("PolicyDocument"))
	}
}

// onOne sets an inline policy of the role, user or group that a property names.
func onOne(kind, property string) func(*cloudFormation, *cfnResource) {
	return func(c *cloudFormation, r *cfnResource) {
		name, why := r.v.at(property).text()
		if why != "" {
			c.placeless(r.place, r.account, kind, why)
			return
		}
		c.putInline(r.place, holder{r.account, kind, name}, cmp.Or(r.v.at("PolicyName").known(), r.Logical), r.v.at("PolicyDocument"))
	}
}

func (c *cloudFormation) putMembers(r *cfnResource) {
	group, why := r.v.at("GroupName").text()
	users, unknown := r.v.at("Users").texts()
	if why != "" || unknown != "" {
		c.placeless(r.place, r.account, "user", why+unknown)
		return
	}
	for _, user := range users {
		if !c.join(r.account, user, group) {
			c.missing(r.place, r.account, "user "+user, "its membership in "+group)
		}
	}
}

func (c *cloudFormation) putProvider(r *cfnResource) {
	c.overlay.putProvider(r.thing, r.v.at("ClientIdList"), r.v.at("Tags").keyed())
}

func (c *cloudFormation) putSAML(r *cfnResource) { c.overlay.putSAML(r.thing, r.v.at("Tags").keyed()) }

func (c *cloudFormation) putOrgPolicy(r *cfnResource) {
	text, why := r.v.at("Content").document()
	if why != "" {
		c.find(r.place, diag.Warning, CodeUnread, "the policy's content is not known: "+why, "")
		text = inventory.Unknown(r.address + ": " + why)
	}
	id, name := r.name, r.v.at("Name").known()
	kind := orgKindOf(r.v.at("Type").known())
	if org := c.inv.Organization; org != nil {
		for _, p := range slices.Concat(values(org.Policies), values(org.RCPs)) {
			if p != nil && p.Name == name { // names are unique within an organization and type
				id = p.ID
			}
		}
	}
	c.overlay.putOrgPolicy(r.place, kind, id, name, text)
	for _, v := range r.v.at("TargetIds").list() {
		target, why := v.text()
		if why != "" {
			c.find(r.place, diag.Warning, CodeUnknownName, "where the policy is attached is not known: "+why, "")
			continue
		}
		if c.inv.Organization != nil && kind != otherPolicy {
			c.attachOrgPolicy(r.place, id, target, true)
		}
	}
}

// ownerOf is the account of an ARN, or the stack's.
func (c *cloudFormation) ownerOf(id string) arn.AccountID {
	if parsed, err := arn.Parse(id); err == nil && parsed.Account != "" {
		return parsed.Account
	}
	return c.options.Account
}
