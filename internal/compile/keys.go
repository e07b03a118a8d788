package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// KMS keys that are declared themselves. A key's own policy decides about it:
// IAM policies count where it says so, and whoever it does not admit is admitted
// by a statement of ours.

// A keyRef is a KMS key that permissions name.
type keyRef struct {
	resource string // as it stands in the permission: an ARN or a pattern
	// ask has the ARNs to look for: of a key that may be in any Region, as the
	// replicas of a multi-Region key, one for each Region of the account; none
	// where no single key is named.
	ask     []string
	actions []string // what is allowed on it, over all permissions
}

// A declaredKey is a keyRef found.
type declaredKey struct {
	*inventory.Key
	arn arn.ARN
}

func aboutKMS(action string) bool { return catalog.ServiceOf(action) == "kms" }

// isKey reports whether a resource is a KMS key, or a pattern that keys fit.
func isKey(resource string) bool {
	a, err := arn.Parse(resource)
	return err == nil && a.Service == "kms" && a.Type() != "alias"
}

// keysAlone reports whether p is about KMS keys and nothing else.
func keysAlone(p *Permission) bool {
	return len(p.Resources) > 0 && !slices.ContainsFunc(p.Resources, func(r string) bool { return !isKey(r) }) &&
		!slices.ContainsFunc(p.Actions, func(a string) bool { return !aboutKMS(a) })
}

// keyRefs lists the keys that perms name, each once.
func keyRefs(perms []Permission, target *access.Account) []keyRef {
	var out []keyRef
	for _, p := range perms {
		if !slices.ContainsFunc(p.Actions, aboutKMS) {
			continue
		}
		for _, r := range p.Resources {
			if !isKey(r) {
				continue
			}
			i := slices.IndexFunc(out, func(k keyRef) bool { return k.resource == r })
			if i < 0 {
				out = append(out, keyRef{resource: r, ask: singleKeys(r, target)})
				i = len(out) - 1
			}
			out[i].actions = union(out[i].actions, p.Actions)
		}
	}
	return out
}

// singleKeys are the ARNs that a resource may stand for. The replicas of a
// multi-Region key share their id, and each has a policy of its own. Source: KMS
// guide multi-region-keys-auth.
func singleKeys(resource string, target *access.Account) []string {
	a, err := arn.Parse(resource)
	if err != nil || a.Type() != "key" || strings.ContainsAny(a.Resource, "*?$") || !a.Account.Valid() {
		return nil
	}
	if !strings.ContainsAny(a.Region, "*?") {
		return []string{resource}
	}
	regions := target.Regions
	if len(regions) == 0 {
		regions = []string{access.DefaultRegion}
	}
	var out []string
	for _, region := range regions {
		if policy.Glob(a.Region, region) {
			one := a
			one.Region = region
			out = append(out, one.String())
		}
	}
	return out
}

// findKeys looks up every key that an item's permissions name, and puts the ARNs
// of those found in the place of a pattern of Regions. ok is false when something
// was reported.
func (c *compiler) findKeys(it *item, target *access.Account) (ok bool) {
	ok = true
	for _, ref := range keyRefs(it.perms, target) {
		found, all := c.keysOf(it, &ref)
		if !all {
			ok = false
			continue
		}
		var names []string
		for _, k := range found {
			names = append(names, k.ARN)
		}
		for i := range it.perms {
			if at := slices.Index(it.perms[i].Resources, ref.resource); at >= 0 {
				it.perms[i].Resources = slices.Concat(it.perms[i].Resources[:at:at], names, it.perms[i].Resources[at+1:])
			}
		}
		it.keys = append(it.keys, found...)
	}
	return ok
}

// keysOf finds the keys that ref stands for; ok is false when something was reported.
func (c *compiler) keysOf(it *item, ref *keyRef) (found []declaredKey, ok bool) {
	at := it.allow.Pos
	if len(ref.ask) == 0 {
		c.report.add(fault{
			code: CodeBadResource, at: at, summary: fmt.Sprintf("%s names no single key, so there is no key policy to look at or to change", ref.resource),
			detail: "each key's own policy decides who may use it; a pattern of keys gives what each of them happens to let IAM policies give",
			hint:   "name each key as arn:aws:kms:${region}:${account}:key/ID; the Region alone may be *, for a multi-Region key (mrk-…) in the account's declared Regions",
		})
		return nil, false
	}
	missing := 0
	for _, one := range ref.ask {
		if _, state, _ := c.world.key(one); state == inventory.Absent && len(ref.ask) > 1 {
			missing++
			continue
		}
		key, usable := c.usableKey(at, one, "")
		parsed, err := arn.Parse(one)
		if !usable || err != nil || !c.shareable(at, key, ref.actions) {
			return nil, false
		}
		found = append(found, declaredKey{key, parsed})
	}
	if missing == len(ref.ask) {
		c.report.add(fault{
			code: CodeNoKey, at: at, summary: fmt.Sprintf("key %s is in none of the account's declared Regions", ref.resource),
			hint: "add the key's Regions to spec.regions of the Account, or correct the key's id",
		})
		return nil, false
	}
	return found, true
}

// shareable reports a key that AWS manages: nothing can be allowed on it but to
// look at it. Sources: KMS guide concepts, "AWS managed keys": their policies
// cannot be changed; key-policy-modifying-external-accounts: a policy for another
// account takes a customer managed key.
func (c *compiler) shareable(at access.Pos, key *inventory.Key, actions []string) bool {
	looks := func(action string) bool {
		return slices.ContainsFunc([]string{"kms:Describe*", "kms:Get*", "kms:List*"}, func(p string) bool { return WithinFold(action, p) })
	}
	if !key.AWSManaged || !slices.ContainsFunc(actions, func(a string) bool { return aboutKMS(a) && !looks(a) }) {
		return true
	}
	c.report.add(fault{
		code: CodeManagedKey, at: at, summary: fmt.Sprintf("nobody can be allowed to use key %s: it is managed by AWS", key.ARN),
		detail: "the policy of an AWS managed key (alias/aws/…) cannot be changed; it serves the principals of its own account, through its one service and without any permission on the key, and nobody of another account",
		hint:   "encrypt under a customer managed key and name that; or, for what the service does for a role in the key's own account, leave the key out",
	})
	return false
}

// admitToKeys wants a statement for to in the policy of each declared key that
// permission n of an item names, unless the key lets the IAM policies of to's own
// account decide.
func (c *compiler) admitToKeys(g *grant, it *item, n int, account *access.Account, to grantee) {
	p := &it.perms[n]
	actions := slices.DeleteFunc(slices.Clone(p.Actions), func(a string) bool { return !aboutKMS(a) })
	for _, k := range it.keys {
		if !slices.Contains(p.Resources, k.ARN) || k.AWSManaged || k.arn.Account == account.ID && delegates(k.Policy, account.ID, actions) {
			continue
		}
		id := sid(c.set.Scope.Name, g.access.Name, to.name, k.ARN, "declared", strconv.Itoa(it.index), strconv.Itoa(n))
		st := policy.Statement{
			Sid: id, Effect: policy.Allow, Principal: to.who, Actions: policy.Texts(actions...),
			Resources:  policy.Texts("*"), // in a key policy, the key itself
			Conditions: slices.Concat(p.Conditions, to.only),
		}
		c.statement(Statement{
			Account: k.arn.Account, Region: k.arn.Region, Kind: KeyPolicy, Target: k.ARN,
			Statement: expiring(st, g.access.Expires), For: []string{g.access.Name},
		})
	}
}

// notAcrossAccounts is an action of p that KMS does not take from another account
// than the key's, "" when there is none. Source: KMS guide
// key-policy-modifying-external-accounts, "Operations that you can perform on KMS
// keys in other accounts".
func notAcrossAccounts(p *Permission) string {
	i := slices.IndexFunc(p.Actions, func(a string) bool {
		capable, known := catalog.CrossAccountCapable(a)
		return known && !capable && !strings.ContainsAny(a, "*?")
	})
	if i < 0 {
		return ""
	}
	return p.Actions[i]
}
