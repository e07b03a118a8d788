package route

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/idc"
)

// goodFor is how long what Identity Center listed will do for a pattern, as for
// stile ls.
const goodFor = 12 * time.Hour

// listed gives the addresses that fit a pattern of people's named sessions and of
// what Identity Center lists for them, nil where there are none. Only accounts
// whose names fit are asked for.
func listed(ctx context.Context, s *term.Streams, pattern string) ([]string, error) {
	d, _, err := OpenDesk(s)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	inAccount, role, ok := strings.Cut(pattern, "/")
	var out []string
	if !ok {
		for _, named := range d.Book().Sessions {
			if wild(pattern).MatchString(named.Name) {
				out = append(out, named.Name)
			}
		}
		return out, nil
	}
	for i := range d.Book().Sources {
		source := &d.Book().Sources[i]
		if source.IdentityCenter == nil {
			continue
		}
		more, err := listedBy(ctx, d, source, wild(inAccount), wild(role))
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", source.Name, err)
		}
		out = append(out, more...)
	}
	return out, nil
}

func listedBy(ctx context.Context, d *desk.Desk, source *session.Source, inAccount, role *regexp.Regexp) ([]string, error) {
	if err := d.SignedIn(ctx, source); err != nil {
		return nil, err
	}
	c, err := d.Center(ctx, source)
	if err != nil {
		return nil, err
	}
	accounts, err := c.Accounts(ctx, goodFor)
	if err != nil {
		return nil, err
	}
	of := map[string]int{}
	for _, a := range accounts {
		of[a.Name]++
	}
	accounts = slices.DeleteFunc(slices.Clone(accounts), func(a session.Account) bool {
		return !inAccount.MatchString(a.Name) && !inAccount.MatchString(string(a.ID))
	})
	roles, err := rolesOf(ctx, c, accounts)
	if err != nil {
		return nil, err
	}
	var out []string
	for i, a := range accounts {
		name := a.Name
		if name == "" || of[name] > 1 {
			name = string(a.ID)
		}
		for _, r := range roles[i] {
			if role.MatchString(r) {
				out = append(out, name+"/"+r)
			}
		}
	}
	return out, nil
}

// atOnce is how many accounts are asked for at a time; the rate is the client's.
const atOnce = 8

func rolesOf(ctx context.Context, c *idc.Client, accounts []session.Account) ([][]string, error) {
	out := make([][]string, len(accounts))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, a := range accounts {
		g.Go(func() (err error) {
			out[i], err = c.Roles(ctx, a.ID, goodFor)
			return err
		})
	}
	return out, g.Wait()
}

// wild is a pattern in which * stands for anything.
func wild(pattern string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
}
