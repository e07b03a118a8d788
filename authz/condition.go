package authz

import (
	"cmp"
	"strings"

	"github.com/stile-aws/stile/authz/internal/glob"
	"github.com/stile-aws/stile/authz/internal/operator"
	"github.com/stile-aws/stile/internal/scalar"
)

// conditionsMatch reports whether all conditions of s hold. With a recorder
// every one is compared, without one the first that fails ends it.
func (e *evaluation) conditionsMatch(s *statement) term {
	all := yes
	for i := range s.conditions {
		c := &s.conditions[i]
		got := e.lookup(&c.key)
		m := e.condition(c, &got)
		if e.rec != nil {
			e.rec.condition(e, c, &got, m)
		} else if m == No && !e.off.has(ruleConditionsAnd) {
			return no
		}
		t := e.conditionTerm(c, &got, m)
		if e.off.has(ruleConditionsAnd) && i > 0 {
			all = e.or(all, t)
		} else {
			all = e.and(all, t)
		}
	}
	return all
}

// condition compares what the request has with what the policy wants.
func (e *evaluation) condition(c *condition, got *found) Match {
	if e.unclear(c) {
		return Maybe
	}
	if c.Kind == operator.Null {
		return e.isNull(c, got)
	}
	if got.presence == unknown {
		return Maybe
	}
	if got.len() == 0 {
		return e.missing(c)
	}
	switch c.Set {
	case operator.ForAllValues:
		if got.null() && !e.off.has(ruleForAllValuesEmpty) {
			return Yes // "true … if the key values in the request resolve to an empty data set (for example, an empty string)"
		}
		return e.forAll(c, got)
	case operator.ForAnyValue:
		if got.null() && !e.off.has(ruleForAnyValueEmpty) {
			return No
		}
		return e.forAny(c, got)
	}
	if (got.len() > 1 || e.facts.Multivalued[c.key.name]) && !e.off.has(ruleMultivalued) {
		return Maybe // AWS documents set operators as required here, and nothing else
	}
	return e.compare(c, got.at(0))
}

// unclear reports whether AWS does not say what c means, whatever the request
// has: its operator is spelt in another case, or it has an empty list of
// values, which IAM accepts.
func (e *evaluation) unclear(c *condition) bool {
	return c.Misspelt && !e.off.has(ruleOperatorCase) || c.count() == 0 && !e.off.has(ruleValuesEmpty)
}

// isNull is the Null operator: "true (the key doesn't exist — it is null) or
// false (the key exists and its value is not null)".
func (e *evaluation) isNull(c *condition, got *found) Match {
	if got.presence == unknown {
		return Maybe
	}
	null := got.presence == absent
	if got.null() && !e.off.has(ruleNullEmpty) {
		null = true
	}
	if e.off.has(ruleNull) {
		null = false
	}
	for _, wanted := range c.bools {
		if wanted == null {
			return Yes
		}
	}
	return No
}

// missing is the result for a key that the request does not have.
func (e *evaluation) missing(c *condition) Match {
	switch {
	case c.IfExists && !e.off.has(ruleIfExists):
		return Yes
	case c.Set == operator.ForAllValues && !e.off.has(ruleForAllValuesEmpty):
		return Yes
	case c.Set == operator.ForAnyValue && !e.off.has(ruleForAnyValueEmpty):
		return No
	case c.Negated:
		return truth(!e.off.has(ruleMissingKeyNegated))
	}
	return truth(e.off.has(ruleMissingKey))
}

func (e *evaluation) forAll(c *condition, got *found) Match {
	if e.off.has(ruleForAllValues) {
		return e.forAny(c, got)
	}
	all := Yes
	for i := range got.len() {
		all = and(all, e.compare(c, got.at(i)))
	}
	return all
}

func (e *evaluation) forAny(c *condition, got *found) Match {
	anyOne := No
	for i := range got.len() {
		anyOne = or(anyOne, e.compare(c, got.at(i)))
		if e.off.has(ruleForAnyValue) {
			break
		}
	}
	return anyOne
}

// compare compares one value of the request with all of the policy's: one
// match is enough, and for a negated operator one match is too much.
func (e *evaluation) compare(c *condition, s string) Match {
	m := No
	for i := range c.count() {
		m = or(m, e.compareOne(c, i, s))
		if e.off.has(ruleValuesOr) && !c.Negated {
			break
		}
		if e.off.has(ruleNegatedNor) && c.Negated {
			break
		}
	}
	if c.Negated {
		return not(m)
	}
	return m
}

// count is the number of values the policy has under c.
func (c *condition) count() int {
	switch c.Kind {
	case operator.Numeric:
		return len(c.decimals)
	case operator.Date:
		return len(c.dates)
	case operator.IP:
		return len(c.networks)
	case operator.Null:
		return len(c.bools)
	case operator.StringEquals, operator.StringIgnoreCase, operator.StringLike, operator.ARN, operator.Bool, operator.Binary:
		return len(c.patterns)
	}
	return 0
}

// compareOne compares one value of the request with the i-th of the policy.
// A value that is not what the operator compares leaves the answer open: AWS
// does not say what happens then.
func (e *evaluation) compareOne(c *condition, i int, s string) Match {
	switch c.Kind {
	case operator.StringEquals, operator.StringLike:
		if c.Kind == operator.StringEquals && e.off.has(ruleStringEquals) {
			return e.ignoreCase(&c.patterns[i], s)
		}
		return e.pattern(&c.patterns[i], s)
	case operator.StringIgnoreCase:
		if e.off.has(ruleStringIgnoreCase) {
			return e.pattern(&c.patterns[i], s)
		}
		return e.ignoreCase(&c.patterns[i], s)
	case operator.Bool:
		if e.off.has(ruleBool) {
			return e.pattern(&c.patterns[i], s)
		}
		return e.ignoreCase(&c.patterns[i], s)
	case operator.ARN:
		if e.off.has(ruleARNSegments) {
			return e.pattern(&c.patterns[i], s)
		}
		return e.arnPattern(&c.patterns[i], s)
	case operator.Binary:
		return truth(c.patterns[i].text == strings.TrimRight(s, "="))
	case operator.Numeric:
		return e.numeric(c, i, s)
	case operator.Date:
		return e.date(c, i, s)
	case operator.IP:
		return e.ip(c, i, s)
	case operator.Null:
	}
	return No
}

func (e *evaluation) numeric(c *condition, i int, s string) Match {
	if e.off.has(ruleNumeric) {
		return truth(c.written.Values[i].Value == s)
	}
	if e.off.has(ruleVariableOperators) {
		return e.pattern(&c.patterns[i], s)
	}
	v, ok := scalar.ParseDecimal(s)
	if !ok || !c.decimals[i].ok {
		return Maybe
	}
	return truth(c.Relation.Holds(v.Compare(c.decimals[i].value)))
}

func (e *evaluation) date(c *condition, i int, s string) Match {
	if e.off.has(ruleDate) {
		return truth(c.Relation.Holds(cmp.Compare(s, c.written.Values[i].Value)))
	}
	if e.off.has(ruleDateEpoch) {
		if _, epoch := scalar.ParseEpoch(s); epoch {
			return No
		}
	}
	v, ok := scalar.ParseDate(s)
	if !ok || !c.dates[i].ok {
		return Maybe
	}
	return truth(c.Relation.Holds(v.Compare(c.dates[i].value)))
}

func (e *evaluation) ip(c *condition, i int, s string) Match {
	n := c.networks[i]
	switch {
	case e.off.has(ruleIP), e.off.has(ruleIPNoPrefix) && n.value.Bare:
		return truth(c.written.Values[i].Value == s && c.Kind != operator.IP)
	case e.off.has(ruleIPv6) && strings.Contains(s, ":"):
		return truth(strings.HasPrefix(s, strings.TrimSuffix(c.written.Values[i].Value, "/128")))
	}
	a, ok := scalar.ParseAddr(s)
	if !ok || !n.ok {
		return Maybe
	}
	in, open := n.value.Contains(a)
	if open {
		return Maybe
	}
	return truth(in)
}

// ignoreCase compares without regard to case and without wildcards.
func (e *evaluation) ignoreCase(p *pattern, s string) Match {
	if p.parts == nil {
		return truth(strings.EqualFold(p.text, s))
	}
	x := e.expand(p)
	switch {
	case x.missing:
		return No
	case x.open:
		return Maybe
	}
	return truth(strings.EqualFold(view(x.text), s))
}

// pattern compares s with a pattern that may have variables.
func (e *evaluation) pattern(p *pattern, s string) Match {
	if p.parts == nil {
		return truth(p.matches(s))
	}
	return e.expanded(p, s, false)
}

// arnPattern compares ARNs: "Each of the six colon-delimited components of
// the ARN is checked separately".
func (e *evaluation) arnPattern(p *pattern, s string) Match {
	if p.parts == nil {
		return e.globARN(p.text, s)
	}
	return e.expanded(p, s, true)
}

// expanded compares s with p after its variables have been replaced.
func (e *evaluation) expanded(p *pattern, s string, isARN bool) Match {
	x := e.expand(p)
	switch {
	case x.missing:
		return No
	case x.open:
		// Whatever the unknown value is, it must fit where the variable stands.
		if glob.Match(view(x.text), s) {
			return Maybe
		}
		return No
	}
	m := e.globAs(isARN, view(x.text), s)
	if x.wild && !e.off.has(ruleVariableWildcard) {
		// AWS does not say whether a wildcard in a variable's value is one.
		x = e.expandWith(p, true)
		if e.globAs(isARN, view(x.text), s) != m {
			return Maybe
		}
	}
	return m
}

// globAs is globARN or glob. (A function value here would make the buffers of
// every evaluation escape to the heap.)
func (e *evaluation) globAs(isARN bool, text, s string) Match {
	if isARN {
		return e.globARN(text, s)
	}
	return truth(glob.Match(text, s))
}

// globARN compares component by component; only the last may contain colons.
// Whether a pattern of fewer components ("*") can match an ARN AWS does not say.
func (e *evaluation) globARN(text, s string) Match {
	for range 5 {
		t, textRest, ok1 := strings.Cut(text, ":")
		v, sRest, ok2 := strings.Cut(s, ":")
		switch {
		case !ok1 && ok2 && !e.off.has(ruleARNIncomplete):
			return truthOr(glob.Match(text, s))
		case !ok1 || !ok2 || !glob.Match(t, v):
			return No
		}
		text, s = textRest, sRest
	}
	return truth(glob.Match(text, s))
}

// expansion is a pattern with its variables replaced.
type expansion struct {
	text    []byte
	missing bool // a variable has no value and no default: "will not match"
	open    bool // a variable's value is not known; any run stands in its place
	wild    bool // a value has * or ?
}

// expand replaces the variables of p by the values the request has, in the
// evaluation's scratch buffer.
func (e *evaluation) expand(p *pattern) expansion { return e.expandWith(p, false) }

func (e *evaluation) expandWith(p *pattern, wildValues bool) expansion {
	x := expansion{text: e.scratch[:0]}
	for i := range p.parts {
		part := &p.parts[i]
		if part.variable == nil {
			x.text = append(x.text, part.text...)
			continue
		}
		v := part.variable
		got := e.lookup(&v.key)
		switch {
		case got.presence == unknown,
			got.len() > 0 && !e.off.has(ruleVariableMultivalued) && (got.len() > 1 || e.facts.Multivalued[v.key.name]):
			// Policy variables are for single-valued keys; for others AWS does not say.
			x.open = true
			x.text = append(x.text, glob.AnyRun)
		case got.len() > 0:
			x.wild = x.wild || hasWildcard(got.at(0))
			x.text = appendValue(x.text, got.at(0), wildValues)
		case v.hasDefault && !e.off.has(ruleVariableDefault):
			x.wild = x.wild || hasWildcard(v.fallback)
			x.text = appendValue(x.text, v.fallback, wildValues)
		case e.off.has(ruleVariableMissing):
		default:
			x.missing = true
			return x
		}
	}
	return x
}

func appendValue(b []byte, s string, wildcards bool) []byte {
	for i := range len(s) {
		b = append(b, glob.Encode(s[i], wildcards))
	}
	return b
}

func hasWildcard(s string) bool { return strings.ContainsAny(s, "*?") }
