package authz

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz/internal/formula"
)

// Residual is what is left of a decision when all that is known has been
// taken into account: the condition on which the rest depends. It comes from
// the evaluation that gave the decision, and is as exact as it: [Residual.Decide]
// with the missing keys gives the outcome that Evaluate would give with them.
//
// Its printed form is simplified: alternatives of which each is enough, none
// of which contains another, without conditions that exclude each other or
// follow from others. The simplification knows what conditions on one key have
// to do with each other where they compare text, numbers and dates, and takes
// patterns and addresses for independent of each other. It takes it that a key
// has one value at most unless Facts or a set operator says otherwise, and a
// value that the key's operators can compare. An Unknown whose residual comes
// out the same for all such values is given as that outcome instead.
//
// A Residual is immutable and safe for concurrent use.
type Residual struct {
	atoms       []atom
	allow, deny *formula.Expr // of a grant and of an explicit deny, over the atoms
	resource    string        // of the request, where a Resource element has an unknown variable
	known       Context       // known keys that the atoms refer to
	keys        []residualKey
	multivalued map[string]bool // by Facts, of the keys that the atoms refer to
	off         ruleset

	simple simplified // made from the above
}

// residualKey is a key that is not known.
type residualKey struct {
	name string // lower case
	// derived keys follow from the request: one that is not given later has
	// this value, or is still unknown when that is "".
	derived bool
	value   string
}

// Keys lists the condition keys that are not known and on which the outcome
// may depend, in lower case and sorted.
func (r *Residual) Keys() []string {
	names := make([]string, len(r.keys))
	for i, k := range r.keys {
		names[i] = k.name
	}
	return names
}

// Decide gives the outcome of the request when its unknown keys have the
// values that ctx gives them. A key that ctx does not have is absent, or what
// follows from the principal where it is a key like aws:userid; other keys of
// ctx are not looked at. The outcome is Unknown where ctx leaves keys unknown,
// or where it depends on what no key settles. ctx may be nil.
func (r *Residual) Decide(ctx *Context) Outcome {
	e := r.evaluation(ctx)
	truths := make([]term, len(r.atoms)) // plus one; 0 is not computed yet
	truth := func(i int) term {
		if truths[i] == 0 {
			truths[i] = 1 + e.atom(&r.atoms[i])
		}
		return truths[i] - 1
	}
	deny, allow := r.deny.Eval(truth), r.allow.Eval(truth)
	switch {
	case deny == yes:
		return ExplicitDeny
	case allow == no:
		return ImplicitDeny
	case allow == yes && deny == no:
		return Allowed
	}
	return Unknown
}

// evaluation prepares the comparison of the atoms with ctx.
func (r *Residual) evaluation(ctx *Context) *evaluation {
	req := &Request{Resource: r.resource, Context: r.known.Clone()}
	for _, k := range r.keys {
		var entry contextEntry
		given := false
		if ctx != nil {
			entry, given = ctx.find(k.name)
		}
		switch {
		case given:
			req.Context.put(entry)
		case k.value != "":
			req.Context.Set(k.name, k.value)
		case k.derived:
			req.Context.SetUnknown(k.name)
		}
	}
	e := &evaluation{req: req, facts: &Facts{Multivalued: r.multivalued}, off: r.off, bare: true}
	e.prepareResource()
	return e
}

// atom is the truth of an atom, by the code that left it open.
func (e *evaluation) atom(a *atom) term {
	switch {
	case a.condition != nil:
		got := e.lookup(&a.condition.key)
		return term(e.condition(a.condition, &got))
	case a.resource != nil:
		return term(e.resource(a.resource))
	case a.grant != nil:
		return term(e.grantContext(a.grant))
	}
	return perhaps
}

// variables calls yield for every policy variable of the atom.
func (a *atom) variables(yield func(*variable)) {
	var patterns []pattern
	switch {
	case a.condition != nil:
		patterns = a.condition.patterns
	case a.resource != nil:
		patterns = []pattern{a.resource.rest}
	}
	for i := range patterns {
		for j := range patterns[i].parts {
			if v := patterns[i].parts[j].variable; v != nil {
				yield(v)
			}
		}
	}
}

// keys calls yield for every key the atom refers to.
func (a *atom) keys(yield func(*contextKey)) {
	if a.condition != nil {
		yield(&a.condition.key)
	}
	a.variables(func(v *variable) { yield(&v.key) })
}

// residual is what the evaluation left open.
func (e *evaluation) residual() *Residual {
	r := &Residual{off: e.off, multivalued: map[string]bool{}}
	rec := e.rec
	number := map[int]int{} // of the atoms that matter
	renumber := func(i int) int {
		if _, ok := number[i]; !ok {
			number[i] = len(r.atoms)
			r.atoms = append(r.atoms, rec.atoms[i])
		}
		return number[i]
	}
	r.allow = rec.arena.Expr(rec.allow).Renumber(renumber)
	r.deny = rec.arena.Expr(rec.deny).Renumber(renumber)
	seen := map[string]bool{}
	for i := range r.atoms {
		r.include(e, &r.atoms[i], func(k *contextKey) {
			if !seen[k.name] {
				seen[k.name] = true
				r.includeKey(e, k)
			}
		})
	}
	slices.SortFunc(r.keys, func(a, b residualKey) int { return strings.Compare(a.name, b.name) })
	r.simplify()
	return r
}

// include keeps what the request has under the keys of a.
func (r *Residual) include(e *evaluation, a *atom, include func(*contextKey)) {
	a.keys(include)
	if a.resource != nil {
		r.resource = strings.Clone(e.req.Resource)
	}
	if a.grant == nil {
		return
	}
	for i := range e.req.Context.entries {
		if entry := &e.req.Context.entries[i]; strings.HasPrefix(entry.key, contextPrefix) {
			include(&contextKey{name: entry.key})
		}
	}
}

func (r *Residual) includeKey(e *evaluation, k *contextKey) {
	if e.facts.Multivalued[k.name] {
		r.multivalued[k.name] = true
	}
	entry, given := e.req.Context.find(k.name)
	got := e.lookup(k)
	switch {
	case got.presence == unknown:
		key := residualKey{name: k.name}
		if derived := e.derive(k.derived); k.derived != notDerived && derived.presence != absent {
			key.derived = true
			if derived.presence == present {
				key.value = strings.Clone(derived.at(0))
			}
		}
		r.keys = append(r.keys, key)
	case got.presence == present && given:
		entry.values = slices.Clone(entry.values)
		r.known.put(entry)
	case got.presence == present:
		r.known.Set(k.name, strings.Clone(got.at(0)))
	}
}
