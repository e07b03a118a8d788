package difference

import (
	"maps"
	"slices"

	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/reach"
)

// uses compares what principals may do whose documents differ, or whom
// resources give something whose documents do.
func (d *differ) uses() {
	keys := d.affected()
	found := make([][]Change, len(keys))
	progress := func(done, total int) { d.progress("comparing what principals may do", done, total) }
	d.after.Spread(len(keys), progress, func(_, i int) { found[i] = d.usesOf(keys[i]) })
	for _, list := range found {
		d.out.Changes = append(d.out.Changes, list...)
	}
}

// affected lists the keys of the users and roles to compare.
func (d *differ) affected() []string {
	set := maps.Clone(d.callers)
	was, is := d.before.ResourcePrints(), d.after.ResourcePrints()
	for _, list := range []map[string][32]byte{was, is} {
		for resource := range list {
			if was[resource] == is[resource] {
				continue
			}
			for _, g := range d.graphs() {
				for _, n := range g.NamedBy(resource) {
					set[g.Node(n).Key] = true
				}
			}
		}
	}
	var out []string
	for key := range set {
		if n := d.node(key); n.Kind == reach.Role || n.Kind == reach.User {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// permitted holds what a principal may do: by action, on which resources.
type permitted map[string][]permittedOn

type permittedOn struct {
	resource, why string
	proof         reach.Proof
}

func permittedTo(g *reach.Graph, key string) permitted {
	out := permitted{}
	n, known := g.Find(key)
	if !known {
		return out
	}
	for _, p := range g.Permissions(n) {
		for _, name := range g.Names(p.Actions, p.Except) {
			out[name] = append(out[name], permittedOn{p.Resource, p.Why, p.Proof})
		}
	}
	return out
}

// on is the surest answer for everything that a resource pattern stands for.
func (p permitted) on(action, resource string) permittedOn {
	var best permittedOn
	for _, x := range p[action] {
		if (best.proof == 0 || x.proof < best.proof) && (x.resource == resource || compile.Within(resource, x.resource)) {
			best = x
		}
	}
	return best
}

// use is a Change of use without its actions.
type use struct {
	kind          Kind
	resource, why string
	was, is       reach.Proof
}

func (d *differ) usesOf(key string) []Change {
	if d.unread(d.before, key) || d.unread(d.after, key) {
		return nil // told by what is not looked at
	}
	before, after := permittedTo(d.before, key), permittedTo(d.after, key)
	groups := map[use][]string{}
	for _, list := range []permitted{before, after} {
		for action, places := range list {
			for _, place := range places {
				was, is := before.on(action, place.resource), after.on(action, place.resource)
				if kind, differs := kindOf(was.proof, is.proof); differs {
					u := use{kind, place.resource, is.why, was.proof, is.proof}
					groups[u] = append(groups[u], action)
				}
			}
		}
	}
	var out []Change
	for u, actions := range groups {
		slices.Sort(actions)
		out = append(out, Change{
			Kind: u.kind, What: Use, Principal: d.node(key), Resource: u.resource, Before: u.was, After: u.is, Why: u.why,
			Actions: d.after.Grouped(slices.Compact(actions)),
		})
	}
	return out
}
