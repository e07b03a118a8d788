package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/policy"
)

// containment is whether a statement allows nothing that is not declared.
type containment uint8

const (
	within    containment = iota
	undecided             // it may allow more
	beyond                // it allows more
)

// contained compares an Allow statement with the declared ones: every action
// on every resource for every principal must be covered by one of them, under
// conditions that imply that one's. why names what is not covered.
func (c *checker) contained(st *policy.Statement, declared []policy.Statement) (verdict containment, why string) {
	switch {
	case st.NotActions != nil:
		return beyond, "NotAction allows every action it does not list"
	case st.NotResources != nil:
		return beyond, "NotResource allows every resource it does not list"
	case st.NotPrincipal != nil:
		return beyond, "NotPrincipal admits everybody it does not list"
	}
	for _, one := range c.atoms(st) {
		v, text := one.covered(declared)
		if v > verdict {
			verdict, why = v, text
		}
	}
	return verdict, why
}

// An atom is one principal, action and resource of a statement.
type atom struct {
	c         *checker
	principal string // "" where the document has no principals
	action    string
	resource  string // "" where the document has no resources
	st        *policy.Statement
}

func (c *checker) atoms(st *policy.Statement) []atom {
	principals, resources := []string{""}, []string{""}
	if st.Principal != nil {
		principals = c.principals(st.Principal)
	}
	if st.Resources != nil {
		resources = policy.Values(st.Resources)
	}
	var out []atom
	for _, p := range principals {
		for _, a := range st.Actions {
			for _, r := range resources {
				out = append(out, atom{c, p, a.Value, r, st})
			}
		}
	}
	return out
}

// principals lists who a Principal element names, each in one spelling and
// without those who were deleted: they are nobody.
func (c *checker) principals(p *policy.Principals) []string {
	if p.Everyone {
		return []string{"*"}
	}
	var out []string
	for _, e := range p.Entries {
		if !c.isGhost(e.Value.Value) {
			out = append(out, c.canonical(e.Value.Value))
		}
	}
	return out
}

// canonical gives one spelling to what AWS spells in several ways: an account
// by its id or its root's ARN, a role or user by its ARN or its unique id.
func (c *checker) canonical(principal string) string {
	if id, err := arn.ParseAccountID(principal); err == nil {
		return arn.Root("aws", id).String()
	}
	if known, ok := c.ids[principal]; ok {
		return known
	}
	return principal
}

func (a *atom) String() string {
	text := a.action
	if a.resource != "" {
		text += " on " + a.resource
	}
	if a.principal != "" {
		text += " by " + a.principal
	}
	return text
}

// covered finds a declared statement that allows at least as much as a.
func (a *atom) covered(declared []policy.Statement) (containment, string) {
	verdict, why, near := beyond, fmt.Sprintf("allows %s", a), false
	for i := range declared {
		d := &declared[i]
		if !a.inside(d) {
			continue
		}
		v, text := implied(d.Conditions, a.st.Conditions)
		if v == within {
			return within, ""
		}
		if !near || v < verdict {
			verdict, why, near = v, fmt.Sprintf("allows %s %s", a, text), true
		}
	}
	return verdict, why
}

// inside reports whether d names a's principal, action and resource.
func (a *atom) inside(d *policy.Statement) bool {
	if d.Effect != policy.Allow {
		return false
	}
	if (a.principal == "") != (d.Principal == nil) || (a.resource == "") != (d.Resources == nil) {
		return false
	}
	if a.principal != "" && !slices.Contains(a.c.principals(d.Principal), a.principal) {
		return false
	}
	action := slices.ContainsFunc(d.Actions, func(t policy.Text) bool { return compile.WithinFold(a.action, t.Value) })
	resource := a.resource == "" || slices.ContainsFunc(d.Resources, func(t policy.Text) bool { return resourceWithin(a.resource, t.Value) })
	return action && resource
}

// resourceWithin compares ARN patterns component by component, as IAM does:
// a wildcard does not reach over a colon before the resource part.
func resourceWithin(inner, outer string) bool {
	if inner == outer || outer == "*" {
		return true
	}
	in, out := strings.SplitN(inner, ":", 6), strings.SplitN(outer, ":", 6)
	if len(in) != len(out) {
		return false
	}
	for i := range in {
		if !compile.Within(in[i], out[i]) {
			return false
		}
	}
	return true
}

// implied reports whether requests that meet conditions have meet wanted too.
func implied(wanted, have []policy.Condition) (containment, string) {
	verdict, why := within, ""
	for _, w := range wanted {
		v := oneImplied(w, have)
		if v > verdict {
			verdict = v
			why = fmt.Sprintf("without the condition %s %s", w.Operator, w.Key)
			if v == undecided {
				why = fmt.Sprintf("under another condition on %s than the declared %s", w.Key, w.Operator)
			}
		}
	}
	return verdict, why
}

func oneImplied(w policy.Condition, have []policy.Condition) containment {
	verdict := beyond
	for _, h := range have {
		if !strings.EqualFold(h.Key, w.Key) {
			continue
		}
		if v := implies(h, w); v < verdict {
			verdict = v
		}
	}
	return verdict
}

// implies compares two conditions on one key.
func implies(h, w policy.Condition) containment {
	ho, wo := policy.SplitOperator(h.Operator), policy.SplitOperator(w.Operator)
	hv, wv := policy.Values(h.Values), policy.Values(w.Values)
	if ho.Set != wo.Set || ho.IfExists && !wo.IfExists {
		return undecided
	}
	if dates, ok := dateImplies(ho, wo, hv, wv); ok {
		return dates
	}
	sameBase := strings.EqualFold(baseOf(ho), baseOf(wo))
	switch {
	case ho.Negated() || wo.Negated():
		if sameBase && sameValues(hv, wv) {
			return within
		}
		return undecided
	case baseOf(wo) == "StringLike" && (baseOf(ho) == "StringLike" || baseOf(ho) == "StringEquals"),
		baseOf(wo) == "ArnLike" && baseOf(ho) == "ArnLike":
		return everyWithin(hv, wv, compile.Within)
	case sameBase:
		return everyWithin(hv, wv, func(a, b string) bool { return a == b })
	}
	return undecided
}

// baseOf names operators that mean the same alike.
func baseOf(o policy.Operator) string {
	if o.Base == "ArnEquals" {
		return "ArnLike"
	}
	return o.Base
}

func everyWithin(inner, outer []string, fits func(a, b string) bool) containment {
	for _, v := range inner {
		if !slices.ContainsFunc(outer, func(o string) bool { return fits(v, o) }) {
			return beyond
		}
	}
	return within
}

func sameValues(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// dateImplies compares end dates: an earlier end is inside a later one.
func dateImplies(ho, wo policy.Operator, hv, wv []string) (containment, bool) {
	before := func(o policy.Operator) bool { return o.Base == "DateLessThan" || o.Base == "DateLessThanEquals" }
	if !before(ho) || !before(wo) || len(hv) != 1 || len(wv) != 1 {
		return undecided, false
	}
	h, err := time.Parse(time.RFC3339, hv[0])
	if err != nil {
		return undecided, true
	}
	w, err := time.Parse(time.RFC3339, wv[0])
	switch {
	case err != nil:
		return undecided, true
	case h.After(w):
		return beyond, true
	case h.Equal(w) && ho.Base == "DateLessThanEquals" && wo.Base == "DateLessThan":
		return beyond, true
	}
	return within, true
}
