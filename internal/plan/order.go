package plan

import (
	"cmp"
	"container/heap"
	"slices"
	"sort"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/policy"
)

// order fills in After and sorts the steps so that each stands behind what it
// waits for, otherwise by account and id.
//
// The rules: a role waits for the providers and roles its trust names, for IAM
// refuses principals that do not exist; an inline policy waits for its role and
// for the roles it lets its holder assume; a statement waits for the principals
// it names. Grants go before what they grant to: inline policies and statements
// are removed before roles, roles before the roles they trust, roles before providers.
func order(steps []Step) []Step {
	steps = slices.Clone(steps)
	slices.SortFunc(steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID))
	})
	makers := map[string]string{} // principal or provider ARN -> step that creates it
	for _, s := range steps {
		if s.Verb != Create {
			continue
		}
		if s.Op.Provider != nil {
			makers[s.Op.Provider.ARN] = s.ID
		}
		if s.Op.Role != nil {
			makers[roleARN(s)] = s.ID
		}
	}
	for i := range steps {
		steps[i].After = after(&steps[i], steps, makers)
	}
	return sortByAfter(steps)
}

func roleARN(s Step) string {
	return arn.IAM("aws", s.Account, "role", s.Op.Role.Path, s.Op.Role.Name).String()
}

// rank orders steps that do not wait for each other in a way people expect.
func rank(s Step) int {
	if isRemoval(s) {
		switch {
		case s.Op.Role != nil:
			return 6
		case s.Op.Provider != nil:
			return 7
		}
		return 5
	}
	switch {
	case s.Op.Provider != nil:
		return 0
	case s.Op.Role != nil:
		return 1
	case s.Op.Inline != nil:
		return 2
	}
	return 3
}

func isRemoval(s Step) bool {
	return s.Verb == Delete || s.Op.Merge != nil && len(s.Op.Merge.Put) == 0
}

func after(s *Step, all []Step, makers map[string]string) []string {
	var out []string
	wait := func(id string) {
		if id != "" && id != s.ID && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	for _, name := range mentions(s) {
		wait(makers[name])
	}
	if in := s.Op.Inline; in != nil && in.Kind == "role" && s.Verb != Delete {
		wait(madeHere(all, s.Account, in.Name))
	}
	if s.Verb == Delete && (s.Op.Role != nil || s.Op.Provider != nil) {
		for i := range all {
			if goesBefore(&all[i], s) {
				wait(all[i].ID)
			}
		}
	}
	slices.Sort(out)
	return out
}

// madeHere is the step that creates a role of an account, "" when none does.
func madeHere(all []Step, account arn.AccountID, role string) string {
	for _, s := range all {
		if s.Verb == Create && s.Op.Role != nil && s.Account == account && s.Op.Role.Name == role {
			return s.ID
		}
	}
	return ""
}

// goesBefore reports whether other must be done before the deletion d: what is
// made or changed may replace it, what is removed may depend on it.
func goesBefore(other, d *Step) bool {
	if other.ID == d.ID {
		return false
	}
	if other.Op.Inline != nil && other.Op.Inline.Kind == "role" && d.Op.Role != nil && other.Account == d.Account && other.Op.Inline.Name == d.Op.Role.Name {
		return true
	}
	if isDeletedRole(other) && isDeletedRole(d) {
		return other.before != nil && slices.Contains(named(other.before), roleARN(*d))
	}
	return rank(*other) < rank(*d)
}

func isDeletedRole(s *Step) bool { return s.Verb == Delete && s.Op.Role != nil }

// mentions lists the ARNs a step's documents name: principals, and the roles
// that may be assumed.
func mentions(s *Step) []string {
	var docs []*policy.Document
	switch {
	case s.Op.Role != nil && s.Op.Role.Trust != nil:
		docs = append(docs, s.Op.Role.Trust)
	case s.Op.Inline != nil && s.Op.Inline.Document != nil:
		docs = append(docs, s.Op.Inline.Document)
	case s.Op.Merge != nil:
		docs = append(docs, &policy.Document{Statements: s.Op.Merge.Put})
	}
	var out []string
	for _, d := range docs {
		out = append(out, named(d)...)
	}
	return out
}

// named lists the principals of a document and the roles its resources name.
func named(d *policy.Document) []string {
	var out []string
	for _, st := range d.Statements {
		if st.Principal != nil {
			for _, p := range st.Principal.Entries {
				out = append(out, p.Value.Value)
			}
		}
		for _, r := range st.Resources {
			if strings.Contains(r.Value, ":role/") {
				out = append(out, r.Value)
			}
		}
	}
	return out
}

// sortByAfter is a stable topological sort: of the steps that wait for nothing
// more, the first in the given order is next. A cycle cannot arise from trust
// (access refuses cyclic chains); should one be left, its steps keep their
// order at the end and apply's retries sort it out.
func sortByAfter(steps []Step) []Step {
	at := make(map[string]int, len(steps))
	for i := range steps {
		at[steps[i].ID] = i
	}
	waits := make([]int, len(steps)) // how many steps it still waits for
	next := make([][]int, len(steps))
	for i := range steps {
		for _, id := range steps[i].After {
			if j, ok := at[id]; ok {
				waits[i]++
				next[j] = append(next[j], i)
			}
		}
	}
	ready := &indexes{}
	for i, n := range waits {
		if n == 0 {
			heap.Push(ready, i)
		}
	}
	out := make([]Step, 0, len(steps))
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int)
		out = append(out, steps[i])
		for _, j := range next[i] {
			if waits[j]--; waits[j] == 0 {
				heap.Push(ready, j)
			}
		}
	}
	for i, n := range waits {
		if n > 0 {
			out = append(out, steps[i])
		}
	}
	return out
}

// indexes is a heap of positions, the smallest first.
type indexes struct{ sort.IntSlice }

// Push implements heap.Interface.
func (x *indexes) Push(v any) { x.IntSlice = append(x.IntSlice, v.(int)) }

// Pop implements heap.Interface.
func (x *indexes) Pop() any {
	last := len(x.IntSlice) - 1
	v := x.IntSlice[last]
	x.IntSlice = x.IntSlice[:last]
	return v
}
