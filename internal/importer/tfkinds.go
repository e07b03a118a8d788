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

// tfKind says what a resource type means for the inventory.
type tfKind struct {
	phase       int  // those of a lower phase are applied first
	global      bool // it is in no account
	put, remove func(*terraform, *tfResource)
}

// tfPhases is the number of phases: keys and principals, things that refer to them,
// what is of either, and what takes away what nothing names.
const tfPhases = 4

// tfKinds are the types that are taken over.
var tfKinds = map[string]tfKind{
	"aws_iam_role":                                       {0, false, (*terraform).putRole, removeFrom("role", func(a *inventory.Account, t thing) { a.Roles[strings.ToLower(t.name)] = nil })},
	"aws_iam_user":                                       {0, false, (*terraform).putUser, removeFrom("user", func(a *inventory.Account, t thing) { a.Users[strings.ToLower(t.name)] = nil })},
	"aws_iam_group":                                      {0, false, (*terraform).putGroup, (*terraform).removeGroup},
	"aws_iam_policy":                                     {0, false, (*terraform).putPolicy, removeFrom("policy", func(a *inventory.Account, t thing) { a.Managed[t.arn] = nil })},
	"aws_iam_openid_connect_provider":                    {0, false, (*terraform).putProvider, removeFrom("OIDC provider", func(a *inventory.Account, t thing) { a.Providers[t.name] = nil })},
	"aws_iam_saml_provider":                              {0, false, (*terraform).putSAML, removeFrom("SAML provider", func(a *inventory.Account, t thing) { a.SAML[t.arn] = nil })},
	"aws_kms_key":                                        {0, false, (*terraform).putKey, removeFrom("key", func(a *inventory.Account, t thing) { a.Keys[t.arn] = nil })},
	"aws_kms_external_key":                               {0, false, (*terraform).putKey, removeFrom("key", func(a *inventory.Account, t thing) { a.Keys[t.arn] = nil })},
	"aws_kms_replica_key":                                {0, false, (*terraform).putKey, removeFrom("key", func(a *inventory.Account, t thing) { a.Keys[t.arn] = nil })},
	"aws_organizations_policy":                           {0, true, (*terraform).putOrgPolicy, (*terraform).removeOrgPolicy},
	"aws_eks_cluster":                                    {0, false, (*terraform).putCluster, removeFrom("cluster", func(a *inventory.Account, t thing) { a.Clusters[t.region+"/"+t.name] = nil })},
	"aws_secretsmanager_secret":                          {1, false, (*terraform).putSecret, (*terraform).removeSecret},
	"aws_s3_bucket":                                      {1, false, resourceOf("s3:bucket", ""), removeResource("s3:bucket")},
	"aws_sqs_queue":                                      {1, false, resourceOf("sqs:queue", "kms_master_key_id"), removeResource("sqs:queue")},
	"aws_sns_topic":                                      {1, false, resourceOf("sns:topic", "kms_master_key_id"), removeResource("sns:topic")},
	"aws_lambda_function":                                {1, false, resourceOf("lambda:function", "kms_key_arn"), removeResource("lambda:function")},
	"aws_dynamodb_table":                                 {1, false, resourceOf("dynamodb:table", "server_side_encryption.kms_key_arn"), removeResource("dynamodb:table")},
	"aws_ecr_repository":                                 {1, false, resourceOf("ecr:repository", "encryption_configuration.kms_key"), removeResource("ecr:repository")},
	"aws_vpc_endpoint":                                   {1, false, (*terraform).putEndpoint, removeFrom("VPC endpoint", func(a *inventory.Account, t thing) { a.Endpoints[t.arn] = nil })},
	"aws_kms_key_policy":                                 {1, false, (*terraform).setKeyPolicy, func(*terraform, *tfResource) {}},
	"aws_kms_alias":                                      {1, false, (*terraform).setAlias, func(t *terraform, r *tfResource) { t.dropAlias(r.account, r.v.at("name").known()) }},
	"aws_iam_role_policy":                                {2, false, inlineOn("role", "role"), noInlineOn("role", "role")},
	"aws_iam_user_policy":                                {2, false, inlineOn("user", "user"), noInlineOn("user", "user")},
	"aws_iam_group_policy":                               {2, false, inlineOn("group", "group"), noInlineOn("group", "group")},
	"aws_iam_role_policy_attachment":                     {2, false, attachTo("role", "role"), detachFrom("role", "role")},
	"aws_iam_user_policy_attachment":                     {2, false, attachTo("user", "user"), detachFrom("user", "user")},
	"aws_iam_group_policy_attachment":                    {2, false, attachTo("group", "group"), detachFrom("group", "group")},
	"aws_iam_policy_attachment":                          {2, false, (*terraform).attachAll, (*terraform).detachAll},
	"aws_iam_role_policy_attachments_exclusive":          {2, false, attachOnly("role"), func(*terraform, *tfResource) {}},
	"aws_iam_user_policy_attachments_exclusive":          {2, false, attachOnly("user"), func(*terraform, *tfResource) {}},
	"aws_iam_group_policy_attachments_exclusive":         {2, false, attachOnly("group"), func(*terraform, *tfResource) {}},
	"aws_iam_role_policies_exclusive":                    {3, false, inlineOnly("role"), func(*terraform, *tfResource) {}},
	"aws_iam_user_policies_exclusive":                    {3, false, inlineOnly("user"), func(*terraform, *tfResource) {}},
	"aws_iam_group_policies_exclusive":                   {3, false, inlineOnly("group"), func(*terraform, *tfResource) {}},
	"aws_iam_group_membership":                           {2, false, members(true), members(false)},
	"aws_iam_user_group_membership":                      {2, false, memberships(true), memberships(false)},
	"aws_organizations_policy_attachment":                {2, true, orgAttachment(true), orgAttachment(false)},
	"aws_secretsmanager_secret_policy":                   {2, false, secretPolicy(true), secretPolicy(false)},
	"aws_kms_grant":                                      {2, false, (*terraform).putGrant, (*terraform).removeGrant},
	"aws_s3_bucket_policy":                               {2, false, policyOf("s3:bucket", "bucket", true), policyOf("s3:bucket", "bucket", false)},
	"aws_s3_bucket_server_side_encryption_configuration": {2, false, (*terraform).bucketKey, func(*terraform, *tfResource) {}},
	"aws_sqs_queue_policy":                               {2, false, policyOf("sqs:queue", "queue_url", true), policyOf("sqs:queue", "queue_url", false)},
	"aws_sns_topic_policy":                               {2, false, policyOf("sns:topic", "arn", true), policyOf("sns:topic", "arn", false)},
	"aws_dynamodb_resource_policy":                       {2, false, policyOf("dynamodb:table", "resource_arn", true), policyOf("dynamodb:table", "resource_arn", false)},
	"aws_ecr_repository_policy":                          {2, false, policyOf("ecr:repository", "repository", true), policyOf("ecr:repository", "repository", false)},
	"aws_lambda_permission":                              {2, false, (*terraform).putPermission, (*terraform).removePermission},
	"aws_vpc_endpoint_policy":                            {2, false, endpointPolicy(true), endpointPolicy(false)},
	"aws_eks_pod_identity_association":                   {2, false, (*terraform).putAssociation, (*terraform).removeAssociation},
	"aws_eks_access_entry":                               {2, false, (*terraform).putEntry, (*terraform).removeEntry},
	"aws_eks_access_policy_association":                  {2, false, entryPolicy(true), entryPolicy(false)},
}

// removeFrom records that the plan takes a thing away.
func removeFrom(what string, remove func(*inventory.Account, thing)) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		if gone, ok := t.here(r, what); ok {
			remove(t.account(r.account), gone)
		}
	}
}

// tags of a resource, those of the provider among them.
func (r *tfResource) tags() map[string]string {
	if all := r.v.at("tags_all"); !all.none() && all.why() == "" {
		return all.pairs()
	}
	return r.v.at("tags").pairs()
}

func (t *terraform) putRole(r *tfResource) {
	it, ok := t.here(r, "role")
	if !ok {
		return
	}
	t.overlay.putRole(it, roleSpec{
		path: orSlash(r.v.at("path").known()), trust: r.v.at("assume_role_policy"), boundary: t.reference(r, "permissions_boundary"),
		description: r.v.at("description"), session: r.v.at("max_session_duration"), tags: r.tags(),
	})
	if r.is("delete") && r.anew {
		t.find(it.place, diag.Warning, CodeReplaced, "the role is replaced: trust and resource policies that name it keep the old one's unique id and do not let the new one in", "")
	}
	h := holder{r.account, "role", it.name}
	if list := r.given("managed_policy_arns"); r.configured("managed_policy_arns") {
		t.exclusive(it.place, h, list)
	}
	for _, p := range r.given("inline_policy").list() {
		if name := p.at("name").known(); name != "" {
			t.putInline(it.place, h, name, p.at("policy"))
		} else if why := p.why(); why != "" {
			t.putInline(it.place, h, "of unknown name", p)
		}
	}
	// Inline policies that the role itself had and will not have.
	for _, p := range r.before.at("inline_policy").list() {
		name := p.at("name").known()
		kept := slices.ContainsFunc(r.v.at("inline_policy").list(), func(q value) bool { return q.at("name").known() == name || q.why() != "" })
		if r.configured("inline_policy") && !kept {
			t.deleteInline(h, name)
		}
	}
}

func orSlash(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// reference is an attribute that names another thing, resolved as [terraform.text]
// does.
func (t *terraform) reference(r *tfResource, attribute string) value {
	v := r.given(attribute)
	if v.why() == "" {
		return v
	}
	if text, why := t.text(r, attribute); why == "" {
		return textValue(text)
	}
	return v
}

func (t *terraform) putUser(r *tfResource) {
	if it, ok := t.here(r, "user"); ok {
		t.overlay.putUser(it, orSlash(r.v.at("path").known()), t.reference(r, "permissions_boundary"), r.tags())
	}
}

func (t *terraform) putGroup(r *tfResource) {
	if it, ok := t.here(r, "group"); ok {
		t.overlay.putGroup(it)
	}
}

func (t *terraform) removeGroup(r *tfResource) {
	if it, ok := t.here(r, "group"); ok {
		t.dropGroup(r.account, it.name)
	}
}

func (t *terraform) putPolicy(r *tfResource) {
	if it, ok := t.here(r, "policy"); ok {
		t.putManaged(it, r.v.at("policy"))
	}
}

func (t *terraform) putProvider(r *tfResource) {
	if it, ok := t.here(r, "OIDC provider"); ok {
		t.overlay.putProvider(it, r.v.at("client_id_list"), r.tags())
	}
}

func (t *terraform) putSAML(r *tfResource) {
	if it, ok := t.here(r, "SAML provider"); ok {
		t.overlay.putSAML(it, r.tags())
	}
}

func inlineOn(kind, attribute string) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		h, ok := t.holder(r, kind, attribute)
		if !ok {
			return
		}
		name, why := r.v.at("name").text()
		if why != "" || name == "" {
			name = r.v.at("name_prefix").known() + madeUp
		}
		t.putInline(t.at(r), h, name, r.v.at("policy"))
	}
}

func noInlineOn(kind, attribute string) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		if h, ok := t.holder(r, kind, attribute); ok {
			t.deleteInline(h, r.v.at("name").known())
		}
	}
}

func attachTo(kind, attribute string) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		if h, ok := t.holder(r, kind, attribute); ok {
			t.putAttachment(t.at(r), h, t.orUnknown(r, "policy_arn"))
		}
	}
}

func detachFrom(kind, attribute string) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		if h, ok := t.holder(r, kind, attribute); ok {
			t.detach(h, r.v.at("policy_arn").known())
		}
	}
}

// holders are those that the lists of an aws_iam_policy_attachment name.
func (t *terraform) holders(r *tfResource, v value) []holder {
	var out []holder
	for _, kind := range []string{"role", "user", "group"} {
		names, why := v.at(kind + "s").texts()
		if why != "" {
			t.placeless(t.at(r), r.account, kind, why)
		}
		for _, name := range names {
			out = append(out, holder{r.account, kind, name})
		}
	}
	return out
}

func (t *terraform) attachAll(r *tfResource) {
	ref := t.orUnknown(r, "policy_arn")
	now := t.holders(r, r.v)
	for _, h := range t.holders(r, r.before) {
		if !slices.Contains(now, h) {
			t.detach(h, ref)
		}
	}
	for _, h := range now {
		t.putAttachment(t.at(r), h, ref)
	}
}

func (t *terraform) detachAll(r *tfResource) {
	for _, h := range t.holders(r, r.v) {
		t.detach(h, r.v.at("policy_arn").known())
	}
}

// attachOnly attaches a list of policies to a holder, and takes away others.
func attachOnly(kind string) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		if h, ok := t.holder(r, kind, kind+"_name"); ok {
			t.exclusive(t.at(r), h, r.v.at("policy_arns"))
		}
	}
}

// inlineOnly takes away a holder's inline policies that a list does not name.
func inlineOnly(kind string) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		h, ok := t.holder(r, kind, kind+"_name")
		if !ok {
			return
		}
		names, why := r.v.at("policy_names").texts()
		if why != "" {
			t.unread(h.account, t.at(r), "which inline policies "+h.String()+" keeps", why)
			return
		}
		if !t.change(h, func(p *policies) {
			maps.DeleteFunc(p.inline, func(name, _ string) bool { return !slices.Contains(names, name) })
		}) {
			t.holderUnknown(t.at(r), h, "which inline policies it keeps")
		}
	}
}

// members puts users into one group, or takes them out.
func members(in bool) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		t.enlist(r, "group", "users", in, func(group, user string) (string, string) { return user, group })
	}
}

// memberships puts one user into groups, or takes it out.
func memberships(in bool) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		t.enlist(r, "user", "groups", in, func(user, group string) (string, string) { return user, group })
	}
}

// enlist changes the pairs of one thing and each of a list: those that were before
// go, those that are to be come. pair tells user and group apart.
func (t *terraform) enlist(r *tfResource, one, list string, in bool, pair func(one, of string) (user, group string)) {
	name, why := t.text(r, one)
	others, unknown := r.v.at(list).texts()
	if why != "" || unknown != "" {
		t.placeless(t.at(r), r.account, strings.TrimSuffix(list, "s"), why+unknown)
		return
	}
	was, _ := r.before.at(list).texts()
	for _, other := range was {
		user, group := pair(name, other)
		t.leave(r.account, user, group)
	}
	for _, other := range others {
		if user, group := pair(name, other); in && !t.join(r.account, user, group) {
			t.missing(t.at(r), r.account, "user "+user, "its membership in "+group)
		}
	}
}

func (t *terraform) putOrgPolicy(r *tfResource) {
	it, _ := t.here(r, "organization policy")
	kind := orgKindOf(r.v.at("type").known())
	text, why := r.v.at("content").document()
	if why != "" {
		t.find(it.place, diag.Warning, CodeUnread, "the policy's content is not known: "+why, "")
		text = inventory.Unknown(r.Address + ": " + why)
	}
	t.overlay.putOrgPolicy(it.place, kind, it.name, r.v.at("name").known(), text)
}

func (t *terraform) removeOrgPolicy(r *tfResource) {
	it, _ := t.here(r, "organization policy")
	t.dropOrgPolicy(it.place, it.name)
}

func orgAttachment(attached bool) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		id, why := t.text(r, "policy_id")
		target, unknown := t.text(r, "target_id")
		if why != "" || unknown != "" {
			t.find(t.at(r), diag.Warning, CodeUnknownName, "which policy is attached where is not known: "+why+unknown, "")
			return
		}
		t.attachOrgPolicy(t.at(r), id, target, attached)
	}
}

// ofARN makes the ARN of what an attribute names: an ARN, a queue's URL, or a name.
func (t *terraform) ofARN(r *tfResource, attribute string, pattern naming.Pattern) (id string, why string) {
	text, why := t.text(r, attribute)
	if why != "" || arn.Is(text) {
		return text, why
	}
	return pattern.Fill(naming.Parts{Partition: r.partition(), Region: r.region, Account: r.account, Name: lastOfURL(text)}), ""
}
