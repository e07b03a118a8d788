package route

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/known"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/idc"
)

// Sweep is what patterns are looked for in.
type Sweep struct {
	// Cached is --cached: nobody is asked, and what cannot be looked through is
	// left out, which is said. Without it that is an error.
	Cached bool
	// Only is the source that counts, or known.ByDeclaration; "" for all.
	Only string
}

// SweepFlags adds --cached to a command that takes patterns.
func (o *Options) SweepFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.Cached, "cached", false, "for patterns: ask nobody, and take what sources listed before (stile ls --cached), whatever they would list now")
}

// sweep is what a pattern takes in.
type sweep struct {
	pattern string
	account string // the pattern's
	role    string // the pattern's
	only    string // the source that counts, "" for all
	cached  bool

	declared, listed, sessions []known.Entry
	accounts                   map[string][]string // ids by name and by id, of all that was looked through
	from                       []string            // the declarations that were looked through
	leads                      atlas               // they
	undeclared                 bool                // there are no declarations
	problems                   []error             // why something could not be looked through
}

// fitting lists the addresses that fit a pattern: of declarations and of people's
// sources, a role of an account once; the declared way comes first. A pattern
// without a slash is one of sessions' names.
func (o *Options) fitting(ctx context.Context, s *term.Streams, pattern string) ([]string, error) {
	w := &sweep{pattern: pattern, only: o.Only, cached: o.Cached, accounts: map[string][]string{}}
	if !strings.Contains(pattern, "/") {
		if o.declaredOnly() {
			return nil, fmt.Errorf("expanding %s: declarations have no names of sessions; */%s is a role in every account", pattern, pattern)
		}
		return w.names(s)
	}
	if ok, err := w.name(s, o.declaredOnly()); err != nil || !ok {
		return nil, err
	}
	if w.only == "" || w.only == known.ByDeclaration {
		if err := o.sweepDeclared(ctx, s, w); err != nil && o.declaredOnly() {
			return nil, err
		} else if err != nil {
			w.problems = append(w.problems, err)
		}
	}
	if err := w.whole(s); err != nil { // before anybody is asked to sign in
		return nil, err
	}
	if !o.declaredOnly() && w.only != known.ByDeclaration {
		if err := w.people(ctx, s); err != nil {
			return nil, fmt.Errorf("expanding %s: %w", pattern, err)
		}
	}
	if err := w.whole(s); err != nil {
		return nil, err
	}
	if out := w.merged(); len(out) > 0 || o.Only != "" { // who says --source asks for a part
		return out, nil
	}
	return nil, w.nothing(o.declaredOnly())
}

// name reads the pattern: SOURCE:ACCOUNT/ROLE, the source only where there is one. It is
// not ok where another source alone counts.
func (w *sweep) name(s *term.Streams, declaredOnly bool) (ok bool, err error) {
	slash := strings.LastIndexByte(w.pattern, '/')
	w.account, w.role = w.pattern[:slash], w.pattern[slash+1:]
	source, account, named := strings.Cut(w.account, ":")
	if !named || declaredOnly {
		return true, nil
	}
	d, _, err := openDesk(s, desk.Config{})
	if err != nil {
		return false, fmt.Errorf("expanding %s: %w", w.pattern, err)
	}
	defer d.Close()
	switch {
	case source != known.ByDeclaration && d.Book().Source(source) == nil:
		return true, nil
	case w.only != "" && w.only != source:
		return false, nil
	}
	w.only, w.account = source, account
	return true, nil
}

// whole is an error where the sweep could not look through everything, unless
// that will do: then it is told.
func (w *sweep) whole(s *term.Streams) error {
	if len(w.problems) == 0 {
		return nil
	}
	if w.cached {
		for _, p := range w.problems {
			s.Note("stile: %s is not all there may be: %v", w.pattern, p)
		}
		w.problems = nil
		return nil
	}
	// Not wrapped: diagnostics of declarations would be printed without the rest.
	return fmt.Errorf("expanding %s, which takes in declarations and all sources: %v; --cached goes on with what is known, SOURCE:%s is of one source",
		w.pattern, errors.Join(w.problems...), w.pattern)
}

// nothing is the error for a pattern that nothing fits.
func (w *sweep) nothing(declaredOnly bool) error {
	switch {
	case w.only != "" && w.only != known.ByDeclaration:
		return fmt.Errorf("expanding %s: no address of source %s fits; stile ls lists what you can be", w.pattern, w.only)
	case w.undeclared && declaredOnly:
		return fmt.Errorf("expanding %s: %w", w.pattern, errNoDeclarations)
	case w.undeclared:
		return fmt.Errorf("expanding %s: nothing fits that people's sources list (stile ls), and there are %w", w.pattern, errNoDeclarations)
	}
	return fmt.Errorf("expanding %s: no address fits by %s%s", w.pattern, strings.Join(w.from, ", nor by "), w.leads.known())
}

// names are the sessions whose names fit.
func (w *sweep) names(s *term.Streams) ([]string, error) {
	d, _, err := openDesk(s, desk.Config{})
	if err != nil {
		return nil, fmt.Errorf("expanding %s: %w", w.pattern, err)
	}
	defer d.Close()
	var out []string
	means := known.Meaning(w.pattern)
	for _, e := range known.Sessions(d.Book()) {
		if means(&e) {
			out = append(out, e.Address)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("expanding %s: no session has a name like that (stile sessions list); */ROLE is a role in every account", w.pattern)
	}
	return out, nil
}

// errMore has maps go on to further declarations.
var errMore = errors.New("there may be more")

// sweepDeclared looks through all declarations that an address would be looked for in.
func (o *Options) sweepDeclared(ctx context.Context, s *term.Streams, w *sweep) error {
	err := o.maps(ctx, s, func(a atlas, from string) error {
		w.from, w.leads = append(w.from, from), append(w.leads, a...)
		w.take(a.entries())
		return errMore
	})
	if errors.Is(err, errNoDeclarations) {
		w.undeclared = true
		return nil
	}
	if damaged, ok := errors.AsType[*state.Damaged](err); ok {
		return damaged
	}
	if err == nil || errors.Is(err, errMore) {
		return nil
	}
	// What cannot be compiled, as without the credentials that takes, has addresses
	// all the same.
	if here, ok := known.Read(s).Here(); ok && !o.declaredOnly() {
		w.from = append(w.from, "the declarations here")
		w.take(here)
		return nil
	}
	return err
}

// take adds those of the declared entries that fit.
func (w *sweep) take(all []known.Entry) {
	means := known.Meaning(w.account + "/" + w.role)
	for i := range all {
		w.note(all[i].Account, all[i].AccountID)
		if means(&all[i]) {
			w.declared = append(w.declared, all[i])
		}
	}
}

// entries are where the routes end that have addresses.
func (a atlas) entries() []known.Entry {
	var out []known.Entry
	for _, c := range a {
		for i := range c.routes {
			r := &c.routes[i]
			if r.Address == "" || len(r.Hops) == 0 {
				continue
			}
			role, err := arn.Parse(r.Hops[len(r.Hops)-1].Role)
			if err != nil {
				continue
			}
			out = append(out, known.Entry{Address: r.Address, Source: known.ByDeclaration, AccountID: string(role.Account), Account: c.names[role.Account], Role: role.Name()})
		}
	}
	return out
}

// note remembers an account's name.
func (w *sweep) note(name, id string) {
	for _, key := range []string{name, id} {
		if key != "" && !slices.Contains(w.accounts[key], id) {
			w.accounts[key] = append(w.accounts[key], id)
		}
	}
}

// people looks through people's sources: Identity Centers, and sessions.
func (w *sweep) people(ctx context.Context, s *term.Streams) error {
	open := OpenDesk
	if w.cached {
		open = func(s *term.Streams) (*desk.Desk, session.Paths, error) { return openDesk(s, desk.Config{}) }
	}
	d, _, err := open(s)
	if err != nil {
		return err
	}
	defer d.Close()
	in, role := known.Wild(w.account), known.Wild(w.role)
	for i := range d.Book().Sources {
		source := &d.Book().Sources[i]
		if source.IdentityCenter == nil || w.only != "" && w.only != source.Name {
			continue
		}
		err := w.center(ctx, d, source, func(a session.Account) bool { return in.MatchString(a.Name) || in.MatchString(string(a.ID)) })
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			w.problems = append(w.problems, fmt.Errorf("listing %s: %w", source.Name, err))
		}
	}
	w.listed = slices.DeleteFunc(known.Distinct(w.listed), func(e known.Entry) bool { return !role.MatchString(e.Role) })
	for _, e := range known.Sessions(d.Book()) {
		if at, err := arn.Parse(e.Role); err == nil { // the role may be said by its ARN
			e.Account, e.Role = string(at.Account), at.Name()
		}
		if e.Role != "" && role.MatchString(e.Role) && (w.only == "" || w.only == e.Source) && slices.ContainsFunc(w.called(e.Account), in.MatchString) {
			w.sessions = append(w.sessions, e)
		}
	}
	return nil
}

// called is how an account may be said that is said in one of these ways.
func (w *sweep) called(account string) []string {
	out := []string{account}
	for name, ids := range w.accounts {
		if slices.ContainsFunc(ids, func(id string) bool { return id == account || slices.Contains(w.accounts[account], id) }) {
			out = append(out, name)
		}
	}
	return out
}

// center looks through an Identity Center's accounts.
func (w *sweep) center(ctx context.Context, d *desk.Desk, source *session.Source, of func(session.Account) bool) error {
	c, err := d.Center(ctx, source)
	if err != nil {
		return err
	}
	how := idc.Sweep{Age: idc.GoodFor, Of: of, KnownOnly: w.cached}
	var accounts []session.Account
	if w.cached {
		accounts, err = w.before(c, of)
	} else if err = d.SignedIn(ctx, source); err == nil {
		accounts, err = c.Accounts(ctx, idc.GoodFor)
	}
	if err != nil && !w.cached {
		return err
	}
	roles, listErr := c.RolesIn(ctx, accounts, how)
	if listErr != nil {
		return listErr
	}
	for _, a := range accounts {
		w.note(a.Name, string(a.ID))
	}
	w.listed = append(w.listed, known.OfCenter(source.Name, accounts, roles)...)
	return err
}

// before is what an Identity Center listed before; the error says what it did not.
func (w *sweep) before(c *idc.Client, of func(session.Account) bool) ([]session.Account, error) {
	accounts, at := c.KnownAccounts()
	if at.IsZero() {
		return nil, errors.New("its accounts were never listed")
	}
	unknown := 0
	for _, a := range accounts {
		if _, at := c.KnownRoles(a.ID); of(a) && at.IsZero() {
			unknown++
		}
	}
	if unknown > 0 {
		return accounts, fmt.Errorf("of %d accounts the roles were never listed", unknown)
	}
	return accounts, nil
}

// merged are the addresses, a role of an account once.
func (w *sweep) merged() []string {
	var out []string
	taken, places := map[string]bool{}, map[string]bool{}
	add := func(e *known.Entry) {
		if !taken[e.Address] {
			taken[e.Address] = true
			out = append(out, e.Address)
		}
	}
	for i := range w.declared {
		e := &w.declared[i]
		add(e)
		places[e.AccountID+"/"+e.Role] = true
	}
	listed := map[string]bool{}
	for i := range w.listed {
		e := &w.listed[i]
		place := e.AccountID + "/" + e.Role
		listed[place] = true
		if places[place] {
			continue
		}
		if w.only != "" && !strings.HasPrefix(e.Address, w.only+":") {
			e.Address = w.only + ":" + e.Address
		} else if taken[e.Address] { // by another account of that name
			e.Address = e.Source + ":" + place
		}
		add(e)
	}
	for i := range w.sessions {
		e := &w.sessions[i]
		ids := w.accounts[e.Account]
		if len(ids) == 0 {
			ids = []string{e.Account}
		}
		if !slices.ContainsFunc(ids, func(id string) bool { return places[id+"/"+e.Role] || listed[id+"/"+e.Role] }) {
			add(e)
			places[ids[0]+"/"+e.Role] = true
		}
	}
	return out
}
