package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
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

// encrypted is the secret as what it is encrypted under.
func (s secret) encrypted() encrypted {
	use, _ := catalog.KeyUseOf("secretsmanager:GetSecretValue")
	out := encrypted{noun: "secret", name: s.Name, owner: s.arn.Account, use: use, actions: s.keyUse, contexts: []string{s.ARN}}
	if s.KMSKey != "" && !managedAlias(s.KMSKey) {
		out.key, out.lost = cmp.Or(s.KeyARN, s.KMSKey), s.KeyARN == ""
	}
	return out
}
