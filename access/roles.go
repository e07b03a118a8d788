package access

import (
	"fmt"
	"slices"
	"strings"
)

// A role that declarations ask for, or that assumes another: IAM compares role
// names without regard to case.
type roleID struct{ account, name string }

func newRoleID(account, name string) roleID { return roleID{account, strings.ToLower(name)} }

func (r roleID) String() string { return r.account + "/" + r.name }

// claim is one caller's use of a role made by stile.
type claim struct {
	caller     string
	externalID string
	hub        bool // as a hub of a chain, not as a target role
	shared     bool
	pos        Pos
}

// String names the caller the way addresses do: "serviceaccount:C/N/S", or an
// ARN-like "role ACCOUNT/PATH/NAME".
func (c Caller) String() string {
	switch {
	case c.ServiceAccount != nil:
		return c.ServiceAccount.String()
	case c.Role != nil:
		return "role " + c.Role.Account + c.Role.Path + c.Role.Name
	case c.User != nil:
		return "user " + c.User.Account + c.User.Path + c.User.Name
	}
	return "nobody"
}

// String is the service account's address, "serviceaccount:CLUSTER/NAMESPACE/NAME".
func (s ServiceAccount) String() string {
	return serviceAccountPrefix + s.Cluster + "/" + s.Namespace + "/" + s.Name
}

// kinds counts the fields that are set, 1 for a caller that was read well.
func (c Caller) kinds() int {
	n := 0
	for _, set := range []bool{c.ServiceAccount != nil, c.Role != nil, c.User != nil} {
		if set {
			n++
		}
	}
	return n
}

// externalID is what the caller must pass, "" for nothing.
func (c Caller) externalID() string {
	for _, n := range []*IAMName{c.Role, c.User} {
		if n != nil {
			return n.ExternalID
		}
	}
	return ""
}

// makesRole reports whether some item of a leads to a role in the targets.
func (a *Access) makesRole() bool {
	return slices.ContainsFunc(a.Allow, func(w Allow) bool {
		return w.Via != ResourcePolicy && (w.Via != "" || a.Via != ResourcePolicy)
	})
}

// roles checks the roles that all Accesses ask for together: two callers must
// not claim one by accident, and roles must not assume each other in a circle.
// Names that the compiler will derive are its own to keep apart.
func (l *loader) roles() {
	claims := map[roleID][]claim{}
	edges := map[roleID][]roleID{}
	for _, a := range l.set.Accesses {
		for _, c := range a.From {
			l.claims(a, c, claims, edges)
		}
	}
	l.cycles(edges)
}

func (l *loader) claims(a *Access, c Caller, claims map[roleID][]claim, edges map[roleID][]roleID) {
	var hub roleID
	if sa := c.ServiceAccount; sa != nil && a.Hub != "" {
		if cluster, ok := l.set.Cluster(sa.Cluster); ok {
			hub = newRoleID(cluster.Account, a.Hub)
			l.claim(claims, hub, claim{caller: c.String(), hub: true, shared: a.Shared, pos: l.posOf(&a.Hub, a.Pos)})
		}
	} else if c.Role != nil {
		hub = newRoleID(c.Role.Account, c.Role.Name)
	}
	if a.As == "" || !a.makesRole() {
		return
	}
	for _, target := range a.To.Accounts {
		role := newRoleID(target, a.As)
		l.claim(claims, role, claim{caller: c.String(), externalID: c.externalID(), shared: a.Shared, pos: l.posOf(&a.As, a.Pos)})
		if hub != (roleID{}) && !slices.Contains(edges[hub], role) {
			edges[hub] = append(edges[hub], role)
		}
	}
}

// claim records c and reports the first claim it collides with.
func (l *loader) claim(claims map[roleID][]claim, role roleID, c claim) {
	before := claims[role]
	claims[role] = append(before, c)
	for _, b := range before {
		switch {
		case b.hub != c.hub:
			l.fail(c.pos, CodeRoleClaimed, says{
				what: fmt.Sprintf("role %s is claimed as a hub and as a target role", role), why: "the other claim is at " + b.pos.String(), hint: "give one of them another name",
			})
		case b.caller != c.caller && !(b.shared && c.shared):
			l.fail(c.pos, CodeRoleClaimed, says{
				what: fmt.Sprintf("role %s is claimed by %s and by %s", role, b.caller, c.caller), why: "the other claim is at " + b.pos.String(),
				hint: "give each caller a role of its own, or write shared: true in every Access that uses this one",
			})
		case b.caller == c.caller && b.externalID != c.externalID:
			l.fail(c.pos, CodeConflict, says{
				what: fmt.Sprintf("%s must pass different external ids for role %s", c.caller, role), why: "the other declaration is at " + b.pos.String(),
				hint: "write the same externalID in both",
			})
		default:
			continue
		}
		return
	}
}

// cycles reports each circle of roles once, at the Access that closes it.
func (l *loader) cycles(edges map[roleID][]roleID) {
	done := map[roleID]bool{}
	var path []roleID
	var visit func(r roleID)
	visit = func(r roleID) {
		if i := slices.Index(path, r); i >= 0 {
			l.cycle(append(slices.Clone(path[i:]), r))
			return
		}
		if done[r] {
			return
		}
		path = append(path, r)
		for _, next := range edges[r] {
			visit(next)
		}
		path = path[:len(path)-1]
		done[r] = true
	}
	for _, a := range l.set.Accesses { // in order of names, for the same report every time
		for _, target := range a.To.Accounts {
			if a.As != "" {
				visit(newRoleID(target, a.As))
			}
		}
	}
}

func (l *loader) cycle(path []roleID) {
	var names []string
	for _, r := range path {
		names = append(names, r.String())
	}
	last := path[len(path)-1]
	pos := l.set.Scope.Pos
	for _, a := range l.set.Accesses {
		for _, target := range a.To.Accounts {
			if newRoleID(target, a.As) == last {
				pos = l.posOf(&a.As, a.Pos)
			}
		}
	}
	l.fail(pos, CodeCycle, says{
		what: "roles assume each other in a circle: " + strings.Join(names, " -> "),
		why:  "each would be created before the one it trusts",
		hint: "let one of them be called by something outside the circle",
	})
}
