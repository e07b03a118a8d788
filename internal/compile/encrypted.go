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

// Queues, topics, tables, buckets, streams and parameters under a KMS key: using
// them takes the use of the key. Secrets, which have policies beside, are in
// secrets.go.

// A sealedRef is something that permissions name and that may be under a KMS key.
type sealedRef struct {
	holder   string // ARN of what is encrypted: the table of an index, the bucket of an object; or a pattern
	open     bool   // holder names no single thing
	use      catalog.KeyUse
	actions  []string
	contexts []string // values of use.ContextKey
}

// sealedRefs lists what perms name that may be under a KMS key of the target's or
// somebody else's, each once for a service.
func sealedRefs(perms []Permission) []sealedRef {
	var out []sealedRef
	for _, p := range perms {
		for _, use := range usesOf(p.Actions) {
			for _, r := range p.Resources {
				ref, ok := sealed(r, use)
				if !ok {
					continue
				}
				i := slices.IndexFunc(out, func(s sealedRef) bool { return s.holder == ref.holder && s.use.ViaService == use.ViaService })
				if i < 0 {
					out = append(out, ref)
					continue
				}
				out[i].actions = union(out[i].actions, ref.actions)
				out[i].contexts = union(out[i].contexts, ref.contexts)
			}
		}
	}
	return out
}

// usesOf lists the ways in which actions, which may be patterns, use the key of a
// resource, one for each service.
func usesOf(actions []string) []catalog.KeyUse {
	var out []catalog.KeyUse
	add := func(use catalog.KeyUse) {
		i := slices.IndexFunc(out, func(u catalog.KeyUse) bool { return u.ViaService == use.ViaService })
		if i < 0 {
			out = append(out, use)
			return
		}
		out[i].Actions = union(out[i].Actions, use.Actions)
	}
	for _, action := range actions {
		if !holdsKeys(catalog.ServiceOf(action)) {
			continue
		}
		if !strings.ContainsAny(action, "*?") {
			if use, ok := catalog.KeyUseOf(action); ok {
				add(use)
			}
			continue
		}
		for known, use := range catalog.KeyUses() { // in any order: actions are put together sorted
			if WithinFold(known, action) {
				add(use)
			}
		}
	}
	return out
}

// nouns name what a service has that is under a key.
var nouns = [...]struct{ service, noun string }{
	{"dynamodb", "table"}, {"kinesis", "stream"}, {"s3", "bucket"}, {"sns", "topic"}, {"sqs", "queue"}, {"ssm", "parameter"},
}

func nounOf(service string) string {
	for _, n := range nouns {
		if n.service == service {
			return n.noun
		}
	}
	return ""
}

// holdsKeys reports whether things of a service are looked for by their keys here.
func holdsKeys(service string) bool { return nounOf(service) != "" }

// sealed is what a resource is to the keys of a service; ok is false for what the
// service's actions are not about.
func sealed(resource string, use catalog.KeyUse) (ref sealedRef, ok bool) {
	ref = sealedRef{holder: resource, open: true, use: use, actions: use.Actions}
	if resource == catalog.Everything {
		return ref, true
	}
	a, err := arn.Parse(resource)
	if err != nil || a.Service != use.ViaService {
		return ref, false
	}
	switch a.Service {
	case "s3":
		if a.Region != "" {
			return ref, false // an access point
		}
		var key string
		a.Resource, key, _ = strings.Cut(a.Resource, "/")
		if key == "" {
			return ref, false // the bucket itself, which is no object
		}
	case "dynamodb", "kinesis":
		parts := strings.SplitN(a.Resource, "/", 3)
		a.Resource = strings.Join(parts[:min(2, len(parts))], "/")
	case "sns":
		a.Resource, _, _ = strings.Cut(a.Resource, ":")
	}
	ref.holder = a.String()
	if use.ContextKey != "" {
		ref.contexts = contextsOf(a)
	}
	ref.open = strings.ContainsAny(a.Resource, "*?$") || strings.ContainsAny(a.Region, "*?$")
	return ref, true
}

// contextsOf are the values by which the encryption context names what is
// encrypted: a table by its name, a bucket's objects by their own ARNs or, with a
// bucket key, by the bucket's. Sources: DynamoDB guide encryption.usagenotes,
// "DynamoDB encryption context"; S3 guide UsingKMSEncryption, "Encryption context",
// and bucket-key, "Changes to note before enabling an S3 Bucket Key".
func contextsOf(holder arn.ARN) []string {
	switch holder.Service {
	case "s3":
		return []string{holder.String(), holder.String() + "/*"}
	case "dynamodb":
		return []string{strings.TrimPrefix(holder.Resource, "table/")}
	}
	return []string{holder.String()}
}

// Holder is what of a resource may be under a KMS key that can be looked for: the
// table of an index, the bucket of an object, mostly the resource itself. ok is
// false for everything else, and for patterns.
func Holder(resource arn.ARN) (holder string, ok bool) {
	ref, ok := sealed(resource.String(), catalog.KeyUse{ViaService: resource.Service})
	return ref.holder, ok && holdsKeys(resource.Service) && !ref.open
}

// encryptions asks for what permissions name that may be under a key, and for the
// keys of what was found.
func (n *asker) encryptions(t *access.Account, perms []Permission) {
	for _, ref := range sealedRefs(perms) {
		if ref.open {
			continue
		}
		found, state, _ := n.world.resource(t.ID, ref.holder)
		switch {
		case state == inventory.NotAsked:
			ask(n.req.Account(t.ID), func(r *inventory.AccountRequest) *[]string { return &r.Resources }, ref.holder)
		case state == inventory.Exists && !managedAlias(found.KMSKey):
			n.key(found.KMSKey)
		}
	}
}

// findEncrypted looks up what an item's permissions name that may be under a key.
// What could not be found out is taken to need none, and told.
func (c *compiler) findEncrypted(it *item, target *access.Account) {
	for _, ref := range sealedRefs(it.perms) {
		noun := nounOf(ref.use.ViaService)
		if ref.open {
			c.assume("under which KMS keys the %ss are that %s names in account %s (%s) was not looked for; taken to need none", noun, ref.holder, target.Name, target.ID)
			continue
		}
		name := ref.holder
		if a, err := arn.Parse(ref.holder); err == nil {
			name = strings.TrimPrefix(a.Resource, noun+"/")
		}
		found, state, why := c.world.resource(target.ID, ref.holder)
		switch state {
		case inventory.Exists:
			if noun == "bucket" {
				c.assume("every object of bucket %s is taken to be encrypted as the bucket does by default", name)
			}
			it.encrypted = append(it.encrypted, encrypted{noun: noun, name: name, owner: target.ID, key: found.KMSKey, use: ref.use, actions: ref.actions, contexts: ref.contexts})
		case inventory.Absent:
			c.assume("there is no %s %s in account %s (%s) yet; taken to need no KMS key", noun, name, target.Name, target.ID)
		case inventory.Unread, inventory.NotAsked:
			c.assume("whether %s %s of account %s (%s) is encrypted under a KMS key is not known: %s; taken to need none", noun, name, target.Name, target.ID, cmp.Or(why, "it was not looked for"))
		}
	}
}

// assume notes what is taken to be so without having been seen.
func (c *compiler) assume(format string, args ...any) {
	c.assumed[fmt.Sprintf(format, args...)] = true
}
