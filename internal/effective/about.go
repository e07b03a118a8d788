package effective

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// About is s for questions about one action only: condition keys that no
// statement about the action mentions are not looked for. The answers are the
// same, sooner.
func (v *View) About(s *Side, action string) *Side {
	out := *s
	out.keys, out.userid = nil, false
	for p := range each(&s.policies) {
		m := v.mentionsAbout(p, strings.ToLower(action))
		out.keys = joined(out.keys, m.keys)
		out.userid = out.userid || m.userIDVariable
	}
	if len(out.keys) > 1 {
		out.keys = slices.Clone(out.keys)
		slices.Sort(out.keys)
		out.keys = slices.Clip(slices.Compact(out.keys))
	}
	return &out
}

type aboutKey struct {
	policy *authz.Policy
	action string
}

// mentionsAbout is mentionsOf for the statements about an action, in lower case.
func (v *View) mentionsAbout(p *authz.Policy, action string) *mentions {
	key := aboutKey{p, action}
	if known, ok := v.mentions.Load(key); ok {
		return known.(*mentions)
	}
	var some policy.Document
	for _, st := range p.Document().Statements {
		if isAbout(&st, action) {
			some.Statements = append(some.Statements, st)
		}
	}
	known, _ := v.mentions.LoadOrStore(key, mentionsIn(&some))
	return known.(*mentions)
}

func isAbout(st *policy.Statement, action string) bool {
	list := st.Actions
	if st.NotActions != nil {
		list = st.NotActions
	}
	matches := slices.ContainsFunc(list, func(a policy.Text) bool { return policy.Glob(strings.ToLower(a.Value), action) })
	return matches == (st.NotActions == nil)
}
