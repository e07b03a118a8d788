package inventory

import (
	"slices"

	"github.com/stile-aws/stile/policy"
)

// Near is the account that somebody may have meant by name, by its name or its id; ""
// when none is like it.
func (inv *Inventory) Near(name string) string {
	var known []string
	for id, a := range inv.Accounts {
		if a == nil {
			continue
		}
		known = append(known, string(id))
		if a.Name != "" {
			known = append(known, a.Name)
		}
	}
	return nearest(name, known)
}

// NearRole is the role of the account that somebody may have meant by name, "" when
// none is like it. a may be nil.
func (a *Account) NearRole(name string) string {
	var known []string
	if a != nil {
		for _, r := range a.Roles {
			if r != nil {
				known = append(known, r.Name)
			}
		}
	}
	return nearest(name, known)
}

// NearUser is NearRole for users.
func (a *Account) NearUser(name string) string {
	var known []string
	if a != nil {
		for _, u := range a.Users {
			if u != nil {
				known = append(known, u.Name)
			}
		}
	}
	return nearest(name, known)
}

// nearest is the same whatever the order of a map.
func nearest(name string, known []string) string {
	slices.Sort(known)
	return policy.Closest(name, known)
}
