package route

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/stile-aws/stile/internal/cli/known"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/idc"
)

// listed gives the addresses that fit a pattern: of named sessions where it has no
// slash, else of what Identity Center lists, SOURCE: before it for only one. Only
// accounts whose names fit are asked for.
func listed(ctx context.Context, s *term.Streams, pattern string) ([]string, error) {
	d, _, err := OpenDesk(s)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	slash := strings.LastIndexByte(pattern, '/')
	var out []string
	if slash < 0 {
		means := known.Meaning(pattern)
		for _, e := range known.Sessions(d.Book()) {
			if means(&e) {
				out = append(out, e.Address)
			}
		}
		return out, nil
	}
	only, inAccount, named := strings.Cut(pattern[:slash], ":")
	if !named || d.Book().Source(only) == nil {
		only, inAccount = "", pattern[:slash]
	}
	var all []known.Entry
	for i := range d.Book().Sources {
		source := &d.Book().Sources[i]
		if source.IdentityCenter == nil || only != "" && only != source.Name {
			continue
		}
		more, err := listedBy(ctx, d, source, known.Wild(inAccount))
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", source.Name, err)
		}
		all = append(all, more...)
	}
	role := known.Wild(pattern[slash+1:])
	for _, e := range known.Distinct(all) {
		switch {
		case !role.MatchString(e.Role):
		case only != "" && !strings.HasPrefix(e.Address, only+":"):
			out = append(out, only+":"+e.Address)
		default:
			out = append(out, e.Address)
		}
	}
	return out, nil
}

// listedBy is what an Identity Center lists in the accounts that fit.
func listedBy(ctx context.Context, d *desk.Desk, source *session.Source, inAccount *regexp.Regexp) ([]known.Entry, error) {
	if err := d.SignedIn(ctx, source); err != nil {
		return nil, err
	}
	c, err := d.Center(ctx, source)
	if err != nil {
		return nil, err
	}
	accounts, err := c.Accounts(ctx, idc.GoodFor)
	if err != nil {
		return nil, err
	}
	roles, err := c.RolesIn(ctx, accounts, idc.Sweep{Age: idc.GoodFor, Of: func(a session.Account) bool {
		return inAccount.MatchString(a.Name) || inAccount.MatchString(string(a.ID))
	}})
	if err != nil {
		return nil, err
	}
	return known.OfCenter(source.Name, accounts, roles), nil
}
