package remedy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// narrowing is what is left of a statement that must not grant the request.
type narrowing struct {
	statements []policy.Statement
	affects    []string // what it takes beside the request
}

// A part is one element of a statement, divided into what covers the request
// and what does not.
type part struct {
	hit   []policy.Text
	rest  []policy.Text // nil: nothing is left
	not   bool          // everything but rest is left: NotAction, NotResource
	exact bool          // hit covers the request alone
}

// narrowed takes the request out of an Allow statement. A statement allows every
// combination of its actions, resources and principals; it is split so that only
// those combinations go whose every element covers the request: the other
// actions stay for everybody and everything, the same action for the other
// resources, and the same action and resource for the other principals.
func (w *world) narrowed(st *policy.Statement, p *authz.Policy, at place) narrowing {
	actions, resources := w.actionPart(st, p, at), w.resourcePart(st, p, at)
	var out narrowing
	if actions.rest != nil {
		other := *st
		other.Actions, other.NotActions = actions.left()
		out.statements = append(out.statements, other)
	}
	same := *st
	same.Actions, same.NotActions = actions.hit, nil
	if resources.rest != nil {
		other := same
		other.Resources, other.NotResources = resources.left()
		out.statements = append(out.statements, other)
	}
	if resources.hit != nil {
		same.Resources, same.NotResources = resources.hit, nil
	}
	loser := w.req.Principal.String()
	if entity := entityOf(&w.req.Principal); !entity.IsZero() {
		loser = entity.String()
	}
	if granting(p.Source().Layer) && !w.namesCallerAlone(st.Principal) {
		others, ok := w.withoutCaller(same, p, at)
		if ok {
			out.statements = append(out.statements, others)
		} else {
			loser = "everybody whom " + p.Source().String() + " names there"
			out.affects = append(out.affects, loser+" loses "+w.req.Action)
		}
	}
	if !actions.exact || !resources.exact {
		on := "the resource"
		if resources.hit != nil {
			on = strings.Join(policy.Values(resources.hit), ", ")
		}
		out.affects = []string{fmt.Sprintf("%s loses all of %s on %s", loser, strings.Join(policy.Values(actions.hit), ", "), on)}
	}
	for i := 1; i < len(out.statements); i++ {
		out.statements[i].Sid = "" // which stands once in a document
	}
	return out
}

// left gives the element and its Not… twin for what is left.
func (p *part) left() (values, not []policy.Text) {
	if p.not {
		return nil, p.rest
	}
	return p.rest, nil
}

func (w *world) actionPart(st *policy.Statement, p *authz.Policy, at place) part {
	if st.NotActions != nil {
		action := policy.Texts(w.req.Action)
		return part{hit: action, rest: append(slices.Clip(st.NotActions), action...), not: true, exact: true}
	}
	out := w.divide(st.Actions, at, p, func(s *policy.Statement, t []policy.Text) { s.Actions = t })
	out.exact = allOf(out.hit, func(t policy.Text) bool { return strings.EqualFold(t.Value, w.req.Action) })
	return out
}

func (w *world) resourcePart(st *policy.Statement, p *authz.Policy, at place) part {
	exact := w.resources(p.Source().Layer)
	switch {
	case st.Resources == nil && st.NotResources == nil:
		return part{exact: true} // about the resource it is attached to
	case exact == nil || st.NotResources != nil && exact[0].Value == "*":
		return part{hit: policy.Texts("*")} // not to be told apart
	case st.NotResources != nil:
		return part{hit: exact, rest: append(slices.Clip(st.NotResources), exact...), not: true, exact: true}
	}
	out := w.divide(st.Resources, at, p, func(s *policy.Statement, t []policy.Text) { s.Resources = t })
	out.exact = allOf(out.hit, func(t policy.Text) bool { return t.Value == exact[0].Value })
	return out
}

// divide tells the values of an element that cover the request, or may, from the
// others. set puts values into a statement that covers the request otherwise.
func (w *world) divide(values []policy.Text, at place, p *authz.Policy, set func(*policy.Statement, []policy.Text)) part {
	var out part
	covering := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")}
	if granting(p.Source().Layer) {
		c, _ := w.exactly()
		covering.Principal = c.principal
	}
	for _, v := range values {
		one := covering
		set(&one, []policy.Text{v})
		if w.matches(one, at, p.Source(), p.Document().Version) == authz.No {
			out.rest = append(out.rest, v)
		} else {
			out.hit = append(out.hit, v)
		}
	}
	return out
}

// withoutCaller is a statement of a resource's policy for everybody it covers
// but the caller; ok is false where the caller cannot be taken out.
func (w *world) withoutCaller(st policy.Statement, p *authz.Policy, at place) (out policy.Statement, ok bool) {
	gone := func(st policy.Statement) bool { return w.matches(st, at, p.Source(), p.Document().Version) == authz.No }
	if st.Principal != nil && !st.Principal.Everyone {
		narrow := st
		narrow.Principal = &policy.Principals{Entries: slices.DeleteFunc(slices.Clone(st.Principal.Entries), w.namesCaller)}
		if gone(narrow) {
			return narrow, true
		}
	}
	c, _ := w.exactly()
	if c.besides == nil {
		return st, false
	}
	st.Conditions = and(st.Conditions, c.besides[0])
	return st, gone(st)
}

// and adds a negated condition to others: under one operator and key, all values
// are excluded.
func and(conditions []policy.Condition, c policy.Condition) []policy.Condition {
	out := slices.Clone(conditions)
	for i := range out {
		if strings.EqualFold(out[i].Operator, c.Operator) && strings.EqualFold(out[i].Key, c.Key) {
			out[i].Values = append(slices.Clip(out[i].Values), c.Values...)
			return out
		}
	}
	return append(out, c)
}

// namesCaller reports whether an entry stands for the caller and nobody else.
func (w *world) namesCaller(e policy.PrincipalEntry) bool {
	p, v := &w.req.Principal, e.Value.Value
	switch {
	case e.Type == "Service":
		return p.Kind == authz.Service && v == p.ServiceName
	case e.Type != "AWS" || p.Kind == authz.Root:
		return false // the root's ARN stands for its whole account
	}
	id, _, _ := strings.Cut(p.ID, ":")
	return v == p.ARN.String() || id != "" && v == id || p.Kind == authz.RoleSession && v == roleOf(p).String()
}

func (w *world) namesCallerAlone(p *policy.Principals) bool {
	return p != nil && !p.Everyone && len(p.Entries) > 0 && allOf(p.Entries, w.namesCaller)
}

func allOf[T any](list []T, is func(T) bool) bool {
	return !slices.ContainsFunc(list, func(v T) bool { return !is(v) })
}
