// Package grants finds whose identity policies may allow an action on a
// resource: an index over the Allow statements of many principals.
//
// Start with the zero [Index] and [Index.Add]. Whom [Index.Candidates] leaves out
// is denied for certain by their own policies; whom it yields may be denied all
// the same: conditions, Deny statements and every other layer are authz's business.
package grants

import (
	"strings"

	"github.com/stile-aws/stile/internal/reach/digraph"
	"github.com/stile-aws/stile/policy"
)

// Index is an index of the principals of one account. It is built by one
// goroutine, and read by any number afterwards.
type Index struct {
	byAction map[string]*Postings // by action pattern in lower case
	unknown  []digraph.Vertex
}

// Postings are the principals with an Allow of one action pattern, by resource.
type Postings struct {
	first map[string]digraph.Vertex   // by the resource's ARN, of which mostly one has it
	more  map[string][]digraph.Vertex // the others
	Globs []Glob
	All   []digraph.Vertex // any resource
}

// Exact yields who is allowed resources by their ARNs.
func (p *Postings) Exact(yield func(resource string, n digraph.Vertex) bool) {
	for resource, n := range p.first {
		if !yield(resource, n) {
			return
		}
		for _, n := range p.more[resource] {
			if !yield(resource, n) {
				return
			}
		}
	}
}

// Glob is a principal that is allowed resources by a pattern.
type Glob struct {
	Pattern string
	Node    digraph.Vertex
}

// Covers reports whether a resource's ARN is among those of the pattern.
func (g Glob) Covers(resource string) bool {
	return g.Pattern == "*" || policy.Glob(g.Pattern, resource)
}

// AddUnknown adds a principal with identity policies that are not known.
func (x *Index) AddUnknown(n digraph.Vertex) { x.unknown = append(x.unknown, n) }

// Unknown lists the principals that AddUnknown added.
func (x *Index) Unknown() []digraph.Vertex { return x.unknown }

// Add adds an identity policy of a principal. All of one principal are added
// one after the other.
func (x *Index) Add(n digraph.Vertex, doc *policy.Document) {
	if x.byAction == nil {
		x.byAction = map[string]*Postings{}
	}
	for i := range doc.Statements {
		st := &doc.Statements[i]
		if st.Effect != policy.Allow {
			continue
		}
		actions := st.Actions
		if st.NotActions != nil {
			actions = policy.Texts("*") // all but some; authz knows which
		}
		for _, action := range actions {
			key := strings.ToLower(action.Value)
			p := x.byAction[key]
			if p == nil {
				p = &Postings{}
				x.byAction[key] = p
			}
			p.addAll(n, st)
		}
	}
}

func (p *Postings) addAll(n digraph.Vertex, st *policy.Statement) {
	if st.NotResources != nil {
		p.addEverything(n)
		return
	}
	for _, r := range st.Resources {
		p.add(n, r.Value)
	}
}

func (p *Postings) add(n digraph.Vertex, resource string) {
	switch pattern, exact := Superset(resource); {
	case pattern == "*":
		p.addEverything(n)
	case exact:
		p.addExact(n, pattern)
	default:
		p.Globs = append(p.Globs, Glob{pattern, n})
	}
}

func (p *Postings) addExact(n digraph.Vertex, resource string) {
	first, known := p.first[resource]
	if !known {
		if p.first == nil {
			p.first = map[string]digraph.Vertex{}
		}
		p.first[resource] = n
		return
	}
	last := first
	if list := p.more[resource]; len(list) > 0 {
		last = list[len(list)-1]
	}
	if last == n {
		return
	}
	if p.more == nil {
		p.more = map[string][]digraph.Vertex{}
	}
	p.more[resource] = append(p.more[resource], n)
}

func (p *Postings) addEverything(n digraph.Vertex) {
	if len(p.All) == 0 || p.All[len(p.All)-1] != n {
		p.All = append(p.All, n)
	}
}

// Superset is a pattern, in which * crosses everything, for at least what a
// Resource element describes; exact says that it has no wildcard. Policy
// variables may stand for anything, and AWS completes ARNs of fewer than six
// segments with wildcards.
func Superset(resource string) (pattern string, exact bool) {
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
	return resource, !strings.ContainsAny(resource, "*?")
}

// For lists the postings whose action pattern covers an action, given in lower case.
func (x *Index) For(action string) []*Postings {
	var out []*Postings
	for pattern, p := range x.byAction {
		if policy.Glob(pattern, action) {
			out = append(out, p)
		}
	}
	return out
}

// Candidates calls yield for everybody whose own policies may allow an action,
// given in lower case, on a resource. Some may come more than once.
func (x *Index) Candidates(action, resource string, yield func(digraph.Vertex)) {
	for _, p := range x.For(action) {
		for _, n := range p.All {
			yield(n)
		}
		if first, known := p.first[resource]; known {
			yield(first)
			for _, n := range p.more[resource] {
				yield(n)
			}
		}
		for _, g := range p.Globs {
			if g.Covers(resource) {
				yield(g.Node)
			}
		}
	}
	for _, n := range x.unknown {
		yield(n)
	}
}
