// Package condition compares the conditions and Resource elements of policies
// with a request, in three values: what turns on a key that is not known, or
// on a point that AWS's documents leave open, is Maybe.
//
// Start with [Comparer], which holds what a request has, and [Compiler], which
// prepares what a policy wants. [Comparer.Compare] compares one condition,
// [Comparer.Resource] one ARN, [Comparer.Constraint] the encryption context of
// a KMS grant. Nothing is allocated. Whom a statement names, and what follows
// from several, is for package authz.
package condition

import (
	"bytes"
	"cmp"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz/internal/formula"
	"github.com/stile-aws/stile/authz/internal/operator"
	"github.com/stile-aws/stile/authz/internal/rule"
	"github.com/stile-aws/stile/internal/glob"
	"github.com/stile-aws/stile/internal/scalar"
)

// Term is a truth: No, Yes or Maybe of package formula.
type Term = formula.Term

const (
	no      = formula.No
	yes     = formula.Yes
	perhaps = formula.Maybe
)

// A Comparer has what a request has to be compared with. It is for one request
// and one goroutine.
type Comparer struct {
	Off         rule.Set
	Multivalued map[string]bool // keys, in lower case, that hold several values
	Context     *Context
	Caller      Caller
	Owner       arn.AccountID // of the resource
	Bare        bool          // Context has every key, and nothing is derived

	// Of the resource, after SetResource.
	IsARN    bool // it has six components
	Segments [5]string
	Rest     string
	resource string

	principalARN [256]byte
	scratch      [512]byte
}

// Compare compares what the request has with what the policy wants.
func (e *Comparer) Compare(c *Condition, got *Found) Term {
	if e.Unclear(c) {
		return perhaps
	}
	if c.Kind == operator.Null {
		return e.isNull(c, got)
	}
	if got.Presence == Unknown {
		return e.open(c)
	}
	if got.Len() == 0 {
		return e.missing(c)
	}
	switch c.Set {
	case operator.ForAllValues:
		if got.null() && !e.Off.Has(rule.ForAllValuesEmpty) {
			return yes // "true … if the key values in the request resolve to an empty data set (for example, an empty string)"
		}
		return e.forAll(c, got)
	case operator.ForAnyValue:
		if got.null() && !e.Off.Has(rule.ForAnyValueEmpty) {
			return no
		}
		return e.forAny(c, got)
	}
	if (got.Len() > 1 || e.Multivalued[c.Key.Name]) && !e.Off.Has(rule.Multivalued) {
		return perhaps // AWS documents set operators as required here, and nothing else
	}
	return e.compare(c, got.At(0))
}

// open is the result for a key of which nothing is known. Where every value of
// the policy has a variable without a value, none of the request's can match:
// who has no team is in no resource's.
func (e *Comparer) open(c *Condition) Term {
	switch {
	case len(c.Patterns) == 0, c.Set == operator.NoSet && e.Multivalued[c.Key.Name],
		c.Set == operator.ForAllValues && !c.Negated, c.Set == operator.ForAnyValue && c.Negated, c.IfExists && !c.Negated:
		return perhaps // it matters whether the key is there
	}
	for i := range c.Patterns {
		p := &c.Patterns[i]
		if p.parts == nil {
			return perhaps
		}
		if x := e.Expand(p); !x.Missing {
			return perhaps
		}
	}
	return formula.Of(c.Negated)
}

// Unclear reports whether AWS does not say what c means, whatever the request
// has: its operator is spelt in another case, or it has an empty list of
// values, which IAM accepts.
func (e *Comparer) Unclear(c *Condition) bool {
	return c.Misspelt && !e.Off.Has(rule.OperatorCase) || c.Count() == 0 && !e.Off.Has(rule.ValuesEmpty)
}

// isNull is the Null operator: "true (the key doesn't exist — it is null) or
// false (the key exists and its value is not null)".
func (e *Comparer) isNull(c *Condition, got *Found) Term {
	if got.Presence == Unknown {
		return perhaps
	}
	null := got.Presence == Absent
	if got.null() && !e.Off.Has(rule.NullEmpty) {
		null = true
	}
	if e.Off.Has(rule.Null) {
		null = false
	}
	for _, wanted := range c.bools {
		if wanted == null {
			return yes
		}
	}
	return no
}

// missing is the result for a key that the request does not have.
func (e *Comparer) missing(c *Condition) Term {
	switch {
	case c.IfExists && !e.Off.Has(rule.IfExists):
		return yes
	case c.Set == operator.ForAllValues && !e.Off.Has(rule.ForAllValuesEmpty):
		return yes
	case c.Set == operator.ForAnyValue && !e.Off.Has(rule.ForAnyValueEmpty):
		return no
	case c.Negated:
		return formula.Of(!e.Off.Has(rule.MissingKeyNegated))
	}
	return formula.Of(e.Off.Has(rule.MissingKey))
}

func (e *Comparer) forAll(c *Condition, got *Found) Term {
	if e.Off.Has(rule.ForAllValues) {
		return e.forAny(c, got)
	}
	all := yes
	for i := range got.Len() {
		all = formula.And(all, e.compare(c, got.At(i)))
	}
	return all
}

func (e *Comparer) forAny(c *Condition, got *Found) Term {
	anyOne := no
	for i := range got.Len() {
		anyOne = formula.Or(anyOne, e.compare(c, got.At(i)))
		if e.Off.Has(rule.ForAnyValue) {
			break
		}
	}
	return anyOne
}

// compare compares one value of the request with all of the policy's: one
// match is enough, and for a negated operator one match is too much.
func (e *Comparer) compare(c *Condition, s string) Term {
	m := no
	v := read(c.Kind, s)
	switch {
	case c.texts != nil && e.Off.Empty():
		m = formula.Of(c.texts[s])
		for _, i := range c.others {
			m = formula.Or(m, e.compareOne(c, i, &v))
		}
	default:
		for i := range c.Count() {
			m = formula.Or(m, e.compareOne(c, i, &v))
			if e.Off.Has(rule.ValuesOr) && !c.Negated {
				break
			}
			if e.Off.Has(rule.NegatedNor) && c.Negated {
				break
			}
		}
	}
	if c.Negated {
		return formula.Not(m)
	}
	return m
}

// Count is the number of values the policy has under c.
func (c *Condition) Count() int {
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
		return len(c.Patterns)
	}
	return 0
}

// A reading is one value of a request, and what an operator compares of it.
type reading struct {
	text    string
	ok      bool // text is what the operator compares
	decimal scalar.Decimal
	date    time.Time
	addr    netip.Addr
}

// read reads s once for all values of the policy.
func read(kind operator.Kind, s string) reading {
	v := reading{text: s}
	switch kind {
	case operator.Numeric:
		v.decimal, v.ok = scalar.ParseDecimal(s)
	case operator.Date:
		v.date, v.ok = scalar.ParseDate(s)
	case operator.IP:
		v.addr, v.ok = scalar.ParseAddr(s)
	case operator.StringEquals, operator.StringIgnoreCase, operator.StringLike, operator.ARN, operator.Bool, operator.Binary, operator.Null:
	}
	return v
}

// compareOne compares one value of the request with the i-th of the policy.
// A value that is not what the operator compares leaves the answer open: AWS
// does not say what happens then.
func (e *Comparer) compareOne(c *Condition, i int, v *reading) Term {
	switch s := v.text; c.Kind {
	case operator.StringEquals:
		if e.Off.Has(rule.StringEquals) {
			return e.ignoreCase(&c.Patterns[i], s)
		}
		return e.exact(&c.Patterns[i], s)
	case operator.StringLike:
		return e.pattern(&c.Patterns[i], s)
	case operator.StringIgnoreCase:
		if e.Off.Has(rule.StringIgnoreCase) {
			return e.pattern(&c.Patterns[i], s)
		}
		return e.ignoreCase(&c.Patterns[i], s)
	case operator.Bool:
		if e.Off.Has(rule.Bool) {
			return e.pattern(&c.Patterns[i], s)
		}
		return e.ignoreCase(&c.Patterns[i], s)
	case operator.ARN:
		if e.Off.Has(rule.ARNSegments) {
			return e.pattern(&c.Patterns[i], s)
		}
		return e.arnPattern(&c.Patterns[i], s)
	case operator.Binary:
		return formula.Of(c.Patterns[i].text == strings.TrimRight(s, "="))
	case operator.Numeric:
		return e.numeric(c, i, v)
	case operator.Date:
		return e.date(c, i, v)
	case operator.IP:
		return e.ip(c, i, v)
	case operator.Null:
	}
	return no
}

func (e *Comparer) numeric(c *Condition, i int, v *reading) Term {
	if e.Off.Has(rule.Numeric) {
		return formula.Of(c.Written.Values[i].Value == v.text)
	}
	if e.Off.Has(rule.VariableOperators) {
		return e.pattern(&c.Patterns[i], v.text)
	}
	if !v.ok || !c.decimals[i].ok {
		return perhaps
	}
	return formula.Of(c.Relation.Holds(v.decimal.Compare(c.decimals[i].value)))
}

func (e *Comparer) date(c *Condition, i int, v *reading) Term {
	if e.Off.Has(rule.Date) {
		return formula.Of(c.Relation.Holds(cmp.Compare(v.text, c.Written.Values[i].Value)))
	}
	if e.Off.Has(rule.DateEpoch) {
		if _, epoch := scalar.ParseEpoch(v.text); epoch {
			return no
		}
	}
	if !v.ok || !c.dates[i].ok {
		return perhaps
	}
	return formula.Of(c.Relation.Holds(v.date.Compare(c.dates[i].value)))
}

func (e *Comparer) ip(c *Condition, i int, v *reading) Term {
	n := c.networks[i]
	switch s := v.text; {
	case e.Off.Has(rule.IP), e.Off.Has(rule.IPNoPrefix) && n.value.Bare:
		return formula.Of(c.Written.Values[i].Value == s && c.Kind != operator.IP)
	case e.Off.Has(rule.IPv6) && strings.Contains(s, ":"):
		return formula.Of(strings.HasPrefix(s, strings.TrimSuffix(c.Written.Values[i].Value, "/128")))
	}
	if !v.ok || !n.ok {
		return perhaps
	}
	in, open := n.value.Contains(v.addr)
	if open {
		return perhaps
	}
	return formula.Of(in)
}

// exact compares to the letter: an asterisk in the value of a variable is one.
func (e *Comparer) exact(p *Pattern, s string) Term {
	if p.parts == nil {
		return formula.Of(p.Matches(s))
	}
	x := e.expandFor(p, s, false)
	if x.Missing || x.Open || x.Long {
		return x.fits(s)
	}
	return formula.Of(View(x.Text) == s)
}

// ignoreCase compares without regard to case and without wildcards.
func (e *Comparer) ignoreCase(p *Pattern, s string) Term {
	if p.parts == nil {
		return formula.Of(strings.EqualFold(p.text, s))
	}
	x := e.expandFor(p, s, false)
	switch {
	case x.Missing || x.Long:
		return no
	case x.Open:
		return perhaps
	}
	return formula.Of(strings.EqualFold(View(x.Text), s))
}

// pattern compares s with a pattern that may have variables.
func (e *Comparer) pattern(p *Pattern, s string) Term {
	if p.parts == nil {
		return formula.Of(p.Matches(s))
	}
	return e.expanded(p, s, false)
}

// arnPattern compares ARNs: "Each of the six colon-delimited components of
// the ARN is checked separately".
func (e *Comparer) arnPattern(p *Pattern, s string) Term {
	if p.parts == nil {
		return e.globARN(p.text, s)
	}
	return e.expanded(p, s, true)
}

// expanded compares s with p after its variables have been replaced.
func (e *Comparer) expanded(p *Pattern, s string, isARN bool) Term {
	x := e.expandFor(p, s, false)
	m := no
	switch {
	case x.Missing || x.Open:
		return x.fits(s)
	case !x.Long:
		m = e.globAs(isARN, View(x.Text), s)
	}
	if (x.Wild || x.Long) && !e.Off.Has(rule.VariableWildcard) {
		// AWS does not say whether a wildcard in a variable's value is one.
		x = e.expandFor(p, s, true)
		if x.Missing || x.Open || x.Long {
			return x.fits(s)
		}
		if e.globAs(isARN, View(x.Text), s) != m {
			return perhaps
		}
	}
	return m
}

// fits is the result for a variable that has no value, or none that is known:
// whatever that is, s must fit where the variable stands.
func (x *Expansion) fits(s string) Term {
	if x.Missing || x.Long || !glob.Match(View(x.Text), s) {
		return no
	}
	return perhaps
}

// globAs is globARN or glob. (A function value here would make the buffers of
// every evaluation escape to the heap.)
func (e *Comparer) globAs(isARN bool, text, s string) Term {
	if isARN {
		return e.globARN(text, s)
	}
	return formula.Of(glob.Match(text, s))
}

// globARN compares component by component; only the last may contain colons.
// Whether a pattern of fewer components ("*") can match an ARN AWS does not say.
func (e *Comparer) globARN(text, s string) Term {
	for range 5 {
		t, textRest, ok1 := strings.Cut(text, ":")
		v, sRest, ok2 := strings.Cut(s, ":")
		switch {
		case !ok1 && ok2 && !e.Off.Has(rule.ARNIncomplete):
			return formula.And(perhaps, formula.Of(glob.Match(text, s)))
		case !ok1 || !ok2 || !glob.Match(t, v):
			return no
		}
		text, s = textRest, sRest
	}
	return formula.Of(glob.Match(text, s))
}

// Expansion is a pattern with its variables replaced.
type Expansion struct {
	Text    []byte
	Missing bool // a variable has no value and no default: "will not match"
	Open    bool // a variable's value is not known; any run stands in its place
	Wild    bool // a value has * or ?
	Long    bool // it is longer than wanted, and Text is only how it begins
}

// maxShown bounds what Expand gives: a document can name a long value as often
// as it has room for. The longest policy that any service takes has 32 KiB.
const maxShown = 64 << 10

// Expand replaces the variables of p by the values the request has, in the
// evaluation's scratch buffer.
func (e *Comparer) Expand(p *Pattern) Expansion { return e.expandWith(p, false, maxShown) }

// expandFor is Expand for what is compared with s: it ends where p can't match
// s any more because each character of its text must be one of s, which in
// another letter case may be shorter by a few bytes.
func (e *Comparer) expandFor(p *Pattern, s string, wildValues bool) Expansion {
	return e.expandWith(p, wildValues, utf8.UTFMax*len(s))
}

func (e *Comparer) expandWith(p *Pattern, wildValues bool, limit int) Expansion {
	x := Expansion{Text: e.scratch[:0]}
	runs := 0 // of Text, the bytes that may stand for nothing
	for i := range p.parts {
		part := &p.parts[i]
		if part.variable == nil {
			x.Text = append(x.Text, part.text...)
			runs += strings.Count(part.text, "\xFF")
		} else {
			before := len(x.Text)
			x = e.substitute(x, part.variable, wildValues)
			runs += bytes.Count(x.Text[before:], []byte{glob.AnyRun})
		}
		if x.Long = len(x.Text)-runs > limit; x.Long || x.Missing {
			return x
		}
	}
	return x
}

// substitute adds the value of v. (It takes and gives x itself: through a
// pointer the buffers of every evaluation would escape to the heap.)
func (e *Comparer) substitute(x Expansion, v *Variable, wildValues bool) Expansion {
	got := e.Lookup(&v.Key)
	switch {
	case got.Presence == Unknown,
		got.Len() > 0 && !e.Off.Has(rule.VariableMultivalued) && (got.Len() > 1 || e.Multivalued[v.Key.Name]):
		// Policy variables are for single-valued keys; for others AWS does not say.
		x.Open = true
		x.Text = append(x.Text, glob.AnyRun)
	case got.Len() > 0:
		return x.with(got.At(0), wildValues)
	case v.hasDefault && !e.Off.Has(rule.VariableDefault):
		return x.with(v.fallback, wildValues)
	default:
		x.Missing = !e.Off.Has(rule.VariableMissing)
	}
	return x
}

// with adds a value. Asterisks that follow one another are one.
func (x Expansion) with(s string, wildcards bool) Expansion {
	x.Wild = x.Wild || hasWildcard(s)
	for i := range len(s) {
		c := glob.Encode(s[i], wildcards)
		if n := len(x.Text); c == glob.AnyRun && n > 0 && x.Text[n-1] == glob.AnyRun {
			continue
		}
		x.Text = append(x.Text, c)
	}
	return x
}

func hasWildcard(s string) bool { return strings.ContainsAny(s, "*?") }
