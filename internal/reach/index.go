package reach

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

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

// accountIndex finds the principals of one account whose identity policies may
// allow an action on a resource. What it leaves out is denied for certain,
// unless a resource's own policy grants it.
type accountIndex struct {
	byAction map[string]*postings // by action pattern in lower case
	// opaque has the principals with identity policies that are not known.
	opaque []NodeID
}

// postings are the principals with an Allow of one action pattern, by resource.
type postings struct {
	exact map[string][]NodeID
	globs []glob
	all   []NodeID // any resource
}

type glob struct {
	pattern string
	node    NodeID
}

func (a *accountIndex) add(n NodeID, doc *policy.Document) {
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if st.Effect != policy.Allow {
			continue
		}
		actions := st.Actions
		if st.NotActions != nil {
			actions = []policy.Text{{Value: "*"}} // all but some; authz knows which
		}
		for _, action := range actions {
			key := strings.ToLower(action.Value)
			p := a.byAction[key]
			if p == nil {
				p = &postings{}
				a.byAction[key] = p
			}
			p.addAll(n, st)
		}
	}
}

func (p *postings) addAll(n NodeID, st *policy.Statement) {
	if st.NotResources != nil {
		p.addEverything(n)
		return
	}
	for _, r := range st.Resources {
		p.add(n, r.Value)
	}
}

func (p *postings) add(n NodeID, resource string) {
	switch pattern, exact := superset(resource); {
	case pattern == "*":
		p.addEverything(n)
	case exact:
		if p.exact == nil {
			p.exact = map[string][]NodeID{}
		}
		if list := p.exact[pattern]; len(list) == 0 || list[len(list)-1] != n {
			p.exact[pattern] = append(list, n)
		}
	default:
		p.globs = append(p.globs, glob{pattern, n})
	}
}

func (p *postings) addEverything(n NodeID) {
	if len(p.all) == 0 || p.all[len(p.all)-1] != n {
		p.all = append(p.all, n)
	}
}

// superset is a pattern, in which * crosses everything, for at least what a
// Resource element describes; exact says that it has no wildcard. Policy
// variables may stand for anything, and AWS completes ARNs of fewer than six
// segments with wildcards.
func superset(resource string) (pattern string, exact bool) {
	if strings.Trim(resource, "*") == "" || strings.Count(resource, ":") < 5 {
		return "*", false
	}
	for {
		before, after, found := strings.Cut(resource, "${")
		if !found {
			break
		}
		if _, rest, closed := strings.Cut(after, "}"); closed {
			resource = before + "*" + rest
			continue
		}
		resource = before + "*"
	}
	return resource, !isPattern(resource)
}

// match calls yield for the principals who may be allowed; some may come twice.
func (p *postings) match(resource string, yield func(NodeID)) {
	for _, n := range p.all {
		yield(n)
	}
	for _, n := range p.exact[resource] {
		yield(n)
	}
	for i := range p.globs {
		if policy.Glob(p.globs[i].pattern, resource) {
			yield(p.globs[i].node)
		}
	}
}

// forAction lists the postings whose action pattern covers an action in lower case.
func (a *accountIndex) forAction(action string) []*postings {
	var out []*postings
	for pattern, p := range a.byAction {
		if policy.Glob(pattern, action) {
			out = append(out, p)
		}
	}
	return out
}

func (a *accountIndex) candidates(list []*postings, resource string, yield func(NodeID)) {
	for _, p := range list {
		p.match(resource, yield)
	}
	for _, n := range a.opaque {
		yield(n)
	}
}

// documents looks through what every principal and every role carries.
func (b *builder) documents() {
	type carried struct {
		docs   []*policy.Document
		opaque bool
	}
	found := make([]carried, len(b.nodes))
	b.parallel(len(b.nodes), b.progress("reading policies"), func(_, i int) {
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
			n.tagKeys = tagKeys(n.tagKeys, p.Document())
		}
		n.plain = isPlain(pols)
	})
	for i, f := range found {
		n := &b.nodes[i]
		a := b.accounts[n.Account]
		if a == nil {
			a = &accountIndex{byAction: map[string]*postings{}}
			b.accounts[n.Account] = a
		}
		if f.opaque {
			a.opaque = append(a.opaque, n.ID)
		}
		for _, doc := range f.docs {
			a.add(n.ID, doc)
		}
	}
	b.callers.fill(b.Graph)
	b.parallel(len(b.doors), b.progress("reading trust policies"), func(_, i int) { b.open(&b.doors[i]) })
	for i := range b.doors {
		d := &b.doors[i]
		b.doorOf[d.node] = d
		b.doorsAt[b.nodes[d.node].Account] = append(b.doorsAt[b.nodes[d.node].Account], d)
	}
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
