package condition

import (
	"strings"

	"github.com/stile-aws/stile/authz/internal/formula"
	"github.com/stile-aws/stile/authz/internal/rule"
)

// SetResource takes the resource of the request apart.
func (e *Comparer) SetResource(resource string) {
	rest := resource
	e.resource = resource
	for i := range e.Segments {
		segment, after, ok := strings.Cut(rest, ":")
		if !ok {
			return
		}
		e.Segments[i], rest = segment, after
	}
	e.Rest = rest
	e.IsARN = e.Segments[0] == "arn"
}

// Literal is the text that every ARN begins with that r matches; whole is set
// when r matches that text and no other.
func (r *Resource) Literal() (text string, whole bool) {
	if r.everything {
		return "", false
	}
	var b strings.Builder
	b.WriteString(r.head)
	if r.wild != nil {
		for i := range r.wild {
			if r.wild[i].literal(&b); !r.wild[i].isLiteral() {
				return b.String(), false
			}
			b.WriteByte(':')
		}
	}
	r.Rest.literal(&b)
	return b.String(), r.Rest.isLiteral()
}

// Resource compares one ARN of a statement with the request's. "You can use
// wildcard characters (* and ?) within any ARN segment (the parts separated by
// colons)"; what comes after the fifth colon is one segment.
func (e *Comparer) Resource(p *Resource) Term {
	switch {
	case p.everything:
		return yes
	case p.malformed:
		return no
	case e.Off.Has(rule.ResourceStar) && e.resource == "*":
		return yes
	case !e.IsARN:
		return no // actions without resource-level permissions need "*"
	}
	m := e.segmentsMatch(p)
	if m == no && p.beyond != nil {
		// "If the * wildcard is the last character of a resource ARN segment, it
		// can expand to match beyond the colon boundaries", says the IAM User
		// Guide; that it cannot, say the guides of services. So it is open.
		return formula.And(e.pattern(p.beyond, e.resource), perhaps)
	}
	return m
}

// RunsOn reports whether p fits only if a wildcard runs past a colon.
func (e *Comparer) RunsOn(p *Resource) bool {
	return p.beyond != nil && e.segmentsMatch(p) == no && e.Resource(p) == perhaps
}

// segmentsMatch compares an ARN of a statement with the request's segment by segment.
func (e *Comparer) segmentsMatch(p *Resource) Term {
	if !e.headMatches(p) && !e.Off.Has(rule.ResourceSegments) {
		return no
	}
	if p.Incomplete {
		return perhaps
	}
	if e.Off.Has(rule.ResourceCase) {
		return e.pattern(&p.Rest, strings.ToLower(e.Rest))
	}
	return e.pattern(&p.Rest, e.Rest)
}

// headMatches compares the segments before the last.
func (e *Comparer) headMatches(p *Resource) bool {
	if p.wild == nil {
		return e.resource[:len(e.resource)-len(e.Rest)] == p.head
	}
	for i := range p.wild {
		if !p.wild[i].Matches(e.Segments[i]) {
			return false
		}
	}
	return true
}

// ContextPrefix begins the names of the condition keys that hold a request's
// encryption context, one for each pair.
const ContextPrefix = "kms:encryptioncontext:"

// Constraint compares a grant's constraint with the request's encryption
// context, of which it must have all pairs, or a subset. "In a grant
// constraint, the key in each key-value pair is not case sensitive, but the
// value is case sensitive."
func (e *Comparer) Constraint(pairs map[string]string, equals bool) Term {
	if pairs == nil || e.Off.Has(rule.GrantContext) {
		return yes
	}
	all, matched := yes, 0
	for i := range e.Context.Entries {
		entry := &e.Context.Entries[i]
		if !strings.HasPrefix(entry.Key, ContextPrefix) {
			continue
		}
		wanted, ok := e.constrained(pairs, entry.Written[len(ContextPrefix):])
		switch {
		case entry.Unknown && (ok || equals):
			all = perhaps
		case !ok && !equals:
			continue
		case !ok || len(entry.Values) != 1 || entry.Values[0] != wanted:
			return no
		}
		if ok {
			matched++
		}
	}
	if matched == len(pairs) {
		return all
	}
	return no
}

// constrained finds the value that a constraint wants under a key.
func (e *Comparer) constrained(pairs map[string]string, key string) (value string, ok bool) {
	value, ok = pairs[key]
	if ok || e.Off.Has(rule.GrantContextCase) {
		return value, ok
	}
	for k, v := range pairs {
		if strings.EqualFold(k, key) {
			return v, true
		}
	}
	return "", false
}
