package compile

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
)

// world answers from an inventory and tells what was not looked for from what
// could not be read.
type world struct{ inv *inventory.Inventory }

func (w world) account(id arn.AccountID) *inventory.Account {
	if w.inv == nil {
		return nil
	}
	return w.inv.Accounts[id]
}

// silent reports whether the account could not be read at all, and why.
func (w world) silent(id arn.AccountID) (why string, silent bool) {
	a := w.account(id)
	if a == nil {
		return "", false
	}
	for _, p := range a.Problems {
		if p.What == "account" {
			return p.Why, true
		}
	}
	return "", false
}

// unread says that a thing, named by what a Problem may call it, could not be
// read, and why.
func unread(a *inventory.Account, names ...string) (why string, is bool) {
	if a == nil {
		return "", false
	}
	for _, p := range a.Problems {
		if p.What == "account" || slices.Contains(names, p.What) {
			return p.Why, true
		}
	}
	return "", false
}

// look finds what is under key in one of an account's maps.
func look[T any](a *inventory.Account, m map[string]*T, key string, names ...string) (*T, inventory.Lookup, string) {
	v, state := inventory.Get(m, key)
	if state != inventory.NotAsked {
		return v, state, ""
	}
	if why, is := unread(a, names...); is {
		return nil, inventory.Unread, why
	}
	return nil, inventory.NotAsked, ""
}

func (w world) provider(id arn.AccountID, url string) (*inventory.OIDCProvider, inventory.Lookup, string) {
	a := w.account(id)
	if a == nil {
		return nil, inventory.NotAsked, ""
	}
	return look(a, a.Providers, url, "OIDC provider "+url)
}

func (w world) secret(id arn.AccountID, asked string) (*inventory.Secret, inventory.Lookup, string) {
	a := w.account(id)
	if a == nil {
		return nil, inventory.NotAsked, ""
	}
	return look(a, a.Secrets, asked, "secret "+asked)
}

func (w world) key(keyARN string) (*inventory.Key, inventory.Lookup, string) {
	parsed, err := arn.Parse(keyARN)
	if err != nil {
		return nil, inventory.Absent, ""
	}
	a := w.account(parsed.Account)
	if a == nil {
		return nil, inventory.NotAsked, ""
	}
	return look(a, a.Keys, keyARN, "key "+keyARN)
}

// resource finds what holds data under a key, by its ARN.
func (w world) resource(id arn.AccountID, holder string) (*inventory.Resource, inventory.Lookup, string) {
	a := w.account(id)
	parsed, err := arn.Parse(holder)
	if a == nil || err != nil {
		return nil, inventory.NotAsked, ""
	}
	found, state, why := look(a, a.Resources, holder, "resource "+holder)
	if state == inventory.NotAsked {
		listed, told := a.Listed[inventory.ListKey(parsed.Service+":"+nounOf(parsed.Service), parsed.Region)]
		if told && listed == inventory.NotAsked {
			return nil, inventory.Unread, "this endpoint does not have the service " + parsed.Service
		}
	}
	return found, state, why
}

func (w world) cluster(id arn.AccountID, region, name string) (*inventory.Cluster, inventory.Lookup, string) {
	a := w.account(id)
	if a == nil {
		return nil, inventory.NotAsked, ""
	}
	key := region + "/" + name
	return look(a, a.Clusters, key, "cluster "+key, "cluster "+name)
}

func (w world) role(id arn.AccountID, name string) (*inventory.Role, inventory.Lookup, string) {
	r, state := w.account(id).Role(name)
	why, _ := unread(w.account(id), "role "+name)
	return r, state, why
}

func (w world) user(id arn.AccountID, name string) (*inventory.User, inventory.Lookup, string) {
	u, state := w.account(id).User(name)
	why, _ := unread(w.account(id), "user "+name)
	return u, state, why
}

// issuerOf is the OIDC issuer of a cluster, without "https://".
func (w world) issuerOf(set *access.Set, c *access.Cluster) (string, inventory.Lookup, string) {
	if c.Issuer != "" {
		return trimScheme(c.Issuer), inventory.Exists, ""
	}
	account, ok := set.Account(c.Account)
	if !ok {
		return "", inventory.NotAsked, ""
	}
	found, state, why := w.cluster(account.ID, c.Region, eksName(c))
	if state != inventory.Exists {
		return "", state, why
	}
	return trimScheme(found.Issuer), state, ""
}

func eksName(c *access.Cluster) string {
	if c.EKSName != "" {
		return c.EKSName
	}
	return c.Name
}

// trimScheme names an issuer as IAM does.
func trimScheme(url string) string { return strings.TrimPrefix(url, "https://") }
