package sessions

import (
	"fmt"
	"slices"

	"github.com/stile-aws/stile/internal/session"
)

// grouped changes what flags say of a group.
func (o *adding) grouped(g *session.Group) error {
	if err := fitting(o.given, g.Name, aGroup); err != nil {
		return err
	}
	o.set("member", func() { g.Members = o.members })
	g.Members = slices.Clone(g.Members)
	for _, m := range o.more {
		if !slices.Contains(g.Members, m) {
			g.Members = append(g.Members, m)
		}
	}
	for _, m := range o.fewer {
		i := slices.Index(g.Members, m)
		if i < 0 {
			return fmt.Errorf("group %s has no member %s", g.Name, m)
		}
		g.Members = slices.Delete(g.Members, i, i+1)
	}
	if len(g.Members) == 0 {
		return fmt.Errorf("group %s would have no members; stile sessions rm %s removes it", g.Name, g.Name)
	}
	return g.Check()
}
