package inventory

import (
	"maps"
	"slices"

	"github.com/stile-aws/stile/policy"
)

// details names what of a thing is different.
type details []string

func (c *details) add(what string) { *c = append(*c, what) }

func (c *details) text(what, a, b string) {
	if a != b {
		c.add(what)
	}
}

func (c *details) flag(what string, a, b bool) {
	if a != b {
		c.add(what)
	}
}

// document compares policies by what they say.
func (c *details) document(what, a, b string) {
	switch {
	case SameDocument(a, b):
	case a == "":
		c.add(what + " added")
	case b == "":
		c.add(what + " removed")
	default:
		c.add(what + unknownNow(a, b))
	}
}

// unknownNow says when one of two documents is not known.
func unknownNow(a, b string) string {
	_, was := WhyUnknown(a)
	_, is := WhyUnknown(b)
	switch {
	case is && !was:
		return " became unreadable"
	case was && !is:
		return " became readable"
	}
	return ""
}

// SameDocument reports whether two policy texts say the same. Texts that are no
// policies say what they say.
func SameDocument(a, b string) bool {
	if a == b {
		return true
	}
	if a == "" || b == "" {
		return false
	}
	x, err := policy.Parse([]byte(a))
	if err != nil {
		return false
	}
	y, err := policy.Parse([]byte(b))
	return err == nil && policy.Equal(x, y)
}

func (c *details) documents(what string, a, b map[string]string) {
	for _, name := range keysOf(a, b) {
		x, before := a[name]
		y, after := b[name]
		switch {
		case !before:
			c.add(what + " " + name + " added")
		case !after:
			c.add(what + " " + name + " removed")
		case !SameDocument(x, y):
			c.add(what + " " + name + unknownNow(x, y))
		}
	}
}

// set compares lists whose order does not count.
func (c *details) set(what string, a, b []string) {
	count := map[string]int{}
	for _, s := range a {
		count[s]--
	}
	for _, s := range b {
		count[s]++
	}
	for _, s := range slices.Sorted(maps.Keys(count)) {
		if count[s] > 0 {
			c.add(what + " " + s + " added")
		} else if count[s] < 0 {
			c.add(what + " " + s + " removed")
		}
	}
}

func (c *details) tags(a, b map[string]string) {
	if !maps.Equal(a, b) {
		c.add("tags")
	}
}

// listed compares lists that were read only in the state Exists.
func listed[T any](c *details, what string, states [2]Lookup, a, b []T, key func(T) string) {
	if states[0] != states[1] {
		c.add("list of " + what + ": " + states[0].String() + " before, " + states[1].String() + " after")
		return
	}
	keyed := func(list []T) map[string]string {
		out := map[string]string{}
		for _, v := range list {
			out[key(v)] += asText(v)
		}
		return out
	}
	x, y := keyed(a), keyed(b)
	for _, name := range keysOf(x, y) {
		switch {
		case x[name] == y[name]:
		case x[name] == "":
			c.add(what + " " + name + " added")
		case y[name] == "":
			c.add(what + " " + name + " removed")
		default:
			c.add(what + " " + name)
		}
	}
}

func roleDetails(a, b *Role) []string {
	var c details
	c.text("ARN", a.ARN, b.ARN)
	c.text("name", a.Name, b.Name)
	c.text("unique id", a.ID, b.ID)
	c.text("path", a.Path, b.Path)
	c.document("trust policy", a.Trust, b.Trust)
	c.documents("inline policy", a.Inline, b.Inline)
	c.set("managed policy", a.Attached, b.Attached)
	c.text("permissions boundary", a.Boundary, b.Boundary)
	if a.MaxSession != b.MaxSession {
		c.add("longest session")
	}
	c.text("description", a.Description, b.Description)
	c.tags(a.Tags, b.Tags)
	return c
}

func userDetails(a, b *User) []string {
	var c details
	c.text("ARN", a.ARN, b.ARN)
	c.text("name", a.Name, b.Name)
	c.text("unique id", a.ID, b.ID)
	c.text("path", a.Path, b.Path)
	c.documents("inline policy", a.Inline, b.Inline)
	c.set("managed policy", a.Attached, b.Attached)
	c.text("permissions boundary", a.Boundary, b.Boundary)
	c.tags(a.Tags, b.Tags)
	c.groups(a.Groups, b.Groups)
	return c
}

func (c *details) groups(a, b []Group) {
	named := func(list []Group) map[string]Group {
		out := map[string]Group{}
		for _, g := range list {
			out[g.Name] = g
		}
		return out
	}
	x, y := named(a), named(b)
	for _, name := range keysOf(x, y) {
		before, was := x[name]
		after, is := y[name]
		switch {
		case !was:
			c.add("group " + name + " added")
		case !is:
			c.add("group " + name + " removed")
		default:
			c.documents("inline policy of group "+name, before.Inline, after.Inline)
			c.set("managed policy of group "+name, before.Attached, after.Attached)
		}
	}
}

func managedDetails(a, b *Managed) []string {
	var c details
	c.text("ARN", a.ARN, b.ARN)
	c.document("document", a.Document, b.Document)
	return c
}

func providerDetails(a, b *OIDCProvider) []string {
	var c details
	c.text("ARN", a.ARN, b.ARN)
	c.text("URL", a.URL, b.URL)
	c.set("audience", a.ClientIDs, b.ClientIDs)
	c.tags(a.Tags, b.Tags)
	return c
}

func samlDetails(a, b *SAMLProvider) []string {
	var c details
	c.text("ARN", a.ARN, b.ARN)
	c.text("name", a.Name, b.Name)
	c.tags(a.Tags, b.Tags)
	return c
}

func secretDetails(a, b *Secret) []string {
	var c details
	c.text("ARN", a.ARN, b.ARN)
	c.text("name", a.Name, b.Name)
	c.text("KMS key", a.KMSKey, b.KMSKey)
	if a.KMSKey == b.KMSKey {
		c.text("KMS key", a.KeyARN, b.KeyARN)
	}
	c.document("resource policy", a.Policy, b.Policy)
	c.tags(a.Tags, b.Tags)
	c.flag("scheduled for deletion", a.Deleting, b.Deleting)
	return c
}

func keyDetails(a, b *Key) []string {
	var c details
	c.text("ARN", a.ARN, b.ARN)
	c.flag("managed by AWS", a.AWSManaged, b.AWSManaged)
	c.flag("enabled", a.Enabled, b.Enabled)
	c.document("key policy", a.Policy, b.Policy)
	listed(&c, "grant", [2]Lookup{a.GrantState, b.GrantState}, a.Grants, b.Grants, func(g Grant) string { return g.ID })
	c.set("alias", a.Aliases, b.Aliases)
	return c
}

func clusterDetails(a, b *Cluster) []string {
	var c details
	c.text("ARN", a.ARN, b.ARN)
	c.text("name", a.Name, b.Name)
	c.text("Region", a.Region, b.Region)
	c.text("issuer", a.Issuer, b.Issuer)
	c.text("status", a.Status, b.Status)
	listed(&c, "Pod Identity association", [2]Lookup{a.AssociationState, b.AssociationState}, a.Associations, b.Associations,
		func(s Association) string { return s.Namespace + "/" + s.ServiceAccount })
	listed(&c, "access entry", [2]Lookup{a.AccessEntryState, b.AccessEntryState}, a.AccessEntries, b.AccessEntries,
		func(e AccessEntry) string { return e.Principal })
	listed(&c, "service account", [2]Lookup{a.ServiceAcctsState, b.ServiceAcctsState}, a.ServiceAccounts, b.ServiceAccounts,
		func(s ServiceAccount) string { return s.Namespace + "/" + s.Name })
	return c
}

func endpointDetails(a, b *Endpoint) []string {
	var c details
	c.text("ARN", a.ARN, b.ARN)
	c.text("id", a.ID, b.ID)
	c.text("VPC", a.VPC, b.VPC)
	c.text("service", a.Service, b.Service)
	c.document("policy", a.Policy, b.Policy)
	return c
}

func resourceDetails(a, b *Resource) []string {
	var c details
	c.text("ARN", a.ARN, b.ARN)
	c.text("type", a.Type, b.Type)
	switch {
	case a.PolicyState != b.PolicyState && !(a.PolicyState.known() && b.PolicyState.known()):
		c.add("resource policy: " + a.PolicyState.String() + " before, " + b.PolicyState.String() + " after")
	case a.PolicyState != b.PolicyState && a.Policy == b.Policy:
		c.add("whether there is a resource policy")
	default:
		c.document("resource policy", a.Policy, b.Policy)
	}
	c.text("KMS key", a.KMSKey, b.KMSKey)
	switch {
	case a.Tags != nil && b.Tags == nil:
		c.add("tags became unreadable")
	case a.Tags == nil && b.Tags != nil:
		c.add("tags became readable")
	default:
		c.tags(a.Tags, b.Tags)
	}
	return c
}

func orgPolicyDetails(a, b *OrgPolicy) []string {
	var c details
	c.text("id", a.ID, b.ID)
	c.text("ARN", a.ARN, b.ARN)
	c.text("name", a.Name, b.Name)
	c.document("document", a.Document, b.Document)
	return c
}
