package verify

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Text writes the report for people: what is wrong first and in full, then
// what holds, a line for each caller and Access and for each trust policy. The
// error is w's own.
func (r *Report) Text(w io.Writer) error {
	var b bytes.Buffer
	bad := 0
	for i := range r.Findings {
		if f := &r.Findings[i]; !f.OK() {
			bad++
			fmt.Fprintf(&b, "%-8s %s %s\n           %s\n", f.Kind, f.Account, f.What, f.Text)
		}
	}
	allowed := r.allowed(&b)
	refused := r.refused(&b)
	verdict := "verified"
	if !r.OK {
		verdict = "NOT verified"
	}
	fmt.Fprintf(&b, "%s: %d hops and actions allowed as declared, %d strangers refused, %d findings against it\n", verdict, allowed, refused, bad)
	_, err := w.Write(b.Bytes())
	return err
}

// allowed writes a line for each Access, caller and account.
func (r *Report) allowed(b *bytes.Buffer) int {
	total := 0
	for _, g := range r.groups(Allowed, func(f *Finding) string {
		return fmt.Sprintf("%s  %s in %s", f.Access, f.Caller, f.Account)
	}) {
		total += len(g.findings)
		var what []string
		for _, f := range g.findings {
			what = append(what, strings.TrimPrefix(f.What, f.Caller+": "))
		}
		fmt.Fprintf(b, "allowed  %s: %s\n", g.name, some(what, 3))
	}
	return total
}

// refused writes a line for each trust policy with who was tried.
func (r *Report) refused(b *bytes.Buffer) int {
	total := 0
	for _, g := range r.groups(Refused, func(f *Finding) string { return fmt.Sprintf("%s in %s", f.What, f.Account) }) {
		total += len(g.findings)
		var who []string
		for _, f := range g.findings {
			name, _, _ := strings.Cut(strings.TrimPrefix(f.Text, "it refuses "), ": ")
			who = append(who, name)
		}
		fmt.Fprintf(b, "refused  %s: %s\n", g.name, some(who, len(who)))
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
