package residue

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/authz/internal/condition"
	"github.com/stile-aws/stile/authz/internal/formula"
	"github.com/stile-aws/stile/authz/internal/operator"
)

// The operators of requirements that are not conditions of a policy; see
// package authz.
const (
	OperatorResource      = "Resource"
	OperatorContextEquals = "EncryptionContextEquals"
	OperatorContextSubset = "EncryptionContextSubset"
)

// A Requirement is one thing that has to hold for an alternative; package
// authz explains the fields.
type Requirement struct {
	Key      string   `json:"key,omitempty"`
	Operator string   `json:"operator,omitempty"`
	Values   []string `json:"values,omitempty"`
	Found    []string `json:"found,omitempty"`
	Not      bool     `json:"not,omitempty"`
	Question string   `json:"question,omitempty"`
}

// Allowed gives what has to hold for the request to be allowed: all of one
// alternative. complete is false when there are more alternatives than fit;
// each that is given is still enough by itself.
func (r *Residual) Allowed() (alternatives [][]Requirement, complete bool) {
	return r.alternatives(&r.simple.allowed)
}

// Denied gives in the same way what makes a policy deny the request
// explicitly. Where neither holds it is denied implicitly.
func (r *Residual) Denied() (alternatives [][]Requirement, complete bool) {
	return r.alternatives(&r.simple.denied)
}

func (r *Residual) alternatives(sum *formula.Sum) ([][]Requirement, bool) {
	list := make([][]Requirement, len(sum.Products))
	for i, p := range sum.Products {
		for _, f := range p {
			list[i] = append(list[i], r.requirements(f)...)
		}
	}
	return list, sum.Whole
}

// requirements says that a key is in some cells.
func (r *Residual) requirements(f formula.Factor) []Requirement {
	space, names := r.simple.space, r.simple.names[f.Var]
	others := space.All(f.Var) &^ f.Cells
	if values, ok := names.equal(f.Cells); ok {
		return []Requirement{{Key: r.spelling(names.key), Operator: "StringEquals", Values: values}}
	}
	if values, ok := names.equal(others); ok {
		return []Requirement{{Key: r.spelling(names.key), Operator: "StringNotEquals", Values: values}}
	}
	signs, ok := space.Describe(f.Var, f.Cells, 0)
	var list []Requirement
	if !ok {
		excluded := others & space.Named[f.Var]
		signs, _ = space.Describe(f.Var, f.Cells, excluded)
		values, _ := names.equal(excluded)
		list = append(list, Requirement{Key: r.spelling(names.key), Operator: "StringNotEquals", Values: values})
	}
	for _, s := range signs {
		list = append(list, r.requirement(&r.atoms[s.Atom], s.Negated))
	}
	return list
}

// Spelled lists the unknown keys as the policies write them.
func (r *Residual) Spelled() []string {
	names := r.Keys()
	for i := range names {
		names[i] = r.spelling(names[i])
	}
	return names
}

// spelling is how the policies write a key.
func (r *Residual) spelling(key string) string {
	written := ""
	for i := range r.atoms {
		if c := r.atoms[i].Condition; c != nil && c.Key.Name == key {
			return c.Written.Key
		}
		r.atoms[i].variables(func(v *condition.Variable) {
			if v.Key.Name == key {
				written = v.Written
			}
		})
	}
	return cmp.Or(written, key)
}

func (r *Residual) requirement(a *Atom, not bool) Requirement {
	q := Requirement{Not: not}
	switch {
	case a.Condition != nil:
		return r.condition(a.Condition, not)
	case a.Resource != nil:
		q.Operator, q.Found = OperatorResource, []string{r.resource}
		q.Values = []string{r.substituted(&a.Resource.Rest, a.Resource.Written)}
	case a.Constraint != nil:
		q.Operator = OperatorContextSubset
		if a.Constraint.Equals {
			q.Operator = OperatorContextEquals
		}
		for name, value := range a.Constraint.Pairs {
			q.Values = append(q.Values, name+"="+value)
		}
		slices.Sort(q.Values)
	default:
		q.Question = a.Question
	}
	return q
}

func (r *Residual) condition(c *condition.Condition, not bool) Requirement {
	q := Requirement{Key: c.Written.Key, Operator: c.Written.Operator, Not: not}
	for i, v := range c.Written.Values {
		text := v.Value
		if i < len(c.Patterns) {
			text = r.substituted(&c.Patterns[i], text)
		}
		q.Values = append(q.Values, text)
	}
	if entry, present := r.known.Find(c.Key.Name); present {
		q.Found = entry.Values
	}
	if !not {
		return q
	}
	if other, ok := operator.Complement(q.Operator); ok {
		q.Operator, q.Not = other, false
	} else if null, ok := c.WantsNull(); ok {
		q.Values, q.Not = []string{strconv.FormatBool(!null)}, false
	}
	return q
}

// substituted is text with the variables replaced that are known.
func (r *Residual) substituted(p *condition.Pattern, text string) string {
	p.Variables(func(v *condition.Variable) {
		if entry, present := r.known.Find(v.Key.Name); present && len(entry.Values) == 1 && !r.multivalued[v.Key.Name] {
			text = condition.Replace(text, v.Key.Name, entry.Values[0])
		}
	})
	return text
}

// Missing lists what would have to be known to tell whether the request is
// allowed: keys, documents, and questions.
func (r *Residual) Missing() []string {
	var list []string
	seen := map[string]bool{}
	add := func(what string) {
		if !seen[what] {
			seen[what] = true
			list = append(list, what)
		}
	}
	needed := r.needed()
	unknown := map[string]bool{}
	for _, k := range r.keys {
		unknown[k.name] = true
	}
	for i := range r.atoms {
		if !needed[r.simple.space.Atoms[i].Var] {
			continue
		}
		r.atoms[i].keys(func(k *condition.Key) {
			if unknown[k.Name] {
				add(k.Name)
			}
		})
		if r.atoms[i].Constraint != nil {
			for _, k := range r.keys {
				if strings.HasPrefix(k.name, condition.ContextPrefix) {
					add(k.name)
				}
			}
		}
		for _, what := range r.atoms[i].About {
			add(what)
		}
	}
	return list
}

// needed is the variables of the space on which it depends whether the request
// is allowed.
func (r *Residual) needed() []bool {
	needed := make([]bool, len(r.atoms))
	if !r.simple.allowed.Whole {
		for i := range needed {
			needed[i] = true
		}
	}
	for _, p := range r.simple.allowed.Products {
		for _, f := range p {
			needed[f.Var] = true
		}
	}
	return needed
}

// maxRequirements is how many requirements of an alternative are printed.
const maxRequirements = 12

// SayAllowed says when the request is allowed, in at most limit alternatives.
func (r *Residual) SayAllowed(limit int) string {
	s := &r.simple
	switch {
	case len(s.allowed.Products) > 0:
		return r.sentence("allowed", &s.allowed, limit)
	case s.granted.Always():
		return "allowed unless " + r.SayDenied(limit)
	case len(s.granted.Products) > 0:
		return r.sentence("allowed", &s.granted, limit) + "; unless " + r.SayDenied(limit)
	}
	return "allowed or not, depending on " + listed(r.Spelled()) + " in more ways than can be listed"
}

// SayDenied says when it is explicitly denied; "" when it never is.
func (r *Residual) SayDenied(limit int) string {
	switch {
	case r.simple.denied.Never():
		return ""
	case len(r.simple.denied.Products) > 0:
		return r.sentence("explicitly denied", &r.simple.denied, limit)
	}
	return "explicitly denied, depending on " + listed(r.Spelled())
}

func (r *Residual) sentence(what string, sum *formula.Sum, limit int) string {
	list, complete := r.alternatives(sum)
	more := ""
	if hidden := len(list) - limit; hidden > 0 || !complete {
		list = list[:min(limit, len(list))]
		more = "; or in other ways"
	}
	common := list[0]
	for _, alternative := range list[1:] {
		common = intersection(common, alternative)
	}
	if len(list) == 1 || len(common) == 0 || more != "" {
		return what + " " + joined(list, "; or ") + more
	}
	for i := range list {
		list[i] = slices.DeleteFunc(list[i], func(q Requirement) bool { return contains(common, q) })
	}
	return what + " " + phrase(common) + ", and either " + joined(list, ", or ")
}

// joined says alternatives.
func joined(list [][]Requirement, separator string) string {
	texts := make([]string, len(list))
	for i, alternative := range list {
		texts[i] = phrase(alternative)
	}
	return strings.Join(texts, separator)
}

func intersection(a, b []Requirement) []Requirement {
	var out []Requirement
	for _, q := range a {
		if contains(b, q) {
			out = append(out, q)
		}
	}
	return out
}

func contains(list []Requirement, q Requirement) bool {
	text := q.String()
	return slices.ContainsFunc(list, func(o Requirement) bool { return o.String() == text })
}

// phrase says one alternative: "when … and …, depending on whether …".
func phrase(list []Requirement) string {
	var conditions, questions []string
	for _, q := range list {
		if q.Question != "" {
			questions = ask(questions, q.Question)
		} else {
			conditions = append(conditions, q.String())
		}
	}
	for i := range conditions {
		if strings.HasSuffix(conditions[i], orAbsent) && len(conditions) > 1 {
			conditions[i] = "(" + conditions[i] + ")"
		}
	}
	if hidden := len(conditions) - maxRequirements; hidden > 0 {
		conditions = append(conditions[:maxRequirements], fmt.Sprintf("%d more conditions hold", hidden))
	}
	if hidden := len(questions) - maxRequirements; hidden > 0 {
		questions = append(questions[:maxRequirements], fmt.Sprintf("%d more questions", hidden))
	}
	text := ""
	if len(conditions) > 0 {
		text = "when " + strings.Join(conditions, " and ")
	}
	if len(questions) > 0 && text != "" {
		text += ", "
	}
	if len(questions) > 0 {
		text += "depending on " + strings.Join(questions, " and ")
	}
	return text
}

// ask adds a question to others. Whether a document allows and whether it
// denies is one question to people.
func ask(questions []string, q string) []string {
	document, denies := strings.CutSuffix(q, " denies it")
	if i := slices.Index(questions, document+" allows it"); denies && i >= 0 {
		questions[i] = "what " + strings.TrimPrefix(document, "whether ") + " says"
		return questions
	}
	return append(questions, q)
}

// String says the requirement: "aws:PrincipalTag/team = orders".
func (q Requirement) String() string {
	values := listed(q.Values)
	switch {
	case q.Question != "":
		return q.Question
	case q.Operator == OperatorResource && q.Not:
		return listed(q.Found) + " does not match " + values
	case q.Operator == OperatorResource:
		return listed(q.Found) + " matches " + values
	case q.Operator == OperatorContextEquals:
		return q.negated("the encryption context is " + values)
	case q.Operator == OperatorContextSubset:
		return q.negated("the encryption context has " + values)
	}
	op, ok := operator.Parse(q.Operator)
	switch {
	case !ok:
		return q.negated(q.Key + " " + q.Operator + " " + values)
	case op.Kind == operator.Null && len(q.Values) == 1:
		return q.negated(q.subject() + map[bool]string{true: " is absent", false: " is present"}[strings.EqualFold(q.Values[0], "true")])
	case op.Set != operator.NoSet:
		return q.negated(q.ofSet(op))
	case q.Not:
		return q.opposite(op)
	case op.IfExists:
		return q.compared(op) + orAbsent
	}
	return q.compared(op)
}

// orAbsent ends what a key need not be there for.
const orAbsent = " or it is absent"

func (q *Requirement) negated(text string) string {
	if q.Not {
		return "not (" + text + ")"
	}
	return text
}

func (q *Requirement) subject() string {
	if q.Found != nil {
		return q.Key + " (" + listed(q.Found) + ")"
	}
	return q.Key
}

// ofSet says a condition under a set operator.
func (q *Requirement) ofSet(op operator.Operator) string {
	quantity := "some value of "
	switch {
	case op.Set == operator.ForAllValues && op.Negated:
		quantity, op.Negated = "no value of ", false
	case op.Set == operator.ForAllValues:
		quantity = "every value of "
	}
	text := quantity + q.compared(op)
	if op.IfExists {
		text += orAbsent
	}
	return text
}

// opposite says that a condition does not hold which no operator turns round,
// because of what becomes of it where the key is absent.
func (q *Requirement) opposite(op operator.Operator) string {
	single := len(q.Values) == 1
	absent := orAbsent // where op does not hold either
	if op.IfExists {
		absent = ""
	}
	switch opposite := map[string]string{"true": "false", "false": "true"}; {
	case op.Kind == operator.Bool && single && op.IfExists && opposite[q.Values[0]] != "":
		return q.subject() + " = " + opposite[q.Values[0]]
	case op.Kind == operator.Bool && single && !op.IfExists:
		return q.subject() + " is not " + listed(q.Values)
	case op.Relation != operator.Equal && single:
		op.Relation = [...]operator.Relation{
			operator.Less: operator.GreaterOrEqual, operator.LessOrEqual: operator.Greater, operator.Greater: operator.LessOrEqual, operator.GreaterOrEqual: operator.Less,
		}[op.Relation]
		return q.compared(op) + absent
	case op.Relation != operator.Equal || op.Kind == operator.Bool || op.Negated:
		return q.negated(q.compared(op) + map[bool]string{true: orAbsent}[op.IfExists])
	case op.IfExists:
		op.Negated = true
		return q.compared(op) + " and it is present"
	}
	op.Negated = true // absent keys, too
	return q.compared(op)
}

// compared says how the key compares with the values.
func (q *Requirement) compared(op operator.Operator) string {
	text := q.subject() + " " + verb(op, len(q.Values)) + " " + listed(q.Values)
	if op.Kind == operator.StringIgnoreCase {
		text += " in any case"
	}
	return text
}

// verb is how a requirement with n values says its operator.
func verb(op operator.Operator, n int) string {
	one := map[operator.Kind][2]string{
		operator.StringLike: {"like", "not like"}, operator.ARN: {"like", "not like"}, operator.IP: {"in", "not in"},
	}
	text := [2]string{"=", "≠"}
	if special, ok := one[op.Kind]; ok {
		text = special
	}
	if op.Kind == operator.Numeric || op.Kind == operator.Date {
		text[0] = [...]string{"=", "<", "≤", ">", "≥"}[op.Relation]
	}
	word := text[0]
	if op.Negated {
		word = text[1]
	}
	if n == 1 {
		return word
	}
	several := map[string]string{"=": "is one of", "≠": "is none of", "in": "in one of", "not in": "in none of", "like": "like one of", "not like": "like none of"}
	if s, ok := several[word]; ok {
		return s
	}
	return word + " one of"
}

// listed joins values; those that would be hard to tell apart are quoted.
func listed(values []string) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v
		if v == "" || strings.ContainsAny(v, " ,\"()") || strconv.Quote(v) != `"`+v+`"` {
			texts[i] = strconv.Quote(v)
		}
	}
	if hidden := len(texts) - maxRequirements; hidden > 0 {
		texts = append(texts[:maxRequirements], fmt.Sprintf("… (%d more)", hidden))
	}
	return strings.Join(texts, ", ")
}
