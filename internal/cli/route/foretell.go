package route

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
)

// Foretell says once, of many addresses that will be opened, what they end as where
// they are held to less by ending otherwise; Open then says it of none of them again.
// It asks nobody, and says nothing of an address that it cannot make out: Open will.
// Call it before the first Open.
func (o *Options) Foretell(ctx context.Context, s *term.Streams, addresses []string) error {
	p, err := o.pass(s)
	if err != nil || p.narrow.none() {
		return err
	}
	d, _, err := openDesk(s, desk.Config{}) // without a person
	if err != nil {
		return nil // Open says so, if it needs one
	}
	defer d.Close()
	o.foretold = map[string]string{}
	ending := map[string][]string{} // addresses by the words of their end
	for _, address := range addresses {
		if instead := o.ending(ctx, s, d, address, p); instead != "" {
			o.foretold[address] = instead
			ending[instead] = append(ending[instead], address)
		}
	}
	var lines []string
	for instead, of := range ending {
		lines = append(lines, fmt.Sprintf("stile: %s, for %s: %s", some(of), p.narrow.why, instead))
	}
	slices.Sort(lines)
	for _, line := range lines {
		s.Note("%s", line)
	}
	return nil
}

// ending is what an address ends as to be held to less, "" for itself, and where it
// is not known.
func (o *Options) ending(ctx context.Context, s *term.Streams, d *desk.Desk, address string, p *pass) string {
	if to, err := target(address); err == nil {
		if _, err := o.find(ctx, s, to); err == nil || o.declaredOnly() || another(err) {
			return "" // declared ways end in roles, which take session policies
		}
	}
	t, err := d.Resolve(ctx, address)
	if err != nil && hasProfile(s, address) {
		t, err = profileTarget(address), nil
	}
	if err != nil {
		return ""
	}
	instead, err := p.narrow.target(t, func(source *session.Source, account arn.AccountID, role string) (bool, []string, error) {
		c, err := d.Center(ctx, source)
		if err != nil {
			return false, nil, err
		}
		names, at := c.KnownRoles(account)
		return at.IsZero() || slices.Contains(names, role), names, nil
	})
	if err != nil {
		return ""
	}
	return instead
}

// namesShown is how many addresses a line names.
const namesShown = 3

// some names addresses in a line of bounded length.
func some(addresses []string) string {
	more := len(addresses) - namesShown
	switch {
	case len(addresses) == 1:
		return addresses[0]
	case more <= 0:
		return fmt.Sprintf("%d sessions (%s)", len(addresses), strings.Join(addresses, ", "))
	}
	return fmt.Sprintf("%d sessions (%s and %d more)", len(addresses), strings.Join(addresses[:namesShown], ", "), more)
}
