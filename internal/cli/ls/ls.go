// Package ls is `stile ls`: what the person can be, in which account.
package ls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/filter"
	"github.com/stile-aws/stile/internal/cli/known"
	"github.com/stile-aws/stile/internal/cli/match"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/idc"
)

type options struct {
	streams *term.Streams
	filter  filter.Flags
	group   string
	refresh bool
	cached  bool
	login   bool
	json    bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "ls [TEXT]",
		Short: "List what you can be: sessions, the roles Identity Center has for you, declared ones",
		Long: "List sessions with names, the permission sets that Identity Center has for you in each account, and the roles that\n" +
			"declarations lead to, those applied from this computer and those of the working directory. TEXT keeps what has its\n" +
			"words in its address, its account's name or id, or its labels, as stile use does; where nothing has them, what has\n" +
			"their letters in that order. ACCOUNT/TEXT looks only at accounts like ACCOUNT.\n\n" +
			"Labels are those of sessions, and of accounts by declarations, applied or in the working directory. Organizational units\n" +
			"come from an inventory (stile observe --out FILE), or from AWS Organizations, asked as a role that may. Filters combine:\n" +
			"what is listed fits all of them.\n\n" +
			"What was listed before is not asked for again for 12 hours (--refresh does). What is found is kept as it is found: an\n" +
			"interrupted listing goes on where it stopped. Identity Center takes 20 requests a second, one for each account.\n\n" +
			"Nobody is asked to sign in, unless --login is said: of a source that somebody would have to sign in to, what is known is\n" +
			"listed, and what to run is said on standard error.\n\n" +
			"LEFT is how long the credentials that are kept will do.\n\nExit status: 0, or 1 when a source could not be listed whole, also because nobody is signed in to it.",
		Example: "  stile ls prod\n  stile ls --label env=prod --json\n  stile ls --ou Workloads/Prod --inventory acme.json readonly",
		Args:    term.ArgsBetween(0, 1),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), append(args, "")[0]) },
	}
	f := cmd.Flags()
	o.filter.Add(cmd)
	f.StringVar(&o.group, "group", "", "only what members of the `GROUP` mean (stile sessions)")
	f.BoolVar(&o.refresh, "refresh", false, "ask Identity Center for everything anew")
	f.BoolVar(&o.cached, "cached", false, "ask nobody: list what is known")
	f.BoolVar(&o.login, "login", false, "sign in to the Identity Centers that have to be asked")
	cmd.MarkFlagsMutuallyExclusive("cached", "login")
	f.BoolVar(&o.json, "json", false, "write one JSON value")
	return cmd
}

// row is one thing to be.
type row struct {
	known.Entry
	Units   []string   `json:"units,omitempty"`   // above the account, where they are known
	Expires *time.Time `json:"expires,omitempty"` // of the credentials that are kept
}

func (o *options) run(ctx context.Context, text string) error {
	d, _, err := route.OpenDesk(o.streams)
	if err != nil {
		return err
	}
	defer d.Close()
	keep, err := o.filter.Open(ctx, o.streams)
	if err != nil {
		return err
	}
	in, err := o.members(d.Book())
	if err != nil {
		return err
	}
	rows, err := o.rows(ctx, d, text, keep)
	if err != nil && len(rows) == 0 && !o.json {
		return err // nothing was found because nobody could be asked
	}
	rows = slices.DeleteFunc(rows, func(r row) bool { return !in(&r) })
	if err := o.print(rows, text); err != nil {
		return err
	}
	return err
}

// rows lists what fits. An error comes with what could be listed.
func (o *options) rows(ctx context.Context, d *desk.Desk, text string, keep *filter.Filter) ([]row, error) {
	all := known.Read(o.streams)
	for _, damaged := range all.Damaged {
		o.streams.Note("stile: %v", damaged)
	}
	declared := all.Declared()
	if len(d.Book().Sources) == 0 && len(declared) == 0 {
		return nil, errors.New("there is no source yet: stile sessions add NAME --start-url URL --region REGION adds an Identity Center; stile sessions import takes over what ~/.aws/config has")
	}
	var rows []row
	for _, e := range slices.Concat(known.Sessions(d.Book()), known.Own(d.Book()), declared) {
		rows = append(rows, row{Entry: e})
	}
	labels := all.Labels()
	var errs []error
	for i := range d.Book().Sources {
		s := &d.Book().Sources[i]
		if s.IdentityCenter == nil {
			continue
		}
		more, err := o.center(ctx, d, s, text, func(a session.Account) bool {
			return keep.KeepAccount(&known.Entry{AccountID: string(a.ID), Account: a.Name, Labels: labels[a.ID]})
		})
		for i := range more {
			more[i].Labels = labels[arn.AccountID(more[i].AccountID)]
		}
		rows = append(rows, more...)
		errs = append(errs, err)
	}
	distinct(rows)
	return o.fitting(rows, text, keep), errors.Join(errs...)
}

// distinct makes the addresses such that each means its row.
func distinct(rows []row) {
	entries := make([]known.Entry, len(rows))
	for i := range rows {
		entries[i] = rows[i].Entry
	}
	for i, e := range known.Distinct(entries) {
		rows[i].Entry = e
	}
}

// fitting keeps the rows that fit all filters.
func (o *options) fitting(rows []row, text string, keep *filter.Filter) []row {
	unknown := 0
	q := match.Parse(text)
	best := match.None
	grades := map[string]match.Grade{}
	var out []row
	for _, r := range rows {
		prepared := r.Text()
		grade, _ := q.Match(&prepared)
		if grade == match.None {
			continue
		}
		kept, is := keep.Keep(&r.Entry)
		if is {
			unknown++
		}
		if !kept {
			continue
		}
		r.Units = keep.Units(&r.Entry)
		best = max(best, grade)
		grades[r.Source+"\x00"+r.Address] = grade
		out = append(out, r)
	}
	filter.Tell(o.streams, unknown, "they are not listed")
	return slices.DeleteFunc(out, func(r row) bool {
		return best > match.Letters && grades[r.Source+"\x00"+r.Address] == match.Letters
	})
}

// members tells the rows that a group's members mean; all, where no group was named.
func (o *options) members(book *session.Book) (func(*row) bool, error) {
	if o.group == "" {
		return func(*row) bool { return true }, nil
	}
	if book.Group(o.group) == nil {
		return nil, fmt.Errorf("--group: there is no group %s; stile sessions list shows those there are", o.group)
	}
	means, err := new(route.Options).Meanings(o.streams, []string{o.group})
	return func(r *row) bool { return means(&r.Entry) }, err
}

// center lists an Identity Center's roles in the accounts that keep lets pass:
// those that have not been listed of late are asked for, several at a time.
func (o *options) center(ctx context.Context, d *desk.Desk, source *session.Source, text string, keep func(session.Account) bool) ([]row, error) {
	c, err := d.Center(ctx, source)
	if err != nil {
		return nil, err
	}
	all, err := o.accounts(ctx, d, c, source)
	wanted := like(all, text)
	sweep := idc.Sweep{
		Of: func(a session.Account) bool { return wanted(a) && keep(a) }, Age: idc.GoodFor,
		KnownOnly: o.known(source) || err != nil, SkipFailed: true,
	}
	if o.refresh {
		sweep.Age = 0
	}
	roles, problem := c.RolesIn(ctx, all, sweep)
	if err = cmp.Or(err, problem); err != nil {
		err = fmt.Errorf("listing %s: %w", source.Name, err)
	}
	var out []row
	for _, e := range known.OfCenter(source.Name, all, roles) {
		r := row{Entry: e}
		key := d.Store().Wrap(c.Role(arn.AccountID(e.AccountID), e.Role)).Key()
		if kept, ok := d.Store().Get(key); ok && kept.Valid(time.Now()) {
			end := kept.Credentials.Expires.UTC()
			r.Expires = &end
		}
		out = append(out, r)
	}
	return out, err
}

// like tells the accounts that what stands before the slash in text means, so
// that no others are asked for.
func like(accounts []session.Account, text string) func(session.Account) bool {
	name, _, ok := strings.Cut(text, "/")
	if !ok || strings.ContainsAny(text, " \t") {
		return func(session.Account) bool { return true }
	}
	q := match.Parse(name)
	grade := func(a session.Account) match.Grade {
		prepared := match.Prepare(a.Name, string(a.ID))
		g, _ := q.Match(&prepared)
		return g
	}
	least := match.Letters
	if slices.ContainsFunc(accounts, func(a session.Account) bool { return grade(a) > match.Letters }) {
		least = match.Inside
	}
	return func(a session.Account) bool { return q.Empty() || grade(a) >= least }
}

// known reports that what is known of a source will do.
func (o *options) known(source *session.Source) bool {
	return o.cached || o.filter.Source != "" && o.filter.Source != source.Name
}

// accounts lists a source's accounts. With an error come those that are known.
func (o *options) accounts(ctx context.Context, d *desk.Desk, c *idc.Client, source *session.Source) ([]session.Account, error) {
	known, at := c.KnownAccounts()
	if o.known(source) || !o.refresh && idc.Young(at, idc.GoodFor) {
		return known, nil
	}
	if o.login {
		if err := d.SignedIn(ctx, source); err != nil {
			return known, err
		}
	}
	all, err := c.Accounts(ctx, 0)
	if err != nil {
		return known, err
	}
	return all, nil
}

func (o *options) print(rows []row, text string) error {
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Source, b.Source)) })
	if o.json {
		if rows == nil {
			rows = []row{}
		}
		return o.streams.JSON(rows)
	}
	if len(rows) == 0 {
		if text == "" {
			o.streams.Note("stile: nothing is like that")
		} else {
			o.streams.Note("stile: nothing is like %q; stile ls lists all", text)
		}
		return nil
	}
	w := tabwriter.NewWriter(o.streams.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ADDRESS\tSOURCE\tLEFT\tNOTES")
	for _, r := range rows {
		left := ""
		if r.Expires != nil {
			left = term.Left(*r.Expires)
		}
		var units []string
		if len(r.Units) > 0 {
			units = []string{"in " + strings.Join(r.Units, "/")}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Address, r.Source, left, strings.Join(append(r.Notes(), units...), " "))
	}
	return w.Flush()
}
