package importer

import (
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/importer/naming"
	"github.com/stile-aws/stile/internal/inventory"
)

// values are a map's values by key.
func values[V any](m map[string]V) []V {
	var out []V
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[key])
	}
	return out
}

func (c *cloudFormation) putKey(r *cfnResource) {
	if r.name == "" { // a replica has the id of its primary key
		primary, why := r.v.at("PrimaryKeyArn").text()
		parsed, err := arn.Parse(primary)
		if why != "" || err != nil {
			c.placeless(r.place, r.account, "key", "it is a replica of a key that is not known")
			return
		}
		parsed.Region = r.region
		r.name, r.thing.arn = parsed.Name(), parsed.String()
	}
	c.overlay.putKey(r.thing, c.document(r.account, r.place, "policy of key "+r.thing.arn, r.v.at("KeyPolicy")), r.v.at("Enabled"))
}

func (c *cloudFormation) setAlias(r *cfnResource) {
	key, why := r.v.at("TargetKeyId").text()
	if why != "" || r.name == "" {
		c.placeless(r.place, r.account, "key alias", why)
		return
	}
	c.overlay.setAlias(r.place, r.account, r.name, key)
}

func (c *cloudFormation) putSecret(r *cfnResource) {
	c.overlay.putSecret(r.thing, c.reference(r, r.v.at("KmsKeyId")), r.v.at("Tags").keyed())
}

func (c *cloudFormation) setSecretPolicy(r *cfnResource) {
	secret, why := r.v.at("SecretId").text()
	if why != "" {
		c.placeless(r.place, r.account, "secret", why)
		return
	}
	c.overlay.setSecretPolicy(r.place, r.account, secret, c.document(r.account, r.place, "policy of secret "+secret, r.v.at("ResourcePolicy")))
}

func (c *cloudFormation) putBucket(r *cfnResource) {
	key := value{}
	for _, rule := range r.v.at("BucketEncryption", "ServerSideEncryptionConfiguration").list() {
		key = rule.at("ServerSideEncryptionByDefault", "KMSMasterKeyID")
	}
	c.putResource(r.thing, "s3:bucket", "", key, r.v.at("Tags").keyed())
}

// plain makes a resource of a kind whose policy and KMS key, if any, are the
// properties at these paths.
func plain(kind, document, key string) func(*cloudFormation, *cfnResource) {
	return func(c *cloudFormation, r *cfnResource) {
		text := ""
		if document != "" {
			text = c.document(r.account, r.place, "policy of "+r.thing.arn, r.v.at(strings.Split(document, ".")...))
		}
		if kind == "sns:topic" && r.anew {
			text = inventory.Unknown("SNS gives a new topic a policy of its own")
		}
		c.putResource(r.thing, kind, text, r.v.at(strings.Split(key, ".")...), r.v.at("Tags").keyed())
	}
}

// policiesOf sets the policy of each of the resources that a property names.
func policiesOf(kind, property string) func(*cloudFormation, *cfnResource) {
	return func(c *cloudFormation, r *cfnResource) {
		for _, v := range r.v.at(property).list() {
			id, why := v.text()
			if why != "" || id == "" {
				c.placeless(r.place, r.account, kind, why)
				continue
			}
			id = c.arnOf(r, id, patternOf(kind))
			owner := c.ownerOf(id)
			c.setResourcePolicy(owner, kind, id, c.document(owner, r.place, "policy of "+id, r.v.at("PolicyDocument")))
		}
	}
}

// arnOf is the ARN of what is given as an ARN, a queue's URL, or a name.
func (c *cloudFormation) arnOf(r *cfnResource, id string, pattern naming.Pattern) string {
	if arn.Is(id) {
		return id
	}
	return pattern.Fill(naming.Parts{Partition: c.partition, Region: r.region, Account: r.account, Name: lastOfURL(id)})
}

// lastOfURL is the name at the end of a queue's URL, or what is no URL.
func lastOfURL(s string) string {
	if strings.HasPrefix(s, "https://") {
		return s[strings.LastIndexByte(s, '/')+1:]
	}
	return s
}

func (c *cloudFormation) putPermission(r *cfnResource) {
	id, why := r.v.at("FunctionName").text()
	if why != "" || id == "" {
		c.placeless(r.place, r.account, "lambda:function", why)
		return
	}
	id = c.arnOf(r, id, naming.Function)
	p := permission{sid: r.Logical}
	for property, field := range map[string]*string{
		"Action": &p.action, "Principal": &p.principal, "SourceArn": &p.sourceARN, "SourceAccount": &p.sourceAccount,
		"PrincipalOrgID": &p.organization, "EventSourceToken": &p.token,
	} {
		if *field, why = r.v.at(property).text(); why != "" {
			c.unread(r.account, r.place, "policy of "+id, why)
			c.setResourcePolicy(c.ownerOf(id), "lambda:function", id, inventory.Unknown(r.address+": "+why))
			return
		}
	}
	st := p.statement(id)
	c.setPermission(r.place, c.ownerOf(id), id, p.sid, &st)
}

func (c *cloudFormation) putEndpoint(r *cfnResource) {
	text := c.document(r.account, r.place, "policy of VPC endpoint "+r.name, r.v.at("PolicyDocument"))
	c.overlay.putEndpoint(r.thing, r.v.at("ServiceName"), r.v.at("VpcId"), text)
}

func (c *cloudFormation) putCluster(r *cfnResource) { c.overlay.putCluster(r.thing) }

func (c *cloudFormation) putAssociation(r *cfnResource) {
	cluster, why := r.v.at("ClusterName").text()
	namespace, unknown := r.v.at("Namespace").text()
	account, hidden := r.v.at("ServiceAccount").text()
	if why+unknown+hidden != "" {
		c.placeless(r.place, r.account, "Pod Identity association", why+unknown+hidden)
		return
	}
	a := inventory.Association{
		Namespace: namespace, ServiceAccount: account, Role: c.reference(r, r.v.at("RoleArn")), TargetRole: c.reference(r, r.v.at("TargetRoleArn")),
		NoSessionTags: r.v.at("DisableSessionTags").truth(), Policy: r.v.at("Policy").known(),
	}
	for _, ref := range []string{a.Role, a.TargetRole} {
		if why, unread := inventory.WhyUnknown(ref); unread {
			c.unread(r.account, r.place, "a Pod Identity association of cluster "+r.region+"/"+cluster, strings.TrimPrefix(why, r.address+": "))
		}
	}
	c.overlay.putAssociation(r.thing, cluster, a)
}

func (c *cloudFormation) putEntry(r *cfnResource) {
	cluster, why := r.v.at("ClusterName").text()
	principal, unknown := r.v.at("PrincipalArn").text()
	if why+unknown != "" {
		c.placeless(r.place, r.account, "access entry", why+unknown)
		return
	}
	c.entry(r.thing, cluster, principal, func(e *inventory.AccessEntry) {
		groups, why := r.v.at("KubernetesGroups").texts()
		if why != "" {
			c.find(r.place, diag.Warning, CodeUnread, "the groups of "+principal+" are not known: "+why, "")
		}
		e.Groups, e.Username, e.Policies = groups, r.v.at("Username").known(), nil
		if kind := r.v.at("Type").known(); kind != "" {
			e.Type = kind
		}
		for _, p := range r.v.at("AccessPolicies").list() {
			namespaces, _ := p.at("AccessScope", "Namespaces").texts()
			e.Policies = append(e.Policies, inventory.ScopedEKSPolicy{ARN: c.reference(r, p.at("PolicyArn")), Namespaces: namespaces})
		}
	})
}
