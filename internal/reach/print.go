package reach

import (
	"crypto/sha256"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/inventory"
)

// Print stands for everything that decides on the two sides of a node: what
// requests it makes and, of a role, who gets its sessions. Nodes of two graphs
// with the same prints are decided alike.
type Print struct{ Caller, Role [sha256.Size]byte }

// Prints has the prints of all nodes by their keys.
func (g *Graph) Prints() map[string]Print {
	list := make([]Print, len(g.nodes))
	texts, bindings, organization := &texts{}, g.bindings(), ""
	if g.inv.Organization != nil {
		organization = g.inv.Organization.ID
	}
	g.Spread(len(g.nodes), nil, func(_, i int) {
		n := &g.nodes[i]
		list[i].Caller = texts.side(n, g.tagsOf(n), organization, bindings[n.tags.String()])
		if d := g.doorOf[n.ID]; d != nil && n.Kind == Role {
			list[i].Role = texts.policies(d.guard.Policies(), g.beside(d)...)
		}
	})
	out := make(map[string]Print, len(list))
	for i := range list {
		out[g.nodes[i].Key] = list[i]
	}
	return out
}

// ResourcePrints has the same for the policies of and grants on the resources
// that have any, by ARN.
func (g *Graph) ResourcePrints() map[string][sha256.Size]byte {
	out, texts := map[string][sha256.Size]byte{}, &texts{}
	for _, c := range g.carriers() {
		out[c.arn] = texts.policies(c.guard.Policies())
	}
	return out
}

// NamedBy lists the users and roles that the policy of a resource or grants on
// it give something: by name, by their account where it is another, or as
// everyone.
func (g *Graph) NamedBy(resource string) []NodeID {
	carriers := g.carriers()
	i, known := slices.BinarySearchFunc(carriers, resource, func(c carrier, arn string) int { return strings.Compare(c.arn, arn) })
	if !known {
		return nil
	}
	c := &carriers[i]
	var out []NodeID
	for i := range g.nodes {
		n := &g.nodes[i]
		if (n.Kind == Role || n.Kind == User) && (namesRole(&c.names, n) || slices.Contains(c.names.Accounts, n.Account) && c.owner != n.Account) {
			out = append(out, n.ID)
		}
	}
	return out
}

// tagsOf are the tags of a user, or of the role that a node is about.
func (g *Graph) tagsOf(n *node) map[string]string {
	if d := g.doorOf[g.roleOf(n.ID)]; d != nil {
		return d.role.Tags
	}
	if u, _ := g.inv.Accounts[n.Account].User(n.principal.ARN.Name()); n.Kind == User && u != nil {
		return u.Tags
	}
	return nil
}

// texts tells documents apart by what they say and where they are, each looked
// at once. Safe for concurrent use.
type texts struct {
	known sync.Map // *authz.Policy to its hash
}

// side stands for everything on the caller's side of a node with some tags,
// and some text beside them.
func (t *texts) side(n *node, tags map[string]string, beside ...string) [sha256.Size]byte {
	h := sha256.New()
	writeAll(h, beside...)
	for key, value := range sorted(tags) {
		writeAll(h, key, value)
	}
	writeAll(h, n.principal.String(), n.principal.Entity.String(), n.principal.ID)
	n.context.All(func(key string, values []string, known bool) bool {
		writeAll(h, key)
		writeAll(h, values...)
		return true
	})
	if n.side != nil {
		t.write(h, n.side.Policies())
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// policies stands for a set of documents, and some text beside them.
func (t *texts) policies(pols *authz.Policies, beside ...string) [sha256.Size]byte {
	h := sha256.New()
	writeAll(h, beside...)
	t.write(h, pols)
	return [sha256.Size]byte(h.Sum(nil))
}

func (t *texts) write(h hash.Hash, pols *authz.Policies) {
	lists := [][]*authz.Policy{pols.Identity, {pols.Boundary}, {pols.Resource}}
	for _, levels := range [][]authz.Level{pols.SCPs, pols.RCPs} {
		for i := range levels {
			writeAll(h, levels[i].Node)
			lists = append(lists, levels[i].Policies)
		}
	}
	for _, list := range lists {
		for _, p := range list {
			if p != nil {
				sum := t.sum(p)
				h.Write(sum[:])
			}
		}
		writeAll(h, "")
	}
	for _, g := range pols.Grants {
		writeAll(h, g.ID, g.Grantee, strings.Join(g.Operations, ","))
		for key, value := range sorted(g.EncryptionContext) {
			writeAll(h, key, value)
		}
	}
	for _, u := range pols.Unread {
		writeAll(h, u.Source.String(), u.Reason)
	}
}

func (t *texts) sum(p *authz.Policy) [sha256.Size]byte {
	if known, ok := t.known.Load(p); ok {
		return known.([sha256.Size]byte)
	}
	sum := sha256.Sum256([]byte(p.Document().String()))
	t.known.Store(p, sum)
	return sum
}

func writeAll(h hash.Hash, parts ...string) {
	for _, part := range parts {
		_, _ = io.WriteString(h, part) // a hash never fails
		h.Write([]byte{0})
	}
}

// beside is what decides about a role's sessions beside documents: its unique id
// and the identity providers it trusts.
func (g *Graph) beside(d *door) []string {
	out := []string{d.role.ID}
	for _, p := range d.names.Providers {
		a, err := arn.Parse(p.Name)
		account := g.inv.Accounts[a.Account]
		if err != nil || account == nil {
			continue
		}
		known, state := inventory.Get(account.Providers, a.Name())
		_, saml := inventory.Get(account.SAML, p.Name)
		out = append(out, p.Name, decimal(int(state)), decimal(int(saml)), decimal(int(account.Kind(inventory.KindSAML, ""))))
		if known != nil {
			out = append(out, known.ClientIDs...)
		}
	}
	return out
}

// bindings has the Pod Identity associations of each service account in words,
// by the text of its tags.
func (g *Graph) bindings() map[string]string {
	out := map[string]string{}
	for _, account := range g.inv.Accounts {
		if account == nil {
			continue
		}
		for _, c := range account.Clusters {
			if c == nil {
				continue
			}
			for _, a := range c.Associations {
				tags := tagset{clusterARN: c.ARN, namespace: a.Namespace, serviceAccount: a.ServiceAccount}
				out[tags.String()] += strings.Join([]string{a.Role, a.TargetRole, a.ExternalID, strconv.FormatBool(a.NoSessionTags), ""}, " ")
			}
		}
	}
	return out
}
