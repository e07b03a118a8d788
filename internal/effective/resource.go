package effective

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// resolve finds what AWS takes q.Resource to be: a key behind its alias, a secret
// without the end of its ARN, and the account of a bucket, whose ARN has none.
// known gets what that tells.
func (v *View) resolve(q *Question, known *authz.Context) {
	a, err := arn.Parse(q.Resource)
	switch {
	case err != nil:
	case a.Service == "secretsmanager" && !q.Example:
		q.Resource = v.wholeSecret(a)
	case a.Service == "s3" && a.Account == "" && q.ResourceAccount == "":
		bucket, _, _ := strings.Cut(a.Resource, "/")
		q.ResourceAccount = v.buckets()[bucket]
	case a.Service == "kms" && a.Type() == "alias" && !aboutAliases(q.Action):
		if key, _ := v.aliased(a.Account, a.Region, a.Resource); key != nil {
			q.Resource = key.ARN
			known.Set("kms:RequestAlias", a.Resource)
		}
	}
}

// wholeSecret is the ARN of the one secret that a stands for, where a has
// wildcards or lacks the six characters at the end, else a. Source: Secrets
// Manager API reference, GetSecretValue, SecretId.
func (v *View) wholeSecret(a arn.ARN) string {
	account := v.inv.Accounts[a.Account]
	if _, state := findSecret(account, a); account == nil || state == inventory.Exists {
		return a.String()
	}
	found := ""
	for _, s := range account.Secrets {
		if s == nil || found == s.ARN || !policy.Glob(a.String(), s.ARN) && !policy.Glob(a.String()+"-??????", s.ARN) {
			continue
		}
		if found != "" {
			return a.String()
		}
		found = s.ARN
	}
	if found == "" {
		return a.String()
	}
	return found
}

// aboutAliases reports whether an operation is authorized on the alias itself.
// Source: KMS guide kms-api-permissions-reference, "Resources".
func aboutAliases(action string) bool {
	switch strings.ToLower(action) {
	case "kms:createalias", "kms:deletealias", "kms:updatealias":
		return true
	}
	return false
}

// setAbsent gives key its values unless it has some, or is open on purpose.
func setAbsent(c *authz.Context, key string, values ...string) {
	if _, present, known := c.Get(key); !present && known {
		c.Set(key, values...)
	}
}

// aliased is the key behind an alias of an account and Region.
func (v *View) aliased(id arn.AccountID, region, alias string) (*inventory.Key, inventory.Lookup) {
	account := v.inv.Accounts[id]
	if account == nil {
		return nil, inventory.NotAsked
	}
	for full, k := range account.Keys {
		if a, err := arn.Parse(full); err == nil && k != nil && a.Region == region && slices.Contains(k.Aliases, alias) {
			return k, inventory.Exists
		}
	}
	return nil, orListed(inventory.NotAsked, account.Kind(inventory.KindKeys, region))
}

// findBuckets has the account of every bucket known.
func (v *View) findBuckets() map[string]arn.AccountID {
	out := map[string]arn.AccountID{}
	for id, account := range v.inv.Accounts {
		if account == nil {
			continue
		}
		for text, r := range account.Resources {
			if a, err := arn.Parse(text); err == nil && r != nil && a.Service == "s3" && a.Region == "" {
				out[a.Resource] = id
			}
		}
	}
	return out
}

// keyOf is the key that a resource is, nil for everything else.
func (v *View) keyOf(resource string) *inventory.Key {
	a, err := arn.Parse(resource)
	if err != nil || a.Service != "kms" || v.inv.Accounts[a.Account] == nil {
		return nil
	}
	return v.inv.Accounts[a.Account].Keys[resource]
}

// resourcePolicy adds the policy of the resource that q is about, and the
// grants on a key.
func (v *View) resourcePolicy(q *Question, pols *authz.Policies) {
	a, err := arn.Parse(q.Resource)
	if err != nil {
		return
	}
	account := v.inv.Accounts[a.Account]
	switch {
	case a.Service == "iam" && a.Type() == "role":
		v.trustPolicy(account, a, pols)
	case a.Service == "iam", a.Service == "sts":
	case a.Service == "secretsmanager" && a.Type() == "secret":
		if !q.Example {
			v.secretPolicy(account, a, pols)
		}
	case a.Service == "kms" && a.Type() == "key" && q.managed != "":
		v.setResource(managedPolicy(a, q.managed), authz.Source{Layer: authz.LayerKey, Account: a.Account, Name: "key alias/aws/" + q.managed}, pols)
	case a.Service == "kms" && a.Type() == "key":
		v.keyPolicy(account, a, pols)
	case a.Service == "kms" && a.Type() == "alias" && !aboutAliases(q.Action):
		src := authz.Source{Layer: authz.LayerResource, Account: a.Account, Name: "the key behind " + a.Resource}
		_, state := v.aliased(a.Account, a.Region, a.Resource)
		unreadResource(state, src, pols)
	case !q.Example:
		v.otherPolicy(q, a, pols)
	}
}

func (v *View) trustPolicy(account *inventory.Account, a arn.ARN, pols *authz.Policies) {
	src := trustSource(a)
	r, state := account.Role(a.Name())
	if state == inventory.Exists && r.ARN == a.String() {
		v.setResource(r.Trust, src, pols)
		return
	}
	unreadResource(state, src, pols)
}

func trustSource(role arn.ARN) authz.Source {
	return authz.Source{Layer: authz.LayerTrust, Account: role.Account, Name: "role/" + role.Name()}
}

func (v *View) secretPolicy(account *inventory.Account, a arn.ARN, pols *authz.Policies) {
	src := authz.Source{Layer: authz.LayerResource, Account: a.Account, Name: "secret " + a.Name()}
	s, state := findSecret(account, a)
	if state == inventory.Exists {
		if s.Policy != "" {
			v.setResource(s.Policy, src, pols)
		}
		return
	}
	unreadResource(state, src, pols)
}

// findSecret finds a secret by its full ARN, whatever it was asked by.
func findSecret(account *inventory.Account, full arn.ARN) (*inventory.Secret, inventory.Lookup) {
	s, state := account.Secret(full.String())
	if account == nil || state != inventory.NotAsked {
		return s, state
	}
	if absentByName(account, full.String()) {
		return nil, inventory.Absent
	}
	return nil, orListed(state, account.Kind(inventory.KindSecrets, full.Region))
}

// absentByName reports whether a secret was looked for by a pattern that full
// fits, and was not there.
func absentByName(account *inventory.Account, full string) bool {
	for pattern, s := range account.Secrets {
		if s == nil && strings.ContainsAny(pattern, "*?") && compile.Within(full, pattern) {
			return true
		}
	}
	return false
}

func (v *View) keyPolicy(account *inventory.Account, a arn.ARN, pols *authz.Policies) {
	src := authz.Source{Layer: authz.LayerKey, Account: a.Account, Name: "key " + a.Name()}
	state := inventory.NotAsked
	if account != nil {
		var k *inventory.Key
		if k, state = inventory.Get(account.Keys, a.String()); state == inventory.Exists && k.AWSManaged && k.Policy == "" {
			state = inventory.NotAsked
		}
		if state == inventory.Exists {
			v.setResource(k.Policy, src, pols)
			v.unreadGrants(k, src, pols)
			return
		}
		state = orListed(state, account.Kind(inventory.KindKeys, a.Region))
	}
	unreadResource(state, src, pols)
}

// unreadGrants says that the grants on a key are not known.
func (v *View) unreadGrants(k *inventory.Key, src authz.Source, pols *authz.Policies) {
	if k.GrantState == inventory.Exists || k.GrantState == inventory.Absent ||
		v.assume(k.GrantState, "KMS grants on "+src.Name+" ("+string(src.Account)+") were not looked for; taken to be none") {
		return
	}
	src.Layer, src.Name = authz.LayerGrant, "on "+src.Name
	pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: reasonOf(k.GrantState)})
}

// grantsOf gives the grants on a key as authz takes them. One that is
// constrained to a source ARN serves requests of that source alone, and of
// those only a service tells: source is aws:SourceArn of the request.
func grantsOf(k *inventory.Key, source string) []authz.Grant {
	var out []authz.Grant
	for i := range k.Grants {
		g := &k.Grants[i]
		if g.SourceARN != "" && g.SourceARN != source {
			continue
		}
		out = append(out, authz.Grant{
			Grantee: g.Grantee, Retiring: g.Retiring, Operations: g.Operations, EncryptionContext: g.EncryptionContext, Equals: g.Equals, ID: g.ID,
		})
	}
	return out
}

// carrier is the resource whose policy guards another, and its type as
// inventory.Resource has it: the bucket of an object, the table of an index.
// carries is false for what takes no policy as far as the catalog knows; known
// is false where the catalog does not know.
func carrier(a arn.ARN) (guard, kind string, carries, known bool) {
	typ := catalog.TypeOf(a)
	switch {
	case a.Service == "s3" && a.Region == "":
		a.Resource, _, _ = strings.Cut(a.Resource, "/")
		typ = "bucket"
	case a.Service == "dynamodb" && typ == "index":
		a.Resource, _, _ = strings.Cut(a.Resource, "/index/")
		typ = "table"
	case a.Service == "sns":
		a.Resource, _, _ = strings.Cut(a.Resource, ":") // a subscription's topic
		typ = "topic"
	}
	if typ == "" {
		return "", "", mayCarry(a), false
	}
	_, carries = catalog.PolicyCallFor(a)
	return a.String(), a.Service + ":" + typ, carries, true
}

// Carrier gives the resource whose policy guards another: the bucket of an
// object, for most the resource itself, "" for what carries none as far as the
// catalog knows.
func Carrier(resource string) string {
	a, err := arn.Parse(resource)
	switch {
	case err != nil, a.Service == "sts":
		return ""
	case a.Service == "iam":
		if a.Type() == "role" {
			return resource
		}
		return ""
	}
	guard, _, carries, known := carrier(a)
	if !carries || !known {
		return ""
	}
	return guard
}

// mayCarry reports whether a resource of a type that the catalog does not tell
// apart may take a policy: some resources of its service do.
func mayCarry(a arn.ARN) bool {
	switch a.Service {
	case "kms":
		return false // keys alone, which are told apart
	case "ec2":
		return strings.HasPrefix(a.Resource, "verified-access-")
	}
	return len(catalog.PolicyCalls(a.Service)) > 0
}

// otherPolicy adds the policy of a resource that has no type of its own in an
// inventory. Where the catalog does not know the type, there may be one if any
// of the service's resources take policies.
func (v *View) otherPolicy(q *Question, a arn.ARN, pols *authz.Policies) {
	guard, kind, carries, known := carrier(a)
	if !carries {
		return
	}
	owner := q.ResourceAccount
	if owner == "" {
		owner = a.Account
	}
	if owner == "" {
		owner = q.Principal.Account()
	}
	src := authz.Source{Layer: authz.LayerResource, Account: owner, Name: nameOf(guard, kind)}
	if !known {
		src.Name = a.String()
	}
	r, state := v.resource(owner, a, guard, kind)
	if state == inventory.Absent && kind == "s3:bucket" && q.ResourceAccount == "" {
		// Everybody's buckets share one namespace: it may be in any other account.
		src.Account = ""
		pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: "whose it is is not known: it is in no account that was read"})
		return
	}
	if state == inventory.Exists {
		if r.PolicyState == inventory.Exists {
			if r.Policy != "" {
				v.setResource(r.Policy, src, pols)
			}
			return
		}
		if state = r.PolicyState; state == inventory.Unread && r.PolicyWhy != "" {
			pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: r.PolicyWhy})
			return
		}
	}
	if owner == q.Principal.Account() && v.assume(state, "the policy of "+src.Name+" ("+string(owner)+") was not looked for; taken to say nothing") {
		return
	}
	unreadResource(state, src, pols)
}

// resource finds one of an account's other resources.
func (v *View) resource(owner arn.AccountID, a arn.ARN, guard, kind string) (*inventory.Resource, inventory.Lookup) {
	account := v.inv.Accounts[owner]
	if account == nil {
		return nil, inventory.NotAsked
	}
	r, state := inventory.Get(account.Resources, guard)
	return r, orListed(state, account.Kind(kind, a.Region))
}

// nameOf names a resource as explanations do: "bucket reports".
func nameOf(guard, kind string) string {
	a, err := arn.Parse(guard)
	if err != nil {
		return guard
	}
	_, typ, _ := strings.Cut(kind, ":")
	name := a.Resource
	if t := a.Type(); t != "" && strings.HasPrefix(typ, t) {
		name = a.Name()
	}
	return typ + " " + name
}

func (v *View) setResource(text string, src authz.Source, pols *authz.Policies) {
	p, unread := v.compile(text, src)
	pols.Resource = p
	addUnread(pols, unread)
}

func unreadResource(state inventory.Lookup, src authz.Source, pols *authz.Policies) {
	if state == inventory.Absent || state == inventory.Exists {
		return
	}
	pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: reasonOf(state)})
}

// endpoint adds the policy of the VPC endpoint that q goes through; known gets
// what the endpoint tells about itself.
func (v *View) endpoint(q *Question, known *authz.Context, pols *authz.Policies) {
	if q.Endpoint == "" {
		return
	}
	e, id := v.findEndpoint(q.Endpoint)
	if e == nil {
		src := authz.Source{Layer: authz.LayerEndpoint, Name: "endpoint " + q.Endpoint}
		pols.Unread = append(pols.Unread, authz.Unread{Source: src, Reason: reasonOf(inventory.NotAsked)})
		return
	}
	v.throughEndpoint(e, id, known)
	if e.Policy == "" {
		return // full access
	}
	p, unread := v.compile(e.Policy, authz.Source{Layer: authz.LayerEndpoint, Account: id, Name: "endpoint " + e.ID})
	pols.Endpoint = p
	addUnread(pols, unread)
}

// findEndpoint finds a VPC endpoint by its ARN or id, with its account.
func (v *View) findEndpoint(name string) (*inventory.Endpoint, arn.AccountID) {
	for id, account := range v.inv.Accounts {
		if account == nil {
			continue
		}
		for full, e := range account.Endpoints {
			if e != nil && (full == name || e.ID == name) {
				return e, id
			}
		}
	}
	return nil, ""
}

// throughEndpoint sets the keys of requests that come through e. Source: IAM
// guide reference_policies_condition-keys, "Properties of the network".
func (v *View) throughEndpoint(e *inventory.Endpoint, id arn.AccountID, known *authz.Context) {
	known.Set("aws:SourceVpce", e.ID)
	if e.VPC != "" {
		known.Set("aws:SourceVpc", e.VPC)
	}
	known.Set("aws:VpceAccount", string(id))
	if path := v.inOrganization(id); path != nil {
		known.Set("aws:VpceOrgID", v.inv.Organization.ID)
		known.Set("aws:VpceOrgPaths", orgPath(v.inv.Organization.ID, path))
	}
}
