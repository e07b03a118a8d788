package kms

import (
	"regexp"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// request is one use of a key that has to be allowed.
type request struct {
	action string // "kms:Decrypt"
	ref    string // what the caller calls the key
	// aliases says whether ref may be an alias; most operations on the key itself
	// take only ids and ARNs.
	aliases bool
	// context is the encryption context.
	context map[string]string
	// keys are further condition keys.
	keys map[string][]string
	// grants says which of the key's grants can allow it; nil: all.
	grants func(*store.KMSGrant) bool
	// tags and tagKeys are the tags that the request sets and removes.
	tags    map[string]string
	tagKeys []string
	// via names the service that asks for the caller, "" when the caller asks.
	via string
}

// use finds the key and asks whether the caller may do what it wants with it.
func use(c *service.Call, r request) (*store.KMSKey, *wire.Error) {
	t, e := resolve(c, c.Account, r.ref, r.aliases)
	if e != nil {
		return nil, e
	}
	return t.key, t.allow(c, r)
}

// usable is use for operations that need the key to work.
func usable(c *service.Call, r request) (*store.KMSKey, *wire.Error) {
	key, e := use(c, r)
	if e != nil {
		return nil, e
	}
	return key, inOrder(c, key)
}

// inOrder is the error for keys that are disabled or pending deletion.
func inOrder(c *service.Call, key *store.KMSKey) *wire.Error {
	switch {
	case !key.Deletes.IsZero():
		return c.Errorf("KMSInvalidStateException", "%s is pending deletion.", key.ARN())
	case !key.Enabled:
		return c.Errorf("DisabledException", "%s is disabled.", key.ARN())
	}
	return nil
}

// target is a key as it was called. The key is nil for one in another account
// that does not exist, which the caller is not to know.
type target struct {
	key   *store.KMSKey
	arn   arn.ARN
	alias string
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// resolve finds the key that ref means for account. "To specify a KMS key in a
// different AWS account, you must use the key ARN or alias ARN."
func resolve(c *service.Call, account arn.AccountID, ref string, aliases bool) (target, *wire.Error) {
	if strings.HasPrefix(ref, "arn:") {
		return resolveARN(c, account, ref, aliases)
	}
	if name, ok := strings.CutPrefix(ref, "alias/"); ok && name != "" && aliases {
		return resolveAlias(c, account, account, ref)
	}
	if !uuid.MatchString(ref) {
		return target{}, c.Errorf("NotFoundException", "Invalid keyId %s", ref)
	}
	a := store.AliasARN(account, c.Region, "key/"+ref)
	if key := c.World.KMSKey(a, c.Now); key != nil {
		return target{key: key, arn: a}, nil
	}
	return target{}, c.Errorf("NotFoundException", "Key '%s' does not exist", a)
}

func resolveARN(c *service.Call, account arn.AccountID, ref string, aliases bool) (target, *wire.Error) {
	a, err := arn.Parse(ref)
	alias := a.Type() == "alias"
	if err != nil || a.Service != "kms" || a.Account == "" || (a.Type() != "key" && !alias) {
		return target{}, c.Errorf("InvalidArnException", "%s is not a valid ARN of a KMS key", ref)
	}
	if a.Region != c.Region {
		return target{}, c.Errorf("NotFoundException", "Invalid arn %s", a.Region)
	}
	if alias && !aliases {
		return target{}, c.Errorf("InvalidArnException", "%s is an alias, and this operation takes none", ref)
	}
	if alias {
		return resolveAlias(c, account, a.Account, a.Resource)
	}
	key := c.World.KMSKey(a, c.Now)
	if key == nil && a.Account == account {
		return target{}, c.Errorf("NotFoundException", "Key '%s' does not exist", a)
	}
	return target{key: key, arn: a}, nil
}

func resolveAlias(c *service.Call, account, owner arn.AccountID, name string) (target, *wire.Error) {
	a := store.AliasARN(owner, c.Region, name)
	if acct := c.World.Accounts[owner]; acct != nil {
		records := acct.KMS.In(c.Region)
		if alias := records.Alias(name, c.Now); alias != nil {
			key := records.Keys[alias.Key]
			return target{key: key, arn: key.ARN(), alias: name}, nil
		}
	}
	if owner == account {
		return target{}, c.Errorf("NotFoundException", "Alias %s is not found.", a)
	}
	return target{arn: a, alias: name}, nil
}

// allow asks the gate.
func (t *target) allow(c *service.Call, r request) *wire.Error {
	access, e := t.access(c, r)
	if e != nil {
		return e
	}
	if e := c.Require(access); e != nil {
		return e
	}
	if t.key == nil {
		return c.Errorf("NotFoundException", "Key '%s' does not exist", t.arn)
	}
	return nil
}

func (t *target) access(c *service.Call, r request) (gate.Access, *wire.Error) {
	access := gate.Access{
		Action: r.action, Resource: t.arn.String(), Account: t.arn.Account,
		RequestTags: r.tags, TagKeys: r.tagKeys,
		Context: map[string][]string{"kms:CallerAccount": {string(c.Caller.Account())}},
	}
	if r.via != "" {
		access.Via = []string{r.via}
	}
	for name, values := range r.keys {
		access.Context[name] = values
	}
	for name, value := range r.context {
		access.Context["kms:EncryptionContext:"+name] = []string{value}
		access.Context["kms:EncryptionContextKeys"] = append(access.Context["kms:EncryptionContextKeys"], name)
	}
	if t.alias != "" {
		access.Context["kms:RequestAlias"] = []string{t.alias}
	}
	if t.key == nil {
		return access, nil
	}
	access.Grants = r.grantsOf(t.key)
	return access, keyAccess(c, t.key, &access)
}

// keyAccess adds what the key brings: its policy, tags and properties.
func keyAccess(c *service.Call, key *store.KMSKey, access *gate.Access) *wire.Error {
	var e *wire.Error
	if text := key.Policy.At(c.World.Horizon(key.Account)); text != nil {
		access.Policy, e = compiled(c, key, *text)
	}
	access.AWSManaged = key.Service != ""
	access.ResourceTags = key.Tags
	access.Context["kms:KeyOrigin"] = []string{"AWS_KMS"}
	access.Context["kms:KeySpec"] = []string{"SYMMETRIC_DEFAULT"}
	access.Context["kms:KeyUsage"] = []string{"ENCRYPT_DECRYPT"}
	access.Context["kms:MultiRegion"] = []string{"false"}
	if aliases := aliasesOf(c, key); len(aliases) > 0 {
		access.Context["kms:ResourceAliases"] = aliases
	}
	return e
}

func compiled(c *service.Call, key *store.KMSKey, text string) (*authz.Policy, *wire.Error) {
	return c.Policy(text, authz.Source{Layer: authz.LayerKey, Account: key.Account, Name: "policy of key " + key.ID})
}

// grantsOf are the grants of key that can allow the request.
func (r *request) grantsOf(key *store.KMSKey) []authz.Grant {
	var grants []authz.Grant
	for i := range key.Grants {
		g := &key.Grants[i]
		if r.grants != nil && !r.grants(g) {
			continue
		}
		grant := authz.Grant{Grantee: g.Grantee, Retiring: g.Retiring, Operations: g.Operations, EncryptionContext: g.Context, Equals: g.Equals, ID: g.ID}
		if !r.constrained() {
			grant.EncryptionContext, grant.Equals = nil, false
		}
		grants = append(grants, grant)
	}
	return grants
}

// constrained reports whether the constraints of grants apply to the action: not
// to those that have no encryption context (KMS API reference, GrantConstraints).
// What a constraint means for CreateGrant is up to request.grants.
func (r *request) constrained() bool {
	switch r.action {
	case "kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant":
		return false
	}
	return true
}

// account asks for an operation that is on no key.
func account(c *service.Call, action, resource string) *wire.Error {
	return c.Require(gate.Access{
		Action: action, Resource: resource, Account: c.Account,
		Context: map[string][]string{"kms:CallerAccount": {string(c.Caller.Account())}},
	})
}
