package reach

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/reach/grants"
	"github.com/stile-aws/stile/policy"
)

// sorted walks a map by key.
func sorted[K cmp.Ordered, V any](m map[K]V) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// documents looks through what every principal and every role carries.
func (b *builder) documents() {
	type carried struct {
		docs   []*policy.Document
		opaque bool
	}
	found := make([]carried, len(b.nodes))
	b.Spread(len(b.nodes), b.progress("reading policies"), func(_, i int) {
		n := &b.nodes[i]
		n.side = b.view.Caller(n.principal)
		n.assuming = b.view.About(n.side, assumeRole)
		pols := n.side.Policies()
		for _, u := range pols.Unread {
			n.unread = true
			found[i].opaque = found[i].opaque || u.Source.Layer == identityLayer
		}
		for _, p := range pols.Identity {
			found[i].docs = append(found[i].docs, p.Document())
		}
		n.tagKeys = tagKeysOf(n.assuming)
		n.plain = isPlain(pols)
	})
	for i, f := range found {
		n := &b.nodes[i]
		a := b.accounts[n.Account]
		if a == nil {
			a = &grants.Index{}
			b.accounts[n.Account] = a
		}
		if f.opaque {
			a.AddUnknown(n.ID)
		}
		for _, doc := range f.docs {
			a.Add(n.ID, doc)
		}
	}
	b.callers.fill(b.Graph)
	b.Spread(len(b.doors), b.progress("reading trust policies"), func(_, i int) { b.open(&b.doors[i]) })
	for i := range b.doors {
		d := &b.doors[i]
		b.doorOf[d.node] = d
		b.doorsAt[b.nodes[d.node].Account] = append(b.doorsAt[b.nodes[d.node].Account], d)
	}
}

// tagKeysOf lists the keys by which a caller passes something, as far as the
// documents of a side mention them.
func tagKeysOf(side *effective.Side) []string {
	pols := side.Policies()
	lists := [][]*authz.Policy{pols.Identity, {pols.Boundary, pols.Resource}}
	for _, levels := range [][]authz.Level{pols.SCPs, pols.RCPs} {
		for i := range levels {
			lists = append(lists, levels[i].Policies)
		}
	}
	var out []string
	for _, list := range lists {
		for _, p := range list {
			if p != nil {
				out = tagKeys(out, p.Document())
			}
		}
	}
	return out
}

// tagKeys adds to list the keys by which a caller passes session tags or a
// source identity, as far as conditions of doc mention them.
func tagKeys(list []string, doc *policy.Document) []string {
	for i := range doc.Statements {
		for _, c := range doc.Statements[i].Conditions {
			key := strings.ToLower(c.Key)
			if (isTagKey(key) || key == sourceIdentityKey) && !slices.Contains(list, key) {
				list = append(list, key)
			}
		}
	}
	return list
}

func isTagKey(key string) bool {
	return strings.HasPrefix(key, "aws:requesttag/") || key == "aws:tagkeys" || key == "sts:transitivetagkeys"
}
