package verify

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/stile-aws/stile/arn"
)

// Text writes the report for people: what is wrong first and in full, findings
// with one reason together, then what holds, a line for each caller and Access
// and for each trust policy. name says how people call an account; nil for its
// id. The error is w's own.
func (r *Report) Text(w io.Writer, name func(arn.AccountID) string) error {
	if name == nil {
		name = func(id arn.AccountID) string { return string(id) }
	}
	t := &text{report: r, name: name}
	bad := t.wrong()
	allowed, refused := t.allowed(), t.refused()
	for _, a := range r.Assumed {
		fmt.Fprintf(t, "assumed  %s\n", a)
	}
	verdict := "verified"
	if !r.OK {
		verdict = "NOT verified"
	}
	fmt.Fprintf(t, "%s: %d hops and actions allowed as declared, %d strangers refused, %d findings against it\n", verdict, allowed, refused, bad)
	_, err := w.Write(t.Bytes())
	return err
}

// text is a report on its way to paper.
type text struct {
	bytes.Buffer
	report *Report
	name   func(arn.AccountID) string
}

// wrong writes what is not as it should be.
func (t *text) wrong() int {
	total := 0
	for _, k := range kindOrder {
		if k == Allowed || k == Refused {
			continue
		}
		for _, g := range t.report.groups(k, func(f *Finding) string { return f.Text }) {
			total += len(g.findings)
			fmt.Fprintf(t, "%-8s %s\n", k, g.name)
			for _, f := range g.findings {
				fmt.Fprintf(t, "           %s: %s\n", t.name(f.Account), f.What)
			}
		}
	}
	return total
}

// allowed writes a line for each Access, caller and account.
func (t *text) allowed() int {
	total := 0
	for _, g := range t.report.groups(Allowed, func(f *Finding) string {
		return fmt.Sprintf("%s  %s in %s", f.Access, f.Caller, t.name(f.Account))
	}) {
		total += len(g.findings)
		var what []string
		for _, f := range g.findings {
			what = append(what, strings.TrimPrefix(f.What, f.Caller+": "))
		}
		fmt.Fprintf(t, "allowed  %s: %s\n", g.name, some(what, 3))
	}
	return total
}

// refused writes a line for each trust policy with who was tried.
func (t *text) refused() int {
	total := 0
	for _, g := range t.report.groups(Refused, func(f *Finding) string { return fmt.Sprintf("%s in %s", f.What, t.name(f.Account)) }) {
		total += len(g.findings)
		var who []string
		for _, f := range g.findings {
			name, _, _ := strings.Cut(strings.TrimPrefix(f.Text, "it refuses "), ": ")
			who = append(who, name)
		}
		fmt.Fprintf(t, "refused  %s: %s\n", g.name, some(who, len(who)))
	}
	return total
}

// group is findings that share a line.
type group struct {
	name     string
	findings []*Finding
}

// groups gathers the findings of a kind by name, in the order met.
func (r *Report) groups(k Kind, name func(*Finding) string) []group {
	var out []group
	at := map[string]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Kind != k {
			continue
		}
		n := name(f)
		j, met := at[n]
		if !met {
			j = len(out)
			at[n] = j
			out = append(out, group{name: n})
		}
		out[j].findings = append(out[j].findings, f)
	}
	return out
}

// some lists the first n and counts the rest.
func some(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(list[:n], "; "), len(list)-n)
}
