package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// What using an encrypted resource takes on its key. Nobody writes that down:
// it follows from the key that the resource is under.

// An encrypted is a resource under a KMS key, as an item uses it.
type encrypted struct {
	noun, name string        // "secret", "AppDemoSecret"
	owner      arn.AccountID // whose it is
	key        string        // its key by the ARN of it or of an alias; "" for AWS's own
	lost       bool          // key is what the service calls it, and leads to none
	use        catalog.KeyUse
	actions    []string // what of the key the item's actions use
	contexts   []string // values of use.ContextKey
}

func (e *encrypted) String() string { return e.noun + " " + e.name }

// sealed lists what of an item is encrypted, by its secrets and other resources.
func (it *item) sealed() []encrypted {
	var out []encrypted
	for _, s := range it.secrets {
		if len(s.keyUse) > 0 {
			out = append(out, s.encrypted())
		}
	}
	return append(out, it.encrypted...)
}

// keyState is what is known of the key a resource is encrypted with.
type keyState uint8

const (
	keyUnknown keyState = iota // reported
	keyOfAWS                   // a key that AWS manages or owns
	keyOfCustomer
)

// keyOf finds the key of a resource of an item.
func (c *compiler) keyOf(it *item, e *encrypted) (*inventory.Key, keyState) {
	at := it.allow.Pos
	if e.key == "" || managedAlias(e.key) {
		return nil, keyOfAWS
	}
	if e.lost {
		c.report.add(fault{
			code: CodeNoKey, at: at, summary: fmt.Sprintf("the key %s of %s could not be found", e.key, e),
			hint: "stile's reading role needs kms:DescribeKey and kms:GetKeyPolicy on it",
		})
		return nil, keyUnknown
	}
	owner, err := arn.Parse(e.key)
	if _, declared := c.set.Account(string(owner.Account)); err != nil || !declared {
		c.report.add(fault{
			code: CodeNoKey, at: at,
			summary: fmt.Sprintf("the key %s of %s is in an account that is not declared", e.key, e),
			detail:  "whether the key admits the caller depends on its policy, which only that account can read and change",
			hint:    "declare the account of the key",
		})
		return nil, keyUnknown
	}
	key, ok := c.usableKey(at, e.key, " of "+e.String())
	switch {
	case !ok:
		return nil, keyUnknown
	case key.AWSManaged:
		return key, keyOfAWS
	case !c.accepted(it, e, key):
		return nil, keyUnknown
	}
	return key, keyOfCustomer
}

// accepted reports a key of another account than that of the resource under it,
// unless the item names the key: who may change the resource's encryption would
// choose in whose key's policy a statement is written.
func (c *compiler) accepted(it *item, e *encrypted, key *inventory.Key) bool {
	owner, err := arn.Parse(key.ARN)
	if err == nil && owner.Account == e.owner || slices.Contains(it.accepted, key.ARN) {
		return true
	}
	c.report.add(fault{
		code: CodeForeignKey, at: it.allow.Pos,
		summary: fmt.Sprintf("%s of account %s is encrypted with a key of account %s: %s", e, e.owner, owner.Account, key.ARN),
		detail:  "whoever may change how the resource is encrypted chose this key; a statement is written into the policy of another account's key only where the declarations name the key",
		hint:    "if this is the key to use, add it to the resources of this item (nothing is allowed on it but its use through the resource); else encrypt the resource under a key of its own account",
	})
	return false
}

// usableKey finds the key that an ARN of it or of an alias names, and reports one
// that nobody could use; of is what follows its name in the report.
func (c *compiler) usableKey(at access.Pos, named, of string) (key *inventory.Key, ok bool) {
	key, state, why := c.world.keyBehind(named)
	switch {
	case state == inventory.Unread:
		c.report.add(fault{
			code: CodeUnread, at: at, summary: fmt.Sprintf("key %s%s could not be read: %s", named, of, why),
			hint: "stile's reading role needs kms:DescribeKey and kms:GetKeyPolicy on it, in its own policies and in the key's",
		})
	case state == inventory.NotAsked:
		c.report.errorf(CodeNotObserved, at, "key %s%s was not looked for", named, of)
	case state == inventory.Absent:
		c.report.add(fault{
			code: CodeNoKey, at: at, summary: fmt.Sprintf("key %s%s does not exist", named, of),
			hint: "create it first, or correct the name and the Region",
		})
	case !key.AWSManaged && !key.Enabled:
		c.report.add(fault{
			code: CodeNoKey, at: at, summary: fmt.Sprintf("key %s%s is disabled", named, of),
			hint: "enable the key, or use another",
		})
	default:
		return key, true
	}
	return nil, false
}

// keyBehind is the key that an ARN of it or of an alias names.
func (w world) keyBehind(named string) (*inventory.Key, inventory.Lookup, string) {
	key, state, why := w.key(named)
	if state == inventory.Exists && !key.AWSManaged && key.ARN != named && isAlias(named) {
		return w.key(key.ARN)
	}
	return key, state, why
}

func isAlias(named string) bool {
	a, err := arn.Parse(named)
	return err == nil && a.Service == "kms" && a.Type() == "alias"
}

// managedAlias reports whether a key is called by the alias of one that AWS manages.
func managedAlias(named string) bool {
	if a, err := arn.Parse(named); err == nil {
		named = a.Resource
	}
	return strings.HasPrefix(named, "alias/aws/")
}

// A keyGrant is what a principal needs on the key of resources of one service.
type keyGrant struct {
	key      *inventory.Key
	arn      arn.ARN
	use      catalog.KeyUse
	actions  []string
	contexts []string
	owner    arn.AccountID // of the resources
	noun     string
	names    []string
}

// keyGrants lists what using the encrypted resources of an item needs on their
// customer managed keys, one for each key and service.
func (c *compiler) keyGrants(it *item) (grants []keyGrant, ok bool) {
	ok = true
	for _, e := range it.sealed() {
		key, state := c.keyOf(it, &e)
		switch state {
		case keyUnknown:
			ok = false
			continue
		case keyOfAWS:
			continue
		}
		parsed, err := arn.Parse(key.ARN)
		if err != nil {
			c.report.errorf(CodeNoKey, it.allow.Pos, "reading the key of %s: %v", &e, err)
			ok = false
			continue
		}
		i := slices.IndexFunc(grants, func(g keyGrant) bool { return g.key.ARN == key.ARN && g.use.ViaService == e.use.ViaService })
		if i < 0 {
			grants = append(grants, keyGrant{key: key, arn: parsed, use: e.use, owner: e.owner, noun: e.noun})
			i = len(grants) - 1
		}
		g := &grants[i]
		g.actions = union(g.actions, e.actions)
		g.contexts = union(g.contexts, e.contexts)
		g.names = union(g.names, []string{e.name})
	}
	return parted(grants), ok
}

// contextless is the action that has no encryption context. Source: KMS guide
// conditions-kms, kms:EncryptionContext:context-key, whose list of operations has
// it not.
const contextless = "kms:DescribeKey"

// parted has two grants for one whose actions do not all take its contexts.
func parted(grants []keyGrant) []keyGrant {
	var out []keyGrant
	for i := range grants {
		g := &grants[i]
		if len(g.contexts) == 0 || !slices.Contains(g.actions, contextless) {
			out = append(out, *g)
			continue
		}
		with, without := *g, *g
		with.actions = slices.DeleteFunc(slices.Clone(g.actions), func(a string) bool { return a == contextless })
		without.actions, without.contexts = []string{contextless}, nil
		if len(with.actions) > 0 {
			out = append(out, with)
		}
		out = append(out, without)
	}
	return out
}

// conditions limit the use of the key to its service acting on the very
// resources, where the service's encryption context names them. Source: KMS guide
// encrypt_context and conditions-kms, kms:EncryptionContext:context-key.
func (g *keyGrant) conditions() []policy.Condition {
	out := []policy.Condition{policy.Cond("StringEquals", "kms:ViaService", g.use.ViaServiceValue(g.arn.Region))}
	if g.use.ContextKey == "" || len(g.contexts) == 0 {
		return out
	}
	const prefix = "kms:EncryptionContext:"
	switch g.use.ViaService {
	case "s3":
		return append(out, policy.Cond("StringLike", prefix+g.use.ContextKey, g.contexts...))
	case "dynamodb":
		out = append(out, policy.Cond("StringEquals", prefix+"aws:dynamodb:subscriberId", string(g.owner)))
	}
	return append(out, policy.Cond("StringEquals", prefix+g.use.ContextKey, g.contexts...))
}

// permission is the identity side of g.
func (g *keyGrant) permission() Permission {
	return Permission{
		Actions: g.actions, Resources: []string{g.key.ARN}, Conditions: g.conditions(),
		Implied: fmt.Sprintf("%s encrypted with the customer managed key %s", isOrAre(g.noun, g.names), g.key.ARN),
	}
}

// purpose tells the statements of one key apart that are for different services.
func (g *keyGrant) purpose() []string {
	actions := strings.Join(g.actions, ",")
	if g.use.ViaService == "secretsmanager" {
		return []string{actions}
	}
	return []string{actions, g.use.ViaService}
}

func isOrAre(noun string, names []string) string {
	if len(names) == 1 {
		return noun + " " + names[0] + " is"
	}
	return noun + "s " + strings.Join(names, ", ") + " are"
}

// delegates reports whether a key policy lets IAM policies of account decide
// about actions: an unconditional statement for the account itself that has
// them. Without one "IAM policies that allow access to the key are
// ineffective" (KMS guide key-policy-default).
func delegates(text string, account arn.AccountID, actions []string) bool {
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		return false
	}
	for _, action := range actions {
		ok := slices.ContainsFunc(doc.Statements, func(st policy.Statement) bool {
			return st.Effect == policy.Allow && len(st.Conditions) == 0 && namesAccount(st.Principal, account) &&
				slices.ContainsFunc(st.Actions, func(t policy.Text) bool { return WithinFold(action, t.Value) })
		})
		if !ok {
			return false
		}
	}
	return true
}

func namesAccount(p *policy.Principals, account arn.AccountID) bool {
	return p != nil && slices.ContainsFunc(p.Entries, func(e policy.PrincipalEntry) bool {
		return e.Type == "AWS" && (e.Value.Value == string(account) || e.Value.Value == arn.Root("aws", account).String())
	})
}
