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
	p := authz.Principal{Kind: authz.RoleSession, Entity: role, ServiceLinked: serviceLinked(role)}
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

// anySession decides for a session whose name is made up: where documents treat
// sessions of the role by the names given, and the name makes a difference, the
// answer is unknown.
func anySession(p *authz.Principal, names []string, evaluate func(*authz.Principal) authz.Decision) authz.Decision {
	d := evaluate(p)
	for _, name := range names {
		as := named(*p, name)
		other := evaluate(&as)
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

// sessionNames lists names of sessions of p's role that documents treat by name,
// as a principal or by aws:userid, where p's own is made up.
func (s *Side) sessionNames(p *authz.Principal) []string {
	if len(s.sessions)+len(s.userIDs) == 0 || !nameless(p) {
		return nil
	}
	var out []string
	for _, a := range s.sessions {
		if role, session, _ := a.RoleSession(); a.Account == p.Entity.Account && role == p.Entity.Name() {
			out = append(out, session)
		}
	}
	out = append(out, sessionsLike(s.userIDs, p.ID)...)
	slices.Sort(out)
	return slices.Compact(out)
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
