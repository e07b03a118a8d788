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
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
)

// texts tells documents apart by what they say and where they are, each looked
// at once. Safe for concurrent use.
type texts struct {
	known sync.Map // *authz.Policy to its hash
}

func newTexts() *texts { return &texts{} }

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
	for _, p := range d.names.providers {
		a, err := arn.Parse(p.name)
		account := g.inv.Accounts[a.Account]
		if err != nil || account == nil {
			continue
		}
		known, state := inventory.Get(account.Providers, a.Name())
		_, saml := inventory.Get(account.SAML, p.name)
		out = append(out, p.name, decimal(int(state)), decimal(int(saml)), decimal(int(account.Kind(inventory.KindSAML, ""))))
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

// permitted holds what a principal may do: by action, on which resources.
type permitted map[string][]permittedOn

type permittedOn struct {
	resource string
	answer   answer
}

// on is the surest answer for everything that a resource pattern stands for.
func (p permitted) on(action, resource string) answer {
	var best answer
	for _, x := range p[action] {
		if order(x.answer.proof) < order(best.proof) && (x.resource == resource || compile.Within(resource, x.resource)) {
			best = x.answer
		}
	}
	return best
}

// permitted lists what the node of a key may do, action by action.
func (g *Graph) permitted(key string) permitted {
	out := permitted{}
	id, known := g.byKey[key]
	if !known {
		return out
	}
	n := &g.nodes[id]
	for _, p := range slices.Concat(g.ownPermissions(n), g.givenPermissions(n)) {
		if p.Proof == 0 {
			continue
		}
		except := map[string]bool{}
		for _, pattern := range p.Except {
			for _, name := range g.expand(pattern) {
				except[name] = true
			}
		}
		for _, pattern := range p.Actions {
			for _, name := range g.named(pattern) {
				if !except[name] {
					out[name] = append(out[name], permittedOn{p.Resource, answer{p.Proof, p.Why}})
				}
			}
		}
	}
	return out
}

// named is expand that keeps patterns for which the catalog knows nothing.
func (g *Graph) named(pattern string) []string {
	if names := g.expand(pattern); len(names) > 0 {
		return names
	}
	return []string{pattern}
}

// accessChange is a Change of access without its actions.
type accessChange struct {
	kind          ChangeKind
	resource, why string
	before, after Proof
}

func (d *differ) permissionsOf(key string) []Change {
	before, after := d.a.permitted(key), d.b.permitted(key)
	groups := map[accessChange][]string{}
	compare := func(list permitted) {
		for action, places := range list {
			for _, place := range places {
				x, y := before.on(action, place.resource), after.on(action, place.resource)
				if kind, differs := changeOf(x.proof, y.proof); differs {
					c := accessChange{kind, place.resource, y.why, x.proof, y.proof}
					groups[c] = append(groups[c], action)
				}
			}
		}
	}
	compare(before)
	compare(after)
	var out []Change
	for c, actions := range groups {
		out = append(out, Change{
			Kind: c.kind, What: "access", Principal: d.node(key), Resource: c.resource, Before: c.before, After: c.after, Why: c.why,
			Actions: shortened("*", d.b.expand("*"), sortedUnique(actions)),
		})
	}
	return out
}

// gaps notes what either side's answers do not cover.
func (d *differ) gaps() {
	seen := map[Gap]bool{}
	for _, g := range []*Graph{d.a, d.b} {
		for _, gap := range g.Gaps() {
			if !seen[gap] {
				seen[gap] = true
				d.out.Gaps = append(d.out.Gaps, gap)
			}
		}
	}
}
