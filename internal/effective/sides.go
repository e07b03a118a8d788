package effective

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// A Side is what one side of a request brings to it, gathered once and shared
// by many questions: see [View.Caller], [View.Guard] and [View.Decide]. It
// never changes and may be used by any number of goroutines at once.
type Side struct {
	policies authz.Policies
	keys     []string // condition keys that the documents mention, sorted, lower case
	userid   bool     // a document has aws:userid as a policy variable
	sessions bool     // a document may treat sessions of a role by their names
}

// Caller gathers what p brings to every request it makes: its identity
// policies, its boundary and the service control policies above its account.
func (v *View) Caller(p authz.Principal) *Side {
	s := &Side{}
	v.callerPolicies(&p, &s.policies)
	v.scps(p.Account(), &s.policies)
	s.index()
	return s
}

// Guard gathers what the resource of q brings to every request of that action
// to it. The principal and the context of q do not count.
func (v *View) Guard(q Question) *Side {
	s := &Side{}
	v.guardPolicies(q, &s.policies)
	s.index()
	return s
}

// index looks through the documents for what decides how requests are completed.
func (s *Side) index() {
	for _, p := range all(&s.policies) {
		doc := p.Document()
		s.keys = append(s.keys, keysOf(doc)...)
		s.userid = s.userid || variablesOf(doc)["aws:userid"]
		s.sessions = s.sessions || namesSessions(doc)
	}
	slices.Sort(s.keys)
	s.keys = slices.Clip(slices.Compact(s.keys))
}

// namesSessions reports whether doc may treat the sessions of some role by
// their names.
func namesSessions(doc *policy.Document) bool {
	for i := range doc.Statements {
		st := &doc.Statements[i]
		for _, list := range []*policy.Principals{st.Principal, st.NotPrincipal} {
			if list != nil && slices.ContainsFunc(list.Entries, func(e policy.PrincipalEntry) bool { return isSession(e.Value.Value) }) {
				return true
			}
		}
		if slices.ContainsFunc(st.Conditions, func(c policy.Condition) bool { return strings.EqualFold(c.Key, "aws:userid") }) {
			return true
		}
	}
	return false
}

// Policies has the documents of the side, which must not be changed. Those of
// the other side are not among them.
func (s *Side) Policies() *authz.Policies { return &s.policies }

// Decide answers q as [View.Ask] does, by sides gathered before: caller that
// of q's principal, guard that of its action and resource. It says nothing of
// why. Safe for concurrent use.
func (v *View) Decide(q Question, caller, guard *Side) authz.Outcome {
	pols := join(caller, guard)
	if (caller.sessions || guard.sessions) && nameless(&q.Principal) {
		return v.decide(q, &pols).Outcome
	}
	req := v.request(q, q.Principal)
	keys := merged(caller.keys, guard.keys)
	if len(keys) > 0 || len(pols.Grants) > 0 {
		req.Context = q.Context.Clone()
		v.completeKeys(&req, keys, caller.userid || guard.userid)
	}
	return authz.Decide(&req, &pols, nil)
}

// Explain is Decide with everything that led to the answer.
func (v *View) Explain(q Question, caller, guard *Side) authz.Decision {
	pols := join(caller, guard)
	return v.decide(q, &pols)
}

func join(caller, guard *Side) authz.Policies {
	pols := caller.policies
	g := &guard.policies
	pols.Resource, pols.RCPs, pols.Grants, pols.Endpoint = g.Resource, g.RCPs, g.Grants, g.Endpoint
	if len(g.Unread) > 0 {
		pols.Unread = slices.Concat(pols.Unread, g.Unread)
	}
	return pols
}

// merged joins two sorted lists without repetitions.
func merged(a, b []string) []string {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// isSession reports whether a principal is a session of a role, by its ARN.
func isSession(text string) bool {
	a, err := arn.Parse(text)
	if err != nil {
		return false
	}
	_, _, ok := a.RoleSession()
	return ok
}
