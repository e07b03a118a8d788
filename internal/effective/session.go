package effective

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// sessionName stands for any session name where none is known.
const sessionName = "stile"

// Session is a session of a role, of whatever name.
func (v *View) Session(role arn.ARN) authz.Principal {
	p := authz.Principal{Kind: authz.RoleSession, Entity: role, ServiceLinked: strings.HasPrefix(role.Path(), "/aws-service-role/")}
	if r, _ := v.inv.Accounts[role.Account].Role(role.Name()); r != nil {
		p.ID = r.ID
	}
	return named(p, sessionName)
}

// named is p, a role session, under a session name.
func named(p authz.Principal, session string) authz.Principal {
	p.ARN = arn.SessionARN(p.Entity.Partition, p.Entity.Account, p.Entity.Name(), session)
	if id, _, _ := strings.Cut(p.ID, ":"); id != "" {
		p.ID = id + ":" + session
	}
	return p
}

// nameless reports whether p is a session whose name is made up.
func nameless(p *authz.Principal) bool {
	_, session, ok := p.ARN.RoleSession()
	return ok && session == sessionName && !p.Entity.IsZero()
}

// anySession decides q for a session whose name is made up: where a document
// names sessions of the role, and the name makes a difference, the answer is
// unknown. evaluate decides one question by pols.
func anySession(q Question, pols *authz.Policies, evaluate func(authz.Principal) authz.Decision) authz.Decision {
	d := evaluate(q.Principal)
	if !nameless(&q.Principal) {
		return d
	}
	var names []string
	for _, p := range all(pols) {
		names = append(names, sessionsIn(p.Document(), q.Principal)...)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		other := evaluate(named(q.Principal, name))
		if other.Outcome == d.Outcome {
			continue
		}
		if d.Allowed() {
			d = other
		}
		d.Outcome, d.Missing = authz.Unknown, append(slices.Clone(d.Missing), "whether the session is named "+name)
		return d
	}
	return d
}

// sessionsIn lists names of sessions of p's role that a document treats by
// name: as a principal, or by aws:userid.
func sessionsIn(doc *policy.Document, p authz.Principal) []string {
	var out []string
	for i := range doc.Statements {
		st := &doc.Statements[i]
		for _, list := range []*policy.Principals{st.Principal, st.NotPrincipal} {
			if list == nil {
				continue
			}
			for _, e := range list.Entries {
				a, err := arn.Parse(e.Value.Value)
				if role, session, ok := a.RoleSession(); err == nil && ok && a.Account == p.Entity.Account && role == p.Entity.Name() {
					out = append(out, session)
				}
			}
		}
		for _, c := range st.Conditions {
			if strings.EqualFold(c.Key, "aws:userid") {
				out = append(out, sessionsLike(c.Values, p.ID)...)
			}
		}
	}
	return out
}

// sessionsLike gives names of sessions with whose unique id a value agrees.
func sessionsLike(values []policy.Text, id string) []string {
	role, _, _ := strings.Cut(id, ":")
	if role == "" {
		return nil
	}
	var out []string
	for _, value := range values {
		if whole, ok := overlap(role+":*", value.Value); ok && whole != role+":" {
			out = append(out, strings.TrimPrefix(whole, role+":"))
		}
	}
	return out
}
