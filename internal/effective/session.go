package effective

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/inventory"
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

// A variant is who a caller may be of whom not everything is known.
type variant struct {
	principal authz.Principal
	question  string // "whether …", that tells it from the caller as asked about
}

// variants lists whom p may be whom documents treat in another way: a session
// whose name is made up under the names they speak of, and a session of a role
// that was not read as one of the role's possible paths.
func (v *View) variants(p *authz.Principal, s *said) []variant {
	var out []variant
	for _, name := range s.sessionNames(p) {
		out = append(out, variant{named(*p, name), "whether the session is named " + name})
	}
	if !v.pathless(p) {
		return out
	}
	role, _, _ := p.ARN.RoleSession()
	for _, a := range s.roles {
		if a.Account == p.ARN.Account && a.Name() == role {
			other := *p
			other.Entity = a
			out = append(out, variant{other, "whether the role is " + a.String()})
		}
	}
	if strings.HasPrefix(role, "AWSServiceRoleFor") {
		other := *p
		other.ServiceLinked = true
		out = append(out, variant{other, "whether role " + role + " is a service-linked role"})
	}
	return out
}

// pathless reports whether p is a session of a role of which the path is not known.
func (v *View) pathless(p *authz.Principal) bool {
	if !p.Entity.IsZero() {
		return false
	}
	role, _, ok := p.ARN.RoleSession()
	if !ok {
		return false
	}
	_, state := v.inv.Accounts[p.ARN.Account].Role(role)
	return state == inventory.NotAsked || state == inventory.Unread
}

// decideAll decides for a caller and its variants: where they are not treated
// alike the answer is unknown.
func decideAll(p *authz.Principal, variants []variant, evaluate func(*authz.Principal) authz.Decision) authz.Decision {
	d := evaluate(p)
	for i := range variants {
		other := evaluate(&variants[i].principal)
		switch {
		case other.Outcome == d.Outcome:
			continue
		case denied(other.Outcome) && denied(d.Outcome):
			if other.Outcome == authz.ImplicitDeny {
				d = other // not every one is denied explicitly
			}
			continue
		}
		if d.Allowed() {
			d = other
		}
		d.Outcome, d.Missing = authz.Unknown, append(slices.Clone(d.Missing), variants[i].question)
		return d
	}
	return d
}

func denied(o authz.Outcome) bool { return o == authz.ImplicitDeny || o == authz.ExplicitDeny }

// sessionNames lists names of sessions of p's role that documents treat by name,
// as a principal or by aws:userid, where p's own is made up.
func (s *said) sessionNames(p *authz.Principal) []string {
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
