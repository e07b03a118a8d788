package difference

import (
	"fmt"
	"slices"

	"github.com/stile-aws/stile/internal/reach"
)

// chains finds the roles that principals come to, or no longer do, by chains on
// which some session was gained or lost.
func (d *differ) chains() {
	direct := map[[2]string]bool{}
	tails := map[bool][]string{} // of gains, of losses
	for _, c := range d.out.Changes {
		direct[[2]string{c.Principal.Key, c.Target.Key}] = true
		tails[c.Kind.Gain()] = append(tails[c.Kind.Gain()], c.Principal.Key)
	}
	gained := following{kind: Gained, less: d.before, more: d.after, direct: direct}
	lost := following{kind: Lost, less: d.after, more: d.before, direct: direct}
	d.out.Changes = append(d.out.Changes, slices.Concat(d.follow(&gained, tails[true]), d.follow(&lost, tails[false]))...)
}

// following is the looking for what more can be come to in one graph than in
// another.
type following struct {
	kind       Kind
	less, more *reach.Graph
	direct     map[[2]string]bool // pairs that are told as sessions
}

// follow lists what whoever comes to one of the tails can come to.
func (d *differ) follow(f *following, tails []string) []Change {
	back := f.more.Search(reach.Unread, true)
	for _, key := range tails {
		if n, known := f.more.Find(key); known {
			back.Begin(n)
		}
	}
	back.Run()
	var out []Change
	for i, from := range back.Reached() {
		if i%100 == 0 {
			d.progress("comparing chains", i, len(back.Reached()))
		}
		if d.unread(f.less, f.more.Node(from).Key) {
			continue // what it comes to there is not known
		}
		if out = append(out, d.from(f, from)...); len(out) > maxChains {
			d.out.Gaps = append(d.out.Gaps, reach.Gap{What: "chains " + f.kind.String(), Why: fmt.Sprintf("there are more than %d; the rest is not listed", maxChains)})
			return out[:maxChains]
		}
	}
	return out
}

// from lists what one node can come to in the one graph and not in the other.
func (d *differ) from(f *following, n reach.NodeID) []Change {
	search := f.more.Search(reach.Unread, false)
	search.Begin(n)
	search.Run()
	key := f.more.Node(n).Key
	known := reachedFrom(f.less, key)
	var out []Change
	for _, to := range search.Reached()[1:] {
		target := f.more.Node(to)
		if known[target.Key] || f.direct[[2]string{key, target.Key}] || d.unread(f.less, target.Key) {
			continue
		}
		path := search.Path(to)
		slices.Reverse(path)
		out = append(out, f.change(path, target))
	}
	return out
}

func reachedFrom(g *reach.Graph, key string) map[string]bool {
	out := map[string]bool{}
	n, known := g.Find(key)
	if !known {
		return out
	}
	search := g.Search(reach.Unread, false)
	search.Begin(n)
	search.Run()
	for _, to := range search.Reached() {
		out[g.Node(to).Key] = true
	}
	return out
}

func (f *following) change(path []reach.NodeID, target reach.Node) Change {
	c := Change{Kind: f.kind, What: Chain, Principal: f.more.Node(path[0]), Target: &target}
	proof := reach.Proven
	for i := range path[1:] {
		e, _ := f.more.Edge(path[i], path[i+1])
		proof = max(proof, e.Proof)
		if i > 0 {
			c.Through = append(c.Through, f.more.Node(path[i]).Name)
		}
	}
	if c.After = proof; f.kind == Lost {
		c.Before, c.After = proof, 0
	}
	return c
}
