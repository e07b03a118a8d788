package snapshot

import (
	"iter"
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/policy"
)

// settled are condition keys whose values follow from who calls and what for.
// All others depend on how: the network, tags passed, the time, MFA.
func settled(key string) bool {
	return slices.Contains([]string{
		"aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:principaltype", "aws:principalisawsservice",
		"aws:userid", "aws:username", "aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths", "aws:securetransport", "kms:calleraccount",
	}, key)
}

// open is the context of q with every other key unknown that a document of
// either side depends on, unless q gives it.
func open(q effective.Question, sides ...*effective.Side) authz.Context {
	out := q.Context.Clone()
	note := func(st *policy.Statement) {
		for key := range keysOf(st) {
			key = strings.ToLower(key)
			if _, present, known := q.Context.Get(key); !settled(key) && !present && known {
				out.SetUnknown(key)
			}
		}
	}
	for _, side := range sides {
		for doc := range documentsOf(side.Policies()) {
			for i := range doc.Statements {
				note(&doc.Statements[i])
			}
		}
	}
	return out
}

func documentsOf(pols *authz.Policies) iter.Seq[*policy.Document] {
	all := slices.Concat(pols.Identity, pols.Session, []*authz.Policy{pols.Boundary, pols.Resource, pols.Endpoint})
	for _, level := range slices.Concat(pols.SCPs, pols.RCPs) {
		all = append(all, level.Policies...)
	}
	return func(yield func(*policy.Document) bool) {
		for _, p := range all {
			if p != nil && !yield(p.Document()) {
				return
			}
		}
	}
}

// keysOf yields the keys of a statement's conditions and variables.
func keysOf(st *policy.Statement) iter.Seq[string] {
	return func(yield func(string) bool) {
		texts := slices.Concat(st.Resources, st.NotResources)
		for _, c := range st.Conditions {
			if !yield(c.Key) {
				return
			}
			texts = append(texts, c.Values...)
		}
		for _, t := range texts {
			for rest := t.Value; ; {
				_, after, found := strings.Cut(rest, "${")
				if !found {
					break
				}
				key, tail, _ := strings.Cut(after, "}")
				key, _, _ = strings.Cut(key, ",")
				if !yield(strings.TrimSpace(key)) {
					return
				}
				rest = tail
			}
		}
	}
}
