// Package ls is `stile ls`: what the person can be, in which account.
package ls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/idc"
)

type options struct {
	streams *term.Streams
	source  string
	labels  []string
	refresh bool
	cached  bool
	json    bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "ls [TEXT]",
		Short: "List what you can be: sessions, and the roles Identity Center has for you",
		Long: "List sessions with names, and the permission sets that Identity Center has for you in each account. TEXT keeps what has\n" +
			"it in its address; ACCOUNT/TEXT looks only at accounts with ACCOUNT in their name.\n\n" +
			"What was listed before is not asked for again for 12 hours (--refresh does). What is found is kept as it is found: an\n" +
			"interrupted listing goes on where it stopped. Identity Center takes 20 requests a second, one for each account.\n\n" +
			"LEFT is how long the credentials that are kept will do.\n\nExit status: 0, or 1 when a source could not be listed whole.",
		Example: "  stile ls prod\n  stile ls --label env=prod --json",
		Args:    term.ArgsBetween(0, 1),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), append(args, "")[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.source, "source", "", "only what comes from `SOURCE`")
	f.StringArrayVarP(&o.labels, "label", "l", nil, "only sessions with the label `KEY[=VALUE]`; may be repeated")
	f.BoolVar(&o.refresh, "refresh", false, "ask Identity Center for everything anew")
	f.BoolVar(&o.cached, "cached", false, "ask nobody: list what is known")
	f.BoolVar(&o.json, "json", false, "write one JSON value")
	return cmd
}

// row is one thing to be.
type row struct {
	Address   string            `json:"address"`
	Source    string            `json:"source"`
	AccountID string            `json:"accountId,omitempty"`
	Account   string            `json:"account,omitempty"`
	Role      string            `json:"role,omitempty"`
	Session   string            `json:"session,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Expires   *time.Time        `json:"expires,omitempty"` // of the credentials that are kept
}

// goodFor is how long a listing will do.
const goodFor = 12 * time.Hour

func (o *options) run(ctx context.Context, text string) error {
	d, _, err := route.OpenDesk(o.streams)
	if err != nil {
		return err
	}
	defer d.Close()
	if o.source != "" {
		if _, err := d.Book().Only(o.source, nil); err != nil {
			return err
		}
	}
	if len(d.Book().Sources) == 0 {
		return errors.New("there is no source yet: stile sessions add NAME --start-url URL --region REGION adds an Identity Center; stile sessions import takes over what ~/.aws/config has")
	}
	rows := o.sessions(d, text)
	var errs []error
	for i := range d.Book().Sources {
		s := &d.Book().Sources[i]
		if s.IdentityCenter == nil || o.source != "" && o.source != s.Name || len(o.labels) > 0 {
			continue
		}
		more, err := o.center(ctx, d, s, text)
		rows = append(rows, more...)
		errs = append(errs, err)
	}
	err = errors.Join(errs...)
	if err != nil && len(rows) == 0 && !o.json {
		return err // nothing was found because nobody could be asked
	}
	if err := o.print(rows); err != nil {
		return err
	}
	return err
}

// sessions are those with names, and what sources give by themselves.
func (o *options) sessions(d *desk.Desk, text string) []row {
	var out []row
	for _, s := range d.Book().Sessions {
		address := s.Name
		if o.source != "" && o.source != s.Source || !o.labelled(s.Labels) || !strings.Contains(s.Name+" "+s.Account+"/"+s.Role, text) {
			continue
		}
		out = append(out, row{Address: address, Source: s.Source, Account: s.Account, Role: s.Role, Session: s.Name, Labels: s.Labels})
	}
	for _, s := range d.Book().Sources {
		if s.IdentityCenter != nil || s.SAML != nil || o.source != "" && o.source != s.Name || len(o.labels) > 0 || !strings.Contains(s.Name, text) {
			continue
		}
		out = append(out, row{Address: s.Name, Source: s.Name})
	}
	return out
}

func (o *options) labelled(labels map[string]string) bool {
	for _, want := range o.labels {
		key, value, exact := strings.Cut(want, "=")
		got, ok := labels[key]
		if !ok || exact && got != value {
			return false
		}
	}
	return true
}

// center lists an Identity Center's roles: those of accounts that have not been
// listed of late are asked for, several at a time.
func (o *options) center(ctx context.Context, d *desk.Desk, source *session.Source, text string) ([]row, error) {
	c, err := d.Center(ctx, source)
	if err != nil {
		return nil, err
	}
	accounts, err := o.accounts(ctx, d, c, source)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", source.Name, err)
	}
	if in, _, ok := strings.Cut(text, "/"); ok {
		accounts = slices.DeleteFunc(accounts, func(a session.Account) bool { return !strings.Contains(a.Name+" "+string(a.ID), in) })
	}
	unique := map[string]int{}
	for _, a := range accounts {
		unique[a.Name]++
	}
	roles, err := o.roles(ctx, c, accounts)
	var out []row
	for i, a := range accounts {
		name := a.Name
		if unique[name] > 1 || name == "" {
			name = string(a.ID)
		}
		for _, role := range roles[i] {
			r := row{Address: name + "/" + role, Source: source.Name, AccountID: string(a.ID), Account: a.Name, Role: role}
			if !matches(&r, text) {
				continue
			}
			if e, ok := d.Store().Get(d.Store().Wrap(c.Role(a.ID, role)).Key()); ok && e.Valid(time.Now()) {
				end := e.Credentials.Expires.UTC()
				r.Expires = &end
			}
			out = append(out, r)
		}
	}
	if err != nil {
		err = fmt.Errorf("listing %s: %w", source.Name, err)
	}
	return out, err
}

// matches looks for text in the address; with a slash in it, in both parts.
func matches(r *row, text string) bool {
	account, role, both := strings.Cut(text, "/")
	if both {
		return strings.Contains(r.Account+" "+r.AccountID, account) && strings.Contains(r.Role, role)
	}
	return strings.Contains(r.Address+" "+r.AccountID, text)
}

func (o *options) accounts(ctx context.Context, d *desk.Desk, c *idc.Client, source *session.Source) ([]session.Account, error) {
	known, at := c.KnownAccounts()
	if o.cached || !o.refresh && !at.IsZero() && time.Since(at) < goodFor {
		return known, nil
	}
	if err := d.SignedIn(ctx, source); err != nil {
		return nil, err
	}
	return c.Accounts(ctx, 0)
}

// atOnce is how many accounts are asked for at a time; the rate is the client's.
const atOnce = 8

func (o *options) roles(ctx context.Context, c *idc.Client, accounts []session.Account) ([][]string, error) {
	roles := make([][]string, len(accounts))
	var g errgroup.Group
	g.SetLimit(atOnce)
	began := time.Now()
	for i, a := range accounts {
		known, at := c.KnownRoles(a.ID)
		roles[i] = known
		if o.cached || !o.refresh && !at.IsZero() && began.Sub(at) < goodFor {
			continue
		}
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			names, err := c.Roles(ctx, a.ID, 0)
			if err == nil {
				roles[i] = names
			}
			return err
		})
	}
	return roles, g.Wait()
}

func (o *options) print(rows []row) error {
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Source, b.Source)) })
	if o.json {
		if rows == nil {
			rows = []row{}
		}
		return o.streams.JSON(rows)
	}
	if len(rows) == 0 {
		o.streams.Note("stile: nothing is like that")
		return nil
	}
	w := tabwriter.NewWriter(o.streams.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ADDRESS\tSOURCE\tLEFT\tNOTES")
	for _, r := range rows {
		left := ""
		if r.Expires != nil {
			left = time.Until(*r.Expires).Round(time.Minute).String()
			left = strings.TrimSuffix(left, "0s")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Address, r.Source, left, notes(&r))
	}
	return w.Flush()
}

func notes(r *row) string {
	var out []string
	if r.Session != "" && r.Role != "" {
		out = append(out, r.Account+"/"+r.Role)
	} else if r.AccountID != "" && !strings.HasPrefix(r.Address, r.AccountID) {
		out = append(out, r.AccountID)
	}
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
		out = append(out, key+"="+r.Labels[key])
	}
	return strings.Join(out, " ")
}
