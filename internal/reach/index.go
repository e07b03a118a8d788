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
	b.Spread(len(b.nodes), b.progress("reading policies"), func(_, i int) {
		n := &b.nodes[i]
		n.side = b.view.Caller(n.principal)
		n.assuming = b.view.About(n.side, assumeRole)
		pols := n.side.Policies()
		n.unread = len(pols.Unread) > 0
		n.tagKeys = tagKeysOf(n.assuming)
		n.plain = isPlain(pols)
	})
	indexes := make([]grants.Index, len(b.owners))
	for i, id := range b.owners {
		b.accounts[id] = &indexes[i]
	}
	b.Spread(len(b.owners), nil, func(_, i int) { b.index(i, &indexes[i]) })
	b.callers.fill(b.Graph)
	b.Spread(len(b.doors), b.progress("reading trust policies"), func(_, i int) { b.open(&b.doors[i]) })
	for i := range b.doors {
		d := &b.doors[i]
		b.doorOf[d.node] = d
		b.doorsAt[b.nodes[d.node].Account] = append(b.doorsAt[b.nodes[d.node].Account], d)
	}
}

// index files what the principals of the i-th account carry. They stand one after
// the other, the root user first.
func (b *builder) index(i int, to *grants.Index) {
	list := b.nodes[b.roots[i]:]
	if i+1 < len(b.roots) {
		list = b.nodes[b.roots[i]:b.roots[i+1]]
	}
	for i := range list {
		n := &list[i]
		pols := n.side.Policies()
		if slices.ContainsFunc(pols.Unread, func(u authz.Unread) bool { return u.Source.Layer == identityLayer }) {
			to.AddUnknown(n.ID)
		}
		for _, p := range pols.Identity {
			to.Add(n.ID, p.Document())
		}
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
