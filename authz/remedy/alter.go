package remedy

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// alters lists the ways to widen one statement of a layer so that it covers the
// request, and nothing else that it did not cover: the statement fits but for
// one element, and names in every other element exactly what the request has.
func (w *world) alters(at place, docs []*authz.Policy, c *caller) []Edit {
	if at.layer != authz.LayerIdentity && at.layer != authz.LayerSession && !granting(at.layer) {
		return nil // others are under these documents, too
	}
	if len(w.pins()) > 0 {
		return nil // the statement may be used in other ways
	}
	var out []Edit
	for i, p := range docs {
		if p.Source().ARN != "" || strings.HasPrefix(p.Source().Name, "group/") {
			continue
		}
		at.index = i
		for j := range p.Document().Statements {
			out = append(out, w.widened(at, p, j, c)...)
		}
	}
	return out
}

func (w *world) widened(at place, p *authz.Policy, index int, c *caller) []Edit {
	doc := p.Document()
	st := &doc.Statements[index]
	if st.Effect != policy.Allow || st.NotActions != nil || st.NotResources != nil || st.NotPrincipal != nil {
		return nil
	}
	action := len(st.Actions) == 1 && strings.EqualFold(st.Actions[0].Value, w.req.Action)
	resource := w.exactResource(st, p.Source().Layer)
	who := !granting(at.layer) || samePrincipals(st.Principal, c.principal) && c.conditions == nil
	var out []Edit
	try := func(fits bool, change func(*policy.Statement)) {
		if !fits {
			return
		}
		wide := *st
		change(&wide)
		if w.matches(wide, at, p.Source(), doc.Version) != authz.Yes {
			return
		}
		e := w.edit0(at, list(w.pols, at))
		e.Kind, e.Index, e.Before, e.After = Alter, index, st, []policy.Statement{wide}
		out = append(out, e)
	}
	try(resource && who, func(s *policy.Statement) { s.Actions = append(slices.Clip(s.Actions), policy.Texts(w.req.Action)...) })
	try(action && who && st.Resources != nil, func(s *policy.Statement) {
		s.Resources = append(slices.Clip(s.Resources), w.resources(p.Source().Layer)...)
	})
	try(action && resource && !who && granting(at.layer) && c.conditions == nil && !st.Principal.Everyone, func(s *policy.Statement) {
		s.Principal = &policy.Principals{Entries: append(slices.Clip(s.Principal.Entries), c.principal.Entries...)}
	})
	return out
}

// exactResource reports whether a statement is about the request's resource
// alone.
func (w *world) exactResource(st *policy.Statement, l authz.Layer) bool {
	want := w.resources(l)
	switch {
	case st.Resources == nil:
		return granting(l) // about the resource it is attached to
	case want == nil || len(st.Resources) != 1:
		return false
	}
	return st.Resources[0].Value == want[0].Value && (want[0].Value != "*" || l == authz.LayerKey || w.req.Resource == "*")
}

// samePrincipals compares Principal elements to the letter.
func samePrincipals(a, b *policy.Principals) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Everyone == b.Everyone && slices.EqualFunc(a.Entries, b.Entries, func(x, y policy.PrincipalEntry) bool {
		return x.Type == y.Type && x.Value.Value == y.Value.Value
	})
}

// withConditions adds to st the conditions of the statement in docs that comes
// nearest to the request, as far as the request meets them: who has asked for an
// external id so far goes on asking for it.
func (w *world) withConditions(st policy.Statement, at place, docs []*authz.Policy, e *Edit, who *caller) policy.Statement {
	sibling := w.sibling(at, docs, e, who)
	if sibling == nil {
		return st
	}
	src := e.Document
	for _, c := range sibling.Conditions {
		if slices.ContainsFunc(st.Conditions, func(have policy.Condition) bool {
			return strings.EqualFold(have.Key, c.Key) && strings.EqualFold(have.Operator, c.Operator)
		}) {
			continue
		}
		try := st
		try.Conditions = append(slices.Clip(st.Conditions), c)
		if w.matches(try, at, src, policy.Version2012) == authz.Yes {
			st = try
		}
	}
	return st
}

// sibling is the first Allow statement among docs for an action of the same
// service that fits the request in all elements but one, its conditions aside.
func (w *world) sibling(at place, docs []*authz.Policy, e *Edit, who *caller) *policy.Statement {
	service, _, _ := strings.Cut(strings.ToLower(w.req.Action), ":")
	var best *policy.Statement
	most := 1
	for _, p := range docs {
		if p.Document().Version != policy.Version2012 {
			continue // its variables are text
		}
		for i := range p.Document().Statements {
			st := &p.Document().Statements[i]
			about := func(t policy.Text) bool { return strings.HasPrefix(strings.ToLower(t.Value), service+":") }
			if st.Effect != policy.Allow || len(st.Conditions) == 0 || !slices.ContainsFunc(st.Actions, about) {
				continue
			}
			if n := w.fitting(st, at, e, who); n > most {
				best, most = st, n
			}
		}
	}
	return best
}

// fitting counts the elements of st, of Principal, Action and Resource, that fit
// the request; elements that its kind of policy lacks do.
func (w *world) fitting(st *policy.Statement, at place, e *Edit, who *caller) int {
	any := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")}
	if granting(e.Layer) {
		any.Principal = who.principal
	}
	n := 0
	count := func(change func(*policy.Statement)) {
		one := any
		change(&one)
		if w.matches(one, at, e.Document, policy.Version2012) == authz.Yes {
			n++
		}
	}
	count(func(s *policy.Statement) { s.Actions = st.Actions })
	count(func(s *policy.Statement) { s.Resources, s.NotResources = st.Resources, st.NotResources })
	if granting(e.Layer) {
		count(func(s *policy.Statement) { s.Principal, s.NotPrincipal = st.Principal, st.NotPrincipal })
	} else {
		n++
	}
	return n
}
