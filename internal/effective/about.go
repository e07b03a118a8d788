package effective

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// About is s for [View.Decide] on questions about one action only, without the
// statements about others. The answers are the same, sooner.
func (v *View) About(s *Side, action string) *Side {
	action = strings.ToLower(action)
	out := *s
	pols := &out.policies
	pols.Identity = v.narrowedAll(pols.Identity, action)
	pols.Boundary, pols.Resource = v.keptNarrowed(pols.Boundary, action), v.keptNarrowed(pols.Resource, action)
	pols.SCPs, pols.RCPs = v.narrowedLevels(pols.SCPs, action), v.narrowedLevels(pols.RCPs, action)
	said := &out.said
	said.keys, said.userid = nil, false
	for p := range each(pols) {
		m := v.mentionsOf(p)
		said.keys = merged(nil, said.keys, m.keys)
		said.userid = said.userid || m.userIDVariable
	}
	return &out
}

// aboutKey names what was narrowed: a policy, or levels by the first of them.
type aboutKey struct {
	policy *authz.Policy
	levels *authz.Level
	action string
}

// narrowed is a policy with its statements about an action, given in lower case,
// alone; nil when there are none.
func (v *View) narrowed(p *authz.Policy, action string) *authz.Policy {
	key := aboutKey{policy: p, action: action}
	if known, ok := v.about.Load(key); ok {
		return known.(*authz.Policy)
	}
	known, _ := v.about.LoadOrStore(key, narrow(p, action))
	return known.(*authz.Policy)
}

func narrow(p *authz.Policy, action string) *authz.Policy {
	doc := *p.Document()
	doc.Statements = nil
	for _, st := range p.Document().Statements {
		if isAbout(&st, action) {
			doc.Statements = append(doc.Statements, st)
		}
	}
	switch len(doc.Statements) {
	case 0:
		return nil
	case len(p.Document().Statements):
		return p
	}
	out, err := authz.Compile(&doc, p.Source())
	if err != nil {
		return p // it was compiled before, so it compiles
	}
	return out
}

// keptNarrowed is narrowed for policies of which it counts that there is one.
func (v *View) keptNarrowed(p *authz.Policy, action string) *authz.Policy {
	if p == nil {
		return nil
	}
	if some := v.narrowed(p, action); some != nil {
		return some
	}
	return p
}

func (v *View) narrowedAll(list []*authz.Policy, action string) []*authz.Policy {
	var out []*authz.Policy
	for _, p := range list {
		if some := v.narrowed(p, action); some != nil {
			out = append(out, some)
		}
	}
	return slices.Clip(out)
}

// narrowedLevels narrows the levels above an account, which its principals share.
func (v *View) narrowedLevels(levels []authz.Level, action string) []authz.Level {
	if len(levels) == 0 {
		return levels
	}
	key := aboutKey{levels: &levels[0], action: action}
	if known, ok := v.about.Load(key); ok {
		return known.([]authz.Level)
	}
	out := make([]authz.Level, len(levels))
	for i := range levels {
		out[i] = authz.Level{Node: levels[i].Node, Policies: v.narrowedAll(levels[i].Policies, action)}
	}
	known, _ := v.about.LoadOrStore(key, out)
	return known.([]authz.Level)
}

func isAbout(st *policy.Statement, action string) bool {
	list := st.Actions
	if st.NotActions != nil {
		list = st.NotActions
	}
	matches := slices.ContainsFunc(list, func(a policy.Text) bool { return policy.Glob(strings.ToLower(a.Value), action) })
	return matches == (st.NotActions == nil)
}
