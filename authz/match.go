package authz

import "github.com/stile-aws/stile/authz/internal/formula"

// term is what an evaluation computes with: no, yes, or, where only the answer
// is wanted, perhaps. With a recorder what is not known is an expression
// instead, so that one computation gives the answer and the condition it
// depends on.
type term = formula.Term

const (
	no      = formula.No
	yes     = formula.Yes
	perhaps = formula.Maybe
)

// and is the conjunction of terms.
func (e *evaluation) and(a, b term) term {
	switch {
	case a == no || b == no:
		return no
	case a == yes:
		return b
	case b == yes:
		return a
	case e.rec == nil:
		return perhaps
	}
	return e.rec.arena.And(a, b)
}

// or is their disjunction.
func (e *evaluation) or(a, b term) term {
	switch {
	case a == yes || b == yes:
		return yes
	case a == no:
		return b
	case b == no:
		return a
	case e.rec == nil:
		return perhaps
	}
	return e.rec.arena.Or(a, b)
}

// not is the negation.
func (e *evaluation) not(a term) term {
	switch {
	case a == no:
		return yes
	case a == yes:
		return no
	case e.rec == nil:
		return perhaps
	}
	return e.rec.arena.Not(a)
}

// match is the truth of a term as far as it is known.
func match(t term) Match { return Match(min(t, perhaps)) }
