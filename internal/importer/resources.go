package importer

import (
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

func (o *overlay) putSecret(t thing, key string, tags map[string]string) {
	a := o.account(t.account)
	at, known := secretKey(a, t.arn)
	if !known {
		if at, known = secretKey(a, t.name); !known {
			at = t.arn
		}
	}
	put(a.Secrets, at, t.anew, func(s *inventory.Secret) {
		if s.ARN == "" {
			s.ARN = t.arn
			if !t.anew {
				s.Policy = inventory.Unknown("the secret's policy was not read")
			}
		}
		s.Name, s.Deleting = t.name, false
		s.KMSKey, s.KeyARN = key, ""
		if full, ok := keyOf(a, key); ok && key != "" {
			s.KeyARN = full
		}
		if tags != nil {
			s.Tags = tags
		}
	})
}

// setSecretPolicy sets a secret's resource policy; "" takes it away.
func (o *overlay) setSecretPolicy(at place, id arn.AccountID, secret, text string) {
	a := o.account(id)
	key, known := secretKey(a, secret)
	if !known {
		o.missing(at, id, "secret "+secret, "its policy")
		return
	}
	edit(a.Secrets, key, func(s *inventory.Secret) { s.Policy = text })
}

// missing says that a change could not be applied, because what it changes is not
// known.
func (o *overlay) missing(at place, id arn.AccountID, what, part string) {
	o.problem(id, what, at.address+" changes "+part+", and it is neither in the inventory nor in the input")
	o.find(at, diag.Warning, CodeMissing, what+" of account "+string(id)+" is neither in the inventory nor in the input, so "+part+" is left out", "read it into the inventory first")
}

// defaultKeyPolicy is the one a key gets that is made without. Source: KMS guide
// key-policy-default, "default key policy … created programmatically".
func defaultKeyPolicy(t thing) string {
	return policy.NewDocument(policy.Statement{
		Sid: "EnableIAMUserPermissions", Effect: policy.Allow, Principal: policy.AWS(arn.Root(t.partition, t.account).String()),
		Actions: policy.Texts("kms:*"), Resources: policy.Texts("*"),
	}).String()
}

// defaultEndpointPolicy is the one an endpoint gets that is made without. Source:
// VPC guide, "Default endpoint policy".
func defaultEndpointPolicy() string {
	return policy.NewDocument(policy.Statement{Effect: policy.Allow, Principal: policy.Everyone(), Actions: policy.Texts("*"), Resources: policy.Texts("*")}).String()
}

// putKey makes a key or changes its policy. An empty document leaves the policy
// as it is, or makes it the default one.
func (o *overlay) putKey(t thing, document string, enabled value) {
	put(o.account(t.account).Keys, t.arn, t.anew, func(k *inventory.Key) {
		if k.ARN == "" {
			k.Enabled = true
			k.GrantState = inventory.NotAsked
			k.Policy = inventory.Unknown("the key's policy was not read")
			if t.anew {
				k.Policy, k.GrantState = defaultKeyPolicy(t), inventory.Exists
			}
		}
		k.ARN = t.arn
		if document != "" {
			k.Policy = document
		}
		if !enabled.none() {
			k.Enabled = enabled.truth()
		}
	})
}

func (o *overlay) setKeyPolicy(at place, id arn.AccountID, key, text string) {
	a := o.account(id)
	full, known := keyOf(a, key)
	if !known {
		o.missing(at, id, "key "+key, "its policy")
		return
	}
	edit(a.Keys, full, func(k *inventory.Key) { k.Policy = text })
}

// setAlias gives an alias to a key, and takes it from any other.
func (o *overlay) setAlias(at place, id arn.AccountID, alias, key string) {
	a := o.account(id)
	o.dropAlias(id, alias)
	full, known := keyOf(a, key)
	if !known {
		o.missing(at, id, "key "+key, alias)
		return
	}
	edit(a.Keys, full, func(k *inventory.Key) { k.Aliases = append(slices.Clone(k.Aliases), alias) })
}

func (o *overlay) dropAlias(id arn.AccountID, alias string) {
	a := o.account(id)
	for _, key := range slices.Sorted(maps.Keys(a.Keys)) {
		if k := a.Keys[key]; k != nil && slices.Contains(k.Aliases, alias) {
			edit(a.Keys, key, func(k *inventory.Key) {
				k.Aliases = slices.DeleteFunc(slices.Clone(k.Aliases), func(s string) bool { return s == alias })
			})
		}
	}
}

// setGrant adds a grant to a key, in the place of one of its id or name.
func (o *overlay) setGrant(at place, id arn.AccountID, key string, g inventory.Grant) {
	a := o.account(id)
	full, known := keyOf(a, key)
	if !known {
		o.missing(at, id, "key "+key, "a grant")
		return
	}
	edit(a.Keys, full, func(k *inventory.Key) { k.Grants = append(withoutGrant(k.Grants, g.ID, g.Name), g) })
}

func (o *overlay) dropGrant(id arn.AccountID, key, grant, name string) {
	a := o.account(id)
	if full, known := keyOf(a, key); known {
		edit(a.Keys, full, func(k *inventory.Key) { k.Grants = withoutGrant(k.Grants, grant, name) })
	}
}

func withoutGrant(list []inventory.Grant, id, name string) []inventory.Grant {
	return slices.DeleteFunc(slices.Clone(list), func(g inventory.Grant) bool {
		return id != "" && g.ID == id || id == "" && name != "" && g.Name == name
	})
}

// putResource makes a resource or changes it. An empty policy is none where the
// resource is new, and changes nothing otherwise.
func (o *overlay) putResource(t thing, kind, document string, key value, tags map[string]string) {
	o.resource(t.account, kind, t.arn, t.anew, func(r *inventory.Resource) {
		if document != "" {
			setPolicy(r, document)
		}
		if !key.none() {
			r.KMSKey = o.scalar(t.account, t.place, "KMS key of "+t.arn, key)
		}
		if tags != nil {
			r.Tags = tags
		}
	})
}

// setResourcePolicy sets a resource's policy; "" takes it away.
func (o *overlay) setResourcePolicy(id arn.AccountID, kind, resource, text string) {
	o.resource(id, kind, resource, false, func(r *inventory.Resource) { setPolicy(r, text) })
}

// permission is one statement of a function's policy, as AddPermission takes it.
type permission struct {
	sid, action, principal                        string
	sourceARN, sourceAccount, organization, token string
}

// statement is what Lambda writes for the permission. Source: Lambda API
// reference, AddPermission.
func (p permission) statement(function string) policy.Statement {
	st := policy.Statement{Sid: p.sid, Effect: policy.Allow, Actions: policy.Texts(p.action), Resources: policy.Texts(function)}
	switch {
	case p.principal == "*":
		st.Principal = policy.Everyone()
	case strings.HasSuffix(p.principal, ".amazonaws.com") || strings.HasSuffix(p.principal, ".amazonaws.com.cn"):
		st.Principal = policy.ServicePrincipal(p.principal)
	default:
		st.Principal = policy.AWS(p.principal)
	}
	add := func(operator, key, value string) {
		if value != "" {
			st.Conditions = append(st.Conditions, policy.Cond(operator, key, value))
		}
	}
	add("ArnLike", "AWS:SourceArn", p.sourceARN)
	add("StringEquals", "AWS:SourceAccount", p.sourceAccount)
	add("StringEquals", "aws:PrincipalOrgID", p.organization)
	add("StringEquals", "lambda:EventSourceToken", p.token)
	return st
}

// setPermission puts one statement into a function's policy, or takes the one of
// that Sid out.
func (o *overlay) setPermission(at place, id arn.AccountID, function, sid string, st *policy.Statement) {
	o.resource(id, "lambda:function", function, false, func(r *inventory.Resource) {
		doc := policy.NewDocument()
		if r.Policy != "" {
			parsed, err := policy.Parse([]byte(r.Policy))
			if err != nil {
				o.find(at, diag.Warning, CodeInvalid, "the policy of "+function+" in the inventory cannot be read: "+err.Error(), "")
				return
			}
			doc = parsed
		} else if r.PolicyState != inventory.Absent && r.PolicyState != inventory.Exists {
			// Others' statements were not read: what this one allows is known, and
			// that there are no others is not.
			r.PolicyState, r.PolicyWhy = inventory.Unread, "the function's other permissions were not read"
			return
		}
		doc = doc.WithoutSid(sid)
		if st != nil {
			doc = doc.Merge(*st)
		}
		text := ""
		if len(doc.Statements) > 0 {
			text = doc.String()
		}
		setPolicy(r, text)
	})
}

func (o *overlay) putEndpoint(t thing, service, vpc value, document string) {
	put(o.account(t.account).Endpoints, t.arn, t.anew, func(e *inventory.Endpoint) {
		if e.ARN == "" {
			e.Policy = inventory.Unknown("the endpoint's policy was not read")
			if t.anew {
				e.Policy = defaultEndpointPolicy()
			}
		}
		e.ARN, e.ID = t.arn, t.name
		if s := service.known(); s != "" {
			e.Service = s
		}
		if s := vpc.known(); s != "" {
			e.VPC = s
		}
		if document != "" {
			e.Policy = document
		}
	})
}

func (o *overlay) setEndpointPolicy(at place, id arn.AccountID, endpoint, text string) {
	a := o.account(id)
	for _, key := range slices.Sorted(maps.Keys(a.Endpoints)) {
		if e := a.Endpoints[key]; e != nil && (e.ID == endpoint || e.ARN == endpoint) {
			edit(a.Endpoints, key, func(e *inventory.Endpoint) { e.Policy = text })
			return
		}
	}
	o.missing(at, id, "VPC endpoint "+endpoint, "its policy")
}

// cluster changes a cluster that is known.
func (o *overlay) cluster(t thing, name, part string, change func(*inventory.Cluster)) {
	key := t.region + "/" + name
	if !edit(o.account(t.account).Clusters, key, change) {
		o.missing(t.place, t.account, "cluster "+key, part)
	}
}

func (o *overlay) putCluster(t thing) {
	put(o.account(t.account).Clusters, t.region+"/"+t.name, t.anew, func(c *inventory.Cluster) {
		if c.ARN == "" && t.anew {
			c.AssociationState, c.AccessEntryState = inventory.Exists, inventory.Exists
		}
		c.ARN, c.Name, c.Region = t.arn, t.name, t.region
	})
}

// putAssociation sets the Pod Identity association of a service account, of which
// a cluster has at most one.
func (o *overlay) putAssociation(t thing, cluster string, a inventory.Association) {
	o.cluster(t, cluster, "a Pod Identity association", func(c *inventory.Cluster) {
		c.Associations = append(withoutAssociation(c.Associations, a.Namespace, a.ServiceAccount), a)
	})
}

func (o *overlay) dropAssociation(t thing, cluster, namespace, account string) {
	o.cluster(t, cluster, "a Pod Identity association", func(c *inventory.Cluster) {
		c.Associations = withoutAssociation(c.Associations, namespace, account)
	})
}

func withoutAssociation(list []inventory.Association, namespace, account string) []inventory.Association {
	return slices.DeleteFunc(slices.Clone(list), func(a inventory.Association) bool { return a.Namespace == namespace && a.ServiceAccount == account })
}

// entry changes the access entry of a principal, made on first use.
func (o *overlay) entry(t thing, cluster, principal string, change func(*inventory.AccessEntry)) {
	o.cluster(t, cluster, "the access entry of "+principal, func(c *inventory.Cluster) {
		c.AccessEntries = slices.Clone(c.AccessEntries)
		for i := range c.AccessEntries {
			if c.AccessEntries[i].Principal == principal {
				change(&c.AccessEntries[i])
				return
			}
		}
		fresh := inventory.AccessEntry{Principal: principal, Type: "STANDARD"}
		change(&fresh)
		c.AccessEntries = append(c.AccessEntries, fresh)
	})
}

func (o *overlay) dropEntry(t thing, cluster, principal string) {
	o.cluster(t, cluster, "the access entry of "+principal, func(c *inventory.Cluster) {
		c.AccessEntries = slices.DeleteFunc(slices.Clone(c.AccessEntries), func(e inventory.AccessEntry) bool { return e.Principal == principal })
	})
}
