package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Group is a name for several addresses, which commands that work in many accounts
// take in their place.
type Group struct {
	Name string `yaml:"name" json:"name"`
	// Members are addresses, names of sessions and sources, and patterns, in which *
	// stands for anything. A group is no member.
	Members []string `yaml:"members" json:"members"`
}

// GroupError means that one address was wanted and a group was named.
type GroupError struct {
	Group Group
}

// Error lists the members.
func (e *GroupError) Error() string {
	return fmt.Sprintf("it is a group of %s: say one of them, or stile each %s -- COMMAND for all", strings.Join(e.Group.Members, ", "), e.Group.Name)
}

// Check says what is wrong with the group by itself.
func (g *Group) Check() error {
	if err := checkName(g.Name); err != nil {
		return err
	}
	if len(g.Members) == 0 {
		return fmt.Errorf("group %s has no members", g.Name)
	}
	for i, m := range g.Members {
		switch {
		case m == "" || m != strings.TrimSpace(m) || strings.ContainsAny(m, "\t\r\n"): // names of accounts have blanks
			return fmt.Errorf("group %s: member %q: want an address, a name or a pattern", g.Name, m)
		case slices.Contains(g.Members[:i], m):
			return fmt.Errorf("group %s has member %s twice", g.Name, m)
		}
	}
	return nil
}

// checkGroups says what is wrong with the groups; seen are the names of sources and
// sessions.
func (b *Book) checkGroups(seen map[string]bool) error {
	var errs []error
	for i := range b.Groups {
		g := &b.Groups[i]
		errs = append(errs, g.Check())
		if seen[g.Name] {
			errs = append(errs, fmt.Errorf("%s is there twice; sources, sessions and groups share their names", g.Name))
		}
		seen[g.Name] = true
		for _, m := range g.Members {
			if b.Group(m) != nil {
				errs = append(errs, fmt.Errorf("group %s: member %s is a group; say its members", g.Name, m))
			}
		}
	}
	return errors.Join(errs...)
}

// Group is the group of a name, nil for none. It belongs to the book.
func (b *Book) Group(name string) *Group {
	if i := slices.IndexFunc(b.Groups, func(g Group) bool { return g.Name == name }); i >= 0 {
		return &b.Groups[i]
	}
	return nil
}

// Spread puts the members of groups in the place of their names. Other words stay.
func (b *Book) Spread(words []string) []string {
	var out []string
	for _, w := range words {
		if g := b.Group(w); g != nil {
			out = append(out, g.Members...)
			continue
		}
		out = append(out, w)
	}
	return out
}

// holding are the names of the groups that have a member.
func (b *Book) holding(member string) []string {
	var out []string
	for _, g := range b.Groups {
		if slices.Contains(g.Members, member) {
			out = append(out, g.Name)
		}
	}
	return out
}
