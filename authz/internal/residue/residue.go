// Package residue is what is left of a decision when all that is known has
// been taken into account: an expression over conditions that were left open.
//
// Start with [New], which an evaluation calls with the atoms it could not
// decide. [Residual.Eval] decides them by the code that left them open,
// [Residual.Settled] tells whether they matter at all, [Residual.SayAllowed] and
// [Residual.Allowed] say for people what has to hold. What an outcome is, and
// where the atoms come from, is for package authz.
package residue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/authz/internal/condition"
	"github.com/stile-aws/stile/authz/internal/formula"
	"github.com/stile-aws/stile/authz/internal/rule"
)

// An Atom is the smallest thing an evaluation can leave open: a condition, a
// Resource element or a grant's constraint that has to do with an unknown key,
// or a question that no key settles.
type Atom struct {
	Condition  *condition.Condition
	Resource   *condition.Resource
	Constraint *Constraint
	Question   string   // "whether …" or "how …"
	About      []string // what answers the question: itself, or unread documents
}

// Constraint is the encryption context that a KMS grant requires.
type Constraint struct {
	Pairs  map[string]string
	Equals bool // all pairs rather than a subset
}

// Residual is the condition that is left. It is immutable.
type Residual struct {
	atoms       []Atom
	allow, deny *formula.Expr     // of a grant and of an explicit deny, over the atoms
	resource    string            // of the request, where a Resource element has an unknown variable
	known       condition.Context // known keys that the atoms refer to
	keys        []key
	multivalued map[string]bool // of the keys that the atoms refer to
	off         rule.Set

	simple simplified // made from the above
}

// key is a key that is not known.
type key struct {
	name string // lower case
	// derived keys follow from the request: one that is not given later has
	// this value, or is still unknown when that is "".
	derived bool
	value   string
}

// New is what an evaluation left open: allow and deny are over the numbers of
// atoms, and c has what the request has.
func New(c *condition.Comparer, resource string, atoms []Atom, allow, deny *formula.Expr) *Residual {
	r := &Residual{off: c.Off, multivalued: map[string]bool{}}
	number := map[int]int{} // of the atoms that matter
	renumber := func(i int) int {
		if _, ok := number[i]; !ok {
			number[i] = len(r.atoms)
			r.atoms = append(r.atoms, atoms[i])
		}
		return number[i]
	}
	r.allow, r.deny = allow.Renumber(renumber), deny.Renumber(renumber)
	seen := map[string]bool{}
	for i := range r.atoms {
		if r.atoms[i].Resource != nil {
			r.resource = strings.Clone(resource)
		}
		r.atoms[i].keysIn(c.Context, func(k *condition.Key) {
			if !seen[k.Name] {
				seen[k.Name] = true
				r.include(c, k)
			}
		})
	}
	slices.SortFunc(r.keys, func(a, b key) int { return strings.Compare(a.name, b.name) })
	r.simplify()
	return r
}

// include keeps what the request has under k.
func (r *Residual) include(c *condition.Comparer, k *condition.Key) {
	if c.Multivalued[k.Name] {
		r.multivalued[k.Name] = true
	}
	entry, given := c.Context.Find(k.Name)
	got := c.Lookup(k)
	switch {
	case got.Presence == condition.Unknown:
		unknown := key{name: k.Name}
		if derived := c.Derive(k); derived.Presence != condition.Absent {
			unknown.derived = true
			if derived.Presence == condition.Present {
				unknown.value = strings.Clone(derived.At(0))
			}
		}
		r.keys = append(r.keys, unknown)
	case got.Presence == condition.Present && given:
		entry.Values = slices.Clone(entry.Values)
		r.known.Put(entry)
	case got.Presence == condition.Present:
		r.known.Set(k.Name, strings.Clone(got.At(0)))
	}
}

// keys calls yield for every key the atom refers to by name.
func (a *Atom) keys(yield func(*condition.Key)) {
	if a.Condition != nil {
		yield(&a.Condition.Key)
	}
	a.variables(func(v *condition.Variable) { yield(&v.Key) })
}

// keysIn calls yield for every key of ctx, too, that a constraint looks at.
func (a *Atom) keysIn(ctx *condition.Context, yield func(*condition.Key)) {
	a.keys(yield)
	if a.Constraint == nil {
		return
	}
	for i := range ctx.Entries {
		if name := ctx.Entries[i].Key; strings.HasPrefix(name, condition.ContextPrefix) {
			yield(&condition.Key{Name: name})
		}
	}
}

// variables calls yield for every policy variable of the atom.
func (a *Atom) variables(yield func(*condition.Variable)) {
	var patterns []condition.Pattern
	switch {
	case a.Condition != nil:
		patterns = a.Condition.Patterns
	case a.Resource != nil:
		patterns = []condition.Pattern{a.Resource.Rest}
	}
	for i := range patterns {
		patterns[i].Variables(yield)
	}
}

// Keys lists the unknown keys in lower case, sorted.
func (r *Residual) Keys() []string {
	names := make([]string, len(r.keys))
	for i, k := range r.keys {
		names[i] = k.name
	}
	return names
}

// Eval gives the truth of a grant and of an explicit deny when the unknown keys
// have the values that ctx, which may be nil, gives them.
func (r *Residual) Eval(ctx *condition.Context) (allow, deny formula.Term) {
	c := r.comparer(ctx)
	truths := make([]formula.Term, len(r.atoms)) // plus one; 0 is not computed yet
	truth := func(i int) formula.Term {
		if truths[i] == 0 {
			truths[i] = 1 + r.atoms[i].truth(c)
		}
		return truths[i] - 1
	}
	return r.allow.Eval(truth), r.deny.Eval(truth)
}

// comparer prepares the comparison of the atoms with ctx.
func (r *Residual) comparer(ctx *condition.Context) *condition.Comparer {
	have := r.known.Clone()
	for _, k := range r.keys {
		var entry condition.Entry
		given := false
		if ctx != nil {
			entry, given = ctx.Find(k.name)
		}
		switch {
		case given:
			have.Put(entry)
		case k.value != "":
			have.Set(k.name, k.value)
		case k.derived:
			have.SetUnknown(k.name)
		}
	}
	c := &condition.Comparer{Off: r.off, Multivalued: r.multivalued, Context: &have, Bare: true}
	c.SetResource(r.resource)
	return c
}

// truth compares the atom with what c has.
func (a *Atom) truth(c *condition.Comparer) formula.Term {
	switch {
	case a.Condition != nil:
		got := c.Lookup(&a.Condition.Key)
		return c.Compare(a.Condition, &got)
	case a.Resource != nil:
		return c.Resource(a.Resource)
	case a.Constraint != nil:
		return c.Constraint(a.Constraint.Pairs, a.Constraint.Equals)
	}
	return formula.Maybe
}

// Identity tells the atom from others of the same request.
func (a *Atom) Identity() string {
	switch {
	case a.Condition != nil:
		c := a.Condition
		b := append(append([]byte("condition "), c.Written.Operator...), ' ')
		b = strconv.AppendBool(append(b, c.Key.Name...), c.Literal)
		for _, v := range c.Written.Values {
			b = strconv.AppendQuote(b, v.Value)
		}
		return string(b)
	case a.Resource != nil:
		return "resource " + a.Resource.Written
	case a.Constraint != nil:
		return fmt.Sprintf("constraint %v %q", a.Constraint.Equals, a.Constraint.Pairs)
	}
	return "question " + a.Question
}
