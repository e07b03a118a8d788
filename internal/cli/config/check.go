package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/idc"
)

// check refuses addresses that lead nowhere: a profile of one would fail in a
// program that cannot say why. What was listed before counts as known.
func (o *options) check(ctx context.Context, places []route.Place) error {
	if o.unchecked {
		return nil
	}
	var errs []error
	for _, p := range places {
		err := o.leads(ctx, p.Address)
		if out, ok := errors.AsType[*idc.SignedOutError](err); ok {
			err = fmt.Errorf("%s: nobody can tell whether it is there: %w, or say --unchecked to write it all the same", p.Address, out)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// leads reports that an address leads somewhere, as far as can be told without
// going there.
func (o *options) leads(ctx context.Context, address string) error {
	found, err := o.route.Lookup(ctx, o.streams, address, false)
	if err != nil {
		return fmt.Errorf("writing a profile: %w", err)
	}
	defer found.Close()
	t := found.Target
	if t == nil || t.PermissionSet == "" {
		return nil // declared, or of a source that lists nothing
	}
	c, err := found.Desk.Center(ctx, &t.Source)
	if err != nil {
		return err
	}
	all, _ := c.KnownAccounts()
	has := func(a session.Account) bool { return a.ID == t.From }
	if !slices.ContainsFunc(all, has) {
		if all, err = c.Accounts(ctx, fresh); err != nil {
			return err
		}
		if !slices.ContainsFunc(all, has) {
			return fmt.Errorf("writing a profile for %s: %s lists no account %s%s", address, t.Source.Name, t.From, meant(string(t.From), ids(all)))
		}
	}
	names, at := c.KnownRoles(t.From)
	if !slices.Contains(names, t.PermissionSet) {
		listed, err := c.Roles(ctx, t.From, fresh)
		switch {
		case err != nil && at.IsZero():
			return err
		case err == nil:
			names = listed
		}
	}
	if !slices.Contains(names, t.PermissionSet) {
		return fmt.Errorf("writing a profile for %s: there is no permission set %s in that account, but %s%s", address, t.PermissionSet, cmp.Or(strings.Join(names, ", "), "none"), meant(t.PermissionSet, names))
	}
	return nil
}

// fresh is the age of a list that says for certain what is not there.
const fresh = 10 * time.Second

func ids(all []session.Account) []string {
	var out []string
	for _, a := range all {
		out = append(out, string(a.ID))
	}
	return out
}

func meant(word string, known []string) string {
	if hint := diag.DidYouMean(word, known); hint != "" {
		return "; " + hint
	}
	return ""
}
