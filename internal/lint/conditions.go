package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// strength is how much a condition really restricts a key.
type strength uint8

const (
	untested strength = iota // no condition on the key, or one that says nothing about its value
	vacuous                  // a condition that passes when the key is absent
	tested                   // only listed values pass
)

// restricts gives the strongest condition of st on the keys that match. Any
// value of the list may match, so the widest one counts: a list with "*"
// restricts nothing.
func restricts(st *policy.Statement, match func(key string) bool) strength {
	best := untested
	for _, c := range st.Conditions {
		if match(c.Key) {
			best = max(best, strengthOf(st, c))
		}
	}
	return best
}

func strengthOf(st *policy.Statement, c policy.Condition) strength {
	op := policy.SplitOperator(c.Operator)
	comparesValue := strings.HasPrefix(op.Base, "String") || strings.HasPrefix(op.Base, "Arn") || op.Base == "IpAddress"
	if !op.Known() || op.Negated() || !comparesValue {
		return untested
	}
	for _, v := range c.Values {
		if strings.Trim(v.Value, "*?") == "" {
			return untested
		}
	}
	// ForAllValues is true for an absent key, and IfExists too (IAM guide,
	// condition operators and multivalued context keys).
	if op.IfExists || op.Set == "ForAllValues" && !requiresPresence(st, c.Key) {
		return vacuous
	}
	return tested
}

// requiresPresence reports whether st has "Null": {key: "false"}.
func requiresPresence(st *policy.Statement, key string) bool {
	return slices.ContainsFunc(st.Conditions, func(c policy.Condition) bool {
		return c.Operator == "Null" && strings.EqualFold(c.Key, key) &&
			len(c.Values) == 1 && strings.EqualFold(c.Values[0].Value, "false")
	})
}

// anyOf matches keys without regard to letter case.
func anyOf(keys ...string) func(string) bool {
	return func(key string) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, key) })
	}
}

// exactWildcards is T07: StringEquals and its relatives compare literally, so
// a * in them matches only itself (IAM guide, string condition operators).
func (r *report) exactWildcards(st *policy.Statement) {
	for _, c := range st.Conditions {
		op := policy.SplitOperator(c.Operator)
		like := map[string]string{
			"StringEquals": "StringLike", "StringNotEquals": "StringNotLike",
			"StringEqualsIgnoreCase": "StringLike", "StringNotEqualsIgnoreCase": "StringNotLike",
		}[op.Base]
		if like == "" {
			continue
		}
		for _, v := range c.Values {
			if !strings.ContainsAny(withoutVariables(v.Value), "*?") {
				continue
			}
			op.Base = like
			r.add(v.Pos, rule.Finding{
				Severity: exactSeverity(c), Code: rule.ExactWildcard,
				Summary: fmt.Sprintf("%s compares %q literally; it knows no wildcards", c.Operator, v.Value),
				Detail:  "No request carries a * or ? there, so the condition " + never(op.Negated()) + ".",
				Hint:    fmt.Sprintf("use %s, or write the exact value", op),
			})
		}
	}
}

func exactSeverity(c policy.Condition) rule.Severity {
	if strings.HasSuffix(strings.ToLower(c.Key), ":sub") {
		return rule.High // nobody can assume the role
	}
	return rule.Medium
}

func never(negated bool) string {
	if negated {
		return "always holds"
	}
	return "never holds"
}

// variable is a policy variable in a text: ${key} or ${key, 'default'}.
type variable struct {
	key        string
	hasDefault bool
	closed     bool
	offset     int // of the $
}

// variablesIn lists the policy variables of s. The escapes ${*}, ${?} and ${$}
// are none.
func variablesIn(s string) []variable {
	var out []variable
	for at := 0; ; {
		i := strings.Index(s[at:], "${")
		if i < 0 {
			return out
		}
		start := at + i
		end := strings.IndexByte(s[start:], '}')
		if end < 0 {
			return append(out, variable{offset: start})
		}
		inner := s[start+2 : start+end]
		at = start + end + 1
		if inner == "*" || inner == "?" || inner == "$" {
			continue
		}
		key, _, hasDefault := strings.Cut(inner, ",")
		out = append(out, variable{key: strings.TrimSpace(key), hasDefault: hasDefault, closed: true, offset: start})
	}
}

// withoutVariables removes variables and escapes, whose characters are no
// wildcards.
func withoutVariables(s string) string { return replaceVariables(s, "") }

// variables is R09: variables that are not substituted, or whose absence opens
// the statement (IAM guide, policy variables).
func (r *report) variables(doc *policy.Document, st *policy.Statement) {
	for _, t := range st.Resources {
		r.resourceVariables(doc, st, t, false)
	}
	for _, t := range st.NotResources {
		r.resourceVariables(doc, st, t, true)
	}
	for _, c := range st.Conditions {
		op := policy.SplitOperator(c.Operator)
		for _, v := range c.Values {
			for _, x := range variablesIn(v.Value) {
				r.conditionVariable(doc, st, v, op, x)
			}
		}
	}
}

func (r *report) resourceVariables(doc *policy.Document, st *policy.Statement, t policy.Text, except bool) {
	last := lastPart(t.Value)
	for _, x := range variablesIn(t.Value) {
		if !r.usable(doc, t, x) {
			continue
		}
		if x.offset < last {
			r.add(t.Pos, rule.Finding{
				Code:    rule.BadVariable,
				Summary: fmt.Sprintf("the variable ${%s} stands before the fifth colon of the ARN, where none is substituted", x.key),
				Hint:    "write the partition, service, region and account, or *",
			})
		}
		if except && st.Effect == policy.Allow && !x.hasDefault {
			r.noDefault(t, x, "an entry of NotResource with it excludes nothing then")
		}
	}
}

// lastPart is where the resource of an ARN begins, behind the fifth colon.
func lastPart(text string) int {
	colons := 0
	for i := range len(text) {
		if text[i] == ':' {
			if colons++; colons == 5 {
				return i
			}
		}
	}
	return len(text)
}

func (r *report) conditionVariable(doc *policy.Document, st *policy.Statement, v policy.Text, op policy.Operator, x variable) {
	if !r.usable(doc, v, x) {
		return
	}
	substitutes := strings.HasPrefix(op.Base, "String") || strings.HasPrefix(op.Base, "Arn") || op.Base == "Bool"
	if op.Known() && !substitutes {
		r.add(v.Pos, rule.Finding{
			Code:    rule.BadVariable,
			Summary: fmt.Sprintf("%s does not substitute the variable ${%s}", op, x.key),
			Hint:    "variables work in String, Arn and Bool conditions only",
		})
	}
	if op.Negated() && st.Effect == policy.Allow && !x.hasDefault {
		r.noDefault(v, x, op.String()+" is true then")
	}
}

func (r *report) noDefault(t policy.Text, x variable, then string) {
	r.add(t.Pos, rule.Finding{
		Code:    rule.NoDefault,
		Summary: fmt.Sprintf("the variable ${%s} may have no value; %s", x.key, then),
		Hint:    fmt.Sprintf("give it a default, ${%s, 'none'}, or require the key", x.key),
	})
}

// usable reports variables that are substituted nowhere; it is false when it
// did.
func (r *report) usable(doc *policy.Document, t policy.Text, x variable) bool {
	switch {
	case !x.closed:
		r.add(t.Pos, rule.Finding{
			Code:    rule.OpenVariable,
			Summary: fmt.Sprintf("%q has ${ without }", t.Value),
			Hint:    "close the variable, or write ${$}{ for a literal ${",
		})
	case doc.Version != policy.Version2012:
		r.add(t.Pos, rule.Finding{
			Code:    rule.OldVariable,
			Summary: fmt.Sprintf("${%s} is literal text here, not a variable", x.key),
			Detail:  "Policy variables exist since version 2012-10-17; a document without Version is of 2008-10-17.",
			Hint:    `add "Version": "2012-10-17"`,
		})
	case catalog.Facts().Multivalued[strings.ToLower(x.key)]: // IAM guide, single-valued and multivalued context keys
		r.add(t.Pos, rule.Finding{
			Code:    rule.BadVariable,
			Summary: fmt.Sprintf("%s has several values and cannot be a variable", x.key),
			Hint:    "test it with ForAnyValue or ForAllValues instead",
		})
	default:
		return true
	}
	return false
}
