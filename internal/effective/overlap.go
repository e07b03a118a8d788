package effective

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/policy"
)

// A declared action may be a pattern. It stands for the actions that the catalog
// knows; of a service that it does not know, and of a pattern over all
// services, it is decided by a made-up action of which no policy knows, and by
// one for each pattern of a policy that covers a part.

// exampleAction is an action that a pattern describes, and that is covered by
// no narrower pattern.
func exampleAction(pattern string) string {
	return strings.NewReplacer("*", "Stile", "?", "X").Replace(pattern)
}

// whole is the decision about all of a declared pattern of actions, given that
// about its example.
func (v *View) whole(q Question, declared string, l Leg) Leg {
	if !strings.ContainsAny(declared, "*?") || l.Decision.Outcome == authz.ExplicitDeny {
		return l
	}
	if actions := applying(declared, q.Resource); actions != nil {
		return v.everyAction(q, actions, l)
	}
	return v.byParts(q, declared, l)
}

// applying lists the actions of a pattern over one service that can be asked
// for on a resource, nil when the catalog knows none.
func applying(declared, resource string) []string {
	if strings.ContainsAny(catalog.ServiceOf(declared), "*?") || catalog.ServiceOf(declared) == "" {
		return nil
	}
	var out []string
	for _, a := range catalog.ExpandAction(declared) {
		if resource == catalog.Everything || !a.WildcardOnly() {
			out = append(out, a.Name)
		}
	}
	return out
}

// everyAction is the leg for the first of actions that is refused, or else for
// the first that is not known.
func (v *View) everyAction(q Question, actions []string, l Leg) Leg {
	caller, guard := v.Caller(q.Principal), v.Guard(q)
	ask := func(action string) Leg {
		q.Action = action
		l.Question, l.Decision = q, v.Explain(q, caller, guard)
		return l
	}
	var open *Leg
	for _, action := range actions {
		q.Action = action
		if v.Decide(q, caller, guard) == authz.Allowed {
			continue
		}
		switch one := ask(action); {
		case one.Allowed(): // under declared conditions
		case one.Decision.Outcome != authz.Unknown:
			return one
		case open == nil:
			open = &one
		}
	}
	if open != nil {
		return *open
	}
	return ask(actions[0])
}

// byParts is the decision by what policies say of parts of a pattern. Where a
// statement makes a difference within it the answer is unknown: its part may
// hold any number of real actions.
func (v *View) byParts(q Question, declared string, l Leg) Leg {
	asked := map[string]bool{}
	pols := join(&q, v.Caller(q.Principal), v.Guard(q))
	for p := range each(&pols) {
		doc, src := p.Document(), p.Source()
		for i := range doc.Statements {
			st := &doc.Statements[i]
			if src.Layer == authz.LayerIdentity && st.Effect == policy.Allow {
				continue // what is not allowed there at all is denied
			}
			for _, t := range slices.Concat(st.Actions, st.NotActions) {
				part, ok := overlap(strings.ToLower(declared), strings.ToLower(t.Value))
				if !ok || asked[part] || compile.WithinFold(declared, t.Value) {
					continue
				}
				asked[part] = true
				other := l
				q.Action = part
				if other.Decision = v.Ask(q); other.Allowed() != l.Allowed() {
					return undecided(l, other, fmt.Sprintf("which actions of %s are %s in %s of %s", declared, t.Value, statementName(i, st), src))
				}
			}
		}
	}
	return l
}

// undecided is the leg that is refused of two, as unknown for want of what.
func undecided(a, b Leg, what string) Leg {
	if a.Allowed() {
		a = b
	}
	a.Decision.Outcome, a.Decision.Missing = authz.Unknown, []string{what}
	return a
}

func statementName(i int, st *policy.Statement) string {
	if st.Sid != "" {
		return fmt.Sprintf("statement %d (%s)", i+1, st.Sid)
	}
	return fmt.Sprintf("statement %d", i+1)
}

// overlap gives a text that two patterns describe, false when there is none.
func overlap(a, b string) (string, bool) {
	o := overlapping{a: a, b: b, dead: map[[2]int]bool{}}
	return o.from(0, 0)
}

type overlapping struct {
	a, b string
	dead map[[2]int]bool // places from which there is no way to the end
}

// from gives a text for what is left of both patterns.
func (o *overlapping) from(i, j int) (string, bool) {
	if i == len(o.a) && j == len(o.b) {
		return "", true
	}
	if o.dead[[2]int{i, j}] {
		return "", false
	}
	for _, step := range o.steps(i, j) {
		if rest, ok := o.from(i+step.i, j+step.j); ok {
			return step.text + rest, true
		}
	}
	o.dead[[2]int{i, j}] = true
	return "", false
}

// step takes so much of each pattern, for that text.
type step struct {
	i, j int
	text string
}

func (o *overlapping) steps(i, j int) []step {
	var out []step
	if i < len(o.a) && o.a[i] == '*' {
		out = append(out, step{i: 1})
	}
	if j < len(o.b) && o.b[j] == '*' {
		out = append(out, step{j: 1})
	}
	if i == len(o.a) || j == len(o.b) {
		return out
	}
	x, y := o.a[i], o.b[j]
	switch {
	case x == '*' && y != '*':
		out = append(out, step{j: 1, text: plain(y)})
	case y == '*' && x != '*':
		out = append(out, step{i: 1, text: plain(x)})
	case x == '?':
		out = append(out, step{i: 1, j: 1, text: plain(y)})
	case x == y || y == '?':
		out = append(out, step{i: 1, j: 1, text: plain(x)})
	}
	return out
}

// plain is a character that c of a pattern describes.
func plain(c byte) string {
	if c == '?' {
		return "x"
	}
	return string(rune(c))
}
