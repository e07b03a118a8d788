package verify_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/verify"
	"github.com/stile-aws/stile/policy"
)

// clone copies an inventory deeply.
func clone(tb testing.TB, inv *inventory.Inventory) *inventory.Inventory {
	tb.Helper()
	text, err := json.Marshal(inv)
	if err != nil {
		tb.Fatal(err)
	}
	out := &inventory.Inventory{}
	if err := json.Unmarshal(text, out); err != nil {
		tb.Fatal(err)
	}
	return out
}

// slot is a document of the scope's in an inventory.
type slot struct {
	name string
	// in finds the document's text in a copy of the inventory.
	in func(inv *inventory.Inventory) (text string, set func(string))
	// ours reports whether a statement is the scope's own, where the document
	// is shared with others.
	ours func(sid string) bool
}

func everySid(string) bool { return true }

func slots(c applied) []slot {
	var out []slot
	for i := range c.w.Roles {
		r := &c.w.Roles[i]
		role := func(inv *inventory.Inventory) *inventory.Role {
			return inv.Accounts[r.Account].Roles[strings.ToLower(r.Name)]
		}
		out = append(out, slot{"trust of " + r.Name, func(inv *inventory.Inventory) (string, func(string)) {
			return role(inv).Trust, func(s string) { role(inv).Trust = s }
		}, everySid})
		for name := range r.Inline {
			out = append(out, slot{r.Name + " inline " + name, func(inv *inventory.Inventory) (string, func(string)) {
				return role(inv).Inline[name], func(s string) { role(inv).Inline[name] = s }
			}, everySid})
		}
	}
	for i := range c.w.Callers {
		p := &c.w.Callers[i]
		out = append(out, slot{"caller " + p.Name, func(inv *inventory.Inventory) (string, func(string)) {
			var inline map[string]string
			if p.Kind == "user" {
				inline = inv.Accounts[p.Account].Users[strings.ToLower(p.Name)].Inline
			} else {
				inline = inv.Accounts[p.Account].Roles[strings.ToLower(p.Name)].Inline
			}
			return inline[p.PolicyName], func(s string) { inline[p.PolicyName] = s }
		}, everySid})
	}
	return append(out, sharedSlots(c)...)
}

func sharedSlots(c applied) []slot {
	var out []slot
	for i := range c.w.Statements {
		s := &c.w.Statements[i]
		mine := func(sid string) bool { return sid == s.Statement.Sid }
		out = append(out, slot{fmt.Sprintf("%s %s statement %d", s.Kind, s.Target, i), func(inv *inventory.Inventory) (string, func(string)) {
			a := inv.Accounts[s.Account]
			if s.Kind == compile.KeyPolicy {
				return a.Keys[s.Target].Policy, func(t string) { a.Keys[s.Target].Policy = t }
			}
			for _, secret := range a.Secrets {
				if secret != nil && secret.ARN == s.Target {
					return secret.Policy, func(t string) { secret.Policy = t }
				}
			}
			return "", func(string) {}
		}, mine})
	}
	return out
}

// mutation changes one statement of a document; false: it does not apply there.
type mutation struct {
	name   string
	change func(doc *policy.Document, i int) bool
	// wants are the kinds of which one must be found.
	wants []verify.Kind
}

func mutations() []mutation {
	excess := []verify.Kind{verify.Excess}
	return []mutation{
		{"an action is widened", func(doc *policy.Document, i int) bool {
			st := &doc.Statements[i]
			service, _, _ := strings.Cut(st.Actions[0].Value, ":")
			st.Actions = policy.Texts(append(policy.Values(st.Actions), service+":*")...)
			return true
		}, excess},
		{"every action is allowed", func(doc *policy.Document, i int) bool {
			doc.Statements[i].Actions = policy.Texts("*")
			return true
		}, excess},
		{"the actions become those not listed", func(doc *policy.Document, i int) bool {
			st := &doc.Statements[i]
			st.NotActions, st.Actions = st.Actions, nil
			return true
		}, excess},
		{"a resource is added", func(doc *policy.Document, i int) bool {
			st := &doc.Statements[i]
			if st.Resources == nil || st.Resources[0].Value == "*" {
				return false
			}
			st.Resources = policy.Texts(append(policy.Values(st.Resources), "arn:aws:iam::444444444444:role/other")...)
			return true
		}, excess},
		{"every resource is allowed", func(doc *policy.Document, i int) bool {
			st := &doc.Statements[i]
			if st.Resources == nil || st.Resources[0].Value == "*" {
				return false
			}
			st.Resources = policy.Texts("*")
			return true
		}, excess},
		{"another role is admitted", func(doc *policy.Document, i int) bool {
			return admit(&doc.Statements[i], policy.PrincipalEntry{Type: "AWS", Value: policy.Text{Value: "arn:aws:iam::444444444444:role/other"}})
		}, excess},
		{"a whole account is admitted", func(doc *policy.Document, i int) bool {
			return admit(&doc.Statements[i], policy.PrincipalEntry{Type: "AWS", Value: policy.Text{Value: "444444444444"}})
		}, excess},
		{"another provider is admitted", func(doc *policy.Document, i int) bool {
			return admit(&doc.Statements[i], policy.PrincipalEntry{Type: "Federated", Value: policy.Text{Value: "arn:aws:iam::222222222222:oidc-provider/other.example"}})
		}, excess},
		{"everybody is admitted", func(doc *policy.Document, i int) bool {
			if doc.Statements[i].Principal == nil {
				return false
			}
			doc.Statements[i].Principal = policy.Everyone()
			return true
		}, excess},
		{"the statement is gone", func(doc *policy.Document, i int) bool {
			if len(doc.Statements) == 1 {
				return false
			}
			doc.Statements = slices.Delete(doc.Statements, i, i+1)
			return true
		}, []verify.Kind{verify.Denied, verify.Drift}},
		{"the statement denies", func(doc *policy.Document, i int) bool {
			doc.Statements[i].Effect = policy.Deny
			return true
		}, []verify.Kind{verify.Denied}},
	}
}

// conditionMutations change condition n of a statement.
func conditionMutations() []mutation {
	var out []mutation
	for n := range 6 {
		with := func(name string, change func(c *policy.Condition) bool, kinds ...verify.Kind) {
			out = append(out, mutation{fmt.Sprintf("condition %d: %s", n, name), func(doc *policy.Document, i int) bool {
				conds := doc.Statements[i].Conditions
				return n < len(conds) && change(&conds[n])
			}, kinds})
		}
		out = append(out, mutation{fmt.Sprintf("condition %d is gone", n), func(doc *policy.Document, i int) bool {
			st := &doc.Statements[i]
			if n >= len(st.Conditions) {
				return false
			}
			st.Conditions = slices.Delete(st.Conditions, n, n+1)
			return true
		}, []verify.Kind{verify.Excess}})
		with("a value is added", func(c *policy.Condition) bool {
			if strings.HasPrefix(c.Operator, "Date") {
				c.Values = policy.Texts("2999-01-01T00:00:00Z")
			} else {
				c.Values = append(c.Values, policy.Text{Value: "arn:aws:other:::x"})
			}
			return true
		}, verify.Excess)
		with("it holds where the key is missing", func(c *policy.Condition) bool {
			c.Operator += "IfExists"
			return true
		}, verify.Excess, verify.Unknown)
		with("it is negated", func(c *policy.Condition) bool {
			negated := map[string]string{"StringEquals": "StringNotEquals", "ForAllValues:StringEquals": "ForAllValues:StringNotEquals", "ArnLike": "ArnNotLike", "DateLessThan": "DateGreaterThan"}[c.Operator]
			if negated == "" {
				return false
			}
			c.Operator = negated
			return true
		}, verify.Excess, verify.Unknown)
		with("it is a pattern", func(c *policy.Condition) bool {
			if c.Operator != "StringEquals" {
				return false
			}
			c.Operator, c.Values = "StringLike", policy.Texts("*")
			return true
		}, verify.Excess, verify.Unknown)
	}
	return out
}

func admit(st *policy.Statement, p policy.PrincipalEntry) bool {
	if st.Principal == nil {
		return false
	}
	with := *st.Principal
	with.Entries = append(slices.Clone(with.Entries), p)
	st.Principal = &with
	return true
}

// TestEveryMutationIsFound changes each statement of each owned document in
// every way there is, and demands that verification says so.
func TestEveryMutationIsFound(t *testing.T) {
	tried := map[string]int{}
	for _, c := range cases(t) {
		for _, s := range slots(c) {
			text, _ := s.in(c.inv)
			doc, err := policy.Parse([]byte(text))
			if err != nil {
				t.Fatalf("%s: %s: %v", c.name, s.name, err)
			}
			for i := range doc.Statements {
				if !s.ours(doc.Statements[i].Sid) {
					continue
				}
				for _, m := range append(mutations(), conditionMutations()...) {
					inv := clone(t, c.inv)
					text, set := s.in(inv)
					changed, err := policy.Parse([]byte(text))
					if err != nil {
						t.Fatal(err)
					}
					if !m.change(changed, i) {
						continue
					}
					set(changed.String())
					tried[m.name]++
					mustFind(t, fmt.Sprintf("%s, %s, statement %d: %s", c.name, s.name, i, m.name), verify.Check(c.w, inv, nil), m.wants)
				}
			}
		}
	}
	for _, m := range mutations() {
		if tried[m.name] == 0 {
			t.Errorf("mutation %q was never tried", m.name)
		}
	}
}

func mustFind(t *testing.T, what string, r verify.Report, kinds []verify.Kind) {
	t.Helper()
	if r.OK || !slices.ContainsFunc(r.Findings, func(f verify.Finding) bool { return slices.Contains(kinds, f.Kind) }) {
		var bad []string
		for _, f := range r.Findings {
			if !f.OK() {
				bad = append(bad, string(f.Kind)+": "+f.What+": "+f.Text)
			}
		}
		t.Errorf("%s: Check is OK=%v and finds %q; want one of %v", what, r.OK, bad, kinds)
	}
}
