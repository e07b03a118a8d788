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

// A secretRef is a secret that permissions name.
type secretRef struct {
	resource string // as it stands in the permission: an ARN or a pattern
	// keyUse has the KMS actions its key must allow; empty when the actions need none.
	keyUse []string
}

// A secret is a secretRef found.
type secret struct {
	secretRef
	*inventory.Secret
	arn arn.ARN
}

// secretRefs lists the secrets that perms name, each once.
func secretRefs(perms []Permission) []secretRef {
	var out []secretRef
	for _, p := range perms {
		if !slices.ContainsFunc(p.Actions, namesSecrets) {
			continue
		}
		use := keyUseOf(p.Actions)
		for _, r := range p.Resources {
			if !isSecret(r) {
				continue
			}
			i := slices.IndexFunc(out, func(s secretRef) bool { return s.resource == r })
			if i < 0 {
				out = append(out, secretRef{resource: r, keyUse: use})
				continue
			}
			out[i].keyUse = union(out[i].keyUse, use)
		}
	}
	return out
}

func namesSecrets(action string) bool {
	return action == "*" || catalog.ServiceOf(action) == "secretsmanager"
}

func isSecret(resource string) bool {
	a, err := arn.Parse(resource)
	return err == nil && a.Service == "secretsmanager" && strings.HasPrefix(a.Resource, "secret:")
}

// keyUseOf lists the KMS actions that the key of a secret must allow for
// actions, which may be patterns.
func keyUseOf(actions []string) []string {
	var out []string
	for _, known := range []string{"secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecret", "secretsmanager:CreateSecret"} {
		if !slices.ContainsFunc(actions, func(a string) bool { return WithinFold(known, a) }) {
			continue
		}
		if use, ok := catalog.KeyUseOf(known); ok {
			out = union(out, use.Actions)
		}
	}
	return out
}

// canLookUp reports whether an inventory can be asked for the secret: a full
// or partial ARN, or a name with the pattern that stands for the six
// characters Secrets Manager adds to it.
func canLookUp(resource string) bool {
	a, err := arn.Parse(resource)
	if err != nil || !a.Account.Valid() || a.Region == "" || strings.ContainsAny(a.Region, "*?") {
		return false
	}
	name := strings.TrimSuffix(strings.TrimSuffix(a.Resource, "-*"), "-??????")
	return !strings.ContainsAny(name, "*?") && !strings.Contains(name, "${")
}

// findSecrets looks up every secret that an item's permissions name. A partial
// ARN among the permissions is replaced by the full one. ok is false when
// something was reported.
func (c *compiler) findSecrets(it *item, target *access.Account) (ok bool) {
	ok = true
	for _, ref := range secretRefs(it.perms) {
		if !canLookUp(ref.resource) {
			c.openSecret(it, ref)
			continue
		}
		found, state, why := c.world.secret(target.ID, ref.resource)
		if state == inventory.Exists && !found.Deleting {
			it.secrets = append(it.secrets, c.resolved(it, ref, found))
			continue
		}
		if c.missingSecret(it, ref, state, why, found != nil) {
			ok = false
		}
	}
	return ok
}

// openSecret warns that the keys behind a pattern can't be known.
func (c *compiler) openSecret(it *item, ref secretRef) {
	if len(ref.keyUse) == 0 || it.pattern() == access.ResourcePolicy {
		return
	}
	c.report.add(fault{
		code: CodeNoKey, at: it.allow.Pos, warning: true,
		summary: fmt.Sprintf("%s names no single secret, so the keys of its secrets are not known", ref.resource),
		detail:  "secrets under a customer managed key also need kms:Decrypt on that key; no such permission follows from this item",
		hint:    "name each secret as secret:NAME-*, or allow kms/decrypt on the key",
	})
}

// missingSecret reports a secret that was not found, and whether that is an error.
func (c *compiler) missingSecret(it *item, ref secretRef, state inventory.Lookup, why string, deleting bool) bool {
	f := fault{code: CodeNoSecret, at: it.allow.Pos}
	switch {
	case state == inventory.Unread:
		f.code = CodeUnread
		f.summary = fmt.Sprintf("secret %s could not be read: %s", ref.resource, why)
		f.hint = "stile's reading role needs secretsmanager:DescribeSecret and GetResourcePolicy there"
	case state == inventory.NotAsked:
		f.code = CodeNotObserved
		f.summary = fmt.Sprintf("secret %s was not looked for", ref.resource)
	case deleting:
		f.summary = fmt.Sprintf("secret %s is scheduled for deletion", ref.resource)
		f.hint = "restore it (secretsmanager:RestoreSecret), or take it out of the declaration"
	default:
		f.summary = fmt.Sprintf("there is no secret %s", ref.resource)
		f.hint = "create it first, or correct the name; across accounts a secret is named by its full ARN"
		f.warning = strings.ContainsAny(ref.resource, "*?") && it.pattern() != access.ResourcePolicy
	}
	c.report.add(f)
	return !f.warning
}

// resolved is the secret a reference stands for.
func (c *compiler) resolved(it *item, ref secretRef, found *inventory.Secret) secret {
	full, err := arn.Parse(found.ARN)
	if err != nil {
		full = arn.ARN{}
	}
	if !strings.ContainsAny(ref.resource, "*?") && ref.resource != found.ARN {
		for i := range it.perms {
			it.perms[i].Resources = replaced(it.perms[i].Resources, ref.resource, found.ARN)
		}
		ref.resource = found.ARN
	}
	return secret{secretRef: ref, Secret: found, arn: full}
}

func replaced(list []string, from, to string) []string {
	out := slices.Clone(list)
	for i := range out {
		if out[i] == from {
			out[i] = to
		}
	}
	return out
}

// keyState is what is known of the key a secret is encrypted with.
type keyState uint8

const (
	keyUnknown keyState = iota // reported
	keyOfAWS                   // the AWS managed key aws/secretsmanager
	keyOfCustomer
)

// keyOf finds the key of a secret.
func (c *compiler) keyOf(it *item, s secret) (*inventory.Key, keyState) {
	if s.KMSKey == "" || strings.HasSuffix(s.KMSKey, "alias/aws/secretsmanager") {
		return nil, keyOfAWS
	}
	if s.KeyARN == "" {
		c.report.add(fault{
			code: CodeNoKey, at: it.allow.Pos, summary: fmt.Sprintf("the key %s of secret %s could not be found", s.KMSKey, s.Name),
			hint: "stile's reading role needs kms:DescribeKey and kms:GetKeyPolicy on it",
		})
		return nil, keyUnknown
	}
	key, state, why := c.world.key(s.KeyARN)
	owner, err := arn.Parse(s.KeyARN)
	if _, declared := c.set.Account(string(owner.Account)); err != nil || !declared {
		c.report.add(fault{
			code: CodeNoKey, at: it.allow.Pos,
			summary: fmt.Sprintf("the key %s of secret %s is in an account that is not declared", s.KeyARN, s.Name),
			detail:  "whether the key admits the caller depends on its policy, which only that account can read and change",
			hint:    "declare the account of the key",
		})
		return nil, keyUnknown
	}
	switch {
	case state == inventory.Unread:
		c.report.errorf(CodeUnread, it.allow.Pos, "key %s of secret %s could not be read: %s", s.KeyARN, s.Name, why)
	case state == inventory.NotAsked:
		c.report.errorf(CodeNotObserved, it.allow.Pos, "key %s of secret %s was not looked for", s.KeyARN, s.Name)
	case state == inventory.Absent:
		c.report.errorf(CodeNoKey, it.allow.Pos, "key %s of secret %s does not exist", s.KeyARN, s.Name)
	case key.AWSManaged:
		return key, keyOfAWS
	case !key.Enabled:
		c.report.add(fault{
			code: CodeNoKey, at: it.allow.Pos, summary: fmt.Sprintf("key %s of secret %s is disabled", s.KeyARN, s.Name),
			hint: "enable the key, or encrypt the secret under another",
		})
	default:
		return key, keyOfCustomer
	}
	return nil, keyUnknown
}

// A keyGrant is what a principal needs on the key of secrets.
type keyGrant struct {
	key     *inventory.Key
	arn     arn.ARN
	actions []string
	secrets []string // full ARNs
	names   []string
}

// keyGrants lists what reading (or writing) the secrets of an item needs on
// their customer managed keys, one for each key.
func (c *compiler) keyGrants(it *item) (grants []keyGrant, ok bool) {
	ok = true
	for _, s := range it.secrets {
		if len(s.keyUse) == 0 {
			continue
		}
		key, state := c.keyOf(it, s)
		switch state {
		case keyUnknown:
			ok = false
			continue
		case keyOfAWS:
			continue
		}
		parsed, err := arn.Parse(key.ARN)
		if err != nil {
			c.report.errorf(CodeNoKey, it.allow.Pos, "reading the key of secret %s: %v", s.Name, err)
			ok = false
			continue
		}
		i := slices.IndexFunc(grants, func(g keyGrant) bool { return g.key.ARN == key.ARN })
		if i < 0 {
			grants = append(grants, keyGrant{key: key, arn: parsed})
			i = len(grants) - 1
		}
		g := &grants[i]
		g.actions = union(g.actions, s.keyUse)
		g.secrets = union(g.secrets, []string{s.ARN})
		g.names = union(g.names, []string{s.Name})
	}
	return grants, ok
}

// conditions limit the use of the key to Secrets Manager acting on the very
// secrets. Secrets Manager encrypts with the context SecretARN and
// SecretVersionId. Source: Secrets Manager guide security-encryption.
func (g *keyGrant) conditions() []policy.Condition {
	use, _ := catalog.KeyUseOf("secretsmanager:GetSecretValue")
	return []policy.Condition{
		policy.Cond("StringEquals", "kms:ViaService", use.ViaServiceValue(g.arn.Region)),
		policy.Cond("StringEquals", "kms:EncryptionContext:"+use.ContextKey, g.secrets...),
	}
}

// permission is the identity side of g.
func (g *keyGrant) permission() Permission {
	return Permission{
		Actions: g.actions, Resources: []string{g.key.ARN}, Conditions: g.conditions(),
		Implied: fmt.Sprintf("%s encrypted with the customer managed key %s", isOrAre("secret", g.names), g.key.ARN),
	}
}

func isOrAre(noun string, names []string) string {
	if len(names) == 1 {
		return noun + " " + names[0] + " is"
	}
	return noun + "s " + strings.Join(names, ", ") + " are"
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
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
