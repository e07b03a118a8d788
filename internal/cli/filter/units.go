package filter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/known"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/scope"
)

// unit is an organizational unit; one that was asked for live has no id here.
type unit struct{ id, name string }

// units are the organizational units above each account, the one below the root
// first; for an account outside them, none.
type units struct {
	above map[arn.AccountID][]unit
	ids   map[string]arn.AccountID // by names that only one account has
	whole bool                     // ids of units are known
}

// readUnits reads the units from where the flags say, nil where they say nothing.
func (f *Flags) readUnits(ctx context.Context, s *term.Streams) (*units, error) {
	switch {
	case f.Inventory != "":
		inv, err := state.Inventory(s, f.Inventory)
		if err != nil {
			return nil, err
		}
		if inv.Organization == nil || inv.Organization.Root == nil {
			return nil, fmt.Errorf("reading organizational units: inventory %s has no organization; stile observe of the management account, or of a delegated administrator, reads it", f.Inventory)
		}
		return savedUnits(inv.Organization), nil
	case f.Organization != "":
		return f.liveUnits(ctx, s)
	case f.Unit != "":
		return nil, errors.New("--ou: in which organizational units accounts are is not known here; give --inventory FILE (stile observe --out FILE), or --organization ADDRESS of a role that may read AWS Organizations")
	}
	return nil, nil
}

func savedUnits(org *inventory.Organization) *units {
	u := &units{above: map[arn.AccountID][]unit{}, whole: true}
	names := map[arn.AccountID]string{}
	var walk func(n *inventory.Node, above []unit)
	walk = func(n *inventory.Node, above []unit) {
		if id := arn.AccountID(n.ID); id.Valid() {
			u.above[id], names[id] = above, n.Name
			return
		}
		if n != org.Root {
			above = append(above[:len(above):len(above)], unit{n.ID, n.Name})
		}
		for _, child := range n.Children {
			walk(child, above)
		}
	}
	walk(org.Root, []unit{})
	u.index(names)
	return u
}

// liveUnits asks AWS Organizations as somebody who may.
func (f *Flags) liveUnits(ctx context.Context, s *term.Streams) (*units, error) {
	way, err := new(route.Options).Open(ctx, s, f.Organization)
	if err != nil {
		return nil, err
	}
	defer way.Close()
	cfg, err := scope.LoadDefault(ctx, "", way.Region.Name)
	if err != nil {
		return nil, err
	}
	cfg.Credentials = way.Credentials
	accounts, err := stile.Organization(cfg, false).Accounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading organizational units as %s: %w", f.Organization, err)
	}
	u := &units{above: map[arn.AccountID][]unit{}}
	names := map[arn.AccountID]string{}
	for _, a := range accounts {
		above := []unit{}
		for _, name := range a.Units {
			above = append(above, unit{name: name})
		}
		u.above[a.ID], names[a.ID] = above, a.Name
	}
	u.index(names)
	return u, nil
}

func (u *units) index(names map[arn.AccountID]string) {
	u.ids = map[string]arn.AccountID{}
	for id, name := range names {
		if name == "" {
			continue // what is of no account is not of this one
		}
		if _, twice := u.ids[name]; twice {
			u.ids[name] = ""
			continue
		}
		u.ids[name] = id
	}
}

// of are the units above an entry's account; ok is false where it is not known
// which account that is, or where it stands.
func (u *units) of(e *known.Entry) (above []unit, ok bool) {
	id := arn.AccountID(e.AccountID)
	if id == "" {
		id = u.ids[e.Account]
	}
	above, ok = u.above[id]
	return above, ok
}

// check makes sure that there is such a unit.
func (u *units) check(wanted string) error {
	if isID(wanted) && !u.whole {
		return fmt.Errorf("--ou %s: AWS Organizations was asked for names; give a unit's name or path, or --inventory FILE", wanted)
	}
	paths := map[string]bool{}
	for _, above := range u.above {
		if within(above, wanted) {
			return nil
		}
		for i := range above {
			paths[join(above[:i+1])] = true
		}
	}
	all := slices.Sorted(maps.Keys(paths))
	hint := diag.DidYouMean(wanted, all)
	if hint == "" && len(all) > 0 {
		hint = "there are " + strings.Join(all[:min(len(all), 20)], ", ")
	}
	if hint != "" {
		hint = " (" + hint + ")"
	}
	return fmt.Errorf("--ou %s: no organizational unit with an account is called so%s", wanted, hint)
}

func isID(wanted string) bool { return strings.HasPrefix(wanted, "ou-") }

func join(above []unit) string {
	var names []string
	for _, u := range above {
		names = append(names, u.name)
	}
	return strings.Join(names, "/")
}

// within reports that one of the units above is the one that is wanted: by its id,
// its path from the root, or its name wherever it stands.
func within(above []unit, wanted string) bool {
	wanted = strings.Trim(wanted, "/")
	for i, u := range above {
		if isID(wanted) && u.id == wanted || u.name == wanted || join(above[:i+1]) == wanted {
			return true
		}
	}
	return false
}
