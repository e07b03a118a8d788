package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// conditionKeys checks the keys of st's conditions: that they exist, that the
// actions have them, and that the operators fit (IAM guide, "AWS global
// condition context keys"; Service Authorization Reference).
func (r *report) conditionKeys(st *policy.Statement) {
	for _, c := range st.Conditions {
		if r.lookups++; r.lookups > maxLookups {
			return
		}
		prefix, name, ok := strings.Cut(c.Key, ":")
		if !ok || tree.Unresolved(c.Key) || strings.Contains(prefix, ".") || strings.Contains(prefix, "/") || strings.HasPrefix(name, "//") {
			continue // an issuer's claims have rules of their own
		}
		key, known := catalog.ConditionKeyOf(c.Key)
		if !known {
			r.unknownKey(st, c, prefix)
			continue
		}
		r.keyType(c, key)
		if !key.Global && !strings.EqualFold(prefix, "aws") {
			r.unsupportedKey(st, c, key)
		}
	}
}

func (r *report) unknownKey(st *policy.Statement, c policy.Condition, prefix string) {
	f := rule.Finding{
		Code: rule.UnknownKey, Severity: rule.Low, Summary: fmt.Sprintf("there is no condition key %q", c.Key),
		Detail: "AWS accepts the policy; no request carries the key.",
		Hint:   "look the key up in the Service Authorization Reference",
	}
	var known []string
	for _, k := range slices.Concat(catalog.GlobalKeys(), catalog.ConditionKeysOf(prefix)) {
		known = append(known, k.Name)
	}
	if strings.EqualFold(prefix, "aws") {
		f.Severity = rule.OfRule
	}
	if near := nearestKey(c.Key, known); near != "" {
		f.Severity, f.Fix, f.Hint = rule.OfRule, near, fmt.Sprintf("did you mean %q?", near)
	} else if key, ok := r.otherPrefix(st, c.Key); ok {
		f.Severity, f.Fix, f.Hint = rule.OfRule, key, fmt.Sprintf("did you mean %q?", key)
	}
	r.add(c.Pos, f)
}

// nearestKey is the known key that was most likely meant. Of a family of keys,
// aws:PrincipalTag/${TagKey}, only the part before the slash can be misspelt.
func nearestKey(key string, known []string) string {
	if family, member, ok := strings.Cut(key, "/"); ok {
		var families []string
		for _, k := range known {
			if head, _, open := strings.Cut(k, "/${"); open {
				families = append(families, head)
			}
		}
		if near := policy.Closest(family, families); near != "" {
			return near + "/" + member
		}
	}
	return policy.Closest(key, known)
}

// otherPrefix finds a key of the same name under aws: or the prefix of one of
// the statement's actions: aws:prefix for s3:prefix.
func (r *report) otherPrefix(st *policy.Statement, key string) (string, bool) {
	_, name, _ := strings.Cut(key, ":")
	prefixes := []string{"aws"}
	for _, a := range st.Actions {
		prefixes = append(prefixes, beforeColon(a.Value))
	}
	for _, prefix := range prefixes[:min(len(prefixes), 20)] {
		if k, ok := catalog.ConditionKeyOf(prefix + ":" + name); ok && !strings.Contains(k.Name, "$") {
			return k.Name, true
		}
	}
	return "", false
}

// unsupportedKey reports a service's key that none of the statement's actions
// has, so that no request it is tested on carries it.
func (r *report) unsupportedKey(st *policy.Statement, c policy.Condition, key catalog.ConditionKey) {
	op := policy.SplitOperator(c.Operator)
	if len(st.Actions) == 0 || op.IfExists || op.Base == "Null" {
		return
	}
	for _, t := range st.Actions {
		if r.lookups++; r.lookups > maxLookups || mayHave(t.Value, key) {
			return
		}
	}
	never := "the condition never holds"
	if op.Negated() {
		never = "the condition always holds"
	}
	r.add(c.Pos, rule.Finding{
		Code: rule.UnsupportedKey, Summary: fmt.Sprintf("none of the statement's actions has the condition key %s", key.Name),
		Detail: "Requests carry a service's keys only for the actions that list them, so " + never + ".",
		Hint:   "move the condition to the actions that have the key, or test another one",
	})
}

// mayHave reports whether requests of an action, or of one a pattern stands
// for, can carry the key. What is not known may.
func mayHave(action string, key catalog.ConditionKey) bool {
	service := beforeColon(action)
	if tree.Unresolved(action) || strings.ContainsAny(service, "*?") || !catalog.KnownService(service) {
		return true
	}
	if strings.HasSuffix(action, ":*") {
		return slices.ContainsFunc(catalog.ConditionKeysOf(service), func(k catalog.ConditionKey) bool { return k.Name == key.Name })
	}
	known := catalog.ExpandAction(action)
	return len(known) == 0 || slices.ContainsFunc(known, func(a catalog.Action) bool { return slices.Contains(a.ConditionKeys, key.Name) })
}

// keyType reports operators that cannot match values of the key's type, and
// keys with several values without a set operator.
func (r *report) keyType(c policy.Condition, key catalog.ConditionKey) {
	op := policy.SplitOperator(c.Operator)
	if !op.Known() || op.Base == "Null" {
		return
	}
	if key.Multivalued && op.Set == "" {
		r.add(c.OperatorPos, rule.Finding{
			Code: rule.KeyType, Summary: fmt.Sprintf("%s has several values and needs ForAnyValue or ForAllValues", key.Name),
			Detail: "AWS does not say what an operator for one value makes of several.",
			Hint:   fmt.Sprintf("write %q, or ForAllValues where every value must match", "ForAnyValue:"+c.Operator),
			Fix:    "ForAnyValue:" + c.Operator,
		})
		return
	}
	want := fitting(op.Base, key.Type, c.Values)
	if want == "" {
		return
	}
	r.add(c.OperatorPos, rule.Finding{
		Code: rule.KeyType, Summary: fmt.Sprintf("%s compares no values of type %s, which %s has", c.Operator, key.Type, key.Name),
		Hint: fmt.Sprintf("use %s", want),
	})
}

// fitting is the operator to use instead of op for a key of the type, "" when
// op does. IAM compares strings with most types as they are written, so
// String operators are wrong only where values have several spellings or ranges.
func fitting(op string, kind catalog.KeyType, values []policy.Text) string {
	family := strings.TrimSuffix(strings.TrimPrefix(op, "Not"), "IgnoreCase")
	negated := strings.Contains(op, "Not")
	pick := func(positive, negative string) string {
		if negated {
			return negative
		}
		return positive
	}
	is := func(prefix string) bool { return strings.HasPrefix(family, prefix) }
	switch {
	case kind == catalog.IP && !is("Ip"):
		return pick("IpAddress", "NotIpAddress")
	case kind == catalog.Numeric && !is("Numeric") && !is("String") && !is("Date"):
		return pick("NumericEquals", "NumericNotEquals")
	case kind == catalog.Date && !is("Date") && !is("Numeric"):
		return "DateLessThan or DateGreaterThan"
	case kind == catalog.Bool && !is("Bool") && !is("String"):
		return "Bool"
	case kind == catalog.ARN && !is("Arn") && !is("String"):
		return pick("ArnLike", "ArnNotLike")
	case kind == catalog.String && (is("Ip") || is("Date")):
		return pick("StringEquals", "StringNotEquals")
	case kind == catalog.String && is("Arn") && !slices.ContainsFunc(values, looksLikeARN):
		return pick("StringLike", "StringNotLike")
	}
	return ""
}

// looksLikeARN: several keys that the reference calls strings hold ARNs.
func looksLikeARN(t policy.Text) bool {
	return strings.HasPrefix(t.Value, "arn:") || strings.ContainsAny(t.Value, "*$") || tree.Unresolved(t.Value)
}
