package ls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stile-aws/stile"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/state"
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

// readUnits reads the units from where the options say, nil where they say nothing.
func (o *options) readUnits(ctx context.Context) (*units, error) {
	switch {
	case o.inventory != "":
		inv, err := state.Inventory(o.streams, o.inventory)
		if err != nil {
			return nil, err
		}
		if inv.Organization == nil || inv.Organization.Root == nil {
			return nil, fmt.Errorf("reading organizational units: inventory %s has no organization; stile observe of the management account, or of a delegated administrator, reads it", o.inventory)
		}
		return savedUnits(inv.Organization), nil
	case o.organization != "":
		return o.liveUnits(ctx)
	case o.unit != "":
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
func (o *options) liveUnits(ctx context.Context) (*units, error) {
	way, err := new(route.Options).Open(ctx, o.streams, o.organization)
	if err != nil {
		return nil, err
	}
	defer way.Close()
	cfg, err := scope.LoadDefault(ctx, "", cmp.Or(way.Region, "us-east-1"))
	if err != nil {
		return nil, err
	}
	cfg.Credentials = way.Credentials
	accounts, err := stile.Organization(cfg, false).Accounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading organizational units as %s: %w", o.organization, err)
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
		if _, twice := u.ids[name]; twice {
			u.ids[name] = ""
			continue
		}
		u.ids[name] = id
	}
}

// of are the units above a row's account; known is false where it is not known
// which account that is, or where it stands.
func (u *units) of(r *row) (above []unit, known bool) {
	id := arn.AccountID(r.AccountID)
	if id == "" {
		id = u.ids[r.Account]
	}
	above, known = u.above[id]
	return above, known
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
	known := slices.Sorted(maps.Keys(paths))
	hint := diag.DidYouMean(wanted, known)
	if hint == "" && len(known) > 0 {
		hint = "there are " + strings.Join(known[:min(len(known), 20)], ", ")
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
