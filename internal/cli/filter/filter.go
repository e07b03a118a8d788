// Package filter is the flags by which commands choose among all that the person
// can be: --source, --label, --ou.
//
// Put [Flags] onto a command with [Flags.Add]; [Flags.Open] makes a [Filter] of them,
// which looks at entries of package known. Filters combine: what is kept fits all.
package filter

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/known"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
)

// Flags are what was typed. The zero Flags keep everything.
type Flags struct {
	Source       string   // --source: a source's name, or known.ByDeclaration
	Labels       []string // --label: KEY or KEY=VALUE
	Unit         string   // --ou: an organizational unit's name, path or id
	Inventory    string   // --inventory: the file that says where accounts are
	Organization string   // --organization: the address that is asked instead
}

// Add puts the flags onto a command.
func (f *Flags) Add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.Source, "source", "", "only what comes from `SOURCE`; declared is what declarations lead to")
	flags.StringArrayVarP(&f.Labels, "label", "l", nil, "only sessions and accounts with the label `KEY[=VALUE]`; may be repeated")
	flags.StringVar(&f.Unit, "ou", "", "only accounts in the organizational `UNIT`, or in one below: its name, its path from the root as A/B, or its id")
	flags.StringVar(&f.Inventory, "inventory", "", "the `FILE` that says in which units accounts are")
	flags.StringVar(&f.Organization, "organization", "", "the `ADDRESS` of a role that may read AWS Organizations, which is asked in which units accounts are")
	cmd.MarkFlagsMutuallyExclusive("inventory", "organization")
}

// None reports that the flags keep everything.
func (f *Flags) None() bool { return f.Source == "" && len(f.Labels) == 0 && f.Unit == "" }

// Open checks what was typed, and reads the organizational units where flags say
// from where.
func (f *Flags) Open(ctx context.Context, s *term.Streams) (*Filter, error) {
	if f.Source != "" && f.Source != known.ByDeclaration {
		d, _, err := route.OpenDesk(s)
		if err != nil {
			return nil, err
		}
		defer d.Close()
		if _, err := d.Book().Only(f.Source, nil); err != nil {
			return nil, err
		}
	}
	in, err := f.readUnits(ctx, s)
	if err != nil {
		return nil, err
	}
	if f.Unit != "" {
		if err := in.check(f.Unit); err != nil {
			return nil, err
		}
	}
	return &Filter{flags: f, units: in}, nil
}

// Filter keeps entries.
type Filter struct {
	flags *Flags
	units *units // nil where nobody has said
}

// Keep reports that an entry fits, and unknown that it does not because nobody
// knows in which organizational unit its account is.
func (f *Filter) Keep(e *known.Entry) (keep, unknown bool) {
	if f.flags.Source != "" && f.flags.Source != e.Source || !f.labelled(e.Labels) {
		return false, false
	}
	if f.flags.Unit == "" {
		return true, false
	}
	above, ok := f.units.of(e)
	keep = within(above, f.flags.Unit)
	return keep, !keep && !ok
}

// Tell says of how many entries nobody knows in which organizational unit their
// accounts are, and what becomes of them: "they are not listed".
func Tell(s *term.Streams, unknown int, fate string) {
	if unknown > 0 {
		s.Note("stile: of %d more it is not known in which organizational unit their accounts are; %s", unknown, fate)
	}
}

// KeepAccount reports that things in an entry's account may fit, whatever source
// they are of.
func (f *Filter) KeepAccount(e *known.Entry) bool {
	e.Source = f.flags.Source
	keep, _ := f.Keep(e)
	return keep
}

// Units are the names of the organizational units above an entry's account, the one
// below the root first; none where they are not known.
func (f *Filter) Units(e *known.Entry) []string {
	if f.units == nil {
		return nil
	}
	above, _ := f.units.of(e)
	var out []string
	for _, u := range above {
		out = append(out, u.name)
	}
	return out
}

func (f *Filter) labelled(labels map[string]string) bool {
	for _, want := range f.flags.Labels {
		key, value, exact := strings.Cut(want, "=")
		got, ok := labels[key]
		if !ok || exact && got != value {
			return false
		}
	}
	return true
}
