package importer

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/importer/naming"
	"github.com/stile-aws/stile/internal/importer/tree"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

func textValue(s string) value { return value{tree.Text(policy.Pos{}, s)} }

// ownPolicy is the policy that a resource's own attribute sets: "" when it sets
// none.
func (t *terraform) ownPolicy(r *tfResource, it thing) string {
	return t.document(it.account, it.place, "policy of "+it.arn, r.given("policy"))
}

func (t *terraform) putKey(r *tfResource) {
	if it, ok := t.here(r, "key"); ok {
		enabled := r.given("is_enabled")
		if r.Type != "aws_kms_key" {
			enabled = r.given("enabled")
		}
		t.overlay.putKey(it, t.ownPolicy(r, it), enabled)
	}
}

func (t *terraform) setKeyPolicy(r *tfResource) {
	key, why := t.text(r, "key_id")
	if why != "" {
		t.placeless(t.at(r), r.account, "key", why)
		return
	}
	t.overlay.setKeyPolicy(t.at(r), r.account, key, t.document(r.account, t.at(r), "policy of key "+key, r.v.at("policy")))
}

func (t *terraform) setAlias(r *tfResource) {
	key, why := t.text(r, "target_key_id")
	name := r.v.at("name").known()
	if why != "" || name == "" {
		t.placeless(t.at(r), r.account, "key alias", why)
		return
	}
	t.overlay.setAlias(t.at(r), r.account, name, key)
}

func (t *terraform) putGrant(r *tfResource) {
	key, why := t.text(r, "key_id")
	grantee, unknown := t.text(r, "grantee_principal")
	operations, hidden := r.v.at("operations").texts()
	if why+unknown+hidden != "" {
		t.find(t.at(r), diag.Warning, CodeUnread, "the grant is not known: "+why+unknown+hidden, "")
		if full, ok := keyOf(t.account(r.account), key); ok {
			edit(t.account(r.account).Keys, full, func(k *inventory.Key) { k.GrantState = inventory.Unread })
			t.problem(r.account, "grants of key "+full, r.Address+": "+why+unknown+hidden)
		}
		return
	}
	g := inventory.Grant{ID: r.v.at("grant_id").known(), Name: r.v.at("name").known(), Grantee: grantee, Retiring: r.v.at("retiring_principal").known()}
	g.Operations = sortedUnique(operations)
	for _, limit := range r.given("constraints").list() {
		if pairs := limit.at("encryption_context_subset").pairs(); len(pairs) > 0 {
			g.EncryptionContext = pairs
		}
		if pairs := limit.at("encryption_context_equals").pairs(); len(pairs) > 0 {
			g.EncryptionContext, g.Equals = pairs, true
		}
	}
	t.setGrant(t.at(r), r.account, key, g)
}

func (t *terraform) removeGrant(r *tfResource) {
	t.dropGrant(r.account, r.v.at("key_id").known(), r.v.at("grant_id").known(), r.v.at("name").known())
}

func (t *terraform) putSecret(r *tfResource) {
	it, ok := t.here(r, "secret")
	if !ok {
		return
	}
	key := ""
	if !r.given("kms_key_id").none() {
		key = t.orUnknown(r, "kms_key_id")
	}
	t.overlay.putSecret(it, key, r.tags())
	if text := t.ownPolicy(r, it); text != "" {
		t.setSecretPolicy(it.place, r.account, it.arn, text)
	}
}

// removeSecret keeps the secret as one that waits for its deletion, as
// Secrets Manager does unless the recovery window is 0.
func (t *terraform) removeSecret(r *tfResource) {
	it, ok := t.here(r, "secret")
	if !ok {
		return
	}
	a := t.account(r.account)
	key, known := secretKey(a, it.arn)
	if !known {
		key = it.arn
	}
	if r.v.at("recovery_window_in_days").known() == "0" || !edit(a.Secrets, key, func(s *inventory.Secret) { s.Deleting = true }) {
		a.Secrets[key] = nil
	}
}

// secretPolicy sets the policy of the secret that secret_arn names, or takes it
// away.
func secretPolicy(set bool) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		secret, why := t.text(r, "secret_arn")
		if why != "" {
			t.placeless(t.at(r), r.account, "secret", why)
			return
		}
		text := ""
		if set {
			text = t.document(r.account, t.at(r), "policy of secret "+secret, r.v.at("policy"))
		}
		if _, known := secretKey(t.account(r.account), secret); known || set {
			t.setSecretPolicy(t.at(r), r.account, secret, text)
		}
	}
}

// resourceOf makes a resource of a kind; key is the attribute with its KMS key,
// "block.attribute" in a block.
func resourceOf(kind, key string) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		it, ok := t.here(r, kind)
		if !ok {
			return
		}
		text := t.ownPolicy(r, it)
		if text == "" && kind == "sns:topic" && r.anew {
			text = inventory.Unknown("SNS gives a new topic a policy of its own")
		}
		by := value{}
		if block, attribute, nested := strings.Cut(key, "."); nested {
			for _, b := range r.given(block).list() {
				by = b.at(attribute)
			}
		} else if key != "" {
			by = t.reference(r, key)
		}
		t.putResource(it, kind, text, by, r.tags())
	}
}

func removeResource(kind string) func(*terraform, *tfResource) {
	return removeFrom(kind, func(a *inventory.Account, t thing) { a.Resources[t.arn] = nil })
}

// patternOf is how ARNs of a kind of resources look.
func patternOf(kind string) naming.Pattern {
	switch kind {
	case "s3:bucket":
		return naming.Bucket
	case "sqs:queue":
		return naming.Queue
	case "sns:topic":
		return naming.Topic
	case "lambda:function":
		return naming.Function
	case "dynamodb:table":
		return naming.Table
	}
	return naming.Repository
}

// policyOf sets the policy of the resource that an attribute names, or takes it
// away.
func policyOf(kind, attribute string, set bool) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		id, why := t.ofARN(r, attribute, patternOf(kind))
		if why != "" || id == "" {
			t.placeless(t.at(r), r.account, kind, why)
			return
		}
		account := t.owner(r, id)
		if a := t.account(account); !set && a.Resources[id] == nil {
			return
		}
		text := ""
		if set {
			text = t.document(account, t.at(r), "policy of "+id, r.v.at("policy"))
		}
		own := kind
		if strings.Contains(id, "/stream/") {
			own = "dynamodb:stream"
		}
		t.setResourcePolicy(account, own, id, text)
	}
}

// owner is the account of an ARN, or that of the resource that names it.
func (t *terraform) owner(r *tfResource, id string) arn.AccountID {
	if parsed, err := arn.Parse(id); err == nil && parsed.Account != "" {
		return parsed.Account
	}
	return r.account
}

func (t *terraform) bucketKey(r *tfResource) {
	id, why := t.ofARN(r, "bucket", naming.Bucket)
	if why != "" || t.account(r.account).Resources[id] == nil {
		return
	}
	key := value{}
	for _, rule := range r.v.at("rule").list() {
		for _, by := range rule.at("apply_server_side_encryption_by_default").list() {
			key = by.at("kms_master_key_id")
		}
	}
	t.resource(r.account, "s3:bucket", id, false, func(b *inventory.Resource) {
		b.KMSKey = t.scalar(r.account, t.at(r), "KMS key of "+id, key)
	})
}

// function is the ARN of the function a permission is on.
func (t *terraform) function(r *tfResource) (id, why string) {
	id, why = t.ofARN(r, "function_name", naming.Function)
	if q := r.v.at("qualifier").known(); q != "" && why == "" {
		id += ":" + q
	}
	return id, why
}

func (t *terraform) putPermission(r *tfResource) {
	id, why := t.function(r)
	if why != "" || id == "" {
		t.placeless(t.at(r), r.account, "lambda:function", why)
		return
	}
	sid, unknown := r.v.at("statement_id").text()
	if unknown != "" || sid == "" {
		sid = r.v.at("statement_id_prefix").known() + madeUp
	}
	p := permission{sid: sid}
	for attribute, field := range map[string]*string{
		"action": &p.action, "principal": &p.principal, "source_arn": &p.sourceARN, "source_account": &p.sourceAccount,
		"principal_org_id": &p.organization, "event_source_token": &p.token,
	} {
		if *field, why = t.text(r, attribute); why != "" {
			t.unread(r.account, t.at(r), "policy of "+id, why)
			t.setResourcePolicy(r.account, "lambda:function", id, inventory.Unknown(r.Address+": "+why))
			return
		}
	}
	st := p.statement(id)
	t.setPermission(t.at(r), r.account, id, sid, &st)
}

func (t *terraform) removePermission(r *tfResource) {
	id, why := t.function(r)
	if why == "" && t.account(r.account).Resources[id] != nil {
		t.setPermission(t.at(r), r.account, id, r.v.at("statement_id").known(), nil)
	}
}

func (t *terraform) putEndpoint(r *tfResource) {
	if it, ok := t.here(r, "VPC endpoint"); ok {
		t.overlay.putEndpoint(it, r.v.at("service_name"), r.v.at("vpc_id"), t.ownPolicy(r, it))
	}
}

func endpointPolicy(set bool) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		id, why := t.text(r, "vpc_endpoint_id")
		if why != "" {
			t.placeless(t.at(r), r.account, "VPC endpoint", why)
			return
		}
		text := defaultEndpointPolicy()
		if set {
			text = t.document(r.account, t.at(r), "policy of VPC endpoint "+id, r.v.at("policy"))
		}
		t.setEndpointPolicy(t.at(r), r.account, id, text)
	}
}

func (t *terraform) putCluster(r *tfResource) {
	it, ok := t.here(r, "cluster")
	if !ok {
		return
	}
	t.overlay.putCluster(it)
	for _, identity := range r.given("identity").list() {
		for _, oidc := range identity.at("oidc").list() {
			issuer := oidc.at("issuer").known()
			t.cluster(it, it.name, "its issuer", func(c *inventory.Cluster) { c.Issuer = cmp.Or(issuer, c.Issuer) })
		}
	}
}

// inCluster is where something of a cluster is, with the cluster's name; ok is
// false when that is not known.
func (t *terraform) inCluster(r *tfResource) (thing, string, bool) {
	name, why := t.text(r, "cluster_name")
	if why != "" {
		t.placeless(t.at(r), r.account, "cluster", why)
	}
	return thing{place: t.at(r), account: r.account, region: r.region, partition: r.partition()}, name, why == ""
}

func (t *terraform) putAssociation(r *tfResource) {
	it, cluster, ok := t.inCluster(r)
	if !ok {
		return
	}
	a := inventory.Association{
		ID: r.v.at("association_id").known(), ARN: r.v.at("association_arn").known(), ExternalID: r.v.at("external_id").known(),
		Namespace: r.v.at("namespace").known(), ServiceAccount: r.v.at("service_account").known(), Role: t.orUnknown(r, "role_arn"),
		NoSessionTags: r.given("disable_session_tags").truth(), Policy: r.given("policy").known(),
	}
	if !r.given("target_role_arn").none() {
		a.TargetRole = t.orUnknown(r, "target_role_arn")
	}
	for _, ref := range []string{a.Role, a.TargetRole} {
		if why, unread := inventory.WhyUnknown(ref); unread {
			t.unread(r.account, it.place, "a Pod Identity association of cluster "+r.region+"/"+cluster, strings.TrimPrefix(why, r.Address+": "))
		}
	}
	t.overlay.putAssociation(it, cluster, a)
}

func (t *terraform) removeAssociation(r *tfResource) {
	if it, cluster, ok := t.inCluster(r); ok {
		t.dropAssociation(it, cluster, r.v.at("namespace").known(), r.v.at("service_account").known())
	}
}

func (t *terraform) putEntry(r *tfResource) {
	it, cluster, ok := t.inCluster(r)
	if !ok {
		return
	}
	groups, _ := r.given("kubernetes_groups").texts()
	t.entry(it, cluster, t.orUnknown(r, "principal_arn"), func(e *inventory.AccessEntry) {
		e.Groups, e.Username = groups, r.given("user_name").known()
		if kind := r.given("type").known(); kind != "" {
			e.Type = kind
		}
	})
}

func (t *terraform) removeEntry(r *tfResource) {
	if it, cluster, ok := t.inCluster(r); ok {
		t.dropEntry(it, cluster, r.v.at("principal_arn").known())
	}
}

// entryPolicy associates an access policy with an entry, or takes it away.
func entryPolicy(set bool) func(*terraform, *tfResource) {
	return func(t *terraform, r *tfResource) {
		it, cluster, ok := t.inCluster(r)
		if !ok {
			return
		}
		scoped := inventory.ScopedEKSPolicy{ARN: t.orUnknown(r, "policy_arn")}
		for _, scope := range r.v.at("access_scope").list() {
			scoped.Namespaces, _ = scope.at("namespaces").texts()
		}
		t.entry(it, cluster, t.orUnknown(r, "principal_arn"), func(e *inventory.AccessEntry) { setEntryPolicy(e, scoped, set) })
	}
}

func setEntryPolicy(e *inventory.AccessEntry, p inventory.ScopedEKSPolicy, set bool) {
	e.Policies = slices.DeleteFunc(slices.Clone(e.Policies), func(old inventory.ScopedEKSPolicy) bool { return old.ARN == p.ARN })
	if set {
		e.Policies = append(e.Policies, p)
	}
}
