package plan

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/arn"
)

// Text prints the plan for people: access first, then steps, then budgets and
// risks. why also prints the reasons for each pattern.
func (p *Plan) Text(w io.Writer, why bool) error {
	t := &text{w: w, p: p}
	t.head()
	t.access()
	t.assumed()
	if why {
		t.choices()
	}
	t.steps()
	t.budgets()
	t.risks()
	return t.err
}

type text struct {
	w   io.Writer
	p   *Plan
	err error
}

func (t *text) printf(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}

func (t *text) account(id arn.AccountID) string {
	if n := t.p.Accounts[id]; n != "" {
		return n
	}
	return string(id)
}

func (t *text) head() {
	accounts := map[arn.AccountID]bool{}
	deletions := 0
	for _, s := range t.p.Steps {
		accounts[s.Account] = true
		if s.Verb == Delete {
			deletions++
		}
	}
	if len(t.p.Steps) == 0 {
		t.printf("scope %s: nothing to change\n", t.p.Scope)
		return
	}
	t.printf("scope %s: %s in %s, %s\n", t.p.Scope, count(len(t.p.Steps), "change"), count(len(accounts), "account"), count(deletions, "deletion"))
}

func count(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun + "s"
	case 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (t *text) access() {
	if len(t.p.Access) == 0 {
		return
	}
	t.printf("\nACCESS\n")
	for _, c := range t.p.Access {
		t.printf("  %s %s -> %s: %s on %s", c.Sign, c.Caller, c.Account, list(c.Actions, 4), list(c.On, 3))
		if c.Effect != "" {
			t.printf("   %s", c.Effect)
		}
		t.printf("\n      via %s\n", c.Via)
		for _, line := range c.Also {
			t.printf("      also %s\n", line)
		}
		if len(c.Proof) > 0 {
			t.printf("      after apply: %s\n", strings.Join(c.Proof, ", "))
		}
	}
}

// assumed tells what the proofs of access rest on unseen, as verify does.
func (t *text) assumed() {
	const most = 12
	for i, line := range t.p.Assumed {
		if i == most {
			t.printf("  assumed: %d lines more, which --json has\n", len(t.p.Assumed)-most)
			return
		}
		t.printf("  assumed: %s\n", line)
	}
}

// list joins values, counting those past the first n.
func list(values []string, n int) string {
	if len(values) <= n {
		return strings.Join(values, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(values[:n], ", "), len(values)-n)
}

func (t *text) choices() {
	if len(t.p.Choices) == 0 {
		return
	}
	t.printf("\nPATTERNS\n")
	for _, c := range t.p.Choices {
		t.printf("  %s: %s -> %s: %s, because %s\n", c.Access, c.Caller, t.account(c.Account), c.Pattern, c.Because)
		for _, r := range c.Rejected {
			t.printf("      not %s: %s\n", r.Pattern, r.Because)
		}
	}
}

func (t *text) steps() {
	if len(t.p.Steps)+len(t.p.Kept) == 0 {
		return
	}
	t.printf("\nSTEPS\n")
	number := map[string]int{}
	for i, s := range t.p.Steps {
		number[s.ID] = i + 1
	}
	for i, s := range t.p.Steps {
		t.printf("  %2d %s %s", i+1, t.account(s.Account), s.Summary)
		if len(s.After) > 0 {
			t.printf("   (after %s)", list(numbers(s.After, number), 8))
		}
		t.printf("\n")
	}
	for _, k := range t.p.Kept {
		t.printf("     kept: %s\n", k)
	}
}

// numbers are the steps' places in the list, in order.
func numbers(ids []string, number map[string]int) []string {
	var places []int
	for _, id := range ids {
		places = append(places, number[id])
	}
	slices.Sort(places)
	var out []string
	for _, n := range places {
		out = append(out, strconv.Itoa(n))
	}
	return out
}

func (t *text) budgets() {
	if len(t.p.Steps) == 0 || len(t.p.Budgets) == 0 {
		return
	}
	t.printf("\nBUDGETS\n")
	for _, b := range t.p.Budgets {
		t.printf("  %s: %s %d of %d %s\n", t.account(b.Account), b.What, b.Used, b.Limit, b.Unit)
	}
}

func (t *text) risks() {
	if len(t.p.Risks) == 0 {
		return
	}
	t.printf("\nRISKS\n")
	for _, r := range t.p.Risks {
		t.printf("  %s: %s [%s]\n", r.Level, r.Text, r.Code)
	}
}
