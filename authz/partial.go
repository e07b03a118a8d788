package authz

import (
	"strings"

	"github.com/stile-aws/stile/authz/internal/condition"
	"github.com/stile-aws/stile/authz/internal/residue"
)

// depend completes a decision that is not known: with the condition it depends
// on, or with the outcome if that is the same whatever is missing.
func (e *evaluation) depend(d *Decision) {
	rec := e.rec
	core := residue.New(&e.Comparer, e.req.Resource, rec.atoms, rec.arena.Expr(rec.allow), rec.arena.Expr(rec.deny))
	switch denied, never, allowed := core.Settled(); {
	case denied:
		d.Outcome = ExplicitDeny
	case never:
		d.Outcome = ImplicitDeny
	case allowed:
		d.Outcome = Allowed
	case rec.brief:
		return
	default:
		d.Residual, d.Missing = &Residual{core: core}, core.Missing()
		return
	}
	note := "whatever the answer to what is open"
	if keys := core.Spelled(); len(keys) > 0 {
		note = "whatever " + strings.Join(keys, ", ") + " is"
	}
	for _, i := range d.Deciding {
		d.Layers[i].Note = note
	}
}

// conditionTerm is the term for the result of comparing c.
func (e *evaluation) conditionTerm(c *condition.Condition, got *condition.Found, m term) term {
	if m != perhaps || e.rec == nil {
		return m
	}
	if !e.Unclear(c) && (got.Presence == condition.Unknown || e.hasUnknown(c.Patterns...)) {
		return e.rec.atom(residue.Atom{Condition: c})
	}
	return e.openTerm(strings.Join(e.conditionQuestions(c, false), " and "))
}

// resourceTerm compares a Resource element with the request.
func (e *evaluation) resourceTerm(p *condition.Resource) term {
	m := e.Resource(p)
	if m != perhaps || e.rec == nil {
		return m
	}
	if e.hasUnknown(p.Rest) {
		return e.rec.atom(residue.Atom{Resource: p})
	}
	return e.openTerm(strings.Join(e.resourceQuestions(p), " and "))
}

// grantTerm is the term for the result of comparing a grant's constraint.
func (e *evaluation) grantTerm(g *Grant, m term) term {
	if m != perhaps || e.rec == nil {
		return m
	}
	return e.rec.atom(residue.Atom{Constraint: &residue.Constraint{Pairs: g.EncryptionContext, Equals: g.Equals}})
}

// principalTerm is the term for the result of comparing the principals of s.
func (e *evaluation) principalTerm(p *Policy, s *statement, m term) term {
	if m != perhaps || e.rec == nil {
		return m
	}
	return e.openTerm(principalQuestion(s, p.source))
}

// unreadTerm is whether the documents of l that could not be read deny the
// request, or else whether they allow it.
func (e *evaluation) unreadTerm(l Layer, deny bool) term {
	if e.rec == nil {
		return perhaps
	}
	a := residue.Atom{}
	for i := range e.pols.Unread {
		if u := &e.pols.Unread[i]; u.Source.Layer == l {
			a.About = append(a.About, u.String())
		}
	}
	a.Question = "whether " + strings.Join(a.About, " or ") + " allows it"
	if deny {
		a.Question = "whether " + strings.Join(a.About, " or ") + " denies it"
	}
	return e.rec.atom(a)
}

// openTerm is a question that no condition key settles.
func (e *evaluation) openTerm(question string) term {
	if e.rec == nil {
		return perhaps
	}
	return e.rec.atom(residue.Atom{Question: question, About: []string{question}})
}

// doubt is whether the RCP at hand affects the request at all.
func (e *evaluation) doubt() term {
	if e.rec == nil {
		return perhaps
	}
	return e.openTerm(rcpQuestion + e.service())
}

// hasUnknown reports whether a variable of the patterns has no known value.
func (e *evaluation) hasUnknown(patterns ...condition.Pattern) bool {
	unknown := false
	for i := range patterns {
		patterns[i].Variables(func(v *condition.Variable) {
			got := e.Lookup(&v.Key)
			unknown = unknown || got.Presence == condition.Unknown
		})
	}
	return unknown
}

// atom is the term that a holds; atoms that say the same are one.
func (r *recorder) atom(a residue.Atom) term {
	text := a.Identity()
	if t, ok := r.atomsByText[text]; ok {
		return t
	}
	if r.atomsByText == nil {
		r.atomsByText = make(map[string]term)
	}
	t := r.arena.Atom(len(r.atoms))
	r.atoms = append(r.atoms, a)
	r.atomsByText[text] = t
	return t
}

// String names the document: "service control policy P (111111111111) (access denied)".
func (u *Unread) String() string {
	if u.Reason == "" {
		return u.Source.String()
	}
	return u.Source.String() + " (" + u.Reason + ")"
}
