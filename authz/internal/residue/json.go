package residue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz/internal/condition"
	"github.com/stile-aws/stile/authz/internal/formula"
	"github.com/stile-aws/stile/policy"
)

// residualJSON is the JSON form of a Residual: what people and programs read,
// and the exact condition, from which it is made again.
type residualJSON struct {
	Keys []string `json:"keys"`
	// AllowedWhen and DeniedWhen list alternatives, each a list of what has to
	// hold together. The flags say that there are more.
	AllowedWhen      [][]Requirement `json:"allowedWhen"`
	AllowedOtherwise bool            `json:"allowedOtherwise,omitempty"`
	DeniedWhen       [][]Requirement `json:"explicitlyDeniedWhen,omitempty"`
	DeniedOtherwise  bool            `json:"explicitlyDeniedOtherwise,omitempty"`
	Exact            exactJSON       `json:"exact"`
}

// exactJSON has expressions over the numbers of atoms: true, false, a number,
// {"not": n}, {"all": […]}, {"any": […]}.
type exactJSON struct {
	Allow *formula.Expr `json:"allow"`
	Deny  *formula.Expr `json:"deny"`
	Atoms []atomJSON    `json:"atoms"`
	// Known has the keys that the atoms refer to and that are known, Derived
	// the unknown ones that have a value, or "" for one that stays unknown,
	// when they are not given.
	Known       map[string][]string `json:"known,omitempty"`
	Derived     map[string]string   `json:"derived,omitempty"`
	Multivalued []string            `json:"multivalued,omitempty"`
	Resource    string              `json:"resource,omitempty"`
}

// atomJSON is one of: a condition, a Resource element, a grant's constraint, a
// question.
type atomJSON struct {
	Operator string   `json:"operator,omitempty"`
	Key      string   `json:"key,omitempty"`
	Values   []string `json:"values,omitempty"`
	// Literal is set where "${" is text.
	Literal  bool              `json:"literal,omitempty"`
	Resource string            `json:"resource,omitempty"`
	Grant    map[string]string `json:"encryptionContext,omitempty"`
	Equals   bool              `json:"equals,omitempty"`
	Question string            `json:"question,omitempty"`
	About    []string          `json:"about,omitempty"`
}

// MarshalJSON writes what has to hold ("allowedWhen", "explicitlyDeniedWhen"),
// and under "exact" what [Residual.Decide] needs.
func (r *Residual) MarshalJSON() ([]byte, error) {
	form := residualJSON{Keys: r.Keys(), Exact: exactJSON{
		Allow: r.allow, Deny: r.deny, Atoms: make([]atomJSON, len(r.atoms)), Resource: r.resource,
		Multivalued: slices.Sorted(maps.Keys(r.multivalued)),
	}}
	var complete bool
	form.AllowedWhen, complete = r.Allowed()
	form.AllowedOtherwise = !complete
	form.DeniedWhen, complete = r.Denied()
	form.DeniedOtherwise = !complete
	for i := range r.atoms {
		form.Exact.Atoms[i] = r.atoms[i].json()
	}
	for _, k := range r.keys {
		if !k.derived {
			continue
		}
		if form.Exact.Derived == nil {
			form.Exact.Derived = map[string]string{}
		}
		form.Exact.Derived[k.name] = k.value
	}
	for _, entry := range r.known.Entries {
		if form.Exact.Known == nil {
			form.Exact.Known = map[string][]string{}
		}
		form.Exact.Known[entry.Written] = slices.Concat([]string{}, entry.Values)
	}
	return json.Marshal(form)
}

func (a *Atom) json() atomJSON {
	switch {
	case a.Condition != nil:
		c := a.Condition
		form := atomJSON{Operator: c.Written.Operator, Key: c.Written.Key}
		for _, v := range c.Written.Values {
			form.Values = append(form.Values, v.Value)
			form.Literal = form.Literal || c.Literal && strings.Contains(v.Value, "${")
		}
		return form
	case a.Resource != nil:
		return atomJSON{Resource: a.Resource.Written}
	case a.Constraint != nil:
		return atomJSON{Grant: a.Constraint.Pairs, Equals: a.Constraint.Equals}
	}
	return atomJSON{Question: a.Question, About: a.About}
}

// UnmarshalJSON reads what MarshalJSON wrote. Only "keys" and "exact" count;
// the rest is made from them again.
func (r *Residual) UnmarshalJSON(text []byte) error {
	var form residualJSON
	if err := json.Unmarshal(text, &form); err != nil {
		return fmt.Errorf("parsing a residual: %w", err)
	}
	out := Residual{resource: form.Exact.Resource, allow: form.Exact.Allow, deny: form.Exact.Deny, multivalued: map[string]bool{}}
	for i := range form.Exact.Atoms {
		a, err := form.Exact.Atoms[i].atom()
		if err != nil {
			return fmt.Errorf("parsing atom %d of a residual: %w", i, err)
		}
		out.atoms = append(out.atoms, a)
	}
	for _, e := range []*formula.Expr{out.allow, out.deny} {
		if err := out.check(e); err != nil {
			return err
		}
	}
	for _, name := range form.Keys {
		name = strings.ToLower(name)
		value, derived := form.Exact.Derived[name]
		out.keys = append(out.keys, key{name: name, derived: derived, value: value})
	}
	for _, name := range form.Exact.Multivalued {
		out.multivalued[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(form.Exact.Known)) {
		out.known.Set(name, form.Exact.Known[name]...)
	}
	out.simplify()
	*r = out
	return nil
}

// check refuses an expression over atoms that are not there.
func (r *Residual) check(e *formula.Expr) error {
	if e == nil {
		return fmt.Errorf("parsing a residual: no exact condition")
	}
	for atom := range e.Atoms {
		if atom >= len(r.atoms) {
			return fmt.Errorf("parsing a residual: %d is no atom", atom)
		}
	}
	return nil
}

func (form *atomJSON) atom() (Atom, error) {
	c := condition.Compiler{Completes: true, Literal: form.Literal}
	switch {
	case form.Operator != "":
		written := policy.Cond(form.Operator, form.Key, form.Values...)
		compiled := &condition.Condition{}
		return Atom{Condition: compiled}, c.Condition(&written, compiled)
	case form.Resource != "":
		p := c.Resource(form.Resource)
		return Atom{Resource: &p}, nil
	case form.Grant != nil:
		return Atom{Constraint: &Constraint{Pairs: form.Grant, Equals: form.Equals}}, nil
	case form.Question != "":
		return Atom{Question: form.Question, About: form.About}, nil
	}
	return Atom{}, fmt.Errorf("it is neither a condition nor a resource, a grant or a question")
}

// Equal reports whether r and o are the same condition, written the same way.
// Both may be nil.
func (r *Residual) Equal(o *Residual) bool {
	if r == nil || o == nil {
		return r == o
	}
	a, errA := r.MarshalJSON()
	b, errB := o.MarshalJSON()
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
