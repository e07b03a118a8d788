package authz

import (
	"fmt"
	"strconv"
	"strings"
)

// An atom is the smallest thing an evaluation can leave open: a condition, a
// Resource element or a grant's constraint that has to do with an unknown key,
// or a question that no key settles.
type atom struct {
	condition *condition
	resource  *resourcePattern
	grant     *Grant
	question  string   // "whether …" or "how …"
	about     []string // what answers the question: itself, or unread documents
}

// depend completes a decision that is not known: with the condition it depends
// on, or with the outcome if that is the same whatever is missing.
func (e *evaluation) depend(d *Decision) {
	r := e.residual()
	if o := r.simple.outcome(); o != Unknown {
		d.Outcome = o
		note := "whatever the answer to what is open"
		if keys := r.spelled(); len(keys) > 0 {
			note = "whatever " + strings.Join(keys, ", ") + " is"
		}
		for _, i := range d.Deciding {
			d.Layers[i].Note = note
		}
		return
	}
	d.Residual, d.Missing = r, r.missing()
}

// conditionTerm is the term for the result of comparing c.
func (e *evaluation) conditionTerm(c *condition, got *found, m Match) term {
	if m != Maybe || e.rec == nil {
		return term(m)
	}
	if !e.unclear(c) && (got.presence == unknown || e.hasUnknown(c.patterns)) {
		return e.rec.atom(atom{condition: c})
	}
	return e.openTerm(strings.Join(e.conditionQuestions(c, false), " and "))
}

// resourceTerm compares a Resource element with the request.
func (e *evaluation) resourceTerm(p *resourcePattern) term {
	m := e.resource(p)
	if m != Maybe || e.rec == nil {
		return term(m)
	}
	if e.hasUnknown([]pattern{p.rest}) {
		return e.rec.atom(atom{resource: p})
	}
	return e.openTerm(strings.Join(e.resourceQuestions(p), " and "))
}

// grantTerm is the term for the result of comparing a grant's constraint.
func (e *evaluation) grantTerm(g *Grant, m Match) term {
	if m != Maybe || e.rec == nil {
		return term(m)
	}
	return e.rec.atom(atom{grant: g})
}

// principalTerm is the term for the result of comparing the principals of s.
func (e *evaluation) principalTerm(p *Policy, s *statement, m Match) term {
	if m != Maybe || e.rec == nil {
		return term(m)
	}
	return e.openTerm(principalQuestion(s, p.source))
}

// unreadTerm is whether the documents of l that could not be read deny the
// request, or else whether they allow it.
func (e *evaluation) unreadTerm(l Layer, deny bool) term {
	if e.rec == nil {
		return perhaps
	}
	a := atom{}
	for i := range e.pols.Unread {
		if u := &e.pols.Unread[i]; u.Source.Layer == l {
			a.about = append(a.about, u.String())
		}
	}
	a.question = "whether " + strings.Join(a.about, " or ") + " allows it"
	if deny {
		a.question = "whether " + strings.Join(a.about, " or ") + " denies it"
	}
	return e.rec.atom(a)
}

// openTerm is a question that no condition key settles.
func (e *evaluation) openTerm(question string) term {
	if e.rec == nil {
		return perhaps
	}
	return e.rec.atom(atom{question: question, about: []string{question}})
}

// doubt is whether the RCP at hand affects the request at all.
func (e *evaluation) doubt() term {
	if e.rec == nil {
		return perhaps
	}
	return e.openTerm(rcpQuestion + e.service())
}

// hasUnknown reports whether a variable of the patterns has no known value.
func (e *evaluation) hasUnknown(patterns []pattern) bool {
	for i := range patterns {
		for j := range patterns[i].parts {
			if v := patterns[i].parts[j].variable; v != nil {
				if got := e.lookup(&v.key); got.presence == unknown {
					return true
				}
			}
		}
	}
	return false
}

// atom is the term that a holds; atoms that say the same are one.
func (r *recorder) atom(a atom) term {
	text := a.identity()
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

// identity tells a from other atoms of the same request.
func (a *atom) identity() string {
	switch {
	case a.condition != nil:
		c := a.condition
		b := append(append([]byte("condition "), c.written.Operator...), ' ')
		b = strconv.AppendBool(append(b, c.key.name...), c.literal)
		for _, v := range c.written.Values {
			b = strconv.AppendQuote(b, v.Value)
		}
		return string(b)
	case a.resource != nil:
		return "resource " + a.resource.written
	case a.grant != nil:
		return fmt.Sprintf("grant %p", a.grant)
	}
	return "question " + a.question
}

// String names the document: "service control policy P (111111111111) (access denied)".
func (u *Unread) String() string {
	if u.Reason == "" {
		return u.Source.String()
	}
	return u.Source.String() + " (" + u.Reason + ")"
}
