// Package formula is boolean expressions over atoms whose truth is not known
// yet: built while something is evaluated, evaluated later in three values,
// and brought into a short form that people can read.
//
// An [Arena] builds them: And, Or and Not of [Term] values, where equal terms
// are one. [Arena.Expr] takes one out, [Expr.Eval] gives its truth. A [Space]
// says how atoms hang together (that a key cannot have two values), and
// [Space.Sum] is the shortest sum of products it finds within a limit. The
// package does not know what atoms mean.
package formula

// Term is No, Yes, Maybe, or an expression in an Arena.
type Term uint32

// The truths. Maybe is that of an expression that cannot be told; a Term that
// is more than Maybe is known by its Arena only.
const (
	No Term = iota
	Yes
	Maybe
	first
)

// Of is Yes for true and No for false.
func Of(b bool) Term {
	if b {
		return Yes
	}
	return No
}

// And is the conjunction of truths. None of them may be more than Maybe, here
// and in Or and Not: those are of an Arena.
func And(x, y Term) Term {
	switch {
	case x == No || y == No:
		return No
	case x == Yes:
		return y
	}
	return max(x, y)
}

// Or is their disjunction.
func Or(x, y Term) Term {
	switch {
	case x == Yes || y == Yes:
		return Yes
	case x == No:
		return y
	}
	return max(x, y)
}

// Not is the negation; what is not known stays so.
func Not(x Term) Term {
	if x == Maybe {
		return x
	}
	return Of(x == No)
}

type op uint8

const (
	opAtom op = iota
	opNot
	opAnd
	opOr
)

// node is an expression over earlier ones; for opAtom a is the atom's number.
type node struct {
	op   op
	a, b Term
}

// An Arena holds expressions, each once. The zero Arena is empty and ready.
type Arena struct {
	nodes []node
	terms map[node]Term
}

func (a *Arena) intern(n node) Term {
	if t, ok := a.terms[n]; ok {
		return t
	}
	if a.terms == nil {
		a.terms = make(map[node]Term)
	}
	t := first + Term(len(a.nodes))
	a.nodes = append(a.nodes, n)
	a.terms[n] = t
	return t
}

func (a *Arena) node(t Term) node { return a.nodes[t-first] }

// Atom is the expression that atom i holds; i is not negative.
func (a *Arena) Atom(i int) Term { return a.intern(node{op: opAtom, a: Term(i)}) }

// And is the conjunction of x and y.
func (a *Arena) And(x, y Term) Term {
	switch {
	case x == No || y == No:
		return No
	case x == Yes || x == y:
		return y
	case y == Yes:
		return x
	}
	return a.intern(node{op: opAnd, a: x, b: y})
}

// Or is their disjunction.
func (a *Arena) Or(x, y Term) Term {
	switch {
	case x == Yes || y == Yes:
		return Yes
	case x == No || x == y:
		return y
	case y == No:
		return x
	}
	return a.intern(node{op: opOr, a: x, b: y})
}

// Not is the negation of x.
func (a *Arena) Not(x Term) Term {
	switch {
	case x == No:
		return Yes
	case x == Yes:
		return No
	case x > Maybe && a.node(x).op == opNot:
		return a.node(x).a
	}
	return a.intern(node{op: opNot, a: x})
}

// Op is what an Expr is.
type Op uint8

// The kinds of Expr.
const (
	Never Op = iota
	Always
	Unclear // Maybe, whatever the atoms are
	Literal
	All // of Args
	Any // of Args
)

// An Expr is an expression with its negations at the atoms, and no All in an
// All nor Any in an Any. It is not changed once made, and its parts may be
// shared. The zero Expr is Never.
type Expr struct {
	Op      Op
	Atom    int  // of a Literal
	Negated bool // of a Literal: that the atom does not hold
	Args    []*Expr
}

// Expr takes t out of the arena.
func (a *Arena) Expr(t Term) *Expr {
	x := extraction{arena: a, done: map[signed]*Expr{}}
	return x.expr(signed{t: t})
}

// signed is a term or its negation.
type signed struct {
	t       Term
	negated bool
}

type extraction struct {
	arena *Arena
	done  map[signed]*Expr
}

func (x *extraction) expr(s signed) *Expr {
	if e, ok := x.done[s]; ok {
		return e
	}
	e := x.build(s)
	x.done[s] = e
	return e
}

func (x *extraction) build(s signed) *Expr {
	switch {
	case s.t == Maybe:
		return &Expr{Op: Unclear}
	case s.t <= Yes:
		return &Expr{Op: map[bool]Op{true: Always, false: Never}[(s.t == Yes) != s.negated]}
	}
	n := x.arena.node(s.t)
	switch n.op {
	case opAtom:
		return &Expr{Op: Literal, Atom: int(n.a), Negated: s.negated}
	case opNot:
		return x.expr(signed{n.a, !s.negated})
	case opAnd, opOr:
	}
	e := &Expr{Op: kind(n.op, s.negated)}
	for _, part := range x.operands(s, e.Op) {
		e.Args = append(e.Args, x.expr(part))
	}
	if len(e.Args) == 1 {
		return e.Args[0]
	}
	return e
}

// kind is what op becomes under a negation.
func kind(o op, negated bool) Op {
	if (o == opAnd) != negated {
		return All
	}
	return Any
}

// operands lists what s, which is of the given kind, joins: once each, in the
// order they were joined. Chains are as long as policies have statements, so
// they are followed without recursion.
func (x *extraction) operands(s signed, of Op) []signed {
	var list []signed
	seen := map[signed]bool{}
	stack := []signed{s}
	for len(stack) > 0 {
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[s] {
			continue
		}
		seen[s] = true
		var n node
		if s.t > Maybe {
			n = x.arena.node(s.t)
		}
		switch {
		case n.op == opNot:
			stack = append(stack, signed{n.a, !s.negated})
		case n.op != opAtom && kind(n.op, s.negated) == of:
			stack = append(stack, signed{n.b, s.negated}, signed{n.a, s.negated})
		default:
			list = append(list, s)
		}
	}
	return list
}

// Eval gives the truth of e (No, Yes or Maybe) from the truths of its atoms, by
// Kleene's tables: what two atoms of unknown truth have to do with each other
// is not looked at.
func (e *Expr) Eval(truth func(atom int) Term) Term {
	switch e.Op {
	case Never:
		return No
	case Always:
		return Yes
	case Unclear:
		return Maybe
	case Literal:
		t := truth(e.Atom)
		if e.Negated && t != Maybe {
			return Of(t == No)
		}
		return t
	case All, Any:
	}
	settles, all := No, Yes
	if e.Op == Any {
		settles, all = Yes, No
	}
	for _, arg := range e.Args {
		switch arg.Eval(truth) {
		case settles:
			return settles
		case Maybe:
			all = Maybe
		}
	}
	return all
}

// Not is the negation of e.
func (e *Expr) Not() *Expr {
	out := *e
	switch e.Op {
	case Never:
		out.Op = Always
	case Always:
		out.Op = Never
	case Literal:
		out.Negated = !e.Negated
	case All:
		out.Op = Any
	case Any:
		out.Op = All
	case Unclear:
	}
	out.Args = nil
	for _, arg := range e.Args {
		out.Args = append(out.Args, arg.Not())
	}
	return &out
}

// And is the conjunction of e and o.
func (e *Expr) And(o *Expr) *Expr {
	out := &Expr{Op: All}
	for _, part := range []*Expr{e, o} {
		if part.Op == All {
			out.Args = append(out.Args, part.Args...)
		} else {
			out.Args = append(out.Args, part)
		}
	}
	return out
}

// Atoms calls yield for the atom of every Literal in e, as often as it is there.
func (e *Expr) Atoms(yield func(atom int) bool) { e.atoms(yield) }

func (e *Expr) atoms(yield func(atom int) bool) bool {
	if e.Op == Literal {
		return yield(e.Atom)
	}
	for _, arg := range e.Args {
		if !arg.atoms(yield) {
			return false
		}
	}
	return true
}

// Renumber is e with other numbers for its atoms.
func (e *Expr) Renumber(number func(atom int) int) *Expr {
	out := *e
	if e.Op == Literal {
		out.Atom = number(e.Atom)
	}
	out.Args = nil
	for _, arg := range e.Args {
		out.Args = append(out.Args, arg.Renumber(number))
	}
	return &out
}
