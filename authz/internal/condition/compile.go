package condition

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/stile-aws/stile/authz/internal/operator"
	"github.com/stile-aws/stile/authz/internal/rule"
	"github.com/stile-aws/stile/internal/scalar"
	"github.com/stile-aws/stile/policy"
)

// A Resource is a Resource element's ARN, compared segment by segment.
type Resource struct {
	Written    string
	everything bool // "*"
	malformed  bool // no ARN: matches nothing
	Incomplete bool // fewer than six segments, where AWS does not say what that means
	// head is the segments before the last, with their colons, where they match
	// themselves and nothing else. Otherwise wild has them, as patterns.
	head string
	wild *[5]Pattern
	Rest Pattern
	// beyond is the whole ARN with wildcards that run past colons; nil unless
	// one of the segments before the last ends in one.
	beyond *Pattern
}

// A Condition is one key under one operator. Of the slices of values the one
// that the operator's kind needs is set, in the order written.
type Condition struct {
	operator.Operator
	Key      Key
	Written  *policy.Condition
	Patterns []Pattern
	// texts has the values that match themselves and nothing else, where there
	// are many, and others the numbers of the rest.
	texts    map[string]bool
	others   []int
	decimals []readable[scalar.Decimal]
	dates    []readable[time.Time]
	networks []readable[scalar.Network]
	bools    []bool // of Null
	Literal  bool   // "${" is text, by the document's Version
}

// maybe is a value of a policy that may not be readable as what the operator compares.
type readable[T any] struct {
	value T
	ok    bool
}

// A Compiler prepares the elements of one document.
type Compiler struct {
	Off     rule.Set
	Literal bool // the document's Version has no policy variables
	// Completes is set for documents in which AWS completes incomplete ARNs.
	Completes bool
}

// Resource compiles one ARN of a Resource element. Variables may stand only
// after the fifth colon; "${" before it is text.
func (c *Compiler) Resource(s string) Resource {
	if strings.Trim(s, "*") == "" && s != "" {
		return Resource{Written: s, everything: true}
	}
	syn := Syntax{Wildcards: true, Lower: c.Off.Has(rule.ResourceCase), KeyCase: c.Off.Has(rule.KeyCase)}
	p := Resource{Written: s}
	var segments [5]Pattern
	literal := true
	rest := s
	for i := range segments {
		segment, after, more := strings.Cut(rest, ":")
		segments[i] = Compile(segment, syn)
		literal = literal && segments[i].kind == exactPattern && segments[i].text == segment
		if c.Off.Has(rule.VariableResourcePart) && strings.Contains(segment, "${") {
			return Resource{Written: s, everything: true}
		}
		if !more {
			p.beyond = c.beyond(s, s, syn)
			return c.incomplete(p, segments, i)
		}
		rest = after
	}
	head := s[:len(s)-len(rest)]
	syn.Variables, syn.Escapes = c.variables(), c.escapes()
	p.Rest, p.beyond = Compile(rest, syn), c.beyond(head, s, syn)
	p.malformed = !segments[0].Matches("arn")
	if literal {
		p.head = head
	} else {
		p.wild = new(segments)
	}
	return p
}

// beyond compiles all of s so that wildcards run past colons, if head, its
// segments before the last, has one at the end of a segment.
func (c *Compiler) beyond(head, s string, syn Syntax) *Pattern {
	if !strings.Contains(head, "*:") || c.Off.Has(rule.ResourceRunsOn) {
		return nil
	}
	p := Compile(s, syn)
	return &p
}

// incomplete fills the segments after the last one written. "When you specify
// an incomplete ARN … in an identity-based policy, AWS automatically completes
// the ARN by adding wildcard characters (*) to all missing fields"; a boundary
// is the same kind of document. Of other policies AWS does not say it.
func (c *Compiler) incomplete(p Resource, segments [5]Pattern, last int) Resource {
	p.malformed = last == 0 || !segments[0].Matches("arn") || c.Off.Has(rule.ResourceIncomplete)
	p.Incomplete = !c.Completes
	for i := last + 1; i < len(segments); i++ {
		segments[i] = Pattern{kind: anyPattern, text: "\xFF"}
	}
	p.wild = &segments
	p.Rest = Pattern{kind: anyPattern, text: "\xFF"}
	return p
}

func (c *Compiler) variables() bool { return !c.Literal && !c.Off.Has(rule.Variable) }

func (c *Compiler) escapes() bool { return !c.Off.Has(rule.VariableEscape) }

// Condition compiles one key under one operator.
func (c *Compiler) Condition(from *policy.Condition, to *Condition) error {
	op, ok := operator.Parse(from.Operator)
	if !ok {
		return fmt.Errorf("unknown condition operator %q%s", from.Operator, At(from.OperatorPos))
	}
	to.Operator, to.Written, to.Key = op, from, NewKey(from.Key, c.Off.Has(rule.KeyCase))
	for _, v := range from.Values {
		if err := c.value(to, v.Value); err != nil {
			return fmt.Errorf("%w%s", err, At(v.Pos))
		}
	}
	to.setTexts()
	return nil
}

// manyTexts is how many values are looked up rather than compared.
const manyTexts = 32

// setTexts prepares long lists of strings that are compared to the letter.
func (c *Condition) setTexts() {
	if c.Kind != operator.StringEquals && c.Kind != operator.StringLike || len(c.Patterns) < manyTexts {
		return
	}
	c.texts = make(map[string]bool, len(c.Patterns))
	for i := range c.Patterns {
		if p := &c.Patterns[i]; p.isLiteral() {
			c.texts[p.text] = true
		} else {
			c.others = append(c.others, i)
		}
	}
}

// value adds one value of a condition. Policy variables are for string, ARN
// and Bool operators only.
func (c *Compiler) value(to *Condition, s string) error {
	syn := Syntax{
		Variables: c.variables(), Escapes: c.escapes(),
		KeyCase: c.Off.Has(rule.KeyCase), Lower: to.Kind == operator.Bool,
	}
	to.Literal = to.Literal || c.Literal && strings.Contains(s, "${")
	switch to.Kind {
	case operator.StringEquals, operator.StringIgnoreCase, operator.Bool:
		to.Patterns = append(to.Patterns, Compile(s, syn))
	case operator.StringLike:
		syn.Wildcards = !c.Off.Has(rule.StringLike)
		to.Patterns = append(to.Patterns, Compile(s, syn))
	case operator.ARN:
		syn.Wildcards = true
		p := Compile(s, syn)
		p.text, p.kind = p.Encoded(), globPattern // compared by segments, never as a whole
		to.Patterns = append(to.Patterns, p)
	case operator.Binary:
		if c.Off.Has(rule.Binary) {
			to.Patterns = append(to.Patterns, Compile(s, Syntax{}))
			break
		}
		raw, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return fmt.Errorf("value %q of %s is not base64", s, to.Written.Operator)
		}
		to.Patterns = append(to.Patterns, Pattern{text: base64.RawStdEncoding.EncodeToString(raw)})
	case operator.Numeric:
		v, ok := scalar.ParseDecimal(s)
		to.decimals = append(to.decimals, readable[scalar.Decimal]{v, ok})
		if c.Off.Has(rule.VariableOperators) {
			to.Patterns = append(to.Patterns, Compile(s, syn))
		}
	case operator.Date:
		v, ok := scalar.ParseDate(s)
		to.dates = append(to.dates, readable[time.Time]{v, ok})
	case operator.IP:
		v, ok := scalar.ParseNetwork(s)
		to.networks = append(to.networks, readable[scalar.Network]{v, ok})
	case operator.Null:
		if !strings.EqualFold(s, "true") && !strings.EqualFold(s, "false") {
			return fmt.Errorf("value %q of Null is neither true nor false", s)
		}
		to.bools = append(to.bools, strings.EqualFold(s, "true"))
	}
	return nil
}

// At is the place of an element for an error text, empty when it was built in memory.
func At(pos policy.Pos) string {
	if pos.IsZero() {
		return ""
	}
	return fmt.Sprintf(" (line %d, column %d)", pos.Line, pos.Column)
}

// Numbers gives the values of c that are numbers, as written.
func (c *Condition) Numbers() []string {
	var out []string
	for i := range c.decimals {
		if c.decimals[i].ok {
			out = append(out, c.Written.Values[i].Value)
		}
	}
	return out
}

// Times gives the values of c that are dates.
func (c *Condition) Times() []time.Time {
	var out []time.Time
	for i := range c.dates {
		if c.dates[i].ok {
			out = append(out, c.dates[i].value)
		}
	}
	return out
}

// WantsNull reports of a Null condition with one value which it is.
func (c *Condition) WantsNull() (null, ok bool) {
	if len(c.bools) != 1 {
		return false, false
	}
	return c.bools[0], true
}
